//! What an operator does: schema, chain, tenants, keys.

use crate::Error;
use crate::config::{ChainConfig, Config, MintConfig, MintKind, Network, SolanaConfig};
use alloy::providers::Provider;
use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{Address, B256};
use chain::Chain;
use chain::evm::Evm;
use chain::solana::instructions::Gate;
use chain::solana::{Keypair, Solana};
use chain::tempo::Tempo;
use clap::builder::TypedValueParser;
use domain::money::TOKEN_DECIMALS;
use domain::scope::Scope;
use std::collections::BTreeSet;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use store::Store;
use store::api_keys::ApiKey;
use store::chain::{ChainKind, Deployed};
use terms::abi::{IERC20, IMintGate, ISettlementGate};
use terms::solana::token_program;
use terms::{Account, Pubkey};
use uuid::Uuid;

/// Where a mint's account has its decimals.
const MINT_DECIMALS_AT: usize = 44;

/// Brings the schema up to date and makes the chain known, after checking that escrow and token are there.
pub async fn migrate(config: &Config) -> Result<(), Error> {
    let store = Store::connect(&config.database_url, 2).await?;
    store.migrate().await?;
    let (name, settings) = config.chain()?;
    migrate_evm(&store, name, settings).await?;
    if let Some((name, settings)) = config.tempo() {
        migrate_evm(&store, name, settings).await?;
    }
    if let Some(settings) = &config.solana {
        migrate_solana(&store, settings).await?;
    }
    store.close().await;
    Ok(())
}

async fn migrate_evm(store: &Store, name: &str, settings: &ChainConfig) -> Result<(), Error> {
    let chain = Evm::connect(&settings.rpc_url, settings.id, None).await?;
    check_contracts(&chain, settings).await?;
    let tags = chain.tags().await?;
    let start =
        chain.block(tags.final_).await?.ok_or_else(|| Error::Config("the node has no finalized block".into()))?;
    let deployed = Deployed {
        chain: settings.id,
        name: name.to_owned(),
        kind: match settings.network {
            Network::Ethereum => ChainKind::Evm,
            Network::Tempo => ChainKind::Tempo,
        },
        genesis_hash: chain.genesis().await?,
        escrow: settings.escrow.into(),
        token: settings.token.into(),
        token_2022: false,
        settler: settings.gate.into(),
        gate: settings.gate.into(),
        settle_tier: settings.settle_at,
    };
    let mut tx = store.begin().await?;
    store::chain::put(&mut tx, &deployed, &start.header).await?;
    if let Some(mint) = &settings.mint {
        let gate = store::mints::Gate {
            chain: settings.id,
            rail: mint.rail.clone(),
            kind: mint.kind.kind(),
            address: mint.gate.into(),
            threshold: mint.threshold,
            // By address, as the gate wants their signatures, and each once.
            attestors: BTreeSet::from_iter(mint.attestors.iter().copied()).into_iter().map(Into::into).collect(),
        };
        store::mints::put_gate(&mut tx, &gate).await?;
    }
    Ok(tx.commit().await?)
}

async fn migrate_solana(store: &Store, settings: &SolanaConfig) -> Result<(), Error> {
    let chain = connect_solana(settings, None).await?;
    check_programs(&chain, settings).await?;
    let tags = chain.tags().await?;
    let start = chain.blocks().from(tags.final_).await?;
    let start = start.ok_or_else(|| Error::Config("the Solana node has no finalized block".into()))?;
    let deployed = Deployed {
        chain: chain.id(),
        name: "solana".to_owned(),
        kind: ChainKind::Solana,
        genesis_hash: chain.genesis().await?,
        escrow: settings.program.into(),
        token: settings.mint.into(),
        token_2022: false,
        settler: Gate::at(settings.gate)?.settler.into(),
        gate: settings.gate.into(),
        settle_tier: settings.settle_at,
    };
    let mut tx = store.begin().await?;
    store::chain::put(&mut tx, &deployed, &start.header).await?;
    Ok(tx.commit().await?)
}

/// Connects to the configured node of the cluster that this program was built for.
pub async fn connect_solana(settings: &SolanaConfig, keys: impl IntoIterator<Item = Keypair>) -> Result<Solana, Error> {
    Ok(Solana::connect(&settings.rpc_url, escrow_interface::CHAIN, keys).await?)
}

