//! `POST /api/invoices/create`: an invoice, its wallet and its terms, in one transaction and without a chain.

use crate::body::{self, Fields, JsonBody};
use crate::problem::{Code, Problem};
use crate::view::Found;
use crate::work::{ByTenant, Post};
use crate::{App, clock, observe};
use alloy_primitives::{Address, B256};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::project::GRACE_SECONDS;
use domain::request::{CreateInvoice, Typed};
use serde_json::{Map, Value};
use std::sync::Arc;
use store::PgConnection;
use store::chain::Mirror;
use store::invoices::NewInvoice;
use store::keys::SealedKey;
use store::tenants::Issuer;
use terms::{BrokenRule, Deployment, Here, InvoiceTerms};
use time::OffsetDateTime;

/// From displayed expiry to `closes_at` when the terms let anyone settle (PROTOCOL §1): the payee can do it himself.
/// Seconds.
const DIRECT_GRACE_SECONDS: u64 = 60 * 60;

/// The tenant's own data, as it is written in the request.
const MAX_METADATA_BYTES: usize = 16 * 1024;

/// The fields of the request, as they were typed.
struct Request {
    tenant_id: Option<String>,
    amount: String,
    currency: Option<String>,
    wallet_mode: Option<String>,
    wallet_ttl: Option<u64>,
    auto_create_wallet: Option<bool>,
    due_date: Option<String>,
    settlement: Option<String>,
    number: Option<String>,
    description: Option<String>,
    category: Option<String>,
    customer_email: Option<String>,
    refund_address: Option<Address>,
    direct: bool,
    metadata: Value,
}

impl Request {
    fn parse(body: &JsonBody) -> Result<Self, Problem> {
        let mut fields = Fields::parse(body)?;
        let request = Self {
            tenant_id: fields.text("tenant_id")?,
            amount: fields.amount("amount")?.ok_or_else(|| body::missing("amount"))?,
            currency: fields.text("currency")?,
            wallet_mode: fields.text("wallet_mode")?,
            wallet_ttl: fields.whole("wallet_ttl", "a whole number of seconds")?,
            auto_create_wallet: fields.flag("auto_create_wallet")?,
            due_date: fields.text("due_date")?,
            settlement: fields.text("settlement")?,
            number: fields.text("invoice_number")?,
            description: fields.text("description")?,
            category: fields.text("category")?,
            customer_email: fields.text("customer_email")?,
            refund_address: fields.address("refund_address", Code::RefundAddressMalformed)?,
            direct: fields.flag("direct")?.unwrap_or(false),
            metadata: fields.object("metadata", MAX_METADATA_BYTES)?.unwrap_or_else(|| Value::Object(Map::new())),
        };
        fields.finish()?;
        Ok(request)
    }

    fn check(&self, today: time::Date) -> Result<CreateInvoice, Problem> {
        if self.auto_create_wallet == Some(false) {
            let detail = "Every invoice is paid into a wallet of its own: leave auto_create_wallet out, or say true.";
            return Err(Problem::new(Code::WalletRequired, detail).field("auto_create_wallet"));
        }
        let typed = Typed {
            amount: &self.amount,
            currency: self.currency.as_deref(),
            wallet_mode: self.wallet_mode.as_deref(),
            wallet_ttl: self.wallet_ttl,
            due_date: self.due_date.as_deref(),
            settlement: self.settlement.as_deref(),
            number: self.number.as_deref(),
            description: self.description.as_deref(),
            category: self.category.as_deref(),
            customer_email: self.customer_email.as_deref(),
        };
        Ok(CreateInvoice::parse(&typed, today)?)
    }
}

