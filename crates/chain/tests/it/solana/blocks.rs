//! Blocks, one after the other and none left out: `chain:` S1, I7.

use super::{connect, surfpool};
use chain::solana::block::{Block, Reader};
use chain::solana::events::{self, Meaning, Received};
use chain::solana::instructions::Escrow;
use domain::block::Header;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::time::Duration;
use terms::Pubkey;
use test_chain::solana::{SOL, UPGRADEABLE_LOADER, program_address};
use test_chain::{Proxy, SolanaNode};

/// Reads on from `after` until the block at `slot`, that one included.
async fn read_to(blocks: &Reader, after: Header, slot: u64) -> Vec<Block> {
    let (mut read, mut last) = (vec![], after);
    while last.number < slot {
        match blocks.next(&last).await.unwrap() {
            Some(block) => {
                last = block.header;
                read.push(block);
            }
            None => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
    read
}

async fn first(blocks: &Reader) -> Header {
    let slot = blocks.head(chain::solana::rpc::Commitment::Confirmed).await.unwrap().number;
    blocks.from(slot).await.unwrap().unwrap().header
}

/// An escrow that is nobody's: plain transfers do not need one.
fn no_escrow() -> Escrow {
    Escrow::at(Pubkey::new_from_array(escrow_interface::local::ESCROW)).unwrap()
}

fn received(blocks: &[Block]) -> Vec<Received> {
    let events =
        blocks.iter().flat_map(|block| events::read(block.header.number, &block.transactions, &no_escrow()).unwrap());
    let received = events.filter_map(|event| match event.meaning {
        Meaning::Received(received) => Some(received),
        _ => None,
    });
    received.collect()
}

#[tokio::test]
async fn every_transaction_is_found_in_exactly_one_block_and_each_block_names_the_one_before() {
    let node = surfpool().await;
    let chain = connect(node.rpc_url()).await;
    let begin = first(chain.blocks()).await;
    let wallet = node.wallet(10 * SOL).await.unwrap();
    let mint = node.create_mint(&wallet, 6, false).await.unwrap();
    let account = node.create_token_account(&wallet, &wallet.address(), &mint).await.unwrap();
    let mut sent = vec![];
    for amount in 1..=60 {
        let minted = node.sign(&[mint.mint_to(&wallet.address(), &account, amount)], &[&wallet]).await.unwrap();
        sent.push(minted.signature);
        node.submit(&minted).await.unwrap();
        tokio::time::sleep(Duration::from_millis(amount % 7 * 5)).await;
    }
    let end = node.wait_for(&bs58::encode(sent.last().unwrap()).into_string()).await.unwrap();

    let read = read_to(chain.blocks(), begin, end + 3).await;
    let mut found: Vec<[u8; 64]> =
        read.iter().flat_map(|block| &block.transactions).map(|found| found.signature).collect();
    let all = found.len();
    found.sort_unstable();
    found.dedup();
    assert_eq!(found.len(), all, "a transaction in two blocks");
    let missing = sent.iter().filter(|signature| found.binary_search(signature).is_err()).count();
    assert_eq!(missing, 0);
    let hashes: HashSet<_> = read.iter().map(|block| block.header.hash).collect();
    assert_eq!(hashes.len(), read.len());
    let mut last = begin;
    for block in &read {
        let header = block.header;
        assert_eq!((header.number, header.parent_hash), (last.number + 1, last.hash));
        assert!(header.timestamp >= last.timestamp && header.timestamp.abs_diff(begin.timestamp) < 60, "{header:?}");
        assert_eq!(
            chain.blocks().at(header.number).await.unwrap().unwrap().header.hash,
            header.hash,
            "it is the same again"
        );
        last = header;
    }
}

#[tokio::test]
async fn the_chain_goes_on_after_the_clock_was_moved() {
    let node = surfpool().await;
    let chain = connect(node.rpc_url()).await;
    let begin = first(chain.blocks()).await;
    let (time, target) = (node.time().await.unwrap(), node.time().await.unwrap() + 30);
    node.travel_to(target.unsigned_abs()).await.unwrap();
    let slot = node.slot("confirmed").await.unwrap();
    let clock = std::time::Instant::now();
    let read = read_to(chain.blocks(), begin, slot).await;
    println!("{} empty blocks read in {:?}", read.len(), clock.elapsed());
    let last = read.last().unwrap().header;
    assert!(last.timestamp.abs_diff(target.unsigned_abs()) <= 3, "{time} {target} {last:?}");
}

/// `chain:` S: whatever wallets do, what came is what the vault has more, and failed transactions are nothing.
#[tokio::test]
async fn tokens_that_come_are_found_however_they_are_sent() {
    let node = surfpool().await;
    let chain = connect(node.rpc_url()).await;
    let begin = first(chain.blocks()).await;
    let bank = node.wallet(10 * SOL).await.unwrap();
    for token_2022 in [false, true] {
        let mint = node.create_mint(&bank, 6, token_2022).await.unwrap();
        let customer = node.customer(&bank, &mint, 1_000).await.unwrap();
        let (from, to) = (customer.address(), program_address(&[u8::from(token_2022)], &UPGRADEABLE_LOADER));
        let begin = first(chain.blocks()).await;

        // With the account made in the same transaction; twice in one transaction; minted, and nothing to do with a wallet.
        node.transfer(&customer, &to, &mint, 100).await.unwrap();
        let twice = [mint.transfer(&from, &to, 20), mint.transfer(&from, &to, 3)];
        node.send(&twice, &[&customer]).await.unwrap();
        node.mint_to(&bank, &mint, &mint.account_of(&to), 4_000).await.unwrap();
        let failing = [mint.transfer(&from, &to, 50), mint.transfer(&from, &to, 1_000_000)];
        node.send(&failing, &[&customer]).await.unwrap_err();
        let last = node.mint_to(&bank, &mint, &mint.account_of(&to), 1).await.unwrap();

        let came = received(&read_to(chain.blocks(), begin, last).await);
        let ours: Vec<_> = came.iter().filter(|received| received.owner == to).collect();
        let amounts: Vec<_> = ours.iter().map(|received| (received.amount, received.from)).collect();
        assert_eq!(amounts, [(100, Some(from)), (23, Some(from)), (4_000, None), (1, None)]);
        for received in ours {
            assert!(received.vault);
            assert_eq!((received.account, received.mint), (mint.account_of(&to), mint.address));
            assert_eq!(received.token_program, mint.token_program);
        }
    }
    // What comes to people is nobody's business here.
    let all = received(&read_to(chain.blocks(), begin, node.slot("confirmed").await.unwrap()).await);
    assert!(all.iter().all(|received| !received.owner.is_on_curve()));
}

/// Makes Surfpool look like a cluster: its blocks name their parents right, and it says nothing of being Surfpool.
async fn cluster(node: &SolanaNode, skipped: u64, lie: impl Fn(u64, &mut Value) + Send + 'static) -> Proxy {
    let proxy = Proxy::before(node.rpc_url()).await.unwrap();
    let hash = |slot: u64| bs58::encode(terms::solana::sha256(&[&slot.to_le_bytes()])).into_string();
    proxy.alter(move |method, params, answer| match method {
        "getVersion" => drop(answer["result"].as_object_mut().map(|version| version.remove("surfnet-version"))),
        "getBlocksWithLimit" if answer["result"][0] == json!(skipped) => answer["result"] = json!([skipped + 1]),
        "getBlock" if answer["result"].is_object() => {
            let slot = params[0].as_u64().unwrap();
            let parent = if slot == skipped + 1 { slot - 2 } else { slot - 1 };
            let block = &mut answer["result"];
            block["parentSlot"] = json!(parent);
            block["blockhash"] = json!(hash(slot));
            block["previousBlockhash"] = json!(hash(parent));
            block["blockTime"] = json!(1_800_000_000 + slot);
            lie(slot, block);
        }
        _ => {}
    });
    proxy
}

/// The slot from which the tests below read on; the next one was skipped.
async fn settled(node: &SolanaNode) -> u64 {
    let slot = node.slot("confirmed").await.unwrap() + 2;
    node.finalize(slot).await.unwrap();
    slot
}

#[tokio::test]
async fn a_skipped_slot_is_passed_over_on_the_word_of_the_next_block() {
    let node = surfpool().await;
    let slot = settled(&node).await;
    let proxy = cluster(&node, slot + 1, |_, _| {}).await;
    let chain = connect(proxy.url()).await;
    let begin = chain.blocks().at(slot).await.unwrap().unwrap().header;
    let next = chain.blocks().next(&begin).await.unwrap().unwrap().header;
    assert_eq!((next.number, next.parent_hash, next.timestamp), (slot + 2, begin.hash, 1_800_000_000 + slot + 2));
}

#[tokio::test]
async fn a_gap_and_blocks_without_what_happened_stop_the_mirror() {
    let node = surfpool().await;
    let slot = settled(&node).await;
    type Lie = fn(&mut Value);
    let lies: [(&str, Lie); 3] = [
        ("it has a gap", |block| block["parentSlot"] = json!(block["parentSlot"].as_u64().unwrap() + 1)),
        ("without transactions", |block| drop(block.as_object_mut().unwrap().remove("transactions"))),
        ("base58", |block| block["blockhash"] = json!("O0")),
    ];
    for (words, lie) in lies {
        let lie = move |at: u64, block: &mut Value| {
            if at == slot + 2 {
                lie(block)
            }
        };
        let proxy = cluster(&node, slot + 1, lie).await;
        let chain = connect(proxy.url()).await;
        let begin = chain.blocks().at(slot).await.unwrap().unwrap().header;
        let error = chain.blocks().next(&begin).await.unwrap_err().to_string();
        assert!(error.contains(words), "{words}: {error}");
    }
}

#[tokio::test]
async fn on_another_fork_nothing_follows_and_the_node_says_that_it_does_not_have_ours() {
    let node = surfpool().await;
    let slot = settled(&node).await;
    let zero = "11111111111111111111111111111111";
    // The next block has another parent, in the same slot or in one before.
    let proxy = cluster(&node, slot + 1, move |at, block| {
        if at == slot + 2 {
            block["previousBlockhash"] = json!(zero);
        }
    })
    .await;
    let chain = connect(proxy.url()).await;
    let ours = chain.blocks().at(slot).await.unwrap().unwrap().header;
    assert!(chain.blocks().next(&ours).await.unwrap().is_none());
    assert_eq!(chain.blocks().has(&ours).await.unwrap(), Some(true), "a node that contradicts itself is asked again");
    let other = Header { hash: alloy_primitives::B256::ZERO, ..ours };
    assert_eq!(chain.blocks().has(&other).await.unwrap(), Some(false));
    let skipped = Header { number: slot + 1, ..ours };
    let gone = Proxy::before(proxy.url()).await.unwrap();
    gone.alter(move |method, params, answer| {
        if method == "getBlock" && params[0] == json!(slot + 1) {
            *answer = json!({"error": {"code": -32007, "message": "Slot was skipped"}});
        }
    });
    let chain = connect(gone.url()).await;
    assert_eq!(chain.blocks().has(&skipped).await.unwrap(), Some(false), "the block after it has an earlier parent");
    let ahead = Header { number: slot + 100_000, ..ours };
    assert_eq!(chain.blocks().has(&ahead).await.unwrap(), None);
}

#[tokio::test]
async fn a_node_that_keeps_no_inner_instructions_or_balances_is_refused() {
    let node = surfpool().await;
    let slot = some_transaction(&node).await;
    for field in ["innerInstructions", "preTokenBalances", "postTokenBalances"] {
        let proxy = cluster(&node, 0, move |_, block| {
            let transactions = block["transactions"].as_array_mut().into_iter().flatten();
            transactions.for_each(|transaction| transaction["meta"][field] = Value::Null);
        })
        .await;
        let chain = connect(proxy.url()).await;
        let error = chain.blocks().at(slot).await.unwrap_err().to_string();
        assert!(error.contains("use a node that keeps them"), "{error}");
    }
}

/// A block that is named and not shown yet is waited for, and never passed over.
#[tokio::test]
async fn a_block_that_is_not_there_yet_is_none() {
    let node = surfpool().await;
    let chain = connect(node.rpc_url()).await;
    let slot = node.slot("confirmed").await.unwrap();
    let header = Header { number: slot + 1_000, ..first(chain.blocks()).await };
    assert!(chain.blocks().next(&header).await.unwrap().is_none());
    assert!(chain.blocks().at(slot + 1_000).await.unwrap().is_none());
    let proxy = Proxy::before(node.rpc_url()).await.unwrap();
    proxy.alter(|method, _, answer| {
        if method == "getBlock" {
            *answer = json!({"jsonrpc": "2.0", "id": 1, "error": {"code": -32004, "message": "Block not available for slot"}});
        }
    });
    assert!(connect(proxy.url()).await.blocks().from(slot - 3).await.unwrap().is_none());
}

/// The slot of some transaction.
async fn some_transaction(node: &SolanaNode) -> u64 {
    let wallet = node.wallet(SOL).await.unwrap();
    let mint = node.create_mint(&wallet, 0, false).await.unwrap();
    let account = node.create_token_account(&wallet, &wallet.address(), &mint).await.unwrap();
    node.mint_to(&wallet, &mint, &account, 1).await.unwrap()
}
