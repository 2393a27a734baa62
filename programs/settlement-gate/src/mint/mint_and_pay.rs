//! Mints what an invoice is due, and pays it.

use super::{attested::attested, event, gate_seeds, token};
use crate::{account, ensure, refuse};
use escrow_interface::{
    CHAIN, Key, NONE, Record, Status, Terms,
    address::TOKEN_PROGRAM,
    gate::GateError,
    instruction::Tag,
    mint::{
        CLOSING_SECONDS, DAY_SECONDS, DEPOSIT_BYTES, DEPOSIT_MARKER_DISCRIMINATOR, DEPOSIT_SEED, Deposit,
        DepositMarker, MAX_RESERVE_AGE_SECONDS, MAX_VALIDITY_SECONDS, MintConfig, Told, deposit_message,
        mint_and_pay as at,
    },
    same,
    terms::{HASH_PREFIX, TERMS_BYTES},
};
use pinocchio::{AccountView, Address, ProgramResult, cpi::Seed, error::ProgramError};
use runtime::{
    cpi::{Given, call},
    sys,
    system::{self, SYSTEM},
};

const DATA_BYTES: usize = TERMS_BYTES + DEPOSIT_BYTES + 1;

/// What is to be minted, and for what.
struct Asked<'a> {
    terms: &'a Terms,
    hash: &'a Key,
    deposit: &'a Deposit,
    /// What the payee has had before, base units.
    paid: u64,
    now: i64,
}

/// "Mints `min(amount, due)` to itself and pays the invoice in the same call", so that no minted money rests anywhere: what does
/// not reach the payee was never made.
#[inline(never)]
pub fn mint_and_pay(program: &Address, accounts: &[AccountView; at::COUNT], data: &[u8; DATA_BYTES]) -> ProgramResult {
    let [rent_payer, config, marker, gate, account, _, record, _, mint, token_program, _, escrow, system, sysvar, _] =
        accounts;
    let Some((terms_bytes, rest)) = data.split_first_chunk::<TERMS_BYTES>() else {
        return refuse(GateError::InvalidInstruction);
    };
    let Some((deposit_bytes, _)) = rest.split_first_chunk::<DEPOSIT_BYTES>() else {
        return refuse(GateError::InvalidInstruction);
    };
    let (terms, deposit) = (Terms::decode(terms_bytes), Deposit::decode(deposit_bytes));
    let hash = sys::sha256([HASH_PREFIX, terms_bytes]);
    let now = sys::now()?;

    ensure(same(token_program.address().as_array(), &TOKEN_PROGRAM), GateError::WrongProgram)?;
    ensure(system.address() == &SYSTEM, GateError::WrongProgram)?;
    ensure(rent_payer.is_signer(), GateError::WrongRentPayer)?;
    let paid = paid_before(escrow, record, &hash)?;
    let asked = Asked { terms: &terms, hash: &hash, deposit: &deposit, paid, now };
    let amount = account::read(program, config, |config: &mut MintConfig| {
        ensure(same(escrow.address().as_array(), &config.escrow), GateError::WrongEscrow)?;
        ensure(same(gate.address().as_array(), &config.gate), GateError::WrongGate)?;
        ensure(same(account.address().as_array(), &config.account), GateError::WrongTokenAccount)?;
        ensure(same(mint.address().as_array(), &config.mint), GateError::WrongMint)?;
        let amount = may_be_minted(&asked, config)?;
        let chain = CHAIN.to_le_bytes();
        let said = deposit_message(program.as_array(), &chain, &hash, &config.mint, deposit_bytes);
        attested(&config.settings, sysvar, &sys::sha256(said))?;
        reserve_allows(config, token::supply(mint)?, amount, now)?;
        Ok(amount)
    })?;
    mark(program, rent_payer, marker, &asked, amount)?;

    let before = token::balance(account)?;
    token::mint_to(mint, account, gate, amount)?;
    pay(accounts, data, amount)?;

    let delivered = paid.checked_add(amount) == Some(paid_after(escrow, record, &hash)?);
    ensure(delivered && token::balance(account)? == before, GateError::NotDelivered)?;
    let told = Told::Minted { terms_hash: hash, deposit_id: deposit.id, token: terms.token, amount };
    event::tell(program, gate, &told)
}

/// The terms and the deposit, against the rules and the time; how much is due, which is what is minted.
#[inline(never)]
fn may_be_minted(asked: &Asked<'_>, config: &MintConfig) -> Result<u64, ProgramError> {
    let Asked { terms, deposit, now, .. } = *asked;
    ensure(config.settings.paused == 0, GateError::Paused)?;
    ensure(terms.chain == CHAIN, GateError::WrongChain)?;
    ensure(same(&terms.token, &config.mint), GateError::WrongToken)?;
    ensure(!terms.partials(), GateError::PartialsRefused)?;
    ensure(same(&terms.settler, &NONE) || same(&terms.settler, &config.gate), GateError::WrongSettler)?;
    // To the gate nothing is minted: it would burn it again, and the bank would pay out what a card paid in.
    let gates = [&config.gate, &config.redemption];
    ensure(!gates.iter().any(|gate| same(&terms.payee, gate)), GateError::WrongPayee)?;
    ensure(now.saturating_add(CLOSING_SECONDS) < terms.closes_at, GateError::ClosesTooSoon)?;
    ensure(now <= deposit.valid_until, GateError::AttestationExpired)?;
    ensure(deposit.valid_until <= now.saturating_add(MAX_VALIDITY_SECONDS), GateError::AttestationTooLong)?;
    let Some(due) = { terms.amount }.checked_sub(asked.paid) else { return refuse(GateError::Arithmetic) };
    ensure(deposit.amount >= due, GateError::DepositTooSmall)?;
    Ok(due)
}

