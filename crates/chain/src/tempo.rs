//! Tempo: no coin of its own, fees in dollar tokens, blocks that are final at once.
//!
//! It is read as any other EVM chain ([`Evm`]). What is sent are its own transactions (type 0x76): they name the token that
//! pays the fee, and use **expiring nonces** (TIP-1009). Such a transaction has a last time instead of a place in a line: it is
//! in a block before that or in none, and no block takes it twice. So one that a node drops without a word, as nodes of Tempo
//! do, holds nobody up, and is proven dead by our own final blocks (`docs/adr/0015`).

use crate::evm::{Evm, address};
use crate::{
    Action, Block, Chain, Contracts, Error, Fees, Gas, Logs, Pack, Sent, Signed, Simulated, Slot, Tags, Unseen,
};
use alloy::eips::BlockNumberOrTag;
use alloy::eips::eip2718::Encodable2718;
use alloy::primitives::TxKind;
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{Address, B256, Bloom, U256, address as known};
use domain::block::{Header, Meaning, Outcome};
use std::num::NonZeroU64;
use tempo_alloy::primitives::TempoTransaction;
use tempo_alloy::primitives::transaction::{Call, TEMPO_EXPIRING_NONCE_KEY};
use terms::{Account, TxId};

/// Tempo's chain id.
pub const MAINNET: u64 = 4217;

/// The chain id of its public test network, Moderato.
pub const TESTNET: u64 = 42431;

/// Takes the fees. The last log of every transaction is a transfer of the fee token to it.
pub const FEE_MANAGER: Address = known!("feec000000000000000000000000000000000000");

/// How long after the newest block a transaction may land. Seconds. The chain allows 30 as of the block that takes it.
const LIFE: u64 = 25;

/// What a call costs here beside what its trial, as a transaction of Ethereum, has cost: nonce, fee token, signature.
const MORE_GAS: u64 = 50_000;

/// A node of Tempo, and the keys we send with.
#[derive(Clone, Debug)]
pub struct Tempo {
    evm: Evm,
    fee_token: Address,
}

/// The time of the newest block, unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now(pub u64);

impl Tempo {
    /// Connects to a node and makes sure it is on chain `id`. `fee_token` pays the fees of what is sent.
    pub async fn connect(
        rpc_url: &str,
        id: u64,
        signers: impl IntoIterator<Item = PrivateKeySigner>,
        fee_token: Address,
    ) -> Result<Self, Error> {
        Ok(Self { evm: Evm::connect(rpc_url, id, signers).await?.with_gas(Gas::TEMPO), fee_token })
    }

    /// The node, for what is the same on every EVM chain.
    pub const fn evm(&self) -> &Evm {
        &self.evm
    }

    /// Signs any call. The same call signed again at the same time is other bytes under another of our nonces: else both
    /// would be one transaction.
    pub fn sign_call(
        &self,
        slot: Slot,
        call: Call,
        gas_limit: u64,
        fees: Fees,
        Now(now): Now,
    ) -> Result<Signed, Error> {
        let key = self.evm.key(address(slot.signer)?)?;
        let last = now.saturating_add(LIFE);
        let tx = TempoTransaction {
            chain_id: self.evm.id(),
            fee_token: Some(self.fee_token),
            max_priority_fee_per_gas: fees.priority,
            max_fee_per_gas: fees.max,
            gas_limit,
            calls: vec![call],
            nonce_key: TEMPO_EXPIRING_NONCE_KEY,
            valid_before: NonZeroU64::new(last.saturating_add(1)),
            // A time long gone, and so no condition.
            valid_after: NonZeroU64::new(slot.nonce % UNLIKE + 1),
            ..TempoTransaction::default()
        };
        let signature = key.sign_hash_sync(&tx.signature_hash());
        let signature = signature.map_err(|error| Error::Configuration(format!("cannot sign: {error}")))?;
        let signed = tx.into_signed(signature.into());
        Ok(Signed {
            raw: signed.encoded_2718().into(),
            hash: TxId::Evm(*signed.hash()),
            gas_limit,
            max_fee: fees.max,
            expires_after: Some(last),
        })
    }
}

/// Transactions of one key with the same content in the same second are told apart as long as they are fewer than this.
const UNLIKE: u64 = 1 << 20;

impl Chain for Tempo {
    const NONCES: bool = false;
    type Rest = Bloom;
    type Prepared = Now;

    fn id(&self) -> u64 {
        self.evm.id()
    }

    async fn genesis(&self) -> Result<B256, Error> {
        self.evm.genesis().await
    }

