//! NACHA files: ACH credits to bank accounts, and what comes back.
//!
//! Records of 94 characters: file (1), batch (5), entries (6) with at most one addendum (7), end of the batch (8), end of the
//! file (9), filled up with nines to blocks of ten. People's accounts are in a `PPD` batch, companies' in a `CCD` one. Credits
//! only: our own bank takes the total from our account.
//!
//! What comes back names the trace number of the entry it is about. A return (addendum 99) means that the money is back; a notice
//! (98) that it has arrived and that the account's details should be changed.

use super::outbox::BankFile;
use super::{Entry, WithdrawalId};
use crate::Error;
use crate::bank::{AccountKind, Owner, RoutingNumber, banking_days_after};
use ring::digest;
use serde::Deserialize;
use std::collections::HashSet;
use std::fmt;
use time::{Date, PrimitiveDateTime};
use uuid::Uuid;

const WIDTH: usize = 94;
const BLOCK: usize = 10;
/// Credits only.
const SERVICE_CLASS: &str = "220";
/// The most an entry can be for, in cents: ten digits.
const MAX_ENTRY: u64 = 9_999_999_999;
/// The most a batch can be for, in cents: twelve digits.
const MAX_TOTAL: u64 = 999_999_999_999;
const MAX_SEQUENCE: u32 = 9_999_999;

/// Who we are to our bank. All of it is agreed with the bank.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Originator {
    /// Routing number of whom the file is for: nine digits.
    pub destination: String,
    /// Its name, up to 23 characters.
    pub destination_name: String,
    /// Our number as a sender: ten digits, or nine with a space before them.
    pub origin: String,
    /// Our name as a sender, up to 23 characters.
    pub origin_name: String,
    /// The name that receivers see, up to 16 characters.
    pub company_name: String,
    /// Our number as a company: ten characters.
    pub company_id: String,
    /// Routing number of our bank: nine digits.
    pub bank: String,
    /// What receivers are told it is for, up to 10 characters.
    pub description: String,
}

impl Originator {
    /// Makes sure that all of it fits into a file.
    pub fn check(&self) -> Result<(), Error> {
        let wrong = |key: &str, why: &str| Err(Error::Configuration(format!("nacha.{key}: {why}")));
        for (key, value) in [("destination", &self.destination), ("bank", &self.bank)] {
            if let Err(error) = RoutingNumber::parse(value) {
                return wrong(key, &error.to_string());
            }
        }
        for (key, value, most) in [
            ("destination_name", &self.destination_name, 23),
            ("origin_name", &self.origin_name, 23),
            ("company_name", &self.company_name, 16),
            ("description", &self.description, 10),
        ] {
            let fits = (1..=most).contains(&value.len()) && value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
            if !fits || value.trim().is_empty() {
                return wrong(key, &format!("it has 1 to {most} plain characters"));
            }
        }
        let ten = |value: &str| value.len() == 10 && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b' ');
        if !ten(&self.origin) {
            return wrong("origin", "it has ten characters, as agreed with the bank");
        }
        if !ten(&self.company_id) || self.company_id.trim().len() < 9 {
            return wrong("company_id", "it has ten characters, as agreed with the bank");
        }
        Ok(())
    }
}

/// A file to write. All of it is drawn once and stored before, so that the file is the same whenever it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Its id: the file is named after it.
    pub id: Uuid,
    /// When it was made, by the clock of our bank. The money is there on the banking day after.
    pub created: PrimitiveDateTime,
    /// Tells files of one day apart: A to Z, 0 to 9.
    pub modifier: char,
    /// The first trace number's last seven digits; the entries count on from there. Each number is used once.
    pub first_trace: u32,
    /// What is paid.
    pub entries: Vec<Entry>,
}

/// The number of an entry: eight digits of the bank it was sent by, seven of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceNumber(u64);

impl TraceNumber {
    /// Parses fifteen digits.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 15 && all_digits(text)).then(|| text.parse().ok().map(Self)).flatten()
    }
}

impl fmt::Display for TraceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:015}", self.0)
    }
}

/// A file that is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AchFile {
    /// To be put into the outbox.
    pub file: BankFile,
    /// Which trace number which withdrawal has: store it before the file is sent, returns name nothing else.
    pub traces: Vec<(WithdrawalId, TraceNumber)>,
    /// The banking day on which the money should be there.
    pub effective: Date,
    /// What our bank will take from our account, in cents.
    pub total_cents: u64,
}

