//! An installation with Tempo beside Base: Anvil with Tempo's rules, its own transactions, the services as processes.

use alloy_primitives::{Address, U256};
use monay::services::Service;
use monay::stack::{Cast, Options, Stack, TENANT};
use serde_json::{Value, json};
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};
use store::fault::{CRASH_VARIABLE, Point};
use test_chain::{Fault, Proxy, contracts};

/// 150 dollars.
const AMOUNT: u128 = 150_000_000;

/// What nothing survives.
const SIGKILL: i32 = 9;

/// A lease that a test does not have to wait for long when its holder was killed.
const SHORT_LEASE: (&str, &str) = ("MONAY__KEEPER__LEASE_MS", "500");

/// Longer than what is signed may land.
const TOO_LONG: Duration = Duration::from_secs(60);

struct Issued {
    id: String,
    address: Address,
    terms_hash: Vec<u8>,
}

async fn stack() -> Stack {
    let program = Some(env!("CARGO_BIN_EXE_monay").into());
    let stack = Stack::start(Options { tempo: true, program, ..Options::default() }).await.unwrap();
    stack.run(Service::Indexer, &[]).await.unwrap();
    stack.run(Service::Api, &[]).await.unwrap();
    stack
}

async fn issue(stack: &Stack) -> Issued {
    let body = json!({"tenant_id": TENANT, "amount": 150, "currency": "USD", "description": "Electric Service",
        "wallet_mode": "ephemeral", "wallet_ttl": 86400});
    let url = format!("{}/api/invoices/create", stack.api_url());
    let request = reqwest::Client::new().post(url).bearer_auth(&stack.api_key).json(&body);
    let answer: Value = request.send().await.unwrap().error_for_status().unwrap().json().await.unwrap();
    let rail = answer["terms"].as_array().unwrap().iter().find(|terms| terms["chain"] == "tempo").unwrap().clone();
    Issued {
        id: answer["invoice"]["id"].as_str().unwrap().to_owned(),
        address: rail["deposit_address"].as_str().unwrap().parse().unwrap(),
        terms_hash: alloy_primitives::hex::decode(rail["hash"].as_str().unwrap()).unwrap(),
    }
}

async fn pay(stack: &Stack, issued: &Issued) {
    let tempo = stack.tempo().unwrap();
    let customer = alloy::signers::local::PrivateKeySigner::from_bytes(&Cast::key(Cast::CUSTOMER)).unwrap();
    contracts::transfer(tempo.node(), &customer, tempo.config.token, &[(issued.address, AMOUNT)]).await.unwrap();
}

