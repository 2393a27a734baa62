//! Bank accounts in the United States, and the days on which their banks work.

use crate::{Error, text::Text};
use std::fmt;
use time::{Date, Month, Weekday};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// The nine digits that name a bank, the last of which checks the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoutingNumber([u8; 9]);

impl RoutingNumber {
    /// Parses nine digits with a right check digit.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let wrong = |why: &str| Error::Input(format!("routing number: {why}"));
        let digits: [u8; 9] = text.as_bytes().try_into().map_err(|_| wrong("it has nine digits"))?;
        if !digits.iter().all(u8::is_ascii_digit) || digits == *b"000000000" {
            return Err(wrong("it has nine digits"));
        }
        let sum: u32 =
            digits.iter().zip([3, 7, 1].iter().cycle()).map(|(d, weight)| u32::from(d - b'0') * weight).sum();
        if !sum.is_multiple_of(10) {
            return Err(wrong("its last digit does not fit the others; look for a typing mistake"));
        }
        Ok(Self(digits))
    }

    /// The nine digits.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The first eight, without the check digit.
    pub fn bank(&self) -> &str {
        self.as_str().get(..8).unwrap_or_default()
    }
}

/// The number of an account at a bank: 1 to 17 letters, digits and dashes. Wiped when dropped; `Debug` shows the last four.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct AccountNumber(String);

impl AccountNumber {
    /// Parses what a customer has given.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let fits = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_uppercase() || byte == b'-';
        if (1..=17).contains(&text.len()) && text.bytes().all(fits) && text.bytes().any(|byte| byte.is_ascii_digit()) {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::Input("account number: it has 1 to 17 digits, capital letters or dashes".to_owned()))
    }

    /// The number itself, to send money there.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What may be shown of it; nothing of a short one.
    pub fn last_four(&self) -> &str {
        if self.0.len() < 8 { "" } else { self.0.get(self.0.len() - 4..).unwrap_or_default() }
    }
}

impl fmt::Debug for AccountNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccountNumber(…{})", self.last_four())
    }
}

/// The kind of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountKind {
    /// A checking account.
    Checking,
    /// A savings account.
    Savings,
}

/// Whose account it is: this decides by which rules an ACH payment to it can come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// A person: `PPD`.
    Consumer,
    /// A company: `CCD`.
    Company,
}

/// An account that money is sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BankAccount {
    /// The bank.
    pub routing: RoutingNumber,
    /// The account there.
    pub account: AccountNumber,
    /// Checking or savings.
    pub kind: AccountKind,
    /// A person's or a company's.
    pub owner: Owner,
    /// The name on it.
    pub holder: Text,
}

/// Whether the Federal Reserve's payment services work on `day`: no weekends, no holidays. A holiday on a Sunday is kept on the
/// Monday after it; one on a Saturday is not moved.
pub fn is_banking_day(day: Date) -> bool {
    if matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday) {
        return false;
    }
    let fixed = |day: Date| {
        matches!(
            (day.month(), day.day()),
            (Month::January, 1) | (Month::June, 19) | (Month::July, 4) | (Month::November, 11) | (Month::December, 25)
        )
    };
    let the_day_before = (day.weekday() == Weekday::Monday).then(|| day.previous_day()).flatten();
    if fixed(day) || the_day_before.is_some_and(fixed) {
        return false;
    }
    let which = (day.day() - 1) / 7 + 1;
    let last = day.day() + 7 > day.month().length(day.year());
    let moving = matches!(
        (day.month(), day.weekday(), which),
        (Month::January | Month::February, Weekday::Monday, 3)
            | (Month::September, Weekday::Monday, 1)
            | (Month::October, Weekday::Monday, 2)
            | (Month::November, Weekday::Thursday, 4)
    );
    let memorial_day = day.month() == Month::May && day.weekday() == Weekday::Monday && last;
    !moving && !memorial_day
}

/// The banking day that is `count` of them after `day`; with 0, `day` itself or the next banking day.
pub fn banking_days_after(day: Date, count: u32) -> Date {
    let mut day = day;
    let mut left = count;
    loop {
        if is_banking_day(day) {
            if left == 0 {
                return day;
            }
            left -= 1;
        }
        match day.next_day() {
            Some(next) => day = next,
            None => return day,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::date;

    #[test]
    fn the_federal_reserves_holidays_are_no_banking_days() {
        for holiday in [
            date!(2026 - 01 - 01),
            date!(2026 - 01 - 19),
            date!(2026 - 02 - 16),
            date!(2026 - 05 - 25),
            date!(2026 - 06 - 19),
            date!(2026 - 09 - 07),
            date!(2026 - 10 - 12),
            date!(2026 - 11 - 11),
            date!(2026 - 11 - 26),
            date!(2026 - 12 - 25),
            date!(2027 - 07 - 05),
            date!(2023 - 01 - 02),
        ] {
            assert!(!is_banking_day(holiday), "{holiday}");
        }
        // Independence Day of 2026 is a Saturday: the Friday before it is a banking day. The third Thursday of November is.
        for working in [date!(2026 - 07 - 03), date!(2026 - 11 - 19), date!(2026 - 05 - 18), date!(2026 - 11 - 27)] {
            assert!(is_banking_day(working), "{working}");
        }
    }

    #[test]
    fn banking_days_are_counted_over_weekends_and_holidays() {
        let wednesday = date!(2026 - 11 - 25);
        assert_eq!(banking_days_after(wednesday, 0), wednesday);
        assert_eq!(banking_days_after(wednesday, 1), date!(2026 - 11 - 27));
        assert_eq!(banking_days_after(wednesday, 2), date!(2026 - 11 - 30));
        assert_eq!(banking_days_after(date!(2026 - 11 - 26), 0), date!(2026 - 11 - 27));
        assert_eq!(banking_days_after(date!(2026 - 11 - 26), 1), date!(2026 - 11 - 30));
    }

    #[test]
    fn bank_accounts_are_parsed_or_refused_and_not_shown() {
        assert_eq!(RoutingNumber::parse("021300912").unwrap().bank(), "02130091");
        for bad in ["", "021300913", "02130091", "0213009120", "02130091a", "000000000"] {
            assert!(RoutingNumber::parse(bad).is_err(), "{bad}");
        }
        let account = AccountNumber::parse("30733816").unwrap();
        assert_eq!(format!("{account:?}"), "AccountNumber(…3816)");
        for bad in ["", "123456789012345678", "12 34", "abc", "---"] {
            assert!(AccountNumber::parse(bad).is_err(), "{bad}");
        }
    }
}
