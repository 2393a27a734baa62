//! Amounts are exact or refused.

use domain::money::Units;
use fiat::circle::{Money, parse_units};
use proptest::prelude::*;

#[test]
fn circles_amounts_are_read_exactly_or_refused() {
    let table: &[(&str, u32, Option<u128>)] = &[
        ("0", 2, Some(0)),
        ("0.00", 2, Some(0)),
        ("3.14", 2, Some(3_140_000)),
        ("3.1", 2, Some(3_100_000)),
        ("3", 2, Some(3_000_000)),
        ("007.50", 2, Some(7_500_000)),
        ("150.000001", 6, Some(150_000_001)),
        ("150.0000010", 6, Some(150_000_001)),
        ("150.0000001", 6, None),
        ("150.001", 2, None),
        ("150.0010", 2, None),
        ("150.010", 2, Some(150_010_000)),
        ("340282366920938463463374607431768.211455", 6, Some(u128::MAX)),
        ("340282366920938463463374607431768.211456", 6, None),
        ("99999999999999999999999999999999999999999999999", 6, None),
        ("", 6, None),
        (".", 6, None),
        (".5", 6, None),
        ("5.", 6, None),
        ("-1", 6, None),
        ("+1", 6, None),
        (" 1", 6, None),
        ("1 ", 6, None),
        ("1e3", 6, None),
        ("1,000.00", 6, None),
        ("1.2.3", 6, None),
        ("0x10", 6, None),
        ("NaN", 6, None),
        ("١٢", 6, None),
    ];
    for (text, decimals, expected) in table {
        assert_eq!(parse_units(text, *decimals).ok().map(|units| units.0), *expected, "'{text}', {decimals} decimals");
    }
}

#[test]
fn an_amount_must_be_a_string() {
    let read = |text: &str| serde_json::from_str::<Money>(text);
    assert!(read(r#"{"amount":"3.14","currency":"USD"}"#).is_ok());
    assert!(read(r#"{"amount":3.14,"currency":"USD"}"#).is_err());
    let strange = read(r#"{"amount":"3.14","currency":"XYZ"}"#).unwrap();
    assert_eq!((strange.currency.as_str(), strange.as_usd()), ("XYZ", None));
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(units: u128) {
        let money = Money::usd(Units(units));
        let text = serde_json::to_string(&money).unwrap();
        prop_assert_eq!(serde_json::from_str::<Money>(&text).unwrap(), money);
    }

    #[test]
    fn no_text_is_read_as_more_than_it_says(text in "[0-9.eE+ -]{0,20}") {
        if let Ok(units) = parse_units(&text, 6) {
            let shown = units.to_string();
            let plain = |text: &str| {
                let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
                (whole.trim_start_matches('0').to_owned(), fraction.trim_end_matches('0').to_owned())
            };
            prop_assert_eq!(plain(&shown), plain(&text));
        }
    }
}
