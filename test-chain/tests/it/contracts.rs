//! Our contracts are where they should be.

use std::time::{Duration, Instant};

use alloy::primitives::{Address, B256, U256};
use alloy::providers::Provider;
use alloy::signers::local::PrivateKeySigner;
use test_chain::contracts::{balance_of, decimals_of, deploy, mint};
use test_chain::{Anvil, AnvilOptions, DEV_ACCOUNTS};

const DEPLOYMENT: &str = include_str!("../../../contracts/artifacts/deployment.json");

fn owner() -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&DEV_ACCOUNTS[0].private_key).unwrap()
}

#[tokio::test]
async fn deploys_the_escrow_where_it_is_everywhere_and_a_token_like_usdc() {
    let anvil = Anvil::start(AnvilOptions::manual()).await.unwrap();
    let (rich, poor) = (DEV_ACCOUNTS[1].address, DEV_ACCOUNTS[2].address);
    let begin = Instant::now();
    let deployed = deploy(&anvil, &owner(), &[(rich, 1_000_000_000), (poor, 1)]).await.unwrap();
    println!("deployed in {:?}", begin.elapsed());
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert_eq!(anvil.block("latest").await.unwrap().0, 1, "all in one block");

    let published: serde_json::Value = serde_json::from_str(DEPLOYMENT).unwrap();
    let escrow: Address = serde_json::from_value(published["escrow"].clone()).unwrap();
    let purse: B256 = serde_json::from_value(published["purseInitCodeHash"].clone()).unwrap();
    assert_eq!((deployed.escrow, deployed.purse_init_code_hash), (escrow, purse));
    assert!(!anvil.provider().get_code_at(escrow).await.unwrap().is_empty());

    assert_eq!(decimals_of(&anvil, deployed.token).await.unwrap(), 6);
    assert_eq!(balance_of(&anvil, deployed.token, rich).await.unwrap(), U256::from(1_000_000_000));
    assert_eq!(balance_of(&anvil, deployed.token, poor).await.unwrap(), U256::from(1));
}

#[tokio::test]
async fn a_second_deployment_only_mints() {
    let anvil = Anvil::start(AnvilOptions::default()).await.unwrap();
    let account = Address::repeat_byte(9);
    let balance = async |token| balance_of(&anvil, token, account).await.unwrap();
    let first = deploy(&anvil, &owner(), &[(account, 5)]).await.unwrap();
    let second = deploy(&anvil, &owner(), &[(account, 7)]).await.unwrap();
    assert_eq!(first, second);
    assert_eq!(balance(first.token).await, U256::from(12));
    mint(&anvil, &owner(), first.token, &[(account, 1), (account, 2)]).await.unwrap();
    assert_eq!(balance(first.token).await, U256::from(15));

    let stranger = PrivateKeySigner::from_bytes(&DEV_ACCOUNTS[3].private_key).unwrap();
    let refused = mint(&anvil, &stranger, first.token, &[(account, 1)]).await.unwrap_err();
    assert!(refused.to_string().contains("revert"), "{refused}");
}
