//! Money, states and decisions.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod actions;
mod books;
mod both_rails;
mod mint;
mod fiat;
mod money;
mod project;
mod rails;
mod states;
