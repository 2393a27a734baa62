//! How much memory each service takes: idle, and with many live invoices in the database and work to do.
//!
//! `scripts/bench memory` prints one JSON object. Resident memory as Linux says it (`/proc/PID/status`): idle is `VmRSS`
//! once it has stopped growing, the peak is `VmHWM`. Loaded: the invoices are inserted, hundreds are paid, thousands come to
//! their end at once, the API creates and reads; then all services are started again over the full database.

#![allow(clippy::float_arithmetic)] // Megabytes, not money.

use alloy_primitives::{Address, keccak256};
use domain::invoice::Settlement;
use domain::money::{Currency, Units};
use domain::project::GRACE_SECONDS;
use domain::request::CreateInvoice;
use domain::wallet::WalletMode;
use monay::services::Service;
use monay::stack::{Cast, Options, Stack, TENANT};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::error::Error;
use std::time::{Duration, Instant};
use store::Store;
use store::invoices::NewInvoice;
use terms::{Deployment, InvoiceTerms};
use time::OffsetDateTime;

type Failure = Box<dyn Error + Send + Sync>;

/// 1 USDC: the customer of a local chain has 10,000.
const AMOUNT: u128 = 1_000_000;
/// Invoices that are paid.
const PAID: usize = 500;
/// Invoices whose time runs out at once.
const DUE: usize = 2_000;
/// Requests to the API: one creates, three read.
const REQUESTS: usize = 2_000;
/// What `scripts/bench` must show, in megabytes.
const LIMIT_IDLE: f64 = 60.0;
const LIMIT_LOADED: f64 = 250.0;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// Resident now and at most, in kilobytes.
type Memory = BTreeMap<&'static str, (u64, u64)>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut invoices = 100_000_usize;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--invoices" => invoices = arguments.next().ok_or("a number is missing")?.parse()?,
            other => return Err(format!("there is no option {other}: use --invoices N").into()),
        }
    }
    let invoices = invoices.max(PAID + DUE);
    // The services are the program beside this one.
    let program =
        std::env::current_exe()?.parent().and_then(|folder| folder.parent()).map(|folder| folder.join("monay"));
    let stack = Stack::start(Options { program, ..Options::default() }).await?;
    stack.run_all().await?;
    let idle = settled_memory(&stack).await?;
    let began = Instant::now();
    let purses = fill(&stack, invoices).await?;
    eprintln!("memory: {invoices} invoices inserted in {} s", began.elapsed().as_secs());
    let working = work(&stack, &purses, invoices).await?;
    for service in Service::ALL {
        stack.kill(service).await;
        stack.run(service, &[]).await?;
    }
    let restarted = settled_memory(&stack).await?;
    let mb = |kilobytes: u64| (f64::from(u32::try_from(kilobytes).unwrap_or(u32::MAX)) / 102.4).round() / 10.0;
    let mut rows = Vec::new();
    for service in [Service::Api, Service::Indexer, Service::Keeper, Service::Coordinator].map(Service::name) {
        let peak = |memory: &Memory| memory.get(service).map_or(0, |(_, most)| *most);
        let now = idle.get(service).map_or(0, |(now, _)| *now);
        for (what, ours, limit) in [
            ("idle", now, LIMIT_IDLE),
            ("idle, peak", peak(&idle), LIMIT_IDLE),
            ("loaded, peak", peak(&working), LIMIT_LOADED),
            ("restarted over all, peak", peak(&restarted), LIMIT_LOADED),
        ] {
            let ratio = (mb(ours) / limit * 100.0).round() / 100.0;
            let what = format!("{service} {what}");
            rows.push(
                json!({"what": what, "ours": mb(ours), "peer": null, "limit": limit, "unit": "MB", "ratio": ratio}),
            );
        }
    }
    println!("{}", json!({"name": "memory", "command": "scripts/bench memory", "rows": rows}));
    stack.stop().await;
    Ok(())
}

/// Of each service, now.
fn memory(stack: &Stack) -> Result<Memory, Failure> {
    let mut all = Memory::new();
    for service in Service::ALL {
        let pid = stack.pid(service).ok_or_else(|| format!("the {} has stopped", service.name()))?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.split_whitespace().next()).and_then(|number| number.parse().ok())
        };
        let (now, most) = (field("VmRSS:"), field("VmHWM:"));
        all.insert(service.name(), (now.ok_or("no VmRSS: this needs Linux")?, most.ok_or("no VmHWM")?));
    }
    Ok(all)
}

/// Once it has not grown for ten seconds, after a minute at most.
async fn settled_memory(stack: &Stack) -> Result<Memory, Failure> {
    let (began, mut last, mut since) = (Instant::now(), memory(stack)?, Instant::now());
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = memory(stack)?;
        let grown = now.iter().any(|(name, (_, most))| last.get(name).is_none_or(|(_, before)| most > before));
        if grown {
            since = Instant::now();
        }
        last = now;
        if since.elapsed() > Duration::from_secs(10) || began.elapsed() > Duration::from_secs(60) {
            return Ok(last);
        }
    }
}

