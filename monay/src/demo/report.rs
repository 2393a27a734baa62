//! What `--json` prints, and the table at the end. Every value was read back from the chain or from Postgres.

use super::trouble::Suffered;
use crate::Error;
use crate::stack::Stack;
use domain::money::Units;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use terms::InvoiceTerms;

/// Milliseconds, by what took them.
pub(super) type Durations = BTreeMap<&'static str, u64>;

#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) ok: bool,
    endpoints: BTreeMap<&'static str, String>,
    stories: Vec<StoryReport>,
}

/// One story. Base units are decimal strings. Keys are added, never changed.
#[derive(Debug, Serialize)]
pub(super) struct StoryReport {
    pub(super) name: String,
    pub(super) ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
    pub(super) invoice: Option<Invoice>,
    pub(super) wallet: Option<Wallet>,
    pub(super) terms: Option<InvoiceTerms>,
    pub(super) chain: Option<Chain>,
    /// The same on Solana, where the story went there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) solana: Option<SolanaChain>,
    /// The same on Tempo.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tempo: Option<Chain>,
    pub(super) transactions: Vec<Transaction>,
    pub(super) rows: BTreeMap<&'static str, i64>,
    pub(super) durations_ms: Durations,
    pub(super) checks: Vec<Check>,
    pub(super) suffered: Suffered,
}

#[derive(Debug, Serialize)]
pub(super) struct Invoice {
    pub(super) id: String,
    pub(super) number: String,
    pub(super) status: String,
    pub(super) amount: String,
    pub(super) paid_amount: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Wallet {
    pub(super) id: String,
    pub(super) status: String,
    pub(super) mode: String,
    pub(super) addresses: BTreeMap<String, String>,
    pub(super) lifetime: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Chain {
    pub(super) purse_code: String,
    pub(super) purse_nonce: u64,
    pub(super) purse_balance: String,
    pub(super) payee_received: String,
    pub(super) refunded: String,
}

#[derive(Debug, Serialize)]
pub(super) struct SolanaChain {
    pub(super) vault_lamports: u64,
    pub(super) record_status: Option<u8>,
    pub(super) payee_received: String,
    pub(super) refunded: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Transaction {
    pub(super) kind: String,
    pub(super) chain: String,
    pub(super) hash: String,
    pub(super) status: String,
    pub(super) amount: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Check {
    pub(super) what: String,
    pub(super) ok: bool,
}

impl StoryReport {
    /// On all chains, base units.
    fn payee_received(&self) -> Option<String> {
        sum([
            self.chain.as_ref().map(|chain| &chain.payee_received),
            self.solana.as_ref().map(|solana| &solana.payee_received),
            self.tempo.as_ref().map(|chain| &chain.payee_received),
        ])
    }

    fn refunded(&self) -> Option<String> {
        sum([
            self.chain.as_ref().map(|chain| &chain.refunded),
            self.solana.as_ref().map(|solana| &solana.refunded),
            self.tempo.as_ref().map(|chain| &chain.refunded),
        ])
    }

    /// A story that broke off.
    pub(super) fn failed(name: &str, error: &Error) -> Self {
        Self {
            name: name.to_owned(),
            ok: false,
            error: Some(error.to_string()),
            invoice: None,
            wallet: None,
            terms: None,
            chain: None,
            solana: None,
            tempo: None,
            transactions: vec![],
            rows: BTreeMap::new(),
            durations_ms: BTreeMap::new(),
            checks: vec![],
            suffered: Suffered::default(),
        }
    }
}

/// Of decimal strings; none where there is nothing.
fn sum(parts: [Option<&String>; 3]) -> Option<String> {
    let parts: Vec<u128> = parts.into_iter().flatten().filter_map(|text| text.parse().ok()).collect();
    (!parts.is_empty()).then(|| parts.into_iter().fold(0, u128::saturating_add).to_string())
}

impl Report {
    pub(super) fn new(stack: &Stack, stories: Vec<StoryReport>) -> Result<Self, Error> {
        let chain = stack.chain()?;
        let solana = stack.solana().map(|solana| &solana.config);
        let solana = solana.into_iter().flat_map(|config| {
            let keys = [("solana_program", config.program), ("solana_gate", config.gate), ("solana_mint", config.mint)];
            let keys = keys.map(|(name, key)| (name, key.to_string()));
            keys.into_iter().chain([("solana_rpc", config.rpc_url.clone())])
        });
        let tempo = stack.tempo().map(|tempo| &tempo.config);
        let tempo = tempo.into_iter().flat_map(|config| {
            let contracts =
                [("tempo_escrow", config.escrow), ("tempo_gate", config.gate), ("tempo_token", config.token)];
            let contracts = contracts.map(|(name, address)| (name, address.to_string()));
            contracts.into_iter().chain([("tempo_rpc", config.rpc_url.clone())])
        });
        let base = [
            ("api", stack.api_url().to_owned()),
            ("base_rpc", chain.rpc_url.clone()),
            ("database_url", stack.config.database_url.clone()),
            ("escrow", chain.escrow.to_string()),
            ("gate", chain.gate.to_string()),
            ("token", chain.token.to_string()),
        ];
        Ok(Self {
            ok: !stories.is_empty() && stories.iter().all(|story| story.ok),
            endpoints: base.into_iter().chain(solana).chain(tempo).collect(),
            stories,
        })
    }

    pub(super) fn json(&self) -> Result<String, Error> {
        serde_json::to_string(self).map_err(|error| Error::Story(format!("the report cannot be written: {error}")))
    }

    pub(super) fn table(&self) -> String {
        let mut table = String::new();
        let line = "─".repeat(97);
        let _ = writeln!(
            table,
            "{:<16} {:<16} {:>10}  {:<10} {:<10} {:>10} {:>10} {:>7}",
            "story", "invoice", "amount", "status", "wallet", "payee got", "returned", "time"
        );
        let _ = writeln!(table, "{line}");
        for story in &self.stories {
            let units = |text: Option<&String>| {
                text.and_then(|text| text.parse().ok()).map_or_else(String::new, |units| Units(units).to_string())
            };
            let invoice = story.invoice.as_ref();
            let millis = story.durations_ms.get("story").copied().unwrap_or(0);
            let _ = writeln!(
                table,
                "{:<16} {:<16} {:>10}  {:<10} {:<10} {:>10} {:>10} {:>3}.{} s {} {}",
                story.name,
                invoice.map_or("", |invoice| &invoice.number),
                units(invoice.map(|invoice| &invoice.amount)),
                invoice.map_or("", |invoice| &invoice.status),
                story.wallet.as_ref().map_or("", |wallet| &wallet.status),
                units(story.payee_received().as_ref()),
                units(story.refunded().as_ref()),
                millis / 1000,
                millis % 1000 / 100,
                if story.ok { "✓" } else { "✗" },
                story.suffered.words(),
            );
        }
        let _ = writeln!(table, "{line}");
        let _ = writeln!(table, "{}", if self.ok { "all true" } else { "NOT all true" });
        table
    }
}
