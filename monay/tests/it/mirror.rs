//! Nodes that lie, lag and are replaced, logs that make no sense, invoices that cannot be brought up to date: the mirror
//! waits where it must, goes on where it can, and says which.

use crate::net::{AMOUNT, Issued, Net, Wish};
use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::SolEvent;
use indexer::{Error, Progress};
use serde_json::{Value, json};
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};
use store::fault::{CRASH_VARIABLE, Point};
use terms::abi::IERC20::Transfer;
use terms::abi::IInvoiceEscrow::Recorded;
use test_chain::{Anvil, AnvilOptions, Proxy};

async fn tip(net: &Net) -> i64 {
    net.count("SELECT tip_number FROM chains").await
}

fn recorded(net: &Net, issued: &Issued, paid: u128, kind: u8) -> (Vec<B256>, Vec<u8>) {
    let (token, to) = (net.token(), issued.terms.payee);
    let event = Recorded { termsHash: issued.terms.hash(), token, to, amount: U256::from(paid), paid, status: 1, kind };
    let data = event.encode_log_data();
    (data.topics().to_vec(), data.data.to_vec())
}

/// `fault:I9`.
#[tokio::test]
async fn logs_that_make_no_sense_go_to_quarantine_and_everything_else_is_booked() {
    let net = Net::start().await;
    let (one, two) = (net.issue(Wish::default()).await, net.issue(Wish::default()).await);
    let code: String =
        serde_json::from_value(net.node().rpc("eth_getCode", json!([net.escrow(), "latest"])).await.unwrap()).unwrap();
    net.transfer(one.purse, AMOUNT).await;

    // From our escrow: an unknown kind, too little data, a status that is no byte. Escrows do not change; ours does here.
    let (topics, data) = recorded(&net, &one, AMOUNT, 1);
    let (_, unknown) = recorded(&net, &one, AMOUNT, 99);
    let short = data[..64].to_vec();
    let mut wide = data.clone();
    wide[64] = 0xff;
    net.emit(net.escrow(), &[(topics.clone(), unknown), (topics.clone(), short), (topics, wide)]).await;
    net.mine().await;
    net.set_code(net.escrow(), &alloy_primitives::hex::decode(code).unwrap()).await;

    // From a token: a collectible, an old one that indexes nothing, one without an amount; and one for nobody.
    let word = |address: Address| address.into_word();
    let (transfer, from, nobody) = (Transfer::SIGNATURE_HASH, word(Address::repeat_byte(1)), Address::repeat_byte(2));
    let odd = [
        (vec![transfer, from, word(one.purse), B256::with_last_byte(7)], vec![]),
        (vec![transfer], [from, word(two.purse), B256::with_last_byte(7)].concat()),
        (vec![transfer, from, word(two.purse)], vec![]),
        (vec![transfer, from, word(nobody)], vec![]),
    ];
    net.emit(Address::repeat_byte(0x66), &odd).await;
    net.transfer(two.purse, AMOUNT).await;
    net.mine().await;
    net.index().await;
    assert_eq!(net.count("SELECT count(*) FROM quarantined_logs").await, 6);
    assert_eq!(
        net.count("SELECT count(*) FROM quarantined_logs WHERE terms_hash IS NULL").await,
        3,
        "the escrow's own"
    );
    assert_eq!(net.count("SELECT count(*) FROM quarantined_logs WHERE reason LIKE 'kind 99%'").await, 1);
    assert_eq!(net.count("SELECT count(*) FROM deposits").await, 2);
    assert!(net.differences().await.is_empty());
    net.rounds().await;
    for issued in [&one, &two] {
        assert_eq!(net.statuses(issued).await, ("paid".into(), "destroyed".into()));
    }
}

#[tokio::test]
async fn what_is_kept_of_odd_logs_has_a_limit_and_goes_with_its_block() {
    let net = Net::start().await;
    let issued = net.issue(Wish { manual: true, ..Wish::default() }).await;
    let odd = (vec![Transfer::SIGNATURE_HASH, B256::ZERO, issued.purse.into_word()], vec![]);
    net.emit(Address::repeat_byte(0x66), &vec![odd; 130]).await;
    net.mine().await;
    net.index().await;
    assert_eq!(net.count("SELECT count(*) FROM quarantined_logs").await, 100);
    net.node().reorg(1).await.unwrap();
    net.mine().await;
    net.index().await;
    assert_eq!(net.count("SELECT count(*) FROM quarantined_logs").await, 0);
}

