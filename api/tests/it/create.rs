//! The specification's electricity bill: what is answered, what is stored, and what is nowhere to be found.

use crate::service::{CHAIN, PAYEE, SETTLER, Service, TOKEN, UNCLAIMED, UTILITYCO, deployment, logs, now, request};
use alloy_primitives::{Address, hex};
use serde_json::{Value, json};
use terms::{Here, InvoiceTerms};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

fn unix(time: &Value) -> u64 {
    let text = time.as_str().unwrap();
    assert!(text.ends_with('Z'), "{text} is not in UTC");
    OffsetDateTime::parse(text, &Rfc3339).unwrap().unix_timestamp().try_into().unwrap()
}

#[tokio::test]
async fn the_electricity_bill_is_answered_whole_and_stored_whole() {
    let service = Service::start().await;
    let before = now();
    let wanted = request(json!({"metadata": {"meter": "A-17", "nested": {"list": [1, "two", null]}}}));
    let reply =
        service.authed("POST", "/api/invoices/create").header("X-Request-Id", "my-id.1").json(&wanted).send().await;
    let after = now();
    assert_eq!(reply.status, 201, "{}", reply.text());
    assert_eq!(reply.headers["content-type"], "application/json");
    assert_eq!(reply.headers["x-request-id"], "my-id.1");
    let body = reply.json();
    let (invoice, wallet, known) = (&body["invoice"], &body["wallet"], &body["terms"][0]);
    let (id, number) = (invoice["id"].as_str().unwrap(), invoice["number"].as_str().unwrap());
    assert!(id.starts_with("inv_"), "{id}");
    assert!(number.starts_with("INV-20"), "{number}");
    assert_eq!(reply.headers["location"], format!("/api/invoices/{id}"));

    // The invoice.
    let same = |object: &Value, expected: Value| {
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&object[name], value, "{name}");
        }
    };
    same(
        invoice,
        json!({
            "status": "pending_payment", "amount": "150.00", "amount_units": "150000000",
            "paid_amount": "0.00", "paid_amount_units": "0", "currency": "USD",
            "description": "Electric Service - January 2025", "category": "UTILITY", "customer_email": "jane@email.com",
            "due_date": wanted["due_date"], "issuer": {"id": UTILITYCO, "name": "UtilityCo Electric"},
            "settlement": "automatic", "settlement_tier": null, "exceptions": [], "paid_at": null, "transaction_id": null,
            "metadata": wanted["metadata"],
        }),
    );
    let expires_at = unix(&invoice["expires_at"]);
    assert!((before + 86400..=after + 86400).contains(&expires_at));
    assert!((before..=after).contains(&unix(&invoice["created_at"])));
    let pay_url = invoice["pay_url"].as_str().unwrap();
    assert!(pay_url.starts_with(&format!("http://{}/pay/", service.address)), "{pay_url}");

    // The terms, and the address that follows from them and from nothing else.
    let terms: InvoiceTerms = serde_json::from_value(known["terms"].clone()).unwrap();
    assert_eq!(known["terms"]["amount"], "150000000", "base units travel as a string");
    assert_eq!(known["hash"], terms.hash().to_string());
    assert_eq!(known["chain"], "base");
    let purse = terms.deposit_address(&deployment());
    assert_eq!(known["deposit_address"], purse.to_string());
    terms.check(&Here { chain: CHAIN, timestamp: before, deployment: deployment() }).unwrap();
    assert_eq!((terms.payee, terms.token, terms.settler), (PAYEE, TOKEN, SETTLER));
    assert_eq!((terms.amount, terms.flags, terms.refund_to), (150_000_000, 0, UNCLAIMED));
    assert_eq!(terms.closes_at, expires_at + 72 * 3600);
    assert_ne!(terms.refund_key, Address::ZERO);
    assert!(!terms.invoice_id.is_zero());

    // The wallet.
    same(
        wallet,
        json!({
            "invoice_id": id, "mode": "ephemeral", "status": "active", "address": purse.to_string(),
            "addresses": {"base": purse.to_string()}, "spending_limit": "150.00", "spending_limit_units": "150000000",
            "balance": "0.00", "balance_units": "0", "currency": "USDC", "token": TOKEN.to_string(), "chain_id": CHAIN,
            "ttl_seconds": 86400, "expires_at": invoice["expires_at"], "funded_at": null, "destruction_initiated_at": null,
            "destroyed_at": null, "destruction_method": null, "destruction_reason": null, "lifetime": null,
        }),
    );
    let wallet_id = wallet["id"].as_str().unwrap();
    let left = wallet["countdown_seconds"].as_u64().unwrap();
    assert!((86390..=86400).contains(&left), "{left}");
    let shown = format!("{:02}:{:02}:{:02}", left / 3600, left / 60 % 60, left % 60);
    assert_eq!(wallet["countdown"], shown);
    assert!((before..=after).contains(&unix(&wallet["created_at"])));
    assert_eq!(body["transactions"], json!([]));

    stored_whole(&service, &body, &terms).await;
    nothing_secret(&service, wallet_id, &terms, pay_url).await;
    found_again(&service, &body).await;
}

