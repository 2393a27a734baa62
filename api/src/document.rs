//! `GET /openapi.json` and `GET /docs`: the same document, for programs and for people.

use crate::problem::Code;
use crate::{App, html, work};
use axum::extract::State;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::scope::Scope;
use domain::{actions, intent, invoice, money, tier, wallet};
use maud::{Markup, html};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{Components, ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, RefOr};
use utoipa::{PartialSchema, ToSchema};

const ABOUT: &str = "No money moves without an invoice, and the wallet that holds the money exists only for that invoice. \
Amounts are decimal text beside base units (six decimals) as text; nothing is ever a float. Every refusal is \
application/problem+json (RFC 9457) with a stable `code`, explained at `/errors/{code}`.";

/// The groups, in the order of the page.
const GROUPS: [(&str, &str); 6] = [
    ("Invoices", "For enterprises: create invoices, look at them and their wallets, have them paid, call them off."),
    ("Events", "What has happened, for programs that follow it and for people."),
    ("Refunds and authorizations", "Money that goes back, and payers who have no gas."),
    ("Pay link", "For whoever has the link: nothing else is needed."),
    ("Operation", "For whoever runs the service."),
    ("About", "This document, and what the error codes mean."),
];

/// Words that travel as text, for the document: each kind a schema of its own.
macro_rules! words {
    ($($(#[$meta:meta])* $name:ident = $words:expr;)+) => { $(
        $(#[$meta])*
        pub(crate) struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let words = $words.map(|word| Value::from(word));
                ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                stringify!($name).into()
            }
        }
    )+ };
}

words! {
    Currency = money::Currency::ALL.iter().map(|word| word.as_str());
    WalletMode = ["ephemeral"].into_iter();
    WalletStatus = wallet::WalletStatus::ALL.iter().map(|word| word.as_str());
    InvoiceStatus = invoice::InvoiceStatus::ALL.iter().map(|word| word.as_str());
    Settlement = invoice::Settlement::ALL.iter().map(|word| word.as_str());
    Exception = invoice::Exception::ALL.iter().map(|word| word.as_str());
    Action = actions::Action::ALL.iter().map(|word| word.as_str());
    Happening = ["word", "lifecycle", "movement", "keeper"].into_iter();
    IntentKind = intent::IntentKind::ALL.iter().map(|word| word.as_str());
    IntentState = intent::IntentState::ALL.iter().map(|word| word.as_str());
    Progress = progress();
    Tier = tier::Tier::ALL.iter().map(|word| word.as_str());
}

/// How far an intent has come, or a transaction for one.
fn progress() -> impl Iterator<Item = &'static str> {
    let attempts = intent::AttemptState::ALL.iter().map(|word| word.as_str());
    intent::IntentState::ALL.iter().map(|word| word.as_str()).chain(attempts).collect::<BTreeSet<_>>().into_iter()
}

/// An amount as people write it.
pub(crate) struct Amount;

impl PartialSchema for Amount {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::Number, Type::String]))
            .description(Some("Digits and at most one point, as a number or as text; no sign, no exponent."))
            .exclusive_minimum(Some(0))
            .maximum(Some(1_000_000_000_000_u64))
            .pattern(Some("^[0-9]+([.][0-9]+)?$"))
            .into()
    }
}

impl ToSchema for Amount {
    fn name() -> Cow<'static, str> {
        "Amount".into()
    }
}

/// A chain's id in terms: Solana's has more digits than a JSON number holds in most readers.
pub(crate) struct ChainId;

impl PartialSchema for ChainId {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::Integer, Type::String]))
            .description(Some("Of an EVM chain a number, of Solana decimal digits as text."))
            .minimum(Some(1))
            .pattern(Some("^[0-9]+$"))
            .into()
    }
}

impl ToSchema for ChainId {
    fn name() -> Cow<'static, str> {
        "ChainId".into()
    }
}

/// The document without its routes.
pub(crate) fn frame() -> OpenApi {
    let license = LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build();
    let info = InfoBuilder::new().title("Monay").version(env!("CARGO_PKG_VERSION")).description(Some(ABOUT));
    let tags = GROUPS.iter().map(|(name, text)| TagBuilder::new().name(*name).description(Some(*text)).build());
    OpenApiBuilder::new()
        .info(info.license(Some(license)).build())
        .tags(Some(tags))
        .components(Some(components()))
        .build()
}

