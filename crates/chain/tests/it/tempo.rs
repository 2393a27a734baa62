//! Tempo, on Anvil with its rules: real tokens, fees and transactions of its own.

use alloy::primitives::TxKind;
use alloy::providers::Provider;
use alloy::rpc::types::Filter;
use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::{SolCall, SolEvent};
use chain::evm::Evm;
use chain::tempo::{FEE_MANAGER, Now, Tempo};
use chain::{Action, Block, Chain, Contracts, Gas, Sent, Signed, Simulated, Slot, Unseen};
use domain::block::{Header, Meaning};
use std::time::Duration;
use tempo_alloy::primitives::transaction::Call;
use terms::abi::IERC20;
use terms::{Account, Deployment, InvoiceTerms, Terms, TxId};
use test_chain::{Anvil, AnvilOptions, DEV_ACCOUNTS, Mining, contracts, tempo};

const DEPLOYER: usize = 0;
const KEEPER: usize = 1;
const PAYEE: usize = 2;
const CUSTOMER: usize = 3;

const ENOUGH: u64 = 1_000_000;

/// A network that stands still until told to mine, and our adapter on it.
struct World {
    anvil: Anvil,
    chain: Tempo,
}

fn key(who: usize) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&DEV_ACCOUNTS[who].private_key).unwrap()
}

const fn address(who: usize) -> Address {
    DEV_ACCOUNTS[who].address
}

fn slot(nonce: u64) -> Slot {
    Slot { signer: address(KEEPER).into(), nonce }
}

fn transfer(token: Address, to: Address, amount: u64) -> Call {
    let input = IERC20::transferCall { to, value: U256::from(amount) }.abi_encode().into();
    Call { to: TxKind::Call(token), value: U256::ZERO, input }
}

impl World {
    async fn new() -> Self {
        let anvil = Anvil::start(AnvilOptions { mining: Mining::Manual, ..AnvilOptions::tempo() }).await.unwrap();
        let chain = Tempo::connect(&anvil.rpc_url(), 42431, Some(key(KEEPER)), tempo::PATH_USD).await.unwrap();
        Self { anvil, chain }
    }

    async fn sign(&self, nonce: u64, call: Call, gas: u64) -> Signed {
        let (fees, now) = (self.chain.fees().await.unwrap(), self.chain.prepare().await.unwrap());
        self.chain.sign_call(slot(nonce), call, gas, fees, now).unwrap()
    }

    async fn sent(&self, nonce: u64, call: Call) -> Signed {
        let signed = self.sign(nonce, call, ENOUGH).await;
        assert_eq!(self.chain.send(&signed.raw).await, Sent::Taken);
        signed
    }

    async fn mine(&self) -> Block<alloy_primitives::Bloom> {
        self.anvil.mine(1).await.unwrap();
        let latest = self.chain.tags().await.unwrap().latest;
        self.chain.block(latest.number).await.unwrap().unwrap()
    }

    async fn final_(&self) -> Header {
        self.chain.block(self.chain.tags().await.unwrap().final_).await.unwrap().unwrap().header
    }

    async fn balance(&self, token: Address, account: Address) -> U256 {
        contracts::balance_of(&self.anvil, token, account).await.unwrap()
    }

    /// So long that whatever was signed before has run out, and that this is final.
    async fn pass(&self) {
        self.anvil.increase_time(Duration::from_secs(60)).await.unwrap();
        self.anvil.mine(3).await.unwrap();
    }

    async fn dead(&self, signed: &[&Signed]) -> Vec<u64> {
        let unseen: Vec<Unseen> = (0..)
            .zip(signed)
            .map(|(nonce, signed)| Unseen { nonce, txs: vec![signed.hash], expires_after: signed.expires_after })
            .collect();
        self.chain.dead(address(KEEPER).into(), &unseen, &self.final_().await).await.unwrap()
    }
}

fn transfers(logs: &chain::Logs) -> Vec<(Account, u64)> {
    let read = logs.read.iter().filter_map(|(_, meaning)| match meaning {
        Meaning::Transfer { to, amount, .. } => Some((*to, amount.to())),
        Meaning::Recorded { .. } | Meaning::Minted { .. } | Meaning::Redeemed { .. } => None,
    });
    read.collect()
}

