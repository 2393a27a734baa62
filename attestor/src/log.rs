//! The attestor's own log: a file that only grows, one line for each decision, each line chained to the one before by its hash.
//!
//! A signature leaves this process only after the line that has it is on disk. So what was signed is known here whatever
//! becomes of Postgres, and nothing is signed twice. Whoever takes a line out, or changes one, breaks the chain, and the
//! attestor does not start; whoever takes the last lines away makes it forget, which is why the file belongs on a disk of its
//! own, and copies of it elsewhere.

use crate::Error;
use alloy_primitives::{B256, Bytes};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use terms::{Account, DepositAttestation, ReserveAttestation};

/// One decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case", deny_unknown_fields)]
pub enum Entry {
    /// The first line: whose log it is.
    Opened {
        /// The key's account.
        signer: String,
    },
    /// An attestation of a deposit was signed.
    Signed {
        /// Which of the deposit's orders.
        attempt: u32,
        /// The gate's chain.
        chain: u64,
        /// The gate.
        gate: String,
        /// What was signed.
        attestation: DepositAttestation,
        /// 65 bytes.
        signature: Bytes,
        /// What it rests on, for people.
        saw: serde_json::Value,
    },
    /// It was not signed.
    Refused {
        /// The deposit.
        deposit_id: B256,
        /// Which of its orders.
        attempt: u32,
        /// Why.
        reason: String,
        /// What that rests on, for people.
        saw: serde_json::Value,
    },
    /// A statement about the reserve was signed.
    ReserveSigned {
        /// The gate's chain.
        chain: u64,
        /// The gate.
        gate: String,
        /// What was signed.
        attestation: ReserveAttestation,
        /// 65 bytes.
        signature: Bytes,
        /// What it rests on, for people.
        saw: serde_json::Value,
    },
    /// It was not signed.
    ReserveRefused {
        /// The gate's chain.
        chain: u64,
        /// The statement's number.
        nonce: u64,
        /// Why.
        reason: String,
        /// What that rests on, for people.
        saw: serde_json::Value,
    },
}

/// A line of the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    /// From 0, without holes.
    seq: u64,
    /// The hash of the line before; zero before the first.
    prev: B256,
    /// The decision, as bytes: what is hashed is what is written.
    entry: Box<RawValue>,
    /// SHA-256 over the three.
    hash: B256,
}

fn hash(seq: u64, prev: B256, entry: &str) -> B256 {
    let mut hasher = Sha256::new();
    hasher.update(b"monay:attestor-log:v1");
    hasher.update(seq.to_be_bytes());
    hasher.update(prev);
    hasher.update(entry.as_bytes());
    B256::new(hasher.finalize().into())
}

/// An attestation that was signed with this key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedDeposit {
    /// Which of the deposit's orders.
    pub attempt: u32,
    /// The gate's chain.
    pub chain: u64,
    /// The gate.
    pub gate: String,
    /// What was signed.
    pub attestation: DepositAttestation,
    /// 65 bytes.
    pub signature: Bytes,
}

/// Everything that was signed with this key, as the log has it.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// By deposit, the first first.
    pub deposits: BTreeMap<B256, Vec<SignedDeposit>>,
    /// By chain, the first first, each with its signature.
    pub reserves: BTreeMap<u64, Vec<(ReserveAttestation, Bytes)>>,
    /// What was refused last, so that the same is not written again and again.
    refused: BTreeSet<(B256, u32, String)>,
}

impl History {
    fn take(&mut self, entry: Entry) {
        match entry {
            Entry::Signed { attempt, chain, gate, attestation, signature, .. } => {
                let signed = SignedDeposit { attempt, chain, gate, attestation, signature };
                self.deposits.entry(signed.attestation.deposit_id).or_default().push(signed);
            }
            Entry::ReserveSigned { chain, attestation, signature, .. } => {
                self.reserves.entry(chain).or_default().push((attestation, signature));
            }
            Entry::Refused { deposit_id, attempt, reason, .. } => {
                self.refused.insert((deposit_id, attempt, reason));
            }
            Entry::Opened { .. } | Entry::ReserveRefused { .. } => {}
        }
    }

