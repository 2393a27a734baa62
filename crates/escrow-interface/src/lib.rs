//! The bytes of the Solana invoice escrow, version 1 (PROTOCOL §1, §2, §6; `docs/adr/0012-solana-escrow.md`).
//!
//! One definition for the program, the services and auditors. Nothing here does I/O, allocates or hashes: whoever calls
//! brings SHA-256, which on chain is a system call. All integers are little-endian.
//!
//! | module | what it fixes |
//! | --- | --- |
//! | [`terms`] | the 218 bytes of an invoice's terms, their rules, what is hashed |
//! | [`address`] | which addresses follow from them |
//! | [`instruction`] | tags, data and the order of accounts |
//! | [`record`] | what is stored per terms hash |
//! | [`event`] | what is told when something happened |
//! | [`error`] | every refusal, with its number |
//! | [`gate`] | the same of the settlement gate |
//! | [`mint`] | the same of its other half, which mints and burns |
//! | [`local`] | where both are on a local network |

#![no_std]

pub mod address;
pub mod error;
pub mod event;
pub mod gate;
pub mod instruction;
pub mod local;
pub mod mint;
pub mod record;
pub mod terms;

pub use error::Error;
pub use event::Recorded;
pub use record::{Record, Status};
pub use terms::Terms;

/// An address: 32 bytes, shown in base58. All zero is the system program, and where a token is meant the native coin.
pub type Key = [u8; 32];

/// No address; the native coin, where a token is meant.
pub const NONE: Key = [0; 32];

/// Whether two addresses are the same: four words are compared, where `==` would call a function that compares bytes.
#[inline(always)]
pub fn same(one: &Key, other: &Key) -> bool {
    let (one, _) = one.as_chunks::<8>();
    let (other, _) = other.as_chunks::<8>();
    one.iter().zip(other).all(|(one, other)| u64::from_le_bytes(*one) == u64::from_le_bytes(*other))
}

/// The cluster this build is for: the first eight bytes, little-endian, of its genesis hash (PROTOCOL §1); of a local network,
/// which has another one each time, the letters `monaylcl`.
#[cfg(not(any(feature = "mainnet", feature = "devnet")))]
pub const CHAIN: u64 = LOCAL;
/// The cluster this build is for: mainnet-beta.
#[cfg(feature = "mainnet")]
pub const CHAIN: u64 = MAINNET;
/// The cluster this build is for: devnet.
#[cfg(all(feature = "devnet", not(feature = "mainnet")))]
pub const CHAIN: u64 = DEVNET;

/// Any local network.
pub const LOCAL: u64 = u64::from_le_bytes(*b"monaylcl");
/// mainnet-beta: genesis hash 5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d.
pub const MAINNET: u64 = u64::from_le_bytes(MAINNET_GENESIS);
/// devnet: genesis hash EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG.
pub const DEVNET: u64 = u64::from_le_bytes(DEVNET_GENESIS);

const MAINNET_GENESIS: [u8; 8] = [0x45, 0x29, 0x69, 0x98, 0xa6, 0xf8, 0xe2, 0xa7];
const DEVNET_GENESIS: [u8; 8] = [0xce, 0x59, 0xdb, 0x50, 0x80, 0xfc, 0x2c, 0x6d];
