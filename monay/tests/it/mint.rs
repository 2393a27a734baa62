//! From an attested deposit to a mint: real gates on Anvil, attestors in this process or as processes of their own, the keeper
//! as always. The receipts are written by hand: who collects money comes later.

use crate::net::{AMOUNT, Issued, Net, Wish, patient};
use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_sol_types::SolCall;
use attestor::Attestor;
use attestor::gates::EvmGate;
use attestor::log::{Entry, Log};
use attestor::statement::CsvFile;
use chain::evm::Evm;
use chain::{Action, Chain, Contracts, Simulated};
use domain::mint::{MintRefusal, MintState};
use keeper::{Duty, Keeper};
use monay::config::MintKind;
use monay::services::Service;
use monay::stack::{Cast, Options, TENANT};
use sqlx::Row;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};
use store::fault::{BUG_VARIABLE, Bug, CRASH_VARIABLE, Point};
use store::mints::{NewOrder, Ordered};
use terms::abi::{Deposit, IMintGate};
use terms::{Account, MintGate};
use test_chain::{Fault, Mining, Proxy};

/// What nothing survives.
const SIGKILL: i32 = 9;

/// What the reserve holds, and what may be minted against it: a thousand invoices.
const RESERVE: u128 = 1_000 * AMOUNT;

const SHORT_LEASE: (&str, &str) = ("MONAY__KEEPER__LEASE_MS", "500");

/// A network with gates, a reserve and a bank's statement.
struct Mint {
    net: Net,
}

type Us = Attestor<EvmGate, CsvFile>;

impl Mint {
    async fn start(mining: Mining, epoch: u64, kind: MintKind) -> Self {
        let net = Net::of(Options { mining, epoch, mint: Some(kind), ..Options::default() }).await;
        let mint = Self { net };
        std::fs::write(mint.net.stack.statement_file(), "reference,amount\n").unwrap();
        let book = "WITH bank AS (INSERT INTO bank_accounts (id, name, holds_reserve) VALUES ('main', 'Main', TRUE)),
                a AS (INSERT INTO ledger_accounts (id, kind, of) VALUES ('reserve:main', 'reserve', 'main'), ('mintable', 'mintable', '')
                    ON CONFLICT DO NOTHING),
                t AS (INSERT INTO ledger_transfers (source, reference, kind, phase) VALUES ('test', '1', 'cleared', 'single') RETURNING id)
            SELECT id FROM t";
        let mut tx = mint.net.stack.store.begin().await.unwrap();
        let id: i64 = sqlx::query(book).fetch_one(&mut *tx).await.unwrap().get("id");
        for (account, sign) in [("reserve:main", ""), ("mintable", "-")] {
            sqlx::query("INSERT INTO ledger_postings (account_id, transfer_id, amount_units) VALUES ($1, $2, $3::text::numeric)")
                .bind(account)
                .bind(id)
                .bind(format!("{sign}{RESERVE}"))
                .execute(&mut *tx)
                .await
                .unwrap();
        }
        tx.commit().await.unwrap();
        mint.attest_reserve().await;
        if mining != Mining::Manual {
            mint.net.keeper.release().await.unwrap();
        }
        mint
    }

    async fn manual() -> Self {
        Self::start(Mining::Manual, 1, MintKind::Mint).await
    }

    fn gate(&self) -> MintGate {
        let chain = self.net.stack.chain().unwrap();
        let mint = chain.mint.as_ref().unwrap();
        MintGate { kind: mint.kind.kind(), chain: chain.id, address: mint.gate }
    }

    /// An attestor in this process, with the statement that all read unless it has another.
    async fn attestor(&self, which: usize, statement: Option<&str>) -> Us {
        let chain = self.net.stack.chain().unwrap();
        let node = Evm::connect(&chain.rpc_url, chain.id, None).await.unwrap();
        let gate = EvmGate::connect(node, self.gate(), chain.token).await.unwrap();
        let path = match statement {
            Some(text) => {
                let path = self.net.stack.attestor_file(which, "csv");
                std::fs::write(&path, text).unwrap();
                path
            }
            None => self.net.stack.statement_file(),
        };
        let key = PrivateKeySigner::from_bytes(&Cast::attestor(which)).unwrap();
        let config = attestor::Config { poll: Duration::from_millis(50), ask_again: Duration::ZERO };
        let log = self.net.stack.attestor_file(which, "log");
        Attestor::open(config, self.net.stack.store.clone(), vec![gate], CsvFile { path }, key, &log).unwrap()
    }

    /// The treasury asks for a statement about the reserve, attestors sign it, and the keeper brings it to the gate.
    async fn attest_reserve(&self) {
        self.net.index_to_the_tip().await;
        treasury::reserve::order(&self.net.stack.store).await.unwrap();
        for which in 0..2 {
            self.attestor(which, None).await.pass().await.unwrap();
        }
        // Where blocks come by themselves the keeper is a process; this one stands in until it is started.
        self.net.keeper.lease().await.unwrap();
        self.net.keeper.carry().await.unwrap();
        self.net.node().mine(4).await.unwrap();
        self.net.index_to_the_tip().await;
        self.net.keeper.watch().await.unwrap();
        let asked = self.net.count("SELECT max(nonce) FROM reserve_orders").await;
        assert_eq!(self.told().await.1, u64::try_from(asked).unwrap());
    }

