-- Why: money in and out. The books are double entry and append-only, and Postgres itself keeps what must hold of them: every
-- transfer balances, in the reserve's fund and in ours apart, so that reserve + named deficit = what the reserve owes, whoever
-- writes; nothing is changed or lost afterwards; nothing is booked twice; nothing that others own goes below zero.
--
-- Base units everywhere: 10^-6 of a dollar, a cent is 10,000. Debits are above zero, credits below.

-- What 128 bits with a sign hold.
CREATE DOMAIN money_units AS NUMERIC(39, 0) CHECK (VALUE BETWEEN
    -170141183460469231731687303715884105728 AND 170141183460469231731687303715884105727);
CREATE DOMAIN last_four AS TEXT CHECK (VALUE ~ '^[0-9]{4}$');

CREATE FUNCTION refuse_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;

-- ── The books ───────────────────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE ledger_account_kinds (
    kind        TEXT PRIMARY KEY,
    fund        TEXT NOT NULL CHECK (fund IN ('reserve', 'house')),
    normal      TEXT NOT NULL CHECK (normal IN ('debit', 'credit')),
    by          TEXT NOT NULL CHECK (by IN ('nothing', 'bank', 'provider', 'customer', 'token', 'chain')),
    below_zero  BOOLEAN NOT NULL
);
INSERT INTO ledger_account_kinds (kind, fund, normal, by, below_zero) VALUES
    ('reserve', 'reserve', 'debit', 'bank', TRUE),
    ('reserve_deficit', 'reserve', 'debit', 'nothing', FALSE),
    ('mintable', 'reserve', 'credit', 'nothing', FALSE),
    ('token_liability', 'reserve', 'credit', 'token', FALSE),
    ('rail_transfer', 'reserve', 'credit', 'nothing', FALSE),
    ('redemption_payable', 'reserve', 'credit', 'nothing', FALSE),
    ('payout_in_transit', 'reserve', 'credit', 'bank', FALSE),
    ('bank_cash', 'house', 'debit', 'bank', TRUE),
    ('loss_reserve', 'house', 'debit', 'bank', FALSE),
    ('gateway_receivable', 'house', 'debit', 'provider', TRUE),
    ('usdc_at_circle', 'house', 'debit', 'nothing', FALSE),
    ('usdc_treasury', 'house', 'debit', 'chain', FALSE),
    ('usdc_float', 'house', 'debit', 'chain', FALSE),
    ('customer_receivable', 'house', 'debit', 'customer', TRUE),
    ('chargebacks_open', 'house', 'debit', 'provider', FALSE),
    ('unexplained', 'house', 'debit', 'nothing', FALSE),
    ('deposits_held', 'house', 'credit', 'nothing', FALSE),
    ('due_to_reserve', 'house', 'credit', 'nothing', FALSE),
    ('suspense', 'house', 'credit', 'nothing', FALSE),
    ('customer_credit', 'house', 'credit', 'customer', FALSE),
    ('capital', 'house', 'credit', 'nothing', FALSE),
    ('fees', 'house', 'credit', 'nothing', TRUE),
    ('provider_fees', 'house', 'debit', 'provider', TRUE),
    ('losses', 'house', 'debit', 'nothing', TRUE);

CREATE TABLE ledger_accounts (
    id          TEXT PRIMARY KEY,
    kind        TEXT NOT NULL REFERENCES ledger_account_kinds,
    of          TEXT NOT NULL DEFAULT '',
    created_at  TIMESTAMPTZ NOT NULL DEFAULT now(),
    UNIQUE (kind, of),
    CHECK (id = CASE of WHEN '' THEN kind ELSE kind || ':' || of END)
);

CREATE TABLE ledger_transfers (
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source      TEXT NOT NULL CHECK (source <> ''),
    reference   TEXT NOT NULL,
    kind        TEXT NOT NULL,
    phase       TEXT NOT NULL CHECK (phase IN ('single', 'pending', 'post', 'void')),
    -- What was announced is booked or called off once, by a new row.
    resolves    BIGINT UNIQUE REFERENCES ledger_transfers,
    -- Of the transaction that wrote it: postings are added in the same one, and never later.
    xid         XID8 NOT NULL,
    booked_at   TIMESTAMPTZ NOT NULL,
    UNIQUE (source, reference, kind),
    CHECK ((phase IN ('post', 'void')) = (resolves IS NOT NULL))
);

-- One line of an account's statement: lines are numbered without gaps, each with the balance after it. So the balance is the last
-- line's, the line before it need not be believed, and nothing is ever updated.
CREATE TABLE ledger_postings (
    account_id  TEXT NOT NULL REFERENCES ledger_accounts,
    line        BIGINT NOT NULL,
    transfer_id BIGINT NOT NULL REFERENCES ledger_transfers,
    amount_units money_units NOT NULL CHECK (amount_units <> 0),
    -- Of a transfer that is only announced: in no balance.
    pending     BOOLEAN NOT NULL,
    balance_units money_units NOT NULL,
    PRIMARY KEY (account_id, line),
    UNIQUE (transfer_id, account_id)
);

-- Whoever may write here may make temporary tables too: `pg_temp` is last in the path of what checks, or one of these would be taken
-- for a table of ours.
CREATE FUNCTION ledger_transfer_begins() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    NEW.xid := pg_current_xact_id();
    NEW.booked_at := clock_timestamp();
    IF NEW.resolves IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM ledger_transfers WHERE id = NEW.resolves AND phase = 'pending') THEN
        RAISE EXCEPTION 'only what is pending can be posted or voided' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER ledger_transfers_begin BEFORE INSERT ON ledger_transfers
    FOR EACH ROW EXECUTE FUNCTION ledger_transfer_begins();

-- Numbers the line and works out the balance, whatever the writer said. The account's row is locked until commit: whoever
-- books on it next reads this line.
CREATE FUNCTION ledger_posting_begins() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    account   RECORD;
    transfer  RECORD;
    last      RECORD;