/// What is signed for the invoice on Tempo, oldest first: bytes and state.
async fn attempts(stack: &Stack, issued: &Issued) -> Vec<(Vec<u8>, String)> {
    let query = "SELECT a.raw_tx, a.state FROM attempts a JOIN attempt_intents l ON l.attempt_id = a.id
        JOIN intents n ON n.id = l.intent_id WHERE n.terms_hash = $1 ORDER BY a.id";
    sqlx::query_as(query).bind(&issued.terms_hash).fetch_all(stack.store.pool()).await.unwrap()
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let since = Instant::now();
    while !is_so().await {
        assert!(since.elapsed() < Duration::from_secs(60), "after 60 s: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn paid_and_destroyed(stack: &Stack, issued: &Issued) {
    let query =
        "SELECT i.status, w.status FROM invoices i JOIN invoice_wallets w ON w.invoice_id = i.id WHERE i.id = $1";
    until("it is not paid and destroyed", async || {
        let row: (String, String) = sqlx::query_as(query).bind(&issued.id).fetch_one(stack.store.pool()).await.unwrap();
        (row.0.as_str(), row.1.as_str()) == ("paid", "destroyed")
    })
    .await;
}

/// How often the escrow has told of a settlement, how much came, and what the payee has.
async fn effects(stack: &Stack, issued: &Issued) -> (i64, i64, U256) {
    let count = async |query| {
        let (count,): (i64,) =
            sqlx::query_as(query).bind(&issued.terms_hash).fetch_one(stack.store.pool()).await.unwrap();
        count
    };
    let settled = count("SELECT count(*) FROM escrow_events WHERE terms_hash = $1 AND kind = 1").await;
    let deposits = count("SELECT count(*) FROM deposits WHERE terms_hash = $1").await;
    let payee = stack.tempo().unwrap().balance(Cast::address(Cast::ENTERPRISE)).await.unwrap();
    (settled, deposits, payee)
}

const ONCE: (i64, i64, U256) = (1, 1, U256::from_limbs([AMOUNT as u64, 0, 0, 0]));

/// `fault:K2` on Tempo: the committed bytes are what is sent, and nothing else is signed.
#[tokio::test]
async fn killed_before_sending_on_tempo_the_committed_transaction_pays_once() {
    let stack = stack().await;
    let point = format!("{:?}", Point::AfterCommitBeforeBroadcast);
    stack.run(Service::Keeper, &[(CRASH_VARIABLE, &point), SHORT_LEASE]).await.unwrap();
    let issued = issue(&stack).await;
    pay(&stack, &issued).await;
    let ended = stack.ended(Service::Keeper, Duration::from_secs(30)).await.and_then(|status| status.signal());
    assert_eq!(ended, Some(SIGKILL), "the keeper did not die");
    let before = attempts(&stack, &issued).await;
    assert_eq!(before.len(), 1);
    stack.run(Service::Keeper, &[SHORT_LEASE]).await.unwrap();
    paid_and_destroyed(&stack, &issued).await;
    let after = attempts(&stack, &issued).await;
    assert_eq!((after.len(), &after[0].0), (1, &before[0].0), "nothing else was signed");
    assert_eq!(effects(&stack, &issued).await, ONCE);
    stack.stop().await;
}

/// `fault:K16` on Tempo: a node says that it has the transaction and drops it without a word. It stays what it was until our
/// final blocks are beyond its last time; then another one is signed, and the invoice is paid once.
#[tokio::test]
async fn what_a_node_of_tempo_drops_without_a_word_is_signed_anew_on_proof_and_pays_once() {
    let stack = stack().await;
    let proxy = Proxy::start(stack.tempo().unwrap().node()).await.unwrap();
    proxy.always("eth_sendRawTransaction", Fault::Dropped);
    let through = ("MONAY__CHAINS__TEMPO__RPC_URL", proxy.url());
    stack.run(Service::Keeper, &[through, SHORT_LEASE]).await.unwrap();
    let issued = issue(&stack).await;
    pay(&stack, &issued).await;
    until("nothing was signed", async || !attempts(&stack, &issued).await.is_empty()).await;
    // It is offered again, byte for byte, and nothing else is signed as long as it may land.
    let offers = async || proxy.calls("eth_sendRawTransaction").len() >= 3;
    until("it was not offered again", offers).await;
    let first = attempts(&stack, &issued).await;
    assert_eq!((first.len(), first[0].1.as_str()), (1, "broadcast"), "the node says that it has it");
    assert!(proxy.calls("eth_sendRawTransaction").windows(2).all(|pair| pair[0] == pair[1]));

    stack.pass(TOO_LONG).await.unwrap();
    let given_up = async || attempts(&stack, &issued).await.iter().any(|(_, state)| state == "replaced");
    until("it was not given up", given_up).await;
    proxy.heal();
    paid_and_destroyed(&stack, &issued).await;
    let after = attempts(&stack, &issued).await;
    assert_eq!((&after[0].0, after[0].1.as_str()), (&first[0].0, "replaced"));
    assert_eq!(after.iter().filter(|(_, state)| state != "replaced").count(), 1, "one of them has done it");
    assert_eq!(effects(&stack, &issued).await, ONCE);
    stack.stop().await;
}
