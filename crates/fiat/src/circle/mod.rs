//! Circle Mint: dollars in by wire, USDC out to a chain; USDC in, dollars out by wire.
//!
//! | file | what |
//! | --- | --- |
//! | `http` | one request and its answer; which answer is proof of what |
//! | `list` | pages |
//! | `money` | decimal strings and base units |
//! | `words` | Circle's words, of which it may know more than we do; ids; the idempotency key |
//! | `model` | what is sent and what comes |
//! | `sns` | notifications: believed only with Amazon's signature, and never for what they say |
//!
//! A notification says only *that* something changed: what it is now is asked for with the id in it.

mod http;
mod list;
mod model;
mod money;
mod sns;
mod words;

pub use list::{Cursor, PAGE_SIZE, Page, Window};
pub use model::*;
pub use money::{BANK_DECIMALS, Money, parse_units};
pub use sns::{Confirmation, Event, Hosts, MAX_MESSAGE_BYTES, Message, NotificationConfig, Notifications, Resource};
pub use words::*;

use crate::Error;
use http::Door;
use serde::Deserialize;
use serde_json::{Value, json};
use std::fmt;
use std::time::Duration;
use time::OffsetDateTime;

/// Circle's own URL.
pub const PRODUCTION: &str = "https://api.circle.com";

/// The URL of Circle's sandbox.
pub const SANDBOX: &str = "https://api-sandbox.circle.com";

/// The key that opens our account. Never shown.
#[derive(Clone)]
pub struct ApiKey(String);

impl ApiKey {
    /// The key as Circle gave it.
    pub fn new(key: impl Into<String>) -> Self {
        Self(key.into())
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

/// Where Circle is and how it is spoken to.
#[derive(Clone, Debug)]
pub struct Config {
    /// Scheme and host; `http` on this machine only.
    pub base_url: String,
    /// The key.
    pub api_key: ApiKey,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// How many requests may be under way at once.
    pub concurrency: usize,
    /// How often a request that met "too many requests" is sent again.
    pub rate_limit_retries: u32,
    /// The first wait then, where Circle does not say how long; twice as long each time.
    pub backoff: Duration,
    /// The longest wait, also where Circle says more.
    pub longest_backoff: Duration,
}

impl Config {
    /// What is usual.
    pub fn new(base_url: impl Into<String>, api_key: ApiKey) -> Self {
        Self {
            base_url: base_url.into(),
            api_key,
            timeout: Duration::from_secs(30),
            concurrency: 4,
            rate_limit_retries: 4,
            backoff: Duration::from_millis(500),
            longest_backoff: Duration::from_secs(20),
        }
    }
}

/// Which transfers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransferFilter {
    /// Out of this wallet.
    pub source_wallet: Option<WalletId>,
    /// Into this wallet: how USDC that comes from a chain is found.
    pub destination_wallet: Option<WalletId>,
}

/// Which payouts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PayoutFilter {
    /// To this bank account.
    pub destination: Option<WireId>,
    /// In this state.
    pub status: Option<PayoutStatus>,
}

const BALANCES: &str = "/v1/businessAccount/balances";
const WIRES: &str = "/v1/businessAccount/banks/wires";
const DEPOSITS: &str = "/v1/businessAccount/deposits";
const DEPOSIT_ADDRESSES: &str = "/v1/businessAccount/wallets/addresses/deposit";
const RECIPIENTS: &str = "/v1/businessAccount/wallets/addresses/recipient";
const TRANSFERS: &str = "/v1/businessAccount/transfers";
const PAYOUTS: &str = "/v1/businessAccount/payouts";
const SUBSCRIPTIONS: &str = "/v1/notifications/subscriptions";

/// Our account at Circle. Clones share its limits.
#[derive(Clone)]
pub struct Client {
    door: Door,
    shown: String,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base_url", &self.shown).finish_non_exhaustive()
    }
}

impl Client {
    /// A client. Nothing is sent yet.
    pub fn new(config: &Config) -> Result<Self, Error> {
        Ok(Self { door: Door::new(config)?, shown: config.base_url.clone() })
    }

    /// Whether Circle is there. Needs no key.
    pub async fn ping(&self) -> Result<(), Error> {
        #[derive(Deserialize)]
        struct Pong {
            message: String,
        }
        let Pong { message } = self.door.get("/ping", &[]).await?.whole()?;
        if message == "pong" { Ok(()) } else { Err(Error::Nonsense("the ping was answered without pong".to_owned())) }
    }

