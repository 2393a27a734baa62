-- Why: every table says what it is for, also those that came with repeated requests and with what the mirror cannot book.

COMMENT ON TABLE idempotency_keys IS 'Answers to requests that came with an Idempotency-Key, written with the work itself. Kept for 30 days.';
COMMENT ON COLUMN idempotency_keys.scope IS 'Whose key it is, and of which route.';
COMMENT ON COLUMN idempotency_keys.request_hash IS 'SHA-256 of path and body: the same key with another request is refused.';
COMMENT ON COLUMN idempotency_keys.status IS 'The HTTP status of the answer: 2xx, a request that failed leaves no row.';
COMMENT ON COLUMN invoices.called_off_at IS 'When the issuer called it off. Our word; on chain it is cancelled as well.';
COMMENT ON COLUMN api_keys.scopes IS 'What it may do.';
COMMENT ON COLUMN api_keys.last_used_on IS 'The day (UTC) of the last request with it.';

COMMENT ON TABLE quarantined_logs IS 'Logs that should concern us and cannot be understood or booked. Part of the mirror: they go with their block.';
COMMENT ON COLUMN quarantined_logs.position IS 'Among the odd ones of its block.';
COMMENT ON COLUMN quarantined_logs.log_index IS 'As the node gave it; null where it gave none.';
COMMENT ON COLUMN quarantined_logs.data IS 'The first 4096 bytes.';
COMMENT ON COLUMN quarantined_logs.terms_hash IS 'The invoice whose address it names; null where it is the escrow''s own.';
COMMENT ON COLUMN quarantined_logs.reason IS 'Why it is here, for people.';
COMMENT ON TABLE stuck_invoices IS 'Invoices that could not be brought up to date: nobody else waits for them. The row goes when one can.';
COMMENT ON COLUMN stuck_invoices.error IS 'Of the last try.';
COMMENT ON COLUMN stuck_invoices.since IS 'When it failed first.';
COMMENT ON COLUMN stuck_invoices.retry_at IS 'When it is tried again: each time after longer, up to a minute.';
