/**
 * A backup is the store as it was after one commit, whatever goes on meanwhile: it opens by itself, is sound, can be written to, and is as
 * small as what is in it. Whatever ends it early leaves nothing at its path, and the store unharmed.
 *
 * `BACKUP_SEED` repeats a run of the random tests.
 */
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { type BackupProgress, type Engine, isPagewrightError } from '@pagewright/core';
import { type DiskOperation, dropAll, ioError, keepAll, Random, SimulatedDevice } from '@pagewright/testkit';
import { open } from 'pagewright';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type EngineChoice, engineOn } from './engine-on.js';
import { PageFileSurgery } from './page-file-surgery.js';

const PATH = '/store/original.pw';
const COPY = '/store/copy.pw';
const PART = `${COPY}.pw-part`;
const SMALL: EngineChoice = { pageSize: 4096, memory: 2 ** 18 };
const SEED = Number(process.env.BACKUP_SEED ?? Date.now() % 2 ** 31);

/** Small and large entries in several indexes, and holes where some were deleted: a megabyte for a scale of 1. */
async function fill(db: Engine, scale = 1): Promise<void> {
  const users = await db.index('users');
  const files = await db.index('files', { key: 'u32', value: 'buffer' });
  await db.index('empty');
  const puts: Promise<void>[] = [];
  for (let i = 0; i < 2000 * scale; i++) puts.push(users.put(`user/${i * 7919}`, { i, text: 'x'.repeat(i % 90) }));
  for (let i = 0; i < 90 * scale; i++) puts.push(files.put(i, Buffer.alloc((i % 30) * 540, i)));
  await Promise.all(puts);
  for (let i = 0; i < 100; i++) await users.delete(`user/${i * 7919}`);
}

/** All that is in a store, in one text. */
function contentOf(db: Engine, entries = new Map<string, unknown>()): string {
  return JSON.stringify([db.indexes(), ...entries]);
}

async function readAll(db: Engine): Promise<string> {
  const entries = new Map<string, unknown>();
  for (const { name } of db.indexes()) {
    const index = await db.index<unknown, unknown>(name);
    for (const [key, value] of index.rangeSync()) {
      entries.set(
        `${name} ${String(key)}`,
        value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value,
      );
    }
  }
  return contentOf(db, entries);
}

async function verified(db: Engine): Promise<Engine> {
  const { problems } = await db.verify();
  expect(problems).toEqual([]);
  return db;
}

const put = async (db: Engine, key: string, value: unknown): Promise<void> => (await db.index('users')).put(key, value);

/** Bytes that are kept for someone after two checkpoints more, in which a little changes. */
async function retainedAfterwards(db: Engine): Promise<number> {
  for (let i = 0; i < 3; i++) {
    await put(db, 'a little', i);
    await db.checkpoint();
  }
  return db.stats().pages.retainedFileBytes;
}

afterEach(() => {
  vi.useRealTimers();
});

