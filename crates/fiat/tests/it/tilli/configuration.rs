use super::Desk;
use fiat::tilli::{Config, Tilli as Client};

/// The profile of the sandbox with `from` replaced by `to`, as far as it leads.
fn changed(whole: &str, from: &str, to: &str) -> Result<Client, String> {
    assert!(whole.contains(from), "{from}");
    let config: Config = toml::from_str(&whole.replacen(from, to, 1)).map_err(|error| error.to_string())?;
    Client::new(config).map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_mistake_in_the_configuration_is_an_error_that_names_the_key() {
    let desk = Desk::open().await;
    let whole = desk.sandbox.client_toml();
    changed(&whole, "", "").unwrap();
    let url = format!("base_url = \"{}\"", desk.sandbox.url());
    for (from, to, named) in [
        (url.as_str(), "base_url = \"nonsense\"", "tilli.base_url"),
        (url.as_str(), "base_url = \"http://pay.example.com\"", "tilli.base_url"),
        (url.as_str(), "base_url = \"https://user:pass@pay.example.com\"", "tilli.base_url"),
        (url.as_str(), "", "base_url"),
        (url.as_str(), "base_url = \"https://pay.example.com\"\nretries = 3", "retries"),
        (url.as_str(), "base_url = \"https://pay.example.com\"\ntimeout_ms = 0", "tilli.timeout_ms"),
        ("token = \"/gpsToken\"", "", "token"),
        ("token = \"/gpsToken\"", "token = \"gpsToken\"", "tilli.auth.token"),
        ("path = \"/merchant/authenticate\"", "path = \"merchant\"", "tilli.auth.path"),
        ("path = \"/merchant/authenticate\"", "path = \"/{api_key}\"", "tilli.auth.path"),
        ("path = \"/merchant/authenticate\"", "path = \"/a\"\nmethod = \"SEND\"", "tilli.auth.method"),
        ("path = \"/merchant/authenticate\"", "path = \"/a\"\nttl_seconds = 0", "tilli.auth.ttl_seconds"),
        ("apiKey = \"{api_key}\"", "apiKey = \"{key}\"", "tilli.auth.body.apiKey"),
        ("apiKey = \"{api_key}\"", "apiKey = \"{api_key\"", "tilli.auth.body.apiKey"),
        ("api_key = \"sandbox", "amount = \"sandbox", "tilli.credentials.amount"),
        ("[fields]\ntoken", "[fields]\nemail", "tilli.fields.token"),
        ("[fields]\n", "[fields]\ncard_number = \"cardNumber\"\n", "card_number"),
        ("token = \"paymentToken\"", "token = \"cardNumber\"", "tilli.fields"),
        ("token = \"paymentToken\"", "token = \"t\"\nemail = \"t\"", "tilli.fields"),
        ("status = \"/status\"\nclient", "status = \"status\"\nclient", "tilli.response.status"),
        ("amount = \"/amount\"\nmessage", "amount = \"\"\nmessage", "tilli.response.amount"),
        ("transaction = \"/transactionId\"\nstatus", "status", "transaction"),
        ("PENDING = \"pending\"", "PENDING = \"waiting\"", "PENDING"),
        ("refused_http = [400", "refused_http = [500", "tilli.refused_http"),
        ("refused_http = [400", "refused_http = [401", "tilli.refused_http"),
        ("method = \"GET\"", "method = \"LOOK\"", "tilli.query.method"),
        ("status/{client_request_id}", "status/{amount}", "tilli.query.path"),
        ("amount = \"{amount}\"", "amount = \"{cents}\"", "tilli.refund.body.amount"),
        ("path = \"/payments/void\"", "path = \"/void it\"", "tilli.void.path"),
        ("hmac-sha256-hex", "md5", "algorithm"),
        ("secret = \"sandbox-webhook-secret\"", "secret = \"short\"", "tilli.webhook.secret"),
        ("header = \"X-Gps-Signature\"", "header = \"X Gps\"", "tilli.webhook.header"),
        ("id = \"/eventId\"", "id = \"eventId\"", "tilli.webhook.id"),
    ] {
        let error = changed(&whole, from, to).expect_err(to);
        assert!(error.contains(named), "'{to}' should name {named}: {error}");
        assert!(!error.contains("sandbox-webhook-secret") && !error.contains("sandbox-key"), "{error}");
    }
    let bare = ["card = \"M-CARD-1\"\n", "ica = \"M-ICA-1\"\n", "cbp = \"M-CBP-1\"\n"]
        .iter()
        .fold(whole.clone(), |text, merchant| text.replace(merchant, ""));
    assert!(changed(&bare, "", "").expect_err("no merchants").contains("tilli.merchants"));
}

#[tokio::test]
async fn a_gateway_with_other_names_and_amounts_is_only_another_configuration() {
    for (format, expected) in [("text", "\"1.99\""), ("number", "1.99"), ("cents", "199")] {
        let desk = Desk::open().await;
        let whole = format!("amounts = \"{format}\"\n{}", desk.sandbox.client_toml());
        let whole = whole.replace("[fields]", "[fields]\namount = \"total\"\nsave_card = \"keep\"");
        let client = Client::new(toml::from_str(&whole).unwrap()).unwrap();
        // The sandbox misses its own names: what matters is what came.
        let _ = client.collect(&super::payment(199, desk.card("4111111111111111"))).await;
        let seen = desk.sim("requests", serde_json::json!({}));
        let fields = format!("\"total\":{expected}");
        let last = seen.as_array().unwrap().last().unwrap()["body"].as_str().unwrap().to_owned();
        assert!(last.contains(&fields) && last.contains("\"keep\":\"N\"") && !last.contains("isSavecard"), "{last}");
    }
}
