// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAttestedGate} from "../src/interfaces/IAttestedGate.sol";
import {IInvoiceEscrow, InvoiceTerms} from "../src/interfaces/IInvoiceEscrow.sol";
import {IMintGate} from "../src/interfaces/IMintGate.sol";
import {IReserveToken} from "../src/interfaces/IReserveToken.sol";
import {GateTest} from "./base/GateTest.sol";
import {PlainToken} from "./tokens/PlainToken.sol";

/// @notice `MintGate.redeem`, branch by branch.
contract RedeemTest is GateTest {
    function setUp() public override {
        super.setUp();
        topUp(payer, 2 * AMOUNT);
    }

    /// @dev The payer sends dollars to the redemption's address and the keeper settles, as with any invoice.
    function bring(InvoiceTerms memory terms) private {
        address purse = escrow.escrowOf(terms);
        vm.prank(payer);
        dollar.transfer(purse, terms.amount);
        InvoiceTerms[] memory batch = new InvoiceTerms[](1);
        batch[0] = terms;
        vm.prank(keeper);
        gate.settleBatch(batch, GAS_PER_ITEM);
    }

    function test_redeem_burnsWhatTheInvoiceBrought() public {
        InvoiceTerms memory terms = redemptionTerms();
        bring(terms);
        assertEq(dollar.balanceOf(address(mintGate)), AMOUNT, "waits at the gate");
        vm.expectEmit(true, true, true, true, address(mintGate));
        emit IMintGate.Redeemed(hashOf(terms), address(dollar), AMOUNT);
        vm.expectEmit(true, true, true, true, address(dollar));
        emit IReserveToken.TransferWithMemo(address(mintGate), address(0), AMOUNT, hashOf(terms));
        vm.prank(stranger);
        assertEq(mintGate.redeem(terms), AMOUNT, "burned");
        assertEq(dollar.totalSupply(), AMOUNT, "supply");
        assertNothingLeft(address(dollar), 0, 0);
        assertTrue(mintGate.redeemed(hashOf(terms)), "redeemed");
    }

    /// @dev R3: one redemption burns once, whatever lies at the gate.
    function test_R3_oneRedemptionBurnsOnce() public {
        InvoiceTerms memory terms = redemptionTerms();
        bring(terms);
        vm.prank(payer);
        dollar.transfer(address(mintGate), AMOUNT);
        mintGate.redeem(terms);
        vm.expectRevert(abi.encodeWithSelector(IMintGate.AlreadyRedeemed.selector, hashOf(terms)));
        mintGate.redeem(terms);
        assertEq(dollar.balanceOf(address(mintGate)), AMOUNT, "what was sent by mistake stays");
    }

    /// @dev R3: burn precedes payout; a balance at the gate is no redemption.
    function test_R3_aRedemptionThatIsNotPaidReverts() public {
        InvoiceTerms memory terms = redemptionTerms();
        vm.prank(payer);
        dollar.transfer(address(mintGate), AMOUNT);
        vm.expectRevert(abi.encodeWithSelector(IMintGate.NotPaid.selector, hashOf(terms), uint8(0)));
        mintGate.redeem(terms);
        vm.prank(canceller);
        gate.cancel(terms);
        vm.expectRevert(abi.encodeWithSelector(IMintGate.NotPaid.selector, hashOf(terms), uint8(2)));
        mintGate.redeem(terms);
    }

    function test_redeem_ofJunkTokensReverts() public {
        PlainToken junk = new PlainToken(6);
        InvoiceTerms memory terms = redemptionTerms();
        terms.token = address(junk);
        terms.settler = address(0);
        junk.mint(escrow.escrowOf(terms), AMOUNT);
        escrow.settle(terms);
        vm.prank(payer);
        dollar.transfer(address(mintGate), AMOUNT);
        vm.expectRevert(abi.encodeWithSelector(IAttestedGate.WrongToken.selector, address(junk), address(dollar)));
        mintGate.redeem(terms);
    }

    function test_redeem_ofAnothersInvoiceReverts() public {
        InvoiceTerms memory terms = mintTerms();
        bring(terms);
        vm.expectRevert(abi.encodeWithSelector(IMintGate.PayeeNotGate.selector, payee, address(mintGate)));
        mintGate.redeem(terms);
    }

    /// @dev R3 over chains: the same terms and gates on another chain, where they were paid.
    function test_R3_aRedemptionOfAnotherChainReverts() public {
        InvoiceTerms memory terms = redemptionTerms();
        bring(terms);
        vm.chainId(4217);
        vm.expectRevert(abi.encodeWithSelector(IInvoiceEscrow.WrongChain.selector, uint64(BASE), 4217));
        mintGate.redeem(terms);
    }

    /// @dev R1, R5: a stale reserve, a pause and a closed target stop no redemption.
    function test_R5_nothingOfOursStopsARedemption() public {
        InvoiceTerms memory terms = redemptionTerms();
        bring(terms);
        vm.prank(oncall);
        mintGate.pauseMint();
        attest(mintGate, 0);
        address[3] memory closed = [address(mintGate), address(gate), address(manager)];
        for (uint256 i = 0; i < closed.length; ++i) {
            bytes memory call = abi.encodeCall(manager.setTargetClosed, (closed[i], true));
            vm.prank(safe());
            manager.schedule(address(manager), call, 0);
        }
        vm.warp(NOW + 7 days);
        for (uint256 i = 0; i < closed.length; ++i) {
            vm.prank(safe());
            manager.setTargetClosed(closed[i], true);
        }
        vm.prank(stranger);
        mintGate.redeem(terms);
        assertEq(dollar.totalSupply(), AMOUNT, "supply");
    }

    /// @dev Forged terms are other terms.
    function testFuzz_T1_forgedTermsRedeemNothing(uint8 field, uint256 value) public {
        InvoiceTerms memory terms = redemptionTerms();
        bring(terms);
        field = field % 6;
        if (field == 0) terms.invoiceId = bytes32(value);
        else if (field == 1) terms.amount = uint128(bound(value, 0, type(uint128).max));
        else if (field == 2) terms.closesAt = uint64(bound(value, 0, type(uint64).max));
        else if (field == 3) terms.refundTo = address(uint160(value));
        else if (field == 4) terms.refundKey = address(uint160(value));
        else terms.settler = address(uint160(value));
        vm.assume(hashOf(terms) != hashOf(redemptionTerms()));
        vm.expectRevert(abi.encodeWithSelector(IMintGate.NotPaid.selector, hashOf(terms), uint8(0)));
        mintGate.redeem(terms);
    }
}
