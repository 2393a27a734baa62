use super::{Desk, payment, text};
use fiat::tilli::{ClientRequestId, Collect, Config, Merchant, Refund, Token};
use fiat::{Error, text::Text};
use serde_json::json;
use std::io::Write;
use std::sync::{Arc, Mutex};
use tracing_subscriber::fmt::MakeWriter;
use uuid::Uuid;

const CARD: &str = "4111111111111111";

/// Everything that is logged, at every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[test]
fn what_may_be_the_number_of_a_card_is_refused_everywhere() {
    for card in [CARD, "4111 1111 1111 1111", "3782-822463-10005", "378282246310005"] {
        let error = Token::parse(card).unwrap_err();
        assert!(matches!(error, Error::CardNumber { .. }) && !error.to_string().contains(card), "{error}");
        for around in ["", "card ", "x"] {
            for after in ["", " 12/29", "y"] {
                let value = format!("{around}{card}{after}");
                // In pieces, and with letters up to it, it is only caught where it stands alone.
                if card.contains([' ', '-']) && (around == "x" || after == "y") {
                    continue;
                }
                let error = Text::parse("email", &value).unwrap_err();
                assert!(matches!(&error, Error::CardNumber { field } if field == "email"), "{value}: {error}");
                assert!(!format!("{error:?}").contains("1111"), "{error:?}");
            }
        }
    }
    for fine in ["C-1001", "ada@example.com", "5185550100", "1 Main Street", "12207-1234"] {
        Text::parse("text", fine).unwrap();
    }
}

#[tokio::test]
async fn no_card_number_and_no_secret_gets_into_a_log_a_request_or_a_debug_line() {
    let log = Log::default();
    let subscriber =
        tracing_subscriber::fmt().with_writer(log.clone()).with_max_level(tracing::Level::TRACE).with_ansi(false);
    let guard = tracing::subscriber::set_default(subscriber.finish());

    let desk = Desk::open().await;
    let mut shown = String::new();
    let asked = payment(15_000, desk.card(CARD));
    let charge = desk.client.collect(&asked).await.unwrap();
    let lost = payment(66_601, desk.card(CARD));
    let error = desk.client.collect(&lost).await.unwrap_err();
    shown += &format!("{asked:?} {charge:?} {error} {error:?} {:?}", desk.client);
    shown += &format!("{:?}", desk.client.query(Merchant::Card, lost.id, None).await);
    let check = payment(15_000, desk.check("30733816"));
    shown += &format!("{:?}", desk.client.collect(&check).await);
    let id = ClientRequestId(Uuid::new_v4());
    let refund =
        Refund { id, merchant: Merchant::Card, transaction: charge.transaction.unwrap(), amount: asked.amount };
    shown += &format!("{:?}", desk.client.refund(&refund).await);
    let config: Config = toml::from_str(&desk.sandbox.client_toml()).unwrap();
    shown += &format!("{config:?}");
    shown += &format!("{:?}", desk.client.event(Some("00"), b"{}"));
    drop(guard);

    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains(&asked.id.to_string()), "what happened is in the log: {logged}");
    let sent = desk.sim("requests", json!({})).to_string();
    for (where_to, said) in [("log", &logged), ("debug", &shown), ("requests", &sent)] {
        assert!(!said.contains(CARD) && !said.contains("30733816"), "a number in the {where_to}: {said}");
        for never in ["cardNumber", "cvv", "accountNumber"] {
            assert!(!said.contains(never), "{never} in the {where_to}");
        }
    }
    let tokens = [asked, lost, check].map(|asked: Collect| match asked.source {
        fiat::tilli::Source::Card(token) | fiat::tilli::Source::Check { token, .. } => token.expose().to_owned(),
    });
    for (where_to, said) in [("log", &logged), ("debug", &shown)] {
        for secret in ["sandbox-key-of-the-merchant", "sandbox-webhook-secret", "GPS-TOKEN", "ada@example.com", "Ada"] {
            assert!(!said.contains(secret), "{secret} in the {where_to}: {said}");
        }
        for token in &tokens {
            assert!(!said.contains(token.as_str()), "a token in the {where_to}: {said}");
        }
    }
    assert_eq!(format!("{:?}", text("Ada")), "Text(…)");
}
