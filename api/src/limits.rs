//! What one process takes on at once. Everything here can be had by anybody who can reach the port, so each has a limit
//! above which the answer is quick and cheap: who floods the service must not make it slow for others.

use crate::Error;
use crate::metrics::{Limit, Metrics};
use crate::problem::{Code, Problem};
use alloy_primitives::B256;
use axum::extract::Request;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use time::Date;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The route that always has an answer: whoever asks whether the process lives must not hear "too busy".
const ALWAYS: &str = "/health";

/// From how many keys on those are forgotten that have not called lately.
const FORGET_FROM: usize = 10_000;

/// The limits of one process, each with a default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Open connections. One more is told 503 and closed.
    pub connections: usize,
    /// Requests in work at the same time. One more is told 503 at once; `/health` is always answered.
    pub requests: usize,
    /// Requests per second of one API key, in the long run. Above it: 429.
    pub per_second: u32,
    /// Requests that one API key may make at once after it was silent.
    pub burst: u32,
    /// Bytes of a request's path and query.
    pub uri_bytes: usize,
    /// Bytes of a request's query.
    pub query_bytes: usize,
    /// Bytes of a request's headers, names and values.
    pub header_bytes: usize,
    /// Milliseconds until a request's headers must be there, counted from the connection or the last answer. Then the
    /// connection is cut.
    pub header_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            requests: 256,
            per_second: 100,
            burst: 200,
            uri_bytes: 8 * 1024,
            query_bytes: 4 * 1024,
            header_bytes: 16 * 1024,
            header_ms: 10_000,
        }
    }
}

impl Limits {
    /// A limit of nothing would refuse everybody.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let smallest = [
            ("connections", self.connections, 1),
            ("requests", self.requests, 1),
            ("per_second", self.per_second as usize, 1),
            ("burst", self.burst as usize, 1),
            ("uri_bytes", self.uri_bytes, 256),
            ("query_bytes", self.query_bytes, 256),
            ("header_bytes", self.header_bytes, 1024),
            ("header_ms", usize::try_from(self.header_ms).unwrap_or(usize::MAX), 100),
        ];
        match smallest.into_iter().find(|(_, value, least)| value < least) {
            Some((name, value, least)) => Err(Error::Limit { name, value, least }),
            None => Ok(()),
        }
    }

    /// Where hyper stops reading, with an answer of its own: what we refuse below that gets one that says why.
    pub(crate) fn hard_header_bytes(&self) -> usize {
        self.uri_bytes.saturating_add(self.header_bytes.saturating_mul(2)).saturating_add(8 * 1024)
    }
}

/// Lets in what is within the limits.
pub(crate) struct Gate {
    pub(crate) limits: Limits,
    connections: Arc<Semaphore>,
    requests: Arc<Semaphore>,
    keys: Mutex<HashMap<B256, Caller>>,
    metrics: Arc<Metrics>,
}

/// A key that is known to be somebody's.
struct Caller {
    rate: Rate,
    /// The day of which it is noted that the key was used.
    noted: Option<Date>,
}

impl Gate {
    pub(crate) fn new(limits: Limits, metrics: Arc<Metrics>) -> Self {
        let connections = Arc::new(Semaphore::new(limits.connections));
        let requests = Arc::new(Semaphore::new(limits.requests));
        Self { limits, connections, requests, keys: Mutex::default(), metrics }
    }

    /// A place for one more connection.
    pub(crate) fn connection(&self) -> Option<OwnedSemaphorePermit> {
        let place = self.connections.clone().try_acquire_owned().ok();
        if place.is_none() {
            self.metrics.refused(Limit::Connections);
        }
        place
    }

    /// A place for one more request, held until it is answered; `None` where none is needed.
    pub(crate) fn enter(&self, request: &Request, route: &str) -> Result<Option<OwnedSemaphorePermit>, Problem> {
        self.size(request)?;
        if route == ALWAYS {
            return Ok(None);
        }
        let place = self.requests.clone().try_acquire_owned().map_err(|_| {
            self.metrics.refused(Limit::Requests);
            Problem::new(Code::Overloaded, "Too many requests are in work just now.").retry_after(1)
        })?;
        Ok(Some(place))
    }

