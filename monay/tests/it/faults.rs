//! Nodes that lie, lose answers and want more; keys that others use too: one effect, always, and by proof.

use crate::net::{AMOUNT, Issued, Net, Wish, patient};
use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{Address, U256};
use chain::evm::Evm;
use keeper::{Config, Duty, Keeper, MAX_IN_FLIGHT};
use monay::stack::Cast;
use serde_json::json;
use std::time::Duration;
use test_chain::{Fault, Proxy};

const SEND: &str = "eth_sendRawTransaction";

/// A keeper of its own behind a proxy; the net's own keeper gives its lease back for it.
async fn behind_a_proxy(net: &Net, config: Config) -> (Proxy, Keeper<Evm>) {
    net.keeper.release().await.unwrap();
    let proxy = Proxy::start(net.node()).await.unwrap();
    let signer = PrivateKeySigner::from_bytes(&Cast::key(Cast::KEEPER)).unwrap();
    let evm = Evm::connect(proxy.url(), net.stack.chain().unwrap().id, Some(signer)).await.unwrap();
    let keeper = Keeper::new(config, net.stack.store.clone(), evm);
    keeper.lease().await.unwrap();
    (proxy, keeper)
}

/// A funded invoice that the indexer has seen.
async fn funded(net: &Net) -> Issued {
    let issued = net.issue(Wish::default()).await;
    net.transfer(issued.purse, AMOUNT).await;
    net.mine().await;
    net.index().await;
    issued
}

/// Mines and looks until everything is final.
async fn finish(net: &Net, keeper: &Keeper<Evm>) {
    for _ in 0..8 {
        net.index().await;
        while keeper.execute().await.unwrap() {}
        keeper.mend().await.unwrap();
        net.mine().await;
        net.index().await;
        keeper.watch().await.unwrap();
    }
}

async fn paid_once(net: &Net, issued: &Issued) {
    assert_eq!(net.statuses(issued).await, ("paid".into(), "destroyed".into()));
    assert_eq!(net.effects(issued, 1).await.len(), 1);
    assert_eq!(net.violations(&[issued]).await, [""; 0]);
}

async fn attempts(net: &Net) -> Vec<(i64, i32, String, bool)> {
    let rows = sqlx::query_as("SELECT nonce, seq, state, noop FROM attempts ORDER BY nonce, seq");
    rows.fetch_all(net.stack.store.pool()).await.unwrap()
}

async fn first_nonce(net: &Net) -> i64 {
    net.count("SELECT min(nonce) FROM attempts").await
}

/// `fault:K5`, `fault:K6`: whatever a node answers after it has taken the bytes, they are not signed again and get no other
/// nonce.
#[tokio::test]
async fn an_answer_that_is_lost_or_wrong_leads_to_no_second_transaction() {
    let net = Net::start().await;
    let (proxy, keeper) = behind_a_proxy(&net, patient(Duty::Settle)).await;
    for fault in [
        Fault::AnswerLost,
        Fault::ErrorAfter("nonce too low: next nonce 9, tx nonce 1"),
        Fault::ErrorAfter("already known"),
        Fault::ErrorAfter("internal error"),
        Fault::ErrorAfter("txpool is full"),
    ] {
        let issued = funded(&net).await;
        let before = net.count("SELECT count(*) FROM attempts").await;
        proxy.times(SEND, fault.clone(), 1);
        assert!(keeper.execute().await.unwrap());
        let state = if fault == Fault::ErrorAfter("already known") { "broadcast" } else { "unknown" };
        assert_eq!(net.intents(&issued).await, [("settle".to_owned(), state.to_owned())], "{fault:?}");
        assert!(!keeper.execute().await.unwrap(), "{fault:?}: nothing is tried anew");
        keeper.watch().await.unwrap();
        finish(&net, &keeper).await;
        paid_once(&net, &issued).await;
        assert_eq!(net.count("SELECT count(*) FROM attempts").await, before + 1, "{fault:?}");
    }
}

