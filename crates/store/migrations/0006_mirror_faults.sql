-- Why: one bad thing must not stop everything else. A log that should concern us and makes no sense, an invoice that
-- cannot be brought up to date, a receipt that does not come: each is kept beside the mirror, and the mirror goes on.

-- Logs from our escrow with its event's signature, or transfers to a known purse, that cannot be understood or booked.
-- They are part of their block and go with it.
CREATE TABLE quarantined_logs (
    chain_id        BIGINT NOT NULL,
    block_hash      hash32 NOT NULL,
    -- Among the odd ones of its block; an index of a log may be what is missing.
    position        INTEGER NOT NULL,
    block_number    BIGINT NOT NULL,
    block_timestamp BIGINT NOT NULL,
    log_index       NUMERIC(20, 0),
    tx_hash         hash32,
    address         address20 NOT NULL,
    topics          BYTEA[] NOT NULL,
    -- The first 4096 bytes; the emitter chooses how many there are.
    data            BYTEA NOT NULL CHECK (octet_length(data) <= 4096),
    -- The invoice whose purse it names, where it is not the escrow's own.
    terms_hash      hash32 REFERENCES invoice_terms,
    reason          TEXT NOT NULL,
    PRIMARY KEY (chain_id, block_hash, position),
    FOREIGN KEY (chain_id, block_hash) REFERENCES blocks (chain_id, hash) ON DELETE CASCADE
);
CREATE INDEX quarantined_logs_terms ON quarantined_logs (terms_hash);

-- Invoices that could not be brought up to date, with the error of the last try.
CREATE TABLE stuck_invoices (
    terms_hash  hash32 PRIMARY KEY REFERENCES invoice_terms,
    chain_id    BIGINT NOT NULL REFERENCES chains,
    error       TEXT NOT NULL,
    tries       INTEGER NOT NULL DEFAULT 1,
    since       TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    retry_at    TIMESTAMPTZ NOT NULL
);
CREATE INDEX stuck_invoices_retry ON stuck_invoices (chain_id, retry_at);

-- A receipt decides nothing about money, so that nothing waits for it. `asks` and `ask_at` are our own doing and not the
-- chain's: `monay rebuild` does not compare them.
ALTER TABLE observations ALTER COLUMN success DROP NOT NULL;
ALTER TABLE observations ALTER COLUMN gas_used DROP NOT NULL;
ALTER TABLE observations ALTER COLUMN fee_units DROP NOT NULL;
ALTER TABLE observations ADD CONSTRAINT observations_outcome_whole CHECK (num_nulls(success, gas_used, fee_units) IN (0, 3));
ALTER TABLE observations ADD COLUMN asks INTEGER NOT NULL DEFAULT 0;
ALTER TABLE observations ADD COLUMN ask_at TIMESTAMPTZ NOT NULL DEFAULT now();
CREATE INDEX observations_without_outcome ON observations (chain_id, ask_at) WHERE success IS NULL;
-- A block that goes looks for what was observed in it.
CREATE INDEX observations_of_block ON observations (chain_id, block_hash);
