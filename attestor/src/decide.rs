//! Whether an attestor signs: everything it has seen goes in, a yes or the reason comes out. No I/O.

use crate::log::History;
use crate::statement::Shown;
use domain::mint::ATTESTATION_SECONDS;
use domain::money::Units;
use domain::receipt::ReceiptState;
use std::collections::{BTreeMap, BTreeSet};
use store::mints::{Booked, Live, Order, ReserveOrder};
use terms::{Address, B256, DepositAttestation, GateKind, MintGate, ReserveAttestation, Terms};

/// How old a statement about the reserve may be when it is signed. Seconds.
pub const RESERVE_SECONDS: u64 = 15 * 60;

/// A gate, as the attestor's own configuration has it and its own node shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rail {
    /// The gate.
    pub gate: MintGate,
    /// Its token.
    pub token: Address,
    /// The time of the highest block, unix seconds.
    pub now: u64,
    /// The time of the finalized block, unix seconds.
    pub final_now: u64,
    /// What the gate has issued as of the finalized block, base units.
    pub issued: u128,
    /// How much it may have issued as of then, base units.
    pub allocation: u128,
    /// The number of the statement that says so.
    pub nonce: u64,
    /// Deposits that are used as of then, of those that were asked about.
    pub used: BTreeSet<B256>,
}

/// Everything a decision rests on.
#[derive(Clone, Debug)]
pub struct Seen {
    /// What our books say of the receipt.
    pub booked: Option<Booked>,
    /// What the provider's statement shows.
    pub shown: Shown,
    /// All gates there are.
    pub rails: Vec<Rail>,
    /// Orders that may still be spent, of whatever deposit, as Postgres has them.
    pub live: Vec<Live>,
    /// What the reserve holds, base units: the ledger's word and no more than the banks'.
    pub reserve: Units,
}

/// Why nothing is signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum Refusal {
    #[error("no gate of ours is on chain {0}")]
    NoGate(u64),
    #[error("the order is for gate {order}, ours on that chain is {ours}")]
    OtherGate { order: String, ours: Address },
    #[error("the terms hash to {found}, the order says {order}")]
    OtherTerms { order: B256, found: B256 },
    #[error("the invoice is in token {terms}, the gate's is {ours}")]
    OtherToken { terms: String, ours: Address },
    #[error("the terms take partial payments, or pay the gate itself")]
    WrongTerms,
    #[error("there is no receipt in the books")]
    NotBooked,
    #[error("the receipt is {0}, it has to be cleared")]
    NotCleared(ReceiptState),
    #[error("the order is for another receipt than the one with this deposit")]
    OtherReceipt,
    #[error("the receipt is for invoice {booked}, the order for {order}")]
    OtherInvoice { booked: String, order: String },
    #[error("{order} units are ordered, the books have {booked}")]
    OtherAmount { order: u128, booked: u128 },
    #[error("the provider's statement shows nothing of it")]
    NotShown,
    #[error("the provider's statement shows that it was taken back")]
    TakenBack,
    #[error("the provider's statement shows {shown} units, {order} are ordered")]
    ShownLess { shown: u128, order: u128 },
    #[error("it would be good until {until}, and at most until {most} is signed")]
    TooLong { until: u64, most: u64 },
    #[error("it is over since {until}, the chain's time is {now}")]
    Over { until: u64, now: u64 },
    #[error(
        "this key has signed order {attempt} of the deposit, good until {until} on chain {chain}, and it is not over"
    )]
    SignedBefore { attempt: u32, chain: u64, until: u64 },
    #[error("the deposit was used on chain {0}")]
    Used(u64),
    #[error("chain {0}, for which this key has signed, is not configured")]
    UnknownChain(u64),
    #[error("all rails together could then have {wanted} units, the reserve has {reserve}")]
    AboveReserve { wanted: u128, reserve: u128 },
    #[error("a statement with number {known} is known, this one has {nonce}")]
    NotNewer { known: u64, nonce: u64 },
    #[error("it is about {as_of}, the chain's time is {now}")]
    WrongMoment { as_of: u64, now: u64 },
}

