//! Receipts in Postgres: once, in any order, by many at once.

use crate::{BANK, Books, FEE, GATE, PRINCIPAL, TOKEN, receipt};
use domain::ledger::Location;
use domain::money::Units;
use domain::receipt::{Arrival, Event, FiatRail, ReceiptState};
use serde_json::json;
use store::receipts::{Applied, Source, apply, get, record};
use store::suspense::{self, Proposal};
use uuid::Uuid;

fn settled(rail: FiatRail) -> Event {
    match rail {
        FiatRail::Wire => Event::Settled { amount: PRINCIPAL, fee: Units(0), arrival: Arrival::Credited(BANK.into()) },
        _ => Event::Settled { amount: Units(PRINCIPAL.0 + FEE.0), fee: Units(4_720_000), arrival: Arrival::Collected },
    }
}

fn minted() -> Event {
    Event::Minted { token: TOKEN.into(), amount: PRINCIPAL }
}

async fn tell(books: &Books, id: Uuid, event: Event) -> Result<Applied, store::Error> {
    let mut db = books.store.begin().await.unwrap();
    let applied = apply(&mut db, id, &event, Source::default()).await?;
    db.commit().await.unwrap();
    Ok(applied)
}

/// As the treasury does it: what the provider says is stored, then applied.
async fn told(books: &Books, id: Uuid, external: &str, event: Event) -> Applied {
    let mut db = books.store.begin().await.unwrap();
    let recorded = record(&mut db, GATE, external, "webhook", &json!({ "says": external })).await.unwrap();
    db.commit().await.unwrap();
    let mut db = books.store.begin().await.unwrap();
    let source = Source { fiat_event: Some(recorded.id), ..Source::default() };
    let applied = apply(&mut db, id, &event, source).await.unwrap();
    db.commit().await.unwrap();
    applied
}

const YES: Applied = Applied::Yes { waited: 0 };

#[tokio::test]
async fn a_card_payment_becomes_tokens_and_every_table_says_so() {
    let books = Books::open().await;
    let id = books.receipt(FiatRail::Card).await;
    for event in [Event::Submitted, settled(FiatRail::Card), Event::Held, Event::Cleared] {
        assert_eq!(tell(&books, id, event.clone()).await.unwrap(), YES, "{event:?}");
    }
    let mut db = books.store.begin().await.unwrap();
    let source = Source { mint: Some(("tempo", "0xabc")), ..Source::default() };
    assert_eq!(apply(&mut db, id, &minted(), source).await.unwrap(), YES);
    db.commit().await.unwrap();
    let position = books.audited().await;
    assert_eq!((position.reserve, position.token_liability, position.deficit), (150_000_000, 150_000_000, 0));
    let row = "SELECT concat_ws(' ', status, amount, token_amount, token_currency, blockchain, transaction_hash,
        token_mint_id IS NOT NULL, confirmed_at IS NOT NULL) FROM fiat_reserve";
    assert_eq!(books.text(row).await, "confirmed 150.000000 150.000000 USDC tempo 0xabc t t");
    assert_eq!(books.text("SELECT balance::text FROM reserve_accounts").await, "150.000000");
    assert_eq!(
        books
            .count("SELECT count(*) FROM audit_log WHERE action = 'WALLET_TOP_OFF' AND token_mint_id IS NOT NULL")
            .await,
        1
    );
}

#[tokio::test]
async fn a_deposit_told_by_many_at_once_is_booked_once() {
    let books = Books::open().await;
    let id = books.receipt(FiatRail::Wire).await;
    let (event, books) = (settled(FiatRail::Wire), &books);
    let all: Vec<_> =
        (0..8).map(|n| told(books, id, if n % 2 == 0 { "same" } else { "other" }, event.clone())).collect();
    let applied = futures_util::future::join_all(all).await;
    assert_eq!(applied.iter().filter(|applied| **applied == YES).count(), 1, "{applied:?}");
    assert!(applied.iter().all(|applied| [YES, Applied::Already].contains(applied)), "{applied:?}");
    assert_eq!(books.count("SELECT count(*) FROM ledger_transfers WHERE kind = 'received'").await, 1);
    assert_eq!(books.count("SELECT count(*) FROM fiat_events WHERE state IN ('applied', 'duplicate')").await, 2);
    books.audited().await;
}

