//! What a look at the whole installation needs of Postgres: how old things are, and which are stuck.

use crate::codec::{Columns, big, chain_id};
use crate::{Error, PgConnection, statements};
use alloy_primitives::B256;
use domain::intent::IntentKind;
use sqlx::Row;
use sqlx::postgres::PgRow;
use std::time::Duration;
use terms::{Account, TxId};
use time::OffsetDateTime;

/// The most rows of one kind that are named.
pub const MAX_NAMED: u32 = 20;

/// One query for all that is wrong with intents: which, whose, since when.
macro_rules! concat_intents {
    ($where:literal) => {
        concat!(
            "SELECT n.id, n.kind, n.state, n.last_error, n.tries, n.deferrals, i.id AS invoice_id, i.number,
                extract(epoch FROM clock_timestamp() - n.updated_at)::bigint AS age, count(*) OVER () AS total
            FROM intents n JOIN invoice_terms t USING (terms_hash) JOIN invoices i ON i.id = t.invoice_id
            WHERE n.chain_id = $1 AND ",
            $where,
            " ORDER BY n.updated_at LIMIT $2"
        )
    };
}

statements! {
    CLOCK = "SELECT clock_timestamp() AS now";
    MIGRATIONS = "SELECT version FROM _sqlx_migrations WHERE success ORDER BY version";
    WAITING = concat_intents!("n.state = 'accepted' AND n.deferrals < $4 AND n.not_before < clock_timestamp() - make_interval(secs => $3::integer)");
    IN_FLIGHT = concat_intents!("n.state IN ('signed', 'broadcast', 'unknown') AND n.updated_at < clock_timestamp() - make_interval(secs => $3::integer)
        AND $4::integer IS NOT NULL");
    FAILED = concat_intents!("n.state = 'failed' AND $3::integer IS NOT NULL AND $4::integer IS NOT NULL");
    DEFERRED = concat_intents!("n.state = 'accepted' AND n.deferrals >= $4 AND $3::integer IS NOT NULL");
    UNMINED = "SELECT a.tx_hash, a.nonce, a.state, a.last_error, extract(epoch FROM clock_timestamp() - a.created_at)::bigint AS age,
            count(*) OVER () AS total
        FROM attempts a WHERE a.chain_id = $1 AND a.state IN ('signed', 'broadcast', 'unknown')
        AND a.created_at < clock_timestamp() - make_interval(secs => $3::integer)
        AND NOT EXISTS (SELECT 1 FROM observations o WHERE o.tx_hash = a.tx_hash) ORDER BY a.nonce LIMIT $2";
    NEXT_NONCE = "SELECT next_nonce FROM signers WHERE chain_id = $1 AND address = $2";
    NONCES = "SELECT count(DISTINCT nonce) AS held FROM attempts WHERE chain_id = $1 AND signer = $2 AND nonce >= $3 AND nonce < $4
        AND state <> 'replaced'";
    OVERDUE = "SELECT i.id AS invoice_id, i.number, count(*) OVER () AS total,
            GREATEST(c.tip_timestamp - t.wake_seen_at, c.final_timestamp - t.wake_final_at) AS age
        FROM invoice_terms t JOIN chains c USING (chain_id) JOIN invoices i ON i.id = t.invoice_id WHERE t.chain_id = $1
        AND (t.wake_seen_at <= c.tip_timestamp - $3 OR t.wake_final_at <= c.final_timestamp - $3) ORDER BY age DESC LIMIT $2";
    LEASE = "SELECT EXISTS (SELECT 1 FROM signers WHERE chain_id = $1 AND address = $2 AND lease_until > clock_timestamp()) AS held,
            (SELECT count(*) FROM intents WHERE chain_id = $1 AND state = 'accepted' AND not_before <= clock_timestamp()
                AND kind = ANY($3)) AS waiting";
    // Of the escrow, or of the invoice's own token: what they say may be money that is not booked.
    QUARANTINED = "SELECT q.block_number, q.log_index::text AS log_index, q.tx_hash, q.address, q.reason, i.number,
            count(*) OVER () AS total
        FROM quarantined_logs q LEFT JOIN invoice_terms t USING (terms_hash) LEFT JOIN invoices i ON i.id = t.invoice_id
        WHERE q.chain_id = $1 AND (q.terms_hash IS NULL OR q.address = t.token)
        ORDER BY q.block_number DESC, q.position LIMIT $2";
    // Whoever can make a token can make these, as many as are kept: they must not keep an operator from seeing the others.
    QUARANTINED_FOREIGN = "SELECT count(*) AS total FROM quarantined_logs q JOIN invoice_terms t USING (terms_hash)
        WHERE q.chain_id = $1 AND q.address <> t.token";
    NOT_UP_TO_DATE = "SELECT i.id AS invoice_id, i.number, s.error, s.tries, count(*) OVER () AS total,
            extract(epoch FROM clock_timestamp() - s.since)::bigint AS age
        FROM stuck_invoices s JOIN invoice_terms t USING (terms_hash) JOIN invoices i ON i.id = t.invoice_id
        WHERE s.chain_id = $1 ORDER BY s.since, i.id LIMIT $2";
    // What waits for the customer's word, or for the thirty days after which anyone may send it back, is not stuck.
    UNDESTROYED = "SELECT i.id AS invoice_id, i.number, count(*) OVER () AS total,
            c.final_timestamp - extract(epoch FROM w.expires_at)::bigint AS age
        FROM invoice_wallets w JOIN invoices i ON i.id = w.invoice_id JOIN invoice_terms t ON t.invoice_id = i.id
        JOIN chains c USING (chain_id) WHERE t.chain_id = $1 AND w.status <> 'destroyed' AND NOT 'refund_due' = ANY(i.exceptions)
        AND w.expires_at < to_timestamp(c.final_timestamp - $3) ORDER BY w.expires_at LIMIT $2";
}

/// An intent that is in the way of itself.
#[derive(Clone, Debug)]
pub struct StuckIntent {
    /// Its id.
    pub id: B256,
    /// settle, cancel, refund, …
    pub kind: String,
    /// Where it stands.
    pub state: String,
    /// What went wrong last.
    pub error: Option<String>,
    /// How often it was put off.
    pub deferrals: i32,
    /// Its invoice.
    pub invoice: Named,
}

/// An invoice by our id and the tenant's number, and for how long, in seconds.
#[derive(Clone, Debug)]
pub struct Named {
    /// Our id.
    pub id: String,
    /// The tenant's number.
    pub number: String,
    /// Seconds.
    pub age: u64,
}

/// A signed transaction that no block has.
#[derive(Clone, Debug)]
pub struct Unmined {
    /// Its name.
    pub hash: TxId,
    /// Its nonce.
    pub nonce: u64,
    /// Signed, broadcast or unknown.
    pub state: String,
    /// What the node said last.
    pub error: Option<String>,
    /// Seconds since it was signed.
    pub age: u64,
}

/// A log of the escrow, or of an invoice's own token, that could not be understood or booked.
#[derive(Clone, Debug)]
pub struct Quarantined {
    /// Its block's height.
    pub block: u64,
    /// Its index, if it has one.
    pub index: Option<String>,
    /// Its transaction, if it has one.
    pub tx: Option<TxId>,
    /// Who emitted it.
    pub address: Account,
    /// Why.
    pub reason: String,
    /// The tenant's number of the invoice whose address it names.
    pub number: Option<String>,
}

/// An invoice that could not be brought up to date.
#[derive(Clone, Debug)]
pub struct NotUpToDate {
    /// Which, and since when.
    pub invoice: Named,
    /// The error of the last try.
    pub error: String,
    /// How often it was tried.
    pub tries: i32,
}

/// The first of a kind, and how many there are.
#[derive(Clone, Debug)]
pub struct First<T> {
    /// At most [`MAX_NAMED`].
    pub named: Vec<T>,
    /// All.
    pub total: u64,
}

/// How long is too long.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For an intent that nobody signs.
    pub waiting: Duration,
    /// For one that is signed, and for a transaction without a block.
    pub in_flight: Duration,
    /// For an invoice at which nobody has looked, and a wallet that nobody has destroyed.
    pub overdue: Duration,
    /// So many times put off is often.
    pub deferrals: i32,
}