    /// What was signed of a deposit.
    pub fn of(&self, deposit_id: B256) -> &[SignedDeposit] {
        self.deposits.get(&deposit_id).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether this refusal is in the log.
    pub fn has_refused(&self, deposit_id: B256, attempt: u32, reason: &str) -> bool {
        self.refused.contains(&(deposit_id, attempt, reason.to_owned()))
    }
}

/// The file, held by this process alone.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: File,
    seq: u64,
    last: B256,
    /// A write that failed leaves nobody knows what: nothing more is written before the file was read again.
    broken: bool,
    history: History,
}

impl Log {
    /// Opens the log of this signer, or begins it, and reads all of it. A last line that was not written whole is taken off:
    /// what it would have said never left.
    pub fn open(path: &Path, signer: Account) -> Result<Self, Error> {
        let io = |error: std::io::Error| Error::Log { path: path.to_owned(), why: error.to_string() };
        let bad = |why: String| Error::Log { path: path.to_owned(), why };
        let is_new = !path.exists();
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(bad("another process has it open: one log, one attestor".into()));
            }
            Err(TryLockError::Error(error)) => return Err(io(error)),
        }
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(io)?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        if whole < text.len() {
            tracing::warn!(path = %path.display(), bytes = text.len() - whole, "the last line of the log was not written whole; taking it off");
            text.truncate(whole);
            file.set_len(u64::try_from(whole).unwrap_or(u64::MAX)).map_err(io)?;
            file.seek(SeekFrom::End(0)).map_err(io)?;
            file.sync_all().map_err(io)?;
        }
        let text = String::from_utf8(text).map_err(|error| bad(format!("it is not text: {error}")))?;
        let mut log =
            Self { path: path.to_owned(), file, seq: 0, last: B256::ZERO, broken: false, history: History::default() };
        for (at, line) in text.lines().enumerate() {
            let wrong = |why: String| {
                bad(format!(
                    "line {}: {why}. Put the file back as it was: what was signed must not be forgotten",
                    at + 1
                ))
            };
            let line: Line = serde_json::from_str(line).map_err(|error| wrong(error.to_string()))?;
            if line.seq != log.seq || line.prev != log.last || line.hash != hash(line.seq, line.prev, line.entry.get())
            {
                return Err(wrong("the chain of hashes is broken".into()));
            }
            let entry: Entry = serde_json::from_str(line.entry.get()).map_err(|error| wrong(error.to_string()))?;
            if let Entry::Opened { signer: of } = &entry
                && *of != signer.to_string()
            {
                return Err(wrong(format!(
                    "it is the log of {of}, and the key is {signer}'s: each key has a log of its own"
                )));
            }
            log.history.take(entry);
            (log.seq, log.last) = (line.seq + 1, line.hash);
        }
        if log.seq == 0 {
            log.append(Entry::Opened { signer: signer.to_string() })?;
        }
        if is_new && let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            // The name of a new file is its directory's.
            File::open(parent).and_then(|directory| directory.sync_all()).map_err(io)?;
        }
        Ok(log)
    }

    /// Writes a decision, and returns when it is on disk.
    pub fn append(&mut self, entry: Entry) -> Result<(), Error> {
        let failed = |why: String| Error::Log { path: self.path.clone(), why };
        if self.broken {
            return Err(failed("a line could not be written; start the attestor again".into()));
        }
        let text = serde_json::to_string(&entry).map_err(|error| failed(error.to_string()))?;
        let hash = hash(self.seq, self.last, &text);
        let raw = RawValue::from_string(text).map_err(|error| failed(error.to_string()))?;
        let line = Line { seq: self.seq, prev: self.last, entry: raw, hash };
        let mut line = serde_json::to_vec(&line).map_err(|error| failed(error.to_string()))?;
        line.push(b'\n');
        if let Err(error) = self.file.write_all(&line).and_then(|()| self.file.sync_data()) {
            self.broken = true;
            return Err(Error::Log { path: self.path.clone(), why: error.to_string() });
        }
        (self.seq, self.last) = (self.seq + 1, hash);
        self.history.take(entry);
        Ok(())
    }

    /// What was signed.
    pub fn history(&self) -> &History {
        &self.history
    }
}
