//! One request and its answer: who is let in, how long is waited, and what an answer says about what was done.

use super::Config;
use crate::{Error, FieldError};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, LINK, RETRY_AFTER};
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use uuid::Uuid;

/// The most bytes of an answer: several times the biggest page there is.
const MAX_ANSWER_BYTES: usize = 8 << 20;

/// Circle's code for an idempotency key that belongs to another request.
const KEY_BOUND: i64 = 1083;

/// Circle's code for a mistake of its own.
const TRANSIENT: i64 = -1;

/// A door to Circle. Clones share its limits.
#[derive(Clone)]
pub(super) struct Door(Arc<Inner>);

struct Inner {
    http: reqwest::Client,
    base: Url,
    authorization: HeaderValue,
    permits: Semaphore,
    tries: u32,
    backoff: Duration,
    longest_backoff: Duration,
}

/// A good answer.
pub(super) struct Answer {
    bytes: Vec<u8>,
    /// What the `Link` header says of the page that follows: its `pageAfter`, or that there is none. None: no such header.
    pub(super) next: Option<Option<String>>,
}

#[derive(Deserialize)]
struct Data<T> {
    data: T,
}

impl Answer {
    /// What is in the envelope.
    pub(super) fn data<T: DeserializeOwned>(&self) -> Result<T, Error> {
        self.whole::<Data<T>>().map(|envelope| envelope.data)
    }

    /// The answer without an envelope.
    pub(super) fn whole<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.bytes).map_err(|error| Error::Nonsense(error.to_string()))
    }
}

/// Circle's words for what is wrong. All of it optional: what comes without a code is not from Circle itself.
#[derive(Default, Deserialize)]
struct Complaint {
    code: Option<Value>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    errors: Vec<RawFieldError>,
}

#[derive(Deserialize)]
struct RawFieldError {
    #[serde(default)]
    error: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    location: String,
}

impl Door {
    pub(super) fn new(config: &Config) -> Result<Self, Error> {
        let wrong = |what: &str| Error::Configuration(format!("Circle: {what}"));
        // Set once for the process; a second time is refused and harmless.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let base: Url = config.base_url.parse().map_err(|error| wrong(&format!("its URL is none: {error}")))?;
        if base.cannot_be_a_base() || !base.username().is_empty() || base.query().is_some() {
            return Err(wrong("its URL must be scheme and host only"));
        }
        // The key would be readable by everybody on the way.
        if base.scheme() != "https" && !is_loopback(&base) {
            return Err(wrong("its URL must begin with https"));
        }
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", config.api_key.0))
            .map_err(|_| wrong("the API key has characters that cannot be sent"))?;
        authorization.set_sensitive(true);
        // A redirect would take the key, and maybe the order, elsewhere.
        let http = reqwest::Client::builder().timeout(config.timeout).redirect(reqwest::redirect::Policy::none());
        let http = http.build().map_err(|error| wrong(&format!("no HTTP client: {error}")))?;
        Ok(Self(Arc::new(Inner {
            http,
            base,
            authorization,
            permits: Semaphore::new(config.concurrency.max(1)),
            tries: config.rate_limit_retries.saturating_add(1),
            backoff: config.backoff,
            longest_backoff: config.longest_backoff,
        })))
    }

    pub(super) async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Answer, Error> {
        self.call(Method::GET, path, query, None).await
    }

