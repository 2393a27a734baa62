//! Everything that is refused: with which status and code, and that it leaves no row behind.

use crate::service::{ESCROW, Service, TOKEN, request};
use alloy_primitives::Address;
use serde_json::{Value, json};
use time::OffsetDateTime;

#[tokio::test]
async fn what_is_wrong_is_named_and_leaves_nothing() {
    let service = Service::start().await;
    let before = service.counts().await;
    let day = |days: i64| json!((OffsetDateTime::now_utc().date() + time::Duration::days(days)).to_string());
    let text = |length: usize| json!("x".repeat(length));
    let zero = json!(Address::ZERO.to_string());
    let mut deep = json!({});
    for _ in 0..200 {
        deep = json!({ "a": deep });
    }

    let table: Vec<(&str, Value, u16, &str)> = vec![
        ("amount", json!(0), 422, "amount_not_positive"),
        ("amount", json!("0.00"), 422, "amount_not_positive"),
        ("amount", json!(-150), 422, "amount_not_positive"),
        ("amount", json!("-0.01"), 422, "amount_not_positive"),
        ("amount", json!(150.001), 422, "amount_too_precise"),
        ("amount", json!("0.000000000000000000000000000000000001"), 422, "amount_too_precise"),
        ("amount", json!("1000000000000.01"), 422, "amount_too_large"),
        ("amount", json!("340282366920938463463374607431768211456"), 422, "amount_too_large"),
        ("amount", json!(u64::MAX), 422, "amount_too_large"),
        ("amount", json!("9".repeat(400)), 422, "amount_malformed"),
        ("amount", json!("1e3"), 422, "amount_malformed"),
        ("amount", json!(1e300), 422, "amount_malformed"),
        ("amount", json!(true), 422, "amount_malformed"),
        ("amount", json!([150]), 422, "amount_malformed"),
        ("amount", json!({"value": 150}), 422, "amount_malformed"),
        ("amount", json!(""), 422, "amount_malformed"),
        ("amount", json!(" 150"), 422, "amount_malformed"),
        ("amount", json!("1,000"), 422, "amount_malformed"),
        ("amount", json!("1.5.0"), 422, "amount_malformed"),
        ("amount", json!(".5"), 422, "amount_malformed"),
        ("amount", json!("+1"), 422, "amount_malformed"),
        ("amount", json!("0x10"), 422, "amount_malformed"),
        ("amount", json!("NaN"), 422, "amount_malformed"),
        ("amount", json!("١٥٠"), 422, "amount_malformed"),
        ("amount", Value::Null, 400, "field_missing"),
        ("currency", json!("EUR"), 422, "currency_unknown"),
        ("currency", json!("usd"), 422, "currency_unknown"),
        ("currency", json!(840), 400, "field_type"),
        ("wallet_ttl", json!(3599), 422, "wallet_ttl_out_of_range"),
        ("wallet_ttl", json!(3599.0), 422, "wallet_ttl_out_of_range"),
        ("wallet_ttl", json!(31_536_001), 422, "wallet_ttl_out_of_range"),
        ("wallet_ttl", json!(0), 422, "wallet_ttl_out_of_range"),
        ("wallet_ttl", json!(u64::MAX), 422, "wallet_ttl_out_of_range"),
        ("wallet_ttl", json!(-3600), 400, "field_type"),
        ("wallet_ttl", json!(3600.5), 400, "field_type"),
        ("wallet_ttl", json!("86400"), 400, "field_type"),
        ("wallet_mode", json!("persistent"), 422, "wallet_mode_unavailable"),
        ("wallet_mode", json!("EPHEMERAL"), 422, "wallet_mode_unavailable"),
        ("auto_create_wallet", json!(false), 422, "wallet_required"),
        ("auto_create_wallet", json!("yes"), 400, "field_type"),
        ("due_date", day(-1), 422, "due_date_in_past"),
        ("due_date", json!("2025-02-15"), 422, "due_date_in_past"),
        ("due_date", json!("2031-02-30"), 422, "due_date_malformed"),
        ("due_date", json!("tomorrow"), 422, "due_date_malformed"),
        ("due_date", json!(20_310_101), 400, "field_type"),
        ("settlement", json!("sometimes"), 422, "settlement_unknown"),
        ("customer_email", json!("jane"), 422, "customer_email_malformed"),
        ("customer_email", json!("jane@"), 422, "customer_email_malformed"),
        ("customer_email", json!("ja ne@email.com"), 422, "customer_email_malformed"),
        ("customer_email", json!("jane@email.com\u{0}"), 422, "customer_email_malformed"),
        ("customer_email", json!(format!("{}@email.com", "j".repeat(250))), 422, "customer_email_malformed"),
        ("description", text(501), 422, "text_invalid"),
        ("description", json!(""), 422, "text_invalid"),
        ("description", json!("a\u{0}b"), 422, "text_invalid"),
        ("description", json!(["a"]), 400, "field_type"),
        ("category", text(51), 422, "text_invalid"),
        ("invoice_number", text(65), 422, "text_invalid"),
        ("invoice_number", json!("a\nb"), 422, "text_invalid"),
        ("invoice_number", json!(1), 400, "field_type"),
        ("refund_address", json!("jane.eth"), 422, "refund_address_malformed"),
        ("refund_address", json!("0xd8da6bf26964aF9D7eEd9e03E53415D37aA96045"), 422, "refund_address_malformed"),
        ("refund_address", json!("0xd8dA6BF26964aF9D7eEd9e03E53415D37aA9604"), 422, "refund_address_malformed"),
        ("refund_address", zero, 422, "refund_address_refused"),
        ("refund_address", json!(TOKEN.to_string()), 422, "refund_address_refused"),
        ("refund_address", json!(ESCROW.to_string()), 422, "refund_address_refused"),
        ("direct", json!("yes"), 400, "field_type"),
        ("metadata", json!("text"), 422, "metadata_malformed"),
        ("metadata", json!([1]), 422, "metadata_malformed"),
        ("metadata", json!({"a": "\u{0}"}), 422, "metadata_malformed"),
        ("metadata", json!({"\u{0}": 1}), 422, "metadata_malformed"),
        ("metadata", deep, 422, "metadata_malformed"),
        ("metadata", json!({"a": "x".repeat(16 * 1024)}), 422, "metadata_too_large"),
        ("tenant_id", json!("tenant-other"), 404, "tenant_not_found"),
        ("tenant_id", json!("nobody"), 404, "tenant_not_found"),
        ("tenant_id", json!(7), 400, "field_type"),
        ("wallet_tll", json!(86400), 400, "field_unknown"),
        ("line_items", json!([]), 400, "field_unknown"),
        ("`<script>`", json!(1), 400, "field_unknown"),
    ];
    for (field, value, status, code) in table {
        let mut body = request(json!({ field: value }));
        if field == "tenant_id" {
            body["amount"] = json!("150.00");
        }
        let problem = service.post("/api/invoices/create", &body).await.problem(status, code);
        assert_eq!(problem["field"], field, "{problem}");
        assert!(problem["detail"].as_str().unwrap().len() < 300, "an answer must not grow with its input: {problem}");
        assert_eq!(service.counts().await, before, "{field} {value}: a row is left");
    }

    // A number in the text of the JSON that no Rust value would keep.
    for (amount, code) in [("1E2", "amount_malformed"), ("1.5e2", "amount_malformed"), ("-0", "amount_not_positive")] {
        let body = request(json!({})).to_string().replace("\"amount\":150", &format!("\"amount\":{amount}"));
        let call = service.authed("POST", "/api/invoices/create").header("Content-Type", "application/json");
        call.body(body).send().await.problem(422, code);
    }

    let verified = |tenant: &str| (service.keys[tenant].clone(), request(json!({ "tenant_id": tenant })));
    for (tenant, status, code) in [
        ("tenant-unverified", 403, "enterprise_not_verified"),
        ("tenant-nowhere", 409, "payee_missing"),
        ("tenant-settler", 409, "terms_refused"),
    ] {
        let (key, body) = verified(tenant);
        service.call("POST", "/api/invoices/create").key(&key).json(&body).send().await.problem(status, code);
    }
    assert_eq!(service.counts().await, before);
}

