-- Why: requests that are repeated must be answered as they were the first time, invoices are listed and called off, and
-- events are read in the order in which they were committed.

-- The answer to a request that came with an Idempotency-Key. Written in the transaction of the work itself: it is there
-- exactly if the work was done. A request that failed leaves no row, so that a retry completes it.
CREATE TABLE idempotency_keys (
    -- Whose key it is and of which route: nobody's key meets anybody else's.
    scope        TEXT NOT NULL,
    key          TEXT NOT NULL CHECK (octet_length(key) BETWEEN 1 AND 255),
    tenant_id    TEXT NOT NULL REFERENCES tenants,
    -- SHA-256 of path and body.
    request_hash hash32 NOT NULL,
    status       SMALLINT NOT NULL CHECK (status BETWEEN 200 AND 299),
    location     TEXT,
    body         BYTEA NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (scope, key)
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);

-- When the issuer called the invoice off. Only our word: what lies at the address is cancelled on chain as well.
ALTER TABLE invoices ADD COLUMN called_off_at TIMESTAMPTZ;

-- Lists go from the newest to the oldest, whatever they are narrowed by.
CREATE INDEX invoices_newest ON invoices (tenant_id, created_at DESC, id DESC);
CREATE INDEX invoices_status_newest ON invoices (tenant_id, status, created_at DESC, id DESC);
CREATE INDEX invoices_email_newest ON invoices (tenant_id, customer_email, created_at DESC, id DESC)
    WHERE customer_email IS NOT NULL;

CREATE INDEX outbox_tenant ON outbox (tenant_id, xid, id);
