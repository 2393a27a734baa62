//! `base-gasless`: the payer has dollars and no gas.

use super::customer::Customer;
use super::report::StoryReport;
use super::scene::Scene;
use crate::Error;
use crate::stack::Cast;
use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{Address, U256};
use domain::invoice::InvoiceStatus;
use domain::wallet::WalletStatus;
use serde_json::{Value, json};

/// How long the authorization is good for, in seconds.
const GOOD_FOR: u64 = 3_600;

pub(super) async fn play(mut scene: Scene<'_>) -> Result<StoryReport, Error> {
    scene.say("Jane has moved to a new account: it holds 500 USDC and not a wei of gas.");
    let key = scene.fresh_key()?;
    let jane = PrivateKeySigner::from_bytes(&key).map_err(|error| Error::Story(error.to_string()))?;
    let token = scene.stack.chain()?.token;
    scene.customer.send(token, jane.address(), 500_000_000).await?;
    let bill = scene.electricity_bill();
    let issued = scene.create(&bill).await?;

    let before = scene.stack.node.block("latest").await?.1;
    let (amount, nonce) = (issued.terms.amount.to_string(), scene.fresh_key()?);
    let message = json!({
        "from": jane.address(), "to": issued.address, "value": amount,
        "validAfter": "0", "validBefore": (before + GOOD_FOR).to_string(), "nonce": nonce,
    });
    scene.say(
        "Her wallet signs \"150 USDC to this address\" (EIP-3009). The address is the binding: nobody who carries",
    );
    scene.say("the signature can send the money anywhere else. She hands it to the pay page:");
    let wallet = Customer { key, ..scene.customer.clone() };
    let signature = wallet.sign(&typed_data(scene.stack.chain()?.id, token, &message)).await?;
    let path = format!("{}/authorization", issued.pay_path);
    let body = json!({
        "from": jane.address(), "to": issued.address, "value": amount, "valid_after": 0,
        "valid_before": before + GOOD_FOR, "nonce": nonce, "signature": signature,
    });
    scene.post(&path, &body, false).await?;
    scene.until(&issued, "paid", |view| view.status == InvoiceStatus::Paid).await?;
    let view = scene.until(&issued, "destroyed", |view| view.wallet.status == WalletStatus::Destroyed).await?;

    scene.check("Jane's account has spent no gas: nonce 0, no coin", scene.untouched(jane.address()).await?);
    let left = scene.balance(jane.address()).await?;
    scene.check("and 150 USDC less", left == U256::from(500_000_000 - issued.terms.amount));
    scene.check_paid(&issued, &view).await?;
    let deposit = view.transactions.iter().find(|tx| tx.purpose == "deposit").map(|tx| &tx.tx_hash);
    let settle = view.transactions.iter().find(|tx| tx.purpose == "settle").map(|tx| &tx.tx_hash);
    scene.check("charged and settled in one transaction", deposit.is_some() && deposit == settle);
    scene.end("base-gasless", &issued, view, U256::ZERO, Some(Cast::address(Cast::KEEPER))).await
}

/// What a wallet is shown: the token's own EIP-712 type.
fn typed_data(chain_id: u64, token: Address, message: &Value) -> Value {
    let field = |(name, kind): (&str, &str)| json!({"name": name, "type": kind});
    let domain = [("name", "string"), ("version", "string"), ("chainId", "uint256"), ("verifyingContract", "address")];
    let transfer = [
        ("from", "address"),
        ("to", "address"),
        ("value", "uint256"),
        ("validAfter", "uint256"),
        ("validBefore", "uint256"),
        ("nonce", "bytes32"),
    ];
    json!({
        "types": {"EIP712Domain": domain.map(field), "TransferWithAuthorization": transfer.map(field)},
        "primaryType": "TransferWithAuthorization",
        "domain": {"name": "USD Coin", "version": "2", "chainId": chain_id, "verifyingContract": token},
        "message": message,
    })
}
