//! What the treasury looks for: receipts that can go one step further, and what it needs to take that step.

use crate::codec::{Columns, corrupt};
use crate::{Error, PgConnection, statements};
pub use alloy_primitives::B256 as Hash;
use domain::money::Units;
use domain::receipt::FiatRail;
use domain::token_rail::TokenRail;
use serde_json::Value;
use sqlx::Row;
use std::time::Duration;
use time::{Date, OffsetDateTime};
use uuid::Uuid;

statements! {
    PAYMENT = "SELECT r.id, r.request_id, r.rail, r.provider_ref, (r.principal_units + r.fee_units)::text AS gross, r.created_at,
            l.token, l.details, u.id AS customer, u.email
        FROM fiat_receipts r LEFT JOIN bank_links l ON l.id = r.bank_link_id LEFT JOIN users u ON u.id = r.user_id WHERE r.id = $1";
    // Nobody else looks at the one that is locked here.
    INITIATED = "SELECT id FROM fiat_receipts WHERE state = 'initiated' AND bank_link_id IS NOT NULL ORDER BY created_at LIMIT $1";
    TO_ASK = "SELECT id FROM fiat_receipts WHERE state = 'submitted'
        AND (asked_at IS NULL OR asked_at < now() - make_interval(secs => $1 / 1000.0)) ORDER BY asked_at NULLS FIRST LIMIT $2";
    ASK_NOW = "UPDATE fiat_receipts SET asked_at = now() WHERE id = $1";
    FORGET_ASKED = "UPDATE fiat_receipts SET asked_at = NULL WHERE provider = $1 AND request_id = $2 AND state = 'submitted'";
    KNOWN = "UPDATE fiat_receipts SET unknown = FALSE, updated_at = now() WHERE id = $1";
    PUT_STATEMENT = "INSERT INTO fiat_statements (source, as_of) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    READ_UP_TO = "SELECT max(as_of) AS day FROM fiat_statements WHERE source = $1";
    RAILS_OF = "SELECT g.rail, t.chain_id, t.terms_hash FROM invoice_terms t JOIN gates g USING (chain_id) WHERE t.invoice_id = $1";
    SPENT_ORDERS = "SELECT o.deposit_id, o.receipt_id, o.rail, o.chain_id, e.amount_units::text AS amount, e.tx_hash, c.name AS chain_name,
            g.kind
        FROM mint_orders o JOIN gate_events e ON e.deposit_id = o.deposit_id AND e.chain_id = o.chain_id
        JOIN gates g ON g.chain_id = o.chain_id JOIN chains c ON c.chain_id = o.chain_id
        WHERE o.state = 'minted' AND o.receipt_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM receipt_events r
            WHERE r.receipt_id = o.receipt_id AND r.kind IN ('minted', 'float_paid')) ORDER BY o.updated_at LIMIT $1";
    // Money of customers that own capital stands in for although it is there.
    COVERED = "SELECT id FROM fiat_receipts WHERE settled AND cover_units > 0 AND state IN ('cleared', 'minted') ORDER BY created_at LIMIT $1";
    // Tokens are out for them and their money is gone.
    SHORT = "SELECT id FROM fiat_receipts WHERE deficit_units > 0 ORDER BY created_at LIMIT $1";
    DEAD_ORDERS = "SELECT deposit_id, attempt, rail, state, valid_until, receipt_id FROM mint_orders o
        WHERE o.receipt_id = $1 AND o.state IN ('expired', 'refused') ORDER BY attempt";
}

/// A payment a provider is to collect.
#[derive(Clone, Debug)]
pub struct Payment {
    /// The receipt.
    pub id: Uuid,
    /// Our number of it at the provider.
    pub request: String,
    /// How the money comes.
    pub rail: FiatRail,
    /// What the provider calls it, once it has said.
    pub provider_ref: Option<String>,
    /// What the customer pays in all, base units.
    pub gross: Units,
    /// When it was asked for.
    pub created_at: OffsetDateTime,
    /// What stands for the customer's card or account at the provider.
    pub token: Option<String>,
    /// The holder, as debits have to name him.
    pub details: Value,
    /// The customer's number with us.
    pub customer: Option<String>,
    /// And his e-mail address.
    pub email: Option<String>,
}

/// A payment, as it is handed to the provider.
pub async fn payment(db: &mut PgConnection, id: Uuid) -> Result<Payment, Error> {
    let row = sqlx::query(PAYMENT).bind(id).fetch_optional(db).await?;
    let row = row.ok_or_else(|| Error::Missing(format!("there is no receipt {id}")))?;
    Ok(Payment {
        id,
        request: row.try_get("request_id")?,
        rail: row.word("rail")?,
        provider_ref: row.try_get("provider_ref")?,
        gross: Units(row.u128("gross")?),
        created_at: row.try_get("created_at")?,
        token: row.try_get("token")?,
        details: row.try_get::<Option<Value>, _>("details")?.unwrap_or_default(),
        customer: row.try_get("customer")?,
        email: row.try_get("email")?,
    })
}

/// Receipts that nobody has handed to a provider yet, the oldest first.
pub async fn initiated(db: &mut PgConnection, limit: u32) -> Result<Vec<Uuid>, Error> {
    ids(sqlx::query(INITIATED).bind(i64::from(limit)).fetch_all(db).await?)
}

