//! A JSON-RPC proxy that fails on purpose: in front of a real node, it does to chosen methods what real nodes and the
//! networks before them do. Everything else goes through.

use crate::{Error, Node};
use alloy::primitives::{Bytes, keccak256};
use alloy::transports::http::reqwest;
use axum::Router;
use axum::body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What happens to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The node does what it was asked to; its answer is lost.
    AnswerLost,
    /// The node never hears of it: 503.
    Refused,
    /// The node never hears of it; the caller is told so, in these words, as a JSON-RPC error.
    Error(&'static str),
    /// The node does what it was asked to; the caller is told in these words that it did not.
    ErrorAfter(&'static str),
    /// The node says that it has the bytes it was sent, and forgets them. Nodes of Tempo do that.
    Dropped,
    /// The node has nothing: `null`.
    Null,
    /// It takes this long.
    Slow(Duration),
}

/// Makes another answer of a method's, given its parameters and what the node said (`result` or `error` in it).
type Alter = Box<dyn FnMut(&str, &Value, &mut Value) + Send>;

struct Rule {
    method: &'static str,
    fault: Fault,
    /// How often it still applies.
    times: usize,
}

#[derive(Default)]
struct Rules {
    rules: Vec<Rule>,
    alter: Option<Alter>,
    /// Every call that came: the method, its parameters, and the fault that met it.
    calls: Vec<(String, Value, Option<Fault>)>,
}

struct Shared {
    upstream: Mutex<String>,
    client: reqwest::Client,
    rules: Mutex<Rules>,
}

impl Shared {
    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running proxy. It ends when this is dropped.
pub struct Proxy {
    url: String,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy before `node`, on a port of the system's choice.
    pub async fn start(node: &Node) -> Result<Self, Error> {
        Self::before(&node.rpc_url()).await
    }

    /// Starts a proxy before any JSON-RPC node, by its URL.
    pub async fn before(rpc_url: &str) -> Result<Self, Error> {
        let shared = Arc::new(Shared {
            upstream: Mutex::new(rpc_url.to_owned()),
            client: reqwest::Client::new(),
            rules: Mutex::default(),
        });
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(Error::io("listen"))?;
        let address = listener.local_addr().map_err(Error::io("listen"))?;
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { url: format!("http://{address}/"), shared, server })
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// From now on `fault` meets every call of `method`.
    pub fn always(&self, method: &'static str, fault: Fault) {
        self.times(method, fault, usize::MAX);
    }

    /// `fault` meets the next `times` calls of `method`.
    pub fn times(&self, method: &'static str, fault: Fault, times: usize) {
        self.shared.rules().rules.push(Rule { method, fault, times });
    }

    /// From now on what the node says passes through `alter`, with the method and its parameters: a node that lies.
    pub fn alter(&self, alter: impl FnMut(&str, &Value, &mut Value) + Send + 'static) {
        self.shared.rules().alter = Some(Box::new(alter));
    }

    /// From now on another node is behind it.
    pub fn lead_to(&self, node: &Node) {
        *self.shared.upstream.lock().unwrap_or_else(PoisonError::into_inner) = node.rpc_url();
    }

    /// From now on everything goes through.
    pub fn heal(&self) {
        let mut rules = self.shared.rules();
        rules.rules.clear();
        rules.alter = None;
    }

    /// The parameters of every call of `method` that came so far, whatever met it.
    pub fn calls(&self, method: &str) -> Vec<Value> {
        let rules = self.shared.rules();
        rules.calls.iter().filter(|(name, ..)| name == method).map(|(_, params, _)| params.clone()).collect()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(State(shared): State<Arc<Shared>>, body: body::Bytes) -> Response {
    let Ok(call) = serde_json::from_slice::<Value>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let method = call["method"].as_str().unwrap_or_default();
    let fault = {
        let mut rules = shared.rules();
        let rule = rules.rules.iter_mut().find(|rule| rule.method == method && rule.times > 0);
        let fault = rule.map(|rule| {
            rule.times = rule.times.saturating_sub(1);
            rule.fault.clone()
        });
        rules.calls.push((method.to_owned(), call["params"].clone(), fault.clone()));
        fault
    };
    let said = |result: Value| {
        let mut answer = json!({"jsonrpc": "2.0", "id": call["id"]});
        if let (Some(answer), Some(result)) = (answer.as_object_mut(), result.as_object()) {
            answer.extend(result.clone());
        }
        ([(header::CONTENT_TYPE, "application/json")], answer.to_string()).into_response()
    };
    let error = |words: &str| said(json!({"error": {"code": -32000, "message": words}}));
    match fault {
        None => forward(&shared, body).await,
        Some(Fault::Slow(by)) => {
            tokio::time::sleep(by).await;
            forward(&shared, body).await
        }
        Some(Fault::Refused) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Some(Fault::Error(words)) => error(words),
        Some(Fault::Dropped) => {
            let raw = serde_json::from_value::<Bytes>(call["params"][0].clone()).unwrap_or_default();
            said(json!({"result": keccak256(raw)}))
        }
        Some(Fault::Null) => said(json!({"result": null})),
        Some(Fault::AnswerLost) => {
            forward(&shared, body).await;
            StatusCode::BAD_GATEWAY.into_response()
        }
        Some(Fault::ErrorAfter(words)) => {
            forward(&shared, body).await;
            error(words)
        }
    }
}

async fn forward(shared: &Shared, body: body::Bytes) -> Response {
    let upstream = shared.upstream.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let call = serde_json::from_slice::<Value>(&body).unwrap_or_default();
    let request = shared.client.post(upstream).header(header::CONTENT_TYPE, "application/json").body(body);
    match request.send().await {
        Ok(answer) => match answer.bytes().await {
            Ok(bytes) => ([(header::CONTENT_TYPE, "application/json")], altered(shared, &call, bytes)).into_response(),
            Err(_) => StatusCode::BAD_GATEWAY.into_response(),
        },
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}

fn altered(shared: &Shared, call: &Value, bytes: body::Bytes) -> body::Bytes {
    match (&mut shared.rules().alter, serde_json::from_slice::<Value>(&bytes)) {
        (Some(alter), Ok(mut answer)) => {
            alter(call["method"].as_str().unwrap_or_default(), &call["params"], &mut answer);
            answer.to_string().into()
        }
        _ => bytes,
    }
}
