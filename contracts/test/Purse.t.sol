// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Purse} from "../src/Purse.sol";
import {IInvoiceEscrow, InvoiceTerms} from "../src/interfaces/IInvoiceEscrow.sol";
import {Tokens} from "../src/libraries/Tokens.sol";
import {EscrowTest} from "./base/EscrowTest.sol";
import {CallsBack, OddAnswers} from "./tokens/HostileTokens.sol";
import {PlainToken} from "./tokens/PlainToken.sol";

/// @notice How the purse runs, with tokens of every kind.
contract PurseTest is EscrowTest {
    function oddTerms(OddAnswers.Answer answer) private returns (InvoiceTerms memory terms, OddAnswers token) {
        token = new OddAnswers();
        token.setAnswer(answer);
        terms = exactTerms();
        terms.token = address(token);
        token.mint(purseOf(terms), AMOUNT);
    }

    function test_purse_acceptsOneNothingAndLongAnswersThatBeginWithOne() public {
        OddAnswers.Answer[4] memory good = [
            OddAnswers.Answer.One,
            OddAnswers.Answer.Nothing,
            OddAnswers.Answer.SixtyFourBytes,
            OddAnswers.Answer.Megabyte
        ];
        for (uint256 i = 0; i < good.length; ++i) {
            (InvoiceTerms memory terms, OddAnswers token) = oddTerms(good[i]);
            escrow.settle(terms);
            assertEq(token.balanceOf(payee), AMOUNT, "payee");
            assertGone(purseOf(terms));
        }
    }

    function test_purse_refusesAnythingElse() public {
        OddAnswers.Answer[5] memory bad = [
            OddAnswers.Answer.False,
            OddAnswers.Answer.Two,
            OddAnswers.Answer.OneByte,
            OddAnswers.Answer.RevertMegabyte,
            OddAnswers.Answer.RevertNothing
        ];
        for (uint256 i = 0; i < bad.length; ++i) {
            (InvoiceTerms memory terms, OddAnswers token) = oddTerms(bad[i]);
            (bool settled, bytes memory reason) = address(escrow).call(abi.encodeCall(escrow.settle, (terms)));
            assertTrue(!settled, "settled");
            assertEq(bytes32(bytes4(reason)), bytes32(Tokens.TransferFailed.selector), "reason");
            assertLe(reason.length, 400, "length of the reason");
            assertEq(token.balanceOf(purseOf(terms)), AMOUNT, "purse");
            assertState(terms, 0, 0, 0);
        }
    }

    function test_purse_tokenThatLostItsCodeMovesNothing() public {
        (InvoiceTerms memory terms, OddAnswers token) = oddTerms(OddAnswers.Answer.One);
        vm.etch(address(token), "");
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.InvalidToken.selector, address(token)));
        escrow.settle(terms);
        vm.warp(CLOSES_AT);
        vm.expectRevert(abi.encodeWithSelector(Tokens.BalanceUnreadable.selector, address(token)));
        escrow.refund(terms, address(token));
    }

    function testFuzz_purse_decimalsDoNotMatter(uint8 decimals, uint128 amount) public {
        PlainToken token = new PlainToken(decimals);
        InvoiceTerms memory terms = exactTerms();
        terms.token = address(token);
        terms.amount = uint128(bound(amount, 1, type(uint128).max));
        token.mint(purseOf(terms), terms.amount);
        escrow.settle(terms);
        assertEq(token.balanceOf(payee), terms.amount, "payee");
    }

    function test_purse_balancesAbove128BitsAreRefundedWhole() public {
        PlainToken token = new PlainToken(18);
        InvoiceTerms memory terms = exactTerms();
        terms.token = address(token);
        token.mint(purseOf(terms), type(uint256).max);
        escrow.settle(terms);
        assertEq(escrow.refund(terms, address(token)), type(uint256).max - AMOUNT, "the rest");
    }

    function test_order_isForTheRunningPurseOnly() public {
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.NotRunning.selector, stranger));
        vm.prank(stranger);
        escrow.order();
        // Not even for address zero, which is what "nobody is running" looks like: nobody can call from there.
        address purse = send(exactTerms(), AMOUNT);
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.NotRunning.selector, purse));
        vm.prank(purse);
        escrow.order();
    }

    /// @dev E3: a token asks for the order in the middle of a run.
    function test_order_isRefusedToATokenInTheMiddleOfARun() public {
        CallsBack token = new CallsBack();
        token.setCall(address(escrow), abi.encodeCall(escrow.order, ()));
        InvoiceTerms memory terms = exactTerms();
        terms.token = address(token);
        token.mint(purseOf(terms), AMOUNT);
        escrow.settle(terms);
        assertTrue(!token.calledBack(), "the token got the order");
        assertEq(
            keccak256(token.answer()),
            keccak256(abi.encodeWithSelector(IInvoiceEscrow.NotRunning.selector, address(token))),
            "reason"
        );
    }

    function test_purse_createdBySomebodyElseDoesNothing() public {
        vm.expectRevert(Purse.NoOrder.selector);
        new Purse();
    }

    /// @dev E5: a token calls back into every verb while one is at work.
    function test_E5_everyVerbIsShutWhileOneIsAtWork() public {
        CallsBack token = new CallsBack();
        InvoiceTerms memory terms = exactTerms();
        terms.token = address(token);
        InvoiceTerms memory other = partialTerms();
        send(other, AMOUNT);
        InvoiceTerms[] memory batch = new InvoiceTerms[](1);
        batch[0] = other;
        bytes[6] memory verbs = [
            abi.encodeCall(escrow.settle, (other)),
            abi.encodeCall(escrow.settleBatch, (batch, 100_000)),
            abi.encodeCall(escrow.pay, (other, 1)),
            abi.encodeCall(escrow.cancel, (other)),
            abi.encodeCall(escrow.refund, (other, address(usdc))),
            abi.encodeCall(escrow.refundByOrder, (other, orderFor(other, address(usdc), stranger), ""))
        ];
        for (uint256 i = 0; i < verbs.length; ++i) {
            token.setCall(address(escrow), verbs[i]);
            terms.invoiceId = bytes32(i);
            token.mint(purseOf(terms), AMOUNT + 1);
            escrow.settle(terms);
            assertReentered(token);
            escrow.refund(terms, address(token));
            assertReentered(token);
            terms.invoiceId = bytes32(100 + i);
            token.mint(payer, AMOUNT);
            vm.prank(payer);
            token.approve(address(escrow), AMOUNT);
            vm.prank(payer);
            escrow.pay(terms, AMOUNT);
            assertReentered(token);
        }
        assertState(other, 0, 0, 0);
        // Afterwards it is open again.
        escrow.settle(other);
    }

    function assertReentered(CallsBack token) private view {
        assertTrue(!token.calledBack(), "a verb ran inside a verb");
        assertEq(
            keccak256(token.answer()), keccak256(abi.encodeWithSelector(IInvoiceEscrow.Reentered.selector)), "reason"
        );
    }
}
