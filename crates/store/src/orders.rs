//! What somebody asks for, beside what the facts call for: a customer's order where money goes back to, a customer's
//! authorization to be charged, a refund of a token that was sent by mistake. Each is an intent of its own.

use crate::codec::{Columns, chain_id};
use crate::{Error, INTENTS_CHANNEL, PgConnection, statements};
use alloy_primitives::{B256, Bytes, U256};
use domain::intent::{IntentKind, IntentState, intent_id};
use sqlx::postgres::PgRow;
use terms::abi::{Authorization, RefundOrder};
use terms::{Account, Terms};

statements! {
    REFUNDED = "SELECT LEAST(COALESCE(SUM(amount_units), 0), $3::text::numeric)::text AS refunded FROM escrow_events
        WHERE terms_hash = $1 AND token = $2 AND kind IN (4, 5)";
    RECEIVED = "SELECT LEAST(COALESCE(SUM(amount_units), 0), $3::text::numeric)::text AS received FROM deposits
        WHERE terms_hash = $1 AND token = $2";
    STATE = "SELECT state FROM intents WHERE id = $1 FOR UPDATE";
    ASKED = "SELECT count(*) AS asked FROM intents n JOIN invoice_terms t USING (terms_hash) WHERE n.terms_hash = $1
        AND CASE WHEN $2 = 'fund' THEN n.kind = 'fund'
            ELSE n.kind = 'refund_by_order' OR (n.kind = 'refund' AND n.token <> t.token) END";
    INSERT_INTENT = "INSERT INTO intents (id, tenant_id, chain_id, terms_hash, kind, token, cumulative_before, state)
        VALUES ($1, $2, $3, $4, $5, $6, $7::text::numeric, 'accepted') ON CONFLICT (id) DO NOTHING";
    // What was given up may be asked for again, and so may what an order can no longer do because its deadline has passed.
    ASK_AGAIN = "UPDATE intents n SET state = 'accepted', tries = 0, deferrals = 0, not_before = now(), updated_at = now()
        WHERE n.id = $1 AND ((n.kind IN ('refund', 'refund_by_order') AND n.state IN ('superseded', 'failed'))
            OR (n.kind = 'refund_by_order' AND n.state = 'accepted' AND NOT EXISTS (SELECT 1 FROM refund_orders o
                JOIN chains c ON c.chain_id = n.chain_id WHERE o.intent_id = n.id AND o.deadline >= c.tip_timestamp)))";
    INSERT_ORDER = "INSERT INTO refund_orders (intent_id, tenant_id, terms_hash, token, recipient, nonce, deadline, signature, word)
        VALUES ($1, $2, $3, $4, $5, $6::text::numeric, $7, $8, $9)";
    INSERT_AUTHORIZATION = "INSERT INTO payment_authorizations (intent_id, tenant_id, terms_hash, payer, value_units, valid_after,
            valid_before, nonce, signature)
        VALUES ($1, $2, $3, $4, $5::text::numeric, $6, $7, $8, $9)";
    // Signed anew under the same nonce: the last word counts, as long as the first is not on its way.
    REPLACE_AUTHORIZATION = "UPDATE payment_authorizations p SET value_units = $2::text::numeric, valid_after = $3, valid_before = $4,
            signature = $5 FROM intents n WHERE p.intent_id = $1 AND n.id = $1 AND n.terms_hash = p.terms_hash
            AND n.state IN ('accepted', 'superseded', 'failed')
            AND (p.value_units, p.valid_after, p.valid_before, p.signature) IS DISTINCT FROM ($2::text::numeric, $3, $4, $5)";
    REVIVE = "UPDATE intents SET state = 'accepted', tries = 0, deferrals = 0, not_before = now(), updated_at = now() WHERE id = $1";
    ANNOUNCE = "SELECT pg_notify($1, $2)";
    ORDER = "SELECT terms_hash, token, recipient, nonce::text AS nonce, deadline, signature FROM refund_orders WHERE intent_id = $1
        ORDER BY created_at DESC LIMIT 1";
    AUTHORIZATION = "SELECT payer, value_units::text AS value, valid_after, valid_before, nonce, signature FROM payment_authorizations
        WHERE intent_id = $1";
}

/// The most refunds, and the most authorizations, that may be asked for about one invoice: whoever holds a pay link may ask,
/// and each costs us work. Counted apart, so that made-up authorizations cannot use up the customer's word where money goes.
pub const MAX_ASKED: u64 = 20;

/// An intent that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its id.
    pub id: B256,
    /// Where it stands.
    pub state: IntentState,
    /// Whether this call has brought it about.
    pub news: bool,
}

/// What has come and gone of one token at a deposit address, in base units as claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenBooks {
    /// Transfers to it.
    pub received: U256,
    /// Refunds from it.
    pub refunded: U256,
}

/// Adds up one token at the deposit address of these terms.
pub async fn books(db: &mut PgConnection, terms_hash: B256, token: Account) -> Result<TokenBooks, Error> {
    let max = U256::MAX.to_string();
    let refunded = sqlx::query(REFUNDED).bind(terms_hash.as_slice()).bind(token.as_bytes()).bind(&max);
    let refunded = refunded.fetch_one(&mut *db).await?.u256("refunded")?;
    let received = sqlx::query(RECEIVED).bind(terms_hash.as_slice()).bind(token.as_bytes()).bind(&max);
    Ok(TokenBooks { received: received.fetch_one(db).await?.u256("received")?, refunded })
}

/// Asks for a refund of `token` to where the terms say.
pub async fn refund(db: &mut PgConnection, tenant_id: &str, terms: &Terms, token: Account) -> Result<Asked, Error> {
    let before = books(db, terms.hash(), token).await?.refunded;
    insert(db, tenant_id, terms, IntentKind::Refund, token, before).await
}

