//! On which rail tokens are made: `tempo`, then `circle`, then `monay`; when another is taken, and why. And the transfer from one
//! rail to another.
//!
//! **An unknown outcome never falls back**, else one deposit could mint twice. A rail is left only on proof ([`Proof`]): nothing was
//! issued, or what was issued has run out unused by that chain's own finalized clock. Time that passed here, an answer
//! that did not come and a node that says "no" prove nothing.

use crate::ledger::{Entry, EntryKind, Key, Names, Part, Phase};
use crate::money::Units;
use crate::steps::{Refusal, comes_later};
use crate::words;

words! {
    /// A rail, in the order in which they are taken.
    TokenRail {
        /// The TIP-20 on Tempo.
        Tempo = "tempo",
        /// USDC on Base, from the float that Circle fills.
        Circle = "circle",
        /// Our own token, on Base or Solana.
        Monay = "monay",
    }
}

words! {
    /// A rail's circuit breaker.
    BreakerState {
        /// It is used.
        Closed = "closed",
        /// It is left alone for a while.
        Open = "open",
        /// One mint is tried.
        HalfOpen = "half_open",
    }
}

words! {
    /// What a breaker hears.
    Signal {
        /// A mint failed, provably.
        Failed = "failed",
        /// A mint is final.
        Succeeded = "succeeded",
        /// Nobody knows: no reason for anything.
        Unknown = "unknown",
        /// The while is over.
        Waited = "waited",
    }
}

use BreakerState::{Closed, HalfOpen, Open};

/// Every change there is: (from, signal, to). A `Failed` while closed opens it from the limit on, and counts until then.
pub const BREAKER: &[(BreakerState, Signal, BreakerState)] = &[
    (Closed, Signal::Failed, Open),
    (Closed, Signal::Succeeded, Closed),
    (Open, Signal::Waited, HalfOpen),
    // What was under way when it opened.
    (Open, Signal::Succeeded, Closed),
    (Open, Signal::Failed, Open),
    (HalfOpen, Signal::Failed, Open),
    (HalfOpen, Signal::Succeeded, Closed),
];

/// A breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breaker {
    /// Its state.
    pub state: BreakerState,
    /// Proven failures in a row.
    pub failures: u32,
    /// While open: until then, unix seconds.
    pub open_until: u64,
}

/// How patient a breaker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Proven failures in a row that open it.
    pub failures: u32,
    /// How long it stays open. Seconds.
    pub rest_seconds: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self { failures: 3, rest_seconds: 60 }
    }
}

impl Breaker {
    /// A rail nobody has complained of.
    pub const NEW: Self = Self { state: Closed, failures: 0, open_until: 0 };

    /// After a signal, at `now` (unix seconds).
    pub fn hear(self, signal: Signal, now: u64, patience: Patience) -> Self {
        let early = signal == Signal::Waited && now < self.open_until;
        let row = BREAKER.iter().find(|(from, of, _)| (*from, *of) == (self.state, signal));
        let Some(&(.., to)) = row.filter(|_| !early) else { return self };
        match signal {
            Signal::Failed => {
                let failures = self.failures.saturating_add(1);
                if self.state == Closed && failures < patience.failures {
                    return Self { failures, ..self };
                }
                Self { state: to, failures, open_until: now.saturating_add(patience.rest_seconds) }
            }
            Signal::Succeeded => Self::NEW,
            _ => Self { state: to, ..self },
        }
    }
}

/// What is known of an order to mint on a rail, as of that chain's finalized block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// Whether any attestor has signed, or may have: an attestor that was asked and has not refused.
    pub issued: bool,
    /// Until when what was signed is good: unix seconds of that chain, inclusive.
    pub valid_until: u64,
    /// Whether it was used, by the finalized block's state.
    pub used: bool,
    /// The finalized block's time, unix seconds.
    pub final_now: u64,
}

words! {
    /// Why it is certain that an order will never mint.
    Proof {
        /// It was refused before anything was signed.
        NeverIssued = "never_issued",
        /// What was signed ran out unused, by the finalized clock of its chain.
        ExpiredUnused = "expired_unused",
    }
}

impl Order {
    /// Why it will never mint, if that is certain.
    pub const fn proof_of_failure(&self) -> Option<Proof> {
        match (self.issued, self.used) {
            (_, true) => None,
            (false, false) => Some(Proof::NeverIssued),
            (true, false) if self.final_now > self.valid_until => Some(Proof::ExpiredUnused),
            (true, false) => None,
        }
    }
}

/// A rail, when one is to be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RailFact {
    /// Which.
    pub rail: TokenRail,
    /// Whether the invoice can be paid there: it has terms on that chain, in that token, with time left.
    pub terms: bool,
    /// Whether its gate is paused.
    pub paused: bool,
    /// What its allocation, daily cap or float still allows.
    pub headroom: Units,
    /// Its breaker, as of now.
    pub breaker: Breaker,
}

words! {
    /// Why a rail is not taken.
    Reason {
        /// The invoice has no terms there, or too little time.
        NoTerms = "no_terms",
        /// Its gate is paused.
        Paused = "paused",
        /// Allocation, cap or float is too small.
        NoHeadroom = "no_headroom",
        /// Its breaker is open, after proven failures.
        BreakerOpen = "breaker_open",
        /// This deposit's order there failed, provably.
        OrderFailed = "order_failed",
    }
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// An order is out, and may still mint: nothing else is done.
    Wait(TokenRail),
    /// It is minted here. Passed over: the rails before it, each with its reason, to be recorded.
    Take(TokenRail, Vec<(TokenRail, Reason)>),
    /// Nowhere, for now.
    Nowhere(Vec<(TokenRail, Reason)>),
}

