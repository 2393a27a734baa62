//! The second witness: the gateway's sandbox and its bank, asked by the attestor's own client.

use attestor::statement::{Providers, Receipt, Shown, Statement};
use domain::money::Units;
use domain::receipt::FiatRail;
use fiat::text::Text;
use fiat::tilli::{ClientRequestId, Collect, Config as Profile, Customer, Source, Tilli as Client, Token};
use serde_json::{Value, json};
use test_chain::sandbox::tilli::{Config as Sandbox, Tilli};
use time::OffsetDateTime;
use uuid::Uuid;

struct Desk {
    sandbox: Tilli,
    witness: Providers,
}

impl Desk {
    async fn open() -> Self {
        let sandbox = Tilli::start(Sandbox::default()).await.unwrap();
        let parsed = |text: &str| text.parse::<toml::Table>().unwrap();
        let mut file = toml::Table::new();
        file.insert("bank".to_owned(), "main".into());
        file.insert("gateway".to_owned(), parsed(&sandbox.client_toml()).into());
        let feed = |source: &str, kind: &str, format: &str| {
            let mut feed = toml::Table::new();
            feed.insert("source".to_owned(), source.into());
            feed.insert("kind".to_owned(), kind.into());
            let name = if kind == "bank" { "bank" } else { "settlement" };
            feed.insert("url".to_owned(), format!("{}/__sim/reports/{name}.csv", sandbox.url()).into());
            feed.insert("format".to_owned(), parsed(format).into());
            toml::Value::from(feed)
        };
        let feeds =
            vec![feed("tilli", "settlement", sandbox.settlement_toml()), feed("main", "bank", sandbox.bank_toml())];
        file.insert("statements".to_owned(), feeds.into());
        let witness = Providers::new(file.try_into().unwrap()).unwrap();
        Self { sandbox, witness }
    }

    fn sim(&self, action: &str, body: Value) -> Value {
        self.sandbox.sim(action, &body).unwrap()
    }

    /// Charges a card, as the treasury does; returns what our books have of it.
    async fn charged(&self, card: &str, cents: u128) -> Receipt {
        let token = self.sim("tokenize", json!({"cardNumber": card}));
        let profile: Profile = toml::from_str(&self.sandbox.client_toml()).unwrap();
        let id = Uuid::new_v4();
        let amount = Units(cents * 10_000);
        let number = Text::parse("customer", "c-1").unwrap();
        let collect = Collect {
            id: ClientRequestId(id),
            amount,
            fee: None,
            source: Source::Card(Token::parse(token["token"].as_str().unwrap()).unwrap()),
            customer: Customer { number, email: None, phone: None, postal_code: None },
            at: OffsetDateTime::UNIX_EPOCH,
        };
        let charge = Client::new(profile).unwrap().collect(&collect).await.unwrap();
        Receipt {
            id: id.to_string(),
            provider: "tilli".to_owned(),
            rail: FiatRail::Card,
            request: id.to_string(),
            reference: charge.transaction.map(|transaction| transaction.as_str().to_owned()),
            gross: amount,
        }
    }
}

const GOOD: &str = "4111111111111111";
const WHOLE: Shown = Shown::In(Units(152_500_000));

#[tokio::test]
async fn a_card_payment_shows_when_the_gateway_has_it_and_no_longer_when_it_was_taken_back() {
    let desk = Desk::open().await;
    // This card is disputed ten days after its settlement, and the dispute is won thirty days later.
    let receipt = desk.charged("4000000000001976", 15_250).await;
    assert_eq!(desk.witness.shows(&receipt).await.unwrap(), WHOLE, "approved, and in no report yet");
    for (days, says) in [(5, WHOLE), (12, Shown::TakenBack), (35, WHOLE)] {
        desk.sim("advance", json!({"days": days}));
        assert_eq!(desk.witness.shows(&receipt).await.unwrap(), says, "{days} days later");
    }
    let receipt = desk.charged(GOOD, 15_250).await;
    desk.sim("advance", json!({"bankingDays": 3}));
    assert_eq!(desk.witness.shows(&receipt).await.unwrap(), WHOLE, "in the report");
    desk.sim("return", json!({"transactionId": receipt.reference, "code": "R10"}));
    desk.sim("advance", json!({"bankingDays": 1}));
    assert_eq!(desk.witness.shows(&receipt).await.unwrap(), Shown::TakenBack);
}

/// Our books may say what they will: the gateway knows our number, or there is nothing.
#[tokio::test]
async fn what_the_gateway_does_not_have_or_has_for_less_is_not_shown() {
    let desk = Desk::open().await;
    let real = desk.charged(GOOD, 15_250).await;
    desk.sim("advance", json!({"bankingDays": 3}));
    let forged = Receipt { request: Uuid::new_v4().to_string(), ..real.clone() };
    assert_eq!(
        desk.witness.shows(&forged).await.unwrap(),
        Shown::Nothing,
        "another's payment under our gateway's number"
    );
    let declined = desk.charged("4000000000000002", 15_250).await;
    assert_eq!(desk.witness.shows(&declined).await.unwrap(), Shown::Nothing);
    let pending = desk.charged(GOOD, 66_605).await;
    assert_eq!(desk.witness.shows(&pending).await.unwrap(), Shown::Nothing);
    let less = desk.charged(GOOD, 66_603).await;
    assert_eq!(desk.witness.shows(&less).await.unwrap(), Shown::In(Units(666_020_000)));
    let elsewhere = Receipt { provider: "stripe".to_owned(), ..real.clone() };
    let said = desk.witness.shows(&elsewhere).await.unwrap_err().to_string();
    assert!(said.contains("no statement of 'stripe'"), "{said}");
    // A gateway that does not answer is no gateway that says no.
    let fresh = desk.charged(GOOD, 1_000).await;
    desk.sim("fault", json!({"path": "/payments/status", "fault": "error_before"}));
    assert!(desk.witness.shows(&fresh).await.is_err());
}

#[tokio::test]
async fn a_wire_shows_when_the_bank_has_it_under_our_number() {
    let desk = Desk::open().await;
    let receipt = Receipt {
        id: "1".to_owned(),
        provider: "main".to_owned(),
        rail: FiatRail::Wire,
        request: "MN-7".to_owned(),
        reference: None,
        gross: Units(152_500_000),
    };
    assert_eq!(desk.witness.shows(&receipt).await.unwrap(), Shown::Nothing);
    desk.sim("wire", json!({"amount": "152.50", "reference": "MN-8", "from": "ADA"}));
    assert_eq!(desk.witness.shows(&receipt).await.unwrap(), Shown::Nothing);
    desk.sim("wire", json!({"amount": "152.50", "reference": "MN-7", "from": "ADA"}));
    assert_eq!(desk.witness.shows(&receipt).await.unwrap(), WHOLE);
}
