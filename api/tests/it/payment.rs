//! An invoice's way through its states, as the API tells it: the chain's part is put into the mirror.

use crate::chain::{Chain, OnChain};
use crate::service::{CHAIN, Service, now};
use alloy_primitives::{Address, U256};
use serde_json::{Value, json};

const DUE: u128 = 150_000_000;

impl Service {
    async fn invoice(&self, created: &Value) -> Value {
        let reply = self.get(&format!("/api/invoices/{}", created["invoice"]["id"].as_str().unwrap())).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()
    }

    async fn pay(&self, created: &Value, amount: Value) -> crate::service::Reply {
        let body =
            json!({"invoice_id": created["invoice"]["id"], "wallet_id": created["wallet"]["id"], "amount": amount});
        self.post("/api/invoices/pay", &body).await
    }

    pub(crate) async fn pay_page(&self, created: &Value) -> String {
        let reply = self.call("GET", &crate::refund::link(created)).send().await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.text().to_owned()
    }
}

fn states(body: &Value) -> (&str, &str) {
    (body["invoice"]["status"].as_str().unwrap(), body["wallet"]["status"].as_str().unwrap())
}

fn says(page: &str, words: &[&str]) {
    for words in words {
        assert!(page.contains(words), "the page does not say '{words}': {page}");
    }
}

#[tokio::test]
async fn manual_from_empty_to_destroyed() {
    let service = Service::start().await;
    let mut chain = Chain::of(&service);
    let created = service.create(json!({"settlement": "manual"})).await;
    let on_chain = OnChain::of(&created);

    // Nothing there, then too little.
    let problem = service.pay(&created, json!(150)).await.problem(409, "insufficient_balance");
    assert_eq!((&problem["balance"], &problem["due"]), (&json!("0.00"), &json!("150.00")));
    let page = service.pay_page(&created).await;
    says(&page, &["Waiting for your payment", ">150.00</code>", "http-equiv=\"refresh\"", "Base"]);
    says(&page, &[&on_chain.purse.to_string(), "chain id 8453", "UtilityCo Electric"]);
    chain.mine(&[on_chain.deposit(0, 100_500_000)]).await;
    let body = service.invoice(&created).await;
    assert_eq!(states(&body), ("partially_paid", "active"));
    assert_eq!((&body["wallet"]["balance"], &body["wallet"]["balance_units"]), (&json!("100.50"), &json!("100500000")));
    assert_eq!(body["transactions"][0]["kind"], "deposit");
    assert_eq!(body["transactions"][0]["amount"], "100.50");
    let problem = service.pay(&created, json!(150)).await.problem(409, "insufficient_balance");
    assert_eq!((&problem["balance_units"], &problem["due_units"]), (&json!("100500000"), &json!("150000000")));
    says(&service.pay_page(&created).await, &["Part of the amount has arrived", "49.50", "100.50 of 150.00"]);

    // All there: it waits for the customer's word, and only for the right one.
    chain.mine(&[on_chain.deposit(0, 49_500_000)]).await;
    let body = service.invoice(&created).await;
    assert_eq!(states(&body), ("pending_payment", "funded"));
    assert!(body["wallet"]["funded_at"].is_string());
    says(&service.pay_page(&created).await, &["Your money has arrived", "once the payment is confirmed"]);
    for (amount, shown) in [(json!("149.99"), "149.99"), (json!(151), "151.00"), (json!("150.000001"), "150.000001")] {
        let problem = service.pay(&created, amount).await.problem(422, "amount_mismatch");
        assert_eq!((&problem["amount"], &problem["due"]), (&json!(shown), &json!("150.00")));
    }
    for (amount, code) in [(json!(0), "amount_not_positive"), (json!("x"), "amount_malformed")] {
        service.pay(&created, amount).await.problem(422, code);
    }
    assert_eq!(service.count("intents").await, 0);

    // By the tenant's number, as the specification does it; then again, and eight times at once.
    let body = json!({"invoice_id": created["invoice"]["number"], "wallet_id": created["wallet"]["id"], "amount": 150});
    let reply = service.post("/api/invoices/pay", &body).await;
    assert_eq!((reply.status, states(&reply.json())), (202, ("pending_payment", "payment_in_progress")));
    assert_eq!(reply.json()["terms"], created["terms"]);
    for amount in [json!(150), json!("150.00")] {
        assert_eq!(service.pay(&created, amount).await.status, 202);
    }
    let calls: Vec<_> =
        (0..8).map(|_| tokio::spawn(service.authed("POST", "/api/invoices/pay").json(&body).send())).collect();
    for call in calls {
        assert_eq!(call.await.unwrap().status, 202);
    }
    assert_eq!(service.count("intents").await, 1, "one settlement, however often it is asked for");
    says(&service.pay_page(&created).await, &["It is being passed on to UtilityCo Electric"]);

    // Settled: the payment, and it is not made twice.
    chain.mine(&[on_chain.recorded(0, 1, DUE, DUE, 1)]).await;
    let body = service.invoice(&created).await;
    assert_eq!(states(&body), ("paid", "payment_complete"));
    assert_eq!(body["invoice"]["paid_amount_units"], "150000000");
    assert_eq!(body["invoice"]["settlement_tier"], "seen");
    assert_eq!(body["transactions"][2]["kind"], "settle");
    assert_eq!(body["invoice"]["transaction_id"], body["transactions"][2]["hash"]);
    let reply = service.pay(&created, json!(150)).await;
    assert_eq!((reply.status, states(&reply.json())), (200, ("paid", "payment_complete")));
    service.pay(&created, json!(149)).await.problem(422, "amount_mismatch");
    says(&service.pay_page(&created).await, &["Paid", "has received 150.00 USDC", "still confirming"]);

    // Final: destroyed, with its key, and the page stands still.
    chain.finalize().await;
    let body = service.invoice(&created).await;
    assert_eq!(states(&body), ("paid", "destroyed"));
    assert_eq!(body["wallet"]["destruction_reason"], "payment_complete");
    assert_eq!(body["wallet"]["destruction_method"], "7-pass_overwrite");
    assert!(body["wallet"]["lifetime"].as_str().unwrap().contains("second"), "{}", body["wallet"]["lifetime"]);
    assert_eq!(service.count("wallet_keys").await, 0);
    assert_eq!(service.pay(&created, json!(150)).await.status, 200);
    let page = service.pay_page(&created).await;
    says(&page, &["The payment is final."]);
    assert!(!page.contains("http-equiv=\"refresh\"") && !page.contains("How to pay"), "{page}");
}