BEGIN
    SELECT a.id, k.normal, k.below_zero INTO account FROM ledger_accounts a JOIN ledger_account_kinds k USING (kind)
        WHERE a.id = NEW.account_id FOR NO KEY UPDATE OF a;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no account %', NEW.account_id USING ERRCODE = 'foreign_key_violation';
    END IF;
    SELECT phase, xid INTO transfer FROM ledger_transfers WHERE id = NEW.transfer_id;
    IF NOT FOUND OR transfer.xid <> pg_current_xact_id() THEN
        RAISE EXCEPTION 'transfer % is closed: nothing is added to it', NEW.transfer_id USING ERRCODE = 'restrict_violation';
    END IF;
    SELECT line, balance_units INTO last FROM ledger_postings WHERE account_id = NEW.account_id ORDER BY line DESC LIMIT 1;
    NEW.line := COALESCE(last.line, 0) + 1;
    NEW.pending := transfer.phase = 'pending';
    NEW.balance_units := COALESCE(last.balance_units, 0) + CASE WHEN NEW.pending THEN 0 ELSE NEW.amount_units END;
    IF NOT account.below_zero AND NOT NEW.pending AND (CASE account.normal WHEN 'debit' THEN 1 ELSE -1 END) * NEW.balance_units < 0 THEN
        RAISE EXCEPTION 'account % would be below zero', NEW.account_id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER ledger_postings_begin BEFORE INSERT ON ledger_postings
    FOR EACH ROW EXECUTE FUNCTION ledger_posting_begins();

-- At commit, for every transfer: it has postings (a void has none), they sum to zero in each fund, and what is posted is what was
-- announced.
CREATE FUNCTION ledger_transfer_ends() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    transfer RECORD;
    lopsided TEXT;
    legs     INTEGER;
BEGIN
    SELECT id, phase, resolves INTO transfer FROM ledger_transfers
        WHERE id = (CASE TG_TABLE_NAME WHEN 'ledger_transfers' THEN to_jsonb(NEW) ->> 'id' ELSE to_jsonb(NEW) ->> 'transfer_id' END)::BIGINT;
    SELECT count(*) INTO legs FROM ledger_postings WHERE transfer_id = transfer.id;
    IF (transfer.phase = 'void') <> (legs = 0) THEN
        RAISE EXCEPTION 'transfer % (%) has % postings', transfer.id, transfer.phase, legs USING ERRCODE = 'check_violation';
    END IF;
    SELECT k.fund INTO lopsided FROM ledger_postings p JOIN ledger_accounts a ON a.id = p.account_id
        JOIN ledger_account_kinds k USING (kind) WHERE p.transfer_id = transfer.id
        GROUP BY k.fund HAVING sum(p.amount_units) <> 0 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'transfer % does not balance in the fund %', transfer.id, lopsided USING ERRCODE = 'check_violation';
    END IF;
    IF transfer.phase = 'post' AND EXISTS (
        SELECT 1 FROM (SELECT account_id, amount_units FROM ledger_postings WHERE transfer_id = transfer.id) posted
            FULL JOIN (SELECT account_id, amount_units FROM ledger_postings WHERE transfer_id = transfer.resolves) announced
            USING (account_id, amount_units)
            WHERE posted IS NULL OR announced IS NULL) THEN
        RAISE EXCEPTION 'transfer % posts other amounts than were announced', transfer.id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER ledger_transfers_end AFTER INSERT ON ledger_transfers
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger_transfer_ends();
CREATE CONSTRAINT TRIGGER ledger_postings_end AFTER INSERT ON ledger_postings
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger_transfer_ends();

CREATE TRIGGER ledger_account_kinds_fixed BEFORE INSERT OR UPDATE OR DELETE ON ledger_account_kinds
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ledger_account_kinds_not_emptied BEFORE TRUNCATE ON ledger_account_kinds
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();
CREATE TRIGGER ledger_accounts_append_only BEFORE UPDATE OR DELETE ON ledger_accounts
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ledger_accounts_not_emptied BEFORE TRUNCATE ON ledger_accounts
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();
CREATE TRIGGER ledger_transfers_append_only BEFORE UPDATE OR DELETE ON ledger_transfers
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ledger_transfers_not_emptied BEFORE TRUNCATE ON ledger_transfers
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();
CREATE TRIGGER ledger_postings_append_only BEFORE UPDATE OR DELETE ON ledger_postings
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ledger_postings_not_emptied BEFORE TRUNCATE ON ledger_postings
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();

-- ── Banks ───────────────────────────────────────────────────────────────────────────────────────────────────────