/// The node never hears of it for a while: the same bytes, until it does.
#[tokio::test]
async fn what_a_node_never_heard_of_is_offered_again_byte_for_byte() {
    let net = Net::start().await;
    let (proxy, keeper) = behind_a_proxy(&net, patient(Duty::Settle)).await;
    let issued = funded(&net).await;
    proxy.times(SEND, Fault::Refused, 3);
    keeper.execute().await.unwrap();
    for _ in 0..3 {
        keeper.watch().await.unwrap();
    }
    let calls = proxy.calls(SEND);
    assert!(calls.len() == 4 && calls.iter().all(|call| *call == calls[0]), "{calls:?}");
    finish(&net, &keeper).await;
    paid_once(&net, &issued).await;
}

/// `fault:K7`: somebody else with the key has used the nonce. Known only when that is final; nothing is tried under a new
/// nonce before, and while the node cannot say whether it has our receipt.
#[tokio::test]
async fn a_nonce_that_somebody_else_has_used_is_given_up_on_proof_and_not_before() {
    let net = Net::start().await;
    let (proxy, keeper) = behind_a_proxy(&net, patient(Duty::Settle)).await;
    let issued = funded(&net).await;
    proxy.always(SEND, Fault::Refused);
    keeper.execute().await.unwrap();
    net.send(Cast::KEEPER, Address::ZERO, Vec::new()).await;
    net.mine().await;
    net.index().await;
    keeper.watch().await.unwrap();
    assert_eq!(net.intents(&issued).await, [("settle".to_owned(), "unknown".to_owned())], "in a block, not final");
    for _ in 0..3 {
        net.mine().await;
        net.index().await;
    }
    proxy.always("eth_getTransactionReceipt", Fault::Refused);
    keeper.watch().await.unwrap();
    assert_eq!(net.intents(&issued).await, [("settle".to_owned(), "unknown".to_owned())]);
    assert_eq!(net.count("SELECT count(*) FROM attempts").await, 1, "whether we have a receipt could not be told");
    proxy.heal();
    keeper.watch().await.unwrap();
    assert_eq!(net.intents(&issued).await, [("settle".to_owned(), "accepted".to_owned())]);
    assert_eq!(net.count("SELECT count(*) FROM attempts WHERE state = 'replaced'").await, 1);
    tokio::time::sleep(Duration::from_millis(600)).await;
    finish(&net, &keeper).await;
    let first = first_nonce(&net).await;
    assert_eq!(attempts(&net).await[1], (first + 1, 0, "final".to_owned(), false), "and paid under the next");
    assert_eq!(net.statuses(&issued).await, ("paid".into(), "destroyed".into()));
    assert_eq!(net.effects(&issued, 1).await.len(), 1);
}

/// `fault:K8`: bytes that no node will ever take do not hold up what comes after them.
#[tokio::test]
async fn a_nonce_whose_bytes_no_node_will_take_is_closed_by_a_transaction_that_does_nothing() {
    let net = Net::start().await;
    let (proxy, keeper) = behind_a_proxy(&net, patient(Duty::Settle)).await;
    let issued = funded(&net).await;
    proxy.always(SEND, Fault::Error("exceeds block gas limit"));
    keeper.execute().await.unwrap();
    for _ in 0..2 {
        keeper.watch().await.unwrap();
    }
    proxy.heal();
    let later = funded(&net).await;
    keeper.execute().await.unwrap();
    keeper.watch().await.unwrap();
    let first = first_nonce(&net).await;
    let expected = [
        (first, 0, "unknown".to_owned(), false),
        (first, 1, "broadcast".to_owned(), true),
        (first + 1, 0, "broadcast".to_owned(), false),
    ];
    assert_eq!(attempts(&net).await, expected);
    finish(&net, &keeper).await;
    paid_once(&net, &later).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    finish(&net, &keeper).await;
    paid_once(&net, &issued).await;
}

