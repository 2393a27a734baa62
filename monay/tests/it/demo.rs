//! The demo, as a user runs it.

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How each story ends: the invoice's status, what the payee got, and what went back, in base units.
const ENDS: [(&str, &str, &str, &str); 8] = [
    ("base-exact", "paid", "150000000", "0"),
    ("base-expired", "expired", "0", "100000000"),
    ("base-gasless", "paid", "150000000", "0"),
    ("base-overpaid", "overpaid", "150000000", "45000000"),
    ("base-late", "overpaid", "150000000", "30000000"),
    ("base-wrong-token", "paid", "150000000", "150000000"),
    ("base-batch", "paid", "150000000", "0"),
    ("base-direct", "paid", "150000000", "0"),
];

/// How each story on Solana ends, after those on Base: the same, with what the payee got there and what went back in all.
const ENDS_ON_SOLANA: [(&str, &str, &str, &str); 4] = [
    ("solana-exact", "paid", "150000000", "0"),
    ("solana-expired", "expired", "0", "100000000"),
    ("solana-late", "overpaid", "150000000", "30000000"),
    ("both-rails", "overpaid", "", "150000000"),
];

/// Plays all stories, with these options, and holds their ends against [`ENDS`] and [`ENDS_ON_SOLANA`].
fn play(options: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_monay")).args(["demo", "--json"]).args(options).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["ok"], true, "{told}");
    for (at, (name, status, received, refunded)) in ENDS.into_iter().enumerate() {
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
        assert!(story["transactions"].as_array().is_some_and(|txs| !txs.is_empty()));
    }
    for (at, (name, status, received, refunded)) in (ENDS.len()..).zip(ENDS_ON_SOLANA) {
        let story = &report["stories"][at];
        assert_eq!((&story["name"], &story["ok"]), (&name.into(), &true.into()));
        assert_eq!(story["invoice"]["status"], status);
        assert_eq!(story["wallet"]["status"], "destroyed");
        assert_eq!(story["chain"]["purse_balance"], "0");
        assert_eq!(story["solana"]["vault_lamports"], 0);
        assert_eq!(story["solana"]["refunded"], refunded);
        let (base, solana) = (&story["chain"]["payee_received"], &story["solana"]["payee_received"]);
        match received {
            // On one of them, and never on both.
            "" => assert!(
                [("150000000", "0"), ("0", "150000000")].contains(&(base.as_str().unwrap(), solana.as_str().unwrap()))
            ),
            received => assert_eq!((base, solana), (&"0".into(), &received.into())),
        }
    }
    let tempo = &report["stories"][ENDS.len() + ENDS_ON_SOLANA.len()];
    assert_eq!((&tempo["name"], &tempo["ok"]), (&"tempo-exact".into(), &true.into()));
    assert_eq!((&tempo["invoice"]["status"], &tempo["wallet"]["status"]), (&"paid".into(), &"destroyed".into()));
    assert_eq!((&tempo["tempo"]["purse_code"], &tempo["tempo"]["purse_balance"]), (&"0x".into(), &"0".into()));
    let received = (&tempo["chain"]["payee_received"], &tempo["tempo"]["payee_received"]);
    assert_eq!(received, (&"0".into(), &"150000000".into()));
    assert_eq!(report["stories"].as_array().unwrap().len(), ENDS.len() + ENDS_ON_SOLANA.len() + 1);
    report
}

#[test]
fn the_demo_plays_its_stories_and_prints_what_it_read_back() {
    let report = play(&[]);
    for endpoint in ["api", "base_rpc", "database_url"] {
        assert!(report["endpoints"][endpoint].as_str().is_some_and(|url| url.contains("://")), "{endpoint}");
    }
}

/// `fault:K22`: three times in each story the last ten blocks are replaced, without our transactions in them.
#[test]
fn through_reorgs_of_ten_blocks_every_story_ends_as_without() {
    let report = play(&["--reorgs", "10"]);
    let stories = report["stories"].as_array().unwrap();
    // It is Base's blocks that are replaced: a story on another chain may be over before.
    let mut on_base =
        stories.iter().filter(|story| story["name"].as_str().is_some_and(|name| name.starts_with("base-")));
    assert!(on_base.all(|story| story["suffered"]["reorgs"].as_u64() >= Some(1)), "{report}");
    assert!(stories.iter().filter_map(|story| story["suffered"]["dropped"].as_u64()).sum::<u64>() > 0, "{report}");
}

/// `fault:K3`: each service is killed in each story, again and again.
#[test]
fn through_kills_of_every_service_every_story_ends_as_without() {
    let report = play(&["--kills"]);
    for story in report["stories"].as_array().unwrap() {
        let kills = story["suffered"]["kills"].as_object().unwrap();
        assert_eq!(kills.len(), 4, "{story}");
    }
}

#[test]
fn an_unknown_story_is_refused_with_the_names_there_are() {
    let output = Command::new(env!("CARGO_BIN_EXE_monay")).args(["demo", "--story", "other"]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(told.contains("base-exact, base-expired, base-gasless"), "{told}");
}

/// Ctrl-C, as a terminal sends it to the demo alone: every child is gone afterwards, and so is what it listened on.
#[test]
fn ctrl_c_stops_every_child() {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_monay"))
        .args(["demo", "--serve", "--story", "base-exact"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut listening, mut configuration) = (Vec::new(), None);
    let mut served = false;
    for line in BufReader::new(demo.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        served |= line.contains("Running until Ctrl-C");
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["API", url] | ["Base", "RPC", url] if served => listening.push(url.trim_end_matches('/').to_owned()),
            ["configuration", path] => configuration = Some((*path).to_owned()),
            ["keeper", ..] if served => break,
            _ => {}
        }
    }
    let address = |url: &String| url.strip_prefix("http://").unwrap().to_owned();
    let open = |url: &String| std::net::TcpStream::connect(address(url)).is_ok();
    assert!(listening.len() == 2 && listening.iter().all(open), "{listening:?}");
    assert!(Command::new("kill").args(["-INT", &demo.id().to_string()]).status().unwrap().success());
    assert_eq!(demo.wait().unwrap().code(), Some(130));
    let since = Instant::now();
    while listening.iter().any(open) {
        assert!(since.elapsed() < Duration::from_secs(10), "something still listens: {listening:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(!std::path::Path::new(&configuration.unwrap()).exists(), "the directory with the keys is gone");
}
