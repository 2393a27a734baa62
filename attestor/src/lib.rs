//! Says that money came in: signs what the ledger **and** the provider's statement both show, and nothing else (PROTOCOL §5).
//!
//! A process, a key and an append-only log of its own ([`log`]). m of n attestors are m processes, each with its own view of
//! the books, its own connection to the provider and its own nodes, so that one that is taken over, or mistaken, mints nothing.
//! For every order it looks at four things, each by itself: the books have the receipt cleared for that invoice and amount;
//! the provider shows the money; all rails together stay within the reserve; nothing that this key has signed for the deposit
//! may still be spent, or was. Whatever cannot be looked at now is not signed now. A refusal is written down with its reason
//! and ends nothing: only time ends an order (`domain::mint`).

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod decide;
pub mod gates;
pub mod log;
pub mod statement;

use crate::decide::{Rail, Seen};
use crate::gates::Gate;
use crate::log::{Entry, Log};
use crate::statement::{Receipt, Shown, Statement};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{B256, Bytes};
use std::collections::BTreeSet;
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;
use store::fault::{self, Bug, Point};
use store::mints::{Order, ReserveOrder};
use store::{ORDERS_CHANNEL, Store};
use terms::{Account, DepositAttestation, ReserveAttestation};
use tracing::{error, info, warn};

/// The most orders looked at in one pass.
const MAX_ORDERS: u32 = 50;

/// How it runs.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// How often it looks when nobody tells it to.
    pub poll: Duration,
    /// How long an order that was refused is left alone: the books may know more then, or the provider.
    pub ask_again: Duration,
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
    /// The provider's statement cannot be read.
    #[error("the provider's statement: {0}")]
    Statement(String),
    /// The log cannot be read or written.
    #[error("the attestor's log {path}: {why}", path = path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The configuration does not fit what is there.
    #[error("{0}")]
    Configuration(String),
    /// The key does not sign.
    #[error("cannot sign: {0}")]
    Signature(String),
}

/// One attestor.
#[derive(Debug)]
pub struct Attestor<G, S> {
    config: Config,
    store: Store,
    gates: Vec<G>,
    statement: S,
    key: PrivateKeySigner,
    log: Log,
}

impl<G: Gate, S: Statement> Attestor<G, S> {
    /// An attestor with this key, whose log is at this place.
    pub fn open(
        config: Config,
        store: Store,
        gates: Vec<G>,
        statement: S,
        key: PrivateKeySigner,
        log: &std::path::Path,
    ) -> Result<Self, Error> {
        let log = Log::open(log, key.address().into())?;
        Ok(Self { config, store, gates, statement, key, log })
    }

    /// The account whose signature it gives.
    pub fn signer(&self) -> Account {
        self.key.address().into()
    }

