//! Invoices and wallets by id, and the customer's word to pay.

use crate::auth::Key;
use crate::body::{self, Fields, JsonBody};
use crate::problem::{Code, Problem};
use crate::reply::Reply;
use crate::view::{self, Found, whole};
use crate::work::{ByCustomer, ByTenant, Post};
use crate::{App, document, observe};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use domain::invoice::InvoiceStatus;
use domain::money::{Currency, Units};
use domain::request::InvalidRequest;
use std::sync::Arc;
use store::PgConnection;
use store::invoices::InvoiceView;
use utoipa::ToSchema;

/// A part of the path. What cannot be one of our ids or a tenant's number is nothing that could be found.
pub(crate) type Segment = Result<Path<String>, PathRejection>;

/// What asking for an invoice can be answered with.
pub(crate) const CODES: &[Code] = &[Code::InvoiceNotFound];

/// What asking for a wallet can be answered with.
pub(crate) const WALLET_CODES: &[Code] = &[Code::WalletNotFound];

/// An invoice
///
/// With its wallet, its terms and what has happened on the chain.
#[utoipa::path(get, path = "/api/invoices/{id}", tag = "Invoices",
    params(("id" = String, Path, description = "The invoice's id, or your number of it", example = "INV-2026-000001")),
    responses((status = 200, description = "The invoice", body = view::Answer)))]
pub(crate) async fn invoice(State(app): State<Arc<App>>, key: Key, id: Segment) -> Result<Reply, Problem> {
    by_id(&app, &key, id).await?.answer(&app, StatusCode::OK)
}

/// The wallet of an invoice
#[utoipa::path(get, path = "/api/invoices/{id}/wallet", tag = "Invoices",
    params(("id" = String, Path, description = "The invoice's id, or your number of it", example = "INV-2026-000001")),
    responses((status = 200, description = "The wallet", body = view::WalletAnswer)))]
pub(crate) async fn invoice_wallet(State(app): State<Arc<App>>, key: Key, id: Segment) -> Result<Reply, Problem> {
    by_id(&app, &key, id).await?.wallet_answer()
}

/// A wallet
#[utoipa::path(get, path = "/api/invoice-wallets/{id}", tag = "Invoices",
    params(("id" = String, Path, description = "The wallet's id", example = "wallet_0193f0a1b2c3")),
    responses((status = 200, description = "The wallet", body = view::WalletAnswer)))]
pub(crate) async fn wallet(State(app): State<Arc<App>>, key: Key, id: Segment) -> Result<Reply, Problem> {
    let mut tx = app.snapshot().await?;
    let tenant_id = key.tenant(&mut tx).await?;
    let id = segment(id).ok_or_else(no_wallet)?;
    let view = store::invoices::by_wallet(&mut tx, &tenant_id, &id).await?.ok_or_else(no_wallet)?;
    observe::about(&view.id);
    Found::load(&mut tx, view).await?.wallet_answer()
}

/// The tenant's invoice, to be read.
pub(crate) async fn by_id(app: &App, key: &Key, id: Segment) -> Result<Found, Problem> {
    let mut tx = app.snapshot().await?;
    let tenant_id = key.tenant(&mut tx).await?;
    found(&mut tx, &tenant_id, id).await
}

/// The same, in the caller's transaction.
pub(crate) async fn found(db: &mut PgConnection, tenant_id: &str, id: Segment) -> Result<Found, Problem> {
    let id = segment(id).ok_or_else(no_invoice)?;
    find(db, tenant_id, &id).await
}

/// The tenant's invoice, as the newest facts say and locked: until the transaction ends nobody else changes it.
pub(crate) async fn locked(db: &mut PgConnection, tenant_id: &str, id: Segment) -> Result<Found, Problem> {
    let found = found(db, tenant_id, id).await?;
    again(db, &found).await
}

/// The invoice behind a pay link, to be read.
pub(crate) async fn by_link(db: &mut PgConnection, token: Segment) -> Result<InvoiceView, Problem> {
    let unknown = || Problem::new(Code::InvoiceNotFound, "No invoice has this pay link.");
    let token = segment(token).ok_or_else(unknown)?;
    let view = store::invoices::by_pay_token(db, &token).await?.ok_or_else(unknown)?;
    observe::about(&view.id);
    Ok(view)
}

/// The invoice of a request under a pay link, as the newest facts say and locked.
pub(crate) async fn locked_by_link(db: &mut PgConnection, caller: &ByCustomer) -> Result<Found, Problem> {
    refresh(db, &caller.tenant_id, &caller.invoice_id).await?;
    find(db, &caller.tenant_id, &caller.invoice_id).await
}

/// The invoice once more, as the newest facts say.
pub(crate) async fn again(db: &mut PgConnection, found: &Found) -> Result<Found, Problem> {
    let view = &found.view;
    refresh(db, &view.tenant_id, &view.id).await?;
    find(db, &view.tenant_id, &view.id).await
}

async fn find(db: &mut PgConnection, tenant_id: &str, id: &str) -> Result<Found, Problem> {
    let view = store::invoices::by_id(db, tenant_id, id).await?.ok_or_else(no_invoice)?;
    observe::about(&view.id);
    Found::load(db, view).await
}

pub(crate) fn segment(path: Segment) -> Option<String> {
    path.ok().and_then(|Path(text)| plausible(&text).then_some(text))
}

fn plausible(id: &str) -> bool {
    !id.is_empty() && id.len() <= 256 && !id.chars().any(char::is_control)
}

fn no_invoice() -> Problem {
    Problem::new(Code::InvoiceNotFound, "You have no invoice with this id or number.")
}

fn no_wallet() -> Problem {
    Problem::new(Code::WalletNotFound, "You have no wallet with this id.")
}

