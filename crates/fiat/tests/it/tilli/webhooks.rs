use super::{Desk, payment};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use fiat::tilli::{Event, Status, Tilli as Client};
use fiat::{Error, Outcome};
use ring::hmac;
use serde_json::json;
use std::sync::{Arc, Mutex};

type Post = (Option<String>, Vec<u8>);

#[derive(Clone, Default)]
struct Letterbox {
    posts: Arc<Mutex<Vec<Post>>>,
    /// How many more are turned away.
    refuse: Arc<Mutex<usize>>,
}

async fn take(State(to): State<Letterbox>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let mut refuse = to.refuse.lock().unwrap();
    if *refuse > 0 {
        *refuse -= 1;
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let signature = headers.get("X-Gps-Signature").map(|value| value.to_str().unwrap().to_owned());
    to.posts.lock().unwrap().push((signature, body.to_vec()));
    StatusCode::NO_CONTENT
}

impl Letterbox {
    async fn open(desk: &Desk) -> Self {
        let letterbox = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let path = desk.client.webhook_path().unwrap().to_owned();
        let url = format!("http://{}{path}", listener.local_addr().unwrap());
        let router = Router::new().route(&path, post(take)).with_state(letterbox.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        desk.sim("webhook", json!({"url": url}));
        letterbox
    }

    fn events(&self, client: &Client) -> Vec<Event> {
        let posts = self.posts.lock().unwrap();
        posts.iter().map(|(signature, body)| client.event(signature.as_deref(), body).unwrap()).collect()
    }
}

#[tokio::test]
async fn a_notification_that_the_gateway_has_not_signed_is_not_believed() {
    let desk = Desk::open().await;
    let letterbox = Letterbox::open(&desk).await;
    let asked = payment(15_000, desk.card("4111111111111111"));
    let charge = desk.client.collect(&asked).await.unwrap();
    desk.sandbox.delivered().await;
    let (signature, body) = letterbox.posts.lock().unwrap().first().cloned().unwrap();
    let signature = signature.unwrap();
    let event = desk.client.event(Some(&signature), &body).unwrap();
    assert_eq!((event.request, event.transaction), (Some(asked.id), charge.transaction));
    assert_eq!((event.status, event.amount), (Some(Status::Approved), Some(asked.amount)));
    assert_eq!(event.kind.as_deref(), Some("payment.approved"));

    let more = String::from_utf8(body.clone()).unwrap().replace("150.00", "950.00");
    assert_ne!(more.as_bytes(), body);
    let other = if signature.starts_with('0') { "1" } else { "0" };
    let flipped = format!("{other}{}", &signature[1..]);
    let doubled = format!("{signature}{signature}");
    for (signature, body) in [
        (None, body.as_slice()),
        (Some(""), body.as_slice()),
        (Some("nonsense"), body.as_slice()),
        (Some(&flipped[..]), body.as_slice()),
        (Some(&signature[..62]), body.as_slice()),
        (Some(&signature[..63]), body.as_slice()),
        (Some(&doubled[..]), body.as_slice()),
        (Some(&signature[..]), more.as_bytes()),
        (Some(&signature[..]), b"".as_slice()),
    ] {
        let error = desk.client.event(signature, body).unwrap_err();
        assert!(matches!(error, Error::Forged(_)), "{error}");
        assert_eq!(error.outcome(), Outcome::NotTried);
    }
}

#[tokio::test]
async fn notifications_come_twice_in_any_order_or_not_at_all_and_are_told_apart_by_their_ids() {
    let desk = Desk::open().await;
    let letterbox = Letterbox::open(&desk).await;
    desk.sim("webhook", json!({"mode": "duplicate"}));
    let first = payment(15_000, desk.card("4111111111111111"));
    desk.client.collect(&first).await.unwrap();
    desk.sandbox.delivered().await;
    let events = letterbox.events(&desk.client);
    assert_eq!(events.len(), 2);
    assert_eq!(events[0].id, events[1].id);

    desk.sim("webhook", json!({"mode": "reordered"}));
    let second = payment(15_000, desk.card("4111111111111111"));
    desk.client.collect(&second).await.unwrap();
    desk.sim("advance", json!({"bankingDays": 1}));
    desk.sandbox.delivered().await;
    assert_eq!(letterbox.events(&desk.client).len(), 2);
    desk.sim("webhook", json!({"mode": "normal"}));
    desk.sandbox.delivered().await;
    let of_second: Vec<_> =
        letterbox.events(&desk.client).into_iter().filter(|event| event.request == Some(second.id)).collect();
    let kinds: Vec<_> = of_second.iter().map(|event| event.kind.clone().unwrap()).collect();
    assert_eq!(kinds, ["payment.settled", "payment.approved"]);
    assert_ne!(of_second[0].id, of_second[1].id);

    desk.sim("webhook", json!({"mode": "missing"}));
    let third = payment(15_000, desk.card("4111111111111111"));
    desk.client.collect(&third).await.unwrap();
    desk.sandbox.delivered().await;
    assert!(letterbox.events(&desk.client).iter().all(|event| event.request != Some(third.id)));
}

#[tokio::test]
async fn a_notification_that_is_not_taken_comes_again() {
    let desk = Desk::open().await;
    let letterbox = Letterbox::open(&desk).await;
    *letterbox.refuse.lock().unwrap() = 3;
    let asked = payment(15_000, desk.card("4111111111111111"));
    desk.client.collect(&asked).await.unwrap();
    desk.sandbox.delivered().await;
    let events = letterbox.events(&desk.client);
    assert_eq!((events.len(), events[0].request), (1, Some(asked.id)));
}

#[tokio::test]
async fn a_signed_notification_in_a_form_nobody_knows_is_still_one_notification() {
    let desk = Desk::open().await;
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"sandbox-webhook-secret");
    let mut ids = Vec::new();
    for body in [
        r#"{"eventId":"E1","status":"SOMETHING_NEW","amount":"a lot","transactionId":{"a":1}}"#,
        r#"{"news":true}"#,
        "[]",
        "no JSON",
        "",
    ] {
        let tag = hmac::sign(&key, body.as_bytes());
        let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
        let event = desk.client.event(Some(&hex), body.as_bytes()).unwrap();
        assert_eq!((event.status, event.amount, event.transaction, event.request), (None, None, None, None));
        assert_eq!(desk.client.event(Some(&hex), body.as_bytes()).unwrap().id, event.id);
        ids.push(event.id);
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 5);
}