/// Everything that may be stuck on one chain.
#[derive(Clone, Debug)]
pub struct Stuck {
    /// Intents that nobody signs.
    pub waiting: First<StuckIntent>,
    /// Intents that are signed and have no effect.
    pub in_flight: First<StuckIntent>,
    /// Intents that were given up.
    pub failed: First<StuckIntent>,
    /// Intents that would revert again and again.
    pub deferred: First<StuckIntent>,
    /// Transactions that no block has.
    pub unmined: First<Unmined>,
    /// Invoices whose time has come and at which nobody has looked.
    pub overdue: First<Named>,
    /// Wallets past their time.
    pub undestroyed: First<Named>,
    /// Logs that may be money that is not booked.
    pub quarantined: First<Quarantined>,
    /// How many logs of other tokens are in quarantine.
    pub quarantined_foreign: u64,
    /// Invoices that could not be brought up to date.
    pub not_up_to_date: First<NotUpToDate>,
}

/// A signer's nonces in Postgres.
#[derive(Clone, Copy, Debug)]
pub struct Nonces {
    /// The next it would be given.
    pub next: u64,
    /// How many of those from the chain's count on are held by signed bytes.
    pub held: u64,
}

/// Whether a signer is in use, and whether it should be.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    /// Whether somebody has its lease.
    pub held: bool,
    /// Intents of its duty that could be signed now.
    pub waiting: u64,
}

