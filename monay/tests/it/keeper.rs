//! What is due is done once; what is not due is not done.

use crate::net::{AMOUNT, Net, TTL, Wish};
use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{Address, U256};
use alloy_sol_types::{SolCall, sol};
use domain::project::{GRACE_SECONDS, REFUND_WAIT_SECONDS};
use monay::stack::Cast;

sol! {
    function pause();
    function unpause();
}

fn words(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(kind, state)| ((*kind).to_owned(), (*state).to_owned())).collect()
}

#[tokio::test]
async fn an_exact_payment_reaches_the_payee_and_everything_says_so_in_its_time() {
    let net = Net::start().await;
    let issued = net.issue(Wish::default()).await;
    let before = net.balance(issued.terms.payee).await;
    net.transfer(issued.purse, AMOUNT).await;
    net.mine().await;
    net.index().await;
    assert_eq!(net.statuses(&issued).await, ("pending_payment".into(), "payment_in_progress".into()));
    assert_eq!(net.intents(&issued).await, words(&[("settle", "accepted")]));

    assert!(net.keeper.execute().await.unwrap());
    assert_eq!(net.intents(&issued).await, words(&[("settle", "broadcast")]));
    net.mine().await;
    net.index().await;
    assert_eq!(net.statuses(&issued).await, ("paid".into(), "payment_complete".into()));
    assert_eq!(net.intents(&issued).await, words(&[("settle", "seen")]));
    net.mine().await;
    net.index().await;
    assert_eq!(net.statuses(&issued).await.1, "destroying", "safe, not final");
    net.mine().await;
    net.index().await;
    assert_eq!(net.statuses(&issued).await, ("paid".into(), "destroyed".into()));
    assert_eq!(net.intents(&issued).await, words(&[("settle", "final")]));
    net.keeper.watch().await.unwrap();
    assert_eq!(net.count("SELECT count(*) FROM attempts WHERE state = 'final'").await, 1);
    assert!(!net.keeper.execute().await.unwrap(), "nothing is left to do");

    assert_eq!(net.balance(issued.terms.payee).await - before, U256::from(AMOUNT));
    assert_eq!(net.effects(&issued, 1).await.len(), 1);
    assert_eq!(net.count("SELECT count(*) FROM payments WHERE status = 'completed' AND amount = 150").await, 1);
    assert_eq!(net.count("SELECT sum(balance)::bigint FROM wallets").await, 150);
    let history = "SELECT count(*) FROM wallet_lifecycle_events WHERE event_type IN
        ('created', 'funded', 'payment_in_progress', 'payment_executed', 'destroying', 'destroyed')";
    assert_eq!(net.count(history).await, 6);
}

#[tokio::test]
async fn what_waits_together_is_settled_in_one_transaction() {
    let net = Net::start().await;
    let mut all = Vec::new();
    for _ in 0..7 {
        let issued = net.issue(Wish::default()).await;
        net.transfer(issued.purse, AMOUNT).await;
        all.push(issued);
    }
    net.mine().await;
    net.rounds().await;
    for issued in &all {
        assert_eq!(net.statuses(issued).await, ("paid".into(), "destroyed".into()));
    }
    assert_eq!(net.count("SELECT count(*) FROM attempts").await, 1);
    assert_eq!(net.balance(Cast::address(Cast::ENTERPRISE)).await, U256::from(7 * AMOUNT));
}

#[tokio::test]
async fn an_overpayment_pays_the_amount_and_sends_the_rest_back() {
    let net = Net::start().await;
    let issued = net.issue(Wish::default()).await;
    net.transfer(issued.purse, AMOUNT + 25).await;
    net.mine().await;
    net.rounds().await;
    assert_eq!(net.statuses(&issued).await, ("overpaid".into(), "destroyed".into()));
    assert_eq!(net.balance(issued.terms.payee).await, U256::from(AMOUNT));
    assert_eq!(net.balance(issued.terms.refund_to).await, U256::from(25));
}

