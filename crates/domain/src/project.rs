//! From facts to decisions: the one place that says what an invoice's statuses are and what is to be done next.
//!
//! Nothing here remembers. Each time something happens (a block, a request, a moment in time) everything known of the
//! invoice on a chain is looked at afresh, so that a re-org needs no undo of its own: its facts are gone, and the
//! decisions with them.

use crate::intent::{IntentKind, IntentState, intent_id};
use crate::invoice::{Exception, InvoiceEvent, Settlement};
use crate::mint::{GateEvent, GateFact, MintState, OrderFact, intent_total};
use crate::tier::{Heights, Tier};
use crate::wallet::{DestructionReason, WalletStatus};
use alloy_primitives::{B256, U256};
use terms::Account;

/// Settling stops this long before `closes_at`, because clocks differ (PROTOCOL §7). Seconds.
pub const SETTLE_MARGIN_SECONDS: u64 = 10 * 60;

/// How long money that goes back waits for the refund key's word (PROTOCOL §4, "The wait"). Seconds.
pub const REFUND_WAIT_SECONDS: u64 = 30 * 24 * 60 * 60;

/// From displayed expiry to `closes_at` when the terms name a settler (PROTOCOL §1). Seconds.
pub const GRACE_SECONDS: u64 = 72 * 60 * 60;

/// What one of the escrow's `Recorded` events says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// The purse paid the payee.
    Settled,
    /// A wallet paid the payee directly.
    Paid,
    /// The invoice was closed for payment.
    Cancelled,
    /// The purse's balance went back, by anyone's hand or by the refund key's order.
    Refunded,
}

impl Recorded {
    /// From the number on chain (PROTOCOL §9, fixed by `docs/adr/0010`).
    pub const fn from_kind(kind: u8) -> Option<Self> {
        match kind {
            1 => Some(Self::Settled),
            2 => Some(Self::Paid),
            3 => Some(Self::Cancelled),
            4 | 5 => Some(Self::Refunded),
            _ => None,
        }
    }
}

/// One `Recorded` event.
#[derive(Clone, Debug)]
pub struct EventFact {
    /// What happened.
    pub what: Recorded,
    /// The token that moved.
    pub token: Account,
    /// Base units that moved.
    pub amount: U256,
    /// Cumulative base units paid to the payee after it.
    pub paid: u128,
    /// Status on chain after it: 0 open, 1 paid in full, 2 cancelled.
    pub status: u8,
    /// Its block.
    pub block: u64,
    /// Its block's time, unix seconds.
    pub timestamp: u64,
}

/// An intent as it stands.
#[derive(Clone, Debug)]
pub struct IntentFact {
    /// Its id.
    pub id: B256,
    /// What it wants.
    pub kind: IntentKind,
    /// Of which token.
    pub token: Account,
    /// The cumulative total it starts from.
    pub cumulative_before: U256,
    /// How far it has come.
    pub state: IntentState,
}

/// What has been sent to the deposit address in the invoice's token, in base units.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deposits {
    /// In all.
    pub received: U256,
    /// In blocks before the displayed expiry.
    pub on_time: U256,
    /// In blocks of the tier that money is settled at.
    pub settleable: U256,
    /// The block of the last one.
    pub last_block: u64,
}

/// Whether an invoice on several rails is paid on this one. Decided by [`crate::rails`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// It is paid here, if anywhere; always so where there is one rail only.
    Here,
    /// It is paid on another rail: what lies here goes back.
    Elsewhere,
    /// Not decided: nothing is settled here yet.
    Open,
}

