//! Around every request: its id, its span in the log, its place among the limits, its time limit, and the headers every
//! answer has.

use crate::App;
use crate::metrics;
use crate::problem::{Code, Problem};
use axum::body::{Body, HttpBody};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::{Instrument, Span, field};

/// How long a request may take, its body included.
const TIME_LIMIT: Duration = Duration::from_secs(10);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Counts a request as in work until it is dropped: its client may go before it is answered.
struct InFlight(Arc<App>);

impl InFlight {
    fn begin(app: &Arc<App>) -> Self {
        app.metrics.begin();
        Self(app.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.metrics.end();
    }
}

pub(crate) async fn observe(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let id = request.headers().get(REQUEST_ID).filter(|id| is_plain(id)).cloned().unwrap_or_else(new_id);
    // The route, not the path: pay links and what people type by mistake are not for the log.
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    let method = metrics::method(request.method());
    let span = tracing::info_span!(
        "request",
        id = id.to_str().unwrap_or_default(),
        method = %request.method(),
        route,
        invoice = field::Empty
    );
    async {
        let begin = Instant::now();
        let counted = InFlight::begin(&app);
        let mut response = match app.gate.enter(&request, route) {
            Ok(place) => held(in_time(next.run(request)).await, (counted, place)),
            Err(problem) => problem.into_response(),
        };
        finish(&mut response, id.clone());
        let (status, took) = (response.status(), begin.elapsed());
        app.metrics.answered(method, route, status, took);
        tracing::info!(status = status.as_u16(), ms = took.as_millis(), "answered");
        response
    }
    .instrument(span)
    .await
}

async fn in_time(answer: impl Future<Output = Response>) -> Response {
    let answered = tokio::time::timeout(TIME_LIMIT, answer).await;
    answered.unwrap_or_else(|_| {
        tracing::error!(seconds = TIME_LIMIT.as_secs(), "timed out");
        Problem::new(Code::Timeout, format!("There was no answer within {} seconds.", TIME_LIMIT.as_secs()))
            .into_response()
    })
}

/// An answer that is made while it is read keeps its place until it ends, or its reader is gone: otherwise a few clients
/// could have any number of exports made at once.
fn held<T: Send + 'static>(response: Response, place: T) -> Response {
    response.map(|body| match body.size_hint().exact() {
        Some(_) => body,
        None => Body::from_stream(body.into_data_stream().map(move |chunk| {
            let _held = &place;
            chunk
        })),
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    #[tokio::test]
    async fn an_answer_that_is_made_while_it_is_read_keeps_its_place_until_it_ends() {
        let place = Arc::new(());
        let others = || Arc::strong_count(&place) - 1;
        let whole = held("whole".into_response(), place.clone());
        assert_eq!(others(), 0, "it is made, and only has to be sent");
        drop(whole);
        let streamed = || Body::from_stream(stream::iter([Ok::<_, std::io::Error>("one"), Ok("two")])).into_response();
        let mut body = held(streamed(), place.clone()).into_body().into_data_stream();
        assert_eq!(body.next().await.unwrap().unwrap(), "one");
        assert_eq!(others(), 1);
        drop(body);
        assert_eq!(others(), 0, "its reader is gone");
        let all = axum::body::to_bytes(held(streamed(), place.clone()).into_body(), 100).await.unwrap();
        assert_eq!((all.as_ref(), others()), (&b"onetwo"[..], 0));
    }
}
