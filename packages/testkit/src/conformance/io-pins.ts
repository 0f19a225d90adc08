/** Clauses of the I/O contract about pins: what readers of a file show to whoever writes it, for as long as they live. */
import assert from 'node:assert/strict';
import type { IoFile, ReaderPin } from '@pagewright/core';
import { afterCrash, errorOf, fileClause, type IoClause, withFile } from './io-subject.js';

/** Times that a pin is moved while others look. */
const MOVES = 40;

export const PIN_CLAUSES: readonly IoClause[] = [
  fileClause(
    {
      id: 'pin-shown',
      says: 'shows a pin to whoever asks, through whatever opening, as it was moved last, until it is released',
      rules: ['C7'],
      needs: ['pins'],
    },
    async (file, subject) => {
      assert.deepEqual(await pinsOf(file), [], 'a file without readers has pins');
      const [first, second] = [await publish(file, 'first 1'), await publish(file, 'second 1')];
      await withFile(subject, 'file', {}, async (other) => {
        assert.deepEqual(await pinsOf(other), ['first 1', 'second 1']);
        await first.move('first 2');
        assert.deepEqual(await pinsOf(other), ['first 2', 'second 1'], 'after one was moved');
        await second.release();
        await second.release();
        await second.move('second 2');
        assert.deepEqual(await pinsOf(other), ['first 2'], 'after one was released');
        await first.release();
        assert.deepEqual(await pinsOf(other), [], 'after both were released');
      });
    },
  ),
  fileClause(
    {
      id: 'pin-read-only',
      says: 'publishes and shows pins of a file that is open for reading alone, whoever has it locked',
      rules: ['C7'],
      needs: ['pins', 'locks'],
    },
    async (file, subject) => {
      const lock = await file.lock();
      await withFile(subject, 'file', { readOnly: true }, async (reader) => {
        const pin = await publish(reader, 'reader');
        assert.deepEqual(await pinsOf(file), ['reader']);
        assert.deepEqual(await pinsOf(reader), ['reader']);
        await pin.release();
      });
      await lock.release();
    },
  ),
  fileClause(
    { id: 'pin-is-one-file', says: 'shows the pins of one file, and of no other', rules: ['C7'], needs: ['pins'] },
    async (file, subject) => {
      await withFile(subject, 'other', { create: true }, async (other) => {
        const pins = [await publish(file, 'of the file'), await publish(other, 'of the other')];
        assert.deepEqual(await pinsOf(file), ['of the file']);
        assert.deepEqual(await pinsOf(other), ['of the other']);
        for (const pin of pins) await pin.release();
      });
    },
  ),
  fileClause(
    {
      id: 'pin-never-missed',
      says: 'shows a pin that is being moved as it was or as it will be, and never neither',
      rules: ['C7'],
      needs: ['pins'],
    },
    async (file, subject) => {
      await withFile(subject, 'file', { readOnly: true }, async (reader) => {
        const pin = await publish(reader, '0');
        let moving = true;
        const moves = (async () => {
          for (let move = 1; move <= MOVES; move++) await pin.move(String(move));
        })().finally(() => {
          moving = false;
        });
        // If what is shown is wrong the clause is over before they are.
        moves.catch(() => {});
        let last = 0;
        while (moving) {
          const found = await pinsOf(file);
          assert.equal(found.length, 1, `${found.length} pins are shown of one`);
          assert.ok(Number(found[0]) >= last, `it shows ${found[0]} after ${last}`);
          last = Number(found[0]);
        }
        await moves;
        await pin.release();
      });
    },
  ),
  {
    id: 'pin-closed',
    says: 'refuses to publish or show pins of a file that was closed, with PW_CLOSED',
    needs: ['pins'],
    async check(subject) {
      const file = await subject.backend.open(`${subject.directory}/file`, { create: true });
      await file.close();
      await errorOf('publishing a pin', () => publish(file, 'late'), { code: 'PW_CLOSED' });
      await errorOf('looking for pins', () => pinsOf(file), { code: 'PW_CLOSED' });
    },
  },
  {
    id: 'pin-of-the-dead',
    says: 'shows no pin of a reader that died',
    rules: ['C7'],
    needs: ['pins', 'crash'],
    async check(subject) {
      const { backend, directory } = subject;
      const file = await backend.open(`${directory}/file`, { create: true });
      await backend.syncDirectory(directory);
      await publish(file, 'dead soon');
      await withFile(await afterCrash(subject), 'file', {}, async (again) => {
        assert.deepEqual(await pinsOf(again), []);
      });
    },
  },
];

async function publish(file: IoFile, text: string): Promise<ReaderPin> {
  assert.ok(file.publishPin !== undefined, 'the backend is said to have pins, and has no publishPin');
  return await file.publishPin(text);
}

async function pinsOf(file: IoFile): Promise<string[]> {
  assert.ok(file.pins !== undefined, 'the backend is said to have pins, and has no pins');
  return [...(await file.pins())].sort();
}
