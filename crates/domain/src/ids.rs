//! Identifiers people see. Prefixed, so that one kind is never taken for another.

use uuid::Uuid;

/// A new invoice id: `inv_` and a version 7 UUID, so that ids sort by time.
pub fn new_invoice_id() -> String {
    format!("inv_{}", Uuid::now_v7().simple())
}

/// A new wallet id: `wallet_` and a version 7 UUID.
pub fn new_wallet_id() -> String {
    format!("wallet_{}", Uuid::now_v7().simple())
}

/// A new pay link token: 122 random bits. Whoever has the link may see the invoice, so it must not be guessable.
pub fn new_pay_token() -> String {
    Uuid::new_v4().simple().to_string()
}
