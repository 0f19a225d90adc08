/** Clauses about keys and values of every shape within the limits, and the orders in which they come and go. */
import { MAX_PAGE_SIZE, MIN_PAGE_SIZE } from '@pagewright/core';
import { Random } from '../random.js';
import { valueBytes } from './index-plugin-model.js';
import {
  codeOf,
  expect,
  type IndexClause,
  type IndexUnderTest,
  modelOf,
  naming,
  withSeeds,
} from './index-plugin-subject.js';

const PAGE_SIZES: readonly number[] = powersOfTwo(MIN_PAGE_SIZE, MAX_PAGE_SIZE);

export const KEY_CLAUSES: readonly IndexClause[] = [
  keysClause('keys-of-every-length', 'takes keys of every length from 1 byte to the largest', (longest) => {
    const step = Math.max(1, Math.floor(longest / 1024));
    const lengths = Array.from({ length: Math.ceil(longest / step) }, (_, at) => 1 + at * step);
    return [...lengths, longest].map((length) => String(length).padEnd(length, '·').slice(0, length));
  }),
  keysClause('keys-that-are-prefixes', 'tells keys apart that are prefixes of one another', (longest) =>
    ['x', 'x\x00', '\x00', 'xy'].flatMap((unit) =>
      Array.from({ length: 120 }, (_, at) => unit.repeat(at + 1).slice(0, longest)),
    ),
  ),
  keysClause('keys-of-all-bytes', 'sorts keys of all byte values as unsigned bytes', () =>
    Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte)).flatMap((byte) => [
      byte,
      `${byte}\x00`,
      `${byte}\xff`,
      `\x80${byte}`,
      `head${byte}`,
    ]),
  ),
  keysClause(
    'keys-with-a-long-prefix',
    'keeps keys with a long common prefix apart, and beside keys without it',
    (longest) => {
      const prefix = 'the/prefix/that/they/share/'.repeat(200).slice(0, Math.max(0, longest - 4));
      const within = Array.from({ length: 300 }, (_, at) => prefix + String(at).padStart(4, '0'));
      return [...within, 'a', 'z', `${prefix.slice(0, prefix.length >>> 1)}z`, prefix, `${prefix}\xff`];
    },
  ),
  keysClause('keys-with-equal-heads', 'keeps keys apart whose first four or eight bytes are equal', () =>
    Array.from({ length: 200 }, (_, at) =>
      ['head', 'headhead', '\x00\x00\x00\x00', '\xff\xff\xff\xff'].map((head) => head + at),
    )
      .flat()
      .concat(['head', 'headhead', 'hea', '\x00\x00\x00\x00', '\x00\x00\x00', '\xff\xff\xff\xff', '\xff\xff\xff']),
  ),
  keysClause('keys-of-zeros-and-ones', 'keeps runs of 0x00 and 0xff of different lengths apart', () =>
    Array.from({ length: 40 }, (_, at) => at + 1).flatMap((length) => [
      '\x00'.repeat(length),
      '\xff'.repeat(length),
      `${'\x00'.repeat(length)}\xff`,
      `${'\xff'.repeat(length)}\x00`,
      `k${'\x00'.repeat(length)}`,
    ]),
  ),
  {
    id: 'values-of-every-size',
    says: 'keeps values of every size up to the largest, at the edges of every size class, as they grow and shrink',
    check(subject) {
      const model = modelOf(subject, { maxSizeClass: 4, frames: 8192 });
      const { maxValueSize } = model.limits;
      const { pageSize, maxSizeClass } = model.pages;
      const edges = [pageSize / 16, pageSize / 8, pageSize / 4, pageSize / 2];
      for (let sizeClass = 0; sizeClass <= maxSizeClass; sizeClass++) edges.push(pageSize << sizeClass);
      const around = edges.flatMap((edge) =>
        [-65, -64, -41, -40, -39, -32, -9, -8, -1, 0, 1, 8].map((by) => edge + by),
      );
      const lengths = [0, 1, 2, 7, 8, 9, ...around, maxValueSize - 1, maxValueSize].filter(
        (length) => length >= 0 && length <= maxValueSize,
      );
      for (const [at, length] of lengths.entries()) model.put(`value/${at}`, at & 0xff, valueBytes(at, length));
      model.expectAgreement();
      for (const [at] of lengths.entries())
        model.put(`value/${at}`, 1, valueBytes(at, lengths[lengths.length - 1 - at]!));
      model.expectAgreement();
    },
  },
  orderClause('order-ascending', 'takes entries in ascending order', (keys) => keys),
  orderClause('order-descending', 'takes entries in descending order', (keys) => keys.reverse()),
  orderClause('order-random', 'takes entries in random order', (keys, random) => random.shuffle(keys)),
  orderClause('order-interleaved', 'takes entries of many runs, up and down, in turn', (keys) => {
    const half = keys.length >>> 1;
    return keys
      .map((_, at) => (at % 2 === 0 ? keys[at >>> 1]! : keys[keys.length - 1 - (at >>> 1)]!))
      .slice(0, 2 * half);
  }),
  {
    id: 'limits-stated',
    says: 'states limits for every page size: keys of 1 byte at least, in whole bytes',
    rules: ['X3'],
    check({ type }) {
      for (const pageSize of PAGE_SIZES) {
        for (const maxSizeClass of [0, 1, 8]) {
          const { maxKeySize, maxValueSize } = type.limits(pageSize, maxSizeClass);
          const areLimits =
            Number.isSafeInteger(maxKeySize) &&
            Number.isSafeInteger(maxValueSize) &&
            maxKeySize >= 1 &&
            maxValueSize >= 0;
          expect(areLimits, `Pages of ${pageSize} bytes have the limits ${maxKeySize} and ${maxValueSize}`);
        }
      }
    },
  },
  {
    id: 'keys-beyond-limits',
    says: 'refuses to put a key without bytes, or with more than its limit, and loses nothing by it',
    check(subject) {
      const model = modelOf(subject);
      const { maxKeySize } = model.limits;
      const put = (length: number): void =>
        model.index.upsert(new Uint8Array(length).fill(0x6b), 0, valueBytes(length, 8), model.timestamp + 1);
      for (let round = 0; round < 300; round++)
        model.put(`k${'k'.repeat(round % 50)}/${round}`, 1, valueBytes(round, 20));
      for (const [length, code] of [
        [0, 'PW_KEY_EMPTY'],
        [maxKeySize + 1, 'PW_KEY_TOO_LARGE'],
        [2 * maxKeySize, 'PW_KEY_TOO_LARGE'],
      ] as const) {
        const met = codeOf(() => put(length));
        expect(met === code, `A key of ${length} bytes, of ${maxKeySize} at most, is ${met} and not ${code}`);
        model.expectAgreement();
        const load = modelOf(subject).index.bulkLoad?.(2, 1);
        const loaded = codeOf(() => load?.add(new Uint8Array(length), valueBytes(length, 8)));
        expect(
          load === undefined || loaded === code,
          `In a load, a key of ${length} bytes is ${loaded} and not ${code}`,
        );
      }
      for (let round = 0; round < 300; round++) model.put(`k/${round}`, 1, valueBytes(round, 20));
      model.expectAgreement();
    },
  },
  {
    id: 'limits-taken',
    says: 'takes every key and value within its limits, on pages of every size',
    rules: ['X3'],
    check(subject) {
      withSeeds(subject, (seed) => {
        for (const [at, pageSize] of PAGE_SIZES.entries()) {
          const maxSizeClass = at % 2 === 0 ? 2 : 0;
          try {
            takeLimits(subject, pageSize, maxSizeClass, new Random(seed));
          } catch (error) {
            throw naming(`on pages of ${pageSize} bytes up to class ${maxSizeClass}`, error);
          }
        }
      });
    },
  },
];

