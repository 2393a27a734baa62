//! Withdrawals: tokens for money. `domain::withdrawal` decides what an event does; here it is done in one transaction, as for
//! receipts.

use crate::codec::{Columns, chain_id};
use crate::receipts::Applied;
use crate::{Error, PgConnection, ledger, reconciliation, statements};
use alloy_primitives::B256;
use alloy_primitives::hex::encode_prefixed;
use domain::money::Units;
use domain::steps::Refusal;
use domain::token_rail::TokenRail;
use domain::withdrawal::{Event, EventKind, Withdrawal, WithdrawalState};
use serde_json::json;
use sqlx::Row;
use terms::TxId;
use time::OffsetDateTime;
use uuid::Uuid;

statements! {
    ADD = "INSERT INTO withdrawals (tenant_id, user_id, enterprise_id, bank_link_id, bank_account_id, method, amount_units, destination,
        token_rail, chain_id, terms_hash, estimated_arrival)
        VALUES ($1, $2, $3, $4, $5, $6, $7::text::numeric, $8, $9, $10, $11, $12)
        ON CONFLICT (terms_hash) DO NOTHING RETURNING id";
    BY_TERMS = "SELECT id FROM withdrawals WHERE terms_hash = $1";
    IN_STATE = "SELECT id FROM withdrawals WHERE status = $1 ORDER BY created_at, id LIMIT $2";
    LOCK = "SELECT id FROM withdrawals WHERE id = $1 FOR UPDATE";
    GET = "SELECT id::text AS id, tenant_id, user_id, enterprise_id, bank_link_id, bank_account_id, method, amount_units::text AS amount,
        destination, token_rail, chain_id, terms_hash, burn_tx, status, unknown, attempts, provider, provider_ref, estimated_arrival,
        created_at FROM withdrawals WHERE id = $1";
    APPLIED = "SELECT kind, trace FROM withdrawal_events WHERE withdrawal_id = $1 ORDER BY number";
    SAVE = "UPDATE withdrawals SET status = $2, unknown = $3, burn_tx = COALESCE($4, burn_tx), provider = COALESCE($5, provider),
        provider_ref = CASE WHEN $5::text IS NULL THEN provider_ref ELSE $6 END,
        attempts = attempts + CASE WHEN $7 THEN 1 ELSE 0 END, updated_at = now() WHERE id = $1";
    REMEMBER = "INSERT INTO withdrawal_events (withdrawal_id, kind, trace, number, event, state) VALUES ($1, $2, $3, $4, $5, $6)";
    SET_UNKNOWN = "UPDATE withdrawals SET unknown = TRUE, updated_at = now() WHERE id = $1 AND status = 'payout_sent'";
    ADD_RESERVE = "INSERT INTO fiat_reserve (id, tenant_id, user_id, withdrawal_id, amount_units, status, source_type, source_reference,
        token_currency, blockchain) SELECT $1, tenant_id, user_id, id, -amount_units, 'pending',
        CASE method WHEN 'ACH' THEN 'ach' WHEN 'WIRE' THEN 'wire' ELSE 'card' END, id::text, 'USDC',
        (SELECT name FROM chains c WHERE c.chain_id = w.chain_id) FROM withdrawals w WHERE id = $1";
    PROJECT = "UPDATE fiat_reserve SET status = $2, transaction_hash = COALESCE($3, transaction_hash),
        released_at = CASE WHEN $2 = 'released' THEN COALESCE(released_at, now()) ELSE released_at END,
        withdrawn_at = CASE WHEN $2 = 'withdrawn' THEN now() ELSE withdrawn_at END WHERE withdrawal_id = $1";
    AUDIT = "INSERT INTO audit_log (tenant_id, user_id, action, amount_units, token_burn_id, fiat_withdrawal_id, details)
        SELECT tenant_id, COALESCE(user_id, enterprise_id), $2, amount_units, $3, COALESCE(provider_ref, id::text), $4
        FROM withdrawals WHERE id = $1";
}

/// How the bank is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// ACH credit.
    Ach,
    /// Wire.
    Wire,
    /// To a debit card.
    DebitCard,
}

impl Method {
    /// The specification's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ach => "ACH",
            Self::Wire => "WIRE",
            Self::DebitCard => "DEBIT_CARD",
        }
    }
}

