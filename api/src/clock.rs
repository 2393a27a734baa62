//! Time, and time in words.

use std::time::{SystemTime, UNIX_EPOCH};
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{Duration, OffsetDateTime, UtcOffset};

const MINUTE: BorrowedFormatItem<'_> = BorrowedFormatItem::Compound(format_description!(
    "[day padding:none] [month repr:long] [year], [hour]:[minute] UTC"
));
const DAY: BorrowedFormatItem<'_> =
    BorrowedFormatItem::Compound(format_description!("[day padding:none] [month repr:long] [year]"));

/// The wall clock, unix seconds.
pub(crate) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// `23:59:59`; hours go above 99.
pub(crate) fn countdown(seconds: u64) -> String {
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// `17 minutes 45 seconds`.
pub(crate) fn in_words(seconds: u64) -> String {
    let parts = [
        (seconds / 86400, "day"),
        (seconds / 3600 % 24, "hour"),
        (seconds / 60 % 60, "minute"),
        (seconds % 60, "second"),
    ];
    let parts = parts.iter().filter(|(count, _)| *count > 0);
    let words: Vec<String> =
        parts.map(|(count, of)| format!("{count} {of}{}", if *count == 1 { "" } else { "s" })).collect();
    if words.is_empty() { "0 seconds".to_owned() } else { words.join(" ") }
}

/// Whole seconds, 0 if negative.
pub(crate) fn seconds(span: Duration) -> u64 {
    u64::try_from(span.whole_seconds()).unwrap_or(0)
}

/// `2 January 2025, 15:04 UTC`.
pub(crate) fn minute(at: OffsetDateTime) -> String {
    at.to_offset(UtcOffset::UTC).format(&MINUTE).unwrap_or_default()
}

/// `2 January 2025`.
pub(crate) fn day(date: time::Date) -> String {
    date.format(&DAY).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_words() {
        assert_eq!(in_words(17 * 60 + 45), "17 minutes 45 seconds");
        assert_eq!(in_words(86400 + 3600 + 1), "1 day 1 hour 1 second");
        assert_eq!(in_words(0), "0 seconds");
        assert_eq!(countdown(86399), "23:59:59");
        assert_eq!(countdown(365 * 86400), "8760:00:00");
        assert_eq!(seconds(Duration::seconds(-5)), 0);
        let at = OffsetDateTime::from_unix_timestamp(1_735_830_245).unwrap();
        assert_eq!(minute(at), "2 January 2025, 15:04 UTC");
        assert_eq!(day(at.date()), "2 January 2025");
    }
}
