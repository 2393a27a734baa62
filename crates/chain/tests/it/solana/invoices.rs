//! The escrow's life, from its instructions to what the blocks tell of it.

use super::surfpool;
use chain::Simulated;
use chain::solana::events::{self, Event, Meaning};
use chain::solana::instructions::{Escrow, Gate, Invoice, Tokens, compute_unit_limit, compute_unit_price};
use chain::solana::{Instruction, Keypair, Solana, send, transaction};
use escrow_interface::event::Kind;
use terms::solana::{FLAG_TOKEN_2022, token_program};
use terms::{B256, Pubkey, SolanaTerms};
use test_chain::solana::{SOL, new_key};
use test_chain::{Mint, Surfpool};

pub(super) struct World {
    pub(super) node: Surfpool,
    pub(super) chain: Solana,
    pub(super) escrow: Escrow,
    pub(super) gate: Gate,
    pub(super) mint: Mint,
    pub(super) bank: Keypair,
    pub(super) settler: Keypair,
    pub(super) canceller: Keypair,
    pub(super) payee: Pubkey,
}

impl World {
    pub(super) async fn new(token_2022: bool) -> Self {
        Self::on(surfpool().await, token_2022).await
    }

    pub(super) async fn on(node: Surfpool, token_2022: bool) -> Self {
        let bank = node.wallet(100 * SOL).await.unwrap();
        let (settler, canceller) = (node.wallet(SOL).await.unwrap(), node.wallet(SOL).await.unwrap());
        let keys = [settler.clone(), canceller.clone()];
        let chain = Solana::connect(node.rpc_url(), super::LOCAL, keys).await.unwrap();
        let (escrow, gate) = node.deploy_ours(&bank, &settler.address(), &canceller.address()).await.unwrap();
        let mint = node.create_mint(&bank, 6, token_2022).await.unwrap();
        let payee = new_key().unwrap().address();
        node.create_token_account(&bank, &payee, &mint).await.unwrap();
        Self { node, chain, escrow, gate, mint, bank, settler, canceller, payee }
    }

    pub(super) async fn terms(&self, amount: u64, closes_in: i64, refund_to: Pubkey, flags: u8) -> SolanaTerms {
        let mut terms = SolanaTerms {
            version: 1,
            chain: escrow_interface::CHAIN,
            invoice_id: B256::ZERO,
            payee: self.payee,
            token: self.mint.address,
            amount,
            closes_at: (self.node.time().await.unwrap() + closes_in).unsigned_abs(),
            refund_to,
            refund_key: Pubkey::default(),
            settler: self.gate.settler,
            flags: if self.mint.token_program == token_program(true) { flags | FLAG_TOKEN_2022 } else { flags },
        };
        let random = || new_key().map(|key| B256::new(key.address().to_bytes()));
        terms.draw(&self.escrow.program, random).unwrap();
        terms
    }

    pub(super) fn invoice(&self, terms: &SolanaTerms) -> Invoice {
        self.escrow.invoice(terms).unwrap()
    }

    pub(super) fn settle(&self, invoice: &Invoice) -> Instruction {
        self.gate.pass(self.settler.address(), invoice.settle(self.settler.address()))
    }

    fn tokens(&self, account: Pubkey) -> Tokens {
        Tokens { account, mint: self.mint.address, token_program: self.mint.token_program }
    }

    async fn simulate(&self, instructions: &[Instruction], payer: &Keypair) -> Simulated {
        let message = transaction::message(instructions, &payer.address(), [0; 32]);
        send::simulate(self.chain.rpc(), &message).await.unwrap()
    }

    /// What the block at a slot tells.
    async fn events(&self, slot: u64) -> Vec<Event> {
        let block = self.chain.blocks().at(slot).await.unwrap().unwrap();
        events::read(slot, &block.transactions, &self.escrow).unwrap()
    }
}

/// The sums in a list of events: what came, and what went of which kind to whom.
fn sums(events: &[Event]) -> Vec<(u8, u64, Pubkey)> {
    let sum = |event: &Event| match &event.meaning {
        Meaning::Received(received) => (0, received.amount, received.owner),
        Meaning::Recorded(recorded) => (recorded.kind, recorded.amount, Pubkey::new_from_array(recorded.to)),
        Meaning::Odd(data) => panic!("{data:?}"),
    };
    events.iter().map(sum).collect()
}

