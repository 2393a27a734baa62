//! PROTOCOL §3 and §4, sentence by sentence, at the second and the unit that matter.

use alloy_primitives::U256;
use model::{Error, Kind, NATIVE, Outcome, RefundOrder, SettleFailed, Slot, Status, Step, World};
use terms::{Address, B256, Deployment, FLAG_PARTIALS, Here, InvoiceTerms};

const START: u64 = 1_790_000_000;
const CLOSES: u64 = START + 86_400;
const WAIT: u64 = 30 * 86_400;
const AMOUNT: u128 = 150_000_000;

const USDC: Address = Address::repeat_byte(0x71);
const OTHER: Address = Address::repeat_byte(0x72);
const PAYEE: Address = Address::repeat_byte(0x0a);
const CUSTOMER: Address = Address::repeat_byte(0x0c);
const KEY: Address = Address::repeat_byte(0x0e);
const SETTLER: Address = Address::repeat_byte(0x05);
const STRANGER: Address = Address::repeat_byte(0xee);
const FACTORY: Address = Address::repeat_byte(0xfa);

fn world() -> World {
    let deployment = Deployment { factory: FACTORY, init_code_hash: B256::repeat_byte(0xc0) };
    let mut world = World::new(Here { chain: 8453, timestamp: START, deployment });
    world.deploy_token(USDC);
    world.deploy_token(OTHER);
    world
}

fn terms() -> InvoiceTerms {
    InvoiceTerms {
        version: 1,
        chain: 8453,
        invoice_id: B256::repeat_byte(1),
        payee: PAYEE,
        token: USDC,
        amount: AMOUNT,
        closes_at: CLOSES,
        refund_to: CUSTOMER,
        refund_key: Address::ZERO,
        settler: SETTLER,
        flags: 0,
    }
}

fn partials() -> InvoiceTerms {
    InvoiceTerms { flags: FLAG_PARTIALS, ..terms() }
}

fn with_key() -> InvoiceTerms {
    InvoiceTerms { refund_key: KEY, ..terms() }
}

/// Money arrives at the deposit address.
fn fund(world: &mut World, terms: &InvoiceTerms, token: Address, amount: u128) {
    world.mint(token, world.purse(terms), U256::from(amount)).unwrap();
}

fn has(world: &World, token: Address, account: Address) -> u128 {
    world.balance(token, account).to()
}

fn order(terms: &InvoiceTerms) -> RefundOrder {
    RefundOrder {
        termsHash: terms.hash(),
        token: terms.token,
        to: STRANGER,
        nonce: U256::ZERO,
        deadline: U256::from(CLOSES + WAIT),
    }
}

fn slot(paid: u128, status: Status, since: u64) -> Slot {
    Slot { paid, status, since }
}

// ---- settle ----

#[test]
fn settle_passes_on_exactly_the_amount_and_excess_stays() {
    for (funded, left) in [(AMOUNT, 0), (AMOUNT + 1, 1), (AMOUNT * 3, AMOUNT * 2)] {
        let mut world = world();
        fund(&mut world, &terms(), USDC, funded);
        assert_eq!(world.settle(SETTLER, &terms()), Ok(AMOUNT));
        assert_eq!(has(&world, USDC, PAYEE), AMOUNT);
        assert_eq!(has(&world, USDC, world.purse(&terms())), left);
        assert_eq!(world.state_of(terms().hash()), slot(AMOUNT, Status::Paid, START));
    }
}

#[test]
fn settle_without_partials_wants_the_whole_amount() {
    for funded in [0, 1, AMOUNT - 1] {
        let mut world = world();
        fund(&mut world, &terms(), USDC, funded);
        assert_eq!(world.settle(SETTLER, &terms()), Err(Error::NotFunded), "{funded}");
    }
}

