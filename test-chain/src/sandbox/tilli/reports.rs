//! What the gateway and the bank say has moved. Their forms are assumed: each bank has its own.

use super::Shared;
use super::state::{PaidOut, dollars};
use axum::extract::{self, Query};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::sync::Arc;
use time::Date;
use time::macros::format_description;

type Sandbox = extract::State<Arc<Shared>>;

/// How the settlement report is written, in the words of our reader.
pub(super) const SETTLEMENT_TOML: &str = r#"dates = "iso"

[columns]
settled_on = "Settlement Date"
batch = "Batch"
kind = "Type"
reference = "Line Reference"
gross = "Gross"
fee = "Fee"
net = "Net"
transaction = "Transaction Id"
request = "Client Request Id"
return_code = "Return Code"
currency = "Currency"

[kinds]
SALE = "sale"
REFUND = "refund"
RETURN = "return"
DISPUTE = "chargeback_opened"
"DISPUTE WON" = "chargeback_won"
"DISPUTE LOST" = "chargeback_lost"
"CONV FEE" = "convenience_fee"
"#;

/// How the bank's statement is written, in the words of our reader.
pub(super) const BANK_TOML: &str = r#"dates = "us"

[columns]
value_date = "Date"
kind = "Type"
amount = "Amount"
bank_reference = "Bank Ref"
reference = "Customer Ref"
counterparty = "Name"
description = "Details"
return_code = "Return"
currency = "Ccy"

[kinds]
"WIRE CREDIT" = "wire_in"
"WIRE DEBIT" = "wire_out"
"ACH CREDIT" = "ach_credit"
"ACH DEBIT" = "ach_debit"
"ACH RETURN" = "ach_return"
"#;

/// From which day to which; without one, all.
#[derive(Debug, Deserialize)]
pub(super) struct Days {
    from: Option<String>,
    to: Option<String>,
}

impl Days {
    fn have(&self, day: Date) -> bool {
        let day = day.to_string();
        self.from.as_ref().is_none_or(|from| day >= *from) && self.to.as_ref().is_none_or(|to| day <= *to)
    }
}

/// `today`: up to which day it is whole.
fn csv(today: Date, lines: impl Iterator<Item = Vec<String>>) -> Response {
    let quoted = |cell: String| match cell.contains([',', '"', '\n']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell,
    };
    let text: String = lines.map(|line| line.into_iter().map(quoted).collect::<Vec<_>>().join(",") + "\r\n").collect();
    ([("content-type", "text/csv".to_owned()), ("statement-date", today.to_string())], text).into_response()
}

fn heading(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

pub(super) async fn settlement(extract::State(shared): Sandbox, Query(days): Query<Days>) -> Response {
    let state = shared.state();
    let head = heading(&[
        "Settlement Date",
        "Batch",
        "Type",
        "Line Reference",
        "Transaction Id",
        "Client Request Id",
        "Gross",
        "Fee",
        "Net",
        "Currency",
        "Return Code",
    ]);
    let lines = state.settled.iter().filter(|line| days.have(line.on)).map(|line| {
        vec![
            line.on.to_string(),
            line.batch.clone(),
            line.kind.to_owned(),
            line.reference.clone(),
            line.transaction.clone(),
            line.request.clone(),
            dollars(line.gross),
            dollars(line.fee),
            dollars(line.gross - line.fee),
            "USD".to_owned(),
            line.code.clone(),
        ]
    });
    csv(state.today, std::iter::once(head).chain(lines))
}

pub(super) async fn bank(extract::State(shared): Sandbox, Query(days): Query<Days>) -> Response {
    let state = shared.state();
    let head = heading(&["Date", "Type", "Amount", "Ccy", "Bank Ref", "Customer Ref", "Name", "Details", "Return"]);
    let lines = state.booked.iter().filter(|line| days.have(line.on)).map(|line| {
        let date = line.on.format(format_description!("[month]/[day]/[year]")).unwrap_or_default();
        vec![
            date,
            line.kind.to_owned(),
            dollars(line.cents),
            "USD".to_owned(),
            line.bank_reference.clone(),
            line.reference.clone(),
            line.name.clone(),
            line.details.clone(),
            line.code.clone(),
        ]
    });
    csv(state.today, std::iter::once(head).chain(lines))
}

/// What came back of our files, as a NACHA file of its own.
pub(super) async fn returns(extract::State(shared): Sandbox, Query(days): Query<Days>) -> Response {
    let state = shared.state();
    let back: Vec<(&PaidOut, &str)> = state
        .paid_out
        .iter()
        .filter(|paid| !paid.routing.is_empty())
        .filter_map(|paid| {
            let (on, code) = paid.returned.as_ref()?;
            days.have(*on).then_some((paid, code.as_str()))
        })
        .collect();
    if back.is_empty() {
        return StatusCode::NO_CONTENT.into_response();
    }
    let day = state.today.to_string().replace('-', "").split_off(2);
    let mut lines = vec![format!(
        "101 {:<9}{:<10}{day}0600A094101{:<23}{:<23}{:8}",
        "021300912", " 123456789", "OUR COMPANY", "SANDBOX BANK", ""
    )];
    let (mut entries, mut hash, mut total, mut batches) = (0, 0, 0, 0);
    for changes in [false, true] {
        let some: Vec<_> = back.iter().filter(|(_, code)| code.starts_with('C') == changes).collect();
        if some.is_empty() {
            continue;
        }
        batches += 1;
        let class = if changes { "COR" } else { "PPD" };
        lines.push(format!(
            "5220{:<16}{:20}{:<10}{class}{:<10}{day}{day}   1{:<8}{batches:07}",
            "SANDBOX BANK", "", "1234567890", "RETURN", "02130091"
        ));
        let (mut batch_hash, mut batch_total, mut count) = (0, 0, 0);
        for (paid, code) in some {
            count += 1;
            let kind = if paid.savings { "31" } else { "21" };
            let cents = if changes { 0 } else { paid.cents };
            let trace = format!("02130091{:07}", entries + count);
            let bank = paid.routing.get(..8).unwrap_or_default();
            lines.push(format!(
                "6{kind}{}{:<17}{cents:010}{:<15}{:<22}  1{trace}",
                paid.routing, paid.account, "", paid.name
            ));
            let words = if changes { format!("{:<29}{:15}", "123456789", "") } else { format!("{:<44}", "") };
            lines.push(format!("799{code}{:<15}      {bank}{words}{trace}", paid.reference));
            if changes && let Some(line) = lines.last_mut() {
                line.replace_range(1..3, "98");
            }
            batch_hash += bank.parse::<u64>().unwrap_or(0);
            batch_total += cents;
        }
        lines.push(format!(
            "8220{:06}{:010}{:012}{batch_total:012}{:<10}{:25}{:<8}{batches:07}",
            count * 2,
            batch_hash % 10_000_000_000,
            0,
            "1234567890",
            "",
            "02130091"
        ));
        entries += count;
        hash += batch_hash;
        total += batch_total;
    }
    let blocks = (lines.len() + 1).div_ceil(10);
    lines.push(format!(
        "9{batches:06}{blocks:06}{:08}{:010}{:012}{total:012}{:39}",
        entries * 2,
        hash % 10_000_000_000,
        0,
        ""
    ));
    while lines.len() < blocks * 10 {
        lines.push("9".repeat(94));
    }
    ([("content-type", "text/plain")], lines.join("\n") + "\n").into_response()
}
