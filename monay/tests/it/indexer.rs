//! The mirror shows the canonical chain, all of it and nothing else.

use crate::net::{AMOUNT, Issued, Net, Wish};
use alloy_primitives::{Address, U256, hex};
use alloy_sol_types::SolEvent;
use monay::stack::Cast;
use sqlx::Row;
use terms::abi::IERC20;

#[tokio::test]
async fn plain_transfers_are_found_among_ten_thousand_live_addresses() {
    let net = Net::start().await;
    let now = net.chain_now().await;
    let mut db = net.stack.store.begin().await.unwrap();
    let mut live = Vec::new();
    for _ in 0..10_000 {
        live.push(net.issue_in(&mut db, Wish::default(), now).await);
    }
    db.commit().await.unwrap();
    let paid: Vec<&Issued> = live.iter().step_by(499).collect();
    for issued in &paid {
        net.transfer(issued.purse, 1_000).await;
    }
    // Money for somebody who is none of ours.
    net.transfer(Address::repeat_byte(0xee), 5).await;
    net.mine().await;
    net.index().await;
    let found = net.count("SELECT count(*) FROM deposits").await;
    assert_eq!((found, paid.len()), (21, 21));
    for issued in paid {
        assert_eq!(net.view(issued).await.wallet.balance, "1000");
    }
    assert_eq!(net.count("SELECT count(*) FROM invoice_wallets WHERE balance_units > 0").await, 21);
    assert_eq!(net.count("SELECT count(*) FROM logs").await, 21, "logs that concern nobody are not stored");
}

/// Emits `Transfer(caller, first argument word, 2²⁵⁶ − 1)` whenever it is called: a token that claims anything.
async fn hostile_token(net: &Net) -> Address {
    let at = Address::repeat_byte(0x66);
    let code = [
        hex!("7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff5f52").as_slice(),
        &hex!("5f35337f"),
        IERC20::Transfer::SIGNATURE_HASH.as_slice(),
        &hex!("60205fa300"),
    ];
    let set = serde_json::json!([at, hex::encode_prefixed(code.concat())]);
    net.node().rpc("anvil_setCode", set).await.unwrap();
    at
}

#[tokio::test]
async fn a_hostile_token_that_claims_the_largest_number_is_stored_as_foreign_and_stops_nothing() {
    let net = Net::start().await;
    let (attacked, other) = (net.issue(Wish::default()).await, net.issue(Wish::default()).await);
    let hostile = hostile_token(&net).await;
    for _ in 0..3 {
        net.send(Cast::STRANGER, hostile, attacked.purse.into_word().to_vec()).await;
    }
    net.transfer(attacked.purse, AMOUNT).await;
    net.transfer(other.purse, AMOUNT).await;
    net.mine().await;
    net.rounds().await;
    for issued in [&attacked, &other] {
        assert_eq!(net.statuses(issued).await, ("paid".into(), "destroyed".into()));
    }
    let view = net.view(&attacked).await;
    assert_eq!(view.exceptions, ["foreign_token"]);
    assert_eq!(view.received, AMOUNT.to_string(), "what a foreign token claims is not money received");
    let foreign: Vec<_> = view.transactions.iter().filter(|tx| tx.purpose == "foreign_deposit").collect();
    assert_eq!(foreign.len(), 3);
    assert!(foreign.iter().all(|tx| tx.amount == U256::MAX.to_string()));
}

