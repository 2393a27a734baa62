// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Deposit} from "../src/interfaces/IAttestedGate.sol";
import {InvoiceTerms} from "../src/interfaces/IInvoiceEscrow.sol";
import {Authorization} from "../src/interfaces/ISettlementGate.sol";
import {GateTest} from "./base/GateTest.sol";
import {PlainToken} from "./tokens/PlainToken.sol";

/// @notice What things cost, as whole transactions (isolate = true), with USDC behind its proxy and with a plain ERC-20.
/// `snapshots/GasTest.json` keeps the numbers; with FORGE_SNAPSHOT_CHECK=true a change fails.
///
/// As in real life each customer is another, nobody has used the customers' accounts for anything, and the payee has
/// been paid before.
contract GasTest is GateTest {
    PlainToken private plain;

    function setUp() public override {
        super.setUp();
        plain = new PlainToken(6);
        fund(payee, 1);
        plain.mint(payee, 1);
    }

    /// @dev The `i`th invoice, with all that an invoice usually has.
    function termsOf(uint256 i, bool usdcNotPlain) private view returns (InvoiceTerms memory terms) {
        terms = exactTerms();
        terms.invoiceId = keccak256(abi.encode(i));
        terms.token = usdcNotPlain ? address(usdc) : address(plain);
        terms.refundTo = address(uint160(uint256(keccak256(abi.encode("customer", i)))));
        terms.refundKey = refundKey;
        terms.settler = address(gate);
    }

    function put(InvoiceTerms memory terms, uint256 amount) private {
        if (terms.token == address(usdc)) fund(purseOf(terms), amount);
        else plain.mint(purseOf(terms), amount);
    }

    function named(string memory what, bool usdcNotPlain) private pure returns (string memory) {
        return string.concat(usdcNotPlain ? "USDC: " : "plain ERC-20: ", what);
    }

    function test_gas_transfersCostWhatCirclesDo() public {
        fund(payer, 1000);
        vm.prank(payer);
        usdc.transfer(payee, 10);
        uint256 toHolder = vm.snapshotGasLastCall("USDC: transfer to a holder");
        vm.prank(payer);
        usdc.transfer(stranger, 10);
        uint256 toFresh = vm.snapshotGasLastCall("USDC: transfer to a fresh address");
        // Circle's FiatTokenV2_2 behind its proxy: 44,819 and 61,919. Within 3 %.
        assertLe(toHolder, 46_163, "transfer to a holder");
        assertGe(toHolder, 43_475, "transfer to a holder");
        assertLe(toFresh, 63_776, "transfer to a fresh address");
        assertGe(toFresh, 60_062, "transfer to a fresh address");
    }

    function test_gas_settleThroughTheGate() public {
        uint8[4] memory sizes = [1, 10, 50, 100];
        for (uint256 k = 0; k < 8; ++k) {
            bool usdcNotPlain = k < 4;
            uint256 n = sizes[k % 4];
            InvoiceTerms[] memory batch = new InvoiceTerms[](n);
            for (uint256 i = 0; i < n; ++i) {
                batch[i] = termsOf(1000 * k + i, usdcNotPlain);
                put(batch[i], AMOUNT);
            }
            vm.prank(keeper);
            gate.settleBatch(batch, 200_000);
            string memory what = string.concat("settle N=", vm.toString(n), " through the gate, in total");
            uint256 total = vm.snapshotGasLastCall(named(what, usdcNotPlain));
            for (uint256 i = 0; i < n; ++i) {
                assertState(batch[i], AMOUNT, 1, NOW);
            }
            if (n == 100) assertLe(total / n, usdcNotPlain ? 80_000 : 78_000, "per invoice");
        }
    }

    function test_gas_gaslessThroughTheGate() public {
        InvoiceTerms memory terms = termsOf(1, true);
        fund(payer, AMOUNT);
        Authorization memory authorization = Authorization({
            from: payer,
            value: AMOUNT,
            validAfter: 0,
            validBefore: NOW + 1 hours,
            nonce: keccak256("nonce"),
            signature: ""
        });
        bytes32 structHash = keccak256(
            abi.encode(
                usdc.TRANSFER_WITH_AUTHORIZATION_TYPEHASH(),
                payer,
                purseOf(terms),
                AMOUNT,
                0,
                NOW + 1 hours,
                authorization.nonce
            )
        );
        authorization.signature =
            sign("payer", keccak256(abi.encodePacked(hex"1901", usdc.DOMAIN_SEPARATOR(), structHash)));
        vm.prank(keeper);
        gate.fundAndSettle(authorization, terms);
        vm.snapshotGasLastCall("USDC: gasless, funded and settled through the gate");
    }

    function test_gas_directVerbs() public {
        for (uint256 k = 0; k < 2; ++k) {
            bool usdcNotPlain = k == 0;

            InvoiceTerms memory terms = termsOf(1, usdcNotPlain);
            terms.settler = address(0);
            terms.refundKey = address(0);
            put(terms, AMOUNT + 1);
            escrow.settle(terms);
            vm.snapshotGasLastCall(named("settle directly, excess stays", usdcNotPlain));
            escrow.refund(terms, terms.token);
            vm.snapshotGasLastCall(named("late sweep to a fresh address", usdcNotPlain));
            put(terms, 1);
            escrow.refund(terms, terms.token);
            vm.snapshotGasLastCall(named("late sweep to a holder", usdcNotPlain));

            terms.invoiceId = keccak256("pay");
            address token = terms.token;
            if (usdcNotPlain) fund(payer, AMOUNT + 1);
            else plain.mint(payer, AMOUNT + 1);
            vm.prank(payer);
            PlainToken(token).approve(address(escrow), AMOUNT + 1);
            vm.prank(payer);
            escrow.pay(terms, AMOUNT);
            vm.snapshotGasLastCall(named("pay", usdcNotPlain));

            terms.invoiceId = keccak256("refund");
            put(terms, AMOUNT - 1);
            vm.warp(CLOSES_AT);
            escrow.refund(terms, terms.token);
            vm.snapshotGasLastCall(named("refund at closesAt, to a holder", usdcNotPlain));
            vm.warp(NOW);
        }
    }

    /// @dev Two attestors of three sign, the settler is the gate; whoever submits it is nobody in particular.
    function test_gas_mintAndPay() public {
        topUp(stranger, AMOUNT);
        string[4] memory what = [
            "mintAndPay, the payee's first",
            "mintAndPay, to a holder",
            "mintAndPay without a settler, the payee's first",
            "mintAndPay without a settler, to a holder"
        ];
        for (uint256 i = 0; i < 4; ++i) {
            InvoiceTerms memory terms = termsOf(100 + i, true);
            terms.token = address(dollar);
            terms.payee = i < 2 ? payee : payer;
            if (i > 1) terms.settler = address(0);
            Deposit memory given = Deposit({depositId: keccak256(abi.encode(i)), amount: AMOUNT, validUntil: NOW + 900});
            bytes[] memory by = signatures(mintGate, terms, given);
            vm.prank(settler);
            mintGate.mintAndPay(terms, given, by);
            vm.snapshotGasLastCall(string.concat("ReserveToken: ", what[i]));
        }
        // A unit that lies at both gates for ever: their balances are never zero, and slots that are not new are cheap.
        vm.prank(payee);
        dollar.transfer(address(mintGate), 1);
        vm.prank(payee);
        dollar.transfer(address(gate), 1);
        InvoiceTerms memory again = termsOf(150, true);
        again.token = address(dollar);
        Deposit memory last = Deposit({depositId: "last", amount: AMOUNT, validUntil: NOW + 900});
        bytes[] memory signed = signatures(mintGate, again, last);
        vm.prank(settler);
        mintGate.mintAndPay(again, last, signed);
        vm.snapshotGasLastCall("ReserveToken: mintAndPay, to a holder, a unit at both gates");
        // As above, but the float is USDC, which has a proxy, a pause and two blacklists to look at.
        for (uint256 i = 0; i < 2; ++i) {
            InvoiceTerms memory terms = termsOf(200 + i, true);
            if (i == 0) terms.payee = customer;
            Deposit memory given = Deposit({depositId: keccak256(abi.encode(i)), amount: AMOUNT, validUntil: NOW + 900});
            bytes[] memory by = signatures(floatGate, terms, given);
            vm.prank(settler);
            floatGate.mintAndPay(terms, given, by);
            vm.snapshotGasLastCall(string.concat("USDC: float, ", what[i]));
        }
    }

    function test_gas_redeem() public {
        topUp(payer, AMOUNT);
        InvoiceTerms memory terms = redemptionTerms();
        address purse = escrow.escrowOf(terms);
        vm.prank(payer);
        dollar.transfer(purse, AMOUNT);
        InvoiceTerms[] memory batch = new InvoiceTerms[](1);
        batch[0] = terms;
        vm.prank(keeper);
        gate.settleBatch(batch, GAS_PER_ITEM);
        mintGate.redeem(terms);
        vm.snapshotGasLastCall("ReserveToken: redeem");
        vm.warp(NOW + 1);
        attest(mintGate, ALLOCATION);
        vm.snapshotGasLastCall("ReserveToken: attestReserve");
    }

    function test_gas_cancel() public {
        InvoiceTerms memory terms = termsOf(1, true);
        vm.prank(payee);
        escrow.cancel(terms);
        vm.snapshotGasLastCall("cancel by the payee");
        terms = termsOf(2, true);
        vm.prank(canceller);
        gate.cancel(terms);
        vm.snapshotGasLastCall("cancel through the gate, first");
        terms = termsOf(3, true);
        vm.prank(canceller);
        gate.cancel(terms);
        vm.snapshotGasLastCall("cancel through the gate");
    }
}
