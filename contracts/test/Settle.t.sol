// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IInvoiceEscrow, InvoiceTerms, KIND_SETTLE} from "../src/interfaces/IInvoiceEscrow.sol";
import {EscrowTest} from "./base/EscrowTest.sol";

contract SettleTest is EscrowTest {
    function test_settle_givesThePayeeExactlyTheAmountAndLeavesNoTrace() public {
        InvoiceTerms memory terms = exactTerms();
        address purse = send(terms, AMOUNT);
        assertEq(escrow.settle(terms), AMOUNT, "returned");
        assertEq(usdc.balanceOf(payee), AMOUNT, "payee");
        assertEq(usdc.balanceOf(purse), 0, "purse");
        assertState(terms, AMOUNT, 1, NOW);
        assertGone(purse);
    }

    function test_X15_settleRecordsWhatHappened() public {
        InvoiceTerms memory terms = exactTerms();
        send(terms, AMOUNT);
        vm.expectEmit(true, true, true, true, address(escrow));
        emit IInvoiceEscrow.Recorded(hashOf(terms), address(usdc), payee, AMOUNT, AMOUNT, 1, KIND_SETTLE);
        escrow.settle(terms);
    }

    function testFuzz_X9_settleDoesTheSameWhoeverCalls(address caller) public {
        vm.assume(caller != issuer && caller != makeAddress("proxy admin"));
        InvoiceTerms memory terms = exactTerms();
        address purse = send(terms, AMOUNT + 5);
        uint256 before = usdc.balanceOf(caller);
        settleAs(caller, terms);
        assertEq(usdc.balanceOf(payee), AMOUNT, "payee");
        assertEq(usdc.balanceOf(purse), 5, "excess");
        if (caller != payee) assertEq(usdc.balanceOf(caller), before, "T5: caller gains nothing");
    }

    function test_settle_boundSettlerOnly() public {
        InvoiceTerms memory terms = boundTerms();
        send(terms, AMOUNT);
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.NotSettler.selector, stranger, settler));
        settleAs(stranger, terms);
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.NotSettler.selector, payee, settler));
        settleAs(payee, terms);
        settleAs(settler, terms);
        assertEq(usdc.balanceOf(payee), AMOUNT, "payee");
    }

    function test_settle_exactTakesAllOrNothing() public {
        InvoiceTerms memory terms = exactTerms();
        address purse = send(terms, AMOUNT - 1);
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.NotFunded.selector, hashOf(terms), AMOUNT - 1, AMOUNT));
        escrow.settle(terms);
        assertState(terms, 0, 0, 0);
        send(terms, 1);
        escrow.settle(terms);
        assertEq(usdc.balanceOf(payee), AMOUNT, "payee");
        assertEq(usdc.balanceOf(purse), 0, "purse");
    }

    function test_settle_exactWithNothingThereIsNotFunded() public {
        InvoiceTerms memory terms = exactTerms();
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.NotFunded.selector, hashOf(terms), 0, AMOUNT));
        escrow.settle(terms);
    }

    function test_settle_partialsWithNothingThereIsNothingDue() public {
        InvoiceTerms memory terms = partialTerms();
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.NothingDue.selector, hashOf(terms)));
        escrow.settle(terms);
        assertState(terms, 0, 0, 0);
    }

    function test_settle_partialsArePassedOnUntilTheAmount() public {
        InvoiceTerms memory terms = partialTerms();
        address purse = send(terms, 1);
        escrow.settle(terms);
        assertState(terms, 1, 0, 0);
        assertGone(purse);

        send(terms, AMOUNT - 2);
        vm.warp(NOW + 1);
        escrow.settle(terms);
        assertState(terms, AMOUNT - 1, 0, 0);

        send(terms, 10);
        vm.warp(NOW + 2);
        assertEq(escrow.settle(terms), 1, "only what is due");
        assertState(terms, AMOUNT, 1, NOW + 2);
        assertEq(usdc.balanceOf(payee), AMOUNT, "X2: payee");
        assertEq(usdc.balanceOf(purse), 9, "X3: excess stays");
        assertGone(purse);
    }

    /// @dev The limit holds for every way to cut the money into payments (X2), and no unit is lost (X1).
    function testFuzz_X2_partialsNeverExceedTheAmount(uint128 amount, uint128[8] calldata payments) public {
        InvoiceTerms memory terms = partialTerms();
        terms.amount = uint128(bound(amount, 1, type(uint128).max));
        uint256 sent;
        for (uint256 i = 0; i < payments.length; ++i) {
            uint256 payment = bound(payments[i], 0, uint256(terms.amount) / 4 + 1);
            sent += payment;
            send(terms, payment);
            (bool settled,) = address(escrow).call(abi.encodeCall(escrow.settle, (terms)));
            uint256 toPayee = usdc.balanceOf(payee);
            assertLe(toPayee, terms.amount, "X2: paid above amount");
            assertEq(toPayee + usdc.balanceOf(purseOf(terms)), sent, "X1: conservation");
            (uint128 paid,,) = escrow.stateOf(hashOf(terms));
            assertEq(paid, toPayee, "paid is what the payee got");
            if (settled) assertGone(purseOf(terms));
        }
        assertEq(usdc.balanceOf(payee), sent < terms.amount ? sent : terms.amount, "all that is due");
    }

    function test_X3_excessStaysForRefund() public {
        InvoiceTerms memory terms = exactTerms();
        address purse = send(terms, AMOUNT + 1);
        escrow.settle(terms);
        assertEq(usdc.balanceOf(payee), AMOUNT, "payee");
        assertEq(usdc.balanceOf(purse), 1, "purse");
        assertEq(usdc.balanceOf(customer), 0, "settle sends nothing back");
        escrow.refund(terms, address(usdc));
        assertEq(usdc.balanceOf(customer), 1, "customer");
    }

    function test_X7_settleOneSecondBeforeClosesAt() public {
        InvoiceTerms memory terms = exactTerms();
        send(terms, AMOUNT);
        vm.warp(CLOSES_AT - 1);
        vm.expectRevert(
            abi.encodeWithSelector(IInvoiceEscrow.NotRefundable.selector, hashOf(terms), CLOSES_AT, CLOSES_AT - 1)
        );
        escrow.refund(terms, address(usdc));
        escrow.settle(terms);
        assertEq(usdc.balanceOf(payee), AMOUNT, "payee");
    }

    function test_X7_settleAtClosesAtReverts() public {
        InvoiceTerms memory terms = exactTerms();
        send(terms, AMOUNT);
        vm.warp(CLOSES_AT);
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.Closed.selector, hashOf(terms), CLOSES_AT, CLOSES_AT));
        escrow.settle(terms);
        escrow.refund(terms, address(usdc));
        assertEq(usdc.balanceOf(customer), AMOUNT, "customer");
    }

    function test_X10_settleAfterPaidReverts() public {
        InvoiceTerms memory terms = exactTerms();
        send(terms, AMOUNT);
        escrow.settle(terms);
        send(terms, AMOUNT);
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.NotOpen.selector, hashOf(terms), 1));
        escrow.settle(terms);
    }

    function test_X10_settleAfterCancelReverts() public {
        InvoiceTerms memory terms = exactTerms();
        send(terms, AMOUNT);
        cancelAs(payee, terms);
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.NotOpen.selector, hashOf(terms), 2));
        escrow.settle(terms);
    }

    function test_settle_onAnotherChainReverts() public {
        InvoiceTerms memory terms = exactTerms();
        send(terms, AMOUNT);
        vm.chainId(1);
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.WrongChain.selector, BASE, 1));
        escrow.settle(terms);
    }

    function test_settle_cannotBeBlockedByNativeCoinAtThePurse() public {
        InvoiceTerms memory terms = exactTerms();
        address purse = send(terms, AMOUNT);
        vm.deal(purse, 3 ether);
        escrow.settle(terms);
        assertEq(usdc.balanceOf(payee), AMOUNT, "payee");
        assertEq(customer.balance, 3 ether, "E2: coin goes to refundTo");
        assertGone(purse);
    }

    function test_settle_cannotBeBlockedByARefundToThatRefusesCoin() public {
        InvoiceTerms memory terms = exactTerms();
        terms.refundTo = address(new RefusesCoin());
        address purse = send(terms, AMOUNT);
        vm.deal(purse, 1);
        escrow.settle(terms);
        assertEq(usdc.balanceOf(payee), AMOUNT, "payee");
        assertEq(terms.refundTo.balance, 1, "coin goes there all the same");
    }

    function test_settle_cannotBeBlockedByABlacklistedRefundTo() public {
        InvoiceTerms memory terms = exactTerms();
        send(terms, AMOUNT + 1);
        vm.prank(issuer);
        usdc.blacklist(customer);
        escrow.settle(terms);
        assertEq(usdc.balanceOf(payee), AMOUNT, "payee");
    }

    function test_settle_failedTransferChangesNothingAndIsRetried() public {
        InvoiceTerms memory terms = exactTerms();
        send(terms, AMOUNT);
        vm.prank(issuer);
        usdc.blacklist(payee);
        vm.expectRevert();
        escrow.settle(terms);
        assertState(terms, 0, 0, 0);
        vm.prank(issuer);
        usdc.unBlacklist(payee);
        escrow.settle(terms);
        assertEq(usdc.balanceOf(payee), AMOUNT, "payee");
    }

    function test_settle_samePurseTwiceInOneTransactionReverts() public {
        InvoiceTerms memory terms = partialTerms();
        address purse = send(terms, 10);
        TwoRuns runs = new TwoRuns();
        fund(address(runs), 5);
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.AlreadyRan.selector, purse));
        runs.settleTwice(escrow, IToken(address(usdc)), purse, terms);
        // In two transactions it is fine.
        escrow.settle(terms);
        send(terms, 5);
        escrow.settle(terms);
        assertEq(usdc.balanceOf(payee), 15, "payee");
    }

    function test_settle_twoPursesInOneTransaction() public {
        InvoiceTerms memory one = exactTerms();
        InvoiceTerms memory two = exactTerms();
        two.invoiceId = keccak256("another");
        send(one, AMOUNT);
        send(two, AMOUNT);
        new TwoRuns().settleBoth(escrow, one, two);
        assertEq(usdc.balanceOf(payee), 2 * AMOUNT, "payee");
    }
}

contract RefusesCoin {
    receive() external payable {
        revert("no coin");
    }
}

interface IToken {
    function transfer(address to, uint256 amount) external returns (bool);
}

contract TwoRuns {
    function settleTwice(IInvoiceEscrow escrow, IToken token, address purse, InvoiceTerms calldata terms) external {
        escrow.settle(terms);
        token.transfer(purse, 5);
        escrow.settle(terms);
    }

    function settleBoth(IInvoiceEscrow escrow, InvoiceTerms calldata one, InvoiceTerms calldata two) external {
        escrow.settle(one);
        escrow.settle(two);
    }
}
