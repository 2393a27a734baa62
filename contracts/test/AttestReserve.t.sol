// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAttestedGate, Reserve} from "../src/interfaces/IAttestedGate.sol";
import {GateTest} from "./base/GateTest.sol";

/// @notice The statement about the reserve, branch by branch. `setUp` brought the first one: nonce 1, of NOW.
contract AttestReserveTest is GateTest {
    function bring(Reserve memory given, bytes memory reason) private {
        bytes[] memory by = signatures(mintGate, given);
        vm.expectRevert(reason);
        mintGate.attestReserve(given, by);
    }

    function assertReserve(uint256 allocation, uint256 nonce, uint256 asOf) private view {
        (uint128 gotAllocation, uint64 gotNonce, uint64 gotAsOf) = mintGate.reserve();
        assertEq(gotAllocation, allocation, "allocation");
        assertEq(gotNonce, nonce, "nonce");
        assertEq(gotAsOf, asOf, "asOf");
    }

    function test_attestReserve_byAnyoneWhoCarriesIt() public {
        Reserve memory given = Reserve({allocation: 7, nonce: 5, asOf: NOW});
        bytes[] memory by = signatures(mintGate, given);
        vm.expectEmit(true, true, true, true, address(mintGate));
        emit IAttestedGate.ReserveAttested(7, 5, NOW);
        vm.prank(stranger);
        mintGate.attestReserve(given, by);
        assertReserve(7, 5, NOW);
    }

    /// @dev R1: an earlier statement, with a larger reserve, cannot be brought back.
    function test_R1_aStatementIsNeverRolledBack() public {
        Reserve memory large = Reserve({allocation: 9 * ALLOCATION, nonce: 2, asOf: NOW});
        bytes[] memory by = signatures(mintGate, large);
        mintGate.attestReserve(large, by);
        attest(mintGate, 1);
        vm.expectRevert(abi.encodeWithSelector(IAttestedGate.ReserveNotNewer.selector, uint64(2), uint64(3)));
        mintGate.attestReserve(large, by);
        bring(
            Reserve({allocation: 9, nonce: 3, asOf: NOW}),
            abi.encodeWithSelector(IAttestedGate.ReserveNotNewer.selector, uint64(3), uint64(3))
        );
        assertReserve(1, 3, NOW);
    }

    /// @dev R1: nor one of an earlier moment under a new number.
    function test_R1_aStatementOfAnEarlierMomentReverts() public {
        bring(
            Reserve({allocation: 9, nonce: 2, asOf: NOW - 1}),
            abi.encodeWithSelector(IAttestedGate.InvalidAsOf.selector, NOW - 1, NOW)
        );
    }

    function test_R1_aStatementOfTheFutureReverts() public {
        bring(
            Reserve({allocation: 9, nonce: 2, asOf: NOW + 1}),
            abi.encodeWithSelector(IAttestedGate.InvalidAsOf.selector, NOW + 1, NOW)
        );
    }

    function test_R1_aStaleStatementReverts() public {
        vm.warp(NOW + 24 hours + 1);
        Reserve memory given = Reserve({allocation: 9, nonce: 2, asOf: NOW});
        bring(given, abi.encodeWithSelector(IAttestedGate.InvalidAsOf.selector, NOW, NOW + 24 hours + 1));
        given.asOf = NOW + 1;
        bytes[] memory by = signatures(mintGate, given);
        mintGate.attestReserve(given, by);
        assertReserve(9, 2, NOW + 1);
    }

    function test_attestReserve_byTooFewReverts() public {
        Reserve memory given = Reserve({allocation: 9, nonce: 2, asOf: NOW});
        bytes[] memory by = signedBy(1, domainOf(mintGate), reserveHash(address(dollar), given));
        vm.expectRevert(abi.encodeWithSelector(IAttestedGate.TooFewSignatures.selector, 1, 2));
        mintGate.attestReserve(given, by);
    }

    /// @dev Another chain, another gate, another token, and a deposit's attestation in its place.
    function test_R3_aStatementIsForOneGateOnOneChain() public {
        Reserve memory given = Reserve({allocation: 9, nonce: 2, asOf: NOW});
        bytes32 structHash = reserveHash(address(dollar), given);
        bytes[][4] memory foreign = [
            signedBy(THRESHOLD, domain("Monay MintGate", 4217, mintGate), structHash),
            signedBy(THRESHOLD, domainOf(floatGate), structHash),
            signedBy(THRESHOLD, domainOf(mintGate), reserveHash(address(usdc), given)),
            signatures(mintGate, mintTerms(), deposit())
        ];
        for (uint256 i = 0; i < foreign.length; ++i) {
            (bool done,) = address(mintGate).call(abi.encodeCall(mintGate.attestReserve, (given, foreign[i])));
            assertTrue(!done, "taken");
        }
        assertReserve(ALLOCATION, 1, NOW);
    }

    /// @dev Whatever comes in whatever order, number and moment only rise.
    function testFuzz_R1_numberAndMomentOnlyRise(uint64[16] calldata nonces, int32[16] calldata moments) public {
        vm.warp(NOW + 1 days);
        uint256 lastNonce = 1;
        uint256 lastAsOf = NOW;
        for (uint256 i = 0; i < nonces.length; ++i) {
            Reserve memory given = Reserve({
                allocation: uint128(i),
                nonce: uint64(bound(nonces[i], 0, 40)),
                asOf: uint64(uint256(int256(uint256(NOW)) + 12 hours + int256(moments[i]) % 50_000))
            });
            bytes[] memory by = signatures(mintGate, given);
            (bool done,) = address(mintGate).call(abi.encodeCall(mintGate.attestReserve, (given, by)));
            bool good = given.nonce > lastNonce && given.asOf >= lastAsOf && given.asOf <= NOW + 1 days;
            assertTrue(done == good, "taken");
            if (done) (lastNonce, lastAsOf) = (given.nonce, given.asOf);
        }
    }
}