/// Everything known of one invoice on one chain.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Chain id.
    pub chain: u64,
    /// Whether the invoice is paid here.
    pub pick: Pick,
    /// The terms' hash.
    pub terms_hash: B256,
    /// The invoice's token.
    pub token: Account,
    /// The invoice's amount, base units.
    pub amount: u128,
    /// Whether partial payments are passed on.
    pub partials: bool,
    /// Whether the terms name a refund key.
    pub refund_key: bool,
    /// Whether the terms let anyone settle, so that only the payee can cancel.
    pub anyone_settles: bool,
    /// Unix seconds, from the terms.
    pub closes_at: u64,
    /// The displayed expiry, unix seconds.
    pub expires_at: u64,
    /// Who starts the payment.
    pub settlement: Settlement,
    /// Whether the customer has said "pay".
    pub pay_requested: bool,
    /// Whether the issuer has called the invoice off, with us and not (yet) on chain.
    pub called_off: bool,
    /// Money in.
    pub deposits: Deposits,
    /// Whether other tokens were sent too.
    pub foreign: bool,
    /// What the escrow recorded, in chain order.
    pub events: Vec<EventFact>,
    /// What we have set out to do.
    pub intents: Vec<IntentFact>,
    /// Orders to mint for it that were not over when they were last looked at.
    pub orders: Vec<OrderFact>,
    /// What this chain's mint gate has told of it, in chain order.
    pub gate_events: Vec<GateFact>,
    /// Whether it is a redemption: its payee is this chain's mint gate, which burns what it is paid.
    pub redeems: bool,
    /// The chain's tags.
    pub heights: Heights,
    /// The time of the highest block, unix seconds.
    pub now: u64,
    /// The time of the finalized block, unix seconds.
    pub final_now: u64,
}

/// An intent that the facts call for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its id.
    pub id: B256,
    /// What is to be done.
    pub kind: IntentKind,
    /// With which token.
    pub token: Account,
    /// The cumulative total on chain before it.
    pub cumulative_before: U256,
}

/// When to look again although nothing happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wake {
    /// When the highest block's time has reached this, unix seconds.
    pub seen_at: Option<u64>,
    /// When the finalized block's time has reached this, unix seconds.
    pub final_at: Option<u64>,
}

/// What follows from the facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whether the invoice is paid here, as in the facts.
    pub pick: Pick,
    /// What has become of the invoice.
    pub invoice: InvoiceEvent,
    /// How settled the chain is about it; `None` while there is nothing on chain.
    pub tier: Option<Tier>,
    /// What is out of the ordinary.
    pub exceptions: Vec<Exception>,
    /// The statuses the wallet has reached, in order.
    pub wallet: Vec<WalletStatus>,
    /// Why the wallet goes, if it goes.
    pub reason: Option<DestructionReason>,
    /// Base units received at the deposit address and through `pay`.
    pub received: U256,
    /// Base units the payee has.
    pub paid: u128,
    /// Base units at the deposit address.
    pub balance: U256,
    /// Whether nothing lies at the deposit address, and no re-org will say otherwise of what is known.
    pub empty_for_good: bool,
    /// What is to be done, at most one of each kind.
    pub wanted: Vec<Wanted>,
    /// Intents whose state the chain has changed.
    pub intents: Vec<(B256, IntentState)>,
    /// Orders to mint that have become something else: of which deposit, which of its orders, and what.
    pub orders: Vec<(B256, u32, MintState)>,
    /// When to look again.
    pub wake: Wake,
}

/// Looks at the facts of one invoice on one chain.
pub fn project(facts: &Facts) -> Outcome {
    let books = Books::of(facts);
    let wanted = books.wanted();
    let intents = books.intents(&wanted);
    let wallet = books.wallet(&wanted);
    Outcome {
        pick: facts.pick,
        invoice: books.invoice(),
        tier: books.decisive_block().map(|block| facts.heights.tier(block)),
        exceptions: books.exceptions(),
        reason: wallet.contains(&WalletStatus::Destroying).then(|| books.reason()),
        wallet,
        received: books.received(),
        paid: books.paid,
        balance: books.balance,
        empty_for_good: books.empty_for_good(),
        wanted,
        intents,
        orders: books.orders(),
        wake: books.wake(),
    }
}

