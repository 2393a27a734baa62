// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {IAccessManager} from "@openzeppelin/contracts/access/manager/IAccessManager.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {Deposit, IAttestedGate, Reserve} from "./interfaces/IAttestedGate.sol";
import {IInvoiceEscrow, InvoiceTerms, STATUS_OPEN} from "./interfaces/IInvoiceEscrow.sol";
import {Clearance, ISettlementGate} from "./interfaces/ISettlementGate.sol";
import {Roles} from "./libraries/Roles.sol";
import {Terms} from "./libraries/Terms.sol";
import {Tokens} from "./libraries/Tokens.sol";

/// @title What the mint gate and the float gate have in common
/// @notice Attestations m of n, the statement about the reserve, the limit of a day, and paying an invoice so that
/// nothing stays behind. Where the money comes from is the only difference.
///
/// @dev An attestation says which deposit pays which terms. So whoever carries it can do nothing else with it, at no
/// other gate, for no other token and on no other chain, and only once.
///
/// That no invoice gets more than its amount needs no books here: what is issued is what `paid` rises by in the same
/// call, and the escrow never lets `paid` rise above the amount. It is never measured by balances, so what anyone sends
/// to an invoice, a gate or the payee blocks nothing.
abstract contract AttestedGate is IAttestedGate, AccessManaged, ReentrancyGuardTransient {
    using Terms for InvoiceTerms;

    /// @dev What changes often, and what is read with it: one slot.
    struct Limits {
        /// The most that may be paid in a day, base units.
        uint96 dailyCap;
        /// How much of it was used at `usedAt`, base units.
        uint96 used;
        /// Unix seconds.
        uint48 usedAt;
        /// How many attestors have to sign.
        uint8 threshold;
        /// Whether `mintAndPay` is stopped.
        bool paused;
    }

    /// @dev What is compared with what is there afterwards, base units.
    struct Balances {
        uint256 own;
        uint256 settlementGate;
        uint256 payee;
    }

    /// @dev The invoice has to be open for longer than this, seconds: decisions about which rail pays stop here, because
    /// the clocks of chains differ.
    uint256 private constant DECISIONS_STOP = 10 minutes;

    /// @dev The longest that a deposit's attestation can be good for, seconds. While it is, no other rail may pay.
    uint256 private constant LONGEST_ATTESTATION = 15 minutes;

    /// @dev How long a statement about the reserve counts, seconds.
    uint256 private constant STATEMENT_COUNTS_FOR = 24 hours;

    /// @dev EIP-712 type hash of a deposit's attestation.
    bytes32 private constant DEPOSIT_TYPEHASH = keccak256(
        "DepositAttestation(bytes32 depositId,bytes32 termsHash,address token,uint128 amount,uint64 validUntil)"
    );

    /// @dev EIP-712 type hash of a statement about the reserve.
    bytes32 private constant RESERVE_TYPEHASH =
        keccak256("ReserveAttestation(address token,uint128 allocation,uint64 nonce,uint64 asOf)");

    /// @dev EIP-712 type hash of the domain.
    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");

    /// @dev Of the EIP-712 domain.
    bytes32 private immutable _NAME_HASH;
    /// @inheritdoc IAttestedGate
    IInvoiceEscrow public immutable ESCROW;
    /// @inheritdoc IAttestedGate
    ISettlementGate public immutable SETTLEMENT_GATE;
    /// @inheritdoc IAttestedGate
    address public immutable TOKEN;
    /// @dev The gates that the SettlementGate knows, this one among them; they are never paid.
    address private immutable _MINT_GATE;
    address private immutable _FLOAT_GATE;

    /// @inheritdoc IAttestedGate
    mapping(bytes32 depositId => bool) public depositUsed;
    /// @inheritdoc IAttestedGate
    Reserve public reserve;

    Limits private _limits;

    /// @param name Of the EIP-712 domain: what is signed for one gate means nothing to another.
    /// @param settlementGate Escrow and governance are those of the settlement gate, so that they cannot differ.
    /// @param token May not be there yet.
    constructor(string memory name, ISettlementGate settlementGate, address token, uint8 threshold_, uint96 dailyCap_)
        AccessManaged(IAccessManaged(address(settlementGate)).authority())
    {
        _NAME_HASH = keccak256(bytes(name));
        SETTLEMENT_GATE = settlementGate;
        ESCROW = settlementGate.ESCROW();
        _MINT_GATE = settlementGate.MINT_GATE();
        _FLOAT_GATE = settlementGate.FLOAT_GATE();
        TOKEN = token;
        _setThreshold(threshold_);
        _setDailyCap(dailyCap_);
    }

    /*//////////////////////////////////////////////////////////////
                              MINT AND PAY
    //////////////////////////////////////////////////////////////*/

    /// @inheritdoc IAttestedGate
    function mintAndPay(InvoiceTerms calldata terms, Deposit calldata deposit, bytes[] calldata signatures)
        external
        nonReentrant
        returns (uint256 paid)
    {
        if (_limits.paused) revert MintIsPaused();
        (InvoiceTerms memory invoice, bytes32 termsHash) = Terms.read(terms);
        uint256 paidBefore = _mustBePayable({terms: invoice, termsHash: termsHash});
        paid = invoice.amount - paidBefore;
        if (deposit.amount < paid) revert DepositBelowDue(deposit.amount, paid);

        _useDeposit({deposit: deposit, termsHash: termsHash, signatures: signatures});
        _useDailyCap(paid);
        _mustBeCovered(paid);
        emit Minted({termsHash: termsHash, depositId: deposit.depositId, token: TOKEN, amount: paid});

        Balances memory expected = _balances(invoice.payee);
        expected.own -= _provide({amount: paid, memo: deposit.depositId});
        expected.payee += paid;
        _pay({terms: terms, amount: paid});

        (uint128 paidAfter,,) = ESCROW.stateOf(termsHash);
        if (paidAfter != paidBefore + paid) revert PaidNotAsIssued(paidAfter - paidBefore, paid);
        _mustBe({expected: expected, payee: invoice.payee});
    }

    /// @dev Has `amount` base units lie at this gate.
    /// @return taken How much of it was there before, base units.
    function _provide(uint256 amount, bytes32 memo) internal virtual returns (uint256 taken);

    /// @inheritdoc IAttestedGate
    function issued() public view virtual returns (uint256);

    /// @dev The terms are for this gate, open, and long enough. What else they have to be, the escrow says.
    /// @return paid What the payee got so far, base units.
    function _mustBePayable(InvoiceTerms memory terms, bytes32 termsHash) private view returns (uint256 paid) {
        _mustBeOfHere(terms);
        uint8 status;
        (paid, status,) = ESCROW.stateOf(termsHash);
        if (status != STATUS_OPEN) revert IInvoiceEscrow.NotOpen(termsHash, status);
        uint256 earliest = block.timestamp + DECISIONS_STOP;
        if (terms.closesAt <= earliest) revert ClosesTooSoon(terms.closesAt, earliest);
        if (terms.settler != address(0) && terms.settler != address(SETTLEMENT_GATE)) {
            revert WrongSettler(terms.settler, address(SETTLEMENT_GATE));
        }
        address payee = terms.payee;
        if (payee == _MINT_GATE || payee == _FLOAT_GATE || payee == address(SETTLEMENT_GATE)) {
            revert PayeeIsGate(payee);
        }
        if (terms.partials()) revert PartialsOn(termsHash);
    }

    /// @dev The terms are in this gate's token and for this chain.
    function _mustBeOfHere(InvoiceTerms memory terms) internal view {
        if (terms.token != TOKEN) revert WrongToken(terms.token, TOKEN);
        if (terms.chain != block.chainid) revert IInvoiceEscrow.WrongChain(terms.chain, block.chainid);
    }

    /// @dev Pays straight to the payee: through the escrow, or through the settlement gate where that is the settler.
    function _pay(InvoiceTerms calldata terms, uint256 amount) private {
        bool direct = terms.settler == address(0);
        address spender = direct ? address(ESCROW) : address(SETTLEMENT_GATE);
        Tokens.approve({token: TOKEN, spender: spender, amount: amount});
        if (direct) {
            ESCROW.pay(terms, amount);
        } else {
            Clearance memory none;
            SETTLEMENT_GATE.payFrom(terms, amount, none);
        }
        _mustBeZero({owner: address(this), spender: spender});
        _mustBeZero({owner: address(SETTLEMENT_GATE), spender: address(ESCROW)});
    }

    function _balances(address payee) private view returns (Balances memory) {
        return Balances({
            own: Tokens.balanceOf({token: TOKEN, account: address(this)}),
            settlementGate: Tokens.balanceOf({token: TOKEN, account: address(SETTLEMENT_GATE)}),
            payee: Tokens.balanceOf({token: TOKEN, account: payee})
        });
    }

    /// @dev The payee got all of it and nobody else any: a token that takes a fee or sends elsewhere undoes the call.
    function _mustBe(Balances memory expected, address payee) private view {
        Balances memory now_ = _balances(payee);
        if (now_.own != expected.own) revert WrongBalanceAfter(address(this), now_.own, expected.own);
        if (now_.settlementGate != expected.settlementGate) {
            revert WrongBalanceAfter(address(SETTLEMENT_GATE), now_.settlementGate, expected.settlementGate);
        }
        if (now_.payee != expected.payee) revert WrongBalanceAfter(payee, now_.payee, expected.payee);
    }

    /// @dev An allowance that stays would let whoever it is for take what comes later.
    function _mustBeZero(address owner, address spender) private view {
        uint256 allowance = IERC20(TOKEN).allowance(owner, spender);
        if (allowance != 0) revert AllowanceLeft(owner, spender, allowance);
    }

    /*//////////////////////////////////////////////////////////////
                              ATTESTATIONS
    //////////////////////////////////////////////////////////////*/

    /// @inheritdoc IAttestedGate
    function attestReserve(Reserve calldata statement, bytes[] calldata signatures) external {
        // Both rise, so that an earlier and larger reserve cannot be brought back. A statement of the future would count
        // longer than 24 hours.
        if (statement.nonce <= reserve.nonce) revert ReserveNotNewer(statement.nonce, reserve.nonce);
        if (statement.asOf > block.timestamp || statement.asOf < reserve.asOf) {
            revert InvalidAsOf(statement.asOf, block.timestamp);
        }
        _mustBeCurrent(statement.asOf);
        _mustBeAttested({
            structHash: keccak256(
                abi.encode(RESERVE_TYPEHASH, TOKEN, statement.allocation, statement.nonce, statement.asOf)
            ),
            signatures: signatures
        });
        reserve = statement;
        emit ReserveAttested(statement.allocation, statement.nonce, statement.asOf);
    }

    /// @dev Checks the attestation of a deposit and marks the deposit as used.
    function _useDeposit(Deposit calldata deposit, bytes32 termsHash, bytes[] calldata signatures) private {
        uint64 validUntil = deposit.validUntil;
        if (block.timestamp > validUntil || validUntil > block.timestamp + LONGEST_ATTESTATION) {
            revert InvalidValidUntil(validUntil, block.timestamp);
        }
        bytes32 depositId = deposit.depositId;
        // By the deposit and not by the attestation: two attestations of one deposit are one payment.
        if (depositUsed[depositId]) revert DepositUsed(depositId);
        depositUsed[depositId] = true;
        _mustBeAttested({
            structHash: keccak256(
                abi.encode(DEPOSIT_TYPEHASH, depositId, termsHash, TOKEN, deposit.amount, validUntil)
            ),
            signatures: signatures
        });
    }

    /// @dev As many attestors as it takes have signed, each once.
    function _mustBeAttested(bytes32 structHash, bytes[] calldata signatures) private view {
        uint256 needed = _limits.threshold;
        if (signatures.length < needed) revert TooFewSignatures(signatures.length, needed);
        bytes32 domain =
            keccak256(abi.encode(DOMAIN_TYPEHASH, _NAME_HASH, keccak256("1"), block.chainid, address(this)));
        bytes32 digest = MessageHashUtils.toTypedDataHash({domainSeparator: domain, structHash: structHash});
        IAccessManager manager = IAccessManager(authority());
        address previous = address(0);
        for (uint256 i = 0; i < signatures.length; ++i) {
            // Zero for whatever is not 65 bytes of a signature with a low s.
            (address signer,,) = ECDSA.tryRecoverCalldata({hash: digest, signature: signatures[i]});
            (bool attestor,) = manager.hasRole(Roles.ATTESTOR, signer);
            if (!attestor || signer == address(0)) revert NotAttestor(signer);
            if (signer <= previous) revert SignersNotAscending(previous, signer);
            previous = signer;
        }
    }

    /*//////////////////////////////////////////////////////////////
                           RESERVE AND LIMITS
    //////////////////////////////////////////////////////////////*/

    /// @dev The latest statement counts and covers `amount` more. Base units.
    function _mustBeCovered(uint256 amount) private view {
        Reserve memory latest = reserve;
        _mustBeCurrent(latest.asOf);
        uint256 soFar = issued();
        if (soFar + amount > latest.allocation) revert AboveAllocation(soFar, amount, latest.allocation);
    }

    function _mustBeCurrent(uint64 asOf) private view {
        if (block.timestamp > asOf + STATEMENT_COUNTS_FOR) revert InvalidAsOf(asOf, block.timestamp);
    }

    /// @dev Takes `amount` base units from what a day allows. Stolen attestors' keys can take no more until somebody looks.
    function _useDailyCap(uint256 amount) private {
        uint256 used = _usedNow();
        uint256 cap = _limits.dailyCap;
        if (used + amount > cap) revert AboveDailyCap(amount, cap > used ? cap - used : 0);
        _setUsed(used + amount);
    }

    /// @dev What is used comes back evenly over 24 hours: there is no midnight around which twice as much fits.
    function _usedNow() private view returns (uint256) {
        uint256 used = _limits.used;
        uint256 back = (block.timestamp - _limits.usedAt) * _limits.dailyCap / 1 days;
        return used > back ? used - back : 0;
    }

    /// @dev At most the cap of now or of before, so 96 bits.
    function _setUsed(uint256 used) private {
        // forge-lint: disable-next-line(unsafe-typecast)
        _limits.used = uint96(used);
        // forge-lint: disable-next-line(unsafe-typecast)
        _limits.usedAt = uint48(block.timestamp);
    }

    /*//////////////////////////////////////////////////////////////
                               GOVERNANCE
    //////////////////////////////////////////////////////////////*/

    /// @inheritdoc IAttestedGate
    function pauseMint() external restricted {
        _limits.paused = true;
        emit MintPaused(true);
    }

    /// @inheritdoc IAttestedGate
    function unpauseMint() external restricted {
        _limits.paused = false;
        emit MintPaused(false);
    }

    /// @inheritdoc IAttestedGate
    function lowerDailyCap(uint96 next) external restricted {
        if (next >= _limits.dailyCap) revert NotLower(next, _limits.dailyCap);
        _setDailyCap(next);
    }

    /// @inheritdoc IAttestedGate
    function setDailyCap(uint96 next) external restricted {
        _setDailyCap(next);
    }

    /// @inheritdoc IAttestedGate
    function setThreshold(uint8 next) external restricted {
        _setThreshold(next);
    }

    function _setDailyCap(uint96 next) private {
        // So far at the rate of before.
        _setUsed(_usedNow());
        _limits.dailyCap = next;
        emit DailyCapSet(next);
    }

    function _setThreshold(uint8 next) private {
        if (next == 0) revert ZeroThreshold();
        _limits.threshold = next;
        emit ThresholdSet(next);
    }

    /*//////////////////////////////////////////////////////////////
                                 VIEWS
    //////////////////////////////////////////////////////////////*/

    /// @inheritdoc IAttestedGate
    function dailyCap() external view returns (uint256 cap, uint256 left) {
        cap = _limits.dailyCap;
        uint256 used = _usedNow();
        left = cap > used ? cap - used : 0;
    }

    /// @inheritdoc IAttestedGate
    function mintPaused() external view returns (bool) {
        return _limits.paused;
    }

    /// @inheritdoc IAttestedGate
    function threshold() external view returns (uint8) {
        return _limits.threshold;
    }
}
