//! The gate's mint half: R (the reserve), G (who rules), T3 (delivery) of the research notes, and the attacks on attestations.

use ed25519_dalek::{Signer, SigningKey};
use escrow_interface::{
    CHAIN, Error, Key, LOCAL, MAINNET, NONE,
    gate::GateError,
    local,
    mint::{
        APPLICABLE_SECONDS, CLOSING_SECONDS, DAY_SECONDS, DELAY_SECONDS, DEPOSIT_SEED, Deposit, DepositMarker,
        MAX_RESERVE_AGE_SECONDS, MAX_VALIDITY_SECONDS, MintConfig, RedeemedMarker, Reserve, Settings, Told,
        deposit_message, ed25519_bytes, ed25519_offsets, mint_and_pay as at, of_marker,
    },
    terms::WAIT_SECONDS,
};
use program_tests::{
    Done, Invoice, Net, Refused,
    ask::{AMOUNT, gate_init, gate_keys, key, through_gate},
    ed25519::{self, Check, HERE, Place, shown, signed},
    mint::{
        self as house, ALLOCATION, CAP, attested, attestors, config, deposit, mint_and_pay, public, said, scene,
        settings,
    },
    net::{START, escrow, gate, gate_config, gate_signer, mint_config, redemption},
    person, sha256, tokens,
};
use solana_account::Account;
use solana_address::Address;
use solana_instruction::{AccountMeta, Instruction};

fn refused(error: GateError) -> Result<Done, Refused> {
    Err(Refused::Gate(error))
}

/// An ordinary invoice, and a deposit that covers it.
fn ordinary(net: &mut Net) -> (Invoice, Deposit) {
    let invoice = house::invoice(net, |_| ());
    let deposit = deposit(net, "one", AMOUNT);
    (invoice, deposit)
}

/// What lies in the payee's account.
fn delivered(net: &Net, invoice: &Invoice) -> u64 {
    net.balance(invoice.associated(invoice.payee()).0)
}

/// From one owner's account to another's.
fn transfer(from: Address, to: Address, amount: u64) -> Instruction {
    let account = |owner| tokens::associated(owner, house::mint(), false).0;
    let accounts = vec![
        AccountMeta::new(account(from), false),
        AccountMeta::new(account(to), false),
        AccountMeta::new_readonly(from, true),
    ];
    let data = [&[3], amount.to_le_bytes().as_slice()].concat();
    Instruction { program_id: tokens::program(false), accounts, data }
}

/// A redemption of what the payee of `invoice` got, paid through the gate.
fn redemption_of(net: &mut Net, invoice: &Invoice) -> Invoice {
    let asked = house::invoice(net, |terms| {
        terms.payee = key(redemption());
        terms.refund_to = invoice.terms.payee;
    });
    net.fund(asked.address, asked.mint(), false, 0);
    net.send(&[gate_keys(person("admin"), &[person("settler")], &[person("canceller")])]).unwrap();
    net.send(&[transfer(invoice.payee(), asked.address, AMOUNT)]).unwrap();
    asked
}

#[test]
fn t3_what_is_minted_is_with_the_payee_when_the_instruction_ends() {
    let mut net = scene();
    let (invoice, deposit) = ordinary(&mut net);
    let done = net.send(&mint_and_pay(&invoice, &deposit)).unwrap();
    assert_eq!((delivered(&net, &invoice), house::supply(&net), net.balance(house::account())), (AMOUNT, AMOUNT, 0));
    let record = invoice.record(&net).unwrap();
    assert_eq!((record.status, record.paid), (1, AMOUNT));
    assert_eq!((done.events.len(), done.events[0].kind, done.events[0].amount), (1, 2, AMOUNT));
    let told =
        Told::Minted { terms_hash: invoice.hash, deposit_id: deposit.id, token: invoice.terms.token, amount: AMOUNT };
    assert_eq!(done.told, [told]);
    let marker = DepositMarker::decode(&net.account(house::deposit_marker(&deposit)).unwrap().data).unwrap();
    assert_eq!((marker.terms_hash, marker.amount, marker.at), (invoice.hash, AMOUNT, net.now()));
    assert_eq!(marker.bump, house::marker(DEPOSIT_SEED, &deposit.id).1);
}

#[test]
fn t3_dust_at_any_address_changes_nothing_between_attestation_and_mint() {
    let mut net = scene();
    let (invoice, deposit) = ordinary(&mut net);
    let ready = mint_and_pay(&invoice, &deposit);
    // At the gate's account, in the vault, at the redemption's account, and lamports wherever something is to be made.
    for owner in [gate_signer(), invoice.address, redemption()] {
        net.fund(owner, invoice.mint(), false, 7);
    }
    for address in [house::deposit_marker(&deposit), invoice.record, invoice.address, gate_signer()] {
        net.give(address, 1);
    }
    net.send(&ready).unwrap();
    assert_eq!(delivered(&net, &invoice), AMOUNT);
    assert_eq!((net.balance(house::account()), net.balance(invoice.vault())), (7, 7));
}

#[test]
fn t3_a_payee_who_cannot_be_paid_leaves_nothing_minted() {
    let mut net = scene();
    let (invoice, deposit) = ordinary(&mut net);
    net.svm.set_account(invoice.associated(invoice.payee()).0, Account::default()).unwrap();
    assert_eq!(net.send(&mint_and_pay(&invoice, &deposit)), Err(Error::WrongDestination.into()));
    assert_eq!((house::supply(&net), net.account(house::deposit_marker(&deposit))), (0, None));
    // Nor may the money go elsewhere.
    let thief = net.fund(person("thief"), invoice.mint(), false, 0);
    net.fund(invoice.payee(), invoice.mint(), false, 0);
    let mut wrong = mint_and_pay(&invoice, &deposit);
    wrong[1].accounts[at::DESTINATION].pubkey = thief;
    assert_eq!(net.send(&wrong), Err(Error::WrongDestination.into()));
    net.send(&mint_and_pay(&invoice, &deposit)).unwrap();
}

