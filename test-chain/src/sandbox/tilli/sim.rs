//! `POST /__sim/{action}`: what is no part of any gateway, for tests and demos.
//!
//! | action | body | what it does |
//! | --- | --- | --- |
//! | `tokenize` | `{"cardNumber"}` or `{"routingNumber", "accountNumber"}` | what a hosted field does: `{"token"}` |
//! | `today` | `{}` | `{"today"}` |
//! | `advance` | `{"bankingDays": n}`, `{"days": n}` or `{"to": "2026-12-01"}` | lets days pass |
//! | `fault` | `{"path", "fault", "times"}` | the next requests whose path begins so fail: `silent_after`, `silent_before`, `error_after`, `error_before`, `unauthorised`, `garbage_after` |
//! | `heal` | `{}` | no more of these |
//! | `expire` | `{}` | all tokens of merchants have expired |
//! | `webhook` | `{"url", "mode"}`, either or both | where notifications go, and how: `normal`, `duplicate`, `reordered`, `missing` |
//! | `disagree` | `{"transactionId", "settles": "12.34" or null}` | reports will say this, or nothing, whatever notifications say |
//! | `return` | `{"transactionId", "code"}` | the payment comes back on the next banking day |
//! | `chargeback` | `{"transactionId", "to": "opened", "won" or "lost"}` | on the next banking day |
//! | `payment` | `{"clientRequestId"}` | every payment charged under it |
//! | `requests` | `{}` | every request that came to the gateway |
//! | `wire` | `{"amount", "reference", "from", "bankReference"}` | a wire arrives at the bank; a given `bankReference` may be one that was there before |
//! | `nacha` | `{"file"}` | the bank takes a file of ACH credits |
//! | `payout` | `{"amount", "accountNumber", "reference", "wire": bool}` | the bank pays out without a file |
//!
//! Payments out to accounts ending in 0001 and 0003 come back with R01 and R03 two banking days later, to 0010 and 0007 with R10 and R07
//! after 45 days; accounts ending in 0098 get a notice of change (C01) and keep the money.

use super::api::save;
use super::state::{Conduct, Due, Fault, Mode, PaidOut, Standing, State, cents, dollars};
use super::{Shared, calendar, webhooks};
use axum::body::Bytes;
use axum::extract::{self, Path};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::sync::Arc;
use time::macros::format_description;
use time::{Date, Duration};

pub(super) async fn answer(
    extract::State(shared): extract::State<Arc<Shared>>,
    Path(action): Path<String>,
    body: Bytes,
) -> Response {
    let body = if body.is_empty() { json!({}) } else { serde_json::from_slice(&body).unwrap_or_default() };
    match act(&shared, &action, &body) {
        Ok(said) => axum::Json(said).into_response(),
        Err(why) => (StatusCode::BAD_REQUEST, axum::Json(json!({"error": why}))).into_response(),
    }
}

/// Does it, and sends what notifications follow.
pub(super) fn act(shared: &Arc<Shared>, action: &str, body: &Value) -> Result<Value, String> {
    let done = {
        let mut state = shared.state();
        match action {
            "tokenize" => tokenize(&mut state, body),
            "today" => Ok(json!({"today": state.today.to_string()})),
            "advance" => advance(shared, &mut state, body),
            "fault" => fault(&mut state, body),
            "heal" => {
                state.faults.clear();
                Ok(json!({}))
            }
            "expire" => {
                state.gps_tokens.clear();
                Ok(json!({}))
            }
            "webhook" => webhook(&mut state, body),
            "disagree" => disagree(&mut state, body),
            "return" | "chargeback" => trouble(&mut state, action, body),
            "payment" => {
                let request = text(body, "clientRequestId")?;
                let all = state.payments.iter().filter(|payment| payment.request == request);
                Ok(all
                    .map(|payment| {
                        json!({
                            "transactionId": payment.id,
                            "status": payment.standing.word(),
                            "charged": dollars(payment.charged),
                            "refunded": dollars(payment.refunded),
                        })
                    })
                    .collect())
            }
            "requests" => Ok(state
                .seen
                .iter()
                .map(|seen| json!({"method": seen.method, "path": seen.path, "body": seen.body}))
                .collect()),
            "wire" => wire(&mut state, body),
            "nacha" => nacha(&mut state, text(body, "file")?),
            "payout" => payout(&mut state, body),
            _ => Err(format!("there is no action '{action}'")),
        }
    }?;
    // Outside a runtime nothing can be sent; the next one does it.
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        let shared = Arc::clone(shared);
        runtime.spawn(async move { webhooks::flush(&shared).await });
    }
    Ok(done)
}

