//! Invoices and wallets as JSON: base units as decimal strings beside the amounts people read.

use crate::problem::Problem;
use crate::{App, clock};
use alloy_primitives::U256;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::invoice::InvoiceStatus;
use domain::money::{TOKEN_DECIMALS, Units};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use store::PgConnection;
use store::chain::Mirror;
use store::invoices::{InvoiceView, TermsView, TransactionView};
use terms::InvoiceTerms;
use time::OffsetDateTime;

/// An invoice with what its chains are called, at one moment.
pub(crate) struct Found {
    pub(crate) view: InvoiceView,
    chains: Vec<Mirror>,
    /// The later of the wall clock and the chains' own: the clock that the invoice's time runs out by.
    pub(crate) now: OffsetDateTime,
}

impl Found {
    pub(crate) async fn load(db: &mut PgConnection, view: InvoiceView) -> Result<Self, Problem> {
        let mut chains = Vec::with_capacity(view.terms.len());
        for terms in &view.terms {
            chains.push(store::chain::get(db, terms.terms.chain).await?);
        }
        let tips = chains.iter().filter_map(|chain| i64::try_from(chain.tip_timestamp).ok());
        let tip = tips.filter_map(|tip| OffsetDateTime::from_unix_timestamp(tip).ok()).max();
        let wall = OffsetDateTime::now_utc();
        Ok(Self { view, chains, now: tip.map_or(wall, |tip| tip.max(wall)) })
    }

    /// What a chain is called.
    pub(crate) fn chain_name(&self, chain: u64) -> &str {
        let known = self.chains.iter().find(|mirror| mirror.deployed.chain == chain);
        known.map_or("unknown", |mirror| mirror.deployed.name.as_str())
    }

    /// Base units at the deposit address.
    pub(crate) fn balance(&self) -> Result<U256, Problem> {
        self.view.wallet.balance.parse().map_err(|_| corrupt("the wallet's balance"))
    }

    /// Base units received, at the deposit address and otherwise.
    pub(crate) fn received(&self) -> Result<U256, Problem> {
        self.view.received.parse().map_err(|_| corrupt("the amount received"))
    }

    /// Base units the payee does not have yet.
    pub(crate) fn due(&self) -> u128 {
        self.view.amount.saturating_sub(self.view.paid)
    }

    /// Base units that must still be sent: what is due and does not lie at the deposit address.
    pub(crate) fn missing(&self) -> Result<u128, Problem> {
        Ok(self.due().saturating_sub(self.balance()?.saturating_to()))
    }

    /// Whether it waits to be paid.
    pub(crate) fn open(&self) -> bool {
        matches!(self.view.status, InvoiceStatus::PendingPayment | InvoiceStatus::PartiallyPaid)
    }

    /// The terms it is paid under, and the chain they are for.
    pub(crate) fn terms(&self) -> Result<(&TermsView, &Mirror), Problem> {
        let known = self.view.terms.first().ok_or_else(|| corrupt("an invoice without terms"))?;
        let mirror = self.chains.iter().find(|mirror| mirror.deployed.chain == known.terms.chain);
        Ok((known, mirror.ok_or_else(|| corrupt("terms without a chain"))?))
    }

    /// The same clock, unix seconds.
    pub(crate) fn unix_now(&self) -> u64 {
        u64::try_from(self.now.unix_timestamp()).unwrap_or(0)
    }

    /// The displayed expiry, unix seconds.
    pub(crate) fn expires_at(&self) -> u64 {
        u64::try_from(self.view.expires_at.unix_timestamp()).unwrap_or(0)
    }

    /// Seconds until the displayed expiry.
    pub(crate) fn seconds_left(&self) -> u64 {
        clock::seconds(self.view.expires_at - self.now)
    }

    /// The invoice with all that belongs to it.
    pub(crate) fn answer(&self, app: &App, status: StatusCode) -> Result<Response, Problem> {
        let terms = self.view.terms.iter().map(|known| Terms {
            chain: self.chain_name(known.terms.chain),
            hash: known.hash.to_string(),
            deposit_address: known.purse.to_string(),
            terms: &known.terms,
        });
        let answer = Answer {
            invoice: self.invoice(app),
            wallet: self.wallet()?,
            terms: terms.collect(),
            transactions: self.view.transactions.iter().map(Transaction::of).collect(),
        };
        json(status, &answer)
    }

