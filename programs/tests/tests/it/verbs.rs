//! Each verb: who, when, effect, as in PROTOCOL §4 and §6.

use escrow_interface::{
    CHAIN, Error, NONE, Recorded, Terms,
    event::Kind,
    terms::{FLAG_PARTIALS, MAX_LIFETIME_SECONDS, WAIT_SECONDS},
};
use program_tests::{
    Invoice, Net, Refused,
    ask::{AMOUNT, key},
    net::{START, escrow},
    person, tokens,
};
use solana_instruction::Instruction;

fn scene(amount: u64, with: impl FnOnce(&mut Terms)) -> (Net, Invoice) {
    let mut net = Net::new();
    let invoice = Invoice::with(with);
    invoice.set_up(&mut net, amount);
    (net, invoice)
}

fn refused(net: &mut Net, instruction: Instruction) -> Refused {
    let before = net.look(instruction.accounts.iter().map(|meta| meta.pubkey));
    let refused = net.send(&[instruction]).expect_err("is refused");
    assert_eq!(net.look(before.keys().copied()), before, "a refused instruction has changed something");
    refused
}

#[test]
fn settle_pays_the_payee_and_leaves_the_excess() {
    let (mut net, invoice) = scene(AMOUNT + 5, |_| ());
    let done = net.send(&[invoice.settle()]).unwrap();
    assert_eq!(net.balance(invoice.associated(invoice.payee()).0), AMOUNT);
    assert_eq!(net.balance(invoice.vault()), 5);
    let event = Recorded {
        terms_hash: invoice.hash,
        token: invoice.terms.token,
        to: invoice.terms.payee,
        amount: AMOUNT,
        paid: AMOUNT,
        since: START,
        kind: Kind::Settled as u8,
        status: 1,
    };
    assert_eq!(done.events, [event]);
    let record = invoice.record(&net).unwrap();
    assert_eq!((record.paid, record.status, record.since), (AMOUNT, 1, START));
    assert_eq!(record.rent_payer, key(person("keeper")));
    assert_eq!(refused(&mut net, invoice.settle()), Error::NotOpen.into());
}

#[test]
fn partials_are_passed_on_as_they_come_or_not_at_all() {
    let (mut net, whole) = scene(AMOUNT - 1, |_| ());
    assert_eq!(refused(&mut net, whole.settle()), Error::NotFunded.into());
    let (mut net, partials) = scene(AMOUNT - 1, |terms| terms.flags = FLAG_PARTIALS);
    net.send(&[partials.settle()]).unwrap();
    assert_eq!(refused(&mut net, partials.settle()), Error::NothingDue.into());
    net.fund(partials.address, partials.mint(), false, 3);
    let done = net.send(&[partials.settle()]).unwrap();
    assert_eq!((done.events[0].amount, done.events[0].paid, done.events[0].status), (1, AMOUNT, 1));
    assert_eq!(net.balance(partials.vault()), 2);
}

#[test]
fn only_the_settler_settles_and_lets_pay() {
    let settler = person("settler");
    let (mut net, invoice) = scene(AMOUNT, |terms| terms.settler = key(settler));
    assert_eq!(refused(&mut net, invoice.settle_by(person("keeper"))), Error::NotSettler.into());
    let payer = person("payer");
    assert_eq!(refused(&mut net, invoice.pay_by(payer, payer, AMOUNT)), Error::NotSettler.into());
    net.clone().send(&[invoice.pay_by(settler, payer, AMOUNT)]).unwrap();
    net.send(&[invoice.settle_by(settler)]).unwrap();
}

