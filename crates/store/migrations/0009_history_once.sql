-- Why: what has happened once on chain is told once, and looking whether it was told must not read a wallet's whole history:
-- anyone can make a long one, with refunds of a wei.
CREATE INDEX wallet_lifecycle_events_told ON wallet_lifecycle_events (wallet_id, event_type, blockchain_hash);