    /// The wallet alone.
    pub(crate) fn wallet_answer(&self) -> Result<Response, Problem> {
        json(StatusCode::OK, &WalletAnswer { wallet: self.wallet()? })
    }

    fn invoice(&self, app: &App) -> Invoice<'_> {
        let view = &self.view;
        Invoice {
            id: &view.id,
            number: &view.number,
            status: view.status.as_str(),
            amount: Units(view.amount).to_string(),
            amount_units: view.amount.to_string(),
            paid_amount: Units(view.paid).to_string(),
            paid_amount_units: view.paid.to_string(),
            currency: &view.currency,
            description: view.description.as_deref(),
            category: view.category.as_deref(),
            customer_email: view.customer_email.as_deref(),
            due_date: view.due_date.map(|date| date.to_string()),
            issuer: Issuer { id: &view.issuer, name: &view.issuer_name },
            settlement: view.settlement.as_str(),
            settlement_tier: view.settlement_tier.as_deref(),
            direct: view.terms.iter().any(|known| known.terms.settler.is_zero()),
            exceptions: &view.exceptions,
            created_at: view.created_at,
            expires_at: view.expires_at,
            paid_at: view.paid_at,
            transaction_id: view.transaction_id.as_deref(),
            pay_url: format!("{}/pay/{}", app.public_url, view.pay_token),
            metadata: &view.metadata,
        }
    }

    fn wallet(&self) -> Result<Wallet<'_>, Problem> {
        let (view, wallet) = (&self.view, &self.view.wallet);
        let (first, mirror) = self.terms()?;
        let direct = first.terms.settler.is_zero();
        let addresses = view.terms.iter().map(|known| (self.chain_name(known.terms.chain), known.purse.to_string()));
        let left = self.seconds_left();
        let lifetime = wallet.destroyed_at.map(|at| clock::in_words(clock::seconds(at - wallet.created_at)));
        Ok(Wallet {
            id: &wallet.id,
            invoice_id: &view.id,
            mode: &wallet.mode,
            status: wallet.status.as_str(),
            address: wallet.address.as_deref(),
            addresses: addresses.collect(),
            spending_limit: Units(view.amount).to_string(),
            spending_limit_units: view.amount.to_string(),
            balance: whole(&wallet.balance),
            balance_units: &wallet.balance,
            currency: &wallet.currency,
            token: first.terms.token.to_string(),
            chain_id: first.terms.chain,
            escrow: direct.then(|| mirror.deployed.escrow.to_string()),
            gasless: self.gasless(first)?,
            ttl_seconds: wallet.ttl_seconds,
            created_at: wallet.created_at,
            expires_at: view.expires_at,
            countdown: clock::countdown(left),
            countdown_seconds: left,
            funded_at: wallet.funded_at,
            destruction_initiated_at: wallet.destruction_initiated_at,
            destroyed_at: wallet.destroyed_at,
            destruction_method: wallet.destruction_method.as_deref(),
            destruction_reason: wallet.destruction_reason.as_deref(),
            lifetime,
        })
    }

    /// What a wallet without gas signs to pay what is missing.
    fn gasless(&self, known: &TermsView) -> Result<Option<Gasless>, Problem> {
        let missing = self.missing()?;
        let possible = self.open() && self.seconds_left() > 0 && !known.terms.settler.is_zero() && missing > 0;
        Ok(possible.then(|| Gasless {
            method: "eip3009",
            to: known.purse.to_string(),
            value_units: missing.to_string(),
            valid_before_max: self.expires_at(),
            submit: format!("/pay/{}/authorization", self.view.pay_token),
        }))
    }
}

/// Base units as digits, in whole units with at least two decimals: as [`Units`] does, for numbers of any length.
pub(crate) fn whole(units: &str) -> String {
    let decimals = TOKEN_DECIMALS as usize;
    let padded = format!("{units:0>width$}", width = decimals + 1);
    let (whole, rest) = padded.split_at(padded.len().saturating_sub(decimals));
    let shown = rest.trim_end_matches('0').len().max(2);
    format!("{whole}.{}", rest.get(..shown).unwrap_or(rest))
}

