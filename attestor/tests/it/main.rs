//! What an attestor signs and what not, decided from what it has seen.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod providers;

use alloy_primitives::{Address, B256};
use attestor::decide::{Rail, Refusal as R, Seen, deposit, reserve};
use attestor::log::{Entry, History, SignedDeposit};
use attestor::statement::Shown;
use domain::mint::MintState;
use domain::money::Units;
use domain::receipt::{FiatRail, ReceiptState};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use store::mints::{Booked, Live, Order, ReserveOrder};
use terms::{DepositAttestation, GateKind, InvoiceTerms, MintGate, ReserveAttestation};
use uuid::Uuid;

const BASE: u64 = 8453;
const TEMPO: u64 = 4217;
const GATE: Address = Address::repeat_byte(0x9a);
const TOKEN: Address = Address::repeat_byte(0x70);
const DEPOSIT: B256 = B256::repeat_byte(1);
const RECEIPT: Uuid = Uuid::from_u128(7);

fn terms() -> InvoiceTerms {
    InvoiceTerms {
        version: 1,
        chain: BASE,
        invoice_id: B256::repeat_byte(2),
        payee: Address::repeat_byte(0x11),
        token: TOKEN,
        amount: 150,
        closes_at: 1_000_000,
        refund_to: Address::repeat_byte(0x33),
        refund_key: Address::ZERO,
        settler: Address::repeat_byte(0x55),
        flags: 0,
    }
}

fn order() -> Order {
    Order {
        deposit_id: DEPOSIT,
        attempt: 1,
        receipt_id: Some(RECEIPT),
        invoice_id: "inv-1".to_owned(),
        rail: "monay".to_owned(),
        gate: GATE.into(),
        terms_hash: terms().hash(),
        terms: terms().into(),
        units: 150,
        valid_until: 1_900,
        state: MintState::Wanted,
    }
}

fn rail(chain: u64) -> Rail {
    Rail {
        gate: MintGate { kind: GateKind::Mint, chain, address: GATE },
        token: TOKEN,
        now: 1_000,
        final_now: 990,
        issued: 100,
        allocation: 400,
        nonce: 3,
        used: BTreeSet::new(),
    }
}

fn seen() -> Seen {
    Seen {
        booked: Some(Booked {
            receipt_id: RECEIPT,
            invoice_id: Some("inv-1".to_owned()),
            state: ReceiptState::Cleared,
            mintable: Units(150),
            gross: Units(150),
            provider: "bank".to_owned(),
            rail: FiatRail::Wire,
            request: "A-1".to_owned(),
            reference: None,
        }),
        shown: Shown::In(Units(150)),
        rails: vec![rail(BASE), rail(TEMPO)],
        live: vec![],
        reserve: Units(800),
    }
}

fn signed(chain: u64, attempt: u32, valid_until: u64) -> SignedDeposit {
    let attestation =
        DepositAttestation { deposit_id: DEPOSIT, terms_hash: terms().hash(), token: TOKEN, amount: 150, valid_until };
    SignedDeposit { attempt, chain, gate: GATE.to_string(), attestation, signature: vec![0; 65].into() }
}

fn history(signed: impl IntoIterator<Item = SignedDeposit>) -> History {
    let mut history = History::default();
    for signed in signed {
        history.deposits.entry(signed.attestation.deposit_id).or_default().push(signed);
    }
    history
}

#[test]
fn what_books_and_statement_both_show_is_signed_as_it_was_ordered() {
    let told = deposit(&order(), &seen(), &History::default()).unwrap();
    let expected = DepositAttestation {
        deposit_id: DEPOSIT,
        terms_hash: terms().hash(),
        token: TOKEN,
        amount: 150,
        valid_until: 1_900,
    };
    assert_eq!(told, expected);
}

type Change = fn(&mut Order, &mut Seen);

