//! The schema keeps its promises by itself.

use crate::net::{Net, Wish};
use sqlx::{AssertSqlSafe, Executor, SqlSafeStr};

#[tokio::test]
async fn every_statement_prepares_against_the_migrated_schema() {
    let net = Net::start().await;
    let mut db = net.stack.store.pool().acquire().await.unwrap();
    let mut prepared = 0;
    for (name, sql) in store::all_statements() {
        db.prepare(AssertSqlSafe(sql).into_sql_str()).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        prepared += 1;
    }
    assert!(prepared > 40, "only {prepared} statements are listed");
}

/// What Postgres itself must refuse, whoever asks.
#[tokio::test]
async fn the_database_refuses_what_must_never_be_stored() {
    let net = Net::start().await;
    net.issue(Wish::default()).await;
    for (what, sql) in [
        ("an amount above u128", "UPDATE invoices SET paid_units = 340282366920938463463374607431768211456"),
        ("a negative amount", "UPDATE invoice_wallets SET balance_units = -1"),
        ("more paid on a chain than invoiced", "UPDATE invoice_terms SET paid_units = amount_units + 1"),
        ("an address of no chain", "UPDATE invoice_terms SET purse = '\\x0011'"),
        ("terms of two kinds of chain", "UPDATE invoice_terms SET payee = decode(repeat('11', 32), 'hex')"),
        ("terms that disagree with the invoice", "UPDATE invoice_terms SET amount_units = amount_units + 1"),
        ("terms that close at another time", "UPDATE invoice_terms SET closes_at = closes_at + 1"),
        ("a generated amount written by hand", "UPDATE invoices SET amount = 1"),
        ("a change of history", "UPDATE wallet_lifecycle_events SET event_type = 'other'"),
        ("a loss of history", "DELETE FROM wallet_lifecycle_events"),
        ("an unknown status", "UPDATE invoices SET status = 'almost'"),
        (
            "a second wallet for an invoice",
            "INSERT INTO invoice_wallets (tenant_id, invoice_id, wallet_id, wallet_type,
            spending_limit_units) SELECT tenant_id, invoice_id, 'other', wallet_type, 1 FROM invoice_wallets",
        ),
    ] {
        assert!(sqlx::query(sql).execute(net.stack.store.pool()).await.is_err(), "{what} was stored");
    }
    assert_eq!(net.count("SELECT count(*) FROM invoices WHERE amount = 150.00 AND paid_amount = 0").await, 1);
}

#[tokio::test]
async fn migrating_twice_changes_nothing_and_another_deployment_is_refused() {
    let net = Net::start().await;
    monay::setup::migrate(&net.stack.config).await.unwrap();
    let mut other = net.stack.config.clone();
    other.chains.get_mut("base").unwrap().settle_at = domain::tier::Tier::Safe;
    let error = monay::setup::migrate(&other).await.unwrap_err().to_string();
    assert!(error.contains("use another database"), "{error}");
    let mut elsewhere = net.stack.config.clone();
    elsewhere.chains.get_mut("base").unwrap().escrow = alloy_primitives::Address::repeat_byte(9);
    let error = monay::setup::migrate(&elsewhere).await.unwrap_err().to_string();
    assert!(error.contains("no contract at the escrow address"), "{error}");
}

#[tokio::test]
async fn our_own_numbers_go_on_after_the_millionth() {
    let net = Net::start().await;
    sqlx::query("SELECT setval('invoice_numbers', 999998)").execute(net.stack.store.pool()).await.unwrap();
    for _ in 0..3 {
        net.issue(Wish::default()).await;
    }
    let count = "SELECT count(*) FROM invoices WHERE number ~ '^INV-[0-9]{4}-(999999|1000000|1000001)$'";
    assert_eq!(net.count(count).await, 3);
}
