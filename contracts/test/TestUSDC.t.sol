// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EscrowTest} from "./base/EscrowTest.sol";
import {TestUSDC, TestUSDCProxy} from "./tokens/TestUSDC.sol";

/// @notice The test dollar does what the tests of others rely on.
contract TestUSDCTest is EscrowTest {
    function test_usdc_isWhatWalletsKnow() public view {
        assertEq(keccak256(bytes(usdc.name())), keccak256("USD Coin"), "name");
        assertEq(keccak256(bytes(usdc.symbol())), keccak256("USDC"), "symbol");
        assertEq(keccak256(bytes(usdc.version())), keccak256("2"), "version");
        assertEq(usdc.decimals(), 6, "decimals");
    }

    function test_usdc_isInitializedOnce() public {
        vm.expectRevert(TestUSDC.AlreadyInitialized.selector);
        usdc.initialize(stranger);
        TestUSDC fresh = new TestUSDC();
        vm.expectRevert(TestUSDC.ZeroAddress.selector);
        fresh.initialize(address(0));
    }

    function test_usdc_supplyIsMintedLessBurned() public {
        fund(issuer, 100);
        vm.prank(issuer);
        usdc.burn(40);
        assertEq(usdc.totalSupply(), 60, "supply");
        assertEq(usdc.balanceOf(issuer), 60, "balance");
        vm.expectRevert(abi.encodeWithSelector(TestUSDC.InsufficientBalance.selector, issuer, 60, 61));
        vm.prank(issuer);
        usdc.burn(61);
    }

    function test_usdc_onlyTheOwnerRules() public {
        bytes[6] memory calls = [
            abi.encodeCall(usdc.mint, (stranger, 1)),
            abi.encodeCall(usdc.burn, (1)),
            abi.encodeCall(usdc.pause, ()),
            abi.encodeCall(usdc.unpause, ()),
            abi.encodeCall(usdc.blacklist, (payee)),
            abi.encodeCall(usdc.unBlacklist, (payee))
        ];
        for (uint256 i = 0; i < calls.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(TestUSDC.NotOwner.selector, stranger));
            vm.prank(stranger);
            (bool ignored,) = address(usdc).call(calls[i]);
            ignored;
        }
    }

    function test_usdc_blacklistStopsBothWaysAndKeepsTheBalance() public {
        fund(payer, 5);
        fund(stranger, 5);
        vm.prank(issuer);
        usdc.blacklist(payer);
        assertEq(usdc.balanceOf(payer), 5, "balance");
        vm.expectRevert(abi.encodeWithSelector(TestUSDC.IsBlacklisted.selector, payer));
        vm.prank(payer);
        usdc.transfer(stranger, 1);
        vm.expectRevert(abi.encodeWithSelector(TestUSDC.IsBlacklisted.selector, payer));
        vm.prank(stranger);
        usdc.transfer(payer, 1);
    }

    function test_usdc_permit() public {
        uint256 deadline = NOW + 10;
        bytes32 structHash = keccak256(abi.encode(usdc.PERMIT_TYPEHASH(), payer, stranger, 7, 0, deadline));
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", usdc.DOMAIN_SEPARATOR(), structHash));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(keyOf("payer"), digest);
        vm.warp(deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(TestUSDC.PermitExpired.selector, deadline, deadline + 1));
        usdc.permit(payer, stranger, 7, deadline, v, r, s);
        vm.warp(deadline);
        usdc.permit(payer, stranger, 7, deadline, v, r, s);
        assertEq(usdc.allowance(payer, stranger), 7, "allowance");
        vm.expectRevert(TestUSDC.InvalidSignature.selector);
        usdc.permit(payer, stranger, 7, deadline, v, r, s);
    }

    function test_usdc_receiveWithAuthorizationIsTheReceiversToCall() public {
        fund(payer, 9);
        bytes32 structHash = keccak256(
            abi.encode(usdc.RECEIVE_WITH_AUTHORIZATION_TYPEHASH(), payer, payee, 9, 0, NOW + 1, bytes32("n"))
        );
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", usdc.DOMAIN_SEPARATOR(), structHash));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(keyOf("payer"), digest);
        vm.expectRevert(abi.encodeWithSelector(TestUSDC.CallerMustBePayee.selector, stranger, payee));
        vm.prank(stranger);
        usdc.receiveWithAuthorization(payer, payee, 9, 0, NOW + 1, "n", v, r, s);
        vm.prank(payee);
        usdc.receiveWithAuthorization(payer, payee, 9, 0, NOW + 1, "n", v, r, s);
        assertEq(usdc.balanceOf(payee), 9, "payee");
        assertTrue(usdc.authorizationState(payer, "n"), "used");
        vm.expectRevert(abi.encodeWithSelector(TestUSDC.AuthorizationSpent.selector, payer, bytes32("n")));
        vm.prank(payee);
        usdc.receiveWithAuthorization(payer, payee, 9, 0, NOW + 1, "n", v, r, s);
    }

    function test_usdc_canBeUpgradedByTheProxysAdminOnly() public {
        TestUSDC next = new TestUSDC();
        TestUSDCProxy proxy = TestUSDCProxy(payable(address(usdc)));
        vm.expectRevert(abi.encodeWithSelector(TestUSDCProxy.NotAdmin.selector, stranger));
        vm.prank(stranger);
        proxy.upgradeTo(address(next));
        address proxyAdmin = makeAddress("proxy admin");
        vm.prank(proxyAdmin);
        proxy.upgradeTo(address(next));
        fund(payer, 3);
        assertEq(usdc.balanceOf(payer), 3, "still works");
        vm.expectRevert(TestUSDCProxy.AdminCannotUseTheToken.selector);
        vm.prank(proxyAdmin);
        usdc.transfer(payer, 1);
    }
}
