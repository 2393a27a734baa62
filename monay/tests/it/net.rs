//! A network for one test: real Postgres, real Anvil that mines when told to, and the services' own code run pass by
//! pass in this process, so that a test decides what happens in which order.

use alloy::providers::Provider;
use alloy::rpc::types::TransactionRequest;
use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::{SolCall, SolEvent};
use chain::evm::Evm;
use domain::invoice::Settlement;
use domain::money::{Currency, Units};
use domain::project::GRACE_SECONDS;
use domain::request::CreateInvoice;
use domain::wallet::WalletMode;
use indexer::Indexer;
use keeper::{Duty, Keeper};
use monay::stack::{Cast, Options, Stack, TENANT};
use sqlx::Row;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use store::invoices::{InvoiceView, NewInvoice};
use terms::abi::{IERC20, IInvoiceEscrow, ISettlementGate};
use terms::{Deployment, InvoiceTerms};
use test_chain::{Mining, Node, Proxy};
use time::OffsetDateTime;

/// One hour: the shortest life a wallet has.
pub(crate) const TTL: u64 = 3_600;

/// 150 USDC.
pub(crate) const AMOUNT: u128 = 150_000_000;

pub(crate) struct Net {
    pub(crate) stack: Stack,
    pub(crate) indexer: Indexer<Evm>,
    pub(crate) keeper: Keeper<Evm>,
    pub(crate) coordinator: Keeper<Evm>,
}

/// An invoice of a test.
#[derive(Clone, Debug)]
pub(crate) struct Issued {
    pub(crate) id: String,
    pub(crate) terms: InvoiceTerms,
    pub(crate) purse: Address,
    pub(crate) expires_at: u64,
}

/// What an invoice of a test may differ in.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wish {
    pub(crate) partials: bool,
    pub(crate) refund_key: Option<Address>,
    pub(crate) manual: bool,
    pub(crate) anyone_settles: bool,
    pub(crate) payee: Option<Address>,
}

/// A keeper that offers everything again at once and raises no fees.
pub(crate) fn patient(duty: Duty) -> keeper::Config {
    keeper::Config {
        duty,
        poll: Duration::from_millis(20),
        resend_after: Duration::ZERO,
        raise_after: Duration::from_secs(3_600),
        max_fee: 100_000_000_000,
        lease: Duration::from_secs(3_600),
    }
}

impl Net {
    /// Networks only; nothing is mined unless told to.
    pub(crate) async fn start() -> Self {
        Self::with(Mining::Manual).await
    }

    pub(crate) async fn with(mining: Mining) -> Self {
        Self::of(Options { mining, ..Options::default() }).await
    }

    /// A chain that calls nothing final before it is `2 × blocks` deep: room for re-orgs.
    pub(crate) async fn deep(blocks: u64) -> Self {
        Self::of(Options { mining: Mining::Manual, epoch: blocks, ..Options::default() }).await
    }

    pub(crate) async fn of(options: Options) -> Self {
        let mining = options.mining;
        let program = Some(env!("CARGO_BIN_EXE_monay").into());
        let database_url = std::env::var("DATABASE_URL").ok();
        let stack = Stack::start(Options { program, database_url, ..options }).await.unwrap();
        let chain = stack.chain().unwrap();
        let with_duty = async |duty: Duty, who: usize| {
            let signer = PrivateKeySigner::from_bytes(&Cast::key(who)).unwrap();
            let evm = Evm::connect(&chain.rpc_url, chain.id, Some(signer)).await.unwrap();
            let keeper = Keeper::new(patient(duty), stack.store.clone(), evm);
            // Where blocks come by themselves the services run as processes, and use the same keys.
            if mining == Mining::Manual {
                keeper.lease().await.unwrap();
            }
            keeper
        };
        let keeper = with_duty(Duty::Settle, Cast::KEEPER).await;
        let coordinator = with_duty(Duty::Cancel, Cast::COORDINATOR).await;
        let indexer = Indexer { store: stack.store.clone(), chain: keeper.chain.clone() };
        Self { indexer, keeper, coordinator, stack }
    }

    pub(crate) fn node(&self) -> &Node {
        &self.stack.node
    }

