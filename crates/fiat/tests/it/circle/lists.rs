//! Lists are complete, and what they say adds up.

use super::{A_DAY, DOLLAR, SOMEBODY, Scene, key, usd};
use domain::money::Units;
use fiat::Error;
use fiat::circle::{
    Cursor, Deposit, DepositStatus, PAGE_SIZE, PayoutFilter, Place, TransferFilter, TransferStatus, Window,
};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::time::Duration;
use test_chain::sandbox::circle::Config as Sandbox;

fn ids(deposits: &[Deposit]) -> Vec<&str> {
    deposits.iter().map(|deposit| deposit.id.as_str()).collect()
}

#[tokio::test]
async fn pages_are_complete_while_more_comes_in() {
    for link_header in [true, false] {
        let scene = Scene::with(Sandbox { link_header, ..Sandbox::default() }).await;
        let wire = scene.wire().await;
        for _ in 0..12 {
            scene.send_wire(&wire, DOLLAR).await;
            scene.circle.advance(Duration::from_secs(3600)).await;
        }
        let before = scene.client.all_deposits(None, None).await.unwrap();
        assert_eq!(before.len(), 12);
        assert!(before.is_sorted_by_key(|deposit| std::cmp::Reverse(deposit.create_date)), "newest first");

        let mut seen = Vec::new();
        let mut window = Window { size: Some(4), ..Window::default() };
        loop {
            let page = scene.client.deposits(&window).await.unwrap();
            seen.extend(page.items);
            // One more, at the head of the list.
            scene.send_wire(&wire, DOLLAR).await;
            scene.circle.advance(Duration::from_secs(3600)).await;
            match page.older {
                Some(older) => window.cursor = Some(older),
                None => break,
            }
        }
        assert_eq!(ids(&seen), ids(&before), "each once, none missing, with link header: {link_header}");
        let newer = Window { cursor: Some(Cursor::Before(seen[0].id.to_string())), ..Window::default() };
        let newer = scene.client.deposits(&newer).await.unwrap().items;
        assert!(newer.len() >= 3 && newer.iter().all(|new| !seen.contains(new)));
    }
}

#[tokio::test]
async fn a_list_longer_than_a_page_is_read_to_its_end() {
    for (link_header, count) in [(true, 120), (false, 120), (false, 2 * u32::from(PAGE_SIZE))] {
        let scene = Scene::with(Sandbox { link_header, ..Sandbox::default() }).await;
        let wire = scene.wire().await;
        for _ in 0..count {
            scene.send_wire(&wire, DOLLAR).await;
        }
        scene.circle.advance(A_DAY).await;
        let deposits = scene.client.all_deposits(None, None).await.unwrap();
        let unique: HashSet<&str> = ids(&deposits).into_iter().collect();
        assert_eq!((deposits.len(), unique.len()), (count as usize, count as usize));
    }
}

#[tokio::test]
async fn recipients_are_read_to_the_last_too() {
    let scene = Scene::new().await;
    for at in 0..=u32::from(PAGE_SIZE) {
        scene.recipient(&format!("0x{at:040x}")).await;
    }
    assert_eq!(scene.client.recipients().await.unwrap().len(), usize::from(PAGE_SIZE) + 1);
}

#[tokio::test]
async fn a_time_has_both_its_ends_in_it() {
    let scene = Scene::new().await;
    let wire = scene.wire().await;
    for _ in 0..3 {
        scene.send_wire(&wire, DOLLAR).await;
        scene.circle.advance(Duration::from_secs(3600)).await;
    }
    let all = scene.client.all_deposits(None, None).await.unwrap();
    let middle = all[1].create_date;
    let from = |from, to| async move { scene.client.all_deposits(from, to).await.unwrap() };
    assert_eq!(ids(&from(middle, middle).await), ids(&all[1..2]));
}

#[tokio::test]
async fn circle_takes_one_cursor_only_and_says_what_is_wrong() {
    let scene = Scene::new().await;
    let unknown = Window { cursor: Some(Cursor::After("nobody".to_owned())), ..Window::default() };
    let error = scene.client.deposits(&unknown).await.unwrap_err();
    let Error::Refused { fields, .. } = error else { panic!("{error}") };
    assert_eq!(fields[0].location, "pageAfter");
}

#[tokio::test]
async fn what_lists_say_adds_up_to_the_balance() {
    let scene = Scene::new().await;
    let wire = scene.fund(1_000 * DOLLAR).await;
    let recipient = scene.recipient(SOMEBODY).await;
    scene.send_wire(&wire, 250 * DOLLAR + 250_000).await;
    scene.circle.advance(A_DAY).await;
    for (at, units) in [100, 200, 300].into_iter().enumerate() {
        if at == 1 {
            scene.circle.fail_next("transfer", "blockchain_error");
        }
        scene.client.create_transfer(key(), &recipient, &usd(units * DOLLAR + 1)).await.unwrap();
        scene.circle.advance(A_DAY).await;
    }
    for at in 0..3 {
        if at == 0 {
            scene.circle.deny_next("payout");
        }
        let payout = scene.client.create_payout(key(), &wire.id, &usd(50 * DOLLAR)).await.unwrap();
        scene.circle.advance(A_DAY).await;
        if at == 2 {
            assert!(scene.circle.return_payout(payout.id.as_str(), "Account closed"));
        }
    }
    let deposits = scene.client.all_deposits(None, None).await.unwrap();
    let deposits = deposits.iter().filter(|it| it.status == DepositStatus::Complete).map(|it| it.amount.units.0);
    let transfers = scene.client.all_transfers(&TransferFilter::default(), None, None).await.unwrap();
    assert!(transfers.iter().all(|it| matches!(it.source, Place::Wallet(_))));
    let transfers = transfers.iter().filter(|it| it.status != TransferStatus::Failed).map(|it| it.amount.units.0);
    let payouts = scene.client.all_payouts(&PayoutFilter::default(), None, None).await.unwrap();
    assert!(payouts.iter().all(|payout| payout.tracking_ref.is_none()), "lists leave it out");
    let gone = payouts.iter().filter(|it| it.status.as_str() != "failed" && it.returned.is_none());
    let sum = deposits.sum::<u128>() - transfers.sum::<u128>() - gone.map(|it| it.amount.units.0).sum::<u128>();
    assert_eq!(scene.client.balances(None).await.unwrap().available_usd(), Units(sum));
    assert_eq!(sum, 1_250 * DOLLAR + 250_000 - 400 * DOLLAR - 2 - 50 * DOLLAR);
}

#[tokio::test]
async fn a_list_that_contradicts_what_is_asked_for_by_id_shows_as_it_is() {
    let scene = Scene::new().await;
    scene.fund(150 * DOLLAR).await;
    let deposit = scene.client.all_deposits(None, None).await.unwrap().remove(0);
    scene.circle.contradict(deposit.id.as_str(), json!({"amount": {"amount": "151.00", "currency": "USD"}}));
    assert_eq!(scene.client.all_deposits(None, None).await.unwrap()[0].amount, usd(151 * DOLLAR));
    assert_eq!(scene.client.deposit(&deposit.id).await.unwrap(), deposit);
    scene.circle.contradict(deposit.id.as_str(), Value::Null);
    assert_eq!(scene.client.all_deposits(None, None).await.unwrap(), []);
    assert_eq!(scene.client.deposit(&deposit.id).await.unwrap(), deposit);
}
