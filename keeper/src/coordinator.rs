//! Time. At the displayed expiry, at closesAt and when a refund opens, something becomes due although nothing happened
//! on chain. Chain time decides, never our clock: a clock that jumps must not send anyone's money back early.

use crate::{Duty, Error, Keeper};
use alloy_primitives::B256;
use chain::Chain;
use tracing::error;

/// The most invoices looked at in one pass.
const MAX_DUE: u32 = 200;

impl<C: Chain> Keeper<C> {
    /// Looks at every invoice whose time has come, each in a transaction of its own; whether there may be more at once.
    pub async fn coordinate(&self) -> Result<bool, Error> {
        if self.config.duty != Duty::Cancel {
            return Ok(false);
        }
        let mut db = self.store.begin().await?;
        let due = store::chain::due(&mut db, self.chain.id(), MAX_DUE).await?;
        drop(db);
        let mut done = 0;
        for terms_hash in &due {
            // One that fails is told and left: the others' time has come too.
            match self.look_at(*terms_hash).await {
                Ok(()) => done += 1,
                Err(error) if error.is_temporary() => return Err(error),
                Err(error) => error!(terms = %terms_hash, %error, "an invoice whose time has come cannot be looked at"),
            }
        }
        Ok(due.len() == MAX_DUE as usize && done > 0)
    }

    /// What fails for this invoice alone is noted with it, so that it is tried again in its own time.
    async fn look_at(&self, terms_hash: B256) -> Result<(), Error> {
        let mut tx = self.store.begin().await?;
        let stuck = store::projection::refresh_or_note(&mut tx, terms_hash).await?;
        tx.commit().await.map_err(store::Error::from)?;
        stuck.map_or(Ok(()), |stuck| Err(stuck.error.into()))
    }
}
