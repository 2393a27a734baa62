//! The invoice escrow on Solana (PROTOCOL §6, with §1 to §4; `docs/adr/0012-solana-escrow.md`). No owner, no pause, no
//! upgrade: it is deployed final.
//!
//! Its bytes (terms, addresses, tags, accounts, record, event, errors) are those of `escrow_interface`, the only place where
//! they are written down. What is here:
//!
//! | module | what it does |
//! | --- | --- |
//! | [`ask`] | what every verb begins with: the terms, their hash, the time; who may, and when |
//! | [`record`] | finds, makes, changes and closes the record |
//! | [`token`] | reads mints and token accounts, and calls their programs |
//! | [`event`] | tells what happened |
//! | [`verb`] | the nine instructions, each from left to right: valid terms, who, when, effect |
//!
//! What the runtime is asked (SHA-256, time, rent) is in `runtime`, with the unsafe code besides one cast each in [`ask`] and [`record`].
//! Built with Debian's compiler it has no stack arguments: a function that is not inlined takes at most five words.

#![no_std]
#![warn(clippy::indexing_slicing)]

pub mod ask;
pub mod event;
pub mod record;
pub mod stop;
pub mod token;
pub mod verb;

use ask::Ask;
use escrow_interface::{Error, instruction::Tag, terms::TERMS_BYTES};
use pinocchio::{AccountView, Address};
use stop::Outcome;

#[cfg(not(feature = "no-entrypoint"))]
mod entrypoint {
    #![allow(unsafe_code, unreachable_pub, reason = "the entry point is given a pointer, and is called by its name")]

    use core::mem::MaybeUninit;
    use pinocchio::{AccountView, MAX_TX_ACCOUNTS, entrypoint::deserialize};

    pinocchio::no_allocator!();
    pinocchio::nostd_panic_handler!();

    /// What the runtime calls.
    ///
    /// # Safety
    ///
    /// `input` is what the loader has serialised for this call.
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn entrypoint(input: *mut u8) -> u64 {
        let mut accounts = [const { MaybeUninit::<AccountView>::uninit() }; MAX_TX_ACCOUNTS];
        // SAFETY: the input is the loader's, and as many accounts as it says have been written.
        let (program, accounts, data) = unsafe {
            let (program, count, data) = deserialize::<MAX_TX_ACCOUNTS>(input, &mut accounts);
            (program, core::slice::from_raw_parts(accounts.as_ptr().cast::<AccountView>(), count), data)
        };
        super::stop::code(super::run(program, accounts, data))
    }
}

/// One instruction.
#[inline(always)]
pub fn run(program: &Address, accounts: &[AccountView], data: &[u8]) -> Outcome {
    let Some((&tag, rest)) = data.split_first() else { return Err(Error::InvalidInstruction.into()) };
    let Some(tag) = Tag::from_u8(tag) else { return event::heard(program, accounts, data) };
    if data.len() != tag.data_bytes() {
        return Err(Error::InvalidInstruction.into());
    }
    let Some((terms, rest)) = rest.split_first_chunk::<TERMS_BYTES>() else {
        return Err(Error::InvalidInstruction.into());
    };
    let ask = Ask::new(program, terms, rest);
    match tag {
        Tag::Settle => verb::settle::settle(&ask, accounts),
        Tag::Pay => verb::pay::pay(&ask, accounts),
        Tag::Cancel => verb::cancel::cancel(&ask, accounts),
        Tag::Refund | Tag::RefundByKey => verb::refund::refund(&ask, accounts),
        Tag::RefundNative => verb::refund::native(&ask, accounts),
        Tag::OpenVault => verb::vault::open(&ask, accounts),
        Tag::CloseVault => verb::vault::close(&ask, accounts),
        Tag::CloseRecord => verb::close_record::close_record(&ask, accounts),
    }
}
