//! The Ed25519 program: it checks signatures before anybody asks whose they are. LiteSVM's own would compile OpenSSL.

use crate::Refused;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use escrow_interface::{Key, mint::ED25519_PROGRAM};
use solana_address::Address;
use solana_instruction::{Instruction, error::InstructionError};
use solana_transaction_error::TransactionError;

/// Its address.
pub fn program() -> Address {
    Address::new_from_array(ED25519_PROGRAM)
}

/// Where something lies: which instruction's data (65,535: this one), and where in it.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Which instruction.
    pub instruction: u16,
    /// The first byte.
    pub offset: u16,
}

/// In the instruction itself.
pub const HERE: u16 = u16::MAX;

/// One signature to be checked.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// 64 bytes.
    pub signature: Place,
    /// 32 bytes.
    pub key: Place,
    /// What was signed.
    pub message: Place,
    /// How much of it.
    pub size: u16,
}

/// An instruction of it: what is to be checked, then any bytes.
pub fn instruction(checks: &[Check], behind: &[u8]) -> Instruction {
    let mut data = vec![u8::try_from(checks.len()).expect("few"), 0];
    for Check { signature, key, message, size } in checks {
        let words = [
            signature.offset,
            signature.instruction,
            key.offset,
            key.instruction,
            message.offset,
            *size,
            message.instruction,
        ];
        data.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    }
    data.extend_from_slice(behind);
    Instruction { program_id: program(), accounts: vec![], data }
}

/// The form that the gate reads: `message` signed by all of these, in this order.
pub fn signed(message: &Key, keys: &[&SigningKey]) -> Instruction {
    let signed: Vec<_> =
        keys.iter().map(|key| (key.verifying_key().to_bytes(), key.sign(message).to_bytes())).collect();
    shown(message, &signed)
}

/// The same with any keys and signatures.
pub fn shown(message: &[u8], signed: &[(Key, [u8; 64])]) -> Instruction {
    let place = |offset: usize| Place { instruction: HERE, offset: u16::try_from(offset).expect("short") };
    let first = 2 + 14 * signed.len();
    let checks: Vec<_> = (0..signed.len())
        .map(|index| Check {
            signature: place(first + 96 * index),
            key: place(first + 96 * index + 64),
            message: place(first + 96 * signed.len()),
            size: u16::try_from(message.len()).expect("short"),
        })
        .collect();
    let behind: Vec<u8> = signed.iter().flat_map(|(key, signature)| [signature.as_slice(), key].concat()).collect();
    instruction(&checks, &[&behind, message].concat())
}

/// What the runtime does with every such instruction of a transaction: a wrong signature, and nothing of it happens.
pub fn check(instructions: &[Instruction]) -> Result<(), Refused> {
    for (index, one) in instructions.iter().enumerate().filter(|(_, one)| one.program_id == program()) {
        if checked(one, instructions).is_none() {
            // As the runtime says it: InvalidSignature.
            let index = u8::try_from(index).expect("few");
            return Err(Refused::Other(TransactionError::InstructionError(index, InstructionError::Custom(4))));
        }
    }
    Ok(())
}

fn checked(one: &Instruction, all: &[Instruction]) -> Option<()> {
    let word = |at: usize| Some(u16::from_le_bytes(one.data.get(at..at + 2)?.try_into().ok()?));
    let part = |instruction: u16, offset: u16, size: usize| {
        let data = if instruction == HERE { &one.data } else { &all.get(usize::from(instruction))?.data };
        data.get(usize::from(offset)..usize::from(offset) + size)
    };
    for index in 0..usize::from(*one.data.first()?) {
        let at = 2 + 14 * index;
        let signature = part(word(at + 2)?, word(at)?, 64)?;
        let key = part(word(at + 6)?, word(at + 4)?, 32)?;
        let message = part(word(at + 12)?, word(at + 8)?, usize::from(word(at + 10)?))?;
        let key = VerifyingKey::from_bytes(key.try_into().ok()?).ok()?;
        key.verify_strict(message, &Signature::from_bytes(signature.try_into().ok()?)).ok()?;
    }
    Some(())
}
