//! What every story needs: the API as an enterprise calls it, the chain as anyone reads it, Postgres as an auditor would.

use super::customer::Customer;
use super::report::{Chain, Check, Durations, Invoice, StoryReport, Transaction, Wallet};
use super::trouble::Suffered;
use super::{Voice, seconds};
use crate::Error;
use crate::stack::{Cast, SolanaNet, Stack, TENANT, TempoNet};
use alloy::providers::Provider;
use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{Address, B256, U256};
use domain::invoice::InvoiceStatus;
use serde_json::{Value, json};
use sqlx::Row;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use store::invoices::InvoiceView;
use terms::{InvoiceTerms, Pubkey, SolanaTerms};
use test_chain::contracts::balance_of;

/// How long a story waits for anything. Local chains make a block a second.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Scene<'a> {
    pub(super) stack: &'a Stack,
    pub(super) voice: Voice,
    pub(super) customer: Customer,
    http: reqwest::Client,
    began: Instant,
    durations: Durations,
    checks: Vec<Check>,
    /// The last status that was told.
    told: String,
    /// Whether this story is the first one: requests are shown whole in it, in others what is new in them.
    first: bool,
}

/// An invoice as the API gave it, with what the story needs of it.
pub(super) struct Issued {
    pub(super) id: String,
    pub(super) address: Address,
    pub(super) terms: InvoiceTerms,
    pub(super) payee_before: U256,
    /// The path of the pay link.
    pub(super) pay_path: String,
    /// The same invoice on Solana.
    pub(super) solana: Option<Rail>,
    /// The same invoice on Tempo.
    pub(super) tempo: Option<TempoRail>,
}

/// An invoice on Solana, as the API gave it.
pub(super) struct Rail {
    pub(super) address: Pubkey,
    pub(super) terms: SolanaTerms,
    /// What a wallet opens to pay: a transfer request, and a transaction request.
    pub(super) transfer: String,
    pub(super) transaction: String,
    pub(super) payee_before: u64,
}

/// An invoice on Tempo, as the API gave it.
pub(super) struct TempoRail {
    pub(super) address: Address,
    pub(super) terms: InvoiceTerms,
    pub(super) payee_before: U256,
}

impl<'a> Scene<'a> {
    pub(super) fn new(stack: &'a Stack, voice: Voice, first: bool) -> Result<Self, Error> {
        Ok(Self {
            first,
            stack,
            voice,
            customer: Customer {
                cast: test_chain::tools::cast_path()?,
                rpc_url: stack.node.rpc_url(),
                key: Cast::key(Cast::CUSTOMER),
            },
            http: reqwest::Client::builder()
                .timeout(Duration::from_secs(10))
                .build()
                .map_err(|error| Error::Story(format!("no HTTP client: {error}")))?,
            began: Instant::now(),
            durations: BTreeMap::new(),
            checks: Vec::new(),
            told: String::new(),
        })
    }

    pub(super) fn say(&self, text: &str) {
        self.voice.say(&format!("  {text}"));
    }

