//! The same invoice on Solana: its terms there, their hash, and the addresses that follow (PROTOCOL §1, §2, §6). The bytes are
//! `escrow_interface`'s, which the program reads too.

use crate::{Account, B256, BrokenRule};
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

impl From<&wire::Terms> for SolanaTerms {
    fn from(terms: &wire::Terms) -> Self {
        Self {
            version: terms.version,
            chain: terms.chain,
            invoice_id: B256::new(terms.invoice_id),
            payee: Pubkey::new_from_array(terms.payee),
            token: Pubkey::new_from_array(terms.token),
            amount: terms.amount,
            closes_at: terms.closes_at.cast_unsigned(),
            refund_to: Pubkey::new_from_array(terms.refund_to),
            refund_key: Pubkey::new_from_array(terms.refund_key),
            settler: Pubkey::new_from_array(terms.settler),
            flags: terms.flags,
        }
    }
}

/// SPL Token, or Token-2022.
pub const fn token_program(token_2022: bool) -> Pubkey {
    Pubkey::new_from_array(if token_2022 { address::TOKEN_2022_PROGRAM } else { address::TOKEN_PROGRAM })
}

/// How often an invoice id is drawn before that is an error: with random bytes it happens once in 10^28 invoices.
pub const MAX_DRAWS: u32 = 256;

/// Why no invoice id was drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DrawError<E> {
    /// There are no random bytes.
    #[error("{0}")]
    Random(E),
    /// Too often in a row the id gave no addresses.
    #[error("none of {MAX_DRAWS} invoice ids gave addresses on Solana: the random bytes are not random")]
    Unlucky,
}

impl SolanaTerms {
    /// Draws the invoice id until its addresses exist: 4.4 times on average. Terms on the invoice's other chains are made
    /// with this id afterwards: there any id does.
    pub fn draw<E>(
        &mut self,
        program: &Pubkey,
        mut random: impl FnMut() -> Result<B256, E>,
    ) -> Result<Addresses, DrawError<E>> {
        for _ in 0..MAX_DRAWS {
            self.invoice_id = random().map_err(DrawError::Random)?;
            if let Some(addresses) = self.addresses(program) {
                return Ok(addresses);
            }
        }
        Err(DrawError::Unlucky)
    }

    /// The addresses with the escrow at `program`, if there are any.
    pub fn addresses(&self, program: &Pubkey) -> Option<Addresses> {
        Addresses::of(self.hash(), program)
    }

    /// Checks every row of PROTOCOL §1 that can be checked without asking the chain, as the program does; `now` is the
    /// chain's time, unix seconds. The first broken one is the error.
    pub fn check(&self, now: u64, program: &Pubkey) -> Result<(), BrokenRule> {
        use wire::Error as Refused;
        let addresses = self.addresses(program).ok_or(BrokenRule::InvalidInvoiceId(self.invoice_id))?;
        let seconds = i64::try_from(now).unwrap_or(i64::MAX);
        self.wire().check(seconds, addresses.invoice.as_array(), program.as_array()).map_err(|refused| match refused {
            Refused::WrongVersion => BrokenRule::WrongVersion(self.version),
            Refused::WrongChain => BrokenRule::WrongChain { chain: self.chain, here: wire::CHAIN },
            Refused::InvalidAmount => BrokenRule::InvalidAmount,
            Refused::InvalidClosesAt => BrokenRule::InvalidClosesAt {
                closes_at: self.closes_at,
                latest: now.saturating_add(crate::MAX_LIFETIME_SECONDS),
            },
            Refused::InvalidToken => BrokenRule::InvalidToken(Account::Solana(self.token)),
            Refused::InvalidPayee => BrokenRule::InvalidPayee(Account::Solana(self.payee)),
            Refused::InvalidRefundTo => BrokenRule::InvalidRefundTo(Account::Solana(self.refund_to)),
            // The only row left: the other refusals are about a transaction, and terms have none.
            _ => BrokenRule::InvalidFlags(self.flags),
        })
    }

    /// The vault: the canonical associated token account of the invoice's address, and its bump.
    pub fn vault(&self, invoice: &Pubkey) -> (Pubkey, u8) {
        associated_token(invoice, &self.token, &self.token_program())
    }
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
        let derived = |seed: &[u8]| off_curve(&address::of_terms(seed, &terms_hash.0, program.as_array()));
        Some(Self { invoice: derived(address::INVOICE_SEED)?, record: derived(address::RECORD_SEED)? })
    }
}

/// The address that signs the events of `program`; none where it lies on the curve: such a program is not deployed.
pub fn event_authority(program: &Pubkey) -> Option<Pubkey> {
    off_curve(&address::event_authority(program.as_array()))
}

/// The canonical associated token account of `owner` for `mint`, and its bump: the highest that is not on the curve.
pub fn associated_token(owner: &Pubkey, mint: &Pubkey, token_program: &Pubkey) -> (Pubkey, u8) {
    let (owner, mint, program) = (owner.as_array(), mint.as_array(), token_program.as_array());
    let mut bump = u8::MAX;
    loop {
        let key = hashed(&address::associated_token(owner, program, mint, &[bump]));
        // That all 256 lie on the curve happens once in 2^256: there could be no token account then.
        if bump == 0 || !key.is_on_curve() {
            return (key, bump);
        }
        bump -= 1;
    }
}

/// A program-derived address, if it is one: nobody can have a key to what is not on the curve.
fn off_curve(parts: &[&[u8]]) -> Option<Pubkey> {
    let key = hashed(parts);
    (!key.is_on_curve()).then_some(key)
}

fn hashed(parts: &[&[u8]]) -> Pubkey {
    Pubkey::new_from_array(sha256(parts))
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
