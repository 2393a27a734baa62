// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IAccessManager} from "@openzeppelin/contracts/access/manager/IAccessManager.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {IEIP3009} from "./interfaces/IEIP3009.sol";
import {IInvoiceEscrow, InvoiceTerms} from "./interfaces/IInvoiceEscrow.sol";
import {Authorization, Clearance, ISettlementGate} from "./interfaces/ISettlementGate.sol";
import {Roles} from "./libraries/Roles.sol";
import {Terms} from "./libraries/Terms.sol";
import {Tokens} from "./libraries/Tokens.sol";

/// @title The usual settler: our keepers, held to what the terms say
/// @notice The escrow does not know this contract; it is the `settler` in the terms. It has no upgrade: another gate is
/// another settler. It holds no token and leaves no allowance between transactions.
///
/// @dev Whatever its keys do, the escrow lets money go to the payee or back only. So roles are about when, not where.
/// Who has which role is in the `AccessManager` of the chain; the table is contracts/governance/roles.json.
contract SettlementGate is ISettlementGate, AccessManaged, EIP712, ReentrancyGuardTransient {
    /// @dev Between the expiry that people are shown and `closesAt` there are at least this many seconds where there is
    /// a settler (the protocol's table of terms).
    uint256 private constant GRACE = 72 hours;

    /// @dev The longest that a clearance can be good for, seconds: what was screened may change.
    uint256 private constant LONGEST_CLEARANCE = 15 minutes;

    /// @dev EIP-712 type hash of a clearance.
    bytes32 private constant CLEARANCE_TYPEHASH =
        keccak256("Clearance(bytes32 termsHash,address payer,uint256 amount,uint64 validUntil)");

    /// @inheritdoc ISettlementGate
    IInvoiceEscrow public immutable ESCROW;
    /// @inheritdoc ISettlementGate
    address public immutable MINT_GATE;
    /// @inheritdoc ISettlementGate
    address public immutable FLOAT_GATE;
    /// @notice How many cancels there may be at once; a day makes room for as many again.
    uint256 public immutable CANCELS_PER_DAY;

    /// @notice Clearances that were used, by digest.
    mapping(bytes32 digest => bool) public clearanceUsed;

    /// @dev When the last cancel so far would be paid off at the steady rate, in units of 1 / CANCELS_PER_DAY seconds.
    /// A queue that empties with time: one number, and no window at whose edge twice as many fit.
    uint256 private _cancelsPaidOffAt;

    /// @param authority The `AccessManager` of this chain.
    /// @param mintGate May not be there yet: its address follows from who deploys it (README). Zero: there is none.
    /// @param floatGate As `mintGate`.
    constructor(IInvoiceEscrow escrow, address authority, address mintGate, address floatGate, uint256 cancelsPerDay)
        AccessManaged(authority)
        EIP712("Monay SettlementGate", "1")
    {
        if (address(escrow).code.length == 0) revert NotContract(address(escrow));
        // Without anyone who governs, nobody could ever settle.
        if (authority.code.length == 0) revert NotContract(authority);
        ESCROW = escrow;
        MINT_GATE = mintGate;
        FLOAT_GATE = floatGate;
        CANCELS_PER_DAY = cancelsPerDay;
    }

    /// @inheritdoc ISettlementGate
    function settleBatch(InvoiceTerms[] calldata, uint256) external restricted nonReentrant {
        // The escrow's function has the same name and arguments, so the call is passed on as it came: encoding the
        // terms once more would cost 1 % of the batch. A batch that lacks gas for an item reverts there, and here.
        address escrow = address(ESCROW);
        assembly ("memory-safe") {
            let data := mload(0x40)
            calldatacopy(data, 0, calldatasize())
            if iszero(call(gas(), escrow, 0, data, calldatasize(), 0, 0)) {
                returndatacopy(data, 0, returndatasize())
                revert(data, returndatasize())
            }
        }
    }

    /// @inheritdoc ISettlementGate
    function fundAndSettle(Authorization calldata authorization, InvoiceTerms calldata terms)
        external
        restricted
        nonReentrant
        returns (uint256 amount)
    {
        // Refuses terms that cannot be settled: a payer's money must not go where it can only come back from.
        address purse = ESCROW.escrowOf(terms);
        uint256 latest = terms.closesAt > GRACE ? terms.closesAt - GRACE : 0;
        if (authorization.validBefore > latest) revert AuthorizationTooLong(authorization.validBefore, latest);

        IEIP3009 token = IEIP3009(terms.token);
        // Anyone who saw it may have submitted it: then the money is where it belongs already.
        if (!token.authorizationState(authorization.from, authorization.nonce)) {
            _submit({token: token, authorization: authorization, purse: purse});
        }
        return ESCROW.settle(terms);
    }

    /// @inheritdoc ISettlementGate
    function cancel(InvoiceTerms calldata terms) external restricted nonReentrant {
        // A key that leaked could end all our invoices; so it can end only so many until somebody looks. Each cancel
        // takes one day's CANCELS_PER_DAYth part; up to a day may be taken in advance.
        uint256 now_ = block.timestamp * CANCELS_PER_DAY;
        uint256 start = _cancelsPaidOffAt > now_ ? _cancelsPaidOffAt : now_;
        uint256 paidOffAt = start + 1 days;
        uint256 latest = now_ + 1 days * CANCELS_PER_DAY;
        if (paidOffAt > latest) {
            // Of nothing per day there is never one more.
            uint256 nextAt = CANCELS_PER_DAY == 0
                ? type(uint256).max
                : block.timestamp + _divUp(paidOffAt - latest, CANCELS_PER_DAY);
            revert TooManyCancels(nextAt, block.timestamp);
        }
        _cancelsPaidOffAt = paidOffAt;
        ESCROW.cancel(terms);
    }

    /// @inheritdoc ISettlementGate
    function payFrom(InvoiceTerms calldata terms, uint256 amount, Clearance calldata clearance)
        external
        nonReentrant
        returns (uint256 paid)
    {
        (InvoiceTerms memory invoice, bytes32 termsHash) = Terms.read(terms);
        // The escrow sees this gate as the payer, so it cannot see that.
        if (msg.sender == invoice.payee) revert PayerIsPayee(msg.sender);

        (uint128 paidBefore,,) = ESCROW.stateOf(termsHash);
        uint256 due = invoice.amount - paidBefore;
        if (due < amount) amount = due;
        if (amount == 0) revert NothingDue(termsHash);
        if (msg.sender != MINT_GATE && msg.sender != FLOAT_GATE) {
            _useClearance({termsHash: termsHash, amount: amount, clearance: clearance});
        }

        address token = invoice.token;
        uint256 balanceBefore = Tokens.balanceOf({token: token, account: address(this)});
        Tokens.transferFrom({token: token, from: msg.sender, to: address(this), amount: amount});
        // Exactly what `pay` takes: nothing is left of it, whatever it finds due.
        Tokens.approve({token: token, spender: address(ESCROW), amount: amount});
        paid = ESCROW.pay(terms, amount);
        // A token that gives the gate less than it takes from it would spend what another payer's transfer left here.
        uint256 balanceAfter = Tokens.balanceOf({token: token, account: address(this)});
        if (balanceAfter != balanceBefore) revert GateBalanceChanged(token, balanceBefore, balanceAfter);
    }

    /// @dev With r, s, v where the signature has the form: tokens know that one from the standard, the other not all.
    function _submit(IEIP3009 token, Authorization calldata authorization, address purse) private {
        bytes calldata signature = authorization.signature;
        if (signature.length == 65) {
            token.transferWithAuthorization({
                from: authorization.from,
                to: purse,
                value: authorization.value,
                validAfter: authorization.validAfter,
                validBefore: authorization.validBefore,
                nonce: authorization.nonce,
                v: uint8(signature[64]),
                r: bytes32(signature[:32]),
                s: bytes32(signature[32:64])
            });
        } else {
            token.transferWithAuthorization({
                from: authorization.from,
                to: purse,
                value: authorization.value,
                validAfter: authorization.validAfter,
                validBefore: authorization.validBefore,
                nonce: authorization.nonce,
                signature: signature
            });
        }
    }

    /// @dev Checks a clearance for the caller and marks it as used.
    function _useClearance(bytes32 termsHash, uint256 amount, Clearance calldata clearance) private {
        if (amount > clearance.amount) revert AboveClearance(amount, clearance.amount);
        uint64 validUntil = clearance.validUntil;
        if (block.timestamp > validUntil || validUntil > block.timestamp + LONGEST_CLEARANCE) {
            revert InvalidClearanceTime(validUntil, block.timestamp);
        }
        bytes32 digest = _hashTypedDataV4(
            keccak256(abi.encode(CLEARANCE_TYPEHASH, termsHash, msg.sender, clearance.amount, validUntil))
        );
        if (clearanceUsed[digest]) revert ClearanceUsed(digest);
        clearanceUsed[digest] = true;
        (address signer,,) = ECDSA.tryRecoverCalldata({hash: digest, signature: clearance.signature});
        (bool clearer,) = IAccessManager(authority()).hasRole(Roles.CLEARER, signer);
        // Zero is no signer, whoever it was granted to.
        if (!clearer || signer == address(0)) revert NotClearer(signer);
    }

    function _divUp(uint256 a, uint256 b) private pure returns (uint256) {
        return (a + b - 1) / b;
    }
}