#[tokio::test]
async fn what_comes_too_early_waits_and_is_applied_in_the_end() {
    let books = Books::open().await;
    let id = books.receipt(FiatRail::Card).await;
    tell(&books, id, Event::Submitted).await.unwrap();
    let place = || Location::Provider(GATE.into());
    let opened = Event::ChargebackOpened { trace: "cb".into(), amount: Units(152_500_000), from: place() };
    assert_eq!(told(&books, id, "3", Event::ChargebackWon { trace: "cb".into(), to: place() }).await, Applied::Waits);
    assert_eq!(told(&books, id, "2", opened.clone()).await, Applied::Waits);
    assert_eq!(told(&books, id, "1", settled(FiatRail::Card)).await, Applied::Yes { waited: 2 });
    let mut db = books.store.begin().await.unwrap();
    let stored = get(&mut db, id, false).await.unwrap();
    assert_eq!((stored.receipt.state, stored.receipt.taken()), (ReceiptState::Held, Units(0)));
    assert_eq!(told(&books, id, "2", opened).await, Applied::Already);
    // A decision that is too early is none.
    assert!(tell(&books, id, Event::Submitted).await.is_ok_and(|applied| applied == Applied::Already));
    let top_up = Event::ToppedUp { trace: "t".into(), amount: Units(1) };
    assert!(tell(&books, id, top_up).await.is_err());
    books.audited().await;
}

#[tokio::test]
async fn a_return_after_the_mint_is_a_deficit_in_postgres_too_and_stops_nothing_that_others_decide() {
    let books = Books::open().await;
    let id = books.receipt(FiatRail::Wire).await;
    for event in [settled(FiatRail::Wire), Event::Held, Event::Cleared, minted()] {
        tell(&books, id, event).await.unwrap();
    }
    let back = Event::Returned { trace: "r1".into(), amount: PRINCIPAL, from: Location::Bank(BANK.into()) };
    assert_eq!(told(&books, id, "r1", back.clone()).await, YES);
    // The same return under another name of the provider's: a report line.
    assert_eq!(told(&books, id, "line 7", back).await, Applied::Already);
    let position = books.audited().await;
    assert_eq!((position.reserve, position.deficit, position.is_whole()), (0, 150_000_000, false));
    assert_eq!(books.text("SELECT status FROM fiat_reserve").await, "failed");

    // Own capital fills it up, and no more than there is.
    let top_up = |trace: &str, units| Event::ToppedUp { trace: trace.into(), amount: Units(units) };
    assert!(tell(&books, id, top_up("t1", 150_000_001)).await.is_err());
    tell(&books, id, top_up("t2", 150_000_000)).await.unwrap();
    let position = books.audited().await;
    assert_eq!((position.reserve, position.loss_reserve, position.is_whole()), (150_000_000, 50_000_000, true));

    // More is taken than was paid: nobody knows what for, and a person is told, with both sides.
    let more = Event::Returned { trace: "r2".into(), amount: Units(1), from: Location::Bank(BANK.into()) };
    assert!(matches!(told(&books, id, "r2", more).await, Applied::Refused(_)));
    let mut db = books.store.begin().await.unwrap();
    let cases = store::reconciliation::cases(&mut db, 10).await.unwrap();
    assert_eq!(cases.len(), 1);
    assert!(store::reconciliation::resolve(&mut db, cases[0].id, "the bank's mistake", "ann").await.unwrap());
}

#[tokio::test]
async fn card_money_is_minted_at_once_as_far_as_own_capital_goes_and_no_further() {
    let books = Books::open().await;
    let (one, two) = (books.receipt(FiatRail::Card).await, books.receipt(FiatRail::Card).await);
    tell(&books, one, Event::Submitted).await.unwrap();
    tell(&books, two, Event::Submitted).await.unwrap();
    tell(&books, one, Event::Accepted).await.unwrap();
    assert_eq!(books.audited().await.loss_reserve, 50_000_000);
    let refused = tell(&books, two, Event::Accepted).await.expect_err("there are 50.00 left");
    assert!(refused.to_string().contains("loss_reserve:main would be below zero"), "{refused}");
    // The money comes, and own capital is free again.
    tell(&books, one, settled(FiatRail::Card)).await.unwrap();
    let mut db = books.store.begin().await.unwrap();
    let paid = crate::house(domain::ledger::EntryKind::GatewayPaidOut, "batch", Units(147_780_000));
    store::ledger::book(&mut db, &paid).await.unwrap();
    db.commit().await.unwrap();
    tell(&books, one, Event::Restored { trace: "batch".into(), amount: PRINCIPAL }).await.unwrap();
    tell(&books, two, Event::Accepted).await.unwrap();
    assert_eq!(books.audited().await.reserve, 300_000_000);
}

