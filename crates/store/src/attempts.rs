//! The keeper's side: intents to carry out, and every transaction that was ever signed for them.
//!
//! A nonce belongs to the transaction that commits signed bytes for it, and is taken under a lease with a fencing token
//! ([`crate::leases`]). Several attempts may share a nonce; whichever a finalized block has decides for all of them.

use crate::codec::{Columns, big, chain_id};
use crate::invoices::terms_of;
use crate::leases::{self, Lease};
use crate::{Error, PgConnection, mints, orders, statements};
use alloy_primitives::{Address, B256, Bytes};
use domain::intent::{Answer, AttemptState, IntentKind};
use sqlx::Row;
use sqlx::postgres::PgRow;
use std::collections::BTreeSet;
use std::time::Duration;
use terms::abi::{Authorization, Deposit, RefundOrder};
use terms::{Account, Terms, TxId};

statements! {
    WAITING = "SELECT n.id, n.kind, n.token AS intent_token, n.cumulative_before::text AS cumulative_before, n.tries, t.terms_hash, t.invoice_id, t.version, t.chain_id, t.invoice_key, t.payee,
            t.token, t.amount_units::text AS amount, t.closes_at, t.refund_to, t.refund_key, t.settler, t.flags
        FROM intents n JOIN invoice_terms t USING (terms_hash)
        WHERE n.chain_id = $1 AND n.state = 'accepted' AND n.not_before <= now() AND n.kind = ANY($3)
        AND (n.kind NOT IN ('settle', 'fund', 'mint') OR EXISTS (SELECT 1 FROM invoice_terms p JOIN invoices i ON i.id = p.invoice_id
            WHERE p.terms_hash = n.terms_hash AND i.picked_chain = n.chain_id))
        AND (n.kind NOT IN ('settle', 'fund') OR NOT EXISTS (SELECT 1 FROM mint_orders o WHERE o.chain_id = n.chain_id
            AND o.terms_hash = n.terms_hash AND o.state IN ('wanted', 'attested', 'in_flight')))
        AND (n.kind <> 'refund_by_order' OR EXISTS (SELECT 1 FROM refund_orders o JOIN chains c ON c.chain_id = n.chain_id
            WHERE o.intent_id = n.id AND o.deadline >= c.tip_timestamp))
        ORDER BY n.not_before, n.id LIMIT $2";
    // SKIP LOCKED: two keepers on one database never hold the same intent. And whatever else went wrong: nothing pays an invoice
    // on a chain that is not the one it is paid on, and nothing but the order while one to mint is out.
    HOLD = "SELECT n.id FROM intents n WHERE n.id = ANY($1) AND n.state = 'accepted'
        AND (n.kind NOT IN ('settle', 'fund', 'mint') OR EXISTS (SELECT 1 FROM invoice_terms p JOIN invoices i ON i.id = p.invoice_id
            WHERE p.terms_hash = n.terms_hash AND i.picked_chain = n.chain_id))
        AND (n.kind NOT IN ('settle', 'fund') OR NOT EXISTS (SELECT 1 FROM mint_orders o WHERE o.chain_id = n.chain_id
            AND o.terms_hash = n.terms_hash AND o.state IN ('wanted', 'attested', 'in_flight')))
        ORDER BY n.id FOR UPDATE OF n SKIP LOCKED";
    PUT_BACK = "UPDATE intents SET tries = tries + 1, last_error = $2, updated_at = now(),
            state = CASE WHEN tries + 1 >= $3 THEN 'failed' ELSE 'accepted' END,
            not_before = now() + make_interval(secs => LEAST(60, 0.5 * power(2, LEAST(tries, 10)))) WHERE id = $1
            AND state IN ('accepted', 'signed', 'broadcast', 'unknown')";
    DEFER = "UPDATE intents SET deferrals = LEAST(deferrals + 1, 1000), last_error = $2, updated_at = now(), state = 'accepted',
            not_before = now() + make_interval(secs => LEAST(60, 0.5 * power(2, LEAST(deferrals, 10)))) WHERE id = $1";
    INSERT_ATTEMPT = "INSERT INTO attempts (chain_id, signer, nonce, seq, raw_tx, tx_hash, gas_limit, max_fee, expires_after, state, lease_epoch, noop)
        VALUES ($1, $2::account, $3,
            (SELECT COALESCE(MAX(seq) + 1, 0) FROM attempts WHERE chain_id = $1 AND signer = $2::account AND nonce = $3),
            $4, $5, $6, $7::text::numeric, $11, 'signed', $8, $9 OR COALESCE((SELECT noop FROM attempts WHERE id = $10), FALSE))
        RETURNING id";
    LINK = "INSERT INTO attempt_intents (attempt_id, intent_id) SELECT $1, unnest($2::bytea[])";
    LINK_AS = "INSERT INTO attempt_intents (attempt_id, intent_id) SELECT $1, intent_id FROM attempt_intents WHERE attempt_id = $2";
    // The caller holds them all.
    SIGN_INTENTS = "UPDATE intents SET state = 'signed', updated_at = now() WHERE id = ANY($1)";
    MARK_ATTEMPT = "UPDATE attempts SET state = $2, answer = $3, last_error = $4, offered_at = clock_timestamp(),
            rejections = CASE WHEN $3 = 'rejected' THEN rejections + 1 ELSE 0 END,
            broadcast_at = CASE WHEN $2 = 'broadcast' THEN COALESCE(broadcast_at, clock_timestamp()) ELSE broadcast_at END
        WHERE id = $1 AND state IN ('signed', 'broadcast', 'unknown')";
    // In one order, as everybody who locks several.
    MARK_INTENTS = "UPDATE intents SET last_error = $3, updated_at = CASE WHEN state = $2 THEN updated_at ELSE now() END, state = $2
        WHERE id IN (SELECT n.id FROM intents n WHERE n.id IN (SELECT l.intent_id FROM attempt_intents l
            JOIN attempts a ON a.id = l.attempt_id WHERE l.attempt_id = $1 AND a.state IN ('signed', 'broadcast', 'unknown'))
            ORDER BY n.id FOR UPDATE) AND state IN ('signed', 'broadcast', 'unknown')";
    // The newest attempt of each nonce that no mirrored block has any attempt of.
    OPEN = "SELECT * FROM (SELECT DISTINCT ON (a.nonce) a.id, a.nonce, a.raw_tx, a.tx_hash, a.state, a.answer, a.rejections, a.noop,
                COALESCE(a.offered_at, a.created_at) AS last_offer,
                (extract(epoch FROM clock_timestamp() - a.created_at) * 1000)::bigint AS age_ms,
                a.created_at < (SELECT c.updated_at FROM chains c WHERE c.chain_id = a.chain_id) AS passed_over
            FROM attempts a WHERE a.chain_id = $1 AND a.signer = $2 AND a.state IN ('signed', 'broadcast', 'unknown')
            AND NOT EXISTS (SELECT 1 FROM attempts b JOIN observations o ON o.tx_hash = b.tx_hash
                WHERE b.chain_id = a.chain_id AND b.signer = a.signer AND b.nonce = a.nonce)
            ORDER BY a.nonce, a.seq DESC) newest
        WHERE last_offer <= clock_timestamp() - make_interval(secs => $3 / 1000.0) ORDER BY nonce LIMIT $4";
    ENDED = "SELECT a.id, a.nonce, a.tx_hash, a.noop, COALESCE(o.success, TRUE) AS success FROM attempts a
        JOIN observations o ON o.tx_hash = a.tx_hash JOIN chains c ON c.chain_id = a.chain_id AND o.block_number <= c.final_number
        WHERE a.chain_id = $1 AND a.signer = $2 AND a.state IN ('signed', 'broadcast', 'unknown') ORDER BY a.id LIMIT $3";
    END_ATTEMPT = "UPDATE attempts SET state = 'final' WHERE id = $1 AND state IN ('signed', 'broadcast', 'unknown')
        RETURNING chain_id, signer, nonce";
    REPLACE = "UPDATE attempts SET state = 'replaced', last_error = $4 WHERE chain_id = $1 AND signer = $2 AND nonce = $3
        AND state IN ('signed', 'broadcast', 'unknown')";
    // Invoices are locked before their intents and in the order of their ids, as everywhere.
    WITHOUT_EFFECT = "SELECT n.id, n.terms_hash, i.id AS invoice_id FROM intents n JOIN invoice_terms t USING (terms_hash)
        JOIN invoices i ON i.id = t.invoice_id
        WHERE n.id IN (SELECT l.intent_id FROM attempt_intents l JOIN attempts a ON a.id = l.attempt_id
            WHERE a.chain_id = $1 AND a.signer = $2 AND a.nonce = $3)
        AND n.state IN ('signed', 'broadcast', 'unknown') ORDER BY i.id, n.terms_hash FOR UPDATE OF i";
    UNSEEN = "SELECT a.nonce, array_agg(a.tx_hash::bytea) AS hashes,
            CASE WHEN bool_and(a.expires_after IS NOT NULL) THEN max(a.expires_after) END AS expires_after FROM attempts a
        WHERE a.chain_id = $1 AND a.signer = $2 AND a.state IN ('signed', 'broadcast', 'unknown')
        AND NOT EXISTS (SELECT 1 FROM attempts b JOIN observations o ON o.tx_hash = b.tx_hash
            WHERE b.chain_id = a.chain_id AND b.signer = a.signer AND b.nonce = a.nonce)
        GROUP BY a.nonce ORDER BY a.nonce LIMIT $3";
    GAPS = "SELECT g.nonce FROM signers s, generate_series(GREATEST($3::bigint, s.first_nonce),
            LEAST(s.next_nonce, GREATEST($3::bigint, s.first_nonce) + $4::bigint) - 1) AS g (nonce)
        WHERE s.chain_id = $1 AND s.address = $2 AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.chain_id = $1 AND a.signer = $2
            AND a.nonce >= $3 AND a.nonce = g.nonce AND a.state <> 'replaced') ORDER BY g.nonce";
    BUSY = "SELECT DISTINCT signer FROM attempts WHERE chain_id = $1 AND state IN ('signed', 'broadcast', 'unknown') ORDER BY signer";
    LOAD = "SELECT s.address, count(DISTINCT a.nonce) AS in_flight, COALESCE(bool_or(a.answer = 'unfunded'), FALSE) AS unfunded
        FROM signers s LEFT JOIN attempts a ON a.chain_id = s.chain_id AND a.signer = s.address
            AND a.state IN ('signed', 'broadcast', 'unknown')
            AND NOT EXISTS (SELECT 1 FROM attempts b JOIN observations o ON o.tx_hash = b.tx_hash
                WHERE b.chain_id = a.chain_id AND b.signer = a.signer AND b.nonce = a.nonce)
        WHERE s.chain_id = $1 AND s.address = ANY($2) GROUP BY s.address ORDER BY unfunded, in_flight, s.address";
    BACKLOG = "SELECT count(*) FILTER (WHERE state = 'accepted') AS waiting,
            count(*) FILTER (WHERE state IN ('signed', 'broadcast', 'unknown')) AS in_flight,
            count(*) FILTER (WHERE state = 'failed') AS failed FROM intents WHERE chain_id = $1";
}

