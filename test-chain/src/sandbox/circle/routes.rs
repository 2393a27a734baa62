//! Circle's own paths.

use super::reply::{Form, Reply, complaint, usd};
use super::sim::FaultKind;
use super::sns::Delivery;
use super::state::{State, Task, fresh_id};
use super::{Request, Shared, chain, sim, sns};
use alloy::primitives::keccak256;
use alloy::transports::http::reqwest::Url;
use axum::body::{Body, Bytes};
use axum::extract::State as Extract;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

type Query = Vec<(String, String)>;

const CHAINS: [&str; 6] = ["ALGO", "ARB", "BASE", "ETH", "MATIC", "SOL"];

/// How many subscriptions the sandbox allows.
const SUBSCRIPTIONS: usize = 3;

pub(super) async fn serve(
    Extract(shared): Extract<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response {
    let path = uri.path().to_owned();
    let query = pairs(&uri);
    if let Some(file) = sns::file(&path) {
        return ([(header::CONTENT_TYPE, "application/x-pem-file")], file).into_response();
    }
    if path == "/sns" {
        let status = if sns::confirm(&shared, &query) { StatusCode::OK } else { StatusCode::BAD_REQUEST };
        return (status, [(header::CONTENT_TYPE, "text/xml")], "<ConfirmSubscriptionResponse/>").into_response();
    }
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let body: Result<Value, _> = if bytes.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(&bytes) };
    if let Some(("__sim", rest)) = segments.split_first().map(|(first, rest)| (*first, rest)) {
        return sim::serve(&shared, rest, &body.unwrap_or_default()).await.into_response();
    }
    let request_id = headers.get("x-request-id").and_then(|id| id.to_str().ok()).map_or_else(fresh_id, str::to_owned);
    let told = format!("Bearer {}", shared.config.api_key);
    let authorized = headers.get(header::AUTHORIZATION).is_some_and(|given| given.as_bytes() == told.as_bytes());

    let (reply, fault) = {
        let mut state = shared.state();
        let asked = body.as_ref().cloned().unwrap_or_default();
        state.requests.push(Request { method: method.to_string(), path: uri.to_string(), body: asked });
        let fault = state.fault(method.as_str(), &path);
        let reply = match (fault, body) {
            (Some(FaultKind::ErrorBefore), _) => Err(mistake()),
            (Some(FaultKind::TooMany(seconds)), _) => {
                Err(Reply::error(429, 429, "Too many requests").with("retry-after", seconds.to_string()))
            }
            _ if segments == ["ping"] => Ok(Reply::new(200, json!({"message": "pong"}))),
            _ if !authorized => {
                Err(Reply::error(401, 1, "Malformed authorization. Is the authorization type missing?"))
            }
            (_, Err(_)) => Err(Reply::error(400, 2, "The body is no JSON")),
            (_, Ok(body)) => route(&shared, &mut state, &method, &segments, &query, &body),
        };
        (reply.unwrap_or_else(|refusal| refusal), fault)
    };
    let reply = match fault {
        Some(FaultKind::SilenceAfterCommit) => std::future::pending().await,
        Some(FaultKind::AnswerLost) => return torn(),
        Some(FaultKind::ErrorAfterCommit) => mistake(),
        Some(FaultKind::UnknownWords) => unheard_of(reply),
        _ => reply,
    };
    reply.with("x-request-id", request_id).into_response()
}

fn mistake() -> Reply {
    Reply::error(500, -1, "Something went wrong")
}

/// An answer that ends before it is whole.
fn torn() -> Response {
    let mut response = Body::from("{\"data\":").into_response();
    response.headers_mut().insert(header::CONTENT_LENGTH, header::HeaderValue::from_static("4096"));
    response
}

