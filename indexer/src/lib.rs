//! Mirrors a chain into Postgres.
//!
//! Blocks are read one after the other, each proven to be the child of the one before ([`Chain::next`]); their numbers may
//! have holes. Logs are read by block. One transaction
//! holds the blocks, their logs, every invoice they concern and the checkpoint, so that a crash at any point leaves
//! either all of it or none. A re-org is one transaction too: the blocks that went and the blocks that came. What is behind
//! and what is new go the same way, so that there is no moment at which one hands over to the other.

mod rebuild;

pub use rebuild::{Compared, Rebuilt};

use alloy_primitives::B256;
use chain::{Block, Chain, Logs, Tags};
use domain::block::{Header, Observed};
use std::future::Future;
use std::time::{Duration, Instant};
use store::Store;
use store::chain::{Appended, Mirror};
use store::fault::{self, Point};
use store::projection::Stuck;
use terms::TxId;
use tokio::sync::watch;
use tracing::{debug, error, info, warn};

/// The most blocks written in one transaction.
const MAX_BLOCKS: usize = 64;

/// The most stuck invoices that are tried again with a block.
const MAX_STUCK: u32 = 20;

/// The most receipts that are asked for again in one step.
const MAX_RECEIPTS: u32 = 8;

/// How often it is said that the node is behind.
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// How long the step under way may take that is to be the last.
const DRAIN: Duration = Duration::from_secs(20);

/// How the indexer runs.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// How often the node is asked for news.
    pub poll: Duration,
}

/// What can go wrong here.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The node.
    #[error(transparent)]
    Chain(#[from] chain::Error),
    /// Postgres.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The node now says something else about a block it had called finalized.
    #[error(
        "chain {chain} has changed below its finalized block {final_}: either the node is not to be trusted or the chain \
         was replaced. Nothing was changed here. Check the node; if the chain is new, use a new database."
    )]
    FinalityBroken {
        /// Chain id.
        chain: u64,
        /// The finalized height.
        final_: u64,
    },
    /// Another chain behind the same URL.
    #[error(
        "another chain is behind the node's URL: its first block is {found}, the database mirrors the chain that began with \
         {expected}. Nothing was changed here; check the URL, and use a new database for a new chain."
    )]
    OtherGenesis {
        /// Mirrored.
        expected: B256,
        /// Found.
        found: B256,
    },
    /// The node does not have now what is mirrored, so that it cannot be read anew.
    #[error("chain {chain} cannot be read anew now: {why}. Nothing was changed.")]
    CannotRebuild {
        /// Chain id.
        chain: u64,
        /// Why.
        why: String,
    },
}

impl Error {
    /// Whether waiting cannot help.
    const fn is_fatal(&self) -> bool {
        matches!(
            self,
            Self::FinalityBroken { .. } | Self::OtherGenesis { .. } | Self::Store(store::Error::OtherChain(_))
        )
    }
}

/// What a step has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There may be more to do at once.
    Behind,
    /// The mirror has what the node has.
    Level,
    /// The node has less than the mirror: a replica that lags, or one that was rolled back. Nothing is undone, because a
    /// lagging replica must not take payments back; which of the two it is shows when it has blocks again.
    NodeBehind {
        /// The highest block it has.
        node: u64,
        /// The highest that is mirrored.
        mirror: u64,
    },
}

/// Mirrors until `shutdown` resolves. Trouble with node or database is waited out; what waiting cannot help ends it.
pub async fn run<C: Chain>(
    config: Config,
    store: Store,
    chain: C,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), Error> {
    let indexer = Indexer { store, chain };
    let (stop, stopped) = watch::channel(false);
    let told = async {
        shutdown.await;
        let _ = stop.send(true);
        tokio::time::sleep(DRAIN).await;
        warn!(seconds = DRAIN.as_secs(), "a step has not ended and is cut: nothing of it is stored");
    };
    let work = async {
        let begin = async {
            indexer.check_genesis().await?;
            indexer.introduce().await
        };
        match begin.await {
            // Told to stop before it could begin: what the node had to say does not matter any more.
            Err(_) if *stopped.borrow() => return Ok(()),
            begun => begun?,
        }
        indexer.steps(config, stopped).await
    };
    tokio::select! {
        ended = work => ended,
        () = told => Ok(()),
    }
}

