//! The interface in Anchor's format, for clients that read it: made from `escrow_interface`, and of nothing else.

use crate::net::{escrow, event_authority, gate, gate_config, gate_signer, mint_config, redemption};
use escrow_interface::{
    Error, event,
    gate::{self as gate_bytes, GateError},
    instruction::Tag,
    mint, record,
};
use serde_json::{Value, json};
use solana_address::Address;

/// An account of an instruction.
struct Account {
    name: &'static str,
    writable: bool,
    signer: bool,
}

/// `w` writable, `s` signs; where a signature counts only if the terms name somebody it is `?`, and clients add it.
fn accounts(list: &[(&'static str, &str)]) -> Vec<Account> {
    list.iter()
        .map(|(name, flags)| Account { name, writable: flags.contains('w'), signer: flags.contains('s') })
        .collect()
}

/// Accounts and arguments behind the terms, of each instruction of the escrow.
fn of(tag: Tag) -> (&'static str, Vec<Account>, Vec<(&'static str, Value)>) {
    let voice = [("eventAuthority", ""), ("program", "")];
    let token = [("mint", ""), ("tokenProgram", "")];
    let system = [("systemProgram", "")];
    let refund =
        [[("invoice", ""), ("record", ""), ("source", "w"), ("destination", "w")].as_slice(), &token, &voice].concat();
    match tag {
        Tag::Settle => (
            "settle",
            accounts(
                &[
                    [
                        ("rentPayer", "ws"),
                        ("settler", "?"),
                        ("invoice", ""),
                        ("record", "w"),
                        ("vault", "w"),
                        ("destination", "w"),
                    ]
                    .as_slice(),
                    &token,
                    &voice,
                    &system,
                ]
                .concat(),
            ),
            vec![("vaultBump", json!("u8")), ("destinationBump", json!("u8"))],
        ),
        Tag::Pay => (
            "pay",
            accounts(
                &[
                    [
                        ("rentPayer", "ws"),
                        ("settler", "?"),
                        ("payer", "s"),
                        ("source", "w"),
                        ("invoice", ""),
                        ("record", "w"),
                        ("destination", "w"),
                    ]
                    .as_slice(),
                    &token,
                    &voice,
                    &system,
                ]
                .concat(),
            ),
            vec![("ceiling", json!("u64")), ("destinationBump", json!("u8"))],
        ),
        Tag::Cancel => (
            "cancel",
            accounts(
                &[
                    [("rentPayer", "ws"), ("canceller", "s"), ("invoice", ""), ("record", "w"), ("mint", "")]
                        .as_slice(),
                    &voice,
                    &system,
                ]
                .concat(),
            ),
            vec![],
        ),
        Tag::Refund => (
            "refund",
            accounts(&[[("anybody", "")].as_slice(), &refund].concat()),
            vec![("destinationBump", json!("u8"))],
        ),
        Tag::RefundByKey => ("refundByKey", accounts(&[[("refundKey", "s")].as_slice(), &refund].concat()), vec![]),
        Tag::RefundNative => (
            "refundNative",
            accounts(&[[("invoice", "w"), ("record", ""), ("refundTo", "w")].as_slice(), &voice, &system].concat()),
            vec![],
        ),
        Tag::OpenVault => (
            "openVault",
            accounts(
                &[
                    [("rentPayer", "ws"), ("invoice", ""), ("record", "w"), ("vault", "w")].as_slice(),
                    &token,
                    &[("associatedTokenProgram", "")],
                    &system,
                ]
                .concat(),
            ),
            vec![],
        ),
        Tag::CloseVault => (
            "closeVault",
            accounts(
                &[
                    [("invoice", ""), ("record", "w"), ("vault", "w"), ("vaultPayer", "w"), ("refundTo", "w")]
                        .as_slice(),
                    &token,
                ]
                .concat(),
            ),
            vec![("vaultBump", json!("u8"))],
        ),
        Tag::CloseRecord => (
            "closeRecord",
            accounts(&[[("record", "w"), ("rentPayer", "w"), ("refundTo", "w")].as_slice(), &voice].concat()),
            vec![],
        ),
    }
}

/// Which of the accounts are writable, and which sign, in order.
pub fn flags(tag: Tag) -> Vec<(bool, bool)> {
    of(tag).1.iter().map(|account| (account.writable, account.signer)).collect()
}

fn fixed(name: &str) -> Option<Address> {
    Some(match name {
        "eventAuthority" | "escrowEventAuthority" => event_authority(),
        "program" | "escrowProgram" => escrow(),
        "systemProgram" => Address::default(),
        "associatedTokenProgram" => crate::tokens::associated_program(),
        "config" => gate_config(),
        "gate" => gate_signer(),
        "mintConfig" => mint_config(),
        "redemption" => redemption(),
        "splToken" => crate::tokens::program(false),
        "instructions" => Address::new_from_array(mint::INSTRUCTIONS_SYSVAR),
        "gateProgram" => gate(),
        _ => return None,
    })
}

/// As Anchor writes names; its JavaScript client turns them back.
fn snake(name: &str) -> String {
    name.chars().flat_map(|c| c.is_uppercase().then_some('_').into_iter().chain(c.to_lowercase())).collect()
}

fn accounts_json(accounts: &[Account]) -> Value {
    let one = |account: &Account| {
        let mut one = json!({ "name": snake(account.name) });
        if account.writable {
            one["writable"] = json!(true);
        }
        if account.signer {
            one["signer"] = json!(true);
        }
        if let Some(address) = fixed(account.name) {
            one["address"] = json!(address.to_string());
        }
        one
    };
    accounts.iter().map(one).collect()
}

fn fields(list: &[(&str, Value)]) -> Value {
    list.iter().map(|(name, kind)| json!({ "name": snake(name), "type": kind })).collect()
}

fn key() -> Value {
    json!("pubkey")
}

fn bytes(count: usize) -> Value {
    json!({ "array": ["u8", count] })
}

fn metadata(name: &str, description: &str) -> Value {
    json!({ "name": name, "version": env!("CARGO_PKG_VERSION"), "spec": "0.1.0", "description": description })
}

/// The escrow's.
pub fn invoice_escrow() -> Value {
    let instructions = Tag::ALL.iter().map(|tag| {
        let (name, accounts, rest) = of(*tag);
        let mut args = vec![("terms", json!({ "defined": { "name": "Terms" } }))];
        args.extend(rest);
        json!({
            "name": snake(name), "discriminator": [*tag as u8], "accounts": accounts_json(&accounts), "args": fields(&args),
        })
    });
    let errors =
        Error::ALL.iter().map(|error| json!({ "code": *error as u32, "name": error.name(), "msg": error.words() }));
    let terms = [
        ("version", json!("u8")),
        ("chain", json!("u64")),
        ("invoiceId", bytes(32)),
        ("payee", key()),
        ("token", key()),
        ("amount", json!("u64")),
        ("closesAt", json!("i64")),
        ("refundTo", key()),
        ("refundKey", key()),
        ("settler", key()),
        ("flags", json!("u8")),
    ];
    let record = [
        ("version", json!("u8")),
        ("status", json!("u8")),
        ("reserved", bytes(6)),
        ("termsHash", bytes(32)),
        ("paid", json!("u64")),
        ("since", json!("i64")),
        ("closableAt", json!("i64")),
        ("rentPayer", key()),
        ("rentLamports", json!("u64")),
        ("vaultPayer", key()),
        ("vaultLamports", json!("u64")),
    ];
    let recorded = [
        ("termsHash", bytes(32)),
        ("token", key()),
        ("to", key()),
        ("amount", json!("u64")),
        ("paid", json!("u64")),
        ("since", json!("i64")),
        ("kind", json!("u8")),
        ("status", json!("u8")),
    ];
    json!({
        "address": escrow().to_string(),
        "metadata": metadata("invoice_escrow", "The same invoice on Solana: every movement of money names its terms"),
        "instructions": instructions.collect::<Value>(),
        "accounts": [{ "name": "Record", "discriminator": record::DISCRIMINATOR }],
        "events": [{ "name": "Recorded", "discriminator": event::DISCRIMINATOR }],
        "errors": errors.collect::<Value>(),
        "types": [
            { "name": "Terms", "type": { "kind": "struct", "fields": fields(&terms) } },
            { "name": "Record", "type": { "kind": "struct", "fields": fields(&record) } },
            { "name": "Recorded", "type": { "kind": "struct", "fields": fields(&recorded) } },
        ],
    })
}

/// Accounts and arguments of each instruction of the gate's mint half.
fn of_mint(tag: u8) -> (&'static str, Vec<Account>, Vec<(&'static str, Value)>) {
    let defined = |name: &str| json!({ "defined": { "name": name } });
    let ruled = || accounts(&[("mintConfig", "w"), ("signer", "s")]);
    match tag {
        mint::INIT_MINT => (
            "initMint",
            accounts(&[
                ("mintConfig", "w"),
                ("config", ""),
                ("admin", "ws"),
                ("mint", ""),
                ("account", ""),
                ("redemptionAccount", ""),
                ("systemProgram", ""),
            ]),
            vec![
                ("settings", defined("Settings")),
                ("accountBump", json!("u8")),
                ("redemptionAccountBump", json!("u8")),
            ],
        ),
        mint::MINT_AND_PAY => (
            "mintAndPay",
            accounts(&[
                ("rentPayer", "ws"),
                ("mintConfig", "w"),
                ("marker", "w"),
                ("gate", ""),
                ("account", "w"),
                ("invoice", ""),
                ("record", "w"),
                ("destination", "w"),
                ("mint", "w"),
                ("splToken", ""),
                ("escrowEventAuthority", ""),
                ("escrowProgram", ""),
                ("systemProgram", ""),
                ("instructions", ""),
                ("gateProgram", ""),
            ]),
            vec![("terms", defined("Terms")), ("deposit", defined("Deposit")), ("destinationBump", json!("u8"))],
        ),
        mint::ATTEST_RESERVE => (
            "attestReserve",
            accounts(&[("mintConfig", "w"), ("gate", ""), ("instructions", ""), ("gateProgram", "")]),
            vec![("reserve", defined("Reserve"))],
        ),
        mint::REDEEM => (
            "redeem",
            accounts(&[
                ("rentPayer", "ws"),
                ("mintConfig", ""),
                ("marker", "w"),
                ("gate", ""),
                ("redemption", ""),
                ("account", "w"),
                ("record", ""),
                ("mint", "w"),
                ("splToken", ""),
                ("systemProgram", ""),
                ("gateProgram", ""),
            ]),
            vec![("terms", defined("Terms"))],
        ),
        mint::CLOSE_REDEEMED => (
            "closeRedeemed",
            accounts(&[("mintConfig", ""), ("marker", "w"), ("record", ""), ("rentPayer", "w")]),
            vec![],
        ),
        mint::PROPOSE => ("propose", ruled(), vec![("settings", defined("Settings"))]),
        mint::APPLY => ("apply", ruled(), vec![]),
        _ => ("lower", ruled(), vec![("pause", json!("u8")), ("dailyCap", json!("u64")), ("attestor", key())]),
    }
}

