//! Circle Mint.

mod chain;
mod endpoint;
mod lists;
mod money;
mod notifications;
mod orders;
mod shapes;

use domain::money::Units;
use fiat::circle::{
    AccountNumber, ApiKey, BankAccount, BankAddress, BillingDetails, Chain, Client, Config, Currency, IdempotencyKey,
    Money, NewMockWire, NewRecipient, NewWire, RecipientId, Wire,
};
use std::time::Duration;
use test_chain::sandbox::circle::{Circle, Config as Sandbox};
use uuid::Uuid;

/// Base units in a dollar.
const DOLLAR: u128 = 1_000_000;

/// Long enough for whatever Circle does.
const A_DAY: Duration = Duration::from_secs(24 * 3600);

/// Circle and somebody who has an account there.
struct Scene {
    circle: Circle,
    client: Client,
}

fn key() -> IdempotencyKey {
    IdempotencyKey::try_from(Uuid::new_v4()).unwrap()
}

fn usd(units: u128) -> Money {
    Money::usd(Units(units))
}

/// How the client is set up here: nobody waits long for anything.
fn config(base_url: &str, api_key: &str) -> Config {
    Config {
        timeout: Duration::from_secs(2),
        backoff: Duration::from_millis(5),
        longest_backoff: Duration::from_millis(20),
        ..Config::new(base_url, ApiKey::new(api_key))
    }
}

fn new_wire(account: &str) -> NewWire {
    NewWire {
        account: BankAccount::Number {
            account_number: AccountNumber(account.to_owned()),
            routing_number: "121000248".to_owned(),
        },
        billing_details: BillingDetails {
            name: "Monay Payments LLC".to_owned(),
            city: "Boston".to_owned(),
            country: "US".to_owned(),
            line1: "100 Main Street".to_owned(),
            line2: None,
            district: Some("MA".to_owned()),
            postal_code: "02201".to_owned(),
        },
        bank_address: BankAddress {
            bank_name: Some("FIRST SANDBOX BANK".to_owned()),
            city: Some("Boston".to_owned()),
            country: "US".to_owned(),
            line1: Some("1 Bank Plaza".to_owned()),
            district: Some("MA".to_owned()),
        },
    }
}

fn new_recipient(address: &str) -> NewRecipient {
    NewRecipient {
        address: address.to_owned(),
        address_tag: None,
        chain: Chain::Base,
        currency: Currency::Usd,
        description: "Treasury on Base".to_owned(),
    }
}

/// An account of nobody's.
const SOMEBODY: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";

impl Scene {
    async fn new() -> Self {
        Self::with(Sandbox::default()).await
    }

    async fn with(sandbox: Sandbox) -> Self {
        let circle = Circle::start(sandbox).await.unwrap();
        let client = Client::new(&config(circle.base_url(), circle.api_key())).unwrap();
        Self { circle, client }
    }

    /// A bank account that is ready.
    async fn wire(&self) -> Wire {
        let wire = self.client.create_wire(key(), &new_wire("000000000010")).await.unwrap();
        self.circle.advance(A_DAY).await;
        self.client.wire(&wire.id).await.unwrap()
    }

    /// A wire of so many base units is sent, not more.
    async fn send_wire(&self, wire: &Wire, units: u128) {
        let instructions = self.client.wire_instructions(&wire.id, &Currency::Usd).await.unwrap();
        let (tracking_ref, account_number) = (instructions.tracking_ref, instructions.beneficiary_bank.account_number);
        let mock = NewMockWire { tracking_ref, amount: usd(units), account_number };
        self.client.mock_wire(&mock).await.unwrap();
    }

    /// So many base units are there to be used.
    async fn fund(&self, units: u128) -> Wire {
        let wire = self.wire().await;
        self.send_wire(&wire, units).await;
        self.circle.advance(A_DAY).await;
        wire
    }

    /// An approved address.
    async fn recipient(&self, address: &str) -> RecipientId {
        let recipient = self.client.create_recipient(key(), &new_recipient(address)).await.unwrap();
        assert!(self.circle.approve_recipient(recipient.id.as_str()));
        recipient.id
    }

    /// How many requests of a kind came.
    fn came(&self, method: &str, path: &str) -> usize {
        let requests = self.circle.requests();
        requests.iter().filter(|request| request.method == method && request.path.starts_with(path)).count()
    }
}
