//! What a provider or a bank says that came in: the second witness beside our ledger.

use crate::Error;
use domain::money::{Currency, Units};
use domain::receipt::FiatRail;
use fiat::FiatGateway;
use fiat::sources::{Feed, Kind, Sources};
use fiat::statement::{self, BankKind, BankLine, Digest, LineId, SettlementKind, SettlementLine};
use fiat::tilli::{ClientRequestId, Merchant, Standing, Tilli};
use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;

/// What a statement is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its id with us.
    pub id: String,
    /// Who collected it: the gateway's name, or our bank account that it came to.
    pub provider: String,
    /// How it came.
    pub rail: FiatRail,
    /// Our number of it there.
    pub request: String,
    /// What the provider calls it, once it has said.
    pub reference: Option<String>,
    /// What the customer was to pay in all, base units.
    pub gross: Units,
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
        let reference = receipt.reference.as_ref().unwrap_or(&receipt.request);
        shown_in(&text, reference).map_err(failed)
    }
}

/// What an attestor reads, by its configuration.
#[derive(Clone, Debug)]
pub enum Witness {
    /// One file for everything.
    Csv(CsvFile),
    /// The gateway and the banks themselves.
    Providers(Providers),
}

impl Statement for Witness {
    async fn shows(&self, receipt: &Receipt) -> Result<Shown, Error> {
        match self {
            Self::Csv(file) => file.shows(receipt).await,
            Self::Providers(providers) => providers.shows(receipt).await,
        }
    }
}

/// The gateway and the banks, each asked for what it collected. A statement counts before a promise: the gateway is asked about a
/// payment only while its report has nothing of it.
#[derive(Clone, Debug)]
pub struct Providers {
    gateway: Option<FiatGateway>,
    feeds: Vec<Feed>,
}

impl Providers {
    /// Everything in the file; nothing is asked yet.
    pub fn new(sources: Sources) -> Result<Self, Error> {
        let gateway =
            sources.gateway.map(Tilli::new).transpose().map_err(|error| Error::Configuration(error.to_string()))?;
        Ok(Self { gateway: gateway.map(FiatGateway::Tilli), feeds: sources.statements })
    }

    /// Every line of a provider's statements of a kind, once however many files have it.
    async fn lines<L: Line>(&self, provider: &str, kind: Kind) -> Result<Option<Vec<L>>, Error> {
        let of_it = |feed: &&Feed| feed.source == provider && feed.kind == kind;
        let feeds: Vec<&Feed> = self.feeds.iter().filter(of_it).collect();
        if feeds.is_empty() {
            return Ok(None);
        }
        let failed = |error: fiat::Error| Error::Statement(error.to_string());
        let mut lines: BTreeMap<LineId, L> = BTreeMap::new();
        for feed in feeds {
            for file in feed.files().await.map_err(failed)? {
                for line in L::read(feed, &file).map_err(failed)? {
                    // Which of the two is right is for a person to find out; until then neither is.
                    if lines.get(&line.name().0).is_some_and(|before| before.name().1 != line.name().1) {
                        let why = format!("{}: a line of {provider} says something else than it did", file.name);
                        return Err(Error::Statement(why));
                    }
                    lines.insert(line.name().0, line);
                }
            }
        }
        Ok(Some(lines.into_values().collect()))
    }

    async fn asked(&self, gateway: &FiatGateway, receipt: &Receipt) -> Result<Shown, Error> {
        let Ok(id) = receipt.request.parse() else { return Ok(Shown::Nothing) };
        let merchant = match receipt.rail {
            FiatRail::Card => Merchant::Card,
            FiatRail::Ach => Merchant::Ica,
            // Nobody collects what is sent.
            FiatRail::Wire | FiatRail::Rtp => return Ok(Shown::Nothing),
        };
        // By our number alone: the gateway's own comes from our books, and could be another payment's.
        match gateway.query(merchant, ClientRequestId(id), None).await {
            Ok(Some(charge)) if charge.standing == Standing::Approved => {
                Ok(Shown::In(charge.charged.unwrap_or(receipt.gross)))
            }
            Ok(_) | Err(fiat::Error::NotOffered(_)) => Ok(Shown::Nothing),
            Err(error) => Err(Error::Statement(format!("{}: {error}", gateway.name()))),
        }
    }
}

