//! `GET /api/invoices/{id}/email`: the message that goes to the customer, as plain text. Sending it is the issuer's.

use crate::auth::Key;
use crate::invoices::{self, Segment};
use crate::problem::Problem;
use crate::reply::{self, AsOf, Reply};
use crate::view::Found;
use crate::{App, clock, recover};
use axum::extract::State;
use axum::http::StatusCode;
use domain::invoice::InvoiceStatus;
use domain::money::Units;
use serde::Serialize;
use std::fmt::Write;
use std::sync::Arc;
use utoipa::ToSchema;

/// A message, and up to when it is right.
#[derive(Serialize, ToSchema)]
#[schema(as = EmailAnswer)]
struct Answer {
    /// The message.
    email: Email,
    /// Up to which moment each of the invoice's chains is known.
    as_of: Vec<AsOf>,
}

/// A message.
#[derive(Serialize, ToSchema)]
struct Email {
    /// The customer's address; `null` where the invoice has none.
    to: Option<String>,
    /// One line.
    subject: String,
    /// Plain text, lines ended by a line feed.
    text: String,
}

/// The message for the customer
///
/// Subject and plain text with amount, address, link and terms. It is not sent: that is yours to do.
#[utoipa::path(get, path = "/api/invoices/{id}/email", operation_id = "invoice_email", tag = "Invoices",
    params(("id" = String, Path, description = "The invoice's id, or your number of it", example = "INV-2026-000001")),
    responses((status = 200, description = "The message", body = Answer)))]
pub(crate) async fn email(State(app): State<Arc<App>>, key: Key, id: Segment) -> Result<Reply, Problem> {
    let found = invoices::by_id(&app, &key, id).await?;
    let view = &found.view;
    let (issuer, number) = (line(&view.issuer_name), line(&view.number));
    let subject = format!("Invoice {number} from {issuer}: {} {}", Units(view.amount), view.currency);
    let email = Email { to: view.customer_email.clone(), subject, text: text(&found, &app)? };
    let answer = Answer { email, as_of: found.as_of() };
    reply::json(StatusCode::OK, &answer, &answer.as_of)
}

fn text(found: &Found, app: &App) -> Result<String, Problem> {
    let view = &found.view;
    let (issuer, number, token) = (line(&view.issuer_name), line(&view.number), &view.wallet.currency);
    let link = found.pay_url(app)?;
    let mut text = format!("Hello,\n\n{issuer} has sent you the invoice {number}");
    let _ = match &view.description {
        Some(description) => writeln!(text, ": {}.\n", line(description)),
        None => writeln!(text, ".\n"),
    };
    match view.status {
        InvoiceStatus::Draft | InvoiceStatus::PendingPayment | InvoiceStatus::PartiallyPaid => {
            let (known, _) = found.terms()?;
            let (chain, id) = (found.chain_name(known.terms.chain()), known.terms.chain());
            let missing = Units(found.missing()?);
            let until = clock::minute(view.expires_at);
            let mut also = String::new();
            for other in found.view.terms.iter().skip(1).filter(|other| found.payable_on(other)) {
                let (name, purse, token) = (found.chain_name(other.terms.chain()), &other.purse, other.terms.token());
                let _ = write!(
                    also,
                    "Or on {name}, the same amount:\n\n  Network   {name}\n  Address   {purse}\n  Token     {token}\n\n"
                );
            }
            if !also.is_empty() {
                also.push_str("Send on one network only: what comes on another goes back.\n\n");
            }
            let _ = write!(
                text,
                "  Amount    {missing} {token}, fees not counted\n  Network   {chain} (chain id {id})\n  Address   {}\n  \
                 Token     {}\n  Pay by    {until}\n\nSend exactly this amount from any wallet or exchange. The address was \
                 made for this invoice alone: what is\nsent to it can only go to {issuer}, up to the amount of the invoice, \
                 or back.\n\n{also}How it stands, at any time:\n{link}\n",
                known.purse,
                known.terms.token(),
            );
        }
        InvoiceStatus::Paid | InvoiceStatus::Overpaid => {
            let (amount, home, token_of_link) = (Units(view.amount), &app.public_url, &view.pay_token);
            let _ = write!(
                text,
                "It is paid: {amount} {token}. Please do not pay again. The receipt:\n{home}/pay/{token_of_link}/receipt\n\n\
                 How it stands, at any time:\n{link}\n",
            );
        }
        InvoiceStatus::Expired | InvoiceStatus::Cancelled => {
            let _ = write!(
                text,
                "It cannot be paid any more. Please send no money to its address; what was sent goes back.\n\nHow it \
                 stands, at any time:\n{link}\n"
            );
        }
    }
    let _ = write!(text, "\nKeep this message. {}\n", recover::WHY);
    for command in found.commands()? {
        let _ = write!(text, "\n{command}\n");
    }
    Ok(text)
}

/// One line of it, whatever was in it.
fn line(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}