    /// What the gate was told last: how much, and under which number.
    async fn told(&self) -> (u128, u64) {
        let found = self.net.keeper.chain.read(self.gate().address, &IMintGate::reserveCall {}).await.unwrap();
        (found.allocation, found.nonce)
    }

    /// A receipt that is cleared, and on the bank's statement; returns its deposit id.
    async fn cleared(&self, issued: &Issued, units: u128) -> B256 {
        let deposit = keccak256(format!("deposit for {} of {units} {:?}", issued.id, Instant::now()));
        self.booked(issued, units, deposit, "cleared").await;
        let line = format!("{deposit},{}.{:06}\n", units / 1_000_000, units % 1_000_000);
        let mut file = std::fs::File::options().append(true).open(self.net.stack.statement_file()).unwrap();
        std::io::Write::write_all(&mut file, line.as_bytes()).unwrap();
        deposit
    }

    async fn booked(&self, issued: &Issued, units: u128, deposit: B256, state: &str) {
        sqlx::query(
            "INSERT INTO fiat_receipts (tenant_id, invoice_id, deposit_id, rail, risk, provider, request_id, bank_account_id,
                principal_units, mintable_units, cash_units, state)
            VALUES ($1, $2, $3, 'wire', 'low', 'bank', $4, 'main', $5::text::numeric, $5::text::numeric, $5::text::numeric, $6)",
        )
        .bind(TENANT)
        .bind(&issued.id)
        .bind(deposit.to_vec())
        .bind(deposit.to_string())
        .bind(units.to_string())
        .bind(state)
        .execute(self.net.stack.store.pool())
        .await
        .unwrap();
    }

    async fn order(&self, issued: &Issued, deposit_id: B256) -> Result<Ordered, MintRefusal> {
        self.order_of(issued, deposit_id, AMOUNT).await
    }

    async fn order_of(&self, issued: &Issued, deposit_id: B256, units: u128) -> Result<Ordered, MintRefusal> {
        let mut db = self.net.stack.store.begin().await.unwrap();
        let booked = store::mints::booked(&mut db, deposit_id).await.unwrap();
        let receipt_id = booked.map(|booked| booked.receipt_id);
        let new = NewOrder { deposit_id, receipt_id, terms_hash: issued.terms.hash(), units };
        let ordered = store::mints::order(&mut db, &new).await.unwrap();
        db.commit().await.unwrap();
        ordered
    }

    async fn states(&self, deposit: B256) -> Vec<MintState> {
        let mut db = self.net.stack.store.begin().await.unwrap();
        let orders = store::mints::of_deposit(&mut db, deposit).await.unwrap();
        orders.iter().map(|order| order.state).collect()
    }

    async fn refusals(&self, deposit: B256) -> Vec<String> {
        let rows = sqlx::query("SELECT reason FROM attestation_refusals WHERE deposit_id = $1 ORDER BY signer")
            .bind(deposit.to_vec())
            .fetch_all(self.net.stack.store.pool())
            .await
            .unwrap();
        rows.iter().map(|row| row.get("reason")).collect()
    }

    async fn issued_units(&self) -> U256 {
        self.net.keeper.chain.read(self.gate().address, &IMintGate::issuedCall {}).await.unwrap()
    }

    /// What is in the attestors' logs: how often each deposit was signed, by log.
    fn signed(&self, deposit: B256) -> Vec<usize> {
        let count = |which: usize| {
            let text = std::fs::read_to_string(self.net.stack.attestor_file(which, "log")).unwrap_or_default();
            text.lines()
                .filter(|line| line.contains("\"what\":\"signed\"") && line.contains(&deposit.to_string()))
                .count()
        };
        (0..Cast::ATTESTORS).map(count).collect()
    }

    /// Every signature in Postgres is in its signer's log: nothing left before it was written down.
    async fn unlogged(&self, deposit: B256) -> Vec<String> {
        let mut unlogged = Vec::new();
        for which in 0..Cast::ATTESTORS {
            let signer = PrivateKeySigner::from_bytes(&Cast::attestor(which)).unwrap().address();
            let row = sqlx::query("SELECT count(*) FROM attestation_signatures WHERE deposit_id = $1 AND signer = $2")
                .bind(deposit.to_vec())
                .bind(signer.to_vec());
            let out: i64 = row.fetch_one(self.net.stack.store.pool()).await.unwrap().get(0);
            if out > 0 && self.signed(deposit)[which] == 0 {
                unlogged.push(format!("{signer} has signed {deposit}, and its log does not know"));
            }
        }
        unlogged
    }
}

