//! `GET /api/invoices/{id}/receipt` and `GET /pay/{token}/receipt`: what was paid under which terms, to be kept. A page
//! for people, JSON for programs that ask for it.
//!
//! Whoever has the pay link may see it, so it says nothing of the customer and nothing of the tenant's own data.

use crate::auth::Key;
use crate::invoices::{self, Segment};
use crate::problem::Problem;
use crate::reply::{self, AsOf};
use crate::view::{Found, Issuer, Terms, Transaction};
use crate::{App, clock, document, html, pay_page, recover};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::invoice::InvoiceStatus;
use domain::money::Units;
use maud::{Markup, html};
use serde::Serialize;
use std::sync::Arc;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// A receipt with its terms.
#[derive(Serialize, ToSchema)]
#[schema(as = ReceiptAnswer)]
struct Answer<'a> {
    /// The receipt.
    receipt: Receipt<'a>,
    /// The terms in full, one for each chain, each with its word.
    terms: Vec<Terms<'a>>,
    /// What has moved, in order.
    transactions: Vec<Transaction<'a>>,
    /// What the word is for, and the command that takes it.
    recovery: Recovery,
    /// Up to which moment each of the invoice's chains is known.
    as_of: Vec<AsOf>,
}

/// What the customer has of the invoice.
#[derive(Serialize, ToSchema)]
struct Receipt<'a> {
    /// The invoice's id.
    invoice_id: &'a str,
    /// The invoice's number.
    number: &'a str,
    /// Who issued it.
    issuer: Issuer<'a>,
    /// Where it stands.
    #[schema(value_type = document::InvoiceStatus)]
    status: &'static str,
    /// How sure the chain is of the payment: seen, safe or final; `null` where nothing has happened on chain.
    #[schema(value_type = Option<document::Tier>)]
    settlement_tier: Option<&'a str>,
    /// What it is for.
    description: Option<&'a str>,
    /// The amount, in whole units.
    amount: String,
    /// The amount, in base units.
    amount_units: String,
    /// What the issuer has received, in whole units.
    paid_amount: String,
    /// What the issuer has received, in base units.
    paid_amount_units: String,
    /// What the amount is in.
    #[schema(value_type = document::Currency)]
    currency: &'a str,
    /// When it was issued.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// When it was paid in full; `null` where it was not.
    #[serde(with = "time::serde::rfc3339::option")]
    paid_at: Option<OffsetDateTime>,
    /// The transaction that paid it.
    transaction_id: Option<&'a str>,
}

/// How to do without us.
#[derive(Serialize, ToSchema)]
struct Recovery {
    /// What the word is for.
    why: &'static str,
    /// The commands, one for each chain.
    commands: Vec<String>,
}

/// The receipt of an invoice
///
/// What was paid under which terms, to be kept: a page for people, JSON where `Accept` says `application/json`.
#[utoipa::path(get, path = "/api/invoices/{id}/receipt", operation_id = "receipt", tag = "Invoices",
    params(("id" = String, Path, description = "The invoice's id, or your number of it", example = "INV-2026-000001")),
    responses((status = 200, description = "The receipt", content((Answer = "application/json"), (String = "text/html")))))]
pub(crate) async fn for_tenant(
    State(app): State<Arc<App>>,
    key: Key,
    id: Segment,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    answer(&app, &invoices::by_id(&app, &key, id).await?, &headers)
}

/// The receipt
///
/// The same for whoever has the pay link.
#[utoipa::path(get, path = "/pay/{token}/receipt", operation_id = "receipt_by_link", tag = "Pay link",
    params(("token" = String, Path, description = "What stands behind `/pay/` in the pay link, up to the `#`", example = "4fzzzxjylrx")),
    responses(
        (status = 200, description = "The receipt", content((Answer = "application/json"), (String = "text/html"))),
        (status = 404, description = "A page: there is no such invoice.", body = String, content_type = "text/html"),
        (status = 500, description = "A page: the mistake is ours.", body = String, content_type = "text/html"),
        (status = 503, description = "A page: not available just now.", body = String, content_type = "text/html"),
    ))]
pub(crate) async fn for_customer(State(app): State<Arc<App>>, token: Segment, headers: HeaderMap) -> Response {
    let found = pay_page::load(&app, token).await;
    match found.and_then(|found| answer(&app, &found, &headers)) {
        Ok(response) => response,
        Err(problem) if wants_json(&headers) => problem.into_response(),
        Err(problem) => pay_page::failed(&problem),
    }
}

