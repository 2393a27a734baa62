//! What lines of statements mean: for which receipt, which event; or what else is booked.

use crate::{Error, MOST, Treasury, commit};
use domain::ledger::{Entry, EntryKind, Key, Location, Names, Part, Phase};
use domain::money::Units;
use domain::receipt::{Arrival, Event};
use fiat::statement::{BankLine, SettlementLine};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::receipts::{self, Source, Unapplied};
use store::{PgConnection, reconciliation};
use time::Date;
use tracing::{error, info, warn};

/// A line, as it is stored: what it says that matters, and no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum Told {
    /// A line of a settlement report. Amounts are base units.
    Settlement {
        /// What it is about, in our word.
        kind: String,
        /// The report's reference of the line.
        reference: String,
        /// The batch it was paid out in.
        batch: String,
        /// The day.
        on: Date,
        /// What the customer paid, or got back (below zero).
        #[serde(with = "text")]
        gross: i128,
        /// What the gateway keeps.
        #[serde(with = "text")]
        fee: i128,
        /// Our number of the payment.
        request: Option<String>,
        /// The gateway's.
        transaction: Option<String>,
        /// Why a debit came back.
        return_code: Option<String>,
    },
    /// A line of a bank's statement.
    Bank {
        /// What it is, in our word.
        kind: String,
        /// The bank's reference of the line.
        bank_reference: Option<String>,
        /// What the sender wrote.
        reference: Option<String>,
        /// Who is on the other side.
        counterparty: Option<String>,
        /// The day.
        on: Date,
        /// Above zero came to us.
        #[serde(with = "text")]
        amount: i128,
        /// Why a payment came back.
        return_code: Option<String>,
    },
}

