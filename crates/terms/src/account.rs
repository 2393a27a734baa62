//! Addresses and transactions of any chain: what the rest of the system calls them when it does not matter which.

use alloc::vec::Vec;
use alloy_primitives::{Address, B256};
use core::fmt;
use core::str::FromStr;
use solana_pubkey::Pubkey;

/// Bytes of a Solana signature, which is what names a transaction there.
const SIGNATURE_BYTES: usize = 64;

/// An address: of a person, a token, a contract or a program. As text: `0x` and 40 hexadecimal digits with a checksum, or
/// base58; as bytes: 20 or 32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Account {
    /// On Base, Tempo and all others of their kind.
    Evm(Address),
    /// On Solana.
    Solana(Pubkey),
}

/// A transaction's name: 32 bytes, or a signature of 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TxId {
    /// Its hash.
    Evm(B256),
    /// Its first signature.
    Solana([u8; SIGNATURE_BYTES]),
}

/// A text or bytes that are no address or transaction of any chain we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither 0x with hexadecimal digits, as on Ethereum's chains, nor base58, as on Solana")]
pub struct NotAnAccount;

impl Account {
    /// The bytes: 20 or 32.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Evm(address) => address.as_slice(),
            Self::Solana(key) => key.as_array(),
        }
    }

    /// From 20 or 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NotAnAccount> {
        if let Ok(address) = <[u8; 20]>::try_from(bytes) {
            return Ok(Self::Evm(Address::new(address)));
        }
        <[u8; 32]>::try_from(bytes).map(|key| Self::Solana(Pubkey::new_from_array(key))).map_err(|_| NotAnAccount)
    }

    /// Whether it is nobody's: all zero. Where a token is meant, the native coin.
    pub fn is_zero(&self) -> bool {
        self.as_bytes().iter().all(|byte| *byte == 0)
    }

    /// The address, on an EVM chain.
    pub const fn evm(&self) -> Option<Address> {
        match self {
            Self::Evm(address) => Some(*address),
            Self::Solana(_) => None,
        }
    }

    /// The key, on Solana.
    pub const fn solana(&self) -> Option<Pubkey> {
        match self {
            Self::Solana(key) => Some(*key),
            Self::Evm(_) => None,
        }
    }
}

impl TxId {
    /// The bytes: 32 or 64.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Evm(hash) => hash.as_slice(),
            Self::Solana(signature) => signature,
        }
    }

    /// The hash, on an EVM chain.
    pub const fn evm(&self) -> Option<B256> {
        match self {
            Self::Evm(hash) => Some(*hash),
            Self::Solana(_) => None,
        }
    }

    /// From 32 or 64 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NotAnAccount> {
        if let Ok(hash) = <[u8; 32]>::try_from(bytes) {
            return Ok(Self::Evm(B256::new(hash)));
        }
        bytes.try_into().map(Self::Solana).map_err(|_| NotAnAccount)
    }
}

impl From<Address> for Account {
    fn from(address: Address) -> Self {
        Self::Evm(address)
    }
}

impl From<Pubkey> for Account {
    fn from(key: Pubkey) -> Self {
        Self::Solana(key)
    }
}

impl From<B256> for TxId {
    fn from(hash: B256) -> Self {
        Self::Evm(hash)
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Evm(address) => write!(f, "{address}"),
            Self::Solana(key) => write!(f, "{key}"),
        }
    }
}

impl fmt::Display for TxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Evm(hash) => write!(f, "{hash}"),
            Self::Solana(signature) => f.write_str(&bs58::encode(signature).into_string()),
        }
    }
}

impl FromStr for Account {
    type Err = NotAnAccount;

    fn from_str(text: &str) -> Result<Self, NotAnAccount> {
        match text.strip_prefix("0x") {
            Some(_) => text.parse().map(Self::Evm).map_err(|_| NotAnAccount),
            None => text.parse().map(Self::Solana).map_err(|_| NotAnAccount),
        }
    }
}

impl FromStr for TxId {
    type Err = NotAnAccount;

    fn from_str(text: &str) -> Result<Self, NotAnAccount> {
        if text.starts_with("0x") {
            return text.parse().map(Self::Evm).map_err(|_| NotAnAccount);
        }
        let bytes: Vec<u8> = bs58::decode(text).into_vec().map_err(|_| NotAnAccount)?;
        <[u8; SIGNATURE_BYTES]>::try_from(bytes.as_slice()).map(Self::Solana).map_err(|_| NotAnAccount)
    }
}

#[cfg(feature = "serde")]
mod as_text {
    use super::{Account, TxId};
    use alloc::string::{String, ToString};
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    macro_rules! as_text {
        ($($name:ty),+) => {$(
            impl Serialize for $name {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    serializer.serialize_str(&self.to_string())
                }
            }

            impl<'de> Deserialize<'de> for $name {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
                }
            }
        )+};
    }

    as_text!(Account, TxId);
}