/// `fault:K8`, `fault:K9`: a database from a backup has lost transactions. Where its count is ahead of what is left, the gap
/// is closed; where it is behind the chain, it follows.
#[tokio::test]
async fn after_a_restored_backup_nonces_find_their_way_back() {
    let net = Net::start().await;
    let (_proxy, keeper) = behind_a_proxy(&net, patient(Duty::Settle)).await;
    let ahead = funded(&net).await;
    sqlx::query("UPDATE signers SET next_nonce = next_nonce + 3").execute(net.stack.store.pool()).await.unwrap();
    assert!(keeper.execute().await.unwrap());
    net.mine().await;
    net.index().await;
    assert_eq!(net.statuses(&ahead).await.0, "pending_payment", "three nonces are missing before it");
    keeper.mend().await.unwrap();
    assert_eq!(net.count("SELECT count(*) FROM attempts WHERE noop").await, 3);
    finish(&net, &keeper).await;
    paid_once(&net, &ahead).await;

    let behind = funded(&net).await;
    sqlx::query("UPDATE signers SET next_nonce = 0").execute(net.stack.store.pool()).await.unwrap();
    keeper.mend().await.unwrap();
    finish(&net, &keeper).await;
    paid_once(&net, &behind).await;
    assert_eq!(
        net.count("SELECT count(*) FROM attempts WHERE noop").await,
        3,
        "no nonce was used that was used before"
    );
}

/// `fault:K10`: the base fee rises above what was offered. The same nonce, each try committed first, at least an eighth more,
/// never above the cap; whichever is mined counts, once.
#[tokio::test]
async fn a_stuck_transaction_is_offered_with_more_up_to_the_cap_and_counts_once() {
    let net = Net::start().await;
    let config = Config { raise_after: Duration::ZERO, max_fee: 20_000_000_000, ..patient(Duty::Settle) };
    let (proxy, keeper) = behind_a_proxy(&net, config).await;
    let issued = funded(&net).await;
    keeper.execute().await.unwrap();
    let base_fee = async |wei: u64| {
        net.node().rpc("anvil_setNextBlockBaseFeePerGas", json!([format!("{wei:#x}")])).await.unwrap();
    };
    base_fee(50_000_000_000).await;
    for _ in 0..40 {
        net.mine().await;
        base_fee(50_000_000_000).await;
        net.index().await;
        keeper.watch().await.unwrap();
    }
    let fees: Vec<(i64,)> = sqlx::query_as("SELECT max_fee::bigint FROM attempts ORDER BY seq")
        .fetch_all(net.stack.store.pool())
        .await
        .unwrap();
    assert!(fees.len() > 1 && fees.len() < 30, "{fees:?}");
    assert!(fees.windows(2).all(|pair| pair[1].0 - pair[0].0 >= pair[0].0 / 10), "{fees:?}");
    assert!(fees.iter().all(|(fee,)| *fee <= 20_000_000_000), "{fees:?}");
    assert_eq!(net.count("SELECT count(DISTINCT nonce) FROM attempts").await, 1);
    assert_eq!(net.violations(&[&issued]).await, [""; 0], "each try was committed before it was sent");
    assert!(proxy.calls(SEND).len() > fees.len(), "at the cap it goes on being offered");

    base_fee(1_000_000_000).await;
    finish(&net, &keeper).await;
    paid_once(&net, &issued).await;
    assert_eq!(net.count("SELECT count(*) FROM attempts WHERE state = 'final'").await, 1);
    assert_eq!(net.count("SELECT count(*) FROM attempts WHERE state NOT IN ('final', 'replaced')").await, 0);
    let cost = "SELECT count(*) FROM observations o JOIN attempts a USING (tx_hash) WHERE a.state = 'final' AND o.fee_units > 0";
    assert_eq!(net.count(cost).await, 1, "with what it really cost");
}