describe('a backup', () => {
  for (const pageSize of [4096, 8192, 16_384, 32_768, 65_536]) {
    it(`has what the store has, in pages of ${pageSize} bytes, and lives on by itself`, async () => {
      const disk = new SimulatedDevice();
      const choice = { pageSize, memory: 64 * pageSize };
      const db = await engineOn(disk, PATH, choice);
      await fill(db);
      const content = await readAll(db);
      const report = await db.backup(COPY);
      expect(report).toMatchObject({ path: COPY, bytes: disk.contentOf(COPY).length });
      expect(report.durationMs).toBeGreaterThan(0);
      await put(db, 'later', 1);
      await db.close();

      const copy = await verified(await engineOn(disk, COPY, choice));
      expect(copy.recovered).toMatchObject({ records: 0, ignoredLog: false });
      expect(await readAll(copy)).toBe(content);
      await put(copy, 'own', 2);
      await fill(copy);
      await copy.checkpoint();
      await verified(copy);
      await copy.close();
      const again = await verified(await engineOn(disk, COPY, choice));
      expect((await again.index('users')).getSync('own')).toBe(2);
      await again.close();
    });
  }

  it('of a store that has just been created is one that is as empty', async () => {
    const disk = new SimulatedDevice();
    const db = await engineOn(disk, PATH, SMALL);
    const { bytes } = await db.backup(COPY);
    expect(bytes).toBeLessThanOrEqual(8 * 4096);
    const copy = await verified(await engineOn(disk, COPY, SMALL));
    expect(copy.indexes()).toEqual([]);
    await put(copy, 'first', 1);
    await copy.close();
    await db.close();
  });

  it('has values that are larger than what it writes at a time', async () => {
    const disk = new SimulatedDevice();
    const choice = { pageSize: 4096, memory: '64MiB' as never };
    const db = await engineOn(disk, PATH, { ...choice, segmentSize: '16MiB' });
    const blobs = await db.index('blobs', { key: 'u32', value: 'buffer' });
    const sizes = [3, 2_000_000, 100, 600_000, 0, 5000, 3_900_000, 9000, 70_000, 100, 1_000_000];
    for (const [key, size] of sizes.entries()) await blobs.put(key, Buffer.alloc(size, key + 1));
    const content = await readAll(db);
    await db.backup(COPY);
    const copy = await verified(await engineOn(disk, COPY, choice));
    expect(await readAll(copy)).toBe(content);
    await copy.close();
    await db.close();
  });

  it('is as small as what is in it, however large the file of the store has grown', async () => {
    const disk = new SimulatedDevice();
    const db = await engineOn(disk, PATH, SMALL);
    await fill(db, 2);
    const users = await db.index('users');
    const files = await db.index('files');
    await users.clear();
    await files.clear();
    await put(db, 'what is left', 1);
    // What was cleared is given up little by little, between turns of the event loop.
    for (let turns = 0; turns < 500; turns++) await turn();
    const { bytes } = await db.backup(COPY);
    expect(disk.contentOf(PATH).length).toBeGreaterThan(1_000_000);
    expect(bytes).toBeLessThan(100_000);
    await fill(db, 2);
    const second = await db.backup(`${COPY}2`);
    const copy = await verified(await engineOn(disk, `${COPY}2`, SMALL));
    // Its pages, the superblocks, the map, and next to nothing that alignment has left over.
    const { pages, freeFileBytes } = { ...copy.stats().pages, pages: second.pages };
    expect(second.bytes).toBeGreaterThan(pages * 4096);
    expect(freeFileBytes).toBeLessThan(0.05 * second.bytes + 65_536);
    await copy.close();
    await db.close();
  });

  it(`has the same sum in all accounts while transactions move money, and all that came before the call (seed ${SEED})`, async () => {
    const random = new Random(SEED);
    const disk = new SimulatedDevice({ seed: SEED, schedule: {} });
    const db = await engineOn(disk, PATH, SMALL);
    const accounts = await db.index<number, { balance: number; pad: string }>('accounts', {
      key: 'u32',
      value: 'json',
    });
    const count = 800;
    for (let i = 0; i < count; i += 100) {
      const batch = Array.from({ length: 100 }, (_, at) => ({
        type: 'put' as const,
        key: i + at,
        value: { balance: 1000, pad: 'x'.repeat(700) },
      }));
      await accounts.batch(batch);
    }
    const log = await db.index<number, number>('log', { key: 'u32', value: 'json' });
    let transfers = 0;
    let over = false;
    const write = async (): Promise<void> => {
      while (!over) {
        await db.transaction((tx) => {
          const [from, to] = [random.below(count), random.below(count)];
          if (from === to) return;
          const amount = random.between(1, 50);
          const [a, b] = [tx.getSync(accounts, from)!, tx.getSync(accounts, to)!];
          tx.put(accounts, from, { ...a, balance: a.balance - amount });
          tx.put(accounts, to, { ...b, balance: b.balance + amount });
        });
        const number = ++transfers;
        await log.put(number, number);
      }
    };
    const writers = Array.from({ length: 6 }, write);
    for (let round = 0; round < 4; round++) {
      const known: number[] = [];
      for (const [key] of log.rangeSync()) known.push(key);
      // What is in the log now may not be durable yet; what was awaited before the call is.
      await log.put(1_000_000 + round, round);
      let during = 0;
      const before = transfers;
      const { timestamp } = await db.backup(`${COPY}${round}`, {
        onProgress: () => {
          during = transfers;
        },
      });
      expect(during).toBeGreaterThan(before);
      expect(timestamp).toBeGreaterThan(0);
      const copy = await verified(await engineOn(disk, `${COPY}${round}`, { ...SMALL, opening: { readOnly: true } }));
      let sum = 0;
      let entries = 0;
      for (const [, { balance }] of (await copy.index<number, { balance: number }>('accounts')).rangeSync()) {
        sum += balance;
        entries++;
      }
      expect([entries, sum], `seed ${SEED}, round ${round}`).toEqual([count, count * 1000]);
      const copied = await copy.index<number, number>('log');
      expect(copied.getSync(1_000_000 + round)).toBe(round);
      for (const key of known) expect(copied.hasSync(key), `seed ${SEED}, transfer ${key}`).toBe(true);
      await copy.close();
    }
    over = true;
    await Promise.all(writers);
    await verified(db);
    await db.close();
  });

  it('has none of what is committed after it began', async () => {
    const disk = new SimulatedDevice();
    const db = await engineOn(disk, PATH, SMALL);
    await fill(db);
    await put(db, 'state', 'before');
    const users = await db.index<string, unknown>('users');
    const content = await readAll(db);
    let rounds = 0;
    await db.backup(COPY, {
      onProgress: () => {
        for (let i = 0; i < 200; i++) db.transactionSync((tx) => tx.put(users, `user/${i * 7919}`, { rounds }));
        db.transactionSync((tx) => tx.put(users, 'state', 'after'));
        rounds++;
        void db.checkpoint();
      },
    });
    expect(rounds).toBeGreaterThan(2);
    const copy = await verified(await engineOn(disk, COPY, SMALL));
    expect(await readAll(copy)).toBe(content);
    await copy.close();
    await verified(db);
    await db.close();
  });

  it('reads what is in the file, and moves nothing in memory', async () => {
    const db = await engineOn(new SimulatedDevice(), PATH, { pageSize: 4096, memory: 2 ** 20 });
    await fill(db);
    await db.checkpoint();
    const before = db.stats().pages;
    await db.backup(COPY);
    const { pageReads, evictions, cooled, freeFrames } = db.stats().pages;
    expect({ pageReads, evictions, cooled, freeFrames }).toEqual({
      pageReads: before.pageReads,
      evictions: before.evictions,
      cooled: before.cooled,
      freeFrames: before.freeFrames,
    });
    await db.close();
  });

  it('is made of a store that was opened for reading, and changes nothing in it', async () => {
    const disk = new SimulatedDevice();
    const db = await engineOn(disk, PATH, SMALL);
    await fill(db);
    const content = await readAll(db);
    await db.close();
    const bytes = Buffer.from(disk.contentOf(PATH));
    const reader = await engineOn(disk, PATH, { ...SMALL, opening: { readOnly: true } });
    const { timestamp } = await reader.backup(COPY);
    expect(timestamp).toBeGreaterThan(2000);
    await reader.close();
    expect(bytes.equals(disk.contentOf(PATH))).toBe(true);
    const copy = await verified(await engineOn(disk, COPY, SMALL));
    expect(await readAll(copy)).toBe(content);
    await copy.close();
  });

  it('of a backup has the same content, and takes the same room', async () => {
    const disk = new SimulatedDevice();
    const db = await engineOn(disk, PATH, SMALL);
    await fill(db);
    const first = await db.backup(COPY);
    await db.close();
    const copy = await engineOn(disk, COPY, { ...SMALL, opening: { readOnly: true } });
    const second = await copy.backup(`${COPY}2`);
    expect({ ...second, path: '', durationMs: 0 }).toEqual({
      ...first,
      path: '',
      durationMs: 0,
      epoch: first.epoch + 1,
    });
    await copy.close();
    const again = await verified(await engineOn(disk, `${COPY}2`, SMALL));
    await again.close();
  });

  it('on a real file system opens with the default engine', async () => {
    const directory = fs.mkdtempSync(join(os.tmpdir(), 'pagewright-backup-'));
    try {
      const db = await open(join(directory, 'a.pw'));
      await fill(db);
      const content = await readAll(db);
      const copying = db.backup(join(directory, 'b.pw'), { bytesPerSecond: '1GiB' });
      await expect(db.backup(join(directory, 'b.pw'))).rejects.toMatchObject({ code: 'PW_LOCKED' });
      await copying;
      await expect(db.backup(join(directory, 'b.pw'))).rejects.toMatchObject({ code: 'PW_EXISTS' });
      await expect(db.backup(join(directory, 'missing', 'b.pw'))).rejects.toMatchObject({ code: 'PW_NOT_FOUND' });
      await expect(db.backup(directory)).rejects.toMatchObject({ code: 'PW_EXISTS' });
      await db.close();
      expect(fs.readdirSync(directory).sort()).toEqual(['a.pw', 'b.pw']);
      const copy = await verified(await open(join(directory, 'b.pw')));
      expect(await readAll(copy)).toBe(content);
      await copy.close();
    } finally {
      fs.rmSync(directory, { recursive: true, force: true });
    }
  });
});

