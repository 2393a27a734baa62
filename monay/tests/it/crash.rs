//! Services as processes, killed where it hurts, and with bugs seeded on purpose: a promise about crashes is kept only if a
//! service that breaks it does not pass.

use crate::net::{AMOUNT, Issued, Net, Wish, patient};
use keeper::{Duty, Keeper};
use monay::services::Service;
use monay::stack::{Cast, Options};
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use store::fault::{BUG_VARIABLE, Bug, CRASH_VARIABLE, Point};
use test_chain::{Fault, Mining, Proxy};

/// What nothing survives.
const SIGKILL: i32 = 9;

/// Blocks come by themselves, quickly.
const BLOCKS: Mining = Mining::Interval(Duration::from_millis(250));

/// A lease that a test does not have to wait for long when its holder was killed.
const SHORT_LEASE: (&str, &str) = ("MONAY__KEEPER__LEASE_MS", "500");

async fn net() -> Net {
    let net = Net::with(BLOCKS).await;
    net.stack.run(Service::Indexer, &[]).await.unwrap();
    net
}

async fn funded(net: &Net) -> Issued {
    let issued = net.issue(Wish::default()).await;
    net.transfer(issued.purse, AMOUNT).await;
    issued
}

/// Waits until nothing is left to happen: paid, destroyed, every transaction closed.
async fn settled(net: &Net, issued: &Issued) {
    let since = Instant::now();
    let open = "SELECT count(*) FROM attempts WHERE state IN ('signed', 'broadcast', 'unknown')";
    while net.statuses(issued).await != ("paid".to_owned(), "destroyed".to_owned()) || net.count(open).await > 0 {
        assert!(since.elapsed() < Duration::from_secs(40), "after 40 s: {:?}", net.statuses(issued).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn transactions_of(net: &Net, issued: &Issued) -> i64 {
    let row: (i64,) = sqlx::query_as(
        "SELECT count(DISTINCT l.attempt_id) FROM attempt_intents l JOIN intents n ON n.id = l.intent_id WHERE n.terms_hash = $1",
    )
    .bind(issued.terms.hash().to_vec())
    .fetch_one(net.stack.store.pool())
    .await
    .unwrap();
    row.0
}

/// A funded invoice, a keeper that dies at `point`, then a healthy one; returns when everything is final, with what did not
/// hold at the moment of death or does not hold at the end. (Only at that moment does it always show: our signatures are
/// deterministic, so that a keeper that has forgotten what it sent may sign the very same bytes again.)
async fn pay_through_a_crash(net: &Net, point: Point, bug: Option<Bug>) -> (Issued, Vec<String>) {
    let named = format!("{point:?}");
    let bug = bug.map(|bug| format!("{bug:?}")).unwrap_or_default();
    let environment = [(CRASH_VARIABLE, named.as_str()), (BUG_VARIABLE, bug.as_str()), SHORT_LEASE];
    net.stack.run(Service::Keeper, &environment).await.unwrap();
    let issued = funded(net).await;
    let ended = net.stack.ended(Service::Keeper, Duration::from_secs(30)).await.and_then(|status| status.signal());
    assert_eq!(ended, Some(SIGKILL), "the keeper did not die at {point:?}");
    let mut violations = net.violations(&[&issued]).await;
    net.stack.run(Service::Keeper, &[SHORT_LEASE]).await.unwrap();
    settled(net, &issued).await;
    net.stack.kill(Service::Keeper).await;
    violations.extend(net.violations(&[&issued]).await);
    (issued, violations)
}

/// `fault:K1`, `fault:K2`, `fault:K4`, `fault:K5`: at every write of the protocol.
#[tokio::test]
async fn killed_at_any_write_there_is_exactly_one_effect_and_the_committed_bytes_are_used() {
    let net = net().await;
    for point in [
        Point::BeforeCommit,
        Point::AfterCommitBeforeBroadcast,
        Point::AfterBroadcastBeforeRecord,
        Point::AfterRecord,
        Point::BeforeCloseCommit,
        Point::AfterClose,
    ] {
        let (issued, violations) = pay_through_a_crash(&net, point, None).await;
        assert_eq!(violations, [""; 0], "{point:?}");
        assert_eq!(net.effects(&issued, 1).await.len(), 1, "{point:?}");
        assert_eq!(transactions_of(&net, &issued).await, 1, "{point:?}: no others were signed");
    }
    net.stack.stop().await;
}

/// The test above is worth something only if a keeper that sends before it commits does not pass it.
#[tokio::test]
async fn a_keeper_that_sends_before_it_commits_is_caught() {
    let net = net().await;
    let bug = Some(Bug::SendBeforeCommit);
    let (_, violations) = pay_through_a_crash(&net, Point::AfterBroadcastBeforeRecord, bug).await;
    assert!(violations.iter().any(|violation| violation.starts_with("K1")), "not caught: {violations:?}");
    net.stack.stop().await;
}

/// `fault:K10`: killed between the commit of a replacement with higher fees and its broadcast.
#[tokio::test]
async fn killed_before_a_replacement_is_sent_there_is_exactly_one_effect() {
    let net = net().await;
    let proxy = Proxy::start(net.node()).await.unwrap();
    proxy.always("eth_sendRawTransaction", Fault::Refused);
    let point = format!("{:?}", Point::AfterReplacementBeforeBroadcast);
    let impatient = [
        ("MONAY__CHAINS__BASE__RPC_URL", proxy.url()),
        ("MONAY__KEEPER__RESEND_MS", "50"),
        ("MONAY__KEEPER__RAISE_MS", "1"),
        (CRASH_VARIABLE, point.as_str()),
        SHORT_LEASE,
    ];
    net.stack.run(Service::Keeper, &impatient).await.unwrap();
    let issued = funded(&net).await;
    let ended = net.stack.ended(Service::Keeper, Duration::from_secs(30)).await.and_then(|status| status.signal());
    assert_eq!(ended, Some(SIGKILL));
    assert_eq!(transactions_of(&net, &issued).await, 2);
    net.stack.run(Service::Keeper, &[SHORT_LEASE]).await.unwrap();
    settled(&net, &issued).await;
    assert_eq!(net.violations(&[&issued]).await, [""; 0]);
    assert_eq!(net.effects(&issued, 1).await.len(), 1);
    assert_eq!(net.count("SELECT count(DISTINCT nonce) FROM attempts").await, 1);
    net.stack.stop().await;
}

/// Pays through a node that takes the bytes and loses its answer; how many of our transactions are on the wire in the end.
async fn pay_through_a_lost_answer(bug: &str) -> usize {
    // Slow blocks: who takes the lost answer for a failure has time to try again before a block tells better.
    let net = Net::with(Mining::Interval(Duration::from_secs(2))).await;
    net.stack.run(Service::Indexer, &[]).await.unwrap();
    let proxy = Proxy::start(net.node()).await.unwrap();
    proxy.times("eth_sendRawTransaction", Fault::AnswerLost, 1);
    let environment = [("MONAY__CHAINS__BASE__RPC_URL", proxy.url()), (BUG_VARIABLE, bug)];
    net.stack.run(Service::Keeper, &environment).await.unwrap();
    let issued = funded(&net).await;
    settled(&net, &issued).await;
    let sent = net.on_the_wire(Cast::address(Cast::KEEPER)).await.len();
    net.stack.stop().await;
    sent
}

/// `fault:K5` once more, with services as processes.
#[tokio::test]
async fn through_a_lost_answer_one_transaction_is_sent() {
    assert_eq!(pay_through_a_lost_answer("").await, 1);
}

/// What engine-core did: an answer that does not come is taken for a failure. The escrow refuses the second settlement, so
/// that no money is lost; the second transaction shows it.
#[tokio::test]
async fn a_keeper_that_takes_unknown_for_failed_is_caught() {
    let bug = format!("{:?}", Bug::UnknownIsFailed);
    assert!(pay_through_a_lost_answer(&bug).await > 1, "not caught");
}

/// An invoice that has half its money, on a chain whose clock is two hours behind the machine's: by the machine's clock it
/// has expired. Returns whether it was cancelled before the chain's time came, and lets the time come.
async fn half_paid_on_a_slow_clock(bug: &str) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let anvil = vec!["--timestamp".to_owned(), (now - 7_200).to_string()];
    let net = Net::of(Options { mining: BLOCKS, anvil, ..Options::default() }).await;
    for service in [Service::Indexer, Service::Keeper, Service::Coordinator] {
        net.stack.run(service, &[(BUG_VARIABLE, bug)]).await.unwrap();
    }
    let issued = net.issue(Wish::default()).await;
    assert!(issued.expires_at < now);
    net.transfer(issued.purse, AMOUNT / 2).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let early = !net.effects(&issued, 3).await.is_empty();
    if !early {
        net.node().set_next_timestamp(issued.expires_at).await.unwrap();
        let since = Instant::now();
        while net.statuses(&issued).await != ("expired".to_owned(), "destroyed".to_owned()) {
            assert!(since.elapsed() < Duration::from_secs(30), "{:?}", net.statuses(&issued).await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(net.balance(issued.terms.refund_to).await, alloy_primitives::U256::from(AMOUNT / 2));
    }
    net.stack.stop().await;
    early
}

/// `fault:K15`: the machine's clock decides nothing.
#[tokio::test]
async fn clocks_that_disagree_send_no_money_back_early() {
    assert!(!half_paid_on_a_slow_clock("").await);
}

#[tokio::test]
async fn a_service_that_refunds_by_its_own_clock_is_caught() {
    let bug = format!("{:?}", Bug::WallClock);
    assert!(half_paid_on_a_slow_clock(&bug).await, "not caught");
}

/// `fault:K14`: a keeper that is killed is followed by one that stands by, as soon as its lease has run out.
#[tokio::test]
async fn a_standby_takes_over_when_the_keeper_is_killed() {
    let net = net().await;
    net.stack.run(Service::Keeper, &[SHORT_LEASE]).await.unwrap();
    let config = keeper::Config { lease: Duration::from_millis(500), ..patient(Duty::Settle) };
    let standby = Keeper::new(config, net.stack.store.clone(), net.keeper.chain.clone());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let standby = tokio::spawn(keeper::run(config, standby.store, standby.chain, async {
        let _ = stopped.await;
    }));
    let one = funded(&net).await;
    settled(&net, &one).await;
    assert_eq!(net.count("SELECT max(lease_epoch) FROM signers").await, 1, "one acts, one stands by");
    net.stack.kill(Service::Keeper).await;
    let two = funded(&net).await;
    settled(&net, &two).await;
    assert_eq!(net.count("SELECT max(lease_epoch) FROM signers").await, 2);
    assert_eq!(net.violations(&[&one, &two]).await, [""; 0]);
    stop.send(()).unwrap();
    standby.await.unwrap().unwrap();
    net.stack.stop().await;
}

/// `fault:K18`: told to stop in the middle of its work, the keeper ends by itself and in time, gives its lease back, and
/// nothing was in its memory only.
#[tokio::test]
async fn a_keeper_that_is_told_to_stop_drains_and_loses_nothing() {
    let net = net().await;
    let proxy = Proxy::start(net.node()).await.unwrap();
    proxy.always("eth_sendRawTransaction", Fault::Slow(Duration::from_millis(400)));
    net.stack.run(Service::Keeper, &[("MONAY__CHAINS__BASE__RPC_URL", proxy.url())]).await.unwrap();
    let mut all = Vec::new();
    for _ in 0..6 {
        all.push(funded(&net).await);
    }
    while proxy.calls("eth_sendRawTransaction").is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    net.stack.terminate(Service::Keeper).await;
    let status = net.stack.ended(Service::Keeper, Duration::from_secs(30)).await.unwrap();
    assert_eq!(status.code(), Some(0));
    assert_eq!(net.count("SELECT count(*) FROM signers WHERE lease_owner IS NOT NULL").await, 0);
    net.stack.run(Service::Keeper, &[]).await.unwrap();
    for issued in &all {
        settled(&net, issued).await;
    }
    assert_eq!(net.violations(&all.iter().collect::<Vec<_>>()).await, [""; 0]);
    net.stack.stop().await;
}

/// SIGTERM, or the end of the parent: services stop by themselves, with everything in Postgres.
#[tokio::test]
async fn services_stop_when_their_parent_is_gone() {
    let net = Net::with(Mining::Interval(Duration::from_secs(1))).await;
    net.stack.run_all().await.unwrap();
    assert!(net.stack.api_url().starts_with("http://127.0.0.1:"));
    let since = Instant::now();
    net.stack.stop().await;
    assert!(since.elapsed() < Duration::from_secs(10));
}