/// The facts, added up.
pub(crate) struct Books<'a> {
    facts: &'a Facts,
    /// 0 open, 1 paid in full, 2 cancelled.
    status: u8,
    /// When the status became 1 or 2, unix seconds.
    since: Option<u64>,
    paid: u128,
    settled: U256,
    refunded: U256,
    balance: U256,
}

impl<'a> Books<'a> {
    pub(crate) fn of(facts: &'a Facts) -> Self {
        let sum = |what: Recorded| {
            let moved = facts.events.iter().filter(|event| event.what == what && event.token == facts.token);
            moved.fold(U256::ZERO, |sum, event| sum.saturating_add(event.amount))
        };
        let (settled, refunded) = (sum(Recorded::Settled), sum(Recorded::Refunded));
        Self {
            facts,
            status: facts.events.last().map_or(0, |event| event.status),
            since: facts.events.iter().find(|event| event.status != 0).map(|event| event.timestamp),
            paid: facts.events.last().map_or(0, |event| event.paid),
            settled,
            refunded,
            balance: facts.deposits.received.saturating_sub(settled).saturating_sub(refunded),
        }
    }

    pub(crate) fn open(&self) -> bool {
        self.status == 0 && self.facts.now < self.facts.closes_at
    }

    fn due(&self) -> U256 {
        U256::from(self.facts.amount.saturating_sub(self.paid))
    }

    /// What a settlement would move of the deposits `counted`.
    fn payable(&self, counted: U256) -> U256 {
        let there = counted.saturating_sub(self.settled).saturating_sub(self.refunded).min(self.balance);
        match self.due() {
            due if there >= due => due,
            _ if self.facts.partials => there,
            _ => U256::ZERO,
        }
    }

    fn expired(&self) -> bool {
        self.facts.now >= self.facts.expires_at
    }

    fn last_block(&self) -> Option<u64> {
        let event = self.facts.events.last().map(|event| event.block);
        let deposit = (!self.facts.deposits.received.is_zero()).then_some(self.facts.deposits.last_block);
        event.max(deposit)
    }

    /// The block that says how it stands: that of the event that ended it, else the last one of all. What comes after the end,
    /// such as a stranger's dust that is sent back, makes a payment no less certain.
    fn decisive_block(&self) -> Option<u64> {
        let end = self.facts.events.iter().find(|event| event.status != 0).map(|event| event.block);
        end.or_else(|| self.last_block())
    }

    fn elsewhere(&self) -> bool {
        self.facts.pick == Pick::Elsewhere
    }

    /// Whether so much time is left that something can still be decided, although clocks differ.
    pub(crate) fn in_time(&self) -> bool {
        self.facts.now.saturating_add(SETTLE_MARGIN_SECONDS) < self.facts.closes_at
    }

    /// Whether what lies here on time could be settled, as soon as it is settled enough and somebody says so.
    pub(crate) fn covered(&self) -> bool {
        self.open() && !self.payable(self.facts.deposits.on_time).is_zero()
    }

    /// Whether a payer's authorization may be sent, as far as the time and the issuer's word go.
    pub(crate) fn takes_authorizations(&self) -> bool {
        self.open() && !self.expired() && !self.facts.called_off
    }

    /// Whether what lies here would be settled, if the invoice is paid here.
    pub(crate) fn ready(&self) -> bool {
        let facts = self.facts;
        let may = facts.settlement == Settlement::Automatic || facts.pay_requested;
        // After the displayed expiry only what came on time is settled, but that ahead of all else (PROTOCOL §7).
        let counted = if self.expired() {
            facts.deposits.settleable.min(facts.deposits.on_time)
        } else {
            facts.deposits.settleable
        };
        may && self.in_time() && !facts.called_off && self.open() && !self.payable(counted).is_zero()
    }

    /// Whether an order to mint may still be signed or spent: then nothing else pays the invoice, and nothing ends it.
    pub(crate) fn ordered(&self) -> bool {
        self.facts.orders.iter().any(|order| order.now(self.facts).is_live())
    }