/// What the customer wants paid.
#[derive(ToSchema)]
#[schema(as = PayInvoice)]
pub(crate) struct Pay {
    /// The invoice's id or number.
    invoice_id: String,
    /// Its wallet's id.
    wallet_id: String,
    /// What is due, in full: digits and at most one point, as a number or as text.
    #[schema(value_type = document::Amount)]
    amount: Units,
}

/// What else can be wrong with it.
pub(crate) const PAY_CODES: &[Code] = &[
    Code::FieldMissing,
    Code::AmountMalformed,
    Code::AmountNotPositive,
    Code::AmountTooPrecise,
    Code::AmountTooLarge,
    Code::InvoiceNotFound,
    Code::WalletNotFound,
    Code::WalletMismatch,
    Code::InvoiceExpired,
    Code::InvoiceCancelled,
    Code::AmountMismatch,
    Code::InsufficientBalance,
];

impl Pay {
    fn parse(body: &JsonBody) -> Result<Self, Problem> {
        let mut fields = Fields::parse(body)?;
        let invoice_id = fields.text("invoice_id")?.ok_or_else(|| body::missing("invoice_id"))?;
        let wallet_id = fields.text("wallet_id")?.ok_or_else(|| body::missing("wallet_id"))?;
        let amount = fields.amount("amount")?.ok_or_else(|| body::missing("amount"))?;
        fields.finish()?;
        // Six decimals whatever the invoice is in: what is due may have them.
        let amount = Units::parse(&amount, Currency::Usdc).map_err(InvalidRequest::Amount)?;
        Ok(Self { invoice_id, wallet_id, amount })
    }
}

/// Have an invoice paid
///
/// For an invoice whose `settlement` is `manual`, when the money lies in its wallet. Asked again, it says how far that has
/// come.
#[utoipa::path(post, path = "/api/invoices/pay", operation_id = "pay_invoice", tag = "Invoices",
    request_body(content = Pay, example = json!({
        "invoice_id": "INV-2026-000001", "wallet_id": "wallet_0193f0a1b2c3", "amount": 150
    })),
    responses(
        (status = 200, description = "It was paid before", body = view::Answer),
        (status = 202, description = "It is being paid", body = view::Answer),
    ))]
pub(crate) async fn pay(State(app): State<Arc<App>>, post: Post<ByTenant>) -> Result<Response, Problem> {
    let Post { caller: ByTenant { tenant_id, .. }, body, mut work } = post;
    let pay = Pay::parse(&body)?;
    if !plausible(&pay.invoice_id) {
        return Err(no_invoice().field("invoice_id"));
    }
    if !plausible(&pay.wallet_id) {
        return Err(no_wallet().field("wallet_id"));
    }
    let id = find(&mut work, &tenant_id, &pay.invoice_id).await?.view.id;
    // Locks the invoice's row and looks at the newest facts; from here on nobody else changes it.
    refresh(&mut work, &tenant_id, &id).await?;
    let found = find(&mut work, &tenant_id, &id).await?;
    if found.view.wallet.id != pay.wallet_id {
        let other = store::invoices::by_wallet(&mut work, &tenant_id, &pay.wallet_id).await?;
        let mismatch = || Problem::new(Code::WalletMismatch, "This wallet was made for another invoice.");
        return Err(other.map_or_else(no_wallet, |_| mismatch()).field("wallet_id"));
    }
    match found.view.status {
        InvoiceStatus::Paid | InvoiceStatus::Overpaid => {
            same_amount(pay.amount, found.view.amount)?;
            return work.commit(found.answer(&app, StatusCode::OK)?).await;
        }
        InvoiceStatus::Expired => return Err(Problem::new(Code::InvoiceExpired, "The invoice has expired.")),
        InvoiceStatus::Cancelled | InvoiceStatus::Draft => {
            return Err(Problem::new(Code::InvoiceCancelled, "The invoice is not open."));
        }
        InvoiceStatus::PendingPayment | InvoiceStatus::PartiallyPaid => {}
    }
    same_amount(pay.amount, found.due())?;
    if found.missing()? > 0 {
        let (balance, due) = (&found.view.wallet.balance, Units(found.due()));
        let detail = format!("The wallet holds {}, {due} is due.", whole(balance));
        return Err(Problem::new(Code::InsufficientBalance, detail)
            .with("balance", whole(balance))
            .with("balance_units", balance.as_str())
            .with("due", due.to_string())
            .with("due_units", due.0.to_string()));
    }
    store::invoices::request_pay(&mut work, &id).await?;
    refresh(&mut work, &tenant_id, &id).await?;
    let found = find(&mut work, &tenant_id, &id).await?;
    let response = work.commit(found.answer(&app, StatusCode::ACCEPTED)?).await?;
    tracing::info!(invoice = id, tenant = tenant_id, "payment requested");
    Ok(response)
}

async fn refresh(db: &mut PgConnection, tenant_id: &str, id: &str) -> Result<(), Problem> {
    let view = store::invoices::by_id(db, tenant_id, id).await?.ok_or_else(no_invoice)?;
    // Whichever of its chains is named: all of them are looked at.
    match view.terms.first() {
        Some(terms) => Ok(store::projection::refresh(db, terms.hash).await?),
        None => Err(view::corrupt("an invoice without terms")),
    }
}

fn same_amount(asked: Units, due: u128) -> Result<(), Problem> {
    if asked.0 == due {
        return Ok(());
    }
    let due = Units(due);
    Err(Problem::new(Code::AmountMismatch, format!("{asked} was asked for, {due} is due."))
        .field("amount")
        .with("amount", asked.to_string())
        .with("amount_units", asked.0.to_string())
        .with("due", due.to_string())
        .with("due_units", due.0.to_string()))
}
