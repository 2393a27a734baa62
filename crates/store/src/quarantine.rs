//! Logs that should concern us and cannot be understood or booked. They are kept with their block for a person to look at,
//! and stop nothing. Whoever can make a token can make odd logs, so that there is a limit to what is kept.

use crate::chain::{Header, MAX_FOREIGN, OddLog};
use crate::codec::{Columns, big};
use crate::{Error, PgConnection, statements};
use alloy_primitives::B256;
use domain::block::About;

statements! {
    INSERT = "INSERT INTO quarantined_logs (chain_id, block_hash, position, block_number, block_timestamp, log_index, tx_hash,
            address, topics, data, terms_hash, reason)
        VALUES ($1, $2, $3, $4, $5, $6::text::numeric, $7, $8, $9, $10, $11, $12)";
    COUNT = "SELECT count(*) AS seen FROM quarantined_logs WHERE terms_hash = $1";
}

/// The most odd logs of others that are kept of one block. The escrow's own are always kept.
pub const MAX_PER_BLOCK: usize = 100;

/// The most bytes that are kept of a log's data.
const MAX_DATA: usize = 4096;

/// Keeps what there is room for; returns it, and how many were left out.
pub(crate) async fn put(
    db: &mut PgConnection,
    chain: i64,
    header: &Header,
    logs: Vec<(OddLog, Option<B256>)>,
) -> Result<(Vec<OddLog>, usize), Error> {
    let (mut kept, mut others, mut left_out) = (Vec::new(), 0, 0);
    for (log, terms_hash) in logs {
        if log.about != About::Escrow {
            if others >= MAX_PER_BLOCK || !room(db, terms_hash).await? {
                left_out += 1;
                continue;
            }
            others += 1;
        }
        let topics: Vec<Vec<u8>> = log.topics.iter().map(|topic| topic.to_vec()).collect();
        sqlx::query(INSERT)
            .bind(chain)
            .bind(header.hash.as_slice())
            .bind(i32::try_from(kept.len()).unwrap_or(i32::MAX))
            .bind(big(header.number)?)
            .bind(big(header.timestamp)?)
            .bind(log.index.map(|index| index.to_string()))
            .bind(log.tx_hash.as_ref().map(|hash| hash.as_bytes().to_vec()))
            .bind(log.address.as_bytes())
            .bind(topics)
            .bind(log.data.get(..MAX_DATA).unwrap_or(&log.data))
            .bind(terms_hash.map(|hash| hash.to_vec()))
            .bind(&log.why)
            .execute(&mut *db)
            .await?;
        kept.push(log);
    }
    Ok((kept, left_out))
}

/// Whether one more is kept for this invoice.
async fn room(db: &mut PgConnection, terms_hash: Option<B256>) -> Result<bool, Error> {
    let hash = terms_hash.map(|hash| hash.to_vec());
    Ok(sqlx::query(COUNT).bind(hash).fetch_one(db).await?.u64("seen")? < MAX_FOREIGN)
}
