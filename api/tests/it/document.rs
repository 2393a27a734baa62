//! The OpenAPI document is what the service does: every answer that any test gets is compared with it.

use crate::refund::link;
use crate::service::{Call, Reply, Service};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::LazyLock;

static DOCUMENT: LazyLock<Value> = LazyLock::new(api::openapi);

/// Every operation: method, path, and what is said of it.
pub(crate) fn operations() -> impl Iterator<Item = (String, &'static str, &'static Value)> {
    DOCUMENT["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(move |(method, said)| (method.to_uppercase(), path.as_str(), said))
    })
}

/// The path of the document that a request's path is served by.
fn template(path: &str) -> Option<&'static str> {
    let parts: Vec<_> = path.split('?').next().unwrap().split('/').collect();
    let fits = |template: &str| {
        let wanted: Vec<_> = template.split('/').collect();
        wanted.len() == parts.len()
            && wanted
                .iter()
                .zip(&parts)
                .all(|(wanted, part)| wanted == part || wanted.starts_with('{') && !part.is_empty())
    };
    let mut found: Vec<_> = operations().map(|(_, path, _)| path).filter(|path| fits(path)).collect();
    // A path without a parameter comes before one with.
    found.sort_by_key(|path| path.matches('{').count());
    found.first().copied()
}

/// The codes that say after how many seconds to try again.
const RETRIED: [&str; 7] = [
    "idempotency_in_progress",
    "network_behind",
    "overloaded",
    "schema_outdated",
    "timeout",
    "too_many_requests",
    "unavailable",
];

/// Asserts that the document says that this can be answered.
pub(crate) fn fits(method: &str, path: &str, reply: &Reply) {
    let what = format!("{method} {path}: {} {}", reply.status, String::from_utf8_lossy(&reply.body));
    if !reply.headers.contains_key("x-request-id") {
        return; // hyper's own answer to what is no HTTP.
    }
    let media = reply.headers.get("content-type").map_or("", |media| media.split(';').next().unwrap());
    let code = || reply.json()["code"].as_str().unwrap().to_owned();
    let served = template(path);
    let method = if method == "HEAD" { "GET" } else { method };
    let operation = operations().find(|(other, path, _)| other == method && Some(*path) == served);
    let Some((_, _, operation)) = operation else {
        let expected = if served.is_some() { "method_not_allowed" } else { "not_found" };
        let known = [expected, "uri_too_long", "headers_too_large", "overloaded"];
        assert!(known.contains(&code().as_str()), "served and not documented: {what}");
        return;
    };
    let answer = &operation["responses"][reply.status.to_string()];
    let content = &answer["content"][media];
    assert!(!content.is_null(), "not documented: {what}");
    let documented = |name: &str| {
        let headers = answer["headers"].as_object().into_iter().flatten();
        headers.map(|(known, _)| known.to_lowercase()).any(|known| known == name)
    };
    for name in ["idempotency-hit", "location", "monay-lag-seconds", "retry-after", "www-authenticate"] {
        assert!(!reply.headers.contains_key(name) || documented(name), "header {name} not documented: {what}");
    }
    if media == "application/problem+json" && !reply.body.is_empty() {
        let codes = content["schema"]["allOf"][1]["properties"]["code"]["enum"].as_array().unwrap();
        assert!(codes.iter().any(|known| *known == code()), "code not documented: {what}");
        let waits = RETRIED.contains(&code().as_str());
        assert_eq!(reply.headers.contains_key("retry-after"), waits, "Retry-After: {what}");
        assert_eq!(reply.headers.contains_key("www-authenticate"), reply.status == 401, "WWW-Authenticate: {what}");
    }
    let lines: Vec<Value> = match media {
        "application/json" | "application/x-ndjson" => {
            serde_json::Deserializer::from_slice(&reply.body).into_iter().collect::<Result<_, _>>().unwrap()
        }
        _ => Vec::new(),
    };
    lines.iter().for_each(|line| shape(&content["schema"], line, ""));
    // An answer that is given again is as old as it is.
    let fresh = !lines.is_empty() && !reply.headers.contains_key("idempotency-hit");
    if fresh && documented("monay-lag-seconds") {
        assert!(reply.headers.contains_key("monay-lag-seconds"), "no lag: {what}");
    }
}

