//! Money, states and decisions.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod actions;
mod books;
mod both_rails;
mod fiat;
mod mint;
mod money;
mod project;
mod rails;
mod states;
