//! Money that goes back because a customer says so: who may ask, what is signed, and what is refused.

use crate::chain::{Chain, OnChain};
use crate::service::{CHAIN, ESCROW, Reply, Service, TOKEN, now};
use alloy::primitives::Signature;
use alloy_primitives::{Address, B256, U256, hex, keccak256};
use domain::block::{Meaning, RawLog};
use serde_json::{Value, json};
use terms::InvoiceTerms;

const DUE: u128 = 150_000_000;
const HOME: &str = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045";
const FOREIGN: Address = Address::repeat_byte(0x66);

/// The pay link's path; what is behind the # no server gets.
pub(crate) fn link(created: &Value) -> String {
    let url = created["invoice"]["pay_url"].as_str().unwrap();
    url[url.find("/pay/").unwrap()..url.find('#').unwrap()].to_owned()
}

fn terms_of(created: &Value) -> InvoiceTerms {
    serde_json::from_value(created["terms"][0]["terms"].clone()).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap().strip_prefix("\\x").unwrap()).unwrap()
}

impl Service {
    async fn refund(&self, created: &Value, body: Value) -> Reply {
        self.post(&format!("/api/invoices/{}/refund", created["invoice"]["id"].as_str().unwrap()), &body).await
    }

    async fn refund_by_link(&self, created: &Value, body: Value) -> Reply {
        self.call("POST", &format!("{}/refund", link(created))).json(&body).send().await
    }

    /// Every table that a refund or an authorization writes to.
    pub(crate) async fn asked(&self) -> Vec<(&'static str, i64)> {
        let mut counts = self.counts().await;
        for table in ["refund_orders", "payment_authorizations"] {
            counts.push((table, self.count(table).await));
        }
        counts
    }

    /// Asks in both ways, and sees that both are refused and leave nothing.
    async fn refuses(&self, created: &Value, body: Value, status: u16, code: &str) -> Value {
        let before = self.asked().await;
        let problem = self.refund(created, body.clone()).await.problem(status, code);
        assert_eq!(self.refund_by_link(created, body.clone()).await.problem(status, code), problem);
        assert_eq!(self.asked().await, before, "{code} {body}: a row is left");
        problem
    }
}

/// The escrow's event for a refund of `token` by order.
fn refunded(on_chain: &OnChain, index: u64, token: Address, amount: u128, paid: u128, status: u8) -> (RawLog, Meaning) {
    let (log, mut meaning) = on_chain.recorded(index, 5, amount, paid, status);
    if let Meaning::Recorded { token: moved, .. } = &mut meaning {
        *moved = token.into();
    }
    (log, meaning)
}

/// What `InvoiceEscrow` hashes, put together by hand from its source.
fn digest(terms_hash: B256, token: Address, to: Address, nonce: U256, deadline: u64) -> B256 {
    let words = |words: &[B256]| keccak256(words.iter().flat_map(|word| word.0).collect::<Vec<_>>());
    let number = |number: U256| B256::from(number.to_be_bytes::<32>());
    let domain = words(&[
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
        keccak256("Monay InvoiceEscrow"),
        keccak256("1"),
        number(U256::from(CHAIN)),
        ESCROW.into_word(),
    ]);
    let order = words(&[
        keccak256("RefundOrder(bytes32 termsHash,address token,address to,uint256 nonce,uint256 deadline)"),
        terms_hash,
        token.into_word(),
        to.into_word(),
        number(nonce),
        number(U256::from(deadline)),
    ]);
    keccak256([&[0x19, 0x01], domain.as_slice(), order.as_slice()].concat())
}

/// The one stored order is this one, is signed by the refund key of the terms, and is an intent that waits.
async fn is_ordered(service: &Service, created: &Value, token: Address, to: &str, tip: u64, answer: &Value) -> Value {
    let (terms, on_chain) = (terms_of(created), OnChain::of(created));
    let id = answer["intent_id"].as_str().unwrap().to_owned();
    let expected = json!({"intent_id": id, "token": token.to_string(), "to": to, "state": "accepted"});
    assert_eq!(answer, &expected);
    let id = id.strip_prefix("0x").unwrap().to_owned();
    let find = format!("'\\x{id}'");
    let intent = service.row(&format!("SELECT * FROM intents WHERE id = {find}")).await;
    assert_eq!((&intent["kind"], &intent["state"]), (&json!("refund_by_order"), &json!("accepted")));
    assert_eq!(bytes(&intent["token"]), token.as_slice());

    let sql = "SELECT *, nonce::text AS digits FROM refund_orders WHERE intent_id =";
    let order = service.row(&format!("{sql} {find}")).await;
    assert_eq!(bytes(&order["terms_hash"]), on_chain.hash.as_slice());
    assert_eq!(bytes(&order["token"]), token.as_slice());
    assert_eq!(bytes(&order["recipient"]), to.parse::<Address>().unwrap().as_slice());
    assert_eq!(order["deadline"], tip + 7 * 24 * 3600);
    assert_eq!(order["tenant_id"], intent["tenant_id"]);
    let nonce: U256 = order["digits"].as_str().unwrap().parse().unwrap();
    assert!(nonce > U256::from(u128::MAX), "256 random bits");
    let signature = bytes(&order["signature"]);
    assert!([27, 28].contains(&signature[64]));
    let hash = digest(on_chain.hash, token, to.parse().unwrap(), nonce, tip + 7 * 24 * 3600);
    let signature = Signature::from_raw(&signature).unwrap();
    assert_eq!(signature.normalize_s(), None, "low s");
    assert_eq!(signature.recover_address_from_prehash(&hash).unwrap(), terms.refund_key);
    order["word"].clone()
}