-- Our own bank accounts. The number stands with the bank and in the operator's files, not here.
CREATE TABLE bank_accounts (
    id          TEXT PRIMARY KEY CHECK (id ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    name        TEXT NOT NULL,
    currency    TEXT NOT NULL DEFAULT 'USD' CHECK (currency = 'USD'),
    last_four   last_four,
    -- Newly cleared money is set aside here unless a receipt says otherwise.
    holds_reserve BOOLEAN NOT NULL,
    closed_at   TIMESTAMPTZ,
    created_at  TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE TABLE reserve_accounts (
    id            TEXT PRIMARY KEY REFERENCES bank_accounts,
    balance_units money_units NOT NULL DEFAULT 0,
    balance       NUMERIC(45, 6) GENERATED ALWAYS AS (balance_units::NUMERIC / 1000000) STORED,
    currency      TEXT NOT NULL DEFAULT 'USD',
    updated_at    TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE FUNCTION reserve_account_follows() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE reserve_accounts SET balance_units = NEW.balance_units, updated_at = now()
        WHERE id = substr(NEW.account_id, length('reserve:') + 1);
    RETURN NULL;
END $$;
CREATE TRIGGER ledger_postings_reserve AFTER INSERT ON ledger_postings
    FOR EACH ROW WHEN (starts_with(NEW.account_id, 'reserve:')) EXECUTE FUNCTION reserve_account_follows();

-- A customer's or an enterprise's bank account or card, as the provider knows it.
CREATE TABLE bank_links (
    id          UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id   TEXT NOT NULL REFERENCES tenants,
    user_id     TEXT REFERENCES users,
    enterprise_id TEXT REFERENCES enterprises,
    method      TEXT NOT NULL CHECK (method IN ('ach', 'wire', 'debit_card')),
    provider    TEXT NOT NULL,
    token       TEXT NOT NULL CHECK (token !~ '^[0-9 -]{8,}$'),
    last_four   last_four NOT NULL,
    institution TEXT,
    holder      TEXT,
    state       TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'active', 'refused', 'removed')),
    created_at  TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at  TIMESTAMPTZ NOT NULL DEFAULT now(),
    UNIQUE (provider, token),
    CHECK (num_nonnulls(user_id, enterprise_id) = 1)
);

-- ── Money in ────────────────────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE fiat_receipts (
    id              UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id       TEXT NOT NULL REFERENCES tenants,
    user_id         TEXT REFERENCES users,
    invoice_id      TEXT REFERENCES invoices,
    -- What the mint is named by on chain. Drawn once, stored before anything is sent, never drawn again.
    deposit_id      hash32 NOT NULL UNIQUE,
    rail            TEXT NOT NULL CHECK (rail IN ('card', 'ach', 'wire', 'rtp')),
    risk            TEXT NOT NULL CHECK (risk IN ('low', 'normal', 'high')),
    provider        TEXT NOT NULL,
    -- The number we gave the provider for it, and the one it gave us.
    request_id      TEXT NOT NULL,
    provider_ref    TEXT,
    bank_account_id TEXT NOT NULL REFERENCES bank_accounts,
    bank_link_id    UUID REFERENCES bank_links,
    principal_units u128 NOT NULL CHECK (principal_units > 0),
    fee_units       u128 NOT NULL DEFAULT 0,
    state           TEXT NOT NULL DEFAULT 'initiated' CHECK (state IN ('initiated', 'submitted', 'settled', 'held', 'cleared',
                        'minted', 'declined', 'returned', 'charged_back')),
    unknown         BOOLEAN NOT NULL DEFAULT FALSE,
    booked          BOOLEAN NOT NULL DEFAULT FALSE,
    settled         BOOLEAN NOT NULL DEFAULT FALSE,
    hold_until      TIMESTAMPTZ,
    held_units      u128 NOT NULL DEFAULT 0,
    mintable_units  u128 NOT NULL DEFAULT 0,
    minted_units    u128 NOT NULL DEFAULT 0,
    floated_units   u128 NOT NULL DEFAULT 0,
    cash_units      u128 NOT NULL DEFAULT 0,
    cover_units     u128 NOT NULL DEFAULT 0,
    deficit_units   u128 NOT NULL DEFAULT 0,
    created_at      TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at      TIMESTAMPTZ NOT NULL DEFAULT now(),
    UNIQUE (provider, request_id),
    UNIQUE (provider, provider_ref),
    CONSTRAINT fiat_receipts_backed
        CHECK (mintable_units::NUMERIC + minted_units = cash_units::NUMERIC + cover_units + deficit_units)
);
CREATE INDEX fiat_receipts_invoice ON fiat_receipts (invoice_id);
CREATE INDEX fiat_receipts_state ON fiat_receipts (state, hold_until);

-- Everything a provider or bank has told us, once, as it was.
CREATE TABLE fiat_events (
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider    TEXT NOT NULL,
    external_id TEXT NOT NULL,
    channel     TEXT NOT NULL CHECK (channel IN ('webhook', 'poll', 'report', 'operator')),
    body        JSONB NOT NULL,
    received_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    -- What became of it: ours, and the only part that changes.
    receipt_id  UUID REFERENCES fiat_receipts,
    meaning     JSONB,
    state       TEXT NOT NULL DEFAULT 'received' CHECK (state IN
                    ('received', 'applied', 'duplicate', 'waiting', 'refused', 'suspense', 'irrelevant')),
    reason      TEXT,
    UNIQUE (provider, external_id)
);
CREATE INDEX fiat_events_open ON fiat_events (state, id) WHERE state IN ('received', 'waiting');
CREATE INDEX fiat_events_receipt ON fiat_events (receipt_id);

CREATE FUNCTION fiat_event_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR (NEW.id, NEW.provider, NEW.external_id, NEW.channel, NEW.body, NEW.received_at)
        IS DISTINCT FROM (OLD.id, OLD.provider, OLD.external_id, OLD.channel, OLD.body, OLD.received_at)
        OR (OLD.state = 'applied' AND NEW IS DISTINCT FROM OLD) THEN
        RAISE EXCEPTION 'what a provider has told us is not changed' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER fiat_events_stay BEFORE UPDATE OR DELETE ON fiat_events FOR EACH ROW EXECUTE FUNCTION fiat_event_stays();
CREATE TRIGGER fiat_events_not_emptied BEFORE TRUNCATE ON fiat_events FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();

-- What has been applied to a receipt: each kind and trace once.
CREATE TABLE receipt_events (
    receipt_id  UUID NOT NULL REFERENCES fiat_receipts,
    kind        TEXT NOT NULL,
    trace       TEXT NOT NULL,
    number      INTEGER NOT NULL,
    event       JSONB NOT NULL,
    state       TEXT NOT NULL,
    fiat_event_id BIGINT REFERENCES fiat_events,
    applied_at  TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (receipt_id, kind, trace),
    UNIQUE (receipt_id, number)
);
CREATE TRIGGER receipt_events_append_only BEFORE UPDATE OR DELETE ON receipt_events
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER receipt_events_not_emptied BEFORE TRUNCATE ON receipt_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();

CREATE TABLE fiat_takings (
    receipt_id   UUID NOT NULL REFERENCES fiat_receipts,
    number       INTEGER NOT NULL,
    kind         TEXT NOT NULL CHECK (kind IN ('return', 'chargeback')),
    trace        TEXT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('open', 'lost', 'undone')),
    amount_units u128 NOT NULL CHECK (amount_units > 0),
    held_units   u128 NOT NULL DEFAULT 0,
    fee_units    u128 NOT NULL DEFAULT 0,
    owed_units   u128 NOT NULL DEFAULT 0,
    created_at   TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at   TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (receipt_id, kind, trace)
);