/// Asserts that an answer has the members that its schema says, and no others.
fn shape(schema: &Value, value: &Value, at: &str) {
    if let Some(name) = schema["$ref"].as_str() {
        return shape(DOCUMENT.pointer(&name[1..]).unwrap(), value, at);
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let mut whole = json!({ "properties": {}, "required": [] });
        for part in parts {
            let part = part["$ref"].as_str().map_or(part, |name| DOCUMENT.pointer(&name[1..]).unwrap());
            whole["properties"].as_object_mut().unwrap().extend(part["properties"].as_object().unwrap().clone());
            whole["required"].as_array_mut().unwrap().extend(part["required"].as_array().unwrap().clone());
        }
        return shape(&whole, value, at);
    }
    if let Some(choices) = schema["oneOf"].as_array().filter(|_| !value.is_null()) {
        return shape(choices.iter().find(|choice| choice["type"] != "null").unwrap(), value, at);
    }
    if let Some(words) = schema["enum"].as_array() {
        assert!(words.contains(value), "{at}: {value} is none of {words:?}");
    }
    match value {
        Value::Object(members) if schema["properties"].is_object() => {
            for (name, value) in members {
                let schema = &schema["properties"][name];
                assert!(!schema.is_null(), "{at}.{name} is not documented");
                shape(schema, value, &format!("{at}.{name}"));
            }
            for name in schema["required"].as_array().into_iter().flatten() {
                assert!(members.contains_key(name.as_str().unwrap()), "{at}: {name} is missing");
            }
        }
        Value::Array(items) => items.iter().for_each(|item| shape(&schema["items"], item, at)),
        _ => {}
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let said = &schema["type"];
    let good =
        said.is_null() || *said == kind || said.as_array().is_some_and(|kinds| kinds.iter().any(|one| one == kind));
    assert!(good, "{at}: {value} is no {said}");
}

/// A call of an operation with its documented example, as UtilityCo and about this invoice.
fn example(service: &Service, invoice: &Value, method: &str, path: &str, operation: &Value) -> (Call, Value) {
    let token = link(invoice).rsplit('/').next().unwrap().to_owned();
    let id = match path.contains("wallets") {
        true => invoice["wallet"]["id"].as_str().unwrap(),
        false => invoice["invoice"]["id"].as_str().unwrap(),
    };
    let path = path.replace("{id}", id).replace("{token}", &token).replace("{code}", "internal");
    let body = operation["requestBody"]["content"]["application/json"]["example"].clone();
    (service.authed(method, &path), body)
}

#[tokio::test]
async fn what_is_documented_is_served_and_every_example_is_understood() {
    let service = Service::start().await;
    let invoice = service.create(json!({})).await;
    for (method, path, operation) in operations() {
        assert!(operation["summary"].is_string() && operation["operationId"].is_string(), "{method} {path}");
        assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{method} {path}");
        let (call, body) = example(&service, &invoice, &method, path, operation);
        let call = if body.is_null() { call } else { call.json(&body) };
        let reply = call.send().await;
        let about_the_text = [400, 404, 405, 415, 500];
        let expected =
            if path == "/api/invoices/pay" { reply.status == 404 } else { !about_the_text.contains(&reply.status) };
        assert!(expected, "{method} {path}: {}", reply.text());
    }
    let created = &DOCUMENT["paths"]["/api/invoices/create"]["post"]["responses"]["201"]["links"];
    for (name, link) in created.as_object().unwrap() {
        assert!(operations().any(|(.., operation)| operation["operationId"] == link["operationId"]), "{name}");
    }
    let kinds: BTreeSet<_> =
        operations().map(|(_, _, operation)| &operation["operationId"]).map(Value::to_string).collect();
    assert_eq!(kinds.len(), operations().count(), "an operationId is there twice");
}

#[tokio::test]
async fn the_fields_of_every_body_are_the_documented_ones_and_no_others() {
    let service = Service::start().await;
    let invoice = service.create(json!({})).await;
    let mut bodies = 0;
    for (method, path, operation) in operations() {
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        let Some(name) = schema["$ref"].as_str() else { continue };
        let schema = DOCUMENT.pointer(&name[1..]).unwrap();
        let fields: BTreeSet<_> =
            schema["properties"].as_object().into_iter().flat_map(|all| all.keys()).cloned().collect();
        assert_eq!(schema["additionalProperties"], json!(false));

        let (call, mut body) = example(&service, &invoice, &method, path, operation);
        body["nobodys_field"] = json!(1);
        let problem = call.json(&body).send().await.problem(400, "field_unknown");
        let known = problem["known"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect();
        assert_eq!(fields, known, "{method} {path}: what is documented, and what is read");

        for field in &fields {
            let (call, mut body) = example(&service, &invoice, &method, path, operation);
            body[field] = json!([]);
            let reply = call.json(&body).send().await;
            assert!([400, 422].contains(&reply.status), "{method} {path} {field}");
            let problem = reply.json();
            assert_eq!(problem["field"], **field, "{problem}");
            assert_ne!(problem["code"], "field_unknown", "{problem}");
        }
        for field in schema["required"].as_array().into_iter().flatten() {
            let (call, mut body) = example(&service, &invoice, &method, path, operation);
            body.as_object_mut().unwrap().remove(field.as_str().unwrap());
            let problem = call.json(&body).send().await.problem(400, "field_missing");
            assert_eq!(problem["field"], *field);
        }
        bodies += 1;
    }
    assert_eq!(bodies, operations().filter(|(method, ..)| method == "POST").count());
}

#[tokio::test]
async fn the_document_is_served_as_json_and_as_a_page() {
    let service = Service::start().await;
    let reply = service.call("GET", "/openapi.json").send().await;
    assert_eq!((reply.status, reply.headers["content-type"].as_str()), (200, "application/json"));
    assert_eq!(reply.json(), *DOCUMENT);
    assert_eq!(reply.json()["openapi"], "3.1.0");
    let page = service.call("GET", "/docs").send().await;
    crate::pages::is_a_safe_page(&page);
    for (method, path, operation) in operations() {
        for words in [format!("{method} {path}"), operation["summary"].as_str().unwrap().replace('\'', "&#39;")] {
            assert!(page.text().contains(&words) || page.text().contains(&words.replace("&#39;", "'")), "{words}");
        }
    }
    for code in api::Code::ALL.iter().filter(|code| !["not_found", "method_not_allowed"].contains(&code.as_str())) {
        assert!(page.text().contains(&format!("<a href=\"/errors/{}\">", code.as_str())), "{}", code.as_str());
    }
    // Every link within the page leads somewhere.
    for link in page.text().split("href=\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(page.text().contains(&format!("id=\"{link}\"")), "{link}");
    }
}

