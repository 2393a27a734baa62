//! What can go wrong in the binary, each with a sentence that says what to do.

use std::path::PathBuf;

/// What can go wrong here.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration.
    #[error("configuration: {0}")]
    Config(String),
    /// A file.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Postgres.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The node.
    #[error(transparent)]
    Chain(#[from] chain::Error),
    /// The indexer.
    #[error("indexer: {0}")]
    Indexer(#[from] indexer::Error),
    /// The keeper.
    #[error("keeper: {0}")]
    Keeper(#[from] keeper::Error),
    /// The attestor.
    #[error("attestor: {0}")]
    Attestor(#[from] attestor::Error),
    /// The treasury.
    #[error(transparent)]
    Treasury(#[from] treasury::Error),
    /// A provider, or its configuration.
    #[error(transparent)]
    Fiat(#[from] fiat::Error),
    /// The API.
    #[error("api: {0}")]
    Api(#[from] api::Error),
    /// The vault.
    #[error("vault: {0}")]
    Vault(#[from] vault::Error),
    /// The local networks.
    #[error(transparent)]
    Network(#[from] test_chain::Error),
    /// A service did not start, or stopped.
    #[error("the {service} did not start: {why}")]
    Service {
        /// Which.
        service: &'static str,
        /// Why.
        why: String,
    },
    /// `monay rebuild --check` found something.
    #[error(
        "{tables} tables differ from what blocks {first} to {last} say. Nothing was changed; `monay rebuild` without --check \
         repairs it"
    )]
    Differs {
        /// How many tables.
        tables: usize,
        /// The first block that was read.
        first: u64,
        /// The last.
        last: u64,
    },
    /// A story did not go as it must.
    #[error("{0}")]
    Story(String),
    /// Recovery stopped: nothing was done, or nobody knows yet.
    #[error("{why}")]
    Recovery {
        /// In which of the ways that have an exit code of their own.
        stopped: crate::recover::Stopped,
        /// What, and what to do.
        why: String,
    },
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// A file error with its path.
    pub fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        |error| Self::File { path, error }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}
