//! The system program: makes accounts and moves lamports of wallets.

use pinocchio::{
    AccountView, Address, ProgramResult,
    cpi::{Seed, Signer, invoke, invoke_signed},
    instruction::{InstructionAccount, InstructionView},
};

/// Its address.
pub const SYSTEM: Address = Address::new_from_array([0; 32]);

/// An account to be made.
pub struct New<'a> {
    /// Pays.
    pub payer: &'a AccountView,
    /// Where.
    pub account: &'a AccountView,
    /// How much is missing there.
    pub lamports: u64,
    /// Whose it will be.
    pub owner: &'a Address,
}

/// Makes it: at once where nothing lies, else by transfer, allocate and assign.
#[inline(always)]
pub fn create(new: &New<'_>, bytes: u64, seeds: &[Seed<'_>]) -> ProgramResult {
    let (payer, account) = (new.payer, new.account);
    let signer = [Signer::from(seeds)];
    if account.lamports() == 0 {
        let mut data = [0; 52];
        put(&mut data, 4, &new.lamports.to_le_bytes());
        put(&mut data, 12, &bytes.to_le_bytes());
        put(&mut data, 20, new.owner.as_array());
        let accounts = [
            InstructionAccount::writable_signer(payer.address()),
            InstructionAccount::writable_signer(account.address()),
        ];
        let create = InstructionView { program_id: &SYSTEM, accounts: &accounts, data: &data };
        return invoke_signed(&create, &[payer, account], &signer);
    }
    if new.lamports > 0 {
        transfer(payer, account, new.lamports)?;
    }
    let accounts = [InstructionAccount::writable_signer(account.address())];
    let mut data = [0; 12];
    put(&mut data, 0, &8u32.to_le_bytes());
    put(&mut data, 4, &bytes.to_le_bytes());
    let allocate = InstructionView { program_id: &SYSTEM, accounts: &accounts, data: &data };
    invoke_signed(&allocate, &[account], &signer)?;
    let mut data = [0; 36];
    put(&mut data, 0, &1u32.to_le_bytes());
    put(&mut data, 4, new.owner.as_array());
    let assign = InstructionView { program_id: &SYSTEM, accounts: &accounts, data: &data };
    invoke_signed(&assign, &[account], &signer)
}

/// A wallet that signed the transaction sends lamports.
#[inline(always)]
fn transfer(from: &AccountView, to: &AccountView, lamports: u64) -> ProgramResult {
    let data = transfer_data(lamports);
    let accounts = [InstructionAccount::writable_signer(from.address()), InstructionAccount::writable(to.address())];
    invoke(&InstructionView { program_id: &SYSTEM, accounts: &accounts, data: &data }, &[from, to])
}

/// An address of ours sends lamports.
#[inline(always)]
pub fn transfer_signed(from: &AccountView, to: &AccountView, lamports: u64, seeds: &[Seed<'_>]) -> ProgramResult {
    let data = transfer_data(lamports);
    let accounts = [InstructionAccount::writable_signer(from.address()), InstructionAccount::writable(to.address())];
    let transfer = InstructionView { program_id: &SYSTEM, accounts: &accounts, data: &data };
    invoke_signed(&transfer, &[from, to], &[Signer::from(seeds)])
}

#[inline(always)]
fn transfer_data(lamports: u64) -> [u8; 12] {
    let mut data = [0; 12];
    put(&mut data, 0, &2u32.to_le_bytes());
    put(&mut data, 4, &lamports.to_le_bytes());
    data
}

/// Copies `part` to its place; places are constants, and the compiler sees that they fit.
#[inline(always)]
pub fn put<const N: usize, const M: usize>(data: &mut [u8; N], at: usize, part: &[u8; M]) {
    if let Some(place) = data.get_mut(at..at + M) {
        place.copy_from_slice(part);
    }
}
