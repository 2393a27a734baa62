//! Orders to mint, and what attestors say to them (`domain::mint`).
//!
//! An order is written under its invoice's lock and changes on which chain the invoice is paid in the same transaction. What
//! becomes of it follows from signatures, blocks and time, as everything else does: [`crate::projection`].

use crate::codec::{Columns, big, chain_id, corrupt};
use crate::invoices::terms_of;
use crate::{Error, ORDERS_CHANNEL, PgConnection, ledger, projection, statements};
use alloy_primitives::{Address, B256, Bytes};
use domain::ledger::AccountKind;
use domain::mint::{MintRefusal, MintState};
use domain::money::Units;
use domain::receipt::{FiatRail, ReceiptState};
use domain::reserve::{Standing, Told};
use sqlx::Row;
use sqlx::postgres::PgRow;
use terms::abi::{Deposit, Reserve};
use terms::{Account, GateKind, Terms};
use tracing::error;
use uuid::Uuid;

statements! {
    INSERT_GATE = "INSERT INTO gates (chain_id, rail, kind, address, threshold, attestors) VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (chain_id) DO UPDATE SET threshold = EXCLUDED.threshold, attestors = EXCLUDED.attestors
        WHERE (gates.threshold, gates.attestors) IS DISTINCT FROM (EXCLUDED.threshold, EXCLUDED.attestors)";
    GATES = "SELECT chain_id, rail, kind, address, threshold, attestors FROM gates ORDER BY chain_id";
    SPENT = "SELECT EXISTS (SELECT 1 FROM mint_orders WHERE deposit_id = $1 AND state IN ('wanted', 'attested', 'in_flight', 'minted'))
        OR EXISTS (SELECT 1 FROM gate_events WHERE deposit_id = $1) AS spent";
    INSERT_ORDER = "INSERT INTO mint_orders (deposit_id, attempt, receipt_id, tenant_id, invoice_id, terms_hash, rail, chain_id, gate,
            amount_units, valid_until, state)
        SELECT $1::bytea, (SELECT COALESCE(MAX(attempt), 0) + 1 FROM mint_orders WHERE deposit_id = $1::bytea), $2::uuid, t.tenant_id,
            t.invoice_id, t.terms_hash, g.rail, g.chain_id, g.address, $4::text::numeric, $5::bigint, 'wanted'
        FROM invoice_terms t JOIN gates g USING (chain_id) WHERE t.terms_hash = $3::bytea
        RETURNING attempt";
    PICKED = "SELECT i.picked_chain = t.chain_id AS here FROM invoice_terms t JOIN invoices i ON i.id = t.invoice_id
        WHERE t.terms_hash = $1";
    ANNOUNCE = "SELECT pg_notify($1, $2)";
    ORDER = "SELECT o.deposit_id, o.attempt, o.receipt_id, o.rail, o.gate, o.amount_units::text AS order_units, o.valid_until, o.state,
            o.terms_hash, t.invoice_id, t.version, t.chain_id, t.invoice_key, t.payee, t.token, t.amount_units::text AS amount,
            t.closes_at, t.refund_to, t.refund_key, t.settler, t.flags
        FROM mint_orders o JOIN invoice_terms t USING (terms_hash) WHERE o.deposit_id = $1 ORDER BY o.attempt";
    // Of each chain's orders those that this attestor has not signed; one that was refused is asked again after a while.
    UNSIGNED = "SELECT o.deposit_id, o.attempt, o.receipt_id, o.rail, o.gate, o.amount_units::text AS order_units, o.valid_until, o.state,
            o.terms_hash, t.invoice_id, t.version, t.chain_id, t.invoice_key, t.payee, t.token, t.amount_units::text AS amount,
            t.closes_at, t.refund_to, t.refund_key, t.settler, t.flags
        FROM mint_orders o JOIN invoice_terms t USING (terms_hash)
        WHERE o.state IN ('wanted', 'attested', 'in_flight')
        AND NOT EXISTS (SELECT 1 FROM attestation_signatures s WHERE s.deposit_id = o.deposit_id AND s.attempt = o.attempt AND s.signer = $1)
        AND NOT EXISTS (SELECT 1 FROM attestation_refusals r WHERE r.deposit_id = o.deposit_id AND r.attempt = o.attempt AND r.signer = $1
            AND r.refused_at > now() - make_interval(secs => $2 / 1000.0))
        ORDER BY o.created_at, o.deposit_id LIMIT $3";
    LIVE = "SELECT deposit_id, attempt, chain_id, amount_units::text AS units, valid_until FROM mint_orders
        WHERE state IN ('wanted', 'attested', 'in_flight') ORDER BY deposit_id";
    TERMS_OF_ORDER = "SELECT terms_hash FROM mint_orders WHERE deposit_id = $1 AND attempt = $2";
    INSERT_SIGNATURE = "INSERT INTO attestation_signatures (deposit_id, attempt, signer, signature) VALUES ($1, $2, $3, $4)
        ON CONFLICT (deposit_id, attempt, signer) DO NOTHING";
    INSERT_REFUSAL = "INSERT INTO attestation_refusals (deposit_id, attempt, signer, reason) VALUES ($1, $2, $3, $4)
        ON CONFLICT (deposit_id, attempt, signer) DO UPDATE SET reason = EXCLUDED.reason, refused_at = now()";
    CURRENT = "SELECT o.attempt, o.gate, o.amount_units::text AS units, o.valid_until, g.threshold FROM mint_orders o
        JOIN gates g USING (chain_id) WHERE o.deposit_id = $1 AND o.terms_hash = $2 AND o.state IN ('wanted', 'attested', 'in_flight')";
    // In the order of their addresses, as the gate wants them, and only of those it knows.
    SIGNATURES = "SELECT s.signature FROM attestation_signatures s JOIN mint_orders o USING (deposit_id, attempt)
        JOIN gates g ON g.chain_id = o.chain_id
        WHERE s.deposit_id = $1 AND s.attempt = $2 AND s.signer::bytea = ANY(g.attestors) ORDER BY s.signer LIMIT $3";
    BOOKED = "SELECT id, invoice_id, state, mintable_units::text AS mintable, (principal_units + fee_units)::text AS gross, provider, rail,
            request_id, provider_ref FROM fiat_receipts WHERE deposit_id = $1";
    INSERT_RESERVE_ORDER = "INSERT INTO reserve_orders (chain_id, nonce, allocation_units, as_of)
        SELECT $1::bigint, (SELECT COALESCE(MAX(nonce), 0) FROM reserve_orders WHERE chain_id = $1::bigint) + 1, $2::text::numeric,
            $3::bigint RETURNING nonce";
    UNSIGNED_RESERVE = "SELECT r.chain_id, r.nonce, r.allocation_units::text AS units, r.as_of FROM reserve_orders r
        WHERE r.nonce = (SELECT MAX(nonce) FROM reserve_orders n WHERE n.chain_id = r.chain_id)
        AND NOT EXISTS (SELECT 1 FROM reserve_signatures s WHERE s.chain_id = r.chain_id AND s.nonce = r.nonce AND s.signer = $1
            AND (s.signature IS NOT NULL OR s.signed_at > now() - make_interval(secs => $2 / 1000.0))) ORDER BY r.chain_id";
    PUT_RESERVE_WORD = "INSERT INTO reserve_signatures (chain_id, nonce, signer, signature, reason) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (chain_id, nonce, signer) DO UPDATE SET signature = EXCLUDED.signature, reason = EXCLUDED.reason, signed_at = now()
        WHERE reserve_signatures.signature IS NULL";
    HOLD_GATES = "SELECT chain_id FROM gates ORDER BY chain_id FOR NO KEY UPDATE";
    // What is out: minted less burned as of the final block, and all that is ordered and may still be minted.
    STANDINGS = "SELECT g.chain_id, g.kind, c.tip_timestamp, r.nonce, r.allocation_units::text AS units, r.as_of,
            (GREATEST(0, COALESCE((SELECT sum(CASE e.kind WHEN 'minted' THEN e.amount_units ELSE -e.amount_units END) FROM gate_events e
                WHERE e.chain_id = g.chain_id AND e.block_number <= c.final_number), 0))
            + COALESCE((SELECT sum(o.amount_units) FROM mint_orders o WHERE o.chain_id = g.chain_id
                AND o.state IN ('wanted', 'attested', 'in_flight')), 0))::text AS out,
            COALESCE((SELECT count(*) FROM reserve_signatures s WHERE s.chain_id = r.chain_id AND s.nonce = r.nonce
                AND s.signature IS NOT NULL AND s.signer::bytea = ANY(g.attestors)) >= g.threshold, FALSE) AS signed
        FROM gates g JOIN chains c USING (chain_id) LEFT JOIN reserve_orders r ON r.chain_id = g.chain_id
            AND r.nonce = (SELECT MAX(n.nonce) FROM reserve_orders n WHERE n.chain_id = g.chain_id)
        ORDER BY g.chain_id";
    // The newest that enough have signed, unless a transaction that carries it is on its way or is final and has worked: that, or
    // another under the same nonce.
    TO_CARRY = "SELECT r.nonce, r.allocation_units::text AS units, r.as_of, g.address AS gate FROM reserve_orders r JOIN gates g USING (chain_id)
        WHERE r.chain_id = $1 AND r.nonce = (SELECT MAX(n.nonce) FROM reserve_orders n WHERE n.chain_id = r.chain_id
            AND (SELECT count(*) FROM reserve_signatures s WHERE s.chain_id = n.chain_id AND s.nonce = n.nonce
                AND s.signature IS NOT NULL AND s.signer::bytea = ANY(g.attestors)) >= g.threshold)
        AND r.not_before <= now() AND NOT EXISTS (SELECT 1 FROM attempts a JOIN attempts b ON b.chain_id = a.chain_id
                AND b.signer = a.signer AND b.nonce = a.nonce LEFT JOIN observations o ON o.tx_hash = b.tx_hash
            WHERE a.id = r.attempt_id AND (b.state IN ('signed', 'broadcast', 'unknown')
                OR (b.state = 'final' AND NOT b.noop AND COALESCE(o.success, TRUE))))";
    HOLD_RESERVE = "SELECT attempt_id FROM reserve_orders WHERE chain_id = $1 AND nonce = $2 FOR UPDATE SKIP LOCKED";
    CARRIED = "UPDATE reserve_orders SET attempt_id = $3 WHERE chain_id = $1 AND nonce = $2";
    DEFER_RESERVE = "UPDATE reserve_orders SET not_before = now() + make_interval(secs => 30) WHERE chain_id = $1 AND nonce = $2";
    RESERVE_SIGNATURES = "SELECT s.signature FROM reserve_signatures s JOIN gates g USING (chain_id)
        WHERE s.chain_id = $1 AND s.nonce = $2 AND s.signature IS NOT NULL AND s.signer::bytea = ANY(g.attestors)
        ORDER BY s.signer LIMIT (SELECT threshold FROM gates WHERE chain_id = $1)";
}

