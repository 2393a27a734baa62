//! An invoice on several chains is paid on one of them.

use alloy_primitives::{Address, B256, U256};
use domain::intent::{IntentKind, IntentState, intent_id};
use domain::invoice::{Exception, InvoiceEvent as E, Settlement};
use domain::mint::{MintRefusal as R, MintState, OrderFact};
use domain::project::{
    Deposits, EventFact, Facts, IntentFact, Outcome, Pick, Recorded, SETTLE_MARGIN_SECONDS, project,
};
use domain::rails::{Look, look, may_mint, pick};
use domain::tier::{Heights, Tier};
use domain::wallet::{DestructionReason, WalletStatus as W};
use terms::Account;

const BASE: u64 = 8453;
const SOLANA: u64 = u64::from_le_bytes(*b"monaylcl");
const TOKEN: Account = Account::Evm(Address::repeat_byte(7));
const EXPIRES: u64 = 10_000;
const CLOSES: u64 = 300_000;

/// One rail of an invoice of 150 units that nothing has happened to: block 100, long before expiry.
fn rail(chain: u64) -> Facts {
    Facts {
        chain,
        pick: Pick::Open,
        terms_hash: B256::with_last_byte(chain.to_le_bytes()[0]),
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

fn both() -> [Facts; 2] {
    [rail(BASE), rail(SOLANA)]
}

/// What a rail can hold or have done.
type Change = fn(&mut Facts);

fn deposit(facts: &mut Facts, amount: u64, settleable: bool) {
    let amount = U256::from(amount);
    facts.deposits.received += amount;
    facts.deposits.on_time += amount;
    if settleable {
        facts.deposits.settleable += amount;
    }
    facts.deposits.last_block = 98;
}

fn record(facts: &mut Facts, what: Recorded, amount: u64, paid: u128, status: u8) {
    let (amount, timestamp) = (U256::from(amount), facts.now);
    facts.events.push(EventFact { what, token: TOKEN, amount, paid, status, block: 98, timestamp });
}

fn intent(facts: &mut Facts, kind: IntentKind, state: IntentState) {
    let id = intent_id(kind, facts.chain, facts.terms_hash, TOKEN, U256::ZERO);
    facts.intents.push(IntentFact { id, kind, token: TOKEN, cumulative_before: U256::ZERO, state });
}

fn nothing(_: &mut Facts) {}

fn part(facts: &mut Facts) {
    deposit(facts, 149, true);
}

fn full(facts: &mut Facts) {
    deposit(facts, 150, true);
}

fn unsettled(facts: &mut Facts) {
    deposit(facts, 150, false);
}

fn signed(facts: &mut Facts) {
    intent(facts, IntentKind::Settle, IntentState::Signed);
}

fn failed(facts: &mut Facts) {
    intent(facts, IntentKind::Settle, IntentState::Failed);
}

fn accepted(facts: &mut Facts) {
    intent(facts, IntentKind::Settle, IntentState::Accepted);
}

fn asked(facts: &mut Facts) {
    intent(facts, IntentKind::Fund, IntentState::Accepted);
}

fn sent(facts: &mut Facts) {
    intent(facts, IntentKind::Fund, IntentState::Unknown);
}

fn paid(facts: &mut Facts) {
    full(facts);
    record(facts, Recorded::Settled, 150, 150, 1);
}

fn cancelled(facts: &mut Facts) {
    record(facts, Recorded::Cancelled, 0, 0, 2);
}

fn covered_and_cancelled(facts: &mut Facts) {
    full(facts);
    cancelled(facts);
}

fn asked_with_dust(facts: &mut Facts) {
    deposit(facts, 1, true);
    asked(facts);
}

fn returned(facts: &mut Facts) {
    full(facts);
    cancelled(facts);
    record(facts, Recorded::Refunded, 150, 0, 2);
}

fn order(facts: &mut Facts, signatures: u32) {
    let (deposit_id, state) = (B256::repeat_byte(9), MintState::Wanted);
    let order = OrderFact { deposit_id, attempt: 1, valid_until: 1_500, signatures, threshold: 2, refusals: 0, state };
    facts.orders.push(order);
}

fn ordered(facts: &mut Facts) {
    order(facts, 0);
}

fn attested(facts: &mut Facts) {
    order(facts, 2);
}

fn over(facts: &mut Facts) {
    order(facts, 2);
    (facts.now, facts.final_now) = (1_510, 1_501);
}

fn over_at_the_tip(facts: &mut Facts) {
    order(facts, 2);
    (facts.now, facts.final_now) = (1_510, 1_500);
}

fn kinds(outcome: &Outcome) -> Vec<IntentKind> {
    outcome.wanted.iter().map(|wanted| wanted.kind).collect()
}

fn seen(base: Change, solana: Change, picked: Option<u64>) -> Look {
    let mut rails = both();
    base(&mut rails[0]);
    solana(&mut rails[1]);
    look(&mut rails, picked)
}

/// The table of the module, walked: (on Base, on Solana, picked before, picked after).
#[test]
fn the_pick_follows_the_table() {
    let rows: &[(Change, Change, Option<u64>, Option<u64>)] = &[
        (nothing, nothing, None, None),
        (nothing, part, None, None),
        (unsettled, unsettled, None, None),
        (cancelled, nothing, None, None),
        // Enough to settle.
        (full, nothing, None, Some(BASE)),
        (nothing, full, None, Some(SOLANA)),
        (part, full, None, Some(SOLANA)),
        (unsettled, full, None, Some(SOLANA)),
        (full, full, None, Some(BASE)),
        // A pick stays while enough lies there…
        (full, full, Some(SOLANA), Some(SOLANA)),
        (full, unsettled, Some(SOLANA), Some(SOLANA)),
        // …was paid, or may still be.
        (full, paid, Some(SOLANA), Some(SOLANA)),
        (full, signed, Some(SOLANA), Some(SOLANA)),
        (full, sent, Some(SOLANA), Some(SOLANA)),
        // It is let go when that is no longer there; what is accepted goes with it, and what failed cannot land.
        (nothing, nothing, Some(SOLANA), None),
        (nothing, part, Some(SOLANA), None),
        (full, part, Some(SOLANA), Some(BASE)),
        (full, covered_and_cancelled, Some(SOLANA), Some(BASE)),
        (full, nothing, Some(SOLANA), Some(BASE)),
        (full, accepted, Some(SOLANA), Some(BASE)),
        (full, failed, Some(SOLANA), Some(BASE)),
        (full, returned, Some(SOLANA), Some(BASE)),
        // What was paid or may be, although the pick was lost, decides before what lies there.
        (full, signed, None, Some(SOLANA)),
        (full, paid, None, Some(SOLANA)),
        // An authorization is a pick as long as nothing better is there.
        (asked, nothing, None, Some(BASE)),
        (asked, unsettled, None, Some(BASE)),
        (asked, asked, Some(SOLANA), Some(SOLANA)),
        (asked, full, None, Some(SOLANA)),
        (asked, full, Some(BASE), Some(SOLANA)),
        (asked_with_dust, full, Some(BASE), Some(SOLANA)),
        (sent, full, Some(BASE), Some(BASE)),
        (sent, full, None, Some(BASE)),
        // An order to mint is a pick from the moment it is written, until it is over for good.
        (nothing, ordered, None, Some(SOLANA)),
        (nothing, attested, None, Some(SOLANA)),
        (nothing, over_at_the_tip, None, Some(SOLANA)),
        (nothing, over, None, None),
        (full, ordered, None, Some(SOLANA)),
        (full, ordered, Some(SOLANA), Some(SOLANA)),
        (full, over_at_the_tip, Some(SOLANA), Some(SOLANA)),
        (full, over, Some(SOLANA), Some(BASE)),
        (asked, ordered, Some(BASE), Some(SOLANA)),
        // A pick that was lost is made again from what has paid, or may be paying.
        (paid, ordered, None, Some(BASE)),
        (signed, ordered, None, Some(BASE)),
    ];
    for (row, (base, solana, before, after)) in rows.iter().enumerate() {
        let look = seen(*base, *solana, *before);
        assert_eq!(look.picked, *after, "row {row}");
    }
}

#[test]
fn one_rail_is_always_the_picked_one_and_nothing_else_changes() {
    for change in [nothing, part, full, unsettled, signed, asked, paid, cancelled, returned] {
        let mut only = [rail(BASE)];
        change(&mut only[0]);
        let Look { picked, rails, whole } = look(&mut only, None);
        let alone = project(&Facts { pick: Pick::Here, ..only[0].clone() });
        assert_eq!((picked, rails.as_slice()), (Some(BASE), std::slice::from_ref(&alone)));
        assert_eq!(
            (whole.invoice, whole.tier, whole.exceptions, whole.wallet, whole.reason),
            (alone.invoice, alone.tier, alone.exceptions, alone.wallet, alone.reason)
        );
        assert_eq!((whole.received, whole.paid, whole.balance), (alone.received, alone.paid, alone.balance));
    }
}

#[test]
fn what_lies_on_another_rail_is_cancelled_and_the_customer_is_told() {
    let look = seen(full, full, None);
    assert_eq!([kinds(&look.rails[0]), kinds(&look.rails[1])], [vec![IntentKind::Settle], vec![IntentKind::Cancel]]);
    assert_eq!(look.whole.exceptions, [Exception::RefundDue, Exception::OtherRail]);
    assert_eq!((look.whole.invoice, look.whole.wallet), (E::Funded, vec![W::Funded, W::PaymentInProgress]));

    // Cancelled there and paid here: it goes back, all of it, and the invoice is paid with more than was asked for.
    let mut rails = both();
    paid(&mut rails[0]);
    full(&mut rails[1]);
    cancelled(&mut rails[1]);
    let look = domain::rails::look(&mut rails, Some(BASE));
    assert_eq!([kinds(&look.rails[0]), kinds(&look.rails[1])], [vec![], vec![IntentKind::Refund]]);
    assert_eq!((look.whole.invoice, look.whole.paid), (E::Oversettled, 150));
    assert_eq!((look.whole.received, look.whole.balance), (U256::from(300), U256::from(150)));
    assert!(!look.whole.wallet.contains(&W::Destroyed), "money still lies on the other rail");
    record(&mut rails[1], Recorded::Refunded, 150, 0, 2);
    let look = domain::rails::look(&mut rails, Some(BASE));
    assert_eq!((look.whole.balance, look.whole.exceptions), (U256::ZERO, vec![Exception::OtherRail]));
    assert_eq!(look.whole.wallet.last(), Some(&W::Destroyed));
    assert_eq!(look.whole.reason, Some(DestructionReason::PaymentComplete));
}

#[test]
fn while_nothing_is_picked_nothing_is_settled_and_nothing_goes_back() {
    for (base, solana) in [(unsettled as Change, unsettled as Change), (part, part), (asked, unsettled)] {
        let look = seen(base, solana, None);
        assert_eq!([kinds(&look.rails[0]), kinds(&look.rails[1])], [vec![], vec![]]);
    }
}

/// An authorization that waits does not send back what somebody has paid meanwhile; once it is sent, it does.
#[test]
fn an_authorization_gives_way_to_money_that_is_there() {
    let waits = seen(asked, unsettled, Some(BASE));
    assert_eq!((waits.picked, waits.rails[1].pick, kinds(&waits.rails[1])), (Some(BASE), Pick::Open, vec![]));
    let gives_way = seen(asked, full, Some(BASE));
    assert_eq!((gives_way.picked, kinds(&gives_way.rails[1])), (Some(SOLANA), vec![IntentKind::Settle]));
    assert_eq!(
        gives_way.rails[0].intents.iter().map(|(_, state)| *state).collect::<Vec<_>>(),
        [IntentState::Superseded]
    );
    let sent = seen(sent, full, Some(BASE));
    assert_eq!((sent.picked, kinds(&sent.rails[1])), (Some(BASE), vec![IntentKind::Cancel]));
}

/// A pick leaves a rail together with what nothing was signed for.
#[test]
fn what_is_accepted_goes_with_the_pick() {
    let look = seen(accepted, full, Some(BASE));
    assert_eq!((look.picked, look.rails[0].pick), (Some(SOLANA), Pick::Elsewhere));
    assert_eq!(look.rails[0].intents.iter().map(|(_, state)| *state).collect::<Vec<_>>(), [IntentState::Superseded]);
}

/// Clocks of two chains differ: ten minutes before closesAt, by the faster of them, it is too late to decide.
#[test]
fn picks_stop_ten_minutes_before_the_terms_close_by_either_clock() {
    let last = CLOSES - SETTLE_MARGIN_SECONDS - 1;
    for (base, solana, late) in [(last, last, false), (last + 1, last, true), (last, last + 1, true), (1, CLOSES, true)]
    {
        for (before, after) in [(None, Some(SOLANA)), (Some(BASE), Some(SOLANA))] {
            let mut rails = both();
            full(&mut rails[1]);
            for (rail, now) in rails.iter_mut().zip([base, solana]) {
                (rail.now, rail.expires_at) = (now, CLOSES - 1);
            }
            assert_eq!(pick(&rails, before), if late { before } else { after }, "{base} {solana}");
        }
    }
}

/// (on Base, on Solana, picked, event, last status of the wallet)
#[test]
fn what_becomes_of_the_invoice_follows_from_all_its_rails() {
    fn ran_out(facts: &mut Facts) {
        (facts.now, facts.final_now) = (EXPIRES, EXPIRES - 1);
    }
    fn gone(facts: &mut Facts) {
        (facts.now, facts.final_now) = (EXPIRES, EXPIRES);
    }
    fn called_off(facts: &mut Facts) {
        facts.called_off = true;
    }
    fn in_time_and_waiting(facts: &mut Facts) {
        unsettled(facts);
        ran_out(facts);
    }
    fn back_and_gone(facts: &mut Facts) {
        returned(facts);
        gone(facts);
    }
    let rows: &[(Change, Change, E, W)] = &[
        (nothing, nothing, E::Waits, W::Active),
        (nothing, part, E::FundedInPart, W::Active),
        // Two parts are not the whole.
        (part, part, E::FundedInPart, W::Active),
        (part, unsettled, E::Funded, W::Funded),
        (nothing, full, E::Funded, W::PaymentInProgress),
        (nothing, paid, E::Settled, W::Destroyed),
        (paid, nothing, E::Settled, W::Destroyed),
        (paid, part, E::Oversettled, W::Destroying),
        (paid, returned, E::Oversettled, W::Destroyed),
        // It has run out when it has on both.
        (ran_out, nothing, E::Waits, W::Active),
        (nothing, ran_out, E::Waits, W::Active),
        (ran_out, ran_out, E::RanOut, W::Destroying),
        (gone, ran_out, E::RanOut, W::Destroying),
        (gone, gone, E::RanOut, W::Destroyed),
        (gone, in_time_and_waiting, E::Funded, W::Funded),
        (gone, back_and_gone, E::RanOut, W::Destroyed),
        // Cancelled on one chain by its payee, it can be paid on the other; called off with us, on none.
        (cancelled, nothing, E::Waits, W::Active),
        (cancelled, full, E::Funded, W::PaymentInProgress),
        (cancelled, cancelled, E::CalledOff, W::Destroyed),
        (called_off, called_off, E::CalledOff, W::Destroying),
        (cancelled, gone, E::RanOut, W::Destroyed),
    ];
    for (row, (base, solana, event, wallet)) in rows.iter().enumerate() {
        let whole = seen(*base, *solana, None).whole;
        assert_eq!((whole.invoice, whole.wallet.last()), (*event, Some(wallet)), "row {row}");
        assert_eq!(whole.reason.is_some(), matches!(wallet, W::Destroying | W::Destroyed), "row {row}");
    }
}

#[test]
fn an_invoice_is_as_certain_as_the_rail_that_decides() {
    let tiers = |facts: &mut Facts, block: u64| {
        facts.deposits.last_block = block;
        facts.events.iter_mut().for_each(|event| event.block = block);
    };
    for (base, solana, block, tier) in [
        (paid as Change, nothing as Change, 100, Some(Tier::Seen)),
        (paid, part, 99, Some(Tier::Safe)),
        (nothing, nothing, 100, None),
        (nothing, part, 100, Some(Tier::Seen)),
        (cancelled, cancelled, 99, Some(Tier::Safe)),
    ] {
        let mut rails = both();
        base(&mut rails[0]);
        solana(&mut rails[1]);
        let decides = usize::from(rails[0].events.is_empty());
        tiers(&mut rails[decides], block);
        assert_eq!(look(&mut rails, None).whole.tier, tier);
    }
}

#[test]
fn a_key_stays_while_on_any_rail_something_may_come_that_needs_it() {
    // Run out on Base for good, and picked there: on Solana, whose expiry is not final, something may still come in time.
    let mut rails = both();
    returned(&mut rails[0]);
    (rails[0].now, rails[0].final_now) = (EXPIRES, EXPIRES);
    for (final_now, last) in [(EXPIRES - 1, W::Destroying), (EXPIRES, W::Destroyed)] {
        (rails[1].now, rails[1].final_now) = (EXPIRES, final_now);
        assert_eq!(look(&mut rails, Some(BASE)).whole.wallet.last(), Some(&last));
    }
    // Paid: what comes on another rail later is late, but what is there has to be final.
    let mut rails = both();
    paid(&mut rails[0]);
    returned(&mut rails[1]);
    for (block, last) in [(99, W::Destroying), (98, W::Destroyed)] {
        rails[1].events.iter_mut().for_each(|event| event.block = block);
        assert_eq!(look(&mut rails, Some(BASE)).whole.wallet.last(), Some(&last));
    }
}

/// While an order is out nothing else pays, nothing goes back, and nothing runs out; afterwards what waited pays.
#[test]
fn what_lies_there_waits_while_an_order_is_out() {
    let full_and_ordered: Change = |facts| {
        full(facts);
        ordered(facts);
    };
    let full_and_attested: Change = |facts| {
        full(facts);
        attested(facts);
    };
    let full_and_over: Change = |facts| {
        full(facts);
        over(facts);
    };
    for (base, solana, wanted) in [
        (full as Change, ordered as Change, [vec![], vec![]]),
        (full, attested, [vec![], vec![IntentKind::Mint]]),
        (nothing, full_and_ordered, [vec![], vec![]]),
        (nothing, full_and_attested, [vec![], vec![IntentKind::Mint]]),
        (nothing, full_and_over, [vec![], vec![IntentKind::Settle]]),
        (full, over, [vec![IntentKind::Settle], vec![]]),
        (full, over_at_the_tip, [vec![], vec![]]),
    ] {
        let look = seen(base, solana, Some(SOLANA));
        assert_eq!([kinds(&look.rails[0]), kinds(&look.rails[1])], wanted);
    }
    let mut rails = both();
    ordered(&mut rails[1]);
    for rail in &mut rails {
        (rail.expires_at, rail.now) = (1_200, 1_400);
        rail.final_now = 1_399;
    }
    let look = domain::rails::look(&mut rails, Some(SOLANA));
    assert_eq!((look.whole.invoice, look.whole.wallet.last()), (E::Waits, Some(&W::Active)));
    assert_eq!(look.rails[1].wake.final_at, Some(1_501), "over when the finalized block is beyond its last second");
}

/// An order beside a payment on another chain, which cannot be unless a pick was lost: the door is closed on chain, although
/// nothing lies there.
#[test]
fn an_order_beside_a_payment_is_cancelled_on_chain() {
    let look = seen(paid, attested, None);
    assert_eq!((look.picked, kinds(&look.rails[1])), (Some(BASE), vec![IntentKind::Cancel]));
}

/// (on Base, on Solana, how much, on which chain, what is said)
#[test]
fn an_order_is_made_only_where_nothing_else_pays_or_may() {
    fn partial(facts: &mut Facts) {
        facts.partials = true;
    }
    fn called_off(facts: &mut Facts) {
        facts.called_off = true;
    }
    fn near_the_close(facts: &mut Facts) {
        facts.now = CLOSES - SETTLE_MARGIN_SECONDS - 121;
    }
    fn a_second_nearer(facts: &mut Facts) {
        facts.now = CLOSES - SETTLE_MARGIN_SECONDS - 120;
    }
    fn late(facts: &mut Facts) {
        facts.now = CLOSES - SETTLE_MARGIN_SECONDS;
    }
    let good = Ok(1_000 + 900);
    type Row = (Change, Change, u128, u64, Result<u64, R>);
    let rows: &[Row] = &[
        (nothing, nothing, 150, BASE, good),
        (nothing, nothing, 151, SOLANA, good),
        (part, unsettled, 150, BASE, Err(R::Paying)),
        (part, part, 150, BASE, good),
        (asked, nothing, 150, SOLANA, good),
        (failed, nothing, 150, BASE, good),
        (accepted, nothing, 150, SOLANA, good),
        (nothing, nothing, 149, BASE, Err(R::TooLittle)),
        (nothing, nothing, 150, 1, Err(R::NoRail)),
        (full, nothing, 150, SOLANA, Err(R::Paying)),
        (nothing, full, 150, SOLANA, Err(R::Paying)),
        (signed, nothing, 150, SOLANA, Err(R::Paying)),
        (sent, nothing, 150, BASE, Err(R::Paying)),
        (paid, nothing, 150, SOLANA, Err(R::Paying)),
        (cancelled, nothing, 150, BASE, Err(R::Closed)),
        (cancelled, nothing, 150, SOLANA, good),
        (ordered, nothing, 150, SOLANA, Err(R::Ordered)),
        (over_at_the_tip, nothing, 150, SOLANA, Err(R::Ordered)),
        (over, nothing, 150, SOLANA, good),
        (partial, nothing, 150, BASE, Err(R::Partials)),
        (called_off, called_off, 150, BASE, Err(R::CalledOff)),
        (near_the_close, nothing, 150, BASE, Ok(CLOSES - SETTLE_MARGIN_SECONDS - 1)),
        (a_second_nearer, nothing, 150, BASE, Err(R::Late)),
        (nothing, late, 150, BASE, Err(R::Late)),
    ];
    for (row, (base, solana, units, chain, said)) in rows.iter().enumerate() {
        let mut rails = both();
        base(&mut rails[0]);
        solana(&mut rails[1]);
        assert_eq!(may_mint(&rails, *chain, *units), *said, "row {row}");
    }
}
