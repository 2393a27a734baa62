// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {InvoiceTerms} from "../src/interfaces/IInvoiceEscrow.sol";
import {EscrowTest} from "./base/EscrowTest.sol";

/// @notice What things cost, as whole transactions (isolate = true). `snapshots/` keeps the numbers.
contract GasTest is EscrowTest {
    uint256 private constant GAS_PER_ITEM = 200_000;

    function setUp() public override {
        super.setUp();
        fund(payee, 1);
        fund(customer, 1);
    }

    function test_gas_transfersCostWhatCirclesDo() public {
        fund(payer, 1000);
        vm.prank(payer);
        usdc.transfer(payee, 10);
        uint256 toHolder = vm.snapshotGasLastCall("USDC transfer to a holder");
        vm.prank(payer);
        usdc.transfer(stranger, 10);
        uint256 toFresh = vm.snapshotGasLastCall("USDC transfer to a fresh address");
        // Circle's FiatTokenV2_2 behind its proxy: 44,819 and 61,919. Within 3 %.
        assertLe(toHolder, 46_163, "transfer to a holder");
        assertGe(toHolder, 43_475, "transfer to a holder");
        assertLe(toFresh, 63_776, "transfer to a fresh address");
        assertGe(toFresh, 60_062, "transfer to a fresh address");
    }

    function test_gas_settle() public {
        InvoiceTerms memory terms = exactTerms();
        send(terms, AMOUNT);
        escrow.settle(terms);
        vm.snapshotGasLastCall("settle");
    }

    function test_gas_settleWithExcess() public {
        InvoiceTerms memory terms = exactTerms();
        send(terms, AMOUNT + 1);
        escrow.settle(terms);
        vm.snapshotGasLastCall("settle, excess stays");
        escrow.refund(terms, address(usdc));
        vm.snapshotGasLastCall("late sweep");
    }

    function test_gas_refund() public {
        InvoiceTerms memory terms = exactTerms();
        send(terms, AMOUNT - 1);
        vm.warp(CLOSES_AT);
        escrow.refund(terms, address(usdc));
        vm.snapshotGasLastCall("refund at closesAt");
    }

    function test_gas_cancel() public {
        InvoiceTerms memory terms = exactTerms();
        vm.prank(payee);
        escrow.cancel(terms);
        vm.snapshotGasLastCall("cancel");
    }

    function test_gas_pay() public {
        InvoiceTerms memory terms = exactTerms();
        fund(payer, AMOUNT + 1);
        vm.prank(payer);
        usdc.approve(address(escrow), AMOUNT + 1);
        vm.prank(payer);
        escrow.pay(terms, AMOUNT);
        vm.snapshotGasLastCall("pay");
    }

    function test_gas_batch10() public {
        assertLe(_batch(10), 85_000, "settleBatch of 10, per invoice");
    }

    function test_gas_batch50() public {
        assertLe(_batch(50), 81_000, "settleBatch of 50, per invoice");
    }

    function test_gas_batch100() public {
        assertLe(_batch(100), 80_000, "settleBatch of 100, per invoice");
    }

    function _batch(uint256 n) private returns (uint256 perInvoice) {
        InvoiceTerms[] memory batch = new InvoiceTerms[](n);
        for (uint256 i = 0; i < n; ++i) {
            batch[i] = boundTerms();
            batch[i].invoiceId = keccak256(abi.encode(i));
            batch[i].refundTo = address(uint160(uint256(keccak256(abi.encode("customer", i)))));
            send(batch[i], AMOUNT);
        }
        vm.prank(settler);
        escrow.settleBatch(batch, GAS_PER_ITEM);
        uint256 total = vm.snapshotGasLastCall(string.concat("settleBatch of ", vm.toString(n), ", in total"));
        assertEq(usdc.balanceOf(payee), 1 + n * AMOUNT, "all settled");
        return total / n;
    }
}