fn answer(app: &App, found: &Found, headers: &HeaderMap) -> Result<Response, Problem> {
    let as_of = found.as_of();
    let mut response = match wants_json(headers) {
        true => {
            let (terms, transactions) = (found.terms_shown(app)?, found.transactions());
            let commands = found.commands()?;
            let recovery = Recovery { why: recover::WHY, commands };
            let answer = Answer { receipt: Receipt::of(found), terms, transactions, recovery, as_of };
            reply::json(StatusCode::OK, &answer, &answer.as_of)?.into_response()
        }
        false => html::page(StatusCode::OK, &title(found), None, &render(found)?),
    };
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
    Ok(response)
}

/// A browser names HTML first; a program that wants JSON says so.
fn wants_json(headers: &HeaderMap) -> bool {
    let mut kinds = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| {
        value.split(',').map(|kind| kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
    });
    kinds.find(|kind| kind == "application/json" || kind == "text/html").is_some_and(|kind| kind == "application/json")
}

impl<'a> Receipt<'a> {
    fn of(found: &'a Found) -> Self {
        let view = &found.view;
        Self {
            invoice_id: &view.id,
            number: &view.number,
            issuer: Issuer { id: &view.issuer, name: &view.issuer_name },
            status: view.status.as_str(),
            settlement_tier: view.settlement_tier.as_deref(),
            description: view.description.as_deref(),
            amount: Units(view.amount).to_string(),
            amount_units: view.amount.to_string(),
            paid_amount: Units(view.paid).to_string(),
            paid_amount_units: view.paid.to_string(),
            currency: &view.currency,
            created_at: view.created_at,
            paid_at: view.paid_at,
            transaction_id: view.transaction_id.as_deref(),
        }
    }
}

const fn heading(status: InvoiceStatus) -> &'static str {
    match status {
        InvoiceStatus::Paid | InvoiceStatus::Overpaid => "Receipt",
        InvoiceStatus::Draft | InvoiceStatus::PendingPayment | InvoiceStatus::PartiallyPaid => "Not paid yet",
        InvoiceStatus::Expired => "Not paid: expired",
        InvoiceStatus::Cancelled => "Not paid: cancelled",
    }
}

fn title(found: &Found) -> String {
    format!("{} · {} · {}", heading(found.view.status), found.view.number, found.view.issuer_name)
}

fn render(found: &Found) -> Result<Markup, Problem> {
    let (view, token) = (&found.view, &found.view.wallet.currency);
    let tier = match view.settlement_tier.as_deref() {
        Some("final") => "final",
        Some(_) => "not final yet: the network is still confirming it",
        None => "nothing has happened on chain",
    };
    Ok(html! {
        p.kicker { "Invoice from " bdi { (view.issuer_name) } }
        h1 { (heading(view.status)) }
        section.card {
            dl {
                dt { "Invoice" } dd { bdi { (view.number) } }
                dt { "From" } dd { bdi { (view.issuer_name) } }
                @if let Some(description) = &view.description { dt { "For" } dd { bdi { (description) } } }
                dt { "Amount" } dd { (Units(view.amount)) " " (view.currency) }
                dt { "Paid" } dd { (Units(view.paid)) " " (token) " " small { "(" (tier) ")" } }
                dt { "Issued" } dd { (clock::minute(view.created_at)) }
                @if let Some(at) = view.paid_at { dt { "Paid in full" } dd { (clock::minute(at)) } }
                @if let Some(hash) = &view.transaction_id { dt { "Transaction" } dd { code { (hash) } } }
            }
        }
        @if !view.transactions.is_empty() { (pay_page::transactions(found)) }
        section.card {
            h2 { "Terms of the payment" }
            p { small { (recover::WHY) } }
            @for command in found.commands()? { p { code.copy { (command) } } }
            @for known in &view.terms {
                @if known.terms.evm().is_none() { p { code.copy { (found.word(known)?) } } }
                p { small { "Deposit address " code { (known.purse) } } }
                p { small { "Hash " code { (known.hash) } } }
                pre { (serde_json::to_string_pretty(&known.terms).unwrap_or_default()) }
            }
        }
        p { small {
            @for chain in found.as_of() { "As of block " (chain.block) " of " (chain.chain) ", " (clock::minute(chain.time)) ". " }
        } }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_asks_for_json_gets_it_and_a_browser_gets_a_page() {
        for (accept, json) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/json, text/html", true),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", false),
            ("text/html, application/json", false),
            ("*/*", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_str(accept).unwrap())]);
            assert_eq!(wants_json(&headers), json, "{accept}");
        }
        assert!(!wants_json(&HeaderMap::new()));
    }
}
