//! Our contracts on a local chain: the escrow where it is on every chain, and a token like USDC.

use std::time::{Duration, Instant};

use alloy::consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy::eips::eip2718::Encodable2718;
use alloy::network::TransactionBuilder;
use alloy::primitives::{Address, B256, Bytes, FixedBytes, TxKind, U256, address, keccak256};
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
const GOVERNANCE: &str = include_str!("../../contracts/artifacts/Governance.json");
const MINT_GATE: &str = include_str!("../../contracts/artifacts/MintGate.json");
const FLOAT_GATE: &str = include_str!("../../contracts/artifacts/FloatGate.json");
const RESERVE_TOKEN: &str = include_str!("../../contracts/artifacts/ReserveToken.json");
const SAFE: &str = include_str!("../../contracts/artifacts/Safe.json");
const SAFE_FACTORY: &str = include_str!("../../contracts/artifacts/SafeProxyFactory.json");
/// Who may do what on every EVM chain.
const ROLES: &str = include_str!("../../contracts/governance/roles.json");
const TOKEN: &str = include_str!("../../contracts/artifacts/TestUSDC.json");
const TOKEN_PROXY: &str = include_str!("../../contracts/artifacts/TestUSDCProxy.json");

/// Gas for what is deployed and called; what is not used comes back. On Tempo a byte of code costs 2,500 and a transaction may
/// have 30 million: a contract of 11.4 kB is the largest there. Elsewhere several deployments fit into one block.
#[derive(Clone, Copy)]
pub(crate) struct Gas {
    create: u64,
    /// Five of them go into one block.
    create_gate: u64,
    pub(crate) call: u64,
    govern: u64,
}

impl Gas {
    pub(crate) const TEMPO: Self =
        Self { create: 30_000_000, create_gate: 30_000_000, call: 1_000_000, govern: 30_000_000 };
    const ELSEWHERE: Self = Self { create: 8_000_000, create_gate: 5_500_000, call: 200_000, govern: 10_000_000 };

    async fn of(node: &Node) -> Result<Self, Error> {
        Ok(if has_code(node, crate::tempo::FACTORY).await? { Self::TEMPO } else { Self::ELSEWHERE })
    }
}

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

    interface IGovernance {
        function multicall(bytes[] data) returns (bytes[] results);
        function grantRole(uint64 role, address account, uint32 executionDelay);
        function revokeRole(uint64 role, address account);
        function setGrantDelay(uint64 role, uint32 delay);
        function labelRole(uint64 role, string label);
        function setRoleAdmin(uint64 role, uint64 admin);
        function setRoleGuardian(uint64 role, uint64 guardian);
        function setTargetAdminDelay(address target, uint32 delay);
        function setTargetFunctionRole(address target, bytes4[] selectors, uint64 role);
    }

    interface ISafe {
        function setup(
            address[] owners, uint256 threshold, address to, bytes data, address fallbackHandler, address paymentToken,
            uint256 payment, address paymentReceiver
        );
        function createProxyWithNonce(address singleton, bytes initializer, uint256 saltNonce) returns (address proxy);
        function proxyCreationCode() returns (bytes code);
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
    let gas = Gas::of(node).await?;
    let mut calls = Vec::new();
    for (_, address, code) in &created {
        if !has_code(node, *address).await? {
            let input = [B256::ZERO.as_slice(), code].concat().into();
            calls.push(Call { to: Some(DEPLOYER), input, gas: gas.create });
        }
    }
    calls.extend(mint.iter().map(|grant| mint_call(gas, deployed.token, grant)));
    send(node, owner, calls).await?;

    for (contract, address, _) in created {
        if !has_code(node, address).await? {
            return Err(failed(contract, format!("there is no code at {address}")));
        }
    }
    Ok(deployed)
}

