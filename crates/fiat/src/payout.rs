//! Paying dollars out. TilliPay documents no way to do so, so this is apart from collecting.
//!
//! | way | how it goes | what says that it is done |
//! | --- | --- | --- |
//! | [`Method::CircleWire`] | the treasury gives a [`WireOrder`] to the client of Circle | Circle's payout, later maybe its `return` |
//! | [`Method::AchFile`] | a NACHA file for our bank ([`nacha`]) | the bank's statement; nothing says that it will not come back |
//! | [`Method::CsvFile`] | a file for a bank's upload page ([`list`]) | the bank's statement |
//! | [`Method::Manual`] | two people do it and say so ([`manual`]) | what they say, then the bank's statement |
//!
//! Payouts to debit cards are manual: no provider with a documented interface for them is connected.

pub mod list;
pub mod manual;
pub mod nacha;
pub mod outbox;

use crate::bank::BankAccount;
use crate::text::Text;
use crate::{Error, money, tilli};
use domain::money::Units;
use std::fmt;
use uuid::Uuid;

/// Our id of a withdrawal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WithdrawalId(pub Uuid);

impl fmt::Display for WithdrawalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Dollars to pay out. Whoever orders one has seen the burn, final on its chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payout {
    /// Of which withdrawal.
    pub id: WithdrawalId,
    /// How much, in base units of 10⁻⁶ dollar: whole cents.
    pub amount: Units,
    /// Where to.
    pub to: Destination,
}

/// Where dollars go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A bank account.
    Bank(BankAccount),
    /// A bank account that Circle knows: its id there.
    CircleAccount(String),
    /// A debit card, by what stands for it.
    DebitCard {
        /// Its token at whoever has its number.
        token: tilli::Token,
        /// Who holds it.
        holder: Text,
    },
}

/// The ways to pay out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// A wire by Circle.
    CircleWire,
    /// ACH credits in a NACHA file.
    AchFile,
    /// Lines of a file for a bank's upload page.
    CsvFile,
    /// By hand.
    Manual,
}

impl Method {
    /// Its word in rows and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CircleWire => "circle_wire",
            Self::AchFile => "ach_file",
            Self::CsvFile => "csv_file",
            Self::Manual => "manual",
        }
    }
}

/// A way to pay out that is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FiatPayout {
    /// A wire by Circle.
    CircleWire,
    /// NACHA files for our bank.
    Nacha(nacha::Originator),
    /// Files for our bank's upload page.
    Csv,
    /// By hand.
    Manual,
}

/// What has to be done for one payout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Give this to Circle.
    Wire(WireOrder),
    /// Put this into the next file ([`nacha::write`], [`list::write`]).
    File(Entry),
    /// Two people do it.
    People(manual::Order),
}

/// A wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireOrder {
    /// Of which withdrawal. The idempotency key at the provider is the caller's to draw and to store.
    pub id: WithdrawalId,
    /// The account's id at the provider.
    pub account: String,
    /// How much, in cents.
    pub cents: u64,
}

/// One payment of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Of which withdrawal.
    pub id: WithdrawalId,
    /// How much, in cents.
    pub cents: u64,
    /// Where to.
    pub to: BankAccount,
}

impl FiatPayout {
    /// Which way it is.
    pub const fn method(&self) -> Method {
        match self {
            Self::CircleWire => Method::CircleWire,
            Self::Nacha(_) => Method::AchFile,
            Self::Csv => Method::CsvFile,
            Self::Manual => Method::Manual,
        }
    }

    /// What has to be done for `payout` this way; an error where it does not lead there.
    pub fn step(&self, payout: &Payout) -> Result<Step, Error> {
        let cents = money::cents(payout.amount)?;
        match (self, &payout.to) {
            (Self::CircleWire, Destination::CircleAccount(account)) => {
                Ok(Step::Wire(WireOrder { id: payout.id, account: account.clone(), cents }))
            }
            (Self::Nacha(_) | Self::Csv, Destination::Bank(to)) => {
                Ok(Step::File(Entry { id: payout.id, cents, to: to.clone() }))
            }
            (Self::Manual, to) => Ok(Step::People(manual::Order { id: payout.id, cents, to: to.clone() })),
            (_, Destination::DebitCard { .. }) => Err(Error::NotOffered("paying out to a debit card")),
            (way, _) => Err(Error::Input(format!(
                "{} does not lead to this kind of account; choose another way",
                way.method().as_str()
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bank::{AccountKind, AccountNumber, Owner, RoutingNumber};

    #[test]
    fn every_way_leads_where_it_leads_and_debit_cards_are_for_people() {
        let bank = Destination::Bank(BankAccount {
            routing: RoutingNumber::parse("021300912").unwrap(),
            account: AccountNumber::parse("30733816").unwrap(),
            kind: AccountKind::Checking,
            owner: Owner::Consumer,
            holder: Text::parse("name", "Ada Example").unwrap(),
        });
        let circle = Destination::CircleAccount("b8627ae8".to_owned());
        let card = Destination::DebitCard {
            token: tilli::Token::parse("tok_1").unwrap(),
            holder: Text::parse("name", "Ada Example").unwrap(),
        };
        let led = |way: &FiatPayout, to: &Destination| {
            way.step(&Payout { id: WithdrawalId(Uuid::nil()), amount: Units(1_000_000), to: to.clone() }).is_ok()
        };
        for (way, leads) in [
            (FiatPayout::CircleWire, [false, true, false]),
            (FiatPayout::Csv, [true, false, false]),
            (FiatPayout::Manual, [true, true, true]),
        ] {
            assert_eq!([&bank, &circle, &card].map(|to| led(&way, to)), leads, "{way:?}");
        }
        let fraction = Payout { id: WithdrawalId(Uuid::nil()), amount: Units(1_000_001), to: bank };
        assert!(FiatPayout::Csv.step(&fraction).is_err());
    }
}