impl<C: Chain> Indexer<C> {
    /// Step after step until told to stop; the one under way is finished first.
    async fn steps(&self, config: Config, mut stopped: watch::Receiver<bool>) -> Result<(), Error> {
        let chain = self.chain.id();
        let (mut quiet, mut said) = (Duration::ZERO, None::<Instant>);
        while !*stopped.borrow() {
            match self.advance().await {
                Ok(Progress::Behind) => quiet = Duration::ZERO,
                Ok(Progress::Level) => {
                    quiet = config.poll;
                    if said.take().is_some() {
                        info!(chain, "the node has caught up");
                    }
                }
                Ok(Progress::NodeBehind { node, mirror }) => {
                    quiet = config.poll;
                    if said.is_none_or(|at| at.elapsed() >= SAY_AGAIN) {
                        warn!(
                            chain,
                            node, mirror, "the node is behind the mirror: it lags or was rolled back; waiting for it"
                        );
                        said = Some(Instant::now());
                    }
                }
                Err(error) if error.is_fatal() => return Err(error),
                Err(error) => {
                    warn!(chain, %error, "no progress; trying again");
                    quiet = (quiet * 2).clamp(config.poll, Duration::from_secs(5));
                }
            }
            tokio::select! {
                biased;
                _ = stopped.changed() => {}
                () = self.chain.news(quiet) => {}
            }
        }
        Ok(())
    }
}

/// One chain's indexer.
#[derive(Clone, Debug)]
pub struct Indexer<C> {
    /// Where to.
    pub store: Store,
    /// Where from.
    pub chain: C,
}

/// A block with everything in it that matters.
struct Fetched {
    header: Header,
    logs: Logs,
    observed: Vec<Observed>,
}

impl<C: Chain> Indexer<C> {
    /// Refuses a node that serves another chain than the one in the database.
    pub async fn check_genesis(&self) -> Result<(), Error> {
        let expected = self.mirror().await?.deployed.genesis_hash;
        let found = self.chain.genesis().await?;
        if expected == found { Ok(()) } else { Err(Error::OtherGenesis { expected, found }) }
    }

    /// Says where mirror and node are.
    async fn introduce(&self) -> Result<(), Error> {
        let (mirror, tags) = (self.mirror().await?, self.chain.tags().await?);
        let at = mirror.heights;
        info!(
            chain = self.chain.id(),
            start = mirror.start,
            seen = at.seen,
            safe = at.safe,
            final_ = at.final_,
            node_seen = tags.latest.number,
            node_safe = tags.safe,
            node_final = tags.final_,
            behind = tags.latest.number.saturating_sub(at.seen),
            "indexer runs"
        );
        Ok(())
    }

    /// Takes one step towards the node's tip; whether there may be more to do at once.
    pub async fn step(&self) -> Result<bool, Error> {
        Ok(self.advance().await? == Progress::Behind)
    }

    /// Takes one step towards the node's tip.
    pub async fn advance(&self) -> Result<Progress, Error> {
        let tags = self.chain.tags().await?;
        let mirror = self.mirror().await?;
        let Some(ancestor) = self.ancestor(&mirror, &tags).await? else {
            return Ok(Progress::NodeBehind { node: tags.latest.number, mirror: mirror.heights.seen });
        };
        if ancestor.number == mirror.heights.seen && tags.latest.number <= ancestor.number {
            self.move_tags(&mirror, &tags).await?;
            self.ask_for_receipts(&mirror).await?;
            return Ok(Progress::Level);
        }
        let (mut fetched, mut parent) = (Vec::new(), ancestor);
        while fetched.len() < MAX_BLOCKS && parent.number < tags.latest.number {
            // None: the chain moved while we read it; what was read up to here still stands.
            let Some(block) = self.chain.next(&parent).await? else { break };
            parent = block.header;
            fetched.push(self.fetch(&mirror, block).await?);
        }
        if fetched.is_empty() {
            return Ok(Progress::Level);
        }
        self.write(&mirror, ancestor.number, &fetched).await?;
        let mirror = self.mirror().await?;
        self.move_tags(&mirror, &tags).await?;
        self.ask_for_receipts(&mirror).await?;
        Ok(if mirror.heights.seen < tags.latest.number { Progress::Behind } else { Progress::Level })
    }

