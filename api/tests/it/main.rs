//! The service over real HTTP on a real PostgreSQL. Nothing here has a chain: what one would show is put into the mirror.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod actions;
mod authorization;
mod bad_input;
mod cancel;
mod chain;
mod create;
mod direct;
mod document;
mod history;
mod limits;
mod list;
mod metrics;
mod once;
mod pages;
mod paper;
mod payment;
mod rails;
mod refund;
mod scopes;
mod service;
mod tenants;
mod trouble;
