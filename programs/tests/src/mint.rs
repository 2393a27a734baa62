//! The mint half of the gate: a mint of ours, its attestors, and the instructions, as a client builds them.

use crate::{
    Invoice, Net,
    ask::{AMOUNT, gate_init, key},
    ed25519,
    net::{LAMPORTS, START, escrow, event_authority, gate, gate_config, gate_signer, mint_config, redemption, system},
    person, sha256, tokens,
};
use ed25519_dalek::SigningKey;
use escrow_interface::{
    CHAIN, Key, NONE, Terms, local,
    mint::{
        APPLY, ATTEST_RESERVE, CLOSE_REDEEMED, DEPOSIT_SEED, Deposit, INIT_MINT, INSTRUCTIONS_SYSVAR, LOWER,
        MINT_AND_PAY, MOST_ATTESTORS, MintConfig, PROPOSE, REDEEM, REDEEMED_SEED, Reserve, Settings, data_bytes,
        deposit_message, reserve_message,
    },
};
use solana_address::Address;
use solana_instruction::{AccountMeta, Instruction};

/// How many attestors there are; two of them have to sign.
pub const ATTESTORS: usize = 3;

/// What attestors say there is at the beginning, base units.
pub const ALLOCATION: u64 = 1_000 * AMOUNT;

/// What may be minted in a day, base units.
pub const CAP: u64 = 100 * AMOUNT;

/// Somebody's key.
pub fn signing(name: &str) -> SigningKey {
    SigningKey::from_bytes(&sha256(&[b"key", name.as_bytes()]))
}

/// The attestors' keys, in ascending order.
pub fn attestors() -> Vec<SigningKey> {
    let mut keys: Vec<_> = (0..ATTESTORS).map(|index| signing(&format!("attestor {index}"))).collect();
    keys.sort_by_key(public);
    keys
}

/// The public half.
pub fn public(key: &SigningKey) -> Key {
    key.verifying_key().to_bytes()
}

/// The settings at the beginning.
pub fn settings() -> Settings {
    let mut all = [NONE; MOST_ATTESTORS];
    all.iter_mut().zip(attestors()).for_each(|(place, key)| *place = public(&key));
    Settings {
        admin: key(person("mint admin")),
        guardian: key(person("guardian")),
        attestors: all,
        daily_cap: CAP,
        attestor_count: u8::try_from(ATTESTORS).expect("few"),
        threshold: 2,
        paused: 0,
        reserved: [0; 5],
    }
}

/// Our mint.
pub fn mint() -> Address {
    person("mint")
}

/// Through it passes what is minted.
pub fn account() -> Address {
    tokens::associated(gate_signer(), mint(), false).0
}

/// What was paid for redemptions lies in it.
pub fn redemption_account() -> Address {
    tokens::associated(redemption(), mint(), false).0
}

/// What there is of the token, base units.
pub fn supply(net: &Net) -> u64 {
    let data = net.account(mint()).expect("the mint").data;
    u64::from_le_bytes(data[36..44].try_into().expect("eight"))
}

/// The mint's data before anything is minted.
pub fn mint_data() -> Vec<u8> {
    let mut data = tokens::mint_data(gate_signer(), Address::default());
    data[36..44].fill(0);
    data[46..50].fill(0);
    data
}

/// A chain with the mint and its two accounts, and nothing said yet.
pub fn bare() -> Net {
    let mut net = Net::new();
    for rich in ["admin", "mint admin", "guardian", "keeper", "settler"] {
        net.give(person(rich), LAMPORTS);
    }
    net.put(mint(), tokens::program(false), mint_data());
    net.fund(gate_signer(), mint(), false, 0);
    net.fund(redemption(), mint(), false, 0);
    net.send(&[gate_init(person("admin"), escrow())]).expect("goes through");
    net
}

/// The same, set up, with a reserve.
pub fn scene() -> Net {
    let mut net = bare();
    net.send(&[init(&settings())]).expect("goes through");
    net.send(&reserve(&Reserve { allocation: ALLOCATION, nonce: 1, as_of: START })).expect("goes through");
    net
}

/// An invoice that can be paid with new money, with everybody's accounts.
pub fn invoice(net: &mut Net, with: impl FnOnce(&mut Terms)) -> Invoice {
    let invoice = Invoice::with(|terms| {
        terms.settler = key(gate_signer());
        with(terms);
    });
    for owner in [invoice.payee(), invoice.refund_to()] {
        net.fund(owner, invoice.mint(), invoice.terms.token_2022(), 0);
    }
    invoice
}

/// The mint's config.
pub fn config(net: &Net) -> MintConfig {
    MintConfig::decode(&net.account(mint_config()).expect("the config").data).expect("a config")
}

/// A deposit of this name, that counts for five minutes from now.
pub fn deposit(net: &Net, name: &str, amount: u64) -> Deposit {
    Deposit { id: sha256(&[b"deposit", name.as_bytes()]), amount, valid_until: net.now() + 300 }
}

/// The marker of a deposit or of a redemption, and its bump.
pub fn marker(seed: &[u8], id: &Key) -> (Address, u8) {
    Address::find_program_address(&[seed, id], &gate())
}

/// The deposit's.
pub fn deposit_marker(deposit: &Deposit) -> Address {
    marker(DEPOSIT_SEED, &deposit.id).0
}

/// The redemption's.
pub fn redeemed_marker(invoice: &Invoice) -> Address {
    marker(REDEEMED_SEED, &invoice.hash).0
}

/// What attestors sign for a deposit.
pub fn said(invoice: &Invoice, deposit: &Deposit) -> Key {
    let (chain, deposit) = (CHAIN.to_le_bytes(), deposit.encode());
    sha256(&deposit_message(&local::GATE, &chain, &invoice.hash, &invoice.terms.token, &deposit))
}

