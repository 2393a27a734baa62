//! The API as a process beside the chain: killed where it hurts, invoices called off while money moves, and answers that
//! say how old they are.

use crate::net::{AMOUNT, Issued, Net, Wish};
use alloy_primitives::U256;
use monay::services::Service;
use monay::stack::TENANT;
use serde_json::{Value, json};
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;
use store::fault::{CRASH_VARIABLE, Point};
use test_chain::Mining;

/// What nothing survives.
const SIGKILL: i32 = 9;

fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

impl Net {
    fn call(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        client().request(method, format!("{}{path}", self.stack.api_url())).bearer_auth(&self.stack.api_key)
    }

    async fn create(&self, key: &str) -> Result<reqwest::Response, reqwest::Error> {
        let body = json!({"tenant_id": TENANT, "amount": 150, "currency": "USD", "invoice_number": "once"});
        self.call(reqwest::Method::POST, "/api/invoices/create").header("Idempotency-Key", key).json(&body).send().await
    }

    async fn cancel(&self, issued: &Issued) -> (u16, Value) {
        let path = format!("/api/invoices/{}/cancel", issued.id);
        let answer = self.call(reqwest::Method::POST, &path).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn get(&self, path: &str) -> (Value, u64) {
        let answer = self.call(reqwest::Method::GET, path).send().await.unwrap();
        let lag = answer.headers()["monay-lag-seconds"].to_str().unwrap().parse().unwrap();
        (answer.json().await.unwrap(), lag)
    }
}

/// `fault:A1`.
#[tokio::test]
async fn an_acknowledged_create_survives_the_death_of_the_api_right_after_the_answer() {
    let net = Net::start().await;
    net.stack.run(Service::Api, &[]).await.unwrap();
    let answer = net.create("a1").await.unwrap();
    net.stack.kill(Service::Api).await;
    assert_eq!(answer.status(), 201);
    let created: Value = answer.json().await.unwrap();
    assert_eq!(net.count("SELECT count(*) FROM outbox WHERE type = 'invoice.created'").await, 1);
    net.stack.run(Service::Api, &[]).await.unwrap();
    let id = created["invoice"]["id"].as_str().unwrap();
    let (found, _) = net.get(&format!("/api/invoices/{id}")).await;
    assert_eq!((&found["terms"], &found["wallet"]["address"]), (&created["terms"], &created["wallet"]["address"]));
    net.stack.stop().await;
}

/// `fault:A2`.
#[tokio::test]
async fn killed_after_commit_before_the_answer_a_retry_gets_the_first_result() {
    let net = Net::start().await;
    let point = format!("{:?}", Point::AfterCommitBeforeAnswer);
    net.stack.run(Service::Api, &[(CRASH_VARIABLE, &point)]).await.unwrap();
    assert!(net.create("a2").await.is_err(), "there is no answer");
    let ended = net.stack.ended(Service::Api, Duration::from_secs(20)).await.and_then(|status| status.signal());
    assert_eq!(ended, Some(SIGKILL));
    assert_eq!(net.count("SELECT count(*) FROM invoices").await, 1, "it died after the work was done");
    net.stack.run(Service::Api, &[]).await.unwrap();
    let answer = net.create("a2").await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["idempotency-hit"].to_str().unwrap()), (201, "true"));
    let id: String = sqlx::query_scalar("SELECT id FROM invoices").fetch_one(net.stack.store.pool()).await.unwrap();
    assert_eq!(answer.headers()["location"].to_str().unwrap(), format!("/api/invoices/{id}"));
    assert_eq!(answer.json::<Value>().await.unwrap()["invoice"]["id"], id.as_str());
    assert_eq!(net.count("SELECT count(*) FROM invoices").await, 1);
    net.stack.stop().await;
}

#[tokio::test]
async fn called_off_before_any_money_and_what_comes_all_the_same_goes_back() {
    let net = Net::start().await;
    net.stack.run(Service::Api, &[]).await.unwrap();
    let issued = net.issue(Wish::default()).await;
    let (status, body) = net.cancel(&issued).await;
    assert_eq!((status, &body["invoice"]["status"]), (200, &json!("cancelled")), "{body}");
    net.rounds().await;
    assert_eq!(net.count("SELECT count(*) FROM attempts").await, 0, "an empty address needs no transaction");
    assert_eq!(net.statuses(&issued).await, ("cancelled".into(), "destroying".into()));

    net.transfer(issued.purse, AMOUNT).await;
    net.mine().await;
    net.rounds().await;
    net.rounds().await;
    assert_eq!(net.statuses(&issued).await, ("cancelled".into(), "destroyed".into()));
    let done = [("cancel".to_owned(), "final".to_owned()), ("refund".to_owned(), "final".to_owned())];
    assert_eq!(net.intents(&issued).await, done);
    assert_eq!(net.balance(issued.terms.refund_to).await, U256::from(AMOUNT));
    assert_eq!(net.balance(issued.terms.payee).await, U256::ZERO);
    let (status, again) = net.cancel(&issued).await;
    assert_eq!((status, &again["invoice"]["status"]), (200, &json!("cancelled")));
    net.stack.stop().await;
}