#[test]
fn settle_with_partials_passes_on_what_comes() {
    let (mut world, terms) = (world(), partials());
    assert_eq!(world.settle(SETTLER, &terms), Err(Error::NothingDue));
    fund(&mut world, &terms, USDC, 1);
    assert_eq!(world.settle(SETTLER, &terms), Ok(1));
    assert_eq!(world.state_of(terms.hash()), slot(1, Status::Open, 0));
    assert_eq!(world.settle(SETTLER, &terms), Err(Error::NothingDue));
    world.warp(START + 7);
    fund(&mut world, &terms, USDC, AMOUNT);
    assert_eq!(world.settle(SETTLER, &terms), Ok(AMOUNT - 1));
    assert_eq!(world.state_of(terms.hash()), slot(AMOUNT, Status::Paid, START + 7));
    assert_eq!(has(&world, USDC, world.purse(&terms)), 1);
    assert_eq!(world.settle(SETTLER, &terms), Err(Error::NotOpen));
}

#[test]
fn settle_and_pay_are_the_settlers_unless_there_is_none() {
    for caller in [PAYEE, CUSTOMER, STRANGER, Address::ZERO] {
        let mut world = world();
        fund(&mut world, &terms(), USDC, AMOUNT);
        world.mint(USDC, caller, U256::from(AMOUNT)).unwrap();
        assert_eq!(world.settle(caller, &terms()), Err(Error::NotSettler));
        assert_eq!(world.pay(caller, &terms(), U256::MAX), Err(Error::NotSettler));
    }
    let free = InvoiceTerms { settler: Address::ZERO, ..terms() };
    for caller in [PAYEE, CUSTOMER, STRANGER] {
        let mut world = world();
        fund(&mut world, &free, USDC, AMOUNT);
        assert_eq!(world.settle(caller, &free), Ok(AMOUNT));
    }
}

#[test]
fn a_run_takes_the_native_coin_to_refund_to() {
    let mut world = world();
    fund(&mut world, &terms(), USDC, AMOUNT);
    fund(&mut world, &terms(), NATIVE, 5);
    world.settle(SETTLER, &terms()).unwrap();
    assert_eq!(has(&world, NATIVE, CUSTOMER), 5);
}

/// X7: the last second, and the first of the other side.
#[test]
fn x7_closes_at_is_the_first_second_of_the_other_side() {
    for (timestamp, settles) in [(CLOSES - 1, true), (CLOSES, false), (CLOSES + 1, false)] {
        let mut world = world();
        world.warp(timestamp);
        fund(&mut world, &terms(), USDC, AMOUNT);
        world.mint(USDC, SETTLER, U256::from(AMOUNT)).unwrap();
        let (mut a, mut b, mut c, mut d) = (world.clone(), world.clone(), world.clone(), world);
        let refused = |ok| if settles { ok } else { Err(Error::Closed) };
        assert_eq!(a.settle(SETTLER, &terms()), refused(Ok(AMOUNT)));
        assert_eq!(b.pay(SETTLER, &terms(), U256::MAX), refused(Ok(AMOUNT)));
        assert_eq!(c.cancel(PAYEE, &terms()).is_ok(), settles);
        let back = d.refund(&terms(), USDC);
        assert_eq!(back, if settles { Err(Error::NotRefundable) } else { Ok(U256::from(AMOUNT)) });
    }
}

// ---- settleBatch ----

#[test]
fn in_a_batch_one_failing_item_fails_alone() {
    let mut world = world();
    let batch: Vec<_> = (1..=4).map(|n| InvoiceTerms { invoice_id: B256::repeat_byte(n), ..terms() }).collect();
    fund(&mut world, &batch[0], USDC, AMOUNT);
    fund(&mut world, &batch[1], USDC, AMOUNT - 1);
    fund(&mut world, &batch[3], USDC, AMOUNT);
    let failed = world.settle_batch(SETTLER, &batch).unwrap();
    let reasons: Vec<_> = failed.iter().map(|item| (item.terms_hash, item.reason)).collect();
    assert_eq!(reasons, [(batch[1].hash(), Error::NotFunded), (batch[2].hash(), Error::NotFunded)]);
    assert_eq!(has(&world, USDC, PAYEE), 2 * AMOUNT);
    assert_eq!(world.log().len(), 2);
}

