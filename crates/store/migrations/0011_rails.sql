-- Why: an invoice that can be paid on several chains is paid on one of them, and that is decided once for all its rails,
-- under its row's lock. What lies on each is kept apart: refunds go by rail.

ALTER TABLE invoices ADD COLUMN picked_chain BIGINT REFERENCES chains;
UPDATE invoices i SET picked_chain = t.chain_id FROM invoice_terms t WHERE t.invoice_id = i.id;

ALTER TABLE invoice_terms ADD COLUMN paid_units u128 NOT NULL DEFAULT 0;
ALTER TABLE invoice_terms ADD COLUMN received_units u256 NOT NULL DEFAULT 0;
ALTER TABLE invoice_terms ADD COLUMN balance_units u256 NOT NULL DEFAULT 0;
UPDATE invoice_terms t SET paid_units = i.paid_units, received_units = i.received_units, balance_units = w.balance_units
    FROM invoices i JOIN invoice_wallets w ON w.invoice_id = i.id WHERE t.invoice_id = i.id;

-- No chain pays more than the amount. That all chains together do not is our promise and not theirs: were it ever broken, the
-- invoice would have to say so, and not refuse to.
ALTER TABLE invoices DROP CONSTRAINT invoices_check;
ALTER TABLE invoice_terms ADD CONSTRAINT invoice_terms_paid_check CHECK (paid_units <= amount_units);

ALTER TABLE invoice_wallets ADD CONSTRAINT invoice_wallets_solana_address_key UNIQUE (solana_address);

COMMENT ON COLUMN invoices.picked_chain IS 'The chain it is paid on; null while that is not decided. Nothing is settled on another.';
COMMENT ON COLUMN invoice_terms.paid_units IS 'What the payee has on this chain.';
COMMENT ON COLUMN invoice_terms.received_units IS 'What came on this chain.';
COMMENT ON COLUMN invoice_terms.balance_units IS 'What lies at the deposit address.';
