//! What an operator does once: schema, chain, tenants, keys.

use crate::Error;
use crate::config::{ChainConfig, Config};
use alloy::providers::Provider;
use alloy_primitives::{Address, B256};
use chain::Chain;
use chain::evm::Evm;
use domain::money::TOKEN_DECIMALS;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use store::Store;
use store::chain::Deployed;
use terms::abi::{IERC20, ISettlementGate};

/// Brings the schema up to date and makes the chain known, after checking that escrow and token are there.
pub async fn migrate(config: &Config) -> Result<(), Error> {
    let store = Store::connect(&config.database_url, 2).await?;
    store.migrate().await?;
    let (name, settings) = config.chain()?;
    let chain = Evm::connect(&settings.rpc_url, settings.id, None).await?;
    check_contracts(&chain, settings).await?;
    let tags = chain.tags().await?;
    let start =
        chain.block(tags.final_).await?.ok_or_else(|| Error::Config("the node has no finalized block".into()))?;
    let deployed = Deployed {
        chain: settings.id,
        name: name.to_owned(),
        genesis_hash: chain.genesis().await?,
        escrow: settings.escrow,
        token: settings.token,
        settler: settings.gate,
        settle_tier: settings.settle_at,
    };
    let mut tx = store.begin().await?;
    store::chain::put(&mut tx, &deployed, &start.header).await?;
    tx.commit().await?;
    store.close().await;
    Ok(())
}

async fn check_contracts(chain: &Evm, settings: &ChainConfig) -> Result<(), Error> {
    let node = chain.provider();
    let wrong = |what: &str| Error::Config(format!("{what} on chain {}", settings.id));
    for (what, address) in [("escrow", settings.escrow), ("gate", settings.gate), ("token", settings.token)] {
        let code = node.get_code_at(address).await.map_err(|_| wrong("the node does not answer"))?;
        if code.is_empty() {
            return Err(wrong(&format!("there is no contract at the {what} address {address}")));
        }
    }
    match chain.read(settings.gate, &ISettlementGate::ESCROWCall {}).await {
        Ok(escrow) if escrow == settings.escrow => {}
        Ok(escrow) => return Err(wrong(&format!("the gate settles at {escrow}, not at {}", settings.escrow))),
        Err(_) => return Err(wrong("the gate does not say where it settles")),
    }
    match chain.read(settings.token, &IERC20::decimalsCall {}).await {
        Ok(decimals) if u32::from(decimals) == TOKEN_DECIMALS => Ok(()),
        Ok(decimals) => Err(wrong(&format!("the token has {decimals} decimals, must have {TOKEN_DECIMALS}"))),
        Err(_) => Err(wrong("the token does not say how many decimals it has")),
    }
}

/// The schema of the live database, as Markdown.
pub async fn schema(config: &Config) -> Result<String, Error> {
    let store = Store::connect(&config.database_url, 1).await?;
    let mut db = store.snapshot().await?;
    let schema = store::schema::describe(&mut db).await?;
    drop(db);
    store.close().await;
    Ok(schema.to_string())
}

/// A tenant to be set up.
#[derive(Clone, Debug, clap::Args)]
pub struct TenantArgs {
    /// Its id: lower-case letters, digits, - and _.
    #[arg(long)]
    pub id: String,
    /// The enterprise's name, as customers see it.
    #[arg(long)]
    pub name: String,
    /// Where the enterprise is paid.
    #[arg(long)]
    pub payee: Address,
    /// The account for money that cannot be sent back to anyone else; must not be the payee.
    #[arg(long)]
    pub unclaimed: Address,
    /// Set the enterprise up without allowing it to issue invoices.
    #[arg(long)]
    pub unverified: bool,
}

/// Sets a tenant up and returns a new API key for it. The key is stored nowhere: it is shown once.
pub async fn tenant(config: &Config, args: &TenantArgs) -> Result<String, Error> {
    if args.payee == args.unclaimed {
        return Err(Error::Config(
            "payee and unclaimed must differ: what goes back must not look like a payment".into(),
        ));
    }
    let store = Store::connect(&config.database_url, 2).await?;
    let key = api::new_api_key()?;
    let mut tx = store.begin().await?;
    let tenant = store::tenants::NewTenant {
        id: &args.id,
        name: &args.name,
        verified: !args.unverified,
        chain: config.chain()?.1.id,
        payee: args.payee,
        unclaimed: args.unclaimed,
    };
    store::tenants::put(&mut tx, &tenant).await?;
    store::tenants::put_key(&mut tx, &args.id, api::hash_api_key(&key), "created by `monay tenant`").await?;
    tx.commit().await?;
    store.close().await;
    Ok(key)
}

/// Writes a private key to a new file that only its owner can read.
pub fn write_key(path: &Path, key: B256) -> Result<(), Error> {
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(Error::file(path))?;
    writeln!(file, "{}", alloy_primitives::hex::encode(key)).map_err(Error::file(path))
}

/// Reads a private key. Refuses a file that others can read.
pub fn read_key(path: &Path) -> Result<alloy::signers::local::PrivateKeySigner, Error> {
    let mode = std::fs::metadata(path).map_err(Error::file(path))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(Error::Config(format!("{} can be read by others: run `chmod 600 {0}`", path.display())));
    }
    let text = std::fs::read_to_string(path).map_err(Error::file(path))?;
    let key = text.trim().parse();
    key.map_err(|_| Error::Config(format!("{} holds no private key of 64 hex digits", path.display())))
}