    /// Orders that are something else than what was stored.
    fn orders(&self) -> Vec<(B256, u32, MintState)> {
        let orders = self.facts.orders.iter().map(|order| (order, order.now(self.facts)));
        let changed = orders.filter(|(order, now)| order.state != *now);
        changed.map(|(order, now)| (order.deposit_id, order.attempt, now)).collect()
    }

    /// What an order mints now, if the invoice is paid here.
    fn mints(&self) -> Option<&OrderFact> {
        let may = self.facts.pick == Pick::Here && self.in_time() && self.open() && !self.facts.called_off;
        self.facts.orders.iter().find(|order| may && order.is_spendable(self.facts))
    }

    /// Whether a redemption was paid in full, for good, and is not burned yet.
    fn redeems(&self) -> bool {
        let paid = self.status == 1 && self.decisive_block().map(|at| self.facts.heights.tier(at)) == Some(Tier::Final);
        let burned = self.facts.gate_events.iter().any(|event| event.what == GateEvent::Redeemed);
        self.facts.redeems && paid && !burned
    }

    /// An order that is out is waited for: whoever has its signatures pays with it, and the invoice's own money is too much then.
    fn settles(&self) -> bool {
        self.facts.pick == Pick::Here && self.ready() && !self.ordered()
    }

    /// Whether money that was there on time still waits to be settled, or an order to mint to be spent: it keeps the invoice
    /// from expiring.
    fn waits_on_time(&self) -> bool {
        let facts = self.facts;
        let may = facts.settlement == Settlement::Automatic || facts.pay_requested;
        let waits = may && self.covered() || self.status == 0 && self.ordered();
        !facts.called_off && !self.elsewhere() && waits
    }

    /// Whether what lies there is to be cancelled: the issuer has called the invoice off, it is paid on another rail, or the
    /// last block before the displayed expiry is final, so that nothing that came on time can still turn up. Where anyone
    /// settles we may not cancel: it goes back at `closes_at`.
    fn is_over(&self) -> bool {
        let facts = self.facts;
        let ran_out = facts.final_now >= facts.expires_at && !self.waits_on_time();
        (facts.called_off || self.elsewhere() || ran_out) && !facts.anyone_settles
    }

    /// When `refund` opens to anyone, unix seconds; `None` while the invoice is open.
    fn refund_opens_at(&self) -> Option<u64> {
        let closed = match self.since {
            Some(since) => since.min(self.facts.closes_at),
            None if self.facts.now >= self.facts.closes_at => self.facts.closes_at,
            None => return None,
        };
        Some(if self.facts.refund_key { closed.saturating_add(REFUND_WAIT_SECONDS) } else { closed })
    }

    fn wanted(&self) -> Vec<Wanted> {
        let facts = self.facts;
        let want = |kind, cumulative_before| Wanted {
            id: intent_id(kind, facts.chain, facts.terms_hash, facts.token, cumulative_before),
            kind,
            token: facts.token,
            cumulative_before,
        };
        let mut wanted = Vec::new();
        if let Some(order) = self.mints() {
            wanted.push(want(IntentKind::Mint, intent_total(order.deposit_id)));
        } else if self.settles() {
            wanted.push(want(IntentKind::Settle, U256::from(self.paid)));
        } else if self.open() && self.is_over() && (!self.balance.is_zero() || self.ordered()) {
            // Where nothing lies a cancel is not worth its gas. But an order may be out there although the invoice is paid
            // elsewhere, where a pick was lost: whoever has its signatures would pay a second time.
            wanted.push(want(IntentKind::Cancel, U256::from(self.paid)));
        }
        if !self.balance.is_zero() && self.refund_opens_at().is_some_and(|opens_at| facts.now >= opens_at) {
            wanted.push(want(IntentKind::Refund, self.refunded));
        }
        if self.redeems() {
            wanted.push(want(IntentKind::Redeem, U256::ZERO));
        }
        wanted
    }

