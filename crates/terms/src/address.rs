//! From a terms hash to a deposit address: CREATE2 with constant init code (PROTOCOL §2).

use crate::{Address, B256};
use alloy_primitives::b256;

/// keccak256 of the purse's constant init code, version 1. A golden vector: `contracts/` proves that the compiler
/// still makes these bytes.
pub const PURSE_INIT_CODE_HASH: B256 = b256!("0x3965b1f587b891c1de8de2fbd8fd96d019106120348affb9fc3975e64793acf0");

/// keccak256 of the code that `InvoiceEscrow`, version 1, has on every chain. Whoever is handed terms by a stranger checks
/// with it that the escrow they name is the one whose rules are known.
pub const ESCROW_CODE_HASH: B256 = b256!("0x26a867d2df4683f96511866c868c48415229693c5b14947c52d6c1c4bd0b04e9");

/// Where the escrow contract is, and what it runs at each deposit address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// The `InvoiceEscrow` contract, which is the CREATE2 factory of every purse.
    pub factory: Address,
    /// keccak256 of the purse's init code.
    pub init_code_hash: B256,
}

impl Deployment {
    /// A deployment of version 1 at `factory`.
    pub const fn version_1(factory: Address) -> Self {
        Self { factory, init_code_hash: PURSE_INIT_CODE_HASH }
    }

    /// The deposit address for a terms hash: the last 20 bytes of
    /// `keccak256(0xff ‖ factory ‖ termsHash ‖ initCodeHash)` (EIP-1014).
    pub fn purse(&self, terms_hash: B256) -> Address {
        self.factory.create2(terms_hash, self.init_code_hash)
    }
}
