//! What one process takes on: at each limit it is let in, one above it is told no, and others are served all the while.

use crate::service::{Reply, Service};
use api::Limits;
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A request that is in work until its body is there.
async fn in_work(service: &Service) -> TcpStream {
    let call = service.authed("POST", "/api/invoices/create").header("Content-Type", "application/json");
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    stream.write_all(call.head(2).as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    stream
}

#[tokio::test]
async fn one_request_too_many_is_told_so_at_once_and_health_is_always_answered() {
    let service = Service::with(Limits { requests: 2, ..Limits::default() }).await;
    let mut first = in_work(&service).await;
    assert_eq!(service.get("/ready").await.status, 200, "the second of two");
    let mut second = in_work(&service).await;
    let begin = Instant::now();
    for path in ["/ready", "/errors", "/pay/some", "/nowhere", "/metrics"] {
        let reply = service.get(path).await;
        reply.problem(503, "overloaded");
        assert_eq!(reply.headers["retry-after"], "1");
    }
    assert!(begin.elapsed() < Duration::from_secs(1));
    assert_eq!(service.get("/health").await.status, 200);
    for stream in [&mut first, &mut second] {
        stream.write_all(b"{}").await.unwrap();
        Reply::read(stream).await.problem(400, "field_missing");
    }
    assert_eq!(service.get("/ready").await.status, 200);
    // A client that goes gives its place back.
    for _ in 0..3 {
        drop(in_work(&service).await);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let _held = in_work(&service).await;
    assert_eq!(service.get("/ready").await.status, 200);
}

#[tokio::test]
async fn one_connection_too_many_is_told_so_and_closed() {
    let service = Service::with(Limits { connections: 3, ..Limits::default() }).await;
    let connect = || TcpStream::connect(service.address);
    let mut open = vec![connect().await.unwrap(), connect().await.unwrap()];
    assert_eq!(service.get("/health").await.status, 200, "the third of three");
    tokio::time::sleep(Duration::from_millis(100)).await;
    open.push(connect().await.unwrap());
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut fourth = connect().await.unwrap();
    let mut answer = String::new();
    fourth.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("\"code\":\"overloaded\""), "{answer}");
    open.pop();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(service.get("/health").await.status, 200);
}

/// Until the server closes the connection.
async fn cut(stream: &mut TcpStream) -> Duration {
    let begin = Instant::now();
    let _ = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut Vec::new())).await;
    begin.elapsed()
}

#[tokio::test]
async fn slowloris_a_client_that_sends_its_headers_slowly_is_cut() {
    let service = Service::with(Limits { header_ms: 500, ..Limits::default() }).await;
    let connect = || TcpStream::connect(service.address);
    // Nothing; the beginning; a header every now and then, for ever.
    let mut silent = connect().await.unwrap();
    let mut begun = connect().await.unwrap();
    begun.write_all(b"GET /health HTTP/1.1\r\nHost: mo").await.unwrap();
    let (mut reading, mut writing) = connect().await.unwrap().into_split();
    writing.write_all(b"GET /health HTTP/1.1\r\n").await.unwrap();
    let begin = Instant::now();
    let dripping = tokio::spawn(async move {
        while writing.write_all(b"X-A: b\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await
        }
    });
    let _ = tokio::time::timeout(Duration::from_secs(5), reading.read_to_end(&mut Vec::new())).await;
    let took = begin.elapsed();
    assert!((400..2_000).contains(&took.as_millis()), "{took:?}");
    dripping.abort();
    assert!(cut(&mut silent).await < Duration::from_secs(2));
    assert!(cut(&mut begun).await < Duration::from_secs(2));

    // One that was answered and is kept open without a word, too.
    let mut kept = connect().await.unwrap();
    kept.write_all(b"GET /health HTTP/1.1\r\nHost: monay\r\n\r\n").await.unwrap();
    let took = cut(&mut kept).await;
    assert!((400..2_000).contains(&took.as_millis()), "{took:?}");
    // A body has its own time, and is not cut by this limit.
    let mut slow = in_work(&service).await;
    tokio::time::sleep(Duration::from_millis(900)).await;
    slow.write_all(b"{}").await.unwrap();
    Reply::read(&mut slow).await.problem(400, "field_missing");
}

#[tokio::test]
async fn paths_queries_and_headers_up_to_their_limit_and_one_byte_more() {
    let limits = Limits { uri_bytes: 1000, query_bytes: 300, header_bytes: 2000, ..Limits::default() };
    let service = Service::with(limits).await;
    let path = |length: usize| format!("/errors/{}", "x".repeat(length - 8));
    assert_eq!(service.call("GET", &path(1000)).send().await.status, 404);
    service.call("GET", &path(1001)).send().await.problem(414, "uri_too_long");
    let query = |length: usize| format!("/errors?{}", "x".repeat(length));
    assert_eq!(service.call("GET", &query(300)).send().await.status, 200);
    service.call("GET", &query(301)).send().await.problem(414, "uri_too_long");
    service.call("GET", &format!("{}?{}", path(800), "x".repeat(201))).send().await.problem(414, "uri_too_long");

    // Host: monay, Connection: close, and the rest in one header.
    let left = 2000 - "hostmonay".len() - "connectionclose".len() - "x-long".len();
    let call = |length: usize| service.call("GET", "/health").header("X-Long", &"y".repeat(length));
    assert_eq!(call(left).send().await.status, 200);
    let problem = call(left + 1).send().await.problem(431, "headers_too_large");
    assert!(problem["detail"].as_str().unwrap().contains("2001 bytes, may have 2000"), "{problem}");
    // Far above it, hyper says so by itself.
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    let head = call(100_000).head(0);
    let _ = stream.write_all(head.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431 "), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn a_key_has_so_many_requests_and_others_are_served_meanwhile() {
    let service = Service::with(Limits { per_second: 1, burst: 5, ..Limits::default() }).await;
    for _ in 0..5 {
        service.get("/api/invoices/nothing").await.problem(404, "invoice_not_found");
    }
    let reply = service.post("/api/invoices/create", &crate::service::request(json!({}))).await;
    reply.problem(429, "too_many_requests");
    let wait: u64 = reply.headers["retry-after"].parse().unwrap();
    assert!((1..=2).contains(&wait));
    assert_eq!(service.count("invoices").await, 0);
    let other = service.call("GET", "/api/invoices/nothing").key(&service.keys["tenant-other"]);
    other.send().await.problem(404, "invoice_not_found");
    // A key that is nobody's has no bucket, only the database's answer.
    for _ in 0..10 {
        service.call("GET", "/api/invoices/nothing").key("mk_test_nobodys").send().await.problem(401, "unauthorized");
    }
    tokio::time::sleep(Duration::from_secs(wait)).await;
    service.get("/api/invoices/nothing").await.problem(404, "invoice_not_found");
}

#[tokio::test]
async fn told_to_stop_it_does_not_wait_for_connections_that_have_nothing_under_way() {
    let mut service = Service::start().await;
    let mut kept = TcpStream::connect(service.address).await.unwrap();
    kept.write_all(b"GET /health HTTP/1.1\r\nHost: monay\r\n\r\n").await.unwrap();
    kept.read_exact(&mut [0; 12]).await.unwrap();
    let _silent = TcpStream::connect(service.address).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    tokio::time::timeout(Duration::from_secs(2), service.stop()).await.unwrap().unwrap().unwrap();
}