CREATE TABLE suspense_items (
    id              UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    bank_account_id TEXT NOT NULL REFERENCES bank_accounts,
    fiat_event_id   BIGINT NOT NULL UNIQUE REFERENCES fiat_events,
    amount_units    u128 NOT NULL CHECK (amount_units > 0),
    payer           TEXT,
    reference       TEXT,
    state           TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'proposed', 'assigned', 'returned')),
    -- Two people: one says what it is for, another agrees.
    proposed_receipt UUID REFERENCES fiat_receipts,
    proposed_return BOOLEAN,
    proposed_by     TEXT,
    proposed_at     TIMESTAMPTZ,
    approved_by     TEXT,
    approved_at     TIMESTAMPTZ,
    created_at      TIMESTAMPTZ NOT NULL DEFAULT now(),
    CHECK (approved_by <> proposed_by),
    CHECK ((state = 'open') = (proposed_by IS NULL)),
    CHECK ((state IN ('assigned', 'returned')) = (approved_by IS NOT NULL)),
    CHECK (proposed_by IS NULL OR (proposed_receipt IS NOT NULL) <> COALESCE(proposed_return, FALSE)),
    CHECK (state <> 'assigned' OR proposed_receipt IS NOT NULL),
    CHECK (state <> 'returned' OR proposed_return)
);

-- Who approves approves what stands there, and does not write it himself; and what is decided stays so.
CREATE FUNCTION suspense_needs_two() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'open' THEN
            RAISE EXCEPTION 'money in suspense begins open' USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF TG_OP = 'DELETE' OR OLD.state IN ('assigned', 'returned')
        OR (NEW.id, NEW.bank_account_id, NEW.fiat_event_id, NEW.amount_units) IS DISTINCT FROM
           (OLD.id, OLD.bank_account_id, OLD.fiat_event_id, OLD.amount_units) THEN
        RAISE EXCEPTION 'what came, and what two people have decided of it, is not changed' USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.approved_by IS NOT NULL AND (OLD.state <> 'proposed'
        OR (NEW.proposed_by, NEW.proposed_receipt, NEW.proposed_return) IS DISTINCT FROM
           (OLD.proposed_by, OLD.proposed_receipt, OLD.proposed_return)) THEN
        RAISE EXCEPTION 'money in suspense is assigned by two people, one after the other' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER suspense_items_two_people BEFORE INSERT OR UPDATE OR DELETE ON suspense_items
    FOR EACH ROW EXECUTE FUNCTION suspense_needs_two();
CREATE TRIGGER suspense_items_not_emptied BEFORE TRUNCATE ON suspense_items
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();

-- ── Money out ───────────────────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE withdrawals (
    id              UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id       TEXT NOT NULL REFERENCES tenants,
    user_id         TEXT REFERENCES users,
    enterprise_id   TEXT REFERENCES enterprises,
    bank_link_id    UUID NOT NULL REFERENCES bank_links,
    bank_account_id TEXT NOT NULL REFERENCES bank_accounts,
    method          TEXT NOT NULL CHECK (method IN ('ACH', 'WIRE', 'DEBIT_CARD')),
    amount_units    u128 NOT NULL CHECK (amount_units > 0),
    amount          NUMERIC(45, 6) GENERATED ALWAYS AS (amount_units::NUMERIC / 1000000) STORED,
    currency        TEXT NOT NULL DEFAULT 'USD' CHECK (currency = 'USD'),
    -- What people are told of where it goes: method and the last four.
    destination     TEXT NOT NULL,
    token_rail      TEXT NOT NULL CHECK (token_rail IN ('tempo', 'circle', 'monay')),
    chain_id        BIGINT NOT NULL REFERENCES chains,
    -- The redemption's terms, whose payee is the gate; and the final event that burned.
    terms_hash      hash32 NOT NULL UNIQUE,
    burn_tx         tx_id,
    status          TEXT NOT NULL DEFAULT 'requested' CHECK (status IN ('requested', 'locked', 'burned', 'payout_sent', 'completed',
                        'payout_returned', 'expired')),
    unknown         BOOLEAN NOT NULL DEFAULT FALSE,
    attempts        INTEGER NOT NULL DEFAULT 0,
    provider        TEXT,
    provider_ref    TEXT,
    estimated_arrival TIMESTAMPTZ,
    created_at      TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at      TIMESTAMPTZ NOT NULL DEFAULT now(),
    UNIQUE (provider, provider_ref),
    CHECK (num_nonnulls(user_id, enterprise_id) = 1),
    -- The bank is paid after the burn is final, and never before.
    CHECK (status IN ('requested', 'locked', 'expired') OR burn_tx IS NOT NULL)
);
CREATE INDEX withdrawals_status ON withdrawals (status, created_at);

CREATE TABLE withdrawal_events (
    withdrawal_id UUID NOT NULL REFERENCES withdrawals,
    kind          TEXT NOT NULL,
    trace         TEXT NOT NULL,
    number        INTEGER NOT NULL,
    event         JSONB NOT NULL,
    state         TEXT NOT NULL,
    applied_at    TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (withdrawal_id, kind, trace),
    UNIQUE (withdrawal_id, number)
);
CREATE TRIGGER withdrawal_events_append_only BEFORE UPDATE OR DELETE ON withdrawal_events
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER withdrawal_events_not_emptied BEFORE TRUNCATE ON withdrawal_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();

