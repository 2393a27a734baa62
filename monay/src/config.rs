//! The configuration: one TOML file, every key of which can be set by an environment variable instead. A key that does
//! not exist is an error: a renamed key that is silently ignored has cost others money.
//!
//! `MONAY__CHAINS__BASE__RPC_URL=http://…` sets `chains.base.rpc_url`; `DATABASE_URL` sets `database_url` if nothing
//! else does.

use crate::Error;
use alloy_primitives::Address;
use domain::tier::Tier;
use keeper::Duty;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use terms::{GateKind, Pubkey};

/// Environment variables that begin with this are configuration keys.
const PREFIX: &str = "MONAY__";

/// All of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Postgres, as a URL.
    pub database_url: String,
    /// Connections to Postgres per process.
    #[serde(default = "defaults::database_connections")]
    pub database_connections: u32,
    /// How logs are written: `text` or `json`.
    #[serde(default)]
    pub log_format: LogFormat,
    /// The API.
    #[serde(default)]
    pub api: ApiConfig,
    /// The keeper.
    #[serde(default)]
    pub keeper: KeeperConfig,
    /// The coordinator: the keeper's other duty, with a key of its own.
    #[serde(default)]
    pub coordinator: KeeperConfig,
    /// The indexer.
    #[serde(default)]
    pub indexer: IndexerConfig,
    /// The attestor: each is a process of its own, with a key, a log and a statement of its own.
    #[serde(default)]
    pub attestor: AttestorConfig,
    /// The treasury: between banks and the books.
    #[serde(default)]
    pub treasury: TreasuryConfig,
    /// The vault.
    #[serde(default)]
    pub vault: VaultConfig,
    /// The EVM chains, by name: the one that every invoice can be paid on, and Tempo, where invoices can be paid there too.
    pub chains: BTreeMap<String, ChainConfig>,
    /// Solana, where invoices can be paid there too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub solana: Option<SolanaConfig>,
}

/// How logs are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines.
    Json,
}

/// The API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApiConfig {
    /// Address and port; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// What pay links begin with, where it is not the address itself.
    pub public_url: Option<String>,
    /// Whether `/metrics` is served, to anybody who can reach the port. Not unless told so.
    pub metrics: bool,
    /// What one process takes on at once.
    pub limits: api::Limits,
}

/// The keeper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeeperConfig {
    /// Files with the private keys that send, one or a list: 64 hex digits each, readable by their owner only. Processes with
    /// the same keys stand by for each other; with different ones they share the work.
    #[serde(deserialize_with = "one_or_many")]
    pub key_files: Vec<PathBuf>,
    /// Milliseconds between two looks when nothing wakes it.
    pub poll_ms: u64,
    /// Milliseconds until a transaction that no block has is offered again.
    pub resend_ms: u64,
    /// Milliseconds until a transaction that is next in line and that no block has is offered with higher fees.
    pub raise_ms: u64,
    /// The most that is ever paid for gas, in gwei per unit (on Tempo: billionths of a dollar): while gas costs
    /// more, nothing is sent.
    pub max_fee_gwei: u64,
    /// Milliseconds a lease of a signer lasts that is not renewed: how long a standby waits when a keeper has died.
    pub lease_ms: u64,
}

/// The indexer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IndexerConfig {
    /// Milliseconds between two questions to the node.
    pub poll_ms: u64,
}

/// An attestor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AttestorConfig {
    /// A file with its private key: 64 hex digits, readable by its owner only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// The file it writes every decision to. It only grows, and must not get lost: on a disk of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_file: Option<PathBuf>,
    /// A file that says where it reads what came in: the same as the treasury's, with keys of its own. Readable by its owner only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sources_file: Option<PathBuf>,
    /// Instead of it: one statement of everything as CSV, `reference,amount`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statement_file: Option<PathBuf>,
    /// Milliseconds between two looks when nothing wakes it.
    pub poll_ms: u64,
    /// Milliseconds until an order that was refused is looked at again.
    pub ask_again_ms: u64,
}

/// The treasury.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TreasuryConfig {
    /// A file with what it has to know of the gateway and of statements, and with the gateway's secrets: readable by its owner only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sources_file: Option<PathBuf>,
    /// Where it hears webhooks: address and port; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Milliseconds between two looks when nothing wakes it.
    pub poll_ms: u64,
    /// Milliseconds until a provider is asked again what has become of a payment.
    pub ask_ms: u64,
    /// Milliseconds until a payment that the provider does not know is handed in again, under the same number.
    pub resend_ms: u64,
    /// Milliseconds between two readings of statements.
    pub read_ms: u64,
}

