//! Bank accounts: ours, and customers' as providers know them. Never a full number.

use crate::{Error, PgConnection, statements};
use sqlx::Row;
use uuid::Uuid;

statements! {
    PUT = "INSERT INTO bank_accounts (id, name, last_four, holds_reserve) VALUES ($1, $2, $3, $4)
        ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name, last_four = EXCLUDED.last_four, holds_reserve = EXCLUDED.holds_reserve";
    PUT_RESERVE = "INSERT INTO reserve_accounts (id) VALUES ($1) ON CONFLICT DO NOTHING";
    RESERVE_BANK = "SELECT id FROM bank_accounts WHERE holds_reserve AND closed_at IS NULL ORDER BY created_at, id LIMIT 1";
    ADD_LINK = "INSERT INTO bank_links (tenant_id, user_id, enterprise_id, method, provider, token, last_four, institution, holder, state)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (provider, token) DO NOTHING RETURNING id";
    LINK_OF = "SELECT id FROM bank_links WHERE provider = $1 AND token = $2 AND tenant_id = $3
        AND user_id IS NOT DISTINCT FROM $4 AND enterprise_id IS NOT DISTINCT FROM $5";
    SET_LINK_STATE = "UPDATE bank_links SET state = $2, updated_at = now() WHERE id = $1 AND state <> 'removed'";
    LINK = "SELECT tenant_id, user_id, enterprise_id, method, provider, token, last_four, institution, holder, state
        FROM bank_links WHERE id = $1";
    LINKS = "SELECT id FROM bank_links WHERE tenant_id = $1 AND (user_id = $2 OR enterprise_id = $2) AND state <> 'removed'
        ORDER BY created_at, id";
}

/// Sets a bank account of ours up, or brings it up to date.
pub async fn put(
    db: &mut PgConnection,
    id: &str,
    name: &str,
    last_four: Option<&str>,
    holds_reserve: bool,
) -> Result<(), Error> {
    sqlx::query(PUT).bind(id).bind(name).bind(last_four).bind(holds_reserve).execute(&mut *db).await?;
    sqlx::query(PUT_RESERVE).bind(id).execute(db).await?;
    Ok(())
}

/// Where newly cleared money is set aside unless a receipt says otherwise.
pub async fn reserve_bank(db: &mut PgConnection) -> Result<String, Error> {
    let row = sqlx::query(RESERVE_BANK).fetch_optional(db).await?;
    let none = || Error::Missing("no bank account of ours holds the reserve: set one up".to_owned());
    Ok(row.ok_or_else(none)?.try_get("id")?)
}

/// A linked bank account or card.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
#[allow(missing_docs)]
pub struct Link {
    pub tenant_id: String,
    pub user_id: Option<String>,
    pub enterprise_id: Option<String>,
    /// ach, wire, debit_card.
    pub method: String,
    pub provider: String,
    /// The provider's token for it.
    pub token: String,
    pub last_four: String,
    pub institution: Option<String>,
    pub holder: Option<String>,
    /// pending, active, refused, removed.
    pub state: String,
}

/// Stores a link. With a provider's token that this customer has linked before, the one there is.
pub async fn link(db: &mut PgConnection, link: &Link) -> Result<Uuid, Error> {
    let row = sqlx::query(ADD_LINK)
        .bind(&link.tenant_id)
        .bind(&link.user_id)
        .bind(&link.enterprise_id)
        .bind(&link.method)
        .bind(&link.provider)
        .bind(&link.token)
        .bind(&link.last_four)
        .bind(&link.institution)
        .bind(&link.holder)
        .bind(&link.state)
        .fetch_optional(&mut *db)
        .await?;
    if let Some(row) = row {
        return Ok(row.try_get("id")?);
    }
    let query = sqlx::query(LINK_OF).bind(&link.provider).bind(&link.token).bind(&link.tenant_id);
    let row = query.bind(&link.user_id).bind(&link.enterprise_id).fetch_optional(db).await?;
    // Somebody else's: that it is linked at all is nobody's business.
    let none = || Error::Missing("this bank account cannot be linked".to_owned());
    Ok(row.ok_or_else(none)?.try_get("id")?)
}

/// How a link stands: pending, active, refused, removed. What is removed stays so.
pub async fn set_link_state(db: &mut PgConnection, id: Uuid, state: &str) -> Result<bool, Error> {
    Ok(sqlx::query(SET_LINK_STATE).bind(id).bind(state).execute(db).await?.rows_affected() == 1)
}

/// A link.
pub async fn get_link(db: &mut PgConnection, id: Uuid) -> Result<Option<Link>, Error> {
    Ok(sqlx::query_as(LINK).bind(id).fetch_optional(db).await?)
}

/// The links of a user or an enterprise of the tenant's.
pub async fn links_of(db: &mut PgConnection, tenant: &str, who: &str) -> Result<Vec<Uuid>, Error> {
    let rows = sqlx::query(LINKS).bind(tenant).bind(who).fetch_all(db).await?;
    rows.iter().map(|row| Ok(row.try_get("id")?)).collect()
}
