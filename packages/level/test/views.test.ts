/** Keys, values and bounds are the bytes of what the program gives, whatever kind of view it is; of memory that is gone there are none, and it is refused. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { PagewrightLevel } from '../src/index.js';
import { codesOf, Rig } from './rig.js';

type Bytes = Uint8Array;
type Database = PagewrightLevel<Bytes, Bytes>;

let rig: Rig;
let db: Database;
beforeEach(async () => {
  rig = new Rig();
  db = await rig.open<Bytes, Bytes>({ keyEncoding: 'view', valueEncoding: 'view' });
});
afterEach(() => rig.end());

/** Views of the same bytes, in the midst of memory, given where types ask for a Uint8Array. */
const KINDS: { readonly [kind: string]: (text: string) => Bytes } = {
  Uint8Array: (text) => midst(text, (memory, at, length) => new Uint8Array(memory, at, length)),
  Buffer: (text) => midst(text, (memory, at, length) => Buffer.from(memory, at, length)),
  DataView: (text) => midst(text, (memory, at, length) => new DataView(memory, at, length)),
  Int8Array: (text) => midst(text, (memory, at, length) => new Int8Array(memory, at, length)),
  Uint16Array: (text) => midst(text, (memory, at, length) => new Uint16Array(memory, at, length / 2)),
  Uint32Array: (text) => midst(text, (memory, at, length) => new Uint32Array(memory, at, length / 4)),
  Float64Array: (text) => midst(text, (memory, at, length) => new Float64Array(memory, at, length / 8)),
};

function midst(text: string, view: (memory: ArrayBuffer, at: number, length: number) => ArrayBufferView): Bytes {
  const bytes = Buffer.from(text, 'latin1');
  const memory = new ArrayBuffer(bytes.length + 16);
  new Uint8Array(memory).fill(0xee).set(bytes, 8);
  return view(memory, 8, bytes.length) as Bytes;
}

/** Eight bytes, of which all kinds have whole elements. */
const keyOf = (letter: string): string => `key .. ${letter}`;
const text = (bytes: Bytes | undefined): string | undefined =>
  bytes === undefined ? undefined : Buffer.from(bytes).toString('latin1');
const texts = (all: readonly (Bytes | undefined)[]): (string | undefined)[] => all.map(text);
const letters = async (keys: Promise<Bytes[]>): Promise<string> =>
  (await keys).map((key) => text(key)!.slice(-1)).join('');

/** The database, and a sublevel of a sublevel: they write what begins with a prefix through one another. */
const LEVELS: { readonly [name: string]: () => Database } = {
  'a database': () => db,
  'a sublevel': () => sublevelOf(db, 'one'),
  'a sublevel of a sublevel': () => sublevelOf(sublevelOf(db, 'one'), 'two'),
};

function sublevelOf(level: Database, name: string): Database {
  return level.sublevel<Bytes, Bytes>(name, { keyEncoding: 'view', valueEncoding: 'view' }) as unknown as Database;
}

/** What the options of a transaction have for it. */
const within = (level: Database): object => (level === db ? {} : { sublevel: level, keyEncoding: 'view' });