/// The gate of a chain, and who has to say that money came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    /// Chain id.
    pub chain: u64,
    /// The token rail that the chain serves.
    pub rail: String,
    /// What it does.
    pub kind: GateKind,
    /// Where it is.
    pub address: Account,
    /// How many attestors have to sign.
    pub threshold: u32,
    /// Who they are.
    pub attestors: Vec<Account>,
}

/// A deposit that is to pay an invoice.
#[derive(Clone, Copy, Debug)]
pub struct NewOrder {
    /// The deposit's id, drawn once.
    pub deposit_id: B256,
    /// The receipt whose money it is, if it is one's.
    pub receipt_id: Option<Uuid>,
    /// The invoice's terms on the chain it is to be paid on.
    pub terms_hash: B256,
    /// How much came in, base units.
    pub units: u128,
}

/// An order that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ordered {
    /// Which of the deposit's orders it is, from 1.
    pub attempt: u32,
    /// Until when it can be spent, by the chain's clock. Unix seconds, included.
    pub valid_until: u64,
}

/// An order.
#[derive(Clone, Debug)]
pub struct Order {
    /// The deposit.
    pub deposit_id: B256,
    /// Which of its orders.
    pub attempt: u32,
    /// The receipt whose money it is, if it is one's.
    pub receipt_id: Option<Uuid>,
    /// The invoice.
    pub invoice_id: String,
    /// The rail.
    pub rail: String,
    /// The gate.
    pub gate: Account,
    /// The terms' hash, as the order has it.
    pub terms_hash: B256,
    /// The invoice's terms there.
    pub terms: Terms,
    /// How much came in, base units.
    pub units: u128,
    /// Until when it can be spent, unix seconds, included.
    pub valid_until: u64,
    /// What has become of it.
    pub state: MintState,
}