/// Deploys the escrow alone, if it is not there yet: on a chain that has a token, and where that of the tests is too large.
pub async fn deploy_escrow(node: &Node, owner: &PrivateKeySigner) -> Result<Address, Error> {
    let code = creation_code("InvoiceEscrow", ESCROW)?;
    let escrow = address_of(&code);
    if !has_code(node, escrow).await? {
        let input = [B256::ZERO.as_slice(), &code].concat().into();
        let gas = Gas::of(node).await?.create;
        send(node, owner, vec![Call { to: Some(DEPLOYER), input, gas }]).await?;
    }
    if has_code(node, escrow).await? {
        Ok(escrow)
    } else {
        Err(failed("InvoiceEscrow", format!("there is no code at {escrow}")))
    }
}

/// Deploys a `SettlementGate` of an escrow; `owner` governs it, and `keys` may settle and cancel.
pub async fn deploy_gate(
    node: &Node,
    owner: &PrivateKeySigner,
    escrow: Address,
    keys: [Address; 2],
) -> Result<Address, Error> {
    let [keeper, canceller] = keys;
    let options = GateOptions { escrow, keeper, canceller, admin: Admin::Owner, delays: false, attested: None };
    Ok(deploy_gates(node, owner, &options).await?.gate)
}

/// Who governs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admin {
    /// The account that deploys, alone.
    Owner,
    /// A multi-sig: Safe's own contracts.
    Safe {
        /// Its owners.
        owners: Vec<Address>,
        /// How many of them have to sign.
        threshold: u8,
    },
}

/// The gates that pay with money from off chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attested {
    /// What the float gate pays with.
    pub float_token: Address,
    /// Who signs for deposits and for the reserve.
    pub attestors: Vec<Address>,
    /// How many of them have to.
    pub threshold: u8,
    /// The most that is paid in a day, base units.
    pub daily_cap: u128,
}

/// How the gates are put together. Cancels are not scarce here: stories and tests end more invoices in a minute than a company
/// in a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateOptions {
    /// The escrow.
    pub escrow: Address,
    /// May settle.
    pub keeper: Address,
    /// May cancel.
    pub canceller: Address,
    /// Who governs.
    pub admin: Admin,
    /// Whether what governance decides takes days, as in the committed table; else it holds at once.
    pub delays: bool,
    /// Mint gate, float gate and our own token too.
    pub attested: Option<Attested>,
}

/// Where the gates are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gates {
    /// Who may do what.
    pub governance: Address,
    /// Who governs: the owner, or his Safe.
    pub admin: Address,
    /// The `SettlementGate`.
    pub gate: Address,
    /// The `MintGate`; zero if there is none.
    pub mint_gate: Address,
    /// The `FloatGate`; zero if there is none.
    pub float_gate: Address,
    /// Our own token, which the mint gate mints; zero if there is none.
    pub token: Address,
}

