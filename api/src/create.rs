//! `POST /api/invoices/create`: an invoice, its wallet and its terms, in one transaction and without a chain.

use crate::body::{self, Fields, JsonBody};
use crate::problem::{Code, Problem};
use crate::view::{self, Found};
use crate::work::{ByTenant, Post};
use crate::{App, clock, document, observe};
use alloy_primitives::{Address, B256};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::project::GRACE_SECONDS;
use domain::request::{CreateInvoice, Typed};
use serde_json::{Map, Value};
use std::sync::Arc;
use store::PgConnection;
use store::chain::{ChainKind, Deployed, Mirror};
use store::invoices::{NewInvoice, NewRail};
use store::keys::SealedKey;
use store::tenants::Issuer;
use terms::solana::DrawError;
use terms::{Account, BrokenRule, Deployment, Here, InvoiceTerms, Pubkey, SolanaTerms, Terms};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// From displayed expiry to `closes_at` when the terms let anyone settle (PROTOCOL §1): the payee can do it himself.
/// Seconds.
const DIRECT_GRACE_SECONDS: u64 = 60 * 60;

/// The tenant's own data, as it is written in the request.
const MAX_METADATA_BYTES: usize = 16 * 1024;

/// What an invoice is made from.
#[derive(ToSchema)]
#[schema(as = CreateInvoice)]
pub(crate) struct Request {
    /// The tenant the key belongs to; it need not be said.
    tenant_id: Option<String>,
    /// What is to be paid: digits and at most one point, as a number or as text. USD has two decimals, USDC six.
    #[schema(value_type = document::Amount)]
    amount: String,
    /// `USD` (if none is given) or `USDC`; one dollar is one USDC.
    #[schema(value_type = Option<document::Currency>)]
    currency: Option<String>,
    /// `ephemeral`, which it is if nothing is said.
    #[schema(value_type = Option<document::WalletMode>)]
    wallet_mode: Option<String>,
    /// How long the wallet lives and the invoice can be paid, in seconds; 86400 if nothing is said.
    #[schema(minimum = 3600, maximum = 31536000)]
    wallet_ttl: Option<u64>,
    /// `true`: every invoice has a wallet.
    auto_create_wallet: Option<bool>,
    /// The last day to pay (UTC), today or later.
    #[schema(value_type = Option<time::Date>)]
    due_date: Option<String>,
    /// `automatic` (if nothing is said): paid when the money is there; `manual`: paid when `POST /api/invoices/pay` says so.
    #[schema(value_type = Option<document::Settlement>)]
    settlement: Option<String>,
    /// Your own number for it, which no other of your invoices has. One is made if none is given.
    #[schema(rename = "invoice_number", min_length = 1, max_length = 64)]
    number: Option<String>,
    /// What the customer reads.
    #[schema(min_length = 1, max_length = 500)]
    description: Option<String>,
    /// A word of yours.
    #[schema(min_length = 1, max_length = 50)]
    category: Option<String>,
    /// Where the bill is sent.
    #[schema(format = "email", max_length = 254)]
    customer_email: Option<String>,
    /// The customer's own wallet, where money goes that goes back; it is in the terms, and nobody can change it.
    #[schema(value_type = Option<String>, pattern = "^0x[0-9a-fA-F]{40}$")]
    refund_address: Option<Address>,
    /// The same on Solana. What goes back there goes to the enterprise's account for unclaimed money if none is given.
    #[schema(value_type = Option<String>, pattern = "^[1-9A-HJ-NP-Za-km-z]{32,44}$")]
    solana_refund_address: Option<Pubkey>,
    /// The same on Tempo, where an address on Base may be nobody's. The rest is as on Solana.
    #[schema(value_type = Option<String>, pattern = "^0x[0-9a-fA-F]{40}$")]
    tempo_refund_address: Option<Address>,
    /// Whether the customer's wallet may pay through the escrow itself; `false` if nothing is said.
    #[schema(value_type = Option<bool>)]
    direct: bool,
    /// An object of your own, at most 16 kB and 100 levels deep.
    #[schema(value_type = Option<Object>)]
    metadata: Value,
}

/// What else can be wrong with it.
pub(crate) const CODES: &[Code] = &[
    Code::FieldMissing,
    Code::AmountMalformed,
    Code::AmountNotPositive,
    Code::AmountTooPrecise,
    Code::AmountTooLarge,
    Code::CurrencyUnknown,
    Code::WalletModeUnavailable,
    Code::WalletTtlOutOfRange,
    Code::WalletRequired,
    Code::DueDateMalformed,
    Code::DueDateInPast,
    Code::SettlementUnknown,
    Code::TextInvalid,
    Code::CustomerEmailMalformed,
    Code::RefundAddressMalformed,
    Code::RefundAddressRefused,
    Code::AccountMalformed,
    Code::MetadataMalformed,
    Code::MetadataTooLarge,
    Code::TenantNotFound,
    Code::InvoiceNumberTaken,
    Code::EnterpriseNotVerified,
    Code::PayeeMissing,
    Code::TermsRefused,
];

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
            solana_refund_address: fields.solana("solana_refund_address")?,
            tempo_refund_address: fields.address("tempo_refund_address", Code::RefundAddressMalformed)?,
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

