//! Payers without gas: which authorizations are taken, and what becomes of them.

use crate::chain::{Chain, OnChain};
use crate::refund::link;
use crate::service::{ESCROW, Reply, Service, UTILITYCO, now};
use alloy_primitives::{Address, B256, U256, hex};
use serde_json::{Value, json};

const DUE: u128 = 150_000_000;
const PAYER: &str = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045";

/// An authorization that pays the invoice, with fields set or (null) taken out.
fn signed(created: &Value, changes: Value) -> Value {
    let mut body = json!({
        "from": PAYER,
        "to": created["wallet"]["gasless"]["to"],
        "value": created["wallet"]["gasless"]["value_units"],
        "valid_after": 0,
        "valid_before": created["wallet"]["gasless"]["valid_before_max"],
        "nonce": B256::repeat_byte(0x11).to_string(),
        "signature": format!("0x{}", "ab".repeat(65)),
    });
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    body.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    body
}

impl Service {
    async fn authorize(&self, created: &Value, changes: Value) -> Reply {
        let id = created["invoice"]["id"].as_str().unwrap();
        self.post(&format!("/api/invoices/{id}/authorization"), &signed(created, changes)).await
    }

    async fn authorize_by_link(&self, created: &Value, changes: Value) -> Reply {
        let path = created["wallet"]["gasless"]["submit"].as_str().unwrap();
        assert_eq!(path, format!("{}/authorization", link(created)));
        self.call("POST", path).json(&signed(created, changes)).send().await
    }

    /// Asks in both ways, and sees that both are refused and leave nothing.
    async fn refuses_to_take(&self, created: &Value, changes: Value, status: u16, code: &str) -> Value {
        let before = self.asked().await;
        let problem = self.authorize(created, changes.clone()).await.problem(status, code);
        let by_link = self.authorize_by_link(created, changes.clone()).await.problem(status, code);
        assert_eq!((&by_link["field"], &by_link["code"]), (&problem["field"], &problem["code"]));
        assert_eq!(self.asked().await, before, "{code} {changes}: a row is left");
        problem
    }

    async fn gasless(&self, created: &Value) -> Value {
        let id = created["invoice"]["id"].as_str().unwrap();
        self.get(&format!("/api/invoices/{id}/wallet")).await.told()["wallet"]["gasless"].clone()
    }
}

