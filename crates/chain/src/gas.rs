//! What things may cost on a chain, in its units of gas. The same code costs about ten times as much on Tempo, where state
//! is dear: 250,000 for a new slot, 500,000 for a contract, even one that is gone at the end of its transaction.

use crate::tempo;

/// How much gas is given to what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gas {
    /// Each item of a batch.
    pub item: u64,
    /// One action at most. A hostile token could ask for more than a block has: signed bytes that no node takes would hold
    /// up every nonce after them. What needs more would revert.
    pub action: u64,
    /// A batch beside its items: the transaction itself, calldata and the outer frame.
    overhead: u64,
    /// How many items fit into one transaction.
    pub items: usize,
}

impl Gas {
    /// Enough for a proxied, blacklisting token, and 50 items fit under the 2^24 gas a transaction may have (EIP-7825).
    pub const ETHEREUM: Self = Self { item: 250_000, action: 1_500_000, overhead: 200_000, items: 50 };

    /// 16 items fit under the 30 million that a transaction may have.
    pub const TEMPO: Self = Self { item: 1_500_000, action: 5_000_000, overhead: 500_000, items: 16 };

    /// What is known of a chain by its id.
    pub const fn on(chain: u64) -> Self {
        if matches!(chain, tempo::MAINNET | tempo::TESTNET) { Self::TEMPO } else { Self::ETHEREUM }
    }

    /// The gas limit of a batch: enough that every item can be given its gas, of which a call passes on at most 63/64.
    pub fn batch(&self, items: usize) -> u64 {
        let items = u64::try_from(items).unwrap_or(u64::MAX);
        items.saturating_mul(self.item + self.item / 32 + 20_000).saturating_add(self.overhead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_batch_fits_into_a_transaction() {
        for (gas, most) in [(Gas::ETHEREUM, 1 << 24), (Gas::TEMPO, 30_000_000)] {
            assert!(gas.batch(gas.items) <= most, "{gas:?}");
            assert!(gas.batch(1) > gas.item * 64 / 63);
        }
    }
}
