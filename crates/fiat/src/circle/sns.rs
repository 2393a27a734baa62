//! Notifications: Circle sends them through Amazon SNS. Anybody can reach our endpoint, anybody can have Amazon sign something
//! in a topic of his own, and Amazon delivers at least once and in no order.
//!
//! So: only topics that we know, only certificates from Amazon's own host, only messages that are not old; the caller drops
//! what it has seen ([`Event::message_id`]); and what a message says happened is asked for with the id in it, never believed.

use super::http::{in_full, is_loopback};
use super::{DepositId, PayoutId, RecipientId, Topic, TransferId, WireId};
use crate::Error;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use ring::signature::{RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use x509_cert::Certificate;
use x509_cert::der::DecodePem;

/// The most bytes of a message: Amazon's own limit.
pub const MAX_MESSAGE_BYTES: usize = 256 << 10;

/// How far Amazon's clock may be ahead of ours.
const SKEW: Duration = Duration::from_secs(15 * 60);

/// The most bytes of a certificate, and the most certificates that are kept. Amazon has one at a time for each region.
const MAX_CERTIFICATE_BYTES: usize = 64 << 10;
const MAX_CERTIFICATES: usize = 16;

/// Whose word is taken for a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hosts {
    /// Amazon's: `sns.<region>.amazonaws.com`, over TLS.
    Amazon,
    /// The sandbox's: scheme, host and port. `http` on this machine only.
    Origin(String),
}

/// What is believed.
#[derive(Clone, Debug)]
pub struct NotificationConfig {
    /// The topics that are Circle's, by their ARN.
    pub topics: Vec<String>,
    /// Whose certificates.
    pub hosts: Hosts,
    /// How old a message may be.
    pub max_age: Duration,
    /// How long is waited for a certificate.
    pub timeout: Duration,
}

impl NotificationConfig {
    /// What is usual. Amazon tries for about an hour; what comes later was sent again by somebody else.
    pub fn new(topics: Vec<String>) -> Self {
        Self { topics, hosts: Hosts::Amazon, max_age: Duration::from_secs(6 * 3600), timeout: Duration::from_secs(10) }
    }
}

/// A message that is believed to be from Circle's topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Something changed.
    Event(Event),
    /// Amazon asks whether we want to have messages: [`Notifications::confirm`].
    Confirmation(Confirmation),
    /// Amazon says that none will come any more.
    Unsubscribed {
        /// The same when it comes again.
        message_id: String,
    },
}

/// Something changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The same when it comes again.
    pub message_id: String,
    /// When it was sent. Says nothing about the order of what happened.
    pub sent_at: OffsetDateTime,
    /// What it is about.
    pub topic: Topic,
    /// What has to be asked for now.
    pub resource: Resource,
}

/// The thing that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    /// A bank account.
    Wire(WireId),
    /// Dollars from a bank.
    Deposit(DepositId),
    /// USDC to a chain or from one.
    Transfer(TransferId),
    /// Dollars to a bank.
    Payout(PayoutId),
    /// A recipient address.
    Recipient(RecipientId),
    /// Nothing we know, or nothing that names itself.
    Other,
}

/// A subscription that waits for our word.
#[derive(Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// The same when it comes again.
    pub message_id: String,
    url: Url,
}

/// Without the token in it.
impl std::fmt::Debug for Confirmation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Confirmation").field("message_id", &self.message_id).finish_non_exhaustive()
    }
}

/// Reads notifications and says which are to be believed. Remembers certificates, nothing else.
#[derive(Debug)]
pub struct Notifications {
    topics: Vec<String>,
    hosts: Pin,
    max_age: Duration,
    http: reqwest::Client,
    certificates: Mutex<HashMap<String, Key>>,
}

/// The public key of a certificate, and when it is one.
#[derive(Clone, Debug)]
struct Key {
    key: Vec<u8>,
    /// Unix seconds.
    valid: std::ops::RangeInclusive<u64>,
}

