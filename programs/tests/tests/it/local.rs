//! The ids of a local network, from their public seeds.

use escrow_interface::{
    Key,
    address::event_authority,
    gate::{CONFIG_SEED, GATE_SEED, of_seed},
    local,
    mint::{MINT_SEED, REDEMPTION_SEED},
};
use program_tests::{derived, sha256};
use solana_keypair::Keypair;
use solana_signer::Signer;

fn id(name: &[u8], counter: u8) -> Key {
    Keypair::new_from_array(sha256(&[name, &[counter]])).pubkey().to_bytes()
}

#[test]
fn local_ids_are_the_first_for_which_every_address_they_sign_for_exists() {
    let escrow = |id: &Key| derived(&event_authority(id)).is_some();
    let seeds = [GATE_SEED.as_slice(), CONFIG_SEED, MINT_SEED, REDEMPTION_SEED];
    let gate = |id: &Key| seeds.iter().all(|seed| derived(&of_seed(seed, id)).is_some());
    let first = |name, fits: &dyn Fn(&Key) -> bool| (0..=255).find(|counter| fits(&id(name, *counter))).unwrap();
    assert_eq!(first(local::ESCROW_NAME, &escrow), local::ESCROW_COUNTER);
    assert_eq!(first(local::GATE_NAME, &gate), local::GATE_COUNTER);
    assert_eq!(id(local::ESCROW_NAME, local::ESCROW_COUNTER), local::ESCROW);
    assert_eq!(id(local::GATE_NAME, local::GATE_COUNTER), local::GATE);
}
