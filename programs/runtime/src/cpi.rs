//! Calls of other programs, with the accounts said once: pinocchio's own call compares them with a second list.
#![allow(unsafe_code, reason = "the runtime is handed pointers to accounts")]

use core::mem::MaybeUninit;
use pinocchio::{
    AccountView, Address, ProgramResult,
    cpi::{CpiAccount, Seed, Signer, invoke_signed_unchecked},
    instruction::{InstructionAccount, InstructionView},
};

/// An account as the called program gets it.
#[derive(Clone, Copy)]
pub struct Given<'a> {
    account: &'a AccountView,
    writable: bool,
    signer: bool,
}

impl<'a> Given<'a> {
    /// To read.
    #[inline(always)]
    pub const fn read(account: &'a AccountView) -> Self {
        Self { account, writable: false, signer: false }
    }

    /// To change.
    #[inline(always)]
    pub const fn write(account: &'a AccountView) -> Self {
        Self { account, writable: true, signer: false }
    }

    /// With a signature: one that came with the transaction, or that of the seeds.
    #[inline(always)]
    pub const fn signing(self) -> Self {
        Self { signer: true, ..self }
    }
}

/// Calls `program`; an address of ours among the accounts signs with `seeds`, if there are any. None of the accounts may be
/// borrowed.
#[inline(always)]
pub fn call<const N: usize>(
    program: &Address,
    given: [Given<'_>; N],
    data: &[u8],
    seeds: &[Seed<'_>],
) -> ProgramResult {
    let metas = given.map(|given| InstructionAccount::new(given.account.address(), given.writable, given.signer));
    let mut accounts = [const { MaybeUninit::<CpiAccount<'_>>::uninit() }; N];
    for (given, place) in given.iter().zip(&mut accounts) {
        if given.writable {
            given.account.check_borrow_mut()?;
        }
        CpiAccount::init_from_account_view(given.account, place);
    }
    let instruction = InstructionView { program_id: program, accounts: &metas, data };
    let signer = [Signer::from(seeds)];
    let signers: &[Signer<'_, '_>] = if seeds.is_empty() { &[] } else { &signer };
    // SAFETY: every account has been written, from the same list as the metas, and none that will change is borrowed.
    unsafe {
        let accounts = core::slice::from_raw_parts(accounts.as_ptr().cast(), N);
        invoke_signed_unchecked(&instruction, accounts, signers);
    }
    Ok(())
}