/// Create an invoice
///
/// The answer holds the invoice, its wallet with the deposit address, and the terms. Nothing is written to a chain: the
/// address is a hash of the terms.
#[utoipa::path(post, path = "/api/invoices/create", operation_id = "create_invoice", tag = "Invoices",
    request_body(content = Request, example = json!({
        "customer_email": "jane@email.com", "amount": 150, "currency": "USD", "description": "Electric Service",
        "category": "UTILITY", "wallet_mode": "ephemeral", "wallet_ttl": 86400
    })),
    responses((status = 201, description = "It is there, and can be paid", body = view::Answer,
        headers(("Location" = String, description = "Where it is")))))]
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

    let base = Evm::of(&mirror, payee, unclaimed)?;

    // Where the customer's own wallet is known, money that goes back goes there and no key of ours can send it elsewhere.
    let (refund_to, sealed) = match request.refund_address {
        Some(address) => (address, None),
        None => (base.unclaimed, Some(app.vault.seal_new(&wallet_id)?)),
    };
    // A wallet that calls `pay` itself is no settler of ours: only terms that let anyone settle let it pay. On two chains they
    // could be settled on both.
    let (settler, grace) = match request.direct {
        true => (Address::ZERO, DIRECT_GRACE_SECONDS),
        false => (base.settler, GRACE_SECONDS),
    };
    let (solana, tempo) = match request.direct {
        true => (None, None),
        false => (Solana::find(&mut work, &tenant_id).await?, Tempo::find(&mut work, &tenant_id).await?),
    };
    // The chains' clocks may be ahead of ours; the longest of the lives is the one that was promised.
    let tips = [solana.as_ref().map(|solana| solana.now), tempo.as_ref().map(|tempo| tempo.now)];
    let now = tips.into_iter().flatten().fold(clock::unix_now().max(mirror.tip_timestamp), u64::max);
    let expires_at = now.saturating_add(wanted.ttl_seconds);
    let deployed = &mirror.deployed;
    let mut terms = InvoiceTerms {
        version: terms::VERSION,
        chain: deployed.chain,
        invoice_id: random()?,
        payee: base.payee,
        token: base.token,
        amount: wanted.amount.0,
        closes_at: expires_at.saturating_add(grace),
        refund_to,
        refund_key: sealed.as_ref().map_or(Address::ZERO, |key| key.address),
        settler,
        flags: 0,
    };
    let on_solana = match solana {
        Some(solana) => solana.rail(&terms, request.solana_refund_address, now)?,
        None => None,
    };
    if let Some(rail) = &on_solana {
        // One id on all chains, and only Solana is particular about it.
        terms.invoice_id = rail.terms.invoice_id();
    }
    let on_tempo = tempo.map(|tempo| tempo.rail(&terms, request.tempo_refund_address, now)).transpose()?;
    let deployment = Deployment::version_1(base.escrow);
    terms
        .check(&Here { chain: deployed.chain, timestamp: now, deployment })
        .map_err(|broken| refused(broken, request.refund_address.is_some(), "refund_address"))?;
    let here = NewRail { purse: terms.deposit_address(&deployment).into(), terms: Terms::Evm(terms) };
    let rails: Vec<NewRail> = std::iter::once(here).chain(on_solana).chain(on_tempo).collect();

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
        rails: &rails,
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

/// The accounts of an invoice on an EVM chain.
struct Evm {
    payee: Address,
    unclaimed: Address,
    token: Address,
    settler: Address,
    escrow: Address,
}

impl Evm {
    fn of(mirror: &Mirror, payee: Account, unclaimed: Account) -> Result<Self, Problem> {
        let evm = |account: Account| account.evm().ok_or_else(|| view::corrupt("an account of another kind of chain"));
        let deployed = &mirror.deployed;
        Ok(Self {
            payee: evm(payee)?,
            unclaimed: evm(unclaimed)?,
            token: evm(deployed.token)?,
            settler: evm(deployed.settler)?,
            escrow: evm(deployed.escrow)?,
        })
    }
}

/// What an invoice needs to be paid on Tempo too.
struct Tempo {
    chain: u64,
    now: u64,
    accounts: Evm,
}

