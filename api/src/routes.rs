//! Every route, once. A handler's annotation says its method, its path, what it reads and what it answers; the line here
//! says which scope its key needs and which error codes it can answer with. Router, OpenAPI document, the check of scopes
//! and the check of query parameters are all made from this list, so that none of them can be forgotten.
//!
//! A new route: annotate its handler with `utoipa::path`, and add its line to [`list`]. The tests compare every answer they
//! get with what is documented, and ask every route with every scope.

use crate::problem::{self, Code, Problem};
use crate::{
    App, authorization, body, cancel, create, document, email, events, export, health, invoices, list, metrics, params,
    pay_page, receipt, refund, solana_pay, timeline, work,
};
use axum::Router;
use axum::http::Method;
use domain::scope::Scope;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::openapi::path::Operation;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};
use utoipa_axum::routes;

/// What any request can be refused with before its route is asked.
const LIMITS: &[Code] = &[Code::UriTooLong, Code::HeadersTooLarge];

/// What any route can answer but `/health`.
const BUSY: &[Code] = &[Code::Overloaded, Code::Timeout];

/// What a route can answer that asks the database.
const DATABASE: &[Code] = &[Code::Unavailable, Code::Internal];

/// What a route can answer that wants an API key.
const KEY: &[Code] = &[Code::Unauthorized, Code::ScopeMissing, Code::TooManyRequests, Code::ParameterUnknown];

fn list() -> Vec<Route> {
    use Scope::{EventsRead, InvoicesRead, InvoicesWrite, RefundsWrite};
    vec![
        by_key(InvoicesWrite, routes!(create::create)).posted().or(create::CODES),
        by_key(InvoicesWrite, routes!(invoices::pay)).posted().or(invoices::PAY_CODES),
        by_key(InvoicesWrite, routes!(cancel::cancel)).posted().or(cancel::CODES),
        by_key(InvoicesRead, routes!(list::list)).or(params::CODES),
        by_key(InvoicesRead, routes!(export::export)).or(params::CODES),
        by_key(InvoicesRead, routes!(invoices::invoice)).or(invoices::CODES),
        by_key(InvoicesRead, routes!(invoices::invoice_wallet)).or(invoices::CODES),
        by_key(InvoicesRead, routes!(invoices::wallet)).or(invoices::WALLET_CODES),
        by_key(InvoicesRead, routes!(timeline::timeline)).or(invoices::CODES),
        by_key(InvoicesRead, routes!(receipt::for_tenant)).or(invoices::CODES),
        by_key(InvoicesRead, routes!(email::email)).or(invoices::CODES),
        by_key(EventsRead, routes!(events::of_tenant)).or(params::CODES),
        by_key(EventsRead, routes!(events::of_invoice)).or(params::CODES).or(invoices::CODES),
        by_key(RefundsWrite, routes!(refund::by_tenant)).posted().or(refund::CODES),
        by_key(RefundsWrite, routes!(authorization::by_tenant)).posted().or(authorization::CODES),
        open(routes!(pay_page::page)).or(BUSY),
        open(routes!(receipt::for_customer)).or(BUSY).or(DATABASE).or(invoices::CODES),
        open(routes!(solana_pay::label, solana_pay::transaction))
            .or(BUSY)
            .or(DATABASE)
            .or(body::CODES)
            .or(solana_pay::CODES),
        open(routes!(solana_pay::icon)).or(BUSY),
        by_link(routes!(refund::by_customer)).or(refund::CODES),
        by_link(routes!(authorization::by_customer)).or(authorization::CODES),
        open(routes!(problem::index)).or(BUSY),
        open(routes!(problem::page)).or(BUSY),
        open(routes!(document::json)).or(BUSY),
        open(routes!(document::page)).or(BUSY),
        open(routes!(health::health)),
        open(routes!(health::ready)).or(BUSY).or(DATABASE).or(&[Code::SchemaOutdated]),
        open(routes!(metrics::metrics)).or(BUSY).or(&[Code::NotFound]),
    ]
}

/// A route of the list.
struct Route {
    routes: UtoipaMethodRouter<Arc<App>>,
    scope: Option<Scope>,
    codes: Vec<Code>,
}

