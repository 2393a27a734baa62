//! What is known of the gateway, as configuration.
//!
//! Two articles of its documentation are public: which fields a card and an ACH payment have. These are the defaults here.
//! How to log in, what an answer looks like, whether there are look-ups, refunds and notifications is not public, so the
//! installation has to say it, and what it does not say is not used.

use super::template;
use crate::{Error, Secret};
use reqwest::{Method, Url};
use serde::Deserialize;
use std::collections::BTreeMap;

/// One gateway.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What the paths are appended to. `https`, or `http` on this machine.
    pub base_url: String,
    /// Milliseconds until a request counts as unanswered.
    #[serde(default = "defaults::timeout_ms")]
    pub timeout_ms: u64,
    /// The merchant ids we were given, one per kind of payment. A kind without one is not offered.
    pub merchants: Merchants,
    /// Secrets, by names of our own; `{name}` in the templates of `auth`.
    #[serde(default)]
    pub credentials: BTreeMap<String, Secret>,
    /// How to get a token.
    pub auth: Auth,
    /// The header that carries it.
    #[serde(default = "defaults::token_header")]
    pub token_header: String,
    /// Where card payments go.
    #[serde(default = "defaults::card_path")]
    pub card_path: String,
    /// Where ACH payments go.
    #[serde(default = "defaults::ach_path")]
    pub ach_path: String,
    /// The value of the field `channel`.
    #[serde(default = "defaults::channel")]
    pub channel: String,
    /// How amounts are written, by us and by the gateway.
    #[serde(default)]
    pub amounts: AmountFormat,
    /// What the gateway calls the fields of a payment, where it is not what its documentation says.
    #[serde(default)]
    pub fields: BTreeMap<Field, String>,
    /// Where in an answer is what.
    pub response: Response,
    /// What its words for a state mean: of a payment, and of a refund or a calling off, which are `approved` when they are
    /// taken. A word that is not here means that nobody knows; so leave out those that mean one thing here and another there.
    pub status: BTreeMap<String, Status>,
    /// HTTP statuses that prove that nothing was done.
    #[serde(default = "defaults::refused_http")]
    pub refused_http: Vec<u16>,
    /// Looking a payment up, if there is such a thing.
    pub query: Option<Call>,
    /// Giving money back, if it can be asked for.
    pub refund: Option<Call>,
    /// Calling a payment off before it is settled, if it can be asked for.
    pub void: Option<Call>,
    /// Notifications, if there are any. Without them reports are all there is.
    pub webhook: Option<Webhook>,
}

/// Merchant ids: the gateway gives one per kind of payment.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Merchants {
    /// For cards.
    pub card: Option<String>,
    /// For checks from an online portal (ICA).
    pub ica: Option<String>,
    /// For checks by telephone (CBP).
    pub cbp: Option<String>,
}

/// How to get a token. One per merchant id: the gateway has other tokens for cards than for checks.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// Path; may have `{merchant_id}`.
    pub path: String,
    /// HTTP method.
    #[serde(default = "defaults::post")]
    pub method: String,
    /// Headers: `{merchant_id}` and names of credentials.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Fields of the JSON body, likewise.
    #[serde(default)]
    pub body: BTreeMap<String, String>,
    /// Where in the answer the token is: a JSON pointer.
    pub token: String,
    /// Seconds it is used for before a new one is asked for.
    #[serde(default = "defaults::ttl_seconds")]
    pub ttl_seconds: u64,
}

/// How amounts are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AmountFormat {
    /// `"1.99"`, as in the examples of the documentation.
    #[default]
    Text,
    /// `1.99`, as in one of its tables.
    Number,
    /// `199`.
    Cents,
}

/// A field of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // They are called what they are.
pub enum Field {
    MerchantId,
    Channel,
    ClientRequestId,
    RequestType,
    Token,
    Amount,
    Fee,
    Currency,
    CustomerNumber,
    Email,
    PhoneNumber,
    PostalCode,
    SaveCard,
    SaveCheck,
    AchType,
    CheckType,
    AccountType,
    SessionId,
    FirstName,
    LastName,
    AddressOne,
    AddressTwo,
    City,
    State,
    Zip,
}

impl Field {
    /// What the public documentation calls it. The field of the token is in none of the articles.
    pub const fn documented(self) -> Option<&'static str> {
        Some(match self {
            Self::MerchantId => "merchantId",
            Self::Channel => "channel",
            Self::ClientRequestId => "clientRequestId",
            Self::RequestType => "requestType",
            Self::Token => return None,
            Self::Amount => "amount",
            Self::Fee => "fee",
            Self::Currency => "currency",
            Self::CustomerNumber => "customerNumber",
            Self::Email => "email",
            Self::PhoneNumber => "phoneNumber",
            Self::PostalCode => "postalCode",
            Self::SaveCard => "isSavecard",
            Self::SaveCheck => "isSaveCheck",
            Self::AchType => "achType",
            Self::CheckType => "checkType",
            Self::AccountType => "accountType",
            Self::SessionId => "sessionId",
            Self::FirstName => "firstName",
            Self::LastName => "lastName",
            Self::AddressOne => "addressOne",
            Self::AddressTwo => "addressTwo",
            Self::City => "city",
            Self::State => "state",
            Self::Zip => "zip",
        })
    }
}

