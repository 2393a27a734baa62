//! Which statements about the reserve are to be asked for: how much each rail's gate may issue, and when it is time to say so anew.
//!
//! Attestors decide by themselves what they sign; this only asks, and asks for nothing that they would have to refuse. A gate
//! gets what is out on its rail, and an equal share of what is out nowhere. One share is given to nobody: from it one rail is
//! raised without another being lowered first, which takes as long as its chain needs to be final.

use crate::money::Units;

/// A statement counts for 24 hours on chain: there is always one that is half as old. Seconds.
pub const RENEW_SECONDS: u64 = 12 * 60 * 60;
/// How long one that was asked for is waited for before another is. Seconds.
pub const PATIENCE_SECONDS: u64 = 2 * 60;
/// An older one nobody signs any more: attestors sign nothing older than 15 minutes. Seconds.
pub const STALE_SECONDS: u64 = 10 * 60;

/// How a gate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its chain.
    pub chain: u64,
    /// Whether it pays what is not ours: then it has no part in the reserve.
    pub float: bool,
    /// The chain's time, unix seconds.
    pub now: u64,
    /// What it has issued by its final blocks, and what may still be issued on orders that are out.
    pub out: Units,
    /// The statement that was asked for last.
    pub told: Option<Told>,
}

/// A statement that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// How much may be issued, in all.
    pub allocation: Units,
    /// The moment it is about, unix seconds.
    pub as_of: u64,
    /// Whether enough attestors have signed it.
    pub signed: bool,
}

impl Standing {
    fn allocated(&self) -> u128 {
        self.told.map_or(0, |told| told.allocation.0)
    }

    /// What of the reserve this rail takes.
    fn takes(&self) -> u128 {
        if self.float { 0 } else { self.allocated().max(self.out.0) }
    }

    fn uses(&self) -> u128 {
        if self.float { 0 } else { self.out.0 }
    }
}