#[test]
fn t3_no_more_than_is_due_is_minted_and_nothing_of_less() {
    let mut net = scene();
    let invoice = house::invoice(&mut net, |_| ());
    let little = deposit(&net, "little", AMOUNT - 1);
    assert_eq!(net.send(&mint_and_pay(&invoice, &little)), refused(GateError::DepositTooSmall));
    let much = deposit(&net, "much", u64::MAX);
    net.send(&mint_and_pay(&invoice, &much)).unwrap();
    assert_eq!((delivered(&net, &invoice), house::supply(&net)), (AMOUNT, AMOUNT));
    // And nothing for what is paid, whoever paid it.
    let more = deposit(&net, "more", AMOUNT);
    assert_eq!(net.send(&mint_and_pay(&invoice, &more)), refused(GateError::NotOpen));
}

#[test]
fn the_terms_have_to_be_payable_by_this_gate() {
    let net = scene();
    type Change = fn(&mut escrow_interface::Terms);
    let cases: [(Change, Refused); 12] = [
        (|terms| terms.chain = MAINNET, Refused::Gate(GateError::WrongChain)),
        (|terms| terms.token = key(person("other mint")), Refused::Gate(GateError::WrongToken)),
        (|terms| terms.flags = 1, Refused::Gate(GateError::PartialsRefused)),
        (|terms| terms.settler = key(person("settler")), Refused::Gate(GateError::WrongSettler)),
        (|terms| (terms.payee, terms.settler) = (key(gate_signer()), NONE), Refused::Gate(GateError::WrongPayee)),
        (|terms| terms.payee = key(redemption()), Refused::Gate(GateError::WrongPayee)),
        (|terms| terms.closes_at = START + CLOSING_SECONDS, Refused::Gate(GateError::ClosesTooSoon)),
        (|terms| terms.closes_at = -1, Refused::Gate(GateError::ClosesTooSoon)),
        // The rest is the escrow's to say.
        (|terms| terms.version = 2, Refused::Escrow(Error::WrongVersion)),
        (|terms| terms.flags = 2, Refused::Escrow(Error::WrongTokenProgram)),
        (|terms| terms.flags = 4, Refused::Escrow(Error::InvalidFlags)),
        (|terms| terms.closes_at = i64::MAX, Refused::Escrow(Error::InvalidClosesAt)),
    ];
    for (change, error) in cases {
        let mut net = net.clone();
        net.mint(person("other mint"), false);
        let invoice = house::invoice(&mut net, change);
        let one = deposit(&net, "one", AMOUNT);
        let before = house::supply(&net);
        assert_eq!(net.send(&mint_and_pay(&invoice, &one)), Err(error), "{:?}", invoice.terms);
        assert_eq!((house::supply(&net), net.account(house::deposit_marker(&one))), (before, None));
    }
    for settler in [NONE, key(gate_signer())] {
        let mut net = net.clone();
        let closes_at = START + CLOSING_SECONDS + 1;
        let invoice = house::invoice(&mut net, |terms| (terms.settler, terms.closes_at) = (settler, closes_at));
        let one = deposit(&net, "one", AMOUNT);
        net.send(&mint_and_pay(&invoice, &one)).unwrap();
    }
    let mut net = net.clone();
    let invoice = house::invoice(&mut net, |_| ());
    net.send(&[gate_keys(person("admin"), &[], &[person("canceller")])]).unwrap();
    net.send(&[through_gate(person("canceller"), invoice.cancel(gate_signer()))]).unwrap();
    let one = deposit(&net, "one", AMOUNT);
    assert_eq!(net.send(&mint_and_pay(&invoice, &one)), refused(GateError::NotOpen));
}

#[test]
fn r3_a_deposit_mints_once_whatever_it_is_asked_for() {
    let mut net = scene();
    let (invoice, one) = ordinary(&mut net);
    net.send(&mint_and_pay(&invoice, &one)).unwrap();
    assert_eq!(net.send(&mint_and_pay(&invoice, &one)), refused(GateError::NotOpen));
    // Attested again, for another invoice and another amount.
    let other = house::invoice(&mut net, |terms| terms.amount = 5);
    let again = Deposit { amount: 5, ..one };
    assert_eq!(net.send(&mint_and_pay(&other, &again)), refused(GateError::DepositUsed));
    // At no other bump: every address that there is for it is refused, but the one that is used.
    for bump in 0..=255u8 {
        let address = Address::new_from_array(sha256(&of_marker(DEPOSIT_SEED, &one.id, &[bump], &local::GATE)));
        let mut wrong = mint_and_pay(&other, &again);
        if address == wrong[1].accounts[at::MARKER].pubkey {
            continue;
        }
        wrong[1].accounts[at::MARKER].pubkey = address;
        assert_eq!(net.send(&wrong), refused(GateError::WrongMarker), "bump {bump}");
    }
    // Nor long after, when record and all are gone: nothing closes the marker.
    net.warp(invoice.terms.closes_at + WAIT_SECONDS);
    net.send(&[invoice.close_record(person("keeper"))]).unwrap();
    let last = house::invoice(&mut net, |terms| terms.closes_at = START + 100 * DAY_SECONDS);
    let now = net.now();
    net.send(&house::reserve(&Reserve { allocation: ALLOCATION, nonce: 2, as_of: now })).unwrap();
    let again = Deposit { valid_until: now, ..one };
    assert_eq!(net.send(&mint_and_pay(&last, &again)), refused(GateError::DepositUsed));
    assert_eq!(house::supply(&net), AMOUNT);
}

#[test]
fn r3_two_mints_of_one_deposit_in_one_transaction_are_none() {
    let mut net = scene();
    let (invoice, one) = ordinary(&mut net);
    let other = house::invoice(&mut net, |terms| terms.amount = 5);
    let [first, second] = [mint_and_pay(&invoice, &one), mint_and_pay(&other, &one)];
    assert_eq!(net.send(&[first, second].concat()), refused(GateError::DepositUsed));
    assert_eq!(house::supply(&net), 0);
}

