//! `GET /api/invoices/{id}/timeline`: everything that has happened to an invoice, in one list for people. What moved on a
//! chain has its block's time, everything else the wall clock's.

use crate::auth::Key;
use crate::invoices::{self, Segment};
use crate::problem::Problem;
use crate::reply::{self, AsOf, Reply};
use crate::view::{Found, whole};
use crate::{App, document};
use axum::extract::State;
use axum::http::StatusCode;
use domain::intent::{AttemptState, IntentKind, IntentState};
use serde::Serialize;
use std::sync::Arc;
use store::events::{Authorized, Decided, History, Lifecycle, MAX_HISTORY, Ordered, Tried};
use store::invoices::{MAX_TRANSACTIONS, TransactionView};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// What has happened.
#[derive(Serialize, ToSchema)]
struct Timeline {
    /// The invoice.
    invoice_id: String,
    /// Its number.
    number: String,
    /// What has happened, the oldest first.
    data: Vec<Entry>,
    /// Whether this is everything; of each kind only so much is told.
    complete: bool,
    /// Up to which moment each of its chains is known.
    as_of: Vec<AsOf>,
}

/// One thing that has happened.
#[derive(Serialize, ToSchema)]
#[schema(as = TimelineEntry)]
struct Entry {
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    /// `word` (what somebody asked for), `lifecycle` (the wallet's steps), `movement` (on a chain) or `keeper` (what we
    /// set out to do).
    #[schema(value_type = document::Happening)]
    kind: &'static str,
    /// What, in a word.
    event: String,
    /// What, in a sentence.
    sentence: String,
    /// The chain, where it was on one.
    #[serde(skip_serializing_if = "Option::is_none")]
    chain: Option<String>,
    /// The transaction, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction: Option<String>,
    /// How sure the chain is of it: seen, safe or final.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<document::Tier>)]
    tier: Option<String>,
    /// What the keeper has to do with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    intent: Option<Intent>,
}

/// Something the keeper is to do.
#[derive(Serialize, ToSchema)]
struct Intent {
    /// Its id.
    id: String,
    /// What it wants: settle, cancel, refund, refund_by_order or fund.
    #[schema(value_type = document::IntentKind)]
    kind: &'static str,
    /// How far it, or the transaction for it, has come.
    #[schema(value_type = document::Progress)]
    state: &'static str,
    /// What went wrong last.
    last_error: Option<String>,
}

/// What has happened to an invoice
///
/// For people: what was asked for, the wallet's steps, what moved on the chain and what we did about it, each in a sentence.
#[utoipa::path(get, path = "/api/invoices/{id}/timeline", operation_id = "timeline", tag = "Events",
    params(("id" = String, Path, description = "The invoice's id, or your number of it", example = "INV-2026-000001")),
    responses((status = 200, description = "All of it", body = Timeline)))]
pub(crate) async fn timeline(State(app): State<Arc<App>>, key: Key, id: Segment) -> Result<Reply, Problem> {
    let mut tx = app.snapshot().await?;
    let tenant_id = key.tenant(&mut tx).await?;
    let found = invoices::found(&mut tx, &tenant_id, id).await?;
    let view = &found.view;
    let history = store::events::history(&mut tx, &view.id, &view.wallet.id).await?;
    let complete = complete(&found, &history);
    let answer = Timeline {
        invoice_id: view.id.clone(),
        number: view.number.clone(),
        data: entries(&found, history),
        complete,
        as_of: found.as_of(),
    };
    reply::json(StatusCode::OK, &answer, &answer.as_of)
}

fn complete(found: &Found, history: &History) -> bool {
    let History { lifecycle, intents, attempts, orders, authorizations, .. } = history;
    let counts = [lifecycle.len(), intents.len(), attempts.len(), orders.len(), authorizations.len()];
    counts.iter().all(|count| *count < MAX_HISTORY) && found.view.transactions.len() < MAX_TRANSACTIONS
}

fn entries(found: &Found, history: History) -> Vec<Entry> {
    let issuer = &found.view.issuer_name;
    let mut all = Vec::new();
    all.extend(history.pay_requested_at.map(|at| Entry::new(at, "word", "pay", "Payment was asked for.".to_owned())));
    let called_off = format!("{issuer} called the invoice off.");
    all.extend(history.called_off_at.map(|at| Entry::new(at, "word", "cancel", called_off)));
    all.extend(history.orders.into_iter().map(ordered));
    all.extend(history.authorizations.into_iter().map(|word| authorized(word, &found.view.wallet.currency)));
    all.extend(history.lifecycle.into_iter().map(|step| lifecycle(step, issuer)));
    all.extend(found.view.transactions.iter().map(|moved| movement(moved, issuer)));
    all.extend(history.intents.into_iter().map(decided));
    all.extend(history.attempts.into_iter().map(tried));
    // Stable: what has the same time stays in the order above.
    all.sort_by_key(|entry| entry.at);
    all
}

impl Entry {
    fn new(at: OffsetDateTime, kind: &'static str, event: &str, sentence: String) -> Self {
        let event = event.to_owned();
        Self { at, kind, event, sentence, chain: None, transaction: None, tier: None, intent: None }
    }
}

fn ordered(word: Ordered) -> Entry {
    let Ordered { intent, token, to, word, at } = word;
    let by = match word["by"].as_str() {
        Some("pay link") => "The customer",
        _ => "The issuer, for the customer,",
    };
    let said = word["said"].as_str().map(|said| format!(" \u{201c}{said}\u{201d}")).unwrap_or_default();
    let sentence = format!("{by} asked for what lies there (token {token}) to go back to {to}.{said}");
    let intent = Intent { id: intent.to_string(), kind: "refund_by_order", state: "accepted", last_error: None };
    Entry { intent: Some(intent), ..Entry::new(at, "word", "refund", sentence) }
}

