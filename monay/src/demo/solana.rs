//! The same bill on Solana, and on both chains at once.

use super::report::{SolanaChain, StoryReport};
use super::scene::{Issued, Rail, Scene};
use crate::Error;
use crate::stack::{Cast, SolanaNet};
use alloy_primitives::U256;
use domain::invoice::InvoiceStatus;
use domain::money::Units;
use domain::wallet::WalletStatus;
use escrow_interface::Record;
use serde_json::{Value, json};
use std::process::Stdio;
use std::time::{Duration, Instant};
use store::invoices::InvoiceView;
use test_chain::tools;
use tokio::io::AsyncWriteExt;

/// A wallet that knows Solana Pay and nothing of us: a process of its own.
const WALLET: &str = include_str!("wallet.cjs");

/// 100 of the 150 USDC.
const TOO_LITTLE: u64 = 100_000_000;

/// 30 USDC.
const LATE: u64 = 30_000_000;

/// What Solana says at the end of a story.
struct Seen {
    vault_lamports: u64,
    record: Option<Record>,
    payee_received: u64,
}

pub(super) async fn exact(mut scene: Scene<'_>) -> Result<StoryReport, Error> {
    scene.say("The same bill; this time Jane's wallet is one for Solana.");
    let bill = bill(&scene);
    let issued = scene.create(&bill).await?;
    let rail = rail(&issued)?;
    pay(&mut scene, &rail.transaction, None).await?;
    let view = destroyed(&mut scene, &issued).await?;
    let seen = look(&scene, rail).await?;
    scene.check("UtilityCo Electric has exactly 150 USDC more on Solana", seen.payee_received == rail.terms.amount);
    check_gone(&mut scene, &seen);
    scene.check("and nothing on Base", scene.payee_received(&issued).await?.is_zero());
    scene.check(
        "Postgres says paid, 150.00 of 150.00",
        view.status == InvoiceStatus::Paid && view.paid == issued.terms.amount,
    );
    let closed = seen.record.is_some_and(|record| record.status == 1 && record.paid == rail.terms.amount);
    scene.check("the record on chain says: paid in full", closed);
    end(scene, "solana-exact", &issued, view, seen, 0).await
}

pub(super) async fn expired(mut scene: Scene<'_>) -> Result<StoryReport, Error> {
    scene.say("The same bill; Jane sends too little, and says where money that comes back should go.");
    let bill = bill(&scene);
    let issued = scene.create(&bill).await?;
    let rail = rail(&issued)?;
    let before = jane(&scene).await?;
    pay(&mut scene, &rail.transfer, Some(TOO_LITTLE)).await?;
    scene.until(&issued, "partially_paid", |view| view.status == InvoiceStatus::PartiallyPaid).await?;
    scene.say("24 hours pass (the chains' clocks are moved on).");
    scene.stack.pass(Duration::from_secs(86_400)).await?;
    let view = destroyed(&mut scene, &issued).await?;
    let seen = look(&scene, rail).await?;
    scene.check("Jane has every unit back", jane(&scene).await? == before);
    scene.check("UtilityCo Electric got nothing", seen.payee_received == 0);
    check_gone(&mut scene, &seen);
    scene.check("Postgres says expired, 0.00 paid", view.status == InvoiceStatus::Expired && view.paid == 0);
    end(scene, "solana-expired", &issued, view, seen, TOO_LITTLE).await
}

pub(super) async fn late(mut scene: Scene<'_>) -> Result<StoryReport, Error> {
    scene.say("Jane has paid on Solana, the wallet is destroyed; then her wallet pays the old address once more.");
    let bill = bill(&scene);
    let issued = scene.create(&bill).await?;
    let rail = rail(&issued)?;
    pay(&mut scene, &rail.transfer, None).await?;
    destroyed(&mut scene, &issued).await?;
    let before = jane(&scene).await?;
    pay(&mut scene, &rail.transfer, Some(LATE)).await?;
    let back = |view: &InvoiceView| view.transactions.iter().any(|tx| tx.purpose == "refund" && tx.status == "final");
    let view = scene.until(&issued, "returned", back).await?;
    scene.check("Jane has it back", jane(&scene).await? == before);
    scene.check("the wallet stayed destroyed", view.wallet.status == WalletStatus::Destroyed);
    let seen = look(&scene, rail).await?;
    scene.check("UtilityCo Electric has exactly 150 USDC more on Solana", seen.payee_received == rail.terms.amount);
    check_gone(&mut scene, &seen);
    end(scene, "solana-late", &issued, view, seen, LATE).await
}