/// Where in an answer is what: JSON pointers, such as `/data/status`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Response {
    /// The gateway's id of the payment.
    pub transaction: String,
    /// Its state, in its word.
    pub status: String,
    /// Our own id, echoed: an answer with another one is not believed.
    pub client_request_id: Option<String>,
    /// What was really charged, without a convenience fee.
    pub amount: Option<String>,
    /// A sentence for people.
    pub message: Option<String>,
    /// The issuer's authorisation code.
    pub auth_code: Option<String>,
}

/// What a word of the gateway means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Authorised. Not settled: that is in the report.
    Approved,
    /// Not decided yet.
    Pending,
    /// Refused: nothing is charged.
    Declined,
    /// Something went wrong there. Whether anything is charged nobody knows.
    Error,
}

/// A further call. Placeholders of path and body: `{merchant_id}`, `{client_request_id}`, `{transaction}`, and for refunds
/// `{amount}`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// Path.
    pub path: String,
    /// HTTP method.
    pub method: String,
    /// Fields of the JSON body.
    #[serde(default)]
    pub body: BTreeMap<String, String>,
}

/// Notifications.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// The path at which we take them.
    pub path: String,
    /// The header with the signature.
    pub header: String,
    /// How it is made, over the body as it came.
    pub algorithm: Algorithm,
    /// The key.
    pub secret: Secret,
    /// What precedes the signature in the header.
    #[serde(default)]
    pub prefix: String,
    /// The id of the notification.
    pub id: Option<String>,
    /// What it is about, in the gateway's word.
    pub kind: Option<String>,
    /// The gateway's id of the payment.
    pub transaction: Option<String>,
    /// Our own id.
    pub client_request_id: Option<String>,
    /// The payment's state, in the gateway's word.
    pub status: Option<String>,
    /// The amount.
    pub amount: Option<String>,
}

/// How a notification is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Algorithm {
    /// HMAC-SHA256, as hexadecimal digits.
    #[serde(rename = "hmac-sha256-hex")]
    HmacSha256Hex,
}

mod defaults {
    pub(super) const fn timeout_ms() -> u64 {
        30_000
    }

    pub(super) fn token_header() -> String {
        "gpsToken".to_owned()
    }

    pub(super) fn card_path() -> String {
        "/card/payments".to_owned()
    }

    pub(super) fn ach_path() -> String {
        "/ach/payments".to_owned()
    }

    pub(super) fn channel() -> String {
        "GPS".to_owned()
    }

    pub(super) fn post() -> String {
        "POST".to_owned()
    }

    pub(super) const fn ttl_seconds() -> u64 {
        600
    }

    pub(super) fn refused_http() -> Vec<u16> {
        vec![400, 403, 404, 422]
    }
}

/// An error that names the key.
fn wrong<T>(key: &str, why: impl std::fmt::Display) -> Result<T, Error> {
    Err(Error::Configuration(format!("tilli.{key}: {why}")))
}

impl Config {
    /// What the gateway calls `field`.
    pub(super) fn name(&self, field: Field) -> Option<&str> {
        self.fields.get(&field).map(String::as_str).or_else(|| field.documented())
    }