/// The Ed25519 instruction of the first two attestors over this.
pub fn attested(message: &Key) -> Instruction {
    let keys = attestors();
    ed25519::signed(message, &[&keys[0], &keys[1]])
}

/// Attested by the first two, minted and paid: both instructions.
pub fn mint_and_pay(invoice: &Invoice, deposit: &Deposit) -> [Instruction; 2] {
    [attested(&said(invoice, deposit)), mint_and_pay_alone(invoice, deposit)]
}

fn ask(tag: u8, parts: &[&[u8]], accounts: Vec<AccountMeta>) -> Instruction {
    let data = [&[tag], parts.concat().as_slice()].concat();
    assert_eq!(Some(data.len()), data_bytes(tag));
    Instruction { program_id: gate(), accounts, data }
}

fn sysvar() -> Address {
    Address::new_from_array(INSTRUCTIONS_SYSVAR)
}

/// The second of them.
pub fn mint_and_pay_alone(invoice: &Invoice, deposit: &Deposit) -> Instruction {
    let (destination, bump) = invoice.associated(invoice.payee());
    let accounts = vec![
        AccountMeta::new(person("keeper"), true),
        AccountMeta::new(mint_config(), false),
        AccountMeta::new(deposit_marker(deposit), false),
        AccountMeta::new_readonly(gate_signer(), false),
        AccountMeta::new(account(), false),
        AccountMeta::new_readonly(invoice.address, false),
        AccountMeta::new(invoice.record, false),
        AccountMeta::new(destination, false),
        AccountMeta::new(mint(), false),
        AccountMeta::new_readonly(tokens::program(false), false),
        AccountMeta::new_readonly(event_authority(), false),
        AccountMeta::new_readonly(escrow(), false),
        AccountMeta::new_readonly(system(), false),
        AccountMeta::new_readonly(sysvar(), false),
        AccountMeta::new_readonly(gate(), false),
    ];
    ask(MINT_AND_PAY, &[&invoice.terms.encode(), &deposit.encode(), &[bump]], accounts)
}

/// What attestors sign of the reserve.
pub fn reserve_said(reserve: &Reserve) -> Key {
    sha256(&reserve_message(&local::GATE, &CHAIN.to_le_bytes(), &key(mint()), &reserve.encode()))
}

/// Attested by the first two, and said: both instructions.
pub fn reserve(reserve: &Reserve) -> [Instruction; 2] {
    [attested(&reserve_said(reserve)), reserve_alone(reserve)]
}

/// The second of them.
pub fn reserve_alone(reserve: &Reserve) -> Instruction {
    let accounts = vec![
        AccountMeta::new(mint_config(), false),
        AccountMeta::new_readonly(gate_signer(), false),
        AccountMeta::new_readonly(sysvar(), false),
        AccountMeta::new_readonly(gate(), false),
    ];
    ask(ATTEST_RESERVE, &[&reserve.encode()], accounts)
}

/// Burns what a redemption was paid.
pub fn redeem(invoice: &Invoice) -> Instruction {
    let accounts = vec![
        AccountMeta::new(person("keeper"), true),
        AccountMeta::new_readonly(mint_config(), false),
        AccountMeta::new(redeemed_marker(invoice), false),
        AccountMeta::new_readonly(gate_signer(), false),
        AccountMeta::new_readonly(redemption(), false),
        AccountMeta::new(redemption_account(), false),
        AccountMeta::new_readonly(invoice.record, false),
        AccountMeta::new(mint(), false),
        AccountMeta::new_readonly(tokens::program(false), false),
        AccountMeta::new_readonly(system(), false),
        AccountMeta::new_readonly(gate(), false),
    ];
    ask(REDEEM, &[&invoice.terms.encode()], accounts)
}

/// The marker's rent goes to `payer`.
pub fn close_redeemed(invoice: &Invoice, payer: Address) -> Instruction {
    let accounts = vec![
        AccountMeta::new_readonly(mint_config(), false),
        AccountMeta::new(redeemed_marker(invoice), false),
        AccountMeta::new_readonly(invoice.record, false),
        AccountMeta::new(payer, false),
    ];
    ask(CLOSE_REDEEMED, &[], accounts)
}

/// Makes the mint's config.
pub fn init(settings: &Settings) -> Instruction {
    let bumps = [gate_signer(), redemption()].map(|owner| tokens::associated(owner, mint(), false).1);
    let accounts = vec![
        AccountMeta::new(mint_config(), false),
        AccountMeta::new_readonly(gate_config(), false),
        AccountMeta::new(person("admin"), true),
        AccountMeta::new_readonly(mint(), false),
        AccountMeta::new_readonly(account(), false),
        AccountMeta::new_readonly(redemption_account(), false),
        AccountMeta::new_readonly(system(), false),
    ];
    ask(INIT_MINT, &[&settings.encode(), &bumps], accounts)
}

fn ruled(signer: Address) -> Vec<AccountMeta> {
    vec![AccountMeta::new(mint_config(), false), AccountMeta::new_readonly(signer, true)]
}

/// Proposes settings.
pub fn propose(signer: Address, settings: &Settings) -> Instruction {
    ask(PROPOSE, &[&settings.encode()], ruled(signer))
}

/// Applies them.
pub fn apply(signer: Address) -> Instruction {
    ask(APPLY, &[], ruled(signer))
}

/// Lowers.
pub fn lower(signer: Address, pause: bool, cap: u64, attestor: &Key) -> Instruction {
    ask(LOWER, &[&[u8::from(pause)], &cap.to_le_bytes(), attestor], ruled(signer))
}
