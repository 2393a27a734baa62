//! A trace as a chain can be told it: each step at a second of its own, and with the steps that random times miss. A seed
//! makes a story, the same one wherever it is drawn; those of [`SHARED`] are told to every chain, and what they are is
//! committed.

use super::{Cast, Trace, trace};
use crate::{InvoiceTerms, NATIVE, RefundOrder, Status, Step, WAIT_SECONDS, World};
use alloy_primitives::{U256, keccak256};
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config, Reason, RngAlgorithm, TestRng, TestRunner},
};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Range;
use terms::Address;

/// The seeds of the stories that every chain is told in every run of its tests.
pub const SHARED: Range<u64> = 0..100;

/// And those that it is told in a long run, too.
pub const MORE: Range<u64> = 100..600;

/// What [`fingerprints`] says of them. `MONAY_WRITE_VECTORS=1 cargo test -p monay-model vectors` writes it.
pub const FINGERPRINTS: &str = include_str!("../../vectors/traces.txt");

/// How many steps a trace has before it becomes a story.
const STEPS: Range<usize> = 20..50;

/// A trace with the second of each step's block, unix seconds.
#[derive(Clone, Debug)]
pub struct Story {
    /// What it was drawn from.
    pub seed: u64,
    /// All terms that are named in it.
    pub terms: Vec<InvoiceTerms>,
    /// In order, no two at the same time.
    pub steps: Vec<(u64, Step)>,
}

impl Story {
    /// The story of a seed, played by [`Cast::default`].
    pub fn of_seed(seed: u64) -> Result<Self, Reason> {
        let cast = Cast::default();
        let random = TestRng::from_seed(RngAlgorithm::ChaCha, keccak256(seed.to_be_bytes()).as_slice());
        let mut runner = TestRunner::new_with_rng(Config::default(), random);
        let drawn = trace(&cast, STEPS).new_tree(&mut runner)?.current();
        Ok(Self::new(seed, &cast, &drawn))
    }

    fn new(seed: u64, cast: &Cast, drawn: &Trace) -> Self {
        let opening = dust(cast, &drawn.invoices);
        let steps = opening.into_iter().chain(drawn.steps.iter().cloned()).map(|step| playable(cast, step)).collect();
        let trace = Trace { steps, invoices: drawn.invoices.clone() };

        let mut clock = cast.here.timestamp;
        let mut steps = Vec::new();
        for step in trace.one_block_per_step(clock) {
            match step {
                Step::Warp { timestamp } => clock = timestamp,
                step => steps.push((clock, step)),
            }
        }
        let mut world = cast.world();
        for (timestamp, step) in &steps {
            world.warp(*timestamp);
            let _ = world.apply(step);
        }
        steps.extend(at_the_edges(&world, &trace.invoices));
        let end = steps.last().map_or(clock, |(timestamp, _)| *timestamp);
        steps.extend((end.saturating_add(1)..).zip(in_the_end(cast, &trace.invoices)));
        Self { seed, terms: trace.terms(), steps }
    }
}

/// A line for each story: its seed, how many steps it has, and Keccak-256 of all that there is in it.
pub fn fingerprints(stories: &[Story]) -> String {
    let mut lines = String::new();
    for story in stories {
        let hash = keccak256(format!("{story:?}"));
        let _ = writeln!(lines, "{:>3} {:>3} {hash}", story.seed, story.steps.len());
    }
    lines
}

/// A little of the native coin at half of the purses, which every first run has to take along.
fn dust(cast: &Cast, invoices: &[InvoiceTerms]) -> Vec<Step> {
    let some = invoices.iter().filter(|terms| terms.invoice_id[2] % 2 == 0);
    some.map(|terms| transfer(cast, terms, NATIVE, 3)).collect()
}

