//! An invoice on two chains and on three, from its addresses to the day on which money lies on both.

use crate::service::{CHAIN, Service, TOKEN, UTILITYCO, now};
use alloy_primitives::{Address, B256, U256, keccak256};
use domain::block::{Header, Meaning, RawLog};
use domain::tier::Tier;
use serde_json::{Value, json};
use sqlx::Row;
use store::chain::{ChainKind, Deployed};
use store::tenants::NewTenant;
use terms::{Account, Deployment, InvoiceTerms, Portable, PortableInvoice, Pubkey, SolanaTerms, Terms, TxId};

/// The cluster that this program is built for.
const SOLANA: u64 = escrow_interface::CHAIN;

const PROGRAM: Pubkey = Pubkey::new_from_array([0x51; 32]);
const MINT: Pubkey = Pubkey::new_from_array([0x52; 32]);
const GATE: Pubkey = Pubkey::new_from_array([0x53; 32]);
const PAYEE: Pubkey = Pubkey::new_from_array([0x54; 32]);
const UNCLAIMED: Pubkey = Pubkey::new_from_array([0x55; 32]);

/// Makes Solana known, and where UtilityCo is paid there.
async fn with_solana(service: &Service) {
    let start = Header {
        number: 5_000,
        hash: B256::repeat_byte(0x77),
        parent_hash: B256::repeat_byte(0x76),
        timestamp: now() - 30,
    };
    let deployed = Deployed {
        chain: SOLANA,
        name: "solana".to_owned(),
        kind: ChainKind::Solana,
        genesis_hash: B256::repeat_byte(0x02),
        escrow: PROGRAM.into(),
        token: MINT.into(),
        token_2022: false,
        settler: GATE.into(),
        gate: GATE.into(),
        settle_tier: Tier::Safe,
    };
    let tenant = NewTenant {
        id: UTILITYCO,
        name: "UtilityCo Electric",
        verified: true,
        chain: SOLANA,
        payee: PAYEE.into(),
        unclaimed: UNCLAIMED.into(),
    };
    let mut tx = service.store.begin().await.unwrap();
    store::chain::put(&mut tx, &deployed, &start).await.unwrap();
    store::tenants::put(&mut tx, &tenant).await.unwrap();
    tx.commit().await.unwrap();
}

const TEMPO: u64 = 42431;
const TEMPO_TOKEN: Address = Address::repeat_byte(0x62);
const TEMPO_PAYEE: Address = Address::repeat_byte(0x64);
const TEMPO_UNCLAIMED: Address = Address::repeat_byte(0x65);

/// Makes Tempo known, with the contracts at the addresses they have on Base, and where UtilityCo is paid there.
async fn with_tempo(service: &Service) {
    let start = Header {
        number: 900,
        hash: B256::repeat_byte(0x87),
        parent_hash: B256::repeat_byte(0x86),
        timestamp: now() - 10,
    };
    let mut tx = service.store.begin().await.unwrap();
    let base = store::chain::get(&mut tx, CHAIN).await.unwrap().deployed;
    let deployed = Deployed {
        chain: TEMPO,
        name: "tempo".to_owned(),
        kind: ChainKind::Tempo,
        genesis_hash: B256::repeat_byte(0x03),
        token: TEMPO_TOKEN.into(),
        settle_tier: Tier::Seen,
        ..base
    };
    let tenant = NewTenant {
        id: UTILITYCO,
        name: "UtilityCo Electric",
        verified: true,
        chain: TEMPO,
        payee: TEMPO_PAYEE.into(),
        unclaimed: TEMPO_UNCLAIMED.into(),
    };
    store::chain::put(&mut tx, &deployed, &start).await.unwrap();
    store::tenants::put(&mut tx, &tenant).await.unwrap();
    tx.commit().await.unwrap();
}