#[tokio::test]
async fn an_expired_invoice_goes_back_where_the_customer_says() {
    let service = Service::start().await;
    let mut chain = Chain::of(&service);
    let created = service.create(json!({"wallet_ttl": 3600})).await;
    let (on_chain, terms) = (OnChain::of(&created), terms_of(&created));
    let to = json!({"to": HOME});

    service.refuses(&created, to.clone(), 409, "nothing_to_refund").await;
    chain.mine(&[on_chain.deposit(0, 1_000_000)]).await;
    let problem = service.refuses(&created, to.clone(), 409, "not_refundable_yet").await;
    assert_eq!(problem["expires_at"], created["invoice"]["expires_at"]);
    let closes_at = time::OffsetDateTime::from_unix_timestamp(terms.closes_at.try_into().unwrap()).unwrap();
    let closes_at = closes_at.format(&time::format_description::well_known::Rfc3339).unwrap();
    assert_eq!(problem["closes_at"], closes_at);
    assert!(problem["detail"].as_str().unwrap().contains(&closes_at), "{problem}");

    // Expired, but the escrow still keeps it: it is cancelled when that is final.
    chain.mine_at(terms.closes_at - 72 * 3600, &[]).await;
    service.refuses(&created, to.clone(), 409, "not_refundable_yet").await;
    chain.finalize().await;
    chain.mine(&[on_chain.recorded(0, 3, 0, 0, 2)]).await;

    let purse = on_chain.purse.to_string();
    for (body, status, code, field) in [
        (json!({}), 422, "refund_to_required", "to"),
        (json!({"to": null, "word": "x"}), 422, "refund_to_required", "to"),
        (json!({"to": "jane.eth"}), 422, "refund_address_malformed", "to"),
        (json!({"to": HOME.replace("d8dA", "d8da")}), 422, "refund_address_malformed", "to"),
        (json!({"to": 7}), 400, "field_type", "to"),
        (json!({"to": Address::ZERO.to_string()}), 422, "refund_address_refused", "to"),
        (json!({"to": ESCROW.to_string()}), 422, "refund_address_refused", "to"),
        (json!({"to": TOKEN.to_string()}), 422, "refund_address_refused", "to"),
        (json!({"to": purse}), 422, "refund_address_refused", "to"),
        (json!({"to": HOME, "token": "USDC"}), 422, "address_malformed", "token"),
        (json!({"to": HOME, "word": ""}), 422, "text_invalid", "word"),
        (json!({"to": HOME, "word": "x".repeat(501)}), 422, "text_invalid", "word"),
        (json!({"to": HOME, "word": "a\u{0}b"}), 422, "text_invalid", "word"),
        (json!({"to": HOME, "word": ["x"]}), 400, "field_type", "word"),
        (json!({"to": HOME, "amount": 1}), 400, "field_unknown", "amount"),
    ] {
        assert_eq!(service.refuses(&created, body, status, code).await["field"], field);
    }
    let token = json!({"to": HOME, "token": FOREIGN.to_string()});
    assert_eq!(service.refuses(&created, token, 409, "nothing_to_refund").await["token"], FOREIGN.to_string());
    assert_eq!(service.count("intents").await, 1, "the cancel alone");

    // Said by the tenant, for the customer.
    let before = now();
    let said = "Jane, by phone, from the number on file";
    let reply = service.refund(&created, json!({"to": HOME.to_lowercase(), "word": said})).await;
    assert_eq!(reply.status, 202, "{}", reply.text());
    let word = is_ordered(&service, &created, TOKEN, HOME, chain.tip.timestamp, &reply.told()).await;
    assert_eq!((&word["by"], &word["said"]), (&json!("api key"), &json!(said)));
    let at = word["at"].as_str().unwrap();
    let at = time::OffsetDateTime::parse(at, &time::format_description::well_known::Rfc3339).unwrap();
    assert!((before..=now()).contains(&at.unix_timestamp().try_into().unwrap()));

    // The first order stands, until it is carried out.
    for to in [HOME.to_owned(), Address::repeat_byte(0x77).to_string()] {
        let problem = service.refuses(&created, json!({"to": to}), 409, "refund_already_ordered").await;
        assert_eq!(problem["intent_id"], reply.told()["intent_id"]);
    }
    chain.mine(&[refunded(&on_chain, 0, TOKEN, 1_000_000, 0, 2)]).await;
    service.refuses(&created, to.clone(), 409, "nothing_to_refund").await;
    chain.mine(&[on_chain.deposit(0, 5)]).await;
    let second = service.refund_by_link(&created, to).await;
    assert_eq!(second.status, 202, "{}", second.text());
    assert_ne!(second.told()["intent_id"], reply.told()["intent_id"]);
    let word = is_ordered(&service, &created, TOKEN, HOME, chain.tip.timestamp, &second.told()).await;
    assert_eq!((&word["by"], &word["said"]), (&json!("pay link"), &Value::Null));
    let nonces = service.rows("SELECT DISTINCT nonce::text FROM refund_orders").await;
    assert_eq!(nonces.len(), 2);
}

