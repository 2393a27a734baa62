// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IInvoiceEscrow, InvoiceTerms} from "../interfaces/IInvoiceEscrow.sol";

/// @title The hash of invoice terms, and the rules they must keep
library Terms {
    /// @dev The rows of the protocol's table, in the order in which they are checked.
    enum Rule {
        None,
        Version,
        Chain,
        Flags,
        Amount,
        ClosesAt,
        Token,
        Payee,
        RefundTo
    }

    /// @dev EIP-712 type hash of `InvoiceTerms`.
    bytes32 internal constant TYPEHASH = keccak256(
        "InvoiceTerms(uint8 version,uint64 chain,bytes32 invoiceId,address payee,address token,uint128 amount,uint64 closesAt,address refundTo,address refundKey,address settler,uint8 flags)"
    );

    /// @dev The only version there is.
    uint8 internal constant VERSION = 1;

    /// @dev Bit 0 of `flags`: partial payments are passed on as they come.
    uint8 internal constant FLAG_PARTIALS = 1;

    /// @dev The longest time from now to `closesAt`, seconds.
    uint256 internal constant MAX_LIFETIME = 400 days;

    /// @notice The terms and their hash, the EIP-712 struct hash: the key of the invoice's state and the salt of its
    /// purse.
    /// @dev The same as `keccak256(abi.encode(TYPEHASH, given))`, and what is hashed and what is read from then on are
    /// the same bytes of memory. Bits above a field's type are refused, as `abi.encode` would: with them a caller would
    /// get a second hash (a second state, a second payment) for what reads as the same terms.
    function read(InvoiceTerms calldata given) internal pure returns (InvoiceTerms memory terms, bytes32 termsHash) {
        bytes32 typehash = TYPEHASH;
        uint256 excess;
        assembly ("memory-safe") {
            let start := mload(0x40)
            terms := add(start, 0x20)
            mstore(start, typehash)
            calldatacopy(terms, given, 0x160)
            termsHash := keccak256(start, 0x180)
            mstore(0x40, add(start, 0x180))

            excess := shr(8, mload(terms)) // version
            excess := or(excess, shr(64, mload(add(terms, 0x20)))) // chain; invoiceId has no excess
            excess := or(excess, shr(160, mload(add(terms, 0x60)))) // payee
            excess := or(excess, shr(160, mload(add(terms, 0x80)))) // token
            excess := or(excess, shr(128, mload(add(terms, 0xa0)))) // amount
            excess := or(excess, shr(64, mload(add(terms, 0xc0)))) // closesAt
            excess := or(excess, shr(160, mload(add(terms, 0xe0)))) // refundTo
            excess := or(excess, shr(160, mload(add(terms, 0x100)))) // refundKey
            excess := or(excess, shr(160, mload(add(terms, 0x120)))) // settler
            excess := or(excess, shr(8, mload(add(terms, 0x140)))) // flags
        }
        if (excess != 0) revert IInvoiceEscrow.MalformedTerms();
    }

    /// @notice Whether partial payments are passed on as they come.
    function partials(InvoiceTerms memory terms) internal pure returns (bool) {
        return terms.flags & FLAG_PARTIALS != 0;
    }

    /// @notice The first row of the table that these terms break on this chain, now. The one definition of validity.
    /// @param purse The address that follows from these terms.
    function brokenRule(InvoiceTerms memory terms, address purse) internal view returns (Rule) {
        if (terms.version != VERSION) return Rule.Version;
        if (terms.chain != block.chainid) return Rule.Chain;
        if (terms.flags & ~FLAG_PARTIALS != 0) return Rule.Flags;
        if (terms.amount == 0) return Rule.Amount;
        if (terms.closesAt == 0 || terms.closesAt > block.timestamp + MAX_LIFETIME) return Rule.ClosesAt;

        address token = terms.token;
        if (token.code.length == 0) return Rule.Token; // zero has no code either

        address payee = terms.payee;
        if (payee == address(0) || payee == purse || payee == address(this) || payee == token || payee == terms.settler)
        {
            return Rule.Payee;
        }

        address refundTo = terms.refundTo;
        if (refundTo == address(0) || refundTo == purse || refundTo == address(this) || refundTo == token) {
            return Rule.RefundTo;
        }
        return Rule.None;
    }

    /// @notice Reverts with the first row that these terms break.
    function mustBeValid(InvoiceTerms memory terms, address purse) internal view {
        Rule broken = brokenRule(terms, purse);
        if (broken == Rule.None) return;
        if (broken == Rule.Version) revert IInvoiceEscrow.WrongVersion(terms.version);
        if (broken == Rule.Chain) revert IInvoiceEscrow.WrongChain(terms.chain, block.chainid);
        if (broken == Rule.Flags) revert IInvoiceEscrow.InvalidFlags(terms.flags);
        if (broken == Rule.Amount) revert IInvoiceEscrow.InvalidAmount(terms.amount);
        if (broken == Rule.ClosesAt) {
            revert IInvoiceEscrow.InvalidClosesAt(terms.closesAt, block.timestamp + MAX_LIFETIME);
        }
        if (broken == Rule.Token) revert IInvoiceEscrow.InvalidToken(terms.token);
        if (broken == Rule.Payee) revert IInvoiceEscrow.InvalidPayee(terms.payee);
        revert IInvoiceEscrow.InvalidRefundTo(terms.refundTo);
    }
}
