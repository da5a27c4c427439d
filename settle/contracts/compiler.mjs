// The compiler of package.json, and how it is told to compile. Paths are relative to here, or a library's ("@…").
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const solc = createRequire(import.meta.url)('solc');
export const here = dirname(fileURLToPath(import.meta.url));
export const version = solc.version();

/** A source's text; undefined where there is none. */
export function read(path) {
  try {
    return readFileSync(path.startsWith('@') ? join(here, 'node_modules', path) : join(here, path), 'utf8');
  } catch {
    return undefined;
  }
}

/** What the compiler is to make of the sources at `paths`; `outputs` is its `outputSelection`. */
export const input = (paths, outputs) => ({
  language: 'Solidity',
  sources: Object.fromEntries(paths.map((path) => [path, { content: read(path) }])),
  settings: {
    evmVersion: 'cancun',
    viaIR: true,
    optimizer: { enabled: true, runs: 10_000 },
    metadata: { bytecodeHash: 'none', appendCBOR: false },
    outputSelection: outputs,
  },
});

/** The compiler's answer, in standard JSON as its input is. `seen` is told of every source that was imported. */
export function compile(json, seen = () => {}) {
  const load = (path) => {
    const contents = read(path);
    if (contents === undefined) return { error: `there is no ${path}` };
    seen(path, contents);
    return { contents };
  };
  return solc.compile(json, { import: load });
}
