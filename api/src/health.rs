//! Whether the process lives, and whether it can do its work.

use crate::problem::{Code, Problem};
use crate::{App, clock};
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use std::sync::Arc;

#[derive(Serialize)]
pub(crate) struct Health {
    status: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
pub(crate) struct Ready {
    status: &'static str,
    chain: Chain,
}

#[derive(Serialize)]
struct Chain {
    chain_id: u64,
    name: String,
    block: u64,
    safe_block: u64,
    final_block: u64,
    /// How far the mirror's highest block is behind the wall clock.
    lag_seconds: u64,
}

/// The process answers.
pub(crate) async fn health() -> Json<Health> {
    Json(Health { status: "ok", version: env!("CARGO_PKG_VERSION") })
}

/// Postgres answers and the chain is known. How far behind its mirror is, is for the reader to judge.
pub(crate) async fn ready(State(app): State<Arc<App>>) -> Result<Json<Ready>, Problem> {
    let mut tx = app.snapshot().await?;
    let mirror = match store::chain::get(&mut tx, app.chain).await {
        Err(error @ store::Error::Missing(_)) => return Err(Problem::new(Code::Unavailable, error.to_string())),
        mirror => mirror?,
    };
    let chain = Chain {
        chain_id: app.chain,
        name: mirror.deployed.name,
        block: mirror.heights.seen,
        safe_block: mirror.heights.safe,
        final_block: mirror.heights.final_,
        lag_seconds: clock::unix_now().saturating_sub(mirror.tip_timestamp),
    };
    Ok(Json(Ready { status: "ready", chain }))
}
