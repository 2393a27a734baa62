//! `monay rebuild`: the mirror is a function of the chain.

use crate::net::{AMOUNT, Issued, Net, Wish};
use std::os::unix::process::ExitStatusExt;
use std::process::Output;
use store::fault::{CRASH_VARIABLE, Point};
use tokio::process::Command;

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// `fault:I1`, `fault:I12`.
#[tokio::test]
async fn after_random_reorgs_there_is_nothing_to_rebuild() {
    let mut settled = 0;
    for seed in [1, 7, 4_711] {
        let (net, mut dice) = (Net::deep(40).await, Dice(seed));
        let mut issued = Vec::new();
        for _ in 0..4 {
            issued.push(net.issue(Wish::default()).await);
        }
        for step in 0..40 {
            let to: &Issued = &issued[usize::try_from(dice.below(4)).unwrap()];
            match dice.below(8) {
                0..3 => drop(net.transfer(to.purse, u128::from(dice.below(2) + 1) * AMOUNT / 2).await),
                3 => while net.keeper.execute().await.unwrap() {},
                4 => drop(net.keeper.watch().await.unwrap()),
                5 => net.node().mine(dice.below(3) + 1).await.unwrap(),
                6 => net.node().reorg(dice.below(5) + 1).await.unwrap(),
                _ => {
                    // Shorter, then as long as it was or longer.
                    let depth = dice.below(5) + 1;
                    net.node().rpc("anvil_rollback", serde_json::json!([depth])).await.unwrap();
                    net.node().mine(depth + dice.below(2)).await.unwrap();
                }
            }
            net.mine().await;
            net.index().await;
            if step % 10 == 9 {
                let differ = net.differences().await;
                assert!(differ.is_empty(), "seed {seed}, step {step}: {differ:#?}");
            }
        }
        assert!(net.count("SELECT count(*) FROM deposits").await > 0, "seed {seed}: nothing was paid");
        settled += net.count("SELECT count(*) FROM escrow_events").await;
    }
    assert!(settled > 0, "nothing was settled");
}

/// A net with one invoice that is paid, final and destroyed, and one that is funded.
async fn played() -> Net {
    let net = Net::start().await;
    let (paid, funded) = (net.issue(Wish::default()).await, net.issue(Wish { manual: true, ..Wish::default() }).await);
    net.transfer(paid.purse, AMOUNT + 5).await;
    net.transfer(funded.purse, AMOUNT).await;
    net.mine().await;
    net.rounds().await;
    net
}

async fn spoil(net: &Net) {
    for damage in [
        "DELETE FROM deposits WHERE amount_units = 150000005",
        "UPDATE escrow_events SET amount_units = amount_units + 1",
        "UPDATE observations SET fee_units = 1",
        "UPDATE blockchain_transactions SET status = 'seen', created_at = now()",
        "UPDATE payments SET status = 'processing'",
        "DELETE FROM blocks WHERE number = (SELECT tip_number - 2 FROM chains)",
        "UPDATE invoices SET received_units = 7",
        "UPDATE invoice_wallets SET balance_units = 9",
        "UPDATE wallets SET balance_units = 3",
        "UPDATE chains SET final_timestamp = 1",
    ] {
        let done = sqlx::query(damage).execute(net.stack.store.pool()).await.unwrap();
        assert!(done.rows_affected() > 0, "{damage}");
    }
}

async fn rebuild(net: &Net, arguments: &[&str], crash: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_monay"));
    command.arg("--config").arg(net.stack.config_file()).arg("rebuild").args(arguments).env(CRASH_VARIABLE, crash);
    command.output().await.unwrap()
}

/// `fault:I12`.
#[tokio::test]
async fn what_was_deleted_or_changed_by_hand_is_restored_byte_for_byte() {
    let net = played().await;
    let good = net.digests().await;
    assert!(rebuild(&net, &["--check"], "").await.status.success());
    let history = "SELECT count(*) FROM wallet_lifecycle_events";
    let (events, signed) = (net.count(history).await, net.count("SELECT count(*) FROM attempts").await);
    spoil(&net).await;
    let spoilt = net.digests().await;

    let checked = rebuild(&net, &["--check"], "").await;
    let (told, why) = (String::from_utf8(checked.stdout).unwrap(), String::from_utf8(checked.stderr).unwrap());
    assert_eq!(checked.status.code(), Some(1), "{told}{why}");
    assert!(told.lines().any(|line| line.starts_with("deposits") && line.ends_with("NO")), "{told}");
    assert!(told.lines().any(|line| line.starts_with("quarantined_logs") && line.ends_with("yes")), "{told}");
    assert!(why.contains("Nothing was changed"), "{why}");
    assert_eq!(net.digests().await, spoilt, "--check changed something");

    let repaired = rebuild(&net, &[], "").await;
    let told = String::from_utf8(repaired.stdout).unwrap();
    assert!(repaired.status.success() && told.contains("were repaired"), "{told}");
    assert_eq!(net.digests().await, good);
    assert!(rebuild(&net, &["--check"], "").await.status.success());
    assert!(net.count(history).await >= events, "history only grows");
    assert_eq!(net.count("SELECT count(*) FROM attempts").await, signed);
}

#[tokio::test]
async fn a_rebuild_that_is_killed_leaves_everything_as_it_was() {
    let net = played().await;
    let before = net.digests().await;
    let killed = rebuild(&net, &[], &format!("{:?}", Point::InRebuild)).await;
    assert_eq!(killed.status.signal(), Some(9), "{}", String::from_utf8_lossy(&killed.stderr));
    assert_eq!(net.digests().await, before);
    // And nobody waits for it any more.
    net.mine().await;
    net.index().await;
}

/// An indexer that comes in the middle waits, and goes on from the same block.
#[tokio::test]
async fn an_indexer_waits_for_a_rebuild_and_goes_on() {
    let net = played().await;
    net.node().mine(5).await.unwrap();
    let twin = net.indexer.clone();
    let (rebuilt, stepped) = tokio::join!(net.indexer.rebuild(false, |_, _| {}), twin.step());
    match (rebuilt, stepped) {
        (Ok(rebuilt), Ok(_) | Err(indexer::Error::Store(store::Error::TipMoved(_)))) => assert!(rebuilt.is_same()),
        other => panic!("{other:?}"),
    }
    net.index().await;
    assert!(net.differences().await.is_empty());
}

#[tokio::test]
async fn a_node_on_another_branch_is_no_base_for_a_rebuild() {
    let net = played().await;
    net.node().reorg(1).await.unwrap();
    let before = net.digests().await;
    let error = net.indexer.rebuild(false, |_, _| {}).await.unwrap_err().to_string();
    assert!(error.contains("let the indexer catch up first"), "{error}");
    assert_eq!(net.digests().await, before);
}
