//! `base-direct`: a wallet pays through `InvoiceEscrow.pay`; nothing ever lies at the address.

use super::report::StoryReport;
use super::scene::Scene;
use crate::Error;
use alloy_primitives::{Address, U256};
use domain::wallet::WalletStatus;

/// The terms as `cast` writes a tuple.
const TERMS: &str = "(uint8,uint64,bytes32,address,address,uint128,uint64,address,address,address,uint8)";

pub(super) async fn play(mut scene: Scene<'_>) -> Result<StoryReport, Error> {
    scene.say("Jane's wallet knows the escrow: it pays the bill itself, with no keeper in between (settler 0).");
    let mut bill = scene.electricity_bill();
    bill["direct"] = true.into();
    let issued = scene.create(&bill).await?;
    let (terms, chain) = (&issued.terms, scene.stack.chain()?.clone());
    scene.check("anyone may settle these terms", terms.settler == Address::ZERO);
    let tuple = format!(
        "({},{},{},{},{},{},{},{},{},{},{})",
        terms.version,
        terms.chain,
        terms.invoice_id,
        terms.payee,
        terms.token,
        terms.amount,
        terms.closes_at,
        terms.refund_to,
        terms.refund_key,
        terms.settler,
        terms.flags,
    );
    let amount = terms.amount.to_string();
    scene.say("Jane's wallet approves 150 USDC to the escrow and calls pay(terms, 150)");
    scene.customer.call(chain.token, &["approve(address,uint256)", &chain.escrow.to_string(), &amount]).await?;
    scene.customer.call(chain.escrow, &[&format!("pay({TERMS},uint256)"), &tuple, &amount]).await?;
    let view = scene.until(&issued, "destroyed", |view| view.wallet.status == WalletStatus::Destroyed).await?;
    scene.check_paid(&issued, &view).await?;
    let kinds: Vec<&str> = view.transactions.iter().map(|tx| tx.purpose.as_str()).collect();
    scene.check("one transfer, from Jane to the payee", kinds == ["pay"]);
    let rows = scene.rows(&issued.id).await?;
    scene.check("and no transaction of ours", rows.get("intents") == Some(&0));
    scene.end("base-direct", &issued, view, U256::ZERO, None).await
}
