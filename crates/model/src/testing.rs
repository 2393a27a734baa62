//! Random invoices and traces for proptest. Callers are hostile, terms are forged, time jumps to the second that
//! matters, and amounts lie at, below and above what is due.
//!
//! A test that drives a real chain takes the [`Story`] of a seed and gives each step both to the chain and to
//! [`World::apply`]: on every chain the same stories.

mod story;

pub use story::{FINGERPRINTS, MORE, SHARED, Story, fingerprints};

use crate::{InvoiceTerms, NATIVE, RefundOrder, Step, World};
use alloy_primitives::{U256, address};
use proptest::{collection::vec, prelude::*, sample::Index};
use std::ops::Range;
use terms::{Address, Deployment, FLAG_PARTIALS, Here, MAX_LIFETIME_SECONDS, VERSION};

/// What everybody in [`Cast::people`] starts with, of each token and of the native coin.
pub const POCKET: u64 = 1_000_000;

const HOUR: u64 = 60 * 60;
const DAY: u64 = 24 * HOUR;

/// Who and what is there when a trace begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cast {
    /// Chain, time and escrow at the beginning.
    pub here: Here,
    /// Token contracts; at least two.
    pub tokens: Vec<Address>,
    /// Everybody: payees, customers, settlers, refund keys and thieves; at least five. Any of them plays any part.
    pub people: Vec<Address>,
}

impl Default for Cast {
    /// The one on Anvil: our contracts are there, and it has these people's keys. Elsewhere each of them stands for somebody.
    fn default() -> Self {
        let deployment = Deployment::version_1(address!("0x7dcded4c64f3689b7c8a2232194242fdf760622f"));
        Self {
            here: Here { chain: 8453, timestamp: 1_790_000_000, deployment },
            tokens: vec![
                address!("0x2c019732057f47e65f55f276cab5195571e702b2"),
                address!("0x5b92b047fe8d488a5497ca4ad1ffaee089621f85"),
            ],
            people: vec![
                address!("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"),
                address!("0x70997970C51812dc3A010C7d01b50e0d17dc79C8"),
                address!("0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"),
                address!("0x90F79bf6EB2c4f870365E785982E1f101E93b906"),
                address!("0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65"),
                address!("0x9965507D1a55bcC2695C58ba16FB37d819B0A4dc"),
            ],
        }
    }
}

impl Cast {
    /// The world at the beginning: everybody has [`POCKET`] of everything.
    pub fn world(&self) -> World {
        let mut world = World::new(self.here);
        for &token in &self.tokens {
            world.deploy_token(token);
        }
        for &token in self.tokens.iter().chain([&NATIVE]) {
            for &person in &self.people {
                // A handful of pockets is far from 2^256.
                let _ = world.mint(token, person, U256::from(POCKET));
            }
        }
        world
    }
}

/// Invoices and what happens to them.
#[derive(Clone, Debug)]
pub struct Trace {
    /// The invoices as they were issued. Steps may name others: forged ones.
    pub invoices: Vec<InvoiceTerms>,
    /// In order; [`Step::Warp`] never goes back.
    pub steps: Vec<Step>,
}

impl Trace {
    /// The same steps, each at a second of its own, one after the previous one unless a warp says otherwise: what a
    /// chain does that makes one block for each transaction.
    pub fn one_block_per_step(&self, start: u64) -> Vec<Step> {
        let mut clock = start;
        let mut warped = false;
        let mut steps = Vec::with_capacity(2 * self.steps.len());
        for step in &self.steps {
            let timestamp = match step {
                Step::Warp { timestamp } if *timestamp > clock => *timestamp,
                Step::Warp { .. } => continue,
                _ if warped => clock,
                _ => clock.saturating_add(1),
            };
            if timestamp > clock {
                clock = timestamp;
                steps.push(Step::Warp { timestamp });
            }
            warped = matches!(step, Step::Warp { .. });
            if !warped {
                steps.push(step.clone());
            }
        }
        steps
    }

