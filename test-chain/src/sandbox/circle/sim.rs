//! What is no part of Circle: time, the administrator in its console, the bank at the other end, and faults on purpose. As
//! methods, and over HTTP below `/__sim/` for tests that have no handle.

use super::reply::{Reply, usd};
use super::sns;
use super::state::{State, Task, Verdict, amount_of, fresh_id};
use super::{Circle, Shared};
use serde_json::{Value, json};
use std::time::Duration;

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// It is carried out, and nobody ever answers.
    SilenceAfterCommit,
    /// It is carried out, and the connection breaks.
    AnswerLost,
    /// It is carried out, and the caller is told that it was not: 500, code -1.
    ErrorAfterCommit,
    /// It is not carried out: 500, code -1.
    ErrorBefore,
    /// It is not carried out: 429, with that many seconds to wait.
    TooMany(u64),
    /// It is carried out, and the answer has a status and a field that nobody has heard of.
    UnknownWords,
}

/// A fault that waits for its request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// `POST`.
    pub method: String,
    /// How the path begins.
    pub path: String,
    /// What happens.
    pub kind: FaultKind,
    /// To how many requests.
    pub times: usize,
}

impl Fault {
    /// One that meets one request.
    pub fn once(method: &str, path: &str, kind: FaultKind) -> Self {
        Self { method: method.to_owned(), path: path.to_owned(), kind, times: 1 }
    }
}

impl State {
    pub(super) fn fault(&mut self, method: &str, path: &str) -> Option<FaultKind> {
        let meets = |fault: &&mut Fault| fault.times > 0 && fault.method == method && path.starts_with(&fault.path);
        let fault = self.faults.iter_mut().find(meets)?;
        fault.times = fault.times.saturating_sub(1);
        Some(fault.kind)
    }

    fn approve(&mut self, id: &str) -> bool {
        let waits = self.find("recipient", id).is_some_and(|recipient| recipient["status"] == "pending_verification");
        waits && self.change("recipient", id, json!({"status": "active"})).is_some()
    }

    fn return_payout(&mut self, id: &str, reason: &str) -> bool {
        let sent = |payout: &&Value| payout["status"] == "complete" && payout["return"].is_null();
        let Some(payout) = self.find("payout", id).filter(sent).cloned() else { return false };
        let date = self.date();
        let back = json!({
            "id": fresh_id(), "payoutId": id, "amount": payout["amount"], "fees": usd(0), "reason": reason,
            "status": "complete", "createDate": date, "updateDate": date,
        });
        self.available += amount_of(&payout);
        self.change("payout", id, json!({ "return": back })).is_some()
    }

    fn release(&mut self, reversed: bool) {
        let mut held = self.held.take().unwrap_or_default();
        if reversed {
            held.reverse();
        }
        for delivery in held {
            self.later(Duration::ZERO, Task::Deliver(delivery));
        }
    }
}

impl Circle {
    /// An administrator approves a recipient in Circle's console. Whether there was one to approve.
    pub fn approve_recipient(&self, id: &str) -> bool {
        self.shared.state().approve(id)
    }

    /// The next `kind` (`deposit`, `transfer`, `payout`) fails, with this error code.
    pub fn fail_next(&self, kind: &str, code: &str) {
        let verdict = Verdict { denied: false, code: code.to_owned() };
        self.shared.state().verdicts.entry(kind.to_owned()).or_default().push_back(verdict);
    }

    /// The next `kind` is denied by compliance.
    pub fn deny_next(&self, kind: &str) {
        let code = if kind == "payout" { "transaction_denied" } else { "transfer_denied" };
        let verdict = Verdict { denied: true, code: code.to_owned() };
        self.shared.state().verdicts.entry(kind.to_owned()).or_default().push_back(verdict);
    }

    /// The bank sends a complete payout back. Whether there was one.
    pub fn return_payout(&self, id: &str, reason: &str) -> bool {
        self.shared.state().return_payout(id, reason)
    }

    /// Puts a fault in the way.
    pub fn fault(&self, fault: Fault) {
        self.shared.state().faults.push(fault);
    }

