//! Every way a request can fail: one table, the JSON of RFC 9457, and a page per code.

use crate::html;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::request::InvalidRequest;
use maud::html;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Declares the codes: variant, word, HTTP status, title, and what it means and what to do.
macro_rules! codes {
    ($($name:ident = $word:literal, $status:literal, $title:literal, $meaning:literal;)+) => {
        /// A stable code for one way a request can fail. What it means stands at `/errors/<code>`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)]
        pub enum Code { $($name,)+ }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The code itself, as it travels.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }

            /// The HTTP status it comes with.
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)+ }
            }

            /// In a few words.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)+ }
            }

            /// What it means and what to do about it.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning,)+ }
            }
        }
    };
}

codes! {
    Unauthorized = "unauthorized", 401, "API key missing or unknown",
        "Send a valid API key in the header `Authorization: Bearer mk_test_…`. Keys are shown once, when they are made; a key that is lost has to be replaced.";
    ScopeMissing = "scope_missing", 403, "The API key may not do this",
        "Every key has scopes, and this one lacks the one in the member scope. Use another key, or have the operator make one with `monay key create --scope …`.";
    TooManyRequests = "too_many_requests", 429, "Too many requests with this key",
        "A key may make so many requests per second, and some more at once after a silence. Nothing was done; try again after the seconds in Retry-After.";
    UriTooLong = "uri_too_long", 414, "Path or query is too long",
        "The detail says how many bytes they may have. Nothing was done.";
    HeadersTooLarge = "headers_too_large", 431, "The headers are too large",
        "The detail says how many bytes names and values may have together. Nothing was done.";
    NotFound = "not_found", 404, "No such route",
        "Nothing is served under this path. Check the spelling and the method.";
    MethodNotAllowed = "method_not_allowed", 405, "Method not allowed",
        "The path exists, but not with this method. The Allow header of the answer names those that do.";
    ContentTypeUnsupported = "content_type_unsupported", 415, "The body is not declared as JSON",
        "Send the header `Content-Type: application/json` with the body.";
    BodyTooLarge = "body_too_large", 413, "The body is too large",
        "A request body may have 64 kB.";
    BodyUnreadable = "body_unreadable", 400, "The body is incomplete",
        "The connection ended before the whole body had arrived. Nothing was done; send it again.";
    ParameterUnknown = "parameter_unknown", 400, "Unknown parameter",
        "The parameter named is not one this route knows; the member known has those that are. Unknown parameters are refused, so that a misspelt filter does not silently show everything.";
    ParameterMalformed = "parameter_malformed", 400, "A parameter cannot be read",
        "The member field names the parameter, the detail says what it must be. Parameters are sent as name=value after the ?, percent-encoded.";
    ParameterDuplicate = "parameter_duplicate", 400, "Parameter given twice",
        "Two values for one parameter contradict each other. Only `status` may be there several times.";
    IdempotencyKeyMalformed = "idempotency_key_malformed", 400, "The Idempotency-Key is not one",
        "A key is 1 to 255 visible ASCII characters without spaces, sent once. A random UUID is a good one.";
    IdempotencyKeyReused = "idempotency_key_reused", 422, "The Idempotency-Key belongs to another request",
        "The same key came with another path or body within the last 30 days, and that request was carried out. A key stands for one request: repeat it byte for byte, or take a new key.";
    IdempotencyInProgress = "idempotency_in_progress", 409, "The request is being carried out",
        "Another request with this Idempotency-Key has begun and has not ended. Send the same again after the seconds in Retry-After: you get its answer, or, if it failed, it is carried out then.";
    JsonMalformed = "json_malformed", 400, "The body is not a JSON object",
        "The members line and column say where reading stopped. Comments and trailing commas are not JSON.";
    FieldUnknown = "field_unknown", 400, "Unknown field",
        "The field named is not one this route knows; the member known has those that are. Unknown fields are refused, so that a misspelt one is not silently ignored.";
    FieldMissing = "field_missing", 400, "Missing field",
        "The field named is required.";
    FieldDuplicate = "field_duplicate", 400, "Field given twice",
        "Two values for one field contradict each other. Send it once.";
    FieldType = "field_type", 400, "Field of the wrong type",
        "The field named holds a value of another JSON type than this route reads.";
    AmountMalformed = "amount_malformed", 422, "The amount is not a plain decimal number",
        "Write digits and at most one point, as a number or as a string: 150, \"150.25\". No exponent, no sign, no separators.";
    AmountNotPositive = "amount_not_positive", 422, "The amount is not above zero",
        "An invoice must be for more than nothing.";
    AmountTooPrecise = "amount_too_precise", 422, "The amount has too many decimals",
        "USD has two decimals, USDC six. Amounts are never rounded.";
    AmountTooLarge = "amount_too_large", 422, "The amount is too large",
        "The largest invoice is 1,000,000,000,000.00.";
    CurrencyUnknown = "currency_unknown", 422, "Unknown currency",
        "Invoices are in USD or USDC; one dollar is one USDC.";
    WalletModeUnavailable = "wallet_mode_unavailable", 422, "Wallet mode not available",
        "Invoices have ephemeral wallets: leave wallet_mode out, or say `ephemeral`.";
    WalletTtlOutOfRange = "wallet_ttl_out_of_range", 422, "The wallet's life is too short or too long",
        "wallet_ttl is in seconds, from 3600 (1 hour) to 31536000 (365 days). Without it a wallet lives 24 hours.";
    WalletRequired = "wallet_required", 422, "Every invoice has a wallet",
        "Each invoice is paid into a wallet of its own, so auto_create_wallet is true. Leave it out, or say `true`.";
    DueDateMalformed = "due_date_malformed", 422, "The due date is not a date",
        "Write YYYY-MM-DD.";
    DueDateInPast = "due_date_in_past", 422, "The due date is in the past",
        "A bill can be due today (UTC) or later.";
    SettlementUnknown = "settlement_unknown", 422, "Unknown settlement",
        "settlement is `automatic` (paid as soon as the money is there) or `manual` (paid when POST /api/invoices/pay says so).";
    TextInvalid = "text_invalid", 422, "A text is empty, too long, or has control characters",
        "The detail names the field and its longest length.";
    CustomerEmailMalformed = "customer_email_malformed", 422, "Not an e-mail address",
        "customer_email must have the form name@host, at most 254 characters.";
    RefundAddressMalformed = "refund_address_malformed", 422, "Not an Ethereum address",
        "An address that money goes back to is 0x and 40 hexadecimal digits. In mixed case it carries a checksum (EIP-55), which must fit: a wrong one means a mistyped address.";
    RefundAddressRefused = "refund_address_refused", 422, "Money cannot be sent back to this address",
        "The zero address, the token, the escrow contract and the invoice's own deposit address cannot receive refunds. Give the customer's own wallet.";
    RefundAddressFixed = "refund_address_fixed", 422, "Where the money goes back to is fixed",
        "The invoice was made with a refund_address, and nobody can change it any more. Leave `to` out; the member refund_to says where the money goes.";
    RefundToRequired = "refund_to_required", 422, "Say where the money shall go",
        "The invoice was made without a refund_address: send the customer's own wallet as `to`.";
    NothingToRefund = "nothing_to_refund", 409, "Nothing lies there to be sent back",
        "As far as the chain has been read, the deposit address holds nothing of this token. A transfer shows a few seconds after its block.";
    NotRefundableYet = "not_refundable_yet", 409, "The invoice can still be paid",
        "While an invoice is open, what was sent in its token is kept for the payee. It can go back when the invoice has expired or is cancelled, and what is too much when it is paid; at the latest at the time in closes_at.";
    RefundAlreadyOrdered = "refund_already_ordered", 409, "The refund is ordered already",
        "There is one order for what lies at an address, and the first one stands. When it is carried out, what comes later can be ordered back again.";
    RefundKeyErased = "refund_key_erased", 409, "The key that orders refunds is erased",
        "The wallet was destroyed, and its key with it. What came later goes to the address in refund_to: anyone can send it there, from 30 days after the invoice has ended.";
    AccountMalformed = "account_malformed", 422, "Not a Solana address",
        "The field named must be the address of a wallet on Solana: 32 bytes in base58, as wallets show it.";
    SolanaUnavailable = "solana_unavailable", 409, "The invoice cannot be paid on Solana",
        "It has no address there, or it is paid on another network. The invoice's `terms` list where it can be paid.";
    NetworkBehind = "network_behind", 503, "We see the network too late",
        "A transaction needs a block of the last minute, and we have none. Try again after the seconds in Retry-After, or send the amount to the address yourself.";
    AddressMalformed = "address_malformed", 422, "Not an Ethereum address",
        "The field named is 0x and 40 hexadecimal digits. In mixed case it carries a checksum (EIP-55), which must fit: a wrong one means a mistyped address.";
    AuthorizationMalformed = "authorization_malformed", 422, "Not an EIP-3009 authorization",
        "value is base units as a string of decimal digits, nonce is 0x and 64 hexadecimal digits, signature is 0x and from 1 to 4096 bytes in hexadecimal digits.";
    AuthorizationWrongAddress = "authorization_wrong_address", 422, "The authorization pays another address",
        "It must name the invoice's deposit address as its receiver: an authorization can be submitted by anyone, and only the address binds it to the invoice. The member deposit_address has it.";
    AuthorizationTooSmall = "authorization_too_small", 422, "The authorization is for too little",
        "It must cover what is still missing: the member missing_units says how much. The wallet's gasless.value_units is the amount to sign.";
    AuthorizationWindow = "authorization_window", 422, "The authorization is not valid at the right time",
        "It must be valid now (valid_after), for more than a minute from now, and not beyond the invoice's expiry (valid_before). The members now and valid_before_max are in unix seconds.";
    AuthorizationNonceUsed = "authorization_nonce_used", 409, "The nonce belongs to another invoice",
        "The same payer has used this nonce in an authorization for another invoice, and a token takes each nonce once. Sign again with a random one.";
    GaslessUnavailable = "gasless_unavailable", 409, "The invoice takes no authorizations",
        "A direct invoice is paid by the customer's own transaction: a transfer to its address, or a call of the escrow's `pay`.";
    InvoiceFunded = "invoice_funded", 409, "The money is there already",
        "All that is due lies at the deposit address. An authorization would be paid on top of it and have to go back.";
    MetadataMalformed = "metadata_malformed", 422, "The metadata is not an object that can be stored",
        "metadata is a JSON object of your own, at most 100 levels deep, without NUL characters.";
    MetadataTooLarge = "metadata_too_large", 422, "The metadata is too large",
        "metadata may have 16 kB as it is written in the request.";
    TenantNotFound = "tenant_not_found", 404, "No such tenant",
        "tenant_id must be the tenant the API key belongs to, or be left out.";
    InvoiceNotFound = "invoice_not_found", 404, "No such invoice",
        "You have no invoice with this id or number.";
    WalletNotFound = "wallet_not_found", 404, "No such wallet",
        "You have no wallet with this id.";
    TooManyAsked = "too_many_asked", 409, "Too much was asked for about this invoice",
        "About one invoice at most 20 refunds and authorizations can be asked for. What was asked for is carried out; for more, talk to the issuer.";
    InvoiceNumberTaken = "invoice_number_taken", 409, "The invoice number is taken",
        "Another of your invoices has this invoice_number. If you are repeating a request whose answer was lost, GET /api/invoices/<number> shows what it did.";
    EnterpriseNotVerified = "enterprise_not_verified", 403, "The enterprise is not verified",
        "Only a verified enterprise may issue invoices. Verification is done by the operator.";
    PayeeMissing = "payee_missing", 409, "No payee address",
        "The enterprise has not said where it is paid on this chain. The operator sets it.";
    TermsRefused = "terms_refused", 409, "The enterprise's accounts do not make a valid invoice",
        "The payee or the account for unclaimed money is an address that must not be paid: the zero address, the escrow, the token or the settler. The operator sets them.";
    WalletMismatch = "wallet_mismatch", 422, "The wallet is another invoice's",
        "A wallet pays the one invoice it was made for.";
    AmountMismatch = "amount_mismatch", 422, "The amount is not what is due",
        "An invoice is paid in full. The members amount and due say what was asked for and what is due.";
    InsufficientBalance = "insufficient_balance", 409, "The wallet does not hold enough",
        "The members balance and due say how much has arrived and how much is due. Fund the wallet, then pay.";
    InvoicePaid = "invoice_paid", 409, "The invoice is paid",
        "The payee has the amount. Do not pay again.";
    InvoiceExpired = "invoice_expired", 409, "The invoice has expired",
        "Its time ran out. Money that reached the wallet goes back; issue a new invoice.";
    InvoiceCancelled = "invoice_cancelled", 409, "The invoice is cancelled",
        "It was called off and cannot be paid. Money that reached the wallet goes back.";
    SettlementUnderWay = "settlement_under_way", 409, "The payment is on its way",
        "A transaction that pays the invoice is signed and may be on chain any moment: it is too late to call it off. If it fails, the invoice can be called off again.";
    CancelDirect = "cancel_direct", 409, "A direct invoice cannot be called off by us",
        "Its terms let anyone settle, so only the payee can cancel it, with his own key and a transaction to the escrow (`cancel`). Otherwise it runs to its expiry, and what lies there goes back when it closes.";
    TooManyKeys = "too_many_keys", 409, "Too many requests under one pay link",
        "For one invoice and route at most 100 answers are kept under Idempotency-Keys. Repeat with a key that was used, or without one.";
    Timeout = "timeout", 503, "No answer in time",
        "The request took longer than 10 seconds and was given up. Whether it took effect is not known: repeat it with the same Idempotency-Key, or ask for the invoice by its number before repeating it.";
    Unavailable = "unavailable", 503, "Not available now",
        "The service cannot reach its database, or has too much to do. Nothing was changed; try again after the seconds in Retry-After.";
    Overloaded = "overloaded", 503, "Too much to do",
        "More requests are in work, or more connections open, than this process takes on. Nothing was done; try again after the seconds in Retry-After.";
    SchemaOutdated = "schema_outdated", 503, "The database is older than the program",
        "The operator has to run `monay migrate`, which brings the schema up to date and may be run at any time.";
    Internal = "internal", 500, "Something is wrong here",
        "This is our mistake. It is in our log under the id in the answer's x-request-id header.";
}

