// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";

import {SettlementGate} from "../src/SettlementGate.sol";
import {IInvoiceEscrow, InvoiceTerms} from "../src/interfaces/IInvoiceEscrow.sol";
import {Authorization, Clearance, ISettlementGate} from "../src/interfaces/ISettlementGate.sol";
import {GateTest} from "./base/GateTest.sol";
import {OddAnswers} from "./tokens/HostileTokens.sol";
import {TakesAFee} from "./tokens/TaxedTokens.sol";

contract SettlementGateTest is GateTest {
    function gateTerms() private view returns (InvoiceTerms memory terms) {
        terms = exactTerms();
        terms.settler = address(gate);
    }

    function expectUnauthorized(address caller) private {
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, caller));
    }

    function expectNotClearer(address signer) private {
        vm.expectRevert(abi.encodeWithSelector(ISettlementGate.NotClearer.selector, signer));
    }

    /*//////////////////////////////////////////////////////////////
                                  ROLES
    //////////////////////////////////////////////////////////////*/

    function test_gate_aRoleTakenAwayIsGoneAtOnce() public {
        uint64 id = role("SETTLER");
        vm.prank(safe());
        manager.revokeRole(id, keeper);
        expectUnauthorized(keeper);
        vm.prank(keeper);
        gate.settleBatch(new InvoiceTerms[](0), GAS_PER_ITEM);
    }

    /// @dev G4: no role's key does another role's work, and who governs does none.
    function test_gate_rolesAreDisjoint() public {
        InvoiceTerms memory terms = gateTerms();
        Authorization memory authorization;
        address[6] memory all = [keeper, canceller, clearer, safe(), oncall, stranger];
        for (uint256 i = 0; i < all.length; ++i) {
            if (all[i] != keeper) {
                expectUnauthorized(all[i]);
                vm.prank(all[i]);
                gate.settleBatch(new InvoiceTerms[](0), GAS_PER_ITEM);
                expectUnauthorized(all[i]);
                vm.prank(all[i]);
                gate.fundAndSettle(authorization, terms);
            }
            if (all[i] != canceller) {
                expectUnauthorized(all[i]);
                vm.prank(all[i]);
                gate.cancel(terms);
            }
        }
    }

    function test_gate_needsAnEscrowAndAManager() public {
        vm.expectRevert(abi.encodeWithSelector(ISettlementGate.NotContract.selector, stranger));
        new SettlementGate(IInvoiceEscrow(stranger), address(manager), address(0), address(0), 1);
        vm.expectRevert(abi.encodeWithSelector(ISettlementGate.NotContract.selector, stranger));
        new SettlementGate(escrow, stranger, address(0), address(0), 1);
    }

    /*//////////////////////////////////////////////////////////////
                                  SETTLE
    //////////////////////////////////////////////////////////////*/

    function test_gate_settleBatchIsTheEscrowsCall() public pure {
        assertEq(
            bytes32(ISettlementGate.settleBatch.selector), bytes32(IInvoiceEscrow.settleBatch.selector), "selector"
        );
    }

    function test_gate_settleBatchWithAPoisonedItem() public {
        InvoiceTerms[] memory batch = new InvoiceTerms[](50);
        for (uint256 i = 0; i < 50; ++i) {
            batch[i] = gateTerms();
            batch[i].invoiceId = bytes32(i);
            if (i == 17) {
                OddAnswers poison = new OddAnswers();
                poison.setAnswer(OddAnswers.Answer.BurnGas);
                batch[i].token = address(poison);
                poison.mint(purseOf(batch[i]), AMOUNT);
            } else {
                send(batch[i], AMOUNT);
            }
        }
        vm.prank(keeper);
        gate.settleBatch(batch, GAS_PER_ITEM);
        assertEq(usdc.balanceOf(payee), 49 * AMOUNT, "payee");
        assertState(batch[17], 0, 0, 0);
    }

    function testFuzz_E9_gateLackOfGasNeverFailsAGoodItem(uint256 gas) public {
        InvoiceTerms[] memory batch = new InvoiceTerms[](3);
        for (uint256 i = 0; i < 3; ++i) {
            batch[i] = gateTerms();
            batch[i].invoiceId = bytes32(i);
            send(batch[i], AMOUNT);
        }
        gas = bound(gas, 30_000, 900_000);
        vm.prank(keeper);
        (bool done,) = address(gate).call{gas: gas}(abi.encodeCall(gate.settleBatch, (batch, GAS_PER_ITEM)));
        assertEq(usdc.balanceOf(payee), done ? 3 * AMOUNT : 0, "all or none");
    }

    function test_gate_passesOnTheEscrowsReason() public {
        InvoiceTerms[] memory batch = new InvoiceTerms[](1);
        batch[0] = gateTerms();
        vm.prank(keeper);
        (bool done, bytes memory reason) =
            address(gate).call{gas: 500_000}(abi.encodeCall(gate.settleBatch, (batch, 5_000_000)));
        assertTrue(!done, "done");
        assertEq(bytes32(bytes4(reason)), bytes32(IInvoiceEscrow.InsufficientGas.selector), "reason");
    }

    /*//////////////////////////////////////////////////////////////
                              FUND AND SETTLE
    //////////////////////////////////////////////////////////////*/

    function authorize(string memory who, address to, uint256 value, uint256 validBefore)
        private
        returns (Authorization memory authorization)
    {
        authorization = Authorization({
            from: makeAddress(who),
            value: value,
            validAfter: 0,
            validBefore: validBefore,
            nonce: bytes32("nonce"),
            signature: ""
        });
        bytes32 structHash = keccak256(
            abi.encode(
                usdc.TRANSFER_WITH_AUTHORIZATION_TYPEHASH(),
                authorization.from,
                to,
                value,
                0,
                validBefore,
                authorization.nonce
            )
        );
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", usdc.DOMAIN_SEPARATOR(), structHash));
        authorization.signature = sign(who, digest);
    }

    function submit(Authorization memory a, address to) private {
        usdc.transferWithAuthorization(a.from, to, a.value, a.validAfter, a.validBefore, a.nonce, a.signature);
    }

    function test_gate_fundAndSettleInOneCall() public {
        InvoiceTerms memory terms = gateTerms();
        fund(payer, AMOUNT);
        Authorization memory authorization = authorize("payer", escrow.escrowOf(terms), AMOUNT, NOW + 1 hours);
        vm.prank(keeper);
        assertEq(gate.fundAndSettle(authorization, terms), AMOUNT, "returned");
        assertEq(usdc.balanceOf(payee), AMOUNT, "payee");
        assertEq(usdc.balanceOf(payer), 0, "payer, who held no gas");
    }

    function test_gate_fundAndSettleGoesOnAfterAFrontRunner() public {
        InvoiceTerms memory terms = gateTerms();
        fund(payer, AMOUNT);
        address purse = escrow.escrowOf(terms);
        Authorization memory authorization = authorize("payer", purse, AMOUNT, NOW + 1 hours);
        vm.prank(stranger);
        submit(authorization, purse);
        vm.prank(keeper);
        gate.fundAndSettle(authorization, terms);
        assertEq(usdc.balanceOf(payee), AMOUNT, "payee");
    }

    function test_gate_fundAndSettleOfACancelledAuthorizationMovesNothing() public {
        InvoiceTerms memory terms = gateTerms();
        fund(payer, AMOUNT);
        Authorization memory authorization = authorize("payer", escrow.escrowOf(terms), AMOUNT, NOW + 1 hours);
        bytes32 structHash = keccak256(abi.encode(usdc.CANCEL_AUTHORIZATION_TYPEHASH(), payer, authorization.nonce));
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", usdc.DOMAIN_SEPARATOR(), structHash));
        usdc.cancelAuthorization(payer, authorization.nonce, sign("payer", digest));
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.NotFunded.selector, hashOf(terms), 0, AMOUNT));
        vm.prank(keeper);
        gate.fundAndSettle(authorization, terms);
        assertEq(usdc.balanceOf(payer), AMOUNT, "payer");
    }

    /// @dev T2: the payer signed one address; other terms have another.
    function test_T2_gateCannotUseAnAuthorizationForOtherTerms() public {
        InvoiceTerms memory terms = gateTerms();
        fund(payer, AMOUNT);
        Authorization memory authorization = authorize("payer", escrow.escrowOf(terms), AMOUNT, NOW + 1 hours);
        terms.payee = stranger;
        vm.expectRevert();
        vm.prank(keeper);
        gate.fundAndSettle(authorization, terms);
        assertEq(usdc.balanceOf(payer), AMOUNT, "payer");
    }

    function test_gate_fundAndSettleTakesNoAuthorizationBeyondTheShownExpiry() public {
        InvoiceTerms memory terms = gateTerms();
        uint256 latest = CLOSES_AT - 72 hours;
        fund(payer, AMOUNT);
        address purse = escrow.escrowOf(terms);
        Authorization memory authorization = authorize("payer", purse, AMOUNT, latest + 1);
        vm.expectRevert(abi.encodeWithSelector(ISettlementGate.AuthorizationTooLong.selector, latest + 1, latest));
        vm.prank(keeper);
        gate.fundAndSettle(authorization, terms);
        authorization = authorize("payer", purse, AMOUNT, latest);
        vm.prank(keeper);
        gate.fundAndSettle(authorization, terms);
        terms.closesAt = 5; // no wrap below zero
        vm.expectRevert(abi.encodeWithSelector(ISettlementGate.AuthorizationTooLong.selector, latest, 0));
        vm.prank(keeper);
        gate.fundAndSettle(authorization, terms);
    }

    function test_gate_fundAndSettleThatCannotSettleTakesNothing() public {
        InvoiceTerms memory terms = gateTerms();
        fund(payer, AMOUNT);
        Authorization memory authorization = authorize("payer", escrow.escrowOf(terms), AMOUNT - 1, NOW + 1 hours);
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.NotFunded.selector, hashOf(terms), AMOUNT - 1, AMOUNT));
        vm.prank(keeper);
        gate.fundAndSettle(authorization, terms);
        assertEq(usdc.balanceOf(payer), AMOUNT, "payer");
    }

    /// @dev A payer whose account is a contract signs in its own way (ERC-1271).
    function test_gate_fundAndSettleWithAContractsSignature() public {
        InvoiceTerms memory terms = gateTerms();
        SaysYes wallet = new SaysYes();
        fund(address(wallet), AMOUNT);
        Authorization memory authorization = Authorization({
            from: address(wallet),
            value: AMOUNT,
            validAfter: 0,
            validBefore: NOW + 1,
            nonce: bytes32("nonce"),
            signature: hex"c0ffee"
        });
        vm.prank(keeper);
        gate.fundAndSettle(authorization, terms);
        assertEq(usdc.balanceOf(payee), AMOUNT, "payee");
    }

    /*//////////////////////////////////////////////////////////////
                                  CANCEL
    //////////////////////////////////////////////////////////////*/

    function cancelNumber(uint256 i) private returns (bool done) {
        InvoiceTerms memory terms = gateTerms();
        terms.invoiceId = bytes32(i);
        terms.closesAt = NOW + 300 days;
        vm.prank(canceller);
        (done,) = address(gate).call(abi.encodeCall(gate.cancel, (terms)));
    }

    function test_gate_cancelEndsTheInvoice() public {
        vm.prank(canceller);
        gate.cancel(gateTerms());
        assertState(gateTerms(), 0, 2, NOW);
    }

    function test_gate_cancelsAreLimited() public {
        for (uint256 i = 0; i < CANCELS_PER_DAY; ++i) {
            assertTrue(cancelNumber(i), "within the limit");
        }
        InvoiceTerms memory terms = gateTerms();
        vm.expectRevert(abi.encodeWithSelector(ISettlementGate.TooManyCancels.selector, NOW + 1 hours, NOW));
        vm.prank(canceller);
        gate.cancel(terms);
        vm.warp(NOW + 1 hours - 1);
        assertTrue(!cancelNumber(1000), "a second early");
        vm.warp(NOW + 1 hours);
        assertTrue(cancelNumber(1001), "one more an hour");
        assertTrue(!cancelNumber(1002), "and no second");
        vm.warp(NOW + 100 days);
        for (uint256 i = 0; i < CANCELS_PER_DAY; ++i) {
            assertTrue(cancelNumber(2000 + i), "a long rest gives a day's worth");
        }
        assertTrue(!cancelNumber(3000), "and no more");
    }

    /// @dev In any 24 hours at most twice a day's worth: what was saved up and what came in.
    function testFuzz_gate_cancelsNeverExceedTheRate(uint16[40] calldata waits) public {
        uint256 done;
        uint256 now_ = NOW;
        for (uint256 i = 0; i < waits.length; ++i) {
            now_ += waits[i] % 4000;
            vm.warp(now_);
            for (uint256 k = 0; k < 3; ++k) {
                if (cancelNumber(i * 3 + k)) ++done;
            }
            assertLe(done, CANCELS_PER_DAY + (now_ - NOW) / 1 hours, "cancels");
        }
    }

    function test_gate_zeroCancelsPerDayMeansNone() public {
        gate = new SettlementGate(escrow, address(manager), address(0), address(0), 0);
        bytes4[] memory selectors = new bytes4[](1);
        selectors[0] = gate.cancel.selector;
        bytes memory call = abi.encodeCall(manager.setTargetFunctionRole, (address(gate), selectors, role("CANCELLER")));
        vm.prank(safe());
        manager.schedule(address(manager), call, 0);
        vm.warp(NOW + 7 days);
        vm.prank(safe());
        manager.execute(address(manager), call);
        vm.expectRevert(
            abi.encodeWithSelector(ISettlementGate.TooManyCancels.selector, type(uint256).max, block.timestamp)
        );
        vm.prank(canceller);
        gate.cancel(gateTerms());
    }

    function test_gate_aCancelThatFailsIsNotCounted() public {
        InvoiceTerms memory terms = gateTerms();
        terms.amount = 0;
        for (uint256 i = 0; i < CANCELS_PER_DAY + 5; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.InvalidAmount.selector, 0));
            vm.prank(canceller);
            gate.cancel(terms);
        }
        assertTrue(cancelNumber(1), "room is left");
    }

    /*//////////////////////////////////////////////////////////////
                                 PAY FROM
    //////////////////////////////////////////////////////////////*/

    function ready(address who, uint256 amount) private {
        fund(who, amount);
        vm.prank(who);
        usdc.approve(address(gate), type(uint256).max);
    }

    function assertNothingLeft() private view {
        assertEq(usdc.balanceOf(address(gate)), 0, "T3: the gate's balance");
        assertEq(usdc.allowance(address(gate), address(escrow)), 0, "T3: the gate's allowance");
    }

    function test_gate_payFromWithAClearance() public {
        InvoiceTerms memory terms = gateTerms();
        ready(payer, 2 * AMOUNT);
        Clearance memory clearance = clear(terms, payer, AMOUNT, NOW + 900, "clearer");
        vm.prank(payer);
        assertEq(gate.payFrom(terms, 2 * AMOUNT, clearance), AMOUNT, "what is due");
        assertEq(usdc.balanceOf(payee), AMOUNT, "payee");
        assertEq(usdc.balanceOf(payer), AMOUNT, "payer");
        assertNothingLeft();
    }

    function test_gate_payFromByTheMintGateNeedsNone() public {
        InvoiceTerms memory terms = gateTerms();
        ready(address(mintGate), AMOUNT);
        Clearance memory none;
        vm.prank(address(mintGate));
        gate.payFrom(terms, AMOUNT, none);
        assertEq(usdc.balanceOf(payee), AMOUNT, "payee");
        assertNothingLeft();
    }

    function test_gate_payFromWithoutAClearanceReverts() public {
        InvoiceTerms memory terms = gateTerms();
        ready(payer, AMOUNT);
        Clearance memory clearance = clear(terms, payer, AMOUNT, NOW + 900, "stranger");
        expectNotClearer(stranger);
        vm.prank(payer);
        gate.payFrom(terms, AMOUNT, clearance);
        clearance.signature = "";
        expectNotClearer(address(0));
        vm.prank(payer);
        gate.payFrom(terms, AMOUNT, clearance);
        // Not even if somebody made zero a clearer.
        uint64 id = role("CLEARER");
        vm.prank(safe());
        manager.grantRole(id, address(0), 0);
        expectNotClearer(address(0));
        vm.prank(payer);
        gate.payFrom(terms, AMOUNT, clearance);
    }

    function test_gate_aClearanceIsForOnePayerOneInvoiceAndOnce() public {
        InvoiceTerms memory terms = gateTerms();
        terms.flags = PARTIALS;
        ready(payer, AMOUNT);
        ready(stranger, AMOUNT);
        Clearance memory clearance = clear(terms, payer, 10, NOW + 900, "clearer");
        vm.expectRevert();
        vm.prank(stranger);
        gate.payFrom(terms, 10, clearance);
        InvoiceTerms memory another = terms;
        vm.prank(payer);
        gate.payFrom(terms, 10, clearance);
        vm.expectRevert();
        vm.prank(payer);
        gate.payFrom(terms, 10, clearance);
        another.invoiceId = keccak256("another");
        vm.expectRevert();
        vm.prank(payer);
        gate.payFrom(another, 10, clearance);
        assertEq(usdc.balanceOf(payee), 10, "payee");
    }

    function test_gate_payFromAboveTheClearanceReverts() public {
        InvoiceTerms memory terms = gateTerms();
        ready(payer, AMOUNT);
        Clearance memory clearance = clear(terms, payer, AMOUNT - 1, NOW + 900, "clearer");
        vm.expectRevert(abi.encodeWithSelector(ISettlementGate.AboveClearance.selector, AMOUNT, AMOUNT - 1));
        vm.prank(payer);
        gate.payFrom(terms, AMOUNT, clearance);
    }

    function test_gate_aClearanceHoldsFifteenMinutesAtMost() public {
        InvoiceTerms memory terms = gateTerms();
        ready(payer, AMOUNT);
        Clearance memory long = clear(terms, payer, AMOUNT, NOW + 901, "clearer");
        vm.expectRevert(abi.encodeWithSelector(ISettlementGate.InvalidClearanceTime.selector, NOW + 901, NOW));
        vm.prank(payer);
        gate.payFrom(terms, AMOUNT, long);
        Clearance memory clearance = clear(terms, payer, AMOUNT, NOW + 900, "clearer");
        vm.warp(NOW + 901);
        vm.expectRevert(abi.encodeWithSelector(ISettlementGate.InvalidClearanceTime.selector, NOW + 900, NOW + 901));
        vm.prank(payer);
        gate.payFrom(terms, AMOUNT, clearance);
        vm.warp(NOW + 900);
        vm.prank(payer);
        gate.payFrom(terms, AMOUNT, clearance);
    }

    function test_gate_payFromByThePayeeReverts() public {
        InvoiceTerms memory terms = gateTerms();
        ready(payee, AMOUNT);
        Clearance memory clearance = clear(terms, payee, AMOUNT, NOW + 900, "clearer");
        vm.expectRevert(abi.encodeWithSelector(ISettlementGate.PayerIsPayee.selector, payee));
        vm.prank(payee);
        gate.payFrom(terms, AMOUNT, clearance);
    }

    function test_gate_payFromOfAPaidInvoiceReverts() public {
        InvoiceTerms memory terms = gateTerms();
        ready(address(mintGate), 2 * AMOUNT);
        Clearance memory none;
        vm.prank(address(mintGate));
        gate.payFrom(terms, AMOUNT, none);
        vm.expectRevert(abi.encodeWithSelector(ISettlementGate.NothingDue.selector, hashOf(terms)));
        vm.prank(address(mintGate));
        gate.payFrom(terms, AMOUNT, none);
        assertEq(usdc.balanceOf(address(mintGate)), AMOUNT, "mint gate");
    }

    /// @dev T3: with a token that takes a fee, what lies at the gate by chance would pay the difference.
    function test_T3_gateNeverPaysFromWhatLiesThere() public {
        TakesAFee token = new TakesAFee();
        InvoiceTerms memory terms = gateTerms();
        terms.token = address(token);
        token.mint(address(gate), AMOUNT);
        token.mint(address(mintGate), AMOUNT);
        vm.prank(address(mintGate));
        token.approve(address(gate), AMOUNT);
        Clearance memory none;
        vm.expectRevert(
            abi.encodeWithSelector(
                ISettlementGate.GateBalanceChanged.selector, address(token), AMOUNT, AMOUNT - AMOUNT / 100
            )
        );
        vm.prank(address(mintGate));
        gate.payFrom(terms, AMOUNT, none);
    }

    function testFuzz_T5_gateTakesFromNobodyButTheCaller(address caller, uint256 amount) public {
        InvoiceTerms memory terms = gateTerms();
        ready(payer, AMOUNT);
        vm.assume(caller != payer && caller != makeAddress("proxy admin"));
        Clearance memory clearance = clear(terms, payer, AMOUNT, NOW + 900, "clearer");
        vm.prank(caller);
        (bool done,) = address(gate).call(abi.encodeCall(gate.payFrom, (terms, amount, clearance)));
        assertTrue(!done, "paid with the payer's money");
        assertEq(usdc.balanceOf(payer), AMOUNT, "payer");
    }

    /// @dev What a thief of every key of the gate can reach: payees get what they are due, customers their money back.
    function test_gate_allKeysStolenDivertNothing() public {
        InvoiceTerms memory one = gateTerms();
        InvoiceTerms memory two = gateTerms();
        two.invoiceId = keccak256("two");
        send(one, AMOUNT);
        send(two, AMOUNT);
        InvoiceTerms[] memory batch = new InvoiceTerms[](1);
        batch[0] = one;
        vm.prank(keeper);
        gate.settleBatch(batch, GAS_PER_ITEM);
        vm.prank(canceller);
        gate.cancel(two);
        escrow.refund(two, address(usdc));
        assertEq(usdc.balanceOf(payee), AMOUNT, "payee");
        assertEq(usdc.balanceOf(customer), AMOUNT, "customer");
    }
}

contract SaysYes {
    function isValidSignature(bytes32, bytes calldata) external pure returns (bytes4) {
        return this.isValidSignature.selector;
    }
}
