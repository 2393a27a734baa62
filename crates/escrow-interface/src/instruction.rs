//! What the program is asked: the first byte of the data is the tag, terms follow, then what is listed.
//!
//! The order of accounts is fixed; `w` is writable, `s` signs. Where a signer is not needed (no settler in the terms) its place
//! is there all the same, and any account does.

use crate::terms::TERMS_BYTES;

/// Which instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Tag {
    /// Vault → payee. Settler; anyone if the terms name none. Data: terms, vault's bump, destination's bump.
    Settle = 0,
    /// Payer → payee. Settler, if the terms name one, and the payer sign; never the payee. Data: terms, ceiling u64,
    /// destination's bump.
    Pay = 1,
    /// Ends the invoice. Payee or settler. Data: terms.
    Cancel = 2,
    /// A token account of the invoice → the associated account of refundTo. Anyone, when it is time. Data: terms,
    /// destination's bump.
    Refund = 3,
    /// A token account of the invoice → wherever the refund key says. It signs. Data: terms.
    RefundByKey = 4,
    /// Lamports at the invoice's address → refundTo. Anyone, any time. Data: terms.
    RefundNative = 5,
    /// Makes vault and record where they are missing; who pays for them has the rent back. Anyone. Data: terms.
    OpenVault = 6,
    /// Closes the empty vault. Anyone. Data: terms, vault's bump.
    CloseVault = 7,
    /// Closes the record, 30 days after closesAt. Anyone. Data: terms.
    CloseRecord = 8,
}

impl Tag {
    /// All of them; the index is the tag.
    pub const ALL: [Self; 9] = [
        Self::Settle,
        Self::Pay,
        Self::Cancel,
        Self::Refund,
        Self::RefundByKey,
        Self::RefundNative,
        Self::OpenVault,
        Self::CloseVault,
        Self::CloseRecord,
    ];

    /// From the first byte of the data.
    pub fn from_u8(tag: u8) -> Option<Self> {
        Self::ALL.get(usize::from(tag)).copied()
    }

    /// How long the data is, tag included, in bytes. No other length is taken.
    pub const fn data_bytes(self) -> usize {
        1 + TERMS_BYTES
            + match self {
                Self::Settle => 2,
                Self::Pay => 9,
                Self::Refund | Self::CloseVault => 1,
                Self::Cancel | Self::RefundByKey | Self::RefundNative | Self::OpenVault | Self::CloseRecord => 0,
            }
    }
}

/// Accounts of [`Tag::Settle`].
pub mod settle {
    /// `w s` Pays the record's rent, if there is no record yet.
    pub const RENT_PAYER: usize = 0;
    /// `s` where the terms name one.
    pub const SETTLER: usize = 1;
    /// The invoice's address.
    pub const INVOICE: usize = 2;
    /// `w`
    pub const RECORD: usize = 3;
    /// `w` The associated token account of the invoice's address.
    pub const VAULT: usize = 4;
    /// `w` The associated token account of the payee.
    pub const DESTINATION: usize = 5;
    /// The mint.
    pub const MINT: usize = 6;
    /// Its program.
    pub const TOKEN_PROGRAM: usize = 7;
    /// Signs our events.
    pub const EVENT_AUTHORITY: usize = 8;
    /// This program.
    pub const PROGRAM: usize = 9;
    /// The system program.
    pub const SYSTEM: usize = 10;
    /// How many.
    pub const COUNT: usize = 11;
}

/// Accounts of [`Tag::Pay`].
pub mod pay {
    /// `w s` Pays the record's rent, if there is no record yet.
    pub const RENT_PAYER: usize = 0;
    /// `s` where the terms name one.
    pub const SETTLER: usize = 1;
    /// `s` Owns the source; a delegate does not do.
    pub const PAYER: usize = 2;
    /// `w` Any token account of the payer.
    pub const SOURCE: usize = 3;
    /// The invoice's address.
    pub const INVOICE: usize = 4;
    /// `w`
    pub const RECORD: usize = 5;
    /// `w` The associated token account of the payee.
    pub const DESTINATION: usize = 6;
    /// The mint.
    pub const MINT: usize = 7;
    /// Its program.
    pub const TOKEN_PROGRAM: usize = 8;
    /// Signs our events.
    pub const EVENT_AUTHORITY: usize = 9;
    /// This program.
    pub const PROGRAM: usize = 10;
    /// The system program.
    pub const SYSTEM: usize = 11;
    /// How many.
    pub const COUNT: usize = 12;
}

