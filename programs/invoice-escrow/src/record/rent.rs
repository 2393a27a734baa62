//! Gives rent back.

use crate::stop::Outcome;
use escrow_interface::Error;
use pinocchio::AccountView;
use runtime::sys;

/// Takes `all` lamports from an account of ours: `rent` of them to who paid it, the rest to refundTo; where the runtime would
/// refuse that, because it would leave too little there, along with the rent.
#[inline(always)]
pub fn give_back(from: &AccountView, all: u64, rent: u64, [payer, refund_to]: [&AccountView; 2]) -> Outcome {
    let rent = rent.min(all);
    take(from, all)?;
    give(payer, rent)?;
    // The two may be one account: what is there is read again.
    match all - rent {
        0 => Ok(()),
        rest if accepts(refund_to, rest) => give(refund_to, rest),
        rest => give(payer, rest),
    }
}

#[inline(always)]
fn accepts(account: &AccountView, lamports: u64) -> bool {
    let after = account.lamports().saturating_add(lamports);
    sys::minimum_balance(account.data_len() as u64).is_ok_and(|minimum| after >= minimum)
}

#[inline(always)]
fn give(account: &AccountView, lamports: u64) -> Outcome {
    let Some(after) = account.lamports().checked_add(lamports) else { return Err(Error::Arithmetic.into()) };
    let mut account = *account;
    account.set_lamports(after);
    Ok(())
}

#[inline(always)]
fn take(account: &AccountView, lamports: u64) -> Outcome {
    let Some(after) = account.lamports().checked_sub(lamports) else { return Err(Error::Arithmetic.into()) };
    let mut account = *account;
    account.set_lamports(after);
    Ok(())
}
