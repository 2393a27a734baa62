// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAttestedGate} from "./IAttestedGate.sol";

/// @title The gate of a token that is not ours: pays from what it holds
/// @notice The same attestations, checks and call as at the mint gate. There is no redemption.
interface IFloatGate is IAttestedGate {
    /// @notice Governance took from the float.
    event FloatWithdrawn(address indexed to, uint256 amount);

    /// @notice The float is smaller than what is due (base units).
    error FloatTooSmall(uint256 float, uint256 amount);

    /// @notice Takes from the float, by governance and after its delay.
    function withdraw(address to, uint256 amount) external;
}