    /// The next `count` notifications are sent twice.
    pub fn duplicate_notifications(&self, count: usize) {
        self.shared.state().duplicates = count;
    }

    /// From now on notifications wait for [`Circle::release_notifications`].
    pub fn hold_notifications(&self) {
        self.shared.state().held.get_or_insert_default();
    }

    /// What waits is sent at the next [`Circle::advance`]; the last first, if so wished.
    pub fn release_notifications(&self, reversed: bool) {
        self.shared.state().release(reversed);
    }

    /// From now on notifications are sent that much later.
    pub fn delay_notifications(&self, by: Duration) {
        self.shared.state().lateness = by;
    }

    /// Lists say these fields of a thing instead of what is so; null: they leave it out. Asked for by its id it is as it is.
    pub fn contradict(&self, id: &str, changes: Value) {
        self.shared.state().contradictions.insert(id.to_owned(), changes);
    }
}

/// `/__sim/…`: the same over HTTP. Everything but `GET requests` is a `POST` of JSON.
pub(super) async fn serve(shared: &Shared, path: &[&str], body: &Value) -> Reply {
    let word = |name: &str| body[name].as_str().unwrap_or_default();
    let done = |yes: bool| if yes { Reply::data(200, json!({})) } else { Reply::not_found() };
    let seconds = |name: &str| Duration::from_millis(body[name].as_u64().unwrap_or_default().saturating_mul(1000));
    match path {
        ["advance"] => {
            let target = shared.state().now + seconds("seconds");
            shared.run_until(target).await;
            let now = shared.state().date();
            Reply::data(200, json!({ "now": now }))
        }
        ["recipients", id, "approve"] => done(shared.state().approve(id)),
        ["payouts", id, "return"] => done(shared.state().return_payout(id, word("reason"))),
        ["next", kind @ ("deposit" | "transfer" | "payout")] => {
            let verdict = Verdict { denied: body["denied"] == true, code: word("errorCode").to_owned() };
            shared.state().verdicts.entry((*kind).to_owned()).or_default().push_back(verdict);
            done(true)
        }
        ["faults"] => {
            let kind = match word("kind") {
                "silence_after_commit" => FaultKind::SilenceAfterCommit,
                "answer_lost" => FaultKind::AnswerLost,
                "error_after_commit" => FaultKind::ErrorAfterCommit,
                "error_before" => FaultKind::ErrorBefore,
                "too_many" => FaultKind::TooMany(body["retryAfter"].as_u64().unwrap_or(1)),
                "unknown_words" => FaultKind::UnknownWords,
                _ => return Reply::error(400, 2, "no such kind of fault"),
            };
            let times = body["times"].as_u64().and_then(|times| usize::try_from(times).ok()).unwrap_or(1);
            shared.state().faults.push(Fault { times, ..Fault::once(word("method"), word("path"), kind) });
            done(true)
        }
        ["notifications", "duplicate"] => {
            let count = body["count"].as_u64().and_then(|count| usize::try_from(count).ok());
            shared.state().duplicates = count.unwrap_or(1);
            done(true)
        }
        ["notifications", "hold"] => {
            shared.state().held.get_or_insert_default();
            done(true)
        }
        ["notifications", "release"] => {
            shared.state().release(body["reversed"] == true);
            done(true)
        }
        ["notifications", "delay"] => {
            shared.state().lateness = seconds("seconds");
            done(true)
        }
        ["contradict", id] => {
            shared.state().contradictions.insert((*id).to_owned(), body.clone());
            done(true)
        }
        ["requests"] => {
            let state = shared.state();
            let requests = state.requests.iter();
            let said = |request: &super::Request| {
                json!({
                    "method": request.method, "path": request.path, "body": request.body,
                })
            };
            Reply::data(200, requests.map(said).collect())
        }
        _ => Reply::not_found(),
    }
}

impl Shared {
    pub(super) fn certificate_url(&self) -> String {
        format!("{}{}", self.base_url, sns::CERTIFICATE_PATH)
    }
}
