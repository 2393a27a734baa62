//! Rails: how their breakers stand, why one was left for another, and transfers between them.

use crate::codec::Columns;
use crate::{Error, PgConnection, ledger, statements};
use alloy_primitives::B256;
use domain::money::Units;
use domain::token_rail::{Breaker, CrossEvent, Crossing, Patience, Reason, Signal, TokenRail};
use serde_json::Value;
use sqlx::Row;
use time::OffsetDateTime;
use uuid::Uuid;

statements! {
    LOCK = "SELECT breaker, failures, COALESCE(extract(epoch FROM open_until)::bigint, 0) AS open_until FROM rail_states
        WHERE rail = $1 FOR UPDATE";
    SAVE = "UPDATE rail_states SET breaker = $2, failures = $3, open_until = to_timestamp(NULLIF($4, 0)::double precision),
        last_error = COALESCE($5, last_error), updated_at = now() WHERE rail = $1";
    ALL = "SELECT rail, breaker, failures, COALESCE(extract(epoch FROM open_until)::bigint, 0) AS open_until, last_error
        FROM rail_states ORDER BY rail";
    ADD_FALLBACK = "INSERT INTO rail_fallbacks (receipt_id, subject, from_rail, to_rail, reason, proof)
        VALUES ($1, $2, $3, $4, $5, $6)";
    FALLBACKS = "SELECT subject, from_rail, to_rail, reason, proof, created_at FROM rail_fallbacks ORDER BY id DESC LIMIT $1";
    ADD_CROSSING = "INSERT INTO rail_transfers (tenant_id, user_id, amount_units, from_token, to_token, burn_terms, deposit_id)
        VALUES ($1, $2, $3::text::numeric, $4, $5, $6, $7) ON CONFLICT (burn_terms) DO NOTHING RETURNING id";
    CROSSING_BY_TERMS = "SELECT id FROM rail_transfers WHERE burn_terms = $1";
    CROSSING = "SELECT id::text AS id, amount_units::text AS amount, from_token, to_token, state FROM rail_transfers
        WHERE id = $1 FOR UPDATE";
    SAVE_CROSSING = "UPDATE rail_transfers SET state = $2, updated_at = now() WHERE id = $1";
}

/// A rail, and what was said of it last.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Standing {
    pub rail: TokenRail,
    pub breaker: Breaker,
    pub last_error: Option<String>,
}

fn breaker(row: &sqlx::postgres::PgRow) -> Result<Breaker, Error> {
    let failures = u32::try_from(row.try_get::<i32, _>("failures")?).unwrap_or(0);
    Ok(Breaker { state: row.word("breaker")?, failures, open_until: row.u64("open_until")? })
}

/// How all rails stand.
pub async fn all(db: &mut PgConnection) -> Result<Vec<Standing>, Error> {
    let rows = sqlx::query(ALL).fetch_all(db).await?;
    rows.iter()
        .map(|row| {
            Ok(Standing { rail: row.word("rail")?, breaker: breaker(row)?, last_error: row.try_get("last_error")? })
        })
        .collect()
}

/// A rail's breaker hears a signal at `now`, unix seconds.
pub async fn hear(
    db: &mut PgConnection,
    rail: TokenRail,
    signal: Signal,
    now: u64,
    patience: Patience,
    error: Option<&str>,
) -> Result<Breaker, Error> {
    let row = sqlx::query(LOCK).bind(rail.as_str()).fetch_one(&mut *db).await?;
    let next = breaker(&row)?.hear(signal, now, patience);
    sqlx::query(SAVE)
        .bind(rail.as_str())
        .bind(next.state.as_str())
        .bind(i32::try_from(next.failures).unwrap_or(i32::MAX))
        .bind(crate::codec::big(next.open_until)?)
        .bind(error)
        .execute(db)
        .await?;
    Ok(next)
}

/// Writes down why a rail was passed over, and what proves that nothing can be minted there any more.
pub async fn passed_over(
    db: &mut PgConnection,
    receipt: Option<Uuid>,
    subject: &str,
    from: TokenRail,
    to: Option<TokenRail>,
    reason: Reason,
    proof: &Value,
) -> Result<(), Error> {
    sqlx::query(ADD_FALLBACK)
        .bind(receipt)
        .bind(subject)
        .bind(from.as_str())
        .bind(to.map(TokenRail::as_str))
        .bind(reason.as_str())
        .bind(proof)
        .execute(db)
        .await?;
    Ok(())
}

/// A rail that was passed over.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Fallback {
    pub subject: String,
    pub from: TokenRail,
    pub to: Option<String>,
    pub reason: String,
    pub proof: Value,
    pub at: OffsetDateTime,
}

/// The last rails that were passed over, the newest first.
pub async fn fallbacks(db: &mut PgConnection, limit: u32) -> Result<Vec<Fallback>, Error> {
    let rows = sqlx::query(FALLBACKS).bind(i64::from(limit)).fetch_all(db).await?;
    rows.iter()
        .map(|row| {
            Ok(Fallback {
                subject: row.try_get("subject")?,
                from: row.word("from_rail")?,
                to: row.try_get("to_rail")?,
                reason: row.try_get("reason")?,
                proof: row.try_get("proof")?,
                at: row.try_get("created_at")?,
            })
        })
        .collect()
}

/// A transfer between rails to be.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct NewCrossing<'a> {
    pub tenant: &'a str,
    pub user: Option<&'a str>,
    /// Base units.
    pub amount: Units,
    /// The token that is burned, `tempo/42431`.
    pub from: &'a str,
    /// The token that is minted.
    pub to: &'a str,
    /// The redemption's terms on the first.
    pub burn_terms: B256,
    /// What the mint on the second is named by.
    pub deposit: B256,
}

/// Writes a transfer down, before anything is signed. With terms that are known, the one there is.
pub async fn create_crossing(db: &mut PgConnection, new: &NewCrossing<'_>) -> Result<Uuid, Error> {
    let row = sqlx::query(ADD_CROSSING)
        .bind(new.tenant)
        .bind(new.user)
        .bind(new.amount.0.to_string())
        .bind(new.from)
        .bind(new.to)
        .bind(new.burn_terms.as_slice())
        .bind(new.deposit.as_slice())
        .fetch_optional(&mut *db)
        .await?;
    match row {
        Some(row) => Ok(row.try_get("id")?),
        None => {
            Ok(sqlx::query(CROSSING_BY_TERMS).bind(new.burn_terms.as_slice()).fetch_one(db).await?.try_get("id")?)
        }
    }
}

/// Applies an event to a transfer, in the caller's transaction.
pub async fn cross(db: &mut PgConnection, id: Uuid, event: CrossEvent) -> Result<Crossing, Error> {
    let row = sqlx::query(CROSSING).bind(id).fetch_optional(&mut *db).await?;
    let row = row.ok_or_else(|| Error::Missing(format!("there is no transfer {id}")))?;
    let known = Crossing {
        id: row.try_get("id")?,
        amount: row.units("amount")?,
        from: row.try_get("from_token")?,
        to: row.try_get("to_token")?,
        state: row.word("state")?,
    };
    let (next, entry) = known.take(event)?;
    sqlx::query(SAVE_CROSSING).bind(id).bind(next.state.as_str()).execute(&mut *db).await?;
    if let Some(entry) = entry {
        ledger::book(db, &entry).await?;
    }
    Ok(next)
}
