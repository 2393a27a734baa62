//! TilliPay, as far as it is public, and as far as the configuration tells the rest ([`Config`]).
//!
//! | what happens | what it is |
//! | --- | --- |
//! | no connection, no token, refused with a status that proves it | an error; [`Error::outcome`] says that nothing was charged |
//! | no answer in time, a broken or odd answer, a word nobody knows | [`Error::Unknown`]: [`Tilli::query`], or park it for people |
//! | an answer in words that are known | a [`Charge`] |
//!
//! A request is sent once. It is sent again only when the gateway has refused its token (401), once, under the same id. Nothing
//! here ever makes an id: the caller draws it and stores it before anything is sent.
//!
//! Payments are made with tokens only. The page that a customer types a card number into belongs to the gateway.

mod config;
mod template;
mod webhook;

pub use config::{
    Algorithm, AmountFormat, Auth, Call, Config, Field, Merchants, Response as ResponseConfig, Status, Webhook,
};
pub use webhook::{Event, EventId};

use crate::money::{self, Signed};
use crate::text::Text;
use crate::{Error, Outcome, card_number};
use domain::money::Units;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use time::OffsetDateTime;
use uuid::Uuid;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 1 << 20;

/// Our id of a request. Drawn once by the caller and stored before anything is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientRequestId(pub Uuid);

impl fmt::Display for ClientRequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The gateway's id of a payment: 1 to 100 letters, digits and `._-`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TransactionId(String);

impl TransactionId {
    /// Parses one.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if !(1..=100).contains(&text.len()) || !text.bytes().all(fits) || text.bytes().all(|byte| byte == b'.') {
            return Err(Error::Input("a transaction id has 1 to 100 letters, digits and ._-".to_owned()));
        }
        Ok(Self(text.to_owned()))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What stands for a customer's card or bank account at the gateway. Whoever has it can charge it through us, so it is not
/// shown, and it is wiped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Token(String);

impl Token {
    /// Takes what the gateway's hosted page has given. What may be the number of a card is refused, whoever sends it.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if card_number::is_one(text) {
            return Err(Error::CardNumber { field: "token".to_owned() });
        }
        if !(1..=200).contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::Input("a token has 1 to 200 characters without spaces".to_owned()));
        }
        Ok(Self(text.to_owned()))
    }

    /// The token itself, to store it sealed.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Which of our merchant ids a payment goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Merchant {
    /// Cards.
    Card,
    /// Checks from an online portal.
    Ica,
    /// Checks by telephone.
    Cbp,
}

/// How a check was agreed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckEntry {
    /// In an online portal: `ICA`.
    Online,
    /// By telephone: `CBP`.
    Telephone,
}

/// What is charged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A card.
    Card(Token),
    /// A bank account, by ACH debit.
    Check {
        /// The account's token.
        token: Token,
        /// How it was agreed to.
        entry: CheckEntry,
        /// Whose account it is.
        holder: Holder,
    },
}

/// Who holds a bank account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// First name.
    pub first_name: Text,
    /// Last name.
    pub last_name: Text,
    /// Street.
    pub address_one: Text,
    /// What else belongs to the street.
    pub address_two: Option<Text>,
    /// City.
    pub city: Text,
    /// State, two letters.
    pub state: Text,
    /// ZIP code.
    pub zip: Text,
}

/// Who pays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Customer {
    /// Our number of the customer.
    pub number: Text,
    /// E-mail address.
    pub email: Option<Text>,
    /// Telephone: ten digits, without the country's code.
    pub phone: Option<Text>,
    /// Postal code of the card's bill.
    pub postal_code: Option<Text>,
}

/// A payment to collect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collect {
    /// Stored before this is sent.
    pub id: ClientRequestId,
    /// How much, in base units of 10⁻⁶ dollar: whole cents.
    pub amount: Units,
    /// The convenience fee that the customer pays on top. For checks only, and only where that is the agreed model.
    pub fee: Option<Units>,
    /// What is charged.
    pub source: Source,
    /// Who pays.
    pub customer: Customer,
    /// When it was asked for: part of the request, so that it is the same whenever it is sent.
    pub at: OffsetDateTime,
}

