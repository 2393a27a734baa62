//! Ends the invoice; nothing moves.

use crate::{
    ask::{Ask, signs},
    event::{self, Moved},
    record::{self, State},
    stop::{Outcome, ensure},
    token::Tokens,
};
use escrow_interface::{Error, NONE, Status, event::Kind, instruction::cancel as at, same};
use pinocchio::{AccountView, Address};
use runtime::sys;

/// "Status 2; partials already passed on stay."
#[inline(never)]
pub fn cancel(ask: &Ask<'_>, accounts: &[AccountView]) -> Outcome {
    let accounts = ask.accounts::<{ at::COUNT }>(accounts)?;
    let [rent_payer, canceller, invoice, record, mint, authority, _, system] = accounts;
    ask.invoice(invoice)?;
    let program = Address::new_from_array(*ask.token_program());
    let now = sys::now()?;
    ask.valid(now, invoice, &Tokens { mint, program: &program })?;
    let settler = !same(&ask.terms.settler, &NONE) && signs(canceller, &ask.terms.settler);
    ensure(settler || signs(canceller, &ask.terms.payee), Error::NotPayeeNorSettler)?;
    let found = record::find(ask, record)?;
    let state = found.unwrap_or_default();
    ask.open(&state, now)?;

    let state = State { since: now, status: Status::Cancelled as u8, ..state };
    record::write(ask, record, found.is_some(), rent_payer, system, state)?;
    event::tell(ask, authority, &state, &Moved::nothing(Kind::Cancelled))
}