#[tokio::test]
async fn what_was_too_much_goes_back_once() {
    let service = Service::start().await;
    let mut chain = Chain::of(&service);
    let (exact, over) = (service.create(json!({})).await, service.create(json!({})).await);
    let (exactly, more) = (OnChain::of(&exact), OnChain::of(&over));
    chain.mine(&[exactly.deposit(0, DUE), more.deposit(1, DUE + 20_000_000)]).await;
    let to = json!({"to": HOME, "word": "Jane, on the pay page"});
    service.refuses(&over, to.clone(), 409, "not_refundable_yet").await;
    chain.mine(&[exactly.recorded(0, 1, DUE, DUE, 1), more.recorded(1, 1, DUE, DUE, 1)]).await;

    // What the payee has got does not lie there any more.
    service.refuses(&exact, to.clone(), 409, "nothing_to_refund").await;
    let calls: Vec<_> = (0..8)
        .map(|_| tokio::spawn(service.call("POST", &format!("{}/refund", link(&over))).json(&to).send()))
        .collect();
    let mut ordered = Vec::new();
    for call in calls {
        let reply = call.await.unwrap();
        match reply.status {
            202 => ordered.push(reply.told()),
            _ => drop(reply.problem(409, "refund_already_ordered")),
        }
    }
    assert_eq!((ordered.len(), service.count("refund_orders").await), (1, 1));
    let word = is_ordered(&service, &over, TOKEN, HOME, chain.tip.timestamp, &ordered[0]).await;
    assert_eq!((&word["by"], &word["said"]), (&json!("pay link"), &json!("Jane, on the pay page")));
    let logs = crate::service::logs();
    assert!(logs.contains("refund asked for"), "captures nothing");
    assert!(!logs.contains(link(&over).rsplit('/').next().unwrap()), "a pay link is a secret");

    // The keeper's word for it: the effect is seen, then final.
    chain.mine(&[refunded(&more, 0, TOKEN, 20_000_000, DUE, 1)]).await;
    chain.finalize().await;
    let intent = service.row("SELECT state FROM intents WHERE kind = 'refund_by_order'").await;
    assert_eq!(intent["state"], "final");
}

#[tokio::test]
async fn another_token_goes_back_at_any_time() {
    let service = Service::start().await;
    let mut chain = Chain::of(&service);
    let created = service.create(json!({})).await;
    let on_chain = OnChain::of(&created);
    chain.mine(&[on_chain.transfer(0, FOREIGN, U256::MAX), on_chain.deposit(1, 1)]).await;
    let foreign = |to: &str| json!({"token": FOREIGN.to_string(), "to": to});
    service.refuses(&created, foreign(&FOREIGN.to_string()), 422, "refund_address_refused").await;
    service.refuses(&created, foreign(&TOKEN.to_string()), 422, "refund_address_refused").await;
    service.refuses(&created, json!({"token": FOREIGN.to_string()}), 422, "refund_to_required").await;
    let reply = service.refund_by_link(&created, foreign(HOME)).await;
    assert_eq!(reply.status, 202, "{}", reply.text());
    is_ordered(&service, &created, FOREIGN, HOME, chain.tip.timestamp, &reply.told()).await;
    service.refuses(&created, foreign(HOME), 409, "refund_already_ordered").await;
    // It says nothing about the invoice's own token.
    service.refuses(&created, json!({"to": HOME}), 409, "not_refundable_yet").await;
}

