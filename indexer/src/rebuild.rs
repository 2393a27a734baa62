//! Reads a chain anew from the first mirrored block, and compares.

use crate::{Error, Fetched, Indexer};
use chain::Chain;
use futures_util::{StreamExt, TryStreamExt};
use store::fault::{self, Point};
use store::rebuild::Digest;

/// How many blocks are fetched at the same time.
const AHEAD: usize = 16;

/// A table before and after.
#[derive(Clone, Debug)]
pub struct Compared {
    /// As it was.
    pub before: Digest,
    /// As the chain has it.
    pub after: Digest,
}

impl Compared {
    /// Whether the chain says the same, byte for byte.
    pub fn is_same(&self) -> bool {
        self.before == self.after
    }
}

/// What reading anew has shown.
#[derive(Clone, Debug)]
pub struct Rebuilt {
    /// The first and the last block that were read.
    pub blocks: (u64, u64),
    /// Every table that follows from the chain.
    pub tables: Vec<Compared>,
    /// How many invoices could not be brought up to date.
    pub stuck: usize,
}

impl Rebuilt {
    /// Whether nothing was wrong.
    pub fn is_same(&self) -> bool {
        self.tables.iter().all(Compared::is_same)
    }
}

impl<C: Chain> Indexer<C> {
    /// Takes away what was read from blocks and reads it again, up to the same block: in one transaction, during which
    /// indexers of this chain wait. With `check` nothing is kept of it. `tell` hears how many blocks of how many are read.
    pub async fn rebuild(&self, check: bool, tell: impl Fn(u64, u64)) -> Result<Rebuilt, Error> {
        let chain = self.chain.id();
        let cannot = |why: String| Error::CannotRebuild { chain, why };
        self.check_genesis().await?;
        let mut tx = self.store.begin().await?;
        let held = store::rebuild::hold(&mut tx, chain).await?;
        let mirror = store::chain::get(&mut tx, chain).await?;
        let (first, last) = (mirror.start, mirror.heights.seen);
        let missing = |number| cannot(format!("the node does not have block {number}"));
        let tip = self.chain.block(last).await?.ok_or_else(|| missing(last))?;
        if tip.header.hash != mirror.tip_hash {
            return Err(cannot(format!(
                "the node's block {last} is {}, the mirror's is {}; let the indexer catch up first",
                tip.header.hash, mirror.tip_hash
            )));
        }
        let before = store::rebuild::digests(&mut tx, chain).await?;
        store::rebuild::clear(&mut tx, chain).await?;
        let start = self.chain.block(first).await?.ok_or_else(|| missing(first))?.header;
        store::chain::append(&mut tx, chain, &start, &[], &[], &[]).await?;
        let mut parent = start.hash;
        // Several at a time, so by number; where there is no block of a number, the next one's parent says whether that is so.
        let mut blocks = futures_util::stream::iter(first + 1..=last)
            .map(async |number| match self.chain.block(number).await? {
                Some(block) => self.fetch(&mirror, block).await.map(Some),
                None => Ok(None),
            })
            .buffered(AHEAD);
        let (mut read, total) = (0, last - first);
        while let Some(block) = blocks.try_next().await? {
            read += 1;
            if let Some(block) = block {
                let Fetched { header, logs, observed } = &block;
                if header.parent_hash != parent {
                    return Err(cannot(format!(
                        "the node's block {} does not follow on the one that was read before it: the chain has moved, or the \
                         node does not have all of it",
                        header.number
                    )));
                }
                parent = header.hash;
                store::chain::append(&mut tx, chain, header, &logs.read, &logs.odd, observed).await?;
            }
            if read == total.div_ceil(2) {
                fault::crash(Point::InRebuild);
            }
            tell(read, total);
        }
        drop(blocks);
        if parent != mirror.tip_hash {
            return Err(cannot(format!("the chain moved at block {last} while it was read")));
        }
        let stuck = store::rebuild::finish(&mut tx, chain, mirror.heights, held).await?.len();
        let after = store::rebuild::digests(&mut tx, chain).await?;
        let tables = before.into_iter().zip(after).map(|(before, after)| Compared { before, after }).collect();
        let rebuilt = Rebuilt { blocks: (first, last), tables, stuck };
        if check {
            tx.rollback().await.map_err(store::Error::from)?;
        } else {
            tx.commit().await.map_err(store::Error::from)?;
        }
        Ok(rebuilt)
    }
}