/// The vault.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VaultConfig {
    /// A file with the root key: 64 hex digits, readable by its owner only.
    pub root_key_file: Option<PathBuf>,
}

/// A chain.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainConfig {
    /// Chain id.
    pub id: u64,
    /// The node's JSON-RPC over HTTP.
    pub rpc_url: String,
    /// The `InvoiceEscrow`.
    pub escrow: Address,
    /// The token invoices are paid in; it must have six decimals.
    pub token: Address,
    /// The `SettlementGate`: the settler in the terms of new invoices.
    pub gate: Address,
    /// The tier at which a deposit is settled: seen, safe or final.
    #[serde(default = "defaults::settle_at")]
    pub settle_at: Tier,
    /// The gate that pays invoices with money from off chain, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mint: Option<MintConfig>,
    /// Whose transactions are sent: `ethereum`, or `tempo`.
    #[serde(default)]
    pub network: Network,
    /// On Tempo: the token that the keepers pay fees in. They need some of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fee_token: Option<Address>,
}

/// Whose transactions an EVM chain takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// Ethereum's.
    #[default]
    Ethereum,
    /// Tempo's own.
    Tempo,
}

/// A gate that pays invoices with money from off chain, when attestors have signed for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MintConfig {
    /// The token rail that the chain serves: `tempo`, `circle`, `monay`.
    pub rail: String,
    /// What the gate does: `mint` makes and burns our own token, `float` pays a token that is not ours from what it holds.
    pub kind: MintKind,
    /// The gate.
    pub gate: Address,
    /// How many attestors have to sign.
    pub threshold: u32,
    /// Who they are.
    pub attestors: Vec<Address>,
}

/// Which kind of gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MintKind {
    /// `MintGate`.
    Mint,
    /// `FloatGate`.
    Float,
}

impl MintKind {
    /// As the protocol has it.
    pub const fn kind(self) -> GateKind {
        match self {
            Self::Mint => GateKind::Mint,
            Self::Float => GateKind::Float,
        }
    }
}

/// Solana. The cluster is the one that this program was built for.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SolanaConfig {
    /// The node's JSON-RPC over HTTP.
    pub rpc_url: String,
    /// The same node's WebSocket, for news without asking.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ws_url: Option<String>,
    /// The `invoice-escrow` program.
    #[serde(with = "base58")]
    pub program: Pubkey,
    /// The `settlement-gate` program: an address of it is the settler in the terms of new invoices.
    #[serde(with = "base58")]
    pub gate: Pubkey,
    /// What invoices are paid in; it must have six decimals, and belong to the token program.
    #[serde(with = "base58")]
    pub mint: Pubkey,
    /// The tier at which a deposit is settled: safe or final.
    #[serde(default = "defaults::settle_solana_at")]
    pub settle_at: Tier,
    /// Files with the keeper's keys.
    #[serde(default, deserialize_with = "one_or_many")]
    pub keeper_key_files: Vec<PathBuf>,
    /// Files with the coordinator's keys.
    #[serde(default, deserialize_with = "one_or_many")]
    pub coordinator_key_files: Vec<PathBuf>,
    /// The most that is ever paid on top, in micro-lamports per compute unit.
    #[serde(default = "defaults::max_fee_micro_lamports")]
    pub max_fee_micro_lamports: u64,
}

/// Keys as people write them.
mod base58 {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use terms::Pubkey;

    pub(super) fn serialize<S: Serializer>(key: &Pubkey, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(key)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Pubkey, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(|_| D::Error::custom("not an address of Solana, in base58"))
    }
}

mod defaults {
    use domain::tier::Tier;

    /// What is confirmed is shown; money moves on what is finalized.
    pub(super) const fn settle_solana_at() -> Tier {
        Tier::Final
    }

    pub(super) const fn max_fee_micro_lamports() -> u64 {
        1_000_000
    }

    pub(super) const fn database_connections() -> u32 {
        16
    }

    /// A settlement that a re-org takes back takes its deposit back with it, so nothing is gained by waiting on one rail.
    pub(super) const fn settle_at() -> Tier {
        Tier::Seen
    }
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            public_url: None,
            metrics: false,
            limits: api::Limits::default(),
        }
    }
}

impl Default for KeeperConfig {
    fn default() -> Self {
        Self {
            key_files: Vec::new(),
            poll_ms: 200,
            resend_ms: 5_000,
            raise_ms: 15_000,
            max_fee_gwei: 100,
            lease_ms: 3_000,
        }
    }
}

