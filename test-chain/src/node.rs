//! An Ethereum node, ours or not, and what a development node can be told to do.

use std::borrow::Cow;
use std::time::Duration;

use alloy::primitives::{Address, U64, U256};
use alloy::providers::{DynProvider, Provider, ProviderBuilder};
use alloy::transports::http::reqwest::Url;
use serde_json::{Value, json};

use crate::Error;

/// A node by its JSON-RPC URL. What moves time, balances or the chain itself works on Anvil only.
#[derive(Clone, Debug)]
pub struct Node {
    url: Url,
    provider: DynProvider,
}

impl Node {
    /// The node at an `http` URL. Nothing is sent yet.
    pub fn at(url: &str) -> Result<Self, Error> {
        let url = Url::parse(url).map_err(|error| Error::Url { url: url.into(), why: error.to_string() })?;
        // The HTTP client asks for one even where nothing is encrypted; there may be one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let provider = ProviderBuilder::new().disable_recommended_fillers().connect_http(url.clone()).erased();
        // The default, a quarter of a second, is made for chains that are far away.
        provider.client().set_poll_interval(Duration::from_millis(20));
        Ok(Self { url, provider })
    }

    /// Its JSON-RPC URL.
    pub fn rpc_url(&self) -> String {
        self.url.to_string()
    }

    /// An alloy provider without fillers: what is sent is what was given.
    pub fn provider(&self) -> &DynProvider {
        &self.provider
    }

    /// Any JSON-RPC call.
    pub async fn rpc(&self, method: &'static str, params: Value) -> Result<Value, Error> {
        self.provider.raw_request(Cow::Borrowed(method), params).await.map_err(|error| self.failed(method, error))
    }

    /// The chain id.
    pub async fn chain_id(&self) -> Result<u64, Error> {
        self.provider.get_chain_id().await.map_err(|error| self.failed("eth_chainId", error))
    }

    /// Number and timestamp of the block with a number or a tag: `latest`, `safe`, `finalized`.
    pub async fn block(&self, block: &str) -> Result<(u64, u64), Error> {
        let answer = self.rpc("eth_getBlockByNumber", json!([block, false])).await?;
        let field = |name: &str| {
            let value = serde_json::from_value::<U64>(answer[name].clone());
            value.map(|value| value.to()).map_err(|error| self.failed("eth_getBlockByNumber", error))
        };
        Ok((field("number")?, field("timestamp")?))
    }

    /// Mines `blocks` blocks at once.
    pub async fn mine(&self, blocks: u64) -> Result<(), Error> {
        self.rpc("anvil_mine", json!([U64::from(blocks)])).await.map(drop)
    }

    /// Moves the chain's clock forward and mines a block, so that the chain shows the new time.
    pub async fn increase_time(&self, by: Duration) -> Result<(), Error> {
        self.rpc("evm_increaseTime", json!([by.as_secs()])).await?;
        self.mine(1).await
    }

    /// The timestamp of the next block, in Unix seconds. It is not mined yet.
    pub async fn set_next_timestamp(&self, timestamp: u64) -> Result<(), Error> {
        self.rpc("evm_setNextBlockTimestamp", json!([timestamp])).await.map(drop)
    }

    /// Remembers the state of the chain, for [`Node::revert`].
    pub async fn snapshot(&self) -> Result<U256, Error> {
        let id = self.rpc("evm_snapshot", json!([])).await?;
        serde_json::from_value(id).map_err(|error| self.failed("evm_snapshot", error))
    }

    /// Goes back to a snapshot, which is used up by it.
    pub async fn revert(&self, snapshot: U256) -> Result<(), Error> {
        match self.rpc("evm_revert", json!([snapshot])).await? {
            Value::Bool(true) => Ok(()),
            _ => Err(self.failed("evm_revert", format!("there is no snapshot {snapshot}"))),
        }
    }

    /// Replaces the last `depth` blocks with as many empty ones: their transactions are gone.
    pub async fn reorg(&self, depth: u64) -> Result<(), Error> {
        self.rpc("anvil_reorg", json!([depth, []])).await.map(drop)
    }

    /// Gives an account so many wei.
    pub async fn set_balance(&self, account: Address, wei: U256) -> Result<(), Error> {
        self.rpc("anvil_setBalance", json!([account, wei])).await.map(drop)
    }

    pub(crate) fn failed(&self, method: &str, error: impl ToString) -> Error {
        Error::Rpc { method: method.into(), url: self.url.to_string(), why: error.to_string() }
    }
}
