//! Ethereum's JSON-RPC, through alloy.

use crate::logs::{self, Answer};
use crate::{
    Action, Block, Chain, Contracts, Error, Fees, Gas, Logs, Pack, Sent, Signed, Simulated, Slot, Tags, Unseen, wording,
};
use alloy::consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy::eips::{BlockId, BlockNumberOrTag, Decodable2718, Encodable2718};
use alloy::network::{AnyNetwork, AnyRpcBlock, TxSignerSync};
use alloy::primitives::TxKind;
use alloy::providers::{Provider, RootProvider};
use alloy::rpc::client::RpcClient;
use alloy::rpc::types::{Filter, Log, TransactionRequest};
use alloy::serde::WithOtherFields;
use alloy::signers::local::PrivateKeySigner;
use alloy::transports::http::Http;
use alloy::transports::{RpcError, TransportErrorKind};
use alloy_primitives::{Address, B256, Bloom, Bytes, U256};
use alloy_sol_types::{SolCall, SolInterface};
use domain::block::{Header, Outcome};
use std::time::Duration;
use terms::abi::{IGovernance, IInvoiceEscrow, IMintGate, ISettlementGate};
use terms::{Account, InvoiceTerms, Terms, TxId};

/// What a transfer of nothing costs.
const TRANSFER_GAS: u64 = 21_000;

/// No answer of a node is waited for longer than this.
const RPC_TIMEOUT: Duration = Duration::from_secs(15);

/// JSON-RPC's code for a method that a node does not have.
const METHOD_NOT_FOUND: i64 = -32601;

/// A node, and the keys we send with.
#[derive(Clone)]
pub struct Evm {
    id: u64,
    /// What the key to the node may look like in the words of others, longest first, each with what may be shown of it.
    secrets: Vec<(String, String)>,
    /// As it may be shown.
    shown: String,
    provider: RootProvider<AnyNetwork>,
    signers: Vec<PrivateKeySigner>,
    gas: Gas,
}

impl Evm {
    /// Connects to a node and makes sure it is on chain `id`.
    pub async fn connect(
        rpc_url: &str,
        id: u64,
        signers: impl IntoIterator<Item = PrivateKeySigner>,
    ) -> Result<Self, Error> {
        let signers = signers.into_iter().collect();
        // Set once for the process; a second time is refused and harmless.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let url: reqwest::Url = rpc_url
            .parse()
            .map_err(|error| Error::Configuration(format!("'{}' is no URL: {error}", shown_url(rpc_url))))?;
        let secrets = secrets_of(rpc_url, &url);
        let client = reqwest::Client::builder()
            .timeout(RPC_TIMEOUT)
            .build()
            .map_err(|error| Error::Configuration(format!("no HTTP client: {error}")))?;
        let provider = RootProvider::new(RpcClient::new(Http::with_client(client, url), true));
        let evm = Self { id, secrets, shown: shown_url(rpc_url), provider, signers, gas: Gas::on(id) };
        let there = evm.provider.get_chain_id().await.map_err(|error| evm.failed(&error))?;
        if there != id {
            return Err(Error::OtherChain { node: evm.shown, found: there, expected: id });
        }
        Ok(evm)
    }

    /// What went wrong, without the key to the node.
    fn words(&self, error: &RpcError<TransportErrorKind>) -> String {
        self.secrets.iter().fold(error.to_string(), |words, (secret, shown)| words.replace(secret, shown))
    }

    /// An error of [`Evm::provider`] as one of ours, without the key to the node.
    pub fn failed(&self, error: &RpcError<TransportErrorKind>) -> Error {
        match error {
            RpcError::ErrorResp(_) => Error::Refused(self.words(error)),
            error => Error::Unreachable(self.words(error)),
        }
    }

    fn refused(&self, error: RpcError<TransportErrorKind>) -> Result<Simulated, Error> {
        match error {
            RpcError::ErrorResp(answer) => {
                let data = answer.as_revert_data();
                Ok(Simulated::Reverts(data.map_or_else(|| answer.message.to_string(), |data| in_words(&data))))
            }
            error => Err(self.failed(&error)),
        }
    }

