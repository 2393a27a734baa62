//! Invoices and wallets as JSON: base units as decimal strings beside the amounts people read.

use crate::problem::Problem;
use crate::reply::{self, AsOf, Reply};
use crate::solana_pay::{self, SolanaPay};
use crate::{App, clock, document, recover};
use alloy_primitives::U256;
use axum::http::StatusCode;
use domain::actions::{Action, Need, Standing};
use domain::invoice::InvoiceStatus;
use domain::money::{TOKEN_DECIMALS, Units};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use store::PgConnection;
use store::chain::Mirror;
use store::invoices::{InvoiceView, TermsView, TransactionView};
use terms::{Account, PortableSolanaTerms, PortableTerms};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// An invoice with what its chains are called, at one moment.
pub(crate) struct Found {
    pub(crate) view: InvoiceView,
    chains: Arc<[Mirror]>,
    /// The later of the wall clock and the chains' own: the clock that the invoice's time runs out by.
    pub(crate) now: OffsetDateTime,
}

impl Found {
    pub(crate) async fn load(db: &mut PgConnection, view: InvoiceView) -> Result<Self, Problem> {
        Ok(Self::of(view, store::chain::all(db).await?.into()))
    }

    /// The invoice, with all chains there are.
    pub(crate) fn of(view: InvoiceView, chains: Arc<[Mirror]>) -> Self {
        let its = |mirror: &&Mirror| view.terms.iter().any(|known| known.terms.chain() == mirror.deployed.chain);
        let tips = chains.iter().filter(its).filter_map(|chain| i64::try_from(chain.tip_timestamp).ok());
        let tip = tips.filter_map(|tip| OffsetDateTime::from_unix_timestamp(tip).ok()).max();
        let wall = OffsetDateTime::now_utc();
        let now = tip.map_or(wall, |tip| tip.max(wall));
        Self { view, chains, now }
    }

    pub(crate) fn mirror(&self, chain: u64) -> Option<&Mirror> {
        self.chains.iter().find(|mirror| mirror.deployed.chain == chain)
    }

    /// Up to which moment its chains are known.
    pub(crate) fn as_of(&self) -> Vec<AsOf> {
        self.view.terms.iter().filter_map(|known| self.mirror(known.terms.chain())).map(AsOf::of).collect()
    }

    /// Its terms as words that travel, one for each chain.
    pub(crate) fn words(&self) -> Result<Vec<String>, Problem> {
        self.view.terms.iter().map(|known| self.word(known)).collect()
    }

    /// The commands that need nothing but a node. Solana has none yet.
    pub(crate) fn commands(&self) -> Result<Vec<String>, Problem> {
        let known = self.view.terms.iter().filter(|known| known.terms.evm().is_some());
        known.map(|known| Ok(recover::command(&self.word(known)?))).collect()
    }

    pub(crate) fn word(&self, known: &TermsView) -> Result<String, Problem> {
        let mirror = self.mirror(known.terms.chain()).ok_or_else(|| corrupt("terms without a chain"))?;
        match (&known.terms, mirror.deployed.escrow) {
            (terms::Terms::Evm(terms), Account::Evm(escrow)) => {
                Ok(PortableTerms { terms: terms.clone(), escrow }.to_string())
            }
            (terms::Terms::Solana(terms), Account::Solana(escrow)) => {
                Ok(PortableSolanaTerms { terms: terms.clone(), escrow }.to_string())
            }
            _ => Err(corrupt("terms of another kind of chain")),
        }
    }

    /// The link that the customer gets. What is behind the # no server needs: it is for the day when ours are gone.
    pub(crate) fn pay_url(&self, app: &App) -> Result<String, Problem> {
        Ok(format!("{}/pay/{}#terms={}", app.public_url, self.view.pay_token, self.words()?.join(".")))
    }

