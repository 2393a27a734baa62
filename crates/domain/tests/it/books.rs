//! Everything that can happen to money, at random: charges, debits and wires that come twice, late, in parts and in any order,
//! returns and chargebacks at any moment, mints that land after the money has gone, redemptions, payouts that come back,
//! transfers between rails, and services that are killed and told everything again. The books are kept as `store` keeps them; the
//! chains, the banks and the providers keep accounts of their own, which they are compared with after every step.

use domain::ledger::{Account, AccountKind as K, Entry, EntryKind, Fund, Key, Leg, Location, Names, Part};
use domain::ledger::{Phase, Position, Side};
use domain::money::Units;
use domain::receipt::{Arrival, Event, FiatRail, Receipt, ReceiptState, TakingState};
use domain::steps::Refusal;
use domain::token_rail::{CrossEvent, Crossing, Order};
use domain::withdrawal::{self, Withdrawal};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use std::collections::{BTreeMap, BTreeSet};

const BANK: &str = "main";
const OTHER_BANK: &str = "second";
const GATE: &str = "tilli";
const TOKENS: [&str; 2] = ["tempo/42431", "monay/8453"];
const CHAIN: &str = "8453";
const PRINCIPAL: u128 = 150_000_000;
const FEE: u128 = 2_500_000;
const CAPITAL: u128 = 400_000_000;
const FLOAT: u128 = 200_000_000;

/// By what rule the books are kept: the real one, and the bugs that are seeded.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Rule {
    AsIs,
    /// What was applied is not remembered.
    Forgets,
    /// What is taken back after the mint is taken from the reserve, and the deficit is not named.
    HidesTheDeficit,
    /// An order nobody has heard of for a while is taken for failed, and another is made on the next rail.
    UnknownIsFailed,
    /// The bank is paid when the tokens are locked, before they are burned.
    PaysBeforeTheBurn,
}

/// Something that happens. `who` is a receipt, `part` so many sixteenths.
#[derive(Clone, Debug)]
enum Step {
    /// What comes next for a receipt when nothing goes wrong.
    Next {
        who: usize,
    },
    Submit {
        who: usize,
    },
    Decline {
        who: usize,
    },
    Settle {
        who: usize,
        fee: u8,
        short: bool,
    },
    Hold {
        who: usize,
    },
    Clear {
        who: usize,
    },
    Accept {
        who: usize,
    },
    /// An attestation is issued for what is mintable.
    Order {
        who: usize,
        rail: usize,
    },
    /// A mint lands, for as much as is due.
    Land {
        who: usize,
        which: usize,
        part: u8,
    },
    /// The chain's finalized clock passes what was issued.
    Expire {
        who: usize,
    },
    Return {
        who: usize,
        trace: u8,
        part: u8,
        at: u8,
    },
    ReturnUndone {
        who: usize,
        trace: u8,
        at: u8,
    },
    Open {
        who: usize,
        trace: u8,
        part: u8,
        at: u8,
    },
    Won {
        who: usize,
        trace: u8,
        at: u8,
    },
    Lost {
        who: usize,
        trace: u8,
    },
    GiveBack {
        who: usize,
        trace: u8,
    },
    TopUp {
        who: usize,
        trace: u8,
        part: u8,
    },
    Restore {
        who: usize,
        trace: u8,
        part: u8,
    },
    Claw {
        who: usize,
        trace: u8,
        part: u8,
        token: usize,
    },
    PayOut {
        trace: u8,
        part: u8,
    },
    Withdraw {
        token: usize,
        part: u8,
    },
    Burn {
        who: usize,
    },
    RunOut {
        who: usize,
    },
    Pay {
        who: usize,
        trace: u8,
        how: u8,
    },
    Cross {
        from: usize,
        part: u8,
    },
    CrossBurn {
        who: usize,
    },
    CrossMint {
        who: usize,
    },
    /// Everything that was ever said is said again, from some point on.
    Again {
        from: u8,
    },
    /// The service is killed: what it knew is what it wrote.
    Crash,
}

/// Who was told what, to be told again.
#[derive(Clone, Debug)]
enum Told {
    Receipt(usize, Event),
    Withdrawal(usize, withdrawal::Event),
    Crossing(usize, CrossEvent),
    House(Entry),
}

/// The books as the database keeps them.
#[derive(Clone, Debug, Default, PartialEq)]
struct Books {
    balances: BTreeMap<Account, i128>,
    pending: BTreeMap<Key, Vec<Leg>>,
    resolved: BTreeSet<Key>,
    keys: BTreeSet<Key>,
}

impl Books {
    fn balance(&self, kind: K) -> i128 {
        self.balances.iter().filter(|(account, _)| account.kind == kind).map(|(_, units)| units).sum()
    }

