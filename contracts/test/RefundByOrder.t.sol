// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IInvoiceEscrow, InvoiceTerms, KIND_REFUND_BY_ORDER, RefundOrder} from "../src/interfaces/IInvoiceEscrow.sol";
import {EscrowTest} from "./base/EscrowTest.sol";
import {PlainToken} from "./tokens/PlainToken.sol";

contract RefundByOrderTest is EscrowTest {
    address internal elsewhere = makeAddress("elsewhere");

    function runOrder(InvoiceTerms memory terms, RefundOrder memory order) internal returns (uint256) {
        return escrow.refundByOrder(terms, order, sign("refundKey", digestOf(order)));
    }

    /// @dev A bound invoice that is cancelled with `amount` in its purse.
    function cancelled(uint256 amount) internal returns (InvoiceTerms memory terms) {
        terms = boundTerms();
        send(terms, amount);
        cancelAs(payee, terms);
    }

    function test_refundByOrder_sendsEverythingWhereTheKeySays() public {
        InvoiceTerms memory terms = cancelled(AMOUNT);
        RefundOrder memory order = orderFor(terms, address(usdc), elsewhere);
        bytes memory signature = sign("refundKey", digestOf(order));
        vm.expectEmit(true, true, true, true, address(escrow));
        emit IInvoiceEscrow.Recorded(hashOf(terms), address(usdc), elsewhere, AMOUNT, 0, 2, KIND_REFUND_BY_ORDER);
        vm.prank(stranger);
        assertEq(escrow.refundByOrder(terms, order, signature), AMOUNT, "returned");
        assertEq(usdc.balanceOf(elsewhere), AMOUNT, "order.to");
        assertGone(purseOf(terms));
    }

    function test_refundByOrder_needsNoSignatureFromTheKeyItself() public {
        InvoiceTerms memory terms = cancelled(AMOUNT);
        RefundOrder memory order = orderFor(terms, address(usdc), elsewhere);
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.NotRefundKey.selector, stranger, refundKey));
        vm.prank(stranger);
        escrow.refundByOrder(terms, order, "");
        vm.prank(refundKey);
        escrow.refundByOrder(terms, order, "");
        assertEq(usdc.balanceOf(elsewhere), AMOUNT, "order.to");
    }

    function test_refundByOrder_onceEach() public {
        InvoiceTerms memory terms = cancelled(AMOUNT);
        RefundOrder memory order = orderFor(terms, address(usdc), elsewhere);
        runOrder(terms, order);
        send(terms, 5);
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.OrderUsed.selector, digestOf(order)));
        runOrder(terms, order);
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.OrderUsed.selector, digestOf(order)));
        vm.prank(refundKey);
        escrow.refundByOrder(terms, order, "");
        order.nonce = 1;
        runOrder(terms, order);
        assertEq(usdc.balanceOf(elsewhere), AMOUNT + 5, "order.to");
    }

    function test_refundByOrder_anOrderThatMovedNothingIsNotUsedUp() public {
        InvoiceTerms memory terms = cancelled(1);
        RefundOrder memory first = orderFor(terms, address(usdc), elsewhere);
        first.nonce = 7;
        runOrder(terms, first);
        RefundOrder memory order = orderFor(terms, address(usdc), elsewhere);
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.NothingDue.selector, hashOf(terms)));
        runOrder(terms, order);
        send(terms, 5);
        runOrder(terms, order);
        assertEq(usdc.balanceOf(elsewhere), 6, "order.to");
    }

    function test_refundByOrder_deadlineIncluded() public {
        InvoiceTerms memory terms = cancelled(AMOUNT);
        RefundOrder memory order = orderFor(terms, address(usdc), elsewhere);
        vm.warp(order.deadline + 1);
        vm.expectRevert(
            abi.encodeWithSelector(IInvoiceEscrow.OrderExpired.selector, order.deadline, order.deadline + 1)
        );
        runOrder(terms, order);
        vm.warp(order.deadline);
        runOrder(terms, order);
    }

    function test_X7_refundByOrderOfTheInvoiceTokenWhileOpenReverts() public {
        InvoiceTerms memory terms = boundTerms();
        send(terms, AMOUNT);
        RefundOrder memory order = orderFor(terms, address(usdc), elsewhere);
        order.deadline = type(uint256).max;
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.NotRefundable.selector, hashOf(terms), CLOSES_AT, NOW));
        runOrder(terms, order);
        vm.warp(CLOSES_AT - 1);
        vm.expectRevert(
            abi.encodeWithSelector(IInvoiceEscrow.NotRefundable.selector, hashOf(terms), CLOSES_AT, CLOSES_AT - 1)
        );
        runOrder(terms, order);
        vm.warp(CLOSES_AT);
        runOrder(terms, order);
        assertEq(usdc.balanceOf(elsewhere), AMOUNT, "order.to");
    }

    function test_refundByOrder_ofAnotherTokenAnyTimeWithoutTheWait() public {
        InvoiceTerms memory terms = boundTerms();
        address purse = send(terms, AMOUNT);
        PlainToken other = new PlainToken(18);
        other.mint(purse, 9);
        runOrder(terms, orderFor(terms, address(other), elsewhere));
        assertEq(other.balanceOf(elsewhere), 9, "order.to");
        assertEq(usdc.balanceOf(purse), AMOUNT, "the invoice's token stays");
    }

    function test_refundByOrder_onTheWrongChainAnyTime() public {
        InvoiceTerms memory terms = boundTerms();
        vm.chainId(10);
        send(terms, AMOUNT);
        runOrder(terms, orderFor(terms, address(usdc), elsewhere));
        assertEq(usdc.balanceOf(elsewhere), AMOUNT, "order.to");
    }

    function test_refundByOrder_ofNativeCoinGoesToOrderTo() public {
        InvoiceTerms memory terms = boundTerms();
        vm.deal(send(terms, AMOUNT), 4);
        runOrder(terms, orderFor(terms, address(0), elsewhere));
        assertEq(elsewhere.balance, 4, "order.to");
        assertEq(usdc.balanceOf(purseOf(terms)), AMOUNT, "the invoice's token stays");
    }

    function test_refundByOrder_ofATokenSendsNativeCoinToRefundTo() public {
        InvoiceTerms memory terms = cancelled(AMOUNT);
        vm.deal(purseOf(terms), 4);
        runOrder(terms, orderFor(terms, address(usdc), elsewhere));
        assertEq(usdc.balanceOf(elsewhere), AMOUNT, "order.to");
        assertEq(customer.balance, 4, "refundTo");
    }

    function test_refundByOrder_whereThereIsNoKeyReverts() public {
        InvoiceTerms memory terms = exactTerms();
        send(terms, AMOUNT);
        cancelAs(payee, terms);
        RefundOrder memory order = orderFor(terms, address(usdc), stranger);
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.NoRefundKey.selector, hashOf(terms)));
        escrow.refundByOrder(terms, order, "");
        // An unrecoverable signature recovers to zero; that must not be the key zero.
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.NoRefundKey.selector, hashOf(terms)));
        escrow.refundByOrder(terms, order, new bytes(65));
    }

    function test_refundByOrder_ofOtherTermsReverts() public {
        InvoiceTerms memory terms = cancelled(AMOUNT);
        InvoiceTerms memory another = boundTerms();
        another.invoiceId = keccak256("another");
        RefundOrder memory order = orderFor(another, address(usdc), elsewhere);
        vm.expectRevert(
            abi.encodeWithSelector(IInvoiceEscrow.OrderForOtherTerms.selector, hashOf(another), hashOf(terms))
        );
        runOrder(terms, order);
    }

    function test_refundByOrder_toForbiddenAddressesReverts() public {
        InvoiceTerms memory terms = cancelled(AMOUNT);
        address[4] memory bad = [address(0), address(escrow), address(usdc), purseOf(terms)];
        for (uint256 i = 0; i < bad.length; ++i) {
            RefundOrder memory order = orderFor(terms, address(usdc), bad[i]);
            vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.InvalidOrderTo.selector, bad[i]));
            runOrder(terms, order);
        }
    }

    function test_refundByOrder_withInvalidRefundToReverts() public {
        InvoiceTerms memory terms = boundTerms();
        terms.refundTo = address(escrow);
        send(terms, AMOUNT);
        RefundOrder memory order = orderFor(terms, address(usdc), elsewhere);
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.InvalidRefundTo.selector, address(escrow)));
        runOrder(terms, order);
    }

    function test_E8_signatureOfSomebodyElseReverts() public {
        InvoiceTerms memory terms = cancelled(AMOUNT);
        RefundOrder memory order = orderFor(terms, address(usdc), stranger);
        bytes memory signature = sign("stranger", digestOf(order));
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.NotRefundKey.selector, stranger, refundKey));
        escrow.refundByOrder(terms, order, signature);
    }

    function test_E8_signatureOfAnotherChainOrContractReverts() public {
        InvoiceTerms memory terms = cancelled(AMOUNT);
        RefundOrder memory order = orderFor(terms, address(usdc), elsewhere);
        bytes memory otherChain = sign("refundKey", digestOf(order, 10, address(escrow)));
        bytes memory otherContract = sign("refundKey", digestOf(order, BASE, address(this)));
        vm.expectRevert();
        escrow.refundByOrder(terms, order, otherChain);
        vm.expectRevert();
        escrow.refundByOrder(terms, order, otherContract);
    }

    /// @dev The same terms, their money on two chains: one order moves it on one of them.
    function test_E8_orderOfThisChainIsWorthlessOnAnother() public {
        InvoiceTerms memory terms = cancelled(AMOUNT);
        RefundOrder memory order = orderFor(terms, address(usdc), elsewhere);
        bytes memory signature = sign("refundKey", digestOf(order));
        vm.chainId(10);
        vm.expectRevert();
        escrow.refundByOrder(terms, order, signature);
        vm.chainId(BASE);
        escrow.refundByOrder(terms, order, signature);
    }

    function test_E8_highSReverts() public {
        InvoiceTerms memory terms = cancelled(AMOUNT);
        RefundOrder memory order = orderFor(terms, address(usdc), elsewhere);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(keyOf("refundKey"), digestOf(order));
        uint256 n = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
        bytes memory twin = abi.encodePacked(r, bytes32(n - uint256(s)), v == 27 ? uint8(28) : uint8(27));
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.NotRefundKey.selector, address(0), refundKey));
        escrow.refundByOrder(terms, order, twin);
    }

    function test_E8_compactAndOddlyLongSignaturesRevert() public {
        InvoiceTerms memory terms = cancelled(AMOUNT);
        RefundOrder memory order = orderFor(terms, address(usdc), elsewhere);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(keyOf("refundKey"), digestOf(order));
        bytes[5] memory odd = [
            abi.encodePacked(r, bytes32(uint256(s) | (uint256(v - 27) << 255))), // EIP-2098
            abi.encodePacked(r, s, v, uint8(0)),
            abi.encodePacked(r, s, v - 27),
            abi.encodePacked(uint8(1)),
            new bytes(65)
        ];
        for (uint256 i = 0; i < odd.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.NotRefundKey.selector, address(0), refundKey));
            escrow.refundByOrder(terms, order, odd[i]);
        }
    }

    /// @dev Each field is under the signature: whoever carries an order cannot change a bit of it.
    function testFuzz_refundByOrder_everyFieldIsSigned(uint256 change, uint8 field) public {
        InvoiceTerms memory terms = cancelled(AMOUNT);
        vm.assume(change != 0);
        RefundOrder memory order = orderFor(terms, address(usdc), elsewhere);
        bytes memory signature = sign("refundKey", digestOf(order));
        field = field % 4;
        vm.assume(field >= 2 || uint160(change) != 0);
        if (field == 0) order.token = address(uint160(order.token) ^ uint160(change));
        if (field == 1) order.to = address(uint160(order.to) ^ uint160(change));
        if (field == 2) order.nonce ^= change;
        if (field == 3) order.deadline ^= change;
        (bool done,) = address(escrow).call(abi.encodeCall(escrow.refundByOrder, (terms, order, signature)));
        assertTrue(!done, "a changed order was carried out");
        assertEq(usdc.balanceOf(purseOf(terms)), AMOUNT, "purse");
    }
}
