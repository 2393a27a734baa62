//! The page behind a pay link. Whoever has the link may see it; it works without script.

use crate::invoices::{self, Segment};
use crate::problem::{Code, Problem};
use crate::reply;
use crate::view::{Found, is_address, whole};
use crate::{App, clock, html, recover, solana_pay};
use alloy_primitives::U256;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use domain::invoice::{Exception, InvoiceStatus, Settlement};
use domain::money::Units;
use domain::wallet::WalletStatus;
use maud::{Markup, html};
use std::sync::Arc;
use store::invoices::TermsView;

/// From when on the page says that we see the network late. Seconds.
const LATE_SECONDS: u64 = 30;

/// How often the page looks again while something may still change.
const REFRESH_SECONDS: u32 = 10;

/// The page behind a pay link
///
/// What is to be paid, where to, and how far it has come. It reloads itself while something may change.
#[utoipa::path(get, path = "/pay/{token}", operation_id = "pay_page", tag = "Pay link",
    params(("token" = String, Path, description = "What stands behind `/pay/` in the pay link, up to the `#`", example = "4fzzzxjylrx")),
    responses(
        (status = 200, description = "The page", body = String, content_type = "text/html"),
        (status = 404, description = "A page: there is no such invoice.", body = String, content_type = "text/html"),
        (status = 500, description = "A page: the mistake is ours.", body = String, content_type = "text/html"),
        (status = 503, description = "A page: not available just now.", body = String, content_type = "text/html"),
    ))]
pub(crate) async fn page(State(app): State<Arc<App>>, token: Segment) -> Response {
    match load(&app, token).await.and_then(|found| Ok((Words::of(&found)?, found))) {
        Ok((words, found)) => {
            let title =
                format!("{} {} to {}", Units(found.view.amount), found.view.wallet.currency, found.view.issuer_name);
            let refresh = words.may_change.then_some(REFRESH_SECONDS);
            html::page(StatusCode::OK, &title, refresh, &render(&app, &found, &words))
        }
        Err(problem) => failed(&problem),
    }
}

pub(crate) async fn load(app: &App, token: Segment) -> Result<Found, Problem> {
    let mut tx = app.snapshot().await?;
    let view = invoices::by_link(&mut tx, token).await?;
    Found::load(&mut tx, view).await
}

pub(crate) fn failed(problem: &Problem) -> Response {
    let (status, title, text) = match problem.code() {
        Code::InvoiceNotFound => (
            StatusCode::NOT_FOUND,
            "There is no such invoice",
            "The link may be incomplete. Open it again from the message it came in, or ask whoever sent it for a new one.",
        ),
        Code::Unavailable => (
            StatusCode::SERVICE_UNAVAILABLE,
            "This page is not available just now",
            "Please try again in a minute. Nothing happens to money that you have sent.",
        ),
        _ => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "This page cannot be shown",
            "The mistake is ours, and we have a record of it. Nothing happens to money that you have sent.",
        ),
    };
    let mut response = html::page(status, title, None, &html! { h1 { (title) } p { (text) } });
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    }
    response
}

/// Where the invoice stands, in words for the one who pays.
struct Words {
    tone: &'static str,
    title: &'static str,
    text: Vec<String>,
    /// What is still to be sent, if anything is; base units.
    missing: Option<u128>,
    may_change: bool,
}

impl Words {
    fn of(found: &Found) -> Result<Self, Problem> {
        let (view, issuer, token) = (&found.view, &found.view.issuer_name, &found.view.wallet.currency);
        let (balance, received) = (found.balance()?, found.received()?);
        let settled = view.wallet.status == WalletStatus::Destroyed;
        let mut words = match view.status {
            InvoiceStatus::Draft | InvoiceStatus::PendingPayment | InvoiceStatus::PartiallyPaid => open(found, balance),
            InvoiceStatus::Paid | InvoiceStatus::Overpaid => {
                let at = view.paid_at.map(|at| format!(" on {}", clock::minute(at))).unwrap_or_default();
                let amount = Units(view.amount);
                let sure = match view.settlement_tier.as_deref() {
                    Some("final") => "The payment is final.",
                    _ => "The network is still confirming it; you need not wait.",
                };
                let mut text = vec![format!("{issuer} has received {amount} {token}{at}. {sure}")];
                let excess = received.saturating_sub(U256::from(view.amount));
                if !excess.is_zero() {
                    let excess = whole(&excess.to_string());
                    text.push(match balance.is_zero() {
                        true => format!("You had sent {excess} {token} more than was due. That has been sent back."),
                        false => format!("You have sent {excess} {token} more than was due. {}", back(found)),
                    });
                }
                Self { tone: "good", title: "Paid", text, missing: None, may_change: !settled }
            }
            InvoiceStatus::Expired | InvoiceStatus::Cancelled => {
                let title = match view.status {
                    InvoiceStatus::Cancelled => "This invoice was cancelled",
                    _ => "This invoice has expired",
                };
                let mut text = Vec::new();
                if !balance.is_zero() {
                    let there = whole(&balance.to_string());
                    text.push(format!("{there} {token} reached its wallet and did not pay it. {}", back(found)));
                } else if !received.is_zero() {
                    let came = whole(&received.to_string());
                    text.push(format!("{came} {token} had reached its wallet. They have been sent back."));
                }
                text.push(format!("Do not send money to its address any more. If you still want to pay, ask {issuer} for a new invoice."));
                let tone = if balance.is_zero() { "over" } else { "warn" };
                Self { tone, title, text, missing: None, may_change: !settled }
            }
        };
        words.text.extend(exceptions(found));
        Ok(words)
    }
}

