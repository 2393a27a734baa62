//! The tables of states, walked.

use domain::invoice::{self, Guard, InvoiceEvent, InvoiceStatus};
use domain::wallet::{self, WalletStatus as W};
use std::collections::HashSet;

#[test]
fn no_invoice_status_has_two_rows_for_one_event_and_every_status_can_be_reached() {
    let mut seen = HashSet::new();
    let mut reached = HashSet::from([InvoiceStatus::Draft]);
    for (from, event, _, to) in invoice::TRANSITIONS {
        assert!(seen.insert((from, event)), "{from} has two rows for {event}");
        assert_ne!(from, to, "{from} on {event} changes nothing");
        reached.insert(*to);
    }
    assert_eq!(reached.len(), InvoiceStatus::ALL.len());
}

/// Whatever is known, the facts can say something else after a re-org: each issued status has an answer to each event.
#[test]
fn every_issued_status_follows_every_event_of_the_facts() {
    use InvoiceEvent as E;
    let lands = [
        (E::Waits, InvoiceStatus::PendingPayment),
        (E::FundedInPart, InvoiceStatus::PartiallyPaid),
        (E::Funded, InvoiceStatus::PendingPayment),
        (E::Settled, InvoiceStatus::Paid),
        (E::Oversettled, InvoiceStatus::Overpaid),
        (E::RanOut, InvoiceStatus::Expired),
        (E::CalledOff, InvoiceStatus::Cancelled),
    ];
    for from in InvoiceStatus::ALL.iter().filter(|status| **status != InvoiceStatus::Draft) {
        for (event, lands) in lands {
            let after = from.on(event).map_or(*from, |(to, _)| to);
            assert_eq!(after, lands, "{from} on {event}");
        }
    }
}

#[test]
fn money_that_was_paid_is_taken_back_only_by_a_reorg() {
    for (from, event, guard, to) in invoice::TRANSITIONS {
        let was_paid = matches!(from, InvoiceStatus::Paid | InvoiceStatus::Overpaid);
        let is_paid = matches!(to, InvoiceStatus::Paid | InvoiceStatus::Overpaid);
        if was_paid && !is_paid {
            assert_eq!(*guard, Guard::Reorg, "{from} on {event}");
        }
    }
}

#[test]
fn a_destroyed_wallet_stays_destroyed() {
    assert!(wallet::TRANSITIONS.iter().all(|(from, ..)| *from != W::Destroyed));
    assert_eq!(W::Destroyed.steps(&[W::Funded, W::PaymentInProgress]), []);
}

#[test]
fn a_wallet_passes_through_every_status_that_was_reached() {
    let paid = [W::Funded, W::PaymentInProgress, W::PaymentComplete, W::Destroying, W::Destroyed];
    let always = |steps: &[W]| steps.iter().map(|step| (*step, Guard::Always)).collect::<Vec<_>>();
    for (from, milestones, expected) in [
        (W::Active, &paid[..], always(&paid)),
        (W::PaymentInProgress, &paid[..], always(&paid[2..])),
        (W::Destroyed, &paid[..], vec![]),
        (W::Active, &[W::Active], vec![]),
        (W::Funded, &[W::Destroying, W::Destroyed], always(&[W::Destroying, W::Destroyed])),
        (W::PaymentInProgress, &[W::Funded], always(&[W::Funded])),
        (W::PaymentComplete, &[W::Funded, W::PaymentInProgress], vec![(W::PaymentInProgress, Guard::Reorg)]),
        (W::Destroying, &[W::Active], vec![(W::Active, Guard::Reorg)]),
    ] {
        assert_eq!(from.steps(milestones), expected, "{from} {milestones:?}");
    }
}
