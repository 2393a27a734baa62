//! The HTTP service: invoices, their wallets, manual payment, and the page behind the pay link.
//!
//! It never talks to a chain. An address is a hash of the terms, and whatever a chain has shown is in Postgres, where the
//! indexer put it. So it is stateless: any number of these can run beside each other on one database.

mod auth;
mod authorization;
mod body;
mod cancel;
mod clock;
mod create;
mod document;
mod email;
mod events;
mod export;
mod health;
mod html;
mod invoices;
mod limits;
mod list;
mod metrics;
mod observe;
mod params;
mod pay_page;
mod problem;
mod receipt;
mod recover;
mod refund;
mod reply;
mod routes;
mod serve;
mod solana_pay;
mod timeline;
mod view;
mod work;

pub use auth::{hash_api_key, new_api_key};
pub use limits::Limits;
pub use problem::Code;
pub use solana_pay::Blockhash;

use axum::Router;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use store::{Store, Tx};
use tokio::net::TcpListener;
use vault::Vault;

use limits::Gate;
use metrics::Metrics;
use problem::Problem;
use routes::Routes;

/// How long requests may take that are under way when the service is told to stop.
const DRAIN: Duration = Duration::from_secs(15);

/// How long a request waits for a row that somebody else holds: a rebuild holds many, and must not take the API with it.
const LOCK_PATIENCE: Duration = Duration::from_secs(3);

/// How long a request waits for a database connection.
const DATABASE_PATIENCE: Duration = Duration::from_secs(3);

/// What can go wrong with the service as a whole. What goes wrong with one request is told to its caller.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is taken, or not ours.
    #[error("the API cannot listen on {listen}: {source}")]
    Bind {
        /// Where it should have listened.
        listen: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not an address a browser can open.
    #[error("the public URL '{0}' of the API must begin with http:// or https://")]
    PublicUrl(String),
    /// The operating system gave no random bytes.
    #[error("no random bytes from the operating system: {0}")]
    Randomness(getrandom::Error),
    /// A limit that lets nobody in.
    #[error("api.limits.{name} is {value} and must be at least {least}")]
    Limit {
        /// Which.
        name: &'static str,
        /// What it is.
        value: usize,
        /// What it must be at least.
        least: usize,
    },
}

/// How the service is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen; port 0 is any that is free.
    pub listen: SocketAddr,
    /// What customers reach it under, for pay links; `None`: where it listens.
    pub public_url: Option<String>,
    /// The chain new invoices are paid on.
    pub chain: u64,
    /// What one process takes on at once.
    pub limits: Limits,
    /// Whether `/metrics` is served. It says how much business there is: keep it from the public, or leave it off.
    pub metrics: bool,
    /// Where the hash of a recent block of Solana comes from, for transactions that wallets are to sign.
    pub blockhash: Option<Blockhash>,
}

/// A service that listens and does not answer yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    public_url: String,
    chain: u64,
    limits: Limits,
    metrics: bool,
    blockhash: Option<Blockhash>,
}

/// What every request has at hand.
struct App {
    store: Store,
    vault: Vault,
    chain: u64,
    public_url: String,
    gate: Gate,
    metrics: Arc<Metrics>,
    serves_metrics: bool,
    blockhash: solana_pay::Recent,
    routes: Routes,
}

/// Takes the port, so that the caller knows it before anyone is served.
pub async fn bind(config: Config) -> Result<Server, Error> {
    let given = config.public_url.map(|url| url.trim_end_matches('/').to_owned());
    if let Some(url) = given.as_ref().filter(|url| !url.starts_with("http://") && !url.starts_with("https://")) {
        return Err(Error::PublicUrl(url.clone()));
    }
    config.limits.check()?;
    let failed = |source| Error::Bind { listen: config.listen, source };
    let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let public_url = given.unwrap_or_else(|| format!("http://{}", reachable(address)));
    let Config { chain, limits, metrics, blockhash, .. } = config;
    Ok(Server { listener, address, public_url, chain, limits, metrics, blockhash })
}

/// "All interfaces" is nowhere a browser can go.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What customers reach it under, without a slash at the end.
    pub fn public_url(&self) -> &str {
        &self.public_url
    }

    /// Answers requests until `shutdown` is done, then finishes those that are under way.
    pub async fn serve(
        self,
        store: Store,
        vault: Vault,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), Error> {
        let metrics = Arc::new(Metrics::new());
        let gate = Gate::new(self.limits, metrics.clone());
        let (router, routes) = routes::build();
        let app = Arc::new(App {
            store,
            vault,
            chain: self.chain,
            public_url: self.public_url,
            gate,
            metrics,
            serves_metrics: self.metrics,
            blockhash: solana_pay::Recent::of(self.blockhash),
            routes,
        });
        let router = around(router, &app);
        tracing::info!(address = %self.address, "the API listens");
        serve::serve(self.listener, router, &app.gate, &app.metrics, shutdown).await;
        Ok(())
    }
}

/// The OpenAPI document, as it is served.
pub fn openapi() -> serde_json::Value {
    routes::build().1.document
}

fn around(router: Router<Arc<App>>, app: &Arc<App>) -> Router {
    router
        .fallback(problem::no_route)
        .method_not_allowed_fallback(problem::wrong_method)
        .layer(axum::middleware::from_fn_with_state(app.clone(), observe::observe))
        .with_state(app.clone())
}

impl App {
    /// A transaction that writes.
    async fn begin(&self) -> Result<Tx, Problem> {
        patiently(self.store.begin_within(LOCK_PATIENCE)).await
    }

    /// A transaction that reads, all from one moment.
    async fn snapshot(&self) -> Result<Tx, Problem> {
        patiently(self.store.snapshot()).await
    }
}

async fn patiently<T>(connect: impl Future<Output = Result<T, store::Error>>) -> Result<T, Problem> {
    match tokio::time::timeout(DATABASE_PATIENCE, connect).await {
        Ok(connected) => Ok(connected?),
        Err(_) => {
            tracing::error!(seconds = DATABASE_PATIENCE.as_secs(), "no database connection");
            Err(Problem::unavailable())
        }
    }
}

async fn commit(tx: Tx) -> Result<(), Problem> {
    tx.commit().await.map_err(|error| store::Error::from(error).into())
}
