//! What is stored per terms hash: one account of 152 bytes, owned by the program, no field ever at an odd place.

use crate::Key;

/// The first eight bytes of every record: the first of SHA-256 of `account:Record`, as Anchor has it.
pub const DISCRIMINATOR: [u8; 8] = [0xfe, 0xe9, 0x75, 0xfc, 0x4c, 0xa6, 0x92, 0x8b];

/// Bytes of a record.
pub const RECORD_BYTES: usize = 152;

/// The account's data, byte for byte: every integer is little-endian and lies at a multiple of its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Record {
    /// [`DISCRIMINATOR`].
    pub discriminator: [u8; 8],
    /// 1.
    pub version: u8,
    /// 0 open, 1 paid in full, 2 cancelled: [`Status`].
    pub status: u8,
    /// Zero.
    pub reserved: [u8; 6],
    /// Whose record it is.
    pub terms_hash: [u8; 32],
    /// What the payee has had, ever, base units.
    pub paid: u64,
    /// When the status became 1 or 2, unix seconds; 0 while it is 0.
    pub since: i64,
    /// From when on the record may be closed, unix seconds: closesAt + 30 days, saturating.
    pub closable_at: i64,
    /// Who paid the record's rent.
    pub rent_payer: Key,
    /// How much of it, lamports.
    pub rent_lamports: u64,
    /// Who paid the vault's rent, if the program made it; else zero.
    pub vault_payer: Key,
    /// How much of it, lamports; zero once it was given back.
    pub vault_lamports: u64,
}

const _: () = assert!(size_of::<Record>() == RECORD_BYTES && align_of::<Record>() == 8);

impl Record {
    /// Reads an account's data: the discriminator and the version say that it is one.
    pub fn decode(data: &[u8]) -> Option<Self> {
        let data: &[u8; RECORD_BYTES] = data.try_into().ok()?;
        let record = Self {
            discriminator: part(data, 0),
            version: data[8],
            status: data[9],
            reserved: part(data, 10),
            terms_hash: part(data, 16),
            paid: u64::from_le_bytes(part(data, 48)),
            since: i64::from_le_bytes(part(data, 56)),
            closable_at: i64::from_le_bytes(part(data, 64)),
            rent_payer: part(data, 72),
            rent_lamports: u64::from_le_bytes(part(data, 104)),
            vault_payer: part(data, 112),
            vault_lamports: u64::from_le_bytes(part(data, 144)),
        };
        (record.discriminator == DISCRIMINATOR && record.version == 1).then_some(record)
    }
}

/// Where an invoice stands. Never goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Status {
    /// Can be settled, paid and cancelled until closesAt.
    #[default]
    Open = 0,
    /// The payee has had the whole amount.
    Paid = 1,
    /// By payee or settler. What was passed on stays passed on.
    Cancelled = 2,
}

#[inline(always)]
fn part<const N: usize>(data: &[u8; RECORD_BYTES], at: usize) -> [u8; N] {
    let mut part = [0; N];
    for (index, byte) in part.iter_mut().enumerate() {
        *byte = data[at + index];
    }
    part
}