fn text<'a>(body: &'a Value, field: &str) -> Result<&'a str, String> {
    body[field].as_str().ok_or_else(|| format!("{field} is missing"))
}

fn money(body: &Value, field: &str) -> Result<i64, String> {
    cents(text(body, field)?).filter(|cents| *cents >= 0).ok_or_else(|| format!("{field} is no amount like \"12.34\""))
}

fn tokenize(state: &mut State, body: &Value) -> Result<Value, String> {
    let (is_card, conduct) = match body["cardNumber"].as_str() {
        Some(number) => (true, Conduct::of_card(&number.replace([' ', '-'], ""))),
        None => {
            text(body, "routingNumber")?;
            (false, Conduct::of_account(text(body, "accountNumber")?))
        }
    };
    Ok(json!({"token": save(state, is_card, conduct)}))
}

fn advance(shared: &Shared, state: &mut State, body: &Value) -> Result<Value, String> {
    let to = match (body["bankingDays"].as_u64(), body["days"].as_i64(), body["to"].as_str()) {
        (Some(days), _, _) => {
            calendar::working_days_after(state.today, u32::try_from(days).unwrap_or(u32::MAX).min(1_000))
        }
        (_, Some(days), _) => state.today.saturating_add(Duration::days(days)),
        (_, _, Some(to)) => {
            Date::parse(to, format_description!("[year]-[month]-[day]")).map_err(|error| error.to_string())?
        }
        _ => return Err("give bankingDays, days or to".to_owned()),
    };
    state.advance(to, &shared.config);
    Ok(json!({"today": state.today.to_string()}))
}

fn fault(state: &mut State, body: &Value) -> Result<Value, String> {
    let fault = match text(body, "fault")? {
        "silent_after" => Fault::SilentAfter,
        "silent_before" => Fault::SilentBefore,
        "error_after" => Fault::ErrorAfter,
        "error_before" => Fault::ErrorBefore,
        "unauthorised" => Fault::Unauthorised,
        "garbage_after" => Fault::GarbageAfter,
        other => return Err(format!("there is no fault '{other}'")),
    };
    state.faults.push((text(body, "path")?.to_owned(), fault, body["times"].as_u64().unwrap_or(1)));
    Ok(json!({}))
}

fn webhook(state: &mut State, body: &Value) -> Result<Value, String> {
    let mode = match body["mode"].as_str() {
        None => state.mode,
        Some("normal") => Mode::Normal,
        Some("duplicate") => Mode::Duplicate,
        Some("reordered") => Mode::Reordered,
        Some("missing") => Mode::Missing,
        Some(other) => return Err(format!("there is no mode '{other}'")),
    };
    if state.mode == Mode::Reordered && mode != Mode::Reordered {
        state.notifications.make_contiguous().reverse();
    }
    state.mode = mode;
    if let Some(url) = body["url"].as_str() {
        state.webhook_url = Some(url.to_owned());
    }
    Ok(json!({}))
}

fn disagree(state: &mut State, body: &Value) -> Result<Value, String> {
    let settles = match &body["settles"] {
        Value::Null => None,
        _ => Some(money(body, "settles")?),
    };
    let payment = state.payment(text(body, "transactionId")?).ok_or("there is no such payment")?;
    payment.disagrees = Some(settles);
    Ok(json!({}))
}

fn trouble(state: &mut State, action: &str, body: &Value) -> Result<Value, String> {
    let id = text(body, "transactionId")?.to_owned();
    let on = calendar::working_days_after(state.today, 1);
    let standing = state.payment(&id).ok_or("there is no such payment")?.standing;
    if standing != Standing::Settled {
        return Err(format!("the payment is {}", standing.word()));
    }
    let due = match (action, body["to"].as_str()) {
        ("return", _) => Due::Return(id, text(body, "code")?.to_owned()),
        (_, Some("opened")) => Due::DisputeOpens(id),
        (_, Some("won")) => Due::DisputeEnds { payment: id, won: true },
        (_, Some("lost")) => Due::DisputeEnds { payment: id, won: false },
        _ => return Err("to is opened, won or lost".to_owned()),
    };
    state.due.push((on, due));
    Ok(json!({"on": on.to_string()}))
}

