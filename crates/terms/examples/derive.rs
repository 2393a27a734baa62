//! How many invoices' addresses one core derives in a second: on Base alone, and on Base and Solana.
//!
//! `cargo run -q -p monay-terms --example derive` prints one JSON object. One thread; each invoice is fresh: its 32
//! random bytes come from the operating system (`getrandom`, one call each time they are drawn, as when an invoice is made), the
//! terms are built, hashed, and turned into the address. With Solana the id is drawn until its addresses exist there, the vault
//! is found, and then come the terms on Base. The median of five rounds.

#![allow(clippy::float_arithmetic)] // A rate, not money.

use std::{hint::black_box, time::Instant};
use terms::{Address, B256, Deployment, InvoiceTerms, Pubkey, SolanaTerms, solana::DrawError};

const ROUNDS: usize = 5;

/// One row: what, invoices in a round, what `scripts/bench` must show at least.
struct Row {
    what: &'static str,
    invoices: u32,
    limit: f64,
    derive: fn(&Deployments) -> Result<(), Error>,
}

const ROWS: [Row; 2] = [
    Row { what: "addresses per second per core", invoices: 200_000, limit: 20_000.0, derive: base },
    Row {
        what: "Base + Solana addresses per second per core",
        invoices: 20_000,
        limit: 5_000.0,
        derive: base_and_solana,
    },
];

type Error = DrawError<getrandom::Error>;

struct Deployments {
    base: Deployment,
    solana: Pubkey,
}

fn random() -> Result<B256, getrandom::Error> {
    let mut bytes = B256::ZERO;
    getrandom::fill(bytes.as_mut_slice())?;
    Ok(bytes)
}

fn terms_on_base(invoice_id: B256) -> InvoiceTerms {
    InvoiceTerms {
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
    }
}

fn base(deployments: &Deployments) -> Result<(), Error> {
    let terms = terms_on_base(random().map_err(DrawError::Random)?);
    black_box(terms.deposit_address(black_box(&deployments.base)));
    Ok(())
}

fn base_and_solana(deployments: &Deployments) -> Result<(), Error> {
    let key = |byte| Pubkey::new_from_array([byte; 32]);
    let mut terms = SolanaTerms {
        version: terms::VERSION,
        chain: escrow_interface::CHAIN,
        invoice_id: B256::ZERO,
        payee: key(0x11),
        token: key(0x22),
        amount: 150_000_000,
        closes_at: 1_798_761_600,
        refund_to: key(0x33),
        refund_key: key(0x44),
        settler: key(0x55),
        flags: 0,
    };
    let addresses = terms.draw(black_box(&deployments.solana), random)?;
    black_box((addresses, terms.vault(&addresses.invoice)));
    black_box(terms_on_base(terms.invoice_id).deposit_address(black_box(&deployments.base)));
    Ok(())
}

/// Invoices per second over one round.
fn round(row: &Row, deployments: &Deployments) -> Result<f64, Error> {
    let start = Instant::now();
    for _ in 0..row.invoices {
        (row.derive)(deployments)?;
    }
    Ok(f64::from(row.invoices) / start.elapsed().as_secs_f64())
}

fn main() -> Result<(), Error> {
    let base = Deployment::version_1(Address::repeat_byte(0xfa));
    let deployments = Deployments { base, solana: Pubkey::new_from_array([0xfa; 32]) };
    let mut rows = Vec::with_capacity(ROWS.len());
    for row in &ROWS {
        let mut rates = (0..ROUNDS).map(|_| round(row, &deployments)).collect::<Result<Vec<f64>, Error>>()?;
        rates.sort_by(f64::total_cmp);
        let ours = rates[ROUNDS / 2].round();
        let Row { what, limit, .. } = row;
        let ratio = ours / limit;
        rows.push(format!(
            r#"{{"what":"{what}","ours":{ours},"peer":null,"limit":{limit},"unit":"invoices/s","ratio":{ratio:.2}}}"#
        ));
    }
    println!(r#"{{"name":"derive","command":"scripts/bench derive","rows":[{}]}}"#, rows.join(","));
    Ok(())
}
