//! What an API key may do.

use crate::words;

words! {
    /// What an API key may do. A key that is only needed for one thing should be able to do no other.
    Scope {
        /// See invoices and wallets.
        InvoicesRead = "invoices:read",
        /// Create, cancel and pay invoices.
        InvoicesWrite = "invoices:write",
        /// Send money back, and submit payers' authorizations.
        RefundsWrite = "refunds:write",
        /// See what has happened to all of the tenant's invoices.
        EventsRead = "events:read",
    }
}
