// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {InvoiceEscrow} from "../../src/InvoiceEscrow.sol";
import {IInvoiceEscrow, InvoiceTerms, RefundOrder} from "../../src/interfaces/IInvoiceEscrow.sol";
import {Test} from "../base/Test.sol";
import {Vm} from "../base/Vm.sol";
import {PlainToken} from "../tokens/PlainToken.sol";

/// @notice Everything that people, keepers and attackers do to six invoices, in any order. Each function makes at most
/// one purse run, as one transaction does.
///
/// It knows from the protocol's text alone what must succeed and what must not, and says so when the escrow does
/// otherwise; and it keeps the ledger that the invariants are about.
contract Handler is Test {
    /// @dev What happened to one invoice, from the outside.
    struct Ledger {
        uint256 sent; // the invoice's token, to the purse
        uint256 direct; // the invoice's token, by pay
        uint256 sentOther; // the other token, to the purse
        uint256 sentCoin; // native coin, to the purse
        uint128 paid; // folded from events, as the next two
        uint8 status;
        uint64 since;
        bool ended; // status was seen to be 1 or 2 …
        uint128 endPaid; // … and this was the state then
        uint8 endStatus;
        uint64 endSince;
    }

    uint256 internal constant BASE = 8453;
    uint256 internal constant INVOICES = 6;
    uint256 internal constant WRONG_CHAIN = 4; // this one and those after it

    InvoiceEscrow public immutable ESCROW;
    PlainToken public immutable TOKEN;
    PlainToken public immutable OTHER;

    InvoiceTerms[] private _terms;
    Ledger[] private _ledgers;
    mapping(bytes32 termsHash => uint256 indexPlusOne) private _indexOf;
    mapping(string verb => uint256) public done;
    uint256 private _nonce;

    address public immutable ATTACKER = makeAddress("attacker");
    address public immutable SETTLER = makeAddress("settler");
    address public immutable PAYER = makeAddress("payer");
    address public immutable ELSEWHERE = makeAddress("elsewhere");

    constructor(InvoiceEscrow escrow, PlainToken token, PlainToken other) {
        ESCROW = escrow;
        TOKEN = token;
        OTHER = other;
        for (uint256 i = 0; i < INVOICES; ++i) {
            string memory n = vm.toString(i);
            _terms.push(
                InvoiceTerms({
                    version: 1,
                    chain: i >= WRONG_CHAIN ? 1 : uint64(BASE),
                    invoiceId: keccak256(bytes(n)),
                    payee: makeAddress(string.concat("payee ", n)),
                    token: address(token),
                    amount: uint128(1000 + i),
                    closesAt: uint64(block.timestamp + 3 days + i * 5 days),
                    refundTo: makeAddress(string.concat("customer ", n)),
                    // The odd ones have a key, 2 and 3 a settler, 1, 2 and 4 take partials: few, so that each gets a
                    // long life.
                    refundKey: i % 2 == 1 ? makeAddress(string.concat("key ", n)) : address(0),
                    settler: i == 2 || i == 3 ? SETTLER : address(0),
                    flags: i == 1 || i == 2 || i == 4 ? 1 : 0
                })
            );
            _ledgers.push();
            _indexOf[hashOf(_terms[i])] = i + 1;
        }
        vm.prank(PAYER);
        token.approve(address(escrow), type(uint256).max);
        vm.recordLogs();
    }

    /*//////////////////////////////////////////////////////////////
                              FOR THE INVARIANTS
    //////////////////////////////////////////////////////////////*/

    function invoices() external pure returns (uint256) {
        return INVOICES;
    }

    function termsOf(uint256 i) public view returns (InvoiceTerms memory) {
        return _terms[i];
    }

    function ledgerOf(uint256 i) external view returns (Ledger memory) {
        return _ledgers[i];
    }

    function hashOf(InvoiceTerms memory terms) public pure returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256(
                    "InvoiceTerms(uint8 version,uint64 chain,bytes32 invoiceId,address payee,address token,uint128 amount,uint64 closesAt,address refundTo,address refundKey,address settler,uint8 flags)"
                ),
                terms
            )
        );
    }

    function purseOf(InvoiceTerms memory terms) public view returns (address) {
        return vm.computeCreate2Address(hashOf(terms), ESCROW.PURSE_INIT_CODE_HASH(), address(ESCROW));
    }

    /*//////////////////////////////////////////////////////////////
                                 THE WORLD
    //////////////////////////////////////////////////////////////*/

    function sendToken(uint256 seed, uint256 amount) external {
        _sendToken(seed % INVOICES, amount);
    }

    function _sendToken(uint256 i, uint256 amount) private {
        // Often exactly what is due, one more, one less; else anything small.
        uint256 due = _terms[i].amount - _ledgers[i].paid;
        uint256 kind = amount % 5;
        amount = kind == 0 ? due : kind == 1 ? due + 1 : kind == 2 && due > 0 ? due - 1 : amount % 400;
        TOKEN.mint(purseOf(_terms[i]), amount);
        _ledgers[i].sent += amount;
    }

    function sendOther(uint256 seed, uint256 amount) external {
        uint256 i = seed % INVOICES;
        amount = amount % 1000;
        OTHER.mint(purseOf(_terms[i]), amount);
        _ledgers[i].sentOther += amount;
    }

    function forceCoin(uint256 seed, uint256 amount) external {
        uint256 i = seed % INVOICES;
        amount = amount % 1000;
        address purse = purseOf(_terms[i]);
        vm.deal(purse, purse.balance + amount);
        _ledgers[i].sentCoin += amount;
    }

    function passTime(uint256 seconds_) external {
        // Mostly hours; now and then to the next closesAt, or the second before; now and then weeks.
        uint256 kind = seconds_ % 16;
        uint256 next = type(uint256).max;
        for (uint256 i = 0; i < INVOICES; ++i) {
            if (_terms[i].closesAt > block.timestamp + 1 && _terms[i].closesAt < next) next = _terms[i].closesAt;
        }
        if (kind < 2 && next != type(uint256).max) vm.warp(next - kind);
        else vm.warp(block.timestamp + bound(seconds_, 1, kind == 2 ? 20 days : 12 hours));
    }

    /*//////////////////////////////////////////////////////////////
                                 THE VERBS
    //////////////////////////////////////////////////////////////*/

    function settle(uint256 seed, uint256 who) external {
        uint256 i = seed % INVOICES;
        _settle(i, _someone(i, who));
    }

    /// @dev What happens most in life: money comes, the right one settles.
    function sendAndSettle(uint256 seed, uint256 amount) external {
        uint256 i = seed % INVOICES;
        _sendToken(i, amount);
        _settle(i, SETTLER);
    }

    function _settle(uint256 i, address caller) private {
        bool expected = _canSettle(i, caller);
        _do({caller: caller, data: abi.encodeCall(ESCROW.settle, (_terms[i])), expected: expected, verb: "settle"});
    }

    function settleBatch(uint256 from, uint256 count, uint256 who) external {
        count = bound(count, 1, INVOICES);
        InvoiceTerms[] memory batch = new InvoiceTerms[](count);
        bool[] memory expected = new bool[](count);
        address caller = _someone(from % INVOICES, who);
        uint256[] memory before = new uint256[](count);
        for (uint256 k = 0; k < count; ++k) {
            uint256 i = addmod(from, k, INVOICES);
            batch[k] = _terms[i];
            expected[k] = _canSettle(i, caller);
            before[k] = TOKEN.balanceOf(_terms[i].payee);
        }
        _do({
            caller: caller,
            data: abi.encodeCall(ESCROW.settleBatch, (batch, 200_000)),
            expected: true,
            verb: "settleBatch"
        });
        for (uint256 k = 0; k < count; ++k) {
            bool moved = TOKEN.balanceOf(batch[k].payee) != before[k];
            assertTrue(moved == expected[k], "batch: an item did what its neighbours are like");
        }
    }

    function pay(uint256 seed, uint256 amount) external {
        uint256 i = seed % INVOICES;
        InvoiceTerms memory terms = _terms[i];
        uint256 due = terms.amount - _ledgers[i].paid;
        amount = amount % 3 == 0 ? due : amount % (2 * uint256(terms.amount));
        TOKEN.mint(PAYER, amount);
        bool expected =
            _isOpen(i) && terms.settler == address(0) && (amount >= due || (terms.flags & 1 != 0 && amount > 0));
        bool ok =
            _do({caller: PAYER, data: abi.encodeCall(ESCROW.pay, (terms, amount)), expected: expected, verb: "pay"});
        if (ok) _ledgers[i].direct += amount < due ? amount : due;
    }

    function cancel(uint256 seed, uint256 who) external {
        if (seed % 5 != 0) return; // or nothing would live long enough
        uint256 i = (seed / 5) % INVOICES;
        InvoiceTerms memory terms = _terms[i];
        address caller = _someone(i, who);
        bool expected = _isOpen(i) && (caller == terms.payee || caller == terms.settler);
        _do({caller: caller, data: abi.encodeCall(ESCROW.cancel, (terms)), expected: expected, verb: "cancel"});
    }

    function refund(uint256 seed, uint256 who, uint256 what) external {
        uint256 i = seed % INVOICES;
        InvoiceTerms memory terms = _terms[i];
        address token = what % 4 == 0 ? address(0) : what % 4 == 1 ? address(OTHER) : address(TOKEN);
        bool expected = _lies(i, token) > 0 && _mayGoBack(i, token);
        if (terms.refundKey != address(0) && token != address(0)) {
            uint256 end = _ledgers[i].status == 0 ? terms.closesAt : _ledgers[i].since;
            if (end > terms.closesAt) end = terms.closesAt;
            expected = expected && block.timestamp >= end + 30 days;
        }
        _do({
            caller: _someone(i, who),
            data: abi.encodeCall(ESCROW.refund, (terms, token)),
            expected: expected,
            verb: "refund"
        });
    }

    function refundByOrder(uint256 seed, uint256 who, uint256 what) external {
        uint256 i = seed % INVOICES;
        InvoiceTerms memory terms = _terms[i];
        address token = what % 4 == 0 ? address(0) : what % 4 == 1 ? address(OTHER) : address(TOKEN);
        RefundOrder memory order = RefundOrder({
            termsHash: hashOf(terms), token: token, to: ELSEWHERE, nonce: ++_nonce, deadline: block.timestamp
        });
        bool expected = terms.refundKey != address(0) && _lies(i, token) > 0 && _mayGoBack(i, token);
        // Anyone carries it; now and then the attacker signs it himself.
        bool forged = what % 7 == 3;
        string memory key = forged ? "attacker" : string.concat("key ", vm.toString(i));
        bytes memory data = abi.encodeCall(ESCROW.refundByOrder, (terms, order, _sign(key, order)));
        uint256 before = _lies(i, token);
        uint256 elsewhere = token == address(0) ? ELSEWHERE.balance : PlainToken(token).balanceOf(ELSEWHERE);
        bool ok = _do({caller: _someone(i, who), data: data, expected: expected && !forged, verb: "refundByOrder"});
        if (!ok) return;
        uint256 got = (token == address(0) ? ELSEWHERE.balance : PlainToken(token).balanceOf(ELSEWHERE)) - elsewhere;
        assertEq(got, before, "order: the whole balance");
        // ELSEWHERE is everybody's; what it got is booked as no longer sent to this invoice.
        if (token == address(0)) _ledgers[i].sentCoin -= got;
        else if (token == address(OTHER)) _ledgers[i].sentOther -= got;
        else _ledgers[i].sent -= got;
    }

    /*//////////////////////////////////////////////////////////////
                                 THE ATTACKER
    //////////////////////////////////////////////////////////////*/

    /// @dev T1: whatever is done with a copy of the terms in which the attacker stands somewhere.
    function useForgedTerms(uint256 seed, uint256 field, uint256 verb) external {
        uint256 i = seed % INVOICES;
        InvoiceTerms memory terms = _terms[i];
        field = field % 6;
        if (field == 0) terms.payee = ATTACKER;
        if (field == 1) terms.refundTo = ATTACKER;
        if (field == 2) terms.refundKey = ATTACKER;
        if (field == 3) terms.settler = ATTACKER;
        if (field == 4) terms.closesAt = uint64(block.timestamp);
        if (field == 5) terms.amount = 1;
        // At its very closesAt the fifth is no forgery.
        if (hashOf(terms) == hashOf(_terms[i])) return;
        verb = verb % 5;
        bytes memory data;
        if (verb == 0) data = abi.encodeCall(ESCROW.settle, (terms));
        if (verb == 1) data = abi.encodeCall(ESCROW.cancel, (terms));
        if (verb == 2) data = abi.encodeCall(ESCROW.refund, (terms, address(TOKEN)));
        if (verb == 3) data = abi.encodeCall(ESCROW.refund, (terms, address(0)));
        if (verb == 4) {
            RefundOrder memory order = RefundOrder({
                termsHash: hashOf(_terms[i]),
                token: address(TOKEN),
                to: ATTACKER,
                nonce: ++_nonce,
                deadline: block.timestamp
            });
            data = abi.encodeCall(ESCROW.refundByOrder, (terms, order, _sign("attacker", order)));
        }
        (uint128 paid, uint8 status, uint64 since) = ESCROW.stateOf(hashOf(_terms[i]));
        uint256 lies = _lies(i, address(TOKEN));
        vm.prank(ATTACKER);
        (bool ok,) = address(ESCROW).call(data);
        if (ok) ++done["forged"];
        (uint128 paidAfter, uint8 statusAfter, uint64 sinceAfter) = ESCROW.stateOf(hashOf(_terms[i]));
        assertTrue(paid == paidAfter && status == statusAfter && since == sinceAfter, "T1: state of the real terms");
        assertEq(_lies(i, address(TOKEN)), lies, "T1: money of the real terms");
        vm.getRecordedLogs();
    }

    /*//////////////////////////////////////////////////////////////
                          WHAT THE PROTOCOL SAYS
    //////////////////////////////////////////////////////////////*/

    function _isOpen(uint256 i) private view returns (bool) {
        return i < WRONG_CHAIN && _ledgers[i].status == 0 && block.timestamp < _terms[i].closesAt;
    }

    function _canSettle(uint256 i, address caller) private view returns (bool) {
        InvoiceTerms memory terms = _terms[i];
        if (!_isOpen(i)) return false;
        if (terms.settler != address(0) && terms.settler != caller) return false;
        uint256 due = terms.amount - _ledgers[i].paid;
        uint256 balance = _lies(i, address(TOKEN));
        return balance >= due || (terms.flags & 1 != 0 && balance > 0);
    }

    function _mayGoBack(uint256 i, address token) private view returns (bool) {
        if (token != address(TOKEN) || i >= WRONG_CHAIN) return true;
        return _ledgers[i].status != 0 || block.timestamp >= _terms[i].closesAt;
    }

    function _lies(uint256 i, address token) private view returns (uint256) {
        address purse = purseOf(_terms[i]);
        return token == address(0) ? purse.balance : PlainToken(token).balanceOf(purse);
    }

    function _someone(uint256 i, uint256 who) private view returns (address) {
        who = who % 4;
        if (who == 0) return ATTACKER;
        if (who == 1) return _terms[i].payee;
        if (who == 2) return SETTLER;
        return PAYER;
    }

    /// @dev Calls, checks that it went as expected, and folds the events into the ledger.
    function _do(address caller, bytes memory data, bool expected, string memory verb) private returns (bool ok) {
        vm.prank(caller);
        (ok,) = address(ESCROW).call(data);
        assertTrue(ok || !expected, string.concat(verb, " failed though it must not"));
        assertTrue(!ok || expected, string.concat(verb, " succeeded though it must not"));
        if (ok) ++done[verb];
        _fold();
    }

    function _fold() private {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 k = 0; k < logs.length; ++k) {
            if (logs[k].emitter != address(ESCROW) || logs[k].topics[0] != IInvoiceEscrow.Recorded.selector) continue;
            uint256 index = _indexOf[logs[k].topics[1]];
            if (index == 0) continue;
            Ledger storage ledger = _ledgers[index - 1];
            (, uint128 paid, uint8 status,) = abi.decode(logs[k].data, (uint256, uint128, uint8, uint8));
            if (ledger.status == 0 && status != 0) ledger.since = uint64(block.timestamp);
            ledger.paid = paid;
            ledger.status = status;
            if (status != 0 && !ledger.ended) {
                (ledger.ended, ledger.endPaid, ledger.endStatus, ledger.endSince) =
                (true, paid, status, uint64(block.timestamp));
            }
        }
    }

    function _sign(string memory who, RefundOrder memory order) private view returns (bytes memory) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Monay InvoiceEscrow"),
                keccak256("1"),
                block.chainid,
                address(ESCROW)
            )
        );
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256("RefundOrder(bytes32 termsHash,address token,address to,uint256 nonce,uint256 deadline)"),
                order
            )
        );
        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(keyOf(who), keccak256(abi.encodePacked(hex"1901", domain, structHash)));
        return abi.encodePacked(r, s, v);
    }
}