describe('the log', () => {
  it('of the store is not replayed onto the copy when it lies beside it, and a backup is not written beside a log', async () => {
    const disk = new SimulatedDevice();
    const db = await engineOn(disk, PATH, SMALL);
    await put(db, 'key', 'before');
    await db.backup(COPY);
    await put(db, 'key', 'after');
    const crashed = disk.afterCrash(keepAll);
    for (const name of await crashed.list(`${PATH}-wal`)) {
      await crashed.makeDirectory(`${COPY}-wal`);
      crashed.put(`${COPY}-wal/${name}`, crashed.contentOf(`${PATH}-wal/${name}`));
    }
    const copy = await verified(await engineOn(crashed, COPY, SMALL));
    expect((await copy.index('users')).getSync('key')).toBe('before');
    await copy.close();

    const again = await engineOn(crashed, PATH, SMALL);
    expect((await again.index('users')).getSync('key')).toBe('after');
    await crashed.remove(COPY);
    await crashed.makeDirectory(`${COPY}-wal`);
    crashed.put(`${COPY}-wal/0000000a-00000001.log`, new Uint8Array(8192));
    await expect(again.backup(COPY)).rejects.toMatchObject({ code: 'PW_EXISTS', details: { log: `${COPY}-wal` } });
    expect(await crashed.exists(COPY)).toBe(false);
    await again.close();
  });
});

