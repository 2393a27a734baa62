//! Money out and in: once, whatever the network does.

use super::{A_DAY, DOLLAR, SOMEBODY, Scene, config, key, new_recipient, new_wire, usd};
use axum::Router;
use axum::extract::State;
use fiat::circle::{
    AccountNumber, Client, DepositStatus, IdempotencyKey, NewMockWire, PayoutFailure, PayoutFilter, PayoutStatus,
    RecipientStatus, ReturnStatus, RiskDecision, TransferFailure, TransferFilter, TransferStatus, WireStatus,
};
use fiat::{Error, Outcome};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use test_chain::sandbox::circle::{Fault, FaultKind};
use tokio::net::TcpListener;
use uuid::Uuid;

const TRANSFERS: &str = "/v1/businessAccount/transfers";
const PAYOUTS: &str = "/v1/businessAccount/payouts";

#[tokio::test]
async fn an_answer_lost_after_the_commit_and_a_retry_with_the_same_key_move_money_once() {
    for kind in [FaultKind::SilenceAfterCommit, FaultKind::AnswerLost, FaultKind::ErrorAfterCommit] {
        let scene = Scene::new().await;
        let wire = scene.fund(500 * DOLLAR).await;
        let recipient = scene.recipient(SOMEBODY).await;
        let (first, second) = (key(), key());

        scene.circle.fault(Fault::once("POST", TRANSFERS, kind));
        let lost = scene.client.create_transfer(first, &recipient, &usd(150 * DOLLAR)).await.unwrap_err();
        assert_eq!(lost.outcome(), Outcome::Unknown, "{kind:?}: {lost}");
        let transfer = scene.client.create_transfer(first, &recipient, &usd(150 * DOLLAR)).await.unwrap();
        let again = scene.client.create_transfer(first, &recipient, &usd(150 * DOLLAR)).await.unwrap();
        assert_eq!(transfer, again);

        scene.circle.fault(Fault::once("POST", PAYOUTS, kind));
        let lost = scene.client.create_payout(second, &wire.id, &usd(100 * DOLLAR)).await.unwrap_err();
        assert_eq!(lost.outcome(), Outcome::Unknown, "{kind:?}: {lost}");
        let payout = scene.client.create_payout(second, &wire.id, &usd(100 * DOLLAR)).await.unwrap();

        scene.circle.advance(A_DAY).await;
        let transfers = scene.client.all_transfers(&TransferFilter::default(), None, None).await.unwrap();
        assert_eq!(transfers.iter().map(|it| &it.id).collect::<Vec<_>>(), [&transfer.id]);
        let payouts = scene.client.all_payouts(&PayoutFilter::default(), None, None).await.unwrap();
        assert_eq!(payouts.iter().map(|it| &it.id).collect::<Vec<_>>(), [&payout.id]);
        assert_eq!(scene.circle.balances(), (250 * DOLLAR, 0));
    }
}

#[tokio::test]
async fn an_error_of_the_provider_is_unknown_even_if_nothing_was_done() {
    let scene = Scene::new().await;
    scene.fund(500 * DOLLAR).await;
    let recipient = scene.recipient(SOMEBODY).await;
    scene.circle.fault(Fault::once("POST", TRANSFERS, FaultKind::ErrorBefore));
    let key = key();
    let error = scene.client.create_transfer(key, &recipient, &usd(DOLLAR)).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    scene.client.create_transfer(key, &recipient, &usd(DOLLAR)).await.unwrap();
    assert_eq!(scene.circle.balances(), (499 * DOLLAR, 0));
}

