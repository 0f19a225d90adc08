// Makes a fresh checkout ready: installs what the lockfile names if that was not done, then builds what has changed.
// Node.js is all that it needs.
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const LEAST_NODE = [20, 19];

/** Runs a command in the root of the checkout; ends this process with its exit code if it fails. */
export function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

export function setUp() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < LEAST_NODE[0] || (major === LEAST_NODE[0] && minor < LEAST_NODE[1])) {
    console.error(`Pagewright needs Node.js ${LEAST_NODE.join('.')} or newer; this is ${process.versions.node}.`);
    process.exit(1);
  }
  if (needsInstall()) {
    console.log('Installing what package-lock.json names …');
    // npm is a script beside Node.js; through a shell it is found on every system.
    run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], { shell: process.platform === 'win32' });
  }
  run(process.execPath, [join('node_modules', 'typescript', 'bin', 'tsc'), '-b']);
  run(process.execPath, [join('scripts', 'bundle.mjs')]);
  // Quick when nothing has changed, and no failure of ours if there are no tools for it.
  run(process.execPath, [join('scripts', 'build-native.mjs'), '--quiet']);
}

function needsInstall() {
  const installed = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(installed)) return true;
  return statSync(installed).mtimeMs < statSync(join(root, 'package-lock.json')).mtimeMs;
}
