/** Clauses of the I/O contract about what is there after power has failed. They need a subject that can lose it. */
import assert from 'node:assert/strict';
import type { IoFile } from '@pagewright/core';
import { afterCrash, assertSame, contentOf, FORMS, type IoClause, type IoSubject, pattern } from './io-subject.js';

export const DURABILITY_CLAUSES: readonly IoClause[] = [
  {
    id: 'sync-makes-durable',
    says: 'makes all completed writes durable by a sync, in either form',
    needs: ['crash'],
    async check(subject) {
      let now = subject;
      for (const [seed, form] of FORMS.entries()) {
        const name = `file ${seed}`;
        const file = await durablyCreated(now, name);
        await form.write(file, pattern(5000, 1), 0);
        await form.write(file, pattern(700, 2), 2000);
        await form.sync(file);
        await form.write(file, pattern(300, 3), 5000);
        await form.sync(file);
        now = await afterCrash(now);
        const wanted = new Uint8Array(5300);
        wanted.set(pattern(5000, 1));
        wanted.set(pattern(700, 2), 2000);
        wanted.set(pattern(300, 3), 5000);
        assertSame(await read(now, name), wanted, `what was synced by ${form.name}`);
      }
    },
  },
  {
    id: 'batch-sync-makes-durable',
    says: 'makes the transfers of a batch durable by its sync, in either form',
    needs: ['crash'],
    async check(subject) {
      let now = subject;
      for (const [seed, form] of FORMS.entries()) {
        const name = `file ${seed}`;
        const file = await durablyCreated(now, name);
        await form.write(file, pattern(100, 1), 0);
        await form.sync(file);
        const bytes = pattern(4000, 2);
        const batch = [3, 0, 2, 1].map((part) => ({
          kind: 'write' as const,
          buffer: bytes.subarray(part * 1000, part * 1000 + 1000),
          offset: 100 + part * 1000,
        }));
        await form.submit(file, batch, { sync: true });
        now = await afterCrash(now);
        const wanted = new Uint8Array([...pattern(100, 1), ...bytes]);
        assertSame(await read(now, name), wanted, `what a batch synced by ${form.name}`);
      }
    },
  },
  {
    id: 'sync-makes-size-durable',
    says: 'makes the length of a file durable by a sync, allocated, cut, or cut and grown again',
    needs: ['crash'],
    async check(subject) {
      const file = await durablyCreated(subject, 'file');
      await file.write(pattern(3000, 1), 0);
      await file.allocate(0, 20_000);
      await file.sync();
      const grown = await afterCrash(subject);
      const wanted = new Uint8Array(20_000);
      wanted.set(pattern(3000, 1));
      assertSame(await read(grown, 'file'), wanted, 'a file that was allocated and synced');
      const again = await grown.backend.open(`${subject.directory}/file`, {});
      await again.truncate(1000);
      await again.sync();
      await again.truncate(2000);
      await again.sync();
      const cut = await afterCrash(grown);
      wanted.fill(0, 1000);
      assertSame(await read(cut, 'file'), wanted.subarray(0, 2000), 'a file that was cut, extended and synced');
    },
  },
  {
    id: 'sync-directory-makes-durable',
    says: 'makes creations, renames and removals in a directory durable by a sync of the directory',
    needs: ['crash'],
    async check(subject) {
      const { backend, directory } = subject;
      for (const name of ['removed', 'renamed']) await (await durablyCreated(subject, name)).close();
      await backend.remove(`${directory}/removed`);
      await backend.rename(`${directory}/renamed`, `${directory}/new name`);
      await (await backend.open(`${directory}/created`, { create: true })).close();
      await backend.makeDirectory(`${directory}/inner`);
      await backend.syncDirectory(directory);
      await (await backend.open(`${directory}/inner/file`, { create: true })).close();
      await backend.syncDirectory(`${directory}/inner`);
      const { backend: after } = await afterCrash(subject);
      assert.deepEqual((await after.list(directory)).sort(), ['created', 'new name'], 'the directory after a crash');
      assert.deepEqual(await after.list(`${directory}/inner`), ['file'], 'the directory that was made');
      await after.remove(`${directory}/inner/file`);
      await after.removeDirectory(`${directory}/inner`);
    },
  },
];

/** A new file whose name is durable. */
async function durablyCreated({ backend, directory }: IoSubject, name: string): Promise<IoFile> {
  const file = await backend.open(`${directory}/${name}`, { create: true });
  await backend.syncDirectory(directory);
  return file;
}

async function read({ backend, directory }: IoSubject, name: string): Promise<Uint8Array> {
  const file = await backend.open(`${directory}/${name}`, { readOnly: true });
  const bytes = contentOf(file);
  await file.close();
  return bytes;
}
