//! Attacks of the research notes' §6 that concern Solana, by number.

use escrow_interface::{Error, terms::WAIT_SECONDS};
use program_tests::{
    Invoice, Net, Refused,
    ask::{AMOUNT, flags, key},
    net::START,
    person, tokens,
};
use solana_account::Account;
use solana_address::Address;
use solana_rent::Rent;

fn scene(amount: u64) -> (Net, Invoice) {
    let mut net = Net::new();
    let invoice = Invoice::with(|_| ());
    invoice.set_up(&mut net, amount);
    (net, invoice)
}

#[test]
fn attack_12_lamports_and_accounts_put_there_before_change_nothing() {
    let (mut net, invoice) = scene(AMOUNT);
    for address in [invoice.address, invoice.record] {
        net.give(address, 1);
    }
    // An associated account of the other token program for the same mint is another address, and no vault.
    let (other, _) = tokens::associated(invoice.address, invoice.mint(), true);
    net.put(other, tokens::program(true), tokens::account_data(invoice.mint(), invoice.address, AMOUNT));
    let mut wrong = invoice.settle();
    wrong.accounts[4].pubkey = other;
    assert_eq!(net.send(&[wrong]), Err(Error::WrongVault.into()));
    net.send(&[invoice.settle()]).unwrap();
}

#[test]
fn attack_13_a_destination_that_is_missing_frozen_closed_or_anothers_moves_nothing_and_later_it_goes_on() {
    let (net, invoice) = scene(AMOUNT);
    let (payee, _) = invoice.associated(invoice.payee());
    let account = net.account(payee).unwrap();
    let anothers = tokens::account_data(invoice.mint(), person("thief"), 0);
    let broken = [
        ("missing", None),
        (
            "frozen",
            Some({
                let mut data = account.data.clone();
                data[108] = 2;
                data
            }),
        ),
        ("another's", Some(anothers)),
        ("not initialised", Some(vec![0; 165])),
    ];
    for (what, data) in broken {
        let mut net = net.clone();
        match data {
            None => net.svm.set_account(payee, Account::default()).unwrap(),
            Some(data) => net.put(payee, tokens::program(false), data),
        }
        assert!(net.send(&[invoice.settle()]).is_err(), "{what}");
        assert_eq!((net.balance(invoice.vault()), invoice.record(&net)), (AMOUNT, None), "{what}");
        let mut later = net.clone();
        later.svm.set_account(payee, account.clone()).unwrap();
        later.send(&[invoice.settle()]).unwrap();
        // Or else it goes back.
        net.warp(invoice.terms.closes_at);
        net.send(&[invoice.refund()]).unwrap();
    }
}

#[test]
fn attack_14_a_wallet_that_refuses_the_invoices_address_can_pay_into_the_vault_itself() {
    // The vault can be there before anybody pays, and whoever made it has the rent back.
    let (mut net, invoice) = scene(0);
    net.svm.set_account(invoice.vault(), Account::default()).unwrap();
    net.send(&[invoice.open_vault(person("keeper"))]).unwrap();
    let vault = net.account(invoice.vault()).unwrap();
    assert_eq!((vault.owner, &vault.data[32..64]), (tokens::program(false), invoice.address.as_ref()));
}

#[test]
fn attack_15_what_a_payment_carries_besides_makes_no_difference() {
    // Memo, order, two transfers in one transaction: the program looks at the vault, never at how it was filled.
    let (mut net, invoice) = scene(AMOUNT / 2);
    net.fund(invoice.address, invoice.mint(), false, AMOUNT - AMOUNT / 2);
    net.send(&[invoice.settle()]).unwrap();
    assert_eq!(net.balance(invoice.vault()), 0);
}

#[test]
fn attack_19_a_mint_that_was_closed_and_made_anew_with_other_extensions_is_looked_at_again() {
    let mut net = Net::new();
    let invoice = Invoice::with(|terms| terms.flags = flags(true, true));
    invoice.set_up(&mut net, 10);
    net.send(&[invoice.settle()]).unwrap();
    for extension in [1, 3, 9, 12, 14, 26, 99] {
        let mint = tokens::mint_data(person("minter"), person("freezer"));
        net.put(invoice.mint(), tokens::program(true), tokens::extended(mint, 1, &[(extension, vec![0; 8])]));
        net.fund(invoice.address, invoice.mint(), true, 10);
        assert_eq!(net.send(&[invoice.settle()]), Err(Error::ExtensionRefused.into()), "extension {extension}");
    }
    // Malformed: a length that points behind the end, and half a header.
    for tail in [vec![18, 0, 255, 0], vec![7]] {
        let mut mint = tokens::extended(tokens::mint_data(person("minter"), person("freezer")), 1, &[]);
        mint.extend_from_slice(&tail);
        net.put(invoice.mint(), tokens::program(true), mint);
        assert_eq!(net.send(&[invoice.settle()]), Err(Error::ExtensionRefused.into()));
    }
}

