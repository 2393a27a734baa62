//! `GET /metrics`: numbers for whoever watches, in the text format of Prometheus. Nothing in a label says who a tenant,
//! a customer or an invoice is, and a label has only values that we know: a client must not be able to make new ones.

use crate::App;
use crate::problem::{Code, Problem};
use axum::extract::State;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::intent::{IntentKind, IntentState};
use domain::tier::Tier;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::watch::Numbers;
use tokio::sync::Mutex;

/// How old an answer may be. However often somebody asks, the database is asked no more often than this.
const FRESH: Duration = Duration::from_secs(1);

/// The upper bounds of the histogram, in seconds.
const BUCKETS: [f64; 11] = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

const TEXT: HeaderValue = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

type Labels<const N: usize> = [(&'static str, String); N];

/// Which limit refused something.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    Connections,
    Requests,
    Rate,
    Uri,
    Headers,
}

impl Limit {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Requests => "requests",
            Self::Rate => "rate",
            Self::Uri => "uri",
            Self::Headers => "headers",
        }
    }
}

#[derive(Clone)]
struct Buckets;

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(BUCKETS)
    }
}

/// Everything that is counted or measured.
pub(crate) struct Metrics {
    registry: Registry,
    /// The last answer and when it was made. The lock lets one at a time ask the database.
    last: Mutex<Option<(Instant, String)>>,
    requests: Family<Labels<3>, Counter>,
    seconds: Family<Labels<2>, Histogram, Buckets>,
    in_flight: Gauge,
    connections: Gauge,
    refused: Family<Labels<1>, Counter>,
    database_up: Gauge,
    block: Family<Labels<2>, Gauge>,
    lag: Family<Labels<1>, Gauge>,
    intents: Family<Labels<2>, Gauge>,
    oldest: Family<Labels<1>, Gauge>,
    attempts: Gauge,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("monay"),
            last: Mutex::new(None),
            requests: Family::default(),
            seconds: Family::new_with_constructor(Buckets),
            in_flight: Gauge::default(),
            connections: Gauge::default(),
            refused: Family::default(),
            database_up: Gauge::default(),
            block: Family::default(),
            lag: Family::default(),
            intents: Family::default(),
            oldest: Family::default(),
            attempts: Gauge::default(),
        };
        let all = &mut metrics.registry;
        all.register("http_requests", "Requests answered", metrics.requests.clone());
        let help = "From the first byte after the headers to the answer";
        all.register_with_unit("http_request_duration", help, Unit::Seconds, metrics.seconds.clone());
        all.register("http_requests_in_flight", "Requests in work", metrics.in_flight.clone());
        all.register("http_connections", "Open connections", metrics.connections.clone());
        all.register("http_refused", "What a limit refused", metrics.refused.clone());
        all.register("database_up", "Whether the database answers: 1 or 0", metrics.database_up.clone());
        all.register("chain_block", "The mirror's block of a tier", metrics.block.clone());
        let help = "How far the mirror's highest block is behind the database's clock";
        all.register_with_unit("chain_lag", help, Unit::Seconds, metrics.lag.clone());
        all.register("intents", "Intents that are not final and not superseded", metrics.intents.clone());
        let help = "Age of the oldest intent that waits, and of the oldest signed transaction that is not final";
        all.register_with_unit("intent_oldest", help, Unit::Seconds, metrics.oldest.clone());
        all.register("attempts_open", "Signed transactions that are not final", metrics.attempts.clone());
        metrics
    }

    pub(crate) fn begin(&self) {
        self.in_flight.inc();
    }

    /// The request is answered, or its client is gone.
    pub(crate) fn end(&self) {
        self.in_flight.dec();
    }

    pub(crate) fn answered(&self, method: &'static str, route: &str, status: StatusCode, took: Duration) {
        let route = || ("route", route.to_owned());
        let method = || ("method", method.to_owned());
        self.requests.get_or_create(&[method(), route(), ("status", status.as_str().to_owned())]).inc();
        self.seconds.get_or_create(&[method(), route()]).observe(took.as_secs_f64());
    }

    pub(crate) fn refused(&self, limit: Limit) {
        self.refused.get_or_create(&[("limit", limit.as_str().to_owned())]).inc();
    }

    pub(crate) fn connections(&self, open: usize) {
        self.connections.set(i64::try_from(open).unwrap_or(i64::MAX));
    }

    fn set(&self, numbers: Option<&Numbers>) {
        self.database_up.set(i64::from(numbers.is_some()));
        for family in [&self.block, &self.intents] {
            family.clear();
        }
        for family in [&self.lag, &self.oldest] {
            family.clear();
        }
        let Some(numbers) = numbers else { return };
        for chain in &numbers.chains {
            let name = || ("chain", chain.name.clone());
            for (tier, block) in [(Tier::Seen, chain.seen), (Tier::Safe, chain.safe), (Tier::Final, chain.final_)] {
                self.block.get_or_create(&[name(), ("tier", tier.as_str().to_owned())]).set(block);
            }
            self.lag.get_or_create(&[name()]).set(chain.lag);
        }
        // Those that are none are said too: an alarm cannot tell "none" from "not there".
        let counted = |state: &IntentState| !matches!(state, IntentState::Final | IntentState::Superseded);
        for kind in IntentKind::ALL {
            for state in IntentState::ALL.iter().filter(|state| counted(state)) {
                let number = numbers.intents.iter().find(|(a, b, _)| (a, b) == (kind, state));
                let labels = [("kind", kind.as_str().to_owned()), ("state", state.as_str().to_owned())];
                self.intents.get_or_create(&labels).set(number.map_or(0, |(_, _, number)| *number));
            }
        }
        for (stage, age) in [("waiting", numbers.oldest_waiting), ("in_flight", numbers.oldest_in_flight)] {
            self.oldest.get_or_create(&[("stage", stage.to_owned())]).set(age);
        }
        self.attempts.set(numbers.attempts_open);
    }
}

/// The method, if it is one that anybody uses.
pub(crate) fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// Numbers for Prometheus
///
/// Requests, limits, the mirror of the chain and what the keeper has not done yet. The names are in `docs/OPERATIONS.md`.
/// Where the configuration does not say `api.metrics = true` there is no such route.
#[utoipa::path(get, path = "/metrics", tag = "Operation",
    responses((status = 200, description = "OpenMetrics text", body = String, content_type = "application/openmetrics-text")))]
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    if !app.serves_metrics {
        return Err(Problem::new(Code::NotFound, "Metrics are switched off: api.metrics in the configuration."));
    }
    let mut last = app.metrics.last.lock().await;
    let text = match &*last {
        Some((at, text)) if at.elapsed() < FRESH => text.clone(),
        _ => {
            let numbers = numbers(&app).await;
            app.metrics.set(numbers.as_ref());
            let mut text = String::new();
            encode(&mut text, &app.metrics.registry).map_err(|_| Problem::internal())?;
            *last = Some((Instant::now(), text.clone()));
            text
        }
    };
    Ok(([(header::CONTENT_TYPE, TEXT)], text).into_response())
}

/// `None` if the database is away: that is a number too.
async fn numbers(app: &App) -> Option<Numbers> {
    let mut tx = app.snapshot().await.ok()?;
    let numbers = store::watch::numbers(&mut tx).await;
    numbers.inspect_err(|error| tracing::error!(%error, "no numbers from the database")).ok()
}
