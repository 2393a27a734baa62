//! The demo, as a user runs it.

use serde_json::Value;
use std::process::Command;

#[test]
fn the_demo_plays_its_stories_and_prints_what_it_read_back() {
    let output = Command::new(env!("CARGO_BIN_EXE_monay")).args(["demo", "--json"]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["ok"], true, "{told}");
    for endpoint in ["api", "base_rpc", "database_url"] {
        assert!(report["endpoints"][endpoint].as_str().is_some_and(|url| url.contains("://")), "{endpoint}");
    }
    for (at, (name, status, received, refunded)) in
        [("base-exact", "paid", "150000000", "0"), ("base-expired", "expired", "0", "100000000")]
            .into_iter()
            .enumerate()
    {
        let story = &report["stories"][at];
        assert_eq!((&story["name"], &story["ok"]), (&name.into(), &true.into()));
        assert_eq!(story["invoice"]["status"], status);
        assert_eq!(story["wallet"]["status"], "destroyed");
        assert_eq!(story["wallet"]["mode"], "ephemeral");
        assert_eq!(story["chain"]["purse_code"], "0x");
        assert_eq!(story["chain"]["purse_nonce"], 0);
        assert_eq!(story["chain"]["purse_balance"], "0");
        assert_eq!(story["chain"]["payee_received"], received);
        assert_eq!(story["chain"]["refunded"], refunded);
        assert_eq!(story["terms"]["amount"], "150000000");
        assert!(story["transactions"].as_array().is_some_and(|txs| txs.len() >= 2));
    }
}

#[test]
fn an_unknown_story_is_refused_with_the_names_there_are() {
    let output = Command::new(env!("CARGO_BIN_EXE_monay")).args(["demo", "--story", "other"]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(told.contains("base-exact, base-expired"), "{told}");
}
