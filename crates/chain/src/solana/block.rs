//! Blocks, one after the other and none left out. A slot is a block's number; slots without a block are passed over, and only
//! on the word of the next block that it follows the one we have.

use crate::Error;
use crate::solana::rpc::{Base58, Commitment, Config, Failure, Refusal, Rpc};
use alloy_primitives::B256;
use domain::block::{Header, Outcome};
use escrow_interface::{address, local};
use serde::Deserialize;
use serde_json::json;
use terms::Pubkey;
use terms::solana::sha256;

/// A node may name a slot before it can show the block.
const NOT_YET: [i64; 2] = [-32004, -32014];

/// The slot was skipped: here, or in what the node reads of older days.
const SKIPPED: [i64; 2] = [-32007, -32009];

/// From so many slots on Surfpool's are leapt over.
const FAR: u64 = 2_000;

/// The most signatures a node names at once.
const PAGE: usize = 1_000;

/// A block with everything in it.
#[derive(Clone, Debug)]
pub struct Block {
    /// Its place in the chain. Its number is the slot.
    pub header: Header,
    /// Its transactions, in order.
    pub transactions: Vec<Transaction>,
}

/// A transaction in a block.
#[derive(Clone, Debug)]
pub struct Transaction {
    /// Its first signature: its name.
    pub signature: [u8; 64],
    /// How it ended.
    pub outcome: Outcome,
    pub(crate) traces: Traces,
}

/// What a transaction did, as the node has it; nothing of one that failed, because it did nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Traces {
    /// The accounts it names: its own, then those of lookup tables, writable ones first.
    pub(crate) accounts: Vec<Base58<32>>,
    pub(crate) instructions: Vec<RawInstruction>,
    pub(crate) inner: Vec<RawInner>,
    pub(crate) before: Vec<RawBalance>,
    pub(crate) after: Vec<RawBalance>,
}

/// Reads blocks off one node.
#[derive(Clone, Debug)]
pub struct Reader {
    rpc: Rpc,
    /// Surfpool's blocks with transactions name neither their parent nor the right time, their hashes come back, and every
    /// slot has a block: there the slots themselves are the chain.
    surfpool: bool,
}

#[derive(Deserialize)]
struct Signed {
    signature: String,
    slot: u64,
}

#[derive(Deserialize)]
struct Version {
    #[serde(rename = "surfnet-version")]
    surfnet: Option<String>,
}

impl Reader {
    /// Asks the node what it is.
    pub async fn connect(rpc: Rpc) -> Result<Self, Error> {
        let version: Version = rpc.call("getVersion", ()).await?;
        Ok(Self { rpc, surfpool: version.surfnet.is_some() })
    }

    /// The header of the highest block of which the node is this sure.
    pub async fn head(&self, commitment: Commitment) -> Result<Header, Error> {
        let slot = self.rpc.slot(commitment).await?;
        let block = self.block(slot, Details::None).await?;
        let block =
            block.ok_or_else(|| Error::Nonsense(format!("the node is at slot {slot} and has no block there")))?;
        self.header(slot, &block, None).await
    }

    /// The block at a slot; none if the slot was skipped, or is not there yet.
    pub async fn at(&self, slot: u64) -> Result<Option<Block>, Error> {
        match self.block(slot, Details::Full).await? {
            Some(block) => self.whole(slot, block, None).await.map(Some),
            None => Ok(None),
        }
    }

    /// The first block at a slot or after it; none if there is none yet.
    pub async fn from(&self, slot: u64) -> Result<Option<Block>, Error> {
        match self.first_slot(slot).await? {
            Some(slot) => self.at(slot).await,
            None => Ok(None),
        }
    }

    /// The block that follows one that we have. None if there is none yet, or if ours is on another fork than what the node
    /// shows, which [`Reader::has`] tells. An error if one is missing between them: it is asked for again, and never skipped.
    pub async fn next(&self, after: &Header) -> Result<Option<Block>, Error> {
        let next = after.number.saturating_add(1);
        let leap = if self.surfpool { self.leap(after.number).await? } else { None };
        let Some(slot) = (match leap {
            Some(slot) => Some(slot),
            None => self.first_slot(next).await?,
        }) else {
            return Ok(None);
        };
        let Some(block) = self.block(slot, Details::Full).await? else { return Ok(None) };
        if leap.is_none() && !self.follows(after, slot, &block)? {
            return Ok(None);
        }
        self.whole(slot, block, Some(after)).await.map(Some)
    }

