//! The record: one account per terms hash, made before closesAt and never again.

pub mod rent;

use crate::{
    ask::{Ask, system_program},
    stop::{Outcome, ensure},
};
use escrow_interface::{
    Error, NONE, Record,
    address::{BUMP, RECORD_SEED, of_terms},
    record::{DISCRIMINATOR, RECORD_BYTES},
    same,
    terms::WAIT_SECONDS,
};
use pinocchio::{AccountView, cpi::Seed};
use runtime::{sys, system};

/// What changes in a record as the invoice is paid.
#[derive(Clone, Copy, Default)]
pub struct State {
    /// What the payee has had, ever.
    pub paid: u64,
    /// When the status became 1 or 2.
    pub since: i64,
    /// `escrow_interface::Status` as a number.
    pub status: u8,
}

/// The record of the terms, if there is one. What the program owns and bears the terms hash is it, because the program makes
/// no other; the address is hashed only where there is none.
#[inline(always)]
pub fn find(ask: &Ask<'_>, account: &AccountView) -> Outcome<Option<State>> {
    if account.owned_by(ask.program) {
        let found = change(account, |record| {
            let ours = record.discriminator == DISCRIMINATOR && record.version == 1;
            ensure(ours && same(&record.terms_hash, &ask.hash), Error::WrongRecord)?;
            Ok(State { paid: record.paid, since: record.since, status: record.status })
        });
        return found.map(Some);
    }
    let address = sys::sha256(of_terms(RECORD_SEED, &ask.hash, ask.program.as_array()));
    ensure(same(account.address().as_array(), &address), Error::WrongRecord)?;
    Ok(None)
}

/// Reads or changes the record that [`find`] has found or [`create`] has made, in its place.
#[inline(always)]
pub fn change<T>(account: &AccountView, with: impl FnOnce(&mut Record) -> Outcome<T>) -> Outcome<T> {
    let mut account = *account;
    let mut data = account.try_borrow_mut()?;
    match cast(&mut data) {
        Some(record) => with(record),
        None => Err(Error::WrongRecord.into()),
    }
}

/// Writes the state, into a new record if there is none.
#[inline(always)]
pub fn write(
    ask: &Ask<'_>,
    account: &AccountView,
    exists: bool,
    rent_payer: &AccountView,
    system: &AccountView,
    state: State,
) -> Outcome {
    if !exists {
        create(ask, account, rent_payer, system)?;
    }
    change(account, |record| {
        record.paid = state.paid;
        record.since = state.since;
        record.status = state.status;
        Ok(())
    })
}

/// Makes the record; who calls has looked that closesAt has not come. Lamports that lie there already stay and block nothing.
#[inline(never)]
pub fn create(ask: &Ask<'_>, account: &AccountView, rent_payer: &AccountView, system: &AccountView) -> Outcome {
    ensure(rent_payer.is_signer(), Error::NotRentPayer)?;
    system_program(system)?;
    let wanted = sys::minimum_balance(RECORD_BYTES as u64)?;
    let rent_lamports = wanted.saturating_sub(account.lamports());
    let seeds = [Seed::from(RECORD_SEED), Seed::from(&ask.hash), Seed::from(&[BUMP])];
    let new = system::New { payer: rent_payer, account, lamports: rent_lamports, owner: ask.program };
    system::create(&new, RECORD_BYTES as u64, &seeds)?;

    let made = Record {
        discriminator: DISCRIMINATOR,
        version: 1,
        status: 0,
        reserved: [0; 6],
        terms_hash: ask.hash,
        paid: 0,
        since: 0,
        closable_at: { ask.terms.closes_at }.saturating_add(WAIT_SECONDS),
        rent_payer: rent_payer.address().to_bytes(),
        rent_lamports,
        vault_payer: NONE,
        vault_lamports: 0,
    };
    change(account, |record| {
        *record = made;
        Ok(())
    })
}

/// The account's data as what it is; `None` where it has another length.
#[inline(always)]
#[allow(unsafe_code, reason = "the one cast; what it needs is checked here or when it is compiled")]
fn cast(data: &mut [u8]) -> Option<&mut Record> {
    let place = data.as_mut_ptr().cast::<Record>();
    if data.len() != RECORD_BYTES || !place.is_aligned() {
        return None;
    }
    // SAFETY: `Record` is `repr(C)`, has no padding (escrow_interface asserts its size and the place of each field), any bytes
    // are one, and length and alignment are right.
    Some(unsafe { &mut *place })
}
