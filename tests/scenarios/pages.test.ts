/**
 * Lines of the list of scenarios about pages, latches and eviction, as far as one thread can meet them: what another
 * thread would do in between is done by the test, at the very instant.
 *
 * `SCENARIO_SEED` repeats a run.
 */
import { BufferPool } from '@pagewright/bufferpool';
import { EntryBatch, EntryReference, TAG_VALUE } from '@pagewright/core';
import { BtreeType } from '@pagewright/index-btree';
import { dropAll, Random, SimulatedDevice } from '@pagewright/testkit';
import { expect, it, vi } from 'vitest';
import { engineOn } from '../engine-on.js';
import { TornPool } from './torn-pool.js';

const PATH = '/store/scenario.pw';
const SEED = Number(process.env.SCENARIO_SEED ?? Date.now() % 2 ** 31);
/** The smallest pool, of pages of 4 KiB. */
const SMALL = { pageSize: 4096, memory: 64 * 4096 };

/** A page as a reader remembers it. */
interface Held {
  readonly frame: number;
  readonly version: number;
}

const opening = (disk: SimulatedDevice) => ({
  path: PATH,
  io: disk,
  create: true,
  errorIfExists: false,
  readOnly: false,
});

it('scenario 4: the version of a frame goes on when pages of other sizes get it, and no earlier reader is told that all is right', async () => {
  const random = new Random(SEED);
  const pool = new BufferPool(SMALL);
  await pool.open(opening(new SimulatedDevice()));
  const pages: Held[] = [];
  const stale: Held[] = [];
  for (let step = 0; step < 2000; step++) {
    if (pages.length < 10 && random.chance(0.6)) {
      const frame = pool.allocate(1, 1, random.below(pool.maxSizeClass + 1), 1);
      pool.unlatch(frame);
      pages.push({ frame, version: pool.readVersion(frame) });
    } else if (pages.length > 0) {
      const [page] = pages.splice(random.below(pages.length), 1) as [Held];
      pool.latch(page.frame);
      pool.free(page.frame);
      stale.push(page);
    }
    const trusting = stale.filter(
      ({ frame, version }) => pool.validate(frame, version) || pool.upgrade(frame, version),
    );
    expect(trusting, `SCENARIO_SEED=${SEED}`).toEqual([]);
  }
  await pool.close();
});