    /// All or nothing, like a transaction. What the database refuses is an error in words.
    fn book(&mut self, entries: &[Entry]) -> Result<(), String> {
        let mut next = self.clone();
        for entry in entries {
            if !next.keys.insert(entry.key.clone()) {
                return Err(format!("{:?} is booked already", entry.key));
            }
            for fund in [Fund::Reserve, Fund::House] {
                let legs = entry.legs.iter().filter(|leg| leg.account.kind.rule().fund == fund);
                if legs.map(|leg| leg.amount).sum::<i128>() != 0 {
                    return Err(format!("{:?} does not balance in {fund}", entry.key));
                }
            }
            match &entry.phase {
                Phase::Pending => {
                    next.pending.insert(entry.key.clone(), entry.legs.clone());
                    continue;
                }
                Phase::Post(of) | Phase::Void(of) => {
                    let Some(legs) = next.pending.get(of) else { return Err(format!("{of:?} was not announced")) };
                    if matches!(entry.phase, Phase::Post(_)) && *legs != entry.legs {
                        return Err(format!("{of:?} is posted with other amounts"));
                    }
                    if !next.resolved.insert(of.clone()) {
                        return Err(format!("{of:?} is resolved twice"));
                    }
                }
                Phase::Single => {}
            }
            for leg in &entry.legs {
                let balance = next.balances.entry(leg.account.clone()).or_default();
                *balance += leg.amount;
                let rule = leg.account.kind.rule();
                let sign = if rule.normal == Side::Debit { 1 } else { -1 };
                if !rule.below_zero && *balance * sign < 0 {
                    return Err(format!("{} would be below zero", leg.account));
                }
            }
            let covered: i128 = entry.covered_by.iter().filter_map(|account| next.balances.get(account)).sum();
            if covered < 0 {
                return Err(format!("{:?} is not covered", entry.key));
            }
        }
        *self = next;
        Ok(())
    }
}

struct Mint {
    token: Option<usize>,
    amount: u128,
    order: Order,
}

struct Sim {
    rule: Rule,
    books: Books,
    receipts: Vec<Receipt>,
    waiting: Vec<Vec<Event>>,
    orders: Vec<Vec<Mint>>,
    withdrawals: Vec<(Withdrawal, usize)>,
    crossings: Vec<(Crossing, usize)>,
    told: Vec<Told>,
    /// What is said is old news: nothing moves outside.
    replaying: bool,
    /// What was booked, for the test of this test.
    booked: BTreeSet<EntryKind>,
    /// The chains': what is in circulation, by token, and the float.
    supply: [u128; 2],
    float: u128,
    /// The banks' and the provider's own accounts of us.
    banks: BTreeMap<String, i128>,
    provider: i128,
}

fn location(at: u8) -> Location {
    match at % 3 {
        0 => Location::Provider(GATE.into()),
        1 => Location::Bank(BANK.into()),
        _ => Location::Bank(OTHER_BANK.into()),
    }
}

fn part_of(units: u128, part: u8) -> u128 {
    units * u128::from(part % 16 + 1) / 16
}

impl Sim {
    fn new(rule: Rule) -> Self {
        let rails = [FiatRail::Card, FiatRail::Ach, FiatRail::Wire, FiatRail::Card];
        let receipts: Vec<_> = rails
            .iter()
            .enumerate()
            .map(|(n, rail)| {
                let fee = if *rail == FiatRail::Card { FEE } else { 0 };
                Receipt::new(&n.to_string(), *rail, GATE, BANK, &format!("user{}", n % 2), Units(PRINCIPAL), Units(fee))
            })
            .collect();
        let count = receipts.len();
        let mut sim = Self {
            rule,
            books: Books::default(),
            receipts,
            waiting: vec![Vec::new(); count],
            orders: (0..count).map(|_| Vec::new()).collect(),
            withdrawals: Vec::new(),
            crossings: Vec::new(),
            told: Vec::new(),
            replaying: false,
            booked: BTreeSet::new(),
            supply: [0; 2],
            float: FLOAT,
            banks: BTreeMap::new(),
            provider: 0,
        };
        let amount = [(Part::Amount, Units(CAPITAL))];
        sim.house(EntryKind::CapitalPaidIn, "1", &[(Part::Amount, Units(CAPITAL + FLOAT + 10 * FEE))]);
        *sim.banks.entry(BANK.into()).or_default() += (CAPITAL + FLOAT + 10 * FEE) as i128;
        sim.house(EntryKind::LossReserveFunded, "1", &amount);
        let float = [(Part::Amount, Units(FLOAT))];
        for kind in
            [EntryKind::FloatOrdered, EntryKind::FloatBought, EntryKind::FloatToTreasury, EntryKind::FloatToGate]
        {
            sim.house(kind, "1", &float);
        }
        *sim.banks.entry(BANK.into()).or_default() -= FLOAT as i128;
        sim
    }

    fn house(&mut self, kind: EntryKind, reference: &str, parts: &[(Part, Units)]) -> bool {
        let names = Names {
            bank: Some(BANK.into()),
            provider: Some(GATE.into()),
            chain: Some(CHAIN.into()),
            ..Names::default()
        };
        let key = Key { source: "house".into(), reference: reference.into(), kind };
        let entry = Entry::new(key, Phase::Single, &names, parts).unwrap();
        let booked = self.books.book(std::slice::from_ref(&entry)).is_ok();
        if booked {
            self.told.push(Told::House(entry));
        }
        booked
    }

    /// What the bank and the provider see of an event, from what it says and from nothing in the books.
    fn outside(&mut self, before: &Receipt, event: &Event) {
        if self.replaying {
            return;
        }
        let mut at = |place: &Location, units: i128| match place {
            Location::Bank(bank) => *self.banks.entry(bank.clone()).or_default() += units,
            Location::Provider(_) => self.provider += units,
        };
        let gate = Location::Provider(GATE.into());
        let amount_of = |trace: &str| {
            let taking = before.takings.iter().find(|taking| taking.trace == trace);
            taking.map_or(0, |taking| taking.amount.0 as i128)
        };
        match event {
            Event::Settled { amount, fee, arrival: Arrival::Collected } => {
                // Accepted before: the provider has said yes already. Returned before: both signs are on its statement.
                let there = before.booked || before.state == ReceiptState::Returned;
                at(&gate, if there { 0 } else { amount.0 as i128 } - fee.0 as i128);
            }
            Event::Settled { amount, arrival: Arrival::Credited(bank), .. } => {
                at(&Location::Bank(bank.clone()), amount.0 as i128);
            }
            Event::Accepted => at(&gate, if before.booked { 0 } else { before.gross().0 as i128 }),
            Event::Returned { amount, from, .. } if before.booked => at(from, -(amount.0 as i128)),
            Event::ChargebackOpened { amount, from, .. } => at(from, -(amount.0 as i128)),
            Event::ReturnUndone { .. } if !before.booked => at(&gate, before.gross().0 as i128),
            Event::ReturnUndone { trace, to } | Event::ChargebackWon { trace, to } => at(to, amount_of(trace)),
            _ => {}
        }
    }

