//! Terms as one word of text: what comes back is what was sent, or an error, never other terms.

use crate::{address::any_terms, typical};
use proptest::prelude::*;
use terms::{Address, NotTerms, PortableTerms};

/// Written once, never again.
const GOLDEN: &str = "monay1AQAAAAAAACEFXT8MHpp7RiiOHy08S1ppeIeWpbTD0uHwARIjNEVWZ3iaHl4AAAAAAAAAAAAAAAAAAAAAAYM1ifzW7bbgj0\
    x8MtT3G1S9oCkTAAAAAAAAAAAAAAAACPDRgAAAAABrNuyALvAAAAAAAAAAAAAAAAAAAAAAAAF-cAAAAAAAAAAAAAAAAAAAAAAAAV\
    53HgAAAAAAAAAAAAAAAAAAAAABAOXl5eXl5eXl5eXl5eXl5eXl5eXlqojHlg";

fn portable() -> PortableTerms {
    PortableTerms { terms: typical(), escrow: Address::repeat_byte(0xe5) }
}

proptest! {
    #[test]
    fn terms_survive_the_text(terms in any_terms(), escrow in any::<[u8; 20]>()) {
        let portable = PortableTerms { terms, escrow: escrow.into() };
        prop_assert_eq!(portable.to_string().parse::<PortableTerms>().unwrap(), portable);
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
