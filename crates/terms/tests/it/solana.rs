//! The same invoice on Solana.

use alloy_primitives::keccak256;
use core::convert::Infallible;
use escrow_interface::address;
use proptest::prelude::*;
use terms::solana::{self, Addresses, DrawError, SolanaTerms};
use terms::{Account, B256, BrokenRule, MAX_LIFETIME_SECONDS, Pubkey, Terms};

/// USDC on Solana.
const USDC: Pubkey = Pubkey::from_str_const("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v");

const ASSOCIATED_TOKEN_PROGRAM: Pubkey = Pubkey::new_from_array(address::ASSOCIATED_TOKEN_PROGRAM);

/// No key at all.
const NOBODY: Pubkey = Pubkey::new_from_array([0; 32]);

/// 150 USDC on a local network, one settler, the whole amount or nothing.
pub(crate) fn typical() -> SolanaTerms {
    SolanaTerms {
        version: 1,
        chain: escrow_interface::LOCAL,
        invoice_id: crate::typical().invoice_id,
        payee: Pubkey::new_from_array([0x11; 32]),
        token: USDC,
        amount: 150_000_000,
        closes_at: 1_798_761_600,
        refund_to: Pubkey::new_from_array([0x2f; 32]),
        refund_key: Pubkey::new_from_array([0x58; 32]),
        settler: Pubkey::new_from_array([0x73; 32]),
        flags: 0,
    }
}

pub(crate) fn any_terms() -> impl Strategy<Value = SolanaTerms> {
    let key = any::<[u8; 32]>().prop_map(Pubkey::new_from_array);
    (
        (any::<u8>(), any::<u64>(), any::<[u8; 32]>().prop_map(B256::from), key.clone(), key.clone()),
        (any::<u64>(), any::<u64>(), key.clone(), key.clone(), key, any::<u8>()),
    )
        .prop_map(
            |(
                (version, chain, invoice_id, payee, token),
                (amount, closes_at, refund_to, refund_key, settler, flags),
            )| {
                SolanaTerms {
                    version,
                    chain,
                    invoice_id,
                    payee,
                    token,
                    amount,
                    closes_at,
                    refund_to,
                    refund_key,
                    settler,
                    flags,
                }
            },
        )
}

#[test]
fn terms_of_any_chain_answer_alike() {
    let evm = crate::typical();
    let any = Terms::from(evm.clone());
    assert_eq!((any.chain(), any.hash(), any.invoice_id()), (evm.chain, evm.hash(), evm.invoice_id));
    assert_eq!([any.payee(), any.token()], [Account::Evm(evm.payee), Account::Evm(evm.token)]);
    assert_eq!([any.refund_to(), any.refund_key()], [Account::Evm(evm.refund_to), Account::Evm(evm.refund_key)]);
    assert_eq!((any.settler(), any.amount()), (Account::Evm(evm.settler), evm.amount));
    assert_eq!((any.closes_at(), any.flags(), any.partials()), (evm.closes_at, 0, false));
    assert_eq!((any.evm(), any.solana()), (Some(&evm), None));

    let solana = SolanaTerms { flags: 3, ..typical() };
    let any = Terms::from(solana.clone());
    assert_eq!((any.chain(), any.hash(), any.invoice_id()), (solana.chain, solana.hash(), solana.invoice_id));
    assert_eq!([any.payee(), any.token()], [Account::Solana(solana.payee), Account::Solana(solana.token)]);
    assert_eq!([any.refund_to(), any.refund_key()], [solana.refund_to, solana.refund_key].map(Account::Solana));
    assert_eq!((any.settler(), any.amount()), (Account::Solana(solana.settler), solana.amount.into()));
    assert_eq!((any.closes_at(), any.flags(), any.partials()), (solana.closes_at, 3, true));
    assert_eq!((any.evm(), any.solana()), (None, Some(&solana)));
}

/// Where no program is: most tests must not change when ours does.
pub(crate) const PROGRAM: Pubkey = Pubkey::new_from_array([0xe5; 32]);

/// Typical terms with an id that has addresses.
fn drawn() -> SolanaTerms {
    let mut terms = typical();
    terms.draw(&PROGRAM, numbered()).unwrap();
    terms
}

/// Ids that look random and are always the same.
pub(crate) fn numbered() -> impl FnMut() -> Result<B256, Infallible> {
    let mut n = 0_u32;
    move || {
        n += 1;
        Ok(keccak256(n.to_be_bytes()))
    }
}

