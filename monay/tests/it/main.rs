//! Everything together, on real Postgres, Anvil and Surfpool: the mirror, the keeper, the services as processes, the demo.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod api;
mod cli;
mod crash;
mod demo;
mod doctor;
mod faults;
mod fiat;
mod holes;
mod indexer;
mod keeper;
mod keys;
mod mint;
mod mirror;
mod net;
mod rebuild;
mod recover;
mod schema;
mod secrets;
mod solana;
mod stop;
mod store;
mod tempo;
