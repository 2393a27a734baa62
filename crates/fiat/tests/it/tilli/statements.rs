use super::{Desk, payment};
use domain::money::Units;
use fiat::money::Signed;
use fiat::statement::{BankKind, BankLine, Format, Import, LineId, SettlementKind, SettlementLine, bank, settlement};
use fiat::tilli::Standing;
use proptest::prelude::*;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use test_chain::sandbox::tilli::{Config as Sandbox, FeeModel};

const CENT: i128 = 10_000;

impl Desk {
    async fn settled(&self) -> Import<SettlementLine> {
        let format: Format = toml::from_str(self.sandbox.settlement_toml()).unwrap();
        settlement("tilli", "settlement.csv", &self.report("settlement.csv").await, &format).unwrap()
    }

    async fn bank(&self) -> Import<BankLine> {
        self.bank_from("bank.csv").await
    }

    async fn bank_from(&self, report: &str) -> Import<BankLine> {
        let format: Format = toml::from_str(self.sandbox.bank_toml()).unwrap();
        bank("operating", report, &self.report(report).await, &format).unwrap()
    }
}

fn net(lines: &[SettlementLine]) -> i128 {
    lines.iter().map(|line| line.net.0).sum()
}

fn balance(lines: &[BankLine]) -> i128 {
    lines.iter().map(|line| line.amount.0).sum()
}

#[tokio::test]
async fn what_is_settled_less_fees_is_what_the_bank_shows() {
    let desk = Desk::open().await;
    let card = payment(15_250, desk.card("4111111111111111"));
    let check = payment(10_000, desk.check("30733816"));
    for asked in [&card, &check] {
        assert_eq!(desk.client.collect(asked).await.unwrap().standing, Standing::Approved);
    }
    assert!(desk.settled().await.lines.is_empty(), "approved is not settled");
    // The day after is a Tuesday, then a Wednesday; Thursday is Thanksgiving.
    desk.sim("advance", json!({"bankingDays": 3}));
    let settled = desk.settled().await.lines;
    let of = |asked: &fiat::tilli::Collect| {
        let id = asked.id.to_string();
        settled.iter().find(|line| line.request.as_deref() == Some(id.as_str())).unwrap()
    };
    // 2.9 % and 30 cents.
    assert_eq!((of(&card).gross.0, of(&card).fee.0), (15_250 * CENT, 472 * CENT));
    assert_eq!(of(&check).net.0, (10_000 - 320) * CENT);
    assert_eq!(of(&card).settled_on.to_string(), "2026-11-24");
    assert_eq!(of(&check).settled_on.to_string(), "2026-11-25");
    let bank = desk.bank().await.lines;
    assert_eq!(balance(&bank), net(&settled));
    for line in &bank {
        assert_eq!(line.kind, BankKind::AchCredit);
        let batch: i128 = settled
            .iter()
            .filter(|settled| Some(&settled.batch) == line.reference.as_ref())
            .map(|line| line.net.0)
            .sum();
        assert_eq!(line.amount.0, batch);
    }
}

#[tokio::test]
async fn where_the_customer_pays_the_fee_we_get_the_whole_amount() {
    let desk = Desk::with(Sandbox { fee_model: FeeModel::Convenience, ..Sandbox::default() }).await;
    let asked = fiat::tilli::Collect { fee: Some(Units(2_500_000)), ..payment(15_000, desk.check("30733816")) };
    desk.client.collect(&asked).await.unwrap();
    desk.sim("advance", json!({"bankingDays": 2}));
    let settled = desk.settled().await.lines;
    let kinds: Vec<_> = settled.iter().map(|line| (line.kind.as_str().to_owned(), line.net.0 / CENT)).collect();
    assert_eq!(kinds, [("sale".to_owned(), 15_000), ("convenience_fee".to_owned(), 0)]);
    assert_eq!(balance(&desk.bank().await.lines), 15_000 * CENT);
}