#[tokio::test]
async fn an_underpaid_invoice_is_cancelled_at_expiry_and_every_unit_goes_back() {
    let net = Net::start().await;
    let issued = net.issue(Wish::default()).await;
    net.transfer(issued.purse, AMOUNT - 1).await;
    net.mine().await;
    net.rounds().await;
    assert_eq!(net.statuses(&issued).await, ("partially_paid".into(), "active".into()));
    net.warp(issued.expires_at).await;
    net.rounds().await;
    assert_eq!(net.statuses(&issued).await, ("expired".into(), "destroyed".into()));
    assert_eq!(net.intents(&issued).await, words(&[("cancel", "final"), ("refund", "final")]));
    assert_eq!(net.balance(issued.terms.refund_to).await, U256::from(AMOUNT - 1));
    assert_eq!(net.balance(issued.terms.payee).await, U256::ZERO);
}

#[tokio::test]
async fn nothing_is_sent_back_before_chain_time_says_so() {
    let net = Net::start().await;
    let issued = net.issue(Wish::default()).await;
    net.transfer(issued.purse, 1).await;
    net.mine().await;
    net.index().await;
    // One second before expiry, and that final.
    net.warp(issued.expires_at - 5).await;
    net.index().await;
    net.coordinator.coordinate().await.unwrap();
    assert_eq!(net.intents(&issued).await, []);
    assert_eq!(net.statuses(&issued).await.0, "partially_paid");
    // Expired, but the last block before expiry is not final yet.
    net.node().set_next_timestamp(issued.expires_at).await.unwrap();
    net.mine().await;
    net.index().await;
    net.coordinator.coordinate().await.unwrap();
    assert_eq!((net.intents(&issued).await, net.statuses(&issued).await.0), (vec![], "expired".into()));
}

#[tokio::test]
async fn an_unpaid_invoice_expires_without_a_transaction() {
    let net = Net::start().await;
    let issued = net.issue(Wish::default()).await;
    net.warp(issued.expires_at).await;
    net.rounds().await;
    assert_eq!(net.statuses(&issued).await, ("expired".into(), "destroyed".into()));
    assert_eq!(net.count("SELECT count(*) FROM attempts").await, 0);
    assert_eq!(net.view(&issued).await.wallet.destruction_reason.as_deref(), Some("ttl_expired"));
}

#[tokio::test]
async fn money_after_the_wallet_is_gone_goes_back() {
    let net = Net::start().await;
    let (paid, unpaid) = (net.issue(Wish::default()).await, net.issue(Wish::default()).await);
    net.transfer(paid.purse, AMOUNT).await;
    net.mine().await;
    net.rounds().await;
    net.warp(unpaid.expires_at).await;
    net.rounds().await;
    for issued in [&paid, &unpaid] {
        assert_eq!(net.statuses(issued).await.1, "destroyed");
        net.transfer(issued.purse, 40).await;
    }
    net.mine().await;
    net.rounds().await;
    assert_eq!(net.balance(Cast::address(Cast::UNCLAIMED)).await, U256::from(80));
    assert_eq!(net.statuses(&paid).await, ("overpaid".into(), "destroyed".into()));
    assert_eq!(net.statuses(&unpaid).await, ("expired".into(), "destroyed".into()));
    assert!(net.view(&unpaid).await.exceptions.contains(&"paid_late".to_owned()));
    assert_eq!(net.view(&unpaid).await.wallet.balance, "0");
}

#[tokio::test]
async fn money_that_came_on_time_is_settled_although_the_keeper_was_away_until_after_expiry() {
    let net = Net::start().await;
    let issued = net.issue(Wish::default()).await;
    net.transfer(issued.purse, AMOUNT).await;
    net.mine().await;
    net.warp(issued.expires_at + TTL).await;
    net.rounds().await;
    assert_eq!(net.statuses(&issued).await, ("paid".into(), "destroyed".into()));
    assert_eq!(net.balance(issued.terms.payee).await, U256::from(AMOUNT));
}

#[tokio::test]
async fn with_everybody_gone_until_the_terms_close_the_money_still_comes_back() {
    let net = Net::start().await;
    let issued = net.issue(Wish::default()).await;
    net.transfer(issued.purse, AMOUNT).await;
    net.mine().await;
    net.warp(issued.expires_at + GRACE_SECONDS).await;
    net.rounds().await;
    assert_eq!(net.balance(issued.terms.refund_to).await, U256::from(AMOUNT));
    assert_eq!(net.statuses(&issued).await, ("expired".into(), "destroyed".into()));
}

