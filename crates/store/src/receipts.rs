//! Receipts: money customers pay in. `domain::receipt` decides what an event does; here it is done in one transaction: the
//! receipt's row locked, the event remembered, the entries booked, `fiat_reserve` and the audit log brought up to date.
//!
//! What a provider tells us is stored first, as it is, once ([`record`]), and applied afterwards ([`apply`]): a service that is killed in
//! between finds it again ([`unapplied`]). What is too early waits, and is offered again after each event of its receipt that
//! was not.

use crate::codec::Columns;
use crate::{Error, PgConnection, ledger, reconciliation, statements};
use alloy_primitives::B256;
use alloy_primitives::hex::encode_prefixed;
use domain::money::Units;
use domain::receipt::{Event, EventKind, FiatRail, Receipt, ReceiptState, RiskTier, Taking};
use domain::steps::Refusal;
use serde_json::{Value, json};
use sqlx::Row;
use sqlx::postgres::PgRow;
use time::OffsetDateTime;
use uuid::Uuid;

statements! {
    ADD = "INSERT INTO fiat_receipts (tenant_id, user_id, invoice_id, deposit_id, rail, risk, provider, request_id, bank_account_id,
        bank_link_id, principal_units, fee_units)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::text::numeric, $12::text::numeric)
        ON CONFLICT (provider, request_id) DO NOTHING RETURNING id";
    BY_REQUEST = "SELECT id FROM fiat_receipts WHERE provider = $1 AND request_id = $2";
    BY_PROVIDER_REF = "SELECT id FROM fiat_receipts WHERE provider = $1 AND provider_ref = $2";
    BY_DEPOSIT = "SELECT id FROM fiat_receipts WHERE deposit_id = $1";
    OF_INVOICE = "SELECT id FROM fiat_receipts WHERE invoice_id = $1 ORDER BY created_at, id";
    OPEN = "SELECT id FROM fiat_receipts WHERE state = $1 AND ($2::timestamptz IS NULL OR hold_until <= $2)
        ORDER BY created_at, id LIMIT $3";
    ADD_RESERVE = "INSERT INTO fiat_reserve (id, tenant_id, user_id, receipt_id, amount_units, status, source_type, source_reference,
        token_currency) VALUES ($1, $2, $3, $1, $4::text::numeric, 'pending', $5, $6, 'USDC')";
    LOCK = "SELECT id FROM fiat_receipts WHERE id = $1 FOR UPDATE";
    GET = "SELECT r.id::text AS id, r.tenant_id, r.user_id, r.invoice_id, r.deposit_id, r.rail, r.risk, r.provider, r.request_id,
        r.provider_ref, r.bank_account_id, r.principal_units::text AS principal, r.fee_units::text AS fee, r.state, r.unknown, r.booked,
        r.settled, r.hold_until, r.held_units::text AS held, r.mintable_units::text AS mintable, r.minted_units::text AS minted,
        r.floated_units::text AS floated, r.cash_units::text AS cash, r.cover_units::text AS cover,
        r.deficit_units::text AS deficit, r.created_at FROM fiat_receipts r WHERE r.id = $1";
    TAKINGS = "SELECT kind, trace, state, amount_units::text AS amount, held_units::text AS held, fee_units::text AS fee,
        owed_units::text AS owed FROM fiat_takings WHERE receipt_id = $1 ORDER BY number";
    APPLIED = "SELECT kind, trace FROM receipt_events WHERE receipt_id = $1 ORDER BY number";
    SAVE = "UPDATE fiat_receipts SET state = $2, unknown = $3, booked = $4, settled = $5, principal_units = $6::text::numeric,
        held_units = $7::text::numeric, mintable_units = $8::text::numeric, minted_units = $9::text::numeric,
        floated_units = $10::text::numeric, cash_units = $11::text::numeric, cover_units = $12::text::numeric,
        deficit_units = $13::text::numeric, updated_at = now() WHERE id = $1";
    SAVE_TAKING = "INSERT INTO fiat_takings (receipt_id, number, kind, trace, state, amount_units, held_units, fee_units, owed_units)
        VALUES ($1, $2, $3, $4, $5, $6::text::numeric, $7::text::numeric, $8::text::numeric, $9::text::numeric)
        ON CONFLICT (receipt_id, kind, trace) DO UPDATE SET state = EXCLUDED.state, held_units = EXCLUDED.held_units,
        fee_units = EXCLUDED.fee_units, owed_units = EXCLUDED.owed_units, updated_at = now()";
    REMEMBER = "INSERT INTO receipt_events (receipt_id, kind, trace, number, event, state, fiat_event_id)
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    PROJECT = "UPDATE fiat_reserve SET status = $2, amount_units = $3::text::numeric, token_units = $4::text::numeric,
        deposit_id = COALESCE($5, deposit_id), token_mint_id = COALESCE($6, token_mint_id), blockchain = COALESCE($7, blockchain),
        transaction_hash = COALESCE($8, transaction_hash),
        confirmed_at = CASE WHEN $2 = 'confirmed' THEN COALESCE(confirmed_at, now()) ELSE confirmed_at END WHERE receipt_id = $1";
    AUDIT = "INSERT INTO audit_log (tenant_id, user_id, action, amount_units, fiat_deposit_id, token_mint_id, details)
        VALUES ($1, $2, $3, $4::text::numeric, $5, $6, $7)";
    CREDIT = "INSERT INTO customer_credits (tenant_id, customer_id, enterprise_id, amount_units, source_invoice_id, receipt_id, trace)
        SELECT r.tenant_id, r.user_id, i.issuer, $2::text::numeric, r.invoice_id, r.id, $3 FROM fiat_receipts r
        LEFT JOIN invoices i ON i.id = r.invoice_id WHERE r.id = $1 AND r.user_id IS NOT NULL";
    SET_PROVIDER_REF = "UPDATE fiat_receipts SET provider_ref = $2, updated_at = now()
        WHERE id = $1 AND (provider_ref IS NULL OR provider_ref = $2)";
    SET_UNKNOWN = "UPDATE fiat_receipts SET unknown = TRUE, updated_at = now() WHERE id = $1 AND state = 'submitted'";
    SET_HOLD = "UPDATE fiat_receipts SET hold_until = $2, updated_at = now() WHERE id = $1";
    RECORD = "INSERT INTO fiat_events (provider, external_id, channel, body) VALUES ($1, $2, $3, $4)
        ON CONFLICT (provider, external_id) DO NOTHING RETURNING id";
    RECORDED = "SELECT id, body, state FROM fiat_events WHERE provider = $1 AND external_id = $2";
    UNAPPLIED = "SELECT id, provider, external_id, channel, body FROM fiat_events WHERE state = 'received' ORDER BY id LIMIT $1";
    EVENT_STATE = "SELECT state FROM fiat_events WHERE id = $1 FOR UPDATE";
    MARK = "UPDATE fiat_events SET state = $2, receipt_id = $3, meaning = $4, reason = $5 WHERE id = $1";
    WAITING = "SELECT id, meaning FROM fiat_events WHERE receipt_id = $1 AND state = 'waiting' ORDER BY id";
    // The largest sums at stake, oldest first: what a hold policy counts.
    EXPOSURE = "SELECT COALESCE(sum(cover_units), 0)::text AS cover, COALESCE(sum(deficit_units), 0)::text AS deficit
        FROM fiat_receipts WHERE cover_units > 0 OR deficit_units > 0";
}

