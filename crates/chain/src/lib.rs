//! Reading a chain and sending to it.
//!
//! [`Chain`] is what the indexer and the keeper need of any chain; [`evm::Evm`] is it for Base and whatever else speaks
//! Ethereum's JSON-RPC, [`tempo::Tempo`] for Tempo, which is read the same way and sent to in its own. Nothing here decides
//! anything and nothing here remembers: nonces, attempts and outcomes are rows in Postgres.

pub mod evm;
mod fees;
mod gas;
mod logs;
pub mod solana;
pub mod tempo;
mod wording;

pub use fees::Fees;
pub use gas::Gas;

use alloy_primitives::{Address, B256, Bytes};
use domain::block::{Header, Meaning, OddLog, Outcome, RawLog};
use std::future::Future;
use std::time::Duration;
use terms::abi::{Authorization, Deposit, RefundOrder, Reserve};
use terms::{Account, InvoiceTerms, Terms, TxId};

/// What can go wrong between us and a node.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The node did not answer, or not in time. Says nothing about what it did.
    #[error("the node did not answer: {0}")]
    Unreachable(String),
    /// The node said no.
    #[error("the node refused: {0}")]
    Refused(String),
    /// What it said makes no sense.
    #[error("the node's answer makes no sense: {0}")]
    Nonsense(String),
    /// Another chain behind the URL.
    #[error("{node} is chain {found}, the configuration says {expected}")]
    OtherChain {
        /// The node, as it may be shown.
        node: String,
        /// Its chain id.
        found: u64,
        /// The one that was asked for.
        expected: u64,
    },
    /// The configuration does not lead to a chain.
    #[error("{0}")]
    Configuration(String),
}

/// A block: its header and the transactions in it.
#[derive(Clone, Debug)]
pub struct Block<R> {
    /// The header.
    pub header: Header,
    /// Its transactions, in order.
    pub transactions: Vec<TxId>,
    /// What else the chain's own [`Chain::logs`] reads from it.
    pub rest: R,
}

/// The logs of a block that could concern us.
#[derive(Clone, Debug, Default)]
pub struct Logs {
    /// What they mean.
    pub read: Vec<(RawLog, Meaning)>,
    /// What cannot be understood.
    pub odd: Vec<OddLog>,
}

/// The node's own tags.
#[derive(Clone, Copy, Debug)]
pub struct Tags {
    /// The highest block.
    pub latest: Header,
    /// Height of the `safe` block.
    pub safe: u64,
    /// Height of the `finalized` block.
    pub final_: u64,
}

/// Transactions under one nonce that no mirrored block has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unseen {
    /// The nonce.
    pub nonce: u64,
    /// Everything that was signed under it.
    pub txs: Vec<TxId>,
    /// The last height, on Tempo the last time, of a block that may have any of them, where the chain has such a thing.
    pub expires_after: Option<u64>,
}

/// One thing to do on chain.
#[derive(Clone)]
pub enum Action {
    /// Pay an invoice's payee from its purse.
    Settle(Terms),
    /// Close an invoice for payment.
    Cancel(Terms),
    /// Send the purse's balance of a token back.
    Refund(Terms, Account),
    /// Send it where the refund key says, with its signature. EVM only: on Solana the key signs the transaction itself.
    RefundByOrder(InvoiceTerms, RefundOrder, Bytes),
    /// Submit a payer's authorization and settle. EVM only.
    Fund(InvoiceTerms, Authorization),
    /// Have a gate pay an invoice with a deposit that attestors have signed for: that gate, and their signatures in the order
    /// it wants them.
    MintAndPay(Terms, Address, Deposit, Vec<Bytes>),
    /// Have the mint gate, which is the payee, burn what a redemption has brought.
    Redeem(Terms),
    /// Bring a gate what attestors say about the reserve behind it, with their signatures in the order it wants them.
    AttestReserve(Address, Reserve, Vec<Bytes>),
}

