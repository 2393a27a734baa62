// Drives the programs with Anchor's JavaScript client and the committed IDLs against Surfpool, a whole local network in this
// process: node programs/clients/anchor.cjs [FOLDER]. FOLDER has the compiled programs; else programs/bin.
const anchor = require('@coral-xyz/anchor');
const spl = require('@solana/spl-token');
const web3 = require('@solana/web3.js');
const assert = require('node:assert');
const { createHash } = require('node:crypto');
const { idls, start } = require('./net.cjs');

const sha256 = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest();

// As in escrow_interface::address: bump 255 or nothing.
function derived(program, ...seeds) {
  const key = new web3.PublicKey(sha256(...seeds, Buffer.from([255]), program.toBuffer(), 'ProgramDerivedAddress'));
  return web3.PublicKey.isOnCurve(key.toBytes()) ? undefined : key;
}

// Draws invoice ids until the addresses exist, as an issuer does.
function issue(coder, program, terms) {
  for (let counter = 0; ; counter += 1) {
    const drawn = { ...terms, invoiceId: [...sha256('clients', Date.now().toString(), String(counter))] };
    const hash = sha256('monay:terms:v1', coder.types.encode('terms', drawn));
    const [invoice, record] = ['invoice', 'record'].map((seed) => derived(program, seed, hash));
    if (invoice && record) return { terms: drawn, hash, invoice, record };
  }
}

async function main() {
  const net = start(process.argv[2]);
  try {
    await story(net);
  } finally {
    net.stop?.();
  }
}

async function story(net) {
  const connection = new web3.Connection(net.rpcUrl, { commitment: 'confirmed', wsEndpoint: net.wsUrl });
  const keeper = web3.Keypair.fromSecretKey(Uint8Array.from(net.payerSecretKey));
  const [payee, refundTo, settlerKey] = [0, 1, 2].map(() => web3.Keypair.generate());
  for (const wallet of [payee, refundTo, settlerKey]) net.fundSol(wallet.publicKey.toBase58(), 1_000_000_000);
  const provider = new anchor.AnchorProvider(connection, new anchor.Wallet(keeper), { commitment: 'confirmed' });
  const escrow = new anchor.Program(idls.invoice_escrow, provider);
  const gate = new anchor.Program(idls.settlement_gate, provider);
  const [gateAddress, config] = ['gate', 'config'].map((seed) => derived(gate.programId, seed));

  await gate.methods.init(escrow.programId).accounts({ admin: keeper.publicKey }).rpc();
  const keys = Buffer.concat([Buffer.from([129, 1, 0]), settlerKey.publicKey.toBuffer()]);
  const setKeys = new web3.TransactionInstruction({
    programId: gate.programId,
    keys: [{ pubkey: config, isWritable: true, isSigner: false }, { pubkey: keeper.publicKey, isWritable: false, isSigner: true }],
    data: keys,
  });
  await provider.sendAndConfirm(new web3.Transaction().add(setKeys));
  const read = await gate.account.config.fetch(config);
  assert.equal(read.settlers[0].toBase58(), settlerKey.publicKey.toBase58());

  const mint = await spl.createMint(connection, keeper, keeper.publicKey, null, 6);
  const none = web3.PublicKey.default;
  const bn = (value) => new anchor.BN(value);
  const drawn = issue(escrow.coder, escrow.programId, {
    version: 1, chain: new anchor.BN(Buffer.from('monaylcl'), 'le'), payee: payee.publicKey, token: mint, amount: bn(1_000_000),
    closesAt: bn(Math.floor(Date.now() / 1000) + 86_400), refundTo: refundTo.publicKey, refundKey: none, settler: gateAddress,
    flags: 0,
  });
  const ata = (owner) => {
    const seeds = [owner.toBuffer(), spl.TOKEN_PROGRAM_ID.toBuffer(), mint.toBuffer()];
    return web3.PublicKey.findProgramAddressSync(seeds, spl.ASSOCIATED_TOKEN_PROGRAM_ID);
  };
  const [[vault, vaultBump], [destination, destinationBump]] = [drawn.invoice, payee.publicKey].map(ata);

  // The keeper makes the vault, a customer pays into it, the keeper settles through the gate.
  const before = await connection.getBalance(refundTo.publicKey);
  await escrow.methods.openVault(drawn.terms).accounts({
    rentPayer: keeper.publicKey, invoice: drawn.invoice, record: drawn.record, vault, mint, tokenProgram: spl.TOKEN_PROGRAM_ID,
  }).rpc();
  await spl.getOrCreateAssociatedTokenAccount(connection, keeper, mint, payee.publicKey);
  await spl.mintTo(connection, keeper, mint, vault, keeper, 1_000_000);
  const accounts = {
    key: settlerKey.publicKey, escrow: escrow.programId, rentPayer: keeper.publicKey, invoice: drawn.invoice, record: drawn.record,
    vault, destination, mint, tokenProgram: spl.TOKEN_PROGRAM_ID,
  };
  const asked = gate.methods.settle(drawn.terms, vaultBump, destinationBump).accounts(accounts).signers([settlerKey]);
  const signature = await asked.rpc();
  assert.equal((await spl.getAccount(connection, destination)).amount, 1_000_000n);
  const record = await escrow.account.record.fetch(drawn.record);
  assert.deepEqual([record.status, record.paid.toNumber()], [1, 1_000_000]);

  // The event, from the inner instructions: Anchor's coder wants them without the eight bytes of its tag.
  const transaction = await connection.getTransaction(signature, { commitment: 'confirmed', maxSupportedTransactionVersion: 0 });
  const inner = transaction.meta.innerInstructions.flatMap((one) => one.instructions);
  const events = inner.map((one) => Buffer.from(anchor.utils.bytes.bs58.decode(one.data)).subarray(8))
    .map((data) => escrow.coder.events.decode(data.toString('base64'))).filter(Boolean);
  assert.equal(events.length, 1);
  assert.equal(events[0].name, 'recorded');
  assert.equal(events[0].data.amount.toNumber(), 1_000_000);
  assert.equal(Buffer.from(events[0].data.termsHash).toString('hex'), drawn.hash.toString('hex'));

  // A refusal has its name.
  const again = await asked.rpc().then(() => undefined, (error) => error);
  assert.match(String(again), /NotOpen|6040|0x1798/);

  await escrow.methods.closeVault(drawn.terms, vaultBump).accounts({
    invoice: drawn.invoice, record: drawn.record, vault, vaultPayer: keeper.publicKey, refundTo: refundTo.publicKey, mint,
    tokenProgram: spl.TOKEN_PROGRAM_ID,
  }).rpc();
  assert.equal(await connection.getAccountInfo(vault), null);
  assert.equal(await connection.getBalance(refundTo.publicKey), before);
  console.log('anchor (JavaScript): deployed, opened, settled through the gate, event and refusal read, vault closed');
}

main().then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