impl Statement for Providers {
    async fn shows(&self, receipt: &Receipt) -> Result<Shown, Error> {
        let provider = receipt.provider.as_str();
        if let Some(lines) = self.lines::<BankLine>(provider, Kind::Bank).await? {
            return Ok(came_by_wire(&lines, receipt));
        }
        let settled = self.lines::<SettlementLine>(provider, Kind::Settlement).await?;
        let gateway = self.gateway.as_ref().filter(|gateway| gateway.name() == provider);
        match (settled.map(|lines| collected(&lines, receipt)), gateway) {
            (None | Some(Shown::Nothing), Some(gateway)) => self.asked(gateway, receipt).await,
            (Some(shown), _) => Ok(shown),
            (None, None) => Err(Error::Statement(format!("no statement of '{provider}' is configured"))),
        }
    }
}

/// A line of a statement.
trait Line: Sized {
    fn read(feed: &Feed, file: &fiat::sources::File) -> Result<Vec<Self>, fiat::Error>;
    /// What it is known by, and what it says.
    fn name(&self) -> (LineId, Digest);
}

impl Line for SettlementLine {
    fn read(feed: &Feed, file: &fiat::sources::File) -> Result<Vec<Self>, fiat::Error> {
        Ok(statement::settlement(&feed.source, &file.name, &file.bytes, &feed.format)?.lines)
    }

    fn name(&self) -> (LineId, Digest) {
        (self.id, self.digest)
    }
}

impl Line for BankLine {
    fn read(feed: &Feed, file: &fiat::sources::File) -> Result<Vec<Self>, fiat::Error> {
        Ok(statement::bank(&feed.source, &file.name, &file.bytes, &feed.format)?.lines)
    }

    fn name(&self) -> (LineId, Digest) {
        (self.id, self.digest)
    }
}

/// What a settlement report says of a payment. Our number decides where the line has it: the gateway's own comes from our books,
/// and whoever writes there could name another's.
fn collected(lines: &[SettlementLine], receipt: &Receipt) -> Shown {
    let (mut came, mut back, mut disputes) = (0_u128, false, 0_i64);
    for line in lines {
        let ours = match &line.request {
            Some(request) => *request == receipt.request,
            None => line.transaction.is_some() && line.transaction == receipt.reference,
        };
        match &line.kind {
            _ if !ours => {}
            SettlementKind::Sale => came = came.saturating_add(u128::try_from(line.gross.0).unwrap_or(0)),
            SettlementKind::ChargebackOpened => disputes += 1,
            SettlementKind::ChargebackWon => disputes -= 1,
            SettlementKind::Return | SettlementKind::Refund | SettlementKind::ChargebackLost => back = true,
            SettlementKind::Fee | SettlementKind::ConvenienceFee => {}
            SettlementKind::Other(_) => back |= line.gross.0 < 0 || line.net.0 < 0,
        }
    }
    shown(came, back || disputes > 0)
}

/// What a bank's statement says of a wire, which has our number as its reference. Whoever sends one writes that, so it may be
/// wrong; but only what really came counts.
fn came_by_wire(lines: &[BankLine], receipt: &Receipt) -> Shown {
    let (mut came, mut back) = (0_u128, false);
    for line in lines {
        if line.reference.as_deref().map(str::trim) != Some(receipt.request.as_str()) {
            continue;
        }
        match (&line.kind, u128::try_from(line.amount.0)) {
            (BankKind::WireIn | BankKind::AchCredit, Ok(amount)) => came = came.saturating_add(amount),
            (_, Err(_)) => back = true,
            _ => {}
        }
    }
    shown(came, back)
}