describe('a backup that does not come to its end', () => {
  /** A store that takes several batches to copy. */
  async function filled(disk = new SimulatedDevice()): Promise<Engine> {
    const db = await engineOn(disk, PATH, SMALL);
    await fill(db, 2);
    await db.checkpoint();
    return db;
  }

  async function expectUnharmed(db: Engine, disk: SimulatedDevice): Promise<void> {
    expect(await disk.exists(COPY)).toBe(false);
    expect(await disk.exists(PART)).toBe(false);
    expect(db.state).toBe('open');
    await verified(db);
    expect(await retainedAfterwards(db)).toBeLessThan(32 * 4096);
    await db.backup(COPY);
    await (await verified(await engineOn(disk, COPY, SMALL))).close();
    await db.close();
  }

  it('by its signal, half-way, leaves nothing', async () => {
    const disk = new SimulatedDevice();
    const db = await filled(disk);
    const controller = new AbortController();
    const reason = new Error('enough');
    const seen: BackupProgress[] = [];
    const backup = db.backup(COPY, {
      signal: controller.signal,
      onProgress: (progress) => {
        seen.push(progress);
        if (seen.length === 3) controller.abort(reason);
      },
    });
    await expect(backup).rejects.toBe(reason);
    expect(seen).toHaveLength(3);
    await expect(db.backup(COPY, { signal: AbortSignal.abort() })).rejects.toMatchObject({ name: 'AbortError' });
    await expectUnharmed(db, disk);
  });

  it('because its progress cannot be told leaves nothing', async () => {
    const disk = new SimulatedDevice();
    const db = await filled(disk);
    const error = new Error('the display is gone');
    const onProgress = (): void => {
      throw error;
    };
    await expect(db.backup(COPY, { onProgress })).rejects.toBe(error);
    await expectUnharmed(db, disk);
  });

  it('because the engine is closed is PW_CLOSED, at once, though it was told to go slowly', async () => {
    const disk = new SimulatedDevice();
    const db = await filled(disk);
    let calls = 0;
    let ended: Promise<unknown> = Promise.resolve();
    const begun = new Promise<void>((resolve) => {
      const onProgress = (): void => void (++calls === 2 && resolve());
      ended = db.backup(COPY, { bytesPerSecond: 1, onProgress }).catch((error: unknown) => error);
    });
    await begun;
    await db.close();
    expect(await ended).toMatchObject({ code: 'PW_CLOSED' });
    expect(await disk.exists(COPY)).toBe(false);
    expect(await disk.exists(PART)).toBe(false);
    await (await verified(await engineOn(disk, PATH, SMALL))).close();
  });

  it('because a page is damaged is PW_CORRUPT_PAGE, and says where and what to do', async () => {
    const disk = new SimulatedDevice();
    const db = await filled(disk);
    await db.backup(`${COPY}1`);
    const leaf = new PageFileSurgery(disk.contentOf(PATH)).pages('leaf')[7]!;
    disk.flip(PATH, leaf.start + 999, 2);
    await expect(db.backup(COPY)).rejects.toMatchObject({
      code: 'PW_CORRUPT_PAGE',
      message: expect.stringContaining('verify()'),
      details: { path: PATH, offset: leaf.start },
    });
    expect(await disk.exists(COPY)).toBe(false);
    expect(await disk.exists(PART)).toBe(false);
    expect(db.state).toBe('open');
    disk.cutPower();
    await db.close().catch(() => undefined);
  });

  it('because the disk of the copy is full is PW_FULL, and the store goes on', async () => {
    const disk = new SimulatedDevice();
    const db = await filled(disk);
    await db.checkpoint();
    const { bytes } = await db.backup(`${COPY}1`);
    for (const share of [0, 0.1, 0.5, 0.99]) {
      const stop = disk.inject({
        fault: { kind: 'error', errno: 'ENOSPC' },
        kinds: ['write', 'allocate', 'truncate'],
        when: ({ path, offset = 0, length = 0 }) => path === PART && offset + length > share * bytes,
        times: Number.POSITIVE_INFINITY,
      });
      await expect(db.backup(COPY)).rejects.toMatchObject({ code: 'PW_FULL' });
      stop();
      await put(db, 'goes on', share);
      expect(db.state).toBe('open');
      expect(await disk.exists(PART)).toBe(false);
    }
    await expectUnharmed(db, disk);
  });

  it('because an operation of it fails, whichever, leaves nothing, and the store goes on', async () => {
    const disk = new SimulatedDevice();
    const db = await filled(disk);
    const isOfCopy = ({ path, kind }: DiskOperation): boolean =>
      path.startsWith(COPY) || (path === PATH && kind === 'read') || kind === 'sync-directory';
    let operations = 0;
    for (let failing = 1; ; failing++) {
      operations = 0;
      let removals = 0;
      disk.onOperation = (operation) => {
        if (!isOfCopy(operation)) return;
        // What it does when it has failed is left alone.
        if (operation.kind === 'remove') removals++;
        else if (removals === 0 && ++operations === failing) throw ioError('EIO', operation.path);
      };
      const error: unknown = await db.backup(COPY).then(
        () => null,
        (reason: unknown) => reason,
      );
      disk.onOperation = null;
      if (error === null) break;
      expect(isPagewrightError(error, 'PW_IO'), `operation ${failing}: ${String(error)}`).toBe(true);
      expect(await disk.exists(COPY), `operation ${failing}`).toBe(false);
      expect(await disk.exists(PART), `operation ${failing}`).toBe(false);
      expect(db.state).toBe('open');
    }
    expect(operations).toBeGreaterThan(15);
    await disk.remove(COPY);
    await expectUnharmed(db, disk);
  });

  it('because the power goes, whenever, leaves nothing or all of it, and the store as it was', async () => {
    const disk = new SimulatedDevice();
    const db = await filled(disk);
    await put(db, 'last', 'acknowledged');
    const content = await readAll(db);
    const crashes: SimulatedDevice[] = [];
    disk.onOperation = ({ kind }) => kind !== 'read' && crashes.push(disk.copy());
    await db.backup(COPY);
    disk.onOperation = null;
    crashes.push(disk.copy());
    let whole = 0;
    for (const [at, crashed] of crashes.entries()) {
      for (const survives of [dropAll, keepAll]) {
        const after = crashed.copy().afterCrash(survives);
        if (await after.exists(COPY)) {
          whole++;
          const copy = await verified(await engineOn(after, COPY, SMALL));
          expect(await readAll(copy), `operation ${at}`).toBe(content);
          await copy.close();
        } else expect(at, 'a backup that was reported is gone').toBeLessThan(crashes.length - 1);
      }
      if (at % 10 !== 0) continue;
      const after = crashed.copy().afterCrash(keepAll);
      const again = await verified(await engineOn(after, PATH, SMALL));
      expect(await readAll(again)).toBe(content);
      if (await after.exists(COPY)) await after.remove(COPY);
      // What was cut short is written over.
      await again.backup(COPY);
      await (await verified(await engineOn(after, COPY, SMALL))).close();
      await again.close();
    }
    expect(crashes.length).toBeGreaterThan(15);
    expect(whole).toBeGreaterThan(2);
    await db.close();
  });

  it('because the store has failed in the meantime says so; and of one that turned read-only none is made', async () => {
    const disk = new SimulatedDevice();
    const db = await filled(disk);
    disk.onOperation = ({ kind, path }) => {
      if (kind === 'sync' && path.includes('-wal')) throw ioError('EIO', path);
    };
    await expect(put(db, 'lost', 1)).rejects.toMatchObject({ code: 'PW_COMMIT_UNKNOWN' });
    disk.onOperation = null;
    await expect(db.backup(COPY)).rejects.toMatchObject({ code: 'PW_READ_ONLY' });
    expect(await disk.exists(COPY)).toBe(false);
    await db.close();
  });

  it('takes arguments of one form, and says which', async () => {
    const db = await engineOn(new SimulatedDevice(), PATH, SMALL);
    for (const path of ['', 7, null, undefined]) {
      await expect(db.backup(path as never)).rejects.toMatchObject({ code: 'PW_ARGUMENT' });
    }
    const wrong = [
      { signal: {} },
      { onProgress: 1 },
      { bytesPerSecond: 0 },
      { bytesPerSecond: -5 },
      { speed: 1 },
      null,
    ];
    for (const options of [...wrong, { bytesPerSecond: 'fast' }, { bytesPerSecond: null }, { bytesPerSecond: 1.5 }]) {
      await expect(db.backup(COPY, options as never)).rejects.toMatchObject({ code: 'PW_ARGUMENT' });
    }
    await db.close();
    await expect(db.backup(COPY)).rejects.toMatchObject({ code: 'PW_CLOSED' });
  });
});