fn open(found: &Found, balance: U256) -> Words {
    let (view, issuer, token) = (&found.view, &found.view.issuer_name, &found.view.wallet.currency);
    let due = found.due();
    let until = clock::minute(view.expires_at);
    // What counts is what lies on one network; what lies on another goes back.
    let balance = found.payable().map(|known| known.balance).max().unwrap_or_default().min(balance);
    if balance >= U256::from(due) {
        let asked = view.settlement == Settlement::Automatic || view.wallet.status == WalletStatus::PaymentInProgress;
        let text = match asked {
            true => format!("It is being passed on to {issuer}. There is nothing more to do."),
            false => format!(
                "It goes to {issuer} once the payment is confirmed there, and back if that is not done by {until}."
            ),
        };
        return Words {
            tone: "good",
            title: "Your money has arrived",
            text: vec![text],
            missing: None,
            may_change: true,
        };
    }
    let there = balance.saturating_to::<u128>();
    let missing = due.saturating_sub(there);
    let (tone, title, text) = match there {
        0 => ("open", "Waiting for your payment", format!("Nothing has arrived yet. Pay by {until}.")),
        _ => (
            "warn",
            "Part of the amount has arrived",
            format!(
                "{} of {} {token} are there. Send the missing {} {token} to the same address by {until}; otherwise what has arrived goes back.",
                Units(there),
                Units(due),
                Units(missing)
            ),
        ),
    };
    Words { tone, title, text: vec![text], missing: Some(missing), may_change: true }
}

/// Where money goes that goes back.
fn back(found: &Found) -> String {
    let Some(TermsView { terms, .. }) = found.view.terms.first() else { return String::new() };
    match terms.refund_key().is_zero() {
        true => format!("It goes back to {}.", terms.refund_to()),
        false => format!(
            "It goes back to you: tell {} which wallet to send it to. Without your word it is kept for you in an account for unclaimed money after 30 days.",
            found.view.issuer_name
        ),
    }
}

fn exceptions(found: &Found) -> impl Iterator<Item = String> {
    let (view, token) = (&found.view, &found.view.wallet.currency);
    let paid = matches!(view.status, InvoiceStatus::Paid | InvoiceStatus::Overpaid);
    view.exceptions.iter().filter_map(|word| word.parse().ok()).filter_map(move |exception| match exception {
        Exception::PaidLate if paid => Some("Some of the money came after the time had run out.".to_owned()),
        Exception::PaidLate => Some("Money came after the time had run out; it does not pay the invoice.".to_owned()),
        Exception::ForeignToken => Some(format!(
            "A token other than {token} was sent to this address. It does not pay the invoice; ask {} how to get it back.",
            view.issuer_name
        )),
        Exception::OtherRail => Some(
            "Money came on a network that this invoice is not paid on. It does not pay the invoice; it goes back.".to_owned(),
        ),
        Exception::PaymentReversed => {
            Some("The network has taken back something it had shown. What stands here is what it shows now.".to_owned())
        }
        // Said above, with the amount.
        Exception::RefundDue => None,
    })
}

