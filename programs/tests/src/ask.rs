//! An invoice and the instructions about it, as a client builds them.

use crate::{
    derived,
    net::{Net, START, escrow, event_authority, gate, gate_config, gate_signer, system},
    person, sha256, tokens,
};
use escrow_interface::{
    CHAIN, Key, NONE, Record, Terms,
    address::{INVOICE_SEED, RECORD_SEED, of_terms},
    instruction::Tag,
    local,
    terms::{FLAG_PARTIALS, FLAG_TOKEN_2022, HASH_PREFIX, VERSION},
};
use solana_address::Address;
use solana_instruction::{AccountMeta, Instruction};

/// Terms and what follows from them.
#[derive(Clone, Debug)]
pub struct Invoice {
    /// The terms.
    pub terms: Terms,
    /// Their hash.
    pub hash: Key,
    /// The invoice's address.
    pub address: Address,
    /// The record's address.
    pub record: Address,
}

/// What an ordinary invoice is for, base units.
pub const AMOUNT: u64 = 1_000_000;

/// An address as the terms have it.
pub fn key(address: Address) -> Key {
    address.to_bytes()
}

impl Invoice {
    /// The addresses of these terms, if they exist at bump 255.
    pub fn of(terms: Terms) -> Option<Self> {
        let hash = sha256(&[HASH_PREFIX, &terms.encode()]);
        let address = derived(&of_terms(INVOICE_SEED, &hash, &local::ESCROW))?;
        let record = derived(&of_terms(RECORD_SEED, &hash, &local::ESCROW))?;
        Some(Self { terms, hash, address, record })
    }

    /// As an issuer does: draws invoice ids until the addresses exist. `salt` begins the draw.
    pub fn issue(mut terms: Terms, salt: &[u8]) -> Self {
        for counter in 0u32.. {
            terms.invoice_id = sha256(&[salt, &counter.to_le_bytes()]);
            if let Some(invoice) = Self::of(terms) {
                return invoice;
            }
        }
        unreachable!("one in 4.4 fits")
    }

    /// An ordinary one, whole amount or nothing, anyone may settle, changed by `with`.
    pub fn with(with: impl FnOnce(&mut Terms)) -> Self {
        let mut terms = Terms {
            version: VERSION,
            chain: CHAIN,
            invoice_id: NONE,
            payee: key(person("payee")),
            token: key(person("mint")),
            amount: AMOUNT,
            closes_at: START + 86_400,
            refund_to: key(person("refund to")),
            refund_key: NONE,
            settler: NONE,
            flags: 0,
        };
        with(&mut terms);
        Self::issue(terms, b"test")
    }

    /// Who gets paid.
    pub fn payee(&self) -> Address {
        self.terms.payee.into()
    }

    /// Where money goes back.
    pub fn refund_to(&self) -> Address {
        self.terms.refund_to.into()
    }

    /// The mint.
    pub fn mint(&self) -> Address {
        self.terms.token.into()
    }

    /// The mint's program.
    pub fn token_program(&self) -> Address {
        tokens::program(self.terms.token_2022())
    }

    /// Whose account for the invoice's mint, and its bump.
    pub fn associated(&self, owner: Address) -> (Address, u8) {
        tokens::associated(owner, self.mint(), self.terms.token_2022())
    }

    /// Where money for it lies.
    pub fn vault(&self) -> Address {
        self.associated(self.address).0
    }

    /// Mint, payee's and refundTo's accounts, `amount` in the vault, and everybody rich in lamports.
    pub fn set_up(&self, net: &mut Net, amount: u64) {
        let token_2022 = self.terms.token_2022();
        if net.account(self.mint()).is_none() {
            net.mint(self.mint(), token_2022);
        }
        for owner in [self.payee(), self.refund_to()] {
            net.fund(owner, self.mint(), token_2022, 0);
            if net.lamports(owner) == 0 {
                net.give(owner, crate::net::LAMPORTS);
            }
        }
        for rich in [person("keeper"), person("payer"), person("settler"), person("refund key"), person("admin")] {
            if net.lamports(rich) == 0 {
                net.give(rich, crate::net::LAMPORTS);
            }
        }
        net.fund(self.address, self.mint(), token_2022, amount);
        net.fund(person("payer"), self.mint(), token_2022, 10 * AMOUNT);
    }

    /// Its record, if there is one.
    pub fn record(&self, net: &Net) -> Option<Record> {
        let account = net.account(self.record)?;
        (account.owner == escrow()).then(|| Record::decode(&account.data).expect("a record"))
    }

    fn instruction(&self, tag: Tag, rest: &[u8], accounts: Vec<AccountMeta>) -> Instruction {
        let data = [&[tag as u8], self.terms.encode().as_slice(), rest].concat();
        assert_eq!(data.len(), tag.data_bytes());
        Instruction { program_id: escrow(), accounts, data }
    }

