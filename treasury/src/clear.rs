//! From settled to cleared. A hold ends when the statement of its last day was read, not when our clock says so: a return of
//! that day would be in it, and a clock that jumps must not clear anybody's money.

use crate::submit::{headroom, purpose};
use crate::{Error, MOST, Treasury, commit};
use domain::receipt::{self, Event, ReceiptState};
use store::receipts::{self, Source, Stored};
use store::{PgConnection, treasury};
use time::{Date, OffsetDateTime, Time};
use tracing::info;
use uuid::Uuid;

impl Treasury {
    /// Holds what settled, and clears what was held long enough.
    pub(crate) async fn clear(&self) -> Result<(), Error> {
        let mut db = self.begin().await?;
        let settled = receipts::in_state(&mut db, ReceiptState::Settled, None, MOST).await?;
        drop(db);
        for id in settled {
            Self::told(id, self.hold_one(id).await)?;
        }
        let mut db = self.begin().await?;
        let held = receipts::in_state(&mut db, ReceiptState::Held, None, MOST).await?;
        drop(db);
        for id in held {
            Self::told(id, self.clear_one(id).await)?;
        }
        Ok(())
    }

    async fn hold_one(&self, id: Uuid) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        let stored = receipts::get(&mut tx, id, true).await?;
        if stored.receipt.state != ReceiptState::Settled {
            return Ok(());
        }
        let until = receipt::hold(stored.receipt.rail, stored.risk).clears_on(self.day(&mut tx, &stored).await?);
        receipts::apply(&mut tx, id, &Event::Held, Source::default()).await?;
        receipts::set_hold(&mut tx, id, until.with_time(Time::MIDNIGHT).assume_utc()).await?;
        commit(tx).await
    }

    async fn clear_one(&self, id: Uuid) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        let stored = receipts::get(&mut tx, id, true).await?;
        if stored.receipt.state != ReceiptState::Held {
            return Ok(());
        }
        let rule = receipt::hold(stored.receipt.rail, stored.risk);
        let today = self.day(&mut tx, &stored).await?;
        let event = match stored.hold_until {
            Some(until) if until.date() <= today => Event::Cleared,
            _ if rule.is_at_once(purpose(&stored), stored.receipt.principal, headroom(&mut tx).await?) => {
                Event::Accepted
            }
            _ => return Ok(()),
        };
        match receipts::apply(&mut tx, id, &event, Source::default()).await {
            Ok(_) => {
                info!(receipt = %id, event = %event.kind(), "may be minted");
                commit(tx).await
            }
            // The hold is over, and the money is not at the bank yet: the gateway has not paid it out.
            Err(store::Error::NotCovered { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The day up to which we know what whoever has the money says: of its statement, and where none was read yet, of now.
    async fn day(&self, db: &mut PgConnection, stored: &Stored) -> Result<Date, Error> {
        let read = treasury::read_up_to(db, &stored.receipt.provider).await?;
        Ok(read.unwrap_or_else(|| OffsetDateTime::now_utc().date()))
    }
}
