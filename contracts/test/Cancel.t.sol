// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IInvoiceEscrow, InvoiceTerms, KIND_CANCEL} from "../src/interfaces/IInvoiceEscrow.sol";
import {EscrowTest} from "./base/EscrowTest.sol";

contract CancelTest is EscrowTest {
    function test_cancel_byPayee() public {
        InvoiceTerms memory terms = boundTerms();
        vm.expectEmit(true, true, true, true, address(escrow));
        emit IInvoiceEscrow.Recorded(hashOf(terms), address(usdc), address(0), 0, 0, 2, KIND_CANCEL);
        cancelAs(payee, terms);
        assertState(terms, 0, 2, NOW);
    }

    function test_cancel_bySettler() public {
        cancelAs(settler, boundTerms());
        assertState(boundTerms(), 0, 2, NOW);
    }

    function test_cancel_byAnyoneElseReverts() public {
        InvoiceTerms memory terms = boundTerms();
        address[4] memory others = [stranger, customer, refundKey, payer];
        for (uint256 i = 0; i < others.length; ++i) {
            vm.expectRevert(
                abi.encodeWithSelector(IInvoiceEscrow.NotPayeeNorSettler.selector, others[i], payee, settler)
            );
            cancelAs(others[i], terms);
        }
    }

    function test_cancel_withoutSettlerIsThePayeesAlone() public {
        InvoiceTerms memory terms = exactTerms();
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.NotPayeeNorSettler.selector, stranger, payee, address(0)));
        cancelAs(stranger, terms);
        cancelAs(payee, terms);
    }

    function test_cancel_keepsWhatThePayeeGot() public {
        InvoiceTerms memory terms = partialTerms();
        send(terms, 70);
        escrow.settle(terms);
        send(terms, 30);
        cancelAs(payee, terms);
        assertState(terms, 70, 2, NOW);
        escrow.refund(terms, address(usdc));
        assertEq(usdc.balanceOf(payee), 70, "payee");
        assertEq(usdc.balanceOf(customer), 30, "customer");
        assertState(terms, 70, 2, NOW);
    }

    function test_X10_cancelAfterPaidReverts() public {
        InvoiceTerms memory terms = exactTerms();
        send(terms, AMOUNT);
        escrow.settle(terms);
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.NotOpen.selector, hashOf(terms), 1));
        cancelAs(payee, terms);
    }

    function test_X10_cancelTwiceReverts() public {
        InvoiceTerms memory terms = exactTerms();
        cancelAs(payee, terms);
        vm.warp(NOW + 5);
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.NotOpen.selector, hashOf(terms), 2));
        cancelAs(payee, terms);
        assertState(terms, 0, 2, NOW);
    }

    function test_X7_cancelAtClosesAtReverts() public {
        InvoiceTerms memory terms = exactTerms();
        vm.warp(CLOSES_AT);
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.Closed.selector, hashOf(terms), CLOSES_AT, CLOSES_AT));
        cancelAs(payee, terms);
        vm.warp(CLOSES_AT - 1);
        cancelAs(payee, terms);
    }

    function test_cancel_ofAnotherChainsTermsReverts() public {
        InvoiceTerms memory terms = exactTerms();
        terms.chain = 1;
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.WrongChain.selector, 1, BASE));
        cancelAs(payee, terms);
    }

    function test_cancel_ofInvalidTermsReverts() public {
        InvoiceTerms memory terms = exactTerms();
        terms.amount = 0;
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.InvalidAmount.selector, 0));
        cancelAs(payee, terms);
    }

    /// @dev A forger names himself payee or settler in a copy of real terms and cancels that.
    function testFuzz_T1_cancelOfForgedTermsLeavesTheRealOnesAlone(address forger, bool asSettler) public {
        InvoiceTerms memory terms = boundTerms();
        vm.assume(forger != address(0) && forger != payee && forger != settler && forger != address(usdc));
        vm.assume(forger != address(escrow));
        InvoiceTerms memory forged = boundTerms();
        if (asSettler) forged.settler = forger;
        else forged.payee = forger;
        cancelAs(forger, forged);
        assertState(terms, 0, 0, 0);
        send(terms, AMOUNT);
        settleAs(settler, terms);
        assertEq(usdc.balanceOf(payee), AMOUNT, "payee");
    }
}
