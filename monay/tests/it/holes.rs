//! A chain whose numbers have holes, as Solana's slots have: mirrored, forked and read anew like any other.

use alloy_primitives::{B256, Bytes};
use chain::{Action, Block, Chain, Contracts, Error, Fees, Logs, Pack, Sent, Signed, Simulated, Slot, Tags, Unseen};
use domain::block::{Header, Outcome};
use domain::tier::Tier;
use indexer::Indexer;
use sqlx::Row;
use std::sync::{Arc, Mutex};
use store::Store;
use store::chain::Deployed;
use terms::{Account, Pubkey, TxId};
use test_chain::{Postgres, PostgresOptions};

const CHAIN: u64 = 0xa7e2_f8a6_9869_2945;

/// Blocks by slot, and the slots of the tags: safe, final.
#[derive(Clone, Default)]
struct Slots(Arc<Mutex<(Vec<Header>, u64, u64)>>);

impl Slots {
    /// Takes away every block from a slot on, and puts others there.
    fn fork(&self, from: u64, slots: &[u64]) {
        let mut chain = self.0.lock().unwrap();
        chain.0.retain(|block| block.number < from);
        for slot in slots {
            let parent_hash = chain.0.last().map_or(B256::ZERO, |block| block.hash);
            let hash = alloy_primitives::keccak256([parent_hash.as_slice(), &slot.to_be_bytes()].concat());
            chain.0.push(Header { number: *slot, hash, parent_hash, timestamp: 1_000 + slot });
        }
    }

    fn tag(&self, safe: u64, final_: u64) {
        let mut chain = self.0.lock().unwrap();
        (chain.1, chain.2) = (safe, final_);
    }

    fn find(&self, is: impl Fn(&Header) -> bool) -> Option<Block<()>> {
        let chain = self.0.lock().unwrap();
        let header = chain.0.iter().copied().find(is)?;
        Some(Block { header, transactions: vec![], rest: () })
    }
}

impl Chain for Slots {
    const NONCES: bool = false;
    type Rest = ();
    type Prepared = ();

    fn id(&self) -> u64 {
        CHAIN
    }

    async fn genesis(&self) -> Result<B256, Error> {
        Ok(B256::repeat_byte(1))
    }

    async fn tags(&self) -> Result<Tags, Error> {
        let chain = self.0.lock().unwrap();
        Ok(Tags { latest: *chain.0.last().unwrap(), safe: chain.1, final_: chain.2 })
    }

    async fn block(&self, number: u64) -> Result<Option<Block<()>>, Error> {
        Ok(self.find(|block| block.number == number))
    }

    async fn next(&self, after: &Header) -> Result<Option<Block<()>>, Error> {
        let next = self.find(|block| block.number > after.number);
        Ok(next.filter(|block| block.header.parent_hash == after.hash))
    }

    async fn has(&self, block: &Header) -> Result<Option<bool>, Error> {
        Ok(Some(self.find(|found| found.hash == block.hash).is_some()))
    }

    async fn logs(&self, _: &Block<()>, _: Account) -> Result<Logs, Error> {
        Ok(Logs::default())
    }

    async fn outcome(&self, _: TxId, _: B256) -> Result<Option<Outcome>, Error> {
        Ok(None)
    }

    fn signers(&self) -> Vec<Account> {
        Vec::new()
    }

    async fn nonce(&self, _: Account) -> Result<u64, Error> {
        Ok(0)
    }

    async fn dead(&self, _: Account, _: &[Unseen], _: &Header) -> Result<Vec<u64>, Error> {
        Ok(Vec::new())
    }

    async fn may_settle(&self, _: Contracts, _: Account) -> Result<Simulated, Error> {
        Ok(Simulated::Works(0))
    }

    async fn simulate(&self, _: Contracts, _: Account, _: &Action) -> Result<Simulated, Error> {
        Ok(Simulated::Works(0))
    }

    fn pack(&self, _: Contracts, _: &[(Action, u64)]) -> Vec<Pack> {
        Vec::new()
    }

    async fn fees(&self) -> Result<Fees, Error> {
        Ok(Fees { max: 0, priority: 0 })
    }

    async fn prepare(&self) -> Result<(), Error> {
        Ok(())
    }

