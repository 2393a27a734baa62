#!/usr/bin/env node
// Which branches of src/ the tests take: coverage.mjs. Fails when one is not taken and not named below, or named and taken.
//
// `forge coverage` alone is not enough: of `if (a || b) revert` it counts only that the revert happened. So this works
// on a copy in which each condition (of an if, ?:, && and ||, down to its parts) is handed through a function of its own
// that has an if and an else: each has to be true once and false once. An `if` in assembly cannot be handed through;
// there forge's own count holds, which is that its body ran.
//
// Left out, as here the compiler's optimizer is off and the code another: tests of gas and of published bytes and
// addresses. Left out to be quick: the invariants, and all but 100 runs of each fuzz test, with a fixed seed.
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const NOT_CONTRACTS = "DeploymentTest|GasTest|InvariantsTest|TestUSDCTest";
const NOT_TESTS = "gas|attack50|vectors";

// Branches that no test takes: { file, code, side, reason }. `code` as in the source, without line breaks; `side` is
// "true", "false" or, for an if in assembly, "body".
const accepted = [
  {
    file: "src/InvoiceEscrow.sol",
    code: "token != terms.token",
    side: "false",
    reason: "the invoice's own token, while it is kept, was refused a few lines above: it may go back from closesAt only",
  },
];

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(here);
const platform = { linux: "linux-amd64", darwin: "darwin-arm64", win32: "win32-amd64" }[process.platform];
const installed = join(root, "node_modules", "@foundry-rs", `forge-${platform}`, "bin", "forge");
const forge = process.env.MONAY_FORGE_BIN || (existsSync(installed) ? installed : "forge");

const work = mkdtempSync(join(tmpdir(), "monay-coverage-"));
process.on("exit", () => rmSync(work, { recursive: true, force: true }));
process.on("SIGINT", () => process.exit(130));
for (const name of ["node_modules", "scripts", "crates"]) symlinkSync(join(root, name), join(work, name));
const copy = join(work, "contracts");
mkdirSync(copy);
for (const part of ["src", "test", "foundry.toml", "artifacts", "governance", "lib"]) {
  cpSync(join(here, part), join(copy, part), { recursive: true, verbatimSymlinks: true });
}
// One way of building everything: forge counts what runs in the others apart, and the optimizer is off anyway.
const config = join(copy, "foundry.toml");
writeFileSync(config, readFileSync(config, "utf8").replace(/^(additional_compiler_profiles|compilation_restrictions) = .*\n/gm, ""));

function fail(text) {
  console.error(text);
  process.exit(1);
}

// --- the copy's conditions ---

const files = readdirSync(join(copy, "src"), { recursive: true })
  .map((name) => `src/${name.replaceAll("\\", "/")}`)
  .filter((name) => name.endsWith(".sol"));
const solc = createRequire(import.meta.url)("solc");
const parsed = JSON.parse(
  solc.compile(
    JSON.stringify({
      language: "Solidity",
      sources: Object.fromEntries(files.map((file) => [file, { content: readFileSync(join(copy, file), "utf8") }])),
      settings: { stopAfter: "parsing", outputSelection: { "*": { "": ["ast"] } } },
    }),
  ),
);

/** Calls `found` with each part of a condition in `node` that is not itself made of parts. */
function conditions(node, found) {
  if (node === null || typeof node !== "object") return;
  if (node.nodeType === "IfStatement" || node.nodeType === "Conditional") parts(node.condition, found);
  if (node.nodeType === "BinaryOperation" && ["&&", "||"].includes(node.operator)) parts(node, found);
  for (const value of Object.values(node)) {
    if (Array.isArray(value)) value.forEach((each) => conditions(each, found));
    else conditions(value, found);
  }
}

function parts(node, found) {
  if (node.nodeType === "BinaryOperation" && ["&&", "||"].includes(node.operator)) {
    parts(node.leftExpression, found);
    parts(node.rightExpression, found);
  } else if (node.nodeType === "UnaryOperation" && node.operator === "!") {
    parts(node.subExpression, found);
  } else if (node.nodeType === "TupleExpression" && node.components.length === 1) {
    parts(node.components[0], found);
  } else {
    found(node);
  }
}

const watched = []; // { file, line, code }, the index is the name of its function
const oneLine = (text) => text.replace(/\s+/g, " ").trim();
for (const file of files) {
  const ast = parsed.sources?.[file]?.ast;
  if (!ast) fail(`${file} could not be parsed: ${JSON.stringify(parsed.errors)}`);
  const source = readFileSync(join(copy, file));
  const inserts = new Map(); // offset → text; a condition that is reached twice is handed through once
  conditions(ast, (node) => {
    const [start, length] = node.src.split(":").map(Number);
    if (inserts.has(start)) return;
    const line = source.subarray(0, start).toString().split("\n").length;
    inserts.set(start, `CoveredConditions.c${watched.length}(`);
    inserts.set(start + length, ")");
    watched.push({ file, line, code: oneLine(source.subarray(start, start + length).toString()) });
  });
  if (inserts.size === 0) continue;
  const pieces = [];
  let at = 0;
  for (const [offset, text] of [...inserts].sort(([a], [b]) => a - b)) {
    pieces.push(source.subarray(at, offset).toString(), text);
    at = offset;
  }
  pieces.push(source.subarray(at).toString());
  const above = "../".repeat(file.split("/").length - 2) || "./";
  // On the line of the pragma, so that line numbers stay.
  const text = pieces.join("").replace(/^(pragma solidity .*;)$/m, `$1 import {CoveredConditions} from "${above}CoveredConditions.sol";`);
  writeFileSync(join(copy, file), text);
}

