//! Having attestors say how much of the reserve stands behind each gate, so that none ever waits for a statement.

use crate::{Error, commit};
use store::{Store, mints};
use tracing::info;

/// Asks for the statements that are due (`domain::reserve`).
pub async fn order(store: &Store) -> Result<(), Error> {
    let mut tx = store.begin().await?;
    let rails = mints::standings(&mut tx).await?;
    let reserve = mints::reserve(&mut tx).await?;
    let due = domain::reserve::wanted(reserve, &rails);
    for (chain, allocation) in &due {
        let now = rails.iter().find(|rail| rail.chain == *chain).map_or(0, |rail| rail.now);
        let statement = mints::order_reserve(&mut tx, *chain, allocation.0, now).await?;
        info!(chain, statement, %allocation, %reserve, "a statement about the reserve is asked for");
    }
    if due.is_empty() { Ok(()) } else { commit(tx).await }
}