    /// As the store does it: the receipt's row is locked, the event applied and booked in one transaction. What is too early
    /// waits, and is offered again after each that was not.
    fn tell(&mut self, who: usize, event: Event) -> Result<(), TestCaseError> {
        self.told.push(Told::Receipt(who, event.clone()));
        let mut offered = vec![event];
        offered.append(&mut self.waiting[who]);
        loop {
            let mut rest = Vec::new();
            let mut news = false;
            for event in offered {
                if news {
                    rest.push(event);
                    continue;
                }
                let mut receipt = self.receipts[who].clone();
                if self.rule == Rule::Forgets {
                    receipt.applied.clear();
                }
                match receipt.take(&event) {
                    Ok(mut step) => {
                        if self.rule == Rule::HidesTheDeficit {
                            step.entries.iter_mut().for_each(hide_deficit);
                        }
                        if self.rule == Rule::Forgets {
                            for entry in &mut step.entries {
                                entry.key.reference += &self.books.keys.len().to_string();
                                if let Phase::Post(of) | Phase::Void(of) = &entry.phase
                                    && !self.books.pending.contains_key(of)
                                {
                                    entry.phase = Phase::Single;
                                }
                            }
                        }
                        match self.books.book(&step.entries) {
                            Ok(()) => {
                                self.booked.extend(step.entries.iter().map(|entry| entry.key.kind));
                                let before = std::mem::replace(&mut self.receipts[who], step.receipt);
                                self.outside(&before, &event);
                                news = true;
                            }
                            // Money that is not there is waited for; a fact can always be booked.
                            Err(why) => {
                                prop_assert!(!event.is_fact(), "{event:?} cannot be booked: {why}");
                            }
                        }
                    }
                    Err(refusal) if refusal.may_come_later() && event.is_fact() => rest.push(event),
                    Err(Refusal::Entry(why)) => prop_assert!(false, "{event:?}: {why}"),
                    Err(_) => {}
                }
            }
            if !news || rest.is_empty() {
                self.waiting[who] = rest;
                return Ok(());
            }
            offered = rest;
        }
    }

    fn tell_withdrawal(&mut self, who: usize, event: withdrawal::Event) -> Result<bool, TestCaseError> {
        let Some((known, _)) = self.withdrawals.get(who) else { return Ok(false) };
        self.told.push(Told::Withdrawal(who, event.clone()));
        let Ok(step) = known.take(&event) else { return Ok(false) };
        let was = known.state;
        if self.books.book(&step.entries).is_err() {
            let ours = matches!(event, withdrawal::Event::PayoutSent { .. });
            prop_assert!(ours, "{event:?} cannot be booked");
            return Ok(false);
        }
        self.booked.extend(step.entries.iter().map(|entry| entry.key.kind));
        let amount = step.withdrawal.amount.0 as i128;
        let bank = self.banks.entry(BANK.into()).or_default();
        match event {
            withdrawal::Event::PayoutDone { .. } => *bank -= amount,
            withdrawal::Event::PayoutReturned { .. } if was == withdrawal::WithdrawalState::Completed => {
                *bank += amount
            }
            _ => {}
        }
        self.withdrawals[who].0 = step.withdrawal;
        Ok(true)
    }

    fn tell_crossing(&mut self, who: usize, event: CrossEvent) -> Result<bool, TestCaseError> {
        let Some((known, _)) = self.crossings.get(who) else { return Ok(false) };
        self.told.push(Told::Crossing(who, event));
        let Ok((next, entry)) = known.take(event) else { return Ok(false) };
        let entries: Vec<_> = entry.into_iter().collect();
        if let Err(why) = self.books.book(&entries) {
            prop_assert!(false, "{event:?} cannot be booked: {why}");
        }
        self.booked.extend(entries.iter().map(|entry| entry.key.kind));
        self.crossings[who].0 = next;
        Ok(true)
    }

