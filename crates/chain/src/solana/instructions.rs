//! The escrow's instructions, and those around them. The order of accounts is `escrow_interface::instruction`'s.

use crate::Error;
use escrow_interface::instruction::{self, Tag};
use escrow_interface::{address, gate};
use solana_instruction::{AccountMeta, Instruction};
use terms::solana::{Addresses, associated_token, event_authority, sha256};
use terms::{Pubkey, SolanaTerms};

/// The system program.
pub const SYSTEM_PROGRAM: Pubkey = Pubkey::new_from_array([0; 32]);

/// The associated token account program.
pub const ASSOCIATED_TOKEN_PROGRAM: Pubkey = Pubkey::new_from_array(address::ASSOCIATED_TOKEN_PROGRAM);

/// Sets limit and price of a transaction.
pub const COMPUTE_BUDGET_PROGRAM: Pubkey = Pubkey::from_str_const("ComputeBudget111111111111111111111111111111");

/// The escrow at one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Escrow {
    /// The program.
    pub program: Pubkey,
    /// Who signs its events.
    pub event_authority: Pubkey,
}

/// One invoice of one escrow: its terms and every address that follows.
#[derive(Clone, Debug)]
pub struct Invoice {
    escrow: Escrow,
    terms: [u8; escrow_interface::terms::TERMS_BYTES],
    payee: Pubkey,
    refund_to: Pubkey,
    mint: Pubkey,
    token_program: Pubkey,
    settler: Pubkey,
    refund_key: Pubkey,
    /// Its own address and the record's.
    pub addresses: Addresses,
    /// What settlements empty, and its bump.
    pub vault: (Pubkey, u8),
    /// Where settlements go, and its bump.
    pub payee_account: (Pubkey, u8),
}

/// Tokens that lie somewhere at the invoice's address.
#[derive(Clone, Copy, Debug)]
pub struct Tokens {
    /// The token account.
    pub account: Pubkey,
    /// Its mint.
    pub mint: Pubkey,
    /// Its program.
    pub token_program: Pubkey,
}

impl Escrow {
    /// The escrow at `program`. An error where events could not be signed at the one bump there is.
    pub fn at(program: Pubkey) -> Result<Self, Error> {
        let event_authority = event_authority(&program);
        let event_authority = event_authority
            .ok_or_else(|| Error::Configuration(format!("{program} can be no escrow: it could sign no events")))?;
        Ok(Self { program, event_authority })
    }

    /// The invoice of these terms. An error where there is none: one of its addresses would lie on the curve.
    pub fn invoice(&self, terms: &SolanaTerms) -> Result<Invoice, Error> {
        let addresses = terms.addresses(&self.program);
        let addresses = addresses
            .ok_or_else(|| Error::Configuration(format!("the terms {} have no address on Solana", terms.hash())))?;
        let (token_program, mint) = (terms.token_program(), terms.token);
        Ok(Invoice {
            escrow: *self,
            terms: terms.wire().encode(),
            payee: terms.payee,
            refund_to: terms.refund_to,
            mint,
            token_program,
            settler: terms.settler,
            refund_key: terms.refund_key,
            addresses,
            vault: terms.vault(&addresses.invoice),
            payee_account: associated_token(&terms.payee, &mint, &token_program),
        })
    }
}

impl Invoice {
    /// Vault → payee. `rent_payer` pays for the record if there is none yet.
    pub fn settle(&self, rent_payer: Pubkey) -> Instruction {
        let accounts: [AccountMeta; instruction::settle::COUNT] = [
            signer(rent_payer, true),
            self.settler_or(rent_payer),
            readonly(self.addresses.invoice),
            writable(self.addresses.record),
            writable(self.vault.0),
            writable(self.payee_account.0),
            readonly(self.mint),
            readonly(self.token_program),
            readonly(self.escrow.event_authority),
            readonly(self.escrow.program),
            readonly(SYSTEM_PROGRAM),
        ];
        self.ask(Tag::Settle, accounts, &[self.vault.1, self.payee_account.1])
    }

    /// Payer → payee, at most `ceiling`, from a token account that `payer` owns.
    pub fn pay(&self, rent_payer: Pubkey, payer: Pubkey, source: Pubkey, ceiling: u64) -> Instruction {
        let accounts: [AccountMeta; instruction::pay::COUNT] = [
            signer(rent_payer, true),
            self.settler_or(rent_payer),
            signer(payer, false),
            writable(source),
            readonly(self.addresses.invoice),
            writable(self.addresses.record),
            writable(self.payee_account.0),
            readonly(self.mint),
            readonly(self.token_program),
            readonly(self.escrow.event_authority),
            readonly(self.escrow.program),
            readonly(SYSTEM_PROGRAM),
        ];
        let mut more = ceiling.to_le_bytes().to_vec();
        more.push(self.payee_account.1);
        self.ask(Tag::Pay, accounts, &more)
    }

