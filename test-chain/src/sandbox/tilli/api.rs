//! The gateway's own routes.

use super::state::{Conduct, Due, Fault, Payment, Rail, Seen, Standing, State, cents, dollars};
use super::{Duplicates, Shared, calendar, webhooks};
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{self, Path, Request};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Instant;

type Sandbox = extract::State<Arc<Shared>>;

/// An answer that says no, in a shape that is assumed.
fn no(status: StatusCode, message: &str) -> Response {
    answer(status, &json!({"status": "ERROR", "message": message}))
}

fn answer(status: StatusCode, body: &Value) -> Response {
    (status, [("content-type", "application/json")], body.to_string()).into_response()
}

/// Marks an answer that is never to arrive.
#[derive(Clone, Copy)]
struct Silent;

/// Where there is nothing.
pub(super) async fn nothing() -> Response {
    no(StatusCode::NOT_FOUND, "no such route")
}

/// Remembers every request, and makes trouble where it was asked for.
pub(super) async fn trouble(extract::State(shared): Sandbox, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(bytes) = to_bytes(body, 1 << 20).await else {
        return no(StatusCode::PAYLOAD_TOO_LARGE, "too long");
    };
    let path = parts.uri.path().to_owned();
    let fault = {
        let mut state = shared.state();
        state.seen.push(Seen {
            method: parts.method.to_string(),
            path: path.clone(),
            body: String::from_utf8_lossy(&bytes).into_owned(),
        });
        let found = state.faults.iter_mut().find(|(of, _, times)| path.starts_with(of.as_str()) && *times > 0);
        found.map(|(_, fault, times)| {
            *times -= 1;
            *fault
        })
    };
    let request = Request::from_parts(parts, Body::from(bytes));
    let silence = shared.config.silence;
    let said = match fault {
        Some(Fault::SilentBefore) => {
            tokio::time::sleep(silence).await;
            return StatusCode::GATEWAY_TIMEOUT.into_response();
        }
        Some(Fault::ErrorBefore) => return no(StatusCode::SERVICE_UNAVAILABLE, "try again"),
        Some(Fault::Unauthorised) => return no(StatusCode::UNAUTHORIZED, "token expired"),
        Some(Fault::SilentAfter | Fault::ErrorAfter | Fault::GarbageAfter) | None => next.run(request).await,
    };
    tokio::spawn(async move { webhooks::flush(&shared).await });
    let fault = if said.extensions().get::<Silent>().is_some() { Some(Fault::SilentAfter) } else { fault };
    match fault {
        Some(Fault::SilentAfter) => {
            tokio::time::sleep(silence).await;
            said
        }
        Some(Fault::ErrorAfter) => no(StatusCode::INTERNAL_SERVER_ERROR, "internal error"),
        Some(Fault::GarbageAfter) => (StatusCode::OK, "<html>one moment please</html>").into_response(),
        _ => said,
    }
}

/// Assumed: a token for one merchant id.
pub(super) async fn authenticate(extract::State(shared): Sandbox, body: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let config = &shared.config;
    let merchant = body["merchantId"].as_str().unwrap_or_default();
    let rail =
        [(&config.card_merchant, Rail::Card), (&config.ica_merchant, Rail::Ica), (&config.cbp_merchant, Rail::Cbp)]
            .into_iter()
            .find_map(|(id, rail)| (id == merchant).then_some(rail));
    match rail {
        Some(rail) if body["apiKey"].as_str() == Some(config.api_key.as_str()) => {
            let mut state = shared.state();
            let token = state.draw("GPS-TOKEN-");
            state.gps_tokens.insert(token.clone(), (rail, Instant::now() + config.token_lives));
            answer(StatusCode::OK, &json!({"gpsToken": token, "expiresIn": config.token_lives.as_secs()}))
        }
        _ => no(StatusCode::UNAUTHORIZED, "unknown merchant or key"),
    }
}

/// For which merchant id the request has a token.
fn let_in(shared: &Shared, headers: &HeaderMap) -> Result<Rail, Box<Response>> {
    let Some(token) = headers.get("gpsToken").and_then(|token| token.to_str().ok()) else {
        return Err(Box::new(no(StatusCode::UNAUTHORIZED, "gpsToken is missing")));
    };
    match shared.state().gps_tokens.get(token) {
        Some((rail, until)) if Instant::now() < *until => Ok(*rail),
        _ => Err(Box::new(no(StatusCode::UNAUTHORIZED, "gpsToken is unknown or has expired"))),
    }
}