#[test]
fn a_batch_is_authorised_by_its_caller_item_by_item() {
    let mut world = world();
    let theirs = InvoiceTerms { settler: KEY, ..terms() };
    for terms in [&terms(), &theirs] {
        fund(&mut world, terms, USDC, AMOUNT);
    }
    let failed = world.settle_batch(SETTLER, &[theirs.clone(), terms()]).unwrap();
    assert_eq!(failed, [SettleFailed { terms_hash: theirs.hash(), reason: Error::NotSettler }]);
    assert_eq!(has(&world, USDC, PAYEE), AMOUNT);
}

/// "The same purse once per transaction": money that comes back within a batch waits for the next one.
#[test]
fn a_purse_runs_once_in_a_batch() {
    let (mut world, first) = (world(), partials());
    let second = InvoiceTerms { payee: world.purse(&first), invoice_id: B256::repeat_byte(2), ..partials() };
    fund(&mut world, &first, USDC, 1);
    fund(&mut world, &second, USDC, 2);
    let failed = world.settle_batch(SETTLER, &[first.clone(), second, first.clone()]).unwrap();
    assert_eq!(failed, [SettleFailed { terms_hash: first.hash(), reason: Error::AlreadyRan }]);
    assert_eq!(world.state_of(first.hash()).paid, 1);
    assert_eq!(world.settle(SETTLER, &first), Ok(2));
}

// ---- pay ----

#[test]
fn pay_pulls_from_the_caller_and_does_not_count_the_purse() {
    let mut world = world();
    world.mint(USDC, SETTLER, U256::from(AMOUNT + 1)).unwrap();
    fund(&mut world, &terms(), USDC, AMOUNT);
    assert_eq!(world.pay(SETTLER, &terms(), U256::MAX), Ok(AMOUNT));
    assert_eq!(has(&world, USDC, SETTLER), 1);
    assert_eq!(has(&world, USDC, PAYEE), AMOUNT);
    // What lay in the purse is now excess, and goes back.
    assert_eq!(world.refund(&terms(), USDC), Ok(U256::from(AMOUNT)));
}

#[test]
fn pay_treats_its_amount_as_a_ceiling() {
    let mut whole = world();
    whole.mint(USDC, SETTLER, U256::from(AMOUNT)).unwrap();
    let mut part = whole.clone();
    assert_eq!(whole.pay(SETTLER, &terms(), U256::from(AMOUNT - 1)), Err(Error::NotFunded));
    assert_eq!(whole.pay(SETTLER, &terms(), U256::from(AMOUNT)), Ok(AMOUNT));
    assert_eq!(part.pay(SETTLER, &partials(), U256::ZERO), Err(Error::NothingDue));
    assert_eq!(part.pay(SETTLER, &partials(), U256::from(AMOUNT - 1)), Ok(AMOUNT - 1));
    assert_eq!(part.pay(SETTLER, &partials(), U256::MAX), Ok(1));
    assert_eq!(part.state_of(partials().hash()), slot(AMOUNT, Status::Paid, START));
}

/// What lies in the purse does not raise the ceiling either.
#[test]
fn pay_takes_no_more_than_its_ceiling() {
    let mut world = world();
    world.mint(USDC, SETTLER, U256::from(AMOUNT)).unwrap();
    fund(&mut world, &partials(), USDC, 50);
    assert_eq!(world.pay(SETTLER, &partials(), U256::from(10)), Ok(10));
    assert_eq!(has(&world, USDC, SETTLER), AMOUNT - 10);
    assert_eq!(has(&world, USDC, world.purse(&partials())), 50);
}

#[test]
fn pay_is_never_the_payees_and_never_with_money_that_is_not_there() {
    let mut world = world();
    let free = InvoiceTerms { settler: Address::ZERO, ..terms() };
    world.mint(USDC, PAYEE, U256::from(AMOUNT)).unwrap();
    world.mint(USDC, STRANGER, U256::from(AMOUNT - 1)).unwrap();
    assert_eq!(world.pay(PAYEE, &free, U256::MAX), Err(Error::PayerIsPayee));
    assert_eq!(world.pay(STRANGER, &free, U256::MAX), Err(Error::TransferFailed));
    assert_eq!(world.state_of(free.hash()), Slot::default());
}

