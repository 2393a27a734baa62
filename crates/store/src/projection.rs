//! Brings one invoice's rows up to date with the facts: loads them, lets `domain` decide, writes what follows.
//!
//! Called in the same transaction as whatever changed the facts: a block, a re-org, a request, a moment in time.

use crate::codec::{Columns, big, corrupt, time};
use crate::fault::{self, Bug};
use crate::{Error, INTENTS_CHANNEL, PgConnection, keys, statements};
use alloy_primitives::{B256, U256};
use domain::intent::IntentState;
use domain::invoice::{Exception, Guard, InvoiceStatus};
use domain::project::{self, Deposits, EventFact, Facts, IntentFact, Outcome, Recorded};
use domain::tier::Heights;
use domain::wallet::WalletStatus;
use sqlx::postgres::PgRow;
use sqlx::{Connection, Row};
use tracing::{info, warn};

statements! {
    // The row lock on the invoice is what makes two projections of it, or a projection and a request, take turns. It is taken
    // before anything is read: whoever waits for it reads what is there afterwards, and nothing from before.
    LOCK = "SELECT 1 FROM invoices i JOIN invoice_terms t ON t.invoice_id = i.id WHERE t.terms_hash = ANY($1)
        ORDER BY t.terms_hash FOR UPDATE OF i";
    LOAD = "SELECT i.id AS invoice_id, i.tenant_id, i.issuer, i.amount_units::text AS amount, i.paid_units::text AS paid,
            i.received_units::text AS received, i.status AS invoice_status, i.settlement, i.settlement_tier, i.exceptions,
            i.pay_requested_at IS NOT NULL AS pay_requested, i.called_off_at IS NOT NULL AS called_off,
            extract(epoch FROM i.expires_at)::bigint AS expires_at, i.sequence,
            t.chain_id, t.token, t.refund_key, t.settler, t.closes_at, t.flags, t.wake_seen_at, t.wake_final_at,
            w.wallet_id, w.status AS wallet_status, w.balance_units::text AS balance,
            c.tip_number, c.safe_number, c.final_number, c.tip_timestamp, c.final_timestamp, c.settle_tier,
            EXISTS (SELECT 1 FROM stuck_invoices s WHERE s.terms_hash = t.terms_hash) AS stuck
        FROM invoice_terms t JOIN invoices i ON i.id = t.invoice_id JOIN invoice_wallets w ON w.invoice_id = i.id
        JOIN chains c ON c.chain_id = t.chain_id WHERE t.terms_hash = $1";
    DEPOSITS = "SELECT
            LEAST(COALESCE(SUM(amount_units) FILTER (WHERE NOT foreign_token), 0), $4::text::numeric)::text AS received,
            LEAST(COALESCE(SUM(amount_units) FILTER (WHERE NOT foreign_token AND block_timestamp < $2), 0), $4::text::numeric)::text
                AS on_time,
            LEAST(COALESCE(SUM(amount_units) FILTER (WHERE NOT foreign_token AND block_number <= $3), 0), $4::text::numeric)::text
                AS settleable,
            COALESCE(MAX(block_number) FILTER (WHERE NOT foreign_token), 0) AS last_block,
            COALESCE(bool_or(foreign_token), FALSE) AS foreign_seen
        FROM deposits WHERE terms_hash = $1";
    EVENTS = "SELECT kind, token, amount_units::text AS amount, paid_units::text AS paid, status, block_number, block_timestamp,
            tx_hash FROM escrow_events WHERE terms_hash = $1 ORDER BY block_number, log_index";
    INTENTS = "SELECT id, kind, token, cumulative_before::text AS cumulative_before, state FROM intents WHERE terms_hash = $1";
    UPDATE_INVOICE = "UPDATE invoices SET status = $2, paid_units = $3::text::numeric, received_units = $4::text::numeric,
            settlement_tier = $5, exceptions = $6, paid_at = $7, last_payment_date = $8, transaction_id = $9,
            sequence = sequence + $10, updated_at = now() WHERE id = $1";
    // A chain's clock may be ahead of ours (a development chain's is moved on): a wallet's times never run backwards.
    UPDATE_WALLET = "UPDATE invoice_wallets SET balance_units = $2::text::numeric, status = $3,
            funded_at = CASE WHEN $4 THEN COALESCE(funded_at, GREATEST(now(), to_timestamp($9::bigint))) ELSE NULL END,
            destruction_initiated_at = CASE WHEN $5 THEN COALESCE(destruction_initiated_at, GREATEST(now(), to_timestamp($9::bigint))) ELSE NULL END,
            destroyed_at = CASE WHEN $6 THEN COALESCE(destroyed_at, GREATEST(now(), to_timestamp($9::bigint))) ELSE NULL END,
            destruction_method = CASE WHEN $6 THEN COALESCE(destruction_method, $7) ELSE NULL END,
            destruction_reason = CASE WHEN $5 THEN $8 ELSE NULL END, updated_at = now() WHERE wallet_id = $1";
    LIFECYCLE = "INSERT INTO wallet_lifecycle_events (tenant_id, wallet_id, event_type, event_data, blockchain_hash)
            VALUES ($1, $2, $3, $4, $5)";
    LIFECYCLE_ONCE = "INSERT INTO wallet_lifecycle_events (tenant_id, wallet_id, event_type, event_data, blockchain_hash)
            SELECT $1, $2, $3, $4, $5 WHERE NOT EXISTS (SELECT 1 FROM wallet_lifecycle_events
                WHERE wallet_id = $2 AND event_type = $3 AND blockchain_hash = $5)";
    WAKE = "UPDATE invoice_terms SET wake_seen_at = $2, wake_final_at = $3 WHERE terms_hash = $1";
    ENTERPRISE_BALANCE = "UPDATE wallets SET balance_units = balance_units + $3::text::numeric - $4::text::numeric, updated_at = now()
            WHERE organization_id = $1 AND chain_id = $2";
    TX_DEPOSITS = "INSERT INTO blockchain_transactions (id, tenant_id, invoice_id, chain_id, block_hash, log_index, chain, type,
            purpose, amount_units, token, tx_hash, status, created_at)
        SELECT md5(d.chain_id || ':' || encode(d.block_hash, 'hex') || ':' || d.log_index)::uuid, i.tenant_id, i.id, d.chain_id,
            d.block_hash, d.log_index, c.name, 'transfer', CASE WHEN d.foreign_token THEN 'foreign_deposit' ELSE 'deposit' END,
            d.amount_units, CASE WHEN d.foreign_token THEN '0x' || encode(d.token, 'hex') ELSE w.currency END,
            '0x' || encode(d.tx_hash, 'hex'),
            CASE WHEN d.block_number <= c.final_number THEN 'final' WHEN d.block_number <= c.safe_number THEN 'safe' ELSE 'seen' END,
            to_timestamp(d.block_timestamp)
        FROM deposits d JOIN chains c USING (chain_id) JOIN invoice_terms t USING (terms_hash) JOIN invoices i ON i.id = t.invoice_id
        JOIN invoice_wallets w ON w.invoice_id = i.id
        WHERE d.terms_hash = $1 AND NOT EXISTS (SELECT 1 FROM blockchain_transactions b WHERE b.chain_id = d.chain_id
            AND b.block_hash = d.block_hash AND b.log_index = d.log_index)";
    TX_EVENTS = "INSERT INTO blockchain_transactions (id, tenant_id, invoice_id, chain_id, block_hash, log_index, chain, type,
            purpose, amount_units, token, tx_hash, fee_units, status, created_at)
        SELECT md5(e.chain_id || ':' || encode(e.block_hash, 'hex') || ':' || e.log_index)::uuid, i.tenant_id, i.id, e.chain_id,
            e.block_hash, e.log_index, c.name, 'transfer',
            CASE e.kind WHEN 1 THEN 'settle' WHEN 2 THEN 'pay' ELSE 'refund' END,
            e.amount_units, CASE WHEN e.token = t.token THEN w.currency ELSE '0x' || encode(e.token, 'hex') END,
            '0x' || encode(e.tx_hash, 'hex'), o.fee_units,
            CASE WHEN e.block_number <= c.final_number THEN 'final' WHEN e.block_number <= c.safe_number THEN 'safe' ELSE 'seen' END,
            to_timestamp(e.block_timestamp)
        FROM escrow_events e JOIN chains c USING (chain_id) JOIN invoice_terms t USING (terms_hash)
        JOIN invoices i ON i.id = t.invoice_id JOIN invoice_wallets w ON w.invoice_id = i.id
        LEFT JOIN observations o ON o.tx_hash = e.tx_hash AND o.block_hash = e.block_hash
        WHERE e.terms_hash = $1 AND e.kind IN (1, 2, 4, 5) AND NOT EXISTS (SELECT 1 FROM blockchain_transactions b
            WHERE b.chain_id = e.chain_id AND b.block_hash = e.block_hash AND b.log_index = e.log_index)";
    TX_TIERS = "UPDATE blockchain_transactions b SET status = tier.status FROM (SELECT k.chain_id, k.hash,
            CASE WHEN k.number <= c.final_number THEN 'final' WHEN k.number <= c.safe_number THEN 'safe' ELSE 'seen' END AS status
            FROM blocks k JOIN chains c USING (chain_id)) tier
        WHERE b.invoice_id = $1 AND b.status <> 'final' AND tier.chain_id = b.chain_id AND tier.hash = b.block_hash
            AND tier.status <> b.status";
    PAYMENTS = "INSERT INTO payments (id, tenant_id, invoice_id, consumer_id, enterprise_id, amount_units, transaction_hash,
            token_transfer_id, status, created_at)
        SELECT b.id, i.tenant_id, i.id, i.customer_id, i.issuer, b.amount_units, b.tx_hash, b.id,
            CASE WHEN b.status = 'final' THEN 'completed' ELSE 'processing' END, b.created_at
        FROM blockchain_transactions b JOIN invoices i ON i.id = b.invoice_id
        WHERE i.id = $1 AND b.purpose IN ('settle', 'pay')
        ON CONFLICT (token_transfer_id) DO UPDATE SET status = EXCLUDED.status WHERE payments.status <> EXCLUDED.status";
    // Only from the state that was looked at: the keeper may have signed it meanwhile. And what a re-org has taken back is
    // on its way again only if something of ours is: else it begins anew.
    SET_INTENT = "UPDATE intents SET updated_at = now(), state = CASE WHEN $2 = 'broadcast' AND NOT EXISTS (SELECT 1
            FROM attempt_intents l JOIN attempts a ON a.id = l.attempt_id WHERE l.intent_id = $1
            AND a.state IN ('signed', 'broadcast', 'unknown')) THEN 'accepted' ELSE $2 END
        WHERE id = $1 AND state = $3";
    // An intent that had been given up because nothing asked for it comes back; one that is on its way is left alone.
    WANT_INTENT = "INSERT INTO intents (id, tenant_id, chain_id, terms_hash, kind, token, cumulative_before, state)
        VALUES ($1, $2, $3, $4, $5, $6, $7::text::numeric, 'accepted')
        ON CONFLICT (id) DO UPDATE SET state = 'accepted', not_before = now(), updated_at = now()
        WHERE intents.state = 'superseded'";
    STUCK = "INSERT INTO stuck_invoices (terms_hash, chain_id, error, retry_at)
        SELECT t.terms_hash, t.chain_id, $2, now() + interval '1 second' FROM invoice_terms t WHERE t.terms_hash = $1
        ON CONFLICT (terms_hash) DO UPDATE SET error = EXCLUDED.error, tries = LEAST(stuck_invoices.tries + 1, 1000),
            retry_at = now() + make_interval(secs => LEAST(60, power(2, LEAST(stuck_invoices.tries, 10))))";
    FREE = "DELETE FROM stuck_invoices WHERE terms_hash = $1";
    RETRY = "SELECT terms_hash FROM stuck_invoices WHERE chain_id = $1 AND retry_at <= now() ORDER BY retry_at LIMIT $2";
    ANNOUNCE = "SELECT pg_notify($1, $2)";
    OUTBOX = "INSERT INTO outbox (tenant_id, aggregate, sequence, type, body) VALUES ($1, $2, $3, $4, $5)";
}

