//! The escrow's rules one by one, and its invariants over random traces.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod anvil;
mod invariants;
mod rules;
mod vectors;
mod witness;