/// The tags of the mint half, in order.
pub const MINT_TAGS: std::ops::RangeInclusive<u8> = mint::INIT_MINT..=mint::LOWER;

/// Which of the accounts are writable, and which sign, in order.
pub fn mint_flags(tag: u8) -> Vec<(bool, bool)> {
    of_mint(tag).1.iter().map(|account| (account.writable, account.signer)).collect()
}

/// The mint half's structures, by name: arguments, accounts, events.
fn of_mint_types() -> Vec<(&'static str, Vec<(&'static str, Value)>)> {
    let defined = |name: &str| json!({ "defined": { "name": name } });
    let amount = ("amount", json!("u64"));
    let head = [("version", json!("u8")), ("bump", json!("u8")), ("reserved", bytes(6)), ("termsHash", bytes(32))];
    let tail = [amount.clone(), ("at", json!("i64"))];
    vec![
        ("Deposit", vec![("id", bytes(32)), amount.clone(), ("validUntil", json!("i64"))]),
        ("Reserve", vec![("allocation", json!("u64")), ("nonce", json!("u64")), ("asOf", json!("i64"))]),
        (
            "Settings",
            vec![
                ("admin", key()),
                ("guardian", key()),
                ("attestors", json!({ "array": ["pubkey", mint::MOST_ATTESTORS] })),
                ("dailyCap", json!("u64")),
                ("attestorCount", json!("u8")),
                ("threshold", json!("u8")),
                ("paused", json!("u8")),
                ("reserved", bytes(5)),
            ],
        ),
        (
            "MintConfig",
            vec![
                ("version", json!("u8")),
                ("reserved", bytes(7)),
                ("escrow", key()),
                ("mint", key()),
                ("gate", key()),
                ("account", key()),
                ("redemption", key()),
                ("redemptionAccount", key()),
                ("reserve", defined("Reserve")),
                ("day", json!("u64")),
                ("minted", json!("u64")),
                ("settings", defined("Settings")),
                ("applicableAt", json!("i64")),
                ("proposed", defined("Settings")),
            ],
        ),
        ("DepositMarker", [head.as_slice(), &tail].concat()),
        ("RedeemedMarker", [head.as_slice(), &tail, &[("rentPayer", key())]].concat()),
        ("Minted", vec![("termsHash", bytes(32)), ("depositId", bytes(32)), ("token", key()), amount.clone()]),
        ("Redeemed", vec![("termsHash", bytes(32)), ("token", key()), amount]),
        ("ReserveAttested", vec![("reserve", defined("Reserve"))]),
    ]
}

