use super::{Desk, text};
use domain::money::Units;
use fiat::bank::{AccountKind, AccountNumber, BankAccount, Owner, RoutingNumber, banking_days_after, is_banking_day};
use fiat::payout::nacha::{self, Batch, NoticeKind, Originator, ReturnCode, Side};
use fiat::payout::outbox::{BankFile, Outbox, Put};
use fiat::payout::{Destination, Entry, FiatPayout, Payout, Step, WithdrawalId, list};
use fiat::statement::{BankKind, Format};
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use time::macros::{date, datetime};
use time::{Duration, PrimitiveDateTime};
use uuid::Uuid;

fn originator() -> Originator {
    toml::from_str(
        r#"
        destination = "021300912"
        destination_name = "SANDBOX BANK"
        origin = " 123456789"
        origin_name = "OUR COMPANY"
        company_name = "OUR COMPANY"
        company_id = "1234567890"
        bank = "021300912"
        description = "PAYOUT"
        "#,
    )
    .unwrap()
}

fn account(number: &str, owner: Owner) -> BankAccount {
    BankAccount {
        routing: RoutingNumber::parse("021300912").unwrap(),
        account: AccountNumber::parse(number).unwrap(),
        kind: AccountKind::Checking,
        owner,
        holder: text("Ada Example"),
    }
}

fn entry(number: &str, cents: u64) -> Entry {
    Entry { id: WithdrawalId(Uuid::now_v7()), cents, to: account(number, Owner::Consumer) }
}

fn batch(entries: Vec<Entry>) -> Batch {
    Batch { id: Uuid::new_v4(), created: datetime!(2026-11-23 15:30), modifier: 'A', first_trace: 1, entries }
}

/// A folder that is gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        Self(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(Uuid::new_v4().to_string()))
    }

    fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(&self.0)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "withdrawals")
            .collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_nacha_file_is_byte_for_byte_what_the_rules_say() {
    let person =
        Entry { id: WithdrawalId(Uuid::from_u128(0xABC)), cents: 15_000, to: account("30733816", Owner::Consumer) };
    let company = Entry { id: WithdrawalId(Uuid::from_u128(0xDEF)), cents: 1, to: account("99", Owner::Company) };
    let file = nacha::write(&originator(), &Batch { first_trace: 7, ..batch(vec![company, person]) }).unwrap();
    let text = String::from_utf8(file.file.bytes).unwrap();
    let expected = [
        "101 021300912 1234567892611231530A094101SANDBOX BANK           OUR COMPANY                    ",
        "5220OUR COMPANY                         1234567890PPDPAYOUT    261123261124   1021300910000001",
        "62202130091230733816         0000015000000000000000ABCADA EXAMPLE             0021300910000007",
        "82200000010002130091000000000000000000015000123456789                          021300910000001",
        "5220OUR COMPANY                         1234567890CCDPAYOUT    261123261124   1021300910000002",
        "62202130091299               0000000001000000000000DEFADA EXAMPLE             0021300910000008",
        "82200000010002130091000000000000000000000001123456789                          021300910000002",
        "9000002000001000000020004260182000000000000000000015001                                       ",
    ];
    for (line, expected) in text.lines().zip(expected) {
        // The number of a company is ten digits; it is cut from the literals above to keep them readable.
        let expected = expected.replace("123456789                          ", "1234567890                         ");
        assert_eq!(line, expected);
    }
    let nines = "9".repeat(94);
    assert_eq!(text.lines().skip(8).collect::<Vec<_>>(), [nines.as_str(), nines.as_str()]);
    assert_eq!(file.effective, date!(2026 - 11 - 24));
    assert_eq!(file.traces.iter().map(|(id, _)| id.0.as_u128()).collect::<Vec<_>>(), [0xABC, 0xDEF]);
}

