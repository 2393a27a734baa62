// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AttestedGate} from "./AttestedGate.sol";
import {IAttestedGate} from "./interfaces/IAttestedGate.sol";
import {IFloatGate} from "./interfaces/IFloatGate.sol";
import {ISettlementGate} from "./interfaces/ISettlementGate.sol";
import {Tokens} from "./libraries/Tokens.sol";

/// @title The gate of a token that is not ours
/// @notice For USDC: pays invoices from a float that we buy and send here, with a plain transfer.
///
/// @dev Its reserve is the float itself, so what the attestors allow it is all that was ever paid from it and what is
/// there now.
contract FloatGate is IFloatGate, AttestedGate {
    /// @dev All that was ever paid, base units.
    uint256 private _paid;

    constructor(ISettlementGate settlementGate, address token, uint8 threshold_, uint96 dailyCap_)
        AttestedGate("Monay FloatGate", settlementGate, token, threshold_, dailyCap_)
    {
        address known = settlementGate.FLOAT_GATE();
        if (known != address(this)) revert NotKnownToSettlementGate(known, address(this));
    }

    /// @inheritdoc IFloatGate
    function withdraw(address to, uint256 amount) external restricted nonReentrant {
        emit FloatWithdrawn({to: to, amount: amount});
        Tokens.transfer({token: TOKEN, to: to, amount: amount});
    }

    /// @inheritdoc IAttestedGate
    function issued() public view override(AttestedGate, IAttestedGate) returns (uint256) {
        return _paid;
    }

    /// @inheritdoc AttestedGate
    function _provide(uint256 amount, bytes32) internal override returns (uint256 taken) {
        uint256 float = Tokens.balanceOf({token: TOKEN, account: address(this)});
        if (float < amount) revert FloatTooSmall(float, amount);
        _paid += amount;
        return amount;
    }
}
