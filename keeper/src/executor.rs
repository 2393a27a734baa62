//! From intents to signed, committed, sent transactions: in that order.

use crate::{Error, Keeper};
use alloy_primitives::B256;
use chain::{Action, Chain, Contracts, Fees, MAX_BATCH, Pack, Sent, Signed, Simulated, Slot};
use domain::intent::{Answer, IntentKind};
use futures_util::future::join_all;
use store::Tx;
use store::attempts::{NewAttempt, Payload, Purpose, Waiting, Work};
use store::fault::{self, Bug, Point};
use store::leases::{self, Lease};
use terms::{Account, Terms, TxId};
use tracing::{debug, error, info, warn};

/// An intent that was tried: what is to be done for it, and with how much gas, or why it would revert now.
struct Tried {
    intent: Named,
    outcome: Result<(Action, u64), String>,
}

/// An intent as it is called in the log.
#[derive(Clone, Debug)]
struct Named {
    id: B256,
    invoice: String,
    kind: IntentKind,
}

/// Actions that go into one transaction, with the intents they carry out and the gas it may use.
struct Planned {
    actions: Vec<Action>,
    intents: Vec<Named>,
    gas_limit: u64,
}

/// What a signature of this pass rests on.
struct Ground<P> {
    contracts: Contracts,
    fees: Fees,
    prepared: P,
}

impl<C: Chain> Keeper<C> {
    /// Takes what waits, and sends it; whether there was anything. What arrives while this runs waits together, and is
    /// the next batch.
    pub async fn execute(&self) -> Result<bool, Error> {
        if self.held.none() {
            return Ok(false);
        }
        let mut db = self.store.begin().await?;
        let waiting = store::attempts::waiting(&mut db, self.chain.id(), self.config.duty.kinds(), MAX_BATCH).await?;
        if waiting.is_empty() {
            return Ok(false);
        }
        let deployed = store::chain::get(&mut db, self.chain.id()).await?.deployed;
        let free = self.free_signers(&mut db).await?;
        drop(db);
        let contracts = Contracts { escrow: deployed.escrow, gate: deployed.gate };
        let settles = waiting.iter().any(|intent| intent.kind == IntentKind::Settle);
        let Some((lease, room, may_settle)) = self.one_that_may(contracts, free, settles).await? else {
            return Ok(false);
        };
        // The node is asked before anything is locked: a slow one holds nobody else up.
        let (tried, market) =
            tokio::try_join!(self.try_all(contracts, lease.signer, waiting, may_settle), self.fees())?;
        let Some(fees) = market.within(self.config.max_fee) else {
            warn!(
                chain = self.chain.id(),
                market = market.max,
                cap = self.config.max_fee,
                "gas costs more than the cap"
            );
            return Ok(false);
        };
        // Last: what it says of the chain's state ages.
        let ground = Ground { contracts, fees, prepared: self.chain.prepare().await? };

        let mut tx = self.store.begin().await?;
        let ids: Vec<B256> = tried.iter().map(|tried| tried.intent.id).collect();
        let held = store::attempts::hold(&mut tx, &ids).await?;
        let tried: Vec<Tried> = tried.into_iter().filter(|tried| held.contains(&tried.intent.id)).collect();
        let mut signed = Vec::new();
        // What is beyond the room stays where it is, and waits.
        let planned = self.plan(&mut tx, contracts, tried).await?;
        for plan in planned.iter().take(usize::try_from(room).unwrap_or(usize::MAX)) {
            signed.push(self.sign(&mut tx, lease, &ground, plan).await?);
        }
        if fault::seeded(Bug::SendBeforeCommit) {
            for (id, bytes) in &signed {
                self.send(*id, bytes).await?;
            }
        }
        fault::crash(Point::BeforeCommit);
        tx.commit().await.map_err(store::Error::from)?;
        // From here on each transaction is ours for good: whatever happens to this process, its bytes are in Postgres.
        fault::crash(Point::AfterCommitBeforeBroadcast);
        for (id, bytes) in &signed {
            self.send(*id, bytes).await?;
        }
        Ok(!signed.is_empty())
    }

