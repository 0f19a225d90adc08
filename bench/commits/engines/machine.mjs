/**
 * What the machine itself takes: no engine, but a file of written blocks, of which each commit overwrites as many bytes as it is told to and makes them durable, by `fdatasync` or because the
 * file was opened with `O_DSYNC`. One commit knows nothing of the others: so many in flight are so many writes in flight, as far as libuv has threads for them. With `isTogether` there is one write
 * at a time, and what comes meanwhile goes into the next one: no log can do with less.
 */
import {
  closeSync,
  constants,
  existsSync,
  fdatasync,
  fdatasyncSync,
  openSync,
  readSync,
  write,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { NotThere } from '../../comparison/not-there.mjs';
import { VALUE_BYTES } from '../../comparison/values.mjs';
import { keyOf, numberIn } from '../entries.mjs';

const FILE_BYTES = 16 * 2 ** 20;

export const engine = {
  name: 'machine',

  version: () => process.arch,

  /** How many commits there is room for. */
  keeps: ({ bytes }) => Math.floor(FILE_BYTES / bytes),

  async open(directory, task) {
    const path = join(directory, 'bytes');
    if (!existsSync(path)) fill(path);
    return {
      settings: `${task.flush}, ${FILE_BYTES / 2 ** 20} MiB of written blocks`,

      ...writing(path, task),

      scan(visit) {
        const file = openSync(path, 'r');
        const value = Buffer.alloc(VALUE_BYTES);
        for (let slot = 0; slot < engine.keeps(task); slot++) {
          readSync(file, value, 0, VALUE_BYTES, slot * task.bytes);
          const number = numberIn(value);
          if (number >= 0) visit(keyOf(number), value);
        }
        closeSync(file);
      },

      share: () => ({ path, task }),

      close: () => {},
    };
  },

  attach: async ({ path, task }) => writing(path, task),
};

function writing(path, { flush, bytes, isTogether }) {
  const isFlushed = flush === 'fdatasync';
  if (constants.O_DSYNC === undefined && !isFlushed) throw new NotThere('this system has no O_DSYNC');
  const file = openSync(path, isFlushed ? constants.O_RDWR : constants.O_RDWR | constants.O_DSYNC);
  const slots = Math.floor(FILE_BYTES / bytes);
  const padded = (value) => {
    const block = Buffer.allocUnsafe(bytes);
    value.copy(block);
    return block;
  };
  const flushed = (blocks, slot) =>
    new Promise((resolve, reject) => {
      const done = (error) => (error ? reject(error) : resolve());
      const { length } = blocks;
      write(file, blocks, 0, length, slot * bytes, (error, written) => {
        if (error || written !== length) reject(error ?? new Error(`Only ${written} of ${length} bytes were written`));
        else if (isFlushed) fdatasync(file, done);
        else resolve();
      });
    });
  const alone = (_key, value, number) => flushed(padded(value), number % slots);
  return {
    commit: isTogether ? together(flushed, padded, slots) : alone,

    commitSync(_key, value, number) {
      const written = writeSync(file, padded(value), 0, bytes, (number % slots) * bytes);
      if (written !== bytes) throw new Error(`Only ${written} of ${bytes} bytes were written`);
      if (isFlushed) fdatasyncSync(file);
    },
  };
}

/** Commits of consecutive numbers, of which those that come while one write is under way are one write, as far as they lie side by side. */
function together(flushed, padded, slots) {
  const waiting = [];
  let isWriting = false;
  const writeOn = async () => {
    isWriting = true;
    while (waiting.length > 0) {
      const first = waiting[0].slot;
      const taken = waiting.splice(0, Math.min(waiting.length, slots - first));
      const outcome = await flushed(Buffer.concat(taken.map(({ value }) => padded(value))), first).catch(
        (error) => error,
      );
      for (const { resolve, reject } of taken) outcome === undefined ? resolve() : reject(outcome);
    }
    isWriting = false;
  };
  return (_key, value, number) =>
    new Promise((resolve, reject) => {
      waiting.push({ slot: number % slots, value, resolve, reject });
      if (!isWriting) writeOn();
    });
}

function fill(path) {
  const file = openSync(path, 'w');
  const block = Buffer.alloc(2 ** 20, 0xa5);
  for (let at = 0; at < FILE_BYTES; at += block.length) writeSync(file, block);
  fdatasyncSync(file);
  closeSync(file);
}
