//! Terms as one word of text: what comes back is what was sent, or an error, never other terms.

use crate::{address::any_terms, solana, typical};
use proptest::prelude::*;
use terms::{
    Account, Address, InvoiceTerms, NotTerms, Portable, PortableInvoice, PortableSolanaTerms, PortableTerms, Pubkey,
    SolanaTerms, Terms,
};

/// Written once, never again.
const GOLDEN: &str = "monay1AQAAAAAAACEFXT8MHpp7RiiOHy08S1ppeIeWpbTD0uHwARIjNEVWZ3iaHl4AAAAAAAAAAAAAAAAAAAAAAYM1ifzW7bbgj0\
    x8MtT3G1S9oCkTAAAAAAAAAAAAAAAACPDRgAAAAABrNuyALvAAAAAAAAAAAAAAAAAAAAAAAAF-cAAAAAAAAAAAAAAAAAAAAAAAAV\
    53HgAAAAAAAAAAAAAAAAAAAAABAOXl5eXl5eXl5eXl5eXl5eXl5eXlqojHlg";

fn portable() -> PortableTerms {
    PortableTerms { terms: typical(), escrow: Address::repeat_byte(0xe5) }
}

fn portable_on_solana() -> PortableSolanaTerms {
    PortableSolanaTerms { terms: solana::typical(), escrow: solana::PROGRAM }
}

/// One invoice on both chains.
fn on_both() -> PortableInvoice {
    PortableInvoice::new(vec![portable().into(), portable_on_solana().into()]).unwrap()
}

proptest! {
    #[test]
    fn terms_survive_the_text(terms in any_terms(), escrow in any::<[u8; 20]>()) {
        let portable = PortableTerms { terms, escrow: escrow.into() };
        prop_assert_eq!(&portable.to_string().parse::<PortableTerms>().unwrap(), &portable);
        prop_assert_eq!(portable.to_string().parse::<Portable>().unwrap(), Portable::Evm(portable));
    }

    #[test]
    fn terms_of_solana_survive_the_text(terms in solana::any_terms(), escrow in any::<[u8; 32]>()) {
        let portable = PortableSolanaTerms { terms, escrow: Pubkey::new_from_array(escrow) };
        prop_assert_eq!(portable.to_string().parse::<PortableTerms>(), Err(NotTerms::OfSolana));
        prop_assert_eq!(portable.to_string().parse::<Portable>().unwrap(), Portable::Solana(portable));
    }

    #[test]
    fn the_terms_of_an_invoice_on_both_chains_survive_the_text(evm in any_terms(), solana in solana::any_terms()) {
        let evm = InvoiceTerms {
            invoice_id: solana.invoice_id, amount: solana.amount.into(), closes_at: solana.closes_at, flags: solana.flags & 1, ..evm
        };
        prop_assume!(evm.chain != solana.chain);
        let words = vec![
            PortableSolanaTerms { terms: solana, escrow: solana::PROGRAM }.into(),
            PortableTerms { terms: evm, escrow: Address::repeat_byte(0xe5) }.into(),
        ];
        let invoice = PortableInvoice::new(words).unwrap();
        prop_assert_eq!(invoice.to_string().parse::<PortableInvoice>().unwrap(), invoice);
    }

    /// Any one character changed, lost or added is told, in a word of either kind and between two.
    #[test]
    fn a_mistyped_character_never_becomes_another_invoice(at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_.-]") {
        for text in [portable_on_solana().to_string(), on_both().to_string()] {
            let at = at.index(text.len());
            for changed in [
                format!("{}{to}{}", &text[..at], &text[at + 1..]),
                format!("{}{}", &text[..at], &text[at + 1..]),
                format!("{}{to}{}", &text[..at], &text[at..]),
            ] {
                prop_assert!(changed == text || changed.parse::<PortableInvoice>().is_err(), "{changed}");
            }
        }
    }

    /// Any one character changed, lost or added is told.
    #[test]
    fn a_mistyped_character_never_becomes_other_terms(at in 0..260_usize, to in "[A-Za-z0-9_-]") {
        let text = portable().to_string();
        let at = at.min(text.len() - 1);
        for changed in [
            format!("{}{to}{}", &text[..at], &text[at + 1..]),
            format!("{}{}", &text[..at], &text[at + 1..]),
            format!("{}{to}{}", &text[..at], &text[at..]),
        ] {
            prop_assert!(changed == text || changed.parse::<PortableTerms>().is_err(), "{changed}");
        }
    }
}

