// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IInvoiceEscrow, InvoiceTerms} from "./IInvoiceEscrow.sol";
import {ISettlementGate} from "./ISettlementGate.sol";

/// @notice What the attestors say of money that came in off chain, beside the terms and the token it is for.
/// @dev Signed (EIP-712, domain "Monay MintGate" or "Monay FloatGate", version "1", chain id, gate) as
/// `DepositAttestation(bytes32 depositId,bytes32 termsHash,address token,uint128 amount,uint64 validUntil)`. Used once.
struct Deposit {
    /// 32 bytes, drawn once for each deposit.
    bytes32 depositId;
    /// How much came in, base units. At most what is due is minted; the rest is given back off chain.
    uint128 amount;
    /// Unix seconds, included; at most 15 minutes ahead.
    uint64 validUntil;
}

/// @notice What the attestors say of the reserve behind the token of one gate.
/// @dev Signed in the same domain as `ReserveAttestation(address token,uint128 allocation,uint64 nonce,uint64 asOf)`.
struct Reserve {
    /// How much this gate may have issued in total, base units: `issued` may not go beyond it.
    uint128 allocation;
    /// Rises with each statement; the number of an earlier one is refused.
    uint64 nonce;
    /// The moment the statement is about, unix seconds. It counts for 24 hours.
    uint64 asOf;
}

/// @title What the gates have in common that turn money off chain into paid invoices
/// @notice Whoever carries the attestors' word may have an invoice paid, and nobody can have anything else done with it:
/// the money goes to the payee in the same call, and nothing stays at a gate.
interface IAttestedGate {
    /// @notice An invoice was paid with money that came in off chain.
    /// @param amount What was issued and what the payee got, base units of `token`.
    event Minted(bytes32 indexed termsHash, bytes32 indexed depositId, address token, uint256 amount);
    /// @notice A newer statement about the reserve.
    event ReserveAttested(uint128 allocation, uint64 nonce, uint64 asOf);
    /// @notice Paying with money from off chain was stopped, or goes on.
    event MintPaused(bool paused);
    /// @notice Another limit of a day, base units.
    event DailyCapSet(uint96 dailyCap);
    /// @notice Another number of attestors has to sign.
    event ThresholdSet(uint8 threshold);

    // How the gates are put together.

    /// @notice The SettlementGate knows another gate in this place.
    error NotKnownToSettlementGate(address known, address here);

    // Terms that this gate does not pay.

    /// @notice The invoice is in another token than this gate's own.
    error WrongToken(address token, address own);
    /// @notice The invoice closes at `closesAt` and has to be open until after `earliest` (unix seconds).
    error ClosesTooSoon(uint64 closesAt, uint256 earliest);
    /// @notice An invoice that is paid from off chain takes the whole amount or nothing.
    error PartialsOn(bytes32 termsHash);
    /// @notice The settler has to be zero or `gate`.
    error WrongSettler(address settler, address gate);
    /// @notice Money from off chain is never paid to one of the gates: nothing would leave them, or it would be a way
    /// from a card to cash.
    error PayeeIsGate(address payee);

    // The attestors' word.

    /// @notice This deposit was used before.
    error DepositUsed(bytes32 depositId);
    /// @notice The deposit is less than what is due (base units).
    error DepositBelowDue(uint256 amount, uint256 due);
    /// @notice The attestation is over, or reaches further than 15 minutes ahead (unix seconds).
    error InvalidValidUntil(uint64 validUntil, uint256 timestamp);
    /// @notice Fewer have signed than have to.
    error TooFewSignatures(uint256 given, uint256 threshold);
    /// @notice Signers come in ascending order, each once.
    error SignersNotAscending(address previous, address signer);
    /// @notice Not the signature of an attestor; zero: not a signature (65 bytes, low s).
    error NotAttestor(address signer);

    // The reserve and the limits.

    /// @notice A statement as new as this one, or newer, is here already.
    error ReserveNotNewer(uint64 nonce, uint64 latest);
    /// @notice The statement is of the future, of before the latest one, or older than 24 hours (unix seconds).
    error InvalidAsOf(uint64 asOf, uint256 timestamp);
    /// @notice `issued` and `amount` more would be above the allocation (base units).
    error AboveAllocation(uint256 issued, uint256 amount, uint256 allocation);
    /// @notice Of this day's limit only `left` is there (base units). It comes back evenly over 24 hours.
    error AboveDailyCap(uint256 amount, uint256 left);
    /// @notice Paying with money from off chain is stopped. What was paid before, refunds and redemptions go on.
    error MintIsPaused();
    /// @notice The limit can only be lowered here.
    error NotLower(uint96 next, uint96 current);
    /// @notice At least one attestor has to sign.
    error ZeroThreshold();

    // What has to be so afterwards.

    /// @notice What the payee is recorded to have got is not what was issued (base units).
    error PaidNotAsIssued(uint256 paid, uint256 issued);
    /// @notice An account has not what it has to have afterwards (base units).
    error WrongBalanceAfter(address account, uint256 balance, uint256 expected);
    /// @notice A gate left an allowance (base units).
    error AllowanceLeft(address owner, address spender, uint256 allowance);

    /// @notice Pays an open invoice with money that came in off chain, by anyone who carries the attestors' signatures.
    /// @dev The same selector at every gate.
    /// @param signatures 65 bytes (r, s, v; low s) each, the signers' addresses strictly ascending; all of them have to be
    /// attestors', and at least as many as the threshold.
    /// @return paid What was issued and what the payee got, base units: all that was due.
    function mintAndPay(InvoiceTerms calldata terms, Deposit calldata deposit, bytes[] calldata signatures)
        external
        returns (uint256 paid);

    /// @notice Takes a newer statement about the reserve, by anyone who carries it.
    /// @param signatures As in `mintAndPay`.
    function attestReserve(Reserve calldata statement, bytes[] calldata signatures) external;

    /// @notice Stops `mintAndPay` at once. Nothing else.
    function pauseMint() external;
    /// @notice Lets `mintAndPay` go on.
    function unpauseMint() external;
    /// @notice A lower limit of a day, at once.
    function lowerDailyCap(uint96 next) external;
    /// @notice Any limit of a day.
    function setDailyCap(uint96 next) external;
    /// @notice How many attestors have to sign.
    function setThreshold(uint8 next) external;

    /// @notice Where invoices live.
    function ESCROW() external view returns (IInvoiceEscrow);
    /// @notice The only settler, besides none, whose invoices this gate pays.
    function SETTLEMENT_GATE() external view returns (ISettlementGate);
    /// @notice The token of this gate.
    function TOKEN() external view returns (address);
    /// @notice What this gate has issued and has not taken back, base units: the token's supply; of a float, all that
    /// was ever paid from it.
    function issued() external view returns (uint256);
    /// @notice The latest statement about the reserve.
    function reserve() external view returns (uint128 allocation, uint64 nonce, uint64 asOf);
    /// @notice Whether a deposit was used.
    function depositUsed(bytes32 depositId) external view returns (bool);
    /// @notice How much may be paid in a day, base units, and how much of it is there now.
    function dailyCap() external view returns (uint256 cap, uint256 left);
    /// @notice Whether `mintAndPay` is stopped.
    function mintPaused() external view returns (bool);
    /// @notice How many attestors have to sign.
    function threshold() external view returns (uint8);
}
