//! `POST /api/invoices/{id}/refund` and, for whoever has the pay link, `POST /pay/{token}/refund`: money that lies at a
//! deposit address and pays nothing goes back.
//!
//! Where the customer's own wallet stands in the terms, it goes there and nowhere else. Otherwise the customer's word
//! decides, and the wallet's refund key signs an order (PROTOCOL §4) that the keeper carries.

use crate::body::{Fields, JsonBody};
use crate::invoices;
use crate::problem::{Code, Problem};
use crate::reply::{self, AsOf};
use crate::view::{self, Found};
use crate::work::{ByCustomer, ByTenant, Post, Work};
use crate::{App, create, document};
use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::{SolStruct, eip712_domain};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::request::InvalidRequest;
use serde::Serialize;
use std::sync::Arc;
use store::PgConnection;
use store::chain::Mirror;
use store::invoices::TermsView;
use terms::Account;
use terms::abi::RefundOrder;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;

/// How long an order can be carried out. Seconds.
const ORDER_SECONDS: u64 = 7 * 24 * 60 * 60;

/// The longest word of a customer, in characters.
const MAX_WORD: usize = 500;

/// What goes back, and where to.
#[derive(ToSchema)]
#[schema(as = Refund)]
pub(crate) struct Asked {
    /// The customer's own wallet. Needed where the invoice was made without `refund_address`.
    #[schema(value_type = Option<String>, pattern = "^0x[0-9a-fA-F]{40}$")]
    to: Option<Address>,
    /// Which token, where it is not the invoice's own.
    #[schema(value_type = Option<String>, pattern = "^0x[0-9a-fA-F]{40}$")]
    token: Option<Address>,
    /// What the customer said, kept with the order.
    #[schema(min_length = 1, max_length = 500)]
    word: Option<String>,
}

/// What else can be wrong with it.
pub(crate) const CODES: &[Code] = &[
    Code::RefundAddressMalformed,
    Code::AddressMalformed,
    Code::TextInvalid,
    Code::InvoiceNotFound,
    Code::NothingToRefund,
    Code::NotRefundableYet,
    Code::RefundAddressFixed,
    Code::RefundToRequired,
    Code::RefundAddressRefused,
    Code::RefundKeyErased,
    Code::RefundAlreadyOrdered,
    Code::TooManyAsked,
];

impl Asked {
    fn parse(body: &JsonBody) -> Result<Self, Problem> {
        let mut fields = Fields::parse(body)?;
        let asked = Self {
            to: fields.address("to", Code::RefundAddressMalformed)?,
            token: fields.address("token", Code::AddressMalformed)?,
            word: fields.text("word")?,
        };
        fields.finish()?;
        let fits =
            |word: &String| !word.is_empty() && word.chars().count() <= MAX_WORD && !word.chars().any(char::is_control);
        match asked.word.as_ref().is_none_or(fits) {
            true => Ok(asked),
            false => Err(InvalidRequest::Text { field: "word", max: MAX_WORD }.into()),
        }
    }
}

/// What is being done about it.
#[derive(Serialize, ToSchema)]
#[schema(as = RefundAnswer)]
struct Answer {
    /// The order's id; `null` where it goes back by itself.
    intent_id: Option<String>,
    /// The token that goes back.
    token: String,
    /// Where it goes.
    to: String,
    /// `null` where it goes back by itself, or was on its way before.
    #[schema(value_type = Option<document::IntentState>)]
    state: Option<&'static str>,
    /// What there is to say about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// Up to which moment the chain is known.
    as_of: Vec<AsOf>,
}

/// Send money back
///
/// What lies at an invoice's address and does not pay it: too much, too late, another token. Where the customer's wallet
/// stands in the terms it goes there; otherwise to the wallet named.
#[utoipa::path(post, path = "/api/invoices/{id}/refund", operation_id = "refund", tag = "Refunds and authorizations",
    params(("id" = String, Path, description = "The invoice's id, or your number of it", example = "INV-2026-000001")),
    request_body(content = Asked, example = json!({ "to": "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045", "word": "My own wallet" })),
    responses((status = 202, description = "It will go back", body = Answer)))]