    /// The first of these signers that may do what is to be done, with what the gate says to it where none may: a key that has
    /// lost its role must not keep the others of the pool from working.
    async fn one_that_may(
        &self,
        contracts: Contracts,
        free: Vec<(Lease, u64)>,
        settles: bool,
    ) -> Result<Option<(Lease, u64, Result<(), String>)>, Error> {
        let mut refused = None;
        for (lease, room) in free {
            if !settles {
                return Ok(Some((lease, room, Ok(()))));
            }
            match self.chain.may_settle(contracts, lease.signer).await? {
                Simulated::Works(_) => return Ok(Some((lease, room, Ok(())))),
                Simulated::Reverts(words) => {
                    error!(signer = %lease.signer, words, "the gate does not let this signer settle");
                    refused = Some((lease, room, Err(words)));
                }
            }
        }
        Ok(refused)
    }

    /// Simulates each intent by itself.
    async fn try_all(
        &self,
        contracts: Contracts,
        signer: Account,
        waiting: Vec<Waiting>,
        may_settle: Result<(), String>,
    ) -> Result<Vec<Tried>, Error> {
        let simulated = waiting.into_iter().map(|intent| async move {
            let named = Named { id: intent.id, invoice: intent.invoice_id.clone(), kind: intent.kind };
            let action = match action(&intent) {
                Ok(action) => action,
                Err(words) => return (named, Ok(Err(words))),
            };
            let simulated = self.chain.simulate(contracts, signer, &action).await;
            let outcome = simulated.map(|simulated| match simulated {
                Simulated::Works(gas) => Ok((action, gas)),
                Simulated::Reverts(words) => Err(words),
            });
            (named, outcome)
        });
        let simulated = join_all(simulated).await;
        // A node that answers nothing is down. One that fails on a single call says something about that call: a hostile
        // token can make its simulation hang, and must not hold up anybody else's.
        let down = simulated.iter().all(|(_, outcome)| outcome.is_err());
        let mut tried = Vec::with_capacity(simulated.len());
        for (intent, outcome) in simulated {
            let outcome = match outcome {
                Err(error) if down => return Err(error.into()),
                Err(error) => Err(error.to_string()),
                Ok(outcome) => outcome,
            };
            let outcome = match (intent.kind, &may_settle) {
                (IntentKind::Settle, Err(words)) => Err(words.clone()),
                _ => outcome,
            };
            tried.push(Tried { intent, outcome });
        }
        Ok(tried)
    }

    async fn fees(&self) -> Result<Fees, Error> {
        Ok(self.chain.fees().await?)
    }

    /// Groups what would work, as the chain packs it. What would not is put off with the reason: the facts may have moved on
    /// (somebody else settled, a block was taken back), or will (a paused token).
    async fn plan(&self, tx: &mut Tx, contracts: Contracts, tried: Vec<Tried>) -> Result<Vec<Planned>, Error> {
        let (mut intents, mut actions) = (Vec::new(), Vec::new());
        for Tried { intent, outcome } in tried {
            match outcome {
                Ok(action) => {
                    actions.push(action);
                    intents.push(intent);
                }
                Err(words) => {
                    let Named { id, invoice, kind } = intent;
                    warn!(invoice, intent = %id, %kind, words, "would revert; put off");
                    store::attempts::defer(tx, id, &words).await?;
                }
            }
        }
        let planned = self.chain.pack(contracts, &actions).into_iter().map(|Pack { items, gas_limit }| Planned {
            actions: items.iter().filter_map(|item| actions.get(*item).map(|(action, _)| action.clone())).collect(),
            intents: items.iter().filter_map(|item| intents.get(*item).cloned()).collect(),
            gas_limit,
        });
        Ok(planned.collect())
    }

    /// Takes a nonce, signs and stores, all in the caller's transaction.
    async fn sign(
        &self,
        tx: &mut Tx,
        lease: Lease,
        ground: &Ground<C::Prepared>,
        plan: &Planned,
    ) -> Result<(i64, Signed), Error> {
        let nonce = self.own(leases::take_nonce(tx, lease).await)?;
        let slot = Slot { signer: lease.signer, nonce };
        let Ground { contracts, fees, prepared } = ground;
        let signed = self.chain.sign(*contracts, &plan.actions, slot, plan.gas_limit, *fees, prepared)?;
        let intents: Vec<B256> = plan.intents.iter().map(|intent| intent.id).collect();
        let id = self.store_signed(tx, lease, nonce, &signed, Purpose::Intents(&intents)).await?;
        for Named { id, invoice, kind } in &plan.intents {
            info!(invoice, intent = %id, %kind, tx = %signed.hash, nonce, signer = %lease.signer, "signed");
        }
        Ok((id, signed))
    }

