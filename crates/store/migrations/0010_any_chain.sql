-- Why: an invoice may be paid on Solana too. There addresses have 32 bytes, a transaction is named by its signature of 64,
-- a chain id may be above 2^63, blocks have numbers with holes between them, and a transaction that did not land in time
-- never will.

ALTER DOMAIN address20 RENAME TO account;
ALTER DOMAIN account DROP CONSTRAINT address20_check;
ALTER DOMAIN account ADD CONSTRAINT account_check CHECK (octet_length(VALUE) IN (20, 32));
CREATE DOMAIN tx_id AS BYTEA CHECK (octet_length(VALUE) IN (32, 64));

ALTER TABLE observations DROP CONSTRAINT observations_tx_hash_fkey;
ALTER TABLE logs ALTER COLUMN tx_hash TYPE tx_id;
ALTER TABLE deposits ALTER COLUMN tx_hash TYPE tx_id;
ALTER TABLE escrow_events ALTER COLUMN tx_hash TYPE tx_id;
ALTER TABLE quarantined_logs ALTER COLUMN tx_hash TYPE tx_id;
ALTER TABLE attempts ALTER COLUMN tx_hash TYPE tx_id;
ALTER TABLE observations ALTER COLUMN tx_hash TYPE tx_id;
ALTER TABLE observations ADD CONSTRAINT observations_tx_hash_fkey FOREIGN KEY (tx_hash) REFERENCES attempts (tx_hash);

-- How people write them: `0x` and hexadecimal digits, or base58.
CREATE FUNCTION base58(bytes BYTEA) RETURNS TEXT LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
    alphabet CONSTANT TEXT := '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';
    number NUMERIC := 0;
    digits TEXT := '';
BEGIN
    FOR i IN 0..octet_length(bytes) - 1 LOOP
        number := number * 256 + get_byte(bytes, i);
    END LOOP;
    WHILE number > 0 LOOP
        digits := substr(alphabet, mod(number, 58)::INTEGER + 1, 1) || digits;
        number := div(number, 58);
    END LOOP;
    -- Each zero byte at the front is a digit of its own.
    FOR i IN 0..octet_length(bytes) - 1 LOOP
        EXIT WHEN get_byte(bytes, i) <> 0;
        digits := '1' || digits;
    END LOOP;
    RETURN digits;
END $$;
CREATE FUNCTION account_text(account BYTEA) RETURNS TEXT LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT CASE octet_length(account) WHEN 20 THEN '0x' || encode(account, 'hex') ELSE base58(account) END
$$;
CREATE FUNCTION tx_text(tx BYTEA) RETURNS TEXT LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT CASE octet_length(tx) WHEN 32 THEN '0x' || encode(tx, 'hex') ELSE base58(tx) END
$$;

ALTER TABLE chains DROP CONSTRAINT chains_chain_id_check;
ALTER TABLE chains ADD CONSTRAINT chains_chain_id_check CHECK (chain_id <> 0);
ALTER TABLE chains ADD COLUMN kind TEXT NOT NULL
    GENERATED ALWAYS AS (CASE octet_length(escrow) WHEN 20 THEN 'evm' ELSE 'solana' END) STORED;
ALTER TABLE chains ADD COLUMN gate account;
UPDATE chains SET gate = settler;
ALTER TABLE chains ALTER COLUMN gate SET NOT NULL;
ALTER TABLE chains ADD COLUMN token_2022 BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE chains ADD CONSTRAINT chains_one_kind CHECK (octet_length(escrow) = octet_length(token)
    AND octet_length(escrow) = octet_length(settler) AND octet_length(escrow) = octet_length(gate)
    AND (octet_length(escrow) = 32 OR NOT token_2022));

ALTER TABLE invoice_terms ADD CONSTRAINT invoice_terms_one_kind CHECK (octet_length(payee) = octet_length(token)
    AND octet_length(payee) = octet_length(refund_to) AND octet_length(payee) = octet_length(refund_key)
    AND octet_length(payee) = octet_length(settler) AND octet_length(payee) = octet_length(purse));

ALTER TABLE attempts ADD COLUMN expires_after BIGINT CHECK (expires_after >= 0);

-- What a transaction cost is counted in the chain's own coin: wei are 10^-18 of one, lamports 10^-9.
ALTER TABLE blockchain_transactions DROP COLUMN fee;
ALTER TABLE blockchain_transactions ADD COLUMN fee NUMERIC(57, 18) GENERATED ALWAYS AS
    (fee_units::NUMERIC / CASE WHEN starts_with(tx_hash, '0x') THEN 1000000000000000000 ELSE 1000000000 END) STORED;

COMMENT ON DOMAIN account IS 'An address: 20 bytes on EVM chains, 32 on Solana. All zero is nobody.';
COMMENT ON DOMAIN tx_id IS 'What names a transaction: a hash, or on Solana its first signature.';
COMMENT ON COLUMN attempts.max_fee IS 'The most it pays per unit of gas, in the chain''s smallest unit of it.';
COMMENT ON COLUMN observations.fee_units IS 'What it cost, in the smallest unit of the chain''s coin: wei, lamports.';
COMMENT ON COLUMN blockchain_transactions.fee_units IS 'What we paid for the transaction, wei or lamports; null where somebody else did.';
COMMENT ON COLUMN blockchain_transactions.fee IS 'The same in whole coins.';
COMMENT ON COLUMN chains.chain_id IS 'EVM chain id; of Solana 64 bits of the genesis hash, above 2^63 as a negative number.';
COMMENT ON COLUMN chains.kind IS 'evm or solana: what the length of its addresses says.';
COMMENT ON COLUMN chains.gate IS 'The settlement gate: on EVM chains the settler itself, on Solana the program whose address the settler is.';
COMMENT ON COLUMN chains.token_2022 IS 'Whether the token belongs to Token-2022: only on Solana.';
COMMENT ON COLUMN blocks.number IS 'Height; on Solana the slot, of which some have no block.';
COMMENT ON COLUMN attempts.expires_after IS 'The last block height at which it may land; null: any.';