    /// Runs until `shutdown` resolves; what is under way is finished first.
    pub async fn run(mut self, shutdown: impl Future<Output = ()> + Send) -> Result<(), Error> {
        let chains: Vec<u64> = self.gates.iter().map(Gate::chain).collect();
        info!(signer = %self.signer(), ?chains, "attestor runs");
        tokio::pin!(shutdown);
        let (mut listener, mut pause) = (None, self.config.poll);
        loop {
            if listener.is_none() {
                listener = self.store.listen_to(ORDERS_CHANNEL).await.ok();
            }
            match self.pass().await {
                Ok(()) => pause = self.config.poll,
                // What was signed has to be on disk before anything else is: without the log there is nothing to do here.
                Err(error @ Error::Log { .. }) => return Err(error),
                Err(error) => {
                    warn!(%error, "no progress; trying again");
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
                () = &mut shutdown => return Ok(()),
                () = tokio::time::sleep(pause) => {}
                alive = woken => if !alive { listener = None },
            }
        }
    }

    /// Looks once at everything that is asked for.
    pub async fn pass(&mut self) -> Result<(), Error> {
        let (signer, ask_again) = (self.signer(), self.config.ask_again);
        let mut db = self.store.begin().await?;
        let orders = store::mints::unsigned(&mut db, signer, ask_again, MAX_ORDERS).await?;
        let reserves = store::mints::unsigned_reserve(&mut db, signer, ask_again).await?;
        drop(db);
        let mut failed = None;
        for order in &orders {
            // One that cannot be looked at now keeps nobody else waiting.
            match self.look_at(order).await {
                Ok(()) => {}
                Err(error @ Error::Log { .. }) => return Err(error),
                Err(error) => {
                    warn!(deposit = %order.deposit_id, invoice = order.invoice_id, %error, "an order cannot be looked at now");
                    failed = Some(error);
                }
            }
        }
        for order in &reserves {
            self.look_at_reserve(order).await?;
        }
        failed.map_or(Ok(()), Err)
    }

    async fn look_at(&mut self, order: &Order) -> Result<(), Error> {
        let (deposit_id, attempt, signer) = (order.deposit_id, order.attempt, self.signer());
        // Signed before, and killed before anybody heard of it: the same signature, from the log.
        let before = self.log.history().of(deposit_id).iter().find(|signed| {
            (signed.attempt, signed.chain) == (attempt, order.terms.chain())
                && signed.attestation.terms_hash == order.terms_hash
                && (signed.attestation.amount, signed.attestation.valid_until) == (order.units, order.valid_until)
        });
        if let Some(signed) = before {
            let signature = signed.signature.clone();
            info!(deposit = %deposit_id, attempt, "the log has this signature: handing it out again");
            return self.hand_out(order, &signature).await;
        }
        let (seen, receipt) = self.see(Some(order)).await?;
        let saw = saw(&seen, receipt.as_ref());
        match decide::deposit(order, &seen, self.log.history()) {
            Ok(told) => {
                let rail = seen.rails.iter().find(|rail| rail.gate.chain == order.terms.chain());
                let gate = rail.ok_or_else(|| Error::Configuration("a gate was lost".into()))?.gate;
                let signature = self.sign(told.digest(&gate))?;
                if fault::seeded(Bug::SignBeforeLog) {
                    self.hand_out(order, &signature).await?;
                }
                fault::crash(Point::BeforeAttestorLog);
                self.note(Entry::Signed {
                    attempt,
                    chain: gate.chain,
                    gate: gate.address.to_string(),
                    attestation: told.clone(),
                    signature: signature.clone(),
                    saw,
                })?;
                fault::crash(Point::AfterAttestorLog);
                let DepositAttestation { amount, valid_until, .. } = told;
                info!(deposit = %deposit_id, attempt, invoice = order.invoice_id, amount, valid_until, "signed");
                self.hand_out(order, &signature).await
            }
            Err(refusal) => {
                let reason = refusal.to_string();
                warn!(deposit = %deposit_id, attempt, invoice = order.invoice_id, reason, "refused");
                if !self.log.history().has_refused(deposit_id, attempt, &reason) {
                    self.note(Entry::Refused { deposit_id, attempt, reason: reason.clone(), saw })?;
                }
                let mut tx = self.store.begin().await?;
                store::mints::refuse(&mut tx, deposit_id, attempt, signer, &reason).await?;
                Ok(tx.commit().await.map_err(store::Error::from)?)
            }
        }
    }

    async fn look_at_reserve(&mut self, order: &ReserveOrder) -> Result<(), Error> {
        let (ReserveOrder { chain, nonce, allocation, as_of }, signer) = (*order, self.signer());
        let signed = self.log.history().reserves.get(&chain).into_iter().flatten();
        let asked = |told: &ReserveAttestation| (told.nonce, told.allocation, told.as_of) == (nonce, allocation, as_of);
        let before = signed.into_iter().find(|(told, _)| asked(told)).map(|(_, signature)| signature.clone());
        let word: Result<Bytes, String> = match before {
            Some(signature) => Ok(signature),
            None => {
                let (seen, _) = self.see(None).await?;
                let saw = saw(&seen, None);
                match decide::reserve(order, &seen, self.log.history()) {
                    Ok(told) => {
                        let rail = seen.rails.iter().find(|rail| rail.gate.chain == chain);
                        let gate = rail.ok_or_else(|| Error::Configuration("a gate was lost".into()))?.gate;
                        let signature = self.sign(told.digest(&gate))?;
                        let gate = gate.address.to_string();
                        let signed = signature.clone();
                        self.note(Entry::ReserveSigned { chain, gate, attestation: told, signature: signed, saw })?;
                        Ok(signature)
                    }
                    Err(refusal) => {
                        let reason = refusal.to_string();
                        self.note(Entry::ReserveRefused { chain, nonce, reason: reason.clone(), saw })?;
                        Err(reason)
                    }
                }
            }
        };
        match &word {
            Ok(_) => info!(chain, nonce, allocation, "signed for the reserve"),
            Err(reason) => warn!(chain, nonce, reason, "refused to sign for the reserve"),
        }
        let mut tx = self.store.begin().await?;
        let word = word.as_ref().map(|signature| signature.as_ref()).map_err(String::as_str);
        store::mints::answer_reserve(&mut tx, order, signer, word).await?;
        Ok(tx.commit().await.map_err(store::Error::from)?)
    }

    /// Everything a decision rests on. Whatever does not answer fails all of it.
    async fn see(&self, order: Option<&Order>) -> Result<(Seen, Option<Receipt>), Error> {
        let mut db = self.store.snapshot().await?;
        let booked = match order {
            Some(order) => store::mints::booked(&mut db, order.deposit_id).await?,
            None => None,
        };
        let live = store::mints::live(&mut db).await?;
        let reserve = store::mints::reserve(&mut db).await?;
        drop(db);
        let receipt = booked.as_ref().map(|booked| Receipt {
            id: booked.receipt_id.to_string(),
            provider: booked.provider.clone(),
            rail: booked.rail,
            request: booked.request.clone(),
            reference: booked.reference.clone(),
            gross: booked.gross,
        });
        let shown = match &receipt {
            Some(receipt) => self.statement.shows(receipt).await?,
            None => Shown::Nothing,
        };
        // Of whatever may still count as unspent, whether it is.
        let mut deposits: BTreeSet<B256> = live.iter().map(|live| live.deposit_id).collect();
        deposits.extend(order.map(|order| order.deposit_id));
        deposits.extend(self.log.history().deposits.keys());
        let mut rails: Vec<Rail> = Vec::with_capacity(self.gates.len());
        for gate in &self.gates {
            rails.push(gate.look(&deposits).await?);
        }
        Ok((Seen { booked, shown, rails, live, reserve }, receipt))
    }

    fn sign(&self, digest: B256) -> Result<Bytes, Error> {
        let signature = self.key.sign_hash_sync(&digest).map_err(|error| Error::Signature(error.to_string()))?;
        Ok(signature.as_bytes().to_vec().into())
    }

    fn note(&mut self, entry: Entry) -> Result<(), Error> {
        self.log.append(entry).inspect_err(|error| error!(%error, "nothing is signed any more"))
    }

    async fn hand_out(&self, order: &Order, signature: &Bytes) -> Result<(), Error> {
        let mut tx = self.store.begin().await?;
        store::mints::sign(&mut tx, order.deposit_id, order.attempt, self.signer(), signature).await?;
        Ok(tx.commit().await.map_err(store::Error::from)?)
    }
}

/// What a decision rests on, for whoever reads the log. Numbers as text: JSON's lose digits.
fn saw(seen: &Seen, receipt: Option<&Receipt>) -> serde_json::Value {
    let shown = match seen.shown {
        Shown::In(units) => format!("{} units", units.0),
        Shown::TakenBack => "taken back".to_owned(),
        Shown::Nothing => "nothing".to_owned(),
    };
    let rails = seen.rails.iter().map(|rail| {
        serde_json::json!({
            "chain": rail.gate.chain.to_string(), "now": rail.now, "final": rail.final_now, "issued": rail.issued.to_string(),
            "allocation": rail.allocation.to_string(), "nonce": rail.nonce,
        })
    });
    let booked = seen.booked.as_ref().map(|booked| {
        serde_json::json!({
            "receipt": booked.receipt_id.to_string(), "state": booked.state.as_str(), "mintable": booked.mintable.0.to_string(),
            "invoice": booked.invoice_id,
        })
    });
    serde_json::json!({
        "booked": booked, "provider": receipt.map(|receipt| &receipt.provider), "request": receipt.map(|receipt| &receipt.request),
        "reference": receipt.and_then(|receipt| receipt.reference.as_ref()), "shown": shown,
        "reserve": seen.reserve.0.to_string(), "live": seen.live.len(), "rails": rails.collect::<Vec<_>>(),
    })
}
