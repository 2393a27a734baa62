//! TilliPay, and the bank behind it.
//!
//! **What is documented** is done as documented: `POST /card/payments` and `POST /ach/payments`, their fields, the header
//! `gpsToken`, a merchant id per kind of payment. **What is assumed** is everything else: how to log in, what answers look like,
//! look-ups, refunds, voids, notifications, reports. Its names are in [`Assumed`], and nobody should take them for TilliPay's.
//!
//! Money, days and messages are steered at `/__sim/…` ([`Tilli::sim`]; the table is at [`sim`]). Time stands still until
//! `advance`; then settlements, returns and disputes happen on the banking days on which they are due.
//!
//! | typed into the hosted field (`tokenize`) | what its token does |
//! | --- | --- |
//! | 4111111111111111, 378282246310005 | is approved |
//! | 4000000000000002 | is declined |
//! | 4000000000000259 | is approved; disputed 10 days after settlement, lost 30 days later |
//! | 4000000000001976 | is approved; disputed 10 days after settlement, won 30 days later |
//! | account ending in 0001, 0003 | comes back with R01, R03, two banking days after settlement |
//! | account ending in 0010, 0007 | comes back with R10, R07, 45 days after settlement |
//! | any other account | settles |
//!
//! | amount | what happens |
//! | --- | --- |
//! | 666.01 | charged, and the answer never comes |
//! | 666.02 | declined |
//! | 666.03 | a cent less is charged than was asked for |
//! | 666.04 | charged, and the answer is a 500 |
//! | 666.05 | pending; approved on the next banking day |

mod api;
mod calendar;
mod reports;
mod sim;
mod state;
mod webhooks;

use crate::Error;
use alloy::transports::http::reqwest;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{any, get, post};
use serde_json::Value;
use state::State;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use time::Date;
use time::macros::date;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// How the sandbox is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// The first day.
    pub today: Date,
    /// Who pays the gateway's fees.
    pub fee_model: FeeModel,
    /// The gateway's fee, in hundredths of a percent of the payment.
    pub fee_basis_points: u64,
    /// And per payment, in cents.
    pub fee_cents: u64,
    /// What a dispute costs us when it is opened, in cents.
    pub dispute_fee_cents: u64,
    /// Our key.
    pub api_key: String,
    /// Merchant id for cards.
    pub card_merchant: String,
    /// Merchant id for checks online.
    pub ica_merchant: String,
    /// Merchant id for checks by telephone.
    pub cbp_merchant: String,
    /// How long a token is good for.
    pub token_lives: Duration,
    /// What a second request with one client request id meets. Not documented, so all of it is to be expected.
    pub duplicates: Duplicates,
    /// How long an answer that never comes keeps the connection.
    pub silence: Duration,
    /// The key that notifications are signed with.
    pub webhook_secret: String,
    /// Names of what is not documented.
    pub assumed: Assumed,
}

/// Who pays the gateway's fees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeeModel {
    /// We do: they are taken off what is settled.
    Absorption,
    /// The customer does, on top: what is settled is whole.
    Convenience,
}

/// What a second request with one client request id meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duplicates {
    /// 409.
    Refused,
    /// The answer of the first.
    Replayed,
    /// The customer is charged again.
    ChargedAgain,
}

/// Names that are assumed: TilliPay documents none of them.
#[derive(Clone, Debug)]
pub struct Assumed {
    /// `POST`: `{"merchantId", "apiKey"}` to `{"gpsToken"}`.
    pub auth_path: String,
    /// `GET …/{clientRequestId}`.
    pub status_path: String,
    /// `POST`: `{"merchantId", "clientRequestId", "transactionId", "amount"}`.
    pub refund_path: String,
    /// `POST`: `{"merchantId", "clientRequestId", "transactionId"}`.
    pub void_path: String,
    /// The field of a token in a payment with `requestType` `token`.
    pub token_field: String,
    /// The header of a notification's signature: HMAC-SHA256 over the body, in hexadecimal digits.
    pub signature_header: String,
}

impl Default for Assumed {
    fn default() -> Self {
        Self {
            auth_path: "/merchant/authenticate".to_owned(),
            status_path: "/payments/status".to_owned(),
            refund_path: "/payments/refund".to_owned(),
            void_path: "/payments/void".to_owned(),
            token_field: "paymentToken".to_owned(),
            signature_header: "X-Gps-Signature".to_owned(),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            today: date!(2026 - 11 - 23),
            fee_model: FeeModel::Absorption,
            fee_basis_points: 290,
            fee_cents: 30,
            dispute_fee_cents: 1_500,
            api_key: "sandbox-key-of-the-merchant".to_owned(),
            card_merchant: "M-CARD-1".to_owned(),
            ica_merchant: "M-ICA-1".to_owned(),
            cbp_merchant: "M-CBP-1".to_owned(),
            token_lives: Duration::from_secs(900),
            duplicates: Duplicates::Refused,
            silence: Duration::from_secs(60),
            webhook_secret: "sandbox-webhook-secret".to_owned(),
            assumed: Assumed::default(),
        }
    }
}

