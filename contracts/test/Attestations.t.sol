// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Deposit, IAttestedGate, Reserve} from "../src/interfaces/IAttestedGate.sol";
import {GateTest} from "./base/GateTest.sol";

/// @notice What attestors sign is the same in Rust and here, where the same functions sign what the gates accept.
contract AttestationsTest is GateTest {
    string private constant VECTORS = "../crates/terms/vectors/attestations.json";

    function test_attestations_vectorsOfTheRustSideAgree() public view {
        string memory json = vm.readFile(VECTORS); // fails where the file is missing
        uint256 n;
        for (; vm.keyExistsJson(json, string.concat("$.deposits[", vm.toString(n), "]")); ++n) {
            string memory path = string.concat("$.deposits[", vm.toString(n), "]");
            string memory told = string.concat(path, ".attestation");
            Deposit memory given = Deposit({
                depositId: vm.parseJsonBytes32(json, string.concat(told, ".deposit_id")),
                amount: uint128(vm.parseJsonUint(json, string.concat(told, ".amount"))),
                validUntil: uint64(vm.parseJsonUint(json, string.concat(told, ".valid_until")))
            });
            bytes32 structHash = depositHash({
                termsHash: vm.parseJsonBytes32(json, string.concat(told, ".terms_hash")),
                token: vm.parseJsonAddress(json, string.concat(told, ".token")),
                given: given
            });
            _mustBe({json: json, path: path, structHash: structHash});
        }
        assertGe(n, 10, "deposits");
        for (n = 0; vm.keyExistsJson(json, string.concat("$.reserves[", vm.toString(n), "]")); ++n) {
            string memory path = string.concat("$.reserves[", vm.toString(n), "]");
            string memory told = string.concat(path, ".attestation");
            Reserve memory statement = Reserve({
                allocation: uint128(vm.parseJsonUint(json, string.concat(told, ".allocation"))),
                nonce: uint64(vm.parseJsonUint(json, string.concat(told, ".nonce"))),
                asOf: uint64(vm.parseJsonUint(json, string.concat(told, ".as_of")))
            });
            address token = vm.parseJsonAddress(json, string.concat(told, ".token"));
            _mustBe({json: json, path: path, structHash: reserveHash(token, statement)});
        }
        assertGe(n, 8, "reserves");
    }

    function _mustBe(string memory json, string memory path, bytes32 structHash) private pure {
        bytes32 domainSeparator = domain({
            name: vm.parseJsonString(json, string.concat(path, ".domain")),
            chain: vm.parseJsonUint(json, string.concat(path, ".chain")),
            verifier: IAttestedGate(vm.parseJsonAddress(json, string.concat(path, ".gate")))
        });
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", domainSeparator, structHash));
        assertEq(digest, vm.parseJsonBytes32(json, string.concat(path, ".digest")), path);
    }
}