#[test]
fn an_attestation_is_for_one_program_cluster_deposit_invoice_mint_amount_and_time() {
    let mut net = scene();
    let (invoice, one) = ordinary(&mut net);
    let message = |program: &Key, chain: u64, hash: &Key, mint: &Key, deposit: &Deposit| {
        sha256(&deposit_message(program, &chain.to_le_bytes(), hash, mint, &deposit.encode()))
    };
    let (program, hash, mint) = (local::GATE, invoice.hash, invoice.terms.token);
    let other = sha256(&[b"another"]);
    let right = message(&program, CHAIN, &hash, &mint, &one);
    assert_eq!((right, CHAIN), (said(&invoice, &one), LOCAL));
    // The bytes that are hashed, by hand.
    let (amount, until) = (one.amount.to_le_bytes(), one.valid_until.to_le_bytes());
    let by_hand: [&[u8]; 8] = [b"monay:attest:v1", &program, b"monaylcl", &one.id, &hash, &mint, &amount, &until];
    assert_eq!(right, sha256(&[&by_hand.concat()]));
    for wrong in [
        message(&other, CHAIN, &hash, &mint, &one),
        message(&program, MAINNET, &hash, &mint, &one),
        message(&program, CHAIN, &other, &mint, &one),
        message(&program, CHAIN, &hash, &other, &one),
        message(&program, CHAIN, &hash, &mint, &Deposit { id: other, ..one }),
        message(&program, CHAIN, &hash, &mint, &Deposit { amount: one.amount + 1, ..one }),
        message(&program, CHAIN, &hash, &mint, &Deposit { valid_until: one.valid_until + 1, ..one }),
        house::reserve_said(&Reserve { allocation: 1, nonce: 2, as_of: START }),
    ] {
        let ask = [attested(&wrong), house::mint_and_pay_alone(&invoice, &one)];
        assert_eq!(net.send(&ask), refused(GateError::WrongMessage));
    }
    net.send(&[attested(&right), house::mint_and_pay_alone(&invoice, &one)]).unwrap();
}

#[test]
fn an_attestation_counts_until_its_time_and_for_15_minutes_at_most() {
    let mut net = scene();
    let invoice = house::invoice(&mut net, |_| ());
    let until = |valid_until| Deposit { id: sha256(&[b"one"]), amount: AMOUNT, valid_until };
    for (valid_until, error) in [
        (START - 1, GateError::AttestationExpired),
        (i64::MIN, GateError::AttestationExpired),
        (START + MAX_VALIDITY_SECONDS + 1, GateError::AttestationTooLong),
        (i64::MAX, GateError::AttestationTooLong),
    ] {
        assert_eq!(net.send(&mint_and_pay(&invoice, &until(valid_until))), refused(error));
    }
    for valid_until in [START, START + MAX_VALIDITY_SECONDS] {
        net.clone().send(&mint_and_pay(&invoice, &until(valid_until))).unwrap();
    }
}

#[test]
fn signers_are_attestors_enough_of_them_in_ascending_order() {
    let mut net = scene();
    let (invoice, one) = ordinary(&mut net);
    let keys = attestors();
    let stranger = house::signing("stranger");
    let message = said(&invoice, &one);
    let ask = |signers: &[&SigningKey]| {
        let ask = [signed(&message, signers), house::mint_and_pay_alone(&invoice, &one)];
        net.clone().send(&ask)
    };
    let [a, b, c] = [&keys[0], &keys[1], &keys[2]];
    assert_eq!(ask(&[]), refused(GateError::TooFewSignatures));
    assert_eq!(ask(&[a]), refused(GateError::TooFewSignatures));
    assert_eq!(ask(&[a, a]), refused(GateError::SignersNotAscending));
    assert_eq!(ask(&[b, a]), refused(GateError::SignersNotAscending));
    assert_eq!(ask(&[a, c, b]), refused(GateError::SignersNotAscending));
    let mut with_stranger = [a, &stranger];
    with_stranger.sort_by_key(|key| public(key));
    assert_eq!(ask(&with_stranger), refused(GateError::NotAttestor));
    let mut four = [a, b, c, &stranger];
    four.sort_by_key(|key| public(key));
    assert_eq!(ask(&four), refused(GateError::NotAttestor));
    for enough in [vec![a, b], vec![a, c], vec![b, c], vec![a, b, c]] {
        ask(&enough).unwrap();
    }
}

#[test]
fn signatures_are_read_where_the_runtime_has_checked_them_and_nowhere_else() {
    let mut net = scene();
    let (invoice, one) = ordinary(&mut net);
    let message = said(&invoice, &one);
    let mint = house::mint_and_pay_alone(&invoice, &one);
    let keys = attestors();
    let (thief, other) = (house::signing("thief"), sha256(&[b"something else"]));
    let good = attested(&message);
    let form: Vec<u8> = good.data[..30].to_vec();
    let not_attested = refused(GateError::NotAttested);

    // A signature that is none.
    let forged: Vec<_> = keys.iter().take(2).map(|key| (public(key), [7; 64])).collect();
    assert!(matches!(net.send(&[shown(&message, &forged), mint.clone()]), Err(Refused::Other(_))));
    // The thief's own, over our message, with the attestors' keys where they are read.
    let place = |offset: usize| Place { instruction: HERE, offset: u16::try_from(offset).unwrap() };
    let mut behind = Vec::new();
    for key in keys.iter().take(2) {
        behind.extend([0; 64]);
        behind.extend(public(key));
    }
    behind.extend(message);
    let tail = 2 + 28 + behind.len();
    let own = [thief.sign(&message).to_bytes().as_slice(), &public(&thief)].concat();
    let check = Check { signature: place(tail), key: place(tail + 64), message: place(2 + 28 + 192), size: 32 };
    let aside = ed25519::instruction(&[check, check], &[behind.as_slice(), &own].concat());
    assert_eq!(net.send(&[aside.clone(), mint.clone()]), not_attested);
    // Cut to the length of the form, with what is checked in another instruction.
    let away = Instruction { program_id: person("nobody's"), accounts: vec![], data: own.clone() };
    let mut net_with = net.clone();
    net_with.idle_program(away.program_id);
    let at_zero = |offset: usize| Place { instruction: 0, offset: u16::try_from(offset).unwrap() };
    let check = Check { signature: at_zero(0), key: at_zero(64), message: place(2 + 28 + 192), size: 32 };
    let elsewhere = ed25519::instruction(&[check, check], &behind);
    assert_eq!(net_with.send(&[away, elsewhere, mint.clone()]), not_attested);
    // The attestors' own signatures over something else, with our message where it is read.
    let old: Vec<u8> =
        keys.iter().take(2).flat_map(|key| [key.sign(&other).to_bytes().as_slice(), &public(key)].concat()).collect();
    let checks = [0, 1].map(|index| Check {
        signature: place(30 + 96 * index),
        key: place(30 + 96 * index + 64),
        message: place(30 + 192 + 32),
        size: 32,
    });
    let replayed = ed25519::instruction(&checks, &[old.as_slice(), &message, &other].concat());
    assert_eq!(net.send(&[replayed, mint.clone()]), not_attested);
    // Over the beginning of it only.
    let short: Vec<u8> = keys
        .iter()
        .take(2)
        .flat_map(|key| [key.sign(&message[..31]).to_bytes().as_slice(), &public(key)].concat())
        .collect();
    let checks = [0, 1].map(|index| Check {
        signature: place(30 + 96 * index),
        key: place(30 + 96 * index + 64),
        message: place(30 + 192),
        size: 31,
    });
    let cut = ed25519::instruction(&checks, &[short.as_slice(), &message].concat());
    assert_eq!(net.send(&[cut, mint.clone()]), not_attested);
    // The right bytes in an instruction of another program.
    let mut strange = good.clone();
    strange.program_id = person("nobody's");
    assert_eq!(net_with.send(&[strange, mint.clone()]), not_attested);
    // Behind ours, two before it, not at all; and more bytes than it takes.
    assert_eq!(net.send(&[mint.clone(), good.clone()]), not_attested);
    let between = gate_keys(person("admin"), &[], &[]);
    assert_eq!(net.send(&[good.clone(), between, mint.clone()]), not_attested);
    assert_eq!(net.send(std::slice::from_ref(&mint)), not_attested);
    let mut long = good.clone();
    long.data.push(0);
    assert_eq!(net.send(&[long, mint.clone()]), not_attested);
    // Every bit of number, padding and offsets counts.
    for bit in 0..8 * form.len() {
        let mut odd = good.clone();
        odd.data[bit / 8] ^= 1 << (bit % 8);
        assert!(net.clone().send(&[odd, mint.clone()]).is_err(), "bit {bit}");
    }
    // A sysvar that is none, with the right bytes.
    let mut fake = mint.clone();
    fake.accounts[at::INSTRUCTIONS].pubkey = person("fake sysvar");
    assert_eq!(net.send(&[good.clone(), fake]), refused(GateError::WrongSysvar));
    net.send(&[good, mint]).unwrap();
}