/// A receipt to be.
#[derive(Clone, Debug)]
pub struct NewReceipt<'a> {
    /// The tenant.
    pub tenant: &'a str,
    /// The customer, if we know him.
    pub user: Option<&'a str>,
    /// What it pays.
    pub invoice: Option<&'a str>,
    /// What its mint is named by on chain: 32 random bytes, drawn by the caller, once.
    pub deposit: B256,
    /// How the money comes.
    pub rail: FiatRail,
    /// How likely it is taken back.
    pub risk: RiskTier,
    /// Who collects it.
    pub provider: &'a str,
    /// Our number of it at the provider.
    pub request: &'a str,
    /// Our bank account it ends up at.
    pub bank: &'a str,
    /// The customer's linked bank account or card.
    pub link: Option<Uuid>,
    /// What is for the invoice, base units.
    pub principal: Units,
    /// What the customer pays us on top, base units.
    pub fee: Units,
}

/// A receipt as it is stored.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Stored {
    pub id: Uuid,
    pub tenant: String,
    pub user: Option<String>,
    pub invoice: Option<String>,
    pub deposit: B256,
    pub risk: RiskTier,
    pub request: String,
    pub provider_ref: Option<String>,
    pub hold_until: Option<OffsetDateTime>,
    pub created_at: OffsetDateTime,
    /// What decides.
    pub receipt: Receipt,
}

