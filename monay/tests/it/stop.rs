//! SIGTERM: a service that is told to stop finishes what it is in the middle of, and is gone within half a minute.

use crate::net::{AMOUNT, Net, Wish};
use monay::services::Service;
use monay::stack::TENANT;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use test_chain::Mining;

/// A service may take so long to stop.
const PATIENCE: Duration = Duration::from_secs(30);

async fn stops(net: &mut Net, service: Service) {
    let since = Instant::now();
    net.stack.terminate(service).await;
    let status = net.stack.ended(service, PATIENCE).await;
    let status = status.unwrap_or_else(|| panic!("the {} still runs after {PATIENCE:?}", service.name()));
    let log = std::fs::read_to_string(net.stack.log_file(service)).unwrap();
    assert_eq!(status.code(), Some(0), "after {:?}: {}", since.elapsed(), log.lines().last().unwrap_or_default());
}

/// Every invoice that was answered for is in Postgres, and the last requests were answered, not cut.
#[tokio::test]
async fn the_api_drains_under_load_and_ends_with_zero() {
    let mut net = Net::start().await;
    net.stack.run(Service::Api, &[]).await.unwrap();
    let (url, key) = (format!("{}/api/invoices/create", net.stack.api_url()), net.stack.api_key.clone());
    let stopping = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..16)
        .map(|_| {
            let (url, key, stopping) = (url.clone(), key.clone(), stopping.clone());
            tokio::spawn(async move {
                let http = reqwest::Client::new();
                let (mut issued, mut cut) = (Vec::new(), 0);
                let body = serde_json::json!({"amount": 150, "currency": "USD", "wallet_ttl": 3600});
                loop {
                    let sent_while_up = !stopping.load(Ordering::SeqCst);
                    match http.post(&url).bearer_auth(&key).json(&body).send().await {
                        Ok(answer) if answer.status() == 201 => {
                            let answer: serde_json::Value = answer.json().await.unwrap();
                            issued.push(answer["invoice"]["id"].as_str().unwrap().to_owned());
                        }
                        Ok(answer) => panic!("{}", answer.status()),
                        // A connection that was idle when the service stopped may go; a request under way may not.
                        Err(error) if sent_while_up && !error.is_connect() && !stopping.load(Ordering::SeqCst) => {
                            cut += 1
                        }
                        Err(_) => return (issued, cut),
                    }
                }
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(2)).await;
    stopping.store(true, Ordering::SeqCst);
    stops(&mut net, Service::Api).await;
    let mut issued = Vec::new();
    for client in clients {
        let (ids, cut) = client.await.unwrap();
        assert_eq!(cut, 0, "requests were cut before it was told to stop");
        issued.extend(ids);
    }
    assert!(issued.len() > 16, "no load: {}", issued.len());
    let mut db = net.stack.store.begin().await.unwrap();
    for id in &issued {
        assert!(
            store::invoices::by_id(&mut db, TENANT, id).await.unwrap().is_some(),
            "{id} was answered for and is lost"
        );
    }
}

/// Behind its node, so that there is always a next step, it stops all the same, and whoever comes next goes on.
#[tokio::test]
async fn the_indexer_stops_in_the_middle_of_catching_up_and_ends_with_zero() {
    let mut net = Net::with(Mining::Manual).await;
    let issued = net.issue(Wish::default()).await;
    net.node().mine(5_000).await.unwrap();
    net.transfer(issued.purse, AMOUNT).await;
    net.node().mine(200).await.unwrap();
    net.stack.run(Service::Indexer, &[]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    stops(&mut net, Service::Indexer).await;
    let tip = net.node().block("latest").await.unwrap().0;
    let mirrored = net.count("SELECT tip_number FROM chains").await;
    assert!(u64::try_from(mirrored).unwrap() < tip, "it had caught up: nothing was tested");
    net.stack.run(Service::Indexer, &[]).await.unwrap();
    let since = Instant::now();
    while net.statuses(&issued).await.1 != "payment_in_progress" {
        assert!(since.elapsed() < Duration::from_secs(120), "{:?}", net.statuses(&issued).await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    net.stack.stop().await;
}

/// Whether it is in the middle of a step or has not begun: its node takes connections and says nothing.
#[tokio::test]
async fn the_indexer_stops_when_its_node_does_not_answer() {
    let mut net = Net::start().await;
    net.stack.run(Service::Indexer, &[]).await.unwrap();
    let anvil = net.stack.anvil_pid().unwrap().to_string();
    let stopped = |signal: &str| std::process::Command::new("kill").args([signal, &anvil]).status().unwrap();

    assert!(stopped("-STOP").success());
    tokio::time::sleep(Duration::from_secs(1)).await;
    stops(&mut net, Service::Indexer).await;
    assert!(stopped("-CONT").success());
}