    /// Where it stands, as far as it matters for what can be done with it.
    pub(crate) fn standing(&self) -> Result<Standing, Problem> {
        let (known, mirror) = self.terms()?;
        let (view, terms) = (&self.view, &known.terms);
        let missing = self.missing()?;
        let met = [
            (Need::Covered, missing == 0),
            (Need::Uncovered, missing > 0),
            (Need::InTime, self.seconds_left() > 0),
            (Need::Gated, !terms.settler().is_zero()),
            (Need::AtRest, !view.settling),
            (Need::Holding, !known.balance.is_zero()),
            (Need::Released, self.released(terms, mirror)),
            (Need::Undecided, terms.refund_key().is_zero() || view.wallet.has_key && !view.ordered),
        ];
        let met = met.into_iter().filter_map(|(need, is_so)| is_so.then_some(need)).collect();
        Ok(Standing { status: view.status, met })
    }

    /// Whether the escrow lets go of what lies there in the invoice's token, now or when what we have set out to do is
    /// done: an order's deadline must not run for nothing.
    pub(crate) fn released(&self, terms: &terms::Terms, mirror: &Mirror) -> bool {
        let ended = match self.view.status {
            // We end it by a cancel, when the displayed expiry is final; where anyone settles we cannot.
            InvoiceStatus::Expired => !terms.settler().is_zero() && mirror.final_timestamp >= self.expires_at(),
            InvoiceStatus::Paid | InvoiceStatus::Overpaid | InvoiceStatus::Cancelled => true,
            InvoiceStatus::Draft | InvoiceStatus::PendingPayment | InvoiceStatus::PartiallyPaid => false,
        };
        ended || mirror.tip_timestamp >= terms.closes_at()
    }

    /// What a chain is called.
    pub(crate) fn chain_name(&self, chain: u64) -> &str {
        self.mirror(chain).map_or("unknown", |mirror| mirror.deployed.name.as_str())
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

    /// Base units that must still be sent: what is due and does not lie at the deposit address. It has to lie at one: where it
    /// is not decided which, at the one that has most.
    pub(crate) fn missing(&self) -> Result<u128, Problem> {
        let balances = self.payable().map(|known| known.balance);
        Ok(self.due().saturating_sub(balances.max().unwrap_or_default().saturating_to()))
    }

    /// The same on one chain.
    pub(crate) fn missing_on(&self, known: &TermsView) -> u128 {
        self.due().saturating_sub(known.balance.saturating_to())
    }

    /// The terms it can be paid under now: those of the chain it is paid on, as far as that is decided.
    pub(crate) fn payable(&self) -> impl Iterator<Item = &TermsView> {
        let picked = self.view.picked;
        self.view.terms.iter().filter(move |known| picked.is_none_or(|chain| chain == known.terms.chain()))
    }

    /// Whether it can be paid on this chain, as far as that is decided.
    pub(crate) fn payable_on(&self, known: &TermsView) -> bool {
        self.view.picked.is_none_or(|chain| chain == known.terms.chain())
    }

    /// Whether it waits to be paid.
    pub(crate) fn open(&self) -> bool {
        matches!(self.view.status, InvoiceStatus::PendingPayment | InvoiceStatus::PartiallyPaid)
    }

    /// The terms it is paid under, and the chain they are for.
    pub(crate) fn terms(&self) -> Result<(&TermsView, &Mirror), Problem> {
        let known = self.view.terms.first().ok_or_else(|| corrupt("an invoice without terms"))?;
        let mirror = self.mirror(known.terms.chain());
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
    pub(crate) fn answer(&self, app: &App, status: StatusCode) -> Result<Reply, Problem> {
        let answer = self.whole(app)?;
        reply::json(status, &answer, &answer.as_of)
    }

    /// The same, not yet written.
    pub(crate) fn whole(&self, app: &App) -> Result<Answer<'_>, Problem> {
        Ok(Answer {
            invoice: self.invoice(app)?,
            wallet: self.wallet()?,
            terms: self.terms_shown(app)?,
            transactions: self.transactions(),
            as_of: self.as_of(),
        })
    }

    /// The wallet alone.
    pub(crate) fn wallet_answer(&self) -> Result<Reply, Problem> {
        let answer = WalletAnswer { wallet: self.wallet()?, as_of: self.as_of() };
        reply::json(StatusCode::OK, &answer, &answer.as_of)
    }

    pub(crate) fn terms_shown(&self, app: &App) -> Result<Vec<Terms<'_>>, Problem> {
        self.view.terms.iter().map(|known| self.shown(app, known)).collect()
    }

