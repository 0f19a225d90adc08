/** What recovery makes of records that do not follow from each other. */
import { BufferPool } from '@pagewright/bufferpool';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Catalog } from '../../src/engine/catalog.js';
import { encodeDescription } from '../../src/engine/index-description.js';
import { encodeStamp } from '../../src/engine/loaded-tree.js';
import { Recovery } from '../../src/engine/recovery.js';
import {
  type LogOperation,
  OPERATION_CLEAR_INDEX,
  OPERATION_CREATE_INDEX,
  OPERATION_DELETE,
  OPERATION_DROP_INDEX,
  OPERATION_LOAD_INDEX,
  OPERATION_PUT,
} from '../../src/index.js';
import { FanIndexType } from './fan-index.js';
import { codeOf, Rig } from './rig.js';

let rig: Rig;
let pages: BufferPool;
let catalog: Catalog;

beforeEach(async () => {
  rig = new Rig();
  pages = new BufferPool({ memory: 4 << 20, pageSize: 4096 });
  await pages.open({ path: rig.file, io: rig.io, create: true, errorIfExists: false, readOnly: false });
  catalog = Catalog.open(pages, [new FanIndexType()], { create: true, timestamp: 0 });
});

afterEach(async () => {
  await pages.close();
  await rig.end();
});

/** What an operation leaves out is nothing; `after` says that timestamps are left out before a record. */
function replay(
  records: readonly [number, ...Partial<LogOperation>[]][],
  after: Readonly<Record<number, number>> = {},
) {
  const nothing = Buffer.alloc(0);
  async function* read() {
    for (const [timestamp, ...operations] of records) {
      const whole = operations.map((operation) => ({ kind: 0, index: 1, key: nothing, value: nothing, ...operation }));
      const gap = after[timestamp];
      yield { timestamp, dependsOn: 0, time: 0, operations: whole, ...(gap !== undefined && { after: gap }) };
    }
  }
  const recovery = new Recovery(pages, catalog, catalog.types, 0);
  return recovery.replay({
    records: read,
    bytes: 100,
    passedBytes: () => 50,
    tornBytes: () => 7,
    lastTimestamp: () => 9,
    givenUp: () => null,
  });
}

const create = {
  kind: OPERATION_CREATE_INDEX,
  key: encodeDescription({ name: 'index', type: 'fan', keyEncoding: 'utf8', valueEncoding: 'json' }),
};
const put = { kind: OPERATION_PUT, key: Buffer.from('k'), value: Buffer.from('v') };

test('operations on numbers that are dead are of no effect (T7)', async () => {
  const result = await replay([
    [1, create],
    [2, put],
    [3, { kind: OPERATION_DROP_INDEX }],
    [4, put, { kind: OPERATION_DELETE, key: Buffer.from('k') }],
    [5, { kind: OPERATION_CLEAR_INDEX }],
    [6, { ...create, index: 2 }],
    [7, { ...put, index: 9 }],
  ]);
  expect(result).toMatchObject({ records: 7, transactions: 3, tornBytes: 7 });
  expect([...catalog.byNumber.keys()]).toEqual([2]);
  expect(catalog.nextNumber).toBe(3);
});

test('a bulk load whose tree the checkpoint does not have is PW_CORRUPT_LOG', async () => {
  const load = { kind: OPERATION_LOAD_INDEX, key: encodeStamp(7) };
  const missing = replay([
    [1, create],
    [2, load],
  ]);
  await expect(missing).rejects.toMatchObject({ code: 'PW_CORRUPT_LOG', details: { index: 'index', timestamp: 2 } });
});

test('a bulk load of an index that was dropped is of no effect (T7)', async () => {
  const load = { kind: OPERATION_LOAD_INDEX, key: encodeStamp(7) };
  await replay([
    [1, create],
    [2, { kind: OPERATION_DROP_INDEX }],
    [3, load],
  ]);
  expect(catalog.byNumber.size).toBe(0);
});

test.each([
  [new Uint8Array(0)],
  [new Uint8Array(7)],
  [new Uint8Array(9)],
  [new Uint8Array(8).fill(0xff)],
])('a bulk load that names its tree by %s is PW_CORRUPT_LOG', async (key) => {
  const log = replay([
    [1, create],
    [2, { kind: OPERATION_LOAD_INDEX, key }],
  ]);
  expect(await codeOf(() => log)).toBe('PW_CORRUPT_LOG');
});

test('a commit that is missing is PW_CORRUPT_LOG', async () => {
  const gap = replay([
    [1, create],
    [3, put],
  ]);
  await expect(gap).rejects.toMatchObject({ code: 'PW_CORRUPT_LOG', details: { expected: 2, found: 3 } });
});

test('timestamps may be left out where the log says so, and nowhere else', async () => {
  const records: Parameters<typeof replay>[0] = [
    [1, create],
    [4, put],
    [5, put],
  ];
  expect(await replay(records, { 4: 1 })).toMatchObject({ records: 3, transactions: 2 });
  expect(await codeOf(() => replay([[5, put]], { 5: 2 }))).toBe('PW_CORRUPT_LOG');
  expect(await codeOf(() => replay([[1, create]], { 1: 1 }))).toBe('PW_CORRUPT_LOG');
});

test('an operation of a kind that is not known is PW_CORRUPT_LOG', async () => {
  expect(
    await codeOf(() =>
      replay([
        [1, create],
        [2, { kind: 99 }],
      ]),
    ),
  ).toBe('PW_CORRUPT_LOG');
});

test('an index whose description cannot be read is PW_CORRUPT_LOG', async () => {
  expect(await codeOf(() => replay([[1, { ...create, key: Buffer.from('?') }]]))).toBe('PW_CORRUPT_LOG');
});