/// Chooses a rail for `amount`. `orders` are all orders that were ever made for the deposit, on whatever rail.
pub fn choose(rails: &[RailFact], amount: Units, orders: &[(TokenRail, Order)]) -> Choice {
    if let Some(&(rail, _)) = orders.iter().find(|(_, order)| order.proof_of_failure().is_none()) {
        return Choice::Wait(rail);
    }
    let mut passed = Vec::new();
    for &rail in TokenRail::ALL {
        let fact = rails.iter().find(|fact| fact.rail == rail);
        let reason = match fact {
            None => Some(Reason::NoTerms),
            Some(fact) if !fact.terms => Some(Reason::NoTerms),
            Some(fact) if fact.paused => Some(Reason::Paused),
            Some(fact) if fact.headroom < amount => Some(Reason::NoHeadroom),
            Some(fact) if fact.breaker.state == Open => Some(Reason::BreakerOpen),
            // Once is enough: an order that failed is tried elsewhere before it is tried there again.
            Some(_) if orders.iter().any(|(of, _)| *of == rail) => Some(Reason::OrderFailed),
            Some(_) => None,
        };
        match reason {
            None => return Choice::Take(rail, passed),
            Some(reason) => passed.push((rail, reason)),
        }
    }
    // Failed everywhere it can be minted: the first of them again.
    let again = passed.iter().position(|(_, reason)| *reason == Reason::OrderFailed);
    match again.and_then(|at| passed.get(at).map(|(rail, _)| (*rail, at))) {
        Some((rail, at)) => Choice::Take(rail, passed.into_iter().take(at).collect()),
        None => Choice::Nowhere(passed),
    }
}

words! {
    /// How far a transfer between rails has come.
    CrossState {
        /// Asked for: the terms of the burn and the deposit id of the mint are drawn.
        Requested = "requested",
        /// The burn may be on the wire.
        Burning = "burning",
        /// Burned, finally.
        Burned = "burned",
        /// The mint is ordered.
        Minting = "minting",
        /// Minted, finally.
        Done = "done",
        /// Nothing was burned, and nothing will be.
        Cancelled = "cancelled",
        /// Burned, and to be paid in dollars: somebody decided so.
        Payable = "payable",
    }
}

words! {
    /// What happens to a transfer between rails.
    CrossEvent {
        /// The burn is signed.
        BurnSigned = "burn_signed",
        /// Nobody knows of the burn, or of the mint.
        Unknown = "unknown",
        /// It is final.
        BurnFinal = "burn_final",
        /// Its terms closed unused, by the finalized clock of its chain.
        BurnExpired = "burn_expired",
        /// The mint is ordered.
        MintOrdered = "mint_ordered",
        /// It failed, provably: another order may be made.
        MintFailed = "mint_failed",
        /// It is final.
        MintFinal = "mint_final",
        /// It is given up, by a person, while no order is out.
        GivenUp = "given_up",
    }
}

use CrossEvent as E;
use CrossState as S;

/// Every change there is. No row orders a mint but from `burned`: unknown on the first rail never mints on the second.
pub const CROSSINGS: &[(S, E, S)] = &[
    (S::Requested, E::BurnSigned, S::Burning),
    (S::Requested, E::BurnFinal, S::Burned),
    (S::Requested, E::BurnExpired, S::Cancelled),
    (S::Burning, E::Unknown, S::Burning),
    (S::Burning, E::BurnFinal, S::Burned),
    (S::Burning, E::BurnExpired, S::Cancelled),
    (S::Burned, E::MintOrdered, S::Minting),
    (S::Burned, E::GivenUp, S::Payable),
    (S::Minting, E::Unknown, S::Minting),
    (S::Minting, E::MintFailed, S::Burned),
    (S::Minting, E::MintFinal, S::Done),
];

/// A transfer from one rail to another: one intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crossing {
    /// Our id.
    pub id: String,
    /// Base units.
    pub amount: Units,
    /// The token that is burned, `tempo/42431`.
    pub from: String,
    /// The token that is minted.
    pub to: String,
    /// How far it has come.
    pub state: CrossState,
}

impl Crossing {
    /// Applies an event, or says why not. What is said twice of a state that is past is [`Refusal::Impossible`] and changes
    /// nothing; what is said twice of the present one neither.
    pub fn take(&self, event: CrossEvent) -> Result<(Self, Option<Entry>), Refusal> {
        let row = CROSSINGS.iter().find(|(from, of, _)| (*from, *of) == (self.state, event));
        let Some(&(.., to)) = row else {
            let (state, word) = (self.state.as_str(), event.as_str());
            return Err(match comes_later(CROSSINGS.iter().copied(), self.state, event) {
                true => Refusal::TooEarly { state, event: word },
                false => Refusal::Impossible { state, event: word },
            });
        };
        let kind = match event {
            E::BurnFinal => Some(EntryKind::CrossBurned),
            E::MintFinal => Some(EntryKind::CrossMinted),
            E::GivenUp => Some(EntryKind::CrossAbandoned),
            _ => None,
        };
        let entry = match kind {
            None => None,
            Some(kind) => {
                let names =
                    Names { token: Some(self.from.clone()), other_token: Some(self.to.clone()), ..Names::default() };
                let key = Key { source: format!("crossing/{}", self.id), reference: event.to_string(), kind };
                Some(Entry::new(key, Phase::Single, &names, &[(Part::Amount, self.amount)])?)
            }
        };
        Ok((Self { state: to, ..self.clone() }, entry))
    }
}