/// An order that may still be spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Live {
    /// The deposit.
    pub deposit_id: B256,
    /// Which of its orders.
    pub attempt: u32,
    /// The chain.
    pub chain: u64,
    /// Base units.
    pub units: u128,
    /// Unix seconds, included.
    pub valid_until: u64,
}

/// What the books say of a deposit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booked {
    /// The receipt.
    pub receipt_id: Uuid,
    /// The invoice it is for, if it is for one.
    pub invoice_id: Option<String>,
    /// How far it has come.
    pub state: ReceiptState,
    /// What may be minted for it, base units.
    pub mintable: Units,
    /// What the customer paid in all, base units.
    pub gross: Units,
    /// Who collected it: the gateway, or our bank account that it came to.
    pub provider: String,
    /// How it came.
    pub rail: FiatRail,
    /// Our number of it there.
    pub request: String,
    /// The provider's own, once it has said.
    pub reference: Option<String>,
}

/// A statement about the reserve that can be brought to its gate.
#[derive(Clone, Debug)]
pub struct SignedReserve {
    /// The gate.
    pub gate: Address,
    /// What it says.
    pub reserve: Reserve,
    /// As many signatures as the gate wants, in its order.
    pub signatures: Vec<Bytes>,
}

/// A statement about the reserve that attestors are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReserveOrder {
    /// The gate's chain.
    pub chain: u64,
    /// Rises with each.
    pub nonce: u64,
    /// The most there may be of its token, base units.
    pub allocation: u128,
    /// The moment it is about, unix seconds.
    pub as_of: u64,
}