    pub(super) async fn delete(&self, path: &str) -> Result<Answer, Error> {
        self.call(Method::DELETE, path, &[], None).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Answer, Error> {
        self.call(Method::POST, path, &[], Some(body)).await
    }

    /// Only "too many requests" is tried again here: it says that nothing was done. What is unknown is for the caller, who
    /// has the key.
    async fn call(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer, Error> {
        let Inner { permits, tries, backoff, longest_backoff, .. } = &*self.0;
        // It is kept while we wait: whoever is told to slow down slows down the others too.
        let _permit = permits.acquire().await.map_err(|_| Error::Unreachable("the client is closed".to_owned()))?;
        for attempt in 0..*tries {
            match self.attempt(&method, path, query, body).await {
                Err(Error::RateLimited { retry_after, .. }) if attempt + 1 < *tries => {
                    let wait = retry_after.unwrap_or_else(|| backoff.saturating_mul(1 << attempt.min(10)));
                    tokio::time::sleep(wait.min(*longest_backoff)).await;
                }
                result => return result,
            }
        }
        Err(Error::Configuration("Circle: no request is ever tried".to_owned()))
    }

    async fn attempt(
        &self,
        method: &Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer, Error> {
        let Inner { http, base, authorization, .. } = &*self.0;
        let mut url = base.join(path).map_err(|error| Error::Input(format!("'{path}' is no path: {error}")))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let id = Uuid::new_v4();
        let mut request = http
            .request(method.clone(), url)
            .header(AUTHORIZATION, authorization.clone())
            .header("X-Request-Id", id.to_string());
        if let Some(body) = body {
            request = request.json(body);
        }
        let unknown = |error: reqwest::Error| {
            let unsent = error.is_connect() || error.is_builder();
            let words = format!("{method} {path}, request {id}: {}", in_full(&error.without_url()));
            if unsent { Error::Unreachable(words) } else { Error::Unknown(words) }
        };
        let mut answer = request.send().await.map_err(unknown)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut bytes = Vec::new();
        loop {
            // Whatever is wrong from here on: it was sent.
            let chunk = answer.chunk().await.map_err(|error| {
                Error::Unknown(format!("{method} {path}, request {id}: {}", in_full(&error.without_url())))
            })?;
            let Some(chunk) = chunk else { break };
            if bytes.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(Error::Nonsense(format!("{method} {path}: more than {MAX_ANSWER_BYTES} bytes")));
            }
            bytes.extend_from_slice(&chunk);
        }
        if status.is_success() {
            return Ok(Answer { bytes, next: next_page(&headers) });
        }
        let complaint = serde_json::from_slice(&bytes).unwrap_or_default();
        Err(meaning(status, &headers, complaint, &format!("{method} {path}, request {id}")))
    }
}

/// What an answer that is no success says.
fn meaning(status: StatusCode, headers: &HeaderMap, complaint: Complaint, what: &str) -> Error {
    let code = complaint.code.as_ref().and_then(|code| code.as_i64().or_else(|| code.as_str()?.parse().ok()));
    let message = complaint.message.unwrap_or_else(|| "no reason given".to_owned());
    let message = format!("{message} [{what}]");
    let fields = complaint.errors.into_iter();
    let fields = fields.map(|raw| FieldError { error: raw.error, message: raw.message, location: raw.location });
    match (status.as_u16(), code) {
        (_, Some(TRANSIENT)) | (408 | 425 | 500..=599, _) => Error::Unknown(format!("HTTP {status}: {message}")),
        (429, _) => Error::RateLimited { retry_after: retry_after(headers), message },
        (401 | 403, _) => Error::Unauthorised { status: status.as_u16(), message },
        (400..=499, Some(KEY_BOUND)) => Error::Conflict { code: KEY_BOUND, message },
        // Whatever it is, something else has happened already.
        (409, code) => Error::Conflict { code: code.unwrap_or_default(), message },
        (400..=499, Some(_)) => Error::Refused { status: status.as_u16(), code, message, fields: fields.collect() },
        // No code: somebody between Circle and us said that, and Circle may have done what it was asked to the last time.
        _ => Error::Unknown(format!("HTTP {status}, not in Circle's words: {message}")),
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// The `pageAfter` of the page that follows. Nothing else of that URL is used: it is not for an answer to say where our key
/// is sent.
fn next_page(headers: &HeaderMap) -> Option<Option<String>> {
    let links = headers.get(LINK)?.to_str().ok()?;
    let next = links
        .split(',')
        .find(|link| link.split(';').skip(1).any(|part| matches!(part.trim(), "rel=\"next\"" | "rel=next")));
    let after = next.and_then(|link| {
        let url = link.split(';').next()?.trim().strip_prefix('<')?.strip_suffix('>')?;
        let (_, query) = url.split_once('?')?;
        let after = query.split('&').find_map(|pair| pair.strip_prefix("pageAfter="))?;
        Some(after.to_owned())
    });
    Some(after)
}

/// An error with its causes: the client's own words are only "error sending request".
pub(super) fn in_full(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}

/// Whether a URL leads nowhere but to this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Outcome;

    #[test]
    fn only_circles_own_no_is_proof_of_failure() {
        let said = |status: u16, body: &str| {
            let status = StatusCode::from_u16(status).unwrap();
            meaning(status, &HeaderMap::new(), serde_json::from_str(body).unwrap_or_default(), "POST x").outcome()
        };
        let table = [
            (400, r#"{"code":2,"message":"Invalid entity."}"#, Outcome::Refused),
            (400, r#"{"code":"1093","message":"no funds"}"#, Outcome::Refused),
            (404, r#"{"code":2}"#, Outcome::Refused),
            (400, "<html>a firewall</html>", Outcome::Unknown),
            (404, "", Outcome::Unknown),
            (400, r#"{"code":-1}"#, Outcome::Unknown),
            (400, r#"{"code":1083}"#, Outcome::Unknown),
            (409, r#"{"code":1083}"#, Outcome::Unknown),
            (409, "", Outcome::Unknown),
            (401, r#"{"code":1}"#, Outcome::NotTried),
            (403, "<html>a firewall</html>", Outcome::NotTried),
            (429, "", Outcome::NotTried),
            (408, r#"{"code":2}"#, Outcome::Unknown),
            (500, r#"{"code":-1}"#, Outcome::Unknown),
            (500, r#"{"code":2}"#, Outcome::Unknown),
            (502, "", Outcome::Unknown),
            (302, r#"{"code":2}"#, Outcome::Unknown),
        ];
        for (status, body, outcome) in table {
            assert_eq!(said(status, body), outcome, "{status} {body}");
        }
    }

    #[test]
    fn the_next_page_is_read_from_the_link_header() {
        let read = |link: &str| next_page(&HeaderMap::from_iter([(LINK, HeaderValue::from_str(link).unwrap())]));
        let url = "https://elsewhere.example/v1/x?pageSize=2&pageAfter=abc";
        assert_eq!(next_page(&HeaderMap::new()), None);
        assert_eq!(read(&format!("<{url}>; rel=\"next\"")), Some(Some("abc".to_owned())));
        assert_eq!(
            read(&format!("<https://a/?pageBefore=z>; rel=\"prev\", <{url}>; rel=next")),
            Some(Some("abc".into()))
        );
        assert_eq!(read("<https://a/?pageBefore=z>; rel=\"prev\""), Some(None));
        assert_eq!(read("nonsense"), Some(None));
    }
}