/// Postgres's clock.
pub async fn clock(db: &mut PgConnection) -> Result<OffsetDateTime, Error> {
    Ok(sqlx::query(CLOCK).fetch_one(db).await?.try_get("now")?)
}

/// Versions of the migrations that were applied, and of those that this program has.
pub async fn migrations(db: &mut PgConnection) -> Result<(Vec<i64>, Vec<i64>), Error> {
    let rows = sqlx::query(MIGRATIONS).fetch_all(db).await?;
    let applied = rows.iter().map(|row| row.try_get("version")).collect::<Result<_, _>>()?;
    let ours = sqlx::migrate!("./migrations").iter().map(|migration| migration.version).collect();
    Ok((applied, ours))
}

/// What is stuck on `chain`, with the first of each kind by name.
pub async fn stuck(db: &mut PgConnection, chain: u64, patience: Patience) -> Result<Stuck, Error> {
    let seconds = |duration: Duration| duration.as_secs();
    let Patience { waiting, in_flight, overdue, deferrals } = patience;
    Ok(Stuck {
        waiting: intents(db, WAITING, chain, seconds(waiting), deferrals).await?,
        in_flight: intents(db, IN_FLIGHT, chain, seconds(in_flight), deferrals).await?,
        failed: intents(db, FAILED, chain, 0, deferrals).await?,
        deferred: intents(db, DEFERRED, chain, 0, deferrals).await?,
        unmined: unmined(db, chain, seconds(in_flight)).await?,
        overdue: invoices(db, OVERDUE, chain, seconds(overdue)).await?,
        undestroyed: invoices(db, UNDESTROYED, chain, seconds(overdue)).await?,
        quarantined: quarantined(db, chain).await?,
        quarantined_foreign: sqlx::query(QUARANTINED_FOREIGN)
            .bind(chain_id(chain))
            .fetch_one(&mut *db)
            .await?
            .u64("total")?,
        not_up_to_date: not_up_to_date(db, chain).await?,
    })
}

/// A signer's nonces, from the chain's own count on; `None` if it has never been used here.
pub async fn nonces(
    db: &mut PgConnection,
    chain: u64,
    signer: Account,
    chain_nonce: u64,
) -> Result<Option<Nonces>, Error> {
    let row = sqlx::query(NEXT_NONCE).bind(chain_id(chain)).bind(signer.as_bytes()).fetch_optional(&mut *db).await?;
    let Some(row) = row else { return Ok(None) };
    let next = row.u64("next_nonce")?;
    let query = sqlx::query(NONCES).bind(chain_id(chain)).bind(signer.as_bytes());
    let held = query.bind(big(chain_nonce)?).bind(big(next)?).fetch_one(db).await?.u64("held")?;
    Ok(Some(Nonces { next, held }))
}