#[test]
fn what_does_not_fit_into_a_nacha_file_is_refused() {
    let good = entry("30733816", 1);
    let with = |change: &dyn Fn(&mut Batch)| {
        let mut batch = batch(vec![good.clone()]);
        change(&mut batch);
        nacha::write(&originator(), &batch)
    };
    with(&|_| {}).unwrap();
    for (change, why) in [
        ((&|batch: &mut Batch| batch.entries.clear()) as &dyn Fn(&mut Batch), "without payments"),
        (&|batch| batch.entries.push(good.clone()), "twice"),
        (&|batch| batch.entries[0].cents = 0, "0.01 to"),
        (&|batch| batch.entries[0].cents = 10_000_000_000, "0.01 to"),
        (&|batch| batch.modifier = 'a', "modifier"),
        (&|batch| batch.first_trace = 0, "trace"),
        (&|batch| batch.first_trace = 10_000_000, "trace"),
        (&|batch| batch.entries = (0..101).map(|_| entry("1", 9_999_999_999)).collect(), "make two"),
    ] {
        let error = with(change).unwrap_err().to_string();
        assert!(error.contains(why), "{why}: {error}");
    }
    for (key, value) in [("bank", "021300913"), ("company_name", "A COMPANY NAME TOO LONG"), ("origin", "1")] {
        let mut wrong = originator();
        match key {
            "bank" => wrong.bank = value.to_owned(),
            "company_name" => wrong.company_name = value.to_owned(),
            _ => wrong.origin = value.to_owned(),
        }
        let error = nacha::write(&wrong, &batch(vec![good.clone()])).unwrap_err().to_string();
        assert!(error.starts_with(&format!("nacha.{key}:")), "{error}");
    }
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let one = (
        "[0-9A-Z-]{0,15}[0-9]",
        1_u64..9_999_999_999,
        any::<bool>(),
        any::<bool>(),
        "[ -~é]{1,40}",
        0_u32..100_000_000,
    );
    prop::collection::vec(one, 1..30).prop_map(|all| {
        let entries = all.into_iter().map(|(number, cents, savings, company, name, bank)| {
            let bank = format!("{bank:08}");
            let routing = (0..10).find_map(|check| RoutingNumber::parse(&format!("{bank}{check}")).ok());
            Entry {
                id: WithdrawalId(Uuid::new_v4()),
                cents,
                to: BankAccount {
                    routing: routing.unwrap_or_else(|| RoutingNumber::parse("021300912").unwrap()),
                    account: AccountNumber::parse(&number).unwrap(),
                    kind: if savings { AccountKind::Savings } else { AccountKind::Checking },
                    owner: if company { Owner::Company } else { Owner::Consumer },
                    holder: fiat::text::Text::parse("name", &name).unwrap_or_else(|_| text("Ada")),
                },
            }
        });
        entries.collect()
    })
}

proptest! {
    #[test]
    fn every_entry_of_a_nacha_file_is_read_back_and_every_total_is_theirs(entries in entries(), first_trace in 1_u32..9_999_000, days in 0_i64..900) {
        let created = PrimitiveDateTime::new(date!(2026 - 01 - 01) + Duration::days(days), time::Time::MIDNIGHT);
        let batch = Batch { created, first_trace, ..batch(entries.clone()) };
        let file = nacha::write(&originator(), &batch).unwrap();
        prop_assert_eq!(&nacha::write(&originator(), &batch).unwrap(), &file);
        prop_assert!(is_banking_day(file.effective) && file.effective > created.date());
        let text = String::from_utf8(file.file.bytes.clone()).unwrap();
        prop_assert!(text.lines().all(|line| line.len() == 94) && text.lines().count().is_multiple_of(10));
        // Reading checks counts, hashes and totals against the entries.
        let read = nacha::read("f.ach", &file.file.bytes).unwrap();
        prop_assert_eq!(read.entries.iter().map(|entry| entry.cents).sum::<u64>(), file.total_cents);
        prop_assert_eq!(entries.iter().map(|entry| entry.cents).sum::<u64>(), file.total_cents);
        prop_assert_eq!(read.entries.len(), entries.len());
        let traces: BTreeSet<_> = read.entries.iter().map(|entry| entry.trace).collect();
        prop_assert_eq!(traces.len(), entries.len());
        for (written, (id, trace)) in read.entries.iter().zip(&file.traces) {
            let entry = entries.iter().find(|entry| entry.id == *id).unwrap();
            prop_assert_eq!(written.trace, *trace);
            prop_assert_eq!(written.cents, entry.cents);
            prop_assert_eq!(written.account.expose(), entry.to.account.expose());
            prop_assert_eq!(&written.routing, entry.to.routing.as_str());
            prop_assert_eq!(written.side(), Side::Credit);
            prop_assert_eq!(&written.class, if entry.to.owner == Owner::Consumer { "PPD" } else { "CCD" });
        }
    }

    #[test]
    fn no_changed_digit_of_money_or_bank_goes_unnoticed(entries in entries(), at in any::<prop::sample::Index>(), by in 1_u8..10) {
        let bytes = nacha::write(&originator(), &batch(entries)).unwrap().file.bytes;
        // Every place whose digits the totals are made of.
        let places: Vec<usize> = bytes
            .split_inclusive(|&byte| byte == b'\n')
            .enumerate()
            .filter(|(_, line)| line.starts_with(b"6"))
            .flat_map(|(line, _)| (3..11).chain(29..39).map(move |column| line * 95 + column))
            .collect();
        let place = places[at.index(places.len())];
        let mut changed = bytes.clone();
        changed[place] = b'0' + (changed[place] - b'0' + by) % 10;
        prop_assert!(nacha::read("f.ach", &changed).is_err());
    }

    #[test]
    fn reading_survives_any_file(bytes in prop::collection::vec(any::<u8>(), 0..400), entries in entries(), cut in any::<prop::sample::Index>()) {
        let _ = nacha::read("f.ach", &bytes);
        let whole = nacha::write(&originator(), &batch(entries)).unwrap().file.bytes;
        let end = whole.windows(2).position(|pair| pair == b"\n9").unwrap();
        let cut = cut.index(end);
        prop_assert!(nacha::read("f.ach", &whole[..cut]).is_err());
    }
}

