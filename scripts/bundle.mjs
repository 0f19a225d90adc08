// Puts each package that was built into as few files as it has ways in: `bundle/`, which is what users load. What `tsc` makes, a file for each module, stays what the tests of a package's insides run.
// Why: docs/decisions/0031-published-in-one-piece.md. Names of packages as arguments, or none for all; what has not changed is left as it is.
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { rolldown } from 'rolldown';
import { root } from './set-up.mjs';

const PACKAGES = join(root, 'packages');
const BUILT = './dist/';
const BUNDLED = './bundle/';
/** How a module names a program that it has a thread run, or has another thread load. */
const PROGRAM = /new URL\('\.\/([\w-]+)\.js', import\.meta\.url\)/g;
/** Says of what a bundle was made. */
const STAMP = '.stamp';

async function bundlePackages(names) {
  for (const name of names) {
    const directory = join(PACKAGES, name);
    const manifest = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
    const entries = entriesOf(manifest);
    if (entries.size > 0) await bundle(directory, entries);
  }
}

/** The modules that a package lets others import, and that it chooses among itself, without their ending, if what others get is bundled. */
function entriesOf({ exports, imports = {} }) {
  const files = [...Object.values(exports), ...Object.values(imports)].flatMap((entry) => Object.values(entry));
  const bundled = files.filter((file) => file.startsWith(BUNDLED));
  return new Set(bundled.map((file) => file.slice(BUNDLED.length, -'.js'.length)));
}

async function bundle(directory, entries) {
  const built = join(directory, BUILT);
  const bundled = join(directory, BUNDLED);
  const modules = readdirSync(built, { recursive: true }).filter((file) => file.endsWith('.js'));
  const stamp = modules.map((file) => `${file} ${statSync(join(built, file)).mtimeMs}`).join('\n');
  const stampFile = join(bundled, STAMP);
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return;
  const inputs = [...entries, ...programsOf(built, modules)];
  // Half a bundle has no stamp.
  rmSync(bundled, { recursive: true, force: true });
  const build = await rolldown({
    input: Object.fromEntries(inputs.map((entry) => [entry, join(built, `${entry}.js`)])),
    platform: 'node',
    // Other packages are loaded by their names: there is one copy of each in a process, whoever imports it.
    external: (name) => !name.startsWith('.') && !name.startsWith('/') && !/^[a-z]:/i.test(name),
    plugins: [{ name: 'maps-of-what-is-built', load: withItsMap }],
    onwarn: (warning) => {
      throw new Error(`${relative(root, directory)} cannot be bundled: ${warning.message}`);
    },
  });
  try {
    // What is shared lies beside the ways in, so that a URL from a module leads to the same place; and classes keep the names that messages tell.
    await build.write({
      dir: bundled,
      format: 'esm',
      sourcemap: true,
      keepNames: true,
      entryFileNames: '[name].js',
      chunkFileNames: '[name]-[hash].js',
    });
  } finally {
    await build.close();
  }
  writeFileSync(stampFile, stamp);
}

/** A built module with its source map: the bundle's leads back to the sources. */
function withItsMap(file) {
  return { code: readFileSync(file, 'utf8'), map: readFileSync(`${file}.map`, 'utf8') };
}

/** Programs that the modules of a package name by their URL. A bundle has them at its top, as what is built does. */
function programsOf(built, modules) {
  const programs = new Set();
  for (const module of modules) {
    for (const [, program] of readFileSync(join(built, module), 'utf8').matchAll(PROGRAM)) {
      if (module.includes('/') || !modules.includes(`${program}.js`)) {
        throw new Error(`${module} names ./${program}.js, which a bundle could not have in the same place.`);
      }
      programs.add(program);
    }
  }
  return programs;
}

const named = process.argv.slice(2);
await bundlePackages(named.length > 0 ? named : readdirSync(PACKAGES));
