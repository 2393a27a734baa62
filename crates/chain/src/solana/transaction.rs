//! Transactions as bytes: legacy messages, which every node and wallet takes. A lookup table would make room for a third
//! settlement beside two, at the price of an account that has to be kept and trusted.

use crate::Error;
use crate::solana::Keypair;
use solana_hash::Hash;
use solana_instruction::Instruction;
use solana_message::Message;
use std::collections::HashMap;
use terms::Pubkey;

/// The most bytes a transaction may have: one packet.
pub const MAX_BYTES: usize = 1232;

/// Bytes of a signature.
const SIGNATURE_BYTES: usize = 64;

/// Signed bytes and their first signature, which is the transaction's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bytes {
    /// What goes on the wire.
    pub raw: Vec<u8>,
    /// Its name, known before it is sent.
    pub signature: [u8; SIGNATURE_BYTES],
}

/// Instructions in one message; `payer` pays the fee and signs first.
pub fn message(instructions: &[Instruction], payer: &Pubkey, blockhash: [u8; 32]) -> Message {
    Message::new_with_blockhash(instructions, Some(payer), &Hash::new_from_array(blockhash))
}

/// How many bytes the transaction will have.
pub fn size(message: &Message) -> usize {
    encode(message).len() + 1 + SIGNATURE_BYTES * usize::from(message.header.num_required_signatures)
}

/// Signs with those of `keys` that the message asks for. The same input gives the same bytes.
pub fn sign(message: &Message, keys: &[&Keypair]) -> Result<Bytes, Error> {
    let payload = encode(message);
    let by_address: HashMap<Pubkey, &Keypair> = keys.iter().map(|key| (key.address(), *key)).collect();
    let signatures = signers(message).iter().map(|signer| {
        let key = by_address.get(signer);
        let key = key.ok_or_else(|| Error::Configuration(format!("no key of {signer} is configured")))?;
        Ok(key.sign(&payload))
    });
    let signatures = signatures.collect::<Result<Vec<_>, Error>>()?;
    let first = signatures.first().copied();
    assemble(&signatures, &payload, first)
}

/// The bytes with empty signatures: for a simulation, which checks none.
pub fn unsigned(message: &Message) -> Result<Vec<u8>, Error> {
    let signatures = vec![[0; SIGNATURE_BYTES]; signers(message).len()];
    assemble(&signatures, &encode(message), Some([0; SIGNATURE_BYTES])).map(|bytes| bytes.raw)
}

fn signers(message: &Message) -> &[Pubkey] {
    let count = usize::from(message.header.num_required_signatures);
    message.account_keys.get(..count).unwrap_or_default()
}

fn assemble(
    signatures: &[[u8; SIGNATURE_BYTES]],
    payload: &[u8],
    first: Option<[u8; SIGNATURE_BYTES]>,
) -> Result<Bytes, Error> {
    let signature = first.ok_or_else(|| Error::Configuration("a transaction without a signer".to_owned()))?;
    let mut raw = Vec::with_capacity(MAX_BYTES);
    put_length(&mut raw, signatures.len());
    signatures.iter().for_each(|signature| raw.extend_from_slice(signature));
    raw.extend_from_slice(payload);
    if raw.len() > MAX_BYTES {
        let bytes = raw.len();
        return Err(Error::Configuration(format!(
            "a transaction of {bytes} bytes; no node takes more than {MAX_BYTES}"
        )));
    }
    Ok(Bytes { raw, signature })
}

/// A legacy message, as it is signed.
fn encode(message: &Message) -> Vec<u8> {
    let header = message.header;
    let mut bytes = vec![
        header.num_required_signatures,
        header.num_readonly_signed_accounts,
        header.num_readonly_unsigned_accounts,
    ];
    put_length(&mut bytes, message.account_keys.len());
    message.account_keys.iter().for_each(|key| bytes.extend_from_slice(key.as_array()));
    bytes.extend_from_slice(message.recent_blockhash.as_bytes());
    put_length(&mut bytes, message.instructions.len());
    for instruction in &message.instructions {
        bytes.push(instruction.program_id_index);
        put_length(&mut bytes, instruction.accounts.len());
        bytes.extend_from_slice(&instruction.accounts);
        put_length(&mut bytes, instruction.data.len());
        bytes.extend_from_slice(&instruction.data);
    }
    bytes
}

/// Solana's length: seven bits a byte, the lowest first.
fn put_length(bytes: &mut Vec<u8>, length: usize) {
    let mut rest = length;
    while rest > 0x7f {
        bytes.push(0x80 | rest.to_le_bytes()[0]);
        rest >>= 7;
    }
    bytes.push(rest.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_in_seven_bit_pieces() {
        for (length, bytes) in
            [(0, vec![0]), (5, vec![5]), (0x7f, vec![0x7f]), (0x80, vec![0x80, 1]), (0x4000, vec![0x80, 0x80, 1])]
        {
            let mut put = Vec::new();
            put_length(&mut put, length);
            assert_eq!(put, bytes, "{length}");
        }
    }

    #[test]
    fn what_does_not_fit_in_a_packet_or_lacks_a_key_is_not_signed() {
        let key = Keypair::from_secret(&[1; 32]);
        let program = Pubkey::new_from_array([9; 32]);
        let with = |bytes: usize| {
            message(&[Instruction::new_with_bytes(program, &vec![0; bytes], vec![])], &key.address(), [2; 32])
        };
        let (mut fits, mut bytes) = (with(1000), 1000);
        while size(&fits) < MAX_BYTES {
            bytes += 1;
            fits = with(bytes);
        }
        let signed = sign(&fits, &[&key]).unwrap();
        assert_eq!((signed.raw.len(), size(&fits)), (MAX_BYTES, MAX_BYTES));
        assert_eq!(sign(&fits, &[&key]).unwrap(), signed);
        assert_eq!(unsigned(&fits).unwrap().len(), MAX_BYTES);
        assert!(sign(&with(bytes + 1), &[&key]).unwrap_err().to_string().contains("1233 bytes"));
        let missing = sign(&fits, &[&Keypair::from_secret(&[3; 32])]).unwrap_err().to_string();
        assert!(missing.contains(&key.address().to_string()), "{missing}");
    }
}