/// A route that anybody may ask.
fn open(routes: UtoipaMethodRouter<Arc<App>>) -> Route {
    Route { routes, scope: None, codes: LIMITS.to_vec() }
}

/// A route that carries something out for whoever has the pay link.
fn by_link(routes: UtoipaMethodRouter<Arc<App>>) -> Route {
    open(routes).or(BUSY).or(DATABASE).posted().or(work::LINK_CODES)
}

/// A route for tenants, whose key needs the scope.
fn by_key(scope: Scope, routes: UtoipaMethodRouter<Arc<App>>) -> Route {
    Route { scope: Some(scope), ..open(routes) }.or(BUSY).or(DATABASE).or(KEY)
}

impl Route {
    /// It reads a body, and is carried out once under its Idempotency-Key.
    fn posted(self) -> Self {
        self.or(body::CODES).or(work::CODES)
    }

    /// What else it can answer.
    fn or(mut self, codes: &[Code]) -> Self {
        self.codes.extend(codes.iter().filter(|code| !self.codes.contains(code)).copied().collect::<Vec<_>>());
        self
    }
}

/// What is known of each route.
pub(crate) struct Routes {
    rules: BTreeMap<String, Vec<Rule>>,
    /// The OpenAPI document.
    pub(crate) document: Value,
}

struct Rule {
    method: Method,
    scope: Option<Scope>,
    /// Names of the query parameters that are documented.
    query: Vec<String>,
}

/// The router, and what is known of its routes.
pub(crate) fn build() -> (Router<Arc<App>>, Routes) {
    let mut router = OpenApiRouter::with_openapi(document::frame());
    let (mut rules, mut codes) = (BTreeMap::<String, Vec<Rule>>::new(), Vec::new());
    for Route { routes, scope, codes: can } in list() {
        for (path, item) in &routes.1.paths {
            let operations = [(Method::GET, &item.get), (Method::POST, &item.post), (Method::DELETE, &item.delete)];
            for (method, operation) in operations {
                let Some(operation) = operation else { continue };
                codes.push((path.clone(), method.clone(), scope, can.clone()));
                let rule = Rule { method, scope, query: query(operation) };
                rules.entry(path.clone()).or_default().push(rule);
            }
        }
        router = router.routes(routes);
    }
    let (router, openapi) = router.split_for_parts();
    let mut document = serde_json::to_value(openapi).unwrap_or_default();
    for (path, method, scope, codes) in codes {
        document::complete(&mut document, &path, &method, scope, &codes);
    }
    (router, Routes { rules, document })
}

fn query(operation: &Operation) -> Vec<String> {
    let parameters = operation.parameters.iter().flatten();
    let query = parameters.filter(|parameter| parameter.parameter_in == utoipa::openapi::path::ParameterIn::Query);
    query.map(|parameter| parameter.name.clone()).collect()
}

impl Routes {
    fn rule(&self, method: &Method, path: &str) -> Option<&Rule> {
        // What answers GET answers HEAD.
        let method = if method == Method::HEAD { &Method::GET } else { method };
        self.rules.get(path)?.iter().find(|rule| rule.method == *method)
    }

    /// What a key needs for this.
    pub(crate) fn scope(&self, method: &Method, path: &str) -> Option<Scope> {
        self.rule(method, path)?.scope
    }

    /// Refuses a query parameter that is not documented: a misspelt one must not be silently ignored.
    pub(crate) fn check_query(&self, method: &Method, path: &str, query: Option<&str>) -> Result<(), Problem> {
        let known = self.rule(method, path).map_or(&[][..], |rule| &rule.query);
        let given = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let mut names = given.map(|pair| pair.split('=').next().unwrap_or_default());
        match names.find(|name| !known.iter().any(|known| known == name)) {
            None => Ok(()),
            Some(name) => {
                let name: String = name.chars().take(40).collect();
                let detail = format!("There is no parameter '{name}' here.");
                Err(Problem::new(Code::ParameterUnknown, detail).field(&name).with("known", known.to_vec()))
            }
        }
    }
}
