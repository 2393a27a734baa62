//! Compute units, and rent to the lamport.

use escrow_interface::terms::WAIT_SECONDS;
use program_tests::{
    ask::AMOUNT,
    cost::{rows, scene},
    person,
};

#[test]
fn every_verb_is_within_its_compute_limit() {
    for row in rows() {
        assert!(row.limit.is_none_or(|limit| row.ours <= limit), "{}: {} of {:?}", row.what, row.ours, row.limit);
    }
}

#[test]
fn rent_is_held_and_given_back_to_the_lamport() {
    let (mut net, invoice) = scene(false);
    net.svm.set_account(invoice.vault(), Default::default()).unwrap();
    let keeper = person("keeper");
    let all = [keeper, invoice.record, invoice.vault(), invoice.refund_to(), invoice.payee()];
    let (sum, before) = (net.sum(all), net.lamports(keeper));

    net.send(&[invoice.open_vault(keeper)]).unwrap();
    let held = before - net.lamports(keeper);
    let record = invoice.record(&net).unwrap();
    assert_eq!(held, record.rent_lamports + record.vault_lamports);
    assert_eq!(held, net.lamports(invoice.record) + net.lamports(invoice.vault()));
    assert_eq!(net.sum(all), sum);

    net.fund(invoice.address, invoice.mint(), false, AMOUNT);
    net.send(&[invoice.settle()]).unwrap();
    net.send(&[invoice.close_vault(keeper)]).unwrap();
    assert_eq!(before - net.lamports(keeper), record.rent_lamports);
    net.warp(invoice.terms.closes_at + WAIT_SECONDS);
    net.send(&[invoice.close_record(keeper)]).unwrap();
    assert_eq!(net.lamports(keeper), before);
    assert_eq!(net.sum(all), sum);
    assert_eq!(net.look([invoice.record, invoice.vault()]).into_values().flatten().count(), 0);
}