#[tokio::test]
async fn automatic_needs_no_word() {
    let service = Service::start().await;
    let mut chain = Chain::of(&service);
    let created = service.create(json!({})).await;
    let on_chain = OnChain::of(&created);
    chain.mine(&[on_chain.deposit(0, DUE + 20_000_000)]).await;
    assert_eq!(states(&service.invoice(&created).await), ("pending_payment", "payment_in_progress"));
    assert_eq!(service.pay(&created, json!(150)).await.status, 202);
    assert_eq!(service.count("intents").await, 1);

    // More than was due: the rest is still there, then goes back.
    chain.mine(&[on_chain.recorded(0, 1, DUE, DUE, 1)]).await;
    let body = service.invoice(&created).await;
    assert_eq!(body["invoice"]["status"], "overpaid");
    assert_eq!(body["invoice"]["exceptions"], json!(["refund_due"]));
    says(&service.pay_page(&created).await, &["You have sent 20.00 USDC more than was due", "tell UtilityCo Electric"]);
    assert_eq!(service.pay(&created, json!(150)).await.status, 200);
    chain.mine(&[on_chain.recorded(0, 4, 20_000_000, DUE, 1)]).await;
    assert_eq!(service.invoice(&created).await["transactions"][2]["kind"], "refund");
    says(&service.pay_page(&created).await, &["That has been sent back", "Sent back"]);
}

