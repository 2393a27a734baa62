//! What Monay knows about money, invoices and wallets, without a clock, a network or a database.
//!
//! Facts go in, decisions come out: [`project::project`] looks at everything that is known of one invoice on one
//! chain and says what its statuses are and which intents are due; [`rails::look`] does so for all its chains together and
//! says on which of them it is paid. Services do the I/O around it.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod ach;
pub mod actions;
pub mod block;
pub mod ids;
pub mod intent;
pub mod invoice;
pub mod ledger;
pub mod mint;
pub mod money;
pub mod project;
pub mod rails;
pub mod receipt;
pub mod request;
pub mod reserve;
pub mod scope;
pub mod steps;
pub mod tier;
pub mod token_rail;
pub mod wallet;
pub mod withdrawal;

/// Declares an enum of words that travel as text: in JSON, in Postgres, in logs. One list, both directions.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$variant_meta])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The word that stands for the value in JSON and in Postgres.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::UnknownWord;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err($crate::UnknownWord { kind: stringify!($name), word: word.to_owned() }),
                }
            }
        }
    };
}
pub(crate) use words;

/// A word that is none of those its kind has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{word}' is not a {kind}")]
pub struct UnknownWord {
    /// The kind of word that was expected.
    pub kind: &'static str,
    /// What was there instead.
    pub word: String,
}