    /// Tokens nobody has promised to burn.
    fn free(&self, token: usize) -> u128 {
        let locked = |withdrawal: &&(Withdrawal, usize)| {
            withdrawal.1 == token && withdrawal.0.state == withdrawal::WithdrawalState::Locked
        };
        let crossing = |crossing: &&(Crossing, usize)| {
            crossing.1 == token && crossing.0.state == domain::token_rail::CrossState::Burning
        };
        let locked: u128 = self.withdrawals.iter().filter(locked).map(|(known, _)| known.amount.0).sum();
        let crossing: u128 = self.crossings.iter().filter(crossing).map(|(known, _)| known.amount.0).sum();
        self.supply[token].saturating_sub(locked + crossing)
    }

    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        let count = self.receipts.len();
        match step.clone() {
            Step::Next { who } => {
                let receipt = &self.receipts[who % count];
                let out = self.orders[who % count].len();
                self.step(&match receipt.state {
                    ReceiptState::Initiated if receipt.rail != FiatRail::Wire => Step::Submit { who },
                    ReceiptState::Initiated | ReceiptState::Submitted => Step::Settle { who, fee: 1, short: false },
                    ReceiptState::Settled => Step::Hold { who },
                    ReceiptState::Held => Step::Clear { who },
                    ReceiptState::Cleared if out == 0 => Step::Order { who, rail: who % 2 },
                    _ => Step::Land { who, which: out.saturating_sub(1), part: 15 },
                })
            }
            Step::Submit { who } => self.tell(who % count, Event::Submitted),
            Step::Decline { who } => self.tell(who % count, Event::Declined),
            Step::Settle { who, fee, short } => {
                let receipt = &self.receipts[who % count];
                let gross = receipt.gross().0 - u128::from(short);
                let arrival = match receipt.rail {
                    FiatRail::Wire => Arrival::Credited(BANK.into()),
                    _ => Arrival::Collected,
                };
                let fee = if receipt.rail == FiatRail::Wire { 0 } else { u128::from(fee) * 10_000 };
                self.tell(who % count, Event::Settled { amount: Units(gross), fee: Units(fee), arrival })
            }
            Step::Hold { who } => self.tell(who % count, Event::Held),
            Step::Clear { who } => self.tell(who % count, Event::Cleared),
            Step::Accept { who } => {
                let card = self.receipts[who % count].rail == FiatRail::Card;
                if card { self.tell(who % count, Event::Accepted) } else { Ok(()) }
            }
            Step::Order { who, rail } => {
                self.order(who % count, rail);
                Ok(())
            }
            Step::Land { who, which, part } => self.land(who % count, which, part),
            Step::Expire { who } => {
                for mint in &mut self.orders[who % count] {
                    mint.order.final_now = mint.order.valid_until + 1;
                }
                Ok(())
            }
            Step::Return { who, trace, part, at } => {
                let amount = Units(part_of(self.receipts[who % count].gross().0, part));
                let event = Event::Returned { trace: format!("r{}", trace % 3), amount, from: location(at) };
                self.tell(who % count, event)
            }
            Step::ReturnUndone { who, trace, at } => {
                self.tell(who % count, Event::ReturnUndone { trace: format!("r{}", trace % 3), to: location(at) })
            }
            Step::Open { who, trace, part, at } => {
                let amount = Units(part_of(self.receipts[who % count].gross().0, part));
                let trace = format!("c{}", trace % 3);
                self.tell(who % count, Event::ChargebackOpened { trace, amount, from: location(at) })
            }
            Step::Won { who, trace, at } => {
                self.tell(who % count, Event::ChargebackWon { trace: format!("c{}", trace % 3), to: location(at) })
            }
            Step::Lost { who, trace } => {
                self.tell(who % count, Event::ChargebackLost { trace: format!("c{}", trace % 3) })
            }
            // Not while an attestation is out: that is a pick.
            Step::GiveBack { who, .. } if self.orders[who % count].iter().any(|mint| !failed(self.rule, mint)) => {
                Ok(())
            }
            Step::GiveBack { who, trace } => self.tell(who % count, Event::GivenBack { trace: format!("g{trace}") }),
            Step::TopUp { who, trace, part } => {
                let amount = Units(part_of(self.receipts[who % count].deficit.0, part));
                self.tell(who % count, Event::ToppedUp { trace: format!("t{trace}"), amount })
            }
            Step::Restore { who, trace, part } => {
                let receipt = &self.receipts[who % count];
                let amount = Units(part_of(receipt.deficit.0 + receipt.cover.0, part));
                self.tell(who % count, Event::Restored { trace: format!("s{trace}"), amount })
            }
            Step::Claw { who, trace, part, token } => self.claw(who % count, trace, part, token % 2),
            Step::PayOut { trace, part } => {
                let owed = self.books.balance(K::GatewayReceivable);
                let amount = part_of(owed.max(0) as u128, part);
                if amount > 0
                    && self.house(EntryKind::GatewayPaidOut, &trace.to_string(), &[(Part::Amount, Units(amount))])
                {
                    self.provider -= amount as i128;
                    *self.banks.entry(BANK.into()).or_default() += amount as i128;
                }
                Ok(())
            }
            Step::Withdraw { token, part } => {
                let amount = part_of(self.free(token % 2), part);
                if amount == 0 || self.withdrawals.len() > 3 {
                    return Ok(());
                }
                let id = self.withdrawals.len().to_string();
                self.withdrawals.push((Withdrawal::new(&id, BANK, TOKENS[token % 2], Units(amount)), token % 2));
                self.tell_withdrawal(self.withdrawals.len() - 1, withdrawal::Event::Locked).map(|_| ())
            }
            Step::Burn { who } => {
                let Some((known, token)) = self.withdrawals.get(who % 4).cloned() else { return Ok(()) };
                if known.state == withdrawal::WithdrawalState::Locked {
                    self.supply[token] -= known.amount.0;
                    let told = self.tell_withdrawal(who % 4, withdrawal::Event::Burned { amount: known.amount })?;
                    prop_assert!(told, "a final burn is refused");
                }
                Ok(())
            }
            Step::RunOut { who } => self.tell_withdrawal(who % 4, withdrawal::Event::Expired).map(|_| ()),
            Step::Pay { who, trace, how } => self.pay(who % 4, trace, how),
            Step::Cross { from, part } => {
                let amount = part_of(self.free(from % 2), part);
                if amount == 0 || self.crossings.len() > 2 {
                    return Ok(());
                }
                let known = Crossing {
                    id: self.crossings.len().to_string(),
                    amount: Units(amount),
                    from: TOKENS[from % 2].into(),
                    to: TOKENS[(from + 1) % 2].into(),
                    state: domain::token_rail::CrossState::Requested,
                };
                self.crossings.push((known, from % 2));
                self.tell_crossing(self.crossings.len() - 1, CrossEvent::BurnSigned).map(|_| ())
            }
            Step::CrossBurn { who } => {
                let Some((known, token)) = self.crossings.get(who % 3).cloned() else { return Ok(()) };
                if known.state == domain::token_rail::CrossState::Burning {
                    self.supply[token] -= known.amount.0;
                    self.tell_crossing(who % 3, CrossEvent::BurnFinal)?;
                }
                Ok(())
            }
            Step::CrossMint { who } => {
                self.tell_crossing(who % 3, CrossEvent::MintOrdered)?;
                let Some((known, token)) = self.crossings.get(who % 3).cloned() else { return Ok(()) };
                if known.state == domain::token_rail::CrossState::Minting {
                    self.supply[(token + 1) % 2] += known.amount.0;
                    self.tell_crossing(who % 3, CrossEvent::MintFinal)?;
                }
                Ok(())
            }
            Step::Again { from } => self.again(usize::from(from)),
            Step::Crash => Ok(()),
        }
    }

    fn order(&mut self, who: usize, rail: usize) {
        let out = self.orders[who].iter().any(|mint| !failed(self.rule, mint));
        let Some(Units(amount)) = self.receipts[who].clearable().filter(|_| !out) else { return };
        // The third rail is the float.
        let token = (rail % 3 < 2).then_some(rail % 3);
        if token.is_none() && self.float < amount {
            return;
        }
        let order = Order { issued: true, valid_until: 900, used: false, final_now: 0 };
        self.orders[who].push(Mint { token, amount, order });
    }

    /// The gate mints what is signed and not expired, once, whatever has become of the money.
    fn land(&mut self, who: usize, which: usize, part: u8) -> Result<(), TestCaseError> {
        let orders = self.orders[who].len();
        if orders == 0 {
            return Ok(());
        }
        let Some(mint) = self.orders[who].get_mut(which % orders) else { return Ok(()) };
        if mint.order.used || mint.order.final_now > mint.order.valid_until {
            return Ok(());
        }
        let amount = part_of(mint.amount, part);
        match mint.token {
            None if self.float < amount => return Ok(()),
            _ => mint.order.used = true,
        }
        let token = mint.token;
        let event = match token {
            Some(token) => {
                self.supply[token] += amount;
                Event::Minted { token: TOKENS[token].into(), amount: Units(amount) }
            }
            None => {
                self.float -= amount;
                Event::FloatPaid { chain: CHAIN.into(), amount: Units(amount) }
            }
        };
        self.tell(who, event)
    }

    fn claw(&mut self, who: usize, trace: u8, part: u8, token: usize) -> Result<(), TestCaseError> {
        let receipt = &self.receipts[who];
        let amount = part_of(receipt.minted.0.min(self.free(token)), part);
        let gone = matches!(receipt.state, ReceiptState::Returned | ReceiptState::ChargedBack);
        let trace = format!("w{trace}");
        if amount == 0 || !gone || receipt.applied.iter().any(|(_, known)| *known == trace) {
            return Ok(());
        }
        self.supply[token] -= amount;
        self.tell(who, Event::ClawedBack { trace, token: TOKENS[token].into(), amount: Units(amount) })
    }

    fn pay(&mut self, who: usize, trace: u8, how: u8) -> Result<(), TestCaseError> {
        let trace = format!("p{}", trace % 3);
        if self.rule == Rule::PaysBeforeTheBurn
            && let Some((known, _)) = self.withdrawals.get(who)
            && known.state == withdrawal::WithdrawalState::Locked
        {
            let burned = Withdrawal { state: withdrawal::WithdrawalState::Burned, ..known.clone() };
            let step = burned.take(&withdrawal::Event::PayoutSent { trace }).unwrap();
            let refused = self.books.book(&step.entries).err();
            prop_assert!(refused.is_none(), "the bank is not paid: {}", refused.unwrap_or_default());
            return Ok(());
        }
        // Mostly what comes next; at times anything.
        let sent = |known: &Withdrawal| {
            let mut tries = known.applied.iter().filter(|(kind, _)| *kind == withdrawal::EventKind::PayoutSent);
            (tries.clone().count(), tries.next_back().map(|(_, trace)| trace.clone()))
        };
        let known = self.withdrawals.get(who).map(|(known, _)| (known.state, sent(known)));
        let (kind, trace) = match known {
            Some((withdrawal::WithdrawalState::Completed, (_, Some(last)))) if how > 1 => (3, last),
            Some((state, (tries, _)))
                if how > 0
                    && state != withdrawal::WithdrawalState::PayoutSent
                    && tries < 3
                    && how.is_multiple_of(2) =>
            {
                (0, format!("p{tries}"))
            }
            Some((_, (_, Some(last)))) if how > 0 => (1 + how % 3, last),
            _ => (how % 4, trace),
        };
        let event = match kind {
            0 => withdrawal::Event::PayoutSent { trace },
            1 => withdrawal::Event::PayoutDone { trace },
            2 => withdrawal::Event::PayoutFailed { trace },
            _ => withdrawal::Event::PayoutReturned { trace },
        };
        self.tell_withdrawal(who, event).map(|_| ())
    }

    /// What was said is said again: nothing moves. What waits may be said any number of times.
    fn again(&mut self, from: usize) -> Result<(), TestCaseError> {
        let told: Vec<_> = self.told.iter().skip(from).cloned().collect();
        let length = self.told.len();
        self.replaying = true;
        for told in told {
            match told {
                Told::Receipt(who, event) => {
                    let applied = self.receipts[who]
                        .applied
                        .iter()
                        .any(|(kind, trace)| *kind == event.kind() && trace == event.trace());
                    // What was not applied is no old news.
                    if !applied {
                        continue;
                    }
                    let before = self.books.clone();
                    self.tell(who, event)?;
                    if self.rule != Rule::Forgets {
                        prop_assert_eq!(&before, &self.books, "replay is not a no-op");
                    }
                }
                Told::Withdrawal(who, event) => {
                    let known = &self.withdrawals[who].0.applied;
                    if known.iter().any(|(kind, trace)| *kind == event.kind() && trace == event.trace()) {
                        prop_assert!(!self.tell_withdrawal(who, event)?, "replay is not a no-op");
                    }
                }
                Told::Crossing(who, event) => {
                    // Ordered, failed and ordered again is news; what is booked is not.
                    if matches!(event, CrossEvent::BurnFinal | CrossEvent::MintFinal) {
                        let before = self.books.clone();
                        self.tell_crossing(who, event)?;
                        prop_assert_eq!(&before, &self.books, "replay is not a no-op");
                    }
                }
                Told::House(entry) => prop_assert!(self.books.book(&[entry]).is_err(), "booked twice"),
            }
        }
        self.told.truncate(length);
        self.replaying = false;
        Ok(())
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let books = &self.books;
        // I1, for each token.
        for (token, supply) in TOKENS.iter().zip(self.supply) {
            let account = Account { kind: K::TokenLiability, of: (*token).into() };
            let liability = -books.balances.get(&account).copied().unwrap_or(0);
            prop_assert_eq!(liability, supply as i128, "I1: liability and supply of {}", token);
        }
        prop_assert_eq!(books.balance(K::UsdcFloat), self.float as i128, "the float");
        // I2, exactly: what is not there has a name.
        let mut position = Position::default();
        for (account, balance) in &books.balances {
            position.add(account.kind, *balance);
        }
        prop_assert!(position.is_balanced(), "I2: {:?} owes {}", position, position.owed());
        let deficit: u128 = self.receipts.iter().map(|receipt| receipt.deficit.0).sum();
        prop_assert_eq!(position.deficit, deficit as i128, "I2: the deficit is that of the receipts");
        prop_assert_eq!(-books.balance(K::DueToReserve), deficit as i128, "I2: we owe the deficit");
        for receipt in &self.receipts {
            prop_assert!(receipt.is_backed(), "{:?}", receipt);
            let out = receipt.minted.0 + receipt.floated.0;
            prop_assert!(out <= receipt.principal.0, "a deposit of {} minted {}", receipt.principal.0, out);
        }
        // I3, in each fund.
        for fund in [Fund::Reserve, Fund::House] {
            let accounts = books.balances.iter().filter(|(account, _)| account.kind.rule().fund == fund);
            prop_assert_eq!(accounts.map(|(_, units)| units).sum::<i128>(), 0, "I3");
        }
        // What the banks and the provider have of ours is what the books say.
        for (bank, there) in &self.banks {
            let here = |account: &&Account| {
                account.of == *bank && [K::BankCash, K::Reserve, K::LossReserve].contains(&account.kind)
            };
            let ours: i128 = books.balances.keys().filter(here).filter_map(|account| books.balances.get(account)).sum();
            prop_assert_eq!(ours, *there, "what stands at the bank '{}'", bank);
        }
        prop_assert_eq!(books.balance(K::GatewayReceivable), self.provider, "what the provider owes");
        let open: u128 = self
            .receipts
            .iter()
            .flat_map(|receipt| &receipt.takings)
            .filter(|taking| taking.state == TakingState::Open)
            .map(|taking| taking.amount.0)
            .sum();
        prop_assert_eq!(books.balance(K::ChargebacksOpen), open as i128, "open chargebacks");
        Ok(())
    }
}

