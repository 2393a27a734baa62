//! `chain:S1` to `chain:S10` of the research notes, and the properties that hold for whatever is done in whatever order.

use escrow_interface::{Error, Recorded, Status, event::Kind, terms::WAIT_SECONDS};
use program_tests::{
    Done, Invoice, Net, Refused,
    ask::{AMOUNT, flags, key},
    net::{START, escrow, system},
    person, tokens,
};
use proptest::prelude::*;
use solana_address::Address;
use solana_instruction::{AccountMeta, Instruction};

fn scene(amount: u64) -> (Net, Invoice) {
    let mut net = Net::new();
    let invoice = Invoice::with(|_| ());
    invoice.set_up(&mut net, amount);
    (net, invoice)
}

#[test]
fn s1_the_vault_is_the_canonical_associated_account_of_the_invoice() {
    let (mut net, invoice) = scene(AMOUNT);
    // Another account that the invoice's address owns, with the money.
    let aside = person("aside");
    net.put(aside, tokens::program(false), tokens::account_data(invoice.mint(), invoice.address, AMOUNT));
    let mut wrong = invoice.settle();
    wrong.accounts[escrow_interface::instruction::settle::VAULT].pubkey = aside;
    assert_eq!(net.send(&[wrong]), Err(Error::WrongVault.into()));
    // But from there it goes back.
    net.warp(invoice.terms.closes_at);
    net.send(&[invoice.refund_of(invoice.mint(), false, aside)]).unwrap();
}

#[test]
fn s1_nobody_who_signs_takes_the_place_of_the_invoice() {
    // The payer's signature and his own account would pay, or be closed, in the invoice's name.
    let (mut net, invoice) = scene(0);
    let payer = person("payer");
    let (his, bump) = invoice.associated(payer);
    let mut settle = invoice.settle();
    settle.accounts[2] = AccountMeta::new_readonly(payer, true);
    settle.accounts[4].pubkey = his;
    let at = settle.data.len() - 2;
    settle.data[at] = bump;
    assert_eq!(net.send(&[settle]), Err(Error::WrongInvoiceAddress.into()));

    net.warp(invoice.terms.closes_at);
    net.put(his, tokens::program(false), tokens::account_data(invoice.mint(), payer, 0));
    let mut close = invoice.close_vault(person("keeper"));
    close.accounts[0] = AccountMeta::new_readonly(payer, true);
    close.accounts[2].pubkey = his;
    *close.data.last_mut().unwrap() = bump;
    assert_eq!(net.send(&[close]), Err(Error::WrongInvoiceAddress.into()));
}

#[test]
fn s2_a_record_is_told_by_owner_length_discriminator_version_and_hash() {
    let (mut net, invoice) = scene(AMOUNT);
    net.send(&[invoice.pay(person("payer"), AMOUNT)]).unwrap();
    net.warp(invoice.terms.closes_at);
    let record = net.account(invoice.record).unwrap();
    for place in [0, 8, 16, 47] {
        let mut wrong = record.clone();
        wrong.data[place] ^= 1;
        net.svm.set_account(invoice.record, wrong).unwrap();
        assert_eq!(net.send(&[invoice.refund()]), Err(Error::WrongRecord.into()), "byte {place}");
    }
    for length in [0, 151, 153] {
        let mut wrong = record.clone();
        wrong.data.resize(length, 0);
        net.svm.set_account(invoice.record, wrong).unwrap();
        assert_eq!(net.send(&[invoice.refund()]), Err(Error::WrongRecord.into()), "length {length}");
    }
}

#[test]
fn s3_stray_lamports_and_accounts_made_before_block_nothing() {
    for stray in [1, 890_880, 100_000_000] {
        let (mut net, invoice) = scene(AMOUNT);
        net.give(invoice.record, stray);
        net.give(invoice.address, stray);
        let keeper = person("keeper");
        let before = net.lamports(keeper);
        net.send(&[invoice.settle()]).unwrap();
        let record = invoice.record(&net).unwrap();
        assert_eq!(before - net.lamports(keeper), record.rent_lamports);
        assert_eq!(net.lamports(invoice.record), stray + record.rent_lamports);
        // And the vault was there already, made by somebody else.
        net.send(&[invoice.open_vault(keeper)]).unwrap();
        assert_eq!(invoice.record(&net).unwrap().vault_lamports, 0);
    }
}