impl Code {
    /// Whether the answer says after how many seconds to try again.
    pub(crate) const fn says_when(self) -> bool {
        matches!(
            self,
            Self::TooManyRequests
                | Self::IdempotencyInProgress
                | Self::Overloaded
                | Self::Unavailable
                | Self::SchemaOutdated
                | Self::NetworkBehind
                | Self::Timeout
        )
    }

    fn of(word: &str) -> Self {
        Self::ALL.iter().copied().find(|code| code.as_str() == word).unwrap_or(Self::Internal)
    }
}

/// What went wrong with a request, for its caller.
#[derive(Debug)]
pub(crate) struct Problem {
    code: Code,
    detail: String,
    field: Option<String>,
    more: BTreeMap<&'static str, Value>,
    retry_after: u64,
}

/// After how many seconds to try again, where nothing better is known.
const RETRY_SECONDS: u64 = 5;

impl Problem {
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), field: None, more: BTreeMap::new(), retry_after: RETRY_SECONDS }
    }

    /// Names the field that is to blame.
    pub(crate) fn field(mut self, name: &str) -> Self {
        self.field = Some(name.to_owned());
        self
    }

    /// Adds a member.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.more.insert(name, value.into());
        self
    }

    /// After how many seconds to try again, for a code that says so.
    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = seconds;
        self
    }

    pub(crate) fn unavailable() -> Self {
        Self::new(Code::Unavailable, "The database is not available. Nothing was changed.")
    }

    pub(crate) fn internal() -> Self {
        Self::new(Code::Internal, "The request could not be carried out because of a mistake of ours.")
    }

    pub(crate) const fn code(&self) -> Code {
        self.code
    }
}

