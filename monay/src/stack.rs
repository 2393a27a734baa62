//! A whole installation on this machine: Postgres, a chain with our contracts, a configuration, and the services as
//! processes of their own. The demo, `monay devnet` and the tests all run on it.

mod fiat;
mod solana;
mod tempo;

pub use fiat::{BANK, FiatNet};
pub use solana::SolanaNet;
pub use tempo::TempoNet;

use crate::config::{ChainConfig, Config, KeeperConfig, MintConfig, MintKind, Network, VaultConfig};
use crate::services::{READY, Service};
use crate::{Error, setup};
use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{Address, B256, keccak256};
use domain::tier::Tier;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use store::Store;
use test_chain::contracts::{Admin, Attested, GateOptions};
use test_chain::{Anvil, AnvilOptions, DEV_ACCOUNTS, Mining, Node, Postgres, PostgresOptions, Progress};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// How long a service may take to be ready.
const PATIENCE: Duration = Duration::from_secs(20);

/// What to start, and what is there already.
#[derive(Clone, Debug)]
pub struct Options {
    /// When Anvil makes blocks.
    pub mining: Mining,
    /// Blocks between Anvil's `latest`, `safe` and `finalized`.
    pub epoch: u64,
    /// More arguments for Anvil.
    pub anvil: Vec<String>,
    /// The chain id.
    pub chain_id: u64,
    /// A node that already runs, instead of Anvil.
    pub rpc_url: Option<String>,
    /// An escrow that is already deployed.
    pub escrow: Option<Address>,
    /// A gate that is already deployed and knows the development keys.
    pub gate: Option<Address>,
    /// A token that is already deployed.
    pub token: Option<Address>,
    /// Whether invoices can be paid with money from off chain, through which kind of gate. With a mint gate they are in our own
    /// token, else in USDC.
    pub mint: Option<MintKind>,
    /// Whether customers can pay by card and bank: a sandbox of the gateway and the bank behind it, and our books.
    pub fiat: bool,
    /// Whether there is Solana too.
    pub solana: bool,
    /// Whether there is Tempo too.
    pub tempo: bool,
    /// A Postgres that already runs; a fresh database is made in it.
    pub database_url: Option<String>,
    /// The port of the API; 0 lets the system choose.
    pub api_port: u16,
    /// The program to run as service; this one unless told otherwise.
    pub program: Option<PathBuf>,
    /// Who is told what is being done.
    pub progress: Progress,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            mining: Mining::Interval(Duration::from_secs(1)),
            epoch: 1,
            anvil: Vec::new(),
            chain_id: 8453,
            rpc_url: None,
            escrow: None,
            gate: None,
            token: None,
            mint: None,
            fiat: false,
            solana: false,
            tempo: false,
            database_url: None,
            api_port: 0,
            program: None,
            progress: Progress::default(),
        }
    }
}

/// Who is who on the development chain. Everybody knows these keys.
#[derive(Clone, Copy, Debug)]
pub struct Cast;

impl Cast {
    /// Deploys the contracts and owns the test token.
    pub const DEPLOYER: usize = 0;
    /// The keeper: may settle at the gate.
    pub const KEEPER: usize = 1;
    /// The coordinator: may cancel at the gate.
    pub const COORDINATOR: usize = 6;
    /// A second enterprise.
    pub const OTHER_ENTERPRISE: usize = 7;
    /// UtilityCo Electric, the enterprise.
    pub const ENTERPRISE: usize = 2;
    /// Jane Smith, the customer.
    pub const CUSTOMER: usize = 3;
    /// The enterprise's account for unclaimed money.
    pub const UNCLAIMED: usize = 4;
    /// Anybody at all.
    pub const STRANGER: usize = 5;

    /// The address of one of them.
    pub const fn address(who: usize) -> Address {
        DEV_ACCOUNTS[who].address
    }

    /// The private key of one of them.
    pub const fn key(who: usize) -> B256 {
        DEV_ACCOUNTS[who].private_key
    }

    /// How many attestors there are.
    pub const ATTESTORS: usize = 3;

