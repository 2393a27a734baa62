//! The tables of money in and out, walked.

use domain::ach::{Class, Notice, RETURN_CODES, Window, after_banking_days, is_banking_day, is_holiday};
use domain::ledger::AccountKind;
use domain::ledger::{At, CHART, COVERED_BY, ENTRIES, Entry, EntryError, EntryKind, Key, Names, Part, Phase};
use domain::money::Units;
use domain::receipt::{self, EventKind, FiatRail, HOLDS, Hold, Purpose, ReceiptState, RiskTier};
use domain::steps::Refusal;
use domain::token_rail::{BREAKER, Breaker, BreakerState, CROSSINGS, Choice, CrossEvent, CrossState, Crossing, Order};
use domain::token_rail::{Patience, Proof, RailFact, Reason, Signal, TokenRail, choose};
use domain::withdrawal::{self, Withdrawal, WithdrawalState};
use std::collections::HashSet;
use time::{Date, Month};

#[test]
fn every_line_of_every_entry_stays_in_one_fund() {
    let fund = |at: At| match at {
        At::Of(kind) | At::Other(kind) => kind.rule().fund,
        At::Place => AccountKind::BankCash.rule().fund,
        At::OtherToken => AccountKind::TokenLiability.rule().fund,
    };
    for (kind, part, debit, credit) in ENTRIES {
        assert_eq!(fund(*debit), fund(*credit), "{kind} {part}");
        assert_ne!(debit, credit, "{kind} {part}");
    }
    assert_eq!(AccountKind::GatewayReceivable.rule().fund, AccountKind::BankCash.rule().fund, "a place is either");
}

#[test]
fn every_event_that_is_booked_has_its_lines_and_every_kind_of_account_its_rule() {
    let voids = [EntryKind::NotCollected, EntryKind::NotBurned];
    for kind in EntryKind::ALL {
        assert_eq!(ENTRIES.iter().any(|(of, ..)| of == kind), !voids.contains(kind), "{kind}");
    }
    let used = |kind: AccountKind| {
        ENTRIES.iter().any(|(.., debit, credit)| [At::Of(kind)].iter().any(|at| at == debit || at == credit))
    };
    assert_eq!(CHART.len(), AccountKind::ALL.len());
    for (kind, rule) in AccountKind::ALL.iter().zip(CHART) {
        assert_eq!(*kind, rule.kind, "the chart is in the order of declaration");
        assert_eq!(kind.rule().kind, *kind);
        assert!(used(*kind), "nothing is ever booked on {kind}");
    }
    for (kind, accounts) in COVERED_BY {
        let lines: Vec<_> = ENTRIES.iter().filter(|(of, ..)| of == kind).collect();
        let takes = lines
            .iter()
            .any(|(.., credit)| accounts.iter().any(|account| *credit == At::Of(*account) || *credit == At::Place));
        assert!(takes, "{kind} takes nothing from what is to cover it");
    }
}

#[test]
fn an_entry_says_what_it_lacks() {
    let key = |kind| Key { source: "s".into(), reference: "r".into(), kind };
    let make = |kind, names: &Names, part, units| Entry::new(key(kind), Phase::Single, names, &[(part, Units(units))]);
    let none = Names::default();
    assert_eq!(
        make(EntryKind::Burned, &none, Part::Fee, 1),
        Err(EntryError::NoSuchPart { kind: EntryKind::Burned, part: Part::Fee })
    );
    assert_eq!(
        make(EntryKind::Burned, &none, Part::Amount, 1),
        Err(EntryError::Unnamed { kind: EntryKind::Burned, by: "token" })
    );
    assert_eq!(make(EntryKind::Burned, &none, Part::Amount, 0), Err(EntryError::Empty(EntryKind::Burned)));
    let token = Names { token: Some("tempo/1".into()), ..Names::default() };
    assert_eq!(make(EntryKind::Burned, &token, Part::Amount, u128::MAX), Err(EntryError::TooLarge(EntryKind::Burned)));
    let made = make(EntryKind::Burned, &token, Part::Amount, 5).unwrap();
    let legs: Vec<_> = made.legs.iter().map(|leg| format!("{} {}", leg.account, leg.amount)).collect();
    assert_eq!(legs, ["token_liability:tempo/1 5", "redemption_payable -5"]);
}

