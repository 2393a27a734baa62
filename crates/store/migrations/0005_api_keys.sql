-- Why: a key that is stolen can do whatever it may do, so a key says what that is. Keys that are there could do all, and
-- still can. The day of the last use shows which keys nobody needs any more; a time would be a write for every request.

ALTER TABLE api_keys ADD COLUMN scopes TEXT[] NOT NULL
    DEFAULT '{invoices:read,invoices:write,refunds:write,events:read}'
    CHECK (cardinality(scopes) > 0
        AND scopes <@ '{invoices:read,invoices:write,refunds:write,events:read}'::TEXT[]);
-- From now on whoever makes a key says what it may do.
ALTER TABLE api_keys ALTER COLUMN scopes DROP DEFAULT;
ALTER TABLE api_keys ADD COLUMN last_used_on DATE;
CREATE INDEX api_keys_tenant ON api_keys (tenant_id, created_at);

-- For whoever watches: what is not done yet is counted at every look, and must not cost more with every year of history.
CREATE INDEX intents_open ON intents (kind, state) WHERE state NOT IN ('final', 'superseded');