/// Whether another order may be made.
fn failed(rule: Rule, mint: &Mint) -> bool {
    match rule {
        Rule::UnknownIsFailed => !mint.order.used,
        _ => mint.order.proof_of_failure().is_some(),
    }
}

/// Balanced all the same, over both funds: what double entry alone lets pass.
fn hide_deficit(entry: &mut Entry) {
    entry.legs.retain(|leg| !matches!(leg.account.kind, K::ReserveDeficit | K::DueToReserve));
    assert_eq!(entry.legs.iter().map(|leg| leg.amount).sum::<i128>(), 0);
}

fn step() -> impl Strategy<Value = Step> {
    let who = || 0..4_usize;
    let few = || 0..6_u8;
    let part = || prop_oneof![Just(15_u8), 0..16_u8];
    let come = prop_oneof![
        who().prop_map(|who| Step::Submit { who }),
        (who(), few(), prop::bool::weighted(0.05)).prop_map(|(who, fee, short)| Step::Settle { who, fee, short }),
        (who(), few(), Just(false)).prop_map(|(who, fee, short)| Step::Settle { who, fee, short }),
        who().prop_map(|who| Step::Hold { who }),
        who().prop_map(|who| Step::Clear { who }),
        who().prop_map(|who| Step::Accept { who }),
        (who(), 0..3_usize).prop_map(|(who, rail)| Step::Order { who, rail }),
        (who(), 0..3_usize, part()).prop_map(|(who, which, part)| Step::Land { who, which, part }),
        (few(), part()).prop_map(|(trace, part)| Step::PayOut { trace, part }),
    ];
    let go = prop_oneof![
        who().prop_map(|who| Step::Decline { who }),
        who().prop_map(|who| Step::Expire { who }),
        (who(), few(), part(), few()).prop_map(|(who, trace, part, at)| Step::Return { who, trace, part, at }),
        (who(), few(), few()).prop_map(|(who, trace, at)| Step::ReturnUndone { who, trace, at }),
        (who(), few(), part(), few()).prop_map(|(who, trace, part, at)| Step::Open { who, trace, part, at }),
        (who(), few(), few()).prop_map(|(who, trace, at)| Step::Won { who, trace, at }),
        (who(), few()).prop_map(|(who, trace)| Step::Lost { who, trace }),
        (who(), few()).prop_map(|(who, trace)| Step::GiveBack { who, trace }),
        (who(), few(), part()).prop_map(|(who, trace, part)| Step::TopUp { who, trace, part }),
        (who(), few(), part()).prop_map(|(who, trace, part)| Step::Restore { who, trace, part }),
        (who(), few(), part(), 0..2_usize).prop_map(|(who, trace, part, token)| Step::Claw { who, trace, part, token }),
    ];
    let out = prop_oneof![
        (0..2_usize, part()).prop_map(|(token, part)| Step::Withdraw { token, part }),
        who().prop_map(|who| Step::Burn { who }),
        who().prop_map(|who| Step::RunOut { who }),
        (who(), few(), 0..6_u8).prop_map(|(who, trace, how)| Step::Pay { who, trace, how }),
        (0..2_usize, part()).prop_map(|(from, part)| Step::Cross { from, part }),
        (0..3_usize).prop_map(|who| Step::CrossBurn { who }),
        (0..3_usize).prop_map(|who| Step::CrossMint { who }),
        (0..200_u8).prop_map(|from| Step::Again { from }),
        Just(Step::Crash),
    ];
    let next = who().prop_map(|who| Step::Next { who });
    prop_oneof![6 => next, 4 => come, 3 => go, 4 => out]
}

