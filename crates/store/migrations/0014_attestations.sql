-- Why: money that came in off chain pays an invoice when attestors say so, and a gate on chain turns their word into a payment
-- (PROTOCOL §5). An order to mint is a pick: a deposit has one at a time, and an invoice too, and the database says so itself.

-- The gate of each chain that has one. Fixed: another gate is another chain's row, threshold and attestors may change.
CREATE TABLE gates (
    chain_id    BIGINT PRIMARY KEY REFERENCES chains,
    rail        TEXT NOT NULL UNIQUE CHECK (rail ~ '^[a-z][a-z0-9_]{0,31}$'),
    kind        TEXT NOT NULL CHECK (kind IN ('mint', 'float')),
    address     account NOT NULL,
    threshold   INTEGER NOT NULL CHECK (threshold > 0),
    attestors   BYTEA[] NOT NULL CHECK (cardinality(attestors) >= threshold)
);

CREATE TABLE mint_orders (
    deposit_id   hash32 NOT NULL,
    attempt      INTEGER NOT NULL CHECK (attempt > 0),
    receipt_id   UUID REFERENCES fiat_receipts,
    tenant_id    TEXT NOT NULL REFERENCES tenants,
    invoice_id   TEXT NOT NULL REFERENCES invoices,
    terms_hash   hash32 NOT NULL REFERENCES invoice_terms,
    rail         TEXT NOT NULL,
    chain_id     BIGINT NOT NULL REFERENCES gates,
    gate         account NOT NULL,
    amount_units u128 NOT NULL CHECK (amount_units > 0),
    valid_until  BIGINT NOT NULL CHECK (valid_until > 0),
    state        TEXT NOT NULL CHECK (state IN ('wanted', 'attested', 'in_flight', 'minted', 'expired', 'refused')),
    created_at   TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at   TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (deposit_id, attempt)
);
-- Nothing else may be done with a deposit that might still be minted, or was.
CREATE UNIQUE INDEX mint_orders_one_of_a_deposit ON mint_orders (deposit_id)
    WHERE state IN ('wanted', 'attested', 'in_flight', 'minted');
CREATE UNIQUE INDEX mint_orders_one_of_an_invoice ON mint_orders (invoice_id) WHERE state IN ('wanted', 'attested', 'in_flight');
CREATE INDEX mint_orders_live ON mint_orders (chain_id, terms_hash) WHERE state IN ('wanted', 'attested', 'in_flight');

-- What was asked of attestors is never another thing afterwards, and what is over stays over.
CREATE FUNCTION mint_orders_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state IN ('minted', 'expired', 'refused') THEN
        RAISE EXCEPTION 'order % of deposit % is over (%)', OLD.attempt, encode(OLD.deposit_id, 'hex'), OLD.state
            USING ERRCODE = 'check_violation';
    END IF;
    IF (NEW.deposit_id, NEW.attempt, NEW.receipt_id, NEW.invoice_id, NEW.terms_hash, NEW.chain_id, NEW.gate, NEW.amount_units, NEW.valid_until)
        IS DISTINCT FROM
       (OLD.deposit_id, OLD.attempt, OLD.receipt_id, OLD.invoice_id, OLD.terms_hash, OLD.chain_id, OLD.gate, OLD.amount_units, OLD.valid_until)
    THEN
        RAISE EXCEPTION 'an order to mint changes its state and nothing else' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER mint_orders_guard BEFORE UPDATE ON mint_orders FOR EACH ROW EXECUTE FUNCTION mint_orders_guard();

CREATE TABLE attestation_signatures (
    deposit_id  hash32 NOT NULL,
    attempt     INTEGER NOT NULL,
    signer      account NOT NULL,
    signature   BYTEA NOT NULL CHECK (octet_length(signature) IN (64, 65)),
    signed_at   TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (deposit_id, attempt, signer),
    FOREIGN KEY (deposit_id, attempt) REFERENCES mint_orders
);

CREATE TABLE attestation_refusals (
    deposit_id  hash32 NOT NULL,
    attempt     INTEGER NOT NULL,
    signer      account NOT NULL,
    reason      TEXT NOT NULL,
    refused_at  TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (deposit_id, attempt, signer),
    FOREIGN KEY (deposit_id, attempt) REFERENCES mint_orders
);

CREATE TABLE reserve_orders (
    chain_id         BIGINT NOT NULL REFERENCES gates,
    nonce            BIGINT NOT NULL CHECK (nonce > 0),
    allocation_units u128 NOT NULL,
    as_of            BIGINT NOT NULL CHECK (as_of > 0),
    created_at       TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (chain_id, nonce)
);

