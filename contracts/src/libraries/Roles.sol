// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The roles that contracts look up themselves
/// @notice All roles, who gives and takes them and after which delay: contracts/governance/roles.json.
library Roles {
    /// @dev Signs clearances for `SettlementGate.payFrom`.
    uint64 internal constant CLEARER = 7;
    /// @dev Signs for deposits and for the reserve.
    uint64 internal constant ATTESTOR = 8;
}