/// What both kinds of payment have.
struct Asked {
    rail: Rail,
    request: String,
    cents: i64,
    fee: i64,
    conduct: Conduct,
    /// The token to give back, if it was to be kept.
    token: Option<String>,
}

fn text<'a>(body: &'a Value, field: &str) -> Option<&'a str> {
    body[field].as_str().filter(|text| !text.is_empty())
}

fn needed<'a>(body: &'a Value, field: &str) -> Result<&'a str, String> {
    text(body, field).ok_or_else(|| format!("{field} is missing"))
}

fn digits(text: &str, lengths: std::ops::RangeInclusive<usize>) -> bool {
    lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// An amount: the documentation has `"1.99"` in an example and "Number" in a table.
fn amount(body: &Value, field: &str) -> Result<i64, String> {
    let shown = match &body[field] {
        Value::String(text) => text.clone(),
        // A number that was written as 37.00 is 37.0 by now.
        Value::Number(number) => {
            let shown = number.to_string();
            match shown.split_once('.') {
                Some((_, decimals)) if decimals.len() == 1 => format!("{shown}0"),
                Some(_) => shown,
                None => format!("{shown}.00"),
            }
        }
        _ => return Err(format!("{field} is missing")),
    };
    cents(&shown).filter(|cents| *cents > 0).ok_or_else(|| format!("{field} is no amount with two decimals"))
}

fn common(shared: &Shared, body: &Value, own: &[(&str, Rail)], token_rail: Rail) -> Result<Asked, String> {
    if !body.is_object() {
        return Err("the body is no JSON object".to_owned());
    }
    let merchant = needed(body, "merchantId")?;
    let (_, rail) = own.iter().find(|(id, _)| *id == merchant).ok_or("merchantId is unknown here")?;
    if *rail != token_rail {
        return Err("the token is for another merchantId".to_owned());
    }
    if needed(body, "channel")? != "GPS" {
        return Err("channel must be GPS".to_owned());
    }
    let request = needed(body, "clientRequestId")?.to_owned();
    if needed(body, "currency")? != "USD" {
        return Err("currency must be USD".to_owned());
    }
    if let Some(phone) = text(body, "phoneNumber")
        && !digits(phone, 1..=10)
    {
        return Err("phoneNumber has at most 10 digits".to_owned());
    }
    let cents = amount(body, "amount")?;
    let conduct = match text(body, &shared.config.assumed.token_field) {
        Some(token) => {
            let stored = shared.state().stored.get(token).copied();
            let (is_card, conduct) = stored.ok_or("the token is unknown")?;
            if is_card != (*rail == Rail::Card) {
                return Err("the token is for another kind of payment".to_owned());
            }
            conduct
        }
        None => Conduct::Approves,
    };
    Ok(Asked { rail: *rail, request, cents, fee: 0, conduct, token: None })
}

/// Documented: `requestType`, and which fields each needs.
fn request_type<'a>(shared: &Shared, body: &'a Value, raw: &str, secret: &[&str]) -> Result<&'a str, String> {
    let kind = needed(body, "requestType")?;
    let token = &shared.config.assumed.token_field;
    let has_secret = secret.iter().find(|field| !body[**field].is_null());
    match (kind, text(body, token), has_secret) {
        ("token", None, _) => Err(format!("{token} is missing with requestType token")),
        ("token", Some(_), Some(field)) => Err(format!("{field} does not go with requestType token")),
        ("token", Some(_), None) => Ok(kind),
        (kind, Some(_), _) if kind == raw => Err(format!("{token} does not go with requestType {raw}")),
        (kind, None, _) if kind == raw => Ok(kind),
        _ => Err(format!("requestType must be {raw} or token")),
    }
}

fn flag(body: &Value, fields: &[&str]) -> Result<bool, String> {
    match fields.iter().find_map(|field| text(body, field)) {
        Some("Y") => Ok(true),
        Some("N") | None => Ok(false),
        Some(_) => Err(format!("{} must be Y or N", fields.first().unwrap_or(&"flag"))),
    }
}

pub(super) async fn card(extract::State(shared): Sandbox, headers: HeaderMap, body: Bytes) -> Response {
    let rail = match let_in(&shared, &headers) {
        Ok(rail) => rail,
        Err(no) => return *no,
    };
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let asked = (|| {
        let mut asked = common(&shared, &body, &[(shared.config.card_merchant.as_str(), Rail::Card)], rail)?;
        if request_type(&shared, &body, "card", &["cardNumber", "cvv"])? == "card" {
            let number = needed(&body, "cardNumber")?;
            if !digits(number, 13..=19) {
                return Err("cardNumber has 13 to 19 digits".to_owned());
            }
            if !digits(needed(&body, "expiryYear")?, 2..=2) || !digits(needed(&body, "expiryMonth")?, 2..=2) {
                return Err("expiryYear and expiryMonth have two digits".to_owned());
            }
            if !digits(needed(&body, "cvv")?, 3..=4) {
                return Err("cvv has three or four digits".to_owned());
            }
            asked.conduct = Conduct::of_card(number);
        }
        if flag(&body, &["isSavecard"])? {
            asked.token = Some(save(&mut shared.state(), true, asked.conduct));
        }
        Ok(asked)
    })();
    charge(&shared, asked)
}

