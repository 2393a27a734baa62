//! The parameters behind the `?` of a list, one by one, so that every complaint names its parameter.

use crate::problem::{Code, Problem};
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt::Display;
use std::str::FromStr;
use store::invoices::After;
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};
use utoipa::IntoParams;

/// The most of a list that is told at once.
pub(crate) const MAX_LIMIT: u32 = 100;

/// How much of a list is told to whoever does not say.
pub(crate) const DEFAULT_LIMIT: u32 = 20;

/// The longest value, in characters.
const MAX_VALUE: usize = 512;

/// Where a list begins and how much of it is told: the parameters of every list that is paged.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code)]
pub(crate) struct PageParams {
    /// The `next_cursor` of the page before, unchanged.
    #[param(max_length = 512)]
    cursor: Option<String>,
    /// The most that is told at once; 20 if nothing is said.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

/// What else can be wrong with parameters.
pub(crate) const CODES: &[Code] = &[Code::ParameterMalformed, Code::ParameterDuplicate];

/// Names and values as they were sent. Taken out one by one; what is left at the end is not known here.
pub(crate) struct Params(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(pairs): Query<Vec<(String, String)>> = Query::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::new(Code::ParameterMalformed, "What follows the ? is not name=value&name=value."))?;
        for (name, value) in &pairs {
            if value.chars().count() > MAX_VALUE || value.chars().any(char::is_control) {
                return Err(malformed(&short(name), "at most 512 characters, without control characters"));
            }
        }
        Ok(Self(pairs))
    }
}

impl Params {
    /// Every value of a parameter that may be there several times.
    pub(crate) fn all(&mut self, name: &str) -> Vec<String> {
        let (taken, left) = std::mem::take(&mut self.0).into_iter().partition(|(other, _)| other == name);
        self.0 = left;
        Vec::into_iter(taken).map(|(_, value)| value).collect()
    }

    /// A text.
    pub(crate) fn text(&mut self, name: &'static str) -> Result<Option<String>, Problem> {
        let mut all = self.all(name);
        if all.len() > 1 {
            let detail = format!("The parameter '{name}' is there twice.");
            return Err(Problem::new(Code::ParameterDuplicate, detail).field(name));
        }
        Ok(all.pop())
    }

    /// A whole number from 1 to `max`.
    pub(crate) fn limit(&mut self, default: u32, max: u32) -> Result<u32, Problem> {
        let Some(text) = self.text("limit")? else { return Ok(default) };
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let limit = text.parse().ok().filter(|limit| digits && (1..=max).contains(limit));
        limit.ok_or_else(|| malformed("limit", &format!("a whole number from 1 to {max}")))
    }

    /// A moment.
    pub(crate) fn moment(&mut self, name: &'static str) -> Result<Option<OffsetDateTime>, Problem> {
        let parse = |text: String| {
            let what = "a time like 2026-01-31T12:00:00Z (a + for an offset is written %2B)";
            // In UTC at once: at the ends of the calendar an offset leads out of it.
            let moment = OffsetDateTime::parse(&text, &Rfc3339).ok();
            moment.and_then(|moment| moment.checked_to_offset(UtcOffset::UTC)).ok_or_else(|| malformed(name, what))
        };
        self.text(name)?.map(parse).transpose()
    }

    /// One of the words of a kind.
    pub(crate) fn word<T: FromStr>(&mut self, name: &'static str, all: &[impl Display]) -> Result<Option<T>, Problem> {
        self.text(name)?.map(|text| parse_word(&text, name, all)).transpose()
    }

    /// Some of the words of a kind.
    pub(crate) fn words<T: FromStr>(&mut self, name: &'static str, all: &[impl Display]) -> Result<Vec<T>, Problem> {
        self.all(name).iter().map(|text| parse_word(text, name, all)).collect()
    }