/// Makes a chain's gate known, or checks that it is the one that is known. Threshold and attestors may change.
pub async fn put_gate(db: &mut PgConnection, gate: &Gate) -> Result<(), Error> {
    let attestors: Vec<&[u8]> = gate.attestors.iter().map(Account::as_bytes).collect();
    sqlx::query(INSERT_GATE)
        .bind(chain_id(gate.chain))
        .bind(&gate.rail)
        .bind(word(gate.kind))
        .bind(gate.address.as_bytes())
        .bind(i32::try_from(gate.threshold).map_err(|_| corrupt("threshold"))?)
        .bind(attestors)
        .execute(&mut *db)
        .await?;
    let known = gates(db).await?;
    match known.iter().find(|known| known.chain == gate.chain) {
        Some(known) if known == gate => Ok(()),
        known => Err(Error::OtherChain(format!(
            "the gate of chain {} in the database is {known:?}, the configuration says {gate:?}: a new gate is a new settler, \
             use another database, or set the configuration back",
            gate.chain
        ))),
    }
}

/// All gates.
pub async fn gates(db: &mut PgConnection) -> Result<Vec<Gate>, Error> {
    let gate = |row: &PgRow| {
        let attestors: Vec<Vec<u8>> = row.try_get("attestors")?;
        let attestors = attestors.iter().map(|attestor| Account::from_bytes(attestor)).collect::<Result<_, _>>();
        Ok(Gate {
            chain: row.chain("chain_id")?,
            rail: row.try_get("rail")?,
            kind: match row.try_get("kind")? {
                "mint" => GateKind::Mint,
                "float" => GateKind::Float,
                _ => return Err(corrupt("kind")),
            },
            address: row.account("address")?,
            threshold: small(row, "threshold")?,
            attestors: attestors.map_err(|_| corrupt("attestors"))?,
        })
    };
    sqlx::query(GATES).fetch_all(db).await?.iter().map(gate).collect()
}

const fn word(kind: GateKind) -> &'static str {
    match kind {
        GateKind::Mint => "mint",
        GateKind::Float => "float",
    }
}