/// Exactly one row in each table, with what was answered.
async fn stored_whole(service: &Service, body: &Value, terms: &InvoiceTerms) {
    let (invoice, wallet) = (&body["invoice"], &body["wallet"]);
    for (table, rows) in service.counts().await {
        assert_eq!(rows, i64::from(table != "intents"), "{table}");
    }
    let row = service.row("SELECT *, amount::text AS amount_text FROM invoices").await;
    for (column, value) in [
        ("id", invoice["id"].clone()),
        ("tenant_id", json!(UTILITYCO)),
        ("issuer", json!(UTILITYCO)),
        ("number", invoice["number"].clone()),
        ("customer_email", json!("jane@email.com")),
        ("amount_text", json!("150.000000")),
        ("amount_units", json!(150_000_000)),
        ("paid_units", json!(0)),
        ("status", json!("pending_payment")),
        ("settlement", json!("automatic")),
        ("closes_at", json!(terms.closes_at)),
        ("flags", json!(0)),
        ("metadata", invoice["metadata"].clone()),
        ("due_date", invoice["due_date"].clone()),
    ] {
        assert_eq!(row[column], value, "invoices.{column}");
    }
    assert_eq!(row["invoice_key"], format!("\\x{}", hex::encode(terms.invoice_id)));
    assert_eq!(row["customer_id"], service.row("SELECT id FROM users WHERE email = 'jane@email.com'").await["id"]);

    let row = service.row("SELECT * FROM invoice_terms").await;
    let bytes = |bytes: &[u8]| json!(format!("\\x{}", hex::encode(bytes)));
    for (column, value) in [
        ("terms_hash", bytes(terms.hash().as_slice())),
        ("invoice_id", invoice["id"].clone()),
        ("chain_id", json!(CHAIN)),
        ("payee", bytes(terms.payee.as_slice())),
        ("token", bytes(terms.token.as_slice())),
        ("amount_units", json!(150_000_000)),
        ("refund_to", bytes(terms.refund_to.as_slice())),
        ("refund_key", bytes(terms.refund_key.as_slice())),
        ("settler", bytes(terms.settler.as_slice())),
        ("purse", bytes(terms.deposit_address(&deployment()).as_slice())),
        ("version", json!(1)),
    ] {
        assert_eq!(row[column], value, "invoice_terms.{column}");
    }

    let row = service.row("SELECT * FROM invoice_wallets").await;
    for (column, value) in [
        ("wallet_id", wallet["id"].clone()),
        ("invoice_id", invoice["id"].clone()),
        ("wallet_type", json!("ephemeral")),
        ("wallet_address", wallet["address"].clone()),
        ("status", json!("active")),
        ("ttl_seconds", json!(86400)),
        ("spending_limit_units", json!(150_000_000)),
        ("balance_units", json!(0)),
    ] {
        assert_eq!(row[column], value, "invoice_wallets.{column}");
    }
    let event = service.row("SELECT * FROM wallet_lifecycle_events").await;
    assert_eq!((&event["event_type"], &event["wallet_id"]), (&json!("created"), &wallet["id"]));
    let news = service.row("SELECT * FROM outbox").await;
    assert_eq!(
        (&news["type"], &news["aggregate"], &news["sequence"]),
        (&json!("invoice.created"), &invoice["id"], &json!(0))
    );
}

