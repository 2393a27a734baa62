//! The committed IDLs are what `escrow_interface` gives, and fit the program.

use escrow_interface::{event::EVENT_BYTES, instruction::Tag, record::RECORD_BYTES, terms::TERMS_BYTES};
use program_tests::{Invoice, idl, person};
use serde_json::Value;

#[test]
fn the_committed_idls_are_what_the_interface_gives() {
    for (file, idl) in [("invoice_escrow", idl::invoice_escrow()), ("settlement_gate", idl::settlement_gate())] {
        let path = format!("{}/../idl/{file}.json", env!("CARGO_MANIFEST_DIR"));
        let text = serde_json::to_string_pretty(&idl).unwrap() + "\n";
        if std::env::var_os("MONAY_WRITE_IDL").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == text, "{path} is not current: MONAY_WRITE_IDL=1 scripts/programs check writes it");
    }
}

/// Instructions that go through (`accounts::good`) have as many accounts as the IDL says, and as writable.
#[test]
fn the_idl_says_of_accounts_and_data_what_the_program_takes() {
    let invoice = Invoice::with(|_| ());
    let (keeper, payer) = (person("keeper"), person("payer"));
    let built = [
        invoice.settle(),
        invoice.pay(payer, 1),
        invoice.cancel(invoice.payee()),
        invoice.refund(),
        invoice.refund_by_key(person("refund key"), invoice.vault()),
        invoice.refund_native(),
        invoice.open_vault(keeper),
        invoice.close_vault(keeper),
        invoice.close_record(keeper),
    ];
    for (tag, built) in Tag::ALL.into_iter().zip(built) {
        let flags = idl::flags(tag);
        assert_eq!(flags.len(), built.accounts.len(), "{tag:?}");
        for ((writable, signer), meta) in flags.into_iter().zip(&built.accounts) {
            assert_eq!(writable, meta.is_writable, "{tag:?}");
            assert!(!signer || meta.is_signer, "{tag:?}");
        }
    }
    let idl = idl::invoice_escrow();
    let size = |kind: &Value| match kind {
        Value::String(name) => match name.as_str() {
            "u8" => 1,
            "u64" | "i64" => 8,
            "pubkey" => 32,
            other => panic!("{other}"),
        },
        array => usize::try_from(array["array"][1].as_u64().unwrap()).unwrap(),
    };
    let sizes = |name: &str| -> usize {
        let mut types = idl["types"].as_array().unwrap().iter();
        let found = types.find(|one| one["name"] == name).unwrap();
        found["type"]["fields"].as_array().unwrap().iter().map(|field| size(&field["type"])).sum()
    };
    assert_eq!(sizes("Terms"), TERMS_BYTES);
    assert_eq!(sizes("Record") + 8, RECORD_BYTES);
    assert_eq!(sizes("Recorded") + 16, EVENT_BYTES);
}
