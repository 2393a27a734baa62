//! `fault:S1`: no secret is ever in a log, in anything printed, or in what `Debug` and `Display` show.

use crate::cli::monay;
use crate::net::{AMOUNT, Net};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{Address, B256, Bytes, U256, hex};
use alloy_sol_types::{SolStruct, eip712_domain, sol};
use domain::intent::IntentKind;
use monay::config::Config;
use monay::services::Service;
use monay::stack::{Cast, TENANT};
use serde_json::{Value, json};
use sqlx::Row;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use store::attempts::{Payload, Waiting};
use terms::InvoiceTerms;
use terms::abi::{Authorization, RefundOrder};
use test_chain::Mining;

const EMAIL: &str = "jane.secret.doe@mail.example";
const WORD: &str = "Jane says: send it to my savings";
const WRONG_KEY: &str = "mk_test_wrongwrongwrongwrongwrongwrong";

sol! {
    struct TransferWithAuthorization {
        address from;
        address to;
        uint256 value;
        uint256 validAfter;
        uint256 validBefore;
        bytes32 nonce;
    }
}

/// Something that must not be told, and every form it might be told in.
struct Secret {
    name: String,
    forms: Vec<String>,
}

impl Secret {
    fn text(name: &str, text: impl Into<String>) -> Self {
        let text = text.into();
        assert!(text.len() > 7, "{name} is too short to be looked for");
        Self { name: name.to_owned(), forms: vec![text] }
    }

    /// Bytes: as digits, and as a list of numbers, which is how `Debug` shows them.
    fn bytes(name: &str, bytes: &[u8]) -> Self {
        let list = format!("{:?}", &bytes[..12]);
        let forms = vec![hex::encode(bytes), hex::encode_upper(bytes), list.trim_end_matches(']').to_owned()];
        Self { name: name.to_owned(), forms }
    }
}

/// Which secrets are in a text, each with the line.
fn leaks(from: &str, text: &str, secrets: &[Secret]) -> Vec<String> {
    let mut found = Vec::new();
    for line in text.lines() {
        for secret in secrets.iter().filter(|secret| secret.forms.iter().any(|form| line.contains(form.as_str()))) {
            found.push(format!("{from} tells the {}: {}", secret.name, line.chars().take(400).collect::<String>()));
        }
    }
    found
}

/// A story that uses every secret there is.
struct Story {
    net: Net,
    node_url: String,
    http: reqwest::Client,
    secrets: Vec<Secret>,
    printed: Vec<(String, String)>,
}

impl Story {
    async fn begin(format: &str) -> Self {
        let net = Net::with(Mining::Interval(Duration::from_millis(500))).await;
        let plain = net.node().rpc_url();
        let host = plain.strip_prefix("http://").unwrap().trim_end_matches('/');
        let node_url = format!("http://nodeuser:nodepassword1@{host}/?apikey=nodekey123456");
        let environment = [
            ("RUST_LOG", "trace"),
            ("RUST_BACKTRACE", "1"),
            ("MONAY__LOG_FORMAT", format),
            ("MONAY__CHAINS__BASE__RPC_URL", node_url.as_str()),
        ];
        for service in Service::ALL {
            net.stack.run(service, &environment).await.unwrap();
        }
        let config = &net.stack.config;
        let password = config.database_url.split("://").nth(1).unwrap().split('@').next().unwrap();
        let password = password.split_once(':').expect("Postgres has a password").1.to_owned();
        let root = std::fs::read_to_string(config.vault.root_key_file.as_ref().unwrap()).unwrap();
        let mut secrets = vec![
            Secret::text("API key", &net.stack.api_key),
            Secret::text("other API key", &net.stack.other_api_key),
            Secret::text("wrong API key", WRONG_KEY),
            Secret::text("database password", password),
            Secret::bytes("root key", &hex::decode(root.trim()).unwrap()),
            Secret::text("node's password", "nodepassword1"),
            Secret::text("node's key", "nodekey123456"),
            Secret::text("customer's e-mail", EMAIL),
            Secret::text("customer's word", WORD),
        ];
        for who in [Cast::KEEPER, Cast::COORDINATOR] {
            secrets.push(Secret::bytes("keeper's key", Cast::key(who).as_slice()));
        }
        Self { net, node_url, http: reqwest::Client::new(), secrets, printed: Vec::new() }
    }

