//! What the chain says about terms, and what follows: what can be done, by whom, and from when. The rules are those of
//! `InvoiceEscrow` (PROTOCOL §4); where this and the contract differed the contract would say so when the call is tried.

use super::words::{somebody, token_name, units, utc, when};
use alloy_primitives::{Address, U256};
use domain::project::REFUND_WAIT_SECONDS;
use std::fmt::Write;
use terms::{Deployment, Here, InvoiceTerms, PortableTerms};

/// `status` in the escrow.
const OPEN: u8 = 0;
const PAID: u8 = 1;

/// Who the settler in the terms is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settler {
    /// Zero: anyone may settle.
    Anyone,
    /// An account with a key.
    Account,
    /// A `SettlementGate` of this escrow, which knows keys.
    Gate,
    /// A contract that is something else.
    OtherContract,
}

/// One token at the deposit address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Holding {
    /// Zero: the native coin.
    pub(super) token: Address,
    /// Base units.
    pub(super) balance: U256,
    /// As the token says.
    pub(super) decimals: Option<u8>,
}

/// What was read, all from about the same block.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub(super) terms: PortableTerms,
    /// The newest block and its time, unix seconds.
    pub(super) block: u64,
    pub(super) now: u64,
    pub(super) paid: u128,
    pub(super) status: u8,
    /// When the status became paid or cancelled, unix seconds.
    pub(super) since: u64,
    pub(super) settler: Settler,
    /// The invoice's token first, then others that were named, then the native coin.
    pub(super) holdings: Vec<Holding>,
}

impl Standing {
    pub(super) fn invoice(&self) -> &InvoiceTerms {
        &self.terms.terms
    }

    /// Whether the invoice's token is kept for the payee.
    fn kept(&self) -> bool {
        let deployment = Deployment::version_1(self.terms.escrow);
        let here = Here { chain: self.invoice().chain, timestamp: self.now, deployment };
        self.open() && self.invoice().check(&here).is_ok()
    }

    /// Whether it can still be settled, paid or cancelled.
    pub(super) fn open(&self) -> bool {
        self.status == OPEN && self.now < self.invoice().closes_at
    }

    /// What the payee has not got. Base units.
    fn due(&self) -> u128 {
        self.invoice().amount.saturating_sub(self.paid)
    }

    /// Whether enough lies there for `settle`.
    pub(super) fn funded(&self) -> bool {
        let there = self.holding(self.invoice().token);
        there >= U256::from(self.due()) || (self.invoice().partials() && !there.is_zero())
    }

    pub(super) fn holding(&self, token: Address) -> U256 {
        self.holdings.iter().find(|holding| holding.token == token).map_or(U256::ZERO, |holding| holding.balance)
    }

    /// When an order of the refund key can send this token anywhere, unix seconds; `None`: there is no such key.
    fn order_opens_at(&self, token: Address) -> Option<u64> {
        let kept = self.kept() && token == self.invoice().token;
        (!self.invoice().refund_key.is_zero()).then_some(if kept { self.invoice().closes_at } else { 0 })
    }

    /// When anyone can send this token back to `refund_to`, unix seconds: the key decides first, but not for ever.
    pub(super) fn refund_opens_at(&self, token: Address) -> u64 {
        let terms = self.invoice();
        if !terms.refund_key.is_zero() && !token.is_zero() {
            let end = if self.status == OPEN { terms.closes_at } else { self.since };
            return end.saturating_add(REFUND_WAIT_SECONDS);
        }
        if self.kept() && token == terms.token { terms.closes_at } else { 0 }
    }

    /// Tokens that lie there and can go back now, by anyone.
    pub(super) fn refundable(&self) -> Vec<Address> {
        let now = |holding: &&Holding| !holding.balance.is_zero() && self.refund_opens_at(holding.token) <= self.now;
        self.holdings.iter().filter(now).map(|holding| holding.token).collect()
    }