    async fn mirror(&self) -> Result<Mirror, Error> {
        let mut db = self.store.begin().await?;
        Ok(store::chain::get(&mut db, self.chain.id()).await?)
    }

    /// The highest mirrored block at or below a number; there is one from the first mirrored block on.
    async fn mirrored(&self, mirror: &Mirror, number: u64) -> Result<Header, Error> {
        let mut db = self.store.begin().await?;
        let header = store::chain::at_or_below(&mut db, self.chain.id(), number).await?;
        let header = header.filter(|header| number != mirror.heights.seen || header.hash == mirror.tip_hash);
        Ok(header.ok_or_else(|| {
            store::Error::Corrupt(format!("block {number} is not mirrored; `monay rebuild` reads it again"))
        })?)
    }

    /// The highest mirrored block that the node still has; none while the node has less than the mirror. Whenever it has
    /// less, or something else where nothing can change any more, it may be another chain: then that is what is said.
    async fn ancestor(&self, mirror: &Mirror, tags: &Tags) -> Result<Option<Header>, Error> {
        let heights = mirror.heights;
        if tags.latest.number < heights.seen {
            self.check_genesis().await?;
            if tags.latest.number < mirror.start {
                return Ok(None);
            }
        }
        let mut ours = self.mirrored(mirror, heights.seen.min(tags.latest.number)).await?;
        // The common case, without another question: the node's tip is the child of ours.
        if tags.latest.number > heights.seen && tags.latest.parent_hash == ours.hash {
            return Ok(Some(ours));
        }
        loop {
            let there = if ours.number == tags.latest.number {
                Some(ours.hash == tags.latest.hash)
            } else {
                self.chain.has(&ours).await?
            };
            match there {
                // Below its own tip it has no block: nothing can be said of it.
                None => {
                    self.check_genesis().await?;
                    return Ok(None);
                }
                Some(true) => return Ok((tags.latest.number >= heights.seen).then_some(ours)),
                Some(false) if ours.number <= heights.final_ => {
                    self.check_genesis().await?;
                    return Err(Error::FinalityBroken { chain: self.chain.id(), final_: heights.final_ });
                }
                Some(false) => ours = self.mirrored(mirror, ours.number - 1).await?,
            }
        }
    }

    /// The block with everything in it that matters.
    async fn fetch(&self, mirror: &Mirror, block: Block<C::Rest>) -> Result<Fetched, Error> {
        let hash = block.header.hash;
        let escrow = mirror.deployed.escrow;
        let (logs, ours) = tokio::join!(self.chain.logs(&block, escrow), self.ours(&block.transactions));
        let observed = ours?.into_iter().map(async |tx_hash| {
            // Nothing waits for a receipt, whatever keeps it back.
            let outcome = self.chain.outcome(tx_hash, hash).await.unwrap_or_default();
            Observed { tx_hash, outcome }
        });
        let observed = futures_util::future::join_all(observed).await;
        Ok(Fetched { header: block.header, logs: logs?, observed })
    }

    async fn ours(&self, transactions: &[TxId]) -> Result<Vec<TxId>, Error> {
        if transactions.is_empty() {
            return Ok(Vec::new());
        }
        let mut db = self.store.begin().await?;
        Ok(store::chain::ours_among(&mut db, self.chain.id(), transactions).await?)
    }