#[test]
fn every_state_of_a_receipt_is_reached_and_nothing_is_minted_that_was_not_cleared() {
    let mut reached = HashSet::from([ReceiptState::Initiated]);
    for (from, event, _, to) in receipt::TRANSITIONS {
        reached.insert(*to);
        let out = matches!(event, EventKind::Minted | EventKind::FloatPaid);
        let early = [ReceiptState::Initiated, ReceiptState::Submitted, ReceiptState::Settled, ReceiptState::Declined];
        assert!(!out || !early.contains(from), "{from} is minted");
        assert!(*from != ReceiptState::Declined, "what was declined goes on");
    }
    assert_eq!(reached.len(), ReceiptState::ALL.len());
}

#[test]
fn the_policy_holds_each_rail_as_long_as_its_money_can_easily_go() {
    for rail in FiatRail::ALL {
        for risk in RiskTier::ALL {
            assert_eq!(HOLDS.iter().filter(|(of, tier, _)| (of, tier) == (rail, risk)).count(), 1, "{rail} {risk}");
        }
    }
    let friday = Date::from_calendar_date(2026, Month::November, 20).unwrap();
    let clears = |rail, risk| receipt::hold(rail, risk).clears_on(friday);
    assert_eq!(clears(FiatRail::Wire, RiskTier::High), friday);
    // Thanksgiving is no banking day.
    assert_eq!(clears(FiatRail::Ach, RiskTier::Normal), Date::from_calendar_date(2026, Month::November, 27).unwrap());
    let card = receipt::hold(FiatRail::Card, RiskTier::Normal);
    assert_eq!(card, Hold::AtOnceOr(2));
    for (purpose, headroom, at_once) in [
        (Purpose::Invoice, 150, true),
        (Purpose::Invoice, 149, false),
        // A card would be a cash machine.
        (Purpose::OwnWallet, 1_000, false),
    ] {
        assert_eq!(card.is_at_once(purpose, Units(150), Units(headroom)), at_once, "{purpose} {headroom}");
    }
    assert!(!receipt::hold(FiatRail::Ach, RiskTier::Low).is_at_once(Purpose::Invoice, Units(1), Units(1_000)));
}

#[test]
fn return_codes_have_their_window_and_class() {
    let numbers = |want: &dyn Fn(&domain::ach::ReturnCode) -> bool| -> Vec<u8> {
        RETURN_CODES.iter().filter(|code| want(code)).map(|code| code.number).collect()
    };
    assert_eq!(numbers(&|code| code.window == Window::SixtyDays), [5, 6, 7, 10, 11, 37, 51, 53]);
    assert_eq!(numbers(&|code| code.class == Class::Unauthorised), [5, 7, 10, 11, 29, 51]);
    assert_eq!(numbers(&|code| code.class == Class::Administrative), [2, 3, 4]);
    assert_eq!(numbers(&|code| code.represent > 0), [1, 9]);
    let all = numbers(&|_| true);
    assert!(all.is_sorted() && all.iter().collect::<HashSet<_>>().len() == all.len());
    for (text, meaning) in [("R10", Some(10)), ("C02", None)] {
        match text.parse::<Notice>().unwrap() {
            Notice::Return(code) => assert_eq!(Some(code.number), meaning),
            Notice::Change(_) => assert_eq!(meaning, None),
        }
    }
    for wrong in ["", "R", "R1", "R001", "R99", "r01", "C00", "C15", "X01", "R+1", "Ř01", "R0١"] {
        assert!(wrong.parse::<Notice>().is_err(), "{wrong}");
    }
    let settled = Date::from_calendar_date(2026, Month::December, 24).unwrap();
    let last = |number| RETURN_CODES.iter().find(|code| code.number == number).and_then(|code| code.last_day(settled));
    assert_eq!(last(1), Date::from_calendar_date(2026, Month::December, 29).ok());
    assert_eq!(last(10), Date::from_calendar_date(2027, Month::February, 22).ok());
    assert_eq!(last(31), None);
}

#[test]
fn banking_days_are_those_of_the_federal_reserve() {
    let published = [
        (2026, [(1, 1), (1, 19), (2, 16), (5, 25), (6, 19), (9, 7), (10, 12), (11, 11), (11, 26), (12, 25)].as_slice()),
        // Independence Day is a Sunday; Juneteenth and Christmas are Saturdays.
        (2027, &[(1, 1), (1, 18), (2, 15), (5, 31), (7, 5), (9, 6), (10, 11), (11, 11), (11, 25)]),
    ];
    for (year, holidays) in published {
        let mut day = Date::from_calendar_date(year, Month::January, 1).unwrap();
        let mut found = Vec::new();
        while day.year() == year {
            if is_holiday(day) && !matches!(day.weekday(), time::Weekday::Saturday | time::Weekday::Sunday) {
                found.push((u8::from(day.month()), day.day()));
            }
            assert!(!is_holiday(day) || !is_banking_day(day));
            day = day.next_day().unwrap();
        }
        assert_eq!(found, holidays, "{year}");
    }
    let saturday = Date::from_calendar_date(2026, Month::November, 21).unwrap();
    let monday = Date::from_calendar_date(2026, Month::November, 23).unwrap();
    assert_eq!(after_banking_days(saturday, 0), monday);
    assert_eq!(after_banking_days(saturday, 1), monday);
    assert_eq!(after_banking_days(Date::MAX, 3), Date::MAX);
}

