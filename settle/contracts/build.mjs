// Compiles the contracts and writes one artefact each: ABI, bytecode, one hash over every source that went in, and one for
// each of our own, which can be compared where the libraries are not installed.
// `node build.mjs [NAME …] [--from FOLDER] [--out FOLDER]`; without names, all that the folder has. `src` goes to
// ../artifacts; what only tests deploy is in `test` and stays there.
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { compile, here, input, read, version } from './compiler.mjs';

const names = process.argv.slice(2);
const option = (flag) => (names.includes(flag) ? names.splice(names.indexOf(flag), 2)[1] : undefined);
const from = option('--from') ?? 'src';
const out = resolve(option('--out') ?? join(here, from === 'src' ? '../artifacts' : from));
if (!names.length) names.push(...readdirSync(join(here, from)).filter((f) => f.endsWith('.sol')).map((f) => f.slice(0, -4)).sort());

const sha256 = (text) => createHash('sha256').update(text).digest('hex');
mkdirSync(out, { recursive: true });
let failed = false;
for (const name of names) {
  const root = `${from}/${name}.sol`;
  const used = new Map([[root, read(root)]]);
  const outputs = { [root]: { [name]: ['abi', 'evm.bytecode.object', 'evm.deployedBytecode.object'] } };
  const result = JSON.parse(compile(JSON.stringify(input([root], outputs)), (path, text) => used.set(path, text)));
  for (const note of result.errors ?? []) {
    if (note.severity === 'warning' && note.sourceLocation?.file.startsWith('@')) continue; // a library's own matter
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
  const paths = [...used.keys()].sort();
  const sources = sha256(paths.map((path) => `${path}\0${used.get(path)}\0`).join(''));
  const own = Object.fromEntries(paths.filter((path) => !path.startsWith('@')).map((path) => [path, sha256(used.get(path))]));
  const artefact = { name, compiler: version, sources, own, abi: made.abi, bytecode: '0x' + made.evm.bytecode.object };
  writeFileSync(join(out, `${name}.json`), JSON.stringify(artefact, null, 1) + '\n');
  console.log(`${name}: ${size} bytes of code`);
}
process.exit(failed ? 1 : 0);
