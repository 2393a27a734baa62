//! Between Postgres columns and our types. Base units travel as decimal text: no driver type holds 78 digits exactly
//! and simply.

use crate::Error;
use alloy_primitives::{Address, B256, U256};
use domain::money::Units;
use sqlx::{Row, postgres::PgRow};
use std::str::FromStr;
use terms::{Account, TxId};
use time::OffsetDateTime;

/// Typed reads, by column name. A value that does not fit is a corrupt row, never a panic and never a default.
pub(crate) trait Columns {
    fn account(&self, column: &str) -> Result<Account, Error>;
    fn address(&self, column: &str) -> Result<Address, Error>;
    fn tx(&self, column: &str) -> Result<TxId, Error>;
    fn chain(&self, column: &str) -> Result<u64, Error>;
    fn hash(&self, column: &str) -> Result<B256, Error>;
    fn u64(&self, column: &str) -> Result<u64, Error>;
    fn u128(&self, column: &str) -> Result<u128, Error>;
    fn i128(&self, column: &str) -> Result<i128, Error>;
    fn units(&self, column: &str) -> Result<Units, Error>;
    fn u256(&self, column: &str) -> Result<U256, Error>;
    fn word<T: FromStr<Err = domain::UnknownWord>>(&self, column: &str) -> Result<T, Error>;
}

impl Columns for PgRow {
    fn account(&self, column: &str) -> Result<Account, Error> {
        Account::from_bytes(self.try_get(column)?).map_err(|_| corrupt(column))
    }

    fn tx(&self, column: &str) -> Result<TxId, Error> {
        TxId::from_bytes(self.try_get(column)?).map_err(|_| corrupt(column))
    }

    fn chain(&self, column: &str) -> Result<u64, Error> {
        Ok(self.try_get::<i64, _>(column)?.cast_unsigned())
    }

    fn address(&self, column: &str) -> Result<Address, Error> {
        let bytes: &[u8] = self.try_get(column)?;
        Address::try_from(bytes).map_err(|_| corrupt(column))
    }

    fn hash(&self, column: &str) -> Result<B256, Error> {
        let bytes: &[u8] = self.try_get(column)?;
        B256::try_from(bytes).map_err(|_| corrupt(column))
    }

    fn u64(&self, column: &str) -> Result<u64, Error> {
        u64::try_from(self.try_get::<i64, _>(column)?).map_err(|_| corrupt(column))
    }

    fn u128(&self, column: &str) -> Result<u128, Error> {
        self.try_get::<&str, _>(column)?.parse().map_err(|_| corrupt(column))
    }

    fn i128(&self, column: &str) -> Result<i128, Error> {
        self.try_get::<&str, _>(column)?.parse().map_err(|_| corrupt(column))
    }

    fn units(&self, column: &str) -> Result<Units, Error> {
        self.u128(column).map(Units)
    }

    fn u256(&self, column: &str) -> Result<U256, Error> {
        self.try_get::<&str, _>(column)?.parse().map_err(|_| corrupt(column))
    }

    fn word<T: FromStr<Err = domain::UnknownWord>>(&self, column: &str) -> Result<T, Error> {
        self.try_get::<&str, _>(column)?.parse().map_err(|error| Error::Corrupt(format!("{column}: {error}")))
    }
}

pub(crate) fn corrupt(what: &str) -> Error {
    Error::Corrupt(what.to_owned())
}

/// A chain id as Postgres has it. Solana's are the first eight bytes of a hash and may be above 2^63; Postgres has no unsigned
/// integers. The same 64 bits are read as a signed number there: what is above 2^63 is negative in the database, here and
/// nowhere else. [`Columns::chain`] is the way back.
pub(crate) const fn chain_id(chain: u64) -> i64 {
    chain.cast_signed()
}

/// A height as Postgres has it. Those above 2^63 do not exist.
pub(crate) fn big(number: u64) -> Result<i64, Error> {
    i64::try_from(number).map_err(|_| Error::Corrupt(format!("{number} does not fit in a BIGINT")))
}

/// Unix seconds as a time.
pub(crate) fn time(unix_seconds: u64) -> Result<OffsetDateTime, Error> {
    OffsetDateTime::from_unix_timestamp(big(unix_seconds)?)
        .map_err(|_| Error::Corrupt(format!("{unix_seconds} is not a time")))
}
