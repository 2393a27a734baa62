//! How settled the chain itself is about something it has shown us.

use crate::words;

words! {
    /// A tier of truth, read from the node's own tags and never counted in blocks.
    Tier {
        /// In a block of the canonical chain.
        Seen = "seen",
        /// At or below the node's `safe` block.
        Safe = "safe",
        /// At or below the node's `finalized` block: money decisions that cannot be taken back wait for this.
        Final = "final",
    }
}

/// The heights of a chain's three tags. `final_ <= safe <= seen`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heights {
    /// The highest block.
    pub seen: u64,
    /// The `safe` block.
    pub safe: u64,
    /// The `finalized` block.
    pub final_: u64,
}

impl Heights {
    /// The tier of a block at `number`.
    pub const fn tier(&self, number: u64) -> Tier {
        if number <= self.final_ {
            Tier::Final
        } else if number <= self.safe {
            Tier::Safe
        } else {
            Tier::Seen
        }
    }
}
