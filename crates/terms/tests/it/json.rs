//! Terms as JSON: the form in which they travel, and in which they must come back unchanged or not at all.

use crate::{address::any_terms, solana, typical};
use proptest::prelude::*;
use serde_json::{Value, json};
use terms::{InvoiceTerms, SolanaTerms, Terms};

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

proptest! {
    /// Terms of any chain are read back as terms of the same chain, and each as what it is by itself.
    #[test]
    fn terms_of_any_chain_survive_json(evm in any_terms(), solana in solana::any_terms()) {
        let text = serde_json::to_string(&evm).unwrap();
        prop_assert_eq!(serde_json::to_string(&Terms::from(evm.clone())).unwrap(), text.as_str());
        prop_assert_eq!(serde_json::from_str::<Terms>(&text).unwrap(), Terms::Evm(evm));

        let text = serde_json::to_string(&solana).unwrap();
        prop_assert_eq!(serde_json::to_string(&Terms::from(solana.clone())).unwrap(), text.as_str());
        prop_assert!(serde_json::from_str::<InvoiceTerms>(&text).is_err());
        prop_assert_eq!(&serde_json::from_str::<SolanaTerms>(&text).unwrap(), &solana);
        prop_assert_eq!(serde_json::from_str::<Terms>(&text).unwrap(), Terms::Solana(solana));
    }
}

#[test]
fn terms_of_solana_are_written_as_people_write_them_there() {
    assert_eq!(
        serde_json::to_value(solana::typical()).unwrap(),
        json!({
            "version": 1,
            "chain": "7810205447372042093",
            "invoice_id": "0x5d3f0c1e9a7b46288e1f2d3c4b5a69788796a5b4c3d2e1f00112233445566778",
            "payee": "29d2S7vB453rNYFdR5Ycwt7y9haRT5fwVwL9zTmBhfV2",
            "token": "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v",
            "amount": "150000000",
            "closes_at": 1_798_761_600,
            "refund_to": "4BBtj9tUo1xeZFkrW3LBg9GrUTtTezGYGBKqjs7A7fAE",
            "refund_key": "6ws1bVyu3F8wGy1fPHhrc2v8UyWiGbRAAuek8SwikKPD",
            "settler": "8mfzTdZB1JA43QmNAMWfTfkj5GC9TJxJFveThi9tvK6J",
            "flags": 0,
        })
    );
}

#[test]
fn terms_that_are_of_no_one_chain_are_refused_with_the_reason() {
    type Change = fn(&mut Value);
    let rows: &[(&str, Change)] = &[
        ("not all of one kind", |t| t["payee"] = json!(typical().payee)),
        ("not all of one kind", |t| t["settler"] = json!(typical().settler)),
        ("not all of one kind", |t| t["chain"] = json!(8453)),
        ("chain is not a number", |t| t["chain"] = json!("solana")),
        ("amount is not a u64", |t| t["amount"] = json!("18446744073709551616")),
        ("unknown field `fee`", |t| t["fee"] = json!("1")),
        ("missing field `settler`", |t| drop(t.as_object_mut().unwrap().remove("settler"))),
        ("neither 0x", |t| t["payee"] = json!("29d2S7vB453rNYFdR5Ycwt7y9haRT5fwVwL9zTmBhfV0")),
        ("neither 0x", |t| t["token"] = json!("833589fcd6edb6e08f4c7c32d4f71b54bda02913")),
    ];
    for (reason, change) in rows {
        let mut value = serde_json::to_value(solana::typical()).unwrap();
        change(&mut value);
        let error = serde_json::from_value::<Terms>(value.clone()).unwrap_err().to_string();
        assert!(error.contains(reason), "{error} is not {reason}");
        assert!(serde_json::from_value::<SolanaTerms>(value).is_err(), "{reason}");
    }
}
