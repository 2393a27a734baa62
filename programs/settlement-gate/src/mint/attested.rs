//! Whether attestors signed. The Ed25519 program has checked the signatures of the instruction before ours, or the transaction
//! would not have come this far; whose they are and over what is read here.

use crate::{ensure, refuse};
use escrow_interface::{
    NONE,
    gate::GateError,
    mint::{
        ED25519_PROGRAM, MESSAGE_BYTES, MOST_ATTESTORS, OFFSETS_BYTES, SIGNED_BYTES, Settings, ed25519_bytes,
        ed25519_offsets,
    },
    same,
};
use pinocchio::{
    AccountView, ProgramResult,
    sysvars::instructions::{INSTRUCTIONS_ID, Instructions},
};

/// That enough attestors signed `message`: their keys strictly ascend, and all are attestors'.
#[inline(never)]
pub fn attested(settings: &Settings, sysvar: &AccountView, message: &[u8; MESSAGE_BYTES]) -> ProgramResult {
    ensure(sysvar.address() == &INSTRUCTIONS_ID, GateError::WrongSysvar)?;
    let instructions = Instructions::try_from(sysvar)?;
    // The one before, because what comes later has not been checked yet.
    let Ok(before) = instructions.get_instruction_relative(-1) else { return refuse(GateError::NotAttested) };
    ensure(same(before.get_program_id().as_array(), &ED25519_PROGRAM), GateError::NotAttested)?;
    let data = before.get_instruction_data();
    let Some(([count, 0], rest)) = data.split_first_chunk::<2>() else { return refuse(GateError::NotAttested) };
    let count = usize::from(*count);
    ensure(count <= MOST_ATTESTORS && data.len() == ed25519_bytes(count), GateError::NotAttested)?;
    let Some((offsets, rest)) = rest.split_at_checked(count * OFFSETS_BYTES) else {
        return refuse(GateError::NotAttested);
    };
    let (offsets, _) = offsets.as_chunks::<OFFSETS_BYTES>();
    // What an offset names elsewhere was checked, but it is not what is read here.
    for (index, found) in offsets.iter().enumerate() {
        ensure(*found == ed25519_offsets(count, index), GateError::NotAttested)?;
    }
    let Some((signed, said)) = rest.split_at_checked(count * SIGNED_BYTES) else {
        return refuse(GateError::NotAttested);
    };
    ensure(said == message, GateError::WrongMessage)?;
    ensure(count >= usize::from(settings.threshold).max(1), GateError::TooFewSignatures)?;
    let (signed, _) = signed.as_chunks::<SIGNED_BYTES>();
    let mut last = &NONE;
    for one in signed {
        let Some(key) = one.last_chunk::<32>() else { return refuse(GateError::NotAttested) };
        ensure(*key > *last, GateError::SignersNotAscending)?;
        ensure(settings.attestors().iter().any(|known| same(known, key)), GateError::NotAttestor)?;
        last = key;
    }
    Ok(())
}