#[test]
fn s4_closing_gives_back_all_lamports_and_leaves_nothing() {
    let (mut net, invoice) = scene(0);
    net.svm.set_account(invoice.vault(), Default::default()).unwrap();
    let keeper = person("keeper");
    let all = [keeper, invoice.record, invoice.vault(), invoice.refund_to()];
    let (before, sum) = (net.lamports(keeper), net.sum(all));
    net.send(&[invoice.open_vault(keeper)]).unwrap();
    net.warp(invoice.terms.closes_at + WAIT_SECONDS);
    let done = net.send(&[invoice.close_vault(keeper), invoice.close_record(keeper)]).unwrap();
    assert_eq!(done.events.last().unwrap().kind, Kind::RecordClosed as u8);
    assert_eq!((net.lamports(keeper), net.sum(all)), (before, sum));
    for closed in [invoice.record, invoice.vault()] {
        let left = net.svm.get_account(&closed).unwrap_or_default();
        assert_eq!((left.lamports, left.data.len(), left.owner), (0, 0, system()));
    }
}

#[test]
fn s5_a_record_is_never_made_again_nor_closed_too_early() {
    let (mut net, invoice) = scene(2 * AMOUNT);
    let keeper = person("keeper");
    net.send(&[invoice.settle()]).unwrap();
    let close = invoice.terms.closes_at + WAIT_SECONDS;
    for now in [START, invoice.terms.closes_at, close - 1] {
        net.warp(now);
        assert_eq!(net.send(&[invoice.close_record(keeper)]), Err(Error::RecordInUse.into()));
    }
    // A second record would be a second payment: at another address, or at this one after it was closed.
    let mut second = invoice.settle();
    let aside = person("second record");
    net.warp(START);
    net.put(aside, escrow(), vec![0; 152]);
    second.accounts[escrow_interface::instruction::settle::RECORD].pubkey = aside;
    assert_eq!(net.send(&[second.clone()]), Err(Error::WrongRecord.into()));
    net.svm.set_account(aside, Default::default()).unwrap();
    assert_eq!(net.send(&[second]), Err(Error::WrongRecord.into()));

    net.warp(close);
    let again = [invoice.settle(), invoice.cancel(invoice.payee()), invoice.open_vault(keeper)];
    for again in again.into_iter().chain([invoice.pay(person("payer"), AMOUNT)]) {
        // In the same transaction and after it.
        let mut net = net.clone();
        assert_eq!(net.send(&[invoice.close_record(keeper), again.clone()]), Err(Error::Closed.into()));
        net.send(&[invoice.close_record(keeper)]).unwrap();
        assert_eq!(net.send(&[again]), Err(Error::Closed.into()));
        assert!(invoice.record(&net).is_none());
    }
}

#[test]
fn s6_late_money_goes_back_without_any_state() {
    let (mut net, invoice) = scene(AMOUNT);
    net.send(&[invoice.settle()]).unwrap();
    net.warp(invoice.terms.closes_at + WAIT_SECONDS);
    net.send(&[invoice.close_record(person("keeper"))]).unwrap();
    net.warp(invoice.terms.closes_at + 400 * 86_400);
    net.fund(invoice.address, invoice.mint(), false, 33);
    let done = net.send(&[invoice.refund()]).unwrap();
    assert_eq!((done.events[0].amount, done.events[0].to), (33, invoice.terms.refund_to));
}

#[test]
fn s7_extensions_that_are_not_on_the_list_are_refused_but_never_in_a_refund() {
    // Type, bytes, on the list; of the mint and of the account.
    let extensions = [(1, 108, false), (3, 32, false), (6, 1, false), (9, 0, false), (10, 52, false), (12, 32, false)];
    let allowed = [(18, 64, true), (19, 80, true), (20, 64, true), (22, 64, true)];
    for (extension, bytes, allowed) in extensions.into_iter().chain(allowed) {
        let mut net = Net::new();
        let invoice = Invoice::with(|terms| terms.flags = flags(false, true));
        let mint = tokens::mint_data(person("minter"), person("freezer"));
        let mint = tokens::extended(mint, 1, &[(extension, vec![0; bytes])]);
        net.put(invoice.mint(), tokens::program(true), mint);
        invoice.set_up(&mut net, AMOUNT);
        let result = net.clone().send(&[invoice.settle()]).map(|_| ());
        let paid = net.clone().send(&[invoice.pay(person("payer"), AMOUNT)]).map(|_| ());
        if allowed {
            assert_eq!((result, paid), (Ok(()), Ok(())), "extension {extension}");
        } else {
            let refused = || Err(Error::ExtensionRefused.into());
            assert_eq!((result, paid), (refused(), refused()), "extension {extension}");
        }
        net.warp(invoice.terms.closes_at);
        let refund = net.send(&[invoice.refund()]).map(|_| ());
        // What the escrow lets through the token program may still refuse: its own rules for an account without its part.
        assert!(!matches!(refund, Err(Refused::Escrow(_))), "extension {extension}: {refund:?}");
    }
}

