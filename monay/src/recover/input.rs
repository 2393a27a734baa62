//! The terms, in whatever form somebody kept them.

use super::{Stopped, stopped};
use crate::Error;
use alloy_primitives::Address;
use serde::Deserialize;
use std::io::Read;
use std::path::Path;
use terms::{InvoiceTerms, PortableTerms};

/// What precedes the word in a pay link.
const FRAGMENT: &str = "#terms=";

/// More than any form of terms has. Bytes.
const LONGEST: u64 = 256 * 1024;

/// Reads terms from a word, a pay link, `-` (standard input) or a file with any of these or with the terms as JSON.
pub(super) fn read(given: &str, escrow: Option<Address>) -> Result<PortableTerms, Error> {
    let terms = if given == "-" {
        parse(&limited(std::io::stdin().lock()).map_err(Error::file("standard input"))?, escrow)?
    } else if Path::new(given).is_file() {
        let text = std::fs::File::open(given).and_then(limited).map_err(Error::file(given))?;
        parse(&text, escrow)?
    } else {
        parse(given, escrow)?
    };
    match escrow {
        Some(escrow) if escrow != terms.escrow => Err(stopped(
            Stopped::Terms,
            format!("the terms name the escrow {}, --escrow says {escrow}: leave --escrow out", terms.escrow),
        )),
        _ => Ok(terms),
    }
}

fn limited(source: impl Read) -> std::io::Result<String> {
    let mut text = String::new();
    source.take(LONGEST).read_to_string(&mut text)?;
    Ok(text)
}

fn parse(text: &str, escrow: Option<Address>) -> Result<PortableTerms, Error> {
    let text = text.trim();
    if text.starts_with('{') {
        return json(text, escrow);
    }
    // What follows in a link is somebody else's.
    let word = text.split_once(FRAGMENT).map_or(text, |(_, word)| word.split('&').next().unwrap_or(word));
    word.parse().map_err(|error: terms::NotTerms| {
        stopped(Stopped::Terms, format!("{error}. A file with that name was not found either."))
    })
}

/// The terms by themselves, or as they stand in an answer of the API.
#[derive(Deserialize)]
#[serde(untagged)]
enum Kept {
    Alone(InvoiceTerms),
    Among { terms: InvoiceTerms },
    Answer { terms: Vec<Among> },
}

#[derive(Deserialize)]
struct Among {
    terms: InvoiceTerms,
}

fn json(text: &str, escrow: Option<Address>) -> Result<PortableTerms, Error> {
    let not = |why: &str| stopped(Stopped::Terms, format!("the file's JSON holds no terms of an invoice: {why}"));
    let kept = serde_json::from_str(text).map_err(|_| {
        not("it must have the eleven fields of the terms, by themselves or as `terms` in an answer of the API")
    })?;
    let terms = match kept {
        Kept::Alone(terms) | Kept::Among { terms } => terms,
        Kept::Answer { terms } => terms.into_iter().next().ok_or_else(|| not("its list of terms is empty"))?.terms,
    };
    let escrow = escrow.ok_or_else(|| {
        stopped(Stopped::Terms, "terms as JSON do not say where they are carried out: add --escrow ADDRESS".to_owned())
    })?;
    Ok(PortableTerms { terms, escrow })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use alloy_primitives::B256;

    fn kept() -> PortableTerms {
        let terms = InvoiceTerms {
            version: 1,
            chain: 8453,
            invoice_id: B256::repeat_byte(1),
            payee: Address::repeat_byte(2),
            token: Address::repeat_byte(3),
            amount: 4,
            closes_at: 5,
            refund_to: Address::repeat_byte(6),
            refund_key: Address::ZERO,
            settler: Address::ZERO,
            flags: 0,
        };
        PortableTerms { terms, escrow: Address::repeat_byte(9) }
    }

    #[test]
    fn terms_are_read_in_every_form_they_are_kept_in() {
        let (terms, escrow) = (kept(), Some(kept().escrow));
        let alone = serde_json::to_string(&terms.terms).unwrap();
        for (text, escrow) in [
            (terms.to_string(), None),
            (format!(" {}\n", terms), escrow),
            (format!("https://pay.example/pay/abc#terms={terms}"), None),
            (format!("https://pay.example/pay/abc#terms={terms}&lang=en"), None),
            (alone.clone(), escrow),
            (format!(r#"{{"chain":"base","hash":"0x","deposit_address":"0x","terms":{alone}}}"#), escrow),
            (format!(r#"{{"invoice":{{}},"terms":[{{"chain":"base","terms":{alone}}}]}}"#), escrow),
        ] {
            assert_eq!(parse(&text, escrow).unwrap(), terms, "{text}");
        }
    }

    #[test]
    fn what_is_no_terms_is_refused_with_a_sentence() {
        let word = kept().to_string();
        let changed = format!("{}{}", &word[..word.len() - 9], "AAAAAAAAA");
        let alone = serde_json::to_string(&kept().terms).unwrap();
        for (text, escrow, says) in [
            ("hello".to_owned(), None, "terms begin with 'monay1'"),
            (word[..100].to_owned(), None, "not complete"),
            (changed, None, "changed on the way"),
            (alone, None, "add --escrow ADDRESS"),
            ("{}".to_owned(), Some(Address::ZERO), "no terms of an invoice"),
            (r#"{"terms":[]}"#.to_owned(), Some(Address::ZERO), "empty"),
        ] {
            let error = parse(&text, escrow).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
        let other = read(&word, Some(Address::repeat_byte(1))).unwrap_err().to_string();
        assert!(other.contains("leave --escrow out"), "{other}");
    }
}
