//! The invoice escrow as a pure state machine: PROTOCOL §3 and §4 for EVM chains, and nothing else.
//!
//! It is meant to be read next to the protocol. There is no I/O, no clock of its own and no signature: an order comes
//! with the address that was recovered from its signature. Tokens are well behaved; a blacklist makes a payout fail.
//! Hostile tokens, gas and re-entrancy are the contract's own tests.
//!
//! | module | concern |
//! | --- | --- |
//! | [`world`](World) | a chain: its time, balances, one [`Slot`] per terms hash, used orders, its log |
//! | `verbs` | settle, settleBatch, pay, cancel, refund, refundByOrder: who, when, effect |
//! | `doors` | when money may go back, as a table |
//! | [`Error`] | every refusal, with the contract's name |
//! | [`fold`] | from events alone back to the state |
//! | [`trace`] | commands as data, so that other implementations can be driven with the same ones |
//! | `testing` | (feature `testing`) random invoices and traces |

mod doors;
mod error;
mod event;
mod slot;
#[cfg(feature = "testing")]
pub mod testing;
mod tokens;
pub mod trace;
mod verbs;
mod world;

pub use doors::{Door, WAIT_SECONDS};
pub use error::Error;
pub use event::{Kind, Logged, fold};
pub use slot::{Slot, Status};
pub use terms::{Deployment, Here, InvoiceTerms, abi::IInvoiceEscrow::Recorded, abi::RefundOrder};
pub use tokens::NATIVE;
pub use trace::{Outcome, Step};
pub use verbs::SettleFailed;
pub use world::World;
