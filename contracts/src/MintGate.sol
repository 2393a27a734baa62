// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AttestedGate} from "./AttestedGate.sol";
import {IAttestedGate} from "./interfaces/IAttestedGate.sol";
import {InvoiceTerms, STATUS_PAID} from "./interfaces/IInvoiceEscrow.sol";
import {IMintGate} from "./interfaces/IMintGate.sol";
import {IReserveToken} from "./interfaces/IReserveToken.sol";
import {ISettlementGate} from "./interfaces/ISettlementGate.sol";
import {Terms} from "./libraries/Terms.sol";
import {Tokens} from "./libraries/Tokens.sol";

/// @title The only one who mints and burns a token of ours
/// @notice `ReserveToken` on Base, a TIP-20 on Tempo: the same two calls.
///
/// @dev Between transactions there lies here what redemptions have brought and nobody has burned yet, and what was sent
/// here by mistake, which nobody can take.
contract MintGate is IMintGate, AttestedGate {
    /// @inheritdoc IMintGate
    mapping(bytes32 termsHash => bool) public redeemed;

    constructor(ISettlementGate settlementGate, address token, uint8 threshold_, uint96 dailyCap_)
        AttestedGate("Monay MintGate", settlementGate, token, threshold_, dailyCap_)
    {
        address known = settlementGate.MINT_GATE();
        if (known != address(this)) revert NotKnownToSettlementGate(known, address(this));
    }

    /// @inheritdoc IMintGate
    /// @dev Not a restricted function: governance cannot stop it, neither by a role nor by closing the target.
    function redeem(InvoiceTerms calldata terms) external nonReentrant returns (uint256 burned) {
        (InvoiceTerms memory invoice, bytes32 termsHash) = Terms.read(terms);
        _mustBeOfHere(invoice);
        if (invoice.payee != address(this)) revert PayeeNotGate(invoice.payee, address(this));
        // The escrow's word and not a balance: it is of exactly these terms, and it never changes again.
        (, uint8 status,) = ESCROW.stateOf(termsHash);
        if (status != STATUS_PAID) revert NotPaid(termsHash, status);
        if (redeemed[termsHash]) revert AlreadyRedeemed(termsHash);
        redeemed[termsHash] = true;

        burned = invoice.amount;
        emit Redeemed({termsHash: termsHash, token: TOKEN, amount: burned});
        uint256 expected = Tokens.balanceOf({token: TOKEN, account: address(this)}) - burned;
        IReserveToken(TOKEN).burnWithMemo({amount: burned, memo: termsHash});
        uint256 balance = Tokens.balanceOf({token: TOKEN, account: address(this)});
        if (balance != expected) revert WrongBalanceAfter(address(this), balance, expected);
    }

    /// @inheritdoc IAttestedGate
    function issued() public view override(AttestedGate, IAttestedGate) returns (uint256) {
        return IReserveToken(TOKEN).totalSupply();
    }

    /// @inheritdoc AttestedGate
    function _provide(uint256 amount, bytes32 memo) internal override returns (uint256 taken) {
        IReserveToken(TOKEN).mintWithMemo({to: address(this), amount: amount, memo: memo});
        return 0;
    }
}
