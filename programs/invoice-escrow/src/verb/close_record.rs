//! Closes the record.

use crate::{
    ask::Ask,
    event::{self, Moved},
    record::{self, rent},
    stop::{Outcome, ensure},
};
use escrow_interface::{Error, event::Kind, instruction::close_record as at, same};
use pinocchio::AccountView;
use runtime::sys;

/// "Only from closesAt + 30 days", and not while it knows who paid for the vault. It is never made again: that takes a time
/// before closesAt.
#[inline(never)]
pub fn close_record(ask: &Ask<'_>, accounts: &[AccountView]) -> Outcome {
    let accounts = ask.accounts::<{ at::COUNT }>(accounts)?;
    let [record, rent_payer, refund_to, authority, _] = accounts;
    let state = record::find(ask, record)?.ok_or(Error::WrongRecord)?;
    let now = sys::now()?;
    let lamports = record::change(record, |record| {
        ensure(now >= record.closable_at, Error::RecordInUse)?;
        ensure(record.vault_lamports == 0, Error::VaultOpen)?;
        ensure(same(rent_payer.address().as_array(), &record.rent_payer), Error::WrongRecipient)?;
        Ok(record.rent_lamports)
    })?;
    ensure(same(refund_to.address().as_array(), &ask.terms.refund_to), Error::WrongRecipient)?;

    event::tell(ask, authority, &state, &Moved::nothing(Kind::RecordClosed))?;
    rent::give_back(record, record.lamports(), lamports, [rent_payer, refund_to])?;
    let mut record = *record;
    // Without lamports, data and owner it is gone; the runtime zeroes the data.
    Ok(record.close()?)
}
