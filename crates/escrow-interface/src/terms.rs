//! The terms of an invoice on Solana: PROTOCOL §1.

use crate::{CHAIN, Error, Key, NONE, same};

/// The only version there is.
pub const VERSION: u8 = 1;

/// Bit 0 of [`Terms::flags`]: partial payments are passed on as they come, else the whole amount or nothing.
pub const FLAG_PARTIALS: u8 = 1;

/// Bit 1 of [`Terms::flags`]: the mint belongs to Token-2022.
pub const FLAG_TOKEN_2022: u8 = 2;

/// The longest time from now to `closes_at`: 400 days, in seconds.
pub const MAX_LIFETIME_SECONDS: i64 = 400 * 24 * 60 * 60;

/// "The wait" of PROTOCOL §4, and how long a record outlives `closes_at`: 30 days, in seconds.
pub const WAIT_SECONDS: i64 = 30 * 24 * 60 * 60;

/// Bytes of encoded terms.
pub const TERMS_BYTES: usize = 218;

/// What is hashed before the terms themselves.
pub const HASH_PREFIX: &[u8; 14] = b"monay:terms:v1";

/// What an invoice promises on Solana. From these eleven fields follow its hash, its addresses and the only two places the
/// money can go. Field order is the order of PROTOCOL §1, and of the bytes: in memory it is the 218 bytes, so that the program
/// reads them where they lie. (Of a packed struct's numbers only copies can be had: `{ terms.amount }` in a format.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C, packed)]
pub struct Terms {
    /// Protocol version, 1.
    pub version: u8,
    /// The cluster: [`crate::CHAIN`].
    pub chain: u64,
    /// 32 random bytes, unique; never personal data.
    pub invoice_id: [u8; 32],
    /// Who is paid: the owner of the token account that the money goes to.
    pub payee: Key,
    /// The mint.
    pub token: Key,
    /// The spending limit, base units.
    pub amount: u64,
    /// Unix seconds. Before it the invoice can be settled, from it on only refunded.
    pub closes_at: i64,
    /// Where money goes that goes back: the owner of the token account.
    pub refund_to: Key,
    /// May direct money that goes back elsewhere; zero: nobody may.
    pub refund_key: Key,
    /// Who may settle; zero: anyone.
    pub settler: Key,
    /// [`FLAG_PARTIALS`], [`FLAG_TOKEN_2022`]. All other bits are refused.
    pub flags: u8,
}

const _: () = assert!(size_of::<Terms>() == TERMS_BYTES && align_of::<Terms>() == 1 && cfg!(target_endian = "little"));

impl Terms {
    /// The 218 bytes.
    pub fn encode(&self) -> [u8; TERMS_BYTES] {
        let mut bytes = [0; TERMS_BYTES];
        let mut at = 0;
        let mut put = |part: &[u8]| {
            for byte in part {
                if let Some(place) = bytes.get_mut(at) {
                    *place = *byte;
                }
                at += 1;
            }
        };
        put(&[self.version]);
        put(&self.chain.to_le_bytes());
        put(&self.invoice_id);
        put(&self.payee);
        put(&self.token);
        put(&self.amount.to_le_bytes());
        put(&self.closes_at.to_le_bytes());
        put(&self.refund_to);
        put(&self.refund_key);
        put(&self.settler);
        put(&[self.flags]);
        bytes
    }

    /// Reads them back. Any 218 bytes are terms; whether they are valid is another question: [`Terms::check`].
    #[inline(always)]
    pub fn decode(bytes: &[u8; TERMS_BYTES]) -> Self {
        Self {
            version: bytes[0],
            chain: u64::from_le_bytes(array::<1, 8>(bytes)),
            invoice_id: array::<9, 32>(bytes),
            payee: array::<41, 32>(bytes),
            token: array::<73, 32>(bytes),
            amount: u64::from_le_bytes(array::<105, 8>(bytes)),
            closes_at: i64::from_le_bytes(array::<113, 8>(bytes)),
            refund_to: array::<121, 32>(bytes),
            refund_key: array::<153, 32>(bytes),
            settler: array::<185, 32>(bytes),
            flags: bytes[217],
        }
    }

    /// Whether partial payments are passed on as they come.
    pub const fn partials(&self) -> bool {
        self.flags & FLAG_PARTIALS != 0
    }

    /// Whether the mint belongs to Token-2022.
    pub const fn token_2022(&self) -> bool {
        self.flags & FLAG_TOKEN_2022 != 0
    }

    /// Whether the terms name a refund key.
    pub fn has_refund_key(&self) -> bool {
        !same(&self.refund_key, &NONE)
    }

    /// The rows of PROTOCOL §1, in the order in which the EVM escrow raises them; all but what only the mint's account can
    /// tell. `purse` is the invoice's address, `program` the escrow's; `now` is the chain's time, unix seconds.
    pub fn check(&self, now: i64, purse: &Key, program: &Key) -> Result<(), Error> {
        if self.version != VERSION {
            return Err(Error::WrongVersion);
        }
        if self.chain != CHAIN {
            return Err(Error::WrongChain);
        }
        if self.flags & !(FLAG_PARTIALS | FLAG_TOKEN_2022) != 0 {
            return Err(Error::InvalidFlags);
        }
        if self.amount == 0 {
            return Err(Error::InvalidAmount);
        }
        if self.closes_at <= 0 || self.closes_at > now.saturating_add(MAX_LIFETIME_SECONDS) {
            return Err(Error::InvalidClosesAt);
        }
        if same(&self.token, &NONE) {
            return Err(Error::InvalidToken);
        }
        if [&NONE, purse, program, &self.token, &self.settler].iter().any(|key| same(&self.payee, key)) {
            return Err(Error::InvalidPayee);
        }
        self.check_refund_to(purse, program)?;
        if same(&self.refund_to, &self.token) { Err(Error::InvalidRefundTo) } else { Ok(()) }
    }

    /// The only row that refunds check: that there is somewhere to go.
    pub fn check_refund_to(&self, purse: &Key, program: &Key) -> Result<(), Error> {
        if [&NONE, purse, program].iter().any(|key| same(&self.refund_to, key)) {
            return Err(Error::InvalidRefundTo);
        }
        Ok(())
    }
}

/// `N` bytes from `AT` on. The compiler proves that they are there.
#[inline(always)]
fn array<const AT: usize, const N: usize>(bytes: &[u8; TERMS_BYTES]) -> [u8; N] {
    const { assert!(AT + N <= TERMS_BYTES) };
    let (_, rest) = bytes.split_at(AT);
    rest.first_chunk().copied().unwrap_or([0; N])
}