impl Default for TreasuryConfig {
    fn default() -> Self {
        Self {
            sources_file: None,
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            poll_ms: 500,
            ask_ms: 30_000,
            resend_ms: 300_000,
            read_ms: 300_000,
        }
    }
}

impl Default for AttestorConfig {
    fn default() -> Self {
        Self {
            key_file: None,
            log_file: None,
            sources_file: None,
            statement_file: None,
            poll_ms: 500,
            ask_again_ms: 5_000,
        }
    }
}

impl Default for IndexerConfig {
    fn default() -> Self {
        Self { poll_ms: 50 }
    }
}

impl Config {
    /// Reads the file, if there is one, and the environment over it.
    pub fn load(path: Option<&Path>, environment: impl Iterator<Item = (String, String)>) -> Result<Self, Error> {
        let mut table = match path {
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(Error::file(path))?;
                text.parse().map_err(|error| Error::Config(format!("{}: {error}", path.display())))?
            }
            None => toml::Table::new(),
        };
        for (name, value) in environment {
            if name == "DATABASE_URL" {
                table.entry("database_url").or_insert(toml::Value::String(value));
            } else if let Some(key) = name.strip_prefix(PREFIX) {
                set(&mut table, &key.to_ascii_lowercase(), &value)?;
            }
        }
        let config: Self = table.try_into().map_err(|error| Error::Config(format!("{error}").trim().to_owned()))?;
        config.check_chains()?;
        if config.solana.as_ref().is_some_and(|solana| solana.settle_at == Tier::Seen) {
            return Err(Error::Config(
                "`solana.settle_at` must be safe or final: what is only seen may go away".into(),
            ));
        }
        Ok(config)
    }

    /// The chain that every invoice can be paid on, with its name.
    pub fn chain(&self) -> Result<(&str, &ChainConfig), Error> {
        let mut chains = self.of(Network::Ethereum);
        match (chains.next(), chains.count()) {
            (Some(chain), 0) => Ok(chain),
            (chain, more) => Err(Error::Config(format!(
                "`chains` must have one chain with network = \"ethereum\", beside which there may be one with network = \
                 \"tempo\"; it has {} of the first",
                usize::from(chain.is_some()) + more
            ))),
        }
    }

    /// Tempo, with its name, where invoices can be paid there too.
    pub fn tempo(&self) -> Option<(&str, &ChainConfig)> {
        self.of(Network::Tempo).next()
    }

    fn of(&self, network: Network) -> impl Iterator<Item = (&str, &ChainConfig)> {
        let chains = self.chains.iter().filter(move |(_, chain)| chain.network == network);
        chains.map(|(name, chain)| (name.as_str(), chain))
    }

    fn check_chains(&self) -> Result<(), Error> {
        self.chain()?;
        if self.of(Network::Tempo).count() > 1 {
            return Err(Error::Config("`chains` has more than one with network = \"tempo\"".into()));
        }
        for (name, chain) in &self.chains {
            match (chain.network, chain.fee_token) {
                (Network::Tempo, None) => {
                    return Err(Error::Config(format!(
                        "`chains.{name}.fee_token` is not set: Tempo has no coin, say which token pays the fees"
                    )));
                }
                (Network::Ethereum, Some(_)) => {
                    return Err(Error::Config(format!("`chains.{name}.fee_token` is for network = \"tempo\" only")));
                }
                _ => {}
            }
        }
        let mut ids: Vec<u64> = self.chains.values().map(|chain| chain.id).collect();
        ids.sort_unstable();
        match ids.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(Error::Config(format!("`chains` has chain id {} twice", pair[0]))),
            None => Ok(()),
        }
    }

    /// As TOML, with everything in it: for the file that services read.
    pub fn to_toml(&self) -> Result<String, Error> {
        toml::to_string_pretty(self).map_err(|error| Error::Config(error.to_string()))
    }

    /// As TOML, without the password of the database and without what may be a key in a node's URL.
    pub fn printed(&self) -> Result<String, Error> {
        let mut shown = self.clone();
        shown.database_url = shown_database(&shown.database_url);
        for chain in shown.chains.values_mut() {
            chain.rpc_url = chain::evm::shown_url(&chain.rpc_url);
        }
        if let Some(solana) = &mut shown.solana {
            solana.rpc_url = chain::evm::shown_url(&solana.rpc_url);
            solana.ws_url = solana.ws_url.as_deref().map(chain::evm::shown_url);
        }
        shown.to_toml()
    }

    /// How a keeper with this duty runs, and the section that says so.
    pub fn keeper(&self, duty: Duty) -> (keeper::Config, &KeeperConfig) {
        let section = match duty {
            Duty::Settle => &self.keeper,
            Duty::Cancel => &self.coordinator,
        };
        let config = keeper::Config {
            duty,
            poll: Duration::from_millis(section.poll_ms.max(1)),
            resend_after: Duration::from_millis(section.resend_ms.max(1)),
            raise_after: Duration::from_millis(section.raise_ms.max(1)),
            max_fee: u128::from(section.max_fee_gwei) * 1_000_000_000,
            lease: Duration::from_millis(section.lease_ms.max(300)),
        };
        (config, section)
    }
}