#[tokio::test]
async fn an_invoice_is_paid_settled_through_the_gate_and_told() {
    for token_2022 in [false, true] {
        let world = World::new(token_2022).await;
        let (node, settler) = (&world.node, &world.settler);
        let customer = node.customer(&world.bank, &world.mint, 10_000).await.unwrap();
        let terms = world.terms(1_000, 600, customer.address(), 0).await;
        let invoice = world.invoice(&terms);
        let settle = [world.settle(&invoice)];
        let early = world.simulate(&settle, settler).await;
        assert!(matches!(&early, Simulated::Reverts(why) if why.contains("NotFunded")), "{early:?}");
        let poor = [invoice.refund_native()];
        let poor = world.simulate(&poor, &new_key().unwrap()).await;
        assert!(matches!(&poor, Simulated::Reverts(why) if why.contains("too few lamports")), "{poor:?}");

        // Too much comes; the amount goes to the payee, the rest goes back.
        let slot = node.transfer(&customer, &invoice.addresses.invoice, &world.mint, 1_250).await.unwrap();
        assert_eq!(sums(&world.events(slot).await), [(0, 1_250, invoice.addresses.invoice)]);
        let Simulated::Works(units) = world.simulate(&settle, settler).await else { panic!("it would not work") };
        let limited = [compute_unit_limit(send::unit_limit(units)), compute_unit_price(7), settle[0].clone()];
        let (_, slot) = node.send(&limited, &[settler]).await.unwrap();
        let told = world.events(slot).await;
        assert_eq!(sums(&told), [(Kind::Settled as u8, 1_000, world.payee)]);
        let Meaning::Recorded(recorded) = &told[0].meaning else { panic!("{told:?}") };
        assert_eq!((recorded.terms_hash, recorded.paid, recorded.status), (terms.hash().0, 1_000, 1));
        assert_eq!(node.tokens(&invoice.payee_account.0).await.unwrap(), 1_000);

        let refund = invoice.refund(world.tokens(invoice.vault.0), &[]);
        let (_, slot) = node.send(&[refund], &[&world.bank]).await.unwrap();
        assert_eq!(sums(&world.events(slot).await), [(Kind::Refunded as u8, 250, customer.address())]);
        assert_eq!(node.tokens(&world.mint.account_of(&customer.address())).await.unwrap(), 9_000);
        let twice = world.simulate(&settle, settler).await;
        assert!(matches!(&twice, Simulated::Reverts(why) if why.contains("NotOpen")), "{twice:?}");
    }
}

/// The vault has the same before and after: only what was told shows that money came, and how much.
#[tokio::test]
async fn a_deposit_that_is_settled_in_its_own_transaction_is_not_missed() {
    let world = World::new(false).await;
    let customer = world.node.customer(&world.bank, &world.mint, 10_000).await.unwrap();
    let terms = world.terms(1_000, 600, customer.address(), 0).await;
    let invoice = world.invoice(&terms);
    let to = invoice.addresses.invoice;
    let payer = customer.address();
    let deposit = [world.mint.open(&payer, &to), world.mint.transfer(&payer, &to, 1_000), world.settle(&invoice)];
    let (_, slot) = world.node.send(&deposit, &[&customer, &world.settler]).await.unwrap();
    let told = world.events(slot).await;
    assert_eq!(sums(&told), [(0, 1_000, to), (Kind::Settled as u8, 1_000, world.payee)]);
    assert!(told.is_sorted_by(|a, b| a.index < b.index));
}

/// Anybody can make other token accounts of an invoice, and have them refunded: that is no payment into the vault.
#[tokio::test]
async fn what_lies_beside_the_vault_and_goes_back_is_never_counted_as_a_payment_into_it() {
    let world = World::new(false).await;
    let node = &world.node;
    let customer = node.customer(&world.bank, &world.mint, 10_000).await.unwrap();
    let terms = world.terms(1_000, 600, customer.address(), 0).await;
    let invoice = world.invoice(&terms);
    let cancel =
        world.gate.pass(world.canceller.address(), invoice.cancel(world.canceller.address(), world.gate.settler));
    let (_, slot) = node.send(&[cancel], &[&world.canceller]).await.unwrap();
    assert_eq!(sums(&world.events(slot).await), [(Kind::Cancelled as u8, 0, Pubkey::default())]);

    // A token account of the invoice that is not its vault.
    let other = new_key().unwrap();
    let rent = node.rent(165).await.unwrap();
    let create = test_chain::solana::create_account(&world.bank, &other, rent, 165, world.mint.token_program);
    let data = [&[18], invoice.addresses.invoice.as_array().as_slice()].concat();
    let accounts = vec![
        chain::solana::AccountMeta::new(other.address(), false),
        chain::solana::AccountMeta::new_readonly(world.mint.address, false),
    ];
    let initialize = Instruction { program_id: world.mint.token_program, accounts, data };
    let fill = world.mint.mint_to(&world.bank.address(), &other.address(), 777);
    let back = invoice.refund(world.tokens(other.address()), &[]);
    let all = [create, initialize, fill, back];
    let (_, slot) = node.send(&all, &[&world.bank, &other]).await.unwrap();
    let told = world.events(slot).await;
    assert_eq!(sums(&told), [(0, 777, invoice.addresses.invoice), (Kind::Refunded as u8, 777, customer.address())]);
    assert!(
        matches!(&told[0].meaning, Meaning::Received(received) if !received.vault && received.account == other.address())
    );
}

