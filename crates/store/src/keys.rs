//! Encrypted refund keys. What is stored opens only with the root key, which is not in Postgres.

use crate::{Error, PgConnection, statements};
use alloy_primitives::Address;
use sqlx::Row;
use std::collections::BTreeSet;

statements! {
    INSERT = "INSERT INTO wallet_keys (wallet_id, tenant_id, address, nonce, ciphertext) VALUES ($1, $2, $3, $4, $5)";
    GET = "SELECT nonce, ciphertext FROM wallet_keys WHERE wallet_id = $1";
    OVERWRITE = "UPDATE wallet_keys SET nonce = decode(repeat($2, 12), 'hex'),
        ciphertext = decode(repeat($2, octet_length(ciphertext)), 'hex') WHERE wallet_id = ANY($1)";
    DELETE = "DELETE FROM wallet_keys WHERE wallet_id = ANY($1) RETURNING wallet_id";
}

/// The byte patterns a key is overwritten with before it is deleted (the specification's seven passes). Postgres writes
/// each as a new row version: what protects is that the row goes and that it was never stored in the clear.
pub const OVERWRITE_PASSES: [&str; 7] = ["00", "ff", "55", "aa", "92", "49", "00"];

/// A sealed private key.
#[derive(Clone)]
pub struct SealedKey {
    /// The address of the key.
    pub address: Address,
    /// AES-GCM nonce.
    pub nonce: [u8; 12],
    /// Ciphertext with its tag.
    pub ciphertext: Vec<u8>,
}

// A log that had ciphertexts in it would be worth stealing by whoever gets the root key.
impl std::fmt::Debug for SealedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealedKey").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Stores a sealed key.
pub async fn put(db: &mut PgConnection, tenant_id: &str, wallet_id: &str, key: &SealedKey) -> Result<(), Error> {
    sqlx::query(INSERT)
        .bind(wallet_id)
        .bind(tenant_id)
        .bind(key.address.as_slice())
        .bind(key.nonce.as_slice())
        .bind(&key.ciphertext)
        .execute(db)
        .await?;
    Ok(())
}

/// Nonce and ciphertext of a wallet's key, if it still has one.
pub async fn get(db: &mut PgConnection, wallet_id: &str) -> Result<Option<(Vec<u8>, Vec<u8>)>, Error> {
    let row = sqlx::query(GET).bind(wallet_id).fetch_optional(db).await?;
    Ok(row.map(|row| Ok::<_, sqlx::Error>((row.try_get(0)?, row.try_get(1)?))).transpose()?)
}

/// Overwrites and deletes the keys of these wallets; returns those that had one.
pub(crate) async fn erase(db: &mut PgConnection, wallets: &[&str]) -> Result<BTreeSet<String>, Error> {
    if wallets.is_empty() {
        return Ok(BTreeSet::new());
    }
    for pattern in OVERWRITE_PASSES {
        sqlx::query(OVERWRITE).bind(wallets).bind(pattern).execute(&mut *db).await?;
    }
    let rows = sqlx::query(DELETE).bind(wallets).fetch_all(db).await?;
    rows.iter().map(|row| Ok(row.try_get("wallet_id")?)).collect()
}
