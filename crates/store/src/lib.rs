//! Postgres: the one source of truth off chain, and the only crate with SQL.
//!
//! Functions take a connection, so that a caller composes them into one transaction: an API call, a block, or a signed
//! transaction is committed whole or not at all. Statements are constants, and a test prepares each of them against the
//! migrated schema.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod api_keys;
pub mod attempts;
pub mod banks;
pub mod chain;
mod codec;
pub mod diagnosis;
pub mod events;
pub mod fault;
pub mod idempotency;
pub mod invoices;
pub mod keys;
pub mod leases;
pub mod ledger;
pub mod migrations;
pub mod mints;
pub mod orders;
pub mod projection;
pub mod quarantine;
pub mod rebuild;
pub mod receipts;
pub mod reconciliation;
pub mod repair;
pub mod schema;
pub mod suspense;
pub mod tenants;
pub mod token_rails;
pub mod treasury;
pub mod watch;
pub mod withdrawals;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPool, PgPoolOptions};
use std::str::FromStr;
use std::time::Duration;

pub use sqlx::PgConnection;

/// A transaction: dropped without [`Tx::commit`] it leaves no trace.
pub type Tx = sqlx::Transaction<'static, sqlx::Postgres>;

/// The channel on which new intents are announced.
pub const INTENTS_CHANNEL: &str = "monay_intents";

/// The channel on which orders to mint are announced, new ones and those of which something has become.
pub const ORDERS_CHANNEL: &str = "monay_orders";

/// What can go wrong here.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Postgres said no, or was not there.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("migration: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// A row holds something no program of ours writes.
    #[error("corrupt row: {0}")]
    Corrupt(String),
    /// The tenant already has an invoice with this number.
    #[error("the number '{0}' is already used by another invoice")]
    DuplicateNumber(String),
    /// A tenant, chain or payee that the request needs is not there.
    #[error("{0}")]
    Missing(String),
    /// The chain in the database is not the one in the configuration.
    #[error("{0}")]
    OtherChain(String),
    /// The limit of what may be asked for about one invoice.
    #[error("about this invoice {} things were asked for already, which is the most", orders::MAX_ASKED)]
    TooManyAsked,
    /// Somebody else may use this signer by now; nothing was signed.
    #[error("another process has the lease of signer {0} by now")]
    LeaseLost(terms::Account),
    /// The limit of answers that are kept for one pay link.
    #[error("{0} requests with an Idempotency-Key were answered under this pay link already, which is the most")]
    TooManyKeys(u64),
    /// An invoice's intents move faster than it can be looked at.
    #[error("what the keepers do for an invoice changes faster than it can be looked at")]
    Moving,
    /// Another entry is booked under the key.
    #[error("another '{}' is booked for {} {}", .0.kind, .0.source, .0.reference)]
    OtherEntry(domain::ledger::Key),
    /// Money that is not there is neither set aside nor sent.
    #[error("'{kind}' needs {short} more in {accounts}")]
    NotCovered {
        /// The entry.
        kind: domain::ledger::EntryKind,
        /// Where it is missing.
        accounts: String,
        /// How much is.
        short: domain::money::Units,
    },
    /// An event, or a decision, that cannot be.
    #[error(transparent)]
    Refused(#[from] domain::steps::Refusal),
    /// Somebody else has moved the chain's tip meanwhile.
    #[error("another indexer has moved the tip of chain {0}")]
    TipMoved(u64),
}

impl Error {
    /// Whether the same call may succeed a moment later: Postgres is away or overloaded, or two transactions met.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Database(sqlx::Error::Database(error)) => error.code().is_some_and(|code| {
                // A lock that was not had in time; connection, resources, operator's intervention; serialization and deadlock.
                code == "55P03" || ["08", "53", "57", "40"].iter().any(|class| code.starts_with(class))
            }),
            Self::Database(error) => matches!(
                error,
                sqlx::Error::Io(_)
                    | sqlx::Error::Tls(_)
                    | sqlx::Error::PoolTimedOut
                    | sqlx::Error::PoolClosed
                    | sqlx::Error::WorkerCrashed
            ),
            Self::TipMoved(_) | Self::Moving => true,
            _ => false,
        }
    }

    /// Whether the fault is in what was read or written, so that it concerns that alone and nothing else: a value that a
    /// rule of the database refuses, a row that makes no sense.
    pub fn is_of_the_data(&self) -> bool {
        match self {
            Self::Corrupt(_) | Self::Missing(_) => true,
            Self::Database(error) => {
                !self.is_temporary()
                    && matches!(
                        error,
                        sqlx::Error::Database(_) | sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_)
                    )
            }
            _ => false,
        }
    }
}

