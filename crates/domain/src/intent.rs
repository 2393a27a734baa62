//! What must happen on a chain, and how far it has come. See `docs/ARCHITECTURE.md`, "An intent's life".

use crate::words;
use alloy_primitives::{B256, Keccak256, U256};
use terms::Account;

words! {
    /// What an intent wants done.
    IntentKind {
        /// Pay the payee from the purse.
        Settle = "settle",
        /// Close the invoice for payment.
        Cancel = "cancel",
        /// Send the purse's balance of one token back.
        Refund = "refund",
        /// Send it where the refund key says.
        RefundByOrder = "refund_by_order",
        /// Submit a payer's authorization and settle.
        Fund = "fund",
        /// Mint what an attested deposit is for, and pay the payee with it.
        Mint = "mint",
        /// Burn what a paid redemption has brought to the mint gate.
        Redeem = "redeem",
    }
}

words! {
    /// How far an intent has come.
    IntentState {
        /// Committed; nothing is signed.
        Accepted = "accepted",
        /// Signed bytes with a nonce are committed; they may or may not be on the wire.
        Signed = "signed",
        /// The node has taken the transaction.
        Broadcast = "broadcast",
        /// Nobody knows whether the node has it. Never terminal, never a failure.
        Unknown = "unknown",
        /// Its effect is in a block.
        Seen = "seen",
        /// Its effect is in a finalized block.
        Final = "final",
        /// No longer wanted, and nothing was signed for it.
        Superseded = "superseded",
        /// Gave up after the limit of tries: an operator has to look.
        Failed = "failed",
    }
}

impl IntentState {
    /// Whether nothing more will happen unless the facts ask for it again.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Final | Self::Superseded | Self::Failed)
    }

    /// Whether a signed transaction for it may be on the wire.
    pub const fn in_flight(self) -> bool {
        matches!(self, Self::Signed | Self::Broadcast | Self::Unknown)
    }
}

words! {
    /// How far one signed transaction has come.
    AttemptState {
        /// Committed with nonce, bytes and hash; not yet offered to a node.
        Signed = "signed",
        /// A node has taken it.
        Broadcast = "broadcast",
        /// A node may have it.
        Unknown = "unknown",
        /// In a finalized block.
        Final = "final",
        /// Its nonce was used by another transaction that is final, of ours or not.
        Replaced = "replaced",
    }
}

words! {
    /// What a node said when signed bytes were offered to it. How to go on with the nonce follows from it, and nothing else.
    Answer {
        /// It has them.
        Taken = "taken",
        /// Their nonce is used, by them or by other bytes.
        NonceTooLow = "nonce_too_low",
        /// It wants more for gas.
        Underpriced = "underpriced",
        /// The signer has too little coin for gas.
        Unfunded = "unfunded",
        /// No node with these rules will ever take them.
        Rejected = "rejected",
        /// Nothing that says anything.
        Unknown = "unknown",
    }
}

impl Answer {
    /// What is then known of the attempt: a node has it, or nobody knows.
    pub const fn state(self) -> AttemptState {
        match self {
            Self::Taken => AttemptState::Broadcast,
            _ => AttemptState::Unknown,
        }
    }
}

/// The id of an intent: what is to be done to which invoice, and the cumulative total on chain before it. The chain
/// itself refuses to do the same thing twice, so two intents with one id are one intent (`research/offchain.md` §2.1).
pub fn intent_id(kind: IntentKind, chain: u64, terms_hash: B256, token: Account, cumulative_before: U256) -> B256 {
    let mut hasher = Keccak256::new();
    hasher.update(b"monay:intent:v1");
    hasher.update(kind.as_str().as_bytes());
    hasher.update([0]);
    hasher.update(chain.to_be_bytes());
    hasher.update(terms_hash);
    hasher.update(token.as_bytes());
    hasher.update(cumulative_before.to_be_bytes::<32>());
    hasher.finalize()
}
