//! `monay doctor`: a healthy installation is told to be one, and each fault, made for real, is told with its sentence.

use crate::cli::{Ran, monay};
use crate::net::{AMOUNT, Issued, Net, Wish};
use alloy_primitives::U256;
use monay::services::Service;
use monay::stack::Cast;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};
use test_chain::Mining;

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
    assert!(report["checks"].as_array().unwrap().len() >= 20, "{report}");

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

    // An intent that was given up, and the way back.
    net.stack.kill(Service::Keeper).await;
    let stuck = net.issue(Wish::default()).await;
    net.transfer(stuck.purse, AMOUNT).await;
    let since = Instant::now();
    while net.intents(&stuck).await.is_empty() {
        assert!(since.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
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