fn components() -> Components {
    let mut scheme = Http::new(HttpAuthScheme::Bearer);
    scheme.description =
        Some("An API key: `Authorization: Bearer mk_test_…`. The scope named is what it must have.".into());
    ComponentsBuilder::new().security_scheme("api_key", SecurityScheme::Http(scheme)).build()
}

/// Adds to one operation what the list of routes knows: who may call it, its refusals, and what all of its kind have.
pub(crate) fn complete(document: &mut Value, path: &str, method: &Method, scope: Option<Scope>, codes: &[Code]) {
    document["components"]["schemas"]["Problem"] = problem();
    let word = method.as_str().to_ascii_lowercase();
    let body = &document["paths"][path][&word]["requestBody"]["content"]["application/json"]["schema"]["$ref"];
    if let Some(schema) = body.as_str().and_then(|body| body.strip_prefix('#')).map(str::to_owned)
        && let Some(schema) = document.pointer_mut(&schema)
    {
        // `body::Fields` refuses what it does not know.
        schema["additionalProperties"] = json!(false);
        // What has no fields need not be sent.
        let needed = members(&schema["properties"]).next().is_some();
        document["paths"][path][&word]["requestBody"]["required"] = json!(needed);
    }
    let good: Vec<_> = members(&document["paths"][path][&word]["responses"])
        .filter(|(status, _)| status.starts_with('2'))
        .map(|(status, answer)| (status.clone(), says_as_of(document, answer)))
        .collect();
    let operation = &mut document["paths"][path][&word];
    operation["security"] = match scope {
        Some(scope) => json!([{ "api_key": [scope.as_str()] }]),
        None => json!([]),
    };
    if operation["operationId"] == "create_invoice" {
        operation["responses"]["201"]["links"] = links();
    }
    // A request that changes nothing needs no key.
    let once = method == Method::POST && codes.contains(&Code::IdempotencyKeyMalformed);
    if once {
        let mut parameters = list(&operation["parameters"]).to_vec();
        parameters.push(idempotency_key());
        operation["parameters"] = Value::Array(parameters);
    }
    for (status, as_of) in good {
        let answer = &mut operation["responses"][status];
        if once {
            let text = "`true` where this was answered before under the same Idempotency-Key; then it is that answer.";
            answer["headers"]["Idempotency-Hit"] =
                json!({ "description": text, "schema": { "type": "string", "enum": ["true"] } });
        }
        if as_of {
            let text = "The greatest `lag_seconds` of `as_of`; not with an answer that is given again.";
            answer["headers"]["Monay-Lag-Seconds"] = header_of(text, "integer");
        }
    }
    let mut by_status = BTreeMap::<u16, Vec<Code>>::new();
    for code in codes {
        by_status.entry(code.status()).or_default().push(*code);
    }
    for (status, codes) in by_status {
        let words: Vec<_> = codes.iter().map(|code| code.as_str()).collect();
        let answer = &mut operation["responses"][status.to_string()];
        let own = answer["description"].as_str().map(|own| format!("{own} Or: ")).unwrap_or_default();
        answer["description"] = json!(format!("{own}{}", words.join(", ")));
        answer["content"]["application/problem+json"] = json!({ "schema": { "allOf": [
            { "$ref": "#/components/schemas/Problem" },
            { "properties": { "code": { "enum": words } } },
        ] } });
        if codes.contains(&Code::Unauthorized) {
            answer["headers"]["WWW-Authenticate"] = header_of("Bearer, and the realm.", "string");
        }
        let timely: Vec<_> = codes.iter().filter(|code| code.says_when()).map(|code| code.as_str()).collect();
        if !timely.is_empty() {
            let text = format!("Seconds to wait before the next try; with {}.", timely.join(", "));
            answer["headers"]["Retry-After"] = header_of(&text, "integer");
        }
    }
}

/// Whether an answer says up to which moment it knows the chain.
fn says_as_of(document: &Value, answer: &Value) -> bool {
    fn says(document: &Value, schema: &Value) -> bool {
        let schema = resolved(document, schema);
        !schema["properties"]["as_of"].is_null() || list(&schema["allOf"]).iter().any(|part| says(document, part))
    }
    members(&answer["content"]).any(|(_, content)| says(document, &content["schema"]))
}

fn idempotency_key() -> Value {
    let text = "A word of yours for this one request, a random UUID for instance. Repeated with the same key within 30 days, \
                it is carried out once, and answered as it was the first time.";
    let schema = json!({ "type": "string", "minLength": 1, "maxLength": work::MAX_KEY, "pattern": "^[!-~]+$" });
    json!({ "name": "Idempotency-Key", "in": "header", "description": text, "required": false, "schema": schema })
}