    /// Tries a call, from anyone, without sending it: after the latest block, which is said because nodes differ in what
    /// they take where nothing is said, and some would count what lies in their pool.
    async fn try_call(&self, from: Address, to: Address, input: Vec<u8>) -> Result<(), RpcError<TransportErrorKind>> {
        let request = TransactionRequest::default().from(from).to(to).input(input.into()).gas_limit(self.gas.action);
        self.provider.call(WithOtherFields::new(request)).block(BlockId::latest()).await.map(|_| ())
    }

    /// What things may cost here.
    pub const fn gas(&self) -> Gas {
        self.gas
    }

    /// The same node, where other things cost more.
    pub(crate) const fn with_gas(mut self, gas: Gas) -> Self {
        self.gas = gas;
        self
    }

    /// The node, for what is not part of [`Chain`].
    pub fn provider(&self) -> &RootProvider<AnyNetwork> {
        &self.provider
    }

    /// Asks a contract.
    pub async fn read<C: SolCall>(&self, contract: Address, call: &C) -> Result<C::Return, Error> {
        self.read_at(contract, call, BlockId::latest()).await
    }

    /// Asks a contract as of one block, by its hash: an answer of another block is none.
    pub async fn read_as_of<C: SolCall>(&self, contract: Address, call: &C, block: B256) -> Result<C::Return, Error> {
        self.read_at(contract, call, BlockId::hash(block)).await
    }

    async fn read_at<C: SolCall>(&self, contract: Address, call: &C, block: BlockId) -> Result<C::Return, Error> {
        let request = TransactionRequest::default().to(contract).input(call.abi_encode().into());
        let answer = self.provider.call(WithOtherFields::new(request)).block(block).await;
        let answer = answer.map_err(|error| self.failed(&error))?;
        C::abi_decode_returns(&answer).map_err(|error| Error::Nonsense(error.to_string()))
    }

    /// Whether an account may call a function of a gate at once, as whoever governs it says.
    pub async fn may_call(&self, gate: Address, selector: [u8; 4], caller: Address) -> Result<bool, Error> {
        let governance = self.read(gate, &ISettlementGate::authorityCall {}).await?;
        let asked = IGovernance::canCallCall { caller, target: gate, selector: selector.into() };
        Ok(self.read(governance, &asked).await?.immediate)
    }

    /// The headers of the highest block and of the finalized one.
    pub async fn clock(&self) -> Result<(Header, Header), Error> {
        let (latest, final_) =
            tokio::try_join!(self.tagged(BlockNumberOrTag::Latest), self.tagged(BlockNumberOrTag::Finalized))?;
        let none = || Error::Nonsense("there is no finalized block".to_owned());
        Ok((latest.ok_or_else(none)?.header, final_.ok_or_else(none)?.header))
    }

    pub(crate) async fn tagged(&self, tag: BlockNumberOrTag) -> Result<Option<Block<Bloom>>, Error> {
        Ok(self.provider.get_block_by_number(tag).await.map_err(|error| self.failed(&error))?.map(block))
    }

    /// Every log of a block with a topic of ours, whoever emitted it.
    async fn logs_at(&self, block: B256) -> Result<Vec<Log>, Error> {
        let filter = Filter::new().at_block_hash(block).event_signature(logs::TOPICS.to_vec());
        let found = self.provider.get_logs(&filter).await.map_err(|error| self.failed(&error))?;
        // A log of another block would be booked at the wrong height; a replica may serve one after a re-org.
        match found.iter().find(|log| log.block_hash != Some(block)) {
            Some(log) => Err(Error::Nonsense(format!("a log of {:?} for block {block}", log.block_hash))),
            None => Ok(found),
        }
    }

    /// How many logs with a topic of ours a block's receipts have: what decides when an answer looks too short. None if
    /// the node does not know the question.
    async fn logs_in_receipts(&self, block: &Block<Bloom>) -> Result<Option<usize>, Error> {
        let hash = block.header.hash;
        let receipts = match self.provider.get_block_receipts(hash.into()).await {
            Ok(receipts) => receipts.unwrap_or_default(),
            Err(RpcError::ErrorResp(answer)) if answer.code == METHOD_NOT_FOUND => return Ok(None),
            Err(error) => return Err(self.failed(&error)),
        };
        if receipts.len() != block.transactions.len() {
            let (has, of) = (receipts.len(), block.transactions.len());
            return Err(Error::Nonsense(format!(
                "the node has {has} receipts of block {hash}, which has {of} transactions"
            )));
        }
        let logs = receipts.iter().flat_map(|receipt| receipt.inner.inner.logs());
        Ok(Some(logs.filter(|log| log.topic0().is_some_and(|topic| logs::TOPICS.contains(topic))).count()))
    }

