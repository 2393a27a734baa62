//! Whether it all agrees: comparisons as they were made, and cases for people with both sides line by line.

use crate::codec::Columns;
use crate::{Error, PgConnection, statements};
use serde_json::Value;
use sqlx::Row;
use time::OffsetDateTime;
use uuid::Uuid;

statements! {
    RECORD = "INSERT INTO reconciliations (scope, subject, ours_units, theirs_units, as_of, resolved)
        VALUES ($1, $2, $3::text::numeric, $4::text::numeric, $5, $6) RETURNING id";
    LATEST = "SELECT DISTINCT ON (scope, subject) scope, subject, ours_units::text AS ours, theirs_units::text AS theirs, as_of, resolved,
        created_at FROM reconciliations ORDER BY scope, subject, id DESC";
    OPEN_CASE = "INSERT INTO review_cases (kind, subject, reconciliation_id, fiat_event_id, ours, theirs)
        VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (kind, subject) WHERE state = 'open'
        DO UPDATE SET ours = EXCLUDED.ours, theirs = EXCLUDED.theirs,
            reconciliation_id = COALESCE(EXCLUDED.reconciliation_id, review_cases.reconciliation_id) RETURNING id";
    CASES = "SELECT id, kind, subject, ours, theirs, created_at FROM review_cases WHERE state = 'open' ORDER BY created_at, id LIMIT $1";
    RESOLVE = "UPDATE review_cases SET state = 'resolved', resolution = $2, resolved_by = $3, resolved_at = now()
        WHERE id = $1 AND state = 'open'";
}

/// A comparison. Amounts are base units.
#[derive(Clone, Debug)]
pub struct Comparison<'a> {
    /// supply, bank, provider, float, reserve.
    pub scope: &'a str,
    /// The token, the bank account, the provider.
    pub subject: &'a str,
    /// What the books say.
    pub ours: i128,
    /// What the chain, the bank, the provider says.
    pub theirs: i128,
    /// As of which block, statement or moment.
    pub as_of: &'a str,
    /// How a difference was explained, in words.
    pub resolved: Option<&'a str>,
}

/// Writes a comparison down.
pub async fn record(db: &mut PgConnection, comparison: &Comparison<'_>) -> Result<i64, Error> {
    let row = sqlx::query(RECORD)
        .bind(comparison.scope)
        .bind(comparison.subject)
        .bind(comparison.ours.to_string())
        .bind(comparison.theirs.to_string())
        .bind(comparison.as_of)
        .bind(comparison.resolved)
        .fetch_one(db)
        .await?;
    Ok(row.try_get("id")?)
}

/// The newest comparison of something.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Latest {
    pub scope: String,
    pub subject: String,
    pub ours: i128,
    pub theirs: i128,
    pub as_of: String,
    pub resolved: Option<String>,
    pub at: OffsetDateTime,
}

/// The newest comparison of everything that is compared.
pub async fn latest(db: &mut PgConnection) -> Result<Vec<Latest>, Error> {
    let rows = sqlx::query(LATEST).fetch_all(db).await?;
    rows.iter()
        .map(|row| {
            Ok(Latest {
                scope: row.try_get("scope")?,
                subject: row.try_get("subject")?,
                ours: row.i128("ours")?,
                theirs: row.i128("theirs")?,
                as_of: row.try_get("as_of")?,
                resolved: row.try_get("resolved")?,
                at: row.try_get("created_at")?,
            })
        })
        .collect()
}

/// Opens a case for a person, with both sides line by line. There is one open case for a subject: opened again, it is brought up to
/// date.
pub async fn open_case(
    db: &mut PgConnection,
    kind: &str,
    subject: &str,
    reconciliation: Option<i64>,
    fiat_event: Option<i64>,
    ours: &Value,
    theirs: &Value,
) -> Result<Uuid, Error> {
    let row = sqlx::query(OPEN_CASE)
        .bind(kind)
        .bind(subject)
        .bind(reconciliation)
        .bind(fiat_event)
        .bind(ours)
        .bind(theirs)
        .fetch_one(db)
        .await?;
    Ok(row.try_get("id")?)
}

/// A case.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Case {
    pub id: Uuid,
    pub kind: String,
    pub subject: String,
    pub ours: Value,
    pub theirs: Value,
    pub since: OffsetDateTime,
}

/// Open cases, the oldest first.
pub async fn cases(db: &mut PgConnection, limit: u32) -> Result<Vec<Case>, Error> {
    let rows = sqlx::query(CASES).bind(i64::from(limit)).fetch_all(db).await?;
    rows.iter()
        .map(|row| {
            Ok(Case {
                id: row.try_get("id")?,
                kind: row.try_get("kind")?,
                subject: row.try_get("subject")?,
                ours: row.try_get("ours")?,
                theirs: row.try_get("theirs")?,
                since: row.try_get("created_at")?,
            })
        })
        .collect()
}

/// A person has resolved a case, and says how. `false`: it was not open.
pub async fn resolve(db: &mut PgConnection, id: Uuid, how: &str, who: &str) -> Result<bool, Error> {
    Ok(sqlx::query(RESOLVE).bind(id).bind(how).bind(who).execute(db).await?.rows_affected() == 1)
}