#[test]
fn the_payer_pays_the_payee_up_to_his_ceiling_and_the_vault_is_not_counted() {
    let (mut net, invoice) = scene(7, |terms| terms.flags = FLAG_PARTIALS);
    let payer = person("payer");
    let done = net.send(&[invoice.pay(payer, 100)]).unwrap();
    assert_eq!((done.events[0].kind, done.events[0].amount), (Kind::Paid as u8, 100));
    let done = net.send(&[invoice.pay(payer, u64::MAX)]).unwrap();
    assert_eq!((done.events[0].amount, done.events[0].status), (AMOUNT - 100, 1));
    assert_eq!(net.balance(invoice.vault()), 7);
    assert_eq!(refused(&mut net, invoice.pay(payer, 1)), Error::NotOpen.into());

    let (mut net, whole) = scene(0, |_| ());
    assert_eq!(refused(&mut net, whole.pay(payer, AMOUNT - 1)), Error::NotFunded.into());
    let mut unsigned = whole.pay_by(person("keeper"), payer, AMOUNT);
    unsigned.accounts[2].is_signer = false;
    assert_eq!(refused(&mut net, unsigned), Error::NotPayer.into());
    net.fund(whole.payee(), whole.mint(), false, AMOUNT);
    assert_eq!(refused(&mut net, whole.pay(whole.payee(), AMOUNT)), Error::PayerIsPayee.into());
}

#[test]
fn payee_and_settler_cancel_and_nobody_else() {
    let settler = person("settler");
    let (net, invoice) = scene(AMOUNT, |terms| terms.settler = key(settler));
    for who in [invoice.payee(), settler] {
        let mut net = net.clone();
        let done = net.send(&[invoice.cancel(who)]).unwrap();
        assert_eq!((done.events[0].kind, done.events[0].status), (Kind::Cancelled as u8, 2));
        assert_eq!((done.events[0].token, done.events[0].to), (NONE, NONE));
        assert_eq!(refused(&mut net, invoice.settle()), Error::NotOpen.into());
        net.send(&[invoice.refund()]).unwrap();
        assert_eq!(net.balance(invoice.associated(invoice.refund_to()).0), AMOUNT);
    }
    let mut net = net;
    assert_eq!(refused(&mut net, invoice.cancel(person("keeper"))), Error::NotPayeeNorSettler.into());
    // A settler of zero is nobody, not the system program.
    let (mut net, open) = scene(AMOUNT, |_| ());
    assert_eq!(refused(&mut net, open.cancel(person("keeper"))), Error::NotPayeeNorSettler.into());
}

#[test]
fn before_closes_at_it_settles_and_from_then_on_it_goes_back() {
    let (net, invoice) = scene(AMOUNT, |_| ());
    let closes_at = invoice.terms.closes_at;
    for (now, settles) in [(closes_at - 1, true), (closes_at, false)] {
        let mut net = net.clone();
        net.warp(now);
        let asked = [invoice.settle(), invoice.pay(person("payer"), AMOUNT), invoice.cancel(invoice.payee())];
        for instruction in asked {
            let result = net.clone().send(&[instruction]).map(|_| ());
            assert_eq!(result, if settles { Ok(()) } else { Err(Error::Closed.into()) }, "at {now}");
        }
        let result = net.send(&[invoice.refund()]).map(|_| ());
        assert_eq!(result, if settles { Err(Error::NotRefundable.into()) } else { Ok(()) }, "at {now}");
    }
}

