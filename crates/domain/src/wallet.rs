//! The life of an invoice's wallet, as a table. The words are the specification's.

use crate::{invoice::Guard, words};

words! {
    /// Where a wallet stands.
    WalletStatus {
        /// It has an address and waits for money.
        Active = "active",
        /// What is due lies at its address.
        Funded = "funded",
        /// A transaction that pays the invoice is under way.
        PaymentInProgress = "payment_in_progress",
        /// The payee was paid.
        PaymentComplete = "payment_complete",
        /// It is done; what is left (money to send back, finality, keys to erase) is being cleared.
        Destroying = "destroying",
        /// Nothing is left: no code and no money on chain, no key with us.
        Destroyed = "destroyed",
    }
}

words! {
    /// How long a wallet lives.
    WalletMode {
        /// For one invoice, 1 hour to 365 days.
        Ephemeral = "ephemeral",
        /// Until its owner closes it.
        Persistent = "persistent",
        /// Ephemeral with a persistent wallet behind it.
        Adaptive = "adaptive",
        /// An enterprise's own.
        Enterprise = "enterprise",
    }
}

words! {
    /// Why a wallet was destroyed.
    DestructionReason {
        /// The invoice was paid.
        PaymentComplete = "payment_complete",
        /// Its time ran out.
        TtlExpired = "ttl_expired",
        /// The invoice was called off.
        Cancelled = "cancelled",
    }
}

use Guard::{Always, Reorg};
use WalletStatus as S;

/// Every change of status there is: (from, guard, to). What is not here cannot happen.
pub const TRANSITIONS: &[(S, Guard, S)] = &[
    (S::Active, Always, S::Funded),
    (S::Active, Always, S::PaymentInProgress),
    (S::Active, Always, S::PaymentComplete),
    (S::Active, Always, S::Destroying),
    (S::Funded, Always, S::PaymentInProgress),
    (S::Funded, Always, S::PaymentComplete),
    (S::Funded, Always, S::Destroying),
    (S::PaymentInProgress, Always, S::PaymentComplete),
    (S::PaymentInProgress, Always, S::Destroying),
    // The transaction failed; the money is still there.
    (S::PaymentInProgress, Always, S::Funded),
    (S::PaymentComplete, Always, S::Destroying),
    (S::Destroying, Always, S::Destroyed),
    // What follows exists only because a chain may take back what it has shown.
    (S::Funded, Reorg, S::Active),
    (S::PaymentInProgress, Reorg, S::Active),
    (S::PaymentComplete, Reorg, S::PaymentInProgress),
    (S::PaymentComplete, Reorg, S::Funded),
    (S::PaymentComplete, Reorg, S::Active),
    (S::Destroying, Reorg, S::PaymentComplete),
    (S::Destroying, Reorg, S::PaymentInProgress),
    (S::Destroying, Reorg, S::Funded),
    (S::Destroying, Reorg, S::Active),
];

impl WalletStatus {
    /// What kind of change it is to become `to`, if it may.
    pub fn may_become(self, to: Self) -> Option<Guard> {
        TRANSITIONS.iter().find(|(from, _, next)| (*from, *next) == (self, to)).map(|&(_, guard, _)| guard)
    }

    /// The statuses passed through, in order, when the facts say that `milestones` have been reached; empty if none is
    /// new. A wallet that is found funded, paid and settled in one look has still been all three, and its history says so.
    pub fn steps(self, milestones: &[Self]) -> Vec<(Self, Guard)> {
        if let Some(at) = milestones.iter().position(|&milestone| milestone == self) {
            return milestones.iter().skip(at + 1).map(|&step| (step, Always)).collect();
        }
        match milestones.first().and_then(|&first| self.may_become(first)) {
            Some(Always) => milestones.iter().map(|&step| (step, Always)).collect(),
            _ => match milestones.last().and_then(|&last| Some((last, self.may_become(last)?))) {
                Some(step) => vec![step],
                None => Vec::new(),
            },
        }
    }
}
