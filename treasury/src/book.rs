//! Booking what the chain's finalized blocks have: tokens minted for a receipt, or paid from the float.

use crate::order::now;
use crate::{Error, MOST, Treasury, commit};
use domain::receipt::Event;
use domain::token_rail::{Patience, Signal};
use store::receipts::{self, Source};
use store::token_rails;
use store::treasury::{self, SpentOrder};
use tracing::info;

impl Treasury {
    /// Books mints that are final.
    pub(crate) async fn book(&self) -> Result<(), Error> {
        let mut db = self.begin().await?;
        let spent = treasury::spent_orders(&mut db, MOST).await?;
        drop(db);
        for order in spent {
            Self::told(order.receipt, self.book_one(&order).await)?;
        }
        Ok(())
    }

    async fn book_one(&self, order: &SpentOrder) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        let chain = order.chain.to_string();
        let event = match order.float {
            true => Event::FloatPaid { chain, amount: order.amount },
            false => Event::Minted { token: format!("{}/{chain}", order.rail), amount: order.amount },
        };
        let source = Source { mint: Some((&order.chain_name, &order.tx)), ..Source::default() };
        let applied = receipts::apply(&mut tx, order.receipt, &event, source).await?;
        token_rails::hear(&mut tx, order.rail, Signal::Succeeded, now(), Patience::default(), None).await?;
        info!(receipt = %order.receipt, rail = %order.rail, tx = order.tx, ?applied, "minted, finally");
        commit(tx).await
    }
}