    /// An indexer on the same database that asks the node at another URL.
    pub(crate) async fn indexer_at(&self, url: &str) -> Indexer<Evm> {
        let chain = Evm::connect(url, self.stack.chain().unwrap().id, None).await.unwrap();
        Indexer { store: self.stack.store.clone(), chain }
    }

    /// A proxy before the node; the indexer asks it from now on.
    pub(crate) async fn with_proxy(&mut self) -> Proxy {
        let proxy = Proxy::start(self.node()).await.unwrap();
        self.indexer = self.indexer_at(proxy.url()).await;
        proxy
    }

    /// What of the mirror differs from a fresh index of the same blocks; nothing is changed.
    pub(crate) async fn differences(&self) -> Vec<indexer::Compared> {
        let rebuilt = self.indexer.rebuild(true, |_, _| {}).await.unwrap();
        rebuilt.tables.into_iter().filter(|table| !table.is_same()).collect()
    }

    pub(crate) async fn digests(&self) -> Vec<store::rebuild::Digest> {
        let chain = self.stack.chain().unwrap().id;
        let mut db = self.stack.store.begin().await.unwrap();
        store::rebuild::hold(&mut db, chain).await.unwrap();
        let digests = store::rebuild::digests(&mut db, chain).await.unwrap();
        db.rollback().await.unwrap();
        digests
    }

    /// Puts code at `at` that emits these logs whenever it is called, and calls it; nothing is mined.
    pub(crate) async fn emit(&self, at: Address, logs: &[(Vec<B256>, Vec<u8>)]) -> B256 {
        let push = |number: usize| [&[0x61][..], &u16::try_from(number).unwrap().to_be_bytes()].concat();
        let mut code = Vec::new();
        for (topics, data) in logs {
            for (word, bytes) in data.chunks(32).enumerate() {
                let mut padded = [0; 32];
                padded[..bytes.len()].copy_from_slice(bytes);
                code.extend([&[0x7f][..], &padded, &push(word * 32), &[0x52]].concat());
            }
            for topic in topics.iter().rev() {
                code.extend([&[0x7f][..], topic.as_slice()].concat());
            }
            code.extend(push(data.len()));
            code.extend([0x5f, 0xa0 + u8::try_from(topics.len()).unwrap()]);
        }
        code.push(0);
        self.set_code(at, &code).await;
        self.send(Cast::STRANGER, at, vec![]).await
    }

    pub(crate) async fn set_code(&self, at: Address, code: &[u8]) {
        let code = alloy_primitives::hex::encode_prefixed(code);
        self.node().rpc("anvil_setCode", serde_json::json!([at, code])).await.unwrap();
    }

    pub(crate) fn token(&self) -> Address {
        self.stack.chain().unwrap().token
    }

    pub(crate) fn escrow(&self) -> Address {
        self.stack.chain().unwrap().escrow
    }

    pub(crate) async fn chain_now(&self) -> u64 {
        self.node().block("latest").await.unwrap().1
    }

    /// Issues an invoice for [`AMOUNT`], as the API would.
    pub(crate) async fn issue(&self, wish: Wish) -> Issued {
        let mut db = self.stack.store.begin().await.unwrap();
        let issued = self.issue_in(&mut db, wish, self.chain_now().await).await;
        db.commit().await.unwrap();
        issued
    }

    /// Issues an invoice that pays somebody else than the enterprise.
    pub(crate) async fn issue_to(&self, payee: Address) -> Issued {
        let mut db = self.stack.store.begin().await.unwrap();
        let wish = Wish { payee: Some(payee), ..Wish::default() };
        let issued = self.issue_in(&mut db, wish, self.chain_now().await).await;
        db.commit().await.unwrap();
        issued
    }

