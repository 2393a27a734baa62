//! Decisions, from facts.

use alloy_primitives::{Address, B256, U256};
use domain::intent::{IntentKind, IntentState, intent_id};
use domain::invoice::{Exception, Guard, InvoiceEvent, InvoiceStatus, Settlement};
use domain::project::{
    Deposits, EventFact, Facts, IntentFact, Outcome, Pick, REFUND_WAIT_SECONDS, Recorded, Wake, project,
};
use domain::tier::{Heights, Tier};
use domain::wallet::{DestructionReason, WalletStatus as W};
use proptest::prelude::*;
use terms::Account;

const TOKEN: Account = Account::Evm(Address::repeat_byte(7));
const EXPIRES: u64 = 10_000;
const CLOSES: u64 = 300_000;

/// An invoice of 150 units that nothing has happened to: block 100, long before expiry.
pub(crate) fn facts() -> Facts {
    Facts {
        chain: 8453,
        pick: Pick::Here,
        terms_hash: B256::repeat_byte(1),
        token: TOKEN,
        amount: 150,
        partials: false,
        refund_key: false,
        anyone_settles: false,
        closes_at: CLOSES,
        expires_at: EXPIRES,
        settlement: Settlement::Automatic,
        pay_requested: false,
        called_off: false,
        deposits: Deposits::default(),
        foreign: false,
        events: vec![],
        intents: vec![],
        orders: vec![],
        gate_events: vec![],
        redeems: false,
        heights: Heights { seen: 100, safe: 99, final_: 98 },
        now: 1_000,
        final_now: 998,
    }
}

fn deposit(facts: &mut Facts, amount: u64, on_time: bool, block: u64) {
    let amount = U256::from(amount);
    facts.deposits.received += amount;
    facts.deposits.settleable += amount;
    if on_time {
        facts.deposits.on_time += amount;
    }
    facts.deposits.last_block = block;
}

fn record(facts: &mut Facts, what: Recorded, amount: u64, paid: u128, status: u8, block: u64) {
    let timestamp = facts.now;
    facts.events.push(EventFact { what, token: TOKEN, amount: U256::from(amount), paid, status, block, timestamp });
}

fn kinds(outcome: &Outcome) -> Vec<IntentKind> {
    outcome.wanted.iter().map(|wanted| wanted.kind).collect()
}

#[test]
fn exact_money_is_settled_once_and_the_wallet_goes_when_that_is_final() {
    let mut facts = facts();
    assert_eq!(project(&facts).invoice, InvoiceEvent::Waits);
    assert_eq!(project(&facts).wallet, [W::Active]);

    deposit(&mut facts, 150, true, 100);
    let outcome = project(&facts);
    assert_eq!((outcome.invoice, kinds(&outcome)), (InvoiceEvent::Funded, vec![IntentKind::Settle]));
    assert_eq!(outcome.wallet, [W::Funded, W::PaymentInProgress]);

    record(&mut facts, Recorded::Settled, 150, 150, 1, 100);
    for (final_, safe, expected) in [
        (98, 99, &[W::Funded, W::PaymentInProgress, W::PaymentComplete][..]),
        (99, 100, &[W::Funded, W::PaymentInProgress, W::PaymentComplete, W::Destroying]),
        (100, 100, &[W::Funded, W::PaymentInProgress, W::PaymentComplete, W::Destroying, W::Destroyed]),
    ] {
        facts.heights = Heights { seen: 100, safe, final_ };
        let outcome = project(&facts);
        assert_eq!((outcome.invoice, outcome.paid), (InvoiceEvent::Settled, 150));
        assert_eq!((kinds(&outcome), outcome.wallet.as_slice()), (vec![], expected));
    }
}

#[test]
fn underpaid_money_is_cancelled_only_when_the_expiry_is_final_and_then_goes_back() {
    let mut facts = facts();
    deposit(&mut facts, 149, true, 50);
    assert_eq!(project(&facts).invoice, InvoiceEvent::FundedInPart);
    assert_eq!(kinds(&project(&facts)), []);

    facts.now = EXPIRES;
    assert_eq!(project(&facts).invoice, InvoiceEvent::RanOut);
    assert_eq!(kinds(&project(&facts)), [], "the last block before expiry is not final yet");
    facts.final_now = EXPIRES;
    assert_eq!(kinds(&project(&facts)), [IntentKind::Cancel]);

    record(&mut facts, Recorded::Cancelled, 0, 0, 2, 100);
    let outcome = project(&facts);
    assert_eq!(kinds(&outcome), [IntentKind::Refund]);
    assert_eq!(outcome.exceptions, [Exception::RefundDue]);
    record(&mut facts, Recorded::Refunded, 149, 0, 2, 101);
    facts.heights = Heights { seen: 103, safe: 102, final_: 101 };
    let outcome = project(&facts);
    assert_eq!((outcome.balance, kinds(&outcome)), (U256::ZERO, vec![]));
    assert_eq!(outcome.wallet, [W::Destroying, W::Destroyed]);
}

