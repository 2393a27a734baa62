//! Circle Mint, as far as its documentation says what it does.
//!
//! | file | what |
//! | --- | --- |
//! | `reply` | answers, complaints, and the checking of what is sent |
//! | `routes` | Circle's own paths |
//! | `sim` | `/__sim/…`: time, the administrator in the console, faults |
//! | `state` | what is at Circle, and what happens to it when |
//! | `chain` | USDC that really moves on a local chain |
//! | `sns` | Amazon's part of a notification |
//!
//! Nothing happens by itself unless [`Pace::Live`] is asked for: [`Circle::advance`] moves the clock, does in order what is due
//! until then, looks at the chain and delivers notifications. State is in memory: it is the provider that remembers, not us.

mod chain;
mod reply;
mod routes;
mod sim;
mod sns;
mod state;

pub use chain::ChainConfig;
pub use sim::{Fault, FaultKind};
pub use sns::{Signer, TOPIC, sign};

use crate::Error;
use alloy::transports::http::reqwest;
use axum::Router;
use serde_json::Value;
use state::State;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// How often a live sandbox looks whether something is due.
const TICK: Duration = Duration::from_millis(50);

/// What moves its clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Only [`Circle::advance`].
    Manual,
    /// The clock on the wall; `advance` moves it beyond that.
    Live,
}

/// How long things take.
#[derive(Clone, Copy, Debug)]
pub struct Delays {
    /// Checking a bank account.
    pub wire_account: Duration,
    /// Until the next batch of pretended wires.
    pub wire_batch: Duration,
    /// Until a deposit is ours.
    pub deposit: Duration,
    /// Until a transfer is on the wire, and again until it is done where there is no chain.
    pub transfer: Duration,
    /// Until a payout is sent.
    pub payout: Duration,
    /// Between two attempts to deliver a notification; longer each time.
    pub delivery: Duration,
}

impl Delays {
    /// Circle's, more or less.
    pub const REAL: Self = Self {
        wire_account: Duration::from_secs(60),
        wire_batch: Duration::from_secs(15 * 60),
        deposit: Duration::from_secs(15 * 60),
        transfer: Duration::from_secs(10),
        payout: Duration::from_secs(24 * 3600),
        delivery: Duration::from_secs(20),
    };
    /// For demonstrations.
    pub const SHORT: Self = Self {
        wire_account: Duration::from_millis(100),
        wire_batch: Duration::from_millis(100),
        deposit: Duration::from_millis(100),
        transfer: Duration::from_millis(100),
        payout: Duration::from_millis(100),
        delivery: Duration::from_millis(200),
    };
}

/// Which Circle.
#[derive(Clone, Debug)]
pub struct Config {
    /// The key that opens the account.
    pub api_key: String,
    /// What moves the clock.
    pub pace: Pace,
    /// How long things take.
    pub delays: Delays,
    /// The chain that is `BASE` here. Without one transfers have made-up hashes.
    pub chain: Option<ChainConfig>,
    /// Whether lists have a `Link` header.
    pub link_header: bool,
    /// SNS signs with SHA-1 (1) or SHA-256 (2).
    pub signature_version: u8,
}

impl Default for Config {
    /// Stands still until it is told to move.
    fn default() -> Self {
        Self {
            api_key: "TEST_API_KEY:sandbox:not-a-secret".to_owned(),
            pace: Pace::Manual,
            delays: Delays::REAL,
            chain: None,
            link_header: true,
            signature_version: 1,
        }
    }
}

/// A request that came.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// `POST`.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The body, or null.
    pub body: Value,
}

struct Shared {
    config: Config,
    base_url: String,
    http: reqwest::Client,
    state: Mutex<State>,
    /// Who moves the clock: one at a time.
    turn: tokio::sync::Mutex<()>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running Circle. It ends when this is dropped.
pub struct Circle {
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

impl Circle {
    /// Starts one, on a port of the system's choice.
    pub async fn start(config: Config) -> Result<Self, Error> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(Error::io("listen"))?;
        let address = listener.local_addr().map_err(Error::io("listen"))?;
        let scanned = match &config.chain {
            Some(chain) => chain.node.block("latest").await?.0,
            None => 0,
        };
        // The HTTP client asks for one even where nothing is encrypted; there may be one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().timeout(Duration::from_secs(5)).build();
        let http = http.map_err(|error| Error::NotStarted { what: "Circle".into(), why: error.to_string() })?;
        let shared = Arc::new(Shared {
            state: Mutex::new(State::new(config.delays, scanned)),
            config,
            base_url: format!("http://{address}"),
            http,
            turn: tokio::sync::Mutex::default(),
        });
        let router = Router::new().fallback(routes::serve).with_state(Arc::clone(&shared));
        let mut tasks = vec![tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        })];
        if shared.config.pace == Pace::Live {
            let shared = Arc::clone(&shared);
            tasks.push(tokio::spawn(async move {
                loop {
                    shared.run_until(OffsetDateTime::now_utc()).await;
                    tokio::time::sleep(TICK).await;
                }
            }));
        }
        Ok(Self { shared, tasks })
    }

    /// Scheme, host and port.
    pub fn base_url(&self) -> &str {
        &self.shared.base_url
    }

    /// The key that opens the account.
    pub fn api_key(&self) -> &str {
        &self.shared.config.api_key
    }

    /// The URL of the certificate that notifications are signed with.
    pub fn certificate_url(&self) -> String {
        self.shared.certificate_url()
    }

    /// The URL of a certificate of the same key that is not valid any more.
    pub fn expired_certificate_url(&self) -> String {
        format!("{}{}", self.shared.base_url, sns::EXPIRED_PATH)
    }

    /// Its clock.
    pub fn now(&self) -> OffsetDateTime {
        self.shared.state().now
    }

    /// Moves the clock and lets happen what happens until then.
    pub async fn advance(&self, by: Duration) {
        let target = self.now() + by;
        self.shared.run_until(target).await;
    }

    /// What can be used and what cannot yet, in base units (10⁻⁶ of a dollar).
    pub fn balances(&self) -> (u128, u128) {
        let state = self.shared.state();
        (state.available, state.unsettled)
    }

    /// Every request that came to Circle's own paths.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.state().requests.clone()
    }
}

impl Drop for Circle {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
