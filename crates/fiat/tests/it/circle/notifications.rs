//! Notifications: believed only from Circle's topic with Amazon's signature, and never for what they say.

use super::endpoint::Endpoint;
use super::{A_DAY, DOLLAR, SOMEBODY, Scene, key, usd};
use fiat::circle::{
    DepositStatus, Event, Hosts, Message, NotificationConfig, Notifications, Resource, SubscriptionStatus, Topic,
    TransferStatus,
};
use fiat::{Error, Outcome};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::time::Duration;
use test_chain::sandbox::circle::{Circle, Config as Sandbox, Signer, TOPIC, sign};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

fn reader(circle: &Circle) -> Notifications {
    let hosts = Hosts::Origin(circle.base_url().to_owned());
    // The tests' clock makes leaps.
    let max_age = A_DAY * 5;
    let config = NotificationConfig { hosts, max_age, ..NotificationConfig::new(vec![TOPIC.to_owned()]) };
    Notifications::new(config).unwrap()
}

/// A reader and an endpoint whose subscription is confirmed.
async fn subscribed(scene: &Scene) -> (Notifications, Endpoint) {
    let (reader, endpoint) = (reader(&scene.circle), Endpoint::start().await);
    let subscription = scene.client.subscribe(&endpoint.url).await.unwrap();
    assert_eq!(subscription.subscription_details[0].status, SubscriptionStatus::Pending);
    scene.circle.advance(Duration::ZERO).await;
    let bodies = endpoint.take();
    let [body] = bodies.as_slice() else { panic!("{} messages", bodies.len()) };
    let Message::Confirmation(confirmation) = reader.receive(body, scene.circle.now()).await.unwrap() else {
        panic!("no confirmation")
    };
    reader.confirm(&confirmation).await.unwrap();
    let subscriptions = scene.client.subscriptions().await.unwrap();
    assert_eq!(subscriptions[0].subscription_details[0].status, SubscriptionStatus::Confirmed);
    (reader, endpoint)
}

async fn events(scene: &Scene, reader: &Notifications, endpoint: &Endpoint) -> Vec<Event> {
    let mut events = Vec::new();
    for body in endpoint.take() {
        let Message::Event(event) = reader.receive(&body, scene.circle.now()).await.unwrap() else {
            panic!("no event")
        };
        events.push(event);
    }
    events
}

#[tokio::test]
async fn an_event_names_what_to_ask_for_in_both_kinds_of_signature() {
    for signature_version in [1, 2] {
        let scene = Scene::with(Sandbox { signature_version, ..Sandbox::default() }).await;
        let (reader, endpoint) = subscribed(&scene).await;
        let wire = scene.fund(150 * DOLLAR).await;
        let recipient = scene.recipient(SOMEBODY).await;
        let transfer = scene.client.create_transfer(key(), &recipient, &usd(DOLLAR)).await.unwrap();
        let payout = scene.client.create_payout(key(), &wire.id, &usd(DOLLAR)).await.unwrap();
        scene.circle.advance(A_DAY).await;
        let deposit = scene.client.all_deposits(None, None).await.unwrap().remove(0);

        let events = events(&scene, &reader, &endpoint).await;
        let of = |topic: Topic| -> HashSet<String> {
            let events = events.iter().filter(|event| event.topic == topic);
            events.map(|event| format!("{:?}", event.resource)).collect()
        };
        let only = |resource: Resource| HashSet::from([format!("{resource:?}")]);
        assert_eq!(of(Topic::Wire), only(Resource::Wire(wire.id)));
        assert_eq!(of(Topic::Deposits), only(Resource::Deposit(deposit.id)));
        assert_eq!(of(Topic::Transfers), only(Resource::Transfer(transfer.id)));
        assert_eq!(of(Topic::Payouts), only(Resource::Payout(payout.id)));
        assert_eq!(of(Topic::Recipients), only(Resource::Recipient(recipient)));
        let transfers = events.iter().filter(|event| event.topic == Topic::Transfers).count();
        assert_eq!(transfers, 3, "one for each of pending, running, complete");
    }
}

#[tokio::test]
async fn what_comes_twice_has_one_name_and_any_order_leads_to_the_same() {
    let scene = Scene::new().await;
    let (reader, endpoint) = subscribed(&scene).await;
    scene.fund(150 * DOLLAR).await;
    let recipient = scene.recipient(SOMEBODY).await;
    scene.circle.advance(Duration::ZERO).await;
    endpoint.take();

    scene.circle.hold_notifications();
    scene.circle.duplicate_notifications(3);
    let transfer = scene.client.create_transfer(key(), &recipient, &usd(DOLLAR)).await.unwrap();
    scene.circle.advance(A_DAY).await;
    assert_eq!(endpoint.take().len(), 0);
    scene.circle.release_notifications(true);
    scene.circle.advance(Duration::ZERO).await;

    let events = events(&scene, &reader, &endpoint).await;
    assert_eq!(events.len(), 6);
    let names: HashSet<&str> = events.iter().map(|event| event.message_id.as_str()).collect();
    assert_eq!(names.len(), 3);
    assert!(events.is_sorted_by_key(|event| std::cmp::Reverse(event.sent_at)), "the last first");
    for event in &events {
        let Resource::Transfer(id) = &event.resource else { panic!("{event:?}") };
        assert_eq!(scene.client.transfer(id).await.unwrap().status, TransferStatus::Complete);
        assert_eq!(*id, transfer.id);
    }
}

