//! A request that is repeated under its Idempotency-Key is carried out once.

use crate::chain::{Chain, OnChain};
use crate::refund::link;
use crate::service::{Call, Reply, Service, UTILITYCO, request};
use serde_json::json;
use store::idempotency::{self, Claim, Ticket};

const DUE: u128 = 150_000_000;

impl Service {
    fn keyed(&self, path: &str, key: &str) -> Call {
        self.authed("POST", path).header("Idempotency-Key", key)
    }
}

fn hit(reply: &Reply) -> bool {
    reply.headers.get("idempotency-hit").is_some_and(|hit| hit == "true")
}

#[tokio::test]
async fn a_retry_gets_the_first_answer_byte_for_byte() {
    let service = Service::start().await;
    let mut chain = Chain::of(&service);
    let body = request(json!({}));
    let first = service.keyed("/api/invoices/create", "k-1").json(&body).send().await;
    assert_eq!((first.status, hit(&first)), (201, false), "{}", first.text());
    let before = service.counts().await;
    // Whatever has become of it meanwhile.
    let on_chain = OnChain::of(&first.json());
    chain.mine(&[on_chain.deposit(0, 1)]).await;
    let again = service.keyed("/api/invoices/create", "k-1").json(&body).send().await;
    assert_eq!((again.status, hit(&again), &again.body), (201, true, &first.body));
    assert_eq!(again.headers["location"], first.headers["location"]);
    assert_eq!(again.headers["content-type"], "application/json");
    assert_eq!(service.count("invoices").await, 1);
    assert_eq!(before[0], ("invoices", 1));
    // Another key, or none, is another invoice.
    for call in [service.keyed("/api/invoices/create", "k-2"), service.authed("POST", "/api/invoices/create")] {
        let other = call.json(&body).send().await;
        assert_eq!((other.status, hit(&other)), (201, false));
        assert_ne!(other.json()["invoice"]["id"], first.json()["invoice"]["id"]);
    }
}

#[tokio::test]
async fn the_same_key_with_another_request_is_refused() {
    let service = Service::start().await;
    let key = |body: serde_json::Value| service.keyed("/api/invoices/create", "k").json(&body);
    assert_eq!(key(request(json!({}))).send().await.status, 201);
    let reply = key(request(json!({"amount": 151}))).send().await;
    reply.problem(422, "idempotency_key_reused");
    assert!(!hit(&reply));
    // The path is a part of it: what was refunded of one invoice says nothing of another.
    let (one, other) = (service.create(json!({})).await, service.create(json!({})).await);
    let cancel =
        |created: &serde_json::Value| format!("/api/invoices/{}/cancel", created["invoice"]["id"].as_str().unwrap());
    assert_eq!(service.keyed(&cancel(&one), "c").send().await.status, 200);
    service.keyed(&cancel(&other), "c").send().await.problem(422, "idempotency_key_reused");
    assert_eq!(
        service.get(&format!("/api/invoices/{}", other["invoice"]["id"].as_str().unwrap())).await.json()["invoice"]["status"],
        "pending_payment"
    );
}

#[tokio::test]
async fn a_request_that_failed_is_completed_by_its_retry() {
    let service = Service::start().await;
    let mut chain = Chain::of(&service);
    let created = service.create(json!({"settlement": "manual"})).await;
    let body = json!({"invoice_id": created["invoice"]["id"], "wallet_id": created["wallet"]["id"], "amount": 150});
    let pay = || service.keyed("/api/invoices/pay", "pay").json(&body);
    for _ in 0..3 {
        pay().send().await.problem(409, "insufficient_balance");
    }
    assert_eq!(service.count("idempotency_keys").await, 0, "a failure is not remembered");
    chain.mine(&[OnChain::of(&created).deposit(0, DUE)]).await;
    let paid = pay().send().await;
    assert_eq!((paid.status, hit(&paid)), (202, false), "{}", paid.text());
    let again = pay().send().await;
    assert_eq!((again.status, hit(&again), &again.body), (202, true, &paid.body));
    // A body that is no request at all does not use the key up either.
    service
        .keyed("/api/invoices/create", "x")
        .json(&json!({"amount": "x"}))
        .send()
        .await
        .problem(422, "amount_malformed");
    assert_eq!(service.keyed("/api/invoices/create", "x").json(&request(json!({}))).send().await.status, 201);
}