    fn size(&self, request: &Request) -> Result<(), Problem> {
        let uri = request.uri();
        let query = uri.query().map_or(0, str::len);
        let length = uri.path().len().saturating_add(query);
        if length > self.limits.uri_bytes || query > self.limits.query_bytes {
            self.metrics.refused(Limit::Uri);
            let (most, most_query) = (self.limits.uri_bytes, self.limits.query_bytes);
            let detail = format!("Path and query may have {most} bytes together, the query {most_query}.");
            return Err(Problem::new(Code::UriTooLong, detail));
        }
        let headers = request.headers().iter();
        let bytes: usize = headers.map(|(name, value)| name.as_str().len().saturating_add(value.len())).sum();
        if bytes > self.limits.header_bytes {
            self.metrics.refused(Limit::Headers);
            let most = self.limits.header_bytes;
            let detail = format!("The headers have {bytes} bytes, may have {most}.");
            return Err(Problem::new(Code::HeadersTooLarge, detail));
        }
        Ok(())
    }

    /// Counts a request against its key, if the key is known to be somebody's. Keys that are made up are not counted:
    /// the database refuses them, and remembering them would let anybody fill our memory.
    pub(crate) fn count(&self, key: B256) -> Result<(), Problem> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(caller) = keys.get_mut(&key) else { return Ok(()) };
        caller.rate.take(Instant::now(), &self.limits).map_err(|wait| {
            self.metrics.refused(Limit::Rate);
            let seconds = wait.as_secs().saturating_add(1);
            let detail = format!("This API key may make {} requests per second.", self.limits.per_second);
            Problem::new(Code::TooManyRequests, detail).retry_after(seconds)
        })
    }

    /// The key has turned out to be somebody's; whether its use is still to be noted for today.
    pub(crate) fn known(&self, key: B256, today: Date) -> bool {
        let now = Instant::now();
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= FORGET_FROM {
            keys.retain(|_, caller| !caller.rate.is_idle(now));
        }
        let caller = keys.entry(key).or_insert_with(|| {
            let mut rate = Rate { due: now };
            // The request that made it known counts too.
            let _ = rate.take(now, &self.limits);
            Caller { rate, noted: None }
        });
        caller.noted.replace(today) != Some(today)
    }
}

/// A token bucket, as the time at which it will be full again.
struct Rate {
    due: Instant,
}

impl Rate {
    /// Takes one token, or says how long to wait for it.
    fn take(&mut self, now: Instant, limits: &Limits) -> Result<(), Duration> {
        let one = Duration::from_secs(1) / limits.per_second;
        let full = one.saturating_mul(limits.burst);
        let due = self.due.max(now) + one;
        match (due - now).checked_sub(full) {
            None | Some(Duration::ZERO) => {
                self.due = due;
                Ok(())
            }
            Some(wait) => Err(wait),
        }
    }

    fn is_idle(&self, now: Instant) -> bool {
        self.due <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_so_many_per_second() {
        let limits = Limits { per_second: 4, burst: 3, ..Limits::default() };
        let begin = Instant::now();
        let at = |ms| begin + Duration::from_millis(ms);
        let mut rate = Rate { due: begin };
        // Milliseconds from the beginning, and how long to wait.
        for (now, wait) in
            [(0, 0), (0, 0), (0, 0), (0, 250), (100, 150), (250, 0), (250, 250), (750, 0), (750, 0), (751, 249)]
        {
            let wait = if wait == 0 { Ok(()) } else { Err(Duration::from_millis(wait)) };
            assert_eq!(rate.take(at(now), &limits), wait, "at {now} ms");
        }
        // Silence fills the bucket, and no further.
        for (now, good) in [(10_000, true), (10_000, true), (10_000, true), (10_000, false)] {
            assert_eq!(rate.take(at(now), &limits).is_ok(), good, "at {now} ms");
        }
    }

    #[test]
    fn a_limit_that_refuses_everybody_is_refused() {
        assert!(Limits::default().check().is_ok());
        for limits in [
            Limits { connections: 0, ..Limits::default() },
            Limits { requests: 0, ..Limits::default() },
            Limits { per_second: 0, ..Limits::default() },
            Limits { header_ms: 99, ..Limits::default() },
        ] {
            assert!(limits.check().unwrap_err().to_string().contains("api.limits."));
        }
    }
}
