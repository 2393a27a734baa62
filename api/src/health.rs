//! Whether the process lives, and whether it can do its work.

use crate::problem::{Code, Problem};
use crate::{App, clock, patiently};
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// The process lives.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`
    status: &'static str,
    /// The program's version.
    version: &'static str,
}

/// The process can do its work.
#[derive(Serialize, ToSchema)]
pub(crate) struct Ready {
    /// `ready`
    status: &'static str,
    /// The mirror of the chain.
    chain: Chain,
}

/// How far the mirror of a chain is.
#[derive(Serialize, ToSchema)]
struct Chain {
    /// Chain id.
    chain_id: u64,
    /// What people call it.
    name: String,
    /// The highest block.
    block: u64,
    /// The highest safe block.
    safe_block: u64,
    /// The highest final block.
    final_block: u64,
    /// How far the mirror's highest block is behind the wall clock.
    lag_seconds: u64,
}

/// Whether the process lives
///
/// Always answered, however much there is to do.
#[utoipa::path(get, path = "/health", tag = "Operation", responses((status = 200, description = "It lives", body = Health)))]
pub(crate) async fn health() -> Json<Health> {
    Json(Health { status: "ok", version: env!("CARGO_PKG_VERSION") })
}

/// Whether the process can do its work
///
/// The database answers, its schema is one this program knows, and the chain is set up. How far behind its mirror is, is
/// for the reader to judge.
#[utoipa::path(get, path = "/ready", tag = "Operation", responses((status = 200, description = "It can", body = Ready)))]
pub(crate) async fn ready(State(app): State<Arc<App>>) -> Result<Json<Ready>, Problem> {
    let (known, there) = (store::migrations::known_version(), patiently(app.store.schema_version()).await?);
    if there < known {
        let detail = format!("The database is at migration {there}, this program needs {known}: run `monay migrate`.");
        return Err(Problem::new(Code::SchemaOutdated, detail));
    }
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
