//! [`Chain`] for Solana.

use crate::solana::block::Transaction;
use crate::solana::instructions::{Escrow, Gate, Invoice, Tokens, compute_unit_limit, compute_unit_price};
use crate::solana::rpc::Commitment;
use crate::solana::send::{Fate, Prepared};
use crate::solana::{Instruction, Solana, block, events, send, transaction};
use crate::{Action, Block, Chain, Contracts, Error, Fees, Logs, Pack, Sent, Signed, Simulated, Slot, Tags, Unseen};
use alloy_primitives::{B256, U256};
use domain::block::{About, Header, Meaning, OddLog, Outcome, RawLog};
use domain::project::Recorded;
use escrow_interface::Record;
use escrow_interface::event::Kind;
use escrow_interface::gate::Config as GateConfig;
use serde::Deserialize;
use serde_json::json;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use terms::{Account, Pubkey, SolanaTerms, Terms, TxId};

/// How far a limit on compute units is raised at most so that no two transactions of a key have the same bytes: they would
/// have the same name. It costs nothing but what is not used anyway.
const UNLIKE: u64 = 1_000;

/// The most trials that are remembered.
const MOST_CLOSINGS: usize = 4_096;

/// Any key, where only the size of a transaction matters.
const SOMEBODY: Pubkey = Pubkey::new_from_array([1; 32]);

/// The blockhash where none is needed: nodes put in a recent one, or only the size matters.
const NO_BLOCKHASH: [u8; 32] = [0; 32];

impl Chain for Solana {
    const NONCES: bool = false;
    type Rest = Vec<Transaction>;
    type Prepared = Prepared;

    fn id(&self) -> u64 {
        self.id
    }

    async fn genesis(&self) -> Result<B256, Error> {
        Ok(self.genesis)
    }

    async fn news(&self, at_most: Duration) {
        match &self.slots {
            Some(slots) => slots.lock().await.wait(at_most).await,
            None => tokio::time::sleep(at_most).await,
        }
    }

    async fn tags(&self) -> Result<Tags, Error> {
        let latest = self.blocks.head(Commitment::Confirmed).await?;
        let final_ = self.rpc.slot(Commitment::Finalized).await?;
        Ok(Tags { latest, safe: latest.number, final_: final_.min(latest.number) })
    }

    async fn block(&self, number: u64) -> Result<Option<Block<Self::Rest>>, Error> {
        Ok(self.blocks.at(number).await?.map(whole))
    }

    async fn next(&self, after: &Header) -> Result<Option<Block<Self::Rest>>, Error> {
        Ok(self.blocks.next(after).await?.map(whole))
    }

    async fn has(&self, block: &Header) -> Result<Option<bool>, Error> {
        self.blocks.has(block).await
    }

    async fn logs(&self, block: &Block<Self::Rest>, escrow: Account) -> Result<Logs, Error> {
        let escrow = Escrow::at(key(escrow)?)?;
        let events = events::read(block.header.number, &block.rest, &escrow)?;
        let mut logs = Logs::default();
        for event in events {
            put(&mut logs, event, &escrow);
        }
        Ok(logs)
    }

    async fn outcome(&self, tx: TxId, block: B256) -> Result<Option<Outcome>, Error> {
        let config =
            json!({"commitment": Commitment::Confirmed, "encoding": "json", "maxSupportedTransactionVersion": 0});
        let found: Option<Found> = self.rpc.call("getTransaction", (tx.to_string(), config)).await?;
        let Some(found) = found else { return Ok(None) };
        let there = self.blocks.header_at(found.slot).await?;
        Ok(there.filter(|there| there.hash == block).map(|_| Outcome {
            success: found.meta.err.is_none(),
            gas_used: found.meta.compute_units_consumed.unwrap_or(0),
            fee: found.meta.fee.into(),
        }))
    }

    fn signers(&self) -> Vec<Account> {
        self.signers.iter().map(|key| key.address().into()).collect()
    }

    async fn nonce(&self, _: Account) -> Result<u64, Error> {
        Ok(0)
    }

    /// Proven twice: our own final blocks go beyond the height at which any of them could land, and have none of them; and
    /// the node, which knows of them all, says the same.
    async fn dead(&self, _: Account, unseen: &[Unseen], final_: &Header) -> Result<Vec<u64>, Error> {
        let mut dead = Vec::new();
        if unseen.is_empty() {
            return Ok(dead);
        }
        let Some(height) = self.blocks.height(final_).await? else { return Ok(dead) };
        for Unseen { nonce, txs, expires_after } in unseen {
            let Some(last) = expires_after.filter(|last| *last < height) else { continue };
            let mut all = true;
            for tx in txs {
                let TxId::Solana(signature) = tx else {
                    return Err(Error::Configuration(format!("{tx} is no transaction of Solana")));
                };
                all = all && send::fate(&self.rpc, signature, last).await? == Fate::Dead;
            }
            if all {
                dead.push(*nonce);
            }
        }
        Ok(dead)
    }

