//! Circle's words and ids. A word we do not know is kept as it came: Circle adds some without notice, and an order that is
//! in a new state is no order that failed.

use crate::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use uuid::Uuid;

macro_rules! open_words {
    ($($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $word:literal $(| $alias:literal)*,)+ })+) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_meta])* $variant,)+
            /// A word we do not know, as it came.
            Other(String),
        }

        impl $name {
            /// The word as Circle writes it.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::Other(word) => word,
                }
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                match word {
                    $($word $(| $alias)* => Self::$variant,)+
                    _ => Self::Other(word.to_owned()),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Ok(Self::from(String::deserialize(deserializer)?.as_str()))
            }
        }
    )+};
}

open_words! {
    /// What an amount is in. Circle's `USD` is USDC on chain and dollars at a bank.
    Currency {
        /// US dollars, USDC.
        Usd = "USD",
        /// Euro, EURC.
        Eur = "EUR",
    }

    /// A chain.
    Chain {
        /// Base.
        Base = "BASE",
        /// Ethereum.
        Ethereum = "ETH",
        /// Solana.
        Solana = "SOL",
    }

    /// Where a bank account is in Circle's checks.
    WireStatus {
        /// Being checked.
        Pending = "pending",
        /// Can be used.
        Complete = "complete",
        /// Cannot.
        Failed = "failed",
    }

    /// What became of the sandbox's pretended wire.
    MockWireStatus {
        /// Waits for the next batch.
        Pending = "pending",
        /// A deposit was made of it.
        Processed = "processed",
        /// None was.
        Failed = "failed",
    }

    /// Where dollars that come from a bank are.
    DepositStatus {
        /// Seen, not ours yet.
        Pending = "pending",
        /// Ours, as USDC.
        Complete = "complete",
        /// Not taken.
        Failed = "failed",
    }

    /// Where a recipient address is on its way to be used.
    RecipientStatus {
        /// Can be sent to.
        Active = "active",
        /// An administrator has to approve it in Circle's console.
        Pending = "pending_verification",
        /// Approved.
        Verified = "verification_succeeded",
    }

    /// Where USDC that goes to a chain, or comes from one, is.
    TransferStatus {
        /// Taken on, not sent.
        Pending = "pending",
        /// On the wire: it has a transaction hash.
        Running = "running",
        /// Done. One page of the documentation writes `completed`.
        Complete = "complete" | "completed",
        /// Not done; the money is back.
        Failed = "failed",
    }

    /// Why a transfer failed.
    TransferFailure {
        /// In general.
        Failed = "transfer_failed",
        /// Refused by Circle's compliance.
        Denied = "transfer_denied",
        /// The chain did not take it.
        Blockchain = "blockchain_error",
        /// Too little money.
        InsufficientFunds = "insufficient_funds",
    }

    /// Where dollars that go to a bank are.
    PayoutStatus {
        /// Taken on.
        Pending = "pending",
        /// Sent. The bank may still send them back: [`super::Payout::returned`].
        Complete = "complete",
        /// Not sent; the money is back.
        Failed = "failed",
    }

    /// Why a payout failed.
    PayoutFailure {
        /// Too little money.
        InsufficientFunds = "insufficient_funds",
        /// Refused by Circle's compliance.
        Denied = "transaction_denied",
        /// In general.
        Failed = "transaction_failed",
        /// The bank sent it back.
        Returned = "transaction_returned",
        /// The bank's error.
        Bank = "bank_transaction_error",
        /// Above the account's limit.
        Limit = "fiat_account_limit_exceeded",
        /// No such account.
        AccountNumber = "invalid_bank_account_number",
        /// No such bank (ACH).
        AchRouting = "invalid_ach_rtn",
        /// No such bank (wire).
        WireRouting = "invalid_wire_rtn",
        /// The bank account is not in use.
        VendorInactive = "vendor_inactive",
    }

    /// Where a returned payout's money is.
    ReturnStatus {
        /// On its way back.
        Pending = "pending",
        /// Ours again.
        Complete = "complete",
        /// Lost on its way: ask Circle.
        Failed = "failed",
    }

    /// What Circle's compliance says.
    RiskDecision {
        /// Go on.
        Approved = "approved",
        /// Stop.
        Denied = "denied",
        /// Somebody looks at it.
        Review = "review",
    }

    /// Where a subscription to notifications is.
    SubscriptionStatus {
        /// Its endpoint has not answered yet.
        Pending = "pending",
        /// Notifications come.
        Confirmed = "confirmed",
        /// None come any more.
        Deleted = "deleted",
    }

    /// What a notification is about.
    Topic {
        /// A bank account.
        Wire = "wire",
        /// Dollars from a bank.
        Deposits = "deposits",
        /// USDC to a chain, or from one.
        Transfers = "transfers",
        /// Dollars to a bank.
        Payouts = "payouts",
        /// A recipient address.
        Recipients = "addressBookRecipients",
    }
}

/// Ids become part of paths: whatever says that it is one is one of these characters, and short.
fn is_id(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

macro_rules! ids {
    ($($(#[$meta:meta])* $name:ident,)+) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The id as Circle writes it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(id: String) -> Result<Self, Error> {
                if is_id(&id) {
                    Ok(Self(id))
                } else {
                    let shown: String = id.chars().take(64).collect();
                    Err(Error::Input(format!("'{}' is no {}", shown.escape_debug(), stringify!($name))))
                }
            }
        }

        impl std::str::FromStr for $name {
            type Err = Error;

            fn from_str(id: &str) -> Result<Self, Error> {
                Self::try_from(id.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

ids! {
    /// A wallet at Circle: digits.
    WalletId,
    /// A bank account that Circle knows.
    WireId,
    /// Dollars that came from a bank.
    DepositId,
    /// An address on a chain that Circle may send to.
    RecipientId,
    /// USDC that goes to a chain, or came from one.
    TransferId,
    /// Dollars that go to a bank.
    PayoutId,
    /// A payout that came back.
    ReturnId,
    /// A subscription to notifications.
    SubscriptionId,
}

/// The caller's name for one request: a UUIDv4, committed before the request is sent, and the same at every retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(Uuid);

impl IdempotencyKey {
    /// The key itself.
    pub fn uuid(self) -> Uuid {
        self.0
    }
}

impl TryFrom<Uuid> for IdempotencyKey {
    type Error = Error;

    fn try_from(key: Uuid) -> Result<Self, Error> {
        if key.get_version_num() == 4 && key.get_variant() == uuid::Variant::RFC4122 {
            Ok(Self(key))
        } else {
            Err(Error::Input(format!("{key} is no UUID of version 4, and Circle takes no other as idempotency key")))
        }
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