pub(super) async fn ach(extract::State(shared): Sandbox, headers: HeaderMap, body: Bytes) -> Response {
    let rail = match let_in(&shared, &headers) {
        Ok(rail) => rail,
        Err(no) => return *no,
    };
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let config = &shared.config;
    let asked = (|| {
        let own = [(config.ica_merchant.as_str(), Rail::Ica), (config.cbp_merchant.as_str(), Rail::Cbp)];
        let mut asked = common(&shared, &body, &own, rail)?;
        let entry = match needed(&body, "achType")? {
            "ICA" => Rail::Ica,
            "CBP" => Rail::Cbp,
            _ => return Err("achType must be ICA or CBP".to_owned()),
        };
        if entry != asked.rail {
            return Err("achType does not go with this merchantId".to_owned());
        }
        if request_type(&shared, &body, "check", &["routingNumber", "accountNumber"])? == "check" {
            let account = needed(&body, "accountNumber")?;
            if !digits(needed(&body, "routingNumber")?, 9..=9) || !digits(account, 1..=17) {
                return Err("routingNumber has nine digits, accountNumber up to 17".to_owned());
            }
            if !matches!(needed(&body, "accountType")?, "S" | "C") || !matches!(needed(&body, "checkType")?, "P" | "C")
            {
                return Err("accountType must be S or C, checkType P or C".to_owned());
            }
            asked.conduct = Conduct::of_account(account);
        }
        for field in ["sessionId", "firstName", "lastName", "addressOne", "city", "state", "zip"] {
            needed(&body, field)?;
        }
        if !body["fee"].is_null() {
            if config.fee_model == super::FeeModel::Absorption {
                return Err("fee is for the convenience fee model only".to_owned());
            }
            asked.fee = amount(&body, "fee")?;
        }
        // The documentation writes it in two ways.
        if flag(&body, &["isSaveCheck", "isSavecheck"])? {
            asked.token = Some(save(&mut shared.state(), false, asked.conduct));
        }
        Ok(asked)
    })();
    charge(&shared, asked)
}

/// Keeps what is behind a card or an account, and gives a token for it.
pub(super) fn save(state: &mut State, is_card: bool, conduct: Conduct) -> String {
    let token = state.draw("tok_");
    state.stored.insert(token.clone(), (is_card, conduct));
    token
}

fn charge(shared: &Shared, asked: Result<Asked, String>) -> Response {
    let asked = match asked {
        Ok(asked) => asked,
        Err(why) => return no(StatusCode::BAD_REQUEST, &why),
    };
    let mut state = shared.state();
    let earlier = state.payments.iter().find(|payment| payment.request == asked.request);
    match (earlier, shared.config.duplicates) {
        (Some(_), Duplicates::Refused) => return no(StatusCode::CONFLICT, "clientRequestId was used before"),
        (Some(earlier), Duplicates::Replayed) => return answer(StatusCode::OK, &earlier.answer),
        _ => {}
    }
    let standing = match (asked.cents, asked.conduct) {
        (66_602, _) | (_, Conduct::Declines) => Standing::Declined,
        (66_605, _) => Standing::Pending,
        _ => Standing::Approved,
    };
    let charged = if asked.cents == 66_603 { asked.cents - 1 } else { asked.cents };
    let id = state.draw("TXN");
    let declined = standing == Standing::Declined;
    let said = json!({
        "transactionId": id,
        "clientRequestId": asked.request,
        "status": standing.word(),
        "message": if declined { "Do not honor" } else { "Transaction accepted" },
        "responseCode": if declined { "05" } else { "00" },
        "authCode": (asked.rail == Rail::Card && !declined).then_some("A1B2C3"),
        "amount": dollars(if declined { 0 } else { charged }),
        "token": asked.token,
    });
    let payment = Payment {
        id: id.clone(),
        request: asked.request,
        rail: asked.rail,
        charged,
        fee: asked.fee,
        standing,
        conduct: asked.conduct,
        refunded: 0,
        disagrees: None,
        answer: said.clone(),
    };
    match standing {
        Standing::Approved => {
            state.settles(&id, asked.rail);
            state.notify("payment.approved", &payment, charged);
        }
        Standing::Pending => {
            let on = calendar::working_days_after(state.today, 1);
            state.due.push((on, Due::Approval(id)));
        }
        _ => state.notify("payment.declined", &payment, 0),
    }
    state.payments.push(payment);
    match asked.cents {
        66_601 => {
            let mut said = answer(StatusCode::OK, &said);
            said.extensions_mut().insert(Silent);
            said
        }
        66_604 => no(StatusCode::INTERNAL_SERVER_ERROR, "internal error"),
        _ => answer(StatusCode::OK, &said),
    }
}

