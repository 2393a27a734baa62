//! What each verb costs: the rows of `scripts/bench cu`.

use crate::{
    Invoice, Net,
    ask::{AMOUNT, gate_keys, through_gate},
    mint,
    net::{folder, redemption},
    person,
};
use escrow_interface::terms::{FLAG_PARTIALS, WAIT_SECONDS};
use solana_instruction::Instruction;

/// A figure, and what it is held against.
pub struct Row {
    /// Of what.
    pub what: &'static str,
    /// Measured.
    pub ours: u64,
    /// The best that is known of the nearest peer: solana-program/escrow's own benchmarks (deposit for pay, withdraw for the rest).
    pub peer: Option<u64>,
    /// The most that it may be.
    pub limit: Option<u64>,
    /// CU, bytes or lamports.
    pub unit: &'static str,
}

/// A chain and an invoice with partials, nothing in its vault, the record there if `record`.
pub fn scene(record: bool) -> (Net, Invoice) {
    let mut net = Net::new();
    let invoice = Invoice::with(|terms| terms.flags = FLAG_PARTIALS);
    invoice.set_up(&mut net, 0);
    if record {
        net.send(&[invoice.pay(person("payer"), 1)]).expect("goes through");
    }
    (net, invoice)
}

/// All of them, measured now.
pub fn rows() -> Vec<Row> {
    let units = |net: &mut Net, instruction: Instruction| net.send(&[instruction]).expect("goes through").units;
    let settled = |record| {
        let (mut net, invoice) = scene(record);
        net.fund(invoice.address, invoice.mint(), false, 100);
        units(&mut net, invoice.settle())
    };
    let (mut net, invoice) = scene(true);
    let pay = units(&mut net, invoice.pay(person("payer"), 100));
    net.fund(invoice.address, invoice.mint(), false, 100);
    net.warp(invoice.terms.closes_at);
    let refund = units(&mut net, invoice.refund());

    let (mut net, invoice) = scene(false);
    net.svm.set_account(invoice.vault(), Default::default()).expect("fits");
    let keeper = person("keeper");
    let everybody = [keeper, invoice.record, invoice.vault(), invoice.refund_to(), invoice.payee()];
    let (all, before) = (net.sum(everybody), net.lamports(keeper));
    net.send(&[invoice.open_vault(keeper)]).expect("goes through");
    let held = before - net.lamports(keeper);
    net.fund(invoice.address, invoice.mint(), false, AMOUNT);
    net.send(&[invoice.settle()]).expect("goes through");
    let close_vault = units(&mut net, invoice.close_vault(keeper));
    net.warp(invoice.terms.closes_at + WAIT_SECONDS);
    let close_record = units(&mut net, invoice.close_record(keeper));
    assert_eq!(net.sum(everybody), all, "lamports are conserved to the unit");
    let lost = before - net.lamports(keeper);
    assert_eq!(lost, 0, "rent goes back to who paid it, to the unit");

    let mut net = mint::scene();
    let invoice = mint::invoice(&mut net, |_| ());
    let deposit = mint::deposit(&net, "one", AMOUNT);
    let minted = net.send(&mint::mint_and_pay(&invoice, &deposit)).expect("goes through").units;
    let asked = mint::invoice(&mut net, |terms| terms.payee = redemption().to_bytes());
    net.fund(asked.address, asked.mint(), false, AMOUNT);
    net.send(&[gate_keys(person("admin"), &[keeper], &[]), through_gate(keeper, asked.settle())])
        .expect("goes through");
    let redeemed = units(&mut net, mint::redeem(&asked));

    let cu = |what, ours, peer, limit| Row { what, ours, peer, limit, unit: "CU" };
    let size = std::fs::metadata(folder().join("invoice_escrow.so")).map_or(0, |file| file.len());
    vec![
        cu("settle (creates record)", settled(false), Some(15_342), Some(9_000)),
        cu("settle (record exists)", settled(true), Some(15_342), Some(4_000)),
        cu("closeVault", close_vault, None, Some(2_000)),
        cu("closeRecord", close_record, None, Some(2_000)),
        cu("pay", pay, Some(18_819), None),
        cu("refund", refund, Some(15_342), None),
        cu("mintAndPay (two signatures, creates record)", minted, None, None),
        cu("redeem", redeemed, None, None),
        Row { what: "invoice_escrow.so", ours: size, peer: None, limit: None, unit: "bytes" },
        Row { what: "rent held (vault and record)", ours: held, peer: None, limit: None, unit: "lamports" },
        Row { what: "rent given back", ours: held - lost, peer: Some(held), limit: None, unit: "lamports" },
    ]
}
