//! Tells what happened: a call of the program to itself, signed by an address that only the program can sign for.

use crate::{
    ask::Ask,
    record::State,
    stop::{Outcome, ensure},
};
use escrow_interface::{
    Error, Key, NONE, Recorded,
    address::{BUMP, EVENT_AUTHORITY_SEED, event_authority},
    event::{EVENT_BYTES, Kind, TAG},
    same,
};
use pinocchio::{AccountView, Address, cpi::Seed};
use runtime::{
    cpi::{Given, call},
    sys,
};

/// What moved, and to whom.
pub struct Moved<'a> {
    /// How.
    pub kind: Kind,
    /// The mint.
    pub token: &'a Key,
    /// Whose it is now.
    pub to: &'a Key,
    /// How much.
    pub amount: u64,
}

impl Moved<'_> {
    /// Nothing did.
    #[inline(always)]
    pub fn nothing(kind: Kind) -> Self {
        Self { kind, token: &NONE, to: &NONE, amount: 0 }
    }
}

/// Tells it. That the authority is the right one need not be looked at: the runtime lets us sign for no other address. The
/// program is called by its own address, not by that of an account it was given: a stranger's program in its place would hear of
/// it, and nobody else. The runtime refuses the call where the program is not among the accounts.
#[inline(never)]
pub fn tell(ask: &Ask<'_>, authority: &AccountView, state: &State, moved: &Moved<'_>) -> Outcome {
    let event = Recorded {
        terms_hash: ask.hash,
        token: *moved.token,
        to: *moved.to,
        amount: moved.amount,
        paid: state.paid,
        since: state.since,
        kind: moved.kind as u8,
        status: state.status,
    };
    let seeds = [Seed::from(EVENT_AUTHORITY_SEED), Seed::from(&[BUMP])];
    Ok(call(ask.program, [Given::read(authority).signing()], &event.encode(), &seeds)?)
}

/// The call that arrives: it does nothing, and is refused unless it came from ourselves.
#[inline(always)]
pub fn heard(program: &Address, accounts: &[AccountView], data: &[u8]) -> Outcome {
    ensure(data.len() == EVENT_BYTES && data.starts_with(&TAG), Error::InvalidInstruction)?;
    let [authority, ..] = accounts else { return Err(Error::MissingAccount.into()) };
    ensure(authority.is_signer(), Error::WrongEventAuthority)?;
    is_authority(program, authority)
}

#[inline(never)]
fn is_authority(program: &Address, account: &AccountView) -> Outcome {
    let address = sys::sha256(event_authority(program.as_array()));
    ensure(same(account.address().as_array(), &address), Error::WrongEventAuthority)
}
