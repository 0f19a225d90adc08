/** Clauses of the I/O contract about `submit`: many transfers and a sync as one call, with one outcome. */

import assert from 'node:assert/strict';
import type { IoOperation } from '@pagewright/core';
import { Random } from '../random.js';
import { assertSame, contentOf, errorOf, FORMS, fileClause, type IoClause, pattern } from './io-subject.js';

export const BATCH_CLAUSES: readonly IoClause[] = [
  fileClause(
    { id: 'batch', says: 'transfers all of a batch, neighbours and strangers, whatever their order in it' },
    async (file) => {
      for (const [seed, form] of FORMS.entries()) {
        for (const sync of [false, true]) {
          const random = new Random(seed);
          const wanted = pattern(40_000, seed);
          await form.submit(file, random.shuffle(pieces(wanted, 'write', random)), { sync });
          assertSame(contentOf(file), wanted, `what a batch wrote, ${form.name}`);
          const buffer = new Uint8Array(wanted.length);
          await form.submit(file, random.shuffle(pieces(buffer, 'read', random)), { sync });
          assertSame(buffer, wanted, `what a batch read, ${form.name}`);
        }
      }
    },
  ),
  fileClause({ id: 'batch-of-both', says: 'takes reads and writes of other places in one batch' }, async (file) => {
    file.writeSync(pattern(10_000, 1), 0);
    for (const form of FORMS) {
      const buffers = [new Uint8Array(1000), new Uint8Array(1000)] as const;
      await form.submit(file, [
        { kind: 'read', buffer: buffers[0], offset: 0 },
        { kind: 'write', buffer: pattern(2000, 2), offset: 4000 },
        { kind: 'read', buffer: buffers[1], offset: 9000 },
        { kind: 'write', buffer: pattern(500, 3), offset: 10_000 },
      ]);
      assertSame(buffers[0], pattern(10_000, 1).subarray(0, 1000), `the first read, ${form.name}`);
      assertSame(buffers[1], pattern(10_000, 1).subarray(9000), `the second read, ${form.name}`);
      assertSame(contentOf(file).subarray(4000, 6000), pattern(2000, 2), `the first write, ${form.name}`);
      assertSame(contentOf(file).subarray(10_000), pattern(500, 3), `the second write, ${form.name}`);
    }
  }),
  fileClause({ id: 'large-batch', says: 'takes thousands of transfers in one batch' }, async (file) => {
    for (const [seed, form] of FORMS.entries()) {
      const wanted = pattern(3000 * 17, seed);
      const writes = Array.from({ length: 3000 }, (_, at) => pieceOf(wanted, 'write', at * 17, at * 17 + 17));
      await form.submit(file, writes);
      assertSame(contentOf(file), wanted, `what 3,000 transfers wrote, ${form.name}`);
    }
  }),
  fileClause(
    { id: 'ten-thousand', says: 'takes ten thousand transfers at a time: in one batch, in a hundred, and one by one' },
    async (file) => {
      const count = 10_000;
      const wanted = pattern(count * 19, 1);
      const all = (buffer: Uint8Array, kind: 'read' | 'write'): IoOperation[] => {
        const random = new Random(count);
        const places = random.shuffle(Array.from({ length: count }, (_, at) => at * 19));
        return places.map((at) => pieceOf(buffer, kind, at, at + 19));
      };
      const ways: Readonly<Record<string, (operations: readonly IoOperation[]) => Promise<unknown>>> = {
        'in one batch': (operations) => file.submit(operations),
        'in a hundred batches at once': (operations) =>
          Promise.all(Array.from({ length: 100 }, (_, at) => file.submit(operations.slice(at * 100, (at + 1) * 100)))),
        'one by one, at once': (operations) =>
          Promise.all(
            operations.map(({ kind, buffer, offset }) =>
              kind === 'read' ? file.read(buffer, offset) : file.write(buffer, offset),
            ),
          ),
      };
      for (const [name, way] of Object.entries(ways)) {
        await file.truncate(0);
        await way(all(wanted, 'write'));
        assertSame(contentOf(file), wanted, `what ${count} transfers wrote ${name}`);
        const buffer = new Uint8Array(wanted.length);
        await way(all(buffer, 'read'));
        assertSame(buffer, wanted, `what ${count} transfers read ${name}`);
      }
    },
  ),
  fileClause({ id: 'empty-batch', says: 'takes an empty batch, with a sync and without' }, async (file) => {
    for (const form of FORMS) {
      await form.submit(file, []);
      await form.submit(file, [], { sync: true });
      await form.submit(file, [{ kind: 'write', buffer: new Uint8Array(0), offset: 100 }]);
    }
    assert.equal(file.size(), 0, 'an empty batch changes the size');
  }),
  fileClause(
    {
      id: 'batch-error',
      says: 'refuses a batch of which a transfer fails, at once in its error and when no buffer of it is in use any more',
    },
    async (file) => {
      file.writeSync(pattern(50_000, 1), 0);
      for (const form of FORMS) {
        const buffers = Array.from({ length: 20 }, () => new Uint8Array(1000));
        const reads: IoOperation[] = buffers.map((buffer, at) => ({ kind: 'read', buffer, offset: at * 2000 }));
        reads.splice(3, 0, { kind: 'read', buffer: new Uint8Array(1000), offset: 49_900 });
        await errorOf(`a batch with a read beyond the end, ${form.name}`, () => form.submit(file, reads), {
          code: 'PW_IO',
          details: { errno: 'EOF', path: file.path },
        });
        const before = buffers.map((buffer) => new Uint8Array(buffer));
        await file.read(new Uint8Array(50_000), 0);
        for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
        for (const [at, buffer] of buffers.entries()) {
          assertSame(buffer, before[at] as Uint8Array, `a buffer after its batch had failed, ${form.name}`);
        }
      }
    },
  ),
];

/** The bytes as transfers of random lengths that follow one another. */
function pieces(bytes: Uint8Array, kind: 'read' | 'write', random: Random): IoOperation[] {
  const operations: IoOperation[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(bytes.length, at + random.between(1, 3000));
    operations.push(pieceOf(bytes, kind, at, end));
    at = end;
  }
  return operations;
}

function pieceOf(bytes: Uint8Array, kind: 'read' | 'write', from: number, to: number): IoOperation {
  return { kind, buffer: bytes.subarray(from, to), offset: from };
}