/// Deploys the gates with roles as in `contracts/governance/roles.json`. Each knows the others' addresses, which follow from
/// the nonces of `owner`: meanwhile he must send nothing else.
pub async fn deploy_gates(node: &Node, owner: &PrivateKeySigner, options: &GateOptions) -> Result<Gates, Error> {
    let admin = match &options.admin {
        Admin::Owner => owner.address(),
        Admin::Safe { owners, threshold } => deploy_safe(node, owner, owners, *threshold).await?,
    };
    let nonce = node.provider().get_transaction_count(owner.address()).pending().await;
    let nonce = nonce.map_err(|error| node.failed("eth_getTransactionCount", error))?;
    let place = |number: u64| owner.address().create(nonce + number);
    let mut gates = Gates {
        governance: place(0),
        admin,
        gate: place(1),
        mint_gate: Address::ZERO,
        float_gate: Address::ZERO,
        token: Address::ZERO,
    };
    if options.attested.is_some() {
        (gates.mint_gate, gates.float_gate, gates.token) = (place(2), place(3), place(4));
    }
    let gas = Gas::of(node).await?;
    let create = |contract: &str, artifact: &str, arguments: Vec<u8>| {
        let input = [creation_code(contract, artifact)?, arguments].concat().into();
        Ok::<_, Error>(Call { to: None, input, gas: gas.create_gate })
    };
    let mut calls = vec![
        create("Governance", GOVERNANCE, owner.address().abi_encode())?,
        create(
            "SettlementGate",
            GATE,
            (options.escrow, gates.governance, gates.mint_gate, gates.float_gate, CANCELS_PER_DAY).abi_encode_params(),
        )?,
    ];
    if let Some(attested) = &options.attested {
        let (threshold, cap) = (attested.threshold, U256::from(attested.daily_cap));
        let arguments = |token: Address| (gates.gate, token, U256::from(threshold), cap).abi_encode_params();
        let token = ("Monay Dollar".to_owned(), "MUSD".to_owned(), gates.mint_gate).abi_encode_params();
        calls.push(create("MintGate", MINT_GATE, arguments(gates.token))?);
        calls.push(create("FloatGate", FLOAT_GATE, arguments(attested.float_token))?);
        calls.push(create("ReserveToken", RESERVE_TOKEN, token)?);
    }
    send(node, owner, calls).await?;
    let data = governance_calls(options, owner.address(), &gates)?;
    let govern = IGovernance::multicallCall { data }.abi_encode().into();
    send(node, owner, vec![Call { to: Some(gates.governance), input: govern, gas: gas.govern }]).await?;
    let all = [
        ("Governance", gates.governance),
        ("SettlementGate", gates.gate),
        ("MintGate", gates.mint_gate),
        ("FloatGate", gates.float_gate),
        ("ReserveToken", gates.token),
    ];
    for (contract, address) in all {
        if !address.is_zero() && !has_code(node, address).await? {
            return Err(failed(contract, format!("there is no code at {address}")));
        }
    }
    Ok(gates)
}

/// A multi-sig, from Safe's own contracts, which are at the same addresses on every chain.
async fn deploy_safe(
    node: &Node,
    owner: &PrivateKeySigner,
    owners: &[Address],
    threshold: u8,
) -> Result<Address, Error> {
    let (singleton_code, factory_code) =
        (creation_code("Safe", SAFE)?, creation_code("SafeProxyFactory", SAFE_FACTORY)?);
    let (singleton, factory) = (address_of(&singleton_code), address_of(&factory_code));
    let gas = Gas::of(node).await?;
    let mut calls = Vec::new();
    for (address, code) in [(singleton, &singleton_code), (factory, &factory_code)] {
        if !has_code(node, address).await? {
            let input = [B256::ZERO.as_slice(), code].concat().into();
            calls.push(Call { to: Some(DEPLOYER), input, gas: gas.create });
        }
    }
    send(node, owner, calls).await?;
    let setup = ISafe::setupCall {
        owners: owners.to_vec(),
        threshold: U256::from(threshold),
        to: Address::ZERO,
        data: Bytes::new(),
        fallbackHandler: Address::ZERO,
        paymentToken: Address::ZERO,
        payment: U256::ZERO,
        paymentReceiver: Address::ZERO,
    };
    let initializer: Bytes = setup.abi_encode().into();
    let proxy_code = call(node, factory, ISafe::proxyCreationCodeCall {}).await?;
    let proxy_code = [proxy_code.to_vec(), singleton.abi_encode()].concat();
    let salt = keccak256((keccak256(&initializer), U256::ZERO).abi_encode_params());
    let safe = factory.create2(salt, keccak256(proxy_code));
    if !has_code(node, safe).await? {
        let create = ISafe::createProxyWithNonceCall { singleton, initializer, saltNonce: U256::ZERO };
        let create = Call { to: Some(factory), input: create.abi_encode().into(), gas: gas.create };
        send(node, owner, vec![create]).await?;
    }
    if has_code(node, safe).await? { Ok(safe) } else { Err(failed("Safe", format!("there is no code at {safe}"))) }
}

