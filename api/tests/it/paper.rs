//! What is kept on paper and travels by mail: receipts, e-mails, exports, each with the terms in a word, and how old what
//! they say is.

use crate::chain::{Chain, OnChain};
use crate::refund::link;
use crate::service::{ESCROW, Service, now, request};
use serde_json::{Value, json};
use terms::PortableTerms;

const DUE: u128 = 150_000_000;

/// The word is the terms and the escrow, and leads to the deposit address.
fn is_the_word(word: &str, created: &Value) {
    let portable: PortableTerms = word.parse().unwrap_or_else(|error| panic!("{word}: {error}"));
    assert_eq!(portable.escrow, ESCROW);
    assert_eq!(serde_json::to_value(&portable.terms).unwrap(), created["terms"][0]["terms"]);
    assert_eq!(portable.deposit_address().to_string(), created["wallet"]["address"].as_str().unwrap());
}

fn word_of(created: &Value) -> &str {
    created["terms"][0]["word"].as_str().unwrap()
}

#[tokio::test]
async fn the_terms_travel_in_the_pay_link_and_beside_themselves() {
    let service = Service::start().await;
    let created = service.create(json!({})).await;
    let url = created["invoice"]["pay_url"].as_str().unwrap();
    let (page, word) = url.split_once("#terms=").unwrap();
    is_the_word(word, &created);
    assert_eq!(word, word_of(&created));
    assert_eq!(page, format!("http://{}{}", service.address, link(&created)));
    let shown = service.pay_page(&created).await;
    assert!(shown.contains(&format!("monay recover {word}")) && shown.contains("/receipt"));
}

#[tokio::test]
async fn a_receipt_for_people_and_for_programs_says_nothing_of_the_customer() {
    let service = Service::start().await;
    let mut chain = Chain::of(&service);
    let created = service.create(json!({"metadata": {"secret": "of the tenant"}})).await;
    let on_chain = OnChain::of(&created);
    let id = created["invoice"]["id"].as_str().unwrap();
    let (tenants, customers) = (format!("/api/invoices/{id}/receipt"), format!("{}/receipt", link(&created)));
    assert!(service.get(&tenants).await.text().contains("Not paid yet"));
    chain.mine(&[on_chain.deposit(0, DUE), on_chain.recorded(1, 1, DUE, DUE, 1)]).await;

    let calls = [service.authed("GET", &tenants), service.call("GET", &customers)];
    for call in calls {
        let page = call.header("Accept", "text/html,*/*;q=0.8").send().await;
        assert_eq!(page.status, 200, "{}", page.text());
        assert!(page.headers["content-type"].starts_with("text/html") && page.headers["vary"] == "Accept");
        for words in ["<h1>Receipt</h1>", "150.00 USD", "@media print", "UtilityCo Electric", "not final yet"] {
            assert!(page.text().contains(words), "{words}: {}", page.text());
        }
        let command = format!("monay recover {}", word_of(&created));
        assert!(page.text().contains(&command) && page.text().contains(created["terms"][0]["hash"].as_str().unwrap()));
        assert!(!page.text().contains("jane@email.com") && !page.text().contains("of the tenant"));
    }
    let calls = [service.authed("GET", &tenants), service.call("GET", &customers)];
    for call in calls {
        let reply = call.header("Accept", "application/json").send().await;
        let body = reply.told();
        assert_eq!((reply.status, reply.headers["vary"].as_str()), (200, "Accept"));
        assert_eq!(body["receipt"]["number"], created["invoice"]["number"]);
        assert_eq!(
            (&body["receipt"]["status"], &body["receipt"]["paid_amount_units"]),
            (&json!("paid"), &json!("150000000"))
        );
        assert_eq!(body["terms"], created["terms"]);
        assert_eq!(body["transactions"].as_array().unwrap().len(), 2);
        assert_eq!(body["recovery"]["commands"], json!([format!("monay recover {}", word_of(&created))]));
        assert!(!reply.text().contains("jane@email.com") && !reply.text().contains("of the tenant"));
    }
    let json = |path: &str| service.call("GET", path).header("Accept", "application/json");
    json("/pay/nobody/receipt").send().await.problem(404, "invoice_not_found");
    json(&tenants).send().await.problem(401, "unauthorized");
    let page = service.call("GET", "/pay/nobody/receipt").send().await;
    assert!(page.status == 404 && page.text().contains("There is no such invoice"));
    json(&tenants).key(&service.keys["tenant-other"]).send().await.problem(404, "invoice_not_found");
}

