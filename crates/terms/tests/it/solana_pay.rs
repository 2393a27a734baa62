//! Transfer requests of Solana Pay, by the rules of its specification.

use proptest::prelude::*;
use terms::{Pubkey, TransferRequest};

/// The recipient of the specification's own examples.
const RECIPIENT: Pubkey = Pubkey::from_str_const("mvines9iiHiQTysrwkJjGf2gb9Ex9jXJX8ns3qwf2kN");
const USDC: Pubkey = Pubkey::from_str_const("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v");
const REFERENCE: Pubkey = Pubkey::from_str_const("82ZJ7nbGpixjeDCmEhUcmwXYfvurzAgGdtSMuHnUgyny");

const BARE: TransferRequest<'_> = TransferRequest {
    invoice: RECIPIENT,
    amount: 10_000,
    decimals: 6,
    token: USDC,
    references: &[],
    label: None,
    message: None,
};

#[test]
fn requests_are_those_of_the_specification() {
    assert_eq!(
        BARE.to_string(),
        "solana:mvines9iiHiQTysrwkJjGf2gb9Ex9jXJX8ns3qwf2kN?amount=0.01&spl-token=EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"
    );
    let (label, message) = (Some("Michael"), Some("Thanks for all the fish"));
    let full = TransferRequest { amount: 1_000_000, references: &[REFERENCE, USDC], label, message, ..BARE };
    assert_eq!(
        full.to_string(),
        "solana:mvines9iiHiQTysrwkJjGf2gb9Ex9jXJX8ns3qwf2kN?amount=1&spl-token=EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v\
         &reference=82ZJ7nbGpixjeDCmEhUcmwXYfvurzAgGdtSMuHnUgyny&reference=EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v\
         &label=Michael&message=Thanks%20for%20all%20the%20fish"
    );
}

#[test]
fn amounts_are_whole_tokens_without_exponent_or_idle_zeros() {
    for (amount, decimals, text) in [
        (0, 6, "0"),
        (1, 6, "0.000001"),
        (10, 6, "0.00001"),
        (150_000_000, 6, "150"),
        (150_500_000, 6, "150.5"),
        (100, 0, "100"),
        (7, 0, "7"),
        (1, 9, "0.000000001"),
        (u64::MAX, 0, "18446744073709551615"),
        (u64::MAX, 20, "0.18446744073709551615"),
        (u64::MAX, 6, "18446744073709.551615"),
    ] {
        let uri = TransferRequest { amount, decimals, ..BARE }.to_string();
        assert!(uri.contains(&format!("?amount={text}&")), "{amount} with {decimals}: {uri}");
    }
}

#[test]
fn words_never_become_parameters() {
    for (label, encoded) in [
        ("a&amount=0", "a%26amount%3D0"),
        ("Ω 100 %", "%CE%A9%20100%20%25"),
        ("#terms=x?y/z+", "%23terms%3Dx%3Fy%2Fz%2B"),
        ("A-z_0.9~", "A-z_0.9~"),
        ("", ""),
    ] {
        let uri = TransferRequest { label: Some(label), ..BARE }.to_string();
        assert!(uri.ends_with(&format!("&label={encoded}")), "{uri}");
    }
}

/// How a wallet reads one parameter.
fn parameter(uri: &str, name: &str) -> Option<String> {
    let (_, query) = uri.split_once('?')?;
    let (_, value) = query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name)?;
    let mut bytes = vec![];
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let hex = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&hex).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

proptest! {
    /// What a wallet reads is what was asked for, whatever is written on the invoice.
    #[test]
    fn a_wallet_reads_what_was_asked_for(amount in any::<u64>(), decimals in 0..20_u8, label in any::<String>(), message in any::<String>()) {
        let request = TransferRequest { amount, decimals, label: Some(&label), message: Some(&message), references: &[REFERENCE], ..BARE };
        let uri = request.to_string();
        prop_assert!(uri.is_ascii() && !uri.contains(char::is_whitespace));
        prop_assert_eq!(parameter(&uri, "label"), Some(label));
        prop_assert_eq!(parameter(&uri, "message"), Some(message));
        prop_assert_eq!(parameter(&uri, "reference"), Some(REFERENCE.to_string()));
        let text = parameter(&uri, "amount").unwrap();
        let (whole, part) = text.split_once('.').unwrap_or((text.as_str(), ""));
        prop_assert!(part.len() <= usize::from(decimals) && !part.ends_with('0') && !text.ends_with('.'));
        let units = whole.parse::<u128>().unwrap() * 10_u128.pow(decimals.into())
            + format!("{part:0<width$}", width = usize::from(decimals)).parse::<u128>().unwrap_or(0);
        prop_assert_eq!(units, u128::from(amount));
    }
}