#[tokio::test]
async fn what_an_endpoint_does_not_take_comes_again_and_what_is_late_is_still_taken() {
    let scene = Scene::new().await;
    let (reader, endpoint) = subscribed(&scene).await;
    endpoint.refuse(1);
    let wire = scene.client.create_wire(key(), &super::new_wire("000000000010")).await.unwrap();
    scene.circle.advance(Duration::ZERO).await;
    assert_eq!(endpoint.take().len(), 0);
    scene.circle.advance(Duration::from_secs(20)).await;
    let again = events(&scene, &reader, &endpoint).await;
    assert_eq!(again.iter().map(|it| &it.resource).collect::<Vec<_>>(), [&Resource::Wire(wire.id)]);

    scene.circle.delay_notifications(Duration::from_secs(3600));
    scene.circle.advance(Duration::from_secs(60)).await;
    assert_eq!(endpoint.take().len(), 0);
    scene.circle.advance(Duration::from_secs(3600)).await;
    assert_eq!(events(&scene, &reader, &endpoint).await.len(), 1);
}

fn message(now: OffsetDateTime) -> Value {
    let inner = json!({"notificationType": "deposits", "deposit": {"id": "0b6f1d0e-6a4e-4c43-9d12-6c7f6f4c9a02"}});
    json!({
        "Type": "Notification", "MessageId": "ddbdcdcf-d36a-45e5-927f-da25b8d009ae", "TopicArn": TOPIC,
        "Message": inner.to_string(), "Timestamp": now.format(&Rfc3339).unwrap(),
    })
}

#[tokio::test]
async fn a_message_that_is_not_from_circles_topic_with_amazons_signature_is_refused() {
    let scene = Scene::new().await;
    let elsewhere = Circle::start(Sandbox::default()).await.unwrap();
    let (circle, now) = (&scene.circle, scene.circle.now());
    let at = circle.certificate_url();
    let good = sign(&message(now), Signer::Amazon, 1, &at);
    let with = |field: &str, value: &str| {
        let mut changed = good.clone();
        changed[field] = json!(value);
        changed
    };
    let signed_with = |field: &str, value: &str| {
        let mut changed = message(now);
        changed[field] = json!(value);
        sign(&changed, Signer::Amazon, 1, &at)
    };
    let old = (now - A_DAY * 6).format(&Rfc3339).unwrap();
    let future = (now + Duration::from_secs(3600)).format(&Rfc3339).unwrap();
    let other_topic = TOPIC.replace("908968368384", "111111111111");
    let forged = [
        ("another key", sign(&message(now), Signer::Stranger, 1, &at)),
        ("another key, SHA-256", sign(&message(now), Signer::Stranger, 2, &at)),
        ("another version than it was signed in", with("SignatureVersion", "2")),
        ("a version of the future", with("SignatureVersion", "3")),
        ("another message", with("Message", "{}")),
        ("another name, to be taken for a new one", with("MessageId", "another")),
        ("a fresh time on an old message", with("Timestamp", &future)),
        ("another subject", with("Subject", "s")),
        ("no signature", with("Signature", "")),
        ("a signature that is none", with("Signature", "!")),
        ("a certificate from elsewhere", sign(&message(now), Signer::Amazon, 1, &elsewhere.certificate_url())),
        ("a certificate that has run out", sign(&message(now), Signer::Amazon, 1, &circle.expired_certificate_url())),
        ("a certificate that is a question", with("SigningCertURL", &format!("{at}?x=.pem"))),
        ("somebody's own topic", signed_with("TopicArn", &other_topic)),
        ("an old one", signed_with("Timestamp", &old)),
        ("one from the future", signed_with("Timestamp", &future)),
        ("another kind", signed_with("Type", "Something")),
        ("fields cut in another way", signed_with("MessageId", "a\nTimestamp\nb")),
    ];
    let reader = reader(circle);
    for (what, message) in forged {
        let error = reader.receive(message.to_string().as_bytes(), now).await.unwrap_err();
        assert!(matches!(error, Error::Forged(_)), "{what}: {error}");
    }
    for (what, body) in [("nothing", Vec::new()), ("too much", vec![b' '; 300 << 10]), ("no JSON", b"hello".to_vec())] {
        let error = reader.receive(&body, now).await.unwrap_err();
        assert!(matches!(error, Error::Forged(_)), "{what}: {error}");
    }
    reader.receive(good.to_string().as_bytes(), now).await.unwrap();
    // Believed a moment ago is not believed for ever.
    let later = now + A_DAY * 6;
    assert!(reader.receive(good.to_string().as_bytes(), later).await.is_err());
}

