//! A withdrawal: tokens are burned, then, and only then, the bank is paid. Its states as a table, and what each event books.
//!
//! A payout that comes back makes the money payable again; it is sent again, or minted again by an explicit decision, and never
//! by itself. Amounts are base units.

use crate::ledger::{Entry, EntryKind, Key, Names, Part, Phase};
use crate::money::Units;
use crate::steps::{Refusal, comes_later};
use crate::words;

words! {
    /// How far a withdrawal has come.
    WithdrawalState {
        /// Asked for: its terms are made, no token has come.
        Requested = "requested",
        /// The tokens lie at its address: nobody spends them otherwise.
        Locked = "locked",
        /// They are burned, finally: the bank may be paid.
        Burned = "burned",
        /// The bank payment is sent, or may be.
        PayoutSent = "payout_sent",
        /// The bank has paid.
        Completed = "completed",
        /// It came back: payable again.
        PayoutReturned = "payout_returned",
        /// Its terms ran out and nothing was burned: what lies there goes back on chain.
        Expired = "expired",
    }
}

words! {
    /// What happens to a withdrawal.
    EventKind {
        /// The tokens came.
        Locked = "locked",
        /// They are burned: the block is final.
        Burned = "burned",
        /// The terms are closed by the chain's finalized clock, and nothing was burned.
        Expired = "expired",
        /// A bank payment is handed in. Each try has a trace of its own.
        PayoutSent = "payout_sent",
        /// The bank has paid it.
        PayoutDone = "payout_done",
        /// It was refused, provably, before the bank paid.
        PayoutFailed = "payout_failed",
        /// It came back.
        PayoutReturned = "payout_returned",
    }
}

use EventKind as E;
use WithdrawalState as S;

/// Every change there is. What is not here is refused, or waits if a later state takes it. No row pays before the burn.
pub const TRANSITIONS: &[(S, E, S)] = &[
    (S::Requested, E::Locked, S::Locked),
    (S::Requested, E::Burned, S::Burned),
    (S::Requested, E::Expired, S::Expired),
    (S::Locked, E::Burned, S::Burned),
    (S::Locked, E::Expired, S::Expired),
    (S::Burned, E::PayoutSent, S::PayoutSent),
    (S::PayoutSent, E::PayoutDone, S::Completed),
    (S::PayoutSent, E::PayoutFailed, S::Burned),
    // Back before we heard that it had gone.
    (S::PayoutSent, E::PayoutReturned, S::PayoutReturned),
    (S::Completed, E::PayoutReturned, S::PayoutReturned),
    (S::PayoutReturned, E::PayoutSent, S::PayoutSent),
];

/// An event, with what it says.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Event {
    Locked,
    /// `amount`: of the finalized event.
    Burned {
        amount: Units,
    },
    Expired,
    /// `trace`: our own number of this try, stored before anything is sent.
    PayoutSent {
        trace: String,
    },
    PayoutDone {
        trace: String,
    },
    PayoutFailed {
        trace: String,
    },
    PayoutReturned {
        trace: String,
    },
}

impl Event {
    /// What kind it is.
    pub const fn kind(&self) -> EventKind {
        match self {
            Self::Locked => E::Locked,
            Self::Burned { .. } => E::Burned,
            Self::Expired => E::Expired,
            Self::PayoutSent { .. } => E::PayoutSent,
            Self::PayoutDone { .. } => E::PayoutDone,
            Self::PayoutFailed { .. } => E::PayoutFailed,
            Self::PayoutReturned { .. } => E::PayoutReturned,
        }
    }

    /// Which try of the payment it is about; empty where it comes once.
    pub fn trace(&self) -> &str {
        match self {
            Self::Locked | Self::Burned { .. } | Self::Expired => "",
            Self::PayoutSent { trace }
            | Self::PayoutDone { trace }
            | Self::PayoutFailed { trace }
            | Self::PayoutReturned { trace } => trace,
        }
    }
}

/// A withdrawal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdrawal {
    /// Our id.
    pub id: String,
    /// Our bank account it is paid from: where the reserve is.
    pub bank: String,
    /// The token, `tempo/42431`.
    pub token: String,
    /// What is burned, and paid.
    pub amount: Units,
    /// How far it has come.
    pub state: WithdrawalState,
    /// Nobody knows whether the bank has the payment. Never a failure, and never a reason to send another.
    pub unknown: bool,
    /// What has been applied, by kind and trace.
    pub applied: Vec<(EventKind, String)>,
}