/// Writes a receipt down, before anything is sent. With a provider and number that are known, the one there is.
pub async fn create(db: &mut PgConnection, new: &NewReceipt<'_>) -> Result<Uuid, Error> {
    let row = sqlx::query(ADD)
        .bind(new.tenant)
        .bind(new.user)
        .bind(new.invoice)
        .bind(new.deposit.as_slice())
        .bind(new.rail.as_str())
        .bind(new.risk.as_str())
        .bind(new.provider)
        .bind(new.request)
        .bind(new.bank)
        .bind(new.link)
        .bind(new.principal.0.to_string())
        .bind(new.fee.0.to_string())
        .fetch_optional(&mut *db)
        .await?;
    let Some(row) = row else {
        return Ok(sqlx::query(BY_REQUEST).bind(new.provider).bind(new.request).fetch_one(db).await?.try_get("id")?);
    };
    let id: Uuid = row.try_get("id")?;
    // The specification has three sources; an instant credit is a wire to it.
    let source = if new.rail == FiatRail::Rtp { FiatRail::Wire } else { new.rail };
    sqlx::query(ADD_RESERVE)
        .bind(id)
        .bind(new.tenant)
        .bind(new.user)
        .bind(new.principal.0.to_string())
        .bind(source.as_str())
        .bind(new.request)
        .execute(db)
        .await?;
    Ok(id)
}

/// A receipt; with `lock` its row is held until the transaction ends.
pub async fn get(db: &mut PgConnection, id: Uuid, lock: bool) -> Result<Stored, Error> {
    let missing = || Error::Missing(format!("there is no receipt {id}"));
    if lock {
        sqlx::query(LOCK).bind(id).fetch_optional(&mut *db).await?.ok_or_else(missing)?;
    }
    let row = sqlx::query(GET).bind(id).fetch_optional(&mut *db).await?.ok_or_else(missing)?;
    let mut takings = Vec::new();
    for row in sqlx::query(TAKINGS).bind(id).fetch_all(&mut *db).await? {
        takings.push(Taking {
            kind: row.word("kind")?,
            trace: row.try_get("trace")?,
            state: row.word("state")?,
            amount: row.units("amount")?,
            held: row.units("held")?,
            fee: row.units("fee")?,
            owed: row.units("owed")?,
        });
    }
    let mut applied = Vec::new();
    for row in sqlx::query(APPLIED).bind(id).fetch_all(db).await? {
        applied.push((row.word::<EventKind>("kind")?, row.try_get("trace")?));
    }
    let user: Option<String> = row.try_get("user_id")?;
    let receipt = Receipt {
        id: row.try_get("id")?,
        rail: row.word("rail")?,
        provider: row.try_get("provider")?,
        bank: row.try_get("bank_account_id")?,
        // Whom nobody knows owes by what he paid.
        customer: user.clone().unwrap_or_else(|| format!("receipt/{id}")),
        principal: row.units("principal")?,
        fee: row.units("fee")?,
        state: row.word("state")?,
        unknown: row.try_get("unknown")?,
        booked: row.try_get("booked")?,
        settled: row.try_get("settled")?,
        held: row.units("held")?,
        mintable: row.units("mintable")?,
        minted: row.units("minted")?,
        floated: row.units("floated")?,
        cash: row.units("cash")?,
        cover: row.units("cover")?,
        deficit: row.units("deficit")?,
        takings,
        applied,
    };
    Ok(Stored {
        id,
        tenant: row.try_get("tenant_id")?,
        user,
        invoice: row.try_get("invoice_id")?,
        deposit: row.hash("deposit_id")?,
        risk: row.word("risk")?,
        request: row.try_get("request_id")?,
        provider_ref: row.try_get("provider_ref")?,
        hold_until: row.try_get("hold_until")?,
        created_at: row.try_get("created_at")?,
        receipt,
    })
}

