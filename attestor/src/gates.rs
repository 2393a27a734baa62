//! The gates, as the attestor's own nodes show them.

use crate::Error;
use crate::decide::Rail;
use chain::evm::Evm;
use std::collections::BTreeSet;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use terms::abi::IMintGate;
use terms::{Address, B256, MintGate};

/// A gate on a chain that can be asked.
pub trait Gate: Send + Sync {
    /// The chain it is on.
    fn chain(&self) -> u64;
    /// What it shows as of one finalized block; `deposits` are those it is asked about.
    fn look(&self, deposits: &BTreeSet<B256>) -> impl Future<Output = Result<Rail, Error>> + Send;
}

/// A gate on an EVM chain.
#[derive(Clone, Debug)]
pub struct EvmGate {
    node: Evm,
    gate: MintGate,
    token: Address,
    /// What is used as of a finalized block stays used, and is not asked for again.
    used: Arc<Mutex<BTreeSet<B256>>>,
}

impl EvmGate {
    /// A gate, after making sure that the contract there is one for this token.
    pub async fn connect(node: Evm, gate: MintGate, token: Address) -> Result<Self, Error> {
        let found = node.read(gate.address, &IMintGate::TOKENCall {}).await?;
        if found != token {
            let MintGate { chain, address, .. } = gate;
            return Err(Error::Configuration(format!(
                "the gate {address} on chain {chain} is of token {found}, the configuration says {token}"
            )));
        }
        Ok(Self { node, gate, token, used: Arc::default() })
    }
}

impl Gate for EvmGate {
    fn chain(&self) -> u64 {
        self.gate.chain
    }

    async fn look(&self, deposits: &BTreeSet<B256>) -> Result<Rail, Error> {
        let (latest, final_) = self.node.clock().await?;
        let at = self.gate.address;
        let issued = self.node.read_as_of(at, &IMintGate::issuedCall {}, final_.hash).await?;
        let reserve = self.node.read_as_of(at, &IMintGate::reserveCall {}, final_.hash).await?;
        let mut used = BTreeSet::new();
        for deposit in deposits {
            let known = self.used.lock().unwrap_or_else(PoisonError::into_inner).contains(deposit);
            let call = IMintGate::depositUsedCall { depositId: *deposit };
            if known || self.node.read_as_of(at, &call, final_.hash).await? {
                self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(*deposit);
                used.insert(*deposit);
            }
        }
        Ok(Rail {
            gate: self.gate,
            token: self.token,
            now: latest.timestamp,
            final_now: final_.timestamp,
            issued: issued.try_into().map_err(|_| Error::Chain(chain::Error::Nonsense(format!("{issued} issued"))))?,
            allocation: reserve.allocation,
            nonce: reserve.nonce,
            used,
        })
    }
}