const OUT: Order = Order { issued: true, valid_until: 900, used: false, final_now: 900 };

#[test]
fn only_proof_says_that_an_order_failed() {
    for (order, proof) in [
        (OUT, None),
        (Order { final_now: 901, ..OUT }, Some(Proof::ExpiredUnused)),
        (Order { final_now: 901, used: true, ..OUT }, None),
        (Order { issued: false, ..OUT }, Some(Proof::NeverIssued)),
    ] {
        assert_eq!(order.proof_of_failure(), proof, "{order:?}");
    }
}

#[test]
fn a_rail_is_left_for_a_reason_and_never_because_nobody_knows() {
    let fact = |rail| RailFact { rail, terms: true, paused: false, headroom: Units(100), breaker: Breaker::NEW };
    let all: Vec<_> = TokenRail::ALL.iter().map(|&rail| fact(rail)).collect();
    let with = |at: usize, change: &dyn Fn(&mut RailFact)| {
        let mut rails = all.clone();
        change(&mut rails[at]);
        rails
    };
    let take = |rail, passed: &[(TokenRail, Reason)]| Choice::Take(rail, passed.to_vec());
    use TokenRail::{Circle, Monay, Tempo};
    let failed = Order { final_now: 901, ..OUT };
    let open = Breaker { state: BreakerState::Open, failures: 3, open_until: 60 };
    for (rails, orders, choice) in [
        (all.clone(), vec![], take(Tempo, &[])),
        (with(0, &|fact| fact.paused = true), vec![], take(Circle, &[(Tempo, Reason::Paused)])),
        (with(0, &|fact| fact.headroom = Units(49)), vec![], take(Circle, &[(Tempo, Reason::NoHeadroom)])),
        (with(0, &|fact| fact.terms = false), vec![], take(Circle, &[(Tempo, Reason::NoTerms)])),
        (with(0, &|fact| fact.breaker = open), vec![], take(Circle, &[(Tempo, Reason::BreakerOpen)])),
        (vec![fact(Monay)], vec![], take(Monay, &[(Tempo, Reason::NoTerms), (Circle, Reason::NoTerms)])),
        (vec![], vec![], Choice::Nowhere(TokenRail::ALL.iter().map(|&rail| (rail, Reason::NoTerms)).collect())),
        // Unknown: whatever is said of the rail, and however long ago.
        (all.clone(), vec![(Tempo, OUT)], Choice::Wait(Tempo)),
        (with(0, &|fact| fact.breaker = open), vec![(Tempo, OUT)], Choice::Wait(Tempo)),
        (all.clone(), vec![(Tempo, failed), (Circle, OUT)], Choice::Wait(Circle)),
        // Minted: nothing else ever is.
        (all.clone(), vec![(Tempo, Order { used: true, ..failed })], Choice::Wait(Tempo)),
        (all.clone(), vec![(Tempo, failed)], take(Circle, &[(Tempo, Reason::OrderFailed)])),
        (all.clone(), vec![(Tempo, failed), (Circle, failed), (Monay, failed)], take(Tempo, &[])),
    ] {
        assert_eq!(choose(&rails, Units(50), &orders), choice, "{rails:?} {orders:?}");
    }
}