    /// Surfpool moves its clock by as many empty slots as would have passed, hundreds of thousands for a day. Where it is that far
    /// ahead, its own index of transactions says what comes next that could concern anybody; between, nothing happened. None
    /// where there is no need. (A real cluster's slots are read one by one: nobody's index is believed there.)
    async fn leap(&self, from: u64) -> Result<Option<u64>, Error> {
        let head = self.rpc.slot(Commitment::Confirmed).await?;
        if head.saturating_sub(from) < FAR {
            return Ok(None);
        }
        // Whatever moves tokens names their program, and whatever the escrow does names the escrow.
        let mut next = head;
        for address in [address::TOKEN_PROGRAM, address::TOKEN_2022_PROGRAM, local::ESCROW] {
            let address = Pubkey::new_from_array(address).to_string();
            let mut before: Option<String> = None;
            loop {
                let config = json!({"commitment": Commitment::Confirmed, "limit": PAGE, "before": before});
                let page: Vec<Signed> = self.rpc.call("getSignaturesForAddress", (&address, config)).await?;
                let later = page.iter().map(|signed| signed.slot).filter(|slot| *slot > from);
                next = next.min(later.min().unwrap_or(head));
                match page.last() {
                    Some(last) if page.len() == PAGE && last.slot > from => before = Some(last.signature.clone()),
                    _ => break,
                }
            }
        }
        Ok(Some(next))
    }

    /// Whether the node's chain has this block. None where it cannot say: what it does not show it may have skipped, lost, or
    /// not have yet, and only a later block that follows an earlier one proves the first.
    pub async fn has(&self, block: &Header) -> Result<Option<bool>, Error> {
        if let Some(found) = self.header_at(block.number).await? {
            return Ok(Some(found.hash == block.hash));
        }
        let Some(slot) = self.first_slot(block.number.saturating_add(1)).await? else { return Ok(None) };
        let next = self.block(slot, Details::None).await?.filter(|_| !self.surfpool);
        Ok(next.and_then(|next| (next.parent_slot < block.number).then_some(false)))
    }

    /// The header of the block at a slot; none if the slot was skipped, or is not there yet.
    pub async fn header_at(&self, slot: u64) -> Result<Option<Header>, Error> {
        match self.block(slot, Details::None).await? {
            Some(block) => self.header(slot, &block, None).await.map(Some),
            None => Ok(None),
        }
    }

    /// How many blocks there are up to this one, by which transactions run out; none if the node does not have it.
    pub async fn height(&self, of: &Header) -> Result<Option<u64>, Error> {
        let Some(block) = self.block(of.number, Details::None).await? else { return Ok(None) };
        let same = self.header(of.number, &block, None).await?.hash == of.hash;
        Ok(block.block_height.filter(|_| same))
    }

    /// Whether it is the child of one that we have; if not, one of the two is on another fork.
    fn follows(&self, after: &Header, slot: u64, block: &RawBlock) -> Result<bool, Error> {
        let (have, parent) = (after.number, block.parent_slot);
        if self.surfpool {
            return if slot == have + 1 {
                Ok(true)
            } else {
                Err(Error::Nonsense(format!("Surfpool shows slot {slot} after {have}: the slots between are missing")))
            };
        }
        if have < parent {
            return Err(Error::Nonsense(format!(
                "block {slot} follows block {parent}, which the node does not show after block {have}: it has a gap"
            )));
        }
        Ok(parent == have && block.previous_blockhash.0 == after.hash.0)
    }

    async fn first_slot(&self, from: u64) -> Result<Option<u64>, Error> {
        let slots: Vec<u64> =
            self.rpc.call("getBlocksWithLimit", (from, 1, Config { commitment: Commitment::Confirmed })).await?;
        match slots.first() {
            Some(slot) if *slot < from => {
                Err(Error::Nonsense(format!("slot {slot} where one from {from} on was asked for")))
            }
            slot => Ok(slot.copied()),
        }
    }

