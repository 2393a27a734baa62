//! What an invoice says can be done with it is what the routes accept, in every state.

use crate::chain::{Chain, OnChain};
use crate::service::{Service, now};
use alloy_primitives::{Address, keccak256};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use store::keys;

const DUE: u128 = 150_000_000;
const HOME: &str = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045";

/// Asks for one thing: whether it was accepted, and the answer. Each state is built anew for each question.
async fn accepted(service: &Service, created: &Value, action: &str, now: u64) -> (bool, String) {
    let (invoice, wallet) = (&created["invoice"], &created["wallet"]);
    let id = invoice["id"].as_str().unwrap();
    let (path, body) = match action {
        "pay" => {
            let due = service.get(&format!("/api/invoices/{id}")).await.json();
            let due: u128 = DUE - due["invoice"]["paid_amount_units"].as_str().unwrap().parse::<u128>().unwrap();
            let amount = format!("{}.{:06}", due / 1_000_000, due % 1_000_000);
            let amount = if due == 0 { "150".to_owned() } else { amount };
            ("/api/invoices/pay".to_owned(), json!({"invoice_id": id, "wallet_id": wallet["id"], "amount": amount}))
        }
        "cancel" => (format!("/api/invoices/{id}/cancel"), json!({})),
        "refund" if created["wallet"]["fixed"] == true => (format!("/api/invoices/{id}/refund"), json!({})),
        "refund" => (format!("/api/invoices/{id}/refund"), json!({"to": HOME})),
        _ => {
            let value = service.get(&format!("/api/invoices/{id}")).await.json();
            let value = value["wallet"]["gasless"]["value_units"].as_str().unwrap_or("150000000").to_owned();
            let body = json!({
                "from": Address::repeat_byte(0x77).to_string(), "value": value, "valid_after": 0,
                "valid_before": now + 600, "nonce": keccak256(domain::ids::new_pay_token()).to_string(), "signature": "0x01",
            });
            (format!("/api/invoices/{id}/authorization"), body)
        }
    };
    let was = service.get(&format!("/api/invoices/{id}")).await.json();
    let reply = service.post(&path, &body).await;
    assert!(reply.status < 300 || reply.status == 409, "{action}: {}", reply.text());
    // Saying once more what was so already is no action: paid is answered as paid, cancelled as cancelled.
    let repeated = match action {
        "pay" => reply.status == 200,
        "cancel" => was["invoice"]["status"] == "cancelled",
        _ => false,
    };
    (reply.status < 300 && !repeated, reply.text().to_owned())
}

/// Each state by its name, and what is offered in it.
const STATES: [(&str, &str); 17] = [
    ("new", "[\"cancel\",\"authorize\"]"),
    ("manual, part of it there", "[\"cancel\",\"authorize\"]"),
    ("manual, all there", "[\"pay\",\"cancel\"]"),
    ("automatic, all there", "[\"pay\",\"cancel\"]"),
    ("settlement signed", "[\"pay\"]"),
    ("direct", "[]"),
    ("direct, all there", "[\"pay\"]"),
    ("paid", "[]"),
    ("overpaid", "[\"refund\"]"),
    ("overpaid, ordered back", "[]"),
    ("overpaid, address fixed", "[\"refund\"]"),
    ("expired, empty", "[]"),
    ("expired, not final, part of it there", "[]"),
    ("expired, final, part of it there", "[\"refund\"]"),
    ("expired, key gone, late money", "[]"),
    ("cancelled, empty", "[]"),
    ("cancelled, part of it there", "[\"refund\"]"),
];

async fn build(service: &Service, chain: &mut Chain<'_>, state: &str) -> Value {
    let manual = if state.starts_with("manual") { "manual" } else { "automatic" };
    let mut changes = json!({"settlement": manual, "wallet_ttl": 3600});
    if state.starts_with("direct") {
        changes["direct"] = json!(true);
    }
    if state.contains("fixed") {
        changes["refund_address"] = json!(HOME);
    }
    let mut created = service.create(changes).await;
    created["wallet"]["fixed"] = json!(state.contains("fixed"));
    let on_chain = OnChain::of(&created);
    let expiry = chain.tip.timestamp.max(now()) + 3_700;
    if state.contains("part of it there") {
        chain.mine(&[on_chain.deposit(0, 5)]).await;
    }
    if state.contains("all there") || state.contains("signed") {
        chain.mine(&[on_chain.deposit(0, DUE)]).await;
    }
    if state.contains("signed") {
        let sign = "UPDATE intents SET state = 'signed' WHERE terms_hash = $1";
        sqlx::query(sign).bind(on_chain.hash.to_vec()).execute(service.store.pool()).await.unwrap();
    }
    if state.starts_with("paid") || state.starts_with("overpaid") {
        let more = if state.starts_with("overpaid") { 5 } else { 0 };
        chain.mine(&[on_chain.deposit(0, DUE + more), on_chain.recorded(1, 1, DUE, DUE, 1)]).await;
    }
    if state.contains("ordered") {
        assert!(accepted(service, &created, "refund", 0).await.0);
    }
    if state.starts_with("expired") {
        chain.mine_at(expiry, &[]).await;
        if !state.contains("not final") {
            chain.finalize().await;
        }
    }
    if state.contains("key gone") {
        let wallet = created["wallet"]["id"].as_str().unwrap();
        assert!(keys::get(&mut service.store.begin().await.unwrap(), wallet).await.unwrap().is_none());
        chain.mine(&[on_chain.deposit(0, 5)]).await;
    }
    if state.starts_with("cancelled") {
        assert_eq!(service.cancel(&created).await.status, 200);
    }
    created
}

#[tokio::test]
async fn what_is_offered_is_what_the_routes_accept_in_every_state() {
    let service = Service::start().await;
    let mut chain = Chain::of(&service);
    for (state, expected) in STATES {
        let created = build(&service, &mut chain, state).await;
        let id = created["invoice"]["id"].as_str().unwrap();
        let body = service.get(&format!("/api/invoices/{id}")).await.json();
        let offered: BTreeSet<_> = body["invoice"]["availableActions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|a| a.as_str().unwrap().to_owned())
            .collect();
        assert_eq!(body["invoice"]["availableActions"].to_string(), expected, "{state}");
        for action in domain::actions::Action::ALL {
            let created = build(&service, &mut chain, state).await;
            let (accepted, why) = accepted(&service, &created, action.as_str(), chain.tip.timestamp.max(now())).await;
            assert_eq!(offered.contains(action.as_str()), accepted, "{state}: {action}: {why}");
        }
    }
}
