//! Invoices with their wallet and terms: created whole, read whole.

use crate::codec::{Columns, big, chain_id, corrupt};
use crate::keys::{self, SealedKey};
use crate::{Error, PgConnection, statements};
use alloy_primitives::{B256, U256};
use domain::invoice::{InvoiceStatus, Settlement};
use domain::request::CreateInvoice;
use domain::wallet::WalletStatus;
use serde_json::Value;
use sqlx::Row;
use sqlx::postgres::PgRow;
use std::collections::BTreeMap;
use terms::{Account, InvoiceTerms, Pubkey, SolanaTerms, Terms};
use time::{Date, OffsetDateTime};

/// The one query an invoice is read with, and the ways to find it.
macro_rules! concat_view {
    ($where:literal) => {
        concat!(
            "SELECT i.id, i.tenant_id, i.number, i.issuer, e.name AS issuer_name, i.customer_email, i.amount_units::text AS amount,
                i.paid_units::text AS paid, i.received_units::text AS received, i.currency, i.description, i.category, i.due_date,
                i.status, i.settlement, i.settlement_tier, i.exceptions, i.picked_chain, i.expires_at, i.paid_at, i.transaction_id, i.pay_token,
                i.sequence, i.created_at, i.updated_at, w.wallet_id, w.wallet_type, w.wallet_address, w.status AS wallet_status,
                w.balance_units::text AS balance, w.currency AS wallet_currency, w.ttl_seconds, w.created_at AS wallet_created_at,
                w.funded_at, w.destruction_initiated_at, w.destroyed_at, w.destruction_method, w.destruction_reason, i.metadata,
                EXISTS (SELECT 1 FROM wallet_keys k WHERE k.wallet_id = w.wallet_id) AS has_key,
                EXISTS (SELECT 1 FROM invoice_terms t JOIN intents n USING (terms_hash) WHERE t.invoice_id = i.id
                    AND n.kind IN ('settle', 'fund', 'mint') AND n.state IN ('signed', 'broadcast', 'unknown'))
                    OR EXISTS (SELECT 1 FROM mint_orders o WHERE o.invoice_id = i.id
                        AND o.state IN ('wanted', 'attested', 'in_flight')) AS settling,
                EXISTS (SELECT 1 FROM invoice_terms t JOIN intents n USING (terms_hash) WHERE t.invoice_id = i.id
                    AND n.kind = 'refund_by_order' AND n.token = t.token
                    AND n.cumulative_before = (SELECT COALESCE(SUM(e.amount_units), 0) FROM escrow_events e
                        WHERE e.terms_hash = t.terms_hash AND e.token = t.token AND e.kind IN (4, 5))
                    AND n.state NOT IN ('superseded', 'failed') AND (n.state <> 'accepted' OR EXISTS (SELECT 1 FROM refund_orders o
                        JOIN chains c ON c.chain_id = n.chain_id WHERE o.intent_id = n.id AND o.deadline >= c.tip_timestamp)))
                    AS ordered
            FROM invoices i JOIN enterprises e ON e.id = i.issuer JOIN invoice_wallets w ON w.invoice_id = i.id ",
            $where
        )
    };
}

