//! A file for a bank's upload page: one line per payment.

use super::Entry;
use super::outbox::BankFile;
use crate::bank::{AccountKind, Owner};
use crate::{Error, csv, money};
use std::collections::HashSet;
use time::Date;
use uuid::Uuid;

/// The heading.
pub const COLUMNS: &[&str] =
    &["withdrawal", "date", "amount", "routing_number", "account_number", "account_type", "owner", "name"];

/// The file of the batch `id`, to be paid on `on`. The same batch is the same bytes.
pub fn write(id: Uuid, on: Date, entries: &[Entry]) -> Result<BankFile, Error> {
    if entries.is_empty() {
        return Err(Error::Input("a file without payments".to_owned()));
    }
    let mut seen = HashSet::new();
    let mut text = csv::line(COLUMNS);
    for entry in entries {
        let name = entry.to.holder.as_str();
        if !seen.insert(entry.id) {
            return Err(Error::Input(format!("withdrawal {} is there twice", entry.id)));
        }
        // The bank's people open this with a spreadsheet, and a name that is a formula would be computed there.
        if name.starts_with(['=', '+', '-', '@']) {
            return Err(Error::Input(format!("withdrawal {}: a name cannot begin with = + - or @", entry.id)));
        }
        text.push_str(&csv::line(&[
            &entry.id.to_string(),
            &on.to_string(),
            &money::dollars(entry.cents),
            entry.to.routing.as_str(),
            entry.to.account.expose(),
            match entry.to.kind {
                AccountKind::Checking => "checking",
                AccountKind::Savings => "savings",
            },
            match entry.to.owner {
                Owner::Consumer => "person",
                Owner::Company => "company",
            },
            name,
        ]));
    }
    Ok(BankFile {
        name: format!("payouts-{id}.csv"),
        bytes: text.into_bytes(),
        withdrawals: entries.iter().map(|entry| entry.id).collect(),
    })
}
