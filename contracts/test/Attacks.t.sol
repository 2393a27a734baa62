// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {InvoiceEscrow} from "../src/InvoiceEscrow.sol";
import {Purse} from "../src/Purse.sol";
import {IInvoiceEscrow, InvoiceTerms, RefundOrder} from "../src/interfaces/IInvoiceEscrow.sol";
import {EscrowTest} from "./base/EscrowTest.sol";
import {PlainToken} from "./tokens/PlainToken.sol";
import {CallsBack} from "./tokens/HostileTokens.sol";
import {IReceiver, Rebases, RevertsOnZero, TakesAFee, TellsReceivers} from "./tokens/TaxedTokens.sol";
import {TestUSDC} from "./tokens/TestUSDC.sol";

/// @notice The attacks and edge cases of our research (onchain.md §6), under their numbers. Those that are only a
/// combination of promises tested elsewhere are here all the same, told as the attack.
contract AttacksTest is EscrowTest {
    /*//////////////////////////////////////////////////////////////
                                 FUNDING
    //////////////////////////////////////////////////////////////*/

    function test_attack01_dustSpamDelaysNothing() public {
        InvoiceTerms memory terms = exactTerms();
        address purse = purseOf(terms);
        fund(stranger, 200);
        for (uint256 i = 0; i < 200; ++i) {
            vm.prank(stranger);
            usdc.transfer(purse, 1);
        }
        send(terms, AMOUNT);
        escrow.settle(terms);
        assertEq(usdc.balanceOf(payee), AMOUNT, "payee");
        assertEq(escrow.refund(terms, address(usdc)), 200, "the dust goes back in one go");
    }

    function test_attack02_oneShortOneOverExactlyAndNothing() public {
        int8[4] memory off = [int8(-1), 1, 0, -128];
        for (uint256 i = 0; i < 4; ++i) {
            InvoiceTerms memory terms = exactTerms();
            terms.invoiceId = bytes32(i);
            uint256 amount = off[i] == -128 ? 0 : uint256(int256(uint256(AMOUNT)) + off[i]);
            send(terms, amount);
            uint256 before = usdc.balanceOf(payee);
            (bool settled,) = address(escrow).call(abi.encodeCall(escrow.settle, (terms)));
            assertTrue(settled == (amount >= AMOUNT), "settles from the amount on");
            assertEq(usdc.balanceOf(payee) - before, settled ? AMOUNT : 0, "payee");
        }
    }

    function test_attack03_twoPayersRaceForTheLastUnit() public {
        InvoiceTerms memory terms = partialTerms();
        send(terms, AMOUNT - 1);
        escrow.settle(terms);
        fund(stranger, 1);
        vm.prank(stranger);
        usdc.approve(address(escrow), 1);
        send(terms, 1);
        // The direct payer is first; the other's unit is excess.
        vm.prank(stranger);
        escrow.pay(terms, 1);
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.NotOpen.selector, hashOf(terms), 1));
        escrow.settle(terms);
        assertEq(usdc.balanceOf(payee), AMOUNT, "payee");
        assertEq(escrow.refund(terms, address(usdc)), 1, "the late unit goes back");
    }

    function test_attack04_payingTwiceGivesTheSecondBack() public {
        InvoiceTerms memory terms = exactTerms();
        send(terms, AMOUNT);
        send(terms, AMOUNT);
        escrow.settle(terms);
        assertEq(usdc.balanceOf(payee), AMOUNT, "payee");
        assertEq(escrow.refund(terms, address(usdc)), AMOUNT, "customer");
    }

    function test_attack05_manyPartialsWithTriggersBetweenCostThePayeeNothing() public {
        InvoiceTerms memory terms = partialTerms();
        for (uint256 i = 0; i < 30; ++i) {
            send(terms, AMOUNT / 30);
            settleAs(stranger, terms);
        }
        assertEq(usdc.balanceOf(payee), AMOUNT, "payee");
        assertState(terms, AMOUNT, 1, NOW);
    }

    function test_attack06_moneyAfterTheEndGoesBackAYearLaterToo() public {
        InvoiceTerms memory terms = exactTerms();
        uint64[3] memory moments = [CLOSES_AT, CLOSES_AT + 1, CLOSES_AT + 365 days];
        for (uint256 i = 0; i < 3; ++i) {
            vm.warp(moments[i]);
            send(terms, AMOUNT);
            vm.expectRevert();
            escrow.settle(terms);
            escrow.refund(terms, address(usdc));
        }
        assertEq(usdc.balanceOf(customer), 3 * AMOUNT, "customer");
        assertEq(usdc.balanceOf(payee), 0, "payee");
    }

    function test_attack07_wrongTokenLookAlikeAndNativeCoinPayNothingAndGoBack() public {
        InvoiceTerms memory terms = exactTerms();
        address purse = purseOf(terms);
        TestUSDC lookAlike = newUsdc();
        vm.prank(issuer);
        lookAlike.mint(purse, AMOUNT);
        vm.deal(purse, 1 ether);
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.NotFunded.selector, hashOf(terms), 0, AMOUNT));
        escrow.settle(terms);
        escrow.refund(terms, address(lookAlike));
        assertEq(lookAlike.balanceOf(customer), AMOUNT, "look-alike");
        assertEq(customer.balance, 1 ether, "coin");
    }

    function test_attack08_rightAddressOnTheWrongChainBeforeTheEscrowIsThere() public {
        // Elsewhere the escrow does not exist yet; the address follows from the published numbers alone.
        InvoiceTerms memory terms = exactTerms();
        vm.chainId(10);
        bytes memory creationCode = type(InvoiceEscrow).creationCode;
        address later = vm.computeCreate2Address(0, keccak256(creationCode), address(this));
        bytes32 purseCode = keccak256(type(Purse).creationCode);
        address purse = vm.computeCreate2Address(hashOf(terms), purseCode, later);
        fund(purse, AMOUNT);
        InvoiceEscrow deployed = new InvoiceEscrow{salt: 0}();
        assertEq(address(deployed), later, "the same address");
        deployed.refund(terms, address(usdc));
        assertEq(usdc.balanceOf(customer), AMOUNT, "customer");
    }

    function test_attack09_refundNeverGoesToTheSender() public {
        // The sender is an exchange's hot wallet: what comes back there is lost to the customer.
        InvoiceTerms memory terms = exactTerms();
        send(terms, AMOUNT);
        vm.warp(CLOSES_AT);
        escrow.refund(terms, address(usdc));
        assertEq(usdc.balanceOf(payer), 0, "sender");
        assertEq(usdc.balanceOf(customer), AMOUNT, "customer");
    }

    function test_attack10_aRefundToThatRefusesCoinStillGetsTokensAndCoin() public {
        InvoiceTerms memory terms = exactTerms();
        terms.refundTo = address(new Refuses());
        vm.deal(send(terms, AMOUNT), 9);
        vm.warp(CLOSES_AT);
        escrow.refund(terms, address(usdc));
        assertEq(usdc.balanceOf(terms.refundTo), AMOUNT, "token");
        assertEq(terms.refundTo.balance, 9, "coin");
    }

    function test_attack11_fundsBeforeAnyTransactionOfOurs() public {
        InvoiceTerms memory terms = exactTerms();
        address purse = send(terms, AMOUNT);
        assertEq(purse.code.length + vm.getNonce(purse), 0, "nothing is there");
        escrow.settle(terms);
        assertEq(usdc.balanceOf(payee), AMOUNT, "payee");
    }

    function test_attack12_coinAtThePurseBeforeItsFirstRunBlocksNothing() public {
        InvoiceTerms memory terms = exactTerms();
        address purse = purseOf(terms);
        new ForcesCoin{value: 5}(payable(purse));
        send(terms, AMOUNT);
        escrow.settle(terms);
        assertEq(usdc.balanceOf(payee), AMOUNT, "payee");
        assertEq(customer.balance, 5, "coin");
    }

    function test_attack13_payeeWithoutCodeOrHistoryIsPaid() public {
        InvoiceTerms memory terms = exactTerms();
        terms.payee = makeAddress("never seen");
        send(terms, AMOUNT);
        escrow.settle(terms);
        assertEq(usdc.balanceOf(terms.payee), AMOUNT, "payee");
    }

    /// @dev A payer whose account runs code (EIP-7702) re-enters from its token's hook while it pays.
    function test_attack16_delegatedPayerPaysAsAnyOther() public {
        InvoiceTerms memory terms = exactTerms();
        Reenters code = new Reenters(escrow);
        vm.etch(payer, abi.encodePacked(hex"ef0100", address(code)));
        fund(payer, AMOUNT);
        vm.prank(payer);
        usdc.approve(address(escrow), AMOUNT);
        vm.prank(payer);
        escrow.pay(terms, AMOUNT);
        assertEq(usdc.balanceOf(payee), AMOUNT, "payee");
    }

    /*//////////////////////////////////////////////////////////////
                             TOKEN BEHAVIOUR
    //////////////////////////////////////////////////////////////*/

    function test_attack17_feeOnTransferIsThePayeesLossAndNobodyElses() public {
        TakesAFee token = new TakesAFee();
        InvoiceTerms memory terms = exactTerms();
        terms.token = address(token);
        token.mint(purseOf(terms), AMOUNT);
        escrow.settle(terms);
        assertState(terms, AMOUNT, 1, NOW);
        assertEq(token.balanceOf(payee), AMOUNT - AMOUNT / 100, "payee, who chose this token");
        // And it never asks for more than the amount to make up for it.
        token.mint(purseOf(terms), AMOUNT);
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.NotOpen.selector, hashOf(terms), 1));
        escrow.settle(terms);
    }

    function test_attack17_rebasingTokenNeverPaysAboveTheAmountAndGoesBackWhole() public {
        Rebases token = new Rebases();
        InvoiceTerms memory terms = exactTerms();
        terms.token = address(token);
        address purse = purseOf(terms);
        token.mint(purse, AMOUNT);
        token.setPercent(90);
        vm.expectRevert();
        escrow.settle(terms);
        token.setPercent(120);
        escrow.settle(terms);
        assertEq(token.balanceOf(payee), AMOUNT, "payee");
        assertEq(escrow.refund(terms, address(token)), AMOUNT / 5, "what it grew goes back");
        assertEq(token.balanceOf(purse), 0, "purse");
    }

    function test_attack17_tokenThatRevertsOnZeroIsNeverAskedTo() public {
        RevertsOnZero token = new RevertsOnZero();
        InvoiceTerms memory terms = partialTerms();
        terms.token = address(token);
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.NothingDue.selector, hashOf(terms)));
        escrow.settle(terms);
        token.mint(purseOf(terms), AMOUNT + 1);
        escrow.settle(terms);
        escrow.refund(terms, address(token));
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.NothingDue.selector, hashOf(terms)));
        escrow.refund(terms, address(token));
    }

    function test_attack17_pausedBetweenFundAndSettle() public {
        InvoiceTerms memory terms = exactTerms();
        send(terms, AMOUNT);
        vm.prank(issuer);
        usdc.pause();
        vm.expectRevert();
        escrow.settle(terms);
        vm.prank(issuer);
        usdc.unpause();
        escrow.settle(terms);
        assertEq(usdc.balanceOf(payee), AMOUNT, "payee");
    }

    function test_attack17_pausedAcrossClosesAtGoesBackAfterwards() public {
        InvoiceTerms memory terms = exactTerms();
        send(terms, AMOUNT);
        vm.prank(issuer);
        usdc.pause();
        vm.warp(CLOSES_AT + 1);
        vm.expectRevert();
        escrow.refund(terms, address(usdc));
        vm.prank(issuer);
        usdc.unpause();
        escrow.refund(terms, address(usdc));
        assertEq(usdc.balanceOf(customer), AMOUNT, "customer");
    }

    function test_attack18_blacklistedPayeeMoneyGoesBack() public {
        InvoiceTerms memory terms = exactTerms();
        send(terms, AMOUNT);
        vm.prank(issuer);
        usdc.blacklist(payee);
        vm.expectRevert();
        escrow.settle(terms);
        vm.warp(CLOSES_AT);
        escrow.refund(terms, address(usdc));
        assertEq(usdc.balanceOf(customer), AMOUNT, "customer");
    }

    function test_attack18_blacklistedRefundToWaitsOrGoesByOrder() public {
        InvoiceTerms memory terms = boundTerms();
        send(terms, AMOUNT);
        cancelAs(settler, terms);
        vm.prank(issuer);
        usdc.blacklist(customer);
        vm.warp(NOW + KEY_DECIDES_FOR);
        vm.expectRevert();
        escrow.refund(terms, address(usdc));
        RefundOrder memory order = orderFor(terms, address(usdc), stranger);
        escrow.refundByOrder(terms, order, sign("refundKey", digestOf(order)));
        assertEq(usdc.balanceOf(stranger), AMOUNT, "where the key said");
    }

    function test_attack18_blacklistedPurseResumesWhenUnblocked() public {
        InvoiceTerms memory terms = exactTerms();
        address purse = send(terms, AMOUNT);
        vm.prank(issuer);
        usdc.blacklist(purse);
        vm.expectRevert();
        escrow.settle(terms);
        vm.warp(CLOSES_AT);
        vm.expectRevert();
        escrow.refund(terms, address(usdc));
        vm.prank(issuer);
        usdc.unBlacklist(purse);
        escrow.refund(terms, address(usdc));
        assertEq(usdc.balanceOf(customer), AMOUNT, "customer");
    }

    function test_attack20_freezeAndThawEveryFlowResumes() public {
        InvoiceTerms memory terms = partialTerms();
        send(terms, 10);
        escrow.settle(terms);
        address purse = purseOf(terms);
        vm.prank(issuer);
        usdc.blacklist(purse);
        vm.prank(issuer);
        usdc.unBlacklist(purse);
        send(terms, AMOUNT);
        escrow.settle(terms);
        assertEq(usdc.balanceOf(payee), AMOUNT, "payee");
        assertEq(escrow.refund(terms, address(usdc)), 10, "excess");
    }

    /*//////////////////////////////////////////////////////////////
                       AUTHORISATION AND REPLAY
    //////////////////////////////////////////////////////////////*/

    function test_attack21_orderOfOneDeploymentIsWorthlessAtAnother() public {
        InvoiceTerms memory terms = boundTerms();
        InvoiceEscrow other = new InvoiceEscrow();
        fund(vm.computeCreate2Address(hashOf(terms), other.PURSE_INIT_CODE_HASH(), address(other)), AMOUNT);
        vm.warp(CLOSES_AT);
        RefundOrder memory order = orderFor(terms, address(usdc), stranger);
        bytes memory signature = sign("refundKey", digestOf(order));
        vm.expectRevert();
        other.refundByOrder(terms, order, signature);
    }

    /// @dev The payer signs `to` = the purse, so who submits it changes nothing; a front-runner only pays the gas.
    function test_attack22_frontRunAuthorizationFundsThePurseAllTheSame() public {
        InvoiceTerms memory terms = exactTerms();
        address purse = escrow.escrowOf(terms);
        fund(payer, AMOUNT);
        bytes memory data = authorizationData(purse, AMOUNT, NOW + 1 hours);
        vm.prank(stranger);
        (bool done,) = address(usdc).call(data);
        assertTrue(done, "the front-runner submits it");
        (bool again,) = address(usdc).call(data);
        assertTrue(!again, "once");
        escrow.settle(terms);
        assertEq(usdc.balanceOf(payee), AMOUNT, "T2: payee");
    }

    function test_attack22_authorizationAtValidBeforeIsExpired() public {
        fund(payer, AMOUNT);
        bytes memory data = authorizationData(escrow.escrowOf(exactTerms()), AMOUNT, NOW + 1 hours);
        vm.warp(NOW + 1 hours);
        (bool done,) = address(usdc).call(data);
        assertTrue(!done, "moved at validBefore");
    }

    function test_attack23_allowanceThatIsAlreadyThereHarmsNobody() public {
        // We interpret no permit: whoever front-runs one has only set the allowance that the payer signed.
        InvoiceTerms memory terms = exactTerms();
        fund(payer, AMOUNT);
        vm.prank(payer);
        usdc.approve(address(escrow), AMOUNT);
        vm.expectRevert();
        vm.prank(stranger);
        escrow.pay(terms, AMOUNT);
        vm.prank(payer);
        escrow.pay(terms, AMOUNT);
        assertEq(usdc.balanceOf(payee), AMOUNT, "payee");
    }

    function test_attack24_payeeAndRefundToMayBeTheSamePerson() public {
        InvoiceTerms memory terms = exactTerms();
        terms.refundTo = payee;
        send(terms, AMOUNT + 5);
        escrow.settle(terms);
        assertEq(usdc.balanceOf(payee), AMOUNT, "by settle never above the amount");
        escrow.refund(terms, address(usdc));
        assertEq(usdc.balanceOf(payee), AMOUNT + 5, "the rest as what goes back");
        assertState(terms, AMOUNT, 1, NOW);
    }

    function test_attack25_signatureOfNobodyIsNotTheKeyZero() public {
        InvoiceTerms memory terms = exactTerms(); // refundKey 0
        send(terms, AMOUNT);
        vm.warp(CLOSES_AT);
        RefundOrder memory order = orderFor(terms, address(usdc), stranger);
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.NoRefundKey.selector, hashOf(terms)));
        escrow.refundByOrder(terms, order, new bytes(65));
    }

    function test_attack28_sameInvoiceIdWithOtherTermsIsAnotherInvoice() public {
        InvoiceTerms memory terms = exactTerms();
        InvoiceTerms memory copy = exactTerms();
        copy.payee = stranger;
        send(terms, AMOUNT);
        cancelAs(stranger, copy);
        vm.expectRevert();
        escrow.settle(copy);
        escrow.settle(terms);
        assertEq(usdc.balanceOf(payee), AMOUNT, "payee");
    }

    function test_attack29_purseCodeElsewhereReachesNoPurse() public {
        // The attacker creates the same init code with the same salt from a factory of his own.
        InvoiceTerms memory terms = exactTerms();
        address purse = send(terms, AMOUNT);
        EvilFactory evil = new EvilFactory();
        evil.run(hashOf(terms), address(usdc), stranger, AMOUNT);
        assertEq(usdc.balanceOf(purse), AMOUNT, "purse");
        assertEq(usdc.balanceOf(stranger), 0, "attacker");
    }

    /*//////////////////////////////////////////////////////////////
                       RE-ENTRANCY AND ORDERING
    //////////////////////////////////////////////////////////////*/

    /// @dev A payee that is a contract gets the money and calls back into every verb from its token's hook.
    function test_attack31_payeeReentersFromItsHook() public {
        TellsReceivers token = new TellsReceivers();
        Reenters evil = new Reenters(escrow);
        InvoiceTerms memory terms = partialTerms();
        terms.token = address(token);
        terms.payee = address(evil);
        evil.set(terms);
        token.mint(purseOf(terms), 10);
        escrow.settle(terms);
        assertTrue(evil.tried(), "the hook ran");
        assertTrue(!evil.succeeded(), "and got in");
        assertState(terms, 10, 0, 0);
    }

    /// @dev What the views say in the middle of a transfer is the state afterwards, for the money is on its way.
    function test_attack32_viewsAreConsistentInTheMiddleOfATransfer() public {
        CallsBack token = new CallsBack();
        InvoiceTerms memory terms = exactTerms();
        terms.token = address(token);
        token.setCall(address(escrow), abi.encodeCall(escrow.stateOf, (hashOf(terms))));
        token.mint(purseOf(terms), AMOUNT);
        escrow.settle(terms);
        (uint128 paid, uint8 status, uint64 since) = abi.decode(token.answer(), (uint128, uint8, uint64));
        assertTrue(paid == AMOUNT && status == 1 && since == NOW, "the view shows the state afterwards");
    }

    function test_attack33_settleAndRefundInTheSameSecond() public {
        InvoiceTerms memory terms = exactTerms();
        send(terms, AMOUNT);
        for (uint256 block_ = 0; block_ < 5; ++block_) {
            vm.warp(CLOSES_AT - 1); // several blocks share a second
            vm.expectRevert();
            escrow.refund(terms, address(usdc));
        }
        escrow.settle(terms);
        assertEq(usdc.balanceOf(payee), AMOUNT, "payee");
    }

    function test_attack34_refundCannotRunAheadOfASettlementInTime() public {
        InvoiceTerms memory terms = exactTerms();
        send(terms, AMOUNT);
        vm.warp(CLOSES_AT - 1);
        vm.prank(stranger);
        vm.expectRevert();
        escrow.refund(terms, address(usdc));
        escrow.settle(terms);
        assertEq(usdc.balanceOf(payee), AMOUNT, "payee");
    }

    function test_attack35_triggerBetweenAPartialPaymentAndTheNext() public {
        InvoiceTerms memory terms = partialTerms();
        send(terms, 10);
        settleAs(stranger, terms);
        send(terms, AMOUNT - 10);
        settleAs(stranger, terms);
        assertEq(usdc.balanceOf(payee), AMOUNT, "payee");
        assertState(terms, AMOUNT, 1, NOW);
    }

    function test_attack38_relayerSendsTwiceOrWithTooLittleGas() public {
        InvoiceTerms memory terms = exactTerms();
        send(terms, AMOUNT);
        bytes memory data = abi.encodeCall(escrow.settle, (terms));
        for (uint256 gas = 20_000; gas < 105_000; gas += 5000) {
            (bool early,) = address(escrow).call{gas: gas}(data);
            (, uint8 status,) = escrow.stateOf(hashOf(terms));
            assertTrue(early == (status == 1), "a settlement that is half there");
            assertEq(usdc.balanceOf(payee), early ? AMOUNT : 0, "payee");
            if (early) return;
        }
        escrow.settle(terms);
        (bool again,) = address(escrow).call(data);
        assertTrue(!again, "twice");
        assertEq(usdc.balanceOf(payee), AMOUNT, "payee");
    }

    /*//////////////////////////////////////////////////////////////
                               ACCOUNTING
    //////////////////////////////////////////////////////////////*/

    function test_attack42_theGreatestAmountsDoNotOverflow() public {
        PlainToken token = new PlainToken(18);
        InvoiceTerms memory terms = partialTerms();
        terms.token = address(token);
        terms.amount = type(uint128).max;
        address purse = purseOf(terms);
        token.mint(purse, type(uint128).max - 1);
        escrow.settle(terms);
        token.mint(purse, uint256(1) << 200);
        escrow.settle(terms);
        assertEq(token.balanceOf(payee), type(uint128).max, "payee");
        assertState(terms, type(uint128).max, 1, NOW);
        escrow.refund(terms, address(token));
        assertEq(token.balanceOf(purse), 0, "purse");
    }

    function test_attack43_oneUnitOfDustIsNeverStranded() public {
        InvoiceTerms memory terms = exactTerms();
        send(terms, 1);
        vm.warp(CLOSES_AT);
        escrow.refund(terms, address(usdc));
        assertEq(usdc.balanceOf(customer), 1, "customer");
    }

    function test_attack46_eventsCarryWhatMovedNotWhatLay() public {
        InvoiceTerms memory terms = exactTerms();
        send(terms, AMOUNT + 77);
        vm.expectEmit(true, true, true, true, address(escrow));
        emit IInvoiceEscrow.Recorded(hashOf(terms), address(usdc), payee, AMOUNT, AMOUNT, 1, 1);
        escrow.settle(terms);
        vm.expectEmit(true, true, true, true, address(escrow));
        emit IInvoiceEscrow.Recorded(hashOf(terms), address(usdc), customer, 77, AMOUNT, 1, 4);
        escrow.refund(terms, address(usdc));
    }

    /*//////////////////////////////////////////////////////////////
                                   GAS
    //////////////////////////////////////////////////////////////*/

    /// @dev EIP-7825: a transaction has at most 2^24 gas.
    function test_attack50_aBatchOf150FitsInATransaction() public {
        InvoiceTerms[] memory batch = new InvoiceTerms[](150);
        for (uint256 i = 0; i < batch.length; ++i) {
            batch[i] = exactTerms();
            batch[i].invoiceId = bytes32(i);
            // The worst case that a stranger can make: coin for a refundTo that nobody has used.
            batch[i].refundTo = address(uint160(uint256(keccak256(abi.encode("customer", i)))));
            address purse = send(batch[i], AMOUNT);
            if (i % 5 == 0) vm.deal(purse, 1);
        }
        (bool done,) = address(escrow).call{gas: 16_777_216 - 21_000 - 900_000}(
            abi.encodeCall(escrow.settleBatch, (batch, 200_000))
        );
        assertTrue(done, "out of gas");
        assertEq(usdc.balanceOf(payee), 150 * AMOUNT, "payee");
    }

    /// @dev Somebody settles first: the second finds it done, and nothing else has changed.
    function test_attack51_beingSettledByAStrangerFirstIsHarmless() public {
        InvoiceTerms memory terms = exactTerms();
        send(terms, AMOUNT);
        settleAs(stranger, terms);
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.NotOpen.selector, hashOf(terms), 1));
        escrow.settle(terms);
        assertEq(usdc.balanceOf(payee), AMOUNT, "payee");
        assertEq(usdc.balanceOf(stranger), 0, "stranger");
    }

    /// @dev The escrow itself deployed first by somebody else: same code at the same address, or not that address.
    function test_attack51_deployingTheEscrowFirstIsHarmless() public {
        bytes32 code = keccak256(type(InvoiceEscrow).creationCode);
        address expected = vm.computeCreate2Address(0, code, address(this));
        InvoiceEscrow deployed = new InvoiceEscrow{salt: 0}();
        assertEq(address(deployed), expected, "address");
        assertEq(address(deployed).codehash, address(escrow).codehash, "the code has no deployer in it");
    }

    function authorizationData(address to, uint256 value, uint256 validBefore) private view returns (bytes memory) {
        bytes32 structHash = keccak256(
            abi.encode(usdc.TRANSFER_WITH_AUTHORIZATION_TYPEHASH(), payer, to, value, 0, validBefore, bytes32("nonce"))
        );
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", usdc.DOMAIN_SEPARATOR(), structHash));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(keyOf("payer"), digest);
        return abi.encodeWithSignature(
            "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)",
            payer,
            to,
            value,
            0,
            validBefore,
            bytes32("nonce"),
            v,
            r,
            s
        );
    }
}