    /// The block of the event that did what the intent wants, if one did.
    fn effect(&self, intent: &IntentFact) -> Option<u64> {
        let of_gate = |wanted: GateEvent| {
            self.facts.gate_events.iter().find(|event| event.what == wanted).map(|event| event.block)
        };
        match intent.kind {
            IntentKind::Mint => return of_gate(GateEvent::Minted(intent.cumulative_before.into())),
            IntentKind::Redeem => return of_gate(GateEvent::Redeemed),
            _ => {}
        }
        let mut before = U256::ZERO;
        for event in &self.facts.events {
            let same = match (intent.kind, event.what) {
                (IntentKind::Settle, Recorded::Settled) => {
                    U256::from(event.paid).checked_sub(event.amount) == Some(intent.cumulative_before)
                }
                (IntentKind::Cancel, Recorded::Cancelled) => true,
                (IntentKind::Fund, Recorded::Settled) => event.status == 1,
                (IntentKind::Refund | IntentKind::RefundByOrder, Recorded::Refunded) if event.token == intent.token => {
                    before == intent.cumulative_before
                }
                _ => false,
            };
            if same {
                return Some(event.block);
            }
            if event.what == Recorded::Refunded && event.token == intent.token {
                before = before.saturating_add(event.amount);
            }
        }
        None
    }

    fn intents(&self, wanted: &[Wanted]) -> Vec<(B256, IntentState)> {
        let mut changed = Vec::new();
        for intent in &self.facts.intents {
            let next = match self.effect(intent) {
                Some(block) if self.facts.heights.tier(block) == Tier::Final => IntentState::Final,
                Some(_) => IntentState::Seen,
                // A re-org took the effect back: the transaction is on its way again.
                None if intent.state == IntentState::Seen => IntentState::Broadcast,
                None if intent.state == IntentState::Accepted && !self.stands(intent, wanted) => {
                    IntentState::Superseded
                }
                None => intent.state,
            };
            if next != intent.state && intent.state != IntentState::Final {
                changed.push((intent.id, next));
            }
        }
        changed
    }

    /// Whether an intent that nothing is signed for is still to be carried out: the facts call for it, or somebody asked.
    fn stands(&self, intent: &IntentFact, wanted: &[Wanted]) -> bool {
        let asked = match intent.kind {
            // Sending it pays the invoice at once, so that it waits until it is paid here.
            IntentKind::Fund => self.takes_authorizations() && self.facts.pick == Pick::Here,
            IntentKind::RefundByOrder => true,
            IntentKind::Refund => intent.token != self.facts.token,
            IntentKind::Settle | IntentKind::Cancel | IntentKind::Mint | IntentKind::Redeem => false,
        };
        asked || wanted.iter().any(|want| want.id == intent.id)
    }

    fn pays(&self, wanted: &[Wanted]) -> bool {
        let pays = |kind: IntentKind| matches!(kind, IntentKind::Settle | IntentKind::Mint);
        wanted.iter().any(|want| pays(want.kind))
            || self.facts.intents.iter().any(|intent| pays(intent.kind) && intent.state.in_flight())
    }

    fn empty_for_good(&self) -> bool {
        let tier = self.last_block().map(|block| self.facts.heights.tier(block));
        self.balance.is_zero() && tier.is_none_or(|tier| tier == Tier::Final)
    }

    fn wallet(&self, wanted: &[Wanted]) -> Vec<WalletStatus> {
        use WalletStatus::{Active, Destroyed, Destroying, Funded, PaymentComplete, PaymentInProgress};
        let empty_for_good = self.empty_for_good();
        let mut path = Vec::new();
        match self.status {
            1 => {
                if !self.settled.is_zero() {
                    path.extend([Funded, PaymentInProgress]);
                }
                path.push(PaymentComplete);
                let ended = self.facts.events.iter().find(|event| event.status != 0);
                if ended.is_some_and(|event| self.facts.heights.tier(event.block) >= Tier::Safe) {
                    path.push(Destroying);
                    if empty_for_good {
                        path.push(Destroyed);
                    }
                }
            }
            2 => {
                path.push(Destroying);
                if empty_for_good {
                    path.push(Destroyed);
                }
            }
            // As long as nothing is cancelled on chain, money may still come, and the key has to be there for it.
            _ if self.facts.called_off || self.elsewhere() || self.expired() && !self.waits_on_time() => {
                path.push(Destroying);
                if empty_for_good && self.facts.final_now >= self.facts.expires_at {
                    path.push(Destroyed);
                }
            }
            _ if self.pays(wanted) => path.extend([Funded, PaymentInProgress]),
            _ if self.balance >= self.due() => path.push(Funded),
            _ => path.push(Active),
        }
        path
    }

