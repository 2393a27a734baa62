//! What a browser is shown: hostile texts stay texts, nothing is loaded, and every error code has its page.

use crate::service::{Reply, Service, logs};
use base64::Engine;
use serde_json::json;
use sha2::{Digest, Sha256};

fn between<'a>(text: &'a str, begin: &str, end: &str) -> &'a str {
    let rest = &text[text.find(begin).unwrap() + begin.len()..];
    &rest[..rest.find(end).unwrap()]
}

/// The headers every page has, and the policy that fits the one style in it.
pub(crate) fn is_a_safe_page(reply: &Reply) {
    assert_eq!(reply.headers["content-type"], "text/html; charset=utf-8");
    assert_eq!(reply.headers["x-content-type-options"], "nosniff");
    assert_eq!(reply.headers["referrer-policy"], "no-referrer");
    assert_eq!(reply.headers["cache-control"], "no-store");
    let style = between(reply.text(), "<style>", "</style>");
    let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(style.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    assert_eq!(reply.headers["content-security-policy"], policy);
    for bad in ["<script", "<link", "<img", "<iframe", "src=", " style=", "url(", "@import"] {
        assert!(!reply.text().contains(bad), "{bad}");
    }
}

#[tokio::test]
async fn a_hostile_text_is_only_a_text() {
    let service = Service::start().await;
    let hostile = "</p></title></style><script>alert(1)</script>\"'><img src=x onerror=alert(1)>&amp;\u{202e}";
    let created = service
        .create(json!({
            "description": hostile, "invoice_number": &hostile[..hostile.find("<img").unwrap()],
            "metadata": {"x": hostile}, "customer_email": "<script>@email.com",
        }))
        .await;
    sqlx::query("UPDATE enterprises SET name = $1 WHERE id = 'tenant-utilityco'")
        .bind(hostile)
        .execute(service.store.pool())
        .await
        .unwrap();
    let path = &crate::refund::link(&created);
    let reply = service.call("GET", path).send().await;
    assert_eq!(reply.status, 200);
    let safe = reply.text().replace("&lt;img src=x", "");
    assert!(safe.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{safe}");
    is_a_safe_page(&Reply { body: safe.into_bytes(), ..reply });
}

#[tokio::test]
async fn pay_links() {
    let service = Service::start().await;
    let created = service.create(json!({"amount": "1234.50"})).await;
    let path = &crate::refund::link(&created);
    let reply = service.call("GET", path).send().await;
    assert_eq!(reply.status, 200);
    is_a_safe_page(&reply);
    let token = path.strip_prefix("/pay/").unwrap();
    assert!(logs().contains("/pay/{token}") && !logs().contains(token), "who has the link may see the invoice");
    let page = reply.text();
    for words in [
        "<title>1234.50 USDC to UtilityCo Electric</title>",
        "Electric Service - January 2025",
        created["wallet"]["address"].as_str().unwrap(),
        created["wallet"]["token"].as_str().unwrap(),
        created["invoice"]["number"].as_str().unwrap(),
        created["terms"][0]["hash"].as_str().unwrap(),
        "name=\"viewport\"",
        "<meta http-equiv=\"refresh\" content=\"10\">",
        ">23:59:",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(!page.contains("jane@email.com"), "who has the link need not know whose bill it is");

    for token in ["", "nobody", "%00", "%ff", &"0".repeat(32), &"x".repeat(5000)] {
        let reply = service.call("GET", &format!("/pay/{token}")).send().await;
        assert_eq!(reply.status, 404, "{token}");
        if !token.is_empty() {
            is_a_safe_page(&reply);
            assert!(reply.text().contains("There is no such invoice"));
        }
    }
    service.call("POST", path).send().await.problem(405, "method_not_allowed");
    let head = service.call("HEAD", path).send().await;
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[tokio::test]
async fn every_code_has_its_page() {
    let service = Service::start().await;
    let index = service.call("GET", "/errors").send().await;
    is_a_safe_page(&index);
    for code in api::Code::ALL {
        let reply = service.call("GET", &format!("/errors/{}", code.as_str())).send().await;
        assert_eq!(reply.status, 200);
        is_a_safe_page(&reply);
        let escaped =
            |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
        for words in [code.title(), code.meaning(), code.as_str(), &code.status().to_string()] {
            assert!(reply.text().contains(&escaped(words)), "{words}: {}", reply.text());
        }
        assert!(index.text().contains(&format!("/errors/{}", code.as_str())));
    }
    let reply = service.call("GET", "/errors/nothing").send().await;
    assert_eq!(reply.status, 404);
    is_a_safe_page(&reply);
}
