// A Solana wallet, as far as a payment needs one: node -e WALLET - MODULE, with what it is told as JSON on standard input:
//   {"rpc", "key": [64 numbers], "link": "solana:…", "amount": base units or null instead of what the link says}
// It knows Solana Pay and nothing of us: a transfer request is paid as its specification says, a transaction request is
// fetched, signed and sent. On standard output: {"signature"} or {"error"}.
const {
  Connection, Keypair, PublicKey, SystemProgram, Transaction, TransactionInstruction, VersionedTransaction,
} = require(process.argv.at(-1));

const TOKEN = new PublicKey('TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA');
const ATA = new PublicKey('ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL');
const account = (owner, mint) =>
  PublicKey.findProgramAddressSync([owner.toBuffer(), TOKEN.toBuffer(), mint.toBuffer()], ATA)[0];
const meta = (pubkey, isWritable = false, isSigner = false) => ({ pubkey, isWritable, isSigner });

// "1.5" with six digits is 1500000: as text, because a number would round.
const units = (amount, decimals) => {
  const [whole, part = ''] = amount.split('.');
  if (!/^\d+$/.test(whole) || !/^\d*$/.test(part) || part.length > decimals) throw new Error(`no amount: ${amount}`);
  return BigInt(whole + part.padEnd(decimals, '0'));
};

async function transfer(connection, key, url, amount) {
  const recipient = new PublicKey(url.pathname);
  const mint = new PublicKey(url.searchParams.get('spl-token'));
  const { decimals } = (await connection.getTokenSupply(mint)).value;
  const data = Buffer.alloc(10);
  data[0] = 12; // TransferChecked
  data.writeBigUInt64LE(amount ?? units(url.searchParams.get('amount'), decimals), 1);
  data[9] = decimals;
  const from = account(key.publicKey, mint);
  const to = account(recipient, mint);
  const references = url.searchParams.getAll('reference').map((reference) => meta(new PublicKey(reference)));
  return new Transaction().add(
    new TransactionInstruction({
      programId: ATA,
      data: Buffer.from([1]), // CreateIdempotent
      keys: [
        meta(key.publicKey, true, true), meta(to, true), meta(recipient), meta(mint), meta(SystemProgram.programId), meta(TOKEN),
      ],
    }),
    new TransactionInstruction({
      programId: TOKEN,
      data,
      keys: [meta(from, true), meta(mint), meta(to, true), meta(key.publicKey, false, true), ...references],
    }),
  );
}

async function pay({ rpc, key: secret, link, amount }) {
  const connection = new Connection(rpc, 'confirmed');
  const key = Keypair.fromSecretKey(Uint8Array.from(secret));
  const url = new URL(link);
  const { blockhash } = await connection.getLatestBlockhash('confirmed');
  let bytes;
  if (decodeURIComponent(url.pathname).startsWith('http')) {
    const answer = await fetch(decodeURIComponent(url.pathname), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ account: key.publicKey.toBase58() }),
    });
    const body = await answer.json();
    if (!answer.ok) throw new Error(JSON.stringify(body));
    const made = VersionedTransaction.deserialize(Buffer.from(body.transaction, 'base64'));
    made.sign([key]);
    bytes = made.serialize();
  } else {
    const made = await transfer(connection, key, url, amount === null ? undefined : BigInt(amount));
    Object.assign(made, { recentBlockhash: blockhash, feePayer: key.publicKey });
    made.sign(key);
    bytes = made.serialize();
  }
  const signature = await connection.sendRawTransaction(bytes);
  for (const end = Date.now() + 30_000; Date.now() < end; await new Promise((done) => setTimeout(done, 50))) {
    const { value } = await connection.getSignatureStatus(signature);
    if (value?.err) throw new Error(JSON.stringify(value.err));
    if (['confirmed', 'finalized'].includes(value?.confirmationStatus)) return { signature };
  }
  throw new Error(`${signature} was not confirmed in 30 seconds`);
}

pay(JSON.parse(require('node:fs').readFileSync(0, 'utf8'))).then(
  (paid) => console.log(JSON.stringify(paid)),
  (error) => console.log(JSON.stringify({ error: error.message })),
).finally(() => process.exit());
