//! `fault:` K16, K17: the same is signed again only where the first can never land.

use super::{connect, surfpool};
use chain::Sent;
use chain::solana::send::{self, Fate};
use chain::solana::transaction::{self, Bytes};
use chain::solana::{AccountMeta, Instruction, Keypair, Solana};
use serde_json::{Value, json};
use std::time::Duration;
use terms::Pubkey;
use test_chain::solana::SOL;
use test_chain::{Fault, Proxy, Surfpool, SurfpoolOptions};

/// Signs a transfer of lamports to oneself; `counter` makes each another one.
async fn sign(chain: &Solana, key: &Keypair, counter: u64) -> (Bytes, u64) {
    let prepared = send::prepare(chain.rpc()).await.unwrap();
    let data = [&[2, 0, 0, 0][..], &counter.to_le_bytes()].concat();
    let accounts = vec![AccountMeta::new(key.address(), true), AccountMeta::new(key.address(), false)];
    let transfer = Instruction { program_id: Pubkey::default(), accounts, data };
    let message = transaction::message(&[transfer], &key.address(), prepared.blockhash);
    (transaction::sign(&message, &[key]).unwrap(), prepared.last_valid_height)
}

async fn fate(chain: &Solana, signed: &(Bytes, u64)) -> Fate {
    send::fate(chain.rpc(), &signed.0.signature, signed.1).await.unwrap()
}

/// Waits until nothing that was signed up to now can land.
async fn outlive(node: &Surfpool, last_valid_height: u64) {
    let height =
        async || node.rpc("getBlockHeight", json!([{"commitment": "finalized"}])).await.unwrap().as_u64().unwrap();
    while height().await <= last_valid_height {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_signature_is_dead_only_when_its_time_is_over_and_a_node_that_would_know_does_not_have_it() {
    let options = SurfpoolOptions { slot_time: Duration::from_millis(20), ..SurfpoolOptions::default() };
    let node = Surfpool::start(options).await.unwrap();
    let chain = connect(node.rpc_url()).await;
    let key = node.wallet(SOL).await.unwrap();
    let (kept, sent) = (sign(&chain, &key, 1).await, sign(&chain, &key, 2).await);
    assert_eq!((fate(&chain, &kept).await, fate(&chain, &sent).await), (Fate::MayLand, Fate::MayLand));
    assert_eq!(send::send(chain.rpc(), &sent.0.raw).await, Sent::Taken);
    let slot = node.wait_for(&bs58::encode(sent.0.signature).into_string()).await.unwrap();
    // Even while it is clear that nobody has sent it.
    assert_eq!(fate(&chain, &kept).await, Fate::MayLand);

    outlive(&node, kept.1.max(sent.1)).await;
    assert_eq!((fate(&chain, &kept).await, fate(&chain, &sent).await), (Fate::Dead, Fate::Landed(slot)));
    // The network is of the same mind: it may still say that it takes what is dead, and no block ever does.
    send::send(chain.rpc(), &kept.0.raw).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(fate(&chain, &kept).await, Fate::Dead);

    // K17: a node that has forgotten, is behind, or keeps no history, does not prove that a transaction never was.
    type Lie = fn(&str, &mut Value);
    let absent = json!({"jsonrpc": "2.0", "id": 1, "result": {"context": {"slot": u64::MAX}, "value": [null]}});
    let lies: [(&str, Lie); 4] = [
        ("history begins at slot", |method, answer| {
            if method == "getFirstAvailableBlock" {
                answer["result"] = json!(answer["result"].as_u64().unwrap() + 150);
            }
        }),
        ("does not show slot", |method, answer| {
            if method == "getBlock" {
                *answer = json!({"error": {"code": -32001, "message": "Block 31 cleaned up"}});
            }
        }),
        ("is final already", |method, answer| {
            if method == "getSignatureStatuses" {
                answer["result"]["context"]["slot"] = json!(40);
            }
        }),
        ("history is not available", |method, answer| {
            if method == "getSignatureStatuses" {
                *answer = json!({"error": {"code": -32011, "message": "Transaction history is not available from this node"}});
            }
        }),
    ];
    for (words, lie) in lies {
        let proxy = Proxy::before(node.rpc_url()).await.unwrap();
        let absent = absent.clone();
        proxy.alter(move |method, _, answer| {
            if method == "getSignatureStatuses" {
                answer["result"] = absent["result"].clone();
            }
            lie(method, answer);
        });
        let asked = connect(proxy.url()).await;
        match fate(&asked, &sent).await {
            Fate::Unknown(why) => assert!(why.contains(words), "{words}: {why}"),
            other => panic!("{words}: {other:?}"),
        }
        proxy.heal();
        proxy.always("getSignatureStatuses", Fault::Refused);
        assert!(send::fate(asked.rpc(), &sent.0.signature, sent.1).await.is_err());
    }
}

#[tokio::test]
async fn what_a_node_says_to_signed_bytes_is_understood() {
    let node = surfpool().await;
    let chain = connect(node.rpc_url()).await;
    let rich = node.wallet(SOL).await.unwrap();
    let signed = sign(&chain, &rich, 5).await.0;
    assert_eq!(send::send(chain.rpc(), &signed.raw).await, Sent::Taken);
    let again = send::send(chain.rpc(), &signed.raw).await;
    assert_eq!(again, Sent::Taken, "they are the same bytes");
    let mut forged = sign(&chain, &rich, 6).await.0.raw;
    forged[1] ^= 1;
    let rejected = send::send(chain.rpc(), &forged).await;
    assert!(matches!(rejected, Sent::Rejected(_)), "{rejected:?}");
    let torn = send::send(chain.rpc(), &signed.raw[..100]).await;
    assert!(matches!(torn, Sent::Rejected(_)), "{torn:?}");

    let proxy = Proxy::before(node.rpc_url()).await.unwrap();
    let asked = connect(proxy.url()).await;
    for fault in [Fault::AnswerLost, Fault::Refused, Fault::Error("Blockhash not found"), Fault::Null] {
        proxy.times("sendTransaction", fault.clone(), 1);
        let sent = send::send(asked.rpc(), &sign(&chain, &rich, 7).await.0.raw).await;
        assert!(matches!(sent, Sent::Unknown(_)), "{fault:?}: {sent:?}");
    }
}