#[test]
fn the_form_of_the_signatures_is_what_the_interface_says() {
    for count in 0..=8 {
        let keys: Vec<_> = (0..count).map(|index| house::signing(&format!("{index}"))).collect();
        let keys: Vec<_> = keys.iter().collect();
        let data = signed(&[1; 32], &keys).data;
        assert_eq!(data.len(), ed25519_bytes(count));
        for index in 0..count {
            assert_eq!(data[2 + 14 * index..][..14], ed25519_offsets(count, index));
        }
    }
}

#[test]
fn r1_nothing_is_minted_above_the_reserve() {
    let mut net = scene();
    let now = net.now();
    net.send(&house::reserve(&Reserve { allocation: AMOUNT + 4, nonce: 2, as_of: now })).unwrap();
    let (invoice, one) = ordinary(&mut net);
    net.send(&mint_and_pay(&invoice, &one)).unwrap();
    for (amount, fits) in [(5, false), (4, true), (1, false)] {
        let other = house::invoice(&mut net, |terms| terms.amount = amount);
        let next = deposit(&net, &format!("{amount}"), amount);
        let sent = net.send(&mint_and_pay(&other, &next));
        if fits {
            sent.unwrap();
        } else {
            assert_eq!(sent, refused(GateError::AboveReserve));
        }
    }
    // Said to be less than there is: nothing is minted, and what is there is redeemed.
    net.send(&house::reserve(&Reserve { allocation: 1, nonce: 3, as_of: now })).unwrap();
    let asked = redemption_of(&mut net, &invoice);
    net.send(&[through_gate(person("settler"), asked.settle())]).unwrap();
    net.send(&[house::redeem(&asked)]).unwrap();
    assert_eq!(house::supply(&net), 4);
}

#[test]
fn r1_a_word_about_the_reserve_is_fresh_newer_and_the_attestors() {
    let mut net = scene();
    net.warp(START + 2 * MAX_RESERVE_AGE_SECONDS);
    let now = net.now();
    let invoice = house::invoice(&mut net, |terms| terms.closes_at = now + 10 * DAY_SECONDS);
    let one = deposit(&net, "one", AMOUNT);
    assert_eq!(net.send(&mint_and_pay(&invoice, &one)), refused(GateError::ReserveStale));
    let word = |nonce, as_of| Reserve { allocation: ALLOCATION, nonce, as_of };
    for (reserve, error) in [
        (word(2, now + 1), GateError::ReserveTooEarly),
        (word(2, i64::MAX), GateError::ReserveTooEarly),
        (word(2, now - MAX_RESERVE_AGE_SECONDS - 1), GateError::ReserveStale),
        (word(2, i64::MIN), GateError::ReserveStale),
        (word(1, now), GateError::NonceNotRising),
        (word(0, now), GateError::NonceNotRising),
    ] {
        assert_eq!(net.send(&house::reserve(&reserve)), refused(error), "{reserve:?}");
    }
    let good = word(2, now - MAX_RESERVE_AGE_SECONDS);
    // Somebody else's, another one's, too few.
    let message = house::reserve_said(&good);
    let alone = house::reserve_alone(&good);
    let strangers = ["stranger 1", "stranger 2"].map(house::signing);
    let mut strangers: Vec<_> = strangers.iter().collect();
    strangers.sort_by_key(|key| public(key));
    assert_eq!(net.send(&[signed(&message, &strangers), alone.clone()]), refused(GateError::NotAttestor));
    assert_eq!(net.send(&[signed(&message, &[&attestors()[0]]), alone.clone()]), refused(GateError::TooFewSignatures));
    assert_eq!(net.send(&[attested(&said(&invoice, &one)), alone]), refused(GateError::WrongMessage));

    let done = net.send(&house::reserve(&good)).unwrap();
    assert_eq!(done.told, [Told::ReserveAttested(good)]);
    assert_eq!(config(&net).reserve, good);
    // To the second: 24 hours old is fresh, a second more is not. And the old word does not come back.
    net.clone().send(&mint_and_pay(&invoice, &one)).unwrap();
    assert_eq!(net.send(&house::reserve(&good)), refused(GateError::NonceNotRising));
    net.warp(now + 1);
    assert_eq!(net.send(&mint_and_pay(&invoice, &one)), refused(GateError::ReserveStale));
}

