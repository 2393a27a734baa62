//! An invoice that its issuer calls off: what is cancelled with us at once, and what is refused.

use crate::chain::{Chain, OnChain};
use crate::refund::link;
use crate::service::{Reply, Service, now};
use serde_json::{Value, json};

const DUE: u128 = 150_000_000;

impl Service {
    pub(crate) async fn cancel(&self, created: &Value) -> Reply {
        let path = format!("/api/invoices/{}/cancel", created["invoice"]["id"].as_str().unwrap());
        self.authed("POST", &path).send().await
    }

    async fn intent_words(&self) -> Vec<Value> {
        self.rows("SELECT kind, state FROM intents ORDER BY created_at, kind").await
    }
}

#[tokio::test]
async fn an_open_invoice_is_cancelled_at_once_and_repeating_says_the_same() {
    let service = Service::start().await;
    let mut chain = Chain::of(&service);
    let created = service.create(json!({"wallet_ttl": 3600})).await;
    let reply = service.cancel(&created).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let body = reply.json();
    assert_eq!((&body["invoice"]["status"], &body["wallet"]["status"]), (&json!("cancelled"), &json!("destroying")));
    assert_eq!(body["wallet"]["destruction_reason"], "cancelled");
    assert_eq!(body["invoice"]["availableActions"], json!([]));
    assert_eq!(body["wallet"]["gasless"], Value::Null);
    assert_eq!(service.intent_words().await, [] as [Value; 0], "there is nothing to cancel on chain");
    let events = service.rows("SELECT type FROM outbox ORDER BY sequence").await;
    assert_eq!(events, [json!({"type": "invoice.created"}), json!({"type": "invoice.cancelled"})]);
    let again = service.cancel(&created).await;
    assert_eq!((again.status, &again.json()["invoice"]), (200, &body["invoice"]));
    assert_eq!(service.count("outbox").await, 2);
    assert!(service.pay_page(&created).await.contains("This invoice was cancelled"));

    // Money that comes all the same is cancelled on chain, whatever it amounts to.
    let on_chain = OnChain::of(&created);
    chain.mine(&[on_chain.deposit(0, DUE)]).await;
    assert_eq!(service.intent_words().await, [json!({"kind": "cancel", "state": "accepted"})]);
    assert_eq!(service.count("wallet_keys").await, 1);
    chain.mine(&[on_chain.recorded(0, 3, 0, 0, 2)]).await;
    let home = json!({"to": "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045"});
    let path = format!("{}/refund", link(&created));
    assert_eq!(service.call("POST", &path).json(&home).send().await.status, 202);
    chain.mine(&[on_chain.recorded(0, 5, DUE, 0, 2)]).await;
    chain.finalize().await;
    let body = service.get(&format!("/api/invoices/{}", created["invoice"]["id"].as_str().unwrap())).await.json();
    assert_eq!((&body["invoice"]["status"], &body["wallet"]["status"]), (&json!("cancelled"), &json!("destroyed")));
}

/// Nothing on chain says it is cancelled: a transfer can arrive until the end, and the key has to be there for it.
#[tokio::test]
async fn the_key_stays_until_the_expiry_is_final_where_nothing_was_cancelled_on_chain() {
    let service = Service::start().await;
    let mut chain = Chain::of(&service);
    let created = service.create(json!({"wallet_ttl": 3600})).await;
    assert_eq!(service.cancel(&created).await.status, 200);
    for (at, final_, keys) in [(60, true, 1), (3_500, true, 1), (3_700, false, 1), (3_701, true, 0)] {
        chain.mine_at(now() + at, &[]).await;
        if final_ {
            chain.finalize().await;
        }
        assert_eq!(service.count("wallet_keys").await, keys, "{at}");
    }
    let body = service.get(&format!("/api/invoices/{}", created["invoice"]["id"].as_str().unwrap())).await.json();
    assert_eq!((&body["invoice"]["status"], &body["wallet"]["status"]), (&json!("cancelled"), &json!("destroyed")));
    assert_eq!(body["wallet"]["destruction_reason"], "cancelled");
}

#[tokio::test]
async fn what_is_paid_on_its_way_expired_or_direct_is_not_called_off() {
    let service = Service::start().await;
    let mut chain = Chain::of(&service);

    let direct = service.create(json!({"direct": true})).await;
    service.cancel(&direct).await.problem(409, "cancel_direct");

    let paid = service.create(json!({})).await;
    let on_chain = OnChain::of(&paid);
    chain.mine(&[on_chain.deposit(0, DUE)]).await;
    for state in ["signed", "broadcast", "unknown"] {
        sqlx::query("UPDATE intents SET state = $1").bind(state).execute(service.store.pool()).await.unwrap();
        service.cancel(&paid).await.problem(409, "settlement_under_way");
    }
    chain.mine(&[on_chain.recorded(0, 1, DUE, DUE, 1)]).await;
    service.cancel(&paid).await.problem(409, "invoice_paid");

    let expired = service.create(json!({"wallet_ttl": 3600})).await;
    chain.mine_at(now() + 3_700, &[]).await;
    service.cancel(&expired).await.problem(409, "invoice_expired");

    // Nothing is left of what was refused; nobody calls off what is not his; and there is nothing to say about it.
    let called_off = service.row("SELECT count(*) AS n FROM invoices WHERE called_off_at IS NOT NULL").await;
    assert_eq!(called_off["n"], 0);
    let path = format!("/api/invoices/{}/cancel", paid["invoice"]["id"].as_str().unwrap());
    service.call("POST", &path).key(&service.keys["tenant-other"]).send().await.problem(404, "invoice_not_found");
    service.call("POST", &path).send().await.problem(401, "unauthorized");
    service.post(&path, &json!({"why": "x"})).await.problem(400, "field_unknown");
    service.authed("POST", &path).body("{}").send().await.problem(415, "content_type_unsupported");
    service.post("/api/invoices/nothing/cancel", &json!({})).await.problem(404, "invoice_not_found");
}

#[tokio::test]
async fn a_settlement_that_nothing_was_signed_for_is_taken_back() {
    let service = Service::start().await;
    let mut chain = Chain::of(&service);
    let created = service.create(json!({})).await;
    chain.mine(&[OnChain::of(&created).deposit(0, DUE)]).await;
    assert_eq!(service.intent_words().await, [json!({"kind": "settle", "state": "accepted"})]);
    let reply = service.cancel(&created).await;
    assert_eq!((reply.status, &reply.json()["invoice"]["status"]), (200, &json!("cancelled")));
    let words = [json!({"kind": "settle", "state": "superseded"}), json!({"kind": "cancel", "state": "accepted"})];
    assert_eq!(service.intent_words().await, words);
    assert_eq!(reply.json()["invoice"]["availableActions"], json!(["refund"]));
}
