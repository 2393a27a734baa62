//! Brings invoices' rows up to date with the facts: loads them, lets `domain` decide, writes what follows.
//!
//! Called in the same transaction as whatever changed the facts: a block, a re-org, a request, a moment in time. All the
//! invoices that a block concerns are brought up to date together: what takes a statement takes one for all of them, so
//! that a block with many payments is as quick as one with a single one.

mod facts;
mod writes;

use crate::codec::{Columns, chain_id};
use crate::{Error, PgConnection, statements};
use alloy_primitives::B256;
use domain::mint::MintRefusal;
use domain::rails;
use facts::Looked;
use sqlx::{Connection, Row};
use std::collections::BTreeSet;
use tracing::warn;

statements! {
    // The row lock on the invoice is what makes two projections of it, or a projection and a request, take turns. It is taken
    // before anything is read: whoever waits for it reads what is there afterwards, and nothing from before. In the order of
    // the invoices' ids, which is the same for all chains: that of their terms is another one on each.
    LOCK = "SELECT 1 FROM invoices WHERE id IN (SELECT invoice_id FROM invoice_terms WHERE terms_hash = ANY($1))
        ORDER BY id FOR UPDATE";
    STUCK = "INSERT INTO stuck_invoices (terms_hash, chain_id, error, retry_at)
        SELECT t.terms_hash, t.chain_id, $2, now() + interval '1 second' FROM invoice_terms t WHERE t.terms_hash = $1
        ON CONFLICT (terms_hash) DO UPDATE SET error = EXCLUDED.error, tries = LEAST(stuck_invoices.tries + 1, 1000),
            retry_at = now() + make_interval(secs => LEAST(60, power(2, LEAST(stuck_invoices.tries, 10))))";
    FREE = "DELETE FROM stuck_invoices WHERE terms_hash = ANY($1)";
    RETRY = "SELECT terms_hash FROM stuck_invoices WHERE chain_id = $1 AND retry_at <= now() ORDER BY retry_at LIMIT $2";
}

/// Every statement of the projection.
pub(crate) fn all_statements() -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    STATEMENTS.iter().chain(facts::STATEMENTS).chain(writes::STATEMENTS)
}

/// How often the facts are looked at again because an intent moved meanwhile; a keeper moves one once in a pass, and there is
/// one for each rail and duty.
const MAX_LOOKS: u32 = 10;

/// How many invoices are brought up to date together: a block may concern more than fit in memory.
const AT_ONCE: usize = 500;

/// Locks the invoices with these terms until the transaction ends, in the order in which everybody locks them.
pub async fn lock(db: &mut PgConnection, terms: impl IntoIterator<Item = B256>) -> Result<(), Error> {
    sqlx::query(LOCK).bind(bytes(terms)).fetch_all(db).await?;
    Ok(())
}

/// An invoice that could not be brought up to date.
#[derive(Debug)]
pub struct Stuck {
    /// Its terms.
    pub terms_hash: B256,
    /// Why.
    pub error: Error,
}

/// Brings the invoices with these terms up to date, or notes of each that could not be why: one invoice with a fault in its
/// rows must not stop the block for all the others. It is tried again later, by the mirror and by the coordinator.
pub async fn refresh_all(db: &mut PgConnection, terms: &BTreeSet<B256>) -> Result<Vec<Stuck>, Error> {
    let all: Vec<B256> = terms.iter().copied().collect();
    let mut stuck = Vec::new();
    for some in all.chunks(AT_ONCE) {
        if try_refresh(db, some).await?.is_ok() {
            continue;
        }
        // One of them has a fault, and all together say nothing of which: each by itself.
        for terms_hash in some.iter().copied() {
            if let Err(error) = try_refresh(db, &[terms_hash]).await? {
                sqlx::query(STUCK).bind(terms_hash.as_slice()).bind(error.to_string()).execute(&mut *db).await?;
                stuck.push(Stuck { terms_hash, error });
            }
        }
    }
    Ok(stuck)
}

/// The same for one invoice.
pub async fn refresh_or_note(db: &mut PgConnection, terms_hash: B256) -> Result<Option<Stuck>, Error> {
    Ok(refresh_all(db, &BTreeSet::from([terms_hash])).await?.pop())
}