#[test]
fn an_empty_wallet_that_expires_needs_no_transaction() {
    let mut facts = Facts { now: EXPIRES, final_now: EXPIRES, ..facts() };
    let outcome = project(&facts);
    assert_eq!((outcome.invoice, kinds(&outcome)), (InvoiceEvent::RanOut, vec![]));
    assert_eq!(outcome.wallet, [W::Destroying, W::Destroyed]);
    facts.final_now = EXPIRES - 1;
    assert_eq!(project(&facts).wallet, [W::Destroying]);
}

#[test]
fn money_that_came_on_time_is_settled_even_after_expiry_and_late_money_goes_back() {
    let mut facts = Facts { now: EXPIRES + 60, final_now: EXPIRES + 58, ..facts() };
    deposit(&mut facts, 150, true, 50);
    assert_eq!(kinds(&project(&facts)), [IntentKind::Settle]);
    assert_eq!(project(&facts).invoice, InvoiceEvent::Funded);

    let mut late = Facts { now: EXPIRES + 60, final_now: EXPIRES + 58, ..self::facts() };
    deposit(&mut late, 149, true, 50);
    deposit(&mut late, 1, false, 100);
    let outcome = project(&late);
    assert_eq!((outcome.invoice, kinds(&outcome)), (InvoiceEvent::RanOut, vec![IntentKind::Cancel]));
    assert_eq!(outcome.exceptions, [Exception::PaidLate, Exception::RefundDue]);
}

#[test]
fn settling_stops_ten_minutes_before_the_terms_close() {
    for (now, expected) in [(CLOSES - 601, vec![IntentKind::Settle]), (CLOSES - 600, vec![]), (CLOSES - 1, vec![])] {
        let mut facts = Facts { now, final_now: now, expires_at: CLOSES - 500, ..facts() };
        deposit(&mut facts, 150, true, 50);
        assert_eq!(kinds(&project(&facts)), expected, "at {now}");
    }
    // From closesAt the money goes back with no cancel at all: the terms are enough.
    let mut facts = Facts { now: CLOSES, final_now: CLOSES, ..facts() };
    deposit(&mut facts, 150, true, 50);
    assert_eq!(kinds(&project(&facts)), [IntentKind::Refund]);
}

#[test]
fn where_a_refund_key_decides_anyone_else_waits_thirty_days() {
    let mut facts = Facts { refund_key: true, ..facts() };
    deposit(&mut facts, 200, true, 50);
    record(&mut facts, Recorded::Settled, 150, 150, 1, 60);
    let opens = facts.now + REFUND_WAIT_SECONDS.min(CLOSES + REFUND_WAIT_SECONDS - facts.now);
    for (now, expected) in [(facts.now, vec![]), (opens - 1, vec![]), (opens, vec![IntentKind::Refund])] {
        facts.now = now;
        let outcome = project(&facts);
        assert_eq!(kinds(&outcome), expected, "at {now}");
        assert_eq!((outcome.invoice, outcome.balance), (InvoiceEvent::Oversettled, U256::from(50)));
        assert!(!outcome.wallet.contains(&W::Destroyed), "money still lies there");
    }
}

#[test]
fn manual_settlement_waits_for_the_customers_word() {
    let mut facts = Facts { settlement: Settlement::Manual, ..facts() };
    deposit(&mut facts, 150, true, 50);
    assert_eq!((kinds(&project(&facts)), project(&facts).wallet), (vec![], vec![W::Funded]));
    facts.pay_requested = true;
    assert_eq!(kinds(&project(&facts)), [IntentKind::Settle]);
}

#[test]
fn a_deposit_below_the_settle_tier_waits() {
    let mut facts = facts();
    deposit(&mut facts, 150, true, 100);
    facts.deposits.settleable = U256::ZERO;
    assert_eq!((kinds(&project(&facts)), project(&facts).invoice), (vec![], InvoiceEvent::Funded));
}

