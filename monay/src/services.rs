//! The services, each a process of its own.

use crate::config::{ChainConfig, Config, KeeperConfig, LogFormat, SolanaConfig};
use crate::{Error, setup};
use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::Address;
use attestor::Attestor;
use attestor::gates::EvmGate;
use attestor::statement::{CsvFile, Providers, Witness};
use chain::Chain;
use chain::evm::Evm;
use fiat::FiatGateway;
use fiat::tilli::Tilli;
use keeper::Duty;
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;
use store::Store;
use terms::MintGate;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use treasury::Treasury;
use treasury::webhooks::Webhooks;

/// A slot takes 400 ms: who asks for news more often hears none.
const SOLANA_POLL: Duration = Duration::from_millis(200);

/// Which service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Service {
    /// Serves HTTP.
    Api,
    /// Mirrors the chain.
    Indexer,
    /// Settles and refunds.
    Keeper,
    /// Ends what has run out of time.
    Coordinator,
    /// Says that money came in.
    Attestor,
    /// Stands between banks and the books.
    Treasury,
}

impl Service {
    /// All that every installation has, in the order they are started.
    pub const ALL: [Self; 4] = [Self::Indexer, Self::Keeper, Self::Coordinator, Self::Api];

    /// Its name, which is also its subcommand.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Indexer => "indexer",
            Self::Keeper => "keeper",
            Self::Coordinator => "coordinator",
            Self::Attestor => "attestor",
            Self::Treasury => "treasury",
        }
    }
}

/// What `monay config --help` says of the API's section.
pub const CONFIG_HELP: &str = "\
The section [api] with its defaults; in the environment MONAY__API__METRICS, MONAY__API__LIMITS__REQUESTS and so on:

  listen = \"127.0.0.1:8080\"    address and port
  public_url                     what pay links begin with, where it is not the address itself
  metrics = false                serve /metrics to anybody who can reach the port

The section [api.limits], for one process:

  connections = 1024             open connections; one more is told 503 and closed
  requests = 256                 requests in work at once; one more is told 503 (/health is always answered)
  per_second = 100               requests of one API key per second, in the long run; above it 429
  burst = 200                    requests of one API key at once after a silence
  uri_bytes = 8192               bytes of path and query; above it 414
  query_bytes = 4096             bytes of the query; above it 414
  header_bytes = 16384           bytes of all headers, names and values; above it 431
  header_ms = 10000              until the headers must be there; then the connection is cut";

/// What a service prints, once, when it is up: the parent waits for it.
pub const READY: &str = "ready";