#[derive(Debug)]
enum Pin {
    Amazon,
    Origin(Url),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Envelope {
    #[serde(rename = "Type")]
    kind: String,
    message_id: String,
    topic_arn: String,
    message: String,
    timestamp: String,
    subject: Option<String>,
    token: Option<String>,
    #[serde(rename = "SubscribeURL")]
    subscribe_url: Option<String>,
    signature_version: String,
    signature: String,
    #[serde(rename = "SigningCertURL")]
    signing_cert_url: String,
}

fn forged(why: impl Into<String>) -> Error {
    Error::Forged(why.into())
}

impl Notifications {
    /// A reader.
    pub fn new(config: NotificationConfig) -> Result<Self, Error> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let wrong = |what: &str| Error::Configuration(format!("Circle's notifications: {what}"));
        if config.topics.is_empty() {
            return Err(wrong("name at least one topic: without it anybody's are believed"));
        }
        let hosts = match config.hosts {
            Hosts::Amazon => Pin::Amazon,
            Hosts::Origin(origin) => {
                let url: Url = origin.parse().map_err(|error| wrong(&format!("'{origin}' is no URL: {error}")))?;
                if url.scheme() != "https" && !is_loopback(&url) {
                    return Err(wrong("certificates come over https, or from this machine"));
                }
                Pin::Origin(url)
            }
        };
        let http = reqwest::Client::builder().timeout(config.timeout).redirect(reqwest::redirect::Policy::none());
        let http = http.build().map_err(|error| wrong(&format!("no HTTP client: {error}")))?;
        Ok(Self { topics: config.topics, hosts, max_age: config.max_age, http, certificates: Mutex::default() })
    }

    /// What a body that came to our endpoint is. [`Error::Forged`]: not to be believed, answer 403. Any other error: nobody
    /// knows yet; answer 503, so that Amazon sends it again.
    pub async fn receive(&self, body: &[u8], now: OffsetDateTime) -> Result<Message, Error> {
        if body.len() > MAX_MESSAGE_BYTES {
            return Err(forged(format!("it has more than {MAX_MESSAGE_BYTES} bytes")));
        }
        let envelope: Envelope =
            serde_json::from_slice(body).map_err(|error| forged(format!("it is no SNS message: {error}")))?;
        // Everything that costs nothing comes before what makes us fetch something.
        if !self.topics.contains(&envelope.topic_arn) {
            return Err(forged("it is of another topic; anybody can have one at Amazon"));
        }
        let sent_at = self.timely(&envelope, now)?;
        let signed = envelope.canonical()?;
        let signature = STANDARD.decode(&envelope.signature).map_err(|_| forged("its signature is no base64"))?;
        let certificate = self.certificate_url(&envelope.signing_cert_url)?;

        let key = self.key(certificate).await?;
        let seconds = u64::try_from(now.unix_timestamp()).unwrap_or_default();
        if !key.valid.contains(&seconds) {
            return Err(forged("its certificate is not valid now"));
        }
        let verified = match envelope.signature_version.as_str() {
            "1" => UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, &key.key)
                .verify(signed.as_bytes(), &signature),
            "2" => UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &key.key).verify(signed.as_bytes(), &signature),
            _ => return Err(forged("its signature is of a kind we do not know")),
        };
        verified.map_err(|_| forged("its signature is not the certificate's"))?;
        self.meaning(envelope, sent_at)
    }

    /// Tells Amazon that we want the messages of this subscription.
    pub async fn confirm(&self, confirmation: &Confirmation) -> Result<(), Error> {
        let answer = self.http.get(confirmation.url.clone()).send().await;
        let answer = answer.map_err(|error| Error::Unknown(in_full(&error.without_url())))?;
        if answer.status().is_success() {
            Ok(())
        } else {
            Err(Error::Unknown(format!("the confirmation was answered with HTTP {}", answer.status())))
        }
    }

    fn timely(&self, envelope: &Envelope, now: OffsetDateTime) -> Result<OffsetDateTime, Error> {
        let sent_at = OffsetDateTime::parse(&envelope.timestamp, &Rfc3339).map_err(|_| forged("it has no time"))?;
        if now - sent_at > self.max_age {
            return Err(forged(format!("it is too old: of {}", envelope.timestamp)));
        }
        if sent_at - now > SKEW {
            return Err(forged(format!("it is from the future: of {}", envelope.timestamp)));
        }
        Ok(sent_at)
    }

    fn meaning(&self, envelope: Envelope, sent_at: OffsetDateTime) -> Result<Message, Error> {
        let message_id = envelope.message_id;
        match envelope.kind.as_str() {
            "Notification" => {
                let (topic, resource) = read(&envelope.message);
                Ok(Message::Event(Event { message_id, sent_at, topic, resource }))
            }
            "SubscriptionConfirmation" => {
                let url = envelope.subscribe_url.ok_or_else(|| forged("it has nothing to confirm"))?;
                let url = self.pinned(&url, "SubscribeURL")?;
                // Amazon's host does other things too for whoever asks; this is the one we were asked for.
                let says = |name: &str, value: &str| url.query_pairs().any(|(n, v)| n == name && v == value);
                if says("Action", "ConfirmSubscription") && says("TopicArn", &envelope.topic_arn) {
                    Ok(Message::Confirmation(Confirmation { message_id, url }))
                } else {
                    Err(forged("its SubscribeURL confirms something else"))
                }
            }
            "UnsubscribeConfirmation" => Ok(Message::Unsubscribed { message_id }),
            _ => Err(forged("it is of a kind we do not know")),
        }
    }

    /// A URL on the host that is believed.
    fn pinned(&self, url: &str, what: &str) -> Result<Url, Error> {
        let url: Url = url.parse().map_err(|_| forged(format!("its {what} is none")))?;
        let right = url.username().is_empty()
            && url.password().is_none()
            && match &self.hosts {
                Pin::Origin(origin) => url.origin() == origin.origin(),
                Pin::Amazon => {
                    url.scheme() == "https" && url.port().is_none() && url.host_str().is_some_and(is_amazons)
                }
            };
        if right { Ok(url) } else { Err(forged(format!("its {what} is not on the host that signs"))) }
    }

    /// A file, not the answer to a question: Amazon's host repeats what it is asked, and that could be a certificate.
    fn certificate_url(&self, url: &str) -> Result<Url, Error> {
        let url = self.pinned(url, "SigningCertURL")?;
        if url.query().is_none() && url.fragment().is_none() && url.path().ends_with(".pem") {
            Ok(url)
        } else {
            Err(forged("its SigningCertURL is no certificate's"))
        }
    }

    async fn key(&self, url: Url) -> Result<Key, Error> {
        let name = url.to_string();
        if let Some(key) = self.certificates().get(&name) {
            return Ok(key.clone());
        }
        let unreachable = |why: String| Error::Unreachable(format!("the certificate of a notification: {why}"));
        let answer = self.http.get(url).send().await;
        let mut answer = answer.map_err(|error| unreachable(in_full(&error)))?;
        if !answer.status().is_success() {
            return Err(unreachable(format!("HTTP {}", answer.status())));
        }
        let mut pem = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| unreachable(in_full(&error)))? {
            pem.extend_from_slice(&chunk);
            if pem.len() > MAX_CERTIFICATE_BYTES {
                return Err(forged("its certificate is too long"));
            }
        }
        let key = read_certificate(&pem)?;
        let mut certificates = self.certificates();
        if certificates.len() >= MAX_CERTIFICATES {
            certificates.clear();
        }
        certificates.insert(name, key.clone());
        Ok(key)
    }

    fn certificates(&self) -> std::sync::MutexGuard<'_, HashMap<String, Key>> {
        self.certificates.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `sns.<region>.amazonaws.com` and nothing else that ends like it.
