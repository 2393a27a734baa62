//! A chain with the escrow on it.

use crate::{
    Door, Error, InvoiceTerms, Logged, RefundOrder, Slot, doors,
    tokens::Tokens,
    verbs::{SettleFailed, Transaction},
};
use alloy_primitives::U256;
use std::collections::{BTreeMap, BTreeSet};
use terms::{Address, B256, Here};

/// Everything the escrow's outcome can depend on. Two equal worlds answer every command alike.
#[derive(Clone, Debug)]
pub struct World {
    pub(crate) here: Here,
    pub(crate) tokens: Tokens,
    pub(crate) slots: BTreeMap<B256, Slot>,
    pub(crate) used_orders: BTreeSet<B256>,
    pub(crate) log: Vec<Logged>,
}

impl PartialEq for World {
    fn eq(&self, other: &Self) -> bool {
        self.here.chain == other.here.chain
            && self.here.timestamp == other.here.timestamp
            && self.here.deployment == other.here.deployment
            && self.tokens == other.tokens
            && self.slots == other.slots
            && self.used_orders == other.used_orders
            && self.log == other.log
    }
}

/// The scene: what is there before anybody calls the escrow.
impl World {
    /// An escrow nobody has used on a chain without tokens.
    pub fn new(here: Here) -> Self {
        Self { here, tokens: Tokens::default(), slots: BTreeMap::new(), used_orders: BTreeSet::new(), log: Vec::new() }
    }

    /// Puts a token contract at `token`.
    pub fn deploy_token(&mut self, token: Address) {
        self.tokens.deploy(token);
    }

    /// Makes `amount` of `token` (or of the native coin) out of nothing.
    pub fn mint(&mut self, token: Address, account: Address, amount: U256) -> Result<(), Error> {
        self.tokens.mint(token, account, amount)
    }

    /// The issuer of `token` blacklists `account`, or forgives it.
    pub fn block(&mut self, token: Address, account: Address, blocked: bool) {
        self.tokens.block(token, account, blocked);
    }

    /// Lets time pass. It never goes back: an earlier timestamp changes nothing.
    pub fn warp(&mut self, timestamp: u64) {
        self.here.timestamp = self.here.timestamp.max(timestamp);
    }

    /// Somebody sends `amount` of `token` (or of the native coin), to a deposit address or elsewhere.
    pub fn transfer(&mut self, token: Address, from: Address, to: Address, amount: U256) -> Result<(), Error> {
        self.transact(|transaction| transaction.world.tokens.transfer(token, from, to, amount))
    }
}

/// What can be seen.
impl World {
    /// Chain, time, and where the escrow is.
    pub fn here(&self) -> &Here {
        &self.here
    }

    /// The deposit address of any terms, valid or not.
    pub fn purse(&self, terms: &InvoiceTerms) -> Address {
        terms.deposit_address(&self.here.deployment)
    }

    /// What `account` has of `token`.
    pub fn balance(&self, token: Address, account: Address) -> U256 {
        self.tokens.balance(token, account)
    }

    /// All (token, account, balance) that are not zero.
    pub fn balances(&self) -> impl Iterator<Item = (Address, Address, U256)> {
        self.tokens.all()
    }

    /// How much of `token` there is.
    pub fn supply(&self, token: Address) -> U256 {
        self.tokens.supply(token)
    }

    /// The slots that are not untouched.
    pub fn slots(&self) -> &BTreeMap<B256, Slot> {
        &self.slots
    }

    /// Whether an order with this digest has been carried out.
    pub fn is_used(&self, digest: B256) -> bool {
        self.used_orders.contains(&digest)
    }

    /// Every event since the beginning.
    pub fn log(&self) -> &[Logged] {
        &self.log
    }

    /// `stateOf`: never fails, untouched slots are all zero.
    pub fn state_of(&self, terms_hash: B256) -> Slot {
        self.slots.get(&terms_hash).copied().unwrap_or_default()
    }

    /// `escrowOf`: the deposit address, only of terms that break no row of §1.
    pub fn escrow_of(&self, terms: &InvoiceTerms) -> Result<Address, Error> {
        self.check(terms)?;
        Ok(self.purse(terms))
    }

    /// From when on `token` may go back through `door`, unix seconds; 0: any time.
    pub fn opens_at(&self, terms: &InvoiceTerms, token: Address, door: Door) -> u64 {
        doors::opens_at(terms, self.check(terms).is_ok(), self.state_of(terms.hash()), token, door)
    }

    /// PROTOCOL §1, with the half of the token row that only the chain can tell: it has code.
    pub fn check(&self, terms: &InvoiceTerms) -> Result<(), Error> {
        match terms.check(&self.here).map_err(Error::from) {
            // The token's row is looked at before those of payee and refundTo.
            Ok(()) | Err(Error::InvalidPayee | Error::InvalidRefundTo) if !self.tokens.is_contract(terms.token) => {
                Err(Error::InvalidToken)
            }
            result => result,
        }
    }
}

/// What can be done: each verb of PROTOCOL §4 as one transaction, which happens as a whole or not at all.
impl World {
    /// `settle(terms)`: the purse's money to the payee, up to what is due. Returns what moved.
    pub fn settle(&mut self, caller: Address, terms: &InvoiceTerms) -> Result<u128, Error> {
        self.transact(|transaction| transaction.settle(caller, terms))
    }

    /// `settleBatch(terms[])`: one failing item fails alone. Returns the items that failed, in order.
    pub fn settle_batch(&mut self, caller: Address, terms: &[InvoiceTerms]) -> Result<Vec<SettleFailed>, Error> {
        self.transact(|transaction| transaction.settle_batch(caller, terms))
    }

    /// `pay(terms, amount)`: the caller's own money to the payee, up to `amount` and what is due. Returns what moved.
    pub fn pay(&mut self, caller: Address, terms: &InvoiceTerms, amount: U256) -> Result<u128, Error> {
        self.transact(|transaction| transaction.pay(caller, terms, amount))
    }

    /// `cancel(terms)`: by payee or settler.
    pub fn cancel(&mut self, caller: Address, terms: &InvoiceTerms) -> Result<(), Error> {
        self.transact(|transaction| transaction.cancel(caller, terms))
    }

    /// `refund(terms, token)`: all of it to refundTo, by anyone. Returns what moved.
    pub fn refund(&mut self, terms: &InvoiceTerms, token: Address) -> Result<U256, Error> {
        self.transact(|transaction| transaction.refund(terms, token))
    }

    /// `refundByOrder(terms, order, signature)`: all of it to `order.to`. `signer` is the address recovered from the
    /// signature, `None` where the signature is empty. Returns what moved.
    pub fn refund_by_order(
        &mut self,
        caller: Address,
        terms: &InvoiceTerms,
        order: &RefundOrder,
        signer: Option<Address>,
    ) -> Result<U256, Error> {
        self.transact(|transaction| transaction.refund_by_order(caller, terms, order, signer))
    }

    /// All or nothing.
    fn transact<T>(&mut self, run: impl FnOnce(&mut Transaction) -> Result<T, Error>) -> Result<T, Error> {
        let mut transaction = Transaction::new(self.clone());
        let done = run(&mut transaction)?;
        *self = transaction.world;
        Ok(done)
    }
}