pub(crate) async fn by_tenant(State(app): State<Arc<App>>, post: Post<ByTenant>) -> Result<Response, Problem> {
    let Post { caller, body, mut work } = post;
    let found = invoices::locked(&mut work, &caller.tenant_id, caller.id).await?;
    refund(&app, work, &found, "api key", &body).await
}

/// Have money sent back
///
/// The same for whoever has the pay link.
#[utoipa::path(post, path = "/pay/{token}/refund", operation_id = "refund_by_link", tag = "Pay link",
    params(("token" = String, Path, description = "What stands behind `/pay/` in the pay link, up to the `#`", example = "4fzzzxjylrx")),
    request_body(content = Asked, example = json!({ "to": "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045", "word": "My own wallet" })),
    responses((status = 202, description = "It will go back", body = Answer)))]
pub(crate) async fn by_customer(State(app): State<Arc<App>>, post: Post<ByCustomer>) -> Result<Response, Problem> {
    let Post { caller, body, mut work } = post;
    let found = invoices::locked_by_link(&mut work, &caller).await?;
    refund(&app, work, &found, "pay link", &body).await
}

async fn refund(
    app: &App,
    mut work: Work,
    found: &Found,
    by: &'static str,
    body: &JsonBody,
) -> Result<Response, Problem> {
    let asked = Asked::parse(body)?;
    let (known, mirror) = found.terms()?;
    let token = asked.token.map_or(known.terms.token(), Account::from);
    must_be_refundable(&mut work, found, token).await?;
    let answer = match known.terms.refund_key().is_zero() {
        true => to_its_owner(&mut work, found, known, token, asked.to.map(Account::from)).await?,
        false => {
            let to = receiver(known, mirror, token, asked.to.map(Account::from))?;
            let word = serde_json::json!({"by": by, "said": asked.word, "at": written(OffsetDateTime::now_utc())});
            ordered(app, &mut work, found, token, to, &word).await?
        }
    };
    store::projection::refresh(&mut work, known.hash).await?;
    let response = work.commit(reply::json(StatusCode::ACCEPTED, &answer, &answer.as_of)?).await?;
    tracing::info!(invoice = found.view.id, intent = answer.intent_id, by, %token, to = answer.to, "refund asked for");
    Ok(response)
}

/// There must be something of the token, and the chain must let it go.
async fn must_be_refundable(db: &mut PgConnection, found: &Found, token: Account) -> Result<(), Problem> {
    let (known, mirror) = found.terms()?;
    let terms = &known.terms;
    let books = store::orders::books(db, known.hash, token).await?;
    let mut there = books.received.saturating_sub(books.refunded);
    if token == terms.token() {
        // Of this one the payee has got some.
        there = there.min(known.balance);
    }
    if there.is_zero() {
        let detail = format!("Nothing of the token {token} lies at the deposit address.");
        return Err(Problem::new(Code::NothingToRefund, detail).with("token", token.to_string()));
    }
    if token == terms.token() && !found.released(terms, mirror) {
        let closes_at = create::time_of(terms.closes_at())?;
        let detail = format!("The invoice is still open. At the latest it closes at {}.", written(closes_at));
        return Err(Problem::new(Code::NotRefundableYet, detail)
            .with("expires_at", written(found.view.expires_at))
            .with("closes_at", written(closes_at)));
    }
    Ok(())
}

