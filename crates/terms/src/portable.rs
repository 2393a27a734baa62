//! Terms as one word of text, which is how they travel: in the fragment of a pay link, in an e-mail, on a receipt. With
//! it and a node anybody can bring an invoice's money to where it belongs, when everything else of ours is gone.
//!
//! `monay1` and base64url, without padding: the eleven fields in the order of PROTOCOL §1, then the escrow's address, then the
//! first four bytes of keccak256 over all before, so that a lost or mistyped character is told and never becomes other terms.
//! On EVM chains these are 190 bytes, integers big-endian; on Solana 254 bytes, terms as the program reads them. The length says
//! which: nothing else is that long.
//!
//! An invoice has terms on each of its chains, and its link has a word for each, with dots between them. Each is whole by
//! itself: what is cut off, by hand or by a program that takes a dot for the end, is still terms, of fewer chains.

use crate::{Account, Address, B256, Deployment, InvoiceTerms, SolanaTerms, Terms};
use alloc::string::String;
use alloc::vec::Vec;
use alloy_primitives::keccak256;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use core::fmt;
use core::str::FromStr;
use escrow_interface::terms::TERMS_BYTES;
use solana_pubkey::Pubkey;

/// What the text begins with. Another version of the protocol would be another word.
const PREFIX: &str = "monay1";

/// Everything but the four bytes at the end.
const BODY_BYTES: usize = 186;

/// The same on Solana.
const SOLANA_BODY_BYTES: usize = TERMS_BYTES + 32;

const CHECK_BYTES: usize = 4;

/// What is between the words of one invoice.
const BETWEEN: char = '.';

/// Terms on an EVM chain, and the escrow they are to be carried out at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortableTerms {
    /// The terms.
    pub terms: InvoiceTerms,
    /// The `InvoiceEscrow` contract.
    pub escrow: Address,
}

/// Terms on Solana, and the escrow they are to be carried out at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortableSolanaTerms {
    /// The terms.
    pub terms: SolanaTerms,
    /// The escrow program.
    pub escrow: Pubkey,
}

/// Terms of any chain, and the escrow they are to be carried out at: one word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Portable {
    /// On Base, Tempo and all others of their kind.
    Evm(PortableTerms),
    /// On Solana.
    Solana(PortableSolanaTerms),
}

/// The terms of one invoice on all its chains: a word for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortableInvoice(Vec<Portable>);

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
    /// Terms of another kind of chain.
    #[error("these are an invoice's terms on Solana, and its terms on an Ethereum chain are needed")]
    OfSolana,
    /// Several words that do not belong together.
    #[error("these are not the terms of one invoice, one for each of its chains: copy all of them again")]
    NotOneInvoice,
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

impl PortableSolanaTerms {
    /// The invoice's address, if the terms have one.
    pub fn deposit_address(&self) -> Option<Pubkey> {
        self.terms.addresses(&self.escrow).map(|addresses| addresses.invoice)
    }

    fn body(&self) -> Vec<u8> {
        [self.terms.wire().encode().as_slice(), self.escrow.as_array()].concat()
    }
}

impl Portable {
    /// The terms.
    pub fn terms(&self) -> Terms {
        match self {
            Self::Evm(word) => Terms::Evm(word.terms.clone()),
            Self::Solana(word) => Terms::Solana(word.terms.clone()),
        }
    }

    /// The escrow's contract or program.
    pub fn escrow(&self) -> Account {
        match self {
            Self::Evm(word) => word.escrow.into(),
            Self::Solana(word) => word.escrow.into(),
        }
    }

    /// What people are shown: the deposit address, or the invoice's address if the terms have one.
    pub fn deposit_address(&self) -> Option<Account> {
        match self {
            Self::Evm(word) => Some(word.deposit_address().into()),
            Self::Solana(word) => word.deposit_address().map(Account::Solana),
        }
    }
}

impl PortableInvoice {
    /// Of terms that belong together: at least one, each of another chain, and the same invoice, amount, flags and end on all.
    pub fn new(words: Vec<Portable>) -> Result<Self, NotTerms> {
        let terms: Vec<Terms> = words.iter().map(Portable::terms).collect();
        // That the mint belongs to Token-2022 is no promise, and known on Solana only.
        let promise = |terms: &Terms| (terms.invoice_id(), terms.amount(), terms.partials(), terms.closes_at());
        let (first, others) = terms.split_first().ok_or(NotTerms::Prefix)?;
        let alike = others.iter().all(|other| promise(other) == promise(first));
        let twice = (1..terms.len()).any(|at| terms[..at].iter().any(|before| before.chain() == terms[at].chain()));
        if alike && !twice { Ok(Self(words)) } else { Err(NotTerms::NotOneInvoice) }
    }

    /// The words, one for each chain.
    pub fn words(&self) -> &[Portable] {
        &self.0
    }
}

impl From<PortableTerms> for Portable {
    fn from(word: PortableTerms) -> Self {
        Self::Evm(word)
    }
}

impl From<PortableSolanaTerms> for Portable {
    fn from(word: PortableSolanaTerms) -> Self {
        Self::Solana(word)
    }
}

impl fmt::Display for PortableTerms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, self.body())
    }
}

impl fmt::Display for PortableSolanaTerms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, self.body())
    }
}

impl fmt::Display for Portable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Evm(word) => word.fmt(f),
            Self::Solana(word) => word.fmt(f),
        }
    }
}

impl fmt::Display for PortableInvoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, word) in self.0.iter().enumerate() {
            if at > 0 {
                write!(f, "{BETWEEN}")?;
            }
            word.fmt(f)?;
        }
        Ok(())
    }
}

impl FromStr for PortableTerms {
    type Err = NotTerms;

    fn from_str(text: &str) -> Result<Self, NotTerms> {
        match text.parse()? {
            Portable::Evm(word) => Ok(word),
            Portable::Solana(_) => Err(NotTerms::OfSolana),
        }
    }
}

impl FromStr for Portable {
    type Err = NotTerms;

    fn from_str(text: &str) -> Result<Self, NotTerms> {
        // Mail programs break long words.
        let text: String = text.chars().filter(|character| !character.is_whitespace()).collect();
        let encoded = text.strip_prefix(PREFIX).ok_or(NotTerms::Prefix)?;
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| NotTerms::Malformed)?;
        let (body, end) = bytes.split_last_chunk::<CHECK_BYTES>().ok_or(NotTerms::Malformed)?;
        let read: fn(&[u8]) -> Option<Self> = match body.len() {
            BODY_BYTES => |body| read(body).map(Self::Evm),
            SOLANA_BODY_BYTES => |body| read_solana(body).map(Self::Solana),
            _ => return Err(NotTerms::Malformed),
        };
        if *end != check(body) {
            return Err(NotTerms::Check);
        }
        read(body).ok_or(NotTerms::Malformed)
    }
}

impl FromStr for PortableInvoice {
    type Err = NotTerms;

    fn from_str(text: &str) -> Result<Self, NotTerms> {
        Self::new(text.split(BETWEEN).map(str::parse).collect::<Result<_, _>>()?)
    }
}

fn write(f: &mut fmt::Formatter<'_>, mut bytes: Vec<u8>) -> fmt::Result {
    bytes.extend(check(&bytes));
    write!(f, "{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
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

fn read_solana(body: &[u8]) -> Option<PortableSolanaTerms> {
    let (terms, escrow) = body.split_first_chunk()?;
    let terms = SolanaTerms::from(&escrow_interface::Terms::decode(terms));
    Some(PortableSolanaTerms { terms, escrow: Pubkey::new_from_array(escrow.try_into().ok()?) })
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*head)
}
