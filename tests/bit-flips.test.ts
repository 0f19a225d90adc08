/**
 * One bit of one file is wrong, anywhere. Then the store opens with exactly the right data, or says what is damaged: it never
 * has wrong, missing or extra data, never hangs, and never fails with an error that is not one of its own. What the flips
 * led to is counted by region, and printed at the end.
 *
 * `FLIPS` raises the number of sampled flips, `FLIP_SEED` repeats a run.
 */
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import {
  type Engine,
  type EngineBatchOperation,
  type ErrorCode,
  isPagewrightError,
  type PagewrightError,
} from '@pagewright/core';
import { Random, SimulatedDevice } from '@pagewright/testkit';
import { open } from 'pagewright';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeSlot, SLOT_SIZE } from '../packages/bufferpool/src/superblock.js';
import { bundle } from '../packages/io-posix/test/bundle.js';
import { engineOn } from './engine-on.js';
import { indexOf, KnownContent, type KnownIndex, pagewrightOnly, readAll, type Shape } from './known-content.js';
import { regionsOfSegment, untilIdle } from './log-anatomy.js';
import { type Region, regionsOfPageFile, tallestTree } from './page-file-anatomy.js';
import { endAll, start, tell } from './store-process.js';

const SAMPLED = Number(process.env.FLIPS ?? 250);
const SEED = Number(process.env.FLIP_SEED ?? Date.now() % 2 ** 31);
const random = new Random(SEED);
const below = (limit: number): number => Math.floor(random.fraction() * limit);

const PATH = '/store/flipped.pw';
/** Less memory than the store has pages: some are evicted while it is filled. */
const OPTIONS = { pageSize: 4096, memory: 2 ** 18 };
/** For reading it, with a bit that is wrong. */
const ROOMY = { memory: 2 ** 20 };
/** A flip that takes longer than this hangs. */
const DEADLINE_MS = 30_000;

/** Regions that are not needed, or of which there is another copy: damage there is no reason to refuse anything. */
const NEEDLESS: ReadonlySet<string> = new Set([
  'superblock that counts',
  'superblock before it',
  'rest of a superblock',
  'checkpoint before it',
  'free space',
  'log record before the checkpoint',
  'log segment not in use',
  'log mark',
  'log tail',
]);

/** What damage may be reported as. */
const DAMAGE: ReadonlySet<ErrorCode> = new Set(['PW_CORRUPT_FILE', 'PW_CORRUPT_PAGE', 'PW_CORRUPT_LOG']);

// ── Content ──────────────────────────────────────────────────────────────────────────────────────────────────────

const SHAPES: Readonly<Record<string, Shape>> = {
  emptied: { key: 'utf8', value: 'json' },
  large: { key: 'utf8', value: 'buffer' },
  late: { key: 'utf8', value: 'json' },
  long: { key: 'buffer', value: 'buffer' },
  numbers: { key: 'u32', value: 'buffer' },
  refilled: { key: 'utf8', value: 'json' },
  tuples: { key: 'ordered', value: 'msgpack' },
};

/** A long key, which shares six hundred bytes with its neighbours: separators in inner pages get as long, and the tree high. */
function longKey(number: number): Buffer {
  const key = Buffer.alloc(640 + (number % 5) * 90, number);
  key.fill(Math.floor(number / 16), 0, 600);
  key.writeUInt32BE(number, 600);
  return key;
}

const contentOf = (number: number, version: number, size: number): Uint8Array =>
  Uint8Array.from(Buffer.alloc(size, `${number}/${version} `));

/** What is in the checkpoint. */
async function fillFirst(db: Engine, known: KnownContent): Promise<void> {
  for (const [name, shape] of Object.entries(SHAPES)) {
    if (name === 'late') continue;
    await indexOf(db, name, shape);
    known.declare(name, shape);
  }
  await db.index('dropped');
  for (let number = 0; number < 260; number++)
    await put(db, known, 'numbers', number * 7, contentOf(number, 1, number % 60));
  for (let number = 0; number < 96; number++) await put(db, known, 'long', longKey(number), contentOf(number, 1, 700));
  for (let number = 0; number < 12; number++)
    await put(db, known, 'large', `large/${number}`, contentOf(number, 1, 900 + number ** 2 * 120));
  for (let number = 0; number < 80; number++) {
    await put(db, known, 'tuples', [`group ${number % 4}`, number], { number, list: [number, 'text'] });
    await put(db, known, 'emptied', `key ${number}`, number);
    await put(db, known, 'refilled', `before/${number}`, { number });
  }
}

