//! What Solana's nodes say when they do not take a transaction or a simulation fails. As with Ethereum's, a class decides how
//! we go on, never whether something has happened.

use crate::Sent;
use crate::solana::rpc::Refusal;
use escrow_interface::gate::GateError;
use serde_json::Value;

/// What a refusal means; it is given the words.
type Meaning = fn(String) -> Sent;

/// Words and what they mean, in lower case; the first that fits counts. Agave, Surfpool, and both as Rust prints their errors.
const WORDINGS: &[(&str, Meaning)] = &[
    ("already been processed", |_| Sent::Taken),
    ("alreadyprocessed", |_| Sent::Taken),
    ("insufficient funds for fee", Sent::Unfunded),
    ("insufficientfundsforfee", Sent::Unfunded),
    ("insufficient funds for rent", Sent::Unfunded),
    ("insufficientfundsforrent", Sent::Unfunded),
    ("no record of a prior credit", Sent::Unfunded),
    // Before "accountnotfound", which is in it.
    ("programaccountnotfound", Sent::Unknown),
    ("accountnotfound", Sent::Unfunded),
    ("signature verification fail", Sent::Rejected),
    ("did not pass signature verification", Sent::Rejected),
    ("signaturefailure", Sent::Rejected),
    ("too large", Sent::Rejected),
    ("failed to deserialize", Sent::Rejected),
    ("sanitize", Sent::Rejected),
    ("invalid base64", Sent::Rejected),
];

/// A node's refusal, by its words. That it does not know the block hash is no word about the transaction: the node may be
/// behind, or the hash too old, which only [`super::send::fate`] can prove. So it stays unknown, like whatever we do not know.
pub(crate) fn refusal(refusal: &Refusal) -> Sent {
    let shown = format!("error {}: {}", refusal.code, refusal.message);
    let words = format!("{} {}", refusal.message, refusal.data["err"]).to_ascii_lowercase();
    match WORDINGS.iter().find(|(wording, _)| words.contains(wording)) {
        Some((_, meaning)) => meaning(shown),
        None => Sent::Unknown(shown),
    }
}

/// Why a transaction fails, as nodes encode it: `{"InstructionError": [2, {"Custom": 6040}]}`. What our programs mean by a
/// number is said in their words.
pub(crate) fn in_words(err: &Value) -> String {
    if let Some(whole @ ("AccountNotFound" | "InsufficientFundsForFee")) = err.as_str() {
        return format!("{whole}: the key that pays has too few lamports for the fee");
    }
    let instruction = &err["InstructionError"];
    let code = instruction[1]["Custom"].as_u64().and_then(|code| u32::try_from(code).ok());
    let ours = code.and_then(|code| {
        let escrow = escrow_interface::Error::from_code(code).map(|error| (error.name(), error.words()));
        escrow.or_else(|| GateError::from_code(code).map(|error| (error.name(), error.words())))
    });
    match ours {
        Some((name, words)) => format!("instruction {}: {name}: {words}", instruction[0]),
        None => err.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nodes_words_are_understood() {
        let all: &[(i64, &str, Value, Meaning)] = &[
            (
                -32002,
                "Transaction simulation failed: This transaction has already been processed",
                json!({"err": "AlreadyProcessed"}),
                |_| Sent::Taken,
            ),
            (
                -32002,
                "Transaction simulation failed: Blockhash not found",
                json!({"err": "BlockhashNotFound"}),
                Sent::Unknown,
            ),
            (-32002, "Transaction simulation failed: Insufficient funds for fee", Value::Null, Sent::Unfunded),
            (-32002, "preflight", json!({"err": {"InsufficientFundsForRent": {"account_index": 0}}}), Sent::Unfunded),
            (
                -32002,
                "Transaction simulation failed: Attempt to debit an account but found no record of a prior credit.",
                Value::Null,
                Sent::Unfunded,
            ),
            (-32002, "Error processing Instruction 2: custom program error: 0x1798", Value::Null, Sent::Unknown),
            (-32003, "Transaction signature verification failure", Value::Null, Sent::Rejected),
            (
                -32602,
                "base64 encoded transaction too large: 1684 bytes (max: encoded/raw 1644/1232)",
                Value::Null,
                Sent::Rejected,
            ),
            (-32602, "failed to deserialize transaction: io error", Value::Null, Sent::Rejected),
            (-32005, "Node is behind by 42 slots", json!({"numSlotsBehind": 42}), Sent::Unknown),
            (-32002, "preflight", json!({"err": "AccountNotFound"}), Sent::Unfunded),
            (-32002, "preflight", json!({"err": "ProgramAccountNotFound"}), Sent::Unknown),
            (429, "Too many requests for a specific RPC call", Value::Null, Sent::Unknown),
        ];
        for (code, message, data, meaning) in all {
            let said = Refusal { code: *code, message: (*message).to_owned(), data: data.clone() };
            assert_eq!(refusal(&said), meaning(format!("error {code}: {message}")), "{message}");
        }
    }

    #[test]
    fn our_programs_numbers_become_words_and_others_stay_as_they_are() {
        let said = in_words(&json!({"InstructionError": [2, {"Custom": 6040}]}));
        assert_eq!(said, "instruction 2: NotOpen: the invoice is paid or cancelled");
        for other in [
            json!({"InstructionError": [0, {"Custom": 1}]}),
            json!({"InstructionError": [0, "InvalidArgument"]}),
            json!("BlockhashNotFound"),
        ] {
            assert_eq!(in_words(&other), other.to_string());
        }
    }
}