/// A deposit of `amount` in a block of its own, three numbers after the last; then everything is safe.
async fn pay(service: &Service, chain: u64, token: Account, to: &Value, amount: u64) {
    let mut tx = service.store.begin().await.unwrap();
    let mirror = store::chain::get(&mut tx, chain).await.unwrap();
    let number = mirror.heights.seen + 3;
    let hash = keccak256([number.to_be_bytes(), chain.to_be_bytes()].concat());
    let header = Header { number, hash, parent_hash: mirror.tip_hash, timestamp: mirror.tip_timestamp + 1 };
    let (from, tx_hash) = match token {
        Account::Evm(_) => (TOKEN.into(), TxId::Evm(hash)),
        Account::Solana(_) => (MINT.into(), TxId::Solana([u8::try_from(number % 251).unwrap(); 64])),
    };
    let log = RawLog { index: 7 << 32, tx_hash, address: token, topics: vec![], data: vec![] };
    let to = to.as_str().unwrap().parse().unwrap();
    let meaning = Meaning::Transfer { from, to, amount: U256::from(amount) };
    let mut touched = store::chain::append(&mut tx, chain, &header, &[(log, meaning)], &[], &[]).await.unwrap().touched;
    touched.extend(store::chain::move_tags(&mut tx, chain, number, mirror.heights.final_).await.unwrap());
    assert!(store::projection::refresh_all(&mut tx, &touched).await.unwrap().is_empty());
    tx.commit().await.unwrap();
}

/// What is to be done, as (kind, chain), in order.
async fn intents(service: &Service) -> Vec<(String, u64)> {
    let rows = sqlx::query("SELECT kind, chain_id FROM intents WHERE state = 'accepted' ORDER BY kind, chain_id");
    let rows = rows.fetch_all(service.store.pool()).await.unwrap();
    rows.iter().map(|row| (row.get("kind"), row.get::<i64, _>("chain_id").cast_unsigned())).collect()
}

async fn created(service: &Service) -> Value {
    service.create(json!({})).await
}

#[tokio::test]
async fn every_invoice_has_an_address_on_each_chain_from_the_moment_it_exists() {
    let service = Service::start().await;
    with_solana(&service).await;
    let body = created(&service).await;
    let (base, solana) = (&body["terms"][0], &body["terms"][1]);
    assert_eq!((&base["chain"], &solana["chain"]), (&json!("base"), &json!("solana")));
    assert_eq!(body["wallet"]["address"], base["deposit_address"]);
    assert_eq!(body["wallet"]["addresses"]["base"], base["deposit_address"]);
    assert_eq!(body["wallet"]["addresses"]["solana"], solana["deposit_address"]);

    let terms: SolanaTerms = serde_json::from_value(solana["terms"].clone()).unwrap();
    assert_eq!((terms.payee, terms.token, terms.settler, terms.refund_to), (PAYEE, MINT, GATE, UNCLAIMED));
    for field in ["invoice_id", "amount", "closes_at", "flags"] {
        assert_eq!(base["terms"][field], solana["terms"][field], "{field}");
    }
    let addresses = terms.addresses(&PROGRAM).expect("the id was drawn until it had addresses");
    assert_eq!(solana["deposit_address"], addresses.invoice.to_string());
    assert_eq!(solana["vault"], terms.vault(&addresses.invoice).0.to_string());
    let word: Portable = solana["word"].as_str().unwrap().parse().unwrap();
    assert_eq!((word.terms(), word.escrow()), (Terms::Solana(terms.clone()), PROGRAM.into()));
    let url = body["invoice"]["pay_url"].as_str().unwrap();
    let all: PortableInvoice = url.split("#terms=").nth(1).unwrap().parse().unwrap();
    let hashes: Vec<String> = all.words().iter().map(|word| word.terms().hash().to_string()).collect();
    assert_eq!(hashes, [base["hash"].as_str().unwrap(), solana["hash"].as_str().unwrap()]);

    let link = solana["pay"]["transfer"].as_str().unwrap();
    let asked =
        format!("solana:{}?amount=150&spl-token={MINT}&reference={}&label=", addresses.invoice, addresses.record);
    assert!(link.starts_with(&asked), "{link}");
    assert_eq!(base["pay"], Value::Null);
}