/// Two of three say so, and the customer's wire has paid the invoice: once, and only what is due.
#[tokio::test]
async fn a_deposit_that_two_attestors_have_seen_pays_its_invoice_once() {
    let mint = Mint::manual().await;
    let net = &mint.net;
    let (issued, other) = (net.issue(Wish::default()).await, net.issue(Wish::default()).await);
    let deposit = mint.cleared(&issued, AMOUNT + 7).await;
    assert_eq!(mint.order_of(&issued, deposit, AMOUNT - 1).await, Err(MintRefusal::TooLittle));
    let ordered = mint.order_of(&issued, deposit, AMOUNT + 7).await.unwrap();
    assert_eq!(ordered.attempt, 1);
    assert_eq!(mint.order_of(&issued, deposit, AMOUNT + 7).await, Err(MintRefusal::Ordered));
    assert_eq!(mint.order_of(&other, deposit, AMOUNT + 7).await, Err(MintRefusal::Spent));

    let mut attestors = Vec::new();
    for which in 0..2 {
        attestors.push(mint.attestor(which, None).await);
    }
    attestors[0].pass().await.unwrap();
    assert_eq!((mint.states(deposit).await, net.intents(&issued).await), (vec![MintState::Wanted], vec![]));
    assert!(!net.keeper.execute().await.unwrap(), "one signature mints nothing");
    attestors[1].pass().await.unwrap();
    assert_eq!(mint.states(deposit).await, [MintState::Attested]);
    assert_eq!(net.intents(&issued).await, [("mint".to_owned(), "accepted".to_owned())]);
    assert_eq!(net.statuses(&issued).await, ("pending_payment".into(), "payment_in_progress".into()));

    assert!(net.keeper.execute().await.unwrap());
    net.mine().await;
    net.index().await;
    assert_eq!(mint.states(deposit).await, [MintState::InFlight], "in a block that is not final");
    assert_eq!(net.statuses(&issued).await.0, "paid");
    net.rounds().await;
    assert_eq!(mint.states(deposit).await, [MintState::Minted]);
    assert_eq!(net.intents(&issued).await, [("mint".to_owned(), "final".to_owned())]);
    assert_eq!(net.statuses(&issued).await, ("paid".into(), "destroyed".into()));
    assert_eq!(
        (net.balance(issued.terms.payee).await, mint.issued_units().await),
        (U256::from(AMOUNT), U256::from(AMOUNT))
    );
    assert_eq!(net.effects(&issued, 2).await.len(), 1);
    let row = "SELECT count(*) FROM gate_events WHERE kind = 'minted' AND amount_units = 150000000";
    assert_eq!(net.count(row).await, 1);

    // Spent is spent: not for the same invoice, not for another, not by hand.
    assert_eq!(mint.order_of(&other, deposit, AMOUNT + 7).await, Err(MintRefusal::Spent));
    let told = Deposit { depositId: deposit, amount: AMOUNT + 7, validUntil: ordered.valid_until };
    let again = Action::MintAndPay(issued.terms.clone().into(), mint.gate().address, told, vec![]);
    let chain = net.stack.chain().unwrap();
    let contracts = Contracts { escrow: chain.escrow.into(), gate: chain.gate.into() };
    let said = net.keeper.chain.simulate(contracts, Cast::address(Cast::KEEPER).into(), &again).await.unwrap();
    assert!(
        matches!(&said, Simulated::Reverts(words) if words.contains("NotOpen") || words.contains("DepositUsed")),
        "{said:?}"
    );
    assert!(net.differences().await.is_empty(), "a fresh index has the same");
}

/// The gate's own word, through the adapter: what was replayed, what is over and what nobody signed is refused with its numbers.
#[tokio::test]
async fn the_gate_refuses_what_is_over_replayed_or_not_signed() {
    let mint = Mint::manual().await;
    let net = &mint.net;
    let (one, two) = (net.issue(Wish::default()).await, net.issue(Wish::default()).await);
    let chain = net.stack.chain().unwrap();
    let contracts = Contracts { escrow: chain.escrow.into(), gate: chain.gate.into() };
    let signed = |issued: &Issued, deposit_id: B256, valid_until: u64, who: &[usize]| {
        let told = terms::DepositAttestation {
            deposit_id,
            terms_hash: issued.terms.hash(),
            token: chain.token,
            amount: AMOUNT,
            valid_until,
        };
        let mut keys: Vec<_> =
            who.iter().map(|which| PrivateKeySigner::from_bytes(&Cast::attestor(*which)).unwrap()).collect();
        keys.sort_by_key(PrivateKeySigner::address);
        let digest = told.digest(&mint.gate());
        let signatures = keys
            .iter()
            .map(|key| alloy::signers::SignerSync::sign_hash_sync(key, &digest).unwrap().as_bytes().to_vec().into());
        let (deposit, signatures) = (told.deposit(), signatures.collect());
        Action::MintAndPay(issued.terms.clone().into(), mint.gate().address, deposit, signatures)
    };
    let say = async |action: &Action| {
        let said = net.keeper.chain.simulate(contracts, Cast::address(Cast::STRANGER).into(), action).await.unwrap();
        match said {
            Simulated::Works(_) => String::new(),
            Simulated::Reverts(words) => words,
        }
    };
    let (now, id) = (net.chain_now().await, B256::repeat_byte(5));
    assert_eq!(say(&signed(&one, id, now + 600, &[0, 1])).await, "");
    for (action, why) in [
        (signed(&one, id, now + 600, &[0]), "TooFewSignatures"),
        (signed(&one, id, now - 1, &[0, 1]), "InvalidValidUntil"),
        (signed(&one, id, now + 1_900, &[0, 1]), "InvalidValidUntil"),
        (signed(&one, id, now + 600, &[0, 0]), "SignersNotAscending"),
    ] {
        assert!(say(&action).await.contains(why), "{why}: {}", say(&action).await);
    }
    // The signatures are good for the terms they name and for no others.
    let Action::MintAndPay(_, gate, deposit, signatures) = signed(&one, id, now + 600, &[0, 1]) else { panic!() };
    let other = Action::MintAndPay(two.terms.clone().into(), gate, deposit, signatures);
    assert!(say(&other).await.contains("NotAttestor"), "{}", say(&other).await);
    // Anyone who carries them pays the invoice, once.
    let Action::MintAndPay(_, gate, deposit, signatures) = signed(&one, id, now + 600, &[1, 2]) else { panic!() };
    let call = IMintGate::mintAndPayCall { terms: (&one.terms).into(), deposit, signatures }.abi_encode();
    net.send(Cast::STRANGER, gate, call).await;
    net.mine().await;
    assert_eq!(net.balance(one.terms.payee).await, U256::from(AMOUNT));
    assert!(say(&signed(&one, B256::repeat_byte(6), now + 600, &[0, 1])).await.contains("NotOpen"));
    assert!(say(&signed(&two, id, now + 600, &[0, 1])).await.contains("DepositUsed"));
    assert_eq!(mint.issued_units().await, U256::from(AMOUNT));
}

