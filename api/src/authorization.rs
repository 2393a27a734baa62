//! `POST /api/invoices/{id}/authorization` and `POST /pay/{token}/authorization`: a payer without gas has signed an
//! EIP-3009 authorization whose receiver is the deposit address, and the keeper submits it.
//!
//! The address is what binds it: whoever submits it, the money arrives where the terms decide. Whether the signature is the
//! payer's the token judges, which knows contract wallets too; nothing of it is interpreted here.

use crate::body::{self, Fields, JsonBody};
use crate::problem::{Code, Problem};
use crate::reply::{self, AsOf};
use crate::view::Found;
use crate::work::{ByCustomer, ByTenant, Post, Work};
use crate::{document, invoices};
use alloy_primitives::{Address, B256, Bytes, U256};
use axum::http::StatusCode;
use axum::response::Response;
use domain::invoice::InvoiceStatus;
use domain::money::Units;
use serde::Serialize;
use store::invoices::TermsView;
use terms::Account;
use terms::abi::Authorization;
use utoipa::ToSchema;

/// How long an authorization must still be valid, so that there is time to submit it. Seconds.
const LEAST_SECONDS: u64 = 60;

/// The longest signature that is stored. A contract wallet's may be longer than 65 bytes.
const MAX_SIGNATURE_BYTES: usize = 4096;

/// An EIP-3009 authorization.
#[derive(ToSchema)]
#[schema(as = Authorization)]
pub(crate) struct Signed {
    /// The payer's wallet.
    #[schema(value_type = String, pattern = "^0x[0-9a-fA-F]{40}$")]
    from: Address,
    /// Who receives it: the invoice's deposit address. It need not be said, since it can be nobody else.
    #[schema(value_type = Option<String>, pattern = "^0x[0-9a-fA-F]{40}$")]
    to: Option<Address>,
    /// Base units, in decimal digits: `gasless.value_units` of the wallet.
    #[schema(value_type = String, pattern = "^[0-9]{1,78}$")]
    value: U256,
    /// Valid from this time on, unix seconds.
    valid_after: u64,
    /// Valid before this time, unix seconds; at most `gasless.valid_before_max` of the wallet.
    valid_before: u64,
    /// 32 bytes that this payer has not used before.
    #[schema(value_type = String, pattern = "^0x[0-9a-fA-F]{64}$")]
    nonce: B256,
    /// The payer's signature, 1 to 4096 bytes.
    #[schema(value_type = String, pattern = "^0x([0-9a-fA-F]{2}){1,4096}$")]
    signature: Bytes,
}

/// What else can be wrong with it.
pub(crate) const CODES: &[Code] = &[
    Code::FieldMissing,
    Code::AddressMalformed,
    Code::AuthorizationMalformed,
    Code::InvoiceNotFound,
    Code::AuthorizationWrongAddress,
    Code::TooManyAsked,
    Code::AuthorizationNonceUsed,
    Code::InvoicePaid,
    Code::InvoiceCancelled,
    Code::InvoiceExpired,
    Code::GaslessUnavailable,
    Code::InvoiceFunded,
    Code::AuthorizationTooSmall,
    Code::AuthorizationWindow,
];

