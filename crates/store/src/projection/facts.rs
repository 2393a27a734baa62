//! Everything known of some invoices, in a handful of statements.

use super::bytes;
use crate::codec::{Columns, corrupt};
use crate::fault::{self, Bug};
use crate::{Error, PgConnection, statements};
use alloy_primitives::{B256, U256};
use domain::mint::{GateEvent, GateFact, OrderFact};
use domain::project::{Deposits, EventFact, Facts, IntentFact, Outcome, Pick, Recorded};
use domain::rails::Look;
use domain::tier::Heights;
use sqlx::Row;
use sqlx::postgres::PgRow;
use std::collections::{BTreeMap, BTreeSet};
use terms::TxId;

statements! {
    // Of each invoice all rails, Base first: among equals that one is picked.
    LOAD = "SELECT t.terms_hash, i.id AS invoice_id, i.tenant_id, i.issuer, i.amount_units::text AS amount, i.paid_units::text AS paid,
            i.received_units::text AS received, i.status AS invoice_status, i.settlement, i.settlement_tier, i.exceptions,
            i.pay_requested_at IS NOT NULL AS pay_requested, i.called_off_at IS NOT NULL AS called_off, i.picked_chain,
            extract(epoch FROM i.expires_at)::bigint AS expires_at, i.sequence,
            t.chain_id, t.token, t.refund_key, t.settler, t.closes_at, t.flags, t.wake_seen_at, t.wake_final_at,
            t.paid_units::text AS rail_paid, t.received_units::text AS rail_received, t.balance_units::text AS rail_balance,
            w.wallet_id, w.status AS wallet_status, w.balance_units::text AS balance,
            c.tip_number, c.safe_number, c.final_number, c.tip_timestamp, c.final_timestamp, c.settle_tier,
            EXISTS (SELECT 1 FROM stuck_invoices s WHERE s.terms_hash = t.terms_hash) AS stuck,
            EXISTS (SELECT 1 FROM gates g WHERE g.chain_id = t.chain_id AND g.kind = 'mint' AND g.address = t.payee) AS redeems
        FROM invoice_terms t JOIN invoices i ON i.id = t.invoice_id JOIN invoice_wallets w ON w.invoice_id = i.id
        JOIN chains c ON c.chain_id = t.chain_id
        WHERE i.id IN (SELECT invoice_id FROM invoice_terms WHERE terms_hash = ANY($1)) ORDER BY i.id, c.kind, t.chain_id";
    // A settlement that a re-org takes back takes its deposit with it, and nothing is lost but where there is another rail: that
    // one may be paid meanwhile, and then both come back. So with several rails nothing counts before it is safe (PROTOCOL §7).
    DEPOSITS = "SELECT d.terms_hash,
            LEAST(COALESCE(SUM(d.amount_units) FILTER (WHERE NOT d.foreign_token), 0), $2::text::numeric)::text AS received,
            LEAST(COALESCE(SUM(d.amount_units) FILTER (WHERE NOT d.foreign_token
                AND d.block_timestamp < extract(epoch FROM i.expires_at)::bigint), 0), $2::text::numeric)::text AS on_time,
            LEAST(COALESCE(SUM(d.amount_units) FILTER (WHERE NOT d.foreign_token AND d.block_number <= CASE
                WHEN c.settle_tier = 'final' THEN c.final_number
                WHEN c.settle_tier = 'seen' AND NOT EXISTS (SELECT 1 FROM invoice_terms o WHERE o.invoice_id = t.invoice_id
                    AND o.chain_id <> t.chain_id) THEN c.tip_number
                ELSE c.safe_number END), 0), $2::text::numeric)::text AS settleable,
            COALESCE(MAX(d.block_number) FILTER (WHERE NOT d.foreign_token), 0) AS last_block,
            bool_or(d.foreign_token) AS foreign_seen
        FROM deposits d JOIN invoice_terms t USING (terms_hash) JOIN invoices i ON i.id = t.invoice_id
        JOIN chains c ON c.chain_id = t.chain_id WHERE d.terms_hash = ANY($1) GROUP BY d.terms_hash";
    EVENTS = "SELECT terms_hash, kind, token, amount_units::text AS amount, paid_units::text AS paid, status, block_number,
            block_timestamp, tx_hash FROM escrow_events WHERE terms_hash = ANY($1) ORDER BY terms_hash, block_number, log_index";
    // A signature of somebody whom the gate does not know counts for nothing.
    ORDERS = "SELECT o.terms_hash, o.deposit_id, o.attempt, o.valid_until, o.state, g.threshold,
            (SELECT count(*) FROM attestation_signatures s WHERE s.deposit_id = o.deposit_id AND s.attempt = o.attempt
                AND s.signer::bytea = ANY(g.attestors)) AS signatures,
            (SELECT count(*) FROM attestation_refusals r WHERE r.deposit_id = o.deposit_id AND r.attempt = o.attempt
                AND r.signer::bytea = ANY(g.attestors)) AS refusals
        FROM mint_orders o JOIN gates g USING (chain_id)
        WHERE o.terms_hash = ANY($1) AND o.state IN ('wanted', 'attested', 'in_flight') ORDER BY o.terms_hash, o.deposit_id, o.attempt";
    GATE_EVENTS = "SELECT terms_hash, kind, deposit_id, block_number FROM gate_events WHERE terms_hash = ANY($1)
        ORDER BY terms_hash, block_number, log_index";
    INTENTS = "SELECT terms_hash, id, kind, token, cumulative_before::text AS cumulative_before, state FROM intents
        WHERE terms_hash = ANY($1)";
}

