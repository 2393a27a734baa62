//! Every instruction of the gate's mint half × every wrong account.

use crate::accounts::{Good, is_refused, strangers};
use escrow_interface::{
    NONE,
    gate::GateError,
    mint::{self as bytes, Reserve},
    terms::WAIT_SECONDS,
};
use program_tests::{
    Net, Refused,
    ask::{AMOUNT, gate_keys, key, through_gate},
    mint as house,
    net::{START, gate_config, gate_signer, mint_config, redemption},
    person,
};
use solana_instruction::{AccountMeta, Instruction};

/// All of them.
fn good() -> Vec<Good> {
    let (keeper, admin, guardian) = (person("keeper"), person("mint admin"), person("guardian"));
    let mut net = house::scene();
    let invoice = house::invoice(&mut net, |_| ());
    let deposit = house::deposit(&net, "one", AMOUNT);
    let asked = house::invoice(&mut net, |terms| terms.payee = key(redemption()));
    net.fund(asked.address, asked.mint(), false, AMOUNT);
    let mut paid = net.clone();
    paid.send(&[gate_keys(person("admin"), &[person("settler")], &[])]).unwrap();
    // As if what is burned had been minted.
    paid.send(&house::mint_and_pay(&invoice, &deposit)).unwrap();
    paid.send(&[through_gate(person("settler"), asked.settle())]).unwrap();
    let mut burned = paid.clone();
    burned.send(&[house::redeem(&asked)]).unwrap();
    burned.warp(asked.terms.closes_at + WAIT_SECONDS);
    burned.send(&[asked.close_record(keeper)]).unwrap();
    let mut proposed = net.clone();
    proposed.send(&[house::propose(admin, &house::settings())]).unwrap();
    proposed.warp(START + bytes::DELAY_SECONDS);

    let case = |name, net: &Net, before: Vec<Instruction>, instruction| Good {
        name,
        net: net.clone(),
        before,
        instruction,
        any: vec![],
    };
    let [signed, mint_and_pay] = house::mint_and_pay(&invoice, &deposit);
    let [signed_reserve, reserve] = house::reserve(&Reserve { allocation: 1, nonce: 2, as_of: START });
    let settings = house::settings();
    vec![
        case("initMint", &house::bare(), vec![], house::init(&settings)),
        case("mintAndPay", &net, vec![signed], mint_and_pay),
        case("attestReserve", &net, vec![signed_reserve], reserve),
        case("redeem", &paid, vec![], house::redeem(&asked)),
        case("closeRedeemed", &burned, vec![], house::close_redeemed(&asked, keeper)),
        case("propose", &net, vec![], house::propose(admin, &settings)),
        case("apply", &proposed, vec![], house::apply(admin)),
        case("lower", &net, vec![], house::lower(guardian, true, 0, &NONE)),
    ]
}

fn goes_through(good: &Good, instruction: Instruction) {
    let sent = good.net.clone().send(&[good.before.as_slice(), &[instruction]].concat());
    sent.unwrap_or_else(|refused| panic!("{} itself does not go through: {refused:?}", good.name));
}

#[test]
fn every_instruction_of_the_mint_half_refuses_every_wrong_account() {
    for mut good in good() {
        good.net.give(person("keeper 2"), 1_000_000_000);
        let mut strangers = strangers(&mut good.net, false);
        let other = house::deposit(&good.net, "another", AMOUNT);
        strangers.extend([
            ("the gate's address", gate_signer()),
            ("the gate's config", gate_config()),
            ("the mint's config", mint_config()),
            ("the redemption address", redemption()),
            ("the redemption account", house::redemption_account()),
            ("the gate's account", house::account()),
            ("another deposit's marker", house::deposit_marker(&other)),
        ]);
        goes_through(&good, good.instruction.clone());
        for place in 0..good.instruction.accounts.len() {
            for (what, stranger) in &strangers {
                let mut wrong = good.instruction.clone();
                // Who pays rent may be anybody who signs.
                let pays = place == 0 && wrong.accounts[0].is_signer && *what == "a wallet";
                if wrong.accounts[place].pubkey == *stranger || pays {
                    continue;
                }
                wrong.accounts[place].pubkey = *stranger;
                is_refused(&good, &format!("{what} in place {place}"), wrong);
            }
        }
    }
}

#[test]
fn every_instruction_of_the_mint_half_refuses_a_missing_signature_and_a_missing_write() {
    for good in good() {
        for (place, meta) in good.instruction.accounts.iter().enumerate() {
            let mut wrong = good.instruction.clone();
            if meta.is_signer {
                wrong.accounts[place].is_signer = false;
                is_refused(&good, &format!("no signature in place {place}"), wrong.clone());
                wrong.accounts[place].is_signer = true;
            }
            if meta.is_writable {
                wrong.accounts[place].is_writable = false;
                is_refused(&good, &format!("read-only in place {place}"), wrong);
            }
        }
    }
}

#[test]
fn every_instruction_of_the_mint_half_refuses_a_short_list_and_ignores_a_longer_one() {
    for good in good() {
        for count in 0..good.instruction.accounts.len() {
            let mut wrong = good.instruction.clone();
            wrong.accounts.truncate(count);
            let refused = is_refused(&good, "too few", wrong);
            assert_eq!(refused, Refused::Gate(GateError::WrongAccounts), "{} of {count}", good.name);
        }
        let mut longer = good.instruction.clone();
        longer.accounts.push(AccountMeta::new(person("nothing"), false));
        goes_through(&good, longer);
    }
}

#[test]
fn every_instruction_of_the_mint_half_refuses_two_places_with_one_account() {
    for good in good() {
        for one in 0..good.instruction.accounts.len() {
            for other in 0..good.instruction.accounts.len() {
                let mut wrong = good.instruction.clone();
                if one == other {
                    continue;
                }
                wrong.accounts[one].pubkey = wrong.accounts[other].pubkey;
                is_refused(&good, &format!("{other} in place {one}"), wrong);
            }
        }
    }
}

/// `chain:S10`
#[test]
fn odd_data_of_the_mint_half_is_refused_and_never_panics() {
    let odd = Refused::Gate(GateError::InvalidInstruction);
    for good in good() {
        for length in 0..good.instruction.data.len() + 3 {
            let mut wrong = good.instruction.clone();
            wrong.data.resize(length, 0);
            if length != good.instruction.data.len() {
                assert_eq!(is_refused(&good, "odd length", wrong), odd, "{} of {length}", good.name);
            }
        }
        for tag in 138..=255 {
            let mut wrong = good.instruction.clone();
            wrong.data[0] = tag;
            assert_eq!(is_refused(&good, "odd tag", wrong), odd, "{} with {tag}", good.name);
        }
    }
}
