//! The committed IDLs are what `escrow_interface` gives, and fit the program.

use escrow_interface::{
    event::EVENT_BYTES,
    instruction::Tag,
    mint::{self, Reserve},
    record::RECORD_BYTES,
    terms::TERMS_BYTES,
};
use program_tests::{Invoice, idl, mint as house, person};
use serde_json::{Value, json};

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
    let escrow = idl::invoice_escrow();
    assert_eq!(bytes_of(&escrow, "Terms"), TERMS_BYTES);
    assert_eq!(bytes_of(&escrow, "Record") + 8, RECORD_BYTES);
    assert_eq!(bytes_of(&escrow, "Recorded") + 16, EVENT_BYTES);
}

/// The same of the gate's mint half.
#[test]
fn the_idl_says_of_the_mint_half_what_the_program_takes() {
    let mut net = house::scene();
    let invoice = house::invoice(&mut net, |_| ());
    let one = house::deposit(&net, "one", 1);
    let (someone, reserve) = (person("someone"), Reserve::default());
    let built = [
        house::init(&house::settings()),
        house::mint_and_pay_alone(&invoice, &one),
        house::reserve_alone(&reserve),
        house::redeem(&invoice),
        house::close_redeemed(&invoice, someone),
        house::propose(someone, &house::settings()),
        house::apply(someone),
        house::lower(someone, true, 0, &[0; 32]),
    ];
    let gate = idl::settlement_gate();
    for (tag, built) in idl::MINT_TAGS.zip(built) {
        assert_eq!(built.data[0], tag);
        let flags: Vec<_> = built.accounts.iter().map(|meta| (meta.is_writable, meta.is_signer)).collect();
        assert_eq!(idl::mint_flags(tag), flags, "tag {tag}");
        let mut instructions = gate["instructions"].as_array().unwrap().iter();
        let said = instructions.find(|one| one["discriminator"] == json!([tag])).unwrap();
        let args: usize = said["args"].as_array().unwrap().iter().map(|arg| size(&gate, &arg["type"])).sum();
        assert_eq!(Some(1 + args), mint::data_bytes(tag), "tag {tag}");
        let addresses = said["accounts"].as_array().unwrap().iter().zip(&built.accounts);
        for (account, meta) in addresses.filter(|(account, _)| account.get("address").is_some()) {
            assert_eq!(account["address"], meta.pubkey.to_string(), "tag {tag}: {}", account["name"]);
        }
    }
    assert_eq!(bytes_of(&gate, "MintConfig") + 8, mint::MINT_CONFIG_BYTES);
    assert_eq!(bytes_of(&gate, "DepositMarker") + 8, mint::DEPOSIT_MARKER_BYTES);
    assert_eq!(bytes_of(&gate, "RedeemedMarker") + 8, mint::REDEEMED_MARKER_BYTES);
    assert_eq!(bytes_of(&gate, "Minted") + 16, mint::MOST_TOLD);
}

fn size(idl: &Value, kind: &Value) -> usize {
    let of_name = |name: &str| match name {
        "u8" => 1,
        "u64" | "i64" => 8,
        "pubkey" => 32,
        other => panic!("{other}"),
    };
    match kind {
        Value::String(name) => of_name(name),
        Value::Object(one) if one.contains_key("defined") => bytes_of(idl, one["defined"]["name"].as_str().unwrap()),
        array => {
            usize::try_from(array["array"][1].as_u64().unwrap()).unwrap() * of_name(array["array"][0].as_str().unwrap())
        }
    }
}

fn bytes_of(idl: &Value, name: &str) -> usize {
    let mut types = idl["types"].as_array().unwrap().iter();
    let found = types.find(|one| one["name"] == name).unwrap();
    found["type"]["fields"].as_array().unwrap().iter().map(|field| size(idl, &field["type"])).sum()
}
