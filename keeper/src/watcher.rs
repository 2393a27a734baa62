//! What became of the transactions we sent, by proof and never by an answer to "send".
//!
//! Per nonce: a finalized block has one of its transactions (closed), or it is proven that none of them can land any more
//! ([`Chain::dead`]: the intents get another nonce), or it is still open and offered again. Where the chain has nonces also
//! with higher fees where it is stuck, or with nothing at all where no node will ever take it; where it has none, such a
//! transaction holds nobody up and runs out by itself.

use crate::{Error, Keeper, MAX_TRIES};
use chain::{Chain, Fees, Slot, Unseen};
use domain::intent::Answer;
use store::attempts::{OpenAttempt, Purpose, WithoutEffect};
use store::fault::{self, Point};
use store::leases::{self, Lease};
use terms::Account;
use tracing::{error, info, warn};

/// The most transactions looked at in one pass.
const MAX_OPEN: u32 = 200;

/// A transaction that a node has called impossible this often in a row makes room for one that does nothing.
const MAX_REJECTIONS: u32 = 3;

impl<C: Chain> Keeper<C> {
    /// Looks at everything that was signed and is not closed, with our keys or with ones that are no longer configured, and
    /// offers again what was signed with those we hold; whether there may be more to close at once.
    pub async fn watch(&self) -> Result<bool, Error> {
        let chain = self.chain.id();
        let mut db = self.store.begin().await?;
        let busy = store::attempts::busy(&mut db, chain).await?;
        drop(db);
        let mut more = false;
        for signer in busy {
            more |= self.close(signer).await?;
            // Not every node knows the past, and none has to for the rest to go on.
            if let Err(error) = self.prove(signer).await {
                warn!(chain, %signer, %error, "whether somebody else has used a nonce cannot be told");
            }
        }
        for lease in self.held.all() {
            self.offer_again(lease).await?;
        }
        Ok(more)
    }

    /// Offers again what no block has. The same bytes under the same nonce: however often a node gets them, they count once.
    async fn offer_again(&self, lease: Lease) -> Result<(), Error> {
        let open = self.quiet(lease.signer).await?;
        if open.is_empty() {
            return Ok(());
        }
        if !C::NONCES {
            for attempt in open {
                self.offer(attempt).await?;
            }
            return Ok(());
        }
        let count = self.chain.nonce(lease.signer).await?;
        // More for gas helps where blocks come and leave it out; not where there are none, and not where there is no coin.
        let stuck = |attempt: &OpenAttempt| {
            let waited = attempt.age >= self.config.raise_after && attempt.passed_over;
            attempt.nonce == count && waited && attempt.answer != Some(Answer::Unfunded)
        };
        for attempt in open {
            // The chain has it behind it: what is left to find out is whose it was, and the mirror will say.
            if attempt.nonce < count && attempt.answer == Some(Answer::NonceTooLow) {
                continue;
            }
            let impossible = attempt.rejections >= MAX_REJECTIONS && !attempt.noop;
            let replaced = if impossible {
                self.use_up(lease, attempt.nonce, "no node will ever take its transaction").await?
            } else if attempt.answer == Some(Answer::Underpriced) || stuck(&attempt) {
                self.raise(lease, &attempt).await?
            } else {
                false
            };
            if !replaced {
                self.offer(attempt).await?;
            }
        }
        Ok(())
    }

    async fn offer(&self, attempt: OpenAttempt) -> Result<(), Error> {
        let OpenAttempt { id, nonce, tx_hash, state, raw_tx, .. } = attempt;
        info!(tx = %tx_hash, nonce, %state, "no block has it; offering it again");
        let sent = self.chain.send(&raw_tx).await;
        self.note(id, tx_hash, sent).await
    }

    /// What of a signer's no block has, and was not offered for a while.
    async fn quiet(&self, signer: Account) -> Result<Vec<OpenAttempt>, Error> {
        let mut db = self.store.begin().await?;
        Ok(store::attempts::open(&mut db, self.chain.id(), signer, self.config.resend_after, MAX_OPEN).await?)
    }

    /// Another transaction under the same nonce that does the same for more; whether there is one. The old one may still be
    /// the one that is mined: both are ours, and do the same.
    async fn raise(&self, lease: Lease, attempt: &OpenAttempt) -> Result<bool, Error> {
        let market = self.chain.fees().await?;
        let again = self.chain.sign_again(lease.signer, &attempt.raw_tx, market, self.config.max_fee)?;
        let Some(signed) = again else {
            warn!(tx = %attempt.tx_hash, nonce = attempt.nonce, cap = self.config.max_fee, "stuck, and the cap leaves no room for more fees");
            return Ok(false);
        };
        let mut tx = self.store.begin().await?;
        let id = self.store_signed(&mut tx, lease, attempt.nonce, &signed, Purpose::Again(attempt.id)).await?;
        tx.commit().await.map_err(store::Error::from)?;
        warn!(tx = %signed.hash, instead_of = %attempt.tx_hash, nonce = attempt.nonce, max_fee = signed.max_fee, "stuck; offering more");
        fault::crash(Point::AfterReplacementBeforeBroadcast);
        self.send(id, &signed).await?;
        Ok(true)
    }