/// How often the facts are looked at again because an intent moved meanwhile; a keeper moves one once in a pass.
const MAX_LOOKS: u32 = 3;

/// How a destroyed wallet's keys went. The word is the specification's; `keys::OVERWRITE_PASSES` says what it is worth.
const DESTRUCTION_METHOD: &str = "7-pass_overwrite";

/// Locks the invoices with these terms until the transaction ends, in the order in which everybody locks them.
pub async fn lock(db: &mut PgConnection, terms: impl IntoIterator<Item = B256>) -> Result<(), Error> {
    let terms: Vec<Vec<u8>> = terms.into_iter().map(|hash| hash.to_vec()).collect();
    sqlx::query(LOCK).bind(terms).fetch_all(db).await?;
    Ok(())
}

/// An invoice that could not be brought up to date.
#[derive(Debug)]
pub struct Stuck {
    /// Its terms.
    pub terms_hash: B256,
    /// Why.
    pub error: Error,
}

/// Brings the invoice with these terms up to date, or notes that it could not be and why: one invoice with a fault in its
/// rows must not stop the block for all the others. It is tried again later, by the mirror and by the coordinator.
pub async fn refresh_or_note(db: &mut PgConnection, terms_hash: B256) -> Result<Option<Stuck>, Error> {
    let mut inner = db.begin().await?;
    match refresh(&mut inner, terms_hash).await {
        Ok(()) => {
            inner.commit().await?;
            Ok(None)
        }
        Err(error) if error.is_of_the_data() => {
            inner.rollback().await?;
            sqlx::query(STUCK).bind(terms_hash.as_slice()).bind(error.to_string()).execute(db).await?;
            Ok(Some(Stuck { terms_hash, error }))
        }
        Err(error) => Err(error),
    }
}

