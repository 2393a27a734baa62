//! The keeper's side: intents to carry out, and every transaction that was ever signed for them.

use crate::codec::{Columns, big};
use crate::invoices::terms_of;
use crate::{Error, PgConnection, orders, statements};
use alloy_primitives::{Address, B256, Bytes};
use domain::intent::{AttemptState, IntentKind};
use sqlx::Row;
use std::collections::BTreeSet;
use std::time::Duration;
use terms::InvoiceTerms;
use terms::abi::{Authorization, RefundOrder};

statements! {
    UPSERT_SIGNER = "INSERT INTO signers (chain_id, address, next_nonce) VALUES ($1, $2, $3)
        ON CONFLICT (chain_id, address) DO UPDATE SET next_nonce = GREATEST(signers.next_nonce, EXCLUDED.next_nonce)
        RETURNING next_nonce";
    TAKE_NONCE = "UPDATE signers SET next_nonce = next_nonce + 1 WHERE chain_id = $1 AND address = $2 RETURNING next_nonce - 1 AS nonce";
    WAITING = "SELECT n.id, n.kind, n.token AS intent_token, n.tries, t.version, t.chain_id, t.invoice_key, t.payee, t.token,
            t.amount_units::text AS amount, t.closes_at, t.refund_to, t.refund_key, t.settler, t.flags
        FROM intents n JOIN invoice_terms t USING (terms_hash)
        WHERE n.chain_id = $1 AND n.state = 'accepted' AND n.not_before <= now() AND n.kind = ANY($3)
        AND (n.kind <> 'refund_by_order' OR EXISTS (SELECT 1 FROM refund_orders o JOIN chains c ON c.chain_id = n.chain_id
            WHERE o.intent_id = n.id AND o.deadline >= c.tip_timestamp))
        ORDER BY n.not_before, n.id LIMIT $2";
    // SKIP LOCKED: two keepers on one database never hold the same intent.
    HOLD = "SELECT id FROM intents WHERE id = ANY($1) AND state = 'accepted' ORDER BY id FOR UPDATE SKIP LOCKED";
    PUT_BACK = "UPDATE intents SET tries = tries + 1, last_error = $2, updated_at = now(),
            state = CASE WHEN tries + 1 >= $3 THEN 'failed' ELSE 'accepted' END,
            not_before = now() + make_interval(secs => LEAST(60, 0.5 * power(2, LEAST(tries, 10)))) WHERE id = $1
            AND state IN ('accepted', 'signed', 'broadcast', 'unknown')";
    DEFER = "UPDATE intents SET deferrals = LEAST(deferrals + 1, 1000), last_error = $2, updated_at = now(), state = 'accepted',
            not_before = now() + make_interval(secs => LEAST(60, 0.5 * power(2, LEAST(deferrals, 10)))) WHERE id = $1";
    INSERT_ATTEMPT = "INSERT INTO attempts (chain_id, signer, nonce, raw_tx, tx_hash, gas_limit, max_fee, state)
        VALUES ($1, $2, $3, $4, $5, $6, $7::text::numeric, 'signed') RETURNING id";
    LINK = "INSERT INTO attempt_intents (attempt_id, intent_id) VALUES ($1, $2)";
    SIGN_INTENT = "UPDATE intents SET state = 'signed', updated_at = now() WHERE id = $1";
    MARK_ATTEMPT = "UPDATE attempts SET state = $2, last_error = $3, offered_at = clock_timestamp(),
            broadcast_at = CASE WHEN $2 = 'broadcast' THEN COALESCE(broadcast_at, clock_timestamp()) ELSE broadcast_at END
        WHERE id = $1 AND state IN ('signed', 'broadcast', 'unknown')";
    MARK_INTENTS = "UPDATE intents SET state = $2, last_error = $3, updated_at = now()
        WHERE id IN (SELECT intent_id FROM attempt_intents WHERE attempt_id = $1) AND state IN ('signed', 'broadcast', 'unknown')";
    OPEN = "SELECT a.id, a.nonce, a.raw_tx, a.tx_hash, a.state FROM attempts a
        WHERE a.chain_id = $1 AND a.signer = $2 AND a.state IN ('signed', 'broadcast', 'unknown')
        AND NOT EXISTS (SELECT 1 FROM observations o WHERE o.tx_hash = a.tx_hash)
        AND COALESCE(a.offered_at, a.created_at) <= clock_timestamp() - make_interval(secs => $3 / 1000.0)
        ORDER BY a.nonce, a.seq LIMIT $4";
    ENDED = "SELECT a.id, a.tx_hash, o.success FROM attempts a JOIN observations o ON o.tx_hash = a.tx_hash
        JOIN chains c ON c.chain_id = a.chain_id AND o.block_number <= c.final_number
        WHERE a.chain_id = $1 AND a.signer = $2 AND a.state IN ('signed', 'broadcast', 'unknown') ORDER BY a.id LIMIT $3";
    END_ATTEMPT = "UPDATE attempts SET state = 'final' WHERE id = $1 AND state <> 'final'";
    // Invoices are locked before their intents and in the order of their terms, as everywhere.
    WITHOUT_EFFECT = "SELECT n.id, n.terms_hash FROM attempt_intents l JOIN intents n ON n.id = l.intent_id
        JOIN invoice_terms t USING (terms_hash) JOIN invoices i ON i.id = t.invoice_id
        WHERE l.attempt_id = $1 AND n.state IN ('signed', 'broadcast', 'unknown') ORDER BY n.terms_hash FOR UPDATE OF i";
    BACKLOG = "SELECT count(*) FILTER (WHERE state = 'accepted') AS waiting,
            count(*) FILTER (WHERE state IN ('signed', 'broadcast', 'unknown')) AS in_flight,
            count(*) FILTER (WHERE state = 'failed') AS failed FROM intents WHERE chain_id = $1";
}

