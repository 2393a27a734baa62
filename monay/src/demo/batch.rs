//! `base-batch`: fifty invoices at once, one of them poisoned.

use super::report::StoryReport;
use super::scene::{Issued, Scene};
use crate::Error;
use crate::stack::{Cast, OTHER_TENANT};
use alloy_primitives::U256;
use domain::invoice::InvoiceStatus;
use domain::wallet::WalletStatus;
use std::time::{Duration, Instant};

/// Invoices in all.
const INVOICES: usize = 50;

pub(super) async fn play(mut scene: Scene<'_>) -> Result<StoryReport, Error> {
    scene.say(&format!(
        "{INVOICES} bills, all paid in one block. The payee of one was blacklisted by the token's issuer."
    ));
    let other = Cast::address(Cast::OTHER_ENTERPRISE);
    scene.blacklist(other, true).await?;
    let poisoned = scene.create_quietly(OTHER_TENANT, &scene.stack.other_api_key).await?;
    let mut all: Vec<Issued> = Vec::new();
    for _ in 1..INVOICES {
        all.push(scene.create_quietly(crate::stack::TENANT, &scene.stack.api_key).await?);
    }
    let addresses: Vec<_> = all.iter().chain([&poisoned]).map(|issued| issued.address).collect();
    scene.pay_all(&addresses, all[0].terms.amount).await?;
    let since = Instant::now();
    let (mut paid, mut told) = (0, 0);
    while paid < all.len() && since.elapsed() < Duration::from_secs(60) {
        paid = scene.count_destroyed(&all).await?;
        if paid != told {
            scene.say(&format!(
                "    {:>5.1} s  {paid} of {} paid and destroyed",
                super::seconds(since.elapsed()),
                all.len()
            ));
            told = paid;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    scene.took("batch", since);
    scene.check("the 49 good ones are paid", paid == all.len());
    let transactions = scene.settling_transactions(&all).await?;
    scene.check(&format!("in {transactions} transaction(s), not 49"), transactions <= 5);
    let view = scene.invoice(OTHER_TENANT, &poisoned.id).await?;
    scene.check(
        "the poisoned one waits, its money untouched",
        view.paid == 0 && view.wallet.balance == view.amount.to_string(),
    );

    scene.say("The issuer takes the payee off the blacklist.");
    scene.blacklist(other, false).await?;
    let paid = |view: &store::invoices::InvoiceView| view.wallet.status == WalletStatus::Destroyed;
    let view = scene.until_of(OTHER_TENANT, &poisoned, "poisoned_paid", paid).await?;
    scene.check("and now it is paid too", view.status == InvoiceStatus::Paid);
    scene.end("base-batch", &poisoned, view, U256::ZERO, None).await
}
