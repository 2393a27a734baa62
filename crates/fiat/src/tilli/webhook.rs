//! Notifications: believed when they are signed, read as far as they make sense, and never the truth. That is the settlement
//! report.

use super::{Algorithm, ClientRequestId, Status, Tilli, TransactionId, amount_in, text_at, words_at};
use crate::Error;
use domain::money::Units;
use ring::{digest, hmac};
use serde_json::Value;
use std::fmt;

/// What a notification is told from others by: its own id, or what its body hashes to. A second one with it is the same one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(String);

impl EventId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A notification that was signed. It says that there is news, so look the payment up. What is missing or not understood is
/// `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Which one it is.
    pub id: EventId,
    /// What it is about, in the gateway's word.
    pub kind: Option<String>,
    /// The gateway's id of the payment.
    pub transaction: Option<TransactionId>,
    /// Our own id of it.
    pub request: Option<ClientRequestId>,
    /// The payment's state, in the gateway's word.
    pub word: Option<String>,
    /// What that means, if it is a known word.
    pub status: Option<Status>,
    /// The amount, in base units of 10⁻⁶ dollar.
    pub amount: Option<Units>,
}

impl Tilli {
    /// Reads a notification: `signature` is what the configured header holds ([`Tilli::signature_header`]), `body` the bytes as
    /// they came. What is not signed by the gateway is [`Error::Forged`]; answer 401 then, and nothing else.
    pub fn event(&self, signature: Option<&str>, body: &[u8]) -> Result<Event, Error> {
        let config = &self.shared.config;
        let webhook = config.webhook.as_ref().ok_or(Error::NotOffered("being notified"))?;
        let signature = signature.ok_or_else(|| Error::Forged("it is not signed".to_owned()))?;
        let digits = signature.trim().strip_prefix(webhook.prefix.as_str());
        let tag = digits.and_then(from_hex).ok_or_else(|| Error::Forged("the signature is malformed".to_owned()))?;
        match webhook.algorithm {
            Algorithm::HmacSha256Hex => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, webhook.secret.expose().as_bytes());
                // In constant time.
                hmac::verify(&key, body, &tag).map_err(|_| Error::Forged("the signature is not theirs".to_owned()))?;
            }
        }
        let value: Value = serde_json::from_slice(body).unwrap_or_default();
        let at = |pointer: &Option<String>| pointer.as_deref().and_then(|pointer| text_at(&value, pointer));
        let words = |pointer: &Option<String>| pointer.as_deref().and_then(|pointer| words_at(&value, pointer));
        let word = words(&webhook.status);
        let amount = webhook.amount.as_deref().and_then(|pointer| value.pointer(pointer));
        Ok(Event {
            id: EventId(at(&webhook.id).unwrap_or_else(|| hash(body))),
            kind: words(&webhook.kind),
            transaction: at(&webhook.transaction).and_then(|id| TransactionId::parse(&id).ok()),
            request: at(&webhook.client_request_id).and_then(|id| id.parse().ok()).map(ClientRequestId),
            status: word.as_deref().and_then(|word| config.status.get(word)).copied(),
            word,
            amount: amount.and_then(|amount| amount_in(config.amounts, amount)),
        })
    }

    /// The header that holds a notification's signature, if there are notifications.
    pub fn signature_header(&self) -> Option<&str> {
        self.shared.config.webhook.as_ref().map(|webhook| webhook.header.as_str())
    }
}

fn hash(body: &[u8]) -> String {
    digest::digest(&digest::SHA256, body).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    if text.len() > 128 || !text.len().is_multiple_of(2) {
        return None;
    }
    text.as_bytes().chunks(2).map(|pair| Some(digit(pair.first()?)? << 4 | digit(pair.get(1)?)?)).collect()
}
