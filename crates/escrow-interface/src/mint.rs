//! The gate's other half: it mints the token that is ours, into paid invoices only, and burns what invoices pay to it
//! (PROTOCOL §5 `MintGate`; `docs/adr/0017-solana-mint-gate.md`).
//!
//! Attestors sign 32 bytes: the SHA-256 of [`deposit_message`] or [`reserve_message`]. Their signatures stand in an instruction
//! of the Ed25519 program directly before ours, in the one form of [`ed25519_offsets`].

use crate::{Key, NONE, address::MARKER, same, terms::TERMS_BYTES};

/// Seed of the address of [`MintConfig`]. Bump 255.
pub const MINT_SEED: &[u8; 4] = b"mint";

/// Seed of the address that redemptions name as their payee. Bump 255.
pub const REDEMPTION_SEED: &[u8; 10] = b"redemption";

/// Seed of a deposit's marker, before the deposit's id. The canonical bump: ids are drawn without a look at addresses.
pub const DEPOSIT_SEED: &[u8; 7] = b"deposit";

/// Seed of a redemption's marker, before the terms hash. The canonical bump.
pub const REDEEMED_SEED: &[u8; 8] = b"redeemed";

/// The address of the gate program with [`DEPOSIT_SEED`] or [`REDEEMED_SEED`]; hashed, as in [`crate::address`]. The canonical
/// bump is the highest for which it lies off the curve.
pub fn of_marker<'a>(seed: &'a [u8], id: &'a [u8; 32], bump: &'a [u8; 1], program: &'a Key) -> [&'a [u8]; 5] {
    [seed, id, bump, program, MARKER]
}

/// Makes the [`MintConfig`]. Once; the gate's admin signs and pays. Data: the tag, [`Settings`], bumps of [`init_mint::ACCOUNT`]
/// and of [`init_mint::REDEMPTION_ACCOUNT`].
pub const INIT_MINT: u8 = 130;

/// Mints what an invoice is due and pays it, in one. Anyone who brings the signatures. Data: the tag, terms, [`Deposit`], the
/// bump of [`mint_and_pay::DESTINATION`].
pub const MINT_AND_PAY: u8 = 131;

/// Says how much of the reserve is for this mint. Anyone who brings the signatures. Data: the tag, [`Reserve`].
pub const ATTEST_RESERVE: u8 = 132;

/// Burns what a redemption was paid. Anyone, once per terms hash; nobody can pause it. Data: the tag, terms.
pub const REDEEM: u8 = 133;

/// Closes a redemption's marker once the record is closed; its lamports go to who paid for it. Anyone. Data: the tag.
pub const CLOSE_REDEEMED: u8 = 134;

/// Proposes other [`Settings`], in the place of what was proposed before. The admin signs. Data: the tag, [`Settings`].
pub const PROPOSE: u8 = 135;

/// Makes what was proposed the settings, [`DELAY_SECONDS`] later. The admin that it names signs. Data: the tag.
pub const APPLY: u8 = 136;

/// Lowers at once, and drops what is proposed. Guardian or admin. Data: the tag, 1 to pause or 0, the most that the daily cap
/// may be from now on (u64), an attestor to remove or zero.
pub const LOWER: u8 = 137;

/// Bytes of the data, tag included. No other length is taken.
pub const fn data_bytes(tag: u8) -> Option<usize> {
    Some(
        1 + match tag {
            INIT_MINT => SETTINGS_BYTES + 2,
            MINT_AND_PAY => TERMS_BYTES + DEPOSIT_BYTES + 1,
            ATTEST_RESERVE => RESERVE_BYTES,
            REDEEM => TERMS_BYTES,
            PROPOSE => SETTINGS_BYTES,
            LOWER => 1 + 8 + 32,
            CLOSE_REDEEMED | APPLY => 0,
            _ => return None,
        },
    )
}

/// The longest time from now to [`Deposit::valid_until`], seconds: 15 minutes.
pub const MAX_VALIDITY_SECONDS: i64 = 15 * 60;

/// Nothing is minted for an invoice that closes within this time, seconds: 10 minutes.
pub const CLOSING_SECONDS: i64 = 10 * 60;

/// How old a word about the reserve may be, seconds: 24 hours.
pub const MAX_RESERVE_AGE_SECONDS: i64 = 24 * 60 * 60;

