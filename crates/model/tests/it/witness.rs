//! What a bystander sees: worlds before and after each step, and what PROTOCOL permits in between, said without the
//! model's own arithmetic wherever that is possible.

use alloy_primitives::U256;
use model::{
    Error, NATIVE, Outcome, Step, World,
    testing::{Cast, Trace, trace},
};
use proptest::{
    prelude::*,
    test_runner::{TestCaseError, TestRunner},
};
use std::collections::BTreeMap;
use terms::Address;

/// One step and its surroundings.
pub(crate) struct Seen<'a> {
    pub(crate) before: &'a World,
    pub(crate) step: &'a Step,
    pub(crate) result: &'a Result<Outcome, Error>,
    pub(crate) after: &'a World,
}

/// Shows every step of the trace to `look`, and returns the world at the end.
pub(crate) fn watch(
    cast: &Cast,
    trace: &Trace,
    mut look: impl FnMut(Seen<'_>) -> Result<(), TestCaseError>,
) -> Result<World, TestCaseError> {
    let mut world = cast.world();
    for step in &trace.steps {
        let before = world.clone();
        let result = world.apply(step);
        look(Seen { before: &before, step, result: &result, after: &world })?;
    }
    Ok(world)
}

/// Random traces of up to 80 steps.
pub(crate) fn traces() -> impl Strategy<Value = Trace> {
    trace(&Cast::default(), 1..80)
}

/// Runs `check` on many traces, the same ones in every run.
pub(crate) fn same_traces(cases: u32, check: impl Fn(Trace) -> Result<(), TestCaseError>) {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let rng = proptest::test_runner::TestRng::deterministic_rng(config.rng_algorithm);
    TestRunner::new_with_rng(config, rng).run(&traces(), check).unwrap();
}

/// How much of each token an account may gain in a step at most, from PROTOCOL §4's column "effect".
/// Whoever is not named gains nothing.
pub(crate) fn permitted_gains(before: &World, step: &Step) -> BTreeMap<(Address, Address), U256> {
    let mut gains = BTreeMap::<(Address, Address), U256>::new();
    let mut permit = |token, account, amount: U256| {
        let gain = gains.entry((token, account)).or_default();
        *gain = gain.saturating_add(amount);
    };
    let mut seen = Vec::new();
    for terms in step.terms() {
        if seen.contains(&terms) {
            continue;
        }
        seen.push(terms);
        let purse = before.purse(terms);
        let coins = before.balance(NATIVE, purse);
        let due = U256::from(terms.amount) - U256::from(before.state_of(terms.hash()).paid);
        match step {
            Step::Settle { .. } | Step::SettleBatch { .. } => {
                permit(terms.token, terms.payee, due);
                permit(NATIVE, terms.refund_to, coins);
            }
            Step::Pay { .. } => permit(terms.token, terms.payee, due),
            Step::Refund { token, .. } => {
                permit(*token, terms.refund_to, before.balance(*token, purse));
                permit(NATIVE, terms.refund_to, coins);
            }
            Step::RefundByOrder { order, .. } => {
                permit(order.token, order.to, before.balance(order.token, purse));
                permit(NATIVE, if order.token == NATIVE { order.to } else { terms.refund_to }, coins);
            }
            Step::Cancel { .. } | Step::Transfer { .. } | Step::Block { .. } | Step::Warp { .. } => (),
        }
    }
    if let Step::Transfer { token, to, amount, .. } = step {
        permit(*token, *to, *amount);
    }
    gains
}

/// Who may lose anything in a step: who sends, who pays, and the purses of the terms that are named.
pub(crate) fn permitted_losers(before: &World, step: &Step) -> Vec<Address> {
    match step {
        Step::Transfer { from, .. } => vec![*from],
        Step::Pay { caller, .. } => vec![*caller],
        Step::Cancel { .. } => vec![],
        _ => step.terms().iter().map(|terms| before.purse(terms)).collect(),
    }
}

/// Every (token, account) that has something before or after.
pub(crate) fn holdings(before: &World, after: &World) -> Vec<(Address, Address)> {
    let mut all: Vec<_> =
        before.balances().chain(after.balances()).map(|(token, account, _)| (token, account)).collect();
    all.sort_unstable();
    all.dedup();
    all
}
