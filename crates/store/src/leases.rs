//! Who may use a signer. One process at a time, for a while, and with a fencing token: the epoch rises with each new
//! holder, and nothing is signed but under the epoch that is in force, checked in the transaction that stores the signed
//! bytes. So a holder that was paused, lost its connection or lives on a machine whose clock stands still can wake up at
//! any time and does no harm. The clock is the database's.

use crate::codec::{Columns, big, chain_id};
use crate::{Error, PgConnection, statements};
use sqlx::Row;
use std::time::Duration;
use terms::Account;

statements! {
    // Whoever had it and comes back under the same name gets a new epoch too.
    ACQUIRE = "INSERT INTO signers (chain_id, address, first_nonce, next_nonce, lease_owner, lease_epoch, lease_until)
        VALUES ($1, $2, $3, $3, $4, 1, clock_timestamp() + make_interval(secs => $5 / 1000.0))
        ON CONFLICT (chain_id, address) DO UPDATE SET next_nonce = GREATEST(signers.next_nonce, EXCLUDED.next_nonce),
            lease_owner = EXCLUDED.lease_owner, lease_epoch = signers.lease_epoch + 1, lease_until = EXCLUDED.lease_until
        WHERE signers.lease_owner IS NULL OR signers.lease_until < clock_timestamp() OR signers.lease_owner = EXCLUDED.lease_owner
        RETURNING lease_epoch";
    RENEW = "UPDATE signers SET lease_until = clock_timestamp() + make_interval(secs => $4 / 1000.0)
        WHERE chain_id = $1 AND address = $2 AND lease_epoch = $3";
    RELEASE = "UPDATE signers SET lease_owner = NULL, lease_until = NULL WHERE chain_id = $1 AND address = $2 AND lease_epoch = $3";
    CHECK = "SELECT lease_epoch FROM signers WHERE chain_id = $1 AND address = $2 FOR NO KEY UPDATE";
    RAISE = "UPDATE signers SET first_nonce = CASE WHEN next_nonce < $4 THEN $4 ELSE first_nonce END,
            next_nonce = GREATEST(next_nonce, $4) WHERE chain_id = $1 AND address = $2 AND lease_epoch = $3";
    TAKE_NONCE = "UPDATE signers SET next_nonce = next_nonce + 1 WHERE chain_id = $1 AND address = $2 AND lease_epoch = $3
        RETURNING next_nonce - 1 AS nonce";
}

/// The right to use a signer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Chain id.
    pub chain: u64,
    /// The signer.
    pub signer: Account,
    /// The fencing token.
    pub epoch: i64,
}

/// Takes the lease of a signer for `span`, if nobody has it or its time has run out; makes the signer known if it is new.
/// The chain's count is a floor for its nonce, never a reset: a nonce that was given to signed bytes is never given to others.
pub async fn acquire(
    db: &mut PgConnection,
    chain: u64,
    signer: Account,
    chain_nonce: u64,
    owner: &str,
    span: Duration,
) -> Result<Option<Lease>, Error> {
    let query = sqlx::query(ACQUIRE).bind(chain_id(chain)).bind(signer.as_bytes()).bind(big(chain_nonce)?);
    let row = query.bind(owner).bind(millis(span)).fetch_optional(db).await?;
    row.map(|row| Ok(Lease { chain, signer, epoch: row.try_get("lease_epoch")? })).transpose()
}

/// Has the lease for `span` from now on; whether it is still ours.
pub async fn renew(db: &mut PgConnection, lease: Lease, span: Duration) -> Result<bool, Error> {
    let query = sqlx::query(RENEW).bind(chain_id(lease.chain)).bind(lease.signer.as_bytes()).bind(lease.epoch);
    Ok(query.bind(millis(span)).execute(db).await?.rows_affected() == 1)
}

/// Gives the lease back, so that the next one need not wait.
pub async fn release(db: &mut PgConnection, lease: Lease) -> Result<(), Error> {
    let query = sqlx::query(RELEASE).bind(chain_id(lease.chain)).bind(lease.signer.as_bytes()).bind(lease.epoch);
    query.execute(db).await?;
    Ok(())
}

/// Refuses with [`Error::LeaseLost`] unless the lease is in force, and keeps it so until the transaction ends.
pub(crate) async fn check(db: &mut PgConnection, lease: Lease) -> Result<(), Error> {
    let row = sqlx::query(CHECK).bind(chain_id(lease.chain)).bind(lease.signer.as_bytes()).fetch_optional(db).await?;
    match row.map(|row| row.try_get::<i64, _>("lease_epoch")).transpose()? {
        Some(epoch) if epoch == lease.epoch => Ok(()),
        _ => Err(Error::LeaseLost(lease.signer)),
    }
}

/// Raises the signer's next nonce to the chain's count, where somebody else has used the key or a backup was restored.
pub async fn raise_nonce(db: &mut PgConnection, lease: Lease, chain_nonce: u64) -> Result<(), Error> {
    let query = sqlx::query(RAISE).bind(chain_id(lease.chain)).bind(lease.signer.as_bytes()).bind(lease.epoch);
    query.bind(big(chain_nonce)?).execute(db).await?;
    Ok(())
}

/// Takes the signer's next nonce. Holds the signer's row until the transaction ends, so that nonces are used in order.
pub async fn take_nonce(db: &mut PgConnection, lease: Lease) -> Result<u64, Error> {
    let query = sqlx::query(TAKE_NONCE).bind(chain_id(lease.chain)).bind(lease.signer.as_bytes()).bind(lease.epoch);
    let row = query.fetch_optional(db).await?.ok_or(Error::LeaseLost(lease.signer))?;
    row.u64("nonce")
}

fn millis(span: Duration) -> i32 {
    i32::try_from(span.as_millis()).unwrap_or(i32::MAX)
}
