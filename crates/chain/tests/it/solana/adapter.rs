//! What indexer and keeper do with any chain, done on Solana.

use super::invoices::World;
use chain::{Action, Block, Chain, Contracts, Sent, Simulated, Slot, Unseen};
use domain::block::{Header, Meaning};
use std::time::Duration;
use terms::{Pubkey, Terms, TxId};
use test_chain::solana::{SOL, new_key};
use test_chain::{Surfpool, SurfpoolOptions};

fn contracts(world: &World) -> Contracts {
    Contracts { escrow: world.escrow.program.into(), gate: world.gate.program.into() }
}

const NONE: [u64; 0] = [];

/// An invoice of 100 for which so much has come.
async fn funded(world: &World, refund_to: Pubkey, amount: u64) -> Terms {
    let terms = world.terms(100, 600, refund_to, 0).await;
    let to = world.invoice(&terms).addresses.invoice;
    let customer = world.node.customer(&world.bank, &world.mint, amount).await.unwrap();
    world.node.transfer(&customer, &to, &world.mint, amount).await.unwrap();
    Terms::Solana(terms)
}

/// Reads on until a block with this transaction.
async fn block_of(world: &World, begin: Header, tx: TxId) -> Block<<chain::solana::Solana as Chain>::Rest> {
    let mut last = begin;
    loop {
        match world.chain.next(&last).await.unwrap() {
            Some(block) if block.transactions.contains(&tx) => return block,
            Some(block) => last = block.header,
            None => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

#[tokio::test]
async fn settlements_are_tried_packed_signed_sent_and_seen() {
    let world = World::new(false).await;
    let (chain, contracts, signer) = (&world.chain, contracts(&world), world.settler.address().into());
    let refund_to = new_key().unwrap().address();
    let mut actions = vec![];
    for _ in 0..3 {
        // More than is due: the vault is not empty afterwards, and stays.
        let action = Action::Settle(funded(&world, refund_to, 101).await);
        let Simulated::Works(gas) = chain.simulate(contracts, signer, &action).await.unwrap() else {
            panic!("{action:?}")
        };
        actions.push((action, gas));
    }
    println!("compute units of a settlement, with its margin: {}", actions[0].1);
    let packs = chain.pack(contracts, &actions);
    let items: Vec<_> = packs.iter().map(|pack| pack.items.clone()).collect();
    assert_eq!(items, [vec![0, 1], vec![2]]);

    let begin = chain.tags().await.unwrap().latest;
    let (prepared, fees) = (chain.prepare().await.unwrap(), chain.fees().await.unwrap());
    let together = [actions[0].0.clone(), actions[1].0.clone()];
    let sign =
        |nonce| chain.sign(contracts, &together, Slot { signer, nonce }, packs[0].gas_limit, fees, &prepared).unwrap();
    let signed = sign(1);
    assert_eq!(sign(1).raw, signed.raw, "the same gives the same bytes");
    assert_ne!(sign(2).hash, signed.hash, "no two transactions of a key have the same name");
    assert_eq!(signed.expires_after, Some(prepared.last_valid_height));
    assert_eq!(chain.send(&signed.raw).await, Sent::Taken);

    let block = block_of(&world, begin, signed.hash).await;
    let outcome = chain.outcome(signed.hash, block.header.hash).await.unwrap().unwrap();
    assert!(outcome.success && outcome.fee >= 5_000 && outcome.gas_used > 0 && outcome.gas_used < signed.gas_limit);
    assert_eq!(chain.outcome(signed.hash, begin.hash).await.unwrap(), None);
    let logs = chain.logs(&block, contracts.escrow).await.unwrap();
    let told: Vec<_> = logs.read.iter().filter(|(log, _)| log.tx_hash == signed.hash).map(|(_, told)| told).collect();
    let hashes = together.map(|action| match action {
        Action::Settle(terms) => terms.hash(),
        _ => panic!(),
    });
    for (told, hash) in told.iter().zip(hashes) {
        assert!(
            matches!(told, Meaning::Recorded { terms_hash, kind: 1, paid: 100, status: 1, .. } if *terms_hash == hash)
        );
    }
    assert_eq!((told.len(), logs.odd.len()), (2, 0));
    assert_eq!(world.node.tokens(&world.mint.account_of(&world.payee)).await.unwrap(), 200);

    // The same once more fails on chain, as a whole: it is seen there, has cost its fee and has done nothing.
    let again = chain
        .sign(
            contracts,
            &[actions[1].0.clone(), actions[2].0.clone()],
            Slot { signer, nonce: 3 },
            packs[0].gas_limit,
            fees,
            &chain.prepare().await.unwrap(),
        )
        .unwrap();
    assert_eq!(chain.send(&again.raw).await, Sent::Taken);
    let block = block_of(&world, block.header, again.hash).await;
    let outcome = chain.outcome(again.hash, block.header.hash).await.unwrap().unwrap();
    assert!(!outcome.success && outcome.fee >= 5_000);
    let logs = chain.logs(&block, contracts.escrow).await.unwrap();
    assert!(logs.read.iter().all(|(log, _)| log.tx_hash != again.hash));
    assert_eq!(world.node.tokens(&world.mint.account_of(&world.payee)).await.unwrap(), 200);
}

/// `chain:S4` by the keeper's hand: the end of the wallet is in the transaction that empties it.
#[tokio::test]
async fn what_empties_a_vault_closes_it_in_the_same_transaction() {
    let world = World::new(false).await;
    let (chain, contracts, signer) = (&world.chain, contracts(&world), world.settler.address().into());
    let refund_to = new_key().unwrap().address();
    let terms = funded(&world, refund_to, 100).await;
    let address = world.invoice(terms.solana().unwrap()).addresses.invoice;
    let vault = world.mint.account_of(&address);
    let rent = world.node.lamports(&vault).await.unwrap();
    let action = Action::Settle(terms);
    let Simulated::Works(gas) = chain.simulate(contracts, signer, &action).await.unwrap() else { panic!("{action:?}") };
    let begin = chain.tags().await.unwrap().latest;
    let (prepared, fees) = (chain.prepare().await.unwrap(), chain.fees().await.unwrap());
    let signed = chain.sign(contracts, &[action], Slot { signer, nonce: 1 }, gas, fees, &prepared).unwrap();
    assert_eq!(chain.send(&signed.raw).await, Sent::Taken);
    let block = block_of(&world, begin, signed.hash).await;
    assert!(chain.outcome(signed.hash, block.header.hash).await.unwrap().unwrap().success);
    assert_eq!(world.node.lamports(&vault).await.unwrap(), 0);
    assert_eq!(world.node.lamports(&refund_to).await.unwrap(), rent, "its rent goes to refundTo");
    // The account that is gone is no deposit, whatever the node says that lay there.
    let logs = chain.logs(&block, contracts.escrow).await.unwrap();
    let deposits = logs
        .read
        .iter()
        .filter(|(_, meaning)| matches!(meaning, Meaning::Transfer { to, .. } if *to == address.into()));
    assert_eq!(deposits.count(), 0);
}

#[tokio::test]
async fn a_deposit_is_a_transfer_of_the_mint_to_the_invoices_address() {
    let world = World::new(true).await;
    let begin = world.chain.tags().await.unwrap().latest;
    let customer = world.node.customer(&world.bank, &world.mint, 100).await.unwrap();
    let terms = world.terms(100, 600, customer.address(), 0).await;
    let to = world.invoice(&terms).addresses.invoice;
    let open = world.mint.open(&customer.address(), &to);
    let (name, _) =
        world.node.send(&[open, world.mint.transfer(&customer.address(), &to, 60)], &[&customer]).await.unwrap();
    let block = block_of(&world, begin, name.parse().unwrap()).await;
    let logs = world.chain.logs(&block, world.escrow.program.into()).await.unwrap();
    let (log, meaning) = logs.read.iter().find(|(log, _)| log.tx_hash.to_string() == name).unwrap();
    let transfer =
        Meaning::Transfer { from: customer.address().into(), to: to.into(), amount: alloy_primitives::U256::from(60) };
    assert_eq!((log.address, meaning), (world.mint.address.into(), &transfer));
}

#[tokio::test]
async fn refunds_make_the_account_they_go_to_and_cancels_go_through_the_gate() {
    let world = World::new(false).await;
    let (chain, contracts) = (&world.chain, contracts(&world));
    let refund_to = new_key().unwrap().address();
    let terms = funded(&world, refund_to, 100).await;
    let token = terms.token();
    for (key, action) in
        [(&world.canceller, Action::Cancel(terms.clone())), (&world.settler, Action::Refund(terms.clone(), token))]
    {
        let signer = key.address().into();
        let Simulated::Works(gas) = chain.simulate(contracts, signer, &action).await.unwrap() else {
            panic!("{action:?}")
        };
        let (prepared, fees) = (chain.prepare().await.unwrap(), chain.fees().await.unwrap());
        let slot = Slot { signer, nonce: 0 };
        let signed = chain.sign(contracts, &[action], slot, gas, fees, &prepared).unwrap();
        assert_eq!(chain.send(&signed.raw).await, Sent::Taken);
        world.node.wait_for(&signed.hash.to_string()).await.unwrap();
    }
    assert_eq!(world.node.tokens(&world.mint.account_of(&refund_to)).await.unwrap(), 100);

    // Another token that was sent by mistake, of the other token program, and lamports.
    let other = world.node.create_mint(&world.bank, 2, true).await.unwrap();
    let stranger = world.node.customer(&world.bank, &other, 7).await.unwrap();
    let Terms::Solana(inner) = &terms else { panic!() };
    let to = world.invoice(inner).addresses.invoice;
    world.node.transfer(&stranger, &to, &other, 7).await.unwrap();
    world.node.airdrop(&to, SOL).await.unwrap();
    let signer = world.settler.address().into();
    for token in [other.address.into(), Pubkey::default().into()] {
        let refund = Action::Refund(terms.clone(), token);
        assert!(matches!(chain.simulate(contracts, signer, &refund).await.unwrap(), Simulated::Works(_)), "{token}");
    }
    let settle = chain.simulate(contracts, signer, &Action::Settle(terms)).await.unwrap();
    assert!(matches!(&settle, Simulated::Reverts(why) if why.contains("NotOpen")), "{settle:?}");
}

#[tokio::test]
async fn the_gate_says_whose_key_may_settle() {
    let world = World::new(false).await;
    let contracts = contracts(&world);
    let may = async |key: Pubkey| world.chain.may_settle(contracts, key.into()).await.unwrap();
    assert_eq!(may(world.settler.address()).await, Simulated::Works(0));
    for key in [world.canceller.address(), Pubkey::default()] {
        assert!(matches!(may(key).await, Simulated::Reverts(_)));
    }
    let nowhere = Contracts { gate: contracts.escrow, ..contracts };
    assert!(!matches!(world.chain.may_settle(nowhere, world.settler.address().into()).await, Ok(Simulated::Works(_))));
}

/// `fault:` K16: what has landed is never dead, what may land is not yet, and the mirror has to be beyond it too.
#[tokio::test]
async fn an_attempt_is_dead_when_our_final_blocks_are_beyond_its_last() {
    let options = SurfpoolOptions { slot_time: Duration::from_millis(20), ..SurfpoolOptions::default() };
    let world = World::on(Surfpool::start(options).await.unwrap(), false).await;
    let (chain, contracts, signer) = (&world.chain, contracts(&world), world.settler.address().into());
    let action = Action::Settle(funded(&world, new_key().unwrap().address(), 100).await);
    let (prepared, fees) = (chain.prepare().await.unwrap(), chain.fees().await.unwrap());
    let sign = |nonce| {
        let slot = Slot { signer, nonce };
        chain.sign(contracts, std::slice::from_ref(&action), slot, 100_000, fees, &prepared).unwrap()
    };
    let (lost, landed) = (sign(1), sign(2));
    let unseen = [1, 2].map(|nonce| Unseen { nonce, txs: vec![sign(nonce).hash], expires_after: lost.expires_after });
    assert_eq!(chain.send(&landed.raw).await, Sent::Taken);
    world.node.wait_for(&landed.hash.to_string()).await.unwrap();
    let early = chain.tags().await.unwrap().latest;
    assert_eq!(chain.dead(signer, &unseen, &early).await.unwrap(), NONE);
    let last = lost.expires_after.unwrap();
    let final_ = loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let final_ = chain.tags().await.unwrap().final_;
        if let Some(block) = chain.block(final_).await.unwrap().filter(|_| final_ > last + 100) {
            break block.header;
        }
    };
    assert_eq!(chain.dead(signer, &unseen, &early).await.unwrap(), NONE, "our mirror is not there yet");
    assert_eq!(chain.dead(signer, &unseen, &final_).await.unwrap(), [1]);
    let other = Header { hash: alloy_primitives::B256::ZERO, ..final_ };
    assert_eq!(chain.dead(signer, &unseen, &other).await.unwrap(), NONE, "what the node does not have proves nothing");
}