impl Collect {
    /// Which of our merchant ids it goes through.
    pub fn merchant(&self) -> Merchant {
        match &self.source {
            Source::Card(_) => Merchant::Card,
            Source::Check { entry: CheckEntry::Online, .. } => Merchant::Ica,
            Source::Check { entry: CheckEntry::Telephone, .. } => Merchant::Cbp,
        }
    }
}

/// Money to give back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// An id of its own, stored before this is sent.
    pub id: ClientRequestId,
    /// Through which merchant id the payment came.
    pub merchant: Merchant,
    /// Of which payment.
    pub transaction: TransactionId,
    /// How much, in base units of 10⁻⁶ dollar: whole cents.
    pub amount: Units,
}

/// Where a payment stands, as the gateway says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Authorised. Not settled: that is in the report.
    Approved,
    /// Not decided yet: ask again, or wait for the report.
    Pending,
    /// Refused: nothing is charged.
    Declined,
}

/// What the gateway says of a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// Where it stands.
    pub standing: Standing,
    /// The gateway's id: always there unless it is declined.
    pub transaction: Option<TransactionId>,
    /// What is really charged, where the gateway says so. It may be other than what was asked for.
    pub charged: Option<Units>,
    /// The gateway's word for where it stands.
    pub word: String,
    /// Its sentence for people.
    pub message: Option<String>,
    /// The issuer's authorisation code.
    pub auth_code: Option<String>,
}

/// What can be asked for beyond payments, by the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offers {
    /// Looking a payment up.
    pub query: bool,
    /// Giving money back.
    pub refund: bool,
    /// Calling a payment off.
    pub void: bool,
    /// Being notified.
    pub webhook: bool,
}

/// A client of the gateway. Cheap to clone.
#[derive(Clone)]
pub struct Tilli {
    shared: Arc<Shared>,
}

struct Shared {
    config: Config,
    base: Url,
    http: reqwest::Client,
    tokens: Mutex<HashMap<Merchant, (HeaderValue, Instant)>>,
}

impl fmt::Debug for Tilli {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tilli").field("host", &self.shared.base.host_str()).finish_non_exhaustive()
    }
}

/// An answer of the gateway, whatever it says.
struct Answer {
    http: StatusCode,
    body: Value,
}

/// A request that can be sent again, byte for byte.
struct Request {
    method: Method,
    url: Url,
    /// JSON.
    body: Option<String>,
}

impl Tilli {
    /// Makes a client, if the configuration leads to a gateway. Nothing is sent.
    pub fn new(config: Config) -> Result<Self, Error> {
        let base = config.check()?;
        // Set once for the process; a second time is refused and harmless.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .timeout(Duration::from_millis(config.timeout_ms))
            // A redirect would send a payment, and our token with it, to wherever it says.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| Error::Configuration(format!("no HTTP client: {error}")))?;
        Ok(Self { shared: Arc::new(Shared { config, base, http, tokens: Mutex::default() }) })
    }

    /// What can be asked for beyond payments.
    pub fn offers(&self) -> Offers {
        let config = &self.shared.config;
        Offers {
            query: config.query.is_some(),
            refund: config.refund.is_some(),
            void: config.void.is_some(),
            webhook: config.webhook.is_some(),
        }
    }

    /// The path at which notifications come, if there are any.
    pub fn webhook_path(&self) -> Option<&str> {
        self.shared.config.webhook.as_ref().map(|webhook| webhook.path.as_str())
    }

    /// Charges a customer. Sent once; [`Error::outcome`] says what an error means.
    ///
    /// After [`Outcome::Unknown`] it is looked up, or parked for people. It is never sent again: whether the
    /// gateway charges twice for one id is not documented.
    pub async fn collect(&self, collect: &Collect) -> Result<Charge, Error> {
        let merchant = collect.merchant();
        let config = &self.shared.config;
        let path = match collect.source {
            Source::Card(_) => &config.card_path,
            Source::Check { .. } => &config.ach_path,
        };
        let body = self.payment(collect)?;
        let request = Request { method: Method::POST, url: self.url(path)?, body: Some(body) };
        let charge = self.ask(merchant, &request).await.and_then(|answer| self.read(&answer, collect.id));
        told("collect", collect.id, &charge);
        charge
    }