/// What an event does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The withdrawal after it.
    pub withdrawal: Withdrawal,
    /// What is booked, in this order, all or nothing.
    pub entries: Vec<Entry>,
}

impl Withdrawal {
    /// A withdrawal nothing has happened to.
    pub fn new(id: &str, bank: &str, token: &str, amount: Units) -> Self {
        let (id, bank, token) = (id.to_owned(), bank.to_owned(), token.to_owned());
        Self { id, bank, token, amount, state: S::Requested, unknown: false, applied: Vec::new() }
    }

    fn has(&self, kind: EventKind, trace: &str) -> bool {
        self.applied.iter().any(|(of, which)| *of == kind && which == trace)
    }

    /// Applies an event, or says why not.
    pub fn take(&self, event: &Event) -> Result<Step, Refusal> {
        let (kind, trace) = (event.kind(), event.trace());
        // What is said of a try after it came back or failed adds nothing.
        let over = |trace: &str| self.has(E::PayoutFailed, trace) || self.has(E::PayoutReturned, trace);
        if self.has(kind, trace) || (!trace.is_empty() && over(trace)) {
            return Err(Refusal::Already);
        }
        let (state, event_word) = (self.state.as_str(), kind.as_str());
        let answers = matches!(kind, E::PayoutDone | E::PayoutFailed | E::PayoutReturned);
        if answers && !self.has(E::PayoutSent, trace) {
            return Err(Refusal::TooEarly { state, event: event_word });
        }
        let Some(&(.., to)) = TRANSITIONS.iter().find(|(from, of, _)| (*from, *of) == (self.state, kind)) else {
            return Err(match comes_later(TRANSITIONS.iter().copied(), self.state, kind) {
                true => Refusal::TooEarly { state, event: event_word },
                false => Refusal::Impossible { state, event: event_word },
            });
        };
        let entry = match event {
            Event::Locked => Some(self.entry(E::Locked, trace, EntryKind::Burning, Phase::Pending)?),
            Event::Burned { amount } if *amount != self.amount => {
                return Err(Refusal::Amount { event: event_word, said: *amount, there: self.amount });
            }
            Event::Burned { .. } => {
                let phase = match self.state {
                    S::Locked => Phase::Post(self.key(E::Locked, "", EntryKind::Burning)),
                    _ => Phase::Single,
                };
                Some(self.entry(kind, trace, EntryKind::Burned, phase)?)
            }
            Event::Expired => (self.state == S::Locked).then(|| {
                Entry::void(self.key(kind, trace, EntryKind::NotBurned), self.key(E::Locked, "", EntryKind::Burning))
            }),
            Event::PayoutSent { .. } => Some(self.entry(kind, trace, EntryKind::PayoutSent, Phase::Single)?),
            Event::PayoutDone { .. } => Some(self.entry(kind, trace, EntryKind::PayoutDone, Phase::Single)?),
            Event::PayoutReturned { .. } if self.state == S::Completed => {
                Some(self.entry(kind, trace, EntryKind::PayoutReturned, Phase::Single)?)
            }
            Event::PayoutFailed { .. } | Event::PayoutReturned { .. } => {
                Some(self.entry(kind, trace, EntryKind::PayoutFailed, Phase::Single)?)
            }
        };
        let mut withdrawal = Self { state: to, ..self.clone() };
        withdrawal.unknown = self.unknown && !answers;
        withdrawal.applied.push((kind, trace.to_owned()));
        Ok(Step { withdrawal, entries: entry.into_iter().collect() })
    }

    fn key(&self, event: EventKind, trace: &str, kind: EntryKind) -> Key {
        let reference = if trace.is_empty() { event.to_string() } else { format!("{event}/{trace}") };
        Key { source: format!("withdrawal/{}", self.id), reference, kind }
    }

    fn entry(&self, event: EventKind, trace: &str, kind: EntryKind, phase: Phase) -> Result<Entry, Refusal> {
        let names = Names { bank: Some(self.bank.clone()), token: Some(self.token.clone()), ..Names::default() };
        Ok(Entry::new(self.key(event, trace, kind), phase, &names, &[(Part::Amount, self.amount)])?)
    }
}