/// The rows of an invoice that do not change while it is looked at, because they are locked.
pub(super) struct Loaded {
    /// One for each chain it can be paid on; never none.
    pub(super) rails: Vec<Rail>,
    /// The chain it is paid on, as far as that was decided before.
    pub(super) picked: Option<u64>,
}

/// An invoice's row for one chain: the invoice's own columns, which are the same in all of them, and the chain's.
pub(super) struct Rail {
    pub(super) terms_hash: B256,
    pub(super) row: PgRow,
}

impl Loaded {
    /// The invoice's columns.
    pub(super) fn row(&self) -> Result<&PgRow, Error> {
        self.rails.first().map(|rail| &rail.row).ok_or_else(|| corrupt("an invoice without terms"))
    }
}

/// An invoice with the facts, and what follows from them.
pub(super) struct Looked<'a> {
    pub(super) loaded: &'a Loaded,
    /// The facts of each rail.
    pub(super) facts: Vec<Facts>,
    /// The transaction of each event in the facts of each rail.
    pub(super) hashes: Vec<Vec<TxId>>,
    pub(super) look: Look,
}

impl Looked<'_> {
    /// A text column of the invoice.
    pub(super) fn text(&self, column: &str) -> Result<&str, Error> {
        Ok(self.loaded.row()?.try_get(column)?)
    }

    /// Each rail: its row, its facts and what follows for it.
    pub(super) fn rails(&self) -> impl Iterator<Item = (&Rail, &Facts, &Outcome)> {
        let pairs = self.loaded.rails.iter().zip(&self.facts);
        pairs.zip(&self.look.rails).map(|((rail, facts), outcome)| (rail, facts, outcome))
    }

    /// The escrows' events with their transactions, over all rails, in the order of time.
    pub(super) fn events(&self) -> Vec<(&EventFact, &TxId)> {
        let of_rails = self.facts.iter().zip(&self.hashes);
        let mut events: Vec<_> = of_rails.flat_map(|(facts, hashes)| facts.events.iter().zip(hashes)).collect();
        // Stable: what a chain has in one block stays in its order.
        events.sort_by_key(|(event, _)| event.timestamp);
        events
    }
}

