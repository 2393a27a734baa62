//! From intents to signed, committed, sent transactions: in that order.

use crate::fault::{self, Bug, Point};
use crate::{Error, Keeper, MAX_TRIES};
use alloy_primitives::{Address, B256};
use chain::{Action, Chain, Fees, GAS_PER_ITEM, MAX_BATCH, Sent, Signed, Simulated};
use domain::intent::{AttemptState, IntentKind};
use futures_util::future::try_join_all;
use store::Tx;
use store::attempts::{Claimed, NewAttempt};
use tracing::{info, warn};

/// What a batch costs beside its items: the transaction itself, calldata and the outer frame.
const BATCH_OVERHEAD_GAS: u64 = 200_000;

/// An action with the intents it carries out and the gas it may use.
struct Planned {
    action: Action,
    intents: Vec<B256>,
    gas_limit: u64,
}

impl<C: Chain> Keeper<C> {
    /// Takes what waits, and sends it; whether there was anything. What arrives while this runs waits together, and is
    /// the next batch.
    pub async fn execute(&self) -> Result<bool, Error> {
        let mut tx = self.store.begin().await?;
        let claimed = store::attempts::claim(&mut tx, self.chain.id(), MAX_BATCH).await?;
        if claimed.is_empty() {
            return Ok(false);
        }
        let escrow = store::chain::get(&mut tx, self.chain.id()).await?.deployed.escrow;
        let planned = self.plan(&mut tx, escrow, claimed).await?;
        let fees = self.chain.fees().await?;
        let mut signed = Vec::with_capacity(planned.len());
        for plan in &planned {
            signed.push(self.sign(&mut tx, escrow, plan, fees).await?);
        }
        if fault::seeded(Bug::SendBeforeCommit) {
            for (id, bytes) in &signed {
                self.send(*id, bytes).await?;
            }
        }
        tx.commit().await.map_err(store::Error::from)?;
        // From here on each transaction is ours for good: whatever happens to this process, its bytes are in Postgres.
        fault::crash(Point::AfterCommitBeforeBroadcast);
        for (id, bytes) in &signed {
            self.send(*id, bytes).await?;
        }
        Ok(true)
    }

    /// Simulates each intent and groups those that would work. One that would not is put back with the reason: the
    /// facts may have moved on (somebody else settled, a block was taken back), or will (a paused token).
    async fn plan(&self, tx: &mut Tx, escrow: Address, claimed: Vec<Claimed>) -> Result<Vec<Planned>, Error> {
        let simulated = claimed.into_iter().map(|intent| async move {
            let action = action(&intent);
            Ok::<_, Error>((intent, self.chain.simulate(escrow, &action).await?, action))
        });
        let (mut settles, mut planned) = (Vec::new(), Vec::new());
        for (intent, simulated, action) in try_join_all(simulated).await? {
            match (simulated, action) {
                (Simulated::Reverts(words), _) => {
                    warn!(intent = %intent.id, kind = %intent.kind, words, "would revert; put back");
                    store::attempts::put_back(tx, intent.id, &words, MAX_TRIES).await?;
                }
                (Simulated::Works(gas), Action::Settle(_)) => settles.push((intent, gas)),
                (Simulated::Works(gas), action) => {
                    planned.push(Planned { action, intents: vec![intent.id], gas_limit: with_margin(gas) });
                }
            }
        }
        match settles.as_slice() {
            [] => {}
            [(intent, gas)] => planned.push(Planned {
                action: Action::Settle(vec![intent.terms.clone()]),
                intents: vec![intent.id],
                gas_limit: with_margin(*gas),
            }),
            batch => planned.push(Planned {
                action: Action::Settle(batch.iter().map(|(intent, _)| intent.terms.clone()).collect()),
                intents: batch.iter().map(|(intent, _)| intent.id).collect(),
                gas_limit: batch_gas(batch.len()),
            }),
        }
        Ok(planned)
    }

    /// Takes a nonce, signs and stores, all in the caller's transaction.
    async fn sign(&self, tx: &mut Tx, escrow: Address, plan: &Planned, fees: Fees) -> Result<(i64, Signed), Error> {
        let signer = self.chain.signer()?;
        let nonce = store::attempts::take_nonce(tx, self.chain.id(), signer).await?;
        let signed = self.chain.sign(escrow, &plan.action, nonce, plan.gas_limit, fees)?;
        let attempt = NewAttempt {
            chain: self.chain.id(),
            signer,
            nonce,
            raw_tx: &signed.raw,
            tx_hash: signed.hash,
            gas_limit: signed.gas_limit,
            max_fee: signed.max_fee,
            intents: &plan.intents,
        };
        let id = store::attempts::sign(tx, &attempt).await?;
        info!(tx = %signed.hash, nonce, intents = plan.intents.len(), "signed");
        Ok((id, signed))
    }

    /// Offers committed bytes to the node and notes what it said.
    async fn send(&self, id: i64, signed: &Signed) -> Result<(), Error> {
        let sent = self.chain.send(&signed.raw).await;
        fault::crash(Point::AfterBroadcastBeforeRecord);
        self.note(id, signed.hash, sent).await
    }

    /// Notes what the node said. Whatever it was, it is no proof of anything.
    pub(crate) async fn note(&self, id: i64, hash: B256, sent: Sent) -> Result<(), Error> {
        let (state, words) = match sent {
            Sent::Taken => (AttemptState::Broadcast, None),
            Sent::Unknown(words) => {
                warn!(tx = %hash, words, "outcome unknown");
                (AttemptState::Unknown, Some(words))
            }
        };
        let mut tx = self.store.begin().await?;
        store::attempts::mark(&mut tx, id, state, words.as_deref()).await?;
        Ok(tx.commit().await.map_err(store::Error::from)?)
    }
}

fn action(intent: &Claimed) -> Action {
    match intent.kind {
        IntentKind::Settle => Action::Settle(vec![intent.terms.clone()]),
        IntentKind::Cancel => Action::Cancel(intent.terms.clone()),
        IntentKind::Refund => Action::Refund(intent.terms.clone(), intent.token),
    }
}

/// A fifth more than simulated: state may have changed a little by the time the transaction is mined.
const fn with_margin(gas: u64) -> u64 {
    gas + gas / 5
}

/// Enough that every item can be given its gas: a call passes on at most 63/64 of what is left.
fn batch_gas(items: usize) -> u64 {
    let items = u64::try_from(items).unwrap_or(u64::from(MAX_BATCH));
    items * (GAS_PER_ITEM + GAS_PER_ITEM / 32 + 20_000) + BATCH_OVERHEAD_GAS
}
