//! `base-expired`: too little, too long.

use super::report::StoryReport;
use super::scene::{Scene, would_work};
use crate::Error;
use crate::stack::Cast;
use alloy_primitives::U256;
use alloy_sol_types::SolCall;
use domain::invoice::InvoiceStatus;
use domain::money::Units;
use domain::wallet::WalletStatus;
use std::time::Duration;
use terms::abi::IInvoiceEscrow::refundCall;

/// 100 of the 150 USDC.
const TOO_LITTLE: u128 = 100_000_000;

pub(super) async fn play(mut scene: Scene<'_>) -> Result<StoryReport, Error> {
    scene.say("The same bill; this time Jane has said where money that comes back should go.");
    let jane = Cast::address(Cast::CUSTOMER);
    let mut bill = scene.electricity_bill();
    bill["refund_address"] = jane.to_string().into();
    let issued = scene.create(&bill).await?;
    let before = scene.balance(jane).await?;
    scene.pay(&issued, TOO_LITTLE).await?;
    scene.until(&issued, "partially_paid", |view| view.status == InvoiceStatus::PartiallyPaid).await?;

    let stranger = Cast::address(Cast::STRANGER);
    let refund = refundCall { terms: (&issued.terms).into(), token: issued.terms.token }.abi_encode();
    let too_early = would_work(&scene, stranger, refund.clone(), None).await?;
    let at_the_end = would_work(&scene, stranger, refund, Some(issued.terms.closes_at)).await?;
    scene.check("with the terms alone a stranger could bring the money back once they close", at_the_end);
    scene.check("and not a moment before", !too_early);

    scene.say("24 hours pass (the chains' clocks are moved on).");
    scene.stack.pass(Duration::from_secs(86_400)).await?;
    let view = scene.until(&issued, "destroyed", |view| view.wallet.status == WalletStatus::Destroyed).await?;

    let after = scene.balance(jane).await?;
    let refund_tx = view.transactions.iter().find(|tx| tx.purpose == "refund");
    if let Some(refund) = refund_tx {
        scene.say(&format!("    refunded by {}", refund.tx_hash));
    }
    scene.check("Jane has every unit back", after == before);
    let received = scene.payee_received(&issued).await?;
    scene.check("UtilityCo Electric got nothing", received.is_zero());
    scene.check("Postgres says expired, 0.00 paid", view.status == InvoiceStatus::Expired && view.paid == 0);
    let refunded = refund_tx.and_then(|tx| tx.amount.parse::<U256>().ok()).unwrap_or_default();
    scene.check(&format!("{} USDC were refunded", Units(TOO_LITTLE)), refunded == U256::from(TOO_LITTLE));
    scene.end("base-expired", &issued, view, refunded, None).await
}