/// Numbers as text: JSON's lose digits.
mod text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(number: &i128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(number)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i128, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// What a line comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Something happens to the receipt with this number at the provider.
    Receipt {
        /// Our number of it there.
        request: Option<String>,
        /// The provider's.
        transaction: Option<String>,
        /// What.
        event: Event,
        /// The provider's own fee for it, where the event has none: booked apart. Base units.
        fee: Units,
    },
    /// Money that came, with words of whoever sent it: a receipt's, if a receipt has that number.
    Arrived {
        /// What the sender wrote.
        reference: Option<String>,
        /// Who it is, as the bank says.
        counterparty: Option<String>,
        /// Base units.
        amount: Units,
    },
    /// The gateway has paid out what it had collected.
    PaidOut {
        /// The batch.
        batch: String,
        /// Base units.
        amount: Units,
    },
    /// A fee, which somebody has taken by himself.
    Fee(Units),
    /// Nothing moves by it.
    Nothing,
    /// Not understood: for a person.
    Odd(&'static str),
}

fn units(amount: i128) -> Units {
    Units(amount.unsigned_abs())
}

impl Told {
    /// What is kept of a line of a settlement report.
    pub fn of_settlement(line: &SettlementLine) -> Self {
        Self::Settlement {
            kind: line.kind.as_str().to_owned(),
            reference: line.reference.clone(),
            batch: line.batch.clone(),
            on: line.settled_on,
            gross: line.gross.0,
            fee: line.fee.0,
            request: line.request.clone(),
            transaction: line.transaction.clone(),
            return_code: line.return_code.as_ref().map(|code| code.as_str().to_owned()),
        }
    }

    /// What is kept of a line of a bank's statement.
    pub fn of_bank(line: &BankLine) -> Self {
        Self::Bank {
            kind: line.kind.as_str().to_owned(),
            bank_reference: line.bank_reference.clone(),
            reference: line.reference.clone(),
            counterparty: line.counterparty.clone(),
            on: line.value_date,
            amount: line.amount.0,
            return_code: line.return_code.as_ref().map(|code| code.as_str().to_owned()),
        }
    }

    /// As it is stored.
    pub fn to_json(&self) -> Result<Value, Error> {
        serde_json::to_value(self).map_err(|error| Error::Configuration(format!("a line cannot be stored: {error}")))
    }

    /// What it means. `source`: whose statement it is in; `gateway`: whose payouts a bank's line may be.
    pub fn meaning(&self, source: &str, gateway: &str) -> Meaning {
        match self {
            Self::Settlement { kind, reference, gross, fee, request, transaction, .. } => {
                let from = || Location::Provider(source.to_owned());
                let (trace, amount) = (reference.clone(), units(*gross));
                let own = SETTLEMENT_WORDS.iter().find(|(word, _)| *word == kind).map(|(_, kind)| kind);
                let (event, fee) = match own {
                    // The fee is part of what settles.
                    Some(Line::Sale) if *gross > 0 && *fee >= 0 => {
                        let settled = Event::Settled { amount, fee: units(*fee), arrival: Arrival::Collected };
                        (settled, Units(0))
                    }
                    Some(Line::Return) => (Event::Returned { trace, amount, from: from() }, units(*fee)),
                    Some(Line::Opened) => {
                        let trace = chargeback(transaction, reference);
                        (Event::ChargebackOpened { trace, amount, from: from() }, units(*fee))
                    }
                    Some(Line::Won) => {
                        (Event::ChargebackWon { trace: chargeback(transaction, reference), to: from() }, units(*fee))
                    }
                    Some(Line::Lost) => {
                        (Event::ChargebackLost { trace: chargeback(transaction, reference) }, units(*fee))
                    }
                    Some(Line::Fee) => return Meaning::Fee(units(*fee)),
                    Some(Line::Nothing) => return Meaning::Nothing,
                    Some(Line::Sale) | None => return Meaning::Odd("a settlement line that is not understood"),
                };
                Meaning::Receipt { request: request.clone(), transaction: transaction.clone(), event, fee }
            }
            Self::Bank { kind, reference, counterparty, amount, .. } => {
                let came = *amount > 0;
                let of_gateway = counterparty.as_deref().is_some_and(|name| name.to_lowercase().contains(gateway));
                match (kind.as_str(), reference) {
                    ("ach_credit", Some(batch)) if came && of_gateway => {
                        Meaning::PaidOut { batch: batch.clone(), amount: units(*amount) }
                    }
                    ("wire_in" | "ach_credit", reference) if came => Meaning::Arrived {
                        reference: reference.clone(),
                        counterparty: counterparty.clone(),
                        amount: units(*amount),
                    },
                    ("fee", _) if !came => Meaning::Fee(units(*amount)),
                    _ => Meaning::Odd("a bank line that is not understood"),
                }
            }
        }
    }
}

/// A chargeback is one per payment, whatever reference each of its lines has.
fn chargeback(transaction: &Option<String>, reference: &str) -> String {
    transaction.clone().unwrap_or_else(|| reference.to_owned())
}

enum Line {
    Sale,
    Return,
    Opened,
    Won,
    Lost,
    Fee,
    Nothing,
}

/// Words of settlement reports ([`fiat::statement::SettlementKind`]), and what is done with each. What is not here is for a person.
static SETTLEMENT_WORDS: &[(&str, Line)] = &[
    ("sale", Line::Sale),
    ("return", Line::Return),
    ("chargeback_opened", Line::Opened),
    ("chargeback_won", Line::Won),
    ("chargeback_lost", Line::Lost),
    ("fee", Line::Fee),
    ("convenience_fee", Line::Nothing),
];

impl Treasury {
    /// Applies what was told and not applied yet, in the order in which it was told.
    pub(crate) async fn apply_told(&self) -> Result<(), Error> {
        let mut db = self.begin().await?;
        let told = receipts::unapplied(&mut db, MOST).await?;
        drop(db);
        for event in told {
            match self.apply_one(&event).await {
                Err(Error::Store(error)) if error.is_temporary() => return Err(error.into()),
                Err(error) => error!(event = event.id, %error, "what was told cannot be applied"),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    async fn apply_one(&self, event: &Unapplied) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        let told: Result<Told, _> = serde_json::from_value(event.body.clone());
        let meaning = match &told {
            Ok(told) => told.meaning(&event.provider, self.gateway.name()),
            Err(_) => Meaning::Odd("it is stored in words that make no sense"),
        };
        match meaning {
            Meaning::Receipt { request, transaction, event: happened, fee } => {
                let receipt = match &request {
                    Some(request) => receipts::by_request(&mut tx, &event.provider, request).await?,
                    None => None,
                };
                let receipt = match (receipt, &transaction) {
                    (None, Some(transaction)) => {
                        receipts::by_provider_ref(&mut tx, &event.provider, transaction).await?
                    }
                    (found, _) => found,
                };
                let Some(receipt) = receipt else {
                    return self.odd(tx, event, "no receipt of ours has this number").await;
                };
                if let Some(transaction) = &transaction {
                    let stored = receipts::get(&mut tx, receipt, true).await?;
                    if stored.provider_ref.is_none() {
                        receipts::set_provider_ref(&mut tx, receipt, transaction).await?;
                    }
                }
                let source = Source { fiat_event: Some(event.id), ..Source::default() };
                let applied = receipts::apply(&mut tx, receipt, &happened, source).await?;
                info!(%receipt, event = %happened.kind(), ?applied, "a statement says");
                self.fee(&mut tx, event, fee, Location::Provider(event.provider.clone())).await?;
            }
            Meaning::Arrived { reference, counterparty, amount } => {
                let receipt = match reference.as_deref().map(str::trim) {
                    Some(reference) => receipts::by_request(&mut tx, &event.provider, reference).await?,
                    None => None,
                };
                match receipt {
                    Some(receipt) => {
                        let happened = Event::Settled {
                            amount,
                            fee: Units(0),
                            arrival: Arrival::Credited(event.provider.clone()),
                        };
                        let source = Source { fiat_event: Some(event.id), ..Source::default() };
                        let applied = receipts::apply(&mut tx, receipt, &happened, source).await?;
                        info!(%receipt, %amount, ?applied, "a wire came");
                    }
                    None => {
                        let payer = counterparty.as_deref();
                        store::suspense::open(&mut tx, &event.provider, event.id, amount, payer, reference.as_deref())
                            .await?;
                    }
                }
            }
            Meaning::PaidOut { batch, amount } => {
                let names = Names {
                    bank: Some(event.provider.clone()),
                    provider: Some(self.gateway.name().to_owned()),
                    ..Names::default()
                };
                let entry = self.entry(event, EntryKind::GatewayPaidOut, &names, amount)?;
                store::ledger::book(&mut tx, &entry).await?;
                receipts::set_aside(&mut tx, event.id, "irrelevant", &format!("batch {batch}")).await?;
            }
            Meaning::Fee(amount) => {
                let place = match &told {
                    Ok(Told::Bank { .. }) => Location::Bank(event.provider.clone()),
                    _ => Location::Provider(event.provider.clone()),
                };
                self.fee(&mut tx, event, amount, place).await?;
                receipts::set_aside(&mut tx, event.id, "irrelevant", "a fee").await?;
            }
            Meaning::Nothing => receipts::set_aside(&mut tx, event.id, "irrelevant", "nothing moves by it").await?,
            Meaning::Odd(why) => return self.odd(tx, event, why).await,
        }
        commit(tx).await
    }

    fn entry(&self, event: &Unapplied, kind: EntryKind, names: &Names, amount: Units) -> Result<Entry, Error> {
        let key = Key { source: event.provider.clone(), reference: event.external_id.clone(), kind };
        Entry::new(key, Phase::Single, names, &[(Part::Amount, amount)])
            .map_err(|error| Error::Configuration(error.to_string()))
    }

    async fn fee(&self, db: &mut PgConnection, event: &Unapplied, fee: Units, place: Location) -> Result<(), Error> {
        if fee.0 == 0 {
            return Ok(());
        }
        let names = Names { provider: Some(self.gateway.name().to_owned()), place: Some(place), ..Names::default() };
        store::ledger::book(db, &self.entry(event, EntryKind::ProviderFee, &names, fee)?).await?;
        Ok(())
    }

    /// For a person: nothing is booked on what nobody understands.
    async fn odd(&self, mut tx: store::Tx, event: &Unapplied, why: &str) -> Result<(), Error> {
        warn!(event = event.id, provider = event.provider, why, "for a person");
        receipts::set_aside(&mut tx, event.id, "refused", why).await?;
        let subject = format!("told/{}/{}", event.provider, event.external_id);
        let ours = serde_json::json!({ "why": why });
        reconciliation::open_case(&mut tx, "not_understood", &subject, None, Some(event.id), &ours, &event.body)
            .await?;
        commit(tx).await
    }
}

/// Our words for kinds of lines, so that the table above cannot name one that readers never give.
#[cfg(test)]
mod tests {
    use super::*;
    use fiat::statement::{BankKind, SettlementKind};

    #[test]
    fn every_kind_of_settlement_line_is_in_the_table_or_for_a_person() {
        for (kind, known) in [
            (SettlementKind::Sale, true),
            (SettlementKind::Return, true),
            (SettlementKind::ChargebackOpened, true),
            (SettlementKind::ChargebackWon, true),
            (SettlementKind::ChargebackLost, true),
            (SettlementKind::Fee, true),
            (SettlementKind::ConvenienceFee, true),
            (SettlementKind::Refund, false),
            (SettlementKind::Other("BONUS".to_owned()), false),
        ] {
            assert_eq!(SETTLEMENT_WORDS.iter().any(|(word, _)| *word == kind.as_str()), known, "{kind:?}");
        }
    }

    #[test]
    fn a_bank_line_is_the_gateways_a_senders_or_for_a_person() {
        let line = |kind: BankKind, amount: i128, who: Option<&str>| Told::Bank {
            kind: kind.as_str().to_owned(),
            bank_reference: None,
            reference: Some("B-1".to_owned()),
            counterparty: who.map(str::to_owned),
            on: time::macros::date!(2026 - 11 - 23),
            amount,
            return_code: None,
        };
        let one = Units(1_000_000);
        for (told, meaning) in [
            (
                line(BankKind::AchCredit, 1_000_000, Some("TILLIPAY GPS")),
                Meaning::PaidOut { batch: "B-1".to_owned(), amount: one },
            ),
            (
                line(BankKind::AchCredit, 1_000_000, Some("ADA")),
                Meaning::Arrived {
                    reference: Some("B-1".to_owned()),
                    counterparty: Some("ADA".to_owned()),
                    amount: one,
                },
            ),
            (
                line(BankKind::WireIn, 1_000_000, None),
                Meaning::Arrived { reference: Some("B-1".to_owned()), counterparty: None, amount: one },
            ),
            (line(BankKind::Fee, -1_000_000, None), Meaning::Fee(one)),
            (line(BankKind::WireOut, -1_000_000, None), Meaning::Odd("a bank line that is not understood")),
        ] {
            assert_eq!(told.meaning("ops", "tilli"), meaning, "{told:?}");
        }
    }

    #[test]
    fn a_line_is_read_back_as_it_was_stored() {
        let told = Told::Settlement {
            kind: "sale".to_owned(),
            reference: "L-1".to_owned(),
            batch: "B-1".to_owned(),
            on: time::macros::date!(2026 - 11 - 23),
            gross: 152_500_000,
            fee: 4_722_500,
            request: None,
            transaction: Some("T-1".to_owned()),
            return_code: None,
        };
        assert_eq!(serde_json::from_value::<Told>(told.to_json().unwrap()).unwrap(), told);
    }
}
