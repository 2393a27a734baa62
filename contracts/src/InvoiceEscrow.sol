// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Create2} from "@openzeppelin/contracts/utils/Create2.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";

import {Purse} from "./Purse.sol";
import {
    IInvoiceEscrow,
    InvoiceTerms,
    KIND_CANCEL,
    KIND_PAY,
    KIND_REFUND,
    KIND_REFUND_BY_ORDER,
    KIND_SETTLE,
    RefundOrder,
    STATUS_CANCELLED,
    STATUS_OPEN,
    STATUS_PAID
} from "./interfaces/IInvoiceEscrow.sol";
import {IPurseOrders} from "./interfaces/IPurseOrders.sol";
import {Terms} from "./libraries/Terms.sol";
import {Tokens} from "./libraries/Tokens.sol";

/// @title Invoices that are paid by a plain token transfer to an address of their own
/// @notice No owner, no pause, no upgrade, no allow-list, no fee; it never holds a token and has no approvals but those
/// a caller of `pay` gives for himself.
///
/// How money moves, from → to, and what must hold:
///
/// | verb | status before | time | from → to | status after |
/// | --- | --- | --- | --- | --- |
/// | settle | open | < closesAt | purse → payee | open, or paid in full |
/// | pay | open | < closesAt | caller → payee | open, or paid in full |
/// | cancel | open | < closesAt | | cancelled |
/// | refund | see there | see there | purse → refundTo | as before |
/// | refundByOrder | see there | see there | purse → order.to | as before |
///
/// @dev The same creation code on every chain: nothing that differs between chains is stored in the code, and the
/// EIP-712 domain is computed when it is needed. So the same terms have the same address everywhere, and money sent to
/// it on the wrong chain can go back there.
///
/// Whoever calls with made-up terms reaches another hash, another purse and another state, never somebody else's. So
/// nothing here asks whether terms were "issued".
contract InvoiceEscrow is IInvoiceEscrow, IPurseOrders {
    using Terms for InvoiceTerms;

    /// @dev All that is known of an invoice: one slot. Zero is an open invoice, so creating one costs nothing.
    struct State {
        /// What the payee got in total, base units.
        uint128 paid;
        /// `STATUS_OPEN`, `STATUS_PAID` or `STATUS_CANCELLED`.
        uint8 status;
        /// When `status` became what it is, unix seconds; zero while open.
        uint64 since;
    }

    /// @dev What a purse is created to do: `order`.
    struct Movement {
        /// The token to move; zero: none.
        address token;
        /// Who gets it.
        address to;
        /// How much, base units.
        uint256 amount;
        /// Who gets the native coin that lies at the purse.
        address beneficiary;
    }

    /// @dev How long the refund key alone decides where money that goes back shall go, seconds.
    uint256 private constant KEY_DECIDES_FOR = 30 days;

    /// @dev The length of ABI-encoded terms, bytes: eleven words.
    uint256 private constant TERMS_SIZE = 352;

    /// @dev Gas between the check of what is left and the call of an item, generously.
    uint256 private constant GAS_TO_CALL_ITEM = 2000;

    /// @dev EIP-712 type hash of the domain.
    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");

    /// @dev EIP-712 type hash of `RefundOrder`.
    bytes32 private constant ORDER_TYPEHASH =
        keccak256("RefundOrder(bytes32 termsHash,address token,address to,uint256 nonce,uint256 deadline)");

    /// @notice keccak256 of the purse's init code, for whoever wants to compute addresses.
    bytes32 public immutable PURSE_INIT_CODE_HASH = keccak256(type(Purse).creationCode);

    /// @dev By terms hash: the whole identity of an invoice. A shorter key (the id, a bitmap) could be filled by
    /// somebody else's made-up terms.
    mapping(bytes32 termsHash => State) private _states;

    /// @dev Digests of refund orders that were carried out.
    mapping(bytes32 digest => bool) private _used;

    // For the time of a transaction only; each a whole word, so that writing it does not read it first. Besides these,
    // a terms hash is itself the key of a transient slot, which says that its purse ran.

    /// @dev 1 while a verb is at work; all others wait.
    uint256 private transient _busy;
    /// @dev The purse being run; the only one `order` answers.
    uint256 private transient _running;
    /// @dev `order`, for `_running`.
    uint256 private transient _orderToken;
    uint256 private transient _orderTo;
    uint256 private transient _orderAmount;
    uint256 private transient _orderBeneficiary;

    /// @dev One lock for all verbs: a token that calls back in, directly or through a receiver's hook, finds it shut.
    modifier alone() {
        if (_busy != 0) revert Reentered();
        _busy = 1;
        _;
        _busy = 0;
    }

    /*//////////////////////////////////////////////////////////////
                              TO THE PAYEE
    //////////////////////////////////////////////////////////////*/

    /// @inheritdoc IInvoiceEscrow
    function settle(InvoiceTerms calldata terms) external alone returns (uint256 amount) {
        return _settle({given: terms, caller: msg.sender});
    }

    /// @inheritdoc IInvoiceEscrow
    function settleBatch(InvoiceTerms[] calldata terms, uint256 gasPerItem) external alone {
        // EIP-150 keeps 1/64 of what is left from the item. Without the check below whoever relays a batch could give
        // it so little gas that the last items fail while the batch succeeds.
        uint256 gasNeeded = gasPerItem + gasPerItem / 63 + GAS_TO_CALL_ITEM;
        // The same call for each item but for its terms, which are the last 352 bytes.
        bytes memory data = abi.encodePacked(this.settleItem.selector, abi.encode(msg.sender), new bytes(TERMS_SIZE));
        for (uint256 i = 0; i < terms.length; ++i) {
            InvoiceTerms calldata item = terms[i];
            if (gasleft() < gasNeeded) revert InsufficientGas(gasleft(), gasNeeded);
            bool settled;
            assembly ("memory-safe") {
                calldatacopy(add(data, 0x44), item, TERMS_SIZE)
                settled := call(gasPerItem, address(), 0, add(data, 0x20), mload(data), 0, 0)
            }
            if (!settled) {
                // Bounded: an item's token could answer with megabytes and let the batch pay for the copy.
                bytes memory reason = Tokens.boundedReturnData();
                (, bytes32 termsHash) = Terms.read(item);
                emit SettleFailed(termsHash, reason);
            }
        }
    }

    /// @notice One item of a batch. Called by this contract only, so that an item that fails undoes only itself.
    /// @param caller Who called `settleBatch`.
    function settleItem(address caller, InvoiceTerms calldata terms) external {
        if (msg.sender != address(this)) revert NotSelf(msg.sender);
        _settle({given: terms, caller: caller});
    }

    /// @inheritdoc IInvoiceEscrow
    function pay(InvoiceTerms calldata terms, uint256 amount) external alone returns (uint256 paid) {
        (InvoiceTerms memory invoice, bytes32 termsHash) = Terms.read(terms);
        uint128 before =
            _mustBeSettleable({terms: invoice, termsHash: termsHash, purse: _purseOf(termsHash), caller: msg.sender});
        if (msg.sender == invoice.payee) revert PayerIsPayee(msg.sender);

        uint256 due = invoice.amount - before;
        paid = _payable({terms: invoice, termsHash: termsHash, available: amount, due: due});
        _record({terms: invoice, termsHash: termsHash, before: before, amount: paid, kind: KIND_PAY});
        // From the caller and nobody else: an allowance to this contract is only ever used by who gave it.
        Tokens.transferFrom({token: invoice.token, from: msg.sender, to: invoice.payee, amount: paid});
    }

    /// @dev `settle`, for `caller`.
    function _settle(InvoiceTerms calldata given, address caller) private returns (uint256 amount) {
        (InvoiceTerms memory terms, bytes32 termsHash) = Terms.read(given);
        address purse = _purseOf(termsHash);
        uint128 before = _mustBeSettleable({terms: terms, termsHash: termsHash, purse: purse, caller: caller});

        address token = terms.token;
        uint256 balance = Tokens.balanceOf({token: token, account: purse});
        uint256 due = terms.amount - before;
        amount = _payable({terms: terms, termsHash: termsHash, available: balance, due: due});
        _record({terms: terms, termsHash: termsHash, before: before, amount: amount, kind: KIND_SETTLE});
        // The payee and nobody else: what is more stays. Were it sent on from here, a refundTo that the token refuses
        // (a blacklist) plus one unit too much, sent by any stranger, would block the payee's money.
        _run({
            termsHash: termsHash,
            purse: purse,
            movement: Movement({token: token, to: terms.payee, amount: amount, beneficiary: terms.refundTo})
        });
    }

    /// @dev How much of `available` goes to the payee; never zero, never more than `due`. Base units.
    function _payable(InvoiceTerms memory terms, bytes32 termsHash, uint256 available, uint256 due)
        private
        pure
        returns (uint256 amount)
    {
        if (available >= due) return due;
        if (!terms.partials()) revert NotFunded(termsHash, available, due);
        if (available == 0) revert NothingDue(termsHash);
        return available;
    }

    /// @dev Writes and tells that the payee gets `amount` more than `before`, before it happens. Base units.
    function _record(InvoiceTerms memory terms, bytes32 termsHash, uint128 before, uint256 amount, uint8 kind) private {
        // At most terms.amount, as `amount` is at most what is due.
        // forge-lint: disable-next-line(unsafe-typecast)
        uint128 paid = before + uint128(amount);
        uint8 status = paid == terms.amount ? STATUS_PAID : STATUS_OPEN;
        _write({termsHash: termsHash, paid: paid, status: status});
        emit Recorded({
            termsHash: termsHash,
            token: terms.token,
            to: terms.payee,
            amount: amount,
            paid: paid,
            status: status,
            kind: kind
        });
    }

    /// @dev The state of an invoice that was open; `since` follows from `status`. The fields share a slot and are written
    /// at once: the language would write them one after the other.
    function _write(bytes32 termsHash, uint128 paid, uint8 status) private {
        State storage state = _states[termsHash];
        uint256 since = status == STATUS_OPEN ? 0 : block.timestamp;
        uint256 word = uint256(paid) | uint256(status) << 128 | since << 136;
        assembly ("memory-safe") {
            sstore(state.slot, word)
        }
    }

    /*//////////////////////////////////////////////////////////////
                                  THE END
    //////////////////////////////////////////////////////////////*/

    /// @inheritdoc IInvoiceEscrow
    function cancel(InvoiceTerms calldata terms) external alone {
        (InvoiceTerms memory invoice, bytes32 termsHash) = Terms.read(terms);
        invoice.mustBeValid(_purseOf(termsHash));
        if (msg.sender != invoice.payee && msg.sender != invoice.settler) {
            revert NotPayeeNorSettler(msg.sender, invoice.payee, invoice.settler);
        }
        uint128 paid = _mustBeOpen({terms: invoice, termsHash: termsHash});

        _write({termsHash: termsHash, paid: paid, status: STATUS_CANCELLED});
        emit Recorded({
            termsHash: termsHash,
            token: invoice.token,
            to: address(0),
            amount: 0,
            paid: paid,
            status: STATUS_CANCELLED,
            kind: KIND_CANCEL
        });
    }

    /*//////////////////////////////////////////////////////////////
                            MONEY THAT GOES BACK
    //////////////////////////////////////////////////////////////*/

    /// @inheritdoc IInvoiceEscrow
    function refund(InvoiceTerms calldata terms, address token) external alone returns (uint256 amount) {
        (InvoiceTerms memory invoice, bytes32 termsHash) = Terms.read(terms);
        _mustHaveRefundTo(invoice);
        return _giveBack({terms: invoice, termsHash: termsHash, token: token, to: invoice.refundTo, kind: KIND_REFUND});
    }

    /// @inheritdoc IInvoiceEscrow
    function refundByOrder(InvoiceTerms calldata terms, RefundOrder calldata order_, bytes calldata signature)
        external
        alone
        returns (uint256 amount)
    {
        (InvoiceTerms memory invoice, bytes32 termsHash) = Terms.read(terms);
        _mustHaveRefundTo(invoice);
        _useOrder({terms: invoice, termsHash: termsHash, order_: order_, signature: signature});
        return _giveBack({
            terms: invoice, termsHash: termsHash, token: order_.token, to: order_.to, kind: KIND_REFUND_BY_ORDER
        });
    }

    /// @dev Moves the whole balance of `token` from the purse to `to`, if it may go back now.
    function _giveBack(InvoiceTerms memory terms, bytes32 termsHash, address token, address to, uint8 kind)
        private
        returns (uint256 amount)
    {
        address purse = _purseOf(termsHash);
        State memory state = _states[termsHash];
        // While the invoice's token may still be settled, it is kept for the payee. Terms that are not for this chain,
        // or that could not be settled for another reason, keep nothing: no money is locked by a rule.
        bool kept = state.status == STATUS_OPEN && block.timestamp < terms.closesAt
            && terms.brokenRule(purse) == Terms.Rule.None;
        uint256 opensAt = kept && token == terms.token ? terms.closesAt : 0;
        if (kind == KIND_REFUND && terms.refundKey != address(0) && token != address(0)) {
            // The key decides first, but not for ever: it may be lost. `since` is always before `closesAt`. The sum is
            // made in 256 bits, so no `closesAt` makes it small.
            uint256 end = state.status == STATUS_OPEN ? terms.closesAt : state.since;
            opensAt = end + KEY_DECIDES_FOR;
        }
        if (block.timestamp < opensAt) revert NotRefundable(termsHash, opensAt, block.timestamp);

        amount = token == address(0) ? purse.balance : Tokens.balanceOf({token: token, account: purse});
        if (amount == 0) revert NothingDue(termsHash);
        emit Recorded({
            termsHash: termsHash,
            token: token,
            to: to,
            amount: amount,
            paid: state.paid,
            status: state.status,
            kind: kind
        });

        Movement memory movement = Movement({
            token: token,
            to: to,
            amount: amount,
            // Coin that lies there by chance goes to refundTo: an order is about one token only.
            beneficiary: token == address(0) ? to : terms.refundTo
        });
        if (kept && token != terms.token) {
            _runKeeping({termsHash: termsHash, purse: purse, movement: movement, keptToken: terms.token});
        } else {
            _run({termsHash: termsHash, purse: purse, movement: movement});
        }
    }

    /// @dev Runs the purse and sees that nothing of `keptToken` leaves it. A token with two addresses (or one that is
    /// also the native coin) would let anyone take what is kept for the payee out through its other door.
    function _runKeeping(bytes32 termsHash, address purse, Movement memory movement, address keptToken) private {
        uint256 balanceBefore = Tokens.balanceOf({token: keptToken, account: purse});
        _run({termsHash: termsHash, purse: purse, movement: movement});
        uint256 balanceAfter = Tokens.balanceOf({token: keptToken, account: purse});
        if (balanceAfter < balanceBefore) revert InvoiceTokenMoved(termsHash, balanceBefore, balanceAfter);
    }

    /// @dev Checks an order of the refund key and marks it as used.
    function _useOrder(
        InvoiceTerms memory terms,
        bytes32 termsHash,
        RefundOrder calldata order_,
        bytes calldata signature
    ) private {
        address refundKey = terms.refundKey;
        if (refundKey == address(0)) revert NoRefundKey(termsHash);
        if (order_.termsHash != termsHash) revert OrderForOtherTerms(order_.termsHash, termsHash);
        if (block.timestamp > order_.deadline) revert OrderExpired(order_.deadline, block.timestamp);
        address to = order_.to;
        if (to == address(0) || to == address(this) || to == order_.token || to == _purseOf(termsHash)) {
            revert InvalidOrderTo(to);
        }

        bytes32 digest = MessageHashUtils.toTypedDataHash({
            domainSeparator: _domainSeparator(), structHash: keccak256(abi.encode(ORDER_TYPEHASH, order_))
        });
        if (_used[digest]) revert OrderUsed(digest);
        _used[digest] = true;

        address signer = msg.sender;
        if (signature.length != 0) {
            // 65 bytes and low s only, so an order has one signature; zero when it is of nobody.
            (signer,,) = ECDSA.tryRecoverCalldata({hash: digest, signature: signature});
        }
        if (signer != refundKey) revert NotRefundKey(signer, refundKey);
    }

    /// @dev Computed each time: a copy in the code would be of one chain, and the code must be the same on all.
    function _domainSeparator() private view returns (bytes32) {
        return keccak256(
            abi.encode(DOMAIN_TYPEHASH, keccak256("Monay InvoiceEscrow"), keccak256("1"), block.chainid, address(this))
        );
    }

    /*//////////////////////////////////////////////////////////////
                                 THE PURSE
    //////////////////////////////////////////////////////////////*/

    /// @inheritdoc IPurseOrders
    function order() external view returns (address token, address to, uint256 amount, address beneficiary) {
        if (_word(msg.sender) != _running) revert NotRunning(msg.sender);
        return (_address(_orderToken), _address(_orderTo), _orderAmount, _address(_orderBeneficiary));
    }

    /// @dev Creates the purse, which does as ordered and is gone when the transaction ends.
    function _run(bytes32 termsHash, address purse, Movement memory movement) private {
        // Until the transaction ends its code lies there, and CREATE2 onto it would burn 63/64 of the gas.
        bool ran;
        assembly ("memory-safe") {
            ran := tload(termsHash)
            tstore(termsHash, 1)
        }
        if (ran) revert AlreadyRan(purse);

        _running = _word(purse);
        _orderToken = _word(movement.token);
        _orderTo = _word(movement.to);
        _orderAmount = movement.amount;
        _orderBeneficiary = _word(movement.beneficiary);
        new Purse{salt: termsHash}();
        _running = 0;
    }

    function _word(address account) private pure returns (uint256) {
        return uint160(account);
    }

    /// @dev The reverse of `_word`, for what it made.
    function _address(uint256 word) private pure returns (address) {
        // forge-lint: disable-next-line(unsafe-typecast)
        return address(uint160(word));
    }

    /// @dev The CREATE2 address of the purse (EIP-1014).
    function _purseOf(bytes32 termsHash) private view returns (address) {
        return Create2.computeAddress({salt: termsHash, bytecodeHash: PURSE_INIT_CODE_HASH, deployer: address(this)});
    }

    /*//////////////////////////////////////////////////////////////
                                   VIEWS
    //////////////////////////////////////////////////////////////*/

    /// @inheritdoc IInvoiceEscrow
    function escrowOf(InvoiceTerms calldata terms) external view returns (address purse) {
        (InvoiceTerms memory invoice, bytes32 termsHash) = Terms.read(terms);
        purse = _purseOf(termsHash);
        invoice.mustBeValid(purse);
    }

    /// @inheritdoc IInvoiceEscrow
    function stateOf(bytes32 termsHash) external view returns (uint128 paid, uint8 status, uint64 since) {
        State memory state = _states[termsHash];
        return (state.paid, state.status, state.since);
    }

    /*//////////////////////////////////////////////////////////////
                                  CHECKS
    //////////////////////////////////////////////////////////////*/

    /// @dev What `settle` and `pay` have in common: valid terms, the right caller, open, in time.
    /// @return paid As `_mustBeOpen`.
    function _mustBeSettleable(InvoiceTerms memory terms, bytes32 termsHash, address purse, address caller)
        private
        view
        returns (uint128 paid)
    {
        terms.mustBeValid(purse);
        address settler = terms.settler;
        if (settler != address(0) && caller != settler) revert NotSettler(caller, settler);
        return _mustBeOpen({terms: terms, termsHash: termsHash});
    }

    /// @dev Neither paid in full nor cancelled, and before `closesAt`.
    /// @return paid What the payee got so far, base units; all there is to know of an open invoice.
    function _mustBeOpen(InvoiceTerms memory terms, bytes32 termsHash) private view returns (uint128 paid) {
        State memory state = _states[termsHash];
        if (state.status != STATUS_OPEN) revert NotOpen(termsHash, state.status);
        if (block.timestamp >= terms.closesAt) revert Closed(termsHash, terms.closesAt, block.timestamp);
        return state.paid;
    }

    /// @dev The only rule for money that goes back, as it must not get lost. All others would lock it up.
    function _mustHaveRefundTo(InvoiceTerms memory terms) private view {
        address refundTo = terms.refundTo;
        if (refundTo == address(0) || refundTo == address(this)) revert InvalidRefundTo(refundTo);
    }
}
