//! The interfaces of our contracts, as Solidity has them: `contracts/src/interfaces/` is the twin.

#![allow(missing_docs, clippy::too_many_arguments)]

use alloy_sol_types::sol;

sol! {
    #[derive(Debug, PartialEq, Eq)]
    struct InvoiceTerms {
        uint8 version;
        uint64 chain;
        bytes32 invoiceId;
        address payee;
        address token;
        uint128 amount;
        uint64 closesAt;
        address refundTo;
        address refundKey;
        address settler;
        uint8 flags;
    }

    #[derive(Debug, PartialEq, Eq)]
    struct RefundOrder {
        bytes32 termsHash;
        address token;
        address to;
        uint256 nonce;
        uint256 deadline;
    }

    #[derive(Debug, PartialEq, Eq)]
    interface IInvoiceEscrow {
        event Recorded(
            bytes32 indexed termsHash,
            address indexed token,
            address indexed to,
            uint256 amount,
            uint128 paid,
            uint8 status,
            uint8 kind
        );
        event SettleFailed(bytes32 indexed termsHash, bytes reason);

        error WrongVersion(uint8 version);
        error WrongChain(uint64 chain, uint256 here);
        error InvalidPayee(address payee);
        error InvalidToken(address token);
        error InvalidAmount(uint128 amount);
        error InvalidClosesAt(uint64 closesAt, uint256 latest);
        error InvalidRefundTo(address refundTo);
        error InvalidFlags(uint8 flags);
        error NotSettler(address caller, address settler);
        error NotPayeeNorSettler(address caller, address payee, address settler);
        error NotOpen(bytes32 termsHash, uint8 status);
        error Closed(bytes32 termsHash, uint64 closesAt, uint256 timestamp);
        error NotFunded(bytes32 termsHash, uint256 balance, uint256 due);
        error NothingDue(bytes32 termsHash);
        error NotRefundable(bytes32 termsHash, uint256 opensAt, uint256 timestamp);
        error AlreadyRan(address purse);
        error MalformedTerms();
        error PayerIsPayee(address payee);
        error InvoiceTokenMoved(bytes32 termsHash, uint256 balanceBefore, uint256 balanceAfter);
        error NoRefundKey(bytes32 termsHash);
        error OrderForOtherTerms(bytes32 orderedTermsHash, bytes32 termsHash);
        error OrderExpired(uint256 deadline, uint256 timestamp);
        error InvalidOrderTo(address to);
        error OrderUsed(bytes32 digest);
        error NotRefundKey(address signer, address refundKey);
        error Reentered();
        error NotSelf(address caller);
        error NotRunning(address caller);
        error InsufficientGas(uint256 gasLeft, uint256 gasNeeded);

        function settle(InvoiceTerms calldata terms) external returns (uint256 amount);
        function settleBatch(InvoiceTerms[] calldata terms, uint256 gasPerItem) external;
        function pay(InvoiceTerms calldata terms, uint256 amount) external returns (uint256 paid);
        function cancel(InvoiceTerms calldata terms) external;
        function refund(InvoiceTerms calldata terms, address token) external returns (uint256 amount);
        function refundByOrder(InvoiceTerms calldata terms, RefundOrder calldata order, bytes calldata signature) external returns (uint256 amount);
        function escrowOf(InvoiceTerms calldata terms) external view returns (address purse);
        function stateOf(bytes32 termsHash) external view returns (uint128 paid, uint8 status, uint64 since);
    }

    #[derive(Debug, PartialEq, Eq)]
    struct Authorization {
        address from;
        uint256 value;
        uint256 validAfter;
        uint256 validBefore;
        bytes32 nonce;
        bytes signature;
    }

    #[derive(Debug, PartialEq, Eq)]
    interface ISettlementGate {
        error AccessManagedUnauthorized(address caller);
        error AccessManagedRequiredDelay(address caller, uint32 delay);
        error NotClearer(address signer);
        error AuthorizationTooLong(uint256 validBefore, uint256 latest);
        error TooManyCancels(uint256 nextAt, uint256 timestamp);
        error GateBalanceChanged(address token, uint256 balanceBefore, uint256 balanceAfter);

        function settleBatch(InvoiceTerms[] calldata terms, uint256 gasPerItem) external;
        function fundAndSettle(Authorization calldata authorization, InvoiceTerms calldata terms) external returns (uint256 amount);
        function cancel(InvoiceTerms calldata terms) external;
        function authority() external view returns (address);
        function ESCROW() external view returns (address);
        function MINT_GATE() external view returns (address);
        function FLOAT_GATE() external view returns (address);
    }

    /// Who may do what: the `AccessManager` of a chain.
    #[derive(Debug, PartialEq, Eq)]
    interface IGovernance {
        function canCall(address caller, address target, bytes4 selector) external view returns (bool immediate, uint32 delay);
    }

    /// What an attestation of a deposit says beside the terms' hash and the token.
    #[derive(Debug, PartialEq, Eq)]
    struct Deposit {
        bytes32 depositId;
        uint128 amount;
        uint64 validUntil;
    }

    /// What an attestation of the reserve says beside the token.
    #[derive(Debug, PartialEq, Eq)]
    struct Reserve {
        uint128 allocation;
        uint64 nonce;
        uint64 asOf;
    }

    /// The EIP-712 struct that attestors sign for a deposit.
    #[derive(Debug, PartialEq, Eq)]
    struct DepositAttestation {
        bytes32 depositId;
        bytes32 termsHash;
        address token;
        uint128 amount;
        uint64 validUntil;
    }

    /// The EIP-712 struct that attestors sign for the reserve.
    #[derive(Debug, PartialEq, Eq)]
    struct ReserveAttestation {
        address token;
        uint128 allocation;
        uint64 nonce;
        uint64 asOf;
    }

    /// `MintGate` and `FloatGate` in one: `redeem`, `redeemed`, `Redeemed` and the errors about it are the mint gate's alone.
    #[derive(Debug, PartialEq, Eq)]
    interface IMintGate {
        event Minted(bytes32 indexed termsHash, bytes32 indexed depositId, address token, uint256 amount);
        event Redeemed(bytes32 indexed termsHash, address token, uint256 amount);
        event ReserveAttested(uint128 allocation, uint64 nonce, uint64 asOf);

        error WrongToken(address token, address own);
        error ClosesTooSoon(uint64 closesAt, uint256 earliest);
        error PartialsOn(bytes32 termsHash);
        error WrongSettler(address settler, address gate);
        error PayeeIsGate(address payee);
        error DepositUsed(bytes32 depositId);
        error DepositBelowDue(uint256 amount, uint256 due);
        error InvalidValidUntil(uint64 validUntil, uint256 timestamp);
        error TooFewSignatures(uint256 given, uint256 threshold);
        error SignersNotAscending(address previous, address signer);
        error NotAttestor(address signer);
        error ReserveNotNewer(uint64 nonce, uint64 latest);
        error InvalidAsOf(uint64 asOf, uint256 timestamp);
        error AboveAllocation(uint256 issued, uint256 amount, uint256 allocation);
        error AboveDailyCap(uint256 amount, uint256 left);
        error MintIsPaused();
        error PaidNotAsIssued(uint256 paid, uint256 issued);
        error WrongBalanceAfter(address account, uint256 balance, uint256 expected);
        error AllowanceLeft(address owner, address spender, uint256 allowance);
        error FloatTooSmall(uint256 float, uint256 amount);
        error PayeeNotGate(address payee, address gate);
        error NotPaid(bytes32 termsHash, uint8 status);
        error AlreadyRedeemed(bytes32 termsHash);

        function mintAndPay(InvoiceTerms calldata terms, Deposit calldata deposit, bytes[] calldata signatures) external returns (uint256 paid);
        function redeem(InvoiceTerms calldata terms) external returns (uint256 burned);
        function attestReserve(Reserve calldata statement, bytes[] calldata signatures) external;
        function TOKEN() external view returns (address);
        function issued() external view returns (uint256);
        function reserve() external view returns (uint128 allocation, uint64 nonce, uint64 asOf);
        function depositUsed(bytes32 depositId) external view returns (bool);
        function redeemed(bytes32 termsHash) external view returns (bool);
        function threshold() external view returns (uint8);
    }

    #[derive(Debug, PartialEq, Eq)]
    interface IERC20 {
        event Transfer(address indexed from, address indexed to, uint256 value);

        function balanceOf(address account) external view returns (uint256);
        function decimals() external view returns (uint8);
        function transfer(address to, uint256 value) external returns (bool);
    }
}
