//! Solana Pay: a link that a Solana wallet opens to pay, and, for wallets that send to no
//! address without a key, the transaction itself, made for them to sign.
//!
//! Nobody is believed anything here: the transaction moves what is due from the wallet that asked into the invoice's own token
//! account, and the wallet shows what it signs.

use crate::body::{self, Fields, JsonBody};
use crate::invoices::Segment;
use crate::problem::{Code, Problem};
use crate::reply::{self, Reply};
use crate::view::Found;
use crate::{App, pay_page};
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::invoice::InvoiceStatus;
use domain::money::{TOKEN_DECIMALS, Units};
use serde::Serialize;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::chain::Mirror;
use store::invoices::TermsView;
use terms::solana::{Addresses, associated_token};
use terms::{Pubkey, SolanaTerms, TransferRequest};
use utoipa::ToSchema;

/// A block's hash is good for about a minute: what is older would be refused by the time it is signed. Seconds.
const MAX_AGE_SECONDS: u64 = 40;

/// How long an answer of the node is good for others.
const KEPT: Duration = Duration::from_secs(1);

/// How long the node is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// The associated token account program.
const ATA_PROGRAM: Pubkey = Pubkey::new_from_array(escrow_interface::address::ASSOCIATED_TOKEN_PROGRAM);

/// Its instruction that makes an account unless it is there.
const CREATE_IDEMPOTENT: u8 = 1;

/// The token programs' instruction that says mint and decimals too.
const TRANSFER_CHECKED: u8 = 12;

/// Where the hash of a block comes from that a transaction can rest on: a node. Where none is given it is the newest one of
/// the mirror.
#[derive(Clone)]
pub struct Blockhash(Arc<dyn Fn() -> Asked + Send + Sync>);

type Asked = Pin<Box<dyn Future<Output = Option<[u8; 32]>> + Send>>;

impl Blockhash {
    /// From whoever knows; `None` where he does not just now.
    pub fn new<F: Future<Output = Option<[u8; 32]>> + Send + 'static>(
        ask: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(move || Box::pin(ask())))
    }
}

impl std::fmt::Debug for Blockhash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Blockhash(..)")
    }
}

/// What was answered last: however many wallets ask, the node is asked once a second, and by one at a time.
pub(crate) struct Recent {
    source: Option<Blockhash>,
    last: tokio::sync::Mutex<Option<(Instant, [u8; 32])>>,
}

impl Recent {
    pub(crate) fn of(source: Option<Blockhash>) -> Self {
        Self { source, last: tokio::sync::Mutex::new(None) }
    }

    async fn get(&self, mirror: &Mirror, now: u64) -> Option<[u8; 32]> {
        let Some(source) = &self.source else {
            return (now.saturating_sub(mirror.tip_timestamp) <= MAX_AGE_SECONDS).then_some(mirror.tip_hash.0);
        };
        let mut last = self.last.lock().await;
        match *last {
            Some((at, hash)) if at.elapsed() < KEPT => Some(hash),
            _ => {
                let hash = tokio::time::timeout(PATIENCE, (source.0)()).await.ok().flatten()?;
                *last = Some((Instant::now(), hash));
                Some(hash)
            }
        }
    }
}

/// What else can be wrong.
pub(crate) const CODES: &[Code] = &[
    Code::FieldMissing,
    Code::AccountMalformed,
    Code::InvoiceNotFound,
    Code::InvoicePaid,
    Code::InvoiceExpired,
    Code::InvoiceCancelled,
    Code::InvoiceFunded,
    Code::SolanaUnavailable,
    Code::NetworkBehind,
];

/// What a Solana wallet opens to pay.
#[derive(Serialize, ToSchema)]
pub(crate) struct SolanaPay {
    /// Sends to the deposit address. As a link or a QR code.
    pub(crate) transfer: String,
    /// Signs a transaction that is made for it, for wallets that refuse the first.
    pub(crate) transaction: String,
    /// Marks the transfer, so that a wallet's own search finds it.
    reference: String,
}