    async fn block(&self, slot: u64, details: Details) -> Result<Option<RawBlock>, Error> {
        let config = json!({
            "commitment": Commitment::Confirmed,
            "encoding": "json",
            "maxSupportedTransactionVersion": 0,
            "rewards": false,
            "transactionDetails": match details { Details::Full => "full", Details::None => "none" },
        });
        match self.rpc.ask("getBlock", (slot, config)).await {
            Ok(block) => Ok(block),
            Err(Failure::Refused(Refusal { code, .. })) if NOT_YET.contains(&code) || SKIPPED.contains(&code) => {
                Ok(None)
            }
            Err(failure) => Err(failure.into()),
        }
    }

    async fn whole(&self, slot: u64, mut block: RawBlock, after: Option<&Header>) -> Result<Block, Error> {
        let transactions = block.transactions.take().ok_or_else(|| lacks(slot, "transactions"))?;
        let transactions =
            transactions.into_iter().map(|transaction| transaction.read(slot)).collect::<Result<_, _>>()?;
        Ok(Block { header: self.header(slot, &block, after).await?, transactions })
    }

    async fn header(&self, slot: u64, block: &RawBlock, after: Option<&Header>) -> Result<Header, Error> {
        let time = match block.block_time {
            Some(time) if !self.surfpool => Some(time),
            _ => self.rpc.call("getBlockTime", [slot]).await?,
        };
        let time = time.and_then(|time| u64::try_from(time).ok()).ok_or_else(|| lacks(slot, "a time"))?;
        let (hash, parent) = (block.blockhash.0, block.previous_blockhash.0);
        let name = |slot: u64, hash: [u8; 32]| B256::new(sha256(&[&slot.to_le_bytes(), &hash]));
        let (hash, parent_hash, timestamp) = if self.surfpool {
            // Its times are counted back from now and may be a second apart from what they were.
            let parent = after.map_or_else(|| name(slot.saturating_sub(1), parent), |after| after.hash);
            (name(slot, hash), parent, time.max(after.map_or(0, |after| after.timestamp)))
        } else {
            (B256::new(hash), B256::new(parent), time)
        };
        Ok(Header { number: slot, hash, parent_hash, timestamp })
    }
}

#[derive(Clone, Copy)]
enum Details {
    Full,
    None,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawBlock {
    blockhash: Base58<32>,
    previous_blockhash: Base58<32>,
    parent_slot: u64,
    block_height: Option<u64>,
    block_time: Option<i64>,
    transactions: Option<Vec<RawTransaction>>,
}

#[derive(Deserialize)]
struct RawTransaction {
    transaction: RawSigned,
    meta: Option<RawMeta>,
}

#[derive(Deserialize)]
struct RawSigned {
    signatures: Vec<Base58<64>>,
    message: RawMessage,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawMessage {
    account_keys: Vec<Base58<32>>,
    instructions: Vec<RawInstruction>,
}

/// An instruction. Accounts are places in the transaction's list.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RawInstruction {
    pub(crate) program_id_index: usize,
    pub(crate) accounts: Vec<usize>,
    /// In base58; most are nobody's business.
    pub(crate) data: String,
    pub(crate) stack_height: Option<u32>,
}

/// The instructions that one instruction has led to, in the order in which they ran.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct RawInner {
    pub(crate) index: usize,
    pub(crate) instructions: Vec<RawInstruction>,
}

/// What lay in a token account.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RawBalance {
    pub(crate) account_index: usize,
    pub(crate) mint: Base58<32>,
    pub(crate) owner: Option<Base58<32>>,
    pub(crate) program_id: Option<Base58<32>>,
    pub(crate) ui_token_amount: RawAmount,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct RawAmount {
    pub(crate) amount: String,
}

