//! Circle's sandbox says what Circle documents, in the documented shapes.

use alloy::transports::http::reqwest::{Client, Method};
use serde_json::{Value, json};
use std::time::Duration;
use test_chain::sandbox::circle::{Circle, Config, Delays, Fault, FaultKind, Pace};

const A_DAY: Duration = Duration::from_secs(24 * 3600);

/// Somebody who speaks plain HTTP.
struct Caller {
    circle: Circle,
    http: Client,
}

struct Answer {
    status: u16,
    request_id: Option<String>,
    body: Value,
}

impl Caller {
    async fn new(config: Config) -> Self {
        let circle = Circle::start(config).await.unwrap();
        Self { circle, http: Client::builder().timeout(Duration::from_secs(5)).build().unwrap() }
    }

    async fn call(&self, call: &str, body: &Value) -> Answer {
        self.call_as(self.circle.api_key(), call, body).await
    }

    async fn call_as(&self, key: &str, call: &str, body: &Value) -> Answer {
        let (method, path) = call.split_once(' ').unwrap();
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let url = format!("{}{path}", self.circle.base_url());
        let mut request = self.http.request(method, url).bearer_auth(key).header("X-Request-Id", "of-ours");
        if !body.is_null() {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let request_id = answer.headers().get("x-request-id").map(|id| id.to_str().unwrap().to_owned());
        let body = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        Answer { status, request_id, body }
    }

    /// Makes a documented call, with its ids exchanged, and holds status and shape against what is documented. What is in
    /// the envelope.
    async fn documented(&self, name: &str, ids: &[(&str, &str)]) -> Value {
        let fixture = fixture(name);
        let exchange = |mut text: String| {
            ids.iter().for_each(|(from, to)| text = text.replace(from, to));
            text
        };
        let call = exchange(fixture["call"].as_str().unwrap().to_owned());
        let mut body: Value = serde_json::from_str(&exchange(fixture["request"].to_string())).unwrap();
        if body["idempotencyKey"].is_string() {
            body["idempotencyKey"] = json!(uuid::Uuid::new_v4());
        }
        let answer = self.call(&call, &body).await;
        assert_eq!(json!(answer.status), fixture["status"], "{name}: {}", answer.body);
        assert_eq!(answer.request_id.as_deref(), Some("of-ours"), "{name}");
        same_shape(name, "", &fixture["response"], &answer.body);
        answer.body["data"].clone()
    }
}

fn fixture(name: &str) -> Value {
    let path = format!("{}/fixtures/circle/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// What may be missing, or be there beside what the example has.
const OPTIONAL: [&str; 10] = [
    "riskEvaluation",
    "fees",
    "addressTag",
    "adjustments",
    "transactionHash",
    "errorCode",
    "constraints",
    "name",
    "address",
    "status",
];

/// Every field that is documented is there, of the same kind, and no other.
fn same_shape(name: &str, at: &str, documented: &Value, said: &Value) {
    match (documented, said) {
        (Value::Object(documented), Value::Object(said)) => {
            for (field, value) in documented {
                let at = format!("{at}/{field}");
                match said.get(field) {
                    Some(there) => same_shape(name, &at, value, there),
                    None => assert!(OPTIONAL.contains(&field.as_str()), "{name}: {at} is missing"),
                }
            }
            for field in said.keys() {
                let known = documented.contains_key(field) || OPTIONAL.contains(&field.as_str());
                assert!(known, "{name}: {at}/{field} is not documented");
            }
        }
        (Value::Array(documented), Value::Array(said)) => {
            assert_eq!(documented.is_empty(), said.is_empty(), "{name}: {at}");
            said.iter().for_each(|said| same_shape(name, &format!("{at}/0"), &documented[0], said));
        }
        (documented, said) => {
            let kind = |value: &Value| match value {
                Value::Null => "null",
                Value::Bool(_) => "boolean",
                Value::Number(_) => "number",
                Value::String(_) => "string",
                Value::Array(_) | Value::Object(_) => "other",
            };
            assert!(documented.is_null() || kind(documented) == kind(said), "{name}: {at} is {said}");
        }
    }
}

#[tokio::test]
async fn circles_sandbox_answers_in_the_documented_shapes() {
    let caller = Caller::new(Config::default()).await;
    let id = |thing: &Value| thing["id"].as_str().unwrap().to_owned();
    let own = |name: &str| fixture(name)["response"]["data"]["id"].as_str().unwrap().to_owned();
    let wallet =
        fixture("configuration")["response"]["data"]["payments"]["masterWalletId"].as_str().unwrap().to_owned();
    assert_eq!(caller.documented("configuration", &[]).await["payments"]["masterWalletId"], wallet);
    assert_eq!(caller.call("GET /ping", &Value::Null).await.body, fixture("ping")["response"]);

    let wire = caller.documented("wire-create", &[]).await;
    let (documented_wire, wire_id) = (own("wire-create"), id(&wire));
    let wire_ids = [(documented_wire.as_str(), wire_id.as_str())];
    caller.circle.advance(A_DAY).await;
    assert_eq!(caller.documented("wire-get", &wire_ids).await["status"], "complete");
    caller.documented("wire-list", &wire_ids).await;
    let instructions = caller.documented("wire-instructions", &wire_ids).await;
    let documented = fixture("mock-wire")["request"].clone();
    let of = |value: &Value| value.as_str().unwrap().to_owned();
    let exchange = [
        (of(&documented["trackingRef"]), of(&instructions["trackingRef"])),
        (of(&documented["beneficiaryBank"]["accountNumber"]), of(&instructions["beneficiaryBank"]["accountNumber"])),
    ];
    let exchange: Vec<(&str, &str)> = exchange.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect();
    for _ in 0..3 {
        caller.documented("mock-wire", &exchange).await;
    }
    caller.circle.advance(Duration::from_secs(15 * 60)).await;
    caller.documented("balances", &[]).await;
    caller.circle.advance(A_DAY).await;
    let deposits = caller.documented("deposit-list", &[]).await;
    let deposit = id(&deposits[0]);
    caller.documented("deposit-get", &[(&own("deposit-get"), &deposit)]).await;
    caller.documented("deposit-address-create", &[]).await;
    caller.documented("deposit-address-list", &[]).await;

    let recipient = id(&caller.documented("recipient-create", &[]).await);
    assert!(caller.circle.approve_recipient(&recipient));
    caller.documented("recipient-list", &[]).await;
    let documented_recipient = own("recipient-create");
    let recipients = [(documented_recipient.as_str(), recipient.as_str())];
    let transfer = id(&caller.documented("transfer-create", &recipients).await);
    let documented_transfer = own("transfer-create");
    let transfers = [(documented_transfer.as_str(), transfer.as_str())];
    caller.circle.advance(Duration::from_secs(10)).await;
    assert_eq!(caller.documented("transfer-get-running", &transfers).await["status"], "running");
    caller.circle.advance(Duration::from_secs(10)).await;
    assert_eq!(caller.documented("transfer-get-complete", &transfers).await["status"], "complete");
    caller.circle.fail_next("transfer", "blockchain_error");
    let failed = id(&caller.documented("transfer-create", &recipients).await);
    caller.circle.advance(A_DAY).await;
    let failed = caller.documented("transfer-get-failed", &[(&documented_transfer, &failed)]).await;
    assert_eq!(failed["errorCode"], "blockchain_error");
    caller.documented("recipient-delete", &recipients).await;

    let payout = id(&caller.documented("payout-create", &wire_ids).await);
    let documented_payout = own("payout-create");
    let payouts = [(documented_payout.as_str(), payout.as_str())];
    caller.circle.advance(A_DAY).await;
    assert_eq!(caller.documented("payout-get", &payouts).await["status"], "complete");
    caller.documented("payout-list", &payouts).await;
    assert!(caller.circle.return_payout(&payout, "Account closed"));
    caller.documented("payout-get-returned", &payouts).await;
    caller.circle.fail_next("payout", "invalid_wire_rtn");
    let failed = id(&caller.documented("payout-create", &wire_ids).await);
    caller.circle.advance(A_DAY).await;
    caller.documented("payout-get-failed", &[(&documented_payout, &failed)]).await;

    let subscription = id(&caller.documented("subscription-create", &[]).await);
    let documented_subscription = own("subscription-get");
    let subscriptions = [(documented_subscription.as_str(), subscription.as_str())];
    caller.documented("subscription-list", &[]).await;
    caller.documented("subscription-get", &subscriptions).await;
}

#[tokio::test]
async fn circles_sandbox_complains_in_the_documented_shapes() {
    let caller = Caller::new(Config::default()).await;
    let refused = async |name: &str, answer: Answer| {
        let fixture = fixture(name);
        assert_eq!(json!(answer.status), fixture["status"], "{name}: {}", answer.body);
        assert_eq!(answer.body["code"], fixture["response"]["code"], "{name}: {}", answer.body);
        same_shape(name, "", &fixture["response"], &answer.body);
        answer.body
    };
    let nothing = json!({});
    let stranger = caller.call_as("nobody's", "GET /v1/configuration", &Value::Null).await;
    refused("error-unauthorized", stranger).await;
    refused("error-not-found", caller.call("GET /v1/businessAccount/payouts/none", &Value::Null).await).await;
    let invalid =
        refused("error-invalid-entity", caller.call("POST /v1/businessAccount/transfers", &nothing).await).await;
    let of = |body: &Value| -> Vec<String> {
        let errors = body["errors"].as_array().unwrap().iter();
        errors
            .map(|error| format!("{} {}", error["error"].as_str().unwrap(), error["location"].as_str().unwrap()))
            .collect()
    };
    assert_eq!(of(&invalid), ["required idempotencyKey"]);
    for key in ["x", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "0190163d-8694-739b-aea5-966c26f8ad90"] {
        let body = json!({"idempotencyKey": key, "chain": "BASE", "currency": "USD"});
        let answer = caller.call("POST /v1/businessAccount/wallets/addresses/deposit", &body).await;
        let answer = refused("error-invalid-entity", answer).await;
        assert_eq!(of(&answer), ["pattern_mismatch idempotencyKey"], "{key} is no UUIDv4");
    }
    let wire = caller.documented("wire-create", &[]).await;
    let payout = |amount: &str| {
        let key = uuid::Uuid::new_v4();
        json!({
            "idempotencyKey": key, "destination": {"type": "wire", "id": wire["id"]},
            "amount": {"amount": amount, "currency": "USD"},
        })
    };
    let pay = async |amount: &str| caller.call("POST /v1/businessAccount/payouts", &payout(amount)).await;
    refused("error-insufficient-funds", pay("1.00").await).await;
    for (amount, error) in
        [("0.00", "min_value"), ("1.001", "number_format"), ("-1", "number_format"), ("1e2", "number_format")]
    {
        let answer = refused("error-invalid-entity", pay(amount).await).await;
        assert_eq!(of(&answer), [format!("{error} amount.amount")], "{amount}");
    }
    let both = "GET /v1/businessAccount/deposits?pageBefore=a&pageAfter=b&pageSize=51";
    let answer = refused("error-invalid-entity", caller.call(both, &Value::Null).await).await;
    assert!(of(&answer).contains(&"max_value pageSize".to_owned()));

    let address = json!({"idempotencyKey": uuid::Uuid::new_v4(), "chain": "BASE", "currency": "USD"});
    let path = "POST /v1/businessAccount/wallets/addresses/deposit";
    let first = caller.call(path, &address).await.body;
    assert_eq!(caller.call(path, &address).await.body, first);
    let mut other = address.clone();
    other["chain"] = json!("ETH");
    refused("error-idempotency", caller.call(path, &other).await).await;

    let ping = "GET /v1/configuration";
    caller.circle.fault(Fault::once("GET", "/v1/configuration", FaultKind::TooMany(1)));
    refused("error-rate-limit", caller.call(ping, &Value::Null).await).await;
    caller.circle.fault(Fault::once("GET", "/v1/configuration", FaultKind::ErrorBefore));
    refused("error-server", caller.call(ping, &Value::Null).await).await;

    for endpoint in ["http://127.0.0.1:1/a", "http://127.0.0.1:1/b", "http://127.0.0.1:1/c", "http://127.0.0.1:1/d"] {
        let answer = caller.call("POST /v1/notifications/subscriptions", &json!({"endpoint": endpoint})).await;
        assert_eq!(answer.status, if endpoint.ends_with('d') { 429 } else { 200 });
        if endpoint.ends_with('a') {
            let id = answer.body["data"]["id"].as_str().unwrap();
            let pending = caller.call(&format!("DELETE /v1/notifications/subscriptions/{id}"), &Value::Null).await;
            assert_eq!(pending.status, 400, "a pending one stays");
        }
    }
}

#[tokio::test]
async fn circles_sandbox_is_driven_over_http_too_and_by_the_clock() {
    let caller = Caller::new(Config { pace: Pace::Live, delays: Delays::SHORT, ..Config::default() }).await;
    let wire = caller.documented("wire-create", &[]).await;
    let path = format!("GET /v1/businessAccount/banks/wires/{}", wire["id"].as_str().unwrap());
    let begin = std::time::Instant::now();
    while caller.call(&path, &Value::Null).await.body["data"]["status"] != "complete" {
        assert!(begin.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let before = caller.circle.now();
    assert_eq!(caller.call("POST /__sim/advance", &json!({"seconds": 3600})).await.status, 200);
    assert!(caller.circle.now() - before >= Duration::from_secs(3600));
    let recipient = caller.documented("recipient-create", &[]).await["id"].as_str().unwrap().to_owned();
    let approve = format!("POST /__sim/recipients/{recipient}/approve");
    assert_eq!(caller.call(&approve, &Value::Null).await.status, 200);
    assert_eq!(caller.call(&approve, &Value::Null).await.status, 404, "once");
    let fault = json!({"method": "GET", "path": "/v1/configuration", "kind": "error_before"});
    assert_eq!(caller.call("POST /__sim/faults", &fault).await.status, 200);
    assert_eq!(caller.call("GET /v1/configuration", &Value::Null).await.status, 500);
    assert_eq!(caller.call("GET /v1/configuration", &Value::Null).await.status, 200);
    let requests = caller.call("GET /__sim/requests", &Value::Null).await.body;
    assert!(
        requests["data"].as_array().unwrap().iter().all(|request| !request["path"].as_str().unwrap().contains("__sim"))
    );
}

#[tokio::test]
async fn circles_sandbox_is_gone_when_dropped() {
    let circle = Circle::start(Config::default()).await.unwrap();
    let url = format!("{}/ping", circle.base_url());
    drop(circle);
    let begin = std::time::Instant::now();
    while Client::new().get(&url).send().await.is_ok() {
        assert!(begin.elapsed() < Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
