//! The same random traces, told to the model and to the contracts on Anvil. After every step both must have done the
//! same: the same refusal or the same effect, the same events, states and balances, and no trace of a purse.

mod chain;

use alloy::primitives::{Bytes, U256};
use chain::Chain;
use model::{
    Error, NATIVE, Outcome, Recorded, RefundOrder, Slot, Status, Step, WAIT_SECONDS, World,
    testing::{Cast, Trace, trace},
};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Write};
use std::ops::Range;
use terms::{Address, B256, InvoiceTerms, MAX_LIFETIME_SECONDS};

/// How many traces, and how many steps in each. With `MONAY_LONG=1` more: minutes.
fn extent() -> (usize, Range<usize>) {
    if std::env::var("MONAY_LONG").is_ok_and(|value| value == "1") { (600, 20..81) } else { (100, 30..31) }
}

/// What a step did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Did {
    returned: U256,
    recorded: Vec<Recorded>,
    /// Terms hash and name of the error.
    failed: Vec<(B256, String)>,
}

impl From<Outcome> for Did {
    fn from(outcome: Outcome) -> Self {
        let failed = outcome.failed.iter().map(|failed| (failed.terms_hash, failed.reason.name())).collect();
        Self { returned: outcome.returned, recorded: outcome.recorded, failed }
    }
}

/// A trace with the second of each step's block.
#[derive(Clone)]
struct Story {
    /// All terms that the trace names.
    terms: Vec<InvoiceTerms>,
    steps: Vec<(u64, Step)>,
}

impl Story {
    fn new(chain: &Chain, trace: &Trace) -> Self {
        let cast = chain.cast();
        let opening = dust(cast, &trace.invoices);
        let steps = opening.into_iter().chain(trace.steps.iter().cloned()).map(|step| playable(chain, step)).collect();
        let trace = Trace { steps, invoices: trace.invoices.clone() };

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
        steps.extend((end + 1..).zip(in_the_end(cast, &trace.invoices)));
        Self { terms: trace.terms(), steps }
    }
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
fn playable(chain: &Chain, step: Step) -> Step {
    match step {
        Step::RefundByOrder { terms, order, signer: Some(signer), .. } if !chain.has_key(signer) => {
            Step::RefundByOrder { caller: signer, terms, order, signer: None }
        }
        step => step,
    }
}

/// What is looked at after every step.
struct Watched {
    /// Everybody, the contracts, the zero address, and every purse.
    accounts: Vec<Address>,
    /// Terms hash and purse of all terms that are named in the trace.
    terms: Vec<(B256, Address)>,
}

impl Watched {
    fn new(cast: &Cast, story: &Story) -> Self {
        let deployment = cast.here.deployment;
        let terms: Vec<_> =
            story.terms.iter().map(|terms| (terms.hash(), terms.deposit_address(&deployment))).collect();
        // Transfers go to the purses of terms that no verb names, too.
        let receivers = story.steps.iter().filter_map(|(_, step)| match step {
            Step::Transfer { to, .. } => Some(*to),
            _ => None,
        });
        let contracts = cast.tokens.iter().copied().chain([deployment.factory, Address::ZERO]);
        let purses = terms.iter().map(|(_, purse)| *purse);
        let accounts: BTreeSet<_> =
            cast.people.iter().copied().chain(contracts).chain(purses).chain(receivers).collect();
        Self { accounts: accounts.into_iter().collect(), terms }
    }
}

/// What is there after a step.
#[derive(Debug, Default, PartialEq, Eq)]
struct View {
    slots: BTreeMap<B256, Slot>,
    /// By token and account; token 0 is the native coin.
    balances: BTreeMap<(Address, Address), U256>,
    /// Code and nonce.
    purses: BTreeMap<Address, (Bytes, u64)>,
}

impl View {
    /// What the model says is there.
    fn of(world: &World, cast: &Cast, watched: &Watched) -> Self {
        let coins = || cast.tokens.iter().copied().chain([NATIVE]);
        let balances = watched.accounts.iter().flat_map(|&account| coins().map(move |token| (token, account)));
        let view = Self {
            slots: watched.terms.iter().map(|(hash, _)| (*hash, world.state_of(*hash))).collect(),
            balances: balances.map(|(token, account)| ((token, account), world.balance(token, account))).collect(),
            purses: watched.terms.iter().map(|(_, purse)| (*purse, (Bytes::new(), 0))).collect(),
        };
        for (token, account, _) in world.balances() {
            assert!(view.balances.contains_key(&(token, account)), "{account} has something and is not looked at");
        }
        view
    }
}

/// One line for each entry that is not the same.
fn differences<K: Ord + Debug, V: PartialEq + Debug>(
    what: &str,
    model: &BTreeMap<K, V>,
    chain: &BTreeMap<K, V>,
) -> String {
    let mut lines = String::new();
    for key in model.keys().chain(chain.keys().filter(|key| !model.contains_key(key))) {
        let (model, chain) = (model.get(key), chain.get(key));
        if model != chain {
            let _ = writeln!(lines, "{what} {key:?}\n  model    {model:?}\n  contract {chain:?}");
        }
    }
    lines
}

/// How often each kind of step ended how.
type Tally = BTreeMap<(&'static str, String), usize>;

#[test]
fn contract_and_model_agree_on_random_traces() {
    let (traces, steps) = extent();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut chain = Chain::start().await;
        let mut tally = Tally::new();
        let strategy = trace(chain.cast(), steps);
        let mut runner = TestRunner::deterministic();
        for _ in 0..traces {
            let trace = strategy.new_tree(&mut runner).unwrap().current();
            let story = Story::new(&chain, &trace);
            if let Err(difference) = replay(&mut chain, &story, &mut tally).await {
                let (story, difference) = shorten(&mut chain, story, difference).await;
                panic!("{}", report(chain.cast(), &story, &difference));
            }
        }
        has_seen_enough(&tally);
    });
}

