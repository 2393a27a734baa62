//! What a key may do, route by route.

use crate::document::operations;
use crate::service::{Call, Service, UTILITYCO};
use domain::scope::Scope;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

async fn key(service: &Service, scopes: &[Scope]) -> String {
    let key = api::new_api_key().unwrap();
    let mut tx = service.store.begin().await.unwrap();
    store::api_keys::put(&mut tx, UTILITYCO, api::hash_api_key(&key), "for a test", scopes).await.unwrap();
    tx.commit().await.unwrap();
    key
}

fn call(service: &Service, method: &str, path: &str) -> Call {
    let call = service.call(method, &path.replace("{id}", "nothing"));
    if method == "POST" { call.json(&json!({})) } else { call }
}

#[tokio::test]
async fn every_route_needs_its_scope_and_no_other() {
    let service = Service::start().await;
    let mut keys = Vec::new();
    for scope in Scope::ALL {
        keys.push((*scope, key(&service, &[*scope]).await));
    }
    let mut table = BTreeMap::new();
    for (method, path, operation) in operations() {
        let Some(needed) = operation["security"][0]["api_key"][0].as_str() else {
            assert!(!path.starts_with("/api/"), "{path} is open to everybody");
            continue;
        };
        for (scope, key) in &keys {
            let reply = call(&service, &method, path).key(key).send().await;
            if scope.as_str() == needed {
                assert!([200, 400, 404].contains(&reply.status), "{method} {path} with {scope}: {}", reply.text());
            } else {
                let problem = reply.problem(403, "scope_missing");
                assert_eq!(problem["scope"], needed, "{method} {path} with {scope}");
            }
        }
        table.insert(format!("{method} {path}"), needed.to_owned());
    }
    let table: Vec<_> = table.iter().map(|(route, scope)| (route.as_str(), scope.as_str())).collect();
    // A change here is a change of what keys out there may do.
    assert_eq!(
        table,
        [
            ("GET /api/events", "events:read"),
            ("GET /api/invoice-wallets/{id}", "invoices:read"),
            ("GET /api/invoices", "invoices:read"),
            ("GET /api/invoices/export", "invoices:read"),
            ("GET /api/invoices/{id}", "invoices:read"),
            ("GET /api/invoices/{id}/email", "invoices:read"),
            ("GET /api/invoices/{id}/events", "events:read"),
            ("GET /api/invoices/{id}/receipt", "invoices:read"),
            ("GET /api/invoices/{id}/timeline", "invoices:read"),
            ("GET /api/invoices/{id}/wallet", "invoices:read"),
            ("POST /api/invoices/create", "invoices:write"),
            ("POST /api/invoices/pay", "invoices:write"),
            ("POST /api/invoices/{id}/authorization", "refunds:write"),
            ("POST /api/invoices/{id}/cancel", "invoices:write"),
            ("POST /api/invoices/{id}/refund", "refunds:write"),
        ]
    );
}

#[tokio::test]
async fn a_revoked_key_stops_at_once_and_the_day_of_the_last_use_is_noted() {
    let service = Service::start().await;
    let key = key(&service, &[Scope::InvoicesRead]).await;
    let ask = || call(&service, "GET", "/api/invoices/{id}").key(&key).send();
    let known = async || {
        let mut tx = service.store.begin().await.unwrap();
        store::api_keys::list(&mut tx, UTILITYCO)
            .await
            .unwrap()
            .into_iter()
            .find(|key| key.label == "for a test")
            .unwrap()
    };
    let before = known().await;
    assert_eq!((before.last_used_on, before.revoked_at), (None, None));
    assert_eq!(before.scopes, [Scope::InvoicesRead]);
    ask().await.problem(404, "invoice_not_found");
    let mut used = None;
    for _ in 0..50 {
        used = known().await.last_used_on;
        if used.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let today = time::OffsetDateTime::now_utc().date();
    assert!(used.is_some_and(|day| day == today || day.next_day() == Some(today)), "{used:?}");

    let mut tx = service.store.begin().await.unwrap();
    assert!(!store::api_keys::revoke(&mut tx, "tenant-other", before.id).await.unwrap(), "another's key");
    assert!(store::api_keys::revoke(&mut tx, UTILITYCO, before.id).await.unwrap());
    ask().await.problem(404, "invoice_not_found");
    tx.commit().await.unwrap();
    ask().await.problem(401, "unauthorized");
    assert!(known().await.revoked_at.is_some());
}

#[tokio::test]
async fn keys_from_before_there_were_scopes_can_do_what_they_could() {
    let service = Service::start().await;
    let scopes: Vec<Value> = service.rows("SELECT scopes FROM api_keys LIMIT 1").await;
    assert_eq!(scopes[0]["scopes"].as_array().unwrap().len(), Scope::ALL.len());
    // The words of the column's check are those of the code: a scope that the code has can be stored.
    for scope in Scope::ALL {
        key(&service, &[*scope]).await;
    }
    let wrong = "UPDATE api_keys SET scopes = '{everything}'";
    assert!(sqlx::query(wrong).execute(service.store.pool()).await.is_err());
    assert!(sqlx::query("UPDATE api_keys SET scopes = '{}'").execute(service.store.pool()).await.is_err());
    let mut tx = service.store.begin().await.unwrap();
    let hash = api::hash_api_key("x");
    let error = store::api_keys::put(&mut tx, "tenant-none", hash, "x", Scope::ALL).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no tenant 'tenant-none'");
}