describe('the room that a backup needs', () => {
  it('is held while it lasts, however many checkpoints come, and given back afterwards', async () => {
    const disk = new SimulatedDevice();
    const db = await engineOn(disk, PATH, SMALL);
    await fill(db, 2);
    const content = await readAll(db);
    let go = (): void => undefined;
    const stopped = new Promise<void>((resolve) => {
      go = resolve;
    });
    let writes = 0;
    disk.hold = ({ kind, path }) => (kind === 'write' && path === PART && ++writes === 1 ? stopped : undefined);
    const backup = db.backup(COPY);
    while (writes < 1) await turn();
    for (let round = 0; round < 3; round++) {
      await fill(db, 2);
      await db.checkpoint();
      await db.checkpoint();
    }
    expect(db.stats().pages.retainedFileBytes).toBeGreaterThan(2_000_000);
    go();
    await backup;
    disk.hold = null;
    expect(await retainedAfterwards(db)).toBeLessThan(32 * 4096);
    const copy = await verified(await engineOn(disk, COPY, SMALL));
    expect(await readAll(copy)).toBe(content);
    await copy.close();
    await db.close();
  });
});

describe('a backup with a limit', () => {
  it('copies no more than that in any time', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    const disk = new SimulatedDevice();
    const db = await engineOn(disk, PATH, SMALL);
    await fill(db, 2);
    const begun = performance.now();
    let done = false;
    let bytes = 0;
    const backup = db
      .backup(COPY, {
        bytesPerSecond: '256KiB',
        onProgress: ({ bytes: copied }) => {
          bytes = copied;
        },
      })
      .finally(() => {
        done = true;
      });
    for (let steps = 0; !done; steps++) {
      for (let turns = 0; turns < 40; turns++) await turn();
      const seconds = (performance.now() - begun) / 1000;
      // What it may copy by now, and the batch that it has copied and waits for.
      expect(bytes, `after ${seconds} s`).toBeLessThanOrEqual((seconds + 0.25) * 256 * 1024 + 512 * 1024);
      await vi.advanceTimersByTimeAsync(250);
      expect(steps).toBeLessThan(200);
    }
    await backup;
    // It is not much slower either.
    expect(performance.now() - begun).toBeLessThanOrEqual((bytes / (256 * 1024)) * 1000 + 1500);
    expect(bytes).toBeGreaterThan(1_500_000);
    vi.useRealTimers();
    await db.close();
  });
});
