//! What can go wrong between us and a provider.

use std::fmt;
use std::io;
use std::time::Duration;

/// Why a call has no good answer.
///
/// The variants say about *this attempt* what is known of it; [`Error::outcome`] says what that means for the thing that was
/// asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The provider looked at the request and said no. Nothing was done, and asking again gives the same answer.
    #[error("refused with HTTP {status}{}: {message}{}", code_words(*code), field_words(fields))]
    Refused {
        /// HTTP status.
        status: u16,
        /// The provider's own code.
        code: Option<i64>,
        /// Its words.
        message: String,
        /// What it says of single fields.
        fields: Vec<FieldError>,
    },
    /// It contradicts what was done before: as a rule the idempotency key belongs to another request.
    #[error("it conflicts with an earlier request (code {code}): {message}")]
    Conflict {
        /// The provider's own code.
        code: i64,
        /// Its words.
        message: String,
    },
    /// The provider does not know our key, or does not let it do this.
    #[error("not let in with HTTP {status}: {message}. Check the API key and what it is entitled to")]
    Unauthorised {
        /// HTTP status: 401 or 403.
        status: u16,
        /// Its words.
        message: String,
    },
    /// Too many requests, also after waiting.
    #[error("too many requests: {message}")]
    RateLimited {
        /// How long the provider wants us to wait.
        retry_after: Option<Duration>,
        /// Its words.
        message: String,
    },
    /// No connection was made: nothing was sent.
    #[error("the provider cannot be reached: {0}")]
    Unreachable(String),
    /// Something was sent, and what became of it nobody knows. A state, not a failure: ask again with the same key.
    #[error("the outcome is unknown: {0}")]
    Unknown(String),
    /// The provider agreed, in words that make no sense to us. What it did is done.
    #[error("the provider's answer makes no sense: {0}")]
    Nonsense(String),
    /// What we were told to send cannot be sent. Nothing was.
    #[error("not sent: {0}")]
    Input(String),
    /// The configuration does not lead to a provider.
    #[error("{0}")]
    Configuration(String),
    /// A message that claims to come from the provider and is not believed.
    #[error("notification refused: {0}")]
    Forged(String),
    /// The configuration says of no such thing at this provider. Nothing was sent.
    #[error("{0} is not configured for this provider: do it by hand in its portal, and wait for its report")]
    NotOffered(&'static str),
    /// A value that may be the number of a card. It is not shown here either.
    #[error("{field} looks like the number of a card: card numbers are never taken, use the token of the hosted field")]
    CardNumber {
        /// Where it was.
        field: String,
    },
    /// A file of a provider or a bank cannot be read. Nothing of it is used.
    #[error("{file}, line {line}, {column}: {why}. {fix}")]
    File {
        /// Its name.
        file: String,
        /// Line, counted from 1.
        line: usize,
        /// Which column or field.
        column: String,
        /// What is wrong.
        why: String,
        /// What to do.
        fix: String,
    },
    /// A payment is in another file already, or a file is there with other contents. Nothing was written.
    #[error("not written: {0}")]
    Written(String),
    /// The file system refused something. Whether a file is there is seen by writing it again: it is written once.
    #[error("could not {doing}: {why}")]
    Io {
        /// What was being done.
        doing: String,
        /// Its answer.
        why: String,
    },
}

/// What an error of a request with an idempotency key says about what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Proof of failure: it was not done under this key and will not be. Only this may lead to another way, under a new key.
    Refused,
    /// This attempt did nothing. Earlier ones under the same key may have: try again with the same key.
    NotTried,
    /// It may have been done. Try again with the same key, or look it up; never another way.
    Unknown,
}

impl Error {
    /// What this says about what was asked for.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Refused { .. } => Outcome::Refused,
            Self::Unauthorised { .. }
            | Self::RateLimited { .. }
            | Self::Unreachable(_)
            | Self::Input(_)
            | Self::Configuration(_)
            | Self::Forged(_)
            | Self::NotOffered(_)
            | Self::CardNumber { .. }
            | Self::File { .. }
            | Self::Written(_) => Outcome::NotTried,
            Self::Conflict { .. } | Self::Unknown(_) | Self::Nonsense(_) | Self::Io { .. } => Outcome::Unknown,
        }
    }

    /// Whether the provider has no such thing.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }

    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |error| Self::Io { doing, why: error.to_string() }
    }
}

/// What a provider says is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The kind of mistake, in the provider's word: `required`, `invalid_value`.
    pub error: String,
    /// In words.
    pub message: String,
    /// Which field: `amount.currency`.
    pub location: String,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.location, self.error)
    }
}

fn code_words(code: Option<i64>) -> String {
    code.map(|code| format!(", code {code}")).unwrap_or_default()
}

fn field_words(fields: &[FieldError]) -> String {
    let words: Vec<String> = fields.iter().map(FieldError::to_string).collect();
    if words.is_empty() { String::new() } else { format!(" ({})", words.join(", ")) }
}