impl From<InvalidRequest> for Problem {
    fn from(error: InvalidRequest) -> Self {
        Self::new(Code::of(error.code()), error.to_string()).field(error.field())
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        match &error {
            store::Error::DuplicateNumber(_) => {
                Self::new(Code::InvoiceNumberTaken, error.to_string()).field("invoice_number")
            }
            store::Error::TooManyAsked => Self::new(Code::TooManyAsked, error.to_string()),
            store::Error::TooManyKeys(_) => Self::new(Code::TooManyKeys, error.to_string()),
            error if error.is_temporary() => {
                tracing::error!(%error, "database unavailable");
                Self::unavailable()
            }
            error => {
                tracing::error!(%error, "failed");
                Self::internal()
            }
        }
    }
}

impl From<vault::Error> for Problem {
    fn from(error: vault::Error) -> Self {
        tracing::error!(%error, "vault");
        Self::internal()
    }
}

/// The JSON of RFC 9457.
#[derive(Serialize)]
struct Json<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    #[serde(flatten)]
    more: &'a BTreeMap<&'static str, Value>,
}

impl Problem {
    /// The body of the answer.
    pub(crate) fn json(&self) -> Vec<u8> {
        let code = self.code;
        let json = Json {
            r#type: format!("/errors/{}", code.as_str()),
            title: code.title(),
            status: code.status(),
            detail: &self.detail,
            code: code.as_str(),
            field: self.field.as_deref(),
            more: &self.more,
        };
        serde_json::to_vec(&json).unwrap_or_default()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (code, body) = (self.code, self.json());
        let status = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match code {
            Code::Unauthorized => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"monay\""));
            }
            code if code.says_when() => {
                headers.insert(header::RETRY_AFTER, self.retry_after.into());
            }
            _ => {}
        }
        response
    }
}