#[test]
fn attack_19_a_multisig_is_no_mint_and_no_account_whatever_its_bytes() {
    let mut net = Net::new();
    let invoice = Invoice::with(|terms| terms.flags = flags(true, true));
    invoice.set_up(&mut net, AMOUNT);
    let mut mint = tokens::extended(tokens::mint_data(person("minter"), person("freezer")), 1, &[]);
    mint.resize(355, 0);
    net.put(invoice.mint(), tokens::program(true), mint);
    assert_eq!(net.send(&[invoice.settle()]), Err(Error::InvalidToken.into()));
}

#[test]
fn attack_20_a_frozen_vault_waits_and_after_the_thaw_all_goes_on() {
    let (mut net, invoice) = scene(AMOUNT);
    net.freeze(invoice.vault(), true);
    assert!(matches!(net.send(&[invoice.settle()]), Err(Refused::Other(_))));
    let mut late = net.clone();
    late.warp(invoice.terms.closes_at);
    assert!(matches!(late.send(&[invoice.refund()]), Err(Refused::Other(_))));
    late.freeze(invoice.vault(), false);
    late.send(&[invoice.refund()]).unwrap();
    net.freeze(invoice.vault(), false);
    net.send(&[invoice.settle()]).unwrap();
}

#[test]
fn attack_26_a_transaction_that_lands_weeks_later_does_what_the_time_allows() {
    // Signed while it was open, with a durable nonce; it lands when the program's own clock says otherwise.
    let (mut net, invoice) = scene(AMOUNT);
    let (settle, pay) = (invoice.settle(), invoice.pay(person("payer"), AMOUNT));
    net.warp(START + 60 * 86_400);
    assert_eq!(net.send(&[settle]), Err(Error::Closed.into()));
    assert_eq!(net.send(&[pay]), Err(Error::Closed.into()));
}

#[test]
fn attack_27_closed_and_used_again_in_one_transaction_is_refused_whole() {
    let (mut net, invoice) = scene(2 * AMOUNT);
    net.send(&[invoice.settle()]).unwrap();
    net.warp(invoice.terms.closes_at + WAIT_SECONDS);
    let close = invoice.close_record(person("keeper"));
    assert_eq!(net.send(&[close.clone(), invoice.settle()]), Err(Error::Closed.into()));
    assert_eq!(net.send(&[close.clone(), close.clone()]), Err(Error::WrongRecord.into()));
    // Lamports sent there in the same transaction bring nothing back to life.
    net.send(&[close]).unwrap();
    net.give(invoice.record, 5_000_000);
    assert_eq!(net.send(&[invoice.settle()]), Err(Error::Closed.into()));
    assert_eq!(net.send(&[invoice.close_record(person("keeper"))]), Err(Error::WrongRecord.into()));
}

#[test]
fn attack_45_every_verb_fits_into_one_transaction() {
    let invoice = Invoice::with(|terms| terms.settler = key(person("settler")));
    for instruction in [
        invoice.settle(),
        invoice.pay(person("payer"), 1),
        program_tests::ask::through_gate(person("settler"), invoice.settle()),
        invoice.open_vault(person("keeper")),
        invoice.refund(),
    ] {
        let message = solana_message::Message::new(&[instruction], Some(&person("fee payer")));
        let signatures = 1 + 64 * usize::from(message.header.num_required_signatures);
        let size = signatures + message.serialize().len();
        assert!(size <= 1_232, "{size} bytes");
    }
}

#[test]
fn attack_47_rent_that_falls_or_rises_changes_nobodys_share() {
    let rates = [3_480u64, 1_000, 10_000];
    for rate in rates {
        let (mut net, invoice) = scene(0);
        net.svm.set_account(invoice.vault(), Account::default()).unwrap();
        let keeper = person("keeper");
        let before = net.lamports(keeper);
        net.send(&[invoice.open_vault(keeper)]).unwrap();
        let mut rent = net.svm.get_sysvar::<Rent>();
        rent.lamports_per_byte = rate;
        net.svm.set_sysvar(&rent);
        net.warp(invoice.terms.closes_at + WAIT_SECONDS);
        net.send(&[invoice.close_vault(keeper)]).unwrap();
        net.send(&[invoice.close_record(keeper)]).unwrap();
        assert_eq!(net.lamports(keeper), before, "at {rate} lamports per byte");
    }
}

#[test]
fn attack_47_a_rent_payer_who_is_gone_gets_it_all_the_same() {
    let (mut net, invoice) = scene(0);
    net.svm.set_account(invoice.vault(), Account::default()).unwrap();
    let gone = person("gone");
    net.give(gone, 1_000_000_000);
    let before = net.lamports(gone);
    net.send(&[invoice.open_vault(gone)]).unwrap();
    let spent = before - net.lamports(gone);
    net.svm.set_account(gone, Account::default()).unwrap();
    net.warp(invoice.terms.closes_at + WAIT_SECONDS);
    net.send(&[invoice.close_vault(gone), invoice.close_record(gone)]).unwrap();
    assert_eq!(net.lamports(gone), spent);
}

