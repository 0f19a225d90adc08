/** The parts of the benchmark: what each varies, who takes part in it, and what its cells are told. */
import { BACKEND } from '../comparison/backends.mjs';
import { VALUE_BYTES } from '../comparison/values.mjs';
import { KEY_BYTES } from './entries.mjs';

/** Of a record of the log, as docs/format/log.md has it: its header, and what an operation has beside key and value. */
const RECORD_HEADER_BYTES = 56;
const OPERATION_BYTES = 4;
export const RECORD_BYTES = 8 * Math.ceil((RECORD_HEADER_BYTES + OPERATION_BYTES + KEY_BYTES + VALUE_BYTES) / 8);
const PAGE_BYTES = 4096;
const MOST_LIBUV_THREADS = 1024;

export const FORMS = { awaited: 'each awaited before the next', sync: 'each in place, before the call returns' };

/**
 * @typedef {object} Part
 * @property {string} title
 * @property {(plan: object, best: number) => object[]} settings `best`: the most commits a second that were seen in flight.
 * @property {(contestant: object) => boolean} takes
 * @property {(setting: object, plan: object) => object} task
 * @property {(setting: object, contestant: object) => object} [env] For the cell.
 */

/** Alone there is nothing to be put together. */
const isAlone = ({ options }) => !options.isTogether;

/** @type {Record<string, Part>} */
export const PARTS = {
  flushes: {
    title: 'flushes of one committer',
    settings: () => Object.keys(FORMS).map((form) => ({ form })),
    takes: isAlone,
    task: ({ form }, { commits }) => ({ load: 'flushes', form, commits, bytes: RECORD_BYTES }),
    // What a ring flushes no tracer of system calls sees.
    env: () => ({ [BACKEND]: 'node:fs' }),
  },

  one: {
    title: 'one committer',
    settings: () => Object.keys(FORMS).map((form) => ({ form })),
    takes: isAlone,
    task: ({ form }, { seconds }) => ({ load: form, seconds, threads: 1, inFlight: 1, bytes: RECORD_BYTES }),
  },

  'in-flight': {
    title: 'in flight',
    // Of several threads each has at least one.
    settings: ({ threads, inFlight }) =>
      threads.flatMap((count) => {
        const depths = new Set(inFlight.map((depth) => Math.max(depth, count)));
        return Array.from(depths, (depth) => ({ threads: count, inFlight: depth }));
      }),
    takes: ({ isLimit, options }) => !isLimit || (options.flush === 'O_DSYNC' && !options.isTogether),
    task: ({ threads, inFlight }, { seconds }) => ({ load: 'awaited', seconds, threads, inFlight, bytes: PAGE_BYTES }),
    // So many writes of the machine are in flight only if libuv has as many threads. Engines have what Node.js gives everyone.
    env: ({ inFlight }, { isLimit }) =>
      isLimit ? { UV_THREADPOOL_SIZE: String(Math.min(inFlight, MOST_LIBUV_THREADS)) } : {},
  },

  'open-loop': {
    title: 'open loop',
    settings: ({ offered }, best) => offered.map((share) => ({ share, offered: (best * share) / 100 })),
    takes: ({ isOwn, options }) => isOwn || options.isTogether === true,
    task: ({ offered }, { seconds }) => ({ load: 'open', seconds, perSecond: offered, bytes: RECORD_BYTES }),
  },
};

export const partNames = Object.keys(PARTS);
