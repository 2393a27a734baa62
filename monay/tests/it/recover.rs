//! `monay recover`, when everything else of ours is gone. Every command is one of `docs/RECOVERY.md`.

use crate::cli::{Ran, monay};
use crate::net::{AMOUNT, Issued, Net, Wish};
use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{Address, B256, U256};
use domain::project::{GRACE_SECONDS, REFUND_WAIT_SECONDS};
use monay::setup;
use monay::stack::Cast;
use sqlx::{AssertSqlSafe, Connection, Executor};
use std::collections::BTreeSet;
use std::time::Duration;
use terms::PortableTerms;
use test_chain::{Anvil, AnvilOptions, Mining};
use tokio::process::Command;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/RECOVERY.md");

/// The commands of the document, in order.
fn documented() -> Vec<String> {
    let text = std::fs::read_to_string(DOCUMENT).unwrap();
    let blocks = text.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap());
    blocks.flat_map(str::lines).map(str::to_owned).collect()
}

/// Somebody with the document, a node and some files.
struct Reader {
    directory: std::path::PathBuf,
    commands: Vec<String>,
    done: BTreeSet<usize>,
    rpc: String,
    escrow: String,
}

impl Reader {
    /// Runs the one documented command that ends so, with these terms.
    async fn run(&mut self, ending: &str, terms: &str) -> Ran {
        let at = self.commands.iter().position(|command| command.ends_with(ending));
        let at = at.unwrap_or_else(|| panic!("no command of docs/RECOVERY.md ends in '{ending}'"));
        self.done.insert(at);
        let programs = std::path::Path::new(env!("CARGO_BIN_EXE_monay")).parent().unwrap();
        let output = Command::new("/bin/sh")
            .args(["-c", &self.commands[at]])
            .current_dir(&self.directory)
            .env_clear()
            .envs([
                ("PATH", programs.to_str().unwrap()),
                ("TERMS", terms),
                ("RPC", &self.rpc),
                ("ESCROW", &self.escrow),
            ])
            .env("HOME_ADDRESS", home().to_string())
            .output()
            .await
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    fn key(&self, name: &str, key: B256) {
        setup::write_key(&self.directory.join(name), key).unwrap();
    }
}

/// Where the customer wants it.
fn home() -> Address {
    Address::repeat_byte(0x77)
}

fn word(net: &Net, issued: &Issued) -> String {
    PortableTerms { terms: issued.terms.clone(), escrow: net.escrow() }.to_string()
}

async fn drop_the_database(net: &Net) {
    let url = &net.stack.config.database_url;
    let name = url.rsplit('/').next().unwrap().split('?').next().unwrap();
    let mut admin = sqlx::PgConnection::connect(&net.stack.postgres().url()).await.unwrap();
    let sql = format!("DROP DATABASE \"{name}\" WITH (FORCE)");
    admin.execute(AssertSqlSafe(sql)).await.unwrap();
    let gone = store::Store::connect(url, 1).await;
    assert!(gone.is_err(), "the database is still there");
}

#[tokio::test]
async fn with_database_and_services_gone_the_terms_alone_bring_the_money_where_it_belongs() {
    let net = Net::with(Mining::Interval(Duration::from_secs(1))).await;
    let refund_key = PrivateKeySigner::from_bytes(&B256::repeat_byte(0x42)).unwrap();
    let with_key = Wish { refund_key: Some(refund_key.address()), ..Wish::default() };
    let open = net.issue(Wish { anyone_settles: true, ..Wish::default() }).await;
    let gated = net.issue(Wish::default()).await;
    let short = net.issue(Wish::default()).await;
    let ended = net.issue(Wish::default()).await;
    let ordered = net.issue(with_key).await;
    let waited = net.issue(with_key).await;
    for (issued, units) in
        [(&open, AMOUNT), (&gated, AMOUNT + 7), (&short, 5), (&ended, 6), (&ordered, AMOUNT), (&waited, AMOUNT)]
    {
        net.transfer(issued.purse, units).await;
    }
    net.mine().await;
    net.node().set_balance(waited.purse, U256::from(1_000)).await.unwrap();
    drop_the_database(&net).await;

    let directory = net.stack.config_file().parent().unwrap().join("reader");
    std::fs::create_dir(&directory).unwrap();
    let mut reader = Reader {
        directory,
        commands: documented(),
        done: BTreeSet::new(),
        rpc: net.node().rpc_url(),
        escrow: net.escrow().to_string(),
    };
    reader.key("gas.key", Cast::key(Cast::STRANGER));
    reader.key("gate.key", Cast::key(Cast::KEEPER));
    reader.key("canceller.key", Cast::key(Cast::COORDINATOR));
    let json = serde_json::to_string(&gated.terms).unwrap();
    std::fs::write(reader.directory.join("invoice.json"), json).unwrap();
    let show = "recover \"$TERMS\" --rpc-url \"$RPC\"";
    let right_now = "\"$RPC\" --key-file gas.key";
    let (settle, cancel, refund) = ("gate.key --settle", "canceller.key --cancel", "gas.key --refund");
    let (coin, order) = ("--refund --token native", "--refund-key-file refund.key");

    // Seen by anybody, from a word or a link or a file.
    let told = reader.run(show, &word(&net, &open)).await;
    told.says(0, "settler          none: anyone may settle").says(0, "state            open").says(0, "UTC, in ");
    told.says(0, &open.purse.to_string()).says(0, "150.000000 (150000000 base units) of the invoice's token");
    told.says(0, "--settle         now, until").says(0, "by anyone");
    let link = format!("https://pay.example/pay/abc#terms={}", word(&net, &gated));
    reader.run(show, &link).await.says(0, "a gate: whoever it knows as settler");
    reader.run("--escrow \"$ESCROW\" --rpc-url \"$RPC\"", "").await.says(0, &gated.purse.to_string());

    // Anyone settles where the terms name no settler; trying it sends nothing.
    let payee = net.balance(open.terms.payee).await;
    reader.run("--dry-run", &word(&net, &open)).await.says(0, "Nothing was sent: --dry-run");
    assert_eq!(net.balance(open.purse).await, U256::from(AMOUNT));
    let done = reader.run(right_now, &word(&net, &open)).await;
    done.says(0, "150.000000 (150000000 base units) of the invoice's token went to the payee")
        .says(0, "Sending transaction 0x");
    assert_eq!(net.balance(open.terms.payee).await - payee, U256::from(AMOUNT));
    reader.run(right_now, &word(&net, &open)).await.says(3, "nothing lies at the deposit address");

    // The gate's key settles through the gate, and a stranger's is told who may; what was too much then goes back.
    let mine = ["recover", &word(&net, &gated), "--rpc-url", &reader.rpc, "--key-file"].map(str::to_owned);
    let stranger = reader.directory.join("gas.key").display().to_string();
    let mut arguments: Vec<&str> = mine.iter().map(String::as_str).collect();
    arguments.extend([stranger.as_str(), "--settle"]);
    monay(&arguments, &[]).await.says(3, "the escrow refuses (NotSettler): only").says(3, "nothing was sent");
    reader.run(right_now, &word(&net, &gated)).await.says(3, "and this key may not settle");
    reader.run(settle, &word(&net, &gated)).await.says(0, "settle through the gate").says(0, "went to the payee");
    reader.run(settle, &word(&net, &gated)).await.says(3, "(NotOpen): the invoice is paid in full");
    reader.run(refund, &word(&net, &gated)).await.says(0, "0.000007 (7 base units) of the invoice's token went back");
    assert_eq!(net.balance(open.terms.payee).await - payee, U256::from(2 * AMOUNT));

    // Too little came: nothing is due until somebody who may ends it, or it closes by itself.
    let not_yet = reader.run(right_now, &word(&net, &short)).await;
    not_yet.says(3, "nothing is due now").says(3, "too little lies there to settle").says(3, "UTC, in ");
    reader.run(refund, &word(&net, &short)).await.says(3, "(NotRefundable): this can go back from");
    reader.run(settle, &word(&net, &short)).await.says(3, "(NotFunded): 150000000 base units are due");
    reader.run(cancel, &word(&net, &ended)).await.says(0, "the invoice is cancelled");
    let unclaimed = net.balance(ended.terms.refund_to).await;
    reader.run(right_now, &word(&net, &ended)).await.says(0, "0.000006 (6 base units)");
    assert_eq!(net.balance(ended.terms.refund_to).await - unclaimed, U256::from(6));

    // The chain's own coin goes back at any time.
    reader.run(coin, &word(&net, &waited)).await.says(0, "of the native coin went back");

    // Closed: without a refund key at once; with one the key decides, for thirty days.
    net.warp(short.expires_at + GRACE_SECONDS + 60).await;
    reader.run(right_now, &word(&net, &short)).await.says(0, "0.000005 (5 base units)");
    reader.run(right_now, &word(&net, &ordered)).await.says(3, "nothing is due now").says(3, "in 29 days");
    reader.key("refund.key", B256::repeat_byte(0x43));
    reader.run(order, &word(&net, &ordered)).await.says(3, "(NotRefundKey): the order is signed by");
    std::fs::remove_file(reader.directory.join("refund.key")).unwrap();
    reader.key("refund.key", refund_key.to_bytes());
    reader.run(order, &word(&net, &short)).await.says(3, "(NoRefundKey)");
    reader.run(order, &word(&net, &ordered)).await.says(0, &format!("went back to {}", home()));
    assert_eq!(net.balance(home()).await, U256::from(AMOUNT));
    net.warp(waited.terms.closes_at + REFUND_WAIT_SECONDS).await;
    let before = net.balance(waited.terms.refund_to).await;
    reader.run(right_now, &word(&net, &waited)).await.says(0, "150.000000");
    assert_eq!(net.balance(waited.terms.refund_to).await - before, U256::from(AMOUNT));

    let left: Vec<_> = (0..reader.commands.len()).filter(|at| !reader.done.contains(at)).collect();
    assert!(left.is_empty(), "not run: {:?}", left.iter().map(|at| &reader.commands[*at]).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_cannot_be_recovered_here_is_refused_with_its_sentence() {
    let net = Net::start().await;
    let issued = net.issue(Wish::default()).await;
    let (terms, rpc) = (word(&net, &issued), net.node().rpc_url());
    let elsewhere = |escrow| PortableTerms { terms: issued.terms.clone(), escrow }.to_string();
    let (nowhere, token) = (elsewhere(Address::repeat_byte(9)), elsewhere(net.token()));
    let mangled = format!("{}x{}", &terms[..40], &terms[41..]);
    let other = Anvil::start(AnvilOptions { chain_id: 84532, ..AnvilOptions::default() }).await.unwrap();
    let keyed = format!("{}?key=nodesecret", other.node().rpc_url());
    let json = net.stack.config_file().with_file_name("terms.json");
    std::fs::write(&json, serde_json::to_string(&issued.terms).unwrap()).unwrap();
    let json = json.display().to_string();
    let readable = net.stack.config_file().with_file_name("readable.key").display().to_string();
    std::fs::write(&readable, "00").unwrap();
    let open = net.issue(Wish { anyone_settles: true, ..Wish::default() }).await;
    net.transfer(open.purse, AMOUNT).await;
    net.mine().await;
    let open = word(&net, &open);
    let poor = net.stack.config_file().with_file_name("poor.key");
    setup::write_key(&poor, B256::repeat_byte(0x44)).unwrap();
    let poor = poor.display().to_string();

    for (arguments, code, says) in [
        (vec![terms.as_str(), "--rpc-url", &keyed], 4, "these terms are for chain 8453, and http://127.0.0.1:"),
        (vec![&mangled, "--rpc-url", &rpc], 4, "changed on the way"),
        (vec!["monay2abc", "--rpc-url", &rpc], 4, "terms begin with 'monay1'"),
        (vec![&nowhere, "--rpc-url", &rpc], 4, "there is no contract at the escrow's address"),
        (vec![&token, "--rpc-url", &rpc], 4, "is not InvoiceEscrow version 1"),
        (vec![&json, "--rpc-url", &rpc], 4, "add --escrow ADDRESS"),
        (vec![&terms, "--rpc-url", "http://127.0.0.1:9/?key=nodesecret"], 1, "the node did not answer"),
        (vec![&terms, "--rpc-url", &rpc, "--key-file", &readable], 1, "run `chmod 600"),
        (
            vec![&open, "--rpc-url", &rpc, "--key-file", &poor, "--settle", "--wait", "1"],
            3,
            "send it some of the chain's coin",
        ),
        (vec![&terms, "--rpc-url", &rpc, "--settle"], 2, "--key-file"),
        (vec![&terms], 2, "--rpc-url"),
        (vec!["--help"], 0, "Exit codes:"),
    ] {
        let ran = monay(&[&["recover"], arguments.as_slice()].concat(), &[]).await;
        ran.says(code, says);
        assert!(!ran.all().contains("nodesecret"), "{ran:?}");
    }
    // What was read from standard input is the same word.
    let mut child = Command::new(env!("CARGO_BIN_EXE_monay"))
        .args(["recover", "-", "--rpc-url", &rpc])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut input, format!("{}\n{}\n", &terms[..70], &terms[70..]).as_bytes())
        .await
        .unwrap();
    drop(input);
    let output = child.wait_with_output().await.unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains(&issued.purse.to_string()));
}
