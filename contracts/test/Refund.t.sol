// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IInvoiceEscrow, InvoiceTerms, KIND_REFUND} from "../src/interfaces/IInvoiceEscrow.sol";
import {EscrowTest} from "./base/EscrowTest.sol";
import {TwoDoors} from "./tokens/HostileTokens.sol";
import {PlainToken} from "./tokens/PlainToken.sol";

contract RefundTest is EscrowTest {
    PlainToken internal other;

    function setUp() public override {
        super.setUp();
        other = new PlainToken(18);
    }

    function expectNotRefundable(InvoiceTerms memory terms, uint256 opensAt) internal {
        vm.expectRevert(
            abi.encodeWithSelector(IInvoiceEscrow.NotRefundable.selector, hashOf(terms), opensAt, currentTime())
        );
    }

    function currentTime() private view returns (uint256) {
        return block.timestamp;
    }

    function test_refund_atClosesAtByAnyone() public {
        InvoiceTerms memory terms = exactTerms();
        address purse = send(terms, AMOUNT - 1);
        vm.warp(CLOSES_AT);
        vm.expectEmit(true, true, true, true, address(escrow));
        emit IInvoiceEscrow.Recorded(hashOf(terms), address(usdc), customer, AMOUNT - 1, 0, 0, KIND_REFUND);
        vm.prank(stranger);
        assertEq(escrow.refund(terms, address(usdc)), AMOUNT - 1, "returned");
        assertEq(usdc.balanceOf(customer), AMOUNT - 1, "customer");
        assertState(terms, 0, 0, 0);
        assertGone(purse);
    }

    function test_X7_refundOfTheInvoiceTokenBeforeClosesAtReverts() public {
        InvoiceTerms memory terms = exactTerms();
        send(terms, AMOUNT - 1);
        expectNotRefundable(terms, CLOSES_AT);
        escrow.refund(terms, address(usdc));
        vm.warp(CLOSES_AT - 1);
        expectNotRefundable(terms, CLOSES_AT);
        escrow.refund(terms, address(usdc));
    }

    /// @dev At every second either settle or refund is possible, never both, never neither.
    function testFuzz_X7_settleXorRefund(uint256 timestamp) public {
        InvoiceTerms memory terms = exactTerms();
        vm.warp(bound(timestamp, NOW, CLOSES_AT + 400 days));
        send(terms, AMOUNT);
        (bool settled,) = address(escrow).call(abi.encodeCall(escrow.settle, (terms)));
        if (settled) send(terms, 0);
        assertEq(usdc.balanceOf(payee), block.timestamp < CLOSES_AT ? AMOUNT : 0, "payee");
        (bool refunded,) = address(escrow).call(abi.encodeCall(escrow.refund, (terms, address(usdc))));
        assertTrue(settled != refunded, "settle xor refund");
    }

    function test_refund_afterPaidAtOnce() public {
        InvoiceTerms memory terms = exactTerms();
        send(terms, AMOUNT + 7);
        escrow.settle(terms);
        assertEq(escrow.refund(terms, address(usdc)), 7, "excess");
        assertState(terms, AMOUNT, 1, NOW);
    }

    function test_refund_afterCancelAtOnce() public {
        InvoiceTerms memory terms = exactTerms();
        send(terms, AMOUNT);
        cancelAs(payee, terms);
        escrow.refund(terms, address(usdc));
        assertEq(usdc.balanceOf(customer), AMOUNT, "customer");
        assertEq(usdc.balanceOf(payee), 0, "payee");
    }

    function test_X10_refundAgainAndAgainChangesNothingButTheBalance() public {
        InvoiceTerms memory terms = exactTerms();
        send(terms, AMOUNT);
        escrow.settle(terms);
        for (uint256 i = 1; i <= 3; ++i) {
            send(terms, i);
            vm.warp(NOW + i * 365 days);
            escrow.refund(terms, address(usdc));
            assertState(terms, AMOUNT, 1, NOW);
            assertGone(purseOf(terms));
        }
        assertEq(usdc.balanceOf(customer), 6, "customer");
        assertEq(usdc.balanceOf(payee), AMOUNT, "payee");
    }

    function test_refund_ofNothingReverts() public {
        InvoiceTerms memory terms = exactTerms();
        vm.warp(CLOSES_AT);
        address[3] memory tokens = [address(usdc), address(other), address(0)];
        for (uint256 i = 0; i < tokens.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.NothingDue.selector, hashOf(terms)));
            escrow.refund(terms, tokens[i]);
        }
    }

    function test_refund_ofAnotherTokenAnyTime() public {
        InvoiceTerms memory terms = exactTerms();
        address purse = send(terms, AMOUNT);
        other.mint(purse, 5);
        escrow.refund(terms, address(other));
        assertEq(other.balanceOf(customer), 5, "customer");
        assertEq(usdc.balanceOf(purse), AMOUNT, "the invoice's token stays");
        escrow.settle(terms);
        assertEq(usdc.balanceOf(payee), AMOUNT, "payee");
    }

    function test_refund_ofNativeCoinAnyTime() public {
        InvoiceTerms memory terms = boundTerms(); // even where a refund key decides about tokens
        address purse = send(terms, AMOUNT);
        vm.deal(purse, 2 ether);
        vm.expectEmit(true, true, true, true, address(escrow));
        emit IInvoiceEscrow.Recorded(hashOf(terms), address(0), customer, 2 ether, 0, 0, KIND_REFUND);
        assertEq(escrow.refund(terms, address(0)), 2 ether, "returned");
        assertEq(customer.balance, 2 ether, "customer");
        assertEq(usdc.balanceOf(purse), AMOUNT, "the invoice's token stays");
        assertGone(purse);
    }

    function test_refund_ofATokenTakesNativeCoinAlong() public {
        InvoiceTerms memory terms = exactTerms();
        vm.deal(send(terms, AMOUNT), 3);
        vm.warp(CLOSES_AT);
        escrow.refund(terms, address(usdc));
        assertEq(customer.balance, 3, "coin");
        assertEq(usdc.balanceOf(customer), AMOUNT, "token");
    }

    function test_T4_refundOnTheWrongChainAnyTimeOfAnyToken() public {
        InvoiceTerms memory terms = exactTerms();
        vm.chainId(10);
        address purse = send(terms, AMOUNT);
        other.mint(purse, 5);
        vm.deal(purse, 1);
        escrow.refund(terms, address(usdc));
        escrow.refund(terms, address(other));
        assertEq(usdc.balanceOf(customer), AMOUNT, "invoice's token");
        assertEq(other.balanceOf(customer), 5, "another token");
        assertEq(customer.balance, 1, "coin");
    }

    /// @dev On another chain terms.token may be anything: it is never called unless it is what is moved.
    function test_refund_onTheWrongChainNeverCallsTheInvoiceToken() public {
        InvoiceTerms memory terms = exactTerms();
        terms.chain = 10;
        terms.token = address(new RevertsAlways());
        address purse = purseOf(terms);
        other.mint(purse, 5);
        escrow.refund(terms, address(other));
        assertEq(other.balanceOf(customer), 5, "customer");
        // Here it is, and cannot answer: what leaves the purse cannot be watched, so nothing leaves before closesAt.
        terms.chain = uint64(BASE);
        other.mint(purseOf(terms), 5);
        vm.expectRevert();
        escrow.refund(terms, address(other));
        vm.warp(CLOSES_AT);
        escrow.refund(terms, address(other));
        assertEq(other.balanceOf(customer), 10, "customer");
    }

    /// @dev Terms that could never be settled lock nothing up: each broken row alone, and all together.
    function testFuzz_T4_invalidTermsGiveBackAtOnce(uint256 rows) public {
        InvoiceTerms memory terms = exactTerms();
        rows = bound(rows, 1, 255);
        if (rows & 1 != 0) terms.version = 2;
        if (rows & 2 != 0) terms.chain = 1;
        if (rows & 4 != 0) terms.flags = 0x82;
        if (rows & 8 != 0) terms.amount = 0;
        if (rows & 16 != 0) terms.closesAt = type(uint64).max;
        if (rows & 32 != 0) terms.token = makeAddress("no contract");
        if (rows & 64 != 0) terms.payee = address(0);
        if (rows & 128 != 0) terms.refundTo = terms.token;
        address purse = send(terms, AMOUNT);
        escrow.refund(terms, address(usdc));
        assertEq(usdc.balanceOf(terms.refundTo), AMOUNT, "refundTo");
        assertGone(purse);
    }

    function test_refund_toZeroOrToTheEscrowReverts() public {
        InvoiceTerms memory terms = exactTerms();
        address[2] memory bad = [address(0), address(escrow)];
        for (uint256 i = 0; i < bad.length; ++i) {
            terms.refundTo = bad[i];
            send(terms, AMOUNT);
            vm.warp(CLOSES_AT);
            vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.InvalidRefundTo.selector, bad[i]));
            escrow.refund(terms, address(usdc));
        }
    }

    function test_refund_whereTheKeyDecidesWaitsThirtyDaysFromClosesAt() public {
        InvoiceTerms memory terms = boundTerms();
        send(terms, AMOUNT);
        uint256 opensAt = uint256(CLOSES_AT) + KEY_DECIDES_FOR;
        vm.warp(opensAt - 1);
        expectNotRefundable(terms, opensAt);
        escrow.refund(terms, address(usdc));
        vm.warp(opensAt);
        escrow.refund(terms, address(usdc));
        assertEq(usdc.balanceOf(customer), AMOUNT, "customer");
    }

    function test_refund_whereTheKeyDecidesWaitsThirtyDaysFromTheEnd() public {
        InvoiceTerms memory terms = boundTerms();
        send(terms, AMOUNT);
        vm.warp(NOW + 100);
        cancelAs(payee, terms);
        uint256 opensAt = NOW + 100 + KEY_DECIDES_FOR;
        expectNotRefundable(terms, opensAt);
        escrow.refund(terms, address(usdc));
        vm.warp(opensAt - 1);
        expectNotRefundable(terms, opensAt);
        escrow.refund(terms, address(usdc));
        vm.warp(opensAt);
        escrow.refund(terms, address(usdc));
        assertEq(usdc.balanceOf(customer), AMOUNT, "customer");
    }

    function test_refund_whereTheKeyDecidesOtherTokensWaitToo() public {
        InvoiceTerms memory terms = boundTerms();
        other.mint(purseOf(terms), 5);
        uint256 opensAt = uint256(CLOSES_AT) + KEY_DECIDES_FOR;
        expectNotRefundable(terms, opensAt);
        escrow.refund(terms, address(other));
        vm.warp(opensAt);
        escrow.refund(terms, address(other));
        assertEq(other.balanceOf(customer), 5, "customer");
    }

    function test_refund_whereTheKeyDecidesMoneyOnAnotherChainWaitsToo() public {
        InvoiceTerms memory terms = boundTerms();
        vm.chainId(10);
        send(terms, AMOUNT);
        uint256 opensAt = uint256(CLOSES_AT) + KEY_DECIDES_FOR;
        expectNotRefundable(terms, opensAt);
        escrow.refund(terms, address(usdc));
        vm.warp(opensAt);
        escrow.refund(terms, address(usdc));
        assertEq(usdc.balanceOf(customer), AMOUNT, "customer");
    }

    /// @dev No closesAt makes the sum wrap round and the refund open early.
    function testFuzz_refund_theWaitNeverWraps(uint64 closesAt) public {
        InvoiceTerms memory terms = boundTerms();
        terms.closesAt = closesAt;
        send(terms, AMOUNT);
        uint256 opensAt = uint256(closesAt) + KEY_DECIDES_FOR;
        if (block.timestamp < opensAt) expectNotRefundable(terms, opensAt);
        escrow.refund(terms, address(usdc));
        vm.warp(opensAt < type(uint64).max ? opensAt : type(uint64).max);
        if (block.timestamp >= opensAt && usdc.balanceOf(customer) == 0) escrow.refund(terms, address(usdc));
    }

    function test_refund_theGreatestClosesAtDoesNotWrap() public {
        InvoiceTerms memory terms = boundTerms();
        terms.closesAt = type(uint64).max;
        send(terms, AMOUNT);
        expectNotRefundable(terms, uint256(type(uint64).max) + KEY_DECIDES_FOR);
        escrow.refund(terms, address(usdc));
    }

    /// @dev The same token at two addresses: nobody takes what is kept for the payee out through the other door.
    function test_refund_twoDoorsCannotEmptyAnOpenInvoice() public {
        TwoDoors books = new TwoDoors();
        InvoiceTerms memory terms = exactTerms();
        terms.token = address(books.front());
        address purse = purseOf(terms);
        books.mint(purse, AMOUNT);
        address back = address(books.back());
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.InvoiceTokenMoved.selector, hashOf(terms), AMOUNT, 0));
        escrow.refund(terms, back);
        escrow.settle(terms);
        assertEq(books.balances(payee), AMOUNT, "payee");
        // What is more may leave by any door.
        books.mint(purse, 3);
        escrow.refund(terms, back);
        assertEq(books.balances(customer), 3, "customer");
    }

    function test_refund_twoDoorsAreOpenFromClosesAt() public {
        TwoDoors books = new TwoDoors();
        InvoiceTerms memory terms = exactTerms();
        terms.token = address(books.front());
        books.mint(purseOf(terms), AMOUNT);
        vm.warp(CLOSES_AT);
        escrow.refund(terms, address(books.back()));
        assertEq(books.balances(customer), AMOUNT, "customer");
    }

    function test_refund_ofSomethingThatIsNoTokenReverts() public {
        InvoiceTerms memory terms = exactTerms();
        address nothing = makeAddress("no contract");
        vm.expectRevert(abi.encodeWithSignature("BalanceUnreadable(address)", nothing));
        escrow.refund(terms, nothing);
    }

    function test_T5_refundGivesTheCallerNothing() public {
        InvoiceTerms memory terms = exactTerms();
        vm.deal(send(terms, AMOUNT), 5);
        vm.warp(CLOSES_AT);
        uint256 coin = stranger.balance;
        vm.prank(stranger);
        escrow.refund(terms, address(usdc));
        assertEq(usdc.balanceOf(stranger), 0, "token");
        assertLe(stranger.balance, coin, "coin");
    }

    function test_T1_refundOfForgedTermsMovesNothingOfTheRealOnes() public {
        InvoiceTerms memory terms = exactTerms();
        address purse = send(terms, AMOUNT);
        InvoiceTerms memory forged = exactTerms();
        forged.refundTo = stranger;
        vm.warp(CLOSES_AT);
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.NothingDue.selector, hashOf(forged)));
        escrow.refund(forged, address(usdc));
        assertEq(usdc.balanceOf(purse), AMOUNT, "purse");
    }
}

contract RevertsAlways {
    fallback() external {
        revert("no");
    }
}
