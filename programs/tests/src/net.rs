//! The chain.

use crate::{derived, ed25519, person, tokens};
use escrow_interface::{Error, Recorded, address, gate, local, mint};
use litesvm::LiteSVM;
use solana_account::Account;
use solana_address::Address;
use solana_clock::Clock;
use solana_instruction::{Instruction, error::InstructionError};
use solana_message::{Message, VersionedMessage};
use solana_program_runtime::solana_sbpf::program::BuiltinFunctionDefinition;
use solana_transaction::versioned::VersionedTransaction;
use solana_transaction_error::TransactionError;
use std::collections::{BTreeMap, BTreeSet};

/// When a test begins, unix seconds.
pub const START: i64 = 1_790_000_000;

/// What everybody has at the beginning.
pub const LAMPORTS: u64 = 10_000_000_000;

/// A chain with both programs.
#[derive(Clone)]
pub struct Net {
    /// LiteSVM itself.
    pub svm: LiteSVM,
    /// Pays the fees, and is nobody else.
    pub fee_payer: Address,
}

/// What a transaction did.
#[derive(Clone, Debug, PartialEq)]
pub struct Done {
    /// The escrow's events, in order.
    pub events: Vec<Recorded>,
    /// The gate's events, in order.
    pub told: Vec<mint::Told>,
    /// Compute units of the whole transaction.
    pub units: u64,
    /// The log.
    pub logs: Vec<String>,
    /// What the fee payer paid, lamports.
    pub fee: u64,
}

/// Why a transaction was refused.
#[derive(Clone, Debug, PartialEq)]
pub enum Refused {
    /// One of our errors.
    Escrow(Error),
    /// One of the gate's.
    Gate(gate::GateError),
    /// Another one: the runtime's, or the token program's.
    Other(TransactionError),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Escrow(error)
    }
}

/// The folder of the compiled programs.
pub fn folder() -> std::path::PathBuf {
    let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/../bin");
    std::env::var_os("MONAY_PROGRAMS").map_or_else(|| committed.into(), Into::into)
}

impl Default for Net {
    fn default() -> Self {
        Self::new()
    }
}

impl Net {
    /// With both programs, at [`START`].
    pub fn new() -> Self {
        thread_local! {
            static FRESH: Net = Net::start();
        }
        FRESH.with(Self::clone)
    }

    fn start() -> Self {
        let mut svm = LiteSVM::new()
            .with_sigverify(false)
            .with_blockhash_check(false)
            .with_transaction_history(0)
            .with_log_bytes_limit(Some(100_000));
        for (id, file) in [(local::ESCROW, "invoice_escrow.so"), (local::GATE, "settlement_gate.so")] {
            svm.add_program_from_file(Address::new_from_array(id), folder().join(file)).expect("the compiled program");
        }
        let mut net = Self { svm, fee_payer: person("fee payer") };
        // Signatures are checked in `send`; while the transaction runs their instruction does nothing.
        net.idle_program(ed25519::program());
        net.warp(START);
        net.give(net.fee_payer, 1_000 * LAMPORTS);
        net
    }

    /// A program that takes everything and does nothing.
    pub fn idle_program(&mut self, address: Address) {
        self.svm.add_builtin(address, solana_compute_budget_program::Entrypoint::register);
    }

    /// The chain's time.
    pub fn now(&self) -> i64 {
        self.svm.get_sysvar::<Clock>().unix_timestamp
    }

    /// The chain's time is `now`.
    pub fn warp(&mut self, now: i64) {
        let mut clock = self.svm.get_sysvar::<Clock>();
        clock.unix_timestamp = now;
        self.svm.set_sysvar(&clock);
    }

    /// The account, if there is one.
    pub fn account(&self, address: Address) -> Option<Account> {
        self.svm.get_account(&address).filter(|account| account.lamports > 0)
    }

    /// Lamports at an address.
    pub fn lamports(&self, address: Address) -> u64 {
        self.svm.get_balance(&address).unwrap_or(0)
    }

    /// Puts an account there, whatever was.
    pub fn put(&mut self, address: Address, owner: Address, data: Vec<u8>) {
        let lamports = self.svm.minimum_balance_for_rent_exemption(data.len());
        self.svm
            .set_account(address, Account { lamports, data, owner, executable: false, rent_epoch: 0 })
            .expect("fits");
    }

