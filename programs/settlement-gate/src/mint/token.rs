//! SPL Token's mints and accounts: what their bytes say, and calls of it. Ours is a plain mint: no extension, no freezing.

use super::gate_seeds;
use crate::{ensure, refuse};
use escrow_interface::{
    Key,
    address::{TOKEN_PROGRAM, associated_token},
    gate::GateError,
    mint::DECIMALS,
    same,
};
use pinocchio::{AccountView, Address, ProgramResult, cpi::Seed, error::ProgramError};
use runtime::{
    cpi::{Given, call},
    sys,
    system::put,
};

const MINT_BYTES: usize = 82;
const ACCOUNT_BYTES: usize = 165;
const PROGRAM: Address = Address::new_from_array(TOKEN_PROGRAM);

/// What there is of the token, ever minted and not burned, base units.
#[inline(always)]
pub fn supply(mint: &AccountView) -> Result<u64, ProgramError> {
    ensure(mint.owned_by(&PROGRAM), GateError::WrongMint)?;
    let data = mint.try_borrow()?;
    match data.get(36..).and_then(|rest| rest.first_chunk()) {
        Some(supply) if data.len() == MINT_BYTES => Ok(u64::from_le_bytes(*supply)),
        _ => refuse(GateError::WrongMint),
    }
}

/// What lies in a token account, base units.
#[inline(always)]
pub fn balance(account: &AccountView) -> Result<u64, ProgramError> {
    ensure(account.owned_by(&PROGRAM), GateError::WrongTokenAccount)?;
    let data = account.try_borrow()?;
    match data.get(64..).and_then(|rest| rest.first_chunk()) {
        Some(amount) if data.len() == ACCOUNT_BYTES => Ok(u64::from_le_bytes(*amount)),
        _ => refuse(GateError::WrongTokenAccount),
    }
}

/// That only `authority` can ever make more of it, nobody can freeze an account of it, and there is none of it yet.
#[inline(never)]
pub fn is_ours_alone(mint: &AccountView, authority: &Key) -> ProgramResult {
    ensure(mint.owned_by(&PROGRAM), GateError::WrongMint)?;
    let data = mint.try_borrow()?;
    let Ok(data) = <&[u8; MINT_BYTES]>::try_from(&*data) else { return refuse(GateError::WrongMint) };
    let mut wanted = [0; MINT_BYTES];
    put(&mut wanted, 0, &[1]);
    put(&mut wanted, 4, authority);
    put(&mut wanted, 44, &[DECIMALS, 1]);
    // Of what follows only the four bytes that say that nobody freezes count: without them the key is no key.
    ensure(data.get(..50) == wanted.get(..50), GateError::WrongMint)
}

/// That this is `owner`'s associated token account for the mint; why a bump may be claimed says [`associated_token`].
#[inline(never)]
pub fn is_associated(account: &AccountView, owner: &Key, mint: &Key, bump: u8) -> ProgramResult {
    balance(account)?;
    let address = sys::sha256(associated_token(owner, &TOKEN_PROGRAM, mint, &[bump]));
    ensure(same(account.address().as_array(), &address), GateError::WrongTokenAccount)
}

/// Makes tokens; the gate signs.
#[inline(never)]
pub fn mint_to(mint: &AccountView, account: &AccountView, gate: &AccountView, amount: u64) -> ProgramResult {
    let mut data = [7; 9];
    put(&mut data, 1, &amount.to_le_bytes());
    let given = [Given::write(mint), Given::write(account), Given::read(gate).signing()];
    call(&PROGRAM, given, &data, &gate_seeds())
}

/// Burns tokens that `owner` has; it signs with `seeds`.
#[inline(always)]
pub fn burn(
    mint: &AccountView,
    account: &AccountView,
    owner: &AccountView,
    seeds: &[Seed<'_>],
    amount: u64,
) -> ProgramResult {
    let mut data = [8; 9];
    put(&mut data, 1, &amount.to_le_bytes());
    let given = [Given::write(account), Given::write(mint), Given::read(owner).signing()];
    call(&PROGRAM, given, &data, seeds)
}