/// Nobody minted in time. That it is over is known when the finalized block is beyond it, and not before; then the deposit is
/// free for another order.
#[tokio::test]
async fn an_order_is_over_by_the_finalized_clock_and_then_there_may_be_another() {
    let mint = Mint::start(Mining::Manual, 4, MintKind::Mint).await;
    let net = &mint.net;
    let issued = net.issue(Wish::default()).await;
    let deposit = mint.cleared(&issued, AMOUNT).await;
    let first = mint.order(&issued, deposit).await.unwrap();
    let mut attestors = [mint.attestor(0, None).await, mint.attestor(1, None).await];
    for attestor in &mut attestors {
        attestor.pass().await.unwrap();
    }
    net.node().set_next_timestamp(first.valid_until + 1).await.unwrap();
    net.node().mine(2).await.unwrap();
    net.index().await;
    net.coordinator.coordinate().await.unwrap();
    assert_eq!(mint.states(deposit).await, [MintState::Attested], "the finalized block is older");
    assert_eq!(net.intents(&issued).await[0].1, "superseded", "but there is no use in sending it");
    assert_eq!(mint.order(&issued, deposit).await, Err(MintRefusal::Ordered));
    net.node().mine(12).await.unwrap();
    net.index().await;
    net.coordinator.coordinate().await.unwrap();
    assert_eq!(mint.states(deposit).await, [MintState::Expired]);

    let second = mint.order(&issued, deposit).await.unwrap();
    assert_eq!(second.attempt, 2);
    for attestor in &mut attestors {
        attestor.pass().await.unwrap();
    }
    for _ in 0..16 {
        net.round().await;
    }
    assert_eq!(mint.states(deposit).await, [MintState::Expired, MintState::Minted]);
    assert_eq!((net.effects(&issued, 2).await.len(), mint.signed(deposit)), (1, vec![2, 2, 0]));
    assert_eq!(mint.issued_units().await, U256::from(AMOUNT));
}

/// What one attestor does not see mints nothing where two of those who were asked have to: it is refused for a reason that is
/// written down, and the order ends with time.
#[tokio::test]
async fn attestors_that_disagree_mint_nothing() {
    let mint = Mint::manual().await;
    let net = &mint.net;
    let issued = net.issue(Wish::default()).await;
    let deposit = mint.cleared(&issued, AMOUNT).await;
    let ordered = mint.order(&issued, deposit).await.unwrap();
    let mut sees = mint.attestor(0, None).await;
    let taken_back = format!("reference,amount\n{deposit},150\n{deposit},-150\n");
    let mut others = [mint.attestor(1, Some("reference,amount\n")).await, mint.attestor(2, Some(&taken_back)).await];
    sees.pass().await.unwrap();
    for other in &mut others {
        other.pass().await.unwrap();
        other.pass().await.unwrap();
    }
    net.rounds().await;
    assert_eq!((mint.states(deposit).await, net.intents(&issued).await), (vec![MintState::Wanted], vec![]));
    let mut said = mint.refusals(deposit).await;
    said.sort();
    assert!(said[0].contains("shows nothing of it") && said[1].contains("taken back"), "{said:?}");
    assert_eq!(mint.signed(deposit), [1, 0, 0]);
    let log = std::fs::read_to_string(net.stack.attestor_file(1, "log")).unwrap();
    assert_eq!(log.matches("\"what\":\"refused\"").count(), 1, "the same reason is written once");
    net.warp(ordered.valid_until + 1).await;
    net.rounds().await;
    assert_eq!(mint.states(deposit).await, [MintState::Refused]);
    assert_eq!(mint.issued_units().await, U256::ZERO);
}