/// The gate's. To settle and to cancel it takes the escrow's data and accounts, which this format has no word for: here it is
/// said as if it knew them. That an Ed25519 instruction comes before the attested ones it cannot say. `setKeys` has a list without
/// its length in front, and is left out.
pub fn settlement_gate() -> Value {
    let own = accounts(&[("config", ""), ("key", "s"), ("escrow", "")]);
    let pass_on = |tag: Tag| {
        let (name, theirs, rest) = of(tag);
        let mut all: Vec<Account> = own.iter().map(|one| Account { ..*one }).collect();
        all.extend(theirs.into_iter().enumerate().map(|(index, account)| {
            // Anchor's client puts its own idea of the last two in the place of accounts of these names.
            let name = match account.name {
                _ if index == gate_bytes::SETTLER => "gate",
                "eventAuthority" => "escrowEventAuthority",
                "program" => "escrowProgram",
                name => name,
            };
            Account { name, signer: account.signer && index != gate_bytes::SETTLER, ..account }
        }));
        let mut args = vec![("terms", json!({ "defined": { "name": "Terms" } }))];
        args.extend(rest);
        json!({
            "name": snake(name), "discriminator": [tag as u8], "accounts": accounts_json(&all), "args": fields(&args),
        })
    };
    let init = accounts(&[("config", "w"), ("admin", "ws"), ("systemProgram", "")]);
    let errors =
        GateError::ALL.iter().map(|error| json!({ "code": *error as u32, "name": error.name(), "msg": error.words() }));
    let config = [
        ("version", json!("u8")),
        ("settlerCount", json!("u8")),
        ("cancellerCount", json!("u8")),
        ("reserved", bytes(5)),
        ("admin", key()),
        ("escrow", key()),
        ("settlers", json!({ "array": ["pubkey", gate_bytes::MOST_KEYS] })),
        ("cancellers", json!({ "array": ["pubkey", gate_bytes::MOST_KEYS] })),
    ];
    let of_tag = |tag: u8| {
        let (name, accounts, args) = of_mint(tag);
        json!({
            "name": snake(name), "discriminator": [tag], "accounts": accounts_json(&accounts), "args": fields(&args),
        })
    };
    let init = json!({
        "name": "init", "discriminator": [gate_bytes::INIT], "accounts": accounts_json(&init),
        "args": fields(&[("escrow", key())]),
    });
    let instructions = [pass_on(Tag::Settle), pass_on(Tag::Cancel), init].into_iter().chain(MINT_TAGS.map(of_tag));
    let structure = |name: &str, list: &[(&str, Value)]| json!({ "name": name, "type": { "kind": "struct", "fields": fields(list) } });
    let mut types = vec![invoice_escrow()["types"][0].clone(), structure("Config", &config)];
    types.extend(of_mint_types().iter().map(|(name, list)| structure(name, list)));
    json!({
        "address": gate().to_string(),
        "metadata": metadata("settlement_gate", "The settler of invoices, and the mint that pays them"),
        "instructions": instructions.collect::<Value>(),
        "accounts": [
            { "name": "Config", "discriminator": gate_bytes::DISCRIMINATOR },
            { "name": "MintConfig", "discriminator": mint::MINT_CONFIG_DISCRIMINATOR },
            { "name": "DepositMarker", "discriminator": mint::DEPOSIT_MARKER_DISCRIMINATOR },
            { "name": "RedeemedMarker", "discriminator": mint::REDEEMED_MARKER_DISCRIMINATOR },
        ],
        "events": [
            { "name": "Minted", "discriminator": mint::MINTED },
            { "name": "Redeemed", "discriminator": mint::REDEEMED },
            { "name": "ReserveAttested", "discriminator": mint::RESERVE_ATTESTED },
        ],
        "errors": errors.collect::<Value>(),
        "types": types,
    })
}