impl Signed {
    fn parse(body: &JsonBody) -> Result<Self, Problem> {
        const SECONDS: &str = "a whole number of unix seconds";
        let mut fields = Fields::parse(body)?;
        let refused = |name: &'static str, why: &str| {
            Problem::new(Code::AuthorizationMalformed, format!("{name} must be {why}.")).field(name)
        };
        let from = fields.address("from", Code::AddressMalformed)?.ok_or_else(|| body::missing("from"))?;
        let to = fields.address("to", Code::AddressMalformed)?;
        let value = fields.text("value")?.ok_or_else(|| body::missing("value"))?;
        let plain = (1..=78).contains(&value.len()) && value.bytes().all(|digit| digit.is_ascii_digit());
        let value = plain.then(|| U256::from_str_radix(&value, 10).ok()).flatten();
        let value = value.ok_or_else(|| refused("value", "base units below 2^256, in decimal digits"))?;
        let valid_after = fields.whole("valid_after", SECONDS)?.ok_or_else(|| body::missing("valid_after"))?;
        let valid_before = fields.whole("valid_before", SECONDS)?.ok_or_else(|| body::missing("valid_before"))?;
        let nonce = fields.bytes("nonce", Code::AuthorizationMalformed)?.ok_or_else(|| body::missing("nonce"))?;
        let nonce = B256::try_from(nonce.as_ref()).map_err(|_| refused("nonce", "32 bytes: 0x and 64 digits"))?;
        let signature = fields.bytes("signature", Code::AuthorizationMalformed)?;
        let signature = signature.ok_or_else(|| body::missing("signature"))?;
        if !(1..=MAX_SIGNATURE_BYTES).contains(&signature.len()) {
            return Err(refused("signature", "from 1 to 4096 bytes"));
        }
        fields.finish()?;
        Ok(Self { from, to, value, valid_after, valid_before, nonce, signature })
    }

    /// As the token reads it.
    fn authorization(&self) -> Authorization {
        Authorization {
            from: self.from,
            value: self.value,
            validAfter: U256::from(self.valid_after),
            validBefore: U256::from(self.valid_before),
            nonce: self.nonce,
            signature: self.signature.clone(),
        }
    }
}

/// What becomes of an authorization.
#[derive(Serialize, ToSchema)]
#[schema(as = AuthorizationAnswer)]
struct Answer {
    /// The authorization's id with us: what the keeper is to do.
    intent_id: String,
    /// How far it has come.
    #[schema(value_type = document::IntentState)]
    state: &'static str,
    /// Where the invoice stands.
    #[schema(value_type = document::InvoiceStatus)]
    invoice_status: &'static str,
    /// Up to which moment the chain is known.
    as_of: Vec<AsOf>,
}

/// Submit a payer's authorization
///
/// A payer without gas has signed an EIP-3009 authorization; the keeper submits it.
#[utoipa::path(post, path = "/api/invoices/{id}/authorization", operation_id = "submit_authorization", tag = "Refunds and authorizations",
    params(("id" = String, Path, description = "The invoice's id, or your number of it", example = "INV-2026-000001")),
    request_body(content = Signed, example = json!({
        "from": "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045", "to": "0x7eeaa9fb6b26543b35fda2a4a57a445569096e5e",
        "value": "150000000", "valid_after": 0, "valid_before": 1798761600,
        "nonce": "0x5d3f0c1e9a7b46288e1f2d3c4b5a69788796a5b4c3d2e1f00112233445566778", "signature": "0x00"
    })),
    responses(
        (status = 200, description = "It was known before", body = Answer),
        (status = 202, description = "It will be submitted", body = Answer),
    ))]
pub(crate) async fn by_tenant(post: Post<ByTenant>) -> Result<Response, Problem> {
    let Post { caller, body, mut work } = post;
    let found = invoices::locked(&mut work, &caller.tenant_id, caller.id).await?;
    submit(work, &found, &body).await
}

/// Submit an authorization
///
/// The same for whoever has the pay link.
#[utoipa::path(post, path = "/pay/{token}/authorization", operation_id = "submit_authorization_by_link", tag = "Pay link",
    params(("token" = String, Path, description = "What stands behind `/pay/` in the pay link, up to the `#`", example = "4fzzzxjylrx")),
    request_body(content = Signed, example = json!({
        "from": "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045", "to": "0x7eeaa9fb6b26543b35fda2a4a57a445569096e5e",
        "value": "150000000", "valid_after": 0, "valid_before": 1798761600,
        "nonce": "0x5d3f0c1e9a7b46288e1f2d3c4b5a69788796a5b4c3d2e1f00112233445566778", "signature": "0x00"
    })),
    responses(
        (status = 200, description = "It was known before", body = Answer),
        (status = 202, description = "It will be submitted", body = Answer),
    ))]
pub(crate) async fn by_customer(post: Post<ByCustomer>) -> Result<Response, Problem> {
    let Post { caller, body, mut work } = post;
    let found = invoices::locked_by_link(&mut work, &caller).await?;
    submit(work, &found, &body).await
}

