//! Postgres keeps the books by itself, whoever writes.

use crate::{BANK, Books, PRINCIPAL, TOKEN, house};
use domain::ledger::{Account, AccountKind, CHART, Entry, EntryKind, Key, Leg, Phase};
use domain::money::Units;
use domain::withdrawal::Event as W;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use store::ledger;

const GATE_OUT: &str = "bank";

#[tokio::test]
async fn the_chart_in_postgres_is_the_domains() {
    let books = Books::open().await;
    let mut db = books.store.begin().await.unwrap();
    let mut ours: Vec<_> = CHART
        .iter()
        .map(|rule| {
            let text = |word: &str| word.to_owned();
            let (kind, fund) = (text(rule.kind.as_str()), text(rule.fund.as_str()));
            (kind, fund, text(rule.normal.as_str()), text(rule.by.as_str()), rule.below_zero)
        })
        .collect();
    ours.sort();
    let mut theirs = ledger::chart(&mut db).await.unwrap();
    theirs.sort();
    assert_eq!(ours, theirs);
}

/// One who has the services' rights on every table, and means harm.
async fn attacker(books: &Books) -> PgConnection {
    let mut db = PgConnection::connect(&books.url).await.unwrap();
    let role = format!("app_{}", books.url.rsplit('_').next().unwrap().split('?').next().unwrap());
    for sql in [
        format!("CREATE ROLE {role}"),
        format!("GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}"),
        format!("GRANT {role} TO CURRENT_USER"),
        format!("SET ROLE {role}"),
    ] {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut db).await.unwrap();
    }
    db
}

/// A transfer in SQL, as somebody writes it who does not go through `book`.
fn transfer(reference: &str, phase: &str, resolves: &str, legs: &[(&str, i64)]) -> String {
    let rows: Vec<_> = legs.iter().map(|(account, units)| format!("('{account}', {units})")).collect();
    let resolves = match resolves {
        "" => "NULL".to_owned(),
        of => format!("(SELECT id FROM ledger_transfers WHERE source = 'attack' AND reference = '{of}')"),
    };
    let transfer = format!(
        "INSERT INTO ledger_transfers (source, reference, kind, phase, resolves)
            VALUES ('attack', '{reference}', 'minted', '{phase}', {resolves});"
    );
    match rows.is_empty() {
        true => transfer,
        false => format!(
            "{transfer} INSERT INTO ledger_postings (account_id, transfer_id, amount_units, line, balance_units, pending)
                SELECT account, (SELECT max(id) FROM ledger_transfers), units, 77, 1000000000, TRUE
                FROM (VALUES {}) AS legs (account, units);",
            rows.join(", ")
        ),
    }
}

async fn run(db: &mut PgConnection, sql: &str) -> Result<(), String> {
    let whole = format!("BEGIN; {sql} COMMIT;");
    let done =
        sqlx::raw_sql(AssertSqlSafe(whole)).execute(&mut *db).await.map(|_| ()).map_err(|error| error.to_string());
    if done.is_err() {
        sqlx::raw_sql("ROLLBACK").execute(db).await.unwrap();
    }
    done
}