    /// Looks a payment up. `None`: the gateway has none of that id. A request that is still on its way may arrive later, so
    /// this is no proof that nothing is charged.
    pub async fn query(
        &self,
        merchant: Merchant,
        id: ClientRequestId,
        transaction: Option<&TransactionId>,
    ) -> Result<Option<Charge>, Error> {
        let call = self.shared.config.query.as_ref().ok_or(Error::NotOffered("looking a payment up"))?;
        let request = self.request(call, merchant, id, transaction, None)?;
        let answer = self.ask(merchant, &request).await?;
        if answer.http == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let charge = self.read(&answer, id);
        told("query", id, &charge);
        // That a question is refused says nothing of the payment.
        charge.map(Some).map_err(|error| match error.outcome() {
            Outcome::Refused => Error::Unknown(error.to_string()),
            _ => error,
        })
    }

    /// Gives money of a payment back. Sent once, like a payment.
    pub async fn refund(&self, refund: &Refund) -> Result<Charge, Error> {
        let call = self.shared.config.refund.as_ref().ok_or(Error::NotOffered("giving money back"))?;
        let amount = money::cents(refund.amount)?;
        let request = self.request(call, refund.merchant, refund.id, Some(&refund.transaction), Some(amount))?;
        let charge = self.ask(refund.merchant, &request).await.and_then(|answer| self.read(&answer, refund.id));
        told("refund", refund.id, &charge);
        charge
    }

    /// Calls a payment off before it is settled. Sent once, under an id of its own.
    pub async fn void(
        &self,
        merchant: Merchant,
        id: ClientRequestId,
        transaction: &TransactionId,
    ) -> Result<Charge, Error> {
        let call = self.shared.config.void.as_ref().ok_or(Error::NotOffered("calling a payment off"))?;
        let request = self.request(call, merchant, id, Some(transaction), None)?;
        let charge = self.ask(merchant, &request).await.and_then(|answer| self.read(&answer, id));
        told("void", id, &charge);
        charge
    }

    /// The body of a payment, in the gateway's names.
    fn payment(&self, collect: &Collect) -> Result<String, Error> {
        let config = &self.shared.config;
        let amount = money::cents(collect.amount)?;
        let merchant = self.merchant_id(collect.merchant())?.to_owned();
        let customer = &collect.customer;
        let mut fields: Vec<(Field, Box<RawValue>)> = vec![
            (Field::MerchantId, json(&merchant)?),
            (Field::Channel, json(&config.channel)?),
            (Field::ClientRequestId, json(&collect.id.to_string())?),
            (Field::RequestType, json("token")?),
            (Field::Amount, amount_json(config.amounts, amount)?),
            (Field::Currency, json("USD")?),
            (Field::CustomerNumber, json(customer.number.as_str())?),
        ];
        let phone = customer.phone.as_ref();
        if phone.is_some_and(|phone| phone.as_str().len() != 10 || !phone.as_str().bytes().all(|b| b.is_ascii_digit()))
        {
            return Err(Error::Input("phone: ten digits, without the country's code".to_owned()));
        }
        let mut optional = vec![(Field::Email, customer.email.as_ref()), (Field::PhoneNumber, phone)];
        match &collect.source {
            Source::Card(token) => {
                if collect.fee.is_some() {
                    return Err(Error::Input("fee: card payments have no field for a convenience fee".to_owned()));
                }
                fields.push((Field::Token, json(token.expose())?));
                fields.push((Field::SaveCard, json("N")?));
                optional.push((Field::PostalCode, customer.postal_code.as_ref()));
            }
            Source::Check { token, entry, holder } => {
                let entry = match entry {
                    CheckEntry::Online => "ICA",
                    CheckEntry::Telephone => "CBP",
                };
                let millis = collect.at.unix_timestamp_nanos() / 1_000_000;
                fields.push((Field::Token, json(token.expose())?));
                fields.push((Field::SaveCheck, json("N")?));
                fields.push((Field::AchType, json(entry)?));
                fields.push((Field::SessionId, json(&millis.to_string())?));
                if let Some(fee) = collect.fee {
                    fields.push((Field::Fee, amount_json(config.amounts, money::cents(fee)?)?));
                }
                optional.extend([
                    (Field::FirstName, Some(&holder.first_name)),
                    (Field::LastName, Some(&holder.last_name)),
                    (Field::AddressOne, Some(&holder.address_one)),
                    (Field::AddressTwo, holder.address_two.as_ref()),
                    (Field::City, Some(&holder.city)),
                    (Field::State, Some(&holder.state)),
                    (Field::Zip, Some(&holder.zip)),
                ]);
            }
        }
        for (field, text) in optional {
            if let Some(text) = text {
                fields.push((field, json(text.as_str())?));
            }
        }
        let named: BTreeMap<&str, Box<RawValue>> =
            fields.into_iter().filter_map(|(field, value)| Some((config.name(field)?, value))).collect();
        serde_json::to_string(&named).map_err(unwritable)
    }

