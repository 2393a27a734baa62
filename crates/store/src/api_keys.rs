//! API keys: hashes of them, what each may do, and whether it still may.

use crate::codec::corrupt;
use crate::{Error, PgConnection, Store, statements};
use alloy_primitives::B256;
use domain::scope::Scope;
use sqlx::Row;
use time::{Date, OffsetDateTime};
use uuid::Uuid;

statements! {
    INSERT = "INSERT INTO api_keys (tenant_id, key_hash, label, scopes)
        SELECT id, $2, $3, $4::text[] FROM tenants WHERE id = $1 RETURNING id";
    OF_HASH = "SELECT tenant_id, scopes FROM api_keys WHERE key_hash = $1 AND revoked_at IS NULL";
    LIST = "SELECT id, label, scopes, created_at, last_used_on, revoked_at FROM api_keys WHERE tenant_id = $1
        ORDER BY created_at, id";
    REVOKE = "UPDATE api_keys SET revoked_at = COALESCE(revoked_at, now()) WHERE tenant_id = $1 AND id = $2";
    NOTE_USE = "UPDATE api_keys SET last_used_on = (now() AT TIME ZONE 'UTC')::date
        WHERE key_hash = $1 AND last_used_on IS DISTINCT FROM (now() AT TIME ZONE 'UTC')::date";
}

/// Whose a key is, and what it may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The tenant.
    pub tenant_id: String,
    /// What the key may do.
    pub scopes: Vec<Scope>,
}

/// A key as an operator sees it.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// What it is revoked by.
    pub id: Uuid,
    /// What it is for.
    pub label: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// The day (UTC) of the last request with it.
    pub last_used_on: Option<Date>,
    /// Since when it is worth nothing.
    pub revoked_at: Option<OffsetDateTime>,
}

/// Stores the hash of a new key; its id.
///
/// # Errors
///
/// [`Error::Missing`] if there is no such tenant.
pub async fn put(
    db: &mut PgConnection,
    tenant_id: &str,
    key_hash: B256,
    label: &str,
    scopes: &[Scope],
) -> Result<Uuid, Error> {
    let scopes: Vec<_> = scopes.iter().map(|scope| scope.as_str().to_owned()).collect();
    let row = sqlx::query(INSERT).bind(tenant_id).bind(key_hash.as_slice()).bind(label).bind(scopes);
    let row = row.fetch_optional(db).await?;
    let row = row.ok_or_else(|| Error::Missing(format!("there is no tenant '{tenant_id}'")))?;
    Ok(row.try_get(0)?)
}

/// Whose key this is; `None` if it is nobody's, or revoked.
pub async fn owner(db: &mut PgConnection, key_hash: B256) -> Result<Option<Owner>, Error> {
    let row = sqlx::query(OF_HASH).bind(key_hash.as_slice()).fetch_optional(db).await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Owner { tenant_id: row.try_get("tenant_id")?, scopes: scopes(row.try_get("scopes")?)? }))
}

/// Every key of a tenant, the oldest first.
pub async fn list(db: &mut PgConnection, tenant_id: &str) -> Result<Vec<ApiKey>, Error> {
    let rows = sqlx::query(LIST).bind(tenant_id).fetch_all(db).await?;
    let key = |row: &sqlx::postgres::PgRow| {
        Ok(ApiKey {
            id: row.try_get("id")?,
            label: row.try_get("label")?,
            scopes: scopes(row.try_get("scopes")?)?,
            created_at: row.try_get("created_at")?,
            last_used_on: row.try_get("last_used_on")?,
            revoked_at: row.try_get("revoked_at")?,
        })
    };
    rows.iter().map(key).collect()
}

/// Makes a key worth nothing, from the next request on; whether the tenant has it.
pub async fn revoke(db: &mut PgConnection, tenant_id: &str, id: Uuid) -> Result<bool, Error> {
    Ok(sqlx::query(REVOKE).bind(tenant_id).bind(id).execute(db).await?.rows_affected() > 0)
}

/// Notes that a key was used today.
pub async fn note_use(store: &Store, key_hash: B256) -> Result<(), Error> {
    sqlx::query(NOTE_USE).bind(key_hash.as_slice()).execute(store.pool()).await?;
    Ok(())
}

fn scopes(words: Vec<String>) -> Result<Vec<Scope>, Error> {
    words.iter().map(|word| word.parse().map_err(|_| corrupt("scopes"))).collect()
}
