//! ACH: why a debit comes back and how late it can, and which days are banking days. `research/rails.md` §4.1.
//!
//! An ACH debit is never acknowledged: that it succeeded is that it did not come back. Two banking days are the ordinary window,
//! sixty days that of a customer who says he never agreed.

use crate::words;
use std::fmt;
use std::str::FromStr;
use time::{Date, Duration, Month, Weekday};

words! {
    /// Until when a return may come.
    Window {
        /// Two banking days after settlement.
        TwoBankingDays = "two_banking_days",
        /// Sixty days after settlement.
        SixtyDays = "sixty_days",
        /// With the next file: the entry was malformed.
        NextFile = "next_file",
        /// Whenever the receiver refuses, or both banks agree.
        Anytime = "anytime",
        /// It answers a return, and is none itself: who was right is being argued.
        OfAReturn = "of_a_return",
    }
}

words! {
    /// Whom a return speaks against. The network limits two of them, over 60 days.
    Class {
        /// The customer says he did not agree. At most 0.5 % of debits; never presented again.
        Unauthorised = "unauthorised",
        /// The account is not what we thought. At most 3 %.
        Administrative = "administrative",
        /// All others. At most 15 % with the two above.
        Other = "other",
    }
}

/// A return code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReturnCode {
    /// `R01` is 1.
    pub number: u8,
    /// Until when it may come.
    pub window: Window,
    /// Whom it speaks against.
    pub class: Class,
    /// How often the debit may be presented again.
    pub represent: u8,
    /// What it means.
    pub meaning: &'static str,
}

const fn code(number: u8, window: Window, class: Class, represent: u8, meaning: &'static str) -> ReturnCode {
    ReturnCode { number, window, class, represent, meaning }
}

use Class::{Administrative, Other, Unauthorised};
use Window::{Anytime, NextFile, OfAReturn, SixtyDays, TwoBankingDays};

/// Every return code we know.
pub const RETURN_CODES: &[ReturnCode] = &[
    code(1, TwoBankingDays, Other, 2, "insufficient funds"),
    code(2, TwoBankingDays, Administrative, 0, "account closed"),
    code(3, TwoBankingDays, Administrative, 0, "no such account"),
    code(4, TwoBankingDays, Administrative, 0, "invalid account number"),
    code(5, SixtyDays, Unauthorised, 0, "consumer account debited as a corporate one"),
    code(6, SixtyDays, Other, 0, "our own bank asked for it"),
    code(7, SixtyDays, Unauthorised, 0, "authorization revoked"),
    code(8, TwoBankingDays, Other, 0, "payment stopped"),
    code(9, TwoBankingDays, Other, 2, "uncollected funds"),
    code(10, SixtyDays, Unauthorised, 0, "not authorized, or originator not known"),
    code(11, SixtyDays, Unauthorised, 0, "not according to the authorization"),
    code(12, TwoBankingDays, Other, 0, "branch sold"),
    code(13, NextFile, Other, 0, "bank does not take ACH"),
    code(14, TwoBankingDays, Other, 0, "representative deceased"),
    code(15, TwoBankingDays, Other, 0, "account holder deceased"),
    code(16, TwoBankingDays, Other, 0, "account frozen"),
    code(17, TwoBankingDays, Other, 0, "refused on inspection"),
    code(18, NextFile, Other, 0, "wrong effective date"),
    code(19, NextFile, Other, 0, "wrong amount field"),
    code(20, TwoBankingDays, Other, 0, "account takes no debits"),
    code(21, TwoBankingDays, Other, 0, "invalid company identification"),
    code(22, TwoBankingDays, Other, 0, "invalid individual id"),
    code(23, Anytime, Other, 0, "credit refused by the receiver"),
    code(24, TwoBankingDays, Other, 0, "duplicate"),
    code(25, NextFile, Other, 0, "addenda error"),
    code(26, NextFile, Other, 0, "mandatory field"),
    code(27, NextFile, Other, 0, "trace number"),
    code(28, NextFile, Other, 0, "routing number check digit"),
    code(29, TwoBankingDays, Unauthorised, 0, "corporate customer says not authorized"),
    code(31, Anytime, Other, 0, "late corporate return, by agreement"),
    code(37, SixtyDays, Other, 0, "source document was paid too"),
    code(51, SixtyDays, Unauthorised, 0, "re-presented check not eligible"),
    code(53, SixtyDays, Other, 0, "check was paid too"),
    code(61, OfAReturn, Other, 0, "misrouted return"),
    code(62, OfAReturn, Other, 0, "return of a reversal"),
    code(67, OfAReturn, Other, 0, "duplicate return"),
    code(68, OfAReturn, Other, 0, "late return"),
    code(69, OfAReturn, Other, 0, "return with field errors"),
    code(70, OfAReturn, Other, 0, "return not accepted"),
    code(71, OfAReturn, Other, 0, "misrouted dishonor"),
    code(72, OfAReturn, Other, 0, "late dishonor"),
    code(73, OfAReturn, Other, 0, "return was in time"),
    code(74, OfAReturn, Other, 0, "corrected return"),
    code(75, OfAReturn, Other, 0, "original was not a duplicate"),
    code(76, OfAReturn, Other, 0, "no errors found"),
    code(77, OfAReturn, Other, 0, "return not accepted after all"),
];

