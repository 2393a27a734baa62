//! The shared random traces on `crates/model` and on the program: those that `crates/model/tests/it/anvil.rs` tells the
//! contracts.
//!
//! Every address of the model stands for one on Solana, a token for a mint; terms get an invoice id for which their addresses
//! exist. After each step are compared: whether and why it was refused, what moved, the events, the state of each terms hash,
//! and what everybody has. A step that Solana has no word for becomes another one, for the model too, or is left out on both
//! sides:
//!
//! | in the trace | on Solana | told instead |
//! | --- | --- | --- |
//! | `settleBatch` | several instructions in one transaction | its items in their order, each as `settle` by the same caller: `AlreadyRan` is not seen |
//! | the native coin is sent to a purse | goes along with no run, only with `refundNative` | nothing |
//! | `refund` of the native coin | `refundNative` | that, and nothing is ever there |
//! | `refundByOrder` | `refundByKey`; the order's signer, or who carries an order without a signature, signs the transaction | that; nothing where the model refuses the order for its nonce, its deadline or its terms hash |
//! | `refundByOrder` of the native coin, `refund` of a token that is no contract | no such account can be named | nothing |
//! | blacklisted | frozen: the person's associated token account | that |
//! | anybody has a balance | whoever pays or is paid needs a token account | that, with an empty account where there is none |
//! | an amount of more than 64 bits | does not fit | one of 64 bits, in the same order |
//!
//! Two names differ: `InvalidOrderTo` is `WrongDestination`, and `TransferFailed` is the token program's own error. Where the
//! token is no mint, `InvalidToken` may come after a rule that the bytes alone break.

use alloy_primitives::U256;
use escrow_interface::{CHAIN, Error, Key, NONE, Terms};
use model::{
    NATIVE, Outcome, Step, World,
    testing::{Cast, FINGERPRINTS, MORE, POCKET, SHARED, Story, fingerprints},
};
use program_tests::{Done, Invoice, Net, Refused, net::escrow, person, sha256, tokens};
use solana_address::Address;
use solana_instruction::{AccountMeta, Instruction};
use std::collections::BTreeMap;

/// The model's addresses, on Solana.
struct Atlas {
    cast: Cast,
    invoices: BTreeMap<alloy_primitives::B256, Invoice>,
    purses: BTreeMap<terms::Address, Address>,
}

impl Atlas {
    fn new(cast: Cast, story: &Story) -> Self {
        let mut atlas = Self { cast: cast.clone(), invoices: BTreeMap::new(), purses: BTreeMap::new() };
        for terms in &story.terms {
            let hash = terms.hash();
            let invoice = Invoice::issue(atlas.terms(terms), hash.as_slice());
            atlas.purses.insert(terms.deposit_address(&cast.here.deployment), invoice.address);
            atlas.invoices.insert(hash, invoice);
        }
        atlas
    }

    fn address(&self, address: terms::Address) -> Address {
        if address.is_zero() {
            Address::default()
        } else if address == self.cast.here.deployment.factory {
            escrow()
        } else if let Some(invoice) = self.purses.get(&address) {
            *invoice
        } else {
            Address::new_from_array(sha256(&[b"model", address.as_slice()]))
        }
    }

    fn terms(&self, terms: &model::InvoiceTerms) -> Terms {
        let key = |address| -> Key { self.address(address).to_bytes() };
        let here = self.cast.here.chain;
        Terms {
            version: terms.version,
            chain: CHAIN.wrapping_add(terms.chain.wrapping_sub(here)),
            invoice_id: NONE,
            payee: key(terms.payee),
            token: key(terms.token),
            amount: units(U256::from(terms.amount)),
            closes_at: i64::try_from(terms.closes_at).unwrap_or(i64::MAX),
            refund_to: key(terms.refund_to),
            refund_key: key(terms.refund_key),
            settler: key(terms.settler),
            // Bit 1 has a meaning here, which it has not there.
            flags: if terms.flags & 2 != 0 { terms.flags | 64 } else { terms.flags },
        }
    }

    fn of(&self, terms: &model::InvoiceTerms) -> &Invoice {
        &self.invoices[&terms.hash()]
    }