/// Routes are made from the list in `routes.rs` alone; what is served past it would be documented nowhere.
#[test]
fn nothing_is_served_past_the_list_of_routes() {
    for (file, text) in
        [("lib.rs", include_str!("../../src/lib.rs")), ("routes.rs", include_str!("../../src/routes.rs"))]
    {
        for way in [".route(", ".route_service(", ".nest(", ".merge(", "axum::routing::"] {
            assert!(!text.contains(way), "{file} has {way}");
        }
    }
}

#[tokio::test]
async fn a_query_parameter_that_is_not_documented_is_refused_by_name() {
    let service = Service::start().await;
    let invoice = service.create(json!({})).await;
    for (method, path, operation) in operations().filter(|(_, _, operation)| operation["security"] != json!([])) {
        let (call, body) = example(&service, &invoice, &method, &format!("{path}?nobodys=1"), operation);
        let call = if body.is_null() { call } else { call.json(&body) };
        let problem = call.send().await.problem(400, "parameter_unknown");
        assert_eq!(problem["field"], "nobodys");
    }
    // Mail programs hang things on links.
    for page in [link(&invoice), format!("{}/receipt", link(&invoice))] {
        assert_eq!(service.call("GET", &format!("{page}?utm_source=mail")).send().await.status, 200);
    }
}

