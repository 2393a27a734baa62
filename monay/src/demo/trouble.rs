//! Bad luck while the stories play: re-orgs, and services killed. A story that ends as it does without has shown that neither
//! matters.

use crate::Error;
use crate::services::Service;
use crate::stack::{Cast, Stack};
use alloy_primitives::Address;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Nothing.
    None,
    /// Re-orgs of so many blocks.
    Reorgs(u64),
    /// Services are killed.
    Kills,
}

/// When, after a story has begun: while the invoice is made, while its money is young, while its settlement is.
const REORG_AT: [Duration; 3] =
    [Duration::from_millis(1_000), Duration::from_millis(3_200), Duration::from_millis(6_000)];

/// How often each service is killed in a story, and how long it is left alone in between.
const ROUNDS: usize = 2;
const PAUSE: Duration = Duration::from_millis(300);

/// A clock that was moved on is moved back by a re-org of the block that moved it, and the story would wait for ever: blocks
/// whose times are further apart than this, in seconds, are left alone until they are too deep.
const JUMP: u64 = 60;

/// What went wrong in one story.
#[derive(Debug, Default, Serialize)]
pub(super) struct Suffered {
    /// Re-orgs.
    pub(super) reorgs: u64,
    /// How many blocks each replaced.
    pub(super) depth: u64,
    /// Transactions of ours that were in the replaced blocks and not in those that came.
    pub(super) dropped: usize,
    /// How often each service was killed.
    pub(super) kills: BTreeMap<&'static str, usize>,
}

impl Suffered {
    /// In words; nothing where nothing happened.
    pub(super) fn words(&self) -> String {
        let kills: usize = self.kills.values().sum();
        match (self.reorgs, kills) {
            (0, 0) => String::new(),
            (0, kills) => format!("through {kills} kills"),
            (reorgs, _) => {
                format!(
                    "through {reorgs} re-orgs of {} blocks, {} transactions of ours dropped",
                    self.depth, self.dropped
                )
            }
        }
    }
}

impl Trouble {
    /// Makes trouble until `done`, or until there was enough; leaves everything running.
    pub(super) async fn make(self, stack: &Stack, done: &AtomicBool) -> Result<Suffered, Error> {
        let mut suffered = Suffered::default();
        match self {
            Self::None => {}
            Self::Reorgs(depth) => {
                let since = Instant::now();
                suffered.depth = depth;
                for at in REORG_AT {
                    while since.elapsed() < at && !done.load(Ordering::Relaxed) {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    if let Some(dropped) = reorg(stack, depth, done).await? {
                        suffered.reorgs += 1;
                        suffered.dropped += dropped;
                    }
                }
            }
            Self::Kills => {
                for _ in 0..ROUNDS {
                    for service in Service::ALL {
                        if done.load(Ordering::Relaxed) {
                            return Ok(suffered);
                        }
                        stack.kill(service).await;
                        stack.run(service, &[]).await?;
                        *suffered.kills.entry(service.name()).or_default() += 1;
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        }
        Ok(suffered)
    }
}

/// One re-org, as they are: transactions of strangers come back in other blocks, in their order; ours do not, and are gone from
/// the pool too. How many of ours that were; `None` where the story was done before.
async fn reorg(stack: &Stack, depth: u64, done: &AtomicBool) -> Result<Option<usize>, Error> {
    loop {
        // Right after a block, so that none comes between looking and doing.
        let before = stack.node.block("latest").await?.0;
        while stack.node.block("latest").await?.0 == before {
            if done.load(Ordering::Relaxed) {
                return Ok(None);
            }
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        let blocks = last_blocks(stack, depth).await?;
        let times: Vec<u64> = blocks.iter().map(|block| number(&block["timestamp"])).collect();
        if times.windows(2).any(|pair| pair[1].saturating_sub(pair[0]) > JUMP) {
            continue;
        }
        let (mut theirs, mut dropped) = (Vec::new(), 0);
        // The parent of the first block that is replaced comes first in the list, and stays.
        for (at, block) in blocks.iter().skip(1).enumerate() {
            for tx in block["transactions"].as_array().into_iter().flatten() {
                if ours(&tx["from"]) {
                    dropped += 1;
                } else {
                    let raw = stack.node.rpc("eth_getRawTransactionByHash", json!([tx["hash"]])).await?;
                    let later = u64::try_from(at).unwrap_or(0).saturating_add(1).min(depth - 1);
                    theirs.push(json!([raw, later]));
                }
            }
        }
        stack.node.rpc("anvil_reorg", json!([depth, theirs])).await?;
        return Ok(Some(dropped));
    }
}

/// The last `depth` blocks and the one before them, with their transactions, in order.
async fn last_blocks(stack: &Stack, depth: u64) -> Result<Vec<Value>, Error> {
    let tip = stack.node.block("latest").await?.0;
    let mut blocks = Vec::new();
    for number in tip.saturating_sub(depth)..=tip {
        blocks.push(stack.node.rpc("eth_getBlockByNumber", json!([format!("{number:#x}"), true])).await?);
    }
    Ok(blocks)
}

fn number(hex: &Value) -> u64 {
    let digits = hex.as_str().unwrap_or_default().trim_start_matches("0x");
    u64::from_str_radix(digits, 16).unwrap_or(0)
}

fn ours(from: &Value) -> bool {
    let from: Option<Address> = from.as_str().and_then(|from| from.parse().ok());
    from.is_some_and(|from| [Cast::KEEPER, Cast::COORDINATOR].map(Cast::address).contains(&from))
}