fn unheard_of(mut reply: Reply) -> Reply {
    let change = |thing: &mut Value| {
        if let Some(thing) = thing.as_object_mut() {
            thing.insert("status".to_owned(), json!("on_its_way_to_the_moon"));
            thing.insert("brandNewField".to_owned(), json!({"of": ["any", "shape"]}));
        }
    };
    match &mut reply.body["data"] {
        Value::Array(things) => things.iter_mut().for_each(change),
        thing => change(thing),
    }
    reply
}

fn pairs(uri: &Uri) -> Query {
    let url = Url::parse(&format!("http://sandbox{uri}"));
    url.map(|url| url.query_pairs().into_owned().collect()).unwrap_or_default()
}

fn get<'a>(query: &'a Query, name: &str) -> Option<&'a str> {
    query.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
}

fn route(
    shared: &Shared,
    state: &mut State,
    method: &Method,
    segments: &[&str],
    query: &Query,
    body: &Value,
) -> Result<Reply, Reply> {
    let path = segments.join("/");
    let once = |state: &mut State, work: fn(&Shared, &mut State, &Value) -> Result<Reply, Reply>| {
        let mut form = Form::of(body);
        form.key();
        let key = body["idempotencyKey"].as_str().unwrap_or_default().to_lowercase();
        if let Some((bound, original, reply)) = state.keys.get(&key) {
            return if (bound, original) == (&path, body) {
                Ok(reply.clone())
            } else {
                Err(Reply::error(409, 1083, "The idempotency key is already bound to another request."))
            };
        }
        form.done()?;
        let reply = work(shared, state, body)?;
        state.keys.insert(key, (path.clone(), body.clone(), reply.clone()));
        Ok(reply)
    };
    let one = |state: &State, kind: &str, id: &str| {
        state.find(kind, id).map(|thing| Reply::data(200, thing.clone())).ok_or_else(Reply::not_found)
    };
    let all = |state: &State, kind: &str| Reply::data(200, newest_first(state, kind).collect());
    match (method.as_str(), segments) {
        ("GET", ["v1", "configuration"]) => Ok(Reply::data(200, json!({"payments": {"masterWalletId": state.wallet}}))),
        ("GET", ["v1", "businessAccount", rest @ ..]) => match rest {
            ["balances"] => balances(state, query),
            ["banks", "wires"] => Ok(all(state, "wire")),
            ["banks", "wires", id] => one(state, "wire", id),
            ["banks", "wires", id, "instructions"] => instructions(state, id, query),
            ["deposits"] => list(shared, state, "deposit", query, |deposit| {
                get(query, "type").is_none_or(|kind| kind == "wire")
                    && get(query, "walletId").is_none_or(|wallet| deposit["destination"]["id"] == wallet)
            }),
            ["deposits", id] => one(state, "deposit", id),
            ["wallets", "addresses", "deposit"] => Ok(all(state, "address")),
            ["wallets", "addresses", "recipient"] => {
                list(shared, state, "recipient", query, |recipient| recipient["status"] != "pending_verification")
            }
            ["transfers"] => list(shared, state, "transfer", query, |transfer| {
                let source = get(query, "sourceWalletId").is_none_or(|wallet| transfer["source"]["id"] == wallet);
                let into = get(query, "destinationWalletId");
                let any = get(query, "walletId");
                let either =
                    |wallet: &str| transfer["source"]["id"] == wallet || transfer["destination"]["id"] == wallet;
                source && into.is_none_or(|wallet| transfer["destination"]["id"] == wallet) && any.is_none_or(either)
            }),
            ["transfers", id] => one(state, "transfer", id),
            ["payouts"] => payouts(shared, state, query),
            ["payouts", id] => one(state, "payout", id),
            _ => Err(Reply::not_found()),
        },
        ("POST", ["v1", "businessAccount", rest @ ..]) => match rest {
            ["banks", "wires"] => once(state, create_wire),
            ["wallets", "addresses", "deposit"] => once(state, create_address),
            ["wallets", "addresses", "recipient"] => once(state, create_recipient),
            ["transfers"] => once(state, create_transfer),
            ["payouts"] => once(state, create_payout),
            _ => Err(Reply::not_found()),
        },
        ("DELETE", ["v1", "businessAccount", "wallets", "addresses", "recipient", id]) => {
            let gone = state.remove("recipient", id);
            gone.map(|_| Reply::data(200, json!({}))).ok_or_else(Reply::not_found)
        }
        ("POST", ["v1", "mocks", "payments", "wire"]) => mock_wire(state, body),
        ("GET", ["v1", "notifications", "subscriptions"]) => Ok(all(state, "subscription")),
        ("GET", ["v1", "notifications", "subscriptions", id]) => one(state, "subscription", id),
        ("POST", ["v1", "notifications", "subscriptions"]) => subscribe(shared, state, body),
        ("DELETE", ["v1", "notifications", "subscriptions", id]) => unsubscribe(state, id),
        _ => Err(Reply::not_found()),
    }
}

