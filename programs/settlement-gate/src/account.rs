//! The accounts that the program makes: how they are told from each other, read and made.

use crate::refuse;
use escrow_interface::{
    Key,
    gate::{self, GateError},
    mint, same,
};
use pinocchio::{AccountView, Address, ProgramResult, cpi::Seed, error::ProgramError};
use runtime::{sys, system};

/// What an account's data can be. Each kind begins with its own eight bytes and the version, 1.
pub trait Kind: Copy {
    /// The first eight bytes.
    const DISCRIMINATOR: [u8; 8];
    /// What is refused where the account is none.
    const ERROR: GateError;
}

impl Kind for gate::Config {
    const DISCRIMINATOR: [u8; 8] = gate::DISCRIMINATOR;
    const ERROR: GateError = GateError::WrongConfig;
}

impl Kind for mint::MintConfig {
    const DISCRIMINATOR: [u8; 8] = mint::MINT_CONFIG_DISCRIMINATOR;
    const ERROR: GateError = GateError::WrongMintConfig;
}

impl Kind for mint::DepositMarker {
    const DISCRIMINATOR: [u8; 8] = mint::DEPOSIT_MARKER_DISCRIMINATOR;
    const ERROR: GateError = GateError::WrongMarker;
}

impl Kind for mint::RedeemedMarker {
    const DISCRIMINATOR: [u8; 8] = mint::REDEEMED_MARKER_DISCRIMINATOR;
    const ERROR: GateError = GateError::WrongMarker;
}

/// An account in its place, to read or change. Of both configs the program makes one only, so what it owns and bears the
/// discriminator is it.
#[inline(always)]
pub fn read<K: Kind, T>(
    program: &Address,
    account: &AccountView,
    with: impl FnOnce(&mut K) -> Result<T, ProgramError>,
) -> Result<T, ProgramError> {
    if !account.owned_by(program) {
        return refuse(K::ERROR);
    }
    let mut account = *account;
    let mut data = account.try_borrow_mut()?;
    let ours = data.starts_with(&K::DISCRIMINATOR) && data.get(8) == Some(&1);
    match cast::<K>(&mut data) {
        Some(found) if ours => with(found),
        _ => refuse(K::ERROR),
    }
}

/// Makes an account at an address of ours, which the caller has looked at, and fills it.
#[inline(always)]
pub fn create<K: Kind>(
    program: &Address,
    payer: &AccountView,
    account: &AccountView,
    seeds: &[Seed<'_>],
    filled: K,
) -> ProgramResult {
    let bytes = size_of::<K>() as u64;
    let lamports = sys::minimum_balance(bytes)?.saturating_sub(account.lamports());
    system::create(&system::New { payer, account, lamports, owner: program }, bytes, seeds)?;
    let mut account = *account;
    let mut data = account.try_borrow_mut()?;
    match cast::<K>(&mut data) {
        Some(place) => {
            *place = filled;
            Ok(())
        }
        None => refuse(K::ERROR),
    }
}

/// That the account is the marker of `id`; its bump. The canonical one, found here: with another bump the same deposit would
/// have a second marker, and mint twice.
#[inline(never)]
pub fn marker(program: &Address, account: &AccountView, seed: &[u8], id: &Key) -> Result<u8, ProgramError> {
    for bump in (0..=u8::MAX).rev() {
        let address = sys::sha256(mint::of_marker(seed, id, &[bump], program.as_array()));
        if !sys::is_on_curve(&address) {
            let found = same(account.address().as_array(), &address);
            return if found { Ok(bump) } else { refuse(GateError::WrongMarker) };
        }
    }
    refuse(GateError::WrongMarker)
}

/// The account's data as what it is; `None` where it has another length.
#[inline(always)]
#[allow(unsafe_code, reason = "the one cast; what it needs is checked here or when it is compiled")]
fn cast<K: Kind>(data: &mut [u8]) -> Option<&mut K> {
    let place = data.as_mut_ptr().cast::<K>();
    if data.len() != size_of::<K>() || !place.is_aligned() {
        return None;
    }
    // SAFETY: every `Kind` is `repr(C)` of integers and bytes without padding (escrow_interface asserts it), any bytes are one,
    // and length and alignment are right.
    Some(unsafe { &mut *place })
}
