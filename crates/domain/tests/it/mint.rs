//! Orders to mint, from facts.

use crate::project::facts;
use alloy_primitives::{B256, U256};
use domain::intent::{IntentKind, IntentState, intent_id};
use domain::mint::{GateEvent, GateFact, MintState as S, OrderFact, intent_total};
use domain::project::{EventFact, Facts, IntentFact, Recorded, project};

const DEPOSIT: B256 = B256::repeat_byte(9);

fn order() -> OrderFact {
    OrderFact {
        deposit_id: DEPOSIT,
        attempt: 1,
        valid_until: 1_500,
        signatures: 0,
        threshold: 2,
        refusals: 0,
        state: S::Wanted,
    }
}

fn intent(facts: &mut Facts, kind: IntentKind, total: U256, state: IntentState) {
    let id = intent_id(kind, facts.chain, facts.terms_hash, facts.token, total);
    facts.intents.push(IntentFact { id, kind, token: facts.token, cumulative_before: total, state });
}

fn minted(facts: &mut Facts, deposit: B256, block: u64) {
    facts.gate_events.push(GateFact { what: GateEvent::Minted(deposit), block });
}

/// The table of the module, walked: (signatures, refusals, time of the final block, intent, block that has it spent, state).
#[test]
fn what_an_order_is_follows_the_table() {
    type Row = (u32, u32, u64, Option<IntentState>, Option<u64>, S);
    let sent = Some(IntentState::Unknown);
    let rows: &[Row] = &[
        (0, 0, 1_000, None, None, S::Wanted),
        (1, 1, 1_000, None, None, S::Wanted),
        (2, 0, 1_000, None, None, S::Attested),
        (3, 1, 1_000, None, None, S::Attested),
        (2, 0, 1_000, Some(IntentState::Accepted), None, S::Attested),
        (2, 0, 1_000, sent, None, S::InFlight),
        // A re-org took it back.
        (2, 0, 1_000, Some(IntentState::Seen), None, S::InFlight),
        (2, 0, 1_000, Some(IntentState::Failed), None, S::Attested),
        (2, 0, 1_000, sent, Some(99), S::InFlight),
        (2, 0, 1_000, sent, Some(98), S::Minted),
        // Somebody else minted it, with signatures that we have not seen.
        (0, 2, 1_000, None, Some(98), S::Minted),
        (0, 2, 1_501, None, Some(98), S::Minted),
        (2, 0, 1_501, sent, Some(99), S::InFlight),
        // A refusal ends nothing; time does, and what is sent can land no more then.
        (0, 5, 1_500, None, None, S::Wanted),
        (0, 5, 1_501, None, None, S::Refused),
        (1, 1, 1_501, None, None, S::Refused),
        (0, 0, 1_501, None, None, S::Expired),
        (2, 1, 1_500, None, None, S::Attested),
        (2, 1, 1_501, None, None, S::Expired),
        (2, 0, 1_501, sent, None, S::Expired),
    ];
    for (row, (signatures, refusals, final_now, sent, block, state)) in rows.iter().enumerate() {
        let mut facts = Facts { final_now: *final_now, now: 1_510, ..facts() };
        sent.iter().for_each(|state| intent(&mut facts, IntentKind::Mint, intent_total(DEPOSIT), *state));
        block.iter().for_each(|block| minted(&mut facts, DEPOSIT, *block));
        // Another deposit's mint says nothing of this one.
        minted(&mut facts, B256::repeat_byte(8), 98);
        let order = OrderFact { signatures: *signatures, refusals: *refusals, ..order() };
        assert_eq!(order.now(&facts), *state, "row {row}");
    }
}

#[test]
fn enough_signatures_are_minted_with_until_the_last_second_and_once() {
    let kinds = |facts: &Facts| project(facts).wanted.iter().map(|want| want.kind).collect::<Vec<_>>();
    for (signatures, now, mints) in [(1, 1_000, false), (2, 1_000, true), (2, 1_500, true), (2, 1_501, false)] {
        let mut facts = Facts { now, orders: vec![OrderFact { signatures, ..order() }], ..facts() };
        assert_eq!(kinds(&facts), if mints { vec![IntentKind::Mint] } else { vec![] });
        minted(&mut facts, DEPOSIT, 100);
        assert_eq!(kinds(&facts), []);
    }
    let mut facts = Facts { orders: vec![OrderFact { signatures: 2, ..order() }], ..facts() };
    facts.called_off = true;
    assert_eq!(kinds(&facts), [IntentKind::Cancel], "called off all the same: the door is closed on chain");
}

#[test]
fn a_mint_is_final_when_its_event_is_and_accepted_no_more_when_its_order_is_over() {
    for (state, block, final_now, becomes) in [
        (IntentState::Broadcast, Some(98), 998, Some(IntentState::Final)),
        (IntentState::Broadcast, Some(100), 998, Some(IntentState::Seen)),
        (IntentState::Seen, None, 998, Some(IntentState::Broadcast)),
        (IntentState::Accepted, None, 998, None),
        (IntentState::Accepted, None, 1_501, Some(IntentState::Superseded)),
        (IntentState::Unknown, None, 1_501, None),
    ] {
        let mut facts =
            Facts { final_now, now: final_now + 2, orders: vec![OrderFact { signatures: 2, ..order() }], ..facts() };
        intent(&mut facts, IntentKind::Mint, intent_total(DEPOSIT), state);
        block.iter().for_each(|block| minted(&mut facts, DEPOSIT, *block));
        let changed: Vec<_> = project(&facts).intents.iter().map(|(_, state)| *state).collect();
        assert_eq!(changed, Vec::from_iter(becomes), "{state:?} {block:?} {final_now}");
    }
}

#[test]
fn a_redemption_is_burned_once_and_only_when_its_payment_is_final() {
    for (redeems, block, burned, wanted) in [
        (true, 98, None, vec![IntentKind::Redeem]),
        (true, 99, None, vec![]),
        (true, 98, Some(100), vec![]),
        (false, 98, None, vec![]),
    ] {
        let mut facts = Facts { redeems, ..facts() };
        let event = EventFact {
            what: Recorded::Paid,
            token: facts.token,
            amount: U256::from(150),
            paid: 150,
            status: 1,
            block,
            timestamp: 900,
        };
        facts.events.push(event);
        facts.gate_events.extend(burned.map(|block| GateFact { what: GateEvent::Redeemed, block }));
        let outcome = project(&facts);
        assert_eq!(outcome.wanted.iter().map(|want| want.kind).collect::<Vec<_>>(), wanted);
    }
}