/// What a node, not a contract, gets wrong about a log: `fault:I9`.
#[tokio::test]
async fn logs_that_a_node_gets_wrong_go_to_quarantine_too() {
    for (field, value, reason) in [
        ("removed", json!(true), "removed"),
        ("logIndex", Value::Null, "no index"),
        ("transactionHash", Value::Null, "no transaction"),
        ("logIndex", json!("0xffffffffffffffff"), "does not fit"),
    ] {
        let mut net = Net::start().await;
        let (wrong, right) = (net.issue(Wish::default()).await, net.issue(Wish::default()).await);
        let proxy = net.with_proxy().await;
        let topic = json!(wrong.purse.into_word());
        proxy.alter(move |method, _, answer| {
            if method == "eth_getLogs" {
                for log in answer["result"].as_array_mut().unwrap() {
                    if log["topics"][2] == topic {
                        log[field] = value.clone();
                    }
                }
            }
        });
        net.transfer(wrong.purse, AMOUNT).await;
        net.transfer(right.purse, AMOUNT).await;
        net.mine().await;
        net.index().await;
        assert_eq!(net.view(&right).await.received, AMOUNT.to_string(), "{reason}");
        assert_eq!(net.view(&wrong).await.received, "0", "{reason}");
        let row = sqlx::query_scalar("SELECT reason FROM quarantined_logs").fetch_all(net.stack.store.pool()).await;
        let reasons: Vec<String> = row.unwrap();
        assert!(reasons.len() == 1 && reasons[0].contains(reason), "{reason}: {reasons:?}");
        // Read anew from an honest node, nothing is lost.
        proxy.heal();
        assert!(!net.differences().await.is_empty());
        net.indexer.rebuild(false, |_, _| {}).await.unwrap();
        assert_eq!(net.view(&wrong).await.received, AMOUNT.to_string(), "{reason}");
    }
}

/// `fault:I9`, for what follows from a log: the escrow says that more was paid than invoiced, which no row may hold.
#[tokio::test]
async fn an_invoice_that_cannot_be_brought_up_to_date_stops_nobody_else_and_is_tried_again() {
    // So deep that no block becomes safe meanwhile: that would be another reason to look at its invoices.
    let net = Net::deep(20).await;
    let (stuck, other) = (net.issue(Wish::default()).await, net.issue(Wish::default()).await);
    net.emit(net.escrow(), &[recorded(&net, &stuck, AMOUNT + 1, 1)]).await;
    net.transfer(other.purse, AMOUNT).await;
    net.mine().await;
    net.index().await;
    assert_eq!(net.view(&other).await.received, AMOUNT.to_string());
    let noted = "SELECT count(*) FROM stuck_invoices WHERE error LIKE '%invoice_terms%check%'";
    assert_eq!(net.count(noted).await, 1);
    let tries = "SELECT tries::bigint FROM stuck_invoices";
    for by in ["the coordinator", "the next block"] {
        let before = net.count(tries).await;
        let due = sqlx::query("UPDATE stuck_invoices SET retry_at = now()");
        due.execute(net.stack.store.pool()).await.unwrap();
        if by == "the coordinator" {
            net.coordinator.coordinate().await.unwrap();
        } else {
            net.mine().await;
            net.index().await;
        }
        assert!(net.count(tries).await > before, "not tried again by {by}");
    }
    // The block goes, and with it what was wrong.
    net.node().reorg(2).await.unwrap();
    net.mine().await;
    net.index().await;
    assert_eq!(net.count("SELECT count(*) FROM stuck_invoices").await, 0);
    assert_eq!(net.statuses(&stuck).await, ("pending_payment".into(), "active".into()));
}

