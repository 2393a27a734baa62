//! A key that signs transactions.

use ed25519_dalek::{Signer, SigningKey};
use terms::Pubkey;

/// A key and its address. Wiped from memory when dropped, never shown.
#[derive(Clone)]
pub struct Keypair(SigningKey);

/// A text that is no key. What it was is not said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no Solana key: 64 bytes in base58, as wallets export them, or as a JSON list of numbers, as `solana-keygen` writes"
)]
pub struct NotAKey;

impl Keypair {
    /// From the 32 secret bytes.
    pub fn from_secret(secret: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(secret))
    }

    /// Its address.
    pub fn address(&self) -> Pubkey {
        Pubkey::new_from_array(self.0.verifying_key().to_bytes())
    }

    /// Signs. Deterministic.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl std::str::FromStr for Keypair {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let text = text.trim();
        let bytes = zeroize::Zeroizing::new(if text.starts_with('[') {
            serde_json::from_str::<Vec<u8>>(text).map_err(|_| NotAKey)?
        } else {
            bs58::decode(text).into_vec().map_err(|_| NotAKey)?
        });
        let bytes = <&[u8; 64]>::try_from(bytes.as_slice()).map_err(|_| NotAKey)?;
        // The second half is the address: a slip of the pen does not become another key.
        SigningKey::from_keypair_bytes(bytes).map(Self).map_err(|_| NotAKey)
    }
}

impl std::fmt::Debug for Keypair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Keypair").field(&self.address()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_wallets_and_the_command_line_write_it() {
        let key = Keypair::from_secret(&[7; 32]);
        let whole = [[7; 32], key.address().to_bytes()].concat();
        for text in [bs58::encode(&whole).into_string(), format!(" {whole:?}\n")] {
            assert_eq!(text.parse::<Keypair>().unwrap().address(), key.address());
        }
        let mut other = whole.clone();
        other[63] ^= 1;
        for text in ["", "[]", "[1,2]", "0x00", &bs58::encode(&whole[..32]).into_string(), &format!("{other:?}")] {
            assert_eq!(text.parse::<Keypair>().unwrap_err(), NotAKey, "{text}");
        }
        assert!(!format!("{key:?}").contains("7, 7"));
    }
}
