-- Why: several keepers on one database, and transactions that need more than one try under their nonce.
--
-- A signer is used by one process at a time. The lease says by which; its epoch is the fencing token: it rises with each
-- new holder, and every nonce is taken under it, so that a holder that was paused and wakes up can sign nothing any more.
ALTER TABLE signers ADD COLUMN lease_owner TEXT;
ALTER TABLE signers ADD COLUMN lease_epoch BIGINT NOT NULL DEFAULT 0;
ALTER TABLE signers ADD COLUMN lease_until TIMESTAMPTZ;
-- The first nonce that was ours to give out: those below were used by somebody else, or before this database.
ALTER TABLE signers ADD COLUMN first_nonce BIGINT NOT NULL DEFAULT 0;
UPDATE signers SET first_nonce = next_nonce;

-- Several attempts may share a nonce (`seq`): each raises the fees of the one before, or does nothing but use the nonce up.
ALTER TABLE attempts ADD COLUMN lease_epoch BIGINT NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN noop BOOLEAN NOT NULL DEFAULT FALSE;
-- What a node said last, and how often in a row it said that no node will ever take it.
ALTER TABLE attempts ADD COLUMN answer TEXT CHECK (answer IN
    ('taken', 'nonce_too_low', 'underpriced', 'unfunded', 'rejected', 'unknown'));
ALTER TABLE attempts ADD COLUMN rejections INTEGER NOT NULL DEFAULT 0;
