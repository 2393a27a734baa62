//! What is at Circle, and what happens to it when.

use super::reply::{Reply, units, usd};
use super::sim::Fault;
use super::sns::{self, Delivery};
use super::{Delays, Request, Shared, chain};
use alloy::primitives::B256;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use uuid::Uuid;

const DATE: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// Circle's id of us, in notifications.
const CLIENT: &str = "c60d2d5b-203c-45bb-9f6e-93641d40a599";

/// What will happen.
pub(super) enum Task {
    WireChecked(String),
    /// A pretended wire: from which bank account, how much.
    WireCame(String, u128),
    DepositSettles(String),
    TransferSends(String),
    /// Where there is no chain to look at.
    TransferLands(String),
    PayoutSends(String),
    Deliver(Delivery),
}

/// What was decided about something before it comes.
#[derive(Clone, Debug)]
pub(super) struct Verdict {
    pub(super) denied: bool,
    pub(super) code: String,
}

pub(super) struct State {
    pub(super) now: OffsetDateTime,
    pub(super) delays: Delays,
    pub(super) wallet: String,
    pub(super) available: u128,
    pub(super) unsettled: u128,
    /// Each as it is answered, oldest first: by kind.
    pub(super) things: HashMap<&'static str, Vec<Value>>,
    /// For each idempotency key: path, body, answer.
    pub(super) keys: HashMap<String, (String, Value, Reply)>,
    pub(super) tasks: BTreeMap<(OffsetDateTime, u64), Task>,
    counter: u64,
    pub(super) requests: Vec<Request>,
    pub(super) faults: Vec<Fault>,
    /// For the next of a kind.
    pub(super) verdicts: HashMap<String, VecDeque<Verdict>>,
    /// What lists say of a thing instead; null: nothing.
    pub(super) contradictions: HashMap<String, Value>,
    /// How many more notifications come twice.
    pub(super) duplicates: usize,
    /// Notifications that wait for a word.
    pub(super) held: Option<Vec<Delivery>>,
    pub(super) lateness: Duration,
    /// The highest block whose transfers are booked.
    pub(super) scanned: u64,
}

pub(super) fn fresh_id() -> String {
    Uuid::new_v4().to_string()
}

impl State {
    pub(super) fn new(delays: Delays, scanned: u64) -> Self {
        Self {
            now: OffsetDateTime::now_utc(),
            delays,
            wallet: "1000660521".to_owned(),
            available: 0,
            unsettled: 0,
            things: HashMap::new(),
            keys: HashMap::new(),
            tasks: BTreeMap::new(),
            counter: 0,
            requests: Vec::new(),
            faults: Vec::new(),
            verdicts: HashMap::new(),
            contradictions: HashMap::new(),
            duplicates: 0,
            held: None,
            lateness: Duration::ZERO,
            scanned,
        }
    }

    pub(super) fn date(&self) -> String {
        self.now.format(DATE).unwrap_or_default()
    }

    pub(super) fn later(&mut self, after: Duration, task: Task) {
        self.counter += 1;
        self.tasks.insert((self.now + after, self.counter), task);
    }

    pub(super) fn all(&self, kind: &str) -> &[Value] {
        self.things.get(kind).map(Vec::as_slice).unwrap_or_default()
    }

    pub(super) fn find(&self, kind: &str, id: &str) -> Option<&Value> {
        self.all(kind).iter().find(|thing| thing["id"] == id)
    }

    pub(super) fn add(&mut self, kind: &'static str, thing: Value) {
        self.things.entry(kind).or_default().push(thing);
    }

    pub(super) fn remove(&mut self, kind: &str, id: &str) -> Option<Value> {
        let things = self.things.get_mut(kind)?;
        let at = things.iter().position(|thing| thing["id"] == id)?;
        Some(things.remove(at))
    }

    /// Changes a thing and says so to whoever subscribed.
    pub(super) fn change(&mut self, kind: &'static str, id: &str, changes: Value) -> Option<Value> {
        let date = self.date();
        let thing = self.things.get_mut(kind)?.iter_mut().find(|thing| thing["id"] == id)?;
        if let (Some(thing), Value::Object(changes)) = (thing.as_object_mut(), changes) {
            thing.extend(changes);
            if thing.contains_key("updateDate") {
                thing.insert("updateDate".to_owned(), json!(date));
            }
        }
        let thing = thing.clone();
        self.tell(kind, &thing);
        Some(thing)
    }

    pub(super) fn verdict(&mut self, kind: &str) -> Option<Verdict> {
        self.verdicts.get_mut(kind)?.pop_front()
    }

    /// A notification to every confirmed subscription.
    pub(super) fn tell(&mut self, kind: &'static str, thing: &Value) {
        let (topic, field) = match kind {
            "wire" => ("wire", "wire"),
            "deposit" => ("deposits", "deposit"),
            "transfer" => ("transfers", "transfer"),
            "payout" => ("payouts", "payout"),
            "recipient" => ("addressBookRecipients", "addressBookRecipient"),
            _ => return,
        };
        let mut thing = thing.clone();
        // The one thing that looks different here.
        if let ("deposit", Some(deposit)) = (kind, thing.as_object_mut()) {
            let source = deposit.remove("sourceWalletId").unwrap_or_default();
            deposit.insert("source".to_owned(), json!({"id": source, "type": "wire"}));
            let fee = deposit.remove("fee").unwrap_or_default();
            deposit.insert("fees".to_owned(), fee);
        }
        let inner = json!({
            "clientId": CLIENT, "notificationType": topic, "version": 1,
            "customAttributes": {"clientId": CLIENT}, field: thing,
        });
        let message = sns::notification(&inner.to_string(), &self.date());
        let confirmed: Vec<String> = self
            .all("subscription")
            .iter()
            .filter(|subscription| subscription["subscriptionDetails"][0]["status"] == "confirmed")
            .filter_map(|subscription| subscription["endpoint"].as_str().map(str::to_owned))
            .collect();
        for endpoint in confirmed {
            let copies = if self.duplicates > 0 { 2 } else { 1 };
            self.duplicates = self.duplicates.saturating_sub(1);
            for _ in 0..copies {
                let delivery = Delivery::new(endpoint.clone(), message.clone());
                match &mut self.held {
                    Some(held) => held.push(delivery),
                    None => self.later(self.lateness, Task::Deliver(delivery)),
                }
            }
        }
    }