statements! {
    NEXT_NUMBER = "SELECT 'INV-' || to_char(now() AT TIME ZONE 'UTC', 'YYYY') || '-' || lpad(n::text, GREATEST(6, length(n::text)), '0')
        FROM (SELECT nextval('invoice_numbers') AS n) next";
    INSERT_INVOICE = "INSERT INTO invoices (id, tenant_id, number, invoice_key, issuer, customer_id, customer_email, amount_units,
            currency, description, category, due_date, status, settlement, expires_at, closes_at, flags, pay_token, metadata, picked_chain)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8::text::numeric, $9, $10, $11, $12, 'pending_payment', $13, $14, $15, $16, $17, $18, $19)
        ON CONFLICT ON CONSTRAINT invoices_number_unique DO NOTHING";
    INSERT_TERMS = "INSERT INTO invoice_terms (terms_hash, invoice_id, tenant_id, chain_id, version, invoice_key, payee, token,
            amount_units, closes_at, refund_to, refund_key, settler, flags, purse, wake_seen_at, wake_final_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::text::numeric, $10, $11, $12, $13, $14, $15, $16, $16)";
    INSERT_WALLET = "INSERT INTO invoice_wallets (tenant_id, invoice_id, customer_id, wallet_id, wallet_type, wallet_address,
            solana_address, tempo_address, spending_limit_units, expires_at, created_at, ttl_seconds, metadata, created_by)
        VALUES ($1, $2, $3, $4, $5, $6, $12, $13, $7::text::numeric, $8::timestamptz, $8::timestamptz - make_interval(secs => $9::integer), $9, $10, $11)";
    INSERT_CREATED = "INSERT INTO wallet_lifecycle_events (tenant_id, wallet_id, event_type, event_data) VALUES ($1, $2, 'created', $3)";
    INSERT_OUTBOX = "INSERT INTO outbox (tenant_id, aggregate, sequence, type, body) VALUES ($1, $2, 0, 'invoice.created', $3)";
    // A tenant may number one invoice with another's id: the id wins.
    BY_ID = concat_view!("WHERE i.tenant_id = $1 AND (i.id = $2 OR i.number = $2) ORDER BY i.id = $2 DESC LIMIT 1");
    BY_WALLET = concat_view!("WHERE i.tenant_id = $1 AND w.wallet_id = $2");
    BY_TOKEN = concat_view!("WHERE i.pay_token = $1");
    // Whoever pages by it sees every older invoice once: nothing that is inserted meanwhile changes what is older.
    LIST = concat_view!("WHERE i.tenant_id = $1
        AND ($2::timestamptz IS NULL OR (i.created_at, i.id) < ($2::timestamptz, $3::text))
        AND ($4::text[] IS NULL OR i.status = ANY($4::text[]))
        AND ($5::timestamptz IS NULL OR i.created_at >= $5::timestamptz)
        AND ($6::timestamptz IS NULL OR i.created_at < $6::timestamptz)
        AND ($7::text IS NULL OR i.customer_email = $7::text) AND ($8::text IS NULL OR i.number = $8::text)
        AND ($9::text IS NULL OR w.status = $9::text) AND ($10::text IS NULL OR i.category = $10::text)
        ORDER BY i.created_at DESC, i.id DESC LIMIT $11");
    TERMS = "SELECT t.invoice_id, t.version, t.chain_id, t.invoice_key, t.payee, t.token, t.amount_units::text AS amount, t.closes_at,
            t.refund_to, t.refund_key, t.settler, t.flags, t.terms_hash, t.purse, t.paid_units::text AS paid,
            t.received_units::text AS received, t.balance_units::text AS balance
        FROM invoice_terms t JOIN chains c USING (chain_id) WHERE t.invoice_id = ANY($1) ORDER BY c.kind, t.chain_id";
    TRANSACTIONS = "SELECT b.invoice_id, b.purpose, b.chain, b.tx_hash, b.amount_units::text AS amount, b.token, b.status, b.created_at
        FROM unnest($1::text[]) AS wanted (id) CROSS JOIN LATERAL (SELECT * FROM blockchain_transactions
            WHERE invoice_id = wanted.id ORDER BY created_at, log_index LIMIT $2) b ORDER BY b.created_at, b.log_index";
    REQUEST_PAY = "UPDATE invoices SET pay_requested_at = COALESCE(pay_requested_at, now()) WHERE id = $1";
    CALL_OFF = "UPDATE invoices SET called_off_at = COALESCE(called_off_at, now()) WHERE id = $1";
}

/// The most transactions that an invoice is read with.
pub const MAX_TRANSACTIONS: usize = 200;

