//! The books in Postgres. What is booked is never changed; Postgres itself refuses what must not be (`migrations/0012_books.sql`):
//! a transfer that does not balance in each fund, a second one under the same key, a pending one that is resolved twice, an
//! account of others below zero, and any change of history.
//!
//! An account's balance is on its last line, each line with the balance after it, numbered under the lock of the account's row.
//! Summing would read the whole history at every look and could not hold a floor against two writers; a balance in a row of its
//! own would have to be updated, and so could be set to anything. The price is that whoever books on an account waits for
//! whoever booked on it before to commit: book last in a transaction, and many entries at once.

use crate::codec::{Columns, big};
use crate::{Error, PgConnection, statements};
use domain::ledger::{Account, AccountKind, Entry, Key, Leg, Phase, Position};
use domain::money::Units;
use sqlx::Row;
use std::collections::BTreeSet;
use time::OffsetDateTime;

statements! {
    ADD_ACCOUNTS = r#"INSERT INTO ledger_accounts (id, kind, "of") SELECT * FROM unnest($1::text[], $2::text[], $3::text[])
        ON CONFLICT DO NOTHING"#;
    // All locks of a transaction in one order, so that two of them never wait for each other.
    LOCK_ACCOUNTS = "SELECT id FROM ledger_accounts WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE";
    TRANSFER_OF = "SELECT id, phase FROM ledger_transfers WHERE source = $1 AND reference = $2 AND kind = $3";
    ADD_TRANSFER = "INSERT INTO ledger_transfers (source, reference, kind, phase, resolves) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (source, reference, kind) DO NOTHING RETURNING id";
    ADD_POSTINGS = "INSERT INTO ledger_postings (account_id, transfer_id, amount_units)
        SELECT account, $1, amount::numeric FROM unnest($2::text[], $3::text[]) AS leg (account, amount) ORDER BY account";
    POSTINGS_OF = "SELECT account_id, amount_units::text AS amount FROM ledger_postings WHERE transfer_id = $1 ORDER BY account_id";
    SUM_OF = "SELECT COALESCE(sum(last.balance_units), 0)::text AS balance FROM unnest($1::text[]) AS a (id) CROSS JOIN LATERAL
        (SELECT balance_units FROM ledger_postings WHERE account_id = a.id ORDER BY line DESC LIMIT 1) last";
    BALANCES = r#"SELECT a.kind, a."of", COALESCE(last.balance_units, 0)::text AS balance FROM ledger_accounts a LEFT JOIN LATERAL
        (SELECT balance_units FROM ledger_postings WHERE account_id = a.id ORDER BY line DESC LIMIT 1) last ON TRUE ORDER BY a.id"#;
    STATEMENT = "SELECT p.line, p.amount_units::text AS amount, p.balance_units::text AS balance, p.pending, t.source, t.reference,
        t.kind, t.booked_at FROM ledger_postings p JOIN ledger_transfers t ON t.id = p.transfer_id
        WHERE p.account_id = $1 AND p.line > $2 ORDER BY p.line LIMIT $3";
    ANNOUNCED = "SELECT t.source, t.reference, t.kind, t.booked_at FROM ledger_transfers t WHERE t.phase = 'pending'
        AND NOT EXISTS (SELECT 1 FROM ledger_transfers r WHERE r.resolves = t.id) ORDER BY t.id LIMIT $1";
    CHART = "SELECT kind, fund, normal, by, below_zero FROM ledger_account_kinds ORDER BY kind";
    // Lines with a gap before them, or a balance that is not the one before and the amount.
    BAD_LINES = "SELECT account_id, line FROM (SELECT account_id, line, line - lag(line, 1, 0::bigint) OVER w AS step,
        balance_units::numeric - lag(balance_units::numeric, 1, 0::numeric) OVER w - CASE WHEN pending THEN 0 ELSE amount_units END
        AS off FROM ledger_postings WINDOW w AS (PARTITION BY account_id ORDER BY line)) lines
        WHERE step <> 1 OR off <> 0 ORDER BY account_id, line LIMIT 100";
    BAD_TRANSFERS = "SELECT p.transfer_id FROM ledger_postings p JOIN ledger_accounts a ON a.id = p.account_id
        JOIN ledger_account_kinds k USING (kind) GROUP BY p.transfer_id, k.fund HAVING sum(p.amount_units) <> 0 LIMIT 100";
}