/// Receipts that own capital stands in for although their money is there, the oldest first.
pub async fn covered(db: &mut PgConnection, limit: u32) -> Result<Vec<Uuid>, Error> {
    ids(sqlx::query(COVERED).bind(i64::from(limit)).fetch_all(db).await?)
}

/// Receipts whose tokens are out and whose money is gone, the oldest first.
pub async fn short(db: &mut PgConnection, limit: u32) -> Result<Vec<Uuid>, Error> {
    ids(sqlx::query(SHORT).bind(i64::from(limit)).fetch_all(db).await?)
}

/// Receipts whose provider was not asked for so long what has become of them.
pub async fn to_ask(db: &mut PgConnection, every: Duration, limit: u32) -> Result<Vec<Uuid>, Error> {
    let millis = i32::try_from(every.as_millis()).unwrap_or(i32::MAX);
    ids(sqlx::query(TO_ASK).bind(millis).bind(i64::from(limit)).fetch_all(db).await?)
}

/// Notes that the provider is asked now.
pub async fn ask_now(db: &mut PgConnection, id: Uuid) -> Result<(), Error> {
    sqlx::query(ASK_NOW).bind(id).execute(db).await?;
    Ok(())
}

/// There is news of a payment: the provider is asked at once.
pub async fn forget_asked(db: &mut PgConnection, provider: &str, request: &str) -> Result<(), Error> {
    sqlx::query(FORGET_ASKED).bind(provider).bind(request).execute(db).await?;
    Ok(())
}

/// The provider has said that it has it.
pub async fn set_known(db: &mut PgConnection, id: Uuid) -> Result<(), Error> {
    sqlx::query(KNOWN).bind(id).execute(db).await?;
    Ok(())
}

fn ids(rows: Vec<sqlx::postgres::PgRow>) -> Result<Vec<Uuid>, Error> {
    rows.iter().map(|row| Ok(row.try_get("id")?)).collect()
}

/// Notes that a statement was read whole, up to this day.
pub async fn statement_read(db: &mut PgConnection, source: &str, as_of: Date) -> Result<(), Error> {
    sqlx::query(PUT_STATEMENT).bind(source).bind(as_of).execute(db).await?;
    Ok(())
}

/// The last day up to which a source's statements were read.
pub async fn read_up_to(db: &mut PgConnection, source: &str) -> Result<Option<Date>, Error> {
    Ok(sqlx::query(READ_UP_TO).bind(source).fetch_one(db).await?.try_get("day")?)
}

/// Where an invoice could be paid with tokens of ours: the rail, its chain, and the terms there.
pub async fn rails_of(db: &mut PgConnection, invoice: &str) -> Result<Vec<(TokenRail, u64, Hash)>, Error> {
    let rows = sqlx::query(RAILS_OF).bind(invoice).fetch_all(db).await?;
    rows.iter().map(|row| Ok((row.word("rail")?, row.chain("chain_id")?, row.hash("terms_hash")?))).collect()
}

/// A mint that is final and not booked.
#[derive(Clone, Debug)]
pub struct SpentOrder {
    /// The receipt whose money it was.
    pub receipt: Uuid,
    /// The rail.
    pub rail: TokenRail,
    /// The chain.
    pub chain: u64,
    /// What it is called.
    pub chain_name: String,
    /// Whether the float has paid; else it was minted.
    pub float: bool,
    /// What the chain says was paid, base units.
    pub amount: Units,
    /// The transaction, as the chain writes it.
    pub tx: String,
}

/// Mints that are final and not booked, the oldest first.
pub async fn spent_orders(db: &mut PgConnection, limit: u32) -> Result<Vec<SpentOrder>, Error> {
    let rows = sqlx::query(SPENT_ORDERS).bind(i64::from(limit)).fetch_all(db).await?;
    rows.iter()
        .map(|row| {
            Ok(SpentOrder {
                receipt: row.try_get("receipt_id")?,
                rail: row.word("rail")?,
                chain: row.chain("chain_id")?,
                chain_name: row.try_get("chain_name")?,
                float: row.try_get::<&str, _>("kind")? == "float",
                amount: Units(row.u128("amount")?),
                tx: row.tx("tx_hash")?.to_string(),
            })
        })
        .collect()
}

/// An order that is over and was not spent.
#[derive(Clone, Debug)]
pub struct DeadOrder {
    /// Which of the deposit's orders.
    pub attempt: u32,
    /// The rail.
    pub rail: TokenRail,
    /// `expired` or `refused`.
    pub state: String,
    /// Until when it could be spent, unix seconds.
    pub valid_until: u64,
}

/// A receipt's orders that are over and were not spent, the first first.
pub async fn dead_orders(db: &mut PgConnection, receipt: Uuid) -> Result<Vec<DeadOrder>, Error> {
    let rows = sqlx::query(DEAD_ORDERS).bind(receipt).fetch_all(db).await?;
    rows.iter()
        .map(|row| {
            Ok(DeadOrder {
                attempt: u32::try_from(row.try_get::<i32, _>("attempt")?).map_err(|_| corrupt("attempt"))?,
                rail: row.word("rail")?,
                state: row.try_get("state")?,
                valid_until: row.u64("valid_until")?,
            })
        })
        .collect()
}
