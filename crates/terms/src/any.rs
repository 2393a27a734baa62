//! Terms of any chain: what the rest of the system asks of them when it does not matter which.

use crate::{Account, B256, InvoiceTerms, SolanaTerms};

/// What an invoice promises on one of its chains.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(untagged))]
pub enum Terms {
    /// On Base, Tempo and all others of their kind.
    Evm(InvoiceTerms),
    /// On Solana.
    Solana(SolanaTerms),
}

/// The same question to either kind.
macro_rules! either {
    ($terms:expr, $of:ident => $answer:expr) => {
        match $terms {
            Terms::Evm($of) => $answer,
            Terms::Solana($of) => $answer,
        }
    };
}

impl Terms {
    /// `termsHash`.
    pub fn hash(&self) -> B256 {
        either!(self, terms => terms.hash())
    }

    /// Chain id, or the cluster.
    pub const fn chain(&self) -> u64 {
        either!(self, terms => terms.chain)
    }

    /// The same on all chains of one invoice.
    pub const fn invoice_id(&self) -> B256 {
        either!(self, terms => terms.invoice_id)
    }

    /// Who is paid.
    pub fn payee(&self) -> Account {
        either!(self, terms => terms.payee.into())
    }

    /// What the invoice is paid in: a contract, or a mint.
    pub fn token(&self) -> Account {
        either!(self, terms => terms.token.into())
    }

    /// The spending limit, in base units of the token.
    pub fn amount(&self) -> u128 {
        match self {
            Self::Evm(terms) => terms.amount,
            Self::Solana(terms) => terms.amount.into(),
        }
    }

    /// Unix seconds. Before it the invoice can be settled, from it on only refunded.
    pub const fn closes_at(&self) -> u64 {
        either!(self, terms => terms.closes_at)
    }

    /// Where money goes that goes back.
    pub fn refund_to(&self) -> Account {
        either!(self, terms => terms.refund_to.into())
    }

    /// May direct money that goes back elsewhere; zero: nobody may.
    pub fn refund_key(&self) -> Account {
        either!(self, terms => terms.refund_key.into())
    }

    /// Who may settle; zero: anyone.
    pub fn settler(&self) -> Account {
        either!(self, terms => terms.settler.into())
    }

    /// [`crate::FLAG_PARTIALS`], and on Solana [`crate::solana::FLAG_TOKEN_2022`].
    pub const fn flags(&self) -> u8 {
        either!(self, terms => terms.flags)
    }

    /// Whether partial payments are passed on as they come.
    pub fn partials(&self) -> bool {
        either!(self, terms => terms.partials())
    }

    /// The terms, on an EVM chain.
    pub const fn evm(&self) -> Option<&InvoiceTerms> {
        match self {
            Self::Evm(terms) => Some(terms),
            Self::Solana(_) => None,
        }
    }

    /// The terms, on Solana.
    pub const fn solana(&self) -> Option<&SolanaTerms> {
        match self {
            Self::Solana(terms) => Some(terms),
            Self::Evm(_) => None,
        }
    }
}

impl From<InvoiceTerms> for Terms {
    fn from(terms: InvoiceTerms) -> Self {
        Self::Evm(terms)
    }
}

impl From<SolanaTerms> for Terms {
    fn from(terms: SolanaTerms) -> Self {
        Self::Solana(terms)
    }
}

#[cfg(feature = "serde")]
mod read {
    use super::Terms;
    use crate::{Account, B256, InvoiceTerms, SolanaTerms, decimal_string};
    use serde::{Deserialize, Deserializer, de::Error};

    /// The fields, before it is known whose they are: that the addresses say, all alike.
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Fields {
        version: u8,
        chain: Chain,
        invoice_id: B256,
        payee: Account,
        token: Account,
        #[serde(with = "decimal_string")]
        amount: u128,
        closes_at: u64,
        refund_to: Account,
        refund_key: Account,
        settler: Account,
        flags: u8,
    }

    /// A cluster's number has 64 bits, and is written as an amount is.
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "chain is not a number, nor a cluster's number as a decimal string")]
    enum Chain {
        Id(u64),
        #[serde(with = "decimal_string")]
        Cluster(u64),
    }

    impl<'de> Deserialize<'de> for Terms {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let fields = Fields::deserialize(deserializer)?;
            let Fields { version, invoice_id, amount, closes_at, flags, .. } = fields;
            let accounts = [fields.payee, fields.token, fields.refund_to, fields.refund_key, fields.settler];
            match (fields.chain, accounts) {
                (
                    Chain::Id(chain),
                    [
                        Account::Evm(payee),
                        Account::Evm(token),
                        Account::Evm(refund_to),
                        Account::Evm(refund_key),
                        Account::Evm(settler),
                    ],
                ) => Ok(Self::Evm(InvoiceTerms {
                    version,
                    chain,
                    invoice_id,
                    payee,
                    token,
                    amount,
                    closes_at,
                    refund_to,
                    refund_key,
                    settler,
                    flags,
                })),
                (
                    Chain::Cluster(chain),
                    [
                        Account::Solana(payee),
                        Account::Solana(token),
                        Account::Solana(refund_to),
                        Account::Solana(refund_key),
                        Account::Solana(settler),
                    ],
                ) => Ok(Self::Solana(SolanaTerms {
                    version,
                    chain,
                    invoice_id,
                    payee,
                    token,
                    amount: u64::try_from(amount).map_err(|_| D::Error::custom("amount is not a u64"))?,
                    closes_at,
                    refund_to,
                    refund_key,
                    settler,
                    flags,
                })),
                _ => Err(D::Error::custom(
                    "chain, payee, token, refund_to, refund_key and settler are not all of one kind: a number and 0x as on \
                     Ethereum's chains, or a decimal string and base58 as on Solana",
                )),
            }
        }
    }
}
