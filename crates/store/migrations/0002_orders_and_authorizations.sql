-- Why: two things that somebody other than the facts asks for. A customer may say where money that goes back should go
-- (an order, signed with the wallet's refund key), and may pay without gas (an EIP-3009 authorization whose receiver is
-- the deposit address). Both become intents; what they carry is kept beside them, word for word.

ALTER TABLE intents DROP CONSTRAINT intents_kind_check;
ALTER TABLE intents ADD CONSTRAINT intents_kind_check CHECK (kind IN ('settle', 'cancel', 'refund', 'refund_by_order', 'fund'));

-- A simulation that says "would revert" has cost nothing: the intent waits longer each time, and never gives up (a token
-- may be paused for a day). Only tries that were mined without effect count towards giving up.
ALTER TABLE intents ADD COLUMN deferrals INTEGER NOT NULL DEFAULT 0;

-- The newest order of an intent is the one in force: one whose deadline has passed can be given again.
CREATE TABLE refund_orders (
    intent_id   hash32 NOT NULL REFERENCES intents,
    tenant_id   TEXT NOT NULL REFERENCES tenants,
    terms_hash  hash32 NOT NULL REFERENCES invoice_terms,
    token       address20 NOT NULL,
    recipient   address20 NOT NULL,
    nonce       u256 NOT NULL,
    deadline    BIGINT NOT NULL,
    signature   BYTEA NOT NULL CHECK (octet_length(signature) = 65),
    -- Who said so, and how: no order without a customer's word.
    word        JSONB NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (intent_id, nonce)
);

CREATE TABLE payment_authorizations (
    intent_id    hash32 PRIMARY KEY REFERENCES intents,
    tenant_id    TEXT NOT NULL REFERENCES tenants,
    terms_hash   hash32 NOT NULL REFERENCES invoice_terms,
    payer        address20 NOT NULL,
    value_units  u256 NOT NULL,
    valid_after  BIGINT NOT NULL,
    valid_before BIGINT NOT NULL,
    nonce        hash32 NOT NULL,
    signature    BYTEA NOT NULL CHECK (octet_length(signature) BETWEEN 1 AND 4096),
    created_at   TIMESTAMPTZ NOT NULL DEFAULT now(),
    UNIQUE (payer, nonce)
);
