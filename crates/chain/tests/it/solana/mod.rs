//! Solana, on Surfpool: a network with real JSON-RPC and real transactions.

mod adapter;
mod blocks;
mod fate;
mod invoices;
mod mint;
mod slots;

use chain::solana::Solana;
use test_chain::{Surfpool, SurfpoolOptions};

const LOCAL: u64 = escrow_interface::LOCAL;

async fn surfpool() -> Surfpool {
    Surfpool::start(SurfpoolOptions::for_tests()).await.unwrap()
}

async fn connect(rpc_url: &str) -> Solana {
    Solana::connect(rpc_url, LOCAL, []).await.unwrap()
}

#[tokio::test]
async fn another_cluster_is_refused_and_a_key_in_the_url_is_never_shown() {
    let node = surfpool().await;
    let error = Solana::connect(node.rpc_url(), escrow_interface::MAINNET, []).await.unwrap_err();
    assert!(matches!(error, chain::Error::OtherChain { .. }), "{error}");
    let gone = "http://user:hunter2@127.0.0.1:1/v1/s3cret?key=4711";
    for shown in [
        Solana::connect(gone, LOCAL, []).await.unwrap_err().to_string(),
        format!("{:?}", chain::solana::rpc::Rpc::at(gone).unwrap()),
    ] {
        assert!(!["hunter2", "s3cret", "4711"].iter().any(|secret| shown.contains(secret)), "{shown}");
    }
    let error = connect(node.rpc_url()).await.rpc().call::<u64>("getNothing", ()).await.unwrap_err();
    assert!(matches!(error, chain::Error::Refused(_)), "{error}");
}
