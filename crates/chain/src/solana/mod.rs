//! Solana's JSON-RPC, by ourselves: an HTTP client, a WebSocket and the type crates of one line. [`Solana`] is the
//! [`Chain`](crate::Chain).
//!
//! | module | what it does |
//! | --- | --- |
//! | [`rpc`] | asks a node |
//! | [`ws`] | hears of slots as they come |
//! | [`block`] | blocks, one after the other and none left out |
//! | [`events`] | what in them could concern an invoice |
//! | [`instructions`] | what the escrow is asked |
//! | [`mint`] | what the gate's mint half is asked |
//! | [`send`] | trying, sending, and what has become of it |
//! | [`transaction`], [`keypair`] | bytes and their signatures |

mod adapter;
pub mod block;
pub mod events;
pub mod instructions;
pub mod keypair;
pub mod mint;
pub mod rpc;
pub mod send;
pub mod transaction;
mod wording;
pub mod ws;

pub use keypair::Keypair;
pub use solana_instruction::{AccountMeta, Instruction};

use crate::Error;
use alloy_primitives::B256;
use rpc::{Base58, Rpc};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use terms::Pubkey;

/// A node of one cluster, and the keys we send with.
#[derive(Clone, Debug)]
pub struct Solana {
    id: u64,
    genesis: B256,
    rpc: Rpc,
    blocks: block::Reader,
    signers: Vec<Keypair>,
    /// Its slots as they come, where somebody listens.
    slots: Option<Arc<tokio::sync::Mutex<ws::Slots>>>,
    /// Which program a mint belongs to: asked for once.
    token_programs: Arc<Mutex<HashMap<Pubkey, Pubkey>>>,
    /// The terms whose vault the last trial could close after what was tried, and who paid for the vault, if the record says so.
    closings: Arc<Mutex<HashMap<B256, Option<Pubkey>>>>,
}

impl Solana {
    /// Connects to a node and makes sure it is of the cluster `id`: the first eight bytes of its genesis hash (PROTOCOL §1).
    /// Any cluster that is not one of the known ones can be the local network.
    pub async fn connect(rpc_url: &str, id: u64, signers: impl IntoIterator<Item = Keypair>) -> Result<Self, Error> {
        let rpc = Rpc::at(rpc_url)?;
        let Base58::<32>(genesis) = rpc.call("getGenesisHash", ()).await?;
        let found = u64::from_le_bytes(std::array::from_fn(|at| genesis[at]));
        let public = [escrow_interface::MAINNET, escrow_interface::DEVNET].contains(&found);
        if found != id && (id != escrow_interface::LOCAL || public) {
            return Err(Error::OtherChain { node: rpc.shown().to_owned(), found, expected: id });
        }
        let blocks = block::Reader::connect(rpc.clone()).await?;
        let (genesis, signers) = (B256::new(genesis), signers.into_iter().collect());
        Ok(Self {
            id,
            genesis,
            rpc,
            blocks,
            signers,
            slots: None,
            token_programs: Arc::default(),
            closings: Arc::default(),
        })
    }

    /// The same, woken up by the node's slots from now on: subscribed first, so that nothing new goes unheard while what is
    /// older is read.
    pub fn hearing(self, ws_url: &str) -> Result<Self, Error> {
        let slots = ws::Slots::subscribe(ws_url)?;
        Ok(Self { slots: Some(Arc::new(tokio::sync::Mutex::new(slots))), ..self })
    }

    /// The node, for what is not part of [`crate::Chain`].
    pub fn rpc(&self) -> &Rpc {
        &self.rpc
    }

    /// Its blocks.
    pub fn blocks(&self) -> &block::Reader {
        &self.blocks
    }
}
