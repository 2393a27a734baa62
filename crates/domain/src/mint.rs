//! From an attested deposit to a payment (PROTOCOL §5): orders to mint, and what becomes of them.
//!
//! An order says: this deposit pays this invoice, on this chain, until then. Attestors sign it or refuse; whoever has enough
//! signatures can mint, so that an order that might still be signed or spent **is a pick**: nothing else pays the invoice, and
//! the deposit goes nowhere else. A deposit has one order at a time, and another one (an attempt more, on this chain or
//! another) only when the one before is proven to be worth nothing: its time is over by the chain's *finalized* clock and no
//! final block has it spent. Nothing else is proof, not a refusal, not an error, not silence: signatures may be out that we
//! have not seen.
//!
//! | what there is | the order is |
//! | --- | --- |
//! | spent in a final block | `minted` |
//! | spent in a block | `in_flight` |
//! | not spent, and over by the finalized clock, somebody refused, and too few have signed | `refused` |
//! | not spent, and over by the finalized clock | `expired` |
//! | a transaction for it is signed | `in_flight` |
//! | enough have signed | `attested` |
//! | else | `wanted` |

use crate::intent::{IntentKind, IntentState};
use crate::project::Facts;
use crate::tier::Tier;
use crate::words;
use alloy_primitives::{B256, U256};

/// How long an attestation is good, from the chain's highest block on (PROTOCOL §5). Seconds.
pub const ATTESTATION_SECONDS: u64 = 15 * 60;

/// Less than this is not worth asking attestors for. Seconds.
pub const SHORTEST_SECONDS: u64 = 2 * 60;

words! {
    /// What has become of an order to mint.
    MintState {
        /// Attestors are asked.
        Wanted = "wanted",
        /// Enough of them have signed.
        Attested = "attested",
        /// It is being spent: something is signed for it, or a block that is not final has it.
        InFlight = "in_flight",
        /// A final block has it spent.
        Minted = "minted",
        /// It is worth nothing any more, and was not spent: proof that the deposit is free.
        Expired = "expired",
        /// The same, and the reason is that attestors refused.
        Refused = "refused",
    }
}

impl MintState {
    /// Whether it may still be signed, or spent, or un-spent by a re-org.
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Wanted | Self::Attested | Self::InFlight)
    }
}

words! {
    /// Why no order is made.
    MintRefusal {
        /// The invoice has no terms there.
        NoRail = "no_rail",
        /// There is no gate that mints there.
        NoGate = "no_gate",
        /// It was paid, cancelled or closed there.
        Closed = "closed",
        /// The issuer has called it off.
        CalledOff = "called_off",
        /// Ten minutes before closesAt, by the clock of any of its chains, nothing is decided any more.
        Late = "late",
        /// It takes partial payments: minted money has to pay it whole.
        Partials = "partials",
        /// The deposit is not all that is due.
        TooLittle = "too_little",
        /// It is paid on some chain, or may be, or all that is due lies there.
        Paying = "paying",
        /// Another order for it is not over.
        Ordered = "ordered",
        /// The deposit has an order that is not over, or was minted.
        Spent = "spent",
    }
}

/// An order as it stands.
#[derive(Clone, Debug)]
pub struct OrderFact {
    /// The deposit it mints.
    pub deposit_id: B256,
    /// Which of the deposit's orders, from 1.
    pub attempt: u32,
    /// Until when it can be spent, by the chain's clock. Unix seconds, included.
    pub valid_until: u64,
    /// How many attestors that the gate knows have signed.
    pub signatures: u32,
    /// How many the gate wants.
    pub threshold: u32,
    /// How many have refused.
    pub refusals: u32,
    /// What was stored.
    pub state: MintState,
}

/// What a mint gate has told in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateEvent {
    /// It has minted this deposit.
    Minted(B256),
    /// It has burned what the invoice brought.
    Redeemed,
}

/// One event of a gate about one invoice.
#[derive(Clone, Copy, Debug)]
pub struct GateFact {
    /// What happened.
    pub what: GateEvent,
    /// Its block.
    pub block: u64,
}

/// The number in the intent that spends an order: the deposit's id, which is minted once whoever tries.
pub fn intent_total(deposit_id: B256) -> U256 {
    U256::from_be_bytes(deposit_id.0)
}

impl OrderFact {
    /// The block that has it spent, if one has.
    fn spent(&self, facts: &Facts) -> Option<u64> {
        let spends = |event: &&GateFact| event.what == GateEvent::Minted(self.deposit_id);
        facts.gate_events.iter().find(spends).map(|event| event.block)
    }

    /// What it is now: the table above.
    pub fn now(&self, facts: &Facts) -> MintState {
        if let Some(block) = self.spent(facts) {
            let is_final = facts.heights.tier(block) == Tier::Final;
            return if is_final { MintState::Minted } else { MintState::InFlight };
        }
        let attested = self.signatures >= self.threshold;
        if facts.final_now > self.valid_until {
            return if self.refusals > 0 && !attested { MintState::Refused } else { MintState::Expired };
        }
        let total = intent_total(self.deposit_id);
        let sent = facts.intents.iter().any(|intent| {
            intent.kind == IntentKind::Mint
                && intent.cumulative_before == total
                && (intent.state.in_flight() || intent.state == IntentState::Seen)
        });
        match (sent, attested) {
            (true, _) => MintState::InFlight,
            (false, true) => MintState::Attested,
            (false, false) => MintState::Wanted,
        }
    }

    /// Whether somebody with the signatures could mint it in the next block, and nobody has.
    pub fn is_spendable(&self, facts: &Facts) -> bool {
        self.signatures >= self.threshold && facts.now <= self.valid_until && self.spent(facts).is_none()
    }
}
