//! The mirror of a chain: blocks by hash, the logs that concern us, and how far we are.

use crate::codec::{Columns, big, chain_id};
use crate::{Error, PgConnection, quarantine, statements};
use alloy_primitives::B256;
use domain::block::About;
use domain::tier::{Heights, Tier};
use sqlx::postgres::PgRow;
use sqlx::{Connection, Row};
use std::collections::{BTreeMap, BTreeSet};
use terms::{Account, TxId};

pub use domain::block::{ChainKind, Header, Meaning, Observed, OddLog, Outcome, RawLog};

statements! {
    INSERT_CHAIN = "INSERT INTO chains (chain_id, name, genesis_hash, escrow, token, token_2022, settler, gate, settle_tier, kind,
            start_number, tip_number, tip_hash, tip_timestamp, safe_number, final_number, final_timestamp)
        VALUES ($1, $2, $3, $4, $5, $11, $6, $12, $7, $13, $8, $8, $9, $10, $8, $8, $10) ON CONFLICT (chain_id) DO NOTHING";
    INSERT_START = "INSERT INTO blocks (chain_id, number, hash, parent_hash, timestamp) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (chain_id, number) DO NOTHING";
    GET = "SELECT chain_id, name, kind, genesis_hash, escrow, token, token_2022, settler, gate, settle_tier, start_number, tip_number,
        tip_hash, tip_timestamp, safe_number, final_number, final_timestamp FROM chains WHERE chain_id = $1";
    ALL = "SELECT chain_id, name, kind, genesis_hash, escrow, token, token_2022, settler, gate, settle_tier, start_number, tip_number,
        tip_hash, tip_timestamp, safe_number, final_number, final_timestamp FROM chains ORDER BY chain_id";
    // NO KEY: rows that refer to the chain (new invoices, intents) can be written meanwhile, else they would wait for each
    // block, and a request that holds an invoice's row would deadlock with a block that wants it.
    LOCK = "SELECT tip_hash FROM chains WHERE chain_id = $1 FOR NO KEY UPDATE";
    INSERT_BLOCK = "INSERT INTO blocks (chain_id, number, hash, parent_hash, timestamp) VALUES ($1, $2, $3, $4, $5)";
    MOVE_TIP = "UPDATE chains SET tip_number = $2, tip_hash = $3, tip_timestamp = $4, safe_number = LEAST(safe_number, $2),
        final_number = LEAST(final_number, $2), updated_at = now() WHERE chain_id = $1";
    MOVE_TAGS = "UPDATE chains SET safe_number = $2, final_number = $3,
        final_timestamp = COALESCE((SELECT timestamp FROM blocks WHERE chain_id = $1 AND number = $3), final_timestamp),
        updated_at = now() WHERE chain_id = $1";
    // Numbers may have holes: the highest block there is at or below one.
    AT_OR_BELOW = "SELECT number, hash, parent_hash, timestamp FROM blocks WHERE chain_id = $1 AND number <= $2
        ORDER BY number DESC LIMIT 1";
    DELETE_BLOCK = "DELETE FROM blocks WHERE chain_id = $1 AND number = $2";
    TERMS_AT_PURSES = "SELECT terms_hash, purse, token FROM invoice_terms WHERE chain_id = $1 AND purse = ANY($2)";
    KNOWN_TERMS = "SELECT terms_hash, token FROM invoice_terms WHERE chain_id = $1 AND terms_hash = ANY($2)";
    // The same for all logs of a block at once. Topics travel as text: an array of arrays has no place in `unnest`.
    INSERT_LOGS = "INSERT INTO logs (chain_id, block_hash, log_index, block_number, tx_hash, address, topics, data)
        SELECT $1::bigint, $2::bytea, u.log_index, $3::bigint, u.tx_hash, u.address,
            ARRAY(SELECT decode(t.hex, 'hex') FROM unnest(string_to_array(u.topics, ',')) WITH ORDINALITY AS t (hex, at) ORDER BY t.at),
            u.data
        FROM unnest($4::bigint[], $5::bytea[], $6::bytea[], $7::text[], $8::bytea[]) AS u (log_index, tx_hash, address, topics, data)";
    INSERT_DEPOSITS = "INSERT INTO deposits (chain_id, block_hash, log_index, block_number, block_timestamp, tx_hash,
            terms_hash, token, foreign_token, sender, amount_units)
        SELECT $1::bigint, $2::bytea, u.log_index, $3::bigint, $4::bigint, u.tx_hash, u.terms_hash, u.token, u.is_foreign, u.sender,
            u.amount::numeric
        FROM unnest($5::bigint[], $6::bytea[], $7::bytea[], $8::bytea[], $9::boolean[], $10::bytea[], $11::text[])
            AS u (log_index, tx_hash, terms_hash, token, is_foreign, sender, amount)";
    INSERT_EVENTS = "INSERT INTO escrow_events (chain_id, block_hash, log_index, block_number, block_timestamp, tx_hash,
            terms_hash, kind, token, recipient, amount_units, paid_units, status)
        SELECT $1::bigint, $2::bytea, u.log_index, $3::bigint, $4::bigint, u.tx_hash, u.terms_hash, u.kind, u.token, u.recipient,
            u.amount::numeric, u.paid::numeric, u.status
        FROM unnest($5::bigint[], $6::bytea[], $7::bytea[], $8::smallint[], $9::bytea[], $10::bytea[], $11::text[], $12::text[],
                $13::smallint[])
            AS u (log_index, tx_hash, terms_hash, kind, token, recipient, amount, paid, status)";
    INSERT_GATE_EVENTS = "INSERT INTO gate_events (chain_id, block_hash, log_index, block_number, block_timestamp, tx_hash,
            gate, terms_hash, kind, deposit_id, token, amount_units)
        SELECT $1::bigint, $2::bytea, u.log_index, $3::bigint, $4::bigint, u.tx_hash, u.gate, u.terms_hash, u.kind, u.deposit_id, u.token,
            u.amount::numeric
        FROM unnest($5::bigint[], $6::bytea[], $7::bytea[], $8::bytea[], $9::text[], $10::bytea[], $11::bytea[], $12::text[])
            AS u (log_index, tx_hash, gate, terms_hash, kind, deposit_id, token, amount)";
    GATE = "SELECT address FROM gates WHERE chain_id = $1";
    COUNT_FOREIGN = "SELECT count(*) AS seen FROM deposits WHERE terms_hash = $1 AND foreign_token";
    // Refunds of what is not the invoice's token, but for those that somebody asked us for.
    COUNT_FOREIGN_REFUNDS = "SELECT count(*) AS seen FROM escrow_events e JOIN invoice_terms t USING (terms_hash)
        WHERE e.terms_hash = $1 AND e.kind IN (4, 5) AND e.token <> t.token";
    ASKED_FOR = "SELECT EXISTS (SELECT 1 FROM intents WHERE terms_hash = $1 AND token = $2) AS asked";
    TOUCHED_IN = "SELECT terms_hash FROM deposits WHERE chain_id = $1 AND block_number > $2 AND block_number <= $3
        UNION SELECT terms_hash FROM escrow_events WHERE chain_id = $1 AND block_number > $2 AND block_number <= $3
        UNION SELECT terms_hash FROM gate_events WHERE chain_id = $1 AND block_number > $2 AND block_number <= $3";
    // What is stuck has a time of its own: else it would be due for ever, and keep others out.
    // Two arms, so that each finds its index: this is asked several times a second.
    DUE = "SELECT d.terms_hash FROM (SELECT terms_hash FROM invoice_terms WHERE chain_id = $1
                AND wake_seen_at <= (SELECT tip_timestamp FROM chains WHERE chain_id = $1)
            UNION SELECT terms_hash FROM invoice_terms WHERE chain_id = $1
                AND wake_final_at <= (SELECT final_timestamp FROM chains WHERE chain_id = $1)) d
        WHERE NOT EXISTS (SELECT 1 FROM stuck_invoices s WHERE s.terms_hash = d.terms_hash)
        UNION ALL SELECT terms_hash FROM stuck_invoices WHERE chain_id = $1 AND retry_at <= now() LIMIT $2";
    OURS_AMONG = "SELECT tx_hash FROM attempts WHERE chain_id = $1 AND tx_hash = ANY($2)";
    INSERT_OBSERVATION = "INSERT INTO observations (chain_id, tx_hash, block_hash, block_number, success, gas_used, fee_units)
        VALUES ($1, $2, $3, $4, $5, $6, $7::text::numeric)";
    WITHOUT_OUTCOME = "SELECT tx_hash, block_hash FROM observations WHERE chain_id = $1 AND success IS NULL AND ask_at <= now()
        ORDER BY ask_at, block_number LIMIT $2";
    OUTCOME = "UPDATE observations SET success = $3, gas_used = $4, fee_units = $5::text::numeric
        WHERE tx_hash = $1 AND block_hash = $2 AND success IS NULL";
    NO_OUTCOME = "UPDATE observations SET asks = LEAST(asks + 1, 1000),
        ask_at = now() + make_interval(secs => LEAST(60, 0.25 * power(2, LEAST(asks, 10)))) WHERE tx_hash = $1 AND block_hash = $2";
    TERMS_OF_TX = "SELECT DISTINCT terms_hash FROM escrow_events WHERE chain_id = $1 AND block_hash = $2 AND tx_hash = $3";
    FEES = "UPDATE blockchain_transactions b SET fee_units = $4::text::numeric FROM escrow_events e
        WHERE e.chain_id = $1 AND e.block_hash = $2 AND e.tx_hash = $3
            AND b.chain_id = e.chain_id AND b.block_hash = e.block_hash AND b.log_index = e.log_index";
}