#[tokio::test]
async fn where_the_address_is_fixed_nobody_signs() {
    let service = Service::start().await;
    let mut chain = Chain::of(&service);
    let created = service.create(json!({"refund_address": HOME, "wallet_ttl": 3600})).await;
    let (on_chain, terms) = (OnChain::of(&created), terms_of(&created));
    chain.mine(&[on_chain.transfer(0, FOREIGN, U256::from(7)), on_chain.deposit(1, 1)]).await;
    let other = Address::repeat_byte(0x77).to_string();

    // Another token.
    for body in [
        json!({"to": other, "token": FOREIGN.to_string()}),
        json!({"to": Address::ZERO.to_string(), "token": FOREIGN.to_string()}),
    ] {
        let problem = service.refuses(&created, body, 422, "refund_address_fixed").await;
        assert_eq!((&problem["field"], &problem["refund_to"]), (&json!("to"), &json!(HOME)));
    }
    let body = json!({"token": FOREIGN.to_string(), "word": "Jane: wrong token"});
    let reply = service.refund_by_link(&created, body.clone()).await;
    assert_eq!(reply.status, 202, "{}", reply.text());
    let intent = service.row("SELECT *, '0x' || encode(id, 'hex') AS hex FROM intents").await;
    assert_eq!((&intent["kind"], &intent["state"]), (&json!("refund"), &json!("accepted")));
    assert_eq!(bytes(&intent["token"]), FOREIGN.as_slice());
    let expected = json!({"intent_id": intent["hex"], "token": FOREIGN.to_string(), "to": HOME, "state": "accepted"});
    assert_eq!(reply.told(), expected);
    let again = service.refund(&created, body).await;
    assert_eq!((again.status, again.told()), (202, expected));
    assert_eq!(service.count("intents").await, 1, "one refund, however often it is asked for");

    // The invoice's own: by itself.
    service.refuses(&created, json!({}), 409, "not_refundable_yet").await;
    chain.mine_at(terms.closes_at - 72 * 3600, &[]).await;
    chain.finalize().await;
    service.refuses(&created, json!({"to": other}), 422, "refund_address_fixed").await;
    let before = service.asked().await;
    for body in [json!({}), json!({"to": HOME}), json!({"token": TOKEN.to_string()})] {
        let reply = service.refund(&created, body).await;
        assert_eq!(reply.status, 202, "{}", reply.text());
        let answer = reply.told();
        assert_eq!((&answer["intent_id"], &answer["state"]), (&Value::Null, &Value::Null));
        assert_eq!((&answer["token"], &answer["to"]), (&json!(TOKEN.to_string()), &json!(HOME)));
        assert!(answer["detail"].as_str().unwrap().contains("by itself"), "{answer}");
    }
    assert_eq!(service.asked().await, before);
    assert_eq!(service.count("refund_orders").await, 0);
}

#[tokio::test]
async fn after_closing_the_clock_alone_decides() {
    let service = Service::start().await;
    let mut chain = Chain::of(&service);
    let created = service.create(json!({"wallet_ttl": 3600})).await;
    let (on_chain, terms) = (OnChain::of(&created), terms_of(&created));
    chain.mine(&[on_chain.deposit(0, 1)]).await;
    chain.mine_at(terms.closes_at - 1, &[]).await;
    service.refuses(&created, json!({"to": HOME}), 409, "not_refundable_yet").await;
    chain.mine_at(terms.closes_at, &[]).await;
    let reply = service.refund(&created, json!({"to": HOME})).await;
    assert_eq!(reply.status, 202, "{}", reply.text());
    is_ordered(&service, &created, TOKEN, HOME, terms.closes_at, &reply.told()).await;
}

#[tokio::test]
async fn a_key_that_is_erased_orders_nothing() {
    let service = Service::start().await;
    let mut chain = Chain::of(&service);
    let created = service.create(json!({"wallet_ttl": 3600})).await;
    let (on_chain, terms) = (OnChain::of(&created), terms_of(&created));
    chain.mine_at(terms.closes_at - 72 * 3600, &[]).await;
    chain.finalize().await;
    assert_eq!(service.count("wallet_keys").await, 0, "destroyed");
    chain.mine(&[on_chain.deposit(0, 1)]).await;
    let problem = service.refuses(&created, json!({"to": HOME}), 409, "refund_key_erased").await;
    assert_eq!(problem["refund_to"], terms.refund_to.to_string());
}
