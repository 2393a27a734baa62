//! Payer → payee.

use crate::{
    ask::Ask,
    event::{self, Moved},
    record,
    stop::{Outcome, ensure},
    token::{Route, Tokens},
};
use escrow_interface::{Error, event::Kind, instruction::pay as at, same};
use pinocchio::AccountView;
use runtime::sys;

/// "Pulls from the payer only, straight to payee. `amount` is a ceiling: `min(amount, due)`; partials off: all that is due or
/// `NotFunded`. What lies in the vault is not counted."
#[inline(never)]
pub fn pay(ask: &Ask<'_>, accounts: &[AccountView]) -> Outcome {
    let accounts = ask.accounts::<{ at::COUNT }>(accounts)?;
    let Some((ceiling, &[destination_bump])) = ask.rest.split_first_chunk::<8>() else {
        return Err(Error::InvalidInstruction.into());
    };
    let [rent_payer, settler, payer, source, invoice, record, destination, mint, program, authority, _, system] =
        accounts;
    let tokens = Tokens { mint, program: program.address() };

    ask.invoice(invoice)?;
    let now = sys::now()?;
    let decimals = ask.valid(now, invoice, &tokens)?;
    ask.settler(settler)?;
    let found = record::find(ask, record)?;
    let state = found.unwrap_or_default();
    ask.open(&state, now)?;
    let payer_key = payer.address().as_array();
    ensure(!same(payer_key, &ask.terms.payee), Error::PayerIsPayee)?;
    ensure(payer.is_signer(), Error::NotPayer)?;

    let amount = ask.moved(&state, u64::from_le_bytes(*ceiling))?;
    if ask.terms.token_2022() {
        tokens.allowed(mint)?;
    }
    let owner = tokens.owner(source).ok_or(Error::WrongSource)?;
    ensure(same(&owner, payer_key), Error::NotPayer)?;
    ask.destination(destination, &tokens, &ask.terms.payee, destination_bump)?;

    let state = ask.paid(state, amount, now)?;
    record::write(ask, record, found.is_some(), rent_payer, system, state)?;
    tokens.transfer(
        &Route { from: source, to: destination, authority: payer, seeds: &[], decimals, more: &[] },
        amount,
    )?;
    let moved = Moved { kind: Kind::Paid, token: &ask.terms.token, to: &ask.terms.payee, amount };
    event::tell(ask, authority, &state, &moved)
}
