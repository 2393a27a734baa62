//! Amounts as providers and banks write them. Exact: what does not fit is refused, never rounded.

use crate::Error;
use domain::money::Units;
use std::fmt;

/// Base units (10⁻⁶ of a dollar) in a cent.
pub const CENT: u128 = 10_000;

const DOLLAR: i128 = 1_000_000;

/// An amount of base units (10⁻⁶ of a dollar) with a side: above zero is in our favour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signed(pub i128);

impl Signed {
    /// How much, whoever gains.
    pub fn units(self) -> Units {
        Units(self.0.unsigned_abs())
    }

    /// Whether it comes to us. Zero does not.
    pub fn is_in(self) -> bool {
        self.0 > 0
    }

    /// Parses plain dollars: `150`, `-0.25`, up to six decimals. No grouping, no currency sign, no exponent.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, plain) = match text.strip_prefix('-') {
            Some(plain) => (true, plain),
            None => (false, text),
        };
        let (whole, decimals) = plain.split_once('.').unwrap_or((plain, "0"));
        let digits = |text: &str, most: usize| {
            (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !digits(whole, 15) || !digits(decimals, 6) {
            return None;
        }
        let units = whole.parse::<i128>().ok()? * DOLLAR + format!("{decimals:0<6}").parse::<i128>().ok()?;
        Some(Self(if negative { -units } else { units }))
    }
}

impl fmt::Display for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.0 < 0 { "-" } else { "" }, self.units())
    }
}

/// Whole cents in `amount`, above zero. Fractions of a cent cannot be moved by any bank.
pub fn cents(amount: Units) -> Result<u64, Error> {
    let cents = (amount.0 > 0 && amount.0.is_multiple_of(CENT)).then(|| u64::try_from(amount.0 / CENT).ok()).flatten();
    cents.ok_or_else(|| Error::Input(format!("{amount} is no amount for a bank: it must be whole cents, above zero")))
}

/// `1.99`: dollars with two decimals.
pub(crate) fn dollars(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn amounts_of_providers_are_read_exactly_or_not_at_all() {
        for (text, units) in
            [("150", 150_000_000), ("-0.25", -250_000), ("0.000001", 1), ("1.9", 1_900_000), ("0", 0), ("-0", 0)]
        {
            assert_eq!(Signed::parse(text), Some(Signed(units)), "{text}");
        }
        for text in ["", "-", ".5", "5.", "1,000.00", "$5", "1e3", "+1", "--1", "0.0000001", "1.2.3", " 1", "٣"] {
            assert_eq!(Signed::parse(text), None, "{text}");
        }
        assert_eq!(cents(Units(1_990_000)), Ok(199));
        for not_cents in [0, 1, 9_999, 1_990_001] {
            assert!(cents(Units(not_cents)).is_err());
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_of_a_signed_amount_parses_back(units in -10_i128.pow(20)..10_i128.pow(20)) {
            prop_assert_eq!(Signed::parse(&Signed(units).to_string()), Some(Signed(units)));
        }
    }
}
