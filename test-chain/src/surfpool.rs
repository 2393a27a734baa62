//! Surfpool: a Solana network for one machine, with real JSON-RPC and WebSocket.

use std::ops::Deref;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::process::{Guarded, blocking, stop};
use crate::solana::SolanaNode;
use crate::{Error, Progress, tools};

/// How long Surfpool may take to listen.
const PATIENCE: Duration = Duration::from_secs(30);

const SCRIPT: &str = include_str!("../surfpool.cjs");

/// Which network.
#[derive(Clone, Debug)]
pub struct SurfpoolOptions {
    /// How long a slot takes. They come whether there is anything to put in or not.
    pub slot_time: Duration,
    /// Who is told what is being done.
    pub progress: Progress,
}

impl Default for SurfpoolOptions {
    fn default() -> Self {
        Self { slot_time: Duration::from_millis(400), progress: Progress::default() }
    }
}

impl SurfpoolOptions {
    /// A network in a hurry.
    pub fn for_tests() -> Self {
        Self { slot_time: Duration::from_millis(50), ..Self::default() }
    }
}

/// A running Surfpool; everything that a [`SolanaNode`] can do. It is stopped when this is stopped or dropped.
#[derive(Debug)]
pub struct Surfpool {
    node: SolanaNode,
    server: Guarded,
}

impl Surfpool {
    /// Starts it and waits until it answers.
    pub async fn start(options: SurfpoolOptions) -> Result<Self, Error> {
        let progress = options.progress.clone();
        progress.say("starting Surfpool, a local Solana network");
        let (server, rpc_url, ws_url) = blocking(move || launch(&options)).await?;
        let surfpool = Self { node: SolanaNode::at(&rpc_url, &ws_url)?, server };
        let version = surfpool.rpc("getVersion", ()).await?;
        if !version["surfnet-version"].is_string() {
            let why = format!("it says that its version is {version}");
            return Err(Error::NotStarted { what: "surfpool".into(), why });
        }
        // It answers before it has a block that anybody could be sure of.
        let details =
            json!({"commitment": "confirmed", "maxSupportedTransactionVersion": 0, "transactionDetails": "none"});
        while surfpool.rpc("getBlock", (surfpool.slot("confirmed").await?, &details)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        progress.say(&format!("Surfpool is ready at {rpc_url}"));
        Ok(surfpool)
    }

    /// Its node: a handle that can be cloned and does not keep it running.
    pub fn node(&self) -> &SolanaNode {
        &self.node
    }

    /// Its temporary directory.
    pub fn directory(&self) -> &Path {
        self.server.directory()
    }

    /// Its process id.
    pub fn pid(&self) -> Option<u32> {
        self.server.pid()
    }

    /// Stops it and waits until it is gone.
    pub async fn stop(self) {
        stop(self).await;
    }
}

impl Deref for Surfpool {
    type Target = SolanaNode;

    fn deref(&self) -> &SolanaNode {
        &self.node
    }
}

fn launch(options: &SurfpoolOptions) -> Result<(Guarded, String, String), Error> {
    let (node, module) = (tools::node_path()?, tools::surfpool_module()?);
    let mut server = Guarded::new(&std::env::temp_dir(), "monay-surfpool")?;
    let script = server.directory().join("surfpool.cjs");
    std::fs::write(&script, SCRIPT).map_err(Error::io("write a script"))?;
    let mut command = Command::new(node);
    command.arg(script).arg(module).arg(options.slot_time.as_millis().to_string());
    command.current_dir(server.directory()).stdin(Stdio::null());
    let (rpc, ws) = server.start_until("surfpool", &mut command, PATIENCE, |line| {
        let said: Value = serde_json::from_str(line).ok()?;
        Some((said["rpc"].as_str()?.to_owned(), said["ws"].as_str()?.to_owned()))
    })?;
    Ok((server, rpc, ws))
}
