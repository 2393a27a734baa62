//! The sandbox of TilliPay against its fixtures, and against what is documented.

use alloy::transports::http::reqwest;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use test_chain::sandbox::tilli::{Config, Tilli};

const CARD: &str = include_str!("../../fixtures/tilli/documented-card-request.json");
const ACH: &str = include_str!("../../fixtures/tilli/documented-ach-request.json");

fn fixture(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

async fn ask(url: &str, token: Option<&str>, body: &Value) -> (u16, Value) {
    let mut request = reqwest::Client::new().post(url).body(body.to_string());
    if let Some(token) = token {
        request = request.header("gpsToken", token);
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), serde_json::from_str(&answer.text().await.unwrap()).unwrap())
}

async fn token(sandbox: &Tilli, merchant: &str) -> String {
    let url = format!("{}/merchant/authenticate", sandbox.url());
    let body = json!({"merchantId": merchant, "apiKey": Config::default().api_key});
    let (status, said) = ask(&url, None, &body).await;
    assert_eq!(status, 200, "{said}");
    said["gpsToken"].as_str().unwrap().to_owned()
}

type Posts = Arc<Mutex<Vec<Value>>>;

async fn take(State(posts): State<Posts>, headers: HeaderMap, body: Bytes) -> StatusCode {
    assert!(headers.contains_key("X-Gps-Signature"));
    posts.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
    StatusCode::OK
}

#[tokio::test]
async fn the_sandbox_of_tilli_answers_as_its_fixtures_say() {
    let sandbox = Tilli::start(Config::default()).await.unwrap();
    let posts = Posts::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hook = format!("http://{}/", listener.local_addr().unwrap());
    let router = Router::new().route("/", post(take)).with_state(Arc::clone(&posts));
    tokio::spawn(async move { axum::serve(listener, router).await });
    sandbox.sim("webhook", &json!({"url": hook})).unwrap();

    let gps = token(&sandbox, "M-CARD-1").await;
    assert_eq!(gps, fixture(include_str!("../../fixtures/tilli/assumed-auth-answer.json"))["gpsToken"]);
    let (status, said) = ask(&format!("{}/card/payments", sandbox.url()), Some(&gps), &fixture(CARD)).await;
    assert_eq!((status, said), (200, fixture(include_str!("../../fixtures/tilli/assumed-card-answer.json"))));
    let gps = token(&sandbox, "M-ICA-1").await;
    let (status, said) = ask(&format!("{}/ach/payments", sandbox.url()), Some(&gps), &fixture(ACH)).await;
    assert_eq!((status, said), (200, fixture(include_str!("../../fixtures/tilli/assumed-ach-answer.json"))));
    let (status, said) = ask(&format!("{}/ach/payments", sandbox.url()), None, &fixture(ACH)).await;
    assert_eq!((status, said), (401, fixture(include_str!("../../fixtures/tilli/assumed-error-answer.json"))));

    sandbox.delivered().await;
    let first = posts.lock().unwrap().first().cloned().unwrap();
    assert_eq!(first, fixture(include_str!("../../fixtures/tilli/assumed-notification.json")));
    sandbox.sim("advance", &json!({"bankingDays": 3})).unwrap();
    for (report, expected) in [
        ("settlement.csv", include_str!("../../fixtures/tilli/assumed-settlement.csv")),
        ("bank.csv", include_str!("../../fixtures/tilli/assumed-bank.csv")),
    ] {
        let url = format!("{}/__sim/reports/{report}", sandbox.url());
        assert_eq!(reqwest::get(url).await.unwrap().text().await.unwrap(), expected);
    }
}

#[tokio::test]
async fn the_sandbox_of_tilli_refuses_what_the_documentation_does_not_allow() {
    let sandbox = Tilli::start(Config::default()).await.unwrap();
    let card = token(&sandbox, "M-CARD-1").await;
    let ica = token(&sandbox, "M-ICA-1").await;
    let stored = sandbox.sim("tokenize", &json!({"cardNumber": "4111111111111111"})).unwrap()["token"].clone();
    let account =
        sandbox.sim("tokenize", &json!({"routingNumber": "021300912", "accountNumber": "1"})).unwrap()["token"].clone();
    let without = |fields: &[&str]| fields.iter().map(|field| ((*field).to_owned(), Value::Null)).collect::<Vec<_>>();
    let with = |field: &str, value: Value| vec![(field.to_owned(), value)];
    let by_token = |token: &Value| {
        let mut changes = without(&["cardNumber", "cvv", "routingNumber", "accountNumber"]);
        changes.extend([("requestType".to_owned(), json!("token")), ("paymentToken".to_owned(), token.clone())]);
        changes
    };
    type Case<'a> = (&'a str, &'a str, Vec<(String, Value)>, u16);
    let cases: Vec<Case<'_>> = vec![
        ("card", &card, Vec::new(), 200),
        ("card", &card, by_token(&stored), 200),
        ("card", &card, with("merchantId", json!("M-NOBODY")), 400),
        ("card", &card, with("merchantId", json!("M-ICA-1")), 400),
        ("card", &ica, Vec::new(), 400),
        ("card", "made-up", Vec::new(), 401),
        ("card", &card, with("channel", json!("WEB")), 400),
        ("card", &card, with("clientRequestId", json!("")), 400),
        ("card", &card, with("requestType", json!("token")), 400),
        ("card", &card, with("requestType", json!("cheque")), 400),
        ("card", &card, with("paymentToken", stored.clone()), 400),
        ("card", &card, by_token(&account), 400),
        ("card", &card, by_token(&json!("tok_made_up")), 400),
        ("card", &card, without(&["cardNumber"]), 400),
        ("card", &card, without(&["cvv"]), 400),
        ("card", &card, with("expiryYear", json!("2026")), 400),
        ("card", &card, with("phoneNumber", json!("15185550100")), 400),
        ("card", &card, with("amount", json!("1.999")), 400),
        ("card", &card, with("amount", json!("0.00")), 400),
        ("card", &card, with("currency", json!("EUR")), 400),
        ("card", &card, with("isSavecard", json!("yes")), 400),
        ("ach", &ica, Vec::new(), 200),
        ("ach", &ica, by_token(&account), 200),
        ("ach", &ica, with("amount", json!(37)), 200),
        ("ach", &ica, with("achType", json!("CBP")), 400),
        ("ach", &ica, with("merchantId", json!("M-CARD-1")), 400),
        ("ach", &ica, with("requestType", json!("token")), 400),
        ("ach", &ica, without(&["accountNumber"]), 400),
        ("ach", &ica, with("accountType", json!("X")), 400),
        ("ach", &ica, with("checkType", json!("X")), 400),
        ("ach", &ica, without(&["firstName"]), 400),
        ("ach", &ica, with("fee", json!("2.50")), 400),
    ];
    for (index, (rail, token, changes, expected)) in cases.into_iter().enumerate() {
        let mut body = fixture(if rail == "card" { CARD } else { ACH });
        body["clientRequestId"] = json!(format!("request-{index}"));
        for (field, value) in &changes {
            body[field] = value.clone();
        }
        let (status, said) = ask(&format!("{}/{rail}/payments", sandbox.url()), Some(token), &body).await;
        assert_eq!(status, expected, "{rail} {changes:?}: {said}");
    }
}
