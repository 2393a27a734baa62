//! The settlement gate: the settler in the terms, and the only one of our programs' addresses that signs for anybody. It knows
//! which keys may settle and which may cancel, and which escrow it works for.
//!
//! To settle and to cancel, its instruction data is exactly the escrow's (tag 0 or 2), and its accounts are [`CONFIG`],
//! [`KEY`], [`ESCROW`], then the escrow's in the escrow's order, with the gate's address in the place of the settler.

use core::fmt;

use crate::{Key, address::MARKER};

/// Seed of the gate's address, which signs as the settler. Bump 255.
pub const GATE_SEED: &[u8; 4] = b"gate";

/// Seed of the config's address. Bump 255.
pub const CONFIG_SEED: &[u8; 6] = b"config";

/// Makes the config. Once, by whoever comes first: whoever deploys does it at once, and looks. Data: the tag, escrow. The
/// signer is the admin.
pub const INIT: u8 = 128;

/// Says anew which keys there are. The admin signs. Data: the tag, how many settlers and how many cancellers (one byte each),
/// then their keys, 32 bytes each, settlers first.
pub const SET_KEYS: u8 = 129;

/// The most keys of each kind.
pub const MOST_KEYS: usize = 8;

/// Place of the config, to settle and to cancel.
pub const CONFIG: usize = 0;
/// Place of the key that asks, `s`.
pub const KEY: usize = 1;
/// Place of the escrow program.
pub const ESCROW: usize = 2;
/// How many come before the escrow's accounts.
pub const BEFORE: usize = 3;
/// The gate's address has this place among the escrow's accounts, to settle as to cancel.
pub const SETTLER: usize = 1;

/// Accounts of [`INIT`].
pub mod init {
    /// `w` The config's address.
    pub const CONFIG: usize = 0;
    /// `w s` Pays for it, and is the admin.
    pub const ADMIN: usize = 1;
    /// The system program.
    pub const SYSTEM: usize = 2;
    /// How many.
    pub const COUNT: usize = 3;
}

/// Accounts of [`SET_KEYS`].
pub mod set_keys {
    /// `w`
    pub const CONFIG: usize = 0;
    /// `s`
    pub const ADMIN: usize = 1;
    /// How many.
    pub const COUNT: usize = 2;
}

/// The first eight bytes of the config: the first of SHA-256 of `account:Config`.
pub const DISCRIMINATOR: [u8; 8] = [0x9b, 0x0c, 0xaa, 0xe0, 0x1e, 0xfa, 0xcc, 0x82];

/// Bytes of the config.
pub const CONFIG_BYTES: usize = 592;

/// The config's data, byte for byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Config {
    /// [`DISCRIMINATOR`].
    pub discriminator: [u8; 8],
    /// 1.
    pub version: u8,
    /// How many of `settlers` count.
    pub settler_count: u8,
    /// How many of `cancellers` count.
    pub canceller_count: u8,
    /// Zero.
    pub reserved: [u8; 5],
    /// Says which keys there are.
    pub admin: Key,
    /// The only program that the gate signs for: any other could pass the signature on.
    pub escrow: Key,
    /// May settle.
    pub settlers: [Key; MOST_KEYS],
    /// May cancel. No key can do both.
    pub cancellers: [Key; MOST_KEYS],
}

const _: () = assert!(size_of::<Config>() == CONFIG_BYTES && align_of::<Config>() == 1);

impl Config {
    /// Those that may settle.
    pub fn settlers(&self) -> &[Key] {
        self.settlers.get(..usize::from(self.settler_count)).unwrap_or_default()
    }

    /// Those that may cancel.
    pub fn cancellers(&self) -> &[Key] {
        self.cancellers.get(..usize::from(self.canceller_count)).unwrap_or_default()
    }
}

/// The address of the gate program with [`GATE_SEED`], [`CONFIG_SEED`] or a seed of [`crate::mint`] that has bump 255; hashed, as
/// in [`crate::address`].
pub fn of_seed<'a>(seed: &'a [u8], program: &'a Key) -> [&'a [u8]; 4] {
    [seed, &[crate::address::BUMP], program, MARKER]
}