#[tokio::test]
async fn with_tempo_an_invoice_has_three_addresses_and_one_id() {
    let service = Service::start().await;
    with_solana(&service).await;
    with_tempo(&service).await;
    let refund_to = Address::repeat_byte(0x66);
    let body = service.create(json!({"tempo_refund_address": refund_to})).await;
    let names: Vec<&str> = body["terms"].as_array().unwrap().iter().map(|one| one["chain"].as_str().unwrap()).collect();
    assert_eq!(names, ["base", "solana", "tempo"]);
    let (base, tempo) = (&body["terms"][0], &body["terms"][2]);
    for field in ["invoice_id", "amount", "closes_at", "flags"] {
        for other in [tempo, &body["terms"][1]] {
            assert_eq!(base["terms"][field], other["terms"][field], "{field}");
        }
    }
    let terms: InvoiceTerms = serde_json::from_value(tempo["terms"].clone()).unwrap();
    assert_eq!((terms.chain, terms.payee, terms.token), (TEMPO, TEMPO_PAYEE, TEMPO_TOKEN));
    assert_eq!((terms.refund_to, terms.refund_key), (refund_to, Address::ZERO));
    let mut tx = service.store.begin().await.unwrap();
    let escrow = store::chain::get(&mut tx, TEMPO).await.unwrap().deployed.escrow.evm().unwrap();
    let address = terms.deposit_address(&Deployment::version_1(escrow)).to_string();
    assert_eq!(body["wallet"]["addresses"]["tempo"], address);
    assert_ne!(base["deposit_address"], tempo["deposit_address"]);
    let row = sqlx::query("SELECT wallet_address, solana_address, tempo_address FROM invoice_wallets");
    let row = row.fetch_one(&mut *tx).await.unwrap();
    assert_eq!((row.get::<&str, _>(0), row.get::<&str, _>(2)), (base["deposit_address"].as_str().unwrap(), &*address));
    drop(tx);

    let url = body["invoice"]["pay_url"].as_str().unwrap();
    let all: PortableInvoice = url.split("#terms=").nth(1).unwrap().parse().unwrap();
    assert_eq!(all.words().len(), 3);
    let page = service.get(&format!("/pay/{}", pay_token(&body))).await;
    assert!(page.text().contains(&address) && page.text().contains("Tempo"), "{}", page.text());
    let id = body["invoice"]["id"].as_str().unwrap();
    let email = service.get(&format!("/api/invoices/{id}/email")).await.json();
    assert!(email["email"]["text"].as_str().unwrap().contains("Or on tempo"), "{email}");
    let receipt = service.get(&format!("/pay/{}/receipt", pay_token(&body))).await;
    assert!(receipt.text().contains(&address));

    // Where nothing else is said it goes to the enterprise's account for unclaimed money there; a typing mistake is told.
    let other = created(&service).await;
    assert_eq!(other["terms"][2]["terms"]["refund_to"], TEMPO_UNCLAIMED.to_string());
    let wrong = json!({"amount": 1, "tempo_refund_address": "0x12"});
    service.post("/api/invoices/create", &wrong).await.problem(422, "refund_address_malformed");
    let token = json!({"amount": 1, "tempo_refund_address": TEMPO_TOKEN});
    service.post("/api/invoices/create", &token).await.problem(422, "refund_address_refused");
    let direct = service.create(json!({"direct": true})).await;
    assert_eq!(direct["terms"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn money_on_three_chains_settles_one_and_goes_back_on_the_others() {
    let service = Service::start().await;
    with_solana(&service).await;
    with_tempo(&service).await;
    let body = created(&service).await;
    let addresses = &body["wallet"]["addresses"];
    pay(&service, TEMPO, TEMPO_TOKEN.into(), &addresses["tempo"], 150_000_000).await;
    assert_eq!(intents(&service).await, [("settle".to_owned(), TEMPO)]);
    pay(&service, CHAIN, TOKEN.into(), &addresses["base"], 150_000_000).await;
    pay(&service, SOLANA, MINT.into(), &addresses["solana"], 150_000_000).await;
    let cancel = |chain| ("cancel".to_owned(), chain);
    assert_eq!(intents(&service).await, [cancel(CHAIN), cancel(SOLANA), ("settle".to_owned(), TEMPO)]);
    let id = body["invoice"]["id"].as_str().unwrap();
    assert_eq!(service.get(&format!("/api/invoices/{id}")).await.json()["invoice"]["paid_on"], "tempo");
}

#[tokio::test]
async fn money_on_both_chains_settles_one_and_the_customer_is_told_of_the_other() {
    let service = Service::start().await;
    with_solana(&service).await;
    let body = created(&service).await;
    let id = body["invoice"]["id"].as_str().unwrap();
    let (base, solana) = (&body["wallet"]["addresses"]["base"], &body["wallet"]["addresses"]["solana"]);

    pay(&service, SOLANA, MINT.into(), solana, 150_000_000).await;
    assert_eq!(intents(&service).await, [("settle".to_owned(), SOLANA)]);
    pay(&service, CHAIN, TOKEN.into(), base, 150_000_000).await;
    assert_eq!(intents(&service).await, [("cancel".to_owned(), CHAIN), ("settle".to_owned(), SOLANA)]);

    let shown = service.get(&format!("/api/invoices/{id}")).await.json();
    assert_eq!(shown["invoice"]["paid_on"], "solana");
    assert_eq!(shown["invoice"]["exceptions"], json!(["refund_due", "other_rail"]));
    assert_eq!(shown["wallet"]["balance_units"], "300000000");
    let hashes: Vec<&str> =
        shown["transactions"].as_array().unwrap().iter().map(|tx| tx["hash"].as_str().unwrap()).collect();
    assert!(hashes.iter().all(|hash| hash.parse::<TxId>().is_ok()), "{hashes:?}");
    let page = service.get(&format!("/pay/{}", pay_token(&body))).await;
    assert!(page.text().contains("a network that this invoice is not paid on"), "{}", page.text());
}

/// The rail that was not picked is held back twice: nothing asks for its settlement, and no keeper gets hold of one.
#[tokio::test]
async fn no_keeper_gets_hold_of_a_settlement_on_a_chain_that_was_not_picked() {
    let service = Service::start().await;
    with_solana(&service).await;
    let body = created(&service).await;
    pay(&service, SOLANA, MINT.into(), &body["wallet"]["addresses"]["solana"], 150_000_000).await;
    let mut tx = service.store.begin().await.unwrap();
    let row = sqlx::query("SELECT id FROM intents").fetch_one(&mut *tx).await.unwrap();
    let id = B256::from_slice(row.get("id"));
    let kinds = [domain::intent::IntentKind::Settle];
    assert_eq!(store::attempts::waiting(&mut tx, SOLANA, &kinds, 9).await.unwrap().len(), 1);
    assert_eq!(store::attempts::hold(&mut tx, &[id]).await.unwrap().len(), 1);
    sqlx::query("UPDATE invoices SET picked_chain = $1").bind(CHAIN.cast_signed()).execute(&mut *tx).await.unwrap();
    assert!(store::attempts::waiting(&mut tx, SOLANA, &kinds, 9).await.unwrap().is_empty());
    assert!(store::attempts::hold(&mut tx, &[id]).await.unwrap().is_empty());
}

/// With two rails a deposit that is only seen decides nothing, although Base alone would settle it.
#[tokio::test]
async fn with_two_chains_nothing_is_decided_before_a_deposit_is_safe() {
    let service = Service::start().await;
    with_solana(&service).await;
    let body = created(&service).await;
    let mut chain = crate::chain::Chain::of(&service);
    chain.mine(&[crate::chain::OnChain::of(&body).deposit(0, 150_000_000)]).await;
    assert_eq!(intents(&service).await, []);
    chain.finalize().await;
    assert_eq!(intents(&service).await, [("settle".to_owned(), CHAIN)]);
}

#[tokio::test]
async fn a_wallet_that_refuses_the_address_gets_a_transaction_to_sign() {
    let service = Service::start().await;
    with_solana(&service).await;
    let body = created(&service).await;
    let path = format!("/pay/{}/solana", pay_token(&body));
    let label = service.get(&path).await;
    assert_eq!((label.status, &label.json()["label"]), (200, &json!("UtilityCo Electric")));

    let payer = Pubkey::new_from_array([0x61; 32]);
    let answer = service.post(&path, &json!({"account": payer.to_string()})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let transaction = answer.json()["transaction"].as_str().unwrap().to_owned();
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, transaction);
    let bytes = bytes.unwrap();
    assert_eq!(bytes[69..101], payer.to_bytes());
    assert_eq!(bytes[357..389], [0x77; 32], "it rests on the newest block of the mirror");

    for (account, status, code) in [
        (json!({}), 400, "field_missing"),
        (json!({"account": "0x11"}), 422, "account_malformed"),
        (json!({"account": payer.to_string(), "extra": 1}), 400, "field_unknown"),
    ] {
        service.post(&path, &account).await.problem(status, code);
    }
    pay(&service, CHAIN, TOKEN.into(), &body["wallet"]["addresses"]["base"], 150_000_000).await;
    service.post(&path, &json!({"account": payer.to_string()})).await.problem(409, "solana_unavailable");
}

fn pay_token(body: &Value) -> &str {
    let url = body["invoice"]["pay_url"].as_str().unwrap();
    url.split("/pay/").nth(1).unwrap().split('#').next().unwrap()
}