    /// Makes sure that all of it can be used, so that no payment finds out. Answers the base of all URLs.
    pub(super) fn check(&self) -> Result<Url, Error> {
        let url = match Url::parse(&self.base_url) {
            Ok(url) => url,
            Err(error) => return wrong("base_url", format_args!("this is no URL: {error}")),
        };
        let here = url.host_str().is_some_and(|host| matches!(host, "127.0.0.1" | "localhost" | "[::1]"));
        if url.scheme() != "https" && !(url.scheme() == "http" && here) {
            return wrong("base_url", "it must begin with https:// (http:// only on this machine)");
        }
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return wrong("base_url", "it must have no user, query or fragment; secrets belong in tilli.credentials");
        }
        if self.timeout_ms == 0 {
            return wrong("timeout_ms", "it must be above 0");
        }
        let merchants = [&self.merchants.card, &self.merchants.ica, &self.merchants.cbp];
        if merchants.iter().all(|merchant| merchant.is_none()) {
            return wrong("merchants", "give at least one of card, ica and cbp");
        }
        for name in self.credentials.keys() {
            if ["merchant_id", "client_request_id", "transaction", "amount"].contains(&name.as_str()) {
                return wrong(&format!("credentials.{name}"), "this name is taken; choose another");
            }
        }
        self.check_auth()?;
        header("token_header", &self.token_header)?;
        path("card_path", &self.card_path, &[])?;
        path("ach_path", &self.ach_path, &[])?;
        self.check_fields()?;
        self.check_answers()?;
        let ids = ["merchant_id", "client_request_id", "transaction"];
        call("query", self.query.as_ref(), &ids)?;
        call("refund", self.refund.as_ref(), &[ids.as_slice(), &["amount"]].concat())?;
        call("void", self.void.as_ref(), &ids)?;
        self.webhook.as_ref().map_or(Ok(()), check_webhook)?;
        Ok(url)
    }

    fn check_auth(&self) -> Result<(), Error> {
        let auth = &self.auth;
        let known: Vec<&str> =
            self.credentials.keys().map(String::as_str).chain(std::iter::once("merchant_id")).collect();
        path("auth.path", &auth.path, &["merchant_id"])?;
        method("auth.method", &auth.method)?;
        for (name, value) in &auth.headers {
            header(&format!("auth.headers.{name}"), name)?;
            template::check(&format!("tilli.auth.headers.{name}"), value, &known)?;
        }
        for (name, value) in &auth.body {
            template::check(&format!("tilli.auth.body.{name}"), value, &known)?;
        }
        pointer("auth.token", &auth.token)?;
        if auth.ttl_seconds == 0 {
            return wrong("auth.ttl_seconds", "it must be above 0");
        }
        Ok(())
    }

    fn check_fields(&self) -> Result<(), Error> {
        if !self.fields.contains_key(&Field::Token) {
            return wrong(
                "fields.token",
                "it is missing: what the gateway calls the field of a token is not documented, so it must be said",
            );
        }
        for (field, name) in &self.fields {
            if name.is_empty() {
                return wrong("fields", format_args!("the name of {field:?} is empty"));
            }
            let taken = self.fields.iter().any(|(other, taken)| other != field && taken == name);
            // A payment has no field for the number of a card, whatever the configuration says.
            let never = ["cardNumber", "cvv", "expiryMonth", "expiryYear", "accountNumber", "routingNumber"];
            if taken || never.iter().any(|never| never.eq_ignore_ascii_case(name)) {
                return wrong("fields", format_args!("'{name}' cannot be the name of {field:?}"));
            }
        }
        Ok(())
    }

    fn check_answers(&self) -> Result<(), Error> {
        let response = &self.response;
        pointer("response.transaction", &response.transaction)?;
        pointer("response.status", &response.status)?;
        for (key, value) in [
            ("response.client_request_id", &response.client_request_id),
            ("response.amount", &response.amount),
            ("response.message", &response.message),
            ("response.auth_code", &response.auth_code),
        ] {
            value.as_deref().map_or(Ok(()), |value| pointer(key, value))?;
        }
        if !self.status.values().any(|&status| status == Status::Approved) {
            return wrong("status", "no word means 'approved': no payment could ever succeed");
        }
        if let Some(status) = self.refused_http.iter().find(|status| !(400..500).contains(*status) || **status == 401) {
            return wrong(
                "refused_http",
                format_args!("{status} proves nothing; name statuses of 400 to 499, but not 401"),
            );
        }
        Ok(())
    }
}

fn check_webhook(webhook: &Webhook) -> Result<(), Error> {
    path("webhook.path", &webhook.path, &[])?;
    header("webhook.header", &webhook.header)?;
    if webhook.secret.expose().len() < 16 {
        return wrong("webhook.secret", "it has fewer than 16 characters: anybody could sign");
    }
    for (key, value) in [
        ("webhook.id", &webhook.id),
        ("webhook.kind", &webhook.kind),
        ("webhook.transaction", &webhook.transaction),
        ("webhook.client_request_id", &webhook.client_request_id),
        ("webhook.status", &webhook.status),
        ("webhook.amount", &webhook.amount),
    ] {
        value.as_deref().map_or(Ok(()), |value| pointer(key, value))?;
    }
    Ok(())
}

fn call(key: &str, call: Option<&Call>, known: &[&str]) -> Result<(), Error> {
    let Some(call) = call else { return Ok(()) };
    path(&format!("{key}.path"), &call.path, known)?;
    method(&format!("{key}.method"), &call.method)?;
    for (name, value) in &call.body {
        template::check(&format!("tilli.{key}.body.{name}"), value, known)?;
    }
    Ok(())
}

fn path(key: &str, path: &str, known: &[&str]) -> Result<(), Error> {
    if !path.starts_with('/') || path.starts_with("//") || path.contains(char::is_whitespace) || path.contains('#') {
        return wrong(key, format_args!("'{path}' is no path; it begins with one /"));
    }
    template::check(&format!("tilli.{key}"), path, known)
}

fn pointer(key: &str, pointer: &str) -> Result<(), Error> {
    if pointer.starts_with('/') && pointer.len() > 1 {
        return Ok(());
    }
    wrong(key, format_args!("'{pointer}' is no JSON pointer; write it like /data/status"))
}

fn method(key: &str, method: &str) -> Result<(), Error> {
    match Method::from_bytes(method.as_bytes()) {
        Ok(Method::GET | Method::POST | Method::PUT | Method::PATCH | Method::DELETE) => Ok(()),
        _ => wrong(key, format_args!("'{method}' is no method; write GET, POST, PUT, PATCH or DELETE")),
    }
}

fn header(key: &str, name: &str) -> Result<(), Error> {
    match reqwest::header::HeaderName::from_bytes(name.as_bytes()) {
        Ok(_) => Ok(()),
        Err(_) => wrong(key, format_args!("'{name}' is no name of a header")),
    }
}
