-- Why: what the treasury has to know beyond the books: who holds a linked account (a debit names its holder), when the provider was
-- last asked about a payment, and up to which day a bank's statement was read. A hold ends when the statement of its last day is
-- here, not when our clock says so: a return of that day would be in it.

ALTER TABLE bank_links ADD COLUMN details JSONB NOT NULL DEFAULT '{}';
ALTER TABLE fiat_receipts ADD COLUMN asked_at TIMESTAMPTZ;
CREATE INDEX fiat_receipts_asked ON fiat_receipts (asked_at NULLS FIRST) WHERE state = 'submitted';

CREATE TABLE fiat_statements (
    source      TEXT NOT NULL,
    as_of       DATE NOT NULL,
    read_at     TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (source, as_of)
);

COMMENT ON COLUMN bank_links.details IS 'The holder, as debits have to name him: first_name, last_name, address_one, address_two, city, state, zip, postal_code, phone. Never a number of an account or a card.';
COMMENT ON COLUMN fiat_receipts.asked_at IS 'When the provider was last asked what has become of it.';
COMMENT ON TABLE fiat_statements IS 'Which days'' statements were read, whole.';
COMMENT ON COLUMN fiat_statements.source IS 'Whose: a provider, or a bank account of ours.';
COMMENT ON COLUMN fiat_statements.as_of IS 'The day up to which the statement is whole, in the bank''s calendar.';