describe.each(Object.keys(LEVELS))('of %s', (name) => {
  let level: Database;
  beforeEach(() => {
    level = LEVELS[name]!();
  });

  test.each(Object.keys(KINDS))('a %s is its bytes', async (kind) => {
    const as = KINDS[kind]!;
    const plain = KINDS.Uint8Array!;
    await level.put(as(keyOf('a')), as('value  a'));
    await level.batch([{ type: 'put', key: as(keyOf('b')), value: as('value  b') }]);
    await level
      .batch()
      .put(as(keyOf('c')), as('value  c'))
      .write();
    await db.batch([{ type: 'put', key: as(keyOf('d')), value: as('value  d'), ...within(level) } as never]);
    await db.transaction((tx) => tx.put(as(keyOf('e')), as('value  e'), within(level)));
    // Zeros only, of which there is one more in the index.
    await level.put(as('\0'.repeat(8)), as('zeros...'));

    const entries = ['a', 'b', 'c', 'd', 'e'].map((letter) => [keyOf(letter), `value  ${letter}`]);
    const all = [['\0'.repeat(8), 'zeros...'], ...entries];
    const read = await level.iterator({ gte: plain('') }).all();
    expect(read.map(texts)).toEqual(all);

    const [first, none] = [as(keyOf('a')), as(keyOf('z'))];
    expect(texts([await level.get(first), level.getSync(first), level.getSync(first, {})])).toEqual(
      Array(3).fill('value  a'),
    );
    expect(texts(await level.getMany([first, none, as('\0'.repeat(8))]))).toEqual(['value  a', undefined, 'zeros...']);
    expect([await level.has(first), await level.has(none)]).toEqual([true, false]);
    expect(await level.hasMany([first, none])).toEqual([true, false]);
    await db.transaction(async (tx) => {
      const options = within(level);
      const got = [await tx.get(first, options), tx.getSync(first, options), ...(await tx.getMany([first], options))];
      expect(texts(got)).toEqual(Array(3).fill('value  a'));
      expect(await tx.has(first, options)).toBe(true);
      expect(await letters(tx.keys({ gt: as(keyOf('b')), lte: as(keyOf('d')), ...options }).all())).toBe('cd');
      const iterator = tx.keys({ gte: first, ...options });
      iterator.seek(as(keyOf('d')));
      expect(await letters(iterator.all())).toBe('de');
    });

    for (const [range, found] of [
      [{ gte: as(keyOf('b')), lt: as(keyOf('d')) }, 'bc'],
      [{ gt: as(keyOf('b')), lte: as(keyOf('d')) }, 'cd'],
    ] as const) {
      expect(await letters(level.keys(range).all())).toBe(found);
      expect(await letters(level.values(range).all())).toBe(found);
      expect(texts((await level.iterator(range).next()) ?? [])).toEqual([keyOf(found[0]!), `value  ${found[0]}`]);
    }
    for (const iterator of [level.keys(), level.values()]) {
      iterator.seek(as(keyOf('d')));
      expect(await letters(iterator.all() as Promise<Bytes[]>)).toBe('de');
    }
    const pairs = level.iterator();
    pairs.seek(as(keyOf('e')));
    expect((await pairs.all()).map(texts)).toEqual([[keyOf('e'), 'value  e']]);

    await level.del(as(keyOf('a')));
    await db.transaction((tx) => tx.del(as(keyOf('b')), within(level)));
    expect(await letters(level.keys({ gt: as('\0'.repeat(8)) }).all())).toBe('cde');
    await level.clear({ gte: as(keyOf('d')) });
    expect(await letters(level.keys({ gt: as('\0'.repeat(8)) }).all())).toBe('c');
    await level.clear({ gt: as('\0'.repeat(8)), lt: as(keyOf('d')) });
    expect(texts(await level.keys().all())).toEqual(['\0'.repeat(8)]);
  });

  test.each([
    'view',
    'buffer',
    'utf8',
  ])('what has no memory any more is refused as a key, and nothing is changed, with encoding %s', async (encoding) => {
    const there = KINDS.Uint8Array!;
    // It would be the first to be overwritten, or cleared.
    await level.put(there(''), there('empty'));
    await level.put(there(keyOf('a')), there('value'));
    const options = { keyEncoding: encoding as 'view' };
    const inside = { ...within(level), ...options };
    for (const gone of goneViews()) {
      const calls = [
        () => level.get(gone, options),
        () => level.getSync(gone, options),
        () => level.getMany([there(keyOf('a')), gone], options),
        () => level.has(gone, options),
        () => level.hasMany([gone], options),
        () => level.put(gone, there('new'), { ...options, valueEncoding: 'view' }),
        () => level.del(gone, options),
        () => level.batch([{ type: 'put', key: gone, value: there('new'), ...options }]),
        async () => level.batch().put(gone, there('new'), options).write(),
        async () => level.batch().del(gone, options).write(),
        () => level.clear({ gte: gone, ...options }),
        () => level.clear({ lt: gone, ...options }),
        async () => level.iterator({ gt: gone, ...options }).all(),
        async () => level.keys({ lte: gone, ...options }).all(),
        async () => level.values({ gte: gone, ...options }).all(),
        async () => level.iterator().seek(gone, options),
        async () => level.keys().seek(gone, options),
        async () => level.values().seek(gone, options),
        () => db.transaction((tx) => tx.get(gone, inside)),
        () => db.transaction((tx) => tx.getSync(gone, inside)),
        () => db.transaction((tx) => tx.getMany([gone], inside)),
        () => db.transaction((tx) => tx.has(gone, inside)),
        () => db.transaction((tx) => tx.put(gone, there('new'), inside)),
        () => db.transaction((tx) => tx.del(gone, inside)),
        () => db.transaction((tx) => tx.iterator({ gte: gone, ...inside }).all()),
        () => db.transaction((tx) => tx.keys({ lt: gone, ...inside }).all()),
        () => db.transaction((tx) => tx.values({ gt: gone, ...inside }).all()),
        () => db.transaction((tx) => tx.keys({ ...inside }).seek(gone, options)),
      ];
      for (const call of calls)
        expect([String(call), (await codesOf(call))[0]]).toEqual([String(call), 'LEVEL_INVALID_KEY']);
    }
    expect((await level.iterator().all()).map(texts)).toEqual([
      ['', 'empty'],
      [keyOf('a'), 'value'],
    ]);
  });

  test.each(['view', 'buffer', 'utf8'])('… and as a value, with encoding %s', async (encoding) => {
    const key = KINDS.Uint8Array!(keyOf('a'));
    const options = { valueEncoding: encoding as 'view' };
    const inside = { ...within(level), ...options };
    for (const gone of goneViews()) {
      const calls = [
        () => level.put(key, gone, options),
        () => level.batch([{ type: 'put', key, value: gone, ...options }]),
        async () => level.batch().put(key, gone, options).write(),
        () => db.transaction((tx) => tx.put(key, gone, inside)),
      ];
      for (const call of calls)
        expect([String(call), (await codesOf(call))[0]]).toEqual([String(call), 'LEVEL_INVALID_VALUE']);
    }
    expect(await level.iterator().all()).toEqual([]);
  });
});