/// What an intent carries beside its terms.
#[derive(Clone, Debug)]
pub enum Payload {
    /// Nothing.
    None,
    /// A refund key's order, and its signature.
    Order(RefundOrder, Bytes),
    /// A payer's authorization.
    Authorization(Authorization),
}

/// An intent to carry out.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Its id.
    pub id: B256,
    /// What it wants.
    pub kind: IntentKind,
    /// With which token.
    pub token: Address,
    /// For whom.
    pub terms: InvoiceTerms,
    /// What else it needs.
    pub payload: Payload,
}

/// A signed transaction, about to be stored.
#[derive(Clone, Debug)]
pub struct NewAttempt<'a> {
    /// Chain id.
    pub chain: u64,
    /// Who signed.
    pub signer: Address,
    /// The nonce it uses.
    pub nonce: u64,
    /// The bytes that go on the wire.
    pub raw_tx: &'a [u8],
    /// Their hash.
    pub tx_hash: B256,
    /// Gas limit.
    pub gas_limit: u64,
    /// The most it pays per unit of gas, in wei.
    pub max_fee: u128,
    /// The intents it carries out.
    pub intents: &'a [B256],
}

/// A signed transaction that no block of ours has yet.
#[derive(Clone, Debug)]
pub struct OpenAttempt {
    /// Row id.
    pub id: i64,
    /// Nonce.
    pub nonce: u64,
    /// The bytes.
    pub raw_tx: Vec<u8>,
    /// Their hash.
    pub tx_hash: B256,
    /// Signed, broadcast or unknown.
    pub state: AttemptState,
}

/// A signed transaction that is in a finalized block.
#[derive(Clone, Debug)]
pub struct EndedAttempt {
    /// Row id.
    pub id: i64,
    /// Hash.
    pub tx_hash: B256,
    /// Whether it did not revert.
    pub success: bool,
}

/// How many intents are where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// Committed, not signed.
    pub waiting: u64,
    /// Signed, broadcast or unknown.
    pub in_flight: u64,
    /// Given up.
    pub failed: u64,
}

/// Makes a signer known, its next nonce at least `chain_nonce`; returns its next nonce. The count in Postgres never goes
/// back: a nonce that was given to signed bytes is never given to others.
pub async fn put_signer(db: &mut PgConnection, chain: u64, signer: Address, chain_nonce: u64) -> Result<u64, Error> {
    let query = sqlx::query(UPSERT_SIGNER).bind(big(chain)?).bind(signer.as_slice()).bind(big(chain_nonce)?);
    query.fetch_one(db).await?.u64("next_nonce")
}

/// Takes the signer's next nonce. Holds the signer's row until the transaction ends, so that nonces are used in order.
pub async fn take_nonce(db: &mut PgConnection, chain: u64, signer: Address) -> Result<u64, Error> {
    sqlx::query(TAKE_NONCE).bind(big(chain)?).bind(signer.as_slice()).fetch_one(db).await?.u64("nonce")
}

/// Up to `limit` intents of these kinds that wait, longest due first. Nothing is locked: whoever reads them may take his
/// time over them, and then has to [`hold`] them.
pub async fn waiting(
    db: &mut PgConnection,
    chain: u64,
    kinds: &[IntentKind],
    limit: u32,
) -> Result<Vec<Waiting>, Error> {
    let kinds: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
    let query = sqlx::query(WAITING).bind(big(chain)?).bind(i64::from(limit)).bind(kinds);
    let mut waiting = Vec::new();
    for row in query.fetch_all(&mut *db).await? {
        let (id, kind) = (row.hash("id")?, row.word("kind")?);
        let payload = match kind {
            IntentKind::RefundByOrder => {
                let (order, signature) = orders::order_of(db, id).await?;
                Payload::Order(order, signature)
            }
            IntentKind::Fund => Payload::Authorization(orders::authorization_of(db, id).await?),
            IntentKind::Settle | IntentKind::Cancel | IntentKind::Refund => Payload::None,
        };
        waiting.push(Waiting { id, kind, token: row.address("intent_token")?, terms: terms_of(&row)?, payload });
    }
    Ok(waiting)
}