/// Every reason there is: what differs, and what is said.
#[test]
fn nothing_else_is_signed() {
    let booked = |state| R::NotCleared(state);
    let rows: Vec<(Change, R)> = vec![
        (|_, seen| seen.rails.clear(), R::NoGate(BASE)),
        (|order, _| order.gate = TOKEN.into(), R::OtherGate { order: TOKEN.to_string(), ours: GATE }),
        (|order, _| order.terms_hash = B256::ZERO, R::OtherTerms { order: B256::ZERO, found: terms().hash() }),
        (|_, seen| seen.rails[0].token = GATE, R::OtherToken { terms: TOKEN.to_string(), ours: GATE }),
        (|order, _| change(order, |terms| terms.flags = 1), R::WrongTerms),
        (|order, _| change(order, |terms| terms.payee = GATE), R::WrongTerms),
        (|_, seen| seen.booked = None, R::NotBooked),
        (|_, seen| book(seen, |booked| booked.state = ReceiptState::Held), booked(ReceiptState::Held)),
        (|_, seen| book(seen, |booked| booked.state = ReceiptState::Minted), booked(ReceiptState::Minted)),
        (|_, seen| book(seen, |booked| booked.state = ReceiptState::ChargedBack), booked(ReceiptState::ChargedBack)),
        (|order, _| order.receipt_id = None, R::OtherReceipt),
        (|order, _| order.receipt_id = Some(Uuid::from_u128(8)), R::OtherReceipt),
        (
            |_, seen| book(seen, |booked| booked.invoice_id = None),
            R::OtherInvoice { booked: "none".to_owned(), order: "inv-1".to_owned() },
        ),
        (
            |order, _| order.invoice_id = "inv-2".to_owned(),
            R::OtherInvoice { booked: "inv-1".to_owned(), order: "inv-2".to_owned() },
        ),
        (|order, _| order.units = 151, R::OtherAmount { order: 151, booked: 150 }),
        (|_, seen| book(seen, |booked| booked.mintable = Units(149)), R::OtherAmount { order: 150, booked: 149 }),
        (|_, seen| seen.shown = Shown::Nothing, R::NotShown),
        (|_, seen| seen.shown = Shown::TakenBack, R::TakenBack),
        (|_, seen| seen.shown = Shown::In(Units(149)), R::ShownLess { shown: 149, order: 150 }),
        (|order, _| order.valid_until = 1_901, R::TooLong { until: 1_901, most: 1_900 }),
        (|order, _| order.valid_until = 1_000, R::Over { until: 1_000, now: 1_000 }),
        (|_, seen| use_up(seen, 0), R::Used(BASE)),
        (|_, seen| use_up(seen, 1), R::Used(TEMPO)),
        (|_, seen| seen.reserve = Units(799), R::AboveReserve { wanted: 800, reserve: 799 }),
        // Above what was allocated to the rail.
        (|_, seen| seen.rails[0].issued = 251, R::AboveReserve { wanted: 801, reserve: 800 }),
        (|_, seen| seen.live.push(live(TEMPO, 9, 301, 990)), R::AboveReserve { wanted: 801, reserve: 800 }),
    ];
    for (row, (differs, said)) in rows.into_iter().enumerate() {
        let (mut order, mut seen) = (order(), seen());
        differs(&mut order, &mut seen);
        assert_eq!(deposit(&order, &seen, &History::default()), Err(said), "row {row}");
    }
}

fn change(order: &mut Order, change: fn(&mut InvoiceTerms)) {
    let mut terms = terms();
    change(&mut terms);
    order.terms_hash = terms.hash();
    order.terms = terms.into();
}

fn book(seen: &mut Seen, change: fn(&mut Booked)) {
    change(seen.booked.as_mut().unwrap());
}

fn use_up(seen: &mut Seen, rail: usize) {
    seen.rails[rail].used.insert(DEPOSIT);
}

fn live(chain: u64, deposit: u8, units: u128, valid_until: u64) -> Live {
    Live { deposit_id: B256::repeat_byte(deposit), attempt: 1, chain, units, valid_until }
}

/// (signed before: on which chain, until when; what of its finalized clock; may it be signed again)
#[test]
fn what_was_signed_before_has_to_be_over_by_the_finalized_clock() {
    for (chain, until, final_now, says) in [
        (BASE, 990, 990, Some(R::SignedBefore { attempt: 1, chain: BASE, until: 990 })),
        (BASE, 989, 990, None),
        (TEMPO, 990, 990, Some(R::SignedBefore { attempt: 1, chain: TEMPO, until: 990 })),
        (TEMPO, 989, 990, None),
        (1, 5, 990, Some(R::UnknownChain(1))),
    ] {
        let order = Order { attempt: 2, ..order() };
        let mut seen = seen();
        seen.rails.iter_mut().for_each(|rail| rail.final_now = final_now);
        let said = deposit(&order, &seen, &history([signed(chain, 1, until)]));
        assert_eq!(said.err(), says, "{chain} {until}");
    }
}