/// From a proposal to the first time it can be applied, seconds: 48 hours.
pub const DELAY_SECONDS: i64 = 48 * 60 * 60;

/// From then on it can be applied for so long, seconds: 7 days.
pub const APPLICABLE_SECONDS: i64 = 7 * 24 * 60 * 60;

/// The daily cap counts from midnight UTC, seconds.
pub const DAY_SECONDS: i64 = 24 * 60 * 60;

/// The token's digits behind the point: a base unit is 10⁻⁶ dollar.
pub const DECIMALS: u8 = 6;

/// The most attestors, and signatures.
pub const MOST_ATTESTORS: usize = 8;

/// Accounts of [`INIT_MINT`].
pub mod init_mint {
    /// `w` [`super::MintConfig`]'s address.
    pub const MINT_CONFIG: usize = 0;
    /// The gate's config.
    pub const CONFIG: usize = 1;
    /// `w s` The gate's admin. Pays.
    pub const ADMIN: usize = 2;
    /// SPL Token's, six decimals, nothing minted yet; the gate's address is its authority, and nobody can freeze.
    pub const MINT: usize = 3;
    /// The associated token account of the gate's address: what is minted passes through it.
    pub const ACCOUNT: usize = 4;
    /// The associated token account of the redemption address.
    pub const REDEMPTION_ACCOUNT: usize = 5;
    /// The system program.
    pub const SYSTEM: usize = 6;
    /// How many.
    pub const COUNT: usize = 7;
}

/// Accounts of [`MINT_AND_PAY`].
pub mod mint_and_pay {
    /// `w s` Pays the deposit's marker, and the record if there is none yet.
    pub const RENT_PAYER: usize = 0;
    /// `w`
    pub const MINT_CONFIG: usize = 1;
    /// `w` The deposit's marker.
    pub const MARKER: usize = 2;
    /// The gate's address: mints, pays, and is the settler.
    pub const GATE: usize = 3;
    /// `w` Its token account.
    pub const ACCOUNT: usize = 4;
    /// The invoice's address.
    pub const INVOICE: usize = 5;
    /// `w`
    pub const RECORD: usize = 6;
    /// `w` The associated token account of the payee.
    pub const DESTINATION: usize = 7;
    /// `w` The mint.
    pub const MINT: usize = 8;
    /// SPL Token.
    pub const TOKEN_PROGRAM: usize = 9;
    /// Signs the escrow's events.
    pub const ESCROW_EVENT_AUTHORITY: usize = 10;
    /// The escrow.
    pub const ESCROW: usize = 11;
    /// The system program.
    pub const SYSTEM: usize = 12;
    /// The sysvar with the transaction's instructions.
    pub const INSTRUCTIONS: usize = 13;
    /// This program.
    pub const PROGRAM: usize = 14;
    /// How many.
    pub const COUNT: usize = 15;
}

/// Accounts of [`ATTEST_RESERVE`].
pub mod attest_reserve {
    /// `w`
    pub const MINT_CONFIG: usize = 0;
    /// The gate's address: signs our events.
    pub const GATE: usize = 1;
    /// The sysvar with the transaction's instructions.
    pub const INSTRUCTIONS: usize = 2;
    /// This program.
    pub const PROGRAM: usize = 3;
    /// How many.
    pub const COUNT: usize = 4;
}

/// Accounts of [`REDEEM`].
pub mod redeem {
    /// `w s` Pays the marker, and has it back when it is closed.
    pub const RENT_PAYER: usize = 0;
    /// [`super::MintConfig`].
    pub const MINT_CONFIG: usize = 1;
    /// `w` The redemption's marker.
    pub const MARKER: usize = 2;
    /// The gate's address: signs our events.
    pub const GATE: usize = 3;
    /// The redemption address: burns.
    pub const REDEMPTION: usize = 4;
    /// `w` Its token account.
    pub const ACCOUNT: usize = 5;
    /// The record of the terms.
    pub const RECORD: usize = 6;
    /// `w` The mint.
    pub const MINT: usize = 7;
    /// SPL Token.
    pub const TOKEN_PROGRAM: usize = 8;
    /// The system program.
    pub const SYSTEM: usize = 9;
    /// This program.
    pub const PROGRAM: usize = 10;
    /// How many.
    pub const COUNT: usize = 11;
}