async fn one(
    query: sqlx::query::Query<'_, sqlx::Postgres, sqlx::postgres::PgArguments>,
    db: &mut PgConnection,
) -> Result<Option<Uuid>, Error> {
    Ok(query.fetch_optional(db).await?.map(|row| row.try_get("id")).transpose()?)
}

/// The receipt with this number of ours at a provider.
pub async fn by_request(db: &mut PgConnection, provider: &str, request: &str) -> Result<Option<Uuid>, Error> {
    one(sqlx::query(BY_REQUEST).bind(provider).bind(request), db).await
}

/// The receipt the provider calls so.
pub async fn by_provider_ref(db: &mut PgConnection, provider: &str, reference: &str) -> Result<Option<Uuid>, Error> {
    one(sqlx::query(BY_PROVIDER_REF).bind(provider).bind(reference), db).await
}

/// The receipt whose mint is named so on chain.
pub async fn by_deposit(db: &mut PgConnection, deposit: B256) -> Result<Option<Uuid>, Error> {
    one(sqlx::query(BY_DEPOSIT).bind(deposit.as_slice()), db).await
}

/// All receipts of an invoice, the oldest first.
pub async fn of_invoice(db: &mut PgConnection, invoice: &str) -> Result<Vec<Uuid>, Error> {
    ids(sqlx::query(OF_INVOICE).bind(invoice).fetch_all(db).await?)
}

/// Receipts in a state, the oldest first; with `due` those whose hold ends by then.
pub async fn in_state(
    db: &mut PgConnection,
    state: ReceiptState,
    due: Option<OffsetDateTime>,
    limit: u32,
) -> Result<Vec<Uuid>, Error> {
    ids(sqlx::query(OPEN).bind(state.as_str()).bind(due).bind(i64::from(limit)).fetch_all(db).await?)
}

fn ids(rows: Vec<PgRow>) -> Result<Vec<Uuid>, Error> {
    rows.iter().map(|row| Ok(row.try_get("id")?)).collect()
}

/// What the provider calls it. Said once: another name is refused.
pub async fn set_provider_ref(db: &mut PgConnection, id: Uuid, reference: &str) -> Result<(), Error> {
    match sqlx::query(SET_PROVIDER_REF).bind(id).bind(reference).execute(db).await?.rows_affected() {
        1 => Ok(()),
        _ => Err(Error::Missing(format!("receipt {id} is not there, or the provider has called it otherwise before"))),
    }
}

/// Nobody knows whether the provider has it. Never a failure: it is asked for until somebody knows.
pub async fn set_unknown(db: &mut PgConnection, id: Uuid) -> Result<(), Error> {
    sqlx::query(SET_UNKNOWN).bind(id).execute(db).await?;
    Ok(())
}

/// Until when it is held.
pub async fn set_hold(db: &mut PgConnection, id: Uuid, until: OffsetDateTime) -> Result<(), Error> {
    sqlx::query(SET_HOLD).bind(id).bind(until).execute(db).await?;
    Ok(())
}

