//! What our programs ask of the runtime ([`sys`], [`cpi`]) and of the system program ([`system`]).
//!
//! All their unsafe code is here, but for one cast in each.

#![no_std]
#![warn(clippy::indexing_slicing)]

pub mod cpi;
pub mod sys;
pub mod system;