    async fn post(&self, path: &str, key: Option<&str>, body: &Value) -> (u16, Value) {
        let url = if path.starts_with("http") { path.to_owned() } else { self.net.stack.api_url().to_owned() + path };
        let mut request = self.http.post(url).json(body);
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// An invoice for Jane, whose pay token and refund key are secrets from now on.
    async fn invoice(&mut self) -> (String, String, InvoiceTerms, Address) {
        let body = json!({"tenant_id": TENANT, "customer_email": EMAIL, "amount": 150, "currency": "USD", "wallet_ttl": 86400,
            "description": "Electric Service", "metadata": {"note": WORD}});
        let key = self.net.stack.api_key.clone();
        let (status, answer) = self.post("/api/invoices/create", Some(&key), &body).await;
        assert_eq!(status, 201, "{answer}");
        let id = answer["invoice"]["id"].as_str().unwrap().to_owned();
        let link = answer["invoice"]["pay_url"].as_str().unwrap().split('#').next().unwrap().to_owned();
        self.secrets.push(Secret::text("pay token", link.rsplit('/').next().unwrap()));
        let terms: InvoiceTerms = serde_json::from_value(answer["terms"][0]["terms"].clone()).unwrap();
        let wallet = answer["wallet"]["id"].as_str().unwrap();
        let mut db = self.net.stack.store.begin().await.unwrap();
        let (nonce, sealed) = store::keys::get(&mut db, wallet).await.unwrap().expect("a refund key of ours");
        let file = self.net.stack.config.vault.root_key_file.as_ref().unwrap();
        let vault = vault::Vault::new(&vault::RootKey::load(file).unwrap());
        let opened = vault.open(wallet, &nonce, &sealed).unwrap();
        self.secrets.push(Secret::bytes("refund key", &opened.to_bytes()));
        let address = answer["wallet"]["addresses"]["base"].as_str().unwrap().parse().unwrap();
        (id, link, terms, address)
    }

    async fn until(&self, what: &str, sql: &'static str) {
        let since = Instant::now();
        while self.net.count(sql).await == 0 {
            assert!(since.elapsed() < Duration::from_secs(60), "{what} has not happened");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Paid too much; the rest goes where Jane says.
    async fn overpaid(&mut self) -> String {
        let (id, link, _, address) = self.invoice().await;
        self.net.transfer(address, AMOUNT + 25).await;
        self.until("the payment", "SELECT count(*) FROM invoices WHERE status = 'overpaid'").await;
        let to = Address::repeat_byte(0x77).to_string();
        let (status, answer) = self.post(&format!("{link}/refund"), None, &json!({"to": to, "word": WORD})).await;
        assert_eq!(status, 202, "{answer}");
        let row =
            sqlx::query("SELECT signature FROM refund_orders").fetch_one(self.net.stack.store.pool()).await.unwrap();
        self.secrets.push(Secret::bytes("order's signature", row.get(0)));
        self.until("the refund", "SELECT count(*) FROM intents WHERE kind = 'refund_by_order' AND state = 'final'")
            .await;
        id
    }

    /// Paid by a signature.
    async fn gasless(&mut self) -> String {
        let (id, link, terms, address) = self.invoice().await;
        let jane = PrivateKeySigner::from_bytes(&Cast::key(Cast::CUSTOMER)).unwrap();
        let now = self.net.chain_now().await;
        let message = TransferWithAuthorization {
            from: jane.address(),
            to: address,
            value: U256::from(AMOUNT),
            validAfter: U256::ZERO,
            validBefore: U256::from(now + 3_600),
            nonce: B256::repeat_byte(7),
        };
        let domain =
            eip712_domain! { name: "USD Coin", version: "2", chain_id: terms.chain, verifying_contract: terms.token, };
        let signature = jane.sign_hash_sync(&message.eip712_signing_hash(&domain)).unwrap().as_bytes();
        self.secrets.push(Secret::bytes("authorization's signature", &signature));
        let body = json!({"from": message.from, "to": address, "value": AMOUNT.to_string(), "valid_after": 0,
            "valid_before": now + 3_600, "nonce": message.nonce, "signature": Bytes::from(signature.to_vec())});
        let (status, answer) = self.post(&format!("{link}/authorization"), None, &body).await;
        assert_eq!(status, 202, "{answer}");
        self.until("the charge", "SELECT count(*) FROM intents WHERE kind = 'fund' AND state = 'final'").await;
        id
    }

    /// What callers do wrong, and what operators print.
    async fn trouble(&mut self) {
        self.post("/api/invoices/create", Some(WRONG_KEY), &json!({"customer_email": EMAIL})).await;
        let key = self.net.stack.api_key.clone();
        for body in [json!({"amount": -1, "customer_email": EMAIL}), json!({"amount": 1, EMAIL: WORD}), json!([EMAIL])]
        {
            let (status, _) = self.post("/api/invoices/create", Some(&key), &body).await;
            assert!(status >= 400);
        }
        self.commands().await;
        // The node, and then the database, are gone under the running services.
        let kill = |signal: &str, pid: u32| {
            assert!(std::process::Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
        };
        kill("-KILL", self.net.stack.anvil_pid().unwrap());
        tokio::time::sleep(Duration::from_secs(2)).await;
        self.commands().await;
        kill("-QUIT", self.net.stack.postgres().pid().unwrap());
        tokio::time::sleep(Duration::from_secs(2)).await;
        self.post("/api/invoices/create", Some(&key), &json!({"amount": 1, "customer_email": EMAIL})).await;
        self.commands().await;
    }

    async fn commands(&mut self) {
        let config = self.net.stack.config_file().display().to_string();
        let url = self.node_url.clone();
        let environment = [("MONAY__CHAINS__BASE__RPC_URL", url.as_str()), ("RUST_LOG", "trace")];
        for command in [
            &["config", "--print"][..],
            &["doctor"],
            &["doctor", "--json"],
            &["migrate"],
            &["retry", "--all"],
            &["keeper"],
            &["recover", "monay1AAAA", "--rpc-url", &url],
        ] {
            // One of them runs until it is stopped, if it can.
            let arguments = [&["--config", &config], command].concat();
            let ran = monay(&arguments, &environment);
            if let Ok(ran) = tokio::time::timeout(Duration::from_secs(15), ran).await {
                self.printed.push((command.join(" "), ran.all()));
            }
        }
    }

    /// Every log, with whose it is.
    fn logs(&self) -> Vec<(String, String)> {
        let files = Service::ALL.map(|service| (service.name().to_owned(), self.net.stack.log_file(service)));
        files.map(|(name, file): (String, PathBuf)| (name, std::fs::read_to_string(file).unwrap())).to_vec()
    }
}

async fn play(format: &str) -> Story {
    let mut story = Story::begin(format).await;
    let ids = [story.overpaid().await, story.gasless().await];
    story.trouble().await;
    let logs = story.logs();

    // The scan sees everything, else it is worth nothing: each form of each secret, in the middle of a line.
    for secret in &story.secrets {
        for form in &secret.forms {
            let seeded = format!("{}\n{{\"message\":\"x{form}y\"}}\n", logs[0].1);
            assert!(!leaks("a seeded log", &seeded, &story.secrets).is_empty(), "the {} is not seen", secret.name);
        }
    }
    let mut found = Vec::new();
    for (name, text) in logs.iter().chain(&story.printed) {
        found.extend(leaks(name, text, &story.secrets));
    }
    assert!(found.is_empty(), "{} leaks, such as: {:#?}", found.len(), &found[..found.len().min(20)]);
    assert!(story.secrets.len() >= 17 && story.printed.len() >= 18, "{} {}", story.secrets.len(), story.printed.len());

    // And every log tells something: both invoices in the indexer's, trouble with node and database in each.
    for (name, text) in &logs {
        assert!(text.lines().count() > 3, "{name}: {text}");
    }
    for id in &ids {
        for name in ["indexer", "api"] {
            let text = &logs.iter().find(|(log, _)| log == name).unwrap().1;
            let field = if format == "json" { format!("\"invoice\":\"{id}\"") } else { format!("invoice=\"{id}\"") };
            assert!(text.contains(&field), "{name} has no line with {field}");
        }
    }
    story
}

#[tokio::test]
async fn no_secret_of_a_whole_story_is_in_any_log_as_text() {
    play("text").await;
}

#[tokio::test]
async fn no_secret_of_a_whole_story_is_in_any_log_as_json() {
    let story = play("json").await;
    let indexer = story.logs().into_iter().find(|(name, _)| name == "indexer").unwrap().1;
    let lines: Vec<Value> = indexer.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let is_status = |line: &&Value| line["fields"]["message"] == "invoice" && line["fields"]["to"] == "overpaid";
    let status = lines.iter().find(is_status).expect("a status change");
    for field in ["invoice", "from", "wallet_from", "wallet", "tier"] {
        assert!(status["fields"][field].is_string(), "{field}: {status}");
    }
    let about_intent = lines.iter().filter(|line| line["fields"]["intent"].is_string());
    let mut checked = 0;
    for line in about_intent {
        assert!(line["fields"]["invoice"].is_string(), "an intent without its invoice: {line}");
        checked += 1;
    }
    assert!(checked > 2);
}

/// What `Debug` and `Display` show of everything that holds a secret.
#[tokio::test]
async fn nothing_that_holds_a_secret_shows_it() {
    let url = "http://nodeuser:nodepassword1@127.0.0.1:9/v2/nodekey123456?k=nodekey123456";
    let file = std::env::temp_dir().join(format!("monay-secrets-{}.toml", std::process::id()));
    let text = format!(
        "database_url = \"postgres://monay:dbpassword1@127.0.0.1:9/monay?password=dbpassword1\"\n[chains.base]\nid = 8453\nrpc_url = \"{url}\"
        escrow = \"{0}\"\ntoken = \"{0}\"\ngate = \"{0}\"\n",
        Address::repeat_byte(1)
    );
    std::fs::write(&file, text).unwrap();
    let config = Config::load(Some(&file), std::iter::empty()).unwrap();
    std::fs::remove_file(&file).unwrap();
    let chain = config.chain().unwrap().1.clone();
    let net = Net::start().await;
    let key = B256::repeat_byte(0x5c);
    let signer = PrivateKeySigner::from_bytes(&key).unwrap();
    let keyed = net.node().rpc_url().replace("http://", "http://nodeuser:nodepassword1@") + "?k=nodekey123456";
    let evm = chain::evm::Evm::connect(&keyed, 8453, Some(signer.clone())).await.unwrap();
    let terms = net.issue(crate::net::Wish::default()).await.terms;
    let signature = Bytes::from(vec![0x5c; 65]);
    let order = RefundOrder {
        termsHash: terms.hash(),
        token: terms.token,
        to: Address::repeat_byte(3),
        nonce: U256::from(1),
        deadline: U256::from(1),
    };
    let authorization = Authorization {
        from: Address::repeat_byte(3),
        value: U256::from(1),
        validAfter: U256::ZERO,
        validBefore: U256::from(1),
        nonce: B256::ZERO,
        signature: signature.clone(),
    };
    let ciphertext = [0xc1; 48];
    let sealing = vault::SealedKey { address: signer.address(), nonce: [0; 12], ciphertext: ciphertext.to_vec() };
    let sealed = store::keys::SealedKey { address: signer.address(), nonce: [0; 12], ciphertext: ciphertext.to_vec() };
    let payloads = [
        Payload::None,
        Payload::Order(order.clone(), signature.clone()),
        Payload::Authorization(authorization.clone()),
    ];
    let waiting = payloads.clone().map(|payload| Waiting {
        id: B256::ZERO,
        invoice_id: "inv".to_owned(),
        kind: IntentKind::Settle,
        work: Ok(store::attempts::Work { token: terms.token.into(), terms: terms.clone().into(), payload }),
    });
    let mut db = net.stack.store.begin().await.unwrap();
    let view = store::invoices::by_id(&mut db, TENANT, "none").await.unwrap();
    let root_file = net.stack.config.vault.root_key_file.as_ref().unwrap();
    let root = std::fs::read_to_string(root_file).unwrap();
    let root_key = vault::RootKey::load(root_file).unwrap();
    let node = keeper::Keeper::new(crate::net::patient(keeper::Duty::Settle), net.stack.store.clone(), evm.clone());
    let unreachable = chain::evm::Evm::connect(url, 8453, None).await.unwrap_err();
    let other_chain = chain::evm::Evm::connect(&keyed, 1, None).await.unwrap_err();
    let no_url = chain::evm::Evm::connect("nodepassword1:nodekey123456", 1, None).await.unwrap_err();
    let no_database = store::Store::connect(&config.database_url, 1).await.unwrap_err();
    let no_database_url = store::Store::connect("postgres://monay:dbpassword1@host:port/x", 1).await.unwrap_err();
    let bad_key = net.stack.config_file().with_file_name("bad.key");
    std::fs::write(&bad_key, format!("{}zz", hex::encode(key))).unwrap();
    std::fs::set_permissions(&bad_key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let not_a_key = monay::setup::read_key(&bad_key).unwrap_err();
    let not_a_root_key = vault::RootKey::load(&bad_key).unwrap_err();
    let signed = chain::Signed {
        raw: signature.clone(),
        hash: B256::ZERO.into(),
        gas_limit: 1,
        max_fee: 1,
        expires_after: None,
    };

    let secrets = [
        Secret::text("node's key", "nodekey123456"),
        Secret::text("node's password", "nodepassword1"),
        Secret::text("database password", "dbpassword1"),
        Secret::text("API key", &net.stack.api_key),
        Secret::text("root key", root.trim()),
        Secret::bytes("private key", key.as_slice()),
        Secret::bytes("signature", &signature),
        Secret::bytes("sealed key", &ciphertext),
    ];
    for (what, shown) in [
        ("Config", format!("{config:?} {config:#?} {}", config.printed().unwrap())),
        ("ChainConfig", format!("{chain:?}")),
        ("Evm", format!("{evm:?} {evm:#?}")),
        ("Keeper", format!("{node:?}")),
        ("Store", format!("{:?}", net.stack.store)),
        ("Stack", format!("{:?}", net.stack)),
        ("PrivateKeySigner", format!("{signer:?}")),
        ("RootKey", format!("{root_key:?}")),
        ("Vault", format!("{:?}", vault::Vault::new(&root_key))),
        ("SealedKey", format!("{sealing:?} {sealing:#?}")),
        ("stored SealedKey", format!("{sealed:?} {sealed:#?}")),
        ("Payload", format!("{payloads:?} {payloads:#?}")),
        ("Waiting", format!("{waiting:?} {waiting:#?}")),
        ("InvoiceView", format!("{view:?}")),
        ("Action by order", format!("{:?}", chain::Action::RefundByOrder(terms.clone(), order, signature))),
        ("Action fund", format!("{:?}", chain::Action::Fund(terms, authorization))),
        ("Signed", format!("{signed:?}")),
        ("a node that is away", format!("{unreachable} {unreachable:?}")),
        ("another chain", format!("{other_chain} {other_chain:?}")),
        ("no URL", format!("{no_url} {no_url:?}")),
        ("a database that is away", format!("{no_database} {no_database:?}")),
        ("no database URL", format!("{no_database_url} {no_database_url:?}")),
        ("a file that is no key", format!("{not_a_key} {not_a_key:?}")),
        ("a file that is no root key", format!("{not_a_root_key} {not_a_root_key:?}")),
    ] {
        assert_eq!(leaks(what, &shown, &secrets), [""; 0]);
        assert!(!shown.is_empty());
    }
}