    fn shown<'a>(&'a self, app: &App, known: &'a TermsView) -> Result<Terms<'a>, Problem> {
        let solana = known.terms.solana().zip(known.purse.solana());
        Ok(Terms {
            vault: solana.map(|(terms, purse)| terms.vault(&purse).0.to_string()),
            pay: solana_pay::uris(self, app, known),
            chain: self.chain_name(known.terms.chain()),
            hash: known.hash.to_string(),
            deposit_address: known.purse.to_string(),
            terms: &known.terms,
            word: self.word(known)?,
        })
    }

    pub(crate) fn transactions(&self) -> Vec<Transaction<'_>> {
        self.view.transactions.iter().map(Transaction::of).collect()
    }

    pub(crate) fn invoice(&self, app: &App) -> Result<Invoice<'_>, Problem> {
        let view = &self.view;
        Ok(Invoice {
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
            direct: view.terms.iter().any(|known| known.terms.settler().is_zero()),
            exceptions: &view.exceptions,
            paid_on: self.paid_on(),
            created_at: view.created_at,
            expires_at: view.expires_at,
            paid_at: view.paid_at,
            transaction_id: view.transaction_id.as_deref(),
            pay_url: self.pay_url(app)?,
            available_actions: self.standing()?.actions().into_iter().map(Action::as_str).collect(),
            metadata: &view.metadata,
        })
    }

    /// What the chain is called that it is paid on, where there are several to choose from and it is decided.
    fn paid_on(&self) -> Option<&str> {
        let picked = self.view.picked.filter(|_| self.view.terms.len() > 1)?;
        Some(self.chain_name(picked))
    }

    pub(crate) fn wallet(&self) -> Result<Wallet<'_>, Problem> {
        let (view, wallet) = (&self.view, &self.view.wallet);
        let (first, mirror) = self.terms()?;
        let direct = first.terms.settler().is_zero();
        let addresses = view.terms.iter().map(|known| (self.chain_name(known.terms.chain()), known.purse.to_string()));
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
            token: first.terms.token().to_string(),
            chain_id: first.terms.chain(),
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
        let missing = self.missing_on(known);
        let possible = self.open()
            && self.payable_on(known)
            && self.seconds_left() > 0
            && !known.terms.settler().is_zero()
            && missing > 0;
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

/// Whether a movement's token is one that nobody asked for: then it is shown by its address.
pub(crate) fn is_address(token: &str) -> bool {
    token.parse::<Account>().is_ok()
}

pub(crate) fn corrupt(what: &str) -> Problem {
    tracing::error!(what, "corrupt row");
    Problem::internal()
}

/// An invoice with all that belongs to it.
#[derive(Serialize, ToSchema)]
#[schema(as = InvoiceAnswer)]
pub(crate) struct Answer<'a> {
    /// The invoice.
    invoice: Invoice<'a>,
    /// The wallet it is paid into.
    wallet: Wallet<'a>,
    /// What binds the money, one per chain: whoever has the terms can prove where it may go, and send it back in the end.
    terms: Vec<Terms<'a>>,
    /// What has moved on the chain, in order, at most 200.
    transactions: Vec<Transaction<'a>>,
    /// Up to which moment each of its chains is known.
    as_of: Vec<AsOf>,
}

