#!/usr/bin/env node
// What things cost, as one JSON object for `scripts/bench gas`: gas of whole transactions (21,000 and calldata included,
// refunds taken off), from test/Gas.t.sol, which forge runs with each call as a transaction. Of a batch: gas per invoice.
//
// First of all the dollar of the tests has to cost what Circle's costs; else no number here would mean anything.
// `ours_plain` is the same with a plain OpenZeppelin ERC-20. `peer_is` says what `peer` is; docs/adr/0006 has the sources.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const CIRCLE = { "transfer to a holder": 44_819, "transfer to a fresh address": 61_919 };
const CIRCLE_TOLERANCE = 0.03;

const here = dirname(fileURLToPath(import.meta.url));
const platform = { linux: "linux-amd64", darwin: "darwin-arm64", win32: "win32-amd64" }[process.platform];
const installed = join(here, "..", "node_modules", "@foundry-rs", `forge-${platform}`, "bin", "forge");
const forge = process.env.MONAY_FORGE_BIN || (existsSync(installed) ? installed : "forge");

function fail(text) {
  console.error(text);
  process.exit(1);
}

const snapshots = mkdtempSync(join(tmpdir(), "monay-gas-"));
process.on("exit", () => rmSync(snapshots, { recursive: true, force: true }));
const run = spawnSync(forge, ["test", "--match-contract", "^GasTest$"], {
  cwd: here,
  encoding: "utf8",
  env: { ...process.env, FOUNDRY_SNAPSHOTS: snapshots, FORGE_SNAPSHOT_EMIT: "true", FORGE_SNAPSHOT_CHECK: "false" },
});
if (run.error) fail("forge is missing: run `npm ci` in the root of the repository.");
if (run.status !== 0) fail(`${run.stdout}\n${run.stderr}`);
const measured = JSON.parse(readFileSync(join(snapshots, "GasTest.json"), "utf8"));

function gas(token, what) {
  const value = measured[`${token}: ${what}`];
  if (value === undefined) fail(`test/Gas.t.sol does not measure "${token}: ${what}"`);
  return Number(value);
}

for (const [what, circle] of Object.entries(CIRCLE)) {
  const ours = gas("USDC", what);
  if (Math.abs(ours / circle - 1) > CIRCLE_TOLERANCE) {
    fail(`a ${what} of the test token costs ${ours} gas, of Circle's ${circle}: what is measured with it means nothing`);
  }
}

// Circle's own mint of USDC, and then its transfer to the payee.
const CIRCLE_MINT = 55_000;

const row = (what, measure, { peer = null, peerIs = null, limit = null, plain = true } = {}) => {
  const ours = Math.round(measure("USDC"));
  const against = limit ?? peer;
  return {
    what,
    ours,
    peer,
    limit,
    unit: "gas",
    ratio: against === null ? null : Number((ours / against).toFixed(2)),
    ours_plain: plain ? Math.round(measure("plain ERC-20")) : null,
    peer_is: peerIs,
  };
};
const settle = (n) => (token) => gas(token, `settle N=${n} through the gate, in total`) / n;
const verb = (what) => (token) => gas(token, what);
// The payer's own transaction; his transfer is the same whatever is on the other side.
const withTransfer = (n) => (token) => gas(token, "transfer to a fresh address") + settle(n)(token);

const rows = [
  row("settle N=1", settle(1)),
  row("settle N=10", settle(10)),
  row("settle N=50", settle(50)),
  row("settle N=100", settle(100), { limit: 80_000 }),
  row("pay", verb("pay"), { peer: 111_475, peerIs: "Coinbase Transfers: transferTokenPreApproved, no fee" }),
  // A plain ERC-20 has no authorizations.
  row("gasless", verb("gasless, funded and settled through the gate"), {
    peer: 158_450,
    peerIs: "commerce-payments: charge (3009), no fee",
    plain: false,
  }),
  row("refund", verb("refund at closesAt, to a holder"), { peer: 65_357, peerIs: "commerce-payments: reclaim" }),
  row("late sweep", verb("late sweep to a holder")),
  row("late sweep to a fresh address", verb("late sweep to a fresh address")),
  ...[1, 100].map((n) =>
    row(`payer's transfer + settle N=${n}`, withTransfer(n), {
      peer: 211_343,
      peerIs: "commerce-payments: authorize (3009) + capture, no fee",
      plain: false,
    }),
  ),
  ...[
    ["the payee's first", "transfer to a fresh address"],
    ["to a holder", "transfer to a holder"],
  ].flatMap(([what, transfer]) => [
    row(`mintAndPay, ${what}`, () => gas("ReserveToken", `mintAndPay, ${what}`), {
      peer: CIRCLE_MINT + CIRCLE[transfer],
      peerIs: `Circle: mint to its customer's account, then ${transfer}; no deposit, no invoice, no attestors`,
      plain: false,
    }),
    row(`mintAndPay without a settler, ${what}`, () => gas("ReserveToken", `mintAndPay without a settler, ${what}`), { plain: false }),
    row(`mintAndPay from the float, ${what}`, verb(`float, mintAndPay, ${what}`), { plain: false }),
  ]),
  row("mintAndPay, to a holder, a unit at both gates", () => gas("ReserveToken", "mintAndPay, to a holder, a unit at both gates"), {
    plain: false,
  }),
  row("redeem", () => gas("ReserveToken", "redeem"), { plain: false }),
  ...Object.entries(CIRCLE).map(([what, circle]) =>
    row(what, verb(what), { peer: circle, peerIs: "FiatTokenV2_2 behind its proxy", plain: false }),
  ),
];
console.log(JSON.stringify({ name: "gas", command: "scripts/bench gas", rows }));
