//! What people have typed, on its way to a provider.

use crate::{Error, card_number};
use std::fmt;

/// The longest text that is passed on, in characters.
const MAX_CHARS: usize = 100;

/// One line of text about a person: neither empty nor long, without control characters, and without the number of a card
/// anywhere in it. It is personal, so `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Text(String);

impl Text {
    /// Takes `value` for what `field` is called in errors. The value is never in the error.
    pub fn parse(field: &str, value: &str) -> Result<Self, Error> {
        let value = value.trim();
        let wrong = |why: &str| Err(Error::Input(format!("{field} {why}")));
        if card_number::find(value).is_some() {
            return Err(Error::CardNumber { field: field.to_owned() });
        }
        if value.is_empty() {
            return wrong("is empty");
        }
        if value.chars().count() > MAX_CHARS {
            return wrong("is longer than 100 characters");
        }
        if value.chars().any(char::is_control) {
            return wrong("has control characters; write one line of text");
        }
        Ok(Self(value.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Text(…)")
    }
}