#[tokio::test]
async fn what_comes_back_comes_on_its_day_with_its_code() {
    let desk = Desk::open().await;
    for (account, code, on) in [
        ("5550001", "R01", "2026-11-30"),
        ("5550003", "R03", "2026-11-30"),
        ("5550010", "R10", "2027-01-11"),
        ("5550007", "R07", "2027-01-11"),
    ] {
        let desk = Desk::open().await;
        let asked = payment(10_000, desk.check(account));
        desk.client.collect(&asked).await.unwrap();
        desk.sim("advance", json!({"to": "2027-02-01"}));
        let lines = desk.settled().await.lines;
        let back = lines.iter().find(|line| line.kind == SettlementKind::Return).unwrap();
        assert_eq!(back.return_code.map(|code| code.to_string()).as_deref(), Some(code));
        assert_eq!((back.settled_on.to_string().as_str(), back.net.0), (on, -10_000 * CENT), "{code}");
        assert_eq!(back.request.as_deref(), Some(asked.id.to_string().as_str()));
        assert_eq!(balance(&desk.bank().await.lines), net(&lines));
    }
    // A dispute takes the money and a fee; winning it gives the money back, not the fee.
    for (card, won) in [("4000000000001976", true), ("4000000000000259", false)] {
        let asked = payment(20_000, desk.card(card));
        desk.client.collect(&asked).await.unwrap();
        desk.sim("advance", json!({"days": 60}));
        let id = asked.id.to_string();
        let lines: Vec<_> = desk
            .settled()
            .await
            .lines
            .into_iter()
            .filter(|line| line.request.as_deref() == Some(id.as_str()))
            .collect();
        let sale = 20_000 - (20_000 * 290 / 10_000 + 30);
        let end = if won { SettlementKind::ChargebackWon } else { SettlementKind::ChargebackLost };
        let kinds: Vec<_> = lines.iter().map(|line| line.kind.clone()).collect();
        assert_eq!(kinds, [SettlementKind::Sale, SettlementKind::ChargebackOpened, end]);
        assert_eq!(net(&lines) / CENT, if won { sale - 1_500 } else { sale - 20_000 - 1_500 });
    }
    assert_eq!(balance(&desk.bank().await.lines), net(&desk.settled().await.lines));
}

#[tokio::test]
async fn the_report_decides_and_not_what_was_notified() {
    let desk = Desk::open().await;
    let (less, never) =
        (payment(10_000, desk.card("4111111111111111")), payment(20_000, desk.card("4111111111111111")));
    for (asked, settles) in [(&less, json!("99.00")), (&never, json!(null))] {
        let transaction = desk.client.collect(asked).await.unwrap().transaction.unwrap();
        desk.sim("disagree", json!({"transactionId": transaction.as_str(), "settles": settles}));
    }
    desk.sim("advance", json!({"bankingDays": 1}));
    let said = desk.client.query(never.merchant(), never.id, None).await.unwrap().unwrap();
    assert_eq!((said.standing, said.charged), (Standing::Approved, Some(never.amount)));
    let lines = desk.settled().await.lines;
    let gross: Vec<_> = lines.iter().map(|line| (line.request.clone(), line.gross.0 / CENT)).collect();
    assert_eq!(gross, [(Some(less.id.to_string()), 9_900)]);
}

/// Books lines as a ledger must: each id once.
fn book<T>(books: &mut BTreeMap<LineId, i128>, import: Import<T>, of: impl Fn(&T) -> (LineId, Signed)) -> usize {
    import.lines.iter().map(of).filter(|(id, amount)| books.insert(*id, amount.0).is_none()).count()
}