/// Where one can go from an invoice that was made: the operation, and what it takes from the answer.
fn links() -> Value {
    let by_id = |operation: &str, id: &str| json!({ "operationId": operation, "parameters": { "id": id } });
    let (invoice, wallet) = ("$response.body#/invoice/id", "$response.body#/wallet/id");
    json!({
        "invoice": by_id("invoice", invoice),
        "wallet": by_id("wallet", wallet),
        "wallet_of_invoice": by_id("invoice_wallet", invoice),
        "events": by_id("invoice_events", invoice),
        "timeline": by_id("timeline", invoice),
        "receipt": by_id("receipt", invoice),
        "email": by_id("invoice_email", invoice),
        "cancel": by_id("cancel_invoice", invoice),
        "refund": by_id("refund", invoice),
        "authorization": by_id("submit_authorization", invoice),
        "pay": { "operationId": "pay_invoice", "requestBody": {
            "invoice_id": invoice, "wallet_id": wallet, "amount": "$response.body#/invoice/amount",
        } },
    })
}

fn header_of(description: &str, kind: &str) -> Value {
    json!({ "description": description, "schema": { "type": kind } })
}

fn problem() -> Value {
    json!({
        "type": "object",
        "description": "Why a request was refused (RFC 9457). Some codes have members of their own; their pages say which.",
        "required": ["type", "title", "status", "detail", "code"],
        "properties": {
            "type": { "type": "string", "format": "uri-reference", "description": "The page of the code." },
            "title": { "type": "string", "description": "The code in a few words." },
            "status": { "type": "integer", "description": "The HTTP status." },
            "detail": { "type": "string", "description": "What was wrong with this request." },
            "code": { "type": "string", "description": "Stable; what programs decide by." },
            "field": { "type": "string", "description": "The field or parameter that is to blame." },
        },
    })
}

/// This API as OpenAPI 3.1
#[utoipa::path(get, path = "/openapi.json", operation_id = "openapi", tag = "About",
    responses((status = 200, description = "The document", body = Object, content_type = "application/json")))]
pub(crate) async fn json(State(app): State<Arc<App>>) -> Response {
    let kind = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, kind)], app.routes.document.to_string()).into_response()
}

/// This API for people
///
/// The same document as a page.
#[utoipa::path(get, path = "/docs", operation_id = "docs", tag = "About",
    responses((status = 200, description = "A page", body = String, content_type = "text/html")))]
pub(crate) async fn page(State(app): State<Arc<App>>) -> Response {
    html::page(StatusCode::OK, "Monay API", None, &render(&app.routes.document))
}

const NONE: &[Value] = &[];

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(NONE, Vec::as_slice)
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn render(document: &Value) -> Markup {
    let operations: Vec<_> = members(&document["paths"])
        .flat_map(|(path, item)| members(item).map(move |(method, operation)| (method, path, operation)))
        .collect();
    let of_group = |group: &Value| {
        let group = group["name"].clone();
        operations.iter().filter(move |(.., operation)| list(&operation["tags"]).contains(&group))
    };
    html! {
        p.kicker { "Version " (text(&document["info"]["version"])) " · " a href="/openapi.json" { "OpenAPI 3.1" } " · " a href="/errors" { "Error codes" } }
        h1 { "Monay API" }
        p { (marked(text(&document["info"]["description"]))) }
        nav.card {
            @for group in list(&document["tags"]) {
                h2 { (text(&group["name"])) }
                ul {
                    @for (method, path, operation) in of_group(group) {
                        li { a href={ "#" (anchor(method, path)) } { code { (method.to_uppercase()) " " (path) } } " " (text(&operation["summary"])) }
                    }
                }
            }
            p { a href="#schemas" { "What answers are made of" } }
        }
        @for group in list(&document["tags"]) {
            h2 { (text(&group["name"])) }
            p { (text(&group["description"])) }
            @for (method, path, operation) in of_group(group) { (route(document, method, path, operation)) }
        }
        h2 id="schemas" { "What answers are made of" }
        @for (name, schema) in members(&document["components"]["schemas"]) {
            section.card id={ "schema-" (name) } { h3 { (name) } (fields(schema)) }
        }
    }
}