#[tokio::test]
async fn a_key_used_for_something_else_is_a_conflict_and_no_proof_of_failure() {
    let scene = Scene::new().await;
    let wire = scene.fund(500 * DOLLAR).await;
    let recipient = scene.recipient(SOMEBODY).await;
    let key = key();
    scene.client.create_transfer(key, &recipient, &usd(DOLLAR)).await.unwrap();
    let other_amount = scene.client.create_transfer(key, &recipient, &usd(2 * DOLLAR)).await.unwrap_err();
    let other_path = scene.client.create_payout(key, &wire.id, &usd(DOLLAR)).await.unwrap_err();
    for error in [other_amount, other_path] {
        assert!(matches!(error, Error::Conflict { code: 1083, .. }), "{error}");
        assert_eq!(error.outcome(), Outcome::Unknown);
    }
    assert_eq!(scene.circle.balances(), (499 * DOLLAR, 0));
}

#[test]
fn only_random_uuids_are_keys() {
    assert!(IdempotencyKey::try_from(Uuid::new_v4()).is_ok());
    for other in [Uuid::now_v7(), Uuid::nil(), Uuid::max()] {
        assert!(IdempotencyKey::try_from(other).is_err(), "{other}");
    }
}

#[tokio::test]
async fn what_circle_refuses_is_refused_with_its_reasons_and_moves_nothing() {
    let scene = Scene::new().await;
    let wire = scene.fund(100 * DOLLAR).await;
    let recipient = scene.recipient(SOMEBODY).await;
    let poor = scene.client.create_transfer(key(), &recipient, &usd(101 * DOLLAR)).await.unwrap_err();
    let poorer = scene.client.create_payout(key(), &wire.id, &usd(101 * DOLLAR)).await.unwrap_err();
    for error in [poor, poorer] {
        assert!(matches!(error, Error::Refused { status: 400, code: Some(1093), .. }), "{error}");
        assert_eq!(error.outcome(), Outcome::Refused);
    }
    let mut incomplete = new_wire("000000000010");
    incomplete.billing_details.district = None;
    incomplete.billing_details.city = String::new();
    let Error::Refused { code: Some(2), fields, .. } = scene.client.create_wire(key(), &incomplete).await.unwrap_err()
    else {
        panic!("not refused");
    };
    let places: Vec<&str> = fields.iter().map(|field| field.location.as_str()).collect();
    assert_eq!(places, ["billingDetails.city", "billingDetails.district"]);
    let absent = "0b6f1d0e-6a4e-4c43-9d12-6c7f6f4c9a04".parse().unwrap();
    assert!(scene.client.transfer(&absent).await.unwrap_err().is_not_found());
    assert_eq!(scene.circle.balances(), (100 * DOLLAR, 0));
}

#[tokio::test]
async fn what_no_bank_can_move_is_not_sent() {
    let scene = Scene::new().await;
    let wire = scene.fund(100 * DOLLAR).await;
    let recipient = scene.recipient(SOMEBODY).await;
    let before = scene.circle.requests().len();
    for units in [0, 1, 9_999, 150 * DOLLAR + 1] {
        let error = scene.client.create_payout(key(), &wire.id, &usd(units)).await.unwrap_err();
        assert!(matches!(error, Error::Input(_)), "{units}: {error}");
        let (tracking_ref, account_number) = ("CIR".to_owned(), AccountNumber("1".to_owned()));
        let mock = NewMockWire { tracking_ref, amount: usd(units), account_number };
        assert!(matches!(scene.client.mock_wire(&mock).await.unwrap_err(), Error::Input(_)));
    }
    let nothing = scene.client.create_transfer(key(), &recipient, &usd(0)).await.unwrap_err();
    assert!(matches!(nothing, Error::Input(_)), "{nothing}");
    assert_eq!(scene.circle.requests().len(), before);
    // A chain can move less than a cent.
    scene.client.create_transfer(key(), &recipient, &usd(1)).await.unwrap();
}