#[tokio::test]
async fn bodies_that_are_none() {
    let service = Service::start().await;
    let good = request(json!({})).to_string();
    let send = |body: Vec<u8>| {
        service.authed("POST", "/api/invoices/create").header("Content-Type", "application/json").body(body).send()
    };

    let table: [(&[u8], u64, u64); 9] = [
        (b"{\"amount\": 150,\n  \"currency\": }", 2, 15),
        (b"{\"amount\": 150,\n \"currency\": \"USD\", // 24 hours\n}", 2, 21),
        (b"{\"amount\": 150", 1, 14),
        (b"not json", 1, 2),
        (b"[1, 2]", 1, 0),
        (b"\"text\"", 1, 6),
        (b"{\"amount\": 150} {}", 1, 17),
        (b"{\"amount\": NaN}", 1, 12),
        (b"{\"amount\": \"\xff\"}", 1, 13),
    ];
    for (body, line, column) in table {
        let problem = send(body.to_vec()).await.problem(400, "json_malformed");
        assert_eq!((&problem["line"], &problem["column"]), (&json!(line), &json!(column)), "{problem}");
    }
    send(Vec::new()).await.problem(400, "json_malformed");
    send(vec![b'['; 60_000]).await.problem(400, "json_malformed");
    let twice = send(b"{\"amount\": 1, \"amount\": 2}".to_vec()).await.problem(400, "field_duplicate");
    assert_eq!(twice["field"], "amount");

    for kind in [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("application/jsonp")] {
        let call = service.authed("POST", "/api/invoices/create").body(good.clone());
        let call = kind.iter().fold(call, |call, kind| call.header("Content-Type", kind));
        call.send().await.problem(415, "content_type_unsupported");
    }

    // One byte too many, and far too many.
    let padded = |length: usize| [good.as_bytes(), &vec![b' '; length - good.len()]].concat();
    assert_eq!(send(padded(64 * 1024)).await.status, 201);
    let before = service.counts().await;
    send(padded(64 * 1024 + 1)).await.problem(413, "body_too_large");
    send(padded(900 * 1024)).await.problem(413, "body_too_large");

    for path in ["/api/invoices/create", "/api/invoices/pay"] {
        let call = service.authed("POST", path).header("Content-Type", "application/json").body("{}");
        call.send().await.problem(400, "field_missing");
    }
    assert_eq!(service.counts().await, before);
}