// ---- cancel ----

#[test]
fn cancel_is_the_payees_or_the_settlers() {
    for (caller, may) in [(PAYEE, true), (SETTLER, true), (CUSTOMER, false), (KEY, false), (STRANGER, false)] {
        let mut world = world();
        assert_eq!(world.cancel(caller, &with_key()), if may { Ok(()) } else { Err(Error::NotPayeeNorSettler) });
    }
    // "0 = anyone" is said of settle and pay, not of cancel.
    let free = InvoiceTerms { settler: Address::ZERO, ..terms() };
    for caller in [STRANGER, Address::ZERO] {
        assert_eq!(world().cancel(caller, &free), Err(Error::NotPayeeNorSettler));
    }
}

#[test]
fn cancel_lets_money_go_back_and_leaves_partials_where_they_are() {
    let (mut world, terms) = (world(), partials());
    fund(&mut world, &terms, USDC, 40);
    world.settle(SETTLER, &terms).unwrap();
    world.warp(START + 9);
    fund(&mut world, &terms, USDC, 2);
    world.cancel(PAYEE, &terms).unwrap();
    assert_eq!(world.state_of(terms.hash()), slot(40, Status::Cancelled, START + 9));
    assert_eq!(world.settle(SETTLER, &terms), Err(Error::NotOpen));
    assert_eq!(world.cancel(PAYEE, &terms), Err(Error::NotOpen));
    assert_eq!(world.refund(&terms, USDC), Ok(U256::from(2)));
    assert_eq!((has(&world, USDC, PAYEE), has(&world, USDC, CUSTOMER)), (40, 2));
}

// ---- when money may go back ----

/// How an invoice came to where it is when somebody asks for its money.
#[derive(Clone, Copy, Debug)]
enum End {
    Open,
    PaidAt(u64),
    CancelledAt(u64),
}