    /// Adds lamports to a wallet.
    pub fn give(&mut self, address: Address, lamports: u64) {
        let mut account = self.svm.get_account(&address).unwrap_or_default();
        account.lamports += lamports;
        self.svm.set_account(address, account).expect("fits");
    }

    /// Base units in a token account; 0 where there is none.
    pub fn balance(&self, account: Address) -> u64 {
        self.account(account).map_or(0, |account| tokens::amount(&account.data))
    }

    /// One transaction.
    pub fn send(&mut self, instructions: &[Instruction]) -> Result<Done, Refused> {
        ed25519::check(instructions)?;
        let message = Message::new(instructions, Some(&self.fee_payer));
        let signatures = vec![Default::default(); usize::from(message.header.num_required_signatures)];
        let transaction = VersionedTransaction { signatures, message: VersionedMessage::Legacy(message) };
        let keys = transaction.message.static_account_keys().to_vec();
        match self.svm.send_transaction(transaction) {
            Ok(meta) => {
                // Ours are those that a program of ours was told by itself.
                let inner = |program: Address| {
                    let inner = meta.inner_instructions.iter().flatten().map(|inner| &inner.instruction);
                    let keys = &keys;
                    inner.filter(move |inner| keys.get(usize::from(inner.program_id_index)) == Some(&program))
                };
                let events = inner(escrow()).filter_map(|inner| Recorded::decode(&inner.data)).collect();
                let told = inner(gate()).filter_map(|inner| mint::Told::decode(&inner.data)).collect();
                Ok(Done { events, told, units: meta.compute_units_consumed, logs: meta.logs, fee: meta.fee })
            }
            Err(failed) => Err(match failed.err {
                TransactionError::InstructionError(_, InstructionError::Custom(code)) => Error::from_code(code)
                    .map(Refused::Escrow)
                    .or_else(|| gate::GateError::from_code(code).map(Refused::Gate))
                    .unwrap_or(Refused::Other(failed.err)),
                other => {
                    // Nothing here may run out of stack or units, or read where it must not.
                    let logs = failed.meta.logs.join("\n");
                    assert!(!logs.contains("Access violation") && !logs.contains("panicked"), "{other:?}\n{logs}");
                    assert!(!logs.contains("exceeded CUs meter"), "{other:?}\n{logs}");
                    Refused::Other(other)
                }
            }),
        }
    }

    /// All lamports at these addresses.
    pub fn sum(&self, addresses: impl IntoIterator<Item = Address>) -> u64 {
        let addresses: BTreeSet<_> = addresses.into_iter().collect();
        addresses.into_iter().map(|address| self.lamports(address)).sum()
    }

    /// The accounts at these addresses, to be compared.
    pub fn look(&self, addresses: impl IntoIterator<Item = Address>) -> BTreeMap<Address, Option<Account>> {
        addresses.into_iter().map(|address| (address, self.account(address))).collect()
    }
}

/// The escrow.
pub fn escrow() -> Address {
    Address::new_from_array(local::ESCROW)
}

/// The gate program.
pub fn gate() -> Address {
    Address::new_from_array(local::GATE)
}

/// Who signs the escrow's events.
pub fn event_authority() -> Address {
    derived(&address::event_authority(&local::ESCROW)).expect("the counter was chosen so")
}

/// The gate's address that settles.
pub fn gate_signer() -> Address {
    derived(&gate::of_seed(gate::GATE_SEED, &local::GATE)).expect("the counter was chosen so")
}

/// The gate's config.
pub fn gate_config() -> Address {
    derived(&gate::of_seed(gate::CONFIG_SEED, &local::GATE)).expect("the counter was chosen so")
}

/// The mint's config.
pub fn mint_config() -> Address {
    derived(&gate::of_seed(mint::MINT_SEED, &local::GATE)).expect("the counter was chosen so")
}

/// The payee of redemptions.
pub fn redemption() -> Address {
    derived(&gate::of_seed(mint::REDEMPTION_SEED, &local::GATE)).expect("the counter was chosen so")
}

/// Nobody; the system program.
pub fn system() -> Address {
    Address::default()
}
