/**
 * Whole files of closed stores, damaged anywhere, and opened by the whole engine: it has exactly the right data, or says
 * what is damaged. With all checksums made right after the damage, from the pages up to the superblocks, the data may be
 * another, and it still ends with no error but those of Pagewright.
 */
import { crc32 } from 'node:zlib';
import { bufferPool } from '@pagewright/bufferpool';
import {
  compose,
  definePlugin,
  type Engine,
  type ErrorCode,
  type IndexHandle,
  IO,
  type IoBackend,
  isPagewrightError,
  sizeClassOf,
  unitOf,
} from '@pagewright/core';
import { btree } from '@pagewright/index-btree';
import { mvcc } from '@pagewright/mvcc';
import { type FuzzSeed, type FuzzTarget, type Random, SimulatedDevice } from '@pagewright/testkit';
import { wal } from '@pagewright/wal';
import { expectThat, sameBytes } from './agreement.js';

const PATH = '/store/fuzzed.pw';
const PAGE_SIZE = 4096;
const SLOT = 4096;

const DAMAGE: readonly ErrorCode[] = [
  'PW_CORRUPT_FILE',
  'PW_CORRUPT_PAGE',
  'PW_CORRUPT_LOG',
  'PW_NOT_A_STORE',
  'PW_NOT_FOUND',
  'PW_FORMAT_VERSION',
  'PW_IO',
];
/** What a store may be refused with that was not damaged, but is another. */
const OTHERS: readonly ErrorCode[] = [
  'PW_POOL_EXHAUSTED',
  'PW_OPTION_INVALID',
  'PW_INDEX_UNKNOWN',
  'PW_INDEX_MISMATCH',
  'PW_ENCODING',
  'PW_KEY_EMPTY',
  'PW_KEY_TOO_LARGE',
  'PW_FULL',
];

/** What each index holds, in order. */
type Content = ReadonlyMap<string, readonly (readonly [key: Uint8Array, value: Uint8Array])[]>;

export const pageFiles: FuzzTarget<Content> = {
  name: 'whole page files',
  resizes: true,
  refusals: new Set([...DAMAGE, ...OTHERS]),
  async seeds(random) {
    return [await closedStore(random, 60), await closedStore(random, 250)];
  },
  repair: repairFile,
  async run(bytes, { context }, isRepaired) {
    const disk = new SimulatedDevice();
    disk.put(PATH, bytes);
    const readOnly = crc32(bytes) % 4 > 0;
    const db = await engineOn(disk, { readOnly, create: false }).catch((error) => expectAllowed(error, isRepaired));
    try {
      if (isRepaired) return await readWhateverThereIs(db);
      const names = db.indexes().map(({ name }) => name);
      expectThat(names.join() === [...context.keys()].join(), () => `the indexes are ${names.join()}`);
      for (const [name, entries] of context) await expectEntries(db, name, entries);
      return readOnly ? 'right' : 'right, opened for writing';
    } catch (error) {
      return expectAllowed(error, isRepaired);
    } finally {
      await db.close().catch((error) => expectAllowed(error, isRepaired));
    }
  },
};

/** Passes the error on if it may be. Without repair only damage is an excuse. */
function expectAllowed(error: unknown, isRepaired: boolean): never {
  if (isPagewrightError(error) && !isRepaired && !DAMAGE.includes(error.code))
    throw new Error(`damage is reported as ${error.code}: ${error.message}`, { cause: error });
  throw error;
}

function engineOn(
  disk: IoBackend,
  opening: { readonly readOnly: boolean; readonly create: boolean },
): Promise<Engine<'btree'>> {
  const given = definePlugin({
    name: 'the-disk-of-the-fuzzer',
    kind: 'io',
    contract: 1,
    provides: [IO],
    setup: (container) => {
      container.register(IO, { useValue: disk });
    },
  });
  return compose({
    io: given(),
    pages: bufferPool({ memory: '1MiB', ...(opening.create ? { pageSize: PAGE_SIZE } : {}) }),
    indexes: btree(),
    concurrency: mvcc(),
    log: wal({ commit: 'sync', segmentSize: '64KiB' }),
  }).open(PATH, opening);
}

function open(db: Engine<'btree'>, name: string): Promise<IndexHandle<Uint8Array, Uint8Array>> {
  return db.index<Uint8Array, Uint8Array>(name, { key: 'buffer', value: 'buffer' });
}

