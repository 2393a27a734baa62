//! Back: to refundTo by anyone when it is time, or where the refund key says. Only refundTo is looked at of the terms, so that
//! no money is ever locked by a rule; no extension of a token is refused.

use crate::{
    ask::{Ask, signs, system_program},
    event::{self, Moved},
    record,
    stop::{Outcome, ensure},
    token::{Route, Tokens},
};
use escrow_interface::{
    Error, Key, NONE,
    event::Kind,
    instruction::{refund as at, refund_native as native_at},
    same,
};
use pinocchio::AccountView;
use runtime::system;

/// "The whole balance → refundTo", or by the key's own signature "→ order.to". The first has the bump of refundTo's token
/// account in its data, the second nothing.
#[inline(never)]
pub fn refund(ask: &Ask<'_>, accounts: &[AccountView]) -> Outcome {
    let bump = ask.rest.first().copied();
    let Some((own, more)) = accounts.split_first_chunk::<{ at::COUNT }>() else {
        return Err(Error::MissingAccount.into());
    };
    let [key, invoice, record, source, destination, mint, program, authority, _] = own;
    let tokens = Tokens { mint, program: program.address() };

    ask.invoice(invoice)?;
    tokens.known()?;
    ask.goes_back_somewhere(invoice)?;
    let owner = match bump {
        Some(_) => ask.terms.refund_to,
        None => {
            ensure(ask.terms.has_refund_key(), Error::NoRefundKey)?;
            let owner = tokens.owner(destination).ok_or(Error::WrongDestination)?;
            may_have(ask, invoice, mint, &owner)?;
            ensure(signs(key, &ask.terms.refund_key), Error::NotRefundKey)?;
            owner
        }
    };
    let state = record::find(ask, record)?.unwrap_or_default();
    ask.refundable(&state, invoice, &tokens, bump.is_none())?;
    let decimals = tokens.decimals().ok_or(Error::WrongMint)?;
    let amount = tokens.lies_in(source, invoice.address().as_array()).ok_or(Error::WrongSource)?;
    ensure(amount != 0, Error::NothingDue)?;
    if let Some(bump) = bump {
        ask.destination(destination, &tokens, &owner, bump)?;
    }

    let route = Route { from: source, to: destination, authority: invoice, seeds: &ask.seeds(), decimals, more };
    tokens.transfer(&route, amount)?;
    let kind = if bump.is_some() { Kind::Refunded } else { Kind::RefundedByKey };
    let moved = Moved { kind, token: mint.address().as_array(), to: &owner, amount };
    event::tell(ask, authority, &state, &moved)
}

/// "`to` not 0, factory, token, purse."
#[inline(always)]
fn may_have(ask: &Ask<'_>, invoice: &AccountView, mint: &AccountView, owner: &Key) -> Outcome {
    let nobody = [&NONE, invoice.address().as_array(), mint.address().as_array(), ask.program.as_array()];
    ensure(!nobody.iter().any(|key| same(key, owner)), Error::WrongDestination)
}

/// Lamports at the invoice's address, all of them, at any time.
#[inline(never)]
pub fn native(ask: &Ask<'_>, accounts: &[AccountView]) -> Outcome {
    let accounts = ask.accounts::<{ native_at::COUNT }>(accounts)?;
    let [invoice, record, refund_to, authority, _, system] = accounts;
    ask.invoice(invoice)?;
    system_program(system)?;
    ask.goes_back_somewhere(invoice)?;
    ensure(same(refund_to.address().as_array(), &ask.terms.refund_to), Error::WrongRecipient)?;
    let state = record::find(ask, record)?.unwrap_or_default();
    let amount = invoice.lamports();
    ensure(amount != 0, Error::NothingDue)?;

    system::transfer(invoice, refund_to, amount, &ask.seeds())?;
    let moved = Moved { kind: Kind::Refunded, token: &NONE, to: &ask.terms.refund_to, amount };
    event::tell(ask, authority, &state, &moved)
}