/// Invoices of a chain that could not be brought up to date and whose time has come to be tried again, at most `limit`.
pub async fn stuck(db: &mut PgConnection, chain: u64, limit: u32) -> Result<Vec<B256>, Error> {
    let rows = sqlx::query(RETRY).bind(big(chain)?).bind(i64::from(limit)).fetch_all(db).await?;
    rows.iter().map(|row| row.hash("terms_hash")).collect()
}

/// Brings the invoice with these terms up to date. Harmless to call at any time, any number of times.
pub async fn refresh(db: &mut PgConnection, terms_hash: B256) -> Result<(), Error> {
    lock(db, [terms_hash]).await?;
    let row = sqlx::query(LOAD).bind(terms_hash.as_slice()).fetch_optional(&mut *db).await?;
    let row = row.ok_or_else(|| Error::Missing(format!("no invoice has terms {terms_hash}")))?;
    let refreshed = refresh_row(db, terms_hash, &row).await;
    if let Err(error) = &refreshed {
        // Whoever called knows the block or the pass, and not which invoice of many it was.
        warn!(invoice = row.try_get::<&str, _>("invoice_id").unwrap_or_default(), %error, "could not be brought up to date");
    }
    refreshed
}

async fn refresh_row(db: &mut PgConnection, terms_hash: B256, row: &PgRow) -> Result<(), Error> {
    let mut seen = facts(db, terms_hash, row).await?;
    let mut outcome = project::project(&seen.0);
    for _ in 0..MAX_LOOKS {
        if write_intents(db, row, &seen.0, &outcome).await? {
            break;
        }
        seen = facts(db, terms_hash, row).await?;
        outcome = project::project(&seen.0);
    }
    let (facts, hashes) = seen;
    sqlx::query(TX_DEPOSITS).bind(terms_hash.as_slice()).execute(&mut *db).await?;
    sqlx::query(TX_EVENTS).bind(terms_hash.as_slice()).execute(&mut *db).await?;
    sqlx::query(TX_TIERS).bind(row.try_get::<&str, _>("invoice_id")?).execute(&mut *db).await?;
    sqlx::query(PAYMENTS).bind(row.try_get::<&str, _>("invoice_id")?).execute(&mut *db).await?;
    write_statuses(db, row, &facts, &hashes, &outcome).await?;
    let wake = |at: Option<u64>| at.map(big).transpose();
    let (seen_at, final_at) = (wake(outcome.wake.seen_at)?, wake(outcome.wake.final_at)?);
    if (seen_at, final_at) != (row.try_get("wake_seen_at")?, row.try_get("wake_final_at")?) {
        sqlx::query(WAKE).bind(terms_hash.as_slice()).bind(seen_at).bind(final_at).execute(&mut *db).await?;
    }
    if row.try_get("stuck")? {
        sqlx::query(FREE).bind(terms_hash.as_slice()).execute(db).await?;
    }
    Ok(())
}