/// Whatever Postgres says: money that is not booked for this invoice, not cleared, of another amount, or above the reserve is
/// not signed for.
#[tokio::test]
async fn an_order_that_the_books_do_not_bear_is_refused() {
    let mint = Mint::manual().await;
    let net = &mint.net;
    let mut attestor = mint.attestor(0, None).await;
    for (state, booked, ordered, why) in [
        ("settled", AMOUNT, AMOUNT, "it has to be cleared"),
        ("charged_back", AMOUNT, AMOUNT, "it has to be cleared"),
        ("cleared", AMOUNT, AMOUNT + 1, "the books have 150000000"),
        ("cleared", RESERVE + 1, RESERVE + 1, "the reserve has"),
    ] {
        let issued = net.issue(Wish::default()).await;
        let deposit = keccak256(format!("{state} {booked} {ordered}"));
        mint.booked(&issued, booked, deposit, state).await;
        let line = format!("reference,amount\n{deposit},999999999\n");
        std::fs::write(net.stack.statement_file(), line).unwrap();
        mint.order_of(&issued, deposit, ordered).await.unwrap();
        attestor.pass().await.unwrap();
        let said = mint.refusals(deposit).await;
        assert!(said.len() == 1 && said[0].contains(why), "{why}: {said:?}");
    }
    // Booked for another invoice.
    let (issued, other) = (net.issue(Wish::default()).await, net.issue(Wish::default()).await);
    let deposit = mint.cleared(&other, AMOUNT).await;
    mint.order(&issued, deposit).await.unwrap();
    attestor.pass().await.unwrap();
    assert!(mint.refusals(deposit).await[0].contains("is for invoice"));
}

/// Money that comes to the invoice's address while the order is out waits, and goes back: the order pays.
#[tokio::test]
async fn what_comes_on_chain_while_the_card_clears_goes_back() {
    let mint = Mint::start(Mining::Manual, 1, MintKind::Float).await;
    let net = &mint.net;
    let issued = net.issue(Wish::default()).await;
    let before = net.balance(issued.terms.payee).await;
    let deposit = mint.cleared(&issued, AMOUNT).await;
    mint.order(&issued, deposit).await.unwrap();
    net.transfer(issued.purse, AMOUNT).await;
    net.mine().await;
    net.round().await;
    assert_eq!(net.intents(&issued).await, [], "it waits");
    for which in 0..2 {
        mint.attestor(which, None).await.pass().await.unwrap();
    }
    net.rounds().await;
    net.rounds().await;
    assert_eq!(net.balance(issued.terms.payee).await - before, U256::from(AMOUNT), "from the float");
    assert_eq!(net.balance(issued.terms.refund_to).await, U256::from(AMOUNT));
    assert_eq!(mint.states(deposit).await, [MintState::Minted]);
    assert_eq!(net.statuses(&issued).await, ("overpaid".into(), "destroyed".into()));
    // And the other way round: what lies there whole pays, and the deposit is not minted.
    let issued = net.issue(Wish::default()).await;
    let deposit = mint.cleared(&issued, AMOUNT).await;
    net.transfer(issued.purse, AMOUNT).await;
    net.mine().await;
    net.index().await;
    assert_eq!(mint.order(&issued, deposit).await, Err(MintRefusal::Paying));
}

/// A mint that a re-org takes back is in flight again, and lands once.
#[tokio::test]
async fn a_mint_that_a_reorg_takes_back_lands_once() {
    let mint = Mint::start(Mining::Manual, 8, MintKind::Mint).await;
    let net = &mint.net;
    let issued = net.issue(Wish::default()).await;
    let deposit = mint.cleared(&issued, AMOUNT).await;
    mint.order(&issued, deposit).await.unwrap();
    for which in 0..2 {
        mint.attestor(which, None).await.pass().await.unwrap();
    }
    net.keeper.execute().await.unwrap();
    net.mine().await;
    net.index().await;
    assert_eq!(net.statuses(&issued).await.0, "paid");
    net.node().reorg(1).await.unwrap();
    net.index().await;
    assert_eq!(net.count("SELECT count(*) FROM gate_events").await, 0);
    assert_eq!(mint.order(&issued, deposit).await, Err(MintRefusal::Ordered));
    assert!(mint.states(deposit).await[0].is_live());
    for _ in 0..24 {
        net.round().await;
    }
    assert_eq!((mint.states(deposit).await, net.effects(&issued, 2).await.len()), (vec![MintState::Minted], 1));
    assert_eq!(mint.issued_units().await, U256::from(AMOUNT));
    assert!(net.differences().await.is_empty());
}