    /// Where to go on.
    pub(crate) fn cursor<C: Cursor>(&mut self) -> Result<Option<C>, Problem> {
        let parse = |text: String| {
            let bytes = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let cursor = bytes.as_deref().and_then(|text| text.strip_prefix(C::KIND)).and_then(C::read);
            cursor.ok_or_else(|| malformed("cursor", "a next_cursor that this route has given, unchanged"))
        };
        self.text("cursor")?.map(parse).transpose()
    }

    /// Refuses what nobody has taken. What is not documented was refused before: this is for what is and is not read.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        let Some((name, _)) = self.0.first() else { return Ok(()) };
        let name = short(name);
        Err(Problem::new(Code::ParameterUnknown, format!("There is no parameter '{name}' here.")).field(&name))
    }
}

fn parse_word<T: FromStr>(text: &str, name: &'static str, all: &[impl Display]) -> Result<T, Problem> {
    text.parse().map_err(|_| {
        let all: Vec<String> = all.iter().map(ToString::to_string).collect();
        malformed(name, &format!("one of {}", all.join(", ")))
    })
}

fn malformed(name: &str, what: &str) -> Problem {
    Problem::new(Code::ParameterMalformed, format!("The parameter '{name}' must be {what}.")).field(name)
}

/// The start of a name, for a message that must not grow with its input, and without what could break a line.
fn short(name: &str) -> String {
    name.chars().filter(|character| !character.is_control()).take(40).collect()
}

/// A place in a list. What it is made of is nobody's business: it travels as base64url.
pub(crate) trait Cursor: Sized {
    /// Tells the cursors of different lists apart.
    const KIND: &'static str;

    fn read(text: &str) -> Option<Self>;

    fn write(&self) -> String;

    fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(format!("{}{}", Self::KIND, self.write()))
    }
}

impl Cursor for After {
    const KIND: &'static str = "i:";

    fn read(text: &str) -> Option<Self> {
        let (micros, id) = text.split_once(':')?;
        let nanos = i128::from(micros.parse::<i64>().ok()?) * 1000;
        let created_at = OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()?;
        let plain = !id.is_empty() && id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_graphic());
        plain.then(|| Self { created_at, id: id.to_owned() })
    }

    fn write(&self) -> String {
        format!("{}:{}", self.created_at.unix_timestamp_nanos() / 1000, self.id)
    }
}

/// Behind which of an invoice's events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sequence(pub(crate) u64);

impl Cursor for Sequence {
    const KIND: &'static str = "s:";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok().filter(|sequence| i64::try_from(*sequence).is_ok()).map(Self)
    }

    fn write(&self) -> String {
        self.0.to_string()
    }
}

/// Behind which of all events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(pub(crate) (u64, i64));

impl Cursor for Place {
    const KIND: &'static str = "x:";

    fn read(text: &str) -> Option<Self> {
        let (xid, id) = text.split_once(':')?;
        Some(Self((xid.parse().ok()?, id.parse().ok()?)))
    }

    fn write(&self) -> String {
        let (xid, id) = self.0;
        format!("{xid}:{id}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(cursor: &impl Cursor) -> String {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor.encode()).unwrap()).unwrap();
        text.split_once(':').unwrap().1.to_owned()
    }

    #[test]
    fn cursors_come_back_as_they_were() {
        let created_at = OffsetDateTime::from_unix_timestamp_nanos(1_735_830_245_123_456_000).unwrap();
        let after = After { created_at, id: "inv_1".to_owned() };
        assert_eq!(After::read(&round(&after)), Some(after));
        assert_eq!(Sequence::read(&round(&Sequence(7))), Some(Sequence(7)));
        let place = Place((u64::MAX, i64::MAX));
        assert_eq!(Place::read(&round(&place)), Some(place));
        for text in ["", ":", "1", "x:inv_1", "1:", "1:a b", "99999999999999999999:inv_1", "9223372036854775807:inv_1"]
        {
            assert_eq!(After::read(text), None, "{text}");
        }
        assert_eq!(Sequence::read("9223372036854775808"), None, "more than Postgres counts");
    }
}