    async fn height(&self, tag: BlockNumberOrTag) -> Result<u64, Error> {
        Ok(self.tagged(tag).await?.map_or(0, |block| block.header.number))
    }

    /// How many transactions of `account` were in the chain as of one block, by its hash.
    async fn nonce_at(&self, account: Address, block: B256) -> Result<u64, Error> {
        let count = self.provider.get_transaction_count(account).block_id(BlockId::hash(block));
        count.await.map_err(|error| self.failed(&error))
    }

    /// Whether the node has a receipt for one of these transactions, in whatever block.
    pub(crate) async fn mined(&self, txs: &[TxId]) -> Result<bool, Error> {
        for tx in txs {
            let receipt = self.provider.get_transaction_receipt(hash(*tx)?).await;
            if receipt.map_err(|error| self.failed(&error))?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(crate) fn key(&self, signer: Address) -> Result<&PrivateKeySigner, Error> {
        let key = self.signers.iter().find(|key| key.address() == signer);
        key.ok_or_else(|| Error::Configuration(format!("no key of {signer} is configured")))
    }

    /// The one call that carries out actions that were packed together.
    pub(crate) fn call_of(&self, contracts: Contracts, actions: &[Action]) -> Result<(Address, Bytes), Error> {
        let [action] = actions else {
            let settled = actions.iter().map(|action| match action {
                Action::Settle(terms) => evm(terms),
                other => Err(Error::Configuration(format!("{other:?} does not go into a batch"))),
            });
            return settle_batch(contracts, settled.collect::<Result<_, _>>()?, self.gas.item);
        };
        call(contracts, action, self.gas.item)
    }

    /// Signs any call.
    pub fn sign_call(
        &self,
        slot: Slot,
        to: Address,
        input: Bytes,
        gas_limit: u64,
        fees: Fees,
    ) -> Result<Signed, Error> {
        let signer = address(slot.signer)?;
        let tx = TxEip1559 {
            chain_id: self.id,
            nonce: slot.nonce,
            gas_limit,
            max_fee_per_gas: fees.max,
            max_priority_fee_per_gas: fees.priority,
            to: TxKind::Call(to),
            value: U256::ZERO,
            access_list: alloy::eips::eip2930::AccessList::default(),
            input,
        };
        self.sign_tx(signer, tx)
    }

    fn sign_tx(&self, signer: Address, mut tx: TxEip1559) -> Result<Signed, Error> {
        let (gas_limit, max_fee) = (tx.gas_limit, tx.max_fee_per_gas);
        let signature = self.key(signer)?.sign_transaction_sync(&mut tx);
        let signature = signature.map_err(|error| Error::Configuration(format!("cannot sign: {error}")))?;
        let envelope = TxEnvelope::from(tx.into_signed(signature));
        let hash = TxId::Evm(*envelope.tx_hash());
        Ok(Signed { raw: envelope.encoded_2718().into(), hash, gas_limit, max_fee, expires_after: None })
    }
}

impl Chain for Evm {
    const NONCES: bool = true;
    /// What the header says of the logs in its block: what is not in here is not in the block.
    type Rest = Bloom;
    type Prepared = ();

    fn id(&self) -> u64 {
        self.id
    }

    async fn genesis(&self) -> Result<B256, Error> {
        let block = self.tagged(BlockNumberOrTag::Number(0)).await?;
        Ok(block.ok_or_else(|| Error::Nonsense("there is no block 0".to_owned()))?.header.hash)
    }

    async fn tags(&self) -> Result<Tags, Error> {
        let (latest, safe, final_) = tokio::try_join!(
            self.tagged(BlockNumberOrTag::Latest),
            self.height(BlockNumberOrTag::Safe),
            self.height(BlockNumberOrTag::Finalized),
        )?;
        let latest = latest.ok_or_else(|| Error::Nonsense("there is no latest block".to_owned()))?.header;
        Ok(Tags { latest, safe, final_ })
    }

    async fn block(&self, number: u64) -> Result<Option<Block<Bloom>>, Error> {
        match self.tagged(BlockNumberOrTag::Number(number)).await? {
            Some(block) if block.header.number != number => {
                Err(Error::Nonsense(format!("block {} for block {number}", block.header.number)))
            }
            found => Ok(found),
        }
    }

    async fn next(&self, after: &Header) -> Result<Option<Block<Bloom>>, Error> {
        let next = self.block(after.number + 1).await?;
        Ok(next.filter(|block| block.header.parent_hash == after.hash))
    }

    async fn has(&self, block: &Header) -> Result<Option<bool>, Error> {
        Ok(self.block(block.number).await?.map(|found| found.header.hash == block.hash))
    }

    async fn logs(&self, block: &Block<Bloom>, escrow: Account) -> Result<Logs, Error> {
        let (hash, escrow) = (block.header.hash, address(escrow)?);
        let mut found = self.logs_at(hash).await?;
        let answer = logs::weigh(&found, &block.rest, escrow);
        if answer != Answer::Whole {
            match self.logs_in_receipts(block).await? {
                Some(there) if there == found.len() => {}
                Some(there) => {
                    let told = found.len();
                    return Err(Error::Nonsense(format!(
                        "the node tells of {told} logs in block {hash}, its receipts have {there}: its logs are late or wrong"
                    )));
                }
                None if answer == Answer::LacksTransfers => found = self.logs_at(hash).await?,
                None => {
                    return Err(Error::Nonsense(format!(
                        "the header of block {hash} promises events of our escrow, the node tells of none and has no \
                         eth_getBlockReceipts to make sure: use a node that has it"
                    )));
                }
            }
        }
        Ok(logs::read(&found, escrow))
    }

    async fn outcome(&self, tx: TxId, block: B256) -> Result<Option<Outcome>, Error> {
        let receipt = self.provider.get_transaction_receipt(hash(tx)?).await.map_err(|error| self.failed(&error))?;
        Ok(receipt.filter(|receipt| receipt.block_hash == Some(block)).map(|receipt| Outcome {
            success: alloy::network::ReceiptResponse::status(&receipt),
            gas_used: receipt.gas_used,
            fee: receipt.effective_gas_price.saturating_mul(u128::from(receipt.gas_used)),
        }))
    }

    fn signers(&self) -> Vec<Account> {
        self.signers.iter().map(|signer| signer.address().into()).collect()
    }

    async fn nonce(&self, account: Account) -> Result<u64, Error> {
        self.provider.get_transaction_count(address(account)?).await.map_err(|error| self.failed(&error))
    }

    /// A nonce that the final chain has behind it and for none of whose transactions there is a receipt was used by somebody
    /// else: by whoever has the key too, or by ourselves before a backup.
    async fn dead(&self, signer: Account, unseen: &[Unseen], final_: &Header) -> Result<Vec<u64>, Error> {
        let count = self.nonce_at(address(signer)?, final_.hash).await?;
        let mut dead = Vec::new();
        for Unseen { nonce, txs, .. } in unseen.iter().filter(|unseen| unseen.nonce < count) {
            if !self.mined(txs).await? {
                dead.push(*nonce);
            }
        }
        Ok(dead)
    }

    async fn may_settle(&self, contracts: Contracts, signer: Account) -> Result<Simulated, Error> {
        let nothing = ISettlementGate::settleBatchCall { terms: Vec::new(), gasPerItem: U256::ZERO };
        let answer = self.try_call(address(signer)?, address(contracts.gate)?, nothing.abi_encode()).await;
        answer.map_or_else(|error| self.refused(error), |()| Ok(Simulated::Works(self.gas.batch(0))))
    }

    async fn simulate(&self, contracts: Contracts, signer: Account, action: &Action) -> Result<Simulated, Error> {
        let answer = match action {
            Action::Settle(terms) => {
                let call = IInvoiceEscrow::settleCall { terms: evm(terms)?.into() }.abi_encode();
                let (gate, escrow) = (address(contracts.gate)?, address(contracts.escrow)?);
                self.try_call(gate, escrow, call).await.map(|()| self.gas.batch(1))
            }
            action => {
                let (to, input) = call(contracts, action, self.gas.item)?;
                let request = TransactionRequest::default().from(address(signer)?).to(to).input(input.into());
                let request = WithOtherFields::new(request.gas_limit(self.gas.action));
                // A fifth more: state may have changed a little by the time the transaction is mined.
                self.provider
                    .estimate_gas(request)
                    .block(BlockId::latest())
                    .await
                    .map(|gas| (gas + gas / 5).min(self.gas.action))
            }
        };
        answer.map_or_else(|error| self.refused(error), |gas| Ok(Simulated::Works(gas)))
    }

    /// Settlements go first, as many in a batch as fit, in which one that fails fails alone; the others go each by itself.
    fn pack(&self, _: Contracts, actions: &[(Action, u64)]) -> Vec<Pack> {
        let (settles, others): (Vec<usize>, Vec<usize>) = (0..actions.len())
            .partition(|item| actions.get(*item).is_some_and(|(action, _)| matches!(action, Action::Settle(_))));
        let others = others
            .into_iter()
            .map(|item| Pack { items: vec![item], gas_limit: actions.get(item).map_or(0, |(_, gas)| *gas) });
        let batches = settles.chunks(self.gas.items);
        let batches = batches.map(|items| Pack { gas_limit: self.gas.batch(items.len()), items: items.to_vec() });
        batches.chain(others).collect()
    }

    async fn fees(&self) -> Result<Fees, Error> {
        let fees = self.provider.estimate_eip1559_fees().await.map_err(|error| self.failed(&error))?;
        Ok(Fees { max: fees.max_fee_per_gas, priority: fees.max_priority_fee_per_gas })
    }

    async fn prepare(&self) -> Result<(), Error> {
        Ok(())
    }

    fn sign(
        &self,
        contracts: Contracts,
        actions: &[Action],
        slot: Slot,
        gas_limit: u64,
        fees: Fees,
        (): &(),
    ) -> Result<Signed, Error> {
        let (to, input) = self.call_of(contracts, actions)?;
        self.sign_call(slot, to, input, gas_limit, fees)
    }

    fn sign_nothing(&self, slot: Slot, fees: Fees) -> Result<Signed, Error> {
        self.sign_call(slot, address(slot.signer)?, Bytes::new(), TRANSFER_GAS, fees)
    }

    fn sign_again(&self, signer: Account, raw: &[u8], market: Fees, cap: u128) -> Result<Option<Signed>, Error> {
        let strange = |what: &str| Error::Nonsense(format!("a transaction of ours is {what}"));
        let envelope = TxEnvelope::decode_2718_exact(raw).map_err(|error| strange(&error.to_string()))?;
        let signed = envelope.as_eip1559().ok_or_else(|| strange("of another type"))?;
        let mut tx = signed.tx().clone();
        let last = Fees { max: tx.max_fee_per_gas, priority: tx.max_priority_fee_per_gas };
        let Some(fees) = last.raised(market, cap) else { return Ok(None) };
        (tx.max_fee_per_gas, tx.max_priority_fee_per_gas) = (fees.max, fees.priority);
        self.sign_tx(address(signer)?, tx).map(Some)
    }

    async fn send(&self, raw: &[u8]) -> Sent {
        match self.provider.send_raw_transaction(raw).await {
            Ok(_) => Sent::Taken,
            Err(error) => match &error {
                RpcError::ErrorResp(answer) => wording::refusal(&answer.message, self.words(&error)),
                error => Sent::Unknown(self.words(error)),
            },
        }
    }
}

/// An address here.
pub(crate) fn address(account: Account) -> Result<Address, Error> {
    account.evm().ok_or_else(|| Error::Configuration(format!("{account} is no address of an EVM chain")))
}

/// A transaction here.
pub(crate) fn hash(tx: TxId) -> Result<B256, Error> {
    tx.evm().ok_or_else(|| Error::Configuration(format!("{tx} is no transaction of an EVM chain")))
}

/// Terms here.
fn evm(terms: &Terms) -> Result<&InvoiceTerms, Error> {
    terms.evm().ok_or_else(|| Error::Configuration(format!("terms {} are for no EVM chain", terms.hash())))
}

/// Settlements, however few, go through the gate as a batch; `gas` is what each is given.
fn settle_batch(contracts: Contracts, terms: Vec<&InvoiceTerms>, gas: u64) -> Result<(Address, Bytes), Error> {
    let terms = terms.into_iter().map(Into::into).collect();
    let call = ISettlementGate::settleBatchCall { terms, gasPerItem: U256::from(gas) };
    Ok((address(contracts.gate)?, call.abi_encode().into()))
}

/// The call an action is: to whom, and what; `gas` is what a settlement is given.
fn call(contracts: Contracts, action: &Action, gas: u64) -> Result<(Address, Bytes), Error> {
    let (escrow, gate) = (address(contracts.escrow)?, address(contracts.gate)?);
    Ok(match action {
        Action::Settle(terms) => settle_batch(contracts, vec![evm(terms)?], gas)?,
        Action::Fund(terms, authorization) => {
            let (terms, authorization) = (terms.into(), authorization.clone());
            (gate, ISettlementGate::fundAndSettleCall { authorization, terms }.abi_encode().into())
        }
        Action::Cancel(terms) => (gate, ISettlementGate::cancelCall { terms: evm(terms)?.into() }.abi_encode().into()),
        Action::Refund(terms, token) => {
            let (terms, token) = (evm(terms)?.into(), address(*token)?);
            (escrow, IInvoiceEscrow::refundCall { terms, token }.abi_encode().into())
        }
        Action::RefundByOrder(terms, order, signature) => {
            let (terms, order, signature) = (terms.into(), order.clone(), signature.clone());
            (escrow, IInvoiceEscrow::refundByOrderCall { terms, order, signature }.abi_encode().into())
        }
        Action::MintAndPay(terms, gate, deposit, signatures) => {
            let (terms, deposit, signatures) = (evm(terms)?.into(), deposit.clone(), signatures.clone());
            (*gate, IMintGate::mintAndPayCall { terms, deposit, signatures }.abi_encode().into())
        }
        Action::Redeem(terms) => {
            let terms = evm(terms)?;
            (terms.payee, IMintGate::redeemCall { terms: terms.into() }.abi_encode().into())
        }
        Action::AttestReserve(gate, reserve, signatures) => {
            let (statement, signatures) = (reserve.clone(), signatures.clone());
            (*gate, IMintGate::attestReserveCall { statement, signatures }.abi_encode().into())
        }
    })
}

/// What a revert of ours says, with its numbers.
fn in_words(data: &[u8]) -> String {
    if let Ok(error) = IInvoiceEscrow::IInvoiceEscrowErrors::abi_decode(data) {
        return format!("{error:?}");
    }
    if let Ok(error) = IMintGate::IMintGateErrors::abi_decode(data) {
        return format!("{error:?}");
    }
    match ISettlementGate::ISettlementGateErrors::abi_decode(data) {
        Ok(error) => format!("{error:?}"),
        Err(_) => format!("reverted with {}", Bytes::copy_from_slice(data.get(..data.len().min(132)).unwrap_or(data))),
    }
}

fn block(block: AnyRpcBlock) -> Block<Bloom> {
    let header = Header {
        number: block.header.number,
        hash: block.header.hash,
        parent_hash: block.header.parent_hash,
        timestamp: block.header.timestamp,
    };
    Block { header, transactions: block.transactions.hashes().map(TxId::Evm).collect(), rest: block.header.logs_bloom }
}

/// How a node's URL may appear in what others say: as it was given, as it is normalised, without user and password (HTTP
/// clients send those apart), and what is left of each when somebody shortens it.
pub(crate) fn secrets_of(given: &str, url: &reqwest::Url) -> Vec<(String, String)> {
    let shown = shown_url(given);
    let mut bare = url.clone();
    let _ = (bare.set_username(""), bare.set_password(None));
    let whole = [given.to_owned(), url.to_string(), bare.to_string()];
    let mut secrets: Vec<(String, String)> = whole.into_iter().map(|whole| (whole, shown.clone())).collect();
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    for part in [format!("{}{query}", url.path()), url.path().to_owned(), query] {
        if part.len() > 1 {
            secrets.push((part, "/…".to_owned()));
        }
    }
    secrets.extend(url.password().map(|password| (password.to_owned(), "…".to_owned())));
    secrets.sort_by_key(|(secret, _)| std::cmp::Reverse(secret.len()));
    secrets
}

impl std::fmt::Debug for Evm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Evm").field("id", &self.id).field("node", &self.shown).finish_non_exhaustive()
    }
}

/// Scheme and host of a URL: what may be shown of it.
pub fn shown_url(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    let host = host.rsplit('@').next().unwrap_or_default();
    if scheme.is_empty() { "…".to_owned() } else { format!("{scheme}://{host}/") }
}