/// Keeps the books over a trace; at each crash they are kept a second time from the beginning, from what was told.
fn run(rule: Rule, steps: &[Step]) -> Result<Sim, TestCaseError> {
    let mut sim = Sim::new(rule);
    for (done, step) in steps.iter().enumerate() {
        sim.step(step)?;
        sim.check()?;
        if matches!(step, Step::Crash) {
            let mut second = Sim::new(rule);
            for step in &steps[..done] {
                second.step(step)?;
            }
            prop_assert_eq!(&second.books, &sim.books, "the same events make other books");
        }
    }
    Ok(sim)
}

fn traces() -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(step(), 1..150)
}

proptest! {
    #![proptest_config(Config { cases: 2_000, ..Config::default() })]

    /// After every step: liability is supply, reserve and named deficit are what is owed, debits are credits, what banks and
    /// providers have is what the books say; and what is told again changes nothing.
    #[test]
    fn after_every_event_tokens_and_reserve_agree_to_the_unit_or_the_deficit_has_a_name(steps in traces()) {
        run(Rule::AsIs, &steps)?;
    }
}

/// The traces above are worth something only if everything happens in them.
#[test]
fn everything_that_is_booked_for_receipts_and_withdrawals_happens_in_the_traces() {
    let mut runner = TestRunner::deterministic();
    let mut booked = BTreeSet::new();
    for _ in 0..600 {
        let steps = traces().new_tree(&mut runner).unwrap().current();
        booked.extend(run(Rule::AsIs, &steps).unwrap().booked);
    }
    // All the way to a bank payment that comes back is long, and rare at random.
    let pay = |how| Step::Pay { who: 0, trace: 0, how };
    let out = vec![
        LAND,
        Step::Withdraw { token: 0, part: 15 },
        Step::Burn { who: 0 },
        pay(0),
        pay(1),
        pay(2),
        pay(3),
        pay(2),
    ];
    booked.extend(run(Rule::AsIs, &[ordered(), out].concat()).unwrap().booked);
    use EntryKind as E;
    let missing: Vec<_> = [
        [E::Collecting, E::Collected, E::NotCollected, E::Received, E::ProviderFee, E::Cleared, E::Uncleared]
            .as_slice(),
        &[E::Minted, E::FloatPaid, E::Returned, E::ReturnUndone, E::ChargebackOpened, E::ChargebackWon],
        &[
            E::ChargebackLost,
            E::ClawedBack,
            E::ToppedUp,
            E::Restored,
            E::GivenBack,
            E::Burning,
            E::Burned,
            E::NotBurned,
        ],
        &[E::PayoutSent, E::PayoutDone, E::PayoutFailed, E::PayoutReturned, E::CrossBurned, E::CrossMinted],
    ]
    .concat()
    .into_iter()
    .filter(|kind| !booked.contains(kind))
    .collect();
    assert!(missing.is_empty(), "never happened: {missing:?}");
}