    /// The wallet that is ours.
    pub async fn master_wallet(&self) -> Result<WalletId, Error> {
        #[derive(Deserialize)]
        struct Configuration {
            payments: Payments,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Payments {
            master_wallet_id: WalletId,
        }
        let configuration: Configuration = self.door.get("/v1/configuration", &[]).await?.data()?;
        Ok(configuration.payments.master_wallet_id)
    }

    /// What is at Circle: in all, or in one wallet.
    pub async fn balances(&self, wallet: Option<&WalletId>) -> Result<Balances, Error> {
        let query: Vec<(&str, &str)> = wallet.iter().map(|wallet| ("walletId", wallet.as_str())).collect();
        self.door.get(BALANCES, &query).await?.data()
    }

    /// Makes a bank account known.
    pub async fn create_wire(&self, key: IdempotencyKey, wire: &NewWire) -> Result<Wire, Error> {
        self.post(WIRES, key, &body(wire)?).await
    }

    /// The bank accounts that Circle knows.
    pub async fn wires(&self) -> Result<Vec<Wire>, Error> {
        self.door.get(WIRES, &[]).await?.data()
    }

    /// One of them.
    pub async fn wire(&self, id: &WireId) -> Result<Wire, Error> {
        self.door.get(&format!("{WIRES}/{id}"), &[]).await?.data()
    }

    /// How dollars are sent to Circle from there.
    pub async fn wire_instructions(&self, id: &WireId, currency: &Currency) -> Result<WireInstructions, Error> {
        let path = format!("{WIRES}/{id}/instructions");
        self.door.get(&path, &[("currency", currency.as_str())]).await?.data()
    }

    /// Lets the sandbox pretend that a wire came. There is no key: sent twice it comes twice.
    pub async fn mock_wire(&self, wire: &NewMockWire) -> Result<MockWire, Error> {
        self.door.post("/v1/mocks/payments/wire", &wire.body()?).await?.data()
    }

    /// A page of what came from banks. What came from chains is in [`Client::transfers`].
    pub async fn deposits(&self, window: &Window) -> Result<Page<Deposit>, Error> {
        list::page(&self.door, DEPOSITS, &[], window).await
    }

    /// All that came from banks in a time, both ends inclusive; newest first.
    pub async fn all_deposits(
        &self,
        from: Option<OffsetDateTime>,
        to: Option<OffsetDateTime>,
    ) -> Result<Vec<Deposit>, Error> {
        list::all(&self.door, DEPOSITS, &[], Window { from, to, ..Window::default() }).await
    }

    /// One of them.
    pub async fn deposit(&self, id: &DepositId) -> Result<Deposit, Error> {
        self.door.get(&format!("{DEPOSITS}/{id}"), &[]).await?.data()
    }

    /// Our address on a chain; there is one for each.
    pub async fn create_deposit_address(
        &self,
        key: IdempotencyKey,
        chain: &Chain,
        currency: &Currency,
    ) -> Result<DepositAddress, Error> {
        self.post(DEPOSIT_ADDRESSES, key, &json!({"chain": chain, "currency": currency})).await
    }

    /// Our addresses on chains.
    pub async fn deposit_addresses(&self) -> Result<Vec<DepositAddress>, Error> {
        self.door.get(DEPOSIT_ADDRESSES, &[]).await?.data()
    }

    /// Asks for leave to send to an address. An administrator has to give it in Circle's console.
    pub async fn create_recipient(&self, key: IdempotencyKey, recipient: &NewRecipient) -> Result<Recipient, Error> {
        self.post(RECIPIENTS, key, &body(recipient)?).await
    }

    /// The addresses that can be sent to. Those that wait for approval are not among them.
    pub async fn recipients(&self) -> Result<Vec<Recipient>, Error> {
        list::all(&self.door, RECIPIENTS, &[], Window::default()).await
    }

    /// Forgets one.
    pub async fn delete_recipient(&self, id: &RecipientId) -> Result<(), Error> {
        self.door.delete(&format!("{RECIPIENTS}/{id}")).await.map(drop)
    }

    /// Sends USDC to an approved address.
    pub async fn create_transfer(
        &self,
        key: IdempotencyKey,
        recipient: &RecipientId,
        amount: &Money,
    ) -> Result<Transfer, Error> {
        amount.positive()?;
        let destination = json!({"type": "verified_blockchain", "addressId": recipient});
        self.post(TRANSFERS, key, &json!({"destination": destination, "amount": amount})).await
    }

    /// One transfer.
    pub async fn transfer(&self, id: &TransferId) -> Result<Transfer, Error> {
        self.door.get(&format!("{TRANSFERS}/{id}"), &[]).await?.data()
    }

    /// A page of transfers, to chains and from them.
    pub async fn transfers(&self, filter: &TransferFilter, window: &Window) -> Result<Page<Transfer>, Error> {
        list::page(&self.door, TRANSFERS, &filter.query(), window).await
    }

    /// All transfers in a time, both ends inclusive; newest first.
    pub async fn all_transfers(
        &self,
        filter: &TransferFilter,
        from: Option<OffsetDateTime>,
        to: Option<OffsetDateTime>,
    ) -> Result<Vec<Transfer>, Error> {
        list::all(&self.door, TRANSFERS, &filter.query(), Window { from, to, ..Window::default() }).await
    }

    /// Sends dollars, in whole cents, to a bank account that Circle knows.
    pub async fn create_payout(&self, key: IdempotencyKey, to: &WireId, amount: &Money) -> Result<Payout, Error> {
        amount.positive()?.in_cents()?;
        self.post(PAYOUTS, key, &json!({"destination": {"type": "wire", "id": to}, "amount": amount})).await
    }

    /// One payout.
    pub async fn payout(&self, id: &PayoutId) -> Result<Payout, Error> {
        self.door.get(&format!("{PAYOUTS}/{id}"), &[]).await?.data()
    }

    /// A page of payouts.
    pub async fn payouts(&self, filter: &PayoutFilter, window: &Window) -> Result<Page<Payout>, Error> {
        list::page(&self.door, PAYOUTS, &filter.query(), window).await
    }

    /// All payouts in a time, both ends inclusive; newest first.
    pub async fn all_payouts(
        &self,
        filter: &PayoutFilter,
        from: Option<OffsetDateTime>,
        to: Option<OffsetDateTime>,
    ) -> Result<Vec<Payout>, Error> {
        list::all(&self.door, PAYOUTS, &filter.query(), Window { from, to, ..Window::default() }).await
    }

    /// Has notifications sent to a URL, which has to answer `HEAD` and `POST`. Circle allows one in production.
    pub async fn subscribe(&self, endpoint: &str) -> Result<Subscription, Error> {
        self.door.post(SUBSCRIPTIONS, &json!({"endpoint": endpoint})).await?.data()
    }

    /// Where notifications are sent.
    pub async fn subscriptions(&self) -> Result<Vec<Subscription>, Error> {
        self.door.get(SUBSCRIPTIONS, &[]).await?.data()
    }

    /// Ends one that is not pending.
    pub async fn unsubscribe(&self, id: &SubscriptionId) -> Result<(), Error> {
        self.door.delete(&format!("{SUBSCRIPTIONS}/{id}")).await.map(drop)
    }

    async fn post<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        key: IdempotencyKey,
        body: &Value,
    ) -> Result<T, Error> {
        let mut body = body.clone();
        if let Some(body) = body.as_object_mut() {
            body.insert("idempotencyKey".to_owned(), json!(key.uuid()));
        }
        self.door.post(path, &body).await?.data()
    }
}

fn body(of: &impl serde::Serialize) -> Result<Value, Error> {
    serde_json::to_value(of).map_err(|error| Error::Input(error.to_string()))
}

impl TransferFilter {
    fn query(&self) -> Vec<(&str, &str)> {
        let sides = [("sourceWalletId", &self.source_wallet), ("destinationWalletId", &self.destination_wallet)];
        sides.into_iter().filter_map(|(name, wallet)| Some((name, wallet.as_ref()?.as_str()))).collect()
    }
}

impl PayoutFilter {
    fn query(&self) -> Vec<(&str, &str)> {
        let destination = self.destination.as_ref().map(|id| ("destination", id.as_str()));
        destination.into_iter().chain(self.status.as_ref().map(|status| ("status", status.as_str()))).collect()
    }
}