/// The links, where it can be paid on Solana now.
pub(crate) fn uris(found: &Found, app: &App, known: &TermsView) -> Option<SolanaPay> {
    let terms = known.terms.solana()?;
    let missing = found.missing_on(known);
    if !found.open() || !found.payable_on(known) || found.seconds_left() == 0 || missing == 0 {
        return None;
    }
    let escrow = found.mirror(terms.chain)?.deployed.escrow.solana()?;
    let Addresses { invoice, record } = terms.addresses(&escrow)?;
    let transfer = TransferRequest {
        invoice,
        amount: u64::try_from(missing).ok()?,
        decimals: u8::try_from(TOKEN_DECIMALS).ok()?,
        token: terms.token,
        references: &[record],
        label: Some(&found.view.issuer_name),
        message: Some(&found.view.number),
    };
    // Without a query the address of a transaction request stands for itself (Solana Pay, "Transaction Request").
    let transaction = format!("solana:{}/pay/{}/solana", app.public_url, found.view.pay_token);
    Some(SolanaPay { transfer: transfer.to_string(), transaction, reference: record.to_string() })
}

/// Who asks to be paid.
#[derive(Serialize, ToSchema)]
#[schema(as = SolanaPayLabel)]
pub(crate) struct Label {
    /// The enterprise's name.
    label: String,
    /// A picture.
    icon: String,
}

/// A wallet that wants to pay.
#[derive(ToSchema)]
#[schema(as = SolanaPayAccount)]
#[allow(dead_code)]
pub(crate) struct Wallet {
    /// Its address.
    #[schema(pattern = "^[1-9A-HJ-NP-Za-km-z]{32,44}$")]
    account: String,
}

/// What it is to sign.
#[derive(Serialize, ToSchema)]
#[schema(as = SolanaPayTransaction)]
struct Transaction {
    /// The transaction, in base64, not signed.
    transaction: String,
    /// What it does, for people.
    message: String,
}

/// Who asks to be paid on Solana
///
/// Solana Pay's transaction request, first half: what a wallet shows.
#[utoipa::path(get, path = "/pay/{token}/solana", operation_id = "solana_pay_label", tag = "Pay link",
    params(("token" = String, Path, description = "What stands behind `/pay/` in the pay link, up to the `#`", example = "4fzzzxjylrx")),
    responses((status = 200, description = "The enterprise", body = Label)))]
pub(crate) async fn label(State(app): State<Arc<App>>, token: Segment) -> Result<Reply, Problem> {
    let found = pay_page::load(&app, token).await?;
    on_solana(&found)?;
    let label = Label { label: found.view.issuer_name.clone(), icon: format!("{}/icon.svg", app.public_url) };
    reply::json(StatusCode::OK, &label, &[])
}

/// A transaction that pays on Solana
///
/// Solana Pay's transaction request, second half: what is due, from the wallet's token account into the invoice's, for the wallet
/// to sign and send. Nothing is kept of it.
#[utoipa::path(post, path = "/pay/{token}/solana", operation_id = "solana_pay_transaction", tag = "Pay link",
    params(("token" = String, Path, description = "What stands behind `/pay/` in the pay link, up to the `#`", example = "4fzzzxjylrx")),
    request_body(content = Wallet, example = json!({ "account": "4BWFgrNVrzSVTQqH1jjwYsbF1ytaD9hJzVz8aP3nZHoL" })),
    responses((status = 200, description = "The transaction", body = Transaction)))]
