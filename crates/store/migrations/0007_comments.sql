-- Why: whoever opens the database sees what each table is for and in which units a number is, without our sources.
-- docs/SCHEMA.md is printed from it, and a test refuses a table without a comment.

COMMENT ON DOMAIN u128 IS 'Base units, at most what terms can hold: 2^128 - 1.';
COMMENT ON DOMAIN u256 IS 'Base units, at most what a token can claim to have moved: 2^256 - 1.';
COMMENT ON DOMAIN hash32 IS 'A hash, or 32 random bytes.';
COMMENT ON DOMAIN address20 IS 'An Ethereum address; 20 zero bytes are nobody.';

-- ── Who ─────────────────────────────────────────────────────────────────────────────────────────────────────────

COMMENT ON TABLE tenants IS 'A customer of this installation. Every row of the specification''s tables names one.';
COMMENT ON COLUMN tenants.id IS 'A slug; what an API key stands for.';
COMMENT ON TABLE enterprises IS 'Who issues invoices and is paid: one per tenant.';
COMMENT ON COLUMN enterprises.verified IS 'Only a verified enterprise may issue invoices.';
COMMENT ON TABLE users IS 'Customers of a tenant, by e-mail address.';
COMMENT ON TABLE api_keys IS 'API keys by their SHA-256. The key itself is shown once and stored nowhere.';
COMMENT ON COLUMN api_keys.key_hash IS 'SHA-256 of the key.';
COMMENT ON COLUMN api_keys.revoked_at IS 'From then on it opens nothing.';
COMMENT ON TABLE payees IS 'Where a tenant is paid on a chain.';
COMMENT ON COLUMN payees.unclaimed IS 'The account for money that can be sent back to nobody else. Never the payee.';
COMMENT ON TABLE wallets IS 'An enterprise''s own balance, as far as it came from invoices: a projection of payments, written by nobody.';
COMMENT ON COLUMN wallets.balance_units IS 'Base units; 1,000,000 are one USDC.';
COMMENT ON COLUMN wallets.balance IS 'USDC, generated from balance_units.';

-- ── Invoices ────────────────────────────────────────────────────────────────────────────────────────────────────

COMMENT ON TABLE invoices IS 'What somebody has to pay. No money moves without one. Statuses follow from the mirror of the chain and are written by the projection alone.';
COMMENT ON COLUMN invoices.number IS 'The tenant''s own number, unique for the tenant; ours where it gave none.';
COMMENT ON COLUMN invoices.invoice_key IS 'invoiceId in the terms: random, so that it says nothing about anyone.';
COMMENT ON COLUMN invoices.amount_units IS 'The spending limit in base units of the token.';
COMMENT ON COLUMN invoices.amount IS 'Generated from amount_units.';
COMMENT ON COLUMN invoices.paid_units IS 'What the payee has got, base units; never more than amount_units.';
COMMENT ON COLUMN invoices.paid_amount IS 'Generated from paid_units.';
COMMENT ON COLUMN invoices.received_units IS 'What came to the deposit address, base units; may be more than the amount.';
COMMENT ON COLUMN invoices.settlement IS 'automatic: settled when the money is there. manual: settled when somebody says so.';
COMMENT ON COLUMN invoices.settlement_tier IS 'How firmly the chain holds what the status says: seen, safe, final.';
COMMENT ON COLUMN invoices.exceptions IS 'What is unusual: paid_late, refund_due, payment_reversed, on_hold.';
COMMENT ON COLUMN invoices.pay_requested_at IS 'When somebody said to settle, where settlement is manual.';
COMMENT ON COLUMN invoices.expires_at IS 'The expiry people are shown.';
COMMENT ON COLUMN invoices.closes_at IS 'closesAt of the terms, unix seconds of the chain: from then on money can only go back.';
COMMENT ON COLUMN invoices.flags IS 'Flags of the terms; bit 0: partial payments are passed on as they come.';
COMMENT ON COLUMN invoices.transaction_id IS 'The hash of the transaction that paid it last.';
COMMENT ON COLUMN invoices.pay_token IS 'A secret: whoever has it has the pay link.';
COMMENT ON COLUMN invoices.sequence IS 'Rises with each event about the invoice.';
COMMENT ON COLUMN invoices.line_items IS 'The lines of the bill.';
COMMENT ON TABLE invoice_terms IS 'The terms of an invoice on one chain: the key to its money, committed before an address is shown. A foreign key makes all terms of an invoice agree.';
COMMENT ON COLUMN invoice_terms.terms_hash IS 'The EIP-712 struct hash of the eleven fields.';
COMMENT ON COLUMN invoice_terms.payee IS 'Who is paid.';
COMMENT ON COLUMN invoice_terms.refund_to IS 'Where money goes that goes back.';
COMMENT ON COLUMN invoice_terms.refund_key IS 'May send elsewhere what goes back; zero: nobody may.';
COMMENT ON COLUMN invoice_terms.settler IS 'Who may settle; zero: anyone.';
COMMENT ON COLUMN invoice_terms.purse IS 'The deposit address: CREATE2 of the escrow, the terms hash and constant code.';
COMMENT ON COLUMN invoice_terms.wake_seen_at IS 'Look again when the highest block is this old: unix seconds of the chain.';
COMMENT ON COLUMN invoice_terms.wake_final_at IS 'Look again when the finalized block is this old: unix seconds of the chain.';
COMMENT ON TABLE invoice_wallets IS 'The wallet of an invoice, one for each: an address that follows from the terms, with a life of its own.';
COMMENT ON COLUMN invoice_wallets.wallet_address IS 'The deposit address on Base.';
COMMENT ON COLUMN invoice_wallets.balance_units IS 'What lies at the address, base units of the invoice''s token, as the mirror has it.';
COMMENT ON COLUMN invoice_wallets.balance IS 'Generated from balance_units.';
COMMENT ON COLUMN invoice_wallets.spending_limit_units IS 'The most the payee can get, base units.';
COMMENT ON COLUMN invoice_wallets.spending_limit IS 'Generated from spending_limit_units.';
COMMENT ON COLUMN invoice_wallets.ttl_seconds IS 'From creation to expiry, seconds.';
COMMENT ON COLUMN invoice_wallets.destruction_initiated_at IS 'When nothing was left to pay.';
COMMENT ON COLUMN invoice_wallets.destruction_method IS '7-pass_overwrite: the key''s row is overwritten seven times and deleted. That it was never stored in the clear is what protects.';
COMMENT ON COLUMN invoice_wallets.destruction_reason IS 'payment_complete, ttl_expired, cancelled.';
COMMENT ON TABLE wallet_lifecycle_events IS 'The history of a wallet. Append-only: a trigger refuses UPDATE and DELETE.';
COMMENT ON COLUMN wallet_lifecycle_events.event_type IS 'created, funded, payment_executed, destroyed, and ours beside them.';
COMMENT ON COLUMN wallet_lifecycle_events.blockchain_hash IS 'The transaction it happened in.';
COMMENT ON COLUMN wallet_lifecycle_events.signature IS 'For the audit log to come; null until then.';
COMMENT ON TABLE wallet_keys IS 'Refund keys of wallets whose customer''s own wallet is not known, sealed under the root key, deleted when the wallet is destroyed.';
COMMENT ON COLUMN wallet_keys.address IS 'The address of the key: refundKey of the terms.';
COMMENT ON COLUMN wallet_keys.nonce IS 'AES-GCM nonce, 12 bytes.';
COMMENT ON COLUMN wallet_keys.ciphertext IS 'AES-256-GCM of the key with its tag, bound to the wallet''s id. Opens with the root key, which is not in Postgres.';