/// Both rules on one trace: the seeded one is caught, the real one is not.
fn caught(rule: Rule, what: &str, steps: &[Step]) {
    run(Rule::AsIs, steps).expect("the real rule");
    let why = run(rule, steps).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(why.contains(what), "{rule:?}: {why}");
}

const fn wire_settled() -> Step {
    Step::Settle { who: 2, fee: 0, short: false }
}

/// Cleared, and an attestation issued.
fn ordered() -> Vec<Step> {
    vec![wire_settled(), Step::Hold { who: 2 }, Step::Clear { who: 2 }, Step::Order { who: 2, rail: 0 }]
}

const LAND: Step = Step::Land { who: 2, which: 0, part: 15 };

#[test]
fn an_event_that_is_applied_twice_is_caught() {
    let half = Step::Return { who: 2, trace: 0, part: 7, at: 1 };
    let steps = [ordered(), vec![LAND, half, Step::Again { from: 0 }]].concat();
    caught(Rule::Forgets, "'main'", &steps);
}

#[test]
fn a_deficit_without_a_name_is_caught() {
    let steps = [ordered(), vec![LAND, Step::Return { who: 2, trace: 0, part: 15, at: 1 }]].concat();
    caught(Rule::HidesTheDeficit, "does not balance in reserve", &steps);
}