/// Accounts of [`Tag::Cancel`].
pub mod cancel {
    /// `w s` Pays the record's rent, if there is no record yet.
    pub const RENT_PAYER: usize = 0;
    /// `s` The payee or the settler.
    pub const CANCELLER: usize = 1;
    /// The invoice's address.
    pub const INVOICE: usize = 2;
    /// `w`
    pub const RECORD: usize = 3;
    /// The mint.
    pub const MINT: usize = 4;
    /// Signs our events.
    pub const EVENT_AUTHORITY: usize = 5;
    /// This program.
    pub const PROGRAM: usize = 6;
    /// The system program.
    pub const SYSTEM: usize = 7;
    /// How many.
    pub const COUNT: usize = 8;
}

/// Accounts of [`Tag::Refund`] and of [`Tag::RefundByKey`]; further ones are passed on to the token's program, as read-only
/// or writable as they came and without any signature.
pub mod refund {
    /// [`Tag::RefundByKey`]: `s` the refund key. [`Tag::Refund`]: any account.
    pub const REFUND_KEY: usize = 0;
    /// The invoice's address.
    pub const INVOICE: usize = 1;
    /// The record, whether there is one or not.
    pub const RECORD: usize = 2;
    /// `w` Any token account of the invoice's address.
    pub const SOURCE: usize = 3;
    /// `w` [`Tag::Refund`]: the associated token account of refundTo. [`Tag::RefundByKey`]: any that is not the invoice's.
    pub const DESTINATION: usize = 4;
    /// The mint of both.
    pub const MINT: usize = 5;
    /// Its program.
    pub const TOKEN_PROGRAM: usize = 6;
    /// Signs our events.
    pub const EVENT_AUTHORITY: usize = 7;
    /// This program.
    pub const PROGRAM: usize = 8;
    /// How many there are at least.
    pub const COUNT: usize = 9;
}

/// Accounts of [`Tag::RefundNative`].
pub mod refund_native {
    /// `w` The invoice's address.
    pub const INVOICE: usize = 0;
    /// The record, whether there is one or not.
    pub const RECORD: usize = 1;
    /// `w` refundTo itself.
    pub const REFUND_TO: usize = 2;
    /// Signs our events.
    pub const EVENT_AUTHORITY: usize = 3;
    /// This program.
    pub const PROGRAM: usize = 4;
    /// The system program.
    pub const SYSTEM: usize = 5;
    /// How many.
    pub const COUNT: usize = 6;
}

/// Accounts of [`Tag::OpenVault`].
pub mod open_vault {
    /// `w s` Pays the rent of both.
    pub const RENT_PAYER: usize = 0;
    /// The invoice's address.
    pub const INVOICE: usize = 1;
    /// `w`
    pub const RECORD: usize = 2;
    /// `w` The associated token account of the invoice's address.
    pub const VAULT: usize = 3;
    /// The mint.
    pub const MINT: usize = 4;
    /// Its program.
    pub const TOKEN_PROGRAM: usize = 5;
    /// The associated token account program.
    pub const ASSOCIATED_TOKEN_PROGRAM: usize = 6;
    /// The system program.
    pub const SYSTEM: usize = 7;
    /// How many.
    pub const COUNT: usize = 8;
}

/// Accounts of [`Tag::CloseVault`].
pub mod close_vault {
    /// The invoice's address.
    pub const INVOICE: usize = 0;
    /// `w` The record, whether there is one or not.
    pub const RECORD: usize = 1;
    /// `w` The associated token account of the invoice's address.
    pub const VAULT: usize = 2;
    /// `w` Who paid for the vault, if the record knows; else any account.
    pub const VAULT_PAYER: usize = 3;
    /// `w` refundTo itself.
    pub const REFUND_TO: usize = 4;
    /// The mint.
    pub const MINT: usize = 5;
    /// Its program.
    pub const TOKEN_PROGRAM: usize = 6;
    /// How many.
    pub const COUNT: usize = 7;
}

/// Accounts of [`Tag::CloseRecord`].
pub mod close_record {
    /// `w`
    pub const RECORD: usize = 0;
    /// `w` Who paid the record's rent.
    pub const RENT_PAYER: usize = 1;
    /// `w` refundTo itself: it gets what was sent to the record by mistake.
    pub const REFUND_TO: usize = 2;
    /// Signs our events.
    pub const EVENT_AUTHORITY: usize = 3;
    /// This program.
    pub const PROGRAM: usize = 4;
    /// How many.
    pub const COUNT: usize = 5;
}
