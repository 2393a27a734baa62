//! Every instruction × every wrong account.

use escrow_interface::{
    Error, instruction as at,
    terms::{FLAG_PARTIALS, WAIT_SECONDS},
};
use program_tests::{
    Invoice, Net, Refused,
    ask::{AMOUNT, key},
    net::{escrow, event_authority},
    person, tokens,
};
use solana_address::Address;
use solana_instruction::{AccountMeta, Instruction};

/// One instruction that goes through, what has to come before it, and which of its accounts may be any.
pub(crate) struct Good {
    pub(crate) name: &'static str,
    pub(crate) net: Net,
    pub(crate) before: Vec<Instruction>,
    pub(crate) instruction: Instruction,
    pub(crate) any: Vec<usize>,
}

/// All of them, with a settler and a refund key in the terms, so that every signature counts.
fn good(token_2022: bool) -> Vec<Good> {
    let (keeper, settler, payer, refund_key) =
        (person("keeper"), person("settler"), person("payer"), person("refund key"));
    let invoice = Invoice::with(|terms| {
        terms.settler = key(settler);
        terms.refund_key = key(refund_key);
        terms.flags = FLAG_PARTIALS | program_tests::ask::flags(false, token_2022);
    });
    let mut open = Net::new();
    invoice.set_up(&mut open, AMOUNT / 2);
    let mut bare = open.clone();
    bare.svm.set_account(invoice.vault(), Default::default()).unwrap();
    let mut made = bare.clone();
    made.send(&[invoice.open_vault(keeper)]).unwrap();
    let mut late = open.clone();
    late.send(&[invoice.settle()]).unwrap();
    late.fund(invoice.address, invoice.mint(), token_2022, 5);
    late.warp(invoice.terms.closes_at + WAIT_SECONDS);
    late.give(invoice.address, 5_000_000);
    let mut empty = made.clone();
    empty.warp(invoice.terms.closes_at + WAIT_SECONDS);
    let mut gone = empty.clone();
    gone.send(&[invoice.close_vault(keeper)]).unwrap();
    let elsewhere = invoice.associated(payer).0;

    let case = |name, net: &Net, instruction, any: &[usize]| Good {
        name,
        net: net.clone(),
        before: vec![],
        instruction,
        any: any.to_vec(),
    };
    vec![
        case("settle", &open, invoice.settle(), &[]),
        case("pay", &open, invoice.pay(payer, 100), &[]),
        case("cancel", &open, invoice.cancel(settler), &[]),
        case("refund", &late, invoice.refund(), &[at::refund::REFUND_KEY]),
        case("refundByKey", &late, invoice.refund_by_key(refund_key, elsewhere), &[]),
        case("refundNative", &late, invoice.refund_native(), &[]),
        case("openVault", &bare, invoice.open_vault(keeper), &[]),
        // All of the vault's lamports are the keeper's: refundTo gets nothing and may be anybody.
        case("closeVault", &empty, invoice.close_vault(keeper), &[at::close_vault::REFUND_TO]),
        case("closeRecord", &gone, invoice.close_record(keeper), &[]),
    ]
}

/// Tries it, and it must be refused and change nothing.
pub(crate) fn is_refused(good: &Good, what: &str, instruction: Instruction) -> Refused {
    let mut net = good.net.clone();
    let before = net.look(instruction.accounts.iter().map(|meta| meta.pubkey));
    match net.send(&[good.before.as_slice(), &[instruction]].concat()) {
        Ok(_) => panic!("{}: {what} went through", good.name),
        Err(refused) => {
            assert_eq!(net.look(before.keys().copied()), before, "{}: {what}", good.name);
            refused
        }
    }
}

/// Accounts that are something, but not this: another mint's, another owner's, another program's, nobody's.
pub(crate) fn strangers(net: &mut Net, token_2022: bool) -> Vec<(&'static str, Address)> {
    let other_mint = person("other mint");
    net.mint(other_mint, token_2022);
    net.mint(person("thief's mint"), !token_2022);
    let other = Invoice::with(|terms| terms.amount = 1);
    let fake = person("fake account");
    net.put(fake, person("other program"), tokens::account_data(person("mint"), person("payee"), AMOUNT));
    vec![
        ("nothing", person("nothing")),
        ("a wallet", person("keeper 2")),
        ("another mint", other_mint),
        ("a mint of the other program", person("thief's mint")),
        ("a thief's account", net.fund(person("thief"), person("mint"), token_2022, AMOUNT)),
        ("an account for another mint", net.fund(person("payee"), other_mint, token_2022, AMOUNT)),
        ("a fake account", fake),
        ("another invoice", other.address),
        ("another invoice's record", other.record),
        ("the other token program", tokens::program(!token_2022)),
        ("the escrow", escrow()),
        ("the event authority", event_authority()),
    ]
}

