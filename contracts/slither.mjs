#!/usr/bin/env node
// Slither on src/: slither.mjs [--list]. Fails on a finding that slither.json does not explain, and on an explanation
// of a finding that is gone. All detectors are on, down to the informational ones. --list prints the findings as they are.
//
// slither.json: [{ check, finding, reason }]. `finding` is Slither's own text without file and line, so that code can
// move; when the code that it quotes changes, the reason has to be thought of once more.
//
// `scripts/test slither` installs Slither (slither-requirements.txt) and calls this; SLITHER_HOME is the folder of it.
// It works on a copy, as it lets forge clean and build.
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(here);
const home = process.env.SLITHER_HOME ?? join(root, ".monay", "tools", "slither");
const platform = { linux: "linux-amd64", darwin: "darwin-arm64", win32: "win32-amd64" }[process.platform];
const installed = join(root, "node_modules", "@foundry-rs", `forge-${platform}`, "bin", "forge");
const forge = process.env.MONAY_FORGE_BIN || (existsSync(installed) ? installed : "forge");

function fail(text) {
  console.error(text);
  process.exit(1);
}
if (!existsSync(join(home, "slither"))) fail("Slither is missing: run `scripts/test slither`, which installs it.");

const work = mkdtempSync(join(tmpdir(), "monay-slither-"));
process.on("exit", () => rmSync(work, { recursive: true, force: true }));
process.on("SIGINT", () => process.exit(130));
for (const name of ["node_modules", "scripts"]) symlinkSync(join(root, name), join(work, name));
const copy = join(work, "contracts");
mkdirSync(copy);
for (const part of ["src", "foundry.toml", "lib"]) {
  cpSync(join(here, part), join(copy, part), { recursive: true, verbatimSymlinks: true });
}

/** Without files and lines, and the parts of a list in one order: Slither's differs from run to run. */
function withoutPlaces(description) {
  const [head, ...parts] = description
    .replace(/ \([^()]*\.sol(#\d+(-\d+)?)?\)/g, "")
    .replace(/\s+/g, " ")
    .trim()
    .split(/ - /);
  return [head, ...parts.sort()].join(" - ");
}

const report = join(work, "report.json");
// -S: nothing but what is pinned.
const args = ["-S", "-m", "slither", ".", "--filter-paths", "node_modules|openzeppelin", "--fail-none", "--json", report];
const run = spawnSync("python3", args, {
  cwd: copy,
  encoding: "utf8",
  maxBuffer: 1 << 28,
  env: { ...process.env, PYTHONPATH: home, PATH: `${dirname(forge)}${delimiter}${process.env.PATH}` },
});
if (run.error) fail("python3 was not found: Slither needs Python 3.10 or newer");
if (run.status !== 0 || !existsSync(report)) fail(`Slither failed:\n${run.stdout}\n${run.stderr}`);
const result = JSON.parse(readFileSync(report, "utf8"));
if (!result.success) fail(`Slither failed: ${result.error}`);

// What Slither could not read it did not check: OpenZeppelin's lock, whose slot is of a type that it does not know.
// test_E5_everyVerbOfTheGateIsShutWhileOneIsAtWork shows what that lock does.
const unread = [...run.stderr.matchAll(/Impossible to generate IR for (\S+)/g)].map((match) => match[1]);
const known = ["_nonReentrantBefore", "_nonReentrantAfter", "_reentrancyGuardEntered"].map((name) => `SettlementGate.${name}`);
const findings = (result.results.detectors ?? []).map(({ check, impact, description }) => ({
  check,
  impact,
  finding: withoutPlaces(description),
}));
if (process.argv.includes("--list")) {
  console.log(JSON.stringify(findings, null, 2));
  process.exit(0);
}

const reasons = JSON.parse(readFileSync(join(here, "slither.json"), "utf8"));
const same = (a) => (b) => a.check === b.check && a.finding === b.finding;
let wrong = 0;
for (const name of unread) {
  if (known.includes(name)) continue;
  console.error(`Slither could not read ${name}`);
  wrong += 1;
}
for (const each of findings) {
  if (reasons.some(same(each))) continue;
  console.error(`${each.impact} ${each.check}: ${each.finding}`);
  wrong += 1;
}
for (const each of reasons) {
  if (!each.reason) fail(`slither.json gives no reason for ${each.check}: ${each.finding}`);
  if (findings.some(same(each))) continue;
  console.error(`slither.json explains what is not found any more: ${each.check}: ${each.finding}`);
  wrong += 1;
}
const count = (impact) => findings.filter((each) => each.impact === impact).length;
console.log(
  `${findings.length} findings (${["High", "Medium", "Low", "Informational", "Optimization"].map((impact) => `${count(impact)} ${impact.toLowerCase()}`).join(", ")}), ` +
    (wrong === 0 ? "each with a reason in slither.json" : `${wrong} lines above to look at`),
);
process.exit(wrong === 0 ? 0 : 1);
