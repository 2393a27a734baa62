//! The rules of PROTOCOL §1: what makes terms valid on a chain at a moment.

use crate::{Account, Address, B256, Deployment, FLAG_PARTIALS, InvoiceTerms, VERSION};

/// The longest time from issue to `closes_at`: 400 days, in seconds.
pub const MAX_LIFETIME_SECONDS: u64 = 400 * 24 * 60 * 60;

/// Where and when terms are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Here {
    /// The chain's id.
    pub chain: u64,
    /// The chain's time, unix seconds.
    pub timestamp: u64,
    /// The escrow on that chain.
    pub deployment: Deployment,
}

/// The row of PROTOCOL §1 that terms break. The errors of contract and program have the same names and are raised in the same
/// order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokenRule {
    /// Not version 1.
    #[error("version is {0}, must be 1")]
    WrongVersion(u8),
    /// Another chain's terms.
    #[error("terms are for chain {chain}, this is {here}")]
    WrongChain {
        /// The chain in the terms.
        chain: u64,
        /// The chain asked.
        here: u64,
    },
    /// Zero, or an address that must not be paid.
    #[error("payee {0} is zero, the deposit address, the escrow, the token or the settler")]
    InvalidPayee(Account),
    /// Zero. (That it has code only the chain can tell.)
    #[error("token {0} is not a token contract")]
    InvalidToken(Account),
    /// Zero.
    #[error("amount is zero")]
    InvalidAmount,
    /// Zero, or too far away.
    #[error("closes_at {closes_at} is zero or after {latest}")]
    InvalidClosesAt {
        /// As in the terms, unix seconds.
        closes_at: u64,
        /// The latest allowed, unix seconds.
        latest: u64,
    },
    /// Zero, or an address money must not be sent back to.
    #[error("refund_to {0} is zero, the deposit address, the escrow or the token")]
    InvalidRefundTo(Account),
    /// A bit that has no meaning here.
    #[error("flags {0:#04x} have bits without a meaning on this chain")]
    InvalidFlags(u8),
    /// Solana: an address that would follow lies on the curve, so that it is none (PROTOCOL §2).
    #[error("invoice_id {0} gives no addresses on Solana with these terms: another has to be drawn")]
    InvalidInvoiceId(B256),
}

impl InvoiceTerms {
    /// Checks every row of PROTOCOL §1 that can be checked without asking the chain; the first broken one is the error.
    pub fn check(&self, here: &Here) -> Result<(), BrokenRule> {
        let factory = here.deployment.factory;
        let latest = here.timestamp.saturating_add(MAX_LIFETIME_SECONDS);
        if self.version != VERSION {
            return Err(BrokenRule::WrongVersion(self.version));
        }
        if self.chain != here.chain {
            return Err(BrokenRule::WrongChain { chain: self.chain, here: here.chain });
        }
        if self.flags & !FLAG_PARTIALS != 0 {
            return Err(BrokenRule::InvalidFlags(self.flags));
        }
        if self.amount == 0 {
            return Err(BrokenRule::InvalidAmount);
        }
        if self.closes_at == 0 || self.closes_at > latest {
            return Err(BrokenRule::InvalidClosesAt { closes_at: self.closes_at, latest });
        }
        if self.token.is_zero() {
            return Err(BrokenRule::InvalidToken(self.token.into()));
        }
        let purse = self.deposit_address(&here.deployment);
        if [Address::ZERO, purse, factory, self.token, self.settler].contains(&self.payee) {
            return Err(BrokenRule::InvalidPayee(self.payee.into()));
        }
        if [Address::ZERO, purse, factory, self.token].contains(&self.refund_to) {
            return Err(BrokenRule::InvalidRefundTo(self.refund_to.into()));
        }
        Ok(())
    }
}