/// A wallet alone.
#[derive(Serialize, ToSchema)]
#[schema(as = WalletAnswer)]
pub(crate) struct WalletAnswer<'a> {
    /// The wallet.
    wallet: Wallet<'a>,
    /// Up to which moment each of its chains is known.
    as_of: Vec<AsOf>,
}

/// An invoice.
#[derive(Serialize, ToSchema)]
pub(crate) struct Invoice<'a> {
    /// Its id.
    id: &'a str,
    /// Its number: yours, or one that was made for it.
    number: &'a str,
    /// How far it is.
    #[schema(value_type = document::InvoiceStatus)]
    status: &'static str,
    /// What is to be paid, for people.
    amount: String,
    /// What is to be paid, in base units.
    amount_units: String,
    /// What the payee has, for people.
    paid_amount: String,
    /// What the payee has, in base units.
    paid_amount_units: String,
    /// What it was written in.
    #[schema(value_type = document::Currency)]
    currency: &'a str,
    /// What the customer reads.
    description: Option<&'a str>,
    /// A word of yours.
    category: Option<&'a str>,
    /// Where the bill is sent.
    customer_email: Option<&'a str>,
    /// The last day to pay (UTC).
    #[schema(value_type = Option<time::Date>)]
    due_date: Option<String>,
    /// Who issued it.
    issuer: Issuer<'a>,
    /// Who starts the payment.
    #[schema(value_type = document::Settlement)]
    settlement: &'static str,
    /// How sure the chain is of the payment; `null` until there is one.
    #[schema(value_type = Option<document::Tier>)]
    settlement_tier: Option<&'a str>,
    /// Whether a wallet may pay through the escrow itself.
    direct: bool,
    /// What is unusual about it.
    #[schema(value_type = Vec<document::Exception>)]
    exceptions: &'a [String],
    /// Which of its chains it is paid on: what lies on another goes back. Left out while that is open, or where there is one
    /// chain only.
    #[serde(skip_serializing_if = "Option::is_none")]
    paid_on: Option<&'a str>,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// Until when it can be paid.
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
    /// When the payee had it all.
    #[serde(with = "time::serde::rfc3339::option")]
    paid_at: Option<OffsetDateTime>,
    /// The transaction that paid it.
    transaction_id: Option<&'a str>,
    /// The page for the customer; behind the # the terms, which no server needs. Whoever has this link may see the invoice.
    pay_url: String,
    /// What can be done with it now.
    #[serde(rename = "availableActions")]
    #[schema(value_type = Vec<document::Action>)]
    available_actions: Vec<&'static str>,
    /// Your own data, as you sent it.
    #[schema(value_type = Object)]
    metadata: &'a Value,
}

/// Who issued an invoice.
#[derive(Serialize, ToSchema)]
pub(crate) struct Issuer<'a> {
    /// The enterprise's id.
    pub(crate) id: &'a str,
    /// Its name.
    pub(crate) name: &'a str,
}