#[tokio::test]
async fn where_a_refund_key_decides_nothing_is_sent_back_for_thirty_days() {
    let net = Net::start().await;
    let issued = net.issue(Wish { refund_key: Some(Address::repeat_byte(5)), ..Wish::default() }).await;
    net.transfer(issued.purse, AMOUNT + 9).await;
    net.mine().await;
    net.rounds().await;
    assert_eq!(net.statuses(&issued).await, ("overpaid".into(), "destroying".into()));
    assert!(net.view(&issued).await.exceptions.contains(&"refund_due".to_owned()));
    let paid_at = u64::try_from(net.view(&issued).await.paid_at.unwrap().unix_timestamp()).unwrap();
    net.warp(paid_at + REFUND_WAIT_SECONDS).await;
    net.rounds().await;
    assert_eq!(net.balance(issued.terms.refund_to).await, U256::from(9));
    assert_eq!(net.statuses(&issued).await, ("overpaid".into(), "destroyed".into()));
}

#[tokio::test]
async fn partial_payments_are_passed_on_as_they_come_where_the_terms_say_so() {
    let net = Net::start().await;
    let issued = net.issue(Wish { partials: true, ..Wish::default() }).await;
    for (part, paid) in [(50_000_000, 50_000_000), (99_999_999, 149_999_999), (1, AMOUNT)] {
        net.transfer(issued.purse, part).await;
        net.mine().await;
        net.rounds().await;
        assert_eq!(net.balance(issued.terms.payee).await, U256::from(paid));
        assert_eq!(net.view(&issued).await.paid, paid);
    }
    assert_eq!(net.statuses(&issued).await, ("paid".into(), "destroyed".into()));
    assert_eq!(net.effects(&issued, 1).await.len(), 3);
    assert_eq!(net.count("SELECT count(*) FROM payments").await, 3);
}

#[tokio::test]
async fn manual_settlement_waits_for_the_word_and_then_pays() {
    let net = Net::start().await;
    let issued = net.issue(Wish { manual: true, ..Wish::default() }).await;
    net.transfer(issued.purse, AMOUNT).await;
    net.mine().await;
    net.rounds().await;
    assert_eq!(net.statuses(&issued).await, ("pending_payment".into(), "funded".into()));
    let mut tx = net.stack.store.begin().await.unwrap();
    store::invoices::request_pay(&mut tx, &issued.id).await.unwrap();
    store::projection::refresh(&mut tx, issued.terms.hash()).await.unwrap();
    tx.commit().await.unwrap();
    net.rounds().await;
    assert_eq!(net.statuses(&issued).await, ("paid".into(), "destroyed".into()));
}

/// A token that is paused: the settlement would revert, is put off with the reason, and happens when it can.
#[tokio::test]
async fn a_settlement_that_cannot_be_made_now_is_made_later_and_blocks_nobody() {
    let net = Net::start().await;
    let issued = net.issue(Wish::default()).await;
    net.transfer(issued.purse, AMOUNT).await;
    net.mine().await;
    net.send(Cast::DEPLOYER, net.token(), pauseCall {}.abi_encode()).await;
    net.mine().await;
    net.index().await;
    net.keeper.execute().await.unwrap();
    assert_eq!(net.intents(&issued).await, words(&[("settle", "accepted")]));
    assert_eq!(net.count("SELECT count(*) FROM attempts").await, 0, "no nonce is spent on what would revert");
    assert_eq!(
        net.count("SELECT count(*) FROM intents WHERE deferrals = 1 AND tries = 0 AND last_error IS NOT NULL").await,
        1
    );
    net.send(Cast::DEPLOYER, net.token(), unpauseCall {}.abi_encode()).await;
    net.mine().await;
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    net.rounds().await;
    assert_eq!(net.statuses(&issued).await, ("paid".into(), "destroyed".into()));
}

