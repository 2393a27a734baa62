// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title What the mint gate needs of its token
/// @notice The part of TIP-20 that issues, with its events: so one gate serves a token of ours on Base and a TIP-20 on
/// Tempo. The memo is the deposit id when minting and the terms hash when burning.
///
/// @dev As on Tempo: `mintWithMemo` emits Transfer(0 → to), TransferWithMemo(0 → to, memo), Mint(to); `burnWithMemo`
/// emits Transfer(from → 0), TransferWithMemo(from → 0, memo), Burn(from).
interface IReserveToken {
    /// @notice Issued to `to`, base units.
    event Mint(address indexed to, uint256 amount);
    /// @notice Taken back from `from`, base units.
    event Burn(address indexed from, uint256 amount);
    /// @notice What a transfer was for; comes beside the `Transfer` of the same amount.
    event TransferWithMemo(address indexed from, address indexed to, uint256 amount, bytes32 indexed memo);

    /// @notice Issues `amount` base units to `to`.
    function mintWithMemo(address to, uint256 amount, bytes32 memo) external;
    /// @notice Burns `amount` base units of the caller's own.
    function burnWithMemo(uint256 amount, bytes32 memo) external;
    /// @notice All there is, base units.
    function totalSupply() external view returns (uint256);
}