#[tokio::test]
async fn payouts_go_out_in_a_file_and_what_comes_back_names_its_entry() {
    let desk = Desk::open().await;
    let entries: Vec<Entry> = [("30733816", 15_000), ("5550001", 20_000), ("5550003", 30_000), ("5550098", 40_000)]
        .map(|(to, cents)| entry(to, cents))
        .into();
    let file = nacha::write(&originator(), &batch(entries.clone())).unwrap();
    let taken = desk.sim("nacha", json!({"file": String::from_utf8(file.file.bytes.clone()).unwrap()}));
    assert_eq!(taken, json!({"entries": 4, "total": "1050.00"}));
    desk.sim("advance", json!({"bankingDays": 2}));
    let returned = desk.report("returns.ach").await;
    let notices = nacha::notices("returns.ach", &returned).unwrap();
    let trace = |of: usize| file.traces.iter().find(|(id, _)| *id == entries[of].id).unwrap().1;
    let mut seen = Vec::new();
    for notice in &notices {
        assert_eq!(notice.side, Side::Credit);
        match &notice.kind {
            NoticeKind::Returned { code, cents, .. } => seen.push((notice.trace, code.to_string(), *cents)),
            NoticeKind::Change { code, corrected } => {
                assert_eq!(corrected.expose(), "123456789");
                seen.push((notice.trace, code.to_string(), 0));
            }
        }
    }
    let expected = [(1, "R01", 20_000), (2, "R03", 30_000), (3, "C01", 0)];
    assert_eq!(seen, expected.map(|(of, code, cents)| (trace(of), code.to_owned(), cents)));
    // The same file again: the same ids.
    let again = nacha::notices("again.ach", &desk.report("returns.ach").await).unwrap();
    assert_eq!(again, notices);
    // And the bank's statement shows the same money.
    let format: Format = toml::from_str(desk.sandbox.bank_toml()).unwrap();
    let lines = fiat::statement::bank("operating", "bank.csv", &desk.report("bank.csv").await, &format).unwrap().lines;
    let money: Vec<_> = lines.iter().map(|line| (line.kind.clone(), line.amount.0 / 10_000)).collect();
    assert_eq!(money, [(BankKind::AchDebit, -105_000), (BankKind::AchReturn, 20_000), (BankKind::AchReturn, 30_000)]);
    assert_eq!(lines[1].reference.as_deref(), Some(trace(1).to_string().as_str()));
}

#[test]
fn codes_of_returns_are_an_r_and_two_digits() {
    for good in ["R01", "R10", "R29", "R85"] {
        assert_eq!(ReturnCode::parse(good).unwrap().as_str(), good);
    }
    for bad in ["", "R1", "R001", "C01", "r01", "RAA", "R0١"] {
        assert_eq!(ReturnCode::parse(bad), None, "{bad}");
    }
}

#[test]
fn a_file_is_written_whole_once_and_never_over_another() {
    let folder = Folder::new();
    let outbox = Outbox::open(&folder.0).unwrap();
    let file = nacha::write(&originator(), &batch(vec![entry("30733816", 15_000)])).unwrap().file;
    let path = folder.0.join(&file.name);
    assert_eq!(outbox.put(&file).unwrap(), Put::Written(path.clone()));
    assert_eq!(std::fs::read(&path).unwrap(), file.bytes);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(outbox.put(&file).unwrap(), Put::AlreadyThere(path.clone()));
    assert_eq!(Outbox::open(&folder.0).unwrap().put(&file).unwrap(), Put::AlreadyThere(path.clone()));
    let other = BankFile { bytes: b"something else".to_vec(), ..file.clone() };
    let error = outbox.put(&other).unwrap_err().to_string();
    assert!(error.contains("other contents"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), file.bytes);
    for name in ["", "../x", ".x", "a/b"] {
        assert!(outbox.put(&BankFile { name: name.to_owned(), ..file.clone() }).is_err(), "{name}");
    }
    assert_eq!(folder.files(), [file.name]);
}

