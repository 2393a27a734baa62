//! Carries out intents.
//!
//! Two duties, each with a key and a process of its own, because no one key may both settle and cancel ([`Duty`]).
//! Three loops on one database. The **executor** takes intents that wait, signs, commits the signed bytes with their
//! nonce and hash, and only then sends. The **watcher** offers again what no block has, and closes what is final. The
//! **coordinator** looks at invoices whose time has come. None of them decides that something has happened: that is
//! the indexer's finalized observation, and nothing else.

mod coordinator;
mod executor;
mod watcher;

use chain::Chain;
use domain::intent::IntentKind;
use std::future::Future;
use std::time::Duration;
use store::Store;
use tokio::sync::watch;
use tracing::{info, warn};

/// An intent is given up, and an operator has to look, after this many tries without effect.
const MAX_TRIES: u32 = 20;

/// What a keeper's key is for. The gate knows the keys of each; a key that is stolen can do no more than its duty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// Pays payees what they are due, and carries out refunds, which anyone may.
    Settle,
    /// Looks at the time, and ends invoices whose time has run out.
    Cancel,
}

impl Duty {
    /// The intents it carries out.
    pub const fn kinds(self) -> &'static [IntentKind] {
        match self {
            Self::Settle => &[IntentKind::Settle, IntentKind::Refund, IntentKind::RefundByOrder, IntentKind::Fund],
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

/// What the three loops share.
#[derive(Clone, Debug)]
pub struct Keeper<C> {
    /// How it runs.
    pub config: Config,
    /// Postgres.
    pub store: Store,
    /// The chain, with the key that sends.
    pub chain: C,
}

/// Runs until `shutdown` resolves; then the loops finish what they are in the middle of and stop. Everything that
/// matters is in Postgres at each moment, so that being killed instead loses nothing.
pub async fn run<C: Chain>(
    config: Config,
    store: Store,
    chain: C,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), Error> {
    let keeper = Keeper { config, store, chain };
    keeper.put_signer().await?;
    info!(chain = keeper.chain.id(), signer = %keeper.chain.signer()?, duty = ?config.duty, "keeper runs");
    let (stop, stopped) = watch::channel(false);
    let loops = async {
        tokio::join!(
            keeper.forever("executor", stopped.clone(), Keeper::execute),
            keeper.forever("watcher", stopped.clone(), Keeper::watch),
            keeper.forever("coordinator", stopped, Keeper::coordinate),
        )
    };
    let stop = async {
        shutdown.await;
        let _ = stop.send(true);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        _ = loops => {}
        () = stop => {}
    }
    Ok(())
}

impl<C: Chain> Keeper<C> {
    /// Makes our key known in Postgres. The chain's count is a floor for its nonce, never a reset.
    pub async fn put_signer(&self) -> Result<(), Error> {
        let signer = self.chain.signer()?;
        let nonce = self.chain.nonce(signer).await?;
        let mut tx = self.store.begin().await?;
        store::attempts::put_signer(&mut tx, self.chain.id(), signer, nonce).await?;
        Ok(tx.commit().await.map_err(store::Error::from)?)
    }

    /// Repeats one pass of a loop until told to stop: at once while there is work, else when woken or after a while.
    async fn forever<'a, F>(&'a self, name: &str, mut stopped: watch::Receiver<bool>, pass: impl Fn(&'a Self) -> F)
    where
        F: Future<Output = Result<bool, Error>> + Send + 'a,
    {
        let mut listener = None;
        let mut pause = self.config.poll;
        while !*stopped.borrow() {
            if listener.is_none() {
                listener = self.store.listen().await.ok();
            }
            match pass(self).await {
                Ok(true) => continue,
                Ok(false) => pause = self.config.poll,
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
