/** Clauses of the I/O contract about how long a file is: sizes, truncation, allocation. */
import assert from 'node:assert/strict';
import { assertSame, contentOf, FORMS, fileClause, type IoClause, pattern } from './io-subject.js';

/** In each form, with blocks that are written and with blocks that may be set aside alone. */
const ALLOCATIONS = FORMS.flatMap((form) => [{}, { writeZeros: false }].map((options) => [form, options] as const));

export const SIZE_CLAUSES: readonly IoClause[] = [
  fileClause({ id: 'size', says: 'knows its length in bytes after every operation' }, async (file) => {
    assert.equal(file.size(), 0, 'a new file is not empty');
    for (const form of FORMS) {
      const sizes: number[] = [];
      await form.truncate(file, 0);
      await form.write(file, pattern(100, 1), 0);
      sizes.push(file.size());
      await form.write(file, pattern(100, 1), 50);
      sizes.push(file.size());
      await form.truncate(file, 30);
      sizes.push(file.size());
      await form.allocate(file, 10, 1000);
      sizes.push(file.size());
      await form.submit(file, [{ kind: 'write', buffer: pattern(10, 1), offset: 2000 }]);
      sizes.push(file.size());
      assert.deepEqual(sizes, [100, 150, 30, 1010, 2010], `sizes by ${form.name}`);
    }
  }),
  fileClause({ id: 'truncate-cuts', says: 'cuts a file at any byte, and keeps what is before it' }, async (file) => {
    for (const form of FORMS) {
      file.writeSync(pattern(9000, 1), 0);
      for (const size of [9000, 8193, 4096, 511, 1, 0]) {
        await form.truncate(file, size);
        assertSame(contentOf(file), pattern(9000, 1).subarray(0, size), `the file cut at ${size}, ${form.name}`);
      }
    }
  }),
  fileClause(
    { id: 'truncate-extends', says: 'extends a file by truncation to a larger size, with zeros' },
    async (file) => {
      for (const form of FORMS) {
        await form.truncate(file, 0);
        await form.write(file, pattern(700, 1), 0);
        await form.truncate(file, 9000);
        const wanted = new Uint8Array(9000);
        wanted.set(pattern(700, 1));
        assertSame(contentOf(file), wanted, `the file extended by ${form.name}`);
      }
    },
  ),
  fileClause(
    { id: 'cut-bytes-are-gone', says: 'shows zeros where bytes were cut off, however the file grows again' },
    async (file) => {
      for (const form of FORMS) {
        const wanted = new Uint8Array(9000);
        wanted.set(pattern(9000, 1).subarray(0, 600));
        for (const growth of ['truncation', 'allocation', 'a write'] as const) {
          await form.truncate(file, 0);
          await form.write(file, pattern(9000, 1), 0);
          await form.truncate(file, 600);
          if (growth === 'truncation') await form.truncate(file, 9000);
          else if (growth === 'allocation') await form.allocate(file, 0, 9000);
          else await form.write(file, new Uint8Array(1), 8999);
          assertSame(contentOf(file), wanted, `the file after a cut and growth by ${growth}, ${form.name}`);
        }
      }
    },
  ),
  fileClause(
    { id: 'allocate-extends', says: 'allocates a range: what is there is kept, what is new is zero' },
    async (file) => {
      for (const [form, options] of ALLOCATIONS) {
        await form.truncate(file, 0);
        await form.write(file, pattern(700, 1), 0);
        await form.allocate(file, 300, 70_000, options);
        const wanted = new Uint8Array(70_300);
        wanted.set(pattern(700, 1));
        assertSame(contentOf(file), wanted, `the file after an allocation across its end, ${form.name}`);
        // Over its end, within, and beyond a hole that the range does not reach.
        await form.truncate(file, 0);
        await form.allocate(file, 9000, 5000, options);
        await form.write(file, pattern(700, 2), 10_000);
        await form.allocate(file, 10_200, 9000, options);
        const second = new Uint8Array(19_200);
        second.set(pattern(700, 2), 10_000);
        assertSame(contentOf(file), second, `the file after allocations behind its beginning, ${form.name}`);
      }
    },
  ),
  fileClause(
    { id: 'allocate-never-shrinks', says: 'leaves a file as it is if the range that it allocates is there' },
    async (file) => {
      file.writeSync(pattern(9000, 1), 0);
      for (const [form, options] of ALLOCATIONS) {
        for (const [offset, length] of [
          [0, 10],
          [8000, 1000],
          [0, 9000],
          [5000, 0],
        ] as const) {
          await form.allocate(file, offset, length, options);
          assertSame(contentOf(file), pattern(9000, 1), `the file after ${length} bytes at ${offset}, ${form.name}`);
        }
      }
    },
  ),
  fileClause(
    {
      id: 'allocate-keeps-what-is-written-meanwhile',
      says: 'keeps bytes that are being written while it allocates their place, also by several allocations at once',
    },
    async (file) => {
      const length = 200_000;
      for (let round = 0; round < 10; round++) {
        const options = { writeZeros: round % 2 === 0 };
        await file.truncate(0);
        const bytes = pattern(5000, round);
        await Promise.all([
          file.allocate(0, length, options),
          file.write(bytes, 40_000 * (round % 5)),
          file.allocate(1000, length / 2, options),
          file.write(bytes, 20_000 + 40_000 * (4 - (round % 5))),
        ]);
        const wanted = new Uint8Array(Math.max(length, 20_000 + 40_000 * (4 - (round % 5)) + bytes.length));
        wanted.set(bytes, 40_000 * (round % 5));
        wanted.set(bytes, 20_000 + 40_000 * (4 - (round % 5)));
        assertSame(contentOf(file).subarray(0, wanted.length), wanted, `the file after round ${round}`);
      }
    },
  ),
];
