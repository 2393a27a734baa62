//! Burns what a redemption was paid, and closes its marker.

use super::{event, mint_and_pay::found, token};
use crate::{account, ensure, refuse};
use escrow_interface::{
    CHAIN, Status, Terms,
    address::{BUMP, RECORD_SEED, TOKEN_PROGRAM, of_terms},
    gate::GateError,
    mint::{
        MintConfig, REDEEMED_MARKER_DISCRIMINATOR, REDEEMED_SEED, REDEMPTION_SEED, RedeemedMarker, Told,
        close_redeemed as close_at, redeem as at,
    },
    same,
    terms::{HASH_PREFIX, TERMS_BYTES},
};
use pinocchio::{AccountView, Address, ProgramResult, cpi::Seed};
use runtime::{sys, system::SYSTEM};

/// "By anyone, once per terms hash: token = the gate's own, payee = this gate, chain = here, the fixed escrow reports status 1;
/// burns `amount`." Nothing pauses it, and of the terms nothing else is asked: what was paid here is owed to somebody.
#[inline(never)]
pub fn redeem(program: &Address, accounts: &[AccountView; at::COUNT], data: &[u8; TERMS_BYTES]) -> ProgramResult {
    let [rent_payer, config, marker, gate, redemption, account, record, mint, token_program, system, _] = accounts;
    let terms = Terms::decode(data);
    let hash = sys::sha256([HASH_PREFIX, data]);

    ensure(same(token_program.address().as_array(), &TOKEN_PROGRAM), GateError::WrongProgram)?;
    ensure(system.address() == &SYSTEM, GateError::WrongProgram)?;
    ensure(rent_payer.is_signer(), GateError::WrongRentPayer)?;
    account::read(program, config, |config: &mut MintConfig| {
        ensure(same(gate.address().as_array(), &config.gate), GateError::WrongGate)?;
        ensure(same(redemption.address().as_array(), &config.redemption), GateError::WrongRedemption)?;
        ensure(same(account.address().as_array(), &config.redemption_account), GateError::WrongTokenAccount)?;
        ensure(same(mint.address().as_array(), &config.mint), GateError::WrongMint)?;
        ensure(terms.chain == CHAIN, GateError::WrongChain)?;
        ensure(same(&terms.token, &config.mint), GateError::WrongToken)?;
        ensure(same(&terms.payee, &config.redemption), GateError::WrongPayee)?;
        ensure(record.owned_by(&Address::new_from_array(config.escrow)), GateError::NotPaid)
    })?;
    ensure(found(record, &hash)?.status == Status::Paid as u8, GateError::NotPaid)?;

    let bump = account::marker(program, marker, REDEEMED_SEED, &hash)?;
    ensure(!marker.owned_by(program), GateError::AlreadyRedeemed)?;
    ensure(token::balance(account)? >= terms.amount, GateError::NotFunded)?;
    let made = RedeemedMarker {
        discriminator: REDEEMED_MARKER_DISCRIMINATOR,
        version: 1,
        bump,
        reserved: [0; 6],
        terms_hash: hash,
        amount: terms.amount,
        at: sys::now()?,
        rent_payer: rent_payer.address().to_bytes(),
    };
    let seeds = [Seed::from(REDEEMED_SEED), Seed::from(&hash), Seed::from(core::slice::from_ref(&bump))];
    account::create(program, rent_payer, marker, &seeds, made)?;

    let seeds = [Seed::from(REDEMPTION_SEED), Seed::from(&[BUMP])];
    token::burn(mint, account, redemption, &seeds, terms.amount)?;
    event::tell(program, gate, &Told::Redeemed { terms_hash: hash, token: terms.token, amount: terms.amount })
}

/// Closes the marker once the record is closed: it was there when the marker was made, and is never made again, so that nothing
/// can be redeemed a second time. What was sent to the marker by mistake goes along.
#[inline(never)]
pub fn close(program: &Address, accounts: &[AccountView; close_at::COUNT], _: &[u8; 0]) -> ProgramResult {
    let [config, marker, record, rent_payer] = accounts;
    let escrow = account::read(program, config, |config: &mut MintConfig| Ok(config.escrow))?;
    let (hash, paid_by) =
        account::read(program, marker, |marker: &mut RedeemedMarker| Ok((marker.terms_hash, marker.rent_payer)))?;
    let address = sys::sha256(of_terms(RECORD_SEED, &hash, &escrow));
    ensure(same(record.address().as_array(), &address), GateError::WrongRecord)?;
    ensure(!record.owned_by(&Address::new_from_array(escrow)), GateError::RecordOpen)?;
    ensure(same(rent_payer.address().as_array(), &paid_by), GateError::WrongRentPayer)?;

    let (mut marker, mut rent_payer) = (*marker, *rent_payer);
    let Some(after) = rent_payer.lamports().checked_add(marker.lamports()) else {
        return refuse(GateError::Arithmetic);
    };
    rent_payer.set_lamports(after);
    marker.set_lamports(0);
    marker.close()
}
