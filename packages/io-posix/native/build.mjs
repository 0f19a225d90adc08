// Builds the addon of this package into `prebuilds/`, with the C++ compiler at hand and the headers of Node-API from npm: one build serves all
// versions of Node.js. `CXX` names another compiler.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const NAME = '@pagewright/io-posix';
const COST =
  'files are read and written through the threads of libuv, 4 for the whole process, one promise and one turn of the event loop for each transfer; no direct I/O.';
const MOST_OUTPUT = 4000;

/** See scripts/build-native.mjs. With `sanitize` it is built with AddressSanitizer, into `directory`. */
export function build({ force = false, sanitize = false, directory = join(here, '..', 'prebuilds', target()) } = {}) {
  const leftOut = (detail) => ({ name: NAME, outcome: 'left out', detail, cost: COST });
  if (process.platform === 'win32') return leftOut('it is for POSIX systems.');
  const compiler = process.env.CXX || 'c++';
  const found = spawnSync(compiler, ['--version'], { encoding: 'utf8' });
  if (found.status !== 0) return leftOut(`there is no C++ compiler (${compiler}).`);
  const headers = headerFolders();
  if (headers === null) return leftOut('the headers of Node-API are not installed (node-api-headers, node-addon-api).');

  const sources = join(here, 'src');
  const files = readdirSync(sources).sort();
  const options = [
    ...['-std=c++17', '-fPIC', '-fvisibility=hidden', '-pthread', '-Wall', '-Wextra', '-Werror'],
    ...['-D_GNU_SOURCE', '-DNAPI_VERSION=8', '-DNODE_ADDON_API_DISABLE_CPP_EXCEPTIONS'],
    ...(sanitize ? ['-O1', '-g', '-fsanitize=address', '-fno-omit-frame-pointer'] : ['-O2']),
    ...(process.platform === 'darwin' ? ['-bundle', '-undefined', 'dynamic_lookup'] : ['-shared']),
    // So that it loads where the C++ library is older, or not there.
    ...(process.platform === 'linux' && !sanitize ? ['-static-libstdc++', '-static-libgcc'] : []),
  ];
  const hash = createHash('sha256').update(JSON.stringify([options, found.stdout, headers.versions]));
  for (const file of files) hash.update(file).update(readFileSync(join(sources, file)));
  const wanted = hash.digest('hex');

  const output = join(directory, 'io-posix.node');
  const hashFile = `${output}.sha256`;
  const current = existsSync(output) && existsSync(hashFile) && readFileSync(hashFile, 'utf8') === wanted;
  if (current && !force) return { name: NAME, outcome: 'current', detail: output, cost: COST };

  mkdirSync(directory, { recursive: true });
  // Under another name first: another process may have the addon loaded, or be building it.
  const unfinished = `${output}.${process.pid}`;
  const compiled = spawnSync(
    compiler,
    [
      ...options,
      ...headers.folders.flatMap((folder) => ['-isystem', folder]),
      ...files.filter((file) => file.endsWith('.cpp')).map((file) => join(sources, file)),
      ...['-o', unfinished],
    ],
    { encoding: 'utf8' },
  );
  if (compiled.status !== 0) {
    rmSync(unfinished, { force: true });
    const detail = `${compiler} failed.\n${(compiled.stderr ?? String(compiled.error)).slice(0, MOST_OUTPUT)}`;
    return { name: NAME, outcome: 'failed', detail, cost: COST };
  }
  renameSync(unfinished, output);
  writeFileSync(hashFile, wanted);
  return { name: NAME, outcome: 'built', detail: output, cost: COST };
}

/** The folder of `prebuilds/` for this system; musl has one of its own. */
export function target() {
  const libc = process.platform === 'linux' && !process.report.getReport().header.glibcVersionRuntime ? '-musl' : '';
  return `${process.platform}-${process.arch}${libc}`;
}

function headerFolders() {
  const { resolve } = createRequire(import.meta.url);
  try {
    const packages = ['node-api-headers', 'node-addon-api'].map((name) => resolve(`${name}/package.json`));
    return {
      folders: [join(dirname(packages[0]), 'include'), dirname(packages[1])],
      versions: packages.map((file) => JSON.parse(readFileSync(file, 'utf8')).version),
    };
  } catch {
    return null;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { outcome, detail } = build({ force: process.argv.includes('--force') });
  console.log(`${NAME}: ${outcome}: ${detail}`);
  if (outcome === 'failed') process.exitCode = 1;
}
