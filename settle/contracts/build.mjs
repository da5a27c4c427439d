// Compiles the contracts with the compiler of package.json and writes one artefact each: ABI, bytecode, and the hash of
// every source that went in. `node build.mjs [NAME …] [--out FOLDER]`; without names, all that src/ has.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const solc = createRequire(import.meta.url)('solc');
const here = dirname(fileURLToPath(import.meta.url));
const given = process.argv.slice(2);
const at = given.indexOf('--out');
const out = at < 0 ? join(here, '..', 'artifacts') : resolve(given.splice(at, 2)[1]);
const names = given.length ? given : readdirSync(join(here, 'src')).filter((f) => f.endsWith('.sol')).map((f) => f.slice(0, -4)).sort();

const read = (path) => readFileSync(path.startsWith('@') ? join(here, 'node_modules', path) : join(here, path), 'utf8');
mkdirSync(out, { recursive: true });
let failed = false;
for (const name of names) {
  const root = `src/${name}.sol`;
  const used = new Map();
  const load = (path) => {
    try {
      const contents = read(path);
      used.set(path, contents);
      return { contents };
    } catch {
      return { error: `there is no ${path}` };
    }
  };
  const input = {
    language: 'Solidity',
    sources: { [root]: { content: load(root).contents } },
    settings: {
      evmVersion: 'cancun',
      viaIR: true,
      optimizer: { enabled: true, runs: 10_000 },
      metadata: { bytecodeHash: 'none', appendCBOR: false },
      outputSelection: { [root]: { [name]: ['abi', 'evm.bytecode.object', 'evm.deployedBytecode.object'] } },
    },
  };
  const result = JSON.parse(solc.compile(JSON.stringify(input), { import: load }));
  for (const note of result.errors ?? []) {
    console.error(note.formattedMessage);
    failed ||= note.severity === 'error';
  }
  const made = result.contracts?.[root]?.[name];
  if (!made) continue;
  const size = made.evm.deployedBytecode.object.length / 2;
  if (size > 24_576) {
    console.error(`${name}: ${size} bytes of code, a chain takes 24,576`);
    failed = true;
  }
  const sources = createHash('sha256');
  for (const path of [...used.keys()].sort()) sources.update(`${path}\0${used.get(path)}\0`);
  const artefact = { name, compiler: solc.version(), sources: sources.digest('hex'), abi: made.abi, bytecode: '0x' + made.evm.bytecode.object };
  writeFileSync(join(out, `${name}.json`), JSON.stringify(artefact, null, 1) + '\n');
  console.log(`${name}: ${size} bytes of code`);
}
process.exit(failed ? 1 : 0);