/// Without the signatures that orders, authorizations and deposits carry: until they are on chain whoever has one can use it.
impl std::fmt::Debug for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Settle(terms) => write!(f, "Settle({})", terms.hash()),
            Self::Cancel(terms) => write!(f, "Cancel({})", terms.hash()),
            Self::Refund(terms, token) => write!(f, "Refund({}, {token})", terms.hash()),
            Self::RefundByOrder(terms, order, _) => write!(f, "RefundByOrder({}, to {})", terms.hash(), order.to),
            Self::Fund(terms, authorization) => write!(f, "Fund({}, from {})", terms.hash(), authorization.from),
            Self::MintAndPay(terms, _, deposit, _) => write!(f, "MintAndPay({}, {})", terms.hash(), deposit.depositId),
            Self::Redeem(terms) => write!(f, "Redeem({})", terms.hash()),
            Self::AttestReserve(gate, reserve, _) => write!(f, "AttestReserve({gate}, {})", reserve.nonce),
        }
    }
}

impl std::fmt::Debug for Signed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signed").field("hash", &self.hash).finish_non_exhaustive()
    }
}

/// Where actions go: what a settler or a canceller does goes through the gate that knows their keys, what anyone may do
/// straight to the escrow.
#[derive(Clone, Copy, Debug)]
pub struct Contracts {
    /// The `InvoiceEscrow`; on Solana the program.
    pub escrow: Account,
    /// The `SettlementGate`, which is the settler in the terms; on Solana its program, and the settler is an address of it.
    pub gate: Account,
}

/// What a simulation says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Simulated {
    /// It would work, with this much gas.
    Works(u64),
    /// It would revert; in words.
    Reverts(String),
}

/// Actions that go into one transaction together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pack {
    /// Their places among those that were asked about.
    pub items: Vec<usize>,
    /// The gas the transaction may use.
    pub gas_limit: u64,
}

/// Signed bytes.
#[derive(Clone)]
pub struct Signed {
    /// What goes on the wire.
    pub raw: Bytes,
    /// Their name, known before they are sent.
    pub hash: TxId,
    /// Gas limit.
    pub gas_limit: u64,
    /// The most it pays per unit of gas, in the chain's own smallest unit of it.
    pub max_fee: u128,
    /// The last height, on Tempo the last time (unix seconds), of a block that may have them; `None`: any may.
    pub expires_after: Option<u64>,
}

/// What a node said to signed bytes, each but the first in its words. None of it says what has become of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It has them (now, or already had).
    Taken,
    /// Their nonce is used: by them, or by other bytes.
    NonceTooLow(String),
    /// It wants more for gas, or more than what it has under the same nonce offers.
    Underpriced(String),
    /// The account that signed has too little coin for gas.
    Unfunded(String),
    /// No node with these rules will ever take them.
    Rejected(String),
    /// It may or may not have them.
    Unknown(String),
}

/// Whose nonce a transaction uses, and which. Where the chain has no nonces it is a counter of ours, which no other
/// transaction of that key has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The key.
    pub signer: Account,
    /// The nonce.
    pub nonce: u64,
}