-- ── The mirror of the chain ─────────────────────────────────────────────────────────────────────────────────────

COMMENT ON TABLE chains IS 'A chain: what is deployed there and how far its mirror has come. Heights are the node''s own tags.';
COMMENT ON COLUMN chains.genesis_hash IS 'The hash of block 0: a node with another is another chain.';
COMMENT ON COLUMN chains.settler IS 'The SettlementGate: the settler in the terms of new invoices.';
COMMENT ON COLUMN chains.settle_tier IS 'The tier at which a deposit is settled.';
COMMENT ON COLUMN chains.start_number IS 'The first block that is mirrored.';
COMMENT ON COLUMN chains.tip_number IS 'The highest mirrored block: tier seen.';
COMMENT ON COLUMN chains.tip_timestamp IS 'Its time, unix seconds: this, and no clock of ours, decides.';
COMMENT ON COLUMN chains.safe_number IS 'Up to here: tier safe.';
COMMENT ON COLUMN chains.final_number IS 'Up to here: tier final.';
COMMENT ON COLUMN chains.final_timestamp IS 'The finalized block''s time, unix seconds.';
COMMENT ON TABLE blocks IS 'Canonical blocks. A re-org deletes a block, and everything read from it goes with it.';
COMMENT ON COLUMN blocks.timestamp IS 'Unix seconds.';
COMMENT ON TABLE logs IS 'Every log that concerns an invoice, as it was.';
COMMENT ON TABLE deposits IS 'Transfers of any token to a deposit address.';
COMMENT ON COLUMN deposits.foreign_token IS 'Not the invoice''s token: its amount is hearsay.';
COMMENT ON COLUMN deposits.amount_units IS 'Base units of the token, as it claims.';
COMMENT ON TABLE escrow_events IS 'The escrow''s own events about our invoices.';
COMMENT ON COLUMN escrow_events.kind IS '1 settle, 2 pay, 3 cancel, 4 refund, 5 refund by order.';
COMMENT ON COLUMN escrow_events.amount_units IS 'What was moved, base units of the token.';
COMMENT ON COLUMN escrow_events.paid_units IS 'What the payee has got in all, base units of the invoice''s token.';
COMMENT ON COLUMN escrow_events.status IS '0 open, 1 paid in full, 2 cancelled.';

-- ── What the keeper does ────────────────────────────────────────────────────────────────────────────────────────