    /// Ends the invoice; `canceller` is its payee or its settler.
    pub fn cancel(&self, rent_payer: Pubkey, canceller: Pubkey) -> Instruction {
        let accounts: [AccountMeta; instruction::cancel::COUNT] = [
            signer(rent_payer, true),
            signer(canceller, false),
            readonly(self.addresses.invoice),
            writable(self.addresses.record),
            readonly(self.mint),
            readonly(self.escrow.event_authority),
            readonly(self.escrow.program),
            readonly(SYSTEM_PROGRAM),
        ];
        self.ask(Tag::Cancel, accounts, &[])
    }

    /// Tokens at the invoice's address → refundTo. `more` are accounts that the token's own program wants.
    pub fn refund(&self, tokens: Tokens, more: &[AccountMeta]) -> Instruction {
        let (to, bump) = self.refund_account(tokens);
        let mut refund = self.ask(
            Tag::Refund,
            // Anybody may: the key's place is there all the same.
            self.refund_accounts(readonly(self.addresses.invoice), tokens, to),
            &[bump],
        );
        refund.accounts.extend_from_slice(more);
        refund
    }

    /// Where [`Invoice::refund`] sends them. It has to exist.
    pub fn refund_account(&self, tokens: Tokens) -> (Pubkey, u8) {
        associated_token(&self.refund_to, &tokens.mint, &tokens.token_program)
    }

    /// Tokens at the invoice's address → any token account, as the refund key says, which signs.
    pub fn refund_by_key(&self, tokens: Tokens, to: Pubkey, more: &[AccountMeta]) -> Instruction {
        let accounts = self.refund_accounts(signer(self.refund_key, false), tokens, to);
        let mut refund = self.ask(Tag::RefundByKey, accounts, &[]);
        refund.accounts.extend_from_slice(more);
        refund
    }

    /// Lamports at the invoice's address → refundTo.
    pub fn refund_native(&self) -> Instruction {
        let accounts: [AccountMeta; instruction::refund_native::COUNT] = [
            writable(self.addresses.invoice),
            readonly(self.addresses.record),
            writable(self.refund_to),
            readonly(self.escrow.event_authority),
            readonly(self.escrow.program),
            readonly(SYSTEM_PROGRAM),
        ];
        self.ask(Tag::RefundNative, accounts, &[])
    }

    /// Makes vault and record where they are missing.
    pub fn open_vault(&self, rent_payer: Pubkey) -> Instruction {
        let accounts: [AccountMeta; instruction::open_vault::COUNT] = [
            signer(rent_payer, true),
            readonly(self.addresses.invoice),
            writable(self.addresses.record),
            writable(self.vault.0),
            readonly(self.mint),
            readonly(self.token_program),
            readonly(ASSOCIATED_TOKEN_PROGRAM),
            readonly(SYSTEM_PROGRAM),
        ];
        self.ask(Tag::OpenVault, accounts, &[])
    }

    /// Closes the empty vault; `vault_payer` is who the record says has paid for it, if it says so.
    pub fn close_vault(&self, vault_payer: Option<Pubkey>) -> Instruction {
        let accounts: [AccountMeta; instruction::close_vault::COUNT] = [
            readonly(self.addresses.invoice),
            writable(self.addresses.record),
            writable(self.vault.0),
            writable(vault_payer.unwrap_or(self.refund_to)),
            writable(self.refund_to),
            readonly(self.mint),
            readonly(self.token_program),
        ];
        self.ask(Tag::CloseVault, accounts, &[self.vault.1])
    }

    /// Closes the record; `rent_payer` is who it says has paid for it.
    pub fn close_record(&self, rent_payer: Pubkey) -> Instruction {
        let accounts: [AccountMeta; instruction::close_record::COUNT] = [
            writable(self.addresses.record),
            writable(rent_payer),
            writable(self.refund_to),
            readonly(self.escrow.event_authority),
            readonly(self.escrow.program),
        ];
        self.ask(Tag::CloseRecord, accounts, &[])
    }

    /// Makes the payee's token account if it is missing: a settlement creates none.
    pub fn open_payee_account(&self, rent_payer: Pubkey) -> Instruction {
        create_associated_token(rent_payer, self.payee, self.payee_account.0, self.mint, self.token_program)
    }

    /// Makes refundTo's token account if it is missing: a refund creates none.
    pub fn open_refund_account(&self, rent_payer: Pubkey, tokens: Tokens) -> Instruction {
        let Tokens { mint, token_program, .. } = tokens;
        create_associated_token(rent_payer, self.refund_to, self.refund_account(tokens).0, mint, token_program)
    }

    fn settler_or(&self, anyone: Pubkey) -> AccountMeta {
        let nobody = self.settler == SYSTEM_PROGRAM;
        if nobody { readonly(anyone) } else { signer(self.settler, false) }
    }

    fn refund_accounts(
        &self,
        key: AccountMeta,
        tokens: Tokens,
        to: Pubkey,
    ) -> [AccountMeta; instruction::refund::COUNT] {
        [
            key,
            readonly(self.addresses.invoice),
            readonly(self.addresses.record),
            writable(tokens.account),
            writable(to),
            readonly(tokens.mint),
            readonly(tokens.token_program),
            readonly(self.escrow.event_authority),
            readonly(self.escrow.program),
        ]
    }

