//! `base-exact`: the bill is paid to the cent.

use super::report::StoryReport;
use super::scene::Scene;
use crate::Error;
use alloy_primitives::U256;
use domain::invoice::InvoiceStatus;
use domain::wallet::WalletStatus;

pub(super) async fn play(mut scene: Scene<'_>) -> Result<StoryReport, Error> {
    scene.say("Jane's electricity bill for January is $150.");
    let bill = scene.electricity_bill();
    let issued = scene.create(&bill).await?;
    scene.pay(&issued, issued.terms.amount).await?;
    scene.say("The indexer sees the money, the keeper settles it:");
    scene.until(&issued, "paid", |view| view.status == InvoiceStatus::Paid).await?;
    let view = scene.until(&issued, "destroyed", |view| view.wallet.status == WalletStatus::Destroyed).await?;
    if let Some(settle) = view.transactions.iter().find(|tx| tx.purpose == "settle") {
        scene.say(&format!("    settled by {}", settle.tx_hash));
    }

    scene.check_payee(&issued).await?;
    scene.check(
        "Postgres says paid, 150.00 of 150.00",
        view.status == InvoiceStatus::Paid && view.paid == issued.terms.amount,
    );
    let rows = scene.rows(&issued.id).await?;
    let expected = [
        ("invoices", 1),
        ("invoice_terms", scene.rails()),
        ("invoice_wallets", 1),
        ("deposits", 1),
        ("escrow_events", 1),
    ];
    let one_each = expected.iter().chain(&[("payments", 1), ("intents", 1), ("blockchain_transactions", 2)]);
    scene.check(
        "every table concerned has its rows",
        one_each.clone().all(|(table, count)| rows.get(table) == Some(count)),
    );
    scene.end("base-exact", &issued, view, U256::ZERO, None).await
}