    /// A transfer or a payout that did not happen: its money is back.
    pub(super) fn fails(&mut self, kind: &'static str, id: &str, verdict: &Verdict) {
        let decision = if verdict.denied { "denied" } else { "approved" };
        let risk = json!({"decision": decision, "reason": if verdict.denied { "3220" } else { "3000" }});
        let changes = json!({"status": "failed", "errorCode": verdict.code, "riskEvaluation": risk});
        if let Some(thing) = self.change(kind, id, changes) {
            self.available += amount_of(&thing);
        }
    }

    /// Dollars that a bank has sent.
    fn wire_came(&mut self, wire: &str, amount: u128) {
        let date = self.date();
        let id = fresh_id();
        let deposit = json!({
            "id": id, "sourceWalletId": wire, "destination": {"type": "wallet", "id": self.wallet},
            "amount": usd(amount), "fee": usd(0), "status": "pending",
            "riskEvaluation": {"decision": "approved", "reason": "3000"}, "createDate": date, "updateDate": date,
        });
        self.unsettled += amount;
        self.tell("deposit", &deposit);
        self.add("deposit", deposit);
        self.later(self.delays.deposit, Task::DepositSettles(id));
    }

    fn deposit_settles(&mut self, id: &str) {
        let verdict = self.verdict("deposit");
        let changes = match &verdict {
            None => json!({"status": "complete"}),
            Some(verdict) => {
                let decision = if verdict.denied { "denied" } else { "approved" };
                json!({"status": "failed", "riskEvaluation": {"decision": decision, "reason": "3150"}})
            }
        };
        if let Some(deposit) = self.change("deposit", id, changes) {
            let amount = amount_of(&deposit);
            self.unsettled -= amount;
            if verdict.is_none() {
                self.available += amount;
            }
        }
    }
}

pub(super) fn amount_of(thing: &Value) -> u128 {
    thing["amount"]["amount"].as_str().and_then(|text| units(text, 6)).unwrap_or_default()
}

impl Shared {
    /// Lets happen, in order, what is due until then. One at a time.
    pub(super) async fn run_until(&self, target: OffsetDateTime) {
        let _turn = self.turn.lock().await;
        self.work_off(target).await;
        chain::look(self).await;
        self.work_off(target).await;
    }

    async fn work_off(&self, target: OffsetDateTime) {
        loop {
            let task = {
                let mut state = self.state();
                let due = state.tasks.first_key_value().map(|(due, _)| *due).filter(|(due, _)| *due <= target);
                let Some(due) = due else {
                    state.now = state.now.max(target);
                    return;
                };
                state.now = state.now.max(due.0);
                state.tasks.remove(&due)
            };
            if let Some(task) = task {
                self.perform(task).await;
            }
        }
    }

    async fn perform(&self, task: Task) {
        match task {
            Task::WireChecked(id) => drop(self.state().change("wire", &id, json!({"status": "complete"}))),
            Task::WireCame(wire, amount) => self.state().wire_came(&wire, amount),
            Task::DepositSettles(id) => self.state().deposit_settles(&id),
            Task::TransferSends(id) => self.transfer_sends(&id).await,
            Task::TransferLands(id) => drop(self.state().change("transfer", &id, json!({"status": "complete"}))),
            Task::PayoutSends(id) => {
                let mut state = self.state();
                match state.verdict("payout") {
                    Some(verdict) => state.fails("payout", &id, &verdict),
                    None => drop(state.change("payout", &id, json!({"status": "complete"}))),
                }
            }
            Task::Deliver(delivery) => sns::deliver(self, delivery).await,
        }
    }

    async fn transfer_sends(&self, id: &str) {
        let (verdict, transfer) = {
            let mut state = self.state();
            (state.verdict("transfer"), state.find("transfer", id).cloned().unwrap_or_default())
        };
        if let Some(verdict) = verdict {
            return self.state().fails("transfer", id, &verdict);
        }
        let on_base = transfer["destination"]["chain"] == "BASE";
        let hash = match &self.config.chain {
            Some(chain) if on_base => chain::send(chain, &transfer).await,
            _ => {
                let mut state = self.state();
                let delay = state.delays.transfer;
                state.later(delay, Task::TransferLands(id.to_owned()));
                let mut hash = [0; 32];
                getrandom::fill(&mut hash).map(|()| B256::from(hash)).map_err(|error| error.to_string())
            }
        };
        let mut state = self.state();
        match hash {
            Ok(hash) => drop(state.change("transfer", id, json!({"status": "running", "transactionHash": hash}))),
            Err(_) => {
                state.fails("transfer", id, &Verdict { denied: false, code: "blockchain_error".to_owned() });
            }
        }
    }
}