    /// Undoes down to `ancestor`, appends, and brings every invoice concerned up to date: in one transaction.
    async fn write(&self, mirror: &Mirror, ancestor: u64, fetched: &[Fetched]) -> Result<(), Error> {
        let (chain, seen) = (self.chain.id(), mirror.heights.seen);
        let mut tx = self.store.begin().await?;
        store::chain::lock(&mut tx, chain, mirror.tip_hash).await?;
        // Every invoice that is going to be touched is locked first, all in one order, and only then any other row: whoever
        // holds an invoice may want a row of a block, or of an enterprise, and nobody who holds those waits for an invoice.
        let mut touched = store::chain::touched(&mut tx, chain, ancestor, seen).await?;
        let logs = fetched.iter().flat_map(|block| &block.logs.read);
        touched.extend(store::chain::concerned(&mut tx, chain, logs).await?);
        touched.extend(store::projection::stuck(&mut tx, chain, MAX_STUCK).await?);
        store::projection::lock(&mut tx, touched.iter().copied()).await?;
        let (mut tip, mut depth) = (seen, 0);
        while tip > ancestor {
            tip = store::chain::undo(&mut tx, chain, tip).await?.1.number;
            depth += 1;
        }
        if ancestor < seen {
            fault::crash(Point::BetweenUndoAndAppend);
        }
        let mut appended = Vec::with_capacity(fetched.len());
        for block in fetched {
            let Fetched { header, logs, observed } = block;
            let block = store::chain::append(&mut tx, chain, header, &logs.read, &logs.odd, observed).await?;
            touched.extend(block.touched.iter().copied());
            appended.push(block);
        }
        let stuck = store::projection::refresh_all(&mut tx, &touched).await?;
        fault::crash(Point::BeforeBlockCommit);
        tx.commit().await.map_err(store::Error::from)?;
        fault::crash(Point::AfterBlockCommit);
        if ancestor < seen {
            warn!(
                chain,
                ancestor,
                from = ancestor + 1,
                to = seen,
                depth,
                blocks = fetched.len(),
                invoices = touched.len(),
                "re-org"
            );
        }
        for (block, appended) in fetched.iter().zip(&appended) {
            self.tell_quarantined(block.header.number, appended);
        }
        self.tell_stuck(&stuck);
        if let Some(block) = fetched.last() {
            debug!(chain, block = block.header.number, blocks = fetched.len(), invoices = touched.len(), "mirrored");
        }
        Ok(())
    }

    fn tell_quarantined(&self, block: u64, appended: &Appended) {
        let chain = self.chain.id();
        for log in &appended.quarantined {
            let (address, reason) = (log.address, &log.why);
            error!(chain, block, index = ?log.index, tx = ?log.tx_hash, %address, reason, "a log is in quarantine");
        }
        if appended.left_out > 0 {
            error!(chain, block, logs = appended.left_out, "more odd logs than are kept");
        }
    }

    fn tell_stuck(&self, stuck: &[Stuck]) {
        for Stuck { terms_hash, error } in stuck {
            error!(chain = self.chain.id(), terms = %terms_hash, %error, "an invoice is stuck; it is tried again later");
        }
    }

    /// Moves the tags on, as far as the mirror has the same blocks, and brings up to date what has become safe or final.
    async fn move_tags(&self, mirror: &Mirror, tags: &Tags) -> Result<(), Error> {
        let heights = mirror.heights;
        if tags.safe.min(heights.seen) <= heights.safe && tags.final_.min(heights.seen) <= heights.final_ {
            return Ok(());
        }
        let mut tx = self.store.begin().await?;
        store::chain::lock(&mut tx, self.chain.id(), mirror.tip_hash).await?;
        let changed = store::chain::move_tags(&mut tx, self.chain.id(), tags.safe, tags.final_).await?;
        store::projection::lock(&mut tx, changed.iter().copied()).await?;
        let stuck = store::projection::refresh_all(&mut tx, &changed).await?;
        tx.commit().await.map_err(store::Error::from)?;
        self.tell_stuck(&stuck);
        Ok(())
    }

    /// Asks again for the receipts that were not there with their blocks, a few at a time.
    async fn ask_for_receipts(&self, mirror: &Mirror) -> Result<(), Error> {
        let chain = self.chain.id();
        let mut db = self.store.begin().await?;
        let waiting = store::chain::without_outcome(&mut db, chain, MAX_RECEIPTS).await?;
        drop(db);
        if waiting.is_empty() {
            return Ok(());
        }
        let asked = waiting.iter().map(async |(tx, block)| self.chain.outcome(*tx, *block).await.unwrap_or_default());
        let outcomes = futures_util::future::join_all(asked).await;
        let mut tx = self.store.begin().await?;
        // A re-org takes the blocks away that these are in: one after the other.
        store::chain::lock(&mut tx, chain, mirror.tip_hash).await?;
        for ((hash, block), outcome) in waiting.iter().zip(outcomes) {
            store::chain::put_outcome(&mut tx, chain, *hash, *block, outcome.as_ref()).await?;
        }
        Ok(tx.commit().await.map_err(store::Error::from)?)
    }
}
