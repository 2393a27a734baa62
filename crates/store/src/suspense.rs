//! Money that came and nobody knows for what. Two people decide, one after the other; Postgres refuses one person alone.

use crate::codec::Columns;
use crate::receipts::{self, Applied, Source};
use crate::{Error, PgConnection, ledger, statements};
use domain::ledger::{Entry, EntryKind, Key, Location, Names, Part, Phase};
use domain::money::Units;
use domain::receipt::{Arrival, Event};
use domain::steps::Refusal;
use sqlx::Row;
use uuid::Uuid;

statements! {
    ADD = "INSERT INTO suspense_items (bank_account_id, fiat_event_id, amount_units, payer, reference)
        VALUES ($1, $2, $3::text::numeric, $4, $5) ON CONFLICT (fiat_event_id) DO NOTHING RETURNING id";
    OF_EVENT = "SELECT id FROM suspense_items WHERE fiat_event_id = $1";
    GET = "SELECT bank_account_id, amount_units::text AS amount, payer, reference, state, proposed_receipt, proposed_return, proposed_by
        FROM suspense_items WHERE id = $1 FOR UPDATE";
    OPEN = "SELECT id FROM suspense_items WHERE state IN ('open', 'proposed') ORDER BY created_at, id LIMIT $1";
    PROPOSE = "UPDATE suspense_items SET state = 'proposed', proposed_receipt = $2, proposed_return = $3, proposed_by = $4,
        proposed_at = now() WHERE id = $1";
    APPROVE = "UPDATE suspense_items SET state = CASE WHEN proposed_return THEN 'returned' ELSE 'assigned' END, approved_by = $2,
        approved_at = now() WHERE id = $1";
}

/// What is to become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proposal {
    /// It is this receipt's.
    Receipt(Uuid),
    /// It goes back to where it came from.
    Return,
}

/// Something in suspense.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Item {
    pub bank: String,
    /// Base units.
    pub amount: Units,
    pub payer: Option<String>,
    pub reference: Option<String>,
    /// open, proposed, assigned, returned.
    pub state: String,
    pub proposal: Option<(Proposal, String)>,
}

fn key(id: Uuid, reference: &str, kind: EntryKind) -> Key {
    Key { source: format!("suspense/{id}"), reference: reference.to_owned(), kind }
}

/// Puts money in suspense that a bank says has come. Once for each thing the bank has said.
pub async fn open(
    db: &mut PgConnection,
    bank: &str,
    fiat_event: i64,
    amount: Units,
    payer: Option<&str>,
    reference: Option<&str>,
) -> Result<Uuid, Error> {
    let query = sqlx::query(ADD).bind(bank).bind(fiat_event).bind(amount.0.to_string()).bind(payer).bind(reference);
    let Some(row) = query.fetch_optional(&mut *db).await? else {
        return Ok(sqlx::query(OF_EVENT).bind(fiat_event).fetch_one(db).await?.try_get("id")?);
    };
    let id: Uuid = row.try_get("id")?;
    receipts::set_aside(db, fiat_event, "suspense", "nobody knows what it is for").await?;
    let names = Names { place: Some(Location::Bank(bank.to_owned())), ..Names::default() };
    let entry = entry(key(id, "opened", EntryKind::Unmatched), &names, (Part::Amount, amount))?;
    ledger::book(db, &entry).await?;
    Ok(id)
}

fn entry(key: Key, names: &Names, part: (Part, Units)) -> Result<Entry, Error> {
    Entry::new(key, Phase::Single, names, &[part]).map_err(|error| Refusal::Entry(error).into())
}

/// What lies in suspense; its row is held until the transaction ends.
pub async fn get(db: &mut PgConnection, id: Uuid) -> Result<Item, Error> {
    let row = sqlx::query(GET).bind(id).fetch_optional(db).await?;
    let row = row.ok_or_else(|| Error::Missing(format!("nothing lies in suspense as {id}")))?;
    let proposal =
        match (row.try_get::<Option<Uuid>, _>("proposed_receipt")?, row.try_get::<Option<String>, _>("proposed_by")?) {
            (Some(receipt), Some(who)) => Some((Proposal::Receipt(receipt), who)),
            (None, Some(who)) => Some((Proposal::Return, who)),
            (_, None) => None,
        };
    Ok(Item {
        bank: row.try_get("bank_account_id")?,
        amount: row.units("amount")?,
        payer: row.try_get("payer")?,
        reference: row.try_get("reference")?,
        state: row.try_get("state")?,
        proposal,
    })
}

/// What is undecided, the oldest first.
pub async fn undecided(db: &mut PgConnection, limit: u32) -> Result<Vec<Uuid>, Error> {
    let rows = sqlx::query(OPEN).bind(i64::from(limit)).fetch_all(db).await?;
    rows.iter().map(|row| Ok(row.try_get("id")?)).collect()
}

/// The first person says what it is for; instead of what was said before, if that was not agreed to.
pub async fn propose(db: &mut PgConnection, id: Uuid, proposal: Proposal, who: &str) -> Result<(), Error> {
    let (receipt, back) = match proposal {
        Proposal::Receipt(receipt) => (Some(receipt), false),
        Proposal::Return => (None, true),
    };
    match sqlx::query(PROPOSE).bind(id).bind(receipt).bind(back).bind(who).execute(db).await?.rows_affected() {
        1 => Ok(()),
        _ => Err(Error::Missing(format!("nothing lies in suspense as {id}"))),
    }
}

/// The second person agrees: it is booked. For a return the bank payment is the caller's, afterwards.
pub async fn approve(db: &mut PgConnection, id: Uuid, who: &str) -> Result<(), Error> {
    let item = get(db, id).await?;
    let Some((proposal, _)) = item.proposal else {
        return Err(Error::Missing(format!("nobody has said yet what {id} is for")));
    };
    sqlx::query(APPROVE).bind(id).bind(who).execute(&mut *db).await?;
    match proposal {
        Proposal::Receipt(receipt) => {
            let event = Event::Settled { amount: item.amount, fee: Units(0), arrival: Arrival::FromSuspense };
            let source = Source { actor: Some(who), ..Source::default() };
            match receipts::apply(db, receipt, &event, source).await? {
                Applied::Yes { .. } => Ok(()),
                Applied::Refused(refusal) => Err(refusal.into()),
                Applied::Already | Applied::Waits => {
                    Err(Error::Missing(format!("receipt {receipt} does not wait for money")))
                }
            }
        }
        Proposal::Return => {
            let names =
                Names { bank: Some(item.bank.clone()), place: Some(Location::Bank(item.bank)), ..Names::default() };
            let entry = entry(key(id, "returned", EntryKind::SuspenseReturned), &names, (Part::Amount, item.amount))?;
            ledger::book(db, &entry).await?;
            Ok(())
        }
    }
}
