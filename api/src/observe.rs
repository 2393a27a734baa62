//! Around every request: its id, its span in the log, its time limit, and the headers every answer has.

use crate::problem::{Code, Problem};
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::time::{Duration, Instant};
use tracing::{Instrument, Span, field};

/// How long a request may take, its body included.
const TIME_LIMIT: Duration = Duration::from_secs(10);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

pub(crate) async fn observe(request: Request, next: Next) -> Response {
    let id = request.headers().get(REQUEST_ID).filter(|id| is_plain(id)).cloned().unwrap_or_else(new_id);
    // The route, not the path: pay links and what people type by mistake are not for the log.
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str);
    let span = tracing::info_span!(
        "request",
        id = id.to_str().unwrap_or_default(),
        method = %request.method(),
        route,
        invoice = field::Empty
    );
    async move {
        let begin = Instant::now();
        let answered = tokio::time::timeout(TIME_LIMIT, next.run(request)).await;
        let mut response = answered.unwrap_or_else(|_| {
            tracing::error!(seconds = TIME_LIMIT.as_secs(), "timed out");
            Problem::new(Code::Timeout, format!("There was no answer within {} seconds.", TIME_LIMIT.as_secs()))
                .into_response()
        });
        finish(&mut response, id);
        let (status, ms) = (response.status().as_u16(), begin.elapsed().as_millis());
        tracing::info!(status, ms, "answered");
        response
    }
    .instrument(span)
    .await
}

/// Notes in the request's span which invoice it is about.
pub(crate) fn about(invoice_id: &str) {
    Span::current().record("invoice", invoice_id);
}

fn finish(response: &mut Response, id: HeaderValue) {
    let empty = response.status() == StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if !empty {
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
}

/// What a caller may choose as an id: short, and nothing that could end a line of the log.
fn is_plain(id: &HeaderValue) -> bool {
    let bytes = id.as_bytes();
    (1..=64).contains(&bytes.len()) && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}

fn new_id() -> HeaderValue {
    let id = format!("req_{}", uuid::Uuid::now_v7().simple());
    HeaderValue::from_str(&id).unwrap_or(HeaderValue::from_static("none"))
}