/// What an intent carries beside its terms.
#[derive(Clone)]
pub enum Payload {
    /// Nothing.
    None,
    /// A refund key's order, and its signature.
    Order(RefundOrder, Bytes),
    /// A payer's authorization.
    Authorization(Authorization),
    /// A deposit, the attestors' signatures for it in the order the gate wants them, and that gate.
    Attestation(Address, Deposit, Vec<Bytes>),
}

// Without signatures: whoever has one can use it before we do.
impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Order(order, _) => write!(f, "Order(to {})", order.to),
            Self::Authorization(authorization) => write!(f, "Authorization(from {})", authorization.from),
            Self::Attestation(_, deposit, _) => write!(f, "Attestation(of {})", deposit.depositId),
        }
    }
}

/// An intent to carry out.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Its id.
    pub id: B256,
    /// The invoice it is for.
    pub invoice_id: String,
    /// What it wants.
    pub kind: IntentKind,
    /// What is to be done, or what is wrong with its rows: one that cannot be read holds nobody else up.
    pub work: Result<Work, String>,
}

/// What an intent is about.
#[derive(Clone, Debug)]
pub struct Work {
    /// With which token.
    pub token: Account,
    /// For whom.
    pub terms: Terms,
    /// What else it needs.
    pub payload: Payload,
}

