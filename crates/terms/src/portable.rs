//! Terms as one word of text, which is how they travel: in the fragment of a pay link, in an e-mail, on a receipt. With
//! it and a node anybody can bring an invoice's money to where it belongs, when everything else of ours is gone.
//!
//! `monay1` and base64url, without padding, of 190 bytes: the eleven fields in the order of PROTOCOL §1, integers
//! big-endian, then the escrow's address, then the first four bytes of keccak256 over all before, so that a lost or
//! mistyped character is told and never becomes other terms.

use crate::{Address, B256, Deployment, InvoiceTerms};
use alloc::string::String;
use alloc::vec::Vec;
use alloy_primitives::keccak256;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use core::fmt;
use core::str::FromStr;

/// What the text begins with. Another version of the protocol would be another word.
const PREFIX: &str = "monay1";

/// Everything but the four bytes at the end.
const BODY_BYTES: usize = 186;

const CHECK_BYTES: usize = 4;

/// Terms, and the escrow they are to be carried out at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortableTerms {
    /// The terms.
    pub terms: InvoiceTerms,
    /// The `InvoiceEscrow` contract.
    pub escrow: Address,
}

/// Why a text is not terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTerms {
    /// It begins with something else.
    #[error("terms begin with '{PREFIX}': copy the whole word after '#terms=' in the pay link, or from the receipt")]
    Prefix,
    /// It is too long or too short, or has a character that cannot be in it.
    #[error("the terms are not complete, or have a character that does not belong: copy the whole word again")]
    Malformed,
    /// A character is not the one that was written.
    #[error("the terms were changed on the way: their check does not fit; copy the whole word again")]
    Check,
}

impl PortableTerms {
    /// The deposit address.
    pub fn deposit_address(&self) -> Address {
        self.terms.deposit_address(&Deployment::version_1(self.escrow))
    }

    fn body(&self) -> Vec<u8> {
        let terms = &self.terms;
        let mut bytes = Vec::with_capacity(BODY_BYTES + CHECK_BYTES);
        bytes.push(terms.version);
        bytes.extend(terms.chain.to_be_bytes());
        bytes.extend(terms.invoice_id);
        bytes.extend(terms.payee);
        bytes.extend(terms.token);
        bytes.extend(terms.amount.to_be_bytes());
        bytes.extend(terms.closes_at.to_be_bytes());
        bytes.extend(terms.refund_to);
        bytes.extend(terms.refund_key);
        bytes.extend(terms.settler);
        bytes.push(terms.flags);
        bytes.extend(self.escrow);
        bytes
    }
}

impl fmt::Display for PortableTerms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.body();
        bytes.extend(check(&bytes));
        write!(f, "{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for PortableTerms {
    type Err = NotTerms;

    fn from_str(text: &str) -> Result<Self, NotTerms> {
        // Mail programs break long words.
        let text: String = text.chars().filter(|character| !character.is_whitespace()).collect();
        let encoded = text.strip_prefix(PREFIX).ok_or(NotTerms::Prefix)?;
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| NotTerms::Malformed)?;
        let (body, end) = bytes.split_at_checked(BODY_BYTES).ok_or(NotTerms::Malformed)?;
        if end.len() != CHECK_BYTES {
            return Err(NotTerms::Malformed);
        }
        if end != check(body) {
            return Err(NotTerms::Check);
        }
        read(body).ok_or(NotTerms::Malformed)
    }
}

fn check(body: &[u8]) -> [u8; CHECK_BYTES] {
    let [a, b, c, d, ..] = keccak256(body).0;
    [a, b, c, d]
}

fn read(mut body: &[u8]) -> Option<PortableTerms> {
    let body = &mut body;
    let terms = InvoiceTerms {
        version: u8::from_be_bytes(take(body)?),
        chain: u64::from_be_bytes(take(body)?),
        invoice_id: B256::new(take(body)?),
        payee: Address::new(take(body)?),
        token: Address::new(take(body)?),
        amount: u128::from_be_bytes(take(body)?),
        closes_at: u64::from_be_bytes(take(body)?),
        refund_to: Address::new(take(body)?),
        refund_key: Address::new(take(body)?),
        settler: Address::new(take(body)?),
        flags: u8::from_be_bytes(take(body)?),
    };
    Some(PortableTerms { terms, escrow: Address::new(take(body)?) })
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*head)
}