/// Where the two part.
struct Difference {
    /// After how many steps; the last one is the first with a difference.
    steps: usize,
    text: String,
}

/// Does the steps on both, from the beginning.
async fn replay(chain: &mut Chain, story: &Story, tally: &mut Tally) -> Result<(), Difference> {
    let cast = chain.cast().clone();
    let watched = Watched::new(&cast, story);
    let mut world = cast.world();
    chain.rewind().await;

    for (done, (timestamp, step)) in story.steps.iter().enumerate() {
        world.warp(*timestamp);
        let expected = world.apply(step).map(Did::from).map_err(Error::name);
        let got = chain.perform(step, *timestamp).await;
        count(tally, step, &expected);
        let mut text = String::new();
        if expected != got {
            let _ = writeln!(text, "the outcome\n  model    {expected:?}\n  contract {got:?}");
        }
        let (model, chain) = (View::of(&world, &cast, &watched), chain.look(&watched).await);
        text += &differences("state of", &model.slots, &chain.slots);
        text += &differences("balance of (token, account)", &model.balances, &chain.balances);
        text += &differences("(code, nonce) at", &model.purses, &chain.purses);
        if !text.is_empty() {
            return Err(Difference { steps: done + 1, text });
        }
    }

    let now = world.here().timestamp + 1;
    world.warp(now);
    let latest = now + MAX_LIFETIME_SECONDS;
    let at_the_limit = story.terms.iter().take(1).flat_map(|terms| {
        [latest, latest + 1].map(|closes_at| InvoiceTerms { chain: cast.here.chain, closes_at, ..terms.clone() })
    });
    let all: Vec<_> = story.terms.iter().cloned().chain(at_the_limit).collect();
    let expected = all.iter().map(|terms| world.escrow_of(terms).map_err(Error::name));
    for ((terms, expected), got) in all.iter().zip(expected).zip(chain.escrow_of(&all, now).await) {
        if expected != got {
            let text = format!("escrowOf {terms:?}\n  model    {expected:?}\n  contract {got:?}\n");
            return Err(Difference { steps: story.steps.len(), text });
        }
    }
    Ok(())
}

