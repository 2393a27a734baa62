//! `GET /api/invoices/{id}/events` and `GET /api/events`: what has happened, in an order that can be replayed.
//!
//! Events of one invoice are numbered without gaps. All events of a tenant are told in the order of the transactions that
//! wrote them, and none before every older transaction has ended: who goes on from the last cursor never misses one.

use crate::App;
use crate::auth::Key;
use crate::invoices::{self, Segment};
use crate::params::{Cursor, DEFAULT_LIMIT, MAX_LIMIT, PageParams, Params, Place, Sequence};
use crate::problem::Problem;
use crate::reply::{self, AsOf, Reply};
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// Some events, the oldest first.
#[derive(Serialize, ToSchema)]
struct Events {
    /// The events.
    data: Vec<Event>,
    /// Whether more are there already.
    has_more: bool,
    /// What to send as `cursor` to go on, now or whenever something new has happened; `null` before the first event.
    next_cursor: Option<String>,
    /// Up to which moment each chain is known.
    as_of: Vec<AsOf>,
}

/// Something that has happened to an invoice.
#[derive(Serialize, ToSchema)]
struct Event {
    /// Its id: the same whenever it is told.
    id: String,
    /// `invoice.created`, `invoice.paid`, … or `invoice.updated` where the status is the same.
    r#type: String,
    /// The invoice.
    invoice_id: String,
    /// Its number among the invoice's events, from 0, without gaps.
    sequence: u64,
    /// When it was written.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// What was so after it.
    #[schema(value_type = Object)]
    data: Value,
}

/// The events of an invoice
///
/// Numbered without gaps, the oldest first. The last `next_cursor` waits for what comes next.
#[utoipa::path(get, path = "/api/invoices/{id}/events", operation_id = "invoice_events", tag = "Events",
    params(("id" = String, Path, description = "The invoice's id, or your number of it", example = "INV-2026-000001"), PageParams),
    responses((status = 200, description = "Some of them", body = Events)))]
pub(crate) async fn of_invoice(
    State(app): State<Arc<App>>,
    key: Key,
    id: Segment,
    mut params: Params,
) -> Result<Reply, Problem> {
    let after: Option<Sequence> = params.cursor()?;
    let limit = params.limit(DEFAULT_LIMIT, MAX_LIMIT)?;
    params.finish()?;
    let mut tx = app.snapshot().await?;
    let tenant_id = key.tenant(&mut tx).await?;
    let found = invoices::found(&mut tx, &tenant_id, id).await?;
    let sequence = after.map(|Sequence(sequence)| sequence);
    let events = store::events::of_invoice(&mut tx, &tenant_id, &found.view.id, sequence, limit + 1).await?;
    answer(events, limit, after, |event| Sequence(event.sequence), found.as_of())
}

/// All events
///
/// In the order in which they were committed: who goes on from the last `next_cursor` never misses one, and who begins anew
/// reads the same again.
#[utoipa::path(get, path = "/api/events", operation_id = "events", tag = "Events", params(PageParams),
    responses((status = 200, description = "Some of them", body = Events)))]
pub(crate) async fn of_tenant(State(app): State<Arc<App>>, key: Key, mut params: Params) -> Result<Reply, Problem> {
    let after: Option<Place> = params.cursor()?;
    let limit = params.limit(DEFAULT_LIMIT, MAX_LIMIT)?;
    params.finish()?;
    let mut tx = app.snapshot().await?;
    let tenant_id = key.tenant(&mut tx).await?;
    let Place(place) = after.unwrap_or(Place((0, 0)));
    let events = store::events::of_tenant(&mut tx, &tenant_id, place, limit + 1).await?;
    let as_of = store::chain::all(&mut tx).await?.iter().map(AsOf::of).collect();
    answer(events, limit, after, |event| Place(event.place), as_of)
}

/// The first `limit` of what was found; one more only shows that there are more.
fn answer<C: Cursor>(
    mut events: Vec<store::events::Event>,
    limit: u32,
    after: Option<C>,
    place: impl Fn(&store::events::Event) -> C,
    as_of: Vec<AsOf>,
) -> Result<Reply, Problem> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = events.len() > limit;
    events.truncate(limit);
    let next_cursor = events.last().map(place).or(after).map(|cursor| cursor.encode());
    let data = events.into_iter().map(Event::of).collect();
    let answer = Events { data, has_more, next_cursor, as_of };
    reply::json(StatusCode::OK, &answer, &answer.as_of)
}

impl Event {
    fn of(event: store::events::Event) -> Self {
        let store::events::Event { invoice_id, sequence, kind, body, created_at, .. } = event;
        let id = format!("evt_{}_{sequence}", invoice_id.trim_start_matches("inv_"));
        Self { id, r#type: kind, invoice_id, sequence, created_at, data: body }
    }
}