#[tokio::test]
async fn too_many_requests_are_waited_out_and_after_that_said() {
    let scene = Scene::new().await;
    let path = "/v1/businessAccount/balances";
    scene.circle.fault(Fault { times: 4, ..Fault::once("GET", path, FaultKind::TooMany(7_200)) });
    scene.client.balances(None).await.unwrap();
    assert_eq!(scene.came("GET", path), 5, "four refusals, and a wait of hours cut short");

    scene.circle.fault(Fault { times: 5, ..Fault::once("GET", path, FaultKind::TooMany(3)) });
    let error = scene.client.balances(None).await.unwrap_err();
    assert!(matches!(error, Error::RateLimited { retry_after: Some(wait), .. } if wait == Duration::from_secs(3)));
    assert_eq!(error.outcome(), Outcome::NotTried);
}

#[tokio::test]
async fn what_is_unknown_is_not_tried_again_by_the_client_itself() {
    let scene = Scene::new().await;
    scene.fund(10 * DOLLAR).await;
    let recipient = scene.recipient(SOMEBODY).await;
    for kind in [FaultKind::AnswerLost, FaultKind::ErrorBefore, FaultKind::SilenceAfterCommit] {
        let before = scene.came("POST", TRANSFERS);
        scene.circle.fault(Fault::once("POST", TRANSFERS, kind));
        scene.client.create_transfer(key(), &recipient, &usd(1)).await.unwrap_err();
        assert_eq!(scene.came("POST", TRANSFERS), before + 1, "{kind:?}");
    }
}

#[tokio::test]
async fn no_more_requests_are_under_way_than_allowed() {
    type Seen = Arc<(AtomicUsize, AtomicUsize)>;
    async fn slow(State(seen): State<Seen>) -> &'static str {
        let now = seen.0.fetch_add(1, Ordering::SeqCst) + 1;
        seen.1.fetch_max(now, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(20)).await;
        seen.0.fetch_sub(1, Ordering::SeqCst);
        r#"{"message":"pong"}"#
    }
    let seen = Seen::default();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(slow).with_state(Arc::clone(&seen));
    let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let settings = fiat::circle::Config { concurrency: 3, timeout: Duration::from_secs(10), ..config(&url, "k") };
    let client = Client::new(&settings).unwrap();
    let pings: Vec<_> = (0..12)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.ping().await })
        })
        .collect();
    for ping in pings {
        ping.await.unwrap().unwrap();
    }
    server.abort();
    assert_eq!(seen.1.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn nobody_there_means_nothing_was_sent() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = Client::new(&config(&url, "k")).unwrap().ping().await.unwrap_err();
    assert!(matches!(error, Error::Unreachable(_)), "{error}");
    assert_eq!(error.outcome(), Outcome::NotTried);
}

#[tokio::test]
async fn another_key_is_not_let_in_and_that_says_nothing_of_earlier_attempts() {
    let scene = Scene::new().await;
    let stranger = Client::new(&config(scene.circle.base_url(), "LIVE_API_KEY:a:secret")).unwrap();
    stranger.ping().await.unwrap();
    let error = stranger.balances(None).await.unwrap_err();
    assert!(matches!(error, Error::Unauthorised { status: 401, .. }), "{error}");
    assert_eq!(error.outcome(), Outcome::NotTried);
}

#[tokio::test]
async fn no_secret_is_ever_shown() {
    let scene = Scene::new().await;
    let settings = config(scene.circle.base_url(), "LIVE_API_KEY:id:verysecret");
    let client = Client::new(&settings).unwrap();
    let error = client.balances(None).await.unwrap_err();
    let elsewhere = Client::new(&config("http://127.0.0.1:1", "LIVE_API_KEY:id:verysecret")).unwrap();
    let unreachable = elsewhere.balances(None).await.unwrap_err();
    let wrong = Client::new(&config("http://127.0.0.1:1", "verysecret\n")).unwrap_err();
    let wire = new_wire("000123456789");
    let shown = format!("{settings:?} {client:?} {error:?} {error} {unreachable:?} {unreachable} {wrong} {wire:?}");
    assert!(!shown.contains("verysecret"), "{shown}");
    assert!(!shown.contains("000123456789") && shown.contains("****6789"), "{shown}");
    assert_eq!(format!("{:?}", AccountNumber("1234567".to_owned())), "****", "too short to show a part of");
}

