//! `vectors/terms.json`: the golden vectors. This test writes them; Solidity and the web read them.

use crate::{ARBITRARY, USDC, typical};
use alloy_primitives::{Keccak256, address, keccak256};
use serde::Serialize;
use terms::{Address, B256, Deployment, InvoiceTerms};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/vectors/terms.json");

/// Copied by hand from PROTOCOL §1.
const TYPE: &str = "InvoiceTerms(uint8 version,uint64 chain,bytes32 invoiceId,address payee,address token,\
                    uint128 amount,uint64 closesAt,address refundTo,address refundKey,address settler,uint8 flags)";

#[derive(Serialize)]
struct Vector {
    name: String,
    terms: InvoiceTerms,
    hash: B256,
    factory: Address,
    init_code_hash: B256,
    address: Address,
}

impl Vector {
    fn new(name: impl Into<String>, terms: InvoiceTerms, deployment: Deployment) -> Self {
        Self {
            name: name.into(),
            hash: terms.hash(),
            address: terms.deposit_address(&deployment),
            factory: deployment.factory,
            init_code_hash: deployment.init_code_hash,
            terms,
        }
    }
}

type Change = fn(&mut InvoiceTerms);

/// One change to [`typical`] each. Not all of them are valid terms: a hash must be right for any terms, because a
/// refund is possible for any terms.
const CHANGES: &[(&str, Change)] = &[
    ("typical: 150 USDC on Base", |_| ()),
    ("typical: anyone may settle", |t| t.settler = Address::ZERO),
    ("typical: no refund key", |t| t.refund_key = Address::ZERO),
    ("typical: neither settler nor refund key", |t| (t.settler, t.refund_key) = (Address::ZERO, Address::ZERO)),
    ("typical: partials", |t| t.flags = 1),
    ("typical: payee gets refunds", |t| t.refund_to = t.payee),
    ("typical: one cent", |t| t.amount = 10_000),
    ("typical: 340 undecillion", |t| t.amount = u128::MAX),
    ("Ethereum", |t| (t.chain, t.token) = (1, address!("0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"))),
    ("Base Sepolia", |t| (t.chain, t.token) = (84532, address!("0x036cbd53842c5426634e7929541ec2318f3dcf7e"))),
    ("Tempo, a TIP-20", |t| (t.chain, t.token) = (4217, address!("0x20c0000000000000000000000000000000000000"))),
    ("minimal", |t| {
        *t = InvoiceTerms {
            chain: 1,
            amount: 1,
            closes_at: 1,
            invoice_id: B256::ZERO,
            refund_key: Address::ZERO,
            settler: Address::ZERO,
            ..t.clone()
        }
    }),
    ("all zero", |t| {
        *t = InvoiceTerms {
            version: 0,
            chain: 0,
            invoice_id: B256::ZERO,
            payee: Address::ZERO,
            token: Address::ZERO,
            amount: 0,
            closes_at: 0,
            refund_to: Address::ZERO,
            refund_key: Address::ZERO,
            settler: Address::ZERO,
            flags: 0,
        }
    }),
    ("all at their maximum", |t| {
        *t = InvoiceTerms {
            version: u8::MAX,
            chain: u64::MAX,
            invoice_id: !B256::ZERO,
            payee: !Address::ZERO,
            token: !Address::ZERO,
            amount: u128::MAX,
            closes_at: u64::MAX,
            refund_to: !Address::ZERO,
            refund_key: !Address::ZERO,
            settler: !Address::ZERO,
            flags: u8::MAX,
        }
    }),
    ("zero version", |t| t.version = 0),
    ("zero chain", |t| t.chain = 0),
    ("zero invoice id", |t| t.invoice_id = B256::ZERO),
    ("zero payee", |t| t.payee = Address::ZERO),
    ("zero token", |t| t.token = Address::ZERO),
    ("zero amount", |t| t.amount = 0),
    ("zero closes at", |t| t.closes_at = 0),
    ("zero refund to", |t| t.refund_to = Address::ZERO),
    ("maximal version", |t| t.version = u8::MAX),
    ("maximal chain", |t| t.chain = u64::MAX),
    ("maximal invoice id", |t| t.invoice_id = !B256::ZERO),
    ("maximal payee", |t| t.payee = !Address::ZERO),
    ("maximal token", |t| t.token = !Address::ZERO),
    ("maximal closes at", |t| t.closes_at = u64::MAX),
    ("maximal refund to", |t| t.refund_to = !Address::ZERO),
    ("maximal refund key", |t| t.refund_key = !Address::ZERO),
    ("maximal settler", |t| t.settler = !Address::ZERO),
    ("maximal flags", |t| t.flags = u8::MAX),
    ("flag bit 1", |t| t.flags = 1 << 1),
    ("flag bit 2", |t| t.flags = 1 << 2),
    ("flag bit 3", |t| t.flags = 1 << 3),
    ("flag bit 4", |t| t.flags = 1 << 4),
    ("flag bit 5", |t| t.flags = 1 << 5),
    ("flag bit 6", |t| t.flags = 1 << 6),
    ("flag bit 7", |t| t.flags = 1 << 7),
    ("byte order of chain", |t| t.chain = 0x0102_0304_0506_0708),
    ("byte order of closes at", |t| t.closes_at = 0x0102_0304_0506_0708),
    ("byte order of amount", |t| t.amount = 0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10),
    ("above 2^53, where a JSON number breaks: amount", |t| t.amount = (1 << 53) + 1),
];