    fn reason(&self) -> DestructionReason {
        match (self.status, self.since) {
            (1, _) => DestructionReason::PaymentComplete,
            (2, Some(since)) if since < self.facts.expires_at => DestructionReason::Cancelled,
            _ if self.facts.called_off => DestructionReason::Cancelled,
            _ => DestructionReason::TtlExpired,
        }
    }

    /// Money that reached the payee without lying at the deposit address counts as received too.
    fn received(&self) -> U256 {
        self.facts.deposits.received.saturating_add(U256::from(self.paid).saturating_sub(self.settled))
    }

    fn invoice(&self) -> InvoiceEvent {
        match (self.status, self.since) {
            (1, _) if self.received() > U256::from(self.facts.amount) => InvoiceEvent::Oversettled,
            (1, _) => InvoiceEvent::Settled,
            (2, Some(since)) if since < self.facts.expires_at => InvoiceEvent::CalledOff,
            _ if self.facts.called_off => InvoiceEvent::CalledOff,
            (2, _) => InvoiceEvent::RanOut,
            _ if self.expired() && !self.waits_on_time() => InvoiceEvent::RanOut,
            _ if self.received().is_zero() => InvoiceEvent::Waits,
            _ if self.balance >= self.due() => InvoiceEvent::Funded,
            _ => InvoiceEvent::FundedInPart,
        }
    }

    fn exceptions(&self) -> Vec<Exception> {
        let deposits = &self.facts.deposits;
        let over = matches!(self.invoice(), InvoiceEvent::RanOut | InvoiceEvent::CalledOff);
        let closed = self.status != 0 || over || self.elsewhere();
        let all = [
            (deposits.received > deposits.on_time, Exception::PaidLate),
            (closed && !self.balance.is_zero(), Exception::RefundDue),
            (self.facts.foreign, Exception::ForeignToken),
            (self.elsewhere() && !self.received().is_zero(), Exception::OtherRail),
        ];
        all.into_iter().filter_map(|(is_so, exception)| is_so.then_some(exception)).collect()
    }

    fn wake(&self) -> Wake {
        let facts = self.facts;
        let wake = self.wake_for_itself();
        // An order is over when the finalized block is beyond its last second.
        let over = facts.orders.iter().filter(|order| order.now(facts).is_live());
        let over = over.map(|order| order.valid_until.saturating_add(1)).filter(|at| facts.final_now < *at).min();
        let until = facts.orders.iter().map(|order| order.valid_until.saturating_add(1));
        let until = until.filter(|at| facts.now < *at).min();
        let earlier = |one: Option<u64>, other: Option<u64>| one.into_iter().chain(other).min();
        Wake { seen_at: earlier(wake.seen_at, until), final_at: earlier(wake.final_at, over) }
    }

    fn wake_for_itself(&self) -> Wake {
        let facts = self.facts;
        let later = |at: u64| (facts.now < at).then_some(at);
        let refund = if self.balance.is_zero() { None } else { self.refund_opens_at().and_then(later) };
        if self.status != 0 {
            return Wake { seen_at: refund, final_at: None };
        }
        let close = if self.balance.is_zero() { None } else { later(facts.closes_at) };
        Wake {
            seen_at: later(facts.expires_at).or(refund).or(close),
            final_at: (facts.final_now < facts.expires_at).then_some(facts.expires_at),
        }
    }
}
