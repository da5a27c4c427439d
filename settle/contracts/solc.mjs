#!/usr/bin/env node
// For programs that run a `solc`: `--version`, and `--standard-json` from stdin. `--all` writes the standard JSON of every
// contract, which an analyser reads (`make analyse`).
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { compile, here, input, read, version } from './compiler.mjs';

const outputs = { '*': { '*': ['abi', 'metadata', 'devdoc', 'userdoc', 'evm.bytecode', 'evm.deployedBytecode'], '': ['ast'] } };
const asked = process.argv;
if (asked.includes('--version')) {
  console.log(`solc, the solidity compiler commandline interface\nVersion: ${version}`);
} else if (asked.includes('--all')) {
  const paths = new Set(readdirSync(join(here, 'src')).filter((f) => f.endsWith('.sol')).map((f) => `src/${f}`));
  for (const path of paths) {
    for (const [, to] of read(path).matchAll(/^import\s[^"';]*["']([^"']+)["']/gm)) paths.add(to.startsWith('.') ? join(path, '..', to) : to);
  }
  console.log(JSON.stringify(input([...paths].sort(), outputs)));
} else {
  process.stdout.write(compile(readFileSync(0, 'utf8')));
}
