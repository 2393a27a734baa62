//! The local networks, really started and really stopped.

#![allow(clippy::unwrap_used, clippy::panic)] // Helpers of tests are no tests to clippy.

mod anvil;
mod circle;
mod contracts;
mod postgres;
mod surfpool;
mod tilli;

use std::path::Path;
use std::time::{Duration, Instant};
use std::{panic, process, thread};

use test_chain::Process;

/// Whether a process runs. A zombie does not.
fn runs(pid: u32) -> bool {
    let output = process::Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output().unwrap();
    let state = String::from_utf8(output.stdout).unwrap();
    !state.trim().is_empty() && !state.trim().starts_with('Z')
}

/// What a server leaves when it is told nothing: neither process nor directory, within a few seconds.
fn is_gone_soon(pid: u32, directory: &Path) {
    let begin = Instant::now();
    while runs(pid) || directory.exists() {
        assert!(
            begin.elapsed() < Duration::from_secs(15),
            "{pid} runs: {}, {directory:?} is there: {}",
            runs(pid),
            directory.exists()
        );
        thread::sleep(Duration::from_millis(20));
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// Runs a test that panics, without its noise.
fn panicking(test: impl FnOnce() + Send + 'static) {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let result = thread::spawn(test).join();
    panic::set_hook(hook);
    assert!(result.is_err());
}

/// Starts both, tells where they are, and waits to be killed. Run by the test below, in a process of its own.
#[test]
#[ignore = "only as a child of `a_killed_process_leaves_nothing_either`"]
fn holds_servers_until_killed() {
    runtime().block_on(async {
        let postgres = test_chain::Postgres::start(test_chain::PostgresOptions::for_tests()).await.unwrap();
        let anvil = test_chain::Anvil::start(test_chain::AnvilOptions::default()).await.unwrap();
        let surfpool = test_chain::Surfpool::start(test_chain::SurfpoolOptions::default()).await.unwrap();
        let (pg, directory) = (postgres.pid().unwrap(), postgres.directory().unwrap().display());
        let (at, surf) = (anvil.directory().display(), surfpool.directory().display());
        println!("\nheld {pg} {directory} {} {at} {} {surf}", anvil.pid().unwrap(), surfpool.pid().unwrap());
        tokio::time::sleep(Duration::from_secs(60)).await;
    });
}

#[test]
fn a_killed_process_leaves_nothing_either() {
    use std::io::{BufRead, BufReader};

    let mut child = process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "holds_servers_until_killed", "--ignored", "--nocapture"])
        .stdout(process::Stdio::piped())
        .spawn()
        .unwrap();
    let line = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(|line| line.unwrap())
        .find(|line| line.starts_with("held "))
        .unwrap();
    let words: Vec<&str> = line.split(' ').collect();
    let held = [1, 3, 5].map(|at| (words[at].parse().unwrap(), Path::new(words[at + 1])));
    assert!(held.iter().all(|(pid, directory)| runs(*pid) && directory.exists()));
    child.kill().unwrap();
    child.wait().unwrap();
    held.iter().for_each(|(pid, directory)| is_gone_soon(*pid, directory));
}

#[tokio::test]
async fn any_program_can_be_looked_after() {
    let sleep = || {
        let mut command = process::Command::new("sleep");
        command.arg("60");
        Process::start(command).unwrap()
    };
    let mut crashed = sleep();
    let pid = crashed.pid().unwrap();
    assert!(runs(pid) && crashed.exited().is_none());
    crashed.kill();
    assert!(!runs(pid) && crashed.pid().is_none());

    let stopped = sleep();
    let pid = stopped.pid().unwrap();
    stopped.stop().await;
    assert!(!runs(pid));

    let mut ended = Process::start(process::Command::new("false")).unwrap();
    let directory = ended.directory().to_owned();
    let status = loop {
        match ended.exited() {
            Some(status) => break status,
            None => thread::sleep(Duration::from_millis(5)),
        }
    };
    assert_eq!(status.code(), Some(1));
    drop(ended);
    assert!(!directory.exists());
}
