//! Connections. Our own loop around hyper and not `axum::serve`, because that one lets a client take any time to send its
//! headers: a few hundred sockets that each send a byte a minute ("Slowloris") would hold every connection there is.

use crate::DRAIN;
use crate::limits::Gate;
use crate::metrics::Metrics;
use crate::problem::{Code, Problem};
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::future::Future;
use std::io::ErrorKind;
use std::pin::pin;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// How long the loop rests when the system has no socket for us.
const NO_SOCKET: Duration = Duration::from_millis(200);

/// Answers requests until `shutdown` is done, then finishes those that are under way, in at most [`DRAIN`].
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    gate: &Gate,
    metrics: &Metrics,
    shutdown: impl Future<Output = ()> + Send,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(gate.limits.header_ms))
        .max_header_size(gate.limits.hard_header_bytes());
    let full = full();
    let graceful = GracefulShutdown::new();
    // Dropped at the end, which cuts what is still open.
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {
                metrics.connections(connections.len());
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                rest(&error).await;
                continue;
            }
        };
        let Some(place) = gate.connection() else {
            // The send buffer of a new connection is empty and takes it whole.
            let _ = stream.try_write(&full);
            continue;
        };
        let service = TowerToHyperService::new(router.clone());
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
        connections.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended");
            }
            drop(place);
        });
        metrics.connections(connections.len());
    }
    drop(listener);
    tracing::info!(open = connections.len(), "the API is told to stop");
    if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
        tracing::warn!(seconds = DRAIN.as_secs(), "connections were still open and are cut");
    }
}

/// What a connection above the limit is told. The same whatever it sends: there is nothing to read, and nobody to wait for.
fn full() -> Vec<u8> {
    let body = Problem::new(Code::Overloaded, "Too many connections are open just now.").json();
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nContent-Length: {}\r\n\
         Retry-After: 1\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body].concat()
}

/// One connection that failed is nothing; no file descriptors left is worth a rest and a line in the log.
async fn rest(error: &std::io::Error) {
    use ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(error.kind(), ConnectionRefused | ConnectionAborted | ConnectionReset) {
        tracing::error!(%error, "no connection could be taken");
        tokio::time::sleep(NO_SOCKET).await;
    }
}