COMMENT ON TABLE intents IS 'What must happen on chain. The id is a hash of what is wanted and of the total before it, so that nothing is wanted twice.';
COMMENT ON COLUMN intents.kind IS 'settle, cancel, refund: follow from the facts. refund_by_order, fund: somebody asked for them.';
COMMENT ON COLUMN intents.cumulative_before IS 'The total of the same kind before it, base units; for fund: the payer''s nonce.';
COMMENT ON COLUMN intents.state IS 'accepted, signed, broadcast, unknown (never a failure), seen, final, superseded, failed (an operator has to look).';
COMMENT ON COLUMN intents.tries IS 'How often it was mined without effect.';
COMMENT ON COLUMN intents.deferrals IS 'How often it would have reverted and was put off, which costs nothing.';
COMMENT ON COLUMN intents.not_before IS 'Left alone until then.';
COMMENT ON COLUMN intents.last_error IS 'What went wrong last, in words.';
COMMENT ON TABLE signers IS 'Keys that send transactions.';
COMMENT ON COLUMN signers.next_nonce IS 'Moves in the transaction that stores the bytes signed with it, and never back.';
COMMENT ON COLUMN signers.lease_owner IS 'The process that may use it now.';
COMMENT ON COLUMN signers.lease_epoch IS 'The fencing token: rises with each new holder.';
COMMENT ON COLUMN signers.lease_until IS 'Until then, if it is not renewed.';
COMMENT ON TABLE attempts IS 'Every transaction that was ever signed, committed before it is sent.';
COMMENT ON COLUMN attempts.raw_tx IS 'The signed bytes: offered again as they are.';
COMMENT ON COLUMN attempts.seq IS 'Several attempts may share a nonce: each raises the fees of the one before, or uses the nonce up.';
COMMENT ON COLUMN attempts.noop IS 'Does nothing but use the nonce up.';
COMMENT ON COLUMN attempts.answer IS 'What a node said last.';
COMMENT ON COLUMN attempts.rejections IS 'How often in a row a node said that no node will ever take it.';
COMMENT ON COLUMN attempts.lease_epoch IS 'The fencing token it was signed under.';
COMMENT ON COLUMN attempts.max_fee IS 'The most it pays per unit of gas, wei.';
COMMENT ON COLUMN attempts.broadcast_at IS 'When a node first took it.';
COMMENT ON COLUMN attempts.offered_at IS 'When it was last offered to one.';
COMMENT ON TABLE attempt_intents IS 'Which intents a transaction carries out.';
COMMENT ON TABLE observations IS 'Where a transaction of ours was found in the mirror. Goes with its block.';
COMMENT ON COLUMN observations.fee_units IS 'What it cost, wei.';
COMMENT ON TABLE refund_orders IS 'Orders of refund keys where money goes that goes back, each with the customer''s word. The newest of an intent is in force.';
COMMENT ON COLUMN refund_orders.deadline IS 'Good up to and including this second, unix seconds of the chain.';
COMMENT ON COLUMN refund_orders.word IS 'Who said so, and how.';
COMMENT ON TABLE payment_authorizations IS 'Payers'' EIP-3009 authorizations, whose receiver is the deposit address.';
COMMENT ON COLUMN payment_authorizations.value_units IS 'Base units.';
COMMENT ON COLUMN payment_authorizations.valid_after IS 'Unix seconds.';
COMMENT ON COLUMN payment_authorizations.valid_before IS 'Unix seconds.';

-- ── Projections and what others are told ────────────────────────────────────────────────────────────────────────

COMMENT ON TABLE blockchain_transactions IS 'One row per movement of an invoice''s money on a chain: a projection of the mirror.';
COMMENT ON COLUMN blockchain_transactions.type IS 'mint, transfer, burn.';
COMMENT ON COLUMN blockchain_transactions.purpose IS 'deposit, foreign_deposit, settle, pay, refund.';
COMMENT ON COLUMN blockchain_transactions.amount_units IS 'Base units of the token.';
COMMENT ON COLUMN blockchain_transactions.amount IS 'Generated from amount_units.';
COMMENT ON COLUMN blockchain_transactions.fee_units IS 'What we paid for the transaction, wei; null where somebody else did.';
COMMENT ON COLUMN blockchain_transactions.fee IS 'Generated from fee_units, in the chain''s coin.';
COMMENT ON COLUMN blockchain_transactions.status IS 'The tier: seen, safe, final.';
COMMENT ON TABLE payments IS 'What payees have got, one row per settlement: a projection of blockchain_transactions.';
COMMENT ON COLUMN payments.status IS 'processing until the settlement is final, then completed.';
COMMENT ON COLUMN payments.amount_units IS 'Base units.';
COMMENT ON COLUMN payments.amount IS 'Generated from amount_units.';
COMMENT ON TABLE outbox IS 'Events that others are to be told, in the order of transactions (xid), not of ids.';
COMMENT ON COLUMN outbox.aggregate IS 'What it is about: our id of the invoice.';
COMMENT ON COLUMN outbox.sequence IS 'Of the aggregate, without gaps.';
