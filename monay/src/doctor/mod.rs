//! `monay doctor`: looks at the whole installation and says what is missing, what lags and what is stuck, each with what
//! to do. First everything is read ([`facts`]), then a table of small functions judges it ([`checks`]).

mod checks;
mod facts;

use crate::Error;
use crate::config::Config;
use checks::CHECKS;
use facts::Facts;
use serde::Serialize;
use std::process::ExitCode;

/// Arguments of `monay doctor`.
#[derive(Clone, Copy, Debug, clap::Args)]
#[command(after_help = "\
It reads and changes nothing. It needs the same configuration and the same key files as the services.

Exit codes:
  0  all is well
  1  something is wrong
  2  nothing is known to be wrong, and something could not be looked at

Examples:
  monay --config monay.toml doctor
  monay doctor --json | jq '.checks[] | select(.state != \"ok\")'")]
pub struct Args {
    /// As JSON, for machines.
    #[arg(long)]
    json: bool,
}

/// What a check has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// As it should be; what was looked at.
    Ok(String),
    /// Wrong; each in a sentence.
    Wrong(Vec<String>),
    /// Nobody knows, and why.
    Unknown(String),
}

/// How bad it is when a check finds something wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// Services do not start, or nothing moves.
    Critical,
    /// Some invoices wait.
    Degraded,
    /// It will be trouble if nobody looks.
    Attention,
}

/// One thing that is looked at.
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) severity: Severity,
    /// What to do when it is wrong.
    pub(crate) advice: &'static str,
    pub(crate) look: fn(&Facts) -> Finding,
}

/// What is told of one check.
#[derive(Debug, Serialize)]
struct Told {
    name: &'static str,
    state: &'static str,
    severity: Severity,
    says: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct Report {
    state: &'static str,
    checks: Vec<Told>,
}

const OK: &str = "ok";
const WRONG: &str = "wrong";
const UNKNOWN: &str = "unknown";

/// Looks, prints, and answers with an exit code. A configuration that cannot be read is itself what is wrong.
pub async fn run(config: Result<Config, Error>, args: &Args) -> ExitCode {
    let report = match config {
        Ok(config) => judge(&Facts::read(&config).await),
        Err(error) => unreadable(&error),
    };
    if args.json {
        match serde_json::to_string_pretty(&report) {
            Ok(text) => println!("{text}"),
            Err(error) => eprintln!("monay: {error}"),
        }
    } else {
        print!("{}", words(&report));
    }
    match report.state {
        OK => ExitCode::SUCCESS,
        WRONG => ExitCode::from(1),
        _ => ExitCode::from(2),
    }
}

fn judge(facts: &Facts) -> Report {
    let mut told = Vec::with_capacity(CHECKS.len());
    for check in CHECKS {
        let (state, says, advice) = match (check.look)(facts) {
            Finding::Ok(what) => (OK, vec![what], None),
            Finding::Wrong(what) => (WRONG, what, Some(check.advice)),
            Finding::Unknown(why) => (UNKNOWN, vec![why], None),
        };
        told.push(Told { name: check.name, state, severity: check.severity, says, advice });
    }
    let state = [WRONG, UNKNOWN].into_iter().find(|state| told.iter().any(|told| told.state == *state));
    Report { state: state.unwrap_or(OK), checks: told }
}

fn unreadable(error: &Error) -> Report {
    let told = Told {
        name: "configuration",
        state: WRONG,
        severity: Severity::Critical,
        says: vec![error.to_string()],
        advice: Some("give the services' file with --config, or set the keys that are missing as MONAY__…"),
    };
    Report { state: WRONG, checks: vec![told] }
}

fn words(report: &Report) -> String {
    let mut text = String::new();
    for told in &report.checks {
        let mark = if told.state == OK {
            "ok     "
        } else if told.state == WRONG {
            "WRONG  "
        } else {
            "?      "
        };
        for (at, says) in told.says.iter().enumerate() {
            let (mark, name) = if at == 0 { (mark, told.name) } else { ("       ", "") };
            text.push_str(&format!("{mark}{name:<14} {says}\n"));
        }
        if let Some(advice) = told.advice {
            text.push_str(&format!("       {:<14} → {advice}\n", ""));
        }
    }
    let count = |state: &str| report.checks.iter().filter(|told| told.state == state).count();
    let sum = match report.state {
        OK => "All is well.".to_owned(),
        WRONG => format!("{} of {} checks found something wrong.", count(WRONG), report.checks.len()),
        _ => format!("{} of {} checks could not be made.", count(UNKNOWN), report.checks.len()),
    };
    text + &sum + "\n"
}