/// The most transfers of foreign tokens that are remembered for one invoice.
pub const MAX_FOREIGN: u64 = 100;

/// A chain as it is deployed and configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployed {
    /// Chain id.
    pub chain: u64,
    /// What people call it: `base`.
    pub name: String,
    /// What is sent there and how.
    pub kind: ChainKind,
    /// The hash of block 0.
    pub genesis_hash: B256,
    /// The `InvoiceEscrow`; on Solana the program.
    pub escrow: Account,
    /// The token invoices are paid in.
    pub token: Account,
    /// Whether the token belongs to Token-2022: only on Solana.
    pub token_2022: bool,
    /// Who settles: what the terms say.
    pub settler: Account,
    /// The `SettlementGate`: on EVM chains the settler itself, on Solana the program whose address the settler is.
    pub gate: Account,
    /// The tier at which a deposit is settled.
    pub settle_tier: Tier,
}

/// How far the mirror has come.
#[derive(Clone, Debug)]
pub struct Mirror {
    /// What is deployed.
    pub deployed: Deployed,
    /// The first block that is mirrored.
    pub start: u64,
    /// The highest block's hash.
    pub tip_hash: B256,
    /// The highest block's time, unix seconds.
    pub tip_timestamp: u64,
    /// The finalized block's time, unix seconds.
    pub final_timestamp: u64,
    /// The three tags.
    pub heights: Heights,
}

