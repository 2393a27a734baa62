// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Vm} from "./Vm.sol";

/// @notice What a test contract needs from forge, and assertions that say what they saw.
abstract contract Test {
    // forge looks at this flag.
    bool public constant IS_TEST = true;

    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    error NotEqual(string what, uint256 got, uint256 want);
    error NotEqualAddress(string what, address got, address want);
    error NotEqualHash(string what, bytes32 got, bytes32 want);
    error TooMuch(string what, uint256 got, uint256 limit);
    error TooLittle(string what, uint256 got, uint256 limit);
    error NotSo(string what);

    function assertEq(uint256 got, uint256 want, string memory what) internal pure {
        if (got != want) revert NotEqual(what, got, want);
    }

    function assertEq(address got, address want, string memory what) internal pure {
        if (got != want) revert NotEqualAddress(what, got, want);
    }

    function assertEq(bytes32 got, bytes32 want, string memory what) internal pure {
        if (got != want) revert NotEqualHash(what, got, want);
    }

    function assertLe(uint256 got, uint256 limit, string memory what) internal pure {
        if (got > limit) revert TooMuch(what, got, limit);
    }

    function assertGe(uint256 got, uint256 limit, string memory what) internal pure {
        if (got < limit) revert TooLittle(what, got, limit);
    }

    function assertTrue(bool condition, string memory what) internal pure {
        if (!condition) revert NotSo(what);
    }

    /// @notice `x` brought into [low, high], so that every number of a fuzz run is used.
    function bound(uint256 x, uint256 low, uint256 high) internal pure returns (uint256) {
        if (x >= low && x <= high) return x;
        uint256 size = high - low + 1;
        return size == 0 ? x : low + x % size;
    }

    /// @notice An address that nobody else uses, with a name in traces.
    function makeAddress(string memory name) internal returns (address account) {
        account = vm.addr(uint256(keccak256(bytes(name))));
        vm.label(account, name);
    }

    /// @notice The private key of `makeAddress(name)`.
    function keyOf(string memory name) internal pure returns (uint256) {
        return uint256(keccak256(bytes(name)));
    }
}