/// `fault:A3`.
#[tokio::test]
async fn a_key_never_meets_another_tenants_another_routes_or_another_invoices() {
    let service = Service::start().await;
    let mut chain = Chain::of(&service);
    let body = request(json!({"tenant_id": null}));
    let (path, other) = ("/api/invoices/create", &service.keys["tenant-other"]);
    let mine = service.keyed(path, "same").json(&body).send().await;
    let others = service.call("POST", path).key(other).header("Idempotency-Key", "same").json(&body).send().await;
    assert_eq!((mine.status, others.status, hit(&others)), (201, 201, false));
    assert_ne!(mine.json()["invoice"]["id"], others.json()["invoice"]["id"]);

    // Two invoices, each by its pay link and by the tenant, all under the same key.
    let home = json!({"to": "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045"});
    for created in [service.create(json!({})).await, service.create(json!({})).await] {
        let on_chain = OnChain::of(&created);
        chain.mine(&[on_chain.deposit(0, DUE + 5), on_chain.recorded(1, 1, DUE, DUE, 1)]).await;
        let by_link = || {
            let path = format!("{}/refund", link(&created));
            service.call("POST", &path).header("Idempotency-Key", "same").json(&home)
        };
        let first = by_link().send().await;
        assert_eq!((first.status, hit(&first)), (202, false), "{}", first.text());
        let again = by_link().send().await;
        assert_eq!((again.status, hit(&again), &again.body), (202, true, &first.body));
        // The tenant's key is another one: it is not told what the customer was told, but what is so.
        let path = format!("/api/invoices/{}/refund", created["invoice"]["id"].as_str().unwrap());
        service.keyed(&path, "same").json(&home).send().await.problem(409, "refund_already_ordered");
    }
    // No key opens what a foreign or revoked API key does not.
    service.call("POST", path).header("Idempotency-Key", "same").json(&body).send().await.problem(401, "unauthorized");
    sqlx::query("UPDATE api_keys SET revoked_at = now() WHERE tenant_id = $1")
        .bind(UTILITYCO)
        .execute(service.store.pool())
        .await
        .unwrap();
    service.keyed(path, "same").json(&body).send().await.problem(401, "unauthorized");
}

/// `fault:E7`.
#[tokio::test]
async fn twenty_identical_creates_at_once_make_one_invoice() {
    let service = Service::start().await;
    let body = request(json!({}));
    let call = || service.keyed("/api/invoices/create", "twenty").json(&body);
    let calls: Vec<_> = (0..20).map(|_| tokio::spawn(call().send())).collect();
    let mut answers = Vec::new();
    for asked in calls {
        let mut reply = asked.await.unwrap();
        while reply.status == 409 {
            reply.problem(409, "idempotency_in_progress");
            let seconds: u64 = reply.headers["retry-after"].parse().unwrap();
            tokio::time::sleep(std::time::Duration::from_secs(seconds)).await;
            reply = call().send().await;
        }
        assert_eq!(reply.status, 201, "{}", reply.text());
        answers.push((reply.body.clone(), hit(&reply)));
    }
    assert_eq!(answers.iter().filter(|(_, hit)| !hit).count(), 1, "one did it, the others were told");
    assert!(answers.iter().all(|(body, _)| *body == answers[0].0));
    assert_eq!(service.count("invoices").await, 1);
}

