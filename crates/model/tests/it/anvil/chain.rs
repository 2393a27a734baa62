//! The contracts on Anvil: does one step as one transaction in a block of its own, and says what can be seen.

use alloy::primitives::{Bytes, U64, U256, hex, keccak256};
use alloy::providers::Provider;
use alloy::rpc::client::{BatchRequest, Waiter};
use alloy::rpc::types::{Log, TransactionReceipt};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::{Eip712Domain, SolCall, SolEvent, SolStruct, eip712_domain, sol};
use alloy::transports::TransportError;
use model::{
    NATIVE, RefundOrder, Slot, Status, Step,
    testing::{Cast, POCKET},
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use terms::{Address, Deployment, Here, InvoiceTerms, abi::IInvoiceEscrow as Escrow};
use test_chain::{Anvil, AnvilOptions, DEV_ACCOUNTS, contracts::deploy};

use super::{Did, View, Watched};

/// The contract's own list of its errors.
const ESCROW: &str = include_str!("../../../../../contracts/artifacts/InvoiceEscrow.json");

/// How long before every trace Anvil's chain begins, seconds.
const BEFORE: u64 = 86_400;

/// The last two of the dev accounts issue the tokens.
const ISSUERS: [usize; 2] = [8, 9];

/// Gas for a transaction: a batch of four with gas enough for each, with some to spare.
const GAS: u64 = 12_000_000;
const GAS_PER_ITEM: u64 = 1_500_000;

/// The first 8 hex digits of `Panic(uint256)`, and the code for a sum that does not fit.
const PANIC: &str = "4e487b71";
const PANIC_ARITHMETIC: u64 = 0x11;

sol! {
    interface IToken {
        function approve(address spender, uint256 value) returns (bool);
        function balanceOf(address account) returns (uint256);
        function blacklist(address account);
        function transfer(address to, uint256 value) returns (bool);
        function unBlacklist(address account);
    }
}

/// A chain with the escrow, two tokens, and people whose keys we have.
pub(super) struct Chain {
    anvil: Anvil,
    cast: Cast,
    keys: BTreeMap<Address, PrivateKeySigner>,
    issuers: BTreeMap<Address, Address>,
    errors: BTreeMap<String, String>,
    domain: Eip712Domain,
    beginning: U256,
}

/// A transaction that is not sent yet.
struct Call {
    from: Address,
    to: Address,
    value: U256,
    input: Vec<u8>,
}

/// A transaction in a block.
struct Mined {
    success: bool,
    output: Bytes,
    logs: Vec<Log>,
}

impl Chain {
    /// Starts Anvil and sets the scene as [`Cast::world`] has it: everybody has a pocket of everything, and has allowed
    /// the escrow to take any amount.
    pub(super) async fn start() -> Self {
        let cast = Cast::default();
        let genesis = cast.here.timestamp - BEFORE;
        // Gas is free, so that what people have of the native coin is what they sent and got.
        let arguments = ["--timestamp", &genesis.to_string(), "--block-base-fee-per-gas", "0"].map(String::from);
        let options = AnvilOptions { arguments: arguments.to_vec(), ..AnvilOptions::manual() };
        let anvil = Anvil::start(options).await.unwrap();

        let signers = DEV_ACCOUNTS.map(|account| PrivateKeySigner::from_bytes(&account.private_key).unwrap());
        let pockets: Vec<(Address, u128)> = cast.people.iter().map(|&person| (person, u128::from(POCKET))).collect();
        let first = deploy(&anvil, &signers[ISSUERS[0]], &pockets).await.unwrap();
        let second = deploy(&anvil, &signers[ISSUERS[1]], &pockets).await.unwrap();
        let chain_id = anvil.chain_id().await.unwrap();
        let there = Cast {
            here: Here {
                chain: chain_id,
                timestamp: cast.here.timestamp,
                deployment: Deployment { factory: first.escrow, init_code_hash: first.purse_init_code_hash },
            },
            tokens: vec![first.token, second.token],
            people: signers[..cast.people.len()].iter().map(PrivateKeySigner::address).collect(),
        };
        assert_eq!(there, cast, "Anvil has something else: if that is meant, put it into `Cast::default`");
        let keys = cast.people.iter().copied().zip(signers).collect();
        let mut chain = Self {
            anvil,
            cast: cast.clone(),
            keys,
            issuers: BTreeMap::from([(first.token, first.token_owner), (second.token, second.token_owner)]),
            errors: escrow_errors(),
            domain: eip712_domain! {
                name: "Monay InvoiceEscrow",
                version: "1",
                chain_id: chain_id,
                verifying_contract: first.escrow,
            },
            beginning: U256::ZERO,
        };
        for &person in &cast.people {
            for token in [first.token, second.token] {
                let input = IToken::approveCall { spender: first.escrow, value: U256::MAX }.abi_encode();
                let call = Call { from: person, to: token, value: U256::ZERO, input };
                assert!(chain.transact(call, None).await.unwrap().success);
            }
            chain.anvil.set_balance(person, U256::from(POCKET)).await.unwrap();
        }
        // Where the fees of the deployment went. From here on nobody pays any.
        chain.anvil.set_balance(NATIVE, U256::ZERO).await.unwrap();
        // Forged terms name the escrow as their settler or refund key, and then it is the one who asks.
        chain.anvil.rpc("anvil_impersonateAccount", json!([first.escrow])).await.unwrap();
        chain.beginning = chain.anvil.snapshot().await.unwrap();
        chain
    }

    pub(super) fn cast(&self) -> &Cast {
        &self.cast
    }

    /// Back to the moment before the first step.
    pub(super) async fn rewind(&mut self) {
        self.anvil.revert(self.beginning).await.unwrap();
        self.beginning = self.anvil.snapshot().await.unwrap();
    }

    /// Does the step at `timestamp`: what it did, or the name of the error.
    pub(super) async fn perform(&self, step: &Step, timestamp: u64) -> Result<Did, String> {
        let Some(call) = self.call(step) else { return Ok(Did::default()) };
        let by_escrow = call.to == self.cast.here.deployment.factory;
        let mined = match self.transact(call, Some(timestamp)).await {
            Ok(mined) => mined,
            // A node does not even take a transaction that sends more of the native coin than there is.
            Err(refusal) if refusal.contains("nsufficient funds") => return Err("TransferFailed".into()),
            Err(refusal) => panic!("the node refused {step:?}: {refusal}"),
        };
        if !mined.success {
            // The token's own words when it is called directly; the model has one for all of them.
            return Err(if by_escrow { self.error_name(&mined.output) } else { "TransferFailed".into() });
        }
        let mut did = Did::default();
        if by_escrow && !mined.output.is_empty() {
            did.returned = U256::from_be_slice(&mined.output);
        }
        for log in mined.logs.iter().filter(|log| log.address() == self.cast.here.deployment.factory) {
            if let Ok(event) = Escrow::Recorded::decode_log(&log.inner) {
                did.recorded.push(event.data);
            } else {
                let event = Escrow::SettleFailed::decode_log(&log.inner).unwrap().data;
                did.failed.push((event.termsHash, self.error_name(&event.reason)));
            }
        }
        Ok(did)
    }

    /// All that can be seen of the accounts and terms, in one request.
    pub(super) async fn look(&self, watched: &Watched) -> View {
        let client = self.anvil.provider().client();
        let mut batch = BatchRequest::new(client);
        let mut balances = Vec::new();
        for &account in &watched.accounts {
            let coins = ask_number(&mut batch, "eth_getBalance", json!([account, "latest"]));
            balances.push(((NATIVE, account), coins));
            for &token in &self.cast.tokens {
                let call = call_of(token, &IToken::balanceOfCall { account });
                // One word, which reads as a number.
                balances.push(((token, account), ask_number(&mut batch, "eth_call", call)));
            }
        }
        let escrow = self.cast.here.deployment.factory;
        let states: Vec<_> = watched
            .terms
            .iter()
            .map(|(hash, _)| {
                let call = Escrow::stateOfCall { termsHash: *hash };
                (*hash, ask_bytes(&mut batch, "eth_call", call_of(escrow, &call)))
            })
            .collect();
        let codes: Vec<_> = watched
            .terms
            .iter()
            .map(|(_, purse)| {
                let code = ask_bytes(&mut batch, "eth_getCode", json!([purse, "latest"]));
                let nonce = ask_number(&mut batch, "eth_getTransactionCount", json!([purse, "latest"]));
                (*purse, code, nonce)
            })
            .collect();
        batch.send().await.unwrap();

        let mut view = View::default();
        for (key, balance) in balances {
            view.balances.insert(key, balance.await.unwrap());
        }
        for (hash, state) in states {
            let state = Escrow::stateOfCall::abi_decode_returns_validate(&state.await.unwrap()).unwrap();
            let status = Status::from_u8(state.status).unwrap();
            view.slots.insert(hash, Slot { paid: state.paid, status, since: state.since });
        }
        for (purse, code, nonce) in codes {
            view.purses.insert(purse, (code.await.unwrap(), nonce.await.unwrap().to()));
        }
        view
    }

    /// `escrowOf` for each of the terms in a block at `timestamp`: the address, or the name of the error.
    pub(super) async fn escrow_of(&self, terms: &[InvoiceTerms], timestamp: u64) -> Vec<Result<Address, String>> {
        self.mine(Some(timestamp)).await;
        let escrow = self.cast.here.deployment.factory;
        let client = self.anvil.provider().client();
        let mut batch = BatchRequest::new(client);
        let answers: Vec<_> = terms
            .iter()
            .map(|terms| {
                let call = Escrow::escrowOfCall { terms: terms.into() };
                ask_bytes(&mut batch, "eth_call", call_of(escrow, &call))
            })
            .collect();
        batch.send().await.unwrap();
        let mut purses = Vec::new();
        for answer in answers {
            purses.push(match answer.await {
                Ok(answer) => Ok(Escrow::escrowOfCall::abi_decode_returns_validate(&answer).unwrap()),
                Err(error) => Err(self.error_name(&reverted_with(&error))),
            });
        }
        purses
    }

    /// The transaction that does the step; none where only time passes.
    fn call(&self, step: &Step) -> Option<Call> {
        let escrow = self.cast.here.deployment.factory;
        let ask = |from: Address, input: Vec<u8>| Call { from, to: escrow, value: U256::ZERO, input };
        Some(match step {
            Step::Warp { .. } => return None,
            Step::Transfer { token, from, to, amount } if *token == NATIVE => {
                Call { from: *from, to: *to, value: *amount, input: Vec::new() }
            }
            Step::Transfer { token, from, to, amount } => {
                let input = IToken::transferCall { to: *to, value: *amount }.abi_encode();
                Call { from: *from, to: *token, value: U256::ZERO, input }
            }
            Step::Block { token, account, blocked } => {
                let account = *account;
                let input = if *blocked {
                    IToken::blacklistCall { account }.abi_encode()
                } else {
                    IToken::unBlacklistCall { account }.abi_encode()
                };
                Call { from: self.issuers[token], to: *token, value: U256::ZERO, input }
            }
            Step::Settle { caller, terms } => ask(*caller, Escrow::settleCall { terms: terms.into() }.abi_encode()),
            Step::SettleBatch { caller, batch } => {
                let terms = batch.iter().map(Into::into).collect();
                let call = Escrow::settleBatchCall { terms, gasPerItem: U256::from(GAS_PER_ITEM) };
                ask(*caller, call.abi_encode())
            }
            Step::Pay { caller, terms, amount } => {
                ask(*caller, Escrow::payCall { terms: terms.into(), amount: *amount }.abi_encode())
            }
            Step::Cancel { caller, terms } => ask(*caller, Escrow::cancelCall { terms: terms.into() }.abi_encode()),
            Step::Refund { caller, terms, token } => {
                ask(*caller, Escrow::refundCall { terms: terms.into(), token: *token }.abi_encode())
            }
            Step::RefundByOrder { caller, terms, order, signer } => {
                let signature = signer.map(|signer| self.sign(order, signer)).unwrap_or_default();
                let call = Escrow::refundByOrderCall { terms: terms.into(), order: order.clone(), signature };
                ask(*caller, call.abi_encode())
            }
        })
    }

    fn sign(&self, order: &RefundOrder, signer: Address) -> Bytes {
        let digest = order.eip712_signing_hash(&self.domain);
        self.keys[&signer].sign_hash_sync(&digest).unwrap().as_bytes().into()
    }

    /// Sends it and makes the block it is in. An error: the node did not take it, and there is no block.
    async fn transact(&self, call: Call, timestamp: Option<u64>) -> Result<Mined, String> {
        let transaction = json!([{
            "from": call.from,
            "to": call.to,
            "value": call.value,
            "data": Bytes::from(call.input),
            "gas": U64::from(GAS),
            "gasPrice": "0x0",
        }]);
        let hash = self.anvil.rpc("eth_sendTransaction", transaction).await.map_err(|error| error.to_string())?;
        let block = self.mine(timestamp).await;
        if let Some(timestamp) = timestamp {
            let made: U64 = serde_json::from_value(block["timestamp"].clone()).unwrap();
            assert_eq!(made.to::<u64>(), timestamp, "the block is not at the second it should be");
        }
        let transactions = block["transactions"].as_array().unwrap();
        assert!(transactions.len() == 1 && transactions[0]["hash"] == hash, "one step is not one block: {block}");
        let output = serde_json::from_value::<Option<Bytes>>(transactions[0]["output"].clone()).unwrap();

        let receipt = self.anvil.rpc("eth_getTransactionReceipt", json!([hash])).await.unwrap();
        let receipt: TransactionReceipt = serde_json::from_value(receipt).unwrap();
        let success = receipt.status();
        Ok(Mined { success, output: output.unwrap_or_default(), logs: receipt.logs().to_vec() })
    }

    /// Makes a block, and answers with it. Anvil adds to each transaction what it returned or reverted with.
    async fn mine(&self, timestamp: Option<u64>) -> Value {
        let options = json!([{ "timestamp": timestamp, "blocks": 1 }]);
        self.anvil.rpc("evm_mine_detailed", options).await.unwrap()[0].take()
    }

    fn error_name(&self, data: &[u8]) -> String {
        let selector = hex::encode(data.get(..4).unwrap_or_default());
        if selector == PANIC && U256::try_from_be_slice(&data[4..]) == Some(U256::from(PANIC_ARITHMETIC)) {
            return "Arithmetic".into();
        }
        let name = self.errors.get(&selector).cloned();
        name.unwrap_or_else(|| format!("an error that is not the escrow's, {}", hex::encode_prefixed(data)))
    }
}

/// From the first 8 hex digits to the name, of every error in the contract's ABI.
fn escrow_errors() -> BTreeMap<String, String> {
    let artifact: Value = serde_json::from_str(ESCROW).unwrap();
    let mut errors = BTreeMap::new();
    for entry in artifact["abi"].as_array().unwrap().iter().filter(|entry| entry["type"] == "error") {
        let name = entry["name"].as_str().unwrap();
        let types: Vec<_> =
            entry["inputs"].as_array().unwrap().iter().map(|input| input["type"].as_str().unwrap()).collect();
        let selector = &keccak256(format!("{name}({})", types.join(",")))[..4];
        errors.insert(hex::encode(selector), name.to_owned());
    }
    errors
}

fn call_of(to: Address, call: &impl SolCall) -> Value {
    json!([{ "to": to, "data": Bytes::from(call.abi_encode()) }, "latest"])
}

fn ask_bytes(batch: &mut BatchRequest<'_>, method: &'static str, params: Value) -> Waiter<Bytes> {
    batch.add_call(method, &params).unwrap()
}

fn ask_number(batch: &mut BatchRequest<'_>, method: &'static str, params: Value) -> Waiter<U256> {
    batch.add_call(method, &params).unwrap()
}

fn reverted_with(error: &TransportError) -> Bytes {
    let data = error.as_error_resp().and_then(|payload| payload.as_revert_data());
    data.unwrap_or_else(|| panic!("a view failed without revert data: {error}"))
}