/** What is in the log alone. */
async function fillSecond(db: Engine, known: KnownContent): Promise<void> {
  await indexOf(db, 'late', SHAPES.late as Shape);
  known.declare('late', SHAPES.late as Shape);
  for (let number = 0; number < 40; number++) await put(db, known, 'late', `late ${number}`, 'late');
  for (let number = 0; number < 260; number += 9) await put(db, known, 'numbers', number * 7, contentOf(number, 2, 30));
  for (let number = 5; number < 110; number += 10)
    await put(db, known, 'long', longKey(number), contentOf(number, 2, 15));
  for (let number = 0; number < 32; number += 2)
    await put(db, known, 'large', `large/${number}`, contentOf(number, 2, 12_000));
  for (let number = 0; number < 80; number++) await remove(db, known, 'emptied', `key ${number}`);
  await remove(db, known, 'large', 'large/3');
  await (await indexOf(db, 'refilled', SHAPES.refilled as Shape)).clear();
  known.clear('refilled');
  await put(db, known, 'refilled', 'afterwards', 'the only one');
  await db.dropIndex('dropped');
}

async function put(db: Engine, known: KnownContent, name: string, key: unknown, value: unknown): Promise<void> {
  await (await indexOf(db, name, SHAPES[name] as Shape)).put(key, value);
  known.put(name, key, value);
}

async function remove(db: Engine, known: KnownContent, name: string, key: unknown): Promise<void> {
  await (await indexOf(db, name, SHAPES[name] as Shape)).delete(key);
  known.delete(name, key);
}

// ── Stores ───────────────────────────────────────────────────────────────────────────────────────────────────────

interface Store {
  readonly disk: SimulatedDevice;
  readonly known: readonly KnownIndex[];
  /** The regions of each file. */
  readonly files: ReadonlyMap<string, readonly Region[]>;
}

const contentsOf = (disk: SimulatedDevice): Map<string, Uint8Array> =>
  new Map(disk.files().map((path) => [path, disk.contentOf(path)]));

async function closedStore(): Promise<Store> {
  const disk = new SimulatedDevice();
  const known = new KnownContent();
  const db = await engineOn(disk, PATH, OPTIONS);
  await fillFirst(db, known);
  await db.checkpoint();
  await fillSecond(db, known);
  await db.close();
  expect(disk.files()).toEqual([PATH]);
  return {
    disk: settled(disk),
    known: known.indexes(),
    files: new Map([[PATH, regionsOfPageFile(disk.contentOf(PATH))]]),
  };
}

/** As its process leaves it that is killed when the log has been idle. */
async function killedStore(): Promise<Store> {
  const running = new SimulatedDevice();
  const known = new KnownContent();
  const db = await engineOn(running, PATH, OPTIONS);
  await fillFirst(db, known);
  await db.checkpoint();
  const { evictions } = db.stats().pages;
  await fillSecond(db, known);
  expect(db.stats().pages.evictions).toBeGreaterThan(evictions);
  await untilIdle(() => contentsOf(running));
  const disk = settled(running);
  await db.close();
  const files = new Map<string, readonly Region[]>();
  for (const [path, bytes] of contentsOf(disk)) {
    if (path === PATH) files.set(path, regionsOfPageFile(bytes));
    else files.set(path, regionsOfSegment(path, bytes, replayFrom(disk.contentOf(PATH))));
  }
  return { disk, known: known.indexes(), files };
}

/** The same, opened again and killed again: what counts has just been recovered. */
async function recoveredStore(killed: Store): Promise<Store> {
  const running = killed.disk.copy();
  const db = await engineOn(running, PATH, ROOMY);
  const disk = settled(running);
  await db.close();
  return { disk, known: killed.known, files: new Map([[PATH, regionsOfPageFile(disk.contentOf(PATH))]]) };
}

