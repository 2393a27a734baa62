//! Makes and closes the vault. Who pays for it has exactly that back.

use crate::{
    ask::{Ask, system_program},
    record::{self, rent},
    stop::{Outcome, ensure},
    token::{self, Route, Tokens},
};
use escrow_interface::{
    Error, NONE, Status,
    address::ASSOCIATED_TOKEN_PROGRAM,
    instruction::{close_vault as close_at, open_vault as open_at},
    same,
};
use pinocchio::AccountView;
use runtime::sys;

/// Vault and record, where they are missing; before closesAt only, because after it there is no record to be made.
#[inline(never)]
pub fn open(ask: &Ask<'_>, accounts: &[AccountView]) -> Outcome {
    let accounts = ask.accounts::<{ open_at::COUNT }>(accounts)?;
    let [rent_payer, invoice, record, vault, mint, program, associated, system] = accounts;
    let tokens = Tokens { mint, program: program.address() };

    ask.invoice(invoice)?;
    // Nobody has signed for the invoice's address yet, and on the curve nobody ever could.
    ensure(!sys::is_on_curve(invoice.address().as_array()), Error::WrongInvoiceAddress)?;
    let now = sys::now()?;
    ask.valid(now, invoice, &tokens)?;
    ensure(now < ask.terms.closes_at, Error::Closed)?;
    ensure(rent_payer.is_signer(), Error::NotRentPayer)?;
    ensure(same(associated.address().as_array(), &ASSOCIATED_TOKEN_PROGRAM), Error::WrongProgram)?;
    system_program(system)?;
    if record::find(ask, record)?.is_none() {
        record::create(ask, record, rent_payer, system)?;
    }

    let before = rent_payer.lamports();
    token::create_associated(associated.address(), &[rent_payer, vault, invoice, mint, system, program])?;
    let Some(spent) = before.checked_sub(rent_payer.lamports()) else { return Err(Error::Arithmetic.into()) };
    if spent > 0 {
        record::change(record, |record| {
            ensure(record.vault_lamports == 0, Error::VaultOpen)?;
            record.vault_payer = rent_payer.address().to_bytes();
            record.vault_lamports = spent;
            Ok(())
        })?;
    }
    Ok(())
}

/// "Empty, and status ≠ 0 or ≥ closesAt. Exactly the recorded rent goes to who paid it; the rest to refundTo, or, where rent
/// rules refuse that, along with the rent." Associated token accounts for other mints too: who paid for those nobody knows.
#[inline(never)]
pub fn close(ask: &Ask<'_>, accounts: &[AccountView]) -> Outcome {
    let accounts = ask.accounts::<{ close_at::COUNT }>(accounts)?;
    let &[bump] = ask.rest else { return Err(Error::InvalidInstruction.into()) };
    let [invoice, record, vault, vault_payer, refund_to, mint, program] = accounts;
    let tokens = Tokens { mint, program: program.address() };

    ask.signs_for(invoice)?;
    tokens.known()?;
    let found = record::find(ask, record)?;
    let state = found.unwrap_or_default();
    if state.status == Status::Open as u8 {
        let now = sys::now()?;
        ensure(now >= ask.terms.closes_at || ask.valid(now, invoice, &tokens).is_err(), Error::VaultInUse)?;
    }
    let owner = invoice.address().as_array();
    ensure(token::is_associated(vault, owner, &tokens, bump), Error::WrongVault)?;
    // The program that makes such accounts has made this one, for this owner and mint.
    ensure(tokens.amount(vault).ok_or(Error::WrongVault)? == 0, Error::VaultNotEmpty)?;

    let mut lamports = 0;
    if found.is_some() {
        lamports = record::change(record, |record| {
            let ours = record.vault_lamports != 0
                && same(mint.address().as_array(), &ask.terms.token)
                && same(program.address().as_array(), ask.token_program());
            if !ours {
                return Ok(0);
            }
            ensure(same(vault_payer.address().as_array(), &record.vault_payer), Error::WrongRecipient)?;
            record.vault_payer = NONE;
            Ok(core::mem::take(&mut record.vault_lamports))
        })?;
    }
    let all = vault.lamports();
    if all > lamports {
        // Something is left for refundTo.
        ask.goes_back_somewhere(invoice)?;
        ensure(same(refund_to.address().as_array(), &ask.terms.refund_to), Error::WrongRecipient)?;
    }
    // What the record knows of goes there first: what lies there we may divide.
    let to = if lamports == 0 { refund_to } else { record };
    tokens.close(&Route { from: vault, to, authority: invoice, seeds: &ask.seeds(), decimals: 0, more: &[] })?;
    if lamports == 0 {
        return Ok(());
    }
    rent::give_back(record, all, lamports, [vault_payer, refund_to])
}
