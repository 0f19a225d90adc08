/** Clauses of the I/O contract about names: what a directory holds, and how files get and lose their names. */
import assert from 'node:assert/strict';
import { assertSame, contentOf, errorOf, type IoClause, type IoSubject, pattern, withFile } from './io-subject.js';

export const DIRECTORY_CLAUSES: readonly IoClause[] = [
  {
    id: 'list',
    says: 'lists the names of the files in a directory, without directories and what is in them',
    async check(subject) {
      const { backend, directory } = subject;
      await backend.makeDirectory(`${directory}/inner`);
      for (const name of ['a', 'b.log', 'inner/c']) await create(subject, name, 1);
      assert.deepEqual((await backend.list(directory)).sort(), ['a', 'b.log'], 'the directory');
      assert.deepEqual(await backend.list(`${directory}/inner`), ['c'], 'the directory in it');
    },
  },
  {
    id: 'list-missing',
    says: 'lists nothing of a directory that is missing, and of one that is empty',
    async check({ backend, directory }) {
      assert.deepEqual(await backend.list(directory), [], 'an empty directory');
      assert.deepEqual(await backend.list(`${directory}/missing`), [], 'a missing directory');
    },
  },
  {
    id: 'exists',
    says: 'tells whether there is a file of a path',
    async check(subject) {
      const { backend, directory } = subject;
      const exists = (name: string): Promise<boolean> => backend.exists(`${directory}/${name}`);
      assert.equal(await exists('a'), false, 'a file that never was');
      assert.equal(await exists('missing/a'), false, 'a file in a missing directory');
      await create(subject, 'a', 1);
      assert.equal(await exists('a'), true, 'a file that was created');
      assert.equal(await exists('a/b'), false, 'a path below a file');
      await backend.remove(`${directory}/a`);
      assert.equal(await exists('a'), false, 'a file that was removed');
    },
  },
  {
    id: 'make-directory',
    says: 'makes a directory if it is missing, and refuses one whose parent is missing',
    async check(subject) {
      const { backend, directory } = subject;
      await backend.makeDirectory(`${directory}/inner`);
      await create(subject, 'inner/a', 1);
      await backend.makeDirectory(`${directory}/inner`);
      assert.deepEqual(await backend.list(`${directory}/inner`), ['a'], 'a directory that was made twice');
      await errorOf('making a directory in a missing one', () => backend.makeDirectory(`${directory}/missing/inner`));
    },
  },
  {
    id: 'remove',
    says: 'removes a file and no other; a missing one is not an error',
    async check(subject) {
      const { backend, directory } = subject;
      await create(subject, 'a', 1);
      await create(subject, 'b', 2);
      await backend.remove(`${directory}/a`);
      await backend.remove(`${directory}/a`);
      await backend.remove(`${directory}/missing/a`);
      assert.deepEqual(await backend.list(directory), ['b'], 'the directory after a removal');
      await errorOf('opening a removed file', () => backend.open(`${directory}/a`, {}), { code: 'PW_NOT_FOUND' });
      await withFile(subject, 'a', { create: true }, (file) =>
        assert.equal(file.size(), 0, 'the new file of that name'),
      );
    },
  },
  {
    id: 'remove-directory',
    says: 'removes a directory if it is empty; one that is not, or is missing, is left as it is without an error',
    async check(subject) {
      const { backend, directory } = subject;
      const inner = `${directory}/inner`;
      await backend.removeDirectory(inner);
      await backend.makeDirectory(inner);
      await create(subject, 'inner/a', 1);
      await backend.removeDirectory(inner);
      assert.deepEqual(await backend.list(inner), ['a'], 'a directory that was not empty');
      await backend.remove(`${inner}/a`);
      await backend.removeDirectory(inner);
      await errorOf('creating a file in a removed directory', () => backend.open(`${inner}/a`, { create: true }), {
        code: 'PW_NOT_FOUND',
      });
    },
  },
  {
    id: 'rename',
    says: 'gives a file another name, in the same directory or another, in the place of what had it',
    async check(subject) {
      const { backend, directory } = subject;
      await backend.makeDirectory(`${directory}/inner`);
      await create(subject, 'a', 1);
      await create(subject, 'b', 2);
      await backend.rename(`${directory}/a`, `${directory}/b`);
      assert.deepEqual(await backend.list(directory), ['b'], 'the directory after a rename');
      assertSame(await read(subject, 'b'), pattern(1000, 1), 'the file by its new name');
      await backend.rename(`${directory}/b`, `${directory}/inner/c`);
      assert.deepEqual(await backend.list(directory), [], 'the directory that a file was moved out of');
      assertSame(await read(subject, 'inner/c'), pattern(1000, 1), 'the file in the other directory');
    },
  },
  {
    id: 'rename-missing',
    says: 'refuses to rename a missing file with PW_IO, and leaves what has the other name',
    async check(subject) {
      const { backend, directory } = subject;
      await create(subject, 'b', 2);
      const rename = (): Promise<void> => backend.rename(`${directory}/a`, `${directory}/b`);
      await errorOf('renaming a missing file', rename, { code: 'PW_IO', details: { errno: 'ENOENT' } });
      assertSame(await read(subject, 'b'), pattern(1000, 2), 'the file that has the other name');
    },
  },
  {
    id: 'sync-directory',
    says: 'takes a sync of a directory, changed or not',
    async check(subject) {
      const { backend, directory } = subject;
      await backend.syncDirectory(directory);
      await create(subject, 'a', 1);
      await backend.syncDirectory(directory);
      assertSame(await read(subject, 'a'), pattern(1000, 1), 'a file after its directory was synced');
    },
  },
];

async function create(subject: IoSubject, name: string, seed: number): Promise<void> {
  await withFile(subject, name, { create: true }, (file) => file.writeSync(pattern(1000, seed), 0));
}

function read(subject: IoSubject, name: string): Promise<Uint8Array> {
  return withFile(subject, name, { readOnly: true }, contentOf);
}
