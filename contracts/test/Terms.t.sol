// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IInvoiceEscrow, InvoiceTerms} from "../src/interfaces/IInvoiceEscrow.sol";
import {Terms} from "../src/libraries/Terms.sol";
import {EscrowTest} from "./base/EscrowTest.sol";

/// @notice Gives calldata to the library.
contract TermsReader {
    function read(InvoiceTerms calldata given) external pure returns (InvoiceTerms memory terms, bytes32 termsHash) {
        return Terms.read(given);
    }
}

contract TermsTest is EscrowTest {
    /// @dev Written by the Rust side (crates/terms): the two must agree to the bit.
    string private constant VECTORS = "../crates/terms/vectors/terms.json";

    TermsReader private reader;

    function setUp() public override {
        super.setUp();
        reader = new TermsReader();
    }

    function expectBroken(InvoiceTerms memory terms, bytes memory reason) private {
        vm.expectRevert(reason);
        escrow.escrowOf(terms);
        vm.expectRevert(reason);
        escrow.settle(terms);
        vm.expectRevert(reason);
        escrow.pay(terms, 1);
        vm.expectRevert(reason);
        cancelAs(terms.payee, terms);
    }

    function test_terms_vectorsOfTheRustSideAgree() public view {
        string memory json = vm.readFile(VECTORS); // fails where the file is missing
        uint256 n;
        uint256 ofThisPurse;
        for (; vm.keyExistsJson(json, string.concat("$[", vm.toString(n), "]")); ++n) {
            string memory path = string.concat("$[", vm.toString(n), "]");
            InvoiceTerms memory terms = _parse(json, string.concat(path, ".terms"));
            (, bytes32 termsHash) = reader.read(terms);
            assertEq(termsHash, vm.parseJsonBytes32(json, string.concat(path, ".hash")), path);
            address factory = vm.parseJsonAddress(json, string.concat(path, ".factory"));
            bytes32 initCodeHash = vm.parseJsonBytes32(json, string.concat(path, ".init_code_hash"));
            if (initCodeHash == escrow.PURSE_INIT_CODE_HASH()) ++ofThisPurse;
            bytes32 preimage = keccak256(abi.encodePacked(hex"ff", factory, termsHash, initCodeHash));
            assertEq(
                address(uint160(uint256(preimage))), vm.parseJsonAddress(json, string.concat(path, ".address")), path
            );
        }
        assertGe(n, 40, "vectors");
        assertGe(ofThisPurse, 1, "vectors with the purse's own init code");
    }

    function _parse(string memory json, string memory path) private pure returns (InvoiceTerms memory) {
        return InvoiceTerms({
            version: uint8(vm.parseJsonUint(json, string.concat(path, ".version"))),
            chain: uint64(vm.parseJsonUint(json, string.concat(path, ".chain"))),
            invoiceId: vm.parseJsonBytes32(json, string.concat(path, ".invoice_id")),
            payee: vm.parseJsonAddress(json, string.concat(path, ".payee")),
            token: vm.parseJsonAddress(json, string.concat(path, ".token")),
            amount: uint128(vm.parseUint(vm.parseJsonString(json, string.concat(path, ".amount")))),
            closesAt: uint64(vm.parseJsonUint(json, string.concat(path, ".closes_at"))),
            refundTo: vm.parseJsonAddress(json, string.concat(path, ".refund_to")),
            refundKey: vm.parseJsonAddress(json, string.concat(path, ".refund_key")),
            settler: vm.parseJsonAddress(json, string.concat(path, ".settler")),
            flags: uint8(vm.parseJsonUint(json, string.concat(path, ".flags")))
        });
    }

    /// @dev The assembly gives what the language gives.
    function testFuzz_terms_readIsTheStructHash(InvoiceTerms calldata terms) public view {
        (InvoiceTerms memory read, bytes32 termsHash) = reader.read(terms);
        assertEq(termsHash, hashOf(terms), "hash");
        assertEq(keccak256(abi.encode(read)), keccak256(abi.encode(terms)), "fields");
    }

    /// forge-config: default.fuzz.runs = 10000
    /// @dev E1: for any valid terms, where money is told to go is where the purse runs.
    function testFuzz_E1_predictedIsWhereItRuns(
        bytes32 invoiceId,
        uint128 amount,
        uint64 closesAt,
        address refundTo,
        address key,
        uint8 flags
    ) public {
        InvoiceTerms memory terms = exactTerms();
        terms.invoiceId = invoiceId;
        terms.amount = uint128(bound(amount, 1, type(uint128).max));
        terms.closesAt = uint64(bound(closesAt, NOW + 1, NOW + 400 days));
        vm.assume(refundTo != address(0) && refundTo != address(escrow) && refundTo != address(usdc));
        terms.refundTo = refundTo;
        terms.refundKey = key;
        terms.flags = flags & 1;
        address purse = escrow.escrowOf(terms);
        bytes32 preimage =
            keccak256(abi.encodePacked(hex"ff", address(escrow), hashOf(terms), escrow.PURSE_INIT_CODE_HASH()));
        assertEq(purse, address(uint160(uint256(preimage))), "E1: prediction");
        fund(purse, terms.amount);
        escrow.settle(terms);
        assertEq(usdc.balanceOf(purse), 0, "E1: it ran elsewhere");
        assertEq(usdc.balanceOf(payee), terms.amount, "payee");
    }

    /// @dev X5: any single bit of any field gives another address. Of 352 bytes 1,328 bits have a meaning.
    function testFuzz_X5_everyBitBindsTheAddress(InvoiceTerms calldata terms, uint256 bit) public view {
        uint16[11] memory widths = [uint16(8), 64, 256, 160, 160, 128, 64, 160, 160, 160, 8];
        bit = bound(bit, 0, 1327);
        bytes memory words = abi.encode(terms);
        for (uint256 field = 0; field < 11; ++field) {
            if (bit < widths[field]) {
                uint256 byteAt = field * 32 + 31 - bit / 8;
                words[byteAt] = bytes1(uint8(words[byteAt]) ^ uint8(1 << (bit % 8)));
                break;
            }
            bit -= widths[field];
        }
        InvoiceTerms memory other = abi.decode(words, (InvoiceTerms));
        (, bytes32 one) = reader.read(terms);
        (, bytes32 two) = reader.read(other);
        assertTrue(one != two, "X5: same hash");
    }

    /// @dev A bit above a field's type is not another way to write the same terms.
    function testFuzz_terms_bitsAboveAFieldAreRefused(InvoiceTerms calldata terms, uint256 field, uint256 bit) public {
        uint16[11] memory widths = [uint16(8), 64, 256, 160, 160, 128, 64, 160, 160, 160, 8];
        field = bound(field, 0, 10);
        if (widths[field] == 256) field = 0;
        bit = bound(bit, widths[field], 255);
        bytes memory data = abi.encodeCall(reader.read, (terms));
        uint256 byteAt = 4 + field * 32 + 31 - bit / 8;
        data[byteAt] = bytes1(uint8(data[byteAt]) | uint8(1 << (bit % 8)));
        (bool done, bytes memory reason) = address(reader).call(data);
        assertTrue(!done, "read");
        assertEq(bytes32(bytes4(reason)), bytes32(IInvoiceEscrow.MalformedTerms.selector), "reason");
    }

    function test_terms_version() public {
        InvoiceTerms memory terms = exactTerms();
        terms.version = 2;
        expectBroken(terms, abi.encodeWithSelector(IInvoiceEscrow.WrongVersion.selector, 2));
        terms.version = 0;
        expectBroken(terms, abi.encodeWithSelector(IInvoiceEscrow.WrongVersion.selector, 0));
    }

    function test_terms_chain() public {
        InvoiceTerms memory terms = exactTerms();
        terms.chain = uint64(BASE) + 1;
        expectBroken(terms, abi.encodeWithSelector(IInvoiceEscrow.WrongChain.selector, BASE + 1, BASE));
    }

    function test_terms_flags() public {
        for (uint256 bit = 1; bit < 8; ++bit) {
            InvoiceTerms memory terms = exactTerms();
            terms.flags = uint8(1 << bit) | 1;
            expectBroken(terms, abi.encodeWithSelector(IInvoiceEscrow.InvalidFlags.selector, terms.flags));
        }
    }

    function test_terms_amount() public {
        InvoiceTerms memory terms = exactTerms();
        terms.amount = 0;
        expectBroken(terms, abi.encodeWithSelector(IInvoiceEscrow.InvalidAmount.selector, 0));
    }

    function test_terms_closesAt() public {
        InvoiceTerms memory terms = exactTerms();
        uint256 latest = NOW + 400 days;
        uint64[3] memory bad = [0, uint64(latest + 1), type(uint64).max];
        for (uint256 i = 0; i < bad.length; ++i) {
            terms.closesAt = bad[i];
            expectBroken(terms, abi.encodeWithSelector(IInvoiceEscrow.InvalidClosesAt.selector, bad[i], latest));
        }
        terms.closesAt = uint64(latest);
        escrow.escrowOf(terms);
        terms.closesAt = 1; // long closed, still an address
        escrow.escrowOf(terms);
    }

    function test_terms_token() public {
        InvoiceTerms memory terms = exactTerms();
        address[2] memory bad = [address(0), makeAddress("no contract")];
        for (uint256 i = 0; i < bad.length; ++i) {
            terms.token = bad[i];
            expectBroken(terms, abi.encodeWithSelector(IInvoiceEscrow.InvalidToken.selector, bad[i]));
        }
    }

    function test_terms_payee() public {
        InvoiceTerms memory terms = boundTerms();
        address[4] memory bad = [address(0), address(escrow), address(usdc), settler];
        for (uint256 i = 0; i < bad.length; ++i) {
            terms.payee = bad[i];
            expectBroken(terms, abi.encodeWithSelector(IInvoiceEscrow.InvalidPayee.selector, bad[i]));
        }
    }

    function test_terms_refundTo() public {
        InvoiceTerms memory terms = exactTerms();
        address[3] memory bad = [address(0), address(escrow), address(usdc)];
        for (uint256 i = 0; i < bad.length; ++i) {
            terms.refundTo = bad[i];
            expectBroken(terms, abi.encodeWithSelector(IInvoiceEscrow.InvalidRefundTo.selector, bad[i]));
        }
    }

    /// @dev With everything wrong the rows are reported in the order of the table, one after the other.
    function test_terms_orderOfReports() public {
        InvoiceTerms memory terms;
        terms.flags = 2;
        expectBroken(terms, abi.encodeWithSelector(IInvoiceEscrow.WrongVersion.selector, 0));
        terms.version = 1;
        expectBroken(terms, abi.encodeWithSelector(IInvoiceEscrow.WrongChain.selector, 0, BASE));
        terms.chain = uint64(BASE);
        expectBroken(terms, abi.encodeWithSelector(IInvoiceEscrow.InvalidFlags.selector, 2));
        terms.flags = 0;
        expectBroken(terms, abi.encodeWithSelector(IInvoiceEscrow.InvalidAmount.selector, 0));
        terms.amount = 1;
        expectBroken(terms, abi.encodeWithSelector(IInvoiceEscrow.InvalidClosesAt.selector, 0, NOW + 400 days));
        terms.closesAt = NOW;
        expectBroken(terms, abi.encodeWithSelector(IInvoiceEscrow.InvalidToken.selector, address(0)));
        terms.token = address(usdc);
        expectBroken(terms, abi.encodeWithSelector(IInvoiceEscrow.InvalidPayee.selector, address(0)));
        terms.payee = payee;
        expectBroken(terms, abi.encodeWithSelector(IInvoiceEscrow.InvalidRefundTo.selector, address(0)));
        terms.refundTo = customer;
        escrow.escrowOf(terms);
    }
}
