// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IInvoiceEscrow, InvoiceTerms} from "../src/interfaces/IInvoiceEscrow.sol";
import {Terms} from "../src/libraries/Terms.sol";
import {EscrowTest} from "./base/EscrowTest.sol";

/// @notice Lets a test choose the purse.
contract TermsRules {
    function check(InvoiceTerms calldata terms, address purse) external view {
        Terms.mustBeValid(terms, purse);
    }
}

/// @notice Branches that no call of the contracts can reach in a test, so that `coverage.mjs` sees them taken.
contract BranchesTest is EscrowTest {
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
}
