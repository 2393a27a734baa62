//! Which keys there are, and who says so.

use escrow_interface::{
    Key, NONE,
    address::BUMP,
    gate::{
        CONFIG_BYTES, CONFIG_SEED, Config, DISCRIMINATOR, GateError, MOST_KEYS, init as init_at, of_seed,
        set_keys as set_keys_at,
    },
    same,
};
use pinocchio::{AccountView, Address, ProgramResult, cpi::Seed, error::ProgramError};
use runtime::{
    sys,
    system::{self, SYSTEM},
};

/// A refusal of ours.
#[inline(always)]
pub fn refuse<T>(error: GateError) -> Result<T, ProgramError> {
    Err(ProgramError::Custom(error as u32))
}

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
    let lamports = sys::minimum_balance(CONFIG_BYTES as u64)?.saturating_sub(config.lamports());
    let seeds = [Seed::from(CONFIG_SEED), Seed::from(&[BUMP])];
    system::create(
        &system::New { payer: admin, account: config, lamports, owner: program },
        CONFIG_BYTES as u64,
        &seeds,
    )?;

    let mut config = *config;
    let mut data = config.try_borrow_mut()?;
    let Some(config) = cast(&mut data) else { return refuse(GateError::WrongConfig) };
    // The keys are zero, as everything is in a new account.
    config.discriminator = DISCRIMINATOR;
    config.version = 1;
    config.admin = admin.address().to_bytes();
    config.escrow = escrow;
    Ok(())
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
    read(program, config, |config| {
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

/// The config in its place, to read or change. What the program owns is it, because the program makes no other account.
#[inline(always)]
pub fn read<T>(
    program: &Address,
    account: &AccountView,
    with: impl FnOnce(&mut Config) -> Result<T, ProgramError>,
) -> Result<T, ProgramError> {
    if !account.owned_by(program) {
        return refuse(GateError::WrongConfig);
    }
    let mut account = *account;
    let mut data = account.try_borrow_mut()?;
    match cast(&mut data) {
        Some(config) if config.discriminator == DISCRIMINATOR && config.version == 1 => with(config),
        _ => refuse(GateError::WrongConfig),
    }
}

/// The account's data as what it is; `None` where it has another length.
#[inline(always)]
#[allow(unsafe_code, reason = "the one cast; what it needs is checked here or when it is compiled")]
fn cast(data: &mut [u8]) -> Option<&mut Config> {
    // SAFETY: `Config` is `repr(C)` with an alignment of one and no padding (escrow_interface asserts it), any bytes are one,
    // and the length is right.
    (data.len() == CONFIG_BYTES).then(|| unsafe { &mut *data.as_mut_ptr().cast::<Config>() })
}