/// Asks attestors for a deposit's mint, and has the invoice paid there, or says why not. In the caller's transaction, which must
/// not be committed after an error.
pub async fn order(db: &mut PgConnection, new: &NewOrder) -> Result<Result<Ordered, MintRefusal>, Error> {
    let NewOrder { deposit_id, receipt_id, terms_hash, units } = *new;
    let until = match projection::may_mint(db, terms_hash, units).await? {
        Ok(until) => until,
        Err(refusal) => return Ok(Err(refusal)),
    };
    // Two who want to mint one deposit for two invoices: the second waits for the index, and is refused by it.
    if sqlx::query(SPENT).bind(deposit_id.as_slice()).fetch_one(&mut *db).await?.try_get("spent")? {
        return Ok(Err(MintRefusal::Spent));
    }
    let row = sqlx::query(INSERT_ORDER)
        .bind(deposit_id.as_slice())
        .bind(receipt_id)
        .bind(terms_hash.as_slice())
        .bind(units.to_string())
        .bind(big(until)?)
        .fetch_optional(&mut *db)
        .await?;
    let Some(row) = row else { return Ok(Err(MintRefusal::NoGate)) };
    let attempt = small(&row, "attempt")?;
    projection::refresh(db, terms_hash).await?;
    // A keeper may have signed something that pays on another chain since the facts were looked at.
    let picked = sqlx::query(PICKED).bind(terms_hash.as_slice()).fetch_one(&mut *db).await?;
    if picked.try_get::<Option<bool>, _>("here")? != Some(true) {
        return Err(Error::Moving);
    }
    sqlx::query(ANNOUNCE).bind(ORDERS_CHANNEL).bind(deposit_id.to_string()).execute(db).await?;
    Ok(Ok(Ordered { attempt, valid_until: until }))
}

/// Every order of a deposit, the first first.
pub async fn of_deposit(db: &mut PgConnection, deposit_id: B256) -> Result<Vec<Order>, Error> {
    sqlx::query(ORDER).bind(deposit_id.as_slice()).fetch_all(db).await?.iter().map(read).collect()
}

/// Up to `limit` orders that may still be spent and that this attestor has neither signed nor, for so long, refused; oldest
/// first. One whose rows make no sense is told and left out: it keeps nobody else waiting.
pub async fn unsigned(
    db: &mut PgConnection,
    signer: Account,
    ask_again: std::time::Duration,
    limit: u32,
) -> Result<Vec<Order>, Error> {
    let millis = i32::try_from(ask_again.as_millis()).unwrap_or(i32::MAX);
    let query = sqlx::query(UNSIGNED).bind(signer.as_bytes()).bind(millis).bind(i64::from(limit));
    let rows = query.fetch_all(db).await?;
    let readable = rows.iter().filter_map(|row| read(row).inspect_err(|error| error!(%error, "an order to mint")).ok());
    Ok(readable.collect())
}

/// Every order that may still be spent, of any chain.
pub async fn live(db: &mut PgConnection) -> Result<Vec<Live>, Error> {
    let live = |row: &PgRow| {
        Ok(Live {
            deposit_id: row.hash("deposit_id")?,
            attempt: small(row, "attempt")?,
            chain: row.chain("chain_id")?,
            units: row.u128("units")?,
            valid_until: row.u64("valid_until")?,
        })
    };
    sqlx::query(LIVE).fetch_all(db).await?.iter().map(live).collect()
}

/// Stores an attestor's signature. With enough of them the mint is wanted, in the same transaction.
pub async fn sign(
    db: &mut PgConnection,
    deposit_id: B256,
    attempt: u32,
    signer: Account,
    signature: &[u8],
) -> Result<(), Error> {
    let terms_hash = hold(db, deposit_id, attempt).await?;
    sqlx::query(INSERT_SIGNATURE)
        .bind(deposit_id.as_slice())
        .bind(number(attempt)?)
        .bind(signer.as_bytes())
        .bind(signature)
        .execute(&mut *db)
        .await?;
    projection::refresh(db, terms_hash).await
}

/// Notes why an attestor does not sign. It may sign later: only time ends an order.
pub async fn refuse(
    db: &mut PgConnection,
    deposit_id: B256,
    attempt: u32,
    signer: Account,
    reason: &str,
) -> Result<(), Error> {
    hold(db, deposit_id, attempt).await?;
    sqlx::query(INSERT_REFUSAL)
        .bind(deposit_id.as_slice())
        .bind(number(attempt)?)
        .bind(signer.as_bytes())
        .bind(reason)
        .execute(db)
        .await?;
    Ok(())
}

/// Locks the invoice of an order; returns its terms.
async fn hold(db: &mut PgConnection, deposit_id: B256, attempt: u32) -> Result<B256, Error> {
    let query = sqlx::query(TERMS_OF_ORDER).bind(deposit_id.as_slice()).bind(number(attempt)?);
    let row = query.fetch_optional(&mut *db).await?;
    let row = row.ok_or_else(|| Error::Missing(format!("deposit {deposit_id} has no order {attempt}")))?;
    let terms_hash = row.hash("terms_hash")?;
    projection::lock(db, [terms_hash]).await?;
    Ok(terms_hash)
}