/// Fields of a record, each of its width.
struct Record(String);

impl Record {
    fn new(kind: &str) -> Self {
        Self(kind.to_owned())
    }

    /// Text, from the left. What is no plain character becomes a space; what is too long is cut.
    fn text(mut self, text: &str, width: usize) -> Self {
        let plain = text.chars().map(|c| if matches!(c, ' '..='~') { c.to_ascii_uppercase() } else { ' ' });
        let plain: String = plain.take(width).collect();
        self.0.push_str(&format!("{plain:<width$}"));
        self
    }

    /// A number, from the right, its last digits if there are too many.
    fn number(mut self, number: u64, width: usize) -> Self {
        let digits = format!("{number:0width$}");
        self.0.push_str(digits.get(digits.len() - width..).unwrap_or_default());
        self
    }
}

/// Writes the file of a batch.
pub fn write(originator: &Originator, batch: &Batch) -> Result<AchFile, Error> {
    originator.check()?;
    check(batch)?;
    let bank = originator.bank.get(..8).unwrap_or_default();
    let bank_number: u64 =
        bank.parse().map_err(|_| Error::Configuration("nacha.bank: it has nine digits".to_owned()))?;
    let effective = banking_days_after(batch.created.date(), 1);
    let created = six_digits(batch.created.date());
    let mut records = vec![
        Record::new("101")
            .text(&format!(" {}", originator.destination), 10)
            .text(&originator.origin, 10)
            .text(&created, 6)
            .number(u64::from(batch.created.hour()), 2)
            .number(u64::from(batch.created.minute()), 2)
            .text(&batch.modifier.to_string(), 1)
            .text("094101", 6)
            .text(&originator.destination_name, 23)
            .text(&originator.origin_name, 23)
            .text("", 8),
    ];
    let mut traces = Vec::new();
    let mut sequence = u64::from(batch.first_trace);
    let (mut batches, mut entries, mut hash, mut total) = (0, 0, 0, 0);
    for owner in [Owner::Consumer, Owner::Company] {
        let of_owner: Vec<&Entry> = batch.entries.iter().filter(|entry| entry.to.owner == owner).collect();
        if of_owner.is_empty() {
            continue;
        }
        batches += 1;
        records.push(
            Record::new("5")
                .text(SERVICE_CLASS, 3)
                .text(&originator.company_name, 16)
                .text("", 20)
                .text(&originator.company_id, 10)
                .text(if owner == Owner::Consumer { "PPD" } else { "CCD" }, 3)
                .text(&originator.description, 10)
                .text(&created, 6)
                .text(&six_digits(effective), 6)
                .text("", 3)
                .text("1", 1)
                .text(bank, 8)
                .number(batches, 7),
        );
        let (mut batch_hash, mut batch_total) = (0, 0);
        for entry in &of_owner {
            let trace = TraceNumber(bank_number * 10_000_000 + sequence);
            let routing = entry.to.routing.as_str();
            records.push(
                Record::new("6")
                    .text(if entry.to.kind == AccountKind::Checking { "22" } else { "32" }, 2)
                    .text(routing, 9)
                    .text(entry.to.account.expose(), 17)
                    .number(entry.cents, 10)
                    .text(&individual(entry.id), 15)
                    .text(entry.to.holder.as_str(), 22)
                    .text("", 2)
                    .text("0", 1)
                    .text(&trace.to_string(), 15),
            );
            batch_hash += entry.to.routing.bank().parse::<u64>().unwrap_or_default();
            batch_total += entry.cents;
            traces.push((entry.id, trace));
            sequence += 1;
        }
        let count = u64::try_from(of_owner.len()).unwrap_or(u64::MAX);
        records.push(
            Record::new("8")
                .text(SERVICE_CLASS, 3)
                .number(count, 6)
                .number(batch_hash, 10)
                .number(0, 12)
                .number(batch_total, 12)
                .text(&originator.company_id, 10)
                .text("", 19)
                .text("", 6)
                .text(bank, 8)
                .number(batches, 7),
        );
        entries += count;
        hash += batch_hash;
        total += batch_total;
    }
    let blocks = (records.len() + 1).div_ceil(BLOCK);
    records.push(
        Record::new("9")
            .number(batches, 6)
            .number(u64::try_from(blocks).unwrap_or(u64::MAX), 6)
            .number(entries, 8)
            .number(hash, 10)
            .number(0, 12)
            .number(total, 12)
            .text("", 39),
    );
    let mut text: String = records.iter().map(|record| format!("{}\n", record.0)).collect();
    for _ in records.len()..blocks * BLOCK {
        text.push_str(&"9".repeat(WIDTH));
        text.push('\n');
    }
    let file = BankFile {
        name: format!("payouts-{}.ach", batch.id),
        bytes: text.into_bytes(),
        withdrawals: traces.iter().map(|(id, _)| *id).collect(),
    };
    Ok(AchFile { file, traces, effective, total_cents: total })
}

