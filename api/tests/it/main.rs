//! The service over real HTTP on a real PostgreSQL. Nothing here has a chain: what one would show is put into the mirror.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bad_input;
mod chain;
mod create;
mod pages;
mod payment;
mod service;
mod tenants;
mod trouble;