fn wire(state: &mut State, body: &Value) -> Result<Value, String> {
    let cents = money(body, "amount")?;
    let (reference, from) =
        (body["reference"].as_str().unwrap_or_default(), body["from"].as_str().unwrap_or("A CUSTOMER"));
    state.book("WIRE CREDIT", cents, reference, from, "");
    let line = state.booked.last_mut().ok_or("nothing was booked")?;
    if let Some(given) = body["bankReference"].as_str() {
        given.clone_into(&mut line.bank_reference);
    }
    Ok(json!({"bankReference": line.bank_reference}))
}

/// What becomes of money that is paid out to an account.
fn pay(state: &mut State, paid: PaidOut) {
    let payout = state.paid_out.len();
    let coming_back = match (Conduct::of_account(&paid.account), paid.account.ends_with("0098")) {
        (_, true) => {
            state.paid_out.push(PaidOut { returned: Some((state.today, "C01".to_owned())), ..paid });
            return;
        }
        (Conduct::Returns { code, late: false }, _) => Some((calendar::working_days_after(state.today, 2), code)),
        (Conduct::Returns { code, late: true }, _) => Some((calendar::days_after(state.today, 45), code)),
        _ => None,
    };
    if let Some((on, code)) = coming_back {
        state.due.push((on, Due::PayoutReturns { payout, code: code.to_owned() }));
    }
    state.paid_out.push(paid);
}

/// The bank reads a file, its own way: by place, entry by entry, and trusting its totals.
fn nacha(state: &mut State, file: &str) -> Result<Value, String> {
    if let Some(line) = file.lines().position(|line| line.len() != 94 || !line.is_ascii()) {
        return Err(format!("line {} has no 94 characters", line + 1));
    }
    if !file.lines().count().is_multiple_of(10) {
        return Err("the file is not blocked by ten".to_owned());
    }
    let mut credits = Vec::new();
    for line in file.lines().filter(|line| line.starts_with('6')) {
        let part = |from: usize, to: usize| line.get(from..to).unwrap_or_default();
        let savings = match part(1, 3) {
            "22" => false,
            "32" => true,
            other => return Err(format!("transaction code {other} is no credit")),
        };
        credits.push(PaidOut {
            cents: part(29, 39).parse().map_err(|_| "an amount is no number")?,
            account: part(12, 29).trim().to_owned(),
            reference: part(79, 94).to_owned(),
            routing: part(3, 12).to_owned(),
            name: part(54, 76).trim().to_owned(),
            savings,
            returned: None,
        });
    }
    let control = file.lines().find(|line| line.starts_with('9')).ok_or("the file has no last record")?;
    let total: i64 = control.get(43..55).unwrap_or_default().parse().map_err(|_| "the total is no number")?;
    if credits.iter().map(|credit| credit.cents).sum::<i64>() != total {
        return Err("the total is not what the entries give".to_owned());
    }
    let count = credits.len();
    state.book("ACH DEBIT", -total, "ACH FILE", "PAYMENTS ORIGINATED", "");
    for credit in credits {
        pay(state, credit);
    }
    Ok(json!({"entries": count, "total": dollars(total)}))
}

fn payout(state: &mut State, body: &Value) -> Result<Value, String> {
    let (cents, account) = (money(body, "amount")?, text(body, "accountNumber")?.to_owned());
    let reference = body["reference"].as_str().unwrap_or_default().to_owned();
    let kind = if body["wire"].as_bool() == Some(true) { "WIRE DEBIT" } else { "ACH DEBIT" };
    state.book(kind, -cents, &reference, "PAYMENT ORIGINATED", "");
    let bank_reference = state.booked.last().map(|line| line.bank_reference.clone());
    pay(
        state,
        PaidOut {
            cents,
            account,
            reference,
            routing: String::new(),
            name: String::new(),
            savings: false,
            returned: None,
        },
    );
    Ok(json!({"bankReference": bank_reference}))
}
