//! The services, each a process of its own.

use crate::config::{Config, LogFormat};
use crate::{Error, setup};
use alloy::signers::local::PrivateKeySigner;
use chain::evm::Evm;
use keeper::Duty;
use std::future::Future;
use std::time::Duration;
use store::Store;
use terms::abi::ISettlementGate::hasRoleCall;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

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
}

impl Service {
    /// All of them, in the order they are started.
    pub const ALL: [Self; 4] = [Self::Indexer, Self::Keeper, Self::Coordinator, Self::Api];

    /// Its name, which is also its subcommand.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Indexer => "indexer",
            Self::Keeper => "keeper",
            Self::Coordinator => "coordinator",
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

/// Runs a service until it is told to stop.
pub async fn run(service: Service, config: &Config, with_parent: bool) -> Result<(), Error> {
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
            };
            let server = api::bind(settings).await?;
            println!("{READY} http://{}", server.address());
            server.serve(store, vault, stop).await?;
        }
        Service::Indexer => {
            let (_, settings) = config.chain()?;
            let chain = Evm::connect(&settings.rpc_url, settings.id, None).await?;
            println!("{READY}");
            let poll = Duration::from_millis(config.indexer.poll_ms.max(1));
            indexer::run(indexer::Config { poll }, store, chain, stop).await?;
        }
        Service::Keeper => run_keeper(Duty::Settle, "keeper", config, store, stop).await?,
        Service::Coordinator => run_keeper(Duty::Cancel, "coordinator", config, store, stop).await?,
    }
    Ok(())
}

async fn run_keeper(
    duty: Duty,
    section: &str,
    config: &Config,
    store: Store,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), Error> {
    let (_, settings) = config.chain()?;
    let (how, keeper) = config.keeper(duty);
    if keeper.key_files.is_empty() {
        return Err(missing(&format!("{section}.key_files")));
    }
    let keys = keeper.key_files.iter().map(|file| setup::read_key(file)).collect::<Result<Vec<_>, _>>()?;
    let accounts: Vec<_> = keys.iter().map(PrivateKeySigner::address).collect();
    let chain = Evm::connect(&settings.rpc_url, settings.id, keys).await?;
    let mut refused = Vec::new();
    for (account, file) in accounts.into_iter().zip(&keeper.key_files) {
        let role = duty as u8;
        if !chain.read(settings.gate, &hasRoleCall { role, account }).await? {
            refused.push(format!(
                "the key in {} is {account}, which may not {duty:?} at the gate {}: its admin has to call setRole({role}, \
                 {account}, true)",
                file.display(),
                settings.gate,
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
    println!("{READY}");
    Ok(keeper::run(how, store, chain, stop).await?)
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
const OURS: &[&str] = &["api", "chain", "domain", "indexer", "keeper", "model", "monay", "store", "terms", "vault"];

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
