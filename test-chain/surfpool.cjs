// A local Solana network in a process of its own: node surfpool.cjs MODULE MILLISECONDS-PER-SLOT
//
// One line of JSON says where it listens, on ports of the system's choice. What plain JSON-RPC cannot do, such as moving the
// clock, it does by Surfpool's own methods, `surfnet_…`.
const [module_, slotTimeMs] = process.argv.slice(2);
const { Surfnet } = require(module_);

// Offline: nothing is fetched from a real cluster. By the clock: there are slots whether anybody sends something or not.
const net = Surfnet.startWithConfig({ offline: true, blockProductionMode: 'clock', slotTimeMs: Number(slotTimeMs) });
console.log(JSON.stringify({ rpc: net.rpcUrl, ws: net.wsUrl }));

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    net.stop();
    process.exit(0);
  });
}
setInterval(() => net.drainEvents(), 1000);