    async fn may_settle(&self, contracts: Contracts, signer: Account) -> Result<Simulated, Error> {
        let (gate, signer) = (Gate::at(key(contracts.gate)?)?, key(signer)?);
        let config = self.rpc.account(&gate.config).await?.filter(|config| config.owner == gate.program);
        let config = config.and_then(|config| GateConfig::decode(&config.data));
        Ok(match config {
            None => Simulated::Reverts(format!("the gate {} was not set up", gate.program)),
            Some(config) if config.settlers().contains(signer.as_array()) => Simulated::Works(0),
            Some(_) => Simulated::Reverts(format!("{signer} is no settler's key of the gate {}", gate.program)),
        })
    }

    async fn simulate(&self, contracts: Contracts, signer: Account, action: &Action) -> Result<Simulated, Error> {
        let signer = key(signer)?;
        self.learn(action).await?;
        // What empties the vault closes it too: that is the end of the wallet. Where money stays there, it cannot.
        if let Some((terms, payer)) = self.empties(contracts, action).await? {
            self.remember(terms, payer);
            if let works @ Simulated::Works(_) = self.try_out(contracts, signer, action).await? {
                return Ok(works);
            }
            lock(&self.closings).remove(&terms);
        }
        self.try_out(contracts, signer, action).await
    }

    /// As many settlements together as fit in a packet; all else alone. One that fails takes those beside it with it: nothing
    /// has happened then, and they are tried again.
    fn pack(&self, contracts: Contracts, actions: &[(Action, u64)]) -> Vec<Pack> {
        let mut packs: Vec<Pack> = Vec::new();
        let mut open: Option<(usize, Vec<Instruction>)> = None;
        for (item, (action, gas)) in actions.iter().enumerate() {
            let instructions = self.instructions(contracts, SOMEBODY, action).unwrap_or_default();
            let joins = matches!(action, Action::Settle(_)) && !instructions.is_empty();
            if let (true, Some((at, together))) = (joins, &mut open) {
                let more = merged(together, &instructions);
                if let Some(pack) = packs.get_mut(*at)
                    && transaction::size(&message(&more, &SOMEBODY, 0, 0, NO_BLOCKHASH)) <= transaction::MAX_BYTES
                    && pack.gas_limit.saturating_add(*gas) + UNLIKE <= send::MAX_UNITS.into()
                {
                    pack.items.push(item);
                    pack.gas_limit = pack.gas_limit.saturating_add(*gas);
                    *together = more;
                    continue;
                }
            }
            if joins {
                open = Some((packs.len(), instructions));
            }
            packs.push(Pack { items: vec![item], gas_limit: *gas });
        }
        packs
    }

    /// In millionths of a lamport for each compute unit. The base fee of a signature is the chain's and has no market.
    async fn fees(&self) -> Result<Fees, Error> {
        let price = send::recent_price(&self.rpc).await?.into();
        Ok(Fees { max: price, priority: price })
    }

    async fn prepare(&self) -> Result<Prepared, Error> {
        send::prepare(&self.rpc).await
    }

    fn sign(
        &self,
        contracts: Contracts,
        actions: &[Action],
        slot: Slot,
        gas_limit: u64,
        fees: Fees,
        prepared: &Prepared,
    ) -> Result<Signed, Error> {
        let signer = key(slot.signer)?;
        let pair = self.signers.iter().find(|pair| pair.address() == signer);
        let pair = pair.ok_or_else(|| Error::Configuration(format!("no key of {signer} is configured")))?;
        let mut instructions = Vec::new();
        for action in actions {
            instructions = merged(&instructions, &self.instructions(contracts, signer, action)?);
        }
        let limit = gas_limit.saturating_add(slot.nonce % UNLIKE).min(send::MAX_UNITS.into());
        let price = u64::try_from(fees.priority).unwrap_or(u64::MAX);
        let message = message(&instructions, &signer, limit, price, prepared.blockhash);
        let transaction::Bytes { raw, signature } = transaction::sign(&message, &[pair])?;
        Ok(Signed {
            raw: raw.into(),
            hash: TxId::Solana(signature),
            gas_limit: limit,
            max_fee: price.into(),
            expires_after: Some(prepared.last_valid_height),
        })
    }

    fn sign_nothing(&self, _: Slot, _: Fees) -> Result<Signed, Error> {
        Err(no_nonces())
    }

    fn sign_again(&self, _: Account, _: &[u8], _: Fees, _: u128) -> Result<Option<Signed>, Error> {
        Err(no_nonces())
    }

