//! What can go wrong, in sentences that say what to do.

use std::io;
use std::path::PathBuf;

/// Everything that can go wrong with a local network.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// None of the places where PostgreSQL is looked for has one.
    #[error(
        "no PostgreSQL 15 or newer was found: run `scripts/setup`, or name the folder of its programs in MONAY_PG_BIN"
    )]
    PostgresMissing,
    /// PostgreSQL is where the caller said, but cannot be used.
    #[error("the PostgreSQL in {} cannot be used: {why}", .folder.display())]
    PostgresUnusable {
        /// The folder of programs.
        folder: PathBuf,
        /// Why not.
        why: String,
    },
    /// A program of the Ethereum tool chain is not installed.
    #[error("{tool} was not found: run `npm ci` in the project's folder, or name the program in {variable}")]
    ToolMissing {
        /// Its name.
        tool: String,
        /// The environment variable that can name it.
        variable: String,
    },
    /// A server ended, or said nothing, while we waited for it to be ready.
    #[error("{what} did not start: {why}")]
    NotStarted {
        /// Which server.
        what: String,
        /// Its last words.
        why: String,
    },
    /// The user that PostgreSQL runs as when we are root cannot get at a folder.
    #[error(
        "{} cannot be reached by the user `nobody`, as which PostgreSQL runs when it is started by root: \
         choose a folder outside private ones, such as /var/tmp", .0.display()
    )]
    Unreachable(PathBuf),
    /// Not a name that a database is given here.
    #[error("`{0}` is no name for a database: 1 to 63 characters of a-z, 0-9 and _, a letter first")]
    DatabaseName(String),
    /// Not an address that can be connected to.
    #[error("`{url}` is no URL: {why}")]
    Url {
        /// What was given.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// The operating system refused something.
    #[error("could not {doing}: {source}")]
    Io {
        /// What was being done.
        doing: String,
        /// Its answer.
        source: io::Error,
    },
    /// PostgreSQL refused something.
    #[error("could not {doing}: {source}")]
    Database {
        /// What was being done.
        doing: String,
        /// Its answer.
        source: sqlx::Error,
    },
    /// The Ethereum node refused something.
    #[error("{method} failed at {url}: {why}")]
    Rpc {
        /// The JSON-RPC method.
        method: String,
        /// The node.
        url: String,
        /// Its answer.
        why: String,
    },
    /// A contract is not on the chain as it should be.
    #[error("could not deploy {contract}: {why}")]
    Deployment {
        /// Which one.
        contract: String,
        /// What is wrong.
        why: String,
    },
}

impl Error {
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }

    pub(crate) fn database(doing: impl Into<String>) -> impl FnOnce(sqlx::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Database { doing, source }
    }
}
