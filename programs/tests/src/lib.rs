//! A Solana of one process for the tests of the programs: the compiled files in LiteSVM, and what a client would build.
//!
//! Signatures are not checked here, because the programs do not see them: whoever is marked as a signer has signed.

pub mod ask;
pub mod cost;
pub mod ed25519;
pub mod idl;
pub mod mint;
pub mod net;
pub mod tokens;

pub use ask::Invoice;
pub use net::{Done, Net, Refused};

use escrow_interface::Key;
use sha2::{Digest, Sha256};
use solana_address::Address;

/// SHA-256 of some parts, one after the other.
pub fn sha256(parts: &[&[u8]]) -> Key {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// An address of nobody's key that a name stands for.
pub fn person(name: &str) -> Address {
    Address::new_from_array(sha256(&[b"person", name.as_bytes()]))
}

/// The address that parts of `escrow_interface::address` hash to, if there is one.
pub fn derived(parts: &[&[u8]]) -> Option<Address> {
    let address = Address::new_from_array(sha256(parts));
    (!address.is_on_curve()).then_some(address)
}