/// The wallet of one invoice.
#[derive(Serialize, ToSchema)]
pub(crate) struct Wallet<'a> {
    /// Its id.
    id: &'a str,
    /// The invoice it was made for.
    invoice_id: &'a str,
    /// What kind of wallet it is.
    mode: &'a str,
    /// How far it is.
    #[schema(value_type = document::WalletStatus)]
    status: &'static str,
    /// The deposit address.
    address: Option<&'a str>,
    /// The deposit addresses, by chain.
    addresses: BTreeMap<&'a str, String>,
    /// The most that can go to the payee, for people.
    spending_limit: String,
    /// The most that can go to the payee, in base units.
    spending_limit_units: String,
    /// What lies at the address, for people.
    balance: String,
    /// What lies at the address, in base units.
    balance_units: &'a str,
    /// What the token is called.
    currency: &'a str,
    /// The token's contract.
    token: String,
    /// The chain.
    chain_id: u64,
    /// Where a wallet calls `pay`; `null` where only the settler may.
    escrow: Option<String>,
    /// What a payer without gas signs; `null` where there is nothing to pay, or not this way.
    gasless: Option<Gasless>,
    /// How long it was to live, seconds.
    ttl_seconds: Option<i32>,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// Until when the invoice can be paid.
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
    /// Until then: hours, minutes, seconds.
    countdown: String,
    /// Until then, seconds.
    countdown_seconds: u64,
    /// When money first came.
    #[serde(with = "time::serde::rfc3339::option")]
    funded_at: Option<OffsetDateTime>,
    /// When its end began.
    #[serde(with = "time::serde::rfc3339::option")]
    destruction_initiated_at: Option<OffsetDateTime>,
    /// When it was destroyed, and its key erased.
    #[serde(with = "time::serde::rfc3339::option")]
    destroyed_at: Option<OffsetDateTime>,
    /// How it was destroyed.
    destruction_method: Option<&'a str>,
    /// Why it was destroyed.
    destruction_reason: Option<&'a str>,
    /// How long it lived, in words.
    lifetime: Option<String>,
}

/// An EIP-3009 authorization, but for the token's own EIP-712 domain, which the wallet knows or asks the token for.
#[derive(Serialize, ToSchema)]
pub(crate) struct Gasless {
    /// `eip3009`
    method: &'static str,
    /// Who receives it: the deposit address.
    to: String,
    /// How much to sign, base units.
    value_units: String,
    /// The latest `validBefore`, unix seconds.
    valid_before_max: u64,
    /// Where to post it.
    submit: String,
}

/// The terms on one chain.
#[derive(Serialize, ToSchema)]
pub(crate) struct Terms<'a> {
    /// What the chain is called.
    chain: &'a str,
    /// The terms hash.
    hash: String,
    /// The deposit address, which follows from the hash.
    deposit_address: String,
    /// On Solana: the deposit address's token account, for wallets and exchanges that send to nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    vault: Option<String>,
    /// What a Solana wallet opens to pay; left out where it cannot be paid there now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pay: Option<SolanaPay>,
    /// The terms themselves.
    #[schema(value_type = InvoiceTermsSchema)]
    terms: &'a terms::Terms,
    /// The terms and the escrow in one word: all that `monay recover` needs.
    word: String,
}

/// The eleven fields that bind an invoice's money, as [`terms::InvoiceTerms`] is written.
#[derive(ToSchema)]
#[schema(as = InvoiceTerms)]
#[allow(dead_code)]
struct InvoiceTermsSchema {
    /// Protocol version.
    version: u8,
    /// The chain.
    #[schema(value_type = document::ChainId)]
    chain: u64,
    /// 32 random bytes.
    invoice_id: String,
    /// Who is paid.
    payee: String,
    /// The token's contract.
    token: String,
    /// The most the payee can get, base units.
    amount: String,
    /// Unix seconds. Before it the invoice can be settled, from it on only refunded.
    closes_at: u64,
    /// Where money goes that goes back.
    refund_to: String,
    /// May direct money that goes back elsewhere; zero: nobody may.
    refund_key: String,
    /// Who may settle; zero: anyone.
    settler: String,
    /// Bit 0: partial payments.
    flags: u8,
}

/// A movement of money on the chain.
#[derive(Serialize, ToSchema)]
pub(crate) struct Transaction<'a> {
    /// What it was for.
    kind: &'a str,
    /// Which chain.
    chain: &'a str,
    /// Its transaction.
    hash: &'a str,
    /// How sure the chain is of it: a tier.
    #[schema(value_type = document::Tier)]
    status: &'a str,
    /// For people; `null` for a token whose decimals nobody asked for.
    amount: Option<String>,
    /// Base units.
    amount_units: &'a str,
    /// The token: what it is called, or the contract of one that is not the invoice's.
    token: &'a str,
    /// The block's time.
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
            amount: (!is_address(&view.token)).then(|| whole(&view.amount)),
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
