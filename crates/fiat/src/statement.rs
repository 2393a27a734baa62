//! What has really moved: the gateway's settlement reports and the bank's statements, as comma-separated files.
//!
//! Money counts when it is here, and not when somebody has said that it will come. A file is read whole or not at all. Each line
//! has an id that is the same in every file it appears in, however often and with whatever around it ([`LineId`]).

use crate::money::Signed;
use crate::payout::nacha::ReturnCode;
use crate::{Error, card_number, csv};
use ring::digest;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use time::Date;
use time::macros::format_description;

/// What a line is known by.
///
/// Where the bank gives a line a reference of its own, the id is made of that, the kind and the side. So a line that is corrected
/// later has the same id and another [`digest`](Digest): a conflict for people to look at, not a second deposit. Where it gives
/// none, the id is made of all that the line says, and of how many equal lines precede it in the file: two equal deposits on one
/// day are two, in today's file and in that of the month, as long as files hold whole days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LineId(pub [u8; 32]);

/// What a line says, as a hash. Two lines with one [`LineId`] are the same if this is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for LineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// How a file is written, where it is not the usual way.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Format {
    /// What separates cells.
    pub separator: char,
    /// How dates are written.
    pub dates: Dates,
    /// What the columns are called, by our names ([`SETTLEMENT_COLUMNS`], [`BANK_COLUMNS`]). Those that are not here have our names.
    pub columns: BTreeMap<String, String>,
    /// What their words in the column `kind` mean, by our words ([`SettlementKind`], [`BankKind`]): `{ "SALE" = "sale" }`. Words that
    /// are not here are taken for ours.
    pub kinds: BTreeMap<String, String>,
}

impl Default for Format {
    fn default() -> Self {
        Self { separator: ',', dates: Dates::Iso, columns: BTreeMap::new(), kinds: BTreeMap::new() }
    }
}

/// How dates are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dates {
    /// `2026-11-23`.
    Iso,
    /// `11/23/2026`.
    Us,
}

/// The columns of a settlement report; the last four may be missing.
pub const SETTLEMENT_COLUMNS: &[&str] = &[
    "settled_on",
    "batch",
    "kind",
    "reference",
    "gross",
    "fee",
    "net",
    "transaction",
    "request",
    "return_code",
    "currency",
];

/// The columns of a bank statement; the last five may be missing.
pub const BANK_COLUMNS: &[&str] = &[
    "value_date",
    "kind",
    "amount",
    "bank_reference",
    "reference",
    "counterparty",
    "description",
    "return_code",
    "currency",
];

/// Declares the words of a column, with one for everything else.
macro_rules! kinds {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_meta])* $variant,)+
            /// A word we do not know, as it was written. The money is there all the same: it belongs into suspense.
            Other(String),
        }

        impl $name {
            /// Our word for it.
            pub fn as_str(&self) -> &str {
                match self { $(Self::$variant => $word,)+ Self::Other(word) => word }
            }

            const WORDS: &[&str] = &[$($word,)+];

            fn of(word: &str) -> Self {
                match word { $($word => Self::$variant,)+ _ => Self::Other(card_number::masked(word)) }
            }
        }
    };
}

kinds! {
    /// What a line of a settlement report is about.
    SettlementKind {
        /// A payment was collected.
        Sale = "sale",
        /// A payment was given back at our wish.
        Refund = "refund",
        /// An ACH debit came back.
        Return = "return",
        /// A customer disputes a card payment: taken from us until it is decided.
        ChargebackOpened = "chargeback_opened",
        /// It was decided for us: given back.
        ChargebackWon = "chargeback_won",
        /// It was decided against us: nothing moves any more.
        ChargebackLost = "chargeback_lost",
        /// What the gateway takes for itself, apart from payments.
        Fee = "fee",
        /// What a customer has paid to the gateway on top of a payment. Not ours: net is 0.
        ConvenienceFee = "convenience_fee",
    }
}

kinds! {
    /// What a line of a bank statement is.
    BankKind {
        /// A wire to us: final.
        WireIn = "wire_in",
        /// A wire of ours.
        WireOut = "wire_out",
        /// An ACH credit to us; the gateway's settlements are such.
        AchCredit = "ach_credit",
        /// An ACH debit: somebody took from us, or we paid out by a file.
        AchDebit = "ach_debit",
        /// An ACH payment of ours that came back to us, or one to us that went back; `return_code` says why.
        AchReturn = "ach_return",
        /// A chargeback that the bank itself books.
        Chargeback = "chargeback",
        /// A chargeback that was given back.
        ChargebackReversed = "chargeback_reversed",
        /// What the bank takes for itself.
        Fee = "fee",
    }
}