#[test]
fn an_intent_is_final_only_by_a_finalized_effect_and_returns_when_a_reorg_takes_it_back() {
    let mut facts = facts();
    deposit(&mut facts, 150, true, 50);
    let id = intent_id(IntentKind::Settle, facts.chain, facts.terms_hash, TOKEN, U256::ZERO);
    let state = IntentState::Broadcast;
    facts.intents =
        vec![IntentFact { id, kind: IntentKind::Settle, token: TOKEN, cumulative_before: U256::ZERO, state }];
    assert_eq!(project(&facts).intents, []);

    record(&mut facts, Recorded::Settled, 150, 150, 1, 100);
    assert_eq!(project(&facts).intents, [(id, IntentState::Seen)]);
    assert_eq!(project(&facts).tier, Some(Tier::Seen));
    facts.heights.final_ = 100;
    assert_eq!(project(&facts).intents, [(id, IntentState::Final)]);

    facts.events.clear();
    facts.intents[0].state = IntentState::Seen;
    assert_eq!(project(&facts).intents, [(id, IntentState::Broadcast)]);
    facts.deposits = Deposits::default();
    facts.intents[0].state = IntentState::Accepted;
    assert_eq!(project(&facts).intents, [(id, IntentState::Superseded)], "nothing is signed and nothing is due");
}

proptest! {
    /// Whatever lies at the address and whenever: what we set out to do never adds up to more than is there, a paid or
    /// cancelled invoice is never settled again, and settle and cancel are never wanted together.
    #[test]
    fn no_facts_lead_to_a_second_payment(
        deposited in prop_oneof![Just(0), 0u64..400], on_time in any::<bool>(), partials in any::<bool>(), refund_key in any::<bool>(),
        now in prop_oneof![0u64..2 * EXPIRES, 0u64..CLOSES + 2 * REFUND_WAIT_SECONDS], lag in 0u64..2_000, status in 0u8..3, paid in 0u128..=150,
        called_off in any::<bool>(), anyone_settles in any::<bool>(),
    ) {
        let final_now = now.saturating_sub(lag);
        let mut facts = Facts { partials, refund_key, now, final_now, called_off, anyone_settles, ..facts() };
        deposit(&mut facts, deposited, on_time, 50);
        let paid = if status == 1 { 150 } else { paid };
        if status != 0 || paid > 0 {
            record(&mut facts, Recorded::Settled, u64::try_from(paid).unwrap_or(0), paid, status, 60);
        }
        let outcome = project(&facts);
        let settle = kinds(&outcome).contains(&IntentKind::Settle);
        prop_assert!(!(settle && kinds(&outcome).contains(&IntentKind::Cancel)));
        prop_assert!(!(settle && kinds(&outcome).contains(&IntentKind::Refund)));
        prop_assert!(!(settle && (status != 0 || now >= CLOSES)));
        prop_assert!(!(settle && outcome.balance.is_zero()));
        prop_assert!(!(settle && called_off));
        prop_assert!(!(anyone_settles && kinds(&outcome).contains(&IntentKind::Cancel)));
        prop_assert!(!(called_off && status != 1 && outcome.invoice != InvoiceEvent::CalledOff));
        // The refund key goes with `destroyed`: never while money can still come that nothing on chain turns away.
        let may_come = status == 0 && facts.final_now < EXPIRES;
        prop_assert!(!(may_come && outcome.wallet.contains(&W::Destroyed)));
        prop_assert!(!(kinds(&outcome).contains(&IntentKind::Refund) && status == 0 && now < CLOSES));
        prop_assert!(outcome.balance <= facts.deposits.received);
        prop_assert!(!outcome.wallet.contains(&W::Destroyed) || outcome.balance.is_zero());
    }
}

#[test]
fn where_anyone_may_settle_we_never_cancel_and_the_money_goes_back_at_the_close() {
    for (now, expected) in [(EXPIRES, vec![]), (CLOSES - 1, vec![]), (CLOSES, vec![IntentKind::Refund])] {
        let mut facts = Facts { anyone_settles: true, now, final_now: now, ..facts() };
        deposit(&mut facts, 149, true, 50);
        assert_eq!(kinds(&project(&facts)), expected, "at {now}");
    }
}

#[test]
fn what_somebody_asked_for_stands_although_the_facts_do_not_call_for_it() {
    let foreign = Account::Evm(Address::repeat_byte(8));
    for (kind, token, now, stands) in [
        (IntentKind::RefundByOrder, TOKEN, 1_000, true),
        (IntentKind::Refund, foreign, 1_000, true),
        (IntentKind::Refund, TOKEN, 1_000, false),
        (IntentKind::Fund, TOKEN, EXPIRES - 1, true),
        (IntentKind::Fund, TOKEN, EXPIRES, false),
        (IntentKind::Settle, TOKEN, 1_000, false),
        (IntentKind::Cancel, TOKEN, 1_000, false),
    ] {
        let mut facts = Facts { now, ..facts() };
        let id = intent_id(kind, facts.chain, facts.terms_hash, token, U256::ZERO);
        let state = IntentState::Accepted;
        facts.intents = vec![IntentFact { id, kind, token, cumulative_before: U256::ZERO, state }];
        let expected = if stands { vec![] } else { vec![(id, IntentState::Superseded)] };
        assert_eq!(project(&facts).intents, expected, "{kind} of {token} at {now}");
    }
}