/// One path, or a list of them: a variable of the environment holds one.
fn one_or_many<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<PathBuf>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(PathBuf),
        Many(Vec<PathBuf>),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(path) => vec![path],
        OneOrMany::Many(paths) => paths,
    })
}

/// A database's URL without its password, wherever in it that stands.
fn shown_database(url: &str) -> String {
    let (url, query) = url.split_once('?').map_or((url, ""), |(url, query)| (url, query));
    let parts = query.split('&').filter(|part| !part.is_empty() && !part.starts_with("password="));
    let query = parts.collect::<Vec<_>>().join("&");
    let shown = match url.rsplit_once('@').and_then(|(before, host)| Some((before.split_once("://")?, host))) {
        Some(((scheme, user), host)) => {
            let user = user.split_once(':').map_or(user, |(user, _)| user);
            format!("{scheme}://{user}:***@{host}")
        }
        None => url.to_owned(),
    };
    if query.is_empty() { shown } else { format!("{shown}?{query}") }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.printed().as_deref().unwrap_or("Config(..)"))
    }
}

impl fmt::Debug for ChainConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let node = chain::evm::shown_url(&self.rpc_url);
        f.debug_struct("ChainConfig").field("id", &self.id).field("node", &node).finish_non_exhaustive()
    }
}

impl fmt::Debug for SolanaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let node = chain::evm::shown_url(&self.rpc_url);
        f.debug_struct("SolanaConfig").field("program", &self.program).field("node", &node).finish_non_exhaustive()
    }
}

