//! Amounts as Circle writes them, `{"amount":"3.14","currency":"USD"}`, and as we count them. Integers only: an amount that
//! is not exactly one of ours is refused, never rounded.

use super::Currency;
use crate::Error;
use domain::money::{TOKEN_DECIMALS, Units};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Decimals of money at a bank.
pub const BANK_DECIMALS: u32 = 2;

/// Base units in a cent.
const CENT: u128 = 10_u128.pow(TOKEN_DECIMALS - BANK_DECIMALS);

/// An amount of something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Money {
    /// How much, in base units: 10⁻⁶ of the currency.
    pub units: Units,
    /// Of what.
    pub currency: Currency,
}

impl Money {
    /// Dollars, or USDC, in base units.
    pub fn usd(units: Units) -> Self {
        Self { units, currency: Currency::Usd }
    }

    /// The units, if they are dollars.
    pub fn as_usd(&self) -> Option<Units> {
        (self.currency == Currency::Usd).then_some(self.units)
    }

    /// Refuses what no bank can move.
    pub(super) fn in_cents(&self) -> Result<&Self, Error> {
        if self.units.0.is_multiple_of(CENT) {
            Ok(self)
        } else {
            Err(Error::Input(format!("a bank moves whole cents, not {}", self.units)))
        }
    }

    /// Refuses nothing at all.
    pub(super) fn positive(&self) -> Result<&Self, Error> {
        if self.units.0 > 0 { Ok(self) } else { Err(Error::Input("the amount must be above zero".to_owned())) }
    }
}

/// Reads `digits` or `digits.digits` with at most `decimals` decimals, trailing zeros not counted.
pub fn parse_units(text: &str, decimals: u32) -> Result<Units, Error> {
    let malformed = || Error::Nonsense(format!("'{}' is no amount", text.chars().take(40).collect::<String>()));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if text.len() > 60 || !digits(whole) || !digits(fraction) {
        return Err(malformed());
    }
    let fraction = fraction.trim_end_matches('0');
    let found = u32::try_from(fraction.len()).unwrap_or(u32::MAX);
    if found > decimals.min(TOKEN_DECIMALS) {
        return Err(Error::Nonsense(format!("'{text}' has {found} decimals, there are at most {decimals}")));
    }
    let number = |part: &str| if part.is_empty() { Ok(0) } else { part.parse::<u128>() };
    let whole = number(whole).map_err(|_| malformed())?;
    let fraction = number(fraction).map_err(|_| malformed())? * 10_u128.pow(TOKEN_DECIMALS - found);
    let units = whole.checked_mul(10_u128.pow(TOKEN_DECIMALS)).and_then(|whole| whole.checked_add(fraction));
    units.map(Units).ok_or_else(malformed)
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Wire<'a> {
            amount: String,
            currency: &'a Currency,
        }
        Wire { amount: self.units.to_string(), currency: &self.currency }.serialize(serializer)
    }
}

#[derive(Deserialize)]
struct Raw {
    amount: String,
    currency: Currency,
}

impl Raw {
    fn read<E: de::Error>(self, decimals: u32) -> Result<Money, E> {
        let units = parse_units(&self.amount, decimals).map_err(E::custom)?;
        Ok(Money { units, currency: self.currency })
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Raw::deserialize(deserializer)?.read(TOKEN_DECIMALS)
    }
}

/// Money at a bank: whole cents.
pub(super) fn cents<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Money, D::Error> {
    Raw::deserialize(deserializer)?.read(BANK_DECIMALS)
}