#[test]
fn with_a_refund_key_money_waits_for_it_30_days_and_not_longer() {
    let refund_key = person("refund key");
    let (net, invoice) = scene(AMOUNT, |terms| terms.refund_key = key(refund_key));
    let closes_at = invoice.terms.closes_at;
    let elsewhere = invoice.associated(person("payer")).0;

    let mut closed = net.clone();
    closed.warp(closes_at - 1);
    assert_eq!(refused(&mut closed, invoice.refund_by_key(refund_key, elsewhere)), Error::NotRefundable.into());
    closed.warp(closes_at);
    assert_eq!(refused(&mut closed, invoice.refund()), Error::NotRefundable.into());
    assert_eq!(refused(&mut closed, invoice.refund_by_key(person("thief"), elsewhere)), Error::NotRefundKey.into());
    assert_eq!(
        refused(&mut closed, invoice.refund_by_key(refund_key, invoice.vault())),
        Error::WrongDestination.into()
    );
    let done = closed.clone().send(&[invoice.refund_by_key(refund_key, elsewhere)]).unwrap();
    assert_eq!((done.events[0].kind, done.events[0].to), (Kind::RefundedByKey as u8, key(person("payer"))));
    closed.warp(closes_at + WAIT_SECONDS - 1);
    assert_eq!(refused(&mut closed, invoice.refund()), Error::NotRefundable.into());
    closed.warp(closes_at + WAIT_SECONDS);
    closed.send(&[invoice.refund()]).unwrap();

    // From the moment it was cancelled, if that is earlier.
    let mut cancelled = net;
    cancelled.send(&[invoice.cancel(invoice.payee())]).unwrap();
    cancelled.warp(START + WAIT_SECONDS - 1);
    assert_eq!(refused(&mut cancelled, invoice.refund()), Error::NotRefundable.into());
    cancelled.warp(START + WAIT_SECONDS);
    cancelled.send(&[invoice.refund()]).unwrap();

    let (mut net, none) = scene(AMOUNT, |_| ());
    assert_eq!(refused(&mut net, none.refund_by_key(refund_key, elsewhere)), Error::NoRefundKey.into());
}

#[test]
fn other_tokens_lamports_and_money_on_wrong_terms_go_back_at_once() {
    let (mut net, invoice) = scene(AMOUNT, |_| ());
    let other = person("other");
    net.mint(other, false);
    for owner in [invoice.address, invoice.refund_to()] {
        net.fund(owner, other, false, 10);
    }
    let source = tokens::associated(invoice.address, other, false).0;
    let done = net.send(&[invoice.refund_of(other, false, source)]).unwrap();
    assert_eq!((done.events[0].amount, done.events[0].token), (10, key(other)));

    let before = net.lamports(invoice.refund_to());
    assert_eq!(refused(&mut net, invoice.refund_native()), Error::NothingDue.into());
    net.give(invoice.address, 5_000_000);
    let done = net.send(&[invoice.refund_native()]).unwrap();
    assert_eq!((done.events[0].token, done.events[0].amount), (NONE, 5_000_000));
    assert_eq!(net.lamports(invoice.refund_to()), before + 5_000_000);

    type Break = fn(&mut Terms);
    let wrong: [Break; 6] = [
        |terms| terms.version = 2,
        |terms| terms.chain = CHAIN + 1,
        |terms| terms.flags = 4,
        |terms| terms.amount = 0,
        |terms| terms.closes_at = i64::MAX,
        |terms| terms.payee = NONE,
    ];
    for (index, with) in wrong.into_iter().enumerate() {
        let (mut net, invoice) = scene(AMOUNT, with);
        net.send(&[invoice.refund()]).unwrap_or_else(|refused| panic!("{index}: {refused:?}"));
        assert_eq!(net.balance(invoice.vault()), 0);
    }
}