/// While gas costs more than the cap nothing is signed, and nothing fails.
#[tokio::test]
async fn while_gas_costs_more_than_the_cap_everything_waits() {
    let net = Net::start().await;
    let (_proxy, keeper) = behind_a_proxy(&net, Config { max_fee: 2, ..patient(Duty::Settle) }).await;
    let issued = funded(&net).await;
    assert!(!keeper.execute().await.unwrap());
    assert_eq!(net.intents(&issued).await, [("settle".to_owned(), "accepted".to_owned())]);
    assert_eq!(net.count("SELECT count(*) FROM attempts").await, 0);
}

/// `fault:K13`: a signer without coin. Everything waits, and goes on in order when there is some.
#[tokio::test]
async fn a_signer_without_coin_loses_nothing_and_goes_on_when_it_has_some() {
    let net = Net::start().await;
    let impatient = Config { raise_after: Duration::ZERO, ..patient(Duty::Settle) };
    let (_proxy, keeper) = behind_a_proxy(&net, impatient).await;
    let address = Cast::address(Cast::KEEPER);
    let (one, two) = (funded(&net).await, funded(&net).await);
    net.node().set_balance(address, U256::ZERO).await.unwrap();
    keeper.execute().await.unwrap();
    for _ in 0..3 {
        net.mine().await;
        net.index().await;
        keeper.watch().await.unwrap();
    }
    assert_eq!(net.count("SELECT count(*) FROM attempts").await, 1, "more for gas would only need more coin");
    assert_eq!(net.count("SELECT count(*) FROM attempts WHERE answer = 'unfunded'").await, 1);
    assert_eq!(net.count("SELECT count(*) FROM intents WHERE state = 'failed'").await, 0);
    net.node().set_balance(address, U256::from(10).pow(U256::from(18))).await.unwrap();
    keeper.watch().await.unwrap();
    finish(&net, &keeper).await;
    paid_once(&net, &one).await;
    paid_once(&net, &two).await;
}

/// `fault:K14`: two keepers with the same key. One acts; when its lease has run out the other does, and the first, which was
/// only paused, can sign nothing any more.
#[tokio::test]
async fn a_keeper_that_was_paused_can_sign_nothing_when_another_has_its_lease() {
    let net = Net::start().await;
    net.keeper.release().await.unwrap();
    let keeper = |lease| {
        let config = Config { lease, ..patient(Duty::Settle) };
        Keeper::new(config, net.stack.store.clone(), net.keeper.chain.clone())
    };
    let (old, new) = (keeper(Duration::from_millis(400)), keeper(Duration::from_secs(60)));
    old.lease().await.unwrap();
    new.lease().await.unwrap();
    let one = funded(&net).await;
    assert!(!new.execute().await.unwrap(), "it stands by");
    assert!(old.execute().await.unwrap());
    tokio::time::sleep(Duration::from_millis(500)).await;
    new.lease().await.unwrap();
    let two = funded(&net).await;
    let error = old.execute().await.unwrap_err().to_string();
    assert!(error.contains("another process has the lease"), "{error}");
    assert!(!old.execute().await.unwrap(), "and it knows by now");
    assert_eq!(net.count("SELECT count(*) FROM attempts").await, 1, "nothing was signed");
    old.lease().await.unwrap();
    assert!(!old.execute().await.unwrap(), "nor can it take the lease back");
    assert!(new.execute().await.unwrap());
    finish(&net, &new).await;
    paid_once(&net, &one).await;
    paid_once(&net, &two).await;
}

