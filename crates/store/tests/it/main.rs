//! The books, on real Postgres: what it refuses by itself, and what many writers at once do to it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ledger;
mod receipts;

use alloy_primitives::B256;
use domain::ledger::{Entry, EntryKind, Key, Location, Names, Part, Phase};
use domain::money::Units;
use domain::receipt::{FiatRail, RiskTier};
use sqlx::AssertSqlSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use store::receipts::NewReceipt;
use store::{PgConnection, Store};
use test_chain::{Postgres, PostgresOptions};
use uuid::Uuid;

pub(crate) const BANK: &str = "main";
pub(crate) const GATE: &str = "tilli";
pub(crate) const TOKEN: &str = "tempo/42431";
pub(crate) const PRINCIPAL: Units = Units(150_000_000);
pub(crate) const FEE: Units = Units(2_500_000);

/// A migrated database with a tenant, a customer, a bank account and some capital.
pub(crate) struct Books {
    pub(crate) store: Store,
    pub(crate) url: String,
    _postgres: Postgres,
}

impl Books {
    pub(crate) async fn open() -> Self {
        let options = PostgresOptions { url: std::env::var("DATABASE_URL").ok(), ..PostgresOptions::for_tests() };
        let postgres = Postgres::start(options).await.unwrap();
        let url = postgres.fresh_database().await.unwrap();
        let store = Store::connect(&url, 20).await.unwrap();
        store.migrate().await.unwrap();
        let books = Self { store, url, _postgres: postgres };
        for sql in [
            "INSERT INTO tenants (id, name) VALUES ('acme', 'Acme')",
            "INSERT INTO users (id, tenant_id, email) VALUES ('jane', 'acme', 'jane@example.com')",
            "INSERT INTO chains (chain_id, name, kind, genesis_hash, escrow, token, settler, gate, settle_tier, start_number, tip_number,
                tip_hash, tip_timestamp, safe_number, final_number, final_timestamp)
                SELECT 42431, 'tempo', 'tempo', h, a, a, a, a, 'safe', 0, 0, h, 0, 0, 0, 0
                FROM (SELECT decode(repeat('11', 32), 'hex') AS h, decode(repeat('22', 20), 'hex') AS a) x",
        ] {
            books.run(sql).await.unwrap();
        }
        let mut db = books.store.begin().await.unwrap();
        store::banks::put(&mut db, BANK, "The bank", Some("6789"), true).await.unwrap();
        for (kind, units) in [(EntryKind::CapitalPaidIn, 500_000_000), (EntryKind::LossReserveFunded, 200_000_000)] {
            assert!(store::ledger::book(&mut db, &house(kind, "1", Units(units))).await.unwrap());
        }
        db.commit().await.unwrap();
        books
    }

    pub(crate) async fn run(&self, sql: &str) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(self.store.pool()).await.map(|_| ())
    }

    pub(crate) async fn text(&self, sql: &'static str) -> String {
        sqlx::query_scalar::<_, Option<String>>(sql).fetch_one(self.store.pool()).await.unwrap().unwrap_or_default()
    }

    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(self.store.pool()).await.unwrap()
    }

    pub(crate) async fn receipt(&self, rail: FiatRail) -> Uuid {
        let mut db = self.store.begin().await.unwrap();
        let id = receipt(&mut db, rail).await;
        db.commit().await.unwrap();
        id
    }

    /// The books hold, line by line.
    pub(crate) async fn audited(&self) -> domain::ledger::Position {
        let mut db = self.store.snapshot().await.unwrap();
        assert_eq!(store::ledger::audit(&mut db).await.unwrap(), Vec::<String>::new());
        store::ledger::position(&mut db).await.unwrap()
    }
}

pub(crate) async fn receipt(db: &mut PgConnection, rail: FiatRail) -> Uuid {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let new = NewReceipt {
        tenant: "acme",
        user: Some("jane"),
        invoice: None,
        deposit: B256::left_padding_from(&number.to_be_bytes()),
        rail,
        risk: RiskTier::Normal,
        provider: GATE,
        request: &format!("req-{number}"),
        bank: BANK,
        link: None,
        principal: PRINCIPAL,
        fee: if rail == FiatRail::Card { FEE } else { Units(0) },
    };
    store::receipts::create(db, &new).await.unwrap()
}

pub(crate) fn house(kind: EntryKind, reference: &str, amount: Units) -> Entry {
    let names = Names {
        bank: Some(BANK.into()),
        provider: Some(GATE.into()),
        place: Some(Location::Bank(BANK.into())),
        ..Names::default()
    };
    let key = Key { source: "house".into(), reference: reference.into(), kind };
    Entry::new(key, Phase::Single, &names, &[(Part::Amount, amount)]).unwrap()
}
