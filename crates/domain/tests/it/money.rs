//! Amounts are exact or refused.

use domain::money::{AmountError, Currency, MAX_INVOICE, Units};
use proptest::prelude::*;

#[test]
fn amounts_are_parsed_exactly_or_refused_with_the_reason() {
    use AmountError as E;
    let (usd, usdc) = (Currency::Usd, Currency::Usdc);
    let malformed = |text: &str| Err(E::Malformed(text.to_owned()));
    for (text, currency, expected) in [
        ("150", usd, Ok(Units(150_000_000))),
        ("150.00", usd, Ok(Units(150_000_000))),
        ("0.01", usd, Ok(Units(10_000))),
        ("0.000001", usdc, Ok(Units(1))),
        ("150.250000000", usd, Ok(Units(150_250_000))),
        ("1000000000000", usd, Ok(MAX_INVOICE)),
        ("1000000000000.01", usd, Err(E::TooLarge)),
        ("340282366920938463463374607431768211456", usd, Err(E::TooLarge)),
        ("0.001", usd, Err(E::TooPrecise { currency: usd, allowed: 2, found: 3 })),
        ("0.0000001", usdc, Err(E::TooPrecise { currency: usdc, allowed: 6, found: 7 })),
        ("0.00000000000000000000000000000000001", usdc, Err(E::TooPrecise { currency: usdc, allowed: 6, found: 35 })),
        ("0", usd, Err(E::NotPositive)),
        ("0.00", usd, Err(E::NotPositive)),
        ("-1", usd, Err(E::NotPositive)),
        ("", usd, malformed("")),
        (".5", usd, malformed(".5")),
        ("5.", usd, malformed("5.")),
        ("1e2", usd, malformed("1e2")),
        ("1,000", usd, malformed("1,000")),
        ("1.2.3", usd, malformed("1.2.3")),
        (" 1", usd, malformed(" 1")),
        ("NaN", usd, malformed("NaN")),
    ] {
        assert_eq!(Units::parse(text, currency), expected, "{text} {currency}");
    }
}

proptest! {
    #[test]
    fn what_is_shown_parses_back_to_the_same_units(units in 1..=MAX_INVOICE.0) {
        prop_assert_eq!(Units::parse(&Units(units).to_string(), Currency::Usdc), Ok(Units(units)));
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,60}") {
        let _ = Units::parse(&text, Currency::Usd);
    }
}
