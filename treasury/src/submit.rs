//! Handing payments to the provider, once.
//!
//! That a payment is handed in is committed before it is, and that nobody knows what has become of it with it: whoever is killed in
//! between leaves a payment that is asked for, not one that is sent again. Under another number it is never sent.

use crate::{Error, MOST, Treasury, commit};
use domain::money::Units;
use domain::receipt::{self, Event, FiatRail, Purpose, ReceiptState};
use fiat::text::Text;
use fiat::tilli::{CheckEntry, ClientRequestId, Collect, Customer, Holder, Merchant, Source, Standing, Token};
use fiat::{Outcome, tilli};
use serde_json::Value;
use store::PgConnection;
use store::fault::{self, Point};
use store::receipts::{self, Applied};
use store::treasury::{self, Payment};
use time::OffsetDateTime;
use tracing::{info, warn};
use uuid::Uuid;

impl Treasury {
    /// Hands in what nobody has handed in yet.
    pub(crate) async fn submit(&self) -> Result<(), Error> {
        let mut db = self.begin().await?;
        let waiting = treasury::initiated(&mut db, MOST).await?;
        drop(db);
        for id in waiting {
            Self::told(id, self.hand_in(id).await)?;
        }
        Ok(())
    }

    async fn hand_in(&self, id: Uuid) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        if receipts::get(&mut tx, id, true).await?.receipt.state != ReceiptState::Initiated {
            return Ok(());
        }
        let payment = treasury::payment(&mut tx, id).await?;
        let collect = match collect(&payment) {
            Ok(collect) => collect,
            // It can never be sent, so it never was.
            Err(error) => {
                warn!(receipt = %id, %error, "cannot be collected");
                receipts::apply(&mut tx, id, &Event::Submitted, receipts::Source::default()).await?;
                receipts::apply(&mut tx, id, &Event::Declined, receipts::Source::default()).await?;
                return commit(tx).await;
            }
        };
        receipts::apply(&mut tx, id, &Event::Submitted, receipts::Source::default()).await?;
        receipts::set_unknown(&mut tx, id).await?;
        treasury::ask_now(&mut tx, id).await?;
        commit(tx).await?;
        fault::crash(Point::AfterCommitBeforeCollect);
        let said = self.gateway.collect(&collect).await;
        fault::crash(Point::AfterCollectBeforeCommit);
        self.heard(id, said.map(Some)).await
    }

    /// Asks the provider about payments that have not settled.
    pub(crate) async fn ask(&self) -> Result<(), Error> {
        let mut db = self.begin().await?;
        let waiting = treasury::to_ask(&mut db, self.config.ask_every, MOST).await?;
        drop(db);
        for id in waiting {
            Self::told(id, self.ask_about(id).await)?;
        }
        Ok(())
    }

    async fn ask_about(&self, id: Uuid) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        treasury::ask_now(&mut tx, id).await?;
        let payment = treasury::payment(&mut tx, id).await?;
        commit(tx).await?;
        let collect = collect(&payment)?;
        let transaction = payment.provider_ref.as_deref().and_then(|id| tilli::TransactionId::parse(id).ok());
        let found = self.gateway.query(collect.merchant(), collect.id, transaction.as_ref()).await;
        match found {
            Ok(None) if OffsetDateTime::now_utc() - payment.created_at > self.config.resend_after => {
                // It is not there after all this time: the same again, under the same number.
                let said = self.gateway.collect(&collect).await;
                self.heard(id, said.map(Some)).await
            }
            // The answer of a look-up that failed is no answer to the payment.
            Err(error) => {
                info!(receipt = %id, %error, "what has become of it is not known");
                Ok(())
            }
            found => self.heard(id, found).await,
        }
    }

    async fn heard(&self, id: Uuid, said: Result<Option<tilli::Charge>, fiat::Error>) -> Result<(), Error> {
        let charge = match said {
            Ok(Some(charge)) => charge,
            Ok(None) => return Ok(()),
            Err(error) if error.outcome() == Outcome::Refused => {
                info!(receipt = %id, %error, "declined");
                return self.declined(id).await;
            }
            Err(error) => {
                info!(receipt = %id, %error, "what has become of it is not known");
                return Ok(());
            }
        };
        if charge.standing == Standing::Declined {
            return self.declined(id).await;
        }
        let mut tx = self.begin().await?;
        let stored = receipts::get(&mut tx, id, true).await?;
        if stored.receipt.state != ReceiptState::Submitted {
            return Ok(());
        }
        if let Some(transaction) = &charge.transaction {
            receipts::set_provider_ref(&mut tx, id, transaction.as_str()).await?;
        }
        treasury::set_known(&mut tx, id).await?;
        let asked = stored.receipt.gross();
        match (charge.standing, charge.charged) {
            (Standing::Approved, Some(charged)) if charged != asked => {
                warn!(receipt = %id, %asked, %charged, "another amount was charged: it waits for the settlement report");
            }
            (Standing::Approved, _) => accept(&mut tx, &stored).await?,
            _ => {}
        }
        commit(tx).await
    }

    async fn declined(&self, id: Uuid) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        match receipts::apply(&mut tx, id, &Event::Declined, receipts::Source::default()).await? {
            Applied::Yes { .. } | Applied::Already => commit(tx).await,
            // It settled, or came back, meanwhile: the provider contradicts itself, and the statement counts.
            applied => {
                warn!(receipt = %id, ?applied, "declined, and not only");
                commit(tx).await
            }
        }
    }
}

