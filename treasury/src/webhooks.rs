//! Being told that there is news. A webhook is checked, stored once as far as it matters, and answered; what is booked comes from
//! lists and statements.

use crate::{Error, Treasury};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use fiat::FiatGateway;
use serde_json::json;
use std::future::Future;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tracing::{info, warn};

/// The largest body that is read, bytes.
const MOST_BYTES: usize = 64 * 1024;

/// A listener for webhooks that has its port and answers nobody yet.
#[derive(Debug)]
pub struct Webhooks {
    listener: TcpListener,
    address: SocketAddr,
}

impl Webhooks {
    /// Takes the port.
    pub async fn bind(listen: SocketAddr) -> Result<Self, Error> {
        let failed = |error: std::io::Error| Error::Configuration(format!("cannot listen on {listen}: {error}"));
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `shutdown` resolves.
    pub async fn serve(
        self,
        treasury: Treasury,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), Error> {
        let FiatGateway::Tilli(tilli) = &treasury.gateway;
        let mut router = Router::new();
        if let Some(path) = tilli.webhook_path() {
            router = router.route(path, post(tilli_hook));
        }
        let router = router.layer(DefaultBodyLimit::max(MOST_BYTES)).with_state(treasury);
        let served = axum::serve(self.listener, router).with_graceful_shutdown(shutdown).await;
        served.map_err(|error| Error::Configuration(format!("webhooks: {error}")))
    }
}

async fn tilli_hook(State(treasury): State<Treasury>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let FiatGateway::Tilli(tilli) = &treasury.gateway;
    let signature = tilli.signature_header().and_then(|name| headers.get(name)).and_then(|value| value.to_str().ok());
    let event = match tilli.event(signature, &body) {
        Ok(event) => event,
        Err(error) => {
            warn!(%error, "a webhook is not believed");
            return StatusCode::UNAUTHORIZED;
        }
    };
    // Kept for whoever asks later what we were told and when. Nothing is booked on it.
    let kept = json!({
        "of": "webhook", "kind": event.kind, "transaction": event.transaction.as_ref().map(|id| id.as_str()),
        "request": event.request.map(|id| id.to_string()), "word": event.word, "amount": event.amount.map(|units| units.0.to_string()),
    });
    let stored = async {
        let mut tx = treasury.begin().await?;
        let recorded =
            store::receipts::record(&mut tx, treasury.gateway.name(), event.id.as_str(), "webhook", &kept).await?;
        if recorded.news {
            store::receipts::set_aside(&mut tx, recorded.id, "irrelevant", "a hint").await?;
            if let Some(request) = event.request {
                store::treasury::forget_asked(&mut tx, treasury.gateway.name(), &request.to_string()).await?;
            }
        }
        crate::commit(tx).await?;
        Ok::<_, Error>(recorded.news)
    };
    match stored.await {
        Ok(news) => {
            info!(kind = event.kind, news, "a webhook");
            treasury.bell.notify_one();
            StatusCode::OK
        }
        Err(error) => {
            warn!(%error, "a webhook cannot be stored: it will be sent again");
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}
