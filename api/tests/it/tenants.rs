//! Who may see what: nobody without a key, and nobody what is another's.

use crate::service::{Call, Service, request};
use serde_json::{Value, json};

/// Every route that needs a key, about UtilityCo's invoice.
fn routes(service: &Service, invoice: &Value) -> Vec<(Call, &'static str)> {
    let (id, number) = (invoice["invoice"]["id"].as_str().unwrap(), invoice["invoice"]["number"].as_str().unwrap());
    let wallet_id = invoice["wallet"]["id"].as_str().unwrap();
    let pay = json!({"invoice_id": id, "wallet_id": wallet_id, "amount": 150});
    vec![
        (service.call("POST", "/api/invoices/create").json(&request(json!({}))), "tenant_not_found"),
        (service.call("GET", &format!("/api/invoices/{id}")), "invoice_not_found"),
        (service.call("GET", &format!("/api/invoices/{number}")), "invoice_not_found"),
        (service.call("GET", &format!("/api/invoices/{id}/wallet")), "invoice_not_found"),
        (service.call("GET", &format!("/api/invoice-wallets/{wallet_id}")), "wallet_not_found"),
        (service.call("POST", "/api/invoices/pay").json(&pay), "invoice_not_found"),
        (service.call("POST", &format!("/api/invoices/{id}/refund")).json(&json!({})), "invoice_not_found"),
        (service.call("POST", &format!("/api/invoices/{number}/authorization")).json(&json!({})), "invoice_not_found"),
    ]
}

#[tokio::test]
async fn without_a_key_there_is_nothing() {
    let service = Service::start().await;
    let invoice = service.create(json!({})).await;
    let before = service.counts().await;
    let key = &service.keys["tenant-utilityco"];
    let headers = [
        None,
        Some(format!("Bearer {key}x")),
        Some(format!("Bearer {}", api::new_api_key().unwrap())),
        Some(format!("Basic {key}")),
        Some(key.clone()),
        Some("Bearer ".to_owned()),
        Some(format!("Bearer {}", api::hash_api_key(key))),
    ];
    for header in headers {
        for (call, _) in routes(&service, &invoice) {
            let call = header.iter().fold(call, |call, value| call.header("Authorization", value));
            let reply = call.send().await;
            reply.problem(401, "unauthorized");
            assert_eq!(reply.headers["www-authenticate"], "Bearer realm=\"monay\"");
        }
    }
    sqlx::query("UPDATE api_keys SET revoked_at = now() WHERE tenant_id = 'tenant-utilityco'")
        .execute(service.store.pool())
        .await
        .unwrap();
    for (call, _) in routes(&service, &invoice) {
        call.key(key).send().await.problem(401, "unauthorized");
    }
    assert_eq!(service.counts().await, before);
}

#[tokio::test]
async fn what_is_anothers_is_not_there() {
    let service = Service::start().await;
    let invoice = service.create(json!({})).await;
    let before = service.counts().await;
    let other = &service.keys["tenant-other"];
    for (call, code) in routes(&service, &invoice) {
        call.key(other).send().await.problem(404, code);
    }

    // A wallet that is another's, and a wallet of one's own that is another invoice's.
    let mine = request(json!({"tenant_id": "tenant-other"}));
    let mine = service.call("POST", "/api/invoices/create").key(other).json(&mine).send().await.json();
    let second = request(json!({"tenant_id": "tenant-other"}));
    let second = service.call("POST", "/api/invoices/create").key(other).json(&second).send().await.json();
    let pay = |wallet: &Value| {
        let body = json!({"invoice_id": mine["invoice"]["id"], "wallet_id": wallet, "amount": 150});
        service.call("POST", "/api/invoices/pay").key(other).json(&body).send()
    };
    pay(&invoice["wallet"]["id"]).await.problem(404, "wallet_not_found");
    pay(&json!("wallet_nobodys")).await.problem(404, "wallet_not_found");
    pay(&second["wallet"]["id"]).await.problem(422, "wallet_mismatch");

    // What no id could be is not asked for in the database, and is not there either.
    for id in ["%00", "nobody", "%ff%fe", &"x".repeat(2000), "'%20OR%201=1", "..%2f..%2f"] {
        service.get(&format!("/api/invoices/{id}")).await.problem(404, "invoice_not_found");
        service.get(&format!("/api/invoices/{id}/wallet")).await.problem(404, "invoice_not_found");
        service.get(&format!("/api/invoice-wallets/{id}")).await.problem(404, "wallet_not_found");
        for asked in ["refund", "authorization"] {
            let reply = service.post(&format!("/api/invoices/{id}/{asked}"), &json!({})).await;
            reply.problem(404, "invoice_not_found");
            let reply = service.call("POST", &format!("/pay/{id}/{asked}")).json(&json!({})).send().await;
            reply.problem(404, "invoice_not_found");
        }
    }
    for (field, code) in [("invoice_id", "invoice_not_found"), ("wallet_id", "wallet_not_found")] {
        let mut body = json!({"invoice_id": invoice["invoice"]["id"], "wallet_id": "w", "amount": 150});
        body[field] = json!("a\u{0}b");
        service.post("/api/invoices/pay", &body).await.problem(404, code);
    }
    for ((table, before), (_, after)) in before.iter().zip(service.counts().await) {
        let expected = match *table {
            "intents" => 0,
            "users" => 1,
            _ => 2,
        };
        assert_eq!(after - before, expected, "{table}");
    }
}

#[test]
fn api_keys_are_random_and_stored_as_a_hash() {
    let (one, two) = (api::new_api_key().unwrap(), api::new_api_key().unwrap());
    assert_ne!(one, two);
    for key in [&one, &two] {
        let random = key.strip_prefix("mk_test_").unwrap();
        assert_eq!(random.len(), 32);
        assert!(random.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
    }
    let expected = "0xba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(api::hash_api_key("abc").to_string(), expected, "SHA-256 of abc (FIPS 180-4)");
}