#[tokio::test]
async fn a_subscription_is_confirmed_only_where_amazon_is_and_for_our_topic() {
    let scene = Scene::new().await;
    let (circle, now) = (&scene.circle, scene.circle.now());
    let message = |url: &str| {
        let message = json!({
            "Type": "SubscriptionConfirmation", "MessageId": "m", "TopicArn": TOPIC, "Message": "m", "Token": "t",
            "SubscribeURL": url, "Timestamp": now.format(&Rfc3339).unwrap(),
        });
        sign(&message, Signer::Amazon, 1, &circle.certificate_url()).to_string()
    };
    let reader = reader(circle);
    let base = circle.base_url();
    for bad in [
        format!("http://127.0.0.1:1/sns?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=t"),
        format!("{base}/sns?Action=ConfirmSubscription&TopicArn={TOPIC}x&Token=t"),
        format!("{base}/sns?Action=Publish&TopicArn={TOPIC}&Token=t"),
        "nonsense".to_owned(),
    ] {
        let error = reader.receive(message(&bad).as_bytes(), now).await.unwrap_err();
        assert!(matches!(error, Error::Forged(_)), "{bad}: {error}");
    }
    let good = format!("{base}/sns?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=t");
    let Message::Confirmation(confirmation) = reader.receive(message(&good).as_bytes(), now).await.unwrap() else {
        panic!("no confirmation")
    };
    assert!(!format!("{confirmation:?}").contains("Token"));
    // Nobody subscribed with that token.
    assert!(reader.confirm(&confirmation).await.is_err());
}

#[tokio::test]
async fn a_certificate_that_cannot_be_fetched_is_no_forgery() {
    let scene = Scene::new().await;
    let now = scene.circle.now();
    let absent = scene.circle.certificate_url().replace("sandbox.pem", "absent.pem");
    let message = sign(&message(now), Signer::Amazon, 1, &absent).to_string();
    let error = reader(&scene.circle).receive(message.as_bytes(), now).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable(_)), "{error}");
    assert_eq!(error.outcome(), Outcome::NotTried);
}

#[tokio::test]
async fn what_nobody_has_heard_of_is_an_event_all_the_same() {
    let scene = Scene::new().await;
    let now = scene.circle.now();
    let reader = reader(&scene.circle);
    for (inner, topic, resource) in [
        (
            r#"{"notificationType":"moonLandings","moon":{"id":"a"}}"#,
            Topic::Other("moonLandings".into()),
            Resource::Other,
        ),
        (r#"{"notificationType":"deposits"}"#, Topic::Deposits, Resource::Other),
        (r#"{"notificationType":"deposits","deposit":{"id":"../../x"}}"#, Topic::Deposits, Resource::Other),
        (
            r#"{"notificationType":"payouts","payout":{"id":"a-1","new":[]}}"#,
            Topic::Payouts,
            Resource::Payout("a-1".parse().unwrap()),
        ),
        ("no JSON", Topic::Other(String::new()), Resource::Other),
    ] {
        let mut message = message(now);
        message["Message"] = json!(inner);
        let signed = sign(&message, Signer::Amazon, 2, &scene.circle.certificate_url());
        let Message::Event(event) = reader.receive(signed.to_string().as_bytes(), now).await.unwrap() else {
            panic!("no event")
        };
        assert_eq!((event.topic, event.resource), (topic, resource), "{inner}");
    }
}

#[tokio::test]
async fn a_deposit_is_the_same_whatever_the_notification_and_the_list_say() {
    let scene = Scene::new().await;
    let (reader, endpoint) = subscribed(&scene).await;
    scene.fund(150 * DOLLAR).await;
    let deposit = scene.client.all_deposits(None, None).await.unwrap().remove(0);
    scene.circle.contradict(deposit.id.as_str(), Value::Null);
    assert_eq!(scene.client.all_deposits(None, None).await.unwrap(), []);
    let events = events(&scene, &reader, &endpoint).await;
    let named = events.iter().find_map(|event| match &event.resource {
        Resource::Deposit(id) => Some(id),
        _ => None,
    });
    let found = scene.client.deposit(named.unwrap()).await.unwrap();
    assert_eq!((found.status, found.amount), (DepositStatus::Complete, usd(150 * DOLLAR)));
}