/// Makes the chain known, starting the mirror at `start`; or checks that it is the one that is known.
pub async fn put(db: &mut PgConnection, deployed: &Deployed, start: &Header) -> Result<Mirror, Error> {
    let chain = chain_id(deployed.chain);
    sqlx::query(INSERT_CHAIN)
        .bind(chain)
        .bind(&deployed.name)
        .bind(deployed.genesis_hash.as_slice())
        .bind(deployed.escrow.as_bytes())
        .bind(deployed.token.as_bytes())
        .bind(deployed.settler.as_bytes())
        .bind(deployed.settle_tier.as_str())
        .bind(big(start.number)?)
        .bind(start.hash.as_slice())
        .bind(big(start.timestamp)?)
        .bind(deployed.token_2022)
        .bind(deployed.gate.as_bytes())
        .bind(deployed.kind.as_str())
        .execute(&mut *db)
        .await?;
    let mirror = get(db, deployed.chain).await?;
    if mirror.start == start.number {
        bind_header(sqlx::query(INSERT_START), chain, start)?.execute(&mut *db).await?;
    }
    if mirror.deployed != *deployed {
        return Err(Error::OtherChain(format!(
            "chain {} in the database is {:?}, the configuration says {deployed:?}: use another database, or set the \
             configuration back",
            deployed.chain, mirror.deployed
        )));
    }
    Ok(mirror)
}

/// How far the mirror of `chain` has come.
pub async fn get(db: &mut PgConnection, chain: u64) -> Result<Mirror, Error> {
    let row = sqlx::query(GET).bind(chain_id(chain)).fetch_optional(db).await?;
    let row = row.ok_or_else(|| {
        Error::Missing(format!("chain {chain} is not in the database: run `monay migrate` with the same configuration"))
    })?;
    mirror(&row)
}

/// The mirrors of all chains.
pub async fn all(db: &mut PgConnection) -> Result<Vec<Mirror>, Error> {
    sqlx::query(ALL).fetch_all(db).await?.iter().map(mirror).collect()
}

fn mirror(row: &PgRow) -> Result<Mirror, Error> {
    Ok(Mirror {
        deployed: Deployed {
            chain: row.chain("chain_id")?,
            name: row.try_get("name")?,
            kind: row.word("kind")?,
            genesis_hash: row.hash("genesis_hash")?,
            escrow: row.account("escrow")?,
            token: row.account("token")?,
            token_2022: row.try_get("token_2022")?,
            settler: row.account("settler")?,
            gate: row.account("gate")?,
            settle_tier: row.word("settle_tier")?,
        },
        start: row.u64("start_number")?,
        tip_hash: row.hash("tip_hash")?,
        tip_timestamp: row.u64("tip_timestamp")?,
        final_timestamp: row.u64("final_timestamp")?,
        heights: Heights {
            seen: row.u64("tip_number")?,
            safe: row.u64("safe_number")?,
            final_: row.u64("final_number")?,
        },
    })
}

