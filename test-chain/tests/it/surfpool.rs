//! Surfpool starts, does what it is told by real transactions, stops, and leaves nothing.

use std::sync::mpsc;

use base64::Engine;
use chain::solana::Keypair;
use serde_json::json;
use terms::Pubkey;
use test_chain::solana::{SOL, UPGRADEABLE_LOADER, new_key, program_address};
use test_chain::{Surfpool, SurfpoolOptions};

use crate::{is_gone_soon, panicking, runs, runtime};

#[tokio::test]
async fn starts_answers_and_stops_and_two_do_not_clash() {
    let start = || Surfpool::start(SurfpoolOptions::for_tests());
    let (a, b) = tokio::join!(start(), start());
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_ne!(a.rpc_url(), b.rpc_url());
    let (pid, directory) = (a.pid().unwrap(), a.directory().to_owned());
    assert!(runs(pid));
    a.stop().await;
    assert!(!runs(pid) && !directory.exists());
    let (pid, directory) = (b.pid().unwrap(), b.directory().to_owned());
    drop(b);
    assert!(!runs(pid) && !directory.exists());
}

#[test]
fn leaves_nothing_after_a_panic() {
    let (sender, started) = mpsc::channel();
    panicking(move || {
        runtime().block_on(async {
            let surfpool = Surfpool::start(SurfpoolOptions::for_tests()).await.unwrap();
            sender.send((surfpool.pid().unwrap(), surfpool.directory().to_owned())).unwrap();
            panic!("a failed assertion");
        });
    });
    let (pid, directory) = started.recv().unwrap();
    is_gone_soon(pid, &directory);
}

#[tokio::test]
async fn mints_and_transfers_tokens_of_both_programs() {
    let node = Surfpool::start(SurfpoolOptions::for_tests()).await.unwrap();
    let bank = node.wallet(10 * SOL).await.unwrap();
    for token_2022 in [false, true] {
        let mint = node.create_mint(&bank, 6, token_2022).await.unwrap();
        let customer = node.customer(&bank, &mint, 1_000_000).await.unwrap();
        // Nobody has a key to it, as with every invoice's address.
        let invoice = program_address(b"x", &UPGRADEABLE_LOADER);
        node.transfer(&customer, &invoice, &mint, 250_000).await.unwrap();
        let balance = async |owner: &Pubkey| node.tokens(&mint.account_of(owner)).await.unwrap();
        assert_eq!((balance(&customer.address()).await, balance(&invoice).await), (750_000, 250_000));
        let too_much = node.transfer(&customer, &invoice, &mint, 750_001).await.unwrap_err().to_string();
        assert!(too_much.contains("Custom"), "{too_much}");
    }
}

#[tokio::test]
async fn slots_come_by_themselves_and_the_clock_can_be_moved() {
    let node = Surfpool::start(SurfpoolOptions::for_tests()).await.unwrap();
    let before = (node.slot("confirmed").await.unwrap(), node.time().await.unwrap());
    node.finalize(before.0).await.unwrap();
    let target = before.1 + 60;
    node.travel_to(target.unsigned_abs()).await.unwrap();
    let after = (node.slot("confirmed").await.unwrap(), node.time().await.unwrap());
    assert!((target..target + 10).contains(&after.1), "{before:?} {after:?}");
    assert!(after.0 > before.0 + 1000, "the slots that would have passed have passed: {before:?} {after:?}");
}

#[tokio::test]
async fn writes_accounts_as_no_transaction_could() {
    let node = Surfpool::start(SurfpoolOptions::for_tests()).await.unwrap();
    let (address, owner) = (new_key().unwrap().address(), new_key().unwrap().address());
    node.set_account(&address, 7_000_000, &owner, &[1, 2, 3]).await.unwrap();
    assert_eq!(node.lamports(&address).await.unwrap(), 7_000_000);
    let info = node.rpc("getAccountInfo", json!([address.to_string(), {"encoding": "base64"}])).await.unwrap();
    assert_eq!(info["value"]["owner"], owner.to_string());
    assert_eq!(info["value"]["data"][0], "AQID");
}

/// Any program will do: this one is read off the network itself.
#[tokio::test]
async fn a_program_is_deployed_through_the_loader_and_is_final() {
    let node = Surfpool::start(SurfpoolOptions::for_tests()).await.unwrap();
    let memo = json!(["MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr", {"encoding": "base64"}]);
    let memo = node.rpc("getAccountInfo", memo).await.unwrap();
    let elf = base64::engine::general_purpose::STANDARD.decode(memo["value"]["data"][0].as_str().unwrap()).unwrap();
    let at = elf.windows(4).position(|bytes| bytes == b"\x7fELF").unwrap();
    let elf = elf[at..].to_vec();
    let payer = node.wallet(100 * SOL).await.unwrap();
    let program = Keypair::from_secret(&[42; 32]);
    assert_eq!(node.deploy(&payer, &program, &elf).await.unwrap(), program.address());
    let info =
        node.rpc("getAccountInfo", json!([program.address().to_string(), {"encoding": "base64"}])).await.unwrap();
    assert_eq!(
        (&info["value"]["executable"], &info["value"]["owner"]),
        (&json!(true), &json!(UPGRADEABLE_LOADER.to_string()))
    );
    // A second time nobody can.
    assert!(node.deploy(&payer, &program, &elf).await.is_err());
}