/// Who withdraws.
#[derive(Clone, Copy, Debug)]
pub enum Who<'a> {
    /// A consumer.
    User(&'a str),
    /// An enterprise.
    Enterprise(&'a str),
}

/// A withdrawal to be.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct NewWithdrawal<'a> {
    pub tenant: &'a str,
    pub who: Who<'a>,
    /// Where it goes: a linked bank account or card.
    pub link: Uuid,
    /// Our bank account it is paid from.
    pub bank: &'a str,
    pub method: Method,
    /// Base units.
    pub amount: Units,
    /// What people are told of where it goes.
    pub destination: &'a str,
    pub rail: TokenRail,
    pub chain: u64,
    /// The redemption's terms.
    pub terms_hash: B256,
    pub estimated_arrival: Option<OffsetDateTime>,
}

/// A withdrawal as it is stored.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Stored {
    pub id: Uuid,
    pub tenant: String,
    pub user: Option<String>,
    pub enterprise: Option<String>,
    pub link: Uuid,
    pub method: String,
    pub destination: String,
    pub rail: TokenRail,
    pub chain: u64,
    pub terms_hash: B256,
    pub burn_tx: Option<TxId>,
    /// How often a bank payment was handed in.
    pub attempts: i32,
    pub provider: Option<String>,
    pub provider_ref: Option<String>,
    pub estimated_arrival: Option<OffsetDateTime>,
    pub created_at: OffsetDateTime,
    /// What decides.
    pub withdrawal: Withdrawal,
}

/// Writes a withdrawal down. With terms that are known, the one there is.
pub async fn create(db: &mut PgConnection, new: &NewWithdrawal<'_>) -> Result<Uuid, Error> {
    let (user, enterprise) = match new.who {
        Who::User(id) => (Some(id), None),
        Who::Enterprise(id) => (None, Some(id)),
    };
    let row = sqlx::query(ADD)
        .bind(new.tenant)
        .bind(user)
        .bind(enterprise)
        .bind(new.link)
        .bind(new.bank)
        .bind(new.method.as_str())
        .bind(new.amount.0.to_string())
        .bind(new.destination)
        .bind(new.rail.as_str())
        .bind(chain_id(new.chain))
        .bind(new.terms_hash.as_slice())
        .bind(new.estimated_arrival)
        .fetch_optional(&mut *db)
        .await?;
    let Some(row) = row else {
        return Ok(sqlx::query(BY_TERMS).bind(new.terms_hash.as_slice()).fetch_one(db).await?.try_get("id")?);
    };
    let id: Uuid = row.try_get("id")?;
    sqlx::query(ADD_RESERVE).bind(id).execute(db).await?;
    Ok(id)
}

/// The withdrawal whose redemption has these terms.
pub async fn by_terms(db: &mut PgConnection, terms_hash: B256) -> Result<Option<Uuid>, Error> {
    let row = sqlx::query(BY_TERMS).bind(terms_hash.as_slice()).fetch_optional(db).await?;
    Ok(row.map(|row| row.try_get("id")).transpose()?)
}

/// Withdrawals in a state, the oldest first.
pub async fn in_state(db: &mut PgConnection, state: WithdrawalState, limit: u32) -> Result<Vec<Uuid>, Error> {
    let rows = sqlx::query(IN_STATE).bind(state.as_str()).bind(i64::from(limit)).fetch_all(db).await?;
    rows.iter().map(|row| Ok(row.try_get("id")?)).collect()
}

/// A withdrawal; with `lock` its row is held until the transaction ends.
pub async fn get(db: &mut PgConnection, id: Uuid, lock: bool) -> Result<Stored, Error> {
    let missing = || Error::Missing(format!("there is no withdrawal {id}"));
    if lock {
        sqlx::query(LOCK).bind(id).fetch_optional(&mut *db).await?.ok_or_else(missing)?;
    }
    let row = sqlx::query(GET).bind(id).fetch_optional(&mut *db).await?.ok_or_else(missing)?;
    let mut applied = Vec::new();
    for row in sqlx::query(APPLIED).bind(id).fetch_all(db).await? {
        applied.push((row.word::<EventKind>("kind")?, row.try_get("trace")?));
    }
    let (rail, chain): (TokenRail, u64) = (row.word("token_rail")?, row.chain("chain_id")?);
    let burn_tx = match row.try_get::<Option<&[u8]>, _>("burn_tx")? {
        Some(_) => Some(row.tx("burn_tx")?),
        None => None,
    };
    let withdrawal = Withdrawal {
        id: row.try_get("id")?,
        bank: row.try_get("bank_account_id")?,
        token: format!("{rail}/{chain}"),
        amount: row.units("amount")?,
        state: row.word("status")?,
        unknown: row.try_get("unknown")?,
        applied,
    };
    Ok(Stored {
        id,
        tenant: row.try_get("tenant_id")?,
        user: row.try_get("user_id")?,
        enterprise: row.try_get("enterprise_id")?,
        link: row.try_get("bank_link_id")?,
        method: row.try_get("method")?,
        destination: row.try_get("destination")?,
        rail,
        chain,
        terms_hash: row.hash("terms_hash")?,
        burn_tx,
        attempts: row.try_get("attempts")?,
        provider: row.try_get("provider")?,
        provider_ref: row.try_get("provider_ref")?,
        estimated_arrival: row.try_get("estimated_arrival")?,
        created_at: row.try_get("created_at")?,
        withdrawal,
    })
}