const fn shown(came: u128, back: bool) -> Shown {
    match (back, came) {
        (true, _) => Shown::TakenBack,
        (false, 0) => Shown::Nothing,
        (false, came) => Shown::In(Units(came)),
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
    Ok(shown(came, went))
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

    fn receipt(rail: FiatRail) -> Receipt {
        Receipt {
            id: "1".to_owned(),
            provider: "tilli".to_owned(),
            rail,
            request: "R-1".to_owned(),
            reference: Some("T-1".to_owned()),
            gross: Units(152_500_000),
        }
    }

    #[test]
    fn a_settlement_report_shows_what_was_collected_and_is_not_taken_back() {
        let sale = "2026-11-23,B,sale,L-1,152.50,4.72,147.78,T-1,R-1\n";
        let shown = |lines: &str| {
            let text = format!("settled_on,batch,kind,reference,gross,fee,net,transaction,request\n{lines}");
            let read = statement::settlement("tilli", "test", text.as_bytes(), &statement::Format::default()).unwrap();
            collected(&read.lines, &receipt(FiatRail::Card))
        };
        let whole = Shown::In(Units(152_500_000));
        for (more, says) in [
            ("", whole),
            ("2026-11-24,B,return,L-2,-152.50,0,-152.50,T-1,R-1\n", Shown::TakenBack),
            ("2026-11-24,B,refund,L-2,-1,0,-1,T-1,R-1\n", Shown::TakenBack),
            ("2026-11-24,B,chargeback_opened,L-2,-152.50,15,-167.50,T-1,R-1\n", Shown::TakenBack),
            ("2026-11-24,B,chargeback_opened,L-2,-152.50,15,-167.50,T-1,\n", Shown::TakenBack),
            ("2026-11-24,B,chargeback_lost,L-2,0,0,0,T-1,R-1\n", Shown::TakenBack),
            ("2026-11-24,B,CLAWBACK,L-2,-1,0,-1,T-1,R-1\n", Shown::TakenBack),
            ("2026-11-24,B,convenience_fee,L-2,2.50,2.50,0,T-1,R-1\n", whole),
            ("2026-11-24,B,return,L-2,-152.50,0,-152.50,T-2,R-2\n", whole),
            (
                "2026-11-24,B,chargeback_opened,L-2,-152.50,15,-167.50,T-1,R-1\n\
                 2026-12-24,B,chargeback_won,L-3,152.50,0,152.50,T-1,R-1\n",
                whole,
            ),
        ] {
            assert_eq!(shown(&format!("{sale}{more}")), says, "{more}");
        }
        assert_eq!(shown(""), Shown::Nothing);
        // The gateway's number alone, where the report has no other; and not another's payment under our gateway's number.
        assert_eq!(shown(&sale.replace("R-1", "")), whole);
        assert_eq!(shown(&sale.replace("R-1", "R-2")), Shown::Nothing);
    }

    #[test]
    fn a_banks_statement_shows_the_wire_with_our_number() {
        let shown = |lines: &str| {
            let text = format!("value_date,kind,amount,bank_reference,reference\n{lines}");
            let read = statement::bank("main", "test", text.as_bytes(), &statement::Format::default()).unwrap();
            came_by_wire(&read.lines, &receipt(FiatRail::Wire))
        };
        for (lines, says) in [
            ("2026-11-23,wire_in,150,W-1, R-1 \n", Shown::In(Units(150_000_000))),
            ("2026-11-23,wire_in,150,W-1,R-1\n2026-11-24,ach_credit,1,W-2,R-1\n", Shown::In(Units(151_000_000))),
            ("2026-11-23,wire_in,150,W-1,R-1\n2026-11-24,wire_out,-150,W-2,R-1\n", Shown::TakenBack),
            ("2026-11-23,wire_in,150,W-1,R-11\n", Shown::Nothing),
            ("2026-11-23,wire_in,150,W-1,\n", Shown::Nothing),
            ("2026-11-23,INTEREST,150,W-1,R-1\n", Shown::Nothing),
            ("", Shown::Nothing),
        ] {
            assert_eq!(shown(lines), says, "{lines}");
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
