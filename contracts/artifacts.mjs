#!/usr/bin/env node
// Writes artifacts/*.json from what forge builds, for whoever needs ABI and bytecode without a Solidity compiler.
// With --check: changes nothing and fails when they are not what the sources give.
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync, existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import jsSha3 from "js-sha3";

const { keccak256 } = jsSha3;

const here = dirname(fileURLToPath(import.meta.url));
const check = process.argv.includes("--check");

// What is published: contract → source file.
const contracts = {
  InvoiceEscrow: "InvoiceEscrow.sol",
  Purse: "Purse.sol",
  SettlementGate: "SettlementGate.sol",
  MintGate: "MintGate.sol",
  FloatGate: "FloatGate.sol",
  ReserveToken: "ReserveToken.sol",
  Governance: "Governance.sol",
  TestUSDC: "TestUSDC.sol",
  TestUSDCProxy: "TestUSDC.sol",
};

// Safe's own contracts as their makers built them, so that they have the addresses that Safe has on other chains.
const safe = join(here, "..", "node_modules", "@safe-global", "safe-smart-account", "build", "artifacts", "contracts");
const safeContracts = {
  Safe: "Safe.sol",
  SafeProxyFactory: join("proxies", "SafeProxyFactory.sol"),
};

// The deployer that exists at this address on every chain (or can be brought there by anyone), and our salt.
const deployer = "0x4e59b44847b379578588920ca78fbf26c0b4956c";
const salt = "0x" + "0".repeat(64);

const platform = { linux: "linux-amd64", darwin: "darwin-arm64", win32: "win32-amd64" }[process.platform];

/** The path of a Foundry tool: the one `npm ci` installed, else whatever is on PATH. */
function tool(name) {
  const suffix = process.platform === "win32" ? ".exe" : "";
  const installed = join(here, "..", "node_modules", "@foundry-rs", `${name}-${platform}`, "bin", name + suffix);
  return existsSync(installed) ? installed : name;
}

function run(name, args, input) {
  const result = spawnSync(tool(name), args, { cwd: here, encoding: "utf8", input, maxBuffer: 1 << 26 });
  if (result.error || result.status !== 0) {
    console.error(result.error ? `${name} is missing: run \`npm ci\` in the root of the repository.` : result.stderr);
    process.exit(1);
  }
  return result.stdout.trim();
}

run("forge", ["build", "--quiet"]);

let stale = 0;
function publish(name, value) {
  const path = join(here, "artifacts", `${name}.json`);
  const text = JSON.stringify(value, null, 2) + "\n";
  if (existsSync(path) && readFileSync(path, "utf8") === text) return;
  if (check) {
    console.error(`contracts/artifacts/${name}.json is not what the sources give: run contracts/artifacts.mjs`);
    stale += 1;
  } else {
    writeFileSync(path, text);
    console.log(`wrote artifacts/${name}.json`);
  }
}

const initCode = {};
for (const [contractName, source] of Object.entries(contracts)) {
  const out = JSON.parse(readFileSync(join(here, "out", source, `${contractName}.json`), "utf8"));
  initCode[contractName] = out.bytecode.object;
  publish(contractName, {
    contractName,
    abi: out.abi,
    bytecode: out.bytecode.object,
    deployedBytecode: out.deployedBytecode.object,
  });
}

for (const [contractName, source] of Object.entries(safeContracts)) {
  const { abi, bytecode, deployedBytecode } = JSON.parse(readFileSync(join(safe, source, `${contractName}.json`), "utf8"));
  publish(contractName, { contractName, abi, bytecode, deployedBytecode });
}

// EIP-1014. test/Deployment.t.sol checks both values in Solidity once more.
const keccak = (hex) => keccak256(Buffer.from(hex.replace(/^0x/, ""), "hex"));
const preimage = "ff" + deployer.slice(2) + salt.slice(2) + keccak(initCode.InvoiceEscrow);
publish("deployment", {
  deployer,
  salt,
  escrow: "0x" + keccak(preimage).slice(-40),
  purseInitCodeHash: "0x" + keccak(initCode.Purse),
});
process.exit(stale === 0 ? 0 : 1);