/// An order that Postgres no longer has, or calls over, counts as long as this key's signature for it can be spent.
#[test]
fn what_this_key_has_signed_counts_against_the_reserve_whatever_postgres_says() {
    let other = |valid_until| {
        let mut signed = signed(TEMPO, 1, valid_until);
        signed.attestation.deposit_id = B256::repeat_byte(9);
        signed.attestation.amount = 301;
        signed
    };
    let said = |valid_until, used: bool| {
        let mut seen = seen();
        if used {
            seen.rails[1].used.insert(B256::repeat_byte(9));
        }
        deposit(&order(), &seen, &history([other(valid_until)])).err()
    };
    assert_eq!(said(990, false), Some(R::AboveReserve { wanted: 801, reserve: 800 }));
    assert_eq!(said(989, false), None, "over");
    assert_eq!(said(990, true), None, "spent, and in what was issued");
    // The same order in both is counted once.
    let mut seen = seen();
    seen.live.push(live(TEMPO, 9, 301, 990));
    seen.reserve = Units(801);
    assert_eq!(deposit(&order(), &seen, &history([other(990)])).err(), None);
}

/// (allocation asked for, number, moment; what is said)
#[test]
fn a_statement_about_the_reserve_covers_every_rail_and_is_newer_than_all() {
    let rows: Vec<(u128, u64, u64, Option<R>)> = vec![
        (400, 4, 1_000, None),
        (0, 4, 1_000, None),
        (401, 4, 1_000, Some(R::AboveReserve { wanted: 801, reserve: 800 })),
        (400, 3, 1_000, Some(R::NotNewer { known: 3, nonce: 3 })),
        (400, 4, 1_001, Some(R::WrongMoment { as_of: 1_001, now: 1_000 })),
        (400, 4, 99, Some(R::WrongMoment { as_of: 99, now: 1_000 })),
        (400, 4, 100, None),
    ];
    for (allocation, nonce, as_of, says) in rows {
        let order = ReserveOrder { chain: BASE, nonce, allocation, as_of };
        assert_eq!(reserve(&order, &seen(), &History::default()).err(), says, "{allocation} {nonce} {as_of}");
    }
    // What was lowered is free only when the chain has the lower one: until then either may be in force.
    let mut lowered = History::default();
    let told = ReserveAttestation { token: TOKEN, allocation: 100, nonce: 4, as_of: 1_000 };
    lowered.reserves.entry(BASE).or_default().push((told, vec![0; 65].into()));
    let raise = ReserveOrder { chain: TEMPO, nonce: 4, allocation: 700, as_of: 1_000 };
    let mut seen = seen();
    assert_eq!(reserve(&raise, &seen, &lowered), Err(R::AboveReserve { wanted: 1_100, reserve: 800 }));
    (seen.rails[0].allocation, seen.rails[0].nonce) = (100, 4);
    assert!(reserve(&raise, &seen, &lowered).is_ok());
    let again = ReserveOrder { chain: BASE, nonce: 4, allocation: 100, as_of: 1_000 };
    assert_eq!(reserve(&again, &seen, &lowered), Err(R::NotNewer { known: 4, nonce: 4 }));
}

/// Money has left the reserve, and what all gates may issue is more than there is: each can be lowered at once.
#[test]
fn what_is_too_high_can_be_lowered_whatever_the_others_may() {
    let lower = |chain, allocation| ReserveOrder { chain, nonce: 4, allocation, as_of: 1_000 };
    let mut seen = Seen { reserve: Units(300), ..seen() };
    for (allocation, says) in [
        (200, None),
        (0, None),
        (201, Some(R::AboveReserve { wanted: 301, reserve: 300 })),
        // What is not lower is no way out: it would only count for longer.
        (400, Some(R::AboveReserve { wanted: 800, reserve: 300 })),
    ] {
        assert_eq!(reserve(&lower(BASE, allocation), &seen, &History::default()).err(), says, "{allocation}");
    }
    // And nothing is raised on it before the chain has it.
    (seen.rails[0].allocation, seen.reserve) = (100, Units(700));
    assert_eq!(
        reserve(&lower(BASE, 301), &seen, &History::default()),
        Err(R::AboveReserve { wanted: 701, reserve: 700 })
    );
}

/// A gate that pays what is not ours has no part in the reserve.
#[test]
fn a_float_counts_for_nothing_in_the_reserve() {
    let mut seen = seen();
    seen.rails[1].gate.kind = GateKind::Float;
    seen.reserve = Units(400);
    assert!(deposit(&order(), &seen, &History::default()).is_ok());
}

