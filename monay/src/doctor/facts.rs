//! Everything that is looked at, read once: the files, the node, Postgres, the clocks.

use crate::config::{ChainConfig, Config};
use crate::setup;
use alloy::providers::Provider;
use alloy_primitives::{Address, B256, U256};
use chain::evm::Evm;
use chain::{Chain, Fees, Tags};
use keeper::Duty;
use std::path::Path;
use std::time::Duration;
use store::Store;
use store::chain::Mirror;
use store::diagnosis::{self, Held, Nonces, Patience, Stuck};
use terms::abi::ISettlementGate::ESCROWCall;
use time::OffsetDateTime;

/// How long is too long. A block of Base takes two seconds, a settlement a few.
pub(super) const PATIENCE: Patience = Patience {
    waiting: Duration::from_secs(60),
    in_flight: Duration::from_secs(180),
    overdue: Duration::from_secs(300),
    deferrals: 5,
};

/// Why something is not known.
pub(super) type Known<T> = Result<T, String>;

/// All of it.
pub(crate) struct Facts {
    pub(super) configured: ChainConfig,
    /// The vault's root key: a key sealed and opened again.
    pub(super) vault: Known<()>,
    /// The keeper's and the coordinator's keys.
    pub(super) signers: Vec<(Duty, Known<Signer>)>,
    pub(super) node: Known<NodeFacts>,
    pub(super) database: Known<Database>,
    /// How far this machine's clock is ahead of Postgres's, seconds.
    pub(super) machine_now: OffsetDateTime,
}

/// A key that sends.
pub(super) struct Signer {
    pub(super) account: Address,
    pub(super) has_role: Known<bool>,
    /// Wei.
    pub(super) balance: Known<U256>,
    /// How many of its transactions are in blocks.
    pub(super) nonce: Known<u64>,
    /// What Postgres has of it; `None`: it has never run on this database.
    pub(super) nonces: Known<Option<Nonces>>,
    /// Whether a process uses it, and what waits for it.
    pub(super) held: Known<Held>,
}

/// What the node says.
pub(super) struct NodeFacts {
    pub(super) genesis: B256,
    pub(super) tags: Tags,
    /// The finalized block's time, unix seconds.
    pub(super) final_timestamp: u64,
    pub(super) fees: Fees,
    /// Whether there is code at: escrow, gate, token.
    pub(super) code: [(&'static str, Address, bool); 3],
    /// Where the gate settles.
    pub(super) gate_escrow: Option<Address>,
}

/// What Postgres says.
pub(super) struct Database {
    pub(super) clock: OffsetDateTime,
    /// Applied, and ours.
    pub(super) migrations: Known<(Vec<i64>, Vec<i64>)>,
    pub(super) mirror: Known<Mirror>,
    pub(super) stuck: Known<Stuck>,
}

impl Facts {
    /// Reads all there is; what cannot be read is noted as that.
    pub(super) async fn read(config: &Config) -> Self {
        // Checked when it was loaded: there is exactly one that all invoices can be paid on.
        let configured = config.chain().map(|(_, chain)| chain.clone()).unwrap_or_else(|_| ChainConfig {
            id: 0,
            rpc_url: String::new(),
            escrow: Address::ZERO,
            token: Address::ZERO,
            gate: Address::ZERO,
            settle_at: domain::tier::Tier::Seen,
            mint: None,
            network: crate::config::Network::Ethereum,
            fee_token: None,
        });
        let evm = Evm::connect(&configured.rpc_url, configured.id, None).await.map_err(|error| error.to_string());
        let mut signers = Vec::new();
        for duty in [Duty::Settle, Duty::Cancel] {
            let files = &config.keeper(duty).1.key_files;
            if files.is_empty() {
                let section = section(duty);
                signers.push((duty, Err(format!("`{section}.key_files` is not set: the {section} needs it"))));
            }
            for file in files {
                signers.push((duty, signer(file, duty, &configured, &evm).await));
            }
        }
        let node = match &evm {
            Ok(evm) => node(evm, &configured).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.clone()),
        };
        let database = database(config, &configured, &mut signers).await;
        let machine_now = OffsetDateTime::now_utc();
        Self { vault: vault(config), configured, signers, node, database, machine_now }
    }
}

/// Opens what it has just sealed: no customer's key is touched, because only the API opens those.
fn vault(config: &Config) -> Known<()> {
    let file = config.vault.root_key_file.as_deref().ok_or("`vault.root_key_file` is not set: the API needs it")?;
    let sealed_and_opened = || {
        let vault = vault::Vault::new(&vault::RootKey::load(file)?);
        let sealed = vault.seal_new("doctor")?;
        let opened = vault.open("doctor", &sealed.nonce, &sealed.ciphertext)?;
        if vault::address_of(&opened) == sealed.address { Ok(()) } else { Err(vault::Error::Open) }
    };
    sealed_and_opened().map_err(|error| error.to_string())
}

async fn signer(file: &Path, duty: Duty, chain: &ChainConfig, evm: &Known<Evm>) -> Known<Signer> {
    let account = setup::read_key(file).map_err(|error| error.to_string())?.address();
    let (nonces, held) = (Err("Postgres was not asked".to_owned()), Err("Postgres was not asked".to_owned()));
    let evm = match evm {
        Ok(evm) => evm,
        Err(error) => {
            let (has_role, balance, nonce) = (Err(error.clone()), Err(error.clone()), Err(error.clone()));
            return Ok(Signer { account, has_role, balance, nonce, nonces, held });
        }
    };
    let (has_role, balance, nonce) = tokio::join!(
        evm.may_call(chain.gate, duty.selector(), account),
        evm.provider().get_balance(account),
        evm.nonce(account.into())
    );
    Ok(Signer {
        account,
        has_role: has_role.map_err(|error| error.to_string()),
        balance: balance.map_err(|error| evm.failed(&error).to_string()),
        nonce: nonce.map_err(|error| error.to_string()),
        nonces,
        held,
    })
}

/// The configuration's section, which is also the service's name.
pub(super) const fn section(duty: Duty) -> &'static str {
    match duty {
        Duty::Settle => "keeper",
        Duty::Cancel => "coordinator",
    }
}

