//! Lists: newest first, a page at a time.

use super::http::Door;
use crate::Error;
use serde::de::DeserializeOwned;
use std::collections::HashSet;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The most things on a page.
pub const PAGE_SIZE: u8 = 50;

/// The most pages that are read in one go; a list that is longer has to be asked for by time.
const MAX_PAGES: usize = 2_000;

/// Where a page is. Circle takes one or the other, never both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// What is older than the thing with this id.
    After(String),
    /// What is newer than it.
    Before(String),
}

/// Which part of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Not older than this, inclusive.
    pub from: Option<OffsetDateTime>,
    /// Not newer than this, inclusive.
    pub to: Option<OffsetDateTime>,
    /// Which page; none: the newest.
    pub cursor: Option<Cursor>,
    /// How many on a page, at most [`PAGE_SIZE`], which is also what it is without.
    pub size: Option<u8>,
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// Newest first.
    pub items: Vec<T>,
    /// Where older ones are; none: there are none.
    pub older: Option<Cursor>,
}

/// Things in lists have ids.
pub(super) trait Listed: DeserializeOwned {
    fn id(&self) -> &str;
}

macro_rules! listed {
    ($($name:ident),+) => {$(
        impl Listed for super::$name {
            fn id(&self) -> &str {
                self.id.as_str()
            }
        }
    )+};
}
listed!(Deposit, Payout, Recipient, Transfer);

impl Window {
    fn query(&self) -> Result<Vec<(&'static str, String)>, Error> {
        let mut query = Vec::new();
        for (name, time) in [("from", self.from), ("to", self.to)] {
            if let Some(time) = time {
                let time = time.format(&Rfc3339).map_err(|error| Error::Input(format!("{name}: {error}")))?;
                query.push((name, time));
            }
        }
        match &self.cursor {
            Some(Cursor::After(id)) => query.push(("pageAfter", id.clone())),
            Some(Cursor::Before(id)) => query.push(("pageBefore", id.clone())),
            None => {}
        }
        query.push(("pageSize", self.size().to_string()));
        Ok(query)
    }

    fn size(&self) -> u8 {
        self.size.unwrap_or(PAGE_SIZE).clamp(1, PAGE_SIZE)
    }
}

pub(super) async fn page<T: Listed>(
    door: &Door,
    path: &str,
    filter: &[(&str, &str)],
    window: &Window,
) -> Result<Page<T>, Error> {
    let own = window.query()?;
    let query: Vec<(&str, &str)> =
        filter.iter().copied().chain(own.iter().map(|(name, value)| (*name, value.as_str()))).collect();
    let answer = door.get(path, &query).await?;
    let items: Vec<T> = answer.data()?;
    // The header is not in Circle's own reference: without it a full page has another one after it.
    let last = items.last().map(|item| item.id().to_owned());
    let full = items.len() >= usize::from(window.size());
    let after = answer.next.unwrap_or(if full { last } else { None });
    Ok(Page { items, older: after.map(Cursor::After) })
}

/// Everything in the window. Pages go from new to old by the last id seen, so that what is added meanwhile moves nothing;
/// whether that is in the answer is left open.
pub(super) async fn all<T: Listed>(
    door: &Door,
    path: &str,
    filter: &[(&str, &str)],
    mut window: Window,
) -> Result<Vec<T>, Error> {
    let (mut all, mut seen) = (Vec::new(), HashSet::new());
    window.cursor = None;
    for _ in 0..MAX_PAGES {
        let page = page::<T>(door, path, filter, &window).await?;
        let before = all.len();
        all.extend(page.items.into_iter().filter(|item| seen.insert(item.id().to_owned())));
        let Some(older) = page.older else { return Ok(all) };
        if all.len() == before {
            return Err(Error::Nonsense(format!("{path}: the page that follows says nothing new")));
        }
        window.cursor = Some(older);
    }
    Err(Error::Input(format!("{path}: more than {MAX_PAGES} pages: ask for a shorter time")))
}