/// `fault:K22`: a block with a settlement is taken back. The same bytes go out again under the same nonce.
#[tokio::test]
async fn a_reorged_settlement_is_sent_again_byte_for_byte_and_counts_once() {
    let net = Net::start().await;
    let issued = net.issue(Wish::default()).await;
    net.transfer(issued.purse, AMOUNT).await;
    net.mine().await;
    net.node().mine(3).await.unwrap();
    net.index().await;
    net.keeper.execute().await.unwrap();
    let (before, _) = net.node().block("latest").await.unwrap();
    net.mine().await;
    net.index().await;
    assert_eq!(net.statuses(&issued).await.0, "paid");

    net.node().rpc("anvil_rollback", serde_json::json!([1])).await.unwrap();
    assert_eq!(net.node().block("latest").await.unwrap().0, before);
    net.node().rpc("anvil_dropAllTransactions", serde_json::json!([])).await.unwrap();
    net.transfer(Address::repeat_byte(1), 1).await;
    net.node().mine(2).await.unwrap();
    net.index().await;
    assert_eq!(net.statuses(&issued).await.0, "pending_payment");
    assert_eq!(net.intents(&issued).await, words(&[("settle", "broadcast")]));
    assert!(net.view(&issued).await.exceptions.contains(&"payment_reversed".to_owned()));

    net.keeper.watch().await.unwrap();
    net.mine().await;
    net.rounds().await;
    assert_eq!(net.statuses(&issued).await, ("paid".into(), "destroyed".into()));
    assert_eq!(net.count("SELECT count(*) FROM attempts").await, 1, "no second transaction was signed");
    assert_eq!(net.effects(&issued, 1).await.len(), 1);
    assert_eq!(net.balance(issued.terms.payee).await, U256::from(AMOUNT));
}

#[tokio::test]
async fn two_keepers_on_one_database_do_each_thing_once() {
    let net = Net::start().await;
    let twin = net.keeper.clone();
    let mut all = Vec::new();
    for _ in 0..20 {
        let issued = net.issue(Wish::default()).await;
        net.transfer(issued.purse, AMOUNT).await;
        all.push(issued);
        if all.len() % 5 == 0 {
            net.mine().await;
            net.index().await;
            let (one, two) = tokio::join!(net.keeper.execute(), twin.execute());
            assert!(one.unwrap() || two.unwrap());
        }
    }
    net.rounds().await;
    for issued in &all {
        assert_eq!(net.statuses(issued).await, ("paid".into(), "destroyed".into()));
        assert_eq!(net.effects(issued, 1).await.len(), 1);
    }
    assert_eq!(net.violations(&all.iter().collect::<Vec<_>>()).await, [""; 0]);
}

/// A key that settles cannot cancel, and the other way round: the gate sees to it, and each process takes its own kind
/// of intent only.
#[tokio::test]
async fn settling_and_cancelling_are_two_duties_with_two_keys() {
    let net = Net::start().await;
    let (funded, short) = (net.issue(Wish::default()).await, net.issue(Wish::default()).await);
    net.transfer(short.purse, 1).await;
    net.mine().await;
    net.warp(short.expires_at).await;
    net.index().await;
    net.coordinator.coordinate().await.unwrap();
    assert_eq!(net.intents(&short).await, words(&[("cancel", "accepted")]));
    assert!(!net.keeper.execute().await.unwrap(), "the settling duty leaves a cancel alone");
    assert!(!net.keeper.coordinate().await.unwrap(), "and does not look at the time");
    let cancel = terms::abi::ISettlementGate::cancelCall { terms: (&funded.terms).into() };
    let gate = net.stack.chain().unwrap().gate;
    let from_keeper = serde_json::json!([{"from": Cast::address(Cast::KEEPER), "to": gate,
        "data": alloy_primitives::hex::encode_prefixed(cancel.abi_encode())}, "latest"]);
    let refused = net.node().rpc("eth_call", from_keeper).await.unwrap_err().to_string();
    assert!(refused.contains("revert"), "{refused}");
    assert!(net.coordinator.execute().await.unwrap());
    net.rounds().await;
    assert_eq!(net.statuses(&short).await, ("expired".into(), "destroyed".into()));
}

