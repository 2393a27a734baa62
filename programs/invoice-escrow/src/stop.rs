//! Why an instruction ends early: a refusal of ours, or an error of the runtime.

use escrow_interface::Error;
use pinocchio::error::ProgramError;

/// The runtime's error; a refusal of ours is a custom one with its number.
pub struct Stop(pub ProgramError);

/// Nothing, or why not.
pub type Outcome<T = ()> = Result<T, Stop>;

impl From<Error> for Stop {
    #[inline(always)]
    fn from(error: Error) -> Self {
        Self(ProgramError::Custom(error as u32))
    }
}

impl From<ProgramError> for Stop {
    #[inline(always)]
    fn from(error: ProgramError) -> Self {
        Self(error)
    }
}

/// `Err(error)` unless `holds`.
#[inline(always)]
pub fn ensure(holds: bool, error: Error) -> Outcome {
    if holds { Ok(()) } else { Err(error.into()) }
}
