// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IInvoiceEscrow, InvoiceTerms, KIND_PAY} from "../src/interfaces/IInvoiceEscrow.sol";
import {EscrowTest} from "./base/EscrowTest.sol";

contract PayTest is EscrowTest {
    function setUp() public override {
        super.setUp();
        fund(payer, 10 * AMOUNT);
        vm.prank(payer);
        usdc.approve(address(escrow), type(uint256).max);
    }

    function payAs(address caller, InvoiceTerms memory terms, uint256 amount) private returns (uint256) {
        vm.prank(caller);
        return escrow.pay(terms, amount);
    }

    function test_pay_pullsFromTheCallerToThePayee() public {
        InvoiceTerms memory terms = exactTerms();
        vm.expectEmit(true, true, true, true, address(escrow));
        emit IInvoiceEscrow.Recorded(hashOf(terms), address(usdc), payee, AMOUNT, AMOUNT, 1, KIND_PAY);
        assertEq(payAs(payer, terms, AMOUNT), AMOUNT, "returned");
        assertEq(usdc.balanceOf(payee), AMOUNT, "payee");
        assertEq(usdc.balanceOf(payer), 9 * AMOUNT, "payer");
        assertEq(usdc.balanceOf(address(escrow)), 0, "the escrow holds nothing");
        assertState(terms, AMOUNT, 1, NOW);
    }

    function test_pay_amountIsACeiling() public {
        assertEq(payAs(payer, exactTerms(), 5 * AMOUNT), AMOUNT, "only what is due");
        assertEq(usdc.balanceOf(payer), 9 * AMOUNT, "payer");
    }

    function test_pay_exactTakesAllOrNothing() public {
        InvoiceTerms memory terms = exactTerms();
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.NotFunded.selector, hashOf(terms), AMOUNT - 1, AMOUNT));
        payAs(payer, terms, AMOUNT - 1);
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.NotFunded.selector, hashOf(terms), 0, AMOUNT));
        payAs(payer, terms, 0);
    }

    function test_pay_partials() public {
        InvoiceTerms memory terms = partialTerms();
        assertEq(payAs(payer, terms, 40), 40, "first");
        assertState(terms, 40, 0, 0);
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.NothingDue.selector, hashOf(terms)));
        payAs(payer, terms, 0);
        assertEq(payAs(payer, terms, AMOUNT), AMOUNT - 40, "the rest");
        assertState(terms, AMOUNT, 1, NOW);
    }

    function test_pay_mixesWithSettle() public {
        InvoiceTerms memory terms = partialTerms();
        address purse = send(terms, 100);
        escrow.settle(terms);
        send(terms, 30);
        assertEq(payAs(payer, terms, AMOUNT), AMOUNT - 100, "what lies in the purse is not counted");
        assertEq(usdc.balanceOf(payee), AMOUNT, "X2: payee");
        assertEq(usdc.balanceOf(purse), 30, "it became excess");
        escrow.refund(terms, address(usdc));
        assertEq(usdc.balanceOf(customer), 30, "and goes back");
    }

    function test_pay_byThePayeeReverts() public {
        fund(payee, AMOUNT);
        vm.prank(payee);
        usdc.approve(address(escrow), AMOUNT);
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.PayerIsPayee.selector, payee));
        payAs(payee, exactTerms(), AMOUNT);
    }

    function test_pay_boundSettlerOnly() public {
        InvoiceTerms memory terms = boundTerms();
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.NotSettler.selector, payer, settler));
        payAs(payer, terms, AMOUNT);
        fund(settler, AMOUNT);
        vm.prank(settler);
        usdc.approve(address(escrow), AMOUNT);
        payAs(settler, terms, AMOUNT);
        assertEq(usdc.balanceOf(payee), AMOUNT, "payee");
    }

    /// @dev The payer's unlimited allowance is of no use to anyone but the payer.
    function testFuzz_T5_payNeverTakesFromAnyoneButTheCaller(address caller, address forgedPayee) public {
        vm.assume(caller != payer && caller != makeAddress("proxy admin") && caller != address(0));
        vm.assume(usdc.balanceOf(caller) == 0);
        InvoiceTerms memory terms = exactTerms();
        terms.payee = forgedPayee;
        vm.prank(caller);
        (bool paid,) = address(escrow).call(abi.encodeCall(escrow.pay, (terms, AMOUNT)));
        assertTrue(!paid, "paid with nobody's money");
        assertEq(usdc.balanceOf(payer), 10 * AMOUNT, "payer");
    }

    function test_X7_payAtClosesAtReverts() public {
        InvoiceTerms memory terms = exactTerms();
        vm.warp(CLOSES_AT);
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.Closed.selector, hashOf(terms), CLOSES_AT, CLOSES_AT));
        payAs(payer, terms, AMOUNT);
        vm.warp(CLOSES_AT - 1);
        payAs(payer, terms, AMOUNT);
    }

    function test_X10_payAfterPaidOrCancelledReverts() public {
        InvoiceTerms memory terms = exactTerms();
        payAs(payer, terms, AMOUNT);
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.NotOpen.selector, hashOf(terms), 1));
        payAs(payer, terms, AMOUNT);
        terms.invoiceId = keccak256("cancelled");
        cancelAs(payee, terms);
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.NotOpen.selector, hashOf(terms), 2));
        payAs(payer, terms, AMOUNT);
    }

    function test_pay_ofAnotherChainsTermsReverts() public {
        InvoiceTerms memory terms = exactTerms();
        terms.chain = 1;
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.WrongChain.selector, 1, BASE));
        payAs(payer, terms, AMOUNT);
    }

    function test_pay_failedTransferChangesNothing() public {
        InvoiceTerms memory terms = exactTerms();
        vm.prank(payer);
        usdc.approve(address(escrow), AMOUNT - 1);
        vm.expectRevert();
        payAs(payer, terms, AMOUNT);
        assertState(terms, 0, 0, 0);
    }
}
