//! When something around the service is not as it should be: wrong routes, slow callers, no database, the end.

use crate::service::{CHAIN, Reply, Service, config, logs, request};
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn routes_and_methods_that_are_not() {
    let service = Service::start().await;
    for path in ["/", "/api", "/api/invoices/", "/pay", "/pay/", "/API/invoices/create", "/api/invoices/a/b"] {
        service.authed("GET", path).send().await.problem(404, "not_found");
    }
    for (method, path, allow) in [
        ("GET", "/api/invoices/create", "POST"),
        ("PUT", "/api/invoices/create", "POST"),
        ("GET", "/api/invoices/pay", "POST"),
        ("POST", "/api/invoices", "GET,HEAD"),
        ("POST", "/api/invoices/export", "GET,HEAD"),
        ("GET", "/api/invoices/some/cancel", "POST"),
        ("POST", "/api/events", "GET,HEAD"),
        ("POST", "/api/invoices/some", "GET,HEAD"),
        ("DELETE", "/api/invoices/some/wallet", "GET,HEAD"),
        ("PATCH", "/api/invoice-wallets/some", "GET,HEAD"),
        ("POST", "/health", "GET,HEAD"),
        ("BREW", "/ready", "GET,HEAD"),
    ] {
        let reply = service.authed(method, path).send().await;
        reply.problem(405, "method_not_allowed");
        assert_eq!(reply.headers["allow"], allow, "{method} {path}");
    }
    // An id of the caller's that could do harm in a log is replaced.
    for id in ["a b", "x\u{1b}[31m", &"x".repeat(65), "ä"] {
        let reply = service.call("GET", "/health").header("X-Request-Id", id).send().await;
        assert!(reply.status == 400 || reply.headers["x-request-id"].starts_with("req_"), "{id}");
    }
}

#[tokio::test]
async fn health_and_readiness() {
    let mut service = Service::start().await;
    let health = service.call("GET", "/health").send().await;
    assert_eq!((health.status, &health.json()["status"]), (200, &json!("ok")));
    let ready = service.call("GET", "/ready").send().await;
    assert_eq!(ready.status, 200, "{}", ready.text());
    let ready = ready.json();
    assert_eq!((&ready["status"], &ready["chain"]["chain_id"]), (&json!("ready"), &json!(CHAIN)));
    assert_eq!((&ready["chain"]["name"], &ready["chain"]["block"]), (&json!("base"), &json!(100)));
    assert!((60..90).contains(&ready["chain"]["lag_seconds"].as_u64().unwrap()), "{ready}");

    let created = service.create(json!({})).await;
    let page = created["invoice"]["pay_url"]
        .as_str()
        .unwrap()
        .rsplit_once("/pay/")
        .unwrap()
        .1
        .split('#')
        .next()
        .unwrap()
        .to_owned();

    // The database goes away: said so at once or in a few seconds, and never as a mistake of the caller.
    service.postgres.take().unwrap().stop().await;
    let id = created["invoice"]["id"].as_str().unwrap();
    let calls = [
        service.authed("GET", &format!("/api/invoices/{id}")),
        service.authed("GET", &format!("/api/invoices/{id}/wallet")),
        service.authed("POST", "/api/invoices/create").json(&request(json!({}))),
        service.call("GET", "/ready"),
    ];
    for call in calls {
        let begin = Instant::now();
        let reply = call.send().await;
        reply.problem(503, "unavailable");
        assert_eq!(reply.headers["retry-after"], "5");
        assert!(begin.elapsed() < Duration::from_secs(6));
    }
    let reply = service.call("GET", &format!("/pay/{page}")).send().await;
    assert_eq!((reply.status, reply.headers["retry-after"].as_str()), (503, "5"));
    assert!(reply.headers["content-type"].starts_with("text/html"));
    assert_eq!(service.call("GET", "/health").send().await.status, 200);
    assert!(logs().contains("database"), "the cause is in the log");
}

