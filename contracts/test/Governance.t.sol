// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {IAccessManager} from "@openzeppelin/contracts/access/manager/IAccessManager.sol";

import {IAttestedGate} from "../src/interfaces/IAttestedGate.sol";
import {InvoiceTerms} from "../src/interfaces/IInvoiceEscrow.sol";
import {Roles} from "../src/libraries/Roles.sol";
import {GateTest} from "./base/GateTest.sol";

/// @notice The part of Safe's contracts that is used here.
interface ISafe {
    error Failed();

    function setup(
        address[] calldata owners,
        uint256 threshold,
        address to,
        bytes calldata data,
        address fallbackHandler,
        address paymentToken,
        uint256 payment,
        address payable paymentReceiver
    ) external;
    function execTransaction(
        address to,
        uint256 value,
        bytes calldata data,
        uint8 operation,
        uint256 safeTxGas,
        uint256 baseGas,
        uint256 gasPrice,
        address gasToken,
        address payable refundReceiver,
        bytes calldata signatures
    ) external payable returns (bool success);
    function getTransactionHash(
        address to,
        uint256 value,
        bytes calldata data,
        uint8 operation,
        uint256 safeTxGas,
        uint256 baseGas,
        uint256 gasPrice,
        address gasToken,
        address refundReceiver,
        uint256 nonce
    ) external view returns (bytes32);
    function nonce() external view returns (uint256);
    function swapOwner(address previous, address owner, address next) external;
    function getOwners() external view returns (address[] memory);
}

interface ISafeProxyFactory {
    function createProxyWithNonce(address singleton, bytes calldata initializer, uint256 saltNonce)
        external
        returns (address proxy);
}