/// The invoices with these terms, each with all its rails.
pub(super) async fn load(db: &mut PgConnection, terms: &[B256]) -> Result<Vec<Loaded>, Error> {
    let rows = sqlx::query(LOAD).bind(bytes(terms.iter().copied())).fetch_all(db).await?;
    let mut found = BTreeSet::new();
    let (mut loaded, mut last) = (Vec::<Loaded>::new(), String::new());
    for row in rows {
        let (invoice, terms_hash): (String, B256) = (row.try_get("invoice_id")?, row.hash("terms_hash")?);
        found.insert(terms_hash);
        match loaded.last_mut() {
            Some(same) if last == invoice => same.rails.push(Rail { terms_hash, row }),
            _ => {
                let picked = row.try_get::<Option<i64>, _>("picked_chain")?.map(i64::cast_unsigned);
                loaded.push(Loaded { rails: vec![Rail { terms_hash, row }], picked });
                last = invoice;
            }
        }
    }
    match terms.iter().find(|hash| !found.contains(*hash)) {
        Some(hash) => Err(Error::Missing(format!("no invoice has terms {hash}"))),
        None => Ok(loaded),
    }
}

/// What is known of them now, decided.
pub(super) async fn look<'a>(
    db: &mut PgConnection,
    loaded: &[&'a Loaded],
    decide: impl Fn(&mut [Facts], Option<u64>) -> Look,
) -> Result<Vec<Looked<'a>>, Error> {
    let terms = bytes(loaded.iter().flat_map(|loaded| loaded.rails.iter().map(|rail| rail.terms_hash)));
    let mut deposits = BTreeMap::new();
    for row in sqlx::query(DEPOSITS).bind(&terms).bind(U256::MAX.to_string()).fetch_all(&mut *db).await? {
        let sums = Deposits {
            received: row.u256("received")?,
            on_time: row.u256("on_time")?,
            settleable: row.u256("settleable")?,
            last_block: row.u64("last_block")?,
        };
        deposits.insert(row.hash("terms_hash")?, (sums, row.try_get::<bool, _>("foreign_seen")?));
    }
    let mut events: BTreeMap<B256, (Vec<EventFact>, Vec<TxId>)> = BTreeMap::new();
    for row in sqlx::query(EVENTS).bind(&terms).fetch_all(&mut *db).await? {
        let (facts, hashes) = events.entry(row.hash("terms_hash")?).or_default();
        facts.push(event(&row)?);
        hashes.push(row.tx("tx_hash")?);
    }
    let mut orders: BTreeMap<B256, Vec<OrderFact>> = BTreeMap::new();
    for row in sqlx::query(ORDERS).bind(&terms).fetch_all(&mut *db).await? {
        orders.entry(row.hash("terms_hash")?).or_default().push(order(&row)?);
    }
    let mut of_gate: BTreeMap<B256, Vec<GateFact>> = BTreeMap::new();
    for row in sqlx::query(GATE_EVENTS).bind(&terms).fetch_all(&mut *db).await? {
        let what = match row.try_get("kind")? {
            "minted" => GateEvent::Minted(row.hash("deposit_id")?),
            "redeemed" => GateEvent::Redeemed,
            _ => return Err(corrupt("kind")),
        };
        let event = GateFact { what, block: row.u64("block_number")? };
        of_gate.entry(row.hash("terms_hash")?).or_default().push(event);
    }
    let mut intents: BTreeMap<B256, Vec<IntentFact>> = BTreeMap::new();
    for row in sqlx::query(INTENTS).bind(&terms).fetch_all(db).await? {
        intents.entry(row.hash("terms_hash")?).or_default().push(IntentFact {
            id: row.hash("id")?,
            kind: row.word("kind")?,
            token: row.account("token")?,
            cumulative_before: row.u256("cumulative_before")?,
            state: row.word("state")?,
        });
    }
    let looked = loaded.iter().map(|loaded| {
        let (mut all, mut hashes) = (Vec::new(), Vec::new());
        for rail in &loaded.rails {
            let hash = rail.terms_hash;
            let (deposits, foreign) = deposits.remove(&hash).unwrap_or((NOTHING, false));
            let (events, txs) = events.remove(&hash).unwrap_or_default();
            let intents = intents.remove(&hash).unwrap_or_default();
            let (orders, gate_events) =
                (orders.remove(&hash).unwrap_or_default(), of_gate.remove(&hash).unwrap_or_default());
            all.push(Facts { foreign, orders, gate_events, ..facts(rail, deposits, events, intents)? });
            hashes.push(txs);
        }
        let look = decide(&mut all, loaded.picked);
        Ok(Looked { loaded, facts: all, hashes, look })
    });
    looked.collect()
}