pub(crate) fn corrupt(what: &str) -> Problem {
    tracing::error!(what, "corrupt row");
    Problem::internal()
}

pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Result<Response, Problem> {
    let body = serde_json::to_vec(body).map_err(|error| {
        tracing::error!(%error, "JSON");
        Problem::internal()
    })?;
    let kind = HeaderValue::from_static("application/json");
    Ok((status, [(header::CONTENT_TYPE, kind)], body).into_response())
}

#[derive(Serialize)]
struct Answer<'a> {
    invoice: Invoice<'a>,
    wallet: Wallet<'a>,
    terms: Vec<Terms<'a>>,
    transactions: Vec<Transaction<'a>>,
}

#[derive(Serialize)]
struct WalletAnswer<'a> {
    wallet: Wallet<'a>,
}

#[derive(Serialize)]
struct Invoice<'a> {
    id: &'a str,
    number: &'a str,
    status: &'static str,
    amount: String,
    amount_units: String,
    paid_amount: String,
    paid_amount_units: String,
    currency: &'a str,
    description: Option<&'a str>,
    category: Option<&'a str>,
    customer_email: Option<&'a str>,
    due_date: Option<String>,
    issuer: Issuer<'a>,
    settlement: &'static str,
    settlement_tier: Option<&'a str>,
    /// Whether a wallet may pay through the escrow itself.
    direct: bool,
    exceptions: &'a [String],
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    paid_at: Option<OffsetDateTime>,
    transaction_id: Option<&'a str>,
    pay_url: String,
    metadata: &'a Value,
}

#[derive(Serialize)]
struct Issuer<'a> {
    id: &'a str,
    name: &'a str,
}

#[derive(Serialize)]
struct Wallet<'a> {
    id: &'a str,
    invoice_id: &'a str,
    mode: &'a str,
    status: &'static str,
    address: Option<&'a str>,
    addresses: BTreeMap<&'a str, String>,
    spending_limit: String,
    spending_limit_units: String,
    balance: String,
    balance_units: &'a str,
    currency: &'a str,
    token: String,
    chain_id: u64,
    /// Where a wallet calls `pay`; `null` where only the settler may.
    escrow: Option<String>,
    /// `null` where there is nothing to pay, or not this way.
    gasless: Option<Gasless>,
    ttl_seconds: Option<i32>,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
    countdown: String,
    countdown_seconds: u64,
    #[serde(with = "time::serde::rfc3339::option")]
    funded_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    destruction_initiated_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    destroyed_at: Option<OffsetDateTime>,
    destruction_method: Option<&'a str>,
    destruction_reason: Option<&'a str>,
    lifetime: Option<String>,
}

/// An EIP-3009 authorization, but for the token's own EIP-712 domain, which the wallet knows or asks the token for.
#[derive(Serialize)]
struct Gasless {
    method: &'static str,
    to: String,
    value_units: String,
    valid_before_max: u64,
    submit: String,
}

#[derive(Serialize)]
struct Terms<'a> {
    chain: &'a str,
    hash: String,
    deposit_address: String,
    terms: &'a InvoiceTerms,
}

#[derive(Serialize)]
struct Transaction<'a> {
    kind: &'a str,
    chain: &'a str,
    hash: &'a str,
    status: &'a str,
    /// `null` for a token whose decimals nobody asked for.
    amount: Option<String>,
    amount_units: &'a str,
    token: &'a str,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
}

impl<'a> Transaction<'a> {
    fn of(view: &'a TransactionView) -> Self {
        Self {
            kind: &view.purpose,
            chain: &view.chain,
            hash: &view.tx_hash,
            status: &view.status,
            amount: (!view.token.starts_with("0x")).then(|| whole(&view.amount)),
            amount_units: &view.amount,
            token: &view.token,
            created_at: view.created_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_units_of_any_length() {
        for (units, shown) in [("0", "0.00"), ("1", "0.000001"), ("150000000", "150.00"), ("1234567", "1.234567")] {
            assert_eq!(whole(units), shown);
            assert_eq!(whole(units), Units(units.parse().unwrap()).to_string());
        }
        let most = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
        assert_eq!(whole(most), "115792089237316195423570985008687907853269984665640564039457584007913129.639935");
    }
}
