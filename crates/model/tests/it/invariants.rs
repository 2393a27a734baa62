//! `chain:X…` and `T…` of PROTOCOL §8 over random traces. Each test watches one promise and nothing else.

use crate::witness::{holdings, permitted_gains, permitted_losers, same_traces, traces, watch};
use alloy_primitives::U256;
use model::{
    Door, Error, Kind, NATIVE, RefundOrder, Slot, Status, Step, World, fold,
    testing::{Cast, forge, invoice},
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use terms::{Address, B256, InvoiceTerms};

fn tokens_and_native(cast: &Cast) -> Vec<Address> {
    cast.tokens.iter().copied().chain([NATIVE]).collect()
}

/// Whoever may settle these terms.
fn settler(cast: &Cast, terms: &InvoiceTerms) -> Address {
    if terms.settler.is_zero() { cast.people[0] } else { terms.settler }
}

proptest! {
    /// No unit is made or lost, and each purse has what came in less what the events say went out.
    #[test]
    fn x1_conservation(trace in traces()) {
        let cast = Cast::default();
        let mut came = BTreeMap::<(Address, Address), U256>::new();
        let mut went = BTreeMap::<(Address, B256), U256>::new();
        watch(&cast, &trace, |seen| {
            for token in tokens_and_native(&cast) {
                prop_assert_eq!(seen.before.supply(token), seen.after.supply(token));
            }
            let Ok(outcome) = seen.result else { return Ok(()) };
            if let Step::Transfer { token, to, amount, .. } = seen.step {
                *came.entry((*token, *to)).or_default() += amount;
            }
            for event in &outcome.recorded {
                if event.kind != Kind::Paid.as_u8() {
                    *went.entry((event.token, event.termsHash)).or_default() += event.amount;
                }
            }
            for terms in trace.terms() {
                for &token in &cast.tokens {
                    let came = came.get(&(token, seen.after.purse(&terms))).copied().unwrap_or_default();
                    let went = went.get(&(token, terms.hash())).copied().unwrap_or_default();
                    prop_assert_eq!(came - went, seen.after.balance(token, seen.after.purse(&terms)));
                }
            }
            Ok(())
        })?;
    }

    /// A payee has had what the slot says, and never more than the amount of the terms.
    #[test]
    fn x2_limit(trace in traces()) {
        let cast = Cast::default();
        let mut had = BTreeMap::<B256, U256>::new();
        watch(&cast, &trace, |seen| {
            if let [terms] = seen.step.terms()
                && matches!(seen.step, Step::Settle { .. } | Step::Pay { .. })
            {
                let gain = seen.after.balance(terms.token, terms.payee) - seen.before.balance(terms.token, terms.payee);
                prop_assert_eq!(gain, seen.result.as_ref().map_or(U256::ZERO, |outcome| outcome.returned));
                *had.entry(terms.hash()).or_default() += gain;
            } else if let (Step::SettleBatch { .. }, Ok(outcome)) = (seen.step, seen.result) {
                for event in &outcome.recorded {
                    *had.entry(event.termsHash).or_default() += event.amount;
                }
            }
            for terms in trace.terms() {
                let had = had.get(&terms.hash()).copied().unwrap_or_default();
                let slot = seen.after.state_of(terms.hash());
                prop_assert_eq!(had, U256::from(slot.paid));
                prop_assert!(had <= U256::from(terms.amount));
                prop_assert_eq!(slot.status == Status::Paid, slot.paid == terms.amount && terms.amount > 0);
            }
            Ok(())
        })?;
    }

    /// What is above the amount goes to refundTo or where the key's order says: the payee is never given more than is
    /// due, and what remains in a purse after a settlement is all that was there less what was due.
    #[test]
    fn x3_surplus_goes_to_nobody_else(trace in traces()) {
        let cast = Cast::default();
        watch(&cast, &trace, |seen| {
            if let (Step::Settle { terms, .. }, Ok(_)) = (seen.step, seen.result) {
                let purse = seen.after.purse(terms);
                let due = U256::from(terms.amount - seen.before.state_of(terms.hash()).paid);
                let surplus = seen.before.balance(terms.token, purse).saturating_sub(due);
                prop_assert_eq!(seen.after.balance(terms.token, purse), surplus);
            }
            Ok(())
        })?;
    }

    /// Before closesAt an open invoice can be settled and its money cannot go back; from closesAt on, or once it is
    /// paid or cancelled, the other way round. Never both, never neither.
    #[test]
    fn x7_settled_or_refunded_never_both_never_neither(trace in traces()) {
        let cast = Cast::default();
        watch(&cast, &trace, |seen| {
            let now = seen.before.here().timestamp;
            for terms in seen.step.terms() {
                let status = seen.before.state_of(terms.hash()).status;
                let open = status == Status::Open && now < terms.closes_at;
                let valid = seen.before.check(terms).is_ok();
                if seen.result.is_ok() {
                    match seen.step {
                        Step::Settle { .. } | Step::Pay { .. } | Step::Cancel { .. } => prop_assert!(valid && open),
                        Step::Refund { token, .. } => prop_assert!(!(valid && open && *token == terms.token)),
                        Step::RefundByOrder { order, .. } => {
                            prop_assert!(!(valid && open && order.token == terms.token));
                        }
                        _ => (),
                    }
                }
            }
            // What would happen now, were everything that is due there?
            for terms in trace.invoices.iter().filter(|terms| seen.after.check(terms).is_ok()) {
                let mut funded = seen.after.clone();
                for &person in &cast.people {
                    for &token in &cast.tokens {
                        funded.block(token, person, false);
                    }
                }
                funded.mint(terms.token, funded.purse(terms), U256::from(terms.amount)).unwrap();
                let settles = funded.clone().settle(settler(&cast, terms), terms);
                let refunds = if terms.refund_key.is_zero() {
                    funded.clone().refund(terms, terms.token)
                } else {
                    let order = RefundOrder {
                        termsHash: terms.hash(),
                        token: terms.token,
                        to: terms.refund_to,
                        nonce: U256::from(77),
                        deadline: U256::MAX,
                    };
                    funded.clone().refund_by_order(cast.people[0], terms, &order, Some(terms.refund_key))
                };
                let status = funded.state_of(terms.hash()).status;
                let open = status == Status::Open && funded.here().timestamp < terms.closes_at;
                if open {
                    prop_assert!(settles.is_ok());
                    prop_assert_eq!(refunds, Err(Error::NotRefundable));
                } else {
                    let refused = if status == Status::Open { Error::Closed } else { Error::NotOpen };
                    prop_assert_eq!(settles, Err(refused));
                    prop_assert!(refunds.is_ok());
                }
            }
            Ok(())
        })?;
    }

    /// X9: where anyone may settle, it makes no difference who does.
    #[test]
    fn x9_with_settler_0_the_outcome_is_the_same_whoever_calls(trace in traces()) {
        let cast = Cast::default();
        let end = watch(&cast, &trace, |_| Ok(()))?;
        for terms in trace.terms().iter().filter(|terms| terms.settler.is_zero()) {
            let mut worlds = cast.people.iter().map(|&caller| {
                let mut world = end.clone();
                let result = world.settle(caller, terms);
                (result, world)
            });
            let first = worlds.next();
            prop_assert!(worlds.all(|world| Some(&world) == first.as_ref()));
        }
    }

    /// Paid and cancelled are for ever: no verb, no caller and no time changes such a slot again.
    #[test]
    fn x10_single_terminal(trace in traces()) {
        watch(&Cast::default(), &trace, |seen| {
            for (&hash, &slot) in seen.before.slots() {
                let after = seen.after.state_of(hash);
                if slot.status == Status::Open {
                    prop_assert!(after.paid >= slot.paid);
                } else {
                    prop_assert_eq!(after, slot);
                }
                if after.status != slot.status {
                    prop_assert_eq!(after.since, seen.after.here().timestamp);
                }
            }
            Ok(())
        })?;
    }

    /// A second identical command finds nothing to do. (`pay` with partials on is a new payment each time.)
    #[test]
    fn x14_repeating_does_nothing(trace in traces()) {
        watch(&Cast::default(), &trace, |seen| {
            let once = matches!(
                seen.step,
                Step::Settle { .. } | Step::Cancel { .. } | Step::Refund { .. } | Step::RefundByOrder { .. }
            );
            if seen.result.is_ok() && once {
                let mut again = seen.after.clone();
                prop_assert!(again.apply(seen.step).is_err());
                prop_assert_eq!(&again, seen.after);
            }
            Ok(())
        })?;
    }

    /// The events alone give the slots; untouched terms have none.
    #[test]
    fn x15_events_fold_to_the_state(trace in traces()) {
        watch(&Cast::default(), &trace, |seen| {
            let folded = fold(seen.after.log());
            prop_assert_eq!(folded.as_ref(), Some(seen.after.slots()));
            prop_assert!(seen.after.slots().values().all(|slot| *slot != Slot::default()));
            Ok(())
        })?;
    }

    /// X18 and all other refusals: what is refused has moved nothing and written nothing.
    #[test]
    fn x18_a_refused_step_changes_nothing(trace in traces()) {
        watch(&Cast::default(), &trace, |seen| {
            if seen.result.is_err() {
                prop_assert_eq!(seen.before, seen.after);
            }
            // The invariants keep every sum within its type.
            prop_assert_ne!(seen.result.as_ref().err(), Some(&Error::Arithmetic));
            Ok(())
        })?;
    }

    /// A step changes the slots of the terms it names, and no other slot; and it takes from no other purse.
    #[test]
    fn t1_forged_terms_never_change_another_slot(trace in traces()) {
        watch(&Cast::default(), &trace, |seen| {
            let named: BTreeSet<B256> = seen.step.terms().iter().map(InvoiceTerms::hash).collect();
            let slots = seen.before.slots().keys().chain(seen.after.slots().keys());
            for hash in slots.filter(|hash| !named.contains(*hash)) {
                prop_assert_eq!(seen.before.state_of(*hash), seen.after.state_of(*hash));
            }
            let losers = permitted_losers(seen.before, seen.step);
            for (token, account) in holdings(seen.before, seen.after) {
                if !losers.contains(&account) {
                    prop_assert!(seen.before.balance(token, account) <= seen.after.balance(token, account));
                }
            }
            Ok(())
        })?;
    }

    /// One field forged, every verb, every caller, rich: the issued invoice's slot and purse stay.
    #[test]
    fn t1_one_forged_field_is_another_invoice(
        (issued, forged) in invoice(&Cast::default())
            .prop_flat_map(|issued| (Just(issued.clone()), forge(&Cast::default(), issued))),
        ends in any::<bool>(),
    ) {
        prop_assume!(issued != forged);
        let cast = Cast::default();
        let mut world = cast.world();
        for token in tokens_and_native(&cast) {
            for terms in [&issued, &forged] {
                world.mint(token, world.purse(terms), U256::from(u128::MAX)).unwrap();
            }
        }
        if ends {
            world.warp(u64::MAX);
        }
        let untouched = |world: &World| {
            let purse = tokens_and_native(&cast).into_iter().map(|token| world.balance(token, world.purse(&issued)));
            (world.state_of(issued.hash()), purse.collect::<Vec<_>>())
        };
        let before = untouched(&world);
        for &caller in &cast.people {
            for token in tokens_and_native(&cast) {
                // Each on its own copy, so that none is in the way of another.
                for step in [
                    Step::Settle { caller, terms: forged.clone() },
                    Step::Pay { caller, terms: forged.clone(), amount: U256::MAX },
                    Step::Cancel { caller, terms: forged.clone() },
                    Step::Refund { caller, terms: forged.clone(), token },
                    Step::RefundByOrder {
                        caller,
                        terms: forged.clone(),
                        order: RefundOrder {
                            termsHash: forged.hash(),
                            token,
                            to: caller,
                            nonce: U256::ZERO,
                            deadline: U256::MAX,
                        },
                        signer: Some(forged.refund_key),
                    },
                ] {
                    let mut world = world.clone();
                    let _ = world.apply(&step);
                    prop_assert_eq!(&untouched(&world), &before);
                }
            }
        }
    }

    /// In the end a stranger with nothing but the terms empties every address, of every token, to refundTo.
    #[test]
    fn t4_in_the_end_anyone_empties_any_address(trace in traces()) {
        let cast = Cast::default();
        let mut end = watch(&cast, &trace, |_| Ok(()))?;
        for &token in &cast.tokens {
            for &person in &cast.people {
                end.block(token, person, false);
            }
        }
        for terms in trace.terms() {
            if [Address::ZERO, cast.here.deployment.factory].contains(&terms.refund_to) {
                continue; // Never valid anywhere; nobody was shown this address.
            }
            let purse = end.purse(&terms);
            for token in tokens_and_native(&cast) {
                // PROTOCOL §4: 30 days after the earlier of `since` and closesAt, whatever the terms say.
                let slot = end.state_of(terms.hash());
                let over = if slot.status == Status::Open { terms.closes_at } else { slot.since };
                let mut world = end.clone();
                world.warp(over.saturating_add(30 * 24 * 60 * 60));
                world.mint(token, purse, U256::ONE).unwrap();
                let (lies, had) = (world.balance(token, purse), world.balance(token, terms.refund_to));
                prop_assert_eq!(world.refund(&terms, token), Ok(lies));
                prop_assert_eq!(world.balance(token, purse), U256::ZERO);
                prop_assert_eq!(world.balance(token, terms.refund_to), had + lies);
            }
        }
    }

    /// Nobody gains a unit but payee (at most what is due), refundTo and order.to (at most what lies there).
    #[test]
    fn t5_no_caller_gains_a_unit(trace in traces()) {
        watch(&Cast::default(), &trace, |seen| {
            let permitted = permitted_gains(seen.before, seen.step);
            for (token, account) in holdings(seen.before, seen.after) {
                let permitted = permitted.get(&(token, account)).copied().unwrap_or_default();
                let had = seen.before.balance(token, account);
                prop_assert!(seen.after.balance(token, account) <= had.saturating_add(permitted));
            }
            Ok(())
        })?;
    }

    /// The door stays shut exactly until it opens, by whoever asks.
    #[test]
    fn x8_the_wait_ends(trace in traces()) {
        let cast = Cast::default();
        let end = watch(&cast, &trace, |_| Ok(()))?;
        for terms in &trace.invoices {
            for token in tokens_and_native(&cast) {
                let opens_at = end.opens_at(terms, token, Door::Refund);
                for (timestamp, open) in [(opens_at.saturating_sub(1), false), (opens_at, true)] {
                    if timestamp < end.here().timestamp {
                        continue;
                    }
                    let mut world = end.clone();
                    world.block(token, terms.refund_to, false);
                    world.mint(token, world.purse(terms), U256::ONE).unwrap();
                    world.warp(timestamp);
                    let refused = world.refund(terms, token) == Err(Error::NotRefundable);
                    prop_assert_eq!(refused, !open);
                }
            }
        }
    }
}

proptest! {
    /// A trace for a chain with one block per transaction: every step its own second, none out of order, none lost.
    #[test]
    fn one_block_per_step_keeps_steps_and_order(trace in traces()) {
        let start = Cast::default().here.timestamp;
        let steps = trace.one_block_per_step(start);
        let is_warp = |step: &&Step| matches!(step, Step::Warp { .. });
        let not_warps = |steps: &[Step]| steps.iter().filter(|step| !is_warp(step)).cloned().collect::<Vec<_>>();
        prop_assert_eq!(not_warps(&steps), not_warps(&trace.steps));
        let (mut clock, mut last) = (start, None);
        for step in &steps {
            match step {
                Step::Warp { timestamp } => {
                    prop_assert!(*timestamp > clock);
                    clock = *timestamp;
                }
                _ => prop_assert_ne!(last.replace(clock), Some(clock)),
            }
        }
    }
}

/// The tests above would be worth little if the traces never got anywhere: among 500 of them every verb succeeds
/// often, forged terms are tried, and every error but the unreachable one is met.
#[test]
fn traces_reach_everything() {
    let met = std::cell::RefCell::new(BTreeMap::<String, u32>::new());
    same_traces(500, |trace| {
        let mut met = met.borrow_mut();
        watch(&Cast::default(), &trace, |seen| {
            let mut count = |what: String| *met.entry(what).or_default() += 1;
            match seen.result {
                Err(error) => count(error.name()),
                Ok(outcome) => {
                    for failed in &outcome.failed {
                        count(format!("in a batch: {}", failed.reason.name()));
                    }
                    for event in &outcome.recorded {
                        count(format!("kind {} to status {}", event.kind, event.status));
                    }
                }
            }
            Ok(())
        })?;
        Ok(())
    });
    let met = met.into_inner();
    let often = |what: &str, times| assert!(met.get(what).is_some_and(|&met| met >= times), "{what}: {met:#?}");
    for kind in [Kind::Settled, Kind::Paid] {
        for status in [Status::Open, Status::Paid] {
            often(&format!("kind {} to status {}", kind.as_u8(), status.as_u8()), 50);
        }
    }
    often("kind 3 to status 2", 20);
    for kind in [Kind::Refunded, Kind::RefundedByOrder] {
        for status in [Status::Open, Status::Paid, Status::Cancelled] {
            often(&format!("kind {} to status {}", kind.as_u8(), status.as_u8()), 5);
        }
    }
    // A purse can run twice in a batch only where one invoice pays another; `rules` has that case.
    for error in Error::ALL.iter().filter(|error| !matches!(error, Error::Arithmetic | Error::AlreadyRan)) {
        often(&error.name(), 1);
    }
}
