//! What the gate's mint half is asked. Order of accounts and bytes are `escrow_interface::mint`'s.

use super::instructions::{Escrow, Gate, SYSTEM_PROGRAM};
use crate::Error;
use escrow_interface::address::TOKEN_PROGRAM;
use escrow_interface::gate;
use escrow_interface::mint::{self, Deposit, Reserve, Settings};
use solana_instruction::{AccountMeta, Instruction};
use terms::solana::{associated_token, sha256};
use terms::{Pubkey, SolanaTerms};

/// The program that checks signatures of attestors.
pub const ED25519_PROGRAM: Pubkey = Pubkey::new_from_array(mint::ED25519_PROGRAM);

const INSTRUCTIONS: Pubkey = Pubkey::new_from_array(mint::INSTRUCTIONS_SYSVAR);
const SPL_TOKEN: Pubkey = Pubkey::new_from_array(TOKEN_PROGRAM);

/// The mint half of a gate, for one mint, and every address that follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MintGate {
    gate: Gate,
    escrow: Escrow,
    /// The cluster, as terms name it.
    pub chain: u64,
    /// The token.
    pub mint: Pubkey,
    /// Where it keeps settings and the reserve.
    pub config: Pubkey,
    /// The payee of redemptions.
    pub redemption: Pubkey,
    /// Through it passes what is minted, and its bump.
    pub account: (Pubkey, u8),
    /// Where what redemptions are paid lies, and its bump.
    pub redemption_account: (Pubkey, u8),
}

/// What an attestor has signed, and with which key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Whose.
    pub key: Pubkey,
    /// Over the 32 bytes of the message.
    pub signature: [u8; 64],
}

impl MintGate {
    /// The mint half of `gate`. An error where one of its addresses does not exist.
    pub fn at(gate: Gate, escrow: Escrow, chain: u64, mint: Pubkey) -> Result<Self, Error> {
        let of_seed = |seed| {
            let key = Pubkey::new_from_array(sha256(&gate::of_seed(seed, gate.program.as_array())));
            let exists = !key.is_on_curve();
            exists
                .then_some(key)
                .ok_or_else(|| Error::Configuration(format!("{} can be no gate: it could not mint", gate.program)))
        };
        let (config, redemption) = (of_seed(mint::MINT_SEED)?, of_seed(mint::REDEMPTION_SEED)?);
        let account = associated_token(&gate.settler, &mint, &SPL_TOKEN);
        let redemption_account = associated_token(&redemption, &mint, &SPL_TOKEN);
        Ok(Self { gate, escrow, chain, mint, config, redemption, account, redemption_account })
    }

    /// The 32 bytes that attestors sign for a deposit.
    pub fn deposit_message(&self, terms_hash: &[u8; 32], deposit: &Deposit) -> [u8; 32] {
        let (program, chain) = (self.gate.program.as_array(), self.chain.to_le_bytes());
        sha256(&mint::deposit_message(program, &chain, terms_hash, self.mint.as_array(), &deposit.encode()))
    }

    /// The 32 bytes that attestors sign for the reserve.
    pub fn reserve_message(&self, reserve: &Reserve) -> [u8; 32] {
        let (program, chain) = (self.gate.program.as_array(), self.chain.to_le_bytes());
        sha256(&mint::reserve_message(program, &chain, self.mint.as_array(), &reserve.encode()))
    }

    /// The marker of a deposit: where there is one, it was minted.
    pub fn deposit_marker(&self, deposit_id: &[u8; 32]) -> Pubkey {
        self.marker(mint::DEPOSIT_SEED, deposit_id)
    }

    /// The marker of a redemption: where there is one, it was burned.
    pub fn redeemed_marker(&self, terms_hash: &[u8; 32]) -> Pubkey {
        self.marker(mint::REDEEMED_SEED, terms_hash)
    }

