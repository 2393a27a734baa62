//! TilliPay, statements, and files for banks.

mod collect;
mod configuration;
mod payouts;
mod secrets;
mod statements;
mod webhooks;

use domain::money::Units;
use fiat::text::Text;
use fiat::tilli::{CheckEntry, ClientRequestId, Collect, Config, Customer, Holder, Source, Tilli as Client, Token};
use serde_json::{Value, json};
use test_chain::sandbox::tilli::{Config as Sandbox, Tilli};
use time::macros::datetime;
use uuid::Uuid;

/// A sandbox, and a client of it.
pub(crate) struct Desk {
    pub(crate) sandbox: Tilli,
    pub(crate) client: Client,
}

impl Desk {
    pub(crate) async fn open() -> Self {
        Self::with(Sandbox::default()).await
    }

    /// A client that waits half a second.
    pub(crate) async fn with(config: Sandbox) -> Self {
        let sandbox = Tilli::start(config).await.unwrap();
        let config: Config = toml::from_str(&format!("timeout_ms = 500\n{}", sandbox.client_toml())).unwrap();
        let client = Client::new(config).unwrap();
        Self { sandbox, client }
    }

    pub(crate) fn sim(&self, action: &str, body: Value) -> Value {
        self.sandbox.sim(action, &body).unwrap()
    }

    /// What a customer's browser does: the number goes to the gateway and a token comes back.
    pub(crate) fn card(&self, number: &str) -> Source {
        Source::Card(self.token(json!({"cardNumber": number})))
    }

    pub(crate) fn check(&self, account: &str) -> Source {
        Source::Check {
            token: self.token(json!({"routingNumber": "021300912", "accountNumber": account})),
            entry: CheckEntry::Online,
            holder: Holder {
                first_name: text("Ada"),
                last_name: text("Example"),
                address_one: text("1 Main Street"),
                address_two: None,
                city: text("Albany"),
                state: text("NY"),
                zip: text("12207"),
            },
        }
    }

    fn token(&self, body: Value) -> Token {
        Token::parse(self.sim("tokenize", body)["token"].as_str().unwrap()).unwrap()
    }

    /// How often the gateway has charged under `id`.
    pub(crate) fn charges(&self, id: ClientRequestId) -> usize {
        self.sim("payment", json!({"clientRequestId": id.to_string()})).as_array().unwrap().len()
    }

    /// How often a path was asked for.
    pub(crate) fn asked(&self, path: &str) -> usize {
        let all = self.sim("requests", json!({}));
        all.as_array().unwrap().iter().filter(|request| request["path"] == path).count()
    }

    pub(crate) async fn report(&self, name: &str) -> Vec<u8> {
        get(&format!("{}/__sim/reports/{name}", self.sandbox.url())).await
    }
}

pub(crate) async fn get(url: &str) -> Vec<u8> {
    reqwest::get(url).await.unwrap().bytes().await.unwrap().to_vec()
}

pub(crate) fn text(value: &str) -> Text {
    Text::parse("text", value).unwrap()
}

/// A payment of `cents`.
pub(crate) fn payment(cents: u128, source: Source) -> Collect {
    Collect {
        id: ClientRequestId(Uuid::new_v4()),
        amount: Units(cents * 10_000),
        fee: None,
        source,
        customer: Customer {
            number: text("C-1001"),
            email: Some(text("ada@example.com")),
            phone: Some(text("5185550100")),
            postal_code: Some(text("12207")),
        },
        at: datetime!(2026-11-23 15:00 UTC),
    }
}
