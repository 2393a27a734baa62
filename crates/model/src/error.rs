//! Every refusal.

use terms::BrokenRule;

/// Why nothing happened. A refused command has changed nothing.
///
/// Variants have the names of the contract's errors. They are listed in the order in which the contract looks, which
/// is the order of PROTOCOL §4's columns: are the terms valid, who asks, when, and is there anything to move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Error {
    // §1: the terms break a row.
    /// Not version 1.
    #[error("the version is not 1")]
    WrongVersion,
    /// Another chain's terms.
    #[error("the terms are another chain's")]
    WrongChain,
    /// Bits without a meaning on this chain.
    #[error("the flags have bits without a meaning")]
    InvalidFlags,
    /// Zero.
    #[error("the amount is zero")]
    InvalidAmount,
    /// Zero, or more than 400 days from now.
    #[error("closesAt is zero or too far away")]
    InvalidClosesAt,
    /// Zero, or no contract.
    #[error("the token is not a contract")]
    InvalidToken,
    /// Zero, the purse, the factory, the token or the settler.
    #[error("the payee must not be paid")]
    InvalidPayee,
    /// Zero, the purse, the factory or the token; in a refund: zero or the factory.
    #[error("money must not go back to refundTo")]
    InvalidRefundTo,

    // Who.
    /// settle and pay: neither the settler, nor is the settler 0.
    #[error("the caller is not the settler")]
    NotSettler,
    /// cancel: somebody else.
    #[error("the caller is neither payee nor settler")]
    NotPayeeNorSettler,

    // When the payee can have money.
    /// settle, pay and cancel: paid in full or cancelled already.
    #[error("the invoice is not open")]
    NotOpen,
    /// settle, pay and cancel: from closesAt on.
    #[error("the invoice has closed")]
    Closed,
    /// pay: the payee would pay himself. Who asks, but looked at after when.
    #[error("the payee cannot pay his own invoice")]
    PayerIsPayee,
    // Orders.
    /// The terms name no key that could give an order.
    #[error("the terms have no refund key")]
    NoRefundKey,
    /// Written for other terms.
    #[error("the order is for other terms")]
    OrderForOtherTerms,
    /// After its deadline.
    #[error("the order has expired")]
    OrderExpired,
    /// Names 0, the factory, the purse or the token as the destination.
    #[error("the order's destination must not be paid")]
    InvalidOrderTo,
    /// Each digest once.
    #[error("the order has been used")]
    OrderUsed,
    /// Not signed by refundKey; or unsigned and not carried by it.
    #[error("the order is not the refund key's")]
    NotRefundKey,

    // When money can go back.
    /// refund and refundByOrder: before the time of §4.
    #[error("the money may not go back yet")]
    NotRefundable,

    // What.
    /// refund and refundByOrder: what is asked for is no token.
    #[error("the token does not say what lies there")]
    BalanceUnreadable,
    /// Partials are off and less than all that is due would move.
    #[error("the whole amount is not there")]
    NotFunded,
    /// Nothing would move.
    #[error("there is nothing to move")]
    NothingDue,
    /// The same purse a second time in one transaction.
    #[error("this purse has run in this transaction")]
    AlreadyRan,
    /// The token refused: too little, or a blacklisted account.
    #[error("the token refused the transfer")]
    TransferFailed,
    /// A sum does not fit: Solidity's `Panic(0x11)`. The invariants say that no verb gets here.
    #[error("a sum does not fit")]
    Arithmetic,
}

impl Error {
    /// All of them, in order.
    pub const ALL: &[Self] = &[
        Self::WrongVersion,
        Self::WrongChain,
        Self::InvalidFlags,
        Self::InvalidAmount,
        Self::InvalidClosesAt,
        Self::InvalidToken,
        Self::InvalidPayee,
        Self::InvalidRefundTo,
        Self::NotSettler,
        Self::NotPayeeNorSettler,
        Self::NotOpen,
        Self::Closed,
        Self::PayerIsPayee,
        Self::NoRefundKey,
        Self::OrderForOtherTerms,
        Self::OrderExpired,
        Self::InvalidOrderTo,
        Self::OrderUsed,
        Self::NotRefundKey,
        Self::NotRefundable,
        Self::BalanceUnreadable,
        Self::NotFunded,
        Self::NothingDue,
        Self::AlreadyRan,
        Self::TransferFailed,
        Self::Arithmetic,
    ];

    /// The name of the contract's error.
    pub fn name(self) -> String {
        format!("{self:?}")
    }
}

impl From<BrokenRule> for Error {
    fn from(rule: BrokenRule) -> Self {
        match rule {
            BrokenRule::WrongVersion(_) => Self::WrongVersion,
            // Only terms of Solana can have no addresses, and those are another chain's here.
            BrokenRule::WrongChain { .. } | BrokenRule::InvalidInvoiceId(_) => Self::WrongChain,
            BrokenRule::InvalidFlags(_) => Self::InvalidFlags,
            BrokenRule::InvalidAmount => Self::InvalidAmount,
            BrokenRule::InvalidClosesAt { .. } => Self::InvalidClosesAt,
            BrokenRule::InvalidToken(_) => Self::InvalidToken,
            BrokenRule::InvalidPayee(_) => Self::InvalidPayee,
            BrokenRule::InvalidRefundTo(_) => Self::InvalidRefundTo,
        }
    }
}
