//! A card and a bank account, from the customer's wish to minted, settled, and in the books to the cent: the gateway's and the
//! bank's sandbox over HTTP, treasury and attestors as processes of their own, real gates on Anvil.

use alloy_primitives::U256;
use domain::ledger::AccountKind;
use domain::money::Units;
use domain::receipt::{FiatRail, ReceiptState, RiskTier};
use monay::config::MintKind;
use monay::services::Service;
use monay::stack::{Cast, Options, Stack, TENANT};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};
use store::banks::Link;
use store::fault::{CRASH_VARIABLE, Point};
use store::receipts::NewReceipt;
use uuid::Uuid;

/// 150 dollars.
const AMOUNT: Units = Units(150_000_000);

/// 2.50 dollars.
const FEE: Units = Units(2_500_000);

/// What nothing survives.
const SIGKILL: i32 = 9;

const PATIENCE: Duration = Duration::from_secs(60);

struct Shop {
    stack: Stack,
    user: String,
}

struct Bill {
    id: String,
    payee: alloy_primitives::Address,
}

impl Shop {
    async fn open() -> Self {
        let program = Some(env!("CARGO_BIN_EXE_monay").into());
        let options = Options { mint: Some(MintKind::Mint), fiat: true, program, ..Options::default() };
        let stack = Stack::start(options).await.unwrap();
        for service in Service::ALL {
            stack.run(service, &[]).await.unwrap();
        }
        let user = "user-jane".to_owned();
        sqlx::query("INSERT INTO users (id, tenant_id, email) VALUES ($1, $2, 'jane@email.com')")
            .bind(&user)
            .bind(TENANT)
            .execute(stack.store.pool())
            .await
            .unwrap();
        Self { stack, user }
    }

    async fn bill(&self) -> Bill {
        let body = json!({"tenant_id": TENANT, "amount": 150, "currency": "USD", "description": "Electric Service",
            "wallet_mode": "ephemeral", "wallet_ttl": 31_536_000});
        let url = format!("{}/api/invoices/create", self.stack.api_url());
        let request = reqwest::Client::new().post(url).bearer_auth(&self.stack.api_key).json(&body);
        let answer: Value = request.send().await.unwrap().error_for_status().unwrap().json().await.unwrap();
        Bill { id: answer["invoice"]["id"].as_str().unwrap().to_owned(), payee: Cast::address(Cast::ENTERPRISE) }
    }

    /// What a hosted field gives for a card or an account.
    fn token(&self, typed: Value) -> String {
        let said = self.stack.fiat().unwrap().gateway.sim("tokenize", &typed).unwrap();
        said["token"].as_str().unwrap().to_owned()
    }

    /// The customer's wish, as the API writes it down.
    async fn wish(&self, bill: &Bill, rail: FiatRail, token: &str, amount: Units, fee: Units) -> Uuid {
        let mut tx = self.stack.store.begin().await.unwrap();
        let method = if rail == FiatRail::Card { "debit_card" } else { "ach" };
        let link = Link {
            tenant_id: TENANT.to_owned(),
            user_id: Some(self.user.clone()),
            enterprise_id: None,
            method: method.to_owned(),
            provider: "tilli".to_owned(),
            token: token.to_owned(),
            last_four: "1111".to_owned(),
            institution: None,
            holder: Some("Jane Smith".to_owned()),
            state: "active".to_owned(),
        };
        let link = store::banks::link(&mut tx, &link).await.unwrap();
        let details = json!({"first_name": "Jane", "last_name": "Smith", "address_one": "1 Main Street", "city": "Springfield",
            "state": "IL", "zip": "62701"});
        sqlx::query("UPDATE bank_links SET details = $2 WHERE id = $1")
            .bind(link)
            .bind(details)
            .execute(&mut *tx)
            .await
            .unwrap();
        let request = Uuid::new_v4().to_string();
        let new = NewReceipt {
            tenant: TENANT,
            user: Some(&self.user),
            invoice: Some(&bill.id),
            deposit: alloy_primitives::keccak256(&request),
            rail,
            risk: RiskTier::Normal,
            provider: "tilli",
            request: &request,
            bank: monay::stack::BANK,
            link: Some(link),
            principal: amount,
            fee,
        };
        let id = store::receipts::create(&mut tx, &new).await.unwrap();
        tx.commit().await.unwrap();
        id
    }

    async fn state(&self, receipt: Uuid) -> ReceiptState {
        let mut db = self.stack.store.begin().await.unwrap();
        store::receipts::get(&mut db, receipt, false).await.unwrap().receipt.state
    }

