// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IInvoiceEscrow, InvoiceTerms} from "../src/interfaces/IInvoiceEscrow.sol";
import {Authorization, Clearance} from "../src/interfaces/ISettlementGate.sol";
import {Terms} from "../src/libraries/Terms.sol";
import {GateTest} from "./base/GateTest.sol";
import {CallsBack} from "./tokens/HostileTokens.sol";

/// @notice Lets a test choose the purse.
contract TermsRules {
    function check(InvoiceTerms calldata terms, address purse) external view {
        Terms.mustBeValid(terms, purse);
    }
}

/// @notice What the measuring scripts cannot see otherwise: branches that no call of the contracts can reach
/// (`coverage.mjs`), and the lock of the gate, which Slither cannot read (`slither.mjs`).
contract BranchesTest is GateTest {
    TermsRules private rules;

    function setUp() public override {
        super.setUp();
        rules = new TermsRules();
    }

    /// @dev Terms that name their own address are a fixed point of keccak256, which nobody can make; the rule holds
    /// all the same.
    function test_terms_thatNameTheirOwnAddress() public {
        InvoiceTerms memory terms = exactTerms();
        rules.check(terms, purseOf(terms));
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.InvalidPayee.selector, terms.payee));
        rules.check(terms, terms.payee);
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.InvalidRefundTo.selector, terms.refundTo));
        rules.check(terms, terms.refundTo);
    }

    /// @dev E5 for the gate: a token that has every role calls back into every verb while one is at work.
    function test_E5_everyVerbOfTheGateIsShutWhileOneIsAtWork() public {
        CallsBack token = new CallsBack();
        uint64[2] memory roles = [role("SETTLER"), role("CANCELLER")];
        for (uint256 i = 0; i < 2; ++i) {
            vm.prank(safe());
            manager.grantRole(roles[i], address(token), 0);
        }

        InvoiceTerms memory other = exactTerms();
        other.settler = address(gate);
        send(other, AMOUNT);
        InvoiceTerms[] memory batch = new InvoiceTerms[](1);
        batch[0] = other;
        Authorization memory authorization;
        Clearance memory clearance;
        bytes[4] memory verbs = [
            abi.encodeCall(gate.settleBatch, (batch, 100_000)),
            abi.encodeCall(gate.fundAndSettle, (authorization, other)),
            abi.encodeCall(gate.cancel, (other)),
            abi.encodeCall(gate.payFrom, (other, 1, clearance))
        ];
        for (uint256 i = 0; i < verbs.length; ++i) {
            InvoiceTerms memory terms = exactTerms();
            terms.settler = address(gate);
            terms.token = address(token);
            terms.invoiceId = bytes32(i);
            token.setCall(address(gate), verbs[i]);
            token.mint(address(mintGate), AMOUNT);
            vm.prank(address(mintGate));
            token.approve(address(gate), AMOUNT);
            vm.prank(address(mintGate));
            gate.payFrom(terms, AMOUNT, clearance);
            assertShut(token);

            terms.invoiceId = bytes32(100 + i);
            token.mint(purseOf(terms), AMOUNT);
            batch[0] = terms;
            vm.prank(keeper);
            gate.settleBatch(batch, 500_000);
            assertState(terms, AMOUNT, 1, NOW);
            assertShut(token);
        }
    }

    function assertShut(CallsBack token) private view {
        assertTrue(!token.calledBack(), "a verb ran inside a verb");
        assertEq(
            keccak256(token.answer()),
            keccak256(abi.encodeWithSelector(bytes4(keccak256("ReentrancyGuardReentrantCall()")))),
            "reason"
        );
    }
}