/// A signed transaction, about to be stored.
#[derive(Clone, Debug)]
pub struct NewAttempt<'a> {
    /// The key that signed, and the right to use it.
    pub lease: Lease,
    /// The nonce it uses.
    pub nonce: u64,
    /// The bytes that go on the wire.
    pub raw_tx: &'a [u8],
    /// Their name.
    pub tx_hash: TxId,
    /// Gas limit.
    pub gas_limit: u64,
    /// The most it pays per unit of gas, in the chain's own smallest unit of it.
    pub max_fee: u128,
    /// The last block height at which it may land; `None`: any.
    pub expires_after: Option<u64>,
    /// What it is for.
    pub purpose: Purpose<'a>,
}

/// What a transaction is for.
#[derive(Clone, Copy, Debug)]
pub enum Purpose<'a> {
    /// To carry out these intents.
    Intents(&'a [B256]),
    /// To carry out what another attempt (its row id) is for, under the same nonce and with higher fees.
    Again(i64),
    /// To use the nonce up.
    Nothing,
}

/// The newest transaction under a nonce of which no block of ours has any.
#[derive(Clone, Debug)]
pub struct OpenAttempt {
    /// Row id.
    pub id: i64,
    /// Nonce.
    pub nonce: u64,
    /// The bytes.
    pub raw_tx: Vec<u8>,
    /// Their hash.
    pub tx_hash: TxId,
    /// Signed, broadcast or unknown.
    pub state: AttemptState,
    /// What a node said last.
    pub answer: Option<Answer>,
    /// How often in a row a node said that no node will ever take it.
    pub rejections: u32,
    /// Whether it does nothing but use the nonce up.
    pub noop: bool,
    /// How long ago it was signed.
    pub age: Duration,
    /// Whether the chain has gone on since, without it.
    pub passed_over: bool,
}

