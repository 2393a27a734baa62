//! `docs/SCHEMA.md` is what a migrated database has, and has what the specification names.

use crate::cli::monay;
use crate::net::Net;
use store::schema::Schema;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/SCHEMA.md");
const WANTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/spec-tables.txt");

/// Pieces of work that are done: what belongs to them must be there.
const DONE: std::ops::RangeInclusive<u32> = 1..=3;

async fn schema(net: &Net) -> Schema {
    let mut db = net.stack.store.begin().await.unwrap();
    store::schema::describe(&mut db).await.unwrap()
}

#[tokio::test]
async fn the_schema_that_is_written_down_is_the_live_one() {
    let net = Net::start().await;
    let config = net.stack.config_file().display().to_string();
    let live = monay(&["--config", &config, "schema"], &[]).await;
    assert_eq!(live.code, Some(0), "{}", live.err);
    if std::env::var_os("MONAY_WRITE_SCHEMA").is_some() {
        std::fs::write(DOCUMENT, &live.out).unwrap();
    }
    let written = std::fs::read_to_string(DOCUMENT).unwrap_or_default();
    let differs = written.lines().zip(live.out.lines()).find(|(written, live)| written != live);
    assert!(
        written == live.out,
        "docs/SCHEMA.md is not what the database has, first here: {differs:?}. Write it again with \
         `MONAY_WRITE_SCHEMA=1 cargo nextest run -p monay the_schema_that_is_written_down`"
    );
}

#[tokio::test]
async fn every_table_says_what_it_is_for() {
    let net = Net::start().await;
    let schema = schema(&net).await;
    assert!(schema.tables.len() >= 20);
    let silent: Vec<_> =
        schema.tables.iter().filter(|table| table.comment.is_none()).map(|table| &table.name).collect();
    assert!(silent.is_empty(), "COMMENT ON TABLE is missing for {silent:?}: write it in the migration that makes them");
}

/// A line of the list: `table.column [pieces of work]`, or `table [..]`.
#[tokio::test]
async fn the_specifications_tables_and_columns_are_there_as_far_as_the_work_is_done() {
    let net = Net::start().await;
    let schema = schema(&net).await;
    let has = |name: &str| {
        let (table, column) = name.split_once('.').map_or((name, None), |(table, column)| (table, Some(column)));
        let table = schema.tables.iter().find(|known| known.name == table);
        table.is_some_and(|table| column.is_none_or(|column| table.columns.iter().any(|known| known.name == column)))
    };
    let list = std::fs::read_to_string(WANTED).unwrap();
    let (mut checked, mut missing, mut later) = (0, Vec::new(), Vec::new());
    for line in list.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (name, work) = line.split_once(" [").unwrap_or_else(|| panic!("no piece of work: {line}"));
        let work: u32 = work.trim_end_matches(']').parse().unwrap_or_else(|_| panic!("no piece of work: {line}"));
        checked += 1;
        match has(name) {
            true => {}
            false if DONE.contains(&work) => missing.push(line),
            false => later.push(line),
        }
    }
    println!("{checked} names; {} belong to later work and are not there yet:\n{}", later.len(), later.join("\n"));
    assert!(missing.is_empty(), "of the specification's tables these are missing: {missing:#?}");
    assert!(checked > 150 && !later.is_empty(), "the list is not whole: {checked}");
}