/// The committed table of roles.
#[derive(serde::Deserialize)]
struct Table {
    roles: Vec<Role>,
    members: Vec<Member>,
    targets: Vec<Target>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Role {
    id: u64,
    name: String,
    admin: String,
    guardian: Option<String>,
    grant_delay: u32,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Member {
    role: String,
    holder: String,
    execution_delay: u32,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Target {
    contract: String,
    admin_delay: u32,
    functions: Vec<Functions>,
}

#[derive(serde::Deserialize)]
struct Functions {
    role: String,
    signatures: Vec<String>,
}

/// The number of a role in the committed table.
pub fn role_id(name: &str) -> Result<u64, Error> {
    id_in(&table()?, name)
}

fn table() -> Result<Table, Error> {
    serde_json::from_str(ROLES).map_err(|error| failed("Governance", format!("the table of roles: {error}")))
}

fn id_in(table: &Table, name: &str) -> Result<u64, Error> {
    let role = table.roles.iter().find(|role| role.name == name);
    role.map(|role| role.id).ok_or_else(|| failed("Governance", format!("there is no role {name}")))
}

/// All calls that set the table up, by the first admin, who steps back with the last.
fn governance_calls(options: &GateOptions, first: Address, gates: &Gates) -> Result<Vec<Bytes>, Error> {
    let table = table()?;
    let delay = |seconds: u32| if options.delays { seconds } else { 0 };
    let mut calls: Vec<Bytes> = Vec::new();
    // Members first: afterwards granting is another's than the first admin's, and takes time.
    for member in &table.members {
        let holders = match member.holder.as_str() {
            "safe" => vec![gates.admin],
            "keeper" => vec![options.keeper],
            "canceller" => vec![options.canceller],
            "attestors" => options.attested.as_ref().map(|attested| attested.attestors.clone()).unwrap_or_default(),
            // Nobody is on call here, and nobody clears.
            _ => Vec::new(),
        };
        for account in holders {
            let (role, delay) = (id_in(&table, &member.role)?, delay(member.execution_delay));
            calls.push(IGovernance::grantRoleCall { role, account, executionDelay: delay }.abi_encode().into());
        }
    }
    for Role { id: role, name, admin, guardian, grant_delay } in &table.roles {
        let (role, delay) = (*role, delay(*grant_delay));
        calls.push(IGovernance::setGrantDelayCall { role, delay }.abi_encode().into());
        // The first role's label, admin and guardian cannot be changed.
        if role == 0 {
            continue;
        }
        calls.push(IGovernance::labelRoleCall { role, label: name.clone() }.abi_encode().into());
        let admin = id_in(&table, admin)?;
        calls.push(IGovernance::setRoleAdminCall { role, admin }.abi_encode().into());
        if let Some(guardian) = guardian {
            let guardian = id_in(&table, guardian)?;
            calls.push(IGovernance::setRoleGuardianCall { role, guardian }.abi_encode().into());
        }
    }
    for Target { contract, admin_delay, functions } in &table.targets {
        let target = match contract.as_str() {
            "SettlementGate" => gates.gate,
            "MintGate" => gates.mint_gate,
            "FloatGate" => gates.float_gate,
            "Governance" => gates.governance,
            other => return Err(failed("Governance", format!("the table has a target {other} that nobody knows"))),
        };
        if target.is_zero() {
            continue;
        }
        let delay = delay(*admin_delay);
        calls.push(IGovernance::setTargetAdminDelayCall { target, delay }.abi_encode().into());
        for Functions { role, signatures } in functions {
            let selectors = signatures.iter().map(|signature| {
                let hash = keccak256(signature);
                FixedBytes::<4>::from_slice(&hash[..4])
            });
            let (selectors, role) = (selectors.collect(), id_in(&table, role)?);
            calls.push(IGovernance::setTargetFunctionRoleCall { target, selectors, role }.abi_encode().into());
        }
    }
    // Where the owner governs he stays what he was.
    if gates.admin != first {
        calls.push(IGovernance::revokeRoleCall { role: 0, account: first }.abi_encode().into());
    }
    Ok(calls)
}

/// The call with which whoever keeps the keys gives a role to an account, or takes it.
pub fn role_call(role: &str, account: Address, granted: bool) -> Result<Bytes, Error> {
    let role = role_id(role)?;
    Ok(match granted {
        true => IGovernance::grantRoleCall { role, account, executionDelay: 0 }.abi_encode().into(),
        false => IGovernance::revokeRoleCall { role, account }.abi_encode().into(),
    })
}

/// Gives each account more tokens. `owner` is the one who deployed the token.
pub async fn mint(
    node: &Node,
    owner: &PrivateKeySigner,
    token: Address,
    grants: &[(Address, u128)],
) -> Result<(), Error> {
    let gas = Gas::of(node).await?;
    send(node, owner, grants.iter().map(|grant| mint_call(gas, token, grant)).collect()).await
}

/// Sends each account its amount of a token, from an account that has enough: all at once, into one block.
pub async fn transfer(
    node: &Node,
    from: &PrivateKeySigner,
    token: Address,
    payments: &[(Address, u128)],
) -> Result<(), Error> {
    let gas = Gas::of(node).await?;
    send(node, from, payments.iter().map(|payment| transfer_call(gas, token, payment)).collect()).await
}

/// Sends one payment and does not wait for its block. The transaction's hash.
pub(crate) async fn submit_transfer(
    node: &Node,
    from: &PrivateKeySigner,
    token: Address,
    payment: &(Address, u128),
) -> Result<B256, Error> {
    let gas = Gas::of(node).await?;
    let hashes = submit(node, from, vec![transfer_call(gas, token, payment)]).await?;
    hashes.first().copied().ok_or_else(|| failed("the token", "nothing was sent".to_owned()))
}

/// How much of a token an account has.
pub async fn balance_of(node: &Node, token: Address, account: Address) -> Result<U256, Error> {
    call(node, token, IToken::balanceOfCall { account }).await
}

/// A token's decimals.
pub async fn decimals_of(node: &Node, token: Address) -> Result<u8, Error> {
    call(node, token, IToken::decimalsCall {}).await
}

/// A call that is sent.
pub(crate) struct Call {
    /// None: the code of a new contract.
    pub(crate) to: Option<Address>,
    pub(crate) input: Bytes,
    pub(crate) gas: u64,
}

fn mint_call(gas: Gas, token: Address, (to, amount): &(Address, u128)) -> Call {
    let input = IToken::mintCall { to: *to, amount: U256::from(*amount) }.abi_encode().into();
    Call { to: Some(token), input, gas: gas.call }
}

fn transfer_call(gas: Gas, token: Address, (to, amount): &(Address, u128)) -> Call {
    let input = IToken::transferCall { to: *to, amount: U256::from(*amount) }.abi_encode().into();
    Call { to: Some(token), input, gas: gas.call }
}

pub(crate) async fn call<C: SolCall>(node: &Node, to: Address, question: C) -> Result<C::Return, Error> {
    let request = TransactionRequest::default().with_to(to).with_input(question.abi_encode());
    let answer = node.provider().call(request).await.map_err(|error| node.failed("eth_call", error))?;
    C::abi_decode_returns(&answer).map_err(|error| node.failed("eth_call", error))
}

/// Signs the calls with consecutive nonces and sends them one after the other without waiting.
async fn submit(node: &Node, from: &PrivateKeySigner, calls: Vec<Call>) -> Result<Vec<B256>, Error> {
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
            to: call.to.map_or(TxKind::Create, TxKind::Call),
            input: call.input,
            ..TxEip1559::default()
        };
        let signature = from.sign_hash_sync(&transaction.signature_hash());
        let signature = signature.map_err(|error| failed("the contracts", error.to_string()))?;
        let envelope = TxEnvelope::from(transaction.into_signed(signature));
        let pending = provider.send_raw_transaction(&envelope.encoded_2718()).await;
        hashes.push(*pending.map_err(|error| node.failed("eth_sendRawTransaction", error))?.tx_hash());
    }
    Ok(hashes)
}

/// Sends the calls and waits for all.
pub(crate) async fn send(node: &Node, from: &PrivateKeySigner, calls: Vec<Call>) -> Result<(), Error> {
    let provider = node.provider();
    let hashes = submit(node, from, calls).await?;
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

pub(crate) async fn has_code(node: &Node, address: Address) -> Result<bool, Error> {
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
