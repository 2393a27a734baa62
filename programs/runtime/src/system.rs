//! The system program: makes accounts and moves lamports of wallets.

use crate::cpi::{Given, call};
use pinocchio::{AccountView, Address, ProgramResult, cpi::Seed};

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
    let payer = Given::write(new.payer).signing();
    let account = Given::write(new.account).signing();
    if new.account.lamports() == 0 {
        let mut data = [0; 52];
        put(&mut data, 4, &new.lamports.to_le_bytes());
        put(&mut data, 12, &bytes.to_le_bytes());
        put(&mut data, 20, new.owner.as_array());
        return call(&SYSTEM, [payer, account], &data, seeds);
    }
    if new.lamports > 0 {
        transfer(new.payer, new.account, new.lamports, &[])?;
    }
    let mut data = [0; 12];
    put(&mut data, 0, &8u32.to_le_bytes());
    put(&mut data, 4, &bytes.to_le_bytes());
    call(&SYSTEM, [account], &data, seeds)?;
    let mut data = [0; 36];
    put(&mut data, 0, &1u32.to_le_bytes());
    put(&mut data, 4, new.owner.as_array());
    call(&SYSTEM, [account], &data, seeds)
}

/// A wallet that signed the transaction sends lamports; with seeds: an address of ours.
#[inline(always)]
pub fn transfer(from: &AccountView, to: &AccountView, lamports: u64, seeds: &[Seed<'_>]) -> ProgramResult {
    let mut data = [0; 12];
    put(&mut data, 0, &2u32.to_le_bytes());
    put(&mut data, 4, &lamports.to_le_bytes());
    call(&SYSTEM, [Given::write(from).signing(), Given::write(to)], &data, seeds)
}

/// Copies `part` to its place; places are constants, and the compiler sees that they fit.
#[inline(always)]
pub fn put<const N: usize, const M: usize>(data: &mut [u8; N], at: usize, part: &[u8; M]) {
    if let Some(place) = data.get_mut(at..at + M) {
        place.copy_from_slice(part);
    }
}