-- ── What the specification shows of it ──────────────────────────────────────────────────────────────────────────

-- One row per receipt, and one per withdrawal with its amount below zero.
CREATE TABLE fiat_reserve (
    id               UUID PRIMARY KEY,
    tenant_id        TEXT NOT NULL REFERENCES tenants,
    user_id          TEXT REFERENCES users,
    receipt_id       UUID UNIQUE REFERENCES fiat_receipts,
    withdrawal_id    UUID UNIQUE REFERENCES withdrawals,
    amount_units     money_units NOT NULL,
    amount           NUMERIC(45, 6) GENERATED ALWAYS AS (amount_units::NUMERIC / 1000000) STORED,
    currency         TEXT NOT NULL DEFAULT 'USD' CHECK (currency = 'USD'),
    status           TEXT NOT NULL CHECK (status IN ('pending', 'confirmed', 'released', 'withdrawn', 'failed')),
    deposit_id       TEXT,
    source_type      TEXT NOT NULL CHECK (source_type IN ('ach', 'card', 'wire')),
    source_reference TEXT,
    token_mint_id    TEXT,
    token_units      u128,
    token_amount     NUMERIC(45, 6) GENERATED ALWAYS AS (token_units::NUMERIC / 1000000) STORED,
    token_currency   TEXT CHECK (token_currency = 'USDC'),
    blockchain       TEXT,
    transaction_hash TEXT,
    created_at       TIMESTAMPTZ NOT NULL DEFAULT now(),
    confirmed_at     TIMESTAMPTZ,
    released_at      TIMESTAMPTZ,
    withdrawn_at     TIMESTAMPTZ,
    CHECK (num_nonnulls(receipt_id, withdrawal_id) = 1)
);
CREATE INDEX idx_fiat_reserve_user ON fiat_reserve (user_id);
CREATE INDEX idx_fiat_reserve_status ON fiat_reserve (status);