/// Connects to the configured node of Tempo.
pub async fn connect_tempo(
    settings: &ChainConfig,
    keys: impl IntoIterator<Item = PrivateKeySigner>,
) -> Result<Tempo, Error> {
    let fee_token = settings.fee_token.ok_or_else(|| Error::Config("no token pays the fees on Tempo".into()))?;
    Ok(Tempo::connect(&settings.rpc_url, settings.id, keys, fee_token).await?)
}

async fn check_programs(chain: &Solana, settings: &SolanaConfig) -> Result<(), Error> {
    let wrong = |what: String| Error::Config(format!("{what} on Solana"));
    let SolanaConfig { program, gate, mint, .. } = *settings;
    let found = chain.rpc().accounts(&[program, gate, mint]).await?;
    let [escrow, settlement, token] = found.as_slice() else { return Err(wrong("the node does not answer".into())) };
    for (what, address, found) in [("escrow", program, escrow), ("gate", gate, settlement)] {
        if !found.as_ref().is_some_and(|account| account.executable) {
            return Err(wrong(format!("there is no program at the {what}'s address {address}")));
        }
    }
    let token = token.as_ref().filter(|account| account.owner == token_program(false));
    let token = token.ok_or_else(|| wrong(format!("{mint} is no mint of the token program")))?;
    match token.data.get(MINT_DECIMALS_AT) {
        Some(decimals) if u32::from(*decimals) == TOKEN_DECIMALS => Ok(()),
        _ => Err(wrong(format!("{mint} is no mint with {TOKEN_DECIMALS} decimals"))),
    }
}