/// @notice The table of roles under a real Safe: 2 of 3 owners govern, through the contracts that Safe itself publishes.
/// For G1 to G4, and what stays out of reach of whoever governs.
contract GovernanceTest is GateTest {
    uint256 private constant SETUP_TAKES = 5 days;
    uint256 private constant GRANT = 2 days;
    uint256 private constant GOVERNOR = 2 days;
    uint256 private constant ADMIN = 7 days;

    /// @dev Where Safe deploys its contracts from on every chain, with a salt of zero.
    address private constant SAFE_DEPLOYER = 0x914d7Fec6aaC8cd542e72Bca78B30650d45643d7;
    /// @dev The addresses of version 1.5.0 on every chain.
    address private constant SAFE_SINGLETON = 0xFf51A5898e281Db6DfC7855790607438dF2ca44b;
    address private constant SAFE_FACTORY = 0x14F2982D601c9458F93bd70B218933A6f8165e7b;

    /// @dev Owners by ascending address, as their signatures have to come.
    string[] private owners;
    ISafe private multisig;
    uint256 private start;

    function setUp() public override {
        super.setUp();
        // A new delay takes effect after five days, the first one, too. Until then nothing is open for business.
        start = NOW + SETUP_TAKES;
        vm.warp(start);
    }

    function safe() internal override returns (address) {
        if (address(multisig) == address(0)) multisig = createSafe();
        return address(multisig);
    }

    function publishedCode(string memory name) private view returns (bytes memory) {
        return vm.parseJsonBytes(vm.readFile(string.concat("artifacts/", name, ".json")), ".bytecode");
    }

    /// @dev Proxy and factory are made as on any chain; only the deployer in front of them is not there.
    function createSafe() private returns (ISafe) {
        string[3] memory names = ["owner 1", "owner 2", "owner 3"];
        address[] memory accounts = new address[](3);
        for (uint256 i = 0; i < 3; ++i) {
            uint256 k = i;
            for (; k > 0 && accounts[k - 1] > makeAddress(names[i]); --k) {
                accounts[k] = accounts[k - 1];
            }
            accounts[k] = makeAddress(names[i]);
        }
        for (uint256 i = 0; i < 3; ++i) {
            for (uint256 k = 0; k < 3; ++k) {
                if (accounts[i] == makeAddress(names[k])) owners.push(names[k]);
            }
        }
        Creator creator = new Creator();
        address singleton = creator.create(publishedCode("Safe"));
        ISafeProxyFactory factory = ISafeProxyFactory(creator.create(publishedCode("SafeProxyFactory")));
        bytes memory setup =
            abi.encodeCall(ISafe.setup, (accounts, 2, address(0), "", address(0), address(0), 0, payable(address(0))));
        return ISafe(factory.createProxyWithNonce(singleton, setup, 0));
    }

    /*//////////////////////////////////////////////////////////////
                               THE SAFE
    //////////////////////////////////////////////////////////////*/

    function signedBySafe(address target, bytes memory data, uint256 first, uint256 count)
        private
        view
        returns (bytes memory by)
    {
        bytes32 digest =
            multisig.getTransactionHash(target, 0, data, 0, 0, 0, 0, address(0), address(0), multisig.nonce());
        for (uint256 i = first; i < first + count; ++i) {
            by = abi.encodePacked(by, sign(owners[i], digest));
        }
    }

    function execute(address target, bytes memory data, bytes memory by) private {
        multisig.execTransaction(target, 0, data, 0, 0, 0, 0, address(0), payable(address(0)), by);
    }

    /// @dev By two of the three owners; a call that fails undoes the transaction.
    function bySafe(address target, bytes memory data) private {
        execute(target, data, signedBySafe(target, data, 0, 2));
    }

    function bySafeFails(address target, bytes memory data) private {
        bytes memory by = signedBySafe(target, data, 0, 2);
        vm.expectRevert();
        execute(target, data, by);
    }

    function schedule(address target, bytes memory data) private {
        bySafe(address(manager), abi.encodeCall(manager.schedule, (target, data, 0)));
    }

    /// @dev What has to wait: not before it is scheduled, not a second early, and then it is done.
    function waits(address target, bytes memory data, uint256 delay) private {
        bySafeFails(target, data);
        schedule(target, data);
        uint256 scheduled = block.timestamp;
        vm.warp(scheduled + delay - 1);
        bySafeFails(target, data);
        vm.warp(scheduled + delay);
        bySafe(target, data);
    }

    /// @dev What was published is what Safe has on every chain: the same bytes give the same addresses.
    function test_G1_theSafeIsTheOneOfEveryChain() public view {
        assertEq(
            vm.computeCreate2Address(0, keccak256(publishedCode("Safe")), SAFE_DEPLOYER), SAFE_SINGLETON, "singleton"
        );
        assertEq(
            vm.computeCreate2Address(0, keccak256(publishedCode("SafeProxyFactory")), SAFE_DEPLOYER),
            SAFE_FACTORY,
            "factory"
        );
        assertEq(multisig.getOwners().length, 3, "owners");
    }

    function test_G1_oneSignerCannotAndTwoCan() public {
        bytes memory data = abi.encodeCall(IAttestedGate.pauseMint, ());
        bytes memory one = signedBySafe(address(mintGate), data, 0, 1);
        vm.expectRevert();
        execute(address(mintGate), data, one);
        // Nor one who signs twice.
        vm.expectRevert();
        execute(address(mintGate), data, abi.encodePacked(one, one));
        address owner = makeAddress(owners[0]);
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, owner));
        vm.prank(owner);
        mintGate.pauseMint();
        execute(address(mintGate), data, signedBySafe(address(mintGate), data, 1, 2));
        assertTrue(mintGate.mintPaused(), "paused");
    }

    /*//////////////////////////////////////////////////////////////
                       WHAT WAITS, AND WHAT DOES NOT
    //////////////////////////////////////////////////////////////*/

    function test_G1_whatLoosensWaits() public {
        vm.prank(oncall);
        mintGate.pauseMint();
        waits(address(mintGate), abi.encodeCall(IAttestedGate.unpauseMint, ()), GOVERNOR);
        assertTrue(!mintGate.mintPaused(), "unpaused");
        waits(address(mintGate), abi.encodeCall(IAttestedGate.setDailyCap, (2 * DAILY_CAP)), GOVERNOR);
        (uint256 cap,) = mintGate.dailyCap();
        assertEq(cap, 2 * DAILY_CAP, "cap");
        waits(address(mintGate), abi.encodeCall(IAttestedGate.setThreshold, (3)), GOVERNOR);
        assertEq(mintGate.threshold(), 3, "threshold");
        waits(address(floatGate), abi.encodeCall(floatGate.withdraw, (stranger, 1)), GOVERNOR);
        assertEq(usdc.balanceOf(stranger), 1, "withdrawn");
    }

    function test_G1_whatChangesTheTableWaits() public {
        bytes4[] memory selectors = new bytes4[](1);
        selectors[0] = IAttestedGate.setDailyCap.selector;
        waits(
            address(manager),
            abi.encodeCall(manager.setTargetFunctionRole, (address(mintGate), selectors, role("BRAKE"))),
            ADMIN
        );
        waits(address(manager), abi.encodeCall(manager.setGrantDelay, (role("ATTESTOR"), 0)), ADMIN);
        waits(address(manager), abi.encodeCall(manager.setTargetClosed, (address(gate), true)), ADMIN);
        waits(address(manager), abi.encodeCall(manager.setTargetAdminDelay, (address(gate), 0)), ADMIN);
        waits(address(manager), abi.encodeCall(manager.updateAuthority, (address(gate), address(table))), ADMIN);
        assertEq(IAccessManaged(address(gate)).authority(), address(table), "authority");
    }

    /// @dev Granting is delayed by the role's own delay: until then the key can do nothing.
    function test_G1_whoeverIsGrantedARoleWaits() public {
        uint64[4] memory ids = [role("SETTLER"), role("CANCELLER"), role("CLEARER"), role("ATTESTOR")];
        for (uint256 i = 0; i < ids.length; ++i) {
            uint256 granted = block.timestamp;
            bySafe(address(manager), abi.encodeCall(manager.grantRole, (ids[i], stranger, 0)));
            vm.warp(granted + GRANT - 1);
            (bool member,) = manager.hasRole(ids[i], stranger);
            assertTrue(!member, "a second early");
            vm.warp(granted + GRANT);
            (member,) = manager.hasRole(ids[i], stranger);
            assertTrue(member, "a member");
        }
        // What made him a keeper can unmake him before it takes effect.
        bySafe(address(manager), abi.encodeCall(manager.grantRole, (role("SETTLER"), customer, 0)));
        bySafe(address(manager), abi.encodeCall(manager.revokeRole, (role("SETTLER"), customer)));
        vm.warp(block.timestamp + GRANT);
        (bool keeps,) = manager.hasRole(role("SETTLER"), customer);
        assertTrue(!keeps, "revoked before it began");
    }

    function test_G1_whatTightensIsDoneAtOnce() public {
        vm.prank(oncall);
        mintGate.lowerDailyCap(7);
        (uint256 cap,) = mintGate.dailyCap();
        assertEq(cap, 7, "cap");
        vm.expectRevert(abi.encodeWithSelector(IAttestedGate.NotLower.selector, uint96(7), uint96(7)));
        vm.prank(oncall);
        mintGate.lowerDailyCap(7);
        bySafe(address(floatGate), abi.encodeCall(IAttestedGate.lowerDailyCap, (8)));
        (cap,) = floatGate.dailyCap();
        assertEq(cap, 8, "cap");
        vm.prank(oncall);
        floatGate.pauseMint();
        assertTrue(floatGate.mintPaused(), "paused");
    }

    /// @dev G2: out at once, with all that the key could do.
    function test_G2_aRoleThatIsRevokedIsOutAtOnce() public {
        string[4] memory names = ["SETTLER", "CANCELLER", "CLEARER", "ATTESTOR"];
        address[4] memory members = [keeper, canceller, clearer, makeAddress(attestors[0])];
        for (uint256 i = 0; i < names.length; ++i) {
            bySafe(address(manager), abi.encodeCall(manager.revokeRole, (role(names[i]), members[i])));
            (bool member,) = manager.hasRole(role(names[i]), members[i]);
            assertTrue(!member, names[i]);
        }
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, keeper));
        vm.prank(keeper);
        gate.settleBatch(new InvoiceTerms[](0), GAS_PER_ITEM);
        bySafe(address(manager), abi.encodeCall(manager.revokeRole, (role("GUARDIAN"), oncall)));
        bySafe(address(manager), abi.encodeCall(manager.revokeRole, (role("BRAKE"), oncall)));
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, oncall));
        vm.prank(oncall);
        mintGate.pauseMint();
    }

    /// @dev G2: an owner who left has nothing more to say, not even with what he signed before.
    function test_G2_anOwnerWhoLeftSignsNothingMore() public {
        bytes memory data = abi.encodeCall(IAttestedGate.pauseMint, ());
        address[] memory accounts = multisig.getOwners();
        address leaver = makeAddress(owners[0]);
        address previous = address(1);
        for (uint256 i = 0; accounts[i] != leaver; ++i) {
            previous = accounts[i];
        }
        bySafe(address(multisig), abi.encodeCall(multisig.swapOwner, (previous, leaver, stranger)));
        bytes memory by = signedBySafe(address(mintGate), data, 0, 2);
        vm.expectRevert();
        execute(address(mintGate), data, by);
    }

    /*//////////////////////////////////////////////////////////////
                               GUARDIANS
    //////////////////////////////////////////////////////////////*/

    /// @dev G1: whatever waits, a guardian can call off: of the gates and of the manager itself.
    function test_G1_aGuardianCallsOffWhatWaits() public {
        address[3] memory targets = [address(mintGate), address(floatGate), address(manager)];
        bytes[3] memory data = [
            abi.encodeCall(IAttestedGate.setDailyCap, (type(uint96).max)),
            abi.encodeCall(floatGate.withdraw, (stranger, 1)),
            abi.encodeCall(manager.grantRole, (0, stranger, 0))
        ];
        for (uint256 i = 0; i < targets.length; ++i) {
            schedule(targets[i], data[i]);
            address[3] memory others = [stranger, keeper, makeAddress(owners[0])];
            for (uint256 k = 0; k < others.length; ++k) {
                vm.expectRevert();
                vm.prank(others[k]);
                manager.cancel(address(multisig), targets[i], data[i]);
            }
            vm.prank(oncall);
            manager.cancel(address(multisig), targets[i], data[i]);
            vm.warp(block.timestamp + ADMIN);
            bySafeFails(targets[i], data[i]);
        }
    }

    /// @dev G1: and every function of the manager that waits is in the table for that.
    function test_G1_everyDelayedFunctionHasAGuardian() public view {
        bytes4[8] memory selectors = [
            IAccessManager.labelRole.selector,
            IAccessManager.setRoleAdmin.selector,
            IAccessManager.setRoleGuardian.selector,
            IAccessManager.setGrantDelay.selector,
            IAccessManager.setTargetFunctionRole.selector,
            IAccessManager.setTargetAdminDelay.selector,
            IAccessManager.setTargetClosed.selector,
            IAccessManager.updateAuthority.selector
        ];
        for (uint256 i = 0; i < selectors.length; ++i) {
            assertGuarded(address(manager), selectors[i]);
        }
        assertGuarded(address(manager), IAccessManager.grantRole.selector);
        assertGuarded(address(manager), IAccessManager.revokeRole.selector);
        assertGuarded(address(mintGate), IAttestedGate.unpauseMint.selector);
        assertGuarded(address(mintGate), IAttestedGate.setDailyCap.selector);
        assertGuarded(address(mintGate), IAttestedGate.setThreshold.selector);
        assertGuarded(address(floatGate), floatGate.withdraw.selector);
    }

    function assertGuarded(address target, bytes4 selector) private view {
        uint64 guardian = manager.getRoleGuardian(manager.getTargetFunctionRole(target, selector));
        assertEq(guardian, role("GUARDIAN"), "guardian");
    }

    /// @dev A guardian that got hold of can stop things and can be thrown out at once: it cannot call that off.
    function test_G2_aGuardianCannotKeepItself() public {
        bySafe(address(manager), abi.encodeCall(manager.revokeRole, (role("GUARDIAN"), oncall)));
        schedule(address(mintGate), abi.encodeCall(IAttestedGate.setDailyCap, (1)));
        vm.expectRevert();
        vm.prank(oncall);
        manager.cancel(address(multisig), address(mintGate), abi.encodeCall(IAttestedGate.setDailyCap, (1)));
    }

    /*//////////////////////////////////////////////////////////////
                                 ROLES
    //////////////////////////////////////////////////////////////*/

    /// @dev G4: what one key can do no other can, but the safe may pull the brake, too.
    function test_G4_rolesAreDisjoint() public {
        string[9] memory names =
            ["ADMIN", "GOVERNOR", "GUARDIAN", "BRAKE", "KEEPER_OF_KEYS", "SETTLER", "CANCELLER", "CLEARER", "ATTESTOR"];
        address[6] memory keys = [safe(), oncall, keeper, canceller, clearer, makeAddress(attestors[0])];
        // A bit for each name above.
        uint256[6] memory expected =
            [uint256(0x1b), uint256(0x0c), uint256(0x20), uint256(0x40), uint256(0x80), uint256(0x100)];
        for (uint256 k = 0; k < keys.length; ++k) {
            uint256 has;
            for (uint256 i = 0; i < names.length; ++i) {
                (bool member,) = manager.hasRole(role(names[i]), keys[k]);
                if (member) has |= 1 << i;
            }
            assertEq(has, expected[k], "roles of a key");
        }
        for (uint256 i = 0; i < names.length; ++i) {
            (bool member,) = manager.hasRole(role(names[i]), address(this));
            assertTrue(!member, "whoever installed it has stepped back");
        }
    }

    /// @dev G4: nobody calls a function of governance without the role for it.
    function test_G4_everyFunctionOfGovernanceIsShutForOthers() public {
        bytes[5] memory verbs = [
            abi.encodeCall(IAttestedGate.pauseMint, ()),
            abi.encodeCall(IAttestedGate.unpauseMint, ()),
            abi.encodeCall(IAttestedGate.lowerDailyCap, (1)),
            abi.encodeCall(IAttestedGate.setDailyCap, (1)),
            abi.encodeCall(IAttestedGate.setThreshold, (1))
        ];
        address[6] memory keys = [keeper, canceller, clearer, makeAddress(attestors[0]), stranger, address(gate)];
        for (uint256 i = 0; i < verbs.length; ++i) {
            for (uint256 k = 0; k < keys.length; ++k) {
                assertShut(address(mintGate), verbs[i], keys[k]);
                assertShut(address(floatGate), verbs[i], keys[k]);
            }
            // On call only stops and lowers.
            if (i != 0 && i != 2) assertShut(address(mintGate), verbs[i], oncall);
        }
    }

    function assertShut(address target, bytes memory verb, address caller) private {
        vm.prank(caller);
        (bool done, bytes memory reason) = target.call(verb);
        assertTrue(!done, "let in");
        assertEq(
            keccak256(reason),
            keccak256(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, caller)),
            "reason"
        );
    }

    /// @dev G3: another admin is granted first, after the delays, and the old one goes only by a second decision; until
    /// then both are there.
    function test_G3_theAdminIsHandedOverInTwoSteps() public {
        waits(address(manager), abi.encodeCall(manager.grantRole, (0, stranger, uint32(ADMIN))), ADMIN);
        uint256 granted = block.timestamp;
        vm.warp(granted + GRANT - 1);
        (bool next,) = manager.hasRole(0, stranger);
        assertTrue(!next, "a second early");
        vm.warp(granted + GRANT);
        (next,) = manager.hasRole(0, stranger);
        (bool old,) = manager.hasRole(0, address(multisig));
        assertTrue(next && old, "both");

        waits(address(manager), abi.encodeCall(manager.revokeRole, (0, address(multisig))), ADMIN);
        (old,) = manager.hasRole(0, address(multisig));
        assertTrue(!old, "gone");
    }

    /// @dev G3: the library would let the last admin go at once.
    function test_G3_noAdminStepsBackAtOnce() public {
        bytes memory data = abi.encodeCall(manager.renounceRole, (0, address(multisig)));
        bySafeFails(address(manager), data);
        vm.expectRevert(abi.encodeWithSelector(IAccessManager.AccessManagerLockedRole.selector, uint64(0)));
        vm.prank(address(multisig));
        manager.renounceRole(0, address(multisig));
        // Every other role can be given up.
        uint64 id = role("SETTLER");
        vm.prank(keeper);
        manager.renounceRole(id, keeper);
        (bool member,) = manager.hasRole(id, keeper);
        assertTrue(!member, "given up");
    }

    /// @dev The ids that contracts look up are those of the table, and each signature in it is of a function that there
    /// is and that asks who calls.
    function test_G4_theTableIsWhatTheContractsAskFor() public {
        assertEq(role("CLEARER"), Roles.CLEARER, "clearer");
        assertEq(role("ATTESTOR"), Roles.ATTESTOR, "attestor");
        string[3] memory targets = [".targets[0]", ".targets[1]", ".targets[2]"];
        address[3] memory contracts = [address(gate), address(mintGate), address(floatGate)];
        uint256[3] memory functions = [uint256(3), 5, 6];
        for (uint256 i = 0; i < 3; ++i) {
            uint256 found;
            for (uint256 k = 0; k < 2; ++k) {
                string memory path = string.concat(targets[i], ".functions[", vm.toString(k), "].signatures");
                bytes4[] memory selectors = table.selectorsOf(path);
                for (uint256 m = 0; m < selectors.length; ++m) {
                    // Arguments that are zero everywhere decode as any of them, with offsets that point at zeros.
                    vm.prank(stranger);
                    (bool done, bytes memory reason) =
                        contracts[i].call(abi.encodePacked(selectors[m], new bytes(1024)));
                    assertTrue(!done, "let in");
                    assertEq(
                        keccak256(reason),
                        keccak256(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, stranger)),
                        "reason"
                    );
                    ++found;
                }
            }
            assertEq(found, functions[i], "functions that ask who calls");
        }
    }
}

/// @notice Creates what it is given.
contract Creator {
    function create(bytes memory code) external returns (address created) {
        assembly ("memory-safe") {
            created := create(0, add(code, 0x20), mload(code))
        }
        require(created != address(0), "not created");
    }
}