    /// How many of them have to sign.
    pub const THRESHOLD: u8 = 2;

    /// The private key of an attestor, from 0. They send nothing, so that they need no coin.
    pub fn attestor(which: usize) -> B256 {
        keccak256(format!("monay development attestor {which}"))
    }
}

/// The tenant of the specification's example.
pub const TENANT: &str = "tenant-utilityco";

/// A second tenant, for what must not touch the first.
pub const OTHER_TENANT: &str = "tenant-waterworks";

/// What the customer has to spend: 10,000 USDC.
const CUSTOMER_FUNDS: u128 = 10_000_000_000;

/// The most that a local gate pays in a day: a million dollars.
const DAILY_CAP: u128 = 1_000_000_000_000;

/// What a local float gate has to pay with: 100,000 USDC.
const FLOAT: u128 = 100_000_000_000;

/// A running installation. Dropping it stops everything and removes its directory.
pub struct Stack {
    /// The chain.
    pub node: Node,
    /// Postgres.
    pub store: Store,
    /// The configuration that all services share.
    pub config: Config,
    /// An API key of [`TENANT`].
    pub api_key: String,
    /// An API key of [`OTHER_TENANT`].
    pub other_api_key: String,
    services: Mutex<HashMap<(Service, usize), Child>>,
    /// Where the API listens, once it has: it comes back there.
    api_url: OnceLock<String>,
    directory: Directory,
    program: PathBuf,
    postgres: Postgres,
    // Last: whatever still talks to them is gone before them.
    anvil: Option<Anvil>,
    solana: Option<SolanaNet>,
    tempo: Option<TempoNet>,
    fiat: Option<FiatNet>,
}

/// Without its API keys.
impl std::fmt::Debug for Stack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stack").field("config", &self.config).finish_non_exhaustive()
    }
}

