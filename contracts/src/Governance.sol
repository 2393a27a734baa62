// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";

/// @title Who may do what, and after which delay
/// @notice OpenZeppelin's `AccessManager` with one thing taken away: an admin cannot renounce his role. The library would
/// let him do so at once, and with the last one nobody could ever be given a role again. So admins go as they come: by a
/// decision that waits and that a guardian can call off.
/// @dev The table of roles is contracts/governance/roles.json.
contract Governance is AccessManager {
    /// @param installer Sets the table up, makes a multi-sig the admin, and is then revoked.
    constructor(address installer) AccessManager(installer) {}

    /// @inheritdoc AccessManager
    function renounceRole(uint64 roleId, address callerConfirmation) public override {
        if (roleId == ADMIN_ROLE) revert AccessManagerLockedRole(roleId);
        super.renounceRole(roleId, callerConfirmation);
    }
}