/// Whether to sign an order, and what exactly.
pub fn deposit(order: &Order, seen: &Seen, history: &History) -> Result<DepositAttestation, Refusal> {
    let rail = here(seen, order.terms.chain())?;
    let told = asked(order, rail)?;
    in_books(order, seen)?;
    match seen.shown {
        Shown::In(units) if units.0 >= order.units => {}
        Shown::In(units) => return Err(Refusal::ShownLess { shown: units.0, order: order.units }),
        Shown::TakenBack => return Err(Refusal::TakenBack),
        Shown::Nothing => return Err(Refusal::NotShown),
    }
    free(order, seen, history)?;
    // Above the reserve nothing is signed, whatever the gate would say: its allocation may be one of yesterday.
    if rail.gate.kind == GateKind::Mint {
        let this = Live {
            deposit_id: order.deposit_id,
            attempt: order.attempt,
            chain: rail.gate.chain,
            units: order.units,
            valid_until: order.valid_until,
        };
        within_reserve(seen, history, Some(this), None)?;
    }
    Ok(told)
}

/// Whether to sign a statement about the reserve, and what exactly.
pub fn reserve(order: &ReserveOrder, seen: &Seen, history: &History) -> Result<ReserveAttestation, Refusal> {
    let rail = here(seen, order.chain)?;
    let signed = history.reserves.get(&order.chain).into_iter().flatten().map(|(told, _)| told.nonce).max();
    let known = signed.unwrap_or(0).max(rail.nonce);
    if order.nonce <= known {
        return Err(Refusal::NotNewer { known, nonce: order.nonce });
    }
    if order.as_of > rail.now || order.as_of.saturating_add(RESERVE_SECONDS) < rail.now {
        return Err(Refusal::WrongMoment { as_of: order.as_of, now: rail.now });
    }
    if rail.gate.kind == GateKind::Mint {
        within_reserve(seen, history, None, Some(order))?;
    }
    Ok(ReserveAttestation { token: rail.token, allocation: order.allocation, nonce: order.nonce, as_of: order.as_of })
}

fn here(seen: &Seen, chain: u64) -> Result<&Rail, Refusal> {
    seen.rails.iter().find(|rail| rail.gate.chain == chain).ok_or(Refusal::NoGate(chain))
}

/// What the order asks for, from the terms themselves: a row that names other terms than its own gets nothing.
fn asked(order: &Order, rail: &Rail) -> Result<DepositAttestation, Refusal> {
    let Terms::Evm(terms) = &order.terms else { return Err(Refusal::NoGate(order.terms.chain())) };
    if order.gate.evm() != Some(rail.gate.address) {
        return Err(Refusal::OtherGate { order: order.gate.to_string(), ours: rail.gate.address });
    }
    let found = terms.hash();
    if found != order.terms_hash {
        return Err(Refusal::OtherTerms { order: order.terms_hash, found });
    }
    if terms.token != rail.token {
        return Err(Refusal::OtherToken { terms: terms.token.to_string(), ours: rail.token });
    }
    // The gate refuses them too; a signature for them would only be in the way.
    if terms.partials() || terms.payee == rail.gate.address {
        return Err(Refusal::WrongTerms);
    }
    let most = rail.now.saturating_add(ATTESTATION_SECONDS);
    if order.valid_until > most {
        return Err(Refusal::TooLong { until: order.valid_until, most });
    }
    if order.valid_until <= rail.now {
        return Err(Refusal::Over { until: order.valid_until, now: rail.now });
    }
    Ok(DepositAttestation {
        deposit_id: order.deposit_id,
        terms_hash: order.terms_hash,
        token: terms.token,
        amount: order.units,
        valid_until: order.valid_until,
    })
}