    /// The step as an instruction, or nothing where Solana has no such step.
    fn instruction(&self, net: &mut Net, step: &Step) -> Option<Instruction> {
        let known = |token: &terms::Address| self.cast.tokens.contains(token);
        Some(match step {
            Step::Transfer { token, from, to, amount } if known(token) => {
                let (mint, owner) = (self.address(*token), self.address(*from));
                let to = net.fund(self.address(*to), mint, false, 0);
                let accounts = vec![
                    AccountMeta::new(tokens::associated(owner, mint, false).0, false),
                    AccountMeta::new_readonly(mint, false),
                    AccountMeta::new(to, false),
                    AccountMeta::new_readonly(owner, true),
                ];
                let data = [&[12], units(*amount).to_le_bytes().as_slice(), &[6]].concat();
                Instruction { program_id: tokens::program(false), accounts, data }
            }
            Step::Settle { caller, terms } => self.of(terms).settle_by(self.address(*caller)),
            Step::Pay { caller, terms, amount } => {
                let caller = self.address(*caller);
                // Everybody has an account there, if only with nothing in it.
                if known(&terms.token) {
                    net.fund(caller, self.address(terms.token), false, 0);
                }
                self.of(terms).pay_by(caller, caller, units(*amount))
            }
            Step::Cancel { caller, terms } => self.of(terms).cancel(self.address(*caller)),
            Step::Refund { terms, token, .. } if *token == NATIVE => self.of(terms).refund_native(),
            Step::Refund { terms, token, .. } if known(token) => {
                let (invoice, mint) = (self.of(terms), self.address(*token));
                net.fund(invoice.refund_to(), mint, false, 0);
                invoice.refund_of(mint, false, tokens::associated(invoice.address, mint, false).0)
            }
            Step::RefundByOrder { caller, terms, order, signer } if known(&order.token) => {
                let (invoice, mint) = (self.of(terms), self.address(order.token));
                let destination = net.fund(self.address(order.to), mint, false, 0);
                let source = tokens::associated(invoice.address, mint, false).0;
                let key = self.address(signer.unwrap_or(*caller));
                invoice.refund_by_key_of(key, mint, false, source, destination)
            }
            _ => return None,
        })
    }
}

/// The model has 128 bits for what has 64 here. What does not fit (an invoice for all the money there is, half of it, one
/// less) keeps its order.
fn units(amount: U256) -> u64 {
    match (u64::try_from(amount), u128::try_from(amount)) {
        (Ok(amount), _) => amount,
        (_, Err(_)) => u64::MAX,
        (_, Ok(amount)) => {
            let all_ones = amount & amount.wrapping_add(1) == 0;
            u64::MAX - 4 * u64::from(amount.leading_zeros()) - u64::from(!all_ones)
        }
    }
}

/// What there is no word for on Solana.
fn only_there(error: model::Error) -> bool {
    use model::Error::{OrderExpired, OrderForOtherTerms, OrderUsed};
    matches!(error, OrderForOtherTerms | OrderExpired | OrderUsed)
}

fn same_refusal(expected: model::Error, got: &Refused, invoice_token_is_mint: bool) -> bool {
    match (expected, got) {
        // Too little, or frozen.
        (model::Error::TransferFailed, Refused::Other(other)) => {
            let text = format!("{other:?}");
            text.contains("Custom(1)") || text.contains("Custom(17)")
        }
        (model::Error::InvalidOrderTo, Refused::Escrow(Error::WrongDestination)) => true,
        (model::Error::InvalidToken, Refused::Escrow(Error::InvalidPayee | Error::InvalidRefundTo)) => {
            !invoice_token_is_mint
        }
        (expected, Refused::Escrow(got)) => expected.name() == got.name(),
        _ => false,
    }
}

fn agree(atlas: &Atlas, step: &Step, expected: &Result<Outcome, model::Error>, got: &Result<Done, Refused>) {
    match (expected, got) {
        (Err(expected), Err(got)) => {
            let is_mint = step.terms().iter().all(|terms| atlas.cast.tokens.contains(&terms.token));
            assert!(same_refusal(*expected, got, is_mint), "model {expected:?}, program {got:?}: {step:?}");
        }
        (Ok(expected), Ok(got)) => {
            assert_eq!(expected.recorded.len(), got.events.len(), "{step:?}");
            for (expected, got) in expected.recorded.iter().zip(&got.events) {
                let to = atlas.address(expected.to).to_bytes();
                // A cancellation moves nothing, and names nothing.
                let token = if expected.kind == 3 { NONE } else { atlas.address(expected.token).to_bytes() };
                let amount = units(expected.amount);
                assert_eq!((got.token, got.to, got.amount), (token, to, amount), "{step:?}");
                assert_eq!(u128::from(got.paid), expected.paid, "{step:?}");
                assert_eq!((got.kind, got.status), (expected.kind, expected.status), "{step:?}");
                assert_eq!(got.terms_hash, atlas.invoices[&expected.termsHash].hash);
            }
            // What a verb returns there, the event says here.
            if let [event] = got.events.as_slice() {
                assert_eq!(event.amount, units(expected.returned), "{step:?}");
            }
        }
        _ => panic!("model {expected:?}, program {got:?}: {step:?}"),
    }
}