    /// One of the further calls.
    fn request(
        &self,
        call: &Call,
        merchant: Merchant,
        id: ClientRequestId,
        transaction: Option<&TransactionId>,
        amount: Option<u64>,
    ) -> Result<Request, Error> {
        let merchant = self.merchant_id(merchant)?;
        let value = |name: &str| match name {
            "merchant_id" => Some(merchant.to_owned()),
            "client_request_id" => Some(id.to_string()),
            "transaction" => transaction.map(|transaction| transaction.as_str().to_owned()),
            "amount" => amount.map(|amount| match self.shared.config.amounts {
                AmountFormat::Cents => amount.to_string(),
                AmountFormat::Text | AmountFormat::Number => money::dollars(amount),
            }),
            _ => None,
        };
        let fill = |template: &str| {
            template::fill(template, value).map_err(|name| Error::Input(format!("this call needs the {name}")))
        };
        let body: BTreeMap<&str, String> =
            call.body.iter().map(|(name, value)| Ok((name.as_str(), fill(value)?))).collect::<Result<_, Error>>()?;
        let method = Method::from_bytes(call.method.as_bytes())
            .map_err(|_| Error::Configuration(format!("'{}' is no method", call.method)))?;
        let body = if body.is_empty() { None } else { Some(serde_json::to_string(&body).map_err(unwritable)?) };
        Ok(Request { method, url: self.url(&fill(&call.path)?)?, body })
    }

    fn merchant_id(&self, merchant: Merchant) -> Result<&str, Error> {
        let merchants = &self.shared.config.merchants;
        let (id, what) = match merchant {
            Merchant::Card => (&merchants.card, "taking cards (tilli.merchants.card)"),
            Merchant::Ica => (&merchants.ica, "taking checks online (tilli.merchants.ica)"),
            Merchant::Cbp => (&merchants.cbp, "taking checks by telephone (tilli.merchants.cbp)"),
        };
        id.as_deref().ok_or(Error::NotOffered(what))
    }

    fn url(&self, path: &str) -> Result<Url, Error> {
        let whole = format!("{}{path}", self.shared.base.as_str().trim_end_matches('/'));
        Url::parse(&whole).map_err(|error| Error::Configuration(format!("'{path}' makes no URL: {error}")))
    }

    /// Sends `request` once, and once more if the token was refused: then it was not looked at.
    async fn ask(&self, merchant: Merchant, request: &Request) -> Result<Answer, Error> {
        let answer = self.send(request, self.token(merchant).await?).await?;
        if answer.http != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        self.tokens().remove(&merchant);
        let answer = self.send(request, self.token(merchant).await?).await?;
        if answer.http != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        self.tokens().remove(&merchant);
        Err(Error::Unauthorised { status: 401, message: "a token that was just given is refused".to_owned() })
    }

    async fn send(&self, request: &Request, token: HeaderValue) -> Result<Answer, Error> {
        let name = HeaderName::from_bytes(self.shared.config.token_header.as_bytes())
            .map_err(|_| Error::Configuration("tilli.token_header is no name of a header".to_owned()))?;
        let mut sent = self.shared.http.request(request.method.clone(), request.url.clone()).header(name, token);
        if let Some(body) = &request.body {
            sent = sent.header(reqwest::header::CONTENT_TYPE, "application/json").body(body.clone());
        }
        let (http, bytes) = match exchange(sent).await {
            Ok(answer) => answer,
            Err(error) if error.is_connect() => return Err(Error::Unreachable(words(error))),
            Err(error) => return Err(Error::Unknown(words(error))),
        };
        let bytes = bytes.ok_or_else(|| Error::Unknown("an answer longer than a megabyte".to_owned()))?;
        // What is no JSON has no words in it; the status decides.
        Ok(Answer { http, body: serde_json::from_slice(&bytes).unwrap_or_default() })
    }

