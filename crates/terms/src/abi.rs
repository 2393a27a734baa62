//! The interface of `InvoiceEscrow`, as Solidity has it. `contracts/src/interfaces/IInvoiceEscrow.sol` is the twin.

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
        error NotInRole(address caller, uint8 role);
        error AuthorizationTooLong(uint256 validBefore, uint256 latest);
        error TooManyCancels(uint256 nextAt, uint256 timestamp);
        error GateBalanceChanged(address token, uint256 balanceBefore, uint256 balanceAfter);

        function settleBatch(InvoiceTerms[] calldata terms, uint256 gasPerItem) external;
        function fundAndSettle(Authorization calldata authorization, InvoiceTerms calldata terms) external returns (uint256 amount);
        function cancel(InvoiceTerms calldata terms) external;
        function hasRole(uint8 role, address account) external view returns (bool);
        function setRole(uint8 role, address account, bool granted) external;
        function ESCROW() external view returns (address);
    }

    #[derive(Debug, PartialEq, Eq)]
    interface IERC20 {
        event Transfer(address indexed from, address indexed to, uint256 value);

        function balanceOf(address account) external view returns (uint256);
        function decimals() external view returns (uint8);
        function transfer(address to, uint256 value) external returns (bool);
    }
}
