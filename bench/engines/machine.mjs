/**
 * What the machine itself takes, for as much as any engine must do: no engine, but a limit to hold engines against. It is
 * measured by turns with them.
 *
 * A read is a pointer chase through memory as large as the data: as many levels as a B+-tree of 16-KiB pages has, in each page a line
 * for its header and one for the key, each found in the one before, and then the lines of the value. No search, no copy. A scan reads
 * as many bytes as there are in keys and values, one after the other. A load writes as many to a file and makes them durable; at random it
 * goes through the tree for each before.
 */
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { mixed } from '../comparison/random.mjs';

const PAGE_BYTES = 16 * 1024;
const LINE_BYTES = 64;
/** Pages of a tree that grew at random are so full. */
const FILL = 0.69;
/** What an entry takes beside its key and what it leads to. */
const ENTRY_BYTES = 8;
const WRITE_BYTES = 2 ** 20;

export const engine = {
  name: 'machine',

  version: () => process.arch,

  limits: {
    'random-get'({ data, operations, seed, stopwatch }) {
      const tree = new Chase(data);
      tree.walk(Math.ceil(operations / 5), seed);
      stopwatch.start();
      tree.walk(operations, seed + 1);
      stopwatch.stop();
      return { get: stopwatch.each(operations) };
    },

    scan({ data, stopwatch }) {
      const words = new Int32Array(new SharedArrayBuffer(Math.ceil(netBytes(data) / 4) * 4)).fill(1);
      sumOf(words);
      stopwatch.start();
      sumOf(words);
      stopwatch.stop();
      return { scan: stopwatch.each(data.count) };
    },

    'random-load'({ data, seed, stopwatch, directory }) {
      const tree = new Chase(data);
      stopwatch.start();
      tree.walk(data.count, seed);
      write(directory, netBytes(data));
      stopwatch.stop();
      return { put: stopwatch.each(data.count), size: { bytes: netBytes(data) } };
    },

    'sorted-load'({ data, stopwatch, directory }) {
      stopwatch.start();
      write(directory, netBytes(data));
      stopwatch.stop();
      return { load: stopwatch.each(data.count), size: { bytes: netBytes(data) } };
    },
  },
};

/** Bytes of keys and values alone. */
function netBytes({ count, keyBytes, valueBytes }) {
  return Math.ceil(count * (keyBytes + valueBytes));
}

/** Levels of pages, one after the other in memory, the root first. */
class Chase {
  #words;
  /** Of each level: its first page, and how many it has. */
  #levels = [];

  constructor({ count, keyBytes, valueBytes }) {
    const room = PAGE_BYTES * FILL;
    const fanout = Math.floor(room / (keyBytes + ENTRY_BYTES + 8));
    const pages = [Math.ceil((count * (keyBytes + valueBytes + ENTRY_BYTES)) / room)];
    while (pages[0] > 1) pages.unshift(Math.ceil(pages[0] / fanout));
    let first = 0;
    for (const number of pages) {
      this.#levels.push([first, number]);
      first += number;
    }
    const words = new Uint32Array(new SharedArrayBuffer(first * PAGE_BYTES));
    for (let at = 0; at < words.length; at++) words[at] = mixed(at);
    this.#words = words;
  }

  walk(times, seed) {
    const words = this.#words;
    const levels = this.#levels;
    const lines = PAGE_BYTES / LINE_BYTES;
    const last = levels.length - 1;
    let found = mixed(seed);
    for (let left = times; left > 0; left--) {
      for (let level = 0; level <= last; level++) {
        const [first, number] = levels[level];
        // The last bits choose the line and the first ones the page, so that neither tells the other.
        const page = (first + Math.floor((found / 2 ** 32) * number)) * (PAGE_BYTES / 4);
        const line = ((words[page] ^ found) >>> 0) % lines;
        found = mixed(found ^ words[page + line * (LINE_BYTES / 4)]);
        if (level === last) {
          const value = page + (found % (lines - 1)) * (LINE_BYTES / 4);
          found ^= words[value] ^ words[value + LINE_BYTES / 4];
        }
      }
      found = mixed(found);
    }
    return found;
  }
}

function sumOf(words) {
  let sum = 0;
  for (let at = 0; at < words.length; at++) sum = (sum + words[at]) | 0;
  return sum;
}

function write(directory, bytes) {
  const file = openSync(join(directory, 'bytes'), 'w');
  const buffer = Buffer.alloc(WRITE_BYTES, 0xa5);
  for (let left = bytes; left > 0; left -= WRITE_BYTES) writeSync(file, buffer, 0, Math.min(left, WRITE_BYTES));
  fdatasyncSync(file);
  closeSync(file);
}