#[test]
fn a_log_entry_reads_back_as_it_was_written() {
    let told = signed(BASE, 1, 5);
    let entry = Entry::Signed {
        attempt: told.attempt,
        chain: told.chain,
        gate: told.gate,
        attestation: told.attestation,
        signature: told.signature,
        saw: serde_json::json!({"reserve": "340282366920938463463374607431768211455"}),
    };
    let text = serde_json::to_string(&entry).unwrap();
    assert_eq!(serde_json::from_str::<Entry>(&text).unwrap(), entry);
}

/// A step of a day in an attestor's life, and of a chain that mints whatever has two signatures.
#[derive(Clone, Debug)]
enum Step {
    Order { deposit: u8, rail: usize, units: u128 },
    Mint { order: usize },
    Pass { seconds: u64, final_behind: u64 },
    Forget,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..4_u8, 0..2_usize, 1..300_u128).prop_map(|(deposit, rail, units)| Step::Order { deposit, rail, units }),
        3 => (0..8_usize).prop_map(|order| Step::Mint { order }),
        3 => (1..1_200_u64, 0..200_u64).prop_map(|(seconds, final_behind)| Step::Pass { seconds, final_behind }),
        1 => Just(Step::Forget),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    /// Whatever is ordered and however often, with a Postgres that forgets its orders: what this key signs never mints a deposit
    /// twice over all rails, and never brings them above the reserve.
    #[test]
    fn no_orders_make_a_key_sign_a_deposit_twice_or_above_the_reserve(steps in proptest::collection::vec(step(), 1..60)) {
        let mut seen = Seen { reserve: Units(1_000), ..seen() };
        for rail in &mut seen.rails {
            (rail.issued, rail.allocation, rail.nonce) = (0, 0, 0);
        }
        let mut chains: Vec<BTreeMap<B256, (u128, u64)>> = vec![BTreeMap::new(), BTreeMap::new()];
        let (mut history, mut now, mut final_now) = (History::default(), 1_000_u64, 990_u64);
        let mut out: Vec<(usize, DepositAttestation)> = vec![];
        for step in steps {
            match step {
                Step::Order { deposit: id, rail, units } => {
                    let deposit_id = B256::repeat_byte(id);
                    let chain = seen.rails[rail].gate.chain;
                    let terms = InvoiceTerms { chain, ..terms() };
                    let attempt = u32::try_from(history.of(deposit_id).len()).unwrap() + 1;
                    let order = Order {
                        deposit_id,
                        attempt,
                        units,
                        terms_hash: terms.hash(),
                        terms: terms.into(),
                        valid_until: now + 900,
                        ..order()
                    };
                    let mut seen = seen.clone();
                    book(&mut seen, |_| ());
                    let booked = seen.booked.as_mut().unwrap();
                    booked.mintable = Units(units);
                    seen.shown = Shown::In(Units(units));
                    for (rail, minted) in seen.rails.iter_mut().zip(&chains) {
                        let there = minted.iter().filter(|(_, (_, at))| *at <= final_now);
                        rail.used = there.clone().map(|(id, _)| *id).collect();
                        rail.issued = there.map(|(_, (units, _))| *units).sum();
                        (rail.now, rail.final_now) = (now, final_now);
                    }
                    if let Ok(told) = deposit(&order, &seen, &history) {
                        let signed = SignedDeposit {
                            attempt,
                            chain,
                            gate: GATE.to_string(),
                            attestation: told.clone(),
                            signature: vec![0; 65].into(),
                        };
                        history.deposits.entry(deposit_id).or_default().push(signed);
                        out.push((rail, told));
                    }
                }
                Step::Mint { order } => {
                    if let Some((rail, told)) = out.get(order % out.len().max(1))
                        && told.valid_until >= now
                    {
                        chains[*rail].entry(told.deposit_id).or_insert((told.amount, now));
                    }
                }
                Step::Pass { seconds, final_behind } => {
                    now += seconds;
                    final_now = final_now.max(now.saturating_sub(final_behind));
                }
                // Postgres has lost every order: the log has not.
                Step::Forget => seen.live.clear(),
            }
            for id in 1..4_u8 {
                let times = chains.iter().filter(|minted| minted.contains_key(&B256::repeat_byte(id))).count();
                prop_assert!(times <= 1, "deposit {id} was minted {times} times");
            }
            let all: u128 = chains.iter().flat_map(|minted| minted.values()).map(|(units, _)| units).sum();
            prop_assert!(all <= 1_000, "{all} of a reserve of 1000");
        }
    }
}