/// The doc table of `doors`, once more, as numbers: (terms, token, end, opens by order, opens by anyone).
#[test]
fn money_may_go_back_from_the_second_the_protocol_says() {
    let key = |change: fn(&mut InvoiceTerms)| {
        let mut terms = with_key();
        change(&mut terms);
        terms
    };
    let elsewhere = key(|terms| terms.chain = 1);
    let invalid = key(|terms| terms.flags = 2);
    let never = key(|terms| terms.closes_at = u64::MAX);
    let codeless = key(|terms| terms.token = STRANGER);
    let (paid, cancelled) = (End::PaidAt(START + 5), End::CancelledAt(START + 5));
    let at = START + 5;
    let rows: &[(&InvoiceTerms, Address, End, Option<u64>, u64)] = &[
        // No refund key: at once when the time has come; no orders.
        (&terms(), USDC, End::Open, None, CLOSES),
        (&terms(), USDC, paid, None, 0),
        (&terms(), USDC, cancelled, None, 0),
        (&terms(), OTHER, End::Open, None, 0),
        (&terms(), OTHER, paid, None, 0),
        (&terms(), NATIVE, End::Open, None, 0),
        // With a key: it decides for 30 days, except about the native coin.
        (&with_key(), USDC, End::Open, Some(CLOSES), CLOSES + WAIT),
        (&with_key(), USDC, paid, Some(0), at + WAIT),
        (&with_key(), USDC, cancelled, Some(0), at + WAIT),
        (&with_key(), OTHER, End::Open, Some(0), CLOSES + WAIT),
        (&with_key(), OTHER, cancelled, Some(0), at + WAIT),
        (&with_key(), NATIVE, End::Open, Some(0), 0),
        (&with_key(), NATIVE, paid, Some(0), 0),
        // Not valid here: as another chain's, so the invoice token is like any other.
        (&elsewhere, USDC, End::Open, Some(0), CLOSES + WAIT),
        (&invalid, USDC, End::Open, Some(0), CLOSES + WAIT),
        (&never, USDC, End::Open, Some(0), u64::MAX),
        (&codeless, USDC, End::Open, Some(0), CLOSES + WAIT),
        (&InvoiceTerms { refund_key: Address::ZERO, ..elsewhere.clone() }, USDC, End::Open, None, 0),
        (&InvoiceTerms { refund_key: Address::ZERO, ..invalid.clone() }, USDC, End::Open, None, 0),
        (&InvoiceTerms { refund_key: Address::ZERO, ..never.clone() }, USDC, End::Open, None, 0),
    ];
    for (terms, token, end, by_order, by_anyone) in rows {
        let mut world = world();
        match *end {
            End::Open => (),
            End::PaidAt(timestamp) => {
                world.warp(timestamp);
                fund(&mut world, terms, USDC, AMOUNT);
                world.settle(SETTLER, terms).unwrap();
            }
            End::CancelledAt(timestamp) => {
                world.warp(timestamp);
                world.cancel(SETTLER, terms).unwrap();
            }
        }
        fund(&mut world, terms, *token, 3);
        let at = |timestamp: u64| {
            let mut world = world.clone();
            world.warp(timestamp);
            world
        };
        let row = format!("{token} of {terms:?}, {end:?}");

        let refund = |timestamp| at(timestamp).refund(terms, *token);
        assert_eq!(refund(*by_anyone), Ok(U256::from(3)), "{row}");
        if *by_anyone > 0 {
            assert_eq!(refund(by_anyone - 1), Err(Error::NotRefundable), "{row}");
        }

        let order = RefundOrder { token: *token, deadline: U256::MAX, ..order(terms) };
        let by_key = |timestamp| at(timestamp).refund_by_order(STRANGER, terms, &order, Some(KEY));
        match by_order {
            None => assert_eq!(by_key(u64::MAX), Err(Error::NoRefundKey), "{row}"),
            Some(opens) => {
                assert_eq!(by_key(*opens), Ok(U256::from(3)), "{row}");
                if *opens > 0 {
                    assert_eq!(by_key(opens - 1), Err(Error::NotRefundable), "{row}");
                }
            }
        }
    }
}

#[test]
fn a_refund_checks_only_refund_to() {
    for (refund_to, refused) in [(Address::ZERO, true), (FACTORY, true), (USDC, false), (PAYEE, false)] {
        let mut world = world();
        let terms = InvoiceTerms { refund_to, refund_key: KEY, chain: 1, ..terms() };
        fund(&mut world, &terms, OTHER, 1);
        world.warp(CLOSES + WAIT);
        let order = RefundOrder { token: OTHER, ..order(&terms) };
        let ordered = world.clone().refund_by_order(KEY, &terms, &order, None);
        let expected = if refused { Err(Error::InvalidRefundTo) } else { Ok(U256::ONE) };
        assert_eq!(world.refund(&terms, OTHER), expected);
        assert_eq!(ordered, expected);
    }
    let hopeless = InvoiceTerms {
        version: 9,
        chain: 9,
        payee: Address::ZERO,
        token: Address::ZERO,
        amount: 0,
        closes_at: 0,
        flags: 255,
        ..terms()
    };
    let mut world = world();
    fund(&mut world, &hopeless, USDC, 7);
    assert_eq!(world.escrow_of(&hopeless), Err(Error::WrongVersion));
    assert_eq!(world.refund(&hopeless, USDC), Ok(U256::from(7)));
}

#[test]
fn a_refund_that_finds_nothing_writes_nothing() {
    let mut world = world();
    world.warp(CLOSES);
    let before = world.clone();
    assert_eq!(world.refund(&terms(), USDC), Err(Error::NothingDue));
    assert_eq!(world.refund(&terms(), NATIVE), Err(Error::NothingDue));
    assert_eq!(world, before);
}

