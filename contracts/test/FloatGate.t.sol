// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";

import {Deposit, IAttestedGate} from "../src/interfaces/IAttestedGate.sol";
import {IFloatGate} from "../src/interfaces/IFloatGate.sol";
import {InvoiceTerms} from "../src/interfaces/IInvoiceEscrow.sol";
import {GateTest} from "./base/GateTest.sol";

/// @notice What is different where the money comes from a float. The checks are those of MintAndPay.t.sol.
contract FloatGateTest is GateTest {
    function pay(InvoiceTerms memory terms, Deposit memory given) private {
        bytes[] memory by = signatures(floatGate, terms, given);
        vm.prank(stranger);
        floatGate.mintAndPay(terms, given, by);
    }

    function test_T3_floatGatePaysThePayeeFromItsFloat() public {
        InvoiceTerms memory terms = floatTerms();
        bytes[] memory by = signatures(floatGate, terms, deposit());
        vm.expectEmit(true, true, true, true, address(floatGate));
        emit IAttestedGate.Minted(hashOf(terms), deposit().depositId, address(usdc), AMOUNT);
        vm.prank(stranger);
        assertEq(floatGate.mintAndPay(terms, deposit(), by), AMOUNT, "paid");
        assertEq(usdc.balanceOf(payee), AMOUNT, "payee");
        assertEq(usdc.balanceOf(address(floatGate)), ALLOCATION - AMOUNT, "float");
        assertEq(floatGate.issued(), AMOUNT, "paid in total");
        assertNothingLeft(address(usdc), 0, 0);
        assertState(terms, AMOUNT, 1, NOW);
    }

    function test_floatGate_withoutASettler() public {
        InvoiceTerms memory terms = floatTerms();
        terms.settler = address(0);
        pay(terms, deposit());
        assertEq(usdc.balanceOf(payee), AMOUNT, "payee");
        assertNothingLeft(address(usdc), 0, 0);
    }

    function test_R3_floatGatePaysADepositOnce() public {
        pay(floatTerms(), deposit());
        InvoiceTerms memory terms = floatTerms();
        terms.invoiceId = keccak256("another");
        bytes[] memory by = signatures(floatGate, terms, deposit());
        vm.expectRevert(abi.encodeWithSelector(IAttestedGate.DepositUsed.selector, deposit().depositId));
        floatGate.mintAndPay(terms, deposit(), by);
    }

    function test_floatGate_aFloatThatIsTooSmallPaysNothing() public {
        vm.prank(address(floatGate));
        usdc.transfer(stranger, ALLOCATION - AMOUNT + 1);
        bytes[] memory by = signatures(floatGate, floatTerms(), deposit());
        vm.expectRevert(abi.encodeWithSelector(IFloatGate.FloatTooSmall.selector, AMOUNT - 1, AMOUNT));
        floatGate.mintAndPay(floatTerms(), deposit(), by);
        fund(address(floatGate), 1);
        floatGate.mintAndPay(floatTerms(), deposit(), by);
        assertEq(usdc.balanceOf(payee), AMOUNT, "payee");
    }

    /// @dev R1: all that was ever paid counts, however often the float is filled.
    function test_R1_floatGatePaysNoMoreThanItsAllocation() public {
        attest(floatGate, 2 * AMOUNT - 1);
        pay(floatTerms(), deposit());
        fund(address(floatGate), AMOUNT);
        InvoiceTerms memory terms = floatTerms();
        terms.invoiceId = keccak256("another");
        Deposit memory given = deposit();
        given.depositId = keccak256("second");
        bytes[] memory by = signatures(floatGate, terms, given);
        vm.expectRevert(abi.encodeWithSelector(IAttestedGate.AboveAllocation.selector, AMOUNT, AMOUNT, 2 * AMOUNT - 1));
        floatGate.mintAndPay(terms, given, by);
    }

    /// @dev A payee that the token blocks is not paid, and nothing of the deposit is used up.
    function test_floatGate_ofABlockedPayeeChangesNothing() public {
        vm.prank(issuer);
        usdc.blacklist(payee);
        bytes[] memory by = signatures(floatGate, floatTerms(), deposit());
        vm.expectRevert();
        floatGate.mintAndPay(floatTerms(), deposit(), by);
        assertTrue(!floatGate.depositUsed(deposit().depositId), "used");
        assertEq(usdc.balanceOf(address(floatGate)), ALLOCATION, "float");
    }

    function test_G1_floatIsWithdrawnByGovernanceOnlyAndAfterItsDelay() public {
        bytes memory call = abi.encodeCall(floatGate.withdraw, (stranger, AMOUNT));
        address[5] memory others = [stranger, keeper, oncall, canceller, clearer];
        for (uint256 i = 0; i < others.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, others[i]));
            vm.prank(others[i]);
            floatGate.withdraw(stranger, AMOUNT);
        }
        vm.expectRevert();
        vm.prank(safe());
        floatGate.withdraw(stranger, AMOUNT);

        vm.prank(safe());
        manager.schedule(address(floatGate), call, 0);
        vm.warp(NOW + 2 days - 1);
        vm.expectRevert();
        vm.prank(safe());
        floatGate.withdraw(stranger, AMOUNT);
        vm.warp(NOW + 2 days);
        vm.expectEmit(true, true, true, true, address(floatGate));
        emit IFloatGate.FloatWithdrawn(stranger, AMOUNT);
        vm.prank(safe());
        floatGate.withdraw(stranger, AMOUNT);
        assertEq(usdc.balanceOf(stranger), AMOUNT, "stranger");
    }

    function test_floatGate_aWithdrawalThatTheTokenRefusesReverts() public {
        bytes memory call = abi.encodeCall(floatGate.withdraw, (stranger, 2 * ALLOCATION));
        vm.prank(safe());
        manager.schedule(address(floatGate), call, 0);
        vm.warp(NOW + 2 days);
        vm.expectRevert();
        vm.prank(safe());
        floatGate.withdraw(stranger, 2 * ALLOCATION);
    }
}