    /// All terms in the trace, issued and forged, without repetition.
    pub fn terms(&self) -> Vec<InvoiceTerms> {
        let mut all: Vec<InvoiceTerms> = Vec::new();
        for terms in self.invoices.iter().chain(self.steps.iter().flat_map(Step::terms)) {
            if !all.contains(terms) {
                all.push(terms.clone());
            }
        }
        all
    }
}

/// Traces of `steps` steps over one to three invoices.
pub fn trace(cast: &Cast, steps: Range<usize>) -> impl Strategy<Value = Trace> + use<> {
    let cast = cast.clone();
    vec(invoice(&cast), 1..4).prop_flat_map(move |invoices| {
        let start = cast.here.timestamp;
        let drafts = vec(draft(&cast, &invoices), steps.clone());
        drafts.prop_map(move |drafts| Trace { invoices: invoices.clone(), steps: with_clock(start, drafts) })
    })
}

/// One invoice: mostly an ordinary one, now and then another chain's, or one for all the money there is.
pub fn invoice(cast: &Cast) -> impl Strategy<Value = InvoiceTerms> + use<> {
    let here = cast.here;
    let one_of = |all: &[Address]| proptest::sample::select(all.to_vec());
    let perhaps = |all: &[Address]| prop_oneof![2 => Just(Address::ZERO), 3 => one_of(all)];
    let chain = prop_oneof![14 => Just(here.chain), 1 => Just(here.chain.wrapping_add(1))];
    let amount = prop_oneof![4 => 1u128..=9, 8 => 100u128..=1_000, 1 => Just(u128::MAX)];
    let partials = prop_oneof![1 => Just(0), 2 => Just(FLAG_PARTIALS)];
    let lifetime = prop_oneof![3 => HOUR..=3 * DAY, 1 => DAY..=60 * DAY, 1 => Just(MAX_LIFETIME_SECONDS)];
    (
        (chain, any::<[u8; 32]>(), one_of(&cast.people), one_of(&cast.tokens), amount, lifetime),
        (one_of(&cast.people), perhaps(&cast.people), perhaps(&cast.people), partials),
    )
        .prop_map(
            move |((chain, invoice_id, payee, token, amount, lifetime), (refund_to, refund_key, settler, flags))| {
                InvoiceTerms {
                    version: VERSION,
                    chain,
                    invoice_id: invoice_id.into(),
                    payee,
                    token,
                    amount,
                    closes_at: here.timestamp.saturating_add(lifetime),
                    refund_to,
                    refund_key,
                    // A payee cannot be his own settler; drawn as such, anyone may settle.
                    settler: if settler == payee { Address::ZERO } else { settler },
                    flags,
                }
            },
        )
}

/// `terms` with exactly one field changed, to something an attacker might like.
pub fn forge(cast: &Cast, terms: InvoiceTerms) -> impl Strategy<Value = InvoiceTerms> + use<> {
    let people = [cast.people.as_slice(), &[Address::ZERO, cast.here.deployment.factory]].concat();
    let tokens = [cast.tokens.as_slice(), &cast.people[..1], &[Address::ZERO]].concat();
    (0usize..11, any::<Index>(), any::<bool>()).prop_map(move |(field, pick, up)| {
        let step = |value: u64| if up { value.wrapping_add(1) } else { value.wrapping_sub(1) };
        let person = *pick.get(&people);
        let mut forged = terms.clone();
        match field {
            0 => forged.version = if up { 2 } else { 0 },
            1 => forged.chain = step(forged.chain),
            2 => forged.invoice_id = !forged.invoice_id,
            3 => forged.payee = person,
            4 => forged.token = *pick.get(&tokens),
            5 => forged.amount = *pick.get(&[0, 1, u128::MAX, forged.amount / 2, forged.amount.saturating_mul(2)]),
            6 => forged.closes_at = *pick.get(&[0, 1, u64::MAX, step(forged.closes_at), forged.closes_at / 2]),
            7 => forged.refund_to = person,
            8 => forged.refund_key = person,
            9 => forged.settler = person,
            _ => forged.flags = if up { forged.flags ^ FLAG_PARTIALS } else { 1 << (1 + pick.index(7)) },
        }
        forged
    })
}