    async fn until(&self, receipt: Uuid, state: ReceiptState) {
        let since = Instant::now();
        loop {
            let now = self.state(receipt).await;
            if now == state {
                return;
            }
            let logs = || {
                let log = std::fs::read_to_string(self.stack.log_file(Service::Treasury)).unwrap_or_default();
                let attestor = std::fs::read_to_string(self.stack.attestor_file(0, "out")).unwrap_or_default();
                let last = |text: &str| text.lines().rev().take(12).collect::<Vec<_>>().join("\n");
                format!("treasury:\n{}\nattestor:\n{}", last(&log), last(&attestor))
            };
            assert!(since.elapsed() < PATIENCE, "{receipt} is {now} and not {state}\n{}", logs());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Balances by account, each on its normal side above zero; accounts at zero left out.
    async fn books(&self) -> BTreeMap<String, i128> {
        let mut db = self.stack.store.begin().await.unwrap();
        assert_eq!(store::ledger::audit(&mut db).await.unwrap(), Vec::<String>::new());
        let balances = store::ledger::balances(&mut db).await.unwrap();
        let debit = |kind: AccountKind| kind.rule().normal == domain::ledger::Side::Debit;
        let signed = balances.into_iter().filter(|(_, balance)| *balance != 0);
        signed
            .map(|(account, balance)| (account.to_string(), if debit(account.kind) { balance } else { -balance }))
            .collect()
    }

    async fn until_books(&self, account: &str, units: i128) {
        let since = Instant::now();
        loop {
            let books = self.books().await;
            if books.get(account).copied().unwrap_or(0) == units {
                return;
            }
            assert!(since.elapsed() < PATIENCE, "{account} is not {units}: {books:#?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn paid(&self, bill: &Bill) -> U256 {
        let token = self.stack.chain().unwrap().token;
        test_chain::contracts::balance_of(&self.stack.node, token, bill.payee).await.unwrap()
    }

    /// How often the gateway has charged somebody under this receipt's number.
    async fn charges(&self, receipt: Uuid) -> usize {
        let mut db = self.stack.store.begin().await.unwrap();
        let request = store::receipts::get(&mut db, receipt, false).await.unwrap().request;
        let said = self.stack.fiat().unwrap().gateway.sim("payment", &json!({"clientRequestId": request})).unwrap();
        said["payments"].as_array().or(said.as_array()).map_or(0, Vec::len)
    }

    fn advance(&self, banking_days: u32) {
        self.stack.fiat().unwrap().gateway.sim("advance", &json!({"bankingDays": banking_days})).unwrap();
    }
}

const DOLLAR: i128 = 1_000_000;

/// The specification's story: 150 for the bill, 2.50 for us; minted at once because own capital stands in; and when the gateway has
/// paid out, own capital is free again.
#[tokio::test]
async fn a_card_pays_a_bill_at_once_and_the_books_follow_to_the_cent() {
    let shop = Shop::open().await;
    shop.stack.run_fiat().await.unwrap();
    let bill = shop.bill().await;
    let before = shop.paid(&bill).await;
    let card = shop.token(json!({"cardNumber": "4111111111111111"}));
    let receipt = shop.wish(&bill, FiatRail::Card, &card, AMOUNT, FEE).await;
    shop.until(receipt, ReceiptState::Minted).await;
    assert_eq!(shop.paid(&bill).await - before, U256::from(AMOUNT.0), "the enterprise has it on chain");
    let books = shop.books().await;
    let token = format!("token_liability:monay/{}", shop.stack.chain().unwrap().id);
    assert_eq!(books[&token], 150 * DOLLAR);
    assert_eq!(books["reserve:main"], 150 * DOLLAR, "the reserve gets 150.00");
    assert_eq!(books["fees"], 5 * DOLLAR / 2, "and we get 2.50");
    assert_eq!(books["gateway_receivable:tilli"], 305 * DOLLAR / 2, "which the gateway has collected");
    assert_eq!(books["loss_reserve:main"], 9_850 * DOLLAR, "own capital stands in until it is paid out");

    // The gateway settles and pays out, less its own fee, on the days on which it does.
    shop.advance(3);
    shop.until_books("loss_reserve:main", 10_000 * DOLLAR).await;
    let books = shop.books().await;
    assert_eq!((books[&token], books["reserve:main"]), (150 * DOLLAR, 150 * DOLLAR));
    assert_eq!(books.get("gateway_receivable:tilli"), None, "it owes nothing any more: {books:#?}");
    assert_eq!(shop.charges(receipt).await, 1);
}

/// A debit is held until nothing is likely to come back, and minted then.
#[tokio::test]
async fn a_bank_debit_is_minted_when_the_hold_is_over_and_not_before() {
    let shop = Shop::open().await;
    shop.stack.run_fiat().await.unwrap();
    let bill = shop.bill().await;
    let account = shop.token(json!({"routingNumber": "021300912", "accountNumber": "30733816"}));
    let receipt = shop.wish(&bill, FiatRail::Ach, &account, AMOUNT, Units(0)).await;
    shop.until(receipt, ReceiptState::Submitted).await;
    shop.advance(2);
    shop.until(receipt, ReceiptState::Held).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(shop.state(receipt).await, ReceiptState::Held);
    shop.advance(5);
    shop.until(receipt, ReceiptState::Minted).await;
    let books = shop.books().await;
    assert_eq!((books["reserve:main"], books["loss_reserve:main"]), (150 * DOLLAR, 10_000 * DOLLAR));
}

/// Killed between storing that it charges and charging, and between charging and noting it: the card is charged once.
#[tokio::test]
async fn a_treasury_that_is_killed_around_a_charge_has_charged_once() {
    let shop = Shop::open().await;
    shop.stack.run_fiat().await.unwrap();
    for point in [Point::AfterCommitBeforeCollect, Point::AfterCollectBeforeCommit] {
        shop.stack.kill(Service::Treasury).await;
        let name = format!("{point:?}");
        shop.stack.run(Service::Treasury, &[(CRASH_VARIABLE, &name)]).await.unwrap();
        let bill = shop.bill().await;
        let card = shop.token(json!({"cardNumber": "4111111111111111"}));
        let receipt = shop.wish(&bill, FiatRail::Card, &card, AMOUNT, FEE).await;
        let ended = shop.stack.ended(Service::Treasury, PATIENCE).await.unwrap();
        assert_eq!(ended.signal(), Some(SIGKILL));
        shop.stack.run(Service::Treasury, &[]).await.unwrap();
        shop.until(receipt, ReceiptState::Minted).await;
        assert_eq!(shop.charges(receipt).await, 1, "{point:?}");
    }
}

/// The gateway charges and does not say so. Nobody knows, until it is asked: nothing is sent again.
#[tokio::test]
async fn a_charge_whose_answer_is_lost_is_asked_for_and_not_repeated() {
    let shop = Shop::open().await;
    shop.stack.run_fiat().await.unwrap();
    let bill = shop.bill().await;
    let fault = json!({"path": "/card/payments", "fault": "error_after", "times": 1});
    shop.stack.fiat().unwrap().gateway.sim("fault", &fault).unwrap();
    let card = shop.token(json!({"cardNumber": "4111111111111111"}));
    let receipt = shop.wish(&bill, FiatRail::Card, &card, AMOUNT, FEE).await;
    shop.until(receipt, ReceiptState::Minted).await;
    assert_eq!(shop.charges(receipt).await, 1);
}

/// A card that says no: nothing is minted and nothing is booked.
#[tokio::test]
async fn a_card_that_is_declined_leaves_nothing_behind() {
    let shop = Shop::open().await;
    shop.stack.run_fiat().await.unwrap();
    let before = shop.books().await;
    let bill = shop.bill().await;
    let card = shop.token(json!({"cardNumber": "4000000000000002"}));
    let receipt = shop.wish(&bill, FiatRail::Card, &card, AMOUNT, FEE).await;
    shop.until(receipt, ReceiptState::Declined).await;
    assert_eq!(shop.books().await, before);
    assert_eq!(shop.paid(&bill).await, U256::ZERO);
}

/// The customer disputes after the tokens are out: the reserve is filled up from own capital, visibly, and the payee keeps his.
#[tokio::test]
async fn a_chargeback_after_the_mint_is_a_named_deficit_that_own_capital_cures() {
    let shop = Shop::open().await;
    shop.stack.run_fiat().await.unwrap();
    let bill = shop.bill().await;
    let card = shop.token(json!({"cardNumber": "4000000000000259"}));
    let receipt = shop.wish(&bill, FiatRail::Card, &card, AMOUNT, FEE).await;
    shop.until(receipt, ReceiptState::Minted).await;
    shop.advance(3);
    shop.until_books("loss_reserve:main", 10_000 * DOLLAR).await;
    shop.stack.fiat().unwrap().gateway.sim("advance", &json!({"days": 14})).unwrap();
    shop.until(receipt, ReceiptState::ChargedBack).await;
    shop.until_books("loss_reserve:main", 9_850 * DOLLAR).await;
    let books = shop.books().await;
    assert_eq!(books["reserve:main"], 150 * DOLLAR, "tokens are backed one to one again: {books:#?}");
    assert_eq!(books.get("reserve_deficit"), None, "{books:#?}");
    assert_eq!(shop.paid(&bill).await, U256::from(AMOUNT.0), "the payee keeps what he was paid");
}
