//! Between banks and the books (`docs/adr/0019`).
//!
//! The API writes down what somebody wants; this process takes each receipt one step further at a time. [`submit`] hands it to the
//! provider and asks what has become of it; [`statements`] reads what providers and banks say has moved, and [`told`] says what
//! that means; [`clear`] holds and clears; [`cure`] keeps the reserve whole; [`order`] has the mint ordered and [`book`] books it once it is final; [`reserve`] has
//! attestors say what stands behind it. [`webhooks`] hears that there is news. Each step is one transaction on one locked receipt, and every event is applied once by its name: any
//! number of these processes may run, and be killed, at any moment.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod book;
pub mod clear;
pub mod cure;
pub mod order;
pub mod reserve;
pub mod statements;
pub mod submit;
pub mod told;
pub mod webhooks;

use fiat::FiatGateway;
use fiat::sources::Feed;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use store::{Store, Tx};
use tokio::sync::Notify;
use tracing::{error, info, warn};
use uuid::Uuid;

/// The most rows of a kind that are looked at in one pass.
const MOST: u32 = 100;

/// How it runs.
#[derive(Clone, Debug)]
pub struct Config {
    /// How often it looks when nobody tells it to.
    pub poll: Duration,
    /// How often a provider is asked what has become of a payment.
    pub ask_every: Duration,
    /// How long after it was handed in a payment that the provider does not know is handed in again, under the same number.
    pub resend_after: Duration,
    /// How often statements are read.
    pub read_every: Duration,
    /// Our bank account that the reserve is held at.
    pub bank: String,
}

/// What can go wrong here.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Postgres.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A provider, or one of its files.
    #[error(transparent)]
    Fiat(#[from] fiat::Error),
    /// The configuration does not fit.
    #[error("{0}")]
    Configuration(String),
}

/// The treasury.
#[derive(Clone, Debug)]
pub struct Treasury {
    config: Arc<Config>,
    store: Store,
    gateway: FiatGateway,
    feeds: Arc<[Feed]>,
    /// Rung when a provider says that there is news.
    bell: Arc<Notify>,
}

impl Treasury {
    /// A treasury; nothing is done yet.
    pub fn new(config: Config, store: Store, gateway: FiatGateway, feeds: Vec<Feed>) -> Self {
        Self { config: Arc::new(config), store, gateway, feeds: feeds.into(), bell: Arc::new(Notify::new()) }
    }

    /// Runs until `shutdown` resolves; the step that is under way is finished first.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), Error> {
        info!(provider = self.gateway.name(), feeds = self.feeds.len(), "treasury runs");
        tokio::pin!(shutdown);
        let mut read = None::<tokio::time::Instant>;
        loop {
            if read.is_none_or(|at| at.elapsed() >= self.config.read_every) {
                self.read_statements().await;
                read = Some(tokio::time::Instant::now());
            }
            if let Err(error) = self.pass().await {
                warn!(%error, "a pass was given up; the next begins where it stopped");
            }
            tokio::select! {
                () = &mut shutdown => return Ok(()),
                () = self.bell.notified() => read = None,
                () = tokio::time::sleep(self.config.poll) => {}
            }
        }
    }

    /// Takes everything that can go one step further so far.
    pub async fn pass(&self) -> Result<(), Error> {
        self.submit().await?;
        self.ask().await?;
        self.apply_told().await?;
        self.clear().await?;
        self.order().await?;
        reserve::order(&self.store).await?;
        self.book().await?;
        self.cure().await
    }

    async fn begin(&self) -> Result<Tx, Error> {
        Ok(self.store.begin().await?)
    }

    /// What fails for one receipt is told and left: the others' money waits for nobody.
    fn told(receipt: Uuid, done: Result<(), Error>) -> Result<(), Error> {
        match done {
            Err(Error::Store(error)) if error.is_temporary() => Err(error.into()),
            Err(error) => {
                error!(%receipt, %error, "a receipt cannot be taken further");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }
}

async fn commit(tx: Tx) -> Result<(), Error> {
    Ok(tx.commit().await.map_err(store::Error::from)?)
}