#[test]
fn a_withdrawal_is_in_one_file_only_whatever_crashes_in_between() {
    let folder = Folder::new();
    let outbox = Outbox::open(&folder.0).unwrap();
    let (one, two) = (entry("30733816", 15_000), entry("30733817", 1));
    let first = nacha::write(&originator(), &batch(vec![one.clone()])).unwrap().file;
    outbox.put(&first).unwrap();
    // A database that was restored puts it into the next batch; another way of paying out is tried.
    let again = nacha::write(&originator(), &batch(vec![two.clone(), one.clone()])).unwrap().file;
    let by_list = list::write(Uuid::new_v4(), date!(2026 - 11 - 24), std::slice::from_ref(&one)).unwrap();
    for file in [&again, &by_list] {
        let error = outbox.put(file).unwrap_err().to_string();
        assert!(error.contains(&one.id.to_string()) && error.contains(&first.name), "{error}");
    }
    assert_eq!(folder.files(), std::slice::from_ref(&first.name));
    // The other one was not held up by it.
    let alone = nacha::write(&originator(), &batch(vec![two])).unwrap().file;
    outbox.put(&alone).unwrap();
    // Killed after the note and before the file: the same batch goes on.
    std::fs::remove_file(folder.0.join(&first.name)).unwrap();
    assert!(matches!(outbox.put(&first).unwrap(), Put::Written(_)));
}

#[test]
fn many_that_write_at_once_write_one_file() {
    let folder = Folder::new();
    let outbox = Outbox::open(&folder.0).unwrap();
    let shared = entry("30733816", 15_000);
    let files: Vec<BankFile> =
        (0..8).map(|_| nacha::write(&originator(), &batch(vec![shared.clone()])).unwrap().file).collect();
    let written: usize = std::thread::scope(|scope| {
        let all: Vec<_> = files.iter().chain(&files).map(|file| scope.spawn(|| outbox.put(file))).collect();
        all.into_iter().map(|thread| thread.join().unwrap()).filter(|put| matches!(put, Ok(Put::Written(_)))).count()
    });
    assert_eq!(written, 1);
    assert_eq!(folder.files().len(), 1);
}

#[test]
fn a_list_for_a_banks_page_is_the_same_every_time_and_has_no_formulas() {
    let entries = [entry("30733816", 15_000), entry("99", 1)];
    let id = Uuid::new_v4();
    let file = list::write(id, date!(2026 - 11 - 24), &entries).unwrap();
    assert_eq!(file, list::write(id, date!(2026 - 11 - 24), &entries).unwrap());
    let written = String::from_utf8(file.bytes).unwrap();
    let lines: Vec<_> = written.lines().collect();
    assert_eq!(lines[0], list::COLUMNS.join(","));
    assert_eq!(lines[1], format!("{},2026-11-24,150.00,021300912,30733816,checking,person,Ada Example", entries[0].id));
    for name in ["=1+1", "+1", "-1", "@x"] {
        let mut bad = entries.clone();
        bad[1].to.holder = text(name);
        assert!(list::write(id, date!(2026 - 11 - 24), &bad).is_err(), "{name}");
    }
    assert!(list::write(id, date!(2026 - 11 - 24), &[]).is_err());
    assert!(list::write(id, date!(2026 - 11 - 24), &[entries[0].clone(), entries[0].clone()]).is_err());
}

#[test]
fn a_step_of_a_payout_carries_what_the_file_needs() {
    let to = account("30733816", Owner::Consumer);
    let payout =
        Payout { id: WithdrawalId(Uuid::nil()), amount: Units(150_000_000), to: Destination::Bank(to.clone()) };
    let step = FiatPayout::Nacha(originator()).step(&payout).unwrap();
    assert_eq!(step, Step::File(Entry { id: payout.id, cents: 15_000, to }));
}

#[test]
fn banking_days_end_where_the_calendar_does() {
    assert_eq!(banking_days_after(time::Date::MAX, 5), time::Date::MAX);
}