/// The terms say where it goes, and no key can say otherwise.
async fn to_its_owner(
    db: &mut PgConnection,
    found: &Found,
    known: &TermsView,
    token: Account,
    to: Option<Account>,
) -> Result<Answer, Problem> {
    let refund_to = known.terms.refund_to();
    if to.is_some_and(|to| to != refund_to) {
        let detail = format!("What goes back from this invoice goes to {refund_to}.");
        return Err(Problem::new(Code::RefundAddressFixed, detail)
            .field("to")
            .with("refund_to", refund_to.to_string()));
    }
    let (token_text, to) = (token.to_string(), refund_to.to_string());
    if token == known.terms.token() {
        let detail = Some(format!("It goes back to {refund_to} by itself; there is nothing to be done."));
        return Ok(Answer { intent_id: None, token: token_text, to, state: None, detail, as_of: found.as_of() });
    }
    let asked = store::orders::refund(db, &found.view.tenant_id, &known.terms, token).await?;
    let (id, state) = (asked.id.to_string(), asked.state.as_str());
    Ok(Answer { intent_id: Some(id), token: token_text, to, state: Some(state), detail: None, as_of: found.as_of() })
}

/// Where the customer wants it. What the escrow would refuse is refused here.
fn receiver(known: &TermsView, mirror: &Mirror, token: Account, to: Option<Account>) -> Result<Account, Problem> {
    let to = to.ok_or_else(|| {
        let detail = "Send the address of the customer's own wallet as to.";
        Problem::new(Code::RefundToRequired, detail).field("to")
    })?;
    if to.is_zero() || [mirror.deployed.escrow, known.terms.token(), token, known.purse].contains(&to) {
        let detail = format!("{to} is zero, the deposit address, the escrow or the token.");
        return Err(Problem::new(Code::RefundAddressRefused, detail).field("to"));
    }
    Ok(to)
}

/// Signs the customer's order with the wallet's key, and stores it with the word it rests on.
async fn ordered(
    app: &App,
    db: &mut PgConnection,
    found: &Found,
    token: Account,
    to: Account,
    word: &serde_json::Value,
) -> Result<Answer, Problem> {
    let (known, mirror) = found.terms()?;
    let wallet_id = &found.view.wallet.id;
    let (nonce, ciphertext) = store::keys::get(db, wallet_id).await?.ok_or_else(|| {
        let refund_to = known.terms.refund_to().to_string();
        let detail = format!("The wallet's key is erased; what lies there goes to {refund_to}.");
        Problem::new(Code::RefundKeyErased, detail).with("refund_to", refund_to)
    })?;
    let order = RefundOrder {
        termsHash: known.hash,
        token: evm(token)?,
        to: evm(to)?,
        nonce: U256::from_be_bytes(create::random()?.0),
        deadline: U256::from(mirror.tip_timestamp.saturating_add(ORDER_SECONDS)),
    };
    let hash = signing_hash(&order, mirror.deployed.chain, evm(mirror.deployed.escrow)?);
    let signature = app.vault.sign(wallet_id, &nonce, &ciphertext, hash)?;
    let asked = store::orders::order(db, &found.view.tenant_id, &known.terms, &order, &signature, word).await?;
    let id = asked.id.to_string();
    if !asked.news {
        let detail = "What lies there has been ordered back before, and that order stands.";
        return Err(Problem::new(Code::RefundAlreadyOrdered, detail).with("intent_id", id));
    }
    let state = Some(asked.state.as_str());
    Ok(Answer {
        intent_id: Some(id),
        token: token.to_string(),
        to: to.to_string(),
        state,
        detail: None,
        as_of: found.as_of(),
    })
}

/// An order is a thing of EVM chains.
fn evm(account: Account) -> Result<Address, Problem> {
    account.evm().ok_or_else(|| view::corrupt("an account of another kind of chain"))
}

/// What the escrow hashes before it asks who signed: EIP-712 under the domain of its own.
fn signing_hash(order: &RefundOrder, chain: u64, escrow: Address) -> B256 {
    let domain = eip712_domain! {
        name: "Monay InvoiceEscrow",
        version: "1",
        chain_id: chain,
        verifying_contract: escrow,
    };
    order.eip712_signing_hash(&domain)
}

fn written(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}