#[test]
fn s8_further_accounts_of_a_refund_are_passed_on_without_a_signature() {
    let (mut net, invoice) = scene(AMOUNT);
    net.warp(invoice.terms.closes_at);
    let mut refund = invoice.refund();
    for index in 0..20 {
        refund.accounts.push(AccountMeta::new(person(&format!("further {index}")), true));
    }
    let mut too_many = refund.clone();
    too_many.accounts.extend((0..33).map(|index| AccountMeta::new(person(&format!("more {index}")), false)));
    assert_eq!(net.clone().send(&[too_many]), Err(Error::InvalidInstruction.into()));
    let done = net.clone().send(&[refund.clone()]).unwrap();
    assert_eq!(done.events[0].amount, AMOUNT);

    // A multisig in the place of the owner makes the token program look for signatures among them. (It cannot be there, but
    // only so can be seen what was passed on.)
    let one = [&[1, 1, 1], person("further 3").as_ref(), &[0; 320]].concat();
    net.put(invoice.address, tokens::program(false), one);
    let refused = net.send(&[refund]).unwrap_err();
    assert!(format!("{refused:?}").contains("MissingRequiredSignature"), "{refused:?}");
}

#[test]
fn s8_a_user_who_signs_is_debited_in_pay_only_and_never_more_than_he_said() {
    let (mut net, invoice) = scene(AMOUNT);
    let payer = person("payer");
    let before = net.balance(invoice.associated(payer).0);
    net.send(&[invoice.settle_by(payer)]).unwrap();
    assert_eq!(net.balance(invoice.associated(payer).0), before);
}

#[test]
fn s9_the_fee_payer_pays_fees_and_nothing_else() {
    let (mut net, invoice) = scene(AMOUNT);
    let before = net.lamports(net.fee_payer);
    let mut fees = 0;
    fees += net.send(&[invoice.pay(person("payer"), AMOUNT)]).unwrap().fee;
    net.warp(invoice.terms.closes_at + WAIT_SECONDS);
    for instruction in [invoice.refund(), invoice.close_vault(person("keeper")), invoice.close_record(person("keeper"))]
    {
        fees += net.send(&[instruction]).unwrap().fee;
    }
    assert_eq!(before - net.lamports(net.fee_payer), fees);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases(200)) })]

    /// No panic, no stack or memory fault, whatever the data and whichever accounts: `Net::send` looks at the log.
    #[test]
    #[test]
    fn s10_handlers_are_total(
        tag in 0u8..10,
        data in proptest::collection::vec(any::<u8>(), 0..260),
        exact in any::<bool>(),
        places in proptest::collection::vec(0usize..20, 0..16),
    ) {
        let (mut net, invoice) = scene(AMOUNT);
        let known = invoice.everybody();
        let accounts = places.iter().map(|place| match known.get(*place) {
            Some(address) => AccountMeta::new(*address, false),
            None => AccountMeta::new_readonly(escrow(), false),
        });
        let mut data = [&[tag], data.as_slice()].concat();
        if let (true, Some(tag)) = (exact, escrow_interface::instruction::Tag::from_u8(tag)) {
            data.resize(tag.data_bytes(), 7);
        }
        let instruction = Instruction { program_id: escrow(), accounts: accounts.collect(), data };
        prop_assert!(net.send(&[instruction]).is_err());
    }

    /// A token's bytes are a stranger's: whatever they are, nothing panics and no money moves that is not there.
    #[test]
    #[test]
    fn s10_odd_bytes_of_mints_and_accounts_are_survived(
        tail in proptest::collection::vec(any::<u8>(), 0..300),
        kind in 0u8..3,
        of_mint in any::<bool>(),
    ) {
        let mut net = Net::new();
        let invoice = Invoice::with(|terms| terms.flags = flags(true, true));
        invoice.set_up(&mut net, AMOUNT);
        let odd = if of_mint { invoice.mint() } else { invoice.vault() };
        let mut data = net.account(odd).unwrap().data;
        data.resize(165, 0);
        data.push(kind);
        data.extend_from_slice(&tail);
        net.put(odd, tokens::program(true), data);
        let settled = net.send(&[invoice.settle()]);
        net.warp(invoice.terms.closes_at);
        let refunded = net.send(&[invoice.refund()]);
        let moved = |result: &Result<Done, Refused>| result.as_ref().map_or(0, |done| done.events[0].amount);
        prop_assert!(moved(&settled) + moved(&refunded) <= AMOUNT);
    }
}