#[tokio::test]
async fn the_books_refuse_what_must_not_be_booked_whoever_asks() {
    let books = Books::open().await;
    let mut db = attacker(&books).await;
    let accounts = "INSERT INTO ledger_accounts (id, kind, of) VALUES ('mintable', 'mintable', ''),
        ('token_liability:tempo/42431', 'token_liability', 'tempo/42431'), ('redemption_payable', 'redemption_payable', ''),
        ('reserve:main', 'reserve', 'main'), ('deposits_held', 'deposits_held', '') ON CONFLICT DO NOTHING;";
    run(&mut db, accounts).await.unwrap();
    let (mintable, liability) = ("mintable", "token_liability:tempo/42431");

    // What balances is booked, and its line and balance are not what the writer said.
    run(&mut db, &transfer("good", "single", "", &[("reserve:main", 9), (mintable, -9)])).await.unwrap();
    let line =
        "SELECT line || ' ' || balance_units || ' ' || pending FROM ledger_postings WHERE account_id = 'mintable'";
    assert_eq!(books.text(line).await, "1 -9 false");
    assert_eq!(books.text("SELECT balance_units::text FROM reserve_accounts").await, "9", "the projection follows");
    run(&mut db, &transfer("later", "pending", "", &[(mintable, 5), (liability, -5)])).await.unwrap();
    assert_eq!(
        books.text("SELECT balance_units::text FROM ledger_postings WHERE account_id = 'mintable' AND line = 2").await,
        "-9"
    );

    let lopsided = transfer("x", "single", "", &[("reserve:main", 9)]);
    let early = "SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED;";
    let more = "INSERT INTO ledger_postings (account_id, transfer_id, amount_units)
        SELECT 'reserve:main', max(id), 9 FROM ledger_transfers;";
    let shadows = "CREATE TEMP TABLE ledger_accounts (id TEXT, kind TEXT);
        CREATE TEMP TABLE ledger_account_kinds (kind TEXT, fund TEXT, normal TEXT, below_zero BOOLEAN);
        INSERT INTO pg_temp.ledger_accounts VALUES ('reserve:main', 'mine'), ('bank_cash:main', 'mine');
        INSERT INTO pg_temp.ledger_account_kinds VALUES ('mine', 'house', 'debit', TRUE);";
    let old = "INSERT INTO ledger_postings (account_id, transfer_id, amount_units) SELECT account, id, units
        FROM (SELECT id FROM ledger_transfers WHERE reference = 'good') t,
        (VALUES ('bank_cash:main', 5), ('deposits_held', -5)) AS legs (account, units);";
    let across = [("reserve:main", 9), ("bank_cash:main", -9)];
    let attacks = [
        ("money from nowhere", lopsided.clone(), "does not balance in the fund reserve"),
        ("our money for the reserve's", transfer("x", "single", "", &across), "does not balance"),
        (
            "the same, beside tables of one's own",
            shadows.to_owned() + &transfer("x", "single", "", &across),
            "does not balance",
        ),
        ("nothing at all", transfer("x", "single", "", &[]), "has 0 postings"),
        (
            "more, after the check was made early",
            transfer("x", "single", "", &[("bank_cash:main", 1), ("deposits_held", -1)]) + early + more,
            "does not balance",
        ),
        ("more, for what was booked long ago", old.to_owned(), "nothing is added to it"),
        (
            "twice under one key",
            transfer("good", "single", "", &[("reserve:main", 9), (mintable, -9)]),
            "duplicate key",
        ),
        ("tokens below zero", transfer("x", "single", "", &[(liability, 9), ("redemption_payable", -9)]), "below zero"),
        (
            "more than was announced",
            transfer("x", "post", "later", &[(mintable, 6), (liability, -6)]),
            "other amounts than were announced",
        ),
        (
            "what was not announced",
            transfer("x", "post", "good", &[(mintable, 9), (liability, -9)]),
            "only what is pending",
        ),
        (
            "a void that books",
            transfer("x", "void", "later", &[(mintable, 5), (liability, -5)]),
            "(void) has 2 postings",
        ),
        (
            "an account that says it is another",
            "INSERT INTO ledger_accounts (id, kind, of) VALUES ('token_liability:y', 'bank_cash', 'y');".to_owned(),
            "check constraint",
        ),
        (
            "a kind of one's own",
            "INSERT INTO ledger_account_kinds VALUES ('mine', 'house', 'debit', 'nothing', TRUE);".to_owned(),
            "append-only",
        ),
        ("no triggers at all", "SET session_replication_role = replica;".to_owned(), "permission denied"),
    ];
    for (what, sql, why) in attacks {
        let refused = run(&mut db, &sql).await.expect_err(what);
        assert!(refused.contains(why), "{what}: {refused}");
    }

    // Posted once, and never again.
    run(&mut db, &transfer("posted", "post", "later", &[(mintable, 5), (liability, -5)])).await.unwrap();
    for phase in ["post", "void"] {
        let legs: &[(&str, i64)] = if phase == "post" { &[(mintable, 5), (liability, -5)] } else { &[] };
        let refused = run(&mut db, &transfer("again", phase, "later", legs)).await.expect_err(phase);
        assert!(refused.contains("duplicate key"), "{phase}: {refused}");
    }

    // What is written stays written.
    for (table, column) in [
        ("ledger_account_kinds", "fund"),
        ("ledger_accounts", "kind"),
        ("ledger_transfers", "reference"),
        ("ledger_postings", "amount_units"),
        ("receipt_events", "trace"),
        ("audit_log", "action"),
        ("reconciliations", "subject"),
        ("rail_fallbacks", "reason"),
    ] {
        let there = format!("SELECT count(*) FROM {table}");
        let rows: i64 = sqlx::query_scalar(AssertSqlSafe(there)).fetch_one(&mut db).await.unwrap();
        for sql in [format!("UPDATE {table} SET {column} = {column};"), format!("DELETE FROM {table};")] {
            assert_eq!(run(&mut db, &sql).await.is_err(), rows > 0, "{sql}");
        }
        let refused = run(&mut db, &format!("TRUNCATE {table} CASCADE;")).await.expect_err(table);
        assert!(refused.contains("append-only"), "{refused}");
        let refused = run(&mut db, &format!("ALTER TABLE {table} DISABLE TRIGGER ALL;")).await.expect_err(table);
        assert!(refused.contains("must be owner"), "{refused}");
    }
    drop(db);
    books.audited().await;
}