/// The refund key is sealed: neither it nor the root key nor an API key is in a row, an answer or a line of the log.
async fn nothing_secret(service: &Service, wallet_id: &str, terms: &InvoiceTerms, pay_url: &str) {
    let mut db = service.store.begin().await.unwrap();
    let (nonce, ciphertext) = store::keys::get(&mut db, wallet_id).await.unwrap().unwrap();
    let key = service.vault.open(wallet_id, &nonce, &ciphertext).unwrap();
    assert_eq!(vault::address_of(&key), terms.refund_key);
    assert_eq!(
        service.row("SELECT address FROM wallet_keys").await["address"],
        format!("\\x{}", hex::encode(terms.refund_key))
    );

    let secret: [u8; 32] = key.to_bytes().into();
    assert!(!ciphertext.windows(8).any(|run| secret.windows(8).any(|part| part == run)));
    let root = std::fs::read_to_string(service.folder().join("root.key")).unwrap();
    let mut everything = logs();
    assert!(
        everything.contains("invoice created") && everything.contains("INSERT INTO wallet_keys"),
        "captures nothing"
    );
    for table in ["wallet_keys", "invoices", "invoice_wallets", "wallet_lifecycle_events", "outbox", "api_keys"] {
        for row in service.rows(&format!("SELECT * FROM {table}")).await {
            everything.push_str(&row.to_string());
        }
    }
    let everything = everything.to_lowercase();
    let list = format!("{secret:?}");
    for part in [hex::encode(secret), list.trim_matches(['[', ']']).to_owned(), root.trim().to_owned()] {
        assert!(!everything.contains(&part));
    }
    for key in service.keys.values() {
        assert!(!everything.contains(&key.to_lowercase()));
    }
    let (link, word) = pay_url.split_once("#terms=").unwrap();
    assert!(!logs().contains(link.rsplit('/').next().unwrap()), "a pay link is a secret too");
    let portable: terms::PortableTerms = word.parse().unwrap();
    assert_eq!((&portable.terms, portable.escrow), (terms, crate::service::ESCROW));
}

/// Every way to ask for it says the same.
async fn found_again(service: &Service, body: &Value) {
    let (id, number) = (body["invoice"]["id"].as_str().unwrap(), body["invoice"]["number"].as_str().unwrap());
    let wallet_id = body["wallet"]["id"].as_str().unwrap();
    let without_clock = |mut body: Value| {
        for field in ["countdown", "countdown_seconds"] {
            body["wallet"].as_object_mut().unwrap().remove(field).unwrap();
        }
        body.as_object_mut().unwrap().remove("as_of");
        body
    };
    let whole = without_clock(body.clone());
    for key in [id, number] {
        let reply = service.get(&format!("/api/invoices/{key}")).await;
        assert_eq!((reply.status, without_clock(reply.told())), (200, whole.clone()));
    }
    for path in [
        format!("/api/invoices/{id}/wallet"),
        format!("/api/invoices/{number}/wallet"),
        format!("/api/invoice-wallets/{wallet_id}"),
    ] {
        let reply = service.get(&path).await;
        assert_eq!((reply.status, without_clock(reply.told())), (200, json!({"wallet": whole["wallet"]})), "{path}");
    }
}

