//! PostgreSQL starts, answers, stops, and leaves nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::mpsc;

use sqlx::{Connection, PgConnection};
use test_chain::{Error, Postgres, PostgresOptions, Progress};

use crate::{is_gone_soon, panicking, runs, runtime};

async fn one(url: &str) -> i32 {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let one = sqlx::query_scalar("SELECT 1").fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    one
}

fn temporary(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("monay-test-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    folder
}

#[tokio::test]
async fn starts_answers_stops_and_leaves_nothing() {
    let (sender, said) = mpsc::channel();
    let progress = Progress::new(move |sentence| sender.send(sentence.to_owned()).unwrap());
    let postgres = Postgres::start(PostgresOptions { progress, ..PostgresOptions::for_tests() }).await.unwrap();
    let (pid, directory) = (postgres.pid().unwrap(), postgres.directory().unwrap().to_owned());
    println!("this ran on {}", postgres.source());
    assert!(postgres.source().contains("PostgreSQL 1"), "{}", postgres.source());
    assert!(said.try_iter().last().unwrap().ends_with("is ready"));
    assert!(runs(pid));
    assert_eq!(directory.metadata().unwrap().permissions().mode() & 0o777, 0o700);

    assert_eq!(one(&postgres.url()).await, 1);
    assert_eq!(one(&postgres.create_database("monay_one").await.unwrap()).await, 1);
    let (a, b) = tokio::join!(postgres.fresh_database(), postgres.fresh_database());
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_ne!(a, b);
    assert_eq!(one(&a).await, 1);
    assert!(matches!(postgres.create_database("monay_one").await, Err(Error::Database { .. })));
    assert!(matches!(postgres.create_database("x; DROP DATABASE y").await, Err(Error::DatabaseName(_))));

    // Somebody is connected: the server stops all the same.
    let _held = PgConnection::connect(&b).await.unwrap();
    postgres.stop().await;
    assert!(!runs(pid));
    assert!(!directory.exists());
}

#[test]
fn leaves_nothing_after_a_panic() {
    let (sender, started) = mpsc::channel();
    panicking(move || {
        runtime().block_on(async {
            let postgres = Postgres::start(PostgresOptions::for_tests()).await.unwrap();
            sender.send((postgres.pid().unwrap(), postgres.directory().unwrap().to_owned())).unwrap();
            panic!("a failed assertion");
        });
    });
    let (pid, directory) = started.recv().unwrap();
    is_gone_soon(pid, &directory);
}

#[tokio::test]
async fn listens_on_tcp_with_a_password_and_two_do_not_clash() {
    let options = PostgresOptions { port: Some(0), ..PostgresOptions::for_tests() };
    let (a, b) = tokio::join!(Postgres::start(options.clone()), Postgres::start(options.clone()));
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_ne!(a.url(), b.url());
    assert!(a.url().contains("@127.0.0.1:"), "{}", a.url());
    assert_eq!(one(&a.url()).await, 1);
    assert_eq!(one(&b.url()).await, 1);

    let (before, after) = a.url().split_once('@').map(|(before, after)| (before.to_owned(), after.to_owned())).unwrap();
    let (_, password) = before.rsplit_once(':').unwrap();
    let guessed = format!("postgres://monay:{}@{after}", password.replace(|_: char| true, "0"));
    assert!(PgConnection::connect(&guessed).await.is_err(), "any password will do");

    // A port that is taken is said to be, and not replaced by another.
    let port: u16 = after.split([':', '/']).nth(1).unwrap().parse().unwrap();
    let error = Postgres::start(PostgresOptions { port: Some(port), ..options }).await.unwrap_err();
    assert!(error.to_string().contains("ddress already in use"), "{error}");
}

#[tokio::test]
async fn uses_one_that_is_given_and_cleans_up_there() {
    let ours = Postgres::start(PostgresOptions::for_tests()).await.unwrap();
    let options = PostgresOptions { url: Some(ours.url()), ..PostgresOptions::for_tests() };
    let given = Postgres::start(options).await.unwrap();
    assert!(given.pid().is_none());
    assert!(given.source().ends_with("that was given"), "{}", given.source());
    let url = given.create_database("monay_borrowed").await.unwrap();
    let _held = PgConnection::connect(&url).await.unwrap();
    given.stop().await;
    assert!(PgConnection::connect(&url).await.is_err(), "the database is still there");
    assert_eq!(one(&ours.url()).await, 1);
}

#[tokio::test]
async fn keeps_data_where_it_is_told_to() {
    let folder = temporary("keep");
    let options = PostgresOptions { keep_in: Some(folder.clone()), port: Some(0), ..PostgresOptions::for_tests() };
    let postgres = Postgres::start(options.clone()).await.unwrap();
    postgres.create_database("monay_kept").await.unwrap();
    postgres.stop().await;
    let postgres = Postgres::start(options).await.unwrap();
    assert_eq!(one(&postgres.url_of("monay_kept").unwrap()).await, 1);
    let directory = postgres.directory().unwrap().to_owned();
    drop(postgres);
    assert!(!directory.exists());
    fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn says_what_is_wrong_with_a_folder_of_programs() {
    let folder = temporary("programs");
    let options = PostgresOptions { programs: Some(folder.clone()), ..PostgresOptions::for_tests() };
    let error = Postgres::start(options.clone()).await.unwrap_err().to_string();
    assert!(error.contains("there is no `initdb` in it"), "{error}");

    fs::create_dir_all(&folder).unwrap();
    for program in ["initdb", "postgres"] {
        fs::write(folder.join(program), "#!/bin/sh\necho 'postgres (PostgreSQL) 14.2'\n").unwrap();
        fs::set_permissions(folder.join(program), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let error = Postgres::start(options).await.unwrap_err().to_string();
    fs::remove_dir_all(&folder).unwrap();
    assert!(error.contains("it is version 14.2, and 15 or newer is needed"), "{error}");
}