#[test]
fn an_order_is_final_by_the_refund_that_starts_from_its_total_and_by_no_other() {
    let mut facts = Facts { refund_key: true, ..facts() };
    deposit(&mut facts, 200, true, 50);
    record(&mut facts, Recorded::Settled, 150, 150, 1, 60);
    record(&mut facts, Recorded::Refunded, 50, 150, 1, 61);
    facts.heights.final_ = 61;
    let order = |before: u64| {
        let before = U256::from(before);
        let id = intent_id(IntentKind::RefundByOrder, 8453, facts.terms_hash, TOKEN, before);
        let state = IntentState::Broadcast;
        IntentFact { id, kind: IntentKind::RefundByOrder, token: TOKEN, cumulative_before: before, state }
    };
    let (first, second) = (order(0), order(50));
    facts.intents = vec![first.clone(), second];
    assert_eq!(project(&facts).intents, [(first.id, IntentState::Final)]);
}

#[test]
fn what_is_called_off_is_never_settled_and_what_lies_there_goes_back() {
    // Nothing there: cancelled at once, without a transaction. The key stays until nothing can come on time any more.
    let mut facts = Facts { called_off: true, ..facts() };
    let outcome = project(&facts);
    assert_eq!((outcome.invoice, kinds(&outcome)), (InvoiceEvent::CalledOff, vec![]));
    assert_eq!((outcome.wallet, outcome.reason), (vec![W::Destroying], Some(DestructionReason::Cancelled)));
    let later = Facts { now: EXPIRES + 60, final_now: EXPIRES, ..facts.clone() };
    assert_eq!(project(&later).invoice, InvoiceEvent::CalledOff, "it did not run out, it was called off");
    assert_eq!(project(&later).wallet, [W::Destroying, W::Destroyed]);
    assert_eq!(project(&facts).wake, Wake { seen_at: Some(EXPIRES), final_at: Some(EXPIRES) });

    // Money, before or after: all of it, in time or not, is cancelled at once and sent back.
    deposit(&mut facts, 150, true, 50);
    let outcome = project(&facts);
    assert_eq!((outcome.invoice, kinds(&outcome)), (InvoiceEvent::CalledOff, vec![IntentKind::Cancel]));
    assert_eq!((outcome.wallet, outcome.exceptions), (vec![W::Destroying], vec![Exception::RefundDue]));
    record(&mut facts, Recorded::Cancelled, 0, 0, 2, 100);
    assert_eq!(kinds(&project(&facts)), [IntentKind::Refund]);
    record(&mut facts, Recorded::Refunded, 150, 0, 2, 101);
    facts.heights = Heights { seen: 103, safe: 102, final_: 101 };
    let outcome = project(&facts);
    assert_eq!((outcome.invoice, kinds(&outcome)), (InvoiceEvent::CalledOff, vec![]));
    assert_eq!(outcome.wallet, [W::Destroying, W::Destroyed], "on chain nothing can be paid any more");
}

#[test]
fn what_the_chain_has_paid_is_paid_although_it_was_called_off() {
    let mut facts = Facts { called_off: true, ..facts() };
    deposit(&mut facts, 150, true, 50);
    record(&mut facts, Recorded::Settled, 150, 150, 1, 60);
    let outcome = project(&facts);
    assert_eq!((outcome.invoice, outcome.paid, kinds(&outcome)), (InvoiceEvent::Settled, 150, vec![]));
    assert_eq!(InvoiceStatus::Cancelled.on(outcome.invoice), Some((InvoiceStatus::Paid, Guard::Always)));
}

#[test]
fn calling_off_takes_back_what_nothing_was_signed_for() {
    for (kind, state, after) in [
        (IntentKind::Settle, IntentState::Accepted, Some(IntentState::Superseded)),
        (IntentKind::Fund, IntentState::Accepted, Some(IntentState::Superseded)),
        (IntentKind::RefundByOrder, IntentState::Accepted, None),
        (IntentKind::Settle, IntentState::Signed, None),
        (IntentKind::Fund, IntentState::Unknown, None),
    ] {
        let mut facts = Facts { called_off: true, ..facts() };
        deposit(&mut facts, 150, true, 50);
        let id = intent_id(kind, facts.chain, facts.terms_hash, TOKEN, U256::ZERO);
        facts.intents = vec![IntentFact { id, kind, token: TOKEN, cumulative_before: U256::ZERO, state }];
        let changed: Vec<_> = after.into_iter().map(|after| (id, after)).collect();
        assert_eq!(project(&facts).intents, changed, "{kind} {state}");
    }
}