contract Refuses {
    receive() external payable {
        revert("no coin");
    }
}

contract ForcesCoin {
    constructor(address payable to) payable {
        selfdestruct(to);
    }
}

/// @notice Runs the purse's init code with orders of its own.
contract EvilFactory {
    address private _token;
    address private _to;
    uint256 private _amount;

    function order() external view returns (address, address, uint256, address) {
        return (_token, _to, _amount, _to);
    }

    function run(bytes32 salt, address token, address to, uint256 amount) external returns (bool ran) {
        (_token, _to, _amount) = (token, to, amount);
        try this.create(salt) {
            ran = true;
        } catch {}
    }

    function create(bytes32 salt) external {
        new Purse{salt: salt}();
    }
}

/// @notice An account that calls every verb when it gets money.
contract Reenters is IReceiver {
    InvoiceEscrow private immutable ESCROW;
    InvoiceTerms private _terms;
    bool public tried;
    bool public succeeded;

    constructor(InvoiceEscrow escrow) {
        ESCROW = escrow;
    }

    function set(InvoiceTerms calldata terms) external {
        _terms = terms;
    }

    function tokensReceived(address, uint256) external {
        tried = true;
        InvoiceTerms memory terms = _terms;
        InvoiceTerms[] memory batch = new InvoiceTerms[](1);
        batch[0] = terms;
        RefundOrder memory order;
        _try(abi.encodeCall(ESCROW.settle, (terms)));
        _try(abi.encodeCall(ESCROW.settleBatch, (batch, 0)));
        _try(abi.encodeCall(ESCROW.pay, (terms, 1)));
        _try(abi.encodeCall(ESCROW.cancel, (terms)));
        _try(abi.encodeCall(ESCROW.refund, (terms, terms.token)));
        _try(abi.encodeCall(ESCROW.refundByOrder, (terms, order, "")));
        _try(abi.encodeCall(ESCROW.order, ()));
    }

    function _try(bytes memory data) private {
        (bool done,) = address(ESCROW).call(data);
        if (done) succeeded = true;
    }
}
