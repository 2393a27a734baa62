// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title What a purse asks whoever creates it
interface IPurseOrders {
    /// @notice What the purse being run shall do. Anyone else is refused.
    /// @return token The token to move; zero: none.
    /// @return to Who gets it.
    /// @return amount How much, base units.
    /// @return beneficiary Who gets the native coin that lies at the purse.
    function order() external view returns (address token, address to, uint256 amount, address beneficiary);
}