#[tokio::test]
async fn what_may_be_asked_for_is_done() {
    let service = Service::start().await;

    // Only an amount is needed; the rest has defaults.
    let reply = service.post("/api/invoices/create", &json!({"amount": "0.01"})).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    let body = reply.json();
    assert_eq!((&body["invoice"]["amount_units"], &body["wallet"]["ttl_seconds"]), (&json!("10000"), &json!(86400)));
    assert_eq!(body["invoice"]["metadata"], json!({}));
    assert_eq!(body["invoice"]["customer_email"], Value::Null);
    assert_eq!(service.count("users").await, 0);

    // The customer's own wallet is known: money goes back there, and no key of ours exists.
    let before = service.count("wallet_keys").await;
    let home = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045";
    for text in [home.to_owned(), home.to_lowercase()] {
        let body = service.create(json!({"refund_address": text, "settlement": "manual"})).await;
        let terms: InvoiceTerms = serde_json::from_value(body["terms"][0]["terms"].clone()).unwrap();
        assert_eq!((terms.refund_to.to_string().as_str(), terms.refund_key), (home, Address::ZERO));
        assert_eq!(body["invoice"]["settlement"], "manual");
    }
    assert_eq!(service.count("wallet_keys").await, before);

    // Amounts as they are typed, exactly; the limits of a wallet's life; a customer is one customer.
    for (amount, currency, units) in [
        (json!(150), "USD", "150000000"),
        (json!(150.25), "USD", "150250000"),
        (json!("150.250"), "USD", "150250000"),
        (json!("0.000001"), "USDC", "1"),
        (json!("1000000000000"), "USDC", "1000000000000000000"),
        (json!("123456789012.654321"), "USDC", "123456789012654321"),
    ] {
        let body = service.create(json!({"amount": amount, "currency": currency})).await;
        assert_eq!(body["invoice"]["amount_units"], units);
        assert_eq!(body["terms"][0]["terms"]["amount"], units);
    }
    // A number that a float would change.
    let text =
        request(json!({"currency": "USDC"})).to_string().replace("\"amount\":150", "\"amount\":900000000000.123457");
    let reply =
        service.authed("POST", "/api/invoices/create").header("Content-Type", "application/json; charset=utf-8");
    let reply = reply.body(text).send().await;
    assert_eq!(reply.json()["invoice"]["amount_units"], "900000000000123457");
    for ttl in [3600, 31_536_000_u64] {
        let body = service.create(json!({"wallet_ttl": ttl})).await;
        assert_eq!(body["wallet"]["ttl_seconds"], ttl);
        let closes_at = body["terms"][0]["terms"]["closes_at"].as_u64().unwrap();
        assert_eq!(closes_at, unix(&body["wallet"]["expires_at"]) + 72 * 3600);
    }
    assert_eq!(service.count("users").await, 1);

    // A number of the tenant's own, and one that needs escaping in a path; another tenant may have the same.
    let body = service.create(json!({"invoice_number": "INV/2025 001"})).await;
    assert_eq!(body["invoice"]["number"], "INV/2025 001");
    assert_eq!(service.get("/api/invoices/INV%2F2025%20001").await.json()["invoice"]["id"], body["invoice"]["id"]);
    let other = request(json!({"tenant_id": "tenant-other", "invoice_number": "INV/2025 001"}));
    let reply =
        service.call("POST", "/api/invoices/create").key(&service.keys["tenant-other"]).json(&other).send().await;
    assert_eq!(reply.status, 201);

    // An invoice that has another's id for its number stands in nobody's way.
    let id = body["invoice"]["id"].as_str().unwrap();
    service.create(json!({"invoice_number": id})).await;
    assert_eq!(service.get(&format!("/api/invoices/{id}")).await.json()["invoice"]["id"], id);

    // Our next number is one the tenant has used already: it is passed over.
    let last: i64 =
        sqlx::query_scalar("SELECT last_value FROM invoice_numbers").fetch_one(service.store.pool()).await.unwrap();
    let year = OffsetDateTime::now_utc().year();
    for next in [last + 1, last + 2] {
        service.create(json!({"invoice_number": format!("INV-{year}-{next:06}")})).await;
    }
    let body = service.create(json!({})).await;
    assert_eq!(body["invoice"]["number"], format!("INV-{year}-{:06}", last + 3));

    // The chain's clock is ahead of ours: its time is what counts.
    let ahead = now() + 5000;
    sqlx::query("UPDATE chains SET tip_timestamp = $1")
        .bind(i64::try_from(ahead).unwrap())
        .execute(service.store.pool())
        .await
        .unwrap();
    let body = service.create(json!({"wallet_ttl": 3600})).await;
    assert_eq!(unix(&body["wallet"]["expires_at"]), ahead + 3600);
    assert_eq!(body["wallet"]["countdown"], "01:00:00");
}
