//! What an enterprise may ask for when it creates an invoice, and the limits on it.

use crate::invoice::Settlement;
use crate::money::{AmountError, Currency, Units};
use crate::wallet::WalletMode;
use time::Date;

/// The shortest life of an ephemeral wallet: one hour, in seconds.
pub const TTL_MIN_SECONDS: u64 = 60 * 60;

/// The longest life of an ephemeral wallet: 365 days, in seconds.
pub const TTL_MAX_SECONDS: u64 = 365 * 24 * 60 * 60;

/// The life of a wallet nobody set one for: 24 hours, in seconds.
pub const TTL_DEFAULT_SECONDS: u64 = 24 * 60 * 60;

/// A request as it was typed.
#[derive(Clone, Debug, Default)]
pub struct Typed<'a> {
    /// Digits, at most one point.
    pub amount: &'a str,
    /// `USD` or `USDC`.
    pub currency: Option<&'a str>,
    /// Wallet mode.
    pub wallet_mode: Option<&'a str>,
    /// Seconds.
    pub wallet_ttl: Option<u64>,
    /// `YYYY-MM-DD`.
    pub due_date: Option<&'a str>,
    /// `automatic` or `manual`.
    pub settlement: Option<&'a str>,
    /// The tenant's own number for the invoice.
    pub number: Option<&'a str>,
    /// Free text.
    pub description: Option<&'a str>,
    /// A word like `UTILITY`.
    pub category: Option<&'a str>,
    /// Where the bill is sent.
    pub customer_email: Option<&'a str>,
}

/// A request that can be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateInvoice {
    /// Base units.
    pub amount: Units,
    /// What it was typed in.
    pub currency: Currency,
    /// Ephemeral; the other modes come with their wallets.
    pub wallet_mode: WalletMode,
    /// Seconds.
    pub ttl_seconds: u64,
    /// Last day to pay.
    pub due_date: Option<Date>,
    /// Who starts the payment.
    pub settlement: Settlement,
}

/// What is wrong with a request: the field, a stable code and a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRequest {
    /// The amount.
    #[error(transparent)]
    Amount(#[from] AmountError),
    /// The currency.
    #[error("'{0}' is not a currency we settle: use USD or USDC")]
    UnknownCurrency(String),
    /// The wallet mode.
    #[error("wallet_mode '{0}' is not available: use ephemeral")]
    UnknownWalletMode(String),
    /// Too short or too long.
    #[error("wallet_ttl is {0} seconds, must be from {TTL_MIN_SECONDS} (1 hour) to {TTL_MAX_SECONDS} (365 days)")]
    TtlOutOfRange(u64),
    /// Not a date.
    #[error("due_date '{0}' is not a date: write YYYY-MM-DD")]
    MalformedDueDate(String),
    /// A day that has been.
    #[error("due_date {due} is in the past: today is {today} (UTC)")]
    DueDateInPast {
        /// The day given.
        due: Date,
        /// Today.
        today: Date,
    },
    /// Neither automatic nor manual.
    #[error("settlement '{0}' is unknown: use automatic or manual")]
    UnknownSettlement(String),
    /// A text that is too long, or has characters it must not have.
    #[error("{field} must be 1 to {max} characters, without control characters")]
    Text {
        /// The field.
        field: &'static str,
        /// The most characters.
        max: usize,
    },
    /// No e-mail address.
    #[error("customer_email must have the form name@host, at most 254 characters")]
    MalformedEmail,
}

impl InvalidRequest {
    /// A stable code for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Amount(AmountError::Malformed(_)) => "amount_malformed",
            Self::Amount(AmountError::NotPositive) => "amount_not_positive",
            Self::Amount(AmountError::TooPrecise { .. }) => "amount_too_precise",
            Self::Amount(AmountError::TooLarge) => "amount_too_large",
            Self::UnknownCurrency(_) => "currency_unknown",
            Self::UnknownWalletMode(_) => "wallet_mode_unavailable",
            Self::TtlOutOfRange(_) => "wallet_ttl_out_of_range",
            Self::MalformedDueDate(_) => "due_date_malformed",
            Self::DueDateInPast { .. } => "due_date_in_past",
            Self::UnknownSettlement(_) => "settlement_unknown",
            Self::Text { .. } => "text_invalid",
            Self::MalformedEmail => "customer_email_malformed",
        }
    }

    /// The field of the request.
    pub const fn field(&self) -> &'static str {
        match self {
            Self::Amount(_) => "amount",
            Self::UnknownCurrency(_) => "currency",
            Self::UnknownWalletMode(_) => "wallet_mode",
            Self::TtlOutOfRange(_) => "wallet_ttl",
            Self::MalformedDueDate(_) | Self::DueDateInPast { .. } => "due_date",
            Self::UnknownSettlement(_) => "settlement",
            Self::Text { field, .. } => field,
            Self::MalformedEmail => "customer_email",
        }
    }
}

impl CreateInvoice {
    /// Parses a request; the first thing wrong is the error.
    pub fn parse(typed: &Typed<'_>, today: Date) -> Result<Self, InvalidRequest> {
        let currency = match typed.currency {
            None => Currency::Usd,
            Some(word) => word.parse().map_err(|_| InvalidRequest::UnknownCurrency(short(word)))?,
        };
        let amount = Units::parse(typed.amount, currency)?;
        let wallet_mode = match typed.wallet_mode {
            None | Some("ephemeral") => WalletMode::Ephemeral,
            Some(word) => return Err(InvalidRequest::UnknownWalletMode(short(word))),
        };
        let ttl_seconds = typed.wallet_ttl.unwrap_or(TTL_DEFAULT_SECONDS);
        if !(TTL_MIN_SECONDS..=TTL_MAX_SECONDS).contains(&ttl_seconds) {
            return Err(InvalidRequest::TtlOutOfRange(ttl_seconds));
        }
        let due_date = typed.due_date.map(parse_date).transpose()?;
        if let Some(due) = due_date.filter(|due| *due < today) {
            return Err(InvalidRequest::DueDateInPast { due, today });
        }
        let settlement = match typed.settlement {
            None => Settlement::Automatic,
            Some(word) => word.parse().map_err(|_| InvalidRequest::UnknownSettlement(short(word)))?,
        };
        text("invoice_number", typed.number, 64)?;
        text("description", typed.description, 500)?;
        text("category", typed.category, 50)?;
        if let Some(email) = typed.customer_email {
            let parts = email.split_once('@').filter(|(name, host)| !name.is_empty() && !host.is_empty());
            let clean = email.chars().all(|c| !c.is_whitespace() && !c.is_control());
            if parts.is_none() || !clean || email.len() > 254 {
                return Err(InvalidRequest::MalformedEmail);
            }
        }
        Ok(Self { amount, currency, wallet_mode, ttl_seconds, due_date, settlement })
    }
}

fn parse_date(text: &str) -> Result<Date, InvalidRequest> {
    let format = time::macros::format_description!("[year]-[month]-[day]");
    Date::parse(text, format).map_err(|_| InvalidRequest::MalformedDueDate(short(text)))
}

fn text(field: &'static str, value: Option<&str>, max: usize) -> Result<(), InvalidRequest> {
    match value {
        Some(value) if value.is_empty() || value.chars().count() > max || value.chars().any(char::is_control) => {
            Err(InvalidRequest::Text { field, max })
        }
        _ => Ok(()),
    }
}

/// The start of a text, for a message that must not grow with its input.
fn short(text: &str) -> String {
    text.chars().take(40).collect()
}
