-- Why: every table says what it is for, also those of requests, keys and what the mirror cannot book.

COMMENT ON TABLE idempotency_keys IS 'Answers to requests that came with an Idempotency-Key, written with the work itself. Kept for 30 days.';
COMMENT ON COLUMN idempotency_keys.scope IS 'Whose key it is, and of which route.';
COMMENT ON COLUMN idempotency_keys.request_hash IS 'SHA-256 of path and body: the same key with another request is refused.';
COMMENT ON COLUMN invoices.called_off_at IS 'When the issuer called it off. Our word; on chain it is cancelled as well.';
COMMENT ON COLUMN api_keys.scopes IS 'What it may do.';
COMMENT ON COLUMN api_keys.last_used_on IS 'The day (UTC) of the last request with it.';
COMMENT ON TABLE quarantined_logs IS 'Logs that should concern us and cannot be understood or booked. Part of the mirror: they go with their block.';
COMMENT ON TABLE stuck_invoices IS 'Invoices that could not be brought up to date: nobody else waits for them. The row goes when one can.';
