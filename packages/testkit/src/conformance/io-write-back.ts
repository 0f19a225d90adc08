/** Clauses of the I/O contract about bringing a range of a file to the device, for backends that can. */
import assert from 'node:assert/strict';
import type { IoFile } from '@pagewright/core';
import {
  afterCrash,
  assertSame,
  contentOf,
  errorOf,
  fileClause,
  type IoClause,
  pattern,
  withFile,
} from './io-subject.js';

const FAR_BEYOND = 2 ** 40;

export const WRITE_BACK_CLAUSES: readonly IoClause[] = [
  fileClause(
    {
      id: 'write-back',
      says: 'brings any range of a file to the device, as often as asked, says so, and changes nothing by it',
      needs: ['writeBack'],
    },
    async (file) => {
      const bytes = pattern(300_000, 1);
      await file.write(bytes, 0);
      for (const [offset, length] of RANGES) {
        assert.equal(await writeBack(file, offset, length), true, `${length} bytes at ${offset}`);
        await file.write(bytes.subarray(1000, 1100), 1000);
      }
      await Promise.all(RANGES.map(([offset, length]) => writeBack(file, offset, length)));
      assertSame(contentOf(file), bytes, 'a file that was brought to the device');
    },
  ),
  {
    id: 'sync-after-write-back',
    says: 'makes durable by a sync what was written, whether or not it was brought to the device before, also what was written meanwhile',
    needs: ['writeBack', 'crash'],
    async check(subject) {
      const { backend, directory } = subject;
      const file = await backend.open(`${directory}/file`, { create: true });
      await backend.syncDirectory(directory);
      const bytes = pattern(50_000, 2);
      await file.write(bytes.subarray(0, 20_000), 0);
      const isBack = writeBack(file, 0, 10_000);
      await file.write(bytes.subarray(20_000), 20_000);
      await isBack;
      await file.sync();
      const after = await afterCrash(subject);
      await withFile(after, 'file', { readOnly: true }, (left) =>
        assertSame(contentOf(left), bytes, 'what was synced'),
      );
    },
  },
  fileClause(
    {
      id: 'write-back-refused',
      says: 'refuses to bring out what is no range, and anything of a file that is open for reading alone, or closed',
      needs: ['writeBack'],
    },
    async (file, subject) => {
      await file.write(pattern(100, 1), 0);
      for (const [offset, length] of NO_RANGES) {
        const refused = { code: 'PW_ARGUMENT', details: { path: file.path } } as const;
        await errorOf(`bringing out ${length} bytes at ${offset}`, () => writeBack(file, offset, length), refused);
      }
      await withFile(subject, 'file', { readOnly: true }, (reader) =>
        errorOf('bringing out what is open for reading', () => writeBack(reader, 0, 1), { code: 'PW_READ_ONLY' }),
      );
      const closed = await subject.backend.open(file.path, {});
      await closed.close();
      await errorOf('bringing out a closed file', () => writeBack(closed, 0, 1), { code: 'PW_CLOSED' });
    },
  ),
];

/** Where they begin and how long they are. */
const RANGES = [
  [0, 300_000],
  [0, 1],
  [4096, 8192],
  [777, 100_001],
  [0, 0],
  [299_999, 1],
  [300_000, 1],
  [0, FAR_BEYOND],
  [FAR_BEYOND, 1],
] as const;

const NO_RANGES = [
  [-1, 1],
  [0, -1],
  [0.5, 1],
  [0, 1.5],
  [Number.NaN, 1],
  [0, Number.NaN],
  [0, Number.POSITIVE_INFINITY],
  [2 ** 53 - 1, 1],
] as const;

function writeBack(file: IoFile, offset: number, length: number): Promise<boolean> {
  assert.ok(file.writeBack !== undefined, 'the backend is said to bring ranges to the device, and has no writeBack');
  return file.writeBack(offset, length);
}
