#!/usr/bin/env node
// Each verb's tree names the tests of its branches. Fails when a tree names a test that does not exist, or when a
// verb's test stands in no branch.
import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const tests = join(here, "..", "test");
const namesIn = (path, pattern) => [...readFileSync(path, "utf8").matchAll(pattern)].map((match) => match[1]);
const testsOf = (verb) => new Set(namesIn(join(tests, `${verb}.t.sol`), /function (test\w+)\(/g));

let wrong = 0;
const complain = (text) => {
  console.error(text);
  wrong += 1;
};

for (const tree of readdirSync(here).filter((name) => name.endsWith(".tree"))) {
  const verb = basename(tree, ".tree");
  const own = testsOf(verb);
  const named = new Set();
  for (const line of readFileSync(join(here, tree), "utf8").split("\n")) {
    const match = line.match(/(?:(\w+): )?\b(test\w+)$/);
    if (!match) continue;
    const [, elsewhere, test] = match;
    if (!(elsewhere ? testsOf(elsewhere) : own).has(test)) complain(`trees/${tree}: there is no ${test}`);
    named.add(test);
  }
  for (const test of own) if (!named.has(test)) complain(`test/${verb}.t.sol: ${test} stands in no branch of its tree`);
}
process.exit(wrong === 0 ? 0 : 1);