    fn sign(&self, _: Contracts, _: &[Action], _: Slot, _: u64, _: Fees, (): &()) -> Result<Signed, Error> {
        self.sign_nothing(Slot { signer: Pubkey::default().into(), nonce: 0 }, Fees { max: 0, priority: 0 })
    }

    fn sign_nothing(&self, _: Slot, _: Fees) -> Result<Signed, Error> {
        let hash = TxId::Solana([0; 64]);
        Ok(Signed { raw: Bytes::new(), hash, gas_limit: 0, max_fee: 0, expires_after: None })
    }

    fn sign_again(&self, _: Account, _: &[u8], _: Fees, _: u128) -> Result<Option<Signed>, Error> {
        Ok(None)
    }

    async fn send(&self, _: &[u8]) -> Sent {
        Sent::Taken
    }
}

async fn until_level(indexer: &Indexer<Slots>) {
    while indexer.step().await.unwrap() {}
    // The tags of blocks that were new with this step.
    indexer.step().await.unwrap();
}

/// Slots of the mirror, each but the first the child of the one before; safe and final.
async fn mirrored(store: &Store) -> (Vec<i64>, i64, i64) {
    let rows = sqlx::query("SELECT number, hash, parent_hash FROM blocks ORDER BY number");
    let rows = rows.fetch_all(store.pool()).await.unwrap();
    for pair in rows.windows(2) {
        assert_eq!(pair[0].get::<Vec<u8>, _>("hash"), pair[1].get::<Vec<u8>, _>("parent_hash"));
    }
    let tags = sqlx::query("SELECT safe_number, final_number FROM chains WHERE chain_id = $1 AND kind = 'solana'");
    let tags = tags.bind(CHAIN.cast_signed()).fetch_one(store.pool()).await.unwrap();
    (rows.iter().map(|row| row.get("number")).collect(), tags.get(0), tags.get(1))
}

#[tokio::test]
async fn a_chain_with_holes_is_mirrored_forked_and_read_anew_without_a_gap() {
    let postgres = Postgres::start(PostgresOptions::for_tests()).await.unwrap();
    let store = Store::connect(&postgres.fresh_database().await.unwrap(), 4).await.unwrap();
    store.migrate().await.unwrap();
    let chain = Slots::default();
    chain.fork(0, &[10, 12, 13, 17, 20]);
    chain.tag(14, 11);
    let key = |byte| Account::Solana(Pubkey::new_from_array([byte; 32]));
    let deployed = Deployed {
        chain: CHAIN,
        name: "solana".to_owned(),
        kind: store::chain::ChainKind::Solana,
        genesis_hash: B256::repeat_byte(1),
        escrow: key(1),
        token: key(2),
        token_2022: false,
        settler: key(3),
        gate: key(4),
        settle_tier: Tier::Safe,
    };
    let start = chain.block(10).await.unwrap().unwrap().header;
    let mut tx = store.begin().await.unwrap();
    store::chain::put(&mut tx, &deployed, &start).await.unwrap();
    tx.commit().await.unwrap();

    let indexer = Indexer { store: store.clone(), chain: chain.clone() };
    until_level(&indexer).await;
    assert_eq!(mirrored(&store).await, (vec![10, 12, 13, 17, 20], 13, 10), "a tag on an empty slot is the block below");

    chain.fork(16, &[16, 19, 22]);
    until_level(&indexer).await;
    assert_eq!(mirrored(&store).await.0, [10, 12, 13, 16, 19, 22]);

    chain.tag(22, 18);
    until_level(&indexer).await;
    assert_eq!(mirrored(&store).await, (vec![10, 12, 13, 16, 19, 22], 22, 16));
    assert!(indexer.rebuild(true, |_, _| {}).await.unwrap().is_same());
    assert_eq!(mirrored(&store).await, (vec![10, 12, 13, 16, 19, 22], 22, 16));

    chain.fork(16, &[16, 21]);
    let error = indexer.step().await;
    assert!(error.is_ok(), "above what is final anything may change: {error:?}");
    chain.fork(12, &[23]);
    let error = indexer.step().await.unwrap_err();
    assert!(matches!(error, indexer::Error::FinalityBroken { final_: 16, .. }), "{error}");
    store.close().await;
    postgres.stop().await;
}