async fn check_contracts(chain: &Evm, settings: &ChainConfig) -> Result<(), Error> {
    let node = chain.provider();
    let wrong = |what: &str| Error::Config(format!("{what} on chain {}", settings.id));
    let fee_token = settings.fee_token.map(|token| ("fee token", token));
    let contracts = [("escrow", settings.escrow), ("gate", settings.gate), ("token", settings.token)];
    for (what, address) in contracts.into_iter().chain(fee_token) {
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
    if let Some(mint) = &settings.mint {
        check_mint_gate(chain, settings, mint).await?;
    }
    match chain.read(settings.token, &IERC20::decimalsCall {}).await {
        Ok(decimals) if u32::from(decimals) == TOKEN_DECIMALS => Ok(()),
        Ok(decimals) => Err(wrong(&format!("the token has {decimals} decimals, must have {TOKEN_DECIMALS}"))),
        Err(_) => Err(wrong("the token does not say how many decimals it has")),
    }
}

/// The gate in the configuration is the one that the settlement gate knows, of that kind, for the invoices' token, and wants
/// no fewer signatures than are gathered for it.
async fn check_mint_gate(chain: &Evm, settings: &ChainConfig, mint: &MintConfig) -> Result<(), Error> {
    let wrong = |what: String| Error::Config(format!("{what} on chain {}", settings.id));
    let known = match mint.kind {
        MintKind::Mint => chain.read(settings.gate, &ISettlementGate::MINT_GATECall {}).await,
        MintKind::Float => chain.read(settings.gate, &ISettlementGate::FLOAT_GATECall {}).await,
    };
    match known {
        Ok(known) if known == mint.gate => {}
        Ok(known) => {
            return Err(wrong(format!(
                "the settlement gate knows {known} and not {} as its {:?} gate",
                mint.gate, mint.kind
            )));
        }
        Err(_) => return Err(wrong("the settlement gate does not say which mint gate it knows".to_owned())),
    }
    match chain.read(mint.gate, &IMintGate::TOKENCall {}).await {
        Ok(token) if token == settings.token => {}
        Ok(token) => {
            return Err(wrong(format!(
                "the gate {} is of token {token}, invoices are in {}",
                mint.gate, settings.token
            )));
        }
        Err(_) => return Err(wrong(format!("{} does not say which token it is of", mint.gate))),
    }
    match chain.read(mint.gate, &IMintGate::thresholdCall {}).await {
        Ok(threshold) if u32::from(threshold) == mint.threshold => Ok(()),
        Ok(threshold) => {
            Err(wrong(format!("the gate wants {threshold} signatures, the configuration says {}", mint.threshold)))
        }
        Err(_) => Err(wrong(format!("{} does not say how many signatures it wants", mint.gate))),
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
    /// Where the enterprise is paid on Solana; without it its invoices cannot be paid there.
    #[arg(long, requires = "solana_unclaimed")]
    pub solana_payee: Option<Pubkey>,
    /// The same account for unclaimed money on Solana. Where the customer's own wallet is not known, all that goes back goes there.
    #[arg(long, requires = "solana_payee")]
    pub solana_unclaimed: Option<Pubkey>,
    /// Where the enterprise is paid on Tempo; without it its invoices cannot be paid there.
    #[arg(long, requires = "tempo_unclaimed")]
    pub tempo_payee: Option<Address>,
    /// The same account for unclaimed money on Tempo. Where the customer's own wallet is not known, all that goes back goes there.
    #[arg(long, requires = "tempo_payee")]
    pub tempo_unclaimed: Option<Address>,
    /// Set the enterprise up without allowing it to issue invoices.
    #[arg(long)]
    pub unverified: bool,
    /// What the key may do; may be given again. Everything if it is not given.
    #[arg(long = "scope", value_name = "SCOPE", value_parser = scope())]
    pub scopes: Vec<Scope>,
}

/// Looks after a tenant's API keys.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum KeyCommand {
    /// Make a new key and print it, once.
    Create {
        /// Whose.
        #[arg(long)]
        tenant: String,
        /// What it is for, so that one knows later.
        #[arg(long)]
        label: String,
        /// What it may do; may be given again. Everything if it is not given.
        #[arg(long = "scope", value_name = "SCOPE", value_parser = scope())]
        scopes: Vec<Scope>,
    },
    /// List the keys of a tenant. The keys themselves are stored nowhere.
    List {
        /// Whose.
        #[arg(long)]
        tenant: String,
    },
    /// Make a key worth nothing, from the next request on.
    Revoke {
        /// Whose.
        #[arg(long)]
        tenant: String,
        /// Which, as `monay key list` names it.
        id: Uuid,
    },
}

fn scope() -> impl clap::builder::TypedValueParser<Value = Scope> {
    let words = Scope::ALL.iter().map(|scope| scope.as_str());
    clap::builder::PossibleValuesParser::new(words).try_map(|word| word.parse::<Scope>())
}

fn or_all(scopes: &[Scope]) -> &[Scope] {
    if scopes.is_empty() { Scope::ALL } else { scopes }
}

/// Sets a tenant up and returns a new API key for it. The key is stored nowhere: it is shown once.
pub async fn tenant(config: &Config, args: &TenantArgs) -> Result<String, Error> {
    let elsewhere = [
        (ChainKind::Solana, args.solana_payee.map(Account::Solana).zip(args.solana_unclaimed.map(Account::Solana))),
        (ChainKind::Tempo, args.tempo_payee.map(Account::Evm).zip(args.tempo_unclaimed.map(Account::Evm))),
    ];
    let alike = |(_, accounts): &(ChainKind, Option<(Account, Account)>)| {
        accounts.is_some_and(|(payee, unclaimed)| payee == unclaimed)
    };
    if args.payee == args.unclaimed || elsewhere.iter().any(alike) {
        return Err(Error::Config(
            "payee and unclaimed must differ: what goes back must not look like a payment".into(),
        ));
    }
    let store = Store::connect(&config.database_url, 2).await?;
    let key = api::new_api_key()?;
    let mut tx = store.begin().await?;
    let mut tenant = store::tenants::NewTenant {
        id: &args.id,
        name: &args.name,
        verified: !args.unverified,
        chain: config.chain()?.1.id,
        payee: args.payee.into(),
        unclaimed: args.unclaimed.into(),
    };
    store::tenants::put(&mut tx, &tenant).await?;
    for (kind, accounts) in elsewhere {
        let Some((payee, unclaimed)) = accounts else { continue };
        let mirrors = store::chain::all(&mut tx).await?;
        let there = mirrors.iter().find(|mirror| mirror.deployed.kind == kind);
        let there = there.ok_or_else(|| {
            Error::Config(format!("{kind} is not in the database: configure it, and run `monay migrate` first"))
        })?;
        tenant = store::tenants::NewTenant { chain: there.deployed.chain, payee, unclaimed, ..tenant };
        store::tenants::put(&mut tx, &tenant).await?;
    }
    let hash = api::hash_api_key(&key);
    store::api_keys::put(&mut tx, &args.id, hash, "created by `monay tenant`", or_all(&args.scopes)).await?;
    tx.commit().await?;
    store.close().await;
    Ok(key)
}

/// What `monay key` prints: the new key, the list, or that it is done.
pub async fn key(config: &Config, command: &KeyCommand) -> Result<String, Error> {
    let store = Store::connect(&config.database_url, 2).await?;
    let mut tx = store.begin().await?;
    let printed = match command {
        KeyCommand::Create { tenant, label, scopes } => {
            let key = api::new_api_key()?;
            store::api_keys::put(&mut tx, tenant, api::hash_api_key(&key), label, or_all(scopes)).await?;
            key
        }
        KeyCommand::List { tenant } => {
            let keys = store::api_keys::list(&mut tx, tenant).await?;
            if keys.is_empty() {
                return Err(Error::Config(format!("there is no key of a tenant '{tenant}'")));
            }
            let head =
                "id                                    created     last used   revoked     scopes, label".to_owned();
            std::iter::once(head).chain(keys.iter().map(line)).collect::<Vec<_>>().join("\n")
        }
        KeyCommand::Revoke { tenant, id } => {
            if !store::api_keys::revoke(&mut tx, tenant, *id).await? {
                return Err(Error::Config(format!("tenant '{tenant}' has no key {id}: see `monay key list`")));
            }
            format!("{id} is revoked")
        }
    };
    tx.commit().await?;
    store.close().await;
    Ok(printed)
}

fn line(key: &ApiKey) -> String {
    let day = |day: Option<time::Date>| day.map_or("-".to_owned(), |day| day.to_string());
    let (created, used, revoked) =
        (Some(key.created_at.date()), key.last_used_on, key.revoked_at.map(|revoked| revoked.date()));
    let scopes: Vec<_> = key.scopes.iter().map(|scope| scope.as_str()).collect();
    let (created, used, revoked) = (day(created), day(used), day(revoked));
    format!("{}  {created:<10}  {used:<10}  {revoked:<10}  {}, {}", key.id, scopes.join(" "), key.label)
}

/// Writes a private key to a new file that only its owner can read.
pub fn write_key(path: &Path, key: B256) -> Result<(), Error> {
    write_secret(path, &alloy_primitives::hex::encode(key))
}

/// Writes a line that nobody else may read into a new file.
pub(crate) fn write_secret(path: &Path, secret: &str) -> Result<(), Error> {
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(Error::file(path))?;
    writeln!(file, "{secret}").map_err(Error::file(path))
}

/// Reads a private key. Refuses a file that others can read.
pub fn read_key(path: &Path) -> Result<PrivateKeySigner, Error> {
    let key = read_secret(path)?.trim().parse();
    key.map_err(|_| Error::Config(format!("{} holds no private key of 64 hex digits", path.display())))
}

/// Reads a private key for Solana. Refuses a file that others can read.
pub fn read_solana_key(path: &Path) -> Result<Keypair, Error> {
    let key = read_secret(path)?.parse();
    key.map_err(|why: chain::solana::keypair::NotAKey| Error::Config(format!("{} holds {why}", path.display())))
}

/// Reads where statements come from. There are keys of providers in it: refuses a file that others can read, and says of what
/// is wrong no more than where.
pub fn read_sources(path: &Path) -> Result<fiat::sources::Sources, Error> {
    let text = read_secret(path)?;
    toml::from_str(&text).map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        Error::Config(format!("{}, line {line}: {}", path.display(), error.message()))
    })
}

fn read_secret(path: &Path) -> Result<String, Error> {
    let mode = std::fs::metadata(path).map_err(Error::file(path))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(Error::Config(format!("{} can be read by others: run `chmod 600 {0}`", path.display())));
    }
    std::fs::read_to_string(path).map_err(Error::file(path))
}
