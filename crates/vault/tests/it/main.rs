//! What the vault promises: it opens what it sealed, for the wallet it sealed it for, and shows nobody a key.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use alloy_primitives::{Signature, U256, keccak256};
use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use vault::{Error, RootKey, Vault, address_of};

const WALLET: &str = "wallet_0001";

/// A directory that is gone after the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("monay-vault-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn what_was_sealed_opens_and_is_the_key_of_the_address() {
    let folder = Folder::new("round");
    let vault = Vault::new(&RootKey::create(&folder.file("root.key")).unwrap());
    let sealed = vault.seal_new(WALLET).unwrap();
    let key = vault.open(WALLET, &sealed.nonce, &sealed.ciphertext).unwrap();
    assert_eq!(address_of(&key), sealed.address);
    assert_eq!(sealed.ciphertext.len(), 48);

    let again = Vault::new(&RootKey::load(&folder.file("root.key")).unwrap());
    assert_eq!(again.open(WALLET, &sealed.nonce, &sealed.ciphertext).unwrap(), key, "after a restart");
}

#[test]
fn the_address_is_the_one_ethereum_gives_the_key() {
    // The first account of the mnemonic every development node has.
    let secret = alloy_primitives::hex!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");
    let key = vault::SigningKey::from_slice(&secret).unwrap();
    assert_eq!(address_of(&key).to_string(), "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
}

#[test]
fn every_key_and_every_nonce_is_new() {
    let folder = Folder::new("new");
    let vault = Vault::new(&RootKey::create(&folder.file("root.key")).unwrap());
    let (one, two) = (vault.seal_new(WALLET).unwrap(), vault.seal_new(WALLET).unwrap());
    assert_ne!(one.address, two.address);
    assert_ne!(one.nonce, two.nonce);
    assert_ne!(one.ciphertext, two.ciphertext);
}

#[test]
fn nothing_else_opens_it() {
    let folder = Folder::new("else");
    let vault = Vault::new(&RootKey::create(&folder.file("root.key")).unwrap());
    let other_root = Vault::new(&RootKey::create(&folder.file("other.key")).unwrap());
    let sealed = vault.seal_new(WALLET).unwrap();
    let refused = |vault: &Vault, wallet: &str, nonce: &[u8], ciphertext: &[u8]| {
        assert!(matches!(vault.open(wallet, nonce, ciphertext), Err(Error::Open)));
    };

    refused(&other_root, WALLET, &sealed.nonce, &sealed.ciphertext);
    for wallet in ["wallet_0002", "wallet_000", "wallet_00011", ""] {
        refused(&vault, wallet, &sealed.nonce, &sealed.ciphertext);
    }
    for bit in 0..sealed.ciphertext.len() * 8 {
        let mut flipped = sealed.ciphertext.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        refused(&vault, WALLET, &sealed.nonce, &flipped);
    }
    for bit in 0..sealed.nonce.len() * 8 {
        let mut flipped = sealed.nonce;
        flipped[bit / 8] ^= 1 << (bit % 8);
        refused(&vault, WALLET, &flipped, &sealed.ciphertext);
    }
    for length in 0..sealed.ciphertext.len() {
        refused(&vault, WALLET, &sealed.nonce, &sealed.ciphertext[..length]);
    }
    refused(&vault, WALLET, &sealed.nonce, &[sealed.ciphertext.as_slice(), &[0]].concat());
    for length in [0, 11, 13] {
        refused(&vault, WALLET, &[0; 16][..length], &sealed.ciphertext);
    }
}

#[test]
fn debug_shows_no_key() {
    let folder = Folder::new("debug");
    let root = RootKey::create(&folder.file("root.key")).unwrap();
    let digits = fs::read_to_string(folder.file("root.key")).unwrap();
    let vault = Vault::new(&root);
    let sealed = vault.seal_new(WALLET).unwrap();
    let key = vault.open(WALLET, &sealed.nonce, &sealed.ciphertext).unwrap();

    let shown = format!("{root:?} {vault:?} {sealed:?} {key:?} {root:#?} {vault:#?} {sealed:#?} {key:#?}");
    let secrets = [alloy_primitives::hex::decode(digits.trim()).unwrap(), key.to_bytes().to_vec()];
    for secret in &secrets {
        let hex = alloy_primitives::hex::encode(secret);
        let list = format!("{secret:?}");
        let pretty = format!("{secret:#?}");
        for text in [hex.as_str(), list.trim_matches(['[', ']']), pretty.trim_matches(['[', ']'])] {
            assert!(!shown.to_lowercase().contains(text), "Debug shows a key");
        }
        // No run of four bytes of it either.
        for run in secret.windows(4) {
            assert!(!shown.contains(&alloy_primitives::hex::encode(run)));
            assert!(!shown.contains(format!("{run:?}").trim_matches(['[', ']'])));
        }
    }
    assert_eq!(format!("{root:?}"), "RootKey(..)");
    assert_eq!(format!("{vault:?}"), "Vault { .. }");
}

#[test]
fn the_file_is_its_owners_alone() {
    let folder = Folder::new("mode");
    let path = folder.file("root.key");
    RootKey::create(&path).unwrap();
    assert_eq!(mode(&path), 0o600);
    for bad in [0o640, 0o604, 0o660, 0o644, 0o610, 0o602, 0o777] {
        fs::set_permissions(&path, Permissions::from_mode(bad)).unwrap();
        let error = RootKey::load(&path).unwrap_err();
        assert!(matches!(error, Error::Exposed { mode, .. } if mode == bad), "{bad:o}: {error}");
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }
    for good in [0o600, 0o400] {
        fs::set_permissions(&path, Permissions::from_mode(good)).unwrap();
        RootKey::load(&path).unwrap();
    }
}

#[test]
fn a_root_key_is_never_overwritten() {
    let folder = Folder::new("twice");
    let path = folder.file("root.key");
    RootKey::create(&path).unwrap();
    let before = fs::read(&path).unwrap();
    assert!(matches!(RootKey::create(&path), Err(Error::Exists(_))));
    assert_eq!(fs::read(&path).unwrap(), before);
    // Not through a link either.
    std::os::unix::fs::symlink(folder.file("nowhere"), folder.file("link")).unwrap();
    assert!(matches!(RootKey::create(&folder.file("link")), Err(Error::Exists(_))));
    assert!(!folder.file("nowhere").exists());
}

#[test]
fn a_file_that_is_no_root_key_is_refused_in_words_without_its_content() {
    let folder = Folder::new("bad");
    let digits = "ab".repeat(32);
    for (name, content) in [
        ("empty", String::new()),
        ("short", digits[..62].to_owned()),
        ("odd", digits[..63].to_owned()),
        ("long", format!("{digits}00")),
        ("words", "zz".repeat(32)),
        ("two lines", format!("{digits}\n{digits}\n")),
        ("prefix", format!("0x{}", &digits[..62])),
        ("space", format!(" {}", &digits[..63])),
    ] {
        let path = folder.file(name);
        fs::write(&path, &content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let error = RootKey::load(&path).unwrap_err();
        assert!(matches!(error, Error::Malformed(_)), "{name}: {error}");
        assert!(content.is_empty() || !error.to_string().contains(&content), "{name}");
    }
    assert!(matches!(RootKey::load(&folder.0), Err(Error::Malformed(_))), "a folder");
    assert!(matches!(RootKey::load(&folder.file("none")), Err(Error::File { action: "cannot read", .. })));
    assert!(matches!(RootKey::create(&folder.file("none/root.key")), Err(Error::File { action: "cannot write", .. })));
    for end in ["", "\n", "\r\n"] {
        let path = folder.file("good");
        let _ = fs::remove_file(&path);
        fs::write(&path, format!("{digits}{end}")).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        RootKey::load(&path).unwrap();
    }
}

#[test]
fn a_signature_is_what_a_contract_recovers_the_address_from() {
    let folder = Folder::new("sign");
    let vault = Vault::new(&RootKey::create(&folder.file("root.key")).unwrap());
    let sealed = vault.seal_new(WALLET).unwrap();
    let half = U256::from_str_radix("7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0", 16).unwrap();
    let mut seen = BTreeSet::new();
    for number in 0..64_u64 {
        let hash = keccak256(number.to_be_bytes());
        let signature = vault.sign(WALLET, &sealed.nonce, &sealed.ciphertext, hash).unwrap();
        let signer = Signature::from_raw_array(&signature).unwrap().recover_address_from_prehash(&hash);
        assert_eq!(signer.unwrap(), sealed.address);
        assert!(U256::from_be_slice(&signature[32..64]) <= half, "a high s");
        assert!([27, 28].contains(&signature[64]), "v is {}", signature[64]);
        seen.insert(signature[64]);
        assert_eq!(vault.sign(WALLET, &sealed.nonce, &sealed.ciphertext, hash).unwrap(), signature);
    }
    assert_eq!(seen.len(), 2, "both parities occur");

    let hash = keccak256("other");
    let other = vault.sign("wallet_0002", &sealed.nonce, &sealed.ciphertext, hash);
    assert!(matches!(other, Err(Error::Open)), "another wallet's key does not sign");
}
