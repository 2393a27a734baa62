//! Services as processes, killed where it hurts.

use crate::net::{AMOUNT, Issued, Net, Wish};
use monay::services::Service;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};
use store::fault::{BUG_VARIABLE, Bug, CRASH_VARIABLE, Point};
use test_chain::Mining;

/// What nothing survives.
const SIGKILL: i32 = 9;

/// A funded invoice, a keeper that dies at `point`, then a healthy one; returns when the invoice is paid and final, with
/// what did not hold at the moment of death or does not hold at the end. (Only at that moment does it always show: our
/// signatures are deterministic, so that a keeper that has forgotten what it sent may sign the very same bytes again.)
async fn pay_through_a_crash(point: Point, bug: Option<Bug>) -> (Net, Issued, Vec<String>) {
    let mut net = Net::with(Mining::Interval(Duration::from_secs(1))).await;
    net.stack.run(Service::Indexer, &[]).await.unwrap();
    let point = format!("{point:?}");
    let bug = bug.map(|bug| format!("{bug:?}")).unwrap_or_default();
    net.stack.run(Service::Keeper, &[(CRASH_VARIABLE, &point), (BUG_VARIABLE, &bug)]).await.unwrap();
    let issued = net.issue(Wish::default()).await;
    net.transfer(issued.purse, AMOUNT).await;
    let ended = net.stack.ended(Service::Keeper, Duration::from_secs(20)).await.and_then(|status| status.signal());
    assert_eq!(ended, Some(SIGKILL), "the keeper did not die at {point}");
    let mut violations = net.violations(&[&issued]).await;
    net.stack.run(Service::Keeper, &[]).await.unwrap();
    let since = Instant::now();
    while net.statuses(&issued).await != ("paid".to_owned(), "destroyed".to_owned()) {
        assert!(since.elapsed() < Duration::from_secs(30), "after 30 s: {:?}", net.statuses(&issued).await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    violations.extend(net.violations(&[&issued]).await);
    (net, issued, violations)
}

async fn one_effect_after(point: Point) {
    let (net, issued, violations) = pay_through_a_crash(point, None).await;
    assert_eq!(violations, [""; 0]);
    assert_eq!(net.effects(&issued, 1).await.len(), 1);
    assert_eq!(net.balance(issued.terms.payee).await, alloy_primitives::U256::from(AMOUNT));
    assert_eq!(net.count("SELECT count(*) FROM attempts").await, 1, "the committed bytes were used, no others signed");
    net.stack.stop().await;
}

/// `fault:K4`.
#[tokio::test]
async fn killed_after_commit_before_broadcast_there_is_exactly_one_effect() {
    one_effect_after(Point::AfterCommitBeforeBroadcast).await;
}

/// `fault:K5`.
#[tokio::test]
async fn killed_after_broadcast_before_record_there_is_exactly_one_effect() {
    one_effect_after(Point::AfterBroadcastBeforeRecord).await;
}

/// The two tests above are worth something only if a keeper that sends before it commits does not pass them.
#[tokio::test]
async fn a_keeper_that_sends_before_it_commits_is_caught() {
    let (net, _, violations) =
        pay_through_a_crash(Point::AfterBroadcastBeforeRecord, Some(Bug::SendBeforeCommit)).await;
    assert!(violations.iter().any(|violation| violation.starts_with("K1")), "not caught: {violations:?}");
    net.stack.stop().await;
}

/// SIGTERM, or the end of the parent: services stop by themselves, with everything in Postgres.
#[tokio::test]
async fn services_stop_when_their_parent_is_gone() {
    let mut net = Net::start().await;
    net.stack.run_all().await.unwrap();
    assert!(net.stack.api_url().starts_with("http://127.0.0.1:"));
    let since = Instant::now();
    net.stack.stop().await;
    assert!(since.elapsed() < Duration::from_secs(10));
}