/// Terms that look random and are always the same: every field is cut from a hash of its name and `n`.
fn arbitrary_terms(n: u8) -> InvoiceTerms {
    let word = |field: &str| keccak256([field.as_bytes(), &[n]].concat());
    let address = |field: &str| Address::from_word(word(field));
    let u64 = |field: &str| u64::from_be_bytes(word(field)[..8].try_into().unwrap());
    InvoiceTerms {
        version: word("version")[0],
        chain: u64("chain"),
        invoice_id: word("invoice_id"),
        payee: address("payee"),
        token: address("token"),
        amount: u128::from_be_bytes(word("amount")[..16].try_into().unwrap()),
        closes_at: u64("closes_at"),
        refund_to: address("refund_to"),
        refund_key: address("refund_key"),
        settler: address("settler"),
        flags: word("flags")[0],
    }
}

fn vectors() -> Vec<Vector> {
    let changed = CHANGES.iter().map(|(name, change)| {
        let mut terms = typical();
        change(&mut terms);
        Vector::new(*name, terms, ARBITRARY)
    });
    let arbitrary = (0..12).map(|n| {
        let factory = Address::from_word(keccak256([b"factory".as_slice(), &[n]].concat()));
        let init_code_hash = keccak256([b"init code".as_slice(), &[n]].concat());
        Vector::new(format!("arbitrary {n}"), arbitrary_terms(n), Deployment { factory, init_code_hash })
    });
    let extreme = [
        ("deployment of zeros", Deployment { factory: Address::ZERO, init_code_hash: B256::ZERO }),
        ("deployment of ones", Deployment { factory: !Address::ZERO, init_code_hash: !B256::ZERO }),
    ];
    let version_1 = Deployment::version_1(ARBITRARY.factory);
    let real = [
        Vector::new("purse of version 1: 150 USDC on Base", typical(), version_1),
        Vector::new(
            "purse of version 1: anyone may settle",
            InvoiceTerms { settler: Address::ZERO, ..typical() },
            version_1,
        ),
        Vector::new("purse of version 1: partials", InvoiceTerms { flags: 1, ..typical() }, version_1),
    ];
    changed
        .chain(arbitrary)
        .chain(extreme.map(|(name, deployment)| Vector::new(name, typical(), deployment)))
        .chain(real)
        .collect()
}