fn render(app: &App, found: &Found, words: &Words) -> Markup {
    let view = &found.view;
    html! {
        p.kicker { "Invoice from " bdi { (view.issuer_name) } }
        h1 { (Units(view.amount)) " " (view.wallet.currency) }
        @if let Some(description) = &view.description { p { bdi { (description) } } }
        section class={ "card status " (words.tone) } role="status" {
            h2 { (words.title) }
            @for text in &words.text { p { (text) } }
        }
        @if let Some(late) = reply::lag(&found.as_of()).filter(|late| *late > LATE_SECONDS) {
            section.card.warn.status role="status" {
                h2 { "This page is behind" }
                p { "We see the network " (clock::in_words(late)) " late. What was sent since then does not show here yet; it is not lost, and need not be sent again." }
            }
        }
        @if words.missing.is_some() {
            @for known in found.payable() { (how_to_pay(app, found, known)) }
        }
        section.card {
            dl {
                dt { "Invoice" } dd { bdi { (view.number) } }
                dt { "From" } dd { bdi { (view.issuer_name) } }
                dt { "Amount" } dd { (Units(view.amount)) " " (view.currency) }
                @if let Some(due) = view.due_date { dt { "Due" } dd { (clock::day(due)) } }
                dt { "Issued" } dd { (clock::minute(view.created_at)) }
                dt { "Can be paid until" } dd { (clock::minute(view.expires_at)) }
            }
        }
        @if !view.transactions.is_empty() { (transactions(found)) }
        (terms(found))
    }
}

fn how_to_pay(app: &App, found: &Found, known: &TermsView) -> Markup {
    let (view, token) = (&found.view, &found.view.wallet.currency);
    let chain = capital(found.chain_name(known.terms.chain()));
    let (left, missing) = (found.seconds_left(), found.missing_on(known));
    let several = found.payable().nth(1).is_some();
    let solana = solana_pay::uris(found, app, known);
    html! {
        section.card {
            h2 { "How to pay" @if several { " on " (chain) } }
            p { "From any wallet or exchange, send:" }
            dl {
                dt { "Exactly this amount, fees not counted" }
                dd { code.copy { (Units(missing)) } (token) }
                dt { "On this network" }
                dd { (chain) @if known.terms.evm().is_some() { " " small { "(chain id " (known.terms.chain()) ")" } } }
                dt { "To this address" }
                dd { code.copy { (known.purse) } }
                @if let (Some(terms), Some(owner)) = (known.terms.solana(), known.purse.solana()) {
                    dt { "Or, where a wallet refuses that, to this token account" }
                    dd { code.copy { (terms.vault(&owner).0) } }
                }
                dt { "Token contract" }
                dd { code { (known.terms.token()) } }
                dt { "Time left" }
                dd { span.left { (clock::countdown(left)) } " " small { "(hours:minutes:seconds)" } }
            }
            @if let Some(links) = &solana {
                p { a href=(links.transfer) { "Pay with a Solana wallet" } " · " a href=(links.transaction) { "or let it sign a transaction made for it" } }
            }
            @if several { p { small { "Pay on one network only: what comes on another goes back." } } }
            p { small {
                "The address was made for this invoice alone. What is sent to it can only go to " bdi { (view.issuer_name) }
                ", up to the amount of the invoice, or back. Send nothing but " (token) " on " (chain) "."
            } }
        }
    }
}

pub(crate) fn transactions(found: &Found) -> Markup {
    html! {
        section.card {
            h2 { "What has happened" }
            ul {
                @for transaction in &found.view.transactions {
                    li {
                        (deed(&transaction.purpose)) ": "
                        @if is_address(&transaction.token) { "token " code { (transaction.token) } }
                        @else { (whole(&transaction.amount)) " " (transaction.token) }
                        ", " (clock::minute(transaction.created_at)) " "
                        small { "(" (transaction.status) ") " code { (transaction.tx_hash) } }
                    }
                }
            }
        }
    }
}

fn deed(purpose: &str) -> &str {
    match purpose {
        "deposit" => "Arrived",
        "foreign_deposit" => "Another token arrived",
        "settle" | "pay" => "Paid out",
        "refund" => "Sent back",
        other => other,
    }
}

/// The terms are the key to the money: whoever has them can prove, without us, where it may go.
fn terms(found: &Found) -> Markup {
    let commands = found.commands().unwrap_or_default();
    html! {
        details.card {
            summary { "Terms of the payment" }
            p { small { "Keep these if you want to be independent of this page: they prove where the money can go, and are enough to send it back once the invoice is closed." } }
            @for known in &found.view.terms {
                p { small { "Hash " code { (known.hash) } } }
                pre { (serde_json::to_string_pretty(&known.terms).unwrap_or_default()) }
            }
            p { small { (recover::WHY) } }
            @for command in &commands { p { code.copy { (command) } } }
            p { a href={ "/pay/" (found.view.pay_token) "/receipt" } { "Receipt, to print or keep" } }
        }
    }
}

fn capital(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