/** Keys of one shape: put in random order, looked up, scanned from each of them, removed and put back in part. */
function keysClause(id: string, says: string, shape: (longest: number) => string[]): IndexClause {
  return {
    id,
    says,
    check(subject) {
      const model = modelOf(subject, { frames: 16_384 });
      const longest = model.limits.maxKeySize;
      const keys = [...new Set(shape(longest).map((key) => key.slice(0, longest)))];
      const random = new Random(subject.seed ?? 1);
      for (const [at, key] of random.shuffle(keys).entries()) model.put(key, at & 0xff, valueBytes(at, at % 30));
      model.expectAgreement();
      for (const reverse of [false, true])
        for (const from of keys.slice(0, 60))
          for (const exclusive of [false, true]) model.expectScan({ from, exclusive, reverse }, 50, 3);
      for (const key of keys.slice(0, keys.length >>> 1)) model.remove(key);
      model.expectAgreement();
      for (const key of keys.slice(0, keys.length >>> 2)) model.put(key, 9, valueBytes(9, 12));
      model.expectAgreement();
      for (const key of random.shuffle(keys)) model.remove(key);
      model.expectAgreement();
    },
  };
}

/** Entries put in an order, removed down to nothing in the same one, and put again. */
function orderClause(id: string, says: string, order: (keys: string[], random: Random) => string[]): IndexClause {
  return {
    id,
    says: `${says}, gives them up in that order down to nothing, and takes them again`,
    check(subject) {
      const model = modelOf(subject);
      const ascending = Array.from({ length: 1200 }, (_, at) => `run/${at % 6}/${String(at).padStart(6, '0')}`).sort();
      const random = new Random(subject.seed ?? 1);
      const put = () => {
        for (const [at, key] of order([...ascending], random).entries())
          model.put(key, at & 0xff, valueBytes(at, (at * 13) % 120));
        model.expectAgreement();
      };
      put();
      const leaving = order([...ascending], random);
      for (const [at, key] of leaving.entries()) {
        model.remove(key);
        if (at % 300 === 0) model.expectAgreement();
      }
      for (const key of ascending) model.remove(key);
      model.expectAgreement();
      put();
    },
  };
}

