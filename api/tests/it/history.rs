//! What has happened: events that can be replayed without missing one, and a list for people.

use crate::chain::{Chain, OnChain};
use crate::refund::link;
use crate::service::{Service, request};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const DUE: u128 = 150_000_000;

impl Service {
    async fn ok(&self, path: &str) -> Value {
        let reply = self.get(path).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        reply.json()
    }
}

fn list<'a>(page: &'a Value, field: &str) -> Vec<&'a Value> {
    page["data"].as_array().unwrap().iter().map(|item| &item[field]).collect()
}

#[tokio::test]
async fn an_invoices_events_are_numbered_without_gaps_and_paged() {
    let service = Service::start().await;
    let mut chain = Chain::of(&service);
    let created = service.create(json!({})).await;
    let on_chain = OnChain::of(&created);
    chain.mine(&[on_chain.deposit(0, 5)]).await;
    chain.mine(&[on_chain.deposit(0, DUE - 5)]).await;
    chain.mine(&[on_chain.recorded(0, 1, DUE, DUE, 1)]).await;
    chain.finalize().await;
    let id = created["invoice"]["id"].as_str().unwrap();
    let path = format!("/api/invoices/{id}/events");
    let all = service.ok(&path).await;
    let types = list(&all, "type");
    assert_eq!(types[..4], ["invoice.created", "invoice.partially_paid", "invoice.pending_payment", "invoice.paid"]);
    let numbers: Vec<u64> = list(&all, "sequence").iter().map(|number| number.as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..u64::try_from(types.len()).unwrap()).collect::<Vec<_>>());
    assert!(list(&all, "invoice_id").iter().all(|of| *of == id));
    assert_eq!(list(&all, "id").iter().map(ToString::to_string).collect::<BTreeSet<_>>().len(), types.len());
    assert_eq!(all["data"][3]["data"]["paid_units"], "150000000");

    let (mut paged, mut query) = (Vec::new(), "?limit=2".to_owned());
    loop {
        let page = service.ok(&format!("{path}{query}")).await;
        paged.extend(page["data"].as_array().unwrap().clone());
        query = format!("?limit=2&cursor={}", page["next_cursor"].as_str().unwrap());
        if page["has_more"] == false {
            break;
        }
    }
    assert_eq!(json!(paged), all["data"]);
    // The last cursor waits for what comes next.
    assert_eq!(service.ok(&format!("{path}{query}")).await["data"], json!([]));
    chain.mine(&[on_chain.deposit(0, 7)]).await;
    assert_eq!(list(&service.ok(&format!("{path}{query}")).await, "type"), ["invoice.overpaid"]);

    let other = service.call("GET", &path).key(&service.keys["tenant-other"]).send().await;
    other.problem(404, "invoice_not_found");
    service.get(&format!("{path}?cursor=eDoxOjE")).await.problem(400, "parameter_malformed");
}

/// `fault:W7`, for readers who come and ask.
#[tokio::test]
async fn no_event_is_missed_however_late_its_writer_commits() {
    const WRITERS: u64 = 50;
    let service = Service::start().await;
    let insert = "INSERT INTO outbox (tenant_id, aggregate, sequence, type, body) VALUES ('tenant-utilityco', $1, $2, 'test', '{}')";
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store = service.store.clone();
            tokio::spawn(async move {
                for sequence in 0..4 {
                    let mut tx = store.begin().await.unwrap();
                    let query = sqlx::query(insert).bind(format!("w{writer}")).bind(sequence);
                    query.execute(&mut *tx).await.unwrap();
                    // The first to write is by no means the first to commit.
                    tokio::time::sleep(std::time::Duration::from_millis((writer * 37 + 11) % 90)).await;
                    tx.commit().await.unwrap();
                }
            })
        })
        .collect();
    let (mut seen, mut query, mut rounds) = (Vec::new(), String::new(), 0);
    loop {
        let done = writers.iter().all(tokio::task::JoinHandle::is_finished);
        let page = service.ok(&format!("/api/events?limit=7{query}")).await;
        seen.extend(list(&page, "id").iter().map(ToString::to_string));
        if let Some(cursor) = page["next_cursor"].as_str() {
            query = format!("&cursor={cursor}");
        }
        rounds += 1;
        if done && page["has_more"] == false {
            break;
        }
    }
    let unique: BTreeSet<_> = seen.iter().cloned().collect();
    assert_eq!((seen.len(), unique.len()), (200, 200), "each once, in {rounds} rounds");
    // A replay from the beginning says the same in the same order.
    let mut replayed = Vec::new();
    let mut query = String::new();
    loop {
        let page = service.ok(&format!("/api/events?limit=100{query}")).await;
        replayed.extend(list(&page, "id").iter().map(ToString::to_string));
        query = format!("&cursor={}", page["next_cursor"].as_str().unwrap());
        if page["has_more"] == false {
            break;
        }
    }
    assert_eq!(replayed, seen);
}