/// A pool of connections.
#[derive(Clone, Debug)]
pub struct Store {
    pool: PgPool,
}

impl Store {
    /// Connects to a Postgres URL with at most `connections` connections.
    pub async fn connect(url: &str, connections: u32) -> Result<Self, Error> {
        let options = PgConnectOptions::from_str(url)?.application_name("monay");
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(Duration::from_secs(10))
            .connect_with(options)
            .await?;
        Ok(Self { pool })
    }

    /// Begins a transaction.
    pub async fn begin(&self) -> Result<Tx, Error> {
        Ok(self.pool.begin().await?)
    }

    /// Begins a transaction in which nothing waits for anybody else's row longer than `patience`; then it fails with an error
    /// that is temporary.
    pub async fn begin_within(&self, patience: Duration) -> Result<Tx, Error> {
        let mut tx = self.pool.begin().await?;
        let millis = format!("{}ms", patience.as_millis());
        sqlx::query("SELECT set_config('lock_timeout', $1, TRUE)").bind(millis).execute(&mut *tx).await?;
        Ok(tx)
    }

    /// Begins a transaction that only reads, from one moment.
    pub async fn snapshot(&self) -> Result<Tx, Error> {
        let mut tx = self.pool.begin().await?;
        sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY").execute(&mut *tx).await?;
        Ok(tx)
    }

    /// Whether Postgres answers.
    pub async fn ping(&self) -> Result<(), Error> {
        sqlx::query("SELECT 1").execute(&self.pool).await?;
        Ok(())
    }

    /// Listens for announcements of new intents.
    pub async fn listen(&self) -> Result<PgListener, Error> {
        self.listen_to(INTENTS_CHANNEL).await
    }

    /// Listens to one of our channels.
    pub async fn listen_to(&self, channel: &str) -> Result<PgListener, Error> {
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.listen(channel).await?;
        Ok(listener)
    }

    /// The pool itself, for tests that look at rows.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// Declares SQL statements as constants and lists them for the test that prepares them all.
macro_rules! statements {
    ($($(#[$meta:meta])* $name:ident = $sql:expr;)+) => {
        $($(#[$meta])* const $name: &str = $sql;)+
        pub(crate) const STATEMENTS: &[(&str, &str)] = &[$((stringify!($name), $name),)+];
    };
}
pub(crate) use statements;

/// Every statement of this crate: its name and its text.
pub fn all_statements() -> impl Iterator<Item = (&'static str, &'static str)> {
    [
        api_keys::STATEMENTS,
        attempts::STATEMENTS,
        banks::STATEMENTS,
        chain::STATEMENTS,
        diagnosis::STATEMENTS,
        events::STATEMENTS,
        idempotency::STATEMENTS,
        invoices::STATEMENTS,
        keys::STATEMENTS,
        leases::STATEMENTS,
        ledger::STATEMENTS,
        migrations::STATEMENTS,
        mints::STATEMENTS,
        orders::STATEMENTS,
        quarantine::STATEMENTS,
        rebuild::STATEMENTS,
        receipts::STATEMENTS,
        reconciliation::STATEMENTS,
        repair::STATEMENTS,
        schema::STATEMENTS,
        suspense::STATEMENTS,
        tenants::STATEMENTS,
        token_rails::STATEMENTS,
        treasury::STATEMENTS,
        watch::STATEMENTS,
        withdrawals::STATEMENTS,
    ]
    .into_iter()
    .flatten()
    .chain(projection::all_statements())
    .copied()
}
