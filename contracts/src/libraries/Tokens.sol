// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Calls to tokens that may be anything
/// @notice A transfer (or approval) counts as done when the call did not revert and returned nothing (and there is code), or a first
/// word that is exactly 1, whatever follows it.
/// @dev A token may answer with megabytes to burn the caller's gas on copying: never more than 256 bytes are copied.
library Tokens {
    /// @notice The token did not do the transfer, or the approval.
    /// @param reason The first 256 bytes of what it answered.
    error TransferFailed(address token, bytes reason);

    /// @notice The token did not say what an account has: no code, a revert, or less than 32 bytes.
    error BalanceUnreadable(address token);

    /// @dev The longest answer that is copied, bytes.
    uint256 private constant LONGEST_REASON = 256;

    /// @notice Moves `amount` base units of `token` from this contract to `to`.
    function transfer(address token, address to, uint256 amount) internal {
        // transfer(address,uint256)
        _mustSucceed({token: token, data: abi.encodeWithSelector(0xa9059cbb, to, amount)});
    }

    /// @notice Moves `amount` base units of `token` from `from`, who has allowed it, to `to`.
    function transferFrom(address token, address from, address to, uint256 amount) internal {
        // transferFrom(address,address,uint256)
        _mustSucceed({token: token, data: abi.encodeWithSelector(0x23b872dd, from, to, amount)});
    }

    /// @notice Lets `spender` take `amount` base units of `token` from this contract.
    function approve(address token, address spender, uint256 amount) internal {
        // approve(address,uint256)
        _mustSucceed({token: token, data: abi.encodeWithSelector(0x095ea7b3, spender, amount)});
    }

    /// @notice What `account` has of `token`, base units.
    function balanceOf(address token, address account) internal view returns (uint256 units) {
        bool answered;
        assembly ("memory-safe") {
            // balanceOf(address): 36 bytes out of scratch space, 32 bytes of the answer into it, however long it is.
            mstore(0x00, shl(224, 0x70a08231))
            mstore(0x04, shr(96, shl(96, account))) // whatever the upper bits of the variable are
            answered := staticcall(gas(), token, 0x00, 0x24, 0x00, 0x20)
            answered := and(answered, gt(returndatasize(), 0x1f))
            units := mload(0x00)
        }
        if (!answered) {
            revert BalanceUnreadable(token);
        }
    }

    /// @notice The first 256 bytes of what the last call answered.
    /// @dev To be called before anything else is called.
    function boundedReturnData() internal pure returns (bytes memory data) {
        assembly ("memory-safe") {
            let size := returndatasize()
            if gt(size, LONGEST_REASON) { size := LONGEST_REASON }
            data := mload(0x40)
            mstore(data, size)
            mstore(add(add(data, 0x20), size), 0) // a clean last word
            returndatacopy(add(data, 0x20), 0, size)
            mstore(0x40, add(data, and(add(size, 0x5f), not(0x1f))))
        }
    }

    function _mustSucceed(address token, bytes memory data) private {
        bool success;
        uint256 answer;
        uint256 size;
        assembly ("memory-safe") {
            success := call(gas(), token, 0, add(data, 0x20), mload(data), 0x00, 0x20)
            answer := mload(0x00)
            size := returndatasize()
        }
        // An address without code "succeeds" and returns nothing: that is no transfer.
        bool confirmed = size == 0 ? token.code.length != 0 : size >= 32 && answer == 1;
        if (!success || !confirmed) {
            revert TransferFailed(token, boundedReturnData());
        }
    }
}
