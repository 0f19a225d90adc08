// `npm run build:native`: builds the native parts of all packages that have one, as far as the toolchains at hand allow, and says what was left out
// and what that costs. Nothing needs them: what is not built is done by Node.js alone.
//
// A package with a native part brings `native/build.mjs`, whose `build({ force })` returns, or promises,
//   { name, outcome: 'built' | 'current' | 'left out' | 'failed', detail, cost }
// `current` is what was built of the same sources before, and takes no time; `left out` is for want of a tool, or on a system that the part is not
// for; `failed` is an error of ours. `detail` is a file or a reason, `cost` what it means to be without.
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Builds all there is. Returns what became of each. */
export async function buildNative({ force = false } = {}) {
  const outcomes = [];
  for (const name of readdirSync(join(root, 'packages')).sort()) {
    const program = join(root, 'packages', name, 'native', 'build.mjs');
    if (!existsSync(program)) continue;
    const { build } = await import(pathToFileURL(program).href);
    if (build !== undefined) outcomes.push(await build({ force }));
  }
  return outcomes;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const quiet = process.argv.includes('--quiet');
  const outcomes = await buildNative({ force: process.argv.includes('--force') });
  for (const { name, outcome, detail, cost } of outcomes) {
    if (outcome === 'built') console.log(`${name}: native part built (${detail}).`);
    else if (outcome === 'current') {
      if (!quiet) console.log(`${name}: native part is there (${detail}).`);
    } else console.log(`${name}: native part ${outcome}: ${detail}\n  Without it: ${cost}`);
  }
  // Tests run without what could not be built; who asked for it wants to know.
  if (!quiet && outcomes.some(({ outcome }) => outcome === 'failed')) process.exitCode = 1;
}
