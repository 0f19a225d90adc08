/**
 * The engines that Pagewright is compared with: dev dependencies of this directory alone, with versions that its lockfile names. They
 * are installed when a benchmark asks for them, without install scripts: what is compiled comes with the packages.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const BENCH = new URL('../', import.meta.url);

/** Installs what the lockfile names, if that was not done. Returns whether it is there. */
export function installPeers() {
  if (!needsInstall()) return true;
  console.log('Installing what bench/package-lock.json names …');
  // npm is a script beside Node.js; through a shell it is found on every system.
  const { status } = spawnSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: fileURLToPath(BENCH),
    stdio: 'inherit',
    shell: process.platform === 'win32',
  });
  return status === 0;
}

/** The version of an installed package. */
export function versionOf(name) {
  return JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, BENCH), 'utf8')).version;
}

function needsInstall() {
  const installed = new URL('node_modules/.package-lock.json', BENCH);
  if (!existsSync(installed)) return true;
  return statSync(installed).mtimeMs < statSync(new URL('package-lock.json', BENCH)).mtimeMs;
}
