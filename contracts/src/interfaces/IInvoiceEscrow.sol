// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice What an invoice promises on one chain, and the key to its money: from these eleven fields follow its hash,
/// its deposit address (the purse) and the only two places the money can go. One struct = one identity.
///
/// @dev An EIP-712 struct. Field order is the order of the protocol's table; nothing is added without a new `version`.
struct InvoiceTerms {
    /// Protocol version, 1.
    uint8 version;
    /// EVM chain id. Money sent to the same address on another chain can only go back.
    uint64 chain;
    /// 32 random bytes, unique. Never personal data.
    bytes32 invoiceId;
    /// Who is paid.
    address payee;
    /// The ERC-20 the invoice is paid in.
    address token;
    /// The spending limit, base units of `token`. The payee never gets more for this invoice.
    uint128 amount;
    /// Unix seconds. Before: settle. From then on: refund only.
    uint64 closesAt;
    /// Where money goes that goes back.
    address refundTo;
    /// May direct money that goes back elsewhere. Zero: nobody may, and money goes back without a wait.
    address refundKey;
    /// The only one who may settle and pay. Zero: anyone.
    address settler;
    /// Bit 0: partial payments are passed on as they come; else the whole amount or nothing. Other bits are refused.
    uint8 flags;
}

/// @notice The refund key's word on where money that goes back shall go.
/// @dev An EIP-712 message under the domain ("Monay InvoiceEscrow", "1", chain id, escrow). Used at most once.
struct RefundOrder {
    /// Which invoice.
    bytes32 termsHash;
    /// Which token; zero is the chain's native coin.
    address token;
    /// Who gets the whole balance.
    address to;
    /// Makes two otherwise equal orders two orders.
    uint256 nonce;
    /// Unix seconds; the order holds up to and including this second.
    uint256 deadline;
}

/// @dev `status` of an invoice: money may still be settled. Zero, so an invoice needs no registration.
uint8 constant STATUS_OPEN = 0;
/// @dev `status` of an invoice: the payee has got `amount`. Final.
uint8 constant STATUS_PAID = 1;
/// @dev `status` of an invoice: nothing more will be settled. Final.
uint8 constant STATUS_CANCELLED = 2;

/// @dev `kind` in `Recorded`: purse → payee.
uint8 constant KIND_SETTLE = 1;
/// @dev `kind` in `Recorded`: caller → payee, past the purse.
uint8 constant KIND_PAY = 2;
/// @dev `kind` in `Recorded`: nothing moved.
uint8 constant KIND_CANCEL = 3;
/// @dev `kind` in `Recorded`: purse → refundTo.
uint8 constant KIND_REFUND = 4;
/// @dev `kind` in `Recorded`: purse → where the refund key said.
uint8 constant KIND_REFUND_BY_ORDER = 5;

/// @title Invoices that are paid by a plain token transfer to an address of their own
/// @notice The address follows from the invoice's terms and exists without any transaction. What lies there goes to the
/// payee, at most the invoice's amount, or back. Nobody owns, pauses or upgrades this contract.
interface IInvoiceEscrow {
    /// @notice The one event of every change. Folding it, in order, gives exactly what `stateOf` answers: `paid` and
    /// `status` are the state afterwards, `since` is the time of the block in which `status` became 1 or 2.
    ///
    /// @param termsHash The invoice.
    /// @param token What was moved; zero is the native coin. On cancel: the invoice's token.
    /// @param to Who got it; zero on cancel.
    /// @param amount How much was moved, base units of `token`; zero on cancel.
    /// @param paid What the payee has got for this invoice in total, base units of the invoice's token.
    /// @param status 0 open, 1 paid in full, 2 cancelled.
    /// @param kind 1 settle, 2 pay, 3 cancel, 4 refund, 5 refund by order.
    event Recorded(
        bytes32 indexed termsHash,
        address indexed token,
        address indexed to,
        uint256 amount,
        uint128 paid,
        uint8 status,
        uint8 kind
    );

    /// @notice An item of a batch did not settle. A hint to whoever sent the batch, never a state.
    /// @param reason The first 256 bytes of the item's revert data; empty when the item ran out of gas.
    event SettleFailed(bytes32 indexed termsHash, bytes reason);

    // Terms that break a row of the protocol's table, in the order in which they are reported.

    /// @notice A field has bits that its type does not.
    error MalformedTerms();
    /// @notice `version` is not 1.
    error WrongVersion(uint8 version);
    /// @notice The terms are for another chain; only refunds are possible `here`.
    error WrongChain(uint64 chain, uint256 here);
    /// @notice A bit of `flags` has no meaning on an EVM chain.
    error InvalidFlags(uint8 flags);
    /// @notice The invoice is about nothing.
    error InvalidAmount(uint128 amount);
    /// @notice `closesAt` is zero, or after `latest` (now + 400 days; unix seconds).
    error InvalidClosesAt(uint64 closesAt, uint256 latest);
    /// @notice The token is zero or has no code.
    error InvalidToken(address token);
    /// @notice The payee is zero, the purse, this contract, the token or the settler.
    error InvalidPayee(address payee);
    /// @notice `refundTo` is zero, this contract or, except in a refund, the purse or the token.
    error InvalidRefundTo(address refundTo);

    // Who and when.

