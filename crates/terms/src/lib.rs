//! Invoice terms, their hash, and the deposit address that follows from it: PROTOCOL §1 and §2 for EVM chains, and for
//! Solana ([`solana`]).
//!
//! This crate is the single definition. Solidity has a twin that is checked against the vectors in `vectors/`,
//! which the tests of this crate write. There is no I/O here, no clock and no allocation on the way to an address.

#![no_std]

extern crate alloc;

pub mod abi;
mod account;
mod address;
mod any;
mod attest;
mod portable;
mod rules;
pub mod solana;
mod solana_pay;

pub use account::{Account, NotAnAccount, TxId};
pub use address::{Deployment, ESCROW_CODE_HASH, PURSE_INIT_CODE_HASH};
pub use alloy_primitives::{Address, B256};
pub use any::Terms;
pub use attest::{DepositAttestation, GateKind, MintGate, ReserveAttestation};
pub use portable::{NotTerms, Portable, PortableInvoice, PortableSolanaTerms, PortableTerms};
pub use rules::{BrokenRule, Here, MAX_LIFETIME_SECONDS};
pub use solana::SolanaTerms;
pub use solana_pay::TransferRequest;
pub use solana_pubkey::Pubkey;

use alloy_sol_types::SolStruct;

/// The only version of the protocol there is.
pub const VERSION: u8 = 1;

/// Bit 0 of [`InvoiceTerms::flags`]: partial payments are passed on as they come, else the whole amount or nothing.
pub const FLAG_PARTIALS: u8 = 1;

/// What an invoice promises on one chain, and the key to its money: from these eleven fields follow its hash, its
/// deposit address and the only two places the money can go. Field order is the order of PROTOCOL §1.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct InvoiceTerms {
    /// Protocol version, 1.
    pub version: u8,
    /// EVM chain id.
    pub chain: u64,
    /// 32 random bytes, unique; never personal data.
    pub invoice_id: B256,
    /// Who is paid.
    pub payee: Address,
    /// The ERC-20 contract the invoice is paid in.
    pub token: Address,
    /// The spending limit, in base units of `token`. JSON: a decimal string.
    #[cfg_attr(feature = "serde", serde(with = "decimal_string"))]
    pub amount: u128,
    /// Unix seconds. Before it the invoice can be settled, from it on only refunded.
    pub closes_at: u64,
    /// Where money goes that goes back.
    pub refund_to: Address,
    /// May direct money that goes back elsewhere; zero: nobody may.
    pub refund_key: Address,
    /// Who may settle; zero: anyone.
    pub settler: Address,
    /// See [`FLAG_PARTIALS`]. All other bits are refused on EVM chains.
    pub flags: u8,
}

impl InvoiceTerms {
    /// `termsHash`: the EIP-712 struct hash, `keccak256(abi.encode(TYPEHASH, fields…))` (PROTOCOL §1).
    pub fn hash(&self) -> B256 {
        abi::InvoiceTerms::from(self).eip712_hash_struct()
    }

    /// The deposit address on the chain of these terms (PROTOCOL §2).
    pub fn deposit_address(&self, deployment: &Deployment) -> Address {
        deployment.purse(self.hash())
    }

    /// Whether partial payments are passed on as they come.
    pub fn partials(&self) -> bool {
        self.flags & FLAG_PARTIALS != 0
    }
}

impl From<&InvoiceTerms> for abi::InvoiceTerms {
    fn from(terms: &InvoiceTerms) -> Self {
        Self {
            version: terms.version,
            chain: terms.chain,
            invoiceId: terms.invoice_id,
            payee: terms.payee,
            token: terms.token,
            amount: terms.amount,
            closesAt: terms.closes_at,
            refundTo: terms.refund_to,
            refundKey: terms.refund_key,
            settler: terms.settler,
            flags: terms.flags,
        }
    }
}

impl From<&abi::InvoiceTerms> for InvoiceTerms {
    fn from(terms: &abi::InvoiceTerms) -> Self {
        Self {
            version: terms.version,
            chain: terms.chain,
            invoice_id: terms.invoiceId,
            payee: terms.payee,
            token: terms.token,
            amount: terms.amount,
            closes_at: terms.closesAt,
            refund_to: terms.refundTo,
            refund_key: terms.refundKey,
            settler: terms.settler,
            flags: terms.flags,
        }
    }
}

/// Base units as decimal strings: a JSON number loses digits above 2^53 in most readers.
#[cfg(feature = "serde")]
mod decimal_string {
    use alloc::format;
    use alloc::string::{String, ToString};
    use core::any::type_name;
    use core::str::FromStr;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(amount: &impl ToString, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&amount.to_string())
    }

    pub(crate) fn deserialize<'de, T: FromStr, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| D::Error::custom(format!("not a {} in decimal digits", type_name::<T>())))
    }
}
