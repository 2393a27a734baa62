//! An installation with Solana beside Base: real Surfpool, the compiled programs, the services as processes.

use monay::services::Service;
use monay::stack::{Cast, Options, Stack, TENANT};
use serde_json::{Value, json};
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};
use store::fault::{CRASH_VARIABLE, Point};
use terms::Pubkey;

/// 150 USDC.
const AMOUNT: u64 = 150_000_000;

/// What nothing survives.
const SIGKILL: i32 = 9;

/// A lease that a test does not have to wait for long when its holder was killed.
const SHORT_LEASE: (&str, &str) = ("MONAY__KEEPER__LEASE_MS", "500");

/// As long as a signature is good, and as long again: 300 slots of a tenth of a second.
const TOO_LONG: Duration = Duration::from_secs(30);

struct Issued {
    id: String,
    address: Pubkey,
    terms_hash: Vec<u8>,
}

async fn stack() -> Stack {
    let stack =
        Stack::start(Options { solana: true, program: Some(env!("CARGO_BIN_EXE_monay").into()), ..Options::default() })
            .await
            .unwrap();
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
    let rail = answer["terms"].as_array().unwrap().iter().find(|terms| terms["chain"] == "solana").unwrap().clone();
    Issued {
        id: answer["invoice"]["id"].as_str().unwrap().to_owned(),
        address: rail["deposit_address"].as_str().unwrap().parse().unwrap(),
        terms_hash: alloy_primitives::hex::decode(rail["hash"].as_str().unwrap()).unwrap(),
    }
}

async fn pay(stack: &Stack, issued: &Issued) {
    let solana = stack.solana().unwrap();
    solana.node().transfer(&Cast::solana(Cast::CUSTOMER), &issued.address, &solana.mint, AMOUNT).await.unwrap();
}

/// What is signed for the invoice on Solana, oldest first: bytes and state.
async fn attempts(stack: &Stack, issued: &Issued) -> Vec<(Vec<u8>, String)> {
    let query = "SELECT a.raw_tx, a.state FROM attempts a JOIN attempt_intents l ON l.attempt_id = a.id
        JOIN intents n ON n.id = l.intent_id WHERE n.terms_hash = $1 ORDER BY a.id";
    sqlx::query_as(query).bind(&issued.terms_hash).fetch_all(stack.store.pool()).await.unwrap()
}

async fn paid_and_destroyed(stack: &Stack, issued: &Issued) {
    let query =
        "SELECT i.status, w.status FROM invoices i JOIN invoice_wallets w ON w.invoice_id = i.id WHERE i.id = $1";
    let since = Instant::now();
    loop {
        let row: (String, String) = sqlx::query_as(query).bind(&issued.id).fetch_one(stack.store.pool()).await.unwrap();
        if (row.0.as_str(), row.1.as_str()) == ("paid", "destroyed") {
            return;
        }
        assert!(since.elapsed() < Duration::from_secs(60), "after 60 s: {row:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// How often the escrow has told of a settlement, and what the payee has.
async fn effects(stack: &Stack, issued: &Issued) -> (i64, u64) {
    let query = "SELECT count(*) FROM escrow_events WHERE terms_hash = $1 AND kind = 1";
    let (settled,): (i64,) =
        sqlx::query_as(query).bind(&issued.terms_hash).fetch_one(stack.store.pool()).await.unwrap();
    let payee = Cast::solana(Cast::ENTERPRISE).address();
    (settled, stack.solana().unwrap().balance(&payee).await.unwrap())
}

/// A funded invoice whose keeper has died after it has committed a signature and before it has sent it.
async fn signed_and_not_sent(stack: &Stack) -> Issued {
    let point = format!("{:?}", Point::AfterCommitBeforeBroadcast);
    stack.run(Service::Keeper, &[(CRASH_VARIABLE, &point), SHORT_LEASE]).await.unwrap();
    let issued = issue(stack).await;
    pay(stack, &issued).await;
    let ended = stack.ended(Service::Keeper, Duration::from_secs(30)).await.and_then(|status| status.signal());
    assert_eq!(ended, Some(SIGKILL), "the keeper did not die");
    assert_eq!(attempts(stack, &issued).await.len(), 1);
    issued
}

/// `fault:K2` on Solana: the committed signature is what is sent, and no other one.
#[tokio::test]
async fn killed_before_sending_on_solana_the_committed_signature_pays_once() {
    let stack = stack().await;
    let issued = signed_and_not_sent(&stack).await;
    let before = attempts(&stack, &issued).await;
    stack.run(Service::Keeper, &[SHORT_LEASE]).await.unwrap();
    paid_and_destroyed(&stack, &issued).await;
    let after = attempts(&stack, &issued).await;
    assert_eq!((after.len(), &after[0].0), (1, &before[0].0), "nothing else was signed");
    assert_eq!(effects(&stack, &issued).await, (1, AMOUNT));
    stack.stop().await;
}

/// `fault:K16` through the keeper: when the finalized chain is past the height by which the signature runs out, and not before,
/// another one is signed; the invoice is paid once.
#[tokio::test]
async fn what_ran_out_on_solana_is_signed_anew_and_pays_once() {
    let stack = stack().await;
    let issued = signed_and_not_sent(&stack).await;
    let first = attempts(&stack, &issued).await.remove(0).0;
    stack.pass(TOO_LONG).await.unwrap();
    stack.run(Service::Keeper, &[SHORT_LEASE]).await.unwrap();
    paid_and_destroyed(&stack, &issued).await;
    let after = attempts(&stack, &issued).await;
    let same: Vec<_> = after.iter().filter(|(raw, _)| *raw == first).collect();
    assert_eq!(same.len(), 1, "the first signature is not made again");
    let alive = after.iter().filter(|(_, state)| state != "replaced").count();
    assert_eq!(alive, 1, "one of them has done it: {:?}", after.iter().map(|(_, state)| state).collect::<Vec<_>>());
    assert_eq!(effects(&stack, &issued).await, (1, AMOUNT));
    stack.stop().await;
}