/// What the indexer and the keeper need of a chain.
pub trait Chain: Clone + Send + Sync + 'static {
    /// Whether the chain takes a key's transactions in the order of their nonces. Then one that does not come holds up all
    /// after it: gaps are closed, fees raised, and what no node takes is replaced by what does nothing. Where it does not,
    /// a transaction lands or runs out.
    const NONCES: bool;
    /// What [`Chain::logs`] reads from a block beside its header.
    type Rest: Send + Sync;
    /// What a signature needs from the node beside fees.
    type Prepared: Send + Sync;

    /// The chain's id.
    fn id(&self) -> u64;
    /// The hash of block 0: a node whose block 0 differs is another chain behind the same URL.
    fn genesis(&self) -> impl Future<Output = Result<B256, Error>> + Send;
    /// Waits until there may be another block, and at most so long. It proves nothing: blocks are asked for one by one.
    fn news(&self, at_most: Duration) -> impl Future<Output = ()> + Send {
        tokio::time::sleep(at_most)
    }
    /// The node's tags.
    fn tags(&self) -> impl Future<Output = Result<Tags, Error>> + Send;
    /// The canonical block with this number, if there is one.
    fn block(&self, number: u64) -> impl Future<Output = Result<Option<Block<Self::Rest>>, Error>> + Send;
    /// The block that follows, proven to be the child of `after` in the chain's own way, whatever its number. None while
    /// there is none: because `after` is the last one, or because it is no longer part of the chain.
    fn next(&self, after: &Header) -> impl Future<Output = Result<Option<Block<Self::Rest>>, Error>> + Send;
    /// Whether the node's chain has this block; none where it cannot say.
    fn has(&self, block: &Header) -> impl Future<Output = Result<Option<bool>, Error>> + Send;
    /// The logs of one block that could concern an invoice of `escrow`. An error if the answer is less than what the block
    /// itself promises: a node may have a block before it has its logs.
    fn logs(&self, block: &Block<Self::Rest>, escrow: Account) -> impl Future<Output = Result<Logs, Error>> + Send;
    /// How a transaction ended in the block with this hash; none if the node has no receipt of it there (yet).
    fn outcome(&self, tx: TxId, block: B256) -> impl Future<Output = Result<Option<Outcome>, Error>> + Send;
    /// The addresses we can sign with, in the order they were configured.
    fn signers(&self) -> Vec<Account>;
    /// How many transactions of `account` are in the canonical chain: its next nonce. 0 where there are no nonces.
    fn nonce(&self, account: Account) -> impl Future<Output = Result<u64, Error>> + Send;
    /// Which of these nonces of `signer` are lost: proven as of `final_`, the highest final block of our mirror, that none of
    /// their transactions is in the chain up to there and none can ever land after it. Anything less is no proof.
    fn dead(
        &self,
        signer: Account,
        unseen: &[Unseen],
        final_: &Header,
    ) -> impl Future<Output = Result<Vec<u64>, Error>> + Send;
    /// Whether `signer` may send settlements through the gate. Nothing in a batch reverts it, so this is asked apart.
    fn may_settle(
        &self,
        contracts: Contracts,
        signer: Account,
    ) -> impl Future<Output = Result<Simulated, Error>> + Send;
    /// What an action of `signer` would do if it came next. A settlement is tried alone and as the gate: in a batch an item
    /// that fails does not show.
    fn simulate(
        &self,
        contracts: Contracts,
        signer: Account,
        action: &Action,
    ) -> impl Future<Output = Result<Simulated, Error>> + Send;
    /// How these actions, of which each by itself was simulated and needs so much gas, go into transactions: each into
    /// exactly one.
    fn pack(&self, contracts: Contracts, actions: &[(Action, u64)]) -> Vec<Pack>;
    /// What transactions cost now.
    fn fees(&self) -> impl Future<Output = Result<Fees, Error>> + Send;
    /// What signing needs from the node now.
    fn prepare(&self) -> impl Future<Output = Result<Self::Prepared, Error>> + Send;
    /// Signs actions that [`Chain::pack`] has put together. Deterministic: the same input gives the same bytes.
    fn sign(
        &self,
        contracts: Contracts,
        actions: &[Action],
        slot: Slot,
        gas_limit: u64,
        fees: Fees,
        prepared: &Self::Prepared,
    ) -> Result<Signed, Error>;
    /// Signs what does nothing, to use up a nonce. Only where there are nonces.
    fn sign_nothing(&self, slot: Slot, fees: Fees) -> Result<Signed, Error>;
    /// Signs what `raw` does once more under the same nonce, with fees raised above its own and never above `cap`; `None`
    /// where the cap leaves no room. Only where there are nonces.
    fn sign_again(&self, signer: Account, raw: &[u8], market: Fees, cap: u128) -> Result<Option<Signed>, Error>;
    /// Offers signed bytes to the node.
    fn send(&self, raw: &[u8]) -> impl Future<Output = Sent> + Send;
}

/// The most intents that are taken at once. How many of them go into one transaction [`Chain::pack`] says.
pub const MAX_BATCH: u32 = 50;
