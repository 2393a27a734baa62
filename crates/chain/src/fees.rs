//! What a transaction pays for gas, and how far it may be raised. Wei per unit of gas; no floats.

/// Fees for a transaction, in wei per unit of gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fees {
    /// The most it pays in all.
    pub max: u128,
    /// What the block's builder gets of it.
    pub priority: u128,
}

impl Fees {
    /// These fees, but no more than `cap` in all; `None` where the next block could then hardly take the transaction. What
    /// a node proposes is twice the present base fee and the tip, so that the base fee is half of what is above the tip.
    pub fn within(self, cap: u128) -> Option<Self> {
        let base = self.max.saturating_sub(self.priority) / 2;
        let fees = Self { max: self.max.min(cap), priority: self.priority.min(cap) };
        (base.saturating_add(fees.priority) <= cap).then_some(fees)
    }

    /// Fees for another transaction at the same nonce: what the market asks now, and at least an eighth more of both than
    /// the last one offered, because nodes refuse a replacement that is not clearly better (most want a tenth). Never above
    /// `cap`; `None` where the cap leaves no room for a replacement that a node would take.
    pub fn raised(self, market: Self, cap: u128) -> Option<Self> {
        let max = eighth_more(self.max).max(market.max).min(cap);
        let priority = eighth_more(self.priority).max(market.priority).min(max);
        let enough = max >= tenth_more(self.max) && priority >= tenth_more(self.priority);
        enough.then_some(Self { max, priority })
    }
}

/// One eighth more, rounded up and never the same.
const fn eighth_more(fee: u128) -> u128 {
    fee.saturating_add(fee / 8).saturating_add(1)
}

/// One tenth more, rounded up and never the same.
const fn tenth_more(fee: u128) -> u128 {
    fee.saturating_add(fee / 10).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fees() -> impl Strategy<Value = Fees> {
        (0..u128::MAX / 4, 0..u128::MAX / 4)
            .prop_map(|(max, priority)| Fees { max: max.max(priority), priority: max.min(priority) })
    }

    proptest! {
        /// `fault:K10`: never above the cap, always more than the last, the tip never above the whole.
        #[test]
        fn a_raise_is_enough_for_a_node_and_never_above_the_cap(last in fees(), market in fees(), cap in 0..u128::MAX / 2) {
            if let Some(next) = last.raised(market, cap) {
                prop_assert!(next.max <= cap && next.priority <= next.max);
                prop_assert!(next.max > last.max && next.max - last.max >= last.max / 10);
                prop_assert!(next.priority > last.priority && next.priority - last.priority >= last.priority / 10);
            }
        }

        #[test]
        fn fees_are_cut_at_the_cap_or_not_paid_at_all(market in fees(), cap in 0..u128::MAX / 2) {
            if let Some(fees) = market.within(cap) {
                prop_assert!(fees.max <= cap && fees.priority <= fees.max);
            }
        }
    }

    #[test]
    fn raises_follow_the_market_and_end_at_the_cap() {
        let last = Fees { max: 800, priority: 80 };
        let market = |max, priority| Fees { max, priority };
        for (market, cap, next) in [
            (market(1, 1), 10_000, Some(Fees { max: 901, priority: 91 })),
            (market(5_000, 500), 10_000, Some(Fees { max: 5_000, priority: 500 })),
            (market(5_000, 500), 1_000, Some(Fees { max: 1_000, priority: 500 })),
            (market(5_000, 500), 881, Some(Fees { max: 881, priority: 500 })),
            (market(5_000, 500), 880, None),
            (market(5_000, 500), 0, None),
        ] {
            assert_eq!(last.raised(market, cap), next, "{market:?} {cap}");
        }
    }
}