    /// Uses a nonce up with a transaction that does nothing; whether it could. Only under a nonce that has been given out,
    /// and never instead of a new nonce for the same work: that waits until this one is final.
    async fn use_up(&self, lease: Lease, nonce: u64, why: &str) -> Result<bool, Error> {
        let market = self.chain.fees().await?;
        let Some(fees) = Fees { max: market.max.saturating_mul(2), ..market }.within(self.config.max_fee) else {
            return Ok(false);
        };
        let signed = self.chain.sign_nothing(Slot { signer: lease.signer, nonce }, fees)?;
        let mut tx = self.store.begin().await?;
        let id = self.store_signed(&mut tx, lease, nonce, &signed, Purpose::Nothing).await?;
        tx.commit().await.map_err(store::Error::from)?;
        warn!(tx = %signed.hash, nonce, why, "closing the nonce with a transaction that does nothing");
        fault::crash(Point::AfterReplacementBeforeBroadcast);
        self.send(id, &signed).await?;
        Ok(true)
    }

    /// Keeps our count of nonces and the chain's together; never anything to do at once. Where the chain is ahead, ours
    /// follows. A nonce that was given out and has no transaction (a database from a backup) would hold up all after it for
    /// ever: it is closed by one that does nothing.
    pub async fn mend(&self) -> Result<bool, Error> {
        if !C::NONCES {
            return Ok(false);
        }
        for lease in self.held.all() {
            let count = self.chain.nonce(lease.signer).await?;
            let mut tx = self.store.begin().await?;
            leases::raise_nonce(&mut tx, lease, count).await?;
            let gaps = store::attempts::gaps(&mut tx, self.chain.id(), lease.signer, count, MAX_OPEN).await?;
            tx.commit().await.map_err(store::Error::from)?;
            for nonce in gaps {
                self.use_up(lease, nonce, "it was given out and has no transaction").await?;
            }
        }
        Ok(false)
    }

    /// A nonce of which the mirror knows no transaction of ours, and none of whose transactions can land any more: proven by
    /// the chain as of a block that the mirror has, and that is final. Its intents may get another nonce. Anything less is no
    /// proof.
    async fn prove(&self, signer: Account) -> Result<(), Error> {
        let chain = self.chain.id();
        if self.quiet(signer).await?.is_empty() {
            return Ok(());
        }
        let mut db = self.store.begin().await?;
        let mirror = store::chain::get(&mut db, chain).await?;
        let Some(final_) = store::chain::at_or_below(&mut db, chain, mirror.heights.final_).await? else {
            return Ok(());
        };
        // Read after the block: whatever is in the mirror up to there is not among them.
        let unseen = store::attempts::unseen(&mut db, chain, signer, MAX_OPEN).await?;
        drop(db);
        let unseen = unseen.into_iter().map(|unseen| Unseen {
            nonce: unseen.nonce,
            txs: unseen.txs,
            expires_after: unseen.expires_after,
        });
        let unseen: Vec<Unseen> = unseen.collect();
        for nonce in self.chain.dead(signer, &unseen, &final_).await? {
            let words = if C::NONCES {
                error!(chain, %signer, nonce, "a transaction that is none of ours has used this nonce: who else has the key?");
                "its nonce was used by a transaction that is none of ours"
            } else {
                "it ran out before any block took it"
            };
            let mut tx = self.store.begin().await?;
            let intents = store::attempts::give_up_nonce(&mut tx, chain, signer, nonce, words).await?;
            // What ran out has cost nothing, and says nothing of what it was for.
            self.put_back(&mut tx, &intents, words, if C::NONCES { MAX_TRIES } else { u32::MAX }).await?;
            tx.commit().await.map_err(store::Error::from)?;
        }
        Ok(())
    }

    /// A finalized transaction whose intents have no effect to show has failed for good, and its nonce is spent: the
    /// intents may be tried again under a new one, if the facts still want them.
    async fn close(&self, signer: Account) -> Result<bool, Error> {
        let mut db = self.store.begin().await?;
        let ended = store::attempts::ended(&mut db, self.chain.id(), signer, MAX_OPEN).await?;
        drop(db);
        for attempt in &ended {
            let mut tx = self.store.begin().await?;
            let intents = store::attempts::end(&mut tx, attempt.id).await?;
            let words = match (attempt.noop, attempt.success) {
                (true, _) => "its nonce was closed by a transaction that does nothing",
                (false, true) => "mined without effect",
                (false, false) => "reverted on chain",
            };
            self.put_back(&mut tx, &intents, words, MAX_TRIES).await?;
            fault::crash(Point::BeforeCloseCommit);
            tx.commit().await.map_err(store::Error::from)?;
            fault::crash(Point::AfterClose);
        }
        Ok(ended.len() == MAX_OPEN as usize)
    }

    async fn put_back(
        &self,
        tx: &mut store::Tx,
        intents: &[WithoutEffect],
        words: &str,
        limit: u32,
    ) -> Result<(), Error> {
        for WithoutEffect { id, terms_hash, invoice_id } in intents {
            warn!(invoice = invoice_id, intent = %id, words, "put back");
            store::attempts::put_back(tx, *id, words, limit).await?;
            if let Some(stuck) = store::projection::refresh_or_note(tx, *terms_hash).await? {
                error!(invoice = invoice_id, error = %stuck.error, "the invoice is stuck; it is tried again later");
            }
        }
        Ok(())
    }
}
