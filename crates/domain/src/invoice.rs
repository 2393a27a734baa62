//! The life of an invoice, as a table.

use crate::words;

words! {
    /// Where an invoice stands.
    InvoiceStatus {
        /// Not issued yet.
        Draft = "draft",
        /// Issued; the money is not all there, or is there and about to be settled.
        PendingPayment = "pending_payment",
        /// Some of the money has come.
        PartiallyPaid = "partially_paid",
        /// The payee has the amount.
        Paid = "paid",
        /// The payee has the amount, and more than that was sent.
        Overpaid = "overpaid",
        /// Its time ran out.
        Expired = "expired",
        /// Called off by its issuer.
        Cancelled = "cancelled",
    }
}

words! {
    /// What the facts say has become of an invoice.
    InvoiceEvent {
        /// It was issued.
        Issued = "issued",
        /// Nothing has come.
        Waits = "waits",
        /// Less than the amount has come.
        FundedInPart = "funded_in_part",
        /// At least the amount lies there, on time.
        Funded = "funded",
        /// The payee has the amount.
        Settled = "settled",
        /// The payee has the amount, and more than that was sent.
        Oversettled = "oversettled",
        /// Its displayed expiry has passed.
        RanOut = "ran_out",
        /// Its issuer has called it off.
        CalledOff = "called_off",
    }
}

words! {
    /// When a row of a state table may be taken.
    Guard {
        /// At any time.
        Always = "always",
        /// Only because a block that had said otherwise is no longer part of the chain.
        Reorg = "reorg",
    }
}

words! {
    /// What is out of the ordinary, beside the status.
    Exception {
        /// Money came after the displayed expiry.
        PaidLate = "paid_late",
        /// Money lies at the address that has to go back.
        RefundDue = "refund_due",
        /// A payment that was seen is no longer part of the chain.
        PaymentReversed = "payment_reversed",
        /// A token other than the invoice's was sent.
        ForeignToken = "foreign_token",
        /// Money came on a chain that the invoice is not paid on; it goes back.
        OtherRail = "other_rail",
    }
}

words! {
    /// Who starts the payment once the money is there.
    Settlement {
        /// We do.
        Automatic = "automatic",
        /// The customer says when (`POST /api/invoices/pay`).
        Manual = "manual",
    }
}

use Guard::{Always, Reorg};
use InvoiceEvent as E;
use InvoiceStatus as S;

/// Every change of status there is: (from, event, guard, to). What is not here cannot happen.
pub const TRANSITIONS: &[(S, E, Guard, S)] = &[
    (S::Draft, E::Issued, Always, S::PendingPayment),
    (S::PendingPayment, E::FundedInPart, Always, S::PartiallyPaid),
    (S::PendingPayment, E::Settled, Always, S::Paid),
    (S::PendingPayment, E::Oversettled, Always, S::Overpaid),
    (S::PendingPayment, E::RanOut, Always, S::Expired),
    (S::PendingPayment, E::CalledOff, Always, S::Cancelled),
    (S::PartiallyPaid, E::Funded, Always, S::PendingPayment),
    (S::PartiallyPaid, E::Settled, Always, S::Paid),
    (S::PartiallyPaid, E::Oversettled, Always, S::Overpaid),
    (S::PartiallyPaid, E::RanOut, Always, S::Expired),
    (S::PartiallyPaid, E::CalledOff, Always, S::Cancelled),
    (S::Paid, E::Oversettled, Always, S::Overpaid),
    // Until closesAt anyone the terms allow may still settle on chain, whatever our clock says.
    (S::Expired, E::Settled, Always, S::Paid),
    (S::Expired, E::Oversettled, Always, S::Overpaid),
    (S::Expired, E::CalledOff, Always, S::Cancelled),
    // Called off with us is not yet cancelled on chain: there a settler, or whoever has stolen its key, can be faster.
    (S::Cancelled, E::Settled, Always, S::Paid),
    (S::Cancelled, E::Oversettled, Always, S::Overpaid),
    // What follows exists only because a chain may take back what it has shown.
    (S::PartiallyPaid, E::Waits, Reorg, S::PendingPayment),
    (S::Paid, E::Waits, Reorg, S::PendingPayment),
    (S::Paid, E::Funded, Reorg, S::PendingPayment),
    (S::Paid, E::FundedInPart, Reorg, S::PartiallyPaid),
    (S::Paid, E::RanOut, Reorg, S::Expired),
    (S::Paid, E::CalledOff, Reorg, S::Cancelled),
    (S::Overpaid, E::Waits, Reorg, S::PendingPayment),
    (S::Overpaid, E::Funded, Reorg, S::PendingPayment),
    (S::Overpaid, E::FundedInPart, Reorg, S::PartiallyPaid),
    (S::Overpaid, E::Settled, Reorg, S::Paid),
    (S::Overpaid, E::RanOut, Reorg, S::Expired),
    (S::Overpaid, E::CalledOff, Reorg, S::Cancelled),
    (S::Expired, E::Waits, Reorg, S::PendingPayment),
    (S::Expired, E::Funded, Reorg, S::PendingPayment),
    (S::Expired, E::FundedInPart, Reorg, S::PartiallyPaid),
    (S::Cancelled, E::Waits, Reorg, S::PendingPayment),
    (S::Cancelled, E::Funded, Reorg, S::PendingPayment),
    (S::Cancelled, E::FundedInPart, Reorg, S::PartiallyPaid),
    (S::Cancelled, E::RanOut, Reorg, S::Expired),
];

impl InvoiceStatus {
    /// The status after `event`, and what kind of change it was; `None` where nothing changes.
    pub fn on(self, event: InvoiceEvent) -> Option<(Self, Guard)> {
        TRANSITIONS.iter().find(|(from, on, ..)| (*from, *on) == (self, event)).map(|&(.., guard, to)| (to, guard))
    }
}