    /// Mints what the invoice is due and pays it: two instructions that stay neighbours. `rent_payer` pays for the marker, which
    /// nobody has back, and for the record if there is none yet. The payee's token account has to exist.
    pub fn mint_and_pay(
        &self,
        rent_payer: Pubkey,
        terms: &SolanaTerms,
        deposit: &Deposit,
        signed: &[Signed],
    ) -> Result<[Instruction; 2], Error> {
        let invoice = self.escrow.invoice(terms)?;
        let message = self.deposit_message(&terms.hash().0, deposit);
        let accounts: [AccountMeta; mint::mint_and_pay::COUNT] = [
            AccountMeta::new(rent_payer, true),
            AccountMeta::new(self.config, false),
            AccountMeta::new(self.deposit_marker(&deposit.id), false),
            AccountMeta::new_readonly(self.gate.settler, false),
            AccountMeta::new(self.account.0, false),
            AccountMeta::new_readonly(invoice.addresses.invoice, false),
            AccountMeta::new(invoice.addresses.record, false),
            AccountMeta::new(invoice.payee_account.0, false),
            AccountMeta::new(self.mint, false),
            AccountMeta::new_readonly(SPL_TOKEN, false),
            AccountMeta::new_readonly(self.escrow.event_authority, false),
            AccountMeta::new_readonly(self.escrow.program, false),
            AccountMeta::new_readonly(SYSTEM_PROGRAM, false),
            AccountMeta::new_readonly(INSTRUCTIONS, false),
            AccountMeta::new_readonly(self.gate.program, false),
        ];
        let bump = [invoice.payee_account.1];
        let ask = self.ask(mint::MINT_AND_PAY, &[&terms.wire().encode(), &deposit.encode(), &bump], &accounts);
        Ok([attested(&message, signed), ask])
    }

    /// Says how much of the reserve is for this mint: two instructions that stay neighbours.
    pub fn attest_reserve(&self, reserve: &Reserve, signed: &[Signed]) -> [Instruction; 2] {
        let accounts: [AccountMeta; mint::attest_reserve::COUNT] = [
            AccountMeta::new(self.config, false),
            AccountMeta::new_readonly(self.gate.settler, false),
            AccountMeta::new_readonly(INSTRUCTIONS, false),
            AccountMeta::new_readonly(self.gate.program, false),
        ];
        let message = self.reserve_message(reserve);
        [attested(&message, signed), self.ask(mint::ATTEST_RESERVE, &[&reserve.encode()], &accounts)]
    }

    /// Burns what a redemption was paid. `rent_payer` pays for the marker, and has it back when it is closed.
    pub fn redeem(&self, rent_payer: Pubkey, terms: &SolanaTerms) -> Result<Instruction, Error> {
        let invoice = self.escrow.invoice(terms)?;
        let accounts: [AccountMeta; mint::redeem::COUNT] = [
            AccountMeta::new(rent_payer, true),
            AccountMeta::new_readonly(self.config, false),
            AccountMeta::new(self.redeemed_marker(&terms.hash().0), false),
            AccountMeta::new_readonly(self.gate.settler, false),
            AccountMeta::new_readonly(self.redemption, false),
            AccountMeta::new(self.redemption_account.0, false),
            AccountMeta::new_readonly(invoice.addresses.record, false),
            AccountMeta::new(self.mint, false),
            AccountMeta::new_readonly(SPL_TOKEN, false),
            AccountMeta::new_readonly(SYSTEM_PROGRAM, false),
            AccountMeta::new_readonly(self.gate.program, false),
        ];
        Ok(self.ask(mint::REDEEM, &[&terms.wire().encode()], &accounts))
    }

    /// Closes a redemption's marker once the record is closed; `rent_payer` is who it says has paid for it.
    pub fn close_redeemed(&self, rent_payer: Pubkey, terms: &SolanaTerms) -> Result<Instruction, Error> {
        let invoice = self.escrow.invoice(terms)?;
        let accounts: [AccountMeta; mint::close_redeemed::COUNT] = [
            AccountMeta::new_readonly(self.config, false),
            AccountMeta::new(self.redeemed_marker(&terms.hash().0), false),
            AccountMeta::new_readonly(invoice.addresses.record, false),
            AccountMeta::new(rent_payer, false),
        ];
        Ok(self.ask(mint::CLOSE_REDEEMED, &[], &accounts))
    }

