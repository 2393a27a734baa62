//! The customer: a process that is no code of ours, and that is told nothing but address, token, amount and a node.

use crate::Error;
use alloy_primitives::{Address, B256};
use std::path::PathBuf;

/// A wallet: Foundry's `cast`, with a private key.
#[derive(Clone)]
pub(super) struct Customer {
    pub(super) cast: PathBuf,
    pub(super) rpc_url: String,
    pub(super) key: B256,
}

impl Customer {
    /// Sends a plain ERC-20 transfer and returns its hash once it is in a block.
    pub(super) async fn send(&self, token: Address, to: Address, units: u128) -> Result<B256, Error> {
        self.call(token, &["transfer(address,uint256)", &to.to_string(), &units.to_string()]).await
    }

    /// Calls a contract (a signature and its arguments) and returns the transaction's hash once it is in a block.
    pub(super) async fn call(&self, contract: Address, call: &[&str]) -> Result<B256, Error> {
        let output = tokio::process::Command::new(&self.cast)
            .args(["send", "--json", "--rpc-url", &self.rpc_url, "--private-key", &self.key.to_string()])
            .arg(contract.to_string())
            .args(call)
            .kill_on_drop(true)
            .output()
            .await
            .map_err(Error::file(&self.cast))?;
        let failed = |why: &str| Error::Story(format!("the customer's wallet could not pay: {why}"));
        if !output.status.success() {
            return Err(failed(String::from_utf8_lossy(&output.stderr).trim()));
        }
        let receipt: serde_json::Value =
            serde_json::from_slice(&output.stdout).map_err(|error| failed(&error.to_string()))?;
        match (receipt["status"].as_str(), receipt["transactionHash"].as_str().map(str::parse)) {
            (Some("0x1"), Some(Ok(hash))) => Ok(hash),
            _ => Err(failed(&receipt.to_string())),
        }
    }

    /// Signs EIP-712 typed data and returns the signature, `0x…`.
    pub(super) async fn sign(&self, typed_data: &serde_json::Value) -> Result<String, Error> {
        let output = tokio::process::Command::new(&self.cast)
            .args(["wallet", "sign", "--private-key", &self.key.to_string(), "--data", &typed_data.to_string()])
            .kill_on_drop(true)
            .output()
            .await
            .map_err(Error::file(&self.cast))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(Error::Story(format!("the customer's wallet could not sign: {why}")))
    }
}