#[tokio::test]
async fn a_statement_that_is_imported_twice_or_in_parts_books_every_line_once() {
    let desk = Desk::open().await;
    desk.sim("wire", json!({"amount": "150.00", "reference": "INV-1"}));
    desk.sim("wire", json!({"amount": "150.00", "reference": "INV-1"}));
    desk.client.collect(&payment(15_000, desk.card("4111111111111111"))).await.unwrap();
    desk.sim("advance", json!({"bankingDays": 1}));
    let wire = desk.sim("wire", json!({"amount": "99.99", "reference": ""}));
    // The bank delivers the same wire once more.
    desk.sim("wire", json!({"amount": "99.99", "reference": "", "bankReference": wire["bankReference"]}));
    let whole = desk.bank().await;
    assert_eq!((whole.lines.len(), whole.repeated), (4, 1));
    let expected = balance(&whole.lines);
    let mut books = BTreeMap::new();
    let of = |line: &BankLine| (line.id, line.amount);
    assert_eq!(book(&mut books, desk.bank_from("bank.csv?to=2026-11-23").await, of), 2);
    assert_eq!(book(&mut books, whole, of), 2);
    for report in ["bank.csv", "bank.csv?from=2026-11-24", "bank.csv?from=2026-11-23&to=2026-11-23"] {
        assert_eq!(book(&mut books, desk.bank_from(report).await, of), 0);
    }
    assert_eq!(books.values().sum::<i128>(), expected);

    let mut books = BTreeMap::new();
    let of = |line: &SettlementLine| (line.id, line.net);
    assert_eq!(book(&mut books, desk.settled().await, of), 1);
    assert_eq!(book(&mut books, desk.settled().await, of), 0);
}

const HEAD: &str = "value_date,kind,amount,bank_reference,reference,counterparty,description,return_code,currency\n";

fn read(rows: &str) -> Result<Import<BankLine>, fiat::Error> {
    bank("operating", "day.csv", format!("{HEAD}{rows}").as_bytes(), &Format::default())
}

#[test]
fn two_lines_under_one_reference_that_differ_are_an_error_and_a_later_correction_is_seen() {
    let error = read("2026-11-23,wire_in,150.00,REF1,,,,,\n2026-11-23,wire_in,950.00,REF1,,,,,\n").unwrap_err();
    assert!(error.to_string().starts_with("day.csv, line 3, column 'bank_reference':"), "{error}");
    // The wire and the bank's fee for it share a reference.
    assert_eq!(read("2026-11-23,wire_in,150.00,REF1,,,,,\n2026-11-23,fee,-15.00,REF1,,,,,\n").unwrap().lines.len(), 2);
    let (was, is) = (read("2026-11-23,wire_in,150.00,REF1,,,,,\n"), read("2026-11-24,wire_in,950.00,REF1,,,,,\n"));
    let (was, is) = (was.unwrap().lines.remove(0), is.unwrap().lines.remove(0));
    assert_eq!(was.id, is.id);
    assert_ne!(was.digest, is.digest);
    // Another account of ours is another line.
    let other = bank(
        "reserve",
        "day.csv",
        format!("{HEAD}2026-11-23,wire_in,150.00,REF1,,,,,\n").as_bytes(),
        &Format::default(),
    );
    assert_ne!(other.unwrap().lines.remove(0).id, was.id);
}

#[test]
fn equal_lines_without_a_reference_are_as_many_as_there_are() {
    let row = "2026-11-23,ach_credit,10.00,,INV-1,ADA,,,\n";
    let day = read(&row.repeat(2)).unwrap();
    let month =
        read(&format!("2026-11-22,ach_credit,5.00,,,,,,\n{}2026-11-24,wire_in,1.00,,,,,,\n", row.repeat(2))).unwrap();
    let ids: BTreeSet<LineId> = day.lines.iter().chain(&month.lines).map(|line| line.id).collect();
    assert_eq!((day.lines.len(), month.lines.len(), ids.len()), (2, 4, 4));
}