/// The services' rights are enough for the services' work.
#[tokio::test]
async fn who_may_only_write_rows_can_keep_the_books() {
    let books = Books::open().await;
    let mut db = attacker(&books).await;
    let mut tx = db.begin().await.unwrap();
    assert!(ledger::book(&mut tx, &house(EntryKind::Unmatched, "w", Units(7))).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(ledger::balance(&mut db, &account(AccountKind::Suspense, "")).await.unwrap(), -7);
}

fn account(kind: AccountKind, of: &str) -> Account {
    Account { kind, of: of.to_owned() }
}

#[tokio::test]
async fn what_is_booked_by_many_at_once_is_booked_once_and_adds_up() {
    let books = Books::open().await;
    let mut tasks = tokio::task::JoinSet::new();
    // Each entry is booked by three, and two kinds cross each other's accounts.
    for writer in 0..12_u32 {
        let store = books.store.clone();
        tasks.spawn(async move {
            let mut news = 0;
            for number in 0..15_u32 {
                let reference = format!("{}-{number}", writer % 4);
                let entries = [
                    house(EntryKind::Unmatched, &reference, Units(100)),
                    house(EntryKind::UnexplainedDebit, &reference, Units(30)),
                ];
                let mut db = store.begin().await.unwrap();
                let booked = ledger::book_all(&mut db, &entries).await.unwrap();
                db.commit().await.unwrap();
                news += booked.iter().filter(|news| **news).count();
            }
            news
        });
    }
    assert_eq!(tasks.join_all().await.iter().sum::<usize>(), 2 * 4 * 15);
    books.audited().await;
    let mut db = books.store.begin().await.unwrap();
    let bank = account(AccountKind::BankCash, BANK);
    assert_eq!(ledger::balance(&mut db, &account(AccountKind::Suspense, "")).await.unwrap(), -6_000);
    assert_eq!(ledger::balance(&mut db, &bank).await.unwrap(), 300_000_000 + 6_000 - 1_800);
    let lines = ledger::statement(&mut db, &bank, 0, 1_000).await.unwrap();
    assert_eq!(lines.len(), 2 + 2 * 4 * 15);
    assert_eq!(lines.iter().map(|line| line.amount).sum::<i128>(), lines.last().unwrap().balance);

    // The same under another amount is no repetition, and is said.
    let other = house(EntryKind::Unmatched, "0-0", Units(101));
    assert!(matches!(ledger::book(&mut db, &other).await, Err(store::Error::OtherEntry(_))));
}

#[tokio::test]
async fn money_that_is_not_there_is_neither_set_aside_nor_sent() {
    let books = Books::open().await;
    let mut db = books.store.begin().await.unwrap();
    let too_much = house(EntryKind::LossReserveFunded, "2", Units(300_000_001));
    let refused = ledger::book(&mut db, &too_much).await.expect_err("there are 300.00");
    assert_eq!(refused.to_string(), "'loss_reserve_funded' needs 0.000001 more in bank_cash:main");
    drop(db);

    // Two who would each find enough: the second waits for the first, and finds what is left.
    let spend = |reference: &'static str| {
        let store = books.store.clone();
        async move {
            let mut db = store.begin().await.unwrap();
            ledger::book(&mut db, &house(EntryKind::FloatOrdered, reference, Units(200_000_000))).await?;
            db.commit().await.unwrap();
            Ok::<_, store::Error>(())
        }
    };
    let (one, two) = tokio::join!(spend("a"), spend("b"));
    assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
    books.audited().await;
}

