//! A service with four tenants, a client without any cleverness, and a look into the tables.

use crate::document;
use alloy_primitives::{Address, B256, address};
use api::{Config, Limits};
use domain::block::Header;
use domain::scope::Scope;
use domain::tier::Tier;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Row};
use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use store::Store;
use store::chain::Deployed;
use store::tenants::NewTenant;
use terms::Deployment;
use test_chain::{Postgres, PostgresOptions};
use time::OffsetDateTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use vault::{RootKey, Vault};

pub(crate) const CHAIN: u64 = 8453;
pub(crate) const ESCROW: Address = address!("00000000000000000000000000000000000e5c20");
pub(crate) const TOKEN: Address = address!("833589fCD6eDb6E08f4c7C32D4f71b54bdA02913");
pub(crate) const SETTLER: Address = address!("000000000000000000000000000000000000beef");
pub(crate) const PAYEE: Address = address!("00000000000000000000000000000000000a11ce");
pub(crate) const UNCLAIMED: Address = address!("0000000000000000000000000000000000bacba0");
pub(crate) const UTILITYCO: &str = "tenant-utilityco";

/// Every table a create writes to.
pub(crate) const TABLES: [&str; 8] = [
    "invoices",
    "invoice_terms",
    "invoice_wallets",
    "wallet_keys",
    "wallet_lifecycle_events",
    "outbox",
    "users",
    "intents",
];

pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    pub(crate) store: Store,
    pub(crate) vault: Vault,
    pub(crate) start: Header,
    /// API keys by tenant.
    pub(crate) keys: BTreeMap<&'static str, String>,
    pub(crate) postgres: Option<Postgres>,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<Result<(), api::Error>>>,
    folder: PathBuf,
}

impl Service {
    pub(crate) async fn start() -> Self {
        Self::with(Limits::default()).await
    }

    pub(crate) async fn with(limits: Limits) -> Self {
        capture_logs();
        let postgres = Postgres::start(PostgresOptions::for_tests()).await.unwrap();
        let url = postgres.fresh_database().await.unwrap();
        let store = Store::connect(&url, 12).await.unwrap();
        store.migrate().await.unwrap();

        let start = Header {
            number: 100,
            hash: B256::repeat_byte(0x64),
            parent_hash: B256::repeat_byte(0x63),
            timestamp: now() - 60,
        };
        let deployed = Deployed {
            chain: CHAIN,
            name: "base".to_owned(),
            kind: store::chain::ChainKind::Evm,
            genesis_hash: B256::repeat_byte(0x01),
            escrow: ESCROW.into(),
            token: TOKEN.into(),
            token_2022: false,
            settler: SETTLER.into(),
            gate: SETTLER.into(),
            settle_tier: Tier::Seen,
        };
        let mut keys = BTreeMap::new();
        let mut tx = store.begin().await.unwrap();
        store::chain::put(&mut tx, &deployed, &start).await.unwrap();
        let tenants = [
            (UTILITYCO, "UtilityCo Electric", true, PAYEE),
            ("tenant-other", "Other Ltd", true, Address::repeat_byte(0x0f)),
            ("tenant-unverified", "Unverified Inc", false, Address::repeat_byte(0x0e)),
            ("tenant-nowhere", "Nowhere Plc", true, Address::repeat_byte(0x0d)),
            ("tenant-settler", "Settler GmbH", true, SETTLER),
        ];
        for (id, name, verified, payee) in tenants {
            let tenant =
                NewTenant { id, name, verified, chain: CHAIN, payee: payee.into(), unclaimed: UNCLAIMED.into() };
            store::tenants::put(&mut tx, &tenant).await.unwrap();
            let key = api::new_api_key().unwrap();
            store::api_keys::put(&mut tx, id, api::hash_api_key(&key), "test", Scope::ALL).await.unwrap();
            keys.insert(id, key);
        }
        sqlx::query("DELETE FROM payees WHERE tenant_id = 'tenant-nowhere'").execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();

        let folder = std::env::temp_dir().join(format!("monay-api-{}", domain::ids::new_pay_token()));
        std::fs::create_dir(&folder).unwrap();
        let root = RootKey::create(&folder.join("root.key")).unwrap();
        let config = Config { limits, metrics: true, ..config(CHAIN) };
        let server = api::bind(config).await.unwrap();
        let address = server.address();
        let (stop, stopped) = oneshot::channel();
        let shutdown = async move {
            let _ = stopped.await;
        };
        let serving = tokio::spawn(server.serve(store.clone(), Vault::new(&root), shutdown));
        Self {
            address,
            store,
            vault: Vault::new(&root),
            start,
            keys,
            postgres: Some(postgres),
            stop: Some(stop),
            serving: Some(serving),
            folder,
        }
    }