/// A pool of keys: the one with less on its way is used next.
#[tokio::test]
async fn several_keys_share_the_work() {
    let net = Net::start().await;
    net.let_settle(Cast::STRANGER, true).await;
    net.mine().await;
    net.keeper.release().await.unwrap();
    let keys = [Cast::KEEPER, Cast::STRANGER].map(|who| PrivateKeySigner::from_bytes(&Cast::key(who)).unwrap());
    let proxy = Proxy::start(net.node()).await.unwrap();
    let evm = Evm::connect(proxy.url(), net.stack.chain().unwrap().id, keys).await.unwrap();
    let keeper = Keeper::new(patient(Duty::Settle), net.stack.store.clone(), evm);
    keeper.lease().await.unwrap();
    proxy.always(SEND, Fault::Refused);
    let mut all = Vec::new();
    for _ in 0..4 {
        all.push(funded(&net).await);
        assert!(keeper.execute().await.unwrap());
    }
    let shares: Vec<(i64,)> = sqlx::query_as("SELECT count(*) FROM attempts GROUP BY signer")
        .fetch_all(net.stack.store.pool())
        .await
        .unwrap();
    assert_eq!(shares, [(2,), (2,)]);
    proxy.heal();
    keeper.watch().await.unwrap();
    finish(&net, &keeper).await;
    for issued in &all {
        paid_once(&net, issued).await;
    }
}

/// A key that has lost its role at the gate, or is no longer configured: the others of the pool do its work, and what it
/// signed is closed all the same.
#[tokio::test]
async fn a_key_that_lost_its_role_keeps_nobody_from_working() {
    let net = Net::start().await;
    let (proxy, gone) = behind_a_proxy(&net, patient(Duty::Settle)).await;
    let before = funded(&net).await;
    proxy.always(SEND, Fault::Refused);
    gone.execute().await.unwrap();
    net.let_settle(Cast::KEEPER, false).await;
    net.let_settle(Cast::STRANGER, true).await;
    // Whoever took the key uses it, and with it the nonce.
    net.send(Cast::KEEPER, Address::ZERO, Vec::new()).await;
    net.mine().await;
    gone.release().await.unwrap();
    let keys = [Cast::KEEPER, Cast::STRANGER].map(|who| PrivateKeySigner::from_bytes(&Cast::key(who)).unwrap());
    let chain = net.stack.chain().unwrap();
    for keys in [keys.to_vec(), keys[1..].to_vec()] {
        let evm = Evm::connect(&chain.rpc_url, chain.id, keys).await.unwrap();
        let keeper = Keeper::new(patient(Duty::Settle), net.stack.store.clone(), evm);
        keeper.lease().await.unwrap();
        let after = funded(&net).await;
        assert!(keeper.execute().await.unwrap());
        finish(&net, &keeper).await;
        assert_eq!(net.statuses(&after).await, ("paid".into(), "destroyed".into()));
        tokio::time::sleep(Duration::from_millis(600)).await;
        finish(&net, &keeper).await;
        keeper.release().await.unwrap();
    }
    assert_eq!(net.statuses(&before).await, ("paid".into(), "destroyed".into()), "what the lost key had signed");
    assert_eq!(net.effects(&before, 1).await.len(), 1);
}

/// `fault:K24`: a node that swallows everything. Only so many nonces are on their way; the rest waits where it costs nothing.
#[tokio::test]
async fn no_more_is_on_its_way_than_the_limit() {
    let net = Net::start().await;
    let (proxy, keeper) = behind_a_proxy(&net, patient(Duty::Settle)).await;
    proxy.always(SEND, Fault::Refused);
    let mut all = Vec::new();
    for _ in 0..MAX_IN_FLIGHT + 4 {
        all.push(funded(&net).await);
        keeper.execute().await.unwrap();
    }
    assert_eq!(net.count("SELECT count(*) FROM attempts").await, i64::try_from(MAX_IN_FLIGHT).unwrap());
    assert_eq!(net.count("SELECT count(*) FROM intents WHERE state = 'accepted'").await, 4);
    proxy.heal();
    keeper.watch().await.unwrap();
    finish(&net, &keeper).await;
    for issued in &all {
        paid_once(&net, issued).await;
    }
}
