//! Clients of the companies that hold and move dollars for us: one module each.
//!
//! Nothing here decides anything and nothing here remembers: what is sent is a committed row before it is sent, and what was
//! answered becomes one. A client says three things apart that must never be mixed up: it was refused, it was not tried,
//! nobody knows ([`Outcome`]). No secret is ever shown or logged.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod circle;
mod error;

pub use error::{Error, FieldError, Outcome};