/// A line of a settlement report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettlementLine {
    /// What it is known by.
    pub id: LineId,
    /// What it says.
    pub digest: Digest,
    /// Where it was, for people.
    pub line: usize,
    /// When it was settled.
    pub settled_on: Date,
    /// The batch it was paid out in: the bank's statement has one line for all of it.
    pub batch: String,
    /// What it is about.
    pub kind: SettlementKind,
    /// The report's own reference of this line's event.
    pub reference: String,
    /// What the customer has paid, or got back.
    pub gross: Signed,
    /// What the gateway keeps of it: above 0 is what we lose.
    pub fee: Signed,
    /// What we get: gross less fee.
    pub net: Signed,
    /// The gateway's id of the payment.
    pub transaction: Option<String>,
    /// Our own id of the payment, as it was sent.
    pub request: Option<String>,
    /// Why an ACH debit came back.
    pub return_code: Option<ReturnCode>,
}

/// A line of a bank statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BankLine {
    /// What it is known by.
    pub id: LineId,
    /// What it says.
    pub digest: Digest,
    /// Where it was, for people.
    pub line: usize,
    /// From when it counts.
    pub value_date: Date,
    /// What it is.
    pub kind: BankKind,
    /// How much: above 0 comes to us.
    pub amount: Signed,
    /// The bank's own reference of this line.
    pub bank_reference: Option<String>,
    /// What the sender has written for us: an invoice's reference, a settlement batch. Whoever pays writes it, so it may be wrong.
    pub reference: Option<String>,
    /// Who is on the other side.
    pub counterparty: Option<String>,
    /// The bank's words.
    pub description: Option<String>,
    /// Why an ACH payment came back.
    pub return_code: Option<ReturnCode>,
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import<T> {
    /// Its lines, in order; none twice.
    pub lines: Vec<T>,
    /// How many were left out because the file has them above already, under the same reference and saying the same.
    pub repeated: usize,
}

/// Reads a settlement report of `source`: our own name for whose it is, the same every time, since ids are made of it.
pub fn settlement(source: &str, file: &str, bytes: &[u8], format: &Format) -> Result<Import<SettlementLine>, Error> {
    let table = Table::read(file, bytes, format, SETTLEMENT_COLUMNS, 7, SettlementKind::WORDS)?;
    let mut ids = Ids::new("settlement", source);
    for cells in table.rows() {
        let kind = SettlementKind::of(cells.kind()?);
        let (gross, fee, net) = (cells.amount("gross")?, cells.amount("fee")?, cells.amount("net")?);
        if gross.0 - fee.0 != net.0 {
            let why = format!("net is {net}, but gross {gross} less fee {fee} is {}", Signed(gross.0 - fee.0));
            return Err(cells.wrong("net", why, "Ask the gateway for a right report; nothing of this one was used"));
        }
        let reference = cells.needed("reference")?.to_owned();
        let settled_on = cells.date("settled_on")?;
        let batch = cells.needed("batch")?.to_owned();
        let (transaction, request) = (cells.optional("transaction"), cells.optional("request"));
        let says = [
            settled_on.to_string(),
            batch.clone(),
            gross.to_string(),
            net.to_string(),
            transaction.clone().unwrap_or_default(),
            request.clone().unwrap_or_default(),
        ];
        let return_code = cells.return_code()?;
        let line = cells.row.line;
        ids.add(&cells, kind.as_str(), net, Some(&reference), &says, |id, digest| SettlementLine {
            id,
            digest,
            line,
            settled_on,
            batch,
            kind: kind.clone(),
            reference: reference.clone(),
            gross,
            fee,
            net,
            transaction,
            request,
            return_code,
        })?;
    }
    Ok(ids.done())
}