#[tokio::test]
async fn an_email_says_what_to_pay_where_and_what_to_keep() {
    let service = Service::start().await;
    let mut chain = Chain::of(&service);
    let created = service.create(json!({})).await;
    let path = format!("/api/invoices/{}/email", created["invoice"]["id"].as_str().unwrap());
    let number = created["invoice"]["number"].as_str().unwrap();
    let email = service.get(&path).await.told()["email"].clone();
    assert_eq!(email["to"], "jane@email.com");
    assert_eq!(email["subject"], format!("Invoice {number} from UtilityCo Electric: 150.00 USD"));
    let text = email["text"].as_str().unwrap();
    let (address, url) =
        (created["wallet"]["address"].as_str().unwrap(), created["invoice"]["pay_url"].as_str().unwrap());
    let command = format!("\nmonay recover {}\n", word_of(&created));
    for words in
        ["150.00 USDC", "base (chain id 8453)", address, url, &command, "Electric Service", "Keep this message."]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    let on_chain = OnChain::of(&created);
    chain.mine(&[on_chain.deposit(0, 50_000_000)]).await;
    assert!(service.get(&path).await.json()["email"]["text"].as_str().unwrap().contains("100.00 USDC"));
    chain.mine(&[on_chain.deposit(0, 100_000_000), on_chain.recorded(1, 1, DUE, DUE, 1)]).await;
    let text = service.get(&path).await.json()["email"]["text"].as_str().unwrap().to_owned();
    assert!(
        text.contains("It is paid") && text.contains("/receipt") && text.contains(&command) && !text.contains(address),
        "{text}"
    );
    let called_off = service.create(json!({"customer_email": null, "description": null})).await;
    service.cancel(&called_off).await;
    let path = format!("/api/invoices/{}/email", called_off["invoice"]["id"].as_str().unwrap());
    let email = service.get(&path).await.json()["email"].clone();
    assert!(email["to"].is_null() && email["text"].as_str().unwrap().contains("cannot be paid any more"));
}

#[tokio::test]
async fn an_export_has_everything_and_goes_on_from_any_line() {
    let service = Service::start().await;
    let mut chain = Chain::of(&service);
    // More than two pages of what is read at once.
    const ALL: usize = 205;
    let mut created = Vec::new();
    for _ in 0..ALL {
        created.push(service.create(json!({})).await);
    }
    let on_chain = OnChain::of(&created[0]);
    chain.mine(&[on_chain.deposit(0, 5)]).await;
    let other = service.call("POST", "/api/invoices/create").key(&service.keys["tenant-other"]);
    assert_eq!(other.json(&request(json!({"tenant_id": null}))).send().await.status, 201);
    let export = async |query: &str| {
        let reply = service.get(&format!("/api/invoices/export{query}")).await;
        assert_eq!((reply.status, reply.headers["content-type"].as_str()), (200, "application/x-ndjson"));
        let text = reply.text();
        assert!(text.is_empty() || text.ends_with('\n'));
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>()
    };
    let all = export("").await;
    assert_eq!(all.len(), ALL);
    for (line, created) in all.iter().zip(created.iter().rev()) {
        assert_eq!((&line["invoice"]["id"], &line["terms"]), (&created["invoice"]["id"], &created["terms"]));
        is_the_word(line["terms"][0]["word"].as_str().unwrap(), created);
        assert_eq!(line["as_of"][0]["chain"], "base");
    }
    assert_eq!(all[ALL - 1]["transactions"][0]["kind"], "deposit");
    for (limit, from) in [(1, 0), (100, 3), (101, 99), (500, 150)] {
        let query = format!("?limit={limit}&cursor={}", all[from]["cursor"].as_str().unwrap());
        let ids = |lines: &[Value]| lines.iter().map(|line| line["invoice"]["id"].clone()).collect::<Vec<_>>();
        assert_eq!(ids(&export(&query).await), ids(&all[from + 1..(from + 1 + limit).min(ALL)]), "{query}");
    }
    assert_eq!(export("?status=partially_paid").await.len(), 1);
    assert_eq!(export("?status=paid").await.len(), 0);
}

/// `fault:I10`, as far as answers go.
#[tokio::test]
async fn answers_and_page_say_how_old_what_they_know_is() {
    let service = Service::start().await;
    let mut chain = Chain::of(&service);
    let created = service.create(json!({})).await;
    let (id, wallet) = (created["invoice"]["id"].as_str().unwrap(), created["wallet"]["id"].as_str().unwrap());
    let paths = [
        "/api/invoices".to_owned(),
        "/api/events".to_owned(),
        format!("/api/invoices/{id}"),
        format!("/api/invoices/{id}/wallet"),
        format!("/api/invoice-wallets/{wallet}"),
        format!("/api/invoices/{id}/events"),
        format!("/api/invoices/{id}/timeline"),
        format!("/api/invoices/{id}/email"),
    ];
    for path in &paths {
        let reply = service.get(path).await;
        reply.told();
        let as_of = &reply.json()["as_of"][0];
        assert_eq!((&as_of["chain"], &as_of["block"]), (&json!("base"), &json!(100)), "{path}");
        assert!((60..90).contains(&as_of["lag_seconds"].as_u64().unwrap()), "{path}: {as_of}");
    }
    let page = service.pay_page(&created).await;
    assert!(page.contains("This page is behind") && page.contains("1 minute"), "{page}");
    // Thirty seconds are nothing to speak of.
    chain.mine_at(now() - 25, &[]).await;
    assert!(!service.pay_page(&created).await.contains("This page is behind"));
    chain.mine_at(now() + 100, &[]).await;
    for path in &paths {
        let reply = service.get(path).await;
        assert_eq!(
            (&reply.json()["as_of"][0]["lag_seconds"], reply.headers["monay-lag-seconds"].as_str()),
            (&json!(0), "0")
        );
    }
}
