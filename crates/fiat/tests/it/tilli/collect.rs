use super::{Desk, payment};
use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use domain::money::Units;
use fiat::tilli::{Collect, Config, Merchant, Refund, Source, Standing, Tilli as Client, Token, TransactionId};
use fiat::{Error, FiatGateway, Outcome};
use serde_json::{Value, json};
use test_chain::sandbox::tilli::{Config as Sandbox, Duplicates};
use uuid::Uuid;

const GOOD: &str = "4111111111111111";

#[tokio::test]
async fn a_payment_is_answered_in_words_that_are_known() {
    let desk = Desk::open().await;
    let gateway = FiatGateway::Tilli(desk.client.clone());
    for (source, cents, standing) in [
        (desk.card(GOOD), 15_250, Standing::Approved),
        (desk.card("378282246310005"), 199, Standing::Approved),
        (desk.card("4000000000000002"), 15_250, Standing::Declined),
        (desk.card(GOOD), 66_602, Standing::Declined),
        (desk.card(GOOD), 66_605, Standing::Pending),
        (desk.check("30733816"), 3_700, Standing::Approved),
    ] {
        let asked = payment(cents, source);
        let charge = gateway.collect(&asked).await.unwrap();
        assert_eq!(charge.standing, standing, "{charge:?}");
        assert_eq!(desk.charges(asked.id), 1);
        if standing == Standing::Approved {
            assert_eq!(charge.charged, Some(asked.amount));
            assert!(charge.transaction.is_some());
        }
        let found = gateway.query(asked.merchant(), asked.id, None).await.unwrap().unwrap();
        assert_eq!(found.standing, standing);
    }
}

#[tokio::test]
async fn after_a_time_out_the_outcome_is_unknown_until_it_is_looked_up_and_the_customer_is_charged_once() {
    let desk = Desk::open().await;
    let lost = |fault: &str| desk.sim("fault", json!({"path": "/card/payments", "fault": fault}));
    for (cents, fault) in [
        (66_601, None),
        (66_604, None),
        (15_000, Some("silent_after")),
        (15_000, Some("error_after")),
        (15_000, Some("garbage_after")),
    ] {
        let asked = payment(cents, desk.card(GOOD));
        fault.map(lost);
        let error = desk.client.collect(&asked).await.unwrap_err();
        assert_eq!(error.outcome(), Outcome::Unknown, "{fault:?}: {error}");
        let found = desk.client.query(Merchant::Card, asked.id, None).await.unwrap().unwrap();
        assert_eq!((found.standing, found.charged), (Standing::Approved, Some(asked.amount)), "{fault:?}");
        assert_eq!(desk.charges(asked.id), 1, "{fault:?}");
    }
    assert_eq!(desk.asked("/card/payments"), 5);
}

#[tokio::test]
async fn what_was_never_taken_is_unknown_too_and_then_not_found() {
    let desk = Desk::open().await;
    for fault in ["silent_before", "error_before"] {
        let asked = payment(15_000, desk.card(GOOD));
        desk.sim("fault", json!({"path": "/card/payments", "fault": fault}));
        assert_eq!(desk.client.collect(&asked).await.unwrap_err().outcome(), Outcome::Unknown);
        assert_eq!(desk.client.query(Merchant::Card, asked.id, None).await.unwrap(), None);
        assert_eq!(desk.charges(asked.id), 0);
    }
}

#[tokio::test]
async fn a_lookup_that_fails_says_nothing_of_the_payment() {
    let desk = Desk::open().await;
    let asked = payment(15_000, desk.card(GOOD));
    desk.client.collect(&asked).await.unwrap();
    for fault in ["silent_before", "error_before", "garbage_after"] {
        desk.sim("fault", json!({"path": "/payments/status", "fault": fault}));
        let error = desk.client.query(Merchant::Card, asked.id, None).await.unwrap_err();
        assert_ne!(error.outcome(), Outcome::Refused, "{fault}");
    }
}