#[tokio::test]
async fn time_runs_out() {
    let service = Service::start().await;
    let mut chain = Chain::of(&service);
    let home = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045";
    let short = service.create(json!({"wallet_ttl": 3600, "refund_address": home})).await;
    let empty = service.create(json!({"wallet_ttl": 3600})).await;
    let on_chain = OnChain::of(&short);
    chain.mine(&[on_chain.deposit(0, 1_000_000)]).await;

    let expired = now() + 3700;
    chain.mine_at(expired, &[]).await;
    for created in [&short, &empty] {
        let body = service.invoice(created).await;
        assert_eq!(body["invoice"]["status"], "expired");
        assert_eq!(
            (&body["wallet"]["countdown"], &body["wallet"]["countdown_seconds"]),
            (&json!("00:00:00"), &json!(0))
        );
        service.pay(created, json!(150)).await.problem(409, "invoice_expired");
    }
    let page = service.pay_page(&short).await;
    says(
        &page,
        &[
            "This invoice has expired",
            "1.00 USDC reached its wallet",
            &format!("It goes back to {home}"),
            "Do not send",
        ],
    );
    assert!(!page.contains("How to pay"), "{page}");

    // Late money, then everything goes back.
    chain.mine(&[on_chain.deposit(0, 2_000_000)]).await;
    let body = service.invoice(&short).await;
    assert_eq!(body["invoice"]["exceptions"], json!(["paid_late", "refund_due"]));
    says(&service.pay_page(&short).await, &["Money came after the time had run out"]);
    chain.mine(&[on_chain.recorded(0, 3, 0, 0, 2), on_chain.recorded(1, 4, 3_000_000, 0, 2)]).await;
    chain.finalize().await;
    let body = service.invoice(&short).await;
    assert_eq!(states(&body), ("expired", "destroyed"));
    assert_eq!(body["wallet"]["destruction_reason"], "ttl_expired");
    says(&service.pay_page(&short).await, &["They have been sent back"]);
    let body = service.invoice(&empty).await;
    assert_eq!(states(&body), ("expired", "destroyed"));
}

#[tokio::test]
async fn called_off_and_foreign_tokens() {
    let service = Service::start().await;
    let mut chain = Chain::of(&service);
    let created = service.create(json!({})).await;
    let on_chain = OnChain::of(&created);

    // A hostile token claims to have moved everything there is.
    let hostile = Address::repeat_byte(0x66);
    chain.mine(&[on_chain.transfer(0, hostile, U256::MAX)]).await;
    let body = service.invoice(&created).await;
    assert_eq!(states(&body), ("pending_payment", "active"));
    assert_eq!(body["invoice"]["exceptions"], json!(["foreign_token"]));
    assert_eq!(body["transactions"][0]["amount"], Value::Null);
    assert_eq!(body["transactions"][0]["amount_units"], U256::MAX.to_string());
    service.pay(&created, json!(150)).await.problem(409, "insufficient_balance");
    let page = service.pay_page(&created).await;
    says(&page, &["A token other than USDC", "How to pay"]);

    chain.mine(&[on_chain.recorded(0, 3, 0, 0, 2)]).await;
    assert_eq!(service.invoice(&created).await["invoice"]["status"], "cancelled");
    service.pay(&created, json!(150)).await.problem(409, "invoice_cancelled");
    says(&service.pay_page(&created).await, &["This invoice was cancelled"]);
}

#[tokio::test]
async fn a_block_that_is_being_written_holds_nobody_up() {
    let service = Service::start().await;
    let mut chain = Chain::of(&service);
    let created = service.create(json!({"settlement": "manual"})).await;
    chain.mine(&[OnChain::of(&created).deposit(0, DUE)]).await;

    // As the indexer does it, for as long as it takes to write a block.
    let mut block = service.store.begin().await.unwrap();
    store::chain::lock(&mut block, CHAIN, chain.tip.hash).await.unwrap();
    service.create(json!({})).await;
    assert_eq!(service.pay(&created, json!(150)).await.status, 202);
    block.commit().await.unwrap();
}
