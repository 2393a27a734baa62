//! The service over real HTTP on a real PostgreSQL. Nothing here has a chain: what one would show is put into the mirror.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod authorization;
mod bad_input;
mod chain;
mod create;
mod direct;
mod pages;
mod payment;
mod refund;
mod service;
mod tenants;
mod trouble;