/// Accounts of [`CLOSE_REDEEMED`].
pub mod close_redeemed {
    /// [`super::MintConfig`].
    pub const MINT_CONFIG: usize = 0;
    /// `w`
    pub const MARKER: usize = 1;
    /// Where the record was.
    pub const RECORD: usize = 2;
    /// `w` Who paid for the marker.
    pub const RENT_PAYER: usize = 3;
    /// How many.
    pub const COUNT: usize = 4;
}

/// Accounts of [`PROPOSE`], [`APPLY`] and [`LOWER`].
pub mod rule {
    /// `w`
    pub const MINT_CONFIG: usize = 0;
    /// `s` The admin; to apply the proposed one; to lower the guardian or the admin.
    pub const SIGNER: usize = 1;
    /// How many.
    pub const COUNT: usize = 2;
}

/// Bytes of a [`Deposit`].
pub const DEPOSIT_BYTES: usize = 32 + 8 + 8;

/// What an attestation says beside terms and mint: money came for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deposit {
    /// Drawn once per receipt of fiat money; mints once.
    pub id: [u8; 32],
    /// What came, base units. At most what is due of it is minted.
    pub amount: u64,
    /// Until when the attestation counts, unix seconds.
    pub valid_until: i64,
}

impl Deposit {
    /// As it stands in instructions and messages.
    pub fn encode(&self) -> [u8; DEPOSIT_BYTES] {
        let mut bytes = [0; DEPOSIT_BYTES];
        let rest = put(&mut bytes, &self.id);
        let rest = put(rest, &self.amount.to_le_bytes());
        put(rest, &self.valid_until.to_le_bytes());
        bytes
    }

    /// Reads it back.
    #[inline(always)]
    pub fn decode(bytes: &[u8; DEPOSIT_BYTES]) -> Self {
        let mut rest = bytes.as_slice();
        Self {
            id: take(&mut rest),
            amount: u64::from_le_bytes(take(&mut rest)),
            valid_until: i64::from_le_bytes(take(&mut rest)),
        }
    }
}

/// Bytes of a [`Reserve`].
pub const RESERVE_BYTES: usize = 8 + 8 + 8;

/// How much of the reserve is this mint's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Reserve {
    /// The most that the supply may be after a mint, base units.
    pub allocation: u64,
    /// Higher each time.
    pub nonce: u64,
    /// When it was so, unix seconds.
    pub as_of: i64,
}

impl Reserve {
    /// As it stands in instructions and messages.
    pub fn encode(&self) -> [u8; RESERVE_BYTES] {
        let mut bytes = [0; RESERVE_BYTES];
        let rest = put(&mut bytes, &self.allocation.to_le_bytes());
        let rest = put(rest, &self.nonce.to_le_bytes());
        put(rest, &self.as_of.to_le_bytes());
        bytes
    }

    /// Reads it back.
    #[inline(always)]
    pub fn decode(bytes: &[u8; RESERVE_BYTES]) -> Self {
        let mut rest = bytes.as_slice();
        Self {
            allocation: u64::from_le_bytes(take(&mut rest)),
            nonce: u64::from_le_bytes(take(&mut rest)),
            as_of: i64::from_le_bytes(take(&mut rest)),
        }
    }
}

/// The first bytes of what attestors say of a deposit.
pub const DEPOSIT_PREFIX: &[u8; 15] = b"monay:attest:v1";

/// The first bytes of what attestors say of the reserve.
pub const RESERVE_PREFIX: &[u8; 16] = b"monay:reserve:v1";

/// What attestors say of a deposit: the parts whose SHA-256 they sign. Prefix ‖ gate program ‖ chain, u64 ‖ deposit id ‖ terms
/// hash ‖ mint ‖ amount, u64 ‖ valid until, i64. A hash, because two signatures over the whole do not fit in a transaction.
#[inline(always)]
pub fn deposit_message<'a>(
    program: &'a Key,
    chain: &'a [u8; 8],
    terms_hash: &'a [u8; 32],
    mint: &'a Key,
    deposit: &'a [u8; DEPOSIT_BYTES],
) -> [&'a [u8]; 7] {
    let (id, rest) = deposit.split_at(32);
    [DEPOSIT_PREFIX, program, chain, id, terms_hash, mint, rest]
}

