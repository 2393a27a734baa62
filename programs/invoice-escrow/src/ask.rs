//! What every verb begins with.

use crate::{
    record::State,
    stop::{Outcome, ensure},
    token::{self, Tokens},
};
use escrow_interface::{
    Error, Key, NONE, Status, Terms,
    address::{BUMP, INVOICE_SEED, TOKEN_2022_PROGRAM, TOKEN_PROGRAM, of_terms},
    same,
    terms::{HASH_PREFIX, TERMS_BYTES, WAIT_SECONDS},
};
use pinocchio::{AccountView, Address, cpi::Seed};
use runtime::{sys, system};

/// The terms that were brought, and what follows from them here and now.
pub struct Ask<'a> {
    /// This program.
    pub program: &'a Address,
    /// The terms.
    pub terms: &'a Terms,
    /// Their hash.
    pub hash: Key,
    /// What follows the terms in the instruction's data: as long as the tag says.
    pub rest: &'a [u8],
}

impl<'a> Ask<'a> {
    /// Reads the terms. Whether they are valid is asked later, by those verbs that mind.
    #[inline(always)]
    pub fn new(program: &'a Address, bytes: &'a [u8; TERMS_BYTES], rest: &'a [u8]) -> Self {
        Self { program, terms: view(bytes), hash: sys::sha256([HASH_PREFIX, bytes]), rest }
    }

    /// The accounts a verb looks at; what comes after them is ignored.
    #[inline(always)]
    pub fn accounts<'b, const N: usize>(&self, accounts: &'b [AccountView]) -> Outcome<&'b [AccountView; N]> {
        accounts.first_chunk().ok_or(Error::MissingAccount.into())
    }

    /// That this is the invoice's address.
    #[inline(never)]
    pub fn invoice(&self, account: &AccountView) -> Outcome {
        let address = sys::sha256(of_terms(INVOICE_SEED, &self.hash, self.program.as_array()));
        ensure(same(account.address().as_array(), &address), Error::WrongInvoiceAddress)
    }

    /// That this is the invoice's address, where a call that it signs follows: then the runtime says so, because it lets us sign
    /// for no other one. Unless somebody signed the transaction himself, and put his own account in its place.
    #[inline(always)]
    pub fn signs_for(&self, account: &AccountView) -> Outcome {
        ensure(!account.is_signer(), Error::WrongInvoiceAddress)
    }

    /// What the invoice's address signs with.
    #[inline(always)]
    pub fn seeds(&self) -> [Seed<'_>; 3] {
        [Seed::from(INVOICE_SEED), Seed::from(&self.hash), Seed::from(&[BUMP])]
    }

    /// The rows of PROTOCOL §1, the mint's among them, and the mint's decimals. `tokens` are those of the instruction's token.
    #[inline(never)]
    pub fn valid(&self, now: i64, invoice: &AccountView, tokens: &Tokens<'_>) -> Outcome<u8> {
        ensure(same(tokens.mint.address().as_array(), &self.terms.token), Error::WrongMint)?;
        ensure(same(tokens.program.as_array(), self.token_program()), Error::WrongTokenProgram)?;
        self.terms.check(now, invoice.address().as_array(), self.program.as_array())?;
        tokens.decimals().ok_or(Error::InvalidToken.into())
    }

    /// The token program that the flags name.
    #[inline(always)]
    pub fn token_program(&self) -> &'static Key {
        if self.terms.token_2022() { &TOKEN_2022_PROGRAM } else { &TOKEN_PROGRAM }
    }

    /// "Settler; anyone if 0."
    #[inline(always)]
    pub fn settler(&self, account: &AccountView) -> Outcome {
        let anyone = same(&self.terms.settler, &NONE);
        ensure(anyone || signs(account, &self.terms.settler), Error::NotSettler)
    }

    /// "Open, before closesAt."
    #[inline(always)]
    pub fn open(&self, state: &State, now: i64) -> Outcome {
        ensure(state.status == Status::Open as u8, Error::NotOpen)?;
        ensure(now < self.terms.closes_at, Error::Closed)
    }

    /// `min(available, due)`; without partials all that is due or nothing; never zero.
    #[inline(always)]
    pub fn moved(&self, state: &State, available: u64) -> Outcome<u64> {
        let Some(due) = self.terms.amount.checked_sub(state.paid) else { return Err(Error::Arithmetic.into()) };
        let amount = available.min(due);
        ensure(self.terms.partials() || amount == due, Error::NotFunded)?;
        ensure(amount != 0, Error::NothingDue)?;
        Ok(amount)
    }

    /// The state after the payee got `amount`; with the last unit the invoice is paid in full.
    #[inline(always)]
    pub fn paid(&self, state: State, amount: u64, now: i64) -> Outcome<State> {
        let Some(paid) = state.paid.checked_add(amount) else { return Err(Error::Arithmetic.into()) };
        Ok(if paid == self.terms.amount {
            State { paid, since: now, status: Status::Paid as u8 }
        } else {
            State { paid, ..state }
        })
    }

    /// "When money may go back": PROTOCOL §4. `by_key`: the refund key asks.
    #[inline(always)]
    pub fn refundable(&self, state: &State, invoice: &AccountView, tokens: &Tokens<'_>, by_key: bool) -> Outcome {
        let now = sys::now()?;
        let ended = state.status != Status::Open as u8;
        let from = if !by_key && self.terms.has_refund_key() {
            let end = if ended { state.since.min(self.terms.closes_at) } else { self.terms.closes_at };
            end.saturating_add(WAIT_SECONDS)
        } else if !ended && self.valid(now, invoice, tokens).is_ok() {
            self.terms.closes_at
        } else {
            return Ok(());
        };
        ensure(now >= from, Error::NotRefundable)
    }

    /// That there is somewhere to go: all that a refund checks of the terms.
    #[inline(always)]
    pub fn goes_back_somewhere(&self, invoice: &AccountView) -> Outcome {
        Ok(self.terms.check_refund_to(invoice.address().as_array(), self.program.as_array())?)
    }

    /// That this is `owner`'s canonical associated token account and still his.
    #[inline(always)]
    pub fn destination(&self, account: &AccountView, tokens: &Tokens<'_>, owner: &Key, bump: u8) -> Outcome {
        let canonical = token::is_associated(account, owner, tokens, bump);
        ensure(canonical && tokens.balance(account, owner).is_some(), Error::WrongDestination)
    }
}

/// The terms where they lie.
#[inline(always)]
#[allow(unsafe_code, reason = "the one cast; what it needs is proven when it is compiled")]
fn view(bytes: &[u8; TERMS_BYTES]) -> &Terms {
    // SAFETY: `Terms` is packed, has no padding and exactly these bytes (escrow_interface asserts it), and any bytes are terms.
    unsafe { &*bytes.as_ptr().cast() }
}

/// Whether the account has this address and signed.
#[inline(always)]
pub fn signs(account: &AccountView, address: &Key) -> bool {
    account.is_signer() && same(account.address().as_array(), address)
}

/// That this is the system program.
#[inline(always)]
pub fn system_program(account: &AccountView) -> Outcome {
    ensure(account.address() == &system::SYSTEM, Error::WrongProgram)
}
