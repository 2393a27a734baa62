//! Private keys of wallets: made here, sealed under the root key, and opened again for the one wallet they belong to.
//!
//! What leaves this crate is an address, a ciphertext, or a signature. The ciphertext is AES-256-GCM under the root key,
//! with the wallet's id as additional data: moved to another wallet's row it does not open. The root key is a file of its
//! own and never in Postgres, so that a copy of the database opens nothing.
//!
//! Secret memory is wiped when it is dropped. Nonces are random: one root key is good for 2³² wallets (NIST SP 800-38D,
//! §8.3), then it has to be replaced by another.

mod root;

pub use k256::ecdsa::SigningKey;
pub use root::RootKey;

use aes_gcm::aead::AeadInPlace;
use aes_gcm::{Aes256Gcm, KeyInit};
use alloy_primitives::{Address, B256};
use std::path::PathBuf;
use zeroize::Zeroizing;

const SECRET_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;

/// r, s and v.
pub const SIGNATURE_BYTES: usize = 65;

/// Before the wallet's id in the additional data: a ciphertext made for another purpose does not open here.
const PURPOSE: &[u8] = b"monay:wallet-key:v1:";

/// What can go wrong here. No message has a part of a key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The root key file could not be read or written.
    #[error("{} the root key file {}: {source}", .action, .path.display())]
    File {
        /// What was tried: "cannot read".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Others may read the root key file.
    #[error("the root key file {} has mode {mode:04o}: others must have no rights to it; run `chmod 600 {0}`", .path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The root key file holds something else.
    #[error("{} is not a root key file: it must be a file with 64 hexadecimal digits", .0.display())]
    Malformed(PathBuf),
    /// There is a file already.
    #[error("{} is there already and is not overwritten: without it the keys sealed under it cannot be opened", .0.display())]
    Exists(PathBuf),
    /// The operating system gave no random bytes.
    #[error("no random bytes from the operating system: {0}")]
    Randomness(getrandom::Error),
    /// Sealing failed.
    #[error("the key could not be sealed")]
    Seal,
    /// Another wallet's key, sealed under another root key, or changed since.
    #[error("the sealed key does not open: it is another wallet's, was sealed under another root key, or was changed")]
    Open,
    /// Signing failed.
    #[error("the hash could not be signed")]
    Sign,
}

/// A sealed private key and its address.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedKey {
    /// The Ethereum address of the key.
    pub address: Address,
    /// AES-GCM nonce.
    pub nonce: [u8; 12],
    /// The encrypted key with its tag, 48 bytes.
    pub ciphertext: Vec<u8>,
}

// A log that had ciphertexts in it would be worth stealing by whoever gets the root key.
impl std::fmt::Debug for SealedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealedKey").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Seals and opens wallets' keys under one root key.
pub struct Vault {
    cipher: Aes256Gcm,
}

impl Vault {
    /// A vault under this root key.
    pub fn new(root: &RootKey) -> Self {
        Self { cipher: Aes256Gcm::new(root.bytes().into()) }
    }

    /// Makes a new secp256k1 key for the wallet and seals it; the key itself exists only inside this call.
    pub fn seal_new(&self, wallet_id: &str) -> Result<SealedKey, Error> {
        let (key, mut secret) = new_key()?;
        let mut nonce = [0; NONCE_BYTES];
        random(&mut nonce)?;
        let tag: [u8; TAG_BYTES] = self
            .cipher
            .encrypt_in_place_detached(&nonce.into(), &additional_data(wallet_id), secret.as_mut_slice())
            .map_err(|_| Error::Seal)?
            .into();
        let ciphertext = [secret.as_slice(), &tag].concat();
        Ok(SealedKey { address: address_of(&key), nonce, ciphertext })
    }

    /// Opens the wallet's key.
    pub fn open(&self, wallet_id: &str, nonce: &[u8], ciphertext: &[u8]) -> Result<SigningKey, Error> {
        let (secret, tag) = ciphertext.split_at_checked(SECRET_BYTES).ok_or(Error::Open)?;
        let tag: [u8; TAG_BYTES] = tag.try_into().map_err(|_| Error::Open)?;
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().map_err(|_| Error::Open)?;
        let mut opened = Zeroizing::new([0; SECRET_BYTES]);
        opened.copy_from_slice(secret);
        self.cipher
            .decrypt_in_place_detached(&nonce.into(), &additional_data(wallet_id), opened.as_mut_slice(), &tag.into())
            .map_err(|_| Error::Open)?;
        SigningKey::from_slice(opened.as_slice()).map_err(|_| Error::Open)
    }

    /// Signs a hash with the wallet's key, which is open only inside this call: r, s and v, as Ethereum's contracts read
    /// them. v is 27 or 28, s is in the lower half, and the same hash has the same signature always (RFC 6979).
    pub fn sign(
        &self,
        wallet_id: &str,
        nonce: &[u8],
        ciphertext: &[u8],
        hash: B256,
    ) -> Result<[u8; SIGNATURE_BYTES], Error> {
        let key = self.open(wallet_id, nonce, ciphertext)?;
        let (signature, parity) = key.sign_prehash_recoverable(hash.as_slice()).map_err(|_| Error::Sign)?;
        let v = 27 + u8::from(parity.is_y_odd());
        let scalars: [u8; SIGNATURE_BYTES - 1] = signature.to_bytes().into();
        [scalars.as_slice(), &[v]].concat().try_into().map_err(|_| Error::Sign)
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault").finish_non_exhaustive()
    }
}

/// The Ethereum address of a key.
pub fn address_of(key: &SigningKey) -> Address {
    let point = key.verifying_key().to_encoded_point(false);
    // The first byte says "uncompressed"; the 64 after it are the point.
    Address::from_raw_public_key(point.as_bytes().get(1..).unwrap_or_default())
}

fn new_key() -> Result<(SigningKey, Zeroizing<[u8; SECRET_BYTES]>), Error> {
    let mut secret = Zeroizing::new([0; SECRET_BYTES]);
    loop {
        random(secret.as_mut_slice())?;
        // One in 2¹²⁷ is zero or above the order of the curve.
        if let Ok(key) = SigningKey::from_slice(secret.as_slice()) {
            return Ok((key, secret));
        }
    }
}

fn additional_data(wallet_id: &str) -> Vec<u8> {
    [PURPOSE, wallet_id.as_bytes()].concat()
}

fn random(bytes: &mut [u8]) -> Result<(), Error> {
    getrandom::fill(bytes).map_err(Error::Randomness)
}
