//! What to say about the word that holds the terms.

/// What it is for.
pub(crate) const WHY: &str = "The word below holds the terms of this payment. Should our service ever be gone, anyone who \
                              has it can bring money that lies at the invoice's address to where the terms say, with a node of \
                              the network and this command:";

/// The command.
pub(crate) fn command(word: &str) -> String {
    format!("monay recover {word}")
}
