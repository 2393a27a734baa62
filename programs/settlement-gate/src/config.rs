//! Which keys there are, and who says so.

use crate::{account, refuse};
use escrow_interface::{
    Key, NONE,
    address::BUMP,
    gate::{
        CONFIG_SEED, Config, DISCRIMINATOR, GateError, MOST_KEYS, init as init_at, of_seed, set_keys as set_keys_at,
    },
    same,
};
use pinocchio::{AccountView, Address, ProgramResult, cpi::Seed};
use runtime::{sys, system::SYSTEM};

/// Makes the config, without keys. Its escrow can never be changed.
#[inline(always)]
pub fn init(program: &Address, accounts: &[AccountView], rest: &[u8]) -> ProgramResult {
    let Some([config, admin, system]) = accounts.first_chunk::<{ init_at::COUNT }>() else {
        return refuse(GateError::WrongAccounts);
    };
    let Ok(escrow) = <Key>::try_from(rest) else { return refuse(GateError::InvalidInstruction) };
    if system.address() != &SYSTEM {
        return refuse(GateError::WrongProgram);
    }
    if !admin.is_signer() {
        return refuse(GateError::NotAdmin);
    }
    if config.owned_by(program) {
        return refuse(GateError::AlreadyInitialized);
    }
    if !same(config.address().as_array(), &sys::sha256(of_seed(CONFIG_SEED, program.as_array()))) {
        return refuse(GateError::WrongConfig);
    }
    if same(&escrow, &NONE) {
        return refuse(GateError::WrongEscrow);
    }
    let seeds = [Seed::from(CONFIG_SEED), Seed::from(&[BUMP])];
    let made = Config {
        discriminator: DISCRIMINATOR,
        version: 1,
        settler_count: 0,
        canceller_count: 0,
        reserved: [0; 5],
        admin: admin.address().to_bytes(),
        escrow,
        settlers: [NONE; MOST_KEYS],
        cancellers: [NONE; MOST_KEYS],
    };
    account::create(program, admin, config, &seeds, made)
}

/// Says anew which keys there are: what is not named can do nothing from now on.
#[inline(always)]
pub fn set_keys(program: &Address, accounts: &[AccountView], rest: &[u8]) -> ProgramResult {
    let Some([config, admin]) = accounts.first_chunk::<{ set_keys_at::COUNT }>() else {
        return refuse(GateError::WrongAccounts);
    };
    let Some(([settler_count, canceller_count], keys)) = rest.split_first_chunk::<2>() else {
        return refuse(GateError::InvalidInstruction);
    };
    let (settler_count, canceller_count) = (*settler_count, *canceller_count);
    let (settlers, cancellers) = (usize::from(settler_count), usize::from(canceller_count));
    if settlers > MOST_KEYS || cancellers > MOST_KEYS {
        return refuse(GateError::TooManyKeys);
    }
    let (keys, odd) = keys.as_chunks::<32>();
    if !odd.is_empty() || keys.len() != settlers + cancellers {
        return refuse(GateError::InvalidInstruction);
    }
    for (index, key) in keys.iter().enumerate() {
        let before = keys.get(..index).unwrap_or_default();
        if same(key, &NONE) || before.iter().any(|other| same(key, other)) {
            return refuse(GateError::InvalidKey);
        }
    }
    let (first, second) = keys.split_at_checked(settlers).unwrap_or_default();
    account::read(program, config, |config: &mut Config| {
        if !admin.is_signer() || !same(admin.address().as_array(), &config.admin) {
            return refuse(GateError::NotAdmin);
        }
        (config.settler_count, config.canceller_count) = (settler_count, canceller_count);
        fill(&mut config.settlers, first);
        fill(&mut config.cancellers, second);
        Ok(())
    })
}

#[inline(always)]
fn fill(places: &mut [Key; MOST_KEYS], keys: &[Key]) {
    for (index, place) in places.iter_mut().enumerate() {
        *place = keys.get(index).copied().unwrap_or(NONE);
    }
}
