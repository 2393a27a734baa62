//! Terms as JSON: the form in which they travel, and in which they must come back unchanged or not at all.

use crate::{address::any_terms, typical};
use proptest::prelude::*;
use serde_json::{Value, json};
use terms::InvoiceTerms;

fn read(value: Value) -> Result<InvoiceTerms, String> {
    serde_json::from_value(value).map_err(|error| error.to_string())
}

fn typical_json() -> Value {
    serde_json::to_value(typical()).unwrap()
}

proptest! {
    /// Written and read, the terms are the same terms, and so is their address.
    #[test]
    fn terms_survive_json(terms in any_terms()) {
        let text = serde_json::to_string(&terms).unwrap();
        prop_assert_eq!(serde_json::from_str::<InvoiceTerms>(&text).unwrap(), terms);
    }
}

#[test]
fn an_amount_is_a_decimal_string() {
    assert_eq!(typical_json()["amount"], json!("150000000"));
    let largest = InvoiceTerms { amount: u128::MAX, ..typical() };
    assert_eq!(serde_json::to_value(largest).unwrap()["amount"], json!("340282366920938463463374607431768211455"));
}

#[test]
fn other_amounts_are_refused() {
    let too_large = json!("340282366920938463463374607431768211456");
    for amount in [
        json!(150_000_000),
        json!(1.5),
        json!(null),
        json!(""),
        json!("-1"),
        json!("1.5"),
        json!("1e6"),
        json!("0x10"),
        json!(" 1"),
        json!("1_000"),
        too_large,
    ] {
        let mut value = typical_json();
        value["amount"] = amount.clone();
        assert!(read(value).is_err(), "{amount} was read as an amount");
    }
}

/// A field we do not know may change what the terms mean; a field left out certainly does.
#[test]
fn unknown_and_missing_fields_are_refused() {
    let mut value = typical_json();
    value["fee"] = json!("1");
    assert!(read(value).unwrap_err().contains("unknown field `fee`"));

    for field in typical_json().as_object().unwrap().keys() {
        let mut value = typical_json();
        value.as_object_mut().unwrap().remove(field);
        assert!(read(value).unwrap_err().contains("missing field"), "{field} may be left out");
    }
}

#[test]
fn fields_out_of_range_are_refused() {
    for (field, wrong) in [
        ("version", json!(256)),
        ("version", json!("1")),
        ("chain", json!(-1)),
        ("closes_at", json!(1.0)),
        ("flags", json!(256)),
        ("payee", json!("0x01")),
        ("payee", json!("9a1e5e0000000000000000000000000000000001ff")),
        ("invoice_id", json!("INV-2025-001")),
    ] {
        let mut value = typical_json();
        value[field] = wrong.clone();
        assert!(read(value).is_err(), "{wrong} was read as {field}");
    }
}
