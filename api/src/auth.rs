//! API keys: shown once, stored as their SHA-256.

use crate::problem::{Code, Problem};
use crate::{App, Error};
use alloy_primitives::B256;
use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use store::PgConnection;

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

/// The hash of the key a request came with. Whether it is anyone's is for [`Key::tenant`] to say.
pub(crate) struct Key(B256);

impl Key {
    /// The tenant the key belongs to.
    pub(crate) async fn tenant(&self, db: &mut PgConnection) -> Result<String, Problem> {
        store::tenants::of_key(db, self.0)
            .await?
            .ok_or_else(|| Problem::new(Code::Unauthorized, "The API key is not known, or was revoked."))
    }
}

impl FromRequestParts<Arc<App>> for Key {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Problem> {
        let missing = || {
            let detail = "Send your API key in a header: `Authorization: Bearer mk_test_…`.";
            Problem::new(Code::Unauthorized, detail)
        };
        let header = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).ok_or_else(missing)?;
        let (scheme, key) = header.split_once(' ').ok_or_else(missing)?;
        let key = key.trim();
        if !scheme.eq_ignore_ascii_case("bearer") || key.is_empty() {
            return Err(missing());
        }
        Ok(Self(hash_api_key(key)))
    }
}