    /// Stores signed bytes; returns their row's id.
    pub(crate) async fn store_signed(
        &self,
        tx: &mut Tx,
        lease: Lease,
        nonce: u64,
        signed: &Signed,
        purpose: Purpose<'_>,
    ) -> Result<i64, Error> {
        let attempt = NewAttempt {
            lease,
            nonce,
            raw_tx: &signed.raw,
            tx_hash: signed.hash,
            gas_limit: signed.gas_limit,
            max_fee: signed.max_fee,
            expires_after: signed.expires_after,
            purpose,
        };
        self.own(store::attempts::sign(tx, &attempt).await)
    }

    /// A lease that was lost is no longer ours to hold.
    pub(crate) fn own<T>(&self, outcome: Result<T, store::Error>) -> Result<T, Error> {
        if let Err(store::Error::LeaseLost(signer)) = &outcome {
            self.forget(*signer);
        }
        Ok(outcome?)
    }

    /// Offers committed bytes to the node and notes what it said.
    pub(crate) async fn send(&self, id: i64, signed: &Signed) -> Result<(), Error> {
        let sent = self.chain.send(&signed.raw).await;
        fault::crash(Point::AfterBroadcastBeforeRecord);
        self.note(id, signed.hash, sent).await?;
        fault::crash(Point::AfterRecord);
        Ok(())
    }

    /// Notes what the node said. Whatever it was, it is no proof of anything.
    pub(crate) async fn note(&self, id: i64, hash: TxId, sent: Sent) -> Result<(), Error> {
        let (answer, words) = match sent {
            Sent::Taken => (Answer::Taken, None),
            Sent::NonceTooLow(words) => (Answer::NonceTooLow, Some(words)),
            Sent::Underpriced(words) => (Answer::Underpriced, Some(words)),
            Sent::Unfunded(words) => (Answer::Unfunded, Some(words)),
            Sent::Rejected(words) => (Answer::Rejected, Some(words)),
            Sent::Unknown(words) => (Answer::Unknown, Some(words)),
        };
        match (answer, &words) {
            (Answer::Unfunded, Some(words)) => error!(tx = %hash, words, "the signer has too little coin for gas"),
            (answer, Some(words)) => warn!(tx = %hash, %answer, words, "outcome unknown"),
            (_, None) => debug!(tx = %hash, "the node has it"),
        }
        let mut tx = self.store.begin().await?;
        store::attempts::mark(&mut tx, id, answer, words.as_deref()).await?;
        if answer != Answer::Taken && fault::seeded(Bug::UnknownIsFailed) {
            for intent in store::attempts::end(&mut tx, id).await? {
                store::attempts::put_back(&mut tx, intent.id, "not taken", u32::MAX).await?;
            }
        }
        Ok(tx.commit().await.map_err(store::Error::from)?)
    }
}

fn action(intent: &Waiting) -> Result<Action, String> {
    let Work { token, terms, payload } = intent.work.clone()?;
    let kind = intent.kind;
    let evm = |terms: Terms| match terms {
        Terms::Evm(terms) => Ok(terms),
        Terms::Solana(_) => Err(format!("there is no {kind} on Solana")),
    };
    Ok(match (kind, payload) {
        (IntentKind::Settle, _) => Action::Settle(terms),
        (IntentKind::Cancel, _) => Action::Cancel(terms),
        (IntentKind::Refund, _) => Action::Refund(terms, token),
        (IntentKind::RefundByOrder, Payload::Order(order, signature)) => {
            Action::RefundByOrder(evm(terms)?, order, signature)
        }
        (IntentKind::Fund, Payload::Authorization(authorization)) => Action::Fund(evm(terms)?, authorization),
        (IntentKind::Mint, Payload::Attestation(gate, deposit, signatures)) => {
            Action::MintAndPay(terms, gate, deposit, signatures)
        }
        (IntentKind::Mint, _) => return Err("its order is over, or too few have signed it".to_owned()),
        (IntentKind::Redeem, _) => Action::Redeem(terms),
        (kind, _) => return Err(format!("the row that says what this {kind} carries is missing")),
    })
}
