// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAttestedGate} from "./IAttestedGate.sol";
import {InvoiceTerms} from "./IInvoiceEscrow.sol";

/// @title The only one who mints and burns a token of ours
/// @notice Minted is only what pays an invoice in the same call; burned is only what was paid to this gate by an invoice.
interface IMintGate is IAttestedGate {
    /// @notice A redemption was burned. The bank is paid this amount, once this event is final.
    event Redeemed(bytes32 indexed termsHash, address token, uint256 amount);

    /// @notice A redemption is an invoice whose payee is this gate.
    error PayeeNotGate(address payee, address gate);
    /// @notice Only an invoice that is paid in full (1) is redeemed.
    error NotPaid(bytes32 termsHash, uint8 status);
    /// @notice This redemption was burned before.
    error AlreadyRedeemed(bytes32 termsHash);

    /// @notice Burns what a redemption has brought, once, by anyone. Nobody can stop it.
    /// @return burned The invoice's amount, base units.
    function redeem(InvoiceTerms calldata terms) external returns (uint256 burned);

    /// @notice Whether a redemption was burned.
    function redeemed(bytes32 termsHash) external view returns (bool);
}