/// A token that was sent by mistake goes back when somebody asks, and only then: a hostile token must not spend our gas.
#[tokio::test]
async fn a_foreign_token_goes_back_when_it_is_asked_for() {
    let net = Net::start().await;
    let issued = net.issue(Wish::default()).await;
    let owner = PrivateKeySigner::from_bytes(&Cast::key(Cast::STRANGER)).unwrap();
    let customer = Cast::address(Cast::CUSTOMER);
    let other = test_chain::contracts::deploy(net.node(), &owner, &[(customer, 70)]).await.unwrap().token;
    let call = terms::abi::IERC20::transferCall { to: issued.purse, value: U256::from(70) };
    net.send(Cast::CUSTOMER, other, call.abi_encode()).await;
    net.mine().await;
    net.rounds().await;
    assert_eq!(net.intents(&issued).await, [], "nobody has asked");
    let mut tx = net.stack.store.begin().await.unwrap();
    let asked =
        store::orders::refund(&mut tx, monay::stack::TENANT, &issued.terms.clone().into(), other.into()).await.unwrap();
    let again =
        store::orders::refund(&mut tx, monay::stack::TENANT, &issued.terms.clone().into(), other.into()).await.unwrap();
    store::projection::refresh(&mut tx, issued.terms.hash()).await.unwrap();
    tx.commit().await.unwrap();
    assert!(asked.news && !again.news && asked.id == again.id, "asking twice is asking once");
    net.rounds().await;
    assert_eq!(net.intents(&issued).await, words(&[("refund", "final")]));
    let back = test_chain::contracts::balance_of(net.node(), other, issued.terms.refund_to).await.unwrap();
    assert_eq!(back, U256::from(70));
    assert_eq!(net.statuses(&issued).await, ("pending_payment".into(), "active".into()), "the invoice still waits");
}

/// An order that was not carried out before its deadline can be given again; before that it stands.
#[tokio::test]
async fn an_order_stands_until_its_deadline_and_can_then_be_given_again() {
    use alloy::signers::SignerSync;
    use alloy_sol_types::{SolStruct, eip712_domain};
    let net = Net::start().await;
    let key = PrivateKeySigner::from_bytes(&Cast::key(Cast::STRANGER)).unwrap();
    let issued = net.issue(Wish { refund_key: Some(key.address()), ..Wish::default() }).await;
    net.transfer(issued.purse, AMOUNT + 9).await;
    net.mine().await;
    net.rounds().await;
    let domain =
        eip712_domain! { name: "Monay InvoiceEscrow", version: "1", chain_id: 8453, verifying_contract: net.escrow(), };
    let now = net.chain_now().await;
    let give = async |to: Address, nonce: u64, deadline: u64| {
        let order = terms::abi::RefundOrder {
            termsHash: issued.terms.hash(),
            token: net.token(),
            to,
            nonce: U256::from(nonce),
            deadline: U256::from(deadline),
        };
        let signature = key.sign_hash_sync(&order.eip712_signing_hash(&domain)).unwrap().as_bytes();
        let mut tx = net.stack.store.begin().await.unwrap();
        let word = serde_json::json!({"by": "test"});
        let tenant = monay::stack::TENANT;
        let asked = store::orders::order(&mut tx, tenant, &issued.terms.clone().into(), &order, &signature, &word)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        asked.news
    };
    let (first, second) = (Address::repeat_byte(0xa1), Address::repeat_byte(0xa2));
    assert!(give(first, 1, now + 100).await);
    assert!(!give(second, 2, now + 500).await, "the first one stands");
    net.warp(now + 101).await;
    net.index().await;
    net.keeper.execute().await.unwrap();
    assert_eq!(net.count("SELECT count(*) FROM attempts").await, 1, "nothing is sent for an order that is over");
    assert!(give(second, 3, now + 1_000).await);
    net.rounds().await;
    assert_eq!((net.balance(first).await, net.balance(second).await), (U256::ZERO, U256::from(9)));
    assert_eq!(net.statuses(&issued).await, ("overpaid".into(), "destroyed".into()));
    assert_eq!(net.count("SELECT count(*) FROM refund_orders").await, 2, "both words are kept");
}