fn check(batch: &Batch) -> Result<(), Error> {
    let wrong = |why: String| Err(Error::Input(why));
    if batch.entries.is_empty() {
        return wrong("a file without payments".to_owned());
    }
    if batch.entries.len() > 999_999 {
        return wrong("more than 999,999 payments in one file".to_owned());
    }
    if !batch.modifier.is_ascii_uppercase() && !batch.modifier.is_ascii_digit() {
        return wrong("the modifier is A to Z or 0 to 9".to_owned());
    }
    let last = u64::from(batch.first_trace) + u64::try_from(batch.entries.len()).unwrap_or(u64::MAX) - 1;
    if batch.first_trace == 0 || last > u64::from(MAX_SEQUENCE) {
        return wrong("trace numbers end at 9,999,999: begin again at 1, on another day".to_owned());
    }
    let mut seen = HashSet::new();
    let mut total: u64 = 0;
    for entry in &batch.entries {
        if !seen.insert(entry.id) {
            return wrong(format!("withdrawal {} is there twice", entry.id));
        }
        if entry.cents == 0 || entry.cents > MAX_ENTRY {
            return wrong(format!("withdrawal {}: an ACH payment is for 0.01 to 99,999,999.99", entry.id));
        }
        total = total.saturating_add(entry.cents);
    }
    if total > MAX_TOTAL {
        return wrong("a file is for 9,999,999,999.99 at most: make two".to_owned());
    }
    Ok(())
}

/// What receivers and returns call a withdrawal: fifteen digits of its id. For people; what counts is the trace number.
fn individual(id: WithdrawalId) -> String {
    let digits = id.0.simple().to_string();
    digits.get(digits.len().saturating_sub(15)..).unwrap_or_default().to_owned()
}

/// `261123`.
fn six_digits(date: Date) -> String {
    format!("{:02}{:02}{:02}", date.year() % 100, u8::from(date.month()), date.day())
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Why an ACH payment came back: an `R` and two digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReturnCode([u8; 3]);

/// What to change about an account: a `C` and two digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChangeCode([u8; 3]);

fn code(letter: u8, text: &str) -> Option<[u8; 3]> {
    let code: [u8; 3] = text.as_bytes().try_into().ok()?;
    matches!(code, [first, b'0'..=b'9', b'0'..=b'9'] if first == letter).then_some(code)
}

macro_rules! code_text {
    ($name:ident, $letter:literal) => {
        impl $name {
            /// Parses one.
            pub fn parse(text: &str) -> Option<Self> {
                code($letter, text).map(Self)
            }

            /// It as text.
            pub fn as_str(&self) -> &str {
                std::str::from_utf8(&self.0).unwrap_or_default()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
code_text!(ReturnCode, b'R');
code_text!(ChangeCode, b'C');

/// Whether it was a payment to the account or one from it that an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Money to the account: what we pay out.
    Credit,
    /// Money from the account.
    Debit,
}

/// What came of an entry we have sent. The same one in two files has the same id.
#[derive(Clone, PartialEq, Eq)]
pub struct Notice {
    /// SHA-256 over trace numbers, code and amount.
    pub id: [u8; 32],
    /// Which entry it is about.
    pub trace: TraceNumber,
    /// What it says.
    pub kind: NoticeKind,
    /// Which way the entry went.
    pub side: Side,
}

/// What came of an entry.
#[derive(Clone, PartialEq, Eq)]
pub enum NoticeKind {
    /// The money is back.
    Returned {
        /// Why.
        code: ReturnCode,
        /// How much, in cents.
        cents: u64,
        /// The other bank's words.
        words: String,
    },
    /// The money has arrived; the account should be called something else from now on.
    Change {
        /// What is to be changed.
        code: ChangeCode,
        /// To what: may be an account number.
        corrected: crate::Secret,
    },
}

impl fmt::Debug for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            NoticeKind::Returned { code, cents, .. } => write!(f, "Notice({} {code} {cents})", self.trace),
            NoticeKind::Change { code, .. } => write!(f, "Notice({} {code})", self.trace),
        }
    }
}

/// A file, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// Its entries, in order.
    pub entries: Vec<FileEntry>,
}