    fn tokens(&self) -> MutexGuard<'_, HashMap<Merchant, (HeaderValue, Instant)>> {
        self.shared.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The token of a merchant id: the one we have, or a new one. Whatever goes wrong, nothing was charged.
    async fn token(&self, merchant: Merchant) -> Result<HeaderValue, Error> {
        if let Some((token, until)) = self.tokens().get(&merchant)
            && Instant::now() < *until
        {
            return Ok(token.clone());
        }
        let auth = &self.shared.config.auth;
        let merchant_id = self.merchant_id(merchant)?;
        let value = |name: &str| match name {
            "merchant_id" => Some(merchant_id.to_owned()),
            name => self.shared.config.credentials.get(name).map(|secret| secret.expose().to_owned()),
        };
        let fill = |template: &str| {
            template::fill(template, value)
                .map_err(|name| Error::Configuration(format!("tilli.credentials.{name} is missing")))
        };
        let mut headers = HeaderMap::new();
        for (name, template) in &auth.headers {
            let name = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| Error::Configuration(format!("tilli.auth.headers: '{name}' is no name of a header")))?;
            headers.insert(name.clone(), secret_header(&fill(template)?, name.as_str())?);
        }
        let method = Method::from_bytes(auth.method.as_bytes())
            .map_err(|_| Error::Configuration(format!("tilli.auth.method: '{}' is no method", auth.method)))?;
        let mut sent = self.shared.http.request(method, self.url(&fill(&auth.path)?)?).headers(headers);
        if !auth.body.is_empty() {
            let body: BTreeMap<&str, String> = auth
                .body
                .iter()
                .map(|(name, value)| Ok((name.as_str(), fill(value)?)))
                .collect::<Result<_, Error>>()?;
            let body = serde_json::to_string(&body).map_err(unwritable)?;
            sent = sent.header(reqwest::header::CONTENT_TYPE, "application/json").body(body);
        }
        let unreachable = |error| Error::Unreachable(format!("no token: {}", words(error)));
        let (http, bytes) = exchange(sent).await.map_err(unreachable)?;
        let refused = |message: &str| Error::Unauthorised { status: http.as_u16(), message: message.to_owned() };
        match http.as_u16() {
            200..=299 => {}
            // Not 4xx: it does not say anything of our credentials.
            429 | 500..=599 => return Err(Error::Unreachable(format!("no token: HTTP {}", http.as_u16()))),
            _ => return Err(refused("no token for our credentials")),
        }
        let answer: Value = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let token = answer.pointer(&auth.token).and_then(Value::as_str).filter(|token| !token.is_empty());
        let token = token.ok_or_else(|| refused("the answer has no token at tilli.auth.token"))?;
        let token = secret_header(token, "the token")?;
        let until = Instant::now() + Duration::from_secs(auth.ttl_seconds);
        self.tokens().insert(merchant, (token.clone(), until));
        Ok(token)
    }

    /// What an answer says of the request with our `id`.
    fn read(&self, answer: &Answer, id: ClientRequestId) -> Result<Charge, Error> {
        let config = &self.shared.config;
        let http = answer.http.as_u16();
        let words = |pointer: &Option<String>| pointer.as_deref().and_then(|pointer| words_at(&answer.body, pointer));
        let message = words(&config.response.message);
        let in_words = || message.clone().unwrap_or_else(|| "no words".to_owned());
        let echo = config.response.client_request_id.as_deref().and_then(|pointer| text_at(&answer.body, pointer));
        if let Some(echo) = echo
            && !echo.eq_ignore_ascii_case(&id.to_string())
        {
            return Err(Error::Unknown(format!("HTTP {http}, and the answer is about another request")));
        }
        let transaction =
            text_at(&answer.body, &config.response.transaction).and_then(|id| TransactionId::parse(&id).ok());
        let word = words_at(&answer.body, &config.response.status);
        let known = word.as_deref().and_then(|word| config.status.get(word));
        let standing = match (http, known) {
            (200..=299, Some(Status::Approved)) => Standing::Approved,
            (200..=299, Some(Status::Pending)) => Standing::Pending,
            (200..=299 | 400..=499, Some(Status::Declined)) => Standing::Declined,
            (_, None | Some(Status::Error)) if config.refused_http.contains(&http) => {
                return Err(Error::Refused { status: http, code: None, message: in_words(), fields: Vec::new() });
            }
            _ => {
                let word = word.unwrap_or_else(|| "nothing".to_owned());
                return Err(Error::Unknown(format!("HTTP {http}, status '{word}': {}", in_words())));
            }
        };
        if transaction.is_none() && standing != Standing::Declined {
            return Err(Error::Unknown(format!("HTTP {http}, {standing:?} without a transaction id")));
        }
        let charged = config.response.amount.as_deref().and_then(|pointer| answer.body.pointer(pointer));
        Ok(Charge {
            standing,
            transaction,
            charged: charged.and_then(|value| amount_in(config.amounts, value)),
            word: word.unwrap_or_default(),
            message,
            auth_code: words(&config.response.auth_code),
        })
    }
}

