//! Reading a chain anew: what was read from blocks is taken away, read again, and compared by digest.
//!
//! A digest is over all columns of all rows, in the order of the primary key, as Postgres writes them. What is not a
//! function of the chain is in none: when a receipt was last asked for, when a row was last written, what was told to whom.

use crate::codec::{Columns, big, chain_id};
use crate::{Error, PgConnection, chain, projection, statements};
use alloy_primitives::B256;
use domain::tier::Heights;
use sqlx::Row;

/// A table's rows in number and their digest: SHA-256 of the rows' SHA-256, in order.
macro_rules! digest {
    ($order:literal, $rows:literal) => {
        concat!(
            "SELECT count(*) AS rows, encode(sha256(COALESCE(string_agg(sha256(convert_to(t::text, 'UTF8')), ''::bytea ORDER BY ",
            $order,
            "), ''::bytea)), 'hex') AS digest FROM (",
            $rows,
            ") t"
        )
    };
}

statements! {
    // Everybody else who moves the tip waits for this row; new invoices and intents, which refer to it, do not.
    HOLD = "SELECT 1 FROM chains WHERE chain_id = $1 FOR NO KEY UPDATE";
    // Whoever has facts, and whoever has something to show for facts that may be gone.
    CONCERNED = "SELECT t.terms_hash FROM invoice_terms t JOIN invoices i ON i.id = t.invoice_id
        JOIN invoice_wallets w ON w.invoice_id = i.id
        WHERE t.chain_id = $1 AND (i.paid_units > 0 OR i.received_units > 0 OR w.balance_units > 0 OR i.settlement_tier IS NOT NULL
            OR EXISTS (SELECT 1 FROM deposits d WHERE d.terms_hash = t.terms_hash)
            OR EXISTS (SELECT 1 FROM escrow_events e WHERE e.terms_hash = t.terms_hash))
        ORDER BY t.terms_hash";
    // Children first: a cascade would look for them once for each block.
    CLEAR_TRANSACTIONS = "DELETE FROM blockchain_transactions WHERE chain_id = $1";
    CLEAR_OBSERVATIONS = "DELETE FROM observations WHERE chain_id = $1";
    CLEAR_QUARANTINE = "DELETE FROM quarantined_logs WHERE chain_id = $1";
    CLEAR_GATE_EVENTS = "DELETE FROM gate_events WHERE chain_id = $1";
    CLEAR_EVENTS = "DELETE FROM escrow_events WHERE chain_id = $1";
    CLEAR_DEPOSITS = "DELETE FROM deposits WHERE chain_id = $1";
    CLEAR_LOGS = "DELETE FROM logs WHERE chain_id = $1";
    CLEAR_BLOCKS = "DELETE FROM blocks WHERE chain_id = $1";
    PUT_BACK_TAGS = "UPDATE chains SET safe_number = $2, final_number = $3,
        final_timestamp = (SELECT timestamp FROM blocks WHERE chain_id = $1 AND number = $3), updated_at = now() WHERE chain_id = $1";
    // What an enterprise has had from us is what its invoices were paid.
    BALANCES = "UPDATE wallets w SET balance_units = paid.units, updated_at = now() FROM (
            SELECT w.id, COALESCE(SUM(t.paid_units), 0) AS units
            FROM wallets w LEFT JOIN invoices i ON i.issuer = w.organization_id
            LEFT JOIN invoice_terms t ON t.invoice_id = i.id AND t.chain_id = w.chain_id
            WHERE w.chain_id = $1 GROUP BY w.id) paid
        WHERE w.id = paid.id AND w.balance_units <> paid.units";
    // A time is written in the session's zone.
    UTC = "SELECT set_config('TimeZone', 'UTC', TRUE)";
    BLOCKS = digest!("t.number", "SELECT * FROM blocks WHERE chain_id = $1");
    LOGS = digest!("t.block_hash, t.log_index", "SELECT * FROM logs WHERE chain_id = $1");
    DEPOSITS = digest!("t.block_hash, t.log_index", "SELECT * FROM deposits WHERE chain_id = $1");
    EVENTS = digest!("t.block_hash, t.log_index", "SELECT * FROM escrow_events WHERE chain_id = $1");
    GATE_EVENTS = digest!("t.block_hash, t.log_index", "SELECT * FROM gate_events WHERE chain_id = $1");
    QUARANTINE = digest!("t.block_hash, t.position", "SELECT * FROM quarantined_logs WHERE chain_id = $1");
    OBSERVATIONS = digest!("t.tx_hash, t.block_hash", "SELECT tx_hash, block_hash, block_number, success, gas_used, fee_units
        FROM observations WHERE chain_id = $1");
    TRANSACTIONS = digest!("t.id", "SELECT * FROM blockchain_transactions WHERE chain_id = $1");
    PAYMENTS = digest!("t.id", "SELECT p.* FROM payments p JOIN blockchain_transactions b ON b.id = p.token_transfer_id
        WHERE b.chain_id = $1");
    CHAINS = digest!("t.tip_number", "SELECT start_number, tip_number, tip_hash, tip_timestamp, safe_number, final_number,
        final_timestamp FROM chains WHERE chain_id = $1");
    INVOICES = digest!("t.id", "SELECT i.id, i.paid_units, i.received_units, i.settlement_tier FROM invoices i
        JOIN invoice_terms t ON t.invoice_id = i.id WHERE t.chain_id = $1");
    INVOICE_TERMS = digest!("t.terms_hash", "SELECT terms_hash, paid_units, received_units, balance_units FROM invoice_terms
        WHERE chain_id = $1");
    INVOICE_WALLETS = digest!("t.wallet_id", "SELECT w.wallet_id, w.balance_units FROM invoice_wallets w
        JOIN invoice_terms t ON t.invoice_id = w.invoice_id WHERE t.chain_id = $1");
    WALLETS = digest!("t.id", "SELECT id, balance_units FROM wallets WHERE chain_id = $1");
}

/// What is compared: the tables that were read from blocks, whole, and of the others what follows from the chain alone.
const COMPARED: [(&str, &str); 14] = [
    ("blocks", BLOCKS),
    ("logs", LOGS),
    ("deposits", DEPOSITS),
    ("escrow_events", EVENTS),
    ("gate_events", GATE_EVENTS),
    ("quarantined_logs", QUARANTINE),
    ("observations", OBSERVATIONS),
    ("blockchain_transactions", TRANSACTIONS),
    ("payments", PAYMENTS),
    ("chains: heights", CHAINS),
    ("invoices: amounts, tier", INVOICES),
    ("invoice_terms: amounts", INVOICE_TERMS),
    ("invoice_wallets: balance", INVOICE_WALLETS),
    ("wallets: balance", WALLETS),
];

/// A table, or the columns of it that follow from the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    /// Its name.
    pub table: &'static str,
    /// How many rows it has.
    pub rows: u64,
    /// SHA-256 over all of them, in hexadecimal.
    pub digest: String,
}

/// Holds the chain until the transaction ends, and every invoice that its blocks concern; returns those. Indexers wait, and
/// so does whatever else would bring one of these invoices up to date.
pub async fn hold(db: &mut PgConnection, chain: u64) -> Result<Vec<B256>, Error> {
    sqlx::query(UTC).execute(&mut *db).await?;
    sqlx::query(HOLD).bind(chain_id(chain)).execute(&mut *db).await?;
    let held = concerned(db, chain).await?;
    projection::lock(db, held.iter().copied()).await?;
    Ok(held)
}

/// The invoices that the chain's blocks concern, or that show something as if they did.
pub async fn concerned(db: &mut PgConnection, chain: u64) -> Result<Vec<B256>, Error> {
    let rows = sqlx::query(CONCERNED).bind(chain_id(chain)).fetch_all(db).await?;
    rows.iter().map(|row| row.hash("terms_hash")).collect()
}

/// Takes everything away that was read from the chain's blocks, and what was read from those in turn. History (lifecycle
/// events, the outbox) and whatever was signed stay.
pub async fn clear(db: &mut PgConnection, chain: u64) -> Result<(), Error> {
    for statement in [
        CLEAR_TRANSACTIONS,
        CLEAR_OBSERVATIONS,
        CLEAR_QUARANTINE,
        CLEAR_GATE_EVENTS,
        CLEAR_EVENTS,
        CLEAR_DEPOSITS,
        CLEAR_LOGS,
        CLEAR_BLOCKS,
    ] {
        sqlx::query(statement).bind(chain_id(chain)).execute(&mut *db).await?;
    }
    Ok(())
}

/// When all blocks are there again: puts the tags back where they were, brings every invoice concerned up to date, once, and
/// then the enterprises' balances. Returns the invoices that are stuck.
pub async fn finish(
    db: &mut PgConnection,
    chain: u64,
    heights: Heights,
    held: Vec<B256>,
) -> Result<Vec<projection::Stuck>, Error> {
    let query = sqlx::query(PUT_BACK_TAGS).bind(chain_id(chain)).bind(big(heights.safe)?).bind(big(heights.final_)?);
    query.execute(&mut *db).await?;
    let mirror = chain::get(db, chain).await?;
    let mut terms = chain::touched(db, chain, mirror.start, heights.seen).await?;
    terms.extend(held);
    projection::lock(db, terms.iter().copied()).await?;
    let stuck = projection::refresh_all(db, &terms).await?;
    sqlx::query(BALANCES).bind(chain_id(chain)).execute(db).await?;
    Ok(stuck)
}

/// The digests of everything that follows from the chain.
pub async fn digests(db: &mut PgConnection, chain: u64) -> Result<Vec<Digest>, Error> {
    let mut digests = Vec::with_capacity(COMPARED.len());
    for (table, statement) in COMPARED {
        let row = sqlx::query(statement).bind(chain_id(chain)).fetch_one(&mut *db).await?;
        digests.push(Digest { table, rows: row.u64("rows")?, digest: row.try_get("digest")? });
    }
    Ok(digests)
}
