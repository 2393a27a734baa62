//! The same invoice on Solana: its terms there, their hash, and the addresses that follow (PROTOCOL §1, §2, §6). The bytes are
//! `escrow_interface`'s, which the program reads too.

use crate::B256;
use escrow_interface as wire;
use escrow_interface::address;
use sha2::{Digest, Sha256};
use solana_pubkey::Pubkey;

pub use escrow_interface::terms::{FLAG_PARTIALS, FLAG_TOKEN_2022};

/// What an invoice promises on Solana. The same eleven fields as [`crate::InvoiceTerms`], in the same order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct SolanaTerms {
    /// Protocol version, 1.
    pub version: u8,
    /// The cluster: [`escrow_interface::CHAIN`]. JSON: a decimal string, as the amount.
    #[cfg_attr(feature = "serde", serde(with = "crate::decimal_string"))]
    pub chain: u64,
    /// 32 random bytes, the same as on the invoice's other chains.
    pub invoice_id: B256,
    /// Who is paid: the owner of the token account.
    #[cfg_attr(feature = "serde", serde(with = "base58"))]
    pub payee: Pubkey,
    /// The mint.
    #[cfg_attr(feature = "serde", serde(with = "base58"))]
    pub token: Pubkey,
    /// The spending limit, base units. JSON: a decimal string.
    #[cfg_attr(feature = "serde", serde(with = "crate::decimal_string"))]
    pub amount: u64,
    /// Unix seconds. Before it the invoice can be settled, from it on only refunded.
    pub closes_at: u64,
    /// Where money goes that goes back.
    #[cfg_attr(feature = "serde", serde(with = "base58"))]
    pub refund_to: Pubkey,
    /// May direct money that goes back elsewhere; zero: nobody may.
    #[cfg_attr(feature = "serde", serde(with = "base58"))]
    pub refund_key: Pubkey,
    /// Who may settle; zero: anyone.
    #[cfg_attr(feature = "serde", serde(with = "base58"))]
    pub settler: Pubkey,
    /// [`FLAG_PARTIALS`], [`FLAG_TOKEN_2022`].
    pub flags: u8,
}

impl SolanaTerms {
    /// As the program reads them. It has signed seconds: a `closes_at` beyond them is negative there, and refused.
    pub fn wire(&self) -> wire::Terms {
        wire::Terms {
            version: self.version,
            chain: self.chain,
            invoice_id: self.invoice_id.0,
            payee: self.payee.to_bytes(),
            token: self.token.to_bytes(),
            amount: self.amount,
            closes_at: self.closes_at.cast_signed(),
            refund_to: self.refund_to.to_bytes(),
            refund_key: self.refund_key.to_bytes(),
            settler: self.settler.to_bytes(),
            flags: self.flags,
        }
    }

    /// `termsHash`: SHA-256 of `monay:terms:v1` and the 218 bytes.
    pub fn hash(&self) -> B256 {
        B256::new(sha256(&[wire::terms::HASH_PREFIX, &self.wire().encode()]))
    }

    /// Whether partial payments are passed on as they come.
    pub const fn partials(&self) -> bool {
        self.flags & FLAG_PARTIALS != 0
    }

    /// Whether the mint belongs to Token-2022.
    pub const fn token_2022(&self) -> bool {
        self.flags & FLAG_TOKEN_2022 != 0
    }

    /// The mint's program.
    pub const fn token_program(&self) -> Pubkey {
        token_program(self.token_2022())
    }
}

/// SPL Token, or Token-2022.
pub const fn token_program(token_2022: bool) -> Pubkey {
    Pubkey::new_from_array(if token_2022 { address::TOKEN_2022_PROGRAM } else { address::TOKEN_PROGRAM })
}

/// The addresses of one invoice, or of none where one of them lies on the curve: then there is no such address, and the issuer
/// draws another invoice id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// What people are shown; the owner of the vault.
    pub invoice: Pubkey,
    /// Where the program keeps what was paid.
    pub record: Pubkey,
}

impl Addresses {
    /// Of a terms hash with the escrow at `program`. One in about 4.4 has them.
    pub fn of(terms_hash: B256, program: &Pubkey) -> Option<Self> {
        let program = program.as_array();
        let off_curve = |seed: &[u8]| {
            let key = Pubkey::new_from_array(sha256(&address::of_terms(seed, &terms_hash.0, program)));
            (!key.is_on_curve()).then_some(key)
        };
        Some(Self { invoice: off_curve(address::INVOICE_SEED)?, record: off_curve(address::RECORD_SEED)? })
    }
}

/// SHA-256 of some parts, one after the other.
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// Keys as people write them.
#[cfg(feature = "serde")]
mod base58 {
    use alloc::string::String;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use solana_pubkey::Pubkey;

    pub(super) fn serialize<S: Serializer>(key: &Pubkey, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(key)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Pubkey, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(|_| D::Error::custom("not an address of Solana, in base58"))
    }
}