#[tokio::test]
async fn a_tenant_reads_its_own_events_only_and_none_that_can_still_be_overtaken() {
    let service = Service::start().await;
    assert_eq!(service.ok("/api/events").await["next_cursor"], Value::Null);
    let mine = service.create(json!({})).await;
    let other = service.call("POST", "/api/invoices/create").key(&service.keys["tenant-other"]);
    assert_eq!(other.json(&request(json!({"tenant_id": null}))).send().await.status, 201);
    assert_eq!(list(&service.ok("/api/events").await, "invoice_id"), [&mine["invoice"]["id"]]);

    let mut older = service.store.begin().await.unwrap();
    sqlx::query("SELECT pg_current_xact_id()").execute(&mut *older).await.unwrap();
    service.create(json!({})).await;
    assert_eq!(service.ok("/api/events").await["data"].as_array().unwrap().len(), 1, "an older one may still write");
    older.commit().await.unwrap();
    assert_eq!(service.ok("/api/events").await["data"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_timeline_tells_everything_in_order_and_in_sentences() {
    let service = Service::start().await;
    let mut chain = Chain::of(&service);
    chain.mine_at(crate::service::now() + 5, &[]).await;
    let created = service.create(json!({"settlement": "manual", "wallet_ttl": 3600})).await;
    let on_chain = OnChain::of(&created);
    let id = created["invoice"]["id"].as_str().unwrap();
    chain.mine(&[on_chain.deposit(0, DUE + 25_000_000)]).await;
    let body = json!({"invoice_id": id, "wallet_id": created["wallet"]["id"], "amount": 150});
    assert_eq!(service.post("/api/invoices/pay", &body).await.status, 202);
    sqlx::query("UPDATE intents SET last_error = 'paused token'").execute(service.store.pool()).await.unwrap();
    chain.mine(&[on_chain.recorded(1, 1, DUE, DUE, 1)]).await;
    let home = json!({"to": "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045", "word": "by phone"});
    assert_eq!(service.call("POST", &format!("{}/refund", link(&created))).json(&home).send().await.status, 202);

    let timeline = service.ok(&format!("/api/invoices/{id}/timeline")).await;
    assert_eq!((&timeline["invoice_id"], &timeline["complete"]), (&json!(id), &json!(true)));
    let data = timeline["data"].as_array().unwrap();
    let times: Vec<&str> = data.iter().map(|entry| entry["at"].as_str().unwrap()).collect();
    let parsed = |at: &&str| time::OffsetDateTime::parse(at, &time::format_description::well_known::Rfc3339).unwrap();
    assert!(times.iter().map(parsed).is_sorted(), "{times:?}");
    for entry in data {
        let sentence = entry["sentence"].as_str().unwrap();
        assert!(sentence.ends_with('.') || sentence.ends_with('\u{201d}'), "{sentence}");
    }
    for (kind, event, says) in [
        ("lifecycle", "created", "issued"),
        ("movement", "deposit", "175.00 USDC arrived, as far as the network shows it now."),
        ("lifecycle", "funded", "All that is due"),
        ("word", "pay", "Payment was asked for."),
        ("keeper", "decided", "pay the payee: it is done, and not final yet"),
        ("movement", "settle", "150.00 USDC went to UtilityCo Electric"),
        ("lifecycle", "payment_executed", "UtilityCo Electric has been paid."),
        ("word", "refund", "The customer asked for what lies there"),
        ("keeper", "decided", "where the customer wants it: it waits to be signed"),
    ] {
        let told = data.iter().any(|entry| {
            entry["kind"] == kind && entry["event"] == event && entry["sentence"].as_str().unwrap().contains(says)
        });
        assert!(told, "{kind} {event} '{says}': {data:#?}");
    }
    let word = data.iter().find(|entry| entry["kind"] == "word" && entry["event"] == "refund").unwrap();
    assert!(word["sentence"].as_str().unwrap().ends_with("\u{201c}by phone\u{201d}"));
    let settle = data.iter().find(|entry| entry["intent"]["kind"] == "settle").unwrap();
    assert_eq!((&settle["intent"]["state"], &settle["intent"]["last_error"]), (&json!("seen"), &json!("paused token")));
    let moved = data.iter().find(|entry| entry["event"] == "deposit").unwrap();
    assert_eq!((&moved["tier"], &moved["chain"]), (&json!("seen"), &json!("base")));
    assert!(moved["transaction"].as_str().unwrap().starts_with("0x"));

    let called_off = service.create(json!({})).await;
    assert_eq!(service.cancel(&called_off).await.status, 200);
    let path = format!("/api/invoices/{}/timeline", called_off["invoice"]["id"].as_str().unwrap());
    let sentences = service.ok(&path).await["data"].to_string();
    assert!(sentences.contains("UtilityCo Electric called the invoice off."), "{sentences}");
    service.call("GET", &path).key(&service.keys["tenant-other"]).send().await.problem(404, "invoice_not_found");
}