#[test]
fn what_is_no_token_cannot_be_refunded() {
    let mut world = world();
    assert_eq!(world.refund(&terms(), STRANGER), Err(Error::BalanceUnreadable));
    assert_eq!(world.transfer(STRANGER, CUSTOMER, PAYEE, U256::ZERO), Err(Error::TransferFailed));
}

/// Late money: an address can be emptied any number of times.
#[test]
fn money_that_comes_late_goes_back_each_time() {
    let mut world = world();
    world.warp(CLOSES);
    for n in 1..4 {
        fund(&mut world, &terms(), USDC, n);
        assert_eq!(world.refund(&terms(), USDC), Ok(U256::from(n)));
    }
    assert_eq!(has(&world, USDC, CUSTOMER), 6);
    assert_eq!(world.state_of(terms().hash()), Slot::default());
}

// ---- refundByOrder ----

#[test]
fn an_order_is_the_keys_word() {
    let rows = [
        (STRANGER, Some(KEY), Ok(U256::from(3))),
        (KEY, Some(KEY), Ok(U256::from(3))),
        (KEY, None, Ok(U256::from(3))),
        (STRANGER, None, Err(Error::NotRefundKey)),
        (STRANGER, Some(STRANGER), Err(Error::NotRefundKey)),
        // The key carries somebody else's signature: that is not its own word.
        (KEY, Some(STRANGER), Err(Error::NotRefundKey)),
        (SETTLER, None, Err(Error::NotRefundKey)),
    ];
    for (caller, signer, expected) in rows {
        let mut world = world();
        world.warp(CLOSES);
        fund(&mut world, &with_key(), USDC, 3);
        assert_eq!(world.refund_by_order(caller, &with_key(), &order(&with_key()), signer), expected);
    }
}

#[test]
fn an_order_is_good_once_until_its_deadline_and_for_its_terms() {
    let (mut world, terms) = (world(), with_key());
    let deadline = CLOSES + WAIT;
    let mut try_at = |timestamp, order: &RefundOrder| {
        fund(&mut world, &terms, USDC, 3);
        world.warp(timestamp);
        world.refund_by_order(STRANGER, &terms, order, Some(KEY)).err()
    };
    let good = order(&with_key());
    assert_eq!(try_at(CLOSES, &good), None);
    assert_eq!(try_at(CLOSES, &good), Some(Error::OrderUsed));
    assert_eq!(try_at(CLOSES, &RefundOrder { nonce: U256::ONE, ..good.clone() }), None);
    let other = InvoiceTerms { invoice_id: B256::ZERO, ..with_key() };
    assert_eq!(try_at(CLOSES, &order(&other)), Some(Error::OrderForOtherTerms));
    assert_eq!(try_at(deadline, &RefundOrder { nonce: U256::from(2), ..good.clone() }), None);
    assert_eq!(try_at(deadline + 1, &RefundOrder { nonce: U256::from(3), ..good }), Some(Error::OrderExpired));
}

#[test]
fn an_order_names_a_place_where_money_can_go() {
    let (mut world, terms) = (world(), with_key());
    world.warp(CLOSES);
    fund(&mut world, &terms, USDC, 3);
    for to in [Address::ZERO, FACTORY, USDC, world.purse(&terms)] {
        let order = RefundOrder { to, ..order(&terms) };
        assert_eq!(world.refund_by_order(KEY, &terms, &order, None), Err(Error::InvalidOrderTo));
    }
}

/// "NothingDue on a zero amount, nothing written": an order that came too early is still good afterwards.
#[test]
fn an_order_that_moved_nothing_is_not_used_up() {
    let (mut world, terms) = (world(), with_key());
    world.warp(CLOSES);
    let order = order(&terms);
    assert_eq!(world.refund_by_order(KEY, &terms, &order, None), Err(Error::NothingDue));
    fund(&mut world, &terms, USDC, 3);
    assert_eq!(world.refund_by_order(KEY, &terms, &order, None), Ok(U256::from(3)));
}

