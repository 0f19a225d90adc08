/** Clauses of the I/O contract about reads and writes: every byte goes where it should, from and to any memory. */
import assert from 'node:assert/strict';
import { Random } from '../random.js';
import {
  assertSame,
  bytesAt,
  contentOf,
  errorOf,
  FORMS,
  fileClause,
  type IoClause,
  pattern,
  withFile,
} from './io-subject.js';

const MIB = 1 << 20;

export const TRANSFER_CLAUSES: readonly IoClause[] = [
  fileClause(
    { id: 'reads-what-was-written', says: 'reads what was written, at any offset and of any length' },
    async (file) => {
      for (const form of FORMS) {
        for (const [seed, [offset, length]] of (
          [
            [0, 1],
            [0, 4096],
            [511, 2],
            [4096, 8192],
            [1, 513],
            [100_003, 70_001],
          ] as const
        ).entries()) {
          const bytes = pattern(length, seed);
          await form.write(file, new Uint8Array(bytes), offset);
          const buffer = new Uint8Array(length);
          await form.read(file, buffer, offset);
          assertSame(buffer, bytes, `${length} bytes at ${offset}, ${form.name}`);
        }
      }
    },
  ),
  fileClause(
    {
      id: 'write-keeps-what-is-around',
      says: 'leaves the bytes before and after a write, and its length, as they were',
    },
    async (file) => {
      const wanted = pattern(10_000, 1);
      file.writeSync(wanted, 0);
      for (const [seed, form] of FORMS.entries()) {
        const bytes = pattern(700, 2 + seed);
        await form.write(file, bytes, 3333);
        wanted.set(bytes, 3333);
        assertSame(contentOf(file), wanted, `the file after a write in its middle, ${form.name}`);
      }
    },
  ),
  fileClause(
    {
      id: 'write-extends',
      says: 'extends the file by a write beyond its end, with zeros in what lies between, however far it is',
    },
    async (file) => {
      let end = 0;
      for (const [seed, form] of FORMS.entries()) {
        for (const gap of [0, 1, 5000, 1.5 * MIB]) {
          const bytes = pattern(333, seed);
          await form.write(file, bytes, end + gap);
          const what = `a write ${gap} bytes beyond the end, ${form.name}`;
          assert.equal(file.size(), end + gap + bytes.length, `${what}, gives another size`);
          assertSame(bytesAt(file, end, gap), new Uint8Array(gap), `what lies between after ${what}`);
          assertSame(bytesAt(file, end + gap, bytes.length), bytes, what);
          end = file.size();
        }
      }
    },
  ),
  fileClause(
    {
      id: 'read-beyond-end',
      says: 'refuses a read that goes beyond the end with PW_IO, whose details name EOF, path and offset',
    },
    async (file) => {
      file.writeSync(pattern(1000, 1), 0);
      for (const form of FORMS) {
        for (const [offset, length] of [
          [999, 2],
          [1000, 1],
          [5000, 10],
          [0, 1001],
        ] as const) {
          const what = `reading ${length} bytes at ${offset} of 1000, ${form.name}`;
          const { details } = await errorOf(what, () => form.read(file, new Uint8Array(length), offset), {
            code: 'PW_IO',
            details: { errno: 'EOF', path: file.path },
          });
          const place = details.offset as number;
          assert.ok(place >= offset && place <= offset + length, `${what} gives details with offset ${place}`);
        }
      }
      assert.equal(file.size(), 1000, 'a read beyond the end changes the size');
    },
  ),
  fileClause(
    {
      id: 'empty-transfer',
      says: 'transfers nothing with an empty buffer, wherever that is, and does not extend the file',
    },
    async (file) => {
      file.writeSync(pattern(10, 1), 0);
      for (const form of FORMS) {
        for (const offset of [0, 10, 5000]) {
          await form.read(file, new Uint8Array(0), offset);
          await form.write(file, new Uint8Array(0), offset);
        }
      }
      assertSame(contentOf(file), pattern(10, 1), 'the file after empty transfers');
    },
  ),
  fileClause(
    { id: 'views', says: 'transfers views on parts of larger buffers, and touches nothing around them' },
    (file) => transferViews(new ArrayBuffer(5000), file),
  ),
  fileClause(
    {
      id: 'shared-memory',
      says: 'transfers views on shared memory, in place',
      rules: ['IO2'],
      needs: ['sharedMemory'],
    },
    (file) => transferViews(new SharedArrayBuffer(5000), file),
  ),
  fileClause({ id: 'large-transfer', says: 'transfers several MiB at once, whole' }, async (file) => {
    for (const [seed, form] of FORMS.entries()) {
      const bytes = pattern(3 * MIB + 123, seed);
      await form.write(file, bytes, 77);
      const buffer = new Uint8Array(bytes.length);
      await form.read(file, buffer, 77);
      assertSame(buffer, bytes, `3 MiB, ${form.name}`);
    }
  }),
  fileClause(
    { id: 'forms-agree', says: 'does the same by the methods that wait in place as by those that do not' },
    async (file) => {
      for (const [seed, writer] of FORMS.entries()) {
        const bytes = pattern(3000, seed);
        await writer.truncate(file, 0);
        await writer.write(file, bytes, 1000);
        await writer.allocate(file, 0, 6000);
        const wanted = new Uint8Array(6000);
        wanted.set(bytes, 1000);
        for (const reader of FORMS) {
          const buffer = new Uint8Array(6000);
          await reader.read(file, buffer, 0);
          assertSame(buffer, wanted, `${reader.name} after ${writer.name}`);
        }
      }
    },
  ),
  fileClause(
    { id: 'many-at-once', says: 'carries out many operations at once, each with its own bytes' },
    async (file) => {
      const blocks = Array.from({ length: 64 }, (_, seed) => pattern(1500 + seed, seed));
      await Promise.all(blocks.map((bytes, at) => file.write(bytes, at * 2000)));
      const buffers = blocks.map((bytes) => new Uint8Array(bytes.length));
      const rewritten = pattern(400, 99);
      await Promise.all([
        ...buffers.map((buffer, at) => file.read(buffer, at * 2000)),
        file.write(rewritten, 64 * 2000),
        file.sync(),
      ]);
      for (const [at, bytes] of blocks.entries())
        assertSame(buffers[at] as Uint8Array, bytes, `read ${at} of 64 at once`);
      assertSame(bytesAt(file, 64 * 2000, 400), rewritten, 'a write among reads and a sync');
    },
  ),
  fileClause(
    {
      id: 'any-place',
      says: 'puts every write where it belongs and nowhere else, whatever its offset, its length and its address',
      needs: ['sharedMemory'],
    },
    async (file) => {
      const memory = new Uint8Array(new SharedArrayBuffer(40_000));
      for (const [seed, form] of FORMS.entries()) {
        const random = new Random(seed);
        const wanted = pattern(100_000, 99);
        await form.truncate(file, 0);
        await form.write(file, wanted, 0);
        for (let step = 0; step < 60; step++) {
          // Every second one begins or ends at a boundary of what devices and systems move at a time.
          const block = 512 << random.between(0, 3);
          const snap = (value: number): number => (step % 2 === 0 ? value : Math.floor(value / block) * block);
          const [offset, address] = [snap(random.between(0, 60_000)), snap(random.between(0, 20_000))];
          const length = snap(random.between(1, 18_000)) || 1;
          const view = memory.subarray(address, address + length);
          view.set(pattern(length, step));
          wanted.set(view, offset);
          if (step % 3 === 0) await form.submit(file, [{ kind: 'write', buffer: view, offset }], { sync: true });
          else await form.write(file, view, offset);
          const what = `after ${length} bytes at ${offset} from address ${address}, step ${step}, seed ${seed}, ${form.name}`;
          assertSame(contentOf(file), wanted, what);
          await form.read(file, view, offset + 1000);
          assertSame(
            new Uint8Array(view),
            wanted.subarray(offset + 1000, offset + 1000 + length),
            `what is read ${what}`,
          );
        }
      }
    },
  ),
  fileClause(
    {
      id: 'far-places',
      says: 'transfers beyond 4 GiB, where 32 bits do not tell a place, and leaves what is at the beginning',
      needs: ['largeFiles'],
    },
    async (file) => {
      const GIB = 2 ** 30;
      const places = [4 * GIB - 5, 4 * GIB + 12_345, 8 * GIB + 1];
      for (const [seed, form] of FORMS.entries()) {
        const low = pattern(20_000, 50 + seed);
        await form.truncate(file, 0);
        await form.write(file, low, 0);
        for (const [at, offset] of places.entries()) {
          const buffer = pattern(1000, at + 10 * seed);
          if (at === 1) await form.submit(file, [{ kind: 'write', buffer, offset }]);
          else await form.write(file, buffer, offset);
          assert.equal(file.size(), offset + 1000, `the size after a write at ${offset}, ${form.name}`);
        }
        for (const [at, offset] of places.entries()) {
          const wanted = pattern(1000, at + 10 * seed);
          const buffers = [new Uint8Array(1000), new Uint8Array(1000)] as const;
          await form.read(file, buffers[0], offset);
          await form.submit(file, [{ kind: 'read', buffer: buffers[1], offset }]);
          for (const found of buffers) assertSame(found, wanted, `what is at ${offset}, ${form.name}`);
        }
        assertSame(bytesAt(file, 0, low.length), low, `what is at the beginning, ${form.name}`);
        await form.truncate(file, 4 * GIB + 100);
        assert.equal(file.size(), 4 * GIB + 100, `the size of the file cut beyond 4 GiB, ${form.name}`);
      }
      await file.truncate(0);
    },
  ),
  fileClause(
    { id: 'open-files-agree', says: 'shows what was done through one open file to every other, at once' },
    async (file, subject) => {
      await withFile(subject, 'file', {}, async (other) => {
        for (const [seed, form] of FORMS.entries()) {
          await form.write(file, pattern(200, 99), 0);
          for (const reader of FORMS) await reader.read(other, new Uint8Array(100), 50);
          await form.write(file, pattern(100, seed), 50);
          for (const reader of FORMS) {
            const buffer = new Uint8Array(100);
            await reader.read(other, buffer, 50);
            assertSame(buffer, pattern(100, seed), `what ${form.name} wrote through another open file`);
          }
          await form.truncate(other, 20);
          assert.equal(file.size(), 20, `the size after ${form.name} cut the file through another open file`);
        }
      });
    },
  ),
  fileClause(
    { id: 'no-such-place', says: 'refuses an offset that is negative or no whole number, and changes nothing' },
    async (file) => {
      file.writeSync(pattern(100, 1), 0);
      for (const form of FORMS) {
        for (const offset of [-1, 0.5, Number.NaN]) {
          await errorOf(`a write at ${offset}, ${form.name}`, () => form.write(file, pattern(10, 2), offset));
          await errorOf(`a read at ${offset}, ${form.name}`, () => form.read(file, new Uint8Array(10), offset));
        }
      }
      assertSame(contentOf(file), pattern(100, 1), 'the file after what was refused');
    },
  ),
];

async function transferViews(
  memory: ArrayBuffer | SharedArrayBuffer,
  file: Parameters<typeof contentOf>[0],
): Promise<void> {
  const all = new Uint8Array(memory);
  for (const [seed, form] of FORMS.entries()) {
    all.fill(0xaa);
    const view = all.subarray(1001, 4002);
    const bytes = pattern(view.length, seed);
    view.set(bytes);
    await form.write(file, view, 10);
    assertSame(bytesAt(file, 10, bytes.length), bytes, `a view that was written, ${form.name}`);
    view.fill(0xbb);
    await form.read(file, view, 10);
    assertSame(view, bytes, `a view that was read into, ${form.name}`);
    const around = [...all.subarray(0, 1001), ...all.subarray(4002)];
    assert.ok(
      around.every((byte) => byte === 0xaa),
      `bytes around a view were changed, ${form.name}`,
    );
  }
}