pub(crate) async fn transaction(State(app): State<Arc<App>>, token: Segment, body: JsonBody) -> Result<Reply, Problem> {
    let mut fields = Fields::parse(&body)?;
    let payer = fields.solana("account")?.ok_or_else(|| body::missing("account"))?;
    fields.finish()?;
    let found = pay_page::load(&app, token).await?;
    let (known, terms, mirror) = on_solana(&found)?;
    must_be_payable(&found, known)?;
    let blockhash = app
        .blockhash
        .get(mirror, crate::clock::unix_now())
        .await
        .ok_or_else(|| Problem::new(Code::NetworkBehind, "The newest block of Solana that we have is too old."))?;
    let escrow = mirror.deployed.escrow.solana();
    let addresses = escrow.and_then(|escrow| terms.addresses(&escrow));
    let addresses = addresses.ok_or_else(|| crate::view::corrupt("terms without addresses"))?;
    let missing = found.missing_on(known);
    let amount = u64::try_from(missing).map_err(|_| crate::view::corrupt("an amount beyond Solana's"))?;
    let bytes = Transfer { payer, addresses, terms, amount }.unsigned(&blockhash);
    let answer = Transaction {
        transaction: STANDARD.encode(bytes),
        message: format!("{} {} for {}", Units(missing), found.view.wallet.currency, found.view.number),
    };
    reply::json(StatusCode::OK, &answer, &[])
}

/// A picture for wallets
///
/// What Solana Pay wants to show beside the name.
#[utoipa::path(get, path = "/icon.svg", operation_id = "icon", tag = "Pay link",
    responses((status = 200, description = "The picture", body = String, content_type = "image/svg+xml")))]
pub(crate) async fn icon() -> Response {
    const ICON: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="#14532d"/><path d="M7 23V10l9 8 9-8v13" fill="none" stroke="#fff" stroke-width="3"/></svg>"##;
    ([(header::CONTENT_TYPE, HeaderValue::from_static("image/svg+xml"))], ICON).into_response()
}

fn on_solana(found: &Found) -> Result<(&TermsView, &SolanaTerms, &Mirror), Problem> {
    let known = found.view.terms.iter().find(|known| known.terms.solana().is_some() && found.payable_on(known));
    let unavailable = || Problem::new(Code::SolanaUnavailable, "This invoice cannot be paid on Solana.");
    let known = known.ok_or_else(unavailable)?;
    let terms = known.terms.solana().ok_or_else(unavailable)?;
    Ok((known, terms, found.mirror(terms.chain).ok_or_else(|| crate::view::corrupt("terms without a chain"))?))
}

fn must_be_payable(found: &Found, known: &TermsView) -> Result<(), Problem> {
    match found.view.status {
        InvoiceStatus::Paid | InvoiceStatus::Overpaid => Err(Problem::new(Code::InvoicePaid, "The invoice is paid.")),
        InvoiceStatus::Cancelled | InvoiceStatus::Draft => {
            Err(Problem::new(Code::InvoiceCancelled, "The invoice is not open."))
        }
        InvoiceStatus::PendingPayment | InvoiceStatus::PartiallyPaid if found.seconds_left() > 0 => {
            match found.missing_on(known) {
                0 => Err(Problem::new(Code::InvoiceFunded, "All that is due lies at the deposit address.")),
                _ => Ok(()),
            }
        }
        _ => Err(Problem::new(Code::InvoiceExpired, "The invoice has expired.")),
    }
}

/// What is due, from a wallet into an invoice's vault.
struct Transfer<'a> {
    payer: Pubkey,
    addresses: Addresses,
    terms: &'a SolanaTerms,
    amount: u64,
}