impl Tempo {
    /// Where the installation mirrors Tempo and the tenant is paid there.
    async fn find(db: &mut PgConnection, tenant_id: &str) -> Result<Option<Self>, Problem> {
        let mirrors = store::chain::all(db).await?;
        let there = |mirror: &&Mirror| mirror.deployed.kind == ChainKind::Tempo;
        let Some(mirror) = mirrors.iter().find(there) else { return Ok(None) };
        let chain = mirror.deployed.chain;
        let accounts = issuer(db, tenant_id, chain).await?.accounts;
        let Some((payee, unclaimed)) = accounts else { return Ok(None) };
        Ok(Some(Self { chain, now: mirror.tip_timestamp, accounts: Evm::of(mirror, payee, unclaimed)? }))
    }

    /// The same invoice there. No refund key: its orders are for what lies on Base.
    fn rail(&self, base: &InvoiceTerms, refund_to: Option<Address>, now: u64) -> Result<NewRail, Problem> {
        let Evm { payee, unclaimed, token, settler, escrow } = self.accounts;
        let terms = InvoiceTerms {
            chain: self.chain,
            payee,
            token,
            refund_to: refund_to.unwrap_or(unclaimed),
            refund_key: Address::ZERO,
            settler,
            ..base.clone()
        };
        let deployment = Deployment::version_1(escrow);
        terms
            .check(&Here { chain: self.chain, timestamp: now, deployment })
            .map_err(|broken| refused(broken, refund_to.is_some(), "tempo_refund_address"))?;
        Ok(NewRail { purse: terms.deposit_address(&deployment).into(), terms: Terms::Evm(terms) })
    }
}

/// What an invoice needs to be paid on Solana too.
struct Solana {
    deployed: Deployed,
    now: u64,
    program: Pubkey,
    token: Pubkey,
    settler: Pubkey,
    payee: Pubkey,
    unclaimed: Pubkey,
}

impl Solana {
    /// Where the installation mirrors Solana and the tenant is paid there.
    async fn find(db: &mut PgConnection, tenant_id: &str) -> Result<Option<Self>, Problem> {
        let mirrors = store::chain::all(db).await?;
        // Terms of all chains have the same flags (PROTOCOL §1), and Token-2022 has one of its own.
        let there = |mirror: &Mirror| mirror.deployed.kind == ChainKind::Solana && !mirror.deployed.token_2022;
        let Some(mirror) = mirrors.into_iter().find(there) else { return Ok(None) };
        let accounts = issuer(db, tenant_id, mirror.deployed.chain).await?.accounts;
        let Some((payee, unclaimed)) = accounts else { return Ok(None) };
        let key =
            |account: Account| account.solana().ok_or_else(|| view::corrupt("an account of another kind of chain"));
        Ok(Some(Self {
            now: mirror.tip_timestamp,
            program: key(mirror.deployed.escrow)?,
            token: key(mirror.deployed.token)?,
            settler: key(mirror.deployed.settler)?,
            payee: key(payee)?,
            unclaimed: key(unclaimed)?,
            deployed: mirror.deployed,
        }))
    }

    /// The same invoice there: an id is drawn that gives addresses. `None` where the amount is beyond what Solana can count.
    fn rail(&self, base: &InvoiceTerms, refund_to: Option<Pubkey>, now: u64) -> Result<Option<NewRail>, Problem> {
        let Ok(amount) = u64::try_from(base.amount) else { return Ok(None) };
        let mut terms = SolanaTerms {
            version: terms::VERSION,
            chain: self.deployed.chain,
            invoice_id: base.invoice_id,
            payee: self.payee,
            token: self.token,
            amount,
            closes_at: base.closes_at,
            refund_to: refund_to.unwrap_or(self.unclaimed),
            // An order there is a signature under a transaction, which needs a node: what goes back goes to refund_to.
            refund_key: Pubkey::default(),
            settler: self.settler,
            flags: base.flags,
        };
        let addresses = terms.draw(&self.program, random).map_err(|error| match error {
            DrawError::Random(problem) => problem,
            DrawError::Unlucky => {
                tracing::error!("no invoice id gives addresses on Solana");
                Problem::internal()
            }
        })?;
        terms
            .check(now, &self.program)
            .map_err(|broken| refused(broken, refund_to.is_some(), "solana_refund_address"))?;
        Ok(Some(NewRail { terms: Terms::Solana(terms), purse: addresses.invoice.into() }))
    }
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
fn refused(broken: BrokenRule, customers_address: bool, field: &str) -> Problem {
    match broken {
        BrokenRule::InvalidRefundTo(_) if customers_address => {
            Problem::new(Code::RefundAddressRefused, broken.to_string()).field(field)
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