#[test]
fn terms_that_break_a_row_are_refused_with_its_name() {
    let this = key(escrow());
    let mint = key(person("mint"));
    type Break = Box<dyn FnOnce(&mut Terms)>;
    let rows: Vec<(Error, Break)> = vec![
        (Error::WrongVersion, Box::new(|terms| terms.version = 0)),
        (Error::WrongVersion, Box::new(|terms| terms.version = 2)),
        (Error::WrongChain, Box::new(|terms| terms.chain = CHAIN + 1)),
        (Error::InvalidFlags, Box::new(|terms| terms.flags = 4)),
        (Error::InvalidFlags, Box::new(|terms| terms.flags = 128)),
        (Error::InvalidAmount, Box::new(|terms| terms.amount = 0)),
        (Error::InvalidClosesAt, Box::new(|terms| terms.closes_at = 0)),
        (Error::InvalidClosesAt, Box::new(|terms| terms.closes_at = -1)),
        (Error::InvalidClosesAt, Box::new(|terms| terms.closes_at = START + MAX_LIFETIME_SECONDS + 1)),
        (Error::InvalidToken, Box::new(|terms| terms.token = NONE)),
        (Error::InvalidToken, Box::new(|terms| terms.token = key(person("no mint")))),
        (Error::InvalidPayee, Box::new(|terms| terms.payee = NONE)),
        (Error::InvalidPayee, Box::new(move |terms| terms.payee = this)),
        (Error::InvalidPayee, Box::new(move |terms| terms.payee = mint)),
        (Error::InvalidPayee, Box::new(|terms| terms.settler = terms.payee)),
        (Error::InvalidRefundTo, Box::new(|terms| terms.refund_to = NONE)),
        (Error::InvalidRefundTo, Box::new(move |terms| terms.refund_to = this)),
        (Error::InvalidRefundTo, Box::new(move |terms| terms.refund_to = mint)),
    ];
    for (index, (error, with)) in rows.into_iter().enumerate() {
        let mut net = Net::new();
        let invoice = Invoice::with(with);
        // What is no mint is not made one.
        Invoice::with(|_| ()).set_up(&mut net, 0);
        for instruction in [
            invoice.settle_by(person("settler")),
            invoice.pay_by(person("settler"), person("payer"), AMOUNT),
            invoice.cancel(invoice.payee()),
            invoice.open_vault(person("keeper")),
        ] {
            assert_eq!(refused(&mut net, instruction), error.into(), "row {index}");
        }
    }
    let (mut net, latest) = scene(AMOUNT, |terms| terms.closes_at = START + MAX_LIFETIME_SECONDS);
    net.send(&[latest.settle()]).unwrap();
}

#[test]
fn the_vault_closes_when_it_is_empty_and_no_longer_needed() {
    let (mut net, invoice) = scene(1, |terms| terms.flags = FLAG_PARTIALS);
    let keeper = person("keeper");
    assert_eq!(refused(&mut net, invoice.close_vault(keeper)), Error::VaultInUse.into());
    net.warp(invoice.terms.closes_at);
    assert_eq!(refused(&mut net, invoice.close_vault(keeper)), Error::VaultNotEmpty.into());
    net.send(&[invoice.refund()]).unwrap();
    // A stranger made it: nobody's rent but refundTo's.
    let (rent, before) = (net.lamports(invoice.vault()), net.lamports(invoice.refund_to()));
    net.send(&[invoice.close_vault(keeper)]).unwrap();
    assert_eq!(net.lamports(invoice.refund_to()), before + rent);
    assert_eq!(refused(&mut net, invoice.close_vault(keeper)), Error::WrongVault.into());
}

#[test]
fn what_else_lies_in_vault_and_record_goes_to_refund_to_or_along_with_the_rent() {
    for poor in [false, true] {
        let (mut net, invoice) = scene(0, |_| ());
        net.svm.set_account(invoice.vault(), Default::default()).unwrap();
        let keeper = person("keeper");
        let before = net.lamports(keeper);
        net.send(&[invoice.open_vault(keeper)]).unwrap();
        for stray in [invoice.vault(), invoice.record] {
            net.give(stray, 77);
        }
        if poor {
            net.svm.set_account(invoice.refund_to(), Default::default()).unwrap();
        }
        let theirs = net.lamports(invoice.refund_to());
        net.warp(invoice.terms.closes_at + WAIT_SECONDS);
        assert_eq!(refused(&mut net, invoice.close_record(keeper)), Error::VaultOpen.into());
        net.send(&[invoice.close_vault(keeper)]).unwrap();
        net.send(&[invoice.close_record(keeper)]).unwrap();
        let (rest_here, rest_there) = if poor { (154, 0) } else { (0, 154) };
        assert_eq!(net.lamports(keeper), before + rest_here);
        assert_eq!(net.lamports(invoice.refund_to()), theirs + rest_there);
    }
}