/// Runs a service until it is told to stop; for one chain, or for all of them.
pub async fn run(service: Service, config: &Config, chain: Option<&str>, with_parent: bool) -> Result<(), Error> {
    let which = Which::of(config, chain)?;
    let store = Store::connect(&config.database_url, config.database_connections).await?;
    let stop = stopped(with_parent)?;
    match service {
        Service::Api => {
            let file = config.vault.root_key_file.as_deref().ok_or_else(|| missing("vault.root_key_file"))?;
            let vault = vault::Vault::new(&vault::RootKey::load(file)?);
            let settings = api::Config {
                listen: config.api.listen,
                public_url: config.api.public_url.clone(),
                chain: config.chain()?.1.id,
                limits: config.api.limits.clone(),
                metrics: config.api.metrics,
                blockhash: blockhash(config).await,
            };
            let server = api::bind(settings).await?;
            println!("{READY} http://{}", server.address());
            server.serve(store, vault, stop).await?;
        }
        Service::Indexer => {
            let base = match which.base {
                Some(settings) => Some(Evm::connect(&settings.rpc_url, settings.id, None).await?),
                None => None,
            };
            let tempo = match which.tempo {
                Some(settings) => Some(setup::connect_tempo(settings, None).await?),
                None => None,
            };
            let solana = match which.solana {
                Some(settings) => {
                    let chain = setup::connect_solana(settings, None).await?;
                    Some(match &settings.ws_url {
                        Some(url) => chain.hearing(url)?,
                        None => chain,
                    })
                }
                None => None,
            };
            println!("{READY}");
            let poll = Duration::from_millis(config.indexer.poll_ms.max(1));
            let mut chains = Chains::until(stop);
            if let Some(chain) = solana {
                let (store, told) = (store.clone(), chains.told());
                let poll = poll.max(SOLANA_POLL);
                chains.run(async move { Ok(indexer::run(indexer::Config { poll }, store, chain, told).await?) });
            }
            if let Some(chain) = tempo {
                let (store, told) = (store.clone(), chains.told());
                chains.run(async move { Ok(indexer::run(indexer::Config { poll }, store, chain, told).await?) });
            }
            if let Some(chain) = base {
                let told = chains.told();
                chains.run(async move { Ok(indexer::run(indexer::Config { poll }, store, chain, told).await?) });
            }
            chains.ended().await?;
        }
        Service::Keeper => run_keeper(Duty::Settle, "keeper", config, which, store, stop).await?,
        Service::Coordinator => run_keeper(Duty::Cancel, "coordinator", config, which, store, stop).await?,
        Service::Treasury => {
            let (treasury, webhooks) = open_treasury(config, store).await?;
            println!("{READY} http://{}", webhooks.address());
            let mut tasks = Chains::until(stop);
            let (told, heard) = (tasks.told(), tasks.told());
            tasks.run({
                let treasury = treasury.clone();
                async move { Ok(webhooks.serve(treasury, heard).await?) }
            });
            tasks.run(async move { Ok(treasury.run(told).await?) });
            tasks.ended().await?;
        }
        Service::Attestor => {
            let attestor = open_attestor(config, store).await?;
            println!("{READY}");
            attestor.run(stop).await?;
        }
    }
    Ok(())
}

async fn open_treasury(config: &Config, store: Store) -> Result<(Treasury, Webhooks), Error> {
    let section = &config.treasury;
    let file = section.sources_file.as_ref().ok_or_else(|| missing("treasury.sources_file"))?;
    let sources = setup::read_sources(file)?;
    let how = treasury::Config {
        poll: Duration::from_millis(section.poll_ms.max(1)),
        ask_every: Duration::from_millis(section.ask_ms),
        resend_after: Duration::from_millis(section.resend_ms),
        read_every: Duration::from_millis(section.read_ms.max(1)),
        bank: sources.bank,
    };
    let gateway = sources.gateway.ok_or_else(|| Error::Config(format!("{}: `gateway` is missing", file.display())))?;
    let gateway = FiatGateway::Tilli(Tilli::new(gateway)?);
    let webhooks = Webhooks::bind(section.listen).await?;
    Ok((Treasury::new(how, store, gateway, sources.statements), webhooks))
}

/// An attestor has to see every gate there is: all rails together must stay within the reserve.
async fn open_attestor(config: &Config, store: Store) -> Result<Attestor<EvmGate, Witness>, Error> {
    let section = &config.attestor;
    let file = |path: &Option<PathBuf>, key: &str| path.clone().ok_or_else(|| missing(&format!("attestor.{key}")));
    let key = setup::read_key(&file(&section.key_file, "key_file")?)?;
    let log = file(&section.log_file, "log_file")?;
    let statement = match (&section.sources_file, &section.statement_file) {
        (Some(path), None) => Witness::Providers(Providers::new(setup::read_sources(path)?)?),
        (None, path) => Witness::Csv(CsvFile { path: file(path, "sources_file")? }),
        (Some(_), Some(_)) => {
            let why =
                "`attestor.sources_file` and `attestor.statement_file` are both set: one of them says what came in";
            return Err(Error::Config(why.into()));
        }
    };
    let mut gates = Vec::new();
    for settings in config.chains.values() {
        let Some(mint) = &settings.mint else { continue };
        let node = Evm::connect(&settings.rpc_url, settings.id, None).await?;
        let gate = MintGate { kind: mint.kind.kind(), chain: settings.id, address: mint.gate };
        gates.push(EvmGate::connect(node, gate, settings.token).await?);
    }
    if gates.is_empty() {
        return Err(Error::Config("no chain has a `mint` section, and an attestor needs one".into()));
    }
    let how = attestor::Config {
        poll: Duration::from_millis(section.poll_ms.max(1)),
        ask_again: Duration::from_millis(section.ask_again_ms),
    };
    Ok(Attestor::open(how, store, gates, statement, key, &log)?)
}