/// The terms with one bit of one field turned over.
fn flipped(terms: &SolanaTerms, field: usize, bit: usize) -> SolanaTerms {
    fn flip(key: &mut [u8; 32], bit: usize) {
        key[bit / 8 % 32] ^= 1 << (bit % 8);
    }
    let mut terms = terms.clone();
    let turned = |key: &Pubkey| {
        let mut key = key.to_bytes();
        flip(&mut key, bit);
        Pubkey::new_from_array(key)
    };
    match field {
        0 => terms.version ^= 1 << (bit % 8),
        1 => terms.chain ^= 1 << (bit % 64),
        2 => flip(&mut terms.invoice_id.0, bit),
        3 => terms.payee = turned(&terms.payee),
        4 => terms.token = turned(&terms.token),
        5 => terms.amount ^= 1 << (bit % 64),
        6 => terms.closes_at ^= 1 << (bit % 64),
        7 => terms.refund_to = turned(&terms.refund_to),
        8 => terms.refund_key = turned(&terms.refund_key),
        9 => terms.settler = turned(&terms.settler),
        _ => terms.flags ^= 1 << (bit % 8),
    }
    terms
}

proptest! {
    /// `chain:X5`: there is no field that an attacker could change and keep an address.
    #[test]
    fn flipping_any_bit_of_any_field_changes_hash_and_addresses_on_solana(
        terms in any_terms(), program in any::<[u8; 32]>(), field in 0usize..11, bit in any::<usize>(),
    ) {
        let program = Pubkey::new_from_array(program);
        let other = flipped(&terms, field, bit);
        prop_assert_ne!(&terms, &other);
        prop_assert_ne!(terms.hash(), other.hash());
        // An invoice whose addresses exist, and another that differs in nothing but this bit and has them too.
        let (mut terms, mut random) = (terms, numbered());
        let ours = terms.draw(&program, &mut random).unwrap();
        if let Some(theirs) = flipped(&terms, field, bit).addresses(&program) {
            prop_assert_ne!(ours.invoice, theirs.invoice);
            prop_assert_ne!(ours.record, theirs.record);
        }
    }

    /// Another program is another address: a copy of ours has no claim on our invoices' money.
    #[test]
    fn addresses_are_those_that_solanas_own_crate_finds(terms in any_terms(), program in any::<[u8; 32]>(), token_2022 in any::<bool>()) {
        let program = Pubkey::new_from_array(program);
        let hash = terms.hash();
        let theirs = |seed: &[u8]| Pubkey::create_program_address(&[seed, hash.as_slice(), &[255]], &program).ok();
        let both = theirs(b"invoice").zip(theirs(b"record"));
        let ours = terms.addresses(&program);
        prop_assert_eq!(ours.map(|ours| (ours.invoice, ours.record)), both);
        if let Some(Addresses { invoice, .. }) = ours {
            prop_assert_eq!(Pubkey::find_program_address(&[b"invoice", hash.as_slice()], &program), (invoice, 255));
        }

        let authority = Pubkey::create_program_address(&[b"__event_authority", &[255]], &program).ok();
        prop_assert_eq!(solana::event_authority(&program), authority);

        let (owner, token_program) = (terms.payee, solana::token_program(token_2022));
        let seeds = [owner.as_ref(), token_program.as_ref(), terms.token.as_ref()];
        let theirs = Pubkey::find_program_address(&seeds, &ASSOCIATED_TOKEN_PROGRAM);
        prop_assert_eq!(solana::associated_token(&owner, &terms.token, &token_program), theirs);
    }

    /// Drawn terms are the same terms with another id, and their addresses are there.
    #[test]
    fn an_invoice_id_is_drawn_until_its_addresses_exist(terms in any_terms(), seed in any::<u64>()) {
        let mut draws = 0_u32;
        let mut drawn = terms.clone();
        let random = || -> Result<B256, Infallible> {
            draws += 1;
            Ok(keccak256([seed.to_be_bytes().as_slice(), &draws.to_be_bytes()].concat()))
        };
        let addresses = drawn.draw(&PROGRAM, random).unwrap();
        prop_assert_eq!(drawn.addresses(&PROGRAM), Some(addresses));
        prop_assert!(!addresses.invoice.is_on_curve() && !addresses.record.is_on_curve());
        prop_assert!((1..200).contains(&draws));
        prop_assert_eq!(SolanaTerms { invoice_id: terms.invoice_id, ..drawn }, terms);
    }
}

#[test]
fn about_one_invoice_id_in_four_and_a_half_has_addresses() {
    let (mut random, mut terms) = (numbered(), typical());
    let mut found = 0;
    for _ in 0..4_000 {
        terms.invoice_id = random().unwrap();
        found += u32::from(terms.addresses(&PROGRAM).is_some());
    }
    // 22.75 % of 4,000, give or take five standard deviations.
    assert!((777..=1_043).contains(&found), "{found}");
}