#[test]
fn attack_48_making_and_closing_in_a_loop_earns_nobody_anything() {
    let (mut net, invoice) = scene(0);
    net.svm.set_account(invoice.vault(), Account::default()).unwrap();
    let (keeper, thief) = (person("keeper"), person("thief"));
    net.give(thief, 1_000_000_000);
    net.send(&[invoice.cancel(invoice.payee())]).unwrap();
    let before = (net.lamports(keeper), net.lamports(thief));
    for _ in 0..5 {
        net.send(&[invoice.open_vault(keeper)]).unwrap();
        // Not to the thief, whatever he says.
        assert_eq!(net.send(&[invoice.close_vault(thief)]), Err(Error::WrongRecipient.into()));
        net.send(&[invoice.close_vault(keeper)]).unwrap();
        net.send(&[invoice.open_vault(thief), invoice.close_vault(thief)]).unwrap();
    }
    assert_eq!((net.lamports(keeper), net.lamports(thief)), before);
}

#[test]
fn an_event_that_nobody_but_a_stranger_signed_is_refused() {
    let (mut net, invoice) = scene(AMOUNT);
    let done = net.send(&[invoice.settle()]).unwrap();
    let data = done.events[0].encode().to_vec();
    let authority = program_tests::net::event_authority();
    for (account, signer) in [(person("thief"), true), (authority, false)] {
        let accounts = vec![solana_instruction::AccountMeta::new_readonly(account, signer)];
        let forged =
            solana_instruction::Instruction { program_id: program_tests::net::escrow(), accounts, data: data.clone() };
        assert_eq!(net.send(&[forged]), Err(Error::WrongEventAuthority.into()));
    }
}

#[test]
fn a_stranger_program_in_the_place_of_the_token_program_never_gets_the_invoices_signature() {
    // With it, it could empty the vault: that all accounts fit together says nothing if the program is the thief's.
    let mut net = Net::new();
    let invoice = Invoice::with(|terms| terms.refund_key = key(person("refund key")));
    invoice.set_up(&mut net, AMOUNT);
    net.warp(invoice.terms.closes_at + WAIT_SECONDS);
    let (program, mint) = (person("thief's program"), person("thief's mint"));
    net.put(mint, program, tokens::mint_data(person("thief"), person("thief")));
    let associated = |owner: Address| {
        let seeds: [&[u8]; 3] = [owner.as_ref(), program.as_ref(), mint.as_ref()];
        Address::find_program_address(&seeds, &tokens::associated_program())
    };
    let ((source, source_bump), (destination, bump)) = (associated(invoice.address), associated(invoice.refund_to()));
    net.put(source, program, tokens::account_data(mint, invoice.address, 1));
    net.put(destination, program, tokens::account_data(mint, invoice.refund_to(), 0));

    let mut refund = invoice.refund();
    let mut by_key = invoice.refund_by_key(person("refund key"), destination);
    for instruction in [&mut refund, &mut by_key] {
        for (place, address) in [(3, source), (4, destination), (5, mint), (6, program)] {
            instruction.accounts[place].pubkey = address;
        }
    }
    *refund.data.last_mut().unwrap() = bump;
    let mut close = invoice.close_vault(person("keeper"));
    net.put(source, program, tokens::account_data(mint, invoice.address, 1));
    for (place, address) in [(2, source), (5, mint), (6, program)] {
        close.accounts[place].pubkey = address;
    }
    *close.data.last_mut().unwrap() = source_bump;
    for instruction in [refund, by_key, close] {
        assert_eq!(net.send(&[instruction]), Err(Error::WrongTokenProgram.into()));
    }
}

#[test]
fn no_program_of_a_strangers_is_told_in_the_escrows_place() {
    // It would hear of it, and nobody else: the invoice would be paid, and no mirror would know.
    let (mut net, invoice) = scene(AMOUNT);
    let deaf = person("deaf program");
    net.idle_program(deaf);
    let mut late = net.clone();
    late.warp(invoice.terms.closes_at);
    for (net, mut instruction) in [
        (&net, invoice.settle()),
        (&net, invoice.pay(person("payer"), AMOUNT)),
        (&net, invoice.cancel(invoice.payee())),
        (&late, invoice.refund()),
    ] {
        for meta in instruction.accounts.iter_mut().filter(|meta| meta.pubkey == program_tests::net::escrow()) {
            meta.pubkey = deaf;
        }
        assert!(matches!(net.clone().send(&[instruction]), Err(Refused::Other(_))));
    }
}
