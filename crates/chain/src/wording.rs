//! What nodes say when they do not take a transaction. There is no common error code for it, only each client's wording,
//! and some words are sent under the same code by everybody. A class decides how we go on with the same nonce, never
//! whether something has happened: only a finalized block says that.

use crate::Sent;

/// How a refusal is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Known,
    NonceTooLow,
    Underpriced,
    Unfunded,
    Rejected,
}

/// Words and what they mean, in lower case; the first that fits counts. Geth and what descends from it (op-geth, Erigon,
/// bsc), Reth, Nethermind, Besu, Anvil.
const WORDINGS: &[(&str, Class)] = &[
    // Before "known transaction", which is in it.
    ("unknown transaction", Class::Rejected),
    ("already known", Class::Known),
    ("alreadyknown", Class::Known),
    ("already imported", Class::Known),
    ("already in mempool", Class::Known),
    ("known transaction", Class::Known),
    ("existing tx with same hash", Class::Known),
    ("nonce too low", Class::NonceTooLow),
    ("oldnonce", Class::NonceTooLow),
    ("nonce is below sender account nonce", Class::NonceTooLow),
    ("nonce below account", Class::NonceTooLow),
    ("underpriced", Class::Underpriced),
    ("less than block base fee", Class::Underpriced),
    ("less than the block base fee", Class::Underpriced),
    ("feetoolow", Class::Underpriced),
    ("fee too low", Class::Underpriced),
    ("replacementnotallowed", Class::Underpriced),
    ("below configured minimum", Class::Underpriced),
    ("could not replace existing tx", Class::Underpriced),
    ("insufficient funds", Class::Unfunded),
    ("insufficientfunds", Class::Unfunded),
    ("upfront cost exceeds account balance", Class::Unfunded),
    ("insufficient balance", Class::Unfunded),
    ("exceeds block gas limit", Class::Rejected),
    ("exceeds the block gas limit", Class::Rejected),
    ("gaslimitexceeded", Class::Rejected),
    ("gas limit too high", Class::Rejected),
    ("gas limit is too high", Class::Rejected),
    ("exceeds maximum", Class::Rejected),
    ("intrinsic gas", Class::Rejected),
    ("floor data gas", Class::Rejected),
    ("oversized data", Class::Rejected),
    ("exceeds the configured cap", Class::Rejected),
    ("invalid chain id", Class::Rejected),
    ("invalid sender", Class::Rejected),
    ("invalid signature", Class::Rejected),
    ("transaction type not supported", Class::Rejected),
    ("tx type not supported", Class::Rejected),
    ("higher than max fee per gas", Class::Rejected),
    ("rlp", Class::Rejected),
];

/// A node's refusal, by its words; what we do not know is unknown, and so stays what it was.
pub(crate) fn refusal(message: &str, shown: String) -> Sent {
    let message = message.to_ascii_lowercase();
    match WORDINGS.iter().find(|(words, _)| message.contains(words)).map(|(_, class)| *class) {
        Some(Class::Known) => Sent::Taken,
        Some(Class::NonceTooLow) => Sent::NonceTooLow(shown),
        Some(Class::Underpriced) => Sent::Underpriced(shown),
        Some(Class::Unfunded) => Sent::Unfunded(shown),
        Some(Class::Rejected) => Sent::Rejected(shown),
        None => Sent::Unknown(shown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_clients_words_are_understood() {
        type Meaning = fn(String) -> Sent;
        let all: &[(&str, &[&str], Meaning)] = &[
            (
                "known",
                &[
                    "already known",                                  // geth, reth, erigon
                    "AlreadyKnown, transaction is already in TxPool", // nethermind
                    "transaction already imported",                   // anvil
                    "Known transaction",                              // besu
                ],
                |_| Sent::Taken,
            ),
            (
                "nonce too low",
                &[
                    "nonce too low: next nonce 5, tx nonce 4",
                    "OldNonce, Current nonce: 5, nonce of rejected tx: 4",
                    "Transaction nonce is below sender account nonce",
                    "Nonce too low",
                ],
                Sent::NonceTooLow,
            ),
            (
                "underpriced",
                &[
                    "replacement transaction underpriced",
                    "transaction underpriced: gas tip cap 0, minimum needed 1000000",
                    "max fee per gas less than block base fee: address 0xab, maxFeePerGas: 1, baseFee: 7",
                    "FeeTooLowToCompete",
                    "ReplacementNotAllowed, existing tx has 10, new one has 10",
                    "Gas price below configured minimum gas price",
                ],
                Sent::Underpriced,
            ),
            (
                "unfunded",
                &[
                    "insufficient funds for gas * price + value: have 0 want 21000",
                    "InsufficientFunds, Account balance: 0, cumulative cost: 1",
                    "Upfront cost exceeds account balance",
                    "Insufficient funds for gas * price + value",
                ],
                Sent::Unfunded,
            ),
            (
                "rejected",
                &[
                    "exceeds block gas limit",
                    "GasLimitExceeded, Gas limit: 30000000",
                    "intrinsic gas too low: gas 20000, minimum needed 21000",
                    "transaction gas limit too high (cap: 16777216, tx: 17000000)",
                    "tx fee (1.50 ether) exceeds the configured cap (1.00 ether)",
                    "invalid chain id for signer: have 1 want 8453",
                    "unknown transaction type: 9",
                ],
                Sent::Rejected,
            ),
            (
                "unknown",
                &["txpool is full", "nonce too high", "header not found", "internal error", "", "rate limited"],
                Sent::Unknown,
            ),
        ];
        for (name, wordings, meaning) in all {
            for words in *wordings {
                assert_eq!(refusal(words, (*words).to_owned()), meaning((*words).to_owned()), "{name}: {words}");
            }
        }
    }
}
