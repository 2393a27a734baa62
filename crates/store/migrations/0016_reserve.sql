-- Why: statements about the reserve get on chain by themselves. The keeper carries them like everything it sends, as an attempt under a
-- nonce of its own; it is no intent, because it is about no invoice and may be sent twice without harm.

ALTER TABLE reserve_orders ADD COLUMN attempt_id BIGINT REFERENCES attempts;
ALTER TABLE reserve_orders ADD COLUMN not_before TIMESTAMPTZ NOT NULL DEFAULT now();

COMMENT ON COLUMN reserve_orders.attempt_id IS 'The transaction that carries it, or another under the same nonce; null: none yet.';
COMMENT ON COLUMN reserve_orders.not_before IS 'Left alone by the keeper until then: it would have reverted.';
