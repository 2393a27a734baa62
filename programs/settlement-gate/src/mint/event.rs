//! Tells what happened: a call of the program to itself. The gate's own address signs it, so that a transaction with two
//! signatures of attestors has room for its accounts.

use super::gate_seeds;
use crate::ensure;
use escrow_interface::{
    event::TAG,
    gate::{GATE_SEED, GateError, of_seed},
    mint::{MOST_TOLD, Told},
    same,
};
use pinocchio::{AccountView, Address, ProgramResult};
use runtime::{
    cpi::{Given, call},
    sys,
};

/// Tells it. The program is called by its own address, never by that of an account: a stranger's program would be told instead.
#[inline(never)]
pub fn tell(program: &Address, gate: &AccountView, told: &Told) -> ProgramResult {
    let (bytes, length) = told.encode();
    let data = bytes.get(..length).unwrap_or_default();
    call(program, [Given::read(gate).signing()], data, &gate_seeds())
}

/// The call that arrives: it does nothing, and is refused unless it came from ourselves.
#[inline(always)]
pub fn heard(program: &Address, accounts: &[AccountView], data: &[u8]) -> ProgramResult {
    ensure(data.len() <= MOST_TOLD && data.starts_with(&TAG), GateError::InvalidInstruction)?;
    let Some(gate) = accounts.first() else { return crate::refuse(GateError::WrongAccounts) };
    let address = sys::sha256(of_seed(GATE_SEED, program.as_array()));
    ensure(gate.is_signer() && same(gate.address().as_array(), &address), GateError::WrongEventAuthority)
}