fn authorized(word: Authorized, currency: &str) -> Entry {
    let Authorized { intent, payer, value, at } = word;
    let sentence = format!("{payer} signed an authorization for {} {currency}, to pay without gas.", whole(&value));
    let intent = Intent { id: intent.to_string(), kind: "fund", state: "accepted", last_error: None };
    Entry { intent: Some(intent), ..Entry::new(at, "word", "authorize", sentence) }
}

fn lifecycle(step: Lifecycle, issuer: &str) -> Entry {
    let Lifecycle { event, data, tx_hash, at } = step;
    let said = |name: &str| data.as_ref().and_then(|data| data[name].as_str()).unwrap_or_default();
    let sentence = match event.as_str() {
        "created" => "The invoice was issued, and its wallet made.".to_owned(),
        "active" => "The wallet waits for money.".to_owned(),
        "funded" => "All that is due lies at the address.".to_owned(),
        "payment_in_progress" => format!("The payment to {issuer} is being made."),
        "payment_executed" => format!("{issuer} has been paid."),
        "destroying" => match said("reason") {
            "payment_complete" => "The invoice is paid; its wallet is being cleared.".to_owned(),
            "cancelled" => "The invoice is cancelled; its wallet is being cleared.".to_owned(),
            _ => "The invoice has run out; its wallet is being cleared.".to_owned(),
        },
        "destroyed" => match data.as_ref().and_then(|data| data["key_erased"].as_bool()) {
            Some(true) => "The wallet is destroyed: nothing lies there, and its key is erased.".to_owned(),
            _ => "The wallet is destroyed: nothing lies there.".to_owned(),
        },
        "reorged" => {
            format!("The network took back something it had shown; the wallet is {} again.", said("wallet_status"))
        }
        "refunded" => "Money that paid nothing has gone back.".to_owned(),
        other => format!("{other}."),
    };
    Entry { transaction: tx_hash, ..Entry::new(at, "lifecycle", &event, sentence) }
}

fn movement(moved: &TransactionView, issuer: &str) -> Entry {
    let amount = match moved.token.starts_with("0x") {
        true => format!("{} base units of the token {}", moved.amount, moved.token),
        false => format!("{} {}", whole(&moved.amount), moved.token),
    };
    let deed = match moved.purpose.as_str() {
        "deposit" => format!("{amount} arrived"),
        "foreign_deposit" => format!("{amount} arrived, which does not pay the invoice"),
        "settle" => format!("{amount} went to {issuer}"),
        "pay" => format!("{amount} went from a wallet straight to {issuer}"),
        "refund" => format!("{amount} went back"),
        other => format!("{amount}: {other}"),
    };
    let sure = match moved.status.as_str() {
        "final" => "for good",
        "safe" => "almost certainly",
        _ => "as far as the network shows it now",
    };
    Entry {
        chain: Some(moved.chain.clone()),
        transaction: Some(moved.tx_hash.clone()),
        tier: Some(moved.status.clone()),
        ..Entry::new(moved.created_at, "movement", &moved.purpose, format!("{deed}, {sure}."))
    }
}

const fn aim(kind: IntentKind) -> &'static str {
    match kind {
        IntentKind::Settle => "pay the payee",
        IntentKind::Cancel => "cancel the invoice on chain",
        IntentKind::Refund => "send back what lies there",
        IntentKind::RefundByOrder => "send back what lies there, where the customer wants it",
        IntentKind::Fund => "submit the payer's authorization and pay the payee",
        IntentKind::Mint => "mint what came in off chain and pay the payee with it",
        IntentKind::Redeem => "burn what the redemption has brought",
    }
}

fn decided(intent: Decided) -> Entry {
    let Decided { intent, kind, state, last_error, chain, at, .. } = intent;
    let how = match state {
        IntentState::Accepted => "it waits to be signed",
        IntentState::Signed | IntentState::Broadcast | IntentState::Unknown => "it is on its way",
        IntentState::Seen => "it is done, and not final yet",
        IntentState::Final => "it is done for good",
        IntentState::Superseded => "it is not needed any more",
        IntentState::Failed => "it was given up, and an operator has to look",
    };
    let sentence = format!("It was decided to {}: {how}.", aim(kind));
    let intent = Intent { id: intent.to_string(), kind: kind.as_str(), state: state.as_str(), last_error };
    Entry { chain: Some(chain), intent: Some(intent), ..Entry::new(at, "keeper", "decided", sentence) }
}

fn tried(attempt: Tried) -> Entry {
    let Tried { intent, kind, tx_hash, state, noop, last_error, chain, at } = attempt;
    let how = match state {
        AttemptState::Signed => "no node has been offered it yet",
        AttemptState::Broadcast => "a node has taken it",
        AttemptState::Unknown => "a node may have it",
        AttemptState::Final => "it is in a final block",
        AttemptState::Replaced => "another one took its place",
    };
    let sentence = match noop {
        true => format!("A transaction that does nothing was signed, in the place of one that no node takes: {how}."),
        false => format!("A transaction was signed to {}: {how}.", aim(kind)),
    };
    let intent = Intent { id: intent.to_string(), kind: kind.as_str(), state: state.as_str(), last_error };
    let (chain, transaction) = (Some(chain), Some(tx_hash.to_string()));
    Entry { chain, transaction, intent: Some(intent), ..Entry::new(at, "keeper", "signed", sentence) }
}