    async fn send(&self, raw: &[u8]) -> Sent {
        send::send(&self.rpc, raw).await
    }
}

#[derive(Deserialize)]
struct Found {
    slot: u64,
    meta: FoundMeta,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FoundMeta {
    err: Option<serde_json::Value>,
    fee: u64,
    compute_units_consumed: Option<u64>,
}

impl Solana {
    /// Tries an action out, from after the latest block on.
    async fn try_out(&self, contracts: Contracts, signer: Pubkey, action: &Action) -> Result<Simulated, Error> {
        let mut instructions = self.instructions(contracts, signer, action)?;
        instructions.push(compute_unit_limit(send::MAX_UNITS));
        let message = transaction::message(&instructions, &signer, NO_BLOCKHASH);
        Ok(match send::simulate(&self.rpc, &message).await? {
            Simulated::Works(units) => Simulated::Works(send::unit_limit(units).into()),
            reverts => reverts,
        })
    }

    /// Until the next trial of the same terms. What is forgotten for want of room is settled all the same.
    fn remember(&self, terms: B256, payer: Option<Pubkey>) {
        let mut closings = lock(&self.closings);
        if closings.len() >= MOST_CLOSINGS {
            closings.clear();
        }
        closings.insert(terms, payer);
    }

    /// The terms whose vault may be empty after this, and who paid for the vault, if the record says so.
    async fn empties(&self, contracts: Contracts, action: &Action) -> Result<Option<(B256, Option<Pubkey>)>, Error> {
        let Some(terms) = emptying(action)? else { return Ok(None) };
        let escrow = Escrow::at(key(contracts.escrow)?)?;
        let record = self.rpc.account(&escrow.invoice(terms)?.addresses.record).await?;
        let record = record.filter(|record| record.owner == escrow.program);
        let record = record.and_then(|record| Record::decode(&record.data));
        let payer = record.filter(|record| record.vault_lamports > 0);
        let payer = payer.map(|record| Pubkey::new_from_array(record.vault_payer));
        Ok(Some((terms.hash(), payer)))
    }

    /// What an action asks. The token account that money goes to is made if it is missing, at the signer's cost: neither a
    /// settlement nor a refund makes it. A vault that is empty then is closed.
    fn instructions(&self, contracts: Contracts, signer: Pubkey, action: &Action) -> Result<Vec<Instruction>, Error> {
        let mut instructions = self.asked(contracts, signer, action)?;
        if let Some(terms) = emptying(action)?
            && let Some(payer) = lock(&self.closings).get(&terms.hash()).copied()
        {
            instructions.push(Escrow::at(key(contracts.escrow)?)?.invoice(terms)?.close_vault(payer));
        }
        Ok(instructions)
    }

    fn asked(&self, contracts: Contracts, signer: Pubkey, action: &Action) -> Result<Vec<Instruction>, Error> {
        let (escrow, gate) = (Escrow::at(key(contracts.escrow)?)?, Gate::at(key(contracts.gate)?)?);
        let invoice = |terms: &Terms| -> Result<Invoice, Error> { escrow.invoice(here(terms)?) };
        Ok(match action {
            Action::Settle(terms) => {
                let invoice = invoice(terms)?;
                vec![invoice.open_payee_account(signer), gate.pass(signer, invoice.settle(signer))]
            }
            Action::Cancel(terms) => vec![gate.pass(signer, invoice(terms)?.cancel(signer, gate.settler))],
            Action::Refund(terms, token) if token.is_zero() => vec![invoice(terms)?.refund_native()],
            Action::Refund(terms, token) => {
                let (invoice, mint) = (invoice(terms)?, key(*token)?);
                let token_program = self.token_program(here(terms)?, &mint)?;
                let account = terms::solana::associated_token(&invoice.addresses.invoice, &mint, &token_program).0;
                let tokens = Tokens { account, mint, token_program };
                vec![invoice.open_refund_account(signer, tokens), invoice.refund(tokens, &[])]
            }
            Action::RefundByOrder(..) | Action::Fund(..) => {
                return Err(Error::Configuration("there are no signed orders and authorizations on Solana".to_owned()));
            }
            Action::MintAndPay(..) | Action::Redeem(..) | Action::AttestReserve(..) => {
                return Err(Error::Configuration("there is no mint gate on Solana yet".to_owned()));
            }
        })
    }

    /// Which program a mint belongs to: what the terms say of theirs, else what the chain has said.
    fn token_program(&self, terms: &SolanaTerms, mint: &Pubkey) -> Result<Pubkey, Error> {
        if *mint == terms.token {
            return Ok(terms.token_program());
        }
        lock(&self.token_programs)
            .get(mint)
            .copied()
            .ok_or_else(|| Error::Configuration(format!("nobody has said yet what mint {mint} is")))
    }