#[tokio::test]
async fn a_bank_is_paid_after_the_burn_and_a_payment_that_comes_back_is_owed_again() {
    let books = Books::open().await;
    let mut db = books.store.begin().await.unwrap();
    // Tokens in circulation, and what backs them.
    let leg = |kind, of, amount| Leg { account: account(kind, of), amount };
    let backed = Entry {
        key: Key { source: "test".into(), reference: "1".into(), kind: EntryKind::Minted },
        phase: Phase::Single,
        legs: vec![leg(AccountKind::Reserve, BANK, 150_000_000), leg(AccountKind::TokenLiability, TOKEN, -150_000_000)],
        covered_by: Vec::new(),
    };
    ledger::book(&mut db, &backed).await.unwrap();
    let link = store::banks::Link {
        tenant_id: "acme".into(),
        user_id: Some("jane".into()),
        enterprise_id: None,
        method: "ach".into(),
        provider: GATE_OUT.into(),
        token: "tok_1".into(),
        last_four: "4321".into(),
        institution: None,
        holder: None,
        state: "active".into(),
    };
    let number = store::banks::Link { token: "4000 1234 5678 9010".into(), ..link.clone() };
    let link = store::banks::link(&mut db, &link).await.unwrap();
    db.commit().await.unwrap();
    let mut db = books.store.begin().await.unwrap();
    assert!(store::banks::link(&mut db, &number).await.is_err(), "a card number was stored");
    drop(db);

    let mut db = books.store.begin().await.unwrap();
    let new = store::withdrawals::NewWithdrawal {
        tenant: "acme",
        who: store::withdrawals::Who::User("jane"),
        link,
        bank: BANK,
        method: store::withdrawals::Method::Ach,
        amount: PRINCIPAL,
        destination: "ACH ••••4321",
        rail: domain::token_rail::TokenRail::Tempo,
        chain: 42431,
        terms_hash: alloy_primitives::B256::repeat_byte(9),
        estimated_arrival: None,
    };
    let id = store::withdrawals::create(&mut db, &new).await.unwrap();
    assert_eq!(store::withdrawals::create(&mut db, &new).await.unwrap(), id);
    db.commit().await.unwrap();

    let burn = terms::TxId::from(alloy_primitives::B256::repeat_byte(7));
    let sent = |trace: &str| W::PayoutSent { trace: trace.into() };
    let tell = async |event: W| {
        let mut db = books.store.begin().await.unwrap();
        let source = store::withdrawals::Source {
            burn: matches!(event, W::Burned { .. }).then_some(&burn),
            payout: matches!(event, W::PayoutSent { .. }).then_some((GATE_OUT, Some("ref"))),
            actor: None,
        };
        let applied = store::withdrawals::apply(&mut db, id, &event, source).await?;
        db.commit().await.unwrap();
        Ok::<_, store::Error>(applied)
    };
    tell(W::Locked).await.unwrap();
    assert!(tell(sent("1")).await.is_err(), "paid before the burn");
    assert!(books.run("UPDATE withdrawals SET status = 'payout_sent'").await.is_err(), "paid without a burn");
    let burned = W::Burned { amount: PRINCIPAL };
    let (one, two) = tokio::join!(tell(burned.clone()), tell(burned));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert!(one != two && [&one, &two].contains(&&store::receipts::Applied::Already), "{one:?} {two:?}");
    assert_eq!(books.audited().await.redemption_payable, 150_000_000);
    tell(sent("1")).await.unwrap();
    assert!(tell(sent("2")).await.is_err(), "paid twice");
    tell(W::PayoutDone { trace: "1".into() }).await.unwrap();
    assert_eq!(books.text("SELECT status || ' ' || amount FROM fiat_reserve").await, "withdrawn -150.000000");
    tell(W::PayoutReturned { trace: "1".into() }).await.unwrap();
    let position = books.audited().await;
    assert_eq!(
        (position.redemption_payable, position.reserve, position.token_liability),
        (150_000_000, 150_000_000, 0)
    );
    tell(sent("2")).await.unwrap();
    tell(W::PayoutDone { trace: "2".into() }).await.unwrap();
    assert_eq!(books.audited().await.owed(), 0);
    assert_eq!(
        books.count("SELECT count(*) FROM audit_log WHERE action = 'OFF_RAMP' AND token_burn_id IS NOT NULL").await,
        2
    );
}
