// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {SettlementGate} from "../src/SettlementGate.sol";
import {Deposit, IAttestedGate} from "../src/interfaces/IAttestedGate.sol";
import {IInvoiceEscrow, InvoiceTerms} from "../src/interfaces/IInvoiceEscrow.sol";
import {IMintGate} from "../src/interfaces/IMintGate.sol";
import {Clearance} from "../src/interfaces/ISettlementGate.sol";
import {GateTest} from "./base/GateTest.sol";
import {HostileDollar} from "./tokens/HostileDollar.sol";

/// @notice A gate whose token misbehaves, and gates that do not fit together: a call either does all of what it says or
/// nothing.
contract GateTokensTest is GateTest {
    HostileDollar private token;

    function setUp() public override {
        super.setUp();
        token = new HostileDollar();
        uint256 nonce = vm.getNonce(address(installer));
        address predicted = vm.computeCreateAddress(address(installer), nonce + 1);
        gate = SettlementGate(
            installer.create(
                type(SettlementGate).creationCode,
                abi.encode(escrow, address(manager), predicted, address(floatGate), CANCELS_PER_DAY)
            )
        );
        mintGate = IMintGate(installer.create(MINT_GATE_CODE, abi.encode(gate, address(token), THRESHOLD, DAILY_CAP)));
        attest(mintGate, ALLOCATION);
    }

    function hostileTerms() private view returns (InvoiceTerms memory terms) {
        terms = mintTerms();
        terms.token = address(token);
    }

    function behave(HostileDollar.Way way) private {
        token.setWay(way, address(gate));
    }

    function mintHostile(bytes memory reason) private {
        mintExpecting(hostileTerms(), deposit(), reason);
        assertEq(token.totalSupply(), 0, "supply");
        assertTrue(!mintGate.depositUsed(deposit().depositId), "used");
        assertState(hostileTerms(), 0, 0, 0);
    }

    function wrongBalance(address account, uint256 balance, uint256 expected) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IAttestedGate.WrongBalanceAfter.selector, account, balance, expected);
    }

    function test_tokens_anHonestOneIsMinted() public {
        mint(hostileTerms(), deposit());
        assertEq(token.balanceOf(payee), AMOUNT, "payee");
    }

    /// @dev The payee gets all of it: on Tempo a payee's policy can send what it gets elsewhere.
    function test_T3_aTokenThatTakesAFeeIsNotMinted() public {
        behave(HostileDollar.Way.TakesAFee);
        InvoiceTerms memory terms = hostileTerms();
        terms.settler = address(0);
        mintExpecting(terms, deposit(), wrongBalance(payee, AMOUNT - 1, AMOUNT));
    }

    function test_T3_aTokenThatMintsMoreIsNotMinted() public {
        behave(HostileDollar.Way.MintsMore);
        mintHostile(wrongBalance(address(mintGate), 1, 0));
    }

    function test_T3_aTokenThatGivesToTheSettlementGateIsNotMinted() public {
        behave(HostileDollar.Way.GivesToTheSettlementGate);
        InvoiceTerms memory terms = hostileTerms();
        terms.settler = address(0);
        mintExpecting(terms, deposit(), wrongBalance(address(gate), 1, 0));
    }

    function test_E3_aTokenThatKeepsAllowancesIsNotMinted() public {
        behave(HostileDollar.Way.KeepsAllowances);
        mintHostile(
            abi.encodeWithSelector(IAttestedGate.AllowanceLeft.selector, address(mintGate), address(gate), AMOUNT)
        );
        InvoiceTerms memory terms = hostileTerms();
        terms.settler = address(0);
        mintExpecting(
            terms,
            deposit(),
            abi.encodeWithSelector(IAttestedGate.AllowanceLeft.selector, address(mintGate), address(escrow), AMOUNT)
        );
    }

    function test_redeem_aTokenThatBurnsLessIsNotRedeemed() public {
        InvoiceTerms memory terms = hostileTerms();
        terms.settler = address(0);
        terms.payee = address(mintGate);
        vm.prank(address(mintGate));
        token.mintWithMemo(escrow.escrowOf(terms), AMOUNT, "");
        escrow.settle(terms);
        behave(HostileDollar.Way.BurnsLess);
        vm.expectRevert(wrongBalance(address(mintGate), 1, 0));
        mintGate.redeem(terms);
    }

    /// @dev E5: a token that calls back in the middle of a mint or a burn finds every door shut.
    function test_E5_everyVerbOfTheMintGateIsShutWhileOneIsAtWork() public {
        InvoiceTerms memory redemption = hostileTerms();
        redemption.settler = address(0);
        redemption.payee = address(mintGate);
        vm.prank(address(mintGate));
        token.mintWithMemo(escrow.escrowOf(redemption), AMOUNT, "");
        escrow.settle(redemption);

        InvoiceTerms memory another = hostileTerms();
        another.invoiceId = keccak256("another");
        Deposit memory second = deposit();
        second.depositId = keccak256("second");
        token.addCall(
            address(mintGate),
            abi.encodeCall(mintGate.mintAndPay, (another, second, signatures(mintGate, another, second)))
        );
        token.addCall(address(mintGate), abi.encodeCall(mintGate.redeem, (redemption)));
        behave(HostileDollar.Way.CallsBack);
        mint(hostileTerms(), deposit());
        mintGate.redeem(redemption);
        assertEq(token.answered(), 4, "calls back");
        for (uint256 i = 0; i < 4; ++i) {
            assertEq(
                bytes32(bytes4(token.answers(i))),
                bytes32(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector),
                "shut"
            );
        }
        assertEq(token.balanceOf(payee), AMOUNT, "payee");
        assertEq(token.totalSupply(), AMOUNT, "supply");
    }

    /// @dev A gate of another making that takes the money past the escrow.
    function test_T3_whatIsNotRecordedAsPaidIsNotMinted() public {
        address predicted = vm.computeCreateAddress(address(installer), vm.getNonce(address(installer)));
        PastTheEscrow fake = new PastTheEscrow(escrow, address(manager), predicted);
        mintGate = IMintGate(installer.create(MINT_GATE_CODE, abi.encode(fake, address(token), THRESHOLD, DAILY_CAP)));
        attest(mintGate, ALLOCATION);
        InvoiceTerms memory terms = hostileTerms();
        terms.settler = address(fake);
        mintExpecting(terms, deposit(), abi.encodeWithSelector(IAttestedGate.PaidNotAsIssued.selector, 0, AMOUNT));
    }

    /// @dev An address that was predicted wrongly shows at once.
    function test_gates_knowEachOtherOrAreNotCreated() public {
        address predicted = vm.computeCreateAddress(address(installer), vm.getNonce(address(installer)));
        vm.expectRevert(
            abi.encodeWithSelector(IAttestedGate.NotKnownToSettlementGate.selector, address(mintGate), predicted)
        );
        installer.create(MINT_GATE_CODE, abi.encode(gate, address(token), THRESHOLD, DAILY_CAP));
        predicted = vm.computeCreateAddress(address(installer), vm.getNonce(address(installer)));
        vm.expectRevert(
            abi.encodeWithSelector(IAttestedGate.NotKnownToSettlementGate.selector, address(floatGate), predicted)
        );
        installer.create(FLOAT_GATE_CODE, abi.encode(gate, address(token), THRESHOLD, DAILY_CAP));
    }

    function test_gates_needAnAttestor() public {
        uint256 nonce = vm.getNonce(address(installer));
        address predicted = vm.computeCreateAddress(address(installer), nonce + 1);
        installer.create(
            type(SettlementGate).creationCode,
            abi.encode(escrow, address(manager), predicted, address(0), CANCELS_PER_DAY)
        );
        address settlementGate = vm.computeCreateAddress(address(installer), nonce);
        vm.expectRevert(IAttestedGate.ZeroThreshold.selector);
        installer.create(MINT_GATE_CODE, abi.encode(settlementGate, address(token), 0, DAILY_CAP));
    }
}

/// @notice A settlement gate that pays the payee itself and records nothing.
contract PastTheEscrow {
    IInvoiceEscrow public immutable ESCROW;
    address public immutable authority;
    address public immutable MINT_GATE;
    address public constant FLOAT_GATE = address(0);

    constructor(IInvoiceEscrow escrow, address authority_, address mintGate) {
        (ESCROW, authority, MINT_GATE) = (escrow, authority_, mintGate);
    }

    function payFrom(InvoiceTerms calldata terms, uint256 amount, Clearance calldata) external returns (uint256) {
        HostileDollar(terms.token).transferFrom(msg.sender, terms.payee, amount);
        return amount;
    }
}