    /// Asks for the program of a mint that is not the invoice's. It never changes.
    async fn learn(&self, action: &Action) -> Result<(), Error> {
        let Action::Refund(terms, token) = action else { return Ok(()) };
        let mint = key(*token)?;
        if token.is_zero() || self.token_program(here(terms)?, &mint).is_ok() {
            return Ok(());
        }
        let owner = self.rpc.account(&mint).await?.map(|mint| mint.owner);
        let owner = owner.ok_or_else(|| Error::Nonsense(format!("there is no mint {mint}")))?;
        lock(&self.token_programs).insert(mint, owner);
        Ok(())
    }
}

fn message(
    instructions: &[Instruction],
    payer: &Pubkey,
    limit: u64,
    price: u64,
    blockhash: [u8; 32],
) -> solana_message::Message {
    let limit = compute_unit_limit(u32::try_from(limit).unwrap_or(send::MAX_UNITS));
    let all = [&[limit, compute_unit_price(price)], instructions].concat();
    transaction::message(&all, payer, blockhash)
}

/// Both, and what both want only once: two settlements may go to the same token account.
fn merged(these: &[Instruction], those: &[Instruction]) -> Vec<Instruction> {
    let mut all = these.to_vec();
    all.extend(those.iter().filter(|instruction| !these.contains(instruction)).cloned());
    all
}

fn whole(block: block::Block) -> Block<Vec<Transaction>> {
    let transactions = block.transactions.iter().map(|transaction| TxId::Solana(transaction.signature)).collect();
    Block { header: block.header, transactions, rest: block.transactions }
}

fn put(logs: &mut Logs, event: events::Event, escrow: &Escrow) {
    let events::Event { index, signature, meaning } = event;
    let tx_hash = TxId::Solana(signature);
    let raw =
        |address: Pubkey, data: Vec<u8>| RawLog { index, tx_hash, address: address.into(), topics: Vec::new(), data };
    let odd = |address: Pubkey, data: Vec<u8>, about: About, why: &str| OddLog {
        index: Some(index),
        tx_hash: Some(tx_hash),
        address: address.into(),
        topics: Vec::new(),
        data,
        about,
        why: why.to_owned(),
    };
    match meaning {
        // Nothing but rent has moved, and an invoice that is over stays what it was.
        events::Meaning::Recorded(told) if told.kind == Kind::RecordClosed as u8 => {}
        events::Meaning::Recorded(told) if Recorded::from_kind(told.kind).is_none() => {
            let why = format!("kind {} is none that we know", told.kind);
            logs.odd.push(odd(escrow.program, told.encode().to_vec(), About::Escrow, &why));
        }
        events::Meaning::Recorded(told) => {
            let account = |key: [u8; 32]| Account::Solana(Pubkey::new_from_array(key));
            let meaning = Meaning::Recorded {
                terms_hash: B256::new(told.terms_hash),
                kind: told.kind,
                token: account(told.token),
                to: account(told.to),
                amount: U256::from(told.amount),
                paid: told.paid.into(),
                status: told.status,
            };
            logs.read.push((raw(escrow.program, told.encode().to_vec()), meaning));
        }
        events::Meaning::Odd(data) => {
            logs.odd.push(odd(escrow.program, data, About::Escrow, "it is no event that we know"));
        }
        events::Meaning::Received(received) => {
            let data = received.account.to_bytes().to_vec();
            if received.vault {
                let from = received.from.unwrap_or_default().into();
                let meaning =
                    Meaning::Transfer { from, to: received.owner.into(), amount: U256::from(received.amount) };
                logs.read.push((raw(received.mint, data), meaning));
            } else {
                let why =
                    "it lies in a token account of the invoice that is not its vault: from there it can only go back";
                let about = About::Purses(vec![received.owner.into()]);
                logs.odd.push(odd(received.mint, data, about, why));
            }
        }
    }
}

/// The terms whose vault an action may empty.
fn emptying(action: &Action) -> Result<Option<&SolanaTerms>, Error> {
    match action {
        Action::Settle(terms) => here(terms).map(Some),
        Action::Refund(terms, token) if *token == terms.token() => here(terms).map(Some),
        _ => Ok(None),
    }
}

/// A panic while it is locked leaves nothing half done.
fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An address, here.
fn key(account: Account) -> Result<Pubkey, Error> {
    account.solana().ok_or_else(|| Error::Configuration(format!("{account} is no address on Solana")))
}

/// Terms, here.
fn here(terms: &Terms) -> Result<&SolanaTerms, Error> {
    terms.solana().ok_or_else(|| Error::Configuration(format!("terms {} are not for Solana", terms.hash())))
}

fn no_nonces() -> Error {
    Error::Configuration("there are no nonces on Solana".to_owned())
}
