// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {InvoiceEscrow} from "../../src/InvoiceEscrow.sol";
import {InvoiceTerms} from "../../src/interfaces/IInvoiceEscrow.sol";
import {Test} from "../base/Test.sol";
import {PlainToken} from "../tokens/PlainToken.sol";
import {Handler} from "./Handler.sol";

/// @notice What holds after any sequence of calls by anyone. For each invoice i, with
///   sentᵢ    what was sent to the purse (less what an order of the refund key took elsewhere),
///   directᵢ  what came by `pay`:
///
///   X1   sentᵢ + directᵢ = purseᵢ + payeeᵢ + refundToᵢ,  for every token and the native coin
///   X2   payeeᵢ = paidᵢ ≤ amountᵢ
///   X3   nobody else has anything; above amountᵢ money is only ever in the purse or at refundTo
///   X10  once status is 1 or 2, (paid, status, since) never change
///   X15  folding the events gives the state
///   E4   no code, nonce 0 at any purse
///   T1   in the handler, `useForgedTerms`
///   T4   at the end anyone empties every purse with nothing but the terms
///   T5   the attacker has nothing
contract InvariantsTest is Test {
    InvoiceEscrow private escrow;
    PlainToken private token;
    PlainToken private other;
    Handler private handler;

    function setUp() public {
        vm.chainId(8453);
        vm.warp(1_800_000_000);
        escrow = new InvoiceEscrow();
        token = new PlainToken(6);
        other = new PlainToken(18);
        handler = new Handler(escrow, token, other);
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function invariant_X1_conservation() public view {
        for (uint256 i = 0; i < handler.invoices(); ++i) {
            InvoiceTerms memory terms = handler.termsOf(i);
            Handler.Ledger memory ledger = handler.ledgerOf(i);
            address purse = handler.purseOf(terms);
            assertEq(
                token.balanceOf(purse) + token.balanceOf(terms.payee) + token.balanceOf(terms.refundTo),
                ledger.sent + ledger.direct,
                "X1: the invoice's token"
            );
            assertEq(other.balanceOf(purse) + other.balanceOf(terms.refundTo), ledger.sentOther, "X1: another token");
            assertEq(purse.balance + terms.refundTo.balance, ledger.sentCoin, "X1: native coin");
        }
    }

    function invariant_X2_neverPaidAboveAmount() public view {
        for (uint256 i = 0; i < handler.invoices(); ++i) {
            InvoiceTerms memory terms = handler.termsOf(i);
            (uint128 paid, uint8 status,) = escrow.stateOf(handler.hashOf(terms));
            uint256 got = token.balanceOf(terms.payee);
            assertEq(got, paid, "X2: what the payee got is what is written");
            assertLe(got, terms.amount, "X2: above amount");
            assertTrue((status == 1) == (paid == terms.amount), "paid in full exactly when all is paid");
        }
    }

    function invariant_X3_T5_surplusToNobodyElse() public view {
        assertEq(token.balanceOf(handler.ATTACKER()), 0, "T5: attacker has the token");
        assertEq(other.balanceOf(handler.ATTACKER()), 0, "T5: attacker has the other token");
        assertEq(handler.ATTACKER().balance, 0, "T5: attacker has coin");
        assertEq(token.balanceOf(handler.SETTLER()), 0, "T5: settler has the token");
        assertEq(token.balanceOf(address(escrow)), 0, "the escrow holds the token");
        assertEq(other.balanceOf(address(escrow)), 0, "the escrow holds the other token");
        assertEq(address(escrow).balance, 0, "the escrow holds coin");
        for (uint256 i = 0; i < handler.invoices(); ++i) {
            InvoiceTerms memory terms = handler.termsOf(i);
            assertEq(other.balanceOf(terms.payee), 0, "X3: the payee has another token");
            assertEq(terms.payee.balance, 0, "X3: the payee has coin");
        }
    }

    function invariant_X10_endIsFinal() public view {
        for (uint256 i = 0; i < handler.invoices(); ++i) {
            Handler.Ledger memory ledger = handler.ledgerOf(i);
            if (!ledger.ended) continue;
            (uint128 paid, uint8 status, uint64 since) = escrow.stateOf(handler.hashOf(handler.termsOf(i)));
            assertEq(paid, ledger.endPaid, "X10: paid");
            assertEq(status, ledger.endStatus, "X10: status");
            assertEq(since, ledger.endSince, "X10: since");
        }
    }

    function invariant_X15_eventsFoldToTheState() public view {
        for (uint256 i = 0; i < handler.invoices(); ++i) {
            Handler.Ledger memory ledger = handler.ledgerOf(i);
            (uint128 paid, uint8 status, uint64 since) = escrow.stateOf(handler.hashOf(handler.termsOf(i)));
            assertEq(paid, ledger.paid, "X15: paid");
            assertEq(status, ledger.status, "X15: status");
            assertEq(since, ledger.since, "X15: since");
        }
    }

    function invariant_E4_noTraceAtAnyPurse() public view {
        for (uint256 i = 0; i < handler.invoices(); ++i) {
            address purse = handler.purseOf(handler.termsOf(i));
            assertEq(purse.code.length, 0, "E4: code");
            assertEq(vm.getNonce(purse), 0, "E4: nonce");
        }
    }

    /// @dev T4, at the end of each run: the keeper, the API and all keys are gone; a stranger brings everything back.
    function afterInvariant() public {
        vm.warp(block.timestamp + 400 days);
        address[3] memory tokens = [address(token), address(other), address(0)];
        for (uint256 i = 0; i < handler.invoices(); ++i) {
            InvoiceTerms memory terms = handler.termsOf(i);
            address purse = handler.purseOf(terms);
            for (uint256 k = 0; k < 3; ++k) {
                uint256 lies = tokens[k] == address(0) ? purse.balance : PlainToken(tokens[k]).balanceOf(purse);
                if (lies != 0) escrow.refund(terms, tokens[k]);
            }
            assertEq(token.balanceOf(purse) + other.balanceOf(purse) + purse.balance, 0, "T4: something is left");
        }
        invariant_X1_conservation();
        invariant_X2_neverPaidAboveAmount();
    }
}