async fn submit(mut work: Work, found: &Found, body: &JsonBody) -> Result<Response, Problem> {
    let signed = Signed::parse(body)?;
    let (known, _) = found.terms()?;
    if signed.to.is_some_and(|to| Account::Evm(to) != known.purse) {
        let detail = format!("The authorization must be made out to {}.", known.purse);
        return Err(Problem::new(Code::AuthorizationWrongAddress, detail)
            .field("to")
            .with("deposit_address", known.purse.to_string()));
    }
    let authorization = signed.authorization();
    let stored = store::orders::authorization(&mut work, &found.view.tenant_id, &known.terms, &authorization);
    let store::orders::Asked { id, state, news } = stored.await.map_err(nonce_used)?;
    let answer = |status: StatusCode, found: &Found| {
        let (intent_id, invoice_status, as_of) = (id.to_string(), found.view.status.as_str(), found.as_of());
        let answer = Answer { intent_id, state: state.as_str(), invoice_status, as_of };
        reply::json(status, &answer, &answer.as_of)
    };
    // Whoever repeats a request is told the same, whatever has become of the invoice meanwhile.
    if !news {
        return work.commit(answer(StatusCode::OK, found)?).await;
    }
    // What is refused from here on goes with the transaction.
    check(found, known, &signed)?;
    let found = invoices::again(&mut work, found).await?;
    let response = work.commit(answer(StatusCode::ACCEPTED, &found)?).await?;
    tracing::info!(invoice = found.view.id, intent = %id, "authorization accepted");
    Ok(response)
}

fn check(found: &Found, known: &TermsView, signed: &Signed) -> Result<(), Problem> {
    let terms = &known.terms;
    match found.view.status {
        InvoiceStatus::PendingPayment | InvoiceStatus::PartiallyPaid if found.seconds_left() > 0 => {}
        InvoiceStatus::Paid | InvoiceStatus::Overpaid => {
            return Err(Problem::new(Code::InvoicePaid, "The invoice is paid."));
        }
        InvoiceStatus::Cancelled | InvoiceStatus::Draft => {
            return Err(Problem::new(Code::InvoiceCancelled, "The invoice is not open."));
        }
        InvoiceStatus::Expired | InvoiceStatus::PendingPayment | InvoiceStatus::PartiallyPaid => {
            return Err(Problem::new(Code::InvoiceExpired, "The invoice has expired."));
        }
    }
    if terms.settler().is_zero() {
        // The gate submits authorizations only while its whole grace lies before closesAt, which these terms do not have.
        let detail = "A direct invoice is paid by the customer's own transaction.";
        return Err(Problem::new(Code::GaslessUnavailable, detail));
    }
    if !found.payable_on(known) {
        return Err(Problem::new(Code::GaslessUnavailable, "The invoice is paid on another network."));
    }
    let missing = found.missing_on(known);
    if missing == 0 {
        return Err(Problem::new(Code::InvoiceFunded, "All that is due lies at the deposit address."));
    }
    let value = signed.value;
    if value.is_zero() || !terms.partials() && value < U256::from(missing) {
        let detail = format!("The authorization is for {value} base units, {missing} are missing.");
        return Err(Problem::new(Code::AuthorizationTooSmall, detail)
            .field("value")
            .with("missing", Units(missing).to_string())
            .with("missing_units", missing.to_string()));
    }
    let (now, latest) = (found.unix_now(), found.expires_at());
    let window = |name: &str, why: String| {
        let problem = Problem::new(Code::AuthorizationWindow, format!("{name} is {why}.")).field(name);
        problem.with("now", now).with("valid_before_max", latest)
    };
    if signed.valid_after > now {
        return Err(window("valid_after", format!("{}, that is after now", signed.valid_after)));
    }
    if signed.valid_before <= now.saturating_add(LEAST_SECONDS) {
        return Err(window("valid_before", format!("{}, that is too soon", signed.valid_before)));
    }
    if signed.valid_before > latest {
        return Err(window("valid_before", format!("{}, that is after the invoice's expiry", signed.valid_before)));
    }
    Ok(())
}

/// A payer's nonce is stored once; for the same invoice it is known, so this one is another's.
fn nonce_used(error: store::Error) -> Problem {
    let unique = match &error {
        store::Error::Database(error) => error.as_database_error().is_some_and(|error| error.is_unique_violation()),
        _ => false,
    };
    if unique {
        let detail = "This payer has used this nonce for another invoice.";
        return Problem::new(Code::AuthorizationNonceUsed, detail).field("nonce");
    }
    error.into()
}
