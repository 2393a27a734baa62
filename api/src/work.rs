//! What every POST has in common: whose it is, what it says, and one transaction in which it is carried out once.
//!
//! A handler gets a [`Post`] and has no other way to an answer with effect than [`Work::commit`], which stores the answer
//! together with the work if the caller gave an `Idempotency-Key`. Dropped without it, nothing has happened and nothing
//! is remembered, so that a retry begins anew.

use crate::auth::Key;
use crate::body::JsonBody;
use crate::invoices::{self, Segment};
use crate::problem::{Code, Problem};
use crate::reply::Reply;
use crate::{App, commit};
use alloy_primitives::B256;
use axum::extract::{FromRequest, FromRequestParts, MatchedPath, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;
use store::fault::{self, Point};
use store::idempotency::{self, Answer, Claim, Ticket};
use store::{PgConnection, Tx};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Says that an answer was given before.
const HIT: HeaderName = HeaderName::from_static("idempotency-hit");

/// The longest key, in characters.
pub(crate) const MAX_KEY: usize = 255;

/// The most answers that are kept for one pay link and route: whoever holds the link can ask for them, and each is a row.
const MOST_PER_LINK: u64 = 100;

/// How often, and after how long, a key that is held is tried again: a request that has failed lets go of it a moment
/// after its answer.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(20);

/// What a route can answer because of the key.
pub(crate) const CODES: &[Code] =
    &[Code::IdempotencyKeyMalformed, Code::IdempotencyKeyReused, Code::IdempotencyInProgress];

/// The same under a pay link.
pub(crate) const LINK_CODES: &[Code] = &[Code::TooManyKeys];

/// A POST.
pub(crate) struct Post<C> {
    /// Who asks.
    pub(crate) caller: C,
    /// What for.
    pub(crate) body: JsonBody,
    /// The transaction.
    pub(crate) work: Work,
}

/// A caller with an API key.
pub(crate) struct ByTenant {
    pub(crate) tenant_id: String,
    /// The id in the path, where the route has one.
    pub(crate) id: Segment,
}

/// A caller with a pay link.
pub(crate) struct ByCustomer {
    pub(crate) tenant_id: String,
    pub(crate) invoice_id: String,
}

/// A transaction that ends with an answer, or leaves no trace.
pub(crate) struct Work {
    tx: Tx,
    tenant_id: String,
    ticket: Option<Ticket>,
}

impl Deref for Work {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.tx
    }
}

impl DerefMut for Work {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.tx
    }
}

impl Work {
    /// Commits what was done and, under the caller's key, what is answered; then, and not before, answers.
    pub(crate) async fn commit(mut self, reply: Reply) -> Result<Response, Problem> {
        if let Some(ticket) = &self.ticket {
            let (location, body) = (reply.location.clone(), reply.body.clone());
            let answer = Answer { status: reply.status.as_u16(), location, body };
            idempotency::keep(&mut self.tx, &self.tenant_id, ticket, &answer).await?;
        }
        commit(self.tx).await?;
        fault::crash(Point::AfterCommitBeforeAnswer);
        Ok(reply.into_response())
    }
}

/// Why a handler is not asked.
enum Early {
    Refused(Problem),
    Done(Answer),
}

impl<E: Into<Problem>> From<E> for Early {
    fn from(error: E) -> Self {
        Self::Refused(error.into())
    }
}

impl IntoResponse for Early {
    fn into_response(self) -> Response {
        match self {
            Self::Refused(problem) => problem.into_response(),
            Self::Done(answer) => {
                let mut response = Reply::again(answer).into_response();
                response.headers_mut().insert(HIT, HeaderValue::from_static("true"));
                response
            }
        }
    }
}

