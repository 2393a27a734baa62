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
mod email;
mod events;
mod export;
mod health;
mod html;
mod invoices;
mod list;
mod observe;
mod params;
mod pay_page;
mod problem;
mod receipt;
mod recover;
mod refund;
mod reply;
mod timeline;
mod view;
mod work;

pub use auth::{hash_api_key, new_api_key};
pub use problem::Code;

use axum::Router;
use axum::routing::{get, post};
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use store::{Store, Tx};
use tokio::net::TcpListener;
use vault::Vault;

use problem::Problem;

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
    /// The listener failed.
    #[error("the API stopped: {0}")]
    Serve(std::io::Error),
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
}

/// A service that listens and does not answer yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    public_url: String,
    chain: u64,
}

/// What every request has at hand.
struct App {
    store: Store,
    vault: Vault,
    chain: u64,
    public_url: String,
}

/// Takes the port, so that the caller knows it before anyone is served.
pub async fn bind(config: Config) -> Result<Server, Error> {
    let given = config.public_url.map(|url| url.trim_end_matches('/').to_owned());
    if let Some(url) = given.as_ref().filter(|url| !url.starts_with("http://") && !url.starts_with("https://")) {
        return Err(Error::PublicUrl(url.clone()));
    }
    let failed = |source| Error::Bind { listen: config.listen, source };
    let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let public_url = given.unwrap_or_else(|| format!("http://{}", reachable(address)));
    Ok(Server { listener, address, public_url, chain: config.chain })
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
        let app = App { store, vault, chain: self.chain, public_url: self.public_url };
        let (told, stop) = tokio::sync::oneshot::channel::<()>();
        let shutdown = async move {
            shutdown.await;
            tracing::info!("the API is told to stop");
            let _ = told.send(());
        };
        tracing::info!(address = %self.address, "the API listens");
        let serving = axum::serve(self.listener, router(Arc::new(app))).with_graceful_shutdown(shutdown);
        let drained = async {
            // The other end is gone without a word only when serving has ended by itself.
            if stop.await.is_err() {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(DRAIN).await;
        };
        tokio::select! {
            served = serving.into_future() => served.map_err(Error::Serve),
            () = drained => {
                tracing::warn!(seconds = DRAIN.as_secs(), "connections were still open and are cut");
                Ok(())
            }
        }
    }
}

fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/api/invoices", get(list::list))
        .route("/api/invoices/export", get(export::export))
        .route("/api/invoices/create", post(create::create))
        .route("/api/invoices/pay", post(invoices::pay))
        .route("/api/invoices/{id}", get(invoices::invoice))
        .route("/api/invoices/{id}/wallet", get(invoices::invoice_wallet))
        .route("/api/invoices/{id}/cancel", post(cancel::cancel))
        .route("/api/invoices/{id}/events", get(events::of_invoice))
        .route("/api/invoices/{id}/timeline", get(timeline::timeline))
        .route("/api/invoices/{id}/receipt", get(receipt::for_tenant))
        .route("/api/invoices/{id}/email", get(email::email))
        .route("/api/invoices/{id}/refund", post(refund::by_tenant))
        .route("/api/invoices/{id}/authorization", post(authorization::by_tenant))
        .route("/api/events", get(events::of_tenant))
        .route("/api/invoice-wallets/{id}", get(invoices::wallet))
        .route("/pay/{token}", get(pay_page::page))
        .route("/pay/{token}/receipt", get(receipt::for_customer))
        .route("/pay/{token}/refund", post(refund::by_customer))
        .route("/pay/{token}/authorization", post(authorization::by_customer))
        .route("/errors", get(problem::index))
        .route("/errors/{code}", get(problem::page))
        .route("/health", get(health::health))
        .route("/ready", get(health::ready))
        .fallback(problem::no_route)
        .method_not_allowed_fallback(problem::wrong_method)
        .layer(axum::middleware::from_fn(observe::observe))
        .with_state(app)
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