/// What is documented and not read, the handler refuses as unknown; what is read and not documented, nobody can send.
#[tokio::test]
async fn every_documented_query_parameter_is_read() {
    let service = Service::start().await;
    let invoice = service.create(json!({})).await;
    let mut names = BTreeSet::new();
    for (method, path, operation) in operations() {
        for parameter in operation["parameters"].as_array().into_iter().flatten().filter(|one| one["in"] == "query") {
            let name = parameter["name"].as_str().unwrap();
            let (call, _) = example(&service, &invoice, &method, &format!("{path}?{name}=x&{name}=x"), operation);
            let several = parameter["schema"]["items"].is_object();
            let code = if several { "parameter_malformed" } else { "parameter_duplicate" };
            assert_eq!(call.send().await.problem(400, code)["field"], name, "{method} {path}");
            names.insert(format!("{path} {name}"));
            assert_eq!(parameter["required"], false, "{path} {name}");
        }
    }
    assert_eq!(names.len(), 9 + 9 + 2 + 2, "{names:?}");
}

#[tokio::test]
async fn limits_of_lists_are_what_is_documented_and_one_more_or_less_is_refused() {
    let service = Service::start().await;
    let invoice = service.create(json!({})).await;
    let mut limits = Vec::new();
    for (method, path, operation) in operations() {
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let Some(limit) = parameters.filter(|one| one["name"] == "limit").map(|one| &one["schema"]).next() else {
            continue;
        };
        let (least, most) = (limit["minimum"].as_u64().unwrap(), limit["maximum"].as_u64().unwrap());
        let ask =
            |limit: u64| example(&service, &invoice, &method, &format!("{path}?limit={limit}"), operation).0.send();
        for good in [least, most] {
            assert_eq!(ask(good).await.status, 200, "{path} {good}");
        }
        for bad in [least - 1, most + 1] {
            assert_eq!(ask(bad).await.problem(400, "parameter_malformed")["field"], "limit", "{path} {bad}");
        }
        limits.push((path, least, most));
    }
    let export = ("/api/invoices/export", 1, 1_000_000);
    let events = "/api/invoices/{id}/events";
    assert_eq!(limits, [("/api/events", 1, 100), ("/api/invoices", 1, 100), export, (events, 1, 100)]);
}

#[tokio::test]
async fn every_post_takes_an_idempotency_key_as_documented() {
    let service = Service::start().await;
    let invoice = service.create(json!({})).await;
    for (method, path, operation) in operations() {
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let key: Vec<_> = parameters.filter(|one| one["in"] == "header").collect();
        let works = method == "POST" && operation["operationId"] != "solana_pay_transaction";
        assert_eq!(key.len(), usize::from(works), "{method} {path}");
        let Some(key) = key.first() else { continue };
        assert_eq!(key["name"], "Idempotency-Key");
        let longest = key["schema"]["maxLength"].as_u64().unwrap().try_into().unwrap();
        for (key, good) in [
            ("k".repeat(longest), true),
            ("k".repeat(longest + 1), false),
            ("~!".to_owned(), true),
            ("a b".to_owned(), false),
            (String::new(), false),
        ] {
            let (call, body) = example(&service, &invoice, &method, path, operation);
            let reply = call.header("Idempotency-Key", &key).json(&body).send().await;
            match good {
                true => assert_ne!(reply.status, 400, "{path}: {}", reply.text()),
                false => drop(reply.problem(400, "idempotency_key_malformed")),
            }
        }
    }
}