/// Leaves out every step without which there is still a difference.
async fn shorten(chain: &mut Chain, mut story: Story, mut difference: Difference) -> (Story, Difference) {
    story.steps.truncate(difference.steps);
    for index in (0..story.steps.len()).rev() {
        if index >= story.steps.len() {
            continue;
        }
        let mut shorter = story.clone();
        shorter.steps.remove(index);
        if let Err(still) = replay(chain, &shorter, &mut Tally::new()).await {
            shorter.steps.truncate(still.steps);
            (story, difference) = (shorter, still);
        }
    }
    (story, difference)
}

/// All that is needed to see what went wrong: who is who, the steps, and the difference after the last one.
fn report(cast: &Cast, story: &Story, difference: &Difference) -> String {
    let mut text = String::from("contract and model do not agree after the last of these steps\n\n");
    for (timestamp, step) in &story.steps {
        let _ = writeln!(text, "start + {} s: {step:?}", timestamp - cast.here.timestamp);
    }
    let _ = writeln!(text, "\n{}", difference.text);

    let mut names = Vec::new();
    let mut legend = String::new();
    for (terms, i) in story.terms.iter().zip(1..) {
        let name = format!("TERMS_{i}");
        text = text.replace(&format!("{terms:?}"), &name);
        if text.contains(&name) {
            let _ = writeln!(legend, "{name} is {terms:?}");
        }
        names.push((terms.hash().to_string(), format!("HASH_{i}")));
        names.push((terms.deposit_address(&cast.here.deployment).to_string(), format!("PURSE_{i}")));
    }
    text = format!("{text}START is {}\n{legend}", cast.here.timestamp);
    names.push((cast.here.deployment.factory.to_string(), "ESCROW".to_owned()));
    names.extend(cast.people.iter().zip(1..).map(|(person, i)| (person.to_string(), format!("PERSON_{i}"))));
    names.extend(cast.tokens.iter().zip(1..).map(|(token, i)| (token.to_string(), format!("TOKEN_{i}"))));
    names.push((Address::ZERO.to_string(), "ZERO".to_owned()));
    names.iter().fold(text, |text, (address, name)| text.replace(address, name).replace(&address.to_lowercase(), name))
}

fn count(tally: &mut Tally, step: &Step, result: &Result<Did, String>) {
    let verb = match step {
        Step::Transfer { .. } => "transfer",
        Step::Settle { .. } => "settle",
        Step::SettleBatch { .. } => "settleBatch",
        Step::Pay { .. } => "pay",
        Step::Cancel { .. } => "cancel",
        Step::Refund { .. } => "refund",
        Step::RefundByOrder { .. } => "refundByOrder",
        Step::Block { .. } => "block",
        Step::Warp { .. } => return,
    };
    match result {
        Ok(did) => {
            *tally.entry((verb, "done".into())).or_default() += 1;
            for (_, reason) in &did.failed {
                *tally.entry(("an item", reason.clone())).or_default() += 1;
            }
        }
        Err(error) => *tally.entry((verb, error.clone())).or_default() += 1,
    }
}

/// A comparison of nothing would succeed too: each verb was carried out, and most refusals were seen.
fn has_seen_enough(tally: &Tally) {
    for ((verb, ended), times) in tally {
        println!("{verb:>13} {ended:<20} {times:>6}");
    }
    for verb in ["transfer", "settle", "settleBatch", "pay", "cancel", "refund", "refundByOrder", "block"] {
        assert!(tally.contains_key(&(verb, "done".into())), "no {verb} was carried out");
    }
    let seen: BTreeSet<&str> = tally.keys().map(|(_, ended)| ended.as_str()).collect();
    let missing: Vec<_> = Error::ALL.iter().map(|error| error.name()).filter(|name| !seen.contains(&**name)).collect();
    println!("never refused with: {missing:?}");
    // Two need more than such traces have: a purse that is filled in the middle of a batch, a sum that does not fit.
    assert!(missing.len() <= 4, "too little was refused; never with {missing:?}");
}
