//! What has happened, for others to read: the events of invoices in their order, and everything known of one invoice.

use crate::codec::{Columns, big, corrupt};
use crate::{Error, PgConnection, statements};
use alloy_primitives::B256;
use domain::intent::{AttemptState, IntentKind, IntentState};
use serde_json::Value;
use sqlx::Row;
use sqlx::postgres::PgRow;
use terms::{Account, TxId};
use time::OffsetDateTime;

statements! {
    OF_INVOICE = "SELECT id, xid::text AS xid, aggregate, sequence, type, body, created_at FROM outbox
        WHERE tenant_id = $1 AND aggregate = $2 AND sequence > $3 ORDER BY sequence LIMIT $4";
    // Ids are handed out before they are committed: a reader that goes by them passes rows that are not there yet. Below
    // the oldest transaction still at work everything is there that ever will be.
    OF_TENANT = "SELECT id, xid::text AS xid, aggregate, sequence, type, body, created_at FROM outbox
        WHERE tenant_id = $1 AND xid < pg_snapshot_xmin(pg_current_snapshot()) AND (xid, id) > ($2::text::xid8, $3)
        ORDER BY xid, id LIMIT $4";
    LIFECYCLE = "SELECT event_type, event_data, blockchain_hash, timestamp FROM wallet_lifecycle_events WHERE wallet_id = $1
        ORDER BY timestamp LIMIT $2";
    WORDS_ON = "SELECT pay_requested_at, called_off_at FROM invoices WHERE id = $1";
    INTENTS = "SELECT n.id, n.kind, n.state, n.token, n.last_error, n.created_at, c.name FROM intents n
        JOIN invoice_terms t USING (terms_hash) JOIN chains c ON c.chain_id = n.chain_id
        WHERE t.invoice_id = $1 ORDER BY n.created_at LIMIT $2";
    ATTEMPTS = "SELECT n.id, n.kind, a.tx_hash, a.state, a.noop, a.last_error, a.created_at, c.name FROM intents n
        JOIN invoice_terms t USING (terms_hash) JOIN attempt_intents l ON l.intent_id = n.id
        JOIN attempts a ON a.id = l.attempt_id JOIN chains c ON c.chain_id = a.chain_id
        WHERE t.invoice_id = $1 ORDER BY a.created_at LIMIT $2";
    ORDERS = "SELECT o.intent_id, o.token, o.recipient, o.word, o.created_at FROM refund_orders o JOIN invoice_terms t USING (terms_hash)
        WHERE t.invoice_id = $1 ORDER BY o.created_at LIMIT $2";
    AUTHORIZATIONS = "SELECT p.intent_id, p.payer, p.value_units::text AS value, p.created_at FROM payment_authorizations p
        JOIN invoice_terms t USING (terms_hash) WHERE t.invoice_id = $1 ORDER BY p.created_at LIMIT $2";
}

/// The most rows of each kind that one invoice's history is told with.
pub const MAX_HISTORY: usize = 500;

/// One event of an invoice.
#[derive(Clone, Debug)]
pub struct Event {
    /// Where it stands among all events: the transaction that wrote it, and its row.
    pub place: (u64, i64),
    /// The invoice.
    pub invoice_id: String,
    /// Its number among the invoice's events, from 0, without gaps.
    pub sequence: u64,
    /// `invoice.created`, `invoice.paid`, …
    pub kind: String,
    /// What was so after it.
    pub body: Value,
    /// When it was written.
    pub created_at: OffsetDateTime,
}

/// The events of one invoice of the tenant's whose sequence is above `after`, in order, at most `limit`.
pub async fn of_invoice(
    db: &mut PgConnection,
    tenant_id: &str,
    invoice_id: &str,
    after: Option<u64>,
    limit: u32,
) -> Result<Vec<Event>, Error> {
    let after = after.map_or(Ok(-1), big)?;
    let query = sqlx::query(OF_INVOICE).bind(tenant_id).bind(invoice_id).bind(after).bind(i64::from(limit));
    query.fetch_all(db).await?.iter().map(event).collect()
}

/// All events of the tenant's behind `after`, in the order in which they can be replayed, at most `limit`. No event is
/// ever missed: one that may still be overtaken is not told yet.
pub async fn of_tenant(
    db: &mut PgConnection,
    tenant_id: &str,
    after: (u64, i64),
    limit: u32,
) -> Result<Vec<Event>, Error> {
    let (xid, id) = after;
    let query = sqlx::query(OF_TENANT).bind(tenant_id).bind(xid.to_string()).bind(id).bind(i64::from(limit));
    query.fetch_all(db).await?.iter().map(event).collect()
}