/// A step, or a wish about time that has no absolute value yet.
#[derive(Clone, Debug)]
enum Draft {
    Step(Box<Step>),
    After(u64),
    At(u64),
}

impl Draft {
    fn step(step: Step) -> Self {
        Self::Step(Box::new(step))
    }
}

/// Gives each wish about time its timestamp. What would go back is left out.
fn with_clock(start: u64, drafts: Vec<Draft>) -> Vec<Step> {
    let mut clock = start;
    let mut steps = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let timestamp = match draft {
            Draft::Step(step) => {
                steps.push(*step);
                continue;
            }
            Draft::After(seconds) => clock.saturating_add(seconds),
            Draft::At(timestamp) => timestamp,
        };
        if timestamp > clock {
            clock = timestamp;
            steps.push(Step::Warp { timestamp });
        }
    }
    steps
}

fn draft(cast: &Cast, invoices: &[InvoiceTerms]) -> impl Strategy<Value = Draft> + use<> {
    let any_terms = terms_near(cast, invoices);
    let people = cast.people.clone();
    let coins = [cast.tokens.as_slice(), &[NATIVE]].concat();
    let deployment = cast.here.deployment;

    // Who asks: mostly the one who may, else anybody.
    let caller = {
        let people = people.clone();
        move |right: Address, pick: (u8, Index)| {
            if pick.0 < 6 && !right.is_zero() { right } else { *pick.1.get(&people) }
        }
    };
    let pick = || (0u8..10, any::<Index>());

    let transfer = {
        let (people, coins) = (people.clone(), coins.clone());
        (any_terms.clone(), pick(), amount(), any::<Index>()).prop_map(move |(terms, coin, amount, from)| {
            // Only what exists: a call to an address without code "succeeds" and moves nothing.
            let asked = coin.0 < 8 && coins.contains(&terms.token);
            Step::Transfer {
                token: if asked { terms.token } else { *coin.1.get(&coins) },
                from: *from.get(&people),
                to: terms.deposit_address(&deployment),
                amount: amount.of(&terms),
            }
        })
    };
    let settle = {
        let caller = caller.clone();
        (any_terms.clone(), pick())
            .prop_map(move |(terms, who)| Step::Settle { caller: caller(terms.settler, who), terms })
    };
    let settle_batch = {
        let caller = caller.clone();
        (vec(any_terms.clone(), 0..5), pick()).prop_map(move |(batch, who)| {
            let settler = batch.first().map_or(Address::ZERO, |terms| terms.settler);
            Step::SettleBatch { caller: caller(settler, who), batch }
        })
    };
    let pay = {
        let caller = caller.clone();
        (any_terms.clone(), pick(), amount()).prop_map(move |(terms, who, amount)| Step::Pay {
            caller: caller(terms.settler, who),
            amount: amount.of(&terms),
            terms,
        })
    };
    let cancel = {
        let caller = caller.clone();
        (any_terms.clone(), pick(), any::<bool>()).prop_map(move |(terms, who, by_payee)| Step::Cancel {
            caller: caller(if by_payee { terms.payee } else { terms.settler }, who),
            terms,
        })
    };
    let refund = {
        let caller = caller.clone();
        // The last one is no token at all.
        let coins = [coins.as_slice(), &cast.people[..1]].concat();
        (any_terms.clone(), pick(), pick()).prop_map(move |(terms, who, coin)| Step::Refund {
            caller: caller(Address::ZERO, who),
            token: if coin.0 < 7 { terms.token } else { *coin.1.get(&coins) },
            terms,
        })
    };
    let order = {
        let (people, coins, invoices) = (people.clone(), coins.clone(), invoices.to_vec());
        (any_terms, [pick(), pick(), pick(), pick(), pick()], 0u8..2).prop_map(
            move |(terms, [who, coin, to, time, sign], nonce)| {
                let token = if coin.0 < 7 { terms.token } else { *coin.1.get(&coins) };
                let purse = terms.deposit_address(&deployment);
                let other = time.1.get(&invoices).hash();
                let order = RefundOrder {
                    termsHash: if time.0 == 0 { other } else { terms.hash() },
                    token,
                    to: match to.0 {
                        0..6 => terms.refund_to,
                        6..9 => *to.1.get(&people),
                        _ => *to.1.get(&[NATIVE, deployment.factory, purse, token]),
                    },
                    nonce: U256::from(nonce),
                    deadline: if time.0 < 7 { U256::MAX } else { U256::from(terms.closes_at) },
                };
                let (caller, signer) = match sign.0 {
                    0..=1 => (caller(terms.refund_key, who), None),
                    2 => (*who.1.get(&people), Some(*sign.1.get(&people))),
                    _ => (*who.1.get(&people), Some(terms.refund_key)),
                };
                // Nobody signs for the zero address: ecrecover's failure is refused before it is compared.
                let signer = signer.filter(|signer| !signer.is_zero());
                Step::RefundByOrder { caller, terms, order, signer }
            },
        )
    };
    let block = {
        let tokens = cast.tokens.clone();
        (any::<Index>(), any::<Index>(), any::<bool>()).prop_map(move |(token, account, blocked)| Step::Block {
            token: *token.get(&tokens),
            account: *account.get(&people),
            blocked,
        })
    };
    let time = {
        let invoices = invoices.to_vec();
        let near_closing = (any::<Index>(), 0u64..3, any::<bool>()).prop_map(move |(invoice, around, much_later)| {
            let closes_at = invoice.get(&invoices).closes_at;
            let later = if much_later { crate::WAIT_SECONDS } else { 0 };
            Draft::At(closes_at.saturating_add(later).saturating_add(around).saturating_sub(1))
        });
        let later = prop_oneof![6 => 1..=HOUR, 1 => Just(DAY), 1 => Just(crate::WAIT_SECONDS)].prop_map(Draft::After);
        prop_oneof![1 => near_closing, 2 => later]
    };
    prop_oneof![
        14 => transfer.prop_map(Draft::step),
        10 => settle.prop_map(Draft::step),
        3 => settle_batch.prop_map(Draft::step),
        4 => pay.prop_map(Draft::step),
        2 => cancel.prop_map(Draft::step),
        6 => refund.prop_map(Draft::step),
        6 => order.prop_map(Draft::step),
        1 => block.prop_map(Draft::step),
        3 => time,
    ]
}