    /// By whom the terms say, or by the keeper; the keeper pays rent.
    pub fn settle(&self) -> Instruction {
        let settler = if self.terms.settler == NONE { person("keeper") } else { self.terms.settler.into() };
        self.settle_by(settler)
    }

    /// By `settler`.
    pub fn settle_by(&self, settler: Address) -> Instruction {
        let (vault, vault_bump) = self.associated(self.address);
        let (destination, destination_bump) = self.associated(self.payee());
        let accounts = vec![
            AccountMeta::new(person("keeper"), true),
            AccountMeta::new_readonly(settler, true),
            AccountMeta::new_readonly(self.address, false),
            AccountMeta::new(self.record, false),
            AccountMeta::new(vault, false),
            AccountMeta::new(destination, false),
            AccountMeta::new_readonly(self.mint(), false),
            AccountMeta::new_readonly(self.token_program(), false),
            AccountMeta::new_readonly(event_authority(), false),
            AccountMeta::new_readonly(escrow(), false),
            AccountMeta::new_readonly(system(), false),
        ];
        self.instruction(Tag::Settle, &[vault_bump, destination_bump], accounts)
    }

    /// `payer` pays at most `ceiling`.
    pub fn pay(&self, payer: Address, ceiling: u64) -> Instruction {
        let settler = if self.terms.settler == NONE { payer } else { self.terms.settler.into() };
        self.pay_by(settler, payer, ceiling)
    }

    /// The same, let through by `settler`.
    pub fn pay_by(&self, settler: Address, payer: Address, ceiling: u64) -> Instruction {
        let (destination, bump) = self.associated(self.payee());
        let accounts = vec![
            AccountMeta::new(person("keeper"), true),
            AccountMeta::new_readonly(settler, true),
            AccountMeta::new_readonly(payer, true),
            AccountMeta::new(self.associated(payer).0, false),
            AccountMeta::new_readonly(self.address, false),
            AccountMeta::new(self.record, false),
            AccountMeta::new(destination, false),
            AccountMeta::new_readonly(self.mint(), false),
            AccountMeta::new_readonly(self.token_program(), false),
            AccountMeta::new_readonly(event_authority(), false),
            AccountMeta::new_readonly(escrow(), false),
            AccountMeta::new_readonly(system(), false),
        ];
        self.instruction(Tag::Pay, &[ceiling.to_le_bytes().as_slice(), &[bump]].concat(), accounts)
    }

    /// `canceller` ends it.
    pub fn cancel(&self, canceller: Address) -> Instruction {
        let accounts = vec![
            AccountMeta::new(person("keeper"), true),
            AccountMeta::new_readonly(canceller, true),
            AccountMeta::new_readonly(self.address, false),
            AccountMeta::new(self.record, false),
            AccountMeta::new_readonly(self.mint(), false),
            AccountMeta::new_readonly(event_authority(), false),
            AccountMeta::new_readonly(escrow(), false),
            AccountMeta::new_readonly(system(), false),
        ];
        self.instruction(Tag::Cancel, &[], accounts)
    }

    /// What lies in the vault goes back.
    pub fn refund(&self) -> Instruction {
        self.refund_of(self.mint(), self.terms.token_2022(), self.vault())
    }

    /// What lies in any account of the invoice's address goes back.
    pub fn refund_of(&self, mint: Address, token_2022: bool, source: Address) -> Instruction {
        let (destination, bump) = tokens::associated(self.refund_to(), mint, token_2022);
        let accounts = self.refund_accounts(person("keeper"), mint, token_2022, source, destination);
        self.instruction(Tag::Refund, &[bump], accounts)
    }

    /// The refund key sends what lies in the vault to `destination`, a token account.
    pub fn refund_by_key(&self, key: Address, destination: Address) -> Instruction {
        self.refund_by_key_of(key, self.mint(), self.terms.token_2022(), self.vault(), destination)
    }

    /// The same of any account of the invoice's address.
    pub fn refund_by_key_of(
        &self,
        key: Address,
        mint: Address,
        token_2022: bool,
        source: Address,
        destination: Address,
    ) -> Instruction {
        let accounts = self.refund_accounts(key, mint, token_2022, source, destination);
        self.instruction(Tag::RefundByKey, &[], accounts)
    }

    fn refund_accounts(
        &self,
        key: Address,
        mint: Address,
        token_2022: bool,
        source: Address,
        destination: Address,
    ) -> Vec<AccountMeta> {
        vec![
            AccountMeta::new_readonly(key, true),
            AccountMeta::new_readonly(self.address, false),
            AccountMeta::new_readonly(self.record, false),
            AccountMeta::new(source, false),
            AccountMeta::new(destination, false),
            AccountMeta::new_readonly(mint, false),
            AccountMeta::new_readonly(tokens::program(token_2022), false),
            AccountMeta::new_readonly(event_authority(), false),
            AccountMeta::new_readonly(escrow(), false),
        ]
    }