#[test]
fn r2_a_day_has_its_cap_and_midnight_begins_another() {
    let mut net = scene();
    let mut number = 0;
    let mut mint = |net: &mut Net, amount: u64| {
        number += 1;
        let now = net.now();
        let invoice = house::invoice(net, |terms| {
            (terms.amount, terms.closes_at) = (amount, now + 10 * DAY_SECONDS);
            terms.payee = key(person(&format!("payee {number}")));
        });
        let one = deposit(net, &format!("{number}"), amount);
        net.send(&mint_and_pay(&invoice, &one))
    };
    mint(&mut net, CAP - 1).unwrap();
    assert_eq!(mint(&mut net, 2), refused(GateError::AboveCap));
    mint(&mut net, 1).unwrap();
    assert_eq!(mint(&mut net, 1), refused(GateError::AboveCap));
    let midnight = (START / DAY_SECONDS + 1) * DAY_SECONDS;
    net.warp(midnight - 1);
    assert_eq!(mint(&mut net, 1), refused(GateError::AboveCap));
    net.warp(midnight);
    mint(&mut net, CAP).unwrap();
    assert_eq!(mint(&mut net, 1), refused(GateError::AboveCap));
    let MintConfig { day, minted, .. } = config(&net);
    assert_eq!((day, minted), (u64::try_from(midnight / DAY_SECONDS).unwrap(), CAP));
}

#[test]
fn r4_the_supply_is_what_was_minted_less_what_was_burned() {
    let mut net = scene();
    net.send(&[gate_keys(person("admin"), &[person("settler")], &[person("canceller")])]).unwrap();
    let (mut minted, mut burned, mut told) = (0, 0, (0, 0));
    let mut count = |done: Done| {
        for one in done.told {
            match one {
                Told::Minted { amount, .. } => told.0 += amount,
                Told::Redeemed { amount, .. } => told.1 += amount,
                Told::ReserveAttested(_) => panic!("nobody asked"),
            }
        }
    };
    for round in 0..12u64 {
        let amount = AMOUNT + round;
        let holder = key(person(&format!("holder {}", round % 3)));
        let invoice = house::invoice(&mut net, |terms| (terms.amount, terms.payee) = (amount, holder));
        let one = deposit(&net, &format!("round {round}"), amount + round % 2);
        count(net.send(&mint_and_pay(&invoice, &one)).unwrap());
        minted += amount;
        if round % 3 == 0 {
            let asked = house::invoice(&mut net, |terms| {
                terms.payee = key(redemption());
                (terms.amount, terms.refund_to) = (amount / 2, holder);
            });
            net.fund(asked.address, asked.mint(), false, 0);
            net.send(&[transfer(holder.into(), asked.address, amount / 2)]).unwrap();
            net.send(&[through_gate(person("settler"), asked.settle())]).unwrap();
            count(net.send(&[house::redeem(&asked)]).unwrap());
            burned += amount / 2;
        }
        let held: u64 = (0..3)
            .map(|index| net.balance(tokens::associated(person(&format!("holder {index}")), house::mint(), false).0))
            .sum();
        assert_eq!((house::supply(&net), held), (minted - burned, minted - burned));
        assert_eq!((net.balance(house::account()), net.balance(house::redemption_account())), (0, 0));
    }
    assert_eq!(told, (minted, burned));
}

#[test]
fn r5_a_pause_stops_minting_and_nothing_else() {
    let mut net = scene();
    let (invoice, one) = ordinary(&mut net);
    net.send(&mint_and_pay(&invoice, &one)).unwrap();
    let asked = redemption_of(&mut net, &invoice);
    net.send(&[house::lower(person("guardian"), true, 0, &NONE)]).unwrap();

    let other = house::invoice(&mut net, |terms| terms.refund_key = key(person("refund key")));
    let two = deposit(&net, "two", AMOUNT);
    assert_eq!(net.send(&mint_and_pay(&other, &two)), refused(GateError::Paused));
    net.send(&house::reserve(&Reserve { allocation: 0, nonce: 2, as_of: START })).unwrap();
    net.send(&[through_gate(person("settler"), asked.settle())]).unwrap();
    net.send(&[house::redeem(&asked)]).unwrap();
    assert_eq!(house::supply(&net), 0);
    // What lies at an invoice's address goes back as ever.
    net.fund(other.address, other.mint(), false, 3);
    net.send(&[through_gate(person("canceller"), other.cancel(gate_signer()))]).unwrap();
    net.warp(other.terms.closes_at + WAIT_SECONDS);
    net.send(&[other.refund()]).unwrap();
    net.send(&[asked.close_record(person("keeper"))]).unwrap();
    net.send(&[house::close_redeemed(&asked, person("keeper"))]).unwrap();
}