/// An entry of a file.
#[derive(Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// Which line of the file it is.
    pub line: usize,
    /// The kind of its batch: `PPD`, `CCD`, `COR`.
    pub class: String,
    /// The banking day of its batch, as six digits.
    pub effective: String,
    /// Two digits: what is done to what kind of account.
    pub transaction_code: u8,
    /// The bank.
    pub routing: String,
    /// The account.
    pub account: crate::Secret,
    /// How much, in cents.
    pub cents: u64,
    /// What the sender calls the receiver.
    pub individual: String,
    /// The receiver's name.
    pub name: String,
    /// Its own number.
    pub trace: TraceNumber,
    /// What follows it: the record as it is.
    addendum: Option<(usize, String)>,
}

impl fmt::Debug for FileEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileEntry(line {}, {} {} cents)", self.line, self.trace, self.cents)
    }
}

impl FileEntry {
    /// Which way it goes.
    pub fn side(&self) -> Side {
        if self.transaction_code % 10 < 5 { Side::Credit } else { Side::Debit }
    }
}

/// What the bank says came of our entries: returns and notices of change. Other entries are passed over, they are not ours.
pub fn notices(file: &str, bytes: &[u8]) -> Result<Vec<Notice>, Error> {
    let mut notices: Vec<Notice> = Vec::new();
    for entry in read(file, bytes)?.entries {
        let Some((line, addendum)) = &entry.addendum else { continue };
        let at = Line { file, number: *line, text: addendum };
        let kind = match at.part(1, 2) {
            "99" => NoticeKind::Returned {
                code: ReturnCode::parse(at.part(3, 3))
                    .ok_or_else(|| at.wrong("return code", "there is no R and two digits"))?,
                cents: entry.cents,
                words: crate::card_number::masked(at.part(35, 44).trim()),
            },
            "98" => NoticeKind::Change {
                code: ChangeCode::parse(at.part(3, 3))
                    .ok_or_else(|| at.wrong("change code", "there is no C and two digits"))?,
                corrected: crate::Secret::new(at.part(35, 29).trim()),
            },
            _ => continue,
        };
        let trace = TraceNumber::parse(at.part(6, 15))
            .ok_or_else(|| at.wrong("original trace number", "there are no fifteen digits"))?;
        let mut context = digest::Context::new(&digest::SHA256);
        for part in [at.part(1, 20), at.part(79, 15), &entry.trace.to_string(), &entry.cents.to_string()] {
            context.update(part.as_bytes());
            context.update(b"|");
        }
        let mut id = [0; 32];
        id.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
        if notices.iter().all(|notice| notice.id != id) {
            notices.push(Notice { id, trace, kind, side: entry.side() });
        }
    }
    Ok(notices)
}

/// A record and where it is.
#[derive(Clone, Copy)]
struct Line<'a> {
    file: &'a str,
    number: usize,
    text: &'a str,
}

impl<'a> Line<'a> {
    fn part(&self, from: usize, width: usize) -> &'a str {
        self.text.get(from..from + width).unwrap_or_default()
    }

    fn wrong(&self, field: &str, why: impl Into<String>) -> Error {
        Error::File {
            file: self.file.to_owned(),
            line: self.number,
            column: field.to_owned(),
            why: why.into(),
            fix: "Ask the bank for the file again; nothing of this one was used".to_owned(),
        }
    }

    fn number(&self, field: &str, from: usize, width: usize) -> Result<u64, Error> {
        let digits = self.part(from, width);
        match digits.parse() {
            Ok(number) if all_digits(digits) => Ok(number),
            _ => Err(self.wrong(field, format!("'{digits}' is no number"))),
        }
    }

    /// A total that is what the entries give.
    fn total(&self, field: &str, from: usize, width: usize, is: u64) -> Result<(), Error> {
        let says = self.number(field, from, width)?;
        if says == is {
            return Ok(());
        }
        Err(self.wrong(field, format!("it says {says}, but the entries give {is}")))
    }
}