/// "Mint requires supply + amount ≤ allocation and a daily cap."
#[inline(never)]
fn reserve_allows(config: &mut MintConfig, supply: u64, amount: u64, now: i64) -> ProgramResult {
    ensure(config.reserve.as_of.saturating_add(MAX_RESERVE_AGE_SECONDS) >= now, GateError::ReserveStale)?;
    let Some(after) = supply.checked_add(amount) else { return refuse(GateError::Arithmetic) };
    ensure(after <= config.reserve.allocation, GateError::AboveReserve)?;
    let day = now.unsigned_abs() / DAY_SECONDS.unsigned_abs();
    if day > config.day {
        (config.day, config.minted) = (day, 0);
    }
    let Some(minted) = config.minted.checked_add(amount) else { return refuse(GateError::Arithmetic) };
    ensure(minted <= config.settings.daily_cap, GateError::AboveCap)?;
    config.minted = minted;
    Ok(())
}

/// Makes the deposit's marker. It is never closed: a deposit mints once.
#[inline(always)]
fn mark(
    program: &Address,
    rent_payer: &AccountView,
    marker: &AccountView,
    asked: &Asked<'_>,
    amount: u64,
) -> ProgramResult {
    let id = &asked.deposit.id;
    let bump = account::marker(program, marker, DEPOSIT_SEED, id)?;
    ensure(!marker.owned_by(program), GateError::DepositUsed)?;
    let made = DepositMarker {
        discriminator: DEPOSIT_MARKER_DISCRIMINATOR,
        version: 1,
        bump,
        reserved: [0; 6],
        terms_hash: *asked.hash,
        amount,
        at: asked.now,
    };
    let seeds = [Seed::from(DEPOSIT_SEED), Seed::from(id), Seed::from(core::slice::from_ref(&bump))];
    account::create(program, rent_payer, marker, &seeds, made)
}

/// Pays the invoice from the gate's account: the escrow's own `pay`, with the gate as payer and settler.
#[inline(never)]
fn pay(accounts: &[AccountView; at::COUNT], data: &[u8; DATA_BYTES], amount: u64) -> ProgramResult {
    let [rent_payer, _, _, gate, source, invoice, record, destination, mint, token_program, voice, escrow, system, ..] =
        accounts;
    let mut asked = [Tag::Pay as u8; Tag::Pay.data_bytes()];
    let ([terms @ .., bump], Some(place)) = (data, asked.get_mut(1..=TERMS_BYTES)) else {
        return refuse(GateError::InvalidInstruction);
    };
    place.copy_from_slice(terms.get(..TERMS_BYTES).unwrap_or_default());
    system::put(&mut asked, 1 + TERMS_BYTES, &amount.to_le_bytes());
    system::put(&mut asked, 1 + TERMS_BYTES + 8, &[*bump]);
    let given = [
        Given::write(rent_payer).signing(),
        Given::read(gate).signing(),
        Given::read(gate).signing(),
        Given::write(source),
        Given::read(invoice),
        Given::write(record),
        Given::write(destination),
        Given::read(mint),
        Given::read(token_program),
        Given::read(voice),
        Given::read(escrow),
        Given::read(system),
    ];
    call(escrow.address(), given, &asked, &gate_seeds())
}

/// What the payee has had so far. Where the escrow has no record yet, it will look that this is the place for it.
#[inline(always)]
fn paid_before(escrow: &AccountView, record: &AccountView, hash: &Key) -> Result<u64, ProgramError> {
    if !record.owned_by(escrow.address()) {
        return Ok(0);
    }
    let record = found(record, hash)?;
    ensure(record.status == Status::Open as u8, GateError::NotOpen)?;
    Ok(record.paid)
}

#[inline(always)]
fn paid_after(escrow: &AccountView, record: &AccountView, hash: &Key) -> Result<u64, ProgramError> {
    ensure(record.owned_by(escrow.address()), GateError::WrongRecord)?;
    Ok(found(record, hash)?.paid)
}

/// The record of the terms. The caller has looked that the escrow owns it; it makes one record for each terms hash.
#[inline(never)]
pub fn found(record: &AccountView, hash: &Key) -> Result<Record, ProgramError> {
    let data = record.try_borrow()?;
    match Record::decode(&data) {
        Some(record) if same(&record.terms_hash, hash) => Ok(record),
        _ => refuse(GateError::WrongRecord),
    }
}
