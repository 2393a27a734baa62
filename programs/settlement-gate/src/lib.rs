//! The gate: the settler in the terms, and the mint of our own token (PROTOCOL §5, §6 `mint-gate`;
//! `docs/adr/0012-solana-escrow.md`, `docs/adr/0017-solana-mint-gate.md`). Its bytes are in `escrow_interface::gate` and
//! `escrow_interface::mint`.
//!
//! To settle and to cancel it looks at who signs: a settler's key may settle, a canceller's may cancel, no key both. Then it
//! passes the escrow's own instruction on, with its own signature as the settler. It owns no invoice: the escrow decides what
//! happens. What it mints is paid into an invoice in the same instruction: [`mint`].

#![no_std]
#![warn(clippy::indexing_slicing)]

pub mod account;
pub mod config;
pub mod mint;

use escrow_interface::{
    address::BUMP,
    event,
    gate::{self, BEFORE, Config, GATE_SEED, GateError, SETTLER, of_seed},
    instruction::Tag,
    same,
};
use pinocchio::{
    AccountView, Address, ProgramResult,
    cpi::{Seed, Signer, invoke_signed_with_bounds},
    error::ProgramError,
    instruction::{InstructionAccount, InstructionView},
};
use runtime::sys;

#[cfg(not(feature = "no-entrypoint"))]
mod entrypoint {
    #![allow(unsafe_code, unreachable_pub, reason = "the entry point is given a pointer, and is called by its name")]
    // What comes after these is not looked at.
    pinocchio::program_entrypoint!(super::process, 20);
    pinocchio::no_allocator!();
    pinocchio::nostd_panic_handler!();
}

/// The escrow's accounts, at most: those of settle, and room for what a client adds by custom.
const MOST: usize = 17;

const SETTLE: u8 = Tag::Settle as u8;
const CANCEL: u8 = Tag::Cancel as u8;
const HEARD: u8 = event::TAG[0];

/// What the runtime calls.
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> ProgramResult {
    match data.split_first() {
        Some((&(SETTLE | CANCEL), _)) => pass_on(program, accounts, data),
        Some((&gate::INIT, rest)) => config::init(program, accounts, rest),
        Some((&gate::SET_KEYS, rest)) => config::set_keys(program, accounts, rest),
        Some((&HEARD, _)) => mint::event::heard(program, accounts, data),
        Some((&tag, rest)) => mint::run(program, accounts, tag, rest),
        None => refuse(GateError::InvalidInstruction),
    }
}

/// A refusal of ours.
#[inline(always)]
pub fn refuse<T>(error: GateError) -> Result<T, ProgramError> {
    Err(ProgramError::Custom(error as u32))
}

/// `Err(error)` unless `holds`.
#[inline(always)]
pub fn ensure(holds: bool, error: GateError) -> ProgramResult {
    if holds { Ok(()) } else { refuse(error) }
}

/// Asks the escrow what it was asked, as the settler. Every signature that came with the transaction goes along: whoever pays
/// the record's rent has signed.
#[inline(always)]
fn pass_on(program: &Address, accounts: &[AccountView], data: &[u8]) -> ProgramResult {
    let Some(([config, key, escrow], theirs)) = accounts.split_first_chunk::<BEFORE>() else {
        return refuse(GateError::WrongAccounts);
    };
    account::read(program, config, |config: &mut Config| {
        if !same(escrow.address().as_array(), &config.escrow) {
            return refuse(GateError::WrongEscrow);
        }
        let (keys, error) = match data.first() {
            Some(&SETTLE) => (config.settlers(), GateError::NotSettler),
            _ => (config.cancellers(), GateError::NotCanceller),
        };
        let known = keys.iter().any(|known| same(key.address().as_array(), known));
        if key.is_signer() && known { Ok(()) } else { refuse(error) }
    })?;
    let Some(gate) = theirs.get(SETTLER) else { return refuse(GateError::WrongAccounts) };
    if !same(gate.address().as_array(), &sys::sha256(of_seed(GATE_SEED, program.as_array()))) {
        return refuse(GateError::WrongGate);
    }

    let mut metas: [InstructionAccount<'_>; MOST] =
        core::array::from_fn(|_| InstructionAccount::readonly(escrow.address()));
    let Some(metas) = metas.get_mut(..theirs.len()) else { return refuse(GateError::WrongAccounts) };
    for (index, (meta, account)) in metas.iter_mut().zip(theirs).enumerate() {
        *meta = InstructionAccount::from(account);
        meta.is_signer |= index == SETTLER;
    }
    let asked = InstructionView { program_id: escrow.address(), accounts: metas, data };
    call(&asked, theirs)
}

/// A frame of its own, for the stack.
#[inline(never)]
fn call(asked: &InstructionView<'_, '_, '_, '_>, accounts: &[AccountView]) -> Result<(), ProgramError> {
    let seeds = [Seed::from(GATE_SEED), Seed::from(&[BUMP])];
    invoke_signed_with_bounds::<MOST, _>(asked, accounts, &[Signer::from(&seeds)])
}