/// An invoice about to be issued. Its terms are complete: nothing is decided here.
#[derive(Clone)]
pub struct NewInvoice<'a> {
    /// Our id.
    pub id: &'a str,
    /// The tenant.
    pub tenant_id: &'a str,
    /// The tenant's own number, or `None` for the next of ours.
    pub number: Option<&'a str>,
    /// The issuing enterprise.
    pub issuer: &'a str,
    /// The customer, if known.
    pub customer_id: Option<&'a str>,
    /// Where the bill is sent.
    pub customer_email: Option<&'a str>,
    /// What was asked for.
    pub request: &'a CreateInvoice,
    /// Free text.
    pub description: Option<&'a str>,
    /// A word like `UTILITY`.
    pub category: Option<&'a str>,
    /// The displayed expiry.
    pub expires_at: OffsetDateTime,
    /// The pay link's token.
    pub pay_token: &'a str,
    /// The wallet's id.
    pub wallet_id: &'a str,
    /// The terms on each chain it can be paid on, at least one; Base first.
    pub rails: &'a [NewRail],
    /// The refund key, where the terms name one of ours.
    pub key: Option<&'a SealedKey>,
    /// The tenant's own data.
    pub metadata: Value,
}

/// A chain that a new invoice can be paid on.
#[derive(Clone, Debug)]
pub struct NewRail {
    /// The terms there.
    pub terms: Terms,
    /// The deposit address that follows from them.
    pub purse: Account,
}

/// The terms of an invoice on one chain, and what has moved there. Amounts are base units.
#[derive(Clone, Debug)]
pub struct TermsView {
    /// The terms.
    pub terms: Terms,
    /// Their hash.
    pub hash: B256,
    /// The deposit address.
    pub purse: Account,
    /// What the payee has from here.
    pub paid: u128,
    /// What came here.
    pub received: U256,
    /// What lies at the deposit address.
    pub balance: U256,
}

/// A movement of an invoice's money.
#[derive(Clone, Debug)]
pub struct TransactionView {
    /// deposit, foreign_deposit, settle, pay or refund.
    pub purpose: String,
    /// The chain's name.
    pub chain: String,
    /// `0x…`.
    pub tx_hash: String,
    /// Base units, in decimal digits: a hostile token may claim 2²⁵⁶ − 1.
    pub amount: String,
    /// `USDC`, or the address of a token that was not asked for.
    pub token: String,
    /// seen, safe or final.
    pub status: String,
    /// The block's time.
    pub created_at: OffsetDateTime,
}

/// An invoice with its wallet, terms and transactions, from one moment.
#[derive(Clone)]
#[allow(missing_docs)]
pub struct InvoiceView {
    pub id: String,
    pub tenant_id: String,
    pub number: String,
    pub issuer: String,
    pub issuer_name: String,
    pub customer_email: Option<String>,
    pub amount: u128,
    pub paid: u128,
    /// Base units, in decimal digits.
    pub received: String,
    pub currency: String,
    pub description: Option<String>,
    pub category: Option<String>,
    pub due_date: Option<Date>,
    pub status: InvoiceStatus,
    pub settlement: Settlement,
    pub settlement_tier: Option<String>,
    pub exceptions: Vec<String>,
    /// The chain it is paid on, as far as that is decided.
    pub picked: Option<u64>,
    pub expires_at: OffsetDateTime,
    pub paid_at: Option<OffsetDateTime>,
    pub transaction_id: Option<String>,
    pub pay_token: String,
    pub metadata: Value,
    pub sequence: i64,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
    /// Whether a transaction that pays it is signed and may be on its way, or an order to mint for it is out.
    pub settling: bool,
    /// Whether a customer's order stands for what lies at the address.
    pub ordered: bool,
    pub wallet: WalletView,
    pub terms: Vec<TermsView>,
    pub transactions: Vec<TransactionView>,
}