/// What an ACH code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A return, or an answer to one.
    Return(&'static ReturnCode),
    /// The customer's bank details have changed (`C01` …): no money moves.
    Change(u8),
}

/// A code that is none of those we know. The event is kept as it is, for a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no ACH code we know: R01 to R77, or C01 to C14")]
pub struct UnknownCode(pub String);

impl FromStr for Notice {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        let unknown = || UnknownCode(text.chars().take(10).collect());
        let (letter, digits) = text.split_at_checked(1).ok_or_else(unknown)?;
        let plain = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        let number: u8 = digits.parse().ok().filter(|_| plain).ok_or_else(unknown)?;
        match letter {
            "R" => RETURN_CODES.iter().find(|code| code.number == number).map(Self::Return).ok_or_else(unknown),
            "C" if (1..=14).contains(&number) => Ok(Self::Change(number)),
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for ReturnCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "R{:02} ({})", self.number, self.meaning)
    }
}

impl ReturnCode {
    /// The last day on which a return of this code may come, for a debit that settled on `settled`; `None`: any day.
    pub fn last_day(&self, settled: Date) -> Option<Date> {
        match self.window {
            TwoBankingDays => Some(after_banking_days(settled, 2)),
            SixtyDays => Some(settled.saturating_add(Duration::days(60))),
            NextFile => Some(after_banking_days(settled, 1)),
            Anytime | OfAReturn => None,
        }
    }
}

/// The day of the `nth` weekday of a month; the fifth: the last.
fn is_nth(date: Date, nth: u8, weekday: Weekday) -> bool {
    let day = date.day();
    let last = date.month().length(date.year()).saturating_sub(7) < day;
    date.weekday() == weekday && if nth == 5 { last } else { day.div_ceil(7) == nth }
}

/// Whether the Federal Reserve has a holiday on this day. One on a Sunday is kept on Monday, one on a Saturday not at all.
pub fn is_holiday(date: Date) -> bool {
    let on = |month: Month, day: u8| {
        let is = |date: Date| date.month() == month && date.day() == day;
        is(date) || (date.weekday() == Weekday::Monday && date.previous_day().is_some_and(is))
    };
    match date.month() {
        Month::January => on(Month::January, 1) || is_nth(date, 3, Weekday::Monday),
        Month::February => is_nth(date, 3, Weekday::Monday),
        Month::May => is_nth(date, 5, Weekday::Monday),
        Month::June => on(Month::June, 19),
        Month::July => on(Month::July, 4),
        Month::September => is_nth(date, 1, Weekday::Monday),
        Month::October => is_nth(date, 2, Weekday::Monday),
        Month::November => on(Month::November, 11) || is_nth(date, 4, Weekday::Thursday),
        Month::December => on(Month::December, 25),
        _ => false,
    }
}

/// Whether banks settle on this day.
pub fn is_banking_day(date: Date) -> bool {
    !matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday) && !is_holiday(date)
}

/// The day `days` banking days after `date`; with 0 the first banking day from `date` on.
pub fn after_banking_days(date: Date, days: u16) -> Date {
    let mut day = date;
    let mut left = days;
    loop {
        if left == 0 && is_banking_day(day) {
            return day;
        }
        // The calendar ends in the year 9999.
        let Some(next) = day.next_day() else { return day };
        day = next;
        left = left.saturating_sub(u16::from(is_banking_day(day)));
    }
}
