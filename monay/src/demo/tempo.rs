//! The same bill on Tempo.

use super::customer::Customer;
use super::report::{Chain, StoryReport};
use super::scene::Scene;
use crate::Error;
use alloy::providers::Provider;
use alloy_primitives::U256;
use chain::tempo::FEE_MANAGER;
use domain::invoice::InvoiceStatus;
use domain::wallet::WalletStatus;
use std::time::Instant;

pub(super) async fn exact(mut scene: Scene<'_>) -> Result<StoryReport, Error> {
    scene.say("The same bill; this time Jane has dollars on Tempo, and pays the network's fee in dollars too.");
    let bill = scene.electricity_bill();
    let issued = scene.create(&bill).await?;
    let rail = issued.tempo.as_ref().ok_or_else(|| Error::Story("the invoice has no address on Tempo".to_owned()))?;
    let net = scene.tempo()?;
    let sent = Instant::now();
    scene.say("Jane's wallet (`cast`) knows nothing of us and sends 150.00 with a plain transfer");
    let jane = Customer { rpc_url: net.node().rpc_url(), ..scene.customer.clone() };
    let hash = jane.send(net.config.token, rail.address, rail.terms.amount).await?;
    let took = scene.took("customer_transfer", sent);
    scene.say(&format!("    {hash} is in a block after {took}"));
    let fees_before = net.balance(FEE_MANAGER).await?;

    let view = scene.until(&issued, "destroyed", |view| view.wallet.status == WalletStatus::Destroyed).await?;
    let amount = U256::from(rail.terms.amount);
    let payee_received = net.balance(rail.terms.payee).await?.saturating_sub(rail.payee_before);
    scene.check("UtilityCo Electric has exactly 150 USDC more on Tempo", payee_received == amount);
    scene.check("and nothing on Base", scene.payee_received(&issued).await?.is_zero());
    scene.check(
        "Postgres says paid, 150.00 of 150.00",
        view.status == InvoiceStatus::Paid && view.paid == issued.terms.amount,
    );
    let settled = view.transactions.iter().find(|tx| tx.purpose == "settle");
    scene.check("one settlement, on Tempo", settled.is_some_and(|tx| tx.chain == "tempo"));
    let deposits = view.transactions.iter().filter(|tx| tx.purpose == "deposit").count();
    scene.check("one deposit: no fee is taken for one", deposits == 1);
    scene.check("no fee was paid in the invoice's token", net.balance(FEE_MANAGER).await? == fees_before);
    let node = net.node().provider();
    let failed = |error: &dyn std::fmt::Display| Error::Story(format!("Tempo's node did not answer: {error}"));
    let code = node.get_code_at(rail.address).await.map_err(|error| failed(&error))?;
    let nonce = node.get_transaction_count(rail.address).await.map_err(|error| failed(&error))?;
    let balance = net.balance(rail.address).await?;
    let gone = code.is_empty() && nonce == 0 && balance.is_zero();
    scene.check("on Tempo the wallet is gone: no code, nonce 0, no balance", gone);
    let tempo = Chain {
        purse_code: code.to_string(),
        purse_nonce: nonce,
        purse_balance: balance.to_string(),
        payee_received: payee_received.to_string(),
        refunded: "0".to_owned(),
    };
    let told = scene.end("tempo-exact", &issued, view, U256::ZERO, None).await?;
    Ok(StoryReport { tempo: Some(tempo), ..told })
}
