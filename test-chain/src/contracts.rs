//! Our contracts on a local chain: the escrow where it is on every chain, and a token like USDC.

use std::time::{Duration, Instant};

use alloy::consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy::eips::eip2718::Encodable2718;
use alloy::network::TransactionBuilder;
use alloy::primitives::{Address, B256, Bytes, TxKind, U256, address, keccak256};
use alloy::providers::Provider;
use alloy::rpc::types::TransactionRequest;
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol;
use alloy::sol_types::{SolCall, SolValue};

use crate::{Error, Node};

/// The contract that deploys others by CREATE2 and is at this address on every chain; Anvil has it from the start.
pub const DEPLOYER: Address = address!("4e59b44847b379578588920ca78fbf26c0b4956c");

/// Can replace the token's code. Nobody has its key, because the proxy lets its admin do nothing else.
const TOKEN_ADMIN: Address = Address::repeat_byte(0xad);

const ESCROW: &str = include_str!("../../contracts/artifacts/InvoiceEscrow.json");
const PURSE: &str = include_str!("../../contracts/artifacts/Purse.json");
const GATE: &str = include_str!("../../contracts/artifacts/SettlementGate.json");
const TOKEN: &str = include_str!("../../contracts/artifacts/TestUSDC.json");
const TOKEN_PROXY: &str = include_str!("../../contracts/artifacts/TestUSDCProxy.json");

/// Gas for a deployment; the rest comes back.
const GAS_TO_CREATE: u64 = 8_000_000;
const GAS_TO_CALL: u64 = 200_000;

/// How many invoices a local gate lets be cancelled in a day.
const CANCELS_PER_DAY: U256 = U256::from_limbs([1_000_000, 0, 0, 0]);

/// How long a transaction may wait for its block.
const PATIENCE: Duration = Duration::from_secs(30);

sol! {
    interface IToken {
        function initialize(address firstOwner);
        function mint(address to, uint256 amount) returns (bool);
        function transfer(address to, uint256 amount) returns (bool);
        function balanceOf(address account) returns (uint256);
        function decimals() returns (uint8);
    }

    interface IGate {
        function setRole(uint8 role, address account, bool granted);
    }
}

/// Where things are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deployed {
    /// `InvoiceEscrow`: the same address on every chain.
    pub escrow: Address,
    /// keccak256 of the init code of every purse.
    pub purse_init_code_hash: B256,
    /// The token: a proxy, as USDC is.
    pub token: Address,
    /// The code behind it.
    pub token_implementation: Address,
    /// Who mints, pauses and blacklists: the account that deployed.
    pub token_owner: Address,
}

/// Deploys what is not there yet and gives each account its tokens. All transactions are sent at once; on Anvil they
/// are mined at once too, in one block, whatever the mining.
///
/// The addresses follow from the code and, for the token, from the owner, so that a second call changes nothing but the
/// balances.
pub async fn deploy(node: &Node, owner: &PrivateKeySigner, mint: &[(Address, u128)]) -> Result<Deployed, Error> {
    if !has_code(node, DEPLOYER).await? {
        return Err(failed("the contracts", format!("there is no deterministic deployer at {DEPLOYER}")));
    }
    let implementation_code = creation_code("TestUSDC", TOKEN)?;
    let token_implementation = address_of(&implementation_code);
    let initialize = IToken::initializeCall { firstOwner: owner.address() }.abi_encode();
    let arguments = (token_implementation, TOKEN_ADMIN, Bytes::from(initialize)).abi_encode_params();
    let proxy_code = [creation_code("TestUSDCProxy", TOKEN_PROXY)?, arguments].concat();
    let escrow_code = creation_code("InvoiceEscrow", ESCROW)?;
    let deployed = Deployed {
        escrow: address_of(&escrow_code),
        purse_init_code_hash: keccak256(creation_code("Purse", PURSE)?),
        token: address_of(&proxy_code),
        token_implementation,
        token_owner: owner.address(),
    };

    let created = [
        ("InvoiceEscrow", deployed.escrow, escrow_code),
        ("TestUSDC", deployed.token_implementation, implementation_code),
        ("TestUSDCProxy", deployed.token, proxy_code),
    ];
    let mut calls = Vec::new();
    for (_, address, code) in &created {
        if !has_code(node, *address).await? {
            let input = [B256::ZERO.as_slice(), code].concat().into();
            calls.push(Call { to: DEPLOYER, input, gas: GAS_TO_CREATE });
        }
    }
    calls.extend(mint.iter().map(|grant| mint_call(deployed.token, grant)));
    send(node, owner, calls).await?;

    for (contract, address, _) in created {
        if !has_code(node, address).await? {
            return Err(failed(contract, format!("there is no code at {address}")));
        }
    }
    Ok(deployed)
}

/// Deploys the `SettlementGate` of an escrow, if it is not there yet; `owner` is its admin, `keys` may settle and cancel.
/// Cancels are not scarce here: stories and tests end more invoices in a minute than a company in a day.
pub async fn deploy_gate(
    node: &Node,
    owner: &PrivateKeySigner,
    escrow: Address,
    keys: [Address; 2],
) -> Result<Address, Error> {
    let arguments = (escrow, Address::ZERO, owner.address(), CANCELS_PER_DAY).abi_encode_params();
    let code = [creation_code("SettlementGate", GATE)?, arguments].concat();
    let gate = address_of(&code);
    let mut calls = Vec::new();
    if !has_code(node, gate).await? {
        let input = [B256::ZERO.as_slice(), &code].concat().into();
        calls.push(Call { to: DEPLOYER, input, gas: GAS_TO_CREATE });
    }
    for (role, account) in (0_u8..).zip(keys) {
        let input = IGate::setRoleCall { role, account, granted: true }.abi_encode().into();
        calls.push(Call { to: gate, input, gas: GAS_TO_CALL });
    }
    send(node, owner, calls).await?;
    if has_code(node, gate).await? {
        Ok(gate)
    } else {
        Err(failed("SettlementGate", format!("there is no code at {gate}")))
    }
}