it('scenario 5: pages are torn under their readers, with slots beyond them, huge lengths and children that are themselves, and every answer is right', async () => {
  const random = new Random(SEED);
  const pool = new TornPool(1024, 4096, random);
  await pool.open(opening(new SimulatedDevice()));
  const type = new BtreeType();
  const index = type.create({ pages: pool, number: 1, root: pool.root }, 1);
  const model = new Map<string, Buffer>();
  for (let i = 0; i < 3000; i++) {
    const key = `${'shared/'.repeat(i % 4)}${(i * 7919) % 3000}`;
    const value = Buffer.alloc(i % 50 === 0 ? 5000 : i % 80, `${i} `);
    index.upsert(Buffer.from(key), TAG_VALUE, value, i);
    model.set(key, value);
  }
  expect(index.stats().height).toBeGreaterThan(1);
  const keys = [...model.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  pool.tornShare = 0.2;
  const found = new EntryReference();
  for (let i = 0; i < 1200; i++) {
    const key = random.pick(keys);
    expect(index.lookup(Buffer.from(key), found), `SCENARIO_SEED=${SEED}`).toBe(true);
    expect(Buffer.compare(found.value, model.get(key) as Buffer), `SCENARIO_SEED=${SEED}`).toBe(0);
    expect(index.lookup(Buffer.from(`${key}!`), found), `SCENARIO_SEED=${SEED}`).toBe(false);
  }
  for (const reverse of [false, true]) {
    const cursor = index.cursor();
    const batch = new EntryBatch();
    cursor.seek(null, { reverse });
    const seen: string[] = [];
    while (cursor.next(batch)) {
      for (let at = 0; at < batch.count; at++) {
        const key = Buffer.from(batch.keys[at] as Uint8Array).toString();
        seen.push(key);
        expect(Buffer.compare(batch.values[at] as Uint8Array, model.get(key) as Buffer)).toBe(0);
      }
    }
    expect(seen, `SCENARIO_SEED=${SEED}`).toEqual(reverse ? [...keys].reverse() : keys);
  }
  expect(pool.tears).toBeGreaterThan(300);
  await pool.close();
});

it('scenario 6: text is decoded from private copies alone, wherever it was read and however', async () => {
  const disk = new SimulatedDevice();
  const db = await engineOn(disk, PATH, SMALL);
  const decoded = { keys: 0, values: 0, natively: 0 };
  const isPrivate = (bytes: Uint8Array): void => expect(bytes.buffer).toBeInstanceOf(ArrayBuffer);
  const encoding = (what: 'keys' | 'values') => ({
    name: what,
    encode: (text: string) => Buffer.from(text),
    decode: (bytes: Uint8Array): string => {
      isPrivate(bytes);
      decoded[what]++;
      return Buffer.from(bytes).toString();
    },
  });
  const native = vi.spyOn(TextDecoder.prototype, 'decode');
  native.mockImplementation(function (this: InstanceType<typeof TextDecoder>, bytes) {
    isPrivate(bytes as Uint8Array);
    decoded.natively++;
    return Buffer.from(bytes as Uint8Array).toString();
  });
  try {
    const watched = await db.index('watched', { key: encoding('keys'), value: encoding('values') });
    const plain = await db.index('plain', { key: 'utf8', value: 'utf8' });
    const packed = await db.index('packed', { key: 'ordered', value: 'msgpack' });
    for (let i = 0; i < 160; i++) {
      const value = `${i} `.repeat(i % 40 === 0 ? 2000 : 20);
      await Promise.all([watched.put(`k${i}`, value), plain.put(`k${i}`, value), packed.put(['k', i], { value })]);
    }
    const snapshot = db.snapshot();
    for (let i = 0; i < 160; i += 3) await Promise.all([watched.put(`k${i}`, 'later'), plain.delete(`k${i}`)]);
    for (let i = 0; i < 160; i += 7) {
      watched.getSync(`k${i}`, { snapshot });
      await watched.get(`k${i}`);
      plain.getSync(`k${i}`, { snapshot });
      packed.getSync(['k', i]);
    }
    await watched.getMany(['k1', 'k40', 'k150']);
    for (const reverse of [false, true]) {
      for (const index of [watched, plain, packed]) {
        for (const _ of index.rangeSync({ reverse })) void _;
        for await (const _ of index.range({ reverse, snapshot })) void _;
      }
    }
    await db.transaction((tx) => {
      for (const _ of tx.rangeSync(watched)) void _;
    });
    snapshot.release();
  } finally {
    native.mockRestore();
  }
  expect(decoded.keys).toBeGreaterThan(500);
  expect(decoded.values).toBeGreaterThan(500);
  await db.close();
});

it('scenario 7: a version is read, compared and changed by Atomics alone', async () => {
  const pool = new BufferPool(SMALL);
  await pool.open(opening(new SimulatedDevice()));
  const frame = pool.allocate(1, 1, 0, 1);
  pool.unlatch(frame);
  // What Atomics answers is what the pool believes: whatever reads past it would know better.
  let pretended: number | null = null;
  const real = Atomics.load;
  const load = vi.spyOn(Atomics, 'load');
  load.mockImplementation(((words: Int32Array, at: number) => pretended ?? real(words, at)) as typeof Atomics.load);
  try {
    const version = pool.readVersion(frame);
    expect(pool.validate(frame, version)).toBe(true);
    pretended = version + 400;
    expect(pool.readVersion(frame)).toBe(version + 400);
    expect(pool.validate(frame, version)).toBe(false);
    expect(pool.validate(frame, version + 400)).toBe(true);
    pretended = null;
    // Upgrading compares with what is there.
    expect(pool.upgrade(frame, version + 400)).toBe(false);
    expect(pool.upgrade(frame, version)).toBe(true);
    pool.unlatch(frame);
  } finally {
    load.mockRestore();
  }
  await pool.close();
});

it('scenario 11: a commit touches several times more leaves than the pool has frames, waiting or not, and is there whole after a crash', async () => {
  const disk = new SimulatedDevice();
  const db = await engineOn(disk, PATH, SMALL);
  const index = await db.index<string, Uint8Array>('wide', { key: 'utf8', value: 'buffer' });
  const keys = Array.from({ length: 600 }, (_, i) => `key/${(i * 7919) % 600}`);
  for (const version of [1, 2]) {
    const write = (tx: { put(of: typeof index, key: string, value: Uint8Array): void }): void => {
      for (const key of keys) tx.put(index, key, Buffer.alloc(900, version));
    };
    if (version === 2) db.transactionSync(write);
    else await db.transaction(write);
    expect(await index.count()).toBe(keys.length);
    const report = await db.verify();
    expect(report.problems).toEqual([]);
  }
  const { pages } = db.stats();
  expect(pages.fileBytes / 4096).toBeGreaterThan(3 * pages.frames);
  const again = await engineOn(disk.copy().afterCrash(dropAll), PATH, SMALL);
  const found = await again.index<string, Uint8Array>('wide', { key: 'utf8', value: 'buffer' });
  const values = new Set<number>();
  for await (const [, value] of found.range()) values.add(value[0] as number);
  expect([...values]).toEqual([2]);
  await again.close();
  await db.close();
});

it('scenario 12: every frame holds what is not durable yet, and commits find frames all the same; nothing of it is there after a crash', async () => {
  const disk = new SimulatedDevice();
  const db = await engineOn(disk, PATH, { ...SMALL, segmentSize: '8MiB' });
  const index = await db.index<string, Uint8Array>('held', { key: 'utf8', value: 'buffer' });
  for (let i = 0; i < 100; i++) await index.put(`before/${i}`, Buffer.alloc(100, 1));
  await db.checkpoint();
  const { pageWrites } = db.stats().pages;
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  disk.hold = ({ kind, path }) =>
    path.includes('-wal') && (kind === 'write' || kind === 'sync') ? released : undefined;
  const puts: Promise<void>[] = [];
  for (let i = 0; i < 1000; i++) puts.push(index.put(`after/${(i * 7919) % 1000}`, Buffer.alloc(800, 2)));
  // All of them are to be seen, and none is acknowledged.
  let acknowledged = 0;
  for (const put of puts) void put.then(() => acknowledged++);
  for (let turn = 0; turn < 5000 && !index.hasSync(`after/${(999 * 7919) % 1000}`); turn++)
    await new Promise(setImmediate);
  expect(await index.count()).toBe(1100);
  expect(acknowledged).toBe(0);
  expect(db.stats().pages.pageWrites - pageWrites).toBeGreaterThan(db.stats().pages.frames);
  const again = await engineOn(disk.copy().afterCrash(dropAll), PATH, SMALL);
  const found = await again.index<string, Uint8Array>('held', { key: 'utf8', value: 'buffer' });
  expect(await found.count()).toBe(100);
  expect((await again.verify()).problems).toEqual([]);
  await again.close();
  disk.hold = null;
  release();
  await Promise.all(puts);
  await db.close();
});