fn cases(short: u32) -> u32 {
    if std::env::var_os("MONAY_LONG").is_some() { 20 * short } else { short }
}

/// What a trace may do.
#[derive(Clone, Debug)]
enum Move {
    Deposit(u64),
    Settle,
    Pay(u64),
    Cancel(bool),
    Refund,
    ByKey,
    Native(u64),
    OpenVault(bool),
    CloseVault,
    CloseRecord,
    Stray(u64),
    Freeze(bool),
    At(i64),
    After(i64),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let amount = prop_oneof![1..=3u64, Just(AMOUNT / 2), Just(AMOUNT - 1), Just(AMOUNT), Just(AMOUNT + 1)];
    let one = prop_oneof![
        4 => amount.clone().prop_map(Move::Deposit),
        4 => Just(Move::Settle),
        2 => amount.prop_map(Move::Pay),
        1 => any::<bool>().prop_map(Move::Cancel),
        2 => Just(Move::Refund),
        1 => Just(Move::ByKey),
        1 => (0..3_000_000u64).prop_map(Move::Native),
        2 => any::<bool>().prop_map(Move::OpenVault),
        2 => Just(Move::CloseVault),
        2 => Just(Move::CloseRecord),
        1 => (1..3_000_000u64).prop_map(Move::Stray),
        1 => any::<bool>().prop_map(Move::Freeze),
        1 => (-1i64..=1).prop_map(Move::At),
        1 => prop_oneof![Just(1i64), Just(86_400), Just(WAIT_SECONDS)].prop_map(Move::After),
    ];
    proptest::collection::vec(one, 1..30)
}

/// What has happened to one invoice, from its events alone.
#[derive(Default)]
struct Ledger {
    paid: u64,
    since: i64,
    status: u8,
    to_payee: u64,
    back: u64,
}