#[test]
fn drawing_ends_with_an_error_and_not_never() {
    let mut terms = typical();
    assert_eq!(terms.draw(&PROGRAM, || Err("no entropy")), Err(DrawError::Random("no entropy")));
    // Bytes that are always the same, of an id without addresses.
    let stuck = (0..=u8::MAX).map(B256::repeat_byte).find(|id| {
        terms.invoice_id = *id;
        terms.addresses(&PROGRAM).is_none()
    });
    let mut draws = 0;
    let error = terms.draw(&PROGRAM, || {
        draws += 1;
        stuck.ok_or("none")
    });
    assert_eq!((error, draws), (Err(DrawError::Unlucky), solana::MAX_DRAWS));
    assert!(error.unwrap_err().to_string().contains("256"));
}

#[test]
fn programs_are_those_of_every_cluster() {
    let base58 = |key: [u8; 32]| Pubkey::new_from_array(key).to_string();
    assert_eq!(base58(address::TOKEN_PROGRAM), "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA");
    assert_eq!(base58(address::TOKEN_2022_PROGRAM), "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb");
    assert_eq!(base58(address::ASSOCIATED_TOKEN_PROGRAM), "ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL");
    assert_eq!((typical().token_program(), typical().token_2022()), (solana::token_program(false), false));
}

const NOW: u64 = 1_790_000_000;
const LATEST: u64 = NOW + MAX_LIFETIME_SECONDS;

type Change = fn(&mut SolanaTerms);

#[test]
fn a_row_at_its_limit_holds_on_solana() {
    let rows: &[(&str, Change)] = &[
        ("typical", |_| ()),
        ("amount: the smallest", |t| t.amount = 1),
        ("amount: the largest", |t| t.amount = u64::MAX),
        ("closesAt: the smallest", |t| t.closes_at = 1),
        ("closesAt: now + 400 days", |t| t.closes_at = LATEST),
        ("refundKey: none", |t| t.refund_key = NOBODY),
        ("settler: anyone", |t| t.settler = NOBODY),
        ("flags: partials and Token-2022", |t| t.flags = 3),
        ("payee may be refundTo", |t| t.payee = t.refund_to),
    ];
    for (row, change) in rows {
        let mut terms = typical();
        change(&mut terms);
        terms.draw(&PROGRAM, numbered()).unwrap();
        assert_eq!(terms.check(NOW, &PROGRAM), Ok(()), "{row}");
    }
}

#[test]
fn a_broken_row_is_named_on_solana_in_the_same_words() {
    use BrokenRule::*;
    let (token, settler) = (typical().token, typical().settler);
    let rows: &[(&str, Change, BrokenRule)] = &[
        ("version 2", |t| t.version = 2, WrongVersion(2)),
        ("another cluster", |t| t.chain = 8453, WrongChain { chain: 8453, here: escrow_interface::CHAIN }),
        ("flags: bit 2", |t| t.flags = 4, InvalidFlags(4)),
        ("amount 0", |t| t.amount = 0, InvalidAmount),
        ("closesAt 0", |t| t.closes_at = 0, InvalidClosesAt { closes_at: 0, latest: LATEST }),
        ("closesAt never", |t| t.closes_at = u64::MAX, InvalidClosesAt { closes_at: u64::MAX, latest: LATEST }),
        (
            "closesAt a second too late",
            |t| t.closes_at = LATEST + 1,
            InvalidClosesAt { closes_at: LATEST + 1, latest: LATEST },
        ),
        ("token 0", |t| t.token = NOBODY, InvalidToken(NOBODY.into())),
        ("payee 0", |t| t.payee = NOBODY, InvalidPayee(NOBODY.into())),
        ("payee: the program", |t| t.payee = PROGRAM, InvalidPayee(PROGRAM.into())),
        ("payee: the mint", |t| t.payee = t.token, InvalidPayee(token.into())),
        ("payee: the settler", |t| t.payee = t.settler, InvalidPayee(settler.into())),
        ("refundTo 0", |t| t.refund_to = NOBODY, InvalidRefundTo(NOBODY.into())),
        ("refundTo: the program", |t| t.refund_to = PROGRAM, InvalidRefundTo(PROGRAM.into())),
        ("refundTo: the mint", |t| t.refund_to = t.token, InvalidRefundTo(token.into())),
    ];
    for (row, change, broken) in rows {
        let mut terms = typical();
        change(&mut terms);
        terms.draw(&PROGRAM, numbered()).unwrap();
        assert_eq!(terms.check(NOW, &PROGRAM), Err(*broken), "{row}");
        assert!(!broken.to_string().is_empty());
    }
    let mut terms = drawn();
    while terms.addresses(&PROGRAM).is_some() {
        terms.invoice_id = keccak256(terms.invoice_id);
    }
    assert_eq!(terms.check(NOW, &PROGRAM), Err(InvalidInvoiceId(terms.invoice_id)));
}