#[tokio::test]
async fn a_client_request_id_that_was_used_is_never_a_failure_and_never_a_second_charge() {
    for (duplicates, charges) in [(Duplicates::Refused, 1), (Duplicates::Replayed, 1)] {
        let desk = Desk::with(Sandbox { duplicates, ..Sandbox::default() }).await;
        let asked = payment(15_000, desk.card(GOOD));
        let first = desk.client.collect(&asked).await.unwrap();
        match desk.client.collect(&asked).await {
            Ok(again) => assert_eq!(again.transaction, first.transaction),
            Err(error) => assert_eq!(error.outcome(), Outcome::Unknown, "{error}"),
        }
        let found = desk.client.query(Merchant::Card, asked.id, None).await.unwrap().unwrap();
        assert_eq!(found.transaction, first.transaction);
        assert_eq!(desk.charges(asked.id), charges, "{duplicates:?}");
    }
}

#[tokio::test]
async fn against_a_gateway_that_charges_every_time_one_call_is_one_charge() {
    let desk = Desk::with(Sandbox { duplicates: Duplicates::ChargedAgain, ..Sandbox::default() }).await;
    for fault in ["silent_after", "error_after", "garbage_after", "unauthorised"] {
        let asked = payment(15_000, desk.card(GOOD));
        desk.sim("fault", json!({"path": "/card/payments", "fault": fault}));
        let _ = desk.client.collect(&asked).await;
        assert_eq!(desk.charges(asked.id), 1, "{fault}");
    }
}

#[tokio::test]
async fn a_request_that_is_refused_is_proof_that_nothing_was_done() {
    let desk = Desk::open().await;
    let asked = payment(15_000, Source::Card(Token::parse("tok_unknown").unwrap()));
    let error = desk.client.collect(&asked).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Refused);
    assert!(error.to_string().contains("the token is unknown"), "{error}");
    assert_eq!(desk.charges(asked.id), 0);
}

#[tokio::test]
async fn another_amount_than_was_asked_for_is_told() {
    let desk = Desk::open().await;
    let asked = payment(66_603, desk.card(GOOD));
    let charge = desk.client.collect(&asked).await.unwrap();
    assert_eq!((charge.standing, charge.charged), (Standing::Approved, Some(Units(666_020_000))));
}

#[tokio::test]
async fn an_expired_token_is_renewed_once_and_the_payment_goes_on() {
    let desk = Desk::open().await;
    desk.client.collect(&payment(100, desk.card(GOOD))).await.unwrap();
    desk.client.collect(&payment(100, desk.card(GOOD))).await.unwrap();
    assert_eq!(desk.asked("/merchant/authenticate"), 1);
    desk.sim("expire", json!({}));
    let asked = payment(100, desk.card(GOOD));
    assert_eq!(desk.client.collect(&asked).await.unwrap().standing, Standing::Approved);
    assert_eq!((desk.asked("/merchant/authenticate"), desk.asked("/card/payments")), (2, 4));
    assert_eq!(desk.charges(asked.id), 1);
    // Cards and checks have tokens of their own.
    desk.client.collect(&payment(100, desk.check("30733816"))).await.unwrap();
    assert_eq!(desk.asked("/merchant/authenticate"), 3);
}

#[tokio::test]
async fn a_token_that_is_refused_again_is_not_renewed_for_ever() {
    let desk = Desk::open().await;
    desk.sim("fault", json!({"path": "/card/payments", "fault": "unauthorised", "times": 9}));
    let asked = payment(100, desk.card(GOOD));
    let error = desk.client.collect(&asked).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::NotTried, "{error}");
    assert_eq!((desk.asked("/merchant/authenticate"), desk.asked("/card/payments")), (2, 2));
    assert_eq!(desk.charges(asked.id), 0);
}

#[tokio::test]
async fn without_a_connection_or_a_token_nothing_was_tried() {
    let desk = Desk::open().await;
    let asked = payment(100, desk.card(GOOD));
    for fault in ["silent_before", "error_before", "garbage_after", "unauthorised"] {
        desk.sim("fault", json!({"path": "/merchant/authenticate", "fault": fault}));
        assert_eq!(desk.client.collect(&asked).await.unwrap_err().outcome(), Outcome::NotTried, "{fault}");
    }
    assert_eq!(desk.asked("/card/payments"), 0);
    // There is a token now, and then nobody is there.
    desk.client.collect(&asked).await.unwrap();
    let Desk { sandbox, client } = desk;
    drop(sandbox);
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    let asked = Collect { id: fiat::tilli::ClientRequestId(Uuid::new_v4()), ..asked };
    let outcome = client.collect(&asked).await.unwrap_err().outcome();
    // A connection that was kept open breaks while it is used: that is unknown, by right.
    assert_ne!(outcome, Outcome::Refused);
}