#[tokio::test]
async fn it_is_not_ready_on_a_schema_that_is_older_than_the_program() {
    let service = Service::start().await;
    assert_eq!(service.get("/ready").await.status, 200);
    let run = async |sql: &'static str| sqlx::query(sql).execute(service.store.pool()).await.unwrap();
    // Newer is fine: services are replaced one after the other.
    run("UPDATE _sqlx_migrations SET version = version + 1000 WHERE version = (SELECT max(version) FROM _sqlx_migrations)")
        .await;
    assert_eq!(service.get("/ready").await.status, 200);
    run("DELETE FROM _sqlx_migrations WHERE version = (SELECT max(version) FROM _sqlx_migrations)").await;
    let problem = service.get("/ready").await.problem(503, "schema_outdated");
    assert!(problem["detail"].as_str().unwrap().contains("monay migrate"), "{problem}");
    run("DROP TABLE _sqlx_migrations").await;
    service.get("/ready").await.problem(503, "schema_outdated");
    assert_eq!(service.get("/health").await.status, 200);
}

#[tokio::test]
async fn a_chain_that_is_not_set_up() {
    let service = Service::start().await;
    let server = api::bind(config(1)).await.unwrap();
    let address = server.address();
    let root = vault::RootKey::load(&service.folder().join("root.key")).unwrap();
    let store = service.store.clone();
    tokio::spawn(server.serve(store, vault::Vault::new(&root), std::future::pending()));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(service.call("GET", "/ready").head(0).as_bytes()).await.unwrap();
    let problem = Reply::read(&mut stream).await.problem(503, "unavailable");
    assert!(problem["detail"].as_str().unwrap().contains("chain 1 is not in the database"), "{problem}");
}

#[tokio::test]
async fn a_caller_that_never_ends_and_one_that_ends_early() {
    let service = Service::start().await;
    let before = service.counts().await;
    let call = || service.authed("POST", "/api/invoices/create").header("Content-Type", "application/json");

    let mut slow = TcpStream::connect(service.address).await.unwrap();
    slow.write_all(call().head(1000).as_bytes()).await.unwrap();
    slow.write_all(b"{\"amount\":").await.unwrap();
    let begin = Instant::now();
    let reply = Reply::read(&mut slow).await;
    let problem = reply.problem(503, "timeout");
    assert!(problem["detail"].as_str().unwrap().contains("10 seconds"));
    assert!((9..15).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());

    // Gone in the middle of the body: nothing is done, and the service goes on.
    let mut early = TcpStream::connect(service.address).await.unwrap();
    early.write_all(call().head(1000).as_bytes()).await.unwrap();
    early.shutdown().await.unwrap();
    let mut rest = Vec::new();
    let _ = early.read_to_end(&mut rest).await;
    assert_eq!(service.counts().await, before);
    assert_eq!(service.call("GET", "/health").send().await.status, 200);
}

#[tokio::test]
async fn it_stops_when_told_and_finishes_what_it_has_begun() {
    let mut service = Service::start().await;
    let body = request(json!({})).to_string();
    let call = service.authed("POST", "/api/invoices/create").header("Content-Type", "application/json");
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    stream.write_all(call.head(body.len()).as_bytes()).await.unwrap();
    stream.write_all(&body.as_bytes()[..20]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;

    let serving = service.stop();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!serving.is_finished());
    assert!(TcpStream::connect(service.address).await.is_err(), "takes no new connections");
    stream.write_all(&body.as_bytes()[20..]).await.unwrap();
    assert_eq!(Reply::read(&mut stream).await.status, 201);
    tokio::time::timeout(Duration::from_secs(5), serving).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_port_that_is_taken_is_one_clear_sentence() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config =
        |listen, public_url: Option<&str>| api::Config { listen, public_url: public_url.map(Into::into), ..config(1) };
    let address = taken.local_addr().unwrap();
    let error = api::bind(config(address, None)).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("the API cannot listen on {address}: ")) && !error.contains('\n'), "{error}");
    let any = "127.0.0.1:0".parse().unwrap();
    let error = api::bind(config(any, Some("pay.example.com"))).await.unwrap_err().to_string();
    assert!(error.contains("must begin with http:// or https://"), "{error}");
    let server = api::bind(config(any, Some("https://pay.example.com/"))).await.unwrap();
    assert_eq!(server.public_url(), "https://pay.example.com");
    let server = api::bind(config("0.0.0.0:0".parse().unwrap(), None)).await.unwrap();
    assert_eq!(server.public_url(), format!("http://127.0.0.1:{}", server.address().port()));
}