    /// Makes the config. `admin` is the gate's; both token accounts have to exist.
    pub fn init(&self, admin: Pubkey, settings: &Settings) -> Instruction {
        let accounts: [AccountMeta; mint::init_mint::COUNT] = [
            AccountMeta::new(self.config, false),
            AccountMeta::new_readonly(self.gate.config, false),
            AccountMeta::new(admin, true),
            AccountMeta::new_readonly(self.mint, false),
            AccountMeta::new_readonly(self.account.0, false),
            AccountMeta::new_readonly(self.redemption_account.0, false),
            AccountMeta::new_readonly(SYSTEM_PROGRAM, false),
        ];
        let bumps = [self.account.1, self.redemption_account.1];
        self.ask(mint::INIT_MINT, &[&settings.encode(), &bumps], &accounts)
    }

    /// Proposes settings.
    pub fn propose(&self, admin: Pubkey, settings: &Settings) -> Instruction {
        self.ask(mint::PROPOSE, &[&settings.encode()], &self.ruled(admin))
    }

    /// Applies what was proposed; `admin` is the one it names.
    pub fn apply(&self, admin: Pubkey) -> Instruction {
        self.ask(mint::APPLY, &[], &self.ruled(admin))
    }

    /// Lowers at once and drops what is proposed: `pause`, the most that the daily cap may be (base units), an attestor to
    /// remove.
    pub fn lower(&self, signer: Pubkey, pause: bool, daily_cap: Option<u64>, attestor: Option<Pubkey>) -> Instruction {
        let daily_cap = daily_cap.unwrap_or(u64::MAX).to_le_bytes();
        let attestor = attestor.unwrap_or(SYSTEM_PROGRAM);
        self.ask(mint::LOWER, &[&[u8::from(pause)], &daily_cap, attestor.as_array()], &self.ruled(signer))
    }

    fn ruled(&self, signer: Pubkey) -> [AccountMeta; mint::rule::COUNT] {
        [AccountMeta::new(self.config, false), AccountMeta::new_readonly(signer, true)]
    }

    fn ask(&self, tag: u8, parts: &[&[u8]], accounts: &[AccountMeta]) -> Instruction {
        let data = [&[tag], parts.concat().as_slice()].concat();
        Instruction { program_id: self.gate.program, accounts: accounts.to_vec(), data }
    }

    fn marker(&self, seed: &[u8], id: &[u8; 32]) -> Pubkey {
        let at = |bump: u8| {
            Pubkey::new_from_array(sha256(&mint::of_marker(seed, id, &[bump], self.gate.program.as_array())))
        };
        // That all 256 lie on the curve happens once in 2^256.
        (0..=u8::MAX).rev().map(at).find(|key| !key.is_on_curve()).unwrap_or_default()
    }
}

/// The instruction whose signatures the gate reads: directly before its own. Keys in ascending order, whatever order they came
/// in.
fn attested(message: &[u8; 32], signed: &[Signed]) -> Instruction {
    let mut signed = signed.to_vec();
    signed.sort_by_key(|one| *one.key.as_array());
    // More than fit in a byte are more than the gate takes, and refused there.
    let mut data = vec![u8::try_from(signed.len()).unwrap_or(u8::MAX), 0];
    (0..signed.len()).for_each(|index| data.extend(mint::ed25519_offsets(signed.len(), index)));
    for Signed { key, signature } in &signed {
        data.extend(signature);
        data.extend(key.as_array());
    }
    data.extend(message);
    Instruction { program_id: ED25519_PROGRAM, accounts: Vec::new(), data }
}