/// No money came.
const NOTHING: Deposits = Deposits { received: U256::ZERO, on_time: U256::ZERO, settleable: U256::ZERO, last_block: 0 };

fn event(row: &PgRow) -> Result<EventFact, Error> {
    let kind = u8::try_from(row.try_get::<i16, _>("kind")?).map_err(|_| corrupt("kind"))?;
    Ok(EventFact {
        what: Recorded::from_kind(kind).ok_or_else(|| corrupt("kind"))?,
        token: row.account("token")?,
        amount: row.u256("amount")?,
        paid: row.u128("paid")?,
        status: u8::try_from(row.try_get::<i16, _>("status")?).map_err(|_| corrupt("status"))?,
        block: row.u64("block_number")?,
        timestamp: row.u64("block_timestamp")?,
    })
}

fn facts(rail: &Rail, deposits: Deposits, events: Vec<EventFact>, intents: Vec<IntentFact>) -> Result<Facts, Error> {
    let row = &rail.row;
    let flags = u8::try_from(row.try_get::<i16, _>("flags")?).map_err(|_| corrupt("flags"))?;
    Ok(Facts {
        chain: row.chain("chain_id")?,
        // Set by the look.
        pick: Pick::Open,
        terms_hash: rail.terms_hash,
        token: row.account("token")?,
        amount: row.u128("amount")?,
        partials: flags & terms::FLAG_PARTIALS != 0,
        refund_key: !row.account("refund_key")?.is_zero(),
        anyone_settles: row.account("settler")?.is_zero(),
        closes_at: row.u64("closes_at")?,
        expires_at: row.u64("expires_at")?,
        settlement: row.word("settlement")?,
        pay_requested: row.try_get("pay_requested")?,
        called_off: row.try_get("called_off")?,
        deposits,
        foreign: false,
        events,
        intents,
        orders: Vec::new(),
        gate_events: Vec::new(),
        redeems: row.try_get("redeems")?,
        heights: Heights {
            seen: row.u64("tip_number")?,
            safe: row.u64("safe_number")?,
            final_: row.u64("final_number")?,
        },
        now: chain_time(row, "tip_timestamp")?,
        final_now: chain_time(row, "final_timestamp")?,
    })
}

fn order(row: &PgRow) -> Result<OrderFact, Error> {
    let small = |column: &str| u32::try_from(row.try_get::<i32, _>(column)?).map_err(|_| corrupt(column));
    let count = |column: &str| u32::try_from(row.u64(column)?).map_err(|_| corrupt(column));
    Ok(OrderFact {
        deposit_id: row.hash("deposit_id")?,
        attempt: small("attempt")?,
        valid_until: row.u64("valid_until")?,
        signatures: count("signatures")?,
        threshold: small("threshold")?,
        refusals: count("refusals")?,
        state: row.word("state")?,
    })
}

/// The time of a block. Never the machine's own.
fn chain_time(row: &PgRow, column: &str) -> Result<u64, Error> {
    if fault::seeded(Bug::WallClock) {
        return Ok(u64::try_from(time::OffsetDateTime::now_utc().unix_timestamp()).unwrap_or(0));
    }
    row.u64(column)
}
