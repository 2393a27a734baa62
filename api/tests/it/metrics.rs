//! Numbers for whoever watches.

use crate::service::{Service, config};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

/// Every sample by its name with labels.
async fn scrape(service: &Service) -> BTreeMap<String, String> {
    // An answer may be a second old.
    tokio::time::sleep(Duration::from_millis(1050)).await;
    let reply = service.call("GET", "/metrics").send().await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(reply.text().ends_with("# EOF\n"));
    let samples = reply.text().lines().filter(|line| !line.starts_with('#'));
    samples.map(|line| line.rsplit_once(' ').unwrap()).map(|(name, value)| (name.into(), value.into())).collect()
}

#[tokio::test]
async fn requests_the_mirror_and_what_the_keeper_has_not_done() {
    let mut service = Service::start().await;
    let created = service.create(json!({})).await;
    let id = created["invoice"]["id"].as_str().unwrap().to_owned();
    service.get(&format!("/api/invoices/{id}")).await;
    service.get("/api/invoices/nothing").await;
    service.call("BREW", "/somewhere").send().await;
    let hash = created["terms"][0]["hash"].as_str().unwrap();
    let intent = format!(
        "INSERT INTO intents (id, tenant_id, chain_id, terms_hash, kind, token, cumulative_before, state, created_at)
         SELECT '\\x{}', tenant_id, chain_id, terms_hash, 'settle', token, 0, 'accepted', now() - interval '90 seconds'
         FROM invoice_terms WHERE terms_hash = '\\x{}'",
        "11".repeat(32),
        hash.strip_prefix("0x").unwrap()
    );
    sqlx::query(sqlx::AssertSqlSafe(intent)).execute(service.store.pool()).await.unwrap();

    let samples = scrape(&service).await;
    for (name, value) in [
        ("monay_http_requests_total{method=\"POST\",route=\"/api/invoices/create\",status=\"201\"}", "1"),
        ("monay_http_requests_total{method=\"GET\",route=\"/api/invoices/{id}\",status=\"200\"}", "1"),
        ("monay_http_requests_total{method=\"GET\",route=\"/api/invoices/{id}\",status=\"404\"}", "1"),
        ("monay_http_requests_total{method=\"other\",route=\"none\",status=\"404\"}", "1"),
        ("monay_http_request_duration_seconds_count{method=\"GET\",route=\"/api/invoices/{id}\"}", "2"),
        ("monay_http_requests_in_flight", "1"),
        ("monay_database_up", "1"),
        ("monay_chain_block{chain=\"base\",tier=\"seen\"}", "100"),
        ("monay_chain_block{chain=\"base\",tier=\"final\"}", "100"),
        ("monay_intents{kind=\"settle\",state=\"accepted\"}", "1"),
        ("monay_intents{kind=\"settle\",state=\"failed\"}", "0"),
        ("monay_attempts_open", "0"),
        ("monay_intent_oldest_seconds{stage=\"in_flight\"}", "0"),
    ] {
        assert_eq!(samples.get(name).map(String::as_str), Some(value), "{name}: {samples:#?}");
    }
    let number = |name: &str| samples[name].parse::<u64>().unwrap();
    assert!((60..120).contains(&number("monay_chain_lag_seconds{chain=\"base\"}")));
    assert!((90..150).contains(&number("monay_intent_oldest_seconds{stage=\"waiting\"}")));
    let text = format!("{samples:?}");
    for secret in [&id, "utilityco", "jane", hash, created["wallet"]["id"].as_str().unwrap()] {
        assert!(!text.contains(secret), "{secret} is in the metrics");
    }

    // Without a database the rest is still told.
    service.postgres.take().unwrap().stop().await;
    let samples = scrape(&service).await;
    assert_eq!(samples["monay_database_up"], "0");
    assert!(!samples.keys().any(|name| name.starts_with("monay_intents") || name.starts_with("monay_chain")));
}

#[tokio::test]
async fn they_are_served_only_where_the_configuration_says_so() {
    let service = Service::start().await;
    let server = api::bind(config(1)).await.unwrap();
    let address = server.address();
    let root = vault::RootKey::load(&service.folder().join("root.key")).unwrap();
    tokio::spawn(server.serve(service.store.clone(), vault::Vault::new(&root), std::future::pending()));
    service.call("GET", "/metrics").to(address).send().await.problem(404, "not_found");
}