/// Own capital that stands in for receipts at present, and what the reserve lacks for them.
pub async fn exposure(db: &mut PgConnection) -> Result<(Units, Units), Error> {
    let row = sqlx::query(EXPOSURE).fetch_one(db).await?;
    Ok((row.units("cover")?, row.units("deficit")?))
}

/// What was told.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Our number of it.
    pub id: i64,
    /// Whether it was not known before.
    pub news: bool,
    /// Whether it is, word for word, what is stored. If not, the provider tells two things under one name: for a person.
    pub same: bool,
}

/// Stores what a provider or bank has told us, as it is, before anything is made of it. `body` holds no secrets and no card
/// numbers: that is the client's duty.
pub async fn record(
    db: &mut PgConnection,
    provider: &str,
    external_id: &str,
    channel: &str,
    body: &Value,
) -> Result<Recorded, Error> {
    let query = sqlx::query(RECORD).bind(provider).bind(external_id).bind(channel).bind(body);
    if let Some(row) = query.fetch_optional(&mut *db).await? {
        return Ok(Recorded { id: row.try_get("id")?, news: true, same: true });
    }
    let row = sqlx::query(RECORDED).bind(provider).bind(external_id).fetch_one(db).await?;
    Ok(Recorded { id: row.try_get("id")?, news: false, same: row.try_get::<Value, _>("body")? == *body })
}

/// Something told and not looked at.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Unapplied {
    pub id: i64,
    pub provider: String,
    pub external_id: String,
    pub channel: String,
    pub body: Value,
}

/// What was told and nothing was made of yet, the oldest first.
pub async fn unapplied(db: &mut PgConnection, limit: u32) -> Result<Vec<Unapplied>, Error> {
    let rows = sqlx::query(UNAPPLIED).bind(i64::from(limit)).fetch_all(db).await?;
    rows.iter()
        .map(|row| {
            Ok(Unapplied {
                id: row.try_get("id")?,
                provider: row.try_get("provider")?,
                external_id: row.try_get("external_id")?,
                channel: row.try_get("channel")?,
                body: row.try_get("body")?,
            })
        })
        .collect()
}

/// Marks what says nothing about money (`irrelevant`), or about no receipt (`suspense`).
pub async fn set_aside(db: &mut PgConnection, fiat_event: i64, state: &str, reason: &str) -> Result<(), Error> {
    mark(db, fiat_event, state, None, None, Some(reason)).await
}

async fn mark(
    db: &mut PgConnection,
    fiat_event: i64,
    state: &str,
    receipt: Option<Uuid>,
    meaning: Option<&Event>,
    reason: Option<&str>,
) -> Result<(), Error> {
    let known: String = sqlx::query(EVENT_STATE).bind(fiat_event).fetch_one(&mut *db).await?.try_get("state")?;
    if known == "applied" {
        return Ok(());
    }
    let meaning = meaning.map(body).transpose()?;
    let query = sqlx::query(MARK).bind(fiat_event).bind(state).bind(receipt).bind(meaning).bind(reason);
    query.execute(db).await?;
    Ok(())
}

fn body(event: &Event) -> Result<Value, Error> {
    serde_json::to_value(event).map_err(|error| Error::Corrupt(format!("event: {error}")))
}

/// Where an event comes from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Source<'a> {
    /// What a provider or bank has told us.
    pub fiat_event: Option<i64>,
    /// The chain and transaction of a mint.
    pub mint: Option<(&'a str, &'a str)>,
    /// The person who decided.
    pub actor: Option<&'a str>,
}

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It was applied; and so many that had waited for it.
    Yes {
        /// How many.
        waited: usize,
    },
    /// It was before.
    Already,
    /// It is too early. What a provider has told waits here; what a chain has shown is offered again by who reads the chain.
    Waits,
    /// It contradicts what is known: a case is open for a person.
    Refused(Refusal),
}

