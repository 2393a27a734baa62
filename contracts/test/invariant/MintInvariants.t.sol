// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {IAttestedGate} from "../../src/interfaces/IAttestedGate.sol";
import {Test} from "../base/Test.sol";
import {MintHandler} from "./MintHandler.sol";

/// @notice What holds after any sequence of calls around the mint gate. For each invoice i:
///
///   R1  supply ≤ allocation after each mint
///   R3  a deposit mints at most once, a redemption burns at most once
///   R4  supply = Σ minted − Σ redeemed
///   T3  a gate has what was sent to it by mistake and what redemptions brought, and no allowances are left
///   X2  mintedᵢ ≤ paidᵢ ≤ amountᵢ
contract MintInvariantsTest is Test {
    MintHandler private handler;
    IAttestedGate private mintGate;
    address private gate;
    IERC20 private dollar;

    function setUp() public {
        handler = new MintHandler();
        handler.setUp();
        address token;
        (mintGate, gate, token) = handler.parts();
        dollar = IERC20(token);
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    /// @dev Not the helpers that the handler has from its base.
    function targetSelectors() public view returns (FuzzSelector[] memory targets) {
        bytes4[10] memory selectors = [
            MintHandler.mint.selector,
            MintHandler.mint.selector,
            MintHandler.redeem.selector,
            MintHandler.send.selector,
            MintHandler.sendRedemption.selector,
            MintHandler.settleOne.selector,
            MintHandler.dust.selector,
            MintHandler.attestAllocation.selector,
            MintHandler.wait.selector,
            MintHandler.cancel.selector
        ];
        targets = new FuzzSelector[](1);
        targets[0].addr = address(handler);
        targets[0].selectors = new bytes4[](12);
        for (uint256 i = 0; i < 10; ++i) {
            targets[0].selectors[i] = selectors[i];
        }
        targets[0].selectors[10] = MintHandler.pause.selector;
        targets[0].selectors[11] = MintHandler.mint.selector;
    }

    function invariant_R4_supplyIsMintedLessRedeemed() public view {
        assertEq(dollar.totalSupply(), handler.minted() - handler.redeemed(), "R4: supply");
        assertEq(mintGate.issued(), dollar.totalSupply(), "R4: issued");
    }

    function invariant_R1_noMintAboveTheAllocation() public view {
        assertEq(handler.overAllocation(), 0, "R1: mints above the allocation");
    }

    function invariant_X2_mintedForAnInvoiceNeverAboveItsAmount() public view {
        for (uint256 i = 0; i < handler.INVOICES(); ++i) {
            (uint128 paid,) = handler.stateOf(i);
            assertLe(handler.mintedFor(i), paid, "minted but not paid");
            assertLe(paid, handler.termsOf(i).amount, "X2: above the amount");
        }
    }

    function invariant_R3_depositsAndRedemptionsOnce() public view {
        for (uint256 i = 0; i < 24; ++i) {
            assertLe(handler.used(bytes32(i)), 1, "R3: a deposit twice");
        }
        for (uint256 i = 0; i < handler.INVOICES(); ++i) {
            assertLe(handler.redeemedFor(i), 1, "R3: a redemption twice");
        }
    }

    function invariant_T3_nothingRestsAtAGate() public view {
        uint256 waiting;
        for (uint256 i = 0; i < handler.INVOICES(); ++i) {
            if (handler.termsOf(i).payee != address(mintGate) || handler.redeemedFor(i) != 0) continue;
            (uint128 paid,) = handler.stateOf(i);
            waiting += paid;
        }
        assertEq(dollar.balanceOf(address(mintGate)), handler.dustAtMintGate() + waiting, "T3: at the mint gate");
        assertEq(dollar.balanceOf(gate), handler.dustAtGate(), "T3: at the settlement gate");
        address escrow = address(mintGate.ESCROW());
        assertEq(dollar.allowance(address(mintGate), gate), 0, "E3: mint gate to settlement gate");
        assertEq(dollar.allowance(address(mintGate), escrow), 0, "E3: mint gate to escrow");
        assertEq(dollar.allowance(gate, escrow), 0, "E3: settlement gate to escrow");
    }

    /// @dev What is checked above has happened: mints, redemptions, and both kinds of dust, in one run of many.
    function test_mintHandler_reachesWhatItIsFor() public {
        for (uint256 i = 0; i < 10; ++i) {
            handler.mint(i, 1, uint8(i), handler.termsOf(i).amount, uint8(2 + i % 2));
        }
        handler.dust(3, true);
        handler.dust(4, false);
        for (uint256 i = 0; i < 4; ++i) {
            handler.sendRedemption(i);
            handler.redeem(6 + i);
        }
        assertGe(handler.minted(), 1, "minted");
        assertGe(handler.redeemed(), 1, "redeemed");
        invariant_R4_supplyIsMintedLessRedeemed();
        invariant_T3_nothingRestsAtAGate();
        invariant_X2_mintedForAnInvoiceNeverAboveItsAmount();
    }
}