/// The facts, and the transaction hash of each event in them.
async fn facts(db: &mut PgConnection, terms_hash: B256, row: &PgRow) -> Result<(Facts, Vec<B256>), Error> {
    let heights =
        Heights { seen: row.u64("tip_number")?, safe: row.u64("safe_number")?, final_: row.u64("final_number")? };
    let settle_height = match row.word("settle_tier")? {
        domain::tier::Tier::Seen => heights.seen,
        domain::tier::Tier::Safe => heights.safe,
        domain::tier::Tier::Final => heights.final_,
    };
    let expires_at = row.u64("expires_at")?;
    let deposits = sqlx::query(DEPOSITS)
        .bind(terms_hash.as_slice())
        .bind(big(expires_at)?)
        .bind(big(settle_height)?)
        .bind(U256::MAX.to_string())
        .fetch_one(&mut *db)
        .await?;
    let (mut events, mut hashes) = (Vec::new(), Vec::new());
    for event in sqlx::query(EVENTS).bind(terms_hash.as_slice()).fetch_all(&mut *db).await? {
        let kind = u8::try_from(event.try_get::<i16, _>("kind")?).map_err(|_| corrupt("kind"))?;
        events.push(EventFact {
            what: Recorded::from_kind(kind).ok_or_else(|| corrupt("kind"))?,
            token: event.address("token")?,
            amount: event.u256("amount")?,
            paid: event.u128("paid")?,
            status: u8::try_from(event.try_get::<i16, _>("status")?).map_err(|_| corrupt("status"))?,
            block: event.u64("block_number")?,
            timestamp: event.u64("block_timestamp")?,
        });
        hashes.push(event.hash("tx_hash")?);
    }
    let mut intents = Vec::new();
    for intent in sqlx::query(INTENTS).bind(terms_hash.as_slice()).fetch_all(db).await? {
        intents.push(IntentFact {
            id: intent.hash("id")?,
            kind: intent.word("kind")?,
            token: intent.address("token")?,
            cumulative_before: intent.u256("cumulative_before")?,
            state: intent.word("state")?,
        });
    }
    let flags = u8::try_from(row.try_get::<i16, _>("flags")?).map_err(|_| corrupt("flags"))?;
    let facts = Facts {
        chain: row.u64("chain_id")?,
        terms_hash,
        token: row.address("token")?,
        amount: row.u128("amount")?,
        partials: flags & terms::FLAG_PARTIALS != 0,
        refund_key: !row.address("refund_key")?.is_zero(),
        anyone_settles: row.address("settler")?.is_zero(),
        closes_at: row.u64("closes_at")?,
        expires_at,
        settlement: row.word("settlement")?,
        pay_requested: row.try_get("pay_requested")?,
        called_off: row.try_get("called_off")?,
        deposits: Deposits {
            received: deposits.u256("received")?,
            on_time: deposits.u256("on_time")?,
            settleable: deposits.u256("settleable")?,
            last_block: deposits.u64("last_block")?,
        },
        foreign: deposits.try_get("foreign_seen")?,
        events,
        intents,
        heights,
        now: chain_time(row, "tip_timestamp")?,
        final_now: chain_time(row, "final_timestamp")?,
    };
    Ok((facts, hashes))
}