/// The form is fixed: a link that was sent years ago must still be read.
#[test]
fn the_text_of_the_typical_terms_is_what_it_always_was() {
    let text = portable().to_string();
    assert_eq!(text.len(), 260);
    assert_eq!(text, GOLDEN);
}

#[test]
fn line_breaks_of_a_mail_program_do_no_harm() {
    let text = portable().to_string();
    let broken = format!("  {}\r\n{}\n", &text[..76], &text[76..]);
    assert_eq!(broken.parse::<PortableTerms>(), Ok(portable()));
}

#[test]
fn what_is_not_terms_is_refused_with_the_reason() {
    let text = portable().to_string();
    let swapped = text.replacen('A', "B", 1);
    for (text, error) in [
        ("", NotTerms::Prefix),
        ("monay2AAAA", NotTerms::Prefix),
        ("monay1", NotTerms::Malformed),
        (&text[..200], NotTerms::Malformed),
        (&format!("{text}AAAA"), NotTerms::Malformed),
        (&format!("{text}="), NotTerms::Malformed),
        (&swapped, NotTerms::Check),
    ] {
        assert_eq!(text.parse::<PortableTerms>(), Err(error), "{text}");
    }
}

#[test]
fn a_word_says_what_it_is_about() {
    let word = Portable::from(portable());
    assert_eq!((word.terms(), word.escrow()), (Terms::Evm(typical()), Account::Evm(portable().escrow)));
    assert_eq!(word.deposit_address(), Some(Account::Evm(portable().deposit_address())));

    let mut terms = solana::typical();
    let addresses = terms.draw(&solana::PROGRAM, solana::numbered()).unwrap();
    let word = Portable::from(PortableSolanaTerms { terms: terms.clone(), escrow: solana::PROGRAM });
    assert_eq!((word.terms(), word.escrow()), (Terms::Solana(terms), Account::Solana(solana::PROGRAM)));
    assert_eq!(word.deposit_address(), Some(Account::Solana(addresses.invoice)));
    assert_eq!(word.to_string().len(), 345);
}

/// A link of an invoice on one chain is what it always was; of one on two, a part of it is still terms.
#[test]
fn words_of_an_invoice_can_be_cut_apart() {
    let text = on_both().to_string();
    let (first, second) = text.split_once('.').unwrap();
    assert_eq!(first, GOLDEN);
    assert_eq!(first.parse::<PortableInvoice>().unwrap().words(), [Portable::from(portable())]);
    assert_eq!(second.parse::<Portable>(), Ok(portable_on_solana().into()));
    assert_eq!(text.parse::<PortableInvoice>().unwrap().words().len(), 2);
    let broken = format!("{}\r\n{} ", &text[..300], &text[300..]);
    assert_eq!(broken.parse::<PortableInvoice>(), Ok(on_both()));
}

#[test]
fn words_that_are_not_of_one_invoice_are_refused() {
    type Change = fn(&mut SolanaTerms);
    let rows: &[(Change, bool)] = &[
        (|_| (), true),
        (|t| t.flags = 2, true),
        (|t| t.flags = 1, false),
        (|t| t.amount += 1, false),
        (|t| t.closes_at += 1, false),
        (|t| t.invoice_id.0[31] ^= 1, false),
        (|t| t.chain = typical().chain, false),
    ];
    for (row, (change, belongs)) in rows.iter().enumerate() {
        let mut other = portable_on_solana();
        change(&mut other.terms);
        let text = format!("{}.{other}", portable());
        let read = text.parse::<PortableInvoice>();
        assert_eq!(read.err(), (!belongs).then_some(NotTerms::NotOneInvoice), "row {row}");
    }
    for (text, error) in [
        (String::new(), NotTerms::Prefix),
        (format!("{}.", portable()), NotTerms::Prefix),
        (format!(".{}", portable()), NotTerms::Prefix),
        (format!("{}.monay1", portable()), NotTerms::Malformed),
        (format!("{}.{}", portable(), portable()), NotTerms::NotOneInvoice),
    ] {
        assert_eq!(text.parse::<PortableInvoice>(), Err(error), "{text}");
    }
}