#[test]
fn a_redemption_is_burned_once_and_only_what_was_paid_to_the_gate() {
    let mut net = scene();
    let (invoice, one) = ordinary(&mut net);
    net.send(&mint_and_pay(&invoice, &one)).unwrap();
    // What was paid to somebody else.
    assert_eq!(net.send(&[house::redeem(&invoice)]), refused(GateError::WrongPayee));
    let asked = redemption_of(&mut net, &invoice);
    // Not paid yet, and no record; then a record, and still not paid.
    assert_eq!(net.send(&[house::redeem(&asked)]), refused(GateError::NotPaid));
    net.send(&[asked.open_vault(person("keeper"))]).unwrap();
    assert_eq!(net.send(&[house::redeem(&asked)]), refused(GateError::NotPaid));
    let mut cancelled = net.clone();
    cancelled.send(&[through_gate(person("canceller"), asked.cancel(gate_signer()))]).unwrap();
    assert_eq!(cancelled.send(&[house::redeem(&asked)]), refused(GateError::NotPaid));

    net.send(&[through_gate(person("settler"), asked.settle())]).unwrap();
    // Junk and dust that lie there, and the record of another one, are nothing to it.
    let junk = person("junk");
    net.mint(junk, false);
    let junk_account = net.fund(redemption(), junk, false, 1_000_000 * AMOUNT);
    net.fund(redemption(), house::mint(), false, 3);
    for (place, wrong, error) in [
        (7, junk, GateError::WrongMint),
        (5, junk_account, GateError::WrongTokenAccount),
        (6, invoice.record, GateError::WrongRecord),
    ] {
        let mut redeem = house::redeem(&asked);
        redeem.accounts[place].pubkey = wrong;
        assert_eq!(net.send(&[redeem]), refused(error));
    }
    let done = net.send(&[house::redeem(&asked)]).unwrap();
    let told = Told::Redeemed { terms_hash: asked.hash, token: asked.terms.token, amount: AMOUNT };
    assert_eq!(done.told, [told]);
    assert_eq!((house::supply(&net), net.balance(house::redemption_account())), (0, 3));
    assert_eq!(net.balance(junk_account), 1_000_000 * AMOUNT);
    let marker = RedeemedMarker::decode(&net.account(house::redeemed_marker(&asked)).unwrap().data).unwrap();
    assert_eq!((marker.terms_hash, marker.amount, marker.rent_payer), (asked.hash, AMOUNT, key(person("keeper"))));

    // Once: not with what others paid, not after the record is gone, not when the marker is gone too.
    net.fund(redemption(), house::mint(), false, 10 * AMOUNT);
    assert_eq!(net.send(&[house::redeem(&asked)]), refused(GateError::AlreadyRedeemed));
    let close = house::close_redeemed(&asked, person("keeper"));
    assert_eq!(net.send(std::slice::from_ref(&close)), refused(GateError::RecordOpen));
    net.warp(asked.terms.closes_at + WAIT_SECONDS);
    assert_eq!(net.send(std::slice::from_ref(&close)), refused(GateError::RecordOpen));
    net.send(&[asked.close_vault(person("keeper")), asked.close_record(person("keeper"))]).unwrap();
    assert_eq!(net.send(&[house::redeem(&asked)]), refused(GateError::NotPaid));
    assert_eq!(net.send(&[house::close_redeemed(&asked, person("thief"))]), refused(GateError::WrongRentPayer));
    let (rent, before) = (net.lamports(house::redeemed_marker(&asked)), net.lamports(person("keeper")));
    assert_eq!(net.send(&[close.clone(), house::redeem(&asked)]), refused(GateError::NotPaid));
    net.send(std::slice::from_ref(&close)).unwrap();
    assert_eq!(net.lamports(person("keeper")), before + rent);
    assert_eq!(net.account(house::redeemed_marker(&asked)), None);
    assert_eq!(net.send(&[house::redeem(&asked)]), refused(GateError::NotPaid));
    assert_eq!(net.send(&[close]), refused(GateError::WrongMarker));
}

#[test]
fn a_redemption_that_the_gate_cannot_cover_is_refused_and_waits() {
    // Nobody can take what lies there; but if somebody could, nothing would be burned of what is not there.
    let mut net = scene();
    let (invoice, one) = ordinary(&mut net);
    net.send(&mint_and_pay(&invoice, &one)).unwrap();
    let asked = redemption_of(&mut net, &invoice);
    net.send(&[through_gate(person("settler"), asked.settle())]).unwrap();
    let full = net.account(house::redemption_account()).unwrap();
    let mut short = full.clone();
    short.data[64..72].copy_from_slice(&(AMOUNT - 1).to_le_bytes());
    net.svm.set_account(house::redemption_account(), short).unwrap();
    assert_eq!(net.send(&[house::redeem(&asked)]), refused(GateError::NotFunded));
    net.svm.set_account(house::redemption_account(), full).unwrap();
    net.send(&[house::redeem(&asked)]).unwrap();
}

#[test]
fn g1_what_raises_waits_and_can_be_dropped() {
    let net = scene();
    let (admin, guardian) = (person("mint admin"), person("guardian"));
    let raised = Settings { daily_cap: CAP + 1, ..settings() };
    for thief in [person("thief"), guardian, person("admin"), gate_signer()] {
        let mut propose = house::propose(thief, &raised);
        propose.accounts[1].is_signer = thief != gate_signer();
        assert_eq!(net.clone().send(&[propose]), refused(GateError::NotAdmin));
    }
    assert_eq!(net.clone().send(&[house::apply(admin)]), refused(GateError::NothingProposed));

    let mut net = net;
    net.send(&[house::propose(admin, &raised)]).unwrap();
    let at = START + DELAY_SECONDS;
    assert_eq!((config(&net).settings, config(&net).applicable_at), (settings(), at));
    for (when, fits) in [
        (START, false),
        (at - 1, false),
        (at, true),
        (at + APPLICABLE_SECONDS - 1, true),
        (at + APPLICABLE_SECONDS, false),
    ] {
        let mut net = net.clone();
        net.warp(when);
        let sent = net.send(&[house::apply(admin)]);
        if fits {
            sent.unwrap();
            assert_eq!(config(&net).settings, raised);
            assert_eq!(net.send(&[house::apply(admin)]), refused(GateError::NothingProposed));
        } else {
            assert_eq!(sent, refused(GateError::NotApplicable), "{when}");
        }
    }
    // Proposed anew, the time begins anew; dropped by the guardian or taken back by the admin, it is gone.
    net.warp(START + 10);
    net.send(&[house::propose(admin, &raised)]).unwrap();
    net.warp(at);
    assert_eq!(net.send(&[house::apply(admin)]), refused(GateError::NotApplicable));
    for who in [admin, guardian] {
        let mut net = net.clone();
        net.send(&[house::lower(who, false, u64::MAX, &NONE)]).unwrap();
        net.warp(at + 10);
        assert_eq!(net.send(&[house::apply(admin)]), refused(GateError::NothingProposed));
        assert_eq!(config(&net).settings, settings());
    }
}

#[test]
fn g1_to_lower_needs_no_time_and_to_raise_again_does() {
    let mut net = scene();
    let guardian = person("guardian");
    for thief in [person("thief"), person("admin"), person("settler")] {
        assert_eq!(net.send(&[house::lower(thief, true, 0, &NONE)]), refused(GateError::NotGuardian));
    }
    net.send(&[house::lower(guardian, false, CAP - 1, &NONE)]).unwrap();
    assert_eq!(config(&net).settings.daily_cap, CAP - 1);
    // Not up, and not on again.
    net.send(&[house::lower(guardian, true, CAP + 1, &NONE), house::lower(guardian, false, CAP, &NONE)]).unwrap();
    assert_eq!((config(&net).settings.daily_cap, config(&net).settings.paused), (CAP - 1, 1));
    let mut odd = house::lower(guardian, true, 0, &NONE);
    odd.data[1] = 2;
    assert_eq!(net.send(&[odd]), refused(GateError::InvalidInstruction));
    net.send(&[house::propose(person("mint admin"), &settings())]).unwrap();
    net.warp(START + DELAY_SECONDS);
    net.send(&[house::apply(person("mint admin"))]).unwrap();
    assert_eq!(config(&net).settings, settings());
}

