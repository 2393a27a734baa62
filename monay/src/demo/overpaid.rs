//! `base-overpaid`: too much; the rest goes where the customer says.

use super::report::StoryReport;
use super::scene::Scene;
use crate::Error;
use alloy_primitives::U256;
use domain::invoice::InvoiceStatus;
use domain::money::Units;
use domain::wallet::WalletStatus;
use serde_json::json;

/// 45 USDC more than the bill.
const EXCESS: u128 = 45_000_000;

pub(super) async fn play(mut scene: Scene<'_>) -> Result<StoryReport, Error> {
    scene.say("Jane pays from an exchange and types 195 instead of 150. Nobody knows an address of hers.");
    let bill = scene.electricity_bill();
    let issued = scene.create(&bill).await?;
    scene.pay(&issued, issued.terms.amount + EXCESS).await?;
    let view = scene.until(&issued, "paid", |view| view.wallet.status == WalletStatus::Destroying).await?;
    let exactly = async |scene: &Scene<'_>| Ok(scene.payee_received(&issued).await? == U256::from(issued.terms.amount));
    scene.check_soon("UtilityCo Electric has exactly 150 USDC more, not 195", exactly).await?;
    let waits = view.status == InvoiceStatus::Overpaid && view.wallet.balance == EXCESS.to_string();
    scene.check(&format!("{} USDC wait at the address for Jane's word", Units(EXCESS)), waits);

    let own = scene.fresh_address()?;
    scene.say(&format!("On the pay page Jane says: send it to {own}."));
    let path = format!("{}/refund", issued.pay_path);
    scene.post(&path, &json!({"to": own, "word": "Jane, on the pay page: my own wallet"}), false).await?;
    let view = scene.until(&issued, "destroyed", |view| view.wallet.status == WalletStatus::Destroyed).await?;
    let returned = scene.balance(own).await?;
    scene.check(&format!("Jane has {} USDC there", Units(EXCESS)), returned == U256::from(EXCESS));
    scene.check("her word is kept with the order", scene.count_orders(&issued).await? == 1);
    scene.end("base-overpaid", &issued, view, returned, None).await
}
