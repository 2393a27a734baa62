// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {InvoiceEscrow} from "../src/InvoiceEscrow.sol";
import {Purse} from "../src/Purse.sol";
import {EscrowTest} from "./base/EscrowTest.sol";

/// @notice The published addresses and bytes are what the sources give.
contract DeploymentTest is EscrowTest {
    string private constant PUBLISHED = "artifacts/deployment.json";

    function test_E10_publishedEscrowAddress() public view {
        string memory json = vm.readFile(PUBLISHED);
        address computed = vm.computeCreate2Address(
            vm.parseJsonBytes32(json, ".salt"),
            keccak256(type(InvoiceEscrow).creationCode),
            vm.parseJsonAddress(json, ".deployer")
        );
        assertEq(vm.parseJsonAddress(json, ".escrow"), computed, "run contracts/artifacts.mjs");
    }

    function test_E10_publishedPurseInitCodeHash() public view {
        bytes32 published = vm.parseJsonBytes32(vm.readFile(PUBLISHED), ".purseInitCodeHash");
        assertEq(published, keccak256(type(Purse).creationCode), "run contracts/artifacts.mjs");
        assertEq(published, escrow.PURSE_INIT_CODE_HASH(), "the escrow's own");
    }

    /// @dev Nothing in the code depends on the chain it was deployed on.
    function test_E10_sameCodeOnEveryChain() public {
        vm.chainId(1);
        vm.warp(1);
        InvoiceEscrow other = new InvoiceEscrow();
        assertEq(address(other).codehash, address(escrow).codehash, "code");
    }

    function test_E10_codeFitsEip170And3860() public view {
        assertLe(address(escrow).code.length, 24_576, "code");
        assertLe(type(InvoiceEscrow).creationCode.length, 49_152, "creation code");
    }

    /// @dev Tempo (T4): 2,500 gas a byte and about a million besides, of at most 30 million in a transaction.
    function test_E10_everyContractCanBeDeployedOnTempo() public view {
        assertLe(address(escrow).code.length * 2500 + 1_200_000, 30_000_000, "escrow");
        string[3] memory names = ["Governance", "SettlementGate", "MintGate"];
        for (uint256 i = 0; i < names.length; ++i) {
            string memory json = vm.readFile(string.concat("artifacts/", names[i], ".json"));
            uint256 size = vm.parseJsonBytes(json, ".deployedBytecode").length;
            assertLe(size * 2500 + 1_200_000, 30_000_000, names[i]);
        }
    }
}
