//! Places where a test may kill a service, and bugs it may seed on purpose: a test of a promise about crashes is worth
//! something only if a service that breaks the promise makes it fail.
//!
//! Nothing of this is in a build without debug assertions.

/// Where the process may be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// The bytes are signed, nothing is committed.
    BeforeCommit,
    /// The signed bytes are committed; the node has not heard of them.
    AfterCommitBeforeBroadcast,
    /// The node has them; nobody has noted it.
    AfterBroadcastBeforeRecord,
    /// It is noted that the node has them.
    AfterRecord,
    /// A transaction with higher fees is committed under a nonce that had one; the node has not heard of it.
    AfterReplacementBeforeBroadcast,
    /// A transaction is in a finalized block; that it is closed is not committed.
    BeforeCloseCommit,
    /// It is committed that a transaction is closed.
    AfterClose,
    /// Blocks and everything that follows from them are written; nothing is committed.
    BeforeBlockCommit,
    /// They are committed; the indexer has not gone on.
    AfterBlockCommit,
    /// In a re-org: the blocks that went are taken off, those that came are not there yet.
    BetweenUndoAndAppend,
    /// In a rebuild: everything is taken away, and half of it is there again.
    InRebuild,
    /// An attestor has signed, and its log does not have it yet.
    BeforeAttestorLog,
    /// Its log has it; nobody has heard of it.
    AfterAttestorLog,
    /// That a payment is handed in is committed; the provider has not heard of it.
    AfterCommitBeforeCollect,
    /// The provider has answered; nobody has noted it.
    AfterCollectBeforeCommit,
    /// What a request asked for is committed; its caller has not heard of it.
    AfterCommitBeforeAnswer,
}

/// A bug that a test may seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// Send first, commit afterwards: what every relayer does that loses track of what it sent.
    SendBeforeCommit,
    /// Take any answer but "taken" for a failure, and try again under a new nonce.
    UnknownIsFailed,
    /// Ask the machine's clock instead of the chain's.
    WallClock,
    /// Give a signature away first, write it down afterwards: an attestor that forgets what it signed.
    SignBeforeLog,
}

/// The environment variable that names the [`Point`] to die at.
pub const CRASH_VARIABLE: &str = "FAULT_CRASH_AT";

/// The environment variable that names the [`Bug`] to have.
pub const BUG_VARIABLE: &str = "FAULT_BUG";

/// Dies here by SIGKILL, if this is the point that was asked for: no destructor runs, nothing is flushed.
#[cfg(debug_assertions)]
pub fn crash(point: Point) {
    if std::env::var(CRASH_VARIABLE).is_ok_and(|name| name == format!("{point:?}")) {
        // Only another process can send it without unsafe code. This thread waits for it.
        let _ = std::process::Command::new("kill").args(["-KILL", &std::process::id().to_string()]).status();
        std::process::abort();
    }
}

/// Whether the bug was asked for.
#[cfg(debug_assertions)]
pub fn seeded(bug: Bug) -> bool {
    std::env::var(BUG_VARIABLE).is_ok_and(|name| name == format!("{bug:?}"))
}

/// Nothing, in a release build.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn crash(_: Point) {}

/// Never, in a release build.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn seeded(_: Bug) -> bool {
    false
}
