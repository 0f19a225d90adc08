/** Clauses of the I/O contract about what opens a file, how it is closed, and what it then refuses. */
import assert from 'node:assert/strict';
import { assertSame, contentOf, errorOf, FORMS, fileClause, type IoClause, pattern, withFile } from './io-subject.js';

export const OPENING_CLAUSES: readonly IoClause[] = [
  {
    id: 'probe',
    says: 'says whether it works on this machine, and leaves no trace of having tried',
    async check({ backend, directory }) {
      const { supported, reason } = backend.probe();
      assert.ok(supported, `It says that it does not work here: ${reason}`);
      assert.deepEqual(await backend.list(directory), [], 'probing leaves files');
    },
  },
  {
    id: 'prepare-memory',
    says: 'changes nothing in memory that it is told of, wherever that begins and however long it is, and lets transfers use it',
    async check(subject) {
      const { backend } = subject;
      if (backend.prepareMemory === undefined) return;
      const shared = new Uint8Array(new SharedArrayBuffer(3 << 20));
      const memories = [
        shared,
        shared.subarray(4097, 2 << 21),
        shared.subarray(5, 5),
        pattern(100, 2),
        new Uint8Array(0),
      ];
      shared.set(pattern(shared.length, 1));
      for (const memory of memories) backend.prepareMemory(memory);
      assertSame(shared, pattern(shared.length, 1), 'memory that was prepared');
      assertSame(memories[3]!, pattern(100, 2), 'memory of this thread that was prepared');
      await withFile(subject, 'file', { create: true }, async (file) => {
        await file.write(shared, 0);
        file.readSync(shared.subarray(1 << 20), 0);
        assertSame(shared.subarray(1 << 20), pattern(2 << 20, 1), 'what was read into prepared memory');
      });
    },
  },
  {
    id: 'open-missing',
    says: 'refuses to open a missing file with PW_NOT_FOUND, and creates none, unless it is asked to',
    async check({ backend, directory }) {
      for (const flags of [{}, { readOnly: true }, { create: false }]) {
        const path = `${directory}/missing`;
        await errorOf(`opening a missing file with ${JSON.stringify(flags)}`, () => backend.open(path, flags), {
          code: 'PW_NOT_FOUND',
          details: { errno: 'ENOENT', path },
        });
      }
      const within = `${directory}/missing/file`;
      await errorOf('creating a file in a missing directory', () => backend.open(within, { create: true }), {
        code: 'PW_NOT_FOUND',
      });
      assert.deepEqual(await backend.list(directory), [], 'a refused opening leaves a file');
    },
  },
  {
    id: 'open-creates',
    says: 'creates a file if it is asked to, empty, and knows its path',
    async check(subject) {
      const path = `${subject.directory}/new`;
      await withFile(subject, 'new', { create: true }, (file) => {
        assert.equal(file.path, path, 'path is not the one that was opened');
        assert.equal(file.size(), 0, 'a new file is not empty');
        file.writeSync(pattern(10, 1), 0);
      });
      assert.ok(await subject.backend.exists(path), 'a file that was created does not exist');
    },
  },
  {
    id: 'open-in-place',
    says: 'opens in place as it does in the background: the same file, flags and errors, and nothing to wait for',
    rules: ['IO3'],
    async check({ backend, directory }) {
      const missing = { code: 'PW_NOT_FOUND', details: { errno: 'ENOENT', path: `${directory}/missing` } } as const;
      await errorOf('opening a missing file in place', () => backend.openSync(`${directory}/missing`, {}), missing);
      assert.deepEqual(await backend.list(directory), [], 'a refused opening leaves a file');
      const path = `${directory}/file`;
      const first = backend.openSync(path, { create: true });
      assert.equal(first.path, path, 'path is not the one that was opened');
      first.writeSync(pattern(5000, 1), 0);
      const second = backend.openSync(path, { create: true });
      assertSame(contentOf(second), pattern(5000, 1), 'the file opened in place once more');
      await second.write(pattern(10, 2), 5000);
      await second.sync();
      const reader = backend.openSync(path, { readOnly: true });
      assert.equal(reader.size(), 5010);
      const refused = { code: 'PW_READ_ONLY', details: { path } } as const;
      await errorOf('a write to a file opened for reading in place', () => reader.writeSync(pattern(1, 1), 0), refused);
      await Promise.all([first, second, reader].map((file) => file.close()));
      await errorOf('a read of a file that was closed', () => first.readSync(new Uint8Array(1), 0), {
        code: 'PW_CLOSED',
      });
    },
  },
  fileClause(
    { id: 'open-keeps', says: 'keeps what is in a file when it is opened, with whatever flags' },
    async (file, subject) => {
      file.writeSync(pattern(5000, 1), 0);
      for (const flags of [{}, { create: true }, { readOnly: true }, { create: true, readOnly: true }]) {
        const found = await withFile(subject, 'file', flags, contentOf);
        assertSame(found, pattern(5000, 1), `the file opened with ${JSON.stringify(flags)}`);
      }
    },
  ),
  fileClause(
    {
      id: 'read-only',
      says: 'refuses every change of a file that is open for reading alone with PW_READ_ONLY, and reads it',
    },
    async (file, subject) => {
      const bytes = pattern(5000, 1);
      file.writeSync(bytes, 0);
      await withFile(subject, 'file', { readOnly: true }, async (reader) => {
        for (const form of FORMS) {
          const wanted = { code: 'PW_READ_ONLY', details: { path: reader.path } } as const;
          const write = { kind: 'write', buffer: pattern(10, 2), offset: 5 } as const;
          const read = { kind: 'read', buffer: new Uint8Array(10), offset: 5 } as const;
          await errorOf(`a write, ${form.name}`, () => form.write(reader, write.buffer, 5), wanted);
          await errorOf(`a truncation, ${form.name}`, () => form.truncate(reader, 10), wanted);
          await errorOf(`an allocation, ${form.name}`, () => form.allocate(reader, 0, 9000), wanted);
          await errorOf(`a batch with a write, ${form.name}`, () => form.submit(reader, [read, write]), wanted);
          await form.submit(reader, [read]);
          await form.read(reader, read.buffer, 5);
          assertSame(read.buffer, bytes.subarray(5, 15), `what ${form.name} reads`);
        }
        assertSame(contentOf(reader), bytes, 'the file after changes that were refused');
      });
    },
  ),
  fileClause(
    { id: 'sync-any-time', says: 'takes a sync at any time: of an empty file, after changes, twice, many at once' },
    async (file) => {
      for (const form of FORMS) {
        await form.sync(file);
        await form.write(file, pattern(100, 1), 0);
        await form.sync(file);
        await form.sync(file);
      }
      await Promise.all(Array.from({ length: 10 }, () => file.sync()));
      assertSame(contentOf(file), pattern(100, 1), 'the file after syncs');
    },
  ),
  {
    id: 'close-twice',
    says: 'can be closed again and again, also at once',
    async check({ backend, directory }) {
      const file = await backend.open(`${directory}/file`, { create: true });
      await Promise.all([file.close(), file.close()]);
      await file.close();
    },
  },
  {
    id: 'close-waits',
    says: 'waits in close until what is in flight is over, well and whole',
    rules: ['IO2'],
    async check(subject) {
      const file = await subject.backend.open(`${subject.directory}/file`, { create: true });
      const bytes = pattern(300_000, 1);
      const outcomes: string[] = [];
      const note = (what: string, running: Promise<void>): void => {
        running.then(
          () => outcomes.push(what),
          (error: Error) => outcomes.push(`${what}: ${error.message}`),
        );
      };
      note('a write', file.write(bytes.subarray(0, 100_000), 0));
      note('another', file.write(bytes.subarray(100_000, 200_000), 100_000));
      const batch = { kind: 'write', buffer: bytes.subarray(200_000), offset: 200_000 } as const;
      note('a batch', file.submit([batch], { sync: true }));
      note('a sync', file.sync());
      await file.close();
      assert.deepEqual(outcomes.sort(), ['a batch', 'a sync', 'a write', 'another'], 'not all were over after close');
      const found = await withFile(subject, 'file', {}, contentOf);
      assertSame(found, bytes, 'what was in flight when the file was closed');
    },
  },
  {
    id: 'closed',
    says: 'refuses every use of a file that is closed, or about to be, with PW_CLOSED',
    async check({ backend, directory }) {
      const file = await backend.open(`${directory}/file`, { create: true });
      file.writeSync(pattern(100, 1), 0);
      const buffer = new Uint8Array(10);
      const refusesAll = async (when: string): Promise<void> => {
        const wanted = { code: 'PW_CLOSED', details: { path: file.path } } as const;
        for (const form of FORMS) {
          const what = `${when}, ${form.name}`;
          await errorOf(`a read ${what}`, () => form.read(file, buffer, 0), wanted);
          await errorOf(`a write ${what}`, () => form.write(file, buffer, 0), wanted);
          await errorOf(`a sync ${what}`, () => form.sync(file), wanted);
          await errorOf(`a truncation ${what}`, () => form.truncate(file, 0), wanted);
          await errorOf(`an allocation ${what}`, () => form.allocate(file, 0, 100), wanted);
          await errorOf(`a batch ${what}`, () => form.submit(file, [{ kind: 'read', buffer, offset: 0 }]), wanted);
        }
        await errorOf(`a lock ${when}`, () => file.lock(), wanted);
      };
      const writing = file.write(pattern(100, 2), 100);
      const closing = file.close();
      await refusesAll('of a file that is being closed');
      await Promise.all([writing, closing]);
      await refusesAll('of a closed file');
    },
  },
  fileClause(
    { id: 'close-is-one-file', says: 'closes one open file, and no other of the same path' },
    async (file, subject) => {
      await withFile(subject, 'file', {}, () => undefined);
      file.writeSync(pattern(10, 1), 0);
      await file.sync();
      assertSame(contentOf(file), pattern(10, 1), 'a file of which another opening was closed');
    },
  ),
];
