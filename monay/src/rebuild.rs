//! `monay rebuild`: the mirror against the chain.

use crate::Error;
use crate::config::Config;
use chain::evm::Evm;
use indexer::{Indexer, Rebuilt};
use std::time::{Duration, Instant};
use store::Store;

/// What `monay rebuild` is told.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct RebuildArgs {
    /// Change nothing: read, compare, and end with exit code 1 if anything differs.
    #[arg(long)]
    check: bool,
}

/// How often progress is told.
const TELL: Duration = Duration::from_secs(2);

/// Reads the chain anew and prints, per table, whether the mirror had the same.
pub async fn run(config: &Config, args: RebuildArgs) -> Result<(), Error> {
    let (_, settings) = config.chain()?;
    let store = Store::connect(&config.database_url, 4).await?;
    let chain = Evm::connect(&settings.rpc_url, settings.id, None).await?;
    let indexer = Indexer { store, chain };
    let told = std::cell::Cell::new(Instant::now());
    let rebuilt = indexer
        .rebuild(args.check, |read, total| {
            if told.get().elapsed() >= TELL || read == total {
                eprintln!("read {read} of {total} blocks");
                told.set(Instant::now());
            }
        })
        .await?;
    indexer.store.close().await;
    print!("{}", table(&rebuilt));
    let (first, last) = rebuilt.blocks;
    if rebuilt.stuck > 0 {
        eprintln!("{} invoices could not be brought up to date: see the table stuck_invoices", rebuilt.stuck);
    }
    let differ = rebuilt.tables.iter().filter(|table| !table.is_same()).count();
    match (differ, args.check) {
        (0, _) => println!("the mirror is what blocks {first} to {last} say"),
        (_, false) => println!("{differ} tables differed from what blocks {first} to {last} say, and were repaired"),
        (_, true) => return Err(Error::Differs { tables: differ, first, last }),
    }
    Ok(())
}

/// One line per table. Sixteen digits of a digest are enough to see that two differ.
fn table(rebuilt: &Rebuilt) -> String {
    let mut lines = format!(
        "{:<26} {:>12} {:>12}  {:<16}  {:<16}  same\n",
        "table", "rows before", "rows after", "digest before", "digest after"
    );
    for compared in &rebuilt.tables {
        let (before, after) = (&compared.before, &compared.after);
        let short = |digest: &str| digest.get(..16).unwrap_or(digest).to_owned();
        lines += &format!(
            "{:<26} {:>12} {:>12}  {}  {}  {}\n",
            before.table,
            before.rows,
            after.rows,
            short(&before.digest),
            short(&after.digest),
            if compared.is_same() { "yes" } else { "NO" }
        );
    }
    lines
}