#[test]
fn a_mistake_in_a_statement_names_file_line_column_and_what_to_do() {
    for (rows, place) in [
        ("2026-11-23,wire_in,1,000.00,,,,,,\n", "line 2, column 10"),
        ("2026-11-23,wire_in,\"1,000.00\",R,,,,,\n", "line 2, column 'amount': '1,000.00' is no amount. Write digits"),
        ("2026-11-23,wire_in,$5,R,,,,,\n", "line 2, column 'amount'"),
        ("2026-11-23,wire_in,,R,,,,,\n", "line 2, column 'amount'"),
        ("2026-11-23,wire_in,1.00,R,,,,,\n11/24/2026,wire_in,1.00,S,,,,,\n", "line 3, column 'value_date'"),
        ("2026-02-30,wire_in,1.00,R,,,,,\n", "line 2, column 'value_date'"),
        ("2026-11-23,,1.00,R,,,,,\n", "line 2, column 'kind'"),
        ("2026-11-23,wire_in,1.00,R,,,,,EUR\n", "line 2, column 'currency'"),
        ("2026-11-23,ach_return,1.00,R,,,,X1,\n", "line 2, column 'return_code'"),
    ] {
        let error = read(rows).unwrap_err().to_string();
        assert!(error.starts_with(&format!("day.csv, {place}")), "{rows}: {error}");
    }
    let settled = |row: &str| {
        let text = format!("settled_on,batch,kind,reference,gross,fee,net\n{row}\n");
        settlement("tilli", "s.csv", text.as_bytes(), &Format::default())
    };
    settled("2026-11-23,B1,sale,L1,150.00,4.65,145.35").unwrap();
    let error = settled("2026-11-23,B1,sale,L1,150.00,4.65,145.36").unwrap_err().to_string();
    assert!(error.starts_with("s.csv, line 2, column 'net': net is 145.36, but"), "{error}");
    let missing = bank("operating", "day.csv", b"value_date,amount\n", &Format::default()).unwrap_err().to_string();
    assert!(missing.contains("column 'kind': it is missing"), "{missing}");
    let twice =
        bank("o", "day.csv", b"kind,value_date,amount,Amount,bank_reference\n", &Format::default()).unwrap_err();
    assert!(twice.to_string().contains("column 'amount': there are two"), "{twice}");
    for (toml, named) in [("[columns]\nvalue = \"x\"", "columns.value"), ("[kinds]\nSALE = \"sold\"", "kinds.SALE")] {
        let format: Format = toml::from_str(toml).unwrap();
        let error = bank("o", "day.csv", HEAD.as_bytes(), &format).unwrap_err().to_string();
        assert!(error.starts_with(named), "{error}");
    }
    assert!(toml::from_str::<Format>("column = {}").unwrap_err().to_string().contains("column"));
}

#[test]
fn a_kind_of_line_nobody_knows_is_kept_and_card_numbers_are_not() {
    let line = read("2026-11-23,MYSTERY CREDIT,12.34,4111111111111111,,4111 1111 1111 1111,PAN 4111111111111111 x,,\n");
    let line = line.unwrap().lines.remove(0);
    assert_eq!(line.kind, BankKind::Other("MYSTERY CREDIT".to_owned()));
    assert_eq!(line.counterparty.as_deref(), Some("…1111"));
    assert_eq!(line.description.as_deref(), Some("PAN …1111 x"));
    // A reference is an id: one in ten of them looks like a card's number.
    assert_eq!(line.bank_reference.as_deref(), Some("4111111111111111"));
}

proptest! {
    #[test]
    fn any_split_of_a_statement_by_days_books_every_line_once(
        lines in prop::collection::vec((20_u8..28, -3_i32..3, prop::option::of(0_u16..40)), 0..40),
        cut in 20_u8..28,
    ) {
        let mut lines = lines;
        lines.sort_by_key(|line| line.0);
        // One reference, one line.
        let mut seen = BTreeSet::new();
        lines.retain(|(_, _, reference)| reference.is_none_or(|reference| seen.insert(reference)));
        let text = |keep: &dyn Fn(u8) -> bool| -> String {
            lines.iter().filter(|line| keep(line.0)).map(|(day, dollars, reference)| {
                let reference = reference.map(|reference| format!("R{reference}")).unwrap_or_default();
                format!("2026-11-{day},wire_in,{dollars}.00,{reference},,,,,\n")
            }).collect()
        };
        let mut books = BTreeMap::new();
        for part in [text(&|day| day <= cut), text(&|_| true), text(&|day| day >= cut)] {
            book(&mut books, read(&part).unwrap(), |line: &BankLine| (line.id, line.amount));
        }
        prop_assert_eq!(books.len(), lines.len());
        prop_assert_eq!(books.values().sum::<i128>(), lines.iter().map(|line| i128::from(line.1) * 1_000_000).sum::<i128>());
    }
}
