//! Having mints ordered: on which rail, when again, and when not at all.

use crate::{Error, MOST, Treasury, commit};
use domain::mint::MintRefusal;
use domain::money::Units;
use domain::receipt::{Event, ReceiptState};
use domain::token_rail::{Choice, Order, Patience, RailFact, Reason, Signal, TokenRail, choose};
use serde_json::json;
use store::mints::{self, NewOrder};
use store::receipts::{self, Source};
use store::treasury::{self, DeadOrder, Hash};
use store::{PgConnection, Tx, token_rails};
use time::OffsetDateTime;
use tracing::{info, warn};
use uuid::Uuid;

impl Treasury {
    /// Orders mints for what is cleared.
    pub(crate) async fn order(&self) -> Result<(), Error> {
        let mut db = self.begin().await?;
        let cleared = receipts::in_state(&mut db, ReceiptState::Cleared, None, MOST).await?;
        drop(db);
        for id in cleared {
            Self::told(id, self.order_one(id).await)?;
        }
        Ok(())
    }

    async fn order_one(&self, id: Uuid) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        // The invoice before the receipt: that is the order in which everybody locks.
        let stored = receipts::get(&mut tx, id, false).await?;
        let (Some(invoice), Some(amount)) = (stored.invoice.clone(), stored.receipt.clearable()) else { return Ok(()) };
        let rails = treasury::rails_of(&mut tx, &invoice).await?;
        let hashes: Vec<_> = rails.iter().map(|(.., hash)| *hash).collect();
        store::projection::lock(&mut tx, hashes).await?;
        let stored = receipts::get(&mut tx, id, true).await?;
        if stored.receipt.clearable() != Some(amount) {
            return Ok(());
        }
        let orders = mints::of_deposit(&mut tx, stored.deposit).await?;
        if orders.iter().any(|order| order.state.is_live()) {
            return Ok(());
        }
        let dead = treasury::dead_orders(&mut tx, id).await?;
        let over: Vec<_> = dead.iter().map(|order| (order.rail, is_over(order))).collect();
        // The latest of them tells its rail's breaker, in the transaction that orders the next: so each is heard once.
        if let Some(last) = dead.last() {
            let why = format!("order {} of receipt {id} is {}", last.attempt, last.state);
            token_rails::hear(&mut tx, last.rail, Signal::Failed, now(), Patience::default(), Some(&why)).await?;
        }
        let (rail, passed) = match choose(&self.facts(&mut tx, &rails).await?, amount, &over) {
            Choice::Take(rail, passed) => (rail, passed),
            Choice::Wait(_) => return Ok(()),
            Choice::Nowhere(passed) => {
                warn!(receipt = %id, ?passed, "it can be minted nowhere now");
                return Ok(());
            }
        };
        for (from, reason) in &passed {
            // That an invoice has no terms on a rail is how it was made, and no reason to tell.
            if *reason != Reason::NoTerms {
                let order = dead.iter().rev().find(|order| order.rail == *from);
                let proof = json!({
                    "order": order.map(|order| order.attempt), "state": order.map(|order| &order.state),
                    "valid_until": order.map(|order| order.valid_until),
                });
                warn!(receipt = %id, %from, to = %rail, %reason, "a rail is passed over");
                let subject = format!("receipt/{id}");
                token_rails::passed_over(&mut tx, Some(id), &subject, *from, Some(rail), *reason, &proof).await?;
            }
        }
        let Some((.., terms_hash)) = rails.iter().find(|(of, ..)| *of == rail) else { return Ok(()) };
        let new =
            NewOrder { deposit_id: stored.deposit, receipt_id: Some(id), terms_hash: *terms_hash, units: amount.0 };
        match mints::order(&mut tx, &new).await? {
            Ok(ordered) => {
                info!(receipt = %id, %rail, attempt = ordered.attempt, until = ordered.valid_until, "a mint is ordered");
                commit(tx).await
            }
            Err(refusal) => self.refused(tx, id, rail, refusal).await,
        }
    }

    async fn facts(&self, db: &mut PgConnection, rails: &[(TokenRail, u64, Hash)]) -> Result<Vec<RailFact>, Error> {
        let mut facts = Vec::new();
        for standing in token_rails::all(db).await? {
            let rail = standing.rail;
            // The while may be over.
            let breaker = token_rails::hear(db, rail, Signal::Waited, now(), Patience::default(), None).await?;
            facts.push(RailFact {
                rail,
                terms: rails.iter().any(|(of, ..)| *of == rail),
                // What a gate allows is the attestors' and the gate's to say: an order that it refuses runs out, provably.
                paused: false,
                headroom: Units(u128::MAX),
                breaker,
            });
        }
        Ok(facts)
    }

    /// What cannot be minted because the invoice needs nothing any more becomes the customer's; the rest waits.
    async fn refused(&self, tx: Tx, id: Uuid, rail: TokenRail, refusal: MintRefusal) -> Result<(), Error> {
        drop(tx);
        match refusal {
            MintRefusal::Closed | MintRefusal::CalledOff | MintRefusal::Late | MintRefusal::TooLittle => {
                let mut tx = self.begin().await?;
                let trace = refusal.to_string();
                receipts::apply(&mut tx, id, &Event::GivenBack { trace }, Source::default()).await?;
                info!(receipt = %id, %refusal, "not needed: it is the customer's credit");
                commit(tx).await
            }
            MintRefusal::Paying | MintRefusal::Ordered | MintRefusal::Spent => Ok(()),
            MintRefusal::NoRail | MintRefusal::NoGate | MintRefusal::Partials => {
                warn!(receipt = %id, %rail, %refusal, "cannot be minted");
                Ok(())
            }
        }
    }
}

/// An order that the store calls over can never be spent: its time is past by the chain's finalized clock.
const fn is_over(order: &DeadOrder) -> Order {
    Order { issued: true, valid_until: order.valid_until, used: false, final_now: u64::MAX }
}

/// Unix seconds. For breakers only: how long a rail rests is no matter of anybody's money.
pub(crate) fn now() -> u64 {
    u64::try_from(OffsetDateTime::now_utc().unix_timestamp()).unwrap_or(0)
}
