//! Answers that are given again: a request that is repeated under its `Idempotency-Key` is carried out once.

use crate::codec::Columns;
use crate::{Error, PgConnection, statements};
use alloy_primitives::B256;
use sqlx::Row;

statements! {
    // Held until the transaction ends, however it ends: a process that dies leaves nothing locked.
    TRY_LOCK = "SELECT pg_try_advisory_xact_lock(hashtextextended($1 || ' ' || $2, 0)) AS held";
    STORED = "SELECT request_hash, status, location, body FROM idempotency_keys
        WHERE scope = $1 AND key = $2 AND created_at > now() - make_interval(days => $3)";
    KEEP = "INSERT INTO idempotency_keys (scope, key, tenant_id, request_hash, status, location, body) VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (scope, key) DO UPDATE SET request_hash = EXCLUDED.request_hash, status = EXCLUDED.status,
            location = EXCLUDED.location, body = EXCLUDED.body, created_at = EXCLUDED.created_at";
    // A portion with each answer that is kept: more goes than comes, and no request pays for all of it.
    DROP_OLD = "DELETE FROM idempotency_keys WHERE (scope, key) IN (SELECT scope, key FROM idempotency_keys
        WHERE created_at <= now() - make_interval(days => $1) ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED)";
    KEPT = "SELECT count(*) AS kept FROM idempotency_keys WHERE scope = $1";
}

/// How long an answer is kept. Days.
pub const KEPT_DAYS: i32 = 30;

/// How many old answers go with each new one.
const PORTION: i64 = 20;

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status, 200 to 299.
    pub status: u16,
    /// The `Location` header, if it had one.
    pub location: Option<String>,
    /// The body, byte for byte.
    pub body: Vec<u8>,
}

/// A key with everything that decides whether two requests are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Whose key it is and of which route.
    pub scope: String,
    /// The key, 1 to 255 visible ASCII characters.
    pub key: String,
    /// SHA-256 of path and body.
    pub request: B256,
    /// The most answers that are kept in this scope; `None`: any number.
    pub most: Option<u64>,
}

/// Whose turn it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The caller's: nobody has done it, and nobody else does until the transaction ends.
    Mine,
    /// It was done before, with this answer.
    Done(Answer),
    /// The key was used for another request.
    OtherRequest,
    /// Somebody is doing it right now.
    Busy,
}

/// Takes the key for this transaction, or says what has become of it.
pub async fn claim(db: &mut PgConnection, ticket: &Ticket) -> Result<Claim, Error> {
    let lock = sqlx::query(TRY_LOCK).bind(&ticket.scope).bind(&ticket.key).fetch_one(&mut *db).await?;
    if !lock.try_get("held")? {
        return Ok(Claim::Busy);
    }
    let stored = sqlx::query(STORED).bind(&ticket.scope).bind(&ticket.key).bind(KEPT_DAYS).fetch_optional(db).await?;
    let Some(row) = stored else { return Ok(Claim::Mine) };
    if row.hash("request_hash")? != ticket.request {
        return Ok(Claim::OtherRequest);
    }
    let status = u16::try_from(row.try_get::<i16, _>("status")?).map_err(|_| Error::Corrupt("status".to_owned()))?;
    Ok(Claim::Done(Answer { status, location: row.try_get("location")?, body: row.try_get("body")? }))
}

/// Keeps the answer to a request that was claimed, in the same transaction as what it did; drops a few old ones.
pub async fn keep(db: &mut PgConnection, tenant_id: &str, ticket: &Ticket, answer: &Answer) -> Result<(), Error> {
    if let Some(most) = ticket.most
        && sqlx::query(KEPT).bind(&ticket.scope).fetch_one(&mut *db).await?.u64("kept")? >= most
    {
        return Err(Error::TooManyKeys(most));
    }
    sqlx::query(KEEP)
        .bind(&ticket.scope)
        .bind(&ticket.key)
        .bind(tenant_id)
        .bind(ticket.request.as_slice())
        .bind(i16::try_from(answer.status).unwrap_or(i16::MAX))
        .bind(&answer.location)
        .bind(&answer.body)
        .execute(&mut *db)
        .await?;
    sqlx::query(DROP_OLD).bind(KEPT_DAYS).bind(PORTION).execute(db).await?;
    Ok(())
}
