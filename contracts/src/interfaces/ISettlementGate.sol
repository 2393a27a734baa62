// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IInvoiceEscrow, InvoiceTerms} from "./IInvoiceEscrow.sol";

/// @notice A payer's EIP-3009 authorization. Token and receiver are not in it: they follow from the terms.
struct Authorization {
    /// Who pays.
    address from;
    /// Base units.
    uint256 value;
    /// Unix seconds; usable after this second.
    uint256 validAfter;
    /// Unix seconds; usable before this second.
    uint256 validBefore;
    /// The payer's own.
    bytes32 nonce;
    /// 65 bytes (r, s, v), or whatever the payer's contract wants (ERC-1271).
    bytes signature;
}

/// @notice Our word that this payer may pay this invoice from the payer's own account.
/// @dev Signed (EIP-712, domain "Monay SettlementGate", "1") as
/// `Clearance(bytes32 termsHash,address payer,uint256 amount,uint64 validUntil)`; good for one payment.
struct Clearance {
    /// At most this much, base units.
    uint256 amount;
    /// Unix seconds, included; at most 15 minutes ahead.
    uint64 validUntil;
    /// 65 bytes (r, s, v) by a clearer.
    bytes signature;
}

/// @title The usual settler: our keepers, held to what the terms say
/// @notice A stolen key of any role can at worst pay payees what they are due, or end invoices early so that money goes
/// back; it can divert nothing.
/// @dev Who may call what is in the table of roles (contracts/governance): settlers `settleBatch` and `fundAndSettle`,
/// cancellers `cancel`; clearers sign clearances.
interface ISettlementGate {
    /// @notice Not the signature of a clearer; zero: not a signature (65 bytes, low s).
    error NotClearer(address signer);
    /// @notice The escrow, and who governs, have to be contracts.
    error NotContract(address account);
    /// @notice The authorization would still be good after the expiry that people are shown (unix seconds): money
    /// that comes then goes back.
    error AuthorizationTooLong(uint256 validBefore, uint256 latest);
    /// @notice As many invoices as one key may cancel were cancelled; one more can be at `nextAt` (unix seconds).
    error TooManyCancels(uint256 nextAt, uint256 timestamp);
    /// @notice The clearance is for less.
    error AboveClearance(uint256 amount, uint256 cleared);
    /// @notice The clearance is over, or reaches further than 15 minutes ahead (unix seconds).
    error InvalidClearanceTime(uint64 validUntil, uint256 timestamp);
    /// @notice The clearance was used before.
    error ClearanceUsed(bytes32 digest);
    /// @notice The payee would pay himself.
    error PayerIsPayee(address payee);
    /// @notice There is nothing to pay.
    error NothingDue(bytes32 termsHash);
    /// @notice The token did not leave the gate as it was: it took a fee, or gave more.
    error GateBalanceChanged(address token, uint256 balanceBefore, uint256 balanceAfter);

    /// @notice `InvoiceEscrow.settleBatch`, by a settler.
    function settleBatch(InvoiceTerms[] calldata terms, uint256 gasPerItem) external;

    /// @notice Submits a payer's authorization to the invoice's own address and settles, by a settler. Goes on where
    /// somebody else submitted it first.
    /// @return amount What the payee got, base units.
    function fundAndSettle(Authorization calldata authorization, InvoiceTerms calldata terms)
        external
        returns (uint256 amount);

    /// @notice `InvoiceEscrow.cancel`, by a canceller, at most so often.
    function cancel(InvoiceTerms calldata terms) external;

    /// @notice `InvoiceEscrow.pay` with the caller's own money: by the mint or float gate, or by anyone with a clearance.
    /// @param amount A ceiling, base units: at most what is still due is taken.
    /// @param clearance Ignored for the two gates.
    /// @return paid What the payee got, base units.
    function payFrom(InvoiceTerms calldata terms, uint256 amount, Clearance calldata clearance)
        external
        returns (uint256 paid);

    /// @notice Where invoices live.
    function ESCROW() external view returns (IInvoiceEscrow);
    /// @notice The gate that mints a token of ours; zero: none.
    function MINT_GATE() external view returns (address);
    /// @notice The gate that pays from a float of a token that is not ours; zero: none.
    function FLOAT_GATE() external view returns (address);
}
