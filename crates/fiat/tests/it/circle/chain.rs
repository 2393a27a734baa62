//! USDC really moves.

use super::{DOLLAR, Scene, key, usd};
use alloy::primitives::{Address, B256, U256};
use alloy::providers::Provider;
use alloy::signers::local::PrivateKeySigner;
use fiat::circle::{Chain, Currency, Place, TransferFailure, TransferFilter, TransferStatus};
use std::time::Duration;
use test_chain::contracts::{balance_of, deploy, transfer};
use test_chain::sandbox::circle::{ChainConfig, Config as Sandbox};
use test_chain::{Anvil, AnvilOptions, DEV_ACCOUNTS};

fn signer(at: usize) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&DEV_ACCOUNTS[at].private_key).unwrap()
}

/// A chain that stands still, and a Circle that has a million USDC there and waits for three blocks.
async fn on_chain(refuse_contracts: bool) -> (Anvil, Address, Scene) {
    let anvil = Anvil::start(AnvilOptions::manual()).await.unwrap();
    let treasury = signer(5);
    let rich = [(treasury.address(), 1_000_000 * DOLLAR), (DEV_ACCOUNTS[6].address, 1_000 * DOLLAR)];
    let token = deploy(&anvil, &signer(0), &rich).await.unwrap().token;
    let chain =
        ChainConfig { confirmations: 3, refuse_contracts, ..ChainConfig::new(anvil.node().clone(), token, treasury) };
    let scene = Scene::with(Sandbox { chain: Some(chain), ..Sandbox::default() }).await;
    (anvil, token, scene)
}

const A_MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_transfer_moves_usdc_and_is_complete_when_the_chain_says_so() {
    let (anvil, token, scene) = on_chain(false).await;
    scene.fund(200 * DOLLAR).await;
    let to = Address::repeat_byte(0x77);
    let recipient = scene.recipient(&to.to_string()).await;
    let amount = 150 * DOLLAR + 1;
    let transfer = scene.client.create_transfer(key(), &recipient, &usd(amount)).await.unwrap();
    assert_eq!((transfer.status, transfer.transaction_hash), (TransferStatus::Pending, None));

    scene.circle.advance(A_MINUTE).await;
    let running = scene.client.transfer(&transfer.id).await.unwrap();
    assert_eq!(running.status, TransferStatus::Running);
    let hash: B256 = running.transaction_hash.unwrap().parse().unwrap();
    assert!(anvil.provider().get_transaction_receipt(hash).await.unwrap().is_none(), "in no block yet");

    anvil.mine(2).await.unwrap();
    scene.circle.advance(A_MINUTE).await;
    assert_eq!(balance_of(&anvil, token, to).await.unwrap(), U256::from(amount));
    assert_eq!(
        scene.client.transfer(&transfer.id).await.unwrap().status,
        TransferStatus::Running,
        "two of three blocks"
    );
    anvil.mine(1).await.unwrap();
    scene.circle.advance(A_MINUTE).await;
    assert_eq!(scene.client.transfer(&transfer.id).await.unwrap().status, TransferStatus::Complete);

    let receipt = anvil.provider().get_transaction_receipt(hash).await.unwrap().unwrap();
    assert!(receipt.status());
    assert_eq!((receipt.from, receipt.to), (DEV_ACCOUNTS[5].address, Some(token)));
    assert_eq!(scene.circle.balances(), (200 * DOLLAR - amount, 0));
}

#[tokio::test]
async fn a_contract_is_not_paid_where_circle_refuses_contracts() {
    for refuse in [true, false] {
        let (anvil, token, scene) = on_chain(refuse).await;
        scene.fund(200 * DOLLAR).await;
        let escrow = deploy(&anvil, &signer(0), &[]).await.unwrap().escrow;
        let recipient = scene.recipient(&escrow.to_string()).await;
        let transfer = scene.client.create_transfer(key(), &recipient, &usd(DOLLAR)).await.unwrap();
        scene.circle.advance(A_MINUTE).await;
        anvil.mine(3).await.unwrap();
        scene.circle.advance(A_MINUTE).await;
        let transfer = scene.client.transfer(&transfer.id).await.unwrap();
        let paid = balance_of(&anvil, token, escrow).await.unwrap();
        if refuse {
            assert_eq!(transfer.status, TransferStatus::Failed);
            assert_eq!((transfer.failure, transfer.transaction_hash), (Some(TransferFailure::Blockchain), None));
            assert_eq!((paid, scene.circle.balances().0), (U256::ZERO, 200 * DOLLAR));
        } else {
            assert_eq!((transfer.status, paid), (TransferStatus::Complete, U256::from(DOLLAR)));
        }
    }
}

#[tokio::test]
async fn usdc_that_comes_to_our_address_is_booked_after_its_confirmations_and_once() {
    let (anvil, token, scene) = on_chain(false).await;
    let address = scene.client.create_deposit_address(key(), &Chain::Base, &Currency::Usd).await.unwrap();
    let again = scene.client.create_deposit_address(key(), &Chain::Base, &Currency::Usd).await.unwrap();
    assert_eq!(address, again, "one for each chain");
    assert_eq!(scene.client.deposit_addresses().await.unwrap(), std::slice::from_ref(&address));
    let to: Address = address.address.parse().unwrap();
    transfer(&anvil, &signer(6), token, &[(to, 40 * DOLLAR), (to, 2 * DOLLAR + 1)]).await.unwrap();

    anvil.mine(1).await.unwrap();
    scene.circle.advance(A_MINUTE).await;
    assert_eq!(scene.circle.balances(), (0, 0), "two of three blocks");
    anvil.mine(1).await.unwrap();
    for _ in 0..2 {
        scene.circle.advance(A_MINUTE).await;
        anvil.mine(1).await.unwrap();
    }
    assert_eq!(scene.circle.balances(), (42 * DOLLAR + 1, 0));

    let wallet = scene.client.master_wallet().await.unwrap();
    let into = TransferFilter { destination_wallet: Some(wallet.clone()), ..TransferFilter::default() };
    let came = scene.client.all_transfers(&into, None, None).await.unwrap();
    assert_eq!(came.iter().map(|it| it.amount.units.0).collect::<Vec<_>>(), [2 * DOLLAR + 1, 40 * DOLLAR]);
    for transfer in &came {
        assert_eq!(transfer.destination, Place::Wallet(wallet.clone()));
        assert!(matches!(&transfer.source, Place::Chain { chain: Chain::Base, .. }), "{:?}", transfer.source);
        assert!(transfer.transaction_hash.as_ref().is_some_and(|hash| hash.parse::<B256>().is_ok()));
    }
    let out = TransferFilter { source_wallet: Some(wallet), ..TransferFilter::default() };
    assert_eq!(scene.client.all_transfers(&out, None, None).await.unwrap(), []);
    assert_eq!(scene.client.all_deposits(None, None).await.unwrap(), [], "those are from banks");
}

#[tokio::test]
async fn a_payment_that_a_reorg_takes_away_before_its_confirmations_is_never_booked() {
    let (anvil, token, scene) = on_chain(false).await;
    let address = scene.client.create_deposit_address(key(), &Chain::Base, &Currency::Usd).await.unwrap();
    transfer(&anvil, &signer(6), token, &[(address.address.parse().unwrap(), 40 * DOLLAR)]).await.unwrap();
    anvil.mine(1).await.unwrap();
    scene.circle.advance(A_MINUTE).await;
    anvil.reorg(2).await.unwrap();
    anvil.mine(5).await.unwrap();
    scene.circle.advance(A_MINUTE).await;
    assert_eq!(scene.circle.balances(), (0, 0));
}