/// A private directory that goes with its owner.
#[derive(Debug)]
struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Stack {
    /// Starts Postgres and the chain, deploys, migrates, and sets the tenant up. No service runs yet.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let directory = Directory::new()?;
        let (postgres, chain, solana, tempo) = tokio::try_join!(
            postgres(&options),
            network(&options),
            solana_network(&options, &directory.0),
            tempo_network(&options)
        )?;
        let (anvil, node) = chain;
        options.progress.say("deploying the contracts");
        let deployed = contracts(&options, &node).await?;
        let config = configuration(&options, &directory.0, &postgres, &node, deployed).await?;
        let mut config = Config { solana: solana.as_ref().map(|solana| solana.config.clone()), ..config };
        config.chains.extend(tempo.as_ref().map(|tempo| ("tempo".to_owned(), tempo.config.clone())));
        options.progress.say("bringing the schema up to date");
        setup::migrate(&config).await?;
        let tenant = |id: &str, name: &str, payee: usize| setup::TenantArgs {
            id: id.to_owned(),
            name: name.to_owned(),
            payee: Cast::address(payee),
            unclaimed: Cast::address(Cast::UNCLAIMED),
            solana_payee: options.solana.then(|| Cast::solana(payee).address()),
            solana_unclaimed: options.solana.then(|| Cast::solana(Cast::UNCLAIMED).address()),
            tempo_payee: options.tempo.then(|| Cast::address(payee)),
            tempo_unclaimed: options.tempo.then(|| Cast::address(Cast::UNCLAIMED)),
            unverified: false,
            scopes: Vec::new(),
        };
        let api_key = setup::tenant(&config, &tenant(TENANT, "UtilityCo Electric", Cast::ENTERPRISE)).await?;
        let other = tenant(OTHER_TENANT, "City Waterworks", Cast::OTHER_ENTERPRISE);
        let other_api_key = setup::tenant(&config, &other).await?;
        let fiat = match options.fiat {
            true => Some(FiatNet::start(&directory.0, &mut config).await?),
            false => None,
        };
        let text = config.to_toml()?;
        let file = directory.0.join("monay.toml");
        std::fs::write(&file, text).map_err(Error::file(&file))?;
        let program = match options.program {
            Some(program) => program,
            None => std::env::current_exe().map_err(Error::file("the running program"))?,
        };
        Ok(Self {
            node,
            store: Store::connect(&config.database_url, 4).await?,
            config,
            api_key,
            other_api_key,
            services: Mutex::default(),
            api_url: OnceLock::new(),
            directory,
            program,
            postgres,
            anvil,
            solana,
            tempo,
            fiat,
        })
    }

    /// Starts a service and waits until it says that it is ready. `environment` is for tests that want it to fail.
    pub async fn run(&self, service: Service, environment: &[(&str, &str)]) -> Result<(), Error> {
        self.run_one(service, 0, environment).await
    }

    /// Starts one of the attestors, from 0, with its own key and log.
    pub async fn run_attestor(&self, which: usize, environment: &[(&str, &str)]) -> Result<(), Error> {
        let (key, log) = (self.attestor_file(which, "key"), self.attestor_file(which, "log"));
        if !key.exists() {
            setup::write_key(&key, Cast::attestor(which))?;
        }
        let (key, log, statement) =
            (key.display().to_string(), log.display().to_string(), self.statement_file().display().to_string());
        let mut all = vec![
            ("MONAY__ATTESTOR__KEY_FILE", key.as_str()),
            ("MONAY__ATTESTOR__LOG_FILE", log.as_str()),
            ("MONAY__ATTESTOR__POLL_MS", "100"),
            ("MONAY__ATTESTOR__ASK_AGAIN_MS", "300"),
        ];
        // Where there is no gateway to ask, they read a statement that a test writes.
        if self.fiat.is_none() {
            all.push(("MONAY__ATTESTOR__STATEMENT_FILE", statement.as_str()));
        }
        all.extend(environment);
        self.run_one(Service::Attestor, which, &all).await
    }

    /// A file of one of the attestors: its `key`, its `log`.
    pub fn attestor_file(&self, which: usize, what: &str) -> PathBuf {
        self.directory.0.join(format!("attestor-{which}.{what}"))
    }

    /// The bank's statement that the attestors read.
    pub fn statement_file(&self) -> PathBuf {
        self.directory.0.join("statement.csv")
    }

    async fn run_one(&self, service: Service, which: usize, environment: &[(&str, &str)]) -> Result<(), Error> {
        let log = match service {
            Service::Attestor => self.attestor_file(which, "out"),
            service => self.log_file(service),
        };
        let file = std::fs::File::options().create(true).append(true).open(&log).map_err(Error::file(&log))?;
        let failed = |why: String| Error::Service { service: service.name(), why };
        let listen =
            self.api_url.get().filter(|_| service == Service::Api).map(|url| url.trim_start_matches("http://"));
        let mut child = Command::new(&self.program)
            .arg("--config")
            .arg(self.config_file())
            .args([service.name(), "--with-parent"])
            .envs(listen.map(|address| ("MONAY__API__LISTEN", address)))
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed(error.to_string()))?;
        let stdout = child.stdout.take().ok_or_else(|| failed("it has no output".into()))?;
        let mut lines = BufReader::new(stdout).lines();
        match tokio::time::timeout(PATIENCE, lines.next_line()).await {
            Ok(Ok(Some(line))) if line.starts_with(READY) => {
                if service == Service::Api {
                    self.api_url.get_or_init(|| line.strip_prefix(READY).unwrap_or_default().trim().to_owned());
                }
                self.services().insert((service, which), child);
                Ok(())
            }
            _ => {
                let _ = child.kill().await;
                let log = std::fs::read_to_string(&log).unwrap_or_default();
                Err(failed(log.lines().rev().take(3).collect::<Vec<_>>().join(" | ")))
            }
        }
    }

    /// Starts all services.
    pub async fn run_all(&self) -> Result<(), Error> {
        for service in Service::ALL {
            self.run(service, &[]).await?;
        }
        Ok(())
    }

    /// Kills a service with SIGKILL, and waits until it is gone.
    pub async fn kill(&self, service: Service) {
        self.kill_one(service, 0).await;
    }

    /// The same for one of the attestors.
    pub async fn kill_attestor(&self, which: usize) {
        self.kill_one(Service::Attestor, which).await;
    }

    async fn kill_one(&self, service: Service, which: usize) {
        let child = self.services().remove(&(service, which));
        if let Some(mut child) = child {
            let _ = child.kill().await;
        }
    }

    /// The process id of a service that runs.
    pub fn pid(&self, service: Service) -> Option<u32> {
        self.services().get(&(service, 0))?.id()
    }

    /// Tells a service to stop, as an operator's system does: with SIGTERM.
    pub async fn terminate(&self, service: Service) {
        if let Some(pid) = self.pid(service) {
            let _ = Command::new("kill").args(["-TERM", &pid.to_string()]).status().await;
        }
    }

    /// Waits until a service has ended by itself, at most `patience`; how it ended. Looks and does not `wait`, because
    /// that closes the child's standard input first, which tells it to stop.
    pub async fn ended(&self, service: Service, patience: Duration) -> Option<ExitStatus> {
        self.one_ended(service, 0, patience).await
    }

    /// The same for one of the attestors.
    pub async fn attestor_ended(&self, which: usize, patience: Duration) -> Option<ExitStatus> {
        self.one_ended(Service::Attestor, which, patience).await
    }

    async fn one_ended(&self, service: Service, which: usize, patience: Duration) -> Option<ExitStatus> {
        let since = Instant::now();
        loop {
            let status = self.services().get_mut(&(service, which))?.try_wait().ok()?;
            if status.is_some() {
                self.services().remove(&(service, which));
                return status;
            }
            if since.elapsed() > patience {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// A panic while it is locked leaves nothing half done.
    fn services(&self) -> MutexGuard<'_, HashMap<(Service, usize), Child>> {
        self.services.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the API listens.
    pub fn api_url(&self) -> &str {
        self.api_url.get().map_or("", String::as_str)
    }

    /// The configuration file that the services were started with.
    pub fn config_file(&self) -> PathBuf {
        self.directory.0.join("monay.toml")
    }

    /// Where a service logs to.
    pub fn log_file(&self, service: Service) -> PathBuf {
        self.directory.0.join(format!("{}.log", service.name()))
    }

    /// Anvil's process id, if it is ours.
    pub fn anvil_pid(&self) -> Option<u32> {
        self.anvil.as_ref().and_then(Anvil::pid)
    }

    /// The gateway and the bank behind it, if there are.
    pub fn fiat(&self) -> Option<&FiatNet> {
        self.fiat.as_ref()
    }

    /// Starts what money from off chain needs: the treasury, and as many attestors as have to sign.
    pub async fn run_fiat(&self) -> Result<(), Error> {
        for which in 0..usize::from(Cast::THRESHOLD) {
            self.run_attestor(which, &[]).await?;
        }
        self.run(Service::Treasury, &[]).await
    }

    /// Solana, if there is.
    pub fn solana(&self) -> Option<&SolanaNet> {
        self.solana.as_ref()
    }

    /// Tempo, if there is.
    pub fn tempo(&self) -> Option<&TempoNet> {
        self.tempo.as_ref()
    }

    /// Lets time pass on all chains. Their clocks drift apart, and an invoice's time is that of the one that is ahead: each is
    /// moved to that one's time and beyond.
    pub async fn pass(&self, time: Duration) -> Result<(), Error> {
        let (_, base) = self.node.block("latest").await?;
        let mut now = base;
        if let Some(solana) = &self.solana {
            now = now.max(solana.time().await?);
        }
        if let Some(tempo) = &self.tempo {
            now = now.max(tempo.time().await?);
        }
        let then = now.saturating_add(time.as_secs());
        self.node.increase_time(Duration::from_secs(then.saturating_sub(base))).await?;
        self.node.mine(3).await?;
        if let Some(tempo) = &self.tempo {
            tempo.travel_to(then).await?;
        }
        match &self.solana {
            Some(solana) => solana.travel_beyond(then).await,
            None => Ok(()),
        }
    }

    /// Postgres.
    pub fn postgres(&self) -> &Postgres {
        &self.postgres
    }

    /// Which Postgres runs, in words.
    pub fn postgres_source(&self) -> &str {
        self.postgres.source()
    }

    /// The chain's settings.
    pub fn chain(&self) -> Result<&ChainConfig, Error> {
        Ok(self.config.chain()?.1)
    }

    /// Stops everything, in order: services first, then what they stand on.
    pub async fn stop(self) {
        let attestors = (0..Cast::ATTESTORS).map(|which| (Service::Attestor, which));
        let fiat = attestors.chain([(Service::Treasury, 0)]);
        for service in fiat.chain(Service::ALL.into_iter().rev().map(|service| (service, 0))) {
            let child = self.services().remove(&service);
            if let Some(mut child) = child {
                // The service stops when its standard input ends.
                drop(child.stdin.take());
                if tokio::time::timeout(Duration::from_secs(5), child.wait()).await.is_err() {
                    let _ = child.kill().await;
                }
            }
        }
        self.store.close().await;
        let Self { postgres, anvil, solana, tempo, .. } = self;
        if let Some(anvil) = anvil {
            anvil.stop().await;
        }
        if let Some(solana) = solana {
            solana.stop().await;
        }
        if let Some(tempo) = tempo {
            tempo.stop().await;
        }
        postgres.stop().await;
    }
}

impl Directory {
    fn new() -> Result<Self, Error> {
        use std::os::unix::fs::DirBuilderExt;
        let mut name = [0_u8; 8];
        getrandom::fill(&mut name).map_err(|error| Error::Config(format!("no randomness: {error}")))?;
        let path = std::env::temp_dir().join(format!("monay-{}", alloy_primitives::hex::encode(name)));
        std::fs::DirBuilder::new().mode(0o700).create(&path).map_err(Error::file(&path))?;
        Ok(Self(path))
    }
}

async fn postgres(options: &Options) -> Result<Postgres, Error> {
    let settings = PostgresOptions {
        url: options.database_url.clone(),
        // A port, so that a person can look with any client; the socket is in a private directory.
        port: Some(0),
        progress: options.progress.clone(),
        ..PostgresOptions::for_tests()
    };
    Ok(Postgres::start(settings).await?)
}

async fn network(options: &Options) -> Result<(Option<Anvil>, Node), Error> {
    match &options.rpc_url {
        Some(url) => Ok((None, Node::at(url)?)),
        None => {
            let settings = AnvilOptions {
                chain_id: options.chain_id,
                mining: options.mining,
                epoch: options.epoch,
                arguments: options.anvil.clone(),
                progress: options.progress.clone(),
                ..AnvilOptions::default()
            };
            let anvil = Anvil::start(settings).await?;
            let node = anvil.node().clone();
            Ok((Some(anvil), node))
        }
    }
}

async fn solana_network(options: &Options, directory: &Path) -> Result<Option<SolanaNet>, Error> {
    match options.solana {
        true => SolanaNet::start(directory, &options.progress).await.map(Some),
        false => Ok(None),
    }
}

async fn tempo_network(options: &Options) -> Result<Option<TempoNet>, Error> {
    match options.tempo {
        true => TempoNet::start(options.mining, &options.progress).await.map(Some),
        false => Ok(None),
    }
}

/// Where the contracts are.
#[derive(Clone)]
struct Addresses {
    escrow: Address,
    gate: Address,
    token: Address,
    mint: Option<MintConfig>,
}

/// The contracts that are given, else ours, freshly deployed, with money for the customer.
async fn contracts(options: &Options, node: &Node) -> Result<Addresses, Error> {
    if let (Some(escrow), Some(gate), Some(token)) = (options.escrow, options.gate, options.token) {
        return Ok(Addresses { escrow, gate, token, mint: None });
    }
    let owner = signer(Cast::key(Cast::DEPLOYER))?;
    let mint = [(Cast::address(Cast::CUSTOMER), CUSTOMER_FUNDS)];
    let deployed = test_chain::contracts::deploy(node, &owner, &mint).await?;
    let escrow = options.escrow.unwrap_or(deployed.escrow);
    let mut addresses = Addresses {
        escrow,
        gate: options.gate.unwrap_or_default(),
        token: options.token.unwrap_or(deployed.token),
        mint: None,
    };
    if options.gate.is_none() {
        let attestors = (0..Cast::ATTESTORS).map(|which| Ok(signer(Cast::attestor(which))?.address()));
        let attestors = attestors.collect::<Result<Vec<_>, Error>>()?;
        let attested = options.mint.map(|_| Attested {
            float_token: deployed.token,
            attestors: attestors.clone(),
            threshold: Cast::THRESHOLD,
            daily_cap: DAILY_CAP,
        });
        let gates = test_chain::contracts::deploy_gates(
            node,
            &owner,
            &GateOptions {
                escrow,
                keeper: Cast::address(Cast::KEEPER),
                canceller: Cast::address(Cast::COORDINATOR),
                admin: Admin::Owner,
                delays: false,
                attested,
            },
        )
        .await?;
        addresses.gate = gates.gate;
        if let Some(kind) = options.mint {
            let (rail, gate) = match kind {
                MintKind::Mint => ("monay", gates.mint_gate),
                MintKind::Float => ("circle", gates.float_gate),
            };
            match kind {
                MintKind::Mint => addresses.token = gates.token,
                MintKind::Float => {
                    test_chain::contracts::mint(node, &owner, deployed.token, &[(gate, FLOAT)]).await?;
                }
            }
            let (rail, threshold) = (rail.to_owned(), Cast::THRESHOLD.into());
            addresses.mint = Some(MintConfig { rail, kind, gate, threshold, attestors });
        }
    }
    // Finality first: the mirror begins at a block that cannot be taken back, and the contracts are in it.
    node.mine(2 * options.epoch + 1).await?;
    Ok(addresses)
}

async fn configuration(
    options: &Options,
    directory: &Path,
    postgres: &Postgres,
    node: &Node,
    deployed: Addresses,
) -> Result<Config, Error> {
    let Addresses { escrow, gate, token, mint } = deployed;
    let key = |name: &str, who: usize| {
        let key_file = directory.join(name);
        setup::write_key(&key_file, Cast::key(who))?;
        Ok::<_, Error>(KeeperConfig {
            key_files: vec![key_file],
            poll_ms: 100,
            resend_ms: 2_000,
            raise_ms: 10_000,
            ..KeeperConfig::default()
        })
    };
    let root_key_file = directory.join("root.key");
    vault::RootKey::create(&root_key_file)?;
    let chain = ChainConfig {
        id: options.chain_id,
        rpc_url: node.rpc_url(),
        escrow,
        token,
        gate,
        settle_at: Tier::Seen,
        mint,
        network: Network::Ethereum,
        fee_token: None,
    };
    Ok(Config {
        database_url: postgres.fresh_database().await?,
        database_connections: 16,
        log_format: crate::config::LogFormat::Text,
        api: crate::config::ApiConfig {
            listen: ([127, 0, 0, 1], options.api_port).into(),
            public_url: None,
            metrics: true,
            // One key makes all the requests here, and benches make thousands.
            limits: api::Limits { per_second: 100_000, burst: 100_000, ..api::Limits::default() },
        },
        keeper: key("keeper.key", Cast::KEEPER)?,
        coordinator: key("coordinator.key", Cast::COORDINATOR)?,
        indexer: crate::config::IndexerConfig { poll_ms: 25 },
        attestor: crate::config::AttestorConfig::default(),
        treasury: crate::config::TreasuryConfig::default(),
        vault: VaultConfig { root_key_file: Some(root_key_file) },
        solana: None,
        chains: BTreeMap::from([("base".to_owned(), chain)]),
    })
}

fn signer(key: B256) -> Result<PrivateKeySigner, Error> {
    PrivateKeySigner::from_bytes(&key).map_err(|error| Error::Config(format!("a development key is wrong: {error}")))
}