struct Shared {
    config: Config,
    state: Mutex<State>,
    http: reqwest::Client,
    /// Notifications go out one after the other.
    delivering: tokio::sync::Mutex<()>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running sandbox. It ends when this is dropped.
pub struct Tilli {
    url: String,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

impl Tilli {
    /// Starts one, on a port of the system's choice.
    pub async fn start(config: Config) -> Result<Self, Error> {
        // Set once for the process; a second time is refused and harmless.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(Error::io("listen"))?;
        let address = listener.local_addr().map_err(Error::io("listen"))?;
        let assumed = config.assumed.clone();
        let shared = Arc::new(Shared {
            state: Mutex::new(State::new(config.today)),
            config,
            http: reqwest::Client::new(),
            delivering: tokio::sync::Mutex::default(),
        });
        let router = Router::new()
            .route("/card/payments", post(api::card))
            .route("/ach/payments", post(api::ach))
            .route(&assumed.auth_path, post(api::authenticate))
            .route(&format!("{}/{{id}}", assumed.status_path), get(api::status))
            .route(&assumed.refund_path, post(api::refund))
            .route(&assumed.void_path, post(api::void))
            .layer(axum::middleware::from_fn_with_state(Arc::clone(&shared), api::trouble))
            .route("/__sim/reports/settlement.csv", get(reports::settlement))
            .route("/__sim/reports/bank.csv", get(reports::bank))
            .route("/__sim/reports/returns.ach", get(reports::returns))
            .route("/__sim/{action}", post(sim::answer))
            .fallback(any(api::nothing))
            .layer(DefaultBodyLimit::max(16 << 20))
            .with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { url: format!("http://{address}"), shared, server })
    }

    /// Its URL, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Does `action` of the table at [`sim`] with `body`, as `POST /__sim/{action}` does. What is wrong with it is the error.
    pub fn sim(&self, action: &str, body: &Value) -> Result<Value, String> {
        sim::act(&self.shared, action, body)
    }

    /// Returns when all notifications that are due have been delivered or given up.
    pub async fn delivered(&self) {
        webhooks::flush(&self.shared).await;
    }

    /// The configuration that a client of this sandbox needs, in TOML: the profile of our own client.
    pub fn client_toml(&self) -> String {
        let Config { api_key, card_merchant, ica_merchant, cbp_merchant, webhook_secret, assumed, .. } =
            &self.shared.config;
        let Assumed { auth_path, status_path, refund_path, void_path, token_field, signature_header } = assumed;
        format!(
            r#"base_url = "{url}"
refused_http = [400, 403, 404, 422]

[merchants]
card = "{card_merchant}"
ica = "{ica_merchant}"
cbp = "{cbp_merchant}"

[credentials]
api_key = "{api_key}"

[auth]
path = "{auth_path}"
body = {{ merchantId = "{{merchant_id}}", apiKey = "{{api_key}}" }}
token = "/gpsToken"

[fields]
token = "{token_field}"

[response]
transaction = "/transactionId"
status = "/status"
client_request_id = "/clientRequestId"
amount = "/amount"
message = "/message"
auth_code = "/authCode"

[status]
APPROVED = "approved"
SETTLED = "approved"
ACCEPTED = "approved"
VOIDED = "declined"
RETURNED = "error"
PENDING = "pending"
DECLINED = "declined"
ERROR = "error"

[query]
method = "GET"
path = "{status_path}/{{client_request_id}}"

[refund]
method = "POST"
path = "{refund_path}"
body = {{ merchantId = "{{merchant_id}}", clientRequestId = "{{client_request_id}}", transactionId = "{{transaction}}", amount = "{{amount}}" }}

[void]
method = "POST"
path = "{void_path}"
body = {{ merchantId = "{{merchant_id}}", clientRequestId = "{{client_request_id}}", transactionId = "{{transaction}}" }}

[webhook]
path = "/webhooks/tilli"
header = "{signature_header}"
algorithm = "hmac-sha256-hex"
secret = "{webhook_secret}"
id = "/eventId"
kind = "/eventType"
transaction = "/transactionId"
client_request_id = "/clientRequestId"
status = "/status"
amount = "/amount"
"#,
            url = self.url,
        )
    }

    /// How its settlement reports are written, in TOML.
    pub fn settlement_toml(&self) -> &'static str {
        reports::SETTLEMENT_TOML
    }

    /// How its bank's statements are written, in TOML.
    pub fn bank_toml(&self) -> &'static str {
        reports::BANK_TOML
    }
}

impl Drop for Tilli {
    fn drop(&mut self) {
        self.server.abort();
    }
}
