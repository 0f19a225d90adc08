/** A whole engine on io_uring: two threads write, the process is killed, and what was acknowledged is there. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ioUring, UringFiles } from '@pagewright/io-uring';
import { Random } from '@pagewright/testkit';
import { open } from 'pagewright';
import { expect, it } from 'vitest';

const PROGRAM = fileURLToPath(new URL('./programs/uring-writer.mjs', import.meta.url));
const SEED = Number(process.env.URING_SEED ?? Date.now() % 2 ** 31);
const ROUNDS = Number(process.env.URING_KILLS ?? 2);

const probed = new UringFiles().probe();

/** Writes until this many numbers are acknowledged, and is killed. Returns how far each row was acknowledged. */
async function written(path: string, mode: string, lines: number): Promise<[number, number]> {
  const child = spawn(process.execPath, [PROGRAM, 'write', path, mode], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  let output = '';
  for await (const text of child.stdout.setEncoding('utf8')) {
    output += text;
    if (output.split('\n').length > lines) break;
  }
  child.kill('SIGKILL');
  const [code, signal] = await exited;
  expect([code, signal]).toEqual([null, 'SIGKILL']);
  const rows: [number, number] = [0, 0];
  for (const line of output.split('\n').slice(0, -1)) {
    const [number, key] = line.split(' ').map(Number) as [0 | 1, number];
    rows[number] = key;
  }
  return rows;
}

for (const mode of ['cached', 'direct'] as const) {
  it(`keeps what two threads wrote, over ${ROUNDS} kills of their process (${mode}, seed ${SEED})`, async ({
    skip,
  }) => {
    skip(!probed.supported, probed.reason);
    const random = new Random(SEED).fork(mode);
    const directory = fs.mkdtempSync(join(os.tmpdir(), 'pagewright-uring-'));
    const path = join(directory, 'app.pw');
    skip(
      mode === 'direct' && !hasDirect(directory),
      'the file system of the temporary directory has no direct transfers',
    );
    try {
      for (let round = 0; round < ROUNDS; round++) {
        const acknowledged = await written(path, mode, random.between(20, 120));
        const { stdout, stderr } = spawnSync(process.execPath, [PROGRAM, 'read', path, mode], { encoding: 'utf8' });
        expect(stderr, `seed ${SEED}`).toBe('');
        const { io, rows, ok } = JSON.parse(stdout) as { io: string; rows: [number, number]; ok: boolean };
        expect([io, ok], `seed ${SEED}, round ${round}`).toEqual(['@pagewright/io-uring', true]);
        for (const number of [0, 1] as const) {
          expect(rows[number], `seed ${SEED}, round ${round}: row ${number}`).toBeGreaterThanOrEqual(
            acknowledged[number],
          );
        }
      }
    } finally {
      fs.rmSync(directory, { recursive: true, force: true });
    }
  });
}

it('leaves nothing in the page cache of what it writes past it: pages that are evicted, checkpoints, and a file that grows', async ({
  skip,
}) => {
  skip(!probed.supported, probed.reason);
  const directory = fs.mkdtempSync(join(os.tmpdir(), 'pagewright-uring-'));
  const path = join(directory, 'app.pw');
  try {
    skip(!hasDirect(directory), 'the file system of the temporary directory has no direct transfers');
    fs.writeFileSync(path, '');
    skip(pagesInCache(path) === null, 'needs fincore, of util-linux');
    const db = await open(path, { memory: '8MiB', io: ioUring({ direct: true }) });
    const random = new Random(SEED).fork('page cache');
    try {
      const index = await db.index('values', { key: 'u32', value: 'buffer' });
      const value = new Uint8Array(600).fill(7);
      for (let batch = 0; batch < 40; batch++)
        await db.batch(
          Array.from({ length: 1000 }, () => ({ type: 'put' as const, index, key: random.below(2 ** 31), value })),
        );
      await db.checkpoint();
      const { size } = fs.statSync(path);
      expect(size).toBeGreaterThan(24 * 2 ** 20);
      // Superblocks and maps are: a few pages.
      expect(pagesInCache(path), `pages of 4 KiB of ${size} bytes, seed ${SEED}`).toBeLessThan(size / 4096 / 20);
    } finally {
      await db.close();
    }
  } finally {
    fs.rmSync(directory, { recursive: true, force: true });
  }
});

/** Pages of the file that the system has in memory. Null if there is nobody to ask. */
function pagesInCache(path: string): number | null {
  const { status, stdout } = spawnSync('fincore', ['--noheadings', '--output', 'PAGES', path], { encoding: 'utf8' });
  return status === 0 ? Number(stdout) : null;
}

function hasDirect(directory: string): boolean {
  const probe = join(directory, 'direct');
  try {
    fs.closeSync(fs.openSync(probe, fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_DIRECT));
    return true;
  } catch {
    return false;
  } finally {
    fs.rmSync(probe, { force: true });
  }
}
