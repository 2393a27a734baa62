//! From intents to signed, committed, sent transactions: in that order.

use crate::{Error, Keeper};
use alloy_primitives::B256;
use chain::{Action, Chain, Contracts, Fees, MAX_BATCH, Sent, Signed, Simulated, batch_gas};
use domain::intent::{AttemptState, IntentKind};
use futures_util::future::try_join_all;
use store::Tx;
use store::attempts::{NewAttempt, Payload, Waiting};
use store::fault::{self, Bug, Point};
use tracing::{info, warn};

/// An intent that was tried: what is to be done for it, and with how much gas, or why it would revert now.
type Tried = (B256, Result<(Action, u64), String>);

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
        let mut db = self.store.begin().await?;
        let waiting = store::attempts::waiting(&mut db, self.chain.id(), self.config.duty.kinds(), MAX_BATCH).await?;
        if waiting.is_empty() {
            return Ok(false);
        }
        let deployed = store::chain::get(&mut db, self.chain.id()).await?.deployed;
        drop(db);
        let contracts = Contracts { escrow: deployed.escrow, gate: deployed.settler };
        // The node is asked before anything is locked: a slow one holds nobody else up.
        let tried = self.try_all(contracts, waiting).await?;
        let fees = self.chain.fees().await?;

        let mut tx = self.store.begin().await?;
        let ids: Vec<B256> = tried.iter().map(|(id, _)| *id).collect();
        let held = store::attempts::hold(&mut tx, &ids).await?;
        let tried: Vec<Tried> = tried.into_iter().filter(|(id, _)| held.contains(id)).collect();
        let mut signed = Vec::new();
        for plan in plan(&mut tx, tried).await? {
            signed.push(self.sign(&mut tx, contracts, &plan, fees).await?);
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

    /// Simulates each intent by itself.
    async fn try_all(&self, contracts: Contracts, waiting: Vec<Waiting>) -> Result<Vec<Tried>, Error> {
        let simulated = waiting.into_iter().map(|intent| async move {
            let action = action(&intent)?;
            let simulated = self.chain.simulate(contracts, &action).await;
            Ok::<_, Error>((intent.id, simulated, action))
        });
        let simulated = try_join_all(simulated).await?;
        // A node that answers nothing is down. One that fails on a single call says something about that call: a hostile
        // token can make its simulation hang, and must not hold up anybody else's.
        let down = simulated.iter().all(|(_, simulated, _)| simulated.is_err());
        let mut tried = Vec::with_capacity(simulated.len());
        for (id, simulated, action) in simulated {
            tried.push(match simulated {
                Err(error) if down => return Err(error.into()),
                Err(error) => (id, Err(error.to_string())),
                Ok(Simulated::Reverts(words)) => (id, Err(words)),
                Ok(Simulated::Works(gas)) => (id, Ok((action, gas))),
            });
        }
        Ok(tried)
    }

    /// Takes a nonce, signs and stores, all in the caller's transaction.
    async fn sign(
        &self,
        tx: &mut Tx,
        contracts: Contracts,
        plan: &Planned,
        fees: Fees,
    ) -> Result<(i64, Signed), Error> {
        let signer = self.chain.signer()?;
        let nonce = store::attempts::take_nonce(tx, self.chain.id(), signer).await?;
        let signed = self.chain.sign(contracts, &plan.action, nonce, plan.gas_limit, fees)?;
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

/// Groups what would work. What would not is put off with the reason: the facts may have moved on (somebody else settled, a
/// block was taken back), or will (a paused token).
async fn plan(tx: &mut Tx, tried: Vec<Tried>) -> Result<Vec<Planned>, Error> {
    let (mut settles, mut intents, mut planned) = (Vec::new(), Vec::new(), Vec::new());
    for (id, outcome) in tried {
        match outcome {
            Ok((Action::Settle(terms), _)) => {
                settles.extend(terms);
                intents.push(id);
            }
            Ok((action, gas_limit)) => planned.push(Planned { action, intents: vec![id], gas_limit }),
            Err(words) => {
                warn!(intent = %id, words, "would revert; put off");
                store::attempts::defer(tx, id, &words).await?;
            }
        }
    }
    if !intents.is_empty() {
        planned.push(Planned { action: Action::Settle(settles), gas_limit: batch_gas(intents.len()), intents });
    }
    Ok(planned)
}

fn action(intent: &Waiting) -> Result<Action, Error> {
    let terms = intent.terms.clone();
    Ok(match (intent.kind, intent.payload.clone()) {
        (IntentKind::Settle, _) => Action::Settle(vec![terms]),
        (IntentKind::Cancel, _) => Action::Cancel(terms),
        (IntentKind::Refund, _) => Action::Refund(terms, intent.token),
        (IntentKind::RefundByOrder, Payload::Order(order, signature)) => Action::RefundByOrder(terms, order, signature),
        (IntentKind::Fund, Payload::Authorization(authorization)) => Action::Fund(terms, authorization),
        (kind, _) => {
            return Err(store::Error::Corrupt(format!("{kind} intent {} without its payload", intent.id)).into());
        }
    })
}
