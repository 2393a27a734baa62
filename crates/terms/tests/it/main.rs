//! Terms, hashes and addresses.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod address;
mod attestations;
mod deployment;
mod json;
mod portable;
mod rules;
mod solana;
mod solana_pay;
mod solana_vectors;
mod vectors;

use alloy_primitives::{address, b256};
use terms::{Address, Deployment, InvoiceTerms};

/// A factory and an init code that are nobody's: most tests must not change when the contract does.
const ARBITRARY: Deployment = Deployment {
    factory: address!("0xfac7000000000000000000000000000000000001"),
    init_code_hash: b256!("0x1217c0de00000000000000000000000000000000000000000000000000000001"),
};

/// USDC on Base.
const USDC: Address = address!("0x833589fcd6edb6e08f4c7c32d4f71b54bda02913");

/// The invoice most people will ever see: 150 USDC on Base, one settler, the whole amount or nothing.
fn typical() -> InvoiceTerms {
    InvoiceTerms {
        version: 1,
        chain: 8453,
        invoice_id: b256!("0x5d3f0c1e9a7b46288e1f2d3c4b5a69788796a5b4c3d2e1f00112233445566778"),
        payee: address!("0x9a1e5e0000000000000000000000000000000001"),
        token: USDC,
        amount: 150_000_000,
        closes_at: 1_798_761_600,
        refund_to: address!("0x2ef0000000000000000000000000000000000001"),
        refund_key: address!("0x7e70000000000000000000000000000000000001"),
        settler: address!("0x5e771e0000000000000000000000000000000001"),
        flags: 0,
    }
}
