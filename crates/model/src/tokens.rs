//! Balances of well-behaved tokens, and of the native coin.

use crate::Error;
use alloy_primitives::U256;
use std::collections::{BTreeMap, BTreeSet};
use terms::Address;

/// The native coin, where a token is asked for (PROTOCOL §4: "native coin (token 0)").
pub const NATIVE: Address = Address::ZERO;

/// Who has what. Nothing is made or lost by a transfer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tokens {
    /// Addresses with code that are ERC-20 tokens.
    contracts: BTreeSet<Address>,
    /// (token, account) → base units. No entry: zero.
    balances: BTreeMap<(Address, Address), U256>,
    /// (token, account) pairs the issuer has blacklisted.
    blocked: BTreeSet<(Address, Address)>,
}

impl Tokens {
    pub(crate) fn deploy(&mut self, token: Address) {
        self.contracts.insert(token);
    }

    pub(crate) fn is_contract(&self, token: Address) -> bool {
        self.contracts.contains(&token)
    }

    pub(crate) fn block(&mut self, token: Address, account: Address, blocked: bool) {
        if blocked {
            self.blocked.insert((token, account));
        } else {
            self.blocked.remove(&(token, account));
        }
    }

    pub(crate) fn balance(&self, token: Address, account: Address) -> U256 {
        self.balances.get(&(token, account)).copied().unwrap_or_default()
    }

    /// All (token, account, balance) that are not zero.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Address, Address, U256)> {
        self.balances.iter().map(|(&(token, account), &balance)| (token, account, balance))
    }

    pub(crate) fn supply(&self, token: Address) -> U256 {
        // Cannot wrap: `mint` keeps every supply within 2^256 - 1.
        self.all().filter(|(of, ..)| *of == token).fold(U256::ZERO, |sum, (.., balance)| sum.wrapping_add(balance))
    }

    pub(crate) fn mint(&mut self, token: Address, account: Address, amount: U256) -> Result<(), Error> {
        self.supply(token).checked_add(amount).ok_or(Error::Arithmetic)?;
        self.credit(token, account, amount)
    }

    /// What OpenZeppelin's ERC-20 and USDC do. The native coin knows no blacklist.
    pub(crate) fn transfer(&mut self, token: Address, from: Address, to: Address, amount: U256) -> Result<(), Error> {
        if token != NATIVE {
            let blocked = [from, to].iter().any(|&account| self.blocked.contains(&(token, account)));
            if blocked || to.is_zero() || !self.is_contract(token) {
                return Err(Error::TransferFailed);
            }
        }
        let rest = self.balance(token, from).checked_sub(amount).ok_or(Error::TransferFailed)?;
        self.set(token, from, rest);
        self.credit(token, to, amount)
    }

    fn credit(&mut self, token: Address, account: Address, amount: U256) -> Result<(), Error> {
        let sum = self.balance(token, account).checked_add(amount).ok_or(Error::Arithmetic)?;
        self.set(token, account, sum);
        Ok(())
    }

    fn set(&mut self, token: Address, account: Address, balance: U256) {
        if balance.is_zero() {
            self.balances.remove(&(token, account));
        } else {
            self.balances.insert((token, account), balance);
        }
    }
}