    /// Notes how long it took from `since`, and tells.
    pub(super) fn took(&mut self, what: &'static str, since: Instant) -> String {
        let elapsed = since.elapsed();
        self.durations.insert(what, u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX));
        match elapsed.as_millis() {
            millis @ 0..1000 => format!("{millis} ms"),
            _ => format!("{:.1} s", seconds(elapsed)),
        }
    }

    /// Something that must be so at the end of the story.
    pub(super) fn check(&mut self, what: &str, ok: bool) {
        self.say(&format!("{} {what}", if ok { "✓" } else { "✗" }));
        self.checks.push(Check { what: what.to_owned(), ok });
    }

    /// The specification's request: its comments removed, its date moved forward.
    pub(super) fn electricity_bill(&self) -> Value {
        let due = (time::OffsetDateTime::now_utc() + Duration::from_secs(31 * 24 * 60 * 60)).date();
        json!({
            "tenant_id": TENANT,
            "customer_email": "jane@email.com",
            "amount": 150,
            "currency": "USD",
            "description": "Electric Service - January 2025",
            "category": "UTILITY",
            "due_date": due.to_string(),
            "auto_create_wallet": true,
            "wallet_mode": "ephemeral",
            "wallet_ttl": 86400,
        })
    }

    /// The enterprise posts an invoice.
    pub(super) async fn create(&mut self, request: &Value) -> Result<Issued, Error> {
        let url = format!("{}/api/invoices/create", self.stack.api_url());
        self.tell_request(request);
        let payee = Cast::address(Cast::ENTERPRISE);
        let payee_before = self.balance(payee).await?;
        let asked = Instant::now();
        let answer = self.ask(self.http.post(url).bearer_auth(&self.stack.api_key).json(request)).await?;
        let took = self.took("create", asked);
        let wallet = &answer["wallet"];
        self.say(&format!("and has its answer after {took}:"));
        self.say(&format!(
            "    invoice    {} for {} {}",
            text(&answer["invoice"]["number"]),
            text(&answer["invoice"]["amount"]),
            text(&answer["invoice"]["currency"])
        ));
        self.say(&format!("    wallet     {}  on Base", text(&wallet["addresses"]["base"])));
        for (chain, name) in [("tempo", "Tempo"), ("solana", "Solana")] {
            if wallet["addresses"][chain].is_string() {
                self.say(&format!("               {}  on {name}", text(&wallet["addresses"][chain])));
            }
        }
        self.say(&format!(
            "    limit      {} USDC, expires in {}",
            text(&wallet["spending_limit"]),
            text(&wallet["countdown"])
        ));
        self.say(&format!("    pay link   {}", text(&answer["invoice"]["pay_url"])));
        let wrong = |what: &str| Error::Story(format!("the API's answer has no {what}: {answer}"));
        let address: Address =
            wallet["addresses"]["base"].as_str().and_then(|text| text.parse().ok()).ok_or_else(|| wrong("address"))?;
        let terms: InvoiceTerms =
            serde_json::from_value(on_chain(&answer, "base")["terms"].clone()).map_err(|_| wrong("terms"))?;
        let id = answer["invoice"]["id"].as_str().ok_or_else(|| wrong("id"))?.to_owned();
        let (solana, tempo) = (self.rail(&answer).await?, self.tempo_rail(&answer).await?);
        let deployment = terms::Deployment::version_1(self.stack.chain()?.escrow);
        self.check(
            "the address follows from the terms alone, by hashing",
            terms.deposit_address(&deployment) == address,
        );
        let (code, nonce) = self.account(address).await?;
        self.check("no transaction was needed: there is nothing at the address yet", code.is_empty() && nonce == 0);
        let url = answer["invoice"]["pay_url"].as_str().ok_or_else(|| wrong("pay link"))?;
        let pay_path = url.strip_prefix(self.stack.api_url()).unwrap_or(url);
        // What stands behind it is for the customer's browser.
        let pay_path = pay_path.split('#').next().unwrap_or(pay_path).to_owned();
        if let Some(rail) = &solana {
            let found = rail.terms.addresses(&self.solana()?.escrow.program);
            self.check("and so does the one on Solana", found.is_some_and(|found| found.invoice == rail.address));
        }
        if let Some(rail) = &tempo {
            let deployment = terms::Deployment::version_1(self.tempo()?.config.escrow);
            let (found, id) = (rail.terms.deposit_address(&deployment), rail.terms.invoice_id);
            self.check("and the one on Tempo, with the same id", found == rail.address && id == terms.invoice_id);
        }
        Ok(Issued { id, address, terms, payee_before, pay_path, solana, tempo })
    }

    /// What the API says of the invoice on Tempo.
    async fn tempo_rail(&self, answer: &Value) -> Result<Option<TempoRail>, Error> {
        let said = on_chain(answer, "tempo");
        if said.is_null() {
            return Ok(None);
        }
        let wrong = || Error::Story(format!("the API's answer is not whole about Tempo: {said}"));
        let terms: InvoiceTerms = serde_json::from_value(said["terms"].clone()).map_err(|_| wrong())?;
        let address = said["deposit_address"].as_str().and_then(|text| text.parse().ok()).ok_or_else(wrong)?;
        let payee_before = self.tempo()?.balance(terms.payee).await?;
        Ok(Some(TempoRail { address, terms, payee_before }))
    }

    /// Tempo, which these stories are played with.
    pub(super) fn tempo(&self) -> Result<&'a TempoNet, Error> {
        self.stack.tempo().ok_or_else(|| Error::Story("this installation has no Tempo".to_owned()))
    }

    /// What the API says of the invoice on Solana.
    async fn rail(&self, answer: &Value) -> Result<Option<Rail>, Error> {
        let said = on_chain(answer, "solana");
        if said.is_null() {
            return Ok(None);
        }
        let wrong = || Error::Story(format!("the API's answer is not whole about Solana: {said}"));
        let words = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(wrong);
        let terms: SolanaTerms = serde_json::from_value(said["terms"].clone()).map_err(|_| wrong())?;
        Ok(Some(Rail {
            address: words(&said["deposit_address"])?.parse().map_err(|_| wrong())?,
            transfer: words(&said["pay"]["transfer"])?,
            transaction: words(&said["pay"]["transaction"])?,
            payee_before: self.solana()?.balance(&terms.payee).await?,
            terms,
        }))
    }

    /// Solana, which these stories are played with.
    pub(super) fn solana(&self) -> Result<&'a SolanaNet, Error> {
        self.stack.solana().ok_or_else(|| Error::Story("this installation has no Solana".to_owned()))
    }

    /// How many chains an invoice can be paid on.
    pub(super) fn rails(&self) -> i64 {
        1 + i64::from(self.stack.solana().is_some()) + i64::from(self.stack.tempo().is_some())
    }

    /// Another invoice, without a word.
    pub(super) async fn create_quietly(&self, tenant: &str, key: &str) -> Result<Issued, Error> {
        let mut request = self.electricity_bill();
        request["tenant_id"] = tenant.into();
        let url = format!("{}/api/invoices/create", self.stack.api_url());
        let answer = self.ask(self.http.post(url).bearer_auth(key).json(&request)).await?;
        let wrong = || Error::Story(format!("the API's answer is not whole: {answer}"));
        let terms: InvoiceTerms =
            serde_json::from_value(on_chain(&answer, "base")["terms"].clone()).map_err(|_| wrong())?;
        let address =
            answer["wallet"]["addresses"]["base"].as_str().and_then(|text| text.parse().ok()).ok_or_else(wrong)?;
        let id = answer["invoice"]["id"].as_str().ok_or_else(wrong)?.to_owned();
        let payee_before = self.balance(terms.payee).await?;
        Ok(Issued { id, address, terms, payee_before, pay_path: String::new(), solana: None, tempo: None })
    }

    /// Posts to the API, with the enterprise's key or as anyone.
    pub(super) async fn post(&self, path: &str, body: &Value, with_key: bool) -> Result<Value, Error> {
        let request = self.http.post(format!("{}{path}", self.stack.api_url())).json(body);
        let request = if with_key { request.bearer_auth(&self.stack.api_key) } else { request };
        let answer = self.ask(request).await?;
        self.say(&format!(
            "    POST {} → {}",
            path.split('/').next_back().unwrap_or(path),
            answer["state"].as_str().unwrap_or("ok")
        ));
        Ok(answer)
    }

    /// Asks the API, and again where it does not answer, as any client does: with one `Idempotency-Key` for all tries, so that
    /// nothing is done twice.
    async fn ask(&self, request: reqwest::RequestBuilder) -> Result<Value, Error> {
        let failed = |error: reqwest::Error| Error::Story(format!("the API did not answer: {error}"));
        let request = request.header("Idempotency-Key", self.fresh_key()?.to_string()).build().map_err(failed)?;
        let since = Instant::now();
        loop {
            let again = request.try_clone().ok_or_else(|| Error::Story("a request cannot be repeated".to_owned()))?;
            match json_of(self.http.execute(again).await).await {
                Err(Refused::NoAnswer(_)) if since.elapsed() < PATIENCE => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                // A re-org has taken the payment back for a moment: whoever asks for what is too much asks again.
                Err(Refused::Said(words)) if words.contains("not_refundable_yet") && since.elapsed() < PATIENCE => {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                Err(Refused::NoAnswer(error)) => return Err(failed(error)),
                Err(Refused::Said(words)) => return Err(Error::Story(words)),
                Ok(answer) => return Ok(answer),
            }
        }
    }

    /// Something that is so in the end, and stays so: a re-org may have taken it back for a moment.
    pub(super) async fn check_soon(
        &mut self,
        what: &str,
        is_so: impl AsyncFn(&Self) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let since = Instant::now();
        let mut ok = is_so(self).await?;
        while !ok && since.elapsed() < PATIENCE {
            tokio::time::sleep(Duration::from_millis(40)).await;
            ok = is_so(self).await?;
        }
        self.check(what, ok);
        Ok(())
    }

    /// A key that nobody has ever used.
    pub(super) fn fresh_key(&self) -> Result<B256, Error> {
        let mut key = B256::ZERO;
        getrandom::fill(key.as_mut_slice()).map_err(|error| Error::Story(format!("no randomness: {error}")))?;
        Ok(key)
    }

    /// An address that nobody has ever used.
    pub(super) fn fresh_address(&self) -> Result<Address, Error> {
        Ok(Address::from_word(self.fresh_key()?))
    }

    /// Whether an account has never sent anything and has no coin.
    pub(super) async fn untouched(&self, account: Address) -> Result<bool, Error> {
        let (_, nonce) = self.account(account).await?;
        let coin = self.stack.node.rpc("eth_getBalance", json!([account, "latest"])).await?;
        Ok(nonce == 0 && coin == "0x0")
    }

    pub(super) async fn payee_received(&self, issued: &Issued) -> Result<U256, Error> {
        Ok(self.balance(issued.terms.payee).await?.saturating_sub(issued.payee_before))
    }

    pub(super) async fn check_payee(&mut self, issued: &Issued) -> Result<(), Error> {
        let received = self.payee_received(issued).await?;
        self.check("UtilityCo Electric has exactly 150 USDC more", received == U256::from(issued.terms.amount));
        Ok(())
    }

    pub(super) async fn check_paid(&mut self, issued: &Issued, view: &InvoiceView) -> Result<(), Error> {
        self.check_payee(issued).await?;
        let paid = view.status == InvoiceStatus::Paid && view.paid == issued.terms.amount;
        self.check("Postgres says paid, 150.00 of 150.00", paid);
        Ok(())
    }

    /// Another token like USDC, with some of it for `holder`.
    pub(super) async fn other_token(&self, holder: Address, units: u128) -> Result<Address, Error> {
        let owner = signer(Cast::STRANGER)?;
        Ok(test_chain::contracts::deploy(&self.stack.node, &owner, &[(holder, units)]).await?.token)
    }

    /// The token's issuer blacklists an account, or forgives it.
    pub(super) async fn blacklist(&self, account: Address, on: bool) -> Result<(), Error> {
        let issuer = Customer { key: Cast::key(Cast::DEPLOYER), ..self.customer.clone() };
        let verb = if on { "blacklist(address)" } else { "unBlacklist(address)" };
        issuer.call(self.stack.chain()?.token, &[verb, &account.to_string()]).await.map(|_| ())
    }

    /// The customer pays all of them; the transfers wait together and are mined in one block.
    pub(super) async fn pay_all(&self, addresses: &[Address], units: u128) -> Result<(), Error> {
        let grants: Vec<_> = addresses.iter().map(|address| (*address, units)).collect();
        let token = self.stack.chain()?.token;
        Ok(test_chain::contracts::transfer(&self.stack.node, &signer(Cast::CUSTOMER)?, token, &grants).await?)
    }

    pub(super) async fn count_destroyed(&self, all: &[Issued]) -> Result<usize, Error> {
        let ids: Vec<&str> = all.iter().map(|issued| issued.id.as_str()).collect();
        let row = sqlx::query(
            "SELECT count(*) FROM invoices i JOIN invoice_wallets w ON w.invoice_id = i.id
            WHERE i.id = ANY($1) AND i.status = 'paid' AND w.status = 'destroyed'",
        );
        let count: i64 = row.bind(ids).fetch_one(self.stack.store.pool()).await?.try_get(0)?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    pub(super) async fn settling_transactions(&self, all: &[Issued]) -> Result<i64, Error> {
        let ids: Vec<&str> = all.iter().map(|issued| issued.id.as_str()).collect();
        let row = sqlx::query(
            "SELECT count(DISTINCT tx_hash) FROM blockchain_transactions WHERE invoice_id = ANY($1) AND purpose = 'settle'",
        );
        Ok(row.bind(ids).fetch_one(self.stack.store.pool()).await?.try_get(0)?)
    }

    pub(super) async fn count_orders(&self, issued: &Issued) -> Result<i64, Error> {
        let row =
            sqlx::query("SELECT count(*) FROM refund_orders WHERE terms_hash = $1 AND word->>'said' LIKE 'Jane%'");
        Ok(row.bind(issued.terms.hash().to_vec()).fetch_one(self.stack.store.pool()).await?.try_get(0)?)
    }

    fn tell_request(&self, request: &Value) {
        if self.first {
            self.say("UtilityCo Electric sends this to POST /api/invoices/create:");
            for line in serde_json::to_string_pretty(request).unwrap_or_default().lines() {
                self.say(&format!("    {line}"));
            }
            return;
        }
        let bill = self.electricity_bill();
        let more = request.as_object().into_iter().flatten().filter(|(key, value)| bill.get(key) != Some(*value));
        let more: Vec<String> = more.map(|(key, value)| format!(", with \"{key}\": {value}")).collect();
        self.say(&format!("UtilityCo Electric sends the same request{}", more.concat()));
    }

    /// The customer pays, with a wallet that is no code of ours.
    pub(super) async fn pay(&mut self, issued: &Issued, units: u128) -> Result<(), Error> {
        let shown = domain::money::Units(units);
        self.say(&format!(
            "Jane's wallet (`cast`, a process of its own) is told address, token and amount, and sends {shown} USDC"
        ));
        let sent = Instant::now();
        let hash = self.customer.send(self.stack.chain()?.token, issued.address, units).await?;
        let took = self.took("customer_transfer", sent);
        self.say(&format!("    {hash} is in a block after {took}"));
        Ok(())
    }

    /// Waits until the invoice is as the story needs it, telling each change on the way.
    pub(super) async fn until(
        &mut self,
        issued: &Issued,
        name: &'static str,
        reached: impl Fn(&InvoiceView) -> bool,
    ) -> Result<InvoiceView, Error> {
        self.until_of(TENANT, issued, name, reached).await
    }

    /// As [`Self::until`], for an invoice of any tenant.
    pub(super) async fn until_of(
        &mut self,
        tenant: &str,
        issued: &Issued,
        name: &'static str,
        reached: impl Fn(&InvoiceView) -> bool,
    ) -> Result<InvoiceView, Error> {
        let since = Instant::now();
        loop {
            let view = self.invoice(tenant, &issued.id).await?;
            let now = format!("invoice {}, wallet {}", view.status, view.wallet.status);
            if now != self.told {
                self.say(&format!("    {:>5.1} s  {now}", seconds(since.elapsed())));
                self.told = now;
            }
            if reached(&view) {
                self.took(name, since);
                return Ok(view);
            }
            if since.elapsed() > PATIENCE {
                return Err(Error::Story(format!("after {} s it is still: {}", PATIENCE.as_secs(), self.told)));
            }
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
    }

    /// The invoice, from Postgres.
    pub(super) async fn invoice(&self, tenant: &str, id: &str) -> Result<InvoiceView, Error> {
        let mut db = self.stack.store.begin().await?;
        let view = store::invoices::by_id(&mut db, tenant, id).await?;
        view.ok_or_else(|| Error::Story(format!("Postgres has no invoice {id}")))
    }

    /// The invoice, from the API.
    pub(super) async fn get(&self, id: &str) -> Result<Value, Error> {
        let url = format!("{}/api/invoices/{id}", self.stack.api_url());
        self.ask(self.http.get(url).bearer_auth(&self.stack.api_key)).await
    }

    pub(super) async fn balance(&self, account: Address) -> Result<U256, Error> {
        Ok(balance_of(&self.stack.node, self.stack.chain()?.token, account).await?)
    }

    async fn account(&self, address: Address) -> Result<(alloy_primitives::Bytes, u64), Error> {
        let node = self.stack.node.provider();
        let failed = |error: &dyn std::fmt::Display| Error::Story(format!("the node did not answer: {error}"));
        let code = node.get_code_at(address).await.map_err(|error| failed(&error))?;
        Ok((code, node.get_transaction_count(address).await.map_err(|error| failed(&error))?))
    }

    /// Counts rows that belong to the invoice, table by table.
    pub(super) async fn rows(&self, id: &str) -> Result<BTreeMap<&'static str, i64>, Error> {
        const COUNTS: &[(&str, &str)] = &[
            ("invoices", "SELECT count(*) FROM invoices WHERE id = $1"),
            ("invoice_terms", "SELECT count(*) FROM invoice_terms WHERE invoice_id = $1"),
            ("invoice_wallets", "SELECT count(*) FROM invoice_wallets WHERE invoice_id = $1"),
            (
                "wallet_keys",
                "SELECT count(*) FROM wallet_keys JOIN invoice_wallets USING (wallet_id) WHERE invoice_id = $1",
            ),
            (
                "wallet_lifecycle_events",
                "SELECT count(*) FROM wallet_lifecycle_events JOIN invoice_wallets USING (wallet_id) WHERE invoice_id = $1",
            ),
            ("deposits", "SELECT count(*) FROM deposits JOIN invoice_terms USING (terms_hash) WHERE invoice_id = $1"),
            (
                "escrow_events",
                "SELECT count(*) FROM escrow_events JOIN invoice_terms USING (terms_hash) WHERE invoice_id = $1",
            ),
            ("intents", "SELECT count(*) FROM intents JOIN invoice_terms USING (terms_hash) WHERE invoice_id = $1"),
            ("blockchain_transactions", "SELECT count(*) FROM blockchain_transactions WHERE invoice_id = $1"),
            ("payments", "SELECT count(*) FROM payments WHERE invoice_id = $1"),
            ("outbox", "SELECT count(*) FROM outbox WHERE aggregate = $1"),
        ];
        let mut rows = BTreeMap::new();
        for (table, count) in COUNTS {
            let row = sqlx::query(*count).bind(id).fetch_one(self.stack.store.pool()).await?;
            rows.insert(*table, row.try_get(0)?);
        }
        Ok(rows)
    }

    /// Reads everything back, and ends the story.
    pub(super) async fn end(
        mut self,
        name: &'static str,
        issued: &Issued,
        view: InvoiceView,
        refunded: U256,
        gas_payer: Option<Address>,
    ) -> Result<StoryReport, Error> {
        let (code, nonce) = self.account(issued.address).await?;
        let balance = self.balance(issued.address).await?;
        self.check(
            "on chain the wallet is gone: no code, nonce 0, no balance",
            code.is_empty() && nonce == 0 && balance.is_zero(),
        );
        let rows = self.rows(&issued.id).await?;
        self.check("its key is erased", rows.get("wallet_keys") == Some(&0));
        let payee_received = self.payee_received(issued).await?;
        self.took("story", self.began);
        if let Some(payer) = gas_payer {
            self.say(&format!("gas was paid by {payer}"));
        }
        let lifetime = match view.tenant_id.as_str() {
            TENANT => self.get(&issued.id).await?["wallet"]["lifetime"].as_str().map(str::to_owned),
            _ => None,
        };
        if let Some(lifetime) = &lifetime {
            self.say(&format!("the wallet lived {lifetime}"));
        }
        self.voice.say("");
        Ok(StoryReport {
            name: name.to_owned(),
            ok: self.checks.iter().all(|check| check.ok),
            error: None,
            invoice: Some(Invoice {
                id: view.id.clone(),
                number: view.number.clone(),
                status: view.status.as_str().to_owned(),
                amount: view.amount.to_string(),
                paid_amount: view.paid.to_string(),
            }),
            wallet: Some(Wallet {
                id: view.wallet.id.clone(),
                status: view.wallet.status.as_str().to_owned(),
                mode: view.wallet.mode.clone(),
                addresses: std::iter::once(("base".to_owned(), issued.address.to_string()))
                    .chain(issued.solana.iter().map(|rail| ("solana".to_owned(), rail.address.to_string())))
                    .chain(issued.tempo.iter().map(|rail| ("tempo".to_owned(), rail.address.to_string())))
                    .collect(),
                lifetime,
            }),
            terms: Some(issued.terms.clone()),
            chain: Some(Chain {
                purse_code: code.to_string(),
                purse_nonce: nonce,
                purse_balance: balance.to_string(),
                payee_received: payee_received.to_string(),
                refunded: refunded.to_string(),
            }),
            solana: None,
            tempo: None,
            transactions: view
                .transactions
                .iter()
                .map(|tx| Transaction {
                    kind: tx.purpose.clone(),
                    chain: tx.chain.clone(),
                    hash: tx.tx_hash.clone(),
                    status: tx.status.clone(),
                    amount: tx.amount.clone(),
                })
                .collect(),
            rows,
            durations_ms: self.durations,
            checks: self.checks,
            suffered: Suffered::default(),
        })
    }
}

/// A call by anyone, tried and not sent, optionally at another time: whether it would work.
pub(super) async fn would_work(
    scene: &Scene<'_>,
    from: Address,
    data: Vec<u8>,
    at: Option<u64>,
) -> Result<bool, Error> {
    let call =
        json!({"from": from, "to": scene.stack.chain()?.escrow, "data": alloy_primitives::hex::encode_prefixed(data)});
    let params = match at {
        Some(time) => json!([call, "latest", {}, {"time": format!("{time:#x}")}]),
        None => json!([call, "latest"]),
    };
    Ok(scene.stack.node.rpc("eth_call", params).await.is_ok())
}

fn signer(who: usize) -> Result<PrivateKeySigner, Error> {
    PrivateKeySigner::from_bytes(&Cast::key(who)).map_err(|error| Error::Story(error.to_string()))
}

/// Why there is no answer.
enum Refused {
    /// Nobody answered, or not to the end.
    NoAnswer(reqwest::Error),
    /// The API said no.
    Said(String),
}

async fn json_of(answer: Result<reqwest::Response, reqwest::Error>) -> Result<Value, Refused> {
    let answer = answer.map_err(Refused::NoAnswer)?;
    let status = answer.status();
    let body: Value = answer.json().await.map_err(Refused::NoAnswer)?;
    if status.is_success() { Ok(body) } else { Err(Refused::Said(format!("the API said {status}: {body}"))) }
}

/// What the API says of an invoice on one chain.
fn on_chain<'a>(answer: &'a Value, chain: &str) -> &'a Value {
    let all = answer["terms"].as_array();
    all.and_then(|all| all.iter().find(|terms| terms["chain"] == chain)).unwrap_or(&Value::Null)
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