/// Every row that was read from the chain or follows from it, as one text per table.
async fn dump(net: &Net) -> Vec<String> {
    let mut dumped = Vec::new();
    for (table, columns) in [
        ("blocks", "number, hash, parent_hash, timestamp"),
        ("logs", "block_hash, log_index, tx_hash, address, topics, data"),
        ("deposits", "block_hash, log_index, terms_hash, token, foreign_token, amount_units"),
        ("escrow_events", "block_hash, log_index, terms_hash, kind, amount_units, paid_units, status"),
        ("blockchain_transactions", "id, invoice_id, purpose, amount_units, tx_hash, status"),
        ("invoices", "id, status, paid_units, received_units"),
        ("invoice_wallets", "wallet_id, status, balance_units"),
    ] {
        let sql = format!(
            "SELECT count(*) || ':' || COALESCE(md5(string_agg(t::text, '|' ORDER BY t::text)), '') FROM (SELECT {columns} FROM {table}) t"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_one(net.stack.store.pool()).await.unwrap();
        dumped.push(format!("{table} {}", row.get::<String, _>(0)));
    }
    dumped
}

#[tokio::test]
async fn a_reorg_leaves_what_a_fresh_index_of_the_new_chain_would_have() {
    let net = Net::start().await;
    let issued = net.issue(Wish { manual: true, ..Wish::default() }).await;
    net.mine().await;
    net.index().await;
    let before = dump(&net).await;
    let snapshot = net.node().snapshot().await.unwrap();
    net.transfer(issued.purse, AMOUNT).await;
    net.mine().await;
    net.index().await;
    assert_eq!(net.statuses(&issued).await, ("pending_payment".into(), "funded".into()));
    assert_ne!(dump(&net).await, before);

    // The block with the payment is replaced by two without it.
    net.node().revert(snapshot).await.unwrap();
    net.transfer(Address::repeat_byte(1), 1).await;
    net.node().mine(2).await.unwrap();
    net.index().await;
    assert_eq!(net.statuses(&issued).await, ("pending_payment".into(), "active".into()));
    assert_eq!(net.view(&issued).await.wallet.balance, "0");
    let after = dump(&net).await;
    assert_eq!(after[1..4], before[1..4], "logs, deposits and events of the old block are gone");
    assert_eq!(after[5..], before[5..]);

    // And it can be paid after all.
    net.transfer(issued.purse, AMOUNT).await;
    net.mine().await;
    net.index().await;
    assert_eq!(net.statuses(&issued).await.1, "funded");
}

#[tokio::test]
async fn a_chain_that_changes_below_its_finalized_block_stops_the_mirror_with_a_sentence() {
    let net = Net::start().await;
    let snapshot = net.node().snapshot().await.unwrap();
    net.node().mine(6).await.unwrap();
    net.index().await;
    net.node().revert(snapshot).await.unwrap();
    net.transfer(Address::repeat_byte(1), 1).await;
    net.node().mine(8).await.unwrap();
    let error = net.indexer.step().await.unwrap_err().to_string();
    assert!(error.contains("has changed below its finalized block"), "{error}");
    assert!(error.contains("Nothing was changed here"), "{error}");
}

#[tokio::test]
async fn another_chain_behind_the_same_url_is_refused() {
    let net = Net::start().await;
    let other = Net::start().await;
    let stranger = indexer::Indexer { store: net.stack.store.clone(), chain: other.indexer.chain.clone() };
    // Two Anvils began at different times, so their first blocks differ.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let third = Net::start().await;
    let late = indexer::Indexer { store: net.stack.store.clone(), chain: third.indexer.chain.clone() };
    net.indexer.check_genesis().await.unwrap();
    let error = late.check_genesis().await.unwrap_err().to_string();
    assert!(error.contains("check the URL"), "{error}");
    drop(stranger);
}

#[tokio::test]
async fn two_indexers_on_one_database_take_turns_and_never_interleave() {
    let net = Net::start().await;
    let issued = net.issue(Wish { manual: true, ..Wish::default() }).await;
    let twin = net.indexer.clone();
    for round in 0..10 {
        net.transfer(issued.purse, 1).await;
        net.mine().await;
        let (one, two) = tokio::join!(net.indexer.step(), twin.step());
        for outcome in [one, two] {
            match outcome {
                Ok(_) | Err(indexer::Error::Store(store::Error::TipMoved(_))) => {}
                Err(error) => panic!("round {round}: {error}"),
            }
        }
    }
    net.index().await;
    assert_eq!(net.count("SELECT count(*) FROM deposits").await, 10);
    assert_eq!(net.view(&issued).await.wallet.balance, "10");
}

#[tokio::test]
async fn an_event_of_another_contract_with_the_escrows_signature_is_nothing() {
    use terms::abi::IInvoiceEscrow::Recorded;
    let net = Net::start().await;
    let issued = net.issue(Wish::default()).await;
    // LOG4 with the topics of a settlement, and "paid in full" as data, from an address that is not the escrow.
    let forged = Recorded {
        termsHash: issued.terms.hash(),
        token: net.token(),
        to: issued.terms.payee,
        amount: U256::from(AMOUNT),
        paid: AMOUNT,
        status: 1,
        kind: 1,
    };
    let data = forged.encode_log_data();
    let mut code = Vec::new();
    for (at, word) in data.data.chunks(32).enumerate() {
        code.extend([&[0x7f][..], word, &[0x60, u8::try_from(at * 32).unwrap(), 0x52]].concat());
    }
    for topic in data.topics().iter().rev() {
        code.extend([&[0x7f][..], topic.as_slice()].concat());
    }
    code.extend([0x60, u8::try_from(data.data.len()).unwrap(), 0x5f, 0xa4, 0x00]);
    let forger = Address::repeat_byte(0x77);
    net.node().rpc("anvil_setCode", serde_json::json!([forger, hex::encode_prefixed(code)])).await.unwrap();
    net.send(Cast::STRANGER, forger, vec![]).await;
    net.mine().await;
    net.index().await;
    assert_eq!(net.count("SELECT count(*) FROM logs").await, 0);
    assert_eq!(net.statuses(&issued).await, ("pending_payment".into(), "active".into()));
}

#[tokio::test]
async fn transfers_of_nothing_and_too_many_foreign_ones_are_not_remembered() {
    let net = Net::start().await;
    let issued = net.issue(Wish::default()).await;
    let hostile = hostile_token(&net).await;
    net.transfer(issued.purse, 0).await;
    for _ in 0..store::chain::MAX_FOREIGN + 20 {
        net.send(Cast::STRANGER, hostile, issued.purse.into_word().to_vec()).await;
    }
    net.transfer(issued.purse, AMOUNT).await;
    net.mine().await;
    net.rounds().await;
    assert_eq!(net.statuses(&issued).await, ("paid".into(), "destroyed".into()));
    assert_eq!(net.count("SELECT count(*) FROM deposits WHERE foreign_token").await, 100);
    assert_eq!(net.count("SELECT count(*) FROM deposits WHERE NOT foreign_token").await, 1);
}
