//! The bank's calendar: the holidays of the Federal Reserve, year by year, as it publishes them.

use time::{Date, Duration, Month, Weekday};

/// The days on which the bank is closed besides weekends: month and day, for the years the sandbox knows.
const CLOSED: &[(i32, &[(u8, u8)])] = &[
    (2026, &[(1, 1), (1, 19), (2, 16), (5, 25), (6, 19), (9, 7), (10, 12), (11, 11), (11, 26), (12, 25)]),
    (2027, &[(1, 1), (1, 18), (2, 15), (5, 31), (7, 5), (9, 6), (10, 11), (11, 11), (11, 25)]),
    (2028, &[(1, 17), (2, 21), (5, 29), (6, 19), (7, 4), (9, 4), (10, 9), (11, 23), (12, 25)]),
];

/// Where the sandbox's time ends.
pub(super) fn last_day() -> Date {
    Date::from_calendar_date(2028, Month::December, 31).unwrap_or(Date::MAX)
}

/// Whether the bank works.
pub(super) fn works(day: Date) -> bool {
    let weekend = matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
    let closed =
        CLOSED.iter().any(|(year, days)| *year == day.year() && days.contains(&(u8::from(day.month()), day.day())));
    !weekend && !closed
}

/// The `count`th working day after `day`.
pub(super) fn working_days_after(day: Date, count: u32) -> Date {
    let mut day = day;
    for _ in 0..count {
        day = next(day);
        while !works(day) && day < last_day() {
            day = next(day);
        }
    }
    day
}

/// `count` days later, or the first working day from then on.
pub(super) fn days_after(day: Date, count: i64) -> Date {
    let mut day = day.saturating_add(Duration::days(count));
    while !works(day) && day < last_day() {
        day = next(day);
    }
    day
}

/// The day after.
pub(super) fn next(day: Date) -> Date {
    day.next_day().unwrap_or(day)
}
