//! What follows from the facts, written: one statement for all invoices, whatever their number.

use super::bytes;
use super::facts::{Looked, Rail};
use crate::codec::{Columns, big, chain_id, corrupt, time};
use crate::{Error, INTENTS_CHANNEL, ORDERS_CHANNEL, PgConnection, keys, statements};
use ::time::OffsetDateTime;
use alloy_primitives::U256;
use domain::intent::IntentState;
use domain::invoice::{Exception, Guard, InvoiceStatus};
use domain::project::{EventFact, Facts, Outcome, Recorded};
use domain::rails::Whole;
use domain::wallet::WalletStatus;
use sqlx::Row;
use std::collections::BTreeSet;
use terms::TxId;
use tracing::info;

statements! {
    TX_DEPOSITS = "INSERT INTO blockchain_transactions (id, tenant_id, invoice_id, chain_id, block_hash, log_index, chain, type,
            purpose, amount_units, token, tx_hash, status, created_at)
        SELECT md5(d.chain_id || ':' || encode(d.block_hash, 'hex') || ':' || d.log_index)::uuid, i.tenant_id, i.id, d.chain_id,
            d.block_hash, d.log_index, c.name, 'transfer', CASE WHEN d.foreign_token THEN 'foreign_deposit' ELSE 'deposit' END,
            d.amount_units, CASE WHEN d.foreign_token THEN account_text(d.token) ELSE w.currency END,
            tx_text(d.tx_hash),
            CASE WHEN d.block_number <= c.final_number THEN 'final' WHEN d.block_number <= c.safe_number THEN 'safe' ELSE 'seen' END,
            to_timestamp(d.block_timestamp)
        FROM deposits d JOIN chains c USING (chain_id) JOIN invoice_terms t USING (terms_hash) JOIN invoices i ON i.id = t.invoice_id
        JOIN invoice_wallets w ON w.invoice_id = i.id
        WHERE d.terms_hash = ANY($1) AND NOT EXISTS (SELECT 1 FROM blockchain_transactions b WHERE b.chain_id = d.chain_id
            AND b.block_hash = d.block_hash AND b.log_index = d.log_index)";
    TX_EVENTS = "INSERT INTO blockchain_transactions (id, tenant_id, invoice_id, chain_id, block_hash, log_index, chain, type,
            purpose, amount_units, token, tx_hash, fee_units, status, created_at)
        SELECT md5(e.chain_id || ':' || encode(e.block_hash, 'hex') || ':' || e.log_index)::uuid, i.tenant_id, i.id, e.chain_id,
            e.block_hash, e.log_index, c.name, 'transfer',
            CASE e.kind WHEN 1 THEN 'settle' WHEN 2 THEN 'pay' ELSE 'refund' END,
            e.amount_units, CASE WHEN e.token = t.token THEN w.currency ELSE account_text(e.token) END,
            tx_text(e.tx_hash), o.fee_units,
            CASE WHEN e.block_number <= c.final_number THEN 'final' WHEN e.block_number <= c.safe_number THEN 'safe' ELSE 'seen' END,
            to_timestamp(e.block_timestamp)
        FROM escrow_events e JOIN chains c USING (chain_id) JOIN invoice_terms t USING (terms_hash)
        JOIN invoices i ON i.id = t.invoice_id JOIN invoice_wallets w ON w.invoice_id = i.id
        LEFT JOIN observations o ON o.tx_hash = e.tx_hash AND o.block_hash = e.block_hash
        WHERE e.terms_hash = ANY($1) AND e.kind IN (1, 2, 4, 5) AND NOT EXISTS (SELECT 1 FROM blockchain_transactions b
            WHERE b.chain_id = e.chain_id AND b.block_hash = e.block_hash AND b.log_index = e.log_index)";
    TX_TIERS = "UPDATE blockchain_transactions b SET status = tier.status FROM (SELECT k.chain_id, k.hash,
            CASE WHEN k.number <= c.final_number THEN 'final' WHEN k.number <= c.safe_number THEN 'safe' ELSE 'seen' END AS status
            FROM blocks k JOIN chains c USING (chain_id)) tier
        WHERE b.invoice_id = ANY($1) AND b.status <> 'final' AND tier.chain_id = b.chain_id AND tier.hash = b.block_hash
            AND tier.status <> b.status";
    PAYMENTS = "INSERT INTO payments (id, tenant_id, invoice_id, consumer_id, enterprise_id, amount_units, transaction_hash,
            token_transfer_id, status, created_at)
        SELECT b.id, i.tenant_id, i.id, i.customer_id, i.issuer, b.amount_units, b.tx_hash, b.id,
            CASE WHEN b.status = 'final' THEN 'completed' ELSE 'processing' END, b.created_at
        FROM blockchain_transactions b JOIN invoices i ON i.id = b.invoice_id
        WHERE i.id = ANY($1) AND b.purpose IN ('settle', 'pay')
        ON CONFLICT (token_transfer_id) DO UPDATE SET status = EXCLUDED.status WHERE payments.status <> EXCLUDED.status";
    // Only from the state that was looked at: the keeper may have signed it meanwhile. And what a re-org has taken back is
    // on its way again only if something of ours is: else it begins anew.
    SET_INTENTS = "WITH held AS (SELECT id FROM intents WHERE id = ANY($1::bytea[]) ORDER BY id FOR UPDATE)
        UPDATE intents n SET updated_at = now(), state = CASE WHEN s.state = 'broadcast' AND NOT EXISTS (SELECT 1
            FROM attempt_intents l JOIN attempts a ON a.id = l.attempt_id WHERE l.intent_id = n.id
            AND a.state IN ('signed', 'broadcast', 'unknown')) THEN 'accepted' ELSE s.state END
        FROM unnest($1::bytea[], $2::text[], $3::text[]) AS s (id, state, was) JOIN held USING (id)
        WHERE n.id = s.id AND n.state = s.was RETURNING n.id";
    // An intent that had been given up because nothing asked for it comes back; one that is on its way is left alone.
    WANT_INTENTS = "INSERT INTO intents (id, tenant_id, chain_id, terms_hash, kind, token, cumulative_before, state)
        SELECT w.id, w.tenant_id, w.chain_id, w.terms_hash, w.kind, w.token, w.cumulative_before::numeric, 'accepted'
        FROM unnest($1::bytea[], $2::text[], $3::bigint[], $4::bytea[], $5::text[], $6::bytea[], $7::text[])
            AS w (id, tenant_id, chain_id, terms_hash, kind, token, cumulative_before)
        ON CONFLICT (id) DO UPDATE SET state = 'accepted', not_before = now(), updated_at = now()
        WHERE intents.state = 'superseded'";
    ANNOUNCE = "SELECT pg_notify($1, chain_id::text) FROM (SELECT DISTINCT unnest($2::bigint[]) AS chain_id) chains";
    // Only what is not over: that stays as it is.
    SET_ORDERS = "UPDATE mint_orders o SET state = u.state, updated_at = now()
        FROM unnest($1::bytea[], $2::integer[], $3::text[]) AS u (deposit_id, attempt, state)
        WHERE o.deposit_id = u.deposit_id AND o.attempt = u.attempt AND o.state IN ('wanted', 'attested', 'in_flight')";
    TELL_ORDERS = "SELECT pg_notify($1, '0x' || encode(deposit_id, 'hex')) FROM (SELECT DISTINCT unnest($2::bytea[]) AS deposit_id) o";
    UPDATE_INVOICES = "UPDATE invoices i SET status = u.status, paid_units = u.paid::numeric, received_units = u.received::numeric,
            settlement_tier = u.tier, exceptions = string_to_array(u.exceptions, ','), paid_at = u.paid_at,
            last_payment_date = u.last_payment, transaction_id = u.transaction_id, picked_chain = u.picked,
            sequence = i.sequence + 1, updated_at = now()
        FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::timestamptz[],
                $9::text[], $10::bigint[])
            AS u (id, status, paid, received, tier, exceptions, paid_at, last_payment, transaction_id, picked) WHERE i.id = u.id";
    // A chain's clock may be ahead of ours (a development chain's is moved on): a wallet's times never run backwards.
    UPDATE_WALLETS = "UPDATE invoice_wallets w SET balance_units = u.balance::numeric, status = u.status,
            funded_at = CASE WHEN u.funded THEN COALESCE(w.funded_at, GREATEST(now(), to_timestamp(u.at))) END,
            destruction_initiated_at = CASE WHEN u.destroying
                THEN COALESCE(w.destruction_initiated_at, GREATEST(now(), to_timestamp(u.at))) END,
            destroyed_at = CASE WHEN u.destroyed THEN COALESCE(w.destroyed_at, GREATEST(now(), to_timestamp(u.at))) END,
            destruction_method = CASE WHEN u.destroyed THEN COALESCE(w.destruction_method, $8) END,
            destruction_reason = CASE WHEN u.destroying THEN u.reason END, updated_at = now()
        FROM unnest($1::text[], $2::text[], $3::text[], $4::boolean[], $5::boolean[], $6::boolean[], $7::text[], $9::bigint[])
            AS u (wallet_id, balance, status, funded, destroying, destroyed, reason, at) WHERE w.wallet_id = u.wallet_id";
    // Several of them may be one enterprise's.
    BALANCES = "UPDATE wallets w SET balance_units = w.balance_units + s.more, updated_at = now()
        FROM (SELECT u.organization_id, u.chain_id, SUM(u.paid::numeric - u.was::numeric) AS more
            FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[]) AS u (organization_id, chain_id, paid, was)
            GROUP BY u.organization_id, u.chain_id) s
        WHERE w.organization_id = s.organization_id AND w.chain_id = s.chain_id";
    // In the order in which they are given; what has happened once on chain is told once.
    LIFECYCLE = "INSERT INTO wallet_lifecycle_events (tenant_id, wallet_id, event_type, event_data, blockchain_hash)
        SELECT u.tenant_id, u.wallet_id, u.event_type, u.event_data::jsonb, u.hash
        FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::boolean[]) WITH ORDINALITY
            AS u (tenant_id, wallet_id, event_type, event_data, hash, once, at)
        WHERE NOT u.once OR NOT EXISTS (SELECT 1 FROM wallet_lifecycle_events e
            WHERE e.wallet_id = u.wallet_id AND e.event_type = u.event_type AND e.blockchain_hash = u.hash)
        ORDER BY u.at";
    OUTBOX = "INSERT INTO outbox (tenant_id, aggregate, sequence, type, body)
        SELECT u.tenant_id, u.invoice_id, u.sequence, u.type, u.body::jsonb
        FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[]) WITH ORDINALITY
            AS u (tenant_id, invoice_id, sequence, type, body, at) ORDER BY u.at";
    RAILS = "UPDATE invoice_terms t SET wake_seen_at = u.seen_at, wake_final_at = u.final_at, paid_units = u.paid::numeric,
            received_units = u.received::numeric, balance_units = u.balance::numeric
        FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[])
            AS u (terms_hash, seen_at, final_at, paid, received, balance) WHERE t.terms_hash = u.terms_hash";
}