#[tokio::test]
async fn what_is_not_configured_is_not_offered_and_nothing_is_sent() {
    let desk = Desk::open().await;
    let whole = desk.sandbox.client_toml();
    let bare = whole.split("[query]").next().unwrap().replace("cbp = \"M-CBP-1\"\n", "");
    let config: Config = toml::from_str(&bare).unwrap();
    let client = Client::new(config).unwrap();
    let offers = client.offers();
    assert!(!offers.query && !offers.refund && !offers.void && !offers.webhook);
    let id = fiat::tilli::ClientRequestId(Uuid::new_v4());
    let transaction = TransactionId::parse("TXN1").unwrap();
    let refund = Refund { id, merchant: Merchant::Card, transaction: transaction.clone(), amount: Units(10_000) };
    let errors = [
        client.query(Merchant::Card, id, None).await.unwrap_err(),
        FiatGateway::Tilli(client.clone()).refund(&refund).await.unwrap_err(),
        client.refund(&refund).await.unwrap_err(),
        client.void(Merchant::Card, id, &transaction).await.unwrap_err(),
        client.event(Some("00"), b"{}").unwrap_err(),
        client.query(Merchant::Cbp, id, None).await.unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, Error::NotOffered(_)), "{error}");
        assert_eq!(error.outcome(), Outcome::NotTried);
    }
    assert_eq!(desk.sim("requests", json!({})), json!([]));
}

#[tokio::test]
async fn money_goes_back_once_and_never_more_than_came() {
    let desk = Desk::open().await;
    let asked = payment(15_000, desk.card(GOOD));
    let transaction = desk.client.collect(&asked).await.unwrap().transaction.unwrap();
    desk.sim("advance", json!({"bankingDays": 1}));
    let id = fiat::tilli::ClientRequestId(Uuid::new_v4());
    let refund = Refund { id, merchant: Merchant::Card, transaction: transaction.clone(), amount: Units(100_000_000) };
    // The answer is lost: it is unknown, and found.
    desk.sim("fault", json!({"path": "/payments/refund", "fault": "silent_after"}));
    assert_eq!(desk.client.refund(&refund).await.unwrap_err().outcome(), Outcome::Unknown);
    let found = desk.client.query(Merchant::Card, id, None).await.unwrap().unwrap();
    assert_eq!((found.standing, found.charged), (Standing::Approved, Some(refund.amount)));
    let more = Refund { id: fiat::tilli::ClientRequestId(Uuid::new_v4()), ..refund };
    assert_eq!(desk.client.refund(&more).await.unwrap_err().outcome(), Outcome::Refused);
    let kept = desk.sim("payment", json!({"clientRequestId": asked.id.to_string()}));
    assert_eq!(kept[0]["refunded"], "100.00");

    let asked = payment(15_000, desk.card(GOOD));
    let transaction = desk.client.collect(&asked).await.unwrap().transaction.unwrap();
    let off = fiat::tilli::ClientRequestId(Uuid::new_v4());
    let void = desk.client.void(Merchant::Card, off, &transaction).await.unwrap();
    assert_eq!((void.standing, void.word.as_str()), (Standing::Approved, "ACCEPTED"));
    // The payment that was called off is no payment any more.
    let found = desk.client.query(Merchant::Card, asked.id, None).await.unwrap().unwrap();
    assert_eq!(found.standing, Standing::Declined);
    desk.sim("advance", json!({"bankingDays": 3}));
    let report = String::from_utf8(desk.report("settlement.csv").await).unwrap();
    assert!(!report.contains(transaction.as_str()), "{report}");
}