fn newest_first<'a>(state: &'a State, kind: &str) -> impl Iterator<Item = Value> + 'a {
    state.all(kind).iter().rev().cloned()
}

/// Newest first, by time and by page.
fn list(
    shared: &Shared,
    state: &State,
    kind: &str,
    query: &Query,
    wanted: impl Fn(&Value) -> bool,
) -> Result<Reply, Reply> {
    let mut errors = Vec::new();
    let mut wrong = |error: &str, name: &str| errors.push(complaint(error, name, &json!(get(query, name))));
    let mut time = |name: &str| {
        let time = get(query, name).map(|text| OffsetDateTime::parse(text, &Rfc3339));
        time.and_then(|time| time.map_err(|_| wrong("invalid_value", name)).ok())
    };
    let (from, to) = (time("from"), time("to"));
    let created = |thing: &Value| OffsetDateTime::parse(thing["createDate"].as_str()?, &Rfc3339).ok();
    let in_time = |thing: &Value| {
        created(thing).is_none_or(|at| from.is_none_or(|from| at >= from) && to.is_none_or(|to| at <= to))
    };
    let contradicted = |mut thing: Value| match thing["id"].as_str().and_then(|id| state.contradictions.get(id)) {
        None => Some(thing),
        Some(Value::Object(changes)) => {
            thing.as_object_mut()?.extend(changes.clone());
            Some(thing)
        }
        Some(_) => None,
    };
    let things = newest_first(state, kind).filter(&wanted).filter(in_time).filter_map(contradicted);
    let things: Vec<Value> = things.collect();

    let size = match get(query, "pageSize").map(str::parse::<usize>) {
        None => 50,
        Some(Ok(size @ 1..=50)) => size,
        Some(Ok(0)) => {
            wrong("min_value", "pageSize");
            1
        }
        Some(_) => {
            wrong("max_value", "pageSize");
            1
        }
    };
    let (after, before) = (get(query, "pageAfter"), get(query, "pageBefore"));
    if after.is_some() && before.is_some() {
        wrong("not_required", "pageBefore");
    }
    let mut place = |name: &str| {
        let id = get(query, name)?;
        let place = things.iter().position(|thing| thing["id"] == id);
        if place.is_none() {
            wrong("invalid_value", name);
        }
        place
    };
    let (after, before) = (place("pageAfter"), place("pageBefore"));
    if !errors.is_empty() {
        return Err(Reply::invalid(errors));
    }
    let range = match (after, before) {
        (_, Some(before)) => before.saturating_sub(size)..before,
        (Some(after), None) => after + 1..things.len().min(after + 1 + size),
        (None, None) => 0..things.len().min(size),
    };
    let page = things.get(range.clone()).unwrap_or_default().to_vec();
    let link = |rel: &str, name: &str, id: &Value| {
        let id = id.as_str().unwrap_or_default();
        format!("<{}/v1/businessAccount/{kind}s?{name}={id}&pageSize={size}>; rel=\"{rel}\"", shared.base_url)
    };
    let mut links = Vec::new();
    if let (Some(first), true) = (page.first(), range.start > 0) {
        links.push(link("prev", "pageBefore", &first["id"]));
    }
    if let (Some(last), true) = (page.last(), range.end < things.len()) {
        links.push(link("next", "pageAfter", &last["id"]));
    }
    let reply = Reply::data(200, Value::Array(page));
    Ok(if shared.config.link_header { reply.with("link", links.join(", ")) } else { reply })
}