/// Tokens that were minted come back through terms whose payee is the gate: paid, burned once, and only when that is final.
#[tokio::test]
async fn a_redemption_is_burned_when_its_payment_is_final() {
    let mint = Mint::manual().await;
    let net = &mint.net;
    let issued = net.issue(Wish::default()).await;
    let deposit = mint.cleared(&issued, AMOUNT).await;
    mint.order(&issued, deposit).await.unwrap();
    for which in 0..2 {
        mint.attestor(which, None).await.pass().await.unwrap();
    }
    net.rounds().await;
    let redemption = net.issue_to(mint.gate().address).await;
    let pay = terms::abi::IERC20::transferCall { to: redemption.purse, value: U256::from(AMOUNT) };
    net.send(Cast::ENTERPRISE, net.token(), pay.abi_encode()).await;
    net.mine().await;
    net.index().await;
    net.keeper.execute().await.unwrap();
    net.mine().await;
    net.index().await;
    let kinds = |intents: Vec<(String, String)>| intents.into_iter().map(|(kind, _)| kind).collect::<Vec<_>>();
    assert_eq!(kinds(net.intents(&redemption).await), ["settle"], "paid, not final");
    assert_eq!(net.balance(mint.gate().address).await, U256::from(AMOUNT));
    net.rounds().await;
    net.rounds().await;
    assert_eq!(kinds(net.intents(&redemption).await), ["settle", "redeem"]);
    assert!(net.intents(&redemption).await.iter().all(|(_, state)| state == "final"));
    assert_eq!((mint.issued_units().await, net.balance(mint.gate().address).await), (U256::ZERO, U256::ZERO));
    assert_eq!(net.count("SELECT count(*) FROM gate_events WHERE kind = 'redeemed'").await, 1);
    // Money from off chain never pays the gate: that would make a card a cash machine.
    let card = net.issue_to(mint.gate().address).await;
    let deposit = mint.cleared(&card, AMOUNT).await;
    mint.order(&card, deposit).await.unwrap();
    mint.attestor(0, None).await.pass().await.unwrap();
    assert!(mint.refusals(deposit).await[0].contains("pay the gate itself"));
}

/// There is always a statement about the reserve on chain that counts: the first, one when more is out than the last allows, one
/// after half a day, one when money has left the reserve. Each is sent once, and nobody's hand is in it.
#[tokio::test]
async fn statements_about_the_reserve_get_on_chain_by_themselves() {
    let mint = Mint::manual().await;
    let net = &mint.net;
    assert_eq!(mint.told().await, (RESERVE / 2, 1), "half of it: the rest is given to nobody");
    let sent = "SELECT count(*) FROM attempts";
    mint.attest_reserve().await;
    net.keeper.carry().await.unwrap();
    assert_eq!((mint.told().await.1, net.count(sent).await), (1, 1), "it is there, counts, and bears what is out");

    // Anyone may bring it; then there is nothing to do.
    net.warp(net.chain_now().await + domain::reserve::RENEW_SECONDS).await;
    net.index_to_the_tip().await;
    treasury::reserve::order(&net.stack.store).await.unwrap();
    for which in 0..2 {
        mint.attestor(which, None).await.pass().await.unwrap();
    }
    let mut db = net.stack.store.begin().await.unwrap();
    let chain = mint.gate().chain;
    let signed = store::mints::reserve_to_carry(&mut db, chain).await.unwrap().unwrap();
    drop(db);
    let call = IMintGate::attestReserveCall { statement: signed.reserve, signatures: signed.signatures };
    net.send(Cast::STRANGER, mint.gate().address, call.abi_encode()).await;
    net.node().mine(4).await.unwrap();
    net.keeper.carry().await.unwrap();
    assert_eq!((mint.told().await.1, net.count(sent).await), (2, 1));

    // More is ordered than it allows.
    let issued = net.issue(Wish::default()).await;
    let units = RESERVE * 3 / 4;
    let deposit = mint.cleared(&issued, units).await;
    mint.order_of(&issued, deposit, units).await.unwrap();
    mint.attest_reserve().await;
    assert_eq!((mint.told().await, net.count(sent).await), ((RESERVE * 7 / 8, 3), 2));
    net.rounds().await;
    assert_eq!(mint.states(deposit).await, [MintState::Minted]);

    // Money has left the reserve: what may be issued comes down at once.
    let out = "WITH t AS (INSERT INTO ledger_transfers (source, reference, kind, phase) VALUES ('test', '2', 'paid', 'single') RETURNING id)
        SELECT id FROM t";
    let mut tx = net.stack.store.begin().await.unwrap();
    let id: i64 = sqlx::query(out).fetch_one(&mut *tx).await.unwrap().get("id");
    for (account, sign) in [("reserve:main", "-"), ("mintable", "")] {
        sqlx::query(
            "INSERT INTO ledger_postings (account_id, transfer_id, amount_units) VALUES ($1, $2, $3::text::numeric)",
        )
        .bind(account)
        .bind(id)
        .bind(format!("{sign}{}", RESERVE / 2))
        .execute(&mut *tx)
        .await
        .unwrap();
    }
    tx.commit().await.unwrap();
    mint.attest_reserve().await;
    assert_eq!(mint.told().await, (AMOUNT + (RESERVE / 2 - AMOUNT) / 2, 4));
    assert_eq!(net.violations(&[&issued]).await, [""; 0]);
    assert!(net.differences().await.is_empty());
}

/// Services as processes, blocks by themselves.
async fn processes() -> Mint {
    let mint = Mint::start(Mining::Interval(Duration::from_millis(250)), 1, MintKind::Mint).await;
    for service in [Service::Indexer, Service::Coordinator] {
        mint.net.stack.run(service, &[]).await.unwrap();
    }
    mint
}

