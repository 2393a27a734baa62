//! `monay doctor`: a healthy installation is told to be one, and each fault, made for real, is told with its sentence.

use crate::cli::{Ran, monay};
use crate::net::{AMOUNT, Issued, Net, Wish};
use alloy_primitives::{Address, B256, U256};
use monay::services::Service;
use monay::stack::Cast;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};
use test_chain::{Fault, Mining, Proxy};

async fn doctor(net: &Net, environment: &[(&str, &str)]) -> Ran {
    let config = net.stack.config_file().display().to_string();
    monay(&["--config", &config, "doctor"], environment).await
}

/// Asks until all is well, or says what is not.
async fn is_well(net: &Net) {
    let since = Instant::now();
    loop {
        let ran = doctor(net, &[]).await;
        if ran.code == Some(0) {
            ran.says(0, "All is well.");
            return;
        }
        assert!(since.elapsed() < Duration::from_secs(60), "{}", ran.all());
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn is_paid(net: &Net, issued: &Issued) {
    let since = Instant::now();
    while net.statuses(issued).await.0 != "paid" {
        assert!(since.elapsed() < Duration::from_secs(60), "{:?}", net.intents(issued).await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn chmod(path: &std::path::Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// What stands in the tables for it is told; what strangers can put there is counted, and is no alarm.
async fn logs_and_invoices_that_need_a_person(net: &Net, issued: &Issued) {
    let (pool, number) = (net.stack.store.pool(), net.view(issued).await.number);
    let (stranger, tx) = (Address::repeat_byte(0x66), B256::repeat_byte(0x77));
    let put = "INSERT INTO quarantined_logs (chain_id, block_hash, position, block_number, block_timestamp, log_index, tx_hash,
            address, topics, data, terms_hash, reason)
        SELECT chain_id, tip_hash, $1, tip_number, tip_timestamp, 4, $2, $3, '{}', '', $4, $5 FROM chains";
    let terms = issued.terms.hash();
    for (position, address, terms, reason) in [
        (1_000, stranger, Some(terms), "it is a collectible"),
        (1_001, net.escrow(), None, "kind 99 is none that we know"),
        (1_002, net.token(), Some(terms), "it has no index"),
    ] {
        let query = sqlx::query(put).bind(position).bind(tx.as_slice()).bind(address.as_slice());
        query.bind(terms.map(|hash| hash.to_vec())).bind(reason).execute(pool).await.unwrap();
        if address == stranger {
            doctor(net, &[]).await.says(0, "of other tokens, which anyone can make: 1");
        }
    }
    let ran = doctor(net, &[]).await;
    ran.says(1, &format!("({tx}), from {}, is not booked: kind 99 is none that we know", net.escrow()))
        .says(1, &format!("from {} to the address of {number}, is not booked: it has no index", net.token()))
        .says(1, "log 4 of block ")
        .says(1, "run `monay rebuild`");
    assert!(!ran.all().contains("it is a collectible"), "{ran:?}");
    sqlx::query("DELETE FROM quarantined_logs").execute(pool).await.unwrap();

    let stick = "INSERT INTO stuck_invoices (terms_hash, chain_id, error, tries, since, retry_at)
        SELECT $1, chain_id, 'amounts do not add up', 5, now() - interval '1 hour', now() + interval '1 hour' FROM chains";
    sqlx::query(stick).bind(terms.as_slice()).execute(pool).await.unwrap();
    doctor(net, &[])
        .await
        .says(1, &format!("{number} ({}) could not be brought up to date for 36", issued.id))
        .says(1, "tried 5 times: amounts do not add up")
        .says(1, "`monay rebuild --check`");
    sqlx::query("DELETE FROM stuck_invoices").execute(pool).await.unwrap();
    is_well(net).await;
}

#[tokio::test]
async fn every_fault_is_told_with_its_sentence_and_a_healthy_installation_is_told_to_be_one() {
    let net = Net::with(Mining::Interval(Duration::from_secs(1))).await;
    net.stack.run_all().await.unwrap();
    let issued = net.issue(Wish::default()).await;
    net.transfer(issued.purse, AMOUNT).await;
    is_paid(&net, &issued).await;
    is_well(&net).await;
    let config = net.stack.config_file().display().to_string();
    let json = monay(&["--config", &config, "doctor", "--json"], &[]).await;
    let report: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((&report["state"], json.code), (&Value::from("ok"), Some(0)));
    assert!(report["checks"].as_array().unwrap().len() >= 23, "{report}");

    // Nothing is known to be wrong, and the node does not say what the accounts have.
    let proxy = Proxy::start(net.node()).await.unwrap();
    proxy.times("eth_getBalance", Fault::Error("not on your plan"), usize::MAX);
    let ran = doctor(&net, &[("MONAY__CHAINS__BASE__RPC_URL", proxy.url())]).await;
    ran.says(2, "?      coin").says(2, "not on your plan").says(2, "1 of 23 checks could not be made.");
    // And what is wrong is told before what is not known.
    let both = [("MONAY__CHAINS__BASE__RPC_URL", proxy.url()), ("MONAY__VAULT__ROOT_KEY_FILE", "/nonexistent")];
    let ran = doctor(&net, &both).await;
    ran.says(1, "?      coin").says(1, "1 of 23 checks found something wrong.");

    // The keeper cannot pay for gas.
    let keeper = Cast::address(Cast::KEEPER);
    net.node().set_balance(keeper, U256::ZERO).await.unwrap();
    let ran = doctor(&net, &[]).await;
    ran.says(1, &format!("the keeper's account {keeper} has 0 wei: gas for about 0 settlements"))
        .says(1, "→ send some");
    net.node().set_balance(keeper, U256::from(10).pow(U256::from(20))).await.unwrap();

    // Another contract where the gate should be; no contract at all; keys that the gate does not know.
    let token = net.token().to_string();
    doctor(&net, &[("MONAY__CHAINS__BASE__GATE", &token)]).await.says(1, "is no gate").says(1, "in the configuration");
    let nobody = "0x0909090909090909090909090909090909090909";
    let ran = doctor(&net, &[("MONAY__CHAINS__BASE__ESCROW", nobody)]).await;
    ran.says(1, "there is no contract at the escrow's address 0x0909");
    let keys = net.stack.config_file().parent().unwrap().to_path_buf();
    let swapped = keys.join("coordinator.key").display().to_string();
    let ran = doctor(&net, &[("MONAY__KEEPER__KEY_FILES", &swapped)]).await;
    ran.says(1, "may not settle at the gate");

    // Key files that others can read, or that are gone.
    for (file, says) in [("keeper.key", "keeper: configuration: "), ("root.key", "others must have no rights to it")] {
        chmod(&keys.join(file), 0o644);
        doctor(&net, &[]).await.says(1, says).says(1, "chmod 600");
        chmod(&keys.join(file), 0o600);
    }
    doctor(&net, &[("MONAY__VAULT__ROOT_KEY_FILE", "/nonexistent")]).await.says(1, "cannot read the root key file");

    // No node; another chain; no configuration.
    doctor(&net, &[("MONAY__CHAINS__BASE__RPC_URL", "http://127.0.0.1:9/")]).await.says(1, "the node did not answer");
    doctor(&net, &[("MONAY__CHAINS__BASE__ID", "10")]).await.says(1, "is chain 8453, the configuration says 10");
    monay(&["doctor"], &[]).await.says(1, "missing field");
    is_well(&net).await;

    logs_and_invoices_that_need_a_person(&net, &issued).await;

    // An intent that was given up, and the way back.
    net.stack.kill(Service::Keeper).await;
    let stuck = net.issue(Wish::default()).await;
    net.transfer(stuck.purse, AMOUNT).await;
    let since = Instant::now();
    while net.intents(&stuck).await.is_empty() {
        assert!(since.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Whoever had the key is dead, and the lease has run out: the other's is in force, and nobody has to hold it.
    let run_out = "UPDATE signers SET lease_until = now() - interval '1 second' WHERE address = $1";
    sqlx::query(run_out).bind(keeper.as_slice()).execute(net.stack.store.pool()).await.unwrap();
    let ran = doctor(&net, &[]).await;
    ran.says(1, &format!("nobody holds the lease of the keeper's key {keeper}, and 1 of its intents wait"))
        .says(1, "→ start the service that has this key");
    assert!(!ran.all().contains("lease of the coordinator's key"), "{ran:?}");
    let age = "UPDATE intents SET not_before = now() - interval '2 minutes' WHERE state = 'accepted'";
    sqlx::query(age).execute(net.stack.store.pool()).await.unwrap();
    doctor(&net, &[]).await.says(1, "waits to be signed").says(1, &stuck.id);
    let put_off = "UPDATE intents SET deferrals = 9, last_error = 'the token is paused' WHERE state = 'accepted'";
    sqlx::query(put_off).execute(net.stack.store.pool()).await.unwrap();
    doctor(&net, &[]).await.says(1, "was put off often").says(1, "put off 9 times, accepted: the token is paused");
    let give_up = "UPDATE intents SET state = 'failed', last_error = 'reverted on chain' WHERE state = 'accepted'";
    sqlx::query(give_up).execute(net.stack.store.pool()).await.unwrap();
    let number = net.view(&stuck).await.number;
    doctor(&net, &[])
        .await
        .says(1, &format!("settle of {number} ({}) was given up", stuck.id))
        .says(1, "reverted on chain");
    monay(&["--config", &config, "retry", "inv_unknown"], &[]).await.says(1, "no intent of that name was given up");
    let ran = monay(&["--config", &config, "retry", &stuck.id], &[]).await;
    ran.says(0, "1 put back to work").says(0, &number).says(0, "reverted on chain");
    monay(&["--config", &config, "retry", "--all"], &[]).await.says(0, "0 put back to work");
    net.stack.run(Service::Keeper, &[]).await.unwrap();
    is_paid(&net, &stuck).await;

    // Somebody else sends with the keeper's key.
    is_well(&net).await;
    net.stack.kill(Service::Keeper).await;
    sqlx::query("UPDATE signers SET next_nonce = next_nonce + 3").execute(net.stack.store.pool()).await.unwrap();
    doctor(&net, &[]).await.says(1, "has a gap: nonces");
    sqlx::query("UPDATE signers SET next_nonce = GREATEST(next_nonce - 4, 0)")
        .execute(net.stack.store.pool())
        .await
        .unwrap();
    doctor(&net, &[]).await.says(1, "somebody else uses it, or an older database was restored");

    // A schema from another time.
    sqlx::query("UPDATE _sqlx_migrations SET version = 9999 WHERE version = 1")
        .execute(net.stack.store.pool())
        .await
        .unwrap();
    doctor(&net, &[]).await.says(1, "migrations are missing: [1]").says(1, "does not know: [9999]");
    sqlx::query("UPDATE _sqlx_migrations SET version = 1 WHERE version = 9999")
        .execute(net.stack.store.pool())
        .await
        .unwrap();

    // Nobody mirrors.
    net.stack.kill(Service::Indexer).await;
    net.node().mine(100).await.unwrap();
    doctor(&net, &[]).await.says(1, "the mirror is 1").says(1, "blocks and").says(1, "→ start the indexer");

    // Postgres is killed.
    let pid = net.stack.postgres().pid();
    if let Some(pid) = pid {
        assert!(std::process::Command::new("kill").args(["-QUIT", &pid.to_string()]).status().unwrap().success());
        let ran = doctor(&net, &[]).await;
        ran.says(1, "Postgres does not answer").says(1, "→ start Postgres").says(1, "?      mirror");
    }
}
