//! The compiled programs, in LiteSVM.

mod accounts;
mod attacks;
mod cost;
mod gate;
mod idl;
mod invariants;
mod local;
mod model;
mod verbs;