    /// @notice Only `settler` may settle and pay this invoice.
    error NotSettler(address caller, address settler);
    /// @notice Only payee and settler may cancel.
    error NotPayeeNorSettler(address caller, address payee, address settler);
    /// @notice The payee would pay himself, and the invoice would look paid with nobody's money.
    error PayerIsPayee(address payee);
    /// @notice The invoice is already paid in full (1) or cancelled (2).
    error NotOpen(bytes32 termsHash, uint8 status);
    /// @notice It is `closesAt` or later (unix seconds); what lies in the purse can only go back.
    error Closed(bytes32 termsHash, uint64 closesAt, uint256 timestamp);

    // How much.

    /// @notice The invoice takes the whole `due` or nothing, and there is only `balance` (base units).
    error NotFunded(bytes32 termsHash, uint256 balance, uint256 due);
    /// @notice There is nothing to move.
    error NothingDue(bytes32 termsHash);

    // Money that goes back.

    /// @notice This refund opens at `opensAt` (unix seconds). Paid in full or cancelled, it may open earlier.
    error NotRefundable(bytes32 termsHash, uint256 opensAt, uint256 timestamp);
    /// @notice Moving another token lowered the purse's balance of the invoice's token: two entries to one token.
    error InvoiceTokenMoved(bytes32 termsHash, uint256 balanceBefore, uint256 balanceAfter);
    /// @notice These terms name no refund key, so nobody can give orders.
    error NoRefundKey(bytes32 termsHash);
    /// @notice The order is about another invoice.
    error OrderForOtherTerms(bytes32 orderedTermsHash, bytes32 termsHash);
    /// @notice The order held until `deadline` (unix seconds).
    error OrderExpired(uint256 deadline, uint256 timestamp);
    /// @notice An order to zero, to this contract, to the token or to the purse.
    error InvalidOrderTo(address to);
    /// @notice This order was carried out before.
    error OrderUsed(bytes32 digest);
    /// @notice The order is not signed (or, with an empty signature, not sent) by the refund key. `signer` zero: the
    /// signature is none at all: not 65 bytes, high s, or of nobody.
    error NotRefundKey(address signer, address refundKey);

    // How it runs.

    /// @notice This purse ran earlier in the same transaction, and can run again in the next.
    error AlreadyRan(address purse);
    /// @notice A token, or somebody it called, came back in while a verb was at work.
    error Reentered();
    /// @notice Only this contract calls itself so.
    error NotSelf(address caller);
    /// @notice Only the purse that is being run gets an order.
    error NotRunning(address caller);
    /// @notice The transaction has not enough gas left to give the next item what the caller promised it.
    error InsufficientGas(uint256 gasLeft, uint256 gasNeeded);

    /// @notice Purse → payee: what is there, at most what is still due. What is more stays, to be refunded.
    /// @dev By the settler, or by anyone where it is zero; before `closesAt`; while open. Who calls changes nothing.
    /// @return amount What the payee got, base units.
    function settle(InvoiceTerms calldata terms) external returns (uint256 amount);

    /// @notice Settles many; an item that fails fails alone (`SettleFailed`) and takes nothing with it.
    /// @param gasPerItem Gas for each item. Reverts when that much cannot be given to one (EIP-150 keeps 1/64 back), so
    /// a low gas limit cannot make good items look bad. Choose it for the worst case: a stranger can send one wei of
    /// the native coin to a purse, and passing it on to an unused `refundTo` adds 25,000.
    function settleBatch(InvoiceTerms[] calldata terms, uint256 gasPerItem) external;

    /// @notice Caller → payee, by allowance, past the purse. What lies in the purse is not counted and becomes excess.
    /// @dev By the settler, or by anyone where it is zero, never by the payee; when `settle` could be called.
    /// @param amount A ceiling, base units: at most what is still due is taken.
    /// @return paid What the payee got, base units.
    function pay(InvoiceTerms calldata terms, uint256 amount) external returns (uint256 paid);

    /// @notice Ends the invoice before its time; partial payments already passed on stay with the payee.
    /// @dev By payee or settler; when `settle` could be called.
    function cancel(InvoiceTerms calldata terms) external;

    /// @notice Purse → `refundTo`: the whole balance of any token. By anyone.
    ///
    /// | what | when |
    /// | --- | --- |
    /// | the invoice's token | paid in full, cancelled, or from `closesAt` on |
    /// | any other token; anything where the terms are not for this chain or break another row | any time |
    /// | with a refund key, both of the above | and 30 days after the end (or `closesAt`), as the key may decide first |
    /// | the native coin | any time |
    ///
    /// @param token Zero: the native coin.
    /// @return amount What went back, base units.
    function refund(InvoiceTerms calldata terms, address token) external returns (uint256 amount);

    /// @notice Purse → `order.to`: the whole balance, as the refund key says. By anyone who carries the order.
    /// @dev When `refund` could be called, but without the 30 days.
    /// @param signature 65 bytes (r, s, v) by the refund key; or empty when the refund key is the caller.
    /// @return amount What was moved, base units.
    function refundByOrder(InvoiceTerms calldata terms, RefundOrder calldata order, bytes calldata signature)
        external
        returns (uint256 amount);

    /// @notice The address to pay to: the purse. Refuses terms that could never be settled here.
    /// @dev An EIP-3009 authorization with `to` = this address needs no further binding: anyone may submit it.
    function escrowOf(InvoiceTerms calldata terms) external view returns (address purse);

    /// @notice What happened to an invoice so far.
    /// @return paid What the payee got in total, base units.
    /// @return status 0 open, 1 paid in full, 2 cancelled.
    /// @return since When `status` became 1 or 2, unix seconds; zero while open.
    function stateOf(bytes32 termsHash) external view returns (uint128 paid, uint8 status, uint64 since);
}
