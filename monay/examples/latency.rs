//! How long from a block that holds deposits to the settling transaction, and to the block that settles.
//!
//! `scripts/bench latency` prints one JSON object. A whole installation, its services as processes; invoices made through
//! the API; plain transfers at random (seeded) times over a minute; the median of several runs. An observer of its own
//! polls the node as fast as it answers. A block's time is the last poll that did not have it, a transaction's the first
//! that did: both errors count against us. Beside it, on the same chain at the same time, the least a client could do.

#![allow(clippy::float_arithmetic)] // Milliseconds, not money.

use alloy::consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy::eips::Encodable2718;
use alloy::network::TxSignerSync;
use alloy::primitives::TxKind;
use alloy::providers::Provider;
use alloy::rpc::types::Filter;
use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::{SolCall, SolEvent};
use monay::seeded::Seeded;
use monay::stack::{Cast, Options, Stack, TENANT};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use terms::InvoiceTerms;
use terms::abi::{IERC20, IInvoiceEscrow};
use test_chain::Node;

type Failure = Box<dyn Error + Send + Sync>;

/// 1 USDC: the customer of a local chain has 10,000.
const AMOUNT: u128 = 1_000_000;
/// Over which time the customers pay.
const SPREAD: Duration = Duration::from_secs(60);
/// How long after the last payment the last settlement may come.
const PATIENCE: Duration = Duration::from_secs(60);
/// What `scripts/bench` must show: milliseconds, blocks.
const LIMIT_MS: f64 = 100.0;
const LIMIT_BLOCKS: f64 = 1.0;

/// When the node had what, in microseconds since 1970: Postgres reads the same clock.
#[derive(Default)]
struct Seen {
    /// Just before each block.
    blocks: BTreeMap<u64, u64>,
    /// Just after each pending transaction.
    pending: HashMap<B256, u64>,
}

/// One run's samples, sorted.
struct Run {
    ours: Vec<u64>,
    peer: Vec<u64>,
    blocks: Vec<u64>,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let (mut invoices, mut runs) = (1_000, 3);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().ok_or("a number is missing")?.parse::<usize>().map_err(Failure::from);
        match argument.as_str() {
            "--invoices" => invoices = number()?.clamp(1, 9_000),
            "--runs" => runs = number()?.max(1),
            other => return Err(format!("there is no option {other}: use --invoices N, --runs N").into()),
        }
    }
    let mut done = Vec::new();
    for run in 0..runs {
        eprintln!("latency: run {} of {runs}, {invoices} invoices", run + 1);
        done.push(measure(invoices, u64::try_from(run)?).await?);
    }
    let median = |of: &dyn Fn(&Run) -> u64| {
        let mut all: Vec<u64> = done.iter().map(of).collect();
        all.sort_unstable();
        all[all.len() / 2]
    };
    let ms = |micros: u64| f64::from(u32::try_from(micros / 10).unwrap_or(u32::MAX)).round() / 100.0;
    let round = |ratio: f64| (ratio * 100.0).round() / 100.0;
    let (p50, p99) = (ms(median(&|run| at(&run.ours, 50))), ms(median(&|run| at(&run.ours, 99))));
    let (peer50, peer99) = (ms(median(&|run| at(&run.peer, 50))), ms(median(&|run| at(&run.peer, 99))));
    let (blocks, most) = (median(&|run| at(&run.blocks, 50)), median(&|run| at(&run.blocks, 100)));
    let row = |what: &str, ours: Value, peer: Option<f64>, limit: Option<f64>, unit: &str, ratio: Option<f64>| json!({"what": what, "ours": ours, "peer": peer, "limit": limit, "unit": unit, "ratio": ratio.map(round)});
    let ratio = f64::from(u32::try_from(blocks)?) / LIMIT_BLOCKS;
    let rows = [
        row("block to broadcast p50", p50.into(), Some(peer50), Some(LIMIT_MS), "ms", Some(p50 / LIMIT_MS)),
        row("block to broadcast p99", p99.into(), Some(peer99), None, "ms", Some(p99 / peer99)),
        row("block to settled", blocks.into(), None, Some(LIMIT_BLOCKS), "blocks", Some(ratio)),
        row("block to settled, the most", most.into(), None, None, "blocks", None),
    ];
    println!("{}", json!({"name": "latency", "command": "scripts/bench latency", "rows": rows}));
    Ok(())
}