impl Transfer<'_> {
    /// The transaction, with room for the payer's signature. The payer makes the vault if nobody has.
    fn unsigned(&self, blockhash: &[u8; 32]) -> Vec<u8> {
        let (mint, program) = (self.terms.token, self.terms.token_program());
        let (source, _) = associated_token(&self.payer, &mint, &program);
        let (vault, _) = self.terms.vault(&self.addresses.invoice);
        // One signer who writes, two others that are written, six that are read: the order is part of the format.
        let keys = [
            self.payer,
            source,
            vault,
            self.addresses.invoice,
            mint,
            Pubkey::default(),
            program,
            ATA_PROGRAM,
            self.addresses.record,
        ];
        let mut checked = vec![TRANSFER_CHECKED];
        checked.extend(self.amount.to_le_bytes());
        checked.extend(TOKEN_DECIMALS.to_le_bytes().first());
        let mut bytes = vec![1];
        bytes.extend([0; 64]);
        bytes.extend([1, 0, 6, 9]);
        for key in keys {
            bytes.extend(key.to_bytes());
        }
        bytes.extend(blockhash);
        bytes.push(2);
        // Payer, vault, its owner, mint, system program, token program.
        instruction(&mut bytes, 7, &[0, 2, 3, 4, 5, 6], &[CREATE_IDEMPOTENT]);
        // Source, mint, vault, payer; the reference is only to be found by.
        instruction(&mut bytes, 6, &[1, 4, 2, 0, 8], &checked);
        bytes
    }
}

/// The program and the accounts by their places, each list with its length in front. All lengths are below 128: one byte.
fn instruction(bytes: &mut Vec<u8>, program: u8, accounts: &[u8], data: &[u8]) {
    bytes.push(program);
    bytes.extend(u8::try_from(accounts.len()));
    bytes.extend(accounts);
    bytes.extend(u8::try_from(data.len()));
    bytes.extend(data);
}

#[cfg(test)]
mod tests {
    use super::*;
    use terms::B256;

    fn terms() -> SolanaTerms {
        let key = |byte| Pubkey::new_from_array([byte; 32]);
        SolanaTerms {
            version: 1,
            chain: 1,
            invoice_id: B256::ZERO,
            payee: key(2),
            token: key(3),
            amount: 150,
            closes_at: 1,
            refund_to: key(4),
            refund_key: Pubkey::default(),
            settler: key(5),
            flags: 0,
        }
    }

    /// Read back byte by byte, as the runtime does.
    #[test]
    fn the_transaction_moves_what_is_due_into_the_vault_and_nothing_else() {
        let terms = terms();
        let (payer, vault_owner) = (Pubkey::new_from_array([7; 32]), Pubkey::new_from_array([8; 32]));
        let addresses = Addresses { invoice: vault_owner, record: Pubkey::new_from_array([9; 32]) };
        let bytes = Transfer { payer, addresses, terms: &terms, amount: 1_500_000 }.unsigned(&[6; 32]);
        assert_eq!(bytes[..65], [&[1][..], &[0; 64]].concat());
        assert_eq!(bytes[65..69], [1, 0, 6, 9]);
        let key = |at: u8| Pubkey::new_from_array(bytes[69 + usize::from(at) * 32..][..32].try_into().unwrap());
        let token = terms.token_program();
        assert_eq!(bytes[357..389], [6; 32]);
        assert_eq!(bytes[389], 2);
        let mut at = 390;
        let mut next = || {
            let (program, accounts) = (bytes[at], usize::from(bytes[at + 1]));
            let named: Vec<Pubkey> = bytes[at + 2..][..accounts].iter().map(|place| key(*place)).collect();
            let data = bytes[at + 3 + accounts..][..usize::from(bytes[at + 2 + accounts])].to_vec();
            at += 3 + accounts + data.len();
            (key(program), named, data)
        };
        let (vault, _) = terms.vault(&vault_owner);
        let (source, _) = associated_token(&payer, &terms.token, &token);
        let (program, accounts, data) = next();
        assert_eq!((program, data), (ATA_PROGRAM, vec![1]));
        assert_eq!(accounts, [payer, vault, vault_owner, terms.token, Pubkey::default(), token]);
        let (program, accounts, data) = next();
        assert_eq!((program, data), (token, [&[12][..], &1_500_000_u64.to_le_bytes(), &[6]].concat()));
        assert_eq!(accounts, [source, terms.token, vault, payer, Pubkey::new_from_array([9; 32])]);
        assert_eq!(at, bytes.len());
    }
}