/// Without the pay link's token and the customer's data: neither is for a log.
impl std::fmt::Debug for NewInvoice<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewInvoice").field("id", &self.id).field("rails", &self.rails.len()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for InvoiceView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InvoiceView").field("id", &self.id).field("status", &self.status).finish_non_exhaustive()
    }
}

/// The wallet of an invoice.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct WalletView {
    pub id: String,
    pub mode: String,
    pub address: Option<String>,
    pub status: WalletStatus,
    /// Base units, in decimal digits.
    pub balance: String,
    pub currency: String,
    pub ttl_seconds: Option<i32>,
    pub created_at: OffsetDateTime,
    pub funded_at: Option<OffsetDateTime>,
    pub destruction_initiated_at: Option<OffsetDateTime>,
    pub destroyed_at: Option<OffsetDateTime>,
    pub destruction_method: Option<String>,
    pub destruction_reason: Option<String>,
    /// Whether we still have its refund key.
    pub has_key: bool,
}

/// Where a page of a list begins: behind the invoice that was created then and has this id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct After {
    /// When it was created, exact to the microsecond.
    pub created_at: OffsetDateTime,
    /// Its id.
    pub id: String,
}

/// Which invoices a list is narrowed to; what is `None` or empty narrows nothing.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// In one of these statuses.
    pub statuses: Vec<InvoiceStatus>,
    /// Created at or after.
    pub created_after: Option<OffsetDateTime>,
    /// Created before.
    pub created_before: Option<OffsetDateTime>,
    /// Sent to this address.
    pub customer_email: Option<String>,
    /// With this number.
    pub number: Option<String>,
    /// With a wallet in this status.
    pub wallet_status: Option<WalletStatus>,
    /// Of this category.
    pub category: Option<String>,
}

/// Stores an invoice with its terms, wallet, key and first events. The terms are in Postgres before anyone is shown an
/// address: they are the key to the money.
pub async fn create(db: &mut PgConnection, new: &NewInvoice<'_>) -> Result<(), Error> {
    let request = new.request;
    let first = first(new)?;
    let terms = &first.terms;
    let elsewhere = |wanted: fn(&Terms) -> bool| {
        let rail = new.rails.iter().skip(1).find(|rail| wanted(&rail.terms));
        rail.map(|rail| rail.purse.to_string())
    };
    let (solana, tempo) = (elsewhere(|terms| terms.solana().is_some()), elsewhere(|terms| terms.evm().is_some()));
    let number = match new.number {
        Some(number) if insert_invoice(db, new, number).await? => number.to_owned(),
        Some(number) => return Err(Error::DuplicateNumber(number.to_owned())),
        None => next_number(db, new).await?,
    };
    for rail in new.rails {
        insert_terms(db, new, rail).await?;
    }
    sqlx::query(INSERT_WALLET)
        .bind(new.tenant_id)
        .bind(new.id)
        .bind(new.customer_id)
        .bind(new.wallet_id)
        .bind(request.wallet_mode.as_str())
        .bind(first.purse.to_string())
        .bind(terms.amount().to_string())
        .bind(new.expires_at)
        .bind(i32::try_from(request.ttl_seconds).map_err(|_| corrupt("ttl"))?)
        .bind(serde_json::json!({"invoice_number": number, "issuer": new.issuer, "description": new.description}))
        .bind(new.tenant_id)
        .bind(&solana)
        .bind(&tempo)
        .execute(&mut *db)
        .await?;
    if let Some(key) = new.key {
        keys::put(db, new.tenant_id, new.wallet_id, key).await?;
    }
    let mut data = serde_json::json!({
        "invoice": new.id, "invoice_number": number, "address": first.purse.to_string(), "terms_hash": terms.hash().to_string(),
        "spending_limit_units": terms.amount().to_string(), "ttl_seconds": request.ttl_seconds,
    });
    for (name, address) in [("solana_address", solana), ("tempo_address", tempo)] {
        if let Some(address) = address {
            data[name] = address.into();
        }
    }
    sqlx::query(INSERT_CREATED).bind(new.tenant_id).bind(new.wallet_id).bind(&data).execute(&mut *db).await?;
    sqlx::query(INSERT_OUTBOX).bind(new.tenant_id).bind(new.id).bind(data).execute(db).await?;
    Ok(())
}

