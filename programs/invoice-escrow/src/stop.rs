//! Why an instruction ends early: a refusal of ours, or an error of the runtime.

use core::num::NonZeroU64;
use escrow_interface::Error;
use pinocchio::error::ProgramError;

/// What the runtime is told. A refusal of ours is a custom error with its number, which is a number below 2^32. One word, so
/// that it is returned in a register.
pub struct Stop(NonZeroU64);

/// Nothing, or why not.
pub type Outcome<T = ()> = Result<T, Stop>;

impl From<Error> for Stop {
    #[inline(always)]
    fn from(error: Error) -> Self {
        Self(NonZeroU64::new(error as u64).unwrap_or(NonZeroU64::MAX))
    }
}

impl From<ProgramError> for Stop {
    #[inline(always)]
    fn from(error: ProgramError) -> Self {
        Self(NonZeroU64::new(error.into()).unwrap_or(NonZeroU64::MAX))
    }
}

/// What the entry point returns: zero, or why not.
#[inline(always)]
pub fn code(outcome: Outcome) -> u64 {
    match outcome {
        Ok(()) => 0,
        Err(Stop(code)) => code.get(),
    }
}

/// `Err(error)` unless `holds`.
#[inline(always)]
pub fn ensure(holds: bool, error: Error) -> Outcome {
    if holds { Ok(()) } else { Err(error.into()) }
}
