//! "When money may go back" (PROTOCOL §4): the only door besides the payee's.

use crate::{NATIVE, Slot, Status};
use terms::{Address, InvoiceTerms};

/// "The wait": 30 days, in seconds.
pub const WAIT_SECONDS: u64 = 30 * 24 * 60 * 60;

/// By whose word money goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// refund: anyone's, always to refundTo.
    Refund,
    /// refundByOrder: the refund key's, to where it says.
    Order,
}

/// From when on `token` may go back through `door`, unix seconds; 0: any time. `valid_here` says whether the terms
/// break no row of §1 on this chain now; otherwise they "are treated as terms of another chain".
///
/// | what lies at the address | by order | by anyone, no refund key | by anyone, with a refund key |
/// | --- | --- | --- | --- |
/// | native coin | any time | any time | any time |
/// | the invoice token, terms valid here | settled, cancelled or closed | the same | `end` + 30 days |
/// | any other token; anything, terms not valid here | any time | any time | `end` + 30 days |
///
/// `end` is "the earlier of `since` (if status ≠ 0) and closesAt". Sums with closesAt saturate.
pub(crate) fn opens_at(terms: &InvoiceTerms, valid_here: bool, slot: Slot, token: Address, door: Door) -> u64 {
    let settled_or_cancelled = slot.status != Status::Open;
    let end = if settled_or_cancelled { slot.since.min(terms.closes_at) } else { terms.closes_at };
    let waits = door == Door::Refund && !terms.refund_key.is_zero();
    if token == NATIVE {
        0
    } else if waits {
        end.saturating_add(WAIT_SECONDS)
    } else if token == terms.token && valid_here && !settled_or_cancelled {
        terms.closes_at
    } else {
        0
    }
}
