//! `monay retry`: intents that were given up, back to work.

use crate::Error;
use crate::config::Config;
use alloy_primitives::B256;
use std::fmt::Write;
use store::Store;
use store::repair::Which;

/// Arguments of `monay retry`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  monay retry 0x4f…            one intent, by its id
  monay retry inv_0198…        those of one invoice, by our id or the tenant's number
  monay retry --all            all that were given up

An intent is given up when it was mined 20 times without effect: find out why first (`monay doctor` says which and with
which error). Nothing is done twice by it: the chain refuses what was done, and what is no longer due is dropped.")]
pub struct Args {
    /// The id of an intent (0x and 64 digits) or of an invoice.
    #[arg(required_unless_present = "all")]
    which: Option<String>,
    /// All of them.
    #[arg(long, conflicts_with = "which")]
    all: bool,
    /// Why, for whoever reads the row.
    #[arg(long, default_value = "put back by `monay retry`")]
    note: String,
}

/// Puts them back; says which. An error if there was none.
pub async fn retry(config: &Config, args: &Args) -> Result<String, Error> {
    let which = match args.which.as_deref() {
        None => Which::All,
        Some(text) if text.starts_with("0x") => {
            let id = text.parse::<B256>();
            Which::Intent(id.map_err(|_| Error::Config(format!("'{text}' is no intent: 0x and 64 digits")))?)
        }
        Some(text) => Which::Invoice(text),
    };
    let store = Store::connect(&config.database_url, 1).await?;
    let mut tx = store.begin().await?;
    let put_back = store::repair::retry(&mut tx, config.chain()?.1.id, which, &args.note).await?;
    tx.commit().await?;
    store.close().await;
    if put_back.is_empty() && !matches!(which, Which::All) {
        return Err(Error::Config("no intent of that name was given up: `monay doctor` says which were".to_owned()));
    }
    let mut told = format!("{} put back to work\n", put_back.len());
    for intent in &put_back {
        let error = intent.error.as_deref().unwrap_or("no reason noted");
        // Writing to a string cannot fail.
        let _ = writeln!(told, "{} {} of {} ({}): {error}", intent.kind, intent.intent, intent.number, intent.invoice);
        tracing::info!(invoice = intent.invoice, intent = %intent.intent, "put back by an operator");
    }
    Ok(told)
}
