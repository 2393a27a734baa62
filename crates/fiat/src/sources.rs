//! Where what has really moved is read, as configuration: one file, for whoever reads it by himself.
//!
//! The treasury books by it, and each attestor checks by it what was booked: with connections of its own, and best with keys of
//! its own at the provider and the bank.

use crate::statement::Format;
use crate::{Error, tilli};
use reqwest::Url;
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;
use time::Date;
use time::macros::format_description;

/// The header in which a server says up to which day its statement is whole.
pub const AS_OF: &str = "statement-date";

/// The longest that is waited for a statement.
const PATIENCE: Duration = Duration::from_secs(30);

/// The file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sources {
    /// Our bank account that the reserve is held at.
    pub bank: String,
    /// The gateway, where one collects for us.
    pub gateway: Option<tilli::Config>,
    /// What says what has moved.
    #[serde(default)]
    pub statements: Vec<Feed>,
}

/// What a statement is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The gateway's settlement report.
    Settlement,
    /// A bank account of ours.
    Bank,
}

/// Where statements come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A server, which says with [`AS_OF`] up to which day the file is whole.
    Url(Url),
    /// A folder into which files are put whose names end in their day: `…2026-11-23.csv`.
    Folder(PathBuf),
}

/// One source of statements.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
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

/// A source, as it stands in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    source: String,
    kind: Kind,
    url: Option<String>,
    folder: Option<PathBuf>,
    #[serde(default)]
    format: Format,
}

impl TryFrom<Written> for Feed {
    type Error = Error;

    fn try_from(written: Written) -> Result<Self, Error> {
        let Written { source, kind, url, folder, format } = written;
        let wrong = |why: String| Error::Configuration(format!("statements of '{source}': {why}"));
        let place = match (url, folder) {
            (Some(url), None) => Place::Url(safe(&url).map_err(wrong)?),
            (None, Some(folder)) => Place::Folder(folder),
            _ => return Err(wrong("give either url or folder".to_owned())),
        };
        Ok(Self { source, kind, place, format })
    }
}

/// A URL whose answer nobody on the way can have written.
fn safe(url: &str) -> Result<Url, String> {
    let url = Url::parse(url).map_err(|error| format!("url: this is no URL: {error}"))?;
    let here = url.host_str().is_some_and(|host| matches!(host, "127.0.0.1" | "localhost" | "[::1]"));
    if url.scheme() != "https" && !(url.scheme() == "http" && here) {
        return Err("url: it must begin with https:// (http:// only on this machine)".to_owned());
    }
    Ok(url)
}

/// A file, and the day up to which it is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// What it is called, for people.
    pub name: String,
    /// What is in it.
    pub bytes: Vec<u8>,
    /// The day.
    pub as_of: Date,
}

impl Feed {
    /// All files there are now, the oldest first.
    pub async fn files(&self) -> Result<Vec<File>, Error> {
        match &self.place {
            Place::Url(url) => Ok(vec![self.fetch(url).await?]),
            Place::Folder(folder) => {
                let doing = || format!("read the statements of {} in {}", self.source, folder.display());
                let mut found = Vec::new();
                let mut entries = tokio::fs::read_dir(folder).await.map_err(Error::io(doing()))?;
                while let Some(entry) = entries.next_entry().await.map_err(Error::io(doing()))? {
                    let name = entry.file_name().to_string_lossy().into_owned();
                    let Some(stem) = name.strip_suffix(".csv") else { continue };
                    let end = stem.get(stem.len().saturating_sub(10)..).unwrap_or_default();
                    let as_of = day(end)
                        .ok_or_else(|| self.odd(&format!("{name}: the name has to end in its day, 2026-11-23.csv")))?;
                    let bytes = tokio::fs::read(entry.path()).await.map_err(Error::io(doing()))?;
                    found.push(File { name, bytes, as_of });
                }
                found.sort_by(|a, b| (a.as_of, &a.name).cmp(&(b.as_of, &b.name)));
                Ok(found)
            }
        }
    }

    async fn fetch(&self, url: &Url) -> Result<File, Error> {
        // A URL may have a key in it, so it is in no error.
        let failed = |error: reqwest::Error| {
            let error = error.without_url();
            Error::Unreachable(format!("the statements of {}: {error}", self.source))
        };
        // Set once for the process; a second time is refused and harmless.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // A redirect would have the statement come from wherever it says.
        let http = reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none());
        let answer = http.build().map_err(failed)?.get(url.clone()).send().await.map_err(failed)?;
        if !answer.status().is_success() {
            return Err(self.odd(&format!("the server answers {}", answer.status())));
        }
        let as_of = answer.headers().get(AS_OF).and_then(|day| day.to_str().ok()).and_then(day);
        let as_of = as_of.ok_or_else(|| self.odd(&format!("the answer has no header {AS_OF} with a day")))?;
        let bytes = answer.bytes().await.map_err(failed)?.into();
        Ok(File { name: format!("{} as of {as_of}", self.source), bytes, as_of })
    }

    fn odd(&self, why: &str) -> Error {
        Error::Nonsense(format!("the statements of {}: {why}", self.source))
    }
}

fn day(text: &str) -> Option<Date> {
    Date::parse(text.trim(), format_description!("[year]-[month]-[day]")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Sources, String> {
        toml::from_str(text).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn sources_are_read_and_what_makes_no_sense_is_refused_by_name() {
        let feed = "bank = \"main\"\n[[statements]]\nsource = \"main\"\nkind = \"bank\"\n";
        let good = read(&format!("{feed}folder = \"in\"\n[statements.format]\ndates = \"us\"\n")).unwrap();
        assert_eq!((good.bank.as_str(), good.statements.len(), good.gateway), ("main", 1, None));
        assert_eq!(good.statements[0].place, Place::Folder("in".into()));
        assert_eq!(good.statements[0].format.dates, crate::statement::Dates::Us);
        for (more, why) in [
            ("", "either url or folder"),
            ("folder = \"in\"\nurl = \"https://bank.example/a.csv\"", "either url or folder"),
            ("url = \"http://bank.example/a.csv\"", "https://"),
            ("url = \"bank\"", "no URL"),
            ("folder = \"in\"\ncolour = 1", "colour"),
            ("folder = \"in\"\n[statements.format]\ncolour = 1", "colour"),
        ] {
            let said = read(&format!("{feed}{more}\n")).unwrap_err();
            assert!(said.contains(why), "{more}: {said}");
        }
        assert!(read("bank = \"main\"\ncolour = 1\n").unwrap_err().contains("colour"));
        assert!(read("").unwrap_err().contains("bank"));
    }

    #[tokio::test]
    async fn files_of_a_folder_come_by_their_day_and_one_without_is_refused() {
        let folder = std::env::temp_dir().join(format!("monay-sources-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for name in ["b-2026-11-22.csv", "a-2026-11-23.csv", "2026-11-21.csv", "notes.txt"] {
            std::fs::write(folder.join(name), name).unwrap();
        }
        let (source, place) = ("main".to_owned(), Place::Folder(folder.clone()));
        let feed = Feed { source, kind: Kind::Bank, place, format: Format::default() };
        let names: Vec<String> = feed.files().await.unwrap().into_iter().map(|file| file.name).collect();
        assert_eq!(names, ["2026-11-21.csv", "b-2026-11-22.csv", "a-2026-11-23.csv"]);
        std::fs::write(folder.join("latest.csv"), "").unwrap();
        assert!(feed.files().await.unwrap_err().to_string().contains("latest.csv: the name has to end in its day"));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