/// A signed transaction that is in a finalized block.
#[derive(Clone, Debug)]
pub struct EndedAttempt {
    /// Row id.
    pub id: i64,
    /// Nonce.
    pub nonce: u64,
    /// Hash.
    pub tx_hash: TxId,
    /// Whether it did nothing but use the nonce up.
    pub noop: bool,
    /// Whether it did not revert, as far as is known.
    pub success: bool,
}

/// An intent whose transactions are over, and that shows no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WithoutEffect {
    /// The intent.
    pub id: B256,
    /// Its terms.
    pub terms_hash: B256,
    /// The invoice.
    pub invoice_id: String,
}

/// A nonce that is not closed and of which no mirrored block has a transaction of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnseenNonce {
    /// The nonce.
    pub nonce: u64,
    /// Our transactions under it.
    pub txs: Vec<TxId>,
    /// The last block height at which any of them may land; `None`: any.
    pub expires_after: Option<u64>,
}

/// How much a signer has on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// The signer.
    pub signer: Account,
    /// Nonces whose transactions no mirrored block has.
    pub in_flight: u64,
    /// Whether a node said that it has too little coin for one of them.
    pub unfunded: bool,
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

/// Up to `limit` intents of these kinds that wait, longest due first. Nothing is locked: whoever reads them may take his
/// time over them, and then has to [`hold`] them.
pub async fn waiting(
    db: &mut PgConnection,
    chain: u64,
    kinds: &[IntentKind],
    limit: u32,
) -> Result<Vec<Waiting>, Error> {
    let kinds: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
    let query = sqlx::query(WAITING).bind(chain_id(chain)).bind(i64::from(limit)).bind(kinds);
    let mut waiting = Vec::new();
    for row in query.fetch_all(&mut *db).await? {
        let (id, kind) = (row.hash("id")?, row.word("kind")?);
        let work = match work_of(db, id, kind, &row).await {
            Err(error) if error.is_of_the_data() => Err(error.to_string()),
            work => Ok(work?),
        };
        waiting.push(Waiting { id, invoice_id: row.try_get("invoice_id")?, kind, work });
    }
    Ok(waiting)
}