#[test]
fn a_fallback_without_proof_is_caught() {
    let again = vec![Step::Order { who: 2, rail: 1 }, LAND, Step::Land { who: 2, which: 1, part: 15 }];
    caught(Rule::UnknownIsFailed, "minted 300000000", &[ordered(), again].concat());
}

#[test]
fn a_bank_payment_before_the_burn_is_caught() {
    let pay = vec![LAND, Step::Withdraw { token: 0, part: 15 }, Step::Pay { who: 0, trace: 0, how: 0 }];
    caught(Rule::PaysBeforeTheBurn, "redemption_payable would be below zero", &[ordered(), pay].concat());
}

/// `research/rails.md` §4.5: a debit that comes back after its tokens are spent, to the cent.
#[test]
fn a_return_after_the_mint_is_a_named_deficit_and_is_cured_in_order() {
    let told = |sim: &mut Sim, event| {
        sim.tell(2, event).unwrap();
        sim.check().unwrap();
    };
    let balance = |sim: &Sim, kind| Units(sim.books.balance(kind).unsigned_abs()).to_string();
    let mut sim = run(Rule::AsIs, &[ordered(), vec![LAND]].concat()).unwrap();
    let from = Location::Bank(BANK.into());
    told(&mut sim, Event::Returned { trace: "r".into(), amount: Units(PRINCIPAL), from });
    assert_eq!(sim.books.balance(K::Reserve), 0, "the reserve is short, and nothing is clamped or hidden");
    assert_eq!(balance(&sim, K::ReserveDeficit), "150.00");
    assert_eq!(balance(&sim, K::CustomerReceivable), "150.00");

    // (a), (b): 50 of the tokens are still where they may be taken.
    sim.supply[0] -= 50_000_000;
    let token = TOKENS[0].to_owned();
    told(&mut sim, Event::ClawedBack { trace: "w".into(), token, amount: Units(50_000_000) });
    assert_eq!(balance(&sim, K::ReserveDeficit), "100.00");
    assert_eq!(balance(&sim, K::CustomerReceivable), "100.00");

    // (c): own capital fills the rest, and no more.
    let too_much = Event::ToppedUp { trace: "t1".into(), amount: Units(100_000_001) };
    assert!(matches!(sim.receipts[2].take(&too_much), Err(Refusal::Amount { there: Units(100_000_000), .. })));
    told(&mut sim, Event::ToppedUp { trace: "t2".into(), amount: Units(100_000_000) });
    assert_eq!(sim.books.balance(K::ReserveDeficit), 0);
    assert_eq!(balance(&sim, K::Reserve), "100.00");
    assert_eq!(balance(&sim, K::LossReserve), "300.00");

    // (d): the customer pays, and own capital is whole again.
    let names = Names { bank: Some(BANK.into()), customer: Some("user0".into()), ..Names::default() };
    let key = Key { source: "collections".into(), reference: "1".into(), kind: EntryKind::ReceivableCollected };
    let paid = Entry::new(key, Phase::Single, &names, &[(Part::Amount, Units(100_000_000))]).unwrap();
    sim.books.book(&[paid]).unwrap();
    *sim.banks.entry(BANK.into()).or_default() += 100_000_000;
    told(&mut sim, Event::Restored { trace: "s".into(), amount: Units(100_000_000) });
    assert_eq!(balance(&sim, K::LossReserve), "400.00");
    assert_eq!(sim.books.balance(K::CustomerReceivable), 0);
}

/// A card payment of 150 with our fee of 2.50, of which the provider keeps 4.72.
#[test]
fn of_a_card_payment_the_reserve_gets_the_invoice_and_we_get_the_fee() {
    let mut sim = Sim::new(Rule::AsIs);
    let cash = sim.books.balance(K::BankCash);
    sim.tell(0, Event::Submitted).unwrap();
    assert_eq!(sim.books.balance(K::GatewayReceivable), 0, "what is announced is in no balance");
    let fee = Units(4_720_000);
    let settled = Event::Settled { amount: Units(PRINCIPAL + FEE), fee, arrival: Arrival::Collected };
    sim.tell(0, settled).unwrap();
    assert_eq!(sim.books.balance(K::GatewayReceivable), 147_780_000);
    assert!(sim.house(EntryKind::GatewayPaidOut, "batch 1", &[(Part::Amount, Units(147_780_000))]));
    sim.tell(0, Event::Held).unwrap();
    sim.tell(0, Event::Cleared).unwrap();
    assert_eq!(sim.books.balance(K::Reserve), 150_000_000);
    assert_eq!(sim.books.balance(K::Fees), -2_500_000);
    assert_eq!(sim.books.balance(K::ProviderFees), 4_720_000);
    assert_eq!(
        sim.books.balance(K::BankCash) - cash,
        -2_220_000,
        "what the provider keeps is our cost, not the reserve's"
    );
}
