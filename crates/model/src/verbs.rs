//! The verbs of PROTOCOL §4, each read from left to right: valid terms, who, when, effect.

use crate::{Door, Error, InvoiceTerms, Kind, Logged, NATIVE, Recorded, RefundOrder, Slot, Status, World};
use alloy_primitives::U256;
use alloy_sol_types::SolStruct;
use std::collections::BTreeSet;
use terms::{Address, B256};

/// An item of a batch that failed, and why. "A hint, never a state".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettleFailed {
    /// Which terms.
    pub terms_hash: B256,
    /// Why.
    pub reason: Error,
}

/// The world in the middle of a transaction, and the purses that have run in it.
#[derive(Clone, Debug)]
pub(crate) struct Transaction {
    pub(crate) world: World,
    ran: BTreeSet<Address>,
}

impl Transaction {
    pub(crate) fn new(world: World) -> Self {
        Self { world, ran: BTreeSet::new() }
    }

    /// "purse → payee: `min(balance, amount − paid)`; partials off: exactly `amount`, else `NotFunded`. Excess stays".
    pub(crate) fn settle(&mut self, caller: Address, terms: &InvoiceTerms) -> Result<u128, Error> {
        self.world.check(terms)?;
        settler_calls(caller, terms)?;
        let (hash, slot) = self.open(terms)?;

        let balance = self.world.balance(terms.token, self.world.purse(terms));
        let amount = moved(terms, slot, balance)?;
        self.record_payment(terms, hash, slot, amount, Kind::Settled)?;
        self.run(terms, terms.token, terms.payee, U256::from(amount))?;
        Ok(amount)
    }

    /// "Authorised in the outer frame" (each item sees the same caller), "one failing item fails alone". The gas of
    /// `gasPerItem` is the contract's own test.
    pub(crate) fn settle_batch(&mut self, caller: Address, batch: &[InvoiceTerms]) -> Result<Vec<SettleFailed>, Error> {
        let mut failed = Vec::new();
        for terms in batch {
            let mut inner = self.clone();
            match inner.settle(caller, terms) {
                Ok(_) => *self = inner,
                Err(reason) => failed.push(SettleFailed { terms_hash: terms.hash(), reason }),
            }
        }
        Ok(failed)
    }

    /// "Pulls from msg.sender only, straight to payee. `amount` is a ceiling: `min(amount, due)`; partials off: all
    /// that is due or `NotFunded`. What lies in the purse is not counted". The caller has approved the escrow.
    pub(crate) fn pay(&mut self, caller: Address, terms: &InvoiceTerms, amount: U256) -> Result<u128, Error> {
        self.world.check(terms)?;
        settler_calls(caller, terms)?;
        let (hash, slot) = self.open(terms)?;
        if caller == terms.payee {
            return Err(Error::PayerIsPayee);
        }

        let amount = moved(terms, slot, amount)?;
        self.record_payment(terms, hash, slot, amount, Kind::Paid)?;
        self.world.tokens.transfer(terms.token, caller, terms.payee, U256::from(amount))?;
        Ok(amount)
    }

    /// "Status 2; partials already passed on stay".
    pub(crate) fn cancel(&mut self, caller: Address, terms: &InvoiceTerms) -> Result<(), Error> {
        self.world.check(terms)?;
        let settler = !terms.settler.is_zero() && caller == terms.settler;
        if caller != terms.payee && !settler {
            return Err(Error::NotPayeeNorSettler);
        }
        let (hash, slot) = self.open(terms)?;

        let slot = Slot { status: Status::Cancelled, since: self.world.here.timestamp, ..slot };
        self.world.slots.insert(hash, slot);
        self.emit(hash, slot, terms.token, Address::ZERO, U256::ZERO, Kind::Cancelled);
        Ok(())
    }

    /// "The whole balance → refundTo", by anyone, any number of times.
    pub(crate) fn refund(&mut self, terms: &InvoiceTerms, token: Address) -> Result<U256, Error> {
        self.goes_back_somewhere(terms)?;
        self.give_back(terms, token, terms.refund_to, Door::Refund)
    }

    /// "The whole balance → order.to", by "anyone carrying it; refundKey itself with an empty signature".
    pub(crate) fn refund_by_order(
        &mut self,
        caller: Address,
        terms: &InvoiceTerms,
        order: &RefundOrder,
        signer: Option<Address>,
    ) -> Result<U256, Error> {
        self.goes_back_somewhere(terms)?;
        if terms.refund_key.is_zero() {
            return Err(Error::NoRefundKey);
        }
        if order.termsHash != terms.hash() {
            return Err(Error::OrderForOtherTerms);
        }
        if U256::from(self.world.here.timestamp) > order.deadline {
            return Err(Error::OrderExpired);
        }
        let factory = self.world.here.deployment.factory;
        if [Address::ZERO, factory, order.token, self.world.purse(terms)].contains(&order.to) {
            return Err(Error::InvalidOrderTo);
        }
        // "Each digest once": under one domain the struct hash tells orders apart as the digest does.
        if !self.world.used_orders.insert(order.eip712_hash_struct()) {
            return Err(Error::OrderUsed);
        }
        // With an empty signature it is the caller's own word.
        if signer.unwrap_or(caller) != terms.refund_key {
            return Err(Error::NotRefundKey);
        }
        self.give_back(terms, order.token, order.to, Door::Order)
    }