/// A path that is not served.
pub(crate) async fn no_route() -> Problem {
    Problem::new(Code::NotFound, "Nothing is served under this path.")
}

/// A method that a path does not have.
pub(crate) async fn wrong_method() -> Problem {
    Problem::new(Code::MethodNotAllowed, "This path is not served with this method; see the Allow header.")
}

/// Every error code
#[utoipa::path(get, path = "/errors", operation_id = "error_codes", tag = "About",
    responses((status = 200, description = "A page", body = String, content_type = "text/html")))]
pub(crate) async fn index() -> Response {
    let body = html! {
        h1 { "Error codes" }
        p { "Every failed request is answered with application/problem+json (RFC 9457). Its code never changes its meaning." }
        dl {
            @for code in Code::ALL {
                dt { a href={ "/errors/" (code.as_str()) } { code { (code.as_str()) } } " · " (code.status()) }
                dd { (code.title()) }
            }
        }
    };
    html::page(StatusCode::OK, "Error codes", None, &body)
}

/// What an error code means
#[utoipa::path(get, path = "/errors/{code}", operation_id = "error_code", tag = "About",
    params(("code" = String, Path, description = "The `code` of a refusal", example = "invoice_not_found")),
    responses(
        (status = 200, description = "A page", body = String, content_type = "text/html"),
        (status = 404, description = "A page: there is no such code", body = String, content_type = "text/html"),
    ))]