/// Inserts live invoices over two connections. The first [`PAID`] are returned to be paid, the last [`DUE`] end in an hour.
async fn fill(stack: &Stack, invoices: usize) -> Result<Vec<Address>, Failure> {
    let (_, now) = stack.node.block("latest").await?;
    let chain = stack.chain()?.clone();
    let halves = [(0, invoices / 2), (invoices / 2, invoices)].map(|(from, to)| {
        let (store, chain) = (stack.store.clone(), chain.clone());
        tokio::spawn(async move {
            let mut purses = Vec::new();
            for batch in (from..to).step_by(1_000) {
                let mut db = store.begin().await?;
                for number in batch..(batch + 1_000).min(to) {
                    let life = if number + DUE >= invoices { 3_600 } else { 30 * 86_400 };
                    purses.push(insert(&mut db, &chain, number, now, life).await?);
                }
                db.commit().await.map_err(store::Error::from)?;
            }
            Ok::<_, Failure>(purses)
        })
    });
    let mut purses = Vec::new();
    for half in halves {
        purses.extend(half.await??);
    }
    purses.truncate(PAID);
    Ok(purses)
}

async fn insert(
    db: &mut store::PgConnection,
    chain: &monay::config::ChainConfig,
    number: usize,
    now: u64,
    life: u64,
) -> Result<Address, Failure> {
    let expires_at = now + life;
    let terms = InvoiceTerms {
        version: terms::VERSION,
        chain: chain.id,
        invoice_id: keccak256(number.to_be_bytes()),
        payee: Cast::address(Cast::ENTERPRISE),
        token: chain.token,
        amount: AMOUNT,
        closes_at: expires_at + GRACE_SECONDS,
        refund_to: Cast::address(Cast::UNCLAIMED),
        refund_key: Address::ZERO,
        settler: chain.gate,
        flags: 0,
    };
    let purse = terms.deposit_address(&Deployment::version_1(chain.escrow));
    let request = CreateInvoice {
        amount: Units(AMOUNT),
        currency: Currency::Usd,
        wallet_mode: WalletMode::Ephemeral,
        ttl_seconds: life,
        due_date: None,
        settlement: Settlement::Automatic,
    };
    let new = NewInvoice {
        id: &domain::ids::new_invoice_id(),
        tenant_id: TENANT,
        number: None,
        issuer: TENANT,
        customer_id: None,
        customer_email: None,
        request: &request,
        description: None,
        category: None,
        expires_at: OffsetDateTime::from_unix_timestamp(i64::try_from(expires_at)?)?,
        pay_token: &domain::ids::new_pay_token(),
        wallet_id: &domain::ids::new_wallet_id(),
        rails: &[store::invoices::NewRail { terms: terms.clone().into(), purse: purse.into() }],
        key: None,
        metadata: json!({}),
    };
    store::invoices::create(db, &new).await?;
    Ok(purse)
}

/// Gives every service something to do, and waits until it is done; the memory afterwards.
async fn work(stack: &Stack, purses: &[Address], invoices: usize) -> Result<Memory, Failure> {
    let http = reqwest::Client::new();
    let url = format!("{}/api/invoices/", stack.api_url());
    let body = json!({"tenant_id": TENANT, "amount": 1, "currency": "USD", "wallet_mode": "ephemeral"});
    let requests = async {
        for _ in 0..REQUESTS / 4 {
            let create = http.post(format!("{url}create")).bearer_auth(&stack.api_key).json(&body);
            let answer: Value = create.send().await?.error_for_status()?.json().await?;
            let id = answer["invoice"]["id"].as_str().ok_or("an answer without id")?.to_owned();
            for _ in 0..3 {
                let read = http.get(format!("{url}{id}")).bearer_auth(&stack.api_key);
                let _ = read.send().await?.error_for_status()?.bytes().await?;
            }
        }
        Ok::<_, Failure>(())
    };
    let customer = alloy::signers::local::PrivateKeySigner::from_bytes(&Cast::key(Cast::CUSTOMER))?;
    let token = stack.chain()?.token;
    let payments = async {
        for some in purses.chunks(50) {
            let grants: Vec<_> = some.iter().map(|purse| (*purse, AMOUNT)).collect();
            test_chain::contracts::transfer(&stack.node, &customer, token, &grants).await?;
        }
        Ok::<_, Failure>(())
    };
    tokio::try_join!(requests, payments)?;
    eprintln!("memory: {REQUESTS} requests, {} payments", purses.len());
    until(&stack.store, "paid", purses.len()).await?;
    stack.node.increase_time(Duration::from_secs(3_700)).await?;
    stack.node.mine(3).await?;
    until(&stack.store, "expired", DUE).await?;
    eprintln!("memory: {DUE} of {invoices} have come to their end");
    memory(stack)
}

/// Waits until so many invoices have a status.
async fn until(store: &Store, status: &str, count: usize) -> Result<(), Failure> {
    let since = Instant::now();
    loop {
        let query = sqlx::query_scalar("SELECT count(*) FROM invoices WHERE status = $1").bind(status);
        let there: i64 = query.fetch_one(store.pool()).await?;
        if there >= i64::try_from(count)? {
            return Ok(());
        }
        if since.elapsed() > PATIENCE {
            return Err(format!("only {there} of {count} invoices are {status}").into());
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}
