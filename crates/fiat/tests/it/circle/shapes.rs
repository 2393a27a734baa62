//! What is sent and read is what Circle documents: the shapes are kept as files beside the sandbox.

use super::{DOLLAR, SOMEBODY, Scene, new_recipient, new_wire, usd};
use domain::money::Units;
use fiat::circle::{
    AccountNumber, Balances, Chain, Currency, Deposit, DepositAddress, DepositStatus, IdempotencyKey, MockWire,
    NewMockWire, Payout, PayoutFailure, PayoutStatus, Place, Recipient, ReturnStatus, Subscription, SubscriptionStatus,
    Transfer, TransferFailure, TransferStatus, Wire, WireInstructions, WireStatus,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

/// A file of shapes.
fn fixture(name: &str) -> Value {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../test-chain/fixtures/circle/");
    let text = std::fs::read_to_string(format!("{folder}{name}.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// What is in the envelope of a documented answer.
fn read<T: DeserializeOwned>(name: &str) -> T {
    let data = fixture(name)["response"]["data"].clone();
    serde_json::from_value(data).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn every_documented_answer_is_read() {
    let balances: Balances = read("balances");
    assert_eq!((balances.available, balances.unsettled), (vec![usd(1_150_250_000)], vec![usd(150 * DOLLAR)]));
    let wire: Wire = read("wire-create");
    assert_eq!((wire.status, wire.tracking_ref.as_deref()), (WireStatus::Pending, Some("CIR25XSXT7")));
    assert_eq!(read::<Wire>("wire-get").status, WireStatus::Complete);
    assert_eq!(read::<Vec<Wire>>("wire-list").len(), 1);
    let instructions: WireInstructions = read("wire-instructions");
    assert_eq!(instructions.beneficiary_bank.account_number, AccountNumber("123815146304".to_owned()));
    assert_eq!(read::<MockWire>("mock-wire").amount, usd(150 * DOLLAR));

    let address: DepositAddress = read("deposit-address-create");
    assert_eq!(read::<Vec<DepositAddress>>("deposit-address-list"), [address]);
    assert_eq!(read::<Recipient>("recipient-create").status.unwrap().as_str(), "pending_verification");
    assert_eq!(read::<Vec<Recipient>>("recipient-list")[0].status.as_ref().unwrap().as_str(), "active");
    assert_eq!(read::<Vec<Recipient>>("recipient-list-without-status")[0].status, None);

    let transfer: Transfer = read("transfer-create");
    assert_eq!((transfer.status, transfer.transaction_hash), (TransferStatus::Pending, None));
    let running: Transfer = read("transfer-get-running");
    assert_eq!((running.status, running.transaction_hash.is_some()), (TransferStatus::Running, true));
    let complete: Transfer = read("transfer-get-complete");
    assert_eq!((complete.status, complete.fees), (TransferStatus::Complete, vec![usd(0)]));
    assert_eq!(read::<Transfer>("transfer-get-failed").failure, Some(TransferFailure::Blockchain));
    let came = &read::<Vec<Transfer>>("transfer-list")[0];
    assert_eq!(came.source, Place::Chain { chain: Chain::Base, address: None, tag: None });
    assert_eq!(came.amount.units, Units(150_000_001));

    assert_eq!(read::<Payout>("payout-create").status, PayoutStatus::Pending);
    let payout: Payout = read("payout-get");
    assert_eq!((payout.status, payout.fees, payout.returned), (PayoutStatus::Complete, vec![usd(0)], None));
    assert_eq!(read::<Payout>("payout-get-failed").failure, Some(PayoutFailure::WireRouting));
    let returned = read::<Payout>("payout-get-returned").returned.unwrap();
    assert_eq!((returned.amount, returned.status), (usd(150 * DOLLAR), ReturnStatus::Complete));
    assert_eq!(read::<Vec<Payout>>("payout-list")[0].tracking_ref, None);

    assert_eq!(read::<Subscription>("subscription-create").subscription_details[0].status, SubscriptionStatus::Pending);
    assert_eq!(read::<Vec<Subscription>>("subscription-list")[0], read("subscription-get"));
}

#[test]
fn a_deposit_is_the_same_in_both_its_shapes() {
    let asked: Deposit = read("deposit-get");
    assert_eq!(read::<Vec<Deposit>>("deposit-list")[0], asked);
    let told = fixture("notification-deposit")["deposit"].clone();
    let told: Deposit = serde_json::from_value(told).unwrap();
    assert_eq!(Deposit { risk: None, ..asked.clone() }, told);
    assert_eq!((told.status, told.fees, told.source), (DepositStatus::Complete, vec![usd(0)], asked.source));
}

#[test]
fn what_notifications_carry_is_read_too() {
    let of = |name: &str, field: &str| fixture(name)[field].clone();
    let transfer: Transfer = serde_json::from_value(of("notification-transfer", "transfer")).unwrap();
    assert_eq!(transfer.status, TransferStatus::Running);
    serde_json::from_value::<Wire>(of("notification-wire", "wire")).unwrap();
    serde_json::from_value::<Payout>(of("notification-payout", "payout")).unwrap();
    serde_json::from_value::<Recipient>(of("notification-recipient", "addressBookRecipient")).unwrap();
}

#[test]
fn money_at_a_bank_with_less_than_a_cent_is_not_read() {
    let mut deposit = fixture("deposit-get")["response"]["data"].clone();
    deposit["amount"]["amount"] = "150.001".into();
    assert!(serde_json::from_value::<Deposit>(deposit).is_err());
}

/// Every request is sent as documented: the sandbox keeps what came, refused or not.
#[tokio::test]
async fn every_request_is_the_documented_one() {
    let scene = Scene::new().await;
    let key: Uuid = fixture("wire-create")["request"]["idempotencyKey"].as_str().unwrap().parse().unwrap();
    let key = IdempotencyKey::try_from(key).unwrap();
    let id = |name: &str| fixture(name)["response"]["data"]["id"].as_str().unwrap().to_owned();
    let client = &scene.client;
    let _ = client.create_wire(key, &new_wire("000000000010")).await;
    let mock = NewMockWire {
        tracking_ref: "CIR25XSXT7".to_owned(),
        amount: usd(150 * DOLLAR),
        account_number: AccountNumber("123815146304".to_owned()),
    };
    let _ = client.mock_wire(&mock).await;
    let _ = client.create_deposit_address(key, &Chain::Base, &Currency::Usd).await;
    let _ = client.create_recipient(key, &new_recipient(SOMEBODY)).await;
    let recipient = id("recipient-create").parse().unwrap();
    let _ = client.create_transfer(key, &recipient, &usd(150 * DOLLAR)).await;
    let _ = client.create_payout(key, &id("wire-create").parse().unwrap(), &usd(150 * DOLLAR)).await;
    let _ = client.delete_recipient(&recipient).await;
    let requests = scene.circle.requests();
    let documented = [
        "wire-create",
        "mock-wire",
        "deposit-address-create",
        "recipient-create",
        "transfer-create",
        "payout-create",
        "recipient-delete",
    ];
    assert_eq!(requests.len(), documented.len());
    for (name, sent) in documented.into_iter().zip(requests) {
        let fixture = fixture(name);
        assert_eq!(format!("{} {}", sent.method, sent.path), fixture["call"], "{name}");
        assert_eq!(sent.body, fixture["request"], "{name}");
    }
}
