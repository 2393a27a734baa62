//! Keys: those of wallets are sealed while they live and gone when the wallet is; those of the API are the operator's.

use crate::net::{AMOUNT, Net};
use domain::scope::Scope;
use monay::services::Service;
use monay::setup::{self, KeyCommand};
use monay::stack::TENANT;
use serde_json::{Value, json};
use sqlx::Row;
use std::time::{Duration, Instant};
use test_chain::Mining;

#[tokio::test]
async fn a_wallets_key_is_stored_only_sealed_and_erased_when_its_destruction_is_final() {
    let net = Net::with(Mining::Interval(Duration::from_secs(1))).await;
    net.stack.run_all().await.unwrap();
    let http = reqwest::Client::new();
    let request = json!({"tenant_id": TENANT, "amount": 150, "currency": "USD"});
    let url = format!("{}/api/invoices/create", net.stack.api_url());
    let answer = http.post(url).bearer_auth(&net.stack.api_key).json(&request).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    let wallet_id = answer["wallet"]["id"].as_str().unwrap();

    let sealed = sqlx::query("SELECT address, nonce, ciphertext FROM wallet_keys WHERE wallet_id = $1").bind(wallet_id);
    let sealed = sealed.fetch_one(net.stack.store.pool()).await.unwrap();
    let (address, nonce, ciphertext): (Vec<u8>, Vec<u8>, Vec<u8>) = (sealed.get(0), sealed.get(1), sealed.get(2));
    let root = vault::RootKey::load(net.stack.config.vault.root_key_file.as_deref().unwrap()).unwrap();
    let key = vault::Vault::new(&root).open(wallet_id, &nonce, &ciphertext).unwrap();
    assert_eq!(vault::address_of(&key).as_slice(), address, "the row holds the key of the address in the terms");
    let refund_key = answer["terms"][0]["terms"]["refund_key"].as_str().unwrap();
    assert_eq!(alloy_primitives::hex::decode(refund_key).unwrap(), address);
    let secret = key.to_bytes();
    let secret_hex = alloy_primitives::hex::encode(secret);
    assert!(!ciphertext.windows(32).any(|window| *window == secret[..]));

    let purse = answer["wallet"]["addresses"]["base"].as_str().unwrap().parse().unwrap();
    net.transfer(purse, AMOUNT).await;
    let since = Instant::now();
    let url = format!("{}/api/invoice-wallets/{wallet_id}", net.stack.api_url());
    loop {
        let answer = http.get(&url).bearer_auth(&net.stack.api_key).send().await.unwrap();
        let text = answer.text().await.unwrap();
        assert!(!text.contains(&secret_hex));
        let keys = net.count("SELECT count(*) FROM wallet_keys").await;
        let destroyed = net.count("SELECT count(*) FROM invoice_wallets WHERE status = 'destroyed'").await;
        // In one transaction: there is never a destroyed wallet with a key, nor a key gone before its wallet.
        if destroyed == 1 {
            assert_eq!(net.count("SELECT count(*) FROM wallet_keys").await, 0);
            break;
        }
        assert_eq!(keys, 1);
        assert!(since.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    for service in Service::ALL {
        let log = std::fs::read_to_string(net.stack.log_file(service)).unwrap();
        assert!(!log.contains(&secret_hex), "the {} logged a key", service.name());
        assert!(!log.contains(&net.stack.api_key), "the {} logged an API key", service.name());
    }
    assert_eq!(
        net.count("SELECT count(*) FROM wallet_lifecycle_events WHERE event_data->>'key_erased' = 'true'").await,
        1
    );
    net.stack.stop().await;
}

#[tokio::test]
async fn keys_are_made_listed_and_revoked_by_the_operator() {
    let net = Net::start().await;
    let run = async |command| setup::key(&net.stack.config, &command).await;
    let create = |tenant: &str, scopes: &[Scope]| KeyCommand::Create {
        tenant: tenant.to_owned(),
        label: "the shop".to_owned(),
        scopes: scopes.to_vec(),
    };
    let key = run(create(TENANT, &[Scope::InvoicesRead])).await.unwrap();
    assert!(key.starts_with("mk_test_"));
    let list = async || run(KeyCommand::List { tenant: TENANT.to_owned() }).await.unwrap();
    let listed = list().await;
    assert!(!listed.contains(&key) && listed.contains("events:read, created by `monay tenant`"), "{listed}");
    let line = listed.lines().find(|line| line.ends_with("  invoices:read, the shop")).unwrap();
    let (id, rest) = line.split_once(' ').unwrap();
    let dates: Vec<_> = rest.split_whitespace().take(3).collect();
    assert_eq!(dates[1..], ["-", "-"], "never used, not revoked: {line}");

    let revoke = |tenant: &str| KeyCommand::Revoke { tenant: tenant.to_owned(), id: id.parse().unwrap() };
    let error = run(revoke(monay::stack::OTHER_TENANT)).await.unwrap_err().to_string();
    assert!(error.contains("has no key"), "{error}");
    run(revoke(TENANT)).await.unwrap();
    let listed = list().await;
    let line = listed.lines().find(|line| line.starts_with(id)).unwrap();
    let dates: Vec<_> = line.split_whitespace().skip(1).take(3).collect();
    assert_eq!(dates[0], dates[2], "revoked on the day it was made: {line}");
    let error = run(create("nobody", &[])).await.unwrap_err().to_string();
    assert_eq!(error, "there is no tenant 'nobody'");
    net.stack.stop().await;
}
