//! The settings: made, proposed, applied, lowered; and what attestors say of the reserve.
//!
//! What raises (attestors, threshold, cap, an end of the pause, other rulers) waits between proposal and application, in which
//! everybody can see it and the guardian can drop it. What lowers happens at once.

use super::{attested::attested, event, token};
use crate::{account, ensure, refuse};
use escrow_interface::{
    CHAIN, Key, NONE,
    address::BUMP,
    gate::{Config, GATE_SEED, GateError, of_seed},
    mint::{
        APPLICABLE_SECONDS, DELAY_SECONDS, MAX_RESERVE_AGE_SECONDS, MINT_CONFIG_DISCRIMINATOR, MINT_SEED, MintConfig,
        REDEMPTION_SEED, RESERVE_BYTES, Reserve, SETTINGS_BYTES, Settings, Told, attest_reserve as reserve_at,
        init_mint as init_at, reserve_message, rule as at,
    },
    same,
};
use pinocchio::{AccountView, Address, ProgramResult, cpi::Seed};
use runtime::{sys, system::SYSTEM};

/// Makes the config, for a mint that nobody else has a say in. Mint and escrow can never be changed.
#[inline(never)]
pub fn init(
    program: &Address,
    accounts: &[AccountView; init_at::COUNT],
    data: &[u8; SETTINGS_BYTES + 2],
) -> ProgramResult {
    let [mint_config, config, admin, mint, account, redemption_account, system] = accounts;
    let (Some(settings), [.., bump, redemption_bump]) = (data.first_chunk(), data) else {
        return refuse(GateError::InvalidInstruction);
    };
    let settings = Settings::decode(settings);
    ensure(system.address() == &SYSTEM, GateError::WrongProgram)?;
    let escrow = account::read(program, config, |config: &mut Config| {
        ensure(admin.is_signer() && same(admin.address().as_array(), &config.admin), GateError::NotAdmin)?;
        Ok(config.escrow)
    })?;
    ensure(!mint_config.owned_by(program), GateError::AlreadyInitialized)?;
    let [address, gate, redemption] =
        [MINT_SEED.as_slice(), GATE_SEED, REDEMPTION_SEED].map(|seed| sys::sha256(of_seed(seed, program.as_array())));
    ensure(same(mint_config.address().as_array(), &address), GateError::WrongMintConfig)?;
    // What is paid to it has to be burned one day: it has to be an address that the program can sign for.
    ensure(!sys::is_on_curve(&redemption), GateError::WrongRedemption)?;
    ensure(settings.valid(), GateError::InvalidSettings)?;
    token::is_ours_alone(mint, &gate)?;
    let mint = mint.address().as_array();
    token::is_associated(account, &gate, mint, *bump)?;
    token::is_associated(redemption_account, &redemption, mint, *redemption_bump)?;

    let seeds = [Seed::from(MINT_SEED), Seed::from(&[BUMP])];
    let made = MintConfig {
        discriminator: MINT_CONFIG_DISCRIMINATOR,
        version: 1,
        reserved: [0; 7],
        escrow,
        mint: *mint,
        gate,
        account: account.address().to_bytes(),
        redemption,
        redemption_account: redemption_account.address().to_bytes(),
        reserve: Reserve { allocation: 0, nonce: 0, as_of: 0 },
        day: 0,
        minted: 0,
        settings,
        applicable_at: 0,
        proposed: settings,
    };
    account::create(program, admin, mint_config, &seeds, made)
}

/// "Allocation, nonce rising, asOf ≤ 24 h old."
#[inline(never)]
pub fn attest_reserve(
    program: &Address,
    accounts: &[AccountView; reserve_at::COUNT],
    data: &[u8; RESERVE_BYTES],
) -> ProgramResult {
    let [config, gate, sysvar, _] = accounts;
    let reserve = Reserve::decode(data);
    let now = sys::now()?;
    account::read(program, config, |config: &mut MintConfig| {
        ensure(same(gate.address().as_array(), &config.gate), GateError::WrongGate)?;
        ensure(reserve.as_of <= now, GateError::ReserveTooEarly)?;
        ensure(reserve.as_of.saturating_add(MAX_RESERVE_AGE_SECONDS) >= now, GateError::ReserveStale)?;
        ensure(reserve.nonce > config.reserve.nonce, GateError::NonceNotRising)?;
        let chain = CHAIN.to_le_bytes();
        let said = reserve_message(program.as_array(), &chain, &config.mint, data);
        attested(&config.settings, sysvar, &sys::sha256(said))?;
        config.reserve = reserve;
        Ok(())
    })?;
    event::tell(program, gate, &Told::ReserveAttested(reserve))
}

