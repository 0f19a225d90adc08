/** Clauses of the I/O contract about locks: one writer for a file, in all processes of the machine. */
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

export const LOCK_CLAUSES: readonly IoClause[] = [
  fileClause(
    {
      id: 'lock-excludes',
      says: 'refuses a second lock of a file, through whatever opening, with PW_LOCKED and the pid of the holder',
      needs: ['locks'],
    },
    async (file, subject) => {
      const lock = await file.lock();
      await withFile(subject, 'file', {}, async (other) => {
        await assertLocked('a lock through another opening', other);
        await assertLocked('a lock through the same opening', file);
        other.writeSync(pattern(10, 1), 0);
        assertSame(contentOf(file), pattern(10, 1), 'a file that was locked');
      });
      await withFile(subject, 'file', { readOnly: true }, (reader) => assertLocked('a lock for reading', reader));
      await lock.release();
    },
  ),
  fileClause(
    {
      id: 'lock-release',
      says: 'can be locked again when the lock was released, however often that was done',
      needs: ['locks'],
    },
    async (file, subject) => {
      const first = await file.lock();
      await Promise.all([first.release(), first.release()]);
      await withFile(subject, 'file', {}, async (other) => {
        const second = await other.lock();
        await first.release();
        await assertLocked('a lock after an old one was released once more', file);
        await second.release();
      });
      await (await file.lock()).release();
    },
  ),
  fileClause(
    { id: 'lock-read-only', says: 'locks a file that is open for reading alone, too', needs: ['locks'] },
    async (file, subject) => {
      await withFile(subject, 'file', { readOnly: true }, async (reader) => {
        const lock = await reader.lock();
        await assertLocked('a lock beside that of a reader', file);
        await lock.release();
      });
    },
  ),
  fileClause(
    { id: 'lock-is-one-file', says: 'locks one file, and no other', needs: ['locks'] },
    async (file, subject) => {
      const lock = await file.lock();
      await withFile(subject, 'other', { create: true }, async (other) => {
        await (await other.lock()).release();
      });
      await assertLocked('a lock after that of another file was released', file);
      await lock.release();
    },
  ),
  fileClause(
    { id: 'lock-race', says: 'gives a lock to one of several who ask at once', needs: ['locks'] },
    async (file, subject) => {
      await withFile(subject, 'file', {}, async (other) => {
        const outcomes = await Promise.allSettled([file.lock(), other.lock(), file.lock()]);
        const locks = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
        assert.equal(locks.length, 1, `${locks.length} of three got the lock`);
        await locks[0]?.release();
      });
    },
  ),
  {
    id: 'lock-of-the-dead',
    says: 'does not let a holder that died hold a lock',
    needs: ['locks', 'crash'],
    async check(subject) {
      const { backend, directory } = subject;
      const file = await backend.open(`${directory}/file`, { create: true });
      await backend.syncDirectory(directory);
      await file.lock();
      await withFile(await afterCrash(subject), 'file', {}, async (again) => {
        await (await again.lock()).release();
      });
    },
  },
];

async function assertLocked(what: string, file: IoFile): Promise<void> {
  await errorOf(what, () => file.lock(), { code: 'PW_LOCKED', details: { pid: process.pid } });
}