#[tokio::test]
async fn an_authorization_is_taken_once() {
    let service = Service::start().await;
    let mut chain = Chain::of(&service);
    let created = service.create(json!({})).await;
    let on_chain = OnChain::of(&created);
    let expires_at = created["terms"][0]["terms"]["closes_at"].as_u64().unwrap() - 72 * 3600;
    let gasless = json!({
        "method": "eip3009", "to": on_chain.purse.to_string(), "value_units": DUE.to_string(),
        "valid_before_max": expires_at, "submit": format!("{}/authorization", link(&created)),
    });
    assert_eq!(created["wallet"]["gasless"], gasless);
    assert_eq!(service.gasless(&created).await, gasless);

    let reply = service.authorize_by_link(&created, json!({})).await;
    assert_eq!(reply.status, 202, "{}", reply.text());
    let intent = service.row("SELECT *, '0x' || encode(id, 'hex') AS hex FROM intents").await;
    assert_eq!((&intent["kind"], &intent["state"]), (&json!("fund"), &json!("accepted")));
    assert_eq!(intent["tenant_id"], UTILITYCO);
    let mut answer = json!({"intent_id": intent["hex"], "state": "accepted", "invoice_status": "pending_payment"});
    assert_eq!(reply.told(), answer);
    let row = service.row("SELECT *, value_units::text AS value FROM payment_authorizations").await;
    let bytes = |bytes: &[u8]| json!(format!("\\x{}", hex::encode(bytes)));
    for (column, value) in [
        ("intent_id", intent["id"].clone()),
        ("tenant_id", json!(UTILITYCO)),
        ("terms_hash", bytes(on_chain.hash.as_slice())),
        ("payer", bytes(PAYER.parse::<Address>().unwrap().as_slice())),
        ("value", json!(DUE.to_string())),
        ("valid_after", json!(0)),
        ("valid_before", json!(expires_at)),
        ("nonce", bytes(&[0x11; 32])),
        ("signature", bytes(&[0xab; 65])),
    ] {
        assert_eq!(row[column], value, "payment_authorizations.{column}");
    }

    // Again, in both ways and eight times at once: known.
    let before = service.asked().await;
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let call = service.call("POST", &format!("{}/authorization", link(&created)));
            tokio::spawn(call.json(&signed(&created, json!({}))).send())
        })
        .collect();
    for call in calls {
        let reply = call.await.unwrap();
        assert_eq!((reply.status, reply.told()), (200, answer.clone()));
    }
    let reply = service.authorize(&created, json!({"to": null})).await;
    assert_eq!((reply.status, reply.told()), (200, answer.clone()));
    assert_eq!(service.asked().await, before);

    // The nonce is spent for every other invoice; another payer's is another's.
    let second = service.create(json!({})).await;
    let problem = service.refuses_to_take(&second, json!({}), 409, "authorization_nonce_used").await;
    assert_eq!(problem["field"], "nonce");
    let other = json!({"from": Address::repeat_byte(0x77).to_string(), "signature": "0x01"});
    assert_eq!(service.authorize(&second, other).await.status, 202);

    // Paid by it: whoever repeats the request is told so, and nobody pays again.
    chain.mine(&[on_chain.deposit(0, DUE), on_chain.recorded(1, 1, DUE, DUE, 1)]).await;
    assert_eq!(service.row("SELECT state FROM intents WHERE state = 'seen'").await["state"], "seen");
    (answer["invoice_status"], answer["state"]) = (json!("paid"), json!("seen"));
    let reply = service.authorize(&created, json!({})).await;
    assert_eq!((reply.status, reply.told()), (200, answer));
    let nonce = json!({"nonce": B256::repeat_byte(0x12).to_string()});
    service.refuses_to_take(&created, nonce, 409, "invoice_paid").await;
    assert_eq!(service.gasless(&created).await, Value::Null);
}

