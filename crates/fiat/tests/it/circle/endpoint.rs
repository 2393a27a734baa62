//! Where notifications come to: a server that keeps what it is sent.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

#[derive(Default)]
struct Kept {
    bodies: Vec<Vec<u8>>,
    /// How many more are sent away.
    refusals: usize,
}

pub(crate) struct Endpoint {
    pub(crate) url: String,
    kept: Arc<Mutex<Kept>>,
    server: JoinHandle<()>,
}

impl Endpoint {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/webhooks/circle", listener.local_addr().unwrap());
        let kept = Arc::new(Mutex::new(Kept::default()));
        let router = Router::new().fallback(keep).with_state(Arc::clone(&kept));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, kept, server }
    }

    /// What came since the last time.
    pub(crate) fn take(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.kept.lock().unwrap().bodies)
    }

    /// The next `count` are answered with 503.
    pub(crate) fn refuse(&self, count: usize) {
        self.kept.lock().unwrap().refusals = count;
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn keep(State(kept): State<Arc<Mutex<Kept>>>, method: Method, body: Bytes) -> StatusCode {
    let mut kept = kept.lock().unwrap();
    if method == Method::HEAD {
        return StatusCode::OK;
    }
    if kept.refusals > 0 {
        kept.refusals -= 1;
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    kept.bodies.push(body.to_vec());
    StatusCode::OK
}