fn balances(state: &State, query: &Query) -> Result<Reply, Reply> {
    if get(query, "walletId").is_some_and(|wallet| wallet != state.wallet) {
        return Err(Reply::not_found());
    }
    let unsettled = if state.unsettled == 0 { vec![] } else { vec![usd(state.unsettled)] };
    Ok(Reply::data(200, json!({"available": [usd(state.available)], "unsettled": unsettled})))
}

fn create_wire(_: &Shared, state: &mut State, body: &Value) -> Result<Reply, Reply> {
    let mut form = Form::of(body);
    let number = match form.maybe("iban") {
        Some(iban) => iban.to_owned(),
        None => {
            form.text("routingNumber");
            form.text("accountNumber").to_owned()
        }
    };
    for field in ["name", "city", "country", "line1", "postalCode"] {
        form.text(&format!("billingDetails.{field}"));
    }
    if matches!(form.maybe("billingDetails.country"), Some("US" | "CA")) {
        form.text("billingDetails.district");
    }
    form.text("bankAddress.country");
    form.done()?;
    let (id, date) = (fresh_id(), state.date());
    let digest = keccak256(&number).to_string();
    let tail: String = number.chars().skip(number.chars().count().saturating_sub(4)).collect();
    let wire = json!({
        "id": id, "status": "pending", "description": format!("FIRST SANDBOX BANK ****{tail}"),
        "trackingRef": format!("CIR{}", digest[2..9].to_uppercase()), "fingerprint": fresh_id(),
        "virtualAccountEnabled": true, "billingDetails": body["billingDetails"], "bankAddress": body["bankAddress"],
        "createDate": date, "updateDate": date,
    });
    state.add("wire", wire.clone());
    state.tell("wire", &wire);
    state.later(state.delays.wire_account, Task::WireChecked(id));
    Ok(Reply::data(201, wire))
}

/// The account at Circle's bank that is this bank account's alone.
fn virtual_account(wire: &Value) -> String {
    let digest = keccak256(wire["id"].as_str().unwrap_or_default());
    let number = digest.iter().take(6).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    format!("{:012}", number % 1_000_000_000_000)
}

fn instructions(state: &State, id: &str, query: &Query) -> Result<Reply, Reply> {
    let wire = state.find("wire", id).ok_or_else(Reply::not_found)?;
    let currency = get(query, "currency").unwrap_or("USD");
    if !["USD", "EUR"].contains(&currency) {
        return Err(Reply::invalid(vec![complaint("invalid_value", "currency", &json!(currency))]));
    }
    Ok(Reply::data(
        200,
        json!({
            "trackingRef": wire["trackingRef"],
            "beneficiary": {"name": "SANDBOX CIRCLE INC", "address1": "1 MAIN STREET", "address2": "SUITE 1"},
            "beneficiaryBank": {
                "name": "FIRST SANDBOX BANK", "swiftCode": "FSBKUS33", "routingNumber": "999999999",
                "accountNumber": virtual_account(wire), "currency": currency, "address": "1 BANK PLAZA",
                "city": "BOSTON", "postalCode": "02201", "country": "US",
            },
        }),
    ))
}