/// Proposes settings; the time begins anew.
#[inline(never)]
pub fn propose(program: &Address, accounts: &[AccountView; at::COUNT], data: &[u8; SETTINGS_BYTES]) -> ProgramResult {
    let [config, signer] = accounts;
    let proposed = Settings::decode(data);
    let now = sys::now()?;
    account::read(program, config, |config: &mut MintConfig| {
        ensure(signs(signer, &config.settings.admin), GateError::NotAdmin)?;
        ensure(proposed.valid(), GateError::InvalidSettings)?;
        config.applicable_at = now.saturating_add(DELAY_SECONDS);
        config.proposed = proposed;
        Ok(())
    })
}

/// Applies them. The admin that they name signs, so that nobody becomes admin who has not the key.
#[inline(never)]
pub fn apply(program: &Address, accounts: &[AccountView; at::COUNT], _: &[u8; 0]) -> ProgramResult {
    let [config, signer] = accounts;
    let now = sys::now()?;
    account::read(program, config, |config: &mut MintConfig| {
        ensure(config.applicable_at != 0, GateError::NothingProposed)?;
        let until = config.applicable_at.saturating_add(APPLICABLE_SECONDS);
        ensure(now >= config.applicable_at && now < until, GateError::NotApplicable)?;
        ensure(signs(signer, &config.proposed.admin), GateError::NotAdmin)?;
        config.settings = config.proposed;
        config.applicable_at = 0;
        // Who attests now says anew what there is.
        config.reserve.allocation = 0;
        Ok(())
    })
}

/// Lowers, at once: pauses, takes from the daily cap, removes an attestor. What is proposed is dropped with it: it was made
/// before, and could bring back what is taken here.
#[inline(never)]
pub fn lower(program: &Address, accounts: &[AccountView; at::COUNT], data: &[u8; 41]) -> ProgramResult {
    let [config, signer] = accounts;
    let [pause, rest @ ..] = data;
    let (Some(cap), Some(attestor)) = (rest.first_chunk(), rest.last_chunk()) else {
        return refuse(GateError::InvalidInstruction);
    };
    ensure(*pause <= 1, GateError::InvalidInstruction)?;
    account::read(program, config, |config: &mut MintConfig| {
        let settings = &mut config.settings;
        ensure(signs(signer, &settings.guardian) || signs(signer, &settings.admin), GateError::NotGuardian)?;
        settings.paused |= pause;
        settings.daily_cap = settings.daily_cap.min(u64::from_le_bytes(*cap));
        if !same(attestor, &NONE) {
            remove(settings, attestor)?;
            // He may have signed what the reserve is said to be.
            config.reserve.allocation = 0;
        }
        config.applicable_at = 0;
        Ok(())
    })
}

/// Those behind him move up: the order stays. Where fewer are left than have to sign, nothing is minted.
#[inline(always)]
fn remove(settings: &mut Settings, attestor: &Key) -> ProgramResult {
    let Some(place) = settings.attestors().iter().position(|known| same(known, attestor)) else {
        return refuse(GateError::NotAttestor);
    };
    let mut left = [NONE; escrow_interface::mint::MOST_ATTESTORS];
    let others = settings.attestors.iter().enumerate().filter(|(index, _)| *index != place);
    for (place, (_, other)) in left.iter_mut().zip(others) {
        *place = *other;
    }
    settings.attestors = left;
    settings.attestor_count = settings.attestor_count.saturating_sub(1);
    Ok(())
}

#[inline(always)]
fn signs(account: &AccountView, key: &Key) -> bool {
    account.is_signer() && same(account.address().as_array(), key)
}