    /// Issues an invoice in the caller's transaction.
    pub(crate) async fn issue_in(&self, db: &mut store::PgConnection, wish: Wish, now: u64) -> Issued {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let chain = self.stack.chain().unwrap();
        let expires_at = now + TTL;
        let terms = InvoiceTerms {
            version: terms::VERSION,
            chain: chain.id,
            invoice_id: keccak256(next.to_be_bytes()),
            payee: wish.payee.unwrap_or(Cast::address(Cast::ENTERPRISE)),
            token: chain.token,
            amount: AMOUNT,
            closes_at: expires_at + GRACE_SECONDS,
            refund_to: Cast::address(Cast::UNCLAIMED),
            refund_key: wish.refund_key.unwrap_or_default(),
            settler: if wish.anyone_settles { Address::ZERO } else { chain.gate },
            flags: if wish.partials { terms::FLAG_PARTIALS } else { 0 },
        };
        let purse = terms.deposit_address(&Deployment::version_1(chain.escrow));
        let (id, wallet_id) = (domain::ids::new_invoice_id(), domain::ids::new_wallet_id());
        let request = CreateInvoice {
            amount: Units(AMOUNT),
            currency: Currency::Usd,
            wallet_mode: WalletMode::Ephemeral,
            ttl_seconds: TTL,
            due_date: None,
            settlement: if wish.manual { Settlement::Manual } else { Settlement::Automatic },
        };
        let new = NewInvoice {
            id: &id,
            tenant_id: TENANT,
            number: None,
            issuer: TENANT,
            customer_id: None,
            customer_email: None,
            request: &request,
            description: None,
            category: None,
            expires_at: OffsetDateTime::from_unix_timestamp(i64::try_from(expires_at).unwrap()).unwrap(),
            pay_token: &domain::ids::new_pay_token(),
            wallet_id: &wallet_id,
            rails: &[store::invoices::NewRail { terms: terms.clone().into(), purse: purse.into() }],
            key: None,
            metadata: serde_json::json!({}),
        };
        store::invoices::create(db, &new).await.unwrap();
        Issued { id, terms, purse, expires_at }
    }

    /// Gives one of the cast the right to settle, or takes it; nothing is mined.
    pub(crate) async fn let_settle(&self, who: usize, granted: bool) {
        let gate = self.stack.chain().unwrap().gate;
        let governance = self.keeper.chain.read(gate, &ISettlementGate::authorityCall {}).await.unwrap();
        let call = test_chain::contracts::role_call("SETTLER", Cast::address(who), granted).unwrap();
        self.send(Cast::DEPLOYER, governance, call.to_vec()).await;
    }

    /// Sends a transaction of a development account into the node's pool; nothing is mined.
    pub(crate) async fn send(&self, from: usize, to: Address, input: Vec<u8>) -> B256 {
        let request = TransactionRequest::default()
            .from(Cast::address(from))
            .to(to)
            .gas_limit(1_000_000)
            .input(Bytes::from(input).into());
        *self.node().provider().send_transaction(request).await.unwrap().tx_hash()
    }

    /// The customer's plain transfer of the invoice's token; nothing is mined.
    pub(crate) async fn transfer(&self, to: Address, units: u128) -> B256 {
        let call = IERC20::transferCall { to, value: U256::from(units) };
        self.send(Cast::CUSTOMER, self.token(), call.abi_encode()).await
    }

    pub(crate) async fn balance(&self, account: Address) -> U256 {
        test_chain::contracts::balance_of(self.node(), self.token(), account).await.unwrap()
    }

    pub(crate) async fn mine(&self) {
        self.node().mine(1).await.unwrap();
    }

    /// Moves the chain's clock to `at` and mines until that is final.
    pub(crate) async fn warp(&self, at: u64) {
        self.node().set_next_timestamp(at).await.unwrap();
        self.node().mine(4).await.unwrap();
    }

    /// Lets the indexer catch up.
    pub(crate) async fn index(&self) {
        while self.indexer.step().await.unwrap() {}
        self.indexer.step().await.unwrap();
    }

    /// Lets this process or the indexer's catch up with what there is now.
    pub(crate) async fn index_to_the_tip(&self) {
        let (tip, _) = self.node().block("latest").await.unwrap();
        loop {
            let _ = self.indexer.step().await;
            let chain = self.stack.chain().unwrap().id;
            let mut db = self.stack.store.begin().await.unwrap();
            if store::chain::get(&mut db, chain).await.unwrap().heights.seen >= tip {
                break;
            }
        }
        let _ = self.indexer.step().await;
    }

