// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Deposit, IAttestedGate, Reserve} from "../../src/interfaces/IAttestedGate.sol";
import {InvoiceTerms} from "../../src/interfaces/IInvoiceEscrow.sol";
import {GateTest} from "../base/GateTest.sol";

/// @notice Everybody's calls around the mint gate, in any order, with books of its own.
///
/// Invoices 0 to 5 are somebody's, 6 to 9 are redemptions; every second one has no settler. A deposit is attested for an
/// invoice and may be tried as often as anyone likes, for it or for another.
contract MintHandler is GateTest {
    uint256 public constant INVOICES = 10;
    uint256 private constant FIRST_REDEMPTION = 6;

    uint256 public minted;
    uint256 public redeemed;
    uint256 public dustAtMintGate;
    uint256 public dustAtGate;
    mapping(uint256 i => uint256) public mintedFor;
    mapping(uint256 i => uint256) public redeemedFor;
    mapping(bytes32 depositId => uint256) public used;
    uint256 public overAllocation;
    uint256 public successes;

    function setUp() public override {
        super.setUp();
        vm.warp(NOW);
    }

    function termsOf(uint256 i) public view returns (InvoiceTerms memory terms) {
        terms = mintTerms();
        terms.invoiceId = bytes32(i);
        terms.closesAt = NOW + 300 days;
        terms.amount = uint128(AMOUNT / 10 * (i + 1));
        if (i % 2 == 1) terms.settler = address(0);
        if (i >= FIRST_REDEMPTION) terms.payee = address(mintGate);
    }

    function termsHashOf(uint256 i) public view returns (bytes32) {
        return hashOf(termsOf(i));
    }

    function parts() external view returns (IAttestedGate, address, address) {
        return (mintGate, address(gate), address(dollar));
    }

    function stateOf(uint256 i) public view returns (uint128 paid, uint8 status) {
        (paid, status,) = escrow.stateOf(termsHashOf(i));
    }

    /// @notice Minted for one invoice, with the attestation of any, or with more or fewer signatures than it takes.
    function mint(uint256 i, uint256 signedFor, uint8 depositNumber, uint128 amount, uint8 signers) external {
        i = i % INVOICES;
        signedFor = signedFor % 4 == 0 ? signedFor % INVOICES : i;
        InvoiceTerms memory terms = termsOf(i);
        Deposit memory given = Deposit({
            depositId: bytes32(uint256(depositNumber % 24)),
            amount: uint128(bound(amount, terms.amount - 1, 2 * uint256(terms.amount))),
            validUntil: uint64(block.timestamp + 900)
        });
        bytes[] memory by =
            signedBy(bound(signers, 1, ATTESTORS), domainOf(mintGate), depositHash(termsOf(signedFor), given));
        (uint128 allocation,,) = mintGate.reserve();
        vm.prank(stranger);
        (bool done, bytes memory answer) =
            address(mintGate).call(abi.encodeCall(mintGate.mintAndPay, (terms, given, by)));
        if (!done) return;
        uint256 paid = abi.decode(answer, (uint256));
        minted += paid;
        mintedFor[i] += paid;
        used[given.depositId] += 1;
        successes += 1;
        if (dollar.totalSupply() > allocation) overAllocation += 1;
    }

    function redeem(uint256 i) external {
        i = i % INVOICES;
        vm.prank(stranger);
        (bool done, bytes memory answer) = address(mintGate).call(abi.encodeCall(mintGate.redeem, (termsOf(i))));
        if (!done) return;
        redeemed += abi.decode(answer, (uint256));
        redeemedFor[i] += 1;
        successes += 1;
    }

    /// @notice Whoever was paid sends money to an invoice's address, and it is settled.
    function send(uint256 i, uint256 amount, bool settle) external {
        i = i % INVOICES;
        InvoiceTerms memory terms = termsOf(i);
        uint256 has = dollar.balanceOf(payee);
        if (has == 0) return;
        address purse = purseOf(terms);
        vm.prank(payee);
        dollar.transfer(purse, bound(amount, 1, has));
        if (settle) settleOne(i);
    }

    /// @notice What the redemption needs, in full.
    function sendRedemption(uint256 i) external {
        i = FIRST_REDEMPTION + i % (INVOICES - FIRST_REDEMPTION);
        InvoiceTerms memory terms = termsOf(i);
        if (dollar.balanceOf(payee) < terms.amount) return;
        address purse = purseOf(terms);
        vm.prank(payee);
        dollar.transfer(purse, terms.amount);
        settleOne(i);
    }

    function settleOne(uint256 i) public {
        InvoiceTerms memory terms = termsOf(i % INVOICES);
        if (terms.settler == address(0)) {
            (bool done,) = address(escrow).call(abi.encodeCall(escrow.settle, (terms)));
            done;
        } else {
            InvoiceTerms[] memory batch = new InvoiceTerms[](1);
            batch[0] = terms;
            vm.prank(keeper);
            gate.settleBatch(batch, GAS_PER_ITEM);
        }
    }

    function cancel(uint256 i) external {
        // Rarely, or nothing is left to pay.
        if (i % 8 != 0) return;
        InvoiceTerms memory terms = termsOf((i / 8) % INVOICES);
        vm.prank(terms.settler == address(0) ? terms.payee : canceller);
        (bool done,) = terms.settler == address(0)
            ? address(escrow).call(abi.encodeCall(escrow.cancel, (terms)))
            : address(gate).call(abi.encodeCall(gate.cancel, (terms)));
        done;
    }

    /// @notice Dust, by whoever has any.
    function dust(uint256 amount, bool toMintGate) external {
        uint256 has = dollar.balanceOf(payee);
        if (has == 0) return;
        amount = bound(amount, 1, has > 9 ? 9 : has);
        vm.prank(payee);
        dollar.transfer(toMintGate ? address(mintGate) : address(gate), amount);
        if (toMintGate) dustAtMintGate += amount;
        else dustAtGate += amount;
    }

    /// @notice The attestors say how much there is: more or less, also less than what there is of the token.
    function attestAllocation(uint128 allocation, uint64 nonce) external {
        (, uint64 latest,) = mintGate.reserve();
        Reserve memory given = Reserve({
            allocation: uint128(bound(allocation, 0, 4 * AMOUNT)),
            nonce: uint64(bound(nonce, 0, uint256(latest) + 3)),
            asOf: uint64(block.timestamp)
        });
        bytes[] memory by = signatures(mintGate, given);
        (bool done,) = address(mintGate).call(abi.encodeCall(mintGate.attestReserve, (given, by)));
        done;
    }

    function pause(bool on) external {
        if (on) {
            vm.prank(oncall);
            mintGate.pauseMint();
        } else {
            vm.prank(address(manager));
            (bool done,) = address(mintGate).call(abi.encodeCall(mintGate.unpauseMint, ()));
            assertTrue(!done, "nobody goes round the delay, not even governance itself");
            bytes memory data = abi.encodeCall(mintGate.unpauseMint, ());
            address admin = safe();
            vm.prank(admin);
            (done,) = address(manager).call(abi.encodeCall(manager.schedule, (address(mintGate), data, 0)));
            vm.warp(block.timestamp + 2 days);
            vm.prank(admin);
            mintGate.unpauseMint();
            attest(mintGate, 4 * AMOUNT);
        }
    }

    function wait(uint32 time) external {
        vm.warp(block.timestamp + time % 2 hours);
    }
}
