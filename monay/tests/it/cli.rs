//! The program as somebody runs it: a process of its own.

use std::process::Stdio;
use tokio::process::Command;

/// What a command printed, and how it ended.
#[derive(Clone, Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Both, for messages and scans.
    pub(crate) fn all(&self) -> String {
        format!("{}{}", self.out, self.err)
    }

    /// The exit code was this, and something printed says that.
    #[track_caller]
    pub(crate) fn says(&self, code: i32, what: &str) -> &Self {
        assert!(self.code == Some(code) && self.all().contains(what), "not {code} with '{what}': {self:#?}");
        self
    }
}

/// Runs the program with nothing in its environment but what is given.
pub(crate) async fn monay(arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_monay"))
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    Ran {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}
