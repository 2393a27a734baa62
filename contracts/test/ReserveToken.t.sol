// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC3009} from "@openzeppelin/contracts/token/ERC20/extensions/draft-ERC3009.sol";

import {ReserveToken} from "../src/ReserveToken.sol";
import {InvoiceTerms} from "../src/interfaces/IInvoiceEscrow.sol";
import {IReserveToken} from "../src/interfaces/IReserveToken.sol";
import {Authorization} from "../src/interfaces/ISettlementGate.sol";
import {GateTest} from "./base/GateTest.sol";
import {Vm} from "./base/Vm.sol";

contract ReserveTokenTest is GateTest {
    function test_dollar_isADollar() public view {
        assertEq(dollar.decimals(), 6, "decimals");
        assertEq(keccak256(bytes(dollar.name())), keccak256("Monay Dollar"), "name");
        assertEq(keccak256(bytes(dollar.symbol())), keccak256("MUSD"), "symbol");
        assertEq(dollar.MINT_GATE(), address(mintGate), "mint gate");
    }

    /// @dev G4: nobody but the mint gate mints or burns, whatever his role.
    function test_G4_onlyTheMintGateMintsAndBurns() public {
        topUp(payer, AMOUNT);
        address[7] memory others = [stranger, payer, keeper, oncall, address(gate), address(floatGate), safe()];
        for (uint256 i = 0; i < others.length; ++i) {
            bytes memory reason =
                abi.encodeWithSelector(ReserveToken.NotMintGate.selector, others[i], address(mintGate));
            vm.expectRevert(reason);
            vm.prank(others[i]);
            dollar.mintWithMemo(others[i], 1, "");
            vm.expectRevert(reason);
            vm.prank(others[i]);
            dollar.burnWithMemo(1, "");
        }
    }

    /// @dev The events of a TIP-20, in its order and with its topics, so that one indexer reads both.
    function test_dollar_eventsAreThoseOfATip20() public {
        vm.recordLogs();
        vm.prank(address(mintGate));
        dollar.mintWithMemo(payer, 7, "memo");
        Vm.Log[] memory logs = vm.getRecordedLogs();
        assertEq(logs.length, 3, "logs");
        assertEq(logs[0].topics[0], 0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef, "Transfer");
        assertEq(logs[1].topics[0], 0x57bc7354aa85aed339e000bccffabbc529466af35f0772c8f8ee1145927de7f0, "with memo");
        assertEq(logs[1].topics[1], bytes32(0), "from");
        assertEq(logs[1].topics[2], bytes32(uint256(uint160(payer))), "to");
        assertEq(logs[1].topics[3], bytes32("memo"), "memo");
        assertEq(logs[2].topics[0], 0x0f6798a560793a54c3bcfe86a93cde1e73087d944c0ea20544137d4121396885, "Mint");
        assertEq(abi.decode(logs[2].data, (uint256)), 7, "amount");

        vm.prank(payer);
        dollar.transfer(address(mintGate), 7);
        vm.recordLogs();
        vm.prank(address(mintGate));
        dollar.burnWithMemo(7, "memo");
        logs = vm.getRecordedLogs();
        assertEq(logs.length, 3, "logs");
        assertEq(logs[1].topics[1], bytes32(uint256(uint160(address(mintGate)))), "from");
        assertEq(logs[1].topics[2], bytes32(0), "to");
        assertEq(logs[2].topics[0], 0xcc16f5dbb4873280815c1ee09dbd06736cffcc184412cf7a71a0fdb75d397ca5, "Burn");
        assertEq(dollar.totalSupply(), 0, "supply");
    }

    function test_dollar_needsAGateThatIsForIt() public {
        vm.expectRevert(
            abi.encodeWithSelector(
                ReserveToken.GateOfAnotherToken.selector,
                address(dollar),
                vm.computeCreateAddress(address(installer), vm.getNonce(address(installer)))
            )
        );
        installer.create(type(ReserveToken).creationCode, abi.encode("Monay Dollar", "MUSD", mintGate));
    }

    function authorize(string memory who, address to, uint256 validAfter, uint256 validBefore)
        private
        view
        returns (Authorization memory authorization)
    {
        authorization = Authorization({
            from: vm.addr(keyOf(who)),
            value: AMOUNT,
            validAfter: validAfter,
            validBefore: validBefore,
            nonce: keccak256("nonce"),
            signature: ""
        });
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256(
                    "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
                ),
                authorization.from,
                to,
                AMOUNT,
                validAfter,
                validBefore,
                authorization.nonce
            )
        );
        authorization.signature =
            sign(who, keccak256(abi.encodePacked(hex"1901", dollar.DOMAIN_SEPARATOR(), structHash)));
    }

    /// @dev Gasless payers, as with USDC: 65 bytes go as r, s, v.
    function test_dollar_gaslessThroughTheGate() public {
        topUp(payer, AMOUNT);
        InvoiceTerms memory terms = mintTerms();
        Authorization memory authorization = authorize("payer", escrow.escrowOf(terms), 0, NOW + 1 hours);
        vm.prank(keeper);
        gate.fundAndSettle(authorization, terms);
        assertEq(dollar.balanceOf(payee), AMOUNT, "payee");
    }

    function submit(Authorization memory a, address to) private {
        dollar.transferWithAuthorization(a.from, to, a.value, a.validAfter, a.validBefore, a.nonce, a.signature);
    }

    /// @dev A signature of any form, for contracts that sign (ERC-1271) and for plain accounts; once each.
    function test_dollar_authorizationWithBytes() public {
        SaysYes wallet = new SaysYes();
        topUp(address(wallet), AMOUNT);
        topUp(payer, AMOUNT);
        Authorization memory a = Authorization({
            from: address(wallet),
            value: AMOUNT,
            validAfter: 0,
            validBefore: NOW + 1,
            nonce: "1",
            signature: hex"c0ffee"
        });
        submit(a, payee);
        vm.expectRevert(abi.encodeWithSelector(ERC3009.ERC3009UsedAuthorization.selector, address(wallet), a.nonce));
        submit(a, payee);
        submit(authorize("payer", payee, 0, NOW + 1), payee);
        assertEq(dollar.balanceOf(payee), 2 * AMOUNT, "payee");
        a = authorize("stranger", payee, 0, NOW + 1);
        a.from = payer;
        a.nonce = "2";
        vm.expectRevert(ERC3009.ERC3009InvalidSignature.selector);
        submit(a, payee);
    }

    /// @dev Seconds, not blocks: the library would take bit 47 for "these are block numbers".
    function test_dollar_authorizationsAreInSeconds() public {
        topUp(payer, AMOUNT);
        Authorization memory a = authorize("payer", payee, NOW, NOW + 10);
        bytes memory reason = abi.encodeWithSelector(ERC3009.ERC3009InvalidAuthorizationTime.selector, NOW, NOW + 10);
        vm.expectRevert(reason);
        submit(a, payee);
        vm.warp(NOW + 10);
        vm.expectRevert(reason);
        submit(a, payee);
        vm.warp(NOW + 9);
        submit(a, payee);
        uint256 flag = 1 << 47;
        vm.roll(100);
        a = authorize("payer", payee, flag, flag + 1000);
        vm.expectRevert(abi.encodeWithSelector(ERC3009.ERC3009InvalidAuthorizationTime.selector, flag, flag + 1000));
        submit(a, payee);
    }

    function test_dollar_permit() public {
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                payer,
                stranger,
                AMOUNT,
                0,
                NOW
            )
        );
        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(keyOf("payer"), keccak256(abi.encodePacked(hex"1901", dollar.DOMAIN_SEPARATOR(), structHash)));
        dollar.permit(payer, stranger, AMOUNT, NOW, v, r, s);
        assertEq(dollar.allowance(payer, stranger), AMOUNT, "allowance");
    }
}

contract SaysYes {
    function isValidSignature(bytes32, bytes calldata) external pure returns (bytes4) {
        return this.isValidSignature.selector;
    }
}
