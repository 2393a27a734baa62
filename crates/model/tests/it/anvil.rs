//! The shared random traces, told to the model and to the contracts on Anvil. After every step both must have done the
//! same: the same refusal or the same effect, the same events, states and balances, and no trace of a purse.
//!
//! Every step is one transaction in a block of its own. `programs/tests/tests/it/model.rs` tells the same ones to the program.

mod chain;

use alloy::primitives::{Bytes, U256};
use chain::Chain;
use model::{
    Error, NATIVE, Outcome, Recorded, Slot, Step, World,
    testing::{Cast, FINGERPRINTS, MORE, SHARED, Story, fingerprints},
};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Write};
use terms::{Address, B256, InvoiceTerms, MAX_LIFETIME_SECONDS};

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
fn contract_and_model_agree_on_the_shared_random_traces() {
    let stories: Vec<_> = SHARED.map(|seed| Story::of_seed(seed).unwrap()).collect();
    assert!(fingerprints(&stories) == FINGERPRINTS, "the generator or the model is not the one of the vectors");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut chain = Chain::start().await;
        let mut tally = Tally::new();
        // Minutes.
        let more = if std::env::var_os("MONAY_LONG").is_some() { MORE } else { 0..0 };
        for story in stories.into_iter().chain(more.map(|seed| Story::of_seed(seed).unwrap())) {
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
    let mut text = format!("contract and model do not agree after the last of these steps of story {}\n\n", story.seed);
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