/// Inserts the invoice under the next of our numbers that the tenant has not taken for one of its own.
async fn next_number(db: &mut PgConnection, new: &NewInvoice<'_>) -> Result<String, Error> {
    loop {
        let number: String = sqlx::query(NEXT_NUMBER).fetch_one(&mut *db).await?.try_get(0)?;
        if insert_invoice(db, new, &number).await? {
            return Ok(number);
        }
    }
}

/// Whether the invoice was inserted; if not, the number is taken.
async fn insert_invoice(db: &mut PgConnection, new: &NewInvoice<'_>, number: &str) -> Result<bool, Error> {
    let (terms, request) = (&first(new)?.terms, new.request);
    // Where it can be paid on one chain only, it is paid on that one.
    let picked = match new.rails {
        [only] => Some(chain_id(only.terms.chain())),
        _ => None,
    };
    let inserted = sqlx::query(INSERT_INVOICE)
        .bind(new.id)
        .bind(new.tenant_id)
        .bind(number)
        .bind(terms.invoice_id().to_vec())
        .bind(new.issuer)
        .bind(new.customer_id)
        .bind(new.customer_email)
        .bind(terms.amount().to_string())
        .bind(request.currency.as_str())
        .bind(new.description)
        .bind(new.category)
        .bind(request.due_date)
        .bind(request.settlement.as_str())
        .bind(new.expires_at)
        .bind(big(terms.closes_at())?)
        .bind(i16::from(terms.flags()))
        .bind(new.pay_token)
        .bind(&new.metadata)
        .bind(picked)
        .execute(db)
        .await?;
    Ok(inserted.rows_affected() == 1)
}

/// The rail that stands for the invoice where there is room for one.
fn first<'a>(new: &NewInvoice<'a>) -> Result<&'a NewRail, Error> {
    new.rails.first().ok_or_else(|| corrupt("an invoice without terms"))
}

async fn insert_terms(db: &mut PgConnection, new: &NewInvoice<'_>, rail: &NewRail) -> Result<(), Error> {
    let terms = &rail.terms;
    sqlx::query(INSERT_TERMS)
        .bind(terms.hash().to_vec())
        .bind(new.id)
        .bind(new.tenant_id)
        .bind(chain_id(terms.chain()))
        .bind(i16::from(terms::VERSION))
        .bind(terms.invoice_id().to_vec())
        .bind(terms.payee().as_bytes().to_vec())
        .bind(terms.token().as_bytes().to_vec())
        .bind(terms.amount().to_string())
        .bind(big(terms.closes_at())?)
        .bind(terms.refund_to().as_bytes().to_vec())
        .bind(terms.refund_key().as_bytes().to_vec())
        .bind(terms.settler().as_bytes().to_vec())
        .bind(i16::from(terms.flags()))
        .bind(rail.purse.as_bytes())
        .bind(new.expires_at.unix_timestamp())
        .execute(db)
        .await?;
    Ok(())
}

/// The tenant's invoice with this id or number.
pub async fn by_id(db: &mut PgConnection, tenant_id: &str, id: &str) -> Result<Option<InvoiceView>, Error> {
    let row = sqlx::query(BY_ID).bind(tenant_id).bind(id).fetch_optional(&mut *db).await?;
    one(db, row).await
}

/// The tenant's invoice whose wallet has this id.
pub async fn by_wallet(db: &mut PgConnection, tenant_id: &str, wallet_id: &str) -> Result<Option<InvoiceView>, Error> {
    let row = sqlx::query(BY_WALLET).bind(tenant_id).bind(wallet_id).fetch_optional(&mut *db).await?;
    one(db, row).await
}