/// Reads a statement of `source`: our own name of the bank account, the same every time, since ids are made of it.
pub fn bank(source: &str, file: &str, bytes: &[u8], format: &Format) -> Result<Import<BankLine>, Error> {
    let table = Table::read(file, bytes, format, BANK_COLUMNS, 4, BankKind::WORDS)?;
    let mut ids = Ids::new("bank", source);
    for cells in table.rows() {
        let kind = BankKind::of(cells.kind()?);
        let amount = cells.amount("amount")?;
        let value_date = cells.date("value_date")?;
        let bank_reference = cells.optional("bank_reference");
        let reference = cells.optional("reference");
        let counterparty = cells.optional("counterparty").map(|text| card_number::masked(&text));
        let says = [
            value_date.to_string(),
            amount.to_string(),
            reference.clone().unwrap_or_default(),
            counterparty.clone().unwrap_or_default(),
        ];
        let description = cells.optional("description").map(|text| card_number::masked(&text));
        let return_code = cells.return_code()?;
        let line = cells.row.line;
        ids.add(&cells, kind.as_str(), amount, bank_reference.as_deref(), &says, |id, digest| BankLine {
            id,
            digest,
            line,
            value_date,
            kind: kind.clone(),
            amount,
            bank_reference: bank_reference.clone(),
            reference,
            counterparty,
            description,
            return_code,
        })?;
    }
    Ok(ids.done())
}

/// The lines of a file, with their ids.
struct Ids<'a, T> {
    report: &'a str,
    source: &'a str,
    /// By id: the digest, and the line.
    seen: HashMap<LineId, (Digest, usize)>,
    /// How many lines without a reference say this.
    equal: HashMap<Digest, usize>,
    lines: Vec<T>,
    repeated: usize,
}

impl<'a, T> Ids<'a, T> {
    fn new(report: &'a str, source: &'a str) -> Self {
        Self { report, source, seen: HashMap::new(), equal: HashMap::new(), lines: Vec::new(), repeated: 0 }
    }

    fn add(
        &mut self,
        cells: &Cells<'_>,
        kind: &str,
        amount: Signed,
        own_reference: Option<&str>,
        says: &[String],
        line: impl FnOnce(LineId, Digest) -> T,
    ) -> Result<(), Error> {
        let side = if amount.0 < 0 { "out" } else { "in" };
        let mut parts = vec![self.report, self.source, kind, side];
        let digest = Digest(hash(parts.iter().copied().chain(says.iter().map(String::as_str))));
        let nth;
        match own_reference {
            Some(reference) => parts.extend(["reference", reference]),
            None => {
                let count = self.equal.entry(digest).or_insert(0);
                *count += 1;
                nth = count.to_string();
                parts.push("equal");
                parts.extend(says.iter().map(String::as_str));
                parts.push(&nth);
            }
        }
        let id = LineId(hash(parts.into_iter()));
        match self.seen.get(&id) {
            None => {
                self.seen.insert(id, (digest, cells.row.line));
                self.lines.push(line(id, digest));
                Ok(())
            }
            Some((earlier, _)) if *earlier == digest => {
                self.repeated += 1;
                Ok(())
            }
            Some((_, at)) => Err(cells.wrong(
                if self.report == "bank" { "bank_reference" } else { "reference" },
                format!("line {at} has the same reference and kind and says something else"),
                "Ask who made the file which of them is right; nothing of it was used",
            )),
        }
    }

    fn done(self) -> Import<T> {
        Import { lines: self.lines, repeated: self.repeated }
    }
}

/// SHA-256 over the parts, each with its length before it.
fn hash<'a>(parts: impl Iterator<Item = &'a str>) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(part.as_bytes());
    }
    let mut hash = [0; 32];
    hash.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
    hash
}

/// A file whose heading is understood.
struct Table<'a> {
    file: &'a str,
    format: &'a Format,
    /// Where our columns are, and what the file calls them.
    places: HashMap<&'static str, (usize, String)>,
    rows: Vec<csv::Row>,
}

