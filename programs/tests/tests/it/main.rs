//! The compiled programs, in LiteSVM.

mod accounts;
mod attacks;
mod cost;
mod gate;
mod idl;
mod invariants;
mod local;
mod mint;
mod mint_accounts;
mod model;
mod verbs;
