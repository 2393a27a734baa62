//! `vectors/solana.json`: the golden vectors of Solana. This test writes them; the program's tests and other clients read them.

use crate::solana::{numbered, typical};
use crate::vectors::compare;
use alloy_primitives::{Bytes, keccak256};
use escrow_interface as wire;
use serde::Serialize;
use sha2::{Digest, Sha256};
use terms::solana::{self, SolanaTerms};
use terms::{Account, B256, PortableSolanaTerms, Pubkey};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/vectors/solana.json");

#[derive(Serialize)]
struct Vector {
    name: String,
    terms: SolanaTerms,
    /// The 218 bytes.
    encoded: Bytes,
    hash: B256,
    program: Account,
    /// None where an address lies on the curve at bump 255: then there is no such invoice.
    invoice: Option<Account>,
    record: Option<Account>,
    vault: Option<Account>,
    vault_bump: Option<u8>,
    /// None where it lies on the curve: then there is no such program.
    event_authority: Option<Account>,
    word: String,
}

impl Vector {
    fn new(name: impl Into<String>, terms: SolanaTerms, program: Pubkey) -> Self {
        let addresses = terms.addresses(&program);
        let vault = addresses.map(|addresses| terms.vault(&addresses.invoice));
        Self {
            name: name.into(),
            encoded: terms.wire().encode().into(),
            hash: terms.hash(),
            program: program.into(),
            invoice: addresses.map(|addresses| addresses.invoice.into()),
            record: addresses.map(|addresses| addresses.record.into()),
            vault: vault.map(|(vault, _)| vault.into()),
            vault_bump: vault.map(|(_, bump)| bump),
            event_authority: solana::event_authority(&program).map(Account::Solana),
            word: PortableSolanaTerms { terms: terms.clone(), escrow: program }.to_string(),
            terms,
        }
    }
}

type Change = fn(&mut SolanaTerms);

const NOBODY: Pubkey = Pubkey::new_from_array([0; 32]);
const EVERYBODY: Pubkey = Pubkey::new_from_array([0xff; 32]);

/// One change to [`typical`] each, before its id is drawn. Not all of them are valid terms.
const CHANGES: &[(&str, Change)] = &[
    ("typical: 150 USDC", |_| ()),
    ("typical: anyone may settle", |t| t.settler = NOBODY),
    ("typical: no refund key", |t| t.refund_key = NOBODY),
    ("typical: neither settler nor refund key", |t| (t.settler, t.refund_key) = (NOBODY, NOBODY)),
    ("typical: partials", |t| t.flags = 1),
    ("typical: a mint of Token-2022", |t| t.flags = 2),
    ("typical: partials and Token-2022", |t| t.flags = 3),
    ("typical: payee gets refunds", |t| t.refund_to = t.payee),
    ("typical: one cent", |t| t.amount = 10_000),
    ("typical: 18 quintillion", |t| t.amount = u64::MAX),
    ("mainnet", |t| t.chain = wire::MAINNET),
    ("devnet", |t| t.chain = wire::DEVNET),
    ("zero version", |t| t.version = 0),
    ("zero amount", |t| t.amount = 0),
    ("zero closes at", |t| t.closes_at = 0),
    ("zero payee", |t| t.payee = NOBODY),
    ("zero token", |t| t.token = NOBODY),
    ("zero refund to", |t| t.refund_to = NOBODY),
    ("maximal version", |t| t.version = u8::MAX),
    ("maximal chain", |t| t.chain = u64::MAX),
    ("maximal closes at: negative for the program", |t| t.closes_at = u64::MAX),
    ("the last closes at that is not negative", |t| t.closes_at = u64::MAX / 2),
    ("maximal payee", |t| t.payee = EVERYBODY),
    ("maximal token", |t| t.token = EVERYBODY),
    ("maximal refund to", |t| t.refund_to = EVERYBODY),
    ("maximal refund key", |t| t.refund_key = EVERYBODY),
    ("maximal settler", |t| t.settler = EVERYBODY),
    ("maximal flags", |t| t.flags = u8::MAX),
    ("byte order of chain", |t| t.chain = 0x0102_0304_0506_0708),
    ("byte order of amount", |t| t.amount = 0x0102_0304_0506_0708),
    ("byte order of closes at", |t| t.closes_at = 0x0102_0304_0506_0708),
];