pub(crate) async fn create(State(app): State<Arc<App>>, post: Post<ByTenant>) -> Result<Response, Problem> {
    let Post { caller: ByTenant { tenant_id, .. }, body, mut work } = post;
    let request = Request::parse(&body)?;
    if request.tenant_id.as_ref().is_some_and(|named| *named != tenant_id) {
        return Err(Problem::new(Code::TenantNotFound, "You have no tenant with this id.").field("tenant_id"));
    }
    let wanted = request.check(OffsetDateTime::now_utc().date())?;

    let mirror = store::chain::get(&mut work, app.chain).await?;
    let issuer = issuer(&mut work, &tenant_id, app.chain).await?;
    let (payee, unclaimed) = issuer.accounts.ok_or_else(|| {
        Problem::new(Code::PayeeMissing, format!("{} has no payee address on {}.", issuer.name, mirror.deployed.name))
    })?;
    let id = domain::ids::new_invoice_id();
    let wallet_id = domain::ids::new_wallet_id();
    observe::about(&id);

    // Where the customer's own wallet is known, money that goes back goes there and no key of ours can send it elsewhere.
    let (refund_to, sealed) = match request.refund_address {
        Some(address) => (address, None),
        None => (unclaimed, Some(app.vault.seal_new(&wallet_id)?)),
    };
    // The chain's clock may be ahead of ours; the longer of the two lives is the one that was promised.
    let now = clock::unix_now().max(mirror.tip_timestamp);
    let expires_at = now.saturating_add(wanted.ttl_seconds);
    let deployed = &mirror.deployed;
    // A wallet that calls `pay` itself is no settler of ours: only terms that let anyone settle let it pay.
    let (settler, grace) = match request.direct {
        true => (Address::ZERO, DIRECT_GRACE_SECONDS),
        false => (deployed.settler, GRACE_SECONDS),
    };
    let terms = InvoiceTerms {
        version: terms::VERSION,
        chain: deployed.chain,
        invoice_id: random()?,
        payee,
        token: deployed.token,
        amount: wanted.amount.0,
        closes_at: expires_at.saturating_add(grace),
        refund_to,
        refund_key: sealed.as_ref().map_or(Address::ZERO, |key| key.address),
        settler,
        flags: 0,
    };
    let deployment = Deployment::version_1(deployed.escrow);
    terms
        .check(&Here { chain: deployed.chain, timestamp: now, deployment })
        .map_err(|broken| refused(broken, request.refund_address.is_some()))?;

    let customer_id = match &request.customer_email {
        Some(email) => Some(store::tenants::customer(&mut work, &tenant_id, email).await?),
        None => None,
    };
    let sealed = sealed.map(|key| SealedKey { address: key.address, nonce: key.nonce, ciphertext: key.ciphertext });
    let new = NewInvoice {
        id: &id,
        tenant_id: &tenant_id,
        number: request.number.as_deref(),
        issuer: &issuer.id,
        customer_id: customer_id.as_deref(),
        customer_email: request.customer_email.as_deref(),
        request: &wanted,
        description: request.description.as_deref(),
        category: request.category.as_deref(),
        expires_at: time_of(expires_at)?,
        pay_token: &domain::ids::new_pay_token(),
        wallet_id: &wallet_id,
        terms: &terms,
        purse: terms.deposit_address(&deployment),
        key: sealed.as_ref(),
        metadata: request.metadata,
    };
    store::invoices::create(&mut work, &new).await?;
    // Read back, so that the answer is what was stored and what GET will say.
    let found = found(&mut work, &tenant_id, &id).await?;
    let reply = found.answer(&app, StatusCode::CREATED)?.at(format!("/api/invoices/{id}"));
    let response = work.commit(reply).await?;
    tracing::info!(invoice = id, tenant = tenant_id, chain = %mirror_name(&mirror), "invoice created");
    Ok(response)
}

fn mirror_name(mirror: &Mirror) -> &str {
    &mirror.deployed.name
}

async fn issuer(db: &mut PgConnection, tenant_id: &str, chain: u64) -> Result<Issuer, Problem> {
    let issuer = store::tenants::issuer(db, tenant_id, chain).await?;
    issuer.filter(|issuer| issuer.verified).ok_or_else(|| {
        Problem::new(Code::EnterpriseNotVerified, "Only a verified enterprise may issue invoices, and this one is not.")
    })
}

async fn found(db: &mut PgConnection, tenant_id: &str, id: &str) -> Result<Found, Problem> {
    let view = store::invoices::by_id(db, tenant_id, id).await?;
    let view = view.ok_or_else(|| {
        tracing::error!("the invoice just stored is not there");
        Problem::internal()
    })?;
    Found::load(db, view).await
}

/// Whose mistake it is that the terms break a rule.
fn refused(broken: BrokenRule, customers_address: bool) -> Problem {
    match broken {
        BrokenRule::InvalidRefundTo(_) if customers_address => {
            Problem::new(Code::RefundAddressRefused, broken.to_string()).field("refund_address")
        }
        BrokenRule::InvalidPayee(_) | BrokenRule::InvalidRefundTo(_) => {
            Problem::new(Code::TermsRefused, broken.to_string())
        }
        broken => {
            tracing::error!(%broken, "terms that break a rule");
            Problem::internal()
        }
    }
}

pub(crate) fn random() -> Result<B256, Problem> {
    let mut bytes = B256::ZERO;
    getrandom::fill(bytes.as_mut_slice()).map_err(|error| {
        tracing::error!(%error, "no random bytes");
        Problem::internal()
    })?;
    Ok(bytes)
}

pub(crate) fn time_of(unix_seconds: u64) -> Result<OffsetDateTime, Problem> {
    let at = i64::try_from(unix_seconds).ok().and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
    at.ok_or_else(|| {
        tracing::error!(unix_seconds, "the chain's clock is out of range");
        Problem::internal()
    })
}
