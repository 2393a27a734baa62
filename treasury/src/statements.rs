//! Reading what has really moved. A file is stored line by line under names that stay, so that reading it again stores nothing.

use crate::told::Told;
use crate::{Error, Treasury, commit};
use fiat::sources::{Feed, File, Kind};
use fiat::statement;
use store::{receipts, treasury};
use tracing::{info, warn};

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
        for file in feed.files().await? {
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