    async fn tags(&self) -> Result<Tags, Error> {
        self.evm.tags().await
    }

    async fn block(&self, number: u64) -> Result<Option<Block<Bloom>>, Error> {
        self.evm.block(number).await
    }

    async fn next(&self, after: &Header) -> Result<Option<Block<Bloom>>, Error> {
        self.evm.next(after).await
    }

    async fn has(&self, block: &Header) -> Result<Option<bool>, Error> {
        self.evm.has(block).await
    }

    /// Without the fees: each is a transfer too, and one of the invoices' token where that pays them. What the fee manager
    /// pays out is money that moves as any other, and stays. A transfer with a memo says the same in two logs, of which only
    /// `Transfer` is asked for; and what a receiver's policy has turned away names another receiver in it, whatever the memo.
    async fn logs(&self, block: &Block<Bloom>, escrow: Account) -> Result<Logs, Error> {
        let mut logs = self.evm.logs(block, escrow).await?;
        logs.read.retain(|(_, meaning)| !is_fee(meaning));
        Ok(logs)
    }

    async fn outcome(&self, tx: TxId, block: B256) -> Result<Option<Outcome>, Error> {
        self.evm.outcome(tx, block).await
    }

    fn signers(&self) -> Vec<Account> {
        self.evm.signers()
    }

    async fn nonce(&self, _: Account) -> Result<u64, Error> {
        Ok(0)
    }

    /// A block's time is never before that of the block it follows. So when the final one is beyond the last time of a
    /// transaction, no block after it has it, and up to it the mirror would have seen it. The node is asked all the same, if
    /// it has that block: should it know a receipt, something is wrong, and nothing is dead.
    async fn dead(&self, _: Account, unseen: &[Unseen], final_: &Header) -> Result<Vec<u64>, Error> {
        let over = |unseen: &&Unseen| unseen.expires_after.is_some_and(|last| final_.timestamp > last);
        let over: Vec<&Unseen> = unseen.iter().filter(over).collect();
        let mut dead = Vec::new();
        if over.is_empty() || self.evm.has(final_).await? != Some(true) {
            return Ok(dead);
        }
        for Unseen { nonce, txs, .. } in over {
            if !self.evm.mined(txs).await? {
                dead.push(*nonce);
            }
        }
        Ok(dead)
    }

    async fn may_settle(&self, contracts: Contracts, signer: Account) -> Result<Simulated, Error> {
        self.evm.may_settle(contracts, signer).await
    }

    async fn simulate(&self, contracts: Contracts, signer: Account, action: &Action) -> Result<Simulated, Error> {
        Ok(match self.evm.simulate(contracts, signer, action).await? {
            Simulated::Works(gas) => Simulated::Works(gas.saturating_add(MORE_GAS)),
            reverts @ Simulated::Reverts(_) => reverts,
        })
    }

    fn pack(&self, contracts: Contracts, actions: &[(Action, u64)]) -> Vec<Pack> {
        self.evm.pack(contracts, actions)
    }

    /// In 10^-18 dollars for each unit of gas.
    async fn fees(&self) -> Result<Fees, Error> {
        self.evm.fees().await
    }

    async fn prepare(&self) -> Result<Now, Error> {
        let latest = self.evm.tagged(BlockNumberOrTag::Latest).await?;
        Ok(Now(latest.ok_or_else(|| Error::Nonsense("there is no latest block".to_owned()))?.header.timestamp))
    }

    fn sign(
        &self,
        contracts: Contracts,
        actions: &[Action],
        slot: Slot,
        gas_limit: u64,
        fees: Fees,
        now: &Now,
    ) -> Result<Signed, Error> {
        let (to, input) = self.evm.call_of(contracts, actions)?;
        self.sign_call(slot, Call { to: TxKind::Call(to), value: U256::ZERO, input }, gas_limit, fees, *now)
    }

    fn sign_nothing(&self, _: Slot, _: Fees) -> Result<Signed, Error> {
        Err(no_line())
    }

    fn sign_again(&self, _: Account, _: &[u8], _: Fees, _: u128) -> Result<Option<Signed>, Error> {
        Err(no_line())
    }

    async fn send(&self, raw: &[u8]) -> Sent {
        self.evm.send(raw).await
    }
}

/// Whether a transfer is the fee of its transaction.
fn is_fee(meaning: &Meaning) -> bool {
    matches!(meaning, Meaning::Transfer { to, .. } if *to == Account::Evm(FEE_MANAGER))
}

fn no_line() -> Error {
    Error::Configuration("our transactions on Tempo stand in no line".to_owned())
}
