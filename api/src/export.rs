//! `GET /api/invoices/export`: all of the tenant's invoices with everything that is needed to do without us, one JSON
//! object a line.

use crate::App;
use crate::auth::Key;
use crate::list::{self, FilterParams, Page};
use crate::params::{Cursor, Params};
use crate::problem::Problem;
use crate::reply::{self, AsOf, LAG};
use crate::view::{Answer, Found};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, StreamExt};
use serde::Serialize;
use std::io;
use std::sync::Arc;
use store::invoices::{After, Filter};
use utoipa::ToSchema;

/// How many invoices are read at once. Between the pages no database connection is held, however slowly the reader reads.
const PAGE: u32 = 100;

/// The most that can be asked for at once. Who asks for no limit gets everything.
const MAX_LIMIT: u32 = 1_000_000;

/// A line: the invoice as `GET /api/invoices/{id}` tells it, and where to go on.
#[derive(Serialize, ToSchema)]
#[schema(as = ExportLine)]
struct Line<'a> {
    /// What to send as `cursor` to go on behind this line.
    cursor: String,
    /// The invoice with wallet, terms, words and transactions.
    #[serde(flatten)]
    invoice: Answer<'a>,
}

/// What is still to be told.
struct Export {
    app: Arc<App>,
    tenant_id: String,
    filter: Filter,
    after: Option<After>,
    left: u32,
}

/// Export all invoices
///
/// Each with everything that is needed to do without us, one JSON object a line, newest first. Who asks for no `limit` gets
/// all of them. Where the connection ends in the middle, go on with the `cursor` of the last whole line.
#[utoipa::path(get, path = "/api/invoices/export", operation_id = "export_invoices", tag = "Invoices",
    params(
        FilterParams,
        ("cursor" = Option<String>, Query, description = "The `cursor` of the line to go on behind", max_length = 512),
        ("limit" = Option<u32>, Query, description = "The most lines", minimum = 1, maximum = 1000000),
    ),
    responses((status = 200, description = "One a line", body = Line, content_type = "application/x-ndjson")))]
pub(crate) async fn export(State(app): State<Arc<App>>, key: Key, mut params: Params) -> Result<Response, Problem> {
    let filter = list::filter(&mut params)?;
    let after = params.cursor()?;
    let left = params.limit(MAX_LIMIT, MAX_LIMIT)?;
    params.finish()?;
    let mut tx = app.snapshot().await?;
    let tenant_id = key.tenant(&mut tx).await?;
    let chains: Vec<AsOf> = store::chain::all(&mut tx).await?.iter().map(AsOf::of).collect();
    drop(tx);
    let mut export = Export { app, tenant_id, filter, after, left };
    // The first page before the first word: what is wrong from the beginning is told as a problem.
    let first = export.next().await?;
    let more = first.1.then_some(export);
    let rest = stream::unfold(more, |export| async {
        let mut export = export?;
        match export.next().await {
            Ok((lines, more)) => Some((Ok(lines), more.then_some(export))),
            // The reader must not take what there is for everything: the connection ends in the middle.
            Err(problem) => Some((Err(io::Error::other(problem.code().as_str())), None)),
        }
    });
    let body = Body::from_stream(stream::iter([Ok(first.0)]).chain(rest));
    let kind = HeaderValue::from_static("application/x-ndjson");
    let mut response = (StatusCode::OK, [(header::CONTENT_TYPE, kind)], body).into_response();
    if let Some(lag) = reply::lag(&chains) {
        response.headers_mut().insert(LAG, HeaderValue::from(lag));
    }
    Ok(response)
}

impl Export {
    /// The next lines, and whether there are more.
    async fn next(&mut self) -> Result<(Vec<u8>, bool), Problem> {
        let limit = self.left.min(PAGE);
        let mut tx = self.app.snapshot().await?;
        let (Page { found, has_more }, _) =
            list::page(&mut tx, &self.tenant_id, &self.filter, self.after.as_ref(), limit).await?;
        drop(tx);
        let mut lines = Vec::new();
        for found in &found {
            lines.extend(self.line(found)?);
            lines.push(b'\n');
        }
        self.after = found.last().map(list::place).or(self.after.take());
        self.left -= limit;
        Ok((lines, has_more && self.left > 0))
    }

    fn line(&self, found: &Found) -> Result<Vec<u8>, Problem> {
        reply::bytes(&Line { cursor: list::place(found).encode(), invoice: found.whole(&self.app)? })
    }
}