/// Gives each account more tokens. `owner` is the one who deployed the token.
pub async fn mint(
    node: &Node,
    owner: &PrivateKeySigner,
    token: Address,
    grants: &[(Address, u128)],
) -> Result<(), Error> {
    send(node, owner, grants.iter().map(|grant| mint_call(token, grant)).collect()).await
}

/// Sends each account its amount of a token, from an account that has enough: all at once, into one block.
pub async fn transfer(
    node: &Node,
    from: &PrivateKeySigner,
    token: Address,
    payments: &[(Address, u128)],
) -> Result<(), Error> {
    let call = |(to, amount): &(Address, u128)| {
        let input = IToken::transferCall { to: *to, amount: U256::from(*amount) }.abi_encode().into();
        Call { to: token, input, gas: GAS_TO_CALL }
    };
    send(node, from, payments.iter().map(call).collect()).await
}

/// How much of a token an account has.
pub async fn balance_of(node: &Node, token: Address, account: Address) -> Result<U256, Error> {
    call(node, token, IToken::balanceOfCall { account }).await
}

/// A token's decimals.
pub async fn decimals_of(node: &Node, token: Address) -> Result<u8, Error> {
    call(node, token, IToken::decimalsCall {}).await
}

struct Call {
    to: Address,
    input: Bytes,
    gas: u64,
}

fn mint_call(token: Address, (to, amount): &(Address, u128)) -> Call {
    let input = IToken::mintCall { to: *to, amount: U256::from(*amount) }.abi_encode().into();
    Call { to: token, input, gas: GAS_TO_CALL }
}

async fn call<C: SolCall>(node: &Node, to: Address, question: C) -> Result<C::Return, Error> {
    let request = TransactionRequest::default().with_to(to).with_input(question.abi_encode());
    let answer = node.provider().call(request).await.map_err(|error| node.failed("eth_call", error))?;
    C::abi_decode_returns(&answer).map_err(|error| node.failed("eth_call", error))
}

/// Signs the calls with consecutive nonces, sends them one after the other without waiting, and then waits for all.
async fn send(node: &Node, from: &PrivateKeySigner, calls: Vec<Call>) -> Result<(), Error> {
    let provider = node.provider();
    let chain_id = node.chain_id().await?;
    let nonce = provider.get_transaction_count(from.address()).pending().await;
    let nonce = nonce.map_err(|error| node.failed("eth_getTransactionCount", error))?;
    let gas_price = provider.get_gas_price().await.map_err(|error| node.failed("eth_gasPrice", error))?;

    let mut hashes = Vec::with_capacity(calls.len());
    for (nonce, call) in (nonce..).zip(calls) {
        let transaction = TxEip1559 {
            chain_id,
            nonce,
            gas_limit: call.gas,
            max_fee_per_gas: gas_price.saturating_mul(2),
            max_priority_fee_per_gas: gas_price.min(1_000_000),
            to: TxKind::Call(call.to),
            input: call.input,
            ..TxEip1559::default()
        };
        let signature = from.sign_hash_sync(&transaction.signature_hash());
        let signature = signature.map_err(|error| failed("the contracts", error.to_string()))?;
        let envelope = TxEnvelope::from(transaction.into_signed(signature));
        let pending = provider.send_raw_transaction(&envelope.encoded_2718()).await;
        hashes.push(*pending.map_err(|error| node.failed("eth_sendRawTransaction", error))?.tx_hash());
    }
    if hashes.is_empty() {
        return Ok(());
    }
    // Another node than Anvil makes its blocks when it does.
    let _ = node.mine(1).await;

    let begin = Instant::now();
    for hash in hashes {
        loop {
            let receipt = provider.get_transaction_receipt(hash).await;
            match receipt.map_err(|error| node.failed("eth_getTransactionReceipt", error))? {
                Some(receipt) if receipt.status() => break,
                Some(_) => return Err(failed("the contracts", format!("transaction {hash} was reverted"))),
                None if begin.elapsed() > PATIENCE => {
                    let why = format!("transaction {hash} is in no block after {} s", PATIENCE.as_secs());
                    return Err(failed("the contracts", why));
                }
                None => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }
    Ok(())
}

async fn has_code(node: &Node, address: Address) -> Result<bool, Error> {
    let code = node.provider().get_code_at(address).await.map_err(|error| node.failed("eth_getCode", error))?;
    Ok(!code.is_empty())
}

/// Where the deployer puts it, with our salt: zero.
fn address_of(creation_code: &[u8]) -> Address {
    DEPLOYER.create2(B256::ZERO, keccak256(creation_code))
}

fn creation_code(contract: &str, artifact: &str) -> Result<Vec<u8>, Error> {
    let bytes = serde_json::from_str::<serde_json::Value>(artifact)
        .and_then(|artifact| serde_json::from_value::<Bytes>(artifact["bytecode"].clone()));
    bytes.map(Vec::from).map_err(|error| failed(contract, format!("its artifact has no bytecode: {error}")))
}

fn failed(contract: &str, why: String) -> Error {
    Error::Deployment { contract: contract.into(), why }
}
