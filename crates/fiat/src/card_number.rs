//! What looks like the number of a card: 13 to 19 digits whose check digit (Luhn) is right.
//!
//! One in ten numbers of that length passes by accident, so this is asked of text that has no reason to hold such a number,
//! and of ids only as a whole.

use std::ops::Range;

const LENGTHS: Range<usize> = 13..20;

/// Whether the whole of `text` is one, written with or without spaces, dashes and points.
pub fn is_one(text: &str) -> bool {
    let bare: Vec<u8> = text.trim().bytes().filter(|&byte| !is_separator(byte)).collect();
    bare.iter().all(u8::is_ascii_digit) && checks(&bare)
}

/// Where in `text` one is, if there is any.
pub fn find(text: &str) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    // Groups of digits, with whether a single separator leads from one to the next.
    let mut groups: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if digit(bytes, at) {
            let from = at;
            while digit(bytes, at) {
                at += 1;
            }
            groups.push(from..at);
        } else {
            at += 1;
        }
    }
    groups.iter().enumerate().find_map(|(first, start)| {
        let mut digits: Vec<u8> = Vec::new();
        let mut end = start.start;
        for (count, group) in groups.get(first..)?.iter().enumerate() {
            let joined = group.start == end + 1 && bytes.get(end).is_some_and(|&byte| is_separator(byte));
            if count > 0 && !joined {
                break;
            }
            digits.extend(bytes.get(group.clone())?);
            end = group.end;
            // Digits in one piece are one whatever is around them; in pieces only if nothing else is written up to them,
            // or the parts of any UUID would do.
            let alone = !wordy(bytes.get(start.start.wrapping_sub(1))) && !wordy(bytes.get(end));
            if (count == 0 || alone) && checks(&digits) {
                return Some(start.start..end);
            }
        }
        None
    })
}

/// `text` with all of each card number in it replaced, but for the last four digits.
pub fn masked(text: &str) -> String {
    let mut rest = text;
    let mut shown = String::with_capacity(text.len());
    while let Some(found) = find(rest) {
        let (before, after) = (rest.get(..found.start), rest.get(found.end..));
        let digits: String = rest.get(found).unwrap_or_default().chars().filter(char::is_ascii_digit).collect();
        shown.push_str(before.unwrap_or_default());
        shown.push('…');
        shown.push_str(digits.get(digits.len().saturating_sub(4)..).unwrap_or_default());
        rest = after.unwrap_or_default();
    }
    shown.push_str(rest);
    shown
}

fn digit(bytes: &[u8], at: usize) -> bool {
    bytes.get(at).is_some_and(u8::is_ascii_digit)
}

fn wordy(byte: Option<&u8>) -> bool {
    byte.is_some_and(u8::is_ascii_alphanumeric)
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b' ' | b'-' | b'.')
}

fn checks(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, &digit)| match (place % 2, u32::from(digit.saturating_sub(b'0'))) {
            (0, value) => value,
            (_, value @ 0..=4) => value * 2,
            (_, value) => value * 2 - 9,
        })
        .sum();
    LENGTHS.contains(&digits.len()) && sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn card_numbers_are_found_however_they_are_written_and_other_numbers_are_left() {
        for text in [
            "378282246310005",
            "4111111111111111",
            "4111 1111 1111 1111",
            "4111-1111-1111-1111",
            "my card is 4111 1111 1111 1111, thanks",
            "card4111111111111111end",
            "call 555 4111 1111 1111 1111",
            "2026-11-23 5555555555554444",
        ] {
            assert!(find(text).is_some(), "{text}");
            let shown = masked(text);
            assert!(find(&shown).is_none() && !shown.contains("1111111"), "{shown}");
        }
        for text in [
            "",
            "4111111111111112",
            "150.25",
            "021300912",
            "tok_4fJ2",
            "411111111111",
            "41111111-1111-4111-8a11-111111111111",
            "41111111111111111111",
        ] {
            assert_eq!(find(text), None, "{text}");
            assert_eq!(masked(text), text);
        }
        assert!(is_one(" 4111 1111.1111-1111") && !is_one("tok4111111111111111") && !is_one(""));
    }

    proptest::proptest! {
        #[test]
        fn looking_for_card_numbers_survives_any_text(text in ".{0,60}", digits in "[0-9 .-]{0,40}") {
            for text in [text, digits] {
                assert_eq!(find(&masked(&text)), None, "{text}");
            }
        }
    }
}