    fn ask<const N: usize>(&self, tag: Tag, accounts: [AccountMeta; N], more: &[u8]) -> Instruction {
        let mut data = Vec::with_capacity(tag.data_bytes());
        data.push(tag as u8);
        data.extend_from_slice(&self.terms);
        data.extend_from_slice(more);
        Instruction { program_id: self.escrow.program, accounts: accounts.to_vec(), data }
    }
}

/// The gate at one address, and what it signs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gate {
    /// The program.
    pub program: Pubkey,
    /// The settler in the terms.
    pub settler: Pubkey,
    /// Where it keeps which keys may do what.
    pub config: Pubkey,
}

impl Gate {
    /// The gate at `program`. An error where one of its addresses does not exist.
    pub fn at(program: Pubkey) -> Result<Self, Error> {
        let of_seed = |seed| {
            let key = Pubkey::new_from_array(sha256(&gate::of_seed(seed, program.as_array())));
            let exists = !key.is_on_curve();
            exists
                .then_some(key)
                .ok_or_else(|| Error::Configuration(format!("{program} can be no gate: it could not sign")))
        };
        Ok(Self { program, settler: of_seed(gate::GATE_SEED)?, config: of_seed(gate::CONFIG_SEED)? })
    }

    /// A settlement or a cancellation through the gate, at the word of one of its keys. The gate signs for the settler.
    pub fn pass(&self, key: Pubkey, asked: Instruction) -> Instruction {
        let own: [AccountMeta; gate::BEFORE] = [readonly(self.config), signer(key, false), readonly(asked.program_id)];
        let mut accounts = own.to_vec();
        accounts.extend(asked.accounts.into_iter().map(|mut account| {
            account.is_signer &= account.pubkey != self.settler;
            account
        }));
        Instruction { program_id: self.program, accounts, data: asked.data }
    }

    /// Makes the config: `admin` will say which keys there are.
    pub fn init(&self, admin: Pubkey, escrow: Pubkey) -> Instruction {
        let accounts: [AccountMeta; gate::init::COUNT] =
            [writable(self.config), signer(admin, true), readonly(SYSTEM_PROGRAM)];
        let data = [&[gate::INIT], escrow.as_array().as_slice()].concat();
        Instruction { program_id: self.program, accounts: accounts.to_vec(), data }
    }

    /// Says anew which keys there are.
    pub fn set_keys(&self, admin: Pubkey, settlers: &[Pubkey], cancellers: &[Pubkey]) -> Instruction {
        // More than fit in a byte are more than the gate takes, and refused there.
        let count = |keys: &[Pubkey]| u8::try_from(keys.len()).unwrap_or(u8::MAX);
        let mut data = vec![gate::SET_KEYS, count(settlers), count(cancellers)];
        settlers.iter().chain(cancellers).for_each(|key| data.extend_from_slice(key.as_array()));
        let accounts: [AccountMeta; gate::set_keys::COUNT] = [writable(self.config), signer(admin, false)];
        Instruction { program_id: self.program, accounts: accounts.to_vec(), data }
    }
}

/// Makes an associated token account, and does nothing where there is one.
pub fn create_associated_token(
    rent_payer: Pubkey,
    owner: Pubkey,
    account: Pubkey,
    mint: Pubkey,
    token_program: Pubkey,
) -> Instruction {
    const IDEMPOTENT: u8 = 1;
    let accounts = vec![
        signer(rent_payer, true),
        writable(account),
        readonly(owner),
        readonly(mint),
        readonly(SYSTEM_PROGRAM),
        readonly(token_program),
    ];
    Instruction { program_id: ASSOCIATED_TOKEN_PROGRAM, accounts, data: vec![IDEMPOTENT] }
}

/// The most compute units the transaction may use.
pub fn compute_unit_limit(units: u32) -> Instruction {
    let data = [&[2], units.to_le_bytes().as_slice()].concat();
    Instruction { program_id: COMPUTE_BUDGET_PROGRAM, accounts: Vec::new(), data }
}

/// What it pays for each of them, in millionths of a lamport.
pub fn compute_unit_price(micro_lamports: u64) -> Instruction {
    let data = [&[3], micro_lamports.to_le_bytes().as_slice()].concat();
    Instruction { program_id: COMPUTE_BUDGET_PROGRAM, accounts: Vec::new(), data }
}

fn signer(key: Pubkey, pays: bool) -> AccountMeta {
    AccountMeta { pubkey: key, is_signer: true, is_writable: pays }
}

fn writable(key: Pubkey) -> AccountMeta {
    AccountMeta { pubkey: key, is_signer: false, is_writable: true }
}

fn readonly(key: Pubkey) -> AccountMeta {
    AccountMeta { pubkey: key, is_signer: false, is_writable: false }
}