const FUNCTION_LINES = 3;
const HEAD_LINES = 2;
writeFileSync(
  join(copy, "src/CoveredConditions.sol"),
  "pragma solidity 0.8.37;\nlibrary CoveredConditions {\n" +
    watched
      .map((_, i) => `function c${i}(bool x) internal pure returns (bool) {\nif (x) { return true; } else { return false; }\n}\n`)
      .join("") +
    "}\n",
);

// --- the tests ---

const report = join(work, "lcov.info");
const run = spawnSync(
  forge,
  ["coverage", "--report", "lcov", "--report-file", report, "--no-match-contract", NOT_CONTRACTS, "--no-match-test", NOT_TESTS],
  {
    cwd: copy,
    encoding: "utf8",
    maxBuffer: 1 << 28,
    env: { ...process.env, FOUNDRY_FUZZ_RUNS: "100", FOUNDRY_FUZZ_SEED: "1", FORGE_SNAPSHOT_EMIT: "false" },
  },
);
if (run.error) fail("forge is missing: run `npm ci` in the root of the repository.");
if (run.status !== 0) fail(`${run.stdout}\n${run.stderr}`);
const passed = run.stdout.match(/: (\d+) tests passed/)?.[1];

// --- what they took ---

const open = []; // { file, line, code, side }
const counts = new Map(); // file → { taken, all }
function count({ file, line, code, side }, taken) {
  const sum = counts.get(file) ?? { taken: 0, all: 0 };
  counts.set(file, sum);
  sum.all += 1;
  if (taken) sum.taken += 1;
  else open.push({ file, line, code, side });
}

let file;
const lines = new Map(); // file → { hit, all }
const sides = new Map();
for (const row of readFileSync(report, "utf8").split("\n")) {
  const [kind, value] = [row.slice(0, row.indexOf(":")), row.slice(row.indexOf(":") + 1)];
  if (kind === "SF") file = value.replaceAll("\\", "/");
  if (!file?.startsWith("src/")) continue;
  const numbers = value.split(",");
  const hits = Number(numbers.at(-1)) || 0;
  if (file === "src/CoveredConditions.sol") {
    if (kind === "BRDA") {
      const index = (Number(numbers[0]) - HEAD_LINES - 2) / FUNCTION_LINES;
      sides.set(`${index} ${numbers[2]}`, hits);
    }
  } else if (kind === "BRDA") {
    const code = readFileSync(join(here, file), "utf8").split("\n")[Number(numbers[0]) - 1];
    count({ file, line: Number(numbers[0]), code: oneLine(code), side: "body" }, hits > 0);
  } else if (kind === "DA") {
    const sum = lines.get(file) ?? { hit: 0, all: 0 };
    lines.set(file, sum);
    sum.all += 1;
    if (hits > 0) sum.hit += 1;
    else open.push({ file, line: Number(numbers[0]), code: "", side: "line" });
  }
}
watched.forEach((condition, index) => {
  for (const [branch, side] of [["0", "true"], ["1", "false"]]) {
    const hits = sides.get(`${index} ${branch}`);
    if (hits === undefined) fail(`forge says nothing about condition ${index}: ${condition.code}`);
    count({ ...condition, side }, hits > 0);
  }
});

let wrong = 0;
const used = new Set();
for (const { file, line, code, side } of open) {
  const reason = accepted.find((each) => each.file === file && each.side === side && each.code === code);
  used.add(reason);
  if (reason) {
    console.log(`${file}:${line}: ${code}: never ${side}: ${reason.reason}`);
  } else {
    console.error(`${file}:${line}: ${side === "line" ? "no test runs this line" : `no test takes the branch ${side} of: ${code}`}`);
    wrong += 1;
  }
}
for (const each of accepted) {
  if (used.has(each)) continue;
  console.error(`coverage.mjs accepts what is not open: ${each.file}: ${each.side} of ${each.code}`);
  wrong += 1;
}
for (const [name, { taken, all }] of [...counts].sort()) {
  const { hit, all: allLines } = lines.get(name) ?? { hit: 0, all: 0 };
  console.log(`${name.padEnd(32)} branches ${String(taken).padStart(3)} of ${String(all).padStart(3)}   lines ${String(hit).padStart(3)} of ${String(allLines).padStart(3)}`);
}
if (counts.size === 0) fail("forge measured nothing");
const rest = open.length === 0 ? "" : `, but ${open.length} named above`;
console.log(wrong === 0 ? `${passed} tests take every branch of src/${rest}` : `${wrong} branches are not accounted for`);
process.exit(wrong === 0 ? 0 : 1);