/// Books an entry. `false`: it was booked before, and is the same.
pub async fn book(db: &mut PgConnection, entry: &Entry) -> Result<bool, Error> {
    Ok(book_all(db, std::slice::from_ref(entry)).await?.first().copied().unwrap_or(false))
}

/// Books entries in their order, in the caller's transaction; for each whether it is new. Under a key that is taken by an entry
/// with other amounts, none is.
pub async fn book_all(db: &mut PgConnection, entries: &[Entry]) -> Result<Vec<bool>, Error> {
    let accounts: BTreeSet<&Account> =
        entries.iter().flat_map(|entry| entry.legs.iter().map(|leg| &leg.account).chain(&entry.covered_by)).collect();
    let ids: Vec<String> = accounts.iter().map(ToString::to_string).collect();
    let kinds: Vec<&str> = accounts.iter().map(|account| account.kind.as_str()).collect();
    let names: Vec<&str> = accounts.iter().map(|account| account.of.as_str()).collect();
    if !ids.is_empty() {
        sqlx::query(ADD_ACCOUNTS).bind(&ids).bind(kinds).bind(names).execute(&mut *db).await?;
        sqlx::query(LOCK_ACCOUNTS).bind(&ids).fetch_all(&mut *db).await?;
    }
    let mut news = Vec::new();
    for entry in entries {
        news.push(book_one(db, entry).await?);
    }
    Ok(news)
}

async fn transfer_of(db: &mut PgConnection, key: &Key) -> Result<Option<(i64, String)>, Error> {
    let query = sqlx::query(TRANSFER_OF).bind(&key.source).bind(&key.reference).bind(key.kind.as_str());
    let row = query.fetch_optional(db).await?;
    row.map(|row| Ok((row.try_get("id")?, row.try_get("phase")?))).transpose()
}

const fn phase(phase: &Phase) -> &'static str {
    match phase {
        Phase::Single => "single",
        Phase::Pending => "pending",
        Phase::Post(_) => "post",
        Phase::Void(_) => "void",
    }
}

async fn book_one(db: &mut PgConnection, entry: &Entry) -> Result<bool, Error> {
    let resolves = match &entry.phase {
        Phase::Single | Phase::Pending => None,
        Phase::Post(key) | Phase::Void(key) => match transfer_of(db, key).await? {
            Some((id, _)) => Some(id),
            None => return Err(Error::Missing(format!("nothing is announced as {} {}", key.source, key.reference))),
        },
    };
    let inserted = sqlx::query(ADD_TRANSFER)
        .bind(&entry.key.source)
        .bind(&entry.key.reference)
        .bind(entry.key.kind.as_str())
        .bind(phase(&entry.phase))
        .bind(resolves)
        .fetch_optional(&mut *db)
        .await?;
    let Some(row) = inserted else {
        return if is_stored(db, entry).await? { Ok(false) } else { Err(Error::OtherEntry(entry.key.clone())) };
    };
    let id: i64 = row.try_get("id")?;
    if entry.legs.is_empty() {
        return Ok(true);
    }
    let accounts: Vec<String> = entry.legs.iter().map(|leg| leg.account.to_string()).collect();
    let amounts: Vec<String> = entry.legs.iter().map(|leg| leg.amount.to_string()).collect();
    sqlx::query(ADD_POSTINGS).bind(id).bind(accounts).bind(amounts).execute(&mut *db).await?;
    if !entry.covered_by.is_empty() {
        let accounts: Vec<String> = entry.covered_by.iter().map(ToString::to_string).collect();
        let left = sqlx::query(SUM_OF).bind(&accounts).fetch_one(&mut *db).await?.i128("balance")?;
        if left < 0 {
            let short = Units(left.unsigned_abs());
            return Err(Error::NotCovered { kind: entry.key.kind, accounts: accounts.join(" + "), short });
        }
    }
    Ok(true)
}

/// Whether what is booked under the key is this entry.
async fn is_stored(db: &mut PgConnection, entry: &Entry) -> Result<bool, Error> {
    let Some((id, stored_phase)) = transfer_of(db, &entry.key).await? else { return Ok(false) };
    let mut stored = Vec::new();
    for row in sqlx::query(POSTINGS_OF).bind(id).fetch_all(db).await? {
        stored.push((row.try_get::<String, _>("account_id")?, row.i128("amount")?));
    }
    let mut given: Vec<_> = entry.legs.iter().map(|Leg { account, amount }| (account.to_string(), *amount)).collect();
    given.sort_unstable();
    stored.sort_unstable();
    Ok(stored_phase == phase(&entry.phase) && stored == given)
}