/// Assumed.
pub(super) async fn status(extract::State(shared): Sandbox, headers: HeaderMap, Path(id): Path<String>) -> Response {
    let rail = match let_in(&shared, &headers) {
        Ok(rail) => rail,
        Err(no) => return *no,
    };
    let state = shared.state();
    if let Some(refund) = state.refunds.get(&id) {
        return answer(StatusCode::OK, refund);
    }
    match state.payments.iter().find(|payment| payment.request == id && payment.rail == rail) {
        Some(payment) => {
            let mut said = payment.answer.clone();
            said["status"] = payment.standing.word().into();
            said["token"] = Value::Null;
            answer(StatusCode::OK, &said)
        }
        None => no(StatusCode::NOT_FOUND, "no such payment"),
    }
}

/// Assumed.
pub(super) async fn refund(extract::State(shared): Sandbox, headers: HeaderMap, body: Bytes) -> Response {
    let back = |state: &mut State, body: &Value, payment: &mut Payment, request: &str| {
        let cents = amount(body, "amount")?;
        if payment.standing != Standing::Settled && payment.standing != Standing::Approved {
            return Err(format!("a payment that is {} cannot be refunded", payment.standing.word()));
        }
        if payment.refunded + cents > payment.charged {
            return Err("more than is left of the payment".to_owned());
        }
        payment.refunded += cents;
        let id = state.draw("RFD");
        let on = calendar::working_days_after(state.today, 2);
        state.due.push((on, Due::Refund { payment: payment.id.clone(), refund: id.clone(), cents }));
        Ok(json!({
            "transactionId": id, "clientRequestId": request, "status": "ACCEPTED",
            "message": "Refund accepted", "amount": dollars(cents),
        }))
    };
    undo(&shared, &headers, &body, back)
}

/// Assumed.
pub(super) async fn void(extract::State(shared): Sandbox, headers: HeaderMap, body: Bytes) -> Response {
    let off = |state: &mut State, _: &Value, payment: &mut Payment, request: &str| {
        if !matches!(payment.standing, Standing::Approved | Standing::Pending) {
            return Err(format!("a payment that is {} cannot be voided", payment.standing.word()));
        }
        payment.standing = Standing::Voided;
        state.notify("payment.voided", payment, payment.charged);
        Ok(json!({
            "transactionId": payment.id, "clientRequestId": request, "status": "ACCEPTED",
            "message": "Void accepted", "amount": dollars(payment.charged),
        }))
    };
    undo(&shared, &headers, &body, off)
}

fn undo(
    shared: &Shared,
    headers: &HeaderMap,
    body: &[u8],
    how: impl FnOnce(&mut State, &Value, &mut Payment, &str) -> Result<Value, String>,
) -> Response {
    let rail = match let_in(shared, headers) {
        Ok(rail) => rail,
        Err(no) => return *no,
    };
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let request = body["clientRequestId"].as_str().unwrap_or_default().to_owned();
    let mut state = shared.state();
    if request.is_empty() {
        return no(StatusCode::BAD_REQUEST, "clientRequestId is missing");
    }
    if let Some(earlier) = state.refunds.get(&request) {
        return match shared.config.duplicates {
            Duplicates::Replayed => answer(StatusCode::OK, earlier),
            _ => no(StatusCode::CONFLICT, "clientRequestId was used before"),
        };
    }
    let id = body["transactionId"].as_str().unwrap_or_default();
    let Some(mut payment) = state.payment(id).filter(|payment| payment.rail == rail).cloned() else {
        return no(StatusCode::NOT_FOUND, "no such payment");
    };
    match how(&mut state, &body, &mut payment, &request) {
        Ok(said) => {
            state.refunds.insert(request, said.clone());
            if let Some(kept) = state.payment(id) {
                *kept = payment;
            }
            answer(StatusCode::OK, &said)
        }
        Err(why) => no(StatusCode::UNPROCESSABLE_ENTITY, &why),
    }
}
