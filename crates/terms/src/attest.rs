//! What attestors sign (PROTOCOL §5): that money came in for an invoice, and how much of the reserve stands behind a rail.
//! EIP-712, in the domain of one gate on one chain, so that a signature is good nowhere else.

use crate::abi;
use alloc::borrow::Cow;
use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::{Eip712Domain, SolStruct};

/// Which kind of gate turns an attested deposit into a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GateKind {
    /// `MintGate`: mints our own token, and burns it.
    Mint,
    /// `FloatGate`: pays a token that is not ours from its own float.
    Float,
}

impl GateKind {
    /// The name in the gate's EIP-712 domain.
    pub const fn domain_name(self) -> &'static str {
        match self {
            Self::Mint => "Monay MintGate",
            Self::Float => "Monay FloatGate",
        }
    }
}

/// A gate: what a signature of an attestor is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MintGate {
    /// Which kind.
    pub kind: GateKind,
    /// EVM chain id.
    pub chain: u64,
    /// Its address.
    pub address: Address,
}

impl MintGate {
    fn domain(&self) -> Eip712Domain {
        Eip712Domain {
            name: Some(Cow::Borrowed(self.kind.domain_name())),
            version: Some(Cow::Borrowed("1")),
            chain_id: Some(U256::from(self.chain)),
            verifying_contract: Some(self.address),
            salt: None,
        }
    }
}

/// The word of an attestor that money came in for an invoice: that much of a token may be made for it, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct DepositAttestation {
    /// The deposit: 32 bytes drawn once, and minted once.
    pub deposit_id: B256,
    /// The terms of the invoice that is paid with it.
    pub terms_hash: B256,
    /// The token that is minted, or paid from the float.
    pub token: Address,
    /// Base units of `token`. JSON: a decimal string.
    #[cfg_attr(feature = "serde", serde(with = "crate::decimal_string"))]
    pub amount: u128,
    /// Unix seconds, included: afterwards the attestation is worth nothing.
    pub valid_until: u64,
}

impl DepositAttestation {
    /// What is signed, and what the gate recovers the signers from.
    pub fn digest(&self, gate: &MintGate) -> B256 {
        let told = abi::DepositAttestation {
            depositId: self.deposit_id,
            termsHash: self.terms_hash,
            token: self.token,
            amount: self.amount,
            validUntil: self.valid_until,
        };
        told.eip712_signing_hash(&gate.domain())
    }

    /// What the call of `mintAndPay` carries of it: the rest follows from the terms.
    pub fn deposit(&self) -> abi::Deposit {
        abi::Deposit { depositId: self.deposit_id, amount: self.amount, validUntil: self.valid_until }
    }
}

/// The word of an attestor how much of the reserve stands behind one gate's token.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct ReserveAttestation {
    /// The gate's token.
    pub token: Address,
    /// The most there may be of it, base units. JSON: a decimal string.
    #[cfg_attr(feature = "serde", serde(with = "crate::decimal_string"))]
    pub allocation: u128,
    /// Rises with each of a gate's.
    pub nonce: u64,
    /// When the reserve was looked at, unix seconds.
    pub as_of: u64,
}

impl ReserveAttestation {
    /// What is signed, and what the gate recovers the signers from.
    pub fn digest(&self, gate: &MintGate) -> B256 {
        let told = abi::ReserveAttestation {
            token: self.token,
            allocation: self.allocation,
            nonce: self.nonce,
            asOf: self.as_of,
        };
        told.eip712_signing_hash(&gate.domain())
    }

    /// What the call of `attestReserve` carries of it: the rest follows from the gate.
    pub fn reserve(&self) -> abi::Reserve {
        abi::Reserve { allocation: self.allocation, nonce: self.nonce, asOf: self.as_of }
    }
}
