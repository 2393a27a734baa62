//! Brings gates what attestors say about the reserve.
//!
//! It is about no invoice, so it is no intent; but it uses a nonce, so it goes the way of everything that does: signed and stored in one
//! transaction under the lease, sent after that, watched until it is final. Sent twice it does no harm, the gate takes each number
//! once. Anyone may bring it: where somebody was faster there is nothing to do.

use crate::{Duty, Error, Keeper};
use chain::{Action, Chain, Contracts, Simulated};
use store::attempts::Purpose;
use store::fault::{self, Point};
use store::leases;
use tracing::{info, warn};

impl<C: Chain> Keeper<C> {
    /// Sends the newest statement that enough have signed, if the gate does not have it; never anything to do at once.
    pub async fn carry(&self) -> Result<bool, Error> {
        if self.config.duty != Duty::Settle || self.held.none() {
            return Ok(false);
        }
        let chain = self.chain.id();
        let mut db = self.store.begin().await?;
        let Some(signed) = store::mints::reserve_to_carry(&mut db, chain).await? else { return Ok(false) };
        let deployed = store::chain::get(&mut db, chain).await?.deployed;
        let Some((lease, _)) = self.free_signers(&mut db).await?.into_iter().next() else { return Ok(false) };
        drop(db);
        let contracts = Contracts { escrow: deployed.escrow, gate: deployed.gate };
        let (nonce, allocation) = (signed.reserve.nonce, signed.reserve.allocation);
        let action = Action::AttestReserve(signed.gate, signed.reserve, signed.signatures);
        let gas = match self.chain.simulate(contracts, lease.signer, &action).await? {
            Simulated::Works(gas) => gas,
            Simulated::Reverts(words) => {
                warn!(chain, statement = nonce, words, "a statement about the reserve would revert; put off");
                let mut tx = self.store.begin().await?;
                store::mints::defer_reserve(&mut tx, chain, nonce).await?;
                tx.commit().await.map_err(store::Error::from)?;
                return Ok(false);
            }
        };
        let Some(fees) = self.chain.fees().await?.within(self.config.max_fee) else {
            warn!(chain, cap = self.config.max_fee, "gas costs more than the cap");
            return Ok(false);
        };
        let prepared = self.chain.prepare().await?;
        let packs = self.chain.pack(contracts, &[(action.clone(), gas)]);
        let Some(gas_limit) = packs.first().map(|pack| pack.gas_limit) else { return Ok(false) };

        let mut tx = self.store.begin().await?;
        if !store::mints::hold_reserve(&mut tx, chain, nonce).await? {
            return Ok(false);
        }
        let slot = chain::Slot { signer: lease.signer, nonce: self.own(leases::take_nonce(&mut tx, lease).await)? };
        let bytes = self.chain.sign(contracts, &[action], slot, gas_limit, fees, &prepared)?;
        let id = self.store_signed(&mut tx, lease, slot.nonce, &bytes, Purpose::Intents(&[])).await?;
        store::mints::reserve_carried(&mut tx, chain, nonce, id).await?;
        tx.commit().await.map_err(store::Error::from)?;
        info!(chain, statement = nonce, allocation, tx = %bytes.hash, nonce = slot.nonce, "a statement about the reserve is signed");
        fault::crash(Point::AfterCommitBeforeBroadcast);
        self.send(id, &bytes).await?;
        Ok(false)
    }
}