CREATE TABLE consumer_wallets (
    id            UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id     TEXT NOT NULL REFERENCES tenants,
    user_id       TEXT NOT NULL UNIQUE REFERENCES users,
    balance_units u256 NOT NULL DEFAULT 0,
    balance       NUMERIC(84, 6) GENERATED ALWAYS AS (balance_units::NUMERIC / 1000000) STORED,
    created_at    TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at    TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE TABLE stablecoin_balances (
    id            UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id     TEXT NOT NULL REFERENCES tenants,
    wallet_id     UUID NOT NULL REFERENCES consumer_wallets,
    chain_id      BIGINT NOT NULL REFERENCES chains,
    address       account NOT NULL,
    token         TEXT NOT NULL,
    balance_units u256 NOT NULL DEFAULT 0,
    balance       NUMERIC(84, 6) GENERATED ALWAYS AS (balance_units::NUMERIC / 1000000) STORED,
    updated_at    TIMESTAMPTZ NOT NULL DEFAULT now(),
    UNIQUE (wallet_id, chain_id, token)
);

-- The balance of a wallet is the sum over its chains and tokens, and written by nobody else.
CREATE FUNCTION consumer_wallet_follows() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE consumer_wallets SET updated_at = now(), balance_units =
        (SELECT COALESCE(sum(balance_units), 0) FROM stablecoin_balances WHERE wallet_id = COALESCE(NEW.wallet_id, OLD.wallet_id))
        WHERE id = COALESCE(NEW.wallet_id, OLD.wallet_id);
    RETURN NULL;
END $$;
CREATE TRIGGER stablecoin_balances_wallet AFTER INSERT OR UPDATE OR DELETE ON stablecoin_balances
    FOR EACH ROW EXECUTE FUNCTION consumer_wallet_follows();

CREATE TABLE customer_credits (
    id                UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id         TEXT NOT NULL REFERENCES tenants,
    customer_id       TEXT NOT NULL REFERENCES users,
    enterprise_id     TEXT REFERENCES enterprises,
    amount_units      u128 NOT NULL CHECK (amount_units > 0),
    amount            NUMERIC(45, 6) GENERATED ALWAYS AS (amount_units::NUMERIC / 1000000) STORED,
    source_invoice_id TEXT REFERENCES invoices,
    receipt_id        UUID REFERENCES fiat_receipts,
    -- Which giving back: one credit for each.
    trace             TEXT NOT NULL DEFAULT '',
    status            TEXT NOT NULL DEFAULT 'AVAILABLE' CHECK (status IN ('AVAILABLE', 'USED', 'REFUNDED')),
    created_at        TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at        TIMESTAMPTZ NOT NULL DEFAULT now(),
    UNIQUE (receipt_id, trace)
);
CREATE INDEX customer_credits_customer ON customer_credits (customer_id) WHERE status = 'AVAILABLE';

CREATE TABLE audit_log (
    id                   BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id            TEXT REFERENCES tenants,
    user_id              TEXT,
    action               TEXT NOT NULL,
    amount_units         money_units,
    amount               NUMERIC(45, 6) GENERATED ALWAYS AS (amount_units::NUMERIC / 1000000) STORED,
    fiat_deposit_id      TEXT,
    token_mint_id        TEXT,
    token_burn_id        TEXT,
    fiat_withdrawal_id   TEXT,
    wallet_balance_units money_units,
    wallet_balance       NUMERIC(45, 6) GENERATED ALWAYS AS (wallet_balance_units::NUMERIC / 1000000) STORED,
    details              JSONB NOT NULL DEFAULT '{}',
    created_at           TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX audit_log_user ON audit_log (user_id, id);
CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE ON audit_log FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_log_not_emptied BEFORE TRUNCATE ON audit_log FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();

-- ── Token rails ─────────────────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE rail_states (
    rail        TEXT PRIMARY KEY CHECK (rail IN ('tempo', 'circle', 'monay')),
    breaker     TEXT NOT NULL DEFAULT 'closed' CHECK (breaker IN ('closed', 'open', 'half_open')),
    failures    INTEGER NOT NULL DEFAULT 0 CHECK (failures >= 0),
    open_until  TIMESTAMPTZ,
    last_error  TEXT,
    updated_at  TIMESTAMPTZ NOT NULL DEFAULT now()
);
INSERT INTO rail_states (rail) VALUES ('tempo'), ('circle'), ('monay');

CREATE TABLE rail_fallbacks (
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    receipt_id  UUID REFERENCES fiat_receipts,
    subject     TEXT NOT NULL,
    from_rail   TEXT NOT NULL,
    to_rail     TEXT,
    reason      TEXT NOT NULL,
    -- What proves that nothing was, or can be, minted on the first.
    proof       JSONB NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
);
CREATE TRIGGER rail_fallbacks_append_only BEFORE UPDATE OR DELETE ON rail_fallbacks
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER rail_fallbacks_not_emptied BEFORE TRUNCATE ON rail_fallbacks
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();

CREATE TABLE rail_transfers (
    id            UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id     TEXT NOT NULL REFERENCES tenants,
    user_id       TEXT REFERENCES users,
    amount_units  u128 NOT NULL CHECK (amount_units > 0),
    from_token    TEXT NOT NULL,
    to_token      TEXT NOT NULL,
    -- The redemption's terms on the first, the deposit the second mints for: drawn together, so that it is one intent.
    burn_terms    hash32 NOT NULL UNIQUE,
    deposit_id    hash32 NOT NULL UNIQUE,
    state         TEXT NOT NULL DEFAULT 'requested' CHECK (state IN
                      ('requested', 'burning', 'burned', 'minting', 'done', 'cancelled', 'payable')),
    created_at    TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at    TIMESTAMPTZ NOT NULL DEFAULT now(),
    CHECK (from_token <> to_token)
);

-- ── Whether it all agrees ───────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE reconciliations (
    id           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- supply, bank, provider, float.
    scope        TEXT NOT NULL CHECK (scope IN ('supply', 'bank', 'provider', 'float', 'reserve')),
    subject      TEXT NOT NULL,
    ours_units   money_units NOT NULL,
    theirs_units money_units NOT NULL,
    difference_units NUMERIC(40, 0) GENERATED ALWAYS AS (ours_units::NUMERIC - theirs_units::NUMERIC) STORED,
    -- As of which block, statement or moment.
    as_of        TEXT NOT NULL,
    resolved     TEXT,
    created_at   TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX reconciliations_subject ON reconciliations (scope, subject, id DESC);
CREATE TRIGGER reconciliations_append_only BEFORE UPDATE OR DELETE ON reconciliations
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER reconciliations_not_emptied BEFORE TRUNCATE ON reconciliations
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();

CREATE TABLE review_cases (
    id                UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    kind              TEXT NOT NULL,
    -- What it is about: one case is open for it at a time.
    subject           TEXT NOT NULL,
    reconciliation_id BIGINT REFERENCES reconciliations,
    fiat_event_id     BIGINT REFERENCES fiat_events,
    -- Both sides, line by line.
    ours              JSONB NOT NULL,
    theirs            JSONB NOT NULL,
    state             TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'resolved')),
    resolution        TEXT,
    resolved_by       TEXT,
    resolved_at       TIMESTAMPTZ,
    created_at        TIMESTAMPTZ NOT NULL DEFAULT now(),
    CHECK ((state = 'resolved') = (resolved_by IS NOT NULL AND resolution IS NOT NULL AND resolved_at IS NOT NULL))
);
CREATE UNIQUE INDEX review_cases_open ON review_cases (kind, subject) WHERE state = 'open';

-- ── What each is for ────────────────────────────────────────────────────────────────────────────────────────────

COMMENT ON DOMAIN money_units IS 'Base units, of either sign: 1,000,000 are a dollar.';
COMMENT ON DOMAIN last_four IS 'The last four digits of a number that is stored nowhere here.';
COMMENT ON TABLE ledger_account_kinds IS 'The chart of accounts, as in domain::ledger. Fixed: a trigger refuses any change.';
COMMENT ON COLUMN ledger_account_kinds.fund IS 'reserve: money of those who hold tokens. house: ours. Every transfer balances in each.';
COMMENT ON COLUMN ledger_account_kinds.normal IS 'The side it grows on.';
COMMENT ON COLUMN ledger_account_kinds.by IS 'What accounts of the kind are told apart by.';
COMMENT ON COLUMN ledger_account_kinds.below_zero IS 'Whether the balance may be on the other side: only where others decide what is taken.';
COMMENT ON TABLE ledger_accounts IS 'Accounts, made when first booked on. Append-only. The row is the lock of the account''s lines.';
COMMENT ON COLUMN ledger_accounts.id IS 'kind, or kind:of.';
COMMENT ON COLUMN ledger_accounts.of IS 'Which of its kind: a bank account, a provider, a customer, rail/chain.';
COMMENT ON TABLE ledger_transfers IS 'What was booked. Append-only; balanced in each fund at commit, or the commit fails.';
COMMENT ON COLUMN ledger_transfers.source IS 'Whose event: receipt/…, withdrawal/…, suspense/…, a provider, a bank account.';
COMMENT ON COLUMN ledger_transfers.reference IS 'Which of its events. With source and kind it is booked once.';
COMMENT ON COLUMN ledger_transfers.kind IS 'What it books: domain::ledger::EntryKind.';
COMMENT ON COLUMN ledger_transfers.phase IS 'single; pending (announced, in no balance); post or void of a pending one.';
COMMENT ON COLUMN ledger_transfers.resolves IS 'The pending transfer that this one posts or voids; each once.';
COMMENT ON COLUMN ledger_transfers.xid IS 'The transaction that wrote it: postings are added in it, and never later.';
COMMENT ON TABLE ledger_postings IS 'The lines of each account''s statement, with the balance after each. Append-only; number and balance are worked out by a trigger, whatever was said.';
COMMENT ON COLUMN ledger_postings.line IS 'From 1, without gaps, for each account.';
COMMENT ON COLUMN ledger_postings.amount_units IS 'Base units: debits above zero, credits below.';
COMMENT ON COLUMN ledger_postings.pending IS 'Of a pending transfer: in no balance.';
COMMENT ON COLUMN ledger_postings.balance_units IS 'The balance after this line, base units, debits above zero.';
COMMENT ON TABLE bank_accounts IS 'Our own bank accounts. Numbers stand with the bank and in the operator''s files.';
COMMENT ON COLUMN bank_accounts.holds_reserve IS 'Whether cleared money is set aside here.';
COMMENT ON TABLE reserve_accounts IS 'Bank accounts that hold reserve: a projection of the books, kept by a trigger.';
COMMENT ON COLUMN reserve_accounts.balance_units IS 'What of it backs tokens, base units.';
COMMENT ON COLUMN reserve_accounts.balance IS 'Generated from balance_units.';
COMMENT ON TABLE bank_links IS 'Bank accounts and cards of customers and enterprises, as a provider knows them: its token and the last four digits, never a number.';
COMMENT ON COLUMN bank_links.token IS 'The provider''s token. What looks like a number is refused.';
COMMENT ON COLUMN bank_links.state IS 'pending, active, refused, removed.';
COMMENT ON TABLE fiat_receipts IS 'Money customers pay in, from the first word to the provider until its tokens are minted. Written by store::receipts alone.';
COMMENT ON COLUMN fiat_receipts.deposit_id IS 'What the mint is named by on chain: drawn once, stored before anything is sent.';
COMMENT ON COLUMN fiat_receipts.rail IS 'card, ach, wire, rtp.';
COMMENT ON COLUMN fiat_receipts.risk IS 'low, normal, high: how long it is held.';
COMMENT ON COLUMN fiat_receipts.request_id IS 'Our number of it at the provider: the same at every try.';
COMMENT ON COLUMN fiat_receipts.provider_ref IS 'What the provider calls it.';
COMMENT ON COLUMN fiat_receipts.principal_units IS 'What is for the invoice, base units: what the reserve gets.';
COMMENT ON COLUMN fiat_receipts.fee_units IS 'What the customer pays us on top, base units.';
COMMENT ON COLUMN fiat_receipts.state IS 'initiated, submitted, settled, held, cleared, minted; declined, returned, charged_back.';
COMMENT ON COLUMN fiat_receipts.unknown IS 'Nobody knows whether the provider has it. Never a failure.';
COMMENT ON COLUMN fiat_receipts.booked IS 'Whether the money is in the books, and not only announced.';
COMMENT ON COLUMN fiat_receipts.settled IS 'Whether the provider, or the bank, has said that the money is there.';
COMMENT ON COLUMN fiat_receipts.hold_until IS 'From then on it may be cleared.';
COMMENT ON COLUMN fiat_receipts.held_units IS 'Collected and not cleared.';
COMMENT ON COLUMN fiat_receipts.mintable_units IS 'Cleared and not minted.';
COMMENT ON COLUMN fiat_receipts.minted_units IS 'Minted, less what was taken back and burned.';
COMMENT ON COLUMN fiat_receipts.floated_units IS 'Paid from the float.';
COMMENT ON COLUMN fiat_receipts.cash_units IS 'Of mintable and minted: the customer''s money in the reserve.';
COMMENT ON COLUMN fiat_receipts.cover_units IS 'Of mintable and minted: own capital in the reserve.';
COMMENT ON COLUMN fiat_receipts.deficit_units IS 'Of minted: missing in the reserve.';
COMMENT ON TABLE fiat_events IS 'Everything a provider or bank has told us, word for word, once. What was told is not changed; what became of it is.';
COMMENT ON COLUMN fiat_events.external_id IS 'The provider''s own id of what it says.';
COMMENT ON COLUMN fiat_events.channel IS 'webhook, poll, report, operator.';
COMMENT ON COLUMN fiat_events.meaning IS 'What we made of it: domain::receipt::Event.';
COMMENT ON COLUMN fiat_events.state IS 'received; applied, duplicate, waiting (too early), refused (a case is open), suspense, irrelevant.';
COMMENT ON TABLE receipt_events IS 'What has been applied to a receipt, each kind and trace once, numbered. Append-only.';
COMMENT ON COLUMN receipt_events.trace IS 'Which of its kind: a return''s trace number, a chargeback''s id; empty where it comes once.';
COMMENT ON COLUMN receipt_events.state IS 'The receipt''s state after it.';
COMMENT ON TABLE fiat_takings IS 'Money that was taken back from a receipt: returns and chargebacks.';
COMMENT ON COLUMN fiat_takings.state IS 'open (a chargeback that is not decided), lost (it stays taken), undone (we have it again).';
COMMENT ON COLUMN fiat_takings.amount_units IS 'Base units, in all.';
COMMENT ON COLUMN fiat_takings.held_units IS 'Of it: what was held for the customer.';
COMMENT ON COLUMN fiat_takings.fee_units IS 'Of it: his fee, given back.';
COMMENT ON COLUMN fiat_takings.owed_units IS 'Of it: what he owes us since.';
COMMENT ON TABLE suspense_items IS 'Money that came and nobody knows for what. Two different people decide, one after the other: a trigger and a check refuse less.';
COMMENT ON COLUMN suspense_items.amount_units IS 'Base units.';
COMMENT ON COLUMN suspense_items.payer IS 'Who sent it, as the bank says.';
COMMENT ON COLUMN suspense_items.reference IS 'What he wrote.';
COMMENT ON TABLE withdrawals IS 'Tokens for money: burned, finally, then paid. Written by store::withdrawals alone.';
COMMENT ON COLUMN withdrawals.amount_units IS 'What is burned and paid, base units.';
COMMENT ON COLUMN withdrawals.amount IS 'Generated from amount_units.';
COMMENT ON COLUMN withdrawals.destination IS 'Where it goes, as people are told: never a full number.';
COMMENT ON COLUMN withdrawals.terms_hash IS 'The redemption''s terms, whose payee is the gate.';
COMMENT ON COLUMN withdrawals.burn_tx IS 'The final transaction that burned. Nothing is paid without it.';
COMMENT ON COLUMN withdrawals.status IS 'requested, locked, burned, payout_sent, completed, payout_returned, expired.';
COMMENT ON COLUMN withdrawals.unknown IS 'Nobody knows whether the bank has the payment. Never a reason to send another.';
COMMENT ON COLUMN withdrawals.attempts IS 'How often a bank payment was handed in.';
COMMENT ON TABLE withdrawal_events IS 'What has been applied to a withdrawal, each kind and trace once, numbered. Append-only.';
COMMENT ON COLUMN withdrawal_events.trace IS 'Which try of the payment; empty where it comes once.';
COMMENT ON TABLE fiat_reserve IS 'The specification''s view of money in and out: one row per receipt, and one per withdrawal with its amount below zero. A projection.';
COMMENT ON COLUMN fiat_reserve.amount_units IS 'Base units; below zero for withdrawals.';
COMMENT ON COLUMN fiat_reserve.amount IS 'Generated from amount_units.';
COMMENT ON COLUMN fiat_reserve.status IS 'pending until cleared; confirmed; released when burned, finally; withdrawn when the bank has paid; failed: declined, taken back or run out.';
COMMENT ON COLUMN fiat_reserve.deposit_id IS 'What the provider calls the deposit.';
COMMENT ON COLUMN fiat_reserve.source_type IS 'ach, card, wire.';
COMMENT ON COLUMN fiat_reserve.token_mint_id IS 'The deposit id the mint is named by on chain.';
COMMENT ON COLUMN fiat_reserve.token_units IS 'Minted or paid from the float, base units.';
COMMENT ON COLUMN fiat_reserve.token_amount IS 'Generated from token_units.';
COMMENT ON COLUMN fiat_reserve.token_currency IS 'USDC: what every rail''s token counts in. USDT is not offered.';
COMMENT ON TABLE consumer_wallets IS 'Consumers'' own wallets: the sum of their balances on all chains.';
COMMENT ON COLUMN consumer_wallets.balance_units IS 'Base units, kept by a trigger on stablecoin_balances.';
COMMENT ON COLUMN consumer_wallets.balance IS 'Generated from balance_units.';
COMMENT ON TABLE stablecoin_balances IS 'What lies at a consumer''s address, for each chain and token, as the mirror has it.';
COMMENT ON COLUMN stablecoin_balances.balance_units IS 'Base units.';
COMMENT ON COLUMN stablecoin_balances.balance IS 'Generated from balance_units.';
COMMENT ON TABLE customer_credits IS 'What customers have with us: what was too much, or was not needed.';
COMMENT ON COLUMN customer_credits.amount_units IS 'Base units.';
COMMENT ON COLUMN customer_credits.amount IS 'Generated from amount_units.';
COMMENT ON COLUMN customer_credits.status IS 'AVAILABLE, USED, REFUNDED.';
COMMENT ON COLUMN customer_credits.trace IS 'Which giving back of the receipt made it.';
COMMENT ON TABLE audit_log IS 'Who did what with money, with the ids of deposit, mint, burn and withdrawal. Append-only.';
COMMENT ON COLUMN audit_log.action IS 'WALLET_TOP_OFF, OFF_RAMP, and ours beside them.';
COMMENT ON COLUMN audit_log.amount_units IS 'Base units.';
COMMENT ON COLUMN audit_log.amount IS 'Generated from amount_units.';
COMMENT ON COLUMN audit_log.wallet_balance_units IS 'The wallet''s balance after it, base units.';
COMMENT ON COLUMN audit_log.wallet_balance IS 'Generated from wallet_balance_units.';
COMMENT ON TABLE rail_states IS 'How the breaker of each token rail stands.';
COMMENT ON COLUMN rail_states.failures IS 'Proven failures in a row.';
COMMENT ON COLUMN rail_states.open_until IS 'While open: when one mint is tried again.';
COMMENT ON TABLE rail_fallbacks IS 'Each time a rail was passed over: why, and what proves that nothing can be minted there any more. Append-only.';
COMMENT ON COLUMN rail_fallbacks.subject IS 'What was to be minted.';
COMMENT ON TABLE rail_transfers IS 'Transfers between rails: burned on one, finally, then minted on the other. One intent.';
COMMENT ON COLUMN rail_transfers.amount_units IS 'Base units.';
COMMENT ON COLUMN rail_transfers.state IS 'requested, burning, burned, minting, done; cancelled, payable.';
COMMENT ON TABLE reconciliations IS 'Comparisons of the books with chains, banks and providers, as they were made. Append-only.';
COMMENT ON COLUMN reconciliations.ours_units IS 'What the books say, base units.';
COMMENT ON COLUMN reconciliations.theirs_units IS 'What the other side says, base units.';
COMMENT ON COLUMN reconciliations.difference_units IS 'Generated: ours - theirs.';
COMMENT ON COLUMN reconciliations.as_of IS 'As of which block, statement or moment.';
COMMENT ON COLUMN reconciliations.resolved IS 'How a difference was explained by itself, in words.';
COMMENT ON TABLE review_cases IS 'What a person has to look at, with both sides line by line. One open case for a subject.';
COMMENT ON COLUMN review_cases.ours IS 'What we have.';
COMMENT ON COLUMN review_cases.theirs IS 'What the other side says.';