    /// Lamports at the invoice's address go back.
    pub fn refund_native(&self) -> Instruction {
        let accounts = vec![
            AccountMeta::new(self.address, false),
            AccountMeta::new_readonly(self.record, false),
            AccountMeta::new(self.refund_to(), false),
            AccountMeta::new_readonly(event_authority(), false),
            AccountMeta::new_readonly(escrow(), false),
            AccountMeta::new_readonly(system(), false),
        ];
        self.instruction(Tag::RefundNative, &[], accounts)
    }

    /// `payer` pays for vault and record.
    pub fn open_vault(&self, payer: Address) -> Instruction {
        let accounts = vec![
            AccountMeta::new(payer, true),
            AccountMeta::new_readonly(self.address, false),
            AccountMeta::new(self.record, false),
            AccountMeta::new(self.vault(), false),
            AccountMeta::new_readonly(self.mint(), false),
            AccountMeta::new_readonly(self.token_program(), false),
            AccountMeta::new_readonly(tokens::associated_program(), false),
            AccountMeta::new_readonly(system(), false),
        ];
        self.instruction(Tag::OpenVault, &[], accounts)
    }

    /// The rent of the vault goes to `payer`, if the record says so.
    pub fn close_vault(&self, payer: Address) -> Instruction {
        let (vault, bump) = self.associated(self.address);
        let accounts = vec![
            AccountMeta::new_readonly(self.address, false),
            AccountMeta::new(self.record, false),
            AccountMeta::new(vault, false),
            AccountMeta::new(payer, false),
            AccountMeta::new(self.refund_to(), false),
            AccountMeta::new_readonly(self.mint(), false),
            AccountMeta::new_readonly(self.token_program(), false),
        ];
        self.instruction(Tag::CloseVault, &[bump], accounts)
    }

    /// The rent of the record goes to `payer`.
    pub fn close_record(&self, payer: Address) -> Instruction {
        let accounts = vec![
            AccountMeta::new(self.record, false),
            AccountMeta::new(payer, false),
            AccountMeta::new(self.refund_to(), false),
            AccountMeta::new_readonly(event_authority(), false),
            AccountMeta::new_readonly(escrow(), false),
        ];
        self.instruction(Tag::CloseRecord, &[], accounts)
    }

    /// Every address that an instruction about it may touch.
    pub fn everybody(&self) -> Vec<Address> {
        let owners = [self.payee(), self.refund_to(), person("payer"), self.address, person("thief")];
        let held = owners.map(|owner| self.associated(owner).0);
        let people = [person("keeper"), person("settler"), person("other"), self.record, self.mint()];
        [owners.as_slice(), &held, &people].concat()
    }
}

/// The flags of an invoice.
pub fn flags(partials: bool, token_2022: bool) -> u8 {
    (u8::from(partials) * FLAG_PARTIALS) | (u8::from(token_2022) * FLAG_TOKEN_2022)
}

/// The escrow's instruction, asked through the gate by `key`.
pub fn through_gate(key: Address, mut inner: Instruction) -> Instruction {
    inner.accounts[escrow_interface::gate::SETTLER] = AccountMeta::new_readonly(gate_signer(), false);
    let before = [
        AccountMeta::new_readonly(gate_config(), false),
        AccountMeta::new_readonly(key, true),
        AccountMeta::new_readonly(escrow(), false),
    ];
    let accounts = before.into_iter().chain(inner.accounts).collect();
    Instruction { program_id: gate(), accounts, data: inner.data }
}

/// Makes the gate's config.
pub fn gate_init(admin: Address, escrow: Address) -> Instruction {
    let accounts = vec![
        AccountMeta::new(gate_config(), false),
        AccountMeta::new(admin, true),
        AccountMeta::new_readonly(system(), false),
    ];
    let data = [&[escrow_interface::gate::INIT], escrow.as_ref()].concat();
    Instruction { program_id: gate(), accounts, data }
}

/// Says which keys there are.
pub fn gate_keys(admin: Address, settlers: &[Address], cancellers: &[Address]) -> Instruction {
    let accounts = vec![AccountMeta::new(gate_config(), false), AccountMeta::new_readonly(admin, true)];
    let counts = [settlers.len(), cancellers.len()].map(|count| u8::try_from(count).expect("few"));
    let keys = settlers.iter().chain(cancellers).flat_map(|key| key.to_bytes());
    let data = [escrow_interface::gate::SET_KEYS].into_iter().chain(counts).chain(keys).collect();
    Instruction { program_id: gate(), accounts, data }
}
