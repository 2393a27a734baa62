//! `GET /api/invoices`: the tenant's invoices, newest first.

use crate::auth::Key;
use crate::params::{Cursor, DEFAULT_LIMIT, MAX_LIMIT, PageParams, Params};
use crate::problem::Problem;
use crate::reply::{self, AsOf, Reply};
use crate::view::{Found, Invoice, Wallet};
use crate::{App, document};
use axum::extract::State;
use axum::http::StatusCode;
use domain::invoice::InvoiceStatus;
use domain::wallet::WalletStatus;
use serde::Serialize;
use std::sync::Arc;
use store::PgConnection;
use store::chain::Mirror;
use store::invoices::{After, Filter};
use utoipa::{IntoParams, ToSchema};

/// A page of invoices.
#[derive(Serialize, ToSchema)]
#[schema(as = InvoiceList)]
struct List<'a> {
    /// The invoices, newest first.
    data: Vec<Item<'a>>,
    /// Whether there are older ones.
    has_more: bool,
    /// What to send as `cursor` for the next page; `null` where there is none.
    next_cursor: Option<String>,
    /// Up to which moment each chain is known.
    as_of: Vec<AsOf>,
}

/// An invoice in a list.
#[derive(Serialize, ToSchema)]
#[schema(as = InvoiceItem)]
struct Item<'a> {
    /// The invoice.
    invoice: Invoice<'a>,
    /// Its wallet.
    wallet: Wallet<'a>,
}

/// What a list can be narrowed to: the parameters that [`filter`] reads.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code)]
pub(crate) struct FilterParams {
    /// Where it stands; may be given several times for one of several.
    status: Option<Vec<document::InvoiceStatus>>,
    /// From this moment on.
    #[param(value_type = Option<String>, format = DateTime)]
    created_after: Option<String>,
    /// Before this moment.
    #[param(value_type = Option<String>, format = DateTime)]
    created_before: Option<String>,
    /// Exactly this customer's.
    #[param(max_length = 512, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$")]
    customer_email: Option<String>,
    /// Exactly this number.
    #[param(max_length = 512, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$")]
    invoice_number: Option<String>,
    /// Where its wallet stands.
    wallet_status: Option<document::WalletStatus>,
    /// Exactly this category.
    #[param(max_length = 512, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$")]
    category: Option<String>,
}

/// List invoices
///
/// Newest first. Following `next_cursor` shows every older invoice once, whatever is made meanwhile.
#[utoipa::path(get, path = "/api/invoices", operation_id = "list_invoices", tag = "Invoices", params(FilterParams, PageParams),
    responses((status = 200, description = "A page", body = List)))]
pub(crate) async fn list(State(app): State<Arc<App>>, key: Key, mut params: Params) -> Result<Reply, Problem> {
    let filter = filter(&mut params)?;
    let after: Option<After> = params.cursor()?;
    let limit = params.limit(DEFAULT_LIMIT, MAX_LIMIT)?;
    params.finish()?;
    let mut tx = app.snapshot().await?;
    let tenant_id = key.tenant(&mut tx).await?;
    let (page, chains) = page(&mut tx, &tenant_id, &filter, after.as_ref(), limit).await?;
    let next_cursor = page.has_more.then(|| page.found.last().map(place)).flatten().map(|after| after.encode());
    let item = |found| Ok::<_, Problem>(Item { invoice: Found::invoice(found, &app)?, wallet: Found::wallet(found)? });
    let as_of: Vec<AsOf> = chains.iter().map(AsOf::of).collect();
    let data = page.found.iter().map(item).collect::<Result<_, _>>()?;
    reply::json(StatusCode::OK, &List { data, has_more: page.has_more, next_cursor, as_of: as_of.clone() }, &as_of)
}

/// Some invoices of a list.
pub(crate) struct Page {
    pub(crate) found: Vec<Found>,
    pub(crate) has_more: bool,
}

/// Where an invoice stands in the list.
pub(crate) fn place(found: &Found) -> After {
    After { created_at: found.view.created_at, id: found.view.id.clone() }
}

/// What a list is narrowed to.
pub(crate) fn filter(params: &mut Params) -> Result<Filter, Problem> {
    Ok(Filter {
        statuses: params.words("status", InvoiceStatus::ALL)?,
        created_after: params.moment("created_after")?,
        created_before: params.moment("created_before")?,
        customer_email: params.text("customer_email")?,
        number: params.text("invoice_number")?,
        wallet_status: params.word("wallet_status", WalletStatus::ALL)?,
        category: params.text("category")?,
    })
}

/// The next `limit` invoices, and how far each chain is known.
pub(crate) async fn page(
    db: &mut PgConnection,
    tenant_id: &str,
    filter: &Filter,
    after: Option<&After>,
    limit: u32,
) -> Result<(Page, Arc<[Mirror]>), Problem> {
    let chains: Arc<[Mirror]> = store::chain::all(db).await?.into();
    let mut views = store::invoices::list(db, tenant_id, filter, after, limit.saturating_add(1)).await?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = views.len() > limit;
    views.truncate(limit);
    let found = views.into_iter().map(|view| Found::of(view, chains.clone())).collect();
    Ok((Page { found, has_more }, chains))
}
