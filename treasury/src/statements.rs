//! Reading what has really moved. A file is stored line by line under names that stay, so that reading it again stores nothing.

use crate::told::Told;
use crate::{Error, Treasury, commit};
use fiat::statement::{self, Format};
use std::path::PathBuf;
use store::{receipts, treasury};
use time::Date;
use time::macros::format_description;
use tracing::{info, warn};

/// The header in which a server says up to which day its statement is whole.
const AS_OF: &str = "statement-date";

/// What a statement is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The gateway's settlement report.
    Settlement,
    /// A bank account of ours.
    Bank,
}

/// Where statements come from.
#[derive(Clone, Debug)]
pub enum Place {
    /// A server, which says with [`AS_OF`] up to which day the file is whole.
    Url(String),
    /// A folder into which files are put whose names end in their day: `…2026-11-23.csv`.
    Folder(PathBuf),
}

/// One source of statements.
#[derive(Clone, Debug)]
pub struct Feed {
    /// Whose: the gateway's name, or our bank account's.
    pub source: String,
    /// What it is of.
    pub kind: Kind,
    /// Where it comes from.
    pub place: Place,
    /// How it is written.
    pub format: Format,
}

/// A file, and the day up to which it is whole.
struct File {
    name: String,
    bytes: Vec<u8>,
    as_of: Date,
}

impl Treasury {
    /// Reads every feed. One that cannot be read keeps nobody from the others; it is read again in a while.
    pub(crate) async fn read_statements(&self) {
        for feed in self.feeds.iter() {
            if let Err(error) = self.read_feed(feed).await {
                warn!(source = feed.source, %error, "a statement cannot be read: nothing of it was used");
            }
        }
    }

    async fn read_feed(&self, feed: &Feed) -> Result<(), Error> {
        for file in files(feed).await? {
            let told = read(feed, &file)?;
            let mut tx = self.begin().await?;
            let mut news = 0_usize;
            for (name, told) in told {
                let body = told.to_json()?;
                let recorded = receipts::record(&mut tx, &feed.source, &name, "report", &body).await?;
                news += usize::from(recorded.news);
                if !recorded.same {
                    conflict(&mut tx, feed, recorded.id, &name, &body).await?;
                }
            }
            treasury::statement_read(&mut tx, &feed.source, file.as_of).await?;
            commit(tx).await?;
            if news > 0 {
                info!(source = feed.source, file = file.name, news, "statement read");
            }
        }
        Ok(())
    }
}

/// A line says something else than it did: for a person. What was booked stays.
async fn conflict(
    db: &mut store::PgConnection,
    feed: &Feed,
    event: i64,
    name: &str,
    theirs: &serde_json::Value,
) -> Result<(), Error> {
    warn!(source = feed.source, line = name, "a line of a statement was changed");
    let ours = serde_json::json!({ "fiat_event": event });
    let subject = format!("statement/{}/{name}", feed.source);
    store::reconciliation::open_case(db, "changed_line", &subject, None, Some(event), &ours, theirs).await?;
    Ok(())
}

fn read(feed: &Feed, file: &File) -> Result<Vec<(String, Told)>, Error> {
    Ok(match feed.kind {
        Kind::Settlement => {
            let lines = statement::settlement(&feed.source, &file.name, &file.bytes, &feed.format)?.lines;
            lines.iter().map(|line| (line.id.to_string(), Told::of_settlement(line))).collect()
        }
        Kind::Bank => {
            let lines = statement::bank(&feed.source, &file.name, &file.bytes, &feed.format)?.lines;
            lines.iter().map(|line| (line.id.to_string(), Told::of_bank(line))).collect()
        }
    })
}

async fn files(feed: &Feed) -> Result<Vec<File>, Error> {
    let failed = |why: String| Error::Statement { source_name: feed.source.clone(), why };
    match &feed.place {
        Place::Url(url) => {
            let answer = reqwest::get(url).await.and_then(reqwest::Response::error_for_status);
            let answer = answer.map_err(|error| failed(error.without_url().to_string()))?;
            let as_of = answer.headers().get(AS_OF).and_then(|day| day.to_str().ok()).and_then(day);
            let as_of = as_of.ok_or_else(|| failed(format!("the answer has no header {AS_OF} with a day")))?;
            let bytes = answer.bytes().await.map_err(|error| failed(error.without_url().to_string()))?;
            Ok(vec![File { name: format!("{} as of {as_of}", feed.source), bytes: bytes.into(), as_of }])
        }
        Place::Folder(folder) => {
            let io = |error: std::io::Error| failed(format!("{}: {error}", folder.display()));
            let mut found = Vec::new();
            let mut entries = tokio::fs::read_dir(folder).await.map_err(io)?;
            while let Some(entry) = entries.next_entry().await.map_err(io)? {
                let name = entry.file_name().to_string_lossy().into_owned();
                let Some(stem) = name.strip_suffix(".csv") else { continue };
                let end = stem.get(stem.len().saturating_sub(10)..).unwrap_or_default();
                let as_of = day(end)
                    .ok_or_else(|| failed(format!("{name}: the name has to end in its day, 2026-11-23.csv")))?;
                let bytes = tokio::fs::read(entry.path()).await.map_err(io)?;
                found.push(File { name, bytes, as_of });
            }
            found.sort_by(|a, b| (a.as_of, &a.name).cmp(&(b.as_of, &b.name)));
            Ok(found)
        }
    }
}

fn day(text: &str) -> Option<Date> {
    Date::parse(text.trim(), format_description!("[year]-[month]-[day]")).ok()
}
