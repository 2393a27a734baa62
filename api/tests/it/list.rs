//! Lists: everything once, narrowed to what was asked for, and nothing of anybody else.

use crate::chain::{Chain, OnChain};
use crate::service::{Service, request};
use serde_json::{Value, json};
use std::collections::BTreeSet;

impl Service {
    async fn page(&self, query: &str) -> Value {
        let reply = self.get(&format!("/api/invoices{query}")).await;
        assert_eq!(reply.status, 200, "{query}: {}", reply.text());
        reply.json()
    }
}

fn ids(page: &Value) -> Vec<String> {
    page["data"].as_array().unwrap().iter().map(|item| item["invoice"]["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn paging_shows_every_older_invoice_once_whatever_is_inserted_meanwhile() {
    let service = Service::start().await;
    let mut made = Vec::new();
    for _ in 0..7 {
        made.push(service.create(json!({})).await["invoice"]["id"].as_str().unwrap().to_owned());
    }
    // Two of them at the very same moment, and the end of the first page between them.
    sqlx::query("UPDATE invoices SET created_at = (SELECT created_at FROM invoices WHERE id = $1) WHERE id = $2")
        .bind(&made[4])
        .bind(&made[5])
        .execute(service.store.pool())
        .await
        .unwrap();
    let other = service.call("POST", "/api/invoices/create").key(&service.keys["tenant-other"]);
    assert_eq!(other.json(&request(json!({"tenant_id": null}))).send().await.status, 201);

    let (mut seen, mut query) = (Vec::new(), "?limit=2".to_owned());
    loop {
        let page = service.page(&query).await;
        seen.extend(ids(&page));
        // One that is new, one that turns up late among the older: begun before, committed now.
        let newer = service.create(json!({})).await;
        if seen.len() == 2 {
            sqlx::query("UPDATE invoices SET created_at = now() - interval '1 day' WHERE id = $1")
                .bind(newer["invoice"]["id"].as_str())
                .execute(service.store.pool())
                .await
                .unwrap();
            made.insert(0, newer["invoice"]["id"].as_str().unwrap().to_owned());
        }
        if page["has_more"] == false {
            assert_eq!(page["next_cursor"], Value::Null);
            break;
        }
        query = format!("?limit=2&cursor={}", page["next_cursor"].as_str().unwrap());
    }
    made.reverse();
    assert_eq!(seen, made, "newest first, each once, none left out");
    let all = service.page("?limit=100").await;
    assert_eq!(ids(&all).iter().collect::<BTreeSet<_>>().len(), all["data"].as_array().unwrap().len());
    assert_eq!(all["data"][0]["invoice"]["availableActions"], json!(["cancel", "authorize"]));
    let id = all["data"][0]["invoice"]["id"].as_str().unwrap();
    let single = service.get(&format!("/api/invoices/{id}")).await.json();
    assert_eq!(all["data"][0]["invoice"], single["invoice"], "the same as by its id");
    assert_eq!(all["data"][0]["wallet"]["address"], single["wallet"]["address"]);
    assert_eq!((&all["as_of"][0]["chain"], &all["as_of"][0]["block"]), (&json!("base"), &json!(100)));
}

#[tokio::test]
async fn a_list_is_narrowed_to_what_was_asked_for() {
    let service = Service::start().await;
    let mut chain = Chain::of(&service);
    let made = [
        service.create(json!({"customer_email": "a@x.com", "category": "UTILITY", "invoice_number": "A-1"})).await,
        service.create(json!({"customer_email": "b@x.com", "category": "RENT", "invoice_number": "B-1"})).await,
        service.create(json!({"customer_email": null, "category": null, "invoice_number": "C 1/ü"})).await,
    ];
    let id = |at: usize| made[at]["invoice"]["id"].as_str().unwrap().to_owned();
    chain.mine(&[OnChain::of(&made[1]).deposit(0, 5)]).await;
    let paid = OnChain::of(&made[2]);
    chain.mine(&[paid.deposit(0, 150_000_000), paid.recorded(1, 1, 150_000_000, 150_000_000, 1)]).await;
    sqlx::query("UPDATE invoices SET created_at = '2026-01-01T00:00:00Z' WHERE id = $1")
        .bind(id(0))
        .execute(service.store.pool())
        .await
        .unwrap();
    for (query, expected) in [
        ("", vec![2, 1, 0]),
        ("?status=paid", vec![2]),
        ("?status=paid&status=partially_paid", vec![2, 1]),
        ("?status=draft", vec![]),
        ("?customer_email=a@x.com", vec![0]),
        ("?customer_email=a%40x.com", vec![0]),
        ("?invoice_number=C+1%2F%C3%BC", vec![2]),
        ("?category=RENT", vec![1]),
        ("?category=rent", vec![]),
        ("?wallet_status=active", vec![1, 0]),
        ("?wallet_status=payment_complete&status=paid", vec![2]),
        ("?created_before=2026-01-01T00:00:00Z", vec![]),
        ("?created_before=2026-01-01T00:00:00.000001Z", vec![0]),
        ("?created_after=2026-01-01T00:00:00Z&created_before=2026-01-02T01:00:00%2B01:00", vec![0]),
        ("?created_after=2026-01-01T00:00:00.000001Z", vec![2, 1]),
        ("?customer_email=a@x.com&status=paid", vec![]),
        ("?customer_email='%20OR%20true--", vec![]),
    ] {
        let expected: Vec<_> = expected.into_iter().map(id).collect();
        assert_eq!(ids(&service.page(query).await), expected, "{query}");
    }
}

#[tokio::test]
async fn parameters_that_are_none_are_refused_by_name() {
    let service = Service::start().await;
    let cursor = |text: &str| {
        use base64::Engine;
        format!("cursor={}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text))
    };
    for (query, name, code) in [
        ("limit=0".to_owned(), "limit", "parameter_malformed"),
        ("limit=101".to_owned(), "limit", "parameter_malformed"),
        ("limit=-1".to_owned(), "limit", "parameter_malformed"),
        ("limit=%2B5".to_owned(), "limit", "parameter_malformed"),
        ("limit=".to_owned(), "limit", "parameter_malformed"),
        ("limit=99999999999999999999".to_owned(), "limit", "parameter_malformed"),
        ("limit=1&limit=2".to_owned(), "limit", "parameter_duplicate"),
        ("status=payed".to_owned(), "status", "parameter_malformed"),
        ("wallet_status=paid".to_owned(), "wallet_status", "parameter_malformed"),
        ("created_after=yesterday".to_owned(), "created_after", "parameter_malformed"),
        ("created_before=2026-01-01".to_owned(), "created_before", "parameter_malformed"),
        ("created_before=9999-12-31T23:59:59-01:00".to_owned(), "created_before", "parameter_malformed"),
        ("customer_email=%00".to_owned(), "customer_email", "parameter_malformed"),
        (format!("category={}", "x".repeat(513)), "category", "parameter_malformed"),
        ("cursor=x".to_owned(), "cursor", "parameter_malformed"),
        (cursor("i:1"), "cursor", "parameter_malformed"),
        (cursor("s:1"), "cursor", "parameter_malformed"),
        (cursor("i:9223372036854775807:inv_1"), "cursor", "parameter_malformed"),
        (cursor("i:1:inv\0"), "cursor", "parameter_malformed"),
        ("sort=amount".to_owned(), "sort", "parameter_unknown"),
        ("Status=paid".to_owned(), "Status", "parameter_unknown"),
    ] {
        let problem = service.get(&format!("/api/invoices?{query}")).await.problem(400, code);
        assert_eq!(problem["field"], name, "{query}");
        let problem = service.get(&format!("/api/invoices/export?{query}")).await;
        if query != "limit=101" {
            problem.problem(400, code);
        }
    }
    for path in ["/api/invoices", "/api/invoices/export", "/api/events"] {
        service.call("GET", path).send().await.problem(401, "unauthorized");
        service.get(&format!("{path}?{}", cursor("z:1"))).await.problem(400, "parameter_malformed");
    }
    assert_eq!(service.page("?limit=100").await["data"], json!([]));
}