/// What attestors say of the reserve: the parts whose SHA-256 they sign. Prefix ‖ gate program ‖ chain, u64 ‖ mint ‖
/// allocation, u64 ‖ nonce, u64 ‖ as of, i64.
#[inline(always)]
pub fn reserve_message<'a>(
    program: &'a Key,
    chain: &'a [u8; 8],
    mint: &'a Key,
    reserve: &'a [u8; RESERVE_BYTES],
) -> [&'a [u8]; 5] {
    [RESERVE_PREFIX, program, chain, mint, reserve]
}

/// The program whose instruction carries the signatures.
pub const ED25519_PROGRAM: Key = [
    3, 125, 70, 214, 124, 147, 251, 190, 18, 249, 66, 143, 131, 141, 64, 255, 5, 112, 116, 73, 39, 244, 138, 100, 252,
    202, 112, 68, 128, 0, 0, 0,
];

/// The sysvar with the transaction's instructions.
pub const INSTRUCTIONS_SYSVAR: Key = [
    6, 167, 213, 23, 24, 123, 209, 102, 53, 218, 212, 4, 85, 253, 194, 192, 193, 36, 198, 143, 33, 86, 117, 165, 219,
    186, 203, 95, 8, 0, 0, 0,
];

/// Bytes of one signature's offsets.
pub const OFFSETS_BYTES: usize = 14;

/// Bytes of one signature and its key.
pub const SIGNED_BYTES: usize = 64 + 32;

/// Bytes of what is signed.
pub const MESSAGE_BYTES: usize = 32;

/// Bytes of the data of the Ed25519 instruction with so many signatures: their number, a zero, the offsets of each, then each
/// with its key behind it, in ascending order of the keys, and the one message at the end.
pub const fn ed25519_bytes(count: usize) -> usize {
    2 + count * (OFFSETS_BYTES + SIGNED_BYTES) + MESSAGE_BYTES
}

/// The offsets of one of so many signatures: all in the instruction itself, and in this form only. Where an offset could point
/// elsewhere, a signature over something else could be shown to the gate as one over this.
#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "at most eight signatures: below 1,000")]
pub const fn ed25519_offsets(count: usize, index: usize) -> [u8; OFFSETS_BYTES] {
    let signed = 2 + count * OFFSETS_BYTES;
    let [signature_0, signature_1] = ((signed + index * SIGNED_BYTES) as u16).to_le_bytes();
    let [key_0, key_1] = ((signed + index * SIGNED_BYTES + 64) as u16).to_le_bytes();
    let [message_0, message_1] = ((signed + count * SIGNED_BYTES) as u16).to_le_bytes();
    let size = MESSAGE_BYTES as u8;
    // Where it lies and, 65,535, in this instruction: signature, key, message; the message's size between.
    [signature_0, signature_1, 255, 255, key_0, key_1, 255, 255, message_0, message_1, size, 0, 255, 255]
}

/// Bytes of [`Settings`].
pub const SETTINGS_BYTES: usize = 336;

/// What admin and guardian rule over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Settings {
    /// Proposes.
    pub admin: Key,
    /// Lowers.
    pub guardian: Key,
    /// Who attests, in ascending order.
    pub attestors: [Key; MOST_ATTESTORS],
    /// The most that may be minted in a day (UTC), base units.
    pub daily_cap: u64,
    /// How many of `attestors` count.
    pub attestor_count: u8,
    /// How many of them have to sign.
    pub threshold: u8,
    /// 1: nothing is minted.
    pub paused: u8,
    /// Zero.
    pub reserved: [u8; 5],
}

impl Settings {
    /// Those who attest.
    #[inline(always)]
    pub fn attestors(&self) -> &[Key] {
        self.attestors.get(..usize::from(self.attestor_count)).unwrap_or_default()
    }

    /// Whether they can be proposed: some attestors, strictly ascending, nothing behind them; no more signatures wanted than
    /// there are attestors; nobody is two of admin, guardian and attestor.
    #[inline(always)]
    pub fn valid(&self) -> bool {
        let (count, threshold) = (usize::from(self.attestor_count), usize::from(self.threshold));
        let Some((attestors, rest)) = self.attestors.split_at_checked(count) else { return false };
        let rulers = [&self.admin, &self.guardian];
        let mut before = &NONE;
        for attestor in attestors {
            if *attestor <= *before || rulers.iter().any(|ruler| same(ruler, attestor)) {
                return false;
            }
            before = attestor;
        }
        threshold >= 1
            && threshold <= count
            && rest.iter().all(|key| same(key, &NONE))
            && rulers.iter().all(|ruler| !same(ruler, &NONE))
            && !same(&self.admin, &self.guardian)
            && self.paused <= 1
            && self.reserved == [0; 5]
    }