/// The statements to ask for now: which chain's gate, and how much it may issue in all.
pub fn wanted(reserve: Units, rails: &[Standing]) -> Vec<(u64, Units)> {
    let mut rails = rails.to_vec();
    let used = rails.iter().fold(0_u128, |sum, rail| sum.saturating_add(rail.uses()));
    let shares = u128::try_from(rails.iter().filter(|rail| !rail.float).count()).unwrap_or(u128::MAX).saturating_add(1);
    let share = reserve.0.saturating_sub(used) / shares;
    let mut wanted = Vec::new();
    for at in 0..rails.len() {
        let taken = rails.iter().fold(0_u128, |sum, rail| sum.saturating_add(rail.takes()));
        let Some(rail) = rails.get_mut(at) else { continue };
        let fair = rail.out.0.saturating_add(if rail.float { reserve.0 } else { share });
        let lowers = fair < rail.allocated();
        let due = match rail.told {
            None => true,
            Some(Told { as_of, signed: false, .. }) if as_of.saturating_add(PATIENCE_SECONDS) > rail.now => false,
            Some(Told { allocation, as_of, signed }) => {
                let lives = if signed { RENEW_SECONDS } else { STALE_SECONDS };
                let short = allocation < rail.out;
                let above = !rail.float && lowers && taken > reserve.0;
                as_of.saturating_add(lives) <= rail.now || short || above
            }
        };
        // The others keep what they have. Only what comes down need not wait for them: else two that are too high stay so.
        let others = if lowers { used.saturating_sub(rail.uses()) } else { taken.saturating_sub(rail.takes()) };
        let most = if rail.float { fair } else { fair.min(reserve.0.saturating_sub(others)) };
        if due && most >= rail.out.0 {
            wanted.push((rail.chain, Units(most)));
            rail.told = Some(Told { allocation: Units(most), as_of: rail.now, signed: false });
        }
    }
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: u64 = 1_000_000;

    fn told(allocation: u128, age: u64, signed: bool) -> Option<Told> {
        Some(Told { allocation: Units(allocation), as_of: NOW - age, signed })
    }

    fn rail(chain: u64, out: u128, told: Option<Told>) -> Standing {
        Standing { chain, float: false, now: NOW, out: Units(out), told }
    }

    /// (reserve, rails; what is asked for)
    #[test]
    fn a_statement_is_asked_for_when_there_is_none_it_is_old_or_no_longer_fits() {
        let float = Standing { float: true, ..rail(3, 40, told(40, 60, true)) };
        type Row = (&'static str, u128, Vec<Standing>, Vec<(u64, u128)>);
        let rows: Vec<Row> = vec![
            ("none yet", 100, vec![rail(1, 0, None)], vec![(1, 50)]),
            ("none yet, two rails", 100, vec![rail(1, 10, None), rail(2, 0, None)], vec![(1, 40), (2, 30)]),
            ("covers what is out", 100, vec![rail(1, 50, told(50, 60, true))], vec![]),
            ("more is out than it says", 100, vec![rail(1, 51, told(50, 60, true))], vec![(1, 75)]),
            ("half a day old", 100, vec![rail(1, 50, told(50, RENEW_SECONDS, true))], vec![(1, 75)]),
            ("nearly", 100, vec![rail(1, 50, told(50, RENEW_SECONDS - 1, true))], vec![]),
            ("asked for just now", 100, vec![rail(1, 51, told(50, PATIENCE_SECONDS - 1, false))], vec![]),
            ("long ago", 100, vec![rail(1, 51, told(50, PATIENCE_SECONDS, false))], vec![(1, 75)]),
            ("nobody signs it any more", 100, vec![rail(1, 50, told(60, STALE_SECONDS, false))], vec![(1, 75)]),
            ("the reserve fell, and bears it", 50, vec![rail(1, 10, told(50, 60, true))], vec![]),
            ("the reserve fell below it", 49, vec![rail(1, 10, told(50, 60, true))], vec![(1, 29)]),
            (
                "both too high",
                100,
                vec![rail(1, 10, told(95, 60, true)), rail(2, 10, told(95, 60, true))],
                vec![(1, 36), (2, 36)],
            ),
            (
                "another has too much",
                100,
                vec![rail(1, 60, told(50, 60, true)), rail(2, 0, told(50, 60, true))],
                vec![(2, 13)],
            ),
            (
                "then it is raised",
                100,
                vec![rail(1, 60, told(50, 60, true)), rail(2, 0, told(13, 60, true))],
                vec![(1, 73)],
            ),
            ("less than is out", 9, vec![rail(1, 10, told(10, RENEW_SECONDS, true))], vec![]),
            ("a float that is used up", 100, vec![Standing { out: Units(41), ..float }], vec![(3, 141)]),
            ("a float takes nothing", 100, vec![rail(1, 0, None), float], vec![(1, 50)]),
        ];
        for (row, reserve, rails, asked) in rows {
            let asked: Vec<_> = asked.into_iter().map(|(chain, units)| (chain, Units(units))).collect();
            assert_eq!(wanted(Units(reserve), &rails), asked, "{row}");
        }
    }

    fn standing() -> impl Strategy<Value = Standing> {
        let asked = prop::option::of((0..200_u128, 0..60_000_u64, any::<bool>()));
        (any::<bool>(), 0..100_u128, asked).prop_map(|(float, out, asked)| Standing {
            float,
            ..rail(0, out, asked.and_then(|(allocation, age, signed)| told(allocation, age, signed)))
        })
    }

    proptest! {
        /// What is asked for covers what is out, never brings all rails above the reserve, and brings them below it where they were
        /// above; asked again at once there is nothing more to ask for.
        #[test]
        fn what_is_asked_for_stays_within_the_reserve(reserve in 0..400_u128, mut rails in prop::collection::vec(standing(), 0..4)) {
            for (chain, rail) in (1..).zip(&mut rails) {
                rail.chain = chain;
            }
            let total = |rails: &[Standing]| rails.iter().map(Standing::takes).sum::<u128>();
            let (before, used) = (total(&rails), rails.iter().map(Standing::uses).sum::<u128>());
            let in_hand = |rail: &Standing| rail.told.is_some_and(|told| !told.signed && told.as_of + PATIENCE_SECONDS > NOW);
            let waits = rails.iter().any(in_hand);
            let asked = wanted(Units(reserve), &rails);
            for (chain, allocation) in &asked {
                let rail = rails.iter_mut().find(|rail| rail.chain == *chain).unwrap();
                prop_assert!(allocation.0 >= rail.out.0);
                rail.told = Some(Told { allocation: *allocation, as_of: NOW, signed: true });
            }
            prop_assert!(total(&rails) <= before.max(reserve));
            if used <= reserve && !waits {
                prop_assert!(total(&rails) <= reserve, "{rails:?}");
            }
        }
    }
}
