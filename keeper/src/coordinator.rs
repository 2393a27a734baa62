//! Time. At the displayed expiry, at closesAt and when a refund opens, something becomes due although nothing happened
//! on chain. Chain time decides, never our clock: a clock that jumps must not send anyone's money back early.

use crate::{Duty, Error, Keeper};
use chain::Chain;

/// The most invoices looked at in one pass.
const MAX_DUE: u32 = 200;

impl<C: Chain> Keeper<C> {
    /// Looks at every invoice whose time has come, each in a transaction of its own; whether there may be more.
    pub async fn coordinate(&self) -> Result<bool, Error> {
        if self.config.duty != Duty::Cancel {
            return Ok(false);
        }
        let mut db = self.store.begin().await?;
        let due = store::chain::due(&mut db, self.chain.id(), MAX_DUE).await?;
        drop(db);
        for terms_hash in &due {
            let mut tx = self.store.begin().await?;
            store::projection::refresh(&mut tx, *terms_hash).await?;
            tx.commit().await.map_err(store::Error::from)?;
        }
        Ok(due.len() == MAX_DUE as usize)
    }
}