/// How a destroyed wallet's keys went. The word is the specification's; `keys::OVERWRITE_PASSES` says what it is worth.
const DESTRUCTION_METHOD: &str = "7-pass_overwrite";

/// Moves intents on and asks for those that are wanted. Returns which invoices have an intent that was no longer as the facts
/// had it: they have to be looked at again, and nothing is asked for on any of their rails.
pub(super) async fn intents(db: &mut PgConnection, all: &[Looked<'_>]) -> Result<BTreeSet<usize>, Error> {
    let (mut ids, mut states, mut were) = (Vec::new(), Vec::new(), Vec::new());
    for (_, facts, outcome) in all.iter().flat_map(Looked::rails) {
        for (id, state) in &outcome.intents {
            let was = facts.intents.iter().find(|intent| intent.id == *id).map_or("", |intent| intent.state.as_str());
            ids.push(*id);
            states.push(state.as_str());
            were.push(was);
        }
    }
    let mut set = BTreeSet::new();
    if !ids.is_empty() {
        let query = sqlx::query(SET_INTENTS).bind(bytes(ids)).bind(states).bind(were);
        for row in query.fetch_all(&mut *db).await? {
            set.insert(row.hash("id")?);
        }
    }
    let mut moved = BTreeSet::new();
    let mut wanted = Wanted::default();
    for (at, looked) in all.iter().enumerate() {
        let invoice = looked.text("invoice_id")?;
        if looked.rails().any(|(_, _, outcome)| outcome.intents.iter().any(|(id, _)| !set.contains(id))) {
            moved.insert(at);
            continue;
        }
        for (_, facts, outcome) in looked.rails() {
            for (id, state) in &outcome.intents {
                info!(invoice, intent = %id, to = state.as_str(), "intent");
            }
            for want in &outcome.wanted {
                let there =
                    facts.intents.iter().any(|intent| intent.id == want.id && intent.state != IntentState::Superseded);
                if !there {
                    info!(invoice, intent = %want.id, kind = want.kind.as_str(), chain = facts.chain, "intent wanted");
                    wanted.ids.push(want.id.to_vec());
                    wanted.tenants.push(looked.text("tenant_id")?.to_owned());
                    wanted.chains.push(chain_id(facts.chain));
                    wanted.terms.push(facts.terms_hash.to_vec());
                    wanted.kinds.push(want.kind.as_str());
                    wanted.tokens.push(want.token.as_bytes().to_vec());
                    wanted.before.push(want.cumulative_before.to_string());
                }
            }
        }
    }
    if !wanted.ids.is_empty() {
        sqlx::query(WANT_INTENTS)
            .bind(wanted.ids)
            .bind(wanted.tenants)
            .bind(&wanted.chains)
            .bind(wanted.terms)
            .bind(wanted.kinds)
            .bind(wanted.tokens)
            .bind(wanted.before)
            .execute(&mut *db)
            .await?;
        sqlx::query(ANNOUNCE).bind(INTENTS_CHANNEL).bind(wanted.chains).execute(db).await?;
    }
    Ok(moved)
}

/// What has become of orders to mint.
pub(super) async fn orders(db: &mut PgConnection, all: &[Looked<'_>]) -> Result<(), Error> {
    let (mut deposits, mut attempts, mut states) = (Vec::new(), Vec::new(), Vec::new());
    for looked in all {
        for (deposit, attempt, state) in looked.rails().flat_map(|(_, _, outcome)| &outcome.orders) {
            info!(invoice = looked.text("invoice_id")?, %deposit, attempt, to = state.as_str(), "order to mint");
            deposits.push(*deposit);
            attempts.push(i32::try_from(*attempt).map_err(|_| corrupt("attempt"))?);
            states.push(state.as_str());
        }
    }
    if !deposits.is_empty() {
        let deposits = bytes(deposits);
        sqlx::query(SET_ORDERS).bind(&deposits).bind(attempts).bind(states).execute(&mut *db).await?;
        sqlx::query(TELL_ORDERS).bind(ORDERS_CHANNEL).bind(deposits).execute(db).await?;
    }
    Ok(())
}

/// Columns of intents.
#[derive(Default)]
struct Wanted {
    ids: Vec<Vec<u8>>,
    tenants: Vec<String>,
    chains: Vec<i64>,
    terms: Vec<Vec<u8>>,
    kinds: Vec<&'static str>,
    tokens: Vec<Vec<u8>>,
    before: Vec<String>,
}

/// The movements of money that people and reports read.
pub(super) async fn movements(db: &mut PgConnection, all: &[Looked<'_>]) -> Result<(), Error> {
    let terms = bytes(all.iter().flat_map(|looked| looked.facts.iter().map(|facts| facts.terms_hash)));
    let ids = all.iter().map(|looked| looked.text("invoice_id")).collect::<Result<Vec<_>, _>>()?;
    sqlx::query(TX_DEPOSITS).bind(&terms).execute(&mut *db).await?;
    sqlx::query(TX_EVENTS).bind(&terms).execute(&mut *db).await?;
    sqlx::query(TX_TIERS).bind(&ids).execute(&mut *db).await?;
    sqlx::query(PAYMENTS).bind(&ids).execute(db).await?;
    Ok(())
}

/// Of each rail what is there, and when it is to be looked at although nothing happened.
pub(super) async fn rails(db: &mut PgConnection, all: &[Looked<'_>]) -> Result<(), Error> {
    let (mut terms, mut seen, mut finals) = (Vec::new(), Vec::new(), Vec::new());
    let (mut paid, mut received, mut balances) = (Vec::new(), Vec::new(), Vec::new());
    let wake = |at: Option<u64>| at.map(big).transpose();
    for (Rail { row, .. }, facts, outcome) in all.iter().flat_map(Looked::rails) {
        let (seen_at, final_at) = (wake(outcome.wake.seen_at)?, wake(outcome.wake.final_at)?);
        let same = (seen_at, final_at) == (row.try_get("wake_seen_at")?, row.try_get("wake_final_at")?)
            && outcome.paid == row.u128("rail_paid")?
            && outcome.received == row.u256("rail_received")?
            && outcome.balance == row.u256("rail_balance")?;
        if !same {
            terms.push(facts.terms_hash);
            seen.push(seen_at);
            finals.push(final_at);
            paid.push(outcome.paid.to_string());
            received.push(outcome.received.to_string());
            balances.push(outcome.balance.to_string());
        }
    }
    if !terms.is_empty() {
        let query = sqlx::query(RAILS).bind(bytes(terms)).bind(seen).bind(finals);
        query.bind(paid).bind(received).bind(balances).execute(db).await?;
    }
    Ok(())
}

/// What has become of an invoice whose rows change.
struct Change<'a> {
    looked: &'a Looked<'a>,
    is: InvoiceStatus,
    changed: bool,
    wallet: WalletStatus,
    steps: Vec<(WalletStatus, Guard)>,
    exceptions: Vec<&'static str>,
}

impl<'a> Change<'a> {
    /// `None` where everything is as it was.
    fn of(looked: &'a Looked<'a>) -> Result<Option<Self>, Error> {
        let (row, whole) = (looked.loaded.row()?, &looked.look.whole);
        let was: InvoiceStatus = row.word("invoice_status")?;
        let (is, guard) = was.on(whole.invoice).unwrap_or((was, Guard::Always));
        let wallet_was: WalletStatus = row.word("wallet_status")?;
        let steps = wallet_was.steps(&whole.wallet);
        let wallet = steps.last().map_or(wallet_was, |(status, _)| *status);

        let mut exceptions = whole.exceptions.clone();
        let sticky: Vec<String> = row.try_get("exceptions")?;
        if guard == Guard::Reorg || sticky.iter().any(|word| word == Exception::PaymentReversed.as_str()) {
            exceptions.push(Exception::PaymentReversed);
        }
        let exceptions: Vec<&str> = exceptions.iter().map(|exception| exception.as_str()).collect();
        let (tier, picked) = (whole.tier.map(|tier| tier.as_str()), looked.look.picked);
        let changed = is != was
            || wallet != wallet_was
            || picked != looked.loaded.picked
            || whole.paid != row.u128("paid")?
            || whole.balance != row.u256("balance")?
            || whole.received != row.u256("received")?
            || tier != row.try_get("settlement_tier")?
            || exceptions != sticky;
        if changed {
            let (invoice, from, wallet_from) = (looked.text("invoice_id")?, was.as_str(), wallet_was.as_str());
            info!(invoice, from, to = is.as_str(), wallet_from, wallet = wallet.as_str(), tier, picked, "invoice");
        }
        Ok(changed.then_some(Self { looked, is, changed: is != was, wallet, steps, exceptions }))
    }

    fn whole(&self) -> &Whole {
        &self.looked.look.whole
    }

    fn tier(&self) -> Option<&'static str> {
        self.whole().tier.map(|tier| tier.as_str())
    }

    fn destroyed(&self) -> bool {
        self.wallet == WalletStatus::Destroyed
    }

    fn destroying(&self) -> bool {
        self.destroyed() || self.wallet == WalletStatus::Destroying
    }

    fn funded(&self) -> bool {
        let covers = |(_, facts, outcome): (_, &Facts, &Outcome)| outcome.received >= U256::from(facts.amount);
        self.wallet >= WalletStatus::Funded && self.looked.rails().any(covers)
    }

    fn reason(&self) -> Option<&'static str> {
        self.whole().reason.map(|reason| reason.as_str())
    }

    /// The time of its chains: the latest.
    fn now(&self) -> u64 {
        self.looked.facts.iter().map(|facts| facts.now).max().unwrap_or(0)
    }

    /// The last payment, and its transaction.
    fn payment(&self) -> Option<(&'a EventFact, &'a TxId)> {
        let events = self.looked.events();
        events.into_iter().rev().find(|(event, _)| matches!(event.what, Recorded::Settled | Recorded::Paid))
    }
}

/// Statuses, balances, history and what others are told, of each invoice of which something changes.
pub(super) async fn statuses(db: &mut PgConnection, all: &[Looked<'_>]) -> Result<(), Error> {
    let mut changes = Vec::new();
    for looked in all {
        changes.extend(Change::of(looked)?);
    }
    if changes.is_empty() {
        return Ok(());
    }
    invoices(db, &changes).await?;
    balances(db, &changes).await?;
    wallets(db, &changes).await?;
    history(db, &changes).await?;
    outbox(db, &changes).await
}

/// One column of all changes.
fn column<'a, T>(changes: &'a [Change<'a>], of: impl Fn(&'a Change<'a>) -> Result<T, Error>) -> Result<Vec<T>, Error> {
    changes.iter().map(of).collect()
}

async fn invoices(db: &mut PgConnection, changes: &[Change<'_>]) -> Result<(), Error> {
    let at = |found: Option<(&EventFact, &TxId)>| -> Result<Option<OffsetDateTime>, Error> {
        found.map(|(event, _)| time(event.timestamp)).transpose()
    };
    sqlx::query(UPDATE_INVOICES)
        .bind(column(changes, |change| change.looked.text("invoice_id"))?)
        .bind(column(changes, |change| Ok(change.is.as_str()))?)
        .bind(column(changes, |change| Ok(change.whole().paid.to_string()))?)
        .bind(column(changes, |change| Ok(change.whole().received.to_string()))?)
        .bind(column(changes, |change| Ok(change.tier()))?)
        .bind(column(changes, |change| Ok(change.exceptions.join(",")))?)
        .bind(column(changes, |change| at(change.payment().filter(|(event, _)| event.status == 1)))?)
        .bind(column(changes, |change| at(change.payment()))?)
        .bind(column(changes, |change| Ok(change.payment().map(|(_, hash)| hash.to_string())))?)
        .bind(column(changes, |change| Ok(change.looked.look.picked.map(chain_id)))?)
        .execute(db)
        .await?;
    Ok(())
}

async fn balances(db: &mut PgConnection, changes: &[Change<'_>]) -> Result<(), Error> {
    let (mut issuers, mut chains, mut paid, mut were) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for change in changes {
        for (Rail { row, .. }, facts, outcome) in change.looked.rails() {
            let was = row.u128("rail_paid")?;
            if outcome.paid != was {
                issuers.push(change.looked.text("issuer")?);
                chains.push(chain_id(facts.chain));
                paid.push(outcome.paid.to_string());
                were.push(was.to_string());
            }
        }
    }
    if !issuers.is_empty() {
        sqlx::query(BALANCES).bind(issuers).bind(chains).bind(paid).bind(were).execute(db).await?;
    }
    Ok(())
}

async fn wallets(db: &mut PgConnection, changes: &[Change<'_>]) -> Result<(), Error> {
    sqlx::query(UPDATE_WALLETS)
        .bind(column(changes, |change| change.looked.text("wallet_id"))?)
        .bind(column(changes, |change| Ok(change.whole().balance.to_string()))?)
        .bind(column(changes, |change| Ok(change.wallet.as_str()))?)
        .bind(column(changes, |change| Ok(change.funded()))?)
        .bind(column(changes, |change| Ok(change.destroying()))?)
        .bind(column(changes, |change| Ok(change.destroyed()))?)
        .bind(column(changes, |change| Ok(change.reason()))?)
        .bind(DESTRUCTION_METHOD)
        .bind(column(changes, |change| big(change.now()))?)
        .execute(db)
        .await?;
    Ok(())
}

/// The steps of each wallet, and each refund once. A wallet's key goes with its last step.
async fn history(db: &mut PgConnection, changes: &[Change<'_>]) -> Result<(), Error> {
    let mut gone = Vec::new();
    for change in
        changes.iter().filter(|change| change.steps.iter().any(|(status, _)| *status == WalletStatus::Destroyed))
    {
        gone.push(change.looked.text("wallet_id")?);
    }
    let erased = keys::erase(db, &gone).await?;
    let (mut tenants, mut wallets, mut words, mut data) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut hashes, mut once) = (Vec::new(), Vec::new());
    for change in changes {
        let (looked, events) = (change.looked, change.looked.events());
        let (tenant, wallet, invoice) =
            (looked.text("tenant_id")?, looked.text("wallet_id")?, looked.text("invoice_id")?);
        for (status, guard) in &change.steps {
            let mut body = serde_json::json!({
                "invoice": invoice, "wallet_status": status.as_str(), "invoice_status": change.is.as_str(), "tier": change.tier(),
                "paid_units": looked.look.whole.paid.to_string(), "balance_units": looked.look.whole.balance.to_string(),
                "reason": change.reason(),
            });
            if *status == WalletStatus::Destroyed {
                body["key_erased"] = erased.contains(wallet).into();
            }
            tenants.push(tenant);
            wallets.push(wallet);
            words.push(lifecycle_word(*status, *guard));
            data.push(body.to_string());
            hashes.push(events.last().map(|(_, hash)| hash.to_string()));
            once.push(false);
        }
        for (event, hash) in events.into_iter().filter(|(event, _)| event.what == Recorded::Refunded) {
            let (token, amount) = (event.token.to_string(), event.amount.to_string());
            tenants.push(tenant);
            wallets.push(wallet);
            words.push("refunded");
            data.push(serde_json::json!({"invoice": invoice, "token": token, "amount_units": amount}).to_string());
            hashes.push(Some(hash.to_string()));
            once.push(true);
        }
    }
    if !wallets.is_empty() {
        let query = sqlx::query(LIFECYCLE).bind(tenants).bind(wallets).bind(words).bind(data);
        query.bind(hashes).bind(once).execute(db).await?;
    }
    Ok(())
}

async fn outbox(db: &mut PgConnection, changes: &[Change<'_>]) -> Result<(), Error> {
    let kind = |change: &Change<'_>| match change.changed {
        true => format!("invoice.{}", change.is),
        false => "invoice.updated".to_owned(),
    };
    let body = |change: &Change<'_>| {
        let (whole, invoice) = (change.whole(), change.looked.text("invoice_id")?);
        let body = serde_json::json!({
            "invoice_id": invoice, "status": change.is.as_str(), "wallet_status": change.wallet.as_str(), "tier": change.tier(),
            "paid_units": whole.paid.to_string(), "balance_units": whole.balance.to_string(),
            "exceptions": change.exceptions,
        });
        Ok(body.to_string())
    };
    sqlx::query(OUTBOX)
        .bind(column(changes, |change| change.looked.text("tenant_id"))?)
        .bind(column(changes, |change| change.looked.text("invoice_id"))?)
        .bind(column(changes, |change| Ok(change.looked.loaded.row()?.try_get::<i64, _>("sequence")? + 1))?)
        .bind(column(changes, |change| Ok(kind(change)))?)
        .bind(column(changes, body)?)
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
