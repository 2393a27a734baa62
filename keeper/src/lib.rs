//! Carries out intents.
//!
//! Two duties, each with keys and a process of its own, because no one key may both settle and cancel ([`Duty`]).
//! Six loops on one database. One holds the **leases** of our signers. The **executor** takes intents that wait, signs,
//! commits the signed bytes with their nonce and hash, and only then sends. The **watcher** offers again what no block has,
//! and closes what is final; the **mender** keeps nonces without gaps. The **coordinator** looks at invoices whose time has come, and the
//! **carrier** brings gates what attestors say about the reserve. None of them decides that
//! something has happened: that is the indexer's finalized observation, and nothing else.

mod carrier;
mod coordinator;
mod executor;
mod signers;
mod watcher;

pub use signers::MAX_IN_FLIGHT;

use alloy_sol_types::SolCall;
use chain::Chain;
use domain::intent::IntentKind;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use terms::abi::ISettlementGate;
use tokio::sync::watch;
use tracing::{info, warn};

/// An intent is given up, and an operator has to look, after this many tries without effect.
const MAX_TRIES: u32 = 20;

/// How long the loops may take to finish what they are in the middle of, when told to stop. A node that hangs takes longer;
/// what was being done is in Postgres then, and whoever comes next goes on with it.
const DRAIN: Duration = Duration::from_secs(20);

/// What a keeper's key is for. The gate knows the keys of each; a key that is stolen can do no more than its duty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// Pays payees what they are due, and carries out what anyone may: refunds, mints that attestors have signed for, redemptions.
    Settle,
    /// Looks at the time, and ends invoices whose time has run out.
    Cancel,
}

impl Duty {
    /// The name of the role at the gate that its keys need, in the table of roles.
    pub const fn role(self) -> &'static str {
        match self {
            Self::Settle => "SETTLER",
            Self::Cancel => "CANCELLER",
        }
    }

    /// The gate's function on an EVM chain that its keys have to be able to call: its selector.
    pub const fn selector(self) -> [u8; 4] {
        match self {
            Self::Settle => ISettlementGate::settleBatchCall::SELECTOR,
            Self::Cancel => ISettlementGate::cancelCall::SELECTOR,
        }
    }

    /// The intents it carries out.
    pub const fn kinds(self) -> &'static [IntentKind] {
        match self {
            Self::Settle => &[
                IntentKind::Settle,
                IntentKind::Refund,
                IntentKind::RefundByOrder,
                IntentKind::Fund,
                IntentKind::Mint,
                IntentKind::Redeem,
            ],
            Self::Cancel => &[IntentKind::Cancel],
        }
    }
}

/// How the keeper runs.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// What it does.
    pub duty: Duty,
    /// How often the loops look when nobody tells them to.
    pub poll: Duration,
    /// How long a transaction that no block has is left alone before it is offered again.
    pub resend_after: Duration,
    /// How long the first transaction in the line may wait for a block before it is offered with higher fees.
    pub raise_after: Duration,
    /// The most that is ever paid for gas, in wei per unit.
    pub max_fee: u128,
    /// How long a lease lasts that is not renewed; another process waits this long for a dead one's signers.
    pub lease: Duration,
}

/// What can go wrong here.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The node.
    #[error(transparent)]
    Chain(#[from] chain::Error),
    /// Postgres.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Error {
    /// Whether the same may succeed a moment later, and so for nothing else either now.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Chain(error) => matches!(error, chain::Error::Unreachable(_)),
            Self::Store(error) => error.is_temporary(),
        }
    }
}

/// When a loop looks again.
#[derive(Clone, Copy)]
struct Rhythm {
    /// This long after a look that found nothing.
    every: Duration,
    /// At once when a new intent is announced. Costs a connection to Postgres.
    listens: bool,
}

/// What the loops share.
#[derive(Clone, Debug)]
pub struct Keeper<C> {
    /// How it runs.
    pub config: Config,
    /// Postgres.
    pub store: Store,
    /// The chain, with the keys that send.
    pub chain: C,
    /// The signers that this process may use.
    held: Arc<signers::Held>,
}

/// Runs until `shutdown` resolves; then the loops finish what they are in the middle of and stop. Everything that
/// matters is in Postgres at each moment, so that being killed instead loses nothing.
pub async fn run<C: Chain>(
    config: Config,
    store: Store,
    chain: C,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), Error> {
    let keeper = Keeper::new(config, store, chain);
    info!(chain = keeper.chain.id(), signers = ?keeper.chain.signers(), duty = ?config.duty, "keeper runs");
    keeper.lease().await?;
    let (stop, stopped) = watch::channel(false);
    let loops = async {
        let (poll, lease) = (config.poll, config.lease / 3);
        tokio::join!(
            keeper.forever("lease", Rhythm { every: lease, listens: false }, stopped.clone(), Keeper::lease),
            keeper.forever("executor", Rhythm { every: poll, listens: true }, stopped.clone(), Keeper::execute),
            keeper.forever("mender", Rhythm { every: lease, listens: false }, stopped.clone(), Keeper::mend),
            keeper.forever("watcher", Rhythm { every: poll, listens: false }, stopped.clone(), Keeper::watch),
            keeper.forever("carrier", Rhythm { every: lease, listens: false }, stopped.clone(), Keeper::carry),
            keeper.forever("coordinator", Rhythm { every: poll, listens: false }, stopped, Keeper::coordinate),
        )
    };
    let stop = async {
        shutdown.await;
        info!("the keeper is told to stop");
        let _ = stop.send(true);
        tokio::time::sleep(DRAIN).await;
        warn!(seconds = DRAIN.as_secs(), "still in the middle of something; leaving it to whoever comes next");
    };
    tokio::select! {
        _ = loops => {}
        () = stop => {}
    }
    // Best effort: a lease that is not given back runs out.
    if let Err(error) = keeper.release().await {
        warn!(%error, "the leases were not given back");
    }
    Ok(())
}

impl<C: Chain> Keeper<C> {
    /// A keeper that holds no signer yet.
    pub fn new(config: Config, store: Store, chain: C) -> Self {
        Self { config, store, chain, held: Arc::new(signers::Held::new()) }
    }

    /// Repeats one pass of a loop until told to stop: at once while there is work, else when woken or after a while.
    async fn forever<'a, F>(
        &'a self,
        name: &str,
        rhythm: Rhythm,
        mut stopped: watch::Receiver<bool>,
        pass: impl Fn(&'a Self) -> F,
    ) where
        F: Future<Output = Result<bool, Error>> + Send + 'a,
    {
        let mut listener = None;
        let mut pause = rhythm.every;
        while !*stopped.borrow() {
            if rhythm.listens && listener.is_none() {
                listener = self.store.listen().await.ok();
            }
            match pass(self).await {
                Ok(true) => continue,
                Ok(false) => pause = rhythm.every,
                Err(error) => {
                    warn!(chain = self.chain.id(), %error, "{name} makes no progress; trying again");
                    pause = (pause * 2).min(Duration::from_secs(5));
                }
            }
            let woken = async {
                match &mut listener {
                    Some(listener) => listener.try_recv().await.is_ok_and(|notice| notice.is_some()),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = stopped.changed() => {}
                () = tokio::time::sleep(pause) => {}
                alive = woken => if !alive { listener = None },
            }
        }
    }
}