/** A disk with the same files. */
function settled(disk: SimulatedDevice): SimulatedDevice {
  const copy = new SimulatedDevice();
  for (const [path, bytes] of contentsOf(disk)) copy.put(path, bytes);
  return copy;
}

/** Where the superblock that counts says that replay begins. */
function replayFrom(pageFile: Uint8Array): { readonly segment: number; readonly offset: number } {
  const slots = [0, 1].map((slot) =>
    decodeSlot(Buffer.from(pageFile.subarray(slot * SLOT_SIZE, (slot + 1) * SLOT_SIZE))),
  );
  const [newest] = slots
    .flatMap((slot) => (slot.kind === 'valid' ? [slot.superblock] : []))
    .sort((a, b) => b.epoch - a.epoch);
  return newest!.mark.log;
}

// ── Flips ────────────────────────────────────────────────────────────────────────────────────────────────────────

interface Flip {
  readonly path: string;
  readonly offset: number;
  readonly bit: number;
  readonly what: string;
}

/**
 * Every byte of the header of one region of each kind, and a share of all other bytes: as many of a kind that is rare as
 * of one that fills most of the file.
 */
function flipsOf(store: Store, sampled: number): Flip[] {
  const byKind = new Map<string, { readonly path: string; readonly region: Region }[]>();
  for (const [path, regions] of store.files) {
    for (const region of regions) {
      const same = byKind.get(region.what) ?? [];
      same.push({ path, region });
      byKind.set(region.what, same);
    }
  }
  const flips: Flip[] = [];
  const share = Math.ceil(sampled / byKind.size);
  for (const [what, places] of byKind) {
    const whole = places[below(places.length)]!;
    for (let at = 0; at < whole.region.header; at++) {
      flips.push({ path: whole.path, offset: whole.region.start + at, bit: below(8), what });
    }
    for (let count = 0; count < share; count++) {
      const { path, region } = places[below(places.length)]!;
      flips.push({ path, offset: region.start + below(region.end - region.start), bit: below(8), what });
    }
  }
  return flips;
}

/** How often what came of flips in which region. */
const table = new Map<string, Map<string, number>>();

function count(region: string, outcome: string): void {
  const outcomes = table.get(region) ?? new Map<string, number>();
  outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  table.set(region, outcomes);
}

function within<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('it hangs')), DEADLINE_MS);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

function damageOnly(error: unknown): PagewrightError {
  const found = pagewrightOnly(error);
  if (!DAMAGE.has(found.code)) throw found;
  return found;
}

/** What comes of opening the disk and reading everything; throws if it must not come. */
async function outcomeOf(disk: SimulatedDevice, known: readonly KnownIndex[], number: number): Promise<string> {
  let db: Engine;
  try {
    db = await engineOn(disk, PATH, ROOMY);
  } catch (error) {
    return `${damageOnly(error).code} when opened`;
  }
  const how = number % 2 === 0 ? 'now' : 'waiting';
  const finding = await readAll(db, known, how);
  if (finding !== 'right') {
    damageOnly(finding);
    await db.close();
    return `${finding.code} when read`;
  }
  await expectGoesOn(disk, db, known, how);
  return 'right';
}

/** Whoever opens a store that was damaged and has all of its data can go on with it. */
async function expectGoesOn(
  disk: SimulatedDevice,
  db: Engine,
  known: readonly KnownIndex[],
  how: 'now' | 'waiting',
): Promise<void> {
  const name = 'written afterwards';
  const index = await db.index<string, string>(name);
  // More than is free in the file, so that what is taken for free is written over.
  const values = Array.from({ length: 60 }, (_, number) => 'value '.repeat(1000 + number));
  await index.batch(values.map((value, number) => ({ type: 'put', key: `key/${number}`, value })));
  await db.close();
  const again = await engineOn(disk, PATH, ROOMY);
  expect(await (await again.index<string, string>(name)).count()).toBe(values.length);
  await again.dropIndex(name);
  expect(await readAll(again, known, how)).toBe('right');
  await again.close();
}

