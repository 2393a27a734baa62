//! USDC that really moves on a local chain: what is sent leaves the treasury, what comes to a deposit address is booked when
//! its block has enough behind it.

use super::Shared;
use super::reply::usd;
use super::state::{Verdict, amount_of, fresh_id};
use crate::contracts::{has_code, submit_transfer};
use crate::{Error, Node};
use alloy::primitives::{Address, B256, U256, keccak256};
use alloy::providers::Provider;
use alloy::rpc::types::Filter;
use alloy::signers::local::PrivateKeySigner;
use serde_json::json;

/// The chain that Circle calls `BASE`.
#[derive(Clone, Debug)]
pub struct ChainConfig {
    /// A node of it.
    pub node: Node,
    /// USDC.
    pub token: Address,
    /// Circle's own account there. It needs coin for gas, and USDC: whoever starts this gives them.
    pub treasury: PrivateKeySigner,
    /// How many blocks, its own among them, a transfer needs before it is booked.
    pub confirmations: u64,
    /// Whether transfers to contracts fail, as they have been seen to.
    pub refuse_contracts: bool,
}

impl ChainConfig {
    /// Two confirmations; contracts are paid.
    pub fn new(node: Node, token: Address, treasury: PrivateKeySigner) -> Self {
        Self { node, token, treasury, confirmations: 2, refuse_contracts: false }
    }
}

/// Puts a transfer on the wire.
pub(super) async fn send(chain: &ChainConfig, transfer: &serde_json::Value) -> Result<B256, String> {
    let to = transfer["destination"]["address"].as_str().unwrap_or_default();
    let to: Address = to.parse().map_err(|_| format!("{to} is no address"))?;
    if chain.refuse_contracts && has_code(&chain.node, to).await.map_err(|error| error.to_string())? {
        return Err(format!("{to} is a contract"));
    }
    let payment = (to, amount_of(transfer));
    submit_transfer(&chain.node, &chain.treasury, chain.token, &payment).await.map_err(|error| error.to_string())
}

/// Books what the chain shows. A node that does not answer is asked again the next time.
pub(super) async fn look(shared: &Shared) {
    if let Some(chain) = &shared.config.chain {
        let _ = outgoing(shared, chain).await;
        let _ = incoming(shared, chain).await;
    }
}

async fn outgoing(shared: &Shared, chain: &ChainConfig) -> Result<(), Error> {
    let on_base = |transfer: &&serde_json::Value| transfer["destination"]["chain"] == "BASE";
    let running: Vec<(String, B256)> = {
        let state = shared.state();
        let running = state.all("transfer").iter().filter(|transfer| transfer["status"] == "running");
        let hash = |text: &serde_json::Value| text.as_str()?.parse().ok();
        let pair = |transfer: &serde_json::Value| {
            Some((transfer["id"].as_str()?.to_owned(), hash(&transfer["transactionHash"])?))
        };
        running.filter(on_base).filter_map(pair).collect()
    };
    for (id, hash) in running {
        let receipt = chain.node.provider().get_transaction_receipt(hash).await;
        let Some(receipt) = receipt.map_err(|error| chain.node.failed("eth_getTransactionReceipt", error))? else {
            continue;
        };
        let (latest, _) = chain.node.block("latest").await?;
        if receipt.block_number.is_none_or(|block| latest + 1 < block + chain.confirmations) {
            continue;
        }
        let mut state = shared.state();
        if receipt.status() {
            state.change("transfer", &id, json!({"status": "complete"}));
        } else {
            state.fails("transfer", &id, &Verdict { denied: false, code: "blockchain_error".to_owned() });
        }
    }
    Ok(())
}

async fn incoming(shared: &Shared, chain: &ChainConfig) -> Result<(), Error> {
    let (from, addresses): (u64, Vec<Address>) = {
        let state = shared.state();
        let base = state.all("address").iter().filter(|address| address["chain"] == "BASE");
        (state.scanned + 1, base.filter_map(|address| address["address"].as_str()?.parse().ok()).collect())
    };
    let (latest, _) = chain.node.block("latest").await?;
    let to = (latest + 1).saturating_sub(chain.confirmations);
    if to < from {
        return Ok(());
    }
    let mut logs = Vec::new();
    if !addresses.is_empty() {
        let words: Vec<B256> = addresses.iter().map(|address| address.into_word()).collect();
        let filter = Filter::new().address(chain.token).event_signature(keccak256("Transfer(address,address,uint256)"));
        let filter = filter.topic2(words).from_block(from).to_block(to);
        let answer = chain.node.provider().get_logs(&filter).await;
        logs = answer.map_err(|error| chain.node.failed("eth_getLogs", error))?;
    }
    let mut state = shared.state();
    for log in logs {
        let amount = u128::try_from(U256::from_be_slice(log.data().data.as_ref())).unwrap_or_default();
        let from = log.topics().get(1).map(|word| Address::from_word(*word)).unwrap_or_default();
        let transfer = json!({
            "id": fresh_id(), "source": {"type": "blockchain", "chain": "BASE", "address": lower(from)},
            "destination": {"type": "wallet", "id": state.wallet}, "amount": usd(amount),
            "transactionHash": log.transaction_hash, "status": "complete", "createDate": state.date(),
        });
        state.available += amount;
        state.tell("transfer", &transfer);
        state.add("transfer", transfer);
    }
    state.scanned = to;
    Ok(())
}

/// An address that only the sandbox knows the way to.
pub(super) fn deposit_address(seed: &str) -> String {
    lower(Address::from_word(keccak256(seed)))
}

fn lower(address: Address) -> String {
    format!("{address:#x}")
}