#[tokio::test]
async fn what_could_not_pay_is_refused() {
    let service = Service::start().await;
    let created = service.create(json!({})).await;
    let expires_at = created["wallet"]["gasless"]["valid_before_max"].as_u64().unwrap();
    let wrong = json!(ESCROW.to_string());
    let hex = |bytes: usize| json!(format!("0x{}", "ab".repeat(bytes)));
    for (field, value, status, code) in [
        ("to", wrong, 422, "authorization_wrong_address"),
        ("to", json!("purse"), 422, "address_malformed"),
        ("from", Value::Null, 400, "field_missing"),
        ("from", json!("0x12"), 422, "address_malformed"),
        ("from", json!(PAYER.replace("d8dA", "d8da")), 422, "address_malformed"),
        ("value", Value::Null, 400, "field_missing"),
        ("value", json!(150_000_000), 400, "field_type"),
        ("value", json!("150.00"), 422, "authorization_malformed"),
        ("value", json!("0x10"), 422, "authorization_malformed"),
        ("value", json!("-1"), 422, "authorization_malformed"),
        ("value", json!(""), 422, "authorization_malformed"),
        ("value", json!(format!("{}0", U256::MAX)), 422, "authorization_malformed"),
        ("value", json!("9".repeat(78)), 422, "authorization_malformed"),
        ("value", json!("0"), 422, "authorization_too_small"),
        ("value", json!((DUE - 1).to_string()), 422, "authorization_too_small"),
        ("valid_after", Value::Null, 400, "field_missing"),
        ("valid_after", json!("0"), 400, "field_type"),
        ("valid_after", json!(now() + 100), 422, "authorization_window"),
        ("valid_after", json!(u64::MAX), 422, "authorization_window"),
        ("valid_before", Value::Null, 400, "field_missing"),
        ("valid_before", json!(-1), 400, "field_type"),
        ("valid_before", json!(0), 422, "authorization_window"),
        ("valid_before", json!(now() + 58), 422, "authorization_window"),
        ("valid_before", json!(expires_at + 1), 422, "authorization_window"),
        ("valid_before", json!(u64::MAX), 422, "authorization_window"),
        ("nonce", Value::Null, 400, "field_missing"),
        ("nonce", hex(31), 422, "authorization_malformed"),
        ("nonce", hex(33), 422, "authorization_malformed"),
        ("nonce", json!("11".repeat(32)), 422, "authorization_malformed"),
        ("nonce", json!(1), 400, "field_type"),
        ("signature", Value::Null, 400, "field_missing"),
        ("signature", json!("0x"), 422, "authorization_malformed"),
        ("signature", json!("0x0x12"), 422, "authorization_malformed"),
        ("signature", json!("0xabc"), 422, "authorization_malformed"),
        ("signature", json!("0xzz"), 422, "authorization_malformed"),
        ("signature", hex(4097), 422, "authorization_malformed"),
        ("permit", json!({}), 400, "field_unknown"),
    ] {
        let problem = service.refuses_to_take(&created, json!({field: value}), status, code).await;
        assert_eq!(problem["field"], field, "{problem}");
        match code {
            "authorization_wrong_address" => assert_eq!(problem["deposit_address"], created["wallet"]["address"]),
            "authorization_too_small" => assert_eq!(problem["missing_units"], DUE.to_string()),
            "authorization_window" => assert_eq!(problem["valid_before_max"], expires_at),
            _ => {}
        }
    }

    // At the limits: more than is due, the longest signature, the shortest time.
    let limits = json!({"value": U256::MAX.to_string(), "signature": hex(4096), "valid_before": now() + 75, "valid_after": now() - 1});
    let reply = service.authorize(&created, limits).await;
    assert_eq!(reply.status, 202, "{}", reply.text());
    let row =
        service.row("SELECT value_units::text AS value, octet_length(signature) AS length FROM payment_authorizations");
    assert_eq!(row.await, json!({"value": U256::MAX.to_string(), "length": 4096}));
}

#[tokio::test]
async fn only_what_is_missing_and_only_while_it_is_open() {
    let service = Service::start().await;
    let mut chain = Chain::of(&service);

    // Part is there: the rest is enough.
    let created = service.create(json!({"settlement": "manual"})).await;
    let on_chain = OnChain::of(&created);
    chain.mine(&[on_chain.deposit(0, 100_500_000)]).await;
    assert_eq!(service.gasless(&created).await["value_units"], "49500000");
    let problem = service.refuses_to_take(&created, json!({"value": "49499999"}), 422, "authorization_too_small").await;
    assert_eq!((&problem["missing"], &problem["missing_units"]), (&json!("49.50"), &json!("49500000")));
    let reply = service.authorize(&created, json!({"value": "49500000"})).await;
    assert_eq!((reply.status, &reply.told()["invoice_status"]), (202, &json!("partially_paid")), "{}", reply.text());

    // All is there, and waits for a word.
    chain.mine(&[on_chain.deposit(0, 49_500_000)]).await;
    let nonce = json!({"nonce": B256::repeat_byte(0x12).to_string()});
    service.refuses_to_take(&created, nonce.clone(), 409, "invoice_funded").await;
    assert_eq!(service.gasless(&created).await, Value::Null);

    let cancelled = service.create(json!({})).await;
    chain.mine(&[OnChain::of(&cancelled).recorded(0, 3, 0, 0, 2)]).await;
    service.refuses_to_take(&cancelled, nonce.clone(), 409, "invoice_cancelled").await;
    assert_eq!(service.gasless(&cancelled).await, Value::Null);

    let expired = service.create(json!({"wallet_ttl": 3600})).await;
    chain.mine_at(expired["wallet"]["gasless"]["valid_before_max"].as_u64().unwrap(), &[]).await;
    service.refuses_to_take(&expired, nonce, 409, "invoice_expired").await;
    assert_eq!(service.gasless(&expired).await, Value::Null);
}