fn route(document: &Value, method: &str, path: &str, operation: &Value) -> Markup {
    let scopes = list(&operation["security"]).first().map(|needs| list(&needs["api_key"])).unwrap_or_default();
    let body = &operation["requestBody"]["content"]["application/json"];
    html! {
        section.card id=(anchor(method, path)) {
            h3 { (text(&operation["summary"])) }
            p { code.copy { (method.to_uppercase()) " " (path) } }
            @for paragraph in text(&operation["description"]).split("\n\n").filter(|text| !text.is_empty()) { p { (marked(paragraph)) } }
            p { small { @match scopes.first() {
                Some(scope) => { "An API key with the scope " code { (text(scope)) } },
                None => { "No API key" },
            } } }
            @if !list(&operation["parameters"]).is_empty() {
                h4 { "Parameters" }
                dl { @for parameter in list(&operation["parameters"]) {
                    dt { code { (text(&parameter["name"])) } " " small { (text(&parameter["in"])) ", " (kind(&parameter["schema"])) } }
                    dd { (marked(text(&parameter["description"]))) }
                } }
            }
            @if !body.is_null() {
                h4 { "Body" }
                @if !body["example"].is_null() { pre { (serde_json::to_string_pretty(&body["example"]).unwrap_or_default()) } }
                (fields(resolved(document, &body["schema"])))
            }
            h4 { "Answers" }
            dl { @for (status, answer) in members(&operation["responses"]) { (self::answer(status, answer)) } }
        }
    }
}

fn answer(status: &str, answer: &Value) -> Markup {
    let problem = &answer["content"]["application/problem+json"];
    let codes = list(&problem["schema"]["allOf"][1]["properties"]["code"]["enum"]);
    let own = text(&answer["description"]);
    html! {
        dt { (status) }
        dd {
            @match own.split_once(" Or: ") {
                Some((own, _)) => (marked(own)),
                None if codes.is_empty() => (marked(own)),
                None => {}
            }
            @for (media, content) in members(&answer["content"]).filter(|(media, _)| *media != "application/problem+json") {
                " " (kind(&content["schema"])) " " small { (media) }
            }
            @for code in codes { " " a href={ "/errors/" (text(code)) } { code { (text(code)) } } }
        }
    }
}

/// The fields of an object.
fn fields(schema: &Value) -> Markup {
    let required = list(&schema["required"]);
    html! {
        @if let Some(description) = schema["description"].as_str() { p { (marked(description)) } }
        @if schema["properties"].is_null() { p { (kind(schema)) } }
        dl { @for (name, field) in members(&schema["properties"]) {
            dt {
                code { (name) } " " small { (kind(field)) @if required.iter().any(|word| text(word) == name) { ", always" } }
            }
            dd {
                // What may be null is one of two, and its description stands there.
                (marked(field["description"].as_str().unwrap_or(text(&field["oneOf"][1]["description"]))))
                @if !list(&field["enum"]).is_empty() {
                    " One of: " @for word in list(&field["enum"]) { code { (text(word)) } " " }
                }
            }
        } }
    }
}

fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str().and_then(|name| name.strip_prefix('#')).and_then(|name| document.pointer(name)) {
        Some(schema) => schema,
        None => schema,
    }
}

/// What a value is, in a few words; another object is a link.
fn kind(schema: &Value) -> Markup {
    if let Some(name) = schema["$ref"].as_str().and_then(|name| name.rsplit('/').next()) {
        return html! { a href={ "#schema-" (name) } { (name) } };
    }
    for several in ["oneOf", "anyOf", "allOf"] {
        if !list(&schema[several]).is_empty() {
            return html! { @for (at, one) in list(&schema[several]).iter().enumerate() { @if at > 0 { " or " } (kind(one)) } };
        }
    }
    let word = |word: &Value| match text(word) {
        "array" => html! { "list of " (kind(&schema["items"])) },
        "string" => match schema["format"].as_str() {
            Some(format) => html! { "text (" (format) ")" },
            None => html! { "text" },
        },
        "" => html! { "anything" },
        other => html! { (other) },
    };
    match &schema["type"] {
        Value::Array(words) => {
            html! { @for (at, one) in words.iter().enumerate() { @if at > 0 { " or " } (word(one)) } }
        }
        one => word(one),
    }
}

/// A text whose `words` in backticks are code.
fn marked(text: &str) -> Markup {
    html! { @for (at, part) in text.split('`').enumerate() { @if at % 2 == 1 { code { (part) } } @else { (part) } } }
}

fn anchor(method: &str, path: &str) -> String {
    let plain = path.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-");
    format!("{method}{plain}")
}