    /// Tells the service to stop; the task is done when it has.
    pub(crate) fn stop(&mut self) -> JoinHandle<Result<(), api::Error>> {
        self.stop.take().unwrap().send(()).unwrap();
        self.serving.take().unwrap()
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn call(&self, method: &str, path: &str) -> Call {
        Call { address: self.address, method: method.into(), path: path.into(), headers: vec![], body: vec![] }
    }

    /// A call as UtilityCo.
    pub(crate) fn authed(&self, method: &str, path: &str) -> Call {
        self.call(method, path).key(&self.keys[UTILITYCO])
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.authed("GET", path).send().await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.authed("POST", path).json(body).send().await
    }

    /// Creates an invoice that differs from the specification's by `changes`.
    pub(crate) async fn create(&self, changes: Value) -> Value {
        let reply = self.post("/api/invoices/create", &request(changes)).await;
        assert_eq!(reply.status, 201, "{}", reply.text());
        reply.json()
    }

    pub(crate) async fn count(&self, table: &str) -> i64 {
        let query = AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
        sqlx::query_scalar(query).fetch_one(self.store.pool()).await.unwrap()
    }

    pub(crate) async fn counts(&self) -> Vec<(&'static str, i64)> {
        let mut counts = Vec::new();
        for table in TABLES {
            counts.push((table, self.count(table).await));
        }
        counts
    }

    /// The rows of a query, each as JSON.
    pub(crate) async fn rows(&self, sql: &str) -> Vec<Value> {
        let query = AssertSqlSafe(format!("SELECT to_jsonb(r) FROM ({sql}) r"));
        let rows = sqlx::query(query).fetch_all(self.store.pool()).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    pub(crate) async fn row(&self, sql: &str) -> Value {
        let mut rows = self.rows(sql).await;
        assert_eq!(rows.len(), 1, "{sql}: {rows:?}");
        rows.remove(0)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A service that anybody could start.
pub(crate) fn config(chain: u64) -> Config {
    let listen = "127.0.0.1:0".parse().unwrap();
    Config { listen, public_url: None, chain, limits: Limits::default(), metrics: false, blockhash: None }
}

pub(crate) fn deployment() -> Deployment {
    Deployment::version_1(ESCROW)
}

pub(crate) fn now() -> u64 {
    OffsetDateTime::now_utc().unix_timestamp().try_into().unwrap()
}

/// The request of the specification, its comments removed and its date moved on, with fields set or (null) taken out.
pub(crate) fn request(changes: Value) -> Value {
    let due = OffsetDateTime::now_utc().date() + time::Duration::days(30);
    let mut request = json!({
        "tenant_id": UTILITYCO,
        "customer_email": "jane@email.com",
        "amount": 150,
        "currency": "USD",
        "description": "Electric Service - January 2025",
        "category": "UTILITY",
        "due_date": due.to_string(),
        "auto_create_wallet": true,
        "wallet_mode": "ephemeral",
        "wallet_ttl": 86400
    });
    for (name, value) in changes.as_object().unwrap() {
        request[name] = value.clone();
    }
    request.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    request
}

/// A request, sent as it is.
pub(crate) struct Call {
    address: SocketAddr,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Call {
    pub(crate) fn key(self, key: &str) -> Self {
        self.header("Authorization", &format!("Bearer {key}"))
    }

    /// The same to another service.
    pub(crate) fn to(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.header("Content-Type", "application/json").body(body.to_string())
    }

    /// The bytes up to the body.
    pub(crate) fn head(&self, length: usize) -> String {
        let mut head = format!("{} {} HTTP/1.1\r\nHost: monay\r\nConnection: close\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if length > 0 {
            head.push_str(&format!("Content-Length: {length}\r\n"));
        }
        head + "\r\n"
    }

    pub(crate) async fn send(self) -> Reply {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(self.head(self.body.len()).as_bytes()).await.unwrap();
        stream.write_all(&self.body).await.unwrap();
        let reply = Reply::read(&mut stream).await;
        document::fits(&self.method, &self.path, &reply);
        reply
    }
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) async fn read(stream: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let header = |line: &str| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_lowercase(), value.to_owned())
        };
        let headers: BTreeMap<_, _> = lines.map(header).collect();
        let chunked = headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked");
        let body = &bytes[end + 4..];
        Self { status, headers, body: if chunked { unchunked(body) } else { body.to_vec() } }
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{} {}", self.status, self.text()))
    }

    /// The JSON without the moment it is as of, which must be there, in the body and in the header.
    pub(crate) fn told(&self) -> Value {
        let mut json = self.json();
        let as_of = json.as_object_mut().unwrap().remove("as_of").expect("as_of");
        assert_eq!(as_of[0]["chain"], "base", "{as_of}");
        assert_eq!(self.headers["monay-lag-seconds"], as_of[0]["lag_seconds"].to_string());
        json
    }

    /// Asserts that this is a complete RFC 9457 answer with this status and code; returns it.
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{code}: {}", self.text());
        assert_eq!(self.headers["content-type"], "application/problem+json", "{}", self.text());
        assert_eq!(self.headers["cache-control"], "no-store");
        assert!(self.headers.contains_key("x-request-id"));
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status, "{problem}");
        assert_eq!(problem["type"], format!("/errors/{code}"), "{problem}");
        assert!(!problem["title"].as_str().unwrap().is_empty() && !problem["detail"].as_str().unwrap().is_empty());
        let known = api::Code::ALL.iter().find(|known| known.as_str() == code).expect("a code of the table");
        assert_eq!((known.status(), known.title()), (status, problem["title"].as_str().unwrap()));
        problem
    }
}

/// A body without the chunks of HTTP/1.1.
fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = body.windows(2).position(|two| two == b"\r\n") {
        let length = usize::from_str_radix(std::str::from_utf8(&body[..end]).unwrap(), 16).unwrap();
        whole.extend(&body[end + 2..end + 2 + length]);
        body = &body[end + 4 + length..];
    }
    whole
}

/// Everything the process has logged, at every level.
static LOGS: OnceLock<Arc<Mutex<Vec<u8>>>> = OnceLock::new();

#[derive(Clone)]
struct Capture(Arc<Mutex<Vec<u8>>>);

impl Write for Capture {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn capture_logs() {
    LOGS.get_or_init(|| {
        let logs = Arc::new(Mutex::new(Vec::new()));
        let capture = Capture(logs.clone());
        tracing_subscriber::fmt()
            .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
            .with_ansi(false)
            .with_writer(move || capture.clone())
            .init();
        logs
    });
}

pub(crate) fn logs() -> String {
    String::from_utf8_lossy(&LOGS.get().unwrap().lock().unwrap()).into_owned()
}