    /// As it stands in instructions and in the account.
    pub fn encode(&self) -> [u8; SETTINGS_BYTES] {
        let mut bytes = [0; SETTINGS_BYTES];
        let mut rest = put(&mut bytes, &self.admin);
        rest = put(rest, &self.guardian);
        for attestor in &self.attestors {
            rest = put(rest, attestor);
        }
        rest = put(rest, &self.daily_cap.to_le_bytes());
        rest = put(rest, &[self.attestor_count, self.threshold, self.paused]);
        put(rest, &self.reserved);
        bytes
    }

    /// Reads them back. Any bytes are settings; whether they are valid is another question: [`Settings::valid`].
    #[inline(always)]
    pub fn decode(bytes: &[u8; SETTINGS_BYTES]) -> Self {
        let mut rest = bytes.as_slice();
        let (admin, guardian) = (take(&mut rest), take(&mut rest));
        let mut attestors = [NONE; MOST_ATTESTORS];
        for attestor in &mut attestors {
            *attestor = take(&mut rest);
        }
        let daily_cap = u64::from_le_bytes(take(&mut rest));
        let [attestor_count, threshold, paused] = take(&mut rest);
        let reserved = take(&mut rest);
        Self { admin, guardian, attestors, daily_cap, attestor_count, threshold, paused, reserved }
    }
}

/// The first eight bytes of [`MintConfig`]: the first of SHA-256 of `account:MintConfig`.
pub const MINT_CONFIG_DISCRIMINATOR: [u8; 8] = [0xa8, 0xfc, 0x58, 0xb6, 0xdb, 0xcd, 0x27, 0x35];

/// Bytes of [`MintConfig`].
pub const MINT_CONFIG_BYTES: usize = 928;

/// What the mint half knows; the account's data, byte for byte. Every integer lies at a multiple of its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct MintConfig {
    /// [`MINT_CONFIG_DISCRIMINATOR`].
    pub discriminator: [u8; 8],
    /// 1.
    pub version: u8,
    /// Zero.
    pub reserved: [u8; 7],
    /// The only escrow that is paid, and believed.
    pub escrow: Key,
    /// The only token that is minted and burned.
    pub mint: Key,
    /// The gate's address: the mint's authority, and the settler.
    pub gate: Key,
    /// Its token account.
    pub account: Key,
    /// The payee of redemptions.
    pub redemption: Key,
    /// Its token account.
    pub redemption_account: Key,
    /// What attestors said last; an allocation of zero after the attestors changed.
    pub reserve: Reserve,
    /// The day (UTC, since 1970) that `minted` counts.
    pub day: u64,
    /// What was minted on that day, base units.
    pub minted: u64,
    /// What holds.
    pub settings: Settings,
    /// From when on the proposal can be applied, unix seconds; 0: nothing is proposed.
    pub applicable_at: i64,
    /// What is proposed.
    pub proposed: Settings,
}

const _: () = assert!(
    size_of::<MintConfig>() == MINT_CONFIG_BYTES
        && align_of::<MintConfig>() == 8
        && size_of::<Settings>() == SETTINGS_BYTES
        && size_of::<Reserve>() == RESERVE_BYTES
        && core::mem::offset_of!(MintConfig, reserve) == 208
        && core::mem::offset_of!(MintConfig, settings) == 248
        && core::mem::offset_of!(MintConfig, applicable_at) == 584
        && core::mem::offset_of!(Settings, daily_cap) == 320
);

