//! What a chain would show of an invoice, put into the mirror as the indexer does it.

use crate::service::{CHAIN, Service, TOKEN};
use alloy_primitives::{Address, B256, U256, keccak256};
use domain::block::{Header, Meaning, RawLog};
use serde_json::Value;

pub(crate) struct Chain<'a> {
    service: &'a Service,
    pub(crate) tip: Header,
}

impl<'a> Chain<'a> {
    pub(crate) fn of(service: &'a Service) -> Self {
        Self { service, tip: service.start }
    }

    /// A block one second after the last.
    pub(crate) async fn mine(&mut self, logs: &[(RawLog, Meaning)]) {
        let timestamp = self.tip.timestamp + 1;
        self.mine_at(timestamp, logs).await;
    }

    pub(crate) async fn mine_at(&mut self, timestamp: u64, logs: &[(RawLog, Meaning)]) {
        let number = self.tip.number + 1;
        let hash = keccak256(number.to_be_bytes());
        self.tip = Header { number, hash, parent_hash: self.tip.hash, timestamp };
        let mut tx = self.service.store.begin().await.unwrap();
        let mut touched = store::chain::append(&mut tx, CHAIN, &self.tip, logs, &[], &[]).await.unwrap().touched;
        touched.extend(store::chain::due(&mut tx, CHAIN, 100).await.unwrap());
        for hash in touched {
            store::projection::refresh(&mut tx, hash).await.unwrap();
        }
        tx.commit().await.unwrap();
    }

    /// Everything up to the tip is final.
    pub(crate) async fn finalize(&self) {
        let mut tx = self.service.store.begin().await.unwrap();
        let mut touched = store::chain::move_tags(&mut tx, CHAIN, self.tip.number, self.tip.number).await.unwrap();
        touched.extend(store::chain::due(&mut tx, CHAIN, 100).await.unwrap());
        for hash in touched {
            store::projection::refresh(&mut tx, hash).await.unwrap();
        }
        tx.commit().await.unwrap();
    }
}

/// The parts of a created invoice that a chain sees.
pub(crate) struct OnChain {
    pub(crate) purse: Address,
    pub(crate) hash: B256,
}

impl OnChain {
    pub(crate) fn of(created: &Value) -> Self {
        let terms = &created["terms"][0];
        Self {
            purse: terms["deposit_address"].as_str().unwrap().parse().unwrap(),
            hash: terms["hash"].as_str().unwrap().parse().unwrap(),
        }
    }

    pub(crate) fn deposit(&self, index: u64, amount: u128) -> (RawLog, Meaning) {
        self.transfer(index, TOKEN, U256::from(amount))
    }

    pub(crate) fn transfer(&self, index: u64, token: Address, amount: U256) -> (RawLog, Meaning) {
        let meaning = Meaning::Transfer { from: Address::repeat_byte(0xcc).into(), to: self.purse.into(), amount };
        (log(index, token), meaning)
    }

    /// The escrow's event: 1 settle, 3 cancel, 4 refund.
    pub(crate) fn recorded(&self, index: u64, kind: u8, amount: u128, paid: u128, status: u8) -> (RawLog, Meaning) {
        let meaning = Meaning::Recorded {
            terms_hash: self.hash,
            kind,
            token: TOKEN.into(),
            to: Address::repeat_byte(0xdd).into(),
            amount: U256::from(amount),
            paid,
            status,
        };
        (log(index, crate::service::ESCROW), meaning)
    }
}

fn log(index: u64, address: Address) -> RawLog {
    let tx_hash = keccak256(domain::ids::new_pay_token()).into();
    RawLog { index, tx_hash, address: address.into(), topics: vec![], data: vec![] }
}
