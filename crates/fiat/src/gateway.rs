//! Who collects dollars for us.

use crate::Error;
use crate::tilli::{Charge, ClientRequestId, Collect, Merchant, Refund, Tilli, TransactionId};

/// A company that collects dollars from customers and pays them to our bank account. One today.
///
/// What it says of a payment is a promise. That the money is there is said by its settlement report and by the bank's
/// statement ([`crate::statement`]), and by nothing else.
#[derive(Clone, Debug)]
pub enum FiatGateway {
    /// TilliPay: cards and ACH.
    Tilli(Tilli),
}

impl FiatGateway {
    /// Its name, in rows and reports.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Tilli(_) => "tilli",
        }
    }

    /// Charges a customer. See [`Tilli::collect`].
    pub async fn collect(&self, collect: &Collect) -> Result<Charge, Error> {
        match self {
            Self::Tilli(tilli) => tilli.collect(collect).await,
        }
    }

    /// Looks a payment up. See [`Tilli::query`].
    pub async fn query(
        &self,
        merchant: Merchant,
        id: ClientRequestId,
        transaction: Option<&TransactionId>,
    ) -> Result<Option<Charge>, Error> {
        match self {
            Self::Tilli(tilli) => tilli.query(merchant, id, transaction).await,
        }
    }

    /// Gives money back. See [`Tilli::refund`].
    pub async fn refund(&self, refund: &Refund) -> Result<Charge, Error> {
        match self {
            Self::Tilli(tilli) => tilli.refund(refund).await,
        }
    }

    /// Calls a payment off before it is settled. See [`Tilli::void`].
    pub async fn void(
        &self,
        merchant: Merchant,
        id: ClientRequestId,
        transaction: &TransactionId,
    ) -> Result<Charge, Error> {
        match self {
            Self::Tilli(tilli) => tilli.void(merchant, id, transaction).await,
        }
    }
}
