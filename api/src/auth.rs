//! API keys: shown once, stored as their SHA-256.

use crate::problem::{Code, Problem};
use crate::{App, Error};
use alloy_primitives::B256;
use axum::extract::{FromRequestParts, MatchedPath};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::scope::Scope;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use store::PgConnection;
use time::OffsetDateTime;

/// What every key of the test mode begins with. A leaked key can be told by it, and searched for.
const PREFIX: &str = "mk_test_";

/// A new API key: 192 random bits.
pub fn new_api_key() -> Result<String, Error> {
    let mut bytes = [0; 24];
    getrandom::fill(&mut bytes).map_err(Error::Randomness)?;
    Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)))
}

/// What is stored of an API key. A plain hash is enough: the key is random, nobody can guess their way to it.
pub fn hash_api_key(key: &str) -> B256 {
    B256::from_slice(&Sha256::digest(key.as_bytes()))
}

/// The hash of the key a request came with, and what the route asks of it. Whether it is anyone's, and may do that, is for
/// [`Key::tenant`] to say.
pub(crate) struct Key {
    hash: B256,
    needs: Scope,
    app: Arc<App>,
}

impl Key {
    /// The tenant the key belongs to.
    pub(crate) async fn tenant(&self, db: &mut PgConnection) -> Result<String, Problem> {
        let owner = store::api_keys::owner(db, self.hash).await?;
        let owner =
            owner.ok_or_else(|| Problem::new(Code::Unauthorized, "The API key is not known, or was revoked."))?;
        if self.app.gate.known(self.hash, OffsetDateTime::now_utc().date()) {
            self.note_use();
        }
        if !owner.scopes.contains(&self.needs) {
            let detail = format!("This API key lacks the scope {}.", self.needs);
            return Err(Problem::new(Code::ScopeMissing, detail).with("scope", self.needs.as_str()));
        }
        Ok(owner.tenant_id)
    }

    /// Beside the request: what only reads must not wait for a write, nor fail with it.
    fn note_use(&self) {
        let (app, hash) = (self.app.clone(), self.hash);
        tokio::spawn(async move {
            if let Err(error) = store::api_keys::note_use(&app.store, hash).await {
                tracing::warn!(%error, "the use of an API key was not noted");
            }
        });
    }
}

impl FromRequestParts<Arc<App>> for Key {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let route = parts.extensions.get::<MatchedPath>().map_or("none", MatchedPath::as_str);
        // A route that takes a key and does not say what for is served to nobody.
        let Some(needs) = app.routes.scope(&parts.method, route) else {
            tracing::error!(route, "the list of routes has no scope for it");
            return Err(Problem::internal());
        };
        let missing = || {
            let detail = "Send your API key in a header: `Authorization: Bearer mk_test_…`.";
            Problem::new(Code::Unauthorized, detail)
        };
        let mut headers = parts.headers.get_all(AUTHORIZATION).iter();
        let header = headers.next().and_then(|value| value.to_str().ok()).ok_or_else(missing)?;
        if headers.next().is_some() {
            return Err(Problem::new(Code::Unauthorized, "There are two Authorization headers: send one."));
        }
        let (scheme, key) = header.split_once(' ').ok_or_else(missing)?;
        let key = key.trim();
        if !scheme.eq_ignore_ascii_case("bearer") || key.is_empty() {
            return Err(missing());
        }
        let hash = hash_api_key(key);
        app.gate.count(hash)?;
        app.routes.check_query(&parts.method, route, parts.uri.query())?;
        Ok(Self { hash, needs, app: app.clone() })
    }
}