/** Keys and values at the limits, in all combinations, and in the order that makes separators as long as keys. */
function takeLimits(subject: IndexUnderTest, pageSize: number, maxSizeClass: number, random: Random): void {
  const model = modelOf(subject, { pageSize, maxSizeClass, frames: 8192 });
  const { maxKeySize, maxValueSize } = model.limits;
  const fractions = [16, 8, 4, 3, 2, 1].map((part) => Math.floor(pageSize / part));
  const lengths = [0, 1, ...fractions, maxValueSize]
    .flatMap((length) => [length - 8, length - 1, length, length + 1])
    .filter((length, at, all) => length >= 0 && length <= maxValueSize && all.indexOf(length) === at);
  const keys = [0, 1, 2, 7, 8]
    .map((short) => Math.max(1, maxKeySize - short))
    .flatMap((length) => ['p', '\x00', '\xff'].map((first) => first.padEnd(length, 'k')));
  for (const length of random.shuffle([...lengths])) {
    for (const key of random.shuffle([...keys]).slice(0, length === 0 || length === maxValueSize ? keys.length : 3)) {
      const last = String.fromCharCode(random.below(256));
      model.put(key.slice(0, -1) + last, random.below(256), valueBytes(length, length));
    }
  }
  model.expectAgreement();
  const longLeast = Math.min(maxValueSize, Math.floor(pageSize / 4));
  for (const [at, key] of staggeredPairs(maxKeySize, 60).entries())
    model.put(key, 1, valueBytes(at, at % 2 === 0 ? 0 : longLeast));
  model.expectAgreement();
  for (const key of random.shuffle([...model.sorted])) model.remove(key);
  model.expectAgreement();
}

/** Keys of the full length, two of which each differ in the last byte alone, in an order that parts the two of a pair. */
function staggeredPairs(length: number, count: number): string[] {
  const pair = (at: number) => String.fromCharCode(33 + (at >>> 1)).padEnd(length - 1, 'k') + (at & 1);
  const keys: string[] = [];
  for (let at = count - 2; at >= 0; at -= 2) keys.push(pair(at + 1).slice(0, length), pair(at + 2).slice(0, length));
  return keys;
}

function powersOfTwo(from: number, to: number): number[] {
  return from > to ? [] : [from, ...powersOfTwo(from * 2, to)];
}