#[tokio::test]
async fn about_one_invoice_no_more_can_be_asked_for_than_the_limit() {
    let net = Net::start().await;
    let issued = net.issue(Wish::default()).await;
    let mut tx = net.stack.store.begin().await.unwrap();
    for at in 0..=store::orders::MAX_ASKED {
        let token = Address::left_padding_from(&(at + 1).to_be_bytes());
        let asked =
            store::orders::refund(&mut tx, monay::stack::TENANT, &issued.terms.clone().into(), token.into()).await;
        match asked {
            Ok(asked) => assert!(asked.news && at < store::orders::MAX_ASKED),
            Err(error) => assert!(matches!(error, store::Error::TooManyAsked) && at == store::orders::MAX_ASKED),
        }
    }
}

/// Anyone who has the terms can send a wei to the address and have it sent back, for ever: the mirror remembers so many, and
/// the payment stays as certain as it was.
#[tokio::test]
async fn dust_that_is_sent_back_again_and_again_fills_no_history() {
    let net = Net::start().await;
    let issued = net.issue(Wish::default()).await;
    net.transfer(issued.purse, AMOUNT).await;
    net.mine().await;
    net.rounds().await;
    assert_eq!(net.statuses(&issued).await, ("paid".into(), "destroyed".into()));
    let refund =
        terms::abi::IInvoiceEscrow::refundCall { terms: (&issued.terms).into(), token: Address::ZERO }.abi_encode();
    for _ in 0..store::chain::MAX_FOREIGN + 5 {
        net.node().set_balance(issued.purse, U256::from(1)).await.unwrap();
        net.send(Cast::STRANGER, net.escrow(), refund.clone()).await;
        net.mine().await;
    }
    net.index().await;
    let most = i64::try_from(store::chain::MAX_FOREIGN).unwrap();
    assert_eq!(net.count("SELECT count(*) FROM escrow_events WHERE kind = 4").await, most);
    assert_eq!(net.view(&issued).await.settlement_tier.as_deref(), Some("final"));
    assert_eq!(net.statuses(&issued).await, ("paid".into(), "destroyed".into()));
}

/// A token that answers 1 to everything, and fails with less than 5,000,000 gas.
async fn gas_hog(net: &Net) -> Address {
    let at = Address::repeat_byte(0x99);
    // if (gasleft() < 5_000_000) revert(0, 0); mstore(0, 1); return(0, 32);
    let code = alloy_primitives::hex!("624c4b405a1060115760015f5260205ff35b5f5ffd");
    let set = serde_json::json!([at, alloy_primitives::hex::encode_prefixed(code)]);
    net.node().rpc("anvil_setCode", set).await.unwrap();
    at
}

/// Whoever holds a pay link may ask for a token of his own to be sent back. What that token asks for in gas must not
/// become signed bytes that no block has room for: every nonce after them would wait.
#[tokio::test]
async fn a_token_that_asks_for_any_amount_of_gas_holds_nobody_up() {
    let net = Net::start().await;
    let (attacked, honest) = (net.issue(Wish::default()).await, net.issue(Wish::default()).await);
    let hog = gas_hog(&net).await;
    let mut tx = net.stack.store.begin().await.unwrap();
    assert!(
        store::orders::refund(&mut tx, monay::stack::TENANT, &attacked.terms.clone().into(), hog.into())
            .await
            .unwrap()
            .news
    );
    tx.commit().await.unwrap();
    net.transfer(honest.purse, AMOUNT).await;
    net.mine().await;
    net.rounds().await;
    assert_eq!(net.statuses(&honest).await, ("paid".into(), "destroyed".into()));
    assert_eq!(net.intents(&attacked).await, words(&[("refund", "accepted")]), "put off, not signed");
    assert_eq!(net.count("SELECT count(*) FROM attempts").await, 1);
    assert_eq!(net.count("SELECT count(*) FROM attempts WHERE gas_limit > 1500000").await, 0);
}