/// Whether somebody has the signer's lease, and how many intents of these kinds wait.
pub async fn held(db: &mut PgConnection, chain: u64, signer: Account, kinds: &[IntentKind]) -> Result<Held, Error> {
    let kinds: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
    let row = sqlx::query(LEASE).bind(chain_id(chain)).bind(signer.as_bytes()).bind(kinds).fetch_one(db).await?;
    Ok(Held { held: row.try_get("held")?, waiting: row.u64("waiting")? })
}

async fn intents(
    db: &mut PgConnection,
    sql: &'static str,
    chain: u64,
    seconds: u64,
    deferrals: i32,
) -> Result<First<StuckIntent>, Error> {
    let query = sqlx::query(sql).bind(chain_id(chain)).bind(i64::from(MAX_NAMED));
    let rows = query.bind(i32::try_from(seconds).unwrap_or(i32::MAX)).bind(deferrals).fetch_all(db).await?;
    some(&rows, |row| {
        Ok(StuckIntent {
            id: row.hash("id")?,
            kind: row.try_get("kind")?,
            state: row.try_get("state")?,
            error: row.try_get("last_error")?,
            deferrals: row.try_get("deferrals")?,
            invoice: named(row)?,
        })
    })
}

async fn invoices(db: &mut PgConnection, sql: &'static str, chain: u64, seconds: u64) -> Result<First<Named>, Error> {
    let query = sqlx::query(sql).bind(chain_id(chain)).bind(i64::from(MAX_NAMED)).bind(big(seconds)?);
    some(&query.fetch_all(db).await?, named)
}

async fn unmined(db: &mut PgConnection, chain: u64, seconds: u64) -> Result<First<Unmined>, Error> {
    let query = sqlx::query(UNMINED).bind(chain_id(chain)).bind(i64::from(MAX_NAMED));
    let rows = query.bind(i32::try_from(seconds).unwrap_or(i32::MAX)).fetch_all(db).await?;
    some(&rows, |row| {
        Ok(Unmined {
            hash: row.tx("tx_hash")?,
            nonce: row.u64("nonce")?,
            state: row.try_get("state")?,
            error: row.try_get("last_error")?,
            age: age(row)?,
        })
    })
}

async fn quarantined(db: &mut PgConnection, chain: u64) -> Result<First<Quarantined>, Error> {
    let rows = sqlx::query(QUARANTINED).bind(chain_id(chain)).bind(i64::from(MAX_NAMED)).fetch_all(db).await?;
    some(&rows, |row| {
        let tx: Option<&[u8]> = row.try_get("tx_hash")?;
        Ok(Quarantined {
            block: row.u64("block_number")?,
            index: row.try_get("log_index")?,
            tx: tx.map(|_| row.tx("tx_hash")).transpose()?,
            address: row.account("address")?,
            reason: row.try_get("reason")?,
            number: row.try_get("number")?,
        })
    })
}

async fn not_up_to_date(db: &mut PgConnection, chain: u64) -> Result<First<NotUpToDate>, Error> {
    let rows = sqlx::query(NOT_UP_TO_DATE).bind(chain_id(chain)).bind(i64::from(MAX_NAMED)).fetch_all(db).await?;
    some(&rows, |row| {
        Ok(NotUpToDate { invoice: named(row)?, error: row.try_get("error")?, tries: row.try_get("tries")? })
    })
}

fn named(row: &PgRow) -> Result<Named, Error> {
    Ok(Named { id: row.try_get("invoice_id")?, number: row.try_get("number")?, age: age(row)? })
}

/// Never negative: two clocks may differ a little.
fn age(row: &PgRow) -> Result<u64, Error> {
    Ok(u64::try_from(row.try_get::<i64, _>("age")?).unwrap_or(0))
}

fn some<T>(rows: &[PgRow], read: impl Fn(&PgRow) -> Result<T, Error>) -> Result<First<T>, Error> {
    let total = rows.first().map_or(Ok(0), |row| row.u64("total"))?;
    Ok(First { named: rows.iter().map(read).collect::<Result<_, _>>()?, total })
}