#[test]
fn the_key_is_sent_to_nobody_without_encryption() {
    for (url, good) in [
        ("https://api.circle.com", true),
        ("http://127.0.0.1:8080", true),
        ("http://api.circle.com", false),
        ("http://127.0.0.1.evil.example", false),
        ("https://user@api.circle.com", false),
        ("nonsense", false),
    ] {
        assert_eq!(Client::new(&config(url, "k")).is_ok(), good, "{url}");
    }
}

#[tokio::test]
async fn words_that_nobody_has_heard_of_are_kept_and_are_no_failure() {
    let scene = Scene::new().await;
    scene.fund(10 * DOLLAR).await;
    let recipient = scene.recipient(SOMEBODY).await;
    scene.circle.fault(Fault::once("POST", TRANSFERS, FaultKind::UnknownWords));
    let transfer = scene.client.create_transfer(key(), &recipient, &usd(DOLLAR)).await.unwrap();
    assert_eq!(transfer.status, TransferStatus::Other("on_its_way_to_the_moon".to_owned()));
    assert_eq!(scene.client.transfer(&transfer.id).await.unwrap().status, TransferStatus::Pending);
    scene.circle.fault(Fault::once("GET", "/v1/businessAccount/deposits", FaultKind::UnknownWords));
    let deposits = scene.client.all_deposits(None, None).await.unwrap();
    assert_eq!(deposits[0].status.as_str(), "on_its_way_to_the_moon");
}

#[tokio::test]
async fn a_recipient_must_be_approved_before_anything_is_sent_to_it() {
    let scene = Scene::new().await;
    scene.fund(10 * DOLLAR).await;
    let recipient = scene.client.create_recipient(key(), &new_recipient(SOMEBODY)).await.unwrap();
    assert_eq!(recipient.status, Some(RecipientStatus::Pending));
    assert_eq!(recipient.address, SOMEBODY.to_lowercase());
    assert_eq!(scene.client.recipients().await.unwrap(), []);
    let error = scene.client.create_transfer(key(), &recipient.id, &usd(DOLLAR)).await.unwrap_err();
    assert!(matches!(error, Error::Refused { code: Some(2004), .. }), "{error}");
    let twice = scene.client.create_recipient(key(), &new_recipient(SOMEBODY)).await.unwrap_err();
    assert!(matches!(twice, Error::Refused { code: Some(2003), .. }), "{twice}");

    assert!(scene.circle.approve_recipient(recipient.id.as_str()));
    let listed = scene.client.recipients().await.unwrap();
    assert_eq!(listed.iter().map(|it| &it.id).collect::<Vec<_>>(), [&recipient.id]);
    scene.client.create_transfer(key(), &recipient.id, &usd(DOLLAR)).await.unwrap();

    scene.client.delete_recipient(&recipient.id).await.unwrap();
    assert!(scene.client.delete_recipient(&recipient.id).await.unwrap_err().is_not_found());
    assert_eq!(scene.client.recipients().await.unwrap(), []);
}

#[tokio::test]
async fn dollars_of_a_wire_are_unsettled_first_and_then_ours() {
    let scene = Scene::new().await;
    let wire = scene.client.create_wire(key(), &new_wire("000000000010")).await.unwrap();
    assert_eq!(wire.status, WireStatus::Pending);
    assert_eq!(scene.wire().await.status, WireStatus::Complete);
    scene.send_wire(&wire, 150 * DOLLAR).await;
    assert_eq!(scene.client.all_deposits(None, None).await.unwrap(), []);
    scene.circle.advance(Duration::from_secs(15 * 60)).await;
    let pending = scene.client.all_deposits(None, None).await.unwrap();
    assert_eq!((&pending[0].status, pending[0].amount.clone()), (&DepositStatus::Pending, usd(150 * DOLLAR)));
    assert_eq!(pending[0].source.as_deref(), Some(wire.id.as_str()));
    let balances = scene.client.balances(None).await.unwrap();
    assert_eq!((balances.available, balances.unsettled), (vec![usd(0)], vec![usd(150 * DOLLAR)]));
    scene.circle.advance(Duration::from_secs(15 * 60)).await;
    assert_eq!(scene.client.deposit(&pending[0].id).await.unwrap().status, DepositStatus::Complete);
    let wallet = scene.client.master_wallet().await.unwrap();
    let balances = scene.client.balances(Some(&wallet)).await.unwrap();
    assert_eq!((balances.available, balances.unsettled), (vec![usd(150 * DOLLAR)], vec![]));
}