async function flipAll(kind: string, store: Store, flips: readonly Flip[]): Promise<void> {
  for (const [number, { path, offset, bit, what }] of flips.entries()) {
    const disk = store.disk.copy();
    disk.flip(path, offset, bit);
    try {
      const outcome = await within(outcomeOf(disk, store.known, number));
      count(`${kind}: ${what}`, outcome);
      if (NEEDLESS.has(what)) expect(outcome).toBe('right');
    } catch (cause) {
      const place = `bit ${bit} of byte ${offset} of ${path} (${kind}: ${what}, FLIP_SEED=${SEED})`;
      throw new Error(`${place}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    }
  }
}

afterAll(() => {
  console.log(`Bit flips, FLIP_SEED=${SEED}:`);
  for (const [region, outcomes] of [...table].sort()) {
    const list = [...outcomes].sort().map(([outcome, times]) => `${times} ${outcome}`);
    console.log(`${region.padEnd(46)} ${list.join(', ')}`);
  }
});

describe('a bit that is wrong', () => {
  let closed: Store;
  let killed: Store;
  let recovered: Store;
  beforeAll(async () => {
    closed = await closedStore();
    killed = await killedStore();
    recovered = await recoveredStore(killed);
  });
  it('finds stores with all that it is to be tried on', async () => {
    for (const { disk, known, files } of [closed, killed]) {
      expect(tallestTree(disk.contentOf(PATH))).toBeGreaterThanOrEqual(3);
      const kinds = new Set([...files.values()].flat().map(({ what }) => what));
      for (const kind of [
        'catalog root',
        'catalog entries',
        'inner page',
        'leaf',
        'value page',
        'allocation map',
        'free space',
      ]) {
        expect(kinds).toContain(kind);
      }
      const db = await engineOn(disk.copy(), PATH, ROOMY);
      expect(await readAll(db, known, 'now')).toBe('right');
      await db.close();
    }
    const logKinds = new Set([...killed.files.values()].flat().map(({ what }) => what));
    for (const kind of [
      'checkpoint before it',
      'log segment header',
      'log record',
      'log mark',
      'log segment end',
      'log record before the checkpoint',
      'log tail',
    ]) {
      expect(logKinds).toContain(kind);
    }
  });

  it('in a store that was closed is told, or does not matter', async () => {
    await flipAll('closed', closed, flipsOf(closed, SAMPLED / 2));
  }, 600_000);

  it('in a store whose process was killed is told, or does not matter', async () => {
    await flipAll('killed', killed, flipsOf(killed, SAMPLED / 2));
  }, 600_000);

  it('in a superblock of a store that was just recovered is made good by the other one', async () => {
    const flips = flipsOf(recovered, SAMPLED / 4).filter(({ what }) => what.startsWith('superblock'));
    await flipAll('recovered', recovered, flips);
  }, 600_000);

  it('in a page does not spread to others by what is written, and refuses what it must before it is logged', async () => {
    const pages = closed.files.get(PATH) as readonly Region[];
    const kinds = ['inner page', 'leaf', 'value page'] as const;
    const ways = ['put', 'putSync', 'delete', 'deleteSync', 'transaction', 'transactionSync', 'batch'] as const;

    for (let round = 0; round < kinds.length * ways.length * 2; round++) {
      const what = kinds[round % kinds.length]!;
      const way = ways[Math.floor(round / kinds.length) % ways.length]!;
      const same = pages.filter((region) => region.what === what);
      const { start, end } = same[below(same.length)]!;
      const disk = closed.disk.copy();
      disk.flip(PATH, start + below(end - start), below(8));
      const place = `${way} beside a damaged ${what} (FLIP_SEED=${SEED})`;
      const db = await engineOn(disk, PATH, ROOMY);
      const refused = await writeEverywhere(db, closed.known, way);
      expect(db.state, place).toBe('open');
      await db.close();
      const again = await engineOn(disk, PATH, ROOMY);
      for (const { name, shape, entries } of closed.known) {
        const index = await indexOf(again, name, shape);
        for (const [key, before] of entries) {
          const isOld = refused.has(`${name} ${String(key)}`);
          const expected = isOld ? before : way.startsWith('delete') ? undefined : newValue(shape, key);
          const found = await index.get(key).catch(damageOnly);
          if (!isPagewrightError(found)) expect(found, place).toEqual(expected);
        }
      }
      await again.close();
      count(`written beside: ${what}`, refused.size === 0 ? 'all written' : 'some refused');
    }
  }, 120_000);

  it('in a value that is overwritten while a snapshot is open refuses the commit, and the engine goes on', async () => {
    const large = (closed.files.get(PATH) as readonly Region[]).filter(({ what }) => what === 'value page');
    const disk = closed.disk.copy();
    for (const { start } of large) disk.flip(PATH, start + 100, 3);
    const db = await engineOn(disk, PATH, ROOMY);
    const index = await indexOf(db, 'large', SHAPES.large as Shape);
    const snapshot = db.snapshot();
    for (const change of [
      () => index.put('large/11', Buffer.from('new')),
      () => index.delete('large/11'),
      () => db.transaction((tx) => tx.delete(index, 'large/11')),
    ]) {
      const refused = await change().catch(damageOnly);
      expect(isPagewrightError(refused, 'PW_CORRUPT_PAGE')).toBe(true);
    }
    expect(() => index.putSync('large/11', Buffer.from('new'))).toThrow(
      expect.objectContaining({ code: 'PW_CORRUPT_PAGE' }),
    );
    expect(db.state).toBe('open');
    snapshot.release();
    await index.put('large/11', Buffer.from('new')); // no one wants to see what was there
    expect(Buffer.from((await index.get('large/11')) as Uint8Array)).toEqual(Buffer.from('new'));
    await db.close();
  });
});

/** Changes every entry there is by itself; the names of those that were refused, because of damage and nothing else. */
async function writeEverywhere(
  db: Engine,
  known: readonly KnownIndex[],
  way: 'put' | 'putSync' | 'delete' | 'deleteSync' | 'transaction' | 'transactionSync' | 'batch',
): Promise<Set<string>> {
  const refused = new Set<string>();
  for (const { name, shape, entries } of known) {
    const index = await indexOf(db, name, shape);
    if (way === 'batch') {
      const filler = await db.index<string, unknown>('filler');
      const many = Array.from({ length: 1100 }, (_, number) => ({
        type: 'put' as const,
        index: filler,
        key: `key ${number}`,
        value: number,
      }));
      const changes = entries.map(([key]) => ({ type: 'put' as const, index, key, value: newValue(shape, key) }));
      try {
        await db.batch([...many, ...changes] as EngineBatchOperation[]);
      } catch (error) {
        damageOnly(error);
        for (const [key] of entries) refused.add(`${name} ${String(key)}`);
      }
      continue;
    }
    for (const [key] of entries) {
      const value = newValue(shape, key);
      try {
        if (way === 'put') await index.put(key, value);
        else if (way === 'putSync') index.putSync(key, value);
        else if (way === 'delete') await index.delete(key);
        else if (way === 'deleteSync') index.deleteSync(key);
        else if (way === 'transaction') await db.transaction((tx) => tx.put(index, key, value));
        else db.transactionSync((tx) => tx.put(index, key, value));
      } catch (error) {
        damageOnly(error);
        refused.add(`${name} ${String(key)}`);
      }
    }
  }
  return refused;
}

/** What an entry is changed to: longer than before, so that pages split. */
function newValue({ value }: Shape, key: unknown): unknown {
  const text = `new ${String(key).slice(0, 20)} `.repeat(12);
  return value === 'buffer' ? new Uint8Array(Buffer.from(text)) : text;
}

describe('a bit of a file on a real disk that is wrong', () => {
  let directory: string;
  let path: string;
  let program: string;
  let known: readonly KnownIndex[];
  let original: ReadonlyMap<string, Uint8Array>;
  beforeAll(async () => {
    directory = fs.mkdtempSync(join(os.tmpdir(), 'pagewright-flips-'));
    program = await bundle('../../../tests/store-process-program.ts', directory);
    path = join(directory, 'flipped.pw');
    const content = new KnownContent();
    const db = await open(path, { memory: '4MiB', pageSize: '4KiB' });
    await fillFirst(db, content);
    await db.checkpoint();
    await fillSecond(db, content);
    await untilIdle(() => new Map(filesOf(`${path}-wal`)));
    known = content.indexes();
    original = new Map([...filesOf(directory).filter(([file]) => file.startsWith(path)), ...filesOf(`${path}-wal`)]);
    await db.close();
  });
  afterAll(async () => {
    await endAll();
    fs.rmSync(directory, { recursive: true, force: true });
  });

  function filesOf(folder: string): [string, Uint8Array][] {
    const entries = fs.readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isFile());
    return entries.map(({ name }) => [join(folder, name), fs.readFileSync(join(folder, name))]);
  }

  /** Puts the files there as they were, but for one bit. */
  function restore(flipped?: { readonly file: string; readonly offset: number; readonly bit: number }): void {
    fs.mkdirSync(`${path}-wal`, { recursive: true });
    for (const [file] of [...filesOf(directory), ...filesOf(`${path}-wal`)]) if (file !== program) fs.rmSync(file);
    for (const [file, bytes] of original) {
      const copy = Buffer.from(bytes);
      if (file === flipped?.file) copy[flipped.offset]! ^= 1 << flipped.bit;
      fs.writeFileSync(file, copy);
    }
  }

  async function readOnce(what: string): Promise<void> {
    const db = await open(path, { memory: '4MiB' });
    const finding = await readAll(db, known, 'now');
    if (finding !== 'right') damageOnly(finding);
    await db.close();
    count(what, finding === 'right' ? 'right' : `${finding.code} when read`);
  }

  it('is told, or does not matter, in any file', async () => {
    for (const [file, bytes] of original) {
      if (file.endsWith('.lock')) continue;
      for (let round = 0; round < 25; round++) {
        restore({ file, offset: below(bytes.length), bit: below(8) });
        const what = `real: ${file === path ? 'page file' : 'log segment'}`;
        await readOnce(what).catch((error) => count(what, `${damageOnly(error).code} when opened`));
      }
    }
  });

  it('in the lock of a holder that died keeps nobody out for good', async () => {
    const [file, bytes] = [...original].find(([name]) => name.endsWith('.lock'))!;
    for (let offset = 0; offset < bytes.length; offset += 4) {
      restore({ file, offset, bit: below(8) });
      try {
        await readOnce('lock of the dead');
      } catch (error) {
        expect(error).toMatchObject({
          code: 'PW_LOCKED',
          details: { lockFile: file },
          message: expect.stringContaining(`remove ${file}`),
        });
        count('lock of the dead', 'PW_LOCKED, with what to do');
        fs.rmSync(file);
        await readOnce('lock of the dead, removed as advised');
      }
    }
  });

  it('in the lock of a holder that lives does not let another in', async () => {
    restore();
    fs.rmSync(`${path}.lock`);
    const holder = await start(program);
    expect(await tell(holder, { do: 'open', path })).toEqual({ outcome: 'done' });
    const file = `${path}.lock`;
    const bytes = fs.readFileSync(file);
    for (let offset = 0; offset < bytes.length; offset++) {
      const copy = Buffer.from(bytes);
      copy[offset]! ^= 1 << below(8);
      fs.writeFileSync(file, copy);
      const outcome = await open(path).then(
        async (db) => db.close().then(() => 'opened'),
        (error) => pagewrightOnly(error).code,
      );
      expect(outcome, `byte ${offset} of ${copy.toString('latin1')}`).toBe('PW_LOCKED');
      count('lock of the living', outcome);
    }
    fs.writeFileSync(file, bytes);
    expect(await tell(holder, { do: 'close' })).toEqual({ outcome: 'done' });
    expect(fs.existsSync(file)).toBe(false);
    await readOnce('lock of the living, closed');
  });
});