impl MintConfig {
    /// Reads an account's data: the discriminator and the version say that it is one.
    pub fn decode(data: &[u8]) -> Option<Self> {
        let mut rest = <&[u8; MINT_CONFIG_BYTES]>::try_from(data).ok()?.as_slice();
        let discriminator = take(&mut rest);
        let [version] = take(&mut rest);
        let reserved = take(&mut rest);
        let [escrow, mint, gate, account, redemption, redemption_account] = [(); 6].map(|()| take(&mut rest));
        let config = Self {
            discriminator,
            version,
            reserved,
            escrow,
            mint,
            gate,
            account,
            redemption,
            redemption_account,
            reserve: Reserve::decode(&take(&mut rest)),
            day: u64::from_le_bytes(take(&mut rest)),
            minted: u64::from_le_bytes(take(&mut rest)),
            settings: Settings::decode(&take(&mut rest)),
            applicable_at: i64::from_le_bytes(take(&mut rest)),
            proposed: Settings::decode(&take(&mut rest)),
        };
        (config.discriminator == MINT_CONFIG_DISCRIMINATOR && config.version == 1).then_some(config)
    }
}

/// The first eight bytes of [`DepositMarker`]: the first of SHA-256 of `account:DepositMarker`.
pub const DEPOSIT_MARKER_DISCRIMINATOR: [u8; 8] = [0xc1, 0xd0, 0x9f, 0x4a, 0x2e, 0x84, 0xbf, 0x3a];

/// Bytes of a [`DepositMarker`].
pub const DEPOSIT_MARKER_BYTES: usize = 64;

/// That a deposit was minted; never closed. Where there is none, it was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct DepositMarker {
    /// [`DEPOSIT_MARKER_DISCRIMINATOR`].
    pub discriminator: [u8; 8],
    /// 1.
    pub version: u8,
    /// The canonical bump of its address.
    pub bump: u8,
    /// Zero.
    pub reserved: [u8; 6],
    /// Which invoice it paid.
    pub terms_hash: [u8; 32],
    /// What was minted, base units.
    pub amount: u64,
    /// When, unix seconds.
    pub at: i64,
}

/// The first eight bytes of [`RedeemedMarker`]: the first of SHA-256 of `account:RedeemedMarker`.
pub const REDEEMED_MARKER_DISCRIMINATOR: [u8; 8] = [0xca, 0xbe, 0x0f, 0xeb, 0x43, 0x02, 0x85, 0x73];

/// Bytes of a [`RedeemedMarker`].
pub const REDEEMED_MARKER_BYTES: usize = 96;

/// That a redemption was burned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct RedeemedMarker {
    /// [`REDEEMED_MARKER_DISCRIMINATOR`].
    pub discriminator: [u8; 8],
    /// 1.
    pub version: u8,
    /// The canonical bump of its address.
    pub bump: u8,
    /// Zero.
    pub reserved: [u8; 6],
    /// Of which terms.
    pub terms_hash: [u8; 32],
    /// What was burned, base units.
    pub amount: u64,
    /// When, unix seconds.
    pub at: i64,
    /// Who paid for the marker.
    pub rent_payer: Key,
}

const _: () = assert!(
    size_of::<DepositMarker>() == DEPOSIT_MARKER_BYTES
        && align_of::<DepositMarker>() == 8
        && size_of::<RedeemedMarker>() == REDEEMED_MARKER_BYTES
        && align_of::<RedeemedMarker>() == 8
);

impl DepositMarker {
    /// Reads an account's data: the discriminator and the version say that it is one.
    pub fn decode(data: &[u8]) -> Option<Self> {
        let mut rest = <&[u8; DEPOSIT_MARKER_BYTES]>::try_from(data).ok()?.as_slice();
        let discriminator = take(&mut rest);
        let [version, bump] = take(&mut rest);
        let marker = Self {
            discriminator,
            version,
            bump,
            reserved: take(&mut rest),
            terms_hash: take(&mut rest),
            amount: u64::from_le_bytes(take(&mut rest)),
            at: i64::from_le_bytes(take(&mut rest)),
        };
        (marker.discriminator == DEPOSIT_MARKER_DISCRIMINATOR && marker.version == 1).then_some(marker)
    }
}

impl RedeemedMarker {
    /// Reads an account's data: the discriminator and the version say that it is one.
    pub fn decode(data: &[u8]) -> Option<Self> {
        let mut rest = <&[u8; REDEEMED_MARKER_BYTES]>::try_from(data).ok()?.as_slice();
        let discriminator = take(&mut rest);
        let [version, bump] = take(&mut rest);
        let marker = Self {
            discriminator,
            version,
            bump,
            reserved: take(&mut rest),
            terms_hash: take(&mut rest),
            amount: u64::from_le_bytes(take(&mut rest)),
            at: i64::from_le_bytes(take(&mut rest)),
            rent_payer: take(&mut rest),
        };
        (marker.discriminator == REDEEMED_MARKER_DISCRIMINATOR && marker.version == 1).then_some(marker)
    }
}