fn is_amazons(host: &str) -> bool {
    let region = host.strip_prefix("sns.").and_then(|rest| rest.strip_suffix(".amazonaws.com"));
    region.is_some_and(|region| {
        !region.is_empty() && region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    })
}

fn read_certificate(pem: &[u8]) -> Result<Key, Error> {
    let certificate =
        Certificate::from_pem(pem).map_err(|error| forged(format!("its certificate is none: {error}")))?;
    let certificate = certificate.tbs_certificate;
    let validity = certificate.validity;
    let valid = validity.not_before.to_unix_duration().as_secs()..=validity.not_after.to_unix_duration().as_secs();
    let key = certificate.subject_public_key_info.subject_public_key.raw_bytes().to_vec();
    Ok(Key { key, valid })
}

impl Envelope {
    /// What Amazon signs: some fields, in this order, each with its name. Nothing marks where one ends but the line, so that
    /// only the message may have more than one.
    fn canonical(&self) -> Result<String, Error> {
        let message = ("Message", Some(&self.message));
        let id = ("MessageId", Some(&self.message_id));
        let (time, topic, kind) =
            (("Timestamp", Some(&self.timestamp)), ("TopicArn", Some(&self.topic_arn)), ("Type", Some(&self.kind)));
        let fields: Vec<(&str, Option<&String>)> = if self.kind == "Notification" {
            vec![message, id, ("Subject", self.subject.as_ref()), time, topic, kind]
        } else {
            let url = self.subscribe_url.as_ref().ok_or_else(|| forged("it has no SubscribeURL"))?;
            let token = self.token.as_ref().ok_or_else(|| forged("it has no Token"))?;
            vec![message, id, ("SubscribeURL", Some(url)), time, ("Token", Some(token)), topic, kind]
        };
        let mut text = String::new();
        for (name, value) in fields {
            let Some(value) = value else { continue };
            if name != "Message" && value.contains('\n') {
                return Err(forged(format!("its {name} has more than one line")));
            }
            text.extend([name, "\n", value, "\n"]);
        }
        Ok(text)
    }
}

