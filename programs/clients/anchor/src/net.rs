//! Surfpool with the compiled programs on it, started by the script that the JavaScript client uses.

use anchor_client::{Client, Cluster, CommitmentConfig, Program};
use serde_json::Value;
use solana_keypair::Keypair;
use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    rc::Rc,
};

/// A running network. It ends with this.
pub struct Net {
    process: Child,
    cluster: Cluster,
    /// Pays fees, and has lamports enough.
    pub keeper: Rc<Keypair>,
}

impl Net {
    /// With the programs of the folder that `MONAY_PROGRAMS` names; else the committed ones.
    pub fn start() -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../net.cjs");
        let mut command = Command::new("node");
        command.arg(script).args(std::env::var_os("MONAY_PROGRAMS")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("node runs");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let said: Value =
            serde_json::from_str(&line).expect("net.cjs says where it listens: run npm ci in programs/clients");
        let url = |name: &str| said[name].as_str().expect("a URL").to_owned();
        let secret: Vec<u8> = serde_json::from_value(said["payer"].clone()).expect("a key");
        Self {
            process,
            cluster: Cluster::Custom(url("rpc"), url("ws")),
            keeper: Rc::new(Keypair::try_from(secret.as_slice()).expect("a key")),
        }
    }

    /// The escrow, called by the keeper.
    pub fn escrow(&self) -> Program<Rc<Keypair>> {
        let client = Client::new_with_options(self.cluster.clone(), self.keeper.clone(), CommitmentConfig::confirmed());
        client.program(crate::invoice_escrow::ID).expect("a client")
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