#[tokio::test]
async fn one_number_is_one_invoice() {
    let service = Service::start().await;
    service.create(json!({"invoice_number": "N-1"})).await;
    let before = service.counts().await;
    let again = request(json!({"invoice_number": "N-1", "amount": 7, "customer_email": "other@email.com"}));
    let problem = service.post("/api/invoices/create", &again).await.problem(409, "invoice_number_taken");
    assert_eq!(problem["field"], "invoice_number");
    assert_eq!(service.counts().await, before);
    assert_eq!(service.get("/api/invoices/N-1").await.json()["invoice"]["amount"], "150.00");

    // At the same moment: exactly one wins, and the others leave nothing.
    let body = request(json!({"invoice_number": "N-2"}));
    let calls = (0..8).map(|_| {
        let call = service.authed("POST", "/api/invoices/create").json(&body);
        tokio::spawn(call.send())
    });
    let mut won = 0;
    for call in calls.collect::<Vec<_>>() {
        let reply = call.await.unwrap();
        match reply.status {
            201 => won += 1,
            _ => drop(reply.problem(409, "invoice_number_taken")),
        }
    }
    assert_eq!(won, 1);
    for ((table, before), (_, after)) in before.iter().zip(service.counts().await) {
        let added = i64::from(!["users", "intents"].contains(table));
        assert_eq!(after, before + added, "{table}");
    }
}
