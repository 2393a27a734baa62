//! Anvil starts, does what it is told, stops, and leaves nothing.

use std::sync::mpsc;
use std::time::{Duration, SystemTime};

use alloy::primitives::{Address, U256};
use alloy::providers::Provider;
use alloy::signers::local::PrivateKeySigner;
use test_chain::{Anvil, AnvilOptions, DEV_ACCOUNTS, Mining, tools};

use crate::{is_gone_soon, panicking, runs, runtime};

#[tokio::test]
async fn starts_answers_and_stops_and_two_do_not_clash() {
    let (a, b) = tokio::join!(Anvil::start(AnvilOptions::manual()), Anvil::start(AnvilOptions::default()));
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_ne!(a.rpc_url(), b.rpc_url());
    assert_eq!((a.chain_id().await.unwrap(), b.chain_id().await.unwrap()), (8453, 8453));
    let pid = a.pid().unwrap();
    assert!(runs(pid));

    let port = a.rpc_url().rsplit(':').next().unwrap().trim_end_matches('/').parse().unwrap();
    let error = Anvil::start(AnvilOptions { port: Some(port), ..AnvilOptions::default() }).await.unwrap_err();
    assert!(error.to_string().contains("ddress already in use"), "{error}");

    a.stop().await;
    assert!(!runs(pid));
    let (pid, directory) = (b.pid().unwrap(), b.directory().to_owned());
    assert!(directory.exists());
    drop(b);
    assert!(!runs(pid) && !directory.exists());
}

#[test]
fn leaves_nothing_after_a_panic() {
    let (sender, started) = mpsc::channel();
    panicking(move || {
        runtime().block_on(async {
            let anvil = Anvil::start(AnvilOptions::manual()).await.unwrap();
            sender.send((anvil.pid().unwrap(), anvil.directory().to_owned())).unwrap();
            panic!("a failed assertion");
        });
    });
    let (pid, directory) = started.recv().unwrap();
    is_gone_soon(pid, &directory);
}

#[tokio::test]
async fn the_tags_follow_the_head() {
    let anvil = Anvil::start(AnvilOptions::manual()).await.unwrap();
    anvil.mine(5).await.unwrap();
    let number = async |tag| anvil.block(tag).await.unwrap().0;
    assert_eq!((number("latest").await, number("safe").await, number("finalized").await), (5, 4, 3));
    anvil.mine(1).await.unwrap();
    assert_eq!((number("latest").await, number("safe").await, number("finalized").await), (6, 5, 4));
}

#[tokio::test]
async fn makes_blocks_by_itself_at_an_interval() {
    let options = AnvilOptions { mining: Mining::Interval(Duration::from_millis(200)), ..AnvilOptions::default() };
    let anvil = Anvil::start(options).await.unwrap();
    let before = anvil.block("latest").await.unwrap().0;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(anvil.block("latest").await.unwrap().0 >= before + 2);
}

#[tokio::test]
async fn moves_time_balances_and_the_chain_itself() {
    let anvil = Anvil::start(AnvilOptions::manual()).await.unwrap();
    anvil.mine(3).await.unwrap();
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let (_, before) = anvil.block("latest").await.unwrap();
    assert!(now.abs_diff(before) < 60, "the chain says {before}, the clock {now}");
    anvil.increase_time(Duration::from_secs(86_400)).await.unwrap();
    let (_, after) = anvil.block("latest").await.unwrap();
    assert!((86_400..86_500).contains(&(after - before)), "{before}, {after}");
    anvil.set_next_timestamp(after + 1000).await.unwrap();
    anvil.mine(1).await.unwrap();
    assert_eq!(anvil.block("latest").await.unwrap(), (5, after + 1000));

    let somebody = Address::repeat_byte(7);
    let balance = async || anvil.provider().get_balance(somebody).await.unwrap();
    let snapshot = anvil.snapshot().await.unwrap();
    anvil.set_balance(somebody, U256::from(42)).await.unwrap();
    assert_eq!(balance().await, U256::from(42));
    anvil.revert(snapshot).await.unwrap();
    assert_eq!(balance().await, U256::ZERO);
    assert!(anvil.revert(snapshot).await.is_err());

    let hash = async |number: u64| anvil.provider().get_block(number.into()).await.unwrap().unwrap().header.hash;
    let (kept, replaced) = (hash(3).await, hash(4).await);
    anvil.reorg(2).await.unwrap();
    assert_eq!(anvil.block("latest").await.unwrap().0, 5);
    assert_eq!(hash(3).await, kept);
    assert_ne!(hash(4).await, replaced);
}

#[tokio::test]
async fn gives_its_accounts_ether() {
    let anvil = Anvil::start(AnvilOptions::manual()).await.unwrap();
    for account in DEV_ACCOUNTS {
        assert_eq!(PrivateKeySigner::from_bytes(&account.private_key).unwrap().address(), account.address);
        let balance = anvil.provider().get_balance(account.address).await.unwrap();
        assert_eq!(balance, U256::from(10_000_u64) * U256::from(10_u64.pow(18)));
    }
}

#[test]
fn finds_cast() {
    let output = std::process::Command::new(tools::cast_path().unwrap()).arg("--version").output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().starts_with("cast"));
}