impl FromRequest<Arc<App>> for Post<ByTenant> {
    type Rejection = Response;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let begun = async {
            let key = Key::from_request_parts(&mut parts, app).await?;
            let id = Path::from_request_parts(&mut parts, app).await;
            let asked = Asked::read(parts, body, app).await?;
            let mut tx = app.begin().await?;
            let tenant_id = key.tenant(&mut tx).await?;
            let ticket = asked.ticket(&format!("tenant {tenant_id}"), None);
            let work = take(tx, &tenant_id, ticket).await?;
            Ok(Self { caller: ByTenant { tenant_id, id }, body: asked.body, work })
        };
        begun.await.map_err(Early::into_response)
    }
}

impl FromRequest<Arc<App>> for Post<ByCustomer> {
    type Rejection = Response;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let begun = async {
            let link = Path::from_request_parts(&mut parts, app).await;
            let asked = Asked::read(parts, body, app).await?;
            let mut tx = app.begin().await?;
            let view = invoices::by_link(&mut tx, link).await?;
            let (tenant_id, invoice_id) = (view.tenant_id, view.id);
            let ticket = asked.ticket(&format!("invoice {invoice_id}"), Some(MOST_PER_LINK));
            let work = take(tx, &tenant_id, ticket).await?;
            Ok(Self { caller: ByCustomer { tenant_id, invoice_id }, body: asked.body, work })
        };
        begun.await.map_err(Early::into_response)
    }
}

/// What makes a request the same as another.
struct Asked {
    key: Option<String>,
    route: String,
    path: String,
    body: JsonBody,
}

impl Asked {
    async fn read(parts: Parts, body: axum::body::Body, app: &Arc<App>) -> Result<Self, Problem> {
        let mut keys = parts.headers.get_all(KEY).iter();
        let key = match (keys.next(), keys.next()) {
            (None, _) => None,
            (Some(key), None) => Some(plain(key)?),
            (Some(_), Some(_)) => return Err(malformed("was sent twice")),
        };
        let route = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str).to_owned();
        let path = parts.uri.path().to_owned();
        let body = JsonBody::from_request(Request::from_parts(parts, body), app).await?;
        Ok(Self { key, route, path, body })
    }

    fn ticket(&self, whose: &str, most: Option<u64>) -> Option<Ticket> {
        let key = self.key.clone()?;
        let hash = Sha256::new().chain_update(&self.path).chain_update([0]).chain_update(self.body.bytes()).finalize();
        Some(Ticket { scope: format!("{whose} {}", self.route), key, request: B256::from_slice(&hash), most })
    }
}

fn plain(key: &HeaderValue) -> Result<String, Problem> {
    let text = key.to_str().ok().filter(|key| key.bytes().all(|byte| byte.is_ascii_graphic()));
    match text {
        Some(text) if (1..=MAX_KEY).contains(&text.len()) => Ok(text.to_owned()),
        _ => Err(malformed("must be 1 to 255 visible ASCII characters, without spaces")),
    }
}

fn malformed(why: &str) -> Problem {
    Problem::new(Code::IdempotencyKeyMalformed, format!("The header Idempotency-Key {why}."))
}

/// Begins the work, unless it is done or somebody is at it.
async fn take(mut tx: Tx, tenant_id: &str, ticket: Option<Ticket>) -> Result<Work, Early> {
    if let Some(ticket) = &ticket {
        let mut claim = idempotency::claim(&mut tx, ticket).await?;
        for _ in 1..TRIES {
            if claim != Claim::Busy {
                break;
            }
            tokio::time::sleep(PAUSE).await;
            claim = idempotency::claim(&mut tx, ticket).await?;
        }
        match claim {
            Claim::Mine => {}
            Claim::Done(answer) => return Err(Early::Done(answer)),
            Claim::OtherRequest => {
                let detail = "This Idempotency-Key came with another request before. Use a new key for a new request.";
                return Err(Problem::new(Code::IdempotencyKeyReused, detail).into());
            }
            Claim::Busy => {
                let detail =
                    "A request with this Idempotency-Key is being carried out. Send the same again in a moment.";
                return Err(Problem::new(Code::IdempotencyInProgress, detail).retry_after(1).into());
            }
        }
    }
    Ok(Work { tx, tenant_id: tenant_id.to_owned(), ticket })
}