/// Which chains a process is for.
#[derive(Clone, Copy)]
struct Which<'a> {
    base: Option<&'a ChainConfig>,
    tempo: Option<&'a ChainConfig>,
    solana: Option<&'a SolanaConfig>,
}

impl<'a> Which<'a> {
    fn of(config: &'a Config, only: Option<&str>) -> Result<Self, Error> {
        let (name, base) = config.chain()?;
        let wanted = |name: &str| only.is_none_or(|only| only == name);
        let base = wanted(name).then_some(base);
        let tempo = config.tempo().filter(|(name, _)| wanted(name)).map(|(_, tempo)| tempo);
        let solana = config.solana.as_ref().filter(|_| wanted("solana"));
        match (base, tempo, solana, only) {
            (None, None, None, Some(only)) => Err(Error::Config(format!("no chain '{only}' is configured"))),
            _ => Ok(Self { base, tempo, solana }),
        }
    }
}

/// What runs once for each chain, in one process: all are told to stop together, and one that ends by itself ends all, because
/// an operator's system starts a process again and not a part of it.
struct Chains {
    stop: watch::Receiver<bool>,
    tasks: JoinSet<Result<(), Error>>,
}

impl Chains {
    fn until(stop: impl Future<Output = ()> + Send + 'static) -> Self {
        let (tell, told) = watch::channel(false);
        tokio::spawn(async move {
            stop.await;
            let _ = tell.send(true);
            // Kept until all have heard it.
            tell.closed().await;
        });
        Self { stop: told, tasks: JoinSet::new() }
    }

    /// Resolves when it is time to stop.
    fn told(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut stop = self.stop.clone();
        async move {
            let _ = stop.wait_for(|stop| *stop).await;
        }
    }

    fn run(&mut self, chain: impl Future<Output = Result<(), Error>> + Send + 'static) {
        self.tasks.spawn(chain);
    }

    /// The first error, if there is one.
    async fn ended(mut self) -> Result<(), Error> {
        while let Some(ended) = self.tasks.join_next().await {
            ended.map_err(|error| Error::Config(format!("a chain's task died: {error}")))??;
        }
        Ok(())
    }
}