#[tokio::test]
async fn fractions_of_a_cent_and_fees_that_have_no_field_are_not_sent() {
    let desk = Desk::open().await;
    let fraction = Collect { amount: Units(1_000_001), ..payment(100, desk.card(GOOD)) };
    let fee = Collect { fee: Some(Units(2_500_000)), ..payment(100, desk.card(GOOD)) };
    for asked in [fraction, fee] {
        assert_eq!(desk.client.collect(&asked).await.unwrap_err().outcome(), Outcome::NotTried);
    }
    assert_eq!(desk.sim("requests", json!({})), json!([]));
}

/// A gateway that answers every payment with `http` and `body`, where `ID` stands for our id.
async fn gateway_that_says(http: u16, body: &str) -> (Client, tokio::task::JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let body = body.to_owned();
    let said = move |asked: axum::Json<Value>| async move {
        let id = asked["clientRequestId"].as_str().unwrap().to_owned();
        (StatusCode::from_u16(http).unwrap(), body.replace("ID", &id))
    };
    let router = Router::new()
        .route("/auth", post(|| async { json!({"token": "t"}).to_string() }))
        .route("/card/payments", post(said));
    let server = tokio::spawn(async move {
        let _ = axum::serve(listener, router).await;
    });
    let config = format!(
        r#"
        base_url = "{url}"
        merchants = {{ card = "M" }}
        auth = {{ path = "/auth", token = "/token" }}
        fields = {{ token = "t" }}
        response = {{ transaction = "/id", status = "/s", client_request_id = "/c", amount = "/a", message = "/m" }}
        status = {{ OK = "approved", WAIT = "pending", NO = "declined", BROKEN = "error" }}
        "#
    );
    (Client::new(toml::from_str(&config).unwrap()).unwrap(), server)
}

#[tokio::test]
async fn an_answer_that_is_odd_in_any_way_is_unknown_and_only_proof_is_a_failure() {
    use Outcome::{Refused, Unknown};
    let approved = |charged| Ok((Standing::Approved, charged));
    for (http, body, expected) in [
        (200, r#"{"s":"OK","id":"T1","c":"ID","a":"1.00"}"#, approved(Some(1_000_000))),
        (201, r#"{"s":"OK","id":17,"a":1.01}"#, approved(Some(1_010_000))),
        (200, r#"{"s":"OK","id":"T1","a":"about a dollar"}"#, approved(None)),
        (202, r#"{"s":"WAIT","id":"T1"}"#, Ok((Standing::Pending, None))),
        (200, r#"{"s":"NO"}"#, Ok((Standing::Declined, None))),
        (402, r#"{"s":"NO","id":"T1"}"#, Ok((Standing::Declined, None))),
        (200, r#"{"s":"BROKEN","id":"T1"}"#, Err(Unknown)),
        (200, r#"{"s":"ok","id":"T1"}"#, Err(Unknown)),
        (200, r#"{"s":"OK"}"#, Err(Unknown)),
        (200, r#"{"s":"OK","id":"../T1"}"#, Err(Unknown)),
        (200, r#"{"s":"OK","id":"T1","c":"another"}"#, Err(Unknown)),
        (200, r#"{"s":"NO","c":"another"}"#, Err(Unknown)),
        (200, r#"{"s":true,"id":"T1"}"#, Err(Unknown)),
        (200, "", Err(Unknown)),
        (200, "[]", Err(Unknown)),
        (302, r#"{"s":"OK","id":"T1"}"#, Err(Unknown)),
        (500, r#"{"s":"NO","id":"T1"}"#, Err(Unknown)),
        (400, r#"{"s":"OK","id":"T1"}"#, Err(Unknown)),
        (409, "{}", Err(Unknown)),
        (429, "{}", Err(Unknown)),
        (400, r#"{"m":"no such field"}"#, Err(Refused)),
        (422, r#"{"s":"BROKEN"}"#, Err(Refused)),
        (404, "not here", Err(Refused)),
    ] {
        let (client, server) = gateway_that_says(http, body).await;
        let asked = payment(100, Source::Card(Token::parse("tok").unwrap()));
        let said = client.collect(&asked).await;
        let seen = said.map(|charge| (charge.standing, charge.charged.map(|units| units.0)));
        assert_eq!(seen.map_err(|error| error.outcome()), expected, "{http} {body}");
        server.abort();
    }
}
