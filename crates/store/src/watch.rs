//! Numbers for whoever watches: how far the mirror is, and what the keeper has not done yet. No tenant, no invoice.

use crate::codec::Columns;
use crate::{Error, PgConnection, statements};
use domain::intent::{IntentKind, IntentState};
use sqlx::Row;

statements! {
    CHAINS = "SELECT name, tip_number, safe_number, final_number,
        GREATEST(0, extract(epoch FROM now())::bigint - tip_timestamp) AS lag FROM chains ORDER BY name";
    // What is final or superseded is history, and would be read in full at every look.
    INTENTS = "SELECT kind, state, count(*) AS number FROM intents WHERE state NOT IN ('final', 'superseded')
        GROUP BY kind, state";
    OLDEST_WAITING = "SELECT COALESCE(GREATEST(0, extract(epoch FROM now() - min(created_at))::bigint), 0) AS age
        FROM intents WHERE state = 'accepted'";
    ATTEMPTS = "SELECT count(*) AS number,
        COALESCE(GREATEST(0, extract(epoch FROM now() - min(created_at))::bigint), 0) AS age
        FROM attempts WHERE state IN ('signed', 'broadcast', 'unknown')";
}

/// How far a mirror is.
#[derive(Clone, Debug)]
pub struct ChainNumbers {
    /// The chain's name.
    pub name: String,
    /// The highest block.
    pub seen: i64,
    /// The highest safe block.
    pub safe: i64,
    /// The highest final block.
    pub final_: i64,
    /// How far the highest block's time is behind the database's clock, seconds.
    pub lag: i64,
}

/// The numbers of one moment.
#[derive(Clone, Debug)]
pub struct Numbers {
    /// One per chain.
    pub chains: Vec<ChainNumbers>,
    /// How many intents there are of each kind in each state but `final` and `superseded`.
    pub intents: Vec<(IntentKind, IntentState, i64)>,
    /// Age of the oldest intent for which nothing is signed, seconds; 0 if there is none.
    pub oldest_waiting: i64,
    /// Age of the oldest signed transaction that no finalized block has, seconds; 0 if there is none.
    pub oldest_in_flight: i64,
    /// Signed transactions that no finalized block has.
    pub attempts_open: i64,
}

/// The numbers, from one moment if `db` is a snapshot.
pub async fn numbers(db: &mut PgConnection) -> Result<Numbers, Error> {
    let mut chains = Vec::new();
    for row in sqlx::query(CHAINS).fetch_all(&mut *db).await? {
        chains.push(ChainNumbers {
            name: row.try_get("name")?,
            seen: row.try_get("tip_number")?,
            safe: row.try_get("safe_number")?,
            final_: row.try_get("final_number")?,
            lag: row.try_get("lag")?,
        });
    }
    let mut intents = Vec::new();
    for row in sqlx::query(INTENTS).fetch_all(&mut *db).await? {
        intents.push((row.word("kind")?, row.word("state")?, row.try_get("number")?));
    }
    let oldest_waiting = sqlx::query(OLDEST_WAITING).fetch_one(&mut *db).await?.try_get("age")?;
    let attempts = sqlx::query(ATTEMPTS).fetch_one(db).await?;
    let (attempts_open, oldest_in_flight) = (attempts.try_get("number")?, attempts.try_get("age")?);
    Ok(Numbers { chains, intents, oldest_waiting, oldest_in_flight, attempts_open })
}
