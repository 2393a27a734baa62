//! What can be done with an invoice, as a table: the API offers it, and its routes accept exactly that.

use crate::invoice::InvoiceStatus;
use crate::words;

words! {
    /// Something the issuer or the customer can ask for.
    Action {
        /// Have what lies there paid to the payee (`POST /api/invoices/pay`).
        Pay = "pay",
        /// Call the invoice off (`POST /api/invoices/{id}/cancel`).
        Cancel = "cancel",
        /// Say where what lies there goes back to (`POST /api/invoices/{id}/refund`).
        Refund = "refund",
        /// Pay without gas, by a signed authorization (`POST /api/invoices/{id}/authorization`).
        Authorize = "authorize",
    }
}

words! {
    /// What must be so, beside the status, for something to be possible.
    Need {
        /// All that is due lies at the deposit address.
        Covered = "covered",
        /// Not all that is due lies there.
        Uncovered = "uncovered",
        /// The displayed expiry is still to come.
        InTime = "in_time",
        /// Only our settler settles. Where anyone does, only the payee could cancel, and the gate takes no authorization.
        Gated = "gated",
        /// No transaction that pays it is signed.
        AtRest = "at_rest",
        /// Something of the invoice's token lies at the address.
        Holding = "holding",
        /// The escrow lets go of it: the invoice is closed on chain, or we have set out to close it.
        Released = "released",
        /// It goes back by itself, or the wallet's key can still say where and has not said so.
        Undecided = "undecided",
    }
}

/// Where an invoice stands, as far as it matters for what can be done with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its status.
    pub status: InvoiceStatus,
    /// What is so.
    pub met: Vec<Need>,
}

use Action as A;
use InvoiceStatus as S;
use Need as N;

const OPEN: &[S] = &[S::PendingPayment, S::PartiallyPaid];
const ENDED: &[S] = &[S::Paid, S::Overpaid, S::Expired, S::Cancelled];

/// Everything that can be done: (action, in which statuses, what must be so). What is not here cannot be done.
pub const ACTIONS: &[(A, &[S], &[N])] = &[
    (A::Pay, OPEN, &[N::Covered]),
    (A::Cancel, OPEN, &[N::Gated, N::AtRest]),
    (A::Authorize, OPEN, &[N::InTime, N::Gated, N::Uncovered]),
    (A::Refund, ENDED, &[N::Holding, N::Released, N::Undecided]),
];

/// Why something cannot be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not in this status.
    Status,
    /// This is not so.
    Unmet(Need),
}

impl Standing {
    /// Whether `action` can be done; if not, the first reason.
    pub fn check(&self, action: Action) -> Result<(), Refusal> {
        let row = ACTIONS.iter().find(|(of, statuses, _)| *of == action && statuses.contains(&self.status));
        let (.., needs) = row.ok_or(Refusal::Status)?;
        match needs.iter().find(|need| !self.met.contains(need)) {
            Some(unmet) => Err(Refusal::Unmet(*unmet)),
            None => Ok(()),
        }
    }

    /// Everything that can be done.
    pub fn actions(&self) -> Vec<Action> {
        Action::ALL.iter().copied().filter(|action| self.check(*action).is_ok()).collect()
    }
}
