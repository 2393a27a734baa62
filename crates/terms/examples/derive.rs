//! How many invoices' deposit addresses one core derives in a second.
//!
//! `cargo run -q -p monay-terms --example derive` prints one JSON object. One thread; each invoice is fresh: its 32
//! random bytes come from the operating system (`getrandom`, one call per invoice, as when an invoice is made), the
//! terms are built, hashed, and turned into the address. The median of five rounds.

#![allow(clippy::float_arithmetic)] // A rate, not money.

use std::{hint::black_box, time::Instant};
use terms::{Address, B256, Deployment, InvoiceTerms};

const INVOICES: u32 = 200_000;
const ROUNDS: usize = 5;
/// What `scripts/bench` must show.
const LIMIT: f64 = 20_000.0;

fn fresh_terms() -> Result<InvoiceTerms, getrandom::Error> {
    let mut invoice_id = B256::ZERO;
    getrandom::fill(invoice_id.as_mut_slice())?;
    Ok(InvoiceTerms {
        version: terms::VERSION,
        chain: 8453,
        invoice_id,
        payee: Address::repeat_byte(0x11),
        token: Address::repeat_byte(0x22),
        amount: 150_000_000,
        closes_at: 1_798_761_600,
        refund_to: Address::repeat_byte(0x33),
        refund_key: Address::repeat_byte(0x44),
        settler: Address::repeat_byte(0x55),
        flags: 0,
    })
}

/// Invoices per second over one round.
fn round(deployment: &Deployment) -> Result<f64, getrandom::Error> {
    let start = Instant::now();
    for _ in 0..INVOICES {
        black_box(fresh_terms()?.deposit_address(black_box(deployment)));
    }
    Ok(f64::from(INVOICES) / start.elapsed().as_secs_f64())
}

fn main() -> Result<(), getrandom::Error> {
    let deployment = Deployment::version_1(Address::repeat_byte(0xfa));
    let mut rates = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        rates.push(round(&deployment)?);
    }
    rates.sort_by(f64::total_cmp);
    let ours = rates[ROUNDS / 2].round();
    let ratio = ours / LIMIT;
    println!(
        r#"{{"name":"derive","command":"scripts/bench derive","rows":[{{"what":"addresses per second per core","ours":{ours},"peer":null,"limit":{LIMIT},"unit":"invoices/s","ratio":{ratio:.2}}}]}}"#
    );
    Ok(())
}
