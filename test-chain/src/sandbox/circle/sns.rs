//! Amazon's part of a notification: topics, signatures, the certificate, and sending again until somebody takes it.

use super::Shared;
use super::state::{Task, fresh_id};
use alloy::primitives::{hex, ruint::aliases::U2048};
use alloy::transports::http::reqwest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use serde_json::{Value, json};

/// The topic of Circle's sandbox.
pub const TOPIC: &str = "arn:aws:sns:us-west-2:908968368384:sandbox_platform-notifications-topic";

pub(super) const CERTIFICATE_PATH: &str = "/sns/SimpleNotificationService-sandbox.pem";
pub(super) const EXPIRED_PATH: &str = "/sns/SimpleNotificationService-expired.pem";

const CERTIFICATE: &str = include_str!("../../../fixtures/circle/sns/certificate.pem");
const EXPIRED: &str = include_str!("../../../fixtures/circle/sns/expired.pem");
const KEY: &str = include_str!("../../../fixtures/circle/sns/key.json");
const STRANGERS_KEY: &str = include_str!("../../../fixtures/circle/sns/strangers-key.json");

/// How often a message is sent before it is given up.
const ATTEMPTS: u32 = 5;

/// Whose key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signer {
    /// The one whose certificate the sandbox serves.
    Amazon,
    /// Another one.
    Stranger,
}

/// A message on its way.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    endpoint: String,
    message: Value,
    attempt: u32,
}

impl Delivery {
    pub(super) fn new(endpoint: String, message: Value) -> Self {
        Self { endpoint, message, attempt: 1 }
    }
}

/// What says that something changed. Not signed yet.
pub(super) fn notification(inner: &str, date: &str) -> Value {
    json!({"Type": "Notification", "MessageId": fresh_id(), "TopicArn": TOPIC, "Message": inner, "Timestamp": date})
}

/// What asks whether somebody wants to have notifications.
pub(super) fn confirmation(base_url: &str, token: &str, date: &str) -> Value {
    json!({
        "Type": "SubscriptionConfirmation", "MessageId": fresh_id(), "TopicArn": TOPIC, "Token": token,
        "Message": format!("Somebody asked for the messages of {TOPIC} to be sent here. Visit the SubscribeURL to agree."),
        "SubscribeURL": format!("{base_url}/sns?Action=ConfirmSubscription&TopicArn={TOPIC}&Token={token}"),
        "Timestamp": date,
    })
}

/// The same message with a signature, and where its certificate is. Version 1 is SHA-1 with RSA, version 2 SHA-256.
pub fn sign(message: &Value, signer: Signer, version: u8, certificate_url: &str) -> Value {
    let kind = message["Type"].as_str().unwrap_or_default();
    let fields: &[&str] = match kind {
        "Notification" => &["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"],
        _ => &["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"],
    };
    let lines = fields.iter().filter_map(|name| Some(format!("{name}\n{}\n", message[name].as_str()?)));
    let signature = rsa(signer, version, lines.collect::<String>().as_bytes());
    let mut message = message.clone();
    if let Some(message) = message.as_object_mut() {
        message.insert("SignatureVersion".to_owned(), json!(version.to_string()));
        message.insert("Signature".to_owned(), json!(STANDARD.encode(signature)));
        message.insert("SigningCertURL".to_owned(), json!(certificate_url));
    }
    message
}

/// RSA by the book (PKCS #1 v1.5). It leaks its key by the time it takes: everybody has that anyway.
fn rsa(signer: Signer, version: u8, text: &[u8]) -> Vec<u8> {
    let key = if signer == Signer::Amazon { KEY } else { STRANGERS_KEY };
    let key: Value = serde_json::from_str(key).unwrap_or_default();
    let number = |name: &str| {
        let bytes = hex::decode(key[name].as_str().unwrap_or_default()).unwrap_or_default();
        U2048::try_from_be_slice(&bytes).unwrap_or_default()
    };
    // The DER of "a digest of this kind follows".
    let (kind, hash): (&[u8], _) = match version {
        1 => (&hex!("3021300906052b0e03021a05000414"), digest(&SHA1_FOR_LEGACY_USE_ONLY, text)),
        _ => (&hex!("3031300d060960864801650304020105000420"), digest(&SHA256, text)),
    };
    let mut padded = vec![0xff; 256];
    let tail = [&[0], kind, hash.as_ref()].concat();
    let from = padded.len() - tail.len();
    padded.splice(from.., tail);
    padded.splice(..2, [0, 1]);
    let message = U2048::try_from_be_slice(&padded).unwrap_or_default();
    message.pow_mod(number("privateExponent"), number("modulus")).to_be_bytes_vec()
}

/// What is served: certificates.
pub(super) fn file(path: &str) -> Option<&'static str> {
    match path {
        CERTIFICATE_PATH => Some(CERTIFICATE),
        EXPIRED_PATH => Some(EXPIRED),
        _ => None,
    }
}

/// Somebody went to a SubscribeURL.
pub(super) fn confirm(shared: &Shared, query: &[(String, String)]) -> bool {
    let get = |name: &str| query.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
    let (Some("ConfirmSubscription"), Some(TOPIC), Some(token)) = (get("Action"), get("TopicArn"), get("Token")) else {
        return false;
    };
    let mut state = shared.state();
    let found =
        state.things.get_mut("subscription").into_iter().flatten().find(|subscription| subscription["id"] == token);
    match found {
        Some(subscription) => {
            let detail = json!([{
                "url": subscription["endpoint"], "arn": format!("{TOPIC}:{token}"), "status": "confirmed",
            }]);
            subscription["subscriptionDetails"] = detail;
            true
        }
        None => false,
    }
}

/// Sends a message, and again later if it is not taken.
pub(super) async fn deliver(shared: &Shared, mut delivery: Delivery) {
    let kind = delivery.message["Type"].as_str().unwrap_or_default().to_owned();
    let signed = sign(&delivery.message, Signer::Amazon, shared.config.signature_version, &shared.certificate_url());
    // An endpoint has to answer this too before anything is sent there.
    let warm = match kind.as_str() {
        "SubscriptionConfirmation" => taken(shared.http.head(&delivery.endpoint).send().await),
        _ => true,
    };
    let request = shared
        .http
        .post(&delivery.endpoint)
        .header("content-type", "text/plain; charset=UTF-8")
        .header("x-amz-sns-message-type", kind)
        .header("x-amz-sns-message-id", delivery.message["MessageId"].as_str().unwrap_or_default())
        .header("x-amz-sns-topic-arn", TOPIC)
        .body(signed.to_string());
    if !(warm && taken(request.send().await)) && delivery.attempt < ATTEMPTS {
        let mut state = shared.state();
        let wait = state.delays.delivery * delivery.attempt;
        delivery.attempt += 1;
        state.later(wait, Task::Deliver(delivery));
    }
}

fn taken(answer: Result<reqwest::Response, reqwest::Error>) -> bool {
    answer.is_ok_and(|answer| answer.status().is_success())
}