/// The balance of an account, debits above zero, base units; 0 if nothing was booked on it.
pub async fn balance(db: &mut PgConnection, account: &Account) -> Result<i128, Error> {
    sqlx::query(SUM_OF).bind(vec![account.to_string()]).fetch_one(db).await?.i128("balance")
}

/// All accounts with their balances, debits above zero.
pub async fn balances(db: &mut PgConnection) -> Result<Vec<(Account, i128)>, Error> {
    let rows = sqlx::query(BALANCES).fetch_all(db).await?;
    rows.iter()
        .map(|row| {
            Ok((Account { kind: row.word::<AccountKind>("kind")?, of: row.try_get("of")? }, row.i128("balance")?))
        })
        .collect()
}

/// What there is and what is owed, from one moment.
pub async fn position(db: &mut PgConnection) -> Result<Position, Error> {
    let mut position = Position::default();
    for (account, balance) in balances(db).await? {
        position.add(account.kind, balance);
    }
    Ok(position)
}

/// A line of an account's statement.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its number, from 1, without gaps.
    pub line: u64,
    /// What booked it.
    pub key: Key,
    /// Base units, debits above zero.
    pub amount: i128,
    /// Whether it is only announced.
    pub pending: bool,
    /// The balance after it.
    pub balance: i128,
    /// When.
    pub at: OffsetDateTime,
}

/// The lines of an account behind `after`, at most `limit`.
pub async fn statement(db: &mut PgConnection, account: &Account, after: u64, limit: u32) -> Result<Vec<Line>, Error> {
    let query = sqlx::query(STATEMENT).bind(account.to_string()).bind(big(after)?).bind(i64::from(limit));
    let rows = query.fetch_all(db).await?;
    rows.iter()
        .map(|row| {
            Ok(Line {
                line: row.u64("line")?,
                key: Key {
                    source: row.try_get("source")?,
                    reference: row.try_get("reference")?,
                    kind: row.word("kind")?,
                },
                amount: row.i128("amount")?,
                pending: row.try_get("pending")?,
                balance: row.i128("balance")?,
                at: row.try_get("booked_at")?,
            })
        })
        .collect()
}

/// What is announced and neither booked nor called off, the oldest first, at most `limit`.
pub async fn announced(db: &mut PgConnection, limit: u32) -> Result<Vec<(Key, OffsetDateTime)>, Error> {
    let rows = sqlx::query(ANNOUNCED).bind(i64::from(limit)).fetch_all(db).await?;
    rows.iter()
        .map(|row| {
            let key =
                Key { source: row.try_get("source")?, reference: row.try_get("reference")?, kind: row.word("kind")? };
            Ok((key, row.try_get("booked_at")?))
        })
        .collect()
}

/// Looks at every line of the books, as an auditor would who does not believe Postgres: what is wrong, in words.
pub async fn audit(db: &mut PgConnection) -> Result<Vec<String>, Error> {
    let mut wrong = Vec::new();
    for row in sqlx::query(BAD_LINES).fetch_all(&mut *db).await? {
        let (account, line): (String, i64) = (row.try_get("account_id")?, row.try_get("line")?);
        wrong.push(format!("line {line} of {account} does not follow from the line before"));
    }
    for row in sqlx::query(BAD_TRANSFERS).fetch_all(&mut *db).await? {
        wrong.push(format!("transfer {} does not balance", row.try_get::<i64, _>("transfer_id")?));
    }
    let position = position(db).await?;
    if !position.is_balanced() {
        wrong.push(format!("reserve and deficit are not what is owed: {position:?}"));
    }
    Ok(wrong)
}

/// The chart of accounts as Postgres has it: (kind, fund, normal side, by, whether below zero). `domain::ledger::CHART` is the
/// same, and a test compares them.
pub async fn chart(db: &mut PgConnection) -> Result<Vec<(String, String, String, String, bool)>, Error> {
    Ok(sqlx::query_as(CHART).fetch_all(db).await?)
}