    /// "Chain matches, open, before closesAt". That the chain matches is a row of §1, checked before.
    fn open(&self, terms: &InvoiceTerms) -> Result<(B256, Slot), Error> {
        let hash = terms.hash();
        let slot = self.world.state_of(hash);
        if slot.status != Status::Open {
            return Err(Error::NotOpen);
        }
        if self.world.here.timestamp >= terms.closes_at {
            return Err(Error::Closed);
        }
        Ok((hash, slot))
    }

    /// "refund and refundByOrder check only refundTo (not 0, not the factory)".
    fn goes_back_somewhere(&self, terms: &InvoiceTerms) -> Result<(), Error> {
        if terms.refund_to.is_zero() || terms.refund_to == self.world.here.deployment.factory {
            return Err(Error::InvalidRefundTo);
        }
        Ok(())
    }

    fn give_back(&mut self, terms: &InvoiceTerms, token: Address, to: Address, door: Door) -> Result<U256, Error> {
        if self.world.here.timestamp < self.world.opens_at(terms, token, door) {
            return Err(Error::NotRefundable);
        }
        if token != NATIVE && !self.world.tokens.is_contract(token) {
            return Err(Error::BalanceUnreadable);
        }
        let amount = self.world.balance(token, self.world.purse(terms));
        if amount.is_zero() {
            return Err(Error::NothingDue);
        }
        let hash = terms.hash();
        let kind = match door {
            Door::Refund => Kind::Refunded,
            Door::Order => Kind::RefundedByOrder,
        };
        self.emit(hash, self.world.state_of(hash), token, to, amount, kind);
        self.run(terms, token, to, amount)?;
        Ok(amount)
    }

    /// What the payee has had rises; with the last unit the invoice is paid in full.
    fn record_payment(
        &mut self,
        terms: &InvoiceTerms,
        hash: B256,
        slot: Slot,
        amount: u128,
        kind: Kind,
    ) -> Result<(), Error> {
        let paid = slot.paid.checked_add(amount).ok_or(Error::Arithmetic)?;
        let slot = if paid == terms.amount {
            Slot { paid, status: Status::Paid, since: self.world.here.timestamp }
        } else {
            Slot { paid, ..slot }
        };
        self.world.slots.insert(hash, slot);
        self.emit(hash, slot, terms.token, terms.payee, U256::from(amount), kind);
        Ok(())
    }

    /// Runs the purse: moves the money, then SELFDESTRUCTs; "beneficiary = refundTo (in an order with token 0:
    /// order.to)". So any run takes the native coin along.
    fn run(&mut self, terms: &InvoiceTerms, token: Address, to: Address, amount: U256) -> Result<(), Error> {
        let purse = self.world.purse(terms);
        if !self.ran.insert(purse) {
            return Err(Error::AlreadyRan);
        }
        let beneficiary = if token == NATIVE { to } else { terms.refund_to };
        if token != NATIVE {
            self.world.tokens.transfer(token, purse, to, amount)?;
        }
        let coins = self.world.balance(NATIVE, purse);
        self.world.tokens.transfer(NATIVE, purse, beneficiary, coins)
    }

    fn emit(&mut self, hash: B256, slot: Slot, token: Address, to: Address, amount: U256, kind: Kind) {
        let event = Recorded {
            termsHash: hash,
            token,
            to,
            amount,
            paid: slot.paid,
            status: slot.status.as_u8(),
            kind: kind.as_u8(),
        };
        self.world.log.push(Logged { timestamp: self.world.here.timestamp, event });
    }
}

/// "Settler; anyone if 0".
fn settler_calls(caller: Address, terms: &InvoiceTerms) -> Result<(), Error> {
    if terms.settler.is_zero() || caller == terms.settler { Ok(()) } else { Err(Error::NotSettler) }
}

/// `min(available, due)`; without partials all that is due or nothing; never zero.
fn moved(terms: &InvoiceTerms, slot: Slot, available: U256) -> Result<u128, Error> {
    let due = terms.amount.checked_sub(slot.paid).ok_or(Error::Arithmetic)?;
    let amount = u128::try_from(available).unwrap_or(u128::MAX).min(due);
    if !terms.partials() && amount < due {
        return Err(Error::NotFunded);
    }
    if amount == 0 {
        return Err(Error::NothingDue);
    }
    Ok(amount)
}
