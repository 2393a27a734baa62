//! What `contracts/` compiles to is what the addresses here are derived from.

use alloy_primitives::{Bytes, keccak256};
use serde::Deserialize;
use terms::{Address, B256, ESCROW_CODE_HASH, PURSE_INIT_CODE_HASH};

/// `contracts/artifacts/deployment.json`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Published {
    deployer: Address,
    salt: B256,
    escrow: Address,
    purse_init_code_hash: B256,
}

/// `contracts/artifacts/<contract>.json`, as far as it matters here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Artifact {
    bytecode: Bytes,
    deployed_bytecode: Bytes,
}

fn artifact<T: serde::de::DeserializeOwned>(name: &str) -> T {
    let path = format!("{}/../../contracts/artifacts/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Three witnesses of one number. Where they differ, money sent to a deposit address could not be moved.
#[test]
fn purse_init_code_hash_is_what_the_contracts_compile_to() {
    let published = artifact::<Published>("deployment").purse_init_code_hash;
    let compiled = keccak256(artifact::<Artifact>("Purse").bytecode);
    assert_eq!(published, compiled, "contracts/artifacts is inconsistent: run `node contracts/artifacts.mjs`");
    assert_eq!(
        PURSE_INIT_CODE_HASH, compiled,
        "put {compiled} into PURSE_INIT_CODE_HASH (crates/terms/src/address.rs) and rewrite the vectors with \
         `MONAY_WRITE_VECTORS=1 cargo test -p monay-terms vectors`"
    );
}

/// The escrow's own address follows from its init code in the same way (EIP-1014).
#[test]
fn escrow_is_where_the_deployer_puts_it() {
    let Published { deployer, salt, escrow, .. } = artifact("deployment");
    let init_code = artifact::<Artifact>("InvoiceEscrow").bytecode;
    assert_eq!(escrow, deployer.create2_from_code(salt, init_code));
}

/// The compiler leaves room in the code (PUSH32 of nothing) for the one number the constructor computes.
#[test]
fn escrow_code_hash_is_what_the_contracts_compile_to() {
    let code = artifact::<Artifact>("InvoiceEscrow").deployed_bytecode;
    let (room, filled) = ([&[0x7f][..], &[0; 32]].concat(), [&[0x7f][..], PURSE_INIT_CODE_HASH.as_slice()].concat());
    let mut code = code.to_vec();
    let places: Vec<usize> = (0..code.len() - 32).filter(|at| code[*at..*at + 33] == room).collect();
    for at in &places {
        code[*at..*at + 33].copy_from_slice(&filled);
    }
    assert!(!places.is_empty(), "the code has no room for the purse's hash");
    assert_eq!(ESCROW_CODE_HASH, keccak256(code), "put this into ESCROW_CODE_HASH (crates/terms/src/address.rs)");
}
