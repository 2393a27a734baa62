//! Trying, sending, and what has become of it.

use crate::solana::rpc::{AsOf, Base58, Commitment, Config, Failure, Rpc};
use crate::solana::{transaction, wording};
use crate::{Error, Sent, Simulated};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use solana_message::Message;

/// The most compute units a transaction may have.
pub const MAX_UNITS: u32 = 1_400_000;

/// How many blocks a block hash is good for.
const LIFE: u64 = 150;

/// What signing needs from the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// A recent block: without it no transaction lands twice, or late.
    pub blockhash: [u8; 32],
    /// The last block height at which a transaction with it can land.
    pub last_valid_height: u64,
}

/// What has become of signed bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// They may still land.
    MayLand,
    /// A block has them. What they did the block says, and whether it stays.
    Landed(u64),
    /// They are in no block and no block can have them any more: only now may the same be signed again.
    Dead,
    /// Nobody can say; why. Never the same as dead.
    Unknown(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Latest {
    blockhash: Base58<32>,
    last_valid_block_height: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RecentFee {
    prioritization_fee: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tried {
    err: Option<Value>,
    units_consumed: Option<u64>,
}

#[derive(Deserialize)]
struct Status {
    slot: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Epoch {
    absolute_slot: u64,
    block_height: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Height {
    block_height: Option<u64>,
}

/// What signing needs now. The hash is of a confirmed block: it lives 32 blocks longer than one of a finalized block, and
/// should its fork ever be left, what goes with it is a transaction of ours, no money.
pub async fn prepare(rpc: &Rpc) -> Result<Prepared, Error> {
    let commitment = Commitment::Confirmed;
    let latest: AsOf<Latest> = rpc.call("getLatestBlockhash", [Config { commitment }]).await?;
    let Latest { blockhash, last_valid_block_height } = latest.value;
    Ok(Prepared { blockhash: blockhash.0, last_valid_height: last_valid_block_height })
}

/// What recent blocks were content with for each compute unit, in millionths of a lamport. How much of it is paid is up to the
/// caller.
pub async fn recent_price(rpc: &Rpc) -> Result<u64, Error> {
    let fees: Vec<RecentFee> = rpc.call("getRecentPrioritizationFees", [Vec::<String>::new()]).await?;
    Ok(price(fees.into_iter().map(|fee| fee.prioritization_fee).collect()))
}

/// What three of four would have been content with.
fn price(mut fees: Vec<u64>) -> u64 {
    fees.sort_unstable();
    let at = (fees.len() * 3 / 4).min(fees.len().saturating_sub(1));
    fees.get(at).copied().unwrap_or(0)
}

/// What a message would do if it came next; with how many compute units. Nothing is signed for it.
pub async fn simulate(rpc: &Rpc, message: &Message) -> Result<Simulated, Error> {
    let raw = STANDARD.encode(transaction::unsigned(message)?);
    let config = json!({
        "commitment": Commitment::Confirmed,
        "encoding": "base64",
        "replaceRecentBlockhash": true,
        "sigVerify": false,
    });
    match rpc.ask::<AsOf<Tried>>("simulateTransaction", (raw, config)).await {
        Ok(AsOf { value: Tried { err: Some(err), .. }, .. }) => Ok(Simulated::Reverts(wording::in_words(&err))),
        Ok(AsOf { value: Tried { units_consumed: Some(units), .. }, .. }) => Ok(Simulated::Works(units)),
        Ok(_) => Err(Error::Nonsense("a simulation that does not say what it used".to_owned())),
        Err(failure) => Err(failure.into()),
    }
}

/// The limit for what used so many units in a simulation: a tenth more, because state may have changed a little by the time
/// the transaction lands, and what the instructions that set limit and price cost themselves.
pub fn unit_limit(simulated: u64) -> u32 {
    let limit = simulated.saturating_add(simulated / 10).saturating_add(1_000);
    u32::try_from(limit).unwrap_or(MAX_UNITS).min(MAX_UNITS)
}

/// Offers signed bytes to the node. It is not asked to try them first, which we have done, nor to offer them again, which we do
/// as long as they may land.
pub async fn send(rpc: &Rpc, raw: &[u8]) -> Sent {
    let config = json!({"encoding": "base64", "maxRetries": 0, "skipPreflight": true});
    match rpc.ask::<String>("sendTransaction", (STANDARD.encode(raw), config)).await {
        Ok(_) => Sent::Taken,
        Err(Failure::Refused(refusal)) => wording::refusal(&refusal),
        Err(Failure::Unreachable(why) | Failure::Nonsense(why)) => Sent::Unknown(why),
    }
}

/// What has become of a transaction that could land up to `last_valid_height`. The order of the questions is part of the
/// proof: first that its time is over in the finalized chain, then that it is not there, then that the node would know.
pub async fn fate(rpc: &Rpc, signature: &[u8; 64], last_valid_height: u64) -> Result<Fate, Error> {
    let end: Epoch = rpc.call("getEpochInfo", [Config { commitment: Commitment::Finalized }]).await?;
    if end.block_height <= last_valid_height {
        return Ok(Fate::MayLand);
    }
    let name = bs58::encode(signature).into_string();
    let search = json!({"searchTransactionHistory": true});
    let statuses = match rpc.ask::<AsOf<Vec<Option<Status>>>>("getSignatureStatuses", ([name], search)).await {
        Ok(statuses) => statuses,
        // "Transaction history is not available from this node", for one.
        Err(Failure::Refused(refusal)) => return Ok(Fate::Unknown(Error::from(Failure::Refused(refusal)).to_string())),
        Err(failure) => return Err(failure.into()),
    };
    match statuses.value.first() {
        Some(Some(status)) => return Ok(Fate::Landed(status.slot)),
        Some(None) => {}
        None => return Err(Error::Nonsense("no status for a signature".to_owned())),
    }
    if statuses.context.slot < end.absolute_slot {
        let (at, behind) = (end.absolute_slot, statuses.context.slot);
        return Ok(Fate::Unknown(format!("the node that was asked is at slot {behind}, and {at} is final already")));
    }
    // Asked last: history only ever gets shorter, so what reaches back now did so when the signature was looked for.
    let first: u64 = rpc.call("getFirstAvailableBlock", ()).await?;
    let config = json!({"maxSupportedTransactionVersion": 0, "rewards": false, "transactionDetails": "none"});
    let height = match rpc.ask::<Option<Height>>("getBlock", (first, config)).await {
        Ok(block) => block.and_then(|block| block.block_height),
        Err(Failure::Refused(_)) => None,
        Err(failure) => return Err(failure.into()),
    };
    Ok(match height {
        Some(height) if height <= last_valid_height.saturating_sub(LIFE) => Fate::Dead,
        Some(_) => {
            Fate::Unknown(format!("the node's history begins at slot {first}, after the signature could have landed"))
        }
        None => Fate::Unknown(format!("the node does not show slot {first}, where it says its history begins")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_price_is_what_three_of_four_recent_blocks_were_content_with() {
        for (fees, expected) in [
            (vec![], 0),
            (vec![0, 0, 0], 0),
            (vec![7], 7),
            (vec![4, 1, 3, 2], 4),
            (vec![5, 1, 3, 2, 4, 6, 7, 8], 7),
            (vec![0, 0, 0, 0, 0, 0, 0, 900], 0),
        ] {
            assert_eq!(price(fees.clone()), expected, "{fees:?}");
        }
    }

    proptest! {
        #[test]
        fn a_limit_is_above_what_was_used_and_never_above_what_a_transaction_may_use(units: u64) {
            let limit = unit_limit(units);
            prop_assert!(limit <= MAX_UNITS && (u64::from(limit) > units || limit == MAX_UNITS));
        }
    }
}