/// Applies an event in the caller's transaction. A decision of ours that cannot be is an error, and the transaction is to be
/// given up; a fact that cannot be is kept.
pub async fn apply(db: &mut PgConnection, id: Uuid, event: &Event, source: Source<'_>) -> Result<Applied, Error> {
    let mut stored = get(db, id, true).await?;
    match stored.receipt.take(event) {
        Ok(step) => {
            write(db, &mut stored, step, event, source).await?;
            let waited = offer_again(db, &mut stored).await?;
            Ok(Applied::Yes { waited })
        }
        Err(Refusal::Already) => {
            if let Some(fiat_event) = source.fiat_event {
                mark(db, fiat_event, "duplicate", Some(id), Some(event), None).await?;
            }
            Ok(Applied::Already)
        }
        Err(refusal) if !event.is_fact() => Err(refusal.into()),
        Err(refusal) if refusal.may_come_later() => {
            if let Some(fiat_event) = source.fiat_event {
                mark(db, fiat_event, "waiting", Some(id), Some(event), Some(&refusal.to_string())).await?;
            }
            Ok(Applied::Waits)
        }
        Err(refusal) => {
            refuse(db, &stored, event, source.fiat_event, &refusal).await?;
            Ok(Applied::Refused(refusal))
        }
    }
}

async fn refuse(
    db: &mut PgConnection,
    stored: &Stored,
    event: &Event,
    fiat_event: Option<i64>,
    refusal: &Refusal,
) -> Result<(), Error> {
    if let Some(fiat_event) = fiat_event {
        mark(db, fiat_event, "refused", Some(stored.id), Some(event), Some(&refusal.to_string())).await?;
    }
    let receipt = &stored.receipt;
    let ours = json!({
        "state": receipt.state, "principal": receipt.principal, "fee": receipt.fee, "taken": receipt.taken(),
        "minted": receipt.minted, "floated": receipt.floated,
    });
    let theirs = json!({ "event": body(event)?, "why": refusal.to_string() });
    let subject = format!("receipt/{}/{}/{}", stored.id, event.kind(), event.trace());
    reconciliation::open_case(db, "contradiction", &subject, None, fiat_event, &ours, &theirs).await?;
    Ok(())
}

/// Offers what has waited, until nothing of it is applied any more.
async fn offer_again(db: &mut PgConnection, stored: &mut Stored) -> Result<usize, Error> {
    let mut applied = 0;
    'again: loop {
        for row in sqlx::query(WAITING).bind(stored.id).fetch_all(&mut *db).await? {
            let fiat_event: i64 = row.try_get("id")?;
            let event: Event = serde_json::from_value(row.try_get("meaning")?)
                .map_err(|error| Error::Corrupt(format!("fiat_events.meaning of {fiat_event}: {error}")))?;
            let source = Source { fiat_event: Some(fiat_event), ..Source::default() };
            match stored.receipt.take(&event) {
                Ok(step) => {
                    write(db, stored, step, &event, source).await?;
                    applied += 1;
                    continue 'again;
                }
                Err(Refusal::Already) => mark(db, fiat_event, "duplicate", Some(stored.id), Some(&event), None).await?,
                Err(refusal) if refusal.may_come_later() => {}
                Err(refusal) => refuse(db, stored, &event, Some(fiat_event), &refusal).await?,
            }
        }
        return Ok(applied);
    }
}