CREATE TABLE reserve_signatures (
    chain_id    BIGINT NOT NULL,
    nonce       BIGINT NOT NULL,
    signer      account NOT NULL,
    signature   BYTEA CHECK (octet_length(signature) IN (64, 65)),
    reason      TEXT,
    signed_at   TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (chain_id, nonce, signer),
    FOREIGN KEY (chain_id, nonce) REFERENCES reserve_orders,
    CHECK ((signature IS NULL) <> (reason IS NULL))
);

CREATE TABLE gate_events (
    chain_id        BIGINT NOT NULL,
    block_hash      hash32 NOT NULL,
    log_index       BIGINT NOT NULL,
    block_number    BIGINT NOT NULL,
    block_timestamp BIGINT NOT NULL,
    tx_hash         tx_id NOT NULL,
    gate            account NOT NULL,
    terms_hash      hash32 NOT NULL REFERENCES invoice_terms,
    kind            TEXT NOT NULL CHECK (kind IN ('minted', 'redeemed')),
    deposit_id      hash32,
    token           account NOT NULL,
    amount_units    u256 NOT NULL,
    PRIMARY KEY (chain_id, block_hash, log_index),
    FOREIGN KEY (chain_id, block_hash, log_index) REFERENCES logs ON DELETE CASCADE,
    CHECK ((kind = 'minted') = (deposit_id IS NOT NULL))
);
CREATE INDEX gate_events_terms ON gate_events (terms_hash);
CREATE INDEX gate_events_block ON gate_events (chain_id, block_number);
CREATE INDEX gate_events_deposit ON gate_events (deposit_id);

ALTER TABLE intents DROP CONSTRAINT intents_kind_check;
ALTER TABLE intents ADD CONSTRAINT intents_kind_check
    CHECK (kind IN ('settle', 'cancel', 'refund', 'refund_by_order', 'fund', 'mint', 'redeem'));

COMMENT ON TABLE gates IS 'The gate on each chain that turns money off chain into payments, and who has to say so.';
COMMENT ON COLUMN gates.rail IS 'The token rail that the chain serves: tempo, circle, monay.';
COMMENT ON COLUMN gates.kind IS 'mint: mints and burns our own token. float: pays a token that is not ours from what it holds.';
COMMENT ON COLUMN gates.threshold IS 'How many attestors have to sign.';
COMMENT ON COLUMN gates.attestors IS 'Whose signatures the gate takes; others are kept and not used.';
COMMENT ON TABLE mint_orders IS 'A deposit that is to pay an invoice on a chain, until a time. While one might be signed or spent nothing else pays the invoice, and the deposit goes nowhere else.';
COMMENT ON COLUMN mint_orders.deposit_id IS 'The deposit, 32 bytes drawn once; minted once.';
COMMENT ON COLUMN mint_orders.attempt IS 'Which of the deposit''s orders: another one only when the one before is over and unspent.';
COMMENT ON COLUMN mint_orders.receipt_id IS 'The receipt whose money it is; null: no receipt''s, but what was burned on another rail.';
COMMENT ON COLUMN mint_orders.gate IS 'The gate the signatures are for.';
COMMENT ON COLUMN mint_orders.amount_units IS 'How much came in, base units: at most what is due is minted.';
COMMENT ON COLUMN mint_orders.valid_until IS 'Until when it can be spent, unix seconds, included: by the chain''s clock.';
COMMENT ON COLUMN mint_orders.state IS 'wanted, attested (enough have signed), in_flight (being spent), minted (final), expired (over by the finalized clock and unspent: proof that the deposit is free), refused (the same, because attestors refused).';
COMMENT ON TABLE attestation_signatures IS 'What attestors have signed. Whoever has enough of them can mint.';
COMMENT ON TABLE attestation_refusals IS 'Why an attestor does not sign, the last reason of each; it may sign later.';
COMMENT ON TABLE reserve_orders IS 'Statements about the reserve that attestors are asked for: how much there may be of a gate''s token.';
COMMENT ON COLUMN reserve_orders.allocation_units IS 'The most there may be, base units.';
COMMENT ON COLUMN reserve_orders.as_of IS 'The moment the statement is about, unix seconds; on chain it counts for 24 hours.';
COMMENT ON TABLE reserve_signatures IS 'What attestors said to them: a signature, or why not.';
COMMENT ON TABLE gate_events IS 'What our gates have told, in mirrored blocks.';
COMMENT ON COLUMN gate_events.kind IS 'minted: a deposit has paid the invoice. redeemed: what the invoice brought was burned.';
COMMENT ON COLUMN gate_events.deposit_id IS 'The deposit that was minted.';
