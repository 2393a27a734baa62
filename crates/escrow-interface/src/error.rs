//! Every refusal, with its number: Anchor's range, in groups. Where the EVM escrow has the same refusal it has the same name.

use core::fmt;

macro_rules! errors {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal,)+) => {
        /// Why the program refused. The number is the custom error code of the transaction.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u32)]
        pub enum Error {
            $($(#[doc = $doc])+ $name = $code,)+
        }

        impl Error {
            /// All of them, in order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// Its name, as in the IDL.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }

            /// What it means.
            pub const fn words(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim_ascii(),)+ }
            }

            /// From the number of a transaction's custom error.
            pub const fn from_code(code: u32) -> Option<Self> {
                match code { $($code => Some(Self::$name),)+ _ => None }
            }
        }
    };
}

errors! {
    /// version is not 1
    WrongVersion = 6000,
    /// the terms are for another cluster
    WrongChain = 6001,
    /// a flag without a meaning
    InvalidFlags = 6002,
    /// amount is zero
    InvalidAmount = 6003,
    /// closesAt is zero, negative, or more than 400 days away
    InvalidClosesAt = 6004,
    /// token is no mint of the token program that the flags name
    InvalidToken = 6005,
    /// payee is zero, the invoice's address, the program, the mint or the settler
    InvalidPayee = 6006,
    /// refundTo is zero, the invoice's address, the program or the mint
    InvalidRefundTo = 6007,
    /// the mint or the vault has an extension of Token-2022 that is not on the list
    ExtensionRefused = 6008,

    /// only the settler in the terms may do this, and it did not sign
    NotSettler = 6020,
    /// only payee or settler may cancel
    NotPayeeNorSettler = 6021,
    /// the payee may not pay itself
    PayerIsPayee = 6022,
    /// the payer did not sign or does not own the source
    NotPayer = 6023,
    /// the terms name no refund key
    NoRefundKey = 6024,
    /// the refund key did not sign
    NotRefundKey = 6025,
    /// whoever is to pay rent did not sign
    NotRentPayer = 6026,

    /// the invoice is paid or cancelled
    NotOpen = 6040,
    /// closesAt has come
    Closed = 6041,
    /// the money may not go back yet
    NotRefundable = 6042,
    /// the vault may not be closed while the invoice is open
    VaultInUse = 6043,
    /// the record may be closed 30 days after closesAt and not before
    RecordInUse = 6044,
    /// the vault has to be closed first: the record knows who paid for it
    VaultOpen = 6045,

    /// the whole amount is not there
    NotFunded = 6060,
    /// there is nothing to move
    NothingDue = 6061,
    /// the vault is not empty
    VaultNotEmpty = 6062,

    /// no instruction has this tag, or not this length
    InvalidInstruction = 6080,
    /// an account is missing
    MissingAccount = 6081,
    /// this is not the address that follows from the terms
    WrongInvoiceAddress = 6082,
    /// this is not the record of the terms
    WrongRecord = 6083,
    /// this is not the canonical associated token account of the invoice for its mint
    WrongVault = 6084,
    /// this is not the canonical associated token account of whom the money goes to, or not his any more
    WrongDestination = 6085,
    /// this is not a token account of the invoice, or of the payer, for this mint
    WrongSource = 6086,
    /// this is not the mint
    WrongMint = 6087,
    /// this is not the mint's token program
    WrongTokenProgram = 6088,
    /// this is not the account the rent or the lamports go to
    WrongRecipient = 6089,
    /// this is not the address that signs events
    WrongEventAuthority = 6090,
    /// this is not the program that has to be here
    WrongProgram = 6091,
    /// a sum does not fit
    Arithmetic = 6099,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

impl core::error::Error for Error {}
