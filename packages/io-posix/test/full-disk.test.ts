import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { ProgramFolder } from './addon-processes.js';
import { endAll, startBy, tell } from './holder.js';
import { byAddon, byNode } from './subjects.js';

let directory: string;
let name: string;
let programs: ProgramFolder;
let program: string;

beforeAll(async () => {
  programs = new ProgramFolder();
  program = await programs.bundled('holder-program.ts');
});
afterAll(() => {
  programs.remove();
});
beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'pagewright-io-'));
  name = path.join(directory, 'store.pw');
});
afterEach(async () => {
  await endAll();
  fs.rmSync(directory, { recursive: true, force: true });
});

for (const { name: by, left } of [byNode, byAddon]) {
  const args = by === byAddon.name ? ['addon'] : [];

  test.for([
    'fill',
    'write',
  ] as const)(`a file size limit is PW_FULL, and what fitted is in the file: %s by ${by}`, async (command, {
    skip,
  }) => {
    skip(left !== undefined, left);
    skip(process.platform === 'win32', 'needs ulimit');
    const filled = await startBy('ulimit -f 64 && exec "$@"', program, name, { args });
    expect(await tell(filled, command)).toMatchObject({ outcome: 'PW_FULL', details: { errno: 'EFBIG', path: name } });
    expect([64 * 512, 64 * 1024]).toContain(fs.statSync(name).size); // shells count in blocks of either size
  });

  test.for(['fill', 'write'] as const)(`a full file system is PW_FULL: %s by ${by}`, async (command, { skip }) => {
    skip(left !== undefined, left);
    skip(!canMount(), 'needs user namespaces, to mount a file system');
    const mounted = `mount -t tmpfs -o size=1m none '${directory}' && exec "$@"`;
    const filled = await startBy(mounted, program, name, { wrapper: ['unshare', '-rm'], args });
    expect(await tell(filled, command)).toMatchObject({ outcome: 'PW_FULL', details: { errno: 'ENOSPC', path: name } });
  });
}

/** Whether this user may mount a file system that only a process of its own sees. */
function canMount(): boolean {
  if (process.platform !== 'linux') return false;
  return spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'none', os.tmpdir()]).status === 0;
}
