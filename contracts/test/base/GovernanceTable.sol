// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessManager} from "@openzeppelin/contracts/access/manager/IAccessManager.sol";

import {Vm} from "./Vm.sol";

/// @notice `Governance` as it is published: built with other settings than these tests, so not imported.
interface IManager is IAccessManager {
    function multicall(bytes[] calldata data) external returns (bytes[] memory results);
    function ADMIN_ROLE() external view returns (uint64);
}

/// @notice Creates contracts at addresses that are known before: those of one account that does nothing else.
contract Installer {
    error CreationFailed(bytes reason);

    function create(bytes memory code, bytes memory arguments) external returns (address created) {
        bytes memory initCode = abi.encodePacked(code, arguments);
        assembly ("memory-safe") {
            created := create(0, add(initCode, 0x20), mload(initCode))
        }
        if (created == address(0)) {
            bytes memory reason;
            assembly ("memory-safe") {
                reason := mload(0x40)
                mstore(reason, returndatasize())
                returndatacopy(add(reason, 0x20), 0, returndatasize())
                mstore(0x40, add(reason, add(returndatasize(), 0x40)))
                // As the constructor said it.
                if returndatasize() { revert(add(reason, 0x20), mload(reason)) }
            }
            revert CreationFailed(reason);
        }
    }
}

/// @notice Sets up `Governance` as contracts/governance/roles.json says, the way a deployment does it.
contract GovernanceTable {
    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    string private constant TABLE = "governance/roles.json";

    error NotInTable(string what);

    mapping(string name => uint64 id) public roleId;
    mapping(string holder => address[] accounts) private _holders;
    mapping(string contractName => address) private _targets;

    bytes[] private _calls;
    string private _json = vm.readFile(TABLE);

    function setHolder(string memory holder, address account) external {
        _holders[holder].push(account);
    }

    function setTarget(string memory contractName, address target) external {
        _targets[contractName] = target;
    }

    /// @notice All calls to the manager, to be made by its first admin in one `multicall`, before he steps back.
    function calls(IManager manager) external returns (bytes[] memory) {
        delete _calls;
        for (uint256 i = 0; _has(".roles", i); ++i) {
            string memory path = _entry(".roles", i);
            roleId[_string(path, ".name")] = uint64(_number(path, ".id"));
        }
        // Members first: afterwards granting is another's than the first admin's, and takes time.
        for (uint256 i = 0; _has(".members", i); ++i) {
            string memory path = _entry(".members", i);
            address[] storage accounts = _holders[_string(path, ".holder")];
            for (uint256 k = 0; k < accounts.length; ++k) {
                _calls.push(
                    abi.encodeCall(
                        manager.grantRole,
                        (roleId[_string(path, ".role")], accounts[k], uint32(_number(path, ".executionDelay")))
                    )
                );
            }
        }
        for (uint256 i = 0; _has(".roles", i); ++i) {
            string memory path = _entry(".roles", i);
            uint64 id = uint64(_number(path, ".id"));
            _calls.push(abi.encodeCall(manager.setGrantDelay, (id, uint32(_number(path, ".grantDelay")))));
            if (id == manager.ADMIN_ROLE()) continue; // its label, admin and guardian cannot be changed
            _calls.push(abi.encodeCall(manager.labelRole, (id, _string(path, ".name"))));
            _calls.push(abi.encodeCall(manager.setRoleAdmin, (id, roleId[_string(path, ".admin")])));
            if (vm.keyExistsJson(_json, string.concat(path, ".guardian"))) {
                _calls.push(abi.encodeCall(manager.setRoleGuardian, (id, roleId[_string(path, ".guardian")])));
            }
        }
        for (uint256 i = 0; _has(".targets", i); ++i) {
            _targetCalls(manager, _entry(".targets", i));
        }
        return _calls;
    }

    function _targetCalls(IManager manager, string memory path) private {
        address target = _targets[_string(path, ".contract")];
        if (target == address(0)) return; // not every chain has all of them
        _calls.push(abi.encodeCall(manager.setTargetAdminDelay, (target, uint32(_number(path, ".adminDelay")))));
        string memory functions = string.concat(path, ".functions");
        for (uint256 k = 0; _has(functions, k); ++k) {
            string memory entry = _entry(functions, k);
            string memory role = _string(entry, ".role");
            if (roleId[role] == 0) revert NotInTable(role);
            bytes4[] memory selectors = selectorsOf(string.concat(entry, ".signatures"));
            _calls.push(abi.encodeCall(manager.setTargetFunctionRole, (target, selectors, roleId[role])));
        }
    }

    function selectorsOf(string memory path) public view returns (bytes4[] memory selectors) {
        string[] memory signatures = vm.parseJsonStringArray(_json, path);
        selectors = new bytes4[](signatures.length);
        for (uint256 i = 0; i < signatures.length; ++i) {
            selectors[i] = bytes4(keccak256(bytes(signatures[i])));
        }
    }

    function json() external view returns (string memory) {
        return _json;
    }

    function _entry(string memory list, uint256 i) private pure returns (string memory) {
        return string.concat(list, "[", vm.toString(i), "]");
    }

    function _has(string memory list, uint256 i) private view returns (bool) {
        return vm.keyExistsJson(_json, _entry(list, i));
    }

    function _string(string memory path, string memory key) private view returns (string memory) {
        return vm.parseJsonString(_json, string.concat(path, key));
    }

    function _number(string memory path, string memory key) private view returns (uint256) {
        return vm.parseJsonUint(_json, string.concat(path, key));
    }
}