#[test]
fn the_native_coin_follows_an_order_only_when_it_is_what_is_ordered() {
    for (token, to_customer, to_stranger) in [(USDC, 5, 0), (NATIVE, 0, 5)] {
        let (mut world, terms) = (world(), with_key());
        world.warp(CLOSES);
        fund(&mut world, &terms, USDC, 3);
        fund(&mut world, &terms, NATIVE, 5);
        let order = RefundOrder { token, ..order(&terms) };
        world.refund_by_order(KEY, &terms, &order, None).unwrap();
        assert_eq!((has(&world, NATIVE, CUSTOMER), has(&world, NATIVE, STRANGER)), (to_customer, to_stranger));
    }
}

// ---- X18 ----

/// A payout that fails moves nothing, is retried, and from closesAt goes back.
#[test]
fn x18_a_blacklisted_payee_loses_nothing_and_blocks_nothing() {
    let mut world = world();
    fund(&mut world, &terms(), USDC, AMOUNT);
    world.block(USDC, PAYEE, true);
    let before = world.clone();
    assert_eq!(world.settle(SETTLER, &terms()), Err(Error::TransferFailed));
    assert_eq!(world, before);

    let mut forgiven = world.clone();
    forgiven.block(USDC, PAYEE, false);
    assert_eq!(forgiven.settle(SETTLER, &terms()), Ok(AMOUNT));

    world.warp(CLOSES);
    assert_eq!(world.refund(&terms(), USDC), Ok(U256::from(AMOUNT)));
}

// ---- trace ----

#[test]
fn a_step_does_what_the_verb_does_and_says_so() {
    let mut world = world();
    fund(&mut world, &terms(), USDC, AMOUNT + 1);
    let mut twin = world.clone();
    let outcome = world.apply(&Step::Settle { caller: SETTLER, terms: terms() }).unwrap();
    twin.settle(SETTLER, &terms()).unwrap();
    assert_eq!(world, twin);
    assert_eq!(outcome.returned, U256::from(AMOUNT));
    let event = &outcome.recorded[0];
    assert_eq!(
        (event.termsHash, event.token, event.to, event.amount, event.paid, event.status),
        (terms().hash(), USDC, PAYEE, U256::from(AMOUNT), AMOUNT, 1)
    );
    assert_eq!(world.apply(&Step::Warp { timestamp: START + 1 }), Ok(Outcome::default()));
    assert_eq!(world.apply(&Step::Warp { timestamp: START }), Ok(Outcome::default()));
    assert_eq!(world.here().timestamp, START + 1, "time never goes back");
}

// ---- the twin ----

/// Names and numbers are the contract's: whoever compares the two compares the same things.
#[test]
fn errors_and_kinds_are_the_contracts() {
    let source = |path: &str| {
        let path = format!("{}/../../contracts/src/{path}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    let contract = source("interfaces/IInvoiceEscrow.sol") + &source("libraries/Tokens.sol");
    for error in Error::ALL.iter().filter(|error| **error != Error::Arithmetic) {
        let declaration = format!("    error {}(", error.name());
        assert!(contract.contains(&declaration), "the contract has no error {error:?}");
    }
    for (name, kind) in [
        ("SETTLE", Kind::Settled),
        ("PAY", Kind::Paid),
        ("CANCEL", Kind::Cancelled),
        ("REFUND", Kind::Refunded),
        ("REFUND_BY_ORDER", Kind::RefundedByOrder),
    ] {
        let declaration = format!("uint8 constant KIND_{name} = {};", kind.as_u8());
        assert!(contract.contains(&declaration), "not in the contract: {declaration}");
    }
    for (name, status) in [("OPEN", Status::Open), ("PAID", Status::Paid), ("CANCELLED", Status::Cancelled)] {
        let declaration = format!("uint8 constant STATUS_{name} = {};", status.as_u8());
        assert!(contract.contains(&declaration), "not in the contract: {declaration}");
        assert_eq!(Status::from_u8(status.as_u8()), Some(status));
    }
    assert_eq!(Status::from_u8(3), None);
}