impl<'a> Table<'a> {
    /// The first `needed` of `columns` must be there.
    fn read(
        file: &'a str,
        bytes: &[u8],
        format: &'a Format,
        columns: &[&'static str],
        needed: usize,
        kinds: &[&str],
    ) -> Result<Self, Error> {
        if let Some(unknown) = format.columns.keys().find(|column| !columns.contains(&column.as_str())) {
            let known = columns.join(", ");
            return Err(Error::Configuration(format!("columns.{unknown}: there is no such column; there is {known}")));
        }
        if let Some((word, kind)) = format.kinds.iter().find(|(_, kind)| !kinds.contains(&kind.as_str())) {
            let known = kinds.join(", ");
            return Err(Error::Configuration(format!("kinds.{word}: there is no kind '{kind}'; there is {known}")));
        }
        let (head, rows) = csv::read(file, bytes, format.separator)?;
        let mut places = HashMap::new();
        for (place, &column) in columns.iter().enumerate() {
            let name = format.columns.get(column).map_or(column, String::as_str);
            let mut found = head.cells.iter().enumerate().filter(|(_, cell)| cell.trim().eq_ignore_ascii_case(name));
            let wrong = |why: &str| Error::File {
                file: file.to_owned(),
                line: head.line,
                column: format!("column '{name}'"),
                why: why.to_owned(),
                fix: format!("Export it with this column, or name the right one in columns.{column}"),
            };
            match (found.next(), found.next()) {
                (Some((at, _)), None) => {
                    places.insert(column, (at, name.to_owned()));
                }
                (Some(_), Some(_)) => return Err(wrong("there are two of them")),
                (None, _) if place < needed => return Err(wrong("it is missing")),
                (None, _) => {}
            }
        }
        Ok(Self { file, format, places, rows })
    }

    fn rows(&self) -> impl Iterator<Item = Cells<'_>> {
        self.rows.iter().map(|row| Cells { table: self, row })
    }
}

/// A row whose cells are asked for by our names.
struct Cells<'a> {
    table: &'a Table<'a>,
    row: &'a csv::Row,
}

impl<'a> Cells<'a> {
    fn wrong(&self, column: &str, why: impl Into<String>, fix: &str) -> Error {
        let name = self.table.places.get(column).map_or(column, |(_, name)| name.as_str());
        Error::File {
            file: self.table.file.to_owned(),
            line: self.row.line,
            column: format!("column '{name}'"),
            why: why.into(),
            fix: fix.to_owned(),
        }
    }

    fn cell(&self, column: &str) -> &'a str {
        let place = self.table.places.get(column).map(|(place, _)| *place);
        place.and_then(|place| self.row.cells.get(place)).map_or("", |cell| cell.trim())
    }

    fn optional(&self, column: &str) -> Option<String> {
        Some(self.cell(column)).filter(|cell| !cell.is_empty()).map(ToOwned::to_owned)
    }

    fn needed(&self, column: &str) -> Result<&'a str, Error> {
        match self.cell(column) {
            "" => Err(self.wrong(column, "it is empty", "Each line needs one; ask who made the file")),
            cell => Ok(cell),
        }
    }

    /// The word in the column `kind`, as one of ours where the format says so.
    fn kind(&self) -> Result<&'a str, Error> {
        let word = self.needed("kind")?;
        Ok(self.table.format.kinds.get(word).map_or(word, String::as_str))
    }

    /// Dollars. A currency that is not the dollar is refused here.
    fn amount(&self, column: &str) -> Result<Signed, Error> {
        let currency = self.cell("currency");
        if !currency.is_empty() && currency != "USD" {
            let why = format!("'{currency}' is not USD");
            return Err(self.wrong("currency", why, "Import statements of dollar accounts only"));
        }
        let cell = self.needed(column)?;
        Signed::parse(cell).ok_or_else(|| {
            let why = format!("'{}' is no amount", cell.chars().take(40).collect::<String>());
            self.wrong(column, why, "Write digits and at most one point, like 150 or -150.25, without commas or signs")
        })
    }

    fn date(&self, column: &str) -> Result<Date, Error> {
        let cell = self.needed(column)?;
        let (date, like) = match self.table.format.dates {
            Dates::Iso => (Date::parse(cell, format_description!("[year]-[month]-[day]")), "2026-11-23"),
            Dates::Us => (Date::parse(cell, format_description!("[month]/[day]/[year]")), "11/23/2026"),
        };
        date.map_err(|_| {
            let why = format!("'{}' is no date", cell.chars().take(40).collect::<String>());
            self.wrong(column, why, &format!("Write it like {like}, or say in `dates` how they are written"))
        })
    }

    fn return_code(&self) -> Result<Option<ReturnCode>, Error> {
        let Some(code) = self.optional("return_code") else { return Ok(None) };
        match ReturnCode::parse(&code) {
            Some(code) => Ok(Some(code)),
            None => {
                Err(self.wrong("return_code", format!("'{code}' is no return code"), "It is an R and two digits: R01"))
            }
        }
    }
}