/// Stores a customer's order with its signature and the word it rests on. For what lies at an address there is one order,
/// and it stands until it is carried out or its deadline has passed.
pub async fn order(
    db: &mut PgConnection,
    tenant_id: &str,
    terms: &Terms,
    order: &RefundOrder,
    signature: &[u8],
    word: &serde_json::Value,
) -> Result<Asked, Error> {
    let before = books(db, order.termsHash, order.token.into()).await?.refunded;
    let asked = insert(db, tenant_id, terms, IntentKind::RefundByOrder, order.token.into(), before).await?;
    if asked.news {
        sqlx::query(INSERT_ORDER)
            .bind(asked.id.as_slice())
            .bind(tenant_id)
            .bind(order.termsHash.as_slice())
            .bind(order.token.as_slice())
            .bind(order.to.as_slice())
            .bind(order.nonce.to_string())
            .bind(order.deadline.saturating_to::<i64>())
            .bind(signature)
            .bind(word)
            .execute(db)
            .await?;
    }
    Ok(asked)
}

/// Stores a payer's authorization. Each of a payer's nonces counts once.
pub async fn authorization(
    db: &mut PgConnection,
    tenant_id: &str,
    terms: &Terms,
    authorization: &Authorization,
) -> Result<Asked, Error> {
    // The payer's nonce is the total before: it is used at most once on chain, whoever submits it.
    let before = U256::from_be_bytes(authorization.nonce.0);
    let mut asked = insert(db, tenant_id, terms, IntentKind::Fund, authorization.from.into(), before).await?;
    if !asked.news {
        let replaced = sqlx::query(REPLACE_AUTHORIZATION)
            .bind(asked.id.as_slice())
            .bind(authorization.value.to_string())
            .bind(authorization.validAfter.saturating_to::<i64>())
            .bind(authorization.validBefore.saturating_to::<i64>())
            .bind(authorization.signature.as_ref())
            .execute(&mut *db)
            .await?;
        if replaced.rows_affected() == 1 {
            sqlx::query(REVIVE).bind(asked.id.as_slice()).execute(db).await?;
            asked = Asked { state: IntentState::Accepted, news: true, ..asked };
        }
    } else {
        sqlx::query(INSERT_AUTHORIZATION)
            .bind(asked.id.as_slice())
            .bind(tenant_id)
            .bind(terms.hash().to_vec())
            .bind(authorization.from.as_slice())
            .bind(authorization.value.to_string())
            .bind(authorization.validAfter.saturating_to::<i64>())
            .bind(authorization.validBefore.saturating_to::<i64>())
            .bind(authorization.nonce.as_slice())
            .bind(authorization.signature.as_ref())
            .execute(db)
            .await?;
    }
    Ok(asked)
}

async fn insert(
    db: &mut PgConnection,
    tenant_id: &str,
    terms: &Terms,
    kind: IntentKind,
    token: Account,
    before: U256,
) -> Result<Asked, Error> {
    let id = intent_id(kind, terms.chain(), terms.hash(), token, before);
    if let Some(row) = sqlx::query(STATE).bind(id.as_slice()).fetch_optional(&mut *db).await? {
        let again = sqlx::query(ASK_AGAIN).bind(id.as_slice()).execute(&mut *db).await?.rows_affected() == 1;
        let state = if again { IntentState::Accepted } else { row.word("state")? };
        return Ok(Asked { id, state, news: again });
    }
    if sqlx::query(ASKED).bind(terms.hash().to_vec()).bind(kind.as_str()).fetch_one(&mut *db).await?.u64("asked")?
        >= MAX_ASKED
    {
        return Err(Error::TooManyAsked);
    }
    let inserted = sqlx::query(INSERT_INTENT)
        .bind(id.as_slice())
        .bind(tenant_id)
        .bind(chain_id(terms.chain()))
        .bind(terms.hash().to_vec())
        .bind(kind.as_str())
        .bind(token.as_bytes())
        .bind(before.to_string())
        .execute(&mut *db)
        .await?;
    sqlx::query(ANNOUNCE).bind(INTENTS_CHANNEL).bind(terms.chain().to_string()).execute(db).await?;
    // Somebody else may have asked for the same at the same moment.
    Ok(Asked { id, state: IntentState::Accepted, news: inserted.rows_affected() == 1 })
}

/// The order that an intent carries out, with its signature.
pub(crate) async fn order_of(db: &mut PgConnection, intent: B256) -> Result<(RefundOrder, Bytes), Error> {
    let row = sqlx::query(ORDER).bind(intent.as_slice()).fetch_one(db).await?;
    let order = RefundOrder {
        termsHash: row.hash("terms_hash")?,
        token: row.address("token")?,
        to: row.address("recipient")?,
        nonce: row.u256("nonce")?,
        deadline: U256::from(row.u64("deadline")?),
    };
    Ok((order, bytes(&row, "signature")?))
}

/// The authorization that an intent submits.
pub(crate) async fn authorization_of(db: &mut PgConnection, intent: B256) -> Result<Authorization, Error> {
    let row = sqlx::query(AUTHORIZATION).bind(intent.as_slice()).fetch_one(db).await?;
    Ok(Authorization {
        from: row.address("payer")?,
        value: row.u256("value")?,
        validAfter: U256::from(row.u64("valid_after")?),
        validBefore: U256::from(row.u64("valid_before")?),
        nonce: row.hash("nonce")?,
        signature: bytes(&row, "signature")?,
    })
}

fn bytes(row: &PgRow, column: &str) -> Result<Bytes, Error> {
    Ok(sqlx::Row::try_get::<Vec<u8>, _>(row, column)?.into())
}