/// One line per request. Neither bodies nor what the gateway says in its own words is logged.
fn told(what: &'static str, id: ClientRequestId, charge: &Result<Charge, Error>) {
    match charge {
        Ok(charge) => tracing::info!(what, request = %id, standing = ?charge.standing, "answered by tilli"),
        Err(error) => tracing::warn!(what, request = %id, outcome = ?error.outcome(), "no good answer from tilli"),
    }
}

/// Status and body; no body if it is too long.
async fn exchange(request: reqwest::RequestBuilder) -> Result<(StatusCode, Option<Vec<u8>>), reqwest::Error> {
    let mut answer = request.send().await?;
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if bytes.len() + chunk.len() > MAX_ANSWER {
            return Ok((answer.status(), None));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok((answer.status(), Some(bytes)))
}

/// What went wrong with the connection, without the URL: a path may name a payment.
fn words(error: reqwest::Error) -> String {
    use std::error::Error as _;
    let error = error.without_url();
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        words = format!("{words}: {inner}");
        source = inner.source();
    }
    words
}

fn secret_header(value: &str, what: &str) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| Error::Configuration(format!("{what} has characters that no header can carry")))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The string or whole number at `pointer`, 200 characters at most.
fn text_at(body: &Value, pointer: &str) -> Option<String> {
    let text = match body.pointer(pointer)? {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) if !number.is_f64() => number.to_string(),
        _ => return None,
    };
    (!text.is_empty()).then(|| text.chars().filter(|c| !c.is_control()).take(200).collect())
}

/// The same, of what is kept and shown: without card numbers. Not for ids, one in ten of which would look like one.
fn words_at(body: &Value, pointer: &str) -> Option<String> {
    text_at(body, pointer).map(|text| card_number::masked(&text))
}

/// An amount as the gateway writes it. A JSON number with a point is read from its digits, not as a float; numbers of up to 15
/// digits survive being parsed.
fn amount_in(format: AmountFormat, value: &Value) -> Option<Units> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let amount = Signed::parse(&text).filter(|amount| amount.0 >= 0)?.units();
    match format {
        AmountFormat::Text | AmountFormat::Number => Some(amount),
        AmountFormat::Cents => (!text.contains('.')).then_some(Units(amount.0 / 100)),
    }
}

fn json(text: &str) -> Result<Box<RawValue>, Error> {
    serde_json::value::to_raw_value(text).map_err(unwritable)
}

fn amount_json(format: AmountFormat, cents: u64) -> Result<Box<RawValue>, Error> {
    match format {
        AmountFormat::Text => json(&money::dollars(cents)),
        AmountFormat::Number => RawValue::from_string(money::dollars(cents)).map_err(unwritable),
        AmountFormat::Cents => RawValue::from_string(cents.to_string()).map_err(unwritable),
    }
}

fn unwritable(error: serde_json::Error) -> Error {
    Error::Input(format!("this cannot be written as JSON: {error}"))
}