/// Two views of one block: as any EVM chain's, and as Tempo's. In it are transactions that Ethereum does not have, a transfer
/// that is told of in two logs, and fees in the very token that moved.
#[tokio::test]
async fn what_came_is_read_once_and_no_fee_is_taken_for_a_deposit() {
    let world = World::new().await;
    let purse = Address::repeat_byte(0x77);
    let signed = world.sent(1, transfer(tempo::PATH_USD, purse, 150)).await;
    let memo = (purse, 7, B256::repeat_byte(0x33));
    tempo::transfer_with_memo(&world.anvil, &key(CUSTOMER), tempo::PATH_USD, memo).await.unwrap();
    let last = world.chain.tags().await.unwrap().latest;
    let block = world.chain.block(last.number).await.unwrap().unwrap();
    assert_eq!(block.transactions.len(), 2, "one of type 0x76, one of type 2");
    assert!(block.transactions.contains(&signed.hash));

    let escrow = Account::Evm(Address::repeat_byte(0x99));
    let logs = world.chain.logs(&block, escrow).await.unwrap();
    assert!(logs.odd.is_empty(), "{:?}", logs.odd);
    let mut seen = transfers(&logs);
    seen.sort_unstable_by_key(|(_, amount)| *amount);
    assert_eq!(seen, [(purse.into(), 7), (purse.into(), 150)], "fees and memos are no deposits");

    // The fee was there, and in this token.
    let filter = Filter::new().at_block_hash(block.header.hash).event_signature(IERC20::Transfer::SIGNATURE_HASH);
    let raw = world.chain.evm().provider().get_logs(&filter).await.unwrap();
    let fees = raw.iter().filter(|log| log.topics()[2] == FEE_MANAGER.into_word() && log.address() == tempo::PATH_USD);
    assert!(fees.count() >= 1);
    assert!(raw.len() >= 3);
    let as_any = Evm::connect(&world.anvil.rpc_url(), 42431, None).await.unwrap();
    let found = transfers(&as_any.logs(&block, escrow).await.unwrap());
    assert_eq!(found.len(), raw.len(), "the other adapter keeps them");
}

#[tokio::test]
async fn what_is_sent_lands_once_and_the_named_token_pays_the_fee() {
    let world = World::new().await;
    let (payee, alpha) = (Address::repeat_byte(0x78), tempo::PATH_USD);
    let before = world.balance(tempo::PATH_USD, address(KEEPER)).await;
    let now = world.chain.prepare().await.unwrap();
    let fees = world.chain.fees().await.unwrap();
    let sign = |nonce| world.chain.sign_call(slot(nonce), transfer(alpha, payee, 10), ENOUGH, fees, now).unwrap();
    let (first, second) = (sign(4), sign(5));
    assert_eq!(sign(4).raw, first.raw, "the same gives the same bytes");
    assert_ne!(first.hash, second.hash, "no two transactions of a key have the same name");
    assert_eq!(first.expires_after, Some(now.0 + 25));
    for signed in [&second, &first, &second] {
        // In no order; and what the node already has it may call so or not.
        world.chain.send(&signed.raw).await;
    }
    let block = world.mine().await;
    assert!(block.transactions.contains(&first.hash) && block.transactions.contains(&second.hash));
    let outcome = world.chain.outcome(first.hash, block.header.hash).await.unwrap().unwrap();
    assert!(outcome.success && outcome.gas_used < first.gas_limit, "{outcome:?}");
    assert_eq!(world.balance(alpha, payee).await, U256::from(20));
    let other = world.chain.outcome(second.hash, block.header.hash).await.unwrap().unwrap();
    // Fees are told in 10^-18 dollars, and taken in 10^-6, rounded up.
    let taken = [outcome.fee, other.fee].map(|fee| fee.div_ceil(1_000_000_000_000)).iter().sum::<u128>();
    assert_eq!(before - world.balance(tempo::PATH_USD, address(KEEPER)).await, U256::from(20 + taken));

    // Once more: no block has them again.
    for signed in [&first, &second] {
        world.chain.send(&signed.raw).await;
    }
    assert_eq!(world.mine().await.transactions, []);
    assert_eq!(world.balance(alpha, payee).await, U256::from(20));
}