fn mock_wire(state: &mut State, body: &Value) -> Result<Reply, Reply> {
    let mut form = Form::of(body);
    let reference = form.text("trackingRef").to_owned();
    let amount = form.usd("amount", 2);
    let account = form.text("beneficiaryBank.accountNumber").to_owned();
    let wire = state.all("wire").iter().find(|wire| wire["trackingRef"] == reference).cloned();
    match &wire {
        None if !reference.is_empty() => form.wrong("invalid_value", "trackingRef"),
        Some(wire) if !account.is_empty() && virtual_account(wire) != account => {
            form.wrong("invalid_value", "beneficiaryBank.accountNumber");
        }
        _ => {}
    }
    form.done()?;
    let from = wire.unwrap_or_default()["id"].as_str().unwrap_or_default().to_owned();
    state.later(state.delays.wire_batch, Task::WireCame(from, amount));
    let said = json!({
        "trackingRef": reference, "amount": usd(amount), "beneficiaryBank": {"accountNumber": account}, "status": "pending",
    });
    Ok(Reply::data(201, said))
}

fn create_address(_: &Shared, state: &mut State, body: &Value) -> Result<Reply, Reply> {
    let mut form = Form::of(body);
    let chain = form.word("chain", &CHAINS);
    form.word("currency", &["USD"]);
    form.done()?;
    if let Some(there) = state.all("address").iter().find(|address| address["chain"] == chain) {
        return Ok(Reply::data(201, there.clone()));
    }
    let address = chain::deposit_address(&fresh_id());
    let address = json!({"address": address, "currency": "USD", "chain": chain});
    state.add("address", address.clone());
    Ok(Reply::data(201, address))
}

/// Whether something looks like an address of that chain.
fn is_address(chain: &str, address: &str) -> bool {
    match chain {
        "SOL" => (32..=44).contains(&address.len()) && address.bytes().all(|b| b.is_ascii_alphanumeric()),
        "ALGO" => address.len() == 58,
        _ => {
            let digits = address.strip_prefix("0x").unwrap_or_default();
            digits.len() == 40 && digits.bytes().all(|b| b.is_ascii_hexdigit())
        }
    }
}

fn create_recipient(_: &Shared, state: &mut State, body: &Value) -> Result<Reply, Reply> {
    let mut form = Form::of(body);
    let chain = form.word("chain", &CHAINS);
    let address = form.text("address");
    if !chain.is_empty() && !address.is_empty() && !is_address(chain, address) {
        form.wrong("invalid_value", "address");
    }
    let description = form.text("description");
    let currency = form.maybe("currency").unwrap_or("USD");
    form.done()?;
    let address = if address.starts_with("0x") { address.to_lowercase() } else { address.to_owned() };
    if state.all("recipient").iter().any(|it| it["address"] == address && it["chain"] == chain) {
        return Err(Reply::error(400, 2003, "The address is already a recipient."));
    }
    let mut recipient = json!({
        "id": fresh_id(), "address": address, "chain": chain, "currency": currency,
        "description": description, "status": "pending_verification",
    });
    if let Some(tag) = body["addressTag"].as_str() {
        recipient["addressTag"] = json!(tag);
    }
    state.add("recipient", recipient.clone());
    state.tell("recipient", &recipient);
    Ok(Reply::data(200, recipient))
}

fn take(state: &mut State, amount: u128) -> Result<(), Reply> {
    match state.available.checked_sub(amount) {
        Some(rest) => {
            state.available = rest;
            Ok(())
        }
        None => Err(Reply::error(400, 1093, "The account has insufficient funds.")),
    }
}

