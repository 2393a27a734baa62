//! What is committed of the random traces that every chain is told.

use model::testing::{SHARED, Story, fingerprints};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/vectors/traces.txt");

/// Whatever draws them elsewhere, with other crates' lock files, draws the same.
#[test]
fn vectors_are_the_shared_random_traces() {
    let stories: Vec<_> = SHARED.map(|seed| Story::of_seed(seed).unwrap()).collect();
    let drawn = fingerprints(&stories);
    if std::env::var_os("MONAY_WRITE_VECTORS").is_some() {
        std::fs::write(FILE, &drawn).unwrap();
    }
    assert!(
        std::fs::read_to_string(FILE).unwrap_or_default() == drawn,
        "{FILE} does not have the traces that are drawn: if that is meant, rewrite it with \
         `MONAY_WRITE_VECTORS=1 cargo test -p monay-model vectors`.",
    );
}