macro_rules! errors {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal,)+) => {
        /// Why the gate refused. The escrow's own refusals come through it as they are.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u32)]
        pub enum GateError {
            $($(#[doc = $doc])+ $name = $code,)+
        }

        impl GateError {
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
    /// no instruction has this tag, or not this length
    InvalidInstruction = 6200,
    /// an account is missing, or there are more than the instruction needs
    WrongAccounts = 6201,
    /// this is not the gate's config
    WrongConfig = 6202,
    /// there is a config already
    AlreadyInitialized = 6203,
    /// only the admin may do this, and it did not sign
    NotAdmin = 6204,
    /// only a settler's key may settle, and none signed
    NotSettler = 6205,
    /// only a canceller's key may cancel, and none signed
    NotCanceller = 6206,
    /// this is not the escrow that the gate works for
    WrongEscrow = 6207,
    /// this is not the gate's address
    WrongGate = 6208,
    /// this is not the system program
    WrongProgram = 6209,
    /// more than eight keys of a kind
    TooManyKeys = 6210,
    /// a key is zero, is there twice, or could both settle and cancel
    InvalidKey = 6211,

    /// this is not the config of the mint
    WrongMintConfig = 6220,
    /// this is not the gate's mint, or no mint that only the gate can make more of
    WrongMint = 6221,
    /// this is not the token account that belongs here
    WrongTokenAccount = 6222,
    /// this is not the address of the marker
    WrongMarker = 6223,
    /// this is not the record of the terms
    WrongRecord = 6224,
    /// this is not the sysvar with the transaction's instructions
    WrongSysvar = 6225,
    /// this is not the address that redemptions are paid to
    WrongRedemption = 6226,
    /// whoever is to pay rent did not sign, or is not who paid it
    WrongRentPayer = 6227,
    /// an event that the gate did not tell itself
    WrongEventAuthority = 6228,

    /// the terms are for another cluster
    WrongChain = 6230,
    /// the terms name another token
    WrongToken = 6231,
    /// deposits pay whole amounts: the terms let partial payments through
    PartialsRefused = 6232,
    /// the settler in the terms is neither nobody nor the gate
    WrongSettler = 6233,
    /// nothing is minted to the gate, and nothing but what was paid to it is redeemed
    WrongPayee = 6234,
    /// the invoice closes within 10 minutes
    ClosesTooSoon = 6235,
    /// the invoice is paid or cancelled
    NotOpen = 6236,
    /// the deposit is less than what is due
    DepositTooSmall = 6237,
    /// the deposit has paid an invoice before
    DepositUsed = 6238,
    /// the invoice was not paid exactly what was minted
    NotDelivered = 6239,

    /// the instruction before this one is not the Ed25519 program's in the form that the gate reads
    NotAttested = 6240,
    /// fewer attestors signed than have to
    TooFewSignatures = 6241,
    /// somebody signed who is no attestor
    NotAttestor = 6242,
    /// the signers' keys do not ascend, or one is there twice
    SignersNotAscending = 6243,
    /// what was signed is something else
    WrongMessage = 6244,
    /// the attestation is not valid any more
    AttestationExpired = 6245,
    /// the attestation is valid for more than 15 minutes
    AttestationTooLong = 6246,

    /// minting is paused
    Paused = 6250,
    /// what was said of the reserve is more than 24 hours old
    ReserveStale = 6251,
    /// what was said of the reserve is of a time to come
    ReserveTooEarly = 6252,
    /// what was said of the reserve is not newer than what is known
    NonceNotRising = 6253,
    /// the supply would be more than the reserve holds for it
    AboveReserve = 6254,
    /// more would be minted today than may be
    AboveCap = 6255,

    /// the redemption has not been paid in full
    NotPaid = 6260,
    /// the redemption was burned before
    AlreadyRedeemed = 6261,
    /// the gate has less than it has to burn
    NotFunded = 6262,
    /// the marker may be closed once the record is
    RecordOpen = 6263,

    /// attestors, threshold, admin and guardian do not fit together
    InvalidSettings = 6270,
    /// only guardian or admin may do this, and neither signed
    NotGuardian = 6271,
    /// nothing is proposed
    NothingProposed = 6272,
    /// what is proposed may not be applied yet, or not any more
    NotApplicable = 6273,

    /// a sum does not fit
    Arithmetic = 6299,
}

impl fmt::Display for GateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

impl core::error::Error for GateError {}

impl Config {
    /// Reads an account's data: the discriminator and the version say that it is a config.
    pub fn decode(data: &[u8]) -> Option<Self> {
        let keys = |bytes: &[u8]| {
            let mut keys = [[0; 32]; MOST_KEYS];
            keys.iter_mut().zip(bytes.as_chunks().0).for_each(|(key, bytes)| *key = *bytes);
            keys
        };
        let data: &[u8; CONFIG_BYTES] = data.try_into().ok()?;
        let (discriminator, rest) = data.split_first_chunk()?;
        let ([version, settler_count, canceller_count], rest) = rest.split_first_chunk()?;
        let (reserved, rest) = rest.split_first_chunk()?;
        let (admin, rest) = rest.split_first_chunk()?;
        let (escrow, rest) = rest.split_first_chunk()?;
        let (settlers, cancellers) = rest.split_at_checked(32 * MOST_KEYS)?;
        let config = Self {
            discriminator: *discriminator,
            version: *version,
            settler_count: *settler_count,
            canceller_count: *canceller_count,
            reserved: *reserved,
            admin: *admin,
            escrow: *escrow,
            settlers: keys(settlers),
            cancellers: keys(cancellers),
        };
        (config.discriminator == DISCRIMINATOR && config.version == 1).then_some(config)
    }
}
