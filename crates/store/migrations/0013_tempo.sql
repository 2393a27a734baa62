-- Why: an invoice may be paid on Tempo too. It is an EVM chain, so that the length of its addresses does not say what it is;
-- and an invoice's chains are in the order of their kinds (`evm`, `solana`, `tempo`), which is not that of their ids. There a
-- transaction that did not land in time never will, as on Solana, and time is told in seconds.

ALTER TABLE chains ALTER COLUMN kind DROP EXPRESSION;
ALTER TABLE chains ADD CONSTRAINT chains_kind_check CHECK (kind IN ('evm', 'solana', 'tempo')
    AND (kind = 'solana') = (octet_length(escrow) = 32));

ALTER TABLE invoice_wallets ADD CONSTRAINT invoice_wallets_tempo_address_key UNIQUE (tempo_address);

COMMENT ON COLUMN chains.kind IS 'evm, solana, or tempo: what is sent there and how.';
COMMENT ON COLUMN attempts.expires_after IS 'The last height, on Tempo the last time (unix seconds), of a block that may have it; null: any may.';
COMMENT ON COLUMN attempts.max_fee IS 'The most it pays per unit of gas, in the chain''s smallest unit of it; on Tempo in 10^-18 dollars.';
COMMENT ON COLUMN observations.fee_units IS 'What it cost, in the smallest unit of the chain''s coin: wei, lamports, on Tempo 10^-18 dollars.';
COMMENT ON COLUMN blockchain_transactions.fee_units IS 'What we paid for the transaction, in wei, lamports or 10^-18 dollars; null where somebody else did.';
COMMENT ON COLUMN blockchain_transactions.fee IS 'The same in whole coins; on Tempo in dollars.';
COMMENT ON COLUMN invoice_wallets.tempo_address IS 'The deposit address on Tempo; null where it cannot be paid there.';
