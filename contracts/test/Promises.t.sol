// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {InvoiceTerms} from "../src/interfaces/IInvoiceEscrow.sol";
import {EscrowTest} from "./base/EscrowTest.sol";
import {CallsBack} from "./tokens/HostileTokens.sol";

/// @notice Promises of the protocol's list that no single verb keeps, each by its id.
contract PromisesTest is EscrowTest {
    /// @notice There is nobody whose word changes an invoice that lives: the escrow's whole interface is its verbs and
    /// views, and none of the usual administrators' calls is answered.
    function test_X6_noOwnerNoPauseNoUpgrade() public {
        string[10] memory calls = [
            "owner()",
            "pause()",
            "unpause()",
            "upgradeTo(address)",
            "upgradeToAndCall(address,bytes)",
            "transferOwnership(address)",
            "setFee(uint256)",
            "grantRole(bytes32,address)",
            "initialize(address)",
            "rescueERC20(address,address,uint256)"
        ];
        for (uint256 i = 0; i < calls.length; ++i) {
            vm.prank(issuer);
            (bool answered,) = address(escrow).call(abi.encodePacked(bytes4(keccak256(bytes(calls[i]))), new bytes(96)));
            assertTrue(!answered, calls[i]);
        }
    }

    /// @notice With everybody of ours gone, anyone brings everything back with nothing but the terms: at closesAt, and
    /// where a key decides, 30 days later.
    function testFuzz_X8_anyoneBringsItBackWithTheTermsAlone(uint96 amount, bool keyDecides) public {
        vm.assume(amount > 0);
        InvoiceTerms memory terms = boundTerms();
        if (!keyDecides) terms.refundKey = address(0);
        address purse = send(terms, amount);
        vm.warp(CLOSES_AT + (keyDecides ? KEY_DECIDES_FOR : 0));
        vm.prank(stranger);
        escrow.refund(terms, address(usdc));
        assertEq(usdc.balanceOf(customer), amount, "X8: refundTo");
        assertEq(usdc.balanceOf(purse), 0, "X8: purse");
        assertGone(purse);
    }

    /// @notice Whatever is done to one invoice leaves state and money of its neighbour alone, down to a token that calls
    /// the escrow about the neighbour in the middle of a transfer.
    function testFuzz_X12_oneInvoiceNeverTouchesAnother(uint8 what, uint96 amount) public {
        InvoiceTerms memory terms = exactTerms();
        InvoiceTerms memory other = exactTerms();
        other.invoiceId = keccak256("another invoice");
        CallsBack token = new CallsBack();
        token.setCall(address(escrow), abi.encodeCall(escrow.settle, (other)));
        terms.token = address(token);
        token.mint(purseOf(terms), uint256(amount) + AMOUNT);
        address purse = send(other, AMOUNT);

        if (what % 3 == 0) {
            escrow.settle(terms);
        } else if (what % 3 == 1) {
            cancelAs(payee, terms);
            escrow.refund(terms, address(token));
        } else {
            cancelAs(payee, terms);
        }
        assertState(other, 0, 0, 0);
        assertEq(usdc.balanceOf(purse), AMOUNT, "X12: the neighbour's money");
        escrow.settle(other);
        assertEq(usdc.balanceOf(payee), AMOUNT, "X12: and its liveness");
    }

    /// @notice The same call again changes nothing: k submissions are one.
    function test_X14_submittingAgainChangesNothing() public {
        InvoiceTerms memory terms = exactTerms();
        address purse = send(terms, AMOUNT + 5);
        escrow.settle(terms);
        for (uint256 again = 0; again < 3; ++again) {
            vm.expectRevert();
            escrow.settle(terms);
            vm.prank(payee);
            vm.expectRevert();
            escrow.cancel(terms);
        }
        escrow.refund(terms, address(usdc));
        for (uint256 again = 0; again < 3; ++again) {
            vm.expectRevert();
            escrow.refund(terms, address(usdc));
        }
        assertState(terms, AMOUNT, 1, NOW);
        assertEq(usdc.balanceOf(payee), AMOUNT, "X14: payee");
        assertEq(usdc.balanceOf(customer), 5, "X14: refundTo");
        assertGone(purse);
    }

    /// @notice Money and coin that were there before anything of ours ran are settled and handed back.
    function test_E2_fundsBeforeTheFirstRunAndForcedCoinBlockNothing() public {
        InvoiceTerms memory terms = exactTerms();
        address purse = send(terms, AMOUNT);
        vm.deal(purse, 3);
        escrow.settle(terms);
        assertEq(usdc.balanceOf(payee), AMOUNT, "E2: payee");
        assertEq(customer.balance, 3, "E2: coin goes to refundTo");
        assertGone(purse);
    }

    /// @notice Nothing is left that could be used later: no allowance of the purse or the escrow after any verb.
    function test_E3_noAllowanceIsEverOutstanding() public {
        InvoiceTerms memory terms = partialTerms();
        address purse = send(terms, 10);
        escrow.settle(terms);
        fund(payer, 7);
        vm.prank(payer);
        usdc.approve(address(escrow), 7);
        vm.prank(payer);
        escrow.pay(terms, 7);
        address[4] memory spenders = [address(escrow), payee, customer, stranger];
        for (uint256 i = 0; i < spenders.length; ++i) {
            assertEq(usdc.allowance(purse, spenders[i]), 0, "E3: of the purse");
            assertEq(usdc.allowance(address(escrow), spenders[i]), 0, "E3: of the escrow");
        }
        assertEq(usdc.allowance(payer, address(escrow)), 0, "E3: what was approved was used");
    }

    /// @notice While the token moves, the books already say so: whoever calls back in the middle finds balance and state in
    /// agreement, and gets in nowhere.
    function test_E6_booksAndBalancesAgreeInTheMiddleOfATransfer() public {
        InvoiceTerms memory terms = partialTerms();
        CallsBack token = new CallsBack();
        terms.token = address(token);
        token.setCall(address(escrow), abi.encodeCall(escrow.stateOf, (hashOf(terms))));
        for (uint256 part = 1; part <= 3; ++part) {
            token.mint(purseOf(terms), 10);
            escrow.settle(terms);
            (uint128 paid,,) = abi.decode(token.answer(), (uint128, uint8, uint64));
            assertEq(paid, part * 10, "E6: state in the middle");
            assertEq(token.balanceOf(payee), part * 10, "E6: balance afterwards");
        }
    }

    /// @notice Blocks that share a second, and any number of blocks, change nothing: time is the timestamp.
    function testFuzz_E7_onlyTheTimestampIsTime(uint64 number, uint32 before) public {
        InvoiceTerms memory terms = exactTerms();
        send(terms, AMOUNT);
        vm.roll(number);
        vm.warp(CLOSES_AT - 1 - (before % 3 days));
        vm.expectRevert();
        escrow.refund(terms, address(usdc));
        vm.roll(uint256(number) + 5);
        escrow.settle(terms);
        assertEq(usdc.balanceOf(payee), AMOUNT, "E7: payee");
    }

    /// @notice One state per terms hash: the same terms are the same invoice, whoever brings them and however often.
    function testFuzz_T7_oneStatePerTermsHash(address caller, uint8 parts) public {
        vm.assume(caller != address(0));
        InvoiceTerms memory terms = partialTerms();
        uint256 count = uint256(parts) % 5 + 1;
        for (uint256 part = 1; part <= count; ++part) {
            send(terms, 10);
            settleAs(caller, terms);
            assertState(terms, part * 10, 0, 0);
        }
        InvoiceTerms memory other = partialTerms();
        other.invoiceId = keccak256("another invoice");
        assertState(other, 0, 0, 0);
    }
}
