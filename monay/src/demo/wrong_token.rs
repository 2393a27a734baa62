//! `base-wrong-token`: the right address, another token.

use super::report::StoryReport;
use super::scene::Scene;
use crate::Error;
use crate::stack::Cast;
use alloy_primitives::U256;
use domain::invoice::InvoiceStatus;
use domain::wallet::WalletStatus;
use serde_json::json;
use test_chain::contracts::balance_of;

/// 150 of a token that is not the invoice's.
const WRONG: u128 = 150_000_000;

pub(super) async fn play(mut scene: Scene<'_>) -> Result<StoryReport, Error> {
    scene.say("Jane holds two dollar tokens, and sends the wrong one.");
    let jane = Cast::address(Cast::CUSTOMER);
    let other = scene.other_token(jane, WRONG).await?;
    let mut bill = scene.electricity_bill();
    bill["refund_address"] = jane.to_string().into();
    let issued = scene.create(&bill).await?;
    scene.say(&format!("Jane's wallet sends 150 of {other} instead of USDC"));
    scene.customer.send(other, issued.address, WRONG).await?;
    let foreign = |view: &store::invoices::InvoiceView| view.exceptions.iter().any(|word| word == "foreign_token");
    let view = scene.until(&issued, "seen", foreign).await?;
    scene.check(
        "it pays nothing: the invoice still waits",
        view.status == InvoiceStatus::PendingPayment && view.paid == 0,
    );

    scene.say("On the pay page Jane asks for it back, and pays with USDC.");
    let path = format!("{}/refund", issued.pay_path);
    scene.post(&path, &json!({"token": other, "word": "Jane, on the pay page: wrong token"}), false).await?;
    let returned = |view: &store::invoices::InvoiceView| {
        view.transactions.iter().any(|tx| tx.purpose == "refund" && tx.token.eq_ignore_ascii_case(&other.to_string()))
    };
    scene.until(&issued, "returned", returned).await?;
    scene.pay(&issued, issued.terms.amount).await?;
    let view = scene.until(&issued, "destroyed", |view| view.wallet.status == WalletStatus::Destroyed).await?;
    let back = balance_of(&scene.stack.node, other, jane).await?;
    scene.check("Jane has all of the other token back", back == U256::from(WRONG));
    scene.check_paid(&issued, &view).await?;
    scene.end("base-wrong-token", &issued, view, U256::from(WRONG), None).await
}