/// Nobody knows whether the bank has the payment. It is asked for until somebody knows, and never sent again before.
pub async fn set_unknown(db: &mut PgConnection, id: Uuid) -> Result<(), Error> {
    sqlx::query(SET_UNKNOWN).bind(id).execute(db).await?;
    Ok(())
}

/// What goes with an event.
#[derive(Clone, Copy, Debug, Default)]
pub struct Source<'a> {
    /// The final transaction that burned.
    pub burn: Option<&'a TxId>,
    /// Who pays, and what he calls it.
    pub payout: Option<(&'a str, Option<&'a str>)>,
    /// The person who decided.
    pub actor: Option<&'a str>,
}

/// Applies an event in the caller's transaction. To send a payment is ours to decide, and an error where it cannot be.
pub async fn apply(db: &mut PgConnection, id: Uuid, event: &Event, source: Source<'_>) -> Result<Applied, Error> {
    let stored = get(db, id, true).await?;
    let step = match stored.withdrawal.take(event) {
        Ok(step) => step,
        Err(Refusal::Already) => return Ok(Applied::Already),
        Err(refusal) if event.kind() == EventKind::PayoutSent => return Err(refusal.into()),
        Err(refusal) if refusal.may_come_later() => return Ok(Applied::Waits),
        Err(refusal) => {
            let known = &stored.withdrawal;
            let subject = format!("withdrawal/{id}/{}/{}", event.kind(), event.trace());
            let ours = json!({ "state": known.state, "amount": known.amount });
            let theirs = json!({ "event": event, "why": refusal.to_string() });
            reconciliation::open_case(db, "contradiction", &subject, None, None, &ours, &theirs).await?;
            return Ok(Applied::Refused(refusal));
        }
    };
    let known = &step.withdrawal;
    let (provider, reference) = source.payout.map_or((None, None), |(who, what)| (Some(who), what));
    sqlx::query(SAVE)
        .bind(id)
        .bind(known.state.as_str())
        .bind(known.unknown)
        .bind(source.burn.map(TxId::as_bytes))
        .bind(provider)
        .bind(reference)
        .bind(event.kind() == EventKind::PayoutSent)
        .execute(&mut *db)
        .await?;
    let number =
        i32::try_from(stored.withdrawal.applied.len()).map_err(|_| Error::Corrupt("too many events".to_owned()))?;
    let body = serde_json::to_value(event).map_err(|error| Error::Corrupt(format!("event: {error}")))?;
    sqlx::query(REMEMBER)
        .bind(id)
        .bind(event.kind().as_str())
        .bind(event.trace())
        .bind(number)
        .bind(&body)
        .bind(known.state.as_str())
        .execute(&mut *db)
        .await?;
    let burn = source.burn.map(ToString::to_string);
    sqlx::query(PROJECT).bind(id).bind(status(known.state)).bind(&burn).execute(&mut *db).await?;
    let action = match event.kind() {
        EventKind::PayoutDone => "OFF_RAMP".to_owned(),
        kind => format!("WITHDRAWAL_{}", kind.as_str().to_uppercase()),
    };
    let burn_id =
        known.applied.iter().any(|(kind, _)| *kind == EventKind::Burned).then(|| encode_prefixed(stored.terms_hash));
    let details = json!({ "withdrawal": id, "event": body, "state": known.state, "by": source.actor });
    sqlx::query(AUDIT).bind(id).bind(action).bind(burn_id).bind(details).execute(&mut *db).await?;
    ledger::book_all(db, &step.entries).await?;
    Ok(Applied::Yes { waited: 0 })
}

/// What the specification's `fiat_reserve.status` says of a withdrawal.
const fn status(state: WithdrawalState) -> &'static str {
    match state {
        WithdrawalState::Requested | WithdrawalState::Locked => "pending",
        WithdrawalState::Burned | WithdrawalState::PayoutSent | WithdrawalState::PayoutReturned => "released",
        WithdrawalState::Completed => "withdrawn",
        WithdrawalState::Expired => "failed",
    }
}