/// The time of a block. Never the machine's own.
fn chain_time(row: &PgRow, column: &str) -> Result<u64, Error> {
    if fault::seeded(Bug::WallClock) {
        return Ok(u64::try_from(::time::OffsetDateTime::now_utc().unix_timestamp()).unwrap_or(0));
    }
    row.u64(column)
}

/// Whether the intents were still as the facts had them; if not, the facts have to be looked at again.
async fn write_intents(db: &mut PgConnection, row: &PgRow, facts: &Facts, outcome: &Outcome) -> Result<bool, Error> {
    let invoice: &str = row.try_get("invoice_id")?;
    for (id, state) in &outcome.intents {
        let was = facts.intents.iter().find(|intent| intent.id == *id).map_or("", |intent| intent.state.as_str());
        let query = sqlx::query(SET_INTENT).bind(id.as_slice()).bind(state.as_str()).bind(was);
        if query.execute(&mut *db).await?.rows_affected() == 0 {
            return Ok(false);
        }
        info!(invoice, intent = %id, from = was, to = state.as_str(), "intent");
    }
    let mut news = false;
    for want in &outcome.wanted {
        let waiting =
            facts.intents.iter().any(|intent| intent.id == want.id && !matches!(intent.state, IntentState::Superseded));
        if waiting {
            continue;
        }
        sqlx::query(WANT_INTENT)
            .bind(want.id.as_slice())
            .bind(row.try_get::<&str, _>("tenant_id")?)
            .bind(big(facts.chain)?)
            .bind(facts.terms_hash.as_slice())
            .bind(want.kind.as_str())
            .bind(want.token.as_slice())
            .bind(want.cumulative_before.to_string())
            .execute(&mut *db)
            .await?;
        info!(invoice, intent = %want.id, kind = want.kind.as_str(), "intent wanted");
        news = true;
    }
    if news {
        sqlx::query(ANNOUNCE).bind(INTENTS_CHANNEL).bind(facts.chain.to_string()).execute(db).await?;
    }
    Ok(true)
}