/// Takes approved money as if it were there, where the policy says so and own capital can stand in for it.
async fn accept(db: &mut PgConnection, stored: &receipts::Stored) -> Result<(), Error> {
    let receipt = &stored.receipt;
    let free = headroom(db).await?;
    if receipt::hold(receipt.rail, stored.risk).is_at_once(purpose(stored), receipt.principal, free) {
        receipts::apply(db, stored.id, &Event::Accepted, receipts::Source::default()).await?;
    }
    Ok(())
}

/// What the tokens are for: an invoice of somebody else's, or a wallet of one's own.
pub(crate) fn purpose(stored: &receipts::Stored) -> Purpose {
    if stored.invoice.is_some() { Purpose::Invoice } else { Purpose::OwnWallet }
}

/// Own capital that stands in for nothing, base units. Whoever takes of it holds the account's row until commit.
pub(crate) async fn headroom(db: &mut PgConnection) -> Result<Units, Error> {
    let mut free = 0_i128;
    for (account, balance) in store::ledger::balances(db).await? {
        if account.kind == domain::ledger::AccountKind::LossReserve {
            free = free.saturating_add(balance);
        }
    }
    Ok(Units(u128::try_from(free).unwrap_or(0)))
}

fn collect(payment: &Payment) -> Result<Collect, Error> {
    let id = payment.request.parse().map_err(|_| wrong(payment, "its number is no UUID"))?;
    let token = payment.token.as_deref().ok_or_else(|| wrong(payment, "no card or account is linked"))?;
    let token = Token::parse(token)?;
    let said = |key: &str| payment.details.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let text = |key: &str| said(key).map(|value| Text::parse(key, value)).transpose();
    let needed = |key: &str| text(key)?.ok_or_else(|| fiat::Error::Input(format!("the holder's {key} is missing")));
    let source = match payment.rail {
        FiatRail::Card => Source::Card(token),
        FiatRail::Ach => Source::Check {
            token,
            entry: CheckEntry::Online,
            holder: Holder {
                first_name: needed("first_name")?,
                last_name: needed("last_name")?,
                address_one: needed("address_one")?,
                address_two: text("address_two")?,
                city: needed("city")?,
                state: needed("state")?,
                zip: needed("zip")?,
            },
        },
        FiatRail::Wire | FiatRail::Rtp => return Err(wrong(payment, "wires are sent by the customer")),
    };
    let number = payment.customer.as_deref().unwrap_or(&payment.request);
    let customer = Customer {
        number: Text::parse("customer", number)?,
        email: payment.email.as_deref().map(|email| Text::parse("email", email)).transpose()?,
        phone: text("phone")?,
        postal_code: text("postal_code")?,
    };
    Ok(Collect { id: ClientRequestId(id), amount: payment.gross, fee: None, source, customer, at: payment.created_at })
}

fn wrong(payment: &Payment, why: &str) -> Error {
    fiat::Error::Input(format!("receipt {}: {why}", payment.id)).into()
}

/// Which of the provider's merchant ids a payment goes through.
pub const fn merchant(rail: FiatRail) -> Merchant {
    match rail {
        FiatRail::Card => Merchant::Card,
        _ => Merchant::Ica,
    }
}