impl Ledger {
    fn take(&mut self, event: &Recorded) {
        if event.kind == Kind::RecordClosed as u8 {
            return *self = Self { to_payee: self.to_payee, back: self.back, ..Self::default() };
        }
        (self.paid, self.since, self.status) = (event.paid, event.since, event.status);
        match event.kind {
            1 | 2 => self.to_payee += event.amount,
            4 | 5 if event.token != escrow_interface::NONE => self.back += event.amount,
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases(120)) })]

    /// Conservation of tokens and lamports, the limit, expiry's exclusivity, rent to the lamport, one terminal state, and
    /// events that fold to the record: after every step of any trace.
    #[test]
    #[test]
    fn whatever_is_done_in_whatever_order_every_unit_and_every_lamport_is_accounted_for(
        steps in moves(),
        partials in any::<bool>(),
        token_2022 in any::<bool>(),
        with_key in any::<bool>(),
        bound in any::<bool>(),
    ) {
        let (settler, payer, refund_key) = (person("settler"), person("payer"), person("refund key"));
        let (keeper, rival) = (person("keeper"), person("rival"));
        let invoice = Invoice::with(|terms| {
            terms.flags = flags(partials, token_2022);
            if bound { terms.settler = key(settler); }
            if with_key { terms.refund_key = key(refund_key); }
        });
        let mut net = Net::new();
        invoice.set_up(&mut net, 0);
        net.give(rival, 1_000_000_000);
        net.svm.set_account(invoice.vault(), Default::default()).unwrap();
        let held = [invoice.payee(), invoice.refund_to(), payer, invoice.address].map(|owner| invoice.associated(owner).0);
        let lamports: Vec<Address> = [keeper, rival, invoice.record, invoice.vault(), invoice.address, invoice.refund_to(),
            invoice.payee(), settler, refund_key].into_iter().chain(held).collect();
        let mut ledger = Ledger::default();
        let mut deposits = 0u64;
        let mut tokens_there: u64 = held.iter().map(|account| net.balance(*account)).sum();
        let mut lamports_there = net.sum(lamports.iter().copied());
        let strangers = net.sum([rival, keeper]);

        for step in steps {
            let now = net.now();
            let instruction = match step {
                Move::Deposit(amount) => {
                    // Somebody pays, and makes the vault where there is none.
                    let before = net.sum(lamports.iter().copied());
                    net.fund(invoice.address, invoice.mint(), token_2022, amount);
                    lamports_there += net.sum(lamports.iter().copied()) - before;
                    deposits += amount;
                    tokens_there += amount;
                    continue;
                }
                Move::Stray(amount) | Move::Native(amount) => {
                    let to = if matches!(step, Move::Stray(_)) { invoice.record } else { invoice.address };
                    if matches!(step, Move::Native(_)) && amount % 2 == 0 {
                        invoice.refund_native()
                    } else {
                        net.give(to, amount);
                        lamports_there += amount;
                        continue;
                    }
                }
                Move::Freeze(frozen) => { net.freeze(invoice.vault(), frozen); continue; }
                Move::At(around) => { net.warp(now.max(invoice.terms.closes_at + around)); continue; }
                Move::After(seconds) => { net.warp(now + seconds); continue; }
                Move::Settle => invoice.settle(),
                Move::Pay(amount) => invoice.pay(payer, amount),
                Move::Cancel(by_payee) => invoice.cancel(if by_payee { invoice.payee() } else { settler }),
                Move::Refund => invoice.refund(),
                Move::ByKey => invoice.refund_by_key(refund_key, invoice.associated(invoice.refund_to()).0),
                Move::OpenVault(first) => invoice.open_vault(if first { keeper } else { rival }),
                Move::CloseVault => {
                    let to = invoice.record(&net).map_or(keeper, |record| record.vault_payer.into());
                    invoice.close_vault(if to == system() { keeper } else { to })
                }
                Move::CloseRecord => {
                    invoice.close_record(invoice.record(&net).map_or(keeper, |record| record.rent_payer.into()))
                }
            };
            let status = ledger.status;
            let result = net.send(&[instruction]);
            if let Ok(done) = &result {
                for event in &done.events {
                    // Before closesAt it settles, from then on it goes back; what has ended stays ended.
                    match event.kind {
                        1..=3 => prop_assert!(now < invoice.terms.closes_at && status == Status::Open as u8),
                        4 | 5 if event.token == invoice.terms.token => {
                            prop_assert!(now >= invoice.terms.closes_at || status != Status::Open as u8);
                        }
                        _ => {}
                    }
                    ledger.take(event);
                }
            }
            prop_assert_eq!(held.iter().map(|account| net.balance(*account)).sum::<u64>(), tokens_there);
            prop_assert_eq!(net.sum(lamports.iter().copied()), lamports_there);
            prop_assert!(ledger.to_payee <= invoice.terms.amount);
            prop_assert_eq!(net.balance(held[0]), ledger.to_payee);
            prop_assert_eq!(net.balance(held[1]), ledger.back);
            let record = invoice.record(&net);
            let state = record.map_or((0, 0, 0), |record| (record.paid, record.since, record.status));
            prop_assert_eq!(state, (ledger.paid, ledger.since, ledger.status));
            // What keeper and rival are out of is exactly what the record says they paid.
            let rents = record.map_or(0, |record| record.rent_lamports + record.vault_lamports);
            let back = net.sum([rival, keeper]);
            prop_assert!(back + rents >= strangers);
        }
        prop_assert!(ledger.back <= deposits);
        prop_assert_eq!(deposits, net.balance(invoice.vault()) + ledger.back + net_settled(&net, &invoice, payer));
    }
}

/// What the payee had from the vault: all he has, less what the payer paid him directly.
fn net_settled(net: &Net, invoice: &Invoice, payer: Address) -> u64 {
    net.balance(invoice.associated(invoice.payee()).0) - (10 * AMOUNT - net.balance(invoice.associated(payer).0))
}
