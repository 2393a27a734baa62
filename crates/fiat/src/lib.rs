//! Clients of the companies that hold and move dollars for us: one module each.
//!
//! Nothing here decides anything and nothing here remembers: what is sent is a committed row before it is sent, and what was
//! answered becomes one. A client says three things apart that must never be mixed up: it was refused, it was not tried,
//! nobody knows ([`Outcome`]). No secret is ever shown or logged.
//!
//! Card numbers never get here. There is no type for one, and text that looks like one is refused ([`card_number`]).

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod bank;
pub mod card_number;
pub mod circle;
mod csv;
mod error;
mod gateway;
pub mod money;
pub mod payout;
mod secret;
pub mod sources;
pub mod statement;
pub mod text;
pub mod tilli;

pub use error::{Error, FieldError, Outcome};
pub use gateway::FiatGateway;
pub use payout::FiatPayout;
pub use secret::Secret;
