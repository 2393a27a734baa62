//! The mint half (PROTOCOL §5, §6; `docs/adr/0017-solana-mint-gate.md`). Its bytes are in `escrow_interface::mint`.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`attested`] | whether attestors signed: the Ed25519 instruction before ours |
//! | [`mint_and_pay`] | mints what an invoice is due, and pays it |
//! | [`redeem`] | burns what a redemption was paid; closes its marker |
//! | [`rule`] | makes, changes and lowers the settings; what attestors say of the reserve |
//! | [`token`] | reads SPL Token's accounts, and calls it |
//! | [`event`] | tells what happened |

pub mod attested;
pub mod event;
pub mod mint_and_pay;
pub mod redeem;
pub mod rule;
pub mod token;

use crate::refuse;
use escrow_interface::{
    gate::{GATE_SEED, GateError},
    mint::{APPLY, ATTEST_RESERVE, CLOSE_REDEEMED, INIT_MINT, LOWER, MINT_AND_PAY, PROPOSE, REDEEM},
};
use pinocchio::{AccountView, Address, ProgramResult, cpi::Seed, error::ProgramError};

/// One instruction of this half. Accounts after those that it looks at are ignored, data of another length is refused.
#[inline(always)]
pub fn run(program: &Address, accounts: &[AccountView], tag: u8, rest: &[u8]) -> ProgramResult {
    match tag {
        INIT_MINT => rule::init(program, first(accounts)?, exactly(rest)?),
        MINT_AND_PAY => mint_and_pay::mint_and_pay(program, first(accounts)?, exactly(rest)?),
        ATTEST_RESERVE => rule::attest_reserve(program, first(accounts)?, exactly(rest)?),
        REDEEM => redeem::redeem(program, first(accounts)?, exactly(rest)?),
        CLOSE_REDEEMED => redeem::close(program, first(accounts)?, exactly(rest)?),
        PROPOSE => rule::propose(program, first(accounts)?, exactly(rest)?),
        APPLY => rule::apply(program, first(accounts)?, exactly(rest)?),
        LOWER => rule::lower(program, first(accounts)?, exactly(rest)?),
        _ => refuse(GateError::InvalidInstruction),
    }
}

#[inline(always)]
fn first<const N: usize>(accounts: &[AccountView]) -> Result<&[AccountView; N], ProgramError> {
    accounts.first_chunk().ok_or(ProgramError::Custom(GateError::WrongAccounts as u32))
}

#[inline(always)]
fn exactly<const N: usize>(rest: &[u8]) -> Result<&[u8; N], ProgramError> {
    rest.try_into().map_err(|_| ProgramError::Custom(GateError::InvalidInstruction as u32))
}

/// What the gate's address signs with.
#[inline(always)]
fn gate_seeds() -> [Seed<'static>; 2] {
    [Seed::from(GATE_SEED), Seed::from(&[escrow_interface::address::BUMP])]
}
