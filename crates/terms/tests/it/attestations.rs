//! `vectors/attestations.json`: the golden vectors of what attestors sign. This test writes them; Solidity reads them.

use crate::vectors::compare;
use alloy_primitives::{Keccak256, U256, keccak256};
use serde::Serialize;
use terms::{Address, B256, DepositAttestation, GateKind, MintGate, ReserveAttestation};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/vectors/attestations.json");

/// Copied by hand from the protocol.
const DOMAIN: &str = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";
const DEPOSIT: &str =
    "DepositAttestation(bytes32 depositId,bytes32 termsHash,address token,uint128 amount,uint64 validUntil)";
const RESERVE: &str = "ReserveAttestation(address token,uint128 allocation,uint64 nonce,uint64 asOf)";

#[derive(Serialize)]
struct Vector<T> {
    name: &'static str,
    domain: &'static str,
    chain: u64,
    gate: Address,
    attestation: T,
    digest: B256,
}

#[derive(Serialize)]
struct Vectors {
    deposits: Vec<Vector<DepositAttestation>>,
    reserves: Vec<Vector<ReserveAttestation>>,
}

const BASE: MintGate = MintGate { kind: GateKind::Mint, chain: 8453, address: Address::repeat_byte(0x9a) };

fn gates() -> [(&'static str, MintGate); 4] {
    [
        ("the mint gate on Base", BASE),
        ("the float gate on Base", MintGate { kind: GateKind::Float, ..BASE }),
        ("the mint gate on Tempo", MintGate { chain: 4217, ..BASE }),
        ("another mint gate on Base", MintGate { address: Address::repeat_byte(0x9b), ..BASE }),
    ]
}

fn deposit() -> DepositAttestation {
    DepositAttestation {
        deposit_id: keccak256("deposit"),
        terms_hash: keccak256("terms"),
        token: Address::repeat_byte(0x70),
        amount: 150_000_000,
        valid_until: 1_700_000_900,
    }
}

fn reserve() -> ReserveAttestation {
    ReserveAttestation {
        token: Address::repeat_byte(0x70),
        allocation: 5_000_000_000_000,
        nonce: 7,
        as_of: 1_700_000_000,
    }
}

/// A change to an attestation, by name.
type Change<T> = (&'static str, fn(&mut T));

fn deposits() -> Vec<(&'static str, MintGate, DepositAttestation)> {
    let here = gates().map(|(name, gate)| (name, gate, deposit()));
    let changed: [Change<DepositAttestation>; 6] = [
        ("another deposit", |told| told.deposit_id = B256::ZERO),
        ("other terms", |told| told.terms_hash = !B256::ZERO),
        ("another token", |told| told.token = !Address::ZERO),
        ("one unit more", |told| told.amount += 1),
        ("the largest amount", |told| told.amount = u128::MAX),
        ("the last second there is", |told| told.valid_until = u64::MAX),
    ];
    let changed = changed.map(|(name, change)| {
        let mut told = deposit();
        change(&mut told);
        (name, BASE, told)
    });
    here.into_iter().chain(changed).collect()
}

fn reserves() -> Vec<(&'static str, MintGate, ReserveAttestation)> {
    let here = gates().map(|(name, gate)| (name, gate, reserve()));
    let changed: [Change<ReserveAttestation>; 4] = [
        ("another token", |told| told.token = !Address::ZERO),
        ("nothing", |told| told.allocation = 0),
        ("the next one", |told| told.nonce += 1),
        ("a second later", |told| told.as_of += 1),
    ];
    let changed = changed.map(|(name, change)| {
        let mut told = reserve();
        change(&mut told);
        (name, BASE, told)
    });
    here.into_iter().chain(changed).collect()
}

fn vectors() -> Vectors {
    let deposits = deposits().into_iter().map(|(name, gate, attestation)| Vector {
        name,
        domain: gate.kind.domain_name(),
        chain: gate.chain,
        gate: gate.address,
        digest: attestation.digest(&gate),
        attestation,
    });
    let reserves = reserves().into_iter().map(|(name, gate, attestation)| Vector {
        name,
        domain: gate.kind.domain_name(),
        chain: gate.chain,
        gate: gate.address,
        digest: attestation.digest(&gate),
        attestation,
    });
    Vectors { deposits: deposits.collect(), reserves: reserves.collect() }
}

/// The vectors say what the code makes. A change here makes every signature worthless that is out.
#[test]
fn attestation_vectors_are_what_the_code_makes() {
    compare(FILE, &serde_json::to_string_pretty(&vectors()).unwrap());
}

/// EIP-712 word by word, without the macro the library uses.
fn by_hand(gate: &MintGate, kind: &str, words: &[B256]) -> B256 {
    let hash = |words: &[B256]| {
        let mut hasher = Keccak256::new();
        words.iter().for_each(|word| hasher.update(word));
        hasher.finalize()
    };
    let chain = U256::from(gate.chain).into();
    let name = keccak256(gate.kind.domain_name());
    let domain = hash(&[keccak256(DOMAIN), name, keccak256("1"), chain, gate.address.into_word()]);
    let told = hash(&[&[keccak256(kind)], words].concat());
    keccak256([b"\x19\x01".as_slice(), domain.as_slice(), told.as_slice()].concat())
}

#[test]
fn attestation_vectors_agree_with_a_computation_by_hand() {
    let number = |number: u128| B256::from(U256::from(number));
    for (name, gate, told) in deposits() {
        let words = [
            told.deposit_id,
            told.terms_hash,
            told.token.into_word(),
            number(told.amount),
            number(told.valid_until.into()),
        ];
        assert_eq!(told.digest(&gate), by_hand(&gate, DEPOSIT, &words), "{name}");
    }
    for (name, gate, told) in reserves() {
        let words =
            [told.token.into_word(), number(told.allocation), number(told.nonce.into()), number(told.as_of.into())];
        assert_eq!(told.digest(&gate), by_hand(&gate, RESERVE, &words), "{name}");
    }
}

/// A signature for one gate, chain, deposit, invoice, token, amount or time is one for nothing else.
#[test]
fn every_field_and_the_whole_domain_bind_an_attestation() {
    let mut digests: Vec<B256> = deposits().iter().map(|(_, gate, told)| told.digest(gate)).collect();
    digests.extend(reserves().iter().map(|(_, gate, told)| told.digest(gate)));
    let all = digests.len();
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), all);
}
