//! What a provider or a bank says that came in: the second witness beside our ledger.

use crate::Error;
use domain::money::{Currency, Units};
use std::future::Future;
use std::path::PathBuf;

/// What a statement is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its id with us.
    pub id: String,
    /// Who collected it: `tilli`, `circle`, a bank.
    pub provider: String,
    /// What the provider calls it.
    pub reference: String,
}

/// What a statement shows of a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// It came in, this much of it: before the provider's own fees.
    In(Units),
    /// It came in and was taken back, in part or whole.
    TakenBack,
    /// Nothing of it.
    Nothing,
}

/// A statement of a provider, asked for by the attestor itself: never a copy that another service made.
pub trait Statement: Send + Sync {
    /// What it shows of a receipt now. An error is no answer, and nothing is signed on one.
    fn shows(&self, receipt: &Receipt) -> impl Future<Output = Result<Shown, Error>> + Send;
}

/// A bank's export as CSV, read anew each time: `reference,amount` with a heading, amounts in dollars. What was taken back
/// stands there with a minus.
#[derive(Clone, Debug)]
pub struct CsvFile {
    /// Where it is.
    pub path: PathBuf,
}

impl Statement for CsvFile {
    async fn shows(&self, receipt: &Receipt) -> Result<Shown, Error> {
        let failed = |why: String| Error::Statement(format!("{}: {why}", self.path.display()));
        let text = tokio::fs::read_to_string(&self.path).await.map_err(|error| failed(error.to_string()))?;
        shown_in(&text, &receipt.reference).map_err(failed)
    }
}

/// What a CSV says of a reference: the sum of its lines.
fn shown_in(text: &str, reference: &str) -> Result<Shown, String> {
    let mut lines = text.lines().enumerate();
    match lines.next() {
        Some((_, heading)) if heading.trim() == "reference,amount" => {}
        _ => return Err("line 1: the heading has to be 'reference,amount'".to_owned()),
    }
    let (mut came, mut went) = (0_u128, false);
    for (at, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |why: String| format!("line {}: {why}", at + 1);
        let (name, amount) = line.split_once(',').ok_or_else(|| wrong("two fields are wanted".to_owned()))?;
        let (name, amount) = (name.trim(), amount.trim());
        let (sign, digits) = amount.strip_prefix('-').map_or((false, amount), |digits| (true, digits));
        let units = Units::parse(digits, Currency::Usdc).map_err(|error| wrong(error.to_string()))?;
        if name == reference {
            went |= sign;
            came = came.saturating_add(if sign { 0 } else { units.0 });
        }
    }
    Ok(match (went, came) {
        (true, _) => Shown::TakenBack,
        (false, 0) => Shown::Nothing,
        (false, came) => Shown::In(Units(came)),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_says_what_came_in_and_what_was_taken_back() {
        let text = "reference,amount\nA-1,150.00\nA-2, 20\nA-2,5.5\nA-3,10\nA-3,-10\n";
        for (reference, shown) in [
            ("A-1", Shown::In(Units(150_000_000))),
            ("A-2", Shown::In(Units(25_500_000))),
            ("A-3", Shown::TakenBack),
            ("A-4", Shown::Nothing),
            ("A", Shown::Nothing),
        ] {
            assert_eq!(shown_in(text, reference), Ok(shown), "{reference}");
        }
    }

    #[test]
    fn a_statement_that_cannot_be_read_says_where() {
        for (text, why) in [
            ("", "line 1"),
            ("id,amount\n", "line 1"),
            ("reference,amount\nA-1\n", "line 2: two fields"),
            ("reference,amount\nA-1,1.5\nA-2,lots\n", "line 3: 'lots'"),
            ("reference,amount\nA-1,1e3\n", "line 2"),
        ] {
            assert!(shown_in(text, "A-1").unwrap_err().contains(why), "{text}");
        }
    }
}
