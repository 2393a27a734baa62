//! What became of the transactions we sent.

use crate::{Error, Keeper, MAX_TRIES};
use chain::Chain;
use tracing::{info, warn};

/// The most transactions looked at in one pass.
const MAX_OPEN: u32 = 200;

impl<C: Chain> Keeper<C> {
    /// Offers again, byte for byte, what no block has; closes what a finalized block has.
    pub async fn watch(&self) -> Result<bool, Error> {
        self.resend().await?;
        self.close().await
    }

    /// The same bytes under the same nonce: however often the node gets them, they count once.
    async fn resend(&self) -> Result<(), Error> {
        let signer = self.chain.signer()?;
        let mut db = self.store.begin().await?;
        let open = store::attempts::open(&mut db, self.chain.id(), signer, self.config.resend_after, MAX_OPEN).await?;
        drop(db);
        for attempt in open {
            info!(tx = %attempt.tx_hash, nonce = attempt.nonce, state = %attempt.state, "no block has it; offering it again");
            let sent = self.chain.send(&attempt.raw_tx).await;
            self.note(attempt.id, attempt.tx_hash, sent).await?;
        }
        Ok(())
    }

    /// A finalized transaction whose intents have no effect to show has failed for good, and its nonce is spent: the
    /// intents may be tried again under a new one, if the facts still want them.
    async fn close(&self) -> Result<bool, Error> {
        let signer = self.chain.signer()?;
        let mut db = self.store.begin().await?;
        let ended = store::attempts::ended(&mut db, self.chain.id(), signer, MAX_OPEN).await?;
        drop(db);
        for attempt in &ended {
            let mut tx = self.store.begin().await?;
            for (intent, terms_hash) in store::attempts::end(&mut tx, attempt.id).await? {
                let words = if attempt.success { "mined without effect" } else { "reverted on chain" };
                warn!(tx = %attempt.tx_hash, %intent, words, "put back");
                store::attempts::put_back(&mut tx, intent, words, MAX_TRIES).await?;
                store::projection::refresh(&mut tx, terms_hash).await?;
            }
            tx.commit().await.map_err(store::Error::from)?;
        }
        Ok(ended.len() == MAX_OPEN as usize)
    }
}