/// Terms that look random and are always the same.
fn arbitrary(n: u8) -> (SolanaTerms, Pubkey) {
    let word = |field: &str| keccak256([field.as_bytes(), &[n]].concat());
    let key = |field: &str| Pubkey::new_from_array(word(field).0);
    let u64 = |field: &str| u64::from_be_bytes(word(field)[..8].try_into().unwrap());
    let terms = SolanaTerms {
        version: word("version")[0],
        chain: u64("chain"),
        invoice_id: word("invoice_id"),
        payee: key("payee"),
        token: key("token"),
        amount: u64("amount"),
        closes_at: u64("closes_at"),
        refund_to: key("refund_to"),
        refund_key: key("refund_key"),
        settler: key("settler"),
        flags: word("flags")[0],
    };
    (terms, key("program"))
}

/// A program whose event authority exists: deployments draw theirs until it does.
fn program() -> Pubkey {
    let ids = (0..=u8::MAX).map(|n| Pubkey::new_from_array([n; 32]));
    ids.into_iter().find(|id| solana::event_authority(id).is_some()).unwrap()
}

fn vectors() -> Vec<Vector> {
    let drawn = CHANGES.iter().map(|(name, change)| {
        let mut terms = typical();
        change(&mut terms);
        terms.draw(&program(), numbered()).unwrap();
        Vector::new(*name, terms, program())
    });
    // As they come: some have addresses, most have none.
    let arbitrary = (0..12).map(|n| {
        let (terms, program) = arbitrary(n);
        Vector::new(format!("arbitrary {n}"), terms, program)
    });
    drawn.chain(arbitrary).collect()
}

#[test]
fn solana_vectors_are_what_the_code_makes() {
    compare(FILE, &serde_json::to_string_pretty(&vectors()).unwrap());
}

/// A second witness: the bytes by hand, the addresses by Solana's own crate.
#[test]
fn solana_vectors_agree_with_a_computation_by_hand_and_with_solanas_own_crate() {
    let ata = Pubkey::new_from_array(wire::address::ASSOCIATED_TOKEN_PROGRAM);
    for vector in vectors() {
        let Vector { name, terms, hash, program, .. } = vector;
        let mut bytes = vec![terms.version];
        bytes.extend(terms.chain.to_le_bytes());
        bytes.extend(terms.invoice_id);
        bytes.extend(terms.payee.to_bytes());
        bytes.extend(terms.token.to_bytes());
        bytes.extend(terms.amount.to_le_bytes());
        bytes.extend(terms.closes_at.to_le_bytes());
        bytes.extend(terms.refund_to.to_bytes());
        bytes.extend(terms.refund_key.to_bytes());
        bytes.extend(terms.settler.to_bytes());
        bytes.push(terms.flags);
        assert_eq!((bytes.len(), vector.encoded.as_ref()), (218, bytes.as_slice()), "bytes of {name}");
        let by_hand = Sha256::digest([b"monay:terms:v1".as_slice(), &bytes].concat());
        assert_eq!(hash.as_slice(), &by_hand[..], "hash of {name}");

        let program = program.solana().unwrap();
        let at_255 = |seed: &[u8]| Pubkey::create_program_address(&[seed, hash.as_slice(), &[255]], &program).ok();
        let both = at_255(b"invoice").zip(at_255(b"record"));
        let (invoice, record) = both.map(|(a, b)| (Account::Solana(a), Account::Solana(b))).unzip();
        assert_eq!((vector.invoice, vector.record), (invoice, record), "addresses of {name}");
        let vault = both.map(|(invoice, _)| {
            let token_program = terms.token_program();
            Pubkey::find_program_address(&[invoice.as_ref(), token_program.as_ref(), terms.token.as_ref()], &ata)
        });
        assert_eq!(vector.vault.zip(vector.vault_bump), vault.map(|(at, bump)| (at.into(), bump)), "vault of {name}");
        let authority = Pubkey::create_program_address(&[b"__event_authority", &[255]], &program).ok();
        assert_eq!(vector.event_authority, authority.map(Account::Solana), "event authority of {name}");
        let word: PortableSolanaTerms = match vector.word.parse().unwrap() {
            terms::Portable::Solana(word) => word,
            terms::Portable::Evm(_) => panic!("{name} is of Solana"),
        };
        assert_eq!(word, PortableSolanaTerms { terms, escrow: program }, "word of {name}");
    }
}

#[test]
fn solana_vectors_are_many_and_distinct() {
    let vectors = vectors();
    assert!(vectors.len() >= 40, "only {}", vectors.len());
    for (i, a) in vectors.iter().enumerate() {
        for b in &vectors[..i] {
            assert!(a.name != b.name && a.hash != b.hash && a.word != b.word, "{} and {}", a.name, b.name);
        }
    }
    assert!(vectors.iter().any(|vector| vector.invoice.is_none()), "none of them shows that there may be no address");
    assert!(vectors.iter().any(|vector| vector.vault_bump.is_some_and(|bump| bump < 255)));
}