async fn write(
    db: &mut PgConnection,
    stored: &mut Stored,
    step: domain::receipt::Step,
    event: &Event,
    source: Source<'_>,
) -> Result<(), Error> {
    let before = std::mem::replace(&mut stored.receipt, step.receipt);
    let (id, receipt) = (stored.id, &stored.receipt);
    sqlx::query(SAVE)
        .bind(id)
        .bind(receipt.state.as_str())
        .bind(receipt.unknown)
        .bind(receipt.booked)
        .bind(receipt.settled)
        .bind(receipt.principal.0.to_string())
        .bind(receipt.held.0.to_string())
        .bind(receipt.mintable.0.to_string())
        .bind(receipt.minted.0.to_string())
        .bind(receipt.floated.0.to_string())
        .bind(receipt.cash.0.to_string())
        .bind(receipt.cover.0.to_string())
        .bind(receipt.deficit.0.to_string())
        .execute(&mut *db)
        .await?;
    for (number, taking) in (0_i32..).zip(&receipt.takings) {
        if before.takings.contains(taking) {
            continue;
        }
        sqlx::query(SAVE_TAKING)
            .bind(id)
            .bind(number)
            .bind(taking.kind.as_str())
            .bind(&taking.trace)
            .bind(taking.state.as_str())
            .bind(taking.amount.0.to_string())
            .bind(taking.held.0.to_string())
            .bind(taking.fee.0.to_string())
            .bind(taking.owed.0.to_string())
            .execute(&mut *db)
            .await?;
    }
    let number = i32::try_from(before.applied.len()).map_err(|_| Error::Corrupt("too many events".to_owned()))?;
    sqlx::query(REMEMBER)
        .bind(id)
        .bind(event.kind().as_str())
        .bind(event.trace())
        .bind(number)
        .bind(body(event)?)
        .bind(receipt.state.as_str())
        .bind(source.fiat_event)
        .execute(&mut *db)
        .await?;
    if let Event::GivenBack { trace } = event {
        let amount = before.held.0.saturating_add(before.mintable.0);
        sqlx::query(CREDIT).bind(id).bind(amount.to_string()).bind(trace).execute(&mut *db).await?;
    }
    project(db, stored, event, source).await?;
    if let Some(fiat_event) = source.fiat_event {
        mark(db, fiat_event, "applied", Some(id), Some(event), None).await?;
    }
    // Last: the locks of the accounts are those others wait for.
    ledger::book_all(db, &step.entries).await?;
    Ok(())
}

/// What the specification's `fiat_reserve.status` says of a receipt.
const fn status(state: ReceiptState) -> &'static str {
    match state {
        ReceiptState::Initiated | ReceiptState::Submitted | ReceiptState::Settled | ReceiptState::Held => "pending",
        ReceiptState::Cleared | ReceiptState::Minted => "confirmed",
        ReceiptState::Declined | ReceiptState::Returned | ReceiptState::ChargedBack => "failed",
    }
}

async fn project(db: &mut PgConnection, stored: &Stored, event: &Event, source: Source<'_>) -> Result<(), Error> {
    let receipt = &stored.receipt;
    let out = receipt.minted.0.saturating_add(receipt.floated.0);
    let mint = (out > 0).then(|| encode_prefixed(stored.deposit));
    let deposit = stored.provider_ref.as_deref().unwrap_or(&stored.request);
    sqlx::query(PROJECT)
        .bind(stored.id)
        .bind(status(receipt.state))
        .bind(receipt.principal.0.to_string())
        .bind((out > 0).then(|| out.to_string()))
        .bind(deposit)
        .bind(&mint)
        .bind(source.mint.map(|(chain, _)| chain))
        .bind(source.mint.map(|(_, tx)| tx))
        .execute(&mut *db)
        .await?;
    let action = match event {
        Event::Minted { .. } | Event::FloatPaid { .. } => "WALLET_TOP_OFF".to_owned(),
        _ => format!("FIAT_{}", event.kind().as_str().to_uppercase()),
    };
    let details = json!({ "receipt": stored.id, "event": body(event)?, "state": receipt.state, "by": source.actor });
    sqlx::query(AUDIT)
        .bind(&stored.tenant)
        .bind(&stored.user)
        .bind(action)
        .bind(receipt.principal.0.to_string())
        .bind(deposit)
        .bind(&mint)
        .bind(details)
        .execute(db)
        .await?;
    Ok(())
}