/// Late money of each kind: the refund key sends it where refundTo is not, and then anyone brings back what is left.
fn in_the_end(cast: &Cast, invoices: &[InvoiceTerms]) -> Vec<Step> {
    let mut steps = Vec::new();
    for terms in invoices {
        let elsewhere = cast.people.iter().copied().find(|person| *person != terms.refund_to).unwrap_or_default();
        // Either the coin goes with the token, or it goes alone.
        let token = if terms.invoice_id[3] % 4 == 0 { NATIVE } else { terms.token };
        steps.push(transfer(cast, terms, NATIVE, 3));
        steps.push(transfer(cast, terms, terms.token, 5));
        steps.push(order(terms, token, elsewhere, u64::MAX));
        let coins = cast.tokens.iter().copied().chain([NATIVE]);
        steps.extend(coins.map(|token| Step::Refund { caller: elsewhere, terms: terms.clone(), token }));
    }
    steps
}

fn transfer(cast: &Cast, terms: &InvoiceTerms, token: Address, amount: u64) -> Step {
    let from = cast.people[usize::from(terms.invoice_id[4]) % cast.people.len()];
    Step::Transfer { token, from, to: terms.deposit_address(&cast.here.deployment), amount: U256::from(amount) }
}

/// An order of the refund key, if there is one, that the payee carries.
fn order(terms: &InvoiceTerms, token: Address, to: Address, deadline: u64) -> Step {
    let deadline = U256::from(deadline);
    let order = RefundOrder { termsHash: terms.hash(), token, to, nonce: deadline, deadline };
    let signer = Some(terms.refund_key).filter(|key| !key.is_zero());
    Step::RefundByOrder { caller: terms.payee, terms: terms.clone(), order, signer }
}

/// What random times miss: steps in the last second before something opens or closes, and in the first after it.
fn at_the_edges(world: &World, invoices: &[InvoiceTerms]) -> BTreeMap<u64, Step> {
    let mut steps = BTreeMap::new();
    for terms in invoices {
        // As random as anything in the trace.
        let [first, second, ..] = terms.invoice_id.0;
        let closes_at = terms.closes_at;
        let before = (closes_at - 1, some_verb(terms, closes_at - 1, first));
        let mut edges = vec![before, (closes_at, some_verb(terms, closes_at, second))];
        let slot = world.state_of(terms.hash());
        let ends = [Some(closes_at), (slot.status != Status::Open).then_some(slot.since)];
        for opens_at in ends.into_iter().flatten().map(|end| end + WAIT_SECONDS) {
            let refund = Step::Refund { caller: terms.payee, terms: terms.clone(), token: terms.token };
            edges.extend([(opens_at - 1, refund.clone()), (opens_at, refund)]);
        }
        // One block holds one step: where edges meet, the first invoice has it.
        for (timestamp, step) in edges.into_iter().filter(|(timestamp, _)| *timestamp > world.here().timestamp) {
            steps.entry(timestamp).or_insert(step);
        }
    }
    steps
}

/// Something that may be refused at `timestamp` for no other reason than the time.
fn some_verb(terms: &InvoiceTerms, timestamp: u64, random: u8) -> Step {
    let caller = if terms.settler.is_zero() { terms.refund_to } else { terms.settler };
    let terms = terms.clone();
    match random % 5 {
        0 => Step::Settle { caller, terms },
        1 => Step::Pay { caller, terms, amount: U256::MAX },
        2 => Step::Cancel { caller: terms.payee, terms },
        3 => Step::Refund { caller, token: terms.token, terms },
        // Just in time, or just not.
        _ => order(&terms, terms.token, terms.refund_to, timestamp - u64::from(random >= 128)),
    }
}

/// Some forged terms name an account as their refund key that cannot sign, such as the escrow. Then it carries its
/// order itself.
fn playable(cast: &Cast, step: Step) -> Step {
    match step {
        Step::RefundByOrder { terms, order, signer: Some(signer), .. } if !cast.people.contains(&signer) => {
            Step::RefundByOrder { caller: signer, terms, order, signer: None }
        }
        step => step,
    }
}
