// Builds the native part of this package into `native/target/`, with the Rust toolchain at hand. One build serves all versions of Node.js.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const NAME = '@pagewright/io-uring';
const COST =
  'files on Linux are reached by the next backend: a system call for each transfer, or threads; the tests of this package are skipped.';
const LEAST_RUST = [1, 88];
const MOST_OUTPUT = 4000;

/** See scripts/build-native.mjs. `target` is one of Rust's names of systems, for another than this one. */
export function build({ force = false, target, output = join(here, 'target', 'io-uring.node') } = {}) {
  const outcome = (what, detail) => ({ name: NAME, outcome: what, detail, cost: COST });
  if (process.platform !== 'linux') return outcome('left out', 'io_uring is for Linux.');
  const version = spawnSync('rustc', ['--version'], { cwd: here, encoding: 'utf8' });
  if (version.status !== 0 || spawnSync('cargo', ['--version'], { cwd: here }).status !== 0) {
    return outcome('left out', 'there is no Rust toolchain (rustc, cargo).');
  }
  const [major, minor] = (/(\d+)\.(\d+)/.exec(version.stdout) ?? []).slice(1).map(Number);
  if (!(major > LEAST_RUST[0] || (major === LEAST_RUST[0] && minor >= LEAST_RUST[1]))) {
    return outcome('left out', `${version.stdout.trim()} is older than Rust ${LEAST_RUST.join('.')}.`);
  }

  const hash = createHash('sha256').update(JSON.stringify([version.stdout, target ?? null]));
  for (const file of ['Cargo.toml', 'Cargo.lock', 'build.rs', ...sourcesIn('src')]) {
    hash.update(file).update(readFileSync(join(here, file)));
  }
  const wanted = hash.digest('hex');
  const hashFile = `${output}.sha256`;
  const isCurrent = existsSync(output) && existsSync(hashFile) && readFileSync(hashFile, 'utf8') === wanted;
  if (isCurrent && !force) return outcome('current', output);

  const forTarget = target === undefined ? [] : ['--target', target];
  const fetched = cargo(['fetch', '--locked', ...forTarget]);
  if (fetched.status !== 0) {
    return outcome(
      'left out',
      `the crates that it is made of could not be had.\n${fetched.stderr.slice(-MOST_OUTPUT)}`,
    );
  }
  const built = cargo(['build', '--release', '--locked', '--offline', ...forTarget]);
  if (built.status !== 0) return outcome('failed', `cargo failed.\n${built.stderr.slice(-MOST_OUTPUT)}`);

  mkdirSync(dirname(output), { recursive: true });
  // Under another name first: another process may have the addon loaded, or be building it.
  const unfinished = `${output}.${process.pid}`;
  copyFileSync(join(here, 'target', target ?? '.', 'release', 'libpagewright_io_uring.so'), unfinished);
  renameSync(unfinished, output);
  writeFileSync(hashFile, wanted);
  return outcome('built', output);
}

function cargo(args) {
  const env = { ...process.env, CARGO_TARGET_DIR: join(here, 'target') };
  const { status, stderr, error } = spawnSync('cargo', args, { cwd: here, env, encoding: 'utf8' });
  return { status, stderr: stderr ?? String(error) };
}

function sourcesIn(folder) {
  return readdirSync(join(here, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(here.length + 1))
    .sort();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const at = process.argv.indexOf('--target');
  const target = at < 0 ? {} : { target: process.argv[at + 1] };
  const { outcome, detail } = build({ force: process.argv.includes('--force'), ...target });
  console.log(`${NAME}: ${outcome}: ${detail}`);
  if (outcome === 'failed') process.exitCode = 1;
}