async fn node(evm: &Evm, chain: &ChainConfig) -> Result<NodeFacts, chain::Error> {
    let (genesis, tags, fees) = tokio::try_join!(evm.genesis(), evm.tags(), evm.fees())?;
    let final_block = evm.block(tags.final_).await?;
    let mut code = [("escrow", chain.escrow, false), ("gate", chain.gate, false), ("token", chain.token, false)];
    for (_, address, there) in &mut code {
        let found = evm.provider().get_code_at(*address).await.map_err(|error| evm.failed(&error))?;
        *there = !found.is_empty();
    }
    let gate_escrow = evm.read(chain.gate, &ESCROWCall {}).await.ok();
    let final_timestamp = final_block.map_or(0, |block| block.header.timestamp);
    Ok(NodeFacts { genesis, tags, final_timestamp, fees, code, gate_escrow })
}

async fn database(config: &Config, chain: &ChainConfig, signers: &mut [(Duty, Known<Signer>)]) -> Known<Database> {
    let words = |error: store::Error| error.to_string();
    let store = Store::connect(&config.database_url, 1).await.map_err(words)?;
    let mut db = store.begin().await.map_err(words)?;
    let clock = diagnosis::clock(&mut db).await.map_err(words)?;
    // Each in a transaction of its own: where the schema is old, the first that fails would spoil the others.
    drop(db);
    let mut db = store.begin().await.map_err(words)?;
    let migrations = diagnosis::migrations(&mut db).await.map_err(words);
    drop(db);
    let mut db = store.begin().await.map_err(words)?;
    let mirror = store::chain::get(&mut db, chain.id).await.map_err(words);
    drop(db);
    let mut db = store.begin().await.map_err(words)?;
    let stuck = diagnosis::stuck(&mut db, chain.id, PATIENCE).await.map_err(words);
    drop(db);
    for (duty, signer) in signers.iter_mut().filter_map(|(duty, signer)| Some((*duty, signer.as_mut().ok()?))) {
        let mut db = store.begin().await.map_err(words)?;
        signer.held = diagnosis::held(&mut db, chain.id, signer.account.into(), duty.kinds()).await.map_err(words);
        drop(db);
        let Ok(nonce) = signer.nonce else { continue };
        let mut db = store.begin().await.map_err(words)?;
        signer.nonces = diagnosis::nonces(&mut db, chain.id, signer.account.into(), nonce).await.map_err(words);
    }
    store.close().await;
    Ok(Database { clock, migrations, mirror, stuck })
}