#[tokio::test]
async fn called_off_with_part_of_the_money_every_unit_goes_back_and_what_follows_too() {
    let net = Net::start().await;
    net.stack.run(Service::Api, &[]).await.unwrap();
    let issued = net.issue(Wish::default()).await;
    net.transfer(issued.purse, AMOUNT - 1).await;
    net.mine().await;
    net.rounds().await;
    assert_eq!(net.statuses(&issued).await, ("partially_paid".into(), "active".into()));
    let (status, body) = net.cancel(&issued).await;
    assert_eq!((status, &body["invoice"]["exceptions"]), (200, &json!(["refund_due"])), "{body}");
    // The missing unit arrives in the same block as our cancel, behind it or before it.
    net.transfer(issued.purse, 1).await;
    net.rounds().await;
    net.rounds().await;
    assert_eq!(net.statuses(&issued).await, ("cancelled".into(), "destroyed".into()));
    assert_eq!(net.effects(&issued, 1).await.len(), 0, "nothing is settled after it");
    assert_eq!(net.effects(&issued, 3).await.len(), 1);
    assert_eq!(net.balance(issued.terms.refund_to).await, U256::from(AMOUNT));
    net.stack.stop().await;
}

#[tokio::test]
async fn a_settlement_and_a_cancel_that_race_have_one_winner() {
    let net = Net::start().await;
    net.stack.run(Service::Api, &[]).await.unwrap();
    // Signed first: too late to call it off, at every stage of the way.
    let paid = net.issue(Wish::default()).await;
    net.transfer(paid.purse, AMOUNT).await;
    net.mine().await;
    net.index().await;
    assert!(net.keeper.execute().await.unwrap());
    let (status, problem) = net.cancel(&paid).await;
    assert_eq!((status, &problem["code"]), (409, &json!("settlement_under_way")), "{problem}");
    net.mine().await;
    net.index().await;
    let (status, problem) = net.cancel(&paid).await;
    assert_eq!((status, &problem["code"]), (409, &json!("invoice_paid")), "{problem}");

    // Called off first: the keeper finds nothing to sign.
    let called_off = net.issue(Wish::default()).await;
    net.transfer(called_off.purse, AMOUNT).await;
    net.mine().await;
    net.index().await;
    assert_eq!(net.cancel(&called_off).await.0, 200);
    assert!(!net.keeper.execute().await.unwrap(), "the settlement is superseded");
    net.rounds().await;
    net.rounds().await;
    assert_eq!(net.statuses(&called_off).await, ("cancelled".into(), "destroyed".into()));
    assert_eq!((net.effects(&called_off, 1).await.len(), net.effects(&called_off, 3).await.len()), (0, 1));

    // At the same moment, many times: whoever wins, the two never both have their way.
    let mut all = Vec::new();
    for _ in 0..8 {
        let issued = net.issue(Wish::default()).await;
        net.transfer(issued.purse, AMOUNT).await;
        all.push(issued);
    }
    net.mine().await;
    net.index().await;
    let cancels = async {
        let mut statuses = Vec::new();
        for issued in &all {
            statuses.push(net.cancel(issued).await.0);
        }
        statuses
    };
    let (statuses, executed) = tokio::join!(cancels, net.keeper.execute());
    executed.unwrap();
    net.rounds().await;
    net.rounds().await;
    for (issued, status) in all.iter().zip(statuses) {
        let (settled, cancelled) = (net.effects(issued, 1).await.len(), net.effects(issued, 3).await.len());
        let (word, expected) = if status == 200 { ("cancelled", (0, 1)) } else { ("paid", (1, 0)) };
        assert_eq!(((settled, cancelled), net.statuses(issued).await.0), (expected, word.to_owned()), "{status}");
    }
    net.stack.stop().await;
}

/// `fault:I10`.
#[tokio::test]
async fn when_the_indexer_stops_answers_say_how_old_they_are() {
    let net = Net::with(Mining::Interval(Duration::from_secs(1))).await;
    net.stack.run(Service::Indexer, &[]).await.unwrap();
    net.stack.run(Service::Api, &[]).await.unwrap();
    let issued = net.issue(Wish::default()).await;
    let path = format!("/api/invoices/{}", issued.id);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (fresh, lag) = net.get(&path).await;
    assert!(lag <= 3, "{}", fresh["as_of"]);
    net.stack.kill(Service::Indexer).await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    for path in [path.as_str(), "/api/invoices", "/api/events"] {
        let (old, lag) = net.get(path).await;
        assert!(lag >= 5 && old["as_of"][0]["lag_seconds"] == lag, "{lag} s: {}", old["as_of"]);
    }
    net.stack.stop().await;
}