test('views of no bytes are empty, and not refused', async () => {
  for (const as of Object.values(KINDS)) {
    await db.put(as(''), as(''));
    expect((await db.iterator({ gte: as('') }).all()).map(texts)).toEqual([['', '']]);
    await db.del(as(''));
    expect(await db.has(as(''))).toBe(false);
  }
});

test('what hooks make of a write is its bytes too, or is refused', async () => {
  const gone = goneViews();
  let key: Bytes = KINDS.Uint16Array!(keyOf('b'));
  db.hooks.prewrite.add((op) => {
    op.key = key;
  });
  await db.put(KINDS.Uint8Array!(keyOf('a')), KINDS.Uint8Array!('value'));
  await db.transaction((tx) => tx.put(KINDS.Uint8Array!(keyOf('a')), KINDS.Uint8Array!('value')));
  expect(texts(await db.keys().all())).toEqual([keyOf('b')]);
  for (key of gone) {
    const write = () => db.put(KINDS.Uint8Array!(keyOf('a')), KINDS.Uint8Array!('other'));
    expect(await codesOf(write)).toContain('LEVEL_INVALID_KEY');
  }
  expect((await db.iterator().all()).map(texts)).toEqual([[keyOf('b'), 'value']]);
});

test('iterators that are made while the database is opened refuse a target whose memory is gone', async () => {
  await db.close();
  const opening = db.open();
  const iterator = db.keys();
  for (const gone of goneViews()) {
    expect(await codesOf(() => iterator.seek(gone, { keyEncoding: 'utf8' as never }))).toEqual([
      'LEVEL_INVALID_KEY',
      undefined,
    ]);
  }
  await opening;
  await iterator.close();
});

/** Views of memory that was transferred, and of memory that was made shorter. */
function goneViews(): Bytes[] {
  const gone: ArrayBufferView[] = [
    new Uint8Array(8),
    Buffer.from(new ArrayBuffer(8)),
    new DataView(new ArrayBuffer(8)),
    new Uint16Array(4),
    new Float64Array(1),
  ];
  for (const { buffer } of gone) structuredClone(buffer, { transfer: [buffer as ArrayBuffer] });
  const shorter = [
    new Uint8Array(resizable(), 4, 4),
    new Uint32Array(resizable(), 4, 1),
    new DataView(resizable(), 4, 4),
  ];
  for (const { buffer } of shorter) (buffer as Resizable).resize(2);
  return [...gone, ...shorter] as Bytes[];
}

interface Resizable extends ArrayBuffer {
  resize(bytes: number): void;
}

function resizable(): ArrayBuffer {
  return new (ArrayBuffer as new (bytes: number, options: object) => ArrayBuffer)(8, { maxByteLength: 8 });
}