async fn work_of(db: &mut PgConnection, id: B256, kind: IntentKind, row: &PgRow) -> Result<Work, Error> {
    let payload = match kind {
        IntentKind::RefundByOrder => {
            let (order, signature) = orders::order_of(db, id).await?;
            Payload::Order(order, signature)
        }
        IntentKind::Fund => Payload::Authorization(orders::authorization_of(db, id).await?),
        IntentKind::Mint => {
            match mints::attested(db, row.hash("terms_hash")?, row.u256("cumulative_before")?.into()).await? {
                Some((gate, deposit, signatures)) => Payload::Attestation(gate, deposit, signatures),
                None => Payload::None,
            }
        }
        IntentKind::Settle | IntentKind::Cancel | IntentKind::Refund | IntentKind::Redeem => Payload::None,
    };
    Ok(Work { token: row.account("intent_token")?, terms: terms_of(row)?, payload })
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

/// Stores a signed transaction and what it is for; returns its row id. Nothing is sent before this is committed. Refused
/// with [`Error::LeaseLost`] where somebody else has the key by now.
pub async fn sign(db: &mut PgConnection, attempt: &NewAttempt<'_>) -> Result<i64, Error> {
    let lease = attempt.lease;
    leases::check(db, lease).await?;
    let row = sqlx::query(INSERT_ATTEMPT)
        .bind(chain_id(lease.chain))
        .bind(lease.signer.as_bytes())
        .bind(big(attempt.nonce)?)
        .bind(attempt.raw_tx)
        .bind(attempt.tx_hash.as_bytes())
        .bind(big(attempt.gas_limit)?)
        .bind(attempt.max_fee.to_string())
        .bind(lease.epoch)
        .bind(matches!(attempt.purpose, Purpose::Nothing))
        .bind(match attempt.purpose {
            Purpose::Again(other) => Some(other),
            Purpose::Intents(_) | Purpose::Nothing => None,
        })
        .bind(attempt.expires_after.map(big).transpose()?)
        .fetch_one(&mut *db)
        .await?;
    let id: i64 = row.try_get("id")?;
    match attempt.purpose {
        Purpose::Intents(intents) => {
            let intents: Vec<&[u8]> = intents.iter().map(B256::as_slice).collect();
            sqlx::query(LINK).bind(id).bind(&intents).execute(&mut *db).await?;
            sqlx::query(SIGN_INTENTS).bind(&intents).execute(&mut *db).await?;
        }
        Purpose::Again(other) => {
            sqlx::query(LINK_AS).bind(id).bind(other).execute(&mut *db).await?;
        }
        Purpose::Nothing => {}
    }
    Ok(id)
}

/// Notes what a node said to an attempt, with its words if it had any.
pub async fn mark(db: &mut PgConnection, attempt: i64, answer: Answer, words: Option<&str>) -> Result<(), Error> {
    let state = answer.state().as_str();
    let query = sqlx::query(MARK_ATTEMPT).bind(attempt).bind(state).bind(answer.as_str()).bind(words);
    query.execute(&mut *db).await?;
    sqlx::query(MARK_INTENTS).bind(attempt).bind(state).bind(words).execute(db).await?;
    Ok(())
}

/// For each of the signer's nonces of which no mirrored block has a transaction, the newest transaction under it, if it was
/// not offered to a node for `quiet`; by nonce.
pub async fn open(
    db: &mut PgConnection,
    chain: u64,
    signer: Account,
    quiet: Duration,
    limit: u32,
) -> Result<Vec<OpenAttempt>, Error> {
    let query = sqlx::query(OPEN).bind(chain_id(chain)).bind(signer.as_bytes());
    let millis = i32::try_from(quiet.as_millis()).unwrap_or(i32::MAX);
    let rows = query.bind(millis).bind(i64::from(limit)).fetch_all(db).await?;
    let open = |row: &PgRow| {
        let answer: Option<&str> = row.try_get("answer")?;
        Ok(OpenAttempt {
            id: row.try_get("id")?,
            nonce: row.u64("nonce")?,
            raw_tx: row.try_get("raw_tx")?,
            tx_hash: row.tx("tx_hash")?,
            state: row.word("state")?,
            answer: answer.map(|_| row.word("answer")).transpose()?,
            rejections: u32::try_from(row.try_get::<i32, _>("rejections")?).unwrap_or(0),
            noop: row.try_get("noop")?,
            age: Duration::from_millis(row.try_get::<i64, _>("age_ms")?.try_into().unwrap_or(0)),
            passed_over: row.try_get::<Option<bool>, _>("passed_over")?.unwrap_or(false),
        })
    };
    rows.iter().map(open).collect()
}

/// The signer's transactions that are in a finalized block and not closed yet.
pub async fn ended(db: &mut PgConnection, chain: u64, signer: Account, limit: u32) -> Result<Vec<EndedAttempt>, Error> {
    let query = sqlx::query(ENDED).bind(chain_id(chain)).bind(signer.as_bytes()).bind(i64::from(limit));
    let rows = query.fetch_all(db).await?;
    let ended = |row: &PgRow| {
        Ok(EndedAttempt {
            id: row.try_get("id")?,
            nonce: row.u64("nonce")?,
            tx_hash: row.tx("tx_hash")?,
            noop: row.try_get("noop")?,
            success: row.try_get("success")?,
        })
    };
    rows.iter().map(ended).collect()
}

/// Closes a transaction that is final, and with it all others under its nonce; returns the intents of that nonce that are
/// still without their effect. Only whoever closes it gets them: by the time a second one looks they may be on their way
/// again.
pub async fn end(db: &mut PgConnection, attempt: i64) -> Result<Vec<WithoutEffect>, Error> {
    let Some(row) = sqlx::query(END_ATTEMPT).bind(attempt).fetch_optional(&mut *db).await? else {
        return Ok(Vec::new());
    };
    let (chain, signer, nonce) = (row.chain("chain_id")?, row.account("signer")?, row.u64("nonce")?);
    replace(db, chain, signer, nonce, "another transaction under this nonce is final").await?;
    without_effect(db, chain, signer, nonce).await
}

/// Closes every transaction under a nonce that is proven to be used by one that is none of ours; returns the intents of that
/// nonce. For whoever has the proof: a finalized count above the nonce, and no receipt for any of them.
pub async fn give_up_nonce(
    db: &mut PgConnection,
    chain: u64,
    signer: Account,
    nonce: u64,
    words: &str,
) -> Result<Vec<WithoutEffect>, Error> {
    match replace(db, chain, signer, nonce, words).await? {
        0 => Ok(Vec::new()),
        _ => without_effect(db, chain, signer, nonce).await,
    }
}

async fn replace(db: &mut PgConnection, chain: u64, signer: Account, nonce: u64, words: &str) -> Result<u64, Error> {
    let query = sqlx::query(REPLACE).bind(chain_id(chain)).bind(signer.as_bytes()).bind(big(nonce)?).bind(words);
    Ok(query.execute(db).await?.rows_affected())
}

async fn without_effect(
    db: &mut PgConnection,
    chain: u64,
    signer: Account,
    nonce: u64,
) -> Result<Vec<WithoutEffect>, Error> {
    let query = sqlx::query(WITHOUT_EFFECT).bind(chain_id(chain)).bind(signer.as_bytes()).bind(big(nonce)?);
    let rows = query.fetch_all(db).await?;
    let intent = |row: &PgRow| {
        Ok(WithoutEffect {
            id: row.hash("id")?,
            terms_hash: row.hash("terms_hash")?,
            invoice_id: row.try_get("invoice_id")?,
        })
    };
    rows.iter().map(intent).collect()
}

/// The signer's nonces that are not closed and of which no mirrored block has a transaction, lowest first.
pub async fn unseen(db: &mut PgConnection, chain: u64, signer: Account, limit: u32) -> Result<Vec<UnseenNonce>, Error> {
    let query = sqlx::query(UNSEEN).bind(chain_id(chain)).bind(signer.as_bytes()).bind(i64::from(limit));
    let rows = query.fetch_all(db).await?;
    let unseen = |row: &PgRow| {
        let txs: Vec<Vec<u8>> = row.try_get("hashes")?;
        let txs = txs.iter().map(|tx| TxId::from_bytes(tx)).collect::<Result<_, _>>();
        let expires_after: Option<i64> = row.try_get("expires_after")?;
        Ok(UnseenNonce {
            nonce: row.u64("nonce")?,
            txs: txs.map_err(|_| crate::codec::corrupt("hashes"))?,
            expires_after: expires_after.map(|_| row.u64("expires_after")).transpose()?,
        })
    };
    rows.iter().map(unseen).collect()
}

/// The signer's nonces from `count` on, at most `limit` of them looked at, that were given out and have no transaction that
/// could use them.
pub async fn gaps(
    db: &mut PgConnection,
    chain: u64,
    signer: Account,
    count: u64,
    limit: u32,
) -> Result<Vec<u64>, Error> {
    let query =
        sqlx::query(GAPS).bind(chain_id(chain)).bind(signer.as_bytes()).bind(big(count)?).bind(i64::from(limit));
    query.fetch_all(db).await?.iter().map(|row| row.u64("nonce")).collect()
}

/// The signers that have transactions which are not closed, whether we hold them or not.
pub async fn busy(db: &mut PgConnection, chain: u64) -> Result<Vec<Account>, Error> {
    let rows = sqlx::query(BUSY).bind(chain_id(chain)).fetch_all(db).await?;
    rows.iter().map(|row| row.account("signer")).collect()
}

/// How much these signers have on their way: the one to use next first.
pub async fn load(db: &mut PgConnection, chain: u64, signers: &[Account]) -> Result<Vec<Load>, Error> {
    let signers: Vec<&[u8]> = signers.iter().map(Account::as_bytes).collect();
    let rows = sqlx::query(LOAD).bind(chain_id(chain)).bind(signers).fetch_all(db).await?;
    let load = |row: &PgRow| {
        Ok(Load {
            signer: row.account("address")?,
            in_flight: row.u64("in_flight")?,
            unfunded: row.try_get("unfunded")?,
        })
    };
    rows.iter().map(load).collect()
}

/// How many intents are where, on one chain.
pub async fn backlog(db: &mut PgConnection, chain: u64) -> Result<Backlog, Error> {
    let row = sqlx::query(BACKLOG).bind(chain_id(chain)).fetch_one(db).await?;
    Ok(Backlog { waiting: row.u64("waiting")?, in_flight: row.u64("in_flight")?, failed: row.u64("failed")? })
}
