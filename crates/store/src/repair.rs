//! What an operator does by hand.

use crate::codec::{Columns, chain_id};
use crate::{Error, INTENTS_CHANNEL, PgConnection, projection, statements};
use alloy_primitives::B256;
use sqlx::Row;

statements! {
    // Invoices before their intents and in the order of their ids, as everywhere.
    FAILED = "SELECT n.id, n.kind, n.terms_hash, n.last_error, i.id AS invoice_id, i.number FROM intents n
        JOIN invoice_terms t USING (terms_hash) JOIN invoices i ON i.id = t.invoice_id
        WHERE n.chain_id = $1 AND n.state = 'failed' AND ($2::bytea IS NULL OR n.id = $2)
        AND ($3::text IS NULL OR i.id = $3 OR i.number = $3) ORDER BY i.id, n.terms_hash, n.id FOR UPDATE OF i";
    PUT_BACK = "UPDATE intents SET state = 'accepted', tries = 0, deferrals = 0, not_before = now(), updated_at = now(),
        last_error = $2 WHERE id = $1 AND state = 'failed'";
    ANNOUNCE = "SELECT pg_notify($1, $2)";
}

/// The most characters of an intent's old error that its new note repeats.
const MAX_OLD_ERROR: usize = 500;

/// Which of the intents that were given up.
#[derive(Clone, Copy, Debug)]
pub enum Which<'a> {
    /// All of them.
    All,
    /// One.
    Intent(B256),
    /// Those of an invoice, by our id or by a tenant's number.
    Invoice(&'a str),
}

/// An intent that was put back to work.
#[derive(Clone, Debug)]
pub struct PutBack {
    /// Its id.
    pub intent: B256,
    /// settle, cancel, refund, …
    pub kind: String,
    /// Our id of its invoice.
    pub invoice: String,
    /// The tenant's number of it.
    pub number: String,
    /// Why it had been given up.
    pub error: Option<String>,
}

/// Puts intents of a chain that were given up back to `accepted`, with a note who wanted it and what went wrong before, and
/// looks at their invoices again: what the facts no longer want is superseded at once, and nothing is done for it.
pub async fn retry(db: &mut PgConnection, chain: u64, which: Which<'_>, note: &str) -> Result<Vec<PutBack>, Error> {
    let (intent, invoice) = match which {
        Which::All => (None, None),
        Which::Intent(id) => (Some(id.to_vec()), None),
        Which::Invoice(id) => (None, Some(id)),
    };
    let rows = sqlx::query(FAILED).bind(chain_id(chain)).bind(intent).bind(invoice).fetch_all(&mut *db).await?;
    let (mut put_back, mut terms) = (Vec::with_capacity(rows.len()), Vec::new());
    for row in &rows {
        let (id, error) = (row.hash("id")?, row.try_get::<Option<String>, _>("last_error")?);
        let before: String = error.as_deref().unwrap_or("no reason noted").chars().take(MAX_OLD_ERROR).collect();
        let words = format!("{note}; given up before: {before}");
        if sqlx::query(PUT_BACK).bind(id.as_slice()).bind(words).execute(&mut *db).await?.rows_affected() == 0 {
            continue;
        }
        terms.push(row.hash("terms_hash")?);
        put_back.push(PutBack {
            intent: id,
            kind: row.try_get("kind")?,
            invoice: row.try_get("invoice_id")?,
            number: row.try_get("number")?,
            error,
        });
    }
    terms.dedup();
    for terms_hash in terms {
        // One that cannot be brought up to date is noted, and keeps nobody else's work back.
        projection::refresh_or_note(db, terms_hash).await?;
    }
    sqlx::query(ANNOUNCE).bind(INTENTS_CHANNEL).bind(chain.to_string()).execute(db).await?;
    Ok(put_back)
}
