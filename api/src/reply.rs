//! An answer before it is sent: it can be kept and given again.

use crate::problem::Problem;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use store::chain::Mirror;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// How far the mirror that was asked is behind the wall clock.
pub(crate) const LAG: HeaderName = HeaderName::from_static("monay-lag-seconds");

/// Up to which moment an answer knows a chain.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct AsOf {
    /// The chain's name.
    pub(crate) chain: String,
    /// The highest block that is mirrored.
    pub(crate) block: u64,
    /// That block's time.
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) time: OffsetDateTime,
    /// How far that is behind the wall clock, seconds.
    pub(crate) lag_seconds: u64,
}

impl AsOf {
    pub(crate) fn of(mirror: &Mirror) -> Self {
        let tip = i64::try_from(mirror.tip_timestamp).unwrap_or(i64::MAX);
        let time = OffsetDateTime::from_unix_timestamp(tip).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        Self {
            chain: mirror.deployed.name.clone(),
            block: mirror.heights.seen,
            time,
            lag_seconds: crate::clock::seconds(OffsetDateTime::now_utc() - time),
        }
    }
}

/// The greatest of the lags, seconds; `None` where no chain was asked.
pub(crate) fn lag(as_of: &[AsOf]) -> Option<u64> {
    as_of.iter().map(|chain| chain.lag_seconds).max()
}

/// JSON with its status.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) location: Option<String>,
    pub(crate) body: Vec<u8>,
    lag: Option<u64>,
}

impl Reply {
    /// The answer that was given before, byte for byte.
    pub(crate) fn again(answer: store::idempotency::Answer) -> Self {
        let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
        Self { status, location: answer.location, body: answer.body, lag: None }
    }

    /// Where what was made can be found.
    pub(crate) fn at(mut self, location: String) -> Self {
        self.location = Some(location);
        self
    }
}

/// An answer about what a chain has shown, as of a moment that it names.
pub(crate) fn json(status: StatusCode, body: &impl Serialize, as_of: &[AsOf]) -> Result<Reply, Problem> {
    Ok(Reply { status, location: None, body: bytes(body)?, lag: lag(as_of) })
}

pub(crate) fn bytes(body: &impl Serialize) -> Result<Vec<u8>, Problem> {
    serde_json::to_vec(body).map_err(|error| {
        tracing::error!(%error, "JSON");
        Problem::internal()
    })
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(location) = self.location.and_then(|location| HeaderValue::from_str(&location).ok()) {
            headers.insert(header::LOCATION, location);
        }
        if let Some(lag) = self.lag {
            headers.insert(LAG, HeaderValue::from(lag));
        }
        response
    }
}