/// What both are told instead of a step: a batch is its items.
fn told(step: &Step) -> Vec<Step> {
    match step {
        Step::SettleBatch { caller, batch } => {
            batch.iter().map(|terms| Step::Settle { caller: *caller, terms: terms.clone() }).collect()
        }
        step => vec![step.clone()],
    }
}

/// How often each kind of step ended how.
type Tally = BTreeMap<String, usize>;

fn play(story: &Story, tally: &mut Tally) {
    let cast = Cast::default();
    let atlas = Atlas::new(cast.clone(), story);
    let mut world = cast.world();
    let mut net = Net::new();
    net.give(person("keeper"), 1_000_000_000_000);
    let people: Vec<Address> = cast.people.iter().map(|person| atlas.address(*person)).collect();
    for token in &cast.tokens {
        net.mint(atlas.address(*token), false);
        for person in &people {
            net.fund(*person, atlas.address(*token), false, POCKET);
        }
    }
    let mut count = |step: &Step, how: &str| {
        let what = format!("{step:?}");
        let verb = what.split(' ').next().unwrap_or_default();
        *tally.entry(format!("{verb} {how}")).or_default() += 1;
    };
    for (timestamp, step) in &story.steps {
        world.warp(*timestamp);
        net.warp(i64::try_from(*timestamp).unwrap());
        for step in told(step) {
            if let Step::Block { token, account, blocked } = step {
                world.block(token, account, blocked);
                net.freeze(tokens::associated(atlas.address(account), atlas.address(token), false).0, blocked);
                count(&step, "done");
                continue;
            }
            let Some(instruction) = atlas.instruction(&mut net, &step) else {
                count(&step, "left out");
                continue;
            };
            let expected = world.apply(&step);
            if expected.as_ref().is_err_and(|error| only_there(*error)) {
                count(&step, "left out");
                continue;
            }
            let got = net.send(&[instruction]);
            count(&step, &expected.as_ref().map_or_else(|error| error.name(), |_| "done".to_owned()));
            agree(&atlas, &step, &expected, &got);
            same_state(&atlas, &world, &net, &step);
        }
    }
}

/// Records and balances are what the model says.
fn same_state(atlas: &Atlas, world: &World, net: &Net, step: &Step) {
    for (hash, invoice) in &atlas.invoices {
        let slot = world.state_of(*hash);
        let record = invoice.record(net).map_or((0, 0, 0), |record| (record.paid, record.status, record.since));
        let wanted = (slot.paid, slot.status.as_u8(), slot.since);
        assert_eq!((u128::from(record.0), record.1, u64::try_from(record.2).unwrap()), wanted, "after {step:?}");
    }
    for account in atlas.cast.people.iter().chain(atlas.purses.keys()) {
        for token in &atlas.cast.tokens {
            let there = net.balance(tokens::associated(atlas.address(*account), atlas.address(*token), false).0);
            assert_eq!(U256::from(there), world.balance(*token, *account), "{account} after {step:?}");
        }
    }
}

#[test]
fn program_and_model_agree_on_the_shared_random_traces() {
    let stories: Vec<_> = SHARED.map(|seed| Story::of_seed(seed).unwrap()).collect();
    assert!(fingerprints(&stories) == FINGERPRINTS, "the generator or the model is not the one of the vectors");
    let more = if std::env::var_os("MONAY_LONG").is_some() { MORE } else { 0..0 };
    let mut tally = Tally::new();
    for story in stories.into_iter().chain(more.map(|seed| Story::of_seed(seed).unwrap())) {
        println!("story {}", story.seed);
        play(&story, &mut tally);
    }
    println!("{tally:#?}");
    // Traces in which nothing happens prove nothing.
    for seen in [
        "Transfer done",
        "Settle done",
        "Pay done",
        "Cancel done",
        "Refund done",
        "RefundByOrder done",
        "Block done",
        "Settle Closed",
        "Settle NotSettler",
        "Settle NotFunded",
        "Pay PayerIsPayee",
        "Refund NotRefundable",
        "Refund NothingDue",
        "RefundByOrder NotRefundKey",
        "RefundByOrder NoRefundKey",
        "RefundByOrder InvalidOrderTo",
    ] {
        assert!(tally.contains_key(seen), "{seen} was never seen in {tally:#?}");
    }
}
