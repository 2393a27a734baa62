//! Invoices that a wallet pays through the escrow itself.

use crate::chain::{Chain, OnChain};
use crate::refund::link;
use crate::service::{CHAIN, ESCROW, SETTLER, Service, deployment, now};
use alloy_primitives::{Address, B256};
use serde_json::{Value, json};
use terms::{Here, InvoiceTerms};

const DUE: u128 = 150_000_000;

fn terms_of(created: &Value) -> InvoiceTerms {
    serde_json::from_value(created["terms"][0]["terms"].clone()).unwrap()
}

#[tokio::test]
async fn anyone_settles_and_it_closes_an_hour_after_its_expiry() {
    let service = Service::start().await;
    let mut chain = Chain::of(&service);
    let before = now();
    let created = service.create(json!({"direct": true})).await;
    let (terms, on_chain) = (terms_of(&created), OnChain::of(&created));
    assert_eq!(terms.settler, Address::ZERO);
    assert!((before..=now()).contains(&(terms.closes_at - 86400 - 3600)));
    terms.check(&Here { chain: CHAIN, timestamp: before, deployment: deployment() }).unwrap();
    assert_eq!(created["terms"][0]["deposit_address"], terms.deposit_address(&deployment()).to_string());
    let row = service.row("SELECT encode(settler, 'hex') AS settler, closes_at FROM invoice_terms").await;
    assert_eq!(row, json!({"settler": "0".repeat(40), "closes_at": terms.closes_at}));

    let id = created["invoice"]["id"].as_str().unwrap();
    for body in [created.clone(), service.get(&format!("/api/invoices/{id}")).await.json()] {
        assert_eq!((&body["invoice"]["direct"], &body["wallet"]["escrow"]), (&json!(true), &json!(ESCROW.to_string())));
        assert_eq!(body["wallet"]["gasless"], Value::Null);
    }

    // No gate would submit an authorization for such terms.
    let authorization = json!({
        "from": Address::repeat_byte(0x77).to_string(), "value": "150000000", "valid_after": 0,
        "valid_before": now() + 3600, "nonce": B256::repeat_byte(1).to_string(), "signature": "0x01",
    });
    let before = service.asked().await;
    let reply = service.call("POST", &format!("{}/authorization", link(&created))).json(&authorization).send().await;
    reply.problem(409, "gasless_unavailable");
    assert_eq!(service.asked().await, before);

    // Paid by a wallet, from the wallet to the payee.
    chain.mine(&[on_chain.recorded(0, 2, DUE, DUE, 1)]).await;
    let body = service.get(&format!("/api/invoices/{id}")).await.json();
    assert_eq!((&body["invoice"]["status"], &body["transactions"][0]["kind"]), (&json!("paid"), &json!("pay")));
    assert_eq!(service.count("intents").await, 0);
}

#[tokio::test]
async fn nobody_of_ours_can_cancel_it() {
    let service = Service::start().await;
    let mut chain = Chain::of(&service);
    let created = service.create(json!({"direct": true, "wallet_ttl": 3600})).await;
    let (terms, on_chain) = (terms_of(&created), OnChain::of(&created));
    let to = json!({"to": "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045"});
    let path = format!("{}/refund", link(&created));
    chain.mine(&[on_chain.deposit(0, 1)]).await;
    for at in [terms.closes_at - 3600, terms.closes_at - 1] {
        chain.mine_at(at, &[]).await;
        chain.finalize().await;
        service.call("POST", &path).json(&to).send().await.problem(409, "not_refundable_yet");
    }
    assert_eq!(service.count("intents").await, 0);
    chain.mine_at(terms.closes_at, &[]).await;
    let reply = service.call("POST", &path).json(&to).send().await;
    assert_eq!(reply.status, 202, "{}", reply.text());
}

#[tokio::test]
async fn all_others_are_settled_by_us() {
    let service = Service::start().await;
    for changes in [json!({}), json!({"direct": false}), json!({"direct": null})] {
        let created = service.create(changes).await;
        assert_eq!((terms_of(&created).settler, &created["invoice"]["direct"]), (SETTLER, &json!(false)));
        assert_eq!(created["wallet"]["escrow"], Value::Null);
    }
}