/// The invoice behind a pay link.
pub async fn by_pay_token(db: &mut PgConnection, token: &str) -> Result<Option<InvoiceView>, Error> {
    let row = sqlx::query(BY_TOKEN).bind(token).fetch_optional(&mut *db).await?;
    one(db, row).await
}

/// The tenant's invoices, newest first, at most `limit`.
pub async fn list(
    db: &mut PgConnection,
    tenant_id: &str,
    filter: &Filter,
    after: Option<&After>,
    limit: u32,
) -> Result<Vec<InvoiceView>, Error> {
    let statuses: Vec<&str> = filter.statuses.iter().map(|status| status.as_str()).collect();
    let rows = sqlx::query(LIST)
        .bind(tenant_id)
        .bind(after.map(|after| after.created_at))
        .bind(after.map(|after| after.id.as_str()))
        .bind((!statuses.is_empty()).then_some(statuses))
        .bind(filter.created_after)
        .bind(filter.created_before)
        .bind(&filter.customer_email)
        .bind(&filter.number)
        .bind(filter.wallet_status.map(WalletStatus::as_str))
        .bind(&filter.category)
        .bind(i64::from(limit))
        // Planned anew each time: the plan for no filter is none for one.
        .persistent(false)
        .fetch_all(&mut *db)
        .await?;
    views(db, rows).await
}

/// Notes that the issuer has called the invoice off. The caller refreshes the projection in the same transaction.
pub async fn call_off(db: &mut PgConnection, id: &str) -> Result<(), Error> {
    sqlx::query(CALL_OFF).bind(id).execute(db).await?;
    Ok(())
}

/// Notes that the customer wants the invoice paid. The caller refreshes the projection in the same transaction.
pub async fn request_pay(db: &mut PgConnection, id: &str) -> Result<(), Error> {
    sqlx::query(REQUEST_PAY).bind(id).execute(db).await?;
    Ok(())
}

async fn one(db: &mut PgConnection, row: Option<PgRow>) -> Result<Option<InvoiceView>, Error> {
    Ok(views(db, row.into_iter().collect()).await?.pop())
}

/// The invoices of these rows, each with its terms and transactions: three queries, however many they are.
async fn views(db: &mut PgConnection, rows: Vec<PgRow>) -> Result<Vec<InvoiceView>, Error> {
    let mut views = rows.iter().map(view).collect::<Result<Vec<_>, _>>()?;
    if views.is_empty() {
        return Ok(views);
    }
    let ids: Vec<String> = views.iter().map(|view| view.id.clone()).collect();
    let mut terms: BTreeMap<String, Vec<TermsView>> = BTreeMap::new();
    for row in sqlx::query(TERMS).bind(&ids).fetch_all(&mut *db).await? {
        terms.entry(row.try_get("invoice_id")?).or_default().push(terms_view(&row)?);
    }
    let most = i64::try_from(MAX_TRANSACTIONS).unwrap_or(i64::MAX);
    let mut transactions: BTreeMap<String, Vec<TransactionView>> = BTreeMap::new();
    for row in sqlx::query(TRANSACTIONS).bind(&ids).bind(most).fetch_all(db).await? {
        transactions.entry(row.try_get("invoice_id")?).or_default().push(TransactionView {
            purpose: row.try_get("purpose")?,
            chain: row.try_get("chain")?,
            tx_hash: row.try_get("tx_hash")?,
            amount: row.try_get("amount")?,
            token: row.try_get("token")?,
            status: row.try_get("status")?,
            created_at: row.try_get("created_at")?,
        });
    }
    for view in &mut views {
        view.terms = terms.remove(&view.id).unwrap_or_default();
        view.transactions = transactions.remove(&view.id).unwrap_or_default();
    }
    Ok(views)
}

