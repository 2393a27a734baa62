//! The nine instructions.

pub mod cancel;
pub mod close_record;
pub mod pay;
pub mod refund;
pub mod settle;
pub mod vault;