#[test]
fn every_instruction_refuses_every_wrong_account() {
    for token_2022 in [false, true] {
        for mut good in good(token_2022) {
            good.net.give(person("keeper 2"), 1_000_000_000);
            let strangers = strangers(&mut good.net, token_2022);
            good.net.clone().send(&[good.instruction.clone()]).unwrap_or_else(|refused| {
                panic!("{} itself does not go through: {refused:?}", good.name);
            });
            for place in 0..good.instruction.accounts.len() {
                if good.any.contains(&place) {
                    continue;
                }
                for (what, stranger) in &strangers {
                    let mut wrong = good.instruction.clone();
                    if wrong.accounts[place].pubkey == *stranger {
                        continue;
                    }
                    // Who pays rent may be anybody who signs.
                    let pays = place == 0 && wrong.accounts[0].is_signer && wrong.accounts[0].is_writable;
                    if pays && *what == "a wallet" {
                        continue;
                    }
                    // The refund key may send it to whom it likes.
                    if good.name == "refundByKey" && place == at::refund::DESTINATION && *what == "a thief's account" {
                        continue;
                    }
                    wrong.accounts[place].pubkey = *stranger;
                    is_refused(&good, &format!("{what} in place {place}"), wrong);
                }
            }
        }
    }
}

#[test]
fn every_instruction_refuses_a_missing_signature_and_a_missing_write() {
    for good in good(false) {
        for (place, meta) in good.instruction.accounts.iter().enumerate() {
            if meta.is_signer && !good.any.contains(&place) {
                let mut wrong = good.instruction.clone();
                wrong.accounts[place].is_signer = false;
                is_refused(&good, &format!("no signature in place {place}"), wrong);
            }
            // Of the record nothing is left for refundTo, and what is not changed may be read-only.
            let idle = good.name == "closeRecord" && place == at::close_record::REFUND_TO;
            if meta.is_writable && !good.any.contains(&place) && !idle {
                let mut wrong = good.instruction.clone();
                wrong.accounts[place].is_writable = false;
                is_refused(&good, &format!("read-only in place {place}"), wrong);
            }
        }
    }
}

#[test]
fn every_instruction_refuses_a_short_list_and_ignores_a_longer_one() {
    for good in good(false) {
        for count in 0..good.instruction.accounts.len() {
            let mut wrong = good.instruction.clone();
            wrong.accounts.truncate(count);
            assert_eq!(is_refused(&good, "too few", wrong), Error::MissingAccount.into(), "{} of {count}", good.name);
        }
        let mut longer = good.instruction.clone();
        longer.accounts.push(AccountMeta::new(person("nothing"), false));
        good.net.clone().send(&[longer]).unwrap();
    }
}

#[test]
fn every_instruction_refuses_two_places_with_one_account() {
    for good in good(false) {
        for one in 0..good.instruction.accounts.len() {
            for other in 0..good.instruction.accounts.len() {
                let mut wrong = good.instruction.clone();
                if one == other || good.any.contains(&one) || wrong.accounts[one].pubkey == wrong.accounts[other].pubkey
                {
                    continue;
                }
                // Whoever pays rent may be whoever else signs.
                let signs = |meta: &AccountMeta| meta.is_signer;
                if one == 0 && signs(&wrong.accounts[0]) && signs(&wrong.accounts[other]) {
                    continue;
                }
                wrong.accounts[one].pubkey = wrong.accounts[other].pubkey;
                is_refused(&good, &format!("{other} in place {one}"), wrong);
            }
        }
    }
}

#[test]
fn a_wrong_bump_is_refused() {
    for good in good(false) {
        let bumps = match good.name {
            "settle" => 2,
            "pay" | "refund" | "closeVault" => 1,
            _ => 0,
        };
        for place in 1..=bumps {
            let mut wrong = good.instruction.clone();
            let at = wrong.data.len() - place;
            wrong.data[at] = wrong.data[at].wrapping_sub(1);
            is_refused(&good, "a wrong bump", wrong);
        }
    }
}

/// `chain:S10`
#[test]
fn odd_data_is_refused_and_never_panics() {
    for good in good(false) {
        for length in 0..good.instruction.data.len() + 3 {
            if length == good.instruction.data.len() {
                continue;
            }
            let mut wrong = good.instruction.clone();
            wrong.data.resize(length, 0);
            assert_eq!(is_refused(&good, "odd length", wrong), Error::InvalidInstruction.into());
        }
        for tag in 9..=255 {
            let mut wrong = good.instruction.clone();
            wrong.data[0] = tag;
            assert_eq!(is_refused(&good, "odd tag", wrong), Error::InvalidInstruction.into());
        }
    }
}