#[test]
fn g2_a_removed_attestor_has_no_power_left() {
    let mut net = scene();
    let (invoice, one) = ordinary(&mut net);
    let keys = attestors();
    let ready = mint_and_pay(&invoice, &one);
    // A proposal with him in it is dropped too: it would bring him back.
    net.send(&[house::propose(person("mint admin"), &Settings { daily_cap: CAP + 1, ..settings() })]).unwrap();
    let stranger = house::signing("stranger");
    assert_eq!(
        net.send(&[house::lower(person("guardian"), false, u64::MAX, &public(&stranger))]),
        refused(GateError::NotAttestor)
    );
    net.send(&[house::lower(person("guardian"), false, u64::MAX, &public(&keys[0]))]).unwrap();
    let left = config(&net).settings;
    assert_eq!((left.attestors(), left.threshold), ([public(&keys[1]), public(&keys[2])].as_slice(), 2));
    assert_eq!(left.attestors[2..], [NONE; 6]);

    // What he signed before is worth nothing, and neither is what he said of the reserve.
    assert_eq!(net.send(&ready), refused(GateError::NotAttestor));
    let others = |message: &Key| signed(message, &[&keys[1], &keys[2]]);
    let anew = [others(&said(&invoice, &one)), ready[1].clone()];
    assert_eq!(net.send(&anew), refused(GateError::AboveReserve));
    let word = Reserve { allocation: ALLOCATION, nonce: 2, as_of: START };
    assert_eq!(net.send(&house::reserve(&word)), refused(GateError::NotAttestor));
    net.send(&[others(&house::reserve_said(&word)), house::reserve_alone(&word)]).unwrap();
    net.send(&anew).unwrap();
    net.warp(START + DELAY_SECONDS);
    assert_eq!(net.send(&[house::apply(person("mint admin"))]), refused(GateError::NothingProposed));

    // With fewer left than have to sign, nothing is minted.
    net.send(&[house::lower(person("guardian"), false, u64::MAX, &public(&keys[2]))]).unwrap();
    let other = house::invoice(&mut net, |terms| (terms.amount, terms.closes_at) = (5, START + 10 * DAY_SECONDS));
    let two = deposit(&net, "two", 5);
    let alone = [signed(&said(&other, &two), &[&keys[1]]), house::mint_and_pay_alone(&other, &two)];
    assert_eq!(net.send(&alone), refused(GateError::TooFewSignatures));
}

#[test]
fn g2_after_other_attestors_come_the_old_ones_count_no_more() {
    let mut net = scene();
    let mut new = [house::signing("new 1"), house::signing("new 2")];
    new.sort_by_key(public);
    let mut attestors = [NONE; 8];
    attestors[..2].copy_from_slice(&new.each_ref().map(public));
    let others = Settings { attestors, attestor_count: 2, ..settings() };
    net.send(&[house::propose(person("mint admin"), &others)]).unwrap();
    net.warp(START + DELAY_SECONDS);
    net.send(&[house::apply(person("mint admin"))]).unwrap();
    let now = net.now();
    let invoice = house::invoice(&mut net, |terms| terms.closes_at = now + DAY_SECONDS);
    let one = deposit(&net, "one", AMOUNT);
    assert_eq!(net.send(&mint_and_pay(&invoice, &one)), refused(GateError::NotAttestor));
    let by_new = |message: &Key| signed(message, &[&new[0], &new[1]]);
    let ask = [by_new(&said(&invoice, &one)), house::mint_and_pay_alone(&invoice, &one)];
    // What the old ones said of the reserve is over.
    assert_eq!(config(&net).reserve.allocation, 0);
    let word = Reserve { allocation: ALLOCATION, nonce: 2, as_of: now };
    net.send(&[by_new(&house::reserve_said(&word)), house::reserve_alone(&word)]).unwrap();
    net.send(&ask).unwrap();
}

#[test]
fn g3_an_admin_is_followed_by_one_who_has_the_key_and_never_by_nobody() {
    let mut net = scene();
    let (admin, next) = (person("mint admin"), person("next admin"));
    let nobody = Settings { admin: NONE, ..settings() };
    assert_eq!(net.send(&[house::propose(admin, &nobody)]), refused(GateError::InvalidSettings));
    net.send(&[house::propose(admin, &Settings { admin: key(next), ..settings() })]).unwrap();
    net.warp(START + DELAY_SECONDS);
    assert_eq!(net.send(&[house::apply(admin)]), refused(GateError::NotAdmin));
    let mut unsigned = house::apply(next);
    unsigned.accounts[1].is_signer = false;
    assert_eq!(net.send(&[unsigned]), refused(GateError::NotAdmin));
    net.send(&[house::apply(next)]).unwrap();
    assert_eq!(net.send(&[house::propose(admin, &settings())]), refused(GateError::NotAdmin));
    net.send(&[house::propose(next, &settings())]).unwrap();
}

#[test]
fn g4_nobody_is_two_of_admin_guardian_and_attestor_and_settings_fit_together() {
    let net = scene();
    let good = settings();
    let keys = attestors().iter().map(public).collect::<Vec<_>>();
    let with = |change: &dyn Fn(&mut Settings)| {
        let mut settings = good;
        change(&mut settings);
        settings
    };
    let wrong = [
        with(&|settings| settings.guardian = settings.admin),
        with(&|settings| settings.guardian = keys[1]),
        with(&|settings| settings.admin = keys[2]),
        with(&|settings| settings.guardian = NONE),
        with(&|settings| settings.threshold = 0),
        with(&|settings| settings.threshold = 4),
        with(&|settings| (settings.attestor_count, settings.threshold) = (0, 0)),
        with(&|settings| settings.attestor_count = 2),
        with(&|settings| settings.attestor_count = 4),
        with(&|settings| settings.attestor_count = 9),
        with(&|settings| settings.attestors.swap(0, 1)),
        with(&|settings| settings.attestors[1] = keys[0]),
        with(&|settings| settings.attestors[0] = NONE),
        with(&|settings| settings.paused = 2),
        with(&|settings| settings.reserved[4] = 1),
    ];
    for settings in wrong {
        let propose = house::propose(person("mint admin"), &settings);
        assert_eq!(net.clone().send(&[propose]), refused(GateError::InvalidSettings), "{settings:?}");
        assert_eq!(house::bare().send(&[house::init(&settings)]), refused(GateError::InvalidSettings));
    }
}