/// One of the invoices, or one of them forged.
fn terms_near(cast: &Cast, invoices: &[InvoiceTerms]) -> BoxedStrategy<InvoiceTerms> {
    let cast = cast.clone();
    let issued = proptest::sample::select(invoices.to_vec());
    let forged = issued.clone().prop_flat_map(move |terms| forge(&cast, terms));
    prop_oneof![6 => issued, 1 => forged].boxed()
}

/// An amount as seen from an invoice.
#[derive(Clone, Copy, Debug)]
enum Amount {
    Dust,
    Half,
    Less,
    Exact,
    More,
    Double,
    Enormous,
}

impl Amount {
    fn of(self, terms: &InvoiceTerms) -> U256 {
        let amount = U256::from(terms.amount);
        match self {
            Self::Dust => U256::ONE,
            Self::Half => amount / U256::from(2),
            Self::Less => amount.saturating_sub(U256::ONE),
            Self::Exact => amount,
            Self::More => amount + U256::ONE,
            Self::Double => amount + amount,
            Self::Enormous => U256::MAX,
        }
    }
}

fn amount() -> impl Strategy<Value = Amount> + Clone {
    prop_oneof![
        3 => Just(Amount::Dust),
        5 => Just(Amount::Half),
        1 => Just(Amount::Less),
        6 => Just(Amount::Exact),
        1 => Just(Amount::More),
        2 => Just(Amount::Double),
        1 => Just(Amount::Enormous),
    ]
}
