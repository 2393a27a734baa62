//! Vault → payee.

use crate::{
    ask::Ask,
    event::{self, Moved},
    record,
    stop::{Outcome, ensure},
    token::{self, Route, Tokens},
};
use escrow_interface::{Error, event::Kind, instruction::settle as at};
use pinocchio::AccountView;
use runtime::sys;

/// "`min(balance, amount − paid)`; partials off: exactly `amount`, else `NotFunded`. Excess stays."
#[inline(never)]
pub fn settle(ask: &Ask<'_>, accounts: &[AccountView]) -> Outcome {
    let accounts = ask.accounts::<{ at::COUNT }>(accounts)?;
    let &[vault_bump, destination_bump] = ask.rest else { return Err(Error::InvalidInstruction.into()) };
    let [rent_payer, settler, invoice, record, vault, destination, mint, program, authority, _, system] = accounts;
    let tokens = Tokens { mint, program: program.address() };

    ask.signs_for(invoice)?;
    let now = sys::now()?;
    let decimals = ask.valid(now, invoice, &tokens)?;
    ask.settler(settler)?;
    let found = record::find(ask, record)?;
    let state = found.unwrap_or_default();
    ask.open(&state, now)?;

    let owner = invoice.address().as_array();
    ensure(token::is_associated(vault, owner, &tokens, vault_bump), Error::WrongVault)?;
    let amount = ask.moved(&state, tokens.lies_in(vault, owner).ok_or(Error::WrongVault)?)?;
    if ask.terms.token_2022() {
        tokens.allowed(mint)?;
        tokens.allowed(vault)?;
    }
    ask.destination(destination, &tokens, &ask.terms.payee, destination_bump)?;

    let state = ask.paid(state, amount, now)?;
    record::write(ask, record, found.is_some(), rent_payer, system, state)?;
    tokens.transfer(
        &Route { from: vault, to: destination, authority: invoice, seeds: &ask.seeds(), decimals, more: &[] },
        amount,
    )?;
    let moved = Moved { kind: Kind::Settled, token: &ask.terms.token, to: &ask.terms.payee, amount };
    event::tell(ask, authority, &state, &moved)
}