/// Brings the invoice with these terms up to date. Harmless to call at any time, any number of times.
pub async fn refresh(db: &mut PgConnection, terms_hash: B256) -> Result<(), Error> {
    refresh_set(db, &[terms_hash]).await
}

/// Whether a deposit of so many base units may be minted for the invoice with these terms, on their chain, and until when by its
/// clock (unix seconds). Holds the invoice until the transaction ends.
pub async fn may_mint(db: &mut PgConnection, terms_hash: B256, units: u128) -> Result<Result<u64, MintRefusal>, Error> {
    lock(db, [terms_hash]).await?;
    let loaded = facts::load(db, &[terms_hash]).await?;
    let looked = facts::look(db, &loaded.iter().collect::<Vec<_>>(), rails::look).await?;
    let facts = looked.first().map(|looked| looked.facts.as_slice()).unwrap_or_default();
    let chain = facts.iter().find(|facts| facts.terms_hash == terms_hash).map(|facts| facts.chain);
    Ok(chain.map_or(Err(MintRefusal::NoRail), |chain| rails::may_mint(facts, chain, units)))
}

/// Invoices of a chain that could not be brought up to date and whose time has come to be tried again, at most `limit`.
pub async fn stuck(db: &mut PgConnection, chain: u64, limit: u32) -> Result<Vec<B256>, Error> {
    let rows = sqlx::query(RETRY).bind(chain_id(chain)).bind(i64::from(limit)).fetch_all(db).await?;
    rows.iter().map(|row| row.hash("terms_hash")).collect()
}

/// Brings them all up to date or none of them; the inner error says that the fault is in the rows.
async fn try_refresh(db: &mut PgConnection, terms: &[B256]) -> Result<Result<(), Error>, Error> {
    if terms.is_empty() {
        return Ok(Ok(()));
    }
    let mut inner = db.begin().await?;
    match refresh_set(&mut inner, terms).await {
        Ok(()) => {
            inner.commit().await?;
            Ok(Ok(()))
        }
        Err(error) if error.is_of_the_data() => {
            inner.rollback().await?;
            Ok(Err(error))
        }
        Err(error) => Err(error),
    }
}

async fn refresh_set(db: &mut PgConnection, terms: &[B256]) -> Result<(), Error> {
    lock(db, terms.iter().copied()).await?;
    let loaded = facts::load(db, terms).await?;
    let refreshed = bring_up_to_date(db, &loaded).await;
    if let (Err(error), [only]) = (&refreshed, loaded.as_slice()) {
        // Whoever called knows the block or the pass, and not which invoice of many it was.
        let invoice = only.row()?.try_get::<&str, _>("invoice_id").unwrap_or_default();
        warn!(invoice, %error, "could not be brought up to date");
    }
    refreshed
}

async fn bring_up_to_date(db: &mut PgConnection, loaded: &[facts::Loaded]) -> Result<(), Error> {
    let mut done: Vec<Looked<'_>> = Vec::with_capacity(loaded.len());
    let mut open: Vec<&facts::Loaded> = loaded.iter().collect();
    for look in 1.. {
        let looked = facts::look(db, &open, rails::look).await?;
        let moved = writes::intents(db, &looked).await?;
        open.clear();
        for (at, looked) in looked.into_iter().enumerate() {
            // An intent of it moved while it was looked at: the facts are others by now, and so may be the rail it is paid on.
            if moved.contains(&at) {
                open.push(looked.loaded);
            } else {
                done.push(looked);
            }
        }
        if open.is_empty() {
            break;
        }
        if look == MAX_LOOKS {
            // Nothing is stored that rests on what is no longer so.
            return Err(Error::Moving);
        }
    }
    writes::orders(db, &done).await?;
    writes::movements(db, &done).await?;
    writes::statuses(db, &done).await?;
    writes::rails(db, &done).await?;
    let mut freed = Vec::new();
    for rail in loaded.iter().flat_map(|loaded| &loaded.rails) {
        if rail.row.try_get("stuck")? {
            freed.push(rail.terms_hash);
        }
    }
    if !freed.is_empty() {
        sqlx::query(FREE).bind(bytes(freed)).execute(db).await?;
    }
    Ok(())
}

fn bytes(hashes: impl IntoIterator<Item = B256>) -> Vec<Vec<u8>> {
    hashes.into_iter().map(|hash| hash.to_vec()).collect()
}