async fn run_keeper(
    duty: Duty,
    section: &str,
    config: &Config,
    which: Which<'_>,
    store: Store,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Error> {
    let (how, keeper) = config.keeper(duty);
    let base = match which.base {
        Some(settings) => {
            let chain = Evm::connect(&settings.rpc_url, settings.id, evm_keys(section, keeper)?).await?;
            check_roles(duty, keeper, &chain, settings.gate).await?;
            Some(chain)
        }
        None => None,
    };
    let tempo = match which.tempo {
        Some(settings) => {
            let chain = setup::connect_tempo(settings, evm_keys(section, keeper)?).await?;
            check_roles(duty, keeper, chain.evm(), settings.gate).await?;
            Some(chain)
        }
        None => None,
    };
    let solana = match which.solana {
        Some(settings) => {
            let files = match duty {
                Duty::Settle => &settings.keeper_key_files,
                Duty::Cancel => &settings.coordinator_key_files,
            };
            if files.is_empty() {
                return Err(missing(&format!("solana.{section}_key_files")));
            }
            let keys = files.iter().map(|file| setup::read_solana_key(file)).collect::<Result<Vec<_>, _>>()?;
            Some((setup::connect_solana(settings, keys).await?, settings.max_fee_micro_lamports))
        }
        None => None,
    };
    println!("{READY}");
    let mut chains = Chains::until(stop);
    if let Some((chain, max_fee)) = solana {
        let how = keeper::Config { max_fee: max_fee.into(), ..how };
        let (store, told) = (store.clone(), chains.told());
        chains.run(async move { Ok(keeper::run(how, store, chain, told).await?) });
    }
    if let Some(chain) = tempo {
        let (store, told) = (store.clone(), chains.told());
        chains.run(async move { Ok(keeper::run(how, store, chain, told).await?) });
    }
    if let Some(chain) = base {
        let told = chains.told();
        chains.run(async move { Ok(keeper::run(how, store, chain, told).await?) });
    }
    chains.ended().await
}

/// The keeper's keys for EVM chains: the same on all of them.
fn evm_keys(section: &str, keeper: &KeeperConfig) -> Result<Vec<PrivateKeySigner>, Error> {
    if keeper.key_files.is_empty() {
        return Err(missing(&format!("{section}.key_files")));
    }
    keeper.key_files.iter().map(|file| setup::read_key(file)).collect()
}

/// Of the keeper's keys at least one has the role that its duty needs.
async fn check_roles(duty: Duty, keeper: &KeeperConfig, chain: &Evm, gate: Address) -> Result<(), Error> {
    let mut refused = Vec::new();
    for (signer, file) in chain.signers().into_iter().zip(&keeper.key_files) {
        let account = signer.evm().unwrap_or_default();
        if !chain.may_call(gate, duty.selector(), account).await? {
            refused.push(format!(
                "the key in {} is {account}, which may not {duty:?} at the gate {gate} of chain {}: whoever governs it has to \
                 grant it the role {}",
                file.display(),
                chain.id(),
                duty.role(),
            ));
        }
    }
    if refused.len() == keeper.key_files.len() {
        return Err(Error::Config(refused.join("; ")));
    }
    // A key that was taken from us at the gate must not keep the others from working.
    for words in refused {
        tracing::error!(words, "one key of several has no role");
    }
    Ok(())
}

/// The hash of a recent block of Solana for whoever wants a transaction made. A node that is away keeps nobody from the rest.
async fn blockhash(config: &Config) -> Option<api::Blockhash> {
    let chain = setup::connect_solana(config.solana.as_ref()?, None).await;
    let chain = chain
        .inspect_err(|error| tracing::warn!(%error, "transactions for Solana wallets rest on the blocks of the mirror"))
        .ok()?;
    Some(api::Blockhash::new(move || {
        let chain = chain.clone();
        async move { chain.prepare().await.ok().map(|prepared| prepared.blockhash) }
    }))
}

fn missing(key: &str) -> Error {
    Error::Config(format!("`{key}` is not set, and this service needs it"))
}

/// Resolves at SIGINT or SIGTERM, or, for a child that must not outlive its parent, when standard input ends.
fn stopped(with_parent: bool) -> Result<impl Future<Output = ()> + Send + 'static, Error> {
    use tokio::signal::unix::{SignalKind, signal};
    let listen = |kind| signal(kind).map_err(Error::file("signal handler"));
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    Ok(async move {
        let parent_gone = async {
            if with_parent {
                let mut nothing = [0_u8; 1];
                while tokio::io::AsyncReadExt::read(&mut tokio::io::stdin(), &mut nothing).await.is_ok_and(|n| n > 0) {}
            } else {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            () = parent_gone => {}
        }
    })
}

/// Our crates, as they are called in the log.
const OURS: &[&str] = &[
    "api", "attestor", "chain", "domain", "fiat", "indexer", "keeper", "model", "monay", "store", "terms", "treasury",
    "vault",
];

/// Whether a line may be written at all, whatever `RUST_LOG` says. What our own crates write is ours to answer for. Others
/// write, below info, the URLs they call with the keys in them, and what is sent there: orders before they are carried out,
/// signatures, customers' data.
fn may_be_written(metadata: &tracing::Metadata<'_>) -> bool {
    let from = metadata.target().split("::").next().unwrap_or_default();
    OURS.contains(&from) || *metadata.level() <= tracing::Level::INFO
}

/// Sends logs to standard error. `RUST_LOG` says how much, default `info`; of other people's crates nothing below `info`
/// is ever written (`docs/LOGGING.md`).
pub fn log(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let capped = filter_fn(may_be_written);
    // A second subscriber in one process is refused; the first stays.
    let _ = match format {
        LogFormat::Text => builder.with_ansi(false).finish().with(capped).try_init(),
        LogFormat::Json => builder.json().finish().with(capped).try_init(),
    };
}
