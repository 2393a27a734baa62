//! Anvil: an Ethereum node for one machine.

use std::ops::Deref;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use alloy::primitives::{Address, B256, address, b256};
use serde_json::json;

use crate::process::{Guarded, blocking, stop};
use crate::{Error, Node, Progress, tools};

/// How long Anvil may take to listen.
const PATIENCE: Duration = Duration::from_secs(30);

/// When blocks are made. Never at each transaction: that collapses under a backlog, and no chain is like it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mining {
    /// At every interval, whether there is anything to put in or not.
    Interval(Duration),
    /// Only by [`Node::mine`].
    Manual,
}

/// Whose rules a chain has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// Ethereum's, which are Base's.
    Ethereum,
    /// Tempo's, as of the newest of its upgrades that Anvil knows. Without saying so Anvil takes the first, in which gas is
    /// cheap and a paused token can be minted.
    Tempo,
}

/// Which chain.
#[derive(Clone, Debug)]
pub struct AnvilOptions {
    /// Its rules.
    pub rules: Rules,
    /// The chain id; 8453 is Base, 42431 Tempo's test network.
    pub chain_id: u64,
    /// When blocks are made.
    pub mining: Mining,
    /// A TCP port on 127.0.0.1; without it any that is free.
    pub port: Option<u16>,
    /// Gas per block.
    pub gas_limit: u64,
    /// How many blocks `safe` is behind `latest`, and `finalized` behind `safe`.
    pub epoch: u64,
    /// More arguments for `anvil`.
    pub arguments: Vec<String>,
    /// Who is told what is being done.
    pub progress: Progress,
}

impl Default for AnvilOptions {
    fn default() -> Self {
        Self {
            rules: Rules::Ethereum,
            chain_id: 8453,
            mining: Mining::Interval(Duration::from_secs(1)),
            port: None,
            gas_limit: 1_000_000_000,
            epoch: 1,
            arguments: Vec::new(),
            progress: Progress::default(),
        }
    }
}

impl AnvilOptions {
    /// A chain that stands still until it is told to mine.
    pub fn manual() -> Self {
        Self { mining: Mining::Manual, ..Self::default() }
    }

    /// Tempo.
    pub fn tempo() -> Self {
        Self { rules: Rules::Tempo, chain_id: 42431, ..Self::default() }
    }
}

/// A running Anvil; everything that a [`Node`] can do. It is stopped when this is stopped or dropped.
#[derive(Debug)]
pub struct Anvil {
    node: Node,
    server: Guarded,
}

impl Anvil {
    /// Starts it and waits until it answers.
    pub async fn start(options: AnvilOptions) -> Result<Self, Error> {
        let progress = options.progress.clone();
        progress.say(&format!("starting Anvil, chain id {}", options.chain_id));
        let chain_id = options.chain_id;
        let (server, port) = blocking(move || launch(&options)).await?;
        let anvil = Self { node: Node::at(&format!("http://127.0.0.1:{port}"))?, server };
        let answer = anvil.chain_id().await?;
        if answer != chain_id {
            let why = format!("it says that its chain id is {answer}");
            return Err(Error::NotStarted { what: "anvil".into(), why });
        }
        anvil.rpc("anvil_setLoggingEnabled", json!([false])).await?;
        progress.say(&format!("Anvil is ready at {}", anvil.rpc_url()));
        Ok(anvil)
    }

    /// Its node: a handle that can be cloned and does not keep it running.
    pub fn node(&self) -> &Node {
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

impl Deref for Anvil {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.node
    }
}

fn launch(options: &AnvilOptions) -> Result<(Guarded, u16), Error> {
    let program = tools::anvil_path()?;
    let mut server = Guarded::new(&std::env::temp_dir(), "monay-anvil")?;
    let mut command = Command::new(program);
    command
        .args(["--host", "127.0.0.1"])
        .args(["--slots-in-an-epoch", &options.epoch.to_string()])
        .args(["--port", &options.port.unwrap_or(0).to_string()])
        .args(["--chain-id", &options.chain_id.to_string()])
        .args(["--gas-limit", &options.gas_limit.to_string()])
        // Else states of old blocks are written below the home directory.
        .arg("--cache-path")
        .arg(server.directory())
        .current_dir(server.directory())
        .stdin(Stdio::null());
    if options.rules == Rules::Tempo {
        command.args(["--network", "tempo", "--hardfork", "T4"]);
    }
    match options.mining {
        Mining::Interval(interval) => {
            let (seconds, millis) = (interval.as_secs(), interval.subsec_millis());
            command.args(["--block-time", &format!("{seconds}.{millis:03}")])
        }
        Mining::Manual => command.arg("--no-mining"),
    };
    command.args(&options.arguments);

    let port = server.start_until("anvil", &mut command, PATIENCE, |line| {
        line.strip_prefix("Listening on ")?.rsplit(':').next()?.trim().parse().ok()
    })?;
    Ok((server, port))
}

/// An account that every Anvil gives 10,000 ether. Everybody knows these keys: they are worth nothing elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DevAccount {
    /// Its address.
    pub address: Address,
    /// Its private key.
    pub private_key: B256,
}

/// The first accounts of the mnemonic `test test test test test test test test test test test junk`.
pub const DEV_ACCOUNTS: [DevAccount; 10] = [
    DevAccount {
        address: address!("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"),
        private_key: b256!("0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"),
    },
    DevAccount {
        address: address!("0x70997970C51812dc3A010C7d01b50e0d17dc79C8"),
        private_key: b256!("0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"),
    },
    DevAccount {
        address: address!("0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"),
        private_key: b256!("0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a"),
    },
    DevAccount {
        address: address!("0x90F79bf6EB2c4f870365E785982E1f101E93b906"),
        private_key: b256!("0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6"),
    },
    DevAccount {
        address: address!("0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65"),
        private_key: b256!("0x47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a"),
    },
    DevAccount {
        address: address!("0x9965507D1a55bcC2695C58ba16FB37d819B0A4dc"),
        private_key: b256!("0x8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba"),
    },
    DevAccount {
        address: address!("0x976EA74026E726554dB657fA54763abd0C3a0aa9"),
        private_key: b256!("0x92db14e403b83dfe3df233f83dfa3a0d7096f21ca9b0d6d6b8d88b2b4ec1564e"),
    },
    DevAccount {
        address: address!("0x14dC79964da2C08b23698B3D3cc7Ca32193d9955"),
        private_key: b256!("0x4bbbf85ce3377467afe5d46f804f221813b2bb87f24d81f60f1fcdbf7cbf4356"),
    },
    DevAccount {
        address: address!("0x23618e81E3f5cdF7f54C3d65f7FBc0aBf5B21E8f"),
        private_key: b256!("0xdbda1821b80551c9d65939329250298aa3472ba22feea921c0cf5d620ea67b97"),
    },
    DevAccount {
        address: address!("0xa0Ee7A142d267C1f36714E4a8F75612F20a79720"),
        private_key: b256!("0x2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6"),
    },
];