#[derive(Default, Deserialize)]
struct RawLoaded {
    writable: Vec<Base58<32>>,
    readonly: Vec<Base58<32>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawMeta {
    err: Option<serde_json::Value>,
    fee: u64,
    #[serde(default)]
    compute_units_consumed: Option<u64>,
    inner_instructions: Option<Vec<RawInner>>,
    #[serde(default)]
    loaded_addresses: Option<RawLoaded>,
    pre_balances: Vec<u64>,
    post_balances: Vec<u64>,
    pre_token_balances: Option<Vec<RawBalance>>,
    post_token_balances: Option<Vec<RawBalance>>,
}

impl RawTransaction {
    fn read(self, slot: u64) -> Result<Transaction, Error> {
        let signature = self.transaction.signatures.first().ok_or_else(|| lacks(slot, "a signature"))?.0;
        let meta = self.meta.ok_or_else(|| lacks(slot, "what a transaction did"))?;
        let outcome = Outcome {
            success: meta.err.is_none(),
            gas_used: meta.compute_units_consumed.unwrap_or(0),
            fee: meta.fee.into(),
        };
        let mut traces = Traces::default();
        if outcome.success {
            let loaded = meta.loaded_addresses.unwrap_or_default();
            traces.accounts = self.transaction.message.account_keys;
            traces.accounts.extend(loaded.writable);
            traces.accounts.extend(loaded.readonly);
            traces.instructions = self.transaction.message.instructions;
            // A node that keeps none of this would show blocks in which nothing ever happens.
            traces.inner = meta.inner_instructions.ok_or_else(|| lacks(slot, "inner instructions"))?;
            traces.before = meta.pre_token_balances.ok_or_else(|| lacks(slot, "token balances"))?;
            traces.after = meta.post_token_balances.ok_or_else(|| lacks(slot, "token balances"))?;
            // An account without lamports is none: it is not there yet, or was closed. Surfpool names it still, with what lay
            // there once.
            let there = |lamports: &[u64], balance: &RawBalance| {
                lamports.get(balance.account_index).is_some_and(|lamports| *lamports > 0)
            };
            traces.before.retain(|balance| there(&meta.pre_balances, balance));
            traces.after.retain(|balance| there(&meta.post_balances, balance));
        }
        Ok(Transaction { signature, outcome, traces })
    }
}

fn lacks(slot: u64, what: &str) -> Error {
    Error::Nonsense(format!("block {slot} comes without {what}: use a node that keeps them"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> String {
        bs58::encode([byte; 32]).into_string()
    }

    /// A transaction with accounts of a lookup table: its own come first, then the table's, those it writes to first.
    fn with_lookup_table(meta: serde_json::Value) -> Result<Transaction, Error> {
        let mut whole = json!({
            "err": null, "fee": 5000, "computeUnitsConsumed": 7, "status": {"Ok": null}, "logMessages": null,
            "innerInstructions": [], "preBalances": [1, 1, 1, 1, 1], "postBalances": [1, 1, 1, 1, 1], "preTokenBalances": [], "postTokenBalances": [],
            "loadedAddresses": {"writable": [key(3)], "readonly": [key(4), key(5)]},
        });
        whole.as_object_mut().unwrap().extend(meta.as_object().unwrap().clone());
        let raw: RawTransaction = serde_json::from_value(json!({
            "meta": whole,
            "version": 0,
            "transaction": {
                "signatures": [bs58::encode([9; 64]).into_string()],
                "message": {
                    "accountKeys": [key(1), key(2)],
                    "addressTableLookups": [{"accountKey": key(6), "readonlyIndexes": [1, 2], "writableIndexes": [0]}],
                    "header": {"numReadonlySignedAccounts": 0, "numReadonlyUnsignedAccounts": 1, "numRequiredSignatures": 1},
                    "instructions": [{"accounts": [2, 3], "data": "", "programIdIndex": 4, "stackHeight": null}],
                    "recentBlockhash": key(7),
                },
            },
        }))
        .unwrap();
        raw.read(1)
    }

    #[test]
    fn accounts_of_lookup_tables_come_after_a_transactions_own() {
        let transaction = with_lookup_table(json!({})).unwrap();
        let accounts: Vec<u8> = transaction.traces.accounts.iter().map(|account| account.0[0]).collect();
        assert_eq!((accounts, transaction.signature), (vec![1, 2, 3, 4, 5], [9; 64]));
        assert_eq!(transaction.outcome, Outcome { success: true, gas_used: 7, fee: 5000 });
    }

    #[test]
    fn a_failed_transaction_is_there_and_has_done_nothing_even_where_nothing_was_kept_of_it() {
        let failed =
            with_lookup_table(json!({"err": {"InstructionError": [0, {"Custom": 1}]}, "innerInstructions": null}));
        let failed = failed.unwrap();
        assert!(!failed.outcome.success && failed.traces.accounts.is_empty());
        assert!(with_lookup_table(json!({"innerInstructions": null})).is_err());
    }
}