/// What spends a deposit's order: the gate, the deposit, and enough signatures; `None` while there are too few.
pub(crate) async fn attested(
    db: &mut PgConnection,
    terms_hash: B256,
    deposit_id: B256,
) -> Result<Option<(Address, Deposit, Vec<Bytes>)>, Error> {
    let query = sqlx::query(CURRENT).bind(deposit_id.as_slice()).bind(terms_hash.as_slice());
    let Some(row) = query.fetch_optional(&mut *db).await? else { return Ok(None) };
    let threshold: i32 = row.try_get("threshold")?;
    let query = sqlx::query(SIGNATURES).bind(deposit_id.as_slice()).bind(row.try_get::<i32, _>("attempt")?);
    let signatures = signatures(&query.bind(i64::from(threshold)).fetch_all(db).await?)?;
    if signatures.len() < usize::try_from(threshold).unwrap_or(usize::MAX) {
        return Ok(None);
    }
    let deposit = Deposit { depositId: deposit_id, amount: row.u128("units")?, validUntil: row.u64("valid_until")? };
    Ok(Some((row.address("gate")?, deposit, signatures)))
}

/// What the books say of a deposit; `None` if it is no receipt's.
pub async fn booked(db: &mut PgConnection, deposit_id: B256) -> Result<Option<Booked>, Error> {
    let row = sqlx::query(BOOKED).bind(deposit_id.as_slice()).fetch_optional(db).await?;
    let booked = |row: PgRow| {
        Ok(Booked {
            receipt_id: row.try_get("id")?,
            invoice_id: row.try_get("invoice_id")?,
            state: row.word("state")?,
            mintable: Units(row.u128("mintable")?),
            gross: Units(row.u128("gross")?),
            provider: row.try_get("provider")?,
            rail: row.word("rail")?,
            request: row.try_get("request_id")?,
            reference: row.try_get("provider_ref")?,
        })
    };
    row.map(booked).transpose()
}

/// What lies in the reserve as the ledger has it, base units: all its bank accounts together, and never less than nothing.
pub async fn reserve(db: &mut PgConnection) -> Result<Units, Error> {
    let balances = ledger::balances(db).await?;
    let there = balances.iter().filter(|(account, _)| account.kind == AccountKind::Reserve);
    let there = there.fold(0_i128, |sum, (_, balance)| sum.saturating_add(*balance));
    Ok(Units(u128::try_from(there).unwrap_or(0)))
}

/// How all gates stand. In a transaction that commits what follows from it: until then nobody else gets an answer.
pub async fn standings(db: &mut PgConnection) -> Result<Vec<Standing>, Error> {
    sqlx::query(HOLD_GATES).fetch_all(&mut *db).await?;
    let standing = |row: &PgRow| {
        let told = match row.try_get::<Option<i64>, _>("nonce")? {
            Some(_) => Some(Told {
                allocation: Units(row.u128("units")?),
                as_of: row.u64("as_of")?,
                signed: row.try_get("signed")?,
            }),
            None => None,
        };
        Ok(Standing {
            chain: row.chain("chain_id")?,
            float: row.try_get::<&str, _>("kind")? == "float",
            now: row.u64("tip_timestamp")?,
            out: Units(row.u128("out")?),
            told,
        })
    };
    sqlx::query(STANDINGS).fetch_all(db).await?.iter().map(standing).collect()
}

/// The newest statement that enough attestors have signed for a chain's gate, if it has to be brought there.
pub async fn reserve_to_carry(db: &mut PgConnection, chain: u64) -> Result<Option<SignedReserve>, Error> {
    let Some(row) = sqlx::query(TO_CARRY).bind(chain_id(chain)).fetch_optional(&mut *db).await? else {
        return Ok(None);
    };
    let (nonce, gate) = (row.u64("nonce")?, row.address("gate")?);
    let reserve = Reserve { allocation: row.u128("units")?, nonce, asOf: row.u64("as_of")? };
    Ok(Some(SignedReserve { gate, reserve, signatures: reserve_signatures(db, chain, nonce).await? }))
}

/// Holds a statement until the transaction ends; whether it is still to be carried, and nobody else holds it.
pub async fn hold_reserve(db: &mut PgConnection, chain: u64, nonce: u64) -> Result<bool, Error> {
    let held = sqlx::query(HOLD_RESERVE).bind(chain_id(chain)).bind(big(nonce)?).fetch_optional(&mut *db).await?;
    let waits = reserve_to_carry(db, chain).await?.is_some_and(|signed| signed.reserve.nonce == nonce);
    Ok(held.is_some() && waits)
}

