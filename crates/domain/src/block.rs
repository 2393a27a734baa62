//! What a chain shows: blocks, the logs in them and what they mean.

use crate::words;
use alloy_primitives::{B256, U256};
use terms::{Account, TxId};

words! {
    /// What is sent to a chain, and how. Invoices' chains are in this order.
    ChainKind {
        /// Ethereum's transactions: Base.
        Evm = "evm",
        /// Solana's.
        Solana = "solana",
        /// Tempo's own, to contracts as on any other EVM chain.
        Tempo = "tempo",
    }
}

/// A block's header, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Height; on Solana the slot. Blocks follow one another, their numbers need not: there are slots without a block.
    pub number: u64,
    /// Hash.
    pub hash: B256,
    /// The hash of the block before.
    pub parent_hash: B256,
    /// Unix seconds.
    pub timestamp: u64,
}

/// A log, as a node has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawLog {
    /// Its place in the block.
    pub index: u64,
    /// Its transaction.
    pub tx_hash: TxId,
    /// Who emitted it: a contract, or a program. Of a transfer: the token that moved.
    pub address: Account,
    /// Up to four topics.
    pub topics: Vec<B256>,
    /// The rest.
    pub data: Vec<u8>,
}

/// What a log means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// A token says it moved `amount` to `to`.
    Transfer {
        /// From.
        from: Account,
        /// To.
        to: Account,
        /// Base units, as claimed.
        amount: U256,
    },
    /// The escrow has recorded something.
    Recorded {
        /// The invoice.
        terms_hash: B256,
        /// 1 settle, 2 pay, 3 cancel, 4 refund, 5 refund by order.
        kind: u8,
        /// The token that moved.
        token: Account,
        /// To whom.
        to: Account,
        /// Base units.
        amount: U256,
        /// Cumulative base units paid.
        paid: u128,
        /// 0 open, 1 paid in full, 2 cancelled.
        status: u8,
    },
    /// A gate says that it has paid an invoice with a deposit that was attested.
    Minted {
        /// The invoice.
        terms_hash: B256,
        /// The deposit.
        deposit_id: B256,
        /// The token that was issued.
        token: Account,
        /// Base units.
        amount: U256,
    },
    /// A gate says that it has burned what a redemption brought.
    Redeemed {
        /// The redemption.
        terms_hash: B256,
        /// The token that was burned.
        token: Account,
        /// Base units.
        amount: U256,
    },
}

impl Meaning {
    /// The invoice that it names, where it names one.
    pub const fn names(&self) -> Option<B256> {
        match self {
            Self::Transfer { .. } => None,
            Self::Recorded { terms_hash, .. } | Self::Minted { terms_hash, .. } | Self::Redeemed { terms_hash, .. } => {
                Some(*terms_hash)
            }
        }
    }
}

/// A log that should concern us and cannot be understood: kept for a person to look at, and booked nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OddLog {
    /// Its place in the block, if the node says one.
    pub index: Option<u64>,
    /// Its transaction, if the node says one.
    pub tx_hash: Option<TxId>,
    /// The contract that emitted it.
    pub address: Account,
    /// Up to four topics.
    pub topics: Vec<B256>,
    /// The rest.
    pub data: Vec<u8>,
    /// Whom it may concern.
    pub about: About,
    /// What is wrong with it, in words.
    pub why: String,
}

/// Whom an odd log may concern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// It is the escrow's own.
    Escrow,
    /// A token says that it moved to one of these addresses, or names them at least.
    Purses(Vec<Account>),
}

/// A transaction of ours in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Its name.
    pub tx_hash: TxId,
    /// How it ended; none while the node has no receipt for it.
    pub outcome: Option<Outcome>,
}

/// What a receipt says. It decides nothing about money: the escrow's events do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whether it did not revert.
    pub success: bool,
    /// Gas it used; on Solana compute units.
    pub gas_used: u64,
    /// What it cost, in the smallest unit of the chain's own coin: wei, lamports, on Tempo 10^-18 dollars.
    pub fee: u128,
}