/// Sets the key that a variable's name says; words between double underscores are tables.
fn set(table: &mut toml::Table, key: &str, value: &str) -> Result<(), Error> {
    match key.split_once("__") {
        Some((head, rest)) => match table.entry(head).or_insert_with(|| toml::Table::new().into()) {
            toml::Value::Table(inner) => set(inner, rest, value),
            _ => Err(Error::Config(format!("'{head}' is a value, not a table"))),
        },
        None => {
            let parsed = match (value.parse::<i64>(), value.parse::<bool>()) {
                (Ok(number), _) => toml::Value::Integer(number),
                (_, Ok(yes)) => toml::Value::Boolean(yes),
                _ => toml::Value::String(value.to_owned()),
            };
            table.insert(key.to_owned(), parsed);
            Ok(())
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const FILE: &str = r#"
        database_url = "postgres://monay:secret@127.0.0.1/monay"
        [chains.base]
        id = 8453
        rpc_url = "http://127.0.0.1:8545"
        escrow = "0x1111111111111111111111111111111111111111"
        token = "0x2222222222222222222222222222222222222222"
        gate = "0x3333333333333333333333333333333333333333"
    "#;

    fn load(text: &str, environment: &[(&str, &str)]) -> Result<Config, Error> {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let next = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("monay-config-{}-{next}.toml", std::process::id()));
        std::fs::write(&path, text).unwrap();
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let loaded = Config::load(Some(&path), environment);
        std::fs::remove_file(&path).unwrap();
        loaded
    }

    #[test]
    fn the_environment_is_laid_over_the_file() {
        let config = load(
            FILE,
            &[
                ("MONAY__CHAINS__BASE__RPC_URL", "http://10.0.0.1"),
                ("MONAY__INDEXER__POLL_MS", "7"),
                ("MONAY__API__METRICS", "true"),
                ("MONAY__API__LIMITS__REQUESTS", "9"),
                ("PATH", "/bin"),
            ],
        );
        let config = config.unwrap();
        assert_eq!(config.chain().unwrap().1.rpc_url, "http://10.0.0.1");
        assert_eq!((config.indexer.poll_ms, config.chain().unwrap().1.settle_at), (7, Tier::Seen));
        assert_eq!((config.api.metrics, config.api.limits.requests, config.api.limits.burst), (true, 9, 200));
    }

    #[test]
    fn an_unknown_key_is_refused_by_name_wherever_it_stands() {
        for (text, environment) in [
            (format!("colour = 1\n{FILE}"), vec![]),
            (format!("{FILE}\ncolour = 1"), vec![]),
            (FILE.to_owned(), vec![("MONAY__COLOUR", "1")]),
            (FILE.to_owned(), vec![("MONAY__KEEPER__COLOUR", "1")]),
            (FILE.to_owned(), vec![("MONAY__API__LIMITS__COLOUR", "1")]),
        ] {
            let error = load(&text, &environment).unwrap_err().to_string();
            assert!(error.contains("unknown field `colour`"), "{error}");
        }
    }

    #[test]
    fn what_is_printed_has_no_password_and_can_be_read_back() {
        let printed = load(FILE, &[]).unwrap().printed().unwrap();
        assert!(!printed.contains("secret"), "{printed}");
        assert!(printed.contains("postgres://monay:***@127.0.0.1/monay"), "{printed}");
        let again = load(&printed, &[]).unwrap();
        assert_eq!(again.chain().unwrap().1.escrow, load(FILE, &[]).unwrap().chain().unwrap().1.escrow);
        let keyed = FILE.replace("http://127.0.0.1:8545", "https://user:pw@node.example/v2/KEY?k=KEY");
        let printed = load(&keyed, &[]).unwrap().printed().unwrap();
        assert!(printed.contains("https://node.example/") && !printed.contains("KEY") && !printed.contains("pw"));
    }

    #[test]
    fn solana_is_configured_beside_it_and_prints_no_key_of_a_node() {
        let key = "4BWFgrNVrzSVTQqH1jjwYsbF1ytaD9hJzVz8aP3nZHoL";
        let section = format!(
            "[solana]\nrpc_url = \"https://node.example/KEY\"\nws_url = \"wss://node.example/KEY\"\nprogram = \"{key}\"\n\
             gate = \"{key}\"\nmint = \"{key}\"\n"
        );
        let config = load(&format!("{FILE}\n{section}"), &[]).unwrap();
        assert_eq!(config.solana.as_ref().unwrap().settle_at, Tier::Final);
        let printed = config.printed().unwrap();
        assert!(printed.contains(key) && !printed.contains("KEY"), "{printed}");
        assert!(!format!("{config:?} {:?}", config.solana).contains("KEY"));
        for (wrong, why) in [("settle_at = \"seen\"", "safe or final"), ("mint = \"0x11\"", "duplicate")] {
            assert!(load(&format!("{FILE}\n{section}{wrong}\n"), &[]).unwrap_err().to_string().contains(why));
        }
        let no_key = section.replace(key, "0x1111111111111111111111111111111111111111");
        assert!(load(&format!("{FILE}\n{no_key}"), &[]).unwrap_err().to_string().contains("base58"));
    }

    #[test]
    fn tempo_is_configured_beside_another_chain_and_what_makes_no_sense_is_refused() {
        let section = FILE[FILE.find("[chains").unwrap()..].replace("[chains.base]", "[chains.other]");
        let tempo = section.replace("8453", "42431") + "network = \"tempo\"\n";
        let paid = "fee_token = \"0x20c0000000000000000000000000000000000000\"\n";
        let config = load(&format!("{FILE}\n{tempo}{paid}"), &[]).unwrap();
        assert_eq!((config.chain().unwrap().0, config.tempo().unwrap().0), ("base", "other"));
        assert!(load(FILE, &[]).unwrap().tempo().is_none());
        let third = format!("{tempo}{paid}").replace("chains.other", "chains.third").replace("42431", "4217");
        for (chains, why) in [
            (section.clone(), "one chain"),
            (tempo.clone(), "fee_token` is not set"),
            (section.replace("8453", "1") + paid, "one chain"),
            (format!("{tempo}{paid}{third}"), "more than one"),
            (format!("{tempo}{paid}").replace("42431", "8453"), "chain id 8453 twice"),
        ] {
            let error = load(&format!("{FILE}\n{chains}"), &[]).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        let alone = FILE.split_once("[chains").unwrap().0;
        assert!(load(&format!("{alone}\n{tempo}{paid}"), &[]).unwrap_err().to_string().contains("it has 0"));
        assert!(load(&format!("{FILE}\n{paid}"), &[]).unwrap_err().to_string().contains("only"));
    }
}
