//! What the machines of money in and out have in common: why an event is not applied, and whether it may be later.

use crate::ledger::EntryError;
use crate::money::Units;

/// Why an event is not applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It was. Doing it again does nothing.
    #[error("this was applied before")]
    Already,
    /// Something must come first: it waits.
    #[error("'{event}' is too early for what is {state}")]
    TooEarly {
        /// The state.
        state: &'static str,
        /// The event.
        event: &'static str,
    },
    /// It contradicts what is known: for a person to look at.
    #[error("'{event}' cannot happen to what is {state}")]
    Impossible {
        /// The state.
        state: &'static str,
        /// The event.
        event: &'static str,
    },
    /// The amount is another than there can be: for a person to look at.
    #[error("'{event}' says {said}, and there are {there}")]
    Amount {
        /// The event.
        event: &'static str,
        /// What it says, base units.
        said: Units,
        /// What can be, at most or exactly.
        there: Units,
    },
    /// It cannot be booked.
    #[error(transparent)]
    Entry(#[from] EntryError),
}

impl Refusal {
    /// Whether the event may be offered again later.
    pub const fn may_come_later(&self) -> bool {
        matches!(self, Self::TooEarly { .. })
    }
}

/// Whether a state that can still be reached from `from` takes the event.
pub(crate) fn comes_later<S, E>(rows: impl Iterator<Item = (S, E, S)> + Clone, from: S, event: E) -> bool
where
    S: Copy + PartialEq,
    E: PartialEq,
{
    let (mut reached, mut next) = (vec![from], vec![from]);
    while let Some(state) = next.pop() {
        for (.., to) in rows.clone().filter(|(from, ..)| *from == state) {
            if !reached.contains(&to) {
                reached.push(to);
                next.push(to);
            }
        }
    }
    rows.into_iter().any(|(from, of, _)| of == event && reached.contains(&from))
}