#[tokio::test]
async fn while_one_is_at_it_the_others_are_told_to_wait() {
    let service = Service::start().await;
    let scope = format!("tenant {UTILITYCO} /api/invoices/create");
    let ticket = Ticket { scope, key: "held".into(), request: alloy_primitives::B256::ZERO, most: None };
    let mut tx = service.store.begin().await.unwrap();
    assert_eq!(idempotency::claim(&mut tx, &ticket).await.unwrap(), Claim::Mine);
    let call = || service.keyed("/api/invoices/create", "held").json(&request(json!({})));
    let reply = call().send().await;
    reply.problem(409, "idempotency_in_progress");
    assert_eq!(reply.headers["retry-after"], "1");
    // It ends without an answer, as when its process dies: the next one does the work.
    tx.rollback().await.unwrap();
    assert_eq!(call().send().await.status, 201);
}

#[tokio::test]
async fn keys_that_are_none_are_refused() {
    let service = Service::start().await;
    let before = service.counts().await;
    for key in ["", " ", "a b", "ä", "a\u{7f}", &"k".repeat(256)] {
        let reply = service.keyed("/api/invoices/create", key).json(&request(json!({}))).send().await;
        if reply.status != 400 || !reply.body.is_empty() {
            reply.problem(400, "idempotency_key_malformed");
        }
    }
    let twice = service.keyed("/api/invoices/create", "a").header("Idempotency-Key", "b").json(&request(json!({})));
    twice.send().await.problem(400, "idempotency_key_malformed");
    assert_eq!(service.counts().await, before);
    for key in ["!", &"~".repeat(255)] {
        assert_eq!(service.keyed("/api/invoices/create", key).json(&request(json!({}))).send().await.status, 201);
    }
}

#[tokio::test]
async fn answers_are_kept_thirty_days_and_go_in_small_portions() {
    let service = Service::start().await;
    let call = || service.keyed("/api/invoices/create", "old").json(&request(json!({})));
    let first = call().send().await;
    let age = |days: &str| format!("UPDATE idempotency_keys SET created_at = now() - interval '{days}'");
    let run = async |sql: String| {
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(service.store.pool()).await.unwrap();
    };
    run(age("29 days 23 hours")).await;
    assert_eq!(call().send().await.body, first.body);
    run(age("30 days 1 second")).await;
    let anew = call().send().await;
    assert_eq!((anew.status, hit(&anew)), (201, false), "after thirty days it is a new request");
    assert_ne!(anew.json()["invoice"]["id"], first.json()["invoice"]["id"]);

    run("INSERT INTO idempotency_keys (scope, key, tenant_id, request_hash, status, body, created_at)
        SELECT 's', n::text, 'tenant-utilityco', decode(repeat('00', 32), 'hex'), 200, '', now() - interval '31 days'
        FROM generate_series(1, 50) n"
        .to_owned())
    .await;
    for left in [30, 10, 0] {
        service
            .authed("POST", "/api/invoices/create")
            .header("Idempotency-Key", &left.to_string())
            .json(&request(json!({})))
            .send()
            .await;
        let old = service.row("SELECT count(*) AS old FROM idempotency_keys WHERE scope = 's'").await;
        assert_eq!(old["old"], left);
    }
}

/// Whoever has a pay link must not fill the database with answers.
#[tokio::test]
async fn under_a_pay_link_only_so_many_answers_are_kept() {
    let service = Service::start().await;
    let mut chain = Chain::of(&service);
    let home = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045";
    let created = service.create(json!({"refund_address": home})).await;
    let on_chain = OnChain::of(&created);
    chain.mine(&[on_chain.deposit(0, DUE + 5), on_chain.recorded(1, 1, DUE, DUE, 1)]).await;
    let path = format!("{}/refund", link(&created));
    let call = |key: &str| service.call("POST", &path).header("Idempotency-Key", key).json(&json!({}));
    for key in 0..100 {
        assert_eq!(call(&key.to_string()).send().await.status, 202);
    }
    call("100").send().await.problem(409, "too_many_keys");
    assert!(hit(&call("0").send().await), "what is kept is still told");
    assert_eq!(service.call("POST", &path).json(&json!({})).send().await.status, 202, "and nobody needs a key");
    assert_eq!(service.count("idempotency_keys").await, 100);
}
