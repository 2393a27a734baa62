//! Commands as data: what one implementation was told can be told to another.

use crate::{Error, InvoiceTerms, Recorded, RefundOrder, SettleFailed, World};
use alloy_primitives::U256;
use terms::Address;

/// One command. Each is one transaction, except [`Step::Warp`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// `from` sends `amount` of `token` to `to`; token 0 is the native coin.
    Transfer {
        /// The token, 0 for the native coin.
        token: Address,
        /// Who sends.
        from: Address,
        /// A deposit address, mostly.
        to: Address,
        /// In base units.
        amount: U256,
    },
    /// `settle(terms)`.
    Settle {
        /// msg.sender.
        caller: Address,
        /// The argument.
        terms: InvoiceTerms,
    },
    /// `settleBatch(terms[], …)` with gas enough.
    SettleBatch {
        /// msg.sender.
        caller: Address,
        /// The items, the same one twice now and then.
        batch: Vec<InvoiceTerms>,
    },
    /// `pay(terms, amount)`; the caller has approved the escrow without limit.
    Pay {
        /// msg.sender, who pays.
        caller: Address,
        /// The argument.
        terms: InvoiceTerms,
        /// The ceiling.
        amount: U256,
    },
    /// `cancel(terms)`.
    Cancel {
        /// msg.sender.
        caller: Address,
        /// The argument.
        terms: InvoiceTerms,
    },
    /// `refund(terms, token)`.
    Refund {
        /// msg.sender, who makes no difference.
        caller: Address,
        /// The argument.
        terms: InvoiceTerms,
        /// The token, 0 for the native coin.
        token: Address,
    },
    /// `refundByOrder(terms, order, signature)`.
    RefundByOrder {
        /// msg.sender.
        caller: Address,
        /// The argument.
        terms: InvoiceTerms,
        /// The argument.
        order: RefundOrder,
        /// Whose key signs the order; none: the signature is empty.
        signer: Option<Address>,
    },
    /// The issuer of `token` blacklists `account`, or forgives it.
    Block {
        /// The token.
        token: Address,
        /// The account.
        account: Address,
        /// On or off.
        blocked: bool,
    },
    /// The next block has this time.
    Warp {
        /// Unix seconds, not before the last one.
        timestamp: u64,
    },
}

impl Step {
    /// The terms named in the step.
    pub fn terms(&self) -> &[InvoiceTerms] {
        match self {
            Self::Settle { terms, .. }
            | Self::Pay { terms, .. }
            | Self::Cancel { terms, .. }
            | Self::Refund { terms, .. }
            | Self::RefundByOrder { terms, .. } => std::slice::from_ref(terms),
            Self::SettleBatch { batch, .. } => batch,
            Self::Transfer { .. } | Self::Block { .. } | Self::Warp { .. } => &[],
        }
    }
}

/// What a step that was not refused has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The return value: what moved. Zero for steps that return nothing.
    pub returned: U256,
    /// The events, in order.
    pub recorded: Vec<Recorded>,
    /// The items of a batch that failed, in order.
    pub failed: Vec<SettleFailed>,
}

impl World {
    /// Does one step, or refuses it and changes nothing.
    pub fn apply(&mut self, step: &Step) -> Result<Outcome, Error> {
        let logged = self.log().len();
        let mut failed = Vec::new();
        let returned = match step {
            Step::Transfer { token, from, to, amount } => {
                self.transfer(*token, *from, *to, *amount)?;
                U256::ZERO
            }
            Step::Settle { caller, terms } => U256::from(self.settle(*caller, terms)?),
            Step::SettleBatch { caller, batch } => {
                failed = self.settle_batch(*caller, batch)?;
                U256::ZERO
            }
            Step::Pay { caller, terms, amount } => U256::from(self.pay(*caller, terms, *amount)?),
            Step::Cancel { caller, terms } => {
                self.cancel(*caller, terms)?;
                U256::ZERO
            }
            Step::Refund { caller: _, terms, token } => self.refund(terms, *token)?,
            Step::RefundByOrder { caller, terms, order, signer } => {
                self.refund_by_order(*caller, terms, order, *signer)?
            }
            Step::Block { token, account, blocked } => {
                self.block(*token, *account, *blocked);
                U256::ZERO
            }
            Step::Warp { timestamp } => {
                self.warp(*timestamp);
                U256::ZERO
            }
        };
        let recorded = self.log().iter().skip(logged).map(|logged| logged.event.clone()).collect();
        Ok(Outcome { returned, recorded, failed })
    }
}