/// What the gate tells, as the escrow does: an instruction to itself, signed by the gate's address. Tag, discriminator, fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// An invoice was paid with new money.
    Minted {
        /// Which invoice.
        terms_hash: [u8; 32],
        /// For which deposit.
        deposit_id: [u8; 32],
        /// The mint.
        token: Key,
        /// Minted and paid, base units.
        amount: u64,
    },
    /// A redemption was burned: its bank may be paid.
    Redeemed {
        /// Which redemption.
        terms_hash: [u8; 32],
        /// The mint.
        token: Key,
        /// Burned, base units.
        amount: u64,
    },
    /// Attestors said how much of the reserve there is.
    ReserveAttested(Reserve),
}

/// The first eight bytes behind the tag: of SHA-256 of `event:Minted`.
pub const MINTED: [u8; 8] = [0xae, 0x83, 0x15, 0x39, 0x58, 0x75, 0x72, 0x79];
/// The first eight bytes behind the tag: of SHA-256 of `event:Redeemed`.
pub const REDEEMED: [u8; 8] = [0x0e, 0x1d, 0xb7, 0x47, 0x1f, 0xa5, 0x6b, 0x26];
/// The first eight bytes behind the tag: of SHA-256 of `event:ReserveAttested`.
pub const RESERVE_ATTESTED: [u8; 8] = [0xdf, 0xf4, 0x61, 0xc4, 0x2e, 0xa8, 0xa3, 0xe5];

/// The most bytes that an event takes.
pub const MOST_TOLD: usize = 16 + 32 + 32 + 32 + 8;

impl Told {
    /// The instruction's data, and how much of it counts.
    #[inline(always)]
    pub fn encode(&self) -> ([u8; MOST_TOLD], usize) {
        let mut bytes = [0; MOST_TOLD];
        let rest = put(&mut bytes, &crate::event::TAG);
        let left = match self {
            Self::Minted { terms_hash, deposit_id, token, amount } => {
                let rest = put(put(put(rest, &MINTED), terms_hash), deposit_id);
                put(put(rest, token), &amount.to_le_bytes()).len()
            }
            Self::Redeemed { terms_hash, token, amount } => {
                put(put(put(put(rest, &REDEEMED), terms_hash), token), &amount.to_le_bytes()).len()
            }
            Self::ReserveAttested(reserve) => put(put(rest, &RESERVE_ATTESTED), &reserve.encode()).len(),
        };
        (bytes, MOST_TOLD - left)
    }

    /// Reads the data of an instruction; `None` if it is none of our events.
    pub fn decode(data: &[u8]) -> Option<Self> {
        let (kind, mut rest) = data.strip_prefix(&crate::event::TAG)?.split_first_chunk::<8>()?;
        let rest = &mut rest;
        let fits = |bytes: usize, rest: &&[u8]| (rest.len() == bytes).then_some(());
        Some(match *kind {
            MINTED => {
                fits(104, rest)?;
                let (terms_hash, deposit_id, token) = (take(rest), take(rest), take(rest));
                Self::Minted { terms_hash, deposit_id, token, amount: u64::from_le_bytes(take(rest)) }
            }
            REDEEMED => {
                fits(72, rest)?;
                let (terms_hash, token) = (take(rest), take(rest));
                Self::Redeemed { terms_hash, token, amount: u64::from_le_bytes(take(rest)) }
            }
            RESERVE_ATTESTED => {
                fits(RESERVE_BYTES, rest)?;
                Self::ReserveAttested(Reserve::decode(&take(rest)))
            }
            _ => return None,
        })
    }
}

/// Takes the next part; zeros where there is none: who calls has looked at the length.
#[inline(always)]
fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    match rest.split_first_chunk() {
        Some((part, behind)) => {
            *rest = behind;
            *part
        }
        None => [0; N],
    }
}

/// Writes a part and gives what is behind it.
#[inline(always)]
fn put<'a, const N: usize>(rest: &'a mut [u8], part: &[u8; N]) -> &'a mut [u8] {
    match rest.split_first_chunk_mut() {
        Some((place, rest)) => {
            *place = *part;
            rest
        }
        None => &mut [],
    }
}