#[tokio::test]
async fn unmatched_money_is_assigned_by_two_people_and_never_by_one() {
    let books = Books::open().await;
    let mut db = books.store.begin().await.unwrap();
    let line = record(&mut db, "main-bank", "stmt-1", "report", &json!({ "amount": "150.00" })).await.unwrap();
    let again = record(&mut db, "main-bank", "stmt-1", "report", &json!({ "amount": "150.01" })).await.unwrap();
    assert!(line.news && !again.news && !again.same, "one name for two things is seen");
    let item = suspense::open(&mut db, BANK, line.id, PRINCIPAL, Some("J. DOE"), None).await.unwrap();
    assert_eq!(suspense::open(&mut db, BANK, line.id, PRINCIPAL, Some("J. DOE"), None).await.unwrap(), item);
    let id = receipt(&mut db, FiatRail::Wire).await;
    db.commit().await.unwrap();

    let approve = async |who: &str| {
        let mut db = books.store.begin().await.unwrap();
        suspense::approve(&mut db, item, who).await?;
        db.commit().await.unwrap();
        Ok::<_, store::Error>(())
    };
    assert!(approve("ann").await.is_err(), "nobody has proposed anything");
    let mut db = books.store.begin().await.unwrap();
    suspense::propose(&mut db, item, Proposal::Receipt(id), "ann").await.unwrap();
    db.commit().await.unwrap();
    assert!(approve("ann").await.is_err(), "one person did both");
    for (what, sql) in [
        (
            "both at once",
            "UPDATE suspense_items SET state = 'assigned', proposed_by = 'x', approved_by = 'y', approved_at = now()",
        ),
        (
            "another receipt while approving",
            "UPDATE suspense_items SET state = 'returned', proposed_receipt = NULL, proposed_return = TRUE, approved_by = 'y'",
        ),
        ("another amount", "UPDATE suspense_items SET amount_units = 1"),
        ("none left", "DELETE FROM suspense_items"),
    ] {
        assert!(books.run(sql).await.is_err(), "{what}");
    }
    approve("bob").await.unwrap();
    assert!(approve("eve").await.is_err(), "decided twice");
    let mut db = books.store.begin().await.unwrap();
    assert_eq!(get(&mut db, id, false).await.unwrap().receipt.state, ReceiptState::Settled);
    assert_eq!(
        books
            .count("SELECT count(*) FROM ledger_transfers WHERE source LIKE 'suspense/%' OR kind = 'suspense_assigned'")
            .await,
        2
    );
    books.audited().await;
}

#[tokio::test]
async fn what_a_provider_has_told_is_not_changed() {
    let books = Books::open().await;
    let id = books.receipt(FiatRail::Wire).await;
    told(&books, id, "e", settled(FiatRail::Wire)).await;
    for sql in [
        "UPDATE fiat_events SET body = '{}'",
        "UPDATE fiat_events SET state = 'received'",
        "DELETE FROM fiat_events",
        "TRUNCATE fiat_events CASCADE",
        "UPDATE fiat_receipts SET minted_units = 1",
    ] {
        assert!(books.run(sql).await.is_err(), "{sql}");
    }
}

#[tokio::test]
async fn what_is_not_needed_becomes_the_customers_credit() {
    let books = Books::open().await;
    let id = books.receipt(FiatRail::Wire).await;
    for event in [settled(FiatRail::Wire), Event::Held, Event::Cleared] {
        tell(&books, id, event).await.unwrap();
    }
    tell(&books, id, Event::GivenBack { trace: "1".into() }).await.unwrap();
    let credit = "SELECT customer_id || ' ' || amount || ' ' || status FROM customer_credits";
    assert_eq!(books.text(credit).await, "jane 150.000000 AVAILABLE");
    assert_eq!(books.audited().await.owed(), 0);
}
