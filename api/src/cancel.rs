//! `POST /api/invoices/{id}/cancel`: the issuer calls an invoice off.
//!
//! With us it is cancelled at once. What lies at its address, or comes later, is cancelled on chain by the coordinator,
//! whose key this process does not have, and goes back.

use crate::problem::{Code, Problem};
use crate::view::{self, Found};
use crate::work::{ByTenant, Post};
use crate::{App, body, invoices};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::actions::{Action, Need, Refusal};
use domain::invoice::InvoiceStatus;
use std::sync::Arc;

/// What else can be wrong with it.
pub(crate) const CODES: &[Code] = &[
    Code::InvoiceNotFound,
    Code::CancelDirect,
    Code::SettlementUnderWay,
    Code::InvoicePaid,
    Code::InvoiceExpired,
    Code::InvoiceCancelled,
];

/// Call an invoice off
///
/// It is cancelled at once, and what lies at its address or comes later goes back. Asked again, it answers the same.
#[utoipa::path(post, path = "/api/invoices/{id}/cancel", operation_id = "cancel_invoice", tag = "Invoices",
    params(("id" = String, Path, description = "The invoice's id, or your number of it", example = "INV-2026-000001")),
    request_body(content = body::Nothing, example = json!({})),
    responses((status = 200, description = "It is cancelled", body = view::Answer)))]
pub(crate) async fn cancel(State(app): State<Arc<App>>, post: Post<ByTenant>) -> Result<Response, Problem> {
    let Post { caller, body, mut work } = post;
    let found = invoices::locked(&mut work, &caller.tenant_id, caller.id).await?;
    body::nothing(&body)?;
    if found.view.status == InvoiceStatus::Cancelled {
        return work.commit(found.answer(&app, StatusCode::OK)?).await;
    }
    possible(&found)?;
    store::invoices::call_off(&mut work, &found.view.id).await?;
    let found = invoices::again(&mut work, &found).await?;
    // The keeper may have signed while we looked: then it is too late, and with this transaction our word is gone too.
    if found.view.settling || found.view.status != InvoiceStatus::Cancelled {
        return Err(under_way());
    }
    tracing::info!(tenant = caller.tenant_id, "called off");
    work.commit(found.answer(&app, StatusCode::OK)?).await
}

fn possible(found: &Found) -> Result<(), Problem> {
    let refusal = match found.standing()?.check(Action::Cancel) {
        Ok(()) => return Ok(()),
        Err(refusal) => refusal,
    };
    Err(match (refusal, found.view.status) {
        (Refusal::Unmet(Need::Gated), _) => Problem::new(
            Code::CancelDirect,
            "Anyone may settle a direct invoice, so only its payee can cancel it, on chain.",
        ),
        (Refusal::Unmet(_), _) => under_way(),
        (Refusal::Status, InvoiceStatus::Expired) => Problem::new(Code::InvoiceExpired, "The invoice has expired."),
        (Refusal::Status, InvoiceStatus::Paid | InvoiceStatus::Overpaid) => {
            Problem::new(Code::InvoicePaid, "The invoice is paid.")
        }
        (Refusal::Status, _) => Problem::new(Code::InvoiceCancelled, "The invoice is not open."),
    })
}

fn under_way() -> Problem {
    Problem::new(Code::SettlementUnderWay, "A transaction that pays the invoice is signed and may be on its way.")
}
