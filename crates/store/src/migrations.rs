//! The migrations this program knows, and those that were carried out.

use crate::{Error, Store, statements};
use sqlx::Row;
use sqlx::migrate::Migrator;

static MIGRATOR: Migrator = sqlx::migrate!("./migrations");

statements! {
    VERSION = "SELECT max(version) AS version FROM _sqlx_migrations WHERE success";
}

/// What Postgres says of a table that is not there.
const UNDEFINED_TABLE: &str = "42P01";

impl Store {
    /// Brings the schema up to date. Forward only; running it twice, or from two processes at once, is harmless.
    pub async fn migrate(&self) -> Result<(), Error> {
        Ok(MIGRATOR.run(&self.pool).await?)
    }

    /// The newest migration that was carried out; 0 if none was.
    pub async fn schema_version(&self) -> Result<i64, Error> {
        match sqlx::query(VERSION).fetch_one(&self.pool).await {
            Ok(row) => Ok(row.try_get::<Option<i64>, _>("version")?.unwrap_or(0)),
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(UNDEFINED_TABLE) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }
}

/// The newest migration this program knows. A schema may be newer: migrations only add, and services are replaced one
/// after the other.
pub fn known_version() -> i64 {
    MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or(0)
}