async function expectEntries(
  db: Engine<'btree'>,
  name: string,
  entries: readonly (readonly [Uint8Array, Uint8Array])[],
) {
  const index = await open(db, name);
  for (const reverse of [false, true]) {
    const wanted = reverse ? [...entries].reverse() : entries;
    let at = 0;
    for (const [key, value] of index.rangeSync({ reverse })) {
      const [wantedKey, wantedValue] = wanted[at++] ?? [];
      const isRight = wantedKey !== undefined && sameBytes(key, wantedKey) && sameBytes(value, wantedValue!);
      expectThat(isRight, () => `entry ${at - 1} of ${name} is wrong`);
    }
    expectThat(at === entries.length, () => `${name} ends after ${at} of ${entries.length} entries`);
  }
  for (let i = 0; i < entries.length; i += 7) {
    const [key, value] = entries[i]!;
    const found = await index.get(key);
    expectThat(found !== undefined && sameBytes(found, value), () => `a get of entry ${i} of ${name} is wrong`);
  }
}

async function readWhateverThereIs(db: Engine<'btree'>): Promise<string> {
  let entries = 0;
  for (const { name } of db.indexes()) {
    const index = await open(db, name);
    for (const [key] of index.rangeSync()) {
      if (++entries > 10_000) throw new Error('a range has more entries than the file has room for');
      index.getSync(key);
    }
  }
  return 'something';
}

async function closedStore(random: Random, entries: number): Promise<FuzzSeed<Content>> {
  const disk = new SimulatedDevice();
  const db = await engineOn(disk, { readOnly: false, create: true });
  const content = new Map<string, [Uint8Array, Uint8Array][]>();
  for (const [name, count, size] of [
    ['empty', 0, 0],
    ['large', 4, 9000],
    ['long', 14, 500],
    ['small', entries, 40],
  ] as const) {
    const index = await open(db, name);
    const found = new Map<string, [Uint8Array, Uint8Array]>();
    for (let i = 0; i < count; i++) {
      const key = random.fill(new Uint8Array(name === 'long' ? random.between(500, 1000) : random.between(1, 12)));
      found.set(Buffer.from(key).toString('latin1'), [key, random.fill(new Uint8Array(random.below(size)))]);
    }
    const sorted = [...found.values()].sort(([a], [b]) => Buffer.compare(a, b));
    content.set(name, sorted);
    await index.batch(sorted.map(([key, value]) => ({ type: 'put' as const, key, value })));
    if (name === 'large') await db.checkpoint();
  }
  await db.close();
  const fields = [
    { start: 0, end: 88 },
    { start: SLOT, end: SLOT + 88 },
  ];
  const bytes = disk.contentOf(PATH);
  for (let page = 2 * SLOT; page + PAGE_SIZE <= bytes.length; page += PAGE_SIZE) {
    if (bytes.subarray(page, page + 64).some((byte) => byte !== 0)) fields.push({ start: page, end: page + 160 });
  }
  return { bytes, context: content, fields };
}

// ── Checksums ────────────────────────────────────────────────────────────────────────────────────────────────────

const DEEPEST = 12;

/** Makes all checksums right, from the leaves up to both superblocks, as far as they can be found. */
function repairFile(bytes: Uint8Array): void {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  for (const slot of [0, SLOT]) {
    if (slot + SLOT > file.length) return;
    for (const at of [56, 64]) {
      const checksum = repairExtent(file, file.readUInt32LE(slot + at), at === 56 ? 0 : DEEPEST);
      if (checksum !== null) file.writeUInt32LE(checksum, slot + at + 4);
    }
    file.writeUInt32LE(0, slot + 12);
    file.writeUInt32LE(crc32(file.subarray(slot, slot + SLOT)), slot + 12);
  }
}

/** The checksum of an extent whose swips have right ones; null if there is no such extent. */
function repairExtent(file: Buffer, address: number, depth: number): number | null {
  if (address === 0 || sizeClassOf(address) > 8) return null;
  const start = unitOf(address) * PAGE_SIZE;
  const end = start + PAGE_SIZE * 2 ** sizeClassOf(address);
  if (end > file.length) return null;
  const count = depth < DEEPEST ? file.readUInt16LE(start + 20) : 0;
  for (let swip = 0; swip < count; swip++) {
    const at = start + file.readUInt32LE(start + 16) + swip * file.readUInt16LE(start + 22);
    if (at + 8 > end) break;
    const word = file.readUInt32LE(at);
    if ((word & 3) !== 3) continue;
    const checksum = repairExtent(file, word >>> 2, depth + 1);
    if (checksum !== null) file.writeUInt32LE(checksum, at + 4);
  }
  return crc32(file.subarray(start, end));
}
