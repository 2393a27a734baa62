//! What a customer's wallet is asked for on Solana: a transfer request of Solana Pay, as a link or a QR code.

use alloc::format;
use alloc::string::String;
use core::fmt;
use solana_pubkey::Pubkey;

/// A transfer to an invoice. As text: `solana:` and the recipient, then what else is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferRequest<'a> {
    /// The invoice's address: the owner of the vault, which the wallet finds by itself. Never the vault: the wallet would take it
    /// for an owner.
    pub invoice: Pubkey,
    /// Base units that are still due.
    pub amount: u64,
    /// How many of their digits are behind the point: the mint's.
    pub decimals: u8,
    /// The mint.
    pub token: Pubkey,
    /// Keys that the wallet puts into the transfer, untouched, so that it is found by them. One is enough: the invoice's record. It
    /// follows from the terms, so that whoever has those finds the transfer with no list of ours, and it is part of every
    /// settlement too, so that one question to a node answers with all there is to the invoice.
    pub references: &'a [Pubkey],
    /// Who asks.
    pub label: Option<&'a str>,
    /// What for.
    pub message: Option<&'a str>,
}

impl fmt::Display for TransferRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "solana:{}?amount={}&spl-token={}", self.invoice, decimal(self.amount, self.decimals), self.token)?;
        for reference in self.references {
            write!(f, "&reference={reference}")?;
        }
        for (name, text) in [("label", self.label), ("message", self.message)] {
            if let Some(text) = text {
                write!(f, "&{name}=")?;
                percent_encoded(f, text)?;
            }
        }
        Ok(())
    }
}

/// In whole tokens: no exponent, no zero that says nothing, a digit before the point.
fn decimal(amount: u64, decimals: u8) -> String {
    let decimals = usize::from(decimals);
    let digits = format!("{amount:0>width$}", width = decimals + 1);
    let (whole, part) = digits.split_at(digits.len() - decimals);
    match part.trim_end_matches('0') {
        "" => whole.into(),
        part => format!("{whole}.{part}"),
    }
}

/// Everything but RFC 3986's unreserved characters.
fn percent_encoded(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => write!(f, "{}", char::from(byte))?,
            _ => write!(f, "%{byte:02X}")?,
        }
    }
    Ok(())
}