    /// One round of everything: look, act, mine, look.
    pub(crate) async fn round(&self) {
        self.index().await;
        self.coordinator.coordinate().await.unwrap();
        for keeper in [&self.keeper, &self.coordinator] {
            while keeper.execute().await.unwrap() {}
        }
        self.mine().await;
        self.index().await;
        for keeper in [&self.keeper, &self.coordinator] {
            keeper.watch().await.unwrap();
        }
    }

    /// Rounds enough for anything to become final.
    pub(crate) async fn rounds(&self) {
        for _ in 0..6 {
            self.round().await;
        }
    }

    pub(crate) async fn view(&self, issued: &Issued) -> InvoiceView {
        let mut db = self.stack.store.begin().await.unwrap();
        store::invoices::by_id(&mut db, TENANT, &issued.id).await.unwrap().unwrap()
    }

    /// Invoice status, wallet status.
    pub(crate) async fn statuses(&self, issued: &Issued) -> (String, String) {
        let view = self.view(issued).await;
        (view.status.to_string(), view.wallet.status.to_string())
    }

    /// Kind and state of the invoice's intents.
    pub(crate) async fn intents(&self, issued: &Issued) -> Vec<(String, String)> {
        let rows = sqlx::query("SELECT kind, state FROM intents WHERE terms_hash = $1 ORDER BY created_at, kind")
            .bind(issued.terms.hash().to_vec())
            .fetch_all(self.stack.store.pool())
            .await
            .unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query(sql).fetch_one(self.stack.store.pool()).await.unwrap().get(0)
    }

    /// Every event of one kind that the escrow has recorded for an invoice, straight from the chain.
    pub(crate) async fn effects(&self, issued: &Issued, kind: u8) -> Vec<IInvoiceEscrow::Recorded> {
        let filter = alloy::rpc::types::Filter::new()
            .address(self.escrow())
            .from_block(0)
            .event_signature(IInvoiceEscrow::Recorded::SIGNATURE_HASH)
            .topic1(issued.terms.hash());
        let logs = self.node().provider().get_logs(&filter).await.unwrap();
        let events = logs.iter().map(|log| IInvoiceEscrow::Recorded::decode_log_data(log.data()).unwrap());
        events.filter(|event| event.kind == kind).collect()
    }

    /// What must hold of the keeper's transactions, whatever happened to it: each one the node has was committed first
    /// (`fault:K1`), and no invoice was settled twice (`fault:K2`). Returns what does not hold.
    pub(crate) async fn violations(&self, issued: &[&Issued]) -> Vec<String> {
        let mut found = Vec::new();
        for hash in self.on_the_wire(Cast::address(Cast::KEEPER)).await {
            let known = sqlx::query("SELECT 1 FROM attempts WHERE tx_hash = $1").bind(hash.to_vec());
            if known.fetch_optional(self.stack.store.pool()).await.unwrap().is_none() {
                found.push(format!("K1: transaction {hash} was sent and is in no row"));
            }
        }
        for issued in issued {
            let settled = self.effects(issued, 1).await.len();
            if settled > 1 {
                found.push(format!("K2: {} was settled {settled} times", issued.id));
            }
        }
        found
    }

    /// Every transaction of an account that the node has, in blocks and in its pool.
    pub(crate) async fn on_the_wire(&self, from: Address) -> Vec<B256> {
        let mut all = Vec::new();
        let pool = self.node().rpc("txpool_content", serde_json::json!([])).await.unwrap();
        for kind in ["pending", "queued"] {
            let accounts = pool[kind].as_object().unwrap().values();
            all.extend(accounts.flat_map(|nonces| nonces.as_object().unwrap().values().cloned().collect::<Vec<_>>()));
        }
        let (tip, _) = self.node().block("latest").await.unwrap();
        for number in 0..=tip {
            let block = self.node().rpc("eth_getBlockByNumber", serde_json::json!([format!("{number:#x}"), true]));
            all.extend(block.await.unwrap()["transactions"].as_array().unwrap().iter().cloned());
        }
        let ours = all.iter().filter(|tx| tx["from"].as_str().unwrap().parse() == Ok(from));
        ours.map(|tx| tx["hash"].as_str().unwrap().parse().unwrap()).collect()
    }
}
