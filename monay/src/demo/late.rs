//! `base-late`: money for a wallet that is gone.

use super::report::StoryReport;
use super::scene::Scene;
use crate::Error;
use crate::stack::Cast;
use alloy_primitives::U256;
use domain::wallet::WalletStatus;

/// 30 USDC.
const LATE: u128 = 30_000_000;

pub(super) async fn play(mut scene: Scene<'_>) -> Result<StoryReport, Error> {
    scene.say("Jane has paid, the wallet is destroyed; a standing order of hers pays the old address once more.");
    let jane = Cast::address(Cast::CUSTOMER);
    let mut bill = scene.electricity_bill();
    bill["refund_address"] = jane.to_string().into();
    let issued = scene.create(&bill).await?;
    scene.pay(&issued, issued.terms.amount).await?;
    scene.until(&issued, "destroyed", |view| view.wallet.status == WalletStatus::Destroyed).await?;
    let before = scene.balance(jane).await?;
    scene.pay(&issued, LATE).await?;
    let final_refund = |view: &store::invoices::InvoiceView| {
        view.transactions.iter().any(|tx| tx.purpose == "refund" && tx.status == "final")
    };
    let view = scene.until(&issued, "returned", final_refund).await?;
    scene.check("Jane has it back", scene.balance(jane).await? == before);
    scene.check("the wallet stayed destroyed", view.wallet.status == WalletStatus::Destroyed);
    scene.check_payee(&issued).await?;
    scene.end("base-late", &issued, view, U256::from(LATE), None).await
}