async fn minted(mint: &Mint, issued: &Issued, deposit: B256) {
    let since = Instant::now();
    let open = "SELECT count(*) FROM attempts WHERE state IN ('signed', 'broadcast', 'unknown')";
    while mint.states(deposit).await.last() != Some(&MintState::Minted) || mint.net.count(open).await > 0 {
        let states = (mint.states(deposit).await, mint.refusals(deposit).await, mint.net.intents(issued).await);
        assert!(since.elapsed() < Duration::from_secs(60), "after 60 s: {states:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(mint.net.effects(issued, 2).await.len(), 1);
}

/// The keeper is killed with the signed transaction committed and not sent, and at every other write: one mint, and the bytes
/// that were committed.
#[tokio::test]
async fn a_keeper_killed_at_any_write_mints_once() {
    let mint = processes().await;
    for which in 0..2 {
        mint.net.stack.run_attestor(which, &[]).await.unwrap();
    }
    let mut all = 0;
    for point in [
        Point::BeforeCommit,
        Point::AfterCommitBeforeBroadcast,
        Point::AfterBroadcastBeforeRecord,
        Point::BeforeCloseCommit,
    ] {
        let issued = mint.net.issue(Wish::default()).await;
        let deposit = mint.cleared(&issued, AMOUNT).await;
        let point = format!("{point:?}");
        let dies = [(CRASH_VARIABLE, point.as_str()), SHORT_LEASE];
        mint.net.stack.run(Service::Keeper, &dies).await.unwrap();
        mint.order(&issued, deposit).await.unwrap();
        let ended =
            mint.net.stack.ended(Service::Keeper, Duration::from_secs(40)).await.and_then(|status| status.signal());
        assert_eq!(ended, Some(SIGKILL), "{point}");
        mint.net.stack.run(Service::Keeper, &[SHORT_LEASE]).await.unwrap();
        minted(&mint, &issued, deposit).await;
        mint.net.stack.kill(Service::Keeper).await;
        all += 1;
        assert_eq!(mint.net.violations(&[&issued]).await, [""; 0], "{point}");
        assert_eq!(mint.issued_units().await, U256::from(all * AMOUNT), "{point}");
        // And the one that brought the statement about the reserve.
        assert_eq!(mint.net.count("SELECT count(*) FROM attempts").await, i64::try_from(all).unwrap() + 1, "{point}");
    }
    mint.net.stack.stop().await;
}

/// Killed with the signed statement committed and not sent: whoever comes next sends those bytes, and no others.
#[tokio::test]
async fn a_keeper_that_is_killed_with_a_statement_in_hand_sends_those_bytes() {
    let mint = processes().await;
    let (net, chain) = (&mint.net, mint.gate().chain);
    for which in 0..2 {
        net.stack.run_attestor(which, &[]).await.unwrap();
    }
    let mut db = net.stack.store.begin().await.unwrap();
    let now = store::chain::get(&mut db, chain).await.unwrap().tip_timestamp;
    let nonce = store::mints::order_reserve(&mut db, chain, RESERVE / 4, now).await.unwrap();
    db.commit().await.unwrap();
    let point = format!("{:?}", Point::AfterCommitBeforeBroadcast);
    net.stack.run(Service::Keeper, &[(CRASH_VARIABLE, point.as_str()), SHORT_LEASE]).await.unwrap();
    let ended = net.stack.ended(Service::Keeper, Duration::from_secs(40)).await.and_then(|status| status.signal());
    assert_eq!(ended, Some(SIGKILL));
    assert_ne!(mint.told().await.1, nonce, "not sent");
    net.stack.run(Service::Keeper, &[SHORT_LEASE]).await.unwrap();
    let (since, open) = (Instant::now(), "SELECT count(*) FROM attempts WHERE state <> 'final'");
    while mint.told().await != (RESERVE / 4, nonce) || net.count(open).await > 0 {
        assert!(since.elapsed() < Duration::from_secs(60), "after 60 s: {:?}", mint.told().await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(net.count("SELECT count(*) FROM attempts").await, 2, "this one, and the first statement's");
    mint.net.stack.stop().await;
}

/// A node that takes the transaction and loses its answer: nobody knows, and while nobody knows the deposit has no second order.
#[tokio::test]
async fn what_is_unknown_never_leads_to_a_second_order() {
    let mint = Mint::manual().await;
    let net = &mint.net;
    let issued = net.issue(Wish::default()).await;
    let deposit = mint.cleared(&issued, AMOUNT).await;
    let proxy = Proxy::start(net.node()).await.unwrap();
    let chain = net.stack.chain().unwrap();
    let key = PrivateKeySigner::from_bytes(&Cast::key(Cast::KEEPER)).unwrap();
    let evm = Evm::connect(proxy.url(), chain.id, Some(key)).await.unwrap();
    net.keeper.release().await.unwrap();
    let keeper = Keeper::new(patient(Duty::Settle), net.stack.store.clone(), evm);
    keeper.lease().await.unwrap();
    let ordered = mint.order(&issued, deposit).await.unwrap();
    for which in 0..2 {
        mint.attestor(which, None).await.pass().await.unwrap();
    }
    proxy.times("eth_sendRawTransaction", Fault::AnswerLost, 1);
    keeper.execute().await.unwrap();
    assert_eq!(net.intents(&issued).await, [("mint".to_owned(), "unknown".to_owned())]);
    assert_eq!(mint.order(&issued, deposit).await, Err(MintRefusal::Ordered));
    // It lands in its last second, when the newest block of others would already call it over.
    net.node().set_next_timestamp(ordered.valid_until).await.unwrap();
    net.mine().await;
    net.index().await;
    assert_eq!(mint.order(&issued, deposit).await, Err(MintRefusal::Ordered));
    net.node().mine(4).await.unwrap();
    net.index().await;
    assert_eq!(mint.states(deposit).await, [MintState::Minted]);
    assert_eq!(mint.order(&issued, deposit).await, Err(MintRefusal::Paying));
    assert_eq!((mint.issued_units().await, net.effects(&issued, 2).await.len()), (U256::from(AMOUNT), 1));
}

/// Kills an attestor at a point, starts it again without its bug, and returns the deposit and what did not hold meanwhile.
async fn through_a_crash(mint: &Mint, point: Point, bug: &str) -> Vec<String> {
    let issued = mint.net.issue(Wish::default()).await;
    let deposit = mint.cleared(&issued, AMOUNT).await;
    let point = format!("{point:?}");
    mint.net.stack.run_attestor(0, &[(CRASH_VARIABLE, &point), (BUG_VARIABLE, bug)]).await.unwrap();
    mint.net.stack.run_attestor(1, &[]).await.unwrap();
    mint.order(&issued, deposit).await.unwrap();
    let ended = mint.net.stack.attestor_ended(0, Duration::from_secs(40)).await.and_then(|status| status.signal());
    assert_eq!(ended, Some(SIGKILL));
    let mut violations = mint.unlogged(deposit).await;
    mint.net.stack.run_attestor(0, &[]).await.unwrap();
    minted(mint, &issued, deposit).await;
    if mint.signed(deposit)[..2] != [1, 1] {
        violations.push(format!("the logs have it {:?} times", mint.signed(deposit)));
    }
    for which in 0..2 {
        mint.net.stack.kill_attestor(which).await;
    }
    violations
}

/// Killed after its log has the signature and before anybody else does, or before even the log has it: nothing is signed that the
/// log does not know, the log has it once, and what is handed out is what stands there.
#[tokio::test]
async fn an_attestor_that_is_killed_hands_out_what_its_log_has() {
    let mint = processes().await;
    mint.net.stack.run(Service::Keeper, &[SHORT_LEASE]).await.unwrap();
    for point in [Point::AfterAttestorLog, Point::BeforeAttestorLog] {
        assert_eq!(through_a_crash(&mint, point, "").await, [""; 0], "{point:?}");
    }
    mint.net.stack.stop().await;
}

/// The test above is worth something only if an attestor that signs before it writes does not pass it.
#[tokio::test]
async fn an_attestor_that_signs_before_it_writes_is_caught() {
    let mint = processes().await;
    mint.net.stack.run(Service::Keeper, &[SHORT_LEASE]).await.unwrap();
    let bug = format!("{:?}", Bug::SignBeforeLog);
    assert!(!through_a_crash(&mint, Point::BeforeAttestorLog, &bug).await.is_empty(), "not caught");
    mint.net.stack.stop().await;
}

/// One log, one attestor; another key's log, or one in which a line was changed, is refused.
#[test]
fn a_log_that_was_changed_or_is_anothers_is_refused() {
    let path = std::env::temp_dir().join(format!("monay-attestor-{}.log", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let (one, two) = (Account::Evm(Address::repeat_byte(1)), Account::Evm(Address::repeat_byte(2)));
    let refused = |n: u32| Entry::Refused {
        deposit_id: B256::repeat_byte(7),
        attempt: n,
        reason: "why".to_owned(),
        saw: serde_json::json!({}),
    };
    let mut log = Log::open(&path, one).unwrap();
    assert!(Log::open(&path, one).unwrap_err().to_string().contains("another process"));
    for n in 1..4 {
        log.append(refused(n)).unwrap();
    }
    drop(log);
    assert!(Log::open(&path, two).unwrap_err().to_string().contains("it is the log of"));
    let whole = std::fs::read_to_string(&path).unwrap();
    // Torn in the middle of its last line: that never left.
    std::fs::write(&path, &whole[..whole.len() - 9]).unwrap();
    let torn = Log::open(&path, one).unwrap();
    assert!(torn.history().has_refused(B256::repeat_byte(7), 2, "why"));
    assert!(!torn.history().has_refused(B256::repeat_byte(7), 3, "why"));
    drop(torn);
    let lines: Vec<&str> = whole.lines().collect();
    for (changed, line) in [
        (whole.replacen("why", "wye", 1), "line 2"),
        ([lines[0], lines[2], lines[3], ""].join("\n"), "line 2"),
        ([lines[0], lines[1], lines[3], ""].join("\n"), "line 3"),
        ([lines[1], ""].join("\n"), "line 1"),
    ] {
        std::fs::write(&path, changed).unwrap();
        let error = Log::open(&path, one).unwrap_err().to_string();
        assert!(error.contains(line) && error.contains("chain of hashes"), "{error}");
    }
    std::fs::remove_file(&path).unwrap();
}