fn event(row: &PgRow) -> Result<Event, Error> {
    Ok(Event {
        place: (row.try_get::<&str, _>("xid")?.parse().map_err(|_| corrupt("xid"))?, row.try_get("id")?),
        invoice_id: row.try_get("aggregate")?,
        sequence: row.u64("sequence")?,
        kind: row.try_get("type")?,
        body: row.try_get("body")?,
        created_at: row.try_get("created_at")?,
    })
}

/// Everything we know of what has happened to an invoice, but for what moved on chain, which is in its transactions.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct History {
    pub lifecycle: Vec<Lifecycle>,
    /// When the customer said "pay".
    pub pay_requested_at: Option<OffsetDateTime>,
    /// When the issuer called it off.
    pub called_off_at: Option<OffsetDateTime>,
    pub intents: Vec<Decided>,
    pub attempts: Vec<Tried>,
    pub orders: Vec<Ordered>,
    pub authorizations: Vec<Authorized>,
}

/// A step in the wallet's life.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Lifecycle {
    pub event: String,
    pub data: Option<Value>,
    pub tx_hash: Option<String>,
    pub at: OffsetDateTime,
}

/// Something the keeper is to do.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Decided {
    pub intent: B256,
    pub kind: IntentKind,
    pub state: IntentState,
    pub token: Account,
    pub last_error: Option<String>,
    pub chain: String,
    pub at: OffsetDateTime,
}

/// A transaction that was signed for it.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Tried {
    pub intent: B256,
    pub kind: IntentKind,
    pub tx_hash: TxId,
    pub state: AttemptState,
    /// Whether it does nothing but use its nonce up.
    pub noop: bool,
    pub last_error: Option<String>,
    pub chain: String,
    pub at: OffsetDateTime,
}

/// A customer's word where money goes back to.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Ordered {
    pub intent: B256,
    pub token: Account,
    pub to: Account,
    pub word: Value,
    pub at: OffsetDateTime,
}

/// A payer's authorization.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Authorized {
    pub intent: B256,
    pub payer: Account,
    /// Base units, in decimal digits.
    pub value: String,
    pub at: OffsetDateTime,
}

/// What has happened to an invoice, at most [`MAX_HISTORY`] of each kind.
pub async fn history(db: &mut PgConnection, invoice_id: &str, wallet_id: &str) -> Result<History, Error> {
    let most = i64::try_from(MAX_HISTORY).unwrap_or(i64::MAX);
    let mut history = History::default();
    let words = sqlx::query(WORDS_ON).bind(invoice_id).fetch_one(&mut *db).await?;
    history.pay_requested_at = words.try_get("pay_requested_at")?;
    history.called_off_at = words.try_get("called_off_at")?;
    for row in sqlx::query(LIFECYCLE).bind(wallet_id).bind(most).fetch_all(&mut *db).await? {
        history.lifecycle.push(Lifecycle {
            event: row.try_get("event_type")?,
            data: row.try_get("event_data")?,
            tx_hash: row.try_get("blockchain_hash")?,
            at: row.try_get("timestamp")?,
        });
    }
    for row in sqlx::query(INTENTS).bind(invoice_id).bind(most).fetch_all(&mut *db).await? {
        history.intents.push(Decided {
            intent: row.hash("id")?,
            kind: row.word("kind")?,
            state: row.word("state")?,
            token: row.account("token")?,
            last_error: row.try_get("last_error")?,
            chain: row.try_get("name")?,
            at: row.try_get("created_at")?,
        });
    }
    for row in sqlx::query(ATTEMPTS).bind(invoice_id).bind(most).fetch_all(&mut *db).await? {
        history.attempts.push(Tried {
            intent: row.hash("id")?,
            kind: row.word("kind")?,
            tx_hash: row.tx("tx_hash")?,
            state: row.word("state")?,
            noop: row.try_get("noop")?,
            last_error: row.try_get("last_error")?,
            chain: row.try_get("name")?,
            at: row.try_get("created_at")?,
        });
    }
    for row in sqlx::query(ORDERS).bind(invoice_id).bind(most).fetch_all(&mut *db).await? {
        history.orders.push(Ordered {
            intent: row.hash("intent_id")?,
            token: row.account("token")?,
            to: row.account("recipient")?,
            word: row.try_get("word")?,
            at: row.try_get("created_at")?,
        });
    }
    for row in sqlx::query(AUTHORIZATIONS).bind(invoice_id).bind(most).fetch_all(db).await? {
        history.authorizations.push(Authorized {
            intent: row.hash("intent_id")?,
            payer: row.account("payer")?,
            value: row.try_get("value")?,
            at: row.try_get("created_at")?,
        });
    }
    Ok(history)
}
