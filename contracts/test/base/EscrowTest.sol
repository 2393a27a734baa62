// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {InvoiceEscrow} from "../../src/InvoiceEscrow.sol";
import {IInvoiceEscrow, InvoiceTerms, RefundOrder} from "../../src/interfaces/IInvoiceEscrow.sol";
import {TestUSDC, TestUSDCProxy} from "../tokens/TestUSDC.sol";
import {Test} from "./Test.sol";

/// @notice An escrow on chain 8453 at a round moment, USDC, and the people of one invoice.
abstract contract EscrowTest is Test {
    uint256 internal constant BASE = 8453;
    uint64 internal constant NOW = 1_800_000_000;
    uint64 internal constant CLOSES_AT = NOW + 4 days;
    uint128 internal constant AMOUNT = 150_000_000;
    uint256 internal constant KEY_DECIDES_FOR = 30 days;
    uint8 internal constant PARTIALS = 1;

    bytes32 internal constant ORDER_TYPEHASH =
        keccak256("RefundOrder(bytes32 termsHash,address token,address to,uint256 nonce,uint256 deadline)");

    InvoiceEscrow internal escrow;
    TestUSDC internal usdc;

    address internal issuer = makeAddress("issuer");
    address internal payee = makeAddress("payee");
    address internal payer = makeAddress("payer");
    address internal customer = makeAddress("customer"); // refundTo
    address internal refundKey = makeAddress("refundKey");
    address internal settler = makeAddress("settler");
    address internal stranger = makeAddress("stranger");

    function setUp() public virtual {
        vm.chainId(BASE);
        vm.warp(NOW);
        escrow = new InvoiceEscrow();
        usdc = newUsdc();
    }

    function newUsdc() internal returns (TestUSDC token) {
        TestUSDC code = new TestUSDC();
        bytes memory data = abi.encodeCall(TestUSDC.initialize, (issuer));
        token = TestUSDC(
            address(new TestUSDCProxy({implementation: address(code), admin: makeAddress("proxy admin"), data: data}))
        );
        vm.label(address(token), "USDC");
    }

    /// @notice The whole amount or nothing, anyone settles, refunds at once.
    function exactTerms() internal view returns (InvoiceTerms memory terms) {
        terms = InvoiceTerms({
            version: 1,
            chain: uint64(BASE),
            invoiceId: keccak256("invoice"),
            payee: payee,
            token: address(usdc),
            amount: AMOUNT,
            closesAt: CLOSES_AT,
            refundTo: customer,
            refundKey: address(0),
            settler: address(0),
            flags: 0
        });
    }

    /// @notice The same with partial payments passed on.
    function partialTerms() internal view returns (InvoiceTerms memory terms) {
        terms = exactTerms();
        terms.flags = PARTIALS;
    }

    /// @notice The same with a settler and a refund key.
    function boundTerms() internal view returns (InvoiceTerms memory terms) {
        terms = exactTerms();
        terms.settler = settler;
        terms.refundKey = refundKey;
    }

    function hashOf(InvoiceTerms memory terms) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256(
                    "InvoiceTerms(uint8 version,uint64 chain,bytes32 invoiceId,address payee,address token,uint128 amount,uint64 closesAt,address refundTo,address refundKey,address settler,uint8 flags)"
                ),
                terms
            )
        );
    }

    /// @notice The purse's address by forge's own CREATE2, for valid and invalid terms alike.
    function purseOf(InvoiceTerms memory terms) internal view returns (address) {
        return vm.computeCreate2Address(hashOf(terms), escrow.PURSE_INIT_CODE_HASH(), address(escrow));
    }

    function fund(address to, uint256 amount) internal {
        vm.prank(issuer);
        usdc.mint(to, amount);
    }

    /// @notice A plain transfer by the payer, as any wallet or exchange does it.
    function send(InvoiceTerms memory terms, uint256 amount) internal returns (address purse) {
        purse = purseOf(terms);
        fund(payer, amount);
        vm.prank(payer);
        usdc.transfer(purse, amount);
    }

    function settleAs(address caller, InvoiceTerms memory terms) internal returns (uint256) {
        vm.prank(caller);
        return escrow.settle(terms);
    }

    function cancelAs(address caller, InvoiceTerms memory terms) internal {
        vm.prank(caller);
        escrow.cancel(terms);
    }

    function orderFor(InvoiceTerms memory terms, address token, address to) internal view returns (RefundOrder memory) {
        return
            RefundOrder({termsHash: hashOf(terms), token: token, to: to, nonce: 0, deadline: block.timestamp + 1 hours});
    }

    function digestOf(RefundOrder memory order) internal view returns (bytes32) {
        return digestOf(order, block.chainid, address(escrow));
    }

    function digestOf(RefundOrder memory order, uint256 chain, address verifier) internal pure returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Monay InvoiceEscrow"),
                keccak256("1"),
                chain,
                verifier
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain, keccak256(abi.encode(ORDER_TYPEHASH, order))));
    }

    function sign(string memory who, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(keyOf(who), digest);
        return abi.encodePacked(r, s, v);
    }

    function assertState(InvoiceTerms memory terms, uint256 paid, uint256 status, uint256 since) internal view {
        (uint128 gotPaid, uint8 gotStatus, uint64 gotSince) = escrow.stateOf(hashOf(terms));
        assertEq(gotPaid, paid, "paid");
        assertEq(gotStatus, status, "status");
        assertEq(gotSince, since, "since");
    }

    /// @notice After a run an address is as if nothing had ever been there.
    function assertGone(address purse) internal view {
        assertEq(purse.code.length, 0, "E4: code at the purse");
        assertEq(vm.getNonce(purse), 0, "E4: nonce of the purse");
        assertEq(purse.balance, 0, "E4: native coin at the purse");
    }
}