fn create_transfer(_: &Shared, state: &mut State, body: &Value) -> Result<Reply, Reply> {
    let mut form = Form::of(body);
    form.word("destination.type", &["verified_blockchain"]);
    let id = form.text("destination.addressId");
    let amount = form.usd("amount", 6);
    let recipient = state.find("recipient", id).cloned();
    if recipient.is_none() && !id.is_empty() {
        form.wrong("invalid_value", "destination.addressId");
    }
    form.done()?;
    let recipient = recipient.unwrap_or_default();
    if recipient["status"] == "pending_verification" {
        return Err(Reply::error(400, 2004, "The recipient address is not verified."));
    }
    take(state, amount)?;
    let mut destination = json!({"type": "blockchain", "address": recipient["address"], "chain": recipient["chain"]});
    if let Some(tag) = recipient["addressTag"].as_str() {
        destination["addressTag"] = json!(tag);
    }
    let id = fresh_id();
    let transfer = json!({
        "id": id, "source": {"type": "wallet", "id": state.wallet}, "destination": destination,
        "amount": usd(amount), "status": "pending", "createDate": state.date(),
    });
    state.add("transfer", transfer.clone());
    state.tell("transfer", &transfer);
    state.later(state.delays.transfer, Task::TransferSends(id));
    Ok(Reply::data(201, transfer))
}

fn create_payout(_: &Shared, state: &mut State, body: &Value) -> Result<Reply, Reply> {
    let mut form = Form::of(body);
    form.word("destination.type", &["wire"]);
    let to = form.text("destination.id");
    let amount = form.usd("amount", 2);
    let wire = state.find("wire", to).cloned();
    if wire.is_none() && !to.is_empty() {
        form.wrong("invalid_value", "destination.id");
    }
    form.done()?;
    take(state, amount)?;
    let (id, date, wire) = (fresh_id(), state.date(), wire.unwrap_or_default());
    let reference = keccak256(&id).to_string()[2..9].to_uppercase();
    let payout = json!({
        "id": id, "sourceWalletId": state.wallet, "destination": {"type": "wire", "id": to, "name": wire["description"]},
        "amount": usd(amount), "fees": usd(0), "status": "pending", "trackingRef": format!("CIR{reference}"),
        "createDate": date, "updateDate": date,
    });
    state.add("payout", payout.clone());
    state.tell("payout", &payout);
    state.later(state.delays.payout, Task::PayoutSends(id));
    Ok(Reply::data(201, payout))
}

fn payouts(shared: &Shared, state: &State, query: &Query) -> Result<Reply, Reply> {
    let mut reply = list(shared, state, "payout", query, |payout| {
        get(query, "destination").is_none_or(|id| payout["destination"]["id"] == id)
            && get(query, "type").is_none_or(|kind| payout["destination"]["type"] == kind)
            && get(query, "status").is_none_or(|status| payout["status"] == status)
    })?;
    // Circle's lists leave it out.
    for payout in reply.body["data"].as_array_mut().into_iter().flatten() {
        payout.as_object_mut().map(|payout| payout.remove("trackingRef"));
    }
    Ok(reply)
}

fn subscribe(shared: &Shared, state: &mut State, body: &Value) -> Result<Reply, Reply> {
    let mut form = Form::of(body);
    let endpoint = form.text("endpoint").to_owned();
    if !endpoint.is_empty() && Url::parse(&endpoint).is_err() {
        form.wrong("invalid_value", "endpoint");
    }
    form.done()?;
    if state.all("subscription").len() >= SUBSCRIPTIONS {
        return Err(Reply::error(429, 429, "LimitExceeded"));
    }
    let id = fresh_id();
    let subscription = json!({
        "id": id, "endpoint": endpoint,
        "subscriptionDetails": [{"url": endpoint, "arn": format!("{}:pending", sns::TOPIC), "status": "pending"}],
    });
    state.add("subscription", subscription.clone());
    let message = sns::confirmation(&shared.base_url, &id, &state.date());
    state.later(Duration::ZERO, Task::Deliver(Delivery::new(endpoint, message)));
    Ok(Reply::data(200, subscription))
}

fn unsubscribe(state: &mut State, id: &str) -> Result<Reply, Reply> {
    let subscription = state.find("subscription", id).ok_or_else(Reply::not_found)?;
    if subscription["subscriptionDetails"][0]["status"] == "pending" {
        return Err(Reply::error(400, 2, "A pending subscription cannot be removed."));
    }
    state.remove("subscription", id);
    Ok(Reply::data(200, json!({})))
}