/// What control records add up.
#[derive(Clone, Copy, Default)]
struct Totals {
    entries: u64,
    hash: u64,
    debit: u64,
    credit: u64,
}

impl Totals {
    fn add(&mut self, other: Self) {
        self.entries += other.entries;
        self.hash += other.hash;
        self.debit += other.debit;
        self.credit += other.credit;
    }

    fn check(&self, line: Line<'_>, from: usize, count_width: usize) -> Result<(), Error> {
        line.total("count of entries", from, count_width, self.entries)?;
        line.total("hash of entries", from + count_width, 10, self.hash % 10_000_000_000)?;
        line.total("total of debits", from + count_width + 10, 12, self.debit)?;
        line.total("total of credits", from + count_width + 22, 12, self.credit)
    }
}

/// Reads a file, ours or the bank's, and checks its order and totals. It is read whole or not at all.
pub fn read(file: &str, bytes: &[u8]) -> Result<Contents, Error> {
    let nowhere = Line { file, number: 1, text: "" };
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.is_ascii());
    let text = text.ok_or_else(|| nowhere.wrong("file", "there are other than plain characters in it"))?;
    let lines: Vec<Line<'_>> = text
        .lines()
        .enumerate()
        .map(|(index, text)| Line { file, number: index + 1, text })
        .filter(|line| !line.text.is_empty())
        .collect();
    if let Some(line) = lines.iter().find(|line| line.text.len() != WIDTH) {
        return Err(line.wrong("record", format!("it has {} characters and not {WIDTH}", line.text.len())));
    }
    let mut lines = lines.into_iter();
    let first = lines.next().ok_or_else(|| nowhere.wrong("file", "it is empty"))?;
    if first.part(0, 1) != "1" {
        return Err(first.wrong("record", "a file begins with a record of type 1"));
    }
    let mut entries: Vec<FileEntry> = Vec::new();
    let (mut all, mut batches) = (Totals::default(), 0);
    let mut batch: Option<(Line<'_>, Totals)> = None;
    let mut last = first;
    let mut ended = false;
    for line in lines {
        match (line.part(0, 1), &mut batch) {
            _ if ended => {
                if !line.text.bytes().all(|byte| byte == b'9') {
                    return Err(line.wrong("record", "something follows the end of the file"));
                }
            }
            ("5", None) => batch = Some((line, Totals::default())),
            ("6", Some((head, totals))) => {
                let entry = entry(*head, line)?;
                totals.entries += 1;
                totals.hash += line.number("bank", 3, 8)?;
                match entry.side() {
                    Side::Credit => totals.credit += entry.cents,
                    Side::Debit => totals.debit += entry.cents,
                }
                entries.push(entry);
            }
            ("7", Some((_, totals))) if last.part(0, 1) == "6" && last.part(78, 1) == "1" => {
                totals.entries += 1;
                if let Some(entry) = entries.last_mut() {
                    entry.addendum = Some((line.number, line.text.to_owned()));
                }
            }
            ("8", Some((_, totals))) => {
                totals.check(line, 4, 6)?;
                all.add(*totals);
                batches += 1;
                batch = None;
            }
            ("9", None) => {
                line.total("count of batches", 1, 6, batches)?;
                all.check(line, 13, 8)?;
                ended = true;
            }
            (kind, _) => return Err(line.wrong("record", format!("a record of type {kind} has no place here"))),
        }
        last = line;
    }
    if !ended {
        return Err(last.wrong("record", "the file ends here, without its last record: it was cut off"));
    }
    Ok(Contents { entries })
}

fn entry(head: Line<'_>, line: Line<'_>) -> Result<FileEntry, Error> {
    let transaction_code = line.number("transaction code", 1, 2)?;
    Ok(FileEntry {
        line: line.number,
        class: head.part(50, 3).to_owned(),
        effective: head.part(69, 6).to_owned(),
        transaction_code: u8::try_from(transaction_code).unwrap_or(u8::MAX),
        routing: line.part(3, 9).to_owned(),
        account: crate::Secret::new(line.part(12, 17).trim()),
        cents: line.number("amount", 29, 10)?,
        individual: line.part(39, 15).trim().to_owned(),
        name: line.part(54, 22).trim().to_owned(),
        trace: TraceNumber::parse(line.part(79, 15))
            .ok_or_else(|| line.wrong("trace number", "there are no fifteen digits"))?,
        addendum: None,
    })
}
