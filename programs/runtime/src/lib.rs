//! What our programs ask of the runtime ([`sys`]) and of the system program ([`system`]).

#![no_std]
#![warn(clippy::indexing_slicing)]

pub mod sys;
pub mod system;
