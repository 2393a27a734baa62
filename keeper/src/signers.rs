//! Our keys, as a pool. Each is used by one process at a time (`store::leases`): several keepers with the same keys stand by
//! for each other, with different keys they share the work.

use crate::{Error, Keeper};
use chain::Chain;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use store::PgConnection;
use store::leases::{self, Lease};
use terms::Account;
use tracing::{debug, info, warn};

/// The most nonces of one signer that may wait for a block. What is beyond waits as intents, where it costs nothing: nodes
/// keep only so many transactions of one account, and one that is stuck holds up all after it.
pub const MAX_IN_FLIGHT: u64 = 16;

/// What a process holds.
#[derive(Debug)]
pub(crate) struct Held {
    /// The name of this process: unique, so that nobody else acquires in it.
    owner: String,
    leases: Mutex<BTreeMap<Account, Lease>>,
}

impl Held {
    pub(crate) fn new() -> Self {
        let mut random = [0_u8; 8];
        // Without randomness the process id has to do; the epoch is what keeps two apart in the end.
        let _ = getrandom::fill(&mut random);
        let owner = format!("{}-{}", std::process::id(), alloy_primitives::hex::encode(random));
        Self { owner, leases: Mutex::default() }
    }

    /// A panic while it is locked leaves nothing half done.
    fn leases(&self) -> MutexGuard<'_, BTreeMap<Account, Lease>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn none(&self) -> bool {
        self.leases().is_empty()
    }

    pub(crate) fn all(&self) -> Vec<Lease> {
        self.leases().values().copied().collect()
    }
}

impl<C: Chain> Keeper<C> {
    /// Takes what leases there are to take and has those that are held for longer; never anything to do at once.
    pub async fn lease(&self) -> Result<bool, Error> {
        let chain = self.chain.id();
        for signer in self.chain.signers() {
            let held = self.held.leases().get(&signer).copied();
            let mut tx = self.store.begin().await?;
            let lease = match held {
                Some(lease) if leases::renew(&mut tx, lease, self.config.lease).await? => Some(lease),
                _ => {
                    let count = self.chain.nonce(signer).await?;
                    leases::acquire(&mut tx, chain, signer, count, &self.held.owner, self.config.lease).await?
                }
            };
            tx.commit().await.map_err(store::Error::from)?;
            match (held, lease) {
                (Some(old), Some(new)) if old == new => {}
                (_, Some(new)) => info!(chain, %signer, epoch = new.epoch, "this process uses the signer"),
                (Some(_), None) => warn!(chain, %signer, "another process uses the signer now; standing by"),
                (None, None) => {}
            }
            match lease {
                Some(lease) => self.held.leases().insert(signer, lease),
                None => self.held.leases().remove(&signer),
            };
        }
        Ok(false)
    }

    /// Gives everything back, so that whoever stands by need not wait for the time to run out.
    pub async fn release(&self) -> Result<(), Error> {
        for lease in self.held.all() {
            let mut tx = self.store.begin().await?;
            leases::release(&mut tx, lease).await?;
            tx.commit().await.map_err(store::Error::from)?;
            self.forget(lease.signer);
        }
        Ok(())
    }

    /// Notes that a lease is no longer ours.
    pub(crate) fn forget(&self, signer: Account) {
        self.held.leases().remove(&signer);
    }

    /// The signers to use next, in that order, and each for how many nonces: of those we hold and that have room, those first
    /// that have coin, and the least on their way.
    pub(crate) async fn free_signers(&self, db: &mut PgConnection) -> Result<Vec<(Lease, u64)>, Error> {
        let held = self.held.all();
        let signers: Vec<Account> = held.iter().map(|lease| lease.signer).collect();
        let loads = store::attempts::load(db, self.chain.id(), &signers).await?;
        let mut free = Vec::new();
        for load in loads.iter().filter(|load| load.in_flight < MAX_IN_FLIGHT) {
            let lease = held.iter().find(|lease| lease.signer == load.signer);
            free.extend(lease.map(|lease| (*lease, MAX_IN_FLIGHT - load.in_flight)));
        }
        if free.is_empty() {
            debug!(chain = self.chain.id(), signers = signers.len(), "every signer has as much on its way as it may");
        }
        Ok(free)
    }
}