fn view(row: &PgRow) -> Result<InvoiceView, Error> {
    Ok(InvoiceView {
        id: row.try_get("id")?,
        tenant_id: row.try_get("tenant_id")?,
        number: row.try_get("number")?,
        issuer: row.try_get("issuer")?,
        issuer_name: row.try_get("issuer_name")?,
        customer_email: row.try_get("customer_email")?,
        amount: row.u128("amount")?,
        paid: row.u128("paid")?,
        received: row.try_get("received")?,
        currency: row.try_get("currency")?,
        description: row.try_get("description")?,
        category: row.try_get("category")?,
        due_date: row.try_get("due_date")?,
        status: row.word("status")?,
        settlement: row.word("settlement")?,
        settlement_tier: row.try_get("settlement_tier")?,
        exceptions: row.try_get("exceptions")?,
        picked: row.try_get::<Option<i64>, _>("picked_chain")?.map(i64::cast_unsigned),
        expires_at: row.try_get("expires_at")?,
        paid_at: row.try_get("paid_at")?,
        transaction_id: row.try_get("transaction_id")?,
        pay_token: row.try_get("pay_token")?,
        metadata: row.try_get("metadata")?,
        sequence: row.try_get("sequence")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
        settling: row.try_get("settling")?,
        ordered: row.try_get("ordered")?,
        wallet: WalletView {
            id: row.try_get("wallet_id")?,
            mode: row.try_get("wallet_type")?,
            address: row.try_get("wallet_address")?,
            status: row.word("wallet_status")?,
            balance: row.try_get("balance")?,
            currency: row.try_get("wallet_currency")?,
            ttl_seconds: row.try_get("ttl_seconds")?,
            created_at: row.try_get("wallet_created_at")?,
            funded_at: row.try_get("funded_at")?,
            destruction_initiated_at: row.try_get("destruction_initiated_at")?,
            destroyed_at: row.try_get("destroyed_at")?,
            destruction_method: row.try_get("destruction_method")?,
            destruction_reason: row.try_get("destruction_reason")?,
            has_key: row.try_get("has_key")?,
        },
        terms: Vec::new(),
        transactions: Vec::new(),
    })
}

/// Terms as they were stored. Checked against their own hash: a row that was tampered with is corrupt, not a payment.
fn terms_view(row: &PgRow) -> Result<TermsView, Error> {
    let terms = terms_of(row)?;
    let hash = row.hash("terms_hash")?;
    if terms.hash() != hash {
        return Err(Error::Corrupt(format!("the terms stored under {hash} hash to {}", terms.hash())));
    }
    Ok(TermsView {
        terms,
        hash,
        purse: row.account("purse")?,
        paid: row.u128("paid")?,
        received: row.u256("received")?,
        balance: row.u256("balance")?,
    })
}

pub(crate) fn terms_of(row: &PgRow) -> Result<Terms, Error> {
    let byte = |column: &str| u8::try_from(row.try_get::<i16, _>(column)?).map_err(|_| corrupt(column));
    let (version, chain, invoice_id) = (byte("version")?, row.chain("chain_id")?, row.hash("invoice_key")?);
    let (closes_at, flags) = (row.u64("closes_at")?, byte("flags")?);
    if let Account::Evm(payee) = row.account("payee")? {
        return Ok(Terms::Evm(InvoiceTerms {
            version,
            chain,
            invoice_id,
            payee,
            token: row.address("token")?,
            amount: row.u128("amount")?,
            closes_at,
            refund_to: row.address("refund_to")?,
            refund_key: row.address("refund_key")?,
            settler: row.address("settler")?,
            flags,
        }));
    }
    let key = |column: &str| -> Result<Pubkey, Error> { row.account(column)?.solana().ok_or_else(|| corrupt(column)) };
    Ok(Terms::Solana(SolanaTerms {
        version,
        chain,
        invoice_id,
        payee: key("payee")?,
        token: key("token")?,
        amount: row.u128("amount")?.try_into().map_err(|_| corrupt("amount"))?,
        closes_at,
        refund_to: key("refund_to")?,
        refund_key: key("refund_key")?,
        settler: key("settler")?,
        flags,
    }))
}
