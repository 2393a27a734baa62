// Surfpool, a whole local network, with the compiled programs on it. For anchor.cjs in its own process; for a client in another
// language in one of its own: node programs/clients/net.cjs [FOLDER]. FOLDER has the programs; else programs/bin. One line
// of JSON says where it listens and whose key has lamports; it ends when its input does.
const path = require('node:path');
const { Surfnet } = require('@solana/surfpool-linux-x64-gnu');

const idls = Object.fromEntries(['invoice_escrow', 'settlement_gate'].map((name) => [name, require(`../idl/${name}.json`)]));

function start(folder = path.join(__dirname, '..', 'bin')) {
  const net = Surfnet.startWithConfig({ offline: true, blockProductionMode: 'transaction', slotTimeMs: 50 });
  for (const [name, idl] of Object.entries(idls)) {
    net.deploy({ programId: idl.address, soPath: path.join(folder, `${name}.so`) });
  }
  return net;
}

module.exports = { idls, start };

if (require.main === module) {
  const net = start(process.argv[2]);
  console.log(JSON.stringify({ rpc: net.rpcUrl, ws: net.wsUrl, payer: [...net.payerSecretKey] }));
  process.stdin.resume().on('end', () => process.exit(0));
  setInterval(() => net.drainEvents(), 1000);
}