/// `keccak256(abi.encode(TYPEHASH, fields…))`, one word after the other, without the macro the library uses.
fn hash_by_hand(terms: &InvoiceTerms) -> B256 {
    let number = |bytes: &[u8]| B256::left_padding_from(bytes);
    let words = [
        keccak256(TYPE),
        number(&[terms.version]),
        number(&terms.chain.to_be_bytes()),
        terms.invoice_id,
        number(terms.payee.as_slice()),
        number(terms.token.as_slice()),
        number(&terms.amount.to_be_bytes()),
        number(&terms.closes_at.to_be_bytes()),
        number(terms.refund_to.as_slice()),
        number(terms.refund_key.as_slice()),
        number(terms.settler.as_slice()),
        number(&[terms.flags]),
    ];
    keccak256(words.map(|word| word.0).as_flattened())
}

/// EIP-1014, byte by byte.
fn address_by_hand(factory: Address, salt: B256, init_code_hash: B256) -> Address {
    let mut hasher = Keccak256::new();
    hasher.update([0xff]);
    hasher.update(factory);
    hasher.update(salt);
    hasher.update(init_code_hash);
    Address::from_slice(&hasher.finalize()[12..])
}

/// The vectors say what the code makes. A change here is a change of every address ever issued.
#[test]
fn vectors_are_what_the_code_makes() {
    compare(FILE, &serde_json::to_string_pretty(&vectors()).unwrap());
}

/// Whether a file says what the code makes; rewrites it where that is asked for.
pub(crate) fn compare(file: &str, made: &str) {
    let made = format!("{made}\n");
    if std::env::var_os("MONAY_WRITE_VECTORS").is_some() {
        std::fs::write(file, &made).unwrap();
    }
    let written = std::fs::read_to_string(file).unwrap_or_default();
    let line = written.lines().zip(made.lines()).position(|(written, made)| written != made);
    assert!(
        written == made,
        "{file} differs from what the code makes (first at line {}): if that is meant, rewrite it with \
         `MONAY_WRITE_VECTORS=1 cargo test -p monay-terms vectors`.",
        line.unwrap_or_else(|| written.lines().count().min(made.lines().count())) + 1,
    );
}

/// A second witness beside the `sol!` macro and alloy's `create2`.
#[test]
fn vectors_agree_with_a_computation_by_hand() {
    for Vector { name, terms, hash, factory, init_code_hash, address } in vectors() {
        assert_eq!(hash, hash_by_hand(&terms), "hash of {name}");
        assert_eq!(address, address_by_hand(factory, hash, init_code_hash), "address of {name}");
    }
}

/// EIP-1014's own examples, so that "by hand" has a witness too.
#[test]
fn vectors_computation_by_hand_agrees_with_eip_1014() {
    let deployer = address!("0xdeadbeef00000000000000000000000000000000");
    let examples = [
        (Address::ZERO, &[0x00][..], address!("0x4d1a2e2bb4f88f0250f26ffff098b0b30b26bf38")),
        (deployer, &[0x00][..], address!("0xb928f69bb1d91cd65274e3c79d8986362984fda3")),
        (Address::ZERO, &[0xde, 0xad, 0xbe, 0xef][..], address!("0x70f2b2914a2a4b783faefb75f459a580616fcb5e")),
    ];
    for (factory, init_code, address) in examples {
        assert_eq!(address_by_hand(factory, B256::ZERO, keccak256(init_code)), address);
    }
}

/// Enough of them, each with its own name, no two alike.
#[test]
fn vectors_are_many_and_distinct() {
    let vectors = vectors();
    assert!(vectors.len() >= 40, "only {}", vectors.len());
    for (i, a) in vectors.iter().enumerate() {
        for b in &vectors[..i] {
            assert_ne!(a.name, b.name);
            assert_ne!(a.address, b.address, "{} and {}", a.name, b.name);
        }
    }
    assert!(vectors.iter().any(|vector| vector.terms.token == USDC && vector.terms.amount == 150_000_000));
}