async fn write_statuses(
    db: &mut PgConnection,
    row: &PgRow,
    facts: &Facts,
    hashes: &[B256],
    outcome: &Outcome,
) -> Result<(), Error> {
    let (tenant_id, invoice_id, wallet_id) = (
        row.try_get::<&str, _>("tenant_id")?,
        row.try_get::<&str, _>("invoice_id")?,
        row.try_get::<&str, _>("wallet_id")?,
    );
    let was: InvoiceStatus = row.word("invoice_status")?;
    let (is, guard) = was.on(outcome.invoice).unwrap_or((was, Guard::Always));
    let wallet_was: WalletStatus = row.word("wallet_status")?;
    let steps = wallet_was.steps(&outcome.wallet);
    let wallet_is = steps.last().map_or(wallet_was, |(status, _)| *status);

    let mut exceptions = outcome.exceptions.clone();
    let sticky: Vec<String> = row.try_get("exceptions")?;
    if guard == Guard::Reorg || sticky.iter().any(|word| word == Exception::PaymentReversed.as_str()) {
        exceptions.push(Exception::PaymentReversed);
    }
    let exceptions: Vec<&str> = exceptions.iter().map(|exception| exception.as_str()).collect();
    let tier = outcome.tier.map(|tier| tier.as_str());
    let (paid_was, balance_was) = (row.u128("paid")?, row.u256("balance")?);

    let changed = is != was
        || wallet_is != wallet_was
        || outcome.paid != paid_was
        || outcome.balance != balance_was
        || outcome.received != row.u256("received")?
        || tier != row.try_get("settlement_tier")?
        || exceptions != sticky;
    if !changed {
        return Ok(());
    }
    let (from, to, wallet) = (was.as_str(), is.as_str(), wallet_is.as_str());
    info!(invoice = invoice_id, from, to, wallet_from = wallet_was.as_str(), wallet, tier, "invoice");

    let payment =
        facts.events.iter().zip(hashes).rfind(|(event, _)| matches!(event.what, Recorded::Settled | Recorded::Paid));
    let in_full = payment.filter(|(event, _)| event.status == 1);
    let at = |found: Option<(&EventFact, &B256)>| found.map(|(event, _)| time(event.timestamp)).transpose();
    sqlx::query(UPDATE_INVOICE)
        .bind(invoice_id)
        .bind(is.as_str())
        .bind(outcome.paid.to_string())
        .bind(outcome.received.to_string())
        .bind(tier)
        .bind(&exceptions)
        .bind(at(in_full)?)
        .bind(at(payment)?)
        .bind(payment.map(|(_, hash)| hash.to_string()))
        .bind(1_i64)
        .execute(&mut *db)
        .await?;
    if outcome.paid != paid_was {
        sqlx::query(ENTERPRISE_BALANCE)
            .bind(row.try_get::<&str, _>("issuer")?)
            .bind(big(facts.chain)?)
            .bind(outcome.paid.to_string())
            .bind(paid_was.to_string())
            .execute(&mut *db)
            .await?;
    }

    let destroyed = wallet_is == WalletStatus::Destroyed;
    let destroying = destroyed || wallet_is == WalletStatus::Destroying;
    let funded = wallet_is >= WalletStatus::Funded && outcome.received >= U256::from(facts.amount);
    sqlx::query(UPDATE_WALLET)
        .bind(wallet_id)
        .bind(outcome.balance.to_string())
        .bind(wallet_is.as_str())
        .bind(funded)
        .bind(destroying)
        .bind(destroyed)
        .bind(DESTRUCTION_METHOD)
        .bind(outcome.reason.map(|reason| reason.as_str()))
        .bind(big(facts.now)?)
        .execute(&mut *db)
        .await?;
    let data = |status: &str| {
        serde_json::json!({
            "invoice": invoice_id, "wallet_status": status, "invoice_status": is.as_str(), "tier": tier,
            "paid_units": outcome.paid.to_string(), "balance_units": outcome.balance.to_string(),
            "reason": outcome.reason.map(|reason| reason.as_str()),
        })
    };
    let hash = hashes.last().map(|hash| hash.to_string());
    for (status, guard) in &steps {
        let erased = *status == WalletStatus::Destroyed && keys::erase(db, wallet_id).await?;
        let mut data = data(status.as_str());
        if *status == WalletStatus::Destroyed {
            data["key_erased"] = erased.into();
        }
        sqlx::query(LIFECYCLE)
            .bind(tenant_id)
            .bind(wallet_id)
            .bind(lifecycle_word(*status, *guard))
            .bind(data)
            .bind(&hash)
            .execute(&mut *db)
            .await?;
    }
    for (event, hash) in facts.events.iter().zip(hashes).filter(|(event, _)| event.what == Recorded::Refunded) {
        let data = serde_json::json!({"invoice": invoice_id, "token": event.token.to_string(), "amount_units": event.amount.to_string()});
        let query = sqlx::query(LIFECYCLE_ONCE).bind(tenant_id).bind(wallet_id).bind("refunded").bind(data);
        query.bind(hash.to_string()).execute(&mut *db).await?;
    }

    let body = serde_json::json!({
        "invoice_id": invoice_id, "status": is.as_str(), "wallet_status": wallet_is.as_str(), "tier": tier,
        "paid_units": outcome.paid.to_string(), "balance_units": outcome.balance.to_string(), "exceptions": exceptions,
    });
    let kind = if is == was { "invoice.updated".to_owned() } else { format!("invoice.{is}") };
    sqlx::query(OUTBOX)
        .bind(tenant_id)
        .bind(invoice_id)
        .bind(row.try_get::<i64, _>("sequence")? + 1)
        .bind(kind)
        .bind(body)
        .execute(db)
        .await?;
    Ok(())
}

/// The word for a step in the wallet's history; `payment_executed` and `destroyed` are the specification's.
const fn lifecycle_word(status: WalletStatus, guard: Guard) -> &'static str {
    match (guard, status) {
        (Guard::Reorg, _) => "reorged",
        (_, WalletStatus::PaymentComplete) => "payment_executed",
        (_, status) => status.as_str(),
    }
}
