//! The settlement gate.

use escrow_interface::{
    Error,
    gate::{Config, GateError, MOST_KEYS},
};
use program_tests::{
    Invoice, Net, Refused,
    ask::{AMOUNT, gate_init, gate_keys, key, through_gate},
    net::{escrow, gate_config, gate_signer},
    person,
};
use solana_address::Address;

fn scene() -> (Net, Invoice) {
    let mut net = Net::new();
    let invoice = Invoice::with(|terms| terms.settler = key(gate_signer()));
    invoice.set_up(&mut net, AMOUNT);
    let admin = person("admin");
    net.send(&[gate_init(admin, escrow()), gate_keys(admin, &[person("settler")], &[person("canceller")])]).unwrap();
    (net, invoice)
}

fn gate_error(error: GateError) -> Result<program_tests::Done, Refused> {
    Err(Refused::Gate(error))
}

#[test]
fn a_settlers_key_settles_a_cancellers_cancels_and_neither_does_the_other() {
    let (net, invoice) = scene();
    let (settler, canceller) = (person("settler"), person("canceller"));
    let cancel = invoice.cancel(gate_signer());
    for key in [canceller, person("thief"), person("admin"), invoice.payee()] {
        assert_eq!(net.clone().send(&[through_gate(key, invoice.settle())]), gate_error(GateError::NotSettler));
    }
    for key in [settler, person("thief"), person("admin"), invoice.payee()] {
        assert_eq!(net.clone().send(&[through_gate(key, cancel.clone())]), gate_error(GateError::NotCanceller));
    }
    let mut unsigned = through_gate(settler, invoice.settle());
    unsigned.accounts[1].is_signer = false;
    assert_eq!(net.clone().send(&[unsigned]), gate_error(GateError::NotSettler));
    let done = net.clone().send(&[through_gate(settler, invoice.settle())]).unwrap();
    assert_eq!(done.events[0].amount, AMOUNT);
    let done = net.clone().send(&[through_gate(canceller, cancel)]).unwrap();
    assert_eq!(done.events[0].status, 2);
    // Around the gate nobody.
    assert_eq!(net.clone().send(&[invoice.settle_by(settler)]), Err(Error::NotSettler.into()));
}

#[test]
fn the_gate_signs_for_its_own_escrow_and_for_settle_and_cancel_only() {
    let (mut net, invoice) = scene();
    let settler = person("settler");
    let mut elsewhere = through_gate(settler, invoice.settle());
    elsewhere.accounts[2].pubkey = person("other program");
    assert_eq!(net.send(&[elsewhere]), gate_error(GateError::WrongEscrow));
    for inner in
        [invoice.pay_by(gate_signer(), person("payer"), AMOUNT), invoice.refund(), invoice.close_vault(settler)]
    {
        assert_eq!(net.send(&[through_gate(settler, inner)]), gate_error(GateError::InvalidInstruction));
    }
    let mut another = through_gate(settler, invoice.settle());
    another.accounts[4].pubkey = person("thief");
    assert_eq!(net.send(&[another]), gate_error(GateError::WrongGate));
    let mut another = through_gate(settler, invoice.settle());
    another.accounts[0].pubkey = invoice.record;
    assert_eq!(net.send(&[another]), gate_error(GateError::WrongConfig));
    // A stolen settler's key pays payees what they are due, and no more: the escrow says so.
    let mut wrong = through_gate(settler, invoice.settle());
    wrong.accounts[3 + 5].pubkey = net.fund(person("thief"), invoice.mint(), false, 0);
    assert_eq!(net.send(&[wrong]), Err(Error::WrongDestination.into()));
}

#[test]
fn the_config_is_made_once_and_its_keys_are_the_admins_word() {
    let (mut net, _) = scene();
    let admin = person("admin");
    assert_eq!(net.send(&[gate_init(person("payer"), escrow())]), gate_error(GateError::AlreadyInitialized));
    assert_eq!(net.send(&[gate_keys(person("thief"), &[person("thief")], &[])]), gate_error(GateError::NotAdmin));
    let mut unsigned = gate_keys(admin, &[], &[]);
    unsigned.accounts[1].is_signer = false;
    assert_eq!(net.send(&[unsigned]), gate_error(GateError::NotAdmin));

    let one = person("one");
    assert_eq!(net.send(&[gate_keys(admin, &[one], &[one])]), gate_error(GateError::InvalidKey));
    assert_eq!(net.send(&[gate_keys(admin, &[one, one], &[])]), gate_error(GateError::InvalidKey));
    assert_eq!(net.send(&[gate_keys(admin, &[Address::default()], &[])]), gate_error(GateError::InvalidKey));
    let many: Vec<_> = (0..=MOST_KEYS).map(|index| person(&format!("key {index}"))).collect();
    assert_eq!(net.send(&[gate_keys(admin, &many, &[])]), gate_error(GateError::TooManyKeys));
    let most = &many[..MOST_KEYS];
    net.send(&[gate_keys(admin, most, &[one])]).unwrap();
    let data = net.account(gate_config()).unwrap().data;
    assert_eq!(data.len(), size_of::<Config>());
    assert_eq!(data[9..11], [8, 1]);
    assert_eq!(data[16..48], key(admin));
    assert_eq!(data[48..80], key(escrow()));
    assert_eq!(data[80 + 7 * 32..80 + 8 * 32], key(most[7]));
    assert_eq!(data[336..368], key(one));
    // What is not named any more is gone.
    net.send(&[gate_keys(admin, &[], &[])]).unwrap();
    assert!(net.account(gate_config()).unwrap().data[80..].iter().all(|byte| *byte == 0));
}

#[test]
fn odd_data_and_short_lists_are_refused() {
    let (net, invoice) = scene();
    let good = through_gate(person("settler"), invoice.settle());
    for count in 0..good.accounts.len() {
        let mut short = good.clone();
        short.accounts.truncate(count);
        assert!(net.clone().send(&[short]).is_err(), "{count} accounts");
    }
    for tag in (1..=255).filter(|tag| *tag != 2) {
        let mut odd = good.clone();
        odd.data[0] = tag;
        assert!(net.clone().send(&[odd]).is_err(), "tag {tag}");
    }
    for length in 0..good.data.len() {
        let mut short = good.clone();
        short.data.truncate(length);
        assert!(net.clone().send(&[short]).is_err(), "{length} bytes");
    }
    for length in [1, 2, 33, 34] {
        let mut odd = gate_keys(person("admin"), &[person("one")], &[]);
        odd.data.truncate(length);
        assert_eq!(net.clone().send(&[odd]), gate_error(GateError::InvalidInstruction));
    }
}

#[test]
fn lamports_sent_to_the_config_before_do_not_block_it() {
    let mut net = Net::new();
    net.give(person("admin"), 1_000_000_000);
    net.give(gate_config(), 1);
    net.send(&[gate_init(person("admin"), escrow())]).unwrap();
}
