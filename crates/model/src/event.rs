//! Events, and the way back from them to the state.

use crate::{Recorded, Slot, Status};
use std::collections::BTreeMap;
use terms::B256;

/// What `kind` in [`Recorded`] says happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// settle or settleBatch: purse → payee.
    Settled = 1,
    /// pay: caller → payee.
    Paid = 2,
    /// cancel: nothing moved.
    Cancelled = 3,
    /// refund: purse → refundTo.
    Refunded = 4,
    /// refundByOrder: purse → order.to.
    RefundedByOrder = 5,
}

impl Kind {
    /// The number in events.
    pub const fn as_u8(self) -> u8 {
        self as u8
    }
}

/// An event and the time of its block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// Unix seconds.
    pub timestamp: u64,
    /// The event.
    pub event: Recorded,
}

/// "Events fold to exactly this state": the slots that are not untouched, from the log alone. `None` if the log has a
/// status that does not exist.
pub fn fold(log: &[Logged]) -> Option<BTreeMap<B256, Slot>> {
    let mut slots = BTreeMap::<B256, Slot>::new();
    for Logged { timestamp, event } in log {
        let slot = slots.entry(event.termsHash).or_default();
        let status = Status::from_u8(event.status)?;
        if slot.status == Status::Open && status != Status::Open {
            slot.since = *timestamp;
        }
        slot.status = status;
        slot.paid = event.paid;
    }
    slots.retain(|_, slot| *slot != Slot::default());
    Some(slots)
}