/// Holds those of the intents that still wait and that nobody else holds, until the transaction ends; returns them.
pub async fn hold(db: &mut PgConnection, intents: &[B256]) -> Result<BTreeSet<B256>, Error> {
    let ids: Vec<&[u8]> = intents.iter().map(B256::as_slice).collect();
    sqlx::query(HOLD).bind(ids).fetch_all(db).await?.iter().map(|row| row.hash("id")).collect()
}

/// Puts an intent off because it would revert now: each time for longer, up to a minute, and for ever.
pub async fn defer(db: &mut PgConnection, intent: B256, error: &str) -> Result<(), Error> {
    sqlx::query(DEFER).bind(intent.as_slice()).bind(error).execute(db).await?;
    Ok(())
}

/// Puts an intent back for a later try after one without effect, or gives it up at `limit` tries.
pub async fn put_back(db: &mut PgConnection, intent: B256, error: &str, limit: u32) -> Result<(), Error> {
    let query = sqlx::query(PUT_BACK).bind(intent.as_slice()).bind(error);
    query.bind(i32::try_from(limit).unwrap_or(i32::MAX)).execute(db).await?;
    Ok(())
}

/// Stores a signed transaction and what it is for; returns its row id. Nothing is sent before this is committed.
pub async fn sign(db: &mut PgConnection, attempt: &NewAttempt<'_>) -> Result<i64, Error> {
    let row = sqlx::query(INSERT_ATTEMPT)
        .bind(big(attempt.chain)?)
        .bind(attempt.signer.as_slice())
        .bind(big(attempt.nonce)?)
        .bind(attempt.raw_tx)
        .bind(attempt.tx_hash.as_slice())
        .bind(big(attempt.gas_limit)?)
        .bind(attempt.max_fee.to_string())
        .fetch_one(&mut *db)
        .await?;
    let id: i64 = row.try_get("id")?;
    for intent in attempt.intents {
        sqlx::query(LINK).bind(id).bind(intent.as_slice()).execute(&mut *db).await?;
        sqlx::query(SIGN_INTENT).bind(intent.as_slice()).execute(&mut *db).await?;
    }
    Ok(id)
}

/// Notes what a node said to an attempt: `Broadcast` or `Unknown`, with its words if it had any.
pub async fn mark(db: &mut PgConnection, attempt: i64, state: AttemptState, words: Option<&str>) -> Result<(), Error> {
    for statement in [MARK_ATTEMPT, MARK_INTENTS] {
        sqlx::query(statement).bind(attempt).bind(state.as_str()).bind(words).execute(&mut *db).await?;
    }
    Ok(())
}

/// The signer's transactions that no mirrored block has and that were not offered to a node for `quiet`, by nonce.
pub async fn open(
    db: &mut PgConnection,
    chain: u64,
    signer: Address,
    quiet: Duration,
    limit: u32,
) -> Result<Vec<OpenAttempt>, Error> {
    let query = sqlx::query(OPEN).bind(big(chain)?).bind(signer.as_slice());
    let millis = i32::try_from(quiet.as_millis()).unwrap_or(i32::MAX);
    let rows = query.bind(millis).bind(i64::from(limit)).fetch_all(db).await?;
    let open = |row: &sqlx::postgres::PgRow| {
        Ok(OpenAttempt {
            id: row.try_get("id")?,
            nonce: row.u64("nonce")?,
            raw_tx: row.try_get("raw_tx")?,
            tx_hash: row.hash("tx_hash")?,
            state: row.word("state")?,
        })
    };
    rows.iter().map(open).collect()
}

/// The signer's transactions that are in a finalized block and not closed yet.
pub async fn ended(db: &mut PgConnection, chain: u64, signer: Address, limit: u32) -> Result<Vec<EndedAttempt>, Error> {
    let query = sqlx::query(ENDED).bind(big(chain)?).bind(signer.as_slice()).bind(i64::from(limit));
    let rows = query.fetch_all(db).await?;
    let ended = |row: &sqlx::postgres::PgRow| {
        Ok(EndedAttempt { id: row.try_get("id")?, tx_hash: row.hash("tx_hash")?, success: row.try_get("success")? })
    };
    rows.iter().map(ended).collect()
}

/// Closes a transaction that is final; returns the intents in it that are still without their effect, with their terms.
/// Only whoever closes it gets them: by the time a second one looks they may be on their way again.
pub async fn end(db: &mut PgConnection, attempt: i64) -> Result<Vec<(B256, B256)>, Error> {
    if sqlx::query(END_ATTEMPT).bind(attempt).execute(&mut *db).await?.rows_affected() == 0 {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(WITHOUT_EFFECT).bind(attempt).fetch_all(db).await?;
    rows.iter().map(|row| Ok((row.hash("id")?, row.hash("terms_hash")?))).collect()
}

/// How many intents are where, on one chain.
pub async fn backlog(db: &mut PgConnection, chain: u64) -> Result<Backlog, Error> {
    let row = sqlx::query(BACKLOG).bind(big(chain)?).fetch_one(db).await?;
    Ok(Backlog { waiting: row.u64("waiting")?, in_flight: row.u64("in_flight")?, failed: row.u64("failed")? })
}