#[test]
fn the_mint_is_set_up_once_by_the_admin_for_a_mint_that_nobody_else_has_a_say_in() {
    let net = house::bare();
    let init = house::init(&settings());
    let with_mint = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut net = net.clone();
        let mut data = house::mint_data();
        change(&mut data);
        net.put(house::mint(), tokens::program(false), data);
        net
    };
    for (what, mut wrong) in [
        ("another authority", with_mint(&|data| data[4] ^= 1)),
        ("no authority", with_mint(&|data| data[..4].fill(0))),
        ("a supply", with_mint(&|data| data[36] = 1)),
        ("nine decimals", with_mint(&|data| data[44] = 9)),
        ("not made", with_mint(&|data| data[45] = 0)),
        ("somebody freezes", with_mint(&|data| data[46] = 1)),
        ("more bytes", with_mint(&|data| data.push(0))),
    ] {
        assert_eq!(wrong.send(std::slice::from_ref(&init)), refused(GateError::WrongMint), "{what}");
    }
    let mut other_program = net.clone();
    other_program.put(house::mint(), tokens::program(true), house::mint_data());
    assert_eq!(other_program.send(std::slice::from_ref(&init)), refused(GateError::WrongMint));
    let mut by_thief = init.clone();
    by_thief.accounts[2].pubkey = person("mint admin");
    assert_eq!(net.clone().send(&[by_thief]), refused(GateError::NotAdmin));
    let mut unsigned = init.clone();
    unsigned.accounts[2].is_signer = false;
    assert_eq!(net.clone().send(&[unsigned]), refused(GateError::NotAdmin));
    for place in [336, 337] {
        let mut wrong = init.clone();
        wrong.data[1 + place] ^= 1;
        assert_eq!(net.clone().send(&[wrong]), refused(GateError::WrongTokenAccount));
    }

    let mut net = net;
    net.give(mint_config(), 1);
    net.send(std::slice::from_ref(&init)).unwrap();
    let made = config(&net);
    assert_eq!((made.escrow, made.mint), (key(escrow()), key(house::mint())));
    assert_eq!((made.gate, made.redemption), (key(gate_signer()), key(redemption())));
    assert_eq!((made.account, made.redemption_account), (key(house::account()), key(house::redemption_account())));
    assert_eq!((made.settings, made.applicable_at, made.reserve), (settings(), 0, Reserve::default()));
    assert_eq!(net.send(&[init]), refused(GateError::AlreadyInitialized));
    // The two configs do not stand for each other.
    let mut swapped = gate_keys(person("admin"), &[], &[]);
    swapped.accounts[0].pubkey = mint_config();
    assert_eq!(net.send(&[swapped]), refused(GateError::WrongConfig));
    let mut swapped = house::apply(person("mint admin"));
    swapped.accounts[0].pubkey = gate_config();
    assert_eq!(net.send(&[swapped]), refused(GateError::WrongMintConfig));
    assert_eq!(net.send(&[gate_init(person("admin"), escrow())]), refused(GateError::AlreadyInitialized));
    // Without a word about the reserve nothing is minted.
    let (invoice, one) = ordinary(&mut net);
    assert_eq!(net.send(&mint_and_pay(&invoice, &one)), refused(GateError::ReserveStale));
}

#[test]
fn nobody_but_the_gate_tells_that_something_was_minted() {
    let mut net = scene();
    let (invoice, one) = ordinary(&mut net);
    let told = net.send(&mint_and_pay(&invoice, &one)).unwrap().told;
    let (data, length) = told[0].encode();
    for (account, signer) in [(person("thief"), true), (gate_signer(), false)] {
        let accounts = vec![AccountMeta::new_readonly(account, signer)];
        let forged = Instruction { program_id: gate(), accounts, data: data[..length].to_vec() };
        assert_eq!(net.send(&[forged]), refused(GateError::WrongEventAuthority));
    }
    // And no program of a thief's is told in its place.
    let deaf = person("deaf program");
    net.idle_program(deaf);
    let other = house::invoice(&mut net, |terms| terms.amount = 5);
    let mut wrong = mint_and_pay(&other, &deposit(&net, "two", 5));
    wrong[1].accounts[at::PROGRAM].pubkey = deaf;
    assert!(matches!(net.send(&wrong), Err(Refused::Other(_))));
}

#[test]
fn two_signatures_and_a_mint_fit_into_one_transaction() {
    let mut net = scene();
    let (invoice, one) = ordinary(&mut net);
    let budget = |bytes: usize| Instruction {
        program_id: Address::from_str_const("ComputeBudget111111111111111111111111111111"),
        accounts: vec![],
        data: vec![0; bytes],
    };
    let [signatures, mint] = mint_and_pay(&invoice, &one);
    let message = solana_message::Message::new(&[budget(5), budget(9), signatures, mint], Some(&person("keeper")));
    let size = 1 + 64 * usize::from(message.header.num_required_signatures) + message.serialize().len();
    assert!(size <= 1_232, "{size} bytes");
}

#[test]
fn discriminators_are_of_their_names() {
    use escrow_interface::{gate as gate_bytes, mint as bytes};
    for (name, discriminator) in [
        ("account:Config", gate_bytes::DISCRIMINATOR),
        ("account:MintConfig", bytes::MINT_CONFIG_DISCRIMINATOR),
        ("account:DepositMarker", bytes::DEPOSIT_MARKER_DISCRIMINATOR),
        ("account:RedeemedMarker", bytes::REDEEMED_MARKER_DISCRIMINATOR),
        ("event:Minted", bytes::MINTED),
        ("event:Redeemed", bytes::REDEEMED),
        ("event:ReserveAttested", bytes::RESERVE_ATTESTED),
    ] {
        assert_eq!(sha256(&[name.as_bytes()])[..8], discriminator, "{name}");
    }
}
