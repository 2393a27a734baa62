//! What is told when something happened: an instruction of the program to itself, signed by an address that only the program
//! can sign for, so that nobody can forge it and no log can cut it short.

use crate::Key;

/// The first eight bytes of the data, Anchor's.
pub const TAG: [u8; 8] = [0xe4, 0x45, 0xa5, 0x2e, 0x51, 0xcb, 0x9a, 0x1d];

/// The next eight: the first of SHA-256 of `event:Recorded`.
pub const DISCRIMINATOR: [u8; 8] = [0x4c, 0x24, 0x27, 0xbc, 0x96, 0x44, 0x18, 0xf1];

/// Bytes of the instruction's data: tag, discriminator, fields.
pub const EVENT_BYTES: usize = 16 + 32 + 32 + 32 + 8 + 8 + 8 + 1 + 1;

/// What `kind` says happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Vault → payee.
    Settled = 1,
    /// Payer → payee.
    Paid = 2,
    /// Ended; nothing moved.
    Cancelled = 3,
    /// Back to refundTo.
    Refunded = 4,
    /// Back to where the refund key said.
    RefundedByKey = 5,
    /// The record is gone; nothing moved but rent.
    RecordClosed = 6,
}

/// The one event. Folding them in order gives exactly the record's status, paid and since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Which invoice.
    pub terms_hash: [u8; 32],
    /// The mint that moved; zero: lamports; zero too where nothing moved.
    pub token: Key,
    /// Whose it is now: the owner of the token account; zero where nothing moved.
    pub to: Key,
    /// What moved, base units.
    pub amount: u64,
    /// What the payee has had after it, ever, base units.
    pub paid: u64,
    /// When the status became 1 or 2, unix seconds; 0 before.
    pub since: i64,
    /// [`Kind`].
    pub kind: u8,
    /// After it: 0 open, 1 paid in full, 2 cancelled.
    pub status: u8,
}

impl Recorded {
    /// The instruction's data.
    #[inline(always)]
    pub fn encode(&self) -> [u8; EVENT_BYTES] {
        let mut bytes = [0; EVENT_BYTES];
        let rest = bytes.as_mut_slice();
        let rest = put(rest, &TAG);
        let rest = put(rest, &DISCRIMINATOR);
        let rest = put(rest, &self.terms_hash);
        let rest = put(rest, &self.token);
        let rest = put(rest, &self.to);
        let rest = put(rest, &self.amount.to_le_bytes());
        let rest = put(rest, &self.paid.to_le_bytes());
        let rest = put(rest, &self.since.to_le_bytes());
        put(rest, &[self.kind, self.status]);
        bytes
    }

    /// Reads the data of an instruction; `None` if it is none of our events.
    pub fn decode(data: &[u8]) -> Option<Self> {
        let rest = data.strip_prefix(&TAG)?.strip_prefix(&DISCRIMINATOR)?;
        let (terms_hash, rest) = rest.split_first_chunk()?;
        let (token, rest) = rest.split_first_chunk()?;
        let (to, rest) = rest.split_first_chunk()?;
        let (amount, rest) = rest.split_first_chunk()?;
        let (paid, rest) = rest.split_first_chunk()?;
        let (since, rest) = rest.split_first_chunk()?;
        let [kind, status] = rest else { return None };
        Some(Self {
            terms_hash: *terms_hash,
            token: *token,
            to: *to,
            amount: u64::from_le_bytes(*amount),
            paid: u64::from_le_bytes(*paid),
            since: i64::from_le_bytes(*since),
            kind: *kind,
            status: *status,
        })
    }
}

/// Writes a part and gives what is behind it. Lengths are constants, so that on chain nothing is left of this but the copying.
#[inline(always)]
fn put<'a, const N: usize>(rest: &'a mut [u8], part: &[u8; N]) -> &'a mut [u8] {
    match rest.split_first_chunk_mut() {
        Some((place, rest)) => {
            *place = *part;
            rest
        }
        None => &mut [],
    }
}
