//! The program as Anchor's Rust client sees it: what `declare_program!` makes of the committed IDL (`idls` is a link to where
//! it lies), and a network to call it on. `scripts/programs check --long` runs the tests.

use anchor_client::anchor_lang;

pub mod net;
pub mod tokens;

anchor_lang::declare_program!(invoice_escrow);