/// What fits in a packet decides how many: two with the same payee, and one more would be 300 bytes too many.
#[tokio::test]
async fn two_settlements_go_in_one_transaction() {
    let world = World::new(false).await;
    let node = &world.node;
    let customer = node.customer(&world.bank, &world.mint, 10_000).await.unwrap();
    let mut settle = vec![compute_unit_limit(100_000), compute_unit_price(1)];
    let mut sizes = vec![];
    for _ in 0..3 {
        let invoice = world.invoice(&world.terms(100, 600, customer.address(), 0).await);
        node.transfer(&customer, &invoice.addresses.invoice, &world.mint, 100).await.unwrap();
        settle.push(world.settle(&invoice));
        let message = transaction::message(&settle, &world.settler.address(), [0; 32]);
        sizes.push(transaction::size(&message));
    }
    println!("bytes of a transaction with 1, 2 and 3 settlements: {sizes:?}");
    assert!(sizes[1] <= transaction::MAX_BYTES && sizes[2] > transaction::MAX_BYTES, "{sizes:?}");
    settle.pop();
    let (_, slot) = node.send(&settle, &[&world.settler]).await.unwrap();
    let settled = (Kind::Settled as u8, 100, world.payee);
    assert_eq!(sums(&world.events(slot).await), [settled, settled]);
}

/// Every other verb is taken as it is built.
#[tokio::test]
async fn vaults_are_opened_and_closed_and_lamports_go_back() {
    let world = World::new(false).await;
    let node = &world.node;
    let refund_to = node.wallet(SOL).await.unwrap();
    let terms = world.terms(1_000, 600, refund_to.address(), 0).await;
    let invoice = world.invoice(&terms);
    node.send(&[invoice.open_vault(world.bank.address())], &[&world.bank]).await.unwrap();
    node.airdrop(&invoice.addresses.invoice, 5_000_000).await.unwrap();
    let (_, slot) = node.send(&[invoice.refund_native()], &[&world.bank]).await.unwrap();
    assert_eq!(sums(&world.events(slot).await), [(Kind::Refunded as u8, 5_000_000, refund_to.address())]);
    assert_eq!(node.lamports(&refund_to.address()).await.unwrap(), SOL + 5_000_000);

    let payer = node.customer(&world.bank, &world.mint, 5_000).await.unwrap();
    let terms = world.terms(1_000, 600, payer.address(), 0).await;
    let open = SolanaTerms { settler: Pubkey::default(), ..terms };
    let open = drawn(&world, open);
    let paid = world.invoice(&open);
    let source = world.mint.account_of(&payer.address());
    let pay = paid.pay(payer.address(), payer.address(), source, 1_000);
    let (_, slot) = node.send(&[pay], &[&payer]).await.unwrap();
    assert_eq!(sums(&world.events(slot).await), [(Kind::Paid as u8, 1_000, world.payee)]);

    let cancel =
        world.gate.pass(world.canceller.address(), invoice.cancel(world.canceller.address(), world.gate.settler));
    node.send(&[cancel], &[&world.canceller]).await.unwrap();
    let before = node.lamports(&world.bank.address()).await.unwrap();
    node.send(&[invoice.close_vault(Some(world.bank.address()))], &[&world.canceller]).await.unwrap();
    assert_eq!(node.lamports(&world.bank.address()).await.unwrap(), before + node.rent(165).await.unwrap());
    let early = world.simulate(&[invoice.close_record(world.bank.address())], &world.bank).await;
    assert!(matches!(&early, Simulated::Reverts(why) if why.contains("RecordInUse")), "{early:?}");
}

#[tokio::test]
async fn the_refund_key_signs_the_transaction_and_says_where_money_goes() {
    let world = World::new(false).await;
    let node = &world.node;
    let (customer, key) =
        (node.customer(&world.bank, &world.mint, 500).await.unwrap(), node.wallet(SOL).await.unwrap());
    let terms = world.terms(100, 600, customer.address(), 0).await;
    let terms = drawn(&world, SolanaTerms { refund_key: key.address(), ..terms });
    let invoice = world.invoice(&terms);
    node.transfer(&customer, &invoice.addresses.invoice, &world.mint, 130).await.unwrap();
    node.send(&[world.settle(&invoice)], &[&world.settler]).await.unwrap();
    let friend = new_key().unwrap().address();
    let to = node.create_token_account(&world.bank, &friend, &world.mint).await.unwrap();
    let refund = invoice.refund_by_key(world.tokens(invoice.vault.0), to, &[]);
    let (_, slot) = node.send(&[refund], &[&world.bank, &key]).await.unwrap();
    assert_eq!(sums(&world.events(slot).await), [(Kind::RefundedByKey as u8, 30, friend)]);
}

fn drawn(world: &World, mut terms: SolanaTerms) -> SolanaTerms {
    let random = || new_key().map(|key| B256::new(key.address().to_bytes()));
    terms.draw(&world.escrow.program, random).unwrap();
    terms
}
