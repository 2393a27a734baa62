//! Mirrors a chain into Postgres.
//!
//! Blocks are read by number and checked by hash against their parent; logs are read by block hash. One transaction
//! holds the blocks, their logs, every invoice they concern and the checkpoint, so that a crash at any point leaves
//! either all of it or none. A re-org is one transaction too: the blocks that went and the blocks that came.

use alloy_primitives::B256;
use chain::{Chain, Tags};
use domain::block::{Header, Meaning, Observed, RawLog};
use std::future::Future;
use std::time::Duration;
use store::Store;
use store::chain::Mirror;
use tracing::{debug, info, warn};

/// The most blocks written in one transaction.
const MAX_BLOCKS: u64 = 64;

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
        "the node's first block is {found}, the database mirrors the chain that began with {expected}: check the URL"
    )]
    OtherGenesis {
        /// Mirrored.
        expected: B256,
        /// Found.
        found: B256,
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

/// Mirrors until `shutdown` resolves. Trouble with node or database is waited out; what waiting cannot help ends it.
pub async fn run<C: Chain>(
    config: Config,
    store: Store,
    chain: C,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), Error> {
    let indexer = Indexer { store, chain };
    indexer.check_genesis().await?;
    info!(chain = indexer.chain.id(), "indexer runs");
    tokio::pin!(shutdown);
    let mut quiet = Duration::ZERO;
    loop {
        match indexer.step().await {
            // Behind: go on at once.
            Ok(true) => continue,
            Ok(false) => quiet = config.poll,
            Err(error) if error.is_fatal() => return Err(error),
            Err(error) => {
                warn!(chain = indexer.chain.id(), %error, "no progress; trying again");
                quiet = (quiet * 2).clamp(config.poll, Duration::from_secs(5));
            }
        }
        tokio::select! {
            () = &mut shutdown => return Ok(()),
            () = tokio::time::sleep(quiet) => {}
        }
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
    logs: Vec<(RawLog, Meaning)>,
    observed: Vec<Observed>,
}

impl<C: Chain> Indexer<C> {
    /// Refuses a node that serves another chain than the one in the database.
    pub async fn check_genesis(&self) -> Result<(), Error> {
        let expected = self.mirror().await?.deployed.genesis_hash;
        let found = self.chain.genesis().await?;
        if expected == found { Ok(()) } else { Err(Error::OtherGenesis { expected, found }) }
    }

    /// Takes one step towards the node's tip; whether there may be more to do at once.
    pub async fn step(&self) -> Result<bool, Error> {
        let tags = self.chain.tags().await?;
        let mirror = self.mirror().await?;
        let ancestor = self.ancestor(&mirror, &tags).await?;
        let last = tags.latest.number.min(ancestor.saturating_add(MAX_BLOCKS));
        if ancestor == mirror.heights.seen && last == ancestor {
            self.move_tags(&mirror, &tags).await?;
            return Ok(false);
        }
        let (mut fetched, mut parent) = (Vec::new(), self.hash_at(&mirror, ancestor).await?);
        for number in ancestor + 1..=last {
            let Some(block) = self.fetch(&mirror, number).await? else { break };
            if block.header.parent_hash != parent {
                // The chain moved while we read it; what was read up to here still stands.
                break;
            }
            parent = block.header.hash;
            fetched.push(block);
        }
        if fetched.is_empty() {
            return Ok(false);
        }
        self.write(&mirror, ancestor, &fetched).await?;
        let mirror = self.mirror().await?;
        self.move_tags(&mirror, &tags).await?;
        Ok(mirror.heights.seen < tags.latest.number)
    }

    async fn mirror(&self) -> Result<Mirror, Error> {
        let mut db = self.store.begin().await?;
        Ok(store::chain::get(&mut db, self.chain.id()).await?)
    }

    async fn hash_at(&self, mirror: &Mirror, number: u64) -> Result<B256, Error> {
        if number == mirror.heights.seen {
            return Ok(mirror.tip_hash);
        }
        let mut db = self.store.begin().await?;
        let hash = store::chain::block_hash(&mut db, self.chain.id(), number).await?;
        Ok(hash.ok_or_else(|| store::Error::Corrupt(format!("block {number} is not mirrored")))?)
    }

    /// The highest mirrored block that the node still has.
    async fn ancestor(&self, mirror: &Mirror, tags: &Tags) -> Result<u64, Error> {
        let mut number = mirror.heights.seen;
        // The common case, without another question: the node's tip is the child of ours.
        if tags.latest.number == number + 1 && tags.latest.parent_hash == mirror.tip_hash {
            return Ok(number);
        }
        loop {
            // A node below our tip lags or was rolled back; which of the two shows when it has blocks again. Until then
            // nothing is undone: a lagging replica must not take payments back.
            if tags.latest.number < number {
                return Ok(mirror.heights.seen);
            }
            let ours = self.hash_at(mirror, number).await?;
            let theirs = if number == tags.latest.number {
                Some(tags.latest.hash)
            } else {
                self.chain.block(number).await?.map(|block| block.header.hash)
            };
            if theirs.is_none_or(|theirs| theirs == ours) {
                return Ok(number);
            }
            if number <= mirror.heights.final_ {
                return Err(Error::FinalityBroken { chain: self.chain.id(), final_: mirror.heights.final_ });
            }
            number -= 1;
        }
    }

    async fn fetch(&self, mirror: &Mirror, number: u64) -> Result<Option<Fetched>, Error> {
        let Some(block) = self.chain.block(number).await? else { return Ok(None) };
        let hash = block.header.hash;
        let (logs, ours) = tokio::join!(self.chain.logs(hash, mirror.deployed.escrow), self.ours(&block.transactions));
        let outcomes = ours?.into_iter().map(|tx| self.chain.outcome(tx, hash));
        let observed = futures_util::future::try_join_all(outcomes).await?;
        Ok(Some(Fetched { header: block.header, logs: logs?, observed }))
    }

    async fn ours(&self, transactions: &[B256]) -> Result<Vec<B256>, Error> {
        if transactions.is_empty() {
            return Ok(Vec::new());
        }
        let mut db = self.store.begin().await?;
        Ok(store::chain::ours_among(&mut db, self.chain.id(), transactions).await?)
    }

    /// Undoes down to `ancestor`, appends, and brings every invoice concerned up to date: in one transaction.
    async fn write(&self, mirror: &Mirror, ancestor: u64, fetched: &[Fetched]) -> Result<(), Error> {
        let chain = self.chain.id();
        let mut tx = self.store.begin().await?;
        store::chain::lock(&mut tx, chain, mirror.tip_hash).await?;
        let mut touched = store::chain::touched(&mut tx, chain, ancestor, mirror.heights.seen).await?;
        store::projection::lock(&mut tx, touched.iter().copied()).await?;
        for number in (ancestor + 1..=mirror.heights.seen).rev() {
            touched.extend(store::chain::undo(&mut tx, chain, number).await?.0);
        }
        if ancestor < mirror.heights.seen {
            warn!(chain, from = ancestor + 1, to = mirror.heights.seen, invoices = touched.len(), "re-org");
        }
        for block in fetched {
            touched.extend(store::chain::append(&mut tx, chain, &block.header, &block.logs, &block.observed).await?);
        }
        for terms_hash in &touched {
            store::projection::refresh(&mut tx, *terms_hash).await?;
        }
        tx.commit().await.map_err(store::Error::from)?;
        if let Some(block) = fetched.last() {
            debug!(chain, block = block.header.number, invoices = touched.len(), "mirrored");
        }
        Ok(())
    }

    /// Moves the tags on, as far as the mirror has the same blocks, and brings up to date what has become safe or final.
    async fn move_tags(&self, mirror: &Mirror, tags: &Tags) -> Result<(), Error> {
        let heights = mirror.heights;
        if tags.safe.min(heights.seen) <= heights.safe && tags.final_.min(heights.seen) <= heights.final_ {
            return Ok(());
        }
        let mut tx = self.store.begin().await?;
        store::chain::lock(&mut tx, self.chain.id(), mirror.tip_hash).await?;
        for terms_hash in store::chain::move_tags(&mut tx, self.chain.id(), tags.safe, tags.final_).await? {
            store::projection::refresh(&mut tx, terms_hash).await?;
        }
        Ok(tx.commit().await.map_err(store::Error::from)?)
    }
}