/// The sample below which so many percent are.
fn at(sorted: &[u64], percent: usize) -> u64 {
    let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(index).copied().unwrap_or(0)
}

async fn measure(invoices: usize, seed: u64) -> Result<Run, Failure> {
    // The services are the program beside this one.
    let program =
        std::env::current_exe()?.parent().and_then(|folder| folder.parent()).map(|folder| folder.join("monay"));
    let stack = Stack::start(Options { program, ..Options::default() }).await?;
    stack.run_all().await?;
    let issued = issue(&stack, invoices).await?;
    let seen = Arc::new(Mutex::new(Seen::default()));
    let peer = Arc::new(Mutex::new(HashMap::new()));
    let purses: HashSet<Address> = issued.keys().copied().collect();
    let observers = [
        tokio::spawn(watch_blocks(stack.node.clone(), seen.clone())),
        tokio::spawn(watch_pending(stack.node.clone(), seen.clone())),
        tokio::spawn(bare_client(
            stack.node.clone(),
            stack.config.indexer.poll_ms,
            purses,
            stack.chain()?.id,
            peer.clone(),
        )),
    ];
    pay(&stack, &issued, seed).await?;
    let since = Instant::now();
    let settled = loop {
        let settled = settlements(&stack).await?;
        if settled.len() >= issued.len() || since.elapsed() > PATIENCE {
            break settled;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    for observer in &observers {
        if observer.is_finished() {
            return Err("an observer has stopped: the node did not answer it".into());
        }
        observer.abort();
    }
    let run = samples(&stack, &issued, &settled, &seen, &peer).await;
    stack.stop().await;
    run
}

/// Makes the invoices; their terms by deposit address.
async fn issue(stack: &Stack, invoices: usize) -> Result<HashMap<Address, InvoiceTerms>, Failure> {
    let http = reqwest::Client::new();
    let url = format!("{}/api/invoices/create", stack.api_url());
    let mut issued = HashMap::with_capacity(invoices);
    for number in 0..invoices {
        let body = json!({"tenant_id": TENANT, "amount": 1, "currency": "USD", "description": format!("bill {number}"),
            "wallet_mode": "ephemeral", "wallet_ttl": 86400});
        let answer = http.post(&url).bearer_auth(&stack.api_key).json(&body).send().await?.error_for_status()?;
        let answer: Value = answer.json().await?;
        let terms: InvoiceTerms = serde_json::from_value(answer["terms"][0]["terms"].clone())?;
        let address = answer["wallet"]["addresses"]["base"].as_str().ok_or("an answer without address")?;
        issued.insert(address.parse()?, terms);
    }
    eprintln!("latency: {invoices} invoices made");
    Ok(issued)
}

/// Pays each invoice once, at its time.
async fn pay(stack: &Stack, issued: &HashMap<Address, InvoiceTerms>, seed: u64) -> Result<(), Failure> {
    let (mut random, chain) = (Seeded::new(seed), stack.chain()?);
    let mut times: Vec<u64> = issued.iter().map(|_| random.below(SPREAD.as_millis() as u64)).collect();
    times.sort_unstable();
    let mut purses: Vec<Address> = issued.keys().copied().collect();
    purses.sort_unstable();
    let customer = PrivateKeySigner::from_bytes(&Cast::key(Cast::CUSTOMER))?;
    let nonce = stack.node.provider().get_transaction_count(customer.address()).await?;
    let began = Instant::now();
    for ((purse, millis), nonce) in purses.into_iter().zip(times).zip(nonce..) {
        let input = IERC20::transferCall { to: purse, value: U256::from(AMOUNT) }.abi_encode().into();
        let (raw, _) = sign(&customer, chain.id, nonce, chain.token, input, 100_000)?;
        tokio::time::sleep(Duration::from_millis(millis).saturating_sub(began.elapsed())).await;
        let _ = stack.node.provider().send_raw_transaction(&raw).await?;
    }
    eprintln!("latency: all paid after {} s", began.elapsed().as_secs());
    Ok(())
}

fn sign(
    signer: &PrivateKeySigner,
    chain_id: u64,
    nonce: u64,
    to: Address,
    input: Bytes,
    gas_limit: u64,
) -> Result<(Vec<u8>, B256), Failure> {
    let mut transaction = TxEip1559 {
        chain_id,
        nonce,
        gas_limit,
        max_fee_per_gas: 10_000_000_000,
        max_priority_fee_per_gas: 1_000_000,
        to: TxKind::Call(to),
        input,
        ..TxEip1559::default()
    };
    let signature = signer.sign_transaction_sync(&mut transaction)?;
    let envelope = TxEnvelope::from(transaction.into_signed(signature));
    Ok((envelope.encoded_2718(), *envelope.tx_hash()))
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

fn noted(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn watch_blocks(node: Node, seen: Arc<Mutex<Seen>>) -> Result<(), Failure> {
    let mut tip = node.provider().get_block_number().await?;
    loop {
        let asked = now();
        let number = node.provider().get_block_number().await?;
        for block in tip + 1..=number {
            // The poll before this one had ended without it.
            noted(&seen).blocks.entry(block).or_insert(asked);
        }
        tip = number;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn watch_pending(node: Node, seen: Arc<Mutex<Seen>>) -> Result<(), Failure> {
    let watched = [Cast::KEEPER, Cast::STRANGER].map(Cast::address);
    loop {
        let pool = node.rpc("txpool_content", json!([])).await?;
        let at = now();
        for (account, transactions) in pool["pending"].as_object().into_iter().flatten() {
            if !account.parse().is_ok_and(|account| watched.contains(&account)) {
                continue;
            }
            for transaction in transactions.as_object().into_iter().flat_map(|all| all.values()) {
                if let Some(Ok(hash)) = transaction["hash"].as_str().map(str::parse) {
                    noted(&seen).pending.entry(hash).or_insert(at);
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The least: sees a block, reads its logs, looks addresses up in memory, signs, sends. Remembers nothing, proves nothing.
async fn bare_client(
    node: Node,
    poll_ms: u64,
    purses: HashSet<Address>,
    chain: u64,
    sent: Arc<Mutex<HashMap<u64, B256>>>,
) -> Result<(), Failure> {
    let signer = PrivateKeySigner::from_bytes(&Cast::key(Cast::STRANGER))?;
    let mut nonce = node.provider().get_transaction_count(signer.address()).await?;
    let mut tip = node.provider().get_block_number().await?;
    loop {
        tokio::time::sleep(Duration::from_millis(poll_ms)).await;
        let number = node.provider().get_block_number().await?;
        for number in tip + 1..=number {
            let block = node.provider().get_block_by_number(number.into()).await?.ok_or("a block is missing")?;
            let topics = vec![IERC20::Transfer::SIGNATURE_HASH, IInvoiceEscrow::Recorded::SIGNATURE_HASH];
            let filter = Filter::new().at_block_hash(block.header.hash).event_signature(topics);
            let logs = node.provider().get_logs(&filter).await?;
            let ours = |log: &alloy::rpc::types::Log| {
                IERC20::Transfer::decode_log_data(log.data()).is_ok_and(|transfer| purses.contains(&transfer.to))
            };
            if logs.iter().any(ours) {
                let input = Bytes::from(vec![0xff; 68]);
                let (raw, hash) = sign(&signer, chain, nonce, signer.address(), input, 60_000)?;
                let _ = node.provider().send_raw_transaction(&raw).await?;
                nonce += 1;
                sent.lock().unwrap_or_else(PoisonError::into_inner).insert(number, hash);
            }
        }
        tip = number;
    }
}

/// Block and transaction of every settlement on the chain, by terms.
async fn settlements(stack: &Stack) -> Result<HashMap<B256, Vec<(u64, B256)>>, Failure> {
    let topic = IInvoiceEscrow::Recorded::SIGNATURE_HASH;
    let filter = Filter::new().from_block(0).address(stack.chain()?.escrow).event_signature(topic);
    let mut settled: HashMap<B256, Vec<(u64, B256)>> = HashMap::new();
    for log in stack.node.provider().get_logs(&filter).await? {
        let event = IInvoiceEscrow::Recorded::decode_log_data(log.data())?;
        if let (1, Some(block), Some(hash)) = (event.kind, log.block_number, log.transaction_hash) {
            settled.entry(event.termsHash).or_default().push((block, hash));
        }
    }
    Ok(settled)
}

async fn samples(
    stack: &Stack,
    issued: &HashMap<Address, InvoiceTerms>,
    settled: &HashMap<B256, Vec<(u64, B256)>>,
    seen: &Mutex<Seen>,
    peer: &Mutex<HashMap<u64, B256>>,
) -> Result<Run, Failure> {
    let topic = IERC20::Transfer::SIGNATURE_HASH;
    let filter = Filter::new().from_block(0).address(stack.chain()?.token).event_signature(topic);
    let mut deposits = HashMap::new();
    for log in stack.node.provider().get_logs(&filter).await? {
        let transfer = IERC20::Transfer::decode_log_data(log.data())?;
        if let (true, Some(block)) = (issued.contains_key(&transfer.to), log.block_number) {
            deposits.insert(transfer.to, block);
        }
    }
    // Our own note of the same moment: the two must agree.
    let rows: Vec<(Vec<u8>, i64)> = sqlx::query_as(
        "SELECT tx_hash, (extract(epoch FROM broadcast_at) * 1000000)::bigint FROM attempts WHERE broadcast_at IS NOT NULL",
    )
    .fetch_all(stack.store.pool())
    .await?;
    let noted_by_us: HashMap<B256, u64> = rows
        .into_iter()
        .filter_map(|(hash, at)| Some((B256::try_from(hash.as_slice()).ok()?, at.try_into().ok()?)))
        .collect();
    let seen = noted(seen);
    let peer = peer.lock().unwrap_or_else(PoisonError::into_inner);
    let mut run = Run { ours: vec![], peer: vec![], blocks: vec![] };
    let (mut missing, mut twice, mut unseen, mut apart) = (0, 0, 0, Vec::new());
    for (purse, terms) in issued {
        let all = settled.get(&terms.hash()).map(Vec::as_slice).unwrap_or_default();
        let (Some(deposit), [(block, hash)]) = (deposits.get(purse), all) else {
            if all.len() > 1 {
                twice += 1
            } else {
                missing += 1
            };
            continue;
        };
        run.blocks.push(block.saturating_sub(*deposit));
        let Some(began) = seen.blocks.get(deposit) else { continue };
        let (pooled, noted) = (seen.pending.get(hash).copied(), noted_by_us.get(hash).copied());
        if let (Some(pooled), Some(noted)) = (pooled, noted) {
            apart.push(pooled.abs_diff(noted));
        }
        // Taken by a block between two looks at the pool: then our own note counts.
        unseen += usize::from(pooled.is_none());
        run.ours.extend(pooled.or(noted).map(|at| at.saturating_sub(*began)));
        let sent = peer.get(deposit).and_then(|hash| seen.pending.get(hash));
        run.peer.extend(sent.map(|at| at.saturating_sub(*began)));
    }
    if missing + twice > 0 {
        return Err(format!("{missing} invoices are not settled, {twice} are settled twice").into());
    }
    for list in [&mut run.ours, &mut run.peer, &mut run.blocks, &mut apart] {
        list.sort_unstable();
    }
    eprintln!(
        "latency: ours p50 {} p99 {} µs of {}; peer p50 {} p99 {} µs of {}; pool and Postgres are {} µs apart (median); \
         {unseen} not seen in the pool; settled after {} blocks (most {})",
        at(&run.ours, 50),
        at(&run.ours, 99),
        run.ours.len(),
        at(&run.peer, 50),
        at(&run.peer, 99),
        run.peer.len(),
        at(&apart, 50),
        at(&run.blocks, 50),
        at(&run.blocks, 100),
    );
    Ok(run)
}
