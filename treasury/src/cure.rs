//! Keeping the reserve whole: what stands in is taken out again when the customer's money is there, and what is missing is filled up
//! from own capital, at once (`research/rails.md` §4.5, (c)). Tokens of a payee are never touched.

use crate::submit::headroom;
use crate::{Error, MOST, Treasury, commit};
use domain::money::Units;
use domain::receipt::Event;
use store::receipts::{self, Source};
use store::treasury;
use tracing::{info, warn};
use uuid::Uuid;

impl Treasury {
    /// Puts every receipt's money where it is missing, as far as there is some.
    pub(crate) async fn cure(&self) -> Result<(), Error> {
        let mut db = self.begin().await?;
        let (covered, short) = (treasury::covered(&mut db, MOST).await?, treasury::short(&mut db, MOST).await?);
        drop(db);
        for id in covered {
            Self::told(id, self.restore(id).await)?;
        }
        for id in short {
            Self::told(id, self.top_up(id).await)?;
        }
        Ok(())
    }

    /// The customer's money is at the bank: own capital has done its part.
    async fn restore(&self, id: Uuid) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        let receipt = receipts::get(&mut tx, id, true).await?.receipt;
        if receipt.cover.0 == 0 || receipt.taken().0 > 0 {
            return Ok(());
        }
        let event = Event::Restored { trace: receipt.applied.len().to_string(), amount: receipt.cover };
        match receipts::apply(&mut tx, id, &event, Source::default()).await {
            Ok(_) => {
                info!(receipt = %id, amount = %receipt.cover, "own capital is free again");
                commit(tx).await
            }
            // The gateway has not paid it out yet.
            Err(store::Error::NotCovered { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The customer's money was taken back, and tokens are out: own capital fills the reserve up.
    async fn top_up(&self, id: Uuid) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        let receipt = receipts::get(&mut tx, id, true).await?.receipt;
        let amount = receipt.deficit.min(headroom(&mut tx).await?);
        if amount == Units(0) {
            warn!(receipt = %id, deficit = %receipt.deficit, "the reserve is short, and there is no own capital left");
            return Ok(());
        }
        let event = Event::ToppedUp { trace: receipt.applied.len().to_string(), amount };
        receipts::apply(&mut tx, id, &event, Source::default()).await?;
        warn!(receipt = %id, %amount, "own capital has filled the reserve up");
        commit(tx).await
    }
}