#[tokio::test]
async fn a_denied_deposit_is_never_ours() {
    let scene = Scene::new().await;
    scene.circle.deny_next("deposit");
    scene.fund(150 * DOLLAR).await;
    let deposits = scene.client.all_deposits(None, None).await.unwrap();
    assert_eq!(deposits[0].status, DepositStatus::Failed);
    assert_eq!(deposits[0].risk.as_ref().unwrap().decision, RiskDecision::Denied);
    assert_eq!(scene.circle.balances(), (0, 0));
}

#[tokio::test]
async fn what_fails_later_says_why_and_the_money_is_back() {
    let scene = Scene::new().await;
    let wire = scene.fund(100 * DOLLAR).await;
    let recipient = scene.recipient(SOMEBODY).await;
    scene.circle.deny_next("transfer");
    scene.circle.fail_next("payout", "invalid_wire_rtn");
    let transfer = scene.client.create_transfer(key(), &recipient, &usd(10 * DOLLAR)).await.unwrap();
    let payout = scene.client.create_payout(key(), &wire.id, &usd(20 * DOLLAR)).await.unwrap();
    assert_eq!(scene.circle.balances(), (70 * DOLLAR, 0));
    scene.circle.advance(A_DAY).await;
    let transfer = scene.client.transfer(&transfer.id).await.unwrap();
    assert_eq!((transfer.status, transfer.failure), (TransferStatus::Failed, Some(TransferFailure::Denied)));
    let payout = scene.client.payout(&payout.id).await.unwrap();
    assert_eq!((payout.status, payout.failure), (PayoutStatus::Failed, Some(PayoutFailure::WireRouting)));
    assert_eq!(scene.circle.balances(), (100 * DOLLAR, 0));
}

#[tokio::test]
async fn a_complete_payout_may_come_back() {
    let scene = Scene::new().await;
    let wire = scene.fund(100 * DOLLAR).await;
    let payout = scene.client.create_payout(key(), &wire.id, &usd(100 * DOLLAR)).await.unwrap();
    assert_eq!((&payout.status, payout.destination.id.as_str()), (&PayoutStatus::Pending, wire.id.as_str()));
    assert!(payout.tracking_ref.is_some());
    assert!(!scene.circle.return_payout(payout.id.as_str(), "too early"));
    scene.circle.advance(A_DAY).await;
    let complete = scene.client.payout(&payout.id).await.unwrap();
    assert_eq!((complete.status, complete.returned), (PayoutStatus::Complete, None));
    scene.circle.advance(A_DAY * 3).await;
    assert!(scene.circle.return_payout(payout.id.as_str(), "Account closed"));
    let back = scene.client.payout(&payout.id).await.unwrap();
    assert_eq!(back.status, PayoutStatus::Complete);
    let returned = back.returned.unwrap();
    assert_eq!((returned.amount, returned.status), (usd(100 * DOLLAR), ReturnStatus::Complete));
    assert_eq!(returned.reason.as_deref(), Some("Account closed"));
    assert_eq!(scene.circle.balances(), (100 * DOLLAR, 0));
    assert!(!scene.circle.return_payout(payout.id.as_str(), "twice"));
}
