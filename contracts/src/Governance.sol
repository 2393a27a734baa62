// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

// Who may do what, and after which delay: OpenZeppelin's contract as it is. Named here so that it is built, and with the
// settings that make it small enough for Tempo. The table of roles is contracts/governance/roles.json.
import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";