#[test]
fn a_breaker_opens_on_proven_failures_only_and_tries_again() {
    let patience = Patience { failures: 2, rest_seconds: 60 };
    let hear = |breaker: Breaker, signal, now| breaker.hear(signal, now, patience);
    let mut breaker = Breaker::NEW;
    for now in 0..50 {
        breaker = hear(breaker, Signal::Unknown, now);
    }
    assert_eq!(breaker, Breaker::NEW, "nobody knows, fifty times");
    let once = hear(breaker, Signal::Failed, 50);
    assert_eq!((once.state, once.failures), (BreakerState::Closed, 1));
    assert_eq!(hear(once, Signal::Succeeded, 51), Breaker::NEW);
    let open = hear(once, Signal::Failed, 60);
    assert_eq!((open.state, open.open_until), (BreakerState::Open, 120));
    assert_eq!(hear(open, Signal::Waited, 119), open);
    let half = hear(open, Signal::Waited, 120);
    assert_eq!(half.state, BreakerState::HalfOpen);
    assert_eq!(hear(half, Signal::Failed, 121).open_until, 181);
    assert_eq!(hear(half, Signal::Succeeded, 121), Breaker::NEW);
    assert!(BREAKER.iter().all(|(_, signal, _)| *signal != Signal::Unknown));
}

#[test]
fn a_transfer_between_rails_mints_after_the_burn_is_final_and_only_then() {
    for (from, event, to) in CROSSINGS {
        assert!(*event != CrossEvent::MintOrdered || *from == CrossState::Burned, "{from} orders a mint");
        assert!(*event != CrossEvent::Unknown || from == to, "unknown moves {from} to {to}");
        assert!(*event != CrossEvent::MintFinal || *from == CrossState::Minting, "{from} is minted");
    }
    let start = Crossing {
        id: "1".into(),
        amount: Units(5),
        from: "tempo/1".into(),
        to: "monay/2".into(),
        state: CrossState::Requested,
    };
    let mut known = start.clone();
    assert!(matches!(known.take(CrossEvent::MintOrdered), Err(Refusal::TooEarly { .. })));
    let mut booked = Vec::new();
    use CrossEvent as E;
    for event in [
        E::BurnSigned,
        E::Unknown,
        E::BurnFinal,
        E::MintOrdered,
        E::Unknown,
        E::MintFailed,
        E::MintOrdered,
        E::MintFinal,
    ] {
        let (next, entry) = known.take(event).unwrap();
        booked.extend(entry.map(|entry| entry.key.kind));
        known = next;
    }
    assert_eq!(known.state, CrossState::Done);
    assert_eq!(booked, [EntryKind::CrossBurned, EntryKind::CrossMinted]);
    assert!(matches!(known.take(E::MintFinal), Err(Refusal::Impossible { .. })));
}

#[test]
fn no_bank_is_paid_before_the_burn_is_final_nor_twice() {
    use withdrawal::Event as E;
    for (from, event, _) in withdrawal::TRANSITIONS {
        let burned = !matches!(from, WithdrawalState::Requested | WithdrawalState::Locked | WithdrawalState::Expired);
        assert!(*event != withdrawal::EventKind::PayoutSent || burned, "{from} is paid");
    }
    let sent = |trace: &str| E::PayoutSent { trace: trace.into() };
    let done = |trace: &str| E::PayoutDone { trace: trace.into() };
    let back = |trace: &str| E::PayoutReturned { trace: trace.into() };
    let mut known = Withdrawal::new("1", "main", "tempo/1", Units(5));
    let steps = [
        (sent("a"), Err("too early")),
        (E::Locked, Ok(vec![EntryKind::Burning])),
        (sent("a"), Err("too early")),
        (E::Burned { amount: Units(6) }, Err("says")),
        (E::Burned { amount: Units(5) }, Ok(vec![EntryKind::Burned])),
        (done("a"), Err("too early")),
        (sent("a"), Ok(vec![EntryKind::PayoutSent])),
        (sent("b"), Err("too early")),
        // Back before we heard that it had gone; and then we hear it.
        (back("a"), Ok(vec![EntryKind::PayoutFailed])),
        (done("a"), Err("applied before")),
        (sent("a"), Err("applied before")),
        (sent("b"), Ok(vec![EntryKind::PayoutSent])),
        (done("b"), Ok(vec![EntryKind::PayoutDone])),
        (sent("c"), Err("too early")),
        (back("b"), Ok(vec![EntryKind::PayoutReturned])),
        (sent("c"), Ok(vec![EntryKind::PayoutSent])),
        (done("c"), Ok(vec![EntryKind::PayoutDone])),
    ];
    for (event, want) in steps {
        match (known.take(&event), want) {
            (Ok(step), Ok(booked)) => {
                assert_eq!(step.entries.iter().map(|entry| entry.key.kind).collect::<Vec<_>>(), booked, "{event:?}");
                known = step.withdrawal;
            }
            (Err(refusal), Err(why)) => assert!(refusal.to_string().contains(why), "{event:?}: {refusal}"),
            (got, want) => panic!("{event:?}: {got:?}, and not {want:?}"),
        }
    }
}
