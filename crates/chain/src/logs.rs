//! What a block's logs mean, and whether a node told of all of them.

use crate::Logs;
use alloy::rpc::types::Log;
use alloy_primitives::{Address, B256, Bloom, BloomInput};
use alloy_sol_types::SolEvent;
use domain::block::{About, Meaning, OddLog, RawLog};
use domain::project::Recorded;
use terms::abi::{IERC20, IInvoiceEscrow, IMintGate};

/// The topics we ask for: a token says that it moved, the escrow has recorded something, a gate has paid or burned.
pub(crate) const TOPICS: [B256; 4] = [
    IERC20::Transfer::SIGNATURE_HASH,
    IInvoiceEscrow::Recorded::SIGNATURE_HASH,
    IMintGate::Minted::SIGNATURE_HASH,
    IMintGate::Redeemed::SIGNATURE_HASH,
];

/// Words of a log that are looked at for the address of a purse, when it cannot be read as it should.
const MAX_WORDS: usize = 8;

/// What an answer looks like beside the header of its block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nothing speaks against it.
    Whole,
    /// Nothing at all, in a block whose header promises transfers.
    LacksTransfers,
    /// Nothing of the escrow or of a gate, in a block whose header promises an event of it.
    LacksOurs,
}

/// A bloom filter never denies what is there, and affirms by chance what is not, often in a full block: a short answer
/// beside it is a reason to ask again, and no proof.
pub(crate) fn weigh(logs: &[Log], bloom: &Bloom, escrow: Address) -> Answer {
    let promises = |word: &[u8]| bloom.contains_input(BloomInput::Raw(word));
    let ours = |log: &Log| log.address() == escrow && log.topic0() == Some(&TOPICS[1]);
    let minted = |log: &Log| log.topic0() == Some(&TOPICS[2]);
    let promises_ours = promises(escrow.as_slice()) && promises(TOPICS[1].as_slice());
    // A gate's event comes with one of the escrow. A deposit of which nobody told that it was minted would be taken for free.
    let lacks_minted = promises(TOPICS[2].as_slice()) && !logs.iter().any(minted);
    if promises_ours && (!logs.iter().any(ours) || lacks_minted) {
        Answer::LacksOurs
    } else if logs.is_empty() && promises(TOPICS[0].as_slice()) {
        Answer::LacksTransfers
    } else {
        Answer::Whole
    }
}

/// Sorts logs into what can be understood, what should be and cannot, and what is nobody's.
pub(crate) fn read(logs: &[Log], escrow: Address) -> Logs {
    let mut sorted = Logs::default();
    for log in logs {
        match meaning(log, escrow) {
            Ok(Some((raw, meaning))) => sorted.read.push((raw, meaning)),
            Ok(None) => {}
            Err(why) => sorted.odd.push(odd(log, escrow, why)),
        }
    }
    sorted
}

/// What a log means to us, if anything, or why that cannot be said. `Recorded` counts only from our escrow: anyone can
/// emit its bytes.
fn meaning(log: &Log, escrow: Address) -> Result<Option<(RawLog, Meaning)>, String> {
    let meaning = match log.topic0() {
        Some(&IERC20::Transfer::SIGNATURE_HASH) => transfer(log)?,
        Some(&IInvoiceEscrow::Recorded::SIGNATURE_HASH) if log.address() == escrow => recorded(log)?,
        // Whose gate it is knows whoever has the list of them.
        Some(&IMintGate::Minted::SIGNATURE_HASH) => minted(log)?,
        Some(&IMintGate::Redeemed::SIGNATURE_HASH) => redeemed(log)?,
        _ => return Ok(None),
    };
    if log.removed {
        return Err("the node says it was removed, in a block that it has".to_owned());
    }
    let index = log.log_index.ok_or("it has no index")?;
    let tx_hash = log.transaction_hash.ok_or("it has no transaction")?;
    let raw = RawLog {
        index,
        tx_hash: tx_hash.into(),
        address: log.address().into(),
        topics: log.topics().to_vec(),
        data: log.data().data.to_vec(),
    };
    Ok(Some((raw, meaning)))
}

fn transfer(log: &Log) -> Result<Meaning, String> {
    let (topics, bytes) = (log.topics().len(), log.data().data.len());
    if (topics, bytes) != (3, 32) {
        return Err(format!("a Transfer with {topics} topics and {bytes} bytes is not one of an ERC-20"));
    }
    let transfer = IERC20::Transfer::decode_log_data(log.data()).map_err(|error| error.to_string())?;
    Ok(Meaning::Transfer { from: transfer.from.into(), to: transfer.to.into(), amount: transfer.value })
}

fn recorded(log: &Log) -> Result<Meaning, String> {
    let event = IInvoiceEscrow::Recorded::decode_log_data_validate(log.data()).map_err(|error| error.to_string())?;
    if Recorded::from_kind(event.kind).is_none() {
        return Err(format!("kind {} is none that we know", event.kind));
    }
    Ok(Meaning::Recorded {
        terms_hash: event.termsHash,
        kind: event.kind,
        token: event.token.into(),
        to: event.to.into(),
        amount: event.amount,
        paid: event.paid,
        status: event.status,
    })
}

fn minted(log: &Log) -> Result<Meaning, String> {
    let event = IMintGate::Minted::decode_log_data_validate(log.data()).map_err(|error| error.to_string())?;
    let (terms_hash, deposit_id) = (event.termsHash, event.depositId);
    Ok(Meaning::Minted { terms_hash, deposit_id, token: event.token.into(), amount: event.amount })
}

fn redeemed(log: &Log) -> Result<Meaning, String> {
    let event = IMintGate::Redeemed::decode_log_data_validate(log.data()).map_err(|error| error.to_string())?;
    Ok(Meaning::Redeemed { terms_hash: event.termsHash, token: event.token.into(), amount: event.amount })
}

fn odd(log: &Log, escrow: Address, why: String) -> OddLog {
    let about = if log.address() == escrow && log.topic0() == Some(&TOPICS[1]) {
        About::Escrow
    } else {
        let words = log.topics().iter().skip(1).map(|topic| topic.0);
        let words = words.chain(log.data().data.chunks_exact(32).filter_map(|word| word.try_into().ok()));
        let words = words.take(MAX_WORDS).map(B256::new);
        About::Purses(
            words.filter(|word| word.starts_with(&[0; 12])).map(|word| Address::from_word(word).into()).collect(),
        )
    };
    OddLog {
        index: log.log_index,
        tx_hash: log.transaction_hash.map(Into::into),
        address: log.address().into(),
        topics: log.topics().to_vec(),
        data: log.data().data.to_vec(),
        about,
        why,
    }
}
