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
        for state in [ReceiptState::Settled, ReceiptState::Held] {
            let mut db = self.begin().await?;
            let found = receipts::in_state(&mut db, state, None, MOST).await?;
            drop(db);
            for id in found {
                Self::told(id, self.clear_one(id).await)?;
            }
        }
        Ok(())
    }

    async fn clear_one(&self, id: Uuid) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        let mut stored = receipts::get(&mut tx, id, true).await?;
        let mut moved = false;
        if stored.receipt.state == ReceiptState::Settled {
            let source = Source::default();
            receipts::apply(&mut tx, id, &Event::Held, source).await?;
            let until = receipt::hold(stored.receipt.rail, stored.risk).clears_on(self.day(&mut tx, &stored).await?);
            receipts::set_hold(&mut tx, id, until.with_time(Time::MIDNIGHT).assume_utc()).await?;
            stored = receipts::get(&mut tx, id, true).await?;
            moved = true;
        }
        if stored.receipt.state == ReceiptState::Held {
            let rule = receipt::hold(stored.receipt.rail, stored.risk);
            let today = self.day(&mut tx, &stored).await?;
            let over = stored.hold_until.is_some_and(|until| until.date() <= today);
            let event = match over {
                true => Some(Event::Cleared),
                false if rule.is_at_once(purpose(&stored), stored.receipt.principal, headroom(&mut tx).await?) => {
                    Some(Event::Accepted)
                }
                false => None,
            };
            if let Some(event) = event {
                receipts::apply(&mut tx, id, &event, Source::default()).await?;
                info!(receipt = %id, event = %event.kind(), "may be minted");
                moved = true;
            }
        }
        if moved { commit(tx).await } else { Ok(()) }
    }

    /// The day up to which we know what whoever has the money says: of its statement, and where none was read yet, of now.
    async fn day(&self, db: &mut PgConnection, stored: &Stored) -> Result<Date, Error> {
        let read = treasury::read_up_to(db, &stored.receipt.provider).await?;
        Ok(read.unwrap_or_else(|| OffsetDateTime::now_utc().date()))
    }
}