pub(super) async fn both(mut scene: Scene<'_>) -> Result<StoryReport, Error> {
    scene.say("Jane pays on Base, and her husband, who does not know it, the same bill on Solana.");
    let bill = bill(&scene);
    let issued = scene.create(&bill).await?;
    let rail = rail(&issued)?;
    let before = (scene.balance(Cast::address(Cast::CUSTOMER)).await?, jane(&scene).await?);
    scene.pay(&issued, issued.terms.amount).await?;
    pay(&mut scene, &rail.transfer, None).await?;
    let told = |view: &InvoiceView| view.exceptions.iter().any(|word| word == "other_rail");
    let view = scene.until(&issued, "told", told).await?;
    scene.check("the customer is told: money lies on a chain that is not the one it is paid on", told(&view));
    let whole = |view: &InvoiceView| {
        view.wallet.status == WalletStatus::Destroyed
            && view.transactions.iter().any(|tx| tx.purpose == "refund" && tx.status == "final")
    };
    let view = scene.until(&issued, "destroyed", whole).await?;
    let seen = look(&scene, rail).await?;
    let on_base = scene.payee_received(&issued).await?;
    let amount = U256::from(issued.terms.amount);
    let once = (on_base == amount) != (seen.payee_received == rail.terms.amount);
    scene.check(
        "UtilityCo Electric has 150 USDC once, on one of the chains",
        once && on_base.saturating_add(U256::from(seen.payee_received)) == amount,
    );
    let after = (scene.balance(Cast::address(Cast::CUSTOMER)).await?, jane(&scene).await?);
    let spent = before.0.saturating_sub(after.0).saturating_add(U256::from(before.1.saturating_sub(after.1)));
    scene.check("and the family is out of 150 USDC, not 300: the other payment came back in full", spent == amount);
    check_gone(&mut scene, &seen);
    let refunded = rail.terms.amount;
    end(scene, "both-rails", &issued, view, seen, refunded).await
}

/// The bill, with where money that comes back should go on each chain.
fn bill(scene: &Scene<'_>) -> Value {
    let mut bill = scene.electricity_bill();
    bill["refund_address"] = Cast::address(Cast::CUSTOMER).to_string().into();
    bill["solana_refund_address"] = Cast::solana(Cast::CUSTOMER).address().to_string().into();
    bill
}

fn rail(issued: &Issued) -> Result<&Rail, Error> {
    issued.solana.as_ref().ok_or_else(|| Error::Story("the invoice has no address on Solana".to_owned()))
}

/// What Jane has on Solana.
async fn jane(scene: &Scene<'_>) -> Result<u64, Error> {
    scene.solana()?.balance(&Cast::solana(Cast::CUSTOMER).address()).await
}

async fn destroyed(scene: &mut Scene<'_>, issued: &Issued) -> Result<InvoiceView, Error> {
    scene.until(issued, "destroyed", |view| view.wallet.status == WalletStatus::Destroyed).await
}

async fn look(scene: &Scene<'_>, rail: &Rail) -> Result<Seen, Error> {
    let solana = scene.solana()?;
    let vault = rail.terms.vault(&rail.address).0;
    Ok(Seen {
        vault_lamports: solana.node().lamports(&vault).await?,
        record: record(solana, rail).await?,
        payee_received: solana.balance(&rail.terms.payee).await?.saturating_sub(rail.payee_before),
    })
}

async fn record(solana: &SolanaNet, rail: &Rail) -> Result<Option<Record>, Error> {
    let address = rail.terms.addresses(&solana.escrow.program).map(|addresses| addresses.record);
    match address {
        Some(address) => Ok(solana.node().data(&address).await?.as_deref().and_then(Record::decode)),
        None => Ok(None),
    }
}

fn check_gone(scene: &mut Scene<'_>, seen: &Seen) {
    scene.check("on Solana the vault is closed, its rent given back", seen.vault_lamports == 0);
}

/// The customer opens the link with a wallet that is no code of ours.
async fn pay(scene: &mut Scene<'_>, link: &str, amount: Option<u64>) -> Result<(), Error> {
    let shown = amount.map_or_else(|| "what it asks".to_owned(), |units| format!("{} USDC", Units(units.into())));
    scene.say(&format!(
        "Jane's Solana wallet (a process of its own) opens {}… and pays {shown}",
        &link[..link.len().min(60)]
    ));
    let failed = |why: &str| Error::Story(format!("the customer's Solana wallet could not pay: {why}"));
    let told = json!({
        "rpc": scene.solana()?.node().rpc_url(), "key": Cast::solana_bytes(Cast::CUSTOMER), "link": link,
        "amount": amount.map(|units| units.to_string()),
    });
    let sent = Instant::now();
    let mut wallet = tokio::process::Command::new(tools::node_path()?)
        .args(["-e", WALLET, "-"])
        .arg(tools::web3_module()?)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(Error::file("node"))?;
    let mut stdin = wallet.stdin.take().ok_or_else(|| failed("it cannot be told anything"))?;
    stdin.write_all(told.to_string().as_bytes()).await.map_err(Error::file("node"))?;
    drop(stdin);
    let output = wallet.wait_with_output().await.map_err(Error::file("node"))?;
    let said: Value = serde_json::from_slice(&output.stdout).map_err(|error| failed(&error.to_string()))?;
    let signature = said["signature"].as_str().ok_or_else(|| failed(&said.to_string()))?.to_owned();
    let took = scene.took("customer_transfer", sent);
    scene.say(&format!("    {signature} is confirmed after {took}"));
    Ok(())
}

async fn end(
    scene: Scene<'_>,
    name: &'static str,
    issued: &Issued,
    view: InvoiceView,
    seen: Seen,
    refunded: u64,
) -> Result<StoryReport, Error> {
    let told = scene.end(name, issued, view, U256::ZERO, None).await?;
    Ok(StoryReport {
        solana: Some(SolanaChain {
            vault_lamports: seen.vault_lamports,
            record_status: seen.record.map(|record| record.status),
            payee_received: seen.payee_received.to_string(),
            refunded: refunded.to_string(),
        }),
        ..told
    })
}