/// Anvil, as Tempo's nodes, says that it has what it can never execute, and never speaks of it again.
#[tokio::test]
async fn what_a_node_drops_without_a_word_is_dead_when_its_time_is_over_and_not_before() {
    let world = World::new().await;
    let signed = world.sign(1, transfer(tempo::PATH_USD, Address::repeat_byte(0x79), 1), 22_000).await;
    assert_eq!(world.chain.send(&signed.raw).await, Sent::Taken, "it says that it has it");
    for _ in 0..3 {
        assert_eq!(world.mine().await.transactions, []);
    }
    assert_eq!(world.dead(&[&signed]).await, [0_u64; 0], "it may still land");
    world.pass().await;
    assert_eq!(world.dead(&[&signed]).await, [0], "it can never land");
}

#[tokio::test]
async fn what_ran_out_never_lands_and_what_landed_is_not_dead() {
    let world = World::new().await;
    let to = Address::repeat_byte(0x7a);
    let landed = world.sent(1, transfer(tempo::PATH_USD, to, 5)).await;
    assert_eq!(world.mine().await.transactions, [landed.hash]);
    let late = world.sign(2, transfer(tempo::PATH_USD, to, 70), ENOUGH).await;
    world.pass().await;
    let said = world.chain.send(&late.raw).await;
    for _ in 0..3 {
        assert_eq!(world.mine().await.transactions, [], "{said:?}");
    }
    assert_eq!(world.balance(tempo::PATH_USD, to).await, U256::from(5));
    // Asked about one that landed, as if the mirror had not seen it: the node has its receipt, so it is not dead.
    assert_eq!(world.dead(&[&landed, &late]).await, [1]);

    // A final block that the node does not have proves nothing.
    let unseen = [Unseen { nonce: 9, txs: vec![late.hash], expires_after: late.expires_after }];
    let elsewhere = Header { hash: B256::repeat_byte(1), ..world.final_().await };
    assert!(world.chain.dead(address(KEEPER).into(), &unseen, &elsewhere).await.unwrap().is_empty());
    // Nor does anything prove the end of what has none.
    let endless = [Unseen { expires_after: None, ..unseen[0].clone() }];
    assert!(world.chain.dead(address(KEEPER).into(), &endless, &world.final_().await).await.unwrap().is_empty());
}

