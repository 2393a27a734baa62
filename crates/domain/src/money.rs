//! Amounts of money: integers of base units. Decimals exist only where people type or read them.

use crate::words;
use rust_decimal::Decimal;
use std::fmt;

/// Decimals of every token this version settles in: USDC on Base, and what follows it.
pub const TOKEN_DECIMALS: u32 = 6;

/// The most an invoice may be for: a million million whole units, in base units.
pub const MAX_INVOICE: Units = Units(1_000_000_000_000 * 1_000_000);

words! {
    /// What an invoice is denominated in. One dollar is one USDC.
    Currency {
        /// US dollars, two decimals.
        Usd = "USD",
        /// USD Coin, six decimals.
        Usdc = "USDC",
    }
}

impl Currency {
    /// How many decimals people may type.
    pub const fn decimals(self) -> u32 {
        match self {
            Self::Usd => 2,
            Self::Usdc => 6,
        }
    }
}

/// An amount of token base units (10⁻⁶ of a dollar).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Units(pub u128);

/// Why a typed amount is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Not a plain decimal number.
    #[error("'{0}' is not an amount: write digits and at most one point, like 150 or 150.25")]
    Malformed(String),
    /// Zero or below.
    #[error("the amount must be above zero")]
    NotPositive,
    /// More decimals than the currency has.
    #[error("{currency} has {allowed} decimals, the amount has {found}")]
    TooPrecise {
        /// The currency.
        currency: Currency,
        /// Decimals it has.
        allowed: u32,
        /// Decimals that were typed, trailing zeros not counted.
        found: u32,
    },
    /// Above [`MAX_INVOICE`].
    #[error("the amount is above the largest invoice, {MAX_INVOICE}")]
    TooLarge,
}

impl Units {
    /// Parses what a person typed, in whole units of `currency`. Exact: what does not fit is refused, never rounded.
    pub fn parse(text: &str, currency: Currency) -> Result<Self, AmountError> {
        let plain = text.strip_prefix('-').unwrap_or(text);
        let shaped = !plain.is_empty()
            && plain.len() <= 40
            && plain.bytes().all(|b| b.is_ascii_digit() || b == b'.')
            && plain.starts_with(|c: char| c.is_ascii_digit())
            && plain.ends_with(|c: char| c.is_ascii_digit());
        if !shaped {
            return Err(AmountError::Malformed(text.chars().take(40).collect()));
        }
        if text.starts_with('-') {
            return Err(AmountError::NotPositive);
        }
        // 28 digits hold every amount up to MAX_INVOICE; what Decimal cannot hold exactly is too long either way.
        let amount = match Decimal::from_str_exact(plain) {
            Ok(amount) => amount.normalize(),
            Err(_) if plain.matches('.').count() > 1 => return Err(AmountError::Malformed(text.to_owned())),
            Err(_) => return Err(Self::too_long(plain, currency)),
        };
        if amount.is_zero() {
            return Err(AmountError::NotPositive);
        }
        if amount.scale() > currency.decimals() {
            return Err(AmountError::TooPrecise { currency, allowed: currency.decimals(), found: amount.scale() });
        }
        let scale = 10_i128.pow(TOKEN_DECIMALS - amount.scale());
        let units = amount.mantissa().checked_mul(scale).and_then(|units| u128::try_from(units).ok());
        match units.map(Self) {
            Some(units) if units <= MAX_INVOICE => Ok(units),
            _ => Err(AmountError::TooLarge),
        }
    }

    fn too_long(plain: &str, currency: Currency) -> AmountError {
        let decimals = plain.split_once('.').map_or("", |(_, decimals)| decimals.trim_end_matches('0'));
        match u32::try_from(decimals.len()) {
            Ok(found) if found > currency.decimals() => {
                AmountError::TooPrecise { currency, allowed: currency.decimals(), found }
            }
            _ => AmountError::TooLarge,
        }
    }
}

impl fmt::Display for Units {
    /// Whole units with at least two decimals: `150.00`, `0.000001`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ONE: u128 = 10_u128.pow(TOKEN_DECIMALS);
        let decimals = format!("{:06}", self.0 % ONE);
        let shown = decimals.trim_end_matches('0').len().max(2);
        write!(f, "{}.{}", self.0 / ONE, decimals.get(..shown).unwrap_or("00"))
    }
}

impl serde::Serialize for Units {
    /// Base units as digits: JSON numbers lose what is above 2^53 in most readers.
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Units {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        text.parse()
            .map(Self)
            .map_err(|_| serde::de::Error::custom("base units are written as digits, like \"150000000\""))
    }
}