pub(crate) async fn page(path: Result<Path<String>, PathRejection>) -> Response {
    let word = path.map(|Path(word)| word).unwrap_or_default();
    let Some(code) = Code::ALL.iter().find(|code| code.as_str() == word) else {
        let body = html! {
            h1 { "There is no such error code" }
            p { a href="/errors" { "All error codes" } }
        };
        return html::page(StatusCode::NOT_FOUND, "Unknown error code", None, &body);
    };
    let body = html! {
        p.kicker { "Error code · HTTP status " (code.status()) }
        h1 { (code.title()) }
        p { code { (code.as_str()) } }
        p { (code.meaning()) }
        p { a href="/errors" { "All error codes" } }
    };
    html::page(StatusCode::OK, code.title(), None, &body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::money::{AmountError, Currency};
    use time::macros::date;

    #[test]
    fn codes_are_words_and_none_is_there_twice() {
        for (at, code) in Code::ALL.iter().enumerate() {
            let word = code.as_str();
            assert!(word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{word}");
            assert!(!Code::ALL[..at].iter().any(|other| other.as_str() == word), "{word} twice");
            assert!((400..600).contains(&code.status()), "{word}");
            assert!(!code.title().is_empty() && code.meaning().ends_with('.'), "{word}");
        }
    }

    #[test]
    fn everything_domain_refuses_has_a_code_here() {
        let text = String::new;
        let all = [
            InvalidRequest::Amount(AmountError::Malformed(text())),
            InvalidRequest::Amount(AmountError::NotPositive),
            InvalidRequest::Amount(AmountError::TooPrecise { currency: Currency::Usd, allowed: 2, found: 3 }),
            InvalidRequest::Amount(AmountError::TooLarge),
            InvalidRequest::UnknownCurrency(text()),
            InvalidRequest::UnknownWalletMode(text()),
            InvalidRequest::TtlOutOfRange(0),
            InvalidRequest::MalformedDueDate(text()),
            InvalidRequest::DueDateInPast { due: date!(2025 - 01 - 01), today: date!(2025 - 01 - 02) },
            InvalidRequest::UnknownSettlement(text()),
            InvalidRequest::Text { field: "description", max: 500 },
            InvalidRequest::MalformedEmail,
        ];
        for error in all {
            let (word, field) = (error.code(), error.field());
            let problem = Problem::from(error);
            assert_eq!(problem.code.as_str(), word);
            assert_eq!(problem.field.as_deref(), Some(field));
        }
    }
}