fn in_books(order: &Order, seen: &Seen) -> Result<(), Refusal> {
    let booked = seen.booked.as_ref().ok_or(Refusal::NotBooked)?;
    if booked.state != ReceiptState::Cleared {
        return Err(Refusal::NotCleared(booked.state));
    }
    if order.receipt_id != Some(booked.receipt_id) {
        return Err(Refusal::OtherReceipt);
    }
    if booked.invoice_id.as_ref() != Some(&order.invoice_id) {
        let booked = booked.invoice_id.clone().unwrap_or_else(|| "none".to_owned());
        return Err(Refusal::OtherInvoice { booked, order: order.invoice_id.clone() });
    }
    if booked.mintable.0 != order.units {
        return Err(Refusal::OtherAmount { order: order.units, booked: booked.mintable.0 });
    }
    Ok(())
}

/// Whether nothing that this key has signed for the deposit may still be spent, or was: by the finalized clock of each chain and
/// by what its gate says as of then. A node's newest block proves nothing.
fn free(order: &Order, seen: &Seen, history: &History) -> Result<(), Refusal> {
    for rail in &seen.rails {
        if rail.used.contains(&order.deposit_id) {
            return Err(Refusal::Used(rail.gate.chain));
        }
    }
    for signed in history.of(order.deposit_id) {
        let Some(rail) = seen.rails.iter().find(|rail| rail.gate.chain == signed.chain) else {
            return Err(Refusal::UnknownChain(signed.chain));
        };
        let until = signed.attestation.valid_until;
        if rail.final_now <= until {
            return Err(Refusal::SignedBefore { attempt: signed.attempt, chain: signed.chain, until });
        }
    }
    Ok(())
}

/// Σ over the rails of our own tokens of max(allocation, issued + what may still be spent) must not be above the reserve. An
/// allocation is the highest of those that may be in force: what the chain has, and what was signed and is not there yet.
///
/// A statement takes the place of all before it on its chain. One that lowers what its chain has is held against what the others
/// have issued, and not against what they may: where money has left the reserve and all are too high, none could come down.
fn within_reserve(
    seen: &Seen,
    history: &History,
    this: Option<Live>,
    statement: Option<&ReserveOrder>,
) -> Result<(), Refusal> {
    let stated = |rail: &Rail| statement.filter(|order| order.chain == rail.gate.chain);
    let lowers = seen.rails.iter().any(|rail| stated(rail).is_some_and(|order| order.allocation < rail.allocation));
    let mut live: BTreeMap<(B256, u32), Live> = BTreeMap::new();
    live.extend(seen.live.iter().chain(&this).map(|live| ((live.deposit_id, live.attempt), *live)));
    for signed in history.deposits.values().flatten() {
        let told = &signed.attestation;
        // What this key has signed counts, whatever Postgres says of it.
        let own = Live {
            deposit_id: told.deposit_id,
            attempt: signed.attempt,
            chain: signed.chain,
            units: told.amount,
            valid_until: told.valid_until,
        };
        live.insert((own.deposit_id, own.attempt), own);
    }
    let mut wanted = 0_u128;
    for rail in seen.rails.iter().filter(|rail| rail.gate.kind == GateKind::Mint) {
        let chain = rail.gate.chain;
        let open = live.values().filter(|live| {
            live.chain == chain && live.valid_until >= rail.final_now && !rail.used.contains(&live.deposit_id)
        });
        let out = open.fold(rail.issued, |sum, live| sum.saturating_add(live.units));
        let signed = history.reserves.get(&chain).into_iter().flatten().map(|(told, _)| told);
        let signed = signed.filter(|told| told.nonce > rail.nonce).map(|told| told.allocation).max();
        let allocation = match stated(rail) {
            Some(order) => order.allocation,
            None if lowers => 0,
            None => rail.allocation.max(signed.unwrap_or(0)),
        };
        wanted = wanted.saturating_add(allocation.max(out));
    }
    if wanted > seen.reserve.0 {
        return Err(Refusal::AboveReserve { wanted, reserve: seen.reserve.0 });
    }
    Ok(())
}
