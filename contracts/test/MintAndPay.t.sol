// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";

import {Deposit, IAttestedGate, Reserve} from "../src/interfaces/IAttestedGate.sol";
import {IInvoiceEscrow, InvoiceTerms} from "../src/interfaces/IInvoiceEscrow.sol";
import {Clearance} from "../src/interfaces/ISettlementGate.sol";
import {GateTest} from "./base/GateTest.sol";

/// @notice `MintGate.mintAndPay`, branch by branch.
contract MintAndPayTest is GateTest {
    /// @dev secp256k1's order.
    uint256 private constant N = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;

    /*//////////////////////////////////////////////////////////////
                                 IT PAYS
    //////////////////////////////////////////////////////////////*/

    /// @dev T3: minted, delivered and settled in one call, by anyone who carries the signatures.
    function test_T3_mintAndPayDeliversToThePayeeAndKeepsNothing() public {
        InvoiceTerms memory terms = mintTerms();
        bytes[] memory by = signatures(mintGate, terms, deposit());
        vm.expectEmit(true, true, true, true, address(mintGate));
        emit IAttestedGate.Minted(hashOf(terms), deposit().depositId, address(dollar), AMOUNT);
        vm.prank(stranger);
        assertEq(mintGate.mintAndPay(terms, deposit(), by), AMOUNT, "paid");
        assertEq(dollar.balanceOf(payee), AMOUNT, "payee");
        assertEq(dollar.totalSupply(), AMOUNT, "supply");
        assertEq(mintGate.issued(), AMOUNT, "issued");
        assertEq(dollar.balanceOf(purseOf(terms)), 0, "nothing rests at the invoice's address");
        assertState(terms, AMOUNT, 1, NOW);
        assertNothingLeft(address(dollar), 0, 0);
        assertTrue(mintGate.depositUsed(deposit().depositId), "used");
    }

    function test_mintAndPay_withoutASettler() public {
        InvoiceTerms memory terms = mintTerms();
        terms.settler = address(0);
        mint(terms, deposit());
        assertEq(dollar.balanceOf(payee), AMOUNT, "payee");
        assertState(terms, AMOUNT, 1, NOW);
        assertNothingLeft(address(dollar), 0, 0);
    }

    /// @dev R1: never above what the invoice needs; the rest is given back off chain.
    function test_R1_mintAndPayNeverMintsAboveWhatIsDue() public {
        Deposit memory given = deposit();
        given.amount = 3 * AMOUNT;
        assertEq(mint(mintTerms(), given), AMOUNT, "paid");
        assertEq(dollar.totalSupply(), AMOUNT, "supply");
    }

    function testFuzz_T3_mintAndPayOfAnyAmount(uint128 amount, uint128 more) public {
        InvoiceTerms memory terms = mintTerms();
        terms.amount = uint128(bound(amount, 1, DAILY_CAP));
        Deposit memory given = deposit();
        given.amount = uint128(bound(more, terms.amount, type(uint128).max));
        mint(terms, given);
        assertEq(dollar.balanceOf(payee), terms.amount, "payee");
        assertEq(dollar.totalSupply(), terms.amount, "supply");
        assertNothingLeft(address(dollar), 0, 0);
    }

    /// @dev More signatures than it takes do no harm, as long as each is good.
    function test_mintAndPay_byMoreAttestorsThanItTakes() public {
        InvoiceTerms memory terms = mintTerms();
        mintGate.mintAndPay(terms, deposit(), signedBy(3, domainOf(mintGate), depositHash(terms, deposit())));
        assertEq(dollar.balanceOf(payee), AMOUNT, "payee");
    }

    /*//////////////////////////////////////////////////////////////
                             WHICH INVOICES
    //////////////////////////////////////////////////////////////*/

    function test_mintAndPay_ofAnotherTokenReverts() public {
        InvoiceTerms memory terms = floatTerms();
        mintExpecting(
            terms, deposit(), abi.encodeWithSelector(IAttestedGate.WrongToken.selector, address(usdc), address(dollar))
        );
    }

    function test_mintAndPay_ofAnotherChainReverts() public {
        InvoiceTerms memory terms = mintTerms();
        terms.chain = 4217;
        mintExpecting(terms, deposit(), abi.encodeWithSelector(IInvoiceEscrow.WrongChain.selector, 4217, BASE));
    }

    function test_X10_mintAndPayOfACancelledInvoiceReverts() public {
        InvoiceTerms memory terms = mintTerms();
        cancelAs(payee, terms);
        mintExpecting(
            terms, deposit(), abi.encodeWithSelector(IInvoiceEscrow.NotOpen.selector, hashOf(terms), uint8(2))
        );
        assertTrue(!mintGate.depositUsed(deposit().depositId), "the deposit is free for another invoice");
    }

    /// @dev The customer pays on chain while the card clears.
    function test_X2_mintAndPayOfAnInvoiceThatWasPaidMeanwhileReverts() public {
        InvoiceTerms memory terms = mintTerms();
        topUp(payer, AMOUNT);
        bytes[] memory by = signatures(mintGate, terms, deposit());
        address purse = escrow.escrowOf(terms);
        vm.prank(payer);
        dollar.transfer(purse, AMOUNT);
        InvoiceTerms[] memory batch = new InvoiceTerms[](1);
        batch[0] = terms;
        vm.prank(keeper);
        gate.settleBatch(batch, GAS_PER_ITEM);
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.NotOpen.selector, hashOf(terms), uint8(1)));
        mintGate.mintAndPay(terms, deposit(), by);
        assertEq(dollar.balanceOf(payee), AMOUNT, "payee");
    }

    /// @dev Decisions about which rail pays stop ten minutes before.
    function test_mintAndPay_stopsTenMinutesBeforeClosesAt() public {
        InvoiceTerms memory terms = mintTerms();
        terms.closesAt = NOW + 600;
        mintExpecting(
            terms, deposit(), abi.encodeWithSelector(IAttestedGate.ClosesTooSoon.selector, terms.closesAt, NOW + 600)
        );
        terms.closesAt = NOW + 601;
        mint(terms, deposit());
        assertEq(dollar.balanceOf(payee), AMOUNT, "payee");
    }

    function test_mintAndPay_withAnotherSettlerReverts() public {
        InvoiceTerms memory terms = mintTerms();
        terms.settler = stranger;
        mintExpecting(
            terms, deposit(), abi.encodeWithSelector(IAttestedGate.WrongSettler.selector, stranger, address(gate))
        );
    }

    /// @dev A card would be a cash machine.
    function test_mintAndPay_toAGateReverts() public {
        address[3] memory gates = [address(mintGate), address(floatGate), address(gate)];
        for (uint256 i = 0; i < 3; ++i) {
            InvoiceTerms memory terms = mintTerms();
            terms.settler = address(0);
            terms.payee = gates[i];
            mintExpecting(terms, deposit(), abi.encodeWithSelector(IAttestedGate.PayeeIsGate.selector, gates[i]));
        }
    }

    function test_mintAndPay_wherePartialPaymentsArePassedOnReverts() public {
        InvoiceTerms memory terms = mintTerms();
        terms.flags = PARTIALS;
        mintExpecting(terms, deposit(), abi.encodeWithSelector(IAttestedGate.PartialsOn.selector, hashOf(terms)));
    }

    function test_mintAndPay_ofLessThanIsDueReverts() public {
        Deposit memory given = deposit();
        given.amount = AMOUNT - 1;
        mintExpecting(
            mintTerms(), given, abi.encodeWithSelector(IAttestedGate.DepositBelowDue.selector, AMOUNT - 1, AMOUNT)
        );
    }

    function test_mintAndPay_ofTermsThatBreakAnotherRowReverts() public {
        InvoiceTerms memory terms = mintTerms();
        terms.refundTo = address(0);
        mintExpecting(terms, deposit(), abi.encodeWithSelector(IInvoiceEscrow.InvalidRefundTo.selector, address(0)));
        terms = mintTerms();
        terms.closesAt = NOW + 401 days;
        mintExpecting(
            terms,
            deposit(),
            abi.encodeWithSelector(IInvoiceEscrow.InvalidClosesAt.selector, terms.closesAt, NOW + 400 days)
        );
    }

    /*//////////////////////////////////////////////////////////////
                              THE DEPOSIT
    //////////////////////////////////////////////////////////////*/

    /// @dev R3.
    function test_R3_oneDepositMintsOnce() public {
        mint(mintTerms(), deposit());
        InvoiceTerms memory another = mintTerms();
        another.invoiceId = keccak256("another");
        mintExpecting(
            another, deposit(), abi.encodeWithSelector(IAttestedGate.DepositUsed.selector, deposit().depositId)
        );
        assertEq(dollar.totalSupply(), AMOUNT, "supply");
    }

    /// @dev R3: two attestations of one deposit, for two invoices, both signed, both good.
    function test_R3_twoAttestationsOfOneDepositMintOnce() public {
        InvoiceTerms memory another = mintTerms();
        another.invoiceId = keccak256("another");
        Deposit memory later = deposit();
        later.validUntil -= 60;
        bytes[] memory first = signatures(mintGate, mintTerms(), deposit());
        bytes[] memory second = signatures(mintGate, another, later);
        mintGate.mintAndPay(another, later, second);
        vm.expectRevert(abi.encodeWithSelector(IAttestedGate.DepositUsed.selector, deposit().depositId));
        mintGate.mintAndPay(mintTerms(), deposit(), first);
    }

    /// @dev X14: the same transaction again changes nothing.
    function test_X14_mintAndPayAgainReverts() public {
        InvoiceTerms memory terms = mintTerms();
        bytes[] memory by = signatures(mintGate, terms, deposit());
        mintGate.mintAndPay(terms, deposit(), by);
        vm.expectRevert();
        mintGate.mintAndPay(terms, deposit(), by);
        assertEq(dollar.totalSupply(), AMOUNT, "supply");
    }

    function test_mintAndPay_anAttestationHoldsFifteenMinutesAtMost() public {
        Deposit memory given = deposit();
        given.validUntil = NOW + 901;
        mintExpecting(
            mintTerms(), given, abi.encodeWithSelector(IAttestedGate.InvalidValidUntil.selector, NOW + 901, NOW)
        );
        given.validUntil = NOW + 900;
        vm.warp(NOW + 901);
        mintExpecting(
            mintTerms(), given, abi.encodeWithSelector(IAttestedGate.InvalidValidUntil.selector, NOW + 900, NOW + 901)
        );
        vm.warp(NOW + 900);
        mint(mintTerms(), given);
        assertEq(dollar.balanceOf(payee), AMOUNT, "payee");
    }

    /*//////////////////////////////////////////////////////////////
                              SIGNATURES
    //////////////////////////////////////////////////////////////*/

    function mintBy(bytes[] memory by, bytes memory reason) private {
        InvoiceTerms memory terms = mintTerms();
        vm.expectRevert(reason);
        mintGate.mintAndPay(terms, deposit(), by);
        assertEq(dollar.totalSupply(), 0, "supply");
    }

    function all() private view returns (bytes[] memory) {
        return signedBy(3, domainOf(mintGate), depositHash(mintTerms(), deposit()));
    }

    function two(bytes memory a, bytes memory b) private pure returns (bytes[] memory by) {
        by = new bytes[](2);
        (by[0], by[1]) = (a, b);
    }

    function test_mintAndPay_byTooFewReverts() public {
        mintBy(new bytes[](0), abi.encodeWithSelector(IAttestedGate.TooFewSignatures.selector, 0, 2));
        mintBy(
            signedBy(1, domainOf(mintGate), depositHash(mintTerms(), deposit())),
            abi.encodeWithSelector(IAttestedGate.TooFewSignatures.selector, 1, 2)
        );
    }

    function test_mintAndPay_byOneTwiceReverts() public {
        address one = vm.addr(keyOf(attestors[0]));
        mintBy(two(all()[0], all()[0]), abi.encodeWithSelector(IAttestedGate.SignersNotAscending.selector, one, one));
    }

    function test_mintAndPay_bySignersOutOfOrderReverts() public {
        mintBy(
            two(all()[1], all()[0]),
            abi.encodeWithSelector(
                IAttestedGate.SignersNotAscending.selector, vm.addr(keyOf(attestors[1])), vm.addr(keyOf(attestors[0]))
            )
        );
    }

    function test_mintAndPay_byAStrangerReverts() public {
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", domainOf(mintGate), depositHash(mintTerms(), deposit())));
        bytes memory notOurs = sign("stranger", digest);
        mintBy(two(all()[0], notOurs), abi.encodeWithSelector(IAttestedGate.NotAttestor.selector, stranger));
        // Not even beside enough good ones.
        bytes[] memory by = new bytes[](3);
        (by[0], by[1], by[2]) = (all()[0], all()[1], notOurs);
        mintBy(by, abi.encodeWithSelector(IAttestedGate.NotAttestor.selector, stranger));
    }

    /// @dev G2: a key that was taken out signs nothing more, not even what it had signed before.
    function test_G2_aRevokedAttestorsSignatureIsWorthlessAtOnce() public {
        address leaver = vm.addr(keyOf(attestors[1]));
        bytes[] memory by = signatures(mintGate, mintTerms(), deposit());
        uint64 attestor = role("ATTESTOR");
        vm.prank(safe());
        manager.revokeRole(attestor, leaver);
        mintBy(by, abi.encodeWithSelector(IAttestedGate.NotAttestor.selector, leaver));
    }

    function test_E8_highSOfAnAttestorReverts() public {
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", domainOf(mintGate), depositHash(mintTerms(), deposit())));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(keyOf(attestors[1]), digest);
        bytes memory high = abi.encodePacked(r, bytes32(N - uint256(s)), v == 27 ? uint8(28) : uint8(27));
        mintBy(two(all()[0], high), abi.encodeWithSelector(IAttestedGate.NotAttestor.selector, address(0)));
    }

    function test_E8_compactOddAndEmptySignaturesRevert() public {
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", domainOf(mintGate), depositHash(mintTerms(), deposit())));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(keyOf(attestors[1]), digest);
        bytes[4] memory odd = [
            abi.encodePacked(r, bytes32(uint256(s) | uint256(v - 27) << 255)),
            abi.encodePacked(r, s, v, uint8(0)),
            abi.encodePacked(r, s),
            bytes("")
        ];
        for (uint256 i = 0; i < odd.length; ++i) {
            mintBy(two(all()[0], odd[i]), abi.encodeWithSelector(IAttestedGate.NotAttestor.selector, address(0)));
        }
    }

    /// @dev Not even if somebody made zero an attestor.
    function test_E8_nobodysSignatureIsNotTheAttestorZero() public {
        uint64 attestor = role("ATTESTOR");
        vm.prank(safe());
        manager.grantRole(attestor, address(0), 0);
        mintBy(new bytes[](2), abi.encodeWithSelector(IAttestedGate.NotAttestor.selector, address(0)));
    }

    /// @dev Whatever bit of what was signed differs, nothing is minted.
    function testFuzz_E8_anAttestationIsForExactlyWhatItSays(uint256 bit) public {
        InvoiceTerms memory terms = mintTerms();
        Deposit memory given = deposit();
        bytes[] memory by = signatures(mintGate, terms, given);
        bit = bound(bit, 0, 511);
        if (bit < 256) given.depositId = bytes32(uint256(given.depositId) ^ (1 << bit));
        else if (bit < 384) given.amount ^= uint128(1 << (bit - 256));
        else if (bit < 448) given.validUntil ^= uint64(1 << (bit - 384));
        else terms.closesAt ^= uint64(1 << (bit - 448));
        (bool done,) = address(mintGate).call(abi.encodeCall(mintGate.mintAndPay, (terms, given, by)));
        assertTrue(!done, "minted");
        assertEq(dollar.totalSupply(), 0, "supply");
    }

    /// @dev R3 over chains: the same gate at the same address on another chain, in both directions.
    function test_R3_anAttestationOfOneChainIsWorthlessOnAnother() public {
        mintForeign(
            mintTerms(),
            signedBy(THRESHOLD, domain("Monay MintGate", 4217, mintGate), depositHash(mintTerms(), deposit()))
        );
        InvoiceTerms memory terms = mintTerms();
        terms.chain = 4217;
        bytes[] memory by = signedBy(THRESHOLD, domainOf(mintGate), depositHash(terms, deposit()));
        vm.chainId(4217);
        mintForeign(terms, by);
        mintGate.mintAndPay(terms, deposit(), signatures(mintGate, terms, deposit()));
        assertEq(dollar.balanceOf(payee), AMOUNT, "payee");
    }

    /// @dev R3 over rails and gates of one chain: other contracts, and other names at the same one.
    function test_R3_anAttestationOfOneGateIsWorthlessAtAnother() public {
        bytes32 structHash = depositHash(mintTerms(), deposit());
        mintForeign(mintTerms(), signedBy(THRESHOLD, domainOf(floatGate), structHash));
        mintForeign(mintTerms(), signedBy(THRESHOLD, domain("Monay FloatGate", BASE, mintGate), structHash));
        mintForeign(mintTerms(), signedBy(THRESHOLD, domain("Monay MintGate", BASE, floatGate), structHash));
        InvoiceTerms memory terms = floatTerms();
        bytes[] memory by = signedBy(THRESHOLD, domainOf(mintGate), depositHash(terms, deposit()));
        vm.expectRevert();
        floatGate.mintAndPay(terms, deposit(), by);
        assertEq(usdc.balanceOf(payee), 0, "payee");
    }

    /// @dev R3 over rails: the same invoice's attestation for another token.
    function test_R3_anAttestationForAnotherTokenIsWorthless() public {
        InvoiceTerms memory terms = mintTerms();
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256(
                    "DepositAttestation(bytes32 depositId,bytes32 termsHash,address token,uint128 amount,uint64 validUntil)"
                ),
                deposit().depositId,
                hashOf(terms),
                address(usdc),
                deposit().amount,
                deposit().validUntil
            )
        );
        mintForeign(mintTerms(), signedBy(THRESHOLD, domainOf(mintGate), structHash));
    }

    /// @dev What was signed elsewhere recovers to some address or other, which is no attestor's.
    function mintForeign(InvoiceTerms memory terms, bytes[] memory by) private {
        (bool done,) = address(mintGate).call(abi.encodeCall(mintGate.mintAndPay, (terms, deposit(), by)));
        assertTrue(!done, "minted");
        assertEq(dollar.totalSupply(), 0, "supply");
    }

    /*//////////////////////////////////////////////////////////////
                          RESERVE, CAP, PAUSE
    //////////////////////////////////////////////////////////////*/

    /// @dev R1.
    function test_R1_mintAboveTheAllocationReverts() public {
        attest(mintGate, 2 * AMOUNT - 1);
        mint(mintTerms(), deposit());
        InvoiceTerms memory another = mintTerms();
        another.invoiceId = keccak256("another");
        Deposit memory second = deposit();
        second.depositId = keccak256("second");
        mintExpecting(
            another,
            second,
            abi.encodeWithSelector(IAttestedGate.AboveAllocation.selector, AMOUNT, AMOUNT, 2 * AMOUNT - 1)
        );
        attest(mintGate, 2 * AMOUNT);
        mint(another, second);
        assertEq(dollar.totalSupply(), 2 * AMOUNT, "supply");
    }

    /// @dev R1: a lower allocation than the supply stops minting and does nothing else.
    function test_R1_anAllocationBelowTheSupplyOnlyStopsMinting() public {
        topUp(payer, AMOUNT);
        attest(mintGate, AMOUNT / 2);
        mintExpecting(
            mintTerms(),
            deposit(),
            abi.encodeWithSelector(IAttestedGate.AboveAllocation.selector, AMOUNT, AMOUNT, AMOUNT / 2)
        );
        vm.prank(payer);
        dollar.transfer(payee, AMOUNT);
        assertEq(dollar.balanceOf(payee), AMOUNT, "transfers go on");
    }

    /// @dev R1: a statement counts for 24 hours.
    function test_R1_mintOnAStaleStatementReverts() public {
        vm.warp(NOW + 24 hours + 1);
        mintExpecting(
            mintTerms(), deposit(), abi.encodeWithSelector(IAttestedGate.InvalidAsOf.selector, NOW, NOW + 24 hours + 1)
        );
        vm.warp(NOW + 24 hours);
        mint(mintTerms(), deposit());
        assertEq(dollar.balanceOf(payee), AMOUNT, "payee");
    }

    function test_mintAndPay_aboveTheDailyCapReverts() public {
        InvoiceTerms memory terms = mintTerms();
        terms.amount = DAILY_CAP + 1;
        Deposit memory given = deposit();
        given.amount = terms.amount;
        mintExpecting(
            terms, given, abi.encodeWithSelector(IAttestedGate.AboveDailyCap.selector, DAILY_CAP + 1, DAILY_CAP)
        );
        terms.amount = DAILY_CAP;
        mint(terms, given);
        mintExpecting(
            mintTerms(),
            Deposit({depositId: "next", amount: AMOUNT, validUntil: NOW + 900}),
            abi.encodeWithSelector(IAttestedGate.AboveDailyCap.selector, AMOUNT, 0)
        );
    }

    /// @dev No midnight: what was used comes back evenly, a tenth in a tenth of a day.
    function test_mintAndPay_theDailyCapComesBackEvenly() public {
        topUp(payer, DAILY_CAP);
        (uint256 cap, uint256 left) = mintGate.dailyCap();
        assertEq(cap, DAILY_CAP, "cap");
        assertEq(left, 0, "left");
        vm.warp(NOW + 8639);
        (, left) = mintGate.dailyCap();
        assertEq(left, uint256(DAILY_CAP) * 8639 / 86_400, "left");
        Deposit memory given = deposit();
        mintExpecting(mintTerms(), given, abi.encodeWithSelector(IAttestedGate.AboveDailyCap.selector, AMOUNT, left));
        vm.warp(NOW + 8640);
        mint(mintTerms(), given);
        (, left) = mintGate.dailyCap();
        assertEq(left, 0, "left");
        vm.warp(NOW + 100 days);
        (, left) = mintGate.dailyCap();
        assertEq(left, DAILY_CAP, "a long rest gives a day's worth");
    }

    /// @dev In any time at most a day's worth and what came back.
    function testFuzz_R2_mintsNeverExceedTheRate(uint16[24] calldata waits, uint96[24] calldata amounts) public {
        uint256 done;
        uint256 now_ = NOW;
        for (uint256 i = 0; i < waits.length; ++i) {
            now_ += waits[i];
            vm.warp(now_);
            attest(mintGate, ALLOCATION);
            InvoiceTerms memory terms = mintTerms();
            terms.invoiceId = bytes32(i);
            terms.closesAt = uint64(now_ + 1 days);
            terms.amount = uint128(bound(amounts[i], 1, DAILY_CAP));
            Deposit memory given = Deposit({depositId: bytes32(i), amount: terms.amount, validUntil: uint64(now_)});
            bytes[] memory by = signatures(mintGate, terms, given);
            (, uint256 left) = mintGate.dailyCap();
            (bool ok,) = address(mintGate).call(abi.encodeCall(mintGate.mintAndPay, (terms, given, by)));
            assertTrue(ok == (terms.amount <= left), "what is left is what can be minted");
            if (ok) done += terms.amount;
            assertLe(done, DAILY_CAP + uint256(DAILY_CAP) * (now_ - NOW) / 1 days, "minted");
        }
    }

    function test_mintAndPay_whilePausedReverts() public {
        vm.prank(oncall);
        mintGate.pauseMint();
        assertTrue(mintGate.mintPaused(), "paused");
        mintExpecting(mintTerms(), deposit(), abi.encodeWithSelector(IAttestedGate.MintIsPaused.selector));
    }

    /*//////////////////////////////////////////////////////////////
                                BAD LUCK
    //////////////////////////////////////////////////////////////*/

    /// @dev Dust between attestation and mint, wherever it lands, blocks nothing and pays nobody.
    function test_T3_dustBetweenAttestationAndMintBlocksNothing() public {
        InvoiceTerms memory terms = mintTerms();
        topUp(payer, 10);
        bytes[] memory by = signatures(mintGate, terms, deposit());
        address[4] memory places = [escrow.escrowOf(terms), address(mintGate), address(gate), payee];
        for (uint256 i = 0; i < places.length; ++i) {
            vm.prank(payer);
            dollar.transfer(places[i], i + 1);
        }
        mintGate.mintAndPay(terms, deposit(), by);
        assertEq(dollar.balanceOf(payee), AMOUNT + 4, "payee");
        assertEq(dollar.balanceOf(places[0]), 1, "the invoice's address");
        assertNothingLeft(address(dollar), 2, 3);
        assertState(terms, AMOUNT, 1, NOW);
        assertEq(dollar.totalSupply(), AMOUNT + 10, "supply");
    }

    /// @dev The invoice's own money comes just before: it is excess then, and goes back.
    function test_T3_fullPaymentWaitingAtTheInvoiceBecomesExcess() public {
        InvoiceTerms memory terms = mintTerms();
        topUp(payer, AMOUNT);
        address purse = escrow.escrowOf(terms);
        vm.prank(payer);
        dollar.transfer(purse, AMOUNT);
        mint(terms, deposit());
        assertEq(dollar.balanceOf(payee), AMOUNT, "payee");
        escrow.refund(terms, address(dollar));
        assertEq(dollar.balanceOf(customer), AMOUNT, "customer");
    }

    /// @dev Whoever funds the gates with allowances or balances cannot have them pay an invoice.
    function test_T5_whatLiesAtTheGatePaysNothing() public {
        topUp(payer, AMOUNT);
        vm.prank(payer);
        dollar.transfer(address(mintGate), AMOUNT);
        Clearance memory none;
        vm.expectRevert();
        vm.prank(stranger);
        gate.payFrom(mintTerms(), AMOUNT, none);
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, stranger, 0, AMOUNT));
        vm.prank(stranger);
        dollar.transferFrom(address(mintGate), stranger, AMOUNT);
    }

    /// @dev The order in which things land does not matter: without a statement about the reserve nothing is minted.
    function test_R1_mintBeforeTheFirstStatementReverts() public {
        setUpWithoutStatement();
        mintExpecting(mintTerms(), deposit(), abi.encodeWithSelector(IAttestedGate.InvalidAsOf.selector, 0, NOW));
    }

    function setUpWithoutStatement() private {
        Reserve memory none;
        vm.store(address(mintGate), reserveSlot(), bytes32(uint256(none.allocation)));
        (uint128 allocation, uint64 nonce, uint64 asOf) = mintGate.reserve();
        assertEq(allocation, 0, "allocation");
        assertEq(nonce, 0, "nonce");
        assertEq(asOf, 0, "asOf");
    }

    function reserveSlot() private view returns (bytes32) {
        for (uint256 i = 0; i < 16; ++i) {
            if (uint128(uint256(vm.load(address(mintGate), bytes32(i)))) == ALLOCATION) return bytes32(i);
        }
        revert NotSo("the statement has a slot");
    }
}