/// Somebody else did what we had set out to do, and a re-org takes it back with nothing of ours on its way: it begins anew.
#[tokio::test]
async fn what_a_stranger_did_and_a_reorg_took_back_is_done_by_us() {
    let net = Net::start().await;
    let issued = net.issue(Wish::default()).await;
    net.transfer(issued.purse, AMOUNT + 7).await;
    net.mine().await;
    net.index().await;
    net.keeper.execute().await.unwrap();
    net.mine().await;
    net.node().mine(3).await.unwrap();
    net.index().await;
    assert_eq!(net.intents(&issued).await, words(&[("settle", "final"), ("refund", "accepted")]));
    let refund = terms::abi::IInvoiceEscrow::refundCall { terms: (&issued.terms).into(), token: net.token() };
    net.send(Cast::STRANGER, net.escrow(), refund.abi_encode()).await;
    net.mine().await;
    net.index().await;
    assert_eq!(net.intents(&issued).await[1], ("refund".to_owned(), "seen".to_owned()));
    net.node().rpc("anvil_rollback", serde_json::json!([1])).await.unwrap();
    net.node().rpc("anvil_dropAllTransactions", serde_json::json!([])).await.unwrap();
    net.transfer(Address::repeat_byte(1), 1).await;
    net.node().mine(2).await.unwrap();
    net.index().await;
    assert_eq!(net.intents(&issued).await[1], ("refund".to_owned(), "accepted".to_owned()));
    net.rounds().await;
    assert_eq!(net.balance(issued.terms.refund_to).await, U256::from(7));
    assert_eq!(net.statuses(&issued).await, ("overpaid".into(), "destroyed".into()));
}

/// A settler whose role was taken away puts everything off, and goes on where it was when it has the role again.
#[tokio::test]
async fn a_settler_without_its_role_loses_nothing() {
    let net = Net::start().await;
    let issued = net.issue(Wish::default()).await;
    net.let_settle(Cast::KEEPER, false).await;
    net.transfer(issued.purse, AMOUNT).await;
    net.mine().await;
    net.index().await;
    net.keeper.execute().await.unwrap();
    assert_eq!(
        net.count("SELECT count(*) FROM intents WHERE state = 'accepted' AND deferrals = 1 AND tries = 0").await,
        1
    );
    assert_eq!(net.count("SELECT count(*) FROM attempts").await, 0);
    net.let_settle(Cast::KEEPER, true).await;
    net.mine().await;
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    net.rounds().await;
    assert_eq!(net.statuses(&issued).await, ("paid".into(), "destroyed".into()));
}

/// A provider's URL holds the key to it.
#[tokio::test]
async fn what_goes_wrong_with_a_node_is_told_without_the_key_in_its_url() {
    let error = chain::evm::Evm::connect("http://127.0.0.1:1/v2/SECRET", 1, None).await.unwrap_err().to_string();
    assert!(error.contains("127.0.0.1:1") && !error.contains("SECRET"), "{error}");
}

/// A wallet that signed wrongly may sign again under the same nonce: the last word counts while nothing is on its way.
#[tokio::test]
async fn an_authorization_that_was_signed_wrongly_can_be_signed_again() {
    let net = Net::start().await;
    let issued = net.issue(Wish::default()).await;
    let signed = |signature: u8| terms::abi::Authorization {
        from: Cast::address(Cast::CUSTOMER),
        value: U256::from(AMOUNT),
        validAfter: U256::ZERO,
        validBefore: U256::from(issued.expires_at),
        nonce: alloy_primitives::B256::repeat_byte(3),
        signature: vec![signature; 65].into(),
    };
    let mut tx = net.stack.store.begin().await.unwrap();
    for (signature, news) in [(1, true), (1, false), (2, true), (2, false)] {
        let tenant = monay::stack::TENANT;
        let asked = store::orders::authorization(&mut tx, tenant, &issued.terms.clone().into(), &signed(signature))
            .await
            .unwrap();
        assert_eq!(asked.news, news, "signature {signature}");
    }
    tx.commit().await.unwrap();
    net.index().await;
    net.keeper.execute().await.unwrap();
    assert_eq!(net.intents(&issued).await, words(&[("fund", "accepted")]), "a wrong signature is put off, not sent");
    assert_eq!(net.count("SELECT count(*) FROM payment_authorizations WHERE get_byte(signature, 0) = 2").await, 1);
    assert_eq!(net.count("SELECT count(*) FROM attempts").await, 0);
}
