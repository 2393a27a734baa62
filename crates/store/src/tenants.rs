//! Tenants, their enterprise and where they are paid.

use crate::codec::{Columns, chain_id};
use crate::{Error, PgConnection, statements};
use sqlx::Row;
use terms::Account;

statements! {
    UPSERT_TENANT = "INSERT INTO tenants (id, name) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name";
    UPSERT_ENTERPRISE = "INSERT INTO enterprises (id, tenant_id, name, verified) VALUES ($1, $1, $2, $3)
        ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name, verified = EXCLUDED.verified";
    UPSERT_PAYEE = "INSERT INTO payees (tenant_id, chain_id, address, unclaimed) VALUES ($1, $2, $3, $4)
        ON CONFLICT (tenant_id, chain_id) DO UPDATE SET address = EXCLUDED.address, unclaimed = EXCLUDED.unclaimed";
    UPSERT_ENTERPRISE_WALLET = "INSERT INTO wallets (tenant_id, organization_id, chain_id) VALUES ($1, $1, $2)
        ON CONFLICT (organization_id, chain_id) DO NOTHING";
    ISSUER = "SELECT e.id, e.name, e.verified, p.address, p.unclaimed FROM enterprises e
        LEFT JOIN payees p ON p.tenant_id = e.tenant_id AND p.chain_id = $2 WHERE e.tenant_id = $1";
    UPSERT_USER = "INSERT INTO users (id, tenant_id, email) VALUES ($1, $2, $3)
        ON CONFLICT (tenant_id, email) DO UPDATE SET email = EXCLUDED.email RETURNING id";
}

/// A tenant as the operator sets it up.
#[derive(Clone, Debug)]
pub struct NewTenant<'a> {
    /// A slug; the enterprise has the same id.
    pub id: &'a str,
    /// The enterprise's name, as customers see it.
    pub name: &'a str,
    /// Whether the enterprise may issue invoices.
    pub verified: bool,
    /// Chain id.
    pub chain: u64,
    /// Where the enterprise is paid on that chain.
    pub payee: Account,
    /// The account for money that can be sent back to nobody.
    pub unclaimed: Account,
}

/// Who issues an invoice, and where it is paid.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// The enterprise's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whether it may issue invoices.
    pub verified: bool,
    /// Where it is paid on the chain asked for, and its account for unclaimed money; `None` if it has not said.
    pub accounts: Option<(Account, Account)>,
}

/// Sets a tenant up, or brings it up to date.
pub async fn put(db: &mut PgConnection, tenant: &NewTenant<'_>) -> Result<(), Error> {
    let chain = chain_id(tenant.chain);
    sqlx::query(UPSERT_TENANT).bind(tenant.id).bind(tenant.name).execute(&mut *db).await?;
    sqlx::query(UPSERT_ENTERPRISE).bind(tenant.id).bind(tenant.name).bind(tenant.verified).execute(&mut *db).await?;
    sqlx::query(UPSERT_PAYEE)
        .bind(tenant.id)
        .bind(chain)
        .bind(tenant.payee.as_bytes())
        .bind(tenant.unclaimed.as_bytes())
        .execute(&mut *db)
        .await?;
    sqlx::query(UPSERT_ENTERPRISE_WALLET).bind(tenant.id).bind(chain).execute(db).await?;
    Ok(())
}

/// The tenant's enterprise and its accounts on `chain`.
pub async fn issuer(db: &mut PgConnection, tenant_id: &str, chain: u64) -> Result<Option<Issuer>, Error> {
    let row = sqlx::query(ISSUER).bind(tenant_id).bind(chain_id(chain)).fetch_optional(db).await?;
    let Some(row) = row else { return Ok(None) };
    let accounts = match row.try_get::<Option<&[u8]>, _>("address")? {
        Some(_) => Some((row.account("address")?, row.account("unclaimed")?)),
        None => None,
    };
    Ok(Some(Issuer {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        verified: row.try_get("verified")?,
        accounts,
    }))
}

/// The id of the tenant's customer with this e-mail address, made if there is none.
pub async fn customer(db: &mut PgConnection, tenant_id: &str, email: &str) -> Result<String, Error> {
    let id = format!("user_{}", uuid::Uuid::now_v7().simple());
    Ok(sqlx::query(UPSERT_USER).bind(id).bind(tenant_id).bind(email).fetch_one(db).await?.try_get(0)?)
}