    /// Everything, for people.
    pub(super) fn told(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, what: String| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {name:<16} {what}");
        };
        let terms = self.invoice();
        let decimals = self.holdings.first().and_then(|holding| holding.decimals);
        line("terms hash", terms.hash().to_string());
        line("deposit address", self.terms.deposit_address().to_string());
        line("chain", terms.chain.to_string());
        line("escrow", format!("{}, InvoiceEscrow version 1 by its code", self.terms.escrow));
        line("payee", terms.payee.to_string());
        line("token", terms.token.to_string());
        line("amount", units(U256::from(terms.amount), decimals));
        line("closes", when(terms.closes_at, self.now));
        line("goes back to", terms.refund_to.to_string());
        line("refund key", somebody(terms.refund_key, "none"));
        line("settler", self.settler_told());
        let state = match self.status {
            OPEN if self.now >= terms.closes_at => "closed without being paid in full".to_owned(),
            OPEN => "open".to_owned(),
            PAID => format!("paid in full since {}", utc(self.since)),
            _ => format!("cancelled since {}", utc(self.since)),
        };
        let mut text_after = format!("At block {} of {} the chain says:\n", self.block, utc(self.now));
        let mut line = |name: &str, what: String| {
            let _ = writeln!(text_after, "  {name:<16} {what}");
        };
        line("state", state);
        line("paid", format!("{} of {}", units(U256::from(self.paid), decimals), terms.amount));
        for holding in &self.holdings {
            let what =
                format!("{} of {}", units(holding.balance, holding.decimals), token_name(holding.token, terms.token));
            line("at the address", what);
        }
        format!("The terms say:\n{text}{text_after}What can be done:\n{}", self.doors())
    }

    fn settler_told(&self) -> String {
        let settler = self.invoice().settler;
        match self.settler {
            Settler::Anyone => "none: anyone may settle".to_owned(),
            Settler::Account => settler.to_string(),
            Settler::Gate => format!("{settler}, a gate: whoever it knows as settler"),
            Settler::OtherContract => format!("{settler}, a contract that is no gate of this escrow"),
        }
    }

    /// Each verb: whether it can be done, by whom, from when.
    fn doors(&self) -> String {
        let terms = self.invoice();
        let (by_settler, by_canceller) = match self.settler {
            Settler::Anyone => ("anyone".to_owned(), format!("the payee {}", terms.payee)),
            Settler::Gate => {
                let gate = format!("keys that the gate {} knows", terms.settler);
                (gate.clone(), format!("the payee {} or {gate}", terms.payee))
            }
            Settler::Account | Settler::OtherContract => {
                (terms.settler.to_string(), format!("the payee {} or {}", terms.payee, terms.settler))
            }
        };
        let settle = match (self.open(), self.funded()) {
            (true, true) => format!("now, until {}, by {by_settler}", when(terms.closes_at, self.now)),
            (true, false) => format!(
                "not yet: {} base units are due and {} lie there; until {}, by {by_settler}",
                self.due(),
                self.holding(terms.token),
                when(terms.closes_at, self.now)
            ),
            (false, _) => self.ended(),
        };
        let cancel = match self.open() {
            true => format!("now, until {}, by {by_canceller}", when(terms.closes_at, self.now)),
            false => self.ended(),
        };
        let mut lines = vec![("--settle".to_owned(), settle)];
        for holding in &self.holdings {
            let name = token_name(holding.token, terms.token);
            let refund = match holding.balance.is_zero() {
                true => format!("nothing of {name} lies there"),
                false => {
                    let opens = self.from(self.refund_opens_at(holding.token));
                    format!("{name}: {opens}, by anyone, to {}", terms.refund_to)
                }
            };
            lines.push(("--refund".to_owned(), refund));
            if let (Some(opens), false) = (self.order_opens_at(holding.token), holding.balance.is_zero()) {
                let opens = self.from(opens);
                let order = format!("{name}: {opens}, with the refund key {}, to any address", terms.refund_key);
                lines.push(("--refund-to".to_owned(), order));
            }
        }
        lines.push(("--cancel".to_owned(), cancel));
        lines.iter().map(|(verb, what)| format!("  {verb:<16} {what}\n")).collect()
    }

    fn from(&self, at: u64) -> String {
        if at <= self.now { "now".to_owned() } else { format!("from {} on", when(at, self.now)) }
    }

    fn ended(&self) -> String {
        match self.status {
            OPEN => format!("no more: the invoice has closed at {}", when(self.invoice().closes_at, self.now)),
            PAID => "no more: the invoice is paid in full".to_owned(),
            _ => "no more: the invoice is cancelled".to_owned(),
        }
    }

    /// Why nothing is due, when nothing is: one sentence.
    pub(super) fn nothing_due(&self) -> String {
        let waiting = self.holdings.iter().filter(|holding| !holding.balance.is_zero());
        let soonest = waiting.min_by_key(|holding| self.refund_opens_at(holding.token));
        match soonest {
            None => "nothing is due: nothing lies at the deposit address".to_owned(),
            Some(holding) => {
                let name = token_name(holding.token, self.invoice().token);
                let opens = when(self.refund_opens_at(holding.token), self.now);
                let settle = match (self.open(), self.funded()) {
                    (true, true) => ", and this key may not settle",
                    (true, false) => ", and too little lies there to settle",
                    (false, _) => "",
                };
                format!("nothing is due now: {name} can be sent back by anyone from {opens}{settle}")
            }
        }
    }
}
