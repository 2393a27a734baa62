//! Which addresses follow from terms: PROTOCOL §2. Each function gives the parts that are hashed with SHA-256, one after the
//! other; whoever hashes them has the address.

use crate::Key;

/// Seed of the invoice's own address: the owner of its vault.
pub const INVOICE_SEED: &[u8; 7] = b"invoice";

/// Seed of the record's address.
pub const RECORD_SEED: &[u8; 6] = b"record";

/// Seed of the address that signs our events, Anchor's word for it.
pub const EVENT_AUTHORITY_SEED: &[u8; 17] = b"__event_authority";

/// The only bump: another one would be another address for the same terms, and a second record a second payment. Where an
/// address lies on the curve with it, the issuer draws another `invoice_id`.
pub const BUMP: u8 = 255;

/// What Solana hashes at the end of every program-derived address.
pub const MARKER: &[u8; 21] = b"ProgramDerivedAddress";

/// SPL Token.
pub const TOKEN_PROGRAM: Key = [
    6, 221, 246, 225, 215, 101, 161, 147, 217, 203, 225, 70, 206, 235, 121, 172, 28, 180, 133, 237, 95, 91, 55, 145,
    58, 140, 245, 133, 126, 255, 0, 169,
];

/// SPL Token-2022.
pub const TOKEN_2022_PROGRAM: Key = [
    6, 221, 246, 225, 238, 117, 143, 222, 24, 66, 93, 188, 228, 108, 205, 218, 182, 26, 252, 77, 131, 185, 13, 39, 254,
    189, 249, 40, 216, 161, 139, 252,
];

/// The associated token account program.
pub const ASSOCIATED_TOKEN_PROGRAM: Key = [
    140, 151, 37, 143, 78, 36, 137, 241, 187, 61, 16, 41, 20, 142, 13, 131, 11, 90, 19, 153, 218, 255, 16, 132, 4, 142,
    123, 216, 219, 233, 248, 89,
];

/// The address of `program` with one seed and the terms hash: [`INVOICE_SEED`] or [`RECORD_SEED`].
pub fn of_terms<'a>(seed: &'a [u8], terms_hash: &'a [u8; 32], program: &'a Key) -> [&'a [u8]; 5] {
    [seed, terms_hash, &[BUMP], program, MARKER]
}

/// The address that signs the events of `program`.
pub fn event_authority(program: &Key) -> [&[u8]; 4] {
    [EVENT_AUTHORITY_SEED, &[BUMP], program, MARKER]
}

/// The associated token account of `owner` for `mint`, with a bump that the caller claims. Only with the canonical one can
/// there be a token account: the associated token account program signs with no other, and nobody has a key to an address
/// that came out of a hash. So whoever finds a token account there need not search for the bump again.
pub fn associated_token<'a>(owner: &'a Key, token_program: &'a Key, mint: &'a Key, bump: &'a [u8; 1]) -> [&'a [u8]; 6] {
    [owner, token_program, mint, bump, &ASSOCIATED_TOKEN_PROGRAM, MARKER]
}