/// What is tried, packed, signed and sent for invoices; a full batch of first payments to new accounts, the dearest there is.
#[tokio::test]
async fn settlements_fit_into_the_gas_they_are_given() {
    let world = World::new().await;
    let owner = key(DEPLOYER);
    let escrow = contracts::deploy_escrow(&world.anvil, &owner).await.unwrap();
    let gate = contracts::deploy_gate(&world.anvil, &owner, escrow, [address(KEEPER); 2]).await.unwrap();
    let token = tempo::create_token(&world.anvil, &owner, "Test", &[]).await.unwrap();
    assert_eq!(contracts::decimals_of(&world.anvil, token).await.unwrap(), 6);
    let contracts_ = Contracts { escrow: escrow.into(), gate: gate.into() };
    let deployment = Deployment::version_1(escrow);
    let (items, Now(time)) = (Gas::TEMPO.items + 1, world.chain.prepare().await.unwrap());
    let invoice = |at: usize| InvoiceTerms {
        version: terms::VERSION,
        chain: 42431,
        invoice_id: B256::with_last_byte(u8::try_from(at).unwrap()),
        payee: Address::with_last_byte(0xa0 + u8::try_from(at).unwrap()),
        token,
        amount: 100,
        closes_at: time + 600_000,
        refund_to: address(CUSTOMER),
        refund_key: Address::ZERO,
        settler: gate,
        flags: 0,
    };
    let invoices: Vec<InvoiceTerms> = (0..items).map(invoice).collect();
    let grants: Vec<_> = invoices.iter().map(|terms| (terms.deposit_address(&deployment), 130)).collect();
    contracts::mint(&world.anvil, &owner, token, &grants).await.unwrap();

    let signer: Account = address(KEEPER).into();
    assert!(matches!(world.chain.may_settle(contracts_, signer).await.unwrap(), Simulated::Works(_)));
    assert!(matches!(world.chain.may_settle(contracts_, address(PAYEE).into()).await.unwrap(), Simulated::Reverts(_)));
    let mut actions = vec![];
    for terms in &invoices {
        let action = Action::Settle(Terms::Evm(terms.clone()));
        let gas = works(world.chain.simulate(contracts_, signer, &action).await.unwrap());
        actions.push((action, gas));
    }
    let packs = world.chain.pack(contracts_, &actions);
    assert_eq!(packs.iter().map(|pack| pack.items.len()).collect::<Vec<_>>(), [Gas::TEMPO.items, 1]);
    let (fees, now) = (world.chain.fees().await.unwrap(), world.chain.prepare().await.unwrap());
    let mut sent = vec![];
    for (nonce, pack) in (0..).zip(&packs) {
        let together: Vec<Action> = pack.items.iter().map(|item| actions[*item].0.clone()).collect();
        let signed = world.chain.sign(contracts_, &together, slot(nonce), pack.gas_limit, fees, &now).unwrap();
        assert_eq!(world.chain.send(&signed.raw).await, Sent::Taken);
        sent.push(signed);
    }
    let block = world.mine().await;
    let outcomes = told(&world, &block, &sent).await;
    println!("gas of {} settlements: {}, of one: {}", Gas::TEMPO.items, outcomes[0], outcomes[1]);
    assert!(outcomes[1] < Gas::TEMPO.item);
    for terms in &invoices {
        assert_eq!(world.balance(token, terms.payee).await, U256::from(100));
        assert_eq!(world.balance(token, terms.deposit_address(&deployment)).await, U256::from(30));
    }
    let logs = world.chain.logs(&block, contracts_.escrow).await.unwrap();
    let recorded = logs.read.iter().filter(|(_, meaning)| matches!(meaning, Meaning::Recorded { kind: 1, .. }));
    assert_eq!(recorded.count(), items);

    // What is too much goes back, by a transaction of its own.
    let action = Action::Refund(Terms::Evm(invoices[0].clone()), token.into());
    let gas = works(world.chain.simulate(contracts_, signer, &action).await.unwrap());
    let now = world.chain.prepare().await.unwrap();
    let signed = world.chain.sign(contracts_, &[action], slot(9), gas, fees, &now).unwrap();
    assert_eq!(world.chain.send(&signed.raw).await, Sent::Taken);
    let block = world.mine().await;
    println!("gas of a refund: {} of {gas}", told(&world, &block, &[signed]).await[0]);
}

fn works(simulated: Simulated) -> u64 {
    match simulated {
        Simulated::Works(gas) => gas,
        Simulated::Reverts(words) => panic!("{words}"),
    }
}

/// The gas of transactions that have not reverted.
async fn told(world: &World, block: &Block<alloy_primitives::Bloom>, sent: &[Signed]) -> Vec<u64> {
    let mut gas = vec![];
    for signed in sent {
        let outcome = world.chain.outcome(signed.hash, block.header.hash).await.unwrap();
        let outcome = outcome.unwrap_or_else(|| panic!("{:?} is not in the block", signed.hash));
        assert!(outcome.success, "{outcome:?}");
        gas.push(outcome.gas_used);
    }
    gas
}

/// Who has no fee token is told by the node, or dropped; in neither case has anything happened.
#[tokio::test]
async fn an_account_without_the_fee_token_sends_nothing() {
    let world = World::new().await;
    let poor = PrivateKeySigner::from_bytes(&B256::repeat_byte(0x11)).unwrap();
    let signer = poor.address().into();
    let chain = Tempo::connect(&world.anvil.rpc_url(), 42431, Some(poor), tempo::PATH_USD).await.unwrap();
    let call = Call { to: TxKind::Call(tempo::PATH_USD), value: U256::ZERO, input: Bytes::new() };
    let fees = chain.fees().await.unwrap();
    let now = chain.prepare().await.unwrap();
    let signed = chain.sign_call(Slot { signer, nonce: 0 }, call, ENOUGH, fees, now).unwrap();
    println!("{:?}", chain.send(&signed.raw).await);
    assert_eq!(world.mine().await.transactions, [] as [TxId; 0]);
    let unseen = [Unseen { nonce: 0, txs: vec![signed.hash], expires_after: signed.expires_after }];
    world.pass().await;
    assert_eq!(chain.dead(signer, &unseen, &world.final_().await).await.unwrap(), [0]);
    assert_eq!(now, Now(signed.expires_after.unwrap() - 25));
}