/// What a notification of Circle's is about. What we do not know is [`Resource::Other`]: it is no reason to have it sent again.
fn read(message: &str) -> (Topic, Resource) {
    let body: Value = serde_json::from_str(message).unwrap_or_default();
    let topic = Topic::from(body["notificationType"].as_str().unwrap_or_default());
    let id = |field: &str| body[field]["id"].as_str().unwrap_or_default().to_owned();
    let resource = match topic {
        Topic::Wire => WireId::try_from(id("wire")).map(Resource::Wire),
        Topic::Deposits => DepositId::try_from(id("deposit")).map(Resource::Deposit),
        Topic::Transfers => TransferId::try_from(id("transfer")).map(Resource::Transfer),
        Topic::Payouts => PayoutId::try_from(id("payout")).map(Resource::Payout),
        Topic::Recipients => RecipientId::try_from(id("addressBookRecipient")).map(Resource::Recipient),
        Topic::Other(_) => Ok(Resource::Other),
    };
    (topic, resource.unwrap_or(Resource::Other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amazon() -> Notifications {
        Notifications::new(NotificationConfig::new(vec!["arn".to_owned()])).unwrap()
    }

    #[test]
    fn certificates_come_from_amazon_only() {
        let url = |url: &str| amazon().certificate_url(url).is_ok();
        assert!(url("https://sns.us-west-2.amazonaws.com/SimpleNotificationService-abc.pem"));
        for bad in [
            "http://sns.us-west-2.amazonaws.com/a.pem",
            "https://sns.us-west-2.amazonaws.com.evil.example/a.pem",
            "https://evil.example/sns.us-west-2.amazonaws.com/a.pem",
            "https://sns.us-west-2.amazonaws.com@evil.example/a.pem",
            "https://evil@sns.us-west-2.amazonaws.com/a.pem",
            "https://sns.us-west-2.amazonaws.com:8443/a.pem",
            "https://sns.evil.example.amazonaws.com/a.pem",
            "https://evil.sns.us-west-2.amazonaws.com/a.pem",
            "https://s3.us-west-2.amazonaws.com/bucket/a.pem",
            "https://sns..amazonaws.com/a.pem",
            "https://snsevil.amazonaws.com/a.pem",
            "https://sns.us-west-2.amazonaws.com/?Action=Echo&x=.pem",
            "https://sns.us-west-2.amazonaws.com/a.txt",
            "file:///a.pem",
            "nonsense",
        ] {
            assert!(!url(bad), "{bad}");
        }
    }

    #[test]
    fn a_configuration_that_believes_anybody_is_refused() {
        let new = |topics: &[&str], hosts: Hosts| {
            let topics = topics.iter().map(|&topic| topic.to_owned()).collect();
            Notifications::new(NotificationConfig { hosts, ..NotificationConfig::new(topics) })
        };
        assert!(new(&["arn"], Hosts::Origin("http://127.0.0.1:1".into())).is_ok());
        assert!(new(&[], Hosts::Amazon).is_err());
        assert!(new(&["arn"], Hosts::Origin("http://example.com".into())).is_err());
        assert!(new(&["arn"], Hosts::Origin("nonsense".into())).is_err());
    }

    #[test]
    fn what_is_signed_cannot_be_cut_in_another_way() {
        let envelope = |id: &str, subject: Option<&str>| Envelope {
            kind: "Notification".into(),
            message_id: id.into(),
            topic_arn: "arn".into(),
            message: "a\nb".into(),
            timestamp: "t".into(),
            subject: subject.map(str::to_owned),
            token: None,
            subscribe_url: None,
            signature_version: "1".into(),
            signature: String::new(),
            signing_cert_url: String::new(),
        };
        let plain = "Message\na\nb\nMessageId\n1\nTimestamp\nt\nTopicArn\narn\nType\nNotification\n";
        assert_eq!(envelope("1", None).canonical().unwrap(), plain);
        let with_subject = "Message\na\nb\nMessageId\n1\nSubject\ns\nTimestamp\nt\nTopicArn\narn\nType\nNotification\n";
        assert_eq!(envelope("1", Some("s")).canonical().unwrap(), with_subject);
        assert!(envelope("1\nSubject\ns", None).canonical().is_err());
        assert!(envelope("1", Some("s\nTimestamp\nt")).canonical().is_err());
    }
}