/// Notes which transaction (its row) carries a statement.
pub async fn reserve_carried(db: &mut PgConnection, chain: u64, nonce: u64, attempt: i64) -> Result<(), Error> {
    sqlx::query(CARRIED).bind(chain_id(chain)).bind(big(nonce)?).bind(attempt).execute(db).await?;
    Ok(())
}

/// Leaves a statement that would revert now alone for a while.
pub async fn defer_reserve(db: &mut PgConnection, chain: u64, nonce: u64) -> Result<(), Error> {
    sqlx::query(DEFER_RESERVE).bind(chain_id(chain)).bind(big(nonce)?).execute(db).await?;
    Ok(())
}

/// Asks attestors for a statement about the reserve behind a chain's gate; returns its number.
pub async fn order_reserve(db: &mut PgConnection, chain: u64, allocation: u128, as_of: u64) -> Result<u64, Error> {
    let query = sqlx::query(INSERT_RESERVE_ORDER).bind(chain_id(chain)).bind(allocation.to_string()).bind(big(as_of)?);
    let nonce = query.fetch_one(&mut *db).await?.u64("nonce")?;
    sqlx::query(ANNOUNCE).bind(ORDERS_CHANNEL).bind(chain.to_string()).execute(db).await?;
    Ok(nonce)
}

/// The latest statement of each chain that this attestor has not signed, and not refused for so long.
pub async fn unsigned_reserve(
    db: &mut PgConnection,
    signer: Account,
    ask_again: std::time::Duration,
) -> Result<Vec<ReserveOrder>, Error> {
    let millis = i32::try_from(ask_again.as_millis()).unwrap_or(i32::MAX);
    let order = |row: &PgRow| {
        Ok(ReserveOrder {
            chain: row.chain("chain_id")?,
            nonce: row.u64("nonce")?,
            allocation: row.u128("units")?,
            as_of: row.u64("as_of")?,
        })
    };
    let query = sqlx::query(UNSIGNED_RESERVE).bind(signer.as_bytes()).bind(millis);
    query.fetch_all(db).await?.iter().map(order).collect()
}

/// Stores what an attestor says to a statement: its signature, or why not.
pub async fn answer_reserve(
    db: &mut PgConnection,
    order: &ReserveOrder,
    signer: Account,
    word: Result<&[u8], &str>,
) -> Result<(), Error> {
    sqlx::query(PUT_RESERVE_WORD)
        .bind(chain_id(order.chain))
        .bind(big(order.nonce)?)
        .bind(signer.as_bytes())
        .bind(word.ok())
        .bind(word.err())
        .execute(db)
        .await?;
    Ok(())
}

/// The signatures of a statement, as many as the gate wants and in its order; fewer where there are not enough.
pub async fn reserve_signatures(db: &mut PgConnection, chain: u64, nonce: u64) -> Result<Vec<Bytes>, Error> {
    let query = sqlx::query(RESERVE_SIGNATURES).bind(chain_id(chain)).bind(big(nonce)?);
    signatures(&query.fetch_all(db).await?)
}

fn signatures(rows: &[PgRow]) -> Result<Vec<Bytes>, Error> {
    rows.iter().map(|row| Ok(row.try_get::<Vec<u8>, _>("signature")?.into())).collect()
}

fn read(row: &PgRow) -> Result<Order, Error> {
    Ok(Order {
        deposit_id: row.hash("deposit_id")?,
        attempt: small(row, "attempt")?,
        receipt_id: row.try_get("receipt_id")?,
        invoice_id: row.try_get("invoice_id")?,
        rail: row.try_get("rail")?,
        gate: row.account("gate")?,
        terms_hash: row.hash("terms_hash")?,
        terms: terms_of(row)?,
        units: row.u128("order_units")?,
        valid_until: row.u64("valid_until")?,
        state: row.word("state")?,
    })
}

fn small(row: &PgRow, column: &str) -> Result<u32, Error> {
    u32::try_from(row.try_get::<i32, _>(column)?).map_err(|_| corrupt(column))
}

fn number(attempt: u32) -> Result<i32, Error> {
    i32::try_from(attempt).map_err(|_| corrupt("attempt"))
}
