// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IInvoiceEscrow, InvoiceTerms} from "../src/interfaces/IInvoiceEscrow.sol";
import {InvoiceEscrow} from "../src/InvoiceEscrow.sol";
import {EscrowTest} from "./base/EscrowTest.sol";
import {Vm} from "./base/Vm.sol";
import {PlainToken} from "./tokens/PlainToken.sol";
import {OddAnswers} from "./tokens/HostileTokens.sol";

contract SettleBatchTest is EscrowTest {
    uint256 private constant GAS_PER_ITEM = 250_000;

    /// @dev `n` funded invoices of their own.
    function funded(uint256 n) private returns (InvoiceTerms[] memory batch) {
        batch = new InvoiceTerms[](n);
        for (uint256 i = 0; i < n; ++i) {
            batch[i] = exactTerms();
            batch[i].invoiceId = keccak256(abi.encode("batch", i));
            send(batch[i], AMOUNT);
        }
    }

    function settledOf(InvoiceTerms[] memory batch) private view returns (uint256 n) {
        for (uint256 i = 0; i < batch.length; ++i) {
            (, uint8 status,) = escrow.stateOf(hashOf(batch[i]));
            if (status == 1) ++n;
        }
    }

    function test_settleBatch_settlesAll() public {
        InvoiceTerms[] memory batch = funded(20);
        escrow.settleBatch(batch, GAS_PER_ITEM);
        assertEq(settledOf(batch), 20, "settled");
        assertEq(usdc.balanceOf(payee), 20 * AMOUNT, "payee");
        for (uint256 i = 0; i < batch.length; ++i) {
            assertGone(purseOf(batch[i]));
        }
    }

    function test_settleBatch_ofNothing() public {
        escrow.settleBatch(new InvoiceTerms[](0), GAS_PER_ITEM);
    }

    function test_settleBatch_aFailingItemFailsAloneAndSaysWhy() public {
        InvoiceTerms[] memory batch = funded(5);
        batch[0].invoiceId = keccak256("not funded");
        batch[2].amount = 0;
        batch[4].settler = settler;
        vm.recordLogs();
        escrow.settleBatch(batch, GAS_PER_ITEM);
        assertEq(settledOf(batch), 2, "settled");
        bytes[3] memory reasons = [
            abi.encodeWithSelector(IInvoiceEscrow.NotFunded.selector, hashOf(batch[0]), 0, AMOUNT),
            abi.encodeWithSelector(IInvoiceEscrow.InvalidAmount.selector, 0),
            abi.encodeWithSelector(IInvoiceEscrow.NotSettler.selector, address(this), settler)
        ];
        Vm.Log[] memory logs = vm.getRecordedLogs();
        uint256 failed;
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] != IInvoiceEscrow.SettleFailed.selector) continue;
            assertEq(logs[i].topics[1], hashOf(batch[failed * 2]), "which");
            assertEq(keccak256(abi.decode(logs[i].data, (bytes))), keccak256(reasons[failed]), "why");
            ++failed;
        }
        assertEq(failed, 3, "SettleFailed events");
    }

    function test_settleBatch_authorisesTheCallerOfTheBatchNotTheEscrowItself() public {
        InvoiceTerms[] memory batch = funded(2);
        for (uint256 i = 0; i < 2; ++i) {
            batch[i].settler = settler;
            send(batch[i], AMOUNT);
        }
        vm.prank(stranger);
        escrow.settleBatch(batch, GAS_PER_ITEM);
        assertEq(settledOf(batch), 0, "settled for a stranger");
        // The inner call comes from the escrow: that must not make it a settler either.
        batch[0].settler = address(escrow);
        send(batch[0], AMOUNT);
        escrow.settleBatch(batch, GAS_PER_ITEM);
        assertEq(settledOf(batch), 0, "settled as the escrow");
        vm.prank(settler);
        escrow.settleBatch(batch, GAS_PER_ITEM);
        assertEq(settledOf(batch), 1, "settled for the settler");
    }

    function test_settleBatch_itemsAreForTheEscrowItself() public {
        InvoiceTerms memory terms = boundTerms();
        send(terms, AMOUNT);
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.NotSelf.selector, stranger));
        vm.prank(stranger);
        escrow.settleItem(settler, terms);
    }

    function test_settleBatch_theSameItemTwiceSettlesOnce() public {
        InvoiceTerms[] memory batch = funded(2);
        batch[1] = batch[0];
        send(batch[0], AMOUNT);
        escrow.settleBatch(batch, GAS_PER_ITEM);
        assertEq(usdc.balanceOf(payee), AMOUNT, "payee");
    }

    function test_settleBatch_theSamePartialItemTwiceRunsOnce() public {
        InvoiceTerms[] memory batch = new InvoiceTerms[](2);
        batch[0] = partialTerms();
        batch[1] = partialTerms();
        send(batch[0], 5);
        escrow.settleBatch(batch, GAS_PER_ITEM);
        assertState(batch[0], 5, 0, 0);
    }

    /// @dev A token answers with a megabyte, reverts with one, or burns all gas: its own item fails, or settles.
    function test_settleBatch_hostileTokensCostTheirOwnItemOnly() public {
        for (uint8 a = uint8(OddAnswers.Answer.Megabyte); a <= uint8(OddAnswers.Answer.BurnGas); ++a) {
            InvoiceTerms[] memory batch = funded(3);
            OddAnswers hostile = new OddAnswers();
            hostile.setAnswer(OddAnswers.Answer(a));
            batch[1].token = address(hostile);
            hostile.mint(purseOf(batch[1]), AMOUNT);
            batch[0].invoiceId = keccak256(abi.encode("first", a));
            batch[2].invoiceId = keccak256(abi.encode("last", a));
            send(batch[0], AMOUNT);
            send(batch[2], AMOUNT);
            uint256 before = gasleft();
            escrow.settleBatch(batch, GAS_PER_ITEM);
            assertLe(before - gasleft(), 2_000_000, "gas of a batch with a hostile item");
            (, uint8 first,) = escrow.stateOf(hashOf(batch[0]));
            (, uint8 last,) = escrow.stateOf(hashOf(batch[2]));
            assertEq(first, 1, "the item before");
            assertEq(last, 1, "the item after");
        }
    }

    /// @dev E9: whatever gas the transaction has, the batch reverts as a whole or each good item settles.
    function testFuzz_E9_lackOfGasNeverFailsAGoodItem(uint256 gas) public {
        InvoiceTerms[] memory batch = funded(4);
        gas = bound(gas, 30_000, 1_400_000);
        (bool done,) = address(escrow).call{gas: gas}(abi.encodeCall(escrow.settleBatch, (batch, GAS_PER_ITEM)));
        assertEq(settledOf(batch), done ? 4 : 0, "all or none");
    }

    function test_E9_gasThatCannotBeGivenReverts() public {
        InvoiceTerms[] memory batch = funded(1);
        (bool done, bytes memory reason) =
            address(escrow).call{gas: 2_000_000}(abi.encodeCall(escrow.settleBatch, (batch, 3_000_000)));
        assertTrue(!done, "settled with gas that was not there");
        assertEq(bytes32(bytes4(reason)), bytes32(IInvoiceEscrow.InsufficientGas.selector), "reason");
    }

    /// @dev With `gasPerItem` just enough for the item, and ever more gas for the transaction: the batch reverts as a
    /// whole until the item settles. There is no amount of gas between with which the item fails and the batch does not.
    /// (A dear token, for with a cheap one the 1/64 that is left would not even do for the event.)
    function test_E9_anItemGetsAllItsGasOrTheBatchReverts() public {
        Dear token = new Dear();
        InvoiceTerms[] memory batch = new InvoiceTerms[](1);
        batch[0] = exactTerms();
        batch[0].token = address(token);
        token.mint(purseOf(batch[0]), AMOUNT);
        // What the item needs, to the last unit.
        uint256 needed = 100_000;
        for (uint256 step = 1 << 20; step > 0; step /= 2) {
            if (!wouldSettle(batch, 5_000_000, needed + step)) needed += step;
        }
        needed += 1;
        assertGe(needed, 600_000, "the token is not dear");
        uint256 settled;
        for (uint256 gas = needed; gas < needed + 60_000; gas += 211) {
            try this.tryBatch(batch, gas, needed) {}
            catch (bytes memory reason) {
                assertTrue(bytes4(reason) != NeverSettled.selector, "a good item failed for lack of gas");
                if (bytes4(reason) == Settled.selector) ++settled;
            }
        }
        assertGe(settled, 1, "with enough gas it settles");
    }

    error Settled();
    error NeverSettled();
    error Refused();

    function wouldSettle(InvoiceTerms[] memory batch, uint256 gas, uint256 gasPerItem) private returns (bool) {
        try this.tryBatch(batch, gas, gasPerItem) {}
        catch (bytes memory reason) {
            return bytes4(reason) == Settled.selector;
        }
        return false;
    }

    /// @dev Always reverts, so that nothing stays; says how it went.
    function tryBatch(InvoiceTerms[] calldata batch, uint256 gas, uint256 gasPerItem) external {
        (bool done,) = address(escrow).call{gas: gas}(abi.encodeCall(escrow.settleBatch, (batch, gasPerItem)));
        if (!done) revert Refused();
        (, uint8 status,) = escrow.stateOf(hashOf(batch[0]));
        if (status == 1) revert Settled();
        revert NeverSettled();
    }

    function test_settleBatch_tooLittleGasPerItemFailsItemsButLosesNothing() public {
        InvoiceTerms[] memory batch = funded(2);
        escrow.settleBatch(batch, 60_000);
        assertEq(settledOf(batch), 0, "settled");
        assertState(batch[0], 0, 0, 0);
        escrow.settleBatch(batch, GAS_PER_ITEM);
        assertEq(settledOf(batch), 2, "settled later");
    }

    /// @dev A field with bits above its type would be a second hash for the same terms.
    function test_settleBatch_malformedTermsRevert() public {
        InvoiceTerms[] memory batch = funded(1);
        bytes memory data = abi.encodeCall(escrow.settleBatch, (batch, GAS_PER_ITEM));
        // 4 selector, 3 head words, then the terms; refundKey is the ninth field.
        data[4 + 3 * 32 + 8 * 32] = 0x01;
        (bool done, bytes memory reason) = address(escrow).call(data);
        assertTrue(!done, "settled");
        assertEq(bytes32(bytes4(reason)), bytes32(IInvoiceEscrow.MalformedTerms.selector), "reason");
    }
}

/// @notice A token whose transfers cost as much as a poor design can make them.
contract Dear is PlainToken(18) {
    mapping(uint256 i => uint256) private _ballast;

    function _update(address from, address to, uint256 amount) internal override {
        super._update(from, to, amount);
        if (from == address(0)) return;
        for (uint256 i = 0; i < 30; ++i) {
            _ballast[uint256(keccak256(abi.encode(from, i)))] = amount;
        }
    }
}
