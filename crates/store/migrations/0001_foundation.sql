-- Why: the first schema. It must hold, from the first day, what cannot be added later without touching money:
-- integer base units with their limits, the terms that are the key to the money, blocks by hash so that a re-org
-- can be undone by deleting them, and a row for every signed transaction before it is sent.
--
-- Two families of tables:
--   the specification's own (invoices, invoice_wallets, payments, ...), which people and reports read, and
--   the machine's (blocks, logs, intents, attempts, ...), which the services live on.
-- The specification's amount columns are generated from *_units columns and so written by nobody.

-- Base units. u128 is what terms can hold; u256 is what a token may claim to have moved (a hostile one will).
CREATE DOMAIN u128 AS NUMERIC(39, 0) CHECK (VALUE BETWEEN 0 AND 340282366920938463463374607431768211455);
CREATE DOMAIN u256 AS NUMERIC(78, 0) CHECK (VALUE BETWEEN 0 AND
    115792089237316195423570985008687907853269984665640564039457584007913129639935);
CREATE DOMAIN hash32 AS BYTEA CHECK (octet_length(VALUE) = 32);
CREATE DOMAIN address20 AS BYTEA CHECK (octet_length(VALUE) = 20);

-- ── Who ─────────────────────────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE tenants (
    id          TEXT PRIMARY KEY CHECK (id ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    name        TEXT NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE TABLE enterprises (
    id          TEXT PRIMARY KEY,
    tenant_id   TEXT NOT NULL UNIQUE REFERENCES tenants,
    name        TEXT NOT NULL,
    -- Only a verified enterprise may issue invoices.
    verified    BOOLEAN NOT NULL DEFAULT FALSE,
    created_at  TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE TABLE users (
    id          TEXT PRIMARY KEY,
    tenant_id   TEXT NOT NULL REFERENCES tenants,
    email       TEXT NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, email)
);

-- The key itself is shown once and stored nowhere; this is its SHA-256.
CREATE TABLE api_keys (
    id          UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id   TEXT NOT NULL REFERENCES tenants,
    key_hash    hash32 NOT NULL UNIQUE,
    label       TEXT NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL DEFAULT now(),
    revoked_at  TIMESTAMPTZ
);

-- ── Chains ──────────────────────────────────────────────────────────────────────────────────────────────────────

-- One row per chain: what is deployed there, and how far the indexer has come. The three heights are the node's own
-- tags; the tier of a row is its block's place among them, so that no row is touched when a tag moves on.
CREATE TABLE chains (
    chain_id        BIGINT PRIMARY KEY CHECK (chain_id > 0),
    name            TEXT NOT NULL UNIQUE,
    -- A node whose first block differs is another chain behind the same URL.
    genesis_hash    hash32 NOT NULL,
    escrow          address20 NOT NULL,
    token           address20 NOT NULL,
    settler         address20 NOT NULL,
    settle_tier     TEXT NOT NULL CHECK (settle_tier IN ('seen', 'safe', 'final')),
    start_number    BIGINT NOT NULL,
    tip_number      BIGINT NOT NULL,
    tip_hash        hash32 NOT NULL,
    tip_timestamp   BIGINT NOT NULL,
    safe_number     BIGINT NOT NULL,
    final_number    BIGINT NOT NULL,
    final_timestamp BIGINT NOT NULL,
    updated_at      TIMESTAMPTZ NOT NULL DEFAULT now(),
    CHECK (final_number <= safe_number AND safe_number <= tip_number)
);

-- One payee address per tenant and chain, and the account for money nobody else can be named for.
CREATE TABLE payees (
    tenant_id       TEXT NOT NULL REFERENCES tenants,
    chain_id        BIGINT NOT NULL REFERENCES chains,
    address         address20 NOT NULL,
    unclaimed       address20 NOT NULL,
    PRIMARY KEY (tenant_id, chain_id)
);

-- An enterprise's own balance, as far as it came from us: a projection of payments.
CREATE TABLE wallets (
    id              UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id       TEXT NOT NULL REFERENCES tenants,
    organization_id TEXT NOT NULL REFERENCES enterprises,
    chain_id        BIGINT NOT NULL REFERENCES chains,
    currency        TEXT NOT NULL DEFAULT 'USDC',
    balance_units   u256 NOT NULL DEFAULT 0,
    balance         NUMERIC(84, 6) GENERATED ALWAYS AS (balance_units::NUMERIC / 1000000) STORED,
    updated_at      TIMESTAMPTZ NOT NULL DEFAULT now(),
    UNIQUE (organization_id, chain_id)
);

-- ── Invoices ────────────────────────────────────────────────────────────────────────────────────────────────────

-- Numbers for invoices whose issuer gave none. Gaps are allowed; a counter per tenant would make every create wait.
CREATE SEQUENCE invoice_numbers;

CREATE TABLE invoices (
    id                TEXT PRIMARY KEY,
    tenant_id         TEXT NOT NULL REFERENCES tenants,
    number            TEXT NOT NULL,
    -- The invoiceId of the terms: random, so that it says nothing about anyone.
    invoice_key       hash32 NOT NULL UNIQUE,
    issuer            TEXT NOT NULL REFERENCES enterprises,
    customer_id       TEXT REFERENCES users,
    customer_email    TEXT,
    amount_units      u128 NOT NULL CHECK (amount_units > 0),
    amount            NUMERIC(45, 6) GENERATED ALWAYS AS (amount_units::NUMERIC / 1000000) STORED,
    paid_units        u128 NOT NULL DEFAULT 0,
    paid_amount       NUMERIC(45, 6) GENERATED ALWAYS AS (paid_units::NUMERIC / 1000000) STORED,
    received_units    u256 NOT NULL DEFAULT 0,
    currency          TEXT NOT NULL,
    description       TEXT,
    category          TEXT,
    due_date          DATE,
    line_items        JSONB NOT NULL DEFAULT '[]',
    status            TEXT NOT NULL CHECK (status IN
                          ('draft', 'pending_payment', 'partially_paid', 'paid', 'overpaid', 'expired', 'cancelled')),
    settlement        TEXT NOT NULL CHECK (settlement IN ('automatic', 'manual')),
    settlement_tier   TEXT CHECK (settlement_tier IN ('seen', 'safe', 'final')),
    exceptions        TEXT[] NOT NULL DEFAULT '{}',
    pay_requested_at  TIMESTAMPTZ,
    expires_at        TIMESTAMPTZ NOT NULL,
    closes_at         BIGINT NOT NULL,
    flags             SMALLINT NOT NULL,
    paid_at           TIMESTAMPTZ,
    last_payment_date TIMESTAMPTZ,
    transaction_id    TEXT,
    -- Whoever has the pay link may see the invoice.
    pay_token         TEXT NOT NULL UNIQUE,
    metadata          JSONB NOT NULL DEFAULT '{}',
    sequence          BIGINT NOT NULL DEFAULT 0,
    created_at        TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at        TIMESTAMPTZ NOT NULL DEFAULT now(),
    CONSTRAINT invoices_number_unique UNIQUE (tenant_id, number),
    CHECK (paid_units <= amount_units),
    -- What the terms of all chains must agree on: see invoice_terms.
    CONSTRAINT invoices_terms_agree UNIQUE (id, tenant_id, invoice_key, amount_units, closes_at, flags)
);

-- The terms, one row per chain: the key to the money, committed before an address is shown. The foreign key makes all
-- terms of an invoice agree on id, amount, closing time and flags.
CREATE TABLE invoice_terms (
    terms_hash      hash32 PRIMARY KEY,
    invoice_id      TEXT NOT NULL,
    tenant_id       TEXT NOT NULL,
    chain_id        BIGINT NOT NULL REFERENCES chains,
    version         SMALLINT NOT NULL CHECK (version = 1),
    invoice_key     hash32 NOT NULL,
    payee           address20 NOT NULL,
    token           address20 NOT NULL,
    amount_units    u128 NOT NULL,
    closes_at       BIGINT NOT NULL,
    refund_to       address20 NOT NULL,
    refund_key      address20 NOT NULL,
    settler         address20 NOT NULL,
    flags           SMALLINT NOT NULL,
    purse           address20 NOT NULL,
    -- When to look again although nothing happens: chain time of the highest and of the finalized block.
    wake_seen_at    BIGINT,
    wake_final_at   BIGINT,
    FOREIGN KEY (invoice_id, tenant_id, invoice_key, amount_units, closes_at, flags)
        REFERENCES invoices (id, tenant_id, invoice_key, amount_units, closes_at, flags),
    UNIQUE (invoice_id, chain_id),
    UNIQUE (chain_id, purse)
);
CREATE INDEX invoice_terms_wake_seen ON invoice_terms (chain_id, wake_seen_at) WHERE wake_seen_at IS NOT NULL;
CREATE INDEX invoice_terms_wake_final ON invoice_terms (chain_id, wake_final_at) WHERE wake_final_at IS NOT NULL;

CREATE TABLE invoice_wallets (
    id                       UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id                TEXT NOT NULL REFERENCES tenants,
    invoice_id               TEXT NOT NULL UNIQUE REFERENCES invoices,
    customer_id              TEXT REFERENCES users,
    wallet_id                TEXT NOT NULL UNIQUE,
    wallet_type              TEXT NOT NULL CHECK (wallet_type IN ('ephemeral', 'persistent', 'adaptive', 'enterprise')),
    wallet_address           TEXT UNIQUE,
    solana_address           TEXT,
    tempo_address            TEXT,
    balance_units            u256 NOT NULL DEFAULT 0,
    balance                  NUMERIC(84, 6) GENERATED ALWAYS AS (balance_units::NUMERIC / 1000000) STORED,
    spending_limit_units     u128 NOT NULL,
    spending_limit           NUMERIC(45, 6) GENERATED ALWAYS AS (spending_limit_units::NUMERIC / 1000000) STORED,
    currency                 TEXT NOT NULL DEFAULT 'USDC',
    status                   TEXT NOT NULL DEFAULT 'active' CHECK (status IN
                                 ('active', 'funded', 'payment_in_progress', 'payment_complete', 'destroying', 'destroyed')),
    created_at               TIMESTAMPTZ NOT NULL DEFAULT now(),
    funded_at                TIMESTAMPTZ,
    expires_at               TIMESTAMPTZ,
    destruction_initiated_at TIMESTAMPTZ,
    destroyed_at             TIMESTAMPTZ,
    ttl_seconds              INTEGER,
    destruction_method       TEXT,
    destruction_reason       TEXT,
    features                 JSONB NOT NULL DEFAULT '{}',
    metadata                 JSONB NOT NULL DEFAULT '{}',
    created_by               TEXT,
    updated_at               TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX idx_invoice_wallets_invoice ON invoice_wallets (invoice_id);
CREATE INDEX idx_invoice_wallets_customer ON invoice_wallets (customer_id);
CREATE INDEX idx_invoice_wallets_status ON invoice_wallets (status);
CREATE INDEX idx_invoice_wallets_expires ON invoice_wallets (expires_at) WHERE wallet_type = 'ephemeral';

-- Append-only: a trigger refuses to change or drop what has been written.
CREATE TABLE wallet_lifecycle_events (
    id              UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id       TEXT NOT NULL,
    wallet_id       TEXT NOT NULL REFERENCES invoice_wallets (wallet_id),
    event_type      TEXT NOT NULL,
    event_data      JSONB,
    timestamp       TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    blockchain_hash TEXT,
    signature       TEXT
);
CREATE INDEX idx_lifecycle_wallet ON wallet_lifecycle_events (wallet_id);
CREATE INDEX idx_lifecycle_timestamp ON wallet_lifecycle_events (timestamp);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER wallet_lifecycle_events_append_only BEFORE UPDATE OR DELETE ON wallet_lifecycle_events
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- The refund key of a wallet whose customer's own wallet is not known: encrypted, bound to the wallet by its id as
-- additional data, and deleted when the wallet is destroyed.
CREATE TABLE wallet_keys (
    wallet_id   TEXT PRIMARY KEY REFERENCES invoice_wallets (wallet_id),
    tenant_id   TEXT NOT NULL REFERENCES tenants,
    address     address20 NOT NULL UNIQUE,
    nonce       BYTEA NOT NULL CHECK (octet_length(nonce) = 12),
    ciphertext  BYTEA NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL DEFAULT now()
);

-- ── The mirror of the chain ─────────────────────────────────────────────────────────────────────────────────────

-- Canonical blocks only: a re-org deletes a block, and everything read from it goes with it.
CREATE TABLE blocks (
    chain_id    BIGINT NOT NULL REFERENCES chains,
    number      BIGINT NOT NULL,
    hash        hash32 NOT NULL,
    parent_hash hash32 NOT NULL,
    timestamp   BIGINT NOT NULL,
    PRIMARY KEY (chain_id, number),
    UNIQUE (chain_id, hash)
);

-- Every log that concerns us, as it was.
CREATE TABLE logs (
    chain_id    BIGINT NOT NULL,
    block_hash  hash32 NOT NULL,
    log_index   BIGINT NOT NULL,
    block_number BIGINT NOT NULL,
    tx_hash     hash32 NOT NULL,
    address     address20 NOT NULL,
    topics      BYTEA[] NOT NULL,
    data        BYTEA NOT NULL,
    PRIMARY KEY (chain_id, block_hash, log_index),
    FOREIGN KEY (chain_id, block_hash) REFERENCES blocks (chain_id, hash) ON DELETE CASCADE
);

-- Transfers of any token to a deposit address. `foreign_token`: not the invoice's token; its amount is hearsay.
CREATE TABLE deposits (
    chain_id      BIGINT NOT NULL,
    block_hash    hash32 NOT NULL,
    log_index     BIGINT NOT NULL,
    block_number  BIGINT NOT NULL,
    block_timestamp BIGINT NOT NULL,
    tx_hash       hash32 NOT NULL,
    terms_hash    hash32 NOT NULL REFERENCES invoice_terms,
    token         address20 NOT NULL,
    foreign_token BOOLEAN NOT NULL,
    sender        address20 NOT NULL,
    amount_units  u256 NOT NULL,
    PRIMARY KEY (chain_id, block_hash, log_index),
    FOREIGN KEY (chain_id, block_hash, log_index) REFERENCES logs ON DELETE CASCADE
);
CREATE INDEX deposits_terms ON deposits (terms_hash, block_number);
CREATE INDEX deposits_block ON deposits (chain_id, block_number);

-- The escrow's own events for our invoices.
CREATE TABLE escrow_events (
    chain_id      BIGINT NOT NULL,
    block_hash    hash32 NOT NULL,
    log_index     BIGINT NOT NULL,
    block_number  BIGINT NOT NULL,
    block_timestamp BIGINT NOT NULL,
    tx_hash       hash32 NOT NULL,
    terms_hash    hash32 NOT NULL REFERENCES invoice_terms,
    kind          SMALLINT NOT NULL,
    token         address20 NOT NULL,
    recipient     address20 NOT NULL,
    amount_units  u256 NOT NULL,
    paid_units    u128 NOT NULL,
    status        SMALLINT NOT NULL,
    PRIMARY KEY (chain_id, block_hash, log_index),
    FOREIGN KEY (chain_id, block_hash, log_index) REFERENCES logs ON DELETE CASCADE
);
CREATE INDEX escrow_events_terms ON escrow_events (terms_hash, block_number, log_index);
CREATE INDEX escrow_events_block ON escrow_events (chain_id, block_number);

-- ── What the keeper does ────────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE intents (
    id                hash32 PRIMARY KEY,
    tenant_id         TEXT NOT NULL REFERENCES tenants,
    chain_id          BIGINT NOT NULL REFERENCES chains,
    terms_hash        hash32 NOT NULL REFERENCES invoice_terms,
    kind              TEXT NOT NULL CHECK (kind IN ('settle', 'cancel', 'refund')),
    token             address20 NOT NULL,
    cumulative_before u256 NOT NULL,
    state             TEXT NOT NULL CHECK (state IN
                          ('accepted', 'signed', 'broadcast', 'unknown', 'seen', 'final', 'superseded', 'failed')),
    tries             INTEGER NOT NULL DEFAULT 0,
    not_before        TIMESTAMPTZ NOT NULL DEFAULT now(),
    last_error        TEXT,
    created_at        TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at        TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX intents_accepted ON intents (chain_id, not_before) WHERE state = 'accepted';
CREATE INDEX intents_terms ON intents (terms_hash);

-- A key that sends transactions. `next_nonce` moves in the same transaction that stores the signed bytes using it.
CREATE TABLE signers (
    chain_id    BIGINT NOT NULL REFERENCES chains,
    address     address20 NOT NULL,
    next_nonce  BIGINT NOT NULL CHECK (next_nonce >= 0),
    PRIMARY KEY (chain_id, address)
);

-- Every transaction that was ever signed, committed before it is sent.
CREATE TABLE attempts (
    id           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    chain_id     BIGINT NOT NULL,
    signer       address20 NOT NULL,
    nonce        BIGINT NOT NULL,
    seq          INTEGER NOT NULL DEFAULT 0,
    raw_tx       BYTEA NOT NULL,
    tx_hash      hash32 NOT NULL UNIQUE,
    gas_limit    BIGINT NOT NULL,
    max_fee      u128 NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('signed', 'broadcast', 'unknown', 'final', 'replaced')),
    last_error   TEXT,
    created_at   TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    -- When a node first took it, and when it was last offered to one.
    broadcast_at TIMESTAMPTZ,
    offered_at   TIMESTAMPTZ,
    UNIQUE (chain_id, signer, nonce, seq),
    FOREIGN KEY (chain_id, signer) REFERENCES signers
);
CREATE INDEX attempts_open ON attempts (chain_id, signer, nonce) WHERE state IN ('signed', 'broadcast', 'unknown');

CREATE TABLE attempt_intents (
    attempt_id  BIGINT NOT NULL REFERENCES attempts,
    intent_id   hash32 NOT NULL REFERENCES intents,
    PRIMARY KEY (attempt_id, intent_id)
);
CREATE INDEX attempt_intents_intent ON attempt_intents (intent_id);

-- Where an attempt was found on the canonical chain. Goes with its block in a re-org.
CREATE TABLE observations (
    chain_id     BIGINT NOT NULL,
    tx_hash      hash32 NOT NULL REFERENCES attempts (tx_hash),
    block_hash   hash32 NOT NULL,
    block_number BIGINT NOT NULL,
    success      BOOLEAN NOT NULL,
    gas_used     BIGINT NOT NULL,
    fee_units    u128 NOT NULL,
    PRIMARY KEY (tx_hash, block_hash),
    FOREIGN KEY (chain_id, block_hash) REFERENCES blocks (chain_id, hash) ON DELETE CASCADE
);
CREATE INDEX observations_block ON observations (chain_id, block_number);

-- ── Projections and what others are told ────────────────────────────────────────────────────────────────────────

-- One row per movement of an invoice's money on a chain, from the mirror above.
CREATE TABLE blockchain_transactions (
    id           UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id    TEXT NOT NULL REFERENCES tenants,
    invoice_id   TEXT NOT NULL REFERENCES invoices,
    chain_id     BIGINT NOT NULL,
    block_hash   hash32 NOT NULL,
    log_index    BIGINT NOT NULL,
    chain        TEXT NOT NULL,
    type         TEXT NOT NULL CHECK (type IN ('mint', 'transfer', 'burn')),
    -- What the transfer was for: deposit, settle, pay, refund.
    purpose      TEXT NOT NULL,
    amount_units u256 NOT NULL,
    amount       NUMERIC(84, 6) GENERATED ALWAYS AS (amount_units::NUMERIC / 1000000) STORED,
    token        TEXT NOT NULL,
    tx_hash      TEXT NOT NULL,
    -- What we paid for it, in wei; null where somebody else did.
    fee_units    u128,
    fee          NUMERIC(57, 18) GENERATED ALWAYS AS (fee_units::NUMERIC / 1000000000000000000) STORED,
    -- The tier: seen, safe or final.
    status       TEXT NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL,
    UNIQUE (chain_id, block_hash, log_index),
    FOREIGN KEY (chain_id, block_hash, log_index) REFERENCES logs ON DELETE CASCADE
);
CREATE INDEX blockchain_transactions_invoice ON blockchain_transactions (invoice_id);

CREATE TABLE payments (
    id                UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id         TEXT NOT NULL REFERENCES tenants,
    invoice_id        TEXT NOT NULL REFERENCES invoices,
    consumer_id       TEXT REFERENCES users,
    enterprise_id     TEXT NOT NULL REFERENCES enterprises,
    amount_units      u256 NOT NULL,
    amount            NUMERIC(84, 6) GENERATED ALWAYS AS (amount_units::NUMERIC / 1000000) STORED,
    transaction_hash  TEXT NOT NULL,
    token_transfer_id UUID NOT NULL UNIQUE REFERENCES blockchain_transactions ON DELETE CASCADE,
    -- processing until the settlement is final, then completed.
    status            TEXT NOT NULL CHECK (status IN ('processing', 'completed')),
    created_at        TIMESTAMPTZ NOT NULL
);
CREATE INDEX payments_invoice ON payments (invoice_id);

-- Read by xid, not by id: ids are handed out before commit, and a reader that trusts them loses rows.
CREATE TABLE outbox (
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid         XID8 NOT NULL DEFAULT pg_current_xact_id(),
    tenant_id   TEXT NOT NULL REFERENCES tenants,
    aggregate   TEXT NOT NULL,
    sequence    BIGINT NOT NULL,
    type        TEXT NOT NULL,
    body        JSONB NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (aggregate, sequence)
);
