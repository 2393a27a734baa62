//! Answers, complaints, and the checking of what is sent.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use uuid::Uuid;

/// An answer of Circle's.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Value,
    pub(super) headers: Vec<(&'static str, String)>,
}

impl Reply {
    pub(super) fn new(status: u16, body: Value) -> Self {
        Self { status, body, headers: Vec::new() }
    }

    /// In the envelope.
    pub(super) fn data(status: u16, data: Value) -> Self {
        Self::new(status, json!({ "data": data }))
    }

    pub(super) fn error(status: u16, code: i64, message: &str) -> Self {
        Self::new(status, json!({"code": code, "message": message}))
    }

    pub(super) fn not_found() -> Self {
        Self::error(404, 2, "Not found")
    }

    pub(super) fn invalid(errors: Vec<Value>) -> Self {
        Self::new(400, json!({"code": 2, "message": "Invalid entity.", "errors": errors}))
    }

    pub(super) fn with(mut self, header: &'static str, value: String) -> Self {
        self.headers.push((header, value));
        self
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let kind = [(header::CONTENT_TYPE, "application/json")];
        let mut response = (status, kind, self.body.to_string()).into_response();
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(HeaderName::from_static(name), value);
            }
        }
        response
    }
}

/// What is wrong with a field, as Circle says it.
pub(super) fn complaint(error: &str, location: &str, value: &Value) -> Value {
    let invalid = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    json!({
        "error": error, "message": format!("{location}: {error}"), "location": location,
        "invalidValue": invalid, "constraints": {},
    })
}

/// A body that is being read. Everything that is wrong with it is said at once.
pub(super) struct Form<'a> {
    body: &'a Value,
    errors: Vec<Value>,
}

impl<'a> Form<'a> {
    pub(super) fn of(body: &'a Value) -> Self {
        Self { body, errors: Vec::new() }
    }

    fn at(&self, path: &str) -> &'a Value {
        path.split('.').fold(self.body, |value, name| &value[name])
    }

    pub(super) fn wrong(&mut self, error: &str, path: &str) {
        self.errors.push(complaint(error, path, self.at(path)));
    }

    /// A text that has to be there.
    pub(super) fn text(&mut self, path: &str) -> &'a str {
        match self.at(path) {
            Value::String(text) if !text.is_empty() => text,
            Value::Null => {
                self.wrong("required", path);
                ""
            }
            _ => {
                self.wrong("invalid_value", path);
                ""
            }
        }
    }

    /// One of some words.
    pub(super) fn word(&mut self, path: &str, words: &[&str]) -> &'a str {
        let word = self.text(path);
        if !word.is_empty() && !words.contains(&word) {
            self.wrong("invalid_value", path);
        }
        word
    }

    /// A text that may be there.
    pub(super) fn maybe(&self, path: &str) -> Option<&'a str> {
        self.at(path).as_str()
    }

    pub(super) fn key(&mut self) {
        let text = self.text("idempotencyKey");
        let good = Uuid::try_parse(text).is_ok_and(|key| key.get_version_num() == 4 && text.len() == 36);
        if !text.is_empty() && !good {
            self.wrong("pattern_mismatch", "idempotencyKey");
        }
    }

    /// Base units of an amount in USD that is above zero.
    pub(super) fn usd(&mut self, path: &str, decimals: usize) -> u128 {
        self.word(&format!("{path}.currency"), &["USD"]);
        let place = format!("{path}.amount");
        let text = self.text(&place);
        if text.is_empty() {
            return 0;
        }
        match units(text, decimals) {
            Some(0) => self.wrong("min_value", &place),
            Some(units) => return units,
            None => self.wrong("number_format", &place),
        }
        0
    }

    pub(super) fn done(self) -> Result<(), Reply> {
        if self.errors.is_empty() { Ok(()) } else { Err(Reply::invalid(self.errors)) }
    }
}

/// `3.14` in base units.
pub(super) fn units(text: &str, decimals: usize) -> Option<u128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fits = fraction.len() <= decimals && whole.len() <= 20 && !whole.is_empty();
    let digits = text.bytes().all(|b| b.is_ascii_digit() || b == b'.') && fraction.bytes().all(|b| b != b'.');
    let padded = format!("{whole}{fraction:0<6}");
    (fits && digits && !text.ends_with('.')).then(|| padded.parse().ok()).flatten()
}

/// Base units as `3.14`.
pub(super) fn usd(units: u128) -> Value {
    let fraction = format!("{:06}", units % 1_000_000);
    let shown = fraction.trim_end_matches('0');
    json!({"amount": format!("{}.{shown:0<2}", units / 1_000_000), "currency": "USD"})
}