/// Holds the chain for this transaction, and refuses if its tip is not the one the caller built on: two indexers on one
/// database take turns and never interleave.
pub async fn lock(db: &mut PgConnection, chain: u64, tip: B256) -> Result<(), Error> {
    let row = sqlx::query(LOCK).bind(chain_id(chain)).fetch_one(db).await?;
    if row.hash("tip_hash")? == tip { Ok(()) } else { Err(Error::TipMoved(chain)) }
}

/// The highest mirrored block whose number is not above this one: numbers may have holes.
pub async fn at_or_below(db: &mut PgConnection, chain: u64, number: u64) -> Result<Option<Header>, Error> {
    let row = sqlx::query(AT_OR_BELOW).bind(chain_id(chain)).bind(big(number)?).fetch_optional(db).await?;
    row.as_ref().map(header).transpose()
}

/// What appending a block has led to.
#[derive(Clone, Debug, Default)]
pub struct Appended {
    /// The invoices the block concerns.
    pub touched: BTreeSet<B256>,
    /// The logs that were put into quarantine, each with its reason.
    pub quarantined: Vec<OddLog>,
    /// How many more there were than are kept.
    pub left_out: usize,
}

/// Appends a block with the logs in it that concern us. Logs that concern nobody are not stored; what concerns us and
/// cannot be understood or booked goes to quarantine, and the rest of the block is booked all the same.
pub async fn append(
    db: &mut PgConnection,
    chain: u64,
    header: &Header,
    logs: &[(RawLog, Meaning)],
    odd: &[OddLog],
    observed: &[Observed],
) -> Result<Appended, Error> {
    let id = chain_id(chain);
    bind_header(sqlx::query(INSERT_BLOCK), id, header)?.execute(&mut *db).await?;
    sqlx::query(MOVE_TIP)
        .bind(id)
        .bind(big(header.number)?)
        .bind(header.hash.as_slice())
        .bind(big(header.timestamp)?)
        .execute(&mut *db)
        .await?;
    let known = Known::of(db, id, logs.iter(), odd).await?;
    let mut touched = BTreeSet::new();
    let (mut foreign, mut refunds) = (BTreeMap::new(), BTreeMap::new());
    let (mut booked, mut unbooked) = (Vec::new(), Vec::new());
    for (log, meaning) in logs {
        let Some((terms_hash, token)) = known.concerns(log, meaning) else { continue };
        if let Meaning::Transfer { amount, .. } = meaning {
            // Nothing moved; anyone may say so as often as he likes.
            if amount.is_zero() || (log.address != token && !room(db, &mut foreign, terms_hash).await?) {
                continue;
            }
        }
        if let Meaning::Recorded { kind: 4 | 5, token: moved, .. } = meaning
            && *moved != token
            && !room_for_refund(db, &mut refunds, terms_hash, *moved).await?
        {
            continue;
        }
        booked.push(Booked { log, meaning, terms_hash, invoiced: token });
    }
    // All at once, and where the database refuses one of them each by itself: it must not take the block with it.
    let mut together = db.begin().await?;
    match book_all(&mut together, id, header, &booked).await {
        Ok(()) => {
            together.commit().await?;
            touched.extend(booked.iter().map(|booked| booked.terms_hash));
        }
        Err(error) if error.is_of_the_data() => {
            together.rollback().await?;
            for one in &booked {
                let mut inner = db.begin().await?;
                match book_all(&mut inner, id, header, std::slice::from_ref(one)).await {
                    Ok(()) => {
                        inner.commit().await?;
                        touched.insert(one.terms_hash);
                    }
                    Err(error) if error.is_of_the_data() => {
                        inner.rollback().await?;
                        unbooked.push((odd_log(one.log, one.meaning, &error), Some(one.terms_hash)));
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Err(error) => return Err(error),
    }
    for log in odd {
        if let Some(terms_hash) = known.may_concern(log) {
            unbooked.push((log.clone(), terms_hash));
        }
    }
    let (quarantined, left_out) = quarantine::put(db, id, header, unbooked).await?;
    for seen in observed {
        let outcome = seen.outcome.as_ref();
        sqlx::query(INSERT_OBSERVATION)
            .bind(id)
            .bind(seen.tx_hash.as_bytes())
            .bind(header.hash.as_slice())
            .bind(big(header.number)?)
            .bind(outcome.map(|outcome| outcome.success))
            .bind(outcome.map(|outcome| big(outcome.gas_used)).transpose()?)
            .bind(outcome.map(|outcome| outcome.fee.to_string()))
            .execute(&mut *db)
            .await?;
    }
    Ok(Appended { touched, quarantined, left_out })
}

/// The invoices that these logs concern, as far as they are known now: what a block will touch, before it does.
pub async fn concerned<'a>(
    db: &mut PgConnection,
    chain: u64,
    logs: impl Iterator<Item = &'a (RawLog, Meaning)> + Send,
) -> Result<BTreeSet<B256>, Error> {
    let known = Known::of(db, chain_id(chain), logs, &[]).await?;
    Ok(known
        .purses
        .into_iter()
        .map(|(_, terms_hash, _)| terms_hash)
        .chain(known.terms.into_iter().map(|(hash, _)| hash))
        .collect())
}

/// A log that is to be booked, and for which invoice.
struct Booked<'a> {
    log: &'a RawLog,
    meaning: &'a Meaning,
    terms_hash: B256,
    /// The invoice's token.
    invoiced: Account,
}

/// Writes logs of one block and what they mean: four statements, whatever their number.
async fn book_all(db: &mut PgConnection, chain: i64, header: &Header, all: &[Booked<'_>]) -> Result<(), Error> {
    if all.is_empty() {
        return Ok(());
    }
    let (number, timestamp) = (big(header.number)?, big(header.timestamp)?);
    let index = |booked: &&Booked<'_>| big(booked.log.index);
    let tx = |booked: &&Booked<'_>| booked.log.tx_hash.as_bytes().to_vec();
    let terms = |booked: &&Booked<'_>| booked.terms_hash.to_vec();
    let every: Vec<&Booked<'_>> = all.iter().collect();
    let topics = every.iter().map(|booked| {
        let hex: Vec<String> = booked.log.topics.iter().map(alloy_primitives::hex::encode).collect();
        hex.join(",")
    });
    sqlx::query(INSERT_LOGS)
        .bind(chain)
        .bind(header.hash.as_slice())
        .bind(number)
        .bind(every.iter().map(index).collect::<Result<Vec<_>, _>>()?)
        .bind(every.iter().map(tx).collect::<Vec<_>>())
        .bind(every.iter().map(|booked| booked.log.address.as_bytes().to_vec()).collect::<Vec<_>>())
        .bind(topics.collect::<Vec<_>>())
        .bind(every.iter().map(|booked| booked.log.data.clone()).collect::<Vec<_>>())
        .execute(&mut *db)
        .await?;
    let (mut deposits, mut senders, mut amounts) = (Vec::new(), Vec::new(), Vec::new());
    let mut events = Vec::new();
    let (mut kinds, mut tokens, mut recipients) = (Vec::new(), Vec::new(), Vec::new());
    let (mut moved, mut totals, mut states) = (Vec::new(), Vec::new(), Vec::new());
    let mut of_gate = Vec::new();
    for booked in every {
        match booked.meaning {
            Meaning::Transfer { from, amount, .. } => {
                deposits.push(booked);
                senders.push(from.as_bytes().to_vec());
                amounts.push(amount.to_string());
            }
            Meaning::Recorded { kind, token, to, amount, paid, status, .. } => {
                events.push(booked);
                kinds.push(i16::from(*kind));
                tokens.push(token.as_bytes().to_vec());
                recipients.push(to.as_bytes().to_vec());
                moved.push(amount.to_string());
                totals.push(paid.to_string());
                states.push(i16::from(*status));
            }
            Meaning::Minted { deposit_id, token, amount, .. } => {
                of_gate.push((booked, "minted", Some(deposit_id.to_vec()), *token, *amount));
            }
            Meaning::Redeemed { token, amount, .. } => of_gate.push((booked, "redeemed", None, *token, *amount)),
        }
    }
    if !deposits.is_empty() {
        sqlx::query(INSERT_DEPOSITS)
            .bind(chain)
            .bind(header.hash.as_slice())
            .bind(number)
            .bind(timestamp)
            .bind(deposits.iter().map(index).collect::<Result<Vec<_>, _>>()?)
            .bind(deposits.iter().map(tx).collect::<Vec<_>>())
            .bind(deposits.iter().map(terms).collect::<Vec<_>>())
            .bind(deposits.iter().map(|booked| booked.log.address.as_bytes().to_vec()).collect::<Vec<_>>())
            .bind(deposits.iter().map(|booked| booked.log.address != booked.invoiced).collect::<Vec<_>>())
            .bind(senders)
            .bind(amounts)
            .execute(&mut *db)
            .await?;
    }
    if !events.is_empty() {
        sqlx::query(INSERT_EVENTS)
            .bind(chain)
            .bind(header.hash.as_slice())
            .bind(number)
            .bind(timestamp)
            .bind(events.iter().map(index).collect::<Result<Vec<_>, _>>()?)
            .bind(events.iter().map(tx).collect::<Vec<_>>())
            .bind(events.iter().map(terms).collect::<Vec<_>>())
            .bind(kinds)
            .bind(tokens)
            .bind(recipients)
            .bind(moved)
            .bind(totals)
            .bind(states)
            .execute(&mut *db)
            .await?;
    }
    if !of_gate.is_empty() {
        sqlx::query(INSERT_GATE_EVENTS)
            .bind(chain)
            .bind(header.hash.as_slice())
            .bind(number)
            .bind(timestamp)
            .bind(of_gate.iter().map(|(booked, ..)| index(booked)).collect::<Result<Vec<_>, _>>()?)
            .bind(of_gate.iter().map(|(booked, ..)| tx(booked)).collect::<Vec<_>>())
            .bind(of_gate.iter().map(|(booked, ..)| booked.log.address.as_bytes().to_vec()).collect::<Vec<_>>())
            .bind(of_gate.iter().map(|(booked, ..)| terms(booked)).collect::<Vec<_>>())
            .bind(of_gate.iter().map(|(_, kind, ..)| *kind).collect::<Vec<_>>())
            .bind(of_gate.iter().map(|(_, _, deposit, ..)| deposit.clone()).collect::<Vec<_>>())
            .bind(of_gate.iter().map(|(.., token, _)| token.as_bytes().to_vec()).collect::<Vec<_>>())
            .bind(of_gate.iter().map(|(.., amount)| amount.to_string()).collect::<Vec<_>>())
            .execute(db)
            .await?;
    }
    Ok(())
}

/// A log that could be read and not be booked.
fn odd_log(log: &RawLog, meaning: &Meaning, error: &Error) -> OddLog {
    OddLog {
        index: Some(log.index),
        tx_hash: Some(log.tx_hash),
        address: log.address,
        topics: log.topics.clone(),
        data: log.data.clone(),
        about: match meaning {
            Meaning::Transfer { to, .. } => About::Purses(vec![*to]),
            Meaning::Recorded { .. } | Meaning::Minted { .. } | Meaning::Redeemed { .. } => About::Escrow,
        },
        why: format!("it cannot be booked: {error}"),
    }
}

/// Transactions of ours in mirrored blocks, with those blocks, whose receipt is still to come and worth asking for now: at
/// most `limit`, those first that waited longest.
pub async fn without_outcome(db: &mut PgConnection, chain: u64, limit: u32) -> Result<Vec<(TxId, B256)>, Error> {
    let rows = sqlx::query(WITHOUT_OUTCOME).bind(chain_id(chain)).bind(i64::from(limit)).fetch_all(db).await?;
    rows.iter().map(|row| Ok((row.tx("tx_hash")?, row.hash("block_hash")?))).collect()
}

/// Notes how a transaction of ours ended in a block, or that nobody can say yet: then it is asked for again later, each time
/// after longer, up to a minute. The caller holds the chain.
pub async fn put_outcome(
    db: &mut PgConnection,
    chain: u64,
    tx: TxId,
    block: B256,
    outcome: Option<&Outcome>,
) -> Result<(), Error> {
    let Some(outcome) = outcome else {
        sqlx::query(NO_OUTCOME).bind(tx.as_bytes()).bind(block.as_slice()).execute(db).await?;
        return Ok(());
    };
    let id = chain_id(chain);
    let of_tx = |sql| sqlx::query(sql).bind(id).bind(block.to_vec()).bind(tx.as_bytes().to_vec());
    let rows = of_tx(TERMS_OF_TX).fetch_all(&mut *db).await?;
    let terms = rows.iter().map(|row| row.hash("terms_hash")).collect::<Result<Vec<_>, _>>()?;
    crate::projection::lock(db, terms).await?;
    sqlx::query(OUTCOME)
        .bind(tx.as_bytes())
        .bind(block.as_slice())
        .bind(outcome.success)
        .bind(big(outcome.gas_used)?)
        .bind(outcome.fee.to_string())
        .execute(&mut *db)
        .await?;
    of_tx(FEES).bind(outcome.fee.to_string()).execute(db).await?;
    Ok(())
}

/// Takes the highest block off again, with everything read from it; returns the invoices it concerned and the tip that
/// is left.
pub async fn undo(db: &mut PgConnection, chain: u64, tip: u64) -> Result<(BTreeSet<B256>, Header), Error> {
    let id = chain_id(chain);
    let below = tip.checked_sub(1).ok_or_else(|| Error::Corrupt("a re-org of block 0".to_owned()))?;
    let touched = touched(db, chain, below, tip).await?;
    sqlx::query(DELETE_BLOCK).bind(id).bind(big(tip)?).execute(&mut *db).await?;
    let header = at_or_below(db, chain, below).await?.ok_or_else(|| {
        Error::OtherChain(format!("the re-org goes below block {tip}, where the mirror of chain {chain} begins"))
    })?;
    sqlx::query(MOVE_TIP)
        .bind(id)
        .bind(big(header.number)?)
        .bind(header.hash.as_slice())
        .bind(big(header.timestamp)?)
        .execute(db)
        .await?;
    Ok((touched, header))
}

/// Moves the tags on, each to a block that is mirrored; returns the invoices whose tier has changed by it. Tags never move
/// back and never pass the tip.
pub async fn move_tags(db: &mut PgConnection, chain: u64, safe: u64, final_: u64) -> Result<BTreeSet<B256>, Error> {
    let now = get(db, chain).await?.heights;
    let safe = match safe.clamp(now.safe, now.seen) {
        safe if safe == now.safe => safe,
        safe => at_or_below(db, chain, safe).await?.map_or(now.safe, |block| block.number.max(now.safe)),
    };
    let final_ = match final_.clamp(now.final_, safe) {
        final_ if final_ == now.final_ => final_,
        final_ => at_or_below(db, chain, final_).await?.map_or(now.final_, |block| block.number.max(now.final_)),
    };
    if (safe, final_) == (now.safe, now.final_) {
        return Ok(BTreeSet::new());
    }
    sqlx::query(MOVE_TAGS).bind(chain_id(chain)).bind(big(safe)?).bind(big(final_)?).execute(&mut *db).await?;
    let mut changed = touched(db, chain, now.safe, safe).await?;
    changed.extend(touched(db, chain, now.final_, final_).await?);
    Ok(changed)
}

/// Invoices for which the chain's time has come, at most `limit`.
pub async fn due(db: &mut PgConnection, chain: u64, limit: u32) -> Result<Vec<B256>, Error> {
    let rows = sqlx::query(DUE).bind(chain_id(chain)).bind(i64::from(limit)).fetch_all(db).await?;
    rows.iter().map(|row| row.hash("terms_hash")).collect()
}

/// Which of these transactions are ours.
pub async fn ours_among(db: &mut PgConnection, chain: u64, hashes: &[TxId]) -> Result<Vec<TxId>, Error> {
    let hashes: Vec<&[u8]> = hashes.iter().map(TxId::as_bytes).collect();
    let rows = sqlx::query(OURS_AMONG).bind(chain_id(chain)).bind(hashes).fetch_all(db).await?;
    rows.iter().map(|row| row.tx("tx_hash")).collect()
}

/// The invoices that blocks above one height and up to another concern.
pub async fn touched(db: &mut PgConnection, chain: u64, above: u64, to: u64) -> Result<BTreeSet<B256>, Error> {
    let rows = sqlx::query(TOUCHED_IN).bind(chain_id(chain)).bind(big(above)?).bind(big(to)?).fetch_all(db).await?;
    rows.iter().map(|row| row.hash("terms_hash")).collect()
}

/// Which purses and terms of a block are ours: two look-ups per block, however many addresses are live.
struct Known {
    purses: Vec<(Account, B256, Account)>,
    terms: Vec<(B256, Account)>,
    /// The chain's gate, where it was asked for and there is one. Anyone can emit what it tells.
    gate: Option<Account>,
}

impl Known {
    async fn of<'a>(
        db: &mut PgConnection,
        chain: i64,
        logs: impl Iterator<Item = &'a (RawLog, Meaning)> + Send,
        odd: &[OddLog],
    ) -> Result<Self, Error> {
        let (mut to, mut hashes) = (BTreeSet::new(), BTreeSet::new());
        for log in odd {
            if let About::Purses(purses) = &log.about {
                to.extend(purses.iter().map(|purse| purse.as_bytes().to_vec()));
            }
        }
        let mut of_gate = false;
        for (_, meaning) in logs {
            if let Meaning::Transfer { to: recipient, .. } = meaning {
                to.insert(recipient.as_bytes().to_vec());
            }
            hashes.extend(meaning.names().map(|terms_hash| terms_hash.to_vec()));
            of_gate |= matches!(meaning, Meaning::Minted { .. } | Meaning::Redeemed { .. });
        }
        let mut known = Self { purses: vec![], terms: vec![], gate: None };
        if of_gate {
            let row = sqlx::query(GATE).bind(chain).fetch_optional(&mut *db).await?;
            known.gate = row.map(|row| row.account("address")).transpose()?;
        }
        if !to.is_empty() {
            let to: Vec<Vec<u8>> = to.into_iter().collect();
            for row in sqlx::query(TERMS_AT_PURSES).bind(chain).bind(to).fetch_all(&mut *db).await? {
                known.purses.push((row.account("purse")?, row.hash("terms_hash")?, row.account("token")?));
            }
        }
        if !hashes.is_empty() {
            let hashes: Vec<Vec<u8>> = hashes.into_iter().collect();
            for row in sqlx::query(KNOWN_TERMS).bind(chain).bind(hashes).fetch_all(db).await? {
                known.terms.push((row.hash("terms_hash")?, row.account("token")?));
            }
        }
        known.purses.sort_unstable();
        known.terms.sort_unstable();
        Ok(known)
    }

    /// The invoice whose purse this is, and its token.
    fn at(&self, purse: Account) -> Option<(B256, Account)> {
        let at = self.purses.binary_search_by_key(&purse, |(purse, ..)| *purse).ok()?;
        self.purses.get(at).map(|&(_, terms_hash, token)| (terms_hash, token))
    }

    /// Whether an odd log is our business, and which invoice's.
    fn may_concern(&self, log: &OddLog) -> Option<Option<B256>> {
        match &log.about {
            About::Escrow => Some(None),
            About::Purses(purses) => purses.iter().find_map(|purse| self.at(*purse)).map(|(terms, _)| Some(terms)),
        }
    }

    /// The invoice a log concerns, and the invoice's token.
    fn concerns(&self, log: &RawLog, meaning: &Meaning) -> Option<(B256, Account)> {
        match meaning {
            Meaning::Transfer { to, .. } => self.at(*to),
            Meaning::Minted { .. } | Meaning::Redeemed { .. } if self.gate != Some(log.address) => None,
            Meaning::Recorded { terms_hash, .. }
            | Meaning::Minted { terms_hash, .. }
            | Meaning::Redeemed { terms_hash, .. } => {
                let at = self.terms.binary_search_by_key(terms_hash, |(hash, _)| *hash).ok()?;
                self.terms.get(at).copied()
            }
        }
    }
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

fn bind_header<'q>(query: Query<'q>, chain: i64, header: &Header) -> Result<Query<'q>, Error> {
    Ok(query
        .bind(chain)
        .bind(big(header.number)?)
        .bind(header.hash.to_vec())
        .bind(header.parent_hash.to_vec())
        .bind(big(header.timestamp)?))
}

/// Whether one more transfer of a foreign token is remembered for this invoice. Claiming one costs a contract of one's own
/// next to nothing, so there is a limit; what is beyond it can still be sent back on chain, by anyone, with the terms.
async fn room(db: &mut PgConnection, counted: &mut BTreeMap<B256, u64>, terms_hash: B256) -> Result<bool, Error> {
    let seen = match counted.get(&terms_hash) {
        Some(seen) => *seen,
        None => sqlx::query(COUNT_FOREIGN).bind(terms_hash.as_slice()).fetch_one(db).await?.u64("seen")?,
    };
    counted.insert(terms_hash, seen + 1);
    Ok(seen < MAX_FOREIGN)
}

/// Whether one more refund of what is not the invoice's token is remembered for this invoice. Anyone who has the terms can
/// send a wei and have it sent back, at a deposit address that is long gone, as often as he likes: such rows would fill the
/// history that every later block has to read. What somebody asked us for is always remembered.
async fn room_for_refund(
    db: &mut PgConnection,
    counted: &mut BTreeMap<B256, u64>,
    terms_hash: B256,
    token: Account,
) -> Result<bool, Error> {
    let asked = sqlx::query(ASKED_FOR).bind(terms_hash.as_slice()).bind(token.as_bytes()).fetch_one(&mut *db).await?;
    if asked.try_get("asked")? {
        return Ok(true);
    }
    let seen = match counted.get(&terms_hash) {
        Some(seen) => *seen,
        None => sqlx::query(COUNT_FOREIGN_REFUNDS).bind(terms_hash.as_slice()).fetch_one(db).await?.u64("seen")?,
    };
    counted.insert(terms_hash, seen + 1);
    Ok(seen < MAX_FOREIGN)
}

fn header(row: &PgRow) -> Result<Header, Error> {
    Ok(Header {
        number: row.u64("number")?,
        hash: row.hash("hash")?,
        parent_hash: row.hash("parent_hash")?,
        timestamp: row.u64("timestamp")?,
    })
}