/// `fault:I3`.
#[tokio::test]
async fn another_chain_is_noticed_while_the_mirror_runs_whether_it_is_shorter_or_longer() {
    // The last one does not tell of the blocks that could be compared.
    for (blocks, holes) in [(0, false), (40, false), (40, true)] {
        let net = Net::start().await;
        let proxy = Proxy::start(net.node()).await.unwrap();
        let indexer = net.indexer_at(proxy.url()).await;
        let config = indexer::Config { poll: Duration::from_millis(10) };
        let running = tokio::spawn(indexer::run(config, indexer.store, indexer.chain, std::future::pending()));
        net.node().mine(3).await.unwrap();
        // The tags too: they are moved after the blocks, in a transaction of their own.
        for (tag, mirrored) in [
            ("latest", "SELECT tip_number FROM chains"),
            ("safe", "SELECT safe_number FROM chains"),
            ("finalized", "SELECT final_number FROM chains"),
        ] {
            while net.count(mirrored).await < i64::try_from(net.node().block(tag).await.unwrap().0).unwrap() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        let before = net.digests().await;
        let arguments = vec!["--timestamp".into(), "1700000000".into()];
        let other = Anvil::start(AnvilOptions { arguments, ..AnvilOptions::manual() }).await.unwrap();
        other.mine(blocks).await.unwrap();
        if holes {
            proxy.alter(|method, params, answer| {
                if method == "eth_getBlockByNumber"
                    && params[0].as_str().is_some_and(|at| at.starts_with("0x") && at != "0x0")
                {
                    answer["result"] = Value::Null;
                }
            });
        }
        proxy.lead_to(&other);
        let ended = tokio::time::timeout(Duration::from_secs(10), running).await.expect("it goes on").unwrap();
        let error = ended.unwrap_err();
        assert!(matches!(error, Error::OtherGenesis { .. }), "{blocks}, {holes}: {error}");
        assert!(error.to_string().contains("another chain is behind the node's URL"), "{error}");
        assert_eq!(net.digests().await, before);
    }
}

#[tokio::test]
async fn a_node_that_lags_takes_nothing_back() {
    let mut net = Net::start().await;
    let issued = net.issue(Wish { manual: true, ..Wish::default() }).await;
    net.mine().await;
    let (old, _) = net.node().block("latest").await.unwrap();
    net.transfer(issued.purse, AMOUNT).await;
    net.node().mine(3).await.unwrap();
    net.index().await;
    let proxy = net.with_proxy().await;
    let lagging = net.node().rpc("eth_getBlockByNumber", json!([format!("{old:#x}"), false])).await.unwrap();
    let before = net.digests().await;
    proxy.alter(move |method, params, answer| match (method, params[0].as_str()) {
        ("eth_getBlockByNumber", Some("latest")) => answer["result"] = lagging.clone(),
        ("eth_getBlockByNumber", Some(number)) if number.starts_with("0x") && number > format!("{old:#x}").as_str() => {
            answer["result"] = Value::Null;
        }
        _ => {}
    });
    let found = net.indexer.advance().await.unwrap();
    assert_eq!(found, Progress::NodeBehind { node: old, mirror: old + 3 });
    assert_eq!(net.digests().await, before);
    proxy.heal();
    assert_eq!(net.indexer.advance().await.unwrap(), Progress::Level);
}

/// `fault:I7`.
#[tokio::test]
async fn a_block_is_not_passed_before_the_node_has_all_of_it() {
    type Lie = fn(&str, &Value, &mut Value);
    let cases: [(&str, Lie, &str); 4] = [
        (
            "no logs at all",
            |method, _, answer| {
                if method == "eth_getLogs" {
                    answer["result"] = json!([]);
                }
            },
            "late or wrong",
        ),
        (
            "the transfers only",
            |method, _, answer| {
                if method == "eth_getLogs" {
                    let logs = answer["result"].as_array_mut().unwrap();
                    logs.retain(|log| log["topics"][0] == json!(Transfer::SIGNATURE_HASH));
                }
            },
            "late or wrong",
        ),
        (
            "neither logs nor receipts",
            |method, _, answer| match method {
                "eth_getLogs" => answer["result"] = json!([]),
                "eth_getBlockReceipts" => answer["result"] = Value::Null,
                _ => {}
            },
            "0 receipts",
        ),
        (
            "no logs, and no receipts for ever",
            |method, _, answer| match method {
                "eth_getLogs" => answer["result"] = json!([]),
                "eth_getBlockReceipts" => {
                    answer.as_object_mut().unwrap().remove("result");
                    answer["error"] = json!({"code": -32601, "message": "the method does not exist"});
                }
                _ => {}
            },
            "use a node that has it",
        ),
    ];
    let mut net = Net::start().await;
    let proxy = net.with_proxy().await;
    for (what, lie, sentence) in cases {
        // A block with a payment to one invoice and the settlement of another.
        let (settled, paid) = (net.issue(Wish::default()).await, net.issue(Wish::default()).await);
        net.transfer(settled.purse, AMOUNT).await;
        net.mine().await;
        net.index().await;
        while net.keeper.execute().await.unwrap() {}
        net.transfer(paid.purse, AMOUNT).await;
        net.mine().await;
        let before = tip(&net).await;
        proxy.alter(lie);
        for _ in 0..3 {
            let error = net.indexer.advance().await.unwrap_err().to_string();
            assert!(error.contains(sentence), "{what}: {error}");
        }
        assert_eq!(tip(&net).await, before, "{what}");
        proxy.heal();
        net.index().await;
        assert_eq!(tip(&net).await, before + 1, "{what}");
        assert_eq!(net.view(&paid).await.received, AMOUNT.to_string(), "{what}");
        assert_eq!(net.view(&settled).await.paid, AMOUNT, "{what}");
    }
    assert!(net.differences().await.is_empty());
}

/// A node without `eth_getBlockReceipts` that has a block before its transfers is asked once more.
#[tokio::test]
async fn transfers_that_come_a_moment_after_their_block_are_asked_for_again() {
    let mut net = Net::start().await;
    let issued = net.issue(Wish { manual: true, ..Wish::default() }).await;
    net.index().await;
    let proxy = net.with_proxy().await;
    let mut first = true;
    proxy.alter(move |method, _, answer| match method {
        "eth_getLogs" if std::mem::take(&mut first) => answer["result"] = json!([]),
        "eth_getBlockReceipts" => {
            answer.as_object_mut().unwrap().remove("result");
            answer["error"] = json!({"code": -32601, "message": "the method does not exist"});
        }
        _ => {}
    });
    net.transfer(issued.purse, AMOUNT).await;
    net.mine().await;
    net.index().await;
    assert_eq!(proxy.calls("eth_getLogs").len(), 2, "of one block");
    assert_eq!(net.view(&issued).await.received, AMOUNT.to_string());
}

/// `fault:I7`.
#[tokio::test]
async fn a_block_that_the_node_does_not_have_is_waited_for() {
    let mut net = Net::start().await;
    let issued = net.issue(Wish { manual: true, ..Wish::default() }).await;
    net.index().await;
    net.transfer(issued.purse, AMOUNT).await;
    net.node().mine(5).await.unwrap();
    let proxy = net.with_proxy().await;
    let hole = tip(&net).await + 1;
    proxy.alter(move |method, params, answer| {
        if method == "eth_getBlockByNumber" && params[0] == json!(format!("{hole:#x}")) {
            answer["result"] = Value::Null;
        }
    });
    for _ in 0..3 {
        net.indexer.advance().await.unwrap();
        assert_eq!(tip(&net).await, hole - 1);
    }
    proxy.heal();
    net.index().await;
    assert_eq!(net.view(&issued).await.received, AMOUNT.to_string());
}

#[tokio::test]
async fn receipts_that_come_late_or_never_hold_nothing_up() {
    let mut net = Net::start().await;
    let proxy = net.with_proxy().await;
    proxy.alter(|method, _, answer| {
        if method == "eth_getTransactionReceipt" {
            answer["result"] = Value::Null;
        }
    });
    let issued = net.issue(Wish::default()).await;
    net.transfer(issued.purse, AMOUNT).await;
    net.mine().await;
    net.rounds().await;
    assert_eq!(net.statuses(&issued).await, ("paid".into(), "destroyed".into()), "without any receipt");
    let without = "SELECT count(*) FROM observations WHERE success IS NULL AND gas_used IS NULL AND fee_units IS NULL";
    assert_eq!(net.count(without).await, 1);
    assert_eq!(
        net.count("SELECT count(*) FROM attempts WHERE state = 'final'").await,
        1,
        "and the keeper is done with it"
    );
    assert!(net.count("SELECT asks::bigint FROM observations").await > 0);
    // It does not depend on how long they stay away: `ask_at` only says when to look again.
    proxy.heal();
    sqlx::query("UPDATE observations SET ask_at = now()").execute(net.stack.store.pool()).await.unwrap();
    net.index().await;
    assert_eq!(net.count(without).await, 0);
    assert_eq!(net.count("SELECT count(*) FROM blockchain_transactions WHERE fee_units > 0").await, 1);
    assert!(net.differences().await.is_empty(), "late is as good as in time");
}

/// `fault:I4`, `fault:I5`.
#[tokio::test]
async fn behind_and_live_with_two_indexers_and_restarts_every_deposit_counts_once() {
    let net = Net::start().await;
    let issued = net.issue(Wish { manual: true, ..Wish::default() }).await;
    let mut payments = 0;
    for _ in 0..30 {
        net.transfer(issued.purse, 1).await;
        payments += 1;
        net.node().mine(10).await.unwrap();
    }
    let start = || {
        let (url, database) = (net.node().rpc_url(), net.stack.config.database_url.clone());
        let id = net.stack.chain().unwrap().id;
        tokio::spawn(async move {
            let store = ::store::Store::connect(&database, 2).await.unwrap();
            let chain = chain::evm::Evm::connect(&url, id, None).await.unwrap();
            indexer::run(indexer::Config { poll: Duration::from_millis(5) }, store, chain, std::future::pending()).await
        })
    };
    let mut running = [start(), start()];
    for round in 0..60 {
        net.transfer(issued.purse, 1).await;
        payments += 1;
        net.mine().await;
        tokio::time::sleep(Duration::from_millis(round % 30)).await;
        if round % 7 == 0 {
            // Dropped wherever it is.
            let which = usize::try_from(round / 7 % 2).unwrap();
            running[which].abort();
            running[which] = start();
        }
    }
    let (last, _) = net.node().block("latest").await.unwrap();
    let since = Instant::now();
    while tip(&net).await < i64::try_from(last).unwrap() {
        assert!(since.elapsed() < Duration::from_secs(30), "at {} of {last}", tip(&net).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for task in &running {
        task.abort();
    }
    assert_eq!(net.count("SELECT count(*) FROM deposits").await, payments);
    assert_eq!(net.view(&issued).await.received, payments.to_string());
    assert!(net.differences().await.is_empty());
}

/// `fault:I2`.
#[tokio::test]
async fn killed_anywhere_in_a_reorg_the_mirror_is_what_a_fresh_index_would_be() {
    for point in [Point::BetweenUndoAndAppend, Point::BeforeBlockCommit, Point::AfterBlockCommit] {
        let net = Net::deep(20).await;
        let (gone, stays) = (net.issue(Wish::default()).await, net.issue(Wish::default()).await);
        net.transfer(gone.purse, AMOUNT).await;
        net.node().mine(2).await.unwrap();
        net.index().await;
        let before = net.digests().await;
        net.node().reorg(2).await.unwrap();
        net.transfer(stays.purse, AMOUNT).await;
        net.node().mine(3).await.unwrap();
        let name = format!("{point:?}");
        net.stack.run(monay::services::Service::Indexer, &[(CRASH_VARIABLE, &name)]).await.unwrap();
        let ended = net.stack.ended(monay::services::Service::Indexer, Duration::from_secs(20)).await;
        assert_eq!(ended.and_then(|status| status.signal()), Some(9), "it did not die at {name}");
        let after = net.digests().await;
        assert_eq!(after == before, point != Point::AfterBlockCommit, "{name}: all of it or none");
        net.index().await;
        assert!(net.differences().await.is_empty(), "{name}");
        assert_eq!(net.view(&gone).await.received, "0", "{name}");
        assert_eq!(net.view(&stays).await.received, AMOUNT.to_string(), "{name}");
        net.stack.stop().await;
    }
}

#[tokio::test]
async fn requests_that_hold_invoices_and_reorgs_that_want_them_take_turns() {
    let net = Net::deep(200).await;
    let mut issued = Vec::new();
    for _ in 0..6 {
        issued.push(net.issue(Wish { manual: true, ..Wish::default() }).await);
    }
    // What goes is paid to those that are locked last, what comes to those that are locked first.
    issued.sort_by_key(|issued| issued.id.clone());
    let store = ::store::Store::connect(&net.stack.config.database_url, 8).await.unwrap();
    let hashes: Vec<B256> = issued.iter().map(|issued| issued.terms.hash()).collect();
    let rows = "DELETE FROM blockchain_transactions b USING invoice_terms t WHERE t.invoice_id = b.invoice_id AND t.terms_hash = $1";
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let requests: Vec<_> = (0..4)
        .map(|_| {
            let (store, hashes, stopped) = (store.clone(), hashes.clone(), stopped.clone());
            tokio::spawn(async move {
                while !*stopped.borrow() {
                    let mut tx = store.begin().await.unwrap();
                    for hash in &hashes {
                        // As of an invoice that was stuck: its rows are written now, and refer to blocks that may be going.
                        ::store::projection::lock(&mut tx, [*hash]).await?;
                        sqlx::query(rows)
                            .bind(hash.as_slice())
                            .execute(&mut *tx)
                            .await
                            .map_err(::store::Error::from)?;
                        tokio::time::sleep(Duration::from_millis(2)).await;
                        ::store::projection::refresh(&mut tx, *hash).await?;
                    }
                    tx.commit().await.map_err(::store::Error::from)?;
                }
                Ok::<_, ::store::Error>(())
            })
        })
        .collect();
    for _ in 0..8 {
        for issued in &issued[3..] {
            net.transfer(issued.purse, 1).await;
        }
        net.mine().await;
        net.index().await;
        net.node().reorg(1).await.unwrap();
        for issued in &issued[..3] {
            net.transfer(issued.purse, 1).await;
        }
        net.mine().await;
        net.index().await;
    }
    stop.send(true).unwrap();
    for request in requests {
        request.await.unwrap().unwrap();
    }
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(net.count(deadlocks).await, 0);
    assert!(net.differences().await.is_empty());
}
