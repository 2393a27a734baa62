// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ReserveToken} from "../../src/ReserveToken.sol";
import {SettlementGate} from "../../src/SettlementGate.sol";
import {Deposit, IAttestedGate, Reserve} from "../../src/interfaces/IAttestedGate.sol";
import {IFloatGate} from "../../src/interfaces/IFloatGate.sol";
import {InvoiceTerms} from "../../src/interfaces/IInvoiceEscrow.sol";
import {IMintGate} from "../../src/interfaces/IMintGate.sol";
import {Clearance} from "../../src/interfaces/ISettlementGate.sol";
import {EscrowTest} from "./EscrowTest.sol";
import {GovernanceTable, IManager, Installer} from "./GovernanceTable.sol";

/// @notice All gates of a chain with their token and their governance, as a deployment puts them together.
abstract contract GateTest is EscrowTest {
    uint256 internal constant CANCELS_PER_DAY = 24;
    uint8 internal constant THRESHOLD = 2;
    uint256 internal constant ATTESTORS = 3;
    uint96 internal constant DAILY_CAP = 10 * uint96(AMOUNT);
    uint128 internal constant ALLOCATION = 100 * AMOUNT;
    uint256 internal constant GAS_PER_ITEM = 250_000;

    // As they are published: built with other settings than these tests, so not imported.
    bytes internal MINT_GATE_CODE = vm.getCode("MintGate.sol:MintGate");
    bytes internal FLOAT_GATE_CODE = vm.getCode("FloatGate.sol:FloatGate");

    IManager internal manager;
    GovernanceTable internal table;
    Installer internal installer;
    SettlementGate internal gate;
    IMintGate internal mintGate;
    IFloatGate internal floatGate;
    ReserveToken internal dollar;

    address internal keeper = makeAddress("keeper");
    address internal canceller = makeAddress("canceller");
    address internal clearer = makeAddress("clearer");
    address internal oncall = makeAddress("oncall");
    /// @dev Attestors by ascending address, as their signatures have to come.
    string[] internal attestors;

    function setUp() public virtual override {
        super.setUp();
        for (uint256 i = 1; i <= ATTESTORS; ++i) {
            insert(string.concat("attestor ", vm.toString(i)));
        }
        install();
        govern(safe());
        attest(mintGate, ALLOCATION);
        attest(floatGate, ALLOCATION);
        fund(address(floatGate), ALLOCATION);
    }

    /// @dev Who governs. A plain account; Governance.t.sol has the real one.
    function safe() internal virtual returns (address) {
        return makeAddress("safe");
    }

    /// @dev Each is created with the addresses of the others, which follow from the order.
    function install() private {
        installer = new Installer();
        address[] memory places = new address[](6);
        for (uint256 i = 1; i < places.length; ++i) {
            places[i] = vm.computeCreateAddress(address(installer), i);
        }
        manager = IManager(installer.create(vm.getCode("Governance.sol:Governance"), abi.encode(address(this))));
        gate = SettlementGate(
            installer.create(
                type(SettlementGate).creationCode, abi.encode(escrow, places[1], places[3], places[4], CANCELS_PER_DAY)
            )
        );
        mintGate = IMintGate(installer.create(MINT_GATE_CODE, abi.encode(gate, places[5], THRESHOLD, DAILY_CAP)));
        floatGate = IFloatGate(installer.create(FLOAT_GATE_CODE, abi.encode(gate, usdc, THRESHOLD, DAILY_CAP)));
        dollar = ReserveToken(
            installer.create(type(ReserveToken).creationCode, abi.encode("Monay Dollar", "MUSD", mintGate))
        );
        assertEq(address(manager), places[1], "manager");
        assertEq(address(gate), places[2], "settlement gate");
        assertEq(address(mintGate), places[3], "mint gate");
        assertEq(address(floatGate), places[4], "float gate");
        assertEq(address(dollar), places[5], "token");
        vm.label(address(dollar), "MUSD");
    }

    function govern(address admin) private {
        table = new GovernanceTable();
        table.setTarget("Governance", address(manager));
        table.setTarget("SettlementGate", address(gate));
        table.setTarget("MintGate", address(mintGate));
        table.setTarget("FloatGate", address(floatGate));
        table.setHolder("safe", admin);
        table.setHolder("oncall", oncall);
        table.setHolder("keeper", keeper);
        table.setHolder("canceller", canceller);
        table.setHolder("clearer", clearer);
        for (uint256 i = 0; i < attestors.length; ++i) {
            table.setHolder("attestors", makeAddress(attestors[i]));
        }
        manager.multicall(table.calls(manager));
        manager.revokeRole(manager.ADMIN_ROLE(), address(this));
    }

    function insert(string memory name) private {
        attestors.push(name);
        for (uint256 i = attestors.length - 1; i > 0; --i) {
            if (vm.addr(keyOf(attestors[i - 1])) < vm.addr(keyOf(attestors[i]))) return;
            string memory lower = attestors[i];
            attestors[i] = attestors[i - 1];
            attestors[i - 1] = lower;
        }
    }

    function role(string memory name) internal view returns (uint64) {
        return table.roleId(name);
    }

    /// @notice An invoice that is paid with money from off chain through the usual settler.
    function mintTerms() internal view returns (InvoiceTerms memory terms) {
        terms = exactTerms();
        terms.token = address(dollar);
        terms.settler = address(gate);
    }

    /// @notice The same in USDC.
    function floatTerms() internal view returns (InvoiceTerms memory terms) {
        terms = mintTerms();
        terms.token = address(usdc);
    }

    /// @notice Money of ours that goes back to the bank.
    function redemptionTerms() internal view returns (InvoiceTerms memory terms) {
        terms = mintTerms();
        terms.invoiceId = keccak256("redemption");
        terms.payee = address(mintGate);
    }

    function deposit() internal view returns (Deposit memory) {
        return Deposit({depositId: keccak256("deposit"), amount: AMOUNT, validUntil: uint64(block.timestamp) + 900});
    }

    function domainOf(IAttestedGate of_) internal view returns (bytes32) {
        return domain(address(of_) == address(floatGate) ? "Monay FloatGate" : "Monay MintGate", block.chainid, of_);
    }

    function domain(string memory name, uint256 chain, IAttestedGate verifier) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256(bytes(name)),
                keccak256("1"),
                chain,
                address(verifier)
            )
        );
    }

    function depositHash(InvoiceTerms memory terms, Deposit memory given) internal pure returns (bytes32) {
        return depositHash({termsHash: hashOf(terms), token: terms.token, given: given});
    }

    function depositHash(bytes32 termsHash, address token, Deposit memory given) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256(
                    "DepositAttestation(bytes32 depositId,bytes32 termsHash,address token,uint128 amount,uint64 validUntil)"
                ),
                given.depositId,
                termsHash,
                token,
                given.amount,
                given.validUntil
            )
        );
    }

    function reserveHash(address token, Reserve memory given) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256("ReserveAttestation(address token,uint128 allocation,uint64 nonce,uint64 asOf)"),
                token,
                given.allocation,
                given.nonce,
                given.asOf
            )
        );
    }

    function signedBy(uint256 count, bytes32 domainSeparator, bytes32 structHash)
        internal
        view
        returns (bytes[] memory by)
    {
        by = new bytes[](count);
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", domainSeparator, structHash));
        for (uint256 i = 0; i < count; ++i) {
            by[i] = sign(attestors[i], digest);
        }
    }

    /// @notice Of as many attestors as it takes.
    function signatures(IAttestedGate of_, InvoiceTerms memory terms, Deposit memory given)
        internal
        view
        returns (bytes[] memory)
    {
        return signedBy(THRESHOLD, domainOf(of_), depositHash(terms, given));
    }

    function signatures(IAttestedGate of_, Reserve memory given) internal view returns (bytes[] memory) {
        return signedBy(THRESHOLD, domainOf(of_), reserveHash(of_.TOKEN(), given));
    }

    /// @notice The next statement about the reserve, of now.
    function attest(IAttestedGate of_, uint128 allocation) internal {
        (, uint64 nonce,) = of_.reserve();
        Reserve memory given = Reserve({allocation: allocation, nonce: nonce + 1, asOf: uint64(block.timestamp)});
        of_.attestReserve(given, signatures(of_, given));
    }

    function mint(InvoiceTerms memory terms, Deposit memory given) internal returns (uint256) {
        bytes[] memory by = signatures(mintGate, terms, given);
        vm.prank(stranger);
        return mintGate.mintAndPay(terms, given, by);
    }

    function mintExpecting(InvoiceTerms memory terms, Deposit memory given, bytes memory reason) internal {
        bytes[] memory by = signatures(mintGate, terms, given);
        vm.expectRevert(reason);
        vm.prank(stranger);
        mintGate.mintAndPay(terms, given, by);
    }

    /// @notice Has `who` own dollars, minted for an invoice of his own (a top-up).
    function topUp(address who, uint128 amount) internal {
        InvoiceTerms memory terms = mintTerms();
        terms.invoiceId = keccak256(abi.encode("top-up", who, dollar.totalSupply(), block.timestamp));
        terms.payee = who;
        terms.amount = amount;
        mint(terms, Deposit({depositId: terms.invoiceId, amount: amount, validUntil: uint64(block.timestamp) + 900}));
    }

    function clearanceHash(InvoiceTerms memory terms, address who, uint256 amount, uint64 validUntil)
        internal
        view
        returns (bytes32)
    {
        bytes32 domainSeparator = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Monay SettlementGate"),
                keccak256("1"),
                block.chainid,
                address(gate)
            )
        );
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256("Clearance(bytes32 termsHash,address payer,uint256 amount,uint64 validUntil)"),
                hashOf(terms),
                who,
                amount,
                validUntil
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domainSeparator, structHash));
    }

    function clear(InvoiceTerms memory terms, address who, uint256 amount, uint64 validUntil, string memory key)
        internal
        view
        returns (Clearance memory)
    {
        return Clearance({
            amount: amount, validUntil: validUntil, signature: sign(key, clearanceHash(terms, who, amount, validUntil))
        });
    }

    /// @notice Between transactions a gate has what was sent to it and nothing else, and has let nobody take anything.
    function assertNothingLeft(address token, uint256 atMintGate, uint256 atGate) internal view {
        ReserveToken t = ReserveToken(token);
        assertEq(t.balanceOf(address(mintGate)), atMintGate, "T3: the mint gate's balance");
        assertEq(t.balanceOf(address(gate)), atGate, "T3: the settlement gate's balance");
        address[3] memory gates = [address(mintGate), address(floatGate), address(gate)];
        address[4] memory spenders = [address(escrow), address(gate), address(mintGate), address(floatGate)];
        for (uint256 i = 0; i < gates.length; ++i) {
            for (uint256 k = 0; k < spenders.length; ++k) {
                assertEq(t.allowance(gates[i], spenders[k]), 0, "E3: an allowance of a gate");
            }
        }
    }
}
